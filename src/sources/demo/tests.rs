use std::collections::BTreeSet;

use super::*;
use crate::domain::alert::AlertState;
use crate::domain::metric::Series;
use crate::domain::query::{Data, Direction, Lang, Query};

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-04T14:16:07Z").unwrap()
}

fn ask(bundle: &Bundle, expr: &str, at: Timestamp) -> Vec<Series> {
    let query = Query::Instant { lang: Lang::PromQl, expr: expr.into(), at };
    match bundle.answer(&query).unwrap().data {
        Data::Series(series) => series,
        other => panic!("{expr}: {other:?}"),
    }
}

fn value(bundle: &Bundle, expr: &str, at: Timestamp) -> f64 {
    let series = ask(bundle, expr, at);
    assert_eq!(series.len(), 1, "{expr}: {series:?}");
    series[0].samples[0].value
}

#[test]
fn every_alert_is_what_its_rule_gives() {
    let bundle = bundle(now());
    let parts = parts(now());
    assert!((40..=400).contains(&parts.alerts.len()), "{}", parts.alerts.len());
    for alert in &parts.alerts {
        let expr = alert.expression.as_deref().unwrap();
        assert!(parts.rules.iter().any(|rule| rule.name == alert.name() && rule.expression == expr));
        let firing = ask(&bundle, expr, bundle.end()).into_iter().any(|mut series| {
            series.labels.remove("__name__");
            series.labels.is_subset_of(&alert.labels)
        });
        assert_eq!(firing, alert.state == AlertState::Active, "{} {}: {expr}", alert.name(), alert.labels);
    }
    let fingerprints: BTreeSet<_> = parts.alerts.iter().map(|alert| &alert.fingerprint).collect();
    assert_eq!(fingerprints.len(), parts.alerts.len());
}

#[test]
fn no_rule_fires_for_more_than_there_are_alerts() {
    let (bundle, parts) = (bundle(now()), parts(now()));
    for rule in &parts.rules {
        let firing = ask(&bundle, &rule.expression, bundle.end()).len();
        let alerts = parts.alerts.iter().filter(|a| a.name() == rule.name && a.state == AlertState::Active).count();
        assert_eq!(firing, alerts, "{}", rule.name);
        if rule.name != "CertificateExpiresSoon" {
            let before = ask(&bundle, &rule.expression, bundle.baseline().end);
            assert_eq!(before, [], "{} fired before the trouble", rule.name);
        }
    }
}

#[test]
fn the_pool_fills_and_the_database_is_innocent() {
    let bundle = bundle(now());
    let (calm, end) = (bundle.baseline().end, bundle.end());
    let full = bundle.window().start.plus(Duration::from_secs(30));
    assert!(value(&bundle, r#"pool_in_use{service="payments"}"#, calm) < 10.0);
    assert!(value(&bundle, r#"pool_in_use{service="payments"}"#, full) >= 50.0);
    let query_time = "rate(pg_stat_statements_seconds_total[2m]) / rate(pg_stat_statements_calls_total[2m])";
    for at in [calm, end] {
        assert!((value(&bundle, query_time, at) - 0.003).abs() < 0.0005);
    }
    let p95 = "histogram_quantile(0.95, sum by (le) (rate(traces_service_graph_request_client_seconds_bucket{client=\"checkout\",server=\"payments\"}[2m])))";
    assert!(value(&bundle, p95, calm) < 0.15, "{}", value(&bundle, p95, calm));
    assert!(value(&bundle, p95, end) > 4.0, "{}", value(&bundle, p95, end));
    let errors = "sum(rate(traces_service_graph_request_failed_total{server=\"payments\"}[2m])) / sum(rate(traces_service_graph_request_total{server=\"payments\"}[2m]))";
    assert!(value(&bundle, errors, calm) < 0.01);
    assert!((value(&bundle, errors, end) - 0.31).abs() < 0.03);
}

#[test]
fn one_line_is_new_and_one_is_gone() {
    let bundle = bundle(now());
    let count = |needle: &str, range| {
        let expr = format!("{{service_name=\"payments\"}} |= \"{needle}\"");
        let query = Query::Logs { expr, range, limit: 100_000, direction: Direction::Forward };
        bundle.answer(&query).unwrap().len()
    };
    assert_eq!(count("acquire connection: timeout", bundle.baseline()), 0);
    assert_eq!(count("acquire connection: timeout", bundle.window()), 1204);
    assert!(count("connection returned", bundle.baseline()) > 1000);
    assert_eq!(count("connection returned", bundle.window()), 0);
}

#[test]
fn the_same_present_gives_the_same_bundle_and_a_later_one_only_moves_it() {
    let one = parts(now());
    let again = parts(now());
    assert_eq!(one.metrics, again.metrics);
    assert_eq!(one.logs, again.logs);
    let hour = Duration::from_hours(1);
    let later = parts(now().plus(hour));
    assert_eq!(later.manifest.window.start, one.manifest.window.start.plus(hour));
    for (a, b) in one.logs.iter().zip(&later.logs) {
        assert_eq!((a.at.plus(hour), &a.line), (b.at, &b.line));
    }
    for (a, b) in one.metrics.iter().zip(&later.metrics) {
        assert_eq!(a.labels, b.labels);
        assert_eq!(a.samples.len(), b.samples.len());
    }
}

#[test]
fn counters_never_fall_and_buckets_grow_with_their_bound() {
    for series in parts(now()).metrics {
        let name = series.labels.metric().unwrap().to_owned();
        if ["_total", "_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix))
            && !name.starts_with("pg_stat_activity")
        {
            assert!(series.samples.is_sorted_by(|a, b| a.value <= b.value), "{}", series.labels);
        }
    }
    let bundle = bundle(now());
    for family in ["http_request_duration_seconds", "traces_service_graph_request_client_seconds", "pool_wait_seconds"]
    {
        let expr = format!("{family}_count != ignoring(le) {family}_bucket{{le=\"+Inf\"}}");
        assert_eq!(ask(&bundle, &expr, bundle.end()), []);
    }
}
