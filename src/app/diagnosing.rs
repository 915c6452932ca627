//! A diagnosis with its actions judged: by the offline analyst or by a language model.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::copilot::online::{self, Attempt, Case, OnlineError, Progress, Sampling};
use crate::copilot::{actions, offline};
use crate::core::message::Draft;
use crate::domain::Text;
use crate::domain::action::{Action, Judged, Origin};
use crate::domain::diagnosis::Diagnosed;
use crate::domain::labels::Labels;
use crate::domain::query::{Data, Planned, Purpose, Query};
use crate::domain::settings::{EndpointSettings, Secrets};
use crate::llm::LlmClient;
use crate::prompts::Library;

use super::engine::Engine;
use super::failure::Failure;
use super::investigate::Investigated;
use super::standing::Standing;
use super::witness::LedgerWitness;

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

/// Diagnoses with a language model: the end points are tried in their order until one has something to say. What
/// leaves is in the ledger first. Fails when none had anything to say; the offline analyst is still there then.
pub async fn online(
    engine: &Engine,
    investigated: &Investigated,
    endpoints: &[EndpointSettings],
    cancel: &CancellationToken,
    mut draft: impl FnMut(Draft) + Send,
) -> Result<Concluded, Failure> {
    let ledger = engine.ledger().await.map_err(|failure| {
        Failure::failed(format!("nothing was sent, because it cannot be written down: {failure}"))
    })?;
    let library = Library::builtin();
    let analysis = &investigated.analysis;
    let mut failures: Vec<String> = Vec::new();
    for endpoint in endpoints {
        let client = match LlmClient::new(endpoint.clone(), Arc::clone(&engine.secrets)) {
            Ok(client) => client,
            Err(error) => {
                failures.push(format!("{}: {error}", endpoint.name));
                continue;
            }
        };
        let shared = investigated.analysis.clone();
        let budget = endpoint.pack_tokens;
        let sees = client.sees();
        let pack = tokio::task::spawn_blocking(move || crate::context::pack_for(&shared, budget, sees))
            .await
            .map_err(|error| Failure::failed(format!("packing failed: {error}")))?;
        let case = Case {
            client: &client,
            library: &library,
            playbooks: &engine.playbooks,
            analysis,
            pack: &pack,
            repack: &|budget| crate::context::pack_for(analysis, budget, sees),
            sampling: Sampling::default(),
        };
        let mut witness = LedgerWitness::new(engine, &ledger, Some(&analysis.incident.id), endpoint.price);
        let mut shown =
            Draft { by: Text::from(format!("{} via {}", endpoint.model, endpoint.name)), ..Draft::default() };
        let follow = |progress: Progress| {
            follow(&mut shown, &endpoint.name, progress);
            draft(shown.clone());
        };
        match online::diagnose(&case, &mut witness, follow, cancel).await {
            Ok(Attempt { mut diagnosed, .. }) => {
                diagnosed.remarks.extend(failures);
                if !diagnosed.complete {
                    let other = "the offline diagnosis is still there: o on the screens, --offline on the command line";
                    diagnosed.remarks.push(other.to_owned());
                }
                let concluded = conclude(engine, investigated, diagnosed).await;
                witness.diagnosed(&concluded).await;
                return Ok(concluded);
            }
            Err(OnlineError::Llm(error)) => failures.push(format!("{}: {error}", endpoint.name)),
            Err(error) => return Err(Failure::failed(error.to_string())),
        }
    }
    Err(Failure::failed(format!("{}; the offline analyst works without it", failures.join("; "))))
}

/// Brings what is shown of a diagnosis under way up to date.
fn follow(shown: &mut Draft, endpoint: &str, progress: Progress) {
    match progress {
        Progress::Sending { tokens, hidden } => {
            shown.stage = Text::from(format!("sending {tokens} tokens to {endpoint}"));
            shown.sent_tokens = tokens;
            shown.hidden = hidden;
        }
        Progress::Accepted => shown.stage = Text::from(format!("{endpoint} is reading")),
        Progress::Writing { partial, received_tokens, first_token_ms, .. } => {
            shown.stage = Text::from("writing");
            shown.partial = *partial;
            shown.received_tokens = received_tokens;
            shown.first_token_ms = Some(first_token_ms);
        }
        Progress::Ended { .. } => {}
        Progress::AskingAgain { problems } => {
            shown.stage = Text::from(format!("the answer was not valid, asking again: {}", problems.join("; ")));
        }
        Progress::Repacked { budget } => {
            shown.stage = Text::from(format!("too long for the model: packing again for {budget} tokens"));
        }
    }
}

async fn conclude(engine: &Engine, investigated: &Investigated, diagnosed: Diagnosed) -> Concluded {
    let mut standing = engine.standing.having_read(&investigated.snapshot, &targets(engine, investigated).await);
    let mut judged_actions = Vec::new();
    if diagnosed.complete {
        for action in actions::actions(&investigated.analysis.incident.id, &diagnosed) {
            // What a model says, it may have read in a log line, in whatever disguise: only names that are known
            // otherwise are not marked.
            if matches!(action.origin, Origin::Model(_)) {
                standing = standing.remembering(&action.argv);
            }
            let action = in_context(action, engine);
            let judged = standing.judge(&action.argv);
            judged_actions.push((action, judged));
        }
    }
    Concluded { diagnosed, actions: judged_actions, standing }
}

/// Names the configured cluster in commands that would otherwise act on whichever one happens to be current.
pub(super) fn in_context(mut action: Action, engine: &Engine) -> Action {
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
pub async fn probe_endpoints(config: &Config, secrets: &Arc<dyn Secrets>) -> Vec<(String, Result<String, String>)> {
    let mut found = Vec::new();
    for endpoint in &config.llm.endpoint {
        let probe = async { LlmClient::new(endpoint.clone(), Arc::clone(secrets))?.probe().await }.await;
        let result = match probe {
            Err(error) => Err(error.to_string()),
            Ok(probe) if probe.has_model == Some(false) => {
                Err(format!("has no model {}; it has {}", endpoint.model, probe.models.join(", ")))
            }
            Ok(probe) => {
                let context = probe.context.map_or_else(String::new, |tokens| format!(", context {tokens} tokens"));
                Ok(format!("{}, {} ms{context}", endpoint.model, probe.latency.as_millis()))
            }
        };
        found.push((endpoint.name.clone(), result));
    }
    found
}
