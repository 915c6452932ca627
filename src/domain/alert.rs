//! Alerts, rules and silences.

use serde::{Deserialize, Serialize};

use super::text::neutralise;
use super::{Labels, Text, Timestamp};

/// Labels that say how bad an alert is, in the order in which they are trusted.
pub const SEVERITY_LABELS: &[&str] = &["severity", "priority", "level"];

/// How bad, from the `severity` label. Ordered: `Unknown < Info < Warning < Critical`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No label, or a word we do not know.
    #[default]
    Unknown,
    /// For information.
    Info,
    /// Somebody should look today.
    Warning,
    /// Somebody is paged.
    Critical,
}

impl Severity {
    /// Reads the words that sites use: `critical`, `page`, `sev1`, `P1`, `error`, `high`, …
    pub fn from_label(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "critical" | "crit" | "page" | "fatal" | "emergency" | "disaster" | "sev0" | "sev1" | "sev-1" | "p0"
            | "p1" | "1" => Self::Critical,
            "error" | "high" | "major" | "warning" | "warn" | "medium" | "sev2" | "sev3" | "p2" | "p3" | "ticket"
            | "2" | "3" => Self::Warning,
            "info" | "information" | "informational" | "notice" | "low" | "minor" | "none" | "debug" | "p4" | "p5" => {
                Self::Info
            }
            _ => Self::Unknown,
        }
    }

    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Firing.
    #[default]
    Active,
    /// Firing but silenced, inhibited or muted.
    Suppressed,
    /// Known to Alertmanager, not yet processed; or pending in Prometheus.
    Pending,
    /// Over.
    Resolved,
}

/// One alert as Alertmanager or Prometheus holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Alertmanager's fingerprint; computed from the labels when the source has none.
    pub fingerprint: String,
    /// All labels, `alertname` included.
    pub labels: Labels,
    /// Annotations: summary, description, runbook.
    pub annotations: Labels,
    /// When it began to fire.
    pub starts_at: Timestamp,
    /// When it will be, or was, resolved. A firing alert's lies in the future of the source.
    pub ends_at: Option<Timestamp>,
    /// State as of the answer.
    pub state: AlertState,
    /// Ids of the silences and inhibiting alerts, names of the mute intervals that suppress it.
    pub suppressed_by: Vec<String>,
    /// Receivers it is routed to.
    pub receivers: Vec<String>,
    /// Link to the expression browser of the Prometheus that fired it; may be empty.
    pub generator_url: String,
    /// The rule's expression, from the link or from the rules API.
    pub expression: Option<String>,
}

impl Alert {
    /// The `alertname` label, or `alert` when it is missing.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").unwrap_or("alert")
    }

    /// From the `severity` label, or `priority` or `level` where sites use those.
    pub fn severity(&self) -> Severity {
        SEVERITY_LABELS.iter().find_map(|name| self.labels.get(name)).map_or(Severity::Unknown, Severity::from_label)
    }

    /// The summary annotation, or the best substitute.
    pub fn summary(&self) -> &str {
        ["summary", "message", "title", "description"]
            .iter()
            .find_map(|name| self.annotations.get(name))
            .unwrap_or_else(|| self.name())
    }
}

/// The expression in a link to an expression browser: `…/graph?g0.expr=…` as Prometheus writes it, `…?expr=…` as
/// VictoriaMetrics does. Decoded as forms are (WHATWG URL, `application/x-www-form-urlencoded`): an escape that is none
/// stays as it stands. `None` when there is none.
pub fn expression_of_link(link: &str) -> Option<String> {
    let (_, query) = link.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    ["g0.expr", "expr"].into_iter().find_map(|key| {
        let raw = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))?;
        let text = form_decoded(raw);
        let text = text.trim();
        (!text.is_empty()).then(|| neutralise(text).into_owned())
    })
}

fn form_decoded(raw: &str) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
                bytes.push(digit(*high) << 4 | digit(*low));
                rest = tail;
            }
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An alerting or recording rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Group the rule belongs to.
    pub group: String,
    /// Alert name, or the recorded metric.
    pub name: String,
    /// Whether it is an alerting rule.
    pub alerting: bool,
    /// The PromQL expression.
    pub expression: String,
    /// `for` in seconds.
    pub for_seconds: f64,
    /// Static labels.
    pub labels: Labels,
    /// Static annotations.
    pub annotations: Labels,
    /// Last evaluation error, empty if none.
    pub last_error: Text,
}

/// A group of alerts as Alertmanager routes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertGroup {
    /// The labels the group is grouped by.
    pub labels: Labels,
    /// Receiver's name.
    pub receiver: String,
    /// Fingerprints of its alerts.
    pub fingerprints: Vec<String>,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Alertmanager's id.
    pub id: String,
    /// Matchers in PromQL notation.
    pub matchers: Vec<String>,
    /// Begin.
    pub starts_at: Timestamp,
    /// End.
    pub ends_at: Timestamp,
    /// Who made it.
    pub created_by: Text,
    /// Why.
    pub comment: Text,
    /// `active`, `pending` or `expired`.
    pub state: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_of_an_alert_carries_its_expression() {
        let url = "http://p/graph?g0.expr=lat%7Bservice%3D%22a%22%7D+%3E%200&g0.tab=1";
        assert_eq!(expression_of_link(url).as_deref(), Some(r#"lat{service="a"} > 0"#));
        assert_eq!(expression_of_link("/graph?g0.expr=%C3%A4%zz%4#x").as_deref(), Some("ä%zz%4"));
        assert_eq!(expression_of_link("/vmui?g0.tab=1&expr=up").as_deref(), Some("up"));
        assert_eq!(expression_of_link("/graph?g0.expr=%1b%5b31m").as_deref(), Some("‹U+001B›[31m"));
    }

    #[test]
    fn a_link_without_an_expression_gives_none() {
        for link in ["", "http://p/graph", "http://p/graph?g0.tab=1", "g0.expr=up", "::?", "http://p/graph?g0.expr="] {
            assert_eq!(expression_of_link(link), None, "{link}");
        }
    }
}
