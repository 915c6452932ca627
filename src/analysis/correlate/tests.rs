//! What belongs together, by example and property.

use proptest::prelude::*;

use std::collections::BTreeSet;

use super::*;
use crate::domain::Labels;
use crate::domain::alert::{AlertState, Severity};

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
        // What fires again long after is told once more, so there may be more than there are names.
        let unique: BTreeSet<&str> = alerts.iter().map(|alert| alert.fingerprint.as_str()).collect();
        let kept: Vec<&str> =
            one.iter().flat_map(|incident| &incident.alerts).map(|alert| alert.fingerprint.as_str()).collect();
        prop_assert_eq!(&kept.iter().copied().collect::<BTreeSet<&str>>(), &unique);
        prop_assert!(kept.len() <= alerts.len());
        let ids: BTreeSet<&str> = one.iter().map(|incident| incident.id.as_str()).collect();
        prop_assert_eq!(ids.len(), one.len());
        for incident in &one {
            prop_assert!(incident.window.start <= incident.started_at);
            prop_assert!(incident.window.duration() <= LONGEST_WINDOW);
            prop_assert!(incident.baseline.end <= incident.window.start);
        }
    }
}

fn edge(client: &str, server: &str) -> GraphEdge {
    GraphEdge { client: client.into(), server: server.into() }
}

/// Services of each incident, for short.
fn services(alerts: &[Alert], graph: &[GraphEdge]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> =
        correlate(alerts, graph, now()).into_iter().map(|incident| incident.services).collect();
    all.sort();
    all
}

#[test]
fn one_namespace_alone_joins_nothing() {
    let shop = |name, service, start| alert(name, &[("service", service), ("namespace", "shop")], start);
    let alerts = [
        shop("HighErrorRate", "checkout", 10_000),
        shop("DiskAlmostFull", "backup", 10_030),
        shop("CertificateExpires", "ingress", 10_060),
    ];
    assert_eq!(correlate(&alerts, &[], now()).len(), 3);
    // What alerts alike belongs together, unless the graph knows both and no call between them.
    let alike = [shop("HighErrorRate", "checkout", 10_000), shop("HighErrorRate", "cart", 10_060)];
    assert_eq!(correlate(&alike, &[], now()).len(), 1);
    let graph = [edge("web", "checkout"), edge("web", "profile"), edge("mobile", "cart")];
    assert_eq!(correlate(&alike, &graph, now()).len(), 2);
}

#[test]
fn a_node_takes_along_what_is_on_it() {
    let on =
        |service, node, start| alert("PodDown", &[("service", service), ("namespace", service), ("node", node)], start);
    let alerts = [
        on("cart", "node-1", 10_000),
        on("mail", "node-1", 10_020),
        on("ads", "node-2", 10_020),
        alert(
            "KubeNodeNotReady",
            &[("node", "node-1"), ("job", "kube-state-metrics"), ("pod", "kps-kube-state-metrics-6c7f-x2x9z")],
            10_090,
        ),
        on("search", "node-1", 10_200),
    ];
    let all = services(&alerts, &[]);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0], ["ads"]);
}

#[test]
fn a_silent_callee_groups_its_callers() {
    let alerts = [
        alert("Slow", &[("service", "cart")], 10_000),
        alert("Errors", &[("service", "orders")], 10_060),
        alert("Errors", &[("service", "profile")], 10_090),
        alert("Slow", &[("service", "mail")], 10_090),
    ];
    let graph = [
        edge("cart", "db"),
        edge("orders", "db.shop.svc.cluster.local:5432"),
        edge("profile", "db"),
        edge("web", "mail"),
        edge("web", "ads"),
    ];
    assert_eq!(services(&alerts, &graph), [vec!["cart", "orders", "profile"], vec!["mail"]]);
}

#[test]
fn two_faults_whose_callers_meet_stay_apart() {
    let graph = [edge("web", "cart"), edge("web", "pay"), edge("cart", "stock"), edge("pay", "bank")];
    let alerts = [
        alert("Restarts", &[("service", "stock")], 10_000),
        alert("Errors", &[("service", "cart")], 10_060),
        alert("Restarts", &[("service", "bank")], 10_400),
        alert("Errors", &[("service", "pay")], 10_460),
        // Both could be why; the nearer one is.
        alert("Errors", &[("service", "web")], 10_500),
    ];
    assert_eq!(services(&alerts, &graph), [vec!["bank", "pay", "web"], vec!["cart", "stock"]]);
}

#[test]
fn a_cause_that_is_told_of_late_takes_its_callers_along() {
    let graph = [edge("cart", "stock"), edge("orders", "stock"), edge("search", "stock"), edge("ads", "stock")];
    let alerts = [
        alert("Errors", &[("service", "cart")], 10_000),
        alert("Errors", &[("service", "orders")], 10_060),
        alert("Restarts", &[("service", "stock")], 10_120),
    ];
    assert_eq!(services(&alerts, &graph), [vec!["cart", "orders", "stock"]]);
}

#[test]
fn an_alert_that_names_the_callee_joins_it() {
    let alerts = [
        alert("UpstreamErrors", &[("service", "cart"), ("destination_service_name", "stock:8080")], 10_000),
        alert("Restarts", &[("service", "stock")], 10_120),
    ];
    assert_eq!(correlate(&alerts, &[], now()).len(), 1);
}

#[test]
fn heartbeats_are_no_trouble() {
    let mut always = alert("Pulse", &[], 10_000);
    always.expression = Some("vector(1)".into());
    let alerts = [
        alert("Watchdog", &[("severity", "none")], 9_000),
        alert("InfoInhibitor", &[("namespace", "shop")], 10_000),
        alert("PrometheusAlertmanagerE2eDeadManSwitch", &[], 10_000),
        alert("dead_mans_switch", &[], 10_000),
        always,
    ];
    assert!(correlate(&alerts, &[], now()).is_empty());
    assert_eq!(correlate(&[alert("KernelWatchdogTimeout", &[("service", "a")], 10_000)], &[], now()).len(), 1);
}

#[test]
fn what_fires_for_days_stays_apart() {
    let day = 86_400;
    let mut alerts = vec![alert("Old", &[("service", "cart"), ("namespace", "shop")], 10_000 - 3 * day)];
    alerts.extend(
        (0..10).map(|i| alert("HighErrorRate", &[("service", &format!("s{i}")), ("namespace", "shop")], 10_000 + i)),
    );
    alerts.push(alert("HighErrorRate", &[("service", "cart"), ("namespace", "shop")], 10_010));
    let incidents = correlate(&alerts, &[], now());
    assert_eq!(incidents.iter().map(|incident| incident.alerts.len()).collect::<Vec<_>>(), [1, 11]);
}

#[test]
fn copies_of_replicas_and_of_prometheus_are_one() {
    let full: &[(&str, &str)] = &[("service", "cart"), ("cluster", "eu"), ("prometheus", "m/k8s")];
    let with = |more: &[(&str, &str)], start| alert("Errors", &[full, more].concat(), start);
    let alerts = [
        with(&[("prometheus_replica", "k8s-0")], 10_000),
        with(&[("prometheus_replica", "k8s-1")], 10_015),
        with(&[], 10_000),
        alert("Errors", &[("service", "cart")], 10_001),
    ];
    let incidents = correlate(&alerts, &[], now());
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].alerts.len(), 1);
    assert!(incidents[0].flapping.is_empty());
    // With two fuller copies the bare one is nobody's.
    let two = [
        alert("Errors", &[("service", "cart"), ("cluster", "eu")], 10_000),
        alert("Errors", &[("service", "cart"), ("cluster", "us")], 10_000),
        alert("Errors", &[("service", "cart")], 10_001),
    ];
    assert_eq!(correlate(&two, &[], now()).len(), 3);
}

#[test]
fn flapping_is_one_incident_and_said() {
    let flaps: Vec<Alert> = (0..6)
        .map(|i| {
            let mut one = alert("Flap", &[("service", "a")], 10_000 + i * 300);
            if i < 5 {
                one.state = AlertState::Resolved;
                one.ends_at = Some(Timestamp::from_secs(10_000 + i * 300 + 120));
            }
            one
        })
        .collect();
    let incidents = correlate(&flaps, &[], now());
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].alerts.len(), 1);
    assert_eq!(incidents[0].flapping[0].times, 6);
    assert_eq!(incidents[0].title.as_str(), "Flap fires, flapping: fired 6 times");
}

#[test]
fn a_flapping_alert_begins_when_it_first_fired() {
    let mut first = alert("Errors", &[("service", "cart")], 10_000);
    first.state = AlertState::Resolved;
    first.ends_at = Some(Timestamp::from_secs(10_100));
    let alerts = [first, alert("Errors", &[("service", "cart")], 11_500), alert("Slow", &[("service", "web")], 10_060)];
    assert_eq!(services(&alerts, &[edge("web", "cart")]), [vec!["cart", "web"]]);
}

#[test]
fn what_comes_again_another_day_is_another_incident() {
    let mut before = alert("Errors", &[("service", "a")], 10_000);
    before.state = AlertState::Resolved;
    before.ends_at = Some(Timestamp::from_secs(10_600));
    let again = alert("Errors", &[("service", "a")], 18_000);
    let incidents = correlate(&[before, again], &[], now());
    assert_eq!(incidents.len(), 2);
    assert_ne!(incidents[0].id, incidents[1].id);
    assert_eq!(incidents[0].id, incident_id(&incidents[0].alerts[0].fingerprint));
}

#[test]
fn less_said_of_the_world_is_the_same_world() {
    let alerts = [
        alert("Slow", &[("service", "a"), ("cluster", "eu"), ("env", "prod")], 10_000),
        alert("Errors", &[("service", "a"), ("cluster", "eu")], 10_010),
        alert("Errors", &[("service", "a"), ("cluster", "us"), ("env", "prod")], 10_010),
    ];
    assert_eq!(correlate(&alerts, &[], now()).len(), 2);
}

#[test]
fn the_title_names_the_symptom() {
    let critical = |name, service, start| alert(name, &[("service", service), ("severity", "critical")], start);
    let alerts = [
        critical("CpuThrottlingHigh", "cart", 10_000),
        critical("HighErrorRate", "cart", 10_060),
        critical("HighErrorRate", "web", 10_090),
        alert("HighLatency", &[("service", "web"), ("severity", "warning")], 10_090),
    ];
    let incidents = correlate(&alerts, &[edge("web", "cart")], now());
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].title.as_str(), "HighErrorRate fires (cart, web)");
}
