//! Facts beside the effect: how far a command reaches, what it names, whether it silences what watches production.

use super::table::Parsed;
use super::{Blast, CommandFacts, Effect, Understood};

/// Names of what watches production.
const MONITORING: [&str; 31] = [
    "prometheus",
    "alertmanager",
    "alertmanagerconfig",
    "grafana",
    "loki",
    "promtail",
    "thanos",
    "mimir",
    "cortex",
    "victoriametrics",
    "vmagent",
    "vmalert",
    "pushgateway",
    "node-exporter",
    "node_exporter",
    "blackbox",
    "kube-state-metrics",
    "metrics-server",
    "servicemonitor",
    "podmonitor",
    "otel-collector",
    "opentelemetry",
    "fluent",
    "filebeat",
    "telegraf",
    "datadog",
    "falco",
    "auditd",
    "rsyslog",
    "journald",
    "cloudtrail",
];

/// Namespaces in which the monitoring commonly lives.
const MONITORING_NAMESPACES: [&str; 6] =
    ["monitoring", "observability", "logging", "prometheus", "kube-prometheus-stack", "openshift-monitoring"];

/// Parts of the clouds' command lines that speak of alarms and logs.
const CLOUD_MONITORING: [&str; 8] =
    ["cloudwatch", "logs", "cloudtrail", "guardduty", "xray", "monitoring", "logging", "monitor"];

/// Environment variables that aim a program at something else.
const REDIRECTING: [&str; 16] = [
    "KUBECONFIG=",
    "DOCKER_HOST=",
    "DOCKER_CONTEXT=",
    "CONTAINER_HOST=",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE=",
    "HTTP_PROXY=",
    "HTTPS_PROXY=",
    "ALL_PROXY=",
    "LOKI_ADDR=",
    "ALERTMANAGER_URL=",
    "PGHOST=",
    "ETCDCTL_ENDPOINTS=",
    "ARGOCD_SERVER=",
    "CLOUDSDK_",
    "GIT_SSH",
];

/// Whether a word sets a variable that aims a program at something else.
pub(super) fn redirects(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    REDIRECTING.iter().any(|variable| word.starts_with(variable))
}

/// Puts the facts of an inner command to those of its wrapper.
pub(super) fn merge(outer: &mut CommandFacts, inner: CommandFacts) {
    outer.blast = outer.blast.max(inner.blast);
    outer.objects = outer.objects.max(inner.objects);
    outer.resources.extend(inner.resources);
    outer.namespaces.extend(inner.namespaces);
    outer.redirected |= inner.redirected;
    outer.remote |= inner.remote;
    outer.silences_monitoring |= inner.silences_monitoring;
}

/// Fills in what the arguments say.
pub(super) fn recognise(understood: &mut Understood, parsed: &Parsed<'_>) {
    understood.facts.resources = match understood.program.as_str() {
        "kubectl" if !matches!(understood.verb.as_str(), "exec" | "logs" | "cp") => objects(&parsed.operands),
        _ => parsed.operands.clone(),
    };
    understood.facts.objects = match understood.program.as_str() {
        "kubectl" => understood.facts.resources.iter().filter(|object| object.contains('/')).count(),
        _ => understood.facts.resources.len(),
    };
    if understood.effect == Effect::Read {
        return;
    }
    let wildcard = understood.facts.resources.iter().any(|object| object.contains(['*', '?', '[']));
    let tree = parsed.flags.iter().any(|flag| {
        flag.name == "--recursive" || (understood.program == "rm" && ["-r", "-R"].contains(&flag.name.as_str()))
    });
    if wildcard || tree {
        understood.reach(Blast::Selected);
    }
    let last = understood.verb.rsplit(' ').next().unwrap_or_default();
    let everything = match understood.program.as_str() {
        // Without a name it takes every workload of that kind.
        "kubectl" => {
            understood.verb.starts_with("rollout ")
                && understood.facts.objects == 0
                && !parsed.has("-f")
                && understood.facts.blast == Blast::Named
        }
        "terraform" | "tofu" => matches!(last, "apply" | "destroy") && !parsed.has("-target"),
        "redis-cli" | "valkey-cli" => matches!(last, "flushall" | "flushdb" | "shutdown"),
        _ => last == "prune",
    };
    if everything {
        understood.reach(Blast::All);
        understood.note("everything of that kind");
    }
    if silences(understood) {
        understood.facts.silences_monitoring = true;
        understood.note("touches the monitoring itself");
    }
}

fn silences(understood: &Understood) -> bool {
    let names = |word: &str| {
        let word = word.to_ascii_lowercase();
        MONITORING.iter().any(|name| word.contains(name))
    };
    let mut verb = understood.verb.split(' ');
    match understood.program.as_str() {
        "amtool" => return true,
        "aws" | "gcloud" | "az" if verb.next().is_some_and(|service| CLOUD_MONITORING.contains(&service)) => {
            return true;
        }
        "curl" if understood.operands.iter().any(|url| url.contains("/silence") || url.contains("/-/")) => return true,
        _ => {}
    }
    understood.operands.iter().any(|operand| names(operand))
        || understood.facts.namespaces.iter().any(|name| MONITORING_NAMESPACES.contains(&name.as_str()))
}

/// Objects among kubectl's arguments: `deploy/a b/c`, or a kind (or several, with commas) and names.
fn objects(operands: &[String]) -> Vec<String> {
    if operands.iter().any(|operand| operand.contains('/')) {
        let mut objects = Vec::new();
        for operand in operands {
            match operand.split_once('/') {
                Some((of, name)) => objects.push(format!("{}/{name}", kind(of))),
                // `label pods/a x=y`: what sets something is no object.
                None if operand.contains('=') || operand.ends_with('-') => {}
                None => objects.push(kind(operand)),
            }
        }
        return objects;
    }
    let Some((kinds, names)) = operands.split_first() else {
        return Vec::new();
    };
    let kinds: Vec<String> = kinds.split(',').map(kind).collect();
    let names: Vec<&String> = names.iter().filter(|name| !name.contains('=') && !name.ends_with('-')).collect();
    if names.is_empty() {
        return kinds;
    }
    kinds.iter().flat_map(|kind| names.iter().map(move |name| format!("{kind}/{name}"))).collect()
}

/// The kind in the singular, in lower case, without its group: `Deployments.apps` is `deployment`.
fn kind(word: &str) -> String {
    let word = word.to_ascii_lowercase();
    let word = word.split('.').next().unwrap_or_default();
    let long = match word {
        "po" => "pod",
        "deploy" => "deployment",
        "ds" => "daemonset",
        "sts" => "statefulset",
        "rs" => "replicaset",
        "svc" => "service",
        "ns" => "namespace",
        "no" => "node",
        "cm" => "configmap",
        "ing" | "ingresses" => "ingress",
        "pvc" => "persistentvolumeclaim",
        "pv" => "persistentvolume",
        "sa" => "serviceaccount",
        "hpa" => "horizontalpodautoscaler",
        "pdb" => "poddisruptionbudget",
        "netpol" | "networkpolicies" => "networkpolicy",
        "cj" => "cronjob",
        "crd" | "crds" => "customresourcedefinition",
        _ => word.strip_suffix('s').filter(|word| !word.ends_with('s')).unwrap_or(word),
    };
    long.to_owned()
}
