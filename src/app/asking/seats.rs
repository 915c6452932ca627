//! The end points of a question, each as far as it may be asked: breaker, data policy, budget of the day, ledger.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::app::engine::Engine;
use crate::app::turns::{Turn, Turns};
use crate::app::witness::LedgerWitness;
use crate::copilot::call::{CallOutcome, Leaving, Witness};
use crate::copilot::questions::{Line, Seat};
use crate::domain::diagnosis::Bill;
use crate::llm::LlmErrorKind;

/// Tokens kept free beside an incident's pack for the prompt and what tools bring.
const BESIDE: usize = 4_000;

/// The seat of a turn.
pub(super) fn seat(engine: &Engine, turn: &Turn) -> Seat {
    Seat { client: turn.client.clone(), pack_budget: turn.pack_budget(engine, BESIDE) }
}

/// End points that take turns.
pub(super) struct Seats<'a> {
    engine: &'a Engine,
    turns: Turns<'a>,
    turn: Option<(Turn, LedgerWitness)>,
    nobody: Nobody,
}

impl<'a> Seats<'a> {
    pub(super) fn new(engine: &'a Engine, turns: Turns<'a>) -> Self {
        Self { engine, turns, turn: None, nobody: Nobody }
    }
}

impl Line for Seats<'_> {
    fn next<'a>(&'a mut self, say: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Option<Seat>> {
        Box::pin(async move {
            self.turn = None;
            let turn = self.turns.next(say).await?;
            let seat = seat(self.engine, &turn);
            let witness = self.turns.witness(&turn);
            self.turn = Some((turn, witness));
            Some(seat)
        })
    }

    fn refuses(&self, tokens: usize) -> Option<String> {
        self.turn.as_ref().and_then(|(turn, _)| self.turns.refuses(turn, tokens))
    }

    fn witness(&mut self) -> &mut dyn Witness {
        match &mut self.turn {
            Some((_, witness)) => witness,
            None => &mut self.nobody,
        }
    }

    fn ended(&mut self, outcome: &CallOutcome, problems: Option<&[String]>) {
        if let Some((turn, _)) = &mut self.turn {
            self.turns.ended(turn, outcome, problems);
        }
    }

    fn again(&mut self, kind: &LlmErrorKind) -> Option<Duration> {
        let (turn, _) = self.turn.as_ref()?;
        self.turns.again(turn, kind)
    }

    fn pass(&mut self, why: String) {
        self.turns.passed.push(why);
    }

    fn passed(&self) -> &[String] {
        &self.turns.passed
    }

    fn bill(&self) -> Option<Bill> {
        Some(self.turns.bill.clone())
    }
}

/// The witness of nobody: without an end point nothing leaves.
struct Nobody;

impl Witness for Nobody {
    fn before_send<'a>(&'a mut self, _: &'a Leaving<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Err("no end point has the turn".to_owned()) })
    }

    fn after<'a>(&'a mut self, _: &'a CallOutcome) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}
