//! What a Loki knows besides entries: labels, streams, volume, patterns, fields, its version.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Answer, Call, Data, Loki, QueryResult, SourceError, SourceErrorKind, TimeRange};
use crate::domain::change::null_as_default;
use crate::domain::query::Note;
use crate::domain::text::neutralise;
use crate::domain::{Labels, Text};
use crate::sources::build_info::build_info;
use crate::sources::samples::{Gathered, cut};

/// Label names or values that are kept.
const NAMES: usize = 50_000;
/// Streams asked for in a volume.
const VOLUMES: usize = 1_000;

#[derive(Deserialize)]
struct RawPattern {
    #[serde(default)]
    pattern: Text,
    #[serde(default, deserialize_with = "null_as_default")]
    samples: Vec<(i64, u64)>,
}

#[derive(Deserialize)]
struct RawFields {
    #[serde(default, deserialize_with = "null_as_default")]
    fields: Vec<RawField>,
}

#[derive(Deserialize)]
struct RawField {
    #[serde(default)]
    label: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    cardinality: u64,
}

impl Loki {
    /// Names or values of labels, sorted. The end points take one selector, so each is asked for.
    pub(super) async fn names(
        &self,
        end_point: &[&str],
        matchers: &[String],
        range: TimeRange,
    ) -> Result<Answer, SourceError> {
        let path: Vec<&str> = ["loki", "api", "v1"].into_iter().chain(end_point.iter().copied()).collect();
        let mut names = BTreeSet::new();
        let mut notes: Vec<Note> = Vec::new();
        let selectors: Vec<Option<&String>> =
            if matchers.is_empty() { vec![None] } else { matchers.iter().map(Some).collect() };
        for selector in selectors {
            let mut params = span(range);
            params.extend(selector.map(|selector| ("query", selector.clone())));
            let call = Call::get(&path, &params);
            // Loki leaves `data` out when there is nothing.
            let found = match self.fetch(&call, |names: Vec<String>| names).await {
                Ok((found, told)) => {
                    notes.extend(told);
                    found
                }
                Err(error) if error.what.ends_with("has no `data`") => Vec::new(),
                Err(error) => return Err(error),
            };
            names.extend(found.iter().map(|name| neutralise(name).into_owned()));
        }
        let total = names.len();
        if total > NAMES {
            notes.push(cut(&format!("{NAMES} of {total} names are shown")));
        }
        Ok(Answer { data: Data::Names(names.into_iter().take(NAMES).collect()), notes })
    }

    /// Label sets of streams, sorted.
    pub(super) async fn series(&self, matchers: &[String], range: TimeRange) -> Result<Answer, SourceError> {
        if matchers.is_empty() {
            let what = "streams are asked for without a selector";
            return Err(self.http.fault(SourceErrorKind::BadQuestion, what, ""));
        }
        let limit = self.http.limits().series;
        let mut params = span(range);
        params.extend(matchers.iter().map(|matcher| ("match[]", matcher.clone())));
        let call = Call::get(&["loki", "api", "v1", "series"], &params);
        let read = |sets: Option<Vec<Labels>>| {
            let mut sets = sets.unwrap_or_default();
            sets.sort();
            sets.dedup();
            sets
        };
        let (mut sets, mut notes) = self.fetch(&call, read).await?;
        if sets.len() > limit {
            notes.push(cut(&format!("{limit} of {} streams are shown (limits.series)", sets.len())));
            sets.truncate(limit);
        }
        Ok(Answer { data: Data::LabelSets(sets), notes })
    }

    /// Bytes by stream, most first.
    pub(super) async fn volume(&self, expr: &str, range: TimeRange) -> Result<Answer, SourceError> {
        let mut params = span(range);
        params.extend([("query", expr.to_owned()), ("limit", VOLUMES.to_string())]);
        let call = Call::get(&["loki", "api", "v1", "index", "volume"], &params);
        let (result, mut notes) = self.fetch(&call, |data: QueryResult| data.result).await?;
        if result.len() >= VOLUMES {
            notes.push(cut(&format!("the {VOLUMES} streams with most bytes are shown: there may be more")));
        }
        let mut gathered = Gathered::new(self.http.limits());
        let _ = gathered.add(result);
        let mut volumes: Vec<(Labels, u64)> = gathered
            .finish(false, &mut notes)
            .into_iter()
            .map(|series| (series.labels, series.samples.last().map_or(0, |sample| sample.value as u64)))
            .collect();
        volumes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(Answer { data: Data::Volumes(volumes), notes })
    }

    /// Patterns with their counts, most frequent first. Exists only where the pattern ingester runs.
    pub(super) async fn patterns(&self, expr: &str, range: TimeRange) -> Result<Answer, SourceError> {
        let mut params = span(range);
        params.push(("query", expr.to_owned()));
        let call = Call::get(&["loki", "api", "v1", "patterns"], &params);
        let read = |patterns: Option<Vec<RawPattern>>| {
            let count = |raw: RawPattern| {
                let total = raw.samples.iter().fold(0_u64, |sum, sample| sum.saturating_add(sample.1));
                (raw.pattern, total)
            };
            let mut counts: Vec<(Text, u64)> = patterns.unwrap_or_default().into_iter().map(count).collect();
            counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            counts
        };
        let (patterns, notes) = self.fetch(&call, read).await?;
        Ok(Answer { data: Data::Patterns(patterns), notes })
    }

    /// Fields found in the lines, sorted by name. Exists in Loki 3 only.
    pub(super) async fn detected_fields(&self, expr: &str, range: TimeRange) -> Result<Answer, SourceError> {
        let mut params = span(range);
        params.push(("query", expr.to_owned()));
        let reply = self.http.send(&Call::get(&["loki", "api", "v1", "detected_fields"], &params)).await?;
        if !reply.is_success() {
            return Err(reply.refusal(None));
        }
        let raw: RawFields = reply.json()?;
        let clean = |word: &str| neutralise(word).into_owned();
        let mut fields: Vec<(String, String, u64)> =
            raw.fields.iter().map(|field| (clean(&field.label), clean(&field.kind), field.cardinality)).collect();
        fields.sort();
        Ok(Answer::new(Data::Fields(fields)))
    }

    /// Version of the server.
    pub(super) async fn build_info(&self) -> Result<Answer, SourceError> {
        let reply = self.http.send(&Call::get(&["loki", "api", "v1", "status", "buildinfo"], &[])).await?;
        if reply.is_success() { build_info(&reply) } else { Err(reply.refusal(None)) }
    }
}

fn span(range: TimeRange) -> Vec<(&'static str, String)> {
    vec![("start", range.start.nanos().to_string()), ("end", range.end.nanos().to_string())]
}
