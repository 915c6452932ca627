//! What is normal for the series of one metric.

use super::aspect::is_ratio;
use super::split::Split;
use crate::analysis::robust::{half_mean, median, sorted, spread};
use crate::domain::TimeRange;

/// A rate over less than this many seconds is not asked for.
const LEAST_SPAN: f64 = 120.0;

/// Distances below this many standard deviations are never called a deviation.
pub(super) const LEAST_DISTANCE: f64 = 2.0;
/// Fault-free stretches taken from one series, at most.
pub(super) const MOST_STRETCHES: usize = 64;

/// What is normal for the series of one metric.
#[derive(Debug, Default)]
pub(super) struct Norm {
    pub(super) spreads: Vec<f64>,
    /// The usual spread of a series that moves at all.
    pub(super) usual: f64,
    /// A spread below this is not one, in the unit of the metric.
    pub(super) floor: f64,
    /// Seconds over which the strong half of a window counts, where its values are rates of single events.
    pub(super) counted_over: Option<f64>,
    /// Distances that fault-free stretches of all its series reach, upwards and downwards, sorted.
    pub(super) calm: [Vec<f64>; 2],
}

impl Norm {
    /// Takes the values as rates of single events over the window. Their scale is that of a Poisson count; an event has
    /// no unit that could change.
    pub(super) fn count_events(&mut self, window: TimeRange) {
        self.counted_over = Some((window.duration().as_secs_f64() / 2.0).max(LEAST_SPAN));
    }

    pub(super) fn settle<'s>(&mut self, metric: &str, splits: impl Iterator<Item = &'s Split> + Clone) {
        self.usual = median(&sorted(self.spreads.iter().copied().filter(|spread| *spread > 0.0))).unwrap_or(0.0);
        if is_ratio(metric) {
            let all = splits.clone().flat_map(|split| split.reference().iter().chain(&split.window));
            let percent = all.copied().filter(|value| value.is_finite()).any(|value| value.abs() > 1.5);
            self.floor = if percent { 0.25 } else { 0.0025 };
        }
        for split in splits {
            let reference = split.reference();
            let length = split.window.len();
            let Some(middle) = median(&sorted(reference.iter().copied())) else { continue };
            let scale = self.scale(reference, middle);
            if length == 0 || reference.len() < length || scale <= 0.0 {
                continue;
            }
            let stride = (length / 2).max(1).max(reference.len() / MOST_STRETCHES);
            for stretch in reference.windows(length).step_by(stride) {
                for (calm, upper) in self.calm.iter_mut().zip([true, false]) {
                    if let Some(reach) = half_mean(stretch, upper) {
                        calm.push(if upper { reach - middle } else { middle - reach }.max(0.0) / scale);
                    }
                }
            }
        }
        for calm in &mut self.calm {
            calm.sort_by(f64::total_cmp);
        }
    }

    /// The spread of one series with its floors: all in the unit of the series, so that the unit does not matter.
    pub(super) fn scale(&self, reference: &[f64], middle: f64) -> f64 {
        // The unit of a ratio is known; elsewhere the series and its siblings tell what is much.
        let least = if self.floor > 0.0 { self.floor } else { (0.1 * self.usual).max(0.02 * middle.abs()) };
        let by_chance = self.counted_over.map_or(0.0, |seconds| {
            let mean = reference.iter().sum::<f64>() / reference.len().max(1) as f64;
            (mean.max(0.0) * seconds + 1.0).sqrt() / seconds
        });
        spread(&sorted(reference.iter().copied())).max(least).max(by_chance)
    }

    /// How many times farther, in powers of two, a distance is than any calm stretch of the series itself.
    pub(super) fn own_surprise(
        reference: &[f64],
        window: &[f64],
        middle: f64,
        scale: f64,
        distance: f64,
        upper: bool,
    ) -> f64 {
        let length = window.len().max(1);
        let stride = (length / 2).max(1).max(reference.len() / 400);
        let farthest = reference
            .windows(length)
            .step_by(stride)
            .filter_map(|stretch| half_mean(stretch, upper))
            .map(|reach| if upper { reach - middle } else { middle - reach } / scale)
            .fold(LEAST_DISTANCE, f64::max);
        (distance / farthest).log2().clamp(0.0, 5.0)
    }

    /// How surprising a distance is, as a power of ten: from the share of calm stretches that reach as far, and, past
    /// the farthest of them, from how many times farther it is.
    pub(super) fn surprise(&self, distance: f64, upper: bool) -> f64 {
        let calm = &self.calm[usize::from(!upper)];
        let as_far = calm.len() - calm.partition_point(|other| *other < distance);
        let rank = -((as_far + 1) as f64 / (calm.len() + 1) as f64).log10();
        let farthest = calm.last().copied().unwrap_or(0.0).max(LEAST_DISTANCE);
        rank + (distance / farthest).log2().clamp(0.0, 5.0)
    }
}
