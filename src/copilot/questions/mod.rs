//! Free questions: a model that may look things up before it answers.
//!
//! Each step is one call of the model with a small schema (`shape`): a thought, and either one read-only tool or the
//! answer. So it works on every end point that enforces a schema or merely follows one. What a tool says is attached as
//! a part of its own and becomes citable evidence; the history only grows at its end, so that servers can reuse what
//! they have read before. The answer is verified as diagnoses are.
//!
//! Bounded in steps, time, tokens and the size of each result. Nothing leaves before the witness has written it down,
//! and nothing leaves unredacted.

mod ask;
pub mod call;
mod line;
#[cfg(test)]
mod looking_tests;
mod shape;
#[cfg(test)]
mod tests;
mod thread;
mod tools;
pub mod when;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub use ask::{AskError, Inquirer, ask, digest, preview};
pub use line::{Line, Seat};
pub use thread::{Subject, Thread};

use crate::domain::query::{Answer, Asked, Planned};
use crate::domain::{Text, TimeRange, Timestamp};

/// The prompt that is used.
pub const PROMPT: &str = "ask";

/// How far a question may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps: calls of the model, the answer included.
    pub steps: usize,
    /// Time in all.
    pub time: Duration,
    /// Tokens sent in all, by our own count.
    pub tokens: usize,
    /// Tokens of one request, by our own count; older results are shortened above it.
    pub request_tokens: usize,
    /// Bytes of one tool's result.
    pub result: usize,
}

impl Limits {
    /// Most steps that may be asked for.
    pub const MOST_STEPS: usize = 30;
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 8, time: Duration::from_mins(2), tokens: 150_000, request_tokens: 24_000, result: 6_000 }
    }
}

/// What a tool of the engine says.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// One line: what it is.
    pub title: Text,
    /// The text.
    pub text: Text,
    /// Items in it.
    pub items: usize,
    /// The source.
    pub source: String,
    /// The time it is about.
    pub range: TimeRange,
}

/// Why a tool says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTold {
    /// It was tried and failed.
    Failed(Text),
    /// It is not allowed.
    Refused(Text),
}

/// The engine as the tools see it. Everything here only reads.
pub trait Toolbox: Send + Sync {
    /// The present: the clock's, or the end of a recording.
    fn now(&self) -> Timestamp;
    /// Asks a source.
    fn query<'a>(&'a self, planned: &'a Planned) -> BoxFuture<'a, (Asked, Option<Answer>)>;
    /// The incidents that alerts fold into.
    fn incidents(&self) -> BoxFuture<'_, Result<Told, NotTold>>;
    /// Our own ranking of an incident; of the only one when none is named.
    fn suspects<'a>(&'a self, incident: Option<&'a str>) -> BoxFuture<'a, Result<Told, NotTold>>;
    /// Runs a command that only reads, if the gate says that it does and may.
    fn kubectl<'a>(&'a self, argv: &'a [String]) -> BoxFuture<'a, Result<Told, NotTold>>;
    /// Runbooks that speak of the words.
    fn runbook<'a>(&'a self, words: &'a str) -> BoxFuture<'a, Result<Told, NotTold>>;
}
