//! What a person would say about an incident.

use std::cmp::Reverse;

use super::duplicates::Folded;
use super::symbols::{FastMap, FastSet, Symbol, Symbols};
use super::traits::Traits;
use crate::domain::Text;
use crate::domain::alert::Severity;

/// Parts of words that say what users suffer.
const SYMPTOMS: &[&str] = &[
    "5xx",
    "apdex",
    "availab",
    "burn",
    "cannot",
    "deadline",
    "down",
    "error",
    "fail",
    "latenc",
    "outage",
    "reject",
    "slo",
    "slow",
    "success",
    "timeout",
    "timed out",
    "unreachable",
];
/// Parts of words that say what a machine does, which may or may not hurt anybody.
const CAUSES: &[&str] = &[
    "cpu",
    "crashloop",
    "disk",
    "exporter",
    "filesystem",
    "inode",
    "memory",
    "node",
    "oom",
    "pod",
    "queue",
    "quota",
    "replica",
    "restart",
    "saturat",
    "scrape",
    "target",
    "thrott",
    "volume",
];

/// How much an alert speaks of what users suffer.
fn symptom(name: &str, summary: &str) -> u8 {
    let text = format!("{name} {summary}").to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match (says(SYMPTOMS), says(CAUSES)) {
        (true, false) => 2,
        (true, true) | (false, false) => 1,
        (false, true) => 0,
    }
}

/// Alerts of one name.
struct Kind<'a> {
    severity: Severity,
    first: &'a Folded<'a>,
    subject: Option<Symbol>,
    services: FastSet<Symbol>,
    count: usize,
}

/// The summary of the alert that a person would name: the worst, a symptom rather than a cause, the most common, the
/// earliest; and how many services have it beside the one it speaks of. `ranked` is sorted by severity, then start.
pub(super) fn title<'s, 'a: 's>(
    ranked: impl Iterator<Item = (&'s Traits, &'s Folded<'a>)>,
    symbols: &Symbols<'_>,
) -> Text {
    let mut worst = Severity::Unknown;
    let mut kinds: FastMap<Symbol, Kind<'_>> = FastMap::default();
    for (traits, one) in ranked {
        worst = worst.max(traits.severity);
        let kind = kinds.entry(traits.name).or_insert_with(|| Kind {
            severity: traits.severity,
            first: one,
            subject: traits.subject,
            services: FastSet::default(),
            count: 0,
        });
        kind.services.extend(traits.subject);
        kind.count += 1;
    }
    let said = kinds.into_iter().map(|(name, kind)| (symbols.text(name), kind)).max_by_key(|(name, kind)| {
        let symptom = if kind.severity == worst { symptom(name, kind.first.alert.summary()) } else { 0 };
        let (earliest, by_name) = (Reverse(kind.first.starts_at), Reverse(*name));
        (kind.severity, symptom, kind.services.len(), kind.count, earliest, by_name)
    });
    let Some((_, kind)) = said else { return Text::default() };
    let summary = Text::new(kind.first.alert.summary());
    let summary = summary.one_line();
    let mut others: Vec<&str> = kind
        .services
        .iter()
        .filter(|&&service| Some(service) != kind.subject)
        .map(|&service| symbols.text(service))
        .collect();
    others.sort_unstable();
    let flaps = if kind.first.times >= super::FLAPS {
        format!(", flapping: fired {} times", kind.first.times)
    } else {
        String::new()
    };
    // Of several services the summary may name its own, or none: then all are named.
    let subject = kind.subject.map(|subject| symbols.text(subject));
    let unnamed = subject.filter(|subject| !others.is_empty() && !summary.contains(subject));
    Text::new(&match (unnamed, &others[..]) {
        (_, []) => format!("{summary}{flaps}"),
        (None, [one]) => format!("{summary} (and {one}){flaps}"),
        (None, [one, other]) => format!("{summary} (and {one}, {other}){flaps}"),
        (None, _) => format!("{summary} (and {} more services){flaps}", others.len()),
        (Some(own), [one]) => format!("{summary} ({own}, {one}){flaps}"),
        (Some(own), [one, other]) => format!("{summary} ({own}, {one}, {other}){flaps}"),
        (Some(own), _) => format!("{summary} ({own} and {} more services){flaps}", others.len()),
    })
}
