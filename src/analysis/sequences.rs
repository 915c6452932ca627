//! What used to follow and no longer does: the behaviour of requests, read from log entries that carry the id of a
//! trace, span or request.
//!
//! How often a template is logged follows the traffic. How often it is logged *given that the request came by* does
//! not. For each pair of events of one service within one span, and for each call from one service's entry to
//! another service within one trace, the share of requests that show the second event is compared before and after
//! the best split in time; the split lies inside the window, so a fault that begins in the middle of it is dated,
//! and a baseline of few requests is helped out by the calm part of the window.
//!
//! Shares are compared only where their Wilson intervals (Wilson, JASA 22, 1927) do not overlap, so that few requests
//! claim little; the strength is the size of the break times its certainty.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::entity::service_of;
use super::requests::Ids;
use super::templates::LogReading;
use crate::domain::evidence::{LogChange, LogDetail};
use crate::domain::log::LogEntry;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

/// Entries that are read, at most; beyond, every n-th unit is left out.
const MOST_ENTRIES: usize = 200_000;
/// Events followed per service.
const MOST_EVENTS: usize = 48;
/// Units on each side of a split, at least.
const LEAST_UNITS: usize = 3;
/// Width of the intervals in standard deviations.
const WIDTH: f64 = 1.96;
/// Findings per service and kind.
const MOST_FINDINGS: usize = 4;
/// Events of other services looked at in one trace.
const MOST_CALLED: usize = 64;
/// Characters of an event's template.
const MAX_EVENT: usize = 160;

/// A broken habit of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceFinding {
    /// The service whose event vanished or appeared.
    pub service: String,
    /// The service whose request it follows; the same, or a caller.
    pub caller: String,
    /// In words, with figures.
    pub text: String,
    /// As a log item: the event, with counts before and after.
    pub detail: LogDetail,
    /// 0 to 1: how much the habit broke, and how certainly.
    pub strength: f64,
    /// When the habit broke.
    pub onset: Timestamp,
    /// The template that it is about.
    event: u32,
}

/// One log entry as an event of a unit: its template.
struct Event {
    at: Timestamp,
    id: u32,
    entry: u32,
}

/// Finds broken habits, strongest first. `calls` says whether a service may call another; without a graph any
/// service may.
pub fn broken_habits(logs: &LogReading<'_>, calls: &dyn Fn(&str, &str) -> bool) -> Vec<SequenceFinding> {
    let reading = Reading::of(logs);
    let window = logs.periods.window;
    let mut found = reading.within_services(window);
    found.extend(reading.between_services(window, calls));
    found.sort_by(|a, b| {
        b.strength
            .total_cmp(&a.strength)
            .then_with(|| a.service.cmp(&b.service))
            .then_with(|| a.caller.cmp(&b.caller))
            .then_with(|| a.text.cmp(&b.text))
    });
    // The same event after another context says little new: the surest context inside of the service, and the surest
    // caller, are enough.
    let mut per_service: HashMap<String, (usize, BTreeSet<(u32, bool)>)> = HashMap::new();
    found.retain(|finding| {
        let (count, seen) = per_service.entry(finding.service.clone()).or_default();
        let fresh = seen.insert((finding.event, finding.caller == finding.service));
        *count += usize::from(fresh);
        fresh && *count <= MOST_FINDINGS
    });
    found
}

/// Whether most entries carry the id of a request: judged by an even sample of them.
pub fn traced(entries: &[LogEntry]) -> bool {
    let stride = entries.len().div_ceil(200).max(1);
    let (with, all) = entries
        .iter()
        .step_by(stride)
        .fold((0, 0), |(with, all), entry| (with + usize::from(Ids::of(entry).is_some()), all + 1));
    with * 2 > all
}

/// A request entering a service: when, its trace, and the entry that shows it.
type Visit = (Timestamp, u64, u32);

struct Reading<'r, 'e> {
    logs: &'r LogReading<'e>,
    /// Names of services, sorted.
    services: Vec<String>,
    /// Units of each service: events of one span (or trace, or request), sorted by time.
    spans: BTreeMap<(usize, u64), Vec<Event>>,
    /// Trace of each unit.
    trace_of: HashMap<(usize, u64), u64>,
    /// Template of each entry that was read.
    template_of: HashMap<u32, u32>,
    /// By service, the reference that stands for its baseline, where it was silent in that.
    reference_of: Vec<Option<usize>>,
}

impl<'r, 'e> Reading<'r, 'e> {
    fn of(logs: &'r LogReading<'e>) -> Self {
        let step = logs.entries.len().div_ceil(MOST_ENTRIES).max(1) as u64;
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut numbers: Vec<usize> = Vec::new();
        let mut read: Vec<(usize, Ids, Event)> = Vec::new();
        let mut last: Option<(Arc<Labels>, Option<usize>)> = None;
        for (index, template) in logs.events() {
            let entry = &logs.entries[index as usize];
            let Some(ids) = Ids::of(entry) else { continue };
            if !(ids.trace >> 9).is_multiple_of(step) {
                continue;
            }
            let service = match &last {
                Some((labels, service)) if Arc::ptr_eq(labels, &entry.labels) => *service,
                _ => {
                    let service = service_of(&entry.labels).map(|name| {
                        let next = names.len();
                        *names.entry(name).or_insert(next)
                    });
                    last = Some((Arc::clone(&entry.labels), service));
                    service
                }
            };
            let Some(service) = service else { continue };
            read.push((service, ids, Event { at: entry.at, id: template, entry: index }));
        }
        numbers.resize(names.len(), 0);
        for (number, seen) in names.values().enumerate() {
            numbers[*seen] = number;
        }
        let mut spans: BTreeMap<(usize, u64), Vec<Event>> = BTreeMap::new();
        let mut trace_of = HashMap::new();
        let mut template_of = HashMap::new();
        for (seen, ids, event) in read {
            let service = numbers[seen];
            template_of.insert(event.entry, event.id);
            trace_of.insert((service, ids.span), ids.trace);
            spans.entry((service, ids.span)).or_default().push(event);
        }
        let mut reference_of = vec![None; names.len()];
        for ((service, _), events) in &spans {
            for event in events {
                let entry = &logs.entries[event.entry as usize];
                reference_of[*service] = reference_of[*service].or_else(|| logs.periods.reference(entry));
            }
        }
        Self { logs, services: names.into_keys().collect(), spans, trace_of, template_of, reference_of }
    }

    /// Units of one service sorted by their start.
    fn units(&self, service: usize) -> Vec<&[Event]> {
        let mut units: Vec<&[Event]> =
            self.spans.range((service, 0)..=(service, u64::MAX)).map(|(_, events)| events.as_slice()).collect();
        units.sort_by_key(|events| (events[0].at, events[0].id, events.len()));
        units
    }

    fn within_services(&self, window: TimeRange) -> Vec<SequenceFinding> {
        let mut found = Vec::new();
        for number in 0..self.services.len() {
            let units = self.units(number);
            let mut count: BTreeMap<u32, usize> = BTreeMap::new();
            let sets: Vec<BTreeSet<u32>> =
                units.iter().map(|events| events.iter().map(|event| event.id).collect()).collect();
            for event in sets.iter().flatten() {
                *count.entry(*event).or_default() += 1;
            }
            let mut common: Vec<(usize, u32)> =
                count.iter().filter(|(_, n)| **n >= LEAST_UNITS).map(|(id, n)| (*n, *id)).collect();
            common.sort_by_key(|&(n, id)| (std::cmp::Reverse(n), id));
            common.truncate(MOST_EVENTS);
            let followed: BTreeSet<u32> = common.iter().map(|(_, id)| *id).collect();
            for &(_, context) in &common {
                let places: Vec<usize> = (0..units.len()).filter(|&unit| sets[unit].contains(&context)).collect();
                if places.len() < 2 * LEAST_UNITS {
                    continue;
                }
                let times: Vec<Timestamp> = places.iter().map(|&unit| units[unit][0].at).collect();
                let mut shown: BTreeMap<u32, Vec<bool>> = BTreeMap::new();
                for (place, &unit) in places.iter().enumerate() {
                    for event in sets[unit].intersection(&followed) {
                        shown.entry(*event).or_insert_with(|| vec![false; places.len()])[place] = true;
                    }
                }
                for (event, shows) in shown.into_iter().filter(|(event, _)| *event != context) {
                    let Some(split) = Split::best(&times, &shows, window) else { continue };
                    let example = |event: u32| {
                        places
                            .iter()
                            .rev()
                            .flat_map(|&unit| units[unit])
                            .find(|one| one.id == event)
                            .map(|one| one.entry)
                    };
                    let (Some(first), Some(second)) = (example(context), example(event)) else { continue };
                    found.push(self.finding(number, number, first, second, &split));
                }
            }
        }
        found
    }

    fn between_services(&self, window: TimeRange, calls: &dyn Fn(&str, &str) -> bool) -> Vec<SequenceFinding> {
        // For each trace, what services were entered by, and where that is shown first.
        let mut traces: BTreeMap<u64, BTreeMap<(usize, u32), u32>> = BTreeMap::new();
        let mut entries_of: BTreeMap<(usize, u32), Vec<Visit>> = BTreeMap::new();
        for ((service, span), events) in &self.spans {
            let Some(&trace) = self.trace_of.get(&(*service, *span)) else { continue };
            let first = &events[0];
            let entered = traces.entry(trace).or_default();
            if entered.len() < MOST_CALLED {
                entered.entry((*service, first.id)).or_insert(first.entry);
            }
            entries_of.entry((*service, first.id)).or_default().push((first.at, trace, first.entry));
        }
        let mut found = Vec::new();
        for ((caller, _), mut visits) in entries_of {
            visits.sort_unstable();
            // One visit per trace: several calls of one request say the same.
            let mut seen = BTreeSet::new();
            visits.retain(|(_, trace, _)| seen.insert(*trace));
            let reference = self.reference_of[caller];
            let admits = |callee: usize| calls(&self.services[caller], &self.services[callee]);
            if reference.is_none() {
                self.called(caller, &visits, &traces, window, &admits, &mut found);
                continue;
            }
            // Of a reference only the services are known that it is for: of the others a trace there shows nothing.
            let is_like = |callee: usize| self.reference_of[callee] == reference;
            self.called(caller, &visits, &traces, window, &|callee| admits(callee) && is_like(callee), &mut found);
            visits.retain(|(_, _, entry)| self.logs.periods.reference(&self.logs.entries[*entry as usize]).is_none());
            self.called(caller, &visits, &traces, window, &|callee| admits(callee) && !is_like(callee), &mut found);
        }
        found
    }

    /// Broken habits of the services that are called when one is visited.
    fn called(
        &self,
        caller: usize,
        visits: &[Visit],
        traces: &BTreeMap<u64, BTreeMap<(usize, u32), u32>>,
        window: TimeRange,
        admits: &dyn Fn(usize) -> bool,
        found: &mut Vec<SequenceFinding>,
    ) {
        if visits.len() < 2 * LEAST_UNITS {
            return;
        }
        let times: Vec<Timestamp> = visits.iter().map(|(at, ..)| *at).collect();
        let mut shown: BTreeMap<(usize, u32), (Vec<bool>, u32)> = BTreeMap::new();
        for (place, (_, trace, _)) in visits.iter().enumerate() {
            for (&(callee, event), &entry) in traces.get(trace).into_iter().flatten() {
                if callee != caller && admits(callee) {
                    let (shows, example) =
                        shown.entry((callee, event)).or_insert_with(|| (vec![false; visits.len()], entry));
                    shows[place] = true;
                    *example = entry;
                }
            }
        }
        for ((callee, _), (shows, second)) in shown {
            let Some(split) = Split::best(&times, &shows, window) else { continue };
            found.push(self.finding(callee, caller, visits[0].2, second, &split));
        }
    }

    /// In words: what came before, then the event that the finding is about.
    fn finding(&self, service: usize, caller: usize, first: u32, second: u32, split: &Split) -> SequenceFinding {
        let (service, caller) = (&self.services[service], &self.services[caller]);
        let by = if service == caller { String::new() } else { format!("{caller} ") };
        let text = format!(
            "after {by}`{}` came `{}` in {} of {} requests before {}, in {} of {} since",
            self.event(first),
            self.event(second),
            split.before.0,
            split.before.1,
            split.at.to_clock(),
            split.after.0,
            split.after.1,
        );
        let counts = self.template_of.get(&second).map_or([1; 2], |template| self.logs.counts(*template));
        let change = match (split.vanished, counts) {
            (true, [_, 0]) => LogChange::Vanished,
            (true, _) => LogChange::Fewer,
            (false, [0, _]) => LogChange::New,
            (false, _) => LogChange::More,
        };
        let detail = LogDetail {
            template: Text::new(&text),
            change: Some(change),
            baseline_count: split.before.0 as u64,
            window_count: split.after.0 as u64,
            baseline_per_minute: 0.0,
            window_per_minute: 0.0,
            level: String::new(),
            exemplars: vec![self.logs.entries[second as usize].clone()],
            first: Some(split.at),
            branch: None,
            onset: Some(split.at),
            telling: Vec::new(),
            outside_baseline: false,
        };
        SequenceFinding {
            service: service.clone(),
            caller: caller.clone(),
            text,
            detail,
            strength: split.gap,
            onset: split.at,
            event: self.template_of.get(&second).copied().unwrap_or(u32::MAX),
        }
    }

    /// The template of an entry, short.
    fn event(&self, entry: u32) -> Text {
        let template = self.template_of.get(&entry).copied();
        let gist = template.map(|template| self.logs.gist(template)).unwrap_or_default();
        Text::new(&Text::new(&gist).one_line()).truncated(MAX_EVENT)
    }
}

/// The best split of a row of requests in time.
struct Split {
    at: Timestamp,
    /// Requests that show the event, of how many, before and after.
    before: (usize, usize),
    after: (usize, usize),
    gap: f64,
    vanished: bool,
}

impl Split {
    /// The split inside the window at which the habit broke most.
    fn best(times: &[Timestamp], shows: &[bool], window: TimeRange) -> Option<Self> {
        let all = shows.iter().filter(|&&shown| shown).count();
        if all == 0 || all == shows.len() {
            return None;
        }
        let n = shows.len();
        let mut before = 0;
        let mut best: Option<Self> = None;
        for place in 1..n {
            before += usize::from(shows[place - 1]);
            // A split lies where the event comes or goes, and inside the window.
            if shows[place] == shows[place - 1] || !window.contains(times[place]) {
                continue;
            }
            if place < LEAST_UNITS || n - place < LEAST_UNITS {
                continue;
            }
            let (old, new) = ((before, place), (all - before, n - place));
            let (old_low, old_high) = wilson(old);
            let (new_low, new_high) = wilson(new);
            let vanished = old_low > new_high;
            if !vanished && new_low <= old_high {
                continue;
            }
            let gap = strength_of(old, new);
            if gap > 0.05 && best.as_ref().is_none_or(|best| gap > best.gap) {
                best = Some(Self { at: times[place], before: old, after: new, gap, vanished });
            }
        }
        best
    }
}

/// How much a habit broke: the square of the difference of the two shares, each drawn towards the middle by half a
/// request, times how certain a difference is (from the likelihood ratio of two shares against one).
fn strength_of(old: (usize, usize), new: (usize, usize)) -> f64 {
    let share = |(k, n): (usize, usize)| (k as f64 + 0.5) / (n as f64 + 1.0);
    let effect = (share(old) - share(new)).abs();
    let likelihood = |(k, n): (usize, usize)| {
        let (k, n) = (k as f64, n as f64);
        let term = |part: f64| if part > 0.0 { part * (part / n).ln() } else { 0.0 };
        term(k) + term(n - k)
    };
    let ratio = 2.0 * (likelihood(old) + likelihood(new) - likelihood((old.0 + new.0, old.1 + new.1)));
    effect * effect * (1.0 - (-ratio.max(0.0) / 8.0).exp())
}

/// Wilson's interval of a share.
fn wilson((k, n): (usize, usize)) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (n, p, z2) = (n as f64, k as f64 / n as f64, WIDTH * WIDTH);
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = WIDTH / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests;
