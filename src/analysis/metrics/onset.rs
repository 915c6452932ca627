//! When a series began to deviate.

use super::split::{FEW, LEAD, Split, is_inside};
use crate::analysis::robust::{change_point, quantile, sorted, steady_line};
use crate::domain::evidence::Band;
use crate::domain::metric::Sample;
use crate::domain::{TimeRange, Timestamp};

/// Samples outside of the band that chance does not put in a row.
const LEAST_RUN: usize = 4;

/// The slope of a series whose window goes on along the line of its baseline, in units per second.
pub(super) fn steady_slope(split: &Split, baseline: TimeRange) -> Option<f64> {
    let points = |inside: &dyn Fn(Timestamp) -> bool| -> Vec<(f64, f64)> {
        split
            .samples
            .iter()
            .filter(|sample| sample.value.is_finite() && inside(sample.at))
            .map(|sample| (sample.at.secs_f64() - split.range.start.secs_f64(), sample.value))
            .collect()
    };
    let window = points(&|at| is_inside(split.range, at));
    let before = points(&|at| baseline.contains(at) && !is_inside(split.range, at));
    if before.len() < FEW { None } else { steady_line(&before, &window) }
}

/// The change point of the window, seen from the baseline's median; not before the first sample outside the band.
pub(super) fn onset(split: &Split, band: Band, upwards: bool) -> Option<Timestamp> {
    let inside: Vec<&Sample> =
        split.samples.iter().filter(|sample| sample.value.is_finite() && is_inside(split.range, sample.at)).collect();
    let first = inside.iter().find(|sample| if upwards { sample.value > band.high } else { sample.value < band.low });
    // A baseline that ends in the trouble may hold all that the window does: a pool that is full, a queue at its limit.
    let Some(first) = first else { return began_before(split, upwards) };
    if inside.iter().take(3).any(|sample| sample.at == first.at)
        && let Some(earlier) = began_before(split, upwards)
    {
        return Some(earlier);
    }
    let lead = inside.len().min(3);
    let values: Vec<f64> =
        std::iter::repeat_n(band.median, lead).chain(inside.iter().map(|sample| sample.value)).collect();
    let point = change_point(&values).and_then(|index| inside.get(index.saturating_sub(lead)));
    Some(point.map_or(first.at, |point| point.at.max(first.at)))
}

/// Where a deviation that was under way when the window began started: the run of samples up to the window that lie
/// outside of what the first half of the baseline held. One sample alone may lie within. `None` when there is no such
/// run, or the baseline does not reach up to the window.
fn began_before(split: &Split, upwards: bool) -> Option<Timestamp> {
    let before: Vec<&Sample> = split
        .samples
        .iter()
        .filter(|one| one.value.is_finite() && split.baseline_range.contains(one.at) && one.at < split.range.start)
        .collect();
    let near = before.last().is_some_and(|last| last.at.plus(LEAD) >= split.range.start);
    if before.len() < 2 * FEW || !near {
        return None;
    }
    let (early, late) = before.split_at(before.len() / 2);
    let calm = sorted(early.iter().map(|one| one.value));
    let (low, high) = (quantile(&calm, 0.05)?, quantile(&calm, 0.95)?);
    let mut run: Vec<Timestamp> = Vec::new();
    let mut within = 0;
    for sample in late.iter().rev() {
        if if upwards { sample.value > high } else { sample.value < low } {
            run.push(sample.at);
            within = 0;
        } else {
            within += 1;
            if within > 1 {
                break;
            }
        }
    }
    if run.len() >= LEAST_RUN { run.last().copied() } else { None }
}
