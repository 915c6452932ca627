//! The sources of one profile: which one to ask, how many questions at once, how each of them is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::recorder::{Failure, Recorder};
use super::{SourceError, SourceErrorKind, Telemetry};
use crate::domain::health::{SourceHealth, Status};
use crate::domain::query::{Answer, Asked, Data, Lang, Note, NoteKind, Planned, Purpose, Query};
use crate::domain::time::human_duration;
use crate::domain::{Text, TimeRange, Timestamp};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Questions under way at one source.
const AT_ONCE: usize = 8;
/// An answer that takes longer makes a source count as degraded.
const SLOW: Duration = Duration::from_secs(5);
/// The source's name in [`Asked`] when there is none to ask.
const NOBODY: &str = "none";

/// Sources, asked by what they answer. Remembers nothing but their health. Shared as `Arc<SourceSet>`.
pub struct SourceSet {
    members: Vec<Member>,
    clock: Clock,
    recorder: Option<Arc<Recorder>>,
}

struct Member {
    source: Arc<dyn Telemetry>,
    slots: Semaphore,
    state: Mutex<State>,
}

struct State {
    health: SourceHealth,
    breaker: Breaker,
}

impl SourceSet {
    /// A set; of several sources that answer a question the first is asked, except that alerts are asked of an
    /// Alertmanager where there is one.
    pub fn new(sources: Vec<Arc<dyn Telemetry>>, clock: Clock) -> Self {
        let member = |source: Arc<dyn Telemetry>| {
            let state = State { health: SourceHealth::new(source.name()), breaker: Breaker::default() };
            Member { source, slots: Semaphore::new(AT_ONCE), state: Mutex::new(state) }
        };
        Self { members: sources.into_iter().map(member).collect(), clock, recorder: None }
    }

    /// Keeps every answer in `recorder` too.
    #[must_use]
    pub fn recorded_by(mut self, recorder: Arc<Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Whether there is no source.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether some source answers such a question.
    pub fn answers(&self, query: &Query) -> bool {
        self.route(query).is_some()
    }

    /// Name of the source that such a question goes to.
    pub fn source_of(&self, query: &Query) -> Option<&str> {
        self.route(query).map(|member| member.source.name())
    }

    /// The present: that of a bundle when one is among the sources, else the clock's.
    pub fn present(&self) -> Timestamp {
        self.members.iter().find_map(|member| member.source.present()).unwrap_or_else(|| (self.clock)())
    }

    /// Asks the source for the question. Never fails as such: what went wrong stands in [`Asked::outcome`]. Dropping
    /// the future aborts the request.
    pub async fn ask(&self, planned: &Planned) -> (Asked, Option<Answer>) {
        let Some(member) = self.route(&planned.query) else {
            let error = nobody(&planned.query);
            self.record(planned, Err(&error));
            return (asked(planned, NOBODY, (self.clock)(), 0, Err(&error)), None);
        };
        let first = self.ask_member(member, planned).await;
        if planned.query == Query::Alerts && first.1.is_none() {
            return self.alerts_elsewhere(member, planned, first).await;
        }
        first
    }

    /// When Alertmanager is down at the worst moment, Prometheus still knows what fires: without silences, and said.
    async fn alerts_elsewhere(
        &self,
        failed: &Member,
        planned: &Planned,
        first: (Asked, Option<Answer>),
    ) -> (Asked, Option<Answer>) {
        let able = |member: &&Member| !std::ptr::eq(*member, failed) && member.source.answers(&planned.query);
        let Some(other) = self.members.iter().find(able) else { return first };
        let (mut asked, answer) = self.ask_member(other, planned).await;
        let Some(mut answer) = answer else { return first };
        let why = first.0.outcome.err().unwrap_or_default();
        let text = format!("alerts as {} has them, silences are not known: {why}", other.source.name());
        answer.notes.insert(0, Note { kind: NoteKind::Warning, text: Text::new(&text) });
        asked.notes.clone_from(&answer.notes);
        (asked, Some(answer))
    }

    fn record(&self, planned: &Planned, outcome: Result<&Answer, &SourceError>) {
        if let Some(recorder) = &self.recorder {
            recorder.keep(&planned.query, &outcome.cloned().map_err(Failure::from));
        }
    }

    /// Asks all questions at once, within the bounds of each source; answers stand in the order of the questions.
    pub async fn ask_all(&self, planned: &[Planned]) -> Vec<(Asked, Option<Answer>)> {
        join_all(planned.iter().map(|planned| self.ask(planned))).await
    }

    /// Asks each source a cheap question, for its health and version.
    pub async fn probe(&self) -> Vec<Asked> {
        let probes = self.members.iter().map(|member| async move {
            let query = self.cheap_question(member.source.as_ref())?;
            let planned = Planned { query, purpose: Purpose::Discovery };
            Some(self.ask_member(member, &planned).await.0)
        });
        join_all(probes).await.into_iter().flatten().collect()
    }

    /// Health of the sources, in their order.
    pub fn health(&self) -> Vec<SourceHealth> {
        self.members.iter().map(|member| member.lock().health.clone()).collect()
    }

    fn route(&self, query: &Query) -> Option<&Member> {
        let mut able = self.members.iter().filter(|member| member.source.answers(query));
        match query {
            Query::Alerts => {
                let all: Vec<&Member> = able.collect();
                let keeper = all.iter().find(|member| member.source.answers(&Query::AlertmanagerStatus));
                keeper.or(all.first()).copied()
            }
            _ => able.next(),
        }
    }

    fn cheap_question(&self, source: &dyn Telemetry) -> Option<Query> {
        let range = TimeRange::new(self.present(), self.present());
        let candidates =
            [Query::AlertmanagerStatus, Query::BuildInfo, Query::Metadata, Query::Changes { range }, Query::Alerts];
        candidates.into_iter().find(|query| source.answers(query))
    }

    async fn ask_member(&self, member: &Member, planned: &Planned) -> (Asked, Option<Answer>) {
        let name = member.source.name();
        // The bound of questions at once; the semaphore is never closed.
        let _slot = member.slots.acquire().await;
        let at = (self.clock)();
        let admitted = {
            let mut state = member.lock();
            state.breaker.admit(at).map_err(|wait| paused(&state.health, wait))
        };
        if let Err(error) = admitted {
            self.record(planned, Err(&error));
            return (asked(planned, name, at, 0, Err(&error)), None);
        }
        let mut attempt = Attempt::begin(member);
        let outcome = member.source.ask(&planned.query).await;
        let now = (self.clock)();
        let elapsed = now.since(at);
        attempt.end(&outcome, now, elapsed);
        self.record(planned, outcome.as_ref());
        let asked = asked(planned, name, at, elapsed.as_millis() as u64, outcome.as_ref());
        (asked, outcome.ok())
    }
}

impl Member {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question under way; dropped before its end, it leaves the state as if it had not begun.
struct Attempt<'a> {
    member: &'a Member,
    ended: bool,
}

impl<'a> Attempt<'a> {
    fn begin(member: &'a Member) -> Self {
        let mut state = member.lock();
        if state.health.status == Status::Unknown {
            state.health.status = Status::Connecting;
        }
        drop(state);
        Self { member, ended: false }
    }

    fn end(&mut self, outcome: &Result<Answer, SourceError>, now: Timestamp, elapsed: Duration) {
        self.ended = true;
        let mut state = self.member.lock();
        match outcome {
            Err(error) if error.kind == SourceErrorKind::Unreachable => state.breaker.missed(now),
            _ => state.breaker.reached(),
        }
        let health = &mut state.health;
        health.latency_ms = Some(elapsed.as_millis() as u64);
        match outcome {
            Ok(answer) => {
                let complaint = complaint(answer, elapsed);
                health.status = if complaint.is_some() { Status::Degraded } else { Status::Ok };
                health.error = complaint;
                health.last_ok = Some(now);
                if let Data::Facts(facts) = &answer.data
                    && let Some(version) = facts.get("version").filter(|version| !version.is_empty())
                {
                    health.version = Some(version.clone());
                }
            }
            // The source understood and answered: the question was wrong, not the source.
            Err(error) if matches!(error.kind, SourceErrorKind::BadQuestion | SourceErrorKind::Unsupported) => {
                if !matches!(health.status, Status::Ok | Status::Degraded) {
                    health.status = Status::Ok;
                    health.error = None;
                }
            }
            Err(error) => {
                health.status = Status::Down;
                health.error = Some(Text::new(&error.reason()));
            }
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = self.member.lock();
            state.breaker.given_up();
            if state.health.status == Status::Connecting {
                state.health.status = Status::Unknown;
            }
        }
    }
}

/// What makes an answer less than whole and in time.
fn complaint(answer: &Answer, elapsed: Duration) -> Option<Text> {
    if elapsed > SLOW {
        return Some(Text::new(&format!("slow: the last answer took {:.1} s", elapsed.as_secs_f64())));
    }
    answer.notes.iter().find(|note| note.kind != NoteKind::Info).map(|note| note.text.clone())
}

fn asked(
    planned: &Planned,
    source: &str,
    at: Timestamp,
    elapsed_ms: u64,
    outcome: Result<&Answer, &SourceError>,
) -> Asked {
    Asked {
        planned: planned.clone(),
        source: source.to_owned(),
        at,
        elapsed_ms,
        outcome: outcome.map(Answer::len).map_err(|error| Text::new(&error.to_string())),
        notes: outcome.map_or_else(|_| Vec::new(), |answer| answer.notes.clone()),
    }
}

/// The error of a question that is not sent because the source was not reached several times in a row.
fn paused(health: &SourceHealth, wait: Duration) -> SourceError {
    let reason = health.error.as_ref().map_or("it could not be reached", |error| error.as_str());
    let again = if wait.is_zero() {
        "it is being tried now".to_owned()
    } else {
        format!("tried again in {}", human_duration(wait.max(Duration::from_secs(1))))
    };
    SourceError::new(&health.name, SourceErrorKind::Unreachable, &format!("not asked, {again}: {reason}"), "")
}

fn nobody(query: &Query) -> SourceError {
    let advice = match (query, query.lang()) {
        (_, Some(Lang::LogQl)) => "configure loki",
        (Query::Alerts, _) => "configure alertmanager or prometheus",
        (Query::AlertGroups | Query::Silences | Query::AlertmanagerStatus, _) => "configure alertmanager",
        (Query::Changes { .. }, _) => "configure a source of changes",
        _ => "configure prometheus",
    };
    SourceError::new(NOBODY, SourceErrorKind::Unsupported, "no configured source answers this", advice)
}

#[cfg(test)]
mod tests;
