//! The Alertmanager source against a real Alertmanager, alone and fed by a real Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use stanch::domain::alert::{Alert, AlertState};
use stanch::domain::health::Status;
use stanch::domain::query::{Answer, Data, Planned, Purpose, Query};
use stanch::domain::settings::{Limits, SourceSettings};
use stanch::domain::{Labels, Timestamp};
use stanch::sources::alertmanager::Alertmanager;
use stanch::sources::prometheus::Prometheus;
use stanch::sources::set::SourceSet;
use stanch::sources::{SourceErrorKind, Telemetry};
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::secrets::Rotating;
use crate::servers;

fn client(url: &str) -> Alertmanager {
    Alertmanager::new("alertmanager", &SourceSettings::new(url), Rotating::new(&[])).unwrap()
}

fn alerts(answer: Answer) -> Vec<Alert> {
    match answer.data {
        Data::Alerts(alerts) => alerts,
        other => panic!("alerts expected, got {other:?}"),
    }
}

async fn post(url: &str, body: String) -> String {
    let client = reqwest::Client::new();
    let response = client.post(url).header("Content-Type", "application/json").body(body).send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    response.text().await.unwrap()
}

/// Asks until `done` is true of the answer.
async fn until(source: &dyn Telemetry, query: &Query, done: impl Fn(&Answer) -> bool) -> Answer {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let asking = async {
        loop {
            tick.tick().await;
            let answer = source.ask(query).await.unwrap();
            if done(&answer) {
                return answer;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), asking).await.expect("the answer to settle")
}

#[tokio::test]
async fn alerts_silences_groups_and_status_are_read() {
    let server = servers::Alertmanager::start().await;
    let client = client(&server.url());
    let link = "http://p:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1";
    let body = serde_json::json!([
        {"labels": {"alertname": "Down", "service": "cart", "severity": "critical"}, "generatorURL": link,
         "annotations": {"summary": "cart is \u{202e}down"}},
        {"labels": {"alertname": "Slow", "service": "cart"}},
    ]);
    post(&format!("{}/api/v2/alerts", server.url()), body.to_string()).await;
    let silence = serde_json::json!({
        "matchers": [{"name": "alertname", "value": "Slow", "isRegex": false, "isEqual": true}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2090-01-01T00:00:00Z", "createdBy": "me", "comment": "known",
    });
    post(&format!("{}/api/v2/silences", server.url()), silence.to_string()).await;

    let settled = |answer: &Answer| matches!(&answer.data, Data::Alerts(all) if all.iter().any(|alert| alert.state == AlertState::Suppressed));
    let mut found = alerts(until(&client, &Query::Alerts, settled).await);
    found.sort_by_key(|alert| alert.name().to_owned());
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].expression.as_deref(), Some("up == 0"));
    assert_eq!(found[0].annotations.get("summary"), Some("cart is ‹U+202E›down"));
    assert_eq!(found[0].receivers, ["nobody"]);
    assert!(found[0].ends_at.unwrap() > found[0].starts_at);
    assert_eq!((found[1].state, found[1].suppressed_by.len()), (AlertState::Suppressed, 1));

    let silences = client.ask(&Query::Silences).await.unwrap();
    let Data::Silences(silences) = silences.data else { panic!("silences expected") };
    assert_eq!(silences[0].matchers, ["alertname=\"Slow\""]);
    assert_eq!((silences[0].state.as_str(), &*silences[0].created_by), ("active", "me"));
    assert_eq!(found[1].suppressed_by, [silences[0].id.clone()]);

    let groups = client.ask(&Query::AlertGroups).await.unwrap();
    let Data::AlertGroups(groups) = groups.data else { panic!("groups expected") };
    assert!(groups.iter().any(|group| group.fingerprints == [found[0].fingerprint.clone()]));
    let status = client.ask(&Query::AlertmanagerStatus).await.unwrap();
    let Data::Facts(facts) = status.data else { panic!("facts expected") };
    assert!(facts["version"].starts_with(|c: char| c.is_ascii_digit()));
}

#[tokio::test]
async fn both_sources_know_an_alert_by_the_same_fingerprint() {
    let alertmanager = servers::Alertmanager::start().await;
    let rules =
        "groups: [{name: g, rules: [{alert: Firing, expr: 'vector(1) > 0', labels: {severity: page, team: ä}}]}]";
    let prometheus = servers::Prometheus::start(Some(rules), None, Some(&alertmanager)).await;
    let here = client(&alertmanager.url());
    let there = Prometheus::new("prometheus", &SourceSettings::new(&prometheus.url()), Rotating::new(&[])).unwrap();
    let from_manager = alerts(until(&here, &Query::Alerts, |answer| !answer.is_empty()).await).remove(0);
    let from_prometheus = alerts(until(&there, &Query::Alerts, |answer| !answer.is_empty()).await).remove(0);
    assert_eq!(from_manager.fingerprint, from_prometheus.fingerprint);
    assert_eq!(from_manager.labels, from_prometheus.labels);
    assert_eq!(from_manager.expression, from_prometheus.expression);

    let clock: stanch::sources::set::Clock = Arc::new(|| Timestamp::from_secs(0));
    let set = SourceSet::new(vec![Arc::new(there), Arc::new(here)], clock);
    set.probe().await;
    let health = set.health();
    assert!(health.iter().all(|health| health.status == Status::Ok && health.version.is_some()), "{health:?}");
    let planned = Planned { query: Query::Alerts, purpose: Purpose::Question };
    assert_eq!(set.ask(&planned).await.0.source, "alertmanager");
}

#[tokio::test]
async fn errors_of_both_shapes_are_read() {
    for (status, body, kind) in [
        (422, r#"{"code":602,"message":"wrong filter"}"#, SourceErrorKind::BadQuestion),
        (500, r#""wrong filter""#, SourceErrorKind::Server),
        (410, r#"{"status":"deprecated","error":"wrong filter"}"#, SourceErrorKind::Unsupported),
    ] {
        let server = MockServer::start().await;
        let response = ResponseTemplate::new(status).set_body_raw(body.as_bytes().to_vec(), "application/json");
        Mock::given(any()).respond_with(response).mount(&server).await;
        let error = client(&server.uri()).ask(&Query::Alerts).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.what.contains("wrong filter"), "{error}");
    }
}

#[tokio::test]
async fn fifty_thousand_alerts_are_read() {
    let mut body = String::from("[");
    for number in 0..50_000 {
        let comma = if number > 0 { "," } else { "" };
        let _ = write!(
            body,
            r#"{comma}{{"labels":{{"alertname":"A","instance":"host-{number}","job":"node","severity":"warning"}},"annotations":{{"summary":"{:0400}"}},"startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-02T00:00:00Z","fingerprint":"{number:016x}","generatorURL":"http://p/graph?g0.expr=up","receivers":[{{"name":"r"}}],"status":{{"state":"active","silencedBy":[],"inhibitedBy":[]}}}}"#,
            0
        );
    }
    body.push(']');
    let server = MockServer::start().await;
    let response = ResponseTemplate::new(200).set_body_raw(body.into_bytes(), "application/json");
    Mock::given(path("/prefix/api/v2/alerts")).respond_with(response).mount(&server).await;
    let limits = Limits { alerts: 49_999, ..Limits::default() };
    let timeout = Duration::from_mins(1);
    let settings = SourceSettings { limits, timeout, ..SourceSettings::new(&format!("{}/prefix", server.uri())) };
    let client = Alertmanager::new("alertmanager", &settings, Rotating::new(&[])).unwrap();
    let answer = client.ask(&Query::Alerts).await.unwrap();
    assert!(answer.is_cut());
    let found = alerts(answer);
    assert_eq!(found.len(), 49_999);
    let last: Labels = found[49_998].labels.clone();
    assert_eq!(last.get("instance"), Some("host-49998"));
}
