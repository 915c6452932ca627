//! Health of sources and end points.

use serde::{Deserialize, Serialize};

use super::settings::Sees;
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

/// Health of one end point of language models, as far as it was asked anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHealth {
    /// Name as configured.
    pub name: String,
    /// The model.
    pub model: String,
    /// State, as for sources.
    pub status: Status,
    /// The state in a few words: `fine`, `end point saturated`.
    pub words: String,
    /// What the trouble is with: `end point`, `settings`, `prompt`, `model`, `nothing`.
    pub blame: String,
    /// What it is, in one line.
    pub what: Text,
    /// What to do, in one line; empty when there is nothing to do.
    pub advice: Text,
    /// What it may see.
    pub sees: Sees,
    /// Why and for how long it is left alone, when it is.
    pub resting: Option<Text>,
    /// Usual time to the first token, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// Tokens a second of its last answer.
    pub tokens_per_second: Option<f64>,
    /// Requests that the server last said wait for a place.
    pub requests_waiting: Option<u64>,
    /// Our requests under way there, the oldest first.
    pub under_way: Vec<RequestUnderWay>,
    /// Our requests that were answered since the program began.
    pub answered: u64,
    /// Our requests that failed.
    pub failed: u64,
    /// Our requests that were given up.
    pub cancelled: u64,
    /// Why the last request did not leave, when it did not.
    pub held_back: Option<Text>,
    /// What should be known of its settings.
    pub note: Option<Text>,
}

/// A request to an end point that is not over yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestUnderWay {
    /// How far it is: `connecting`, `waiting for the first word`, `streaming`.
    pub stage: String,
    /// For how long it has been there, in whole seconds.
    pub seconds: u64,
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
