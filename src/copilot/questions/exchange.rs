//! One request to a model, from intent to outcome.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::count_tokens;
use crate::copilot::online::{CallOutcome, Leaving, Witness};
use crate::domain::diagnosis::{PromptRef, Timing, Usage};
use crate::domain::pack::Pack;
use crate::llm::{ChatRequest, LlmClient, StreamEvent};

use super::AskError;

/// Sends `request` once the witness has written it down, and reads the whole answer. `heard` is told the tokens
/// received so far. An answer that is not over at `deadline` is given up.
pub(super) async fn exchange(
    client: &LlmClient,
    request: &ChatRequest,
    (prompt, pack): (&PromptRef, &Pack),
    witness: &mut dyn Witness,
    mut heard: impl FnMut(usize) + Send,
    cancel: &CancellationToken,
    deadline: Instant,
) -> Result<(CallOutcome, bool), AskError> {
    if cancel.is_cancelled() {
        return Err(AskError::Cancelled);
    }
    let prepared = client.prepare(request);
    witness.before_send(&Leaving { call: &prepared, prompt, pack }).await.map_err(AskError::NotWitnessed)?;
    let began = Instant::now();
    let mut outcome = CallOutcome {
        text: String::new(),
        finish: None,
        error: None,
        cancelled: false,
        usage: Usage::default(),
        timing: Timing::default(),
    };
    let mut received = 0;
    let mut late = false;
    let mut stream = client.send(prepared);
    loop {
        let event = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                outcome.cancelled = true;
                break;
            }
            () = tokio::time::sleep_until(deadline) => {
                late = true;
                outcome.cancelled = true;
                break;
            }
            event = stream.next() => event,
        };
        match event {
            None => break,
            Some(Err(error)) => {
                outcome.error = Some(error);
                break;
            }
            Some(Ok(StreamEvent::Started)) => {}
            Some(Ok(StreamEvent::Usage(usage))) => outcome.usage = usage,
            Some(Ok(StreamEvent::Finished(reason))) => outcome.finish = Some(reason),
            Some(Ok(StreamEvent::Text(text))) => {
                outcome.timing.first_token_ms.get_or_insert_with(|| millis(began.elapsed()));
                received += count_tokens(&text);
                outcome.text.push_str(&text);
                heard(received);
            }
        }
    }
    // The connection closes before anything else happens.
    drop(stream);
    outcome.timing.total_ms = millis(began.elapsed());
    if !outcome.usage.reported {
        outcome.usage = Usage {
            input_tokens: pack.tokens as u64,
            output_tokens: received as u64,
            cached_tokens: 0,
            reported: false,
        };
    }
    witness.after(&outcome).await.map_err(AskError::NotWitnessed)?;
    if outcome.cancelled && !late { Err(AskError::Cancelled) } else { Ok((outcome, late)) }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
