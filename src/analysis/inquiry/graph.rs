//! Questions about calls between services: the service graph of traces, meshes, proxies and instrumented clients.

use std::collections::BTreeSet;

use crate::analysis::edges::dialects::{DIALECTS, Dialect, Role, outcome_labels};
use crate::domain::analysis::GraphEdge;
use crate::domain::labels::{Labels, quote};
use crate::domain::query::{Lang, Purpose, Query};
use crate::domain::{TimeRange, Timestamp};

/// A question about edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeQuestion {
    /// Why.
    pub purpose: Purpose,
    /// The expression. Counters of the service graph are asked as they are (they have one series per edge); those of
    /// meshes and clients have one per pair of pods and are summed as rates.
    pub expr: String,
}

/// Dialects of clients that are asked in one inquiry: most sites speak one.
const MOST_DIALECTS: usize = 5;

/// The edge questions that the metrics of a store allow.
pub fn questions(names: &BTreeSet<String>, labels: &BTreeSet<String>, span: &str) -> Vec<EdgeQuestion> {
    let mut all = Vec::new();
    let spoken = DIALECTS.iter().filter(|dialect| dialect.metrics.iter().any(|(metric, _)| names.contains(*metric)));
    for dialect in spoken.filter(|dialect| dialect.plain || speaks(dialect, labels)).take(MOST_DIALECTS) {
        let known = |label: &str| labels.contains(label);
        let ends = dialect.kept_labels(&known);
        let outcomes = outcome_labels(&known);
        // Where requests are counted apart, the waits need no outcome.
        let counted = dialect.metrics.iter().any(|(metric, role)| {
            matches!(role, Role::Requests | Role::Failed | Role::Classes) && names.contains(*metric)
        });
        for (metric, role) in dialect.metrics.iter().filter(|(metric, _)| names.contains(*metric)) {
            let matcher = if dialect.matcher.is_empty() { String::new() } else { format!("{{{}}}", dialect.matcher) };
            let by = |more: &[&str]| [&ends[..], more].concat().join(", ");
            let expr = match role {
                Role::ClientBuckets(_) if ends.is_empty() => {
                    format!("histogram_quantile(0.95, sum by (client, server, le) (rate({metric}{matcher}[{span}])))")
                }
                Role::ClientBuckets(_) => {
                    format!("histogram_quantile(0.95, sum by ({}) (rate({metric}{matcher}[{span}])))", by(&["le"]))
                }
                _ if dialect.plain => (*metric).to_owned(),
                Role::Requests | Role::Classes => {
                    format!("sum by ({}) (rate({metric}{matcher}[{span}]))", by(&outcomes))
                }
                Role::ClientCount if !counted => {
                    format!("sum by ({}) (rate({metric}{matcher}[{span}]))", by(&outcomes))
                }
                _ => format!("sum by ({}) (rate({metric}{matcher}[{span}]))", by(&[])),
            };
            all.push(EdgeQuestion { purpose: Purpose::Edge { metric: (*metric).to_owned() }, expr });
        }
    }
    all
}

fn speaks(dialect: &Dialect, labels: &BTreeSet<String>) -> bool {
    !dialect.kept_labels(&|label| labels.contains(label)).is_empty()
}

/// Selects the series that show calls.
fn telling_series() -> String {
    let names: Vec<&str> = telling().collect();
    format!("{{__name__=~{}}}", quote(&names.join("|")))
}

/// The metrics of which one series shows that a call is made.
fn telling() -> impl Iterator<Item = &'static str> {
    DIALECTS
        .iter()
        .filter_map(|dialect| {
            let of = |wanted: fn(&Role) -> bool| dialect.metrics.iter().find(|(_, role)| wanted(role));
            of(|role| matches!(role, Role::Requests)).or_else(|| of(|role| matches!(role, Role::ClientCount)))
        })
        .map(|(metric, _)| *metric)
}

/// One cheap question for who calls whom, without any figures: which series there were in `range`. The answer is read
/// by [`edge_of`].
pub fn who_calls_whom(range: TimeRange) -> Query {
    Query::Series { lang: Lang::PromQl, matchers: vec![telling_series()], range }
}

/// [`who_calls_whom`] as a server answers it best: one series per pair of services at one instant.
pub fn who_calls_whom_now(at: Timestamp) -> Query {
    let labels: BTreeSet<&str> = DIALECTS.iter().flat_map(|dialect| dialect.kept_labels(&|_| true)).collect();
    let labels: Vec<&str> = labels.into_iter().collect();
    let expr = format!("count by (__name__, {}) ({})", labels.join(", "), telling_series());
    Query::Instant { lang: Lang::PromQl, expr, at }
}

/// The call that a series of [`who_calls_whom`] shows.
pub fn edge_of(labels: &Labels) -> Option<GraphEdge> {
    let (client, server) = crate::analysis::edges::endpoints(labels.metric()?, labels)?;
    Some(GraphEdge { client: client.to_owned(), server: server.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_calls_whom_is_read_from_series() {
        let Query::Instant { expr, .. } = who_calls_whom_now(Timestamp::from_secs(1)) else { panic!() };
        assert!(promql_parser::parser::parse(&expr).is_ok(), "{expr}");
        let labels: Labels = [("__name__", "traces_service_graph_request_total"), ("client", "a"), ("server", "b:80")]
            .into_iter()
            .collect();
        assert_eq!(edge_of(&labels), Some(GraphEdge { client: "a".into(), server: "b".into() }));
        assert_eq!(edge_of(&Labels::new()), None);
    }

    #[test]
    fn only_what_exists_is_asked() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
        assert!(questions(&set(&["up"]), &set(&[]), "5m").is_empty());
        let all = questions(
            &set(&[
                "traces_service_graph_request_total",
                "traces_service_graph_request_client_seconds_bucket",
                "istio_requests_total",
                "istio_request_duration_milliseconds_bucket",
                "response_total",
                "http_client_request_duration_seconds_count",
            ]),
            &set(&[
                "client",
                "server",
                "deployment",
                "dst_deployment",
                "direction",
                "source_workload",
                "destination_workload",
                "reporter",
                "response_code",
                "service_name",
                "server_address",
                "http_response_status_code",
            ]),
            "5m",
        );
        assert_eq!(all.len(), 6);
        assert!(all.iter().any(|question| question.expr
            == "sum by (destination_workload, reporter, source_workload, http_response_status_code, response_code) \
                (rate(istio_requests_total[5m]))"));
        assert!(all.iter().all(|question| promql_parser::parser::parse(&question.expr).is_ok()));
    }
}
