//! Questions about calls between services: Tempo's service graph, Istio and Linkerd.

use std::collections::BTreeSet;

use crate::domain::query::Purpose;

/// A question about edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeQuestion {
    /// Why.
    pub purpose: Purpose,
    /// The expression. Tempo's counters are asked as they are (they have one series per edge); those of the meshes
    /// have one per pair of pods and are summed as rates.
    pub expr: String,
}

/// Tempo's (and the OpenTelemetry connector's) metrics, as they are.
const TEMPO: &[&str] = &[
    "traces_service_graph_request_total",
    "traces_service_graph_request_failed_total",
    "traces_service_graph_request_client_seconds_sum",
    "traces_service_graph_request_client_seconds_count",
    "traces_service_graph_request_server_seconds_sum",
    "traces_service_graph_request_server_seconds_count",
];

/// The edge questions that the metrics of a store allow.
pub fn questions(names: &BTreeSet<String>, labels: &BTreeSet<String>, span: &str) -> Vec<EdgeQuestion> {
    let mut all = Vec::new();
    let mut ask = |metric: &str, expr: String| {
        all.push(EdgeQuestion { purpose: Purpose::Edge { metric: metric.to_owned() }, expr });
    };
    for metric in TEMPO {
        if names.contains(*metric) {
            ask(metric, (*metric).to_owned());
        }
    }
    let istio = "source_workload, destination_workload, reporter";
    if names.contains("istio_requests_total") {
        ask("istio_requests_total", format!("sum by ({istio}, response_code) (rate(istio_requests_total[{span}]))"));
    }
    for metric in ["istio_request_duration_milliseconds_sum", "istio_request_duration_milliseconds_count"] {
        if names.contains(metric) {
            ask(metric, format!("sum by ({istio}) (rate({metric}[{span}]))"));
        }
    }
    if labels.contains("dst_deployment") && labels.contains("direction") {
        let linkerd = "deployment, dst_deployment";
        if names.contains("response_total") {
            ask(
                "response_total",
                format!("sum by ({linkerd}, classification) (rate(response_total{{direction=\"outbound\"}}[{span}]))"),
            );
        }
        for metric in ["response_latency_ms_sum", "response_latency_ms_count"] {
            if names.contains(metric) {
                ask(metric, format!("sum by ({linkerd}) (rate({metric}{{direction=\"outbound\"}}[{span}]))"));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_exists_is_asked() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
        assert!(questions(&set(&["up"]), &set(&[]), "5m").is_empty());
        let all = questions(
            &set(&["traces_service_graph_request_total", "istio_requests_total", "response_total"]),
            &set(&["dst_deployment", "direction"]),
            "5m",
        );
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|question| promql_parser::parser::parse(&question.expr).is_ok()));
    }
}
