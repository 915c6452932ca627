//! The samples of a series, sorted into what they are compared as.

use std::time::Duration;

use crate::analysis::robust::median_of;
use crate::domain::metric::Sample;
use crate::domain::{Labels, TimeRange, Timestamp};

/// A baseline of fewer samples is helped out by what else lies before the window.
pub(super) const FEW: usize = 8;
/// What is looked at before the window, at least, when the baseline lies elsewhere.
pub(super) const LEAD: Duration = Duration::from_mins(15);

/// A series with its samples sorted into what they are compared as.
pub(super) struct Split {
    pub(super) labels: Labels,
    pub(super) samples: Vec<Sample>,
    pub(super) baseline: Vec<f64>,
    /// What lies before the window, baseline included, for the spread of a series with a short baseline.
    pub(super) context: Vec<f64>,
    pub(super) window: Vec<f64>,
    pub(super) range: TimeRange,
    /// What the series did just before the window, where that is no part of the baseline.
    pub(super) lead: Option<f64>,
    /// Samples that the density of the baseline lets one expect in the window.
    pub(super) expected: f64,
}

impl Split {
    /// The fault-free values: the baseline where it is long enough, else all that lies before the window.
    pub(super) fn reference(&self) -> &[f64] {
        if self.baseline.len() >= FEW { &self.baseline } else { &self.context }
    }
}

pub(super) fn split(labels: Labels, samples: Vec<Sample>, baseline: TimeRange, window: TimeRange) -> Split {
    let finite = |range: &dyn Fn(Timestamp) -> bool| -> Vec<f64> {
        samples
            .iter()
            .filter(|sample| range(sample.at) && sample.value.is_finite())
            .map(|sample| sample.value)
            .collect()
    };
    let inside = |at: Timestamp| is_inside(window, at);
    let baseline_values = finite(&|at| baseline.contains(at) && !inside(at));
    let context = finite(&|at| !inside(at) && (at < window.start || baseline.contains(at)));
    let window_values = finite(&inside);
    let before = TimeRange::new(window.start.minus(window.duration().max(LEAD)), window.start);
    let lead = median_of(
        samples
            .iter()
            .filter(|sample| before.contains(sample.at) && !baseline.contains(sample.at))
            .map(|one| one.value),
    );
    let spans = baseline.duration().as_secs_f64().max(1.0);
    let expected = baseline_values.len() as f64 * window.duration().as_secs_f64() / spans;
    Split { labels, baseline: baseline_values, context, window: window_values, range: window, lead, expected, samples }
}

/// The window ends with now, and a sample taken now belongs to it.
pub(super) fn is_inside(window: TimeRange, at: Timestamp) -> bool {
    window.contains(at) || at == window.end
}

/// Growth between samples of a counter, a fall being a reset to zero.
pub(super) fn increments(samples: &[Sample]) -> Vec<Sample> {
    samples
        .windows(2)
        .map(|pair| {
            let growth = pair[1].value - pair[0].value;
            Sample { at: pair[1].at, value: if growth < 0.0 { pair[1].value } else { growth } }
        })
        .collect()
}
