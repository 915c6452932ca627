use std::time::Duration;

use super::*;
use crate::analysis::analyse;
use crate::domain::alert::{Alert, Severity};
use crate::domain::analysis::{Analysis, Finding};
use crate::domain::incident::Incident;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::{Lang, Shape};
use crate::domain::snapshot::{MetricAnswer, Provenance};
use crate::domain::{Labels, Text, TimeRange, Timestamp};

const BEGIN: i64 = 3_600;
const WINDOW: i64 = 7_200;
const END: i64 = 8_400;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn alert(labels: &[(&str, &str)], expression: &str) -> Alert {
    Alert {
        fingerprint: String::new(),
        labels: labels.iter().copied().chain([("alertname", "A")]).collect(),
        annotations: Labels::new(),
        starts_at: at(WINDOW + 60),
        ends_at: None,
        state: AlertState::Active,
        suppressed_by: Vec::new(),
        receivers: Vec::new(),
        generator_url: String::new(),
        expression: Some(expression.to_owned()),
    }
}

fn series(pairs: &[(&str, &str)], value: impl Fn(i64) -> f64) -> Series {
    let samples = (BEGIN..=END).step_by(30).map(|secs| Sample { at: at(secs), value: value(secs) }).collect();
    Series { labels: pairs.iter().copied().collect(), samples }
}

/// Level with a wobble, then another level.
fn step(before: f64, after: f64) -> impl Fn(i64) -> f64 {
    move |secs| (if secs < WINDOW { before } else { after }) + 0.01 * before * ((secs / 30 * 7) % 5) as f64
}

fn answer(purpose: Purpose, expr: &str, series: Vec<Series>) -> MetricAnswer {
    let range = TimeRange::new(at(WINDOW), at(END));
    let provenance =
        Provenance { source: "p".into(), lang: Some(Lang::PromQl), expr: expr.into(), range, notes: Vec::new() };
    MetricAnswer { purpose, provenance, series }
}

/// Two islands: `web` calls `pay` calls `db`, `mail` calls `smtp`; `pay` and `smtp` are in trouble. `own` is what the
/// alert's expression gives.
fn shop(alert: Alert, own: Vec<Series>) -> Snapshot {
    let services: Vec<String> = service_of(&alert.labels).into_iter().collect();
    let latency = ["web", "db", "mail", "front"]
        .iter()
        .map(|&service| series(&[("service", service)], step(0.1, 0.1)))
        .chain([
            series(&[("service", "pay"), ("node", "n1")], step(0.1, 3.0)),
            series(&[("service", "smtp"), ("node", "n2")], step(0.1, 4.0)),
        ])
        .collect();
    let edge = |client, server| series(&[("client", client), ("server", server)], |secs| 0.1 * secs as f64);
    let edges = vec![edge("front", "web"), edge("web", "pay"), edge("pay", "db"), edge("mail", "smtp")];
    let metrics = vec![
        answer(
            Purpose::Golden { metric: "request_duration_seconds".into(), shape: Shape::Level },
            "request_duration_seconds",
            latency,
        ),
        answer(
            Purpose::Edge { metric: "traces_service_graph_request_total".into() },
            "traces_service_graph_request_total",
            edges,
        ),
    ];
    let own = (!own.is_empty()).then(|| answer(Purpose::AlertExpression { alert: "A".into() }, "own", own));
    Snapshot {
        incident: Incident {
            id: "I-000000".into(),
            title: Text::new("a"),
            severity: Severity::Critical,
            started_at: alert.starts_at,
            resolved_at: alert.ends_at.filter(|_| alert.state == AlertState::Resolved),
            services,
            alerts: vec![alert],
            window: TimeRange::new(at(WINDOW), at(END)),
            baseline: TimeRange::new(at(BEGIN), at(WINDOW)),
        },
        rules: Vec::new(),
        metrics: metrics.into_iter().chain(own).collect(),
        logs: Vec::new(),
        log_questions: Vec::new(),
        changes: Vec::new(),
        runbooks: Vec::new(),
        asked: Vec::new(),
        notes: Vec::new(),
    }
}

fn blamed(analysis: &Analysis) -> Vec<&str> {
    analysis.suspects.iter().map(|suspect| suspect.service.as_str()).collect()
}

#[test]
fn only_what_is_connected_is_blamed() {
    let analysis = analyse(&shop(alert(&[("service", "web")], ""), Vec::new()));
    assert_eq!(blamed(&analysis), ["pay"]);
    assert!(analysis.notes.iter().any(|note| note.text.as_str().contains("mail, smtp")), "{:?}", analysis.notes);
    assert!(analysis.evidence.iter().all(|item| item.service.as_deref() != Some("smtp")));
    let analysis = analyse(&shop(alert(&[("service", "mail")], ""), Vec::new()));
    assert_eq!(blamed(&analysis), ["smtp"]);
    // The name stands in the expression only.
    let analysis = analyse(&shop(alert(&[], r#"sum(rate(mails_total{service="mail"}[5m])) < 1"#), Vec::new()));
    assert_eq!(blamed(&analysis), ["smtp"]);
}

#[test]
fn alerts_that_place_nothing_leave_all_in_scope() {
    for labels in [&[][..], &[("service", "a-name-nothing-else-knows")], &[("job", "kube-state-metrics")]] {
        let analysis = analyse(&shop(alert(labels, ""), Vec::new()));
        let mut all = blamed(&analysis);
        all.sort_unstable();
        assert_eq!(all, ["pay", "smtp"], "{labels:?}");
    }
    let mut unknown = shop(alert(&[("service", "web")], ""), Vec::new());
    unknown.metrics.retain(|answer| !matches!(answer.purpose, Purpose::Edge { .. }));
    assert_eq!(blamed(&analyse(&unknown)).len(), 2, "without a graph nothing tells who is unconnected");
}

#[test]
fn a_shared_machine_connects() {
    let analysis = analyse(&shop(alert(&[("service", "web"), ("node", "n2")], ""), Vec::new()));
    assert!(blamed(&analysis).contains(&"smtp"), "{:?}", blamed(&analysis));
}

#[test]
fn a_calm_alert_blames_nobody_else() {
    let calm = series(&[("service", "web")], step(5.0, 5.0));
    let analysis = analyse(&shop(alert(&[("service", "web")], ""), vec![calm.clone()]));
    assert_eq!(analysis.verdict, Finding::NothingFound, "{:?}", analysis.suspects);
    // Unless a callee deviates in what the alert measures.
    let callee = series(&[("service", "pay")], step(5.0, 50.0));
    let analysis = analyse(&shop(alert(&[("service", "web")], ""), vec![calm, callee]));
    assert_eq!(blamed(&analysis), ["pay"]);
}

#[test]
fn what_goes_on_as_before_is_the_alerts_own() {
    let falling = series(&[("service", "web")], |secs| 40.0 - secs as f64 / 3_600.0);
    let analysis = analyse(&shop(alert(&[("service", "web")], ""), vec![falling]));
    assert_eq!(blamed(&analysis), ["web"]);
    assert!(analysis.suspects[0].signals[0].text.contains("fell"), "{:?}", analysis.suspects[0].signals);
}

#[test]
fn an_incident_that_was_over_blames_nobody() {
    let mut over = alert(&[("service", "web")], "");
    over.state = AlertState::Resolved;
    over.starts_at = at(BEGIN);
    over.ends_at = Some(at(BEGIN).plus(Duration::from_mins(5)));
    let analysis = analyse(&shop(over, Vec::new()));
    assert_eq!(analysis.verdict, Finding::NothingFound);
    assert!(analysis.notes.iter().any(|note| note.text.as_str().contains("over before")));
}
