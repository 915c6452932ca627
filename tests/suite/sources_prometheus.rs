//! The Prometheus source against a real Prometheus.

use std::fmt::Write as _;
use std::time::Duration;

use stanch::domain::alert::AlertState;
use stanch::domain::metric::{MetricKind, Series};
use stanch::domain::query::{Answer, Data, Lang, NoteKind, Query};
use stanch::domain::settings::{ClientCertificate, Limits, SourceSettings};
use stanch::domain::{TimeRange, Timestamp};
use stanch::sources::prometheus::Prometheus;
use stanch::sources::{SourceError, SourceErrorKind, Telemetry};

use crate::secrets::Rotating;
use crate::servers;

const RULES: &str = r"
groups:
- name: shop
  rules:
  - record: job:old:sum
    expr: sum by (job) (old_requests_total)
  - alert: AlwaysFiring
    expr: vector(1) > 0
    labels: {severity: critical}
    annotations: {summary: it fires}
";

const START: i64 = 1_500_000_000;

/// One counter that grows by two a second for `minutes`, a sample every 15 s, and a gauge with odd values.
fn history(minutes: i64) -> String {
    let mut text = String::from("# HELP old_requests Requests.\n# TYPE old_requests counter\n");
    for at in (0..=minutes * 60).step_by(15) {
        let _ = writeln!(text, "old_requests_total{{job=\"shop\"}} {} {}", at * 2, START + at);
    }
    let _ =
        write!(text, "# TYPE odd gauge\nodd{{which=\"nan\"}} NaN {START}\nodd{{which=\"inf\"}} +Inf {START}\n# EOF\n");
    text
}

fn client(server: &servers::Prometheus, limits: Limits) -> Prometheus {
    let settings = SourceSettings { limits, ..SourceSettings::new(&format!("{}/", server.url())) };
    Prometheus::new("prometheus", &settings, Rotating::new(&[])).unwrap()
}

fn at(offset: i64) -> Timestamp {
    Timestamp::from_secs(START + offset)
}

fn series(answer: &Answer) -> &[Series] {
    match &answer.data {
        Data::Series(series) => series,
        other => panic!("series expected, got {other:?}"),
    }
}

async fn instant(client: &Prometheus, expr: &str) -> Result<Answer, SourceError> {
    client.ask(&Query::Instant { lang: Lang::PromQl, expr: expr.into(), at: at(60) }).await
}

#[tokio::test]
async fn questions_about_samples_are_answered() {
    let server = servers::Prometheus::start(None, Some(&history(10)), None).await;
    let client = client(&server, Limits::default());

    let rate = instant(&client, "rate(old_requests_total[1m])").await.unwrap();
    assert_eq!(series(&rate)[0].samples[0].value.to_string(), "2");
    let raw = instant(&client, "old_requests_total[1m]").await.unwrap();
    assert_eq!(series(&raw)[0].labels.to_string(), "old_requests_total{job=\"shop\"}");
    assert!(series(&raw)[0].samples.len() >= 4);
    let scalar = instant(&client, "scalar(vector(42))").await.unwrap();
    assert!(matches!(scalar.data, Data::Scalar(sample) if sample.value.to_string() == "42" && sample.at == at(60)));
    let word = instant(&client, "\"hello\"").await.unwrap();
    assert!(matches!(&word.data, Data::Word(word) if word == "hello"));
    let odd = instant(&client, "odd").await.unwrap();
    let values: Vec<f64> = series(&odd).iter().map(|series| series.samples[0].value).collect();
    assert!(values[0].is_infinite() && values[1].is_nan(), "{values:?}");

    let wrong = instant(&client, "rate(old_requests_total").await.unwrap_err();
    assert_eq!(wrong.kind, SourceErrorKind::BadQuestion);
    assert!(wrong.to_string().contains("parse error"), "{wrong}");
    let clash = instant(&client, "odd + on() odd").await.unwrap_err();
    assert_eq!(clash.kind, SourceErrorKind::BadQuestion);
}

#[tokio::test]
async fn a_long_range_is_asked_in_pieces_without_a_seam() {
    let server = servers::Prometheus::start(None, Some(&history(60)), None).await;
    let query = |millis| Query::Range {
        lang: Lang::PromQl,
        expr: "old_requests_total".into(),
        range: TimeRange::new(at(0), at(3_600)),
        step: Duration::from_millis(millis),
    };
    let whole = client(&server, Limits::default()).ask(&query(250)).await.unwrap();
    let samples = &series(&whole)[0].samples;
    assert_eq!(samples.len(), 14_401);
    assert!(samples.windows(2).all(|pair| pair[1].at.since(pair[0].at) == Duration::from_millis(250)));
    assert_eq!(whole.notes.len(), 1);
    assert!(whole.notes[0].text.contains("2 pieces"));

    let few = Limits { samples: 5_000, ..Limits::default() };
    let cut = client(&server, few).ask(&query(1_000)).await.unwrap();
    assert!(!cut.is_cut(), "3601 samples fit");
    let refused = client(&server, few).ask(&query(250)).await.unwrap_err();
    assert!(refused.to_string().contains("14401 instants"), "{refused}");
}

#[tokio::test]
async fn what_exists_is_listed() {
    let server = servers::Prometheus::start(Some(RULES), Some(&history(10)), None).await;
    let client = client(&server, Limits::default());
    let range = TimeRange::new(at(0), at(600));
    let lang = Lang::PromQl;

    let names = client.ask(&Query::LabelNames { lang, matchers: vec!["{job=\"shop\"}".into()], range }).await.unwrap();
    assert_eq!(names.data, Data::Names(vec!["__name__".into(), "job".into()]));
    let values =
        client.ask(&Query::LabelValues { lang, label: "which".into(), matchers: vec![], range }).await.unwrap();
    assert_eq!(values.data, Data::Names(vec!["inf".into(), "nan".into()]));
    let sets = client.ask(&Query::Series { lang, matchers: vec!["odd".into()], range }).await.unwrap();
    assert!(matches!(&sets.data, Data::LabelSets(sets) if sets.len() == 2 && sets[0].metric() == Some("odd")));

    let info = client.ask(&Query::BuildInfo).await.unwrap();
    assert!(matches!(&info.data, Data::Facts(facts) if facts["version"].starts_with(|c: char| c.is_ascii_digit())));

    let rules = client.ask(&Query::Rules).await.unwrap();
    let Data::Rules(rules) = rules.data else { panic!("rules expected") };
    assert_eq!(rules.iter().map(|rule| rule.alerting).collect::<Vec<_>>(), [false, true]);
    assert_eq!(rules[1].expression, "vector(1) > 0");

    // Scrapes and rules need a moment: ask until they are there.
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let settled = async {
        loop {
            tick.tick().await;
            let alerts = client.ask(&Query::Alerts).await.unwrap();
            let metadata = client.ask(&Query::Metadata).await.unwrap();
            let targets = client.ask(&Query::Targets).await.unwrap();
            if !alerts.is_empty() && !metadata.is_empty() && !targets.is_empty() {
                return (alerts, metadata, targets);
            }
        }
    };
    let (alerts, metadata, targets) = tokio::time::timeout(Duration::from_secs(30), settled).await.unwrap();
    let Data::Alerts(alerts) = alerts.data else { panic!("alerts expected") };
    assert_eq!((alerts[0].name(), alerts[0].state), ("AlwaysFiring", AlertState::Active));
    assert_eq!(alerts[0].expression.as_deref(), Some("vector(1) > 0"));
    let Data::Metadata(metadata) = metadata.data else { panic!("metadata expected") };
    assert_eq!(metadata["prometheus_http_requests_total"].kind, MetricKind::Counter);
    let Data::Targets(targets) = targets.data else { panic!("targets expected") };
    assert_eq!(targets[0].labels.get("job"), Some("prometheus"));
}

#[tokio::test]
async fn a_cut_answer_says_so() {
    let server = servers::Prometheus::start(None, Some(&history(10)), None).await;
    let client = client(&server, Limits { series: 1, ..Limits::default() });
    let odd = instant(&client, "odd").await.unwrap();
    assert_eq!(series(&odd).len(), 1);
    assert_eq!(odd.notes[0].kind, NoteKind::Cut);
    let matchers = vec!["odd".to_owned()];
    let range = TimeRange::new(at(0), at(600));
    let sets = client.ask(&Query::Series { lang: Lang::PromQl, matchers, range }).await.unwrap();
    assert!(sets.is_cut() && sets.len() == 1);
}

#[tokio::test]
async fn an_authority_and_a_client_certificate_of_ones_own_are_used() {
    let server = servers::Prometheus::start_with_tls().await;
    let tls = |name: &str| servers::fixture("tls").join(name);
    let plain = SourceSettings::new(&server.url().replace("http:", "https:"));
    let trusting = SourceSettings { ca: Some(tls("ca.pem")), ..plain.clone() };
    let pair = ClientCertificate { cert: tls("client.pem"), key: tls("client.key") };
    let known = SourceSettings { client_certificate: Some(pair), ..trusting.clone() };
    let ask = async |settings: &SourceSettings| {
        Prometheus::new("prometheus", settings, Rotating::new(&[])).unwrap().ask(&Query::BuildInfo).await
    };

    let error = ask(&plain).await.unwrap_err();
    assert!(error.kind == SourceErrorKind::Unreachable && error.what.contains("UnknownIssuer"), "{error}");
    assert!(error.advice.contains("set `ca`"), "{error}");
    let error = ask(&trusting).await.unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Unreachable, "{error}");
    assert!(error.advice.contains("client_certificate"), "{error}");

    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let ready = async {
        loop {
            tick.tick().await;
            match ask(&known).await {
                Err(error) if error.kind == SourceErrorKind::Server => {}
                answer => return answer,
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), ready).await.unwrap();
    assert!(matches!(answer.unwrap().data, Data::Facts(facts) if facts.contains_key("version")));
}
