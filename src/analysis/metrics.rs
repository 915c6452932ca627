//! Series against their baseline.
//!
//! A series is judged by how far the stronger half of its window lies from the median of its baseline, in robust
//! standard deviations with a floor taken from the series themselves (so that the unit does not matter), and by how
//! rarely a fault-free stretch reached as far: stretches of the series itself (its tail rank), and of all series of the
//! same metric, so that a metric that is wild everywhere surprises nobody and kinds of metrics can be compared. Which
//! of the two directions is bad follows from what the metric counts.

use std::collections::BTreeMap;

use self::aspect::{bad_turn, counts_events, follows_load, is_counter, unit_of};
use self::chart::thinned;
use self::compare::compare;
use self::norm::Norm;
use self::onset::steady_slope;
use self::split::{FEW, Split, Stretches, falls_often, growth, split};
use super::entity::service_of;
use super::robust::{sorted, spread};
use crate::domain::evidence::{MetricDetail, Turn};
use crate::domain::labels::METRIC_NAME;
use crate::domain::metric::Series;
use crate::domain::query::{Purpose, Shape};
use crate::domain::snapshot::{MetricAnswer, Provenance, Snapshot};
use crate::domain::{Labels, TimeRange, Timestamp};

mod aspect;
mod chart;
mod compare;
mod norm;
mod onset;
mod split;

pub use self::aspect::Aspect;
pub(super) use self::compare::NOISE;

/// Strength of an alert's own series that reached its threshold along a straight line.
const STEADY_STRENGTH: f64 = 0.35;

/// One series compared.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each says another thing about the series, in any combination")]
pub struct MetricFinding {
    /// Its service, if its labels name one.
    pub service: Option<String>,
    /// What it tells.
    pub aspect: Aspect,
    /// Whether the question was an alert's own expression, or the same metric and statistic of another service.
    pub alerted: bool,
    /// Whether the labels are those of a firing alert.
    pub of_alert: bool,
    /// Whether it only goes on as it went before: nothing happened, and yet it moves.
    pub steady: bool,
    /// Whether it did the same at the same time on an earlier day.
    pub seasonal: bool,
    /// Figures and samples.
    pub detail: MetricDetail,
    /// 0 to 1.
    pub strength: f64,
    /// How unlikely a fault-free stretch is to come this far, as a power of ten; grows on past the farthest of them.
    pub surprise: f64,
    /// Share of baseline stretches that reached as far; 1 when unknown.
    pub tail: f64,
    /// When it began to deviate.
    pub onset: Option<Timestamp>,
    /// Where it came from.
    pub provenance: Provenance,
}

/// Compares all series of the snapshot, strongest first. Series without a sample in the window and baseline are left
/// out; the same series asked twice is kept once.
pub fn compare_metrics(snapshot: &Snapshot) -> Vec<MetricFinding> {
    let (window, baseline) = (snapshot.incident.window, snapshot.incident.baseline);
    let mut found: BTreeMap<(String, Labels), MetricFinding> = BTreeMap::new();
    let is_compared = |answer: &&MetricAnswer| {
        !matches!(answer.purpose, Purpose::Edge { .. } | Purpose::Restart { .. } | Purpose::Discovery)
    };
    let mut answers: Vec<&MetricAnswer> = snapshot.metrics.iter().filter(is_compared).collect();
    // What the alert itself asks is kept of what is asked twice; the order of the answers does not matter.
    answers.sort_by_cached_key(|answer| {
        let alerted = matches!(answer.purpose, Purpose::AlertExpression { .. });
        (!alerted, format!("{:?}", answer.purpose), answer.provenance.expr.clone(), answer.provenance.source.clone())
    });
    for answer in answers {
        for finding in compare_answer(answer, snapshot, baseline, window) {
            let key = (finding.detail.metric.clone(), finding.detail.labels.clone());
            match found.get_mut(&key) {
                Some(known) => {
                    known.alerted |= finding.alerted;
                    known.of_alert |= finding.of_alert;
                    if known.detail.unit.is_empty() {
                        known.detail.unit = finding.detail.unit;
                    }
                }
                None => {
                    found.insert(key, finding);
                }
            }
        }
    }
    let mut all: Vec<MetricFinding> = found.into_values().collect();
    all.sort_by(|a, b| {
        b.strength
            .total_cmp(&a.strength)
            .then(a.tail.total_cmp(&b.tail))
            .then(b.detail.score.abs().total_cmp(&a.detail.score.abs()))
            .then_with(|| a.detail.metric.cmp(&b.detail.metric))
            .then_with(|| a.detail.labels.cmp(&b.detail.labels))
    });
    all
}

fn compare_answer(
    answer: &MetricAnswer,
    snapshot: &Snapshot,
    baseline: TimeRange,
    window: TimeRange,
) -> Vec<MetricFinding> {
    let (asked_metric, shape, alerted) = match &answer.purpose {
        Purpose::Golden { metric, shape } => (Some(metric.as_str()), *shape, false),
        Purpose::AlertExpression { .. } => (None, Shape::Level, true),
        _ => (None, Shape::Level, false),
    };
    let stretches = Stretches { baseline, window, seasons: &snapshot.seasons, spoiled: &snapshot.spoiled };
    let mut splits: Vec<Split> = Series::in_order(&answer.series)
        .into_iter()
        .map(|series| {
            let metric = series.labels.metric().or(asked_metric).unwrap_or_default();
            let cumulative =
                alerted && series.labels.metric().is_some() && is_counter(metric) && !falls_often(&series.samples);
            let samples = if cumulative { growth(&series.samples) } else { series.samples };
            Split { cumulative, ..split(series.labels, samples, stretches) }
        })
        .collect();
    errors_begin_at_zero(&mut splits, asked_metric.unwrap_or(&answer.provenance.expr), shape);
    let named = |split: &Split| split.labels.metric().or(asked_metric).unwrap_or(&answer.provenance.expr).to_owned();
    let mut norms: BTreeMap<String, Norm> = BTreeMap::new();
    for split in &splits {
        norms.entry(named(split)).or_default().spreads.push(spread(&sorted(split.reference().iter().copied())));
    }
    for (metric, norm) in &mut norms {
        if counts_events(metric, shape) {
            norm.count_events(window);
        }
        norm.settle(metric, splits.iter().filter(|split| named(split) == *metric));
    }
    splits
        .into_iter()
        .filter_map(|split| {
            let metric = named(&split);
            let mut labels = split.labels.clone();
            labels.remove(METRIC_NAME);
            let service = service_of(&labels);
            let of_alert = alerted
                && snapshot.incident.alerts.iter().any(|alert| {
                    let alert_service = service_of(&alert.labels);
                    alert_service.is_none() || alert_service == service
                });
            let mut compared = compare(&split, norms.get(&metric)?, bad_turn(&metric), follows_load(&metric))?;
            let slope = if of_alert { steady_slope(&split, baseline) } else { None };
            if let Some(slope) = slope.filter(|_| !snapshot.incident.is_resolved()) {
                // It reached the alert's threshold by its own course: the alert speaks of it, and of nothing else.
                compared.strength = STEADY_STRENGTH;
                compared.turn = if slope > 0.0 { Turn::Up } else { Turn::Down };
                compared.peak = compared.last;
                compared.onset = None;
            }
            Some(MetricFinding {
                service,
                aspect: Aspect::of(&metric),
                alerted,
                of_alert,
                steady: slope.is_some(),
                seasonal: compared.seasonal,
                strength: compared.strength,
                tail: compared.tail,
                surprise: compared.surprise,
                onset: compared.onset,
                detail: MetricDetail {
                    unit: unit_of(&metric, if split.cumulative { Shape::Rate } else { shape }).to_owned(),
                    metric,
                    labels,
                    baseline: compared.band,
                    peak: compared.peak,
                    last: compared.last,
                    turn: compared.turn,
                    score: compared.score,
                    samples: thinned(&split.samples, baseline, window),
                },
                provenance: answer.provenance.clone(),
            })
        })
        .collect()
}

/// A client library writes the counter of a sort of errors only once the first one has happened. Where siblings were
/// there before the window, such a series that was not stood at zero.
fn errors_begin_at_zero(splits: &mut [Split], asked: &str, shape: Shape) {
    let usual = splits.iter().map(|split| split.baseline.len()).max().unwrap_or(0);
    if usual < FEW {
        return;
    }
    for split in splits.iter_mut().filter(|split| split.context.is_empty() && split.baseline.is_empty()) {
        let metric = split.labels.metric().unwrap_or(asked);
        let counts = shape == Shape::Rate || split.cumulative;
        if counts && (Aspect::of(metric) == Aspect::Errors || aspect::is_of_failures(&split.labels)) {
            split.baseline = vec![0.0; usual];
        }
    }
}

#[cfg(test)]
mod tests;
