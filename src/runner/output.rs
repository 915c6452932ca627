//! Output of a run: bytes into lines, lines into events, both bounded.

use std::collections::VecDeque;
use std::fmt::Write as _;

use tokio::sync::mpsc;

use super::{Bounds, RunEvent};
use crate::domain::Text;
use crate::domain::action::{OutputLine, RunState};

/// Cuts one stream into lines.
#[derive(Debug)]
pub(super) struct Lines {
    stderr: bool,
    most: usize,
    partial: Vec<u8>,
    /// Bytes of the current line beyond the bound.
    cut: usize,
}

impl Lines {
    pub(super) fn new(stderr: bool, bounds: Bounds) -> Self {
        Self { stderr, most: bounds.line_bytes, partial: Vec::new(), cut: 0 }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], sink: &mut Sink) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.take(&bytes[..end]);
            self.flush(sink);
            bytes = &bytes[end + 1..];
        }
        self.take(bytes);
    }

    /// The end of the stream: what stands without a line break is a line too.
    pub(super) fn finish(&mut self, sink: &mut Sink) {
        if !self.partial.is_empty() || self.cut > 0 {
            self.flush(sink);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.most.saturating_sub(self.partial.len()).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..room]);
        self.cut += bytes.len() - room;
    }

    fn flush(&mut self, sink: &mut Sink) {
        let line = self.partial.strip_suffix(b"\r").filter(|_| self.cut == 0).unwrap_or(&self.partial);
        sink.line(self.stderr, line, self.cut);
        self.partial.clear();
        self.cut = 0;
    }
}

/// A line that waits for the end of the run.
#[derive(Debug)]
struct Kept {
    stderr: bool,
    bytes: Vec<u8>,
    cut: usize,
}

/// Sends events within the bounds: the beginning as it comes, the end after the run, a count for what lies between.
#[derive(Debug)]
pub(super) struct Sink {
    events: mpsc::Sender<RunEvent>,
    bounds: Bounds,
    lines: usize,
    bytes: usize,
    tail: VecDeque<Kept>,
    dropped: u64,
    /// The count at which the next [`RunEvent::Dropped`] is sent; doubles, so that there are few.
    tell_at: u64,
}

impl Sink {
    pub(super) fn new(events: mpsc::Sender<RunEvent>, bounds: Bounds) -> Self {
        Self { events, bounds, lines: 0, bytes: 0, tail: VecDeque::new(), dropped: 0, tell_at: 1 }
    }

    pub(super) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Waits until nobody listens any more.
    pub(super) async fn closed(&self) {
        self.events.closed().await;
    }

    pub(super) fn note(&self, text: &str) {
        self.send(RunEvent::Note(Text::new(text)));
    }

    fn send(&self, event: RunEvent) {
        // The channel has room for all that can be sent; an error means that nobody listens, which ends the run.
        let _ = self.events.try_send(event);
    }

    fn line(&mut self, stderr: bool, bytes: &[u8], cut: usize) {
        let fits = self.tail.is_empty() && self.lines < self.bounds.lines && self.bytes < self.bounds.bytes;
        if fits {
            self.lines += 1;
            self.bytes += bytes.len();
            self.send(event(stderr, bytes, cut));
            return;
        }
        self.tail.push_back(Kept { stderr, bytes: bytes.to_vec(), cut });
        if self.tail.len() > self.bounds.tail_lines {
            self.tail.pop_front();
            self.dropped += 1;
            if self.dropped >= self.tell_at {
                self.tell_at = self.dropped.saturating_mul(2);
                self.send(RunEvent::Dropped(self.dropped));
            }
        }
    }

    /// Sends what was kept of the end, and the end itself.
    pub(super) fn end(mut self, state: RunState) {
        if self.dropped > 0 {
            self.send(RunEvent::Dropped(self.dropped));
        }
        for Kept { stderr, bytes, cut } in std::mem::take(&mut self.tail) {
            self.send(event(stderr, &bytes, cut));
        }
        self.send(RunEvent::Ended(state));
    }
}

fn event(stderr: bool, bytes: &[u8], cut: usize) -> RunEvent {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if cut > 0 {
        let _ = write!(text, " … ({cut} bytes cut)");
    }
    RunEvent::Line(OutputLine { stderr, text: Text::from(text) })
}
