//! From an incident to its analysis: rounds of questions to the sources, then the pure analysis.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::analysis::inquiry::history::may_find_nothing;
use crate::analysis::inquiry::{Circumstances, Inquiry, MOST_ROUNDS};
use crate::domain::Text;
use crate::domain::analysis::Analysis;
use crate::domain::incident::Incident;
use crate::domain::query::{Answer, Asked, Note, NoteKind, Planned};
use crate::domain::snapshot::{Runbook, Snapshot};
use crate::sources::set::SourceSet;

use super::clock::Clock;

/// Longest time that asking may take in all. What was not answered by then is listed as not asked.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longest time that one round may take, so that a question that hangs does not cost the rounds after it.
const ROUND_PATIENCE: Duration = Duration::from_secs(25);
/// Longest time for a question that the analysis can do without: other days, other alerts.
const SPARE_PATIENCE: Duration = Duration::from_secs(10);
/// How often progress is reported while nothing is answered.
const PULSE: Duration = Duration::from_secs(1);

/// What is investigated.
#[derive(Debug, Clone)]
pub struct Case {
    /// The incident, with window and baseline.
    pub incident: Incident,
    /// What is known beside it.
    pub circumstances: Circumstances,
    /// Runbooks of its alerts.
    pub runbooks: Vec<Runbook>,
    /// Once this is cancelled nothing more is asked, and what came so far is analysed, which the analysis says.
    pub enough: CancellationToken,
}

/// How far an investigation is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The round, from 1.
    pub round: usize,
    /// Rounds, at most.
    pub rounds: usize,
    /// Questions answered, well or not.
    pub done: usize,
    /// Questions planned so far; grows from round to round.
    pub planned: usize,
    /// The question that was just answered; none when nothing was for a while.
    pub asked: Option<Asked>,
    /// The source that most open questions of the round wait for, with their number.
    pub waiting: Option<(String, usize)>,
    /// How long nothing was answered.
    pub idle: Duration,
}

impl Progress {
    /// One line: `round 2 of 5 · 31 of 48 answered · prometheus: up`, or whom it waits for.
    pub fn line(&self) -> String {
        let mut text = format!("round {} of {} · {} of {} answered", self.round, self.rounds, self.done, self.planned);
        match (&self.asked, &self.waiting) {
            (None, Some((source, open))) => {
                let seconds = self.idle.as_secs();
                let questions = if *open == 1 { "question" } else { "questions" };
                text += &format!(" · waiting for {source} since {seconds} s: {open} {questions}");
            }
            (Some(asked), _) => text += &format!(" · {}: {}", asked.source, asked.planned.query.expression()),
            (None, None) => {}
        }
        text.replace('\n', " ")
    }
}

/// An investigation that is finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Investigated {
    /// What the sources said.
    pub snapshot: Snapshot,
    /// What it means.
    pub analysis: Analysis,
}

/// Asks everything about an incident and analyses the answers. `None` when it was cancelled, at any time: what is under
/// way is dropped. A question that hangs is given up when its round has taken too long, and said; the analysis goes on
/// with what is there. The heavy part runs on a blocking thread, so that the caller's task stays free.
pub async fn investigate(
    sources: &SourceSet,
    clock: &Clock,
    case: Case,
    cancel: &CancellationToken,
    mut progress: impl FnMut(Progress),
) -> Option<Investigated> {
    let Case { incident, circumstances, runbooks, enough } = case;
    let mut inquiry = Inquiry::among(incident.clone(), circumstances);
    let deadline = Instant::now() + PATIENCE;
    let mut count = Count::default();
    while !enough.is_cancelled() {
        let round = inquiry.next_round();
        if round.is_empty() {
            break;
        }
        let until = deadline.min(Instant::now() + ROUND_PATIENCE);
        count.round = inquiry.round();
        count.planned += round.len();
        let answered = |asked, answer| inquiry.answered(asked, answer);
        ask_round(sources, clock, &incident, round, until, [cancel, &enough], &mut count, answered, &mut progress)
            .await?;
    }
    let mut snapshot = inquiry.finish();
    snapshot.runbooks = runbooks;
    if enough.is_cancelled() {
        let (dropped, planned) = (count.dropped, count.planned);
        let text = format!("asking was stopped: {dropped} of {planned} questions were not answered");
        snapshot.notes.push(Note { kind: NoteKind::Cut, text: Text::from(text) });
    }
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

/// How far the whole is.
#[derive(Debug, Default)]
struct Count {
    round: usize,
    done: usize,
    planned: usize,
    /// Not answered when asking was stopped.
    dropped: usize,
}

impl Count {
    fn progress(&self, asked: Option<Asked>, waiting: Option<(String, usize)>, idle: Duration) -> Progress {
        let (round, done, planned) = (self.round, self.done, self.planned);
        Progress { round, rounds: MOST_ROUNDS, done, planned, asked, waiting, idle }
    }
}

/// Asks one round at once, until the second of `stops` says that what came so far is enough; `None` when the first
/// cancelled everything.
#[expect(clippy::too_many_arguments, reason = "a part of `investigate`, apart for its length only")]
async fn ask_round(
    sources: &SourceSet,
    clock: &Clock,
    incident: &Incident,
    round: Vec<Planned>,
    until: Instant,
    stops: [&CancellationToken; 2],
    count: &mut Count,
    mut answered: impl FnMut(Asked, Option<Answer>),
    progress: &mut impl FnMut(Progress),
) -> Option<()> {
    let began = Instant::now();
    let mut open: Vec<Option<Planned>> = round.into_iter().map(Some).collect();
    let mut answers: FuturesUnordered<_> = open
        .iter()
        .flatten()
        .cloned()
        .enumerate()
        .map(|(index, question)| async move {
            let spare = may_find_nothing(&question.query, incident);
            let until = if spare { until.min(began + SPARE_PATIENCE) } else { until };
            (index, tokio::time::timeout_at(until, sources.ask(&question)).await.ok())
        })
        .collect();
    let mut pulse = tokio::time::interval_at(began + PULSE, PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = began;
    loop {
        let (index, found) = tokio::select! {
            biased;
            () = stops[0].cancelled() => return None,
            () = stops[1].cancelled() => break,
            next = answers.next() => match next {
                Some(next) => next,
                None => return Some(()),
            },
            _ = pulse.tick() => {
                progress(count.progress(None, busiest(sources, &open), last.elapsed()));
                continue;
            }
        };
        last = Instant::now();
        let Some(question) = open[index].take() else { continue };
        let (asked, answer) = found.unwrap_or_else(|| {
            let source = sources.source_of(&question.query).unwrap_or_default().to_owned();
            (not_in_time(question, source, clock, began.elapsed()), None)
        });
        count.done += 1;
        progress(count.progress(Some(asked.clone()), None, Duration::ZERO));
        answered(asked, answer);
    }
    drop(answers);
    for question in open.into_iter().flatten() {
        count.done += 1;
        count.dropped += 1;
        let source = sources.source_of(&question.query).unwrap_or_default().to_owned();
        let mut asked = not_in_time(question, source, clock, began.elapsed());
        asked.outcome = Err(Text::from("not answered before asking was stopped"));
        answered(asked, None);
    }
    Some(())
}

/// The source that most of the open questions are for.
fn busiest(sources: &SourceSet, open: &[Option<Planned>]) -> Option<(String, usize)> {
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    for question in open.iter().flatten() {
        *waiting.entry(sources.source_of(&question.query)?).or_default() += 1;
    }
    waiting.into_iter().max_by_key(|(_, count)| *count).map(|(source, count)| (source.to_owned(), count))
}

fn not_in_time(planned: Planned, source: String, clock: &Clock, waited: Duration) -> Asked {
    Asked {
        planned,
        source,
        at: clock(),
        elapsed_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        outcome: Err(Text::from(format!("given up: not answered within {} s", waited.as_secs()))),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
