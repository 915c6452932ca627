//! Redaction: secrets are replaced by placeholders that keep equal values equal.

use std::collections::BTreeMap;

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// The text, secrets as `‹secret:kind:n›`.
    pub text: String,
    /// How many values of each kind were replaced.
    pub counts: BTreeMap<String, usize>,
}

/// Redacts many texts with placeholders that stay the same for the same value.
#[derive(Debug, Default)]
pub struct Redactor {
    counts: BTreeMap<String, usize>,
}

impl Redactor {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text without its secrets.
    pub fn redact(&mut self, text: &str) -> String {
        text.to_owned()
    }

    /// How many values of each kind were replaced so far.
    pub fn counts(&self) -> &BTreeMap<String, usize> {
        &self.counts
    }
}

/// Redacts one text.
pub fn redact(text: &str) -> Redacted {
    let mut redactor = Redactor::new();
    Redacted { text: redactor.redact(text), counts: redactor.counts }
}
