//! What the inquiry asks of a real Prometheus with eight days of history: other days, quiet times, recorded names.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use stanch::analysis::inquiry::{Inquiry, baseline};
use stanch::domain::alert::{Alert, AlertState, Severity};
use stanch::domain::incident::Incident;
use stanch::domain::query::Purpose;
use stanch::domain::settings::SourceSettings;
use stanch::domain::snapshot::{MetricAnswer, Snapshot};
use stanch::domain::{Labels, Text, TimeRange, Timestamp};
use stanch::sources::prometheus::Prometheus;
use stanch::sources::set::SourceSet;

use crate::secrets::Rotating;
use crate::servers;

/// Start of the history.
const START: i64 = 1_500_000_000;
/// Days of history.
const DAYS: i64 = 8;
/// When the window begins: near the end of the last day.
const WINDOW: i64 = START + DAYS * 86_400 - 3_600;
/// When the fault began.
const FAULT: i64 = WINDOW + 600;
/// Distance of the samples.
const STEP: usize = 60;

const RULES: &str = r"
groups:
- name: shop
  rules:
  - record: job:lookups:rate5m
    expr: sum by (job) (rate(lookups_total[5m]))
";

/// A gauge with a daily wave and a fault, a histogram, a counter behind a recording rule, and another alert that fired
/// in the hour before the window.
fn history() -> String {
    let mut text = String::new();
    let times = || (START..WINDOW + 1_800).step_by(STEP);
    text += "# TYPE up gauge\n";
    for at in times() {
        let _ = writeln!(text, "up{{job=\"pay\"}} 1 {at}");
    }
    text += "# TYPE latency_seconds gauge\n";
    for at in times() {
        let wave = 1.0 + (((at % 86_400) as f64) / 86_400.0 * std::f64::consts::TAU).sin() * 0.5;
        let fault = if at >= FAULT { 4.0 } else { 0.0 };
        let _ = writeln!(text, "latency_seconds{{job=\"pay\"}} {} {at}", wave + fault);
    }
    text += "# TYPE checkout_seconds histogram\n";
    for (bound, share) in [("0.1", 5), ("1.0", 9), ("+Inf", 10)] {
        for at in times() {
            let count = (at - START) / 60 * share;
            let _ = writeln!(text, "checkout_seconds_bucket{{job=\"pay\",le=\"{bound}\"}} {count} {at}");
        }
    }
    for (suffix, share) in [("count", 10), ("sum", 4)] {
        for at in times() {
            let _ = writeln!(text, "checkout_seconds_{suffix}{{job=\"pay\"}} {} {at}", (at - START) / 60 * share);
        }
    }
    text += "# TYPE lookups counter\n";
    for at in times() {
        let _ = writeln!(text, "lookups_total{{job=\"pay\"}} {} {at}", (at - START) * 2);
    }
    text += "# TYPE ALERTS gauge\n";
    for at in times().filter(|at| (WINDOW - 3_600..WINDOW - 300).contains(at)) {
        let labels = "alertname=\"Other\",alertstate=\"firing\",job=\"pay\",severity=\"critical\"";
        let _ = writeln!(text, "ALERTS{{{labels}}} 1 {at}");
    }
    text + "# EOF\n"
}

fn alert(name: &str, expression: &str) -> Alert {
    Alert {
        fingerprint: name.into(),
        labels: [("alertname", name), ("job", "pay"), ("severity", "critical")].into_iter().collect(),
        annotations: Labels::new(),
        starts_at: Timestamp::from_secs(FAULT),
        ends_at: None,
        state: AlertState::Active,
        suppressed_by: Vec::new(),
        receivers: Vec::new(),
        generator_url: String::new(),
        expression: Some(expression.into()),
    }
}

fn incident() -> Incident {
    let at = Timestamp::from_secs;
    Incident {
        id: "I-000000".into(),
        title: Text::new("slow"),
        severity: Severity::Critical,
        started_at: at(FAULT),
        resolved_at: None,
        services: vec!["pay".into()],
        alerts: vec![
            alert("Slow", "latency_seconds{job=\"pay\"} > 3"),
            alert("Lookups", "job:lookups:rate5m{job=\"pay\"} < 1"),
        ],
        flapping: Vec::new(),
        window: TimeRange::new(at(WINDOW), at(WINDOW + 1_800)),
        baseline: TimeRange::new(at(WINDOW - 3_600), at(WINDOW)),
    }
}

async fn ask_all(sources: &SourceSet, incident: Incident) -> (Snapshot, usize) {
    let mut inquiry = Inquiry::new(incident);
    let mut asked = 0;
    loop {
        let round = inquiry.next_round();
        if round.is_empty() {
            return (inquiry.finish(), asked);
        }
        asked += round.len();
        for (asked, answer) in sources.ask_all(&round).await {
            inquiry.answered(asked, answer);
        }
    }
}

fn answer<'s>(snapshot: &'s Snapshot, part: &str) -> &'s MetricAnswer {
    let found = snapshot.metrics.iter().find(|answer| answer.provenance.expr.contains(part));
    let asked: Vec<String> = snapshot.asked.iter().map(|asked| asked.planned.query.expression()).collect();
    found.unwrap_or_else(|| panic!("no answer to {part}; asked {asked:#?}"))
}

#[tokio::test]
async fn other_days_quiet_times_and_recorded_names_are_found_on_a_real_server() {
    let server = servers::Prometheus::start(Some(RULES), Some(&history()), None).await;
    let client = Prometheus::new("prometheus", &SourceSettings::new(&server.url()), Rotating::new(&[])).unwrap();
    let sources = SourceSet::new(vec![Arc::new(client)], Arc::new(|| Timestamp::from_secs(WINDOW + 1_800)));
    let (snapshot, asked) = ask_all(&sources, incident()).await;

    // The hour before was spoiled by another alert: an earlier hour is compared with.
    let before = incident().baseline;
    assert!(snapshot.incident.baseline.end <= before.start, "{}", snapshot.incident.baseline);
    assert_eq!(snapshot.incident.baseline.duration(), before.duration());
    assert!(snapshot.spoiled.iter().any(|range| range.overlaps(before)), "{:?}", snapshot.spoiled);
    assert!(snapshot.notes.iter().any(|note| note.text.contains("other alerts fired (Other)")));

    // The same time yesterday and a week ago, in the samples of the alert's own metric.
    assert_eq!(snapshot.seasons, baseline::seasons(snapshot.incident.window, snapshot.incident.baseline));
    let latency = answer(&snapshot, "latency_seconds");
    assert!(matches!(latency.purpose, Purpose::AlertExpression { .. }));
    for season in &snapshot.seasons {
        let samples: Vec<f64> =
            latency.series[0].samples.iter().filter(|one| season.contains(one.at)).map(|one| one.value).collect();
        assert!(samples.len() > 30, "{season}: {}", samples.len());
        assert!(samples.iter().all(|value| *value < 2.0), "no fault on other days");
    }

    // A histogram's quantile, its rate and its mean.
    let quantile = answer(&snapshot, "histogram_quantile(0.95");
    assert!(quantile.series[0].samples.iter().all(|sample| (0.1..=1.0).contains(&sample.value)));
    let mean = answer(&snapshot, "rate(checkout_seconds_sum");
    assert!(mean.series[0].samples.iter().all(|sample| (sample.value - 0.4).abs() < 0.01));
    answer(&snapshot, "rate(checkout_seconds_count");

    // The recorded name has no history: what it is computed from is asked in its place.
    let lookups = answer(&snapshot, "rate(lookups_total");
    assert!(matches!(&lookups.purpose, Purpose::AlertExpression { alert } if alert == "Lookups"));
    assert!(lookups.series[0].samples.iter().all(|sample| (sample.value - 2.0).abs() < 0.1));

    // All that for a bounded number of questions, none of which takes long.
    assert!(asked <= 60, "{asked} questions");
    let slow =
        |asked: &&stanch::domain::query::Asked| Duration::from_millis(asked.elapsed_ms) > Duration::from_secs(20);
    assert_eq!(snapshot.asked.iter().find(slow), None);
}
