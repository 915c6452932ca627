//! The samples kept for the chart of one series.

use super::split::is_inside;
use crate::domain::TimeRange;
use crate::domain::metric::Sample;

/// Points kept for the chart of one series.
pub(super) const MOST_POINTS: usize = 240;

/// Samples of baseline and window, evenly thinned, the window's kept first.
pub(super) fn thinned(samples: &[Sample], baseline: TimeRange, window: TimeRange) -> Vec<Sample> {
    let (inside, before): (Vec<Sample>, Vec<Sample>) = samples
        .iter()
        .filter(|sample| is_inside(window, sample.at) || baseline.contains(sample.at))
        .partition(|sample| is_inside(window, sample.at));
    let window_part = every(&inside, MOST_POINTS / 2);
    let mut all = every(&before, MOST_POINTS - window_part.len());
    all.extend(window_part);
    all.sort_by_key(|sample| sample.at);
    all
}

/// At most `most` of the samples, evenly spaced, the last one always among them.
pub(super) fn every(samples: &[Sample], most: usize) -> Vec<Sample> {
    if samples.len() <= most {
        return samples.to_vec();
    }
    (0..most).map(|index| samples[(index + 1) * samples.len() / most - 1]).collect()
}
