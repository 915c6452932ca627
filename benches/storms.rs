//! Cost of folding alert storms into incidents: 5,000, 50,000 and 500,000 alerts with the labels and annotations that
//! the usual rules give them. `cargo bench --bench storms`.

use divan::counter::ItemsCount;
use stanch::analysis::correlate;
use stanch::domain::alert::{Alert, AlertState};
use stanch::domain::analysis::GraphEdge;
use stanch::domain::{Labels, Timestamp};

fn main() {
    divan::main();
}

/// Three thousand services in forty namespaces, each called by another of its namespace.
fn graph() -> Vec<GraphEdge> {
    (0..3_000)
        .map(|i| GraphEdge { client: format!("svc-{}", i / 2), server: format!("svc-{i}") })
        .filter(|edge| edge.client != edge.server)
        .collect()
}

fn storm(alerts: i64) -> Vec<Alert> {
    const NAMES: [&str; 6] =
        ["HighErrorRate", "HighLatency", "KubePodCrashLooping", "KubePodNotReady", "CPUThrottlingHigh", "TargetDown"];
    (0..alerts)
        .map(|i| {
            let mix = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let (service, name) = (mix % 3_000, NAMES[(mix / 3_000 % 6) as usize]);
            let pod = format!("svc-{service}-7d4f5b99fd-{:05x}", mix % 0xf_ffff);
            let labels: Labels = [
                ("alertname", name),
                ("cluster", "eu-west-1"),
                ("container", "app"),
                ("endpoint", "http"),
                ("env", "prod"),
                ("instance", &format!("10.{}.{}.7:8080", mix % 250, i % 250)),
                ("job", "kube-state-metrics"),
                ("namespace", &format!("team-{}", service % 40)),
                ("node", &format!("ip-10-0-{}-{}", mix % 16, mix % 25)),
                ("pod", &pod),
                ("prometheus", "monitoring/k8s"),
                ("service", &format!("svc-{service}")),
                ("severity", if mix.is_multiple_of(5) { "critical" } else { "warning" }),
                ("team", &format!("team-{}", service % 40)),
            ]
            .into_iter()
            .collect();
            let annotations: Labels = [
                (
                    "description",
                    format!("Pod team-{}/{pod} has been in trouble for more than 5 minutes.", service % 40),
                ),
                ("runbook_url", format!("https://runbooks.example.org/{name}")),
                ("summary", format!("{name} at svc-{service}")),
            ]
            .into_iter()
            .collect();
            Alert {
                fingerprint: format!("{:016x}", (i as u64).wrapping_mul(0xd134_2543_de82_ef95)),
                labels,
                annotations,
                starts_at: Timestamp::from_secs(1_700_000_000 + (mix % 1_200) as i64),
                ends_at: Some(Timestamp::from_secs(1_700_009_000)),
                state: AlertState::Active,
                suppressed_by: Vec::new(),
                receivers: vec!["oncall".into()],
                generator_url: format!("http://prometheus.example.org/graph?g0.expr={name}&g0.tab=1"),
                expression: Some(format!("rate(errors_total{{service=\"svc-{service}\"}}[5m]) > 0.05")),
            }
        })
        .collect()
}

#[divan::bench(args = [5_000, 50_000, 500_000], sample_count = 10)]
fn with_graph(bencher: divan::Bencher<'_, '_>, alerts: i64) {
    let (alerts, graph) = (storm(alerts), graph());
    bencher
        .counter(ItemsCount::new(alerts.len()))
        .bench(|| correlate(&alerts, &graph, Timestamp::from_secs(1_700_002_000)));
}

#[divan::bench(args = [5_000, 50_000, 500_000], sample_count = 10)]
fn without_graph(bencher: divan::Bencher<'_, '_>, alerts: i64) {
    let alerts = storm(alerts);
    bencher
        .counter(ItemsCount::new(alerts.len()))
        .bench(|| correlate(&alerts, &[], Timestamp::from_secs(1_700_002_000)));
}
