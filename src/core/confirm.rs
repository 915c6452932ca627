//! The confirm dialog: the only place where a run can be ordered.

use std::collections::VecDeque;

use crate::domain::action::{Action, Decision, Digest, OutputLine, RunState, Verification};
use crate::domain::{Text, Timestamp};
use crate::gate::{changes, preview};

use super::effect::Generation;
use super::key::Key;
use super::message::{Prepared, RunReport};

/// Lines of output kept for the screen. The ledger keeps its own, larger bound.
pub const OUTPUT_LINES: usize = 2_000;

/// Longest confirmation that can be typed, in characters.
const TYPED_MAX: usize = 100;

/// The key that runs what needs no typed word. Not Enter, which opened the dialog and may repeat.
pub const RUN_KEY: Key = Key::Char('x');

/// The key that shows the tool's own preview of the command. Not a letter: a word may be being typed.
pub const PREVIEW_KEY: Key = Key::Ctrl('p');

/// The key that shows, after a run, the command that takes it back.
pub const UNDO_KEY: Key = Key::Char('u');

/// The key that asks again, after a run, whether it helped.
pub const VERIFY_KEY: Key = Key::Char('v');

/// Columns inside the dialog on a screen of this width.
pub fn inner_columns(columns: u16) -> usize {
    usize::from(columns.saturating_sub(2).min(104).saturating_sub(4)).max(10)
}

/// Whether the whole command can be seen in the dialog on a screen of this size, with room for what is asked.
fn fits(prepared: &Prepared, (columns, rows): (u16, u16)) -> bool {
    let lines = super::reading::wrap(&super::copy::command_line(&prepared.request.argv), inner_columns(columns)).len();
    // The screen's own five rows, the box, the question, and the place it runs at.
    lines + 13 <= usize::from(rows)
}

/// The operator's order to run exactly one request. Only [`Dialog::key`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOrder {
    generation: Generation,
    prepared: Prepared,
    typed: String,
}

impl RunOrder {
    /// Number of the effect.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What was shown.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The digest of what was shown.
    pub fn digest(&self) -> &Digest {
        &self.prepared.digest
    }

    /// What the operator typed; empty when one key was enough.
    pub fn typed(&self) -> &str {
        &self.typed
    }
}

/// The dialog's state.
#[derive(Debug, Clone, PartialEq)]
pub struct Dialog {
    /// The action.
    pub action: Action,
    /// Where it stands.
    pub stage: Stage,
    /// What was typed.
    pub typed: String,
    /// Whether what must be seen was drawn on the screen.
    pub drawn: bool,
    /// Lines scrolled up from the end of the output.
    pub scroll: usize,
    /// Output, newest last.
    pub output: VecDeque<OutputLine>,
    /// Lines of output dropped, here or on the way.
    pub dropped: u64,
    /// The verify query's answers after the run.
    pub verification: Option<Verification>,
    generation: Generation,
}

/// Where a dialog stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// The request is being resolved and judged.
    Preparing,
    /// It is shown and waits for the operator.
    Ready(Box<Prepared>),
    /// It could not be prepared, or the gate refused at the last moment.
    Refused(Text),
    /// It runs.
    Running {
        /// What runs.
        prepared: Box<Prepared>,
        /// Since when.
        since: Timestamp,
    },
    /// It is over.
    Ended {
        /// What ran.
        prepared: Box<Prepared>,
        /// How it ended.
        state: RunState,
    },
}

/// What a key press in the dialog leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing beyond the dialog.
    Stay,
    /// Close the dialog; an effect under way is to be aborted.
    Close(Option<Generation>),
    /// Abort the run; the dialog stays to show how it ends.
    Cancel(Generation),
    /// Run.
    Run(Box<RunOrder>),
    /// Ask again whether the run of this digest helped.
    Verify(Digest),
    /// Show another action in a dialog of its own, above this one.
    Open(Box<Action>),
    /// Something to tell the operator.
    Say(&'static str),
}

impl Dialog {
    /// A dialog for an action whose preparation is under way under this number.
    pub fn new(action: Action, generation: Generation) -> Self {
        Self {
            action,
            stage: Stage::Preparing,
            typed: String::new(),
            drawn: false,
            scroll: 0,
            output: VecDeque::new(),
            dropped: 0,
            verification: None,
            generation,
        }
    }

    /// Whether reports with this number belong here.
    pub fn awaits(&self, generation: Generation) -> bool {
        self.generation == generation
    }

    /// What is to run, once it is known.
    pub fn prepared(&self) -> Option<&Prepared> {
        match &self.stage {
            Stage::Ready(prepared) | Stage::Running { prepared, .. } | Stage::Ended { prepared, .. } => Some(prepared),
            Stage::Preparing | Stage::Refused(_) => None,
        }
    }

    /// What a typed change does, in one sentence; `None` for plain commands.
    pub fn does(&self) -> Option<String> {
        Some(changes::command(self.action.change.as_ref()?).ok()?.does)
    }

    /// Whether a process is running.
    pub fn running(&self) -> bool {
        matches!(self.stage, Stage::Running { .. })
    }

    /// The preparation is over.
    pub fn prepare(&mut self, result: Result<Box<Prepared>, Text>) {
        if self.stage == Stage::Preparing {
            self.drawn = false;
            self.typed.clear();
            self.stage = match result {
                Ok(prepared) => Stage::Ready(prepared),
                Err(why) => Stage::Refused(why),
            };
        }
    }

    /// The dialog stands on a screen of this size as it is.
    pub fn shown(&mut self, size: (u16, u16)) {
        if let Stage::Ready(prepared) = &self.stage {
            self.drawn = fits(prepared, size);
        }
    }

    /// News of the run.
    pub fn report(&mut self, report: RunReport) {
        match report {
            RunReport::Line(line) => {
                if self.output.len() == OUTPUT_LINES {
                    self.output.pop_front();
                    self.dropped += 1;
                }
                self.output.push_back(line);
                if self.scroll > 0 {
                    self.scroll = (self.scroll + 1).min(OUTPUT_LINES);
                }
            }
            RunReport::Dropped(lines) => self.dropped = self.dropped.saturating_add(lines),
            RunReport::Ended(state) => {
                if let Stage::Running { prepared, .. } = &self.stage {
                    self.stage = Stage::Ended { prepared: prepared.clone(), state };
                }
            }
            RunReport::Verified(verification) => self.verification = Some(verification),
            RunReport::Refused(why) => self.stage = Stage::Refused(why),
        }
    }

    /// Why it cannot be run by a key press now; `None` when it can.
    pub fn why_not(&self) -> Option<&'static str> {
        let Stage::Ready(prepared) = &self.stage else {
            return Some(match self.stage {
                Stage::Preparing => "still being prepared",
                Stage::Running { .. } => "it runs already",
                _ => "it is over",
            });
        };
        if prepared.blocked.is_some() {
            return Some("the guardrails do not let it run");
        }
        if matches!(prepared.judged.verdict.decision, Decision::Deny | Decision::Approve) {
            return Some("the guardrails do not let it run");
        }
        if !self.drawn {
            return Some("the whole command is not on the screen: enlarge the terminal");
        }
        match &prepared.word {
            Some(word) if *word != self.typed => Some("the typed word is not the one asked for"),
            _ => None,
        }
    }

    /// A key press. `next` is the number the run gets if this press orders one.
    pub fn key(&mut self, key: Key, now: Timestamp, next: Generation) -> Step {
        match key {
            Key::Esc => return self.escape(),
            Key::PageUp | Key::Up => {
                self.scroll = (self.scroll + if key == Key::Up { 1 } else { 10 }).min(self.output.len());
                return Step::Stay;
            }
            Key::PageDown | Key::Down => {
                self.scroll = self.scroll.saturating_sub(if key == Key::Down { 1 } else { 10 });
                return Step::Stay;
            }
            _ => {}
        }
        if key == PREVIEW_KEY && matches!(self.stage, Stage::Ready(_)) {
            let preview = preview::preview_of(&self.action);
            return preview.map_or(Step::Say("the tool has no preview of this"), |action| Step::Open(Box::new(action)));
        }
        let Stage::Ready(prepared) = &self.stage else {
            return match (&self.stage, key) {
                (Stage::Ended { .. }, UNDO_KEY) => preview::undo_of(&self.action)
                    .map_or(Step::Say("no command is known that undoes it"), |action| Step::Open(Box::new(action))),
                (Stage::Ended { prepared, .. }, VERIFY_KEY) if self.verification.is_some() => {
                    self.generation = next;
                    Step::Verify(prepared.digest.clone())
                }
                (Stage::Ended { .. } | Stage::Refused(_), Key::Char('q') | Key::Enter) => Step::Close(None),
                _ => Step::Stay,
            };
        };
        let confirms = if prepared.word.is_some() { Key::Enter } else { RUN_KEY };
        if key == confirms {
            if let Some(why) = self.why_not() {
                return Step::Say(why);
            }
            let prepared = prepared.clone();
            let order =
                RunOrder { generation: next, prepared: (*prepared).clone(), typed: std::mem::take(&mut self.typed) };
            self.generation = next;
            self.stage = Stage::Running { prepared, since: now };
            return Step::Run(Box::new(order));
        }
        if prepared.word.is_none() {
            return if key == Key::Char('q') { Step::Close(None) } else { Step::Stay };
        }
        if !self.drawn {
            return Step::Stay;
        }
        match key {
            Key::Char(c) if self.typed.chars().count() < TYPED_MAX => self.typed.push(c),
            Key::Backspace => {
                self.typed.pop();
            }
            Key::Ctrl('u' | 'w') => self.typed.clear(),
            _ => {}
        }
        Step::Stay
    }

    fn escape(&mut self) -> Step {
        match self.stage {
            Stage::Preparing => Step::Close(Some(self.generation)),
            Stage::Running { .. } => Step::Cancel(self.generation),
            Stage::Ready(_) | Stage::Refused(_) | Stage::Ended { .. } => Step::Close(None),
        }
    }
}
