//! Which log entries are normal, which belong to the incident, and how long each was really watched.

use std::collections::{BTreeMap, BTreeSet};

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
    /// What stands for the baseline of services that were silent in it.
    references: Vec<Reference>,
}

/// A stretch before the window in which services spoke that were silent in the baseline. What they said there is the
/// only thing known of what they usually say.
#[derive(Debug, Clone, PartialEq)]
struct Reference {
    /// From the first line of any of them to the end of the stretch.
    range: TimeRange,
    /// Parts in which other incidents were open, sorted, apart from each other.
    spoiled: Vec<TimeRange>,
    services: BTreeSet<String>,
}

/// Where services that are silent in the baseline may have spoken: just before the baseline, else between baseline
/// and window, each as long as the longer of the two. Empty where there is no such time.
pub(super) fn elsewhere(baseline: TimeRange, window: TimeRange) -> [TimeRange; 2] {
    let length = baseline.duration().max(window.duration());
    [
        TimeRange::new(baseline.start.minus(length), baseline.start.min(window.start)),
        TimeRange::new(baseline.end.max(window.start.minus(length)), window.start),
    ]
}

/// The service that wrote an entry, as its labels name it; empty when they do not.
pub(super) fn speaker(entry: &LogEntry) -> &str {
    entry.labels.service().or_else(|| entry.metadata.service()).unwrap_or_default()
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
        Self { baseline, window, spoiled: Vec::new(), cuts: Vec::new(), references: Vec::new() }
    }

    /// Those of a snapshot: without what other incidents spoiled, unless little else is left, and mindful of answers
    /// that were cut.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut periods = Self::new(snapshot.incident.baseline, snapshot.incident.window);
        periods.spoil(&snapshot.spoiled, &snapshot.logs);
        periods.refer(&snapshot.spoiled, &snapshot.logs);
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
        let apart = within(spoiled, self.baseline);
        let left = seconds_outside(self.baseline, &apart);
        let speaks =
            |entry: &LogEntry| self.baseline.contains(entry.at) && !apart.iter().any(|range| range.contains(entry.at));
        if left >= LEAST_LEFT * self.baseline.duration().as_secs_f64() && entries.iter().any(speaks) {
            self.spoiled = apart;
        }
    }

    /// Finds what stands for the baseline of services that spoke in the window and were silent in the baseline.
    fn refer(&mut self, spoiled: &[TimeRange], entries: &[LogEntry]) {
        let places = elsewhere(self.baseline, self.window);
        let spoiled = places.map(|place| within(spoiled, place));
        let place_of = |at: Timestamp| {
            (0..2).find(|&place| {
                places[place].contains(at) && !spoiled[place].iter().any(|range: &TimeRange| range.contains(at))
            })
        };
        if !entries.iter().any(|entry| place_of(entry.at).is_some()) {
            return;
        }
        let mut spoke: BTreeMap<&str, [bool; 2]> = BTreeMap::new();
        let mut first: BTreeMap<&str, [Option<Timestamp>; 2]> = BTreeMap::new();
        for entry in entries {
            if let Some(period) = self.of_time(entry.at) {
                spoke.entry(speaker(entry)).or_default()[period] = true;
            } else if let Some(place) = place_of(entry.at) {
                let first = &mut first.entry(speaker(entry)).or_default()[place];
                *first = Some(first.map_or(entry.at, |known| known.min(entry.at)));
            }
        }
        first.retain(|service, _| spoke.get(service) == Some(&[false, true]));
        for (number, (place, spoiled)) in places.into_iter().zip(spoiled).enumerate() {
            let is_here = |first: &[Option<Timestamp>; 2]| first.iter().position(Option::is_some) == Some(number);
            let here: BTreeMap<&str, Timestamp> = first
                .iter()
                .filter(|(_, first)| is_here(first))
                .filter_map(|(service, first)| first[number].map(|at| (*service, at)))
                .collect();
            if let Some(start) = here.values().min() {
                let range = TimeRange::new(*start, place.end);
                let services = here.into_keys().map(str::to_owned).collect();
                self.references.push(Reference { range, spoiled: within(&spoiled, range), services });
            }
        }
    }

    /// [`BASELINE`], [`WINDOW`], or neither, with what stands for the baseline where a service was silent in it.
    pub(super) fn of_entry(&self, entry: &LogEntry) -> Option<usize> {
        self.of_time(entry.at).or_else(|| self.reference(entry).map(|_| BASELINE))
    }

    /// Number of the reference that an entry belongs to, which lies outside of baseline and window.
    pub(super) fn reference(&self, entry: &LogEntry) -> Option<usize> {
        self.references.iter().position(|one| {
            one.range.contains(entry.at)
                && !one.spoiled.iter().any(|range| range.contains(entry.at))
                && one.services.contains(speaker(entry))
        })
    }

    /// What stands for the baseline of a service, where it was silent in it: the number of the reference.
    pub(super) fn reference_of(&self, service: &str) -> Option<usize> {
        self.references.iter().position(|one| one.services.contains(service))
    }

    /// The stretches of the references, with the services that they are for.
    pub(super) fn references(&self) -> impl Iterator<Item = (TimeRange, &BTreeSet<String>)> {
        self.references.iter().map(|one| (one.range, &one.services))
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
        seconds_outside(self.baseline, &self.spoiled)
    }

    const fn range(&self, period: usize) -> TimeRange {
        if period == WINDOW { self.window } else { self.baseline }
    }
}

/// The parts of `ranges` inside `place`, sorted, apart from each other.
fn within(ranges: &[TimeRange], place: TimeRange) -> Vec<TimeRange> {
    let mut parts: Vec<TimeRange> = ranges
        .iter()
        .filter(|range| range.overlaps(place))
        .map(|range| TimeRange::new(range.start.max(place.start), range.end.min(place.end)))
        .collect();
    parts.sort_by_key(|range| (range.start, range.end));
    let mut apart: Vec<TimeRange> = Vec::new();
    for part in parts {
        match apart.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => apart.push(part),
        }
    }
    apart
}

/// Seconds of `range` outside of `parts`, which lie in it, apart from each other.
fn seconds_outside(range: TimeRange, parts: &[TimeRange]) -> f64 {
    let lost: f64 = parts.iter().map(|part| part.duration().as_secs_f64()).sum();
    (range.duration().as_secs_f64() - lost).max(0.0)
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

    /// Sets the minutes of a service whose baseline is a reference: the time from its begin on.
    pub(super) fn refer(&mut self, service: u32, periods: &Periods, reference: usize) {
        let one = &periods.references[reference];
        let seconds = seconds_outside(one.range, &one.spoiled);
        self.by_service.entry(service).or_insert(self.all)[BASELINE] = seconds.max(1.0) / 60.0;
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
mod tests;
