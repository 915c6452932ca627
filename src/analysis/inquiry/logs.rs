//! Rounds 3 to 5: log lines, with a fair share for every service where there are too many.

use std::collections::{BTreeMap, BTreeSet};

use super::super::periods;
use super::naming::one_of;
use super::shares::fair_share;
use super::{Inquiry, LOG_SLICES, MOST_LINES, Role, streams, timing};
use crate::domain::TimeRange;
use crate::domain::labels::quote;
use crate::domain::query::{Data, Direction, Lang, Purpose, Query};

/// Writers that are asked one by one in one slice; of more that flood, the others share one question.
const MOST_FLOODS: usize = 12;
/// A cut answer of fewer lines was not cut by a flood.
const FLOOD: usize = 1_000;
/// Services that were silent in the baseline whose lines before it are asked for.
const MOST_SILENT: usize = 60;
/// Writers named in one note, at most.
const MOST_NAMED: usize = 5;

impl Inquiry {
    pub(super) fn ask_logs(&mut self, services: &BTreeSet<String>) {
        let candidates = streams::candidates(&self.names(&Role::LogLabels));
        let mut values = BTreeMap::new();
        for label in &candidates {
            values.insert(label.clone(), self.names(&Role::LabelValues(Lang::LogQl, label.clone())));
        }
        let Some(selection) = streams::select(&candidates, &values, services) else { return };
        if selection.left_out > 0 {
            self.note(&format!("logs of {} other streams or services were not asked for", selection.left_out));
        }
        let of =
            |range, count, direction| timing::slices(range, count).into_iter().map(move |slice| (slice, direction));
        // The end of the baseline and the begin of the window are the nearest to what happened.
        let slices: Vec<(TimeRange, Direction)> = of(self.incident.baseline, LOG_SLICES.1, Direction::Backward)
            .chain(of(self.incident.window, LOG_SLICES.0, Direction::Forward))
            .collect();
        for &(range, direction) in &slices {
            let query = Query::Logs { expr: selection.selector.clone(), range, limit: MOST_LINES, direction };
            self.plan(query, Purpose::Logs, Role::Logs);
        }
        self.logs = Some((selection, slices));
    }

    /// Slices in which there were more lines than could be taken.
    fn cut_slices(&self) -> Vec<(TimeRange, Direction)> {
        let Some((_, slices)) = &self.logs else { return Vec::new() };
        let is_cut = |range: TimeRange| {
            self.slots.iter().any(|slot| {
                slot.roles.contains(&Role::Logs)
                    && slot.planned.query.range() == Some(range)
                    && slot.answer.as_ref().is_some_and(|answer| answer.is_cut() && answer.len() >= FLOOD)
            })
        };
        slices.iter().copied().filter(|(range, _)| is_cut(*range)).collect()
    }

    /// Asks who wrote how many lines in the slices that were cut.
    pub(super) fn count_cut_logs(&mut self) {
        let Some((selection, _)) = self.logs.clone() else { return };
        for (range, _) in self.cut_slices() {
            let seconds = range.duration().as_secs().max(1);
            let expr = format!("sum by ({}) (count_over_time({}[{seconds}s]))", selection.label, selection.selector);
            let query = Query::Instant { lang: Lang::LogQl, expr, at: range.end };
            self.plan(query, Purpose::Discovery, Role::LineCounts(range));
        }
    }

    /// Where a service spoke in the window and not in the baseline, asks what it said before: without that, all that it
    /// says would be new.
    pub(super) fn ask_silent_logs(&mut self) {
        let Some((selection, _)) = &self.logs else { return };
        let (window, chosen) = (self.incident.window, self.incident.baseline);
        let mut spoke: BTreeMap<&str, ([bool; 2], usize)> = BTreeMap::new();
        for slot in self.slots.iter().filter(|slot| slot.roles.contains(&Role::Logs)) {
            let Some(Data::Logs(entries)) = slot.answer.as_ref().map(|answer| &answer.data) else { continue };
            for entry in entries {
                let Some(writer) = entry.labels.get(&selection.label) else { continue };
                let (periods, lines) = spoke.entry(writer).or_default();
                let is_spoiled = self.spoiled.iter().any(|range| range.contains(entry.at));
                periods[0] |= chosen.contains(entry.at) && !window.contains(entry.at) && !is_spoiled;
                periods[1] |= window.contains(entry.at);
                *lines += 1;
            }
        }
        let scope = self.services_in_scope();
        let mut silent: Vec<(bool, usize, &str)> = spoke
            .into_iter()
            .filter(|(_, (periods, _))| *periods == [false, true])
            .map(|(writer, (_, lines))| (!streams::names_one_of(writer, &scope), lines, writer))
            .collect();
        // Services in scope first, then those that said most.
        silent.sort_by(|a, b| (a.0, b.1, a.2).cmp(&(b.0, a.1, b.2)));
        let left_out = silent.len().saturating_sub(MOST_SILENT);
        silent.truncate(MOST_SILENT);
        silent.sort_by_key(|one| one.2);
        if silent.is_empty() {
            return;
        }
        let expr = format!("{{{}}}", one_of(&selection.label, silent.iter().map(|one| one.2)));
        let places = periods::elsewhere(chosen, window);
        let places: Vec<TimeRange> = places.into_iter().filter(|place| !place.duration().is_zero()).collect();
        self.mind_trouble(&places);
        for range in places {
            let query = Query::Logs { expr: expr.clone(), range, limit: MOST_LINES, direction: Direction::Backward };
            self.plan(query, Purpose::Logs, Role::Elsewhere);
        }
        if left_out > 0 {
            self.note(&format!(
                "{left_out} other services were silent in the baseline: not asked what they said before"
            ));
        }
    }

    fn line_counts(&self, range: TimeRange, label: &str) -> BTreeMap<String, u64> {
        let Some(Data::Series(series)) = self.answer_of(&Role::LineCounts(range)).map(|answer| &answer.data) else {
            return BTreeMap::new();
        };
        let mut counts = BTreeMap::new();
        for one in series {
            let value = one.samples.last().map_or(0.0, |sample| sample.value);
            if let Some(writer) = one.labels.get(label).filter(|_| value.is_finite() && value >= 1.0) {
                *counts.entry(writer.to_owned()).or_insert(0) += value as u64;
            }
        }
        counts
    }

    /// Asks for a fair share of each writer's lines in the slices that were cut: those that wrote little are taken
    /// whole, in one query, and a flood gets what they leave.
    pub(super) fn ask_shares(&mut self) {
        let Some((selection, _)) = self.logs.clone() else { return };
        let scope = self.services_in_scope();
        let mut taken: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (range, direction) in self.cut_slices() {
            let counts = self.line_counts(range, &selection.label);
            let Some(share) = fair_share(&counts, MOST_LINES as u64).filter(|share| *share > 0 && counts.len() > 1)
            else {
                continue;
            };
            let (quiet, floods): (Vec<_>, Vec<_>) = counts.iter().partition(|(_, count)| **count <= share);
            let mut floods: Vec<(bool, &String, u64)> =
                floods.into_iter().map(|(name, count)| (!streams::names_one_of(name, &scope), name, *count)).collect();
            // Services in scope first, then those that wrote most.
            floods.sort_by(|a, b| (a.0, b.2, a.1).cmp(&(b.0, a.2, b.1)));
            let rest = floods.split_off(MOST_FLOODS.min(floods.len()));
            let mut ask = |expr: String, limit: usize| {
                self.plan(Query::Logs { expr, range, limit, direction }, Purpose::Logs, Role::Share(range));
            };
            if !quiet.is_empty() {
                let expr = format!("{{{}}}", one_of(&selection.label, quiet.iter().map(|(name, _)| name.as_str())));
                ask(expr, MOST_LINES);
            }
            let limit = usize::try_from(share).unwrap_or(MOST_LINES).min(MOST_LINES);
            if !rest.is_empty() {
                let expr = format!("{{{}}}", one_of(&selection.label, rest.iter().map(|(_, name, _)| name.as_str())));
                ask(expr, (limit * rest.len()).min(MOST_LINES));
            }
            for (_, name, _) in &floods {
                ask(format!("{{{}={}}}", selection.label, quote(name)), limit);
            }
            for (_, name, count) in floods.into_iter().chain(rest) {
                let entry = taken.entry(name.clone()).or_default();
                (entry.0, entry.1) = (entry.0 + share.min(count), entry.1 + count);
            }
        }
        let mut told: Vec<(&String, &(u64, u64))> = taken.iter().collect();
        told.sort_by(|a, b| b.1.1.cmp(&a.1.1).then_with(|| a.0.cmp(b.0)));
        if !told.is_empty() {
            let words: Vec<String> =
                told.iter().take(MOST_NAMED).map(|(name, (some, all))| format!("{name} {some} of {all}")).collect();
            let rest = told.len().saturating_sub(MOST_NAMED);
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            self.note(&format!(
                "log lines were shared out, a flood gets what others leave: {}{more}",
                words.join(", ")
            ));
        }
    }

    /// Slices whose shares were all answered: they replace what was cut.
    pub(super) fn shared_slices(&self) -> Vec<TimeRange> {
        let mut all: BTreeMap<(crate::domain::Timestamp, crate::domain::Timestamp), bool> = BTreeMap::new();
        for slot in &self.slots {
            for role in &slot.roles {
                if let Role::Share(range) = role {
                    *all.entry((range.start, range.end)).or_insert(true) &= slot.answer.is_some();
                }
            }
        }
        all.into_iter().filter(|(_, whole)| *whole).map(|((start, end), _)| TimeRange::new(start, end)).collect()
    }
}
