//! What a metric is, from its metadata and its name, and the expression that makes its values comparable.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::labels::{SERVICE_LABELS, quote};
use crate::domain::metric::{MetricKind, MetricMeta};
use crate::domain::query::{Purpose, Shape};

/// Metrics beyond so many series are summed up by service before they are moved.
const SUM_UP_ABOVE: usize = 500;

/// Labels whose value tells good from bad events, or one resource from another.
const TELLING_LABELS: &[&str] = &[
    "code",
    "status",
    "status_code",
    "http_status_code",
    "http_response_status_code",
    "response_code",
    "grpc_code",
    "grpc_status",
    "outcome",
    "result",
    "reason",
    "classification",
    "queue",
    "topic",
    "device",
    "mountpoint",
    "node",
    "namespace",
];

/// Metrics of the monitoring itself and of language runtimes in detail: not asked unless an alert names them.
const NOISE: &[&str] = &[
    "go_",
    "python_",
    "promhttp_",
    "prometheus_",
    "alertmanager_",
    "loki_",
    "tempo_",
    "grafana_",
    "scrape_",
    "nodejs_",
    "jvm_info",
    "ALERTS",
    "net_conntrack_",
    "traces_target_info",
    "target_info",
    "node_scrape_",
    "etcd_debugging_",
    "apiserver_",
    "workqueue_",
    "rest_client_",
    "otelcol_",
];

/// Words of the golden signals: how much a name that holds them is worth asking about.
const GOLDEN: &[(&str, i32)] = &[
    ("error", 9),
    ("fail", 9),
    ("5xx", 9),
    ("latency", 9),
    ("duration", 8),
    ("availability", 8),
    ("success", 7),
    ("throttl", 8),
    ("oom", 8),
    ("timeout", 8),
    ("saturation", 8),
    ("request", 7),
    ("response", 6),
    ("cpu", 7),
    ("memory", 6),
    ("heap", 5),
    ("queue", 7),
    ("lag", 7),
    ("backlog", 7),
    ("pool", 7),
    ("connection", 6),
    ("restart", 7),
    ("disk", 5),
    ("filesystem", 5),
    ("pressure", 7),
    ("utilization", 6),
    ("usage", 6),
    ("network", 5),
    ("rate", 3),
    ("ratio", 5),
    ("percent", 4),
    ("evict", 6),
    ("drop", 6),
    ("retr", 6),
    ("reject", 7),
    ("pending", 6),
    ("unavailable", 8),
    ("replicas", 6),
    ("certificate", 5),
    ("cert_", 5),
    ("gc_", 4),
    ("threads", 4),
    ("seconds", 3),
    ("up", 2),
];

/// A question about one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricQuestion {
    /// Why, and how the values read.
    pub purpose: Purpose,
    /// The expression, or the plain selector when `raw`.
    pub expr: String,
    /// Whether the samples themselves are wanted.
    pub raw: bool,
    /// Series expected.
    pub series: usize,
}

/// What the store holds, as far as names go.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Metric names, sorted.
    pub names: BTreeSet<String>,
    /// Types, by name or by the name of the family.
    pub meta: BTreeMap<String, MetricMeta>,
    /// Label names.
    pub labels: BTreeSet<String>,
    /// Number of series by metric, where it is known.
    pub counts: BTreeMap<String, usize>,
}

impl Catalogue {
    /// Families worth asking about, best first: names that `wanted` holds, then by the words of the golden signals.
    /// A histogram or summary counts once, under the name without its suffix.
    pub fn families(&self, wanted: &BTreeSet<String>) -> Vec<String> {
        let mut ranked: Vec<(i32, String)> = self
            .names
            .iter()
            .filter_map(|name| {
                let asked_for = wanted.contains(name);
                if !asked_for && (is_noise(name) || is_graph(name) || is_restart(name)) {
                    return None;
                }
                let family = self.family(name);
                let score = if asked_for || wanted.contains(&family) { 1_000 } else { relevance(&family) };
                Some((score, family))
            })
            .collect();
        ranked.sort_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
        ranked.dedup_by(|a, b| a.1 == b.1);
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        ranked.into_iter().map(|(_, family)| family).collect()
    }

    /// The family a series name belongs to: `x_bucket`, `x_sum` and `x_count` of a histogram or summary are `x`.
    pub fn family(&self, name: &str) -> String {
        for suffix in ["_bucket", "_sum", "_count"] {
            if let Some(base) = name.strip_suffix(suffix)
                && !base.is_empty()
            {
                let typed = matches!(
                    self.meta.get(base).map(|meta| meta.kind),
                    Some(MetricKind::Histogram | MetricKind::Summary)
                );
                let has = |suffix: &str| self.names.contains(&format!("{base}{suffix}"));
                if typed || has("_bucket") || (has("_sum") && has("_count")) {
                    return base.to_owned();
                }
            }
        }
        name.to_owned()
    }

    /// Type of a family: its metadata, corrected by what its names show.
    fn kind(&self, family: &str) -> MetricKind {
        let has = |suffix: &str| self.names.contains(&format!("{family}{suffix}"));
        if has("_bucket") {
            return MetricKind::Histogram;
        }
        if has("_sum") && has("_count") {
            return MetricKind::Summary;
        }
        // Exporters that call a counter a gauge are common; the suffix is kept for counters.
        if family.ends_with("_total") {
            return MetricKind::Counter;
        }
        let meta = self.meta.get(family).map_or(MetricKind::Unknown, |meta| meta.kind);
        match meta {
            MetricKind::Unknown if family.ends_with("_count") || family.ends_with("_sum") => MetricKind::Counter,
            MetricKind::Unknown => MetricKind::Gauge,
            known => known,
        }
    }

    /// Series of one metric name; a guess where the store did not say.
    fn count(&self, name: &str) -> usize {
        self.counts.get(name).copied().unwrap_or(50)
    }

    /// Whether the store has series of the family, as far as is known.
    pub fn family_series(&self, family: &str) -> usize {
        let direct = self.counts.get(family).copied().unwrap_or(0);
        direct.max(
            ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| self.counts.get(&format!("{family}{suffix}")))
                .copied()
                .max()
                .unwrap_or(0),
        )
    }

    /// The questions about one family; `matchers` (`a="x"`, comma-separated) narrow it and may be empty.
    pub fn questions(&self, family: &str, matchers: &str, span: &str) -> Vec<MetricQuestion> {
        let select = |suffix: &str| selector(&format!("{family}{suffix}"), matchers);
        let golden = |shape| Purpose::Golden { metric: family.to_owned(), shape };
        let by = self.grouping();
        let question = |shape, expr: String, raw, series| MetricQuestion { purpose: golden(shape), expr, raw, series };
        match self.kind(family) {
            MetricKind::Counter => {
                let series = self.count(family);
                let rate = format!("rate({}[{span}])", select(""));
                let expr = if series > SUM_UP_ABOVE { format!("sum by ({by}) ({rate})") } else { rate };
                vec![question(Shape::Rate, expr, false, series)]
            }
            MetricKind::Histogram if self.names.contains(&format!("{family}_bucket")) => {
                let services = self.service_grouping();
                let mut all = vec![question(
                    Shape::Quantile,
                    format!(
                        "histogram_quantile(0.95, sum by (le{}{services}) (rate({}[{span}])))",
                        if services.is_empty() { "" } else { ", " },
                        select("_bucket")
                    ),
                    false,
                    100,
                )];
                if self.names.contains(&format!("{family}_count")) {
                    all.push(question(
                        Shape::Rate,
                        format!("sum by ({by}) (rate({}[{span}]))", select("_count")),
                        false,
                        100,
                    ));
                }
                all
            }
            // A native histogram: its quantile is read from the series itself.
            MetricKind::Histogram => vec![question(
                Shape::Quantile,
                format!(
                    "histogram_quantile(0.95, sum by ({}) (rate({}[{span}])))",
                    self.service_grouping(),
                    select("")
                ),
                false,
                100,
            )],
            MetricKind::Summary => {
                let mut all = Vec::new();
                if self.names.contains(family) {
                    all.push(question(Shape::Quantile, select(""), true, self.count(family)));
                }
                let services = self.service_grouping();
                if self.names.contains(&format!("{family}_sum")) {
                    all.push(question(
                        Shape::Mean,
                        format!(
                            "sum by ({services}) (rate({}[{span}])) / sum by ({services}) (rate({}[{span}]))",
                            select("_sum"),
                            select("_count")
                        ),
                        false,
                        100,
                    ));
                }
                all
            }
            MetricKind::Gauge | MetricKind::Unknown => {
                let shape = if is_ratio(family) { Shape::Ratio } else { Shape::Level };
                vec![question(shape, select(""), true, self.count(family))]
            }
        }
    }

    fn service_grouping(&self) -> String {
        let present: Vec<&str> = SERVICE_LABELS.iter().copied().filter(|label| self.labels.contains(*label)).collect();
        present.join(", ")
    }

    fn grouping(&self) -> String {
        let present: Vec<&str> =
            SERVICE_LABELS.iter().chain(TELLING_LABELS).copied().filter(|label| self.labels.contains(*label)).collect();
        present.join(", ")
    }
}

/// `name{matchers}`, or the bare name. Names beyond the classic alphabet are written inside the braces.
pub fn selector(name: &str, matchers: &str) -> String {
    let classic = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    match (classic, matchers.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{name}{{{matchers}}}"),
        (false, true) => format!("{{__name__={}}}", quote(name)),
        (false, false) => format!("{{__name__={},{matchers}}}", quote(name)),
    }
}

/// `label=~"a|b"` with the values taken literally.
pub fn one_of<'v>(label: &str, values: impl IntoIterator<Item = &'v str>) -> String {
    let values: Vec<String> = values.into_iter().map(literal).collect();
    format!("{label}=~{}", quote(&values.join("|")))
}

/// A value as a regular expression that matches it and nothing else; `-` needs no escape outside of a class.
pub fn literal(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn is_noise(name: &str) -> bool {
    name.ends_with("_created") || name.ends_with("_info") || NOISE.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the metric is one of the service graph's.
pub fn is_graph(name: &str) -> bool {
    name.starts_with("traces_service_graph_") || name.starts_with("istio_request")
}

/// Whether the metric tells when a process started or how often it was restarted.
pub fn is_restart(name: &str) -> bool {
    matches!(
        name,
        "process_start_time_seconds"
            | "container_start_time_seconds"
            | "kube_pod_container_status_restarts_total"
            | "kube_deployment_status_observed_generation"
    )
}

fn is_ratio(name: &str) -> bool {
    ["ratio", "percent", "utilization", "availability"].iter().any(|word| name.contains(word))
}

fn relevance(family: &str) -> i32 {
    let lower = family.to_ascii_lowercase();
    let words: i32 = GOLDEN.iter().filter(|(word, _)| lower.contains(word)).map(|(_, worth)| worth).sum();
    // Process and node metrics are the same on every host: what the application says of itself comes first.
    words - if lower.starts_with("process_") || lower.starts_with("node_") || lower.contains(':') { 6 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(names: &[&str]) -> Catalogue {
        Catalogue {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            labels: ["service", "code", "le"].iter().map(|&name| name.to_owned()).collect(),
            ..Catalogue::default()
        }
    }

    #[test]
    fn a_histogram_is_asked_as_a_quantile_and_a_rate() {
        let store = catalogue(&["lat_seconds_bucket", "lat_seconds_count", "lat_seconds_sum"]);
        assert_eq!(store.families(&BTreeSet::new()), ["lat_seconds"]);
        let questions = store.questions("lat_seconds", "", "5m");
        assert_eq!(questions[0].expr, "histogram_quantile(0.95, sum by (le, service) (rate(lat_seconds_bucket[5m])))");
        assert_eq!(questions[1].expr, "sum by (service, code) (rate(lat_seconds_count[5m]))");
    }

    #[test]
    fn counters_are_rates_and_gauges_are_raw() {
        let mut store = catalogue(&["errors_total", "pool_in_use"]);
        assert_eq!(
            store.questions("errors_total", "service=\"a\"", "5m")[0].expr,
            r#"rate(errors_total{service="a"}[5m])"#
        );
        store.counts.insert("errors_total".into(), 9_000);
        assert_eq!(
            store.questions("errors_total", "", "5m")[0].expr,
            "sum by (service, code) (rate(errors_total[5m]))"
        );
        let gauge = &store.questions("pool_in_use", "", "5m")[0];
        assert!(gauge.raw && gauge.expr == "pool_in_use");
    }

    #[test]
    fn names_of_alerts_come_first_and_noise_never() {
        let store = catalogue(&["go_goroutines", "zzz", "http_errors_total", "up", "x_created"]);
        let wanted = BTreeSet::from(["zzz".to_owned()]);
        assert_eq!(store.families(&wanted), ["zzz", "http_errors_total", "up"]);
    }

    #[test]
    fn every_expression_parses() {
        let mut store =
            catalogue(&["a_sum", "a_count", "a", "b_total", "c", "d_bucket", "d_count", "native", "wéird.name"]);
        store.meta.insert("native".into(), MetricMeta { kind: MetricKind::Histogram, ..MetricMeta::default() });
        for family in store.families(&BTreeSet::new()) {
            for matchers in ["", "service=~\"a|b\""] {
                for question in store.questions(&family, matchers, "5m") {
                    assert!(promql_parser::parser::parse(&question.expr).is_ok(), "{}", question.expr);
                }
            }
        }
    }
}
