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

/// The key that asks for the approval of another person.
pub const ASK_KEY: Key = Key::Char('a');

/// The key that goes past an approval, with a reason.
pub const BREAK_KEY: Key = Key::Ctrl('b');

/// Fewest characters of a reason to go past an approval.
pub const REASON_MIN: usize = 10;

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
    break_glass: Option<String>,
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

    /// Why it runs without the approval that it needs.
    pub fn break_glass(&self) -> Option<&str> {
        self.break_glass.as_deref()
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
    /// Whether a reason is being typed to go past an approval.
    pub breaking: bool,
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
    /// Another person is asked to approve it.
    Asked {
        /// What would run.
        prepared: Box<Prepared>,
        /// The request, once it stands in the ledger.
        request: Option<Digest>,
    },
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
    /// Ask for the approval of what was prepared under this digest.
    Ask(Digest),
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
            breaking: false,
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
            Stage::Ready(prepared)
            | Stage::Asked { prepared, .. }
            | Stage::Running { prepared, .. }
            | Stage::Ended { prepared, .. } => Some(prepared),
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

    /// The request stands in the ledger, or could not be made.
    pub fn requested(&mut self, result: Result<Digest, Text>) {
        if let Stage::Asked { prepared, request } = &mut self.stage {
            match result {
                Ok(digest) => *request = Some(digest),
                Err(why) => {
                    let blocked = Some(why);
                    self.stage = Stage::Ready(Box::new(Prepared { blocked, can_ask: true, ..(**prepared).clone() }));
                }
            }
        }
    }

    /// What was asked for is approved, and is prepared again under this number.
    pub fn approved(&mut self, generation: Generation) {
        self.stage = Stage::Preparing;
        self.generation = generation;
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
                Stage::Asked { .. } => "it waits for an approval",
                Stage::Running { .. } => "it runs already",
                _ => "it is over",
            });
        };
        let decision = prepared.judged.verdict.decision;
        if self.breaking && prepared.can_break && decision == Decision::Approve {
            if !self.drawn {
                return Some("the whole command is not on the screen: enlarge the terminal");
            }
            let short = self.typed.trim().chars().count() < REASON_MIN;
            return short.then_some("say why, in a few words: somebody will review it");
        }
        if prepared.blocked.is_some() {
            return Some("the guardrails do not let it run");
        }
        if decision == Decision::Deny || decision == Decision::Approve && prepared.approved.is_none() {
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
        if !self.breaking && prepared.blocked.is_some() {
            match key {
                ASK_KEY if prepared.can_ask => {
                    let digest = prepared.digest.clone();
                    self.stage = Stage::Asked { prepared: prepared.clone(), request: None };
                    self.generation = next;
                    return Step::Ask(digest);
                }
                BREAK_KEY if prepared.can_break => {
                    self.breaking = true;
                    self.typed.clear();
                    return Step::Stay;
                }
                _ => {}
            }
        }
        let types = prepared.word.is_some() || self.breaking;
        let confirms = if types { Key::Enter } else { RUN_KEY };
        if key == confirms {
            if let Some(why) = self.why_not() {
                return Step::Say(why);
            }
            let prepared = prepared.clone();
            let mut typed = std::mem::take(&mut self.typed);
            let break_glass = self.breaking.then(|| std::mem::take(&mut typed).trim().to_owned());
            self.breaking = false;
            let order = RunOrder { generation: next, prepared: (*prepared).clone(), typed, break_glass };
            self.generation = next;
            self.stage = Stage::Running { prepared, since: now };
            return Step::Run(Box::new(order));
        }
        if !types {
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
        if std::mem::take(&mut self.breaking) {
            self.typed.clear();
            return Step::Stay;
        }
        match self.stage {
            Stage::Preparing => Step::Close(Some(self.generation)),
            Stage::Running { .. } => Step::Cancel(self.generation),
            // A request stays in the ledger, and can still be approved and run.
            Stage::Ready(_) | Stage::Asked { .. } | Stage::Refused(_) | Stage::Ended { .. } => Step::Close(None),
        }
    }
}
