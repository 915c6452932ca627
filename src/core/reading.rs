//! Long texts as lines: what a detail, the pack or the state of the sources reads like. Scrolling, searching and
//! drawing all use these lines.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::domain::evidence::{BeforeAfter, Detail as Content, Evidence, LogChange, Turn};
use crate::domain::log::LogEntry;
use crate::domain::query::{Asked, Note, NoteKind};
use crate::domain::snapshot::Provenance;
use crate::domain::{Labels, Timestamp};

use super::figures::{count, figure};
use super::list::contains;
use super::model::Model;
use super::pace;
use super::screen::{Reader, Screen, Subject};

/// Rows taken by the status bar, the title, the rule and the hint bar.
const CHROME: usize = 4;

/// Rows of the chart above a metric's lines.
pub const CHART_ROWS: usize = 12;

/// How a line is to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A heading.
    Heading,
    /// Ordinary text.
    Plain,
    /// Of lesser weight.
    Dim,
    /// A warning.
    Warning,
    /// An added line of a diff.
    Added,
    /// A removed line of a diff.
    Removed,
    /// The place of a part of a diff.
    Hunk,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How it is to be drawn.
    pub role: Role,
    /// Its text, no wider than the screen.
    pub text: String,
}

/// The lines of the text on top; `None` where there is a list.
pub fn lines(model: &Model) -> Option<Vec<Line>> {
    let mut out = Writer { width: usize::from(model.size.0).saturating_sub(2).max(10), lines: Vec::new() };
    match model.top() {
        Screen::Detail(detail) => {
            let case = model.cases.get(&detail.incident)?;
            let found = case.investigation.value.as_ref();
            match &detail.subject {
                Subject::Evidence { ids, at } => match found.and_then(|f| f.analysis.evidence(*ids.get(*at)?)) {
                    Some(item) => evidence(&mut out, item),
                    None => out.push(Role::Warning, "this item no longer exists: the incident was examined anew"),
                },
                Subject::Log(index) => match found.and_then(|f| f.logs.get(*index)) {
                    Some(entry) => log_entry(&mut out, entry),
                    None => out.push(Role::Warning, "this entry no longer exists: the incident was examined anew"),
                },
                Subject::Asked(index) => {
                    if let Some(asked) = found.and_then(|f| f.asked.get(*index)) {
                        question(&mut out, asked);
                    }
                }
                Subject::Entry(seq) => {
                    let entry = case.timeline.value.iter().flatten().find(|entry| entry.seq == *seq);
                    if let Some(text) = entry.and_then(|entry| serde_json::to_string_pretty(entry).ok()) {
                        out.push(Role::Plain, &crate::domain::text::neutralise(&text));
                    }
                }
            }
        }
        Screen::Pack(_) => pack(&mut out, model),
        Screen::Sources(_) => sources(&mut out, model),
        _ => return None,
    }
    Some(out.lines)
}

/// Number of lines of the text on top; `None` where there is a list.
pub fn len(model: &Model) -> Option<usize> {
    lines(model).map(|lines| lines.len())
}

/// Rows that the text on top has on the screen.
pub fn height(model: &Model) -> usize {
    let rows = usize::from(model.size.1).saturating_sub(CHROME);
    let rows = if shows_chart(model) { rows.saturating_sub(chart_rows(model.size.1)) } else { rows };
    rows.max(1)
}

/// Rows of the chart on a screen of this height.
pub fn chart_rows(rows: u16) -> usize {
    CHART_ROWS.min(usize::from(rows).saturating_sub(CHROME) / 2)
}

/// Whether a chart stands above the lines.
pub fn shows_chart(model: &Model) -> bool {
    let Screen::Detail(detail) = model.top() else { return false };
    let Subject::Evidence { ids, at } = &detail.subject else { return false };
    let found = model.cases.get(&detail.incident).and_then(|case| case.investigation.value.as_ref());
    let item = ids.get(*at).and_then(|id| found?.analysis.evidence(*id));
    item.is_some_and(|item| matches!(&item.detail, Content::Metric(metric) if !metric.samples.is_empty()))
}

/// The next line that holds what is searched for.
pub fn next_match(model: &Model, forward: bool) -> Option<usize> {
    let reader = reader(model)?;
    let lines = lines(model)?;
    let matches = |line: &&(usize, Line)| contains(&line.1.text, &reader.search.text);
    let mut numbered: Vec<(usize, Line)> = lines.into_iter().enumerate().collect();
    if forward {
        numbered.iter().skip(reader.scroll + 1).find(matches).map(|(at, _)| *at)
    } else {
        numbered.truncate(reader.scroll);
        numbered.iter().rev().find(matches).map(|(at, _)| *at)
    }
}

/// Scrolling and search of the text on top.
pub fn reader(model: &Model) -> Option<&Reader> {
    match model.top() {
        Screen::Detail(detail) => Some(&detail.reader),
        Screen::Pack(reader) | Screen::Sources(reader) => Some(reader),
        _ => None,
    }
}

struct Writer {
    width: usize,
    lines: Vec<Line>,
}

impl Writer {
    fn push(&mut self, role: Role, text: &str) {
        for line in text.split('\n') {
            for part in wrap(line, self.width) {
                self.lines.push(Line { role, text: part.to_owned() });
            }
        }
    }

    fn blank(&mut self) {
        self.push(Role::Plain, "");
    }

    fn heading(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.blank();
        }
        self.push(Role::Heading, text);
    }

    fn field(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.push(Role::Plain, &format!("  {name:<12} {value}"));
        }
    }

    fn labels(&mut self, labels: &Labels) {
        for (name, value) in labels.iter() {
            self.push(Role::Plain, &format!("  {name} = {value}"));
        }
    }

    fn notes(&mut self, notes: &[Note]) {
        for note in notes {
            let (role, word) = match note.kind {
                NoteKind::Info => (Role::Dim, "info"),
                NoteKind::Warning => (Role::Warning, "warning"),
                NoteKind::Cut => (Role::Warning, "cut"),
            };
            self.push(role, &format!("  {word}: {}", note.text));
        }
    }
}

/// Cuts a line into parts that are at most `width` columns wide.
pub fn wrap(line: &str, width: usize) -> Vec<&str> {
    if line.width() <= width {
        return vec![line];
    }
    let mut parts = Vec::new();
    let mut start = 0;
    let mut columns = 0;
    let mut space = None;
    for (at, c) in line.char_indices() {
        let wide = c.width().unwrap_or(0);
        if columns + wide > width && at > start {
            // Break after the last space when that leaves a fair line.
            let end = space.filter(|end| *end > start + width / 2 && *end <= at).unwrap_or(at);
            parts.push(&line[start..end]);
            start = end;
            columns = line[start..at].width();
            space = None;
        }
        columns += wide;
        if c == ' ' {
            space = Some(at + 1);
        }
    }
    parts.push(&line[start..]);
    parts
}

/// The lines of one evidence item at a width.
pub fn evidence_lines(item: &Evidence, width: usize) -> Vec<Line> {
    let mut out = Writer { width: width.max(10), lines: Vec::new() };
    evidence(&mut out, item);
    out.lines
}

fn evidence(out: &mut Writer, item: &Evidence) {
    out.push(Role::Heading, &format!("[{}] {}", item.id, item.title.one_line()));
    if let Some(service) = &item.service {
        out.field("service", service);
    }
    out.field("strength", &format!("{:.2}", item.strength));
    if let Some(onset) = item.onset {
        out.field("since", &clear(onset));
    }
    match &item.detail {
        Content::Alert(alert) => {
            out.field("severity", alert.severity().word());
            out.field("starts", &clear(alert.starts_at));
            out.field("expression", alert.expression.as_deref().unwrap_or_default());
            if !alert.suppressed_by.is_empty() {
                out.field("silenced by", &alert.suppressed_by.join(", "));
            }
            out.heading("Labels");
            out.labels(&alert.labels);
            out.heading("Annotations");
            out.labels(&alert.annotations);
        }
        Content::Metric(metric) => {
            let show = |value| figure(value, &metric.unit);
            let band = metric.baseline;
            out.field(
                "metric",
                &format!(
                    "{}{}",
                    metric.metric,
                    if metric.labels.is_empty() { String::new() } else { metric.labels.to_string() }
                ),
            );
            out.field(
                "baseline",
                &format!(
                    "{} to {}, median {} ({} samples)",
                    show(band.low),
                    show(band.high),
                    show(band.median),
                    band.count
                ),
            );
            out.field("peak", &show(metric.peak));
            out.field("last", &show(metric.last));
            out.field("went", turn(metric.turn));
            out.field("score", &format!("{:+.1} deviations from the median", metric.score));
        }
        Content::Log(log) => {
            out.field("change", log.change.map_or("unchanged", change_word));
            out.field("level", &log.level);
            out.field(
                "in window",
                &format!("{} ({} per minute)", count(log.window_count), figure(log.window_per_minute, "")),
            );
            out.field(
                "in baseline",
                &format!("{} ({} per minute)", count(log.baseline_count), figure(log.baseline_per_minute, "")),
            );
            out.heading("Template");
            out.push(Role::Plain, &log.template);
            if let Some(branch) = &log.branch {
                let (before, after) = before_after(branch.share, "ratio");
                let ends = || "nothing: the request ends there".to_owned();
                out.heading("What follows it within one request");
                out.field("before", &branch.before.as_ref().map_or_else(ends, |text| text.one_line().into_owned()));
                out.field("now", &branch.now.as_ref().map_or_else(ends, |text| text.one_line().into_owned()));
                out.field("share", &format!("{before} → {after} of requests go the new way"));
            }
            out.heading("Entries that show it");
            for entry in &log.exemplars {
                out.push(Role::Plain, &format!("{} {}", clear(entry.at), entry.line));
            }
            if log.exemplars.is_empty() {
                out.push(Role::Dim, "none kept");
            }
        }
        Content::Edge(edge) => {
            out.heading(&format!("{} → {}", edge.client, edge.server));
            out.push(Role::Dim, &format!("  {:<16} {:>12}   {:>12}", "", "before", "now"));
            for (name, pair, unit) in [
                ("requests", edge.rate, "/s"),
                ("errors", edge.errors, "ratio"),
                ("caller waited", edge.client_seconds, "s"),
                ("callee worked", edge.server_seconds, "s"),
            ] {
                let (before, after) = before_after(pair, unit);
                out.push(Role::Plain, &format!("  {name:<16} {before:>12} → {after:>12}"));
            }
        }
        Content::Change(change) => {
            out.field("kind", &change.kind);
            out.field("at", &clear(change.at));
            out.field("ref", &change.reference);
            out.field("author", &change.author);
            out.field("summary", &change.summary);
            match &change.diff {
                Some(diff) => {
                    out.heading("Diff");
                    self::diff(out, diff);
                }
                None => out.push(Role::Dim, "  its source gives no diff"),
            }
        }
        Content::Runbook { text } | Content::Query { text } => {
            out.blank();
            out.push(Role::Plain, text);
        }
    }
    provenance(out, &item.provenance);
}

/// Before and after as text.
pub fn before_after(pair: BeforeAfter, unit: &str) -> (String, String) {
    let show = |value: Option<f64>| value.map_or_else(|| "no data".to_owned(), |value| figure(value, unit));
    (show(pair.before), show(pair.after))
}

/// The word for a changed log template.
pub const fn change_word(change: LogChange) -> &'static str {
    match change {
        LogChange::New => "NEW",
        LogChange::Vanished => "GONE",
        LogChange::More => "MORE",
        LogChange::Fewer => "FEWER",
    }
}

/// Which way a series went, in words.
pub const fn turn(turn: Turn) -> &'static str {
    match turn {
        Turn::Up => "up",
        Turn::Down => "down",
        Turn::Absent => "absent: samples ceased",
        Turn::Flat => "within its baseline",
    }
}

fn diff(out: &mut Writer, diff: &str) {
    for line in diff.lines() {
        let role = match line.as_bytes().first() {
            Some(b'+') => Role::Added,
            Some(b'-') => Role::Removed,
            Some(b'@') => Role::Hunk,
            _ => Role::Plain,
        };
        out.push(role, line);
    }
}

fn provenance(out: &mut Writer, provenance: &Provenance) {
    out.heading("Where it comes from");
    out.field("source", &provenance.source);
    out.field("query", &provenance.expr);
    out.field("from", &clear(provenance.range.start));
    out.field("to", &clear(provenance.range.end));
    out.notes(&provenance.notes);
}

/// An instant to the millisecond: what the eye can use.
fn clear(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f UTC").replace(".000 UTC", " UTC")
}

fn log_entry(out: &mut Writer, entry: &LogEntry) {
    out.push(Role::Heading, &entry.at.to_rfc3339());
    out.push(Role::Plain, &entry.line);
    out.heading("Labels");
    out.labels(&entry.labels);
    if !entry.metadata.is_empty() {
        out.heading("Structured metadata");
        out.labels(&entry.metadata);
    }
}

fn question(out: &mut Writer, asked: &Asked) {
    out.push(Role::Heading, &asked.planned.query.expression());
    out.field("source", &asked.source);
    out.field("why", &why(asked));
    out.field("asked at", &asked.at.to_rfc3339());
    out.field("took", &format!("{} ms", asked.elapsed_ms));
    match &asked.outcome {
        Ok(items) => out.field("answer", &format!("{} items", count(*items as u64))),
        Err(error) => out.push(Role::Warning, &format!("  failed: {error}")),
    }
    out.notes(&asked.notes);
    if let Some(range) = asked.planned.query.range() {
        out.field("from", &range.start.to_rfc3339());
        out.field("to", &range.end.to_rfc3339());
    }
    out.heading("Exactly as asked");
    if let Ok(text) = serde_json::to_string_pretty(&asked.planned.query) {
        out.push(Role::Plain, &crate::domain::text::neutralise(&text));
    }
}

/// Why a question was asked, in words.
pub fn why(asked: &Asked) -> String {
    use crate::domain::query::Purpose;
    match &asked.planned.purpose {
        Purpose::AlertExpression { alert } => format!("alert {alert}"),
        Purpose::Golden { metric, .. } => format!("signal {metric}"),
        Purpose::Edge { metric } => format!("edges {metric}"),
        Purpose::Logs => "logs".into(),
        Purpose::Restart { metric } => format!("restarts {metric}"),
        Purpose::Changes => "changes".into(),
        Purpose::Discovery => "discovery".into(),
        Purpose::Question => "question".into(),
        Purpose::Verification => "verification".into(),
    }
}

fn pack(out: &mut Writer, model: &Model) {
    let Some(case) = model.current() else { return };
    match (&case.pack.value, &case.pack.error) {
        (Some(pack), _) => {
            let hidden: usize = pack.redactions.values().sum();
            out.push(
                Role::Dim,
                &format!(
                    "{} of {} tokens · {} items · {hidden} values hidden{}",
                    count(pack.tokens as u64),
                    count(pack.budget as u64),
                    pack.evidence.len(),
                    if hidden == 0 {
                        String::new()
                    } else {
                        let kinds: Vec<String> =
                            pack.redactions.iter().map(|(kind, times)| format!("{kind} ×{times}")).collect();
                        format!(" ({})", kinds.join(", "))
                    }
                ),
            );
            for omission in &pack.omitted {
                out.push(
                    Role::Warning,
                    &format!("left out: {} × {}: {}", omission.count, omission.kind.word(), omission.why),
                );
            }
            out.blank();
            out.push(Role::Plain, &crate::domain::text::neutralise(&pack.text));
        }
        (None, Some(why)) => out.push(Role::Warning, &format!("no pack: {why}")),
        (None, None) => out.push(Role::Dim, "rendering the pack …"),
    }
}

fn sources(out: &mut Writer, model: &Model) {
    out.push(Role::Heading, "Sources");
    for source in &model.sources {
        out.blank();
        let age = source
            .last_ok
            .map_or_else(|| "never answered".to_owned(), |at| format!("data {}", pace::age(at, model.now)));
        let version = source.version.as_deref().unwrap_or_default();
        out.push(Role::Plain, &format!("{}  {}  {age}  {version}", source.name, source.status.word()));
        if let Some(error) = &source.error {
            out.push(Role::Warning, error);
        }
    }
    if model.sources.is_empty() {
        out.push(Role::Dim, "no source was asked yet");
    }
    if !model.identity.models.is_empty() {
        out.heading("Language models, in this order");
        for name in &model.identity.models {
            out.push(Role::Plain, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_after_words() {
        assert_eq!(wrap("one two three four", 10), ["one two ", "three four"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_too_wide(text in "[ -~価格é]{0,80}", width in 2..30_usize) {
            let parts = wrap(&text, width);
            prop_assert_eq!(parts.concat(), text.as_str());
            for part in parts {
                prop_assert!(part.width() <= width || part.chars().count() <= 2, "{:?}", part);
            }
        }
    }
}
