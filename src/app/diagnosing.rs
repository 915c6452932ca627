//! A diagnosis with its actions judged: by the offline analyst or by a language model.

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::copilot::offline;
use crate::core::message::Draft;
use crate::domain::action::{Action, Judged, Origin};
use crate::domain::diagnosis::Diagnosed;
use crate::domain::labels::Labels;
use crate::domain::query::{Data, Planned, Purpose, Query};
use crate::domain::settings::EndpointSettings;

use super::engine::Engine;
use super::failure::Failure;
use super::investigate::Investigated;
use super::standing::Standing;

/// A finished diagnosis, its actions with what the gate says of them, and the standing they were judged from.
#[derive(Debug, Clone)]
pub struct Concluded {
    /// The diagnosis.
    pub diagnosed: Diagnosed,
    /// Its actions.
    pub actions: Vec<(Action, Judged)>,
    /// Who would act, with the words that telemetry brought in.
    pub standing: Standing,
}

/// Diagnoses without a language model. Sends nothing, and is the same every time.
pub async fn offline(engine: &Engine, investigated: &Investigated) -> Concluded {
    let diagnosed = offline::diagnose(&investigated.analysis, &engine.playbooks);
    conclude(engine, investigated, diagnosed).await
}

/// Diagnoses with a language model.
pub async fn online(
    _engine: &Engine,
    _investigated: &Investigated,
    endpoint: &EndpointSettings,
    _cancel: &CancellationToken,
    _draft: impl FnMut(Draft),
) -> Result<Concluded, Failure> {
    Err(Failure::failed(format!("the end point {} is not connected yet: use --offline", endpoint.name)))
}

async fn conclude(engine: &Engine, investigated: &Investigated, diagnosed: Diagnosed) -> Concluded {
    let standing = engine.standing.having_read(&investigated.snapshot, &targets(engine, investigated).await);
    let mut actions = Vec::new();
    if diagnosed.complete {
        for action in suggested(&diagnosed, &investigated.analysis.incident.id) {
            let action = in_context(action, engine);
            let judged = standing.judge(&action.argv);
            actions.push((action, judged));
        }
    }
    Concluded { diagnosed, actions, standing }
}

fn suggested(diagnosed: &Diagnosed, incident: &str) -> Vec<Action> {
    let origin = match &diagnosed.analyst.endpoint {
        Some(_) => Origin::Model(diagnosed.analyst.name.clone()),
        None => Origin::Playbook(diagnosed.prompt.name.clone()),
    };
    let one = |action: &crate::domain::diagnosis::SuggestedAction| {
        Some(Action {
            id: action.id.clone(),
            incident: incident.to_owned(),
            origin: origin.clone(),
            argv: action.argv.clone()?,
            change: action.change.clone(),
            target: action.target.clone(),
            rationale: action.rationale.clone(),
            rollback: action.rollback.clone(),
            verify: action.verify.clone(),
        })
    };
    diagnosed.diagnosis.actions.iter().filter_map(one).collect()
}

/// Names the configured cluster in commands that would otherwise act on whichever one happens to be current.
fn in_context(mut action: Action, engine: &Engine) -> Action {
    let context = engine.profile.kubernetes.as_ref().and_then(|kubernetes| kubernetes.context.as_deref());
    if let Some(context) = context {
        let add = |argv: &mut Vec<String>| {
            let flag = match argv.first().map(String::as_str) {
                Some("kubectl") => "--context",
                Some("helm") => "--kube-context",
                _ => return,
            };
            if !argv.iter().any(|word| word.starts_with(flag)) {
                argv.insert(1, format!("{flag}={context}"));
            }
        };
        add(&mut action.argv);
        action.rollback.iter_mut().for_each(add);
    }
    action
}

/// The label sets that the site's own scrape configuration made: targets of a live Prometheus, or the recorded
/// series where there is none to ask.
async fn targets(engine: &Engine, investigated: &Investigated) -> Vec<Labels> {
    let planned = Planned { query: Query::Targets, purpose: Purpose::Discovery };
    if engine.sources.answers(&planned.query)
        && let (_, Some(answer)) = engine.sources.ask(&planned).await
        && let Data::Targets(targets) = answer.data
    {
        return targets.into_iter().map(|target| target.labels).collect();
    }
    if engine.bundle().is_some() {
        let series = investigated.snapshot.metrics.iter().flat_map(|answer| &answer.series);
        return series.map(|series| series.labels.clone()).collect();
    }
    Vec::new()
}

/// Asks each configured end point whether it is there: what it says, or why it does not.
pub async fn probe_endpoints(config: &Config) -> Vec<(String, Result<String, String>)> {
    config.llm.endpoint.iter().map(|endpoint| (endpoint.name.clone(), Err("not connected yet".to_owned()))).collect()
}
