//! The commands without screens: each answers on standard output, with one JSON document where `--json` is given.

mod actions;
mod anchors;
mod approvals;
mod ask;
mod audit;
mod check;
mod consent;
mod diagnose;
mod doctor;
mod endpoints;
mod import;
mod incidents;
mod interrupt;
mod progress;
mod record;
mod replay_run;
pub(super) mod templates;
mod verify_run;
mod views;
mod whoami;

use std::sync::Arc;

use crate::config::{Config, Profile};
use crate::sources::recorder::Recorder;

use super::cli::{Command, Global};
use super::engine::{Engine, Origin};
use super::failure::Failure;
use super::output::Output;
use super::standing::Standing;

/// Runs one headless command.
pub(super) async fn run(
    command: &Command,
    global: &Global,
    config: Config,
    profile: Option<(String, Profile)>,
) -> Result<(), Failure> {
    let output = Output { json: global.json };
    let engine_with = |config: Config, recorder: Option<Arc<Recorder>>| -> Result<Engine, Failure> {
        let origin = match &global.replay {
            Some(path) => Origin::Replay(super::open_bundle(path)?),
            None => Origin::Live,
        };
        if matches!(origin, Origin::Live) && !profile.as_ref().is_some_and(|(_, profile)| profile.has_sources()) {
            return Err(Failure::usage("no source is configured").with_fix(
                "set PROMETHEUS_URL, ALERTMANAGER_URL or LOKI_ADDR, write a profile into the configuration, or read a \
                 bundle with --replay PATH",
            ));
        }
        Engine::new(config, profile.clone(), origin, global.baseline, recorder)
    };
    let engine = |config: Config| engine_with(config, None);
    let standing = |config: &Config| {
        let (name, profile) = profile.clone().unwrap_or_else(|| ("none".into(), Profile::default()));
        Standing::new(config, &name, &profile)
    };
    match command {
        Command::Alerts => incidents::alerts(&engine(config)?, output).await,
        Command::Incidents => incidents::incidents(&engine(config)?, output).await,
        Command::Suspects { incident } => incidents::suspects(&engine(config)?, incident.as_deref(), output).await,
        Command::Pack { incident, request: true, .. } => {
            diagnose::request(&engine(config)?, incident.as_deref(), output).await
        }
        Command::Pack { incident, budget, .. } => {
            incidents::pack(&engine(config)?, incident.as_deref(), *budget, output).await
        }
        Command::Diagnose { incident, offline, endpoint, checks, recheck, answer, yes } => {
            let by = match answer {
                Some(path) => diagnose::By::Answer(path),
                None if *offline => diagnose::By::Offline,
                None => diagnose::By::Endpoint(endpoint.as_deref()),
            };
            let further = diagnose::Further { checks: *checks, recheck: *recheck, yes: *yes };
            diagnose::diagnose(&engine(config)?, incident.as_deref(), by, further, output).await
        }
        Command::Ask { question, incident, endpoint, max_steps, yes } => {
            let question = ask::Question {
                text: question,
                incident: incident.as_deref(),
                endpoint: endpoint.as_deref(),
                most_steps: *max_steps,
                yes: *yes,
            };
            ask::ask(&engine(config)?, &question, output).await
        }
        Command::Check(arguments) => check::check(&standing(&config)?, arguments, output),
        Command::Whoami => whoami::whoami(&standing(&config)?, output).await,
        Command::Policy { command } => check::policy(&standing(&config)?, command, output),
        Command::Actions { command } if approvals::needs_no_source(command) => {
            let origin = match &global.replay {
                Some(path) => Origin::Replay(super::open_bundle(path)?),
                None => Origin::Live,
            };
            let engine = Engine::new(config, profile, origin, global.baseline, None)?;
            approvals::approvals(&engine, command, output).await
        }
        Command::Actions { command } => actions::actions(&engine(config)?, command, output).await,
        Command::Audit { command } => audit::audit(&config, command, output).await,
        Command::Record { incident, output: path, overwrite } => {
            let recorder = Arc::new(Recorder::new(record::MAX_RECORDED_BYTES));
            let engine = engine_with(config, Some(Arc::clone(&recorder)))?;
            record::record(&engine, &recorder, incident.as_deref(), path, *overwrite, output).await
        }
        Command::Import(arguments) => import::import(arguments, output),
        Command::Doctor => doctor::doctor(config, profile, global, output).await,
        Command::Demo | Command::Replay { .. } | Command::Completions { .. } | Command::Man | Command::Templates(_) => {
            Err(Failure::usage("this command is not a headless one"))
        }
    }
}
