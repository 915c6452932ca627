//! Everything that can go wrong with an end point, in words for the person who has to do something about it.

use std::fmt;
use std::time::Duration;

use crate::context::redact;
use crate::domain::Text;

/// Where in a request the time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No connection.
    Connect,
    /// Connected, no headers.
    Headers,
    /// Headers, no content.
    FirstContent,
    /// The model was seen to think, and no word came.
    Thinking,
    /// Content ceased.
    Stall,
    /// The whole took too long.
    Total,
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlmError {
    /// Name of the end point.
    pub endpoint: String,
    /// What happened.
    pub kind: LlmErrorKind,
}

impl std::error::Error for LlmError {}

/// Kinds of failure, as far as they call for different behaviour. Server words are neutralised and short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LlmErrorKind {
    /// The settings cannot work.
    Settings {
        /// What is wrong.
        what: Text,
    },
    /// The text shows more than the end point may see; nothing was sent.
    NotAllowed {
        /// What it shows, and what may be seen.
        what: Text,
    },
    /// The key or a header's secret cannot be had.
    Secret {
        /// Why.
        what: Text,
    },
    /// No connection: name, route, refused, TLS.
    Unreachable {
        /// What happened.
        what: Text,
    },
    /// The proxy on the way does not answer, or makes no connection: nothing is known of the server.
    Proxy {
        /// Which proxy, and what happened.
        what: Text,
    },
    /// 401 or 403.
    Unauthorized {
        /// HTTP status.
        status: u16,
        /// The server's words.
        what: Text,
    },
    /// The server does not have the model, or not the end point.
    ModelNotFound {
        /// The model asked for.
        model: String,
        /// The server's words.
        what: Text,
    },
    /// 429: too many requests or tokens, or the money is used up.
    RateLimited {
        /// When to try again, as the server says.
        retry_after: Option<Duration>,
        /// The server's words.
        what: Text,
    },
    /// The request does not fit into the model's context.
    ContextOverflow {
        /// Tokens of the request.
        tokens: Option<u64>,
        /// Tokens of the context.
        limit: Option<u64>,
        /// The server's words.
        what: Text,
    },
    /// An error in the body of a successful response.
    InBand {
        /// The server's words.
        what: Text,
    },
    /// The stream ended without a terminal frame: what came is not the whole answer.
    Incomplete {
        /// Characters of the answer that came.
        received: usize,
        /// How it ended.
        what: Text,
    },
    /// Time ran out.
    Timeout {
        /// Where.
        phase: Phase,
        /// The limit that was reached.
        after: Duration,
    },
    /// The answer is larger than its bound.
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// The answer goes on far beyond the tokens that were asked for.
    TooLong {
        /// Bytes of the answer that came; none when the model only thought.
        received: usize,
        /// Most tokens that were asked for.
        limit: u32,
    },
    /// What came back is not what the protocol promises.
    NotUnderstood {
        /// What is odd about it.
        what: Text,
    },
    /// The server fails or is overloaded (5xx).
    Server {
        /// HTTP status.
        status: u16,
        /// When to try again, as the server says.
        retry_after: Option<Duration>,
        /// The server's words.
        what: Text,
    },
    /// The server understood and says no (other 4xx).
    Rejected {
        /// HTTP status.
        status: u16,
        /// The server's words.
        what: Text,
    },
}

impl LlmError {
    /// Whether a server took the trouble to say so with a status or a body of its own.
    pub(super) fn is_reply(&self) -> bool {
        !matches!(
            self.kind,
            LlmErrorKind::Settings { .. }
                | LlmErrorKind::NotAllowed { .. }
                | LlmErrorKind::Secret { .. }
                | LlmErrorKind::Unreachable { .. }
                | LlmErrorKind::Proxy { .. }
                | LlmErrorKind::Incomplete { .. }
                | LlmErrorKind::Timeout { .. }
                | LlmErrorKind::TooLong { .. }
        )
    }

    /// Whether the same request may succeed later or elsewhere. Never for what the request itself is to blame for.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            LlmErrorKind::Unreachable { .. }
                | LlmErrorKind::Proxy { .. }
                | LlmErrorKind::RateLimited { .. }
                | LlmErrorKind::InBand { .. }
                | LlmErrorKind::Incomplete { .. }
                | LlmErrorKind::Timeout { .. }
                | LlmErrorKind::TooLong { .. }
                | LlmErrorKind::Server { .. }
        )
    }
}

impl fmt::Display for LlmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.kind)
    }
}

impl fmt::Display for LlmErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings { what } => write!(f, "{what} (correct the end point's settings)"),
            Self::NotAllowed { what } => write!(f, "{what} (`sees` of the end point says how much)"),
            Self::Secret { what } => write!(f, "its key cannot be had: {what}"),
            Self::Unreachable { what } => write!(f, "no connection: {what} (check url, proxy and network)"),
            Self::Proxy { what } => {
                write!(f, "proxy {what} (check `proxy` of the end point, or HTTPS_PROXY and NO_PROXY)")
            }
            Self::Unauthorized { status, what } => {
                write!(f, "the key is not accepted, HTTP {status}: {what} (check the end point's key)")
            }
            Self::ModelNotFound { model, what } => {
                write!(f, "the model `{model}` or the path is not there: {what} (check model and url)")
            }
            Self::RateLimited { retry_after, what } => {
                write!(f, "too many requests: {what} (")?;
                match retry_after {
                    Some(after) => write!(f, "try again in {} s)", after.as_secs().max(1)),
                    None => f.write_str("try again later, or use another end point)"),
                }
            }
            Self::ContextOverflow { tokens, limit, what } => {
                f.write_str("the request does not fit into the model's context")?;
                match (tokens, limit) {
                    (Some(tokens), Some(limit)) => write!(f, ", {tokens} of {limit} tokens")?,
                    _ => write!(f, ": {what}")?,
                }
                f.write_str(" (lower pack_tokens, or use a model with a larger context)")
            }
            Self::InBand { what } => write!(f, "the server reported an error in the answer: {what} (try again)"),
            Self::Incomplete { received, what } => {
                let kept = if *received > 0 { "what came is kept; " } else { "" };
                write!(f, "the answer broke off after {received} characters: {what} ({kept}try again)")
            }
            Self::Timeout { phase, after } => {
                let secs = after.as_secs_f64();
                match phase {
                    Phase::Connect => write!(f, "no connection within {secs} s (check url, proxy and network)"),
                    Phase::Headers => write!(f, "connected, but no response within {secs} s (the server is saturated)"),
                    Phase::FirstContent => {
                        write!(f, "accepted, but no content within {secs} s (the server is saturated)")
                    }
                    Phase::Thinking => write!(
                        f,
                        "the model thinks, and said nothing within {secs} s (use one that thinks less, or raise \
                         timeouts.total)"
                    ),
                    Phase::Stall => write!(f, "the answer stalled for {secs} s (what came is kept; try again)"),
                    Phase::Total => write!(f, "not finished within {secs} s (ask for less, or raise timeouts.total)"),
                }
            }
            Self::TooLarge { limit } => {
                write!(f, "the answer exceeds {limit} bytes and was cut off (is this the API?)")
            }
            Self::TooLong { received: 0, limit } => write!(
                f,
                "answer too long: the model thinks far beyond the {limit} tokens it was given, and said nothing (use one \
                 that thinks less, or raise answer_tokens)"
            ),
            Self::TooLong { received, limit } => write!(
                f,
                "answer too long: {received} characters and no end, where {limit} tokens were asked for (what came is \
                 kept; the server ignores the limit: use another model, or raise answer_tokens)"
            ),
            Self::NotUnderstood { what } => write!(f, "not an answer of this API: {what} (check url and protocol)"),
            Self::Server { status, retry_after, what } => {
                write!(f, "the server fails, HTTP {status}: {what} (")?;
                match retry_after {
                    Some(after) => write!(f, "try again in {} s)", after.as_secs().max(1)),
                    None => f.write_str("try again later, or use another end point)"),
                }
            }
            Self::Rejected { status, what } => write!(f, "refused, HTTP {status}: {what} (check model and protocol)"),
        }
    }
}

/// Server words, short and harmless. They may hold a key that is not the one we sent, as a server before this one got it:
/// secrets are masked before anything is cut, as half a key is not known for one.
pub(super) fn words(raw: &str) -> Text {
    let raw = raw.trim();
    let text = Text::new(&raw[..raw.floor_char_boundary(MOST_WORDS)]);
    Text::new(&redact(&text.one_line()).text).truncated(300)
}

/// Bytes of a server's words that are looked at.
const MOST_WORDS: usize = 4_000;
