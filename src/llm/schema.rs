//! Shapes of answers: a small part of JSON Schema that all servers enforce alike, with properties in a fixed order.
//!
//! The order matters: a model writes the properties in the order of the schema, so reasoning stands before verdict.
//! Every property is required and no other is allowed; what may be missing is nullable.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

/// A shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// An object with exactly these properties.
    Object(Vec<(&'static str, Schema)>),
    /// A list.
    Array(Box<Schema>),
    /// A list of so many items at most. What is beyond is no problem of the shape: whoever reads it drops it.
    List(usize, Box<Schema>),
    /// A text.
    String,
    /// A whole number from 0 to 4294967295.
    Integer,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The shape, or null.
    Nullable(Box<Schema>),
    /// One of several shapes.
    AnyOf(Vec<Schema>),
}

/// Problems reported at most: enough to see what is wrong, few enough to send back.
const PROBLEMS: usize = 20;

impl Schema {
    /// What is wrong with `value`, each with its path (`hypotheses[0].confidence`); empty when it has the shape.
    pub fn problems(&self, value: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        self.visit(value, "", &mut problems);
        problems
    }

    /// The same without bounds of lists, for servers that refuse them.
    #[must_use]
    pub fn unbounded(&self) -> Self {
        let within = |schema: &Self| Box::new(schema.unbounded());
        match self {
            Self::Object(properties) => {
                Self::Object(properties.iter().map(|(name, schema)| (*name, schema.unbounded())).collect())
            }
            Self::Array(items) | Self::List(_, items) => Self::Array(within(items)),
            Self::Nullable(schema) => Self::Nullable(within(schema)),
            Self::AnyOf(schemas) => Self::AnyOf(schemas.iter().map(Self::unbounded).collect()),
            Self::String | Self::Integer | Self::Word(_) => self.clone(),
        }
    }

    fn visit(&self, value: &Value, path: &str, problems: &mut Vec<String>) {
        if problems.len() >= PROBLEMS {
            return;
        }
        let mut wrong = |what: &str| {
            let path = if path.is_empty() { "the answer" } else { path };
            problems.push(format!("{path} {what}"));
        };
        match (self, value) {
            (Self::Object(properties), Value::Object(map)) => {
                for key in map.keys() {
                    if !properties.iter().any(|(name, _)| name == key) {
                        wrong(&format!("has the unknown property `{}`", crate::domain::text::neutralise(key)));
                    }
                }
                for (name, schema) in properties {
                    let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
                    match map.get(*name) {
                        Some(value) => schema.visit(value, &path, problems),
                        None => problems.push(format!("{path} is missing")),
                    }
                }
            }
            (Self::Array(schema) | Self::List(_, schema), Value::Array(items)) => {
                for (i, item) in items.iter().enumerate() {
                    schema.visit(item, &format!("{path}[{i}]"), problems);
                }
            }
            (Self::Integer, Value::Number(number)) if number.as_u64().is_some_and(|n| u32::try_from(n).is_ok()) => {}
            (Self::Word(words), Value::String(word)) => {
                if !words.contains(&word.as_str()) {
                    wrong(&format!("must be one of {}", words.join(", ")));
                }
            }
            (Self::String, Value::String(_)) | (Self::Nullable(_), Value::Null) => {}
            (Self::Nullable(schema), value) => schema.visit(value, path, problems),
            (Self::AnyOf(schemas), value) => {
                // The alternative that fits best tells what is missing.
                let best = schemas.iter().map(|schema| schema.problems(value)).min_by_key(Vec::len).unwrap_or_default();
                for problem in best {
                    let rest = problem.strip_prefix("the answer").unwrap_or(&problem);
                    let dot = if rest.starts_with(' ') { "" } else { "." };
                    problems.push(format!("{path}{dot}{rest}"));
                }
            }
            (Self::Object(_), _) => wrong("must be an object"),
            (Self::Array(_) | Self::List(..), _) => wrong("must be a list"),
            (Self::String | Self::Word(_), _) => wrong("must be a text"),
            (Self::Integer, _) => wrong("must be a whole number from 0 to 4294967295"),
        }
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Properties<'a>(&'a [(&'static str, Schema)]);
        impl Serialize for Properties<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(name, schema)| (name, schema)))
            }
        }
        struct Null;
        impl Serialize for Null {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("type", "null")?;
                map.end()
            }
        }
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Object(properties) => {
                map.serialize_entry("type", "object")?;
                map.serialize_entry("properties", &Properties(properties))?;
                map.serialize_entry("required", &properties.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
                map.serialize_entry("additionalProperties", &false)?;
            }
            Self::Array(items) => {
                map.serialize_entry("type", "array")?;
                map.serialize_entry("items", items)?;
            }
            Self::List(most, items) => {
                map.serialize_entry("type", "array")?;
                map.serialize_entry("items", items)?;
                map.serialize_entry("maxItems", most)?;
            }
            Self::String => map.serialize_entry("type", "string")?,
            Self::Integer => map.serialize_entry("type", "integer")?,
            Self::Word(words) => {
                map.serialize_entry("type", "string")?;
                map.serialize_entry("enum", words)?;
            }
            Self::Nullable(schema) => {
                let alternatives: (&Self, Null) = (schema, Null);
                map.serialize_entry("anyOf", &alternatives)?;
            }
            Self::AnyOf(schemas) => map.serialize_entry("anyOf", schemas)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape() -> Schema {
        Schema::Object(vec![
            ("why", Schema::String),
            ("count", Schema::Nullable(Box::new(Schema::Integer))),
            ("items", Schema::Array(Box::new(Schema::Word(&["a", "b"])))),
        ])
    }

    #[test]
    fn properties_keep_their_order() {
        assert_eq!(
            serde_json::to_string(&shape()).unwrap(),
            r#"{"type":"object","properties":{"why":{"type":"string"},"count":{"anyOf":[{"type":"integer"},{"type":"null"}]},"items":{"type":"array","items":{"type":"string","enum":["a","b"]}}},"required":["why","count","items"],"additionalProperties":false}"#
        );
    }

    #[test]
    fn problems_name_their_place() {
        assert!(shape().problems(&json!({"why": "", "count": null, "items": ["a"]})).is_empty());
        assert_eq!(
            shape().problems(&json!({"count": -1, "items": ["c"], "more": 1})),
            [
                "the answer has the unknown property `more`",
                "why is missing",
                "count must be a whole number from 0 to 4294967295",
                "items[0] must be one of a, b"
            ]
        );
        assert_eq!(shape().problems(&json!([])), ["the answer must be an object"]);
    }
}
