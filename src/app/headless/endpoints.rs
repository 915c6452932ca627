//! `doctor`'s examination of the end points of language models: what each can do, with the fix for what it cannot.
//!
//! Two small trials cost some eighty tokens; they hold words of our own and stand in the ledger like every request.

use std::sync::Arc;
use std::time::Instant;

use crate::app::engine::Engine;
use crate::app::witness::LedgerWitness;
use crate::context::count_tokens;
use crate::copilot::call::{CallOutcome, Content, Leaving, Witness as _};
use crate::domain::diagnosis::{PromptRef, Timing};
use crate::domain::settings::Protocol;
use crate::ledger::Ledger;
use crate::llm::{Endpoint, Health, HealthState, LlmClient, LlmError, Outcome, Probe, SAMPLE, Shape, Trial, Tried};

use super::doctor::{Finding, Outcome as Status};

/// Models named at most where the configured one is missing.
const NAMED: usize = 8;

/// Examines all end points, each in its own time, in the order of the configuration.
pub(super) async fn examine(engine: &Engine, ledger: Option<&Arc<dyn Ledger>>) -> Vec<Finding> {
    let examinations = engine.pool.endpoints().iter().map(|endpoint| one(engine, ledger, endpoint));
    futures_util::future::join_all(examinations).await.into_iter().flatten().collect()
}

/// The findings of one end point, each under its name.
struct Findings {
    endpoint: String,
    found: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, about: &str, status: Status, detail: impl Into<String>, fix: impl Into<String>) {
        let name = format!("llm {}{}{about}", self.endpoint, if about.is_empty() { "" } else { " " });
        self.found.push(Finding { name, status, detail: detail.into(), fix: fix.into() });
    }
}

async fn one(engine: &Engine, ledger: Option<&Arc<dyn Ledger>>, endpoint: &Endpoint) -> Vec<Finding> {
    let settings = endpoint.settings();
    let mut findings = Findings { endpoint: settings.name.clone(), found: Vec::new() };
    let client = match endpoint.client() {
        Ok(client) => client,
        Err(error) => {
            findings.add("", Status::Fail, error.kind.to_string(), "the offline analyst works without it");
            return findings.found;
        }
    };
    let sees = format!("{} over {}, may see {}", settings.model, protocol(client), client.sees().word());
    match client.probe().await {
        Ok(probe) => {
            findings.add("", Status::Ok, format!("{sees}, {} ms", probe.latency.as_millis()), "");
            models(&mut findings, client, &probe);
            let tokens = tokenizer(&mut findings, engine, ledger, endpoint, client).await;
            context(&mut findings, endpoint, &probe, tokens);
        }
        // Not every gateway has a list of models; whether it answers, the trials show.
        Err(error) if is_no_list(&error) => {
            findings.add("", Status::Ok, format!("{sees}, names no models"), "");
        }
        Err(error) => {
            let advice = "the offline analyst works without it";
            findings.add("", Status::Fail, format!("{sees}: {}", error.kind), advice);
            return findings.found;
        }
    }
    load(&mut findings, endpoint).await;
    trials(&mut findings, engine, ledger, endpoint, client).await;
    findings.found
}

/// The protocol as it is written in the configuration.
fn protocol(client: &LlmClient) -> String {
    let name = serde_json::to_value(client.settings().protocol).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn is_no_list(error: &LlmError) -> bool {
    use crate::llm::LlmErrorKind as Kind;
    matches!(&error.kind, Kind::ModelNotFound { .. } | Kind::NotUnderstood { .. } | Kind::Rejected { .. })
}

fn models(findings: &mut Findings, client: &LlmClient, probe: &Probe) {
    let model = &client.settings().model;
    match probe.has_model {
        Some(true) => findings.add("model", Status::Ok, format!("{model} is one of {}", probe.models.len()), ""),
        Some(false) => {
            let mut named = probe.models.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            if probe.models.len() > NAMED {
                named += &format!(" and {} more", probe.models.len() - NAMED);
            }
            // Gateways route names that they do not list.
            findings.add(
                "model",
                Status::Warn,
                format!("{model} is not listed"),
                format!("set model to one of {named}"),
            );
        }
        None => findings.add("model", Status::Ok, "the server names no models", ""),
    }
}

/// Counts a sample with the model's own tokenizer, and learns from it.
async fn tokenizer(
    findings: &mut Findings,
    engine: &Engine,
    ledger: Option<&Arc<dyn Ledger>>,
    endpoint: &Endpoint,
    client: &LlmClient,
) -> bool {
    let ours = count_tokens(SAMPLE) as u64;
    let counted = match counted(engine, ledger, endpoint, client).await {
        Ok(counted) => counted,
        Err(why) => {
            findings.add("tokens", Status::Warn, format!("not asked: {why}"), "");
            return false;
        }
    };
    match counted {
        Ok(Some(theirs)) => {
            endpoint.seed_calibration([(ours, theirs)]);
            let factor = endpoint.calibration().factor();
            findings.add("tokens", Status::Ok, format!("its tokenizer counts {factor:.2} tokens for one of ours"), "");
            true
        }
        Ok(None) => {
            let factor = endpoint.calibration().factor();
            findings.add(
                "tokens",
                Status::Ok,
                format!("no tokenizer to ask: ~{factor:.1} until it is learnt from use"),
                "",
            );
            false
        }
        Err(error) => {
            findings.add("tokens", Status::Warn, error.kind.to_string(), "");
            false
        }
    }
}

/// Lets the server count a sample, written down like every text that leaves. `Err` says why nothing was sent.
async fn counted(
    engine: &Engine,
    ledger: Option<&Arc<dyn Ledger>>,
    endpoint: &Endpoint,
    client: &LlmClient,
) -> Result<Result<Option<u64>, LlmError>, String> {
    let Some(call) = client.prepare_sample() else { return Ok(Ok(None)) };
    let mut witness = LedgerWitness::new(engine, ledger.ok_or(UNWRITTEN)?, None, endpoint.settings().price);
    let prompt = PromptRef { name: "count".into(), version: String::new() };
    let content = Content { prompt: &prompt, pack: None, evidence: Vec::new() };
    witness.before_send(&Leaving { call: &call, content: &content, tokens: 0 }).await?;
    let counted = client.count_sample().await;
    let error = counted.as_ref().err().cloned();
    witness.after(&CallOutcome { endpoint: call.endpoint, model: call.model, error, ..CallOutcome::default() }).await?;
    Ok(counted)
}

/// Why nothing is sent where there is no ledger.
const UNWRITTEN: &str = "what leaves is written down first, and the ledger cannot be written";

fn context(findings: &mut Findings, endpoint: &Endpoint, probe: &Probe, learnt: bool) {
    let settings = endpoint.settings();
    let Some(context) = probe.context else {
        let fix = "keep pack_tokens and answer_tokens together below the model's context";
        return findings.add("context", Status::Ok, "the server does not tell its size", fix);
    };
    let (needed, _) = endpoint.calibration().estimate(settings.pack_tokens as u64);
    let needed = needed + u64::from(settings.answer_tokens);
    let about = if learnt { "" } else { "~" };
    let detail = format!("{context} tokens; a pack and its answer take up to {about}{needed}");
    if needed <= context {
        return findings.add("context", Status::Ok, detail, "");
    }
    let room = context.saturating_sub(u64::from(settings.answer_tokens));
    let fits = endpoint.calibration().budget(room);
    let fix = if fits == 0 {
        format!("lower answer_tokens below {context}, or give the model a larger context")
    } else {
        format!("set pack_tokens = {fits}, or give the model a larger context")
    };
    findings.add("context", Status::Warn, detail, fix);
}

async fn load(findings: &mut Findings, endpoint: &Endpoint) {
    match endpoint.load().await {
        Ok(Some(load)) => {
            let Health { state, advice, .. } = endpoint.health(Instant::now());
            let detail = format!("{}: {} running, {} waiting", load.server, load.running, load.waiting);
            if state == HealthState::Saturated {
                findings.add("load", Status::Warn, format!("{}: {detail}", state.words()), advice);
            } else {
                findings.add("load", Status::Ok, detail, "");
            }
        }
        Ok(None) => {}
        Err(error) => findings.add("load", Status::Warn, error.kind.to_string(), ""),
    }
}

async fn trials(
    findings: &mut Findings,
    engine: &Engine,
    ledger: Option<&Arc<dyn Ledger>>,
    endpoint: &Endpoint,
    client: &LlmClient,
) {
    let Some(ledger) = ledger else {
        return findings.add("answer", Status::Warn, format!("not asked: {UNWRITTEN}"), "");
    };
    let mut spent = (0, 0);
    let mut tried = Vec::new();
    for trial in [Trial::Streaming, Trial::Schema] {
        let one = match recorded(engine, ledger, endpoint, client, trial).await {
            Ok(one) => one,
            Err(why) => return findings.add("answer", Status::Warn, format!("not asked: {why}"), ""),
        };
        spent = (spent.0 + one.seen.usage.input_tokens, spent.1 + one.seen.usage.output_tokens);
        let failed = matches!(one.seen.outcome, Outcome::Failed(_));
        tried.push(one);
        if failed {
            break;
        }
    }
    let cost = format!("cost: {} tokens sent, {} received", spent.0, spent.1);
    if let Some(one) = tried.first() {
        streaming(findings, one, &cost);
    }
    if let Some(one) = tried.get(1) {
        shape(findings, endpoint, client, one);
    }
}

/// Makes a trial, written down like every request.
async fn recorded(
    engine: &Engine,
    ledger: &Arc<dyn Ledger>,
    endpoint: &Endpoint,
    client: &LlmClient,
    trial: Trial,
) -> Result<Tried, String> {
    let call = client.prepare_trial(trial);
    let mut witness = LedgerWitness::new(engine, ledger, None, endpoint.settings().price);
    let prompt = PromptRef { name: "trial".into(), version: String::new() };
    let content = Content { prompt: &prompt, pack: None, evidence: Vec::new() };
    witness.before_send(&Leaving { call: &call, content: &content, tokens: 0 }).await?;
    let tried = client.try_out(trial).await;
    let (finish, error) = match &tried.seen.outcome {
        Outcome::Finished(reason) => (Some(reason.clone()), None),
        Outcome::Failed(kind) => (None, Some(LlmError { endpoint: call.endpoint.clone(), kind: kind.clone() })),
        Outcome::Cancelled => (None, None),
    };
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let timing = Timing { first_token_ms: tried.seen.first_token.map(millis), total_ms: millis(tried.total) };
    let outcome = CallOutcome {
        endpoint: call.endpoint.clone(),
        model: call.model.clone(),
        text: tried.text.clone(),
        finish,
        error,
        usage: tried.seen.usage.clone(),
        timing,
        ..CallOutcome::default()
    };
    witness.after(&outcome).await?;
    Ok(tried)
}

fn streaming(findings: &mut Findings, tried: &Tried, cost: &str) {
    if let Outcome::Failed(kind) = &tried.seen.outcome {
        return findings.add("answer", Status::Fail, kind.to_string(), "the offline analyst works without it");
    }
    let first = tried
        .seen
        .first_token
        .map_or_else(|| "no text".to_owned(), |first| format!("{:.1} s to the first token", first.as_secs_f64()));
    let rate = tried.seen.tokens_per_second.map_or_else(String::new, |rate| format!(", {rate:.0} tok/s"));
    let detail = format!("{first}{rate}; {cost}");
    match tried.streams() {
        Some(true) => findings.add("answer", Status::Ok, format!("streams: {detail}"), ""),
        Some(false) => {
            let fix = "answers appear all at once: does a proxy between here and there buffer them?";
            findings.add("answer", Status::Warn, format!("does not stream: {detail}"), fix);
        }
        None if tried.text.is_empty() => {
            let fix = "does the model think before it speaks? set reasoning = true, and raise answer_tokens";
            findings.add("answer", Status::Warn, format!("an empty answer: {detail}"), fix);
        }
        None => findings.add("answer", Status::Ok, detail, ""),
    }
}

fn shape(findings: &mut Findings, endpoint: &Endpoint, client: &LlmClient, tried: &Tried) {
    match (tried.shape(), &tried.seen.outcome) {
        (Shape::Enforced, _) => {
            endpoint.probed_schema(true);
            findings.add("schema", Status::Ok, "enforced: an answer that was asked to break it kept it", "");
        }
        (Shape::Ignored(text), _) => {
            endpoint.probed_schema(false);
            let fix = match client.settings().protocol {
                Protocol::OpenaiResponses | Protocol::Anthropic => {
                    "set protocol = \"openai-chat\" if the server speaks it, where more servers enforce JSON schemas"
                }
                _ => "answers may fail validation: use a server or protocol that enforces JSON schemas",
            };
            let detail = format!("{}: it answered `{}`", HealthState::SchemaNotEnforced.words(), text.truncated(60));
            findings.add("schema", Status::Warn, detail, fix);
        }
        (Shape::Unclear, Outcome::Failed(kind)) => {
            let fix = "does the server know schemas in this protocol?";
            findings.add("schema", Status::Fail, kind.to_string(), fix);
        }
        (Shape::Unclear, _) => findings.add("schema", Status::Ok, "not known: the answer was cut", ""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::method;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::app::engine::Origin;
    use crate::config::Config;
    use crate::domain::Timestamp;
    use crate::domain::settings::EndpointSettings;
    use crate::sources::demo;

    #[tokio::test]
    async fn no_text_leaves_that_cannot_be_written_down() {
        let server = MockServer::start().await;
        let models = json!({"data": [{"id": "tiny"}]});
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_json(models)).mount(&server).await;
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.ledger.path = Some(folder.path().join("ledger.db"));
        config.llm.endpoint = vec![EndpointSettings {
            url: Some(server.uri()),
            ..EndpointSettings::new("local", Protocol::OpenaiChat, "tiny")
        }];
        let origin = Origin::Demo(demo::bundle(Timestamp::from_secs(1_800_000_000)));
        let engine = Engine::new(config, None, origin, None, None).unwrap();
        let found = examine(&engine, None).await;
        for about in ["llm local tokens", "llm local answer"] {
            let one = found.iter().find(|finding| finding.name == about).unwrap();
            assert!(one.detail.contains("the ledger cannot be written"), "{one:?}");
        }
        let posted = |server: Vec<wiremock::Request>| server.iter().filter(|one| one.method == "POST").count();
        assert_eq!(posted(server.received_requests().await.unwrap()), 0);
        // With a ledger each text that leaves has an entry.
        let ledger = engine.ledger().await.unwrap();
        examine(&engine, Some(&ledger)).await;
        let filter = crate::ledger::Filter {
            kinds: vec![crate::domain::ledger::EntryKind::LlmIntent],
            ..crate::ledger::Filter::default()
        };
        let written = ledger.entries(filter).await.unwrap().len();
        assert_eq!(posted(server.received_requests().await.unwrap()), written);
    }
}
