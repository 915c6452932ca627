//! What the answers until now tell.

use std::collections::BTreeMap;

use super::naming::{Catalogue, one_of};
use super::{Inquiry, MOST_FAMILIES, Role};
use crate::domain::alert::Rule;
use crate::domain::labels::SERVICE_LABELS;
use crate::domain::query::{Answer, Data};

impl Inquiry {
    pub(super) fn answer_of(&self, role: &Role) -> Option<&Answer> {
        self.slots.iter().find(|slot| slot.roles.contains(role)).and_then(|slot| slot.answer.as_ref())
    }

    pub(super) fn names(&self, role: &Role) -> Vec<String> {
        match self.answer_of(role).map(|answer| &answer.data) {
            Some(Data::Names(names)) => {
                let mut names = names.clone();
                names.sort();
                names.dedup();
                names
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn rules(&self) -> &[Rule] {
        match self.answer_of(&Role::Rules).map(|answer| &answer.data) {
            Some(Data::Rules(rules)) => rules,
            _ => &[],
        }
    }

    pub(super) fn catalogue(&self) -> Catalogue {
        Catalogue {
            names: self.names(&Role::MetricNames).into_iter().collect(),
            meta: match self.answer_of(&Role::Metadata).map(|answer| &answer.data) {
                Some(Data::Metadata(meta)) => meta.clone(),
                _ => BTreeMap::new(),
            },
            labels: self.names(&Role::MetricLabels).into_iter().collect(),
            counts: self.answer_of(&Role::Counts).map(counts_of).unwrap_or_default(),
            related: self.answer_of(&Role::Related).map(counts_of).unwrap_or_default().into_keys().collect(),
        }
    }
}

/// Labels of the metric store that may name services, most trusted first, few.
pub(super) fn service_labels(catalogue: &Catalogue) -> Vec<String> {
    SERVICE_LABELS
        .iter()
        .filter(|label| catalogue.labels.contains(**label))
        .take(6)
        .map(|&label| label.to_owned())
        .collect()
}

/// `count by (__name__) (…)` over the families' series; `None` when there are none.
pub(super) fn count_expression(catalogue: &Catalogue, families: &[String], matcher: &str) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for family in families.iter().take(MOST_FAMILIES) {
        for suffix in ["", "_bucket", "_count", "_sum"] {
            let name = format!("{family}{suffix}");
            if catalogue.names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let names = one_of("__name__", names.iter().map(String::as_str));
    let comma = if matcher.is_empty() { "" } else { "," };
    Some(format!("count by (__name__) ({{{names}{comma}{matcher}}})"))
}

pub(super) fn counts_of(answer: &Answer) -> BTreeMap<String, usize> {
    let Data::Series(series) = &answer.data else { return BTreeMap::new() };
    series
        .iter()
        .filter_map(|one| {
            let name = one.labels.metric()?;
            let value = one.samples.last()?.value;
            (value.is_finite() && value >= 0.0).then(|| (name.to_owned(), value as usize))
        })
        .collect()
}
