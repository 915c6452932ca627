//! What a person would say about an incident.

use std::collections::{BTreeMap, BTreeSet};

use super::duplicates::Folded;
use crate::analysis::entity::service_ref;
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
    services: BTreeSet<&'a str>,
    count: usize,
}

/// The summary of the alert that a person would name: the worst, a symptom rather than a cause, the most common, the
/// earliest; and how many services have it beside the one it speaks of. `ranked` is sorted by severity, then start.
pub(super) fn title(ranked: &[(Severity, Folded<'_>)]) -> Text {
    let mut kinds: BTreeMap<&str, Kind<'_>> = BTreeMap::new();
    for (severity, one) in ranked {
        let kind = kinds.entry(one.alert.name()).or_insert_with(|| Kind {
            severity: *severity,
            first: one,
            services: BTreeSet::new(),
            count: 0,
        });
        kind.services.extend(service_ref(&one.alert.labels));
        kind.count += 1;
    }
    let said = kinds.into_iter().max_by(|(name, a), (other, b)| {
        let symptom_of = |name: &str, kind: &Kind<'_>| symptom(name, kind.first.alert.summary());
        a.severity
            .cmp(&b.severity)
            .then_with(|| symptom_of(name, a).cmp(&symptom_of(other, b)))
            .then_with(|| a.services.len().cmp(&b.services.len()))
            .then_with(|| a.count.cmp(&b.count))
            .then_with(|| b.first.starts_at.cmp(&a.first.starts_at))
            .then_with(|| other.cmp(name))
    });
    let Some((_, kind)) = said else { return Text::default() };
    let summary = Text::new(kind.first.alert.summary());
    let summary = summary.one_line();
    let own = service_ref(&kind.first.alert.labels);
    let others: Vec<&str> = kind.services.iter().copied().filter(|service| Some(*service) != own).collect();
    let flaps = if kind.first.times >= super::FLAPS {
        format!(", flapping: fired {} times", kind.first.times)
    } else {
        String::new()
    };
    Text::new(&match others[..] {
        [] => format!("{summary}{flaps}"),
        [one] => format!("{summary} (and {one}){flaps}"),
        [one, other] => format!("{summary} (and {one}, {other}){flaps}"),
        _ => format!("{summary} (and {} more services){flaps}", others.len()),
    })
}
