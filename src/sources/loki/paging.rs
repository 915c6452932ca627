//! Paging through log entries without losing any. Pure: what to ask next, and what to make of the answer.
//!
//! Loki pages by time only. After a full page the next one starts at the very nanosecond where the page ended, so
//! that entries of that nanosecond which did not fit are not lost; those seen already are recognised by stream,
//! time and line. When one nanosecond fills a page there is no way to see the rest: it is left out, and said.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::log::LogEntry;
use crate::domain::query::{Direction, Note};
use crate::domain::{TimeRange, Timestamp};
use crate::sources::samples::cut;

/// Longest span of one request: Loki refuses more than 30d1h unless it is configured otherwise.
const SPAN: Duration = Duration::from_hours(30 * 24);
/// Smallest page when pages are made smaller because they hold too many bytes.
const SMALLEST_PAGE: usize = 50;

/// One request to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    /// The half-open range.
    pub(super) range: TimeRange,
    /// Entries to ask for.
    pub(super) limit: usize,
}

/// Progress of one question for log entries.
pub(super) struct Pager {
    /// What is still to be asked.
    left: TimeRange,
    direction: Direction,
    /// Entries wanted.
    limit: usize,
    /// Bytes of lines wanted.
    bytes: usize,
    /// Most entries of one request.
    page: usize,
    /// Longest span of one request.
    span: Duration,
    /// Entries in the direction of the question, all times before the boundary complete.
    done: Vec<LogEntry>,
    /// Entries of the nanosecond at which the last full page ended: they will be seen again.
    boundary: Vec<LogEntry>,
    done_bytes: usize,
    over: bool,
    notes: Vec<Note>,
    strays: usize,
}

impl Pager {
    /// For at most `limit` entries and `bytes` bytes of lines, asked in pages of `page` entries.
    pub(super) fn new(range: TimeRange, direction: Direction, limit: usize, bytes: usize, page: usize) -> Self {
        Self {
            left: range,
            direction,
            limit,
            bytes,
            page: page.max(1),
            span: SPAN,
            done: Vec::new(),
            boundary: Vec::new(),
            done_bytes: 0,
            over: limit == 0,
            notes: Vec::new(),
            strays: 0,
        }
    }

    /// The next request, `None` at the end.
    pub(super) fn next(&self) -> Option<Ask> {
        if self.over || self.left.duration().is_zero() {
            return None;
        }
        let range = match self.direction {
            Direction::Backward => TimeRange::new(self.left.start.max(self.left.end.minus(self.span)), self.left.end),
            Direction::Forward => TimeRange::new(self.left.start, self.left.end.min(self.left.start.plus(self.span))),
        };
        // One more than wanted, to know whether there is more.
        Some(Ask { range, limit: self.page.min(self.limit + 1 - self.done.len()) })
    }

    /// Whether something was answered already.
    pub(super) fn has_begun(&self) -> bool {
        !self.done.is_empty() || !self.boundary.is_empty()
    }

    /// Takes the answer to `ask`.
    pub(super) fn take(&mut self, ask: Ask, entries: Vec<LogEntry>) {
        let full = entries.len() >= ask.limit;
        let returned = entries.len();
        let mut entries: Vec<LogEntry> = entries.into_iter().filter(|entry| ask.range.contains(entry.at)).collect();
        self.strays += returned - entries.len();
        let boundary = std::mem::take(&mut self.boundary);
        entries.extend(unseen(boundary, &entries));
        self.sort(&mut entries);
        let Some(last) = entries.last().map(|entry| entry.at).filter(|_| full) else {
            // Nothing more in this span; a full page of strays is the server's error, and no reason to go on.
            self.commit(entries);
            self.left = match self.direction {
                Direction::Backward => TimeRange { start: self.left.start, end: ask.range.start },
                Direction::Forward => TimeRange { start: ask.range.end, end: self.left.end },
            };
            return;
        };
        let at_once = entries.first().is_some_and(|first| first.at == last);
        let first_nano = match self.direction {
            Direction::Backward => last.plus(NANO) == ask.range.end,
            Direction::Forward => last == ask.range.start,
        };
        if at_once && first_nano {
            // The whole page lies in the nanosecond that was asked for from its edge: no request can show more.
            let count = entries.len();
            self.commit(entries);
            if !self.over {
                self.notes.push(cut(&format!(
                    "more entries than one page ({count}) share the time {last}: some of them may be missing"
                )));
            }
            self.skip(last);
            return;
        }
        let keep = entries.partition_point(|entry| entry.at != last);
        let boundary = entries.split_off(keep);
        self.commit(entries);
        if self.over {
            return;
        }
        self.boundary = boundary;
        match self.direction {
            Direction::Backward => self.left.end = last.plus(NANO),
            Direction::Forward => self.left.start = last,
        }
        if self.done.len() + self.boundary.len() > self.limit {
            let boundary = std::mem::take(&mut self.boundary);
            self.commit(boundary);
        }
    }

    /// The server's limit of entries for one request. False when that is no news.
    pub(super) fn limit_page(&mut self, page: usize) -> bool {
        let smaller = page >= 1 && page < self.page;
        if smaller {
            self.page = page;
        }
        smaller
    }

    /// The server's limit of time for one request. False when that is no news.
    pub(super) fn limit_span(&mut self, span: Duration) -> bool {
        let shorter = !span.is_zero() && span < self.span;
        if shorter {
            self.span = span;
        }
        shorter
    }

    /// Asks for less at once, since a page held too many bytes. False when pages are small already.
    pub(super) fn halve_page(&mut self, asked: usize) -> bool {
        let half = asked / 2;
        half >= SMALLEST_PAGE && self.limit_page(half)
    }

    /// Ends early; what is there stays.
    pub(super) fn stop(&mut self, why: &str) {
        self.over = true;
        self.notes.push(cut(why));
    }

    /// Entries oldest first, and what is to be said. Entries of one time are ordered by stream, those of one stream
    /// as the server gave them, which keeps the lines of a stack trace together.
    pub(super) fn finish(mut self) -> (Vec<LogEntry>, Vec<Note>) {
        let boundary = std::mem::take(&mut self.boundary);
        self.over = false;
        self.commit(boundary);
        if self.direction == Direction::Backward {
            self.done.reverse();
        }
        self.done.sort_by(|a, b| (a.at, &a.labels).cmp(&(b.at, &b.labels)));
        if self.strays > 0 {
            self.notes.push(cut(&format!("{} entries outside the time asked for are left out", self.strays)));
        }
        (self.done, self.notes)
    }

    fn sort(&self, entries: &mut [LogEntry]) {
        match self.direction {
            Direction::Backward => entries.sort_by_key(|entry| std::cmp::Reverse(entry.at)),
            Direction::Forward => entries.sort_by_key(|entry| entry.at),
        }
    }

    /// Adds entries up to the limits.
    fn commit(&mut self, entries: Vec<LogEntry>) {
        for entry in entries {
            if self.over {
                return;
            }
            let size = entry.line.len();
            let side = match self.direction {
                Direction::Backward => "older",
                Direction::Forward => "newer",
            };
            if self.done.len() >= self.limit {
                self.stop(&format!("the limit of {} entries is reached: {side} ones are left out", self.limit));
            } else if self.done_bytes + size > self.bytes {
                self.stop(&format!("the limit of {} bytes is reached: {side} entries are left out", self.bytes));
            } else {
                self.done_bytes += size;
                self.done.push(entry);
            }
        }
    }

    fn skip(&mut self, at: Timestamp) {
        match self.direction {
            Direction::Backward => self.left = TimeRange::new(self.left.start, at.max(self.left.start)),
            Direction::Forward => self.left.start = at.plus(NANO).min(self.left.end),
        }
    }
}

const NANO: Duration = Duration::from_nanos(1);

/// Those of `boundary` that `entries` do not hold, each as often as it stands there.
fn unseen(boundary: Vec<LogEntry>, entries: &[LogEntry]) -> Vec<LogEntry> {
    if boundary.is_empty() {
        return boundary;
    }
    let at = boundary[0].at;
    let mut seen: HashMap<_, usize> = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.at == at) {
        *seen.entry((&entry.labels, &entry.metadata, &entry.line)).or_default() += 1;
    }
    let mut new = Vec::new();
    for entry in &boundary {
        match seen.get_mut(&(&entry.labels, &entry.metadata, &entry.line)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => new.push(entry.clone()),
        }
    }
    new
}

#[cfg(test)]
mod tests;
