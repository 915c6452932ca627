//! Which services an incident can be about.
//!
//! A recording or a cluster may hold several incidents at once. What deviates far from the services that the alerts
//! name belongs to another of them, however loud it is.

use std::collections::{BTreeMap, BTreeSet};

use super::entity::{is_collector, service_of};
use super::inquiry::expression;
use super::metrics::MetricFinding;
use crate::domain::alert::AlertState;
use crate::domain::analysis::GraphEdge;
use crate::domain::query::Purpose;
use crate::domain::snapshot::Snapshot;

/// Steps in the graph, callers and callees mixed, that trouble is taken to spread: to a shared dependency of a caller
/// and what else uses it.
const STEPS: usize = 4;
/// Steps along one direction of calls.
const STEPS_ONE_WAY: usize = 8;
/// A graph that knows less than this share of the services that report says nothing about who is unconnected.
const LEAST_COVERAGE: f64 = 0.5;
/// A label value that more services than this share hold is no sign that two of them have something in common.
const MOST_HOLDERS: f64 = 1.0 / 3.0;
/// So many may always hold it.
const FEW_HOLDERS: usize = 3;
/// Labels of what services share: the machine, the place, the store.
const SHARED: &[&str] = &[
    "node",
    "host",
    "hostname",
    "nodename",
    "instance",
    "zone",
    "namespace",
    "kubernetes_namespace",
    "k8s_namespace_name",
    "pod",
    "pod_name",
    "k8s_pod_name",
    "topic",
    "queue",
    "pool",
    "database",
    "datname",
    "db",
    "bucket",
    "shard",
    "volume",
    "persistentvolumeclaim",
];

/// What an incident can be about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Services that the alerts name; empty when an alert names none, or only names that nothing else reports.
    pub named: BTreeSet<String>,
    /// Services connected with those; `None` when nothing tells who is unconnected.
    near: Option<BTreeSet<String>>,
    /// Whether all alerts were over before the window began.
    pub over: bool,
}

impl Scope {
    /// From the alerts, the graph and what the series have in common. `reporting` are the services that anything was
    /// observed of.
    pub fn of(
        snapshot: &Snapshot,
        graph: &[GraphEdge],
        metrics: &[MetricFinding],
        reporting: &BTreeSet<String>,
    ) -> Self {
        let incident = &snapshot.incident;
        let over = !incident.alerts.is_empty()
            && incident.alerts.iter().all(|alert| {
                alert.state == AlertState::Resolved && alert.ends_at.is_some_and(|end| end < incident.window.start)
            });
        let vertices: BTreeSet<&str> =
            graph.iter().flat_map(|edge| [edge.client.as_str(), edge.server.as_str()]).collect();
        let named = named(snapshot);
        if named.is_empty() || !named.iter().any(|name| reporting.contains(name) || vertices.contains(name.as_str())) {
            return Self { over, ..Self::default() };
        }
        let known = reporting.iter().filter(|service| vertices.contains(service.as_str())).count();
        let covered = !graph.is_empty() && known as f64 >= LEAST_COVERAGE * reporting.len() as f64;
        let near = covered.then(|| {
            let mut near = neighbourhood(graph, &vertices, &named);
            near.extend(sharing(snapshot, metrics));
            near
        });
        Self { named, near, over }
    }

    /// Whether a service can have to do with the incident.
    pub fn admits(&self, service: &str) -> bool {
        self.near.as_ref().is_none_or(|near| near.contains(service))
    }

    /// The only services that may be blamed, where the alerts' own expressions show nothing that would have come from
    /// elsewhere: those they name, and those that deviate in the alerts' metric themselves (an average over all of a
    /// caller's requests hides the trouble of one callee). `None` when any may be.
    pub fn alone(&self, snapshot: &Snapshot, metrics: &[MetricFinding]) -> Option<BTreeSet<String>> {
        let asked: BTreeSet<&str> = snapshot
            .metrics
            .iter()
            .filter_map(|answer| match &answer.purpose {
                Purpose::AlertExpression { alert } => Some(alert.as_str()),
                _ => None,
            })
            .collect();
        let answered = snapshot.incident.alerts.iter().all(|alert| asked.contains(alert.name()));
        let alike = metrics
            .iter()
            .filter(|finding| finding.alerted && !finding.steady && finding.strength > 0.0)
            .filter_map(|finding| finding.service.clone());
        (!self.named.is_empty() && answered && is_calm(metrics))
            .then(|| self.named.iter().cloned().chain(alike).collect())
    }
}

/// Whether the alerts' own expressions were answered, with a baseline, and go nowhere that they did not go before.
pub fn is_calm(metrics: &[MetricFinding]) -> bool {
    let mut own = metrics.iter().filter(|finding| finding.of_alert && finding.detail.baseline.count > 0).peekable();
    own.peek().is_some() && own.all(|finding| finding.strength < 0.25 || finding.steady)
}

/// Services that the alerts name by their labels or in their expressions; empty when one of them names none.
fn named(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for alert in &snapshot.incident.alerts {
        if let Some(service) = service_of(&alert.labels).filter(|service| !is_collector(service)) {
            all.insert(service);
            continue;
        }
        let expression = expression::of_alert(alert, &snapshot.rules).unwrap_or_default();
        let services = expression::services(&expression);
        if services.is_empty() {
            return BTreeSet::new();
        }
        all.extend(services);
    }
    all
}

/// The named services, and those within reach of them.
fn neighbourhood(graph: &[GraphEdge], vertices: &BTreeSet<&str>, named: &BTreeSet<String>) -> BTreeSet<String> {
    let start: BTreeSet<&str> = named
        .iter()
        .flat_map(|name| {
            let exact = vertices.get(name.as_str()).copied();
            let alike = vertices.iter().copied().filter(|vertex| exact.is_none() && are_alike(vertex, name));
            exact.into_iter().chain(alike).collect::<Vec<_>>()
        })
        .collect();
    let mut callees: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut callers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in graph {
        callees.entry(&edge.client).or_default().push(&edge.server);
        callers.entry(&edge.server).or_default().push(&edge.client);
    }
    let mut near: BTreeSet<&str> = BTreeSet::new();
    for (ways, steps) in
        [(vec![&callees], STEPS_ONE_WAY), (vec![&callers], STEPS_ONE_WAY), (vec![&callees, &callers], STEPS)]
    {
        near.extend(walked(&start, &ways, steps));
    }
    near.into_iter().map(str::to_owned).chain(named.iter().cloned()).collect()
}

fn walked<'g>(start: &BTreeSet<&'g str>, ways: &[&BTreeMap<&'g str, Vec<&'g str>>], steps: usize) -> BTreeSet<&'g str> {
    let mut seen = start.clone();
    let mut frontier: Vec<&str> = start.iter().copied().collect();
    for _ in 0..steps {
        let next: BTreeSet<&str> = frontier
            .iter()
            .flat_map(|service| ways.iter().filter_map(move |way| way.get(service)))
            .flatten()
            .copied()
            .collect();
        frontier = next.into_iter().filter(|service| seen.insert(service)).collect();
    }
    seen
}

/// Whether two names may mean one service: a host name and its first label, a workload and its version.
fn are_alike(one: &str, other: &str) -> bool {
    let short = |name: &str| -> String {
        let name = name.rsplit('/').next().unwrap_or(name);
        name.split(['.', ':']).next().unwrap_or(name).to_ascii_lowercase()
    };
    let (one, other) = (short(one), short(other));
    let extends = |long: &str, short: &str| {
        !short.is_empty()
            && long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    extends(&one, &other) || extends(&other, &one)
}

/// Services whose series carry a telling label of an alert.
fn sharing(snapshot: &Snapshot, metrics: &[MetricFinding]) -> BTreeSet<String> {
    let mut holders: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut services: BTreeSet<&str> = BTreeSet::new();
    for finding in metrics {
        let Some(service) = &finding.service else { continue };
        services.insert(service);
        for (name, value) in finding.detail.labels.iter().filter(|(name, _)| SHARED.contains(name)) {
            holders.entry((name, value)).or_default().insert(service);
        }
    }
    let most = FEW_HOLDERS.max((services.len() as f64 * MOST_HOLDERS) as usize).min(services.len().saturating_sub(1));
    snapshot
        .incident
        .alerts
        .iter()
        .flat_map(|alert| alert.labels.iter())
        .filter_map(|pair| holders.get(&pair))
        .filter(|who| who.len() <= most)
        .flatten()
        .map(|&service| service.to_owned())
        .collect()
}

#[cfg(test)]
mod tests;
