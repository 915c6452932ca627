//! A time axis that leaves out the gap between a baseline and a window that are far apart.

use crate::domain::{TimeRange, Timestamp};

/// A stretch of time on a stretch of columns.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    range: TimeRange,
    first: u16,
    columns: u16,
}

/// Maps instants to columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    stretches: Vec<Stretch>,
}

/// A gap longer than this share of the whole is left out.
const GAP: f64 = 0.2;

impl Axis {
    /// An axis of `columns` columns over both ranges. Where they are far apart each gets half, with one column
    /// between them.
    pub(super) fn new(baseline: TimeRange, window: TimeRange, columns: u16) -> Self {
        let (early, late) = if baseline.start <= window.start { (baseline, window) } else { (window, baseline) };
        let whole = early.union(late);
        let gap = late.start.since(early.end).as_secs_f64();
        let total = whole.duration().as_secs_f64();
        if columns < 8 || total <= 0.0 || gap / total <= GAP {
            return Self { stretches: vec![Stretch { range: whole, first: 0, columns }] };
        }
        let left = (columns - 1) / 2;
        Self {
            stretches: vec![
                Stretch { range: early, first: 0, columns: left },
                Stretch { range: late, first: left + 1, columns: columns - 1 - left },
            ],
        }
    }

    /// The column of an instant; `None` outside.
    pub(super) fn column(&self, at: Timestamp) -> Option<u16> {
        self.stretches.iter().find_map(|stretch| {
            let range = stretch.range;
            if at < range.start || at > range.end || stretch.columns == 0 {
                return None;
            }
            let span = range.duration().as_secs_f64();
            let share = if span > 0.0 { at.since(range.start).as_secs_f64() / span } else { 0.0 };
            Some(stretch.first + ((share * f64::from(stretch.columns)) as u16).min(stretch.columns - 1))
        })
    }

    /// The column left blank between two stretches.
    pub(super) fn gap(&self) -> Option<u16> {
        (self.stretches.len() == 2).then(|| self.stretches[1].first - 1)
    }

    /// Instants to be labelled, with their column, at least `apart` columns from one another.
    pub(super) fn ticks(&self, apart: u16) -> Vec<(u16, Timestamp)> {
        let mut ticks = Vec::new();
        for stretch in &self.stretches {
            let span = stretch.range.duration();
            let parts = (stretch.columns / apart.max(1)).max(1);
            for part in 0..parts {
                let share = f64::from(part) / f64::from(parts);
                let at = stretch.range.start.plus(span.mul_f64(share));
                ticks.push((stretch.first + (share * f64::from(stretch.columns)) as u16, at));
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
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
    }

    #[test]
    fn a_long_gap_is_left_out() {
        let axis = Axis::new(range(0, 60), range(6_000, 6_060), 41);
        assert_eq!(axis.gap(), Some(20));
        assert_eq!(axis.column(Timestamp::from_secs(30)), Some(10));
        assert_eq!(axis.column(Timestamp::from_secs(3_000)), None);
        assert_eq!(axis.column(Timestamp::from_secs(6_030)), Some(31));
    }

    #[test]
    fn a_baseline_after_the_window_stands_at_the_right() {
        let axis = Axis::new(range(6_000, 6_060), range(0, 60), 41);
        assert_eq!(axis.column(Timestamp::from_secs(0)), Some(0));
        assert_eq!(axis.column(Timestamp::from_secs(6_060)), Some(40));
    }
}
