//! From an incident to its analysis: rounds of questions to the sources, then the pure analysis.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::analysis::inquiry::Inquiry;
use crate::domain::Text;
use crate::domain::analysis::Analysis;
use crate::domain::incident::Incident;
use crate::domain::query::{Asked, Planned};
use crate::domain::snapshot::{Runbook, Snapshot};
use crate::sources::set::SourceSet;

use super::clock::Clock;

/// Longest time that asking may take in all. What was not answered by then is listed as not asked.
const PATIENCE: Duration = Duration::from_mins(1);

/// How far an investigation is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Questions answered, well or not.
    pub done: usize,
    /// Questions planned so far; grows from round to round.
    pub planned: usize,
    /// The question that was just answered.
    pub asked: Asked,
}

/// An investigation that is finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Investigated {
    /// What the sources said.
    pub snapshot: Snapshot,
    /// What it means.
    pub analysis: Analysis,
}

/// Asks everything about `incident` and analyses the answers. `None` when it was cancelled. The heavy part runs on a
/// blocking thread, so that the caller's task stays free.
pub async fn investigate(
    sources: &SourceSet,
    clock: &Clock,
    incident: Incident,
    runbooks: Vec<Runbook>,
    cancel: &CancellationToken,
    mut progress: impl FnMut(Progress),
) -> Option<Investigated> {
    let mut inquiry = Inquiry::new(incident);
    let deadline = Instant::now() + PATIENCE;
    let (mut done, mut planned) = (0, 0);
    loop {
        let round = inquiry.next_round();
        if round.is_empty() {
            break;
        }
        planned += round.len();
        let mut open: Vec<Option<Planned>> = round.into_iter().map(Some).collect();
        let mut answers: FuturesUnordered<_> = open
            .iter()
            .flatten()
            .cloned()
            .enumerate()
            .map(|(index, question)| async move { (index, sources.ask(&question).await) })
            .collect();
        loop {
            let (index, (asked, answer)) = tokio::select! {
                biased;
                () = cancel.cancelled() => return None,
                () = tokio::time::sleep_until(deadline) => break,
                next = answers.next() => match next {
                    Some(next) => next,
                    None => break,
                },
            };
            done += 1;
            open[index] = None;
            progress(Progress { done, planned, asked: asked.clone() });
            inquiry.answered(asked, answer);
        }
        drop(answers);
        for question in open.into_iter().flatten() {
            let asked = not_in_time(question, clock);
            done += 1;
            progress(Progress { done, planned, asked: asked.clone() });
            inquiry.answered(asked, None);
        }
    }
    let mut snapshot = inquiry.finish();
    snapshot.runbooks = runbooks;
    let snapshot = Arc::new(snapshot);
    let shared = Arc::clone(&snapshot);
    let work = tokio::task::spawn_blocking(move || crate::analysis::analyse(&shared));
    let analysis = tokio::select! {
        biased;
        () = cancel.cancelled() => return None,
        result = work => result.ok()?,
    };
    Some(Investigated { snapshot: Arc::unwrap_or_clone(snapshot), analysis })
}

fn not_in_time(planned: Planned, clock: &Clock) -> Asked {
    Asked {
        planned,
        source: String::new(),
        at: clock(),
        elapsed_ms: 0,
        outcome: Err(Text::from(format!("not answered within {} s of asking", PATIENCE.as_secs()))),
        notes: Vec::new(),
    }
}
