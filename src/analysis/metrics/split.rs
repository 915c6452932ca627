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
    /// Values at the same time on earlier days.
    pub(super) seasons: Vec<Vec<f64>>,
    pub(super) baseline_range: TimeRange,
    /// Whether the samples are the growth per second of a counter.
    pub(super) cumulative: bool,
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

/// The stretches of time that samples are sorted by.
#[derive(Clone, Copy)]
pub(super) struct Stretches<'s> {
    pub(super) baseline: TimeRange,
    pub(super) window: TimeRange,
    /// The same time on earlier days: a further reference, and nothing else.
    pub(super) seasons: &'s [TimeRange],
    /// Other incidents: no sample from there is fault-free, and is taken only where too few others are left.
    pub(super) spoiled: &'s [TimeRange],
}

pub(super) fn split(labels: Labels, samples: Vec<Sample>, stretches: Stretches<'_>) -> Split {
    let Stretches { baseline, window, seasons, spoiled } = stretches;
    let finite = |range: &dyn Fn(Timestamp) -> bool| -> Vec<f64> {
        samples
            .iter()
            .filter(|sample| range(sample.at) && sample.value.is_finite())
            .map(|sample| sample.value)
            .collect()
    };
    let inside = |at: Timestamp| is_inside(window, at);
    let is_season =
        |at: Timestamp| !baseline.contains(at) && seasons.iter().any(|season| season.contains(at) || season.end == at);
    let is_spoiled = |at: Timestamp| spoiled.iter().any(|stretch| stretch.contains(at));
    let unspoiled = |range: &dyn Fn(Timestamp) -> bool| {
        let clean = finite(&|at| range(at) && !is_spoiled(at));
        if clean.len() >= FEW || spoiled.is_empty() { clean } else { finite(range) }
    };
    let in_baseline = |at: Timestamp| baseline.contains(at) && !inside(at);
    let baseline_values = unspoiled(&in_baseline);
    let context = unspoiled(&|at| !inside(at) && !is_season(at) && (at < window.start || baseline.contains(at)));
    let window_values = finite(&inside);
    let before = TimeRange::new(window.start.minus(window.duration().max(LEAD)), window.start);
    let lead = median_of(
        samples
            .iter()
            .filter(|sample| before.contains(sample.at) && !baseline.contains(sample.at) && !is_season(sample.at))
            .map(|one| one.value),
    );
    let spans = baseline.duration().as_secs_f64().max(1.0);
    let expected = finite(&in_baseline).len() as f64 * window.duration().as_secs_f64() / spans;
    let seasons = seasons
        .iter()
        .map(|season| finite(&|at| (season.contains(at) || season.end == at) && is_season(at) && !inside(at)))
        .collect();
    Split {
        labels,
        baseline: baseline_values,
        baseline_range: baseline,
        context,
        window: window_values,
        range: window,
        seasons,
        lead,
        expected,
        cumulative: false,
        samples,
    }
}

/// The window ends with now, and a sample taken now belongs to it.
pub(super) fn is_inside(window: TimeRange, at: Timestamp) -> bool {
    window.contains(at) || at == window.end
}

/// Growth per second between samples of a counter, a fall being a reset to zero; a missing scrape makes no difference.
pub(super) fn growth(samples: &[Sample]) -> Vec<Sample> {
    samples
        .windows(2)
        .filter_map(|pair| {
            let seconds = pair[1].at.secs_f64() - pair[0].at.secs_f64();
            let growth = pair[1].value - pair[0].value;
            let grown = if growth < 0.0 { pair[1].value } else { growth };
            (seconds > 0.0).then(|| Sample { at: pair[1].at, value: grown / seconds })
        })
        .collect()
}

/// Whether values fall too often for a counter, whatever the metric is called: processes do not restart at every tenth
/// scrape.
pub(super) fn falls_often(samples: &[Sample]) -> bool {
    let falls = samples.windows(2).filter(|pair| pair[1].value < pair[0].value).count();
    falls >= 2 && falls * 10 > samples.len()
}
