//! Signals of all kinds fused into a ranking of services.

use std::collections::{BTreeMap, BTreeSet};

use super::edges::{EdgeFinding, EdgeTrouble};
use super::metrics::{Aspect, MetricFinding};
use super::templates::LogFinding;
use crate::domain::analysis::GraphEdge;
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
    /// Edges.
    pub edges: &'f [EdgeFinding],
    /// Who calls whom.
    pub graph: &'f [GraphEdge],
}

/// Ranks the services, likeliest first; empty when nothing deviates beyond chance.
pub fn rank(findings: Findings<'_>) -> Vec<Standing> {
    let mut kinds: BTreeMap<String, [f64; 3]> = BTreeMap::new();
    let alerted = findings.metrics.iter().any(|finding| finding.alerted && finding.strength > 0.0);
    for finding in findings.metrics {
        let Some(service) = &finding.service else { continue };
        let weight = if alerted && !finding.alerted { 0.5 } else { 1.0 };
        let slot = &mut kinds.entry(service.clone()).or_default()[0];
        *slot = slot.max(finding.strength * weight);
    }
    for finding in findings.logs {
        if !finding.service.is_empty() {
            let slot = &mut kinds.entry(finding.service.clone()).or_default()[1];
            *slot = slot.max(finding.score);
        }
    }
    for finding in findings.edges {
        let slot = &mut kinds.entry(finding.suspect.clone()).or_default()[2];
        *slot = slot.max(finding.strength);
    }
    let mut all: Vec<Standing> = kinds
        .into_iter()
        .map(|(service, kinds)| Standing {
            score: 1.0 - kinds.iter().map(|strength| 1.0 - 0.9 * strength).product::<f64>(),
            service,
            kinds,
        })
        .filter(|standing| standing.score > 0.05)
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.service.cmp(&b.service)));
    all
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
        EdgeTrouble::Traffic => "traffic changed",
        EdgeTrouble::None => "normal",
    }
}
