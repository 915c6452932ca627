//! What was seen of one request: the raw material of breaker, health and calibration.

use std::time::{Duration, Instant};

use super::error::{LlmError, LlmErrorKind};
use super::{FinishReason, StreamEvent};
use crate::domain::diagnosis::Usage;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer came to its end.
    Finished(FinishReason),
    /// It failed.
    Failed(LlmErrorKind),
    /// We gave it up.
    Cancelled,
}

/// One request, seen from its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// How it ended.
    pub outcome: Outcome,
    /// From the request to the headers.
    pub headers: Option<Duration>,
    /// From the request to the first content.
    pub first_token: Option<Duration>,
    /// Tokens a second of the answer, from its first to its last piece; the server's count.
    pub tokens_per_second: Option<f64>,
    /// What the server counted.
    pub usage: Usage,
    /// Tokens that left, by our own count.
    pub counted_tokens: Option<u64>,
    /// Whether the answer has the shape that was asked for; `None` when none was asked for or it did not end.
    pub schema_kept: Option<bool>,
    /// Whether the answer is one that can be used; `None` when nobody judged.
    pub valid: Option<bool>,
}

impl Observation {
    /// An outcome of which nothing else is known.
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            headers: None,
            first_token: None,
            tokens_per_second: None,
            usage: Usage::default(),
            counted_tokens: None,
            schema_kept: None,
            valid: None,
        }
    }
}

/// Follows one request while it runs. The time is given by the caller.
#[derive(Debug, Clone)]
pub struct Watch {
    began: Instant,
    last: Option<Instant>,
    seen: Observation,
    bytes: usize,
}

impl Watch {
    /// Begins with the request. `counted_tokens` is our own count of what leaves.
    pub fn new(now: Instant, counted_tokens: Option<u64>) -> Self {
        let seen = Observation { counted_tokens, ..Observation::new(Outcome::Cancelled) };
        Self { began: now, last: None, seen, bytes: 0 }
    }

    /// Takes in an event of the stream.
    pub fn event(&mut self, now: Instant, event: &Result<StreamEvent, LlmError>) {
        let since = now.saturating_duration_since(self.began);
        match event {
            Ok(StreamEvent::Started) => self.seen.headers = Some(since),
            Ok(StreamEvent::Thinking) => {}
            Ok(StreamEvent::Text(text)) => {
                self.seen.first_token.get_or_insert(since);
                self.last = Some(now);
                self.bytes += text.len();
            }
            Ok(StreamEvent::Usage(usage)) => self.seen.usage = usage.clone(),
            Ok(StreamEvent::Finished(reason)) => self.seen.outcome = Outcome::Finished(reason.clone()),
            Err(error) => self.seen.outcome = Outcome::Failed(error.kind.clone()),
        }
    }

    /// From the request to the headers, once they are there.
    pub fn headers(&self) -> Option<Duration> {
        self.seen.headers
    }

    /// From the request to the first content, once it is there.
    pub fn first_token(&self) -> Option<Duration> {
        self.seen.first_token
    }

    /// Bytes of text so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tokens a second so far, when `tokens` have come by our own count; `None` before the second piece.
    pub fn rate(&self, tokens: u64) -> Option<f64> {
        let first = self.began + self.seen.first_token?;
        let span = self.last?.saturating_duration_since(first).as_secs_f64();
        (span > 0.0).then(|| tokens as f64 / span)
    }

    /// What was seen, at the end. A request without an end was given up.
    pub fn observation(&self) -> Observation {
        let reported = Some(self.seen.usage.output_tokens).filter(|_| self.seen.usage.reported);
        let tokens_per_second = reported.filter(|tokens| *tokens > 1).and_then(|tokens| self.rate(tokens));
        Observation { tokens_per_second, ..self.seen.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_seen_from_its_events() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let mut watch = Watch::new(began, Some(90));
        assert_eq!(watch.observation().outcome, Outcome::Cancelled);
        watch.event(at(100), &Ok(StreamEvent::Started));
        watch.event(at(300), &Ok(StreamEvent::Text("a".into())));
        assert_eq!(watch.rate(1), None);
        watch.event(at(1_300), &Ok(StreamEvent::Text("bc".into())));
        assert_eq!((watch.rate(3), watch.bytes()), (Some(3.0), 3));
        let usage = Usage { input_tokens: 100, output_tokens: 20, cached_tokens: 0, reported: true };
        watch.event(at(1_300), &Ok(StreamEvent::Usage(usage)));
        watch.event(at(1_300), &Ok(StreamEvent::Finished(FinishReason::Stop)));
        let seen = watch.observation();
        assert_eq!(seen.outcome, Outcome::Finished(FinishReason::Stop));
        assert_eq!((seen.headers, seen.first_token), (Some(at(100) - began), Some(at(300) - began)));
        assert_eq!((seen.tokens_per_second, seen.counted_tokens), (Some(20.0), Some(90)));
    }
}
