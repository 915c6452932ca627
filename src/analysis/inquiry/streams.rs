//! Which log streams belong to the incident, whatever their labels are called.

use std::collections::{BTreeMap, BTreeSet};

use super::super::entity::workload_of_pod;
use super::naming::one_of;
use crate::domain::labels::{SERVICE_LABELS, quote};

/// Labels whose values are looked at, at most.
const CANDIDATES: usize = 8;
/// A store with so few values of the service label is asked whole.
const ASK_ALL_BELOW: usize = 150;
/// Values in one selector, at most.
const MOST_VALUES: usize = 60;

/// Words in the names of labels that may name a service.
const TELLING_WORDS: &[&str] =
    &["service", "app", "deployment", "workload", "component", "container", "pod", "unit", "job", "program", "host"];

/// The labels of a log store that may name services, likeliest first.
pub fn candidates(names: &[String]) -> Vec<String> {
    let mut ranked: Vec<(usize, &String)> = names
        .iter()
        .filter_map(|name| {
            let place = SERVICE_LABELS.iter().position(|known| known == name);
            let word = TELLING_WORDS.iter().position(|word| name.to_ascii_lowercase().contains(word));
            place.or(word.map(|word| 100 + word)).map(|rank| (rank, name))
        })
        .collect();
    ranked.sort();
    let mut out: Vec<String> = ranked.into_iter().map(|(_, name)| name.clone()).collect();
    if out.is_empty() {
        // Nothing looks like a service: any label is better than no logs.
        out.extend(
            names.iter().filter(|name| !matches!(name.as_str(), "level" | "detected_level" | "filename")).cloned(),
        );
        out.sort();
    }
    out.truncate(CANDIDATES);
    out
}

/// What to select, and what that leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The label that names services.
    pub label: String,
    /// A LogQL stream selector.
    pub selector: String,
    /// Values of the label that are not selected.
    pub left_out: usize,
}

/// Chooses the label whose values match most of `services`, and selects all of its values where they are few, else
/// those of `services` only. `values` holds the values of each candidate, in the order of [`candidates`].
pub fn select(
    candidates: &[String],
    values: &BTreeMap<String, Vec<String>>,
    services: &BTreeSet<String>,
) -> Option<Selection> {
    let mut best: Option<(usize, &String, Vec<&str>)> = None;
    for name in candidates {
        let Some(values) = values.get(name).filter(|values| !values.is_empty()) else { continue };
        let matching: Vec<&str> =
            values.iter().map(String::as_str).filter(|value| names_one_of(value, services)).collect();
        let hits: BTreeSet<&str> = matching.iter().map(|value| workload_of_pod(value)).collect();
        // The first candidate wins ties: it is the most trusted name.
        if best.as_ref().is_none_or(|(most, _, _)| hits.len() > *most) {
            best = Some((hits.len(), name, matching));
        }
    }
    let (_, name, mut matching) = best?;
    let all = values.get(name)?.len();
    if all <= ASK_ALL_BELOW || matching.is_empty() {
        let selector = format!("{{{name}=~{}}}", quote(".+"));
        return Some(Selection { label: name.clone(), selector, left_out: 0 });
    }
    matching.sort_unstable();
    matching.truncate(MOST_VALUES);
    let left_out = all - matching.len();
    Some(Selection { label: name.clone(), left_out, selector: format!("{{{}}}", one_of(name, matching)) })
}

/// Whether a label value names one of the services: equal, a pod of it, or `namespace/service`.
pub(super) fn names_one_of(value: &str, services: &BTreeSet<String>) -> bool {
    let tail = value.rsplit('/').next().unwrap_or(value);
    [value, tail, workload_of_pod(tail)].iter().any(|name| services.contains(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_label_that_holds_the_services_is_found() {
        let names: Vec<String> = ["filename", "k8s_pod", "app"].iter().map(|&name| name.to_owned()).collect();
        let order = candidates(&names);
        assert_eq!(order, ["app", "k8s_pod"]);
        let many: Vec<String> = (0..200).map(|i| format!("svc{i}-5f55b6cf68-77cfw")).collect();
        let values = BTreeMap::from([("app".to_owned(), vec!["collector".to_owned()]), ("k8s_pod".to_owned(), many)]);
        let selection = select(&order, &values, &set(&["svc3", "svc7"])).unwrap();
        assert_eq!(selection.selector, r#"{k8s_pod=~"svc3-5f55b6cf68-77cfw|svc7-5f55b6cf68-77cfw"}"#);
        assert_eq!(selection.left_out, 198);
        assert_eq!(select(&order, &BTreeMap::new(), &set(&["svc3"])), None);
    }

    #[test]
    fn few_streams_are_asked_whole() {
        let values = BTreeMap::from([("service_name".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
        let selection = select(&["service_name".to_owned()], &values, &set(&[])).unwrap();
        assert_eq!(selection.selector, r#"{service_name=~".+"}"#);
    }
}
