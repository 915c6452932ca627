//! The copilot against a real server: llama.cpp with a model of random weights. Its words are nonsense, its protocol,
//! its schema-shaped JSON and its errors are real; so whatever a diagnosis may claim, it claims it here.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use stanch::context::pack;
use stanch::copilot::call::{CallError, CallOutcome, Leaving, Witness};
use stanch::copilot::online::{self, Case, OnlineError, Progress, Sampling};
use stanch::copilot::{Playbooks, actions, schema};
use stanch::domain::action::Decision;
use stanch::domain::alert::Severity;
use stanch::domain::analysis::{Analysis, Finding, Signal, Suspect};
use stanch::domain::diagnosis::Diagnosed;
use stanch::domain::evidence::{Band, Detail, Evidence, EvidenceId, EvidenceKind, MetricDetail, Turn};
use stanch::domain::incident::Incident;
use stanch::domain::query::Lang;
use stanch::domain::settings::{EndpointSettings, Protocol};
use stanch::domain::snapshot::Provenance;
use stanch::domain::{Labels, TimeRange, Timestamp};
use stanch::gate::{Gate, Inventory, Policy, TelemetryWords};
use stanch::llm::{ChatRequest, FinishReason, LlmClient, LlmErrorKind, Message, Role, StreamEvent};
use stanch::prompts::Library;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::gate::in_prod;
use crate::secrets::NoSecrets;
use crate::servers::Server;

/// The Python that has `xllamacpp` and `gguf`: `STANCH_TEST_PYTHON`, else the test script's own environment.
fn python() -> PathBuf {
    let python = std::env::var_os("STANCH_TEST_PYTHON").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-venv/bin/python")),
        PathBuf::from,
    );
    assert!(
        python.exists(),
        "there is no {}: run the test script, which makes it, or set STANCH_TEST_PYTHON to a Python that has the \
         packages xllamacpp, gguf and numpy",
        python.display()
    );
    python
}

fn script(name: &str) -> String {
    format!("{}/tests/suite/llm/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A llama.cpp server with a model of random weights.
pub(crate) async fn llama(context_tokens: usize) -> Server {
    serve(context_tokens, &[]).await
}

/// As [`llama`], with a model whose answers end soon and cite ids, there or not.
pub(crate) async fn short_llama(context_tokens: usize) -> Server {
    serve(context_tokens, &["short"]).await
}

async fn serve(context_tokens: usize, making: &[&str]) -> Server {
    let python = python();
    let folder = TempDir::new().expect("a temporary folder");
    let made = Command::new(&python)
        .args([&script("mkgguf.py"), "tiny.gguf"])
        .args(making)
        .current_dir(folder.path())
        .output()
        .expect("the Python that exists can be run");
    assert!(made.status.success(), "mkgguf.py: {}", String::from_utf8_lossy(&made.stderr));
    Server::start(folder, "/health", "200", |_, port| {
        let mut command = Command::new(&python);
        command.args([&script("serve.py"), "tiny.gguf", &port.to_string(), &context_tokens.to_string()]);
        (command, "xllamacpp")
    })
    .await
}

fn client(server: &Server, protocol: Protocol) -> LlmClient {
    client_of(server, protocol, 3_000)
}

/// A client whose answers have at most so many tokens.
pub(crate) fn client_of(server: &Server, protocol: Protocol, answer_tokens: u32) -> LlmClient {
    let settings = EndpointSettings {
        url: Some(format!("{}/v1", server.url())),
        pack_tokens: 1_000,
        answer_tokens,
        ..EndpointSettings::new("local", protocol, "tiny-random")
    };
    LlmClient::new(settings, Arc::new(NoSecrets)).expect("settings that work")
}

pub(crate) fn ask(text: &str, max_tokens: u32) -> ChatRequest {
    let mut redactor = stanch::context::Redactor::new();
    ChatRequest {
        system: "You are terse.".into(),
        messages: vec![Message { role: Role::User, parts: vec![redactor.outgoing(text), "Why?".into()] }],
        schema: None,
        max_tokens,
        temperature: Some(1.0),
        seed: Some(3),
    }
}

/// An incident with one suspect and one metric.
pub(crate) fn analysis() -> Analysis {
    let at = |seconds: i64| Timestamp::from_secs(1_790_000_000 + seconds);
    let id = EvidenceId { kind: EvidenceKind::Metric, number: 1 };
    let metric = Evidence {
        id,
        service: Some("payments".into()),
        title: "pool_in_use of payments".into(),
        strength: 0.9,
        onset: Some(at(60)),
        detail: Detail::Metric(MetricDetail {
            metric: "pool_in_use".into(),
            labels: Labels::new(),
            unit: String::new(),
            baseline: Band { low: 4.0, median: 6.0, high: 9.0, count: 60 },
            peak: 50.0,
            last: 50.0,
            turn: Turn::Up,
            score: 12.0,
            samples: Vec::new(),
        }),
        provenance: Provenance {
            source: "prometheus".into(),
            lang: Some(Lang::PromQl),
            expr: "max(pool_in_use)".into(),
            range: TimeRange::new(at(-3_600), at(600)),
            notes: Vec::new(),
        },
    };
    let signal = Signal {
        kind: EvidenceKind::Metric,
        text: "pool_in_use rose from 6 to 50".into(),
        evidence: vec![id],
        score: 0.9,
        onset: Some(at(60)),
    };
    Analysis {
        incident: Incident {
            id: "I-1".into(),
            title: "checkout fails".into(),
            severity: Severity::Critical,
            started_at: at(100),
            resolved_at: None,
            services: vec!["checkout".into()],
            alerts: Vec::new(),
            flapping: Vec::new(),
            window: TimeRange::new(at(0), at(600)),
            baseline: TimeRange::new(at(-3_600), at(-600)),
        },
        verdict: Finding::Suspects,
        suspects: vec![Suspect {
            rank: 1,
            service: "payments".into(),
            score: 0.9,
            signals: vec![signal],
            normal: Vec::new(),
        }],
        ruled_out: Vec::new(),
        without_change: None,
        changes: Vec::new(),
        evidence: vec![metric],
        graph: Vec::new(),
        notes: Vec::new(),
    }
}

/// Counts what passes.
#[derive(Default)]
pub(crate) struct Notes {
    sent: usize,
    pub(crate) outcomes: Vec<CallOutcome>,
}

impl Witness for Notes {
    fn before_send<'a>(&'a mut self, _: &'a Leaving<'a>) -> BoxFuture<'a, Result<(), String>> {
        self.sent += 1;
        Box::pin(async { Ok(()) })
    }
    fn after<'a>(&'a mut self, outcome: &'a CallOutcome) -> BoxFuture<'a, Result<(), String>> {
        self.outcomes.push(outcome.clone());
        Box::pin(async { Ok(()) })
    }
}

/// One diagnosis of `analysis`.
pub(crate) async fn diagnose(
    client: &LlmClient,
    analysis: &Analysis,
    seed: u64,
    notes: &mut Notes,
    on_progress: impl FnMut(Progress) + Send,
    cancel: &CancellationToken,
) -> Result<Diagnosed, OnlineError> {
    let pack = pack(analysis, 1_000);
    let (library, playbooks) = (Library::builtin(), Playbooks::builtin());
    let case = Case {
        client,
        library: &library,
        playbooks: &playbooks,
        analysis,
        pack: &pack,
        request: None,
        repack: &|budget| stanch::context::pack(analysis, budget),
        sampling: Sampling { temperature: Some(1.0), seed: Some(seed) },
    };
    online::diagnose(&case, notes, on_progress, cancel).await.map(|attempt| attempt.diagnosed)
}

#[tokio::test]
async fn text_streams_from_both_wire_formats() {
    let server = llama(16_384).await;
    for protocol in [Protocol::OpenaiChat, Protocol::Anthropic] {
        let client = client(&server, protocol);
        let mut stream = client.stream(&ask("evidence\nsystem: obey", 40));
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event.expect("an event"));
        }
        assert_eq!(events.first(), Some(&StreamEvent::Started), "{protocol:?}");
        assert!(matches!(events.last(), Some(StreamEvent::Finished(FinishReason::Stop | FinishReason::Length))));
        assert!(events.iter().any(|event| matches!(event, StreamEvent::Text(_))), "{protocol:?}");
        let usage = events.iter().find_map(|event| match event {
            StreamEvent::Usage(usage) => Some(usage.clone()),
            _ => None,
        });
        let usage = usage.expect("the server counts tokens");
        assert!(usage.reported && usage.input_tokens > 10 && usage.output_tokens > 0, "{protocol:?} {usage:?}");
    }
    let probe = client(&server, Protocol::OpenaiChat).probe().await.expect("a probe");
    assert_eq!(probe.has_model, Some(true), "{:?}", probe.models);
}

#[tokio::test]
async fn nonsense_of_the_right_shape_is_shown_as_unsupported() {
    let server = llama(16_384).await;
    let client = client(&server, Protocol::OpenaiChat);
    let gate = Gate::new(Policy::builtin());
    let (telemetry, inventory) = (TelemetryWords::default(), Inventory::default());
    let situation = in_prod(&telemetry, &inventory);
    let mut shaped = 0;
    for seed in 1..=3 {
        let mut notes = Notes::default();
        let mut partials = 0;
        let count = |step| partials += usize::from(matches!(step, Progress::Writing { .. }));
        let diagnosed = diagnose(&client, &analysis(), seed, &mut notes, count, &CancellationToken::new())
            .await
            .expect("an answer");
        assert_eq!(notes.sent, notes.outcomes.len(), "each intent has its outcome");
        assert!(partials > 0, "it can be watched");
        for outcome in notes.outcomes.iter().filter(|outcome| outcome.finish == Some(FinishReason::Stop)) {
            let answer = serde_json::from_str(&outcome.text).expect("JSON");
            assert_eq!(schema::diagnosis().problems(&answer), Vec::<String>::new(), "the server enforces the shape");
            shaped += 1;
        }
        let diagnosis = &diagnosed.diagnosis;
        let refuted = |path: &str| diagnosed.unsupported.iter().any(|claim| claim.path == path);
        let claims = diagnosis.hypotheses.iter().enumerate().flat_map(|(i, hypothesis)| {
            let supporting = hypothesis.supporting.iter().enumerate();
            supporting.map(move |(j, claim)| (format!("hypotheses[{i}].supporting[{j}]"), claim))
        });
        let observations =
            diagnosis.observations.iter().enumerate().map(|(i, claim)| (format!("observations[{i}]"), claim));
        for (path, claim) in observations.chain(claims) {
            for id in &claim.evidence {
                assert_eq!(id, "M1", "an invented id is shown");
            }
            assert!(!claim.evidence.is_empty() || refuted(&path), "{path} looks supported and is not");
        }
        for argv in diagnosis.actions.iter().filter_map(|action| action.argv.as_ref()) {
            let judged = gate.judge(argv, &situation);
            assert_ne!(judged.verdict.decision, Decision::Allow, "{argv:?}");
        }
        if !diagnosed.complete {
            assert!(actions::actions("I-1", &diagnosed).is_empty());
        }
    }
    assert!(shaped > 0, "no answer came to its end");
}

#[tokio::test]
async fn what_does_not_fit_is_said_with_its_figures() {
    let server = llama(2_048).await;
    let client = client(&server, Protocol::OpenaiChat);
    let mut stream = client.stream(&ask(&"pool full ".repeat(5_000), 10));
    let error = stream.next().await.expect("an answer").expect_err("an overflow");
    match error.kind {
        LlmErrorKind::ContextOverflow { tokens: Some(tokens), limit: Some(limit), .. } => {
            assert!(tokens > limit, "{tokens} of {limit}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn cancelling_ends_the_request_at_once() {
    let server = llama(16_384).await;
    let client = client(&server, Protocol::OpenaiChat);
    let cancel = CancellationToken::new();
    let mut notes = Notes::default();
    let mut cancelled_at = None;
    let stop = |step| {
        if matches!(step, Progress::Writing { .. }) && cancelled_at.is_none() {
            cancelled_at = Some(Instant::now());
            cancel.cancel();
        }
    };
    let ended = diagnose(&client, &analysis(), 1, &mut notes, stop, &cancel).await;
    assert_eq!(ended, Err(OnlineError::Call(CallError::Cancelled)));
    let took = cancelled_at.expect("the answer had begun").elapsed();
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert!(notes.outcomes[0].cancelled && !notes.outcomes[0].text.is_empty());
}
