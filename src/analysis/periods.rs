//! Which log entries are normal, which belong to the incident, and how long each was really watched.

use std::collections::BTreeMap;

use crate::domain::log::LogEntry;
use crate::domain::query::{Direction, NoteKind, Query};
use crate::domain::snapshot::Snapshot;
use crate::domain::{TimeRange, Timestamp};

/// Index of the baseline in two-element arrays.
pub(super) const BASELINE: usize = 0;
/// Index of the window.
pub(super) const WINDOW: usize = 1;
/// Part of the baseline that must be left after other incidents are taken out; else it is used as it is.
const LEAST_LEFT: f64 = 0.1;
/// Entries that must be there before a silence at an edge means that nothing was watched.
const MANY: u64 = 50;

/// Baseline and window of an incident, as log entries are assigned to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Periods {
    /// What is normal.
    pub baseline: TimeRange,
    /// The incident.
    pub window: TimeRange,
    /// Parts of the baseline in which other incidents were open, sorted, apart from each other.
    spoiled: Vec<TimeRange>,
    /// Answers that a limit cut.
    cuts: Vec<Cut>,
}

/// An answer that lacks entries at one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    range: TimeRange,
    direction: Direction,
    /// Another question asked for other streams of the same time.
    partial: bool,
}

impl Periods {
    /// All of `baseline` and `window`.
    pub const fn new(baseline: TimeRange, window: TimeRange) -> Self {
        Self { baseline, window, spoiled: Vec::new(), cuts: Vec::new() }
    }

    /// Those of a snapshot: without what other incidents spoiled, unless little else is left, and mindful of answers
    /// that were cut.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut periods = Self::new(snapshot.incident.baseline, snapshot.incident.window);
        periods.spoil(&snapshot.spoiled, &snapshot.logs);
        let questions: Vec<_> = snapshot
            .asked
            .iter()
            .filter_map(|asked| match &asked.planned.query {
                Query::Logs { range, limit, direction, expr } => Some((asked, *range, *limit, *direction, expr)),
                _ => None,
            })
            .collect();
        for (asked, range, limit, direction, expr) in &questions {
            let is_full = asked.outcome.as_ref().is_ok_and(|count| count >= limit);
            if is_full || asked.notes.iter().any(|note| note.kind == NoteKind::Cut && note.text.contains("missing")) {
                let partial = questions.iter().any(|other| other.4 != *expr && other.1.overlaps(*range));
                periods.cuts.push(Cut { range: *range, direction: *direction, partial });
            }
        }
        periods
    }

    fn spoil(&mut self, spoiled: &[TimeRange], entries: &[LogEntry]) {
        let mut parts: Vec<TimeRange> = spoiled
            .iter()
            .filter(|range| range.overlaps(self.baseline))
            .map(|range| TimeRange::new(range.start.max(self.baseline.start), range.end.min(self.baseline.end)))
            .collect();
        parts.sort_by_key(|range| (range.start, range.end));
        let mut apart: Vec<TimeRange> = Vec::new();
        for part in parts {
            match apart.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => apart.push(part),
            }
        }
        let lost: f64 = apart.iter().map(|range| range.duration().as_secs_f64()).sum();
        let left = self.baseline.duration().as_secs_f64() - lost;
        let speaks =
            |entry: &LogEntry| self.baseline.contains(entry.at) && !apart.iter().any(|range| range.contains(entry.at));
        if left >= LEAST_LEFT * self.baseline.duration().as_secs_f64() && entries.iter().any(speaks) {
            self.spoiled = apart;
        }
    }

    /// [`BASELINE`], [`WINDOW`], or neither. What lies in both belongs to the window.
    pub(super) fn of_time(&self, at: Timestamp) -> Option<usize> {
        if self.window.contains(at) {
            Some(WINDOW)
        } else if self.baseline.contains(at) && !self.spoiled.iter().any(|range| range.contains(at)) {
            Some(BASELINE)
        } else {
            None
        }
    }

    /// Seconds of the period that entries may come from.
    fn seconds(&self, period: usize) -> f64 {
        if period == WINDOW {
            return self.window.duration().as_secs_f64();
        }
        let lost: f64 = self.spoiled.iter().map(|range| range.duration().as_secs_f64()).sum();
        (self.baseline.duration().as_secs_f64() - lost).max(0.0)
    }

    const fn range(&self, period: usize) -> TimeRange {
        if period == WINDOW { self.window } else { self.baseline }
    }
}

/// Minutes that each service was watched in baseline and window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spans {
    all: [f64; 2],
    by_service: BTreeMap<u32, [f64; 2]>,
}

/// Entries of one service in one period, or in one cut answer.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    count: u64,
    ends: Option<(Timestamp, Timestamp)>,
}

impl Extent {
    fn add(&mut self, at: Timestamp) {
        self.count += 1;
        self.ends = Some(self.ends.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    }

    /// Seconds of `cut` in which nothing can have been seen.
    fn blind(&self, cut: &Cut) -> f64 {
        let Some((first, last)) = self.ends else { return 0.0 };
        match cut.direction {
            Direction::Forward => cut.range.end.since(last).as_secs_f64(),
            Direction::Backward => first.since(cut.range.start).as_secs_f64(),
        }
    }
}

impl Spans {
    /// What `entries` (time and service of each) show of the periods. Where an answer was cut, its silent end was not
    /// watched. Where all entries together cover clearly less than a period, the rest was not watched either:
    /// recordings begin late. Few entries prove nothing about that.
    pub(super) fn observed(periods: &Periods, entries: impl Iterator<Item = (Timestamp, u32)>) -> Self {
        let mut whole = [Extent::default(); 2];
        let mut cut: Vec<Extent> = vec![Extent::default(); periods.cuts.len()];
        let mut cut_of: BTreeMap<(usize, u32), Extent> = BTreeMap::new();
        for (at, service) in entries {
            let Some(period) = periods.of_time(at) else { continue };
            whole[period].add(at);
            for (number, one) in periods.cuts.iter().enumerate().filter(|(_, one)| one.range.contains(at)) {
                cut[number].add(at);
                if one.partial {
                    cut_of.entry((number, service)).or_default().add(at);
                }
            }
        }
        let mut all = [0.0; 2];
        for period in [BASELINE, WINDOW] {
            let seconds = periods.seconds(period);
            let Extent { count, ends } = whole[period];
            let seen = ends.map_or(0.0, |(first, last)| last.since(first).as_secs_f64());
            let seen = seen * (count as f64 + 1.0) / (count as f64 - 1.0).max(1.0);
            all[period] = if count >= MANY && seen < 0.9 * seconds { seen.max(seconds / 100.0) } else { seconds };
        }
        let mut by_service: BTreeMap<u32, [f64; 2]> = BTreeMap::new();
        let period_of =
            |one: &Cut| [WINDOW, BASELINE].into_iter().find(|period| periods.range(*period).overlaps(one.range));
        let complete = all;
        for (number, one) in periods.cuts.iter().enumerate().filter(|(_, one)| !one.partial) {
            if let Some(period) = period_of(one) {
                let seconds = periods.seconds(period);
                // A recording that begins late is known already.
                if complete[period] >= 0.9 * seconds {
                    all[period] = (all[period] - cut[number].blind(one)).max(seconds / 100.0);
                }
            }
        }
        for ((number, service), extent) in cut_of.into_iter().filter(|(_, extent)| extent.count >= MANY) {
            let one = &periods.cuts[number];
            let Some(period) = period_of(one) else { continue };
            let slot = by_service.entry(service).or_insert(all);
            slot[period] = (slot[period] - extent.blind(one)).max(periods.seconds(period) / 100.0);
        }
        let minutes = |seconds: [f64; 2]| seconds.map(|one| one / 60.0);
        Self {
            all: minutes(all),
            by_service: by_service.into_iter().map(|(service, seconds)| (service, minutes(seconds))).collect(),
        }
    }

    /// Minutes of one service.
    pub(super) fn minutes(&self, service: u32) -> [f64; 2] {
        self.by_service.get(&service).copied().unwrap_or(self.all)
    }

    /// The window's share of the time that a service was watched.
    pub(super) fn share(&self, service: u32) -> f64 {
        let [baseline, window] = self.minutes(service);
        window / (window + baseline)
    }

    /// Whether there is anything to compare.
    pub(super) fn comparable(&self) -> bool {
        self.all.iter().all(|minutes| *minutes > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Labels, Text};

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_secs(start), Timestamp::from_secs(end))
    }

    fn entry(at: i64) -> LogEntry {
        LogEntry {
            at: Timestamp::from_secs(at),
            labels: Arc::new(Labels::new()),
            line: Text::new("x"),
            metadata: Labels::new(),
        }
    }

    #[test]
    fn what_other_incidents_spoiled_is_no_baseline_unless_little_else_is_left() {
        let mut periods = Periods::new(range(0, 600), range(600, 900));
        let entries: Vec<LogEntry> = (0..60).map(|i| entry(i * 10)).collect();
        periods.spoil(&[range(100, 250), range(200, 300), range(-50, 20)], &entries);
        assert_eq!(periods.spoiled, [range(0, 20), range(100, 300)]);
        assert_eq!(periods.of_time(Timestamp::from_secs(150)), None);
        assert_eq!(periods.of_time(Timestamp::from_secs(50)), Some(BASELINE));
        assert_eq!(periods.of_time(Timestamp::from_secs(700)), Some(WINDOW));
        assert!((periods.seconds(BASELINE) - 380.0).abs() < 1e-9);
        let mut periods = Periods::new(range(0, 600), range(600, 900));
        periods.spoil(&[range(0, 590)], &entries);
        assert!(periods.spoiled.is_empty());
    }

    #[test]
    fn the_silent_end_of_a_cut_answer_was_not_watched() {
        let mut periods = Periods::new(range(0, 600), range(600, 1_200));
        periods.cuts = vec![
            Cut { range: range(300, 600), direction: Direction::Backward, partial: false },
            Cut { range: range(600, 1_200), direction: Direction::Forward, partial: true },
        ];
        // The second half of the baseline was cut at 500; in the window, service 1 was cut at 700 and service 2 not.
        let times = (0..30).map(|i| (i * 10, 2)).chain((0..100).map(|i| (500 + i, 2)));
        let times = times.chain((0..100).map(|i| (600 + i, 1))).chain((0..100).map(|i| (600 + i * 6, 2)));
        let spans = Spans::observed(&periods, times.map(|(at, service)| (Timestamp::from_secs(at), service)));
        assert!((spans.minutes(2)[BASELINE] - 400.0 / 60.0).abs() < 0.1, "{spans:?}");
        assert!((spans.minutes(2)[WINDOW] - 10.0).abs() < 0.2, "{spans:?}");
        assert!((spans.minutes(1)[WINDOW] - 100.0 / 60.0).abs() < 0.1, "{spans:?}");
    }

    #[test]
    fn a_recording_that_begins_late_is_measured_by_what_it_holds() {
        let periods = Periods::new(range(0, 600), range(600, 900));
        let times = (0..100).map(|i| (Timestamp::from_secs(500 + i), 0)).chain([(Timestamp::from_secs(700), 0)]);
        let spans = Spans::observed(&periods, times);
        assert!((spans.minutes(0)[BASELINE] - 101.0 / 60.0).abs() < 0.1);
        assert!((spans.minutes(0)[WINDOW] - 5.0).abs() < 1e-9);
        assert!(spans.comparable());
    }
}
