//! Where telemetry comes from: live servers and recorded bundles, behind one trait.
//!
//! May import `domain` only. Every answer is bounded in bytes, items and time, and says what was cut; a source that
//! is dead, slow, lying or flooding harms nothing but itself.

pub mod alertmanager;
mod auth;
mod breaker;
mod build_info;
pub mod bundle;
pub mod changes;
pub mod demo;
pub mod exposition;
mod fingerprint;
mod histogram;
mod http;
pub mod logql;
pub mod loki;
pub mod openmetrics;
pub mod prometheus;
pub mod promql;
pub mod recorder;
pub mod replay;
mod reply;
mod samples;
pub mod series;
pub mod set;

use futures_util::future::BoxFuture;

use crate::domain::query::{Answer, Query};
use crate::domain::{Text, Timestamp};

/// A source of telemetry. Dropping the future that [`Telemetry::ask`] returns aborts the request.
pub trait Telemetry: Send + Sync {
    /// Name for screens, health and provenance: `prometheus`, `alertmanager`, `loki`, `bundle`.
    fn name(&self) -> &str;

    /// Whether this source is the one to ask. Says nothing about whether it will succeed.
    fn answers(&self, query: &Query) -> bool;

    /// Asks.
    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>>;

    /// The present of this source, when it is not the clock's: a bundle lives at the end of its window.
    fn present(&self) -> Option<Timestamp> {
        None
    }
}

/// Why a question was not answered. Printed, it says what failed, why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {}", self.reason())]
pub struct SourceError {
    /// The source.
    pub source_name: String,
    /// Kind, for decisions.
    pub kind: SourceErrorKind,
    /// What happened, neutralised.
    pub what: String,
    /// What to do about it; may be empty.
    pub advice: String,
}

impl SourceError {
    /// An error; `what` and `advice` are neutralised and kept to a screenful.
    pub(crate) fn new(source: &str, kind: SourceErrorKind, what: &str, advice: &str) -> Self {
        let tame = |raw: &str| Text::new(raw).truncated(600).as_str().to_owned();
        Self { source_name: source.to_owned(), kind, what: tame(what), advice: tame(advice) }
    }

    /// What failed and what to do, for where the source is named already.
    pub fn reason(&self) -> String {
        if self.advice.is_empty() { self.what.clone() } else { format!("{} ({})", self.what, self.advice) }
    }
}

/// The error of a question that a source does not answer at all.
pub(crate) fn unsupported(source: &str, query: &Query) -> SourceError {
    let what = format!("{source} has no `{}`", query.expression());
    SourceError::new(source, SourceErrorKind::Unsupported, &what, "")
}

/// Kinds of failure, as far as they call for different behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceErrorKind {
    /// No connection: name, route, refused, TLS.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// 401 or 403, or a credential could not be fetched.
    Unauthorized,
    /// The server understood and says the question is wrong.
    BadQuestion,
    /// This server, or this source, does not have that.
    Unsupported,
    /// What came back is not what the API promises: HTML, truncated or foreign JSON.
    NotUnderstood,
    /// The answer exceeds the byte limit.
    TooLarge,
    /// The server failed or refuses for now (5xx, 429).
    Server,
    /// A bundle file is missing or broken.
    Broken,
}
