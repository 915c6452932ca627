//! `actions verify`: whether a run helped, asked again.

use serde_json::{Value, json};

use crate::app::engine::Engine;
use crate::app::execution;
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::domain::action::Verification;
use crate::domain::ledger::{Entry, EntryKind};
use crate::ledger::{Filter, Ledger};

use super::replay_run::run_of;

/// The newest answer of the run of `intent` to its verify query.
async fn newest(ledger: &dyn Ledger, intent: u64) -> Result<Option<Verification>, Failure> {
    let (mut after, mut newest) = (intent, None);
    loop {
        let filter = Filter { kinds: vec![EntryKind::Verification], after: Some(after), ..Filter::default() };
        let page = ledger.entries(filter).await.map_err(|error| Failure::failed(error.to_string()))?;
        let Some(last) = page.last().map(|entry| entry.seq) else { return Ok(newest) };
        after = last;
        let is_it = |one: &Entry| one.draft.payload.get("intent").and_then(Value::as_u64) == Some(intent);
        for entry in page.into_iter().filter(is_it) {
            let verification = entry.draft.payload.get("verification").cloned();
            newest = verification.and_then(|value| serde_json::from_value(value).ok()).or(newest);
        }
    }
}

/// Asks the verify query of the run that entry `seq` belongs to, and writes the answer down.
pub(super) async fn verify(engine: &Engine, seq: u64, output: Output) -> Result<(), Failure> {
    let ledger = engine.ledger().await?;
    let (intent, _) = run_of(&*ledger, seq).await?;
    let known = newest(&*ledger, intent.seq).await?.ok_or_else(|| {
        Failure::usage(format!("the run of entry {} came with no query that shows whether it helped", intent.seq))
    })?;
    let incident = intent.draft.incident.as_deref().unwrap_or_default();
    let asked = execution::verify(engine, &engine.standing.actor, incident, intent.seq, known).await;
    output.answer(&json!({"intent": intent.seq, "verification": asked}), || {
        let after = asked.after.as_ref().map(|after| after.one_line().into_owned()).unwrap_or_default();
        let (query, expect) = (asked.check.query.one_line(), asked.check.expect.one_line());
        format!("asked     {query}\nexpected  {expect}\nbefore    {}\nnow       {after}\n", asked.before.one_line())
    })
}
