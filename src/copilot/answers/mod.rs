//! An answered question as evidence: the answer reduced to what can be read, cited and checked.
//!
//! A model is given no samples and no pages of lines but statistics: of a series its last, lowest, highest and mean
//! value with their times; of log entries their templates with counts and times. Every figure that stands in the text
//! can be quoted and is found again by [`super::verify`]. The text is bounded; what was left out is counted in it.

mod lists;
mod logs;
mod rows;
mod series;
#[cfg(test)]
mod tests;

use crate::domain::evidence::{Detail, Evidence, EvidenceId, EvidenceKind};
use crate::domain::labels::quote;
use crate::domain::query::{Answer, Asked, Data, Direction, Lang, Query};
use crate::domain::snapshot::Provenance;
use crate::domain::time::human_duration;
use crate::domain::{Text, TimeRange};

use rows::Rows;
pub(super) use rows::figure;

/// Most entries that are asked for where a check gives lines.
const MOST_LINES: usize = 1_000;
/// Characters of an expression in a title.
const TITLE: usize = 400;

/// Whether an expression gives lines: a LogQL query that begins with its streams, and not a number over time.
pub fn gives_lines(lang: Lang, expr: &str) -> bool {
    lang == Lang::LogQl && expr.trim_start().starts_with('{')
}

/// The question for the newest lines of a time.
pub const fn newest_lines(expr: String, range: TimeRange) -> Query {
    Query::Logs { expr, range, limit: MOST_LINES, direction: Direction::Backward }
}

/// How much of an answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Rows: series, templates, alerts.
    pub rows: usize,
    /// Bytes in all.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { rows: 40, bytes: 6_000 }
    }
}

/// The question and its answer as the citable item `Q<number>`. A question that failed is one, too: that there is no
/// answer, and why, is worth citing.
pub fn evidence(number: u32, asked: &Asked, answer: Option<&Answer>, bounds: Bounds) -> Evidence {
    let query = &asked.planned.query;
    let range = query.range().unwrap_or(TimeRange { start: asked.at, end: asked.at });
    let text = match (answer, &asked.outcome) {
        (Some(answer), _) => reduced(query, range, answer, bounds),
        (None, Err(why)) => format!("no answer: {why}"),
        (None, Ok(_)) => "no answer".to_owned(),
    };
    Evidence {
        id: EvidenceId { kind: EvidenceKind::Query, number },
        service: answer.and_then(|answer| service(&answer.data)),
        title: title(query, &asked.source),
        // Somebody wanted to know it: nothing that was measured unasked goes before it.
        strength: 1.0,
        onset: None,
        detail: Detail::Query { text: Text::from(text) },
        provenance: Provenance {
            source: asked.source.clone(),
            lang: query.lang(),
            expr: query.expression(),
            range,
            notes: asked.notes.clone(),
        },
    }
}

/// The question in one line: language, expression, time, source.
pub fn title(query: &Query, source: &str) -> Text {
    let what = match query {
        Query::Instant { at, .. } => format!("at {}", at.format(FULL)),
        _ => query.range().map_or_else(String::new, |range| {
            let span = human_duration(range.duration());
            format!("from {} to {} ({span})", range.start.format(FULL), rows::stamp(range.end, range.start))
        }),
    };
    let step = match query {
        Query::Range { step, .. } => format!(" every {}s", step.as_secs().max(1)),
        _ => String::new(),
    };
    let expression = Text::from(query.expression());
    let expression = Text::from(expression.one_line().into_owned()).truncated(TITLE);
    Text::from(format!("{source}: {expression} {what}{step}").trim_end())
}

/// A time with its day.
const FULL: &str = "%Y-%m-%d %H:%M:%S";

/// The answer in words.
fn reduced(query: &Query, range: TimeRange, answer: &Answer, bounds: Bounds) -> String {
    let mut rows = Rows::new(bounds);
    for note in &answer.notes {
        rows.note(&note.text);
    }
    match &answer.data {
        Data::Series(found) => series::tell(&mut rows, query, range, found),
        Data::Scalar(sample) => rows.head(&format!("the value is {}", rows::figure(sample.value))),
        Data::Word(word) => rows.head(&format!("the value is {}", quote(word))),
        Data::Logs(entries) => logs::tell(&mut rows, range, entries, bounds),
        other => lists::tell(&mut rows, range, other),
    }
    rows.finish()
}

/// The service that all of the answer is about, if it is one.
fn service(data: &Data) -> Option<String> {
    let mut names = match data {
        Data::Series(series) => series.iter().map(|one| one.labels.service()).collect::<Vec<_>>(),
        Data::Logs(entries) => entries.iter().map(|entry| entry.labels.service()).collect(),
        Data::Alerts(alerts) => alerts.iter().map(|alert| alert.labels.service()).collect(),
        _ => return None,
    };
    names.dedup();
    match names.as_slice() {
        [Some(one)] => Some((*one).to_owned()),
        _ => None,
    }
}
