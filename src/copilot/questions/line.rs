//! The end points as a question takes them.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::copilot::call::{CallOutcome, Witness};
use crate::domain::diagnosis::Bill;
use crate::llm::{LlmClient, LlmErrorKind};

/// An end point that may be asked now.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Its client.
    pub client: LlmClient,
    /// Budget of an incident's pack, in o200k tokens.
    pub pack_budget: usize,
}

/// The end points, one after another, each as far as it may be asked. A question stays with one as long as that
/// answers. Implemented by `app`, which knows who may see what and what may be spent.
pub trait Line: Send {
    /// The next one that may be asked; `None` when none is left. `say` is told of what takes time.
    fn next<'a>(&'a mut self, say: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Option<Seat>>;
    /// Why a request of so many tokens, by our own count, must not go to the current one.
    fn refuses(&self, tokens: usize) -> Option<String>;
    /// Writes down what goes to the current one, and what comes back.
    fn witness(&mut self) -> &mut dyn Witness;
    /// A request to the current one is over. `problems` is what was wrong with the answer, nothing when it is a valid
    /// step; `None` when it could not be judged.
    fn ended(&mut self, outcome: &CallOutcome, problems: Option<&[String]>);
    /// How long to wait until the current one, which is busy, comes up again; `None` when it does not.
    fn again(&mut self, kind: &LlmErrorKind) -> Option<Duration>;
    /// Remembers why the current one is left.
    fn pass(&mut self, why: String);
    /// Why end points were passed over.
    fn passed(&self) -> &[String];
    /// What it cost, and the day so far.
    fn bill(&self) -> Option<Bill>;
}
