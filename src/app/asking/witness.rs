//! The ledger beside a question that may go to several end points.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::app::engine::Engine;
use crate::app::witness::LedgerWitness;
use crate::copilot::call::{CallOutcome, Leaving, Witness};
use crate::ledger::Ledger;

/// One witness for each end point, because each has its price.
pub(super) struct Witnesses {
    by_endpoint: BTreeMap<String, LedgerWitness>,
    fallback: LedgerWitness,
}

impl Witnesses {
    pub(super) fn new(engine: &Engine, ledger: &Arc<dyn Ledger>, incident: Option<&str>) -> Self {
        let witness = |price| LedgerWitness::new(engine, ledger, incident, price);
        let endpoints = engine.config.llm.endpoint.iter();
        Self {
            by_endpoint: endpoints.map(|endpoint| (endpoint.name.clone(), witness(endpoint.price))).collect(),
            fallback: witness(None),
        }
    }

    fn of(&mut self, endpoint: &str) -> &mut LedgerWitness {
        self.by_endpoint.get_mut(endpoint).unwrap_or(&mut self.fallback)
    }
}

impl Witness for Witnesses {
    fn before_send<'a>(&'a mut self, leaving: &'a Leaving<'a>) -> BoxFuture<'a, Result<(), String>> {
        self.of(&leaving.call.endpoint).before_send(leaving)
    }

    fn after<'a>(&'a mut self, outcome: &'a CallOutcome) -> BoxFuture<'a, Result<(), String>> {
        self.of(&outcome.endpoint).after(outcome)
    }
}
