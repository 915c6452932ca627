//! The command line, the effect runner, headless commands: wires the other rooms together.

mod actor;
mod agent;
mod anchoring;
pub mod approvals;
mod asking;
mod checking;
pub mod cli;
pub mod clock;
mod command_secrets;
mod connect;
pub mod diagnosing;
mod drafting;
pub mod engine;
pub mod execution;
pub mod failure;
mod first_run;
mod headless;
pub mod investigate;
pub mod ledger;
mod logging;
mod open_run;
pub mod output;
mod queue;
mod recheck;
mod record;
mod recording;
mod reviews;
mod rules;
mod runbooks;
mod screens;
mod service_graph;
mod session_ledger;
mod spending;
pub mod standing;
mod trust;
pub mod tui;
mod turns;
mod watching;
mod witness;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::config::{self, Config, Profile};
use crate::sources::bundle::Bundle;

use cli::{Cli, Command};
use failure::Failure;
use output::Output;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, command(&matches)))
    });
    let (cli, command) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // A reader that went away is no reason to fail twice.
            let _ = error.print();
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            if code != 0 {
                let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
                Output { json }.failed(&misread(&error), "");
            }
            return ExitCode::from(code);
        }
    };
    match dispatch(&cli) {
        Ok(code) => code,
        Err(failure) => {
            let text = failure.to_string();
            if !text.is_empty() {
                let _ = writeln!(std::io::stderr(), "stanch: {}", crate::domain::text::neutralise(&text));
            }
            Output { json: cli.global.json }.failed(&failure, &command);
            failure.exit_code()
        }
    }
}

/// The command as it is called: `actions run`.
fn command(matches: &ArgMatches) -> String {
    let mut names = Vec::new();
    let mut at = matches.subcommand();
    while let Some((name, inner)) = at {
        names.push(name);
        at = inner.subcommand();
    }
    names.join(" ")
}

/// A command line that is none: what is wrong with it, and what would be right.
fn misread(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let (what, fix) = text.split_once("\n\n").unwrap_or((text.as_str(), ""));
    let lines = |text: &str| {
        let words: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        words.join("\n")
    };
    Failure::usage(lines(what.strip_prefix("error: ").unwrap_or(what))).with_fix(&lines(fix))
}

fn dispatch(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.command {
        Some(Command::Completions { shell }) => {
            clap_complete::generate(*shell, &mut Cli::command(), "stanch", &mut std::io::stdout());
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Man) => {
            let page = clap_mangen::Man::new(Cli::command());
            page.render(&mut std::io::stdout())
                .map_err(|error| Failure::failed(format!("standard output: {error}")))?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Templates(arguments)) => {
            let output = Output { json: cli.global.json };
            return headless::templates::templates(arguments, output).map(|()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    let _log = logging::start();
    // Every TLS connection of this process uses the same provider; a second installation is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the asynchronous runtime cannot be started: {error}")))?;
    let result = runtime.block_on(run(cli));
    // Abandoned questions must not delay the end.
    runtime.shutdown_background();
    result
}

async fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    let (config, profile) = configuration(cli)?;
    match &cli.command {
        None | Some(Command::Demo | Command::Replay { .. }) => screens::open(cli, config, profile).await,
        Some(command) => {
            for why in &config.system.overruled {
                let _ = writeln!(std::io::stderr(), "stanch: not used: {}", crate::domain::text::neutralise(why));
            }
            Box::pin(headless::run(command, &cli.global, config, profile)).await.map(|()| ExitCode::SUCCESS)
        }
    }
}

fn configuration(cli: &Cli) -> Result<(Config, Option<(String, Profile)>), Failure> {
    let (config, _) = config::load(cli.global.config.as_deref())?;
    let config = config.with_environment(|name| std::env::var(name).ok());
    let needs_profile = cli.global.replay.is_none()
        && !matches!(
            cli.command,
            Some(Command::Demo | Command::Replay { .. } | Command::Import(_) | Command::Audit { .. } | Command::Whoami)
        );
    let profile = match config.select(cli.global.profile.as_deref()) {
        Ok(profile) => profile,
        Err(_) if !needs_profile => None,
        Err(error) => return Err(error.into()),
    };
    Ok((config, profile))
}

fn open_bundle(path: &Path) -> Result<Bundle, Failure> {
    Bundle::open(path).map_err(|error| Failure::failed(error.to_string()))
}
