use crate::config::Config;
use std::sync::Mutex;

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::app::engine::Origin;
use crate::domain::Timestamp;
use crate::domain::ledger::EntryKind;
use crate::domain::settings::{EndpointSettings, Price, Protocol};
use crate::ledger::Filter;
use crate::sources::demo;

/// The demo with end points, and its ledger in a folder of its own.
struct Site {
    _folder: tempfile::TempDir,
    engine: Engine,
    investigated: Investigated,
}

async fn site(configure: impl FnOnce(&mut Config)) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.ledger.path = Some(folder.path().join("ledger.db"));
    configure(&mut config);
    let origin = Origin::Demo(demo::bundle(Timestamp::from_secs(1_800_000_000)));
    let engine = Engine::new(config, None, origin, None, None).unwrap();
    let incident = engine.situation().await.unwrap().incidents.remove(0);
    let investigated = engine.investigate(incident, None, &CancellationToken::new(), |_| {}).await.unwrap().unwrap();
    Site { _folder: folder, engine, investigated }
}

fn endpoint(name: &str, server: &MockServer) -> EndpointSettings {
    EndpointSettings { url: Some(server.uri()), ..EndpointSettings::new(name, Protocol::OpenaiChat, "tiny") }
}

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2000,\"completion_tokens\":100}}\n\n\
                    data: [DONE]\n\n";

fn streamed(text: &str, end: &str) -> ResponseTemplate {
    let frame = format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    ResponseTemplate::new(200).set_body_raw(format!("{frame}{end}"), "text/event-stream")
}

const VALID: &str = r#"{"observations":[],"hypotheses":[],"actions":[],"missing":["more"],"summary":"nothing sure"}"#;

impl Site {
    async fn diagnose(&self, wanted: Wanted<'_>) -> Result<Concluded, Failure> {
        online(&self.engine, &self.investigated, wanted, &CancellationToken::new(), |_| {}).await
    }

    async fn outcomes(&self) -> Vec<Value> {
        let ledger = self.engine.ledger().await.unwrap();
        let filter = Filter { kinds: vec![EntryKind::LlmOutcome], ..Filter::default() };
        ledger.entries(filter).await.unwrap().into_iter().map(|entry| entry.draft.payload).collect()
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_kept_and_the_next_end_point_begins_from_zero() {
    let dying = server(streamed("{\"observations\":[{\"text\":\"the po", "")).await;
    let good = server(streamed(VALID, STOP)).await;
    let site = site(|config| config.llm.endpoint = vec![endpoint("a", &dying), endpoint("b", &good)]).await;
    let drafts = Mutex::new(Vec::new());
    let draft = |draft: Draft| drafts.lock().unwrap().push(draft);
    let cancel = CancellationToken::new();
    let concluded = online(&site.engine, &site.investigated, Wanted::default(), &cancel, draft).await.unwrap();
    let diagnosed = concluded.diagnosed;
    assert!(diagnosed.complete);
    assert_eq!(diagnosed.analyst.endpoint.as_deref(), Some("b"));
    assert_eq!(diagnosed.earlier.len(), 1);
    assert_eq!(&*diagnosed.earlier[0].text, "{\"observations\":[{\"text\":\"the po");
    assert!(diagnosed.earlier[0].why.contains("broke off"));
    let drafts = drafts.into_inner().unwrap();
    let first_of_b = drafts.iter().find(|draft| draft.by.ends_with("via b")).unwrap();
    assert_eq!(first_of_b.partial, crate::domain::diagnosis::Diagnosis::default(), "from zero");
    assert_eq!(first_of_b.earlier.len(), 1, "what came stays readable");
    assert_eq!(site.outcomes().await.len(), 2);
}

#[tokio::test]
async fn when_none_gives_a_whole_answer_the_longest_is_shown_without_actions() {
    let short = server(streamed("{\"observations\":[", "")).await;
    let long = server(streamed("{\"observations\":[],\"hypotheses\":[],\"actions\":[{\"argv\":[\"ls\"]}]", "")).await;
    let site = site(|config| config.llm.endpoint = vec![endpoint("long", &long), endpoint("short", &short)]).await;
    let concluded = site.diagnose(Wanted::default()).await.unwrap();
    assert!(!concluded.diagnosed.complete && concluded.actions.is_empty());
    assert_eq!(concluded.diagnosed.analyst.endpoint.as_deref(), Some("long"));
    assert_eq!(concluded.diagnosed.earlier.len(), 1);
}

#[tokio::test]
async fn what_an_end_point_may_see_is_kept_also_when_another_fails() {
    let down = server(ResponseTemplate::new(500)).await;
    let blind = server(streamed(VALID, STOP)).await;
    let outside = server(streamed(VALID, STOP)).await;
    let site = site(|config| {
        config.llm.endpoint = vec![
            endpoint("down", &down),
            EndpointSettings { sees: Some(Sees::Nothing), ..endpoint("blind", &blind) },
            EndpointSettings { sees: Some(Sees::Redacted), ..endpoint("outside", &outside) },
        ];
    })
    .await;
    let diagnosed = site.diagnose(Wanted::default()).await.unwrap().diagnosed;
    assert_eq!((diagnosed.analyst.endpoint.as_deref(), diagnosed.sees), (Some("outside"), Some(Sees::Redacted)));
    assert!(blind.received_requests().await.unwrap().is_empty());
    assert!(diagnosed.remarks.iter().any(|remark| remark.contains("blind: it may see nothing")));
    assert!(diagnosed.remarks.iter().any(|remark| remark.starts_with("down: ")));
}

#[tokio::test]
async fn the_environment_bounds_what_any_end_point_may_see() {
    let local = server(streamed(VALID, STOP)).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.ledger.path = Some(folder.path().join("ledger.db"));
    let open = EndpointSettings { sees: Some(Sees::Production), ..endpoint("open", &local) };
    let blind = EndpointSettings { sees: Some(Sees::Nothing), ..endpoint("blind", &local) };
    config.llm.endpoint = vec![endpoint("usual", &local), open, blind];
    let profile = crate::config::Profile { sees: Some(Sees::Redacted), ..Default::default() };
    let engine = Engine::new(config, Some(("p".into(), profile)), Origin::Live, None, None).unwrap();
    let seen: Vec<Sees> = engine.pool.endpoints().iter().map(|endpoint| endpoint.client().unwrap().sees()).collect();
    assert_eq!(seen, [Sees::Redacted, Sees::Redacted, Sees::Nothing]);
}

#[tokio::test]
async fn the_budget_of_the_day_is_kept_across_sessions() {
    let priced = server(streamed(VALID, STOP)).await;
    let price = Some(Price { input: 1_000.0, cached: None, output: 1_000.0 });
    let expensive = EndpointSettings { price, ..endpoint("a", &priced) };
    let configure = |config: &mut Config| {
        config.llm.endpoint = vec![expensive.clone()];
        config.llm.cost_per_day = Some(100.0);
    };
    let site = site(configure).await;
    let bill = site.diagnose(Wanted::default()).await.unwrap().diagnosed.bill.unwrap();
    assert_eq!((bill.cost, bill.today, bill.tokens_today), (Some(2.1), Some(2.1), 2_100));
    // Another session on the same ledger knows what this one spent.
    let mut config = site.engine.config.clone();
    config.llm.cost_per_day = Some(2.5);
    let origin = Origin::Demo(demo::bundle(Timestamp::from_secs(1_800_000_000)));
    let engine = Engine::new(config, None, origin, None, None).unwrap();
    let cancel = CancellationToken::new();
    let refused = online(&engine, &site.investigated, Wanted::default(), &cancel, |_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("of today's 2.50 $"), "{refused}");
    assert_eq!(priced.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_leaves_but_what_was_looked_at() {
    let good = server(streamed(VALID, STOP)).await;
    let site = site(|config| config.llm.endpoint = vec![endpoint("a", &good)]).await;
    let refused = site.diagnose(Wanted { shown: Some("00"), ..Wanted::default() }).await.unwrap_err();
    assert!(refused.to_string().contains("other evidence than what was looked at"), "{refused}");
    assert!(good.received_requests().await.unwrap().is_empty());
    let shown = preview(&site.engine, &site.investigated, &[], None).await.unwrap();
    assert_eq!(shown.endpoint.as_ref().unwrap().name, "a");
    let digest = pack_digest(&shown.pack);
    assert!(site.diagnose(Wanted { shown: Some(&digest), ..Wanted::default() }).await.unwrap().diagnosed.complete);
    let sent: Value = serde_json::from_slice(&good.received_requests().await.unwrap()[0].body).unwrap();
    assert_eq!(sent["messages"][1]["content"][0]["text"], shown.pack.text);
}

#[tokio::test]
async fn an_only_end_point_that_says_when_is_asked_again_once() {
    let busy = MockServer::start().await;
    let late = ResponseTemplate::new(429).insert_header("retry-after", "0").set_body_json(json!({"error": "busy"}));
    Mock::given(method("POST")).respond_with(late).up_to_n_times(1).mount(&busy).await;
    Mock::given(method("POST")).respond_with(streamed(VALID, STOP)).mount(&busy).await;
    let site = site(|config| config.llm.endpoint = vec![endpoint("a", &busy)]).await;
    assert!(site.diagnose(Wanted::default()).await.unwrap().diagnosed.complete);
    assert_eq!(busy.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_from_elsewhere_is_held_to_the_same() {
    let site = site(|_| {}).await;
    let shown = preview(&site.engine, &site.investigated, &[], None).await.unwrap();
    assert!(shown.endpoint.is_none());
    let wrapped = "Sure! Here it is:\n```json\n{\"observations\":[{\"text\":\"it rose to 99123\",\"evidence\":[\"M1\",\
                   \"M99\"]}],\"hypotheses\":[],\"actions\":[],\"missing\":[],\"summary\":\"\"}\n```\nGood luck";
    let concluded = pasted(&site.engine, &site.investigated, &[], &shown.pack, wrapped).await.unwrap();
    let diagnosed = concluded.diagnosed;
    assert!(diagnosed.complete);
    assert_eq!((diagnosed.unsupported.len(), diagnosed.unknown_ids.len()), (1, 1));
    let concluded = pasted(&site.engine, &site.investigated, &[], &shown.pack, "no idea").await.unwrap();
    assert!(!concluded.diagnosed.complete);
    assert_eq!(concluded.diagnosed.plain.as_deref(), Some("no idea"));
    let ledger = site.engine.ledger().await.unwrap();
    let filter = Filter { kinds: vec![EntryKind::Diagnosis], ..Filter::default() };
    assert_eq!(ledger.entries(filter).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_end_point_that_may_see_nothing_is_said_to_get_nothing() {
    let server = MockServer::start().await;
    let blind = || EndpointSettings { sees: Some(Sees::Nothing), ..endpoint("blind", &server) };
    let site_of = async |endpoints: Vec<EndpointSettings>| site(|config| config.llm.endpoint = endpoints).await;
    let both = site_of(vec![blind(), endpoint("open", &server)]).await;
    let shown = preview(&both.engine, &both.investigated, &[], None).await.unwrap();
    assert_eq!(shown.endpoint.map(|receiver| receiver.name), Some("open".to_owned()));
    assert!(shown.notes[0].contains("nothing is sent to blind"), "{:?}", shown.notes);
    let none = site_of(vec![blind()]).await;
    let shown = preview(&none.engine, &none.investigated, &[], None).await.unwrap();
    assert!(shown.endpoint.is_none() && shown.notes[1].contains("no configured end point"), "{:?}", shown.notes);
    let failure = none.diagnose(Wanted::default()).await.unwrap_err();
    assert!(failure.parts()[0].starts_with("blind: it may see nothing"), "{failure}");
}

/// The last guard: whatever was decided before, such a text does not leave.
#[tokio::test]
async fn what_shows_too_much_is_refused_by_the_client_itself() {
    use futures_util::StreamExt as _;
    let server = server(streamed(VALID, STOP)).await;
    let site = site(|config| {
        config.llm.endpoint = vec![
            EndpointSettings { sees: Some(Sees::Nothing), ..endpoint("nothing", &server) },
            EndpointSettings { sees: Some(Sees::Redacted), ..endpoint("redacted", &server) },
            endpoint("all", &server),
        ];
    })
    .await;
    let [nothing, redacted, all] = site.engine.pool.endpoints() else { panic!("three") };
    let analysis = Arc::new(site.investigated.analysis.clone());
    let library = Library::builtin();
    let package = async |sees| packed(&site.engine, &analysis, 1_000, sees, 1_000, &library).await.unwrap().request;
    for (endpoint, shows) in [(nothing, Sees::Redacted), (nothing, Sees::Production), (redacted, Sees::Production)] {
        let request = package(shows).await;
        let client = endpoint.client().unwrap();
        // Also when it was prepared for somebody who may see it.
        for prepared in [client.prepare(&request), all.client().unwrap().prepare(&request)] {
            let mut stream = client.send(prepared);
            let error = stream.next().await.unwrap().unwrap_err();
            assert!(matches!(error.kind, crate::llm::LlmErrorKind::NotAllowed { .. }), "{error}");
            assert!(stream.next().await.is_none());
        }
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_call_given_up_counts_into_the_day() {
    let hanging = server(streamed(VALID, STOP).set_delay(std::time::Duration::from_hours(1))).await;
    let price = Price { input: 1_000.0, ..Price::default() };
    let site = site(|config| {
        config.llm.endpoint = vec![EndpointSettings { price: Some(price), ..endpoint("slow", &hanging) }];
    })
    .await;
    let ledger = site.engine.ledger().await.unwrap();
    let before = spending::refresh(&site.engine, &*ledger).await.unwrap();
    assert_eq!((before.tokens_today, before.today), (0, None));
    let mut work = Box::pin(site.diagnose(Wanted::default()));
    while hanging.received_requests().await.unwrap().is_empty() {
        tokio::select! {
            _ = &mut work => panic!("nothing answers"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(work);
    // The outcome is written by a task of its own.
    let outcome = loop {
        match site.outcomes().await.pop() {
            Some(outcome) => break outcome,
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!((&outcome["cancelled"], &outcome["answered"]), (&json!(true), &json!(true)));
    let sent = outcome["sent_tokens"].as_u64().unwrap();
    let after = spending::refresh(&site.engine, &*ledger).await.unwrap();
    assert!(sent > 300 && after.tokens_today == sent, "{sent} {after:?}");
    assert!((after.today.unwrap() - sent as f64 / 1e3).abs() < 1e-9, "{after:?}");
    let health = &site.engine.endpoint_health()[0];
    assert_eq!((health.cancelled, health.failed, health.answered), (1, 0, 0));
}
