//! Health of sources and end points.

use serde::{Deserialize, Serialize};

use super::{Text, Timestamp};

/// State of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing was asked yet.
    #[default]
    Unknown,
    /// The first question is under way.
    Connecting,
    /// The last answer was whole and in time.
    Ok,
    /// It answers, but slowly, with warnings, or cut.
    Degraded,
    /// The last question failed.
    Down,
}

impl Status {
    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Connecting => "connecting",
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// Health of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// Name as configured: `prometheus`, `alertmanager`, `loki`, `bundle`.
    pub name: String,
    /// State.
    pub status: Status,
    /// When the last good answer came.
    pub last_ok: Option<Timestamp>,
    /// What is wrong and what to do about it, when something is.
    pub error: Option<Text>,
    /// How long the last answer took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Version of the server, once known.
    pub version: Option<String>,
}

impl SourceHealth {
    /// A source that was not asked yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Unknown,
            last_ok: None,
            error: None,
            latency_ms: None,
            version: None,
        }
    }

    /// Age of the data in seconds.
    pub fn age_seconds(&self, now: Timestamp) -> Option<u64> {
        self.last_ok.map(|at| now.since(at).as_secs())
    }
}
