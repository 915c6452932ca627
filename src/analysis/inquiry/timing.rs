//! Which stretches of time to fetch, and how finely.

use std::time::Duration;

use crate::domain::query::{Lang, Query};
use crate::domain::{TimeRange, Timestamp};

/// Baseline and window are fetched as one stretch when together they span no more than this.
const ONE_STRETCH: Duration = Duration::from_hours(6);
/// Where the baseline lies far away, so much before the window is fetched, too: what stood still since then is no
/// news, and a short baseline alone says nothing about how much a series wanders.
pub const PRECEDING: Duration = Duration::from_hours(1);
/// The usual scrape interval, to estimate how many raw samples a question moves.
const USUAL_INTERVAL: u64 = 15;
/// Raw samples are fetched up to so many per question; beyond, an evaluation at steps thins them out.
const MOST_SAMPLES: u64 = 250_000;

/// The stretches of time to fetch for one incident, disjoint and sorted.
pub fn stretches(window: TimeRange, baseline: TimeRange) -> Vec<TimeRange> {
    let union = window.union(baseline);
    if union.duration() <= ONE_STRETCH {
        return vec![union];
    }
    let mut all = vec![baseline];
    let mut late = window;
    let start = window.start.minus(PRECEDING);
    late.start = if baseline.start < window.start { start.max(baseline.end) } else { start };
    all.push(late);
    all.sort_by_key(|range| range.start);
    all
}

/// Seconds at which people and dashboards sample: a step is rounded up to one of these.
fn round_step(seconds: u64) -> Duration {
    const STEPS: &[u64] = &[15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200];
    Duration::from_secs(STEPS.iter().copied().find(|&step| step >= seconds).unwrap_or(86_400))
}

/// Step for an evaluation over `range` that gives at most about `points` points.
pub fn step(range: TimeRange, points: u64) -> Duration {
    round_step(range.duration().as_secs().div_ceil(points.max(1)))
}

/// The samples of a plain selector over `range`, untouched where that is affordable: the instant evaluation of a
/// range selector returns them with their own times. `series` is how many it is expected to match.
pub fn raw(selector: &str, range: TimeRange, series: usize) -> Query {
    let seconds = range.duration().as_secs().max(1);
    if seconds / USUAL_INTERVAL * (series.max(1) as u64) <= MOST_SAMPLES
        && range.duration() <= ONE_STRETCH.saturating_mul(2)
    {
        // One second more: newer servers leave out a sample that lies exactly on the left end.
        Query::Instant { lang: Lang::PromQl, expr: format!("{selector}[{}s]", seconds + 1), at: range.end }
    } else {
        evaluated(selector, range, 600)
    }
}

/// An expression over `range`, in at most about `points` steps.
pub fn evaluated(expr: &str, range: TimeRange, points: u64) -> Query {
    Query::Range { lang: Lang::PromQl, expr: expr.to_owned(), range, step: step(range, points) }
}

/// The span for `rate` and its kin: four scrapes at the usual intervals, shorter in a short window.
pub fn rate_span(window: TimeRange) -> &'static str {
    if window.duration() >= Duration::from_mins(15) { "5m" } else { "2m" }
}

/// `range` cut into `slices` of equal length, so that one flood of lines cannot use up the limit of all.
pub fn slices(range: TimeRange, slices: u32) -> Vec<TimeRange> {
    let slices = slices.max(1);
    let length = range.duration() / slices;
    if length < Duration::from_secs(30) {
        return vec![range];
    }
    let mut start = range.start;
    (1..=slices)
        .map(|index| {
            let end: Timestamp = if index == slices { range.end } else { range.start.plus(length * index) };
            let slice = TimeRange::new(start, end);
            start = end;
            slice
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_secs(start), Timestamp::from_secs(end))
    }

    #[test]
    fn near_stretches_are_fetched_at_once_and_far_ones_apart() {
        assert_eq!(stretches(range(7_200, 9_000), range(3_600, 7_200)), [range(3_600, 9_000)]);
        let (window, baseline) = (range(1_000_000, 1_000_900), range(9_000_000, 9_180_000));
        assert_eq!(stretches(window, baseline), [range(996_400, 1_000_900), baseline]);
        let (window, baseline) = (range(1_000_000, 1_000_240), range(900_000, 900_060));
        assert_eq!(stretches(window, baseline), [baseline, range(996_400, 1_000_240)]);
    }

    #[test]
    fn few_samples_come_raw_and_many_in_steps() {
        let hour = range(0, 3_600);
        assert!(matches!(raw("m", hour, 10), Query::Instant { expr, .. } if expr == "m[3601s]"));
        assert!(matches!(raw("m", hour, 100_000), Query::Range { .. }));
        let days = range(0, 49 * 3_600);
        assert!(matches!(raw("m", days, 1), Query::Range { step, .. } if step == Duration::from_mins(5)));
    }

    #[test]
    fn slices_cover_the_range() {
        let parts = slices(range(0, 100), 3);
        assert_eq!(parts.first().unwrap().start, Timestamp::from_secs(0));
        assert_eq!(parts.last().unwrap().end, Timestamp::from_secs(100));
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(slices(range(0, 20), 3).len(), 1);
    }
}
