//! Ages as shown on the screen, in steps, so that a screen on which nothing happens does not change.
//!
//! An age is rounded down to the last step; [`next_change`] says when the next one is due, so that the loop can sleep
//! until then.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::time::human_duration;

use super::model::Model;
use super::reveal;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Largest step that is not above `seconds`, and the one after it.
fn step(seconds: u64) -> (u64, u64) {
    let width = match seconds {
        0..600 => MINUTE,
        600..HOUR => 5 * MINUTE,
        HOUR..21_600 => 30 * MINUTE,
        21_600..DAY => HOUR,
        _ => DAY,
    };
    let floor = seconds / width * width;
    (floor, floor + width)
}

/// An age for the screen: `now`, `3m`, `25m`, `1h30m`, `2d`.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let (floor, _) = step(now.since(since).as_secs());
    match floor {
        0 => "now".to_owned(),
        _ if floor >= DAY => format!("{}d", floor / DAY),
        _ if floor >= HOUR && floor % HOUR == 0 => format!("{}h", floor / HOUR),
        _ => human_duration(Duration::from_secs(floor)),
    }
}

/// When the age since `since` will read differently.
fn change_after(since: Timestamp, now: Timestamp) -> Timestamp {
    let (_, next) = step(now.since(since).as_secs());
    since.plus(Duration::from_secs(next))
}

/// When the screen will next read differently although nothing happens; `None` when never (recorded or frozen).
pub fn next_change(model: &Model) -> Option<Timestamp> {
    if reveal::behind(model) {
        return Some(model.now.plus(reveal::STEP));
    }
    if model.identity.recorded.is_some() || model.frozen.is_some() {
        return None;
    }
    let sources = model.sources.iter().filter_map(|source| source.last_ok);
    let incidents = model.incidents().filter(|case| !case.incident.is_resolved()).map(|case| case.incident.started_at);
    let ages = sources.chain(incidents).map(|since| change_after(since, model.now));
    // While something is waited for on the screen its seconds are counted.
    let busy = model.current().and_then(|case| {
        let slot = &case.investigation;
        slot.since.filter(|_| slot.busy() && slot.value.is_none())
    });
    let asked = model.asked_model().and_then(|asked| asked.since);
    ages.chain(
        busy.into_iter()
            .chain(asked)
            .map(|since| since.plus(Duration::from_secs(model.now.since(since).as_secs() + 1))),
    )
    .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_move_in_steps() {
        let then = Timestamp::from_secs(1_000);
        let at = |seconds| age(then, then.plus(Duration::from_secs(seconds)));
        assert_eq!(at(0), "now");
        assert_eq!(at(59), "now");
        assert_eq!(at(61), "1m");
        assert_eq!(at(14 * 60), "10m");
        assert_eq!(at(3_960), "1h");
        assert_eq!(at(5_500), "1h30m");
        assert_eq!(at(2 * 86_400 + 5), "2d");
    }

    #[test]
    fn the_next_change_changes_the_age() {
        let then = Timestamp::from_secs(5);
        for seconds in [0, 59, 60, 61, 599, 600, 3_599, 3_600, 50_000, 86_399, 86_400, 999_999] {
            let now = then.plus(Duration::from_secs(seconds));
            let next = change_after(then, now);
            assert!(next > now);
            assert_ne!(age(then, now), age(then, next), "{seconds}");
            assert_eq!(age(then, now), age(then, next.minus(Duration::from_secs(1))), "{seconds}");
        }
    }
}
