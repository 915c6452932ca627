//! Label sets, as Prometheus and Loki know them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::text::neutralise;

/// Name of the label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Labels that name the service an alert, series or stream belongs to, in the order in which they are trusted.
/// What a site uses in their place is discovered from its data; these are only where the search begins.
pub const SERVICE_LABELS: &[&str] = &[
    "service_name",
    "service",
    "app_kubernetes_io_name",
    "app",
    "application",
    "workload",
    "deployment",
    "statefulset",
    "daemonset",
    "k8s_deployment_name",
    "component",
    "container",
    "job",
];

/// A set of labels, sorted by name. Names and values are neutralised as [`super::Text`] is. Copies share their content:
/// a storm of alerts is copied from room to room, and each carries a dozen labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Labels(Arc<BTreeMap<String, String>>);

impl Labels {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `name`; `None` when absent or empty, which Prometheus treats alike.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Adds or replaces a label.
    pub fn insert(&mut self, name: &str, value: &str) {
        Arc::make_mut(&mut self.0).insert(neutralise(name).into_owned(), neutralise(value).into_owned());
    }

    /// Removes a label and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        if self.0.contains_key(name) { Arc::make_mut(&mut self.0).remove(name) } else { None }
    }

    /// All labels, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The metric's name, if this is a series.
    pub fn metric(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// The first of [`SERVICE_LABELS`] that is set.
    pub fn service(&self) -> Option<&str> {
        SERVICE_LABELS.iter().find_map(|name| self.get(name))
    }

    /// Whether every label of `self` stands in `other` with the same value.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.0.iter().all(|(name, value)| other.0.get(name) == Some(value))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let own = |text: &str| neutralise(text).into_owned();
        Self(Arc::new(pairs.into_iter().map(|(name, value)| (own(name.as_ref()), own(value.as_ref()))).collect()))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

/// Reads a JSON object into labels without building another map on the way.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            pairs.insert(neutralise_owned(name), neutralise_owned(value));
        }
        Ok(Labels(Arc::new(pairs)))
    }
}

/// The text itself where nothing in it has to be made visible.
fn neutralise_owned(text: String) -> String {
    let changed = match neutralise(&text) {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(changed) => Some(changed),
    };
    changed.unwrap_or(text)
}

/// The selector that matches exactly this set: `name{a="x",b="y"}`, values quoted as PromQL and LogQL read them.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric().unwrap_or_default())?;
        let mut rest = self.0.iter().filter(|(name, _)| *name != METRIC_NAME).peekable();
        if rest.peek().is_none() && self.metric().is_some() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in rest.enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{name}={}", quote(value))?;
        }
        f.write_str("}")
    }
}

/// A string literal of PromQL and LogQL.
pub fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_prints_as_its_selector() {
        let labels: Labels = [("__name__", "up"), ("job", "a\"b"), ("env", "x")].into_iter().collect();
        assert_eq!(labels.to_string(), r#"up{env="x",job="a\"b"}"#);
        assert_eq!(Labels::new().to_string(), "{}");
        let bare: Labels = [("__name__", "up")].into_iter().collect();
        assert_eq!(bare.to_string(), "up");
    }

    #[test]
    fn values_from_outside_are_neutralised() {
        let labels: Labels = serde_json::from_str(r#"{"pod":"a\u001b[31m"}"#).unwrap();
        assert_eq!(labels.get("pod"), Some("a‹U+001B›[31m"));
    }
}
