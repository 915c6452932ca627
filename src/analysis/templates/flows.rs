//! Successor rules: within one trace or request, what used to follow a line and no longer does.
//!
//! A fault in code sends requests another way: an error branch after a line that was always followed by success, or
//! nothing at all. Counts cannot show that when traffic itself changed; the share of requests at the branch can.

use std::collections::{BTreeMap, HashMap};

use super::forms::{Forms, NONE, WINDOW, hash_bytes};
use crate::domain::TimeRange;
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
/// Index that stands for the end of a request.
pub(super) const END: u32 = u32::MAX;

/// Keys under which lines carry the id of a trace or request, in the order in which they are trusted.
const TRACE_KEYS: [&str; 14] = [
    "trace_id",
    "traceId",
    "traceid",
    "traceID",
    "TraceID",
    "TraceId",
    "trace-id",
    "request_id",
    "requestId",
    "RequestId",
    "request-id",
    "req_id",
    "correlation_id",
    "correlationId",
];
/// Keys of the part of a trace that one service handles.
const SPAN_KEYS: [&str; 6] = ["span_id", "spanId", "spanid", "spanID", "SpanID", "SpanId"];

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

/// The ways that became more frequent, at most one for each template they part from: the surest.
/// `template_of` maps forms to templates.
pub(super) fn ways(
    entries: &[LogEntry],
    order: &[u32],
    forms: &Forms,
    template_of: &[u32],
    baseline: TimeRange,
    window: TimeRange,
) -> Vec<Way> {
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
    for (place, &index) in order.iter().enumerate() {
        let form = forms.of[place];
        if form == NONE {
            continue;
        }
        let entry = &entries[index as usize];
        let Some(chain) = keys[form as usize].chain(entry, forms.all[form as usize].service) else { continue };
        let period = usize::from(window.contains(entry.at) || !baseline.contains(entry.at));
        let template = template_of[form as usize];
        if let Some((before, when)) = last.get_mut(&chain) {
            count(*before, template, *when);
            *before = template;
            *when = period;
        } else if last.len() < MAX_CHAINS {
            last.insert(chain, (template, period));
        }
    }
    for (template, period) in last.into_values() {
        count(template, END, period);
    }
    surest(&pairs)
}

fn surest(pairs: &HashMap<(u32, u32), [u64; 2]>) -> Vec<Way> {
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
        let best = next
            .iter()
            .filter(|(to, counts)| *to != usual && counts[WINDOW] >= LEAST_AFTER)
            .map(|(to, counts)| {
                let share = [0, 1].map(|period: usize| counts[period] as f64 / total[period] as f64);
                let growth = (share[WINDOW] - share[0]).max(0.0);
                let seen = if counts[0] == 0 { 1.0 } else { growth };
                let confidence = seen * (1.0 - (1.0 - growth).powi(total[0].min(10_000) as i32));
                (growth, Way { from, to: *to, usual, share, confidence })
            })
            .filter(|(growth, _)| *growth >= LEAST_GROWTH)
            .max_by(|a, b| a.1.confidence.total_cmp(&b.1.confidence).then(b.1.to.cmp(&a.1.to)));
        out.extend(best.map(|(_, way)| way));
    }
    out
}

/// Where the lines of one form carry their ids.
struct Keys {
    trace: Option<&'static str>,
    span: Option<&'static str>,
    /// Where the keys stood in the line before: nearly always where they stand in the next.
    hints: [usize; 2],
}

impl Keys {
    fn of(entry: &LogEntry) -> Self {
        let find = |keys: &[&'static str]| {
            keys.iter().find(|key| entry.metadata.get(key).is_some() || id(&entry.line, key, &mut 0).is_some()).copied()
        };
        Self { trace: find(&TRACE_KEYS), span: find(&SPAN_KEYS), hints: [0; 2] }
    }

    /// Hash of what holds one request together inside one service.
    fn chain(&mut self, entry: &LogEntry, service: u32) -> Option<u64> {
        let [trace_hint, span_hint] = &mut self.hints;
        let value = |key: &str, hint: &mut usize| {
            let known = if entry.metadata.is_empty() { None } else { entry.metadata.get(key) };
            known.or_else(|| id(&entry.line, key, hint))
        };
        let trace = value(self.trace?, trace_hint)?;
        let span = self.span.and_then(|key| value(key, span_hint)).unwrap_or_default();
        let hash = hash_bytes(u64::from(service), trace.as_bytes());
        Some(hash_bytes(hash, span.as_bytes()))
    }
}

/// The id behind a key: `key=id`, `key: id`, `"key":"id"`. Looks at `hint` first.
fn id<'a>(line: &'a str, key: &str, hint: &mut usize) -> Option<&'a str> {
    if !line.get(*hint..).is_some_and(|rest| rest.starts_with(key)) {
        *hint = line.find(key)?;
    }
    let rest = line[*hint + key.len()..].trim_start_matches(['"', '\'', ' ']);
    let rest = rest.strip_prefix([':', '='])?.trim_start_matches([' ', '"', '\'']);
    let end = rest.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'-' || b == b'_')).unwrap_or(rest.len());
    (end >= 6).then_some(&rest[..end])
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
