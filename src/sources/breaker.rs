//! When a source that cannot be reached is asked again: after a pause that grows with each failure.

use std::time::Duration;

use crate::domain::Timestamp;

/// Failures to connect in a row after which questions fail at once.
const FAILURES: u32 = 3;
/// First pause; it doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause: a server that came back is noticed within this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Counts failures to connect. The time is given by the caller.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    closed_until: Option<Timestamp>,
    trying: bool,
}

impl Breaker {
    /// Whether to ask now; else how long to wait. After the pause one question goes ahead, the others wait for it.
    pub(super) fn admit(&mut self, now: Timestamp) -> Result<(), Duration> {
        let Some(until) = self.closed_until else { return Ok(()) };
        if now < until {
            return Err(until.since(now));
        }
        if self.trying {
            return Err(Duration::ZERO);
        }
        self.trying = true;
        Ok(())
    }

    /// The source was reached, whatever it said.
    pub(super) fn reached(&mut self) {
        *self = Self::default();
    }

    /// The source was not reached.
    pub(super) fn missed(&mut self, now: Timestamp) {
        self.trying = false;
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            let doublings = (self.failures - FAILURES).min(10);
            self.closed_until = Some(now.plus((FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)));
        }
    }

    /// The question was given up before anything was known.
    pub(super) fn given_up(&mut self) {
        self.trying = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_pause_grows_and_ends_with_one_trial() {
        let mut breaker = Breaker::default();
        for _ in 0..2 {
            breaker.missed(at(0));
            assert_eq!(breaker.admit(at(0)), Ok(()));
        }
        breaker.missed(at(0));
        assert_eq!(breaker.admit(at(0)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(at(1)), Ok(()), "the trial");
        assert_eq!(breaker.admit(at(1)), Err(Duration::ZERO), "the others wait for it");
        breaker.missed(at(1));
        assert_eq!(breaker.admit(at(1)), Err(Duration::from_secs(2)));
        for _ in 0..40 {
            breaker.missed(at(10));
        }
        assert_eq!(breaker.admit(at(10)), Err(LONGEST_PAUSE));
        breaker.reached();
        assert_eq!(breaker.admit(at(10)), Ok(()));
    }

    #[test]
    fn a_trial_that_was_given_up_leaves_room_for_the_next() {
        let mut breaker = Breaker::default();
        (0..3).for_each(|_| breaker.missed(at(0)));
        assert_eq!(breaker.admit(at(5)), Ok(()));
        breaker.given_up();
        assert_eq!(breaker.admit(at(5)), Ok(()));
    }
}
