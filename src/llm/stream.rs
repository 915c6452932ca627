//! The stream of one answer: frames in, events out, each wait with its limit.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream::BoxStream};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use super::client::Inner;
use super::error::{LlmError, LlmErrorKind, Phase, words};
use super::frames::Framer;
use super::refusal::odd_body;
use super::traffic::{Passage, Stage};
use super::wire::Piece;
use super::{FinishReason, StreamEvent};
use crate::domain::diagnosis::Usage;

/// The stream of one answer. Ends after [`StreamEvent::Finished`] or the first error. Dropping it aborts the request.
pub struct EventStream {
    events: BoxStream<'static, Result<StreamEvent, LlmError>>,
}

impl EventStream {
    pub(super) fn new(inner: Arc<Inner>, body: Vec<u8>, max_tokens: u32) -> Self {
        let began = Instant::now();
        let state = Reading {
            inner,
            began,
            source: Source::Unsent(body),
            framer: Framer::default(),
            ready: VecDeque::new(),
            seen: Seen::default(),
            failed: None,
            max_tokens,
            passage: None,
        };
        let events = futures_util::stream::unfold(Some(state), |state| async move {
            let mut state = state?;
            let next = state.next().await;
            if let Some(passage) = &mut state.passage {
                match &next {
                    Some(Ok(StreamEvent::Finished(_))) => passage.ends(true),
                    Some(Err(_)) => passage.ends(false),
                    _ => {}
                }
            }
            match next {
                Some(Ok(StreamEvent::Finished(reason))) => Some((Ok(StreamEvent::Finished(reason)), None)),
                Some(Ok(event)) => Some((Ok(event), Some(state))),
                Some(Err(error)) => Some((Err(error), None)),
                None => None,
            }
        });
        Self { events: events.boxed() }
    }

    /// A stream that says why nothing was sent, and ends.
    pub(super) fn refused(error: LlmError) -> Self {
        Self { events: futures_util::stream::iter([Err(error)]).boxed() }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventStream")
    }
}

impl Stream for EventStream {
    type Item = Result<StreamEvent, LlmError>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context)
    }
}

/// Why bytes ceased to come.
enum Broken {
    Transport(String),
    /// The bytes are not what the headers say: compressed, in chunks.
    Odd(String),
    TooLarge,
}

type Chunks = BoxStream<'static, Result<Vec<u8>, Broken>>;

/// Where the answer comes from.
enum Source {
    /// The request has not left.
    Unsent(Vec<u8>),
    /// Bytes that are cut into frames.
    Chunks(Chunks),
    /// Nothing more will come, for this reason.
    Exhausted(String),
}

/// Bytes of an answer for each token that it may have: twice what a token usually is, so that only a server that ignores
/// the limit comes there.
const TOKEN_BYTES: usize = 8;
/// Tokens that every answer may have before it is stopped: some servers take no small limit.
const LEAST_TOKENS: usize = 512;
/// How many times longer than the answer a thought may be.
const THOUGHTS: usize = 4;

#[derive(Default)]
struct Seen {
    headers: Option<Instant>,
    /// When the last content came, or a sign that the model thinks. White space is none.
    content: Option<Instant>,
    /// When the model was first seen to think.
    thinks: Option<Instant>,
    /// Bytes of its thoughts.
    thought: usize,
    /// White space before the answer.
    blank: String,
    /// Bytes of the answer's text, from its first word.
    text: usize,
    finish: Option<FinishReason>,
    end: bool,
    usage: Option<Usage>,
    closed: bool,
}

impl Seen {
    /// Bytes of text, and all bytes that a model wrote.
    fn content_bytes(&self) -> (usize, usize) {
        (self.text, self.text + self.blank.len() + self.thought)
    }
}

struct Reading {
    inner: Arc<Inner>,
    began: Instant,
    source: Source,
    framer: Framer,
    ready: VecDeque<StreamEvent>,
    seen: Seen,
    failed: Option<LlmError>,
    /// Most tokens of the answer that were asked for.
    max_tokens: u32,
    /// Once the request leaves.
    passage: Option<Passage>,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<StreamEvent, LlmError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            // What came before it failed comes first.
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            if self.seen.closed {
                return None;
            }
            self.failed = self.advance().await.err();
        }
    }

    /// Waits for the next frame, or the headers, and takes it in.
    async fn advance(&mut self) -> Result<(), LlmError> {
        if let Source::Unsent(body) = &mut self.source {
            let body = std::mem::take(body);
            self.passage = Some(self.inner.register.begin(Instant::now().into_std()));
            return self.start(body).await;
        }
        if self.seen.end {
            self.close();
            return Ok(());
        }
        match self.framer.next() {
            Some(Ok(frame)) => return self.take(&frame.event, &frame.data),
            Some(Err(why)) => {
                return Err(self.inner.error(LlmErrorKind::NotUnderstood { what: why.words().into() }));
            }
            None => {}
        }
        let (deadline, phase, after) = self.deadline();
        let chunks = match &mut self.source {
            Source::Chunks(chunks) => chunks,
            Source::Exhausted(how) => {
                let how = std::mem::take(how);
                return self.ended(&how);
            }
            Source::Unsent(_) => return self.ended("the request did not leave"),
        };
        match timeout_at(deadline, chunks.next()).await {
            // The answer is whole; only the courtesy of a terminal frame is missing.
            Err(_) if self.seen.finish.is_some() => {
                self.close();
                Ok(())
            }
            Err(_) => Err(self.late(phase, after)),
            Ok(Some(Ok(chunk))) => {
                self.framer.push(&chunk);
                Ok(())
            }
            Ok(None) => {
                self.framer.finish();
                self.source = Source::Exhausted("the connection was closed before the end of the answer".to_owned());
                Ok(())
            }
            Ok(Some(Err(Broken::TooLarge))) => {
                Err(self.inner.error(LlmErrorKind::TooLarge { limit: self.inner.timeouts.bytes }))
            }
            Ok(Some(Err(Broken::Transport(what)))) => {
                self.source = Source::Exhausted(what);
                Ok(())
            }
            Ok(Some(Err(Broken::Odd(what)))) => {
                Err(self.inner.error(LlmErrorKind::NotUnderstood { what: words(&what) }))
            }
        }
    }

    /// Which limit is reached first.
    fn deadline(&self) -> (Instant, Phase, Duration) {
        let limits = &self.inner.timeouts;
        let total = (self.began + limits.total, Phase::Total, limits.total);
        let near = match (self.seen.content, self.seen.headers) {
            // Between two signs of thinking more time passes than between two words.
            (Some(at), _) if self.seen.text == 0 => {
                let limit = limits.first_content.max(limits.stall);
                let thinks = (self.seen.thinks.unwrap_or(at) + limits.thinking, Phase::Thinking, limits.thinking);
                if thinks.0 <= at + limit { thinks } else { (at + limit, Phase::Thinking, limit) }
            }
            (Some(at), _) => (at + limits.stall, Phase::Stall, limits.stall),
            (None, Some(at)) => (at + limits.first_content, Phase::FirstContent, limits.first_content),
            (None, None) => (self.began + limits.headers, Phase::Headers, limits.headers),
        };
        if near.0 <= total.0 { near } else { total }
    }

    async fn start(&mut self, body: Vec<u8>) -> Result<(), LlmError> {
        let (deadline, phase, after) = self.deadline();
        let inner = Arc::clone(&self.inner);
        let timed_out = |phase, after| inner.error(LlmErrorKind::Timeout { phase, after });
        let sending: BoxFuture<'_, Result<Response, LlmError>> = inner.post(body).boxed();
        let response = timeout_at(deadline, sending).await.map_err(|_| timed_out(phase, after))??;
        self.seen.headers = Some(Instant::now());
        self.reaches(Stage::Waiting);
        self.ready.push_back(StreamEvent::Started);
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !(kind.ends_with("json") && !kind.contains("ndjson") || kind == "text/html") {
            self.source = Source::Chunks(chunks(response, self.inner.timeouts.bytes));
            return Ok(());
        }
        // No stream: an error in the body, a server that does not stream, or something else altogether.
        let (deadline, phase, after) = self.deadline();
        let body =
            timeout_at(deadline, read_bounded(&inner, response)).await.map_err(|_| timed_out(phase, after))??;
        self.source = Source::Exhausted("the body holds no terminal frame".to_owned());
        let text = String::from_utf8_lossy(&body);
        if let Some(error) = inner.in_band("", &text) {
            return Err(error);
        }
        if let Ok(value) = serde_json::from_slice(&body) {
            let Some(pieces) = inner.wire.decode_whole(&value) else {
                let what = format!("JSON of another kind: {}", text.chars().take(120).collect::<String>());
                return Err(inner.error(LlmErrorKind::NotUnderstood { what: words(&what) }));
            };
            for piece in pieces {
                self.take_piece(piece);
            }
            return self.bounded();
        }
        // A stream under the wrong name.
        if body.windows(5).any(|window| window == b"data:") || (body.starts_with(b"{") && body.contains(&b'\n')) {
            self.framer.push(&body);
            self.framer.finish();
            return Ok(());
        }
        Err(inner.error(LlmErrorKind::NotUnderstood { what: odd_body(&body) }))
    }

    fn take(&mut self, event: &str, data: &str) -> Result<(), LlmError> {
        if let Some(error) = self.inner.in_band(event, data) {
            return Err(error);
        }
        let pieces = self
            .inner
            .wire
            .decode(event, data)
            .map_err(|what| self.inner.error(LlmErrorKind::NotUnderstood { what: words(&what) }))?;
        let before = self.seen.content_bytes();
        for piece in pieces {
            self.take_piece(piece);
        }
        // Where frame follows on frame nothing is waited for: what is not an answer must not go on for ever all the same.
        let (deadline, phase, after) = self.deadline();
        if self.seen.text == before.0 && self.seen.content_bytes() != before && Instant::now() >= deadline {
            return Err(self.late(phase, after));
        }
        self.bounded()
    }

    /// What it means that a limit of time was reached.
    fn late(&self, phase: Phase, after: Duration) -> LlmError {
        let blank = phase == Phase::FirstContent && !self.seen.blank.is_empty();
        self.inner.error(if blank {
            let what = format!("nothing but white space came for {} s", after.as_secs_f64());
            LlmErrorKind::Incomplete { received: 0, what: words(&what) }
        } else {
            LlmErrorKind::Timeout { phase, after }
        })
    }

    /// Fails when far more came than was asked for: the server ignores the limit, and the model finds no end.
    fn bounded(&self) -> Result<(), LlmError> {
        let most = (self.max_tokens as usize).max(LEAST_TOKENS).saturating_mul(TOKEN_BYTES);
        let Seen { text, thought, blank, .. } = &self.seen;
        if text + blank.len() <= most && *thought <= most.saturating_mul(THOUGHTS) {
            return Ok(());
        }
        Err(self.inner.error(LlmErrorKind::TooLong { received: *text, limit: self.max_tokens }))
    }

    fn reaches(&self, stage: Stage) {
        if let Some(passage) = &self.passage {
            passage.reaches(stage, Instant::now().into_std());
        }
    }

    fn take_piece(&mut self, piece: Piece) {
        match piece {
            Piece::Text(text) => {
                let blank = text.trim().is_empty();
                if blank && self.seen.text == 0 {
                    self.seen.blank.push_str(&text);
                    return;
                }
                if !blank {
                    self.seen.content = Some(Instant::now());
                }
                let text = std::mem::take(&mut self.seen.blank) + &text;
                self.seen.text += text.len();
                self.reaches(Stage::Streaming);
                self.ready.push_back(StreamEvent::Text(text));
            }
            Piece::Thought(bytes) => {
                let now = Instant::now();
                if self.seen.thinks.is_none() && self.seen.text == 0 {
                    self.ready.push_back(StreamEvent::Thinking);
                }
                self.seen.thinks.get_or_insert(now);
                self.seen.content = Some(now);
                self.seen.thought += bytes;
            }
            Piece::Usage(new) => {
                let old = self.seen.usage.take().unwrap_or_default();
                self.seen.usage = Some(Usage {
                    input_tokens: old.input_tokens.max(new.input_tokens),
                    output_tokens: old.output_tokens.max(new.output_tokens),
                    cached_tokens: old.cached_tokens.max(new.cached_tokens),
                    // A server that counts nothing says nought.
                    reported: old.reported || (new.reported && new.input_tokens > 0),
                });
            }
            Piece::Finish(reason) => {
                self.seen.content = Some(Instant::now());
                // A refusal may be followed by the word that the answer is complete.
                if self.seen.finish != Some(FinishReason::Refused) {
                    self.seen.finish = Some(reason);
                }
            }
            Piece::End => self.seen.end = true,
        }
    }

    /// No more frames will come: whole if the model said why it stopped, broken off otherwise.
    fn ended(&mut self, how: &str) -> Result<(), LlmError> {
        if self.seen.finish.is_none() {
            return Err(self.inner.error(LlmErrorKind::Incomplete { received: self.seen.text, what: words(how) }));
        }
        self.close();
        Ok(())
    }

    fn close(&mut self) {
        self.ready.extend(self.seen.usage.take().map(StreamEvent::Usage));
        let reason = self.seen.finish.take().unwrap_or(FinishReason::Stop);
        self.ready.push_back(StreamEvent::Finished(reason));
        self.seen.closed = true;
        self.source = Source::Exhausted(String::new());
    }
}

/// The bytes of a response, with a bound on how many.
fn chunks(response: Response, limit: usize) -> Chunks {
    let mut read = 0_usize;
    response
        .bytes_stream()
        .map(move |chunk| {
            let chunk = chunk.map_err(|error| broken(&error.without_url()))?;
            read = read.saturating_add(chunk.len());
            if read > limit { Err(Broken::TooLarge) } else { Ok(Vec::from(chunk)) }
        })
        .boxed()
}

/// What ended a body before its time.
fn broken(error: &reqwest::Error) -> Broken {
    let is_odd = |error: &std::io::Error| {
        matches!(error.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData)
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(is_odd) {
            return Broken::Odd(format!("the body is not what its headers say: {error}"));
        }
        cause = error.source();
    }
    Broken::Transport(super::client::chain(error))
}

/// A whole body, with the bound.
pub(super) async fn read_bounded(inner: &Inner, response: Response) -> Result<Vec<u8>, LlmError> {
    let limit = inner.timeouts.bytes;
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| match broken(&error.without_url()) {
            Broken::Odd(what) => inner.error(LlmErrorKind::NotUnderstood { what: words(&what) }),
            Broken::Transport(what) => {
                inner.error(LlmErrorKind::Incomplete { received: body.len(), what: words(&what) })
            }
            Broken::TooLarge => inner.error(LlmErrorKind::TooLarge { limit }),
        })?;
        if body.len() + chunk.len() > limit {
            return Err(inner.error(LlmErrorKind::TooLarge { limit }));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
