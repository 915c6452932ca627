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

/// Labels that name a pod.
pub(crate) const POD_LABELS: &[&str] = &["pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name"];

/// Labels that name a machine or process when none names a service.
pub(crate) const INSTANCE_LABELS: &[&str] = &["node", "host", "hostname", "nodename", "instance"];

/// Labels that tell series of one service from each other without naming another subject.
pub const REPLICA_LABELS: &[&str] =
    &["pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name", "instance", "endpoint", "container", "uid", "id"];

/// The service that `labels` speak about: the first service label whose value is no collector, else the workload
/// that the pod's name tells, else the machine.
pub fn service_of(labels: &Labels) -> Option<String> {
    service_ref(labels).map(str::to_owned)
}

/// [`service_of`] as it stands in the labels.
pub fn service_ref(labels: &Labels) -> Option<&str> {
    let of = |names: &'static [&'static str]| names.iter().filter_map(|name| labels.get(name));
    service_among(of(SERVICE_LABELS), of(POD_LABELS), of(INSTANCE_LABELS))
}

/// [`service_of`] from the values that some labels have of each list of names, in the order of the list:
/// [`SERVICE_LABELS`], [`POD_LABELS`] and [`INSTANCE_LABELS`].
pub(crate) fn service_among<'a>(
    mut named: impl Iterator<Item = &'a str> + Clone,
    mut pods: impl Iterator<Item = &'a str>,
    mut machines: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // A job or container is a weaker name than the workload of the pod, but stronger than none.
    let subject = named.clone().find(|value| !is_collector(value));
    subject.or_else(|| pods.next().map(workload_of_pod)).or_else(|| machines.next()).or_else(|| named.next())
}

/// Whether a name is that of a collector of series, not of a service. Charts put the release's name in front.
pub fn is_collector(name: &str) -> bool {
    COLLECTORS.iter().any(|collector| collector.eq_ignore_ascii_case(name))
        || name.ends_with("-kube-state-metrics")
        || name.ends_with("-node-exporter")
}

/// The name by which a graph, a mesh and an alert mean the same service: without scheme, path, port and the cluster's
/// domain. `http://payments.shop.svc.cluster.local:8080/pay`, `outbound|8080||payments.shop.svc.cluster.local` and
/// `payments` are one. Hosts outside of the cluster keep their domain, addresses and `localhost` their port.
pub fn canonical(name: &str) -> &str {
    // Istio's names of Envoy's clusters end in the host.
    let host = name.rsplit('|').find(|part| !part.is_empty()).unwrap_or(name);
    let host = match host.split_once("://") {
        Some((_, rest)) => rest.trim_start_matches('/').split('/').next().unwrap_or(rest),
        None => host,
    };
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            bare
        }
        _ => host,
    };
    let is_address = bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || bare.contains(':');
    if bare.is_empty() || bare == "localhost" || is_address {
        return if host.is_empty() { name } else { host };
    }
    let bare = bare.trim_end_matches('.');
    let inside = bare.find(".svc.").or_else(|| bare.strip_suffix(".svc").map(str::len));
    if let Some(end) = inside {
        // A pod of a stateful set stands in front of its service: `mysql-0.mysql.shop.svc`.
        let mut labels = bare[..end].rsplit('.');
        let (_namespace, service) = (labels.next(), labels.next());
        let named = [service, Some(&bare[..end])].into_iter().flatten().find(|name| !name.is_empty());
        return named.unwrap_or(name);
    }
    if bare.is_empty() { name } else { bare }
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
    fn one_service_has_one_name() {
        for (name, canonical_name) in [
            ("payments", "payments"),
            ("payments:8080", "payments"),
            ("payments.shop.svc.cluster.local:8080", "payments"),
            ("payments.shop.svc", "payments"),
            ("http://payments.shop.svc.cluster.local:8080/pay", "payments"),
            ("outbound|8080|v2|payments.shop.svc.cluster.local", "payments"),
            ("mysql-0.mysql.shop.svc.cluster.local", "mysql"),
            ("api.stripe.com:443", "api.stripe.com"),
            ("10.0.0.7:5432", "10.0.0.7:5432"),
            ("localhost:6379", "localhost:6379"),
            ("AWS::StepFunctions::StateMachine", "AWS::StepFunctions::StateMachine"),
            ("a/b", "a/b"),
            ("", ""),
            (":80", ":80"),
            ("|||", "|||"),
            (".svc", ".svc"),
            ("://", "://"),
        ] {
            assert_eq!(canonical(name), canonical_name, "{name}");
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
