//! What a Prometheus knows besides samples: rules, alerts, targets, metadata, labels, its version.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Call, Prometheus, SourceError, SourceErrorKind, seconds};
use crate::domain::alert::{Alert, AlertState, Rule};
use crate::domain::metric::{MetricKind, MetricMeta, Target};
use crate::domain::query::{Answer, Data, Note};
use crate::domain::text::neutralise;
use crate::domain::{Labels, Text, TimeRange, Timestamp};
use crate::sources::build_info::build_info;
use crate::sources::fingerprint::fingerprint;
use crate::sources::samples::cut;

/// Names or values of a label that are kept: a large server has about ten thousand metric names.
const NAMES: usize = 50_000;

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    name: String,
    #[serde(default)]
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
struct RawRule {
    #[serde(default)]
    name: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    #[serde(default, rename = "lastError")]
    last_error: Text,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    alerts: Vec<RawAlert>,
}

#[derive(Deserialize)]
struct RawAlert {
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    #[serde(default)]
    state: String,
    #[serde(default, rename = "activeAt")]
    active_at: String,
}

#[derive(Deserialize)]
struct Targets {
    #[serde(default, rename = "activeTargets")]
    active: Vec<RawTarget>,
}

#[derive(Deserialize)]
struct RawTarget {
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    health: String,
    #[serde(default, rename = "lastError")]
    last_error: Text,
    #[serde(default, rename = "lastScrape")]
    last_scrape: String,
}

#[derive(Deserialize)]
struct RawMeta {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    help: Text,
    #[serde(default)]
    unit: String,
}

impl Prometheus {
    /// Rules, in the order of their groups.
    pub(super) async fn rules(&self) -> Result<Answer, SourceError> {
        let call = Call::get(&["api", "v1", "rules"], &[]);
        let (rules, notes) = self.fetch(call, |groups: Groups, _| rules_of(groups)).await?;
        Ok(Answer { data: Data::Rules(rules), notes })
    }

    /// Alerts, taken from the rules that fire them: `/api/v1/alerts` does not name the expression.
    pub(super) async fn alerts(&self) -> Result<Answer, SourceError> {
        let limit = self.http.limits().alerts;
        let params = [("type", "alert".to_owned())];
        let call = Call::get(&["api", "v1", "rules"], &params);
        let (alerts, notes) = self.fetch(call, move |groups: Groups, notes| alerts_of(groups, limit, notes)).await?;
        Ok(Answer { data: Data::Alerts(alerts), notes })
    }

    /// Active targets.
    pub(super) async fn targets(&self) -> Result<Answer, SourceError> {
        let params = [("state", "active".to_owned())];
        let call = Call::get(&["api", "v1", "targets"], &params);
        let (targets, notes) = self.fetch(call, |targets: Targets, _| targets_of(targets)).await?;
        Ok(Answer { data: Data::Targets(targets), notes })
    }

    /// Metadata; of a metric with several, the first that names a type.
    pub(super) async fn metadata(&self) -> Result<Answer, SourceError> {
        let call = Call::get(&["api", "v1", "metadata"], &[]);
        let read = |all: BTreeMap<String, Vec<RawMeta>>, _: &mut Vec<Note>| metadata_of(all);
        let (metadata, notes) = self.fetch(call, read).await?;
        Ok(Answer { data: Data::Metadata(metadata), notes })
    }

    /// Version of the server.
    pub(super) async fn build_info(&self) -> Result<Answer, SourceError> {
        let reply = self.http.send(&Call::get(&["api", "v1", "status", "buildinfo"], &[])).await?;
        if !reply.is_success() {
            return Err(super::refusal(&reply));
        }
        build_info(&reply)
    }

    /// Names of labels, sorted.
    pub(super) async fn label_names(&self, matchers: &[String], range: TimeRange) -> Result<Answer, SourceError> {
        let params = selection(matchers, range, NAMES);
        let call = Call { path: &["api", "v1", "labels"], params: &params, form: true, headers: &[], json: None };
        let (names, notes) = self.fetch(call, names_of).await?;
        Ok(Answer { data: Data::Names(names), notes })
    }

    /// Values of a label, sorted.
    pub(super) async fn label_values(
        &self,
        label: &str,
        matchers: &[String],
        range: TimeRange,
    ) -> Result<Answer, SourceError> {
        let params = selection(matchers, range, NAMES);
        let (values, notes) =
            self.fetch(Call::get(&["api", "v1", "label", label, "values"], &params), names_of).await?;
        Ok(Answer { data: Data::Names(values), notes })
    }

    /// Label sets of series, sorted.
    pub(super) async fn series(&self, matchers: &[String], range: TimeRange) -> Result<Answer, SourceError> {
        if matchers.is_empty() {
            return Err(self.http.fault(SourceErrorKind::BadQuestion, "series are asked for without a selector", ""));
        }
        let limit = self.http.limits().series;
        let params = selection(matchers, range, limit);
        let call = Call { path: &["api", "v1", "series"], params: &params, form: true, headers: &[], json: None };
        let read = move |mut sets: Vec<Labels>, notes: &mut Vec<Note>| {
            sets.sort();
            sets.dedup();
            bound(&mut sets, limit, "label sets", notes);
            sets
        };
        let (sets, notes) = self.fetch(call, read).await?;
        Ok(Answer { data: Data::LabelSets(sets), notes })
    }
}

fn selection(matchers: &[String], range: TimeRange, limit: usize) -> Vec<(&'static str, String)> {
    let mut params: Vec<_> = matchers.iter().map(|matcher| ("match[]", matcher.clone())).collect();
    params.push(("start", seconds(range.start)));
    params.push(("end", seconds(range.end)));
    // One more than is kept, so that a cut is noticed; servers before 3 ignore it.
    params.push(("limit", (limit + 1).to_string()));
    params
}

fn names_of(mut names: Vec<String>, notes: &mut Vec<Note>) -> Vec<String> {
    for name in &mut names {
        *name = neutralise(name).into_owned();
    }
    names.sort();
    names.dedup();
    bound(&mut names, NAMES, "names", notes);
    names
}

fn bound<T>(items: &mut Vec<T>, limit: usize, what: &str, notes: &mut Vec<Note>) {
    if items.len() > limit {
        notes.push(cut(&format!("{limit} of at least {} {what} are shown", items.len())));
        items.truncate(limit);
    }
}

fn rules_of(groups: Groups) -> Vec<Rule> {
    let mut rules = Vec::new();
    for group in groups.groups {
        for rule in group.rules {
            rules.push(Rule {
                group: neutralise(&group.name).into_owned(),
                name: neutralise(&rule.name).into_owned(),
                alerting: rule.kind == "alerting",
                expression: neutralise(&rule.query).into_owned(),
                for_seconds: rule.duration,
                labels: rule.labels,
                annotations: rule.annotations,
                last_error: rule.last_error,
            });
        }
    }
    rules
}

fn alerts_of(groups: Groups, limit: usize, notes: &mut Vec<Note>) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut total = 0;
    for rule in groups.groups.into_iter().flat_map(|group| group.rules) {
        for alert in rule.alerts {
            total += 1;
            if alerts.len() >= limit {
                continue;
            }
            alerts.push(Alert {
                fingerprint: fingerprint(&alert.labels),
                labels: alert.labels,
                annotations: alert.annotations,
                starts_at: Timestamp::parse_rfc3339(&alert.active_at).unwrap_or_default(),
                ends_at: None,
                state: if alert.state == "firing" { AlertState::Active } else { AlertState::Pending },
                suppressed_by: Vec::new(),
                receivers: Vec::new(),
                generator_url: String::new(),
                expression: Some(neutralise(&rule.query).into_owned()),
            });
        }
    }
    if total > limit {
        notes.push(cut(&format!("{limit} of {total} alerts are shown (limits.alerts)")));
    }
    alerts
}

fn targets_of(targets: Targets) -> Vec<Target> {
    let target = |raw: RawTarget| Target {
        labels: raw.labels,
        health: neutralise(&raw.health).into_owned(),
        last_error: raw.last_error,
        // A target that was never scraped has the year 1 here.
        last_scrape: Timestamp::parse_rfc3339(&raw.last_scrape),
    };
    targets.active.into_iter().map(target).collect()
}

fn metadata_of(all: BTreeMap<String, Vec<RawMeta>>) -> BTreeMap<String, MetricMeta> {
    let first = |entries: Vec<RawMeta>| {
        let mut metas: Vec<MetricMeta> = entries
            .into_iter()
            .map(|raw| MetricMeta { kind: kind(&raw.kind), help: raw.help, unit: neutralise(&raw.unit).into_owned() })
            .collect();
        let at = metas.iter().position(|meta| meta.kind != MetricKind::Unknown).unwrap_or(0);
        if metas.is_empty() { MetricMeta::default() } else { metas.swap_remove(at) }
    };
    all.into_iter().map(|(name, entries)| (neutralise(&name).into_owned(), first(entries))).collect()
}

/// A metric's type by its word in metadata and expositions.
pub(in crate::sources) fn kind(word: &str) -> MetricKind {
    match word {
        "counter" => MetricKind::Counter,
        "gauge" | "info" | "stateset" => MetricKind::Gauge,
        "histogram" | "gaugehistogram" => MetricKind::Histogram,
        "summary" => MetricKind::Summary,
        _ => MetricKind::Unknown,
    }
}
