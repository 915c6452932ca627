//! When the trouble of each service began, also where it crept in long before anybody was told.
//!
//! A slow burn (a leak, a queue that grows, a disk that fills) departs from its level inside what is taken for the
//! baseline. So the whole of a series is looked at: where a level that was held gives way to another level or to a
//! slope, by least squares, then back to the first sample that leaves the band of what was before.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::analysis::metrics::{Aspect, MetricFinding};
use crate::analysis::robust::{median, median_of, sorted, spread};
use crate::analysis::templates::LogFinding;
use crate::domain::evidence::LogChange;
use crate::domain::metric::Sample;
use crate::domain::{TimeRange, Timestamp};

/// A beginning of trouble.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The service in trouble.
    pub service: String,
    /// The first sample or line that shows it.
    pub at: Timestamp,
    /// It began at most so long before that.
    pub step: Duration,
    /// 0 to 1.
    pub strength: f64,
    /// What began, in words.
    pub what: String,
}

/// Samples on either side of a departure, at least.
const LEAST_BEFORE: usize = 6;
const LEAST_AFTER: usize = 3;
/// Share of a series' variation that two pieces must explain.
const LEAST_FIT: f64 = 0.5;
/// Distance from the level before, in its spread, at which the end of a series counts as departed.
const LEAST_DISTANCE: f64 = 6.0;
/// Distance at which a sample is outside of the band.
const OUTSIDE: f64 = 3.0;
/// Findings and departures weaker than this date nothing.
const LEAST_STRENGTH: f64 = 0.2;
/// A departure that the comparison with the baseline does not see speaks more softly.
const UNSEEN: f64 = 0.7;
/// Series looked at whole, at most.
const MOST_SERIES: usize = 400;

/// The beginnings of trouble of the services given, earliest first.
pub fn marks(
    metrics: &[MetricFinding],
    logs: &[LogFinding],
    services: &BTreeSet<String>,
    observed: TimeRange,
) -> Vec<Mark> {
    let mut out: Vec<Mark> = Vec::new();
    let concerned = metrics.iter().filter_map(|finding| {
        let service = finding.service.as_ref().filter(|service| services.contains(*service))?;
        Some((finding, service))
    });
    for (finding, service) in concerned.take(MOST_SERIES) {
        let inside: Vec<Sample> =
            finding.detail.samples.iter().copied().filter(|one| observed.contains(one.at)).collect();
        let found = departure(&inside);
        let seen = finding.strength;
        let strength = match &found {
            // Traffic comes and goes by itself: it counts only where it is out of its own habits.
            Some(found) if finding.aspect != Aspect::Traffic => seen.max(UNSEEN * found.strength),
            _ => seen,
        };
        let step = inside.windows(2).map(|pair| pair[1].at.since(pair[0].at)).min().unwrap_or_default();
        let (at, step) = match (&found, finding.onset) {
            (Some(found), _) => (found.at, found.step),
            (None, Some(onset)) => (onset, step),
            (None, None) => continue,
        };
        if strength >= LEAST_STRENGTH {
            out.push(Mark { service: service.clone(), at, step, strength, what: finding.detail.metric.clone() });
        }
    }
    for finding in logs.iter().filter(|finding| services.contains(&finding.service)) {
        let detail = &finding.detail;
        let alarming = matches!(detail.level.as_str(), "error" | "warn" | "fatal" | "critical");
        // What was said before, though not in the baseline, is no news by being there.
        let is_known = detail.outside_baseline && detail.baseline_count > 0;
        let at = match detail.change {
            Some(LogChange::New) if is_known => detail.onset.filter(|_| alarming),
            Some(LogChange::New) if alarming || finding.score >= 0.4 => detail.onset.or(detail.first),
            Some(LogChange::More) if alarming => detail.onset,
            _ => None,
        };
        if let Some(at) = at.filter(|_| finding.score >= LEAST_STRENGTH) {
            let what = format!("{} line", if detail.change == Some(LogChange::New) { "the new" } else { "a growing" });
            out.push(Mark {
                service: finding.service.clone(),
                at,
                step: Duration::ZERO,
                strength: finding.score,
                what,
            });
        }
    }
    out.sort_by(|a, b| {
        a.at.cmp(&b.at)
            .then(b.strength.total_cmp(&a.strength))
            .then_with(|| a.service.cmp(&b.service))
            .then_with(|| a.what.cmp(&b.what))
    });
    out
}

/// A level given up for good.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Departure {
    /// The first sample outside.
    pub(super) at: Timestamp,
    /// Distance to the sample before.
    pub(super) step: Duration,
    /// 0 to 1.
    pub(super) strength: f64,
}

/// Where a series leaves the level it held and does not come back. `samples` by time.
pub(super) fn departure(samples: &[Sample]) -> Option<Departure> {
    let all: Vec<Sample> = samples.iter().copied().filter(|sample| sample.value.is_finite()).collect();
    if all.len() < LEAST_BEFORE + LEAST_AFTER {
        return None;
    }
    let values: Vec<f64> = all.iter().map(|sample| sample.value).collect();
    let split = split(&values)?;
    // The last samples before the split may already belong to what comes after it.
    let reference = sorted(values[..(split - split / 10).max(LEAST_BEFORE.min(split))].iter().copied());
    let middle = median(&reference)?;
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(*value), b.max(*value)));
    let scale = spread(&reference).max(0.02 * middle.abs()).max(0.005 * (most - least));
    if !(scale.is_finite() && scale > 0.0) {
        return None;
    }
    let after = &values[split..];
    let end = median_of(after[after.len() - after.len().div_ceil(4)..].iter().copied())?;
    let distance = (end - middle) / scale;
    if distance.abs() < LEAST_DISTANCE {
        return None;
    }
    let outside = |value: f64| (value - middle) / scale * distance.signum() > OUTSIDE;
    let first = (1..values.len()).find(|&at| values[at..].iter().take(LEAST_AFTER).all(|value| outside(*value)))?;
    Some(Departure {
        at: all[first].at,
        step: all[first].at.since(all[first - 1].at),
        strength: 1.0 - 4.0 / distance.abs(),
    })
}

/// The index at which a level before and a straight line after fit best, where the two explain enough.
fn split(values: &[f64]) -> Option<usize> {
    let middle = median_of(values.iter().copied())?;
    let size = values.iter().map(|value| (value - middle).abs()).fold(0.0, f64::max);
    if !(size.is_finite() && size > 0.0) {
        return None;
    }
    // Sums up to each index: of y, y², x, x², xy. Scaled, so that large values keep their digits.
    let mut sums: Vec<[f64; 5]> = Vec::with_capacity(values.len() + 1);
    let mut sum = [0.0; 5];
    sums.push(sum);
    for (at, value) in values.iter().enumerate() {
        let (x, y) = (at as f64 / values.len() as f64, (value - middle) / size);
        for (slot, part) in sum.iter_mut().zip([y, y * y, x, x * x, x * y]) {
            *slot += part;
        }
        sums.push(sum);
    }
    let between = |from: usize, to: usize| -> [f64; 5] { std::array::from_fn(|at| sums[to][at] - sums[from][at]) };
    let level = |from: usize, to: usize| {
        let [y, yy, ..] = between(from, to);
        (yy - y * y / (to - from) as f64).max(0.0)
    };
    let line = |from: usize, to: usize| {
        let n = (to - from) as f64;
        let [y, yy, x, xx, xy] = between(from, to);
        let (vy, vx, cov) = (yy - y * y / n, xx - x * x / n, xy - x * y / n);
        if vx > 1e-12 { (vy - cov * cov / vx).max(0.0) } else { vy.max(0.0) }
    };
    let end = values.len();
    let whole = level(0, end);
    let best = (LEAST_BEFORE..=end - LEAST_AFTER)
        .map(|at| (level(0, at) + line(at, end), at))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
    (whole > 0.0 && best.0 <= (1.0 - LEAST_FIT) * whole).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minutes(value: impl Fn(i64) -> f64) -> Vec<Sample> {
        (0..120).map(|at| Sample { at: Timestamp::from_secs(60 * at), value: value(at) }).collect()
    }

    /// A wobble without a pattern that a change point could take for one.
    fn wobble(at: i64) -> f64 {
        ((at * 7919) % 13) as f64 / 13.0 - 0.5
    }

    #[test]
    fn a_drift_is_dated_to_its_beginning() {
        let at = |found: Option<Departure>| found.map(|found| found.at.secs() / 60);
        let ramp = minutes(|at| 40.0 + 2.0 * wobble(at) + 5.0 * (at - 30).max(0) as f64);
        assert!((30..=33).contains(&at(departure(&ramp)).unwrap()), "{:?}", departure(&ramp));
        let full = minutes(|at| 0.4 + 0.01 * wobble(at) + (0.03 * (at - 60).max(0) as f64).min(0.6));
        assert!((60..=63).contains(&at(departure(&full)).unwrap()), "{:?}", departure(&full));
        let step = minutes(|at| if at < 100 { 1.0 + wobble(at) } else { 30.0 });
        assert_eq!(at(departure(&step)), Some(100));
    }

    #[test]
    fn noise_slopes_and_spikes_depart_nowhere() {
        assert_eq!(departure(&minutes(wobble)), None);
        assert_eq!(departure(&minutes(|_| 1.0)), None);
        assert_eq!(departure(&minutes(|at| if at == 70 { 50.0 } else { wobble(at) })), None);
        assert_eq!(departure(&minutes(|at| if (60..70).contains(&at) { 50.0 } else { wobble(at) })), None);
    }

    proptest! {
        #[test]
        fn no_series_panics(values in prop::collection::vec(any::<f64>(), 0..60)) {
            let samples: Vec<Sample> = values
                .iter()
                .enumerate()
                .map(|(at, value)| Sample { at: Timestamp::from_secs(at as i64), value: *value })
                .collect();
            let _ = departure(&samples);
        }
    }
}
