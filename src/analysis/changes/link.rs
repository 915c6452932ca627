//! What a change touches and the symptoms name: identifiers, tables, end points, files, versions.
//!
//! A word ties a change to the symptoms by how rare it is: among all changes, and among the lines that were always
//! logged. Words that everything is full of tie nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::{Ground, Patch};
use super::tokens::parts;
use crate::analysis::metrics::MetricFinding;
use crate::analysis::templates::{CONTEXT_SCORE, LogFinding};
use crate::domain::alert::Alert;
use crate::domain::change::Change;
use crate::domain::evidence::LogChange;
use crate::domain::incident::Incident;

/// Words that stand in every log and every diff.
const COMMON: &[&str] = &[
    "error",
    "errors",
    "failed",
    "failure",
    "fail",
    "request",
    "requests",
    "return",
    "returned",
    "returning",
    "with",
    "from",
    "context",
    "severity",
    "severity_text",
    "trace_id",
    "text",
    "info",
    "warn",
    "after",
    "before",
    "above",
    "below",
    "rate",
    "ratio",
    "service",
    "observed",
    "http",
    "https",
    "trace",
    "value",
    "exceeded",
    "func",
    "function",
    "import",
    "string",
    "this",
    "that",
    "json",
    "code",
    "result",
    "response",
    "status",
    "level",
    "message",
    "null",
    "true",
    "false",
    "const",
    "public",
    "private",
    "static",
    "void",
    "class",
    "self",
    "none",
    "type",
    "name",
    "data",
    "api",
    "get",
    "set",
    "new",
    "err",
    "ctx",
    "the",
    "and",
    "for",
    "not",
    "msg",
    "was",
    "has",
    "route",
    "handler",
    "call",
    "calls",
    "total",
    "count",
    "server",
    "client",
    "upstream",
    "critical",
    "main",
    "user",
    "method",
    "path",
    "select",
    "where",
    "insert",
    "update",
    "delete",
    "order",
    "found",
    "exist",
    "exists",
    "does",
    "complete",
    "completed",
    "list",
    "item",
    "items",
    "into",
    "field",
    "when",
    "then",
    "else",
    "done",
    "start",
    "started",
    "stop",
    "stopped",
];

/// Parts of one text that are looked at.
const MOST_WORDS: usize = 4_000;
/// Ties of one change that count.
const MOST_TIES: usize = 6;
/// How much one word ties: a name of several parts, a single word, a name of a file or a version.
const NAME: f64 = 0.6;
const WORD: f64 = 0.25;
const FILE: f64 = 0.7;
/// Weight of what is only around the changed lines, or in the summary.
const AROUND: f64 = 0.5;

/// Names and words with the weight of the symptom they come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Symptoms {
    words: BTreeMap<String, Said>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Said {
    /// 0 to 1.
    weight: f64,
    /// How much one match ties.
    tie: f64,
}

impl Symptoms {
    /// Of an incident: its alerts, the lines that are new, gone, more or fewer, the series that deviate.
    pub fn of(incident: &Incident, metrics: &[MetricFinding], logs: &[LogFinding]) -> Self {
        let mut all = Self::default();
        for alert in incident.alerts.iter().take(20) {
            all.say(Alert::summary(alert), 0.8);
            all.say(alert.annotations.get("description").unwrap_or_default(), 0.6);
        }
        let changed = |finding: &&LogFinding| finding.detail.change.is_some() && finding.score >= CONTEXT_SCORE;
        for finding in logs.iter().filter(changed).take(60) {
            let weight = match finding.detail.change {
                Some(LogChange::New) => 1.0,
                Some(LogChange::More | LogChange::Vanished) => 0.8,
                _ => 0.5,
            };
            all.say(&finding.detail.template, weight);
            for entry in finding.detail.exemplars.iter().take(2) {
                all.say(&entry.line, weight);
            }
            for telling in &finding.detail.telling {
                let value = telling.value.to_ascii_lowercase();
                all.words.insert(value, Said { weight, tie: FILE });
            }
        }
        for finding in metrics.iter().filter(|finding| finding.strength >= 0.25).take(60) {
            all.say(&finding.detail.metric, 0.5);
            for (_, value) in finding.detail.labels.iter().take(8) {
                all.say(value, 0.4);
            }
        }
        // What was always said is no symptom, and the name of a service is its place, not what happens there.
        let mut always: BTreeMap<String, f64> = BTreeMap::new();
        let lines: f64 = logs.iter().map(|finding| finding.detail.baseline_count as f64).sum();
        for finding in logs.iter().filter(|finding| finding.detail.baseline_count > 0) {
            for word in words_of(&finding.detail.template) {
                *always.entry(word.0).or_default() += finding.detail.baseline_count as f64 / lines.max(1.0);
            }
        }
        let places: BTreeSet<String> = logs
            .iter()
            .map(|finding| finding.service.as_str())
            .chain(metrics.iter().filter_map(|finding| finding.service.as_deref()))
            .flat_map(|service| parts(service).into_iter().chain([service.to_ascii_lowercase()]))
            .collect();
        all.words.retain(|word, said| {
            said.weight /= 1.0 + 20.0 * always.get(word).copied().unwrap_or(0.0);
            !places.contains(word) && said.weight > 0.05
        });
        all
    }

    fn say(&mut self, text: &str, weight: f64) {
        for (word, tie) in words_of(text) {
            let slot = self.words.entry(word).or_default();
            slot.weight = slot.weight.max(weight);
            slot.tie = slot.tie.max(tie);
        }
    }
}

/// The names of a text and their parts, in lower case, with how much each can tie.
fn words_of(text: &str) -> Vec<(String, f64)> {
    let mut out = Vec::new();
    for name in text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))).take(MOST_WORDS) {
        let name = name.trim_matches(['.', '-', '_']);
        if is_file(name) {
            out.push((name.to_ascii_lowercase(), FILE));
        }
        for name in name.split(['.', '-']).filter(|name| name.len() <= 80) {
            let all = parts(name);
            // Ids and hashes are no names.
            let digits = name.bytes().filter(u8::is_ascii_digit).count();
            if 3 * digits > name.len() {
                continue;
            }
            if all.len() > 1 {
                out.push((name.to_ascii_lowercase(), NAME));
            }
            out.extend(
                all.into_iter().filter(|part| part.len() >= 4 || name.len() == part.len()).map(|part| (part, WORD)),
            );
        }
    }
    out.retain(|(word, _)| !COMMON.contains(&word.as_str()));
    out
}

fn is_file(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        stem.len() >= 2
            && (1..=5).contains(&ending.len())
            && ending.bytes().all(|byte| byte.is_ascii_lowercase())
            && stem.bytes().any(|byte| byte.is_ascii_alphabetic())
    })
}

/// The words of one change, by how near they stand to what it does.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Vocabulary {
    words: BTreeMap<String, f64>,
}

impl Vocabulary {
    pub(super) fn of(change: &Change, patches: &[Patch<'_>]) -> Self {
        let mut all = Self::default();
        all.add(&change.summary, AROUND);
        let reference = change.reference.to_ascii_lowercase();
        if !reference.is_empty() {
            all.words.insert(reference, 1.0);
        }
        if change.diff.is_none() {
            // A flag or a version is all its name.
            all.add(&change.reference, 1.0);
        }
        for patch in patches.iter().filter(|patch| patch.ground() != Ground::Beside) {
            if let Some(name) = patch.path.rsplit('/').next().filter(|name| !name.is_empty()) {
                all.words.insert(name.to_ascii_lowercase(), 1.0);
            }
            for head in &patch.heads {
                all.add(head, AROUND);
            }
            for hunk in &patch.hunks {
                hunk.around.iter().for_each(|line| all.add(line, AROUND));
                hunk.removed.iter().chain(&hunk.added).for_each(|line| all.add(line, 1.0));
            }
            if all.words.len() > MOST_WORDS {
                break;
            }
        }
        all
    }

    fn add(&mut self, text: &str, nearness: f64) {
        for (word, _) in words_of(text) {
            let slot = self.words.entry(word).or_default();
            *slot = slot.max(nearness);
        }
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.keys().map(String::as_str)
    }
}

/// In how many changes each word stands.
pub(super) fn spread_of<'v>(all: impl Iterator<Item = &'v Vocabulary>) -> BTreeMap<&'v str, usize> {
    let mut out: BTreeMap<&str, usize> = BTreeMap::new();
    for vocabulary in all {
        for word in vocabulary.words() {
            *out.entry(word).or_default() += 1;
        }
    }
    out
}

/// How much a change is tied to the symptoms, 0 to 1, and by which words, the strongest first.
pub(super) fn tie(
    vocabulary: &Vocabulary,
    symptoms: &Symptoms,
    spread: &BTreeMap<&str, usize>,
    changes: usize,
) -> (f64, Vec<String>) {
    let most = ((changes + 1) as f64).ln().max(1e-9);
    let mut ties: Vec<(f64, &str)> = vocabulary
        .words
        .iter()
        .filter_map(|(word, nearness)| {
            let said = symptoms.words.get(word)?;
            let among = spread.get(word.as_str()).copied().unwrap_or(1).max(1);
            let rarity = ((changes + 1) as f64 / among as f64).ln() / most;
            Some((said.tie * said.weight * nearness * rarity, word.as_str()))
        })
        .filter(|(strength, _)| *strength > 0.02)
        .collect();
    ties.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.len().cmp(&a.1.len())).then(a.1.cmp(b.1)));
    // The parts of a name that is tied already say nothing more.
    let mut kept: Vec<(f64, &str)> = Vec::new();
    for (strength, word) in ties {
        if kept.len() < MOST_TIES && !kept.iter().any(|(_, known)| known.contains(word)) {
            kept.push((strength, word));
        }
    }
    let total = 1.0 - kept.iter().map(|(strength, _)| 1.0 - strength).product::<f64>();
    (total, kept.into_iter().map(|(_, word)| word.to_owned()).collect())
}
