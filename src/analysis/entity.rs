//! Which service a set of labels speaks about.

use crate::domain::Labels;
use crate::domain::labels::SERVICE_LABELS;

/// Values of service labels that name the collector of a series, not its subject.
const COLLECTORS: &[&str] = &[
    "kube-state-metrics",
    "node-exporter",
    "node_exporter",
    "prometheus",
    "cadvisor",
    "kubelet",
    "kubernetes-pods",
    "kubernetes-nodes",
    "kubernetes-cadvisor",
    "kubernetes-service-endpoints",
    "blackbox",
    "blackbox-exporter",
    "pushgateway",
    "otel-collector",
    "tempo",
    "istio-proxy",
    "linkerd-proxy",
    "pod",
];

/// Labels that name a machine or process when none names a service.
const INSTANCE_LABELS: &[&str] = &["node", "host", "hostname", "nodename", "instance"];

/// Labels that tell series of one service from each other without naming another subject.
pub const REPLICA_LABELS: &[&str] =
    &["pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name", "instance", "endpoint", "container", "uid", "id"];

/// The service that `labels` speak about: the first service label whose value is no collector, else the workload
/// that the pod's name tells, else the machine.
pub fn service_of(labels: &Labels) -> Option<String> {
    let named = SERVICE_LABELS.iter().filter_map(|name| labels.get(name)).find(|value| !is_collector(value));
    // A job or container is a weaker name than the workload of the pod, but stronger than none.
    if let Some(value) = named {
        return Some(value.to_owned());
    }
    ["pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name"]
        .iter()
        .find_map(|name| labels.get(name))
        .map(|pod| workload_of_pod(pod).to_owned())
        .or_else(|| INSTANCE_LABELS.iter().find_map(|name| labels.get(name)).map(str::to_owned))
        .or_else(|| labels.service().map(str::to_owned))
}

/// Whether a name is that of a collector of series, not of a service.
pub fn is_collector(name: &str) -> bool {
    COLLECTORS.iter().any(|collector| collector.eq_ignore_ascii_case(name))
}

/// `cart-7d4f5b99fd-ktwc6` and `cart-0` belong to `cart`.
pub fn workload_of_pod(pod: &str) -> &str {
    let Some((rest, last)) = pod.rsplit_once('-') else { return pod };
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return rest;
    }
    if last.len() != 5 || !last.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return pod;
    }
    match rest.rsplit_once('-') {
        Some((workload, hash))
            if (6..=10).contains(&hash.len())
                && hash.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && hash.bytes().any(|byte| byte.is_ascii_digit()) =>
        {
            workload
        }
        _ if last.bytes().any(|byte| byte.is_ascii_digit()) => rest,
        _ => pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_tells_its_workload() {
        for (pod, workload) in [
            ("ts-user-service-687d654649-lrcwv", "ts-user-service"),
            ("cart-0", "cart"),
            ("fluentd-x7k2p", "fluentd"),
            ("payments", "payments"),
            ("front-proxy", "front-proxy"),
            ("-", "-"),
        ] {
            assert_eq!(workload_of_pod(pod), workload, "{pod}");
        }
    }

    #[test]
    fn a_collector_is_not_the_subject() {
        let labels: Labels = [("job", "kube-state-metrics"), ("pod", "cart-7d4f5b99fd-ktwc6"), ("namespace", "shop")]
            .into_iter()
            .collect();
        assert_eq!(service_of(&labels).as_deref(), Some("cart"));
        let labels: Labels = [("job", "node-exporter"), ("instance", "10.0.0.1:9100")].into_iter().collect();
        assert_eq!(service_of(&labels).as_deref(), Some("10.0.0.1:9100"));
        assert_eq!(service_of(&Labels::new()), None);
    }
}
