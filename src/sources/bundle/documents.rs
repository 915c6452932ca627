//! The JSON documents of a bundle: manifest, alerts, rules, changes, runbooks.

use serde::{Deserialize, Serialize};

use super::BundleError;
use super::files::Files;
use crate::domain::alert::{Alert, AlertState, Rule, expression_of_link};
use crate::domain::change::{Change, null_as_default};
use crate::domain::snapshot::Runbook;
use crate::domain::text::neutralise;
use crate::domain::{Labels, Text, TimeRange, Timestamp};
use crate::sources::fingerprint::fingerprint;

/// The format this program writes, and reads.
pub const FORMAT: &str = "stanch-bundle/1";

/// `manifest.json`: what the bundle is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// A short name.
    pub name: Text,
    /// The time that is examined.
    pub window: TimeRange,
    /// The time it is compared with.
    pub baseline: TimeRange,
    /// Stretches in which other incidents were open: what was measured then says nothing about normal.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub spoiled: Vec<TimeRange>,
    /// Whatever a reader should know.
    #[serde(default, deserialize_with = "null_as_default")]
    pub note: Text,
}

#[derive(Deserialize)]
struct Version {
    format: String,
}

/// Reads the manifest of a bundle.
pub(super) fn manifest(files: &Files) -> Result<Manifest, BundleError> {
    const NAME: &str = "manifest.json";
    let bytes = files.document(NAME)?.ok_or_else(|| {
        files
            .error(NAME, "is missing: this is not a bundle")
            .advise("a bundle is a directory with manifest.json, alerts.json, metrics.om, logs.ndjson and changes.json")
    })?;
    // The version first: a later format may differ in everything else.
    let version: Version = parse(files, NAME, &bytes)?;
    if version.format != FORMAT {
        let found = neutralise(&version.format).into_owned();
        return Err(files
            .error(NAME, format!("has format `{found}`, and this program reads `{FORMAT}`"))
            .advise("use the version of stanch that wrote it"));
    }
    let manifest: Manifest = parse(files, NAME, &bytes)?;
    for (what, range) in [("window", manifest.window), ("baseline", manifest.baseline)] {
        if range.end <= range.start {
            return Err(files.error(NAME, format!("{what} {range} has its end before its start")));
        }
    }
    Ok(manifest)
}

/// Parses a document; an error names the place in it.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(files: &Files, file: &str, bytes: &[u8]) -> Result<T, BundleError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let fail = |error: &serde_json::Error, path: &str| {
        let place = if matches!(path, "" | ".") { String::new() } else { format!(" at `{}`", neutralise(path)) };
        files
            .error(file, format!("is not as expected{place}: {}", neutralise(&error.to_string())))
            .at_line(error.line() as u64)
    };
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| fail(error.inner(), &error.path().to_string()))?;
    deserializer.end().map_err(|error| fail(&error, ""))?;
    Ok(value)
}

/// Bytes of one runbook that are kept.
const MAX_RUNBOOK: usize = 64 << 10;

/// Reads `runbooks/TITLE.md`.
pub(super) fn markdown(files: &Files, name: &str) -> Result<Option<Runbook>, BundleError> {
    let Some(bytes) = files.document(name)? else { return Ok(None) };
    let title = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".md");
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_RUNBOOK)]);
    Ok(Some(Runbook { title: Text::new(title), text: Text::new(&text) }))
}

/// An alert in the form of Alertmanager's `GET /api/v2/alerts`, read leniently: other programs write bundles too.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiAlert {
    #[serde(default)]
    labels: Labels,
    #[serde(default, deserialize_with = "null_as_default")]
    annotations: Labels,
    starts_at: Timestamp,
    #[serde(default)]
    updated_at: Option<Timestamp>,
    #[serde(default)]
    ends_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "null_as_default")]
    fingerprint: String,
    #[serde(default, deserialize_with = "null_as_default")]
    receivers: Vec<ApiReceiver>,
    #[serde(default)]
    status: ApiStatus,
    #[serde(rename = "generatorURL", default, deserialize_with = "null_as_default")]
    generator_url: String,
    /// Not Alertmanager's: the rule's expression where the link does not carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ApiReceiver {
    name: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiStatus {
    #[serde(default, deserialize_with = "null_as_default")]
    state: String,
    #[serde(default, deserialize_with = "null_as_default")]
    silenced_by: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    inhibited_by: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    muted_by: Vec<String>,
}

impl From<ApiAlert> for Alert {
    fn from(api: ApiAlert) -> Self {
        let generator_url = neutralise(&api.generator_url).into_owned();
        let expression = api.expression.or_else(|| expression_of_link(&generator_url));
        let mut suppressed_by = api.status.silenced_by;
        suppressed_by.extend(api.status.inhibited_by);
        suppressed_by.extend(api.status.muted_by);
        let clean = |words: Vec<String>| words.iter().map(|word| neutralise(word).into_owned()).collect();
        Self {
            fingerprint: if api.fingerprint.is_empty() {
                fingerprint(&api.labels)
            } else {
                neutralise(&api.fingerprint).into_owned()
            },
            labels: api.labels,
            annotations: api.annotations,
            starts_at: api.starts_at,
            ends_at: api.ends_at,
            state: match api.status.state.as_str() {
                "suppressed" => AlertState::Suppressed,
                "unprocessed" | "pending" => AlertState::Pending,
                "resolved" => AlertState::Resolved,
                _ => AlertState::Active,
            },
            suppressed_by: clean(suppressed_by),
            receivers: clean(api.receivers.into_iter().map(|receiver| receiver.name).collect()),
            generator_url,
            expression: expression.map(|expression| neutralise(&expression).into_owned()),
        }
    }
}

impl From<&Alert> for ApiAlert {
    fn from(alert: &Alert) -> Self {
        let state = match alert.state {
            AlertState::Active => "active",
            AlertState::Suppressed => "suppressed",
            AlertState::Pending => "unprocessed",
            AlertState::Resolved => "resolved",
        };
        let from_link = expression_of_link(&alert.generator_url);
        Self {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            updated_at: Some(alert.starts_at),
            ends_at: alert.ends_at,
            fingerprint: alert.fingerprint.clone(),
            receivers: alert.receivers.iter().map(|name| ApiReceiver { name: name.clone() }).collect(),
            status: ApiStatus {
                state: state.into(),
                silenced_by: alert.suppressed_by.clone(),
                inhibited_by: Vec::new(),
                muted_by: Vec::new(),
            },
            generator_url: alert.generator_url.clone(),
            expression: alert.expression.clone().filter(|_| alert.expression != from_link),
        }
    }
}

/// Reads `rules.json`: Prometheus' `/api/v1/rules` answer, whole or only its `data` or `groups`.
pub(super) fn rules(files: &Files, bytes: &[u8]) -> Result<Vec<Rule>, BundleError> {
    let mut value: serde_json::Value = parse(files, "rules.json", bytes)?;
    for key in ["data", "groups"] {
        if let Some(inner) = value.get_mut(key) {
            value = inner.take();
        }
    }
    let groups: Vec<ApiGroup> = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        files.error(
            "rules.json",
            format!("is not as expected at `{}`: {}", neutralise(&path), neutralise(&error.inner().to_string())),
        )
    })?;
    Ok(groups
        .into_iter()
        .flat_map(|group| {
            let name = neutralise(&group.name).into_owned();
            group.rules.into_iter().map(move |rule| Rule {
                group: name.clone(),
                name: neutralise(&rule.name).into_owned(),
                alerting: rule.kind != "recording",
                expression: neutralise(&rule.query).into_owned(),
                for_seconds: rule.duration,
                labels: rule.labels,
                annotations: rule.annotations,
                last_error: Text::new(&rule.last_error),
            })
        })
        .collect())
}

/// `/api/v1/rules` of these rules, groups in the order of their first rule.
pub(super) fn rules_document(rules: &[Rule]) -> serde_json::Value {
    let mut groups: Vec<ApiGroup> = Vec::new();
    for rule in rules {
        let api = ApiRule {
            name: rule.name.clone(),
            kind: if rule.alerting { "alerting" } else { "recording" }.into(),
            query: rule.expression.clone(),
            duration: rule.for_seconds,
            labels: rule.labels.clone(),
            annotations: rule.annotations.clone(),
            last_error: rule.last_error.to_string(),
        };
        // Neighbours only, so that the order of the rules survives.
        match groups.last_mut() {
            Some(group) if group.name == rule.group => group.rules.push(api),
            _ => groups.push(ApiGroup { name: rule.group.clone(), rules: vec![api] }),
        }
    }
    serde_json::json!({"status": "success", "data": {"groups": groups}})
}

#[derive(Serialize, Deserialize)]
struct ApiGroup {
    #[serde(default)]
    name: String,
    #[serde(default)]
    rules: Vec<ApiRule>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiRule {
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    query: String,
    #[serde(default)]
    duration: f64,
    #[serde(default, deserialize_with = "null_as_default")]
    labels: Labels,
    #[serde(default, deserialize_with = "null_as_default")]
    annotations: Labels,
    #[serde(default, deserialize_with = "null_as_default")]
    last_error: String,
}

/// Makes the plain strings of changes harmless and sorts them by time.
pub(crate) fn settle_changes(changes: &mut [Change]) {
    for change in changes.iter_mut() {
        change.kind = neutralise(&change.kind).into_owned();
        change.service = neutralise(&change.service).into_owned();
    }
    changes.sort_by_key(|change| change.at);
}
