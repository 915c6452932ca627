//! The one place where the time is read.

use std::sync::Arc;

use crate::domain::Timestamp;

/// A clock that can be replaced: by a bundle's present, or by a test.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The system's clock.
#[allow(clippy::disallowed_methods, reason = "this is the one place where the clock is read")]
pub fn system() -> Clock {
    Arc::new(|| Timestamp::from_nanos(chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX)))
}

/// A clock that stands still.
pub fn fixed(at: Timestamp) -> Clock {
    Arc::new(move || at)
}
