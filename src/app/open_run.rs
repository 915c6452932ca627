//! A run between its intent and its outcome in the ledger. Its outcome is written also when nobody waits for it any
//! more: whoever gives up a question gives up what runs for it, and what became of that belongs in the ledger. That
//! holds from the moment in which the intent is on its way; only a program that is killed leaves one without outcome.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::domain::action::RunState;
use crate::domain::ledger::{Draft, Entry, EntryKind};
use crate::ledger::{Ledger, LedgerError};
use crate::runner::RunEvent;

use super::clock::Clock;
use super::recording::Recording;

/// A run that is in the ledger.
pub(super) struct OpenRun {
    open: Option<Open>,
}

struct Open {
    ledger: Arc<dyn Ledger>,
    clock: Clock,
    intent: Entry,
    /// None while it has not begun.
    events: Option<mpsc::Receiver<RunEvent>>,
    started: Instant,
    recording: Recording,
    state: RunState,
    /// Whoever leaves the program waits for this to be dropped.
    _waited_for: TaskTrackerToken,
}

/// A run whose outcome is written.
pub(super) struct Closed {
    /// The entry.
    pub(super) outcome: Entry,
    /// What it printed.
    pub(super) recording: Recording,
}

impl OpenRun {
    /// Writes the intent of a run. Once that is on its way, it is followed by an outcome, also when this is dropped.
    /// `open` is told of both.
    pub(super) async fn intend(
        ledger: &Arc<dyn Ledger>,
        clock: &Clock,
        open: &TaskTracker,
        intent: Draft,
    ) -> Result<Self, String> {
        let (ledger, clock, token) = (Arc::clone(ledger), Arc::clone(clock), open.token());
        // A store finishes what it began; a task of its own sees how that went.
        let writing = tokio::spawn(async move {
            let intent = ledger.append(intent).await.map_err(|error| error.to_string())?;
            let open = Open {
                ledger,
                clock,
                intent,
                events: None,
                started: Instant::now(),
                recording: Recording::default(),
                state: RunState::Cancelled,
                _waited_for: token,
            };
            Ok(Self { open: Some(open) })
        });
        writing.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// The entry of the intent.
    pub(super) fn intent(&self) -> Option<&Entry> {
        self.open.as_ref().map(|open| &open.intent)
    }

    /// It begins; its events come from the runner.
    pub(super) fn begin(&mut self, events: mpsc::Receiver<RunEvent>) {
        if let Some(open) = &mut self.open {
            open.started = Instant::now();
            open.events = Some(events);
            open.state = RunState::Unknown;
        }
    }

    /// It does not begin, for this reason.
    pub(super) fn fail(&mut self, why: &str) {
        if let Some(open) = &mut self.open {
            open.state = RunState::Failed { why: why.to_owned() };
        }
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
        let event = self.events.as_mut()?.recv().await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::clock;
    use crate::config;
    use crate::domain::Timestamp;
    use crate::ledger::Filter;

    #[tokio::test]
    async fn an_intent_that_nobody_waits_for_has_its_outcome_before_the_program_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let settings = config::Ledger { path: Some(folder.path().join("ledger.db")), ..config::Ledger::default() };
        let ledger = crate::app::ledger::open(&settings, &config::SystemSecrets).await.unwrap();
        let clock = clock::fixed(Timestamp::from_secs(1));
        let open = TaskTracker::new();
        let draft = || Draft {
            at: Timestamp::from_secs(1),
            kind: EntryKind::RunIntent,
            incident: None,
            actor: "a".into(),
            payload: serde_json::json!({}),
        };
        {
            // Given up as soon as the store has it in hand.
            let mut intending = Box::pin(OpenRun::intend(&ledger, &clock, &open, draft()));
            tokio::select! {
                biased;
                _ = &mut intending => panic!("nothing is written at once"),
                () = std::future::ready(()) => {}
            }
        }
        drop(OpenRun::intend(&ledger, &clock, &open, draft()).await.unwrap());
        open.close();
        open.wait().await;
        let entries = ledger.entries(Filter::default()).await.unwrap();
        let of = |kind| entries.iter().filter(|entry| entry.draft.kind == kind).collect::<Vec<_>>();
        let (intents, outcomes) = (of(EntryKind::RunIntent), of(EntryKind::RunOutcome));
        assert_eq!((intents.len(), outcomes.len()), (2, 2));
        assert!(outcomes.iter().all(|entry| entry.draft.payload["state"]["state"] == "cancelled"), "{outcomes:?}");
    }
}
