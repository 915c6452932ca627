use std::time::Duration;

use super::*;
use crate::analysis::analyse;
use crate::analysis::fixture::{BEGIN, alert, answer, at, golden, series, snapshot, step};
use crate::domain::alert::Alert;
use crate::domain::analysis::{Analysis, Finding};
use crate::domain::metric::Series;

/// Two islands: `web` calls `pay` calls `db`, `mail` calls `smtp`; `pay` and `smtp` are in trouble. `own` is what the
/// alert's expression gives.
fn shop(alert: Alert, own: Vec<Series>) -> Snapshot {
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
        golden("request_duration_seconds", latency),
        answer(
            Purpose::Edge { metric: "traces_service_graph_request_total".into() },
            "traces_service_graph_request_total",
            edges,
        ),
    ];
    let own = (!own.is_empty()).then(|| answer(Purpose::AlertExpression { alert: "A".into() }, "own", own));
    snapshot(alert, metrics.into_iter().chain(own).collect())
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
