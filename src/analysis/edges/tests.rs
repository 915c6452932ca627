//! Dialects, merging and each kind of trouble by example.

use super::*;
use crate::analysis::fixture::{BEGIN, END, WINDOW, alert, answer, at, snapshot};
use crate::domain::metric::{Sample, Series};
use crate::domain::query::Purpose;
use crate::domain::snapshot::MetricAnswer;
use crate::domain::{Labels, TimeRange};

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A counter that grows by so much every half minute, before and inside.
fn counter(pairs: Pairs<'_>, before: f64, inside: f64) -> Series {
    let mut value = 0.0;
    let samples = (BEGIN..=END)
        .step_by(30)
        .map(|secs| {
            value += if secs <= WINDOW { before } else { inside };
            Sample { at: at(secs), value }
        })
        .collect();
    Series { labels: pairs.iter().copied().collect(), samples }
}

/// A rate, before and inside.
fn rate(pairs: Pairs<'_>, before: f64, inside: f64) -> Series {
    let samples = (BEGIN..=END)
        .step_by(30)
        .map(|secs| Sample { at: at(secs), value: if secs < WINDOW { before } else { inside } })
        .collect();
    Series { labels: pairs.iter().copied().collect(), samples }
}

fn edge(metric: &str, expr: &str, series: Vec<Series>) -> MetricAnswer {
    answer(Purpose::Edge { metric: metric.into() }, expr, series)
}

fn tempo(name: &str, series: Vec<Series>) -> MetricAnswer {
    let metric = format!("traces_service_graph_request_{name}");
    edge(&metric, &metric, series)
}

const AB: Pairs<'_> = &[("client", "a"), ("server", "b")];

fn compared(answers: Vec<MetricAnswer>) -> Vec<EdgeFinding> {
    compare_edges(&snapshot(alert(&[], ""), answers))
}

/// Ten requests per half minute, client and server time per request before and inside.
fn timed(pairs: Pairs<'_>, client: (f64, f64), server: (f64, f64)) -> Vec<MetricAnswer> {
    let n = 10.0;
    vec![
        tempo("total", vec![counter(pairs, n, n)]),
        tempo("client_seconds_count", vec![counter(pairs, n, n)]),
        tempo("client_seconds_sum", vec![counter(pairs, n * client.0, n * client.1)]),
        tempo("server_seconds_count", vec![counter(pairs, n, n)]),
        tempo("server_seconds_sum", vec![counter(pairs, n * server.0, n * server.1)]),
    ]
}

#[test]
fn ends_are_read_in_every_dialect() {
    let ends = |metric: &str, pairs: Pairs<'_>| {
        let labels: Labels = pairs.iter().copied().collect();
        endpoints(metric, &labels).map(|(client, server)| format!("{client}>{server}"))
    };
    let cases: &[(&str, Pairs<'_>, Option<&str>)] = &[
        ("traces_service_graph_request_total", AB, Some("a>b")),
        ("traces_service_graph_request_total", &[("client", "a"), ("server", "a")], None),
        (
            "istio_requests_total",
            &[("source_workload", "a-v1"), ("destination_workload", "unknown"), ("destination_service_name", "b")],
            Some("a-v1>b"),
        ),
        ("istio_requests_total", &[("source_workload", "unknown"), ("destination_workload", "b")], None),
        ("istio_requests_total", &[("source_workload", "a"), ("destination_service_name", "PassthroughCluster")], None),
        ("response_total", &[("deployment", "a"), ("dst_deployment", "b")], Some("a>b")),
        ("hubble_http_requests_total", &[("source", "shop/a"), ("destination", "shop/b")], Some("shop/a>shop/b")),
        (
            "envoy_cluster_upstream_rq_total",
            &[("app", "a"), ("envoy_cluster_name", "outbound|8080||b.shop.svc.cluster.local")],
            Some("a>b"),
        ),
        ("envoy_cluster_upstream_rq_total", &[("app", "a"), ("envoy_cluster_name", "xds_cluster")], None),
        (
            "http_client_request_duration_seconds_count",
            &[("service_name", "a"), ("server_address", "b:8080"), ("server_port", "8080")],
            Some("a>b"),
        ),
        ("http_client_requests_seconds_count", &[("application", "a"), ("clientName", "b.shop.svc")], Some("a>b")),
        ("http_client_requests_seconds_count", &[("application", "a"), ("uri", "/pay")], None),
        (
            "db_client_operation_duration_seconds_count",
            &[("job", "a"), ("db_system", "postgresql")],
            Some("a>postgresql"),
        ),
        ("whatever", AB, Some("a>b")),
        ("whatever", &[], None),
    ];
    for (metric, pairs, expected) in cases {
        assert_eq!(ends(metric, pairs).as_deref(), *expected, "{metric} {pairs:?}");
    }
}

#[test]
fn failures_are_those_of_the_callee() {
    let failed = |name: &str, value: &str| dialects::failed(&[(name, value)].into_iter().collect());
    for (name, value, expected) in [
        ("response_code", "503", Some(true)),
        ("response_code", "0", Some(true)),
        ("response_code", "404", Some(false)),
        ("http_response_status_code", "500", Some(true)),
        ("grpc_code", "Unavailable", Some(true)),
        ("grpc_code", "DEADLINE_EXCEEDED", Some(true)),
        ("grpc_code", "NotFound", Some(false)),
        ("rpc_grpc_status_code", "14", Some(true)),
        ("classification", "failure", Some(true)),
        ("outcome", "SERVER_ERROR", Some(true)),
        ("error_type", "404", Some(false)),
        ("error_type", "ConnectException", Some(true)),
        ("pod", "x", None),
    ] {
        assert_eq!(failed(name, value), expected, "{name}={value}");
    }
}

#[test]
fn a_slow_way_is_told_from_a_slow_callee() {
    let found = compared(timed(AB, (0.051, 0.251), (0.050, 0.050)));
    assert_eq!((found[0].trouble, found[0].suspect.as_str()), (EdgeTrouble::Transit, "b"));
    assert_eq!(found[0].onset, Some(at(WINDOW)));
    let found = compared(timed(AB, (0.051, 0.901), (0.050, 0.900)));
    assert_eq!((found[0].trouble, found[0].suspect.as_str()), (EdgeTrouble::OwnTime, "b"));
    assert!(compared(timed(AB, (0.051, 0.052), (0.050, 0.051))).iter().all(|one| one.strength <= 0.0));
}

#[test]
fn a_callee_is_slow_on_the_edges_whose_calls_it_is_slow_at() {
    let mut answers = timed(AB, (0.051, 0.901), (0.050, 0.900));
    answers.extend(timed(&[("client", "c"), ("server", "b")], (0.052, 0.051), (0.050, 0.049)));
    let found = compared(answers);
    let of = |client: &str| found.iter().find(|one| one.detail.client == client).unwrap().trouble;
    assert_eq!((of("a"), of("c")), (EdgeTrouble::OwnTime, EdgeTrouble::None));
}

#[test]
fn a_slow_way_to_a_leaf_is_not_blamed_on_a_caller_that_is_a_hair_slower() {
    let mut pairs = vec![("edge", "a"), ("a", "leaf")];
    let others: Vec<String> = (0..8).map(|number| format!("s{number}")).collect();
    pairs.extend(others.iter().map(|other| ("edge", other.as_str())));
    let mut answers = Vec::new();
    for (place, pair) in pairs.iter().enumerate() {
        let after = match *pair {
            ("a", "leaf") => 0.5,
            // Within what the other edges do.
            ("edge", "a") => 0.013,
            _ if place % 2 == 0 => 0.012,
            _ => 0.009,
        };
        answers.extend(timed(&[("client", pair.0), ("server", pair.1)], (0.010, after), (0.002, 0.002)));
    }
    let found = compared(answers);
    assert_eq!((found[0].trouble, found[0].suspect.as_str()), (EdgeTrouble::Transit, "leaf"), "{found:?}");
}

#[test]
fn a_reset_and_late_errors_are_counted() {
    let mut total = counter(AB, 10.0, 10.0);
    for sample in total.samples.iter_mut().filter(|sample| sample.at > at(WINDOW + 300)) {
        sample.value -= 1_300.0;
    }
    // The counter of failures appears with the first failure.
    let mut failed = counter(AB, 0.0, 6.0);
    failed.samples.retain(|sample| sample.at > at(WINDOW));
    let other = counter(&[("client", "a"), ("server", "c")], 0.0, 0.0);
    let found = compared(vec![tempo("total", vec![total]), tempo("failed_total", vec![failed, other])]);
    let finding = found.iter().find(|one| one.detail.server == "b").unwrap();
    assert_eq!(finding.trouble, EdgeTrouble::Errors);
    let share = finding.detail.errors.after.unwrap();
    assert!((share - 0.6).abs() < 0.03, "{share}");
}

#[test]
fn a_failure_passes_down_to_who_causes_it() {
    let (ab, bc): (Pairs<'_>, Pairs<'_>) = (AB, &[("client", "b"), ("server", "c")]);
    let found = compared(vec![
        tempo("total", vec![counter(ab, 20.0, 20.0), counter(bc, 20.0, 20.0)]),
        tempo("failed_total", vec![counter(ab, 0.0, 8.0), counter(bc, 0.0, 8.0)]),
    ]);
    assert_eq!(found[0].suspect, "c");
    assert!(found[0].strength > 2.0 * found[1].strength);
    assert!(found[1].remark.contains("calls to c"), "{}", found[1].remark);
}

#[test]
fn two_dialects_are_one_edge() {
    let istio: Pairs<'_> = &[
        ("source_workload", "a"),
        ("destination_workload", "unknown"),
        ("destination_service_name", "b.shop.svc.cluster.local"),
        ("reporter", "source"),
        ("response_code", "200"),
    ];
    let mut answers = timed(AB, (0.05, 0.05), (0.04, 0.04));
    answers.push(edge(
        "istio_requests_total",
        "sum by (x) (rate(istio_requests_total[5m]))",
        vec![rate(istio, 9.0, 9.0)],
    ));
    let found = compared(answers);
    assert_eq!(found.len(), 1);
    let per_second = found[0].detail.rate.after.unwrap();
    assert!((per_second - 10.0 / 30.0).abs() < 0.02, "{per_second}");
}

#[test]
fn a_mesh_tells_both_sides() {
    let labels = |reporter: &'static str, code: &'static str| {
        [("source_workload", "a"), ("destination_workload", "b"), ("reporter", reporter), ("response_code", code)]
    };
    let requests = vec![
        rate(&labels("source", "200"), 10.0, 6.0),
        rate(&labels("source", "503"), 0.0, 4.0),
        rate(&labels("destination", "200"), 10.0, 6.0),
        rate(&labels("destination", "503"), 0.0, 0.0),
    ];
    let durations = |name: &str, source: f64, destination: f64| {
        let pair = |reporter, value| rate(&labels(reporter, "200"), value, value);
        let metric = format!("istio_request_duration_milliseconds_{name}");
        edge(&metric, &format!("rate({metric})"), vec![pair("source", source), pair("destination", destination)])
    };
    let found = compared(vec![
        edge("istio_requests_total", "rate(istio_requests_total[5m])", requests),
        durations("sum", 500.0, 400.0),
        durations("count", 10.0, 10.0),
    ]);
    assert_eq!(found[0].trouble, EdgeTrouble::Errors);
    assert!(found[0].remark.contains("the callee saw few"), "{}", found[0].remark);
    assert!((found[0].detail.client_seconds.after.unwrap() - 0.05).abs() < 1e-6);
    assert!((found[0].detail.server_seconds.after.unwrap() - 0.04).abs() < 1e-6);
    assert!((found[0].detail.errors.after.unwrap() - 0.4).abs() < 0.01);
}

#[test]
fn what_ceases_and_what_begins_is_told() {
    let (bc, bd): (Pairs<'_>, Pairs<'_>) = (&[("client", "b"), ("server", "c")], &[("client", "b"), ("server", "d")]);
    let found =
        compared(vec![tempo("total", vec![counter(AB, 20.0, 20.0), counter(bc, 20.0, 0.0), counter(bd, 0.0, 20.0)])]);
    let of = |server: &str| found.iter().find(|one| one.detail.server == server).unwrap();
    assert_eq!(of("c").trouble, EdgeTrouble::Traffic);
    assert!(of("c").remark.contains("ceased"), "{}", of("c").remark);
    assert!(of("d").remark.contains("never made before"), "{}", of("d").remark);
    assert!(of("b").strength <= 0.0);
}

#[test]
fn retries_multiply_calls() {
    let bc: Pairs<'_> = &[("client", "b"), ("server", "c")];
    let found = compared(vec![
        tempo("total", vec![counter(AB, 20.0, 20.0), counter(bc, 20.0, 60.0)]),
        tempo("failed_total", vec![counter(AB, 0.0, 0.0), counter(bc, 0.0, 0.0)]),
    ]);
    assert_eq!(found[0].trouble, EdgeTrouble::Retries);
    assert_eq!(found[0].suspect, "b");
}

#[test]
fn who_gives_up_is_told() {
    let mut answers = timed(AB, (0.1, 3.0), (0.09, 9.0));
    answers.truncate(3);
    answers.push(tempo("server_seconds_count", vec![counter(AB, 10.0, 3.0)]));
    answers.push(tempo("server_seconds_sum", vec![counter(AB, 0.9, 3.0 * 2.9)]));
    let found = compared(answers);
    assert!(
        found[0].trouble == EdgeTrouble::Timeouts && found[0].remark.contains("3 s")
            || found[0].trouble == EdgeTrouble::OwnTime,
        "{:?}",
        found[0]
    );
    assert_eq!(found[0].suspect, "b");
}

#[test]
fn a_percentile_is_kept() {
    let mut answers = timed(AB, (0.05, 0.05), (0.04, 0.04));
    answers.push(edge(
        "traces_service_graph_request_client_seconds_bucket",
        "histogram_quantile(0.95, sum by (client, server, le) (rate(x[5m])))",
        vec![rate(AB, 0.09, 5.2)],
    ));
    let p95 = compared(answers)[0].detail.p95;
    assert_eq!((p95.before, p95.after), (Some(0.09), Some(5.2)));
}

#[test]
fn spoiled_stretches_are_no_baseline() {
    let mut total = counter(AB, 10.0, 10.0);
    let mut failed = counter(AB, 0.0, 5.0);
    // Another incident failed just before.
    let mut value = 0.0;
    for sample in &mut failed.samples {
        value += if sample.at > at(WINDOW - 1_200) { 5.0 } else { 0.0 };
        sample.value = value;
    }
    total.samples.sort_by_key(|sample| sample.at);
    let mut shot = snapshot(alert(&[], ""), vec![tempo("total", vec![total]), tempo("failed_total", vec![failed])]);
    let before = compare_edges(&shot)[0].detail.errors.before.unwrap();
    shot.spoiled.push(TimeRange::new(at(WINDOW - 1_230), at(WINDOW + 1)));
    let clean = compare_edges(&shot)[0].detail.errors.before.unwrap();
    assert!(before > 0.1 && clean < 0.01, "{before} {clean}");
    // Better a spoiled baseline than none.
    shot.spoiled.push(TimeRange::new(at(0), at(WINDOW + 1)));
    assert_eq!(compare_edges(&shot)[0].detail.errors.before, Some(before));
}

#[test]
fn names_that_mean_one_service_are_one() {
    let shot = snapshot(
        alert(&[], ""),
        vec![
            tempo("total", vec![counter(AB, 1.0, 1.0)]),
            edge(
                "istio_requests_total",
                "rate(istio_requests_total[5m])",
                vec![rate(
                    &[
                        ("source_workload", "a-v2"),
                        ("destination_workload", "b"),
                        ("source_workload_namespace", "shop"),
                    ],
                    1.0,
                    1.0,
                )],
            ),
            edge(
                "envoy_cluster_upstream_rq_total",
                "rate(envoy_cluster_upstream_rq_total[5m])",
                vec![rate(&[("app", "a"), ("envoy_cluster_name", "b_cluster")], 1.0, 1.0)],
            ),
        ],
    );
    assert_eq!(graph(&shot).len(), 1);
}

#[test]
fn a_callee_that_all_callers_wait_for_is_blamed() {
    let names: Vec<String> = (0..14).map(|i| format!("s{i}")).collect();
    let mut answers: Vec<MetricAnswer> = Vec::new();
    for i in 0..13 {
        // Three of fourteen edges lead to `db`, which calls on to a disk.
        let server = if i < 3 { "db" } else { names[i + 1].as_str() };
        let slow = if i < 3 { 0.259 } else { 0.001 };
        answers.extend(timed(&[("client", &names[i]), ("server", server)], (0.051, 0.050 + slow), (0.050, 0.050)));
    }
    answers.extend(timed(&[("client", "db"), ("server", "disk")], (0.011, 0.011), (0.010, 0.010)));
    answers.extend(timed(&[("client", "web"), ("server", "s0")], (0.201, 0.201), (0.200, 0.200)));
    let found = compared(answers);
    assert!(
        found[..3].iter().all(|one| one.trouble == EdgeTrouble::Transit && one.suspect == "db"),
        "{:?}",
        &found[..3]
    );
    assert!(found[3].strength <= 0.0, "{:?}", found[3]);
}
