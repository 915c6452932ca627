//! Everything gathered about one incident: the input of the analysis.

use serde::{Deserialize, Serialize};

use super::alert::Rule;
use super::change::Change;
use super::incident::Incident;
use super::log::LogEntry;
use super::metric::Series;
use super::query::{Asked, Lang, Note, Purpose};
use super::{Text, TimeRange};

/// What the sources said about one incident. The analysis is a pure function of this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The incident, with the window and the baseline.
    pub incident: Incident,
    /// Rules, where a source has them.
    pub rules: Vec<Rule>,
    /// Answers of the metric questions. Samples of baseline and window are merged, sorted and unique by time.
    pub metrics: Vec<MetricAnswer>,
    /// Log entries of baseline and window, and of what services said before that were silent in the baseline, sorted
    /// by time.
    pub logs: Vec<LogEntry>,
    /// How the log entries were asked for.
    pub log_questions: Vec<Provenance>,
    /// Changes, oldest first.
    pub changes: Vec<Change>,
    /// Runbooks of its alerts, where their text is at hand.
    pub runbooks: Vec<Runbook>,
    /// Stretches outside of baseline and window that metrics were asked for as well, to tell a season from a fault:
    /// the same time of day yesterday, a week ago. Their samples are in `metrics` like all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seasons: Vec<TimeRange>,
    /// Stretches in which other incidents were open: what was measured then says nothing about normal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spoiled: Vec<TimeRange>,
    /// Exactly what was asked.
    pub asked: Vec<Asked>,
    /// What was not asked, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// The series that answered one metric question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricAnswer {
    /// Why it was asked: how its values are to be read.
    pub purpose: Purpose,
    /// How it was asked.
    pub provenance: Provenance,
    /// The series.
    pub series: Vec<Series>,
}

/// Where an item came from: enough to ask again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the source.
    pub source: String,
    /// Language of the expression; none for alerts and changes.
    pub lang: Option<Lang>,
    /// The exact expression.
    pub expr: String,
    /// The time asked about.
    pub range: TimeRange,
    /// What was said beside the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// A runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    /// Title or link.
    pub title: Text,
    /// Markdown.
    pub text: Text,
}
