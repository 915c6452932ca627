//! Rules as they stand in the field (kube-prometheus, the node and PostgreSQL mixins, Sloth, Pyrra, blackbox, Kafka,
//! `RabbitMQ` and others), each with what it measures.

use super::measured;

/// Expression of a rule, and the quantities in it.
const RULES: &[(&str, &[&str])] = &[
    // kube-prometheus: general and Kubernetes applications.
    (
        "100 * (count(up == 0) BY (cluster, job, namespace, service) / count(up) BY (cluster, job, namespace, service)) > 10",
        &[
            "100 * (sum by (cluster, job, namespace, service) (up == bool 0) / count by (cluster, job, namespace, service) (up))",
        ],
    ),
    ("vector(1)", &[]),
    (
        r#"ALERTS{severity = "info"} == 1 unless on (namespace) ALERTS{alertname != "InfoInhibitor", severity =~ "warning|critical", alertstate="firing"} == 1"#,
        &[r#"ALERTS{severity="info"}"#],
    ),
    (
        r#"max_over_time(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff", job="kube-state-metrics"}[5m]) >= 1"#,
        &[r#"kube_pod_container_status_waiting_reason{job="kube-state-metrics",reason="CrashLoopBackOff"}"#],
    ),
    (
        r#"sum by (namespace, pod, cluster) (max by(namespace, pod, cluster) (kube_pod_status_phase{job="kube-state-metrics", phase=~"Pending|Unknown|Failed"}) * on(namespace, pod, cluster) group_left(owner_kind) topk by(namespace, pod, cluster) (1, max by(namespace, pod, owner_kind, cluster) (kube_pod_owner{owner_kind!="Job"}))) > 0"#,
        &[
            r#"sum by (namespace, pod, cluster) (max by (namespace, pod, cluster) (kube_pod_status_phase{job="kube-state-metrics",phase=~"Pending|Unknown|Failed"}) * on (namespace, pod, cluster) group_left (owner_kind) topk by (namespace, pod, cluster) (1, max by (namespace, pod, owner_kind, cluster) (kube_pod_owner{owner_kind!="Job"})))"#,
        ],
    ),
    (
        r#"kube_deployment_status_observed_generation{job="kube-state-metrics"} != kube_deployment_metadata_generation{job="kube-state-metrics"}"#,
        &[
            r#"kube_deployment_status_observed_generation{job="kube-state-metrics"}"#,
            r#"kube_deployment_metadata_generation{job="kube-state-metrics"}"#,
        ],
    ),
    (
        r#"(kube_deployment_spec_replicas{job="kube-state-metrics"} > kube_deployment_status_replicas_available{job="kube-state-metrics"}) and (changes(kube_deployment_status_replicas_updated{job="kube-state-metrics"}[10m]) == 0)"#,
        &[
            r#"kube_deployment_spec_replicas{job="kube-state-metrics"}"#,
            r#"kube_deployment_status_replicas_available{job="kube-state-metrics"}"#,
            r#"changes(kube_deployment_status_replicas_updated{job="kube-state-metrics"}[10m])"#,
        ],
    ),
    (
        r#"time() - max by (namespace, job_name, cluster) (kube_job_status_start_time{job="kube-state-metrics"} and kube_job_status_active{job="kube-state-metrics"} > 0) > 43200"#,
        &[r#"time() - max by (namespace, job_name, cluster) (kube_job_status_start_time{job="kube-state-metrics"})"#],
    ),
    (
        "kube_horizontalpodautoscaler_status_current_replicas == kube_horizontalpodautoscaler_spec_max_replicas",
        &["kube_horizontalpodautoscaler_status_current_replicas", "kube_horizontalpodautoscaler_spec_max_replicas"],
    ),
    (
        r#"sum(increase(container_cpu_cfs_throttled_periods_total{container!="", }[5m])) without (id, metrics_path, name, image, endpoint, job, node) / sum(increase(container_cpu_cfs_periods_total{}[5m])) without (id, metrics_path, name, image, endpoint, job, node) > ( 25 / 100 )"#,
        &[
            r#"sum without (id, metrics_path, name, image, endpoint, job, node) (increase(container_cpu_cfs_throttled_periods_total{container!=""}[5m])) / sum without (id, metrics_path, name, image, endpoint, job, node) (increase(container_cpu_cfs_periods_total[5m]))"#,
        ],
    ),
    (
        "increase(kube_pod_container_status_restarts_total[1h]) > 3",
        &["increase(kube_pod_container_status_restarts_total[1h])"],
    ),
    (
        r#"(kube_pod_container_status_restarts_total - kube_pod_container_status_restarts_total offset 10m >= 1) and ignoring (reason) min_over_time(kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}[10m]) == 1"#,
        &[
            "kube_pod_container_status_restarts_total - kube_pod_container_status_restarts_total offset 10m",
            r#"kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}"#,
        ],
    ),
    // Storage.
    (
        r#"(kubelet_volume_stats_available_bytes{job="kubelet", namespace=~".*"} / kubelet_volume_stats_capacity_bytes{job="kubelet", namespace=~".*"}) < 0.15 and kubelet_volume_stats_used_bytes{job="kubelet"} > 0 and predict_linear(kubelet_volume_stats_available_bytes{job="kubelet", namespace=~".*"}[6h], 4 * 24 * 3600) < 0 unless on(cluster, namespace, persistentvolumeclaim) kube_persistentvolumeclaim_access_mode{access_mode="ReadOnlyMany"} == 1"#,
        &[
            r#"kubelet_volume_stats_available_bytes{job="kubelet",namespace=~".*"} / kubelet_volume_stats_capacity_bytes{job="kubelet",namespace=~".*"}"#,
            r#"kubelet_volume_stats_used_bytes{job="kubelet"}"#,
            r#"kubelet_volume_stats_available_bytes{job="kubelet",namespace=~".*"}"#,
        ],
    ),
    // Control plane.
    (r#"absent(up{job="apiserver"} == 1)"#, &[r#"up{job="apiserver"}"#]),
    ("absent_over_time(shop_heartbeat_total[10m])", &["shop_heartbeat_total"]),
    (
        r#"histogram_quantile(0.99, sum(rate(etcd_disk_backend_commit_duration_seconds_bucket{job=~".*etcd.*"}[5m])) without (le, instance) ) > 0.25"#,
        &[
            r#"histogram_quantile(0.99, sum without (le, instance) (rate(etcd_disk_backend_commit_duration_seconds_bucket{job=~".*etcd.*"}[5m])))"#,
        ],
    ),
    (
        r#"sum by (cluster) (rate(apiserver_request_terminations_total{job="apiserver"}[10m])) / ( sum by (cluster) (rate(apiserver_request_total{job="apiserver"}[10m])) + sum by (cluster) (rate(apiserver_request_terminations_total{job="apiserver"}[10m])) ) > 0.20"#,
        &[
            r#"sum by (cluster) (rate(apiserver_request_terminations_total{job="apiserver"}[10m])) / (sum by (cluster) (rate(apiserver_request_total{job="apiserver"}[10m])) + sum by (cluster) (rate(apiserver_request_terminations_total{job="apiserver"}[10m])))"#,
        ],
    ),
    // Node exporter mixin.
    (
        r#"( node_filesystem_avail_bytes{job="node",fstype!="",mountpoint!=""} / node_filesystem_size_bytes{job="node",fstype!="",mountpoint!=""} * 100 < 15 and predict_linear(node_filesystem_avail_bytes{job="node",fstype!="",mountpoint!=""}[6h], 24*60*60) < 0 and node_filesystem_readonly{job="node",fstype!="",mountpoint!=""} == 0 )"#,
        &[
            r#"node_filesystem_avail_bytes{fstype!="",job="node",mountpoint!=""} / node_filesystem_size_bytes{fstype!="",job="node",mountpoint!=""} * 100"#,
            r#"node_filesystem_avail_bytes{fstype!="",job="node",mountpoint!=""}"#,
            r#"node_filesystem_readonly{fstype!="",job="node",mountpoint!=""}"#,
        ],
    ),
    (
        r#"sum without(mode) (avg without (cpu) (rate(node_cpu_seconds_total{job="node", mode!~"idle|iowait"}[2m]))) * 100 > 90"#,
        &[
            r#"sum without (mode) (avg without (cpu) (rate(node_cpu_seconds_total{job="node",mode!~"idle|iowait"}[2m]))) * 100"#,
        ],
    ),
    (
        r#"100 - (node_memory_MemAvailable_bytes{job="node"} / node_memory_MemTotal_bytes{job="node"} * 100) > 90"#,
        &[r#"100 - (node_memory_MemAvailable_bytes{job="node"} / node_memory_MemTotal_bytes{job="node"} * 100)"#],
    ),
    (
        r#"node_load1{job="node"} / count without (cpu, mode) (node_cpu_seconds_total{job="node", mode="idle"}) > 2"#,
        &[r#"node_load1{job="node"} / count without (cpu, mode) (node_cpu_seconds_total{job="node",mode="idle"})"#],
    ),
    (
        "( node_timex_offset_seconds > 0.05 and deriv(node_timex_offset_seconds[5m]) >= 0 ) or ( node_timex_offset_seconds < -0.05 and deriv(node_timex_offset_seconds[5m]) <= 0 )",
        &["node_timex_offset_seconds", "deriv(node_timex_offset_seconds[5m])"],
    ),
    (
        "rate(node_network_receive_errs_total[2m]) / rate(node_network_receive_packets_total[2m]) > 0.01",
        &["rate(node_network_receive_errs_total[2m]) / rate(node_network_receive_packets_total[2m])"],
    ),
    // PostgreSQL exporter.
    ("pg_up == 0", &["pg_up"]),
    (
        "sum by (instance) (pg_stat_activity_count) > min by (instance) (pg_settings_max_connections) * 0.8",
        &["sum by (instance) (pg_stat_activity_count)", "min by (instance) (pg_settings_max_connections) * 0.8"],
    ),
    (
        r#"avg by (datname) (rate(pg_stat_database_blks_hit{datname!~"template.*|postgres"}[5m]) / (rate(pg_stat_database_blks_hit{datname!~"template.*|postgres"}[5m]) + rate(pg_stat_database_blks_read{datname!~"template.*|postgres"}[5m]))) < 0.98"#,
        &[
            r#"avg by (datname) (rate(pg_stat_database_blks_hit{datname!~"template.*|postgres"}[5m]) / (rate(pg_stat_database_blks_hit{datname!~"template.*|postgres"}[5m]) + rate(pg_stat_database_blks_read{datname!~"template.*|postgres"}[5m])))"#,
        ],
    ),
    (
        "pg_replication_lag > 30 and ON(instance) pg_replication_is_replica == 1",
        &["pg_replication_lag", "pg_replication_is_replica"],
    ),
    // Sloth: a page over two pairs of windows, one quantity.
    (
        r#"( max(slo:sli_error:ratio_rate5m{sloth_id="shop-requests", sloth_service="shop", sloth_slo="requests"} > (14.4 * 0.001)) without (sloth_window) and max(slo:sli_error:ratio_rate1h{sloth_id="shop-requests", sloth_service="shop", sloth_slo="requests"} > (14.4 * 0.001)) without (sloth_window) ) or ( max(slo:sli_error:ratio_rate30m{sloth_id="shop-requests", sloth_service="shop", sloth_slo="requests"} > (6 * 0.001)) without (sloth_window) and max(slo:sli_error:ratio_rate6h{sloth_id="shop-requests", sloth_service="shop", sloth_slo="requests"} > (6 * 0.001)) without (sloth_window) )"#,
        &[
            r#"max without (sloth_window) (slo:sli_error:ratio_rate5m{sloth_id="shop-requests",sloth_service="shop",sloth_slo="requests"})"#,
        ],
    ),
    // Pyrra, and the same by hand.
    (
        r#"http_requests:burnrate3m{job="api",slo="errors"} > (14 * (1-0.99)) and http_requests:burnrate30m{job="api",slo="errors"} > (14 * (1-0.99))"#,
        &[r#"http_requests:burnrate3m{job="api",slo="errors"}"#],
    ),
    (
        r#"(sum(rate(http_requests_total{job="api",code=~"5.."}[1h])) / sum(rate(http_requests_total{job="api"}[1h])) > 14.4 * 0.001) and (sum(rate(http_requests_total{job="api",code=~"5.."}[5m])) / sum(rate(http_requests_total{job="api"}[5m])) > 14.4 * 0.001)"#,
        &[
            r#"sum(rate(http_requests_total{code=~"5..",job="api"}[5m])) / sum(rate(http_requests_total{job="api"}[5m]))"#,
        ],
    ),
    (
        r#"1 - (sum(rate(grpc_server_handled_total{grpc_code="OK"}[5m])) / sum(rate(grpc_server_handled_total[5m]))) > bool 0.01 == 1"#,
        &[
            r#"1 - (sum(rate(grpc_server_handled_total{grpc_code="OK"}[5m])) / sum(rate(grpc_server_handled_total[5m])))"#,
        ],
    ),
    // Blackbox exporter.
    ("probe_success == 0", &["probe_success"]),
    ("probe_ssl_earliest_cert_expiry - time() < 86400 * 30", &["probe_ssl_earliest_cert_expiry - time()"]),
    ("avg_over_time(probe_http_duration_seconds[1m]) > 1", &["probe_http_duration_seconds"]),
    ("probe_http_status_code <= 199 OR probe_http_status_code >= 400", &["probe_http_status_code"]),
    // Kafka, RabbitMQ, Redis, queues.
    (
        "sum(kafka_consumergroup_lag) by (consumergroup, topic) > 1000 and sum(delta(kafka_consumergroup_lag[5m])) by (consumergroup, topic) > 0",
        &[
            "sum by (consumergroup, topic) (kafka_consumergroup_lag)",
            "sum by (consumergroup, topic) (delta(kafka_consumergroup_lag[5m]))",
        ],
    ),
    (
        "sum(kafka_topic_partition_in_sync_replica) by (topic) < 3",
        &["sum by (topic) (kafka_topic_partition_in_sync_replica)"],
    ),
    (
        "rabbitmq_queue_messages_ready > 1000 and rabbitmq_queue_consumers == 0",
        &["rabbitmq_queue_messages_ready", "rabbitmq_queue_consumers"],
    ),
    (
        "rabbitmq_node_mem_used / rabbitmq_node_mem_limit * 100 > 90",
        &["rabbitmq_node_mem_used / rabbitmq_node_mem_limit * 100"],
    ),
    (
        "redis_memory_used_bytes / redis_memory_max_bytes * 100 > 90 and redis_memory_max_bytes > 0",
        &["redis_memory_used_bytes / redis_memory_max_bytes * 100", "redis_memory_max_bytes"],
    ),
    // Subqueries, offsets, anomaly by a week ago, counts of bad ones.
    ("max_over_time(sum(rate(errors_total[1m]))[10m:1m]) > 5", &["sum(rate(errors_total[1m]))"]),
    ("quantile_over_time(0.9, latency_seconds[15m]) > 2", &["latency_seconds"]),
    (
        "sum(rate(orders_total[5m])) < 0.5 * sum(rate(orders_total[5m] offset 1w))",
        &["sum(rate(orders_total[5m]))", "0.5 * sum(rate(orders_total[5m] offset 1w))"],
    ),
    ("count_over_time((job:latency:p99 > 2)[30m:1m]) > 10", &["job:latency:p99"]),
    (
        "(sum(rate(errors_total[5m])) or vector(0)) / sum(rate(requests_total[5m])) > 0.1",
        &["(sum(rate(errors_total[5m])) or vector(0)) / sum(rate(requests_total[5m]))"],
    ),
    (
        r#"label_replace(queue_depth > 100, "service", "$1", "queue", "(.*)-in")"#,
        &[r#"label_replace(queue_depth, "service", "$1", "queue", "(.*)-in")"#],
    ),
    (
        "histogram_quantile(0.95, sum by (service) (rate(http_server_request_duration_seconds[5m]))) > 0.5",
        &["histogram_quantile(0.95, sum by (service) (rate(http_server_request_duration_seconds[5m])))"],
    ),
    (r#"{__name__="http.server.errors",service="shop"} > 3"#, &[r#"{__name__="http.server.errors",service="shop"}"#]),
];

#[test]
fn rules_of_the_field_are_understood() {
    let mut wrong = String::new();
    for (rule, quantities) in RULES {
        // Matchers print in the order in which they are written: the order says nothing.
        let canonical = |text: &str| promql_parser::parser::parse(text).map(|expr| expr.to_string());
        let found: Vec<String> = measured(rule).into_iter().map(|part| part.expr).collect();
        let sorted = |text: &str| {
            let mut words: Vec<&str> =
                text.split(['{', '}', ',', ' ', '(', ')']).filter(|word| !word.is_empty()).collect();
            words.sort_unstable();
            words.join(" ")
        };
        let wanted: Vec<String> = quantities.iter().map(|text| canonical(text).unwrap()).collect();
        if found.iter().map(|text| sorted(text)).ne(wanted.iter().map(|text| sorted(text))) {
            wrong += &format!("{rule}\n  wanted {wanted:#?}\n  found  {found:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
