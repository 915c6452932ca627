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
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use regex::Regex;

use super::entity::service_of;
use crate::domain::evidence::{LogChange, LogDetail};
use crate::domain::log::LogEntry;
use crate::domain::{Text, TimeRange, Timestamp};

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
}

/// One log entry as an event of a unit.
struct Event {
    at: Timestamp,
    id: u32,
    entry: u32,
}

/// Finds broken habits, strongest first. `calls` says whether a service may call another; without a graph any
/// service may.
pub fn broken_habits(
    entries: &[LogEntry],
    baseline: TimeRange,
    window: TimeRange,
    calls: &dyn Fn(&str, &str) -> bool,
) -> Vec<SequenceFinding> {
    let reading = Reading::of(entries, baseline, window);
    let mut found = reading.within_services(window);
    found.extend(reading.between_services(window, calls));
    found.sort_by(|a, b| {
        b.strength
            .total_cmp(&a.strength)
            .then_with(|| a.service.cmp(&b.service))
            .then_with(|| a.caller.cmp(&b.caller))
            .then_with(|| a.text.cmp(&b.text))
    });
    let mut per_service: HashMap<String, (usize, BTreeSet<(Text, bool)>)> = HashMap::new();
    found.retain(|finding| {
        let (count, seen) = per_service.entry(finding.service.clone()).or_default();
        let fresh = seen.insert((finding.detail.template.clone(), finding.caller == finding.service));
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

struct Reading<'e> {
    entries: &'e [LogEntry],
    /// Names of services, sorted.
    services: Vec<String>,
    /// Units of each service: events of one span (or trace, or request), sorted by time.
    spans: BTreeMap<(usize, u64), Vec<Event>>,
    /// Trace of each unit.
    trace_of: HashMap<(usize, u64), u64>,
}

impl<'e> Reading<'e> {
    fn of(entries: &'e [LogEntry], baseline: TimeRange, window: TimeRange) -> Self {
        let step = entries.len().div_ceil(MOST_ENTRIES).max(1) as u64;
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut read: Vec<(String, Ids, u64, usize)> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if !baseline.contains(entry.at) && !window.contains(entry.at) {
                continue;
            }
            let Some(ids) = Ids::of(entry) else { continue };
            if ids.trace % step != 0 {
                continue;
            }
            let Some(service) = service_of(&entry.labels) else { continue };
            names.insert(service.clone(), 0);
            read.push((service, ids, event_hash(entry.line.as_str()), index));
        }
        for (number, place) in names.values_mut().enumerate() {
            *place = number;
        }
        // Event numbers follow the order of first sight in time, then of hashes, never of a hash map.
        let mut events: HashMap<(usize, u64), u32> = HashMap::new();
        let mut spans: BTreeMap<(usize, u64), Vec<Event>> = BTreeMap::new();
        let mut trace_of = HashMap::new();
        let mut order: Vec<usize> = (0..read.len()).collect();
        order.sort_by_key(|&place| (entries[read[place].3].at, read[place].2, read[place].1.span));
        for place in order {
            let (service, ids, hash, index) = &read[place];
            let service = names[service];
            let next = events.len() as u32;
            let id = *events.entry((service, *hash)).or_insert(next);
            trace_of.insert((service, ids.span), ids.trace);
            spans.entry((service, ids.span)).or_default().push(Event {
                at: entries[*index].at,
                id,
                entry: *index as u32,
            });
        }
        Self { entries, services: names.into_keys().collect(), spans, trace_of }
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
        for (number, service) in self.services.iter().enumerate() {
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
                    found.push(self.finding(service, service, first, second, &split));
                }
            }
        }
        found
    }

    fn between_services(&self, window: TimeRange, calls: &dyn Fn(&str, &str) -> bool) -> Vec<SequenceFinding> {
        // For each trace, which services show in it and since when.
        let mut traces: BTreeMap<u64, BTreeMap<usize, (Timestamp, u32)>> = BTreeMap::new();
        let mut entries_of: BTreeMap<usize, BTreeMap<u32, Vec<(Timestamp, u64)>>> = BTreeMap::new();
        for ((service, span), events) in &self.spans {
            let Some(&trace) = self.trace_of.get(&(*service, *span)) else { continue };
            let first = &events[0];
            let seen = traces.entry(trace).or_default().entry(*service).or_insert((first.at, first.entry));
            *seen = (*seen).min((first.at, first.entry));
            entries_of.entry(*service).or_default().entry(first.id).or_default().push((first.at, trace));
        }
        let mut found = Vec::new();
        for (caller, contexts) in &entries_of {
            for (context, visits) in contexts {
                let mut visits = visits.clone();
                visits.sort_unstable();
                // One visit per trace: several calls of one request say the same.
                let mut seen = BTreeSet::new();
                visits.retain(|(_, trace)| seen.insert(*trace));
                if visits.len() < 2 * LEAST_UNITS {
                    continue;
                }
                let times: Vec<Timestamp> = visits.iter().map(|(at, _)| *at).collect();
                let callees: BTreeSet<usize> = visits
                    .iter()
                    .filter_map(|(_, trace)| traces.get(trace))
                    .flat_map(|services| services.keys().copied())
                    .filter(|callee| callee != caller && calls(&self.services[*caller], &self.services[*callee]))
                    .collect();
                for callee in callees {
                    let shows: Vec<bool> = visits
                        .iter()
                        .map(|(_, trace)| traces.get(trace).is_some_and(|services| services.contains_key(&callee)))
                        .collect();
                    let Some(split) = Split::best(&times, &shows, window) else { continue };
                    let second = visits
                        .iter()
                        .rev()
                        .find_map(|(_, trace)| traces.get(trace)?.get(&callee).map(|(_, entry)| *entry));
                    let first = self
                        .spans
                        .range((*caller, 0)..=(*caller, u64::MAX))
                        .find(|(_, events)| events[0].id == *context)
                        .map(|(_, events)| events[0].entry);
                    if let (Some(first), Some(second)) = (first, second) {
                        let (caller, callee) = (&self.services[*caller], &self.services[callee]);
                        found.push(self.finding(callee, caller, first, second, &split));
                    }
                }
            }
        }
        found
    }

    fn finding(&self, service: &str, caller: &str, first: u32, second: u32, split: &Split) -> SequenceFinding {
        let (first, second) = (&self.entries[first as usize], &self.entries[second as usize]);
        let line = |entry: &LogEntry| Text::new(&masked(&entry.line.one_line())).truncated(160);
        let by = if service == caller { String::new() } else { format!("{caller} ") };
        let text = format!(
            "after {by}`{}` came `{}` in {} of {} requests before {}, in {} of {} since",
            line(first),
            line(second),
            split.before.0,
            split.before.1,
            split.at.to_clock(),
            split.after.0,
            split.after.1
        );
        let detail = LogDetail {
            template: Text::new(&text),
            change: Some(if split.vanished { LogChange::Fewer } else { LogChange::More }),
            baseline_count: split.before.0 as u64,
            window_count: split.after.0 as u64,
            baseline_per_minute: 0.0,
            window_per_minute: 0.0,
            level: String::new(),
            exemplars: vec![second.clone()],
            first: Some(split.at),
            branch: None,
            onset: None,
            telling: Vec::new(),
        };
        SequenceFinding {
            service: service.to_owned(),
            caller: caller.to_owned(),
            text,
            detail,
            strength: split.gap,
            onset: split.at,
        }
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

/// Hashes of the ids of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    trace: u64,
    span: u64,
}

/// Names of ids as they stand in lines, in any spelling: `trace_id=…`, `"traceId": "…"`, `TraceID: …`.
fn id_pattern() -> Option<&'static Regex> {
    static PATTERN: OnceLock<Option<Regex>> = OnceLock::new();
    PATTERN
        .get_or_init(|| {
            Regex::new(
                r#"(?i)\b(trace|span|request|req|correlation|transaction)[-_. ]?id\\?["']?\s*[=:]\s*\\?["']?([0-9a-z][0-9a-z-]{5,63})"#,
            )
            .ok()
        })
        .as_ref()
}

impl Ids {
    fn of(entry: &LogEntry) -> Option<Self> {
        let named = |names: &[&str]| {
            names.iter().find_map(|name| entry.metadata.get(name).or_else(|| entry.labels.get(name))).map(hash_of)
        };
        let mut trace = named(&["trace_id", "traceid", "traceID", "request_id"]);
        let mut span = named(&["span_id", "spanid", "spanID"]);
        let mut other = None;
        if trace.is_none() {
            for found in id_pattern()?.captures_iter(entry.line.as_str()).take(4) {
                let (Some(kind), Some(value)) = (found.get(1), found.get(2)) else { continue };
                let value = hash_of(value.as_str());
                match kind.as_str().to_ascii_lowercase().as_str() {
                    "trace" => _ = trace.get_or_insert(value),
                    "span" => _ = span.get_or_insert(value),
                    _ => _ = other.get_or_insert(value),
                }
            }
        }
        let trace = trace.or(other)?;
        Some(Self { trace, span: span.map_or(trace, |span| span ^ trace.rotate_left(17)) })
    }
}

fn hash_of(text: &str) -> u64 {
    // The default hasher has fixed keys: the same text hashes alike in every run.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Words of a line at which it is cut for masking.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '[' | ']' | '(' | ')' | '{' | '}' | '=' | ',' | ';' | '"' | '\'' | '<' | '>')
}

/// Whether a word names a place in code, `Controller#45` or `main.go:120`, which tells events apart.
fn is_place(word: &str) -> bool {
    let place = word.split_once('#').or_else(|| word.rsplit_once(':').filter(|(file, _)| file.contains('.')));
    place.is_some_and(|(name, line)| {
        !line.is_empty()
            && line.bytes().all(|byte| byte.is_ascii_digit())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && !name.contains('/')
    })
}

fn event_hash(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut masked_before = false;
    for word in line.split(is_separator).filter(|word| !word.is_empty()).take(40) {
        let mask = word.bytes().any(|byte| byte.is_ascii_digit()) && !is_place(word);
        if !mask {
            word.hash(&mut hasher);
        } else if !masked_before {
            0_u8.hash(&mut hasher);
        }
        masked_before = mask;
    }
    hasher.finish()
}

/// The line with the words that carry digits masked, for people.
fn masked(line: &str) -> String {
    let mut out = String::with_capacity(line.len().min(200));
    for part in line.split_inclusive(is_separator) {
        let word = part.trim_end_matches(is_separator);
        if word.bytes().any(|byte| byte.is_ascii_digit()) && !is_place(word) {
            out.push_str("<*>");
            out.push_str(&part[word.len()..]);
        } else {
            out.push_str(part);
        }
        if out.len() > 400 {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests;
