//! What can go wrong when an expression is evaluated on replay.

/// Why an expression was not evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It does not parse, or its types do not fit.
    #[error("{0}")]
    Wrong(String),
    /// It is right, but not part of what can be evaluated on replay.
    #[error("{what} is not supported on replay")]
    Unsupported {
        /// The construct.
        what: String,
        /// What is supported in its place.
        instead: &'static str,
    },
    /// It would take or give too much.
    #[error("{0}")]
    TooLarge(String),
}

impl ReplayError {
    /// A construct that is not evaluated.
    pub fn unsupported(what: impl Into<String>, instead: &'static str) -> Self {
        Self::Unsupported { what: what.into(), instead }
    }

    /// What to do about it; may be empty.
    pub fn advice(&self) -> &str {
        match self {
            Self::Wrong(_) => "",
            Self::Unsupported { instead, .. } => instead,
            Self::TooLarge(_) => "ask for a shorter range, a longer step or fewer series",
        }
    }
}
