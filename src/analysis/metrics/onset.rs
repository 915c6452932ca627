//! When a series began to deviate.

use super::split::{FEW, Split, is_inside};
use crate::analysis::robust::{change_point, steady_line};
use crate::domain::evidence::Band;
use crate::domain::metric::Sample;
use crate::domain::{TimeRange, Timestamp};

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
    let first =
        inside.iter().find(|sample| if upwards { sample.value > band.high } else { sample.value < band.low })?;
    let lead = inside.len().min(3);
    let values: Vec<f64> =
        std::iter::repeat_n(band.median, lead).chain(inside.iter().map(|sample| sample.value)).collect();
    let point = change_point(&values).and_then(|index| inside.get(index.saturating_sub(lead)));
    Some(point.map_or(first.at, |point| point.at.max(first.at)))
}
