//! Citable items of proof.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::alert::Alert;
use super::change::Change;
use super::log::LogEntry;
use super::metric::{Sample, float_text};
use super::snapshot::Provenance;
use super::{Labels, Text, Timestamp};

/// Kind of an evidence item; its letter begins the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// `A`: an alert.
    Alert,
    /// `M`: a metric.
    Metric,
    /// `L`: a log template.
    Log,
    /// `E`: an edge between two services.
    Edge,
    /// `C`: a change.
    Change,
    /// `R`: a runbook.
    Runbook,
    /// `Q`: the answer to a query asked on the way.
    Query,
}

impl EvidenceKind {
    /// All kinds in the order of a pack.
    pub const ALL: [Self; 7] =
        [Self::Alert, Self::Metric, Self::Log, Self::Edge, Self::Change, Self::Runbook, Self::Query];

    /// The letter of its ids.
    pub const fn letter(self) -> char {
        match self {
            Self::Alert => 'A',
            Self::Metric => 'M',
            Self::Log => 'L',
            Self::Edge => 'E',
            Self::Change => 'C',
            Self::Runbook => 'R',
            Self::Query => 'Q',
        }
    }

    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Metric => "metric",
            Self::Log => "log",
            Self::Edge => "edge",
            Self::Change => "change",
            Self::Runbook => "runbook",
            Self::Query => "query",
        }
    }
}

/// Id of an evidence item, unique within an incident: `M3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvidenceId {
    /// Kind.
    pub kind: EvidenceKind,
    /// Number, from 1.
    pub number: u32,
}

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", self.kind.letter(), self.number))
    }
}

impl FromStr for EvidenceId {
    type Err = ();
    /// Accepts `M3`, `m3` and `[M3]`; nothing else.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let mut chars = text.chars();
        let letter = chars.next().ok_or(())?.to_ascii_uppercase();
        let kind = EvidenceKind::ALL.into_iter().find(|kind| kind.letter() == letter).ok_or(())?;
        let digits = chars.as_str();
        if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(());
        }
        Ok(Self { kind, number: digits.parse().map_err(|_| ())? })
    }
}

impl Serialize for EvidenceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EvidenceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom(format!("`{text}` is not an evidence id")))
    }
}

/// One citable item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its id.
    pub id: EvidenceId,
    /// The service it speaks about; for an edge the suspected side. `None` when it names none.
    pub service: Option<String>,
    /// One line for lists.
    pub title: Text,
    /// How much it deviates, 0 to 1, comparable between kinds.
    pub strength: f64,
    /// When the deviation began, if known.
    pub onset: Option<Timestamp>,
    /// What it holds.
    pub detail: Detail,
    /// Where it came from.
    pub provenance: Provenance,
}

/// The content of an evidence item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Detail {
    /// An alert.
    Alert(Box<Alert>),
    /// A series compared with its baseline.
    Metric(MetricDetail),
    /// A log template compared with its baseline.
    Log(LogDetail),
    /// An edge of the service graph compared with its baseline.
    Edge(EdgeDetail),
    /// A change.
    Change(Box<Change>),
    /// A runbook.
    Runbook {
        /// Its text.
        text: Text,
    },
    /// An answered question.
    Query {
        /// The answer, reduced to statistics.
        text: Text,
    },
}

/// Which way a series went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// Above its baseline.
    Up,
    /// Below its baseline.
    Down,
    /// Samples ceased.
    Absent,
    /// Within its baseline.
    Flat,
}

/// A series compared with its baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricDetail {
    /// The metric, or the expression when it has no one name.
    pub metric: String,
    /// Labels that tell the series from its siblings.
    pub labels: Labels,
    /// Unit for people: `s`, `B`, `/s`, `%` or empty.
    pub unit: String,
    /// Baseline statistics.
    pub baseline: Band,
    /// The value that deviates most inside the window.
    #[serde(with = "float_text")]
    pub peak: f64,
    /// The last value inside the window.
    #[serde(with = "float_text")]
    pub last: f64,
    /// Which way it went.
    pub turn: Turn,
    /// Robust score: distance from the baseline's median in floored MADs, signed.
    #[serde(with = "float_text")]
    pub score: f64,
    /// Samples of baseline and window for the chart, bounded in number.
    pub samples: Vec<Sample>,
}

/// The normal range of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Smallest value (5th percentile where there are enough samples).
    #[serde(with = "float_text")]
    pub low: f64,
    /// Median.
    #[serde(with = "float_text")]
    pub median: f64,
    /// Largest value (95th percentile where there are enough samples).
    #[serde(with = "float_text")]
    pub high: f64,
    /// Number of samples behind it.
    pub count: usize,
}

/// How the count of a log template changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogChange {
    /// Never seen in the baseline.
    New,
    /// Seen in the baseline, gone from the window.
    Vanished,
    /// Significantly more often.
    More,
    /// Significantly less often.
    Fewer,
}

/// A log template compared with its baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogDetail {
    /// The template, variable parts as `<*>`.
    pub template: Text,
    /// How it changed; `None` when it did not.
    pub change: Option<LogChange>,
    /// Occurrences in the baseline.
    pub baseline_count: u64,
    /// Occurrences in the window.
    pub window_count: u64,
    /// Occurrences per minute in the baseline.
    pub baseline_per_minute: f64,
    /// Occurrences per minute in the window.
    pub window_per_minute: f64,
    /// `error`, `warn`, `info`, `debug`, or empty.
    pub level: String,
    /// Entries that show it, few.
    pub exemplars: Vec<LogEntry>,
    /// First occurrence inside the window.
    pub first: Option<Timestamp>,
    /// What follows it within one request, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
    /// When its rate changed, where that can be told better than by the first occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset: Option<Timestamp>,
    /// Values of fields that tell these lines apart: one version, one exchange, one promo code among the slow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub telling: Vec<TellingValue>,
    /// Whether the figures of the baseline are of a time before the window outside of it: its service was silent in
    /// the baseline. `change` is against the baseline all the same, so all that such a service says is new.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outside_baseline: bool,
}

impl LogDetail {
    /// Whether a line has the fixed parts of the template, in their order.
    pub fn shows(&self, line: &str) -> bool {
        let mut rest = line;
        for part in self.template.split("<*>").map(str::trim).filter(|part| !part.is_empty()) {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A value of a field that the troubled lines share and others do not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TellingValue {
    /// The field, or the words in front of the value where lines have no named fields.
    pub field: String,
    /// The value.
    pub value: Text,
    /// Which lines share it: `slow`, `failed`, `new`.
    pub among: String,
    /// Its share among those lines (`after`) and among the others (`before`), 0 to 1.
    pub share: BeforeAfter,
    /// Lines that hold it among those.
    pub count: u64,
}

/// A place where requests take another way than before: what follows a template within one trace or request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// The template where the ways part; `None` when it is the item's own, which is then not the new way but its
    /// beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Text>,
    /// The template that follows now; `None` when nothing does (the request ends there).
    pub now: Option<Text>,
    /// Share of requests that take this way, 0 to 1, in the baseline and in the window.
    pub share: BeforeAfter,
    /// The template that used to follow most often; `None` when requests used to end there.
    pub before: Option<Text>,
}

/// A figure before and inside the window; `None` where there was no traffic or no data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// In the baseline.
    pub before: Option<f64>,
    /// In the window.
    pub after: Option<f64>,
}

/// An edge of the service graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeDetail {
    /// Caller.
    pub client: String,
    /// Callee.
    pub server: String,
    /// Requests per second.
    pub rate: BeforeAfter,
    /// Share of failed requests, 0 to 1.
    pub errors: BeforeAfter,
    /// Mean time the caller waited, in seconds.
    pub client_seconds: BeforeAfter,
    /// Mean time the callee worked, in seconds.
    pub server_seconds: BeforeAfter,
    /// 95th percentile of the time the caller waited, in seconds, where histograms tell it.
    #[serde(default)]
    pub p95: BeforeAfter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_and_print() {
        for text in ["A1", "M3", "L7", "E2", "C4", "R1", "Q5"] {
            assert_eq!(text.parse::<EvidenceId>().unwrap().to_string(), text);
        }
        assert_eq!("[m12]".parse::<EvidenceId>().unwrap().to_string(), "M12");
        for bad in ["", "M", "M0", "M03", "X1", "M1a", "1M", "M-1", "M99999999999"] {
            assert!(bad.parse::<EvidenceId>().is_err(), "{bad}");
        }
    }
}
