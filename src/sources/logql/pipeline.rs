//! What is done with a line: filters and parsers, one stage after the other.

use std::borrow::Cow;

use regex::Regex;

use super::fields::{self, ERROR, FieldPattern, Unit};
use crate::domain::Labels;
use crate::domain::log::LogEntry;

/// The stages of a log query.
#[derive(Debug, Clone, Default)]
pub(super) struct Pipeline {
    pub(super) stages: Vec<Stage>,
}

/// One stage.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    Line(LineFilter),
    Labels(LabelFilter),
    Json(Vec<(String, String)>),
    Logfmt(Vec<(String, String)>),
    Pattern(FieldPattern),
    Regexp(Regex),
    Drop(Vec<String>),
    Keep(Vec<String>),
    Unwrap { label: String, unit: Unit },
}

/// `|= "a" or "b"` and its kin.
#[derive(Debug, Clone)]
pub(super) struct LineFilter {
    pub(super) needles: Vec<String>,
    pub(super) regexes: Vec<Regex>,
    pub(super) negated: bool,
}

impl LineFilter {
    fn keeps(&self, line: &str) -> bool {
        let found = self.needles.iter().any(|needle| line.contains(needle.as_str()))
            || self.regexes.iter().any(|regex| regex.is_match(line));
        found != self.negated
    }
}

/// A condition on labels and fields.
#[derive(Debug, Clone)]
pub(super) enum LabelFilter {
    All(Vec<LabelFilter>),
    Any(Vec<LabelFilter>),
    Compare { label: String, compare: Compare, operand: Operand },
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Matches,
    MatchesNot,
    Greater,
    AtLeast,
    Less,
    AtMost,
}

/// What a value is compared with.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Text(String),
    Regex(Regex),
    Number(Unit, f64),
}

impl LabelFilter {
    fn keeps(&self, labels: &Labels) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.keeps(labels)),
            Self::Any(filters) => filters.iter().any(|filter| filter.keeps(labels)),
            Self::Compare { label, compare, operand } => {
                let value = labels.get(label).unwrap_or_default();
                match operand {
                    Operand::Text(text) => (value == text) == (*compare == Compare::Equal),
                    Operand::Regex(regex) => regex.is_match(value) == (*compare == Compare::Matches),
                    Operand::Number(unit, wanted) => unit.read(value).is_some_and(|value| match compare {
                        Compare::Equal | Compare::Matches => value == *wanted,
                        Compare::NotEqual | Compare::MatchesNot => value != *wanted,
                        Compare::Greater => value > *wanted,
                        Compare::AtLeast => value >= *wanted,
                        Compare::Less => value < *wanted,
                        Compare::AtMost => value <= *wanted,
                    }),
                }
            }
        }
    }
}

/// What came out of the pipeline for one entry.
pub(super) struct Processed<'e> {
    /// Labels of the stream, structured metadata and fields.
    pub(super) labels: Cow<'e, Labels>,
    /// The unwrapped value.
    pub(super) value: Option<f64>,
}

impl Pipeline {
    /// Whether a stage makes or removes labels.
    fn touches_labels(&self) -> bool {
        !self.stages.iter().all(|stage| matches!(stage, Stage::Line(_) | Stage::Labels(_)))
    }

    /// Whether values are unwrapped.
    pub(super) fn unwraps(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Unwrap { .. }))
    }

    /// Runs an entry through all stages; `None` when one of them drops it.
    pub(super) fn run<'e>(&self, entry: &'e LogEntry) -> Option<Processed<'e>> {
        let stream: &Labels = &entry.labels;
        let mut labels = Cow::Borrowed(stream);
        if !entry.metadata.is_empty() || self.touches_labels() {
            let all = labels.to_mut();
            for (name, value) in entry.metadata.iter() {
                all.insert(name, value);
            }
        }
        let mut value = None;
        for stage in &self.stages {
            match stage {
                Stage::Line(filter) => {
                    if !filter.keeps(&entry.line) {
                        return None;
                    }
                }
                Stage::Labels(filter) => {
                    if !filter.keeps(&labels) {
                        return None;
                    }
                }
                Stage::Json(wanted) => fields::json(&entry.line, wanted, stream, labels.to_mut()),
                Stage::Logfmt(wanted) => fields::logfmt(&entry.line, wanted, stream, labels.to_mut()),
                Stage::Pattern(pattern) => pattern.extract(&entry.line, stream, labels.to_mut()),
                Stage::Regexp(regex) => fields::regexp(regex, &entry.line, stream, labels.to_mut()),
                Stage::Drop(names) => {
                    for name in names {
                        labels.to_mut().remove(name);
                    }
                }
                Stage::Keep(names) => {
                    labels =
                        Cow::Owned(labels.iter().filter(|(name, _)| names.iter().any(|keep| keep == name)).collect());
                }
                Stage::Unwrap { label, unit } => {
                    // Without the label there is no value, and the entry does not count.
                    let raw = labels.to_mut().remove(label)?;
                    match unit.read(&raw) {
                        Some(number) => value = Some(number),
                        None => labels.to_mut().insert(ERROR, "SampleExtractionErr"),
                    }
                }
            }
        }
        Some(Processed { labels, value })
    }
}
