//! A time axis over a baseline and a window. What lies between them is left out where they are far apart, and each
//! gets a scale of its own where one would all but vanish beside the other.

use std::time::Duration;

use crate::domain::{TimeRange, Timestamp};

/// A stretch of time on a stretch of columns.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    range: TimeRange,
    first: u16,
    columns: u16,
}

impl Stretch {
    fn place(&self, at: Timestamp) -> Option<f64> {
        let range = self.range;
        if at < range.start || at > range.end || self.columns == 0 {
            return None;
        }
        let span = range.duration().as_secs_f64();
        let share = if span > 0.0 { at.since(range.start).as_secs_f64() / span } else { 0.0 };
        let columns = f64::from(self.columns);
        Some(f64::from(self.first) + (share * columns).min(columns - 0.01))
    }
}

/// Maps instants to columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    stretches: Vec<Stretch>,
    window: TimeRange,
}

/// A gap longer than this share of the whole is left out.
const GAP: f64 = 0.2;

/// A window of less than this share of the whole gets a scale of its own: what happened in it is to be read.
const LEAST: f64 = 0.15;

/// Columns of a break in the axis.
const BREAK: u16 = 2;

/// Distances of ticks that people count in, in seconds.
const STEPS: [u64; 23] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
    1_209_600, 2_592_000, 31_536_000,
];

impl Axis {
    /// An axis of `columns` columns over both ranges. Where they share no scale each gets half, with a break between
    /// them.
    pub(super) fn new(baseline: TimeRange, window: TimeRange, columns: u16) -> Self {
        let (early, late) = if baseline.start <= window.start { (baseline, window) } else { (window, baseline) };
        let whole = early.union(late);
        let gap = late.start.since(early.end).as_secs_f64();
        let total = whole.duration().as_secs_f64();
        let share = if total > 0.0 { window.duration().as_secs_f64() / total } else { 1.0 };
        let apart = late.start >= early.end && (gap > total * GAP || share < LEAST);
        if columns < 16 || total <= 0.0 || !apart {
            return Self { stretches: vec![Stretch { range: whole, first: 0, columns }], window };
        }
        let left = (columns - BREAK) / 2;
        let right = Stretch { range: late, first: left + BREAK, columns: columns - BREAK - left };
        Self { stretches: vec![Stretch { range: early, first: 0, columns: left }, right], window }
    }

    /// Where an instant lies, in columns from the left; `None` outside.
    pub(super) fn place(&self, at: Timestamp) -> Option<f64> {
        self.stretches.iter().find_map(|stretch| stretch.place(at))
    }

    /// The column of an instant; `None` outside.
    pub(super) fn column(&self, at: Timestamp) -> Option<u16> {
        self.place(at).map(|place| place as u16)
    }

    /// The columns left blank between two stretches.
    pub(super) fn gap(&self) -> Option<std::ops::Range<u16>> {
        (self.stretches.len() == 2).then(|| {
            let first = self.stretches[1].first;
            first - BREAK..first
        })
    }

    /// First and last column of a range, as far as it is on the axis.
    pub(super) fn span(&self, range: TimeRange) -> Option<(u16, u16)> {
        let mut found: Option<(u16, u16)> = None;
        for stretch in &self.stretches {
            let (from, to) = (range.start.max(stretch.range.start), range.end.min(stretch.range.end));
            // Where two stretches meet, the range is on the one that holds more of it than its end.
            if from < to || (from == to && range.start == range.end) {
                let first = found.map_or_else(|| stretch.place(from), |(first, _)| Some(f64::from(first)));
                found = first.zip(stretch.place(to)).map(|(first, last)| (first as u16, last as u16));
            }
        }
        found
    }

    /// First and last column of the window.
    pub(super) fn window(&self) -> Option<(u16, u16)> {
        self.span(self.window)
    }

    /// Labels with their column, at round times, none touching another: `14:05`, `14:05:30` where seconds matter,
    /// with the day where the axis spans several.
    pub(super) fn ticks(&self) -> Vec<(u16, String)> {
        let mut ticks = Vec::new();
        let days = |at: Timestamp| at.secs().div_euclid(86_400);
        let (first, last) = (self.stretches.first(), self.stretches.last());
        let one_day = first.zip(last).is_some_and(|(first, last)| days(first.range.start) == days(last.range.end));
        for stretch in &self.stretches {
            let span = stretch.range.duration().as_secs().max(1);
            let dated = if one_day { 0 } else { 6 };
            let per_column = span as f64 / f64::from(stretch.columns.max(1));
            let step = |width: u16| {
                let least = per_column * f64::from(width + 3);
                STEPS.into_iter().find(|step| *step as f64 >= least).unwrap_or(STEPS[STEPS.len() - 1])
            };
            let seconds = step(5 + dated) < 60;
            let width = if seconds { 8 } else { 5 } + dated;
            let step = step(width).max(if seconds { 1 } else { 60 });
            let pattern = match (one_day, seconds) {
                (true, false) => "%H:%M",
                (true, true) => "%H:%M:%S",
                (false, false) => "%m-%d %H:%M",
                (false, true) => "%m-%d %H:%M:%S",
            };
            let start = stretch.range.start.secs();
            let mut at = start + (step as i64 - start.rem_euclid(step as i64)) % step as i64;
            let mut end = stretch.first;
            let before = ticks.len();
            while let Some(column) = self.column(Timestamp::from_secs(at)).filter(|_| ticks.len() < 64) {
                if column >= end && column + width <= stretch.first + stretch.columns {
                    ticks.push((column, Timestamp::from_secs(at).format(pattern)));
                    end = column + width + 2;
                }
                at += step as i64;
            }
            // No round time fits: the beginning is said at least.
            if ticks.len() == before && stretch.columns >= width {
                ticks.push((stretch.first, stretch.range.start.plus(Duration::ZERO).format(pattern)));
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_secs(start), Timestamp::from_secs(end))
    }

    #[test]
    fn neighbouring_ranges_share_one_axis() {
        let axis = Axis::new(range(0, 60), range(60, 100), 50);
        assert_eq!(axis.column(Timestamp::from_secs(0)), Some(0));
        assert_eq!(axis.column(Timestamp::from_secs(50)), Some(25));
        assert_eq!(axis.column(Timestamp::from_secs(100)), Some(49));
        assert_eq!(axis.column(Timestamp::from_secs(101)), None);
        assert_eq!(axis.gap(), None);
        assert_eq!(axis.window(), Some((30, 49)));
    }

    #[test]
    fn a_long_gap_is_left_out() {
        let axis = Axis::new(range(0, 60), range(6_000, 6_060), 42);
        assert_eq!(axis.gap(), Some(20..22));
        assert_eq!(axis.column(Timestamp::from_secs(30)), Some(10));
        assert_eq!(axis.column(Timestamp::from_secs(3_000)), None);
        assert_eq!(axis.column(Timestamp::from_secs(6_030)), Some(32));
        assert_eq!(axis.span(range(0, 60)), Some((0, 19)));
    }

    #[test]
    fn a_short_window_beside_a_long_baseline_can_be_read() {
        let axis = Axis::new(range(0, 100_000), range(100_000, 100_600), 82);
        assert_eq!(axis.window(), Some((42, 81)));
    }

    #[test]
    fn a_baseline_after_the_window_stands_at_the_right() {
        let axis = Axis::new(range(6_000, 6_060), range(0, 60), 41);
        assert_eq!(axis.column(Timestamp::from_secs(0)), Some(0));
        assert_eq!(axis.column(Timestamp::from_secs(6_060)), Some(40));
    }

    #[test]
    fn ticks_stand_at_round_times() {
        let texts = |axis: &Axis| axis.ticks().into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        let hour = Axis::new(range(36_010, 39_010), range(39_010, 39_800), 70);
        assert_eq!(texts(&hour), ["10:10", "10:20", "10:30", "10:40", "10:50"]);
        let minute = Axis::new(range(36_000, 36_040), range(36_040, 36_060), 60);
        assert_eq!(texts(&minute), ["10:00:00", "10:00:15", "10:00:30", "10:00:45"]);
        let days = Axis::new(range(0, 3_600), range(864_000, 867_600), 60);
        assert_eq!(texts(&days), ["01-01 00:00", "01-01 00:30", "01-11 00:00", "01-11 00:30"]);
    }

    proptest! {
        #[test]
        fn no_tick_touches_another_or_leaves_the_axis(
            (a, b, c, d) in (0_i64..900_000, 0_i64..900_000, 0_i64..900_000, 0_i64..900_000),
            columns in 0_u16..130,
        ) {
            let axis = Axis::new(range(a.min(b), a.max(b)), range(c.min(d), c.max(d)), columns);
            let mut end = 0;
            for (column, text) in axis.ticks() {
                prop_assert!(column >= end, "{:?}", axis.ticks());
                end = column + text.len() as u16 + 1;
                prop_assert!(end <= columns + 1);
            }
        }
    }
}
