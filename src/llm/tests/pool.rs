//! What the pool makes of end points that answer, fail and come back.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{CHAT, Plain, client, settings};
use crate::domain::diagnosis::Usage;
use crate::domain::settings::{EndpointSettings, Secrets};
use crate::llm::{Admission, Endpoint, FinishReason, HealthState, LlmErrorKind, Observation, Outcome, Pool};

fn endpoint(url: &str) -> Endpoint {
    Endpoint::with_client(settings(url), Ok(client(settings(url))))
}

#[tokio::test]
async fn a_canary_brings_an_end_point_back() {
    let server = MockServer::start().await;
    let answer = CHAT.whole(&["ready"]);
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(500).set_body_json(json!({"error": "no memory"})))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(answer, CHAT.content_type))
        .mount(&server)
        .await;
    let endpoint = endpoint(&server.uri());
    let now = Instant::now();
    assert_eq!((endpoint.admit(now), endpoint.health(now).state), (Admission::Ready, HealthState::NotAsked));
    for _ in 0..2 {
        assert!(matches!(endpoint.canary().await.unwrap_err().kind, LlmErrorKind::Server { status: 500, .. }));
    }
    assert_eq!(endpoint.health(Instant::now()).state, HealthState::Failing);
    let Admission::Resting { until, why } = endpoint.admit(Instant::now()) else { panic!("it rests") };
    assert!(why.contains("no memory"), "{why}");
    assert_eq!(endpoint.admit(until), Admission::Canary);
    assert!(matches!(endpoint.admit(until), Admission::Resting { .. }), "one at a time");
    assert!(endpoint.canary().await.unwrap().first_token.is_some());
    assert_eq!(endpoint.admit(Instant::now()), Admission::Ready);
    assert_eq!(endpoint.health(Instant::now()).state, HealthState::Fine);
    let sent = server.received_requests().await.unwrap();
    assert_eq!(sent[2].body, endpoint.canary_request().unwrap().body, "what is shown is what leaves");
}

#[tokio::test]
async fn a_canary_that_is_dropped_makes_room() {
    let server = MockServer::start().await;
    let endpoint = endpoint(&server.uri());
    let refused = Outcome::Failed(LlmErrorKind::Incomplete { received: 0, what: "".into() });
    let now = Instant::now();
    (0..2).for_each(|_| endpoint.observe(now, &Observation::new(refused.clone())));
    let Admission::Resting { until, .. } = endpoint.admit(now) else { panic!("it rests") };
    assert_eq!(endpoint.admit(until), Admission::Canary);
    drop(endpoint.canary());
    let mut canary = Box::pin(endpoint.canary());
    assert!(futures_util::poll!(canary.as_mut()).is_pending());
    drop(canary);
    assert_eq!(endpoint.admission(until), Admission::Canary);
}

#[tokio::test]
async fn a_canary_that_finds_no_end_is_an_answer() {
    let server = MockServer::start().await;
    let answer = CHAT.whole(&vec!["word "; 1_500]);
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(answer, CHAT.content_type))
        .mount(&server)
        .await;
    let wide = super::Timeouts { bytes: usize::MAX, ..super::LONG };
    let client = super::LlmClient::with_timeouts(settings(&server.uri()), Arc::new(Plain), wide);
    let endpoint = Endpoint::with_client(settings(&server.uri()), client);
    assert!(endpoint.canary().await.is_ok());
    assert_eq!(endpoint.health(Instant::now()).state, HealthState::Fine);
}

#[tokio::test]
async fn settings_that_cannot_work_stay_in_their_place() {
    let secrets: Arc<dyn Secrets> = Arc::new(Plain);
    let broken = EndpointSettings { name: "broken".into(), url: Some("nowhere".into()), ..settings("http://x") };
    let pool = Pool::new(&[broken, settings("http://127.0.0.1:1")], &secrets);
    let [first, second] = pool.endpoints() else { panic!("both are there") };
    assert!(first.client().is_err() && second.client().is_ok());
    let health = first.health(Instant::now());
    assert_eq!(health.state, HealthState::Misconfigured);
    assert!(health.what.contains("nowhere"), "{}", health.what);
    assert!(first.canary().await.is_err() && first.load().await.is_err());
    assert_eq!(pool.get("primary").map(|endpoint| &endpoint.settings().name), Some(&"primary".to_owned()));
}

#[tokio::test]
async fn usage_calibrates_and_load_says_saturated() {
    let server = MockServer::start().await;
    let page = "llamacpp:requests_processing 2\nllamacpp:requests_deferred 4\n";
    Mock::given(method("GET"))
        .and(path("/metrics"))
        .respond_with(ResponseTemplate::new(200).set_body_string(page))
        .mount(&server)
        .await;
    let endpoint = endpoint(&server.uri());
    let usage = Usage { input_tokens: 1_300, output_tokens: 5, cached_tokens: 0, reported: true };
    let answered =
        Observation { usage, counted_tokens: Some(1_000), ..Observation::new(Outcome::Finished(FinishReason::Stop)) };
    assert_eq!(endpoint.calibration().estimate(100), (150, false));
    endpoint.observe(Instant::now(), &answered);
    assert_eq!(endpoint.calibration().estimate(100), (130, true));
    assert_eq!(endpoint.load().await.unwrap().map(|load| load.waiting), Some(4));
    assert_eq!(endpoint.health(Instant::now()).state, HealthState::Saturated);
    server.reset().await;
    assert_eq!(endpoint.load().await.unwrap(), None, "no such page");
    assert_eq!(endpoint.health(Instant::now()).state, HealthState::Fine);
}
