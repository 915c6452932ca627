//! Successor rules: within one trace or request, what used to follow a line and no longer does.
//!
//! A fault in code sends requests another way: an error branch after a line that was always followed by success, or
//! nothing at all. Counts cannot show that when traffic itself changed; the share of requests at the branch can.

use std::collections::{BTreeMap, HashMap};

use super::forms::{NONE, hash_bytes};
use super::rates::{adjusted, at_least_by_chance};
use super::reading::LogReading;
use crate::analysis::fields;
use crate::analysis::periods::WINDOW;
use crate::analysis::requests::{IdKind, id_of, kind_of};
use crate::domain::log::LogEntry;

/// Requests followed at once.
const MAX_CHAINS: usize = 200_000;
/// Pairs of templates that follow each other.
const MAX_PAIRS: usize = 100_000;
/// Requests of the baseline that must have passed a line before its successors mean anything.
const LEAST_BEFORE: u64 = 2;
/// Requests of the window that must take a way.
const LEAST_AFTER: u64 = 3;
/// Growth of a way's share that is worth telling.
const LEAST_GROWTH: f64 = 0.05;
/// False discovery rate of the ways. The baseline of one branch is often short, so it is less strict than for counts.
const LEAST_SURE: f64 = 0.05;
/// Index that stands for the end of a request.
pub(super) const END: u32 = u32::MAX;
/// Index that stands for what came before a request.
const START: u32 = u32::MAX - 1;

/// A way that requests take more often than before, after one template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Way {
    /// The template where the ways part.
    pub from: u32,
    /// The template that follows now, or [`END`].
    pub to: u32,
    /// What followed most often in the baseline, or [`END`].
    pub usual: u32,
    /// Share of requests that take the way, in baseline and window.
    pub share: [f64; 2],
    /// Probability that the baseline would have shown the way if its share had been that of the window.
    pub confidence: f64,
}

/// What follows what.
pub(super) struct Flows {
    /// The ways that became more frequent, at most one for each template they part from: the surest.
    pub ways: Vec<Way>,
    /// For each template whether it only ever stands inside of a path that is new as a whole: where such a path begins
    /// and where it ends says what its middle would.
    pub implied: Vec<bool>,
}

/// Follows the requests of a reading. `is_new` says of each template whether the baseline lacks it.
pub(super) fn of(reading: &LogReading<'_>, is_new: &[bool]) -> Flows {
    let (entries, forms) = (reading.entries, &reading.forms);
    let mut keys: Vec<Keys> = forms.all.iter().map(|form| Keys::of(&entries[form.sample as usize])).collect();
    let mut last: HashMap<u64, (u32, usize)> = HashMap::new();
    let mut pairs: HashMap<(u32, u32), [u64; 2]> = HashMap::new();
    let mut count = |from: u32, to: u32, period: usize| {
        let known = pairs.len();
        match pairs.get_mut(&(from, to)) {
            Some(counts) => counts[period] += 1,
            None if known < MAX_PAIRS => {
                pairs.entry((from, to)).or_default()[period] += 1;
            }
            None => {}
        }
    };
    for (&index, &form) in reading.order.iter().zip(&forms.of) {
        if form == NONE {
            continue;
        }
        let entry = &entries[index as usize];
        let Some(period) = reading.periods.of_entry(entry) else { continue };
        let Some(chain) = keys[form as usize].chain(entry, forms.all[form as usize].service) else { continue };
        let template = reading.template_of[form as usize];
        if let Some((before, when)) = last.get_mut(&chain) {
            count(*before, template, *when);
            *before = template;
            *when = period;
        } else if last.len() < MAX_CHAINS {
            last.insert(chain, (template, period));
            count(START, template, period);
        }
    }
    for (template, period) in last.into_values() {
        count(template, END, period);
    }
    let implied = implied(&pairs, is_new);
    pairs.retain(|(from, _), _| *from != START);
    Flows { ways: surest(&pairs), implied }
}

/// See [`Flows::implied`].
fn implied(pairs: &HashMap<(u32, u32), [u64; 2]>, is_new: &[bool]) -> Vec<bool> {
    let new = |template: u32| is_new.get(template as usize).copied().unwrap_or(false);
    // Visits that come from something new, visits that something follows, and all visits.
    let mut visits = vec![[0_u64; 3]; is_new.len()];
    for (&(from, to), counts) in pairs {
        if let Some(visit) = visits.get_mut(to as usize) {
            visit[0] += if new(from) { counts[WINDOW] } else { 0 };
            visit[2] += counts[WINDOW];
        }
        if let Some(visit) = visits.get_mut(from as usize) {
            visit[1] += if to == END { 0 } else { counts[WINDOW] };
        }
    }
    visits
        .into_iter()
        .enumerate()
        .map(|(at, [after_new, followed, all])| is_new[at] && all > 0 && after_new == all && 2 * followed > all)
        .collect()
}

fn surest(pairs: &HashMap<(u32, u32), [u64; 2]>) -> Vec<Way> {
    let ways = likeliest(pairs);
    let p: Vec<f64> = ways.iter().map(|(_, p)| *p).collect();
    ways.into_iter().zip(adjusted(&p)).filter(|(_, q)| *q <= LEAST_SURE).map(|((way, _), _)| way).collect()
}

/// The way that grew most surely from each template, with the probability that it did so by chance (Fisher's test).
fn likeliest(pairs: &HashMap<(u32, u32), [u64; 2]>) -> Vec<(Way, f64)> {
    let mut by_from: BTreeMap<u32, Vec<(u32, [u64; 2])>> = BTreeMap::new();
    for ((from, to), counts) in pairs {
        by_from.entry(*from).or_default().push((*to, *counts));
    }
    let mut out = Vec::new();
    for (from, mut next) in by_from {
        next.sort_unstable();
        let total: [u64; 2] = [0, 1].map(|period: usize| next.iter().map(|(_, counts)| counts[period]).sum());
        if total[0] < LEAST_BEFORE || total[WINDOW] < LEAST_AFTER {
            continue;
        }
        let usual = next.iter().max_by_key(|(to, counts)| (counts[0], std::cmp::Reverse(*to))).map_or(END, |one| one.0);
        let may_be_told = |to: u32, counts: &[u64; 2]| {
            let share = |period: usize| counts[period] as f64 / total[period] as f64;
            to != usual && counts[WINDOW] >= LEAST_AFTER && share(WINDOW) - share(0) >= LEAST_GROWTH
        };
        let picked_from = next.iter().filter(|(to, counts)| may_be_told(*to, counts)).count() as f64;
        let best = next
            .iter()
            .filter(|(to, counts)| may_be_told(*to, counts))
            .map(|(to, counts)| {
                let share = [0, 1].map(|period: usize| counts[period] as f64 / total[period] as f64);
                let growth = (share[WINDOW] - share[0]).max(0.0);
                let seen = if counts[0] == 0 { 1.0 } else { growth };
                let confidence = seen * (1.0 - (1.0 - growth).powi(total[0].min(10_000) as i32));
                let all = total[0] + total[WINDOW];
                let p = at_least_by_chance(counts[WINDOW], total[WINDOW], counts[0] + counts[WINDOW], all);
                // The one that is told was picked among those that could be.
                let p = (p * picked_from).min(1.0);
                (Way { from, to: *to, usual, share, confidence }, p)
            })
            .max_by(|(a, _), (b, _)| a.confidence.total_cmp(&b.confidence).then(b.to.cmp(&a.to)));
        out.extend(best);
    }
    out
}

/// Where the lines of one form carry their ids.
struct Keys {
    trace: Option<(String, IdKind)>,
    span: Option<(String, IdKind)>,
    /// Where the keys stood in the line before: nearly always where they stand in the next.
    hints: [usize; 2],
}

impl Keys {
    fn of(entry: &LogEntry) -> Self {
        let mut trace: Option<(String, IdKind)> = None;
        let mut span: Option<(String, IdKind)> = None;
        let mut see = |key: &str, value: &str| {
            let Some(kind) = kind_of(key).filter(|kind| id_of(*kind, value).is_some()) else { return };
            let slot = if kind == IdKind::Span { &mut span } else { &mut trace };
            if slot.as_ref().is_none_or(|(_, known)| kind < *known) {
                *slot = Some((key.to_owned(), kind));
            }
        };
        for (key, value) in entry.metadata.iter().chain(entry.labels.iter()) {
            see(key, value);
        }
        fields::scan(&entry.line, &mut see);
        Self { trace, span, hints: [0; 2] }
    }

    /// Hash of what holds one request together inside one service.
    fn chain(&mut self, entry: &LogEntry, service: u32) -> Option<u64> {
        let [trace_hint, span_hint] = &mut self.hints;
        let value = |(key, kind): &(String, IdKind), hint: &mut usize| {
            let beside = entry.metadata.get(key).or_else(|| entry.labels.get(key));
            let value = beside.or_else(|| id(&entry.line, key, hint))?;
            id_of(*kind, value).map(|id| hash_bytes(0, id.as_bytes()))
        };
        let trace = value(self.trace.as_ref()?, trace_hint)?;
        let span = self.span.as_ref().and_then(|key| value(key, span_hint)).unwrap_or_default();
        let hash = hash_bytes(u64::from(service), &trace.to_le_bytes());
        Some(hash_bytes(hash, &span.to_le_bytes()))
    }
}

/// The id behind a key: `key=id`, `key: id`, `"key":"id"`. Looks at `hint` first.
fn id<'a>(line: &'a str, key: &str, hint: &mut usize) -> Option<&'a str> {
    if !line.get(*hint..).is_some_and(|rest| rest.starts_with(key)) {
        *hint = line.find(key)?;
    }
    let rest = line[*hint + key.len()..].trim_start_matches(['\\', '"', '\'', ' ']);
    let rest = rest.strip_prefix([':', '='])?.trim_start_matches([' ', '\\', '"', '\'']);
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'.' | b'/');
    let end = rest.bytes().position(|b| !is_part(b)).unwrap_or(rest.len());
    (end >= 4).then_some(rest[..end].trim_end_matches([':', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_behind_their_key() {
        assert_eq!(id("x TraceID: c6386cb37a99 y", "TraceID", &mut 0), Some("c6386cb37a99"));
        assert_eq!(id(r#"{"trace_id": "0c054e1c3f82", "a":1}"#, "trace_id", &mut 0), Some("0c054e1c3f82"));
        assert_eq!(id("request_id=ab12cd34 done", "request_id", &mut 3), Some("ab12cd34"));
        assert_eq!(id("no trace here", "trace_id", &mut 99), None);
    }

    #[test]
    fn a_new_branch_is_told_with_its_shares() {
        let pairs = HashMap::from([((1, 2), [9, 64]), ((1, 3), [0, 36]), ((2, END), [9, 64])]);
        let ways = surest(&pairs);
        assert_eq!(ways.len(), 1);
        assert_eq!((ways[0].from, ways[0].to, ways[0].usual), (1, 3, 2));
        assert!((ways[0].share[1] - 0.36).abs() < 1e-9 && ways[0].confidence > 0.95);
    }
}
