//! Signals of all kinds fused into a ranking of services.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::edges::{EdgeFinding, EdgeTrouble};
use super::metrics::{Aspect, MetricFinding, NOISE};
use super::scope::is_calm;
use super::sequences::SequenceFinding;
use super::templates::{CONTEXT_SCORE, LogFinding};
use crate::domain::Timestamp;
use crate::domain::analysis::GraphEdge;
use crate::domain::evidence::Turn;
use crate::domain::incident::Incident;

/// What is known of one service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// The service.
    pub service: String,
    /// 0 to 1.
    pub score: f64,
    /// Strength of its metrics, logs and edges.
    pub kinds: [f64; 3],
}

/// Everything the ranking is made from.
#[derive(Debug, Clone, Copy)]
pub struct Findings<'f> {
    /// The incident.
    pub incident: &'f Incident,
    /// Series.
    pub metrics: &'f [MetricFinding],
    /// Log templates.
    pub logs: &'f [LogFinding],
    /// Broken habits of requests.
    pub sequences: &'f [SequenceFinding],
    /// Whether log entries carry the ids of requests.
    pub traced: bool,
    /// Edges.
    pub edges: &'f [EdgeFinding],
    /// Who calls whom.
    pub graph: &'f [GraphEdge],
    /// The only services that may be blamed, if not any may be.
    pub alone: Option<&'f BTreeSet<String>>,
}

/// Weight of a metric that is not the alert's, and of another statistic of the alert's metric, when the alert's own
/// deviates.
const OTHER_METRIC: f64 = 0.35;
const OTHER_STATISTIC: f64 = 0.6;
/// How often some series of a fault-free world may come as far as one that is blamed by itself.
const FALSE_ALARMS: f64 = 0.1;
/// A service below this is no suspect.
const LEAST_SCORE: f64 = 0.12;
/// The same when the alert's own expression shows nothing abnormal.
const LEAST_SCORE_IN_CALM: f64 = 0.2;
/// Weight of a template's change of rate where requests can be followed.
const TRAFFIC_BOUND: f64 = 0.4;
/// Weight of what is known by its callers only, and of what a service says about another.
const BY_HEARSAY: f64 = 0.75;
/// How much of the trouble of a service is taken to be that of a callee in the same trouble.
const PASSED_ON: f64 = 0.4;

/// An onset so much after another is later; onsets are known to a scrape or two.
const CLEARLY_LATER: Duration = Duration::from_mins(2);
/// Weight of a callee's trouble that began later than its caller's.
const LATE: f64 = 0.5;

/// Ranks the services, likeliest first; empty when nothing deviates beyond chance.
///
/// Each kind of signal gives a service a strength of its own; the three are fused as independent witnesses. Then the
/// graph moves the blame: a service whose callee is in as much trouble passes part of it on, and a service that
/// explains more of the trouble above it gains.
pub fn rank(findings: Findings<'_>) -> Vec<Standing> {
    let mut own: BTreeMap<String, [f64; 3]> = BTreeMap::new();
    metric_strengths(findings.metrics, &mut own);
    log_strengths(findings, &mut own);
    for finding in findings.edges {
        let slot = &mut own.entry(finding.suspect.clone()).or_default()[2];
        *slot = slot.max(finding.strength);
    }
    if let Some(alone) = findings.alone {
        own.retain(|service, _| alone.contains(service));
    }
    let fused: BTreeMap<String, f64> = own
        .iter()
        .map(|(service, kinds)| (service.clone(), 1.0 - kinds.iter().map(|one| 1.0 - 0.9 * one).product::<f64>()))
        .collect();
    let alike = in_like_trouble(findings.metrics, &own, &fused);
    let moved = along_the_graph(&fused, &alike, &onsets(findings.metrics), findings.graph);
    let least = if is_calm(findings.metrics) { LEAST_SCORE_IN_CALM } else { LEAST_SCORE };
    let beyond = beyond_chance(findings.metrics);
    let mut all: Vec<Standing> = moved
        .into_iter()
        .map(|(service, score)| Standing { kinds: own.get(&service).copied().unwrap_or_default(), score, service })
        .filter(|standing| standing.score >= least)
        .filter(|standing| standing.kinds[1].max(standing.kinds[2]) >= least || beyond.contains(&standing.service))
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.service.cmp(&b.service)));
    all
}

/// Services whose metrics deviate farther than the farthest of as many fault-free series would by chance. Of many series
/// that are looked at, some come far; few measure what the alert does, so those need less. The aspects of one service
/// bear each other out.
fn beyond_chance(metrics: &[MetricFinding]) -> BTreeSet<String> {
    let looked = |alerted: bool| metrics.iter().filter(|finding| finding.alerted == alerted).count() as f64;
    // What measures the same as the alert can only go the alert's way; all else can go two ways.
    let needed = [looked(true).max(1.0).log10(), (2.0 * looked(false) / FALSE_ALARMS).max(1.0).log10()];
    let mut surprises: BTreeMap<&str, [BTreeMap<Aspect, f64>; 2]> = BTreeMap::new();
    for finding in metrics.iter().filter(|finding| finding.strength > 0.0) {
        let Some(service) = &finding.service else { continue };
        let aspects = &mut surprises.entry(service).or_default()[usize::from(!finding.alerted)];
        // A wave of load moves them together: they are one witness.
        let load = matches!(finding.aspect, Aspect::Traffic | Aspect::Network | Aspect::Cpu);
        let slot = aspects.entry(if load { Aspect::Traffic } else { finding.aspect }).or_default();
        let ceased = finding.detail.turn == Turn::Absent || finding.steady;
        *slot = slot.max(if ceased { f64::INFINITY } else { finding.surprise });
    }
    let reached = |aspects: &BTreeMap<Aspect, f64>, needed: f64| {
        let mut all: Vec<f64> = aspects.values().copied().collect();
        all.sort_by(|a, b| b.total_cmp(a));
        let others: f64 = all.iter().skip(1).map(|one| (one - NOISE).max(0.0)).sum();
        all.first().is_some_and(|first| first + others >= needed)
    };
    surprises
        .into_iter()
        .filter(|(_, both)| both.iter().zip(needed).any(|(aspects, needed)| reached(aspects, needed)))
        .map(|(service, _)| service.to_owned())
        .collect()
}

fn metric_strengths(metrics: &[MetricFinding], own: &mut BTreeMap<String, [f64; 3]>) {
    let conditioned = metrics.iter().any(|finding| finding.alerted && finding.strength > 0.0);
    let names: BTreeSet<&str> =
        metrics.iter().filter(|finding| finding.alerted).map(|finding| finding.detail.metric.as_str()).collect();
    let mut by_service: BTreeMap<&str, BTreeMap<Aspect, f64>> = BTreeMap::new();
    for finding in metrics {
        let Some(service) = &finding.service else { continue };
        let weight = match (conditioned, finding.alerted) {
            (false, _) | (true, true) => 1.0,
            (true, false) if names.contains(finding.detail.metric.as_str()) => OTHER_STATISTIC,
            (true, false) => OTHER_METRIC,
        };
        let slot = by_service.entry(service).or_default().entry(finding.aspect).or_default();
        *slot = slot.max(finding.strength * weight);
    }
    for (service, aspects) in by_service {
        // The strongest aspect speaks; the others support it a little.
        let mut strengths: Vec<f64> = aspects.into_values().collect();
        strengths.sort_by(|a, b| b.total_cmp(a));
        let joined = 1.0
            - strengths
                .iter()
                .enumerate()
                .map(|(place, one)| 1.0 - one * if place == 0 { 1.0 } else { 0.2 })
                .product::<f64>();
        own.entry(service.to_owned()).or_default()[0] = joined;
    }
}

fn log_strengths(findings: Findings<'_>, own: &mut BTreeMap<String, [f64; 3]>) {
    let Findings { logs, sequences, traced, .. } = findings;
    let known: BTreeSet<&str> =
        own.keys().map(String::as_str).chain(logs.iter().map(|one| one.service.as_str())).collect();
    let mut templates: BTreeMap<&str, f64> = BTreeMap::new();
    for finding in logs.iter().filter(|finding| !finding.service.is_empty() && finding.score >= CONTEXT_SCORE) {
        // Where requests can be followed, how often a template comes given its request says more than how often it
        // comes: the latter follows the traffic. Errors count either way.
        let alarming = matches!(finding.detail.level.as_str(), "error" | "fatal" | "critical");
        let bound = traced && !alarming && finding.detail.branch.is_none();
        let weight = if bound { TRAFFIC_BOUND } else { 1.0 };
        // `call failed: 503 from payments` is a complaint about payments, not about who says so.
        let complains = is_complaint(&finding.detail.level, &finding.detail.template, &finding.service, &known);
        let weight = if complains { weight * BY_HEARSAY } else { weight };
        let slot = templates.entry(&finding.service).or_default();
        *slot = slot.max(finding.score * weight);
    }
    // What changes everywhere follows the traffic: a strength counts by how few other services share it.
    let all: Vec<f64> = templates.values().copied().collect();
    for (service, strength) in templates {
        let shared = all.iter().filter(|other| **other >= 0.8 * strength).count();
        own.entry(service.to_owned()).or_default()[1] = strength / (shared as f64).sqrt();
    }
    let mut broken_inside: BTreeMap<&str, f64> = BTreeMap::new();
    for finding in sequences.iter().filter(|finding| finding.caller == finding.service) {
        let slot = broken_inside.entry(&finding.service).or_default();
        *slot = slot.max(finding.strength);
    }
    for finding in sequences {
        let mut strength = finding.strength;
        if finding.caller != finding.service {
            // A caller that itself went astray no longer calls: that is its doing.
            strength *= 1.0 - 0.7 * broken_inside.get(finding.caller.as_str()).copied().unwrap_or(0.0);
        }
        let slot = &mut own.entry(finding.service.clone()).or_default()[1];
        *slot = slot.max(strength);
    }
}

/// Whether a line of `service` is an error or a warning that names another service that is known.
fn is_complaint(level: &str, template: &str, service: &str, known: &BTreeSet<&str>) -> bool {
    let alarming = matches!(level, "warn" | "error" | "fatal" | "critical");
    let between = |letter: char| !(letter.is_alphanumeric() || matches!(letter, '-' | '_'));
    alarming && template.split(between).any(|word| !word.is_empty() && word != service && known.contains(word))
}

/// How much each service is in the trouble the alert speaks of: blame passes only to a callee that shares it. Where the
/// alert's metric shows nothing, or there is none, any trouble counts.
fn in_like_trouble(
    metrics: &[MetricFinding],
    own: &BTreeMap<String, [f64; 3]>,
    fused: &BTreeMap<String, f64>,
) -> BTreeMap<String, f64> {
    let mut alike: BTreeMap<String, f64> = BTreeMap::new();
    for finding in metrics.iter().filter(|finding| finding.alerted && finding.strength > 0.0) {
        if let Some(service) = &finding.service {
            let slot = alike.entry(service.clone()).or_default();
            *slot = slot.max(0.9 * finding.strength);
        }
    }
    if alike.is_empty() {
        return fused.clone();
    }
    for (service, kinds) in own {
        let slot = alike.entry(service.clone()).or_default();
        *slot = slot.max(0.9 * kinds[1]).max(0.9 * kinds[2]);
    }
    alike
}

/// When each service's trouble began: the earliest onset of its metrics that are at least half as strong as its
/// strongest.
fn onsets(metrics: &[MetricFinding]) -> BTreeMap<&str, Timestamp> {
    let mut strongest: BTreeMap<&str, f64> = BTreeMap::new();
    let mut all: BTreeMap<&str, Timestamp> = BTreeMap::new();
    // Strongest first.
    for finding in metrics.iter().filter(|finding| finding.strength > 0.0) {
        let (Some(service), Some(onset)) = (finding.service.as_deref(), finding.onset) else { continue };
        if finding.strength >= 0.5 * *strongest.entry(service).or_insert(finding.strength) {
            let slot = all.entry(service).or_insert(onset);
            *slot = onset.min(*slot);
        }
    }
    all
}

/// Moves scores along the graph towards the deepest service in trouble; `alike` holds the trouble that can be passed on.
fn along_the_graph(
    fused: &BTreeMap<String, f64>,
    alike: &BTreeMap<String, f64>,
    onsets: &BTreeMap<&str, Timestamp>,
    graph: &[GraphEdge],
) -> BTreeMap<String, f64> {
    // What began clearly later is no cause of what was there before.
    let later = |callee: &str, caller: &str| {
        onsets.get(callee).zip(onsets.get(caller)).is_some_and(|(callee, caller)| *callee > caller.plus(CLEARLY_LATER))
    };
    let score = |service: &str| alike.get(service).copied().unwrap_or(0.0);
    let mut callees: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut callers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in graph {
        callees.entry(&edge.client).or_default().push(&edge.server);
        callers.entry(&edge.server).or_default().push(&edge.client);
    }
    fused
        .iter()
        .map(|(service, own)| {
            let below = callees
                .get(service.as_str())
                .into_iter()
                .flatten()
                .map(|callee| score(callee) * if later(callee, service) { LATE } else { 1.0 })
                .fold(0.0, f64::max);
            let above: f64 = callers.get(service.as_str()).into_iter().flatten().map(|caller| score(caller)).sum();
            let passed_on = if *own > 0.0 { PASSED_ON * (below / own).min(1.0) } else { 0.0 };
            let explains = above / (above + 1.0);
            let reports = if is_address(service) { BY_HEARSAY } else { 1.0 };
            (service.clone(), own * (1.0 - passed_on) * (0.85 + 0.15 * explains) * reports)
        })
        .collect()
}

/// Whether a name is an address outside of the cluster: a caller's view of something that does not report of itself.
fn is_address(name: &str) -> bool {
    let host = name.split(['/', '@', ':', '_']).max_by_key(|part| part.matches('.').count()).unwrap_or(name);
    let inside = matches!(host.rsplit('.').next(), Some("local" | "svc"));
    host.matches('.').count() >= 2 && !inside
}

/// What was looked at for a service and found normal.
pub fn normal_aspects(metrics: &[MetricFinding], service: &str) -> Vec<String> {
    let mut seen: BTreeMap<Aspect, bool> = BTreeMap::new();
    for finding in metrics.iter().filter(|finding| finding.service.as_deref() == Some(service)) {
        *seen.entry(finding.aspect).or_insert(true) &= finding.strength <= 0.0;
    }
    seen.into_iter()
        .filter(|(aspect, normal)| *normal && *aspect != Aspect::Other)
        .map(|(aspect, _)| aspect.word().to_owned())
        .collect()
}

/// Services that `from` calls, directly or by way of others, with their distance.
pub fn downstream(graph: &[GraphEdge], from: &str) -> BTreeMap<String, usize> {
    let mut distance: BTreeMap<String, usize> = BTreeMap::from([(from.to_owned(), 0)]);
    let mut frontier: BTreeSet<String> = BTreeSet::from([from.to_owned()]);
    let mut depth = 0;
    while !frontier.is_empty() && depth < 32 {
        depth += 1;
        let next: BTreeSet<String> = graph
            .iter()
            .filter(|edge| frontier.contains(&edge.client) && !distance.contains_key(&edge.server))
            .map(|edge| edge.server.clone())
            .collect();
        for service in &next {
            distance.insert(service.clone(), depth);
        }
        frontier = next;
    }
    distance
}

/// A few words for the kind of an edge's trouble.
pub fn edge_words(finding: &EdgeFinding) -> &'static str {
    match finding.trouble {
        EdgeTrouble::Transit => "time lost between caller and callee rose",
        EdgeTrouble::Errors => "more calls fail",
        EdgeTrouble::OwnTime => "the callee itself works longer",
        EdgeTrouble::Timeouts => "the caller no longer waits for the answer",
        EdgeTrouble::Retries => "each request makes more calls",
        EdgeTrouble::Traffic => "traffic changed",
        EdgeTrouble::None => "normal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_names_another_service_is_a_complaint_about_it() {
        let known = BTreeSet::from(["", "checkout", "payments", "order-db"]);
        let complains = |level: &str, template: &str| is_complaint(level, template, "checkout", &known);
        assert!(complains("error", "charge failed: <*> from payments, giving up"));
        assert!(complains("warn", r#"{"upstream":"order-db:5432","msg":"slow"}"#));
        assert!(!complains("error", "checkout: nil pointer dereference"));
        assert!(!complains("error", "no payments-worker is free, order lost"));
        assert!(!complains("info", "asked payments"));
    }
}
