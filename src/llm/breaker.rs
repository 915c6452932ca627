//! When an end point that fails is asked again.
//!
//! Failures that may pass open it for a pause that doubles; what the server itself says about when to come back is
//! kept; what only other settings can mend opens it for long. After a pause exactly one request goes ahead, the canary;
//! the others wait for what becomes of it.

use std::time::{Duration, Instant};

use super::error::LlmErrorKind;
use super::observation::{Observation, Outcome};

/// Failures in a row after which the end point rests: each costs the operator up to a whole time limit.
const FAILURES: u32 = 2;
/// First pause; it doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause: an end point that came back is noticed within this.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// Pause after what waiting does not mend. It ends all the same: keys rotate and models are loaded.
const LASTING_PAUSE: Duration = Duration::from_mins(10);
/// A pause that a server asks for is believed up to here.
const BELIEVED_PAUSE: Duration = Duration::from_hours(1);
/// A canary of which nothing was heard for this long is given up: whoever sent it is gone.
const LEASE: Duration = Duration::from_mins(6);

/// Whether an end point may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Ready,
    /// This one request may: it shows whether the end point is back. Until its end is observed, no other may.
    Canary,
    /// It may not.
    Resting {
        /// When it may be asked again, if nothing is heard before.
        until: Instant,
        /// Why it rests.
        why: String,
    },
}

/// What the end of a request says about the end point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It answered; what it said may still be of no use.
    Answered,
    /// It failed in a way that may pass.
    Passing(Option<Duration>),
    /// It asks to be left alone, for as long as it says.
    Throttled(Option<Duration>),
    /// It will fail for as long as the settings stay.
    Lasting,
    /// Nothing: the request was given up.
    None,
}

fn sign(outcome: &Outcome) -> Sign {
    match outcome {
        Outcome::Finished(_) => Sign::Answered,
        Outcome::Cancelled => Sign::None,
        Outcome::Failed(kind) => match kind {
            // It was not asked.
            LlmErrorKind::NotAllowed { .. } => Sign::None,
            // The request is to blame, not the end point.
            LlmErrorKind::ContextOverflow { .. } | LlmErrorKind::Rejected { .. } => Sign::Answered,
            LlmErrorKind::Settings { .. }
            | LlmErrorKind::Secret { .. }
            | LlmErrorKind::Unauthorized { .. }
            | LlmErrorKind::ModelNotFound { .. } => Sign::Lasting,
            LlmErrorKind::RateLimited { retry_after, .. } => Sign::Throttled(*retry_after),
            LlmErrorKind::Server { retry_after, .. } => Sign::Passing(*retry_after),
            LlmErrorKind::Unreachable { .. }
            | LlmErrorKind::Proxy { .. }
            | LlmErrorKind::InBand { .. }
            | LlmErrorKind::Incomplete { .. }
            | LlmErrorKind::Timeout { .. }
            | LlmErrorKind::TooLarge { .. }
            | LlmErrorKind::TooLong { .. }
            | LlmErrorKind::NotUnderstood { .. } => Sign::Passing(None),
        },
    }
}

#[derive(Debug, Clone)]
struct Rest {
    until: Instant,
    why: String,
}

/// The breaker of one end point. The time is given by the caller.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    failures: u32,
    rest: Option<Rest>,
    canary_since: Option<Instant>,
}

impl Breaker {
    /// Whether to ask now. [`Admission::Canary`] is given to one caller, who must observe what becomes of it.
    pub fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.peek(now);
        if admission == Admission::Canary {
            self.canary_since = Some(now);
        }
        admission
    }

    /// What [`Self::admit`] would say, without taking the canary's place.
    pub fn peek(&self, now: Instant) -> Admission {
        let Some(rest) = &self.rest else { return Admission::Ready };
        if now < rest.until {
            return Admission::Resting { until: rest.until, why: rest.why.clone() };
        }
        match self.canary_since.map(|since| since + LEASE).filter(|lease| now < *lease) {
            Some(until) => Admission::Resting { until, why: format!("{}; one request is trying it", rest.why) },
            None => Admission::Canary,
        }
    }

    /// Takes in what became of a request.
    pub fn observe(&mut self, now: Instant, seen: &Observation) {
        let why = || match &seen.outcome {
            Outcome::Failed(kind) => kind.to_string(),
            _ => String::new(),
        };
        match sign(&seen.outcome) {
            Sign::Answered => *self = Self::default(),
            Sign::None => self.canary_since = None,
            Sign::Lasting => self.open(now, LASTING_PAUSE, why()),
            // Asking again at once is what it complains about.
            Sign::Throttled(after) => self.open(now, after.unwrap_or(Duration::ZERO).max(self.pause()), why()),
            Sign::Passing(Some(after)) if after > Duration::ZERO => self.open(now, after.max(self.pause()), why()),
            Sign::Passing(_) => {
                // A canary that fails closes the door again; there is no second chance for it.
                if self.rest.is_some() || self.failures + 1 >= FAILURES {
                    self.open(now, self.pause(), why());
                } else {
                    self.failures += 1;
                }
            }
        }
    }

    /// Forgets everything: somebody mended what was wrong and wants to try.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The pause after one more failure.
    fn pause(&self) -> Duration {
        let doublings = (self.failures + 1).saturating_sub(FAILURES).min(10);
        (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
    }

    fn open(&mut self, now: Instant, pause: Duration, why: String) {
        self.failures = self.failures.saturating_add(1).max(FAILURES);
        self.canary_since = None;
        let until = now + pause.min(BELIEVED_PAUSE);
        // Requests that were under way when it opened do not shorten what the server asked for.
        if self.rest.as_ref().is_none_or(|rest| rest.until <= until) {
            self.rest = Some(Rest { until, why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Phase;
    use super::super::{FinishReason, Observation};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failed(kind: LlmErrorKind) -> Observation {
        Observation::new(Outcome::Failed(kind))
    }

    fn stalled() -> Observation {
        failed(LlmErrorKind::Timeout { phase: Phase::Stall, after: SECOND })
    }

    fn answered() -> Observation {
        Observation::new(Outcome::Finished(FinishReason::Stop))
    }

    fn rests(breaker: &mut Breaker, now: Instant) -> Option<Duration> {
        match breaker.admit(now) {
            Admission::Resting { until, .. } => Some(until - now),
            Admission::Ready | Admission::Canary => None,
        }
    }

    #[test]
    fn the_pause_doubles_and_ends_with_one_canary() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.observe(now, &stalled());
        assert_eq!(breaker.admit(now), Admission::Ready, "one failure is nothing");
        breaker.observe(now, &stalled());
        assert_eq!(rests(&mut breaker, now), Some(5 * SECOND));
        let later = now + 5 * SECOND;
        assert_eq!(breaker.peek(later), Admission::Canary);
        assert_eq!(breaker.admit(later), Admission::Canary);
        assert!(rests(&mut breaker, later).is_some(), "the others wait for it");
        breaker.observe(later, &stalled());
        assert_eq!(rests(&mut breaker, later), Some(10 * SECOND));
        for _ in 0..40 {
            breaker.observe(later, &stalled());
        }
        assert_eq!(rests(&mut breaker, later), Some(LONGEST_PAUSE));
        assert_eq!(breaker.admit(later + LONGEST_PAUSE), Admission::Canary);
        breaker.observe(later + LONGEST_PAUSE, &answered());
        assert_eq!(breaker.admit(later + LONGEST_PAUSE), Admission::Ready);
    }

    #[test]
    fn an_answer_between_two_failures_keeps_it_closed() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..10 {
            breaker.observe(now, &stalled());
            breaker.observe(now, &answered());
        }
        assert_eq!(breaker.admit(now), Admission::Ready);
    }

    #[test]
    fn a_canary_that_is_given_up_or_never_heard_of_leaves_room_for_the_next() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        (0..2).for_each(|_| breaker.observe(now, &stalled()));
        let later = now + 10 * SECOND;
        assert_eq!(breaker.admit(later), Admission::Canary);
        breaker.observe(later, &Observation::new(Outcome::Cancelled));
        assert_eq!(breaker.admit(later), Admission::Canary);
        assert!(rests(&mut breaker, later).is_some());
        assert_eq!(breaker.admit(later + LEASE), Admission::Canary);
    }

    #[test]
    fn what_the_server_asks_for_is_kept_within_reason() {
        let now = Instant::now();
        let throttled = |after: Option<u64>| {
            failed(LlmErrorKind::RateLimited { retry_after: after.map(Duration::from_secs), what: "slow down".into() })
        };
        for (after, rest) in [(Some(42), 42), (Some(1), 5), (Some(1_000_000), 3_600), (None, 5)] {
            let mut breaker = Breaker::default();
            breaker.observe(now, &throttled(after));
            assert_eq!(rests(&mut breaker, now), Some(rest * SECOND), "{after:?}");
        }
        let mut breaker = Breaker::default();
        breaker.observe(now, &throttled(Some(60)));
        (0..2).for_each(|_| breaker.observe(now, &stalled()));
        assert_eq!(rests(&mut breaker, now), Some(60 * SECOND), "a later failure does not shorten it");
        let overloaded = LlmErrorKind::Server { status: 529, retry_after: Some(30 * SECOND), what: "".into() };
        let mut breaker = Breaker::default();
        breaker.observe(now, &failed(overloaded));
        assert_eq!(rests(&mut breaker, now), Some(30 * SECOND));
    }

    #[test]
    fn what_only_settings_mend_rests_long_and_what_the_request_did_never_counts() {
        let now = Instant::now();
        for kind in [
            LlmErrorKind::Unauthorized { status: 401, what: "".into() },
            LlmErrorKind::ModelNotFound { model: "m".into(), what: "".into() },
            LlmErrorKind::Secret { what: "".into() },
        ] {
            let mut breaker = Breaker::default();
            breaker.observe(now, &failed(kind));
            assert_eq!(rests(&mut breaker, now), Some(LASTING_PAUSE));
            breaker.reset();
            assert_eq!(breaker.admit(now), Admission::Ready);
        }
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            let overflow = LlmErrorKind::ContextOverflow { tokens: None, limit: None, what: "".into() };
            breaker.observe(now, &failed(overflow));
            breaker.observe(now, &failed(LlmErrorKind::Rejected { status: 400, what: "".into() }));
            breaker.observe(now, &Observation::new(Outcome::Finished(FinishReason::Refused)));
        }
        assert_eq!(breaker.admit(now), Admission::Ready);
    }

    proptest::proptest! {
        /// Whatever happens, at most one canary is under way, and every rest ends.
        #[test]
        fn one_canary_at_a_time(steps in proptest::collection::vec((0..4_u8, 0..400_u64), 0..60)) {
            let (mut breaker, mut now, mut under_way) = (Breaker::default(), Instant::now(), false);
            for (what, seconds) in steps {
                match what {
                    0 => {
                        if breaker.admit(now) == Admission::Canary {
                            proptest::prop_assert!(!under_way);
                            under_way = true;
                        }
                    }
                    1 => { breaker.observe(now, &stalled()); under_way = false; }
                    2 => { breaker.observe(now, &answered()); under_way = false; }
                    _ => { now += Duration::from_secs(seconds); under_way &= seconds == 0; }
                }
                let end = now + BELIEVED_PAUSE + LEASE;
                let rests = matches!(breaker.peek(end), Admission::Resting { .. });
                proptest::prop_assert!(!rests);
            }
        }
    }
}
