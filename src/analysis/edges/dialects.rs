//! How tracing, meshes, proxies and clients tell of calls: one table from metrics to what they measure.
//!
//! Names and labels by the documentation of Tempo's metrics-generator, the OpenTelemetry connector `servicegraph`,
//! Istio's standard metrics, Linkerd's proxy metrics, Cilium's Hubble (`httpV2` with a labels context), Envoy's cluster
//! statistics, OpenTelemetry's semantic conventions (HTTP, RPC and database clients, old and stable), Micrometer,
//! go-grpc-prometheus and Dapr.

use crate::analysis::entity::{canonical, is_collector, service_ref};
use crate::domain::Labels;

/// What a metric measures of an edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Role {
    /// Requests, as the caller counts them; failed ones told by a label, where there is one.
    Requests,
    /// Failed requests.
    Failed,
    /// Requests by class, only to tell failed ones.
    Classes,
    /// Sum of the time that the caller waited; seconds per unit.
    ClientTime(f64),
    /// Number of those waits, failed ones told by a label.
    ClientCount,
    /// Sum of the time that the callee worked.
    ServerTime(f64),
    /// Number of those.
    ServerCount,
    /// A histogram of the caller's waits, of which a quantile is asked; seconds per unit.
    ClientBuckets(f64),
}

/// Who the ends of an edge are, by labels.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// Pairs of labels that name caller and callee, most trusted first.
    Pairs(&'static [(&'static str, &'static str)]),
    /// The service that exports the series calls whom one of these labels names.
    Peer(&'static [&'static str]),
}

/// One way to tell of calls.
#[derive(Debug)]
pub(crate) struct Dialect {
    ends: Ends,
    /// Metrics, with their roles.
    pub(crate) metrics: &'static [(&'static str, Role)],
    /// A matcher that leaves one side's view, where both count.
    pub(crate) matcher: &'static str,
    /// Labels by which the callee's own view is told: name and value.
    seen_by_callee: Option<(&'static str, &'static str)>,
    /// Whether its counters are asked as they are: one series per edge.
    pub(crate) plain: bool,
}

const MESH: &[(&str, &str)] = &[
    ("source_canonical_service", "destination_canonical_service"),
    ("source_workload", "destination_workload"),
    ("source_app", "destination_app"),
    ("source_workload", "destination_service_name"),
    ("source_app", "destination_service_name"),
    ("source", "destination"),
];
const PEERS: &[&str] = &[
    "peer_service",
    "remote_service",
    "dst_app_id",
    "clientName",
    "client_name",
    "server_address",
    "net_peer_name",
    "target",
    "upstream",
    "host",
    "rpc_service",
    "grpc_service",
    "db_namespace",
    "db_name",
    "db_system",
    "db_system_name",
];
const MILLI: f64 = 1e-3;

/// All dialects; of two that tell equally much the first is believed.
pub(crate) static DIALECTS: &[Dialect] = &[
    Dialect {
        // Service graph of traces.
        ends: Ends::Pairs(&[("client", "server")]),
        metrics: &[
            ("traces_service_graph_request_total", Role::Requests),
            ("traces_service_graph_request_failed_total", Role::Failed),
            ("traces_service_graph_request_client_seconds_sum", Role::ClientTime(1.0)),
            ("traces_service_graph_request_client_seconds_count", Role::ClientCount),
            ("traces_service_graph_request_server_seconds_sum", Role::ServerTime(1.0)),
            ("traces_service_graph_request_server_seconds_count", Role::ServerCount),
            ("traces_service_graph_request_client_seconds_bucket", Role::ClientBuckets(1.0)),
        ],
        matcher: "",
        seen_by_callee: None,
        plain: true,
    },
    Dialect {
        // Istio.
        ends: Ends::Pairs(MESH),
        metrics: &[
            ("istio_requests_total", Role::Requests),
            ("istio_request_duration_milliseconds_sum", Role::ClientTime(MILLI)),
            ("istio_request_duration_milliseconds_count", Role::ClientCount),
            ("istio_request_duration_milliseconds_bucket", Role::ClientBuckets(MILLI)),
        ],
        matcher: "",
        seen_by_callee: Some(("reporter", "destination")),
        plain: false,
    },
    Dialect {
        // Linkerd.
        ends: Ends::Pairs(&[
            ("deployment", "dst_deployment"),
            ("deployment", "dst_statefulset"),
            ("statefulset", "dst_deployment"),
            ("workload_name", "dst_workload_name"),
            ("deployment", "dst_service"),
        ]),
        metrics: &[
            ("response_total", Role::Requests),
            ("response_latency_ms_sum", Role::ClientTime(MILLI)),
            ("response_latency_ms_count", Role::ClientCount),
            ("response_latency_ms_bucket", Role::ClientBuckets(MILLI)),
        ],
        matcher: "direction=\"outbound\"",
        seen_by_callee: None,
        plain: false,
    },
    Dialect {
        // Hubble.
        ends: Ends::Pairs(MESH),
        metrics: &[
            ("hubble_http_requests_total", Role::Requests),
            ("hubble_http_request_duration_seconds_sum", Role::ClientTime(1.0)),
            ("hubble_http_request_duration_seconds_count", Role::ClientCount),
            ("hubble_http_request_duration_seconds_bucket", Role::ClientBuckets(1.0)),
        ],
        matcher: "",
        seen_by_callee: Some(("reporter", "server")),
        plain: false,
    },
    Dialect {
        // Envoy.
        ends: Ends::Peer(&["envoy_cluster_name"]),
        metrics: &[
            ("envoy_cluster_upstream_rq_total", Role::Requests),
            ("envoy_cluster_upstream_rq_xx", Role::Classes),
            ("envoy_cluster_upstream_rq_time_sum", Role::ClientTime(MILLI)),
            ("envoy_cluster_upstream_rq_time_count", Role::ClientCount),
            ("envoy_cluster_upstream_rq_time_bucket", Role::ClientBuckets(MILLI)),
        ],
        matcher: "",
        seen_by_callee: None,
        plain: false,
    },
    // HTTP clients.
    client(&[
        ("http_client_request_duration_seconds_sum", Role::ClientTime(1.0)),
        ("http_client_request_duration_seconds_count", Role::ClientCount),
        ("http_client_request_duration_seconds_bucket", Role::ClientBuckets(1.0)),
    ]),
    // Micrometer's HTTP clients.
    client(&[
        ("http_client_requests_seconds_sum", Role::ClientTime(1.0)),
        ("http_client_requests_seconds_count", Role::ClientCount),
        ("http_client_requests_seconds_bucket", Role::ClientBuckets(1.0)),
    ]),
    // OpenTelemetry's HTTP clients.
    client(&[
        ("http_client_duration_milliseconds_sum", Role::ClientTime(MILLI)),
        ("http_client_duration_milliseconds_count", Role::ClientCount),
        ("http_client_duration_milliseconds_bucket", Role::ClientBuckets(MILLI)),
    ]),
    // Counters of HTTP clients.
    client(&[("http_client_requests_total", Role::Requests)]),
    // GRPC clients.
    client(&[
        ("grpc_client_handled_total", Role::Requests),
        ("grpc_client_handling_seconds_sum", Role::ClientTime(1.0)),
        ("grpc_client_handling_seconds_count", Role::ClientCount),
        ("grpc_client_handling_seconds_bucket", Role::ClientBuckets(1.0)),
    ]),
    // OpenTelemetry's RPC clients.
    client(&[
        ("rpc_client_duration_milliseconds_sum", Role::ClientTime(MILLI)),
        ("rpc_client_duration_milliseconds_count", Role::ClientCount),
        ("rpc_client_duration_milliseconds_bucket", Role::ClientBuckets(MILLI)),
    ]),
    // OpenTelemetry's RPC clients in seconds.
    client(&[
        ("rpc_client_duration_seconds_sum", Role::ClientTime(1.0)),
        ("rpc_client_duration_seconds_count", Role::ClientCount),
        ("rpc_client_duration_seconds_bucket", Role::ClientBuckets(1.0)),
    ]),
    // Database clients.
    client(&[
        ("db_client_operation_duration_seconds_sum", Role::ClientTime(1.0)),
        ("db_client_operation_duration_seconds_count", Role::ClientCount),
        ("db_client_operation_duration_seconds_bucket", Role::ClientBuckets(1.0)),
    ]),
    // Dapr.
    client(&[
        ("dapr_runtime_service_invocation_req_sent_total", Role::Requests),
        ("dapr_http_client_roundtrip_latency_sum", Role::ClientTime(MILLI)),
        ("dapr_http_client_roundtrip_latency_count", Role::ClientCount),
    ]),
];

const fn client(metrics: &'static [(&'static str, Role)]) -> Dialect {
    Dialect { ends: Ends::Peer(PEERS), metrics, matcher: "", seen_by_callee: None, plain: false }
}

/// Labels that tell whether a request failed.
const OUTCOMES: &[&str] = &[
    "classification",
    "code",
    "envoy_response_code_class",
    "error_type",
    "grpc_code",
    "grpc_response_status",
    "grpc_status",
    "http_response_status_code",
    "http_status_code",
    "outcome",
    "response_code",
    "rpc_grpc_status_code",
    "status",
    "status_code",
];
/// Labels that name the exporting service of a client's metric.
const EXPORTERS: &[&str] =
    &["service_name", "service", "app_kubernetes_io_name", "app", "application", "app_id", "deployment", "job"];

/// Ends that are no services: unknown ones, catch-alls of meshes, and what proxies call for themselves.
const NOBODY: &[&str] = &[
    "",
    "-",
    "unknown",
    "PassthroughCluster",
    "BlackHoleCluster",
    "InboundPassthroughCluster",
    "InboundPassthroughClusterIpv4",
    "InboundPassthroughClusterIpv6",
    "xds-grpc",
    "xds_cluster",
    "sds-grpc",
    "prometheus_stats",
    "agent",
    "none",
    "NA",
];

/// The dialect of a metric, by its place in the table, and what the metric measures.
pub(crate) fn of_metric(metric: &str) -> Option<(usize, Role)> {
    DIALECTS.iter().enumerate().find_map(|(place, dialect)| {
        dialect.metrics.iter().find(|(name, _)| *name == metric).map(|(_, role)| (place, *role))
    })
}

impl Dialect {
    /// Caller and callee, by their own names; `None` when the labels name none, or the same service twice.
    pub(crate) fn endpoints<'l>(&self, labels: &'l Labels) -> Option<(&'l str, &'l str)> {
        let (client, server) = match self.ends {
            Ends::Pairs(pairs) => pairs
                .iter()
                .find_map(|(client, server)| Some((named(labels.get(client)?)?, named(labels.get(server)?)?)))?,
            Ends::Peer(peers) => {
                let client = named(service_ref(labels).filter(|service| !is_collector(service))?)?;
                (client, peers.iter().find_map(|peer| named(labels.get(peer)?))?)
            }
        };
        (client != server).then_some((client, server))
    }

    /// Labels to keep when its series are summed, as far as the store has them. Empty when it cannot name both ends.
    pub(crate) fn kept_labels(&self, known: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
        let mut kept: Vec<&'static str> = match self.ends {
            Ends::Pairs(pairs) => {
                // The first pair suffices where every series has it, which only its presence tells.
                pairs.iter().filter(|(client, server)| known(client) && known(server)).take(2).fold(
                    Vec::new(),
                    |mut kept, (client, server)| {
                        kept.extend([*client, *server]);
                        kept
                    },
                )
            }
            Ends::Peer(peers) => {
                let peers: Vec<&'static str> = peers.iter().copied().filter(|peer| known(peer)).take(4).collect();
                let own: Vec<&'static str> = EXPORTERS.iter().copied().filter(|own| known(own)).take(3).collect();
                if peers.is_empty() || own.is_empty() { Vec::new() } else { [own, peers].concat() }
            }
        };
        if kept.is_empty() {
            return kept;
        }
        if let Some((name, _)) = self.seen_by_callee.filter(|(name, _)| known(name)) {
            kept.push(name);
        }
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// Whether a series is the callee's own view.
    pub(crate) fn is_callees_view(&self, labels: &Labels) -> bool {
        self.seen_by_callee.is_some_and(|(name, value)| labels.get(name) == Some(value))
    }
}

/// A name, if it is one of a service. A path is none.
fn named(name: &str) -> Option<&str> {
    // Hubble writes the namespace in front of the workload.
    let name = canonical(name);
    let somebody = !NOBODY.iter().any(|nobody| nobody.eq_ignore_ascii_case(name)) && !name.starts_with(['/', '{']);
    somebody.then_some(name)
}

/// Labels that tell failed requests, as far as the store has them.
pub(crate) fn outcome_labels(known: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
    OUTCOMES.iter().copied().filter(|name| known(name)).collect()
}

/// Whether the requests of a series failed on the callee's account; `None` when no label tells. What a client asked
/// wrongly (4xx) is no failure of the call.
pub(crate) fn failed(labels: &Labels) -> Option<bool> {
    let mut told = None;
    for name in OUTCOMES {
        let Some(value) = labels.get(name) else { continue };
        let bad = match *name {
            "classification" => value == "failure",
            "outcome" => matches!(value, "SERVER_ERROR" | "UNKNOWN" | "failure" | "error"),
            "error_type" => !(value.len() == 3 && value.starts_with('4')),
            "envoy_response_code_class" => value == "5",
            "grpc_code" | "grpc_response_status" | "grpc_status" | "rpc_grpc_status_code" => is_bad_grpc(value),
            _ => {
                // 0 is Istio's and Envoy's code for no answer at all; words are gRPC's or a client's.
                let code = value.bytes().all(|byte| byte.is_ascii_digit());
                if code {
                    value == "0" && *name == "response_code" || value.len() == 3 && value.starts_with('5')
                } else {
                    is_bad_grpc(value)
                        || ["5xx", "error", "failure", "failed", "timeout", "io_error", "client_error"]
                            .iter()
                            .any(|word| value.eq_ignore_ascii_case(word))
                }
            }
        };
        told = Some(told.unwrap_or(false) || bad);
    }
    told
}

/// Codes of gRPC that are the callee's or the network's fault, by number and by name.
fn is_bad_grpc(code: &str) -> bool {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    matches!(
        plain.as_str(),
        "2" | "4"
            | "8"
            | "12"
            | "13"
            | "14"
            | "15"
            | "unknown"
            | "deadlineexceeded"
            | "resourceexhausted"
            | "unimplemented"
            | "internal"
            | "unavailable"
            | "dataloss"
    )
}

/// Caller and callee of a series that answers for `metric`. Where the metric is in no dialect's table, the labels alone
/// are asked.
pub fn endpoints<'l>(metric: &str, labels: &'l Labels) -> Option<(&'l str, &'l str)> {
    match of_metric(metric) {
        Some((place, _)) => DIALECTS[place].endpoints(labels),
        None => {
            DIALECTS.iter().filter(|dialect| matches!(dialect.ends, Ends::Pairs(_))).find_map(|d| d.endpoints(labels))
        }
    }
}
