//! What goes into a pack, and in which order the budget is spent.
//!
//! The culprit is often not the first suspect, and a fault shows in several ways, of which one alone proves little.
//! So items are taken one by one by what each *adds*: how much it deviates, how likely its service is, and how much
//! of the same service, kind and change has been said already. Saying the same again is worth half each time.

use std::collections::BTreeMap;

use crate::domain::analysis::Analysis;
use crate::domain::evidence::{Detail, Evidence, EvidenceId, EvidenceKind, LogChange};

/// Alerts of different names shown first.
const ALERTS_FIRST: usize = 3;
/// Changes shown first.
const CHANGES_FIRST: usize = 3;
/// What is left of an item's value for each item of the same aspect and service before it.
const AGAIN: f64 = 0.5;
/// What is left for each item of any aspect of the same service before it.
const SAME_SERVICE: f64 = 0.9;
/// Items that say nearly what another says count as this many repetitions.
const ECHO: i32 = 3;
/// Value of an item that does not deviate: it only gives context.
const CONTEXT: f64 = 0.02;
/// Value of the line that says where in its code a service was, though it does not deviate.
const PLACE_IN_CODE: f64 = 0.15;
/// The share of strength in an item's value; the rest is for being there at all. Strengths of different kinds are
/// only roughly comparable.
const BY_STRENGTH: f64 = 0.7;

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
    let (alerts, mut answers, mut rest) = split_alerts(evidence);
    let changes = changes(analysis);
    let signals = signals(analysis);
    // Signals that deviate come before further changes, runbooks and answers; context comes after them.
    let strong = signals.iter().take_while(|(_, value)| *value > CONTEXT).count();
    let plain = |index: usize| Candidate { index, folded: 0 };
    let mut out: Vec<Candidate> = Vec::with_capacity(evidence.len());
    out.extend(alerts.iter().take(ALERTS_FIRST));
    out.extend(changes.iter().take(CHANGES_FIRST).map(|&index| plain(index)));
    // Somebody asked for these to settle a hypothesis.
    out.append(&mut answers);
    let first = strong.min(signals.len());
    // The second half of what deviates repeats more than it adds: what belongs to no service has its turn before.
    let early = first.div_ceil(2);
    out.extend(signals[..early].iter().map(|(index, _)| plain(*index)));
    out.append(&mut rest);
    out.extend(changes.iter().skip(CHANGES_FIRST).map(|&index| plain(index)));
    out.extend(signals[early..].iter().map(|(index, _)| plain(*index)));
    out.extend(alerts.iter().skip(ALERTS_FIRST));
    out
}

/// Alerts folded by name; answers to questions, the last first; runbooks.
fn split_alerts(evidence: &[Evidence]) -> (Vec<Candidate>, Vec<Candidate>, Vec<Candidate>) {
    let mut by_name: BTreeMap<&str, Candidate> = BTreeMap::new();
    let mut answers = Vec::new();
    let mut rest = Vec::new();
    for (index, item) in evidence.iter().enumerate() {
        match &item.detail {
            Detail::Alert(alert) => {
                by_name
                    .entry(alert.name())
                    .and_modify(|candidate| candidate.folded += 1)
                    .or_insert(Candidate { index, folded: 0 });
            }
            Detail::Query { .. } => answers.push(Candidate { index, folded: 0 }),
            Detail::Runbook { .. } => rest.push(Candidate { index, folded: 0 }),
            Detail::Metric(_) | Detail::Log(_) | Detail::Edge(_) | Detail::Change(_) => {}
        }
    }
    let mut alerts: Vec<Candidate> = by_name.into_values().collect();
    alerts.sort_by_key(|candidate| candidate.index);
    answers.sort_by_key(|candidate| std::cmp::Reverse(evidence[candidate.index].id));
    (alerts, answers, rest)
}

/// Changes, the ranked ones first.
fn changes(analysis: &Analysis) -> Vec<usize> {
    let places: BTreeMap<EvidenceId, usize> =
        analysis.evidence.iter().enumerate().map(|(index, item)| (item.id, index)).collect();
    let ranked: Vec<usize> =
        analysis.changes.iter().filter_map(|change| places.get(&change.evidence).copied()).collect();
    let mut seen: Vec<bool> = vec![false; analysis.evidence.len()];
    let of_kind =
        (0..analysis.evidence.len()).filter(|&index| analysis.evidence[index].id.kind == EvidenceKind::Change);
    ranked.into_iter().chain(of_kind).filter(|&index| !std::mem::replace(&mut seen[index], true)).collect()
}

/// What an item shows: the next of the same aspect and service adds less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aspect {
    Metric,
    Edge,
    New,
    Vanished,
    /// What used to follow within a request and no longer does.
    Habit,
    /// More or fewer of the same lines.
    Rate,
    /// A line that did not change.
    Same,
}

/// A signal still to be chosen.
struct Open<'a> {
    index: usize,
    service: &'a str,
    aspect: Aspect,
    /// What makes two items echoes of one another.
    gist: String,
    worth: f64,
}

/// Metrics, logs and edges in the order in which they add most, each with what it added.
fn signals(analysis: &Analysis) -> Vec<(usize, f64)> {
    let mut open: Vec<Open<'_>> = analysis
        .evidence
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            let (aspect, gist) = aspect(item)?;
            let service = item.service.as_deref().unwrap_or_default();
            Some(Open { index, service, aspect, gist, worth: worth(analysis, item) })
        })
        .collect();
    place_in_code(&mut open);
    let mut out = Vec::with_capacity(open.len());
    let mut of_service: BTreeMap<&str, i32> = BTreeMap::new();
    let mut of_aspect: BTreeMap<(&str, Aspect), i32> = BTreeMap::new();
    let mut of_gist: BTreeMap<(&str, Aspect, String), i32> = BTreeMap::new();
    // Few hundred at most: the analysis keeps no more.
    while !open.is_empty() {
        let value = |one: &Open<'_>| {
            let services = of_service.get(one.service).copied().unwrap_or(0);
            let aspects = of_aspect.get(&(one.service, one.aspect)).copied().unwrap_or(0);
            let echoes = of_gist.get(&(one.service, one.aspect, one.gist.clone())).copied().unwrap_or(0);
            one.worth * AGAIN.powi(aspects + ECHO * echoes) * SAME_SERVICE.powi(services)
        };
        let mut best = (0, f64::MIN);
        for (place, one) in open.iter().enumerate() {
            let value = value(one);
            let earlier = one.index < open[best.0].index;
            if value.total_cmp(&best.1).is_gt() || (value.total_cmp(&best.1).is_eq() && earlier) {
                best = (place, value);
            }
        }
        let one = open.swap_remove(best.0);
        out.push((one.index, best.1));
        *of_service.entry(one.service).or_default() += 1;
        *of_aspect.entry((one.service, one.aspect)).or_default() += 1;
        *of_gist.entry((one.service, one.aspect, one.gist)).or_default() += 1;
    }
    out
}

/// What an item shows, and what would make another its echo; `None` when it is no signal.
fn aspect(item: &Evidence) -> Option<(Aspect, String)> {
    match &item.detail {
        Detail::Metric(metric) => Some((Aspect::Metric, metric.metric.clone())),
        Detail::Edge(edge) => Some((Aspect::Edge, format!("{}\n{}", edge.client, edge.server))),
        Detail::Log(log) if super::render::is_habit(log) => {
            Some((Aspect::Habit, gist(super::render::outcome(&log.template))))
        }
        Detail::Log(log) => {
            let aspect = match log.change {
                Some(LogChange::New) => Aspect::New,
                Some(LogChange::Vanished) => Aspect::Vanished,
                Some(LogChange::More | LogChange::Fewer) => Aspect::Rate,
                None => Aspect::Same,
            };
            Some((aspect, gist(&log.template)))
        }
        _ => None,
    }
}

/// The first words of a template that stand for themselves.
fn gist(template: &str) -> String {
    let words = template.split(' ').filter(|word| word.len() > 2 && !word.contains("<*>"));
    words.take(4).collect::<Vec<_>>().join(" ")
}

/// What an item is worth while nothing else has been said.
fn worth(analysis: &Analysis, item: &Evidence) -> f64 {
    let strength = if item.strength.is_finite() { item.strength.clamp(0.0, 1.0) } else { 0.0 };
    let rank = item
        .service
        .as_ref()
        .and_then(|service| analysis.suspects.iter().find(|suspect| suspect.service == *service))
        .map_or(analysis.suspects.len() + 1, |suspect| suspect.rank);
    // Half as likely at the fourth rank, as measured rankings fall off.
    let likely = 1.0 / (rank.max(1) as f64).sqrt();
    // That a line is new or gone is a fact that a reader can use, though a short baseline leaves it to chance.
    let is_fact =
        matches!(&item.detail, Detail::Log(log) if matches!(log.change, Some(LogChange::New | LogChange::Vanished)));
    if strength < LEAST_STRENGTH && !is_fact {
        return CONTEXT * likely;
    }
    likely * (1.0 - BY_STRENGTH + BY_STRENGTH * strength)
}

/// Strength below which an item only gives context.
const LEAST_STRENGTH: f64 = 0.05;

/// A service without deviating lines still says where in its code it was.
fn place_in_code(open: &mut [Open<'_>]) {
    let mut heard: BTreeMap<&str, bool> = BTreeMap::new();
    for one in open.iter() {
        let is_log = !matches!(one.aspect, Aspect::Metric | Aspect::Edge);
        *heard.entry(one.service).or_default() |= is_log && one.worth > CONTEXT;
    }
    for one in open.iter_mut() {
        if one.aspect == Aspect::Same && !std::mem::replace(heard.entry(one.service).or_default(), true) {
            one.worth *= PLACE_IN_CODE / CONTEXT;
        }
    }
}
