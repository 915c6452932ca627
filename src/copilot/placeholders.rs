//! Values of a playbook's placeholders, taken from the evidence. What is not known is absent, never guessed, with
//! one exception that is said: a Kubernetes workload whose kind no label names is taken to be a Deployment that is
//! called like its service.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::matching::stronger;
use super::template::Values;
use super::wording;
use crate::domain::Labels;
use crate::domain::analysis::Analysis;
use crate::domain::evidence::{Detail, Evidence};
use crate::domain::query::Lang;

const NAMESPACE: &[&str] =
    &["namespace", "kubernetes_namespace", "k8s_namespace_name", "exported_namespace", "kube_namespace"];
const POD: &[&str] = &["pod", "k8s_pod_name", "kubernetes_pod_name", "pod_name", "exported_pod"];
const NODE: &[&str] = &["node", "kubernetes_node", "k8s_node_name", "node_name", "nodename"];
const WORKLOAD: &[(&str, &str)] = &[
    ("deployment", "deployment"),
    ("k8s_deployment_name", "deployment"),
    ("statefulset", "statefulset"),
    ("k8s_statefulset_name", "statefulset"),
    ("daemonset", "daemonset"),
    ("k8s_daemonset_name", "daemonset"),
];

/// Values for one suspect, and what was assumed on the way.
pub(super) struct Known {
    pub values: Values,
    pub assumed: Option<String>,
}

/// Finds the values for `service`, preferring what stands on the evidence that matched.
pub(super) fn known(analysis: &Analysis, service: &str, matched: &[&Evidence]) -> Known {
    let mut own: Vec<&Evidence> =
        analysis.evidence.iter().filter(|item| item.service.as_deref() == Some(service)).collect();
    own.sort_by(|a, b| stronger(a, b));
    let ordered: Vec<&Evidence> = matched.iter().chain(&own).copied().collect();
    let mut values = Values::new();
    values.insert("service", service.to_owned());

    let namespace = label(&ordered, NAMESPACE)
        .or_else(|| selector(&ordered, "namespace"))
        .or_else(|| incident_label(analysis, NAMESPACE));
    let mut assumed = None;
    if let Some(namespace) = namespace {
        let explicit =
            WORKLOAD.iter().find_map(|(name, kind)| label(&own, &[*name]).map(|workload| format!("{kind}/{workload}")));
        let workload = explicit.or_else(|| {
            name_like(service).then(|| {
                assumed = Some(format!(
                    "kind and name of the workload of {service}: no label says it, deployment/{service} in \
                     namespace {namespace} is assumed"
                ));
                format!("deployment/{service}")
            })
        });
        values.insert("namespace", namespace);
        if let Some(workload) = workload {
            values.insert("workload", workload);
        }
    }
    insert(&mut values, "pod", label(&ordered, POD));
    insert(&mut values, "node", label(&ordered, NODE));
    insert(&mut values, "app_label", app_label(&ordered, service));

    if let Some((metric, expr)) = ordered.iter().find_map(|item| promql(item)) {
        insert(&mut values, "metric", metric);
        values.insert("expr", expr);
    } else if let Some(expression) = analysis.incident.alerts.iter().find_map(|alert| alert.expression.clone()) {
        values.insert("expr", expression);
    }
    if let Some(item) = ordered.iter().find(|item| matches!(item.detail, Detail::Log(_))) {
        if let Detail::Log(log) = &item.detail {
            values.insert("template", wording::quoted(&log.template).trim_matches('"').to_owned());
        }
        if item.provenance.lang == Some(Lang::LogQl) && !item.provenance.expr.is_empty() {
            values.insert("stream", item.provenance.expr.clone());
        }
    }
    if let Some((kind, reference, at)) = matched.iter().find_map(|item| match &item.detail {
        Detail::Change(change) => Some((&change.kind, &change.reference, change.at)),
        _ => None,
    }) {
        values.insert("change", format!("{kind} {}", reference.one_line()).trim_end().to_owned());
        values.insert("change_at", at.to_clock());
    }
    let peer = matched.iter().find_map(|item| match &item.detail {
        Detail::Edge(edge) if edge.client == service => Some(edge.server.clone()),
        Detail::Edge(edge) if edge.server == service => Some(edge.client.clone()),
        _ => None,
    });
    insert(&mut values, "peer", peer);
    let ids: Vec<String> = matched.iter().map(|item| item.id.to_string()).collect();
    values.insert("evidence", ids.join(" "));
    Known { values, assumed }
}

fn insert(values: &mut Values, name: &'static str, value: Option<String>) {
    if let Some(value) = value {
        values.insert(name, value);
    }
}

/// Name of the metric, where it has one, and the expression.
fn promql(item: &Evidence) -> Option<(Option<String>, String)> {
    let Detail::Metric(metric) = &item.detail else { return None };
    let usable = item.provenance.lang == Some(Lang::PromQl) && !item.provenance.expr.is_empty();
    usable.then(|| (Some(metric.metric.clone()), item.provenance.expr.clone()))
}

/// Whether the text may stand in a command as the name of an object: cannot be taken for a flag or a path.
fn name_like(text: &str) -> bool {
    text.len() <= 253
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// The most frequent value of the first of `names` that any item carries; ties go to the first in the alphabet.
fn label(items: &[&Evidence], names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for item in items {
            for set in label_sets(item) {
                if let Some(value) = set.get(name).filter(|value| name_like(value)) {
                    *counts.entry(value).or_default() += 1;
                }
            }
        }
        most(&counts)
    })
}

fn most(counts: &BTreeMap<&str, usize>) -> Option<String> {
    counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).map(|(value, _)| (*value).to_owned())
}

fn label_sets(item: &Evidence) -> Vec<&Labels> {
    match &item.detail {
        Detail::Alert(alert) => vec![&alert.labels],
        Detail::Metric(metric) => vec![&metric.labels],
        Detail::Log(log) => log.exemplars.iter().flat_map(|entry| [entry.labels.as_ref(), &entry.metadata]).collect(),
        _ => Vec::new(),
    }
}

/// A label's value from an equality matcher of the expressions, where aggregation dropped the label itself.
fn selector(items: &[&Evidence], name: &str) -> Option<String> {
    static MATCHER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"\b([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"([^"\\]*)""#).expect("a constant expression"));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for item in items {
        for found in MATCHER.captures_iter(&item.provenance.expr) {
            if let (Some(label), Some(value)) = (found.get(1), found.get(2))
                && label.as_str() == name
                && name_like(value.as_str())
            {
                *counts.entry(value.as_str()).or_default() += 1;
            }
        }
    }
    most(&counts)
}

/// A label that all alerts of the incident which carry it agree on.
fn incident_label(analysis: &Analysis, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let mut values: Vec<&str> =
            analysis.incident.alerts.iter().filter_map(|alert| alert.labels.get(name)).collect();
        values.sort_unstable();
        values.dedup();
        match values.as_slice() {
            [one] if name_like(one) => Some((*one).to_owned()),
            _ => None,
        }
    })
}

/// The pod label by which kubectl finds the service's pods.
fn app_label(items: &[&Evidence], service: &str) -> Option<String> {
    if !name_like(service) {
        return None;
    }
    let sets = || items.iter().copied().flat_map(label_sets);
    if sets().any(|set| set.get("app_kubernetes_io_name") == Some(service))
        && !sets().any(|set| set.get("app").is_some())
    {
        return Some("app.kubernetes.io/name".into());
    }
    Some("app".into())
}
