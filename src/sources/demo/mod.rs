//! The demo: a recorded incident of a small shop that never existed, made in memory.
//!
//! `payments v2.41` holds a database connection while it waits for the fraud check, together with a row lock. Its
//! pool of 50 connections to `pg-main` is full 28 seconds after the rollout; checkout waits, then fails for a third of
//! the users. The rest of the shop is well. Nothing here is random: the same present gives the same bundle, on every
//! machine (no transcendental functions, whose last digit differs between platforms).

mod alerts;
mod changes;
mod logs;
mod metrics;
mod noise;
mod shop;

use std::time::Duration;

use super::bundle::{Bundle, BundleParts};
use crate::domain::{Text, TimeRange, Timestamp};

/// Distance of samples.
const STEP: Duration = Duration::from_secs(15);
/// How long metrics and logs reach back.
const HISTORY: Duration = Duration::from_hours(1);
/// How long ago the trouble began.
const TROUBLE: Duration = Duration::from_mins(14);

/// The bundle of the demo, whose incident is going on at `now`.
pub fn bundle(now: Timestamp) -> Bundle {
    Bundle::from_parts(parts(now))
}

/// The parts of that bundle, for writing it to disk.
pub fn parts(now: Timestamp) -> BundleParts {
    let times = Times::of(now);
    let window = TimeRange::new(times.trouble, times.end);
    let baseline = TimeRange::new(times.begin, times.trouble.minus(Duration::from_mins(1)));
    let mut parts = BundleParts::new("demo-shop", window, baseline);
    parts.manifest.note =
        Text::new("A made-up shop: payments v2.41 holds a database connection while it waits for the fraud check.");
    (parts.metrics, parts.metadata) = metrics::series(&times);
    parts.logs = logs::entries(&times);
    parts.rules = alerts::rules();
    parts.alerts = alerts::alerts(&times);
    parts.changes = changes::changes(&times);
    parts.runbooks = changes::runbooks();
    parts
}

/// The instants that everything hangs on.
struct Times {
    /// First sample.
    begin: Timestamp,
    /// The new version is on all pods.
    trouble: Timestamp,
    /// Last sample, and the present of the bundle.
    end: Timestamp,
}

impl Times {
    fn of(now: Timestamp) -> Self {
        let step = i64::try_from(STEP.as_secs()).unwrap_or(15);
        let end = Timestamp::from_secs(now.secs().div_euclid(step) * step);
        Self { begin: end.minus(HISTORY), trouble: end.minus(TROUBLE), end }
    }

    /// The instant so many seconds after (or before) the trouble began.
    fn after(&self, seconds: f64) -> Timestamp {
        Timestamp::from_nanos(self.trouble.nanos().saturating_add((seconds * 1e9) as i64))
    }

    /// Number of samples of a series that is there all the time.
    const fn samples() -> usize {
        (HISTORY.as_secs() / STEP.as_secs()) as usize + 1
    }

    /// Seconds since the trouble began at sample `index`; negative before.
    fn seconds(index: usize) -> f64 {
        index as f64 * STEP.as_secs_f64() - (HISTORY.as_secs_f64() - TROUBLE.as_secs_f64())
    }
}

#[cfg(test)]
mod tests;
