//! Whether the load rose before anything else did: trouble that no change need explain.

use std::collections::BTreeSet;
use std::time::Duration;

use super::onset::Mark;
use crate::analysis::metrics::{Aspect, MetricFinding};
use crate::domain::Timestamp;
use crate::domain::evidence::Turn;

/// A rise of the load to so many times its median is one that can overload.
const LEAST_RISE: f64 = 1.5;
/// Finding of traffic from which it counts.
const LEAST_STRENGTH: f64 = 0.3;
/// The load may be sampled so much later than what it does.
const SLACK: Duration = Duration::from_mins(2);

/// When the load of one of `services` (what suffers most) began to rise, if no other trouble of theirs began before.
pub fn rose_first(metrics: &[MetricFinding], marks: &[Mark], services: &BTreeSet<String>) -> Option<Timestamp> {
    let rose = |finding: &&MetricFinding| {
        let detail = &finding.detail;
        finding.aspect == Aspect::Traffic
            && detail.turn == Turn::Up
            && finding.strength >= LEAST_STRENGTH
            && detail.peak >= LEAST_RISE * detail.baseline.median
            && finding.service.as_ref().is_some_and(|service| services.contains(service))
    };
    let loads: Vec<&MetricFinding> = metrics.iter().filter(rose).collect();
    let of_load = |mark: &&Mark| loads.iter().any(|finding| finding.detail.metric == mark.what);
    let load = loads.iter().filter_map(|finding| finding.onset).chain(marks.iter().filter(of_load).map(|mark| mark.at));
    let load = load.min()?;
    let before = marks
        .iter()
        .filter(|mark| services.contains(&mark.service) && !of_load(mark))
        .any(|mark| mark.at.plus(SLACK) < load);
    (!before).then_some(load)
}
