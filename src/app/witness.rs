//! The ledger beside a language model: the exact bytes before they leave, and what came of them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::context::redact;
use crate::copilot::call::{CallError, CallOutcome, Content, Leaving, Witness};
use crate::domain::canonical::hex;
use crate::domain::diagnosis::{PromptRef, Usage};
use crate::domain::ledger::{Draft, EntryKind};
use crate::domain::settings::Price;
use crate::ledger::Ledger;
use crate::llm::Endpoint;

use super::clock::Clock;
use super::diagnosing::Concluded;
use super::engine::Engine;

/// Most bytes kept of an answer: with everything else, and escaped, an entry stays below what the ledger takes. Of a
/// longer one the rest is known by its digest.
const MOST_ANSWER_BYTES: usize = 512 << 10;

/// Writes intents and outcomes of calls to a language model. An intent that is open when this is dropped gets the
/// outcome `cancelled`: dropping the future of a diagnosis is how it is cancelled.
pub(super) struct LedgerWitness {
    ledger: Arc<dyn Ledger>,
    clock: Clock,
    incident: Option<String>,
    actor: String,
    price: Option<Price>,
    open: Option<u64>,
    /// Of the call that is open.
    endpoint: String,
    model: String,
    sent_tokens: usize,
}

impl LedgerWitness {
    /// For calls about an incident, or about the whole site, to an end point with this price.
    pub(super) fn new(engine: &Engine, ledger: &Arc<dyn Ledger>, incident: Option<&str>, price: Option<Price>) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            clock: Arc::clone(&engine.wall_clock),
            incident: incident.map(str::to_owned),
            actor: engine.standing.actor.clone(),
            price,
            open: None,
            endpoint: String::new(),
            model: String::new(),
            sent_tokens: 0,
        }
    }

    fn draft(&self, kind: EntryKind, payload: Value) -> Draft {
        Draft { at: (self.clock)(), kind, incident: self.incident.clone(), actor: self.actor.clone(), payload }
    }

    /// Sends an end point that failed before a few tokens, which say nothing of any incident. Why it is still not to
    /// be used, if so.
    pub(super) async fn canary(mut self, endpoint: &Endpoint) -> Result<(), String> {
        let call = endpoint.canary_request().map_err(|error| error.kind.to_string())?;
        let prompt = PromptRef { name: "canary".into(), version: String::new() };
        let content = Content { prompt: &prompt, pack: None, evidence: Vec::new() };
        if let Err(why) = self.before_send(&Leaving { call: &call, content: &content, tokens: 0 }).await {
            let why = CallError::NotWitnessed(why).to_string();
            endpoint.hold_back(why.clone());
            return Err(why);
        }
        let answer = endpoint.canary().await;
        let outcome = CallOutcome {
            endpoint: call.endpoint.clone(),
            model: call.model.clone(),
            error: answer.as_ref().err().cloned(),
            ..CallOutcome::default()
        };
        self.after(&outcome).await?;
        answer.map(|_| ()).map_err(|error| error.kind.to_string())
    }

    /// What the call that is open costs when it is given up: what was sent was sent.
    fn given_up(&self, intent: u64) -> Value {
        let usage = Usage { input_tokens: self.sent_tokens as u64, ..Usage::default() };
        let cost = self.price.map(|price| price.of(&usage));
        json!({
            "intent": intent, "endpoint": self.endpoint, "model": self.model, "cancelled": true, "answered": true,
            "sent_tokens": self.sent_tokens, "cost": cost, "usage": usage,
        })
    }

    /// Writes the finished diagnosis; best effort, its parts are in the entries before.
    pub(super) async fn diagnosed(&self, concluded: &Concluded) {
        let actions: Vec<_> = concluded
            .actions
            .iter()
            .map(|(action, judged)| json!({"id": action.id, "argv": action.argv, "verdict": judged.verdict}))
            .collect();
        let payload = json!({"diagnosed": concluded.diagnosed, "actions": actions});
        if let Err(error) = self.ledger.append(self.draft(EntryKind::Diagnosis, payload)).await {
            tracing::warn!(%error, "a diagnosis could not be written");
        }
    }
}

impl Witness for LedgerWitness {
    fn before_send<'a>(&'a mut self, leaving: &'a Leaving<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let Leaving { call, content, tokens } = *leaving;
            self.endpoint.clone_from(&call.endpoint);
            self.model.clone_from(&call.model);
            self.sent_tokens = tokens;
            let body = String::from_utf8_lossy(&call.body);
            let pack = content.pack.map(|pack| {
                json!({
                    "budget": pack.budget, "tokens": pack.tokens, "omitted": pack.omitted,
                    "redactions": pack.redactions, "sha256": hex(&Sha256::digest(&pack.text)),
                    "evidence": pack.evidence.iter().map(|item| &item.id).collect::<Vec<_>>(),
                })
            });
            let payload = json!({
                "endpoint": call.endpoint, "model": call.model, "url": call.url, "body": body,
                "prompt": content.prompt, "hidden": call.hidden, "shows": call.shows,
                "evidence": content.evidence, "pack": pack,
            });
            let entry = self.ledger.append(self.draft(EntryKind::LlmIntent, payload)).await;
            self.open = Some(entry.map_err(|error| error.to_string())?.seq);
            Ok(())
        })
    }

    fn after<'a>(&'a mut self, outcome: &'a CallOutcome) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let kept = outcome.text.floor_char_boundary(MOST_ANSWER_BYTES);
            let cost = self.price.filter(|_| outcome.answered()).map(|price| price.of(&outcome.usage));
            let payload = json!({
                "intent": self.open, "endpoint": outcome.endpoint, "model": outcome.model,
                "sent_tokens": outcome.sent_tokens, "cost": cost, "answered": outcome.answered(), "text": outcome.text[..kept], "bytes": outcome.text.len(),
                "sha256": hex(&Sha256::digest(&outcome.text)),
                "finish": outcome.finish.as_ref().map(|reason| format!("{reason:?}")),
                "error": outcome.error.as_ref().map(|error| redact(&error.to_string()).text), "cancelled": outcome.cancelled,
                "usage": outcome.usage, "timing": outcome.timing,
            });
            let written = self.ledger.append(self.draft(EntryKind::LlmOutcome, payload)).await;
            self.open = None;
            written.map(|_| ()).map_err(|error| error.to_string())
        })
    }
}

impl Drop for LedgerWitness {
    fn drop(&mut self) {
        let Some(intent) = self.open else { return };
        let draft = self.draft(EntryKind::LlmOutcome, self.given_up(intent));
        let ledger = Arc::clone(&self.ledger);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = ledger.append(draft).await {
                    tracing::warn!(%error, "a cancelled call could not be written");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::engine::Origin;
    use crate::config::Config;
    use crate::domain::Timestamp;
    use crate::sources::demo;

    #[tokio::test]
    async fn an_answer_of_any_size_has_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.ledger.path = Some(folder.path().join("ledger.db"));
        let demo = Origin::Demo(demo::bundle(Timestamp::from_secs(1_800_000_000)));
        let engine = Engine::new(config, None, demo, None, None).unwrap();
        let ledger = engine.ledger().await.unwrap();
        let mut witness = LedgerWitness::new(&engine, &ledger, Some("I-1"), None);
        // Six bytes each once it is JSON.
        let outcome = CallOutcome { text: "\u{1}".repeat(8 << 20), ..CallOutcome::default() };
        assert_eq!(witness.after(&outcome).await, Ok(()));
        let head = ledger.head().await.unwrap().seq;
        let entry = ledger.entry(head).await.unwrap().unwrap();
        assert_eq!((entry.draft.kind, &entry.draft.payload["bytes"]), (EntryKind::LlmOutcome, &json!(8 << 20)));
    }
}
