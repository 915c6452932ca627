//! What can be asked of a source, and what comes back.
//!
//! A question is data, so that it can be shown, recorded, replayed and answered by a live server or a bundle alike.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alert::{Alert, AlertGroup, Rule, Silence};
use super::change::Change;
use super::log::LogEntry;
use super::metric::{MetricMeta, Series, Target};
use super::{Labels, Text, TimeRange, Timestamp};

/// Query language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// Prometheus.
    PromQl,
    /// Loki.
    LogQl,
}

/// Order of log entries in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Newest first: what is lost to a limit is old.
    #[default]
    Backward,
    /// Oldest first.
    Forward,
}

/// A question to a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Query {
    /// Alerts of Alertmanager (`GET /api/v2/alerts`), or of Prometheus where there is no Alertmanager.
    Alerts,
    /// Alert groups of Alertmanager.
    AlertGroups,
    /// Silences of Alertmanager.
    Silences,
    /// Version and cluster state of Alertmanager.
    AlertmanagerStatus,
    /// Alerting and recording rules.
    Rules,
    /// Scrape targets.
    Targets,
    /// Types, units and help of all metrics.
    Metadata,
    /// Version of the server.
    BuildInfo,
    /// Names of labels.
    LabelNames {
        /// Which store.
        lang: Lang,
        /// Series selectors; empty for all.
        matchers: Vec<String>,
        /// When.
        range: TimeRange,
    },
    /// Values of one label.
    LabelValues {
        /// Which store.
        lang: Lang,
        /// The label.
        label: String,
        /// Series selectors; empty for all.
        matchers: Vec<String>,
        /// When.
        range: TimeRange,
    },
    /// Label sets of the series or streams that match.
    Series {
        /// Which store.
        lang: Lang,
        /// Series selectors, at least one.
        matchers: Vec<String>,
        /// When.
        range: TimeRange,
    },
    /// An expression at one instant. A range selector gives the raw samples.
    Instant {
        /// Language of the expression.
        lang: Lang,
        /// The expression.
        expr: String,
        /// When.
        at: Timestamp,
    },
    /// An expression over time.
    Range {
        /// Language of the expression.
        lang: Lang,
        /// The expression; for LogQL a metric query.
        expr: String,
        /// First and last instant evaluated; unlike elsewhere the end is included, as in Prometheus.
        range: TimeRange,
        /// Distance of the instants.
        #[serde(with = "millis")]
        step: Duration,
    },
    /// Log entries.
    Logs {
        /// LogQL log query.
        expr: String,
        /// When.
        range: TimeRange,
        /// At most so many entries.
        limit: usize,
        /// Which end of the range is kept when there are more.
        direction: Direction,
    },
    /// Bytes by stream (`index/volume`).
    LogVolume {
        /// Stream selector.
        expr: String,
        /// When.
        range: TimeRange,
    },
    /// Patterns found by Loki's pattern ingester, where it runs.
    LogPatterns {
        /// Stream selector.
        expr: String,
        /// When.
        range: TimeRange,
    },
    /// Fields found in the lines, where the server can do it.
    DetectedFields {
        /// Log query.
        expr: String,
        /// When.
        range: TimeRange,
    },
    /// Changes.
    Changes {
        /// When.
        range: TimeRange,
    },
}

impl Query {
    /// The expression, selector or end point, as shown in the list of what was asked.
    pub fn expression(&self) -> String {
        match self {
            Self::Alerts => "alerts".into(),
            Self::AlertGroups => "alert groups".into(),
            Self::Silences => "silences".into(),
            Self::AlertmanagerStatus => "status".into(),
            Self::Rules => "rules".into(),
            Self::Targets => "targets".into(),
            Self::Metadata => "metadata".into(),
            Self::BuildInfo => "build info".into(),
            Self::LabelNames { matchers, .. } => format!("labels {}", matchers.join(" ")).trim_end().into(),
            Self::LabelValues { label, matchers, .. } => {
                format!("values of {label} {}", matchers.join(" ")).trim_end().into()
            }
            Self::Series { matchers, .. } => format!("series {}", matchers.join(" ")),
            Self::Instant { expr, .. } | Self::Range { expr, .. } | Self::Logs { expr, .. } => expr.clone(),
            Self::LogVolume { expr, .. } => format!("volume {expr}"),
            Self::LogPatterns { expr, .. } => format!("patterns {expr}"),
            Self::DetectedFields { expr, .. } => format!("fields {expr}"),
            Self::Changes { .. } => "changes".into(),
        }
    }

    /// The language, for the questions that have one.
    pub fn lang(&self) -> Option<Lang> {
        match self {
            Self::LabelNames { lang, .. }
            | Self::LabelValues { lang, .. }
            | Self::Series { lang, .. }
            | Self::Instant { lang, .. }
            | Self::Range { lang, .. } => Some(*lang),
            Self::Logs { .. } | Self::LogVolume { .. } | Self::LogPatterns { .. } | Self::DetectedFields { .. } => {
                Some(Lang::LogQl)
            }
            _ => None,
        }
    }

    /// The span of time asked about.
    pub fn range(&self) -> Option<TimeRange> {
        match self {
            Self::LabelNames { range, .. }
            | Self::LabelValues { range, .. }
            | Self::Series { range, .. }
            | Self::Range { range, .. }
            | Self::Logs { range, .. }
            | Self::LogVolume { range, .. }
            | Self::LogPatterns { range, .. }
            | Self::DetectedFields { range, .. }
            | Self::Changes { range } => Some(*range),
            Self::Instant { at, .. } => Some(TimeRange::new(*at, *at)),
            _ => None,
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The data.
    pub data: Data,
    /// What the server or our own limits have to say about it. Always shown: a truncated answer is not a whole one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

impl Answer {
    /// An answer without notes.
    pub fn new(data: Data) -> Self {
        Self { data, notes: Vec::new() }
    }

    /// How many items the answer holds, for the list of what was asked.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Alerts(items) => items.len(),
            Data::AlertGroups(items) => items.len(),
            Data::Silences(items) => items.len(),
            Data::Rules(items) => items.len(),
            Data::Targets(items) => items.len(),
            Data::Metadata(items) => items.len(),
            Data::Facts(items) => items.len(),
            Data::Names(items) => items.len(),
            Data::LabelSets(items) => items.len(),
            Data::Series(items) => items.len(),
            Data::Scalar(_) | Data::Word(_) => 1,
            Data::Logs(items) => items.len(),
            Data::Volumes(items) => items.len(),
            Data::Patterns(items) => items.len(),
            Data::Fields(items) => items.len(),
            Data::Changes(items) => items.len(),
        }
    }

    /// Whether the answer holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether something was left out.
    pub fn is_cut(&self) -> bool {
        self.notes.iter().any(|note| note.kind == NoteKind::Cut)
    }
}

/// The data of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Data {
    /// Alerts.
    Alerts(Vec<Alert>),
    /// Alert groups.
    AlertGroups(Vec<AlertGroup>),
    /// Silences.
    Silences(Vec<Silence>),
    /// Rules.
    Rules(Vec<Rule>),
    /// Targets.
    Targets(Vec<Target>),
    /// Metadata by metric name.
    Metadata(BTreeMap<String, MetricMeta>),
    /// Key and value pairs: build info, status.
    Facts(BTreeMap<String, String>),
    /// Label names or values.
    Names(Vec<String>),
    /// Label sets.
    LabelSets(Vec<Labels>),
    /// A vector (one sample each) or matrix. Native histograms are reduced to their count, sum and quantiles.
    Series(Vec<Series>),
    /// A scalar.
    Scalar(super::metric::Sample),
    /// A string result.
    Word(Text),
    /// Log entries, sorted by time, oldest first whatever the direction asked.
    Logs(Vec<LogEntry>),
    /// Bytes by stream.
    Volumes(Vec<(Labels, u64)>),
    /// Log patterns with their total count.
    Patterns(Vec<(Text, u64)>),
    /// Detected fields: name, type, cardinality.
    Fields(Vec<(String, String, u64)>),
    /// Changes, oldest first.
    Changes(Vec<Change>),
}

/// Something that must be said beside the data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Note {
    /// What kind.
    pub kind: NoteKind,
    /// The server's words, or ours with the figures.
    pub text: Text,
}

/// Kinds of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoteKind {
    /// The server's information.
    Info,
    /// The server's warning.
    Warning,
    /// Something was left out, with how much and why.
    Cut,
}

/// Why a question was asked: shown beside it and used to read the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Purpose {
    /// The expression of an alert's rule without its threshold.
    AlertExpression {
        /// Alert name.
        alert: String,
    },
    /// A signal of a service: request rate, errors, latency, saturation, or any gauge it exposes.
    Golden {
        /// The metric the expression is built from.
        metric: String,
        /// How its values are to be read after the expression was applied.
        shape: Shape,
    },
    /// One of the service graph's metrics, by edge.
    Edge {
        /// The metric the expression is built from.
        metric: String,
    },
    /// Log entries of the entities in scope.
    Logs,
    /// When processes started and which version they run.
    Restart {
        /// The metric the expression is built from.
        metric: String,
    },
    /// Changes in the time before.
    Changes,
    /// Finding out which metrics, labels and streams exist.
    Discovery,
    /// Asked by a person, a playbook or a model.
    Question,
    /// Whether a run helped.
    Verification,
}

/// What the values of an answered expression are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A counter's rate per second.
    Rate,
    /// Average per event (`_sum` rate over `_count` rate).
    Mean,
    /// A quantile of a histogram or summary.
    Quantile,
    /// A gauge as it is.
    Level,
    /// A share between 0 and 1, or 0 and 100.
    Ratio,
}

/// A question with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Planned {
    /// The question.
    pub query: Query,
    /// Why.
    pub purpose: Purpose,
}

/// A question that was asked, for the screen that lists exactly what was asked and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The question and why.
    pub planned: Planned,
    /// The source that answered, or failed to.
    pub source: String,
    /// When it was sent.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Items in the answer, or the error.
    pub outcome: Result<usize, Text>,
    /// Notes of the answer.
    pub notes: Vec<Note>,
}

/// Durations as whole milliseconds.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
