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
    ("_ratio", 5),
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

/// What it is worth that the alerted services have the metric: as much as a word of the golden signals.
const RELATED: i32 = 9;

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
    /// Metrics that have series of the alerted services, where it is known.
    pub related: BTreeSet<String>,
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
                let related = if self.related.contains(name) { RELATED } else { 0 };
                let score = if asked_for || wanted.contains(&family) { 1_000 } else { relevance(&family) + related };
                Some((score, family))
            })
            .collect();
        ranked.sort_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
        ranked.dedup_by(|a, b| a.1 == b.1);
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        ranked.into_iter().map(|(_, family)| family).collect()
    }

    /// The family a series name belongs to: `x_bucket`, `x_sum` and `x_count` of a histogram or summary are `x`. A name
    /// that the metadata calls a gauge is its own family, whatever it ends with.
    pub fn family(&self, name: &str) -> String {
        if self.declared(name) == MetricKind::Gauge {
            return name.to_owned();
        }
        for suffix in ["_bucket", "_sum", "_count"] {
            if let Some(base) = name.strip_suffix(suffix)
                && !base.is_empty()
            {
                let typed = matches!(self.declared(base), MetricKind::Histogram | MetricKind::Summary);
                let has = |suffix: &str| self.names.contains(&format!("{base}{suffix}"));
                if typed || has("_bucket") || (has("_sum") && has("_count")) {
                    return base.to_owned();
                }
            }
        }
        name.to_owned()
    }

    /// The type that the metadata gives: of the name, or of the OpenMetrics family, which has no `_total`.
    fn declared(&self, name: &str) -> MetricKind {
        let of = |name: &str| self.meta.get(name).map(|meta| meta.kind).filter(|kind| *kind != MetricKind::Unknown);
        of(name).or_else(|| name.strip_suffix("_total").and_then(of)).unwrap_or_default()
    }

    /// Type of a family: its metadata first, its names second.
    fn kind(&self, family: &str) -> MetricKind {
        let has = |suffix: &str| self.names.contains(&format!("{family}{suffix}"));
        match self.declared(family) {
            // Exporters that call a counter a gauge are common; the suffix is kept for counters.
            MetricKind::Gauge if family.ends_with("_total") => MetricKind::Counter,
            MetricKind::Unknown if has("_bucket") => MetricKind::Histogram,
            MetricKind::Unknown if has("_sum") && has("_count") => MetricKind::Summary,
            MetricKind::Unknown if ["_total", "_count", "_sum"].iter().any(|suffix| family.ends_with(suffix)) => {
                MetricKind::Counter
            }
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
    ///
    /// A counter is asked as its rate, a gauge as it is, a histogram (classic or native) as its 95th percentile and its
    /// rate, a summary as its quantiles and its mean.
    pub fn questions(&self, family: &str, matchers: &str, span: &str) -> Vec<MetricQuestion> {
        let select = |suffix: &str| selector(&format!("{family}{suffix}"), matchers);
        let has = |suffix: &str| self.names.contains(&format!("{family}{suffix}"));
        match self.kind(family) {
            MetricKind::Counter => {
                let series = self.count(family);
                let rate = format!("rate({}[{span}])", select(""));
                let expr = if series > SUM_UP_ABOVE { format!("{} ({rate})", sum_by(&self.grouping())) } else { rate };
                vec![evaluated(family, Shape::Rate, expr, series)]
            }
            MetricKind::Histogram if has("_bucket") || has("") => {
                let mut all = vec![self.quantile(family, family, "0.95", matchers, span)];
                all.extend(self.event_rate(family, matchers, span));
                all
            }
            // Of a histogram whose buckets are not kept, what is left is that of a summary.
            MetricKind::Summary | MetricKind::Histogram => {
                let mut all = Vec::new();
                if has("") {
                    let series = self.count(family);
                    let purpose = Purpose::Golden { metric: family.to_owned(), shape: Shape::Quantile };
                    all.push(MetricQuestion { purpose, expr: select(""), raw: true, series });
                }
                all.extend(self.mean(family, family, matchers, span));
                all
            }
            MetricKind::Gauge | MetricKind::Unknown => {
                let shape = if is_ratio(family) { Shape::Ratio } else { Shape::Level };
                let purpose = Purpose::Golden { metric: family.to_owned(), shape };
                vec![MetricQuestion { purpose, expr: select(""), raw: true, series: self.count(family) }]
            }
        }
    }

    /// Further questions about one family, for when there is room: mean and 99th percentile of a histogram, rate of a
    /// summary.
    pub fn further_questions(&self, family: &str, matchers: &str, span: &str) -> Vec<MetricQuestion> {
        let has = |suffix: &str| self.names.contains(&format!("{family}{suffix}"));
        match self.kind(family) {
            MetricKind::Histogram if has("_bucket") || has("") => {
                let mut all: Vec<MetricQuestion> =
                    self.mean(family, &format!("{family}_sum"), matchers, span).into_iter().collect();
                all.push(self.quantile(family, &format!("{family}_bucket"), "0.99", matchers, span));
                all
            }
            MetricKind::Summary | MetricKind::Histogram => {
                self.event_rate(family, matchers, span).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the family is a native histogram: one series of its own name holds all buckets.
    fn is_native(&self, family: &str) -> bool {
        !self.names.contains(&format!("{family}_bucket")) && self.names.contains(family)
    }

    fn quantile(&self, family: &str, metric: &str, rank: &str, matchers: &str, span: &str) -> MetricQuestion {
        let services = self.service_grouping();
        let (name, by) = if self.is_native(family) {
            (family.to_owned(), sum_by(&services))
        } else {
            let comma = if services.is_empty() { "" } else { ", " };
            (format!("{family}_bucket"), sum_by(&format!("le{comma}{services}")))
        };
        let expr = format!("histogram_quantile({rank}, {by} (rate({}[{span}])))", selector(&name, matchers));
        evaluated(metric, Shape::Quantile, expr, 100)
    }

    /// How many events a histogram or summary counts a second.
    fn event_rate(&self, family: &str, matchers: &str, span: &str) -> Option<MetricQuestion> {
        let count = format!("{family}_count");
        let rate = if self.names.contains(&count) {
            format!("rate({}[{span}])", selector(&count, matchers))
        } else if self.kind(family) == MetricKind::Histogram && self.is_native(family) {
            format!("histogram_count(rate({}[{span}]))", selector(family, matchers))
        } else {
            return None;
        };
        Some(evaluated(&count, Shape::Rate, format!("{} ({rate})", sum_by(&self.grouping())), 100))
    }

    /// The mean of the events of a histogram or summary.
    fn mean(&self, family: &str, metric: &str, matchers: &str, span: &str) -> Option<MetricQuestion> {
        let by = sum_by(&self.service_grouping());
        let (sum, count) = (format!("{family}_sum"), format!("{family}_count"));
        let expr = if self.names.contains(&sum) && self.names.contains(&count) {
            let rate = |name: &str| format!("{by} (rate({}[{span}]))", selector(name, matchers));
            format!("{} / {}", rate(&sum), rate(&count))
        } else if self.kind(family) == MetricKind::Histogram && self.is_native(family) {
            let rate = format!("rate({}[{span}])", selector(family, matchers));
            format!("{by} (histogram_sum({rate})) / {by} (histogram_count({rate}))")
        } else {
            return None;
        };
        Some(evaluated(metric, Shape::Mean, expr, 100))
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

fn evaluated(metric: &str, shape: Shape, expr: String, series: usize) -> MetricQuestion {
    MetricQuestion { purpose: Purpose::Golden { metric: metric.to_owned(), shape }, expr, raw: false, series }
}

/// `sum by (…)`; over everything when there is no label to tell series apart.
fn sum_by(labels: &str) -> String {
    if labels.is_empty() { "sum".to_owned() } else { format!("sum by ({labels})") }
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

/// Whether the metric tells when a process started, how often it was restarted, or which version of it runs.
pub fn is_restart(name: &str) -> bool {
    matches!(
        name,
        "process_start_time_seconds"
            | "container_start_time_seconds"
            | "kube_pod_start_time"
            | "kube_pod_container_info"
            | "kube_pod_container_status_restarts_total"
            | "kube_pod_container_status_last_terminated_reason"
            | "kube_deployment_status_observed_generation"
    ) || (name.ends_with("_build_info") && !OWN_BUILDS.iter().any(|prefix| name.starts_with(prefix)))
}

/// Builds of what observes, and of language runtimes: they tell nothing of the services.
const OWN_BUILDS: &[&str] =
    &["prometheus_", "alertmanager_", "go_", "loki_", "node_exporter_", "kube_state_", "promhttp_", "grafana_"];

fn is_ratio(name: &str) -> bool {
    // A duration has the letters of a ratio.
    name.split(|c: char| !c.is_alphanumeric()).any(|word| word == "ratio")
        || ["percent", "utilization", "availability"].iter().any(|word| name.contains(word))
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
    fn metadata_decides_before_names_do() {
        let mut store =
            catalogue(&["lag_sum", "lag_count", "depth_bucket", "hits", "old_total", "lat", "lat_sum", "lat_count"]);
        for (name, kind) in [
            ("lag_sum", MetricKind::Gauge),
            ("depth_bucket", MetricKind::Gauge),
            ("hits", MetricKind::Counter),
            ("old", MetricKind::Counter),
            ("lat", MetricKind::Histogram),
        ] {
            store.meta.insert(name.into(), MetricMeta { kind, ..MetricMeta::default() });
        }
        let first = |family: &str| store.questions(family, "", "5m")[0].expr.clone();
        assert_eq!(store.family("lag_sum"), "lag_sum");
        assert_eq!([first("lag_sum"), first("depth_bucket")], ["lag_sum", "depth_bucket"]);
        assert_eq!([first("hits"), first("old_total")], ["rate(hits[5m])", "rate(old_total[5m])"]);
        // A native histogram, with the classic sum and count beside it.
        assert_eq!(first("lat"), "histogram_quantile(0.95, sum by (service) (rate(lat[5m])))");
    }

    #[test]
    fn a_native_histogram_is_asked_for_its_quantile_rate_and_mean() {
        let mut store = catalogue(&["http.server.request.duration"]);
        let meta = MetricMeta { kind: MetricKind::Histogram, ..MetricMeta::default() };
        store.meta.insert("http.server.request.duration".into(), meta);
        let name = r#"{__name__="http.server.request.duration"}"#;
        let questions = store.questions("http.server.request.duration", "", "5m");
        assert_eq!(questions[0].expr, format!("histogram_quantile(0.95, sum by (service) (rate({name}[5m])))"));
        assert_eq!(questions[1].expr, format!("sum by (service, code) (histogram_count(rate({name}[5m])))"));
        let further = store.further_questions("http.server.request.duration", "", "5m");
        assert!(further[0].expr.contains("histogram_sum") && further[1].expr.starts_with("histogram_quantile(0.99"));
    }

    #[test]
    fn metrics_of_the_alerted_services_come_before_their_equals() {
        let mut store = catalogue(&["a_errors_total", "b_errors_total"]);
        assert_eq!(store.families(&BTreeSet::new())[0], "a_errors_total");
        store.related.insert("b_errors_total".into());
        assert_eq!(store.families(&BTreeSet::new())[0], "b_errors_total");
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
                let all = [store.questions(&family, matchers, "5m"), store.further_questions(&family, matchers, "5m")];
                for question in all.concat() {
                    assert!(promql_parser::parser::parse(&question.expr).is_ok(), "{}", question.expr);
                }
            }
        }
    }
}
