//! What goes on at an end point: the requests under way, each with how far it is, and how those before them ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It left, or tries to; no headers came.
    Connecting,
    /// The server accepted it; nothing of the answer came.
    Waiting,
    /// The answer comes.
    Streaming,
}

impl Stage {
    /// A few words for a screen.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Waiting => "waiting for the first word",
            Self::Streaming => "streaming",
        }
    }
}

/// A request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// How far it is.
    pub stage: Stage,
    /// Since when it is there.
    pub since: Instant,
}

impl UnderWay {
    /// For how long it is at its stage.
    pub fn lasts(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// What goes on at an end point, and what went on there since the program began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests under way, the oldest first.
    pub under_way: Vec<UnderWay>,
    /// Requests whose answer came to its end.
    pub answered: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that we gave up.
    pub cancelled: u64,
}

#[derive(Debug, Default)]
struct Known {
    next: u64,
    under_way: BTreeMap<u64, UnderWay>,
    answered: u64,
    failed: u64,
    cancelled: u64,
}

/// Where the requests of one end point are noted. Cloning is cheap and shares the notes.
#[derive(Debug, Clone, Default)]
pub(super) struct Register(Arc<Mutex<Known>>);

impl Register {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request begins.
    pub(super) fn begin(&self, now: Instant) -> Passage {
        let mut known = self.known();
        let id = known.next;
        known.next += 1;
        known.under_way.insert(id, UnderWay { stage: Stage::Connecting, since: now });
        Passage { register: self.clone(), id, end: None }
    }

    /// What is noted.
    pub(super) fn traffic(&self) -> Traffic {
        let known = self.known();
        Traffic {
            under_way: known.under_way.values().copied().collect(),
            answered: known.answered,
            failed: known.failed,
            cancelled: known.cancelled,
        }
    }
}

/// One request under way. Dropped without an end, it was given up.
#[derive(Debug)]
pub(super) struct Passage {
    register: Register,
    id: u64,
    end: Option<bool>,
}

impl Passage {
    /// It is further.
    pub(super) fn reaches(&self, stage: Stage, now: Instant) {
        if let Some(one) = self.register.known().under_way.get_mut(&self.id)
            && one.stage < stage
        {
            *one = UnderWay { stage, since: now };
        }
    }

    /// It ended: with an answer, or by failing.
    pub(super) fn ends(&mut self, answered: bool) {
        self.end.get_or_insert(answered);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut known = self.register.known();
        known.under_way.remove(&self.id);
        let count = match self.end {
            Some(true) => &mut known.answered,
            Some(false) => &mut known.failed,
            None => &mut known.cancelled,
        };
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_seen_at_each_stage_and_counted_once_at_its_end() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let register = Register::default();
        let mut first = register.begin(began);
        let second = register.begin(at(1));
        first.reaches(Stage::Streaming, at(4));
        first.reaches(Stage::Waiting, at(5));
        let seen = register.traffic().under_way;
        assert_eq!(seen.iter().map(|one| one.stage).collect::<Vec<_>>(), [Stage::Streaming, Stage::Connecting]);
        assert_eq!(seen[0].lasts(at(6)), Duration::from_secs(2), "it does not go back");
        first.ends(false);
        first.ends(true);
        drop((first, second));
        assert_eq!(register.traffic(), Traffic { failed: 1, cancelled: 1, ..Traffic::default() });
    }
}
