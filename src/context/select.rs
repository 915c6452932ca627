//! What goes into a pack, and in which order the budget is spent.
//!
//! Breadth first: the culprit is often not the first suspect, so every service says its strongest before any says
//! its tenth. The likeliest suspects say one thing of each kind first.

use std::collections::BTreeMap;

use crate::domain::analysis::Analysis;
use crate::domain::evidence::{Detail, Evidence, EvidenceKind, LogChange};

/// Suspects that show one item of each kind before the others have their turn.
const FOREMOST: usize = 10;
/// Alerts of different names shown first.
const ALERTS_FIRST: usize = 3;
/// Changes shown first.
const CHANGES_FIRST: usize = 3;

/// Strength below which an item only gives context.
const LEAST_STRENGTH: f64 = 0.05;
/// Rounds that such an item waits.
const WAIT: usize = 1_000;

/// An item worth packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Index into the analysis' evidence.
    pub index: usize,
    /// Items folded into this one.
    pub folded: usize,
}

/// All candidates, most valuable first. Alerts that share a name are folded into the first of them.
pub(super) fn by_value(analysis: &Analysis) -> Vec<Candidate> {
    let evidence = &analysis.evidence;
    let (alerts, mut rest) = split_alerts(evidence);
    let changes = changes(analysis);
    let mut queues = queues(analysis);
    let mut out: Vec<Candidate> = Vec::with_capacity(evidence.len());
    out.extend(alerts.iter().take(ALERTS_FIRST));
    out.extend(changes.iter().take(CHANGES_FIRST).map(|&index| Candidate { index, folded: 0 }));
    for (rank, queue) in queues.iter_mut().enumerate() {
        let turns = if rank < FOREMOST { queue.first_of_kinds } else { 1 };
        out.extend(queue.take(turns));
    }
    out.append(&mut rest);
    out.extend(changes.iter().skip(CHANGES_FIRST).map(|&index| Candidate { index, folded: 0 }));
    while queues.iter().any(|queue| !queue.items.is_empty()) {
        for (rank, queue) in queues.iter_mut().enumerate() {
            out.extend(queue.take(if rank < 3 { 2 } else { 1 }));
        }
    }
    out.extend(alerts.iter().skip(ALERTS_FIRST));
    out
}

/// Alerts folded by name, and what belongs to no queue: runbooks and answers.
fn split_alerts(evidence: &[Evidence]) -> (Vec<Candidate>, Vec<Candidate>) {
    let mut by_name: BTreeMap<&str, Candidate> = BTreeMap::new();
    let mut rest = Vec::new();
    for (index, item) in evidence.iter().enumerate() {
        match &item.detail {
            Detail::Alert(alert) => {
                by_name
                    .entry(alert.name())
                    .and_modify(|candidate| candidate.folded += 1)
                    .or_insert(Candidate { index, folded: 0 });
            }
            Detail::Runbook { .. } | Detail::Query { .. } => rest.push(Candidate { index, folded: 0 }),
            Detail::Metric(_) | Detail::Log(_) | Detail::Edge(_) | Detail::Change(_) => {}
        }
    }
    let mut alerts: Vec<Candidate> = by_name.into_values().collect();
    alerts.sort_by_key(|candidate| candidate.index);
    (alerts, rest)
}

/// Changes, the ranked ones first.
fn changes(analysis: &Analysis) -> Vec<usize> {
    let place = |id| analysis.evidence.iter().position(|item| item.id == id);
    let mut out: Vec<usize> = analysis.changes.iter().filter_map(|change| place(change.evidence)).collect();
    for (index, item) in analysis.evidence.iter().enumerate() {
        if item.id.kind == EvidenceKind::Change && !out.contains(&index) {
            out.push(index);
        }
    }
    out
}

/// What one service has to say, best first, kinds in turn.
struct Queue {
    items: std::collections::VecDeque<usize>,
    first_of_kinds: usize,
}

impl Queue {
    fn take(&mut self, count: usize) -> Vec<Candidate> {
        let count = count.min(self.items.len());
        self.items.drain(..count).map(|index| Candidate { index, folded: 0 }).collect()
    }
}

/// The services' queues: suspects by rank, then the others by their strongest item.
fn queues(analysis: &Analysis) -> Vec<Queue> {
    let mut by_service: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (index, item) in analysis.evidence.iter().enumerate() {
        if matches!(item.detail, Detail::Metric(_) | Detail::Log(_) | Detail::Edge(_)) {
            by_service.entry(item.service.as_deref()).or_default().push(index);
        }
    }
    let rank = |service: Option<&str>| {
        service
            .and_then(|name| analysis.suspects.iter().find(|suspect| suspect.service == name))
            .map_or(usize::MAX, |suspect| suspect.rank)
    };
    let best = |items: &[usize]| items.iter().map(|&index| strength(&analysis.evidence[index])).fold(0.0, f64::max);
    let mut services: Vec<(Option<&str>, Vec<usize>)> = by_service.into_iter().collect();
    services.sort_by(|(a, x), (b, y)| {
        rank(*a).cmp(&rank(*b)).then_with(|| best(y).total_cmp(&best(x))).then_with(|| a.cmp(b))
    });
    services
        .into_iter()
        .enumerate()
        .map(|(place, (_, items))| queue(&analysis.evidence, items, if place < 3 { 3 } else { 2 }))
        .collect()
}

fn strength(item: &Evidence) -> f64 {
    if item.strength.is_finite() { item.strength } else { 0.0 }
}

/// The best of each kind in order of strength, then the second best of each, and so on. The same metric of another
/// pod says little new, so it goes to the end of its kind.
///
/// A fault in code is proven by two lines, the new one and the one before it: a round holds `logs` templates, and
/// those that are new or vanished come before those that only became more or fewer.
fn queue(evidence: &[Evidence], mut items: Vec<usize>, logs: usize) -> Queue {
    items.sort_by(|&a, &b| strength(&evidence[b]).total_cmp(&strength(&evidence[a])).then(a.cmp(&b)));
    let best_log = items
        .iter()
        .map(|&index| &evidence[index])
        .filter(|item| item.id.kind == EvidenceKind::Log)
        .map(strength)
        .fold(0.0, f64::max);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kinds: BTreeMap<EvidenceKind, Vec<(usize, usize)>> = BTreeMap::new();
    for &index in &items {
        let again = match &evidence[index].detail {
            Detail::Log(log) => usize::from(
                !matches!(log.change, Some(LogChange::New | LogChange::Vanished))
                    || strength(&evidence[index]) < 0.5 * best_log,
            ),
            Detail::Metric(metric) => {
                let count = seen.entry(metric.metric.as_str()).or_default();
                *count += 1;
                *count - 1
            }
            _ => 0,
        };
        kinds.entry(evidence[index].id.kind).or_default().push((again, index));
    }
    let mut first_of_kinds = 0;
    let mut rounds: Vec<(usize, usize)> = Vec::with_capacity(items.len());
    for (kind, list) in &mut kinds {
        list.sort_by_key(|(again, _)| *again);
        // What does not deviate waits, except the line that says where in its code the service was.
        let deviates = |index: usize| strength(&evidence[index]) >= LEAST_STRENGTH;
        let is_log = *kind == EvidenceKind::Log;
        for (place, (_, index)) in list.iter().enumerate() {
            let round = if is_log { place / logs } else { place };
            let wait = if deviates(*index) || (is_log && place == 0) { 0 } else { WAIT };
            first_of_kinds += usize::from(round + wait == 0);
            rounds.push((round + wait, *index));
        }
    }
    rounds.sort_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| strength(&evidence[b.1]).total_cmp(&strength(&evidence[a.1]))).then(a.1.cmp(&b.1))
    });
    Queue { items: rounds.into_iter().map(|(_, index)| index).collect(), first_of_kinds }
}
