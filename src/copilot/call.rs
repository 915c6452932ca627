//! One request to a language model, from intent to outcome.
//!
//! Nothing leaves before the [`Witness`] has written it down, byte for byte, and whatever came back is written down
//! too, however it ended.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::count_tokens;
use crate::domain::diagnosis::{PromptRef, Timing, Usage};
use crate::domain::evidence::EvidenceId;
use crate::domain::pack::Pack;
use crate::llm::{ChatRequest, FinishReason, LlmClient, LlmError, Observation, Prepared, StreamEvent, Watch};

/// Writes down what leaves and what comes back. Implemented over the ledger by `app`.
pub trait Witness: Send {
    /// Called before a request leaves. When it fails, the request does not leave.
    fn before_send<'a>(&'a mut self, leaving: &'a Leaving<'a>) -> BoxFuture<'a, Result<(), String>>;
    /// Called when a request is over, however it went.
    fn after<'a>(&'a mut self, outcome: &'a CallOutcome) -> BoxFuture<'a, Result<(), String>>;
}

/// A request that is about to leave, and what it was made from.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// Where it goes, byte for byte.
    pub call: &'a Prepared,
    /// What it holds.
    pub content: &'a Content<'a>,
    /// Its tokens, counted with o200k.
    pub tokens: usize,
}

/// What a request was made from.
#[derive(Debug, Clone)]
pub struct Content<'a> {
    /// The prompt.
    pub prompt: &'a PromptRef,
    /// The pack in it, if there is one.
    pub pack: Option<&'a Pack>,
    /// The items in it, those of the pack included.
    pub evidence: Vec<EvidenceId>,
}

impl<'a> Content<'a> {
    /// A prompt with a pack, and nothing else.
    pub fn of_pack(prompt: &'a PromptRef, pack: &'a Pack) -> Self {
        Self { prompt, pack: Some(pack), evidence: pack.evidence.iter().map(|item| item.id).collect() }
    }
}

/// What came of one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallOutcome {
    /// Name of the end point.
    pub endpoint: String,
    /// The model.
    pub model: String,
    /// Everything that was received, exactly.
    pub text: String,
    /// Why the answer ended; `None` when it broke off.
    pub finish: Option<FinishReason>,
    /// How it failed, if it did.
    pub error: Option<LlmError>,
    /// Whether the operator cancelled it.
    pub cancelled: bool,
    /// Tokens of the request, counted with o200k.
    pub sent_tokens: usize,
    /// Tokens of the answer, counted with o200k.
    pub received_tokens: usize,
    /// What it cost in the server's own tokens; our count when it does not say.
    pub usage: Usage,
    /// Milliseconds to the headers.
    pub accepted_ms: Option<u64>,
    /// How long it took.
    pub timing: Timing,
    /// What was seen of it, for the end point's health; `None` for an outcome that was put together elsewhere.
    pub seen: Option<Observation>,
}

impl CallOutcome {
    /// Whether the server did any of the work that it charges for.
    pub fn answered(&self) -> bool {
        self.usage.reported || self.cancelled || !self.text.is_empty() || self.finish.is_some()
    }

    /// Tokens a second from the first content to the end, by our own count; `None` for an answer too short to tell.
    pub fn rate(&self) -> Option<f64> {
        rate(self.received_tokens, self.timing.total_ms.checked_sub(self.timing.first_token_ms?)?)
    }
}

/// Tokens a second; `None` while there is too little to tell.
pub fn rate(tokens: usize, elapsed_ms: u64) -> Option<f64> {
    /// Fewer tokens, or a shorter time, say more about packets than about the model.
    const LEAST: (usize, u64) = (8, 100);
    (tokens >= LEAST.0 && elapsed_ms >= LEAST.1).then(|| tokens as f64 / elapsed_ms as f64 * 1e3)
}

/// What happens while a request is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heard<'a> {
    /// It is about to leave.
    Sending {
        /// Its tokens, by our own count.
        tokens: usize,
        /// Values masked in it.
        hidden: usize,
    },
    /// The server accepted it.
    Accepted,
    /// The model thinks, and says nothing yet.
    Thinking,
    /// More of the answer came.
    Text {
        /// All of it so far.
        all: &'a str,
        /// Its tokens, by our own count.
        tokens: usize,
        /// Milliseconds to the first content.
        first_token_ms: u64,
        /// Milliseconds so far.
        elapsed_ms: u64,
    },
}

/// Why a request did not leave, or was not followed to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The ledger could not be written.
    #[error("nothing was sent, because the ledger cannot be written: {0}")]
    NotWitnessed(String),
    /// The operator cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Tokens of a request, counted with o200k.
pub fn request_tokens(request: &ChatRequest) -> usize {
    request.texts().map(|text| count_tokens(text)).sum()
}

/// Sends a request and follows the answer to its end. A failure of the end point is an outcome, not an error.
/// Dropping the future or cancelling the token closes the connection.
pub async fn call(
    client: &LlmClient,
    request: &ChatRequest,
    content: &Content<'_>,
    witness: &mut dyn Witness,
    heard: &mut (dyn FnMut(Heard<'_>) + Send),
    cancel: &CancellationToken,
) -> Result<CallOutcome, CallError> {
    let prepared = client.prepare(request);
    let sent_tokens = request_tokens(request);
    heard(Heard::Sending { tokens: sent_tokens, hidden: prepared.hidden.values().sum() });
    if cancel.is_cancelled() {
        return Err(CallError::Cancelled);
    }
    witness
        .before_send(&Leaving { call: &prepared, content, tokens: sent_tokens })
        .await
        .map_err(CallError::NotWitnessed)?;
    let mut outcome = CallOutcome {
        endpoint: prepared.endpoint.clone(),
        model: prepared.model.clone(),
        sent_tokens,
        ..CallOutcome::default()
    };
    let began = Instant::now();
    let mut watch = Watch::new(began.into_std(), Some(sent_tokens as u64));
    let mut stream = client.send(prepared);
    loop {
        let event = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                outcome.cancelled = true;
                break;
            }
            event = stream.next() => event,
        };
        if let Some(event) = &event {
            watch.event(Instant::now().into_std(), event);
        }
        match event {
            None => break,
            Some(Err(error)) => {
                outcome.error = Some(error);
                break;
            }
            Some(Ok(StreamEvent::Started)) => {
                outcome.accepted_ms = Some(millis(began.elapsed()));
                heard(Heard::Accepted);
            }
            Some(Ok(StreamEvent::Thinking)) => heard(Heard::Thinking),
            Some(Ok(StreamEvent::Usage(usage))) => outcome.usage = usage,
            Some(Ok(StreamEvent::Finished(reason))) => outcome.finish = Some(reason),
            Some(Ok(StreamEvent::Text(text))) => {
                let elapsed_ms = millis(began.elapsed());
                let first_token_ms = *outcome.timing.first_token_ms.get_or_insert(elapsed_ms);
                outcome.received_tokens += count_tokens(&text);
                outcome.text.push_str(&text);
                let tokens = outcome.received_tokens;
                heard(Heard::Text { all: &outcome.text, tokens, first_token_ms, elapsed_ms });
            }
        }
    }
    // The connection closes before anything else happens.
    drop(stream);
    outcome.timing.total_ms = millis(began.elapsed());
    outcome.seen = Some(watch.observation());
    if !outcome.usage.reported {
        outcome.usage = Usage {
            input_tokens: sent_tokens as u64,
            output_tokens: outcome.received_tokens as u64,
            cached_tokens: 0,
            reported: false,
        };
    }
    witness.after(&outcome).await.map_err(CallError::NotWitnessed)?;
    if outcome.cancelled { Err(CallError::Cancelled) } else { Ok(outcome) }
}

/// Whole milliseconds.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_some_tokens_and_some_time() {
        assert_eq!(rate(7, 10_000), None);
        assert_eq!(rate(100, 50), None);
        assert_eq!(rate(100, 500), Some(200.0));
        let outcome = CallOutcome {
            received_tokens: 61,
            timing: Timing { first_token_ms: Some(800), total_ms: 1_800 },
            ..CallOutcome::default()
        };
        assert_eq!(outcome.rate(), Some(61.0));
        assert_eq!(CallOutcome { timing: Timing::default(), ..outcome }.rate(), None);
    }
}
