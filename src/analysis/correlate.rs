//! Alerts into incidents, by time, labels and the service graph.
//!
//! Alerts are walked in the order of their start. Each carries a few keys (its service, its neighbours, its alert
//! name, its namespace and cluster), each key with the time within which it links two alerts. An alert joins whatever
//! it shares a live key with; a union-find keeps the groups. The cost is linear in alerts times keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::entity::service_of;
use crate::domain::alert::{Alert, AlertState};
use crate::domain::analysis::GraphEdge;
use crate::domain::incident::Incident;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

/// Two alerts of one service belong together when they start within this time.
const SAME_SERVICE: Duration = Duration::from_mins(30);
/// The same for services that call each other.
const NEIGHBOURS: Duration = Duration::from_mins(10);
/// The same for one alert name within one cluster, or one namespace, node or cluster.
const SAME_PLACE: Duration = Duration::from_mins(5);
/// What is examined before the first alert: rules wait before they fire.
const LEAD: Duration = Duration::from_mins(10);
/// What is examined after the end of a resolved incident.
const TAIL: Duration = Duration::from_mins(5);
/// The window is at most so long: what caused an incident lies near its start.
const LONGEST_WINDOW: Duration = Duration::from_mins(90);
/// Length of the default baseline, the time just before the window.
const BASELINE: Duration = Duration::from_hours(1);

/// Labels that separate worlds: alerts that differ in one of them never belong together.
const WORLDS: &[&str] = &["cluster", "k8s_cluster", "k8s_cluster_name", "environment", "env", "region", "tenant"];
/// Labels that name a common place of failure.
const PLACES: &[&str] = &["namespace", "kubernetes_namespace", "k8s_namespace_name", "node", "host", "zone"];

/// Folds alerts into incidents. Duplicates of one fingerprint (sent by two sources, or flapping) become one alert;
/// resolved ones stay. `graph` is what is known of who calls whom, and may be empty; `now` bounds the windows.
///
/// The order of `alerts` does not matter. Incidents come unresolved first, then worst, then earliest.
pub fn correlate(alerts: &[Alert], graph: &[GraphEdge], now: Timestamp) -> Vec<Incident> {
    let alerts = fold_duplicates(alerts);
    let mut neighbours: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for edge in graph {
        neighbours.entry(&edge.client).or_default().insert(&edge.server);
        neighbours.entry(&edge.server).or_default().insert(&edge.client);
    }
    let mut groups = UnionFind::new(alerts.len());
    let mut last: HashMap<String, usize> = HashMap::new();
    for (index, alert) in alerts.iter().enumerate() {
        let world = world_of(&alert.labels);
        let mut link = |key: String, within: Duration, leave: bool| {
            if let Some(&other) = last.get(&key)
                && alert.starts_at.since(alerts[other].starts_at) <= within
            {
                groups.join(other, index);
            }
            if leave {
                last.insert(key, index);
            }
        };
        let service = service_of(&alert.labels);
        if let Some(service) = &service {
            link(format!("{world}\u{1}s\u{1}{service}"), SAME_SERVICE, true);
            for neighbour in neighbours.get(service.as_str()).into_iter().flatten().take(64) {
                link(format!("{world}\u{1}s\u{1}{neighbour}"), NEIGHBOURS, false);
            }
        }
        let mut placed = false;
        for name in PLACES {
            if let Some(value) = alert.labels.get(name) {
                placed = true;
                link(format!("{world}\u{1}p\u{1}{name}\u{1}{value}"), SAME_PLACE, true);
            }
        }
        if !placed && !world.is_empty() {
            link(format!("{world}\u{1}w"), SAME_PLACE, true);
        }
        link(format!("{world}\u{1}n\u{1}{}", alert.name()), SAME_PLACE, true);
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..alerts.len() {
        members.entry(groups.root(index)).or_default().push(index);
    }
    let mut alerts: Vec<Option<Alert>> = alerts.into_iter().map(Some).collect();
    let mut incidents: Vec<Incident> = members
        .into_values()
        .map(|indices| incident(indices.iter().filter_map(|&index| alerts[index].take()).collect(), now))
        .collect();
    incidents.sort_by(|a, b| {
        a.is_resolved()
            .cmp(&b.is_resolved())
            .then(b.severity.cmp(&a.severity))
            .then(a.started_at.cmp(&b.started_at))
            .then_with(|| a.id.cmp(&b.id))
    });
    incidents
}

/// One alert per fingerprint, sorted by start and fingerprint. The merged one starts with the first and is as alive
/// as the liveliest.
fn fold_duplicates(alerts: &[Alert]) -> Vec<Alert> {
    let mut by_fingerprint: BTreeMap<String, &Alert> = BTreeMap::new();
    let mut starts: BTreeMap<String, Timestamp> = BTreeMap::new();
    for alert in alerts {
        let key = if alert.fingerprint.is_empty() { alert.labels.to_string() } else { alert.fingerprint.clone() };
        let start = starts.entry(key.clone()).or_insert(alert.starts_at);
        *start = (*start).min(alert.starts_at);
        by_fingerprint
            .entry(key)
            .and_modify(|kept| {
                if preference(alert) > preference(kept) {
                    *kept = alert;
                }
            })
            .or_insert(alert);
    }
    let mut folded: Vec<Alert> = by_fingerprint
        .into_iter()
        .map(|(key, alert)| {
            let mut alert = alert.clone();
            alert.starts_at = starts.get(&key).copied().unwrap_or(alert.starts_at);
            alert.fingerprint = key;
            alert
        })
        .collect();
    folded.sort_by(|a, b| a.starts_at.cmp(&b.starts_at).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
    folded
}

/// Which of two copies of an alert is kept. A total order over all that matters, so that input order does not.
fn preference(alert: &Alert) -> (u8, Option<Timestamp>, usize, usize, bool, String) {
    let life = match alert.state {
        AlertState::Active => 3,
        AlertState::Suppressed => 2,
        AlertState::Pending => 1,
        AlertState::Resolved => 0,
    };
    (
        life,
        alert.ends_at,
        alert.labels.len(),
        alert.annotations.len(),
        alert.expression.is_some(),
        format!("{}{}{}", alert.annotations, alert.generator_url, alert.starts_at.nanos()),
    )
}

fn world_of(labels: &Labels) -> String {
    let mut world = String::new();
    for name in WORLDS {
        if let Some(value) = labels.get(name) {
            world.push_str(value);
            world.push('\u{2}');
        }
    }
    world
}

/// Makes the incident of alerts that are sorted by start.
fn incident(mut alerts: Vec<Alert>, now: Timestamp) -> Incident {
    let first_fingerprint = alerts.first().map(|alert| alert.fingerprint.clone()).unwrap_or_default();
    let started_at = alerts.first().map_or(now, |alert| alert.starts_at);
    let last_start = alerts.last().map_or(now, |alert| alert.starts_at);
    alerts.sort_by(|a, b| {
        b.severity()
            .cmp(&a.severity())
            .then(a.starts_at.cmp(&b.starts_at))
            .then_with(|| a.fingerprint.cmp(&b.fingerprint))
    });
    let resolved = !alerts.is_empty() && alerts.iter().all(|alert| alert.state == AlertState::Resolved);
    let resolved_at = resolved.then(|| alerts.iter().filter_map(|alert| alert.ends_at).max().unwrap_or(last_start));
    let services: BTreeSet<String> = alerts.iter().filter_map(|alert| service_of(&alert.labels)).collect();
    let title = alerts.first().map_or_else(Text::default, |alert| Text::new(alert.summary()));
    let severity = alerts.first().map(Alert::severity).unwrap_or_default();
    let window = window(started_at, resolved_at, now);
    Incident {
        id: incident_id(&first_fingerprint),
        title: Text::new(&title.one_line()),
        severity,
        started_at,
        resolved_at,
        services: services.into_iter().collect(),
        alerts,
        window,
        baseline: TimeRange::new(window.start.minus(BASELINE), window.start),
    }
}

/// From a bit before the first alert to now, or to a bit after the end; bounded.
fn window(started_at: Timestamp, resolved_at: Option<Timestamp>, now: Timestamp) -> TimeRange {
    let start = started_at.minus(LEAD);
    let end = resolved_at.map_or(now, |at| at.plus(TAIL).min(now.max(at)));
    // An alert of the future (a clock that is wrong) still gets a window around its start.
    let end = end.max(started_at.plus(Duration::from_mins(1)));
    TimeRange::new(start, end.min(start.plus(LONGEST_WINDOW)))
}

/// The id of an incident whose first alert has this fingerprint: `I-` and six hexadecimal digits of its SHA-256.
///
/// An alert that arrives late but began earlier takes the first place, and the id with it; so each alert's own id is
/// another name of its incident.
pub fn incident_id(fingerprint: &str) -> String {
    let digest = Sha256::digest(fingerprint.as_bytes());
    format!("I-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

/// Disjoint sets with path halving; the smallest index is the root, so that roots do not depend on the order of joins.
struct UnionFind(Vec<usize>);

impl UnionFind {
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::alert::Severity;

    fn alert(name: &str, labels: &[(&str, &str)], start: i64) -> Alert {
        let mut all: Labels = labels.iter().copied().collect();
        all.insert("alertname", name);
        Alert {
            fingerprint: format!("{:x}", all.to_string().bytes().fold(7_u64, |h, b| h.wrapping_mul(31) ^ u64::from(b))),
            labels: all,
            annotations: [("summary", format!("{name} fires").as_str())].into_iter().collect(),
            starts_at: Timestamp::from_secs(start),
            ends_at: None,
            state: AlertState::Active,
            suppressed_by: Vec::new(),
            receivers: Vec::new(),
            generator_url: String::new(),
            expression: None,
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(20_000)
    }

    #[test]
    fn callers_and_callees_share_an_incident() {
        let alerts = [
            alert("Slow", &[("service", "front"), ("severity", "warning")], 10_000),
            alert("Errors", &[("service", "pay"), ("severity", "critical")], 10_120),
            alert("DiskFull", &[("service", "backup")], 10_130),
        ];
        assert_eq!(correlate(&alerts, &[], now()).len(), 3);
        let graph = [GraphEdge { client: "front".into(), server: "pay".into() }];
        let incidents = correlate(&alerts, &graph, now());
        assert_eq!(incidents.len(), 2);
        assert_eq!(incidents[0].services, ["front", "pay"]);
        assert_eq!(incidents[0].severity, Severity::Critical);
        assert_eq!(incidents[0].title.as_str(), "Errors fires");
        assert_eq!(incidents[0].started_at, Timestamp::from_secs(10_000));
        assert!(incidents[0].id.starts_with("I-") && incidents[0].id.len() == 8);
    }

    #[test]
    fn time_and_cluster_separate() {
        let alerts = [
            alert("Slow", &[("service", "a"), ("cluster", "eu")], 10_000),
            alert("Slow", &[("service", "a"), ("cluster", "us")], 10_010),
            alert("Late", &[("service", "a"), ("cluster", "eu")], 15_000),
        ];
        assert_eq!(correlate(&alerts, &[], now()).len(), 3);
    }

    #[test]
    fn a_flapping_alert_is_one_and_a_resolved_one_stays() {
        let mut first = alert("Flap", &[("service", "a")], 10_000);
        first.state = AlertState::Resolved;
        first.ends_at = Some(Timestamp::from_secs(10_100));
        let again = alert("Flap", &[("service", "a")], 10_300);
        let incidents = correlate(&[again, first.clone()], &[], now());
        assert_eq!(incidents.len(), 1);
        assert_eq!(incidents[0].alerts.len(), 1);
        assert_eq!(incidents[0].started_at, Timestamp::from_secs(10_000));
        assert!(!incidents[0].is_resolved());
        let over = correlate(&[first], &[], now());
        assert_eq!(over[0].resolved_at, Some(Timestamp::from_secs(10_100)));
    }

    #[test]
    fn a_storm_becomes_a_handful() {
        let storm: Vec<Alert> = (0..50_000_i64)
            .map(|i| {
                let (service, pod) = (format!("svc-{}", i % 200), format!("pod-{i}"));
                let namespace = format!("ns-{}", i % 4);
                alert("Down", &[("service", &service), ("pod", &pod), ("namespace", &namespace)], 10_000 + i % 900)
            })
            .collect();
        let incidents = correlate(&storm, &[], now());
        assert!(incidents.len() <= 4, "{}", incidents.len());
        assert_eq!(incidents.iter().map(|incident| incident.alerts.len()).sum::<usize>(), 50_000);
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_nothing_is_lost(
            specs in prop::collection::vec((0_usize..4, 0_usize..6, 0_i64..5_000, 0_usize..3), 0..40),
            seed in any::<u64>(),
        ) {
            let alerts: Vec<Alert> = specs.iter().map(|&(name, service, start, place)| {
                let mut alert = alert(
                    &format!("n{name}"),
                    &[("service", &format!("s{service}")), ("namespace", &format!("p{place}"))],
                    start,
                );
                if start % 7 == 0 { alert.state = AlertState::Resolved; }
                alert
            }).collect();
            let mut shuffled = alerts.clone();
            let mut state = seed | 1;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let graph = [GraphEdge { client: "s0".into(), server: "s1".into() }];
            let one = correlate(&alerts, &graph, now());
            prop_assert_eq!(&one, &correlate(&shuffled, &graph, now()));
            let unique: BTreeSet<&str> = alerts.iter().map(|alert| alert.fingerprint.as_str()).collect();
            prop_assert_eq!(one.iter().map(|incident| incident.alerts.len()).sum::<usize>(), unique.len());
            for incident in &one {
                prop_assert!(incident.window.start <= incident.started_at);
                prop_assert!(incident.window.duration() <= LONGEST_WINDOW);
                prop_assert!(incident.baseline.end <= incident.window.start);
            }
        }
    }
}
