//! All protocols against a server that somebody else wrote from the vendors' documentation: npm's `@copilotkit/aimock`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use stanch::domain::settings::{EndpointSettings, Protocol, SecretRef, Secrets};
use stanch::llm::{ChatRequest, Endpoint, FinishReason, HealthState, LlmErrorKind, Message, Role, StreamEvent, Watch};
use tempfile::TempDir;

use crate::servers::Server;

/// A program of the test script's: `variable`, else `usual` below `target/`.
fn installed(variable: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os(variable)
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target").join(usual), PathBuf::from);
    assert!(path.exists(), "there is no {}: run the test script, which installs it, or set {variable}", path.display());
    path
}

async fn aimock() -> Server {
    let program = installed("STANCH_TEST_AIMOCK", "aimock/node_modules/@copilotkit/aimock/dist/cli.js");
    let fixtures = format!("{}/tests/suite/llm/aimock.json", env!("CARGO_MANIFEST_DIR"));
    let node = std::env::var_os("STANCH_TEST_NODE").unwrap_or_else(|| "node".into());
    Server::start(TempDir::new().expect("a temporary folder"), "/health", "200", |_, port| {
        let mut command = Command::new(&node);
        command.arg(&program).args(["--port", &port.to_string(), "--fixtures", &fixtures, "--log-level", "silent"]);
        (command, "nodejs")
    })
    .await
}

const PROTOCOLS: [(Protocol, &str); 5] = [
    (Protocol::OpenaiChat, "/v1"),
    (Protocol::OpenaiResponses, "/v1"),
    (Protocol::Anthropic, "/v1"),
    (Protocol::Gemini, "/v1beta"),
    (Protocol::Ollama, ""),
];

struct Plain;

impl Secrets for Plain {
    fn fetch<'a>(
        &'a self,
        _: &'a SecretRef,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(async { Ok("key".into()) })
    }
}

fn endpoint(server: &Server, (protocol, base): (Protocol, &str)) -> Endpoint {
    let settings = EndpointSettings {
        url: Some(format!("{}{base}", server.url())),
        key: Some(SecretRef::Env("KEY".into())),
        ..EndpointSettings::new("mock", protocol, "gpt-4o")
    };
    Endpoint::new(&settings, Arc::new(Plain))
}

/// Asks, tells the end point what became of it, and gives the text and how it ended.
async fn ask(endpoint: &Endpoint, question: &'static str) -> (String, Result<FinishReason, LlmErrorKind>) {
    let request = ChatRequest {
        system: "You are terse.".into(),
        messages: vec![Message { role: Role::User, parts: vec![question.into()] }],
        schema: None,
        max_tokens: 100,
        temperature: None,
        seed: None,
    };
    let mut watch = Watch::new(Instant::now(), None);
    let mut stream = endpoint.client().expect("settings that work").stream(&request);
    let (mut text, mut end) = (String::new(), None);
    while let Some(event) = stream.next().await {
        watch.event(Instant::now(), &event);
        match event {
            Ok(StreamEvent::Text(piece)) => text.push_str(&piece),
            Ok(StreamEvent::Finished(reason)) => end = Some(Ok(reason)),
            Ok(_) => {}
            Err(error) => end = Some(Err(error.kind)),
        }
    }
    endpoint.observe(Instant::now(), &watch.observation());
    (text, end.expect("a stream ends with a reason or an error"))
}

#[tokio::test]
async fn answers_come_whole_in_every_protocol() {
    let server = aimock().await;
    for protocol in PROTOCOLS {
        let endpoint = endpoint(&server, protocol);
        let (text, end) = ask(&endpoint, "why").await;
        assert_eq!((text.as_str(), end), ("{\"cause\":\"the pool is full\"}", Ok(FinishReason::Stop)), "{protocol:?}");
        let (text, end) = ask(&endpoint, "think").await;
        assert_eq!((text.as_str(), end), ("the pool is full: фин 🦀", Ok(FinishReason::Stop)), "{protocol:?}");
        assert_eq!(endpoint.health(Instant::now()).state, HealthState::Fine);
    }
}

#[tokio::test]
async fn faults_have_their_states_in_every_protocol() {
    let server = aimock().await;
    for protocol in PROTOCOLS {
        let state = |endpoint: &Endpoint| endpoint.health(Instant::now()).state;
        let fresh = || endpoint(&server, protocol);

        let one = fresh();
        let (text, end) = ask(&one, "cut").await;
        assert!("This answer is cut in the middle of what it has to say.".starts_with(&text), "{text}");
        assert!(matches!(end, Err(LlmErrorKind::Incomplete { received, .. }) if received == text.len()), "{end:?}");
        assert_eq!(state(&one), HealthState::Failing, "{protocol:?}");

        let one = fresh();
        let (_, end) = ask(&one, "throttle").await;
        assert!(matches!(end, Err(LlmErrorKind::RateLimited { .. })), "{protocol:?} {end:?}");
        assert_eq!(state(&one), HealthState::RateLimited);

        let one = fresh();
        let (_, end) = ask(&one, "overload").await;
        assert!(matches!(end, Err(LlmErrorKind::Server { status: 529, .. })), "{protocol:?} {end:?}");
        assert_eq!(state(&one), HealthState::Saturated);

        let one = fresh();
        let (_, end) = ask(&one, "refuse").await;
        assert!(matches!(end, Err(LlmErrorKind::Unauthorized { status: 401, .. })), "{protocol:?} {end:?}");
        assert_eq!(state(&one), HealthState::KeyRefused);

        let (text, end) = ask(&fresh(), "garble").await;
        assert!(matches!(end, Err(LlmErrorKind::NotUnderstood { .. })), "{protocol:?} {text} {end:?}");

        let one = fresh();
        let (_, end) = ask(&one, "hang up").await;
        assert!(matches!(end, Err(LlmErrorKind::Unreachable { .. })), "{protocol:?} {end:?}");
        assert_eq!(state(&one), HealthState::NotResponding);
    }
}
