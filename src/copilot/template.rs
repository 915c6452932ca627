//! Text with placeholders, as playbooks write it: `{{ service }}`, `{% if change %} … {% endif %}`.
//!
//! Values come from telemetry. They are put in as data and never read as template text.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Deserializer};

use crate::domain::labels::quote;

/// Everything a playbook may name, with what it means.
pub(super) const PLACEHOLDERS: &[(&str, &str)] = &[
    ("service", "the suspected service"),
    ("namespace", "its Kubernetes namespace, from labels"),
    ("workload", "kind and name as kubectl takes them, `deployment/payments`"),
    ("pod", "one of its pods that shows a signal"),
    ("node", "the node, from labels"),
    ("metric", "name of the strongest matching metric"),
    ("expr", "the exact PromQL that produced it"),
    ("stream", "the LogQL that found the strongest matching log template"),
    ("template", "the strongest matching log template"),
    ("change", "kind and reference of the strongest matching change"),
    ("change_at", "when it took effect, time of day in UTC"),
    ("peer", "the other side of the strongest matching edge"),
    ("app_label", "name of the label that holds the service's name"),
    ("evidence", "ids of the matching evidence"),
];

/// Values of placeholders; those that are not known are absent.
pub(super) type Values = BTreeMap<&'static str, String>;

/// A checked template.
#[derive(Debug, Clone)]
pub(super) struct Template {
    source: String,
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // A string literal of PromQL and LogQL, so that a value cannot end it.
    environment.add_filter("quote", |value: String| quote(&value));
    environment
}

impl Template {
    /// Fills in the values. `Err` names a placeholder that is not known.
    pub(super) fn render(&self, values: &Values) -> Result<String, String> {
        let environment = environment();
        let context = Value::from_pairs(values.iter().map(|(name, value)| (*name, value.as_str())));
        let rendered = environment
            .template_from_str(&self.source)
            .and_then(|template| template.render(context))
            .map_err(|error| self.first_unknown(values).unwrap_or_else(|| error.to_string()))?;
        Ok(rendered.trim().to_owned())
    }

    /// The first placeholder, in the order of the table, that is named and not known.
    fn first_unknown(&self, values: &Values) -> Option<String> {
        let environment = environment();
        let named = environment.template_from_str(&self.source).ok()?.undeclared_variables(false);
        PLACEHOLDERS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| named.contains(*name) && !values.contains_key(name))
            .map(str::to_owned)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let source = String::deserialize(deserializer)?;
        let environment = environment();
        let template = environment
            .template_from_str(&source)
            .map_err(|error| D::Error::custom(format!("`{source}` is not a template: {error}")))?;
        let mut unknown: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !PLACEHOLDERS.iter().any(|(known, _)| known == name))
            .collect();
        unknown.sort();
        if let Some(name) = unknown.first() {
            let near = PLACEHOLDERS
                .iter()
                .map(|(known, _)| *known)
                .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)))
                .unwrap_or_default();
            return Err(D::Error::custom(format!(
                "unknown placeholder `{name}` in `{source}`; did you mean `{near}`?"
            )));
        }
        Ok(Self { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        t: Template,
    }

    fn template(text: &str) -> Template {
        toml::from_str::<Holder>(&format!("t = '''{text}'''")).unwrap().t
    }

    #[test]
    fn values_are_data() {
        let values: Values = [("service", "{{ namespace }}\"}".to_owned())].into();
        assert_eq!(template("up{job={{ service|quote }}}").render(&values).unwrap(), r#"up{job="{{ namespace }}\"}"}"#);
    }

    #[test]
    fn an_unknown_value_is_named_and_may_be_asked_for() {
        let values: Values = [("service", "payments".to_owned())].into();
        assert_eq!(template("-n {{ namespace }}").render(&values).unwrap_err(), "namespace");
        assert_eq!(
            template("{{ service }} broke{% if change %} after {{ change }}{% endif %}").render(&values).unwrap(),
            "payments broke"
        );
    }
}
