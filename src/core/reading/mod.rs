//! Long texts as lines: what a proof, a log entry, the pack or the state of the sources reads like. Scrolling,
//! searching and drawing all use these lines. Of a long text only the lines asked for are made.

mod change;
mod edge;
mod expression;
mod proof;
mod template;
mod texts;

use std::ops::Range;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::domain::diagnosis::Earlier;
use crate::domain::evidence::{Detail as Content, Evidence, EvidenceId};

use super::explain;
use super::list::contains;
use super::model::{Case, Model};
use super::screen::{Detail, Reader, Screen, Subject};

pub use change::name as change_name;
pub use edge::neighbourhood;
pub use expression::quantity;
pub use proof::{before_after, factor, turn};
pub use template::{change_word, gist, rate_change, variables};
pub use texts::why;

/// Rows taken by the status bar, the title, the rule and the hint bar.
const CHROME: u16 = 4;

/// Columns from which on the items of a proof stand beside it; in fewer they stand above it.
const BESIDE: u16 = 100;

/// Columns of the list of items beside a proof.
const LIST: u16 = 36;

/// How a piece of a line is to be drawn.
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
    /// Something bad.
    Bad,
    /// Something good.
    Good,
    /// A link, an id, a bar.
    Accent,
    /// A part of a log line that varies.
    Variable,
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
    /// Its text, no wider than its place unless lines are shifted instead of wrapped.
    pub text: String,
    /// Parts of the text, by their bytes, that are drawn otherwise; in order, not overlapping.
    pub marks: Vec<(Range<usize>, Role)>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The lines asked for.
    pub lines: Vec<Line>,
    /// Number of lines of the whole text.
    pub len: usize,
}

/// Where the parts of a text's screen stand, in cells. The list comes first, then the chart, then the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the list of items beside the rest; 0 for none.
    pub beside: u16,
    /// Rows of the list of items above the rest, its rule included; 0 for none.
    pub above: u16,
    /// Rows of the chart; 0 for none.
    pub chart: u16,
    /// Columns of the text.
    pub columns: u16,
    /// Rows of the text.
    pub rows: u16,
}

/// The layout of the text on top.
pub fn layout(model: &Model) -> Layout {
    let (columns, rows) = (model.size.0, model.size.1.saturating_sub(CHROME).max(1));
    let mut layout = Layout { columns, rows, ..Layout::default() };
    let Screen::Detail(Detail { subject: Subject::Evidence { ids, .. }, .. }) = model.top() else { return layout };
    if ids.len() > 1 && columns >= BESIDE {
        layout.beside = LIST;
        layout.columns = columns - LIST - 1;
    } else if ids.len() > 1 && rows >= 14 {
        layout.above = u16::try_from(ids.len()).unwrap_or(u16::MAX).min(rows / 5) + 1;
    }
    layout.rows = rows - layout.above;
    let charted = |item: &Evidence| matches!(&item.detail, Content::Metric(metric) if !metric.samples.is_empty());
    if shown(model).is_some_and(charted) {
        layout.chart = (layout.rows / 2).min(16);
        layout.rows = (layout.rows - layout.chart).max(1);
    }
    layout
}

/// The evidence item on top.
pub fn shown(model: &Model) -> Option<&Evidence> {
    let Screen::Detail(detail) = model.top() else { return None };
    let Subject::Evidence { ids, at } = &detail.subject else { return None };
    super::chat::item(model, detail, *ids.get(*at)?)
}

/// The items of the proof on top and which of them is shown; empty where there is no proof.
pub fn items(model: &Model) -> (&[EvidenceId], usize) {
    match model.top() {
        Screen::Detail(Detail { subject: Subject::Evidence { ids, at }, .. }) => (ids, *at),
        _ => (&[], 0),
    }
}

/// The lines `range` of the text on top; `None` where there is a list.
pub fn page(model: &Model, range: Range<usize>) -> Option<Page> {
    let layout = layout(model);
    let width = usize::from(layout.columns).saturating_sub(2).max(10);
    let mut out = Writer { width, range, len: 0, lines: Vec::new(), whole: false };
    match model.top() {
        Screen::Detail(detail) => {
            out.whole = detail.reader.whole;
            let case = model.cases.get(&detail.incident);
            let found = case.and_then(|case| case.investigation.value.as_ref());
            match &detail.subject {
                Subject::Evidence { .. } => match shown(model) {
                    Some(item) => {
                        // Beside a proof its place in the graph has a place of its own.
                        proof::evidence(&mut out, found.map(|found| &found.analysis), item, layout.beside == 0);
                    }
                    None => out.push(Role::Warning, "this item no longer exists: the incident was examined anew"),
                },
                Subject::Log(index) => match found.and_then(|f| f.logs.get(*index)) {
                    Some(entry) => texts::log_entry(&mut out, entry),
                    None => out.push(Role::Warning, "this entry no longer exists: the incident was examined anew"),
                },
                Subject::Asked(index) => {
                    if let Some(asked) = found.and_then(|f| f.asked.get(*index)) {
                        texts::question(&mut out, asked);
                    }
                }
                Subject::Earlier(at) => {
                    if let Some(one) = case.and_then(|case| earlier(case, *at)) {
                        out.push(Role::Warning, &format!("{}: {}", one.endpoint, one.why));
                        out.push(Role::Dim, "what came before it broke off; for reading, not for acting");
                        out.blank();
                        out.push(Role::Plain, &one.text);
                    }
                }
                Subject::Explain(topic) => {
                    if let Some(case) = case {
                        texts::explanation(&mut out, &explain::explain(case, topic));
                    }
                }
                Subject::Entry(seq) => {
                    let entries = case.and_then(|case| case.timeline.value.as_ref());
                    let entry = entries.into_iter().flatten().find(|entry| entry.seq == *seq);
                    if let Some(text) = entry.and_then(|entry| serde_json::to_string_pretty(entry).ok()) {
                        out.push(Role::Plain, &crate::domain::text::neutralise(&text));
                    }
                }
            }
        }
        Screen::Pack(_) => texts::pack(&mut out, model),
        Screen::Sources(_) => texts::sources(&mut out, model),
        _ => return None,
    }
    Some(Page { lines: out.lines, len: out.len })
}

/// An answer that broke off, by its place.
pub fn earlier(case: &Case, at: usize) -> Option<&Earlier> {
    case.draft
        .as_ref()
        .map(|draft| &draft.earlier)
        .or_else(|| case.conclusion.value.as_ref().map(|made| &made.diagnosed.earlier))?
        .get(at)
}

/// All lines of the text on top; `None` where there is a list.
pub fn lines(model: &Model) -> Option<Vec<Line>> {
    page(model, 0..usize::MAX).map(|page| page.lines)
}

/// Number of lines of the text on top; `None` where there is a list.
pub fn len(model: &Model) -> Option<usize> {
    page(model, 0..0).map(|page| page.len)
}

/// Columns by which the lines in view that are not wrapped can be shifted to see their ends.
pub fn widest(model: &Model) -> usize {
    let scroll = reader(model).map_or(0, |reader| reader.scroll);
    let lines = page(model, scroll..scroll.saturating_add(height(model))).map(|page| page.lines).unwrap_or_default();
    let widest = lines.iter().map(|line| line.text.width()).max().unwrap_or(0);
    widest.saturating_sub(usize::from(layout(model).columns) / 2)
}

/// Rows that the text on top has on the screen.
pub fn height(model: &Model) -> usize {
    usize::from(layout(model).rows).max(1)
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

/// The lines of one evidence item at a width, at most `rows` of them.
pub fn evidence_lines(item: &Evidence, width: usize, rows: usize) -> Vec<Line> {
    let mut out = Writer { width: width.max(10), range: 0..rows, len: 0, lines: Vec::new(), whole: false };
    proof::evidence(&mut out, None, item, false);
    out.lines
}

/// Pieces of text of different roles, one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Pieces {
    text: String,
    marks: Vec<(Range<usize>, Role)>,
}

impl Pieces {
    fn with(mut self, role: Role, text: &str) -> Self {
        self.add(role, text);
        self
    }

    fn add(&mut self, role: Role, text: &str) {
        let from = self.text.len();
        self.text.push_str(text);
        if role != Role::Plain && !text.is_empty() {
            self.marks.push((from..self.text.len(), role));
        }
    }

    /// Fills up to a column.
    fn to(mut self, column: usize) -> Self {
        let missing = column.saturating_sub(self.text.width());
        self.text.extend(std::iter::repeat_n(' ', missing));
        self
    }
}

/// Counts all lines of a text and keeps those of a range.
struct Writer {
    width: usize,
    range: Range<usize>,
    len: usize,
    lines: Vec<Line>,
    /// Whether what is usually folded or cut is shown whole.
    whole: bool,
}

impl Writer {
    fn keep(&mut self, line: impl FnOnce() -> Line) {
        if self.range.contains(&self.len) {
            self.lines.push(line());
        }
        self.len += 1;
    }

    fn push(&mut self, role: Role, text: &str) {
        for line in text.split('\n') {
            for part in wrap(line, self.width) {
                self.keep(|| Line { role, text: part.to_owned(), marks: Vec::new() });
            }
        }
    }

    /// A line that is cut where the screen ends, not wrapped.
    fn long(&mut self, role: Role, text: &str) {
        self.keep(|| Line { role, text: text.to_owned(), marks: Vec::new() });
    }

    /// Pieces on as many lines as they need; those after the first begin at `indent`.
    fn pieces(&mut self, pieces: &Pieces, indent: usize) {
        self.pieces_at_most(pieces, indent, usize::MAX);
    }

    fn pieces_at_most(&mut self, pieces: &Pieces, indent: usize, most: usize) {
        let width = self.width;
        let indent = indent.min(width / 2);
        let mut from = 0;
        let parts = if pieces.text.width() <= self.width {
            vec![pieces.text.as_str()]
        } else {
            wrap(&pieces.text, self.width - indent)
        };
        let cut = parts.len() > most;
        for (number, part) in parts.into_iter().take(most).enumerate() {
            let to = from + part.len();
            self.keep(|| {
                let before = if number == 0 { 0 } else { indent };
                let mut text = " ".repeat(before);
                text.push_str(part);
                let within = |(range, role): &(Range<usize>, Role)| {
                    let (start, end) = (range.start.max(from), range.end.min(to));
                    (start < end).then(|| (start - from + before..end - from + before, *role))
                };
                let mut marks: Vec<_> = pieces.marks.iter().filter_map(within).collect();
                if cut && number + 1 == most {
                    text.truncate(text.trim_end().len());
                    while text.width() >= width && text.pop().is_some() {}
                    // What was marked up to there is marked no further than the text goes.
                    for (range, _) in &mut marks {
                        *range = range.start.min(text.len())..range.end.min(text.len());
                    }
                    text.push('…');
                }
                Line { role: Role::Plain, text, marks }
            });
            from = to;
        }
    }

    fn blank(&mut self) {
        self.push(Role::Plain, "");
    }

    fn heading(&mut self, text: &str) {
        if self.len > 0 {
            self.blank();
        }
        self.push(Role::Heading, text);
    }

    fn field(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.pieces(&Pieces::default().with(Role::Dim, &format!("  {name:<12} ")).with(Role::Plain, value), 15);
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
    let mut joint = None;
    for (at, c) in line.char_indices() {
        let wide = c.width().unwrap_or(0);
        if columns + wide > width && at > start {
            // Break after the last space, else within a long name where its parts meet, if that leaves a fair line.
            let fair = |end: &usize| *end > start + width / 2 && *end <= at;
            let end = space.filter(fair).or(joint.filter(fair)).unwrap_or(at);
            parts.push(&line[start..end]);
            start = end;
            columns = line[start..at].width();
            space = None;
            joint = None;
        }
        columns += wide;
        if c == ' ' {
            space = Some(at + 1);
        } else if matches!(c, '_' | ',' | '/' | ';' | '&') {
            joint = Some(at + 1);
        }
    }
    parts.push(&line[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_after_words() {
        assert_eq!(wrap("one two three four", 10), ["one two ", "three four"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("x request_duration_seconds", 20), ["x request_duration_", "seconds"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn what_is_cut_is_marked_no_further_than_it_goes() {
        let mut out = Writer { width: 12, range: 0..9, len: 0, lines: Vec::new(), whole: false };
        out.pieces_at_most(&Pieces::default().with(Role::Dim, "one two three four five"), 2, 2);
        assert_eq!(out.lines[1].text, "  three…");
        for line in &out.lines {
            for (range, _) in &line.marks {
                assert!(line.text.get(range.clone()).is_some(), "{line:?}");
            }
        }
        let mut out = Writer { width: 10, range: 0..9, len: 0, lines: Vec::new(), whole: false };
        out.pieces_at_most(&Pieces::default().with(Role::Dim, "abcdefghijklmnop"), 0, 1);
        assert_eq!(out.lines[0].text, "abcdefghi…");
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
