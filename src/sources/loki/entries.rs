//! Log entries as Loki writes them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::domain::change::null_as_default;
use crate::domain::log::LogEntry;
use crate::domain::{Labels, Text, Timestamp};

/// `data` of an answered log query.
#[derive(serde::Deserialize)]
pub(super) struct Streams {
    /// `streams`, or another type for a query that gives no entries.
    #[serde(default, rename = "resultType")]
    pub(super) result_type: String,
    #[serde(default, deserialize_with = "null_as_default")]
    result: Vec<Stream>,
}

#[derive(serde::Deserialize)]
struct Stream {
    #[serde(default)]
    stream: Labels,
    #[serde(default)]
    values: Vec<Value>,
}

/// `["<ns>", "<line>"]`, with the encoding flag `["<ns>", "<line>", {"structuredMetadata", "parsed"}]`.
struct Value {
    at: Timestamp,
    line: String,
    categories: Categories,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Categories {
    #[serde(deserialize_with = "null_as_default")]
    structured_metadata: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    parsed: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in nanoseconds and a line, both in quotes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let Nanos(at) = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let line = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                let categories = seq.next_element::<Option<Categories>>()?.flatten().unwrap_or_default();
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value { at, line, categories })
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

struct Nanos(Timestamp);

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Quoted;
        impl Visitor<'_> for Quoted {
            type Value = Nanos;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("nanoseconds since the epoch in quotes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Nanos, E> {
                let nanos = text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
                Ok(Nanos(Timestamp::from_nanos(nanos)))
            }
        }
        deserializer.deserialize_str(Quoted)
    }
}

/// What one page holds.
pub(super) struct Page {
    /// Entries, grouped by stream in the server's order.
    pub(super) entries: Vec<LogEntry>,
    /// Lines that were shortened.
    pub(super) shortened: usize,
}

impl Streams {
    /// The entries. A line longer than `line_bytes` is shortened, with the number of bytes left out at its end.
    /// Labels that a parser of the query found (`| json`) stand in the metadata, besides the structured ones.
    pub(super) fn page(self, line_bytes: usize) -> Page {
        let mut page = Page { entries: Vec::new(), shortened: 0 };
        for stream in self.result {
            let labels = Arc::new(stream.stream);
            for value in stream.values {
                let Value { at, mut line, categories } = value;
                if line.len() > line_bytes {
                    let whole = line.len();
                    line.truncate(line.floor_char_boundary(line_bytes));
                    line = format!("{line}… [{} bytes left out]", whole - line.len());
                    page.shortened += 1;
                }
                let mut metadata: Labels = categories.parsed.into_iter().collect();
                for (name, value) in categories.structured_metadata {
                    metadata.insert(&name, &value);
                }
                page.entries.push(LogEntry { at, labels: labels.clone(), line: Text::new(&line), metadata });
            }
        }
        page
    }
}
