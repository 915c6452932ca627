//! A streaming miner of log templates: lines go in one by one, templates come out, memory stays bounded.

use super::frames::{Part, Stack};
use super::level::level_of_text;
use super::lexer::{MAX_BYTES, clipped, first_line, scan, scan_line};
use super::merge;
use super::table::{HashSink, Table};
use crate::domain::Text;

/// Bytes of lines kept as samples and exemplars, all forms together. When they are used up, unseen lines are
/// collected coarsely.
const MAX_KEPT_BYTES: usize = 32 << 20;
/// Frames of a stack trace kept with an exemplar; the innermost cause comes on top.
const MAX_FRAMES: u32 = 8;
/// Bytes of one frame.
const MAX_FRAME_BYTES: usize = 300;
/// Lines that may wait for the line that names their event.
const MAX_WAITING: u32 = 1_000;
/// Characters of a template.
const MAX_TEMPLATE: usize = 2_000;
/// Characters of an exemplar, frames included.
const MAX_EXEMPLAR: usize = 4_000;

/// A group of lines that differ only in masked parts and values, found as a line is pushed. [`Mined::template_of`]
/// says which template it became part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormId(u32);

impl FormId {
    /// Position in order of first appearance, from 0, below [`Miner::MAX_FORMS`].
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The form at a position.
    pub const fn at(index: u32) -> Self {
        Self(index)
    }
}

/// A streaming template miner. Nothing is configured; formats are told by the lines themselves.
///
/// Lines that are equal up to masked parts are one *form*, found by hash; [`Miner::templates`] then merges forms that
/// are one statement of the program. A stack trace belongs to the event above it.
///
/// # Bounds
///
/// Whatever comes, a miner keeps at most [`Miner::MAX_FORMS`] forms of at most 24 followed values each, and 32 MiB of
/// text; it reads the first 4096 bytes of a line. After that, unseen lines are collected by their first four words,
/// then as one; how many is counted ([`Mined::folded`]).
///
/// # Order
///
/// Templates and their counts do not depend on the order of events while nothing is folded. Which line is the
/// exemplar (the first of its form), which lines are folded, and which trace belongs to which event does.
#[derive(Default)]
pub struct Miner {
    table: Table,
    sink: HashSink,
    samples: Vec<Sample>,
    stack: Stack,
    /// The form of the event that a continuation would belong to.
    current: Option<u32>,
    /// Whether that event was its form's first, so that its frames are kept.
    is_first: bool,
    /// Whether the open traceback belongs to the event above it.
    joined: bool,
    waiting: Waiting,
    kept: usize,
    lines: u64,
    events: u64,
}

/// What is kept of the first event of a form.
#[derive(Default)]
struct Sample {
    /// Lines before the one that names the event.
    before: Box<str>,
    /// The line that names the event.
    line: Box<str>,
    /// The first frames, each with a line break in front.
    after: String,
    frames: u32,
    /// The last cause or exception that was no longer among the first frames.
    cause: String,
    level: &'static str,
}

/// Lines of an event whose name has not come yet.
#[derive(Default)]
struct Waiting {
    lines: u32,
    text: String,
}

/// A template of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinedTemplate {
    /// The text, variable parts as `<*>`.
    pub template: Text,
    /// Events.
    pub count: u64,
    /// `error`, `warn`, `info`, `debug`, or empty when the lines do not say.
    pub level: &'static str,
    /// The first event of its most frequent form, with the first frames and the innermost cause.
    pub exemplar: Text,
}

/// What a miner found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mined {
    /// The templates, most frequent first, ties by text.
    pub templates: Vec<MinedTemplate>,
    /// Lines pushed.
    pub lines: u64,
    /// Events among them: lines less the continuations.
    pub events: u64,
    /// Events that were collected coarsely because a bound was reached.
    pub folded: u64,
    of: Vec<u32>,
}

impl Mined {
    /// Index into [`Mined::templates`] of the template that a form belongs to.
    pub fn template_of(&self, form: FormId) -> Option<usize> {
        self.of.get(form.0 as usize).map(|index| *index as usize)
    }
}

impl Miner {
    /// Most forms that are kept.
    pub const MAX_FORMS: usize = super::table::MAX_FORMS + super::table::MAX_COARSE + 1;

    /// An empty miner.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one line, or one entry of several lines; the form that it belongs to. `None` when the next line that
    /// gets a form names the event (a Python traceback is named by its last line); at the end [`Miner::finish`] does.
    pub fn push(&mut self, line: &str) -> Option<FormId> {
        self.lines += 1;
        let (head, rest) = line.split_once('\n').unwrap_or((line, ""));
        let head = clipped(head, MAX_BYTES);
        let part = self.stack.part_of(head, !rest.is_empty());
        let form = match part {
            Part::Frame => match self.current {
                _ if self.waiting.lines > 0 => return self.wait(head),
                Some(current) => {
                    self.keep_frame(current, head);
                    current
                }
                None => self.record(line, head),
            },
            Part::Exception => match self.failing() {
                Some(current) => {
                    self.keep_frame(current, head);
                    current
                }
                None => self.record(line, head),
            },
            Part::Traceback => {
                if let Some(current) = self.failing() {
                    self.joined = true;
                    self.keep_frame(current, head);
                    current
                } else {
                    self.joined = false;
                    return self.wait(head);
                }
            }
            Part::Opening => {
                self.joined = false;
                return self.wait(head);
            }
            Part::Name => match self.current {
                Some(current) if self.joined && self.waiting.lines == 0 => {
                    self.keep_frame(current, head);
                    current
                }
                _ => self.record(line, head),
            },
            Part::Head => self.record(line, head),
        };
        if !rest.is_empty() && part != Part::Frame && self.is_first {
            for frame in rest.lines() {
                self.keep_frame(form, frame);
            }
        }
        Some(FormId(form))
    }

    /// Names an event whose last line never came. Call it after the last line.
    pub fn finish(&mut self) -> Option<FormId> {
        if self.waiting.lines == 0 {
            return None;
        }
        let text = std::mem::take(&mut self.waiting.text);
        self.waiting.lines = 0;
        let first = text.split('\n').next().unwrap_or_default();
        Some(FormId(self.record(&text, first)))
    }

    /// Events so far: lines less the continuations.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Bytes of lines that are kept; at most 32 MiB.
    pub fn kept_bytes(&self) -> usize {
        self.kept
    }

    /// The form of the event above, when it tells of a failure.
    fn failing(&self) -> Option<u32> {
        let current = self.current.filter(|_| self.waiting.lines == 0)?;
        matches!(self.samples[current as usize].level, "error" | "warn").then_some(current)
    }

    fn wait(&mut self, line: &str) -> Option<FormId> {
        if self.waiting.lines >= MAX_WAITING {
            let form = self.finish();
            self.stack = Stack::default();
            return form;
        }
        if self.waiting.lines <= MAX_FRAMES {
            if self.waiting.lines > 0 {
                self.waiting.text.push('\n');
            }
            self.waiting.text.push_str(clipped(line, MAX_FRAME_BYTES));
        }
        self.waiting.lines += 1;
        None
    }

    fn record(&mut self, text: &str, head: &str) -> u32 {
        self.events += 1;
        self.sink.start(0, self.kept < MAX_KEPT_BYTES && self.table.has_room());
        if head.len() == text.len() {
            scan_line(text.trim_end(), &mut self.sink);
        } else {
            scan(text, &mut self.sink);
        }
        let form = self.table.record(&self.sink);
        self.is_first = form as usize == self.samples.len();
        if self.is_first {
            let line = clipped(first_line(text), MAX_BYTES);
            // A name that comes late says nothing about the level; the lines before it do.
            let level = Some(level_of_text(&self.waiting.text))
                .filter(|level| !level.is_empty())
                .unwrap_or_else(|| level_of_text(text));
            let before: &str = if self.waiting.lines > 0 {
                &self.waiting.text
            } else if head.trim_end() == line {
                ""
            } else {
                head
            };
            self.kept += line.len() + before.len();
            self.samples.push(Sample { before: before.into(), line: line.into(), level, ..Sample::default() });
        }
        self.waiting.lines = 0;
        self.waiting.text.clear();
        self.current = Some(form);
        form
    }

    fn keep_frame(&mut self, form: u32, frame: &str) {
        if !self.is_first || self.kept >= MAX_KEPT_BYTES || frame.trim().is_empty() {
            return;
        }
        let sample = &mut self.samples[form as usize];
        let frame = clipped(frame.trim_end(), MAX_FRAME_BYTES);
        if *frame == *sample.line {
            return;
        }
        if sample.frames < MAX_FRAMES {
            sample.frames += 1;
            sample.after.push('\n');
            sample.after.push_str(frame);
            self.kept += frame.len() + 1;
        } else if frame.starts_with("Caused by: ") || super::frames::is_exception(frame.trim_start()) {
            self.kept = self.kept + frame.len() - sample.cause.len();
            frame.clone_into(&mut sample.cause);
        }
    }

    /// The templates of all lines so far.
    pub fn templates(&self) -> Mined {
        let merged = merge::templates(&self.table.shapes, |form| &*self.samples[form].line);
        let mut templates: Vec<(MinedTemplate, Vec<u32>)> = merged
            .into_iter()
            .map(|template| {
                let key = |form: &u32| (self.table.shapes[*form as usize].count, std::cmp::Reverse(*form));
                let sample = template.forms.iter().copied().max_by_key(key).map(|form| &self.samples[form as usize]);
                let mined = MinedTemplate {
                    template: Text::new(&template.render()).truncated(MAX_TEMPLATE),
                    count: template.weight,
                    level: sample.map_or("", |sample| sample.level),
                    exemplar: sample.map(Sample::exemplar).unwrap_or_default(),
                };
                (mined, template.forms)
            })
            .collect();
        templates.sort_by(|(a, _), (b, _)| {
            b.count.cmp(&a.count).then_with(|| a.template.cmp(&b.template)).then_with(|| a.exemplar.cmp(&b.exemplar))
        });
        let mut of = vec![0; self.samples.len()];
        for (index, (_, forms)) in templates.iter().enumerate() {
            for form in forms {
                of[*form as usize] = index as u32;
            }
        }
        Mined {
            templates: templates.into_iter().map(|(template, _)| template).collect(),
            lines: self.lines,
            events: self.events,
            folded: self.table.folded,
            of,
        }
    }
}

impl Sample {
    fn exemplar(&self) -> Text {
        let mut out = String::new();
        if !self.before.is_empty() {
            out.push_str(&self.before);
            out.push('\n');
        }
        out.push_str(&self.line);
        out.push_str(&self.after);
        if !self.cause.is_empty() {
            out.push_str("\n…\n");
            out.push_str(&self.cause);
        }
        Text::new(&out).truncated(MAX_EXEMPLAR)
    }
}
