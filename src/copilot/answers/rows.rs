//! Rows of text within bounds, and the figures and times in them.

use crate::domain::{Text, Timestamp};

use super::Bounds;

/// Bytes kept free for what is said at the end.
const RESERVE: usize = 200;
/// Bytes of the notes of the source, together.
const NOTES: usize = 600;

/// Collects rows until the bounds are reached, then counts.
#[derive(Debug)]
pub(super) struct Rows {
    bounds: Bounds,
    text: String,
    shown: usize,
    cut: usize,
    noted: usize,
    end: Vec<String>,
}

impl Rows {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, text: String::new(), shown: 0, cut: 0, noted: 0, end: Vec::new() }
    }

    /// A line that is not a row: always told.
    pub(super) fn head(&mut self, line: &str) {
        self.push(line);
    }

    /// What the source has to say about its answer.
    pub(super) fn note(&mut self, note: &Text) {
        if self.noted < NOTES {
            self.noted += note.len();
            self.push(&format!("note: {}", note.truncated(NOTES / 2).one_line()));
        }
    }

    /// One row; whether there was room for it.
    pub(super) fn row(&mut self, line: &str) -> bool {
        let room = self.bounds.bytes.saturating_sub(RESERVE);
        if self.shown >= self.bounds.rows || self.text.len() + line.len() > room {
            self.cut += 1;
            return false;
        }
        self.shown += 1;
        self.push(line);
        true
    }

    /// What belongs to the row before, if there is room for it.
    pub(super) fn under(&mut self, line: &str) {
        if self.text.len() + line.len() <= self.bounds.bytes.saturating_sub(RESERVE) {
            self.push(&format!("  {line}"));
        }
    }

    /// Counts rows that were not even tried.
    pub(super) fn skip(&mut self, rows: usize) {
        self.cut += rows;
    }

    /// How many rows may be shown at all.
    pub(super) fn most(&self) -> usize {
        self.bounds.rows
    }

    /// Said at the end, after the number of rows that were left out.
    pub(super) fn last(&mut self, line: String) {
        self.end.push(line);
    }

    fn push(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }

    pub(super) fn finish(mut self) -> String {
        if self.cut > 0 {
            self.push(&format!("… {} more are not shown", self.cut));
        }
        for line in std::mem::take(&mut self.end) {
            self.push(&line);
        }
        let end = self.text.floor_char_boundary(self.bounds.bytes);
        self.text.truncate(end);
        self.text
    }
}

/// A figure as it can be quoted: whole numbers in full, others with five significant digits.
pub(in crate::copilot) fn figure(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = value.abs();
    if size >= 1e15 || (size != 0.0 && size < 1e-6) {
        return format!("{value:.4e}");
    }
    if value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let decimals = (4.0 - size.log10().floor()).clamp(0.0, 10.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A time: of day where it is the day of `beside`, with its date otherwise.
pub(super) fn stamp(at: Timestamp, beside: Timestamp) -> String {
    const DAY: i64 = 86_400;
    if at.secs().div_euclid(DAY) == beside.secs().div_euclid(DAY) { at.to_clock() } else { at.format(super::FULL) }
}

/// Text on one line of at most `max` characters.
pub(super) fn short(text: &str, max: usize) -> String {
    Text::from(Text::from(text).one_line().into_owned()).truncated(max).to_string()
}
