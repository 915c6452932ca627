//! A run between its intent and its outcome in the ledger. Its outcome is written also when nobody waits for it any
//! more: whoever gives up a question gives up what runs for it, and what became of that belongs in the ledger.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::domain::action::RunState;
use crate::domain::ledger::{Draft, Entry, EntryKind};
use crate::ledger::{Ledger, LedgerError};
use crate::runner::RunEvent;

use super::clock::Clock;
use super::recording::Recording;

/// A run that has begun.
pub(super) struct OpenRun {
    open: Option<Open>,
}

struct Open {
    ledger: Arc<dyn Ledger>,
    clock: Clock,
    intent: Entry,
    events: mpsc::Receiver<RunEvent>,
    started: Instant,
    recording: Recording,
    state: RunState,
}

/// A run whose outcome is written.
pub(super) struct Closed {
    /// The entry.
    pub(super) outcome: Entry,
    /// What it printed.
    pub(super) recording: Recording,
}

impl OpenRun {
    /// A run whose events come from the runner.
    pub(super) fn new(
        ledger: &Arc<dyn Ledger>,
        clock: &Clock,
        intent: Entry,
        events: mpsc::Receiver<RunEvent>,
    ) -> Self {
        let open = Open {
            ledger: Arc::clone(ledger),
            clock: Arc::clone(clock),
            intent,
            events,
            started: Instant::now(),
            recording: Recording::default(),
            state: RunState::Unknown,
        };
        Self { open: Some(open) }
    }

    /// The next event, recorded; `None` when it is over.
    pub(super) async fn next(&mut self) -> Option<RunEvent> {
        self.open.as_mut()?.next().await
    }

    /// How it ended, as far as it did.
    pub(super) fn state(&self) -> RunState {
        self.open.as_ref().map_or(RunState::Unknown, |open| open.state.clone())
    }

    /// Writes the outcome, to the end also when this is dropped meanwhile.
    pub(super) async fn close(mut self) -> Result<Closed, String> {
        let open = self.open.take().ok_or("it was closed before")?;
        let writing = tokio::spawn(async move {
            let outcome = open.written().await.map_err(|error| error.to_string())?;
            Ok(Closed { outcome, recording: open.recording })
        });
        writing.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

impl Open {
    async fn next(&mut self) -> Option<RunEvent> {
        let event = self.events.recv().await?;
        match &event {
            RunEvent::Line(line) => self.recording.line(line, self.started.elapsed()),
            RunEvent::Dropped(count) => self.recording.dropped(*count),
            RunEvent::Note(_) => {}
            RunEvent::Ended(state) => self.state = state.clone(),
        }
        Some(event)
    }

    async fn written(&self) -> Result<Entry, LedgerError> {
        let payload: Value = self.recording.payload(self.intent.seq, &self.state);
        let draft = Draft {
            at: (self.clock)(),
            kind: EntryKind::RunOutcome,
            incident: self.intent.draft.incident.clone(),
            actor: self.intent.draft.actor.clone(),
            payload,
        };
        self.ledger.append(draft).await
    }
}

impl Drop for OpenRun {
    fn drop(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Whoever drops this cancels the run; its process is ended in order, and then this ends too.
        runtime.spawn(async move {
            while open.next().await.is_some() {}
            if let Err(error) = open.written().await {
                tracing::warn!(%error, "the outcome of a run that was given up could not be written");
            }
        });
    }
}
