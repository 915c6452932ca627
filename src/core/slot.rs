//! A value that is fetched: what is known, what is awaited, what went wrong.

use crate::domain::{Text, Timestamp};

use super::effect::Generation;
use super::message::Progress;

/// A value with the state of the effect that fetches it. The last good value stays while a new one is awaited or
/// failed to come.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot<T> {
    /// The last good value.
    pub value: Option<T>,
    /// Why the last attempt failed.
    pub error: Option<Text>,
    /// How far the attempt under way is.
    pub progress: Option<Progress>,
    /// Since when the attempt is under way.
    pub since: Option<Timestamp>,
    /// Whether the attempt was told to make do with what it has.
    pub enough: bool,
    awaited: Generation,
    content: Generation,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { value: None, error: None, progress: None, since: None, enough: false, awaited: 0, content: 0 }
    }
}

impl<T: PartialEq> Slot<T> {
    /// An effect with this number is under way; reports of earlier ones are stale from now on.
    pub fn begin(&mut self, generation: Generation, now: Timestamp) {
        self.awaited = generation;
        self.progress = None;
        self.since = Some(now);
        self.enough = false;
    }

    /// Whether an effect is under way.
    pub fn busy(&self) -> bool {
        self.awaited != 0
    }

    /// The number of the effect under way.
    pub fn awaited(&self) -> Option<Generation> {
        (self.awaited != 0).then_some(self.awaited)
    }

    /// The number of the effect that brought the value, other than the one before it; 0 while there is none.
    pub fn content(&self) -> Generation {
        self.content
    }

    /// Whether a report with this number is the awaited one.
    pub fn awaits(&self, generation: Generation) -> bool {
        generation != 0 && self.awaited == generation
    }

    /// Takes the result of the awaited effect. `false`, and nothing changes, when it is stale.
    pub fn finish(&mut self, generation: Generation, result: Result<T, Text>) -> bool {
        if !self.awaits(generation) {
            return false;
        }
        self.awaited = 0;
        self.progress = None;
        match result {
            Ok(value) => {
                if self.value.as_ref() != Some(&value) {
                    self.value = Some(value);
                    self.content = generation;
                }
                self.error = None;
            }
            Err(why) => self.error = Some(why),
        }
        true
    }

    /// Waits no longer; returns the number of the effect to abort.
    pub fn abandon(&mut self) -> Option<Generation> {
        let awaited = self.awaited();
        self.awaited = 0;
        self.progress = None;
        awaited
    }

    /// Whether the value was never fetched nor tried.
    pub fn untouched(&self) -> bool {
        self.value.is_none() && self.error.is_none() && !self.busy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_result_changes_nothing() {
        let mut slot = Slot::default();
        slot.begin(1, Timestamp::from_secs(0));
        slot.begin(2, Timestamp::from_secs(0));
        assert!(!slot.finish(1, Ok("old")));
        assert_eq!(slot.value, None);
        assert!(slot.finish(2, Ok("new")));
        assert!(!slot.finish(2, Ok("twice")));
        assert_eq!(slot.value, Some("new"));
    }

    #[test]
    fn a_failure_keeps_the_last_good_value() {
        let mut slot = Slot::default();
        slot.begin(1, Timestamp::from_secs(0));
        slot.finish(1, Ok(7));
        slot.begin(2, Timestamp::from_secs(0));
        slot.finish(2, Err(Text::new("no route")));
        assert_eq!((slot.value, slot.error.as_deref()), (Some(7), Some("no route")));
    }

    #[test]
    fn what_was_abandoned_is_not_awaited() {
        let mut slot = Slot::default();
        slot.begin(3, Timestamp::from_secs(0));
        assert_eq!(slot.abandon(), Some(3));
        assert!(!slot.finish(3, Ok(())));
    }
}
