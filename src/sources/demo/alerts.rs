//! The shop's rules, and the alerts they raised.

use std::time::Duration;

use super::Times;
use super::shop::{SERVICES, pod};
use crate::domain::alert::{Alert, AlertState, Rule};
use crate::domain::{Labels, Text};
use crate::sources::fingerprint::fingerprint;

/// Where the runbook of the culprit's pool stands.
pub(super) const POOL_RUNBOOK: &str = "https://runbooks.example/payments/connection-pool";
/// Where the runbook for certificates stands.
pub(super) const CERTIFICATE_RUNBOOK: &str = "https://runbooks.example/platform/certificates";

/// A rule, as its alerts need it.
struct Draft {
    group: &'static str,
    name: &'static str,
    severity: &'static str,
    /// `for` in seconds.
    hold: u32,
    expression: &'static str,
    summary: &'static str,
    runbook: Option<&'static str>,
}

const DRAFTS: [Draft; 12] = [
    Draft {
        group: "shop-checkout",
        name: "CheckoutFailing",
        severity: "critical",
        hold: 30,
        expression: r#"sum by (service) (rate(http_requests_total{service="checkout",route="/order",code=~"5.."}[1m])) / sum by (service) (rate(http_requests_total{service="checkout",route="/order"}[1m])) > 0.05"#,
        summary: "checkout fails for 31% of users",
        runbook: Some("https://runbooks.example/checkout/failing"),
    },
    Draft {
        group: "shop-services",
        name: "HighErrorRate",
        severity: "critical",
        hold: 60,
        expression: r#"sum by (service, pod, route) (rate(http_requests_total{namespace="shop",code=~"5.."}[2m])) / sum by (service, pod, route) (rate(http_requests_total{namespace="shop"}[2m])) > 0.1"#,
        summary: "more than 10% of requests to a pod fail",
        runbook: None,
    },
    Draft {
        group: "shop-services",
        name: "HighLatency",
        severity: "warning",
        hold: 60,
        expression: r#"histogram_quantile(0.95, sum by (service, pod, le) (rate(http_request_duration_seconds_bucket{namespace="shop"}[2m]))) > 1"#,
        summary: "the slowest 5% of requests to a pod take more than a second",
        runbook: None,
    },
    Draft {
        group: "shop-services",
        name: "ErrorBudgetBurn",
        severity: "critical",
        hold: 120,
        expression: r#"sum by (service) (rate(http_requests_total{namespace="shop",code=~"5.."}[5m])) / sum by (service) (rate(http_requests_total{namespace="shop"}[5m])) > 14.4 * 0.001"#,
        summary: "the error budget of 30 days is gone in two",
        runbook: None,
    },
    Draft {
        group: "shop-pools",
        name: "ConnectionPoolExhausted",
        severity: "warning",
        hold: 15,
        expression: "pool_in_use / pool_limit > 0.95",
        summary: "all connections of a pool are in use",
        runbook: Some(POOL_RUNBOOK),
    },
    Draft {
        group: "shop-pools",
        name: "ConnectionPoolWait",
        severity: "warning",
        hold: 60,
        expression: "rate(pool_wait_seconds_sum[2m]) / rate(pool_wait_seconds_count[2m]) > 0.5",
        summary: "requests wait for a connection for more than half a second",
        runbook: Some(POOL_RUNBOOK),
    },
    Draft {
        group: "shop-pools",
        name: "ConnectionTimeouts",
        severity: "warning",
        hold: 60,
        expression: "rate(pool_acquire_timeouts_total[2m]) > 1",
        summary: "requests get no connection in time",
        runbook: Some(POOL_RUNBOOK),
    },
    Draft {
        group: "shop-services",
        name: "GoroutinesGrowing",
        severity: "warning",
        hold: 120,
        expression: r#"go_goroutines{namespace="shop"} > 1.5 * (go_goroutines offset 20m) or go_goroutines{service="payments"} > 100"#,
        summary: "requests pile up in a pod",
        runbook: None,
    },
    Draft {
        group: "shop-database",
        name: "PostgresIdleInTransaction",
        severity: "warning",
        hold: 120,
        expression: r#"pg_stat_activity_count{state="idle in transaction"} > 20"#,
        summary: "many connections hold a transaction open and do nothing",
        runbook: None,
    },
    Draft {
        group: "shop-orders",
        name: "OrderRateLow",
        severity: "warning",
        hold: 120,
        expression: r#"sum by (service) (rate(http_requests_total{service="orders",code="200"}[5m])) < 0.8 * sum by (service) (rate(http_requests_total{service="orders",code="200"}[5m] offset 20m))"#,
        summary: "fewer orders arrive than twenty minutes ago",
        runbook: None,
    },
    Draft {
        group: "platform",
        name: "CertificateExpiresSoon",
        severity: "warning",
        hold: 0,
        expression: "(probe_ssl_earliest_cert_expiry - time()) / 3600 < 48",
        summary: "certificate expires in 36 h",
        runbook: Some(CERTIFICATE_RUNBOOK),
    },
    Draft {
        group: "shop-orders",
        name: "OrderQueueLag",
        severity: "warning",
        hold: 60,
        expression: "kafka_consumergroup_lag > 500",
        summary: "queue lag orders",
        runbook: None,
    },
];

/// The rules as Prometheus has them.
pub(super) fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = DRAFTS
        .iter()
        .map(|draft| Rule {
            group: draft.group.into(),
            name: draft.name.into(),
            alerting: true,
            expression: draft.expression.into(),
            for_seconds: f64::from(draft.hold),
            labels: [("severity", draft.severity)].into_iter().collect(),
            annotations: annotations(draft),
            last_error: Text::default(),
        })
        .collect();
    // Groups as Prometheus lists them; within a group the order of the file.
    rules.sort_by(|a, b| a.group.cmp(&b.group));
    rules
}

fn annotations(draft: &Draft) -> Labels {
    let mut annotations: Labels = [("summary", draft.summary)].into_iter().collect();
    if let Some(runbook) = draft.runbook {
        annotations.insert("runbook_url", runbook);
    }
    annotations
}

/// What Alertmanager holds.
pub(super) fn alerts(times: &Times) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut fire = |name: &str, after: f64, labels: &[(&str, &str)]| {
        if let Some(draft) = DRAFTS.iter().find(|draft| draft.name == name) {
            alerts.push(alert(times, draft, after, labels));
        }
    };
    let shop = ("namespace", "shop");
    fire("CheckoutFailing", 60.0, &[("service", "checkout")]);
    fire("ConnectionPoolExhausted", 45.0, &[shop, ("pool", "pg-main"), ("service", "payments")]);
    fire("ConnectionPoolWait", 105.0, &[shop, ("pool", "pg-main"), ("service", "payments")]);
    fire("ConnectionTimeouts", 105.0, &[shop, ("pool", "pg-main"), ("service", "payments")]);
    fire(
        "PostgresIdleInTransaction",
        150.0,
        &[shop, ("datname", "shop"), ("pod", "pg-main-0"), ("service", "pg-main"), ("state", "idle in transaction")],
    );
    fire("OrderRateLow", 330.0, &[("service", "orders")]);
    for (service, route) in [("payments", "/authorize"), ("checkout", "/order"), ("web", "/checkout")] {
        fire("ErrorBudgetBurn", 195.0, &[("service", service)]);
        let pods = SERVICES.iter().find(|one| one.name == service).map_or(0, |one| one.pods);
        for number in 0..pods {
            let pod = pod(service, number, service == "payments");
            let late = 15.0 * (number % 3) as f64;
            fire("HighErrorRate", 105.0 + late, &[("pod", &pod), ("route", route), ("service", service)]);
            // A tenth of what web serves is a checkout: its slow requests do show at the 95th percentile.
            fire("HighLatency", 120.0 + late, &[("pod", &pod), ("service", service)]);
            if service != "web" {
                fire("GoroutinesGrowing", 210.0 + late, &[shop, ("pod", &pod), ("service", service)]);
            }
        }
    }
    fire("CertificateExpiresSoon", -7200.0, &[("instance", "https://shop.example"), ("service", "ingress-shop")]);
    fire("OrderQueueLag", -3900.0, &[shop, ("service", "orders"), ("topic", "orders")]);
    for alert in &mut alerts {
        if alert.name() == "OrderQueueLag" {
            // Over before the trouble began: a consumer was restarted.
            alert.state = AlertState::Resolved;
            alert.ends_at = Some(times.after(-3000.0));
        }
    }
    alerts
}

fn alert(times: &Times, draft: &Draft, after: f64, labels: &[(&str, &str)]) -> Alert {
    let mut all: Labels = labels.iter().copied().collect();
    all.insert("alertname", draft.name);
    all.insert("severity", draft.severity);
    all.insert("cluster", "shop-eu-1");
    Alert {
        fingerprint: fingerprint(&all),
        labels: all,
        annotations: annotations(draft),
        starts_at: times.after(after),
        ends_at: Some(times.end.plus(Duration::from_mins(4))),
        state: AlertState::Active,
        suppressed_by: Vec::new(),
        receivers: vec![if draft.severity == "critical" { "oncall-1" } else { "shop-team" }.to_owned()],
        generator_url: format!("https://prometheus.example/graph?g0.expr={}&g0.tab=1", encoded(draft.expression)),
        expression: Some(draft.expression.to_owned()),
    }
}

/// A value of a query string, as Prometheus' links have it.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}
