//! Wire formats and streaming of language models. May import `domain` only.
//!
//! [`LlmClient::prepare`] gives the exact bytes of a request, so that they can be written down before they leave;
//! [`LlmClient::send`] sends them and gives a stream of [`StreamEvent`]. A stream ends with
//! [`StreamEvent::Finished`] or with an error, never silently. Dropping it aborts the request.
//!
//! A [`Pool`] holds all end points in their order. Each [`Endpoint`] says whether it may be asked (a circuit breaker
//! with a canary), is told what became of each request (a [`Watch`] follows one), and says how it is.

mod anthropic;
mod breaker;
mod calibration;
mod client;
mod error;
mod frames;
mod gemini;
mod health;
mod load;
mod observation;
mod ollama;
mod openai;
mod pool;
mod probe;
mod refusal;
mod responses;
pub mod schema;
mod stream;
mod traffic;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use breaker::{Admission, Breaker};
pub use calibration::Calibration;
pub use client::{LlmClient, Prepared, sees};
pub use error::{LlmError, LlmErrorKind, Phase};
pub use health::{Blame, Health, HealthState, History};
pub use load::Load;
pub use observation::{Observation, Outcome, Watch};
pub use pool::{CanaryAnswer, Endpoint, Pool};
pub use probe::{Probe, SAMPLE, Shape, Trial, Tried};
pub use stream::EventStream;
pub use traffic::{Stage, Traffic, UnderWay};

use crate::domain::Outgoing;
use crate::domain::diagnosis::Usage;
use crate::domain::settings::{EndpointSettings, Sees};
use schema::Schema;

/// Who speaks. A role is only ever given here, never read out of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// We.
    User,
    /// The model, in an earlier answer.
    Assistant,
}

impl Role {
    /// The word of most wire formats.
    const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in parts that stay apart: evidence is one, instructions another.
    pub parts: Vec<Outgoing>,
}

/// A request for one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// What the model is told to be. Stable, so that servers can cache it.
    pub system: Outgoing,
    /// The conversation. What changes from request to request comes last.
    pub messages: Vec<Message>,
    /// Name and shape of the answer; free text when there is none.
    pub schema: Option<(String, Schema)>,
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// Randomness of the answer; the server's own when `None`.
    pub temperature: Option<f64>,
    /// Seed, where the server knows seeds.
    pub seed: Option<u64>,
}

impl ChatRequest {
    /// All text in it.
    pub fn texts(&self) -> impl Iterator<Item = &Outgoing> {
        std::iter::once(&self.system).chain(self.messages.iter().flat_map(|message| &message.parts))
    }

    /// Masked values in it, by kind, repetitions included.
    pub fn hidden(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for (kind, count) in self.texts().flat_map(Outgoing::hidden) {
            *all.entry(kind.clone()).or_default() += count;
        }
        all
    }

    /// What whoever reads it comes to see.
    pub fn shows(&self) -> Sees {
        self.texts().map(Outgoing::shows).max().unwrap_or(Sees::Nothing)
    }
}

/// What a stream gives.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// The server accepted the request.
    Started,
    /// The model thinks before it answers; said once, and never after a word of the answer.
    Thinking,
    /// More of the answer. Not neutralised: whoever shows it makes a [`crate::domain::Text`] of it.
    Text(String),
    /// What it cost; at most once, before the end.
    Usage(Usage),
    /// The answer is over. Always the last.
    Finished(FinishReason),
}

/// Why an answer is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model had said everything.
    Stop,
    /// The limit of tokens cut it.
    Length,
    /// The model or its operator refuses.
    Refused,
    /// Something else, in the server's word.
    Other(String),
}

/// Time limits of one request, and the bound of its answer. The values come from experience with hosted and local
/// servers; a prompt that is processed on a CPU takes a local server minutes before the first header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To a connection, name resolution and TLS included.
    pub connect: Duration,
    /// From the request to the headers.
    pub headers: Duration,
    /// From the headers to the first content. Heartbeats are not content.
    pub first_content: Duration,
    /// Between two pieces of content.
    pub stall: Duration,
    /// From the first sign that the model thinks to its first word.
    pub thinking: Duration,
    /// In all.
    pub total: Duration,
    /// Bytes of the answer on the wire.
    pub bytes: usize,
}

impl Timeouts {
    /// For a server in another network.
    pub const REMOTE: Self = Self {
        connect: Duration::from_secs(3),
        headers: Duration::from_secs(15),
        first_content: Duration::from_secs(30),
        stall: Duration::from_secs(20),
        thinking: Duration::from_secs(150),
        total: Duration::from_mins(5),
        bytes: 8 << 20,
    };
    /// For a server on this host or in a private network.
    pub const LOCAL: Self = Self { headers: Duration::from_secs(90), ..Self::REMOTE };
    /// To the first content of a model that thinks before it speaks.
    const REASONING: Duration = Duration::from_mins(2);

    /// The limits of an end point: the usual ones of its place and kind, and over them what the settings say.
    pub fn of(settings: &EndpointSettings, is_local: bool) -> Self {
        let usual = if is_local { Self::LOCAL } else { Self::REMOTE };
        let thinking = if settings.reasoning { Self::REASONING } else { usual.first_content };
        let own = settings.timeouts;
        let first_content = own.first_content.unwrap_or(thinking);
        let total = own.total.unwrap_or(usual.total);
        Self {
            connect: own.connect.unwrap_or(usual.connect),
            headers: own.headers.unwrap_or(usual.headers),
            first_content,
            stall: own.stall.unwrap_or(usual.stall),
            // Half of the time is for the answer.
            thinking: first_content.max(total / 2),
            total,
            bytes: usual.bytes,
        }
    }
}

#[cfg(test)]
mod tests;
