//! Keeps what was asked and answered, for a bundle.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{SourceError, SourceErrorKind};
use crate::domain::query::{Answer, Query};

/// What became of a recorded question: its answer, or how it failed.
pub type Outcome = Result<Answer, Failure>;

/// A failure as it was when the question was asked. Kept because a replay has to say the same as the day itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The source that failed.
    pub source: String,
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl From<&SourceError> for Failure {
    fn from(error: &SourceError) -> Self {
        Self { source: error.source_name.clone(), what: error.what.clone(), advice: error.advice.clone() }
    }
}

impl From<Failure> for SourceError {
    /// On replay nothing is down: the recording just has no answer.
    fn from(failure: Failure) -> Self {
        let kind = SourceErrorKind::Unsupported;
        Self { source_name: failure.source, kind, what: failure.what, advice: failure.advice }
    }
}

/// A sink for questions and answers, bounded in bytes. The last answer to a question replaces earlier ones.
pub struct Recorder {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By the JSON of the question: the order of a recording does not depend on the order of answers.
    answers: BTreeMap<String, (Query, Outcome, usize)>,
    bytes: usize,
    dropped: usize,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Questions with what became of them, in an order that depends on nothing but the questions.
    pub answers: Vec<(Query, Outcome)>,
    /// Answers that found no room.
    pub dropped: usize,
}

impl Recorder {
    /// Keeps at most `limit` bytes, counted as JSON.
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    /// Keeps an answer or failure, or counts it as dropped when there is no room.
    pub fn keep(&self, query: &Query, outcome: &Outcome) {
        let Ok(key) = serde_json::to_string(query) else { return };
        let mut counter = Counter(0);
        if serde_json::to_writer(&mut counter, outcome).is_err() {
            return;
        }
        let size = key.len() + counter.0;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = kept.answers.get(&key).map_or(0, |known| known.2);
        if kept.bytes - earlier + size > self.limit {
            kept.dropped += 1;
            return;
        }
        kept.bytes = kept.bytes - earlier + size;
        kept.answers.insert(key, (query.clone(), outcome.clone(), size));
    }

    /// Takes what was kept and starts anew.
    pub fn take(&self) -> Recording {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let answers = kept.answers.into_values().map(|(query, outcome, _)| (query, outcome)).collect();
        Recording { answers, dropped: kept.dropped }
    }
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::query::Data;

    #[test]
    fn the_last_answer_stays_and_what_finds_no_room_is_counted() {
        let names = |n: usize| Ok(Answer::new(Data::Names(vec!["x".repeat(n)])));
        let recorder = Recorder::new(200);
        recorder.keep(&Query::Rules, &names(20));
        recorder.keep(&Query::Alerts, &names(20));
        recorder.keep(&Query::Alerts, &names(30));
        recorder.keep(&Query::Targets, &names(200));
        let recording = recorder.take();
        assert_eq!(recording.answers, [(Query::Alerts, names(30)), (Query::Rules, names(20))]);
        assert_eq!(recording.dropped, 1);
        assert_eq!(recorder.take(), Recording { answers: vec![], dropped: 0 });
    }
}
