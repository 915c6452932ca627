//! Builders of small snapshots for the tests of this room.

use crate::analysis::entity::service_of;
use crate::domain::alert::{Alert, AlertState, Severity};
use crate::domain::incident::Incident;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::{Lang, Purpose, Shape};
use crate::domain::snapshot::{MetricAnswer, Provenance, Snapshot};
use crate::domain::{Labels, Text, TimeRange, Timestamp};

pub(super) const BEGIN: i64 = 3_600;
pub(super) const WINDOW: i64 = 7_200;
pub(super) const END: i64 = 8_400;

pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(super) fn alert(labels: &[(&str, &str)], expression: &str) -> Alert {
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

pub(super) fn series(pairs: &[(&str, &str)], value: impl Fn(i64) -> f64) -> Series {
    let samples = (BEGIN..=END).step_by(30).map(|secs| Sample { at: at(secs), value: value(secs) }).collect();
    Series { labels: pairs.iter().copied().collect(), samples }
}

/// Level with a wobble, then another level.
pub(super) fn step(before: f64, after: f64) -> impl Fn(i64) -> f64 {
    move |secs| (if secs < WINDOW { before } else { after }) + 0.01 * before * ((secs / 30 * 7) % 5) as f64
}

pub(super) fn answer(purpose: Purpose, expr: &str, series: Vec<Series>) -> MetricAnswer {
    let range = TimeRange::new(at(WINDOW), at(END));
    let provenance =
        Provenance { source: "p".into(), lang: Some(Lang::PromQl), expr: expr.into(), range, notes: Vec::new() };
    MetricAnswer { purpose, provenance, series }
}

/// The answer to a question about a golden signal.
pub(super) fn golden(metric: &str, series: Vec<Series>) -> MetricAnswer {
    answer(Purpose::Golden { metric: metric.into(), shape: Shape::Level }, metric, series)
}

/// A snapshot of one alert and these answers.
pub(super) fn snapshot(alert: Alert, metrics: Vec<MetricAnswer>) -> Snapshot {
    Snapshot {
        incident: Incident {
            id: "I-000000".into(),
            title: Text::new("a"),
            severity: Severity::Critical,
            started_at: alert.starts_at,
            resolved_at: alert.ends_at.filter(|_| alert.state == AlertState::Resolved),
            services: service_of(&alert.labels).into_iter().collect(),
            alerts: vec![alert],
            flapping: Vec::new(),
            window: TimeRange::new(at(WINDOW), at(END)),
            baseline: TimeRange::new(at(BEGIN), at(WINDOW)),
        },
        rules: Vec::new(),
        metrics,
        logs: Vec::new(),
        log_questions: Vec::new(),
        changes: Vec::new(),
        runbooks: Vec::new(),
        seasons: Vec::new(),
        spoiled: Vec::new(),
        asked: Vec::new(),
        notes: Vec::new(),
    }
}
