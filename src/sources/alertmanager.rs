//! Alertmanager, API v2. Fields unknown here are passed over: every version adds some.
//!
//! Source: <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::fingerprint::fingerprint;
use super::http::{Call, HttpClient};
use super::reply::Reply;
use super::samples::cut;
use super::{SourceError, SourceErrorKind, Telemetry};
use crate::domain::alert::{Alert, AlertGroup, AlertState, Silence, expression_of_link};
use crate::domain::change::null_as_default;
use crate::domain::labels::quote;
use crate::domain::query::{Answer, Data, Note, Query};
use crate::domain::settings::{Secrets, SourceSettings};
use crate::domain::text::neutralise;
use crate::domain::{Labels, Text, Timestamp};

/// An Alertmanager, or the one inside Mimir or Grafana.
pub struct Alertmanager {
    http: HttpClient,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAlert {
    #[serde(default)]
    fingerprint: String,
    #[serde(default)]
    labels: Labels,
    #[serde(default, deserialize_with = "null_as_default")]
    annotations: Labels,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    ends_at: String,
    #[serde(default, rename = "generatorURL", deserialize_with = "null_as_default")]
    generator_url: String,
    #[serde(default, deserialize_with = "null_as_default")]
    status: RawStatus,
    #[serde(default, deserialize_with = "null_as_default")]
    receivers: Vec<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawStatus {
    state: String,
    #[serde(deserialize_with = "null_as_default")]
    silenced_by: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    inhibited_by: Vec<String>,
    /// Since 0.28: names of mute intervals.
    #[serde(deserialize_with = "null_as_default")]
    muted_by: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct RawGroup {
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    receiver: Named,
    #[serde(default, deserialize_with = "null_as_default")]
    alerts: Vec<RawAlert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSilence {
    #[serde(default)]
    id: String,
    #[serde(default)]
    matchers: Vec<RawMatcher>,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    ends_at: String,
    #[serde(default)]
    created_by: Text,
    #[serde(default)]
    comment: Text,
    #[serde(default)]
    status: RawStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMatcher {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    /// Missing in versions before 0.22, which only knew equality.
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawServer {
    #[serde(default)]
    cluster: RawCluster,
    #[serde(default)]
    version_info: BTreeMap<String, String>,
    #[serde(default)]
    uptime: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawCluster {
    status: String,
    #[serde(deserialize_with = "null_as_default")]
    peers: Vec<serde::de::IgnoredAny>,
}

impl Alertmanager {
    /// A client. Fails when the settings cannot work; does not connect.
    pub fn new(name: &str, settings: &SourceSettings, secrets: Arc<dyn Secrets>) -> Result<Self, SourceError> {
        Ok(Self { http: HttpClient::new(name, settings, secrets)? })
    }

    async fn get<R, F>(&self, end_point: &[&str], read: F) -> Result<R, SourceError>
    where
        R: Send + 'static,
        F: FnOnce(&Reply) -> Result<R, SourceError> + Send + 'static,
    {
        let path: Vec<&str> = ["api", "v2"].into_iter().chain(end_point.iter().copied()).collect();
        let reply = self.http.send(&Call::get(&path, &[])).await?;
        reply.parse(move |reply| if reply.is_success() { read(reply) } else { Err(refusal(reply)) }).await
    }

    async fn answer(&self, query: &Query) -> Result<Answer, SourceError> {
        let limit = self.http.limits().alerts;
        match query {
            Query::Alerts => self.get(&["alerts"], move |reply| Ok(alerts_of(reply.json()?, limit))).await,
            Query::AlertGroups => {
                self.get(&["alerts", "groups"], |reply| Ok(Answer::new(Data::AlertGroups(groups_of(reply.json()?)))))
                    .await
            }
            Query::Silences => {
                self.get(&["silences"], |reply| Ok(Answer::new(Data::Silences(silences_of(reply.json()?))))).await
            }
            Query::AlertmanagerStatus => {
                self.get(&["status"], |reply| Ok(Answer::new(Data::Facts(facts_of(reply.json()?))))).await
            }
            _ => Err(super::unsupported(self.name(), query)),
        }
    }
}

impl Telemetry for Alertmanager {
    fn name(&self) -> &str {
        self.http.source()
    }

    fn answers(&self, query: &Query) -> bool {
        matches!(query, Query::Alerts | Query::AlertGroups | Query::Silences | Query::AlertmanagerStatus)
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>> {
        self.http.in_time(self.answer(query)).boxed()
    }
}

/// Errors come as `{code, message}` or as a bare JSON string.
fn refusal(reply: &Reply) -> SourceError {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Object { message: String },
        Word(String),
    }
    match serde_json::from_slice(&reply.body) {
        Ok(Shape::Object { message: said } | Shape::Word(said)) => {
            let refusal = reply.refusal(Some(&said));
            // A version before 0.16 knows only the first API, a later one answers 410 there.
            if reply.status.as_u16() == 422 {
                SourceError { kind: SourceErrorKind::BadQuestion, ..refusal }
            } else {
                refusal
            }
        }
        Err(_) => reply.refusal(None),
    }
}

fn alerts_of(raw: Vec<RawAlert>, limit: usize) -> Answer {
    let total = raw.len();
    let mut alerts: Vec<Alert> = raw.into_iter().take(limit).map(alert_of).collect();
    alerts.sort_by(|a, b| (a.starts_at, &a.fingerprint).cmp(&(b.starts_at, &b.fingerprint)));
    let notes: Vec<Note> = (total > limit)
        .then(|| cut(&format!("{limit} of {total} alerts are shown (limits.alerts)")))
        .into_iter()
        .collect();
    Answer { data: Data::Alerts(alerts), notes }
}

fn alert_of(raw: RawAlert) -> Alert {
    let clean = |word: &String| neutralise(word).into_owned();
    let status = raw.status;
    Alert {
        fingerprint: if raw.fingerprint.is_empty() { fingerprint(&raw.labels) } else { clean(&raw.fingerprint) },
        labels: raw.labels,
        annotations: raw.annotations,
        starts_at: Timestamp::parse_rfc3339(&raw.starts_at).unwrap_or_default(),
        ends_at: Timestamp::parse_rfc3339(&raw.ends_at),
        state: match status.state.as_str() {
            "suppressed" => AlertState::Suppressed,
            "unprocessed" => AlertState::Pending,
            "resolved" => AlertState::Resolved,
            _ => AlertState::Active,
        },
        suppressed_by: [&status.silenced_by, &status.inhibited_by, &status.muted_by]
            .into_iter()
            .flatten()
            .map(clean)
            .collect(),
        receivers: raw.receivers.iter().map(|receiver| clean(&receiver.name)).collect(),
        expression: expression_of_link(&raw.generator_url),
        generator_url: clean(&raw.generator_url),
    }
}

fn groups_of(raw: Vec<RawGroup>) -> Vec<AlertGroup> {
    let group = |raw: RawGroup| AlertGroup {
        labels: raw.labels,
        receiver: neutralise(&raw.receiver.name).into_owned(),
        fingerprints: raw.alerts.into_iter().map(|alert| alert_of(alert).fingerprint).collect(),
    };
    raw.into_iter().map(group).collect()
}

fn silences_of(raw: Vec<RawSilence>) -> Vec<Silence> {
    let silence = |raw: RawSilence| Silence {
        id: neutralise(&raw.id).into_owned(),
        matchers: raw.matchers.iter().map(matcher).collect(),
        starts_at: Timestamp::parse_rfc3339(&raw.starts_at).unwrap_or_default(),
        ends_at: Timestamp::parse_rfc3339(&raw.ends_at).unwrap_or_default(),
        created_by: raw.created_by,
        comment: raw.comment,
        state: neutralise(&raw.status.state).into_owned(),
    };
    raw.into_iter().map(silence).collect()
}

fn matcher(raw: &RawMatcher) -> String {
    let operator = match (raw.is_equal, raw.is_regex) {
        (true, false) => "=",
        (false, false) => "!=",
        (true, true) => "=~",
        (false, true) => "!~",
    };
    format!("{}{operator}{}", neutralise(&raw.name), quote(&neutralise(&raw.value)))
}

fn facts_of(raw: RawServer) -> BTreeMap<String, String> {
    let mut facts = raw.version_info;
    facts.insert("cluster".into(), raw.cluster.status);
    facts.insert("peers".into(), raw.cluster.peers.len().to_string());
    facts.insert("uptime".into(), raw.uptime);
    facts.into_iter().map(|(name, value)| (neutralise(&name).into_owned(), neutralise(&value).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_of_a_newer_version_is_read() {
        let json = r#"[{"annotations":{"summary":"s"},"endsAt":"2026-01-01T01:00:00.000Z","fingerprint":"6ac1","future":{"x":1},
            "receivers":[{"name":"team"}],"startsAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z",
            "status":{"inhibitedBy":["i"],"mutedBy":["night"],"silencedBy":["s"],"state":"suppressed"},
            "generatorURL":"http://p:9090/graph?g0.expr=up+%3D%3D+0%26%26%22%C3%A4%22&g0.tab=1","labels":{"alertname":"A"}}]"#;
        let answer = alerts_of(serde_json::from_str(json).unwrap(), 10);
        let Data::Alerts(alerts) = answer.data else { panic!("alerts expected") };
        assert_eq!(alerts[0].state, AlertState::Suppressed);
        assert_eq!(alerts[0].suppressed_by, ["s", "i", "night"]);
        assert_eq!(alerts[0].expression.as_deref(), Some("up == 0&&\"ä\""));
        assert_eq!(alerts[0].ends_at, Timestamp::parse_rfc3339("2026-01-01T01:00:00Z"));
    }

    #[test]
    fn alerts_beyond_the_limit_are_counted() {
        let json = format!("[{}]", [r#"{"labels":{"alertname":"A"}}"#; 5].join(","));
        let answer = alerts_of(serde_json::from_str(&json).unwrap(), 3);
        assert_eq!(answer.len(), 3);
        assert_eq!(answer.notes, [cut("3 of 5 alerts are shown (limits.alerts)")]);
    }

    #[test]
    fn matchers_print_as_they_are_written() {
        let silence = r#"[{"id":"1","matchers":[{"name":"a","value":"b\"c","isRegex":false,"isEqual":true},
            {"name":"a","value":"b.*","isRegex":true,"isEqual":false},{"name":"a","value":"b","isRegex":true}]}]"#;
        let silences = silences_of(serde_json::from_str(silence).unwrap());
        assert_eq!(silences[0].matchers, [r#"a="b\"c""#, r#"a!~"b.*""#, r#"a=~"b""#]);
    }
}
