//! How well groups of alerts match true incidents, on generated worlds: services that call each other, on nodes, in
//! namespaces of two clusters; failing services whose callers suffer, failing nodes, failing databases that say
//! nothing; and unrelated alerts, old ones, heartbeats and replicas' copies between. Some worlds are large, or slow to
//! suffer, or tell of causes late, or are noisy.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::Labels;
use crate::domain::alert::AlertState;

/// A small generator of numbers, the same on every machine (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides.max(1) as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

struct Service {
    name: String,
    namespace: String,
    node: String,
    callees: Vec<usize>,
}

const SYMPTOMS: [&str; 3] = ["HighErrorRate", "HighLatency", "SloBurnRate"];
const CAUSES: [&str; 4] = ["KubePodCrashLooping", "CpuThrottlingHigh", "MemoryHigh", "QueueBacklog"];

/// What worlds of one kind are like.
struct Manner {
    name: &'static str,
    /// The fewest services.
    services: usize,
    /// Seconds within which callers begin to suffer, and those that the cause may be told of late: rules wait.
    spread: usize,
    late: usize,
    /// At most so many unrelated alerts.
    noise: usize,
    /// F1 that is reached with the graph, and without.
    least: [f64; 2],
}

const MANNERS: [Manner; 5] = [
    Manner { name: "plain", services: 30, spread: 240, late: 1, noise: 6, least: [0.88, 0.8] },
    Manner { name: "large", services: 300, spread: 240, late: 1, noise: 6, least: [0.92, 0.92] },
    Manner { name: "slow", services: 30, spread: 540, late: 1, noise: 6, least: [0.85, 0.75] },
    Manner { name: "late causes", services: 60, spread: 240, late: 300, noise: 6, least: [0.88, 0.85] },
    Manner { name: "noisy", services: 60, spread: 240, late: 60, noise: 60, least: [0.77, 0.75] },
];

/// Alerts, each with the number of its true incident, and the graph.
fn world(seed: u64, manner: &Manner) -> (Vec<(Alert, usize)>, Vec<GraphEdge>) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let count = manner.services + dice.roll(40);
    let services: Vec<Service> = (0..count)
        .map(|i| Service {
            name: format!("svc-{i:02}"),
            namespace: format!("ns-{}", dice.roll(4)),
            node: format!("node-{}", dice.roll(8)),
            callees: (0..=dice.roll(2)).map(|_| i + 1 + dice.roll(12)).filter(|&callee| callee < count).collect(),
        })
        .collect();
    let graph: Vec<GraphEdge> = services
        .iter()
        .flat_map(|one| one.callees.iter().map(|&callee| (one.name.clone(), services[callee].name.clone())))
        .map(|(client, server)| GraphEdge { client, server })
        .collect();
    let mut out: Vec<(Alert, usize)> = Vec::new();
    let mut fire = |name: &str, service: Option<&Service>, more: &[(&str, &str)], start: i64, truth: usize| {
        let mut labels: Labels =
            [("alertname", name), ("cluster", "eu"), ("severity", "warning")].into_iter().collect();
        if let Some(service) = service {
            for (label, value) in
                [("service", &service.name), ("namespace", &service.namespace), ("node", &service.node)]
            {
                labels.insert(label, value);
            }
        }
        for (label, value) in more {
            labels.insert(label, value);
        }
        let fingerprint = format!(
            "{:08x}-{start}",
            labels.to_string().bytes().fold(7_u32, |h, b| { h.wrapping_mul(31) ^ u32::from(b) })
        );
        let alert = Alert {
            fingerprint,
            labels,
            annotations: Labels::new(),
            starts_at: Timestamp::from_secs(start),
            ends_at: None,
            state: AlertState::Active,
            suppressed_by: Vec::new(),
            receivers: Vec::new(),
            generator_url: String::new(),
            expression: None,
        };
        out.push((alert, truth));
    };
    let incidents = 1 + dice.roll(4);
    for truth in 0..incidents {
        let start = 1_000_000 + dice.roll(7_200) as i64;
        let root = dice.roll(count);
        match dice.roll(10) {
            // A node fails, and what is on it.
            0..2 => {
                let node = services[root].node.clone();
                fire("KubeNodeNotReady", None, &[("node", &node), ("job", "kube-state-metrics")], start, truth);
                for service in services.iter().filter(|service| service.node == node) {
                    for pod in 0..=dice.roll(3) {
                        let pod = format!("{}-{pod}", service.name);
                        let after = dice.roll(240) as i64;
                        fire("KubePodNotReady", Some(service), &[("pod", &pod)], start + after, truth);
                    }
                }
            }
            // Something fails that has no alerts of its own: its callers suffer.
            2 => {
                for service in services.iter().filter(|service| service.callees.contains(&root)) {
                    fire(SYMPTOMS[dice.roll(3)], Some(service), &[], start + dice.roll(120) as i64, truth);
                }
            }
            // A service fails, and its callers with it.
            _ => {
                let mut hit: BTreeSet<usize> = BTreeSet::from([root]);
                let mut frontier = vec![root];
                let told = start + dice.roll(manner.late) as i64;
                fire(CAUSES[dice.roll(4)], Some(&services[root]), &[], told, truth);
                while let Some(callee) = frontier.pop() {
                    for (caller, service) in services.iter().enumerate().take(callee) {
                        if service.callees.contains(&callee) && dice.chance(60) && hit.insert(caller) {
                            frontier.push(caller);
                        }
                    }
                }
                for &service in &hit {
                    let after = 30 + dice.roll(manner.spread) as i64;
                    fire(SYMPTOMS[dice.roll(3)], Some(&services[service]), &[], start + after, truth);
                }
                if dice.chance(30) {
                    // The second half of a pair tells of it, too.
                    fire("HighErrorRate", Some(&services[root]), &[("replica", "b")], start + 60, truth);
                }
            }
        }
    }
    for noise in 0..dice.roll(manner.noise) {
        let names = ["CertificateExpires", "DiskAlmostFull", "BackupFailed", "HighErrorRate"];
        let (service, start) = (dice.roll(count), 1_000_000 + dice.roll(7_200) as i64);
        fire(names[dice.roll(4)], Some(&services[service]), &[], start, 100 + noise);
    }
    for old in 0..dice.roll(4) {
        let service = dice.roll(count);
        fire("HighLatency", Some(&services[service]), &[], 1_000_000 - 86_400 * (2 + old as i64), 200 + old);
    }
    // The other cluster has its own trouble with the same names.
    if dice.chance(50) {
        let start = 1_000_000 + dice.roll(7_200) as i64;
        let service = dice.roll(count);
        fire("HighErrorRate", Some(&services[service]), &[("cluster", "us")], start, 300);
        fire("HighLatency", Some(&services[service]), &[("cluster", "us")], start + 30, 300);
    }
    fire("Watchdog", None, &[], 900_000, 400);
    (out, graph)
}

/// Pairs of alerts that are rightly together, together, and that should be.
fn pairs(alerts: &[(Alert, usize)], graph: &[GraphEdge]) -> (usize, usize, usize) {
    let mut truth: BTreeMap<(String, Timestamp), usize> = BTreeMap::new();
    for (alert, number) in alerts.iter().filter(|(alert, _)| alert.name() != "Watchdog") {
        truth.insert((alert.fingerprint.clone(), alert.starts_at), *number);
    }
    let all: Vec<Alert> = alerts.iter().map(|(alert, _)| alert.clone()).collect();
    let two = |n: usize| n * n.saturating_sub(1) / 2;
    let (mut right, mut together, mut of_truth) = (0, 0, BTreeMap::<usize, usize>::new());
    for incident in correlate(&all, graph, Timestamp::from_secs(1_008_000)) {
        let mut by_truth: BTreeMap<usize, usize> = BTreeMap::new();
        for alert in &incident.alerts {
            let number = truth.get(&(alert.fingerprint.clone(), alert.starts_at)).copied();
            // A folded copy stands under another start; its first one is known.
            let Some(number) = number else { continue };
            *by_truth.entry(number).or_default() += 1;
            *of_truth.entry(number).or_default() += 1;
        }
        together += two(by_truth.values().sum());
        right += by_truth.values().map(|&n| two(n)).sum::<usize>();
    }
    (right, together, of_truth.values().map(|&n| two(n)).sum())
}

/// F1 over pairs of alerts, and the figures in words.
fn f1(manner: &Manner, seeds: std::ops::Range<u64>, with_graph: bool) -> (f64, String) {
    let (mut right, mut together, mut should) = (0, 0, 0);
    for seed in seeds {
        let (alerts, graph) = world(seed, manner);
        let (r, t, s) = pairs(&alerts, if with_graph { &graph } else { &[] });
        (right, together, should) = (right + r, together + t, should + s);
    }
    let (precision, recall) = (right as f64 / together as f64, right as f64 / should as f64);
    let f1 = 2.0 * precision * recall / (precision + recall);
    (f1, format!("{}, graph {with_graph}: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}", manner.name))
}

#[test]
fn groups_match_true_incidents() {
    for manner in &MANNERS {
        for (with_graph, least) in [true, false].into_iter().zip(manner.least) {
            let (f1, told) = f1(manner, 0..100, with_graph);
            assert!(f1 >= least, "{told}");
        }
    }
}
