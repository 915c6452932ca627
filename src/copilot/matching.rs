//! Whether a playbook fits a suspect, and on which evidence.

use std::collections::BTreeMap;

use super::playbook::{
    ChangeCondition, Condition, EdgeCondition, EdgeSign, MetricCondition, Playbook, Scope, Side, SignalRule,
};
use super::verify::{plain, stands_in};
use crate::domain::Timestamp;
use crate::domain::analysis::{Analysis, Suspect};
use crate::domain::evidence::{BeforeAfter, Detail, EdgeDetail, Evidence, EvidenceKind};

/// A playbook that fits.
#[derive(Debug, Clone)]
pub(super) struct Match<'a> {
    /// Share of the playbook's weights that is met, 0 to 1, weaker evidence counting for less.
    pub fit: f64,
    /// What speaks for it, strongest first, each item once.
    pub supporting: Vec<&'a Evidence>,
    /// What speaks for something else.
    pub against: Vec<&'a Evidence>,
}

/// Items a single signal may bring, so that one chatty signal does not fill the screen.
const ITEMS_PER_SIGNAL: usize = 2;

/// Clocks of deploy systems and scrape intervals differ: a change this much after the first signal may still be it.
const CLOCK_SLACK_NANOS: i64 = 60 * 1_000_000_000;

/// When the suspect began to deviate: its earliest signal that is not a change, else the incident's start.
pub(super) fn onset(analysis: &Analysis, suspect: &Suspect) -> Timestamp {
    suspect
        .signals
        .iter()
        .filter(|signal| signal.kind != EvidenceKind::Change)
        .filter_map(|signal| signal.onset)
        .min()
        .unwrap_or(analysis.incident.started_at)
}

/// Tries `playbook` on `suspect`. `None` when a required signal is absent or too little fits.
pub(super) fn fits<'a>(playbook: &Playbook, analysis: &'a Analysis, suspect: &Suspect) -> Option<Match<'a>> {
    struct Group {
        weight: f64,
        met: f64,
        required: bool,
    }
    let onset = onset(analysis, suspect);
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut supporting: Vec<&Evidence> = Vec::new();
    for (i, rule) in playbook.signals.iter().enumerate() {
        let key = rule.group.clone().unwrap_or_else(|| format!("\u{0}{i}"));
        let found = find(rule, analysis, suspect, onset);
        let group = groups.entry(key).or_insert(Group { weight: 0.0, met: 0.0, required: false });
        group.weight = group.weight.max(rule.weight);
        group.required |= rule.required;
        if let Some(best) = found.first() {
            group.met = group.met.max(rule.weight * (0.5 + 0.5 * unit(best.strength)));
        }
        for item in found.into_iter().take(ITEMS_PER_SIGNAL) {
            if !supporting.iter().any(|known| known.id == item.id) {
                supporting.push(item);
            }
        }
    }
    if supporting.is_empty() || groups.values().any(|group| group.required && group.met <= 0.0) {
        return None;
    }
    let weight: f64 = groups.values().map(|group| group.weight).sum();
    let fit = groups.values().map(|group| group.met).sum::<f64>() / weight;
    if fit < playbook.fit {
        return None;
    }
    let mut against: Vec<&Evidence> = Vec::new();
    for rule in &playbook.against {
        for item in find(rule, analysis, suspect, onset).into_iter().take(1) {
            if !supporting.iter().chain(&against).any(|known| known.id == item.id) {
                against.push(item);
            }
        }
    }
    supporting.sort_by(|a, b| stronger(a, b));
    Some(Match { fit, supporting, against })
}

/// Strongest first, ties by id: the order of everything that is shown.
pub(super) fn stronger(a: &Evidence, b: &Evidence) -> std::cmp::Ordering {
    unit(b.strength).total_cmp(&unit(a.strength)).then(a.id.cmp(&b.id))
}

/// Strengths lie between 0 and 1; anything else, not a number included, is brought there.
pub(super) fn unit(strength: f64) -> f64 {
    if strength.is_nan() { 0.0 } else { strength.clamp(0.0, 1.0) }
}

fn find<'a>(rule: &SignalRule, analysis: &'a Analysis, suspect: &Suspect, onset: Timestamp) -> Vec<&'a Evidence> {
    let mut found: Vec<&Evidence> = analysis
        .evidence
        .iter()
        .filter(|item| unit(item.strength) >= rule.strength)
        .filter(|item| in_scope(rule.scope, item, &suspect.service))
        .filter(|item| holds(&rule.when, analysis, item, &suspect.service, onset))
        .collect();
    found.sort_by(|a, b| stronger(a, b));
    found
}

fn in_scope(scope: Scope, item: &Evidence, service: &str) -> bool {
    let here = match &item.detail {
        Detail::Edge(edge) => edge.client == service || edge.server == service,
        _ => item.service.as_deref() == Some(service),
    };
    let nameless = item.service.as_deref().is_none_or(str::is_empty);
    match scope {
        // A change that is ranked and names no service may concern any.
        Scope::Service => here || (nameless && matches!(item.detail, Detail::Change(_))),
        Scope::Near => here || nameless,
        Scope::Told => here || names(item, service),
        Scope::Elsewhere => !here && !nameless,
        Scope::Anywhere => true,
    }
}

/// Whether the words of a log template or its exemplars, or of another item's title, name the service.
fn names(item: &Evidence, service: &str) -> bool {
    let service = plain(service);
    let told = |text: &str| stands_in(&plain(text), service.trim());
    match &item.detail {
        Detail::Log(log) => told(&log.template) || log.exemplars.iter().any(|entry| told(&entry.line)),
        _ => told(&item.title),
    }
}

fn holds(condition: &Condition, analysis: &Analysis, item: &Evidence, service: &str, onset: Timestamp) -> bool {
    match (condition, &item.detail) {
        (Condition::Metric(wanted), Detail::Metric(metric)) => {
            (wanted.turn.is_empty() || wanted.turn.contains(&metric.turn))
                && wanted.above.is_none_or(|bound| metric.peak > bound)
                && wanted.below.is_none_or(|bound| metric.peak < bound)
                && named(wanted, &metric.metric, &metric.labels.to_string(), item)
        }
        (Condition::Log(wanted), Detail::Log(log)) => {
            (wanted.change.is_empty() || log.change.is_some_and(|change| wanted.change.contains(&change)))
                && (wanted.level.is_empty() || wanted.level.iter().any(|level| level.eq_ignore_ascii_case(&log.level)))
                && wanted.words.as_ref().is_none_or(|words| {
                    words.found_in(&log.template) || log.exemplars.iter().any(|entry| words.found_in(&entry.line))
                })
        }
        (Condition::Edge(wanted), Detail::Edge(edge)) => edge_holds(wanted, edge, service),
        (Condition::Change(wanted), Detail::Change(change)) => {
            change_holds(wanted, analysis, item, onset)
                && wanted.kinds.iter().any(|kind| kind.eq_ignore_ascii_case(&change.kind))
                && wanted.words.as_ref().is_none_or(|words| {
                    words.found_in(&change.reference)
                        || words.found_in(&change.summary)
                        || change.diff.as_ref().is_some_and(|diff| words.found_in(diff))
                })
        }
        (Condition::Alert(wanted), Detail::Alert(alert)) => {
            wanted.words.found_in(alert.name())
                || wanted.words.found_in(alert.summary())
                || alert.expression.as_deref().is_some_and(|expression| wanted.words.found_in(expression))
        }
        _ => false,
    }
}

fn named(wanted: &MetricCondition, metric: &str, labels: &str, item: &Evidence) -> bool {
    // The expression is looked at last and not for exclusion: it names limits and totals it divides by.
    wanted.not.as_ref().is_none_or(|not| !not.found_in(metric))
        && (wanted.words.found_in(metric)
            || wanted.words.found_in(labels)
            || wanted.words.found_in(&item.provenance.expr))
}

fn change_holds(wanted: &ChangeCondition, analysis: &Analysis, item: &Evidence, onset: Timestamp) -> bool {
    let Detail::Change(change) = &item.detail else { return false };
    if wanted.any_time {
        return true;
    }
    // The analysis decides which changes may have caused this; a playbook does not overrule it.
    let ranked = analysis.changes.iter().any(|ranked| ranked.evidence == item.id);
    let late = change.at.nanos() > onset.nanos().saturating_add(CLOCK_SLACK_NANOS);
    ranked && !late && onset.since(change.at).as_secs() <= wanted.minutes.saturating_mul(60)
}

fn edge_holds(wanted: &EdgeCondition, edge: &EdgeDetail, service: &str) -> bool {
    let side = match wanted.side {
        Some(Side::Client) => edge.client == service,
        Some(Side::Server) => edge.server == service,
        None => true,
    };
    side && wanted.shows.iter().all(|sign| match sign {
        // Failures begin at nothing: no figure before is none.
        EdgeSign::Errors => grew(BeforeAfter { before: edge.errors.before.or(Some(0.0)), ..edge.errors }, 1.5, 0.005),
        EdgeSign::Slower => grew(edge.client_seconds, 1.3, 0.001),
        EdgeSign::Busier => grew(edge.rate, 1.5, 0.1),
        EdgeSign::Between => lost_between(edge),
    })
}

/// Whether a figure grew by both a factor and an absolute amount; one without a past did not.
fn grew(figure: BeforeAfter, factor: f64, amount: f64) -> bool {
    match (figure.before, figure.after) {
        (Some(before), Some(after)) => after > before * factor && after - before > amount,
        _ => false,
    }
}

/// Whether less than a third of the time that the caller lost was spent in the callee.
fn lost_between(edge: &EdgeDetail) -> bool {
    let (BeforeAfter { before: Some(c0), after: Some(c1) }, BeforeAfter { before: Some(s0), after: Some(s1) }) =
        (edge.client_seconds, edge.server_seconds)
    else {
        return false;
    };
    grew(edge.client_seconds, 1.3, 0.001) && (s1 - s0) < (c1 - c0) / 3.0
}
