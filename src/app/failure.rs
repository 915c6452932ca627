//! How a command ends when it does not end well.

use std::process::ExitCode;

use crate::config::ConfigError;
use crate::sources::SourceError;

/// A failure with its exit code and the text for the person: what failed, where, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    code: u8,
    text: String,
    /// What failed one by one, where several did.
    parts: Vec<String>,
}

impl Failure {
    /// Exit code 1: it failed.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into(), parts: Vec::new() }
    }

    /// Exit code 2: wrong usage or configuration.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into(), parts: Vec::new() }
    }

    /// Exit code 3: a check said no.
    pub fn refused(text: impl Into<String>) -> Self {
        Self { code: 3, text: text.into(), parts: Vec::new() }
    }

    /// Exit code 3 after the answer itself said no: there is nothing to add.
    pub fn silent_refusal() -> Self {
        Self { code: 3, text: String::new(), parts: Vec::new() }
    }

    /// Exit code 1: each of these failed, and what to do.
    pub fn of_parts(parts: Vec<String>, advice: &str) -> Self {
        let told: Vec<&str> =
            parts.iter().map(String::as_str).chain([advice]).filter(|text| !text.is_empty()).collect();
        Self { code: 1, text: told.join("; "), parts }
    }

    /// What failed one by one, where several could.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::failed(error.to_string())
    }
}
