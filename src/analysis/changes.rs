//! Which change explains the onset.
//!
//! A change is judged by the time from it to the onset (what breaks at once is likely its doing; what comes after the
//! onset cannot be), by the service it concerns and its place in the graph, by its kind (a commit is not running yet)
//! and by what its diff does: moved code and new colours break little, a removed call or another number may. When no
//! change reaches the threshold none is blamed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::analysis::GraphEdge;
use crate::domain::change::Change;
use crate::domain::time::human_duration;

/// Sampling dates an onset late; clocks differ: a change may seem to follow by so much and still be the cause.
const SLACK: Duration = Duration::from_secs(45);
/// Time to the onset at which a change keeps a third of its weight.
const REACH: f64 = 8.0 * 60.0;
/// A change below this score explains nothing.
const LEAST: f64 = 0.22;
/// Changes ranked, at most.
const MOST: usize = 10;

/// One change judged.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeFinding {
    /// Its place in the snapshot's list.
    pub index: usize,
    /// 0 to 1.
    pub score: f64,
    /// In words.
    pub why: String,
}

/// Ranks the changes that may have caused a deviation beginning at `onset`, likeliest first; empty when none explains
/// it. `suspects` gives a score from 0 to 1 by service; `symptoms` are the words of what went wrong (see
/// [`telling_words`]): a diff that takes away or alters what an error names is likelier its cause.
pub fn rank_changes(
    changes: &[Change],
    onset: Timestamp,
    suspects: &BTreeMap<String, f64>,
    graph: &[GraphEdge],
    symptoms: &BTreeSet<String>,
) -> Vec<ChangeFinding> {
    let most = suspects.values().copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return Vec::new();
    }
    let mut found: Vec<ChangeFinding> = changes
        .iter()
        .enumerate()
        .filter(|(_, change)| change.at <= onset.plus(SLACK))
        .filter_map(|(index, change)| {
            let gap = onset.since(change.at);
            let time = (-gap.as_secs_f64() / REACH).exp();
            let (place, where_from) = place_of(&change.service, suspects, most, graph);
            let (substance, what) = substance_of(change, symptoms);
            let score = time * place * kind_weight(&change.kind) * substance;
            (score >= LEAST).then(|| ChangeFinding {
                index,
                score: score.min(1.0),
                why: format!("{} before the onset; {where_from}{what}", human_duration(gap)),
            })
        })
        .collect();
    found.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(changes[b.index].at.cmp(&changes[a.index].at)).then(a.index.cmp(&b.index))
    });
    found.truncate(MOST);
    found
}

/// How much a kind of change weighs: what is running now against what may run one day.
fn kind_weight(kind: &str) -> f64 {
    match kind.to_ascii_lowercase().as_str() {
        "deploy" | "deployment" | "rollout" | "release" | "rollback" | "config" | "migration" => 1.0,
        "commit" | "merge" | "pull_request" => 0.2,
        // A flag is as quick as a deploy, but touches only the code behind it.
        "flag" | "feature_flag" => 0.7,
        _ => 0.6,
    }
}

/// Weight by the service a change concerns, with the reason.
fn place_of(service: &str, suspects: &BTreeMap<String, f64>, most: f64, graph: &[GraphEdge]) -> (f64, String) {
    if service.is_empty() {
        return (0.3, "names no service".into());
    }
    let own = suspects.get(service).copied().unwrap_or(0.0) / most;
    let callers = graph
        .iter()
        .filter(|edge| edge.server == service)
        .filter_map(|edge| suspects.get(&edge.client))
        .copied()
        .fold(0.0, f64::max)
        / most;
    if own >= 0.5 * callers && own > 0.0 {
        (own, format!("{service} is a suspect"))
    } else if callers > 0.0 {
        (0.5 * callers, format!("{service} is called by a suspect"))
    } else {
        (0.1, format!("{service} shows nothing abnormal"))
    }
}

/// Kinds of files that cannot break a service.
const HARMLESS: &[&str] =
    &[".css", ".scss", ".md", ".txt", ".svg", ".png", "_test.", ".test.", "/tests/", "/docs/", "theme."];
/// Words of a summary that speak of looks, tests or papers.
const COSMETIC: &[&str] =
    &["docs:", "#docs", "restyle", "typo", "style:", "test:", "#test", "readme", "changelog", "palette"];

/// Weight by what the diff and the summary say the change does, with the reason.
fn substance_of(change: &Change, symptoms: &BTreeSet<String>) -> (f64, &'static str) {
    let summary = change.summary.as_str().to_ascii_lowercase();
    let cosmetic = COSMETIC.iter().any(|word| summary.contains(word));
    let Some(diff) = change.diff.as_ref().filter(|diff| !diff.as_str().trim().is_empty()) else {
        return if cosmetic { (0.2, ", by its summary a matter of looks or papers") } else { (0.8, "") };
    };
    let heads: Vec<&str> = diff
        .as_str()
        .lines()
        .filter(|line| line.starts_with("@@") || line.starts_with("+++") || line.starts_with("---"))
        .filter(|line| line.contains('.'))
        .collect();
    let harmless = !heads.is_empty() && heads.iter().all(|head| HARMLESS.iter().any(|ending| head.contains(ending)));
    if harmless || cosmetic {
        return (0.2, ", its diff touches looks, tests or papers only");
    }
    let (removed, added) = (words(diff.as_str(), '-'), words(diff.as_str(), '+'));
    let gone: Vec<&str> = removed.difference(&added).copied().collect();
    let new: Vec<&str> = added.difference(&removed).copied().collect();
    let named = |words: &[&str]| words.iter().any(|word| parts(word).any(|part| symptoms.contains(&part)));
    let is_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    if gone.is_empty() && new.is_empty() {
        (0.5, ", its diff moves code without changing it")
    } else if named(&gone) {
        (1.0, ", its diff takes away or alters what the symptoms name")
    } else if gone.iter().any(is_number) && new.iter().any(is_number) {
        (0.95, ", its diff alters figures")
    } else if gone.is_empty() {
        (if named(&new) { 0.8 } else { 0.6 }, ", its diff adds code")
    } else {
        (0.65, ", its diff changes what runs")
    }
}

/// Words of an identifier in lower case, four letters and longer: `getItemPrice` and `get_item_price` alike.
fn parts(word: &str) -> impl Iterator<Item = String> {
    let mut out: Vec<String> = vec![String::new()];
    for c in word.chars() {
        let last_is_lower = out.last().and_then(|part| part.chars().last()).is_some_and(char::is_lowercase);
        if !c.is_alphanumeric() || (c.is_uppercase() && last_is_lower) {
            out.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(part) = out.last_mut()
        {
            part.extend(c.to_lowercase());
        }
    }
    out.into_iter().filter(|part| part.chars().count() >= 4 && !part.starts_with(|c: char| c.is_ascii_digit()))
}

/// Words that stand in every log and every diff.
const COMMON: &[&str] = &[
    "error", "failed", "request", "return", "with", "from", "context", "severity", "text", "info", "warn", "after",
    "before", "above", "below", "rate", "ratio", "service", "observed", "http", "trace", "latency", "value",
    "exceeded", "func", "import", "string", "this", "that", "json", "code", "result", "response",
];

/// The words of a symptom (an error line, an alert's summary, a metric's name) that a diff can be searched for.
pub fn telling_words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .flat_map(parts)
        .filter(|word| !COMMON.contains(&word.as_str()))
        .take(200)
        .collect()
}

/// Identifiers and numbers of the added or removed lines, comments left out.
fn words(diff: &str, sign: char) -> BTreeSet<&str> {
    diff.lines()
        .filter(|line| line.starts_with(sign) && !line.starts_with("+++") && !line.starts_with("---"))
        .map(|line| line[1..].trim())
        .filter(|line| {
            !(line.starts_with("//") || line.starts_with('#') || line.starts_with("--") || line.starts_with('*'))
        })
        .flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Text;

    fn change(secs: i64, kind: &str, service: &str, summary: &str, diff: Option<&str>) -> Change {
        Change {
            at: Timestamp::from_secs(secs),
            kind: kind.into(),
            service: service.into(),
            reference: Text::new(summary),
            summary: Text::new(summary),
            author: Text::default(),
            diff: diff.map(Text::new),
        }
    }

    fn suspects() -> BTreeMap<String, f64> {
        BTreeMap::from([("pay".to_owned(), 0.8), ("web".to_owned(), 0.3)])
    }

    #[test]
    fn what_breaks_at_once_is_blamed_and_decoys_are_not() {
        let all = [
            change(9_000, "deploy", "pay", "an old one", None),
            change(9_900, "commit", "", "not running yet", None),
            change(9_950, "deploy", "pay", "retry less", Some("@@ pay.go @@\n-  retries = 5\n+  retries = 0")),
            change(9_960, "deploy", "web", "restyle button", Some("@@ web/button.css @@\n-  a\n+  b")),
            change(10_300, "deploy", "pay", "after the onset", None),
        ];
        let ranked = rank_changes(&all, Timestamp::from_secs(10_000), &suspects(), &[], &BTreeSet::new());
        assert_eq!(ranked.iter().map(|finding| finding.index).collect::<Vec<_>>(), [2]);
        assert!(ranked[0].why.contains("pay is a suspect"), "{}", ranked[0].why);
    }

    #[test]
    fn no_change_explains_it() {
        let all =
            [change(2_000, "deploy", "pay", "long ago", None), change(9_990, "deploy", "mail", "elsewhere", None)];
        assert!(rank_changes(&all, Timestamp::from_secs(10_000), &suspects(), &[], &BTreeSet::new()).is_empty());
        assert!(rank_changes(&all, Timestamp::from_secs(10_000), &BTreeMap::new(), &[], &BTreeSet::new()).is_empty());
    }

    proptest! {
        #[test]
        fn no_diff_panics(diff in ".{0,120}", at in 0_i64..20_000) {
            let all = [change(at, "deploy", "pay", "x", Some(&diff))];
            let _ = rank_changes(&all, Timestamp::from_secs(10_000), &suspects(), &[], &BTreeSet::new());
        }
    }
}
