//! How a command ends when it does not end well.

use std::process::ExitCode;

use serde::Serialize;

use crate::config::ConfigError;
use crate::context::redact;
use crate::sources::SourceError;

/// A failure with its exit code and the text for the person: what failed and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}{}", fix.as_ref().map_or_else(String::new, |fix| if text.is_empty() { fix.clone() } else { format!("; {fix}") }))]
pub struct Failure {
    code: u8,
    text: String,
    /// What to do, where it is known apart from the rest.
    fix: Option<String>,
    /// What failed one by one, where several did.
    parts: Vec<String>,
}

/// A failure in the one JSON document that a command answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Told<'a> {
    /// What failed.
    pub what: &'a str,
    /// The command that failed; none for a command line that is none.
    #[serde(rename = "where")]
    pub command: &'a str,
    /// What to do about it, where that is known.
    pub fix: Option<&'a str>,
}

impl Failure {
    /// Exit code 1: it failed.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into(), fix: None, parts: Vec::new() }
    }

    /// Exit code 2: wrong usage or configuration.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into(), fix: None, parts: Vec::new() }
    }

    /// Exit code 3: a check said no.
    pub fn refused(text: impl Into<String>) -> Self {
        Self { code: 3, text: text.into(), fix: None, parts: Vec::new() }
    }

    /// Exit code 3 after the answer itself said no: there is nothing to add.
    pub fn silent_refusal() -> Self {
        Self { code: 3, text: String::new(), fix: None, parts: Vec::new() }
    }

    /// Exit code 1: each of these failed, and what to do.
    pub fn of_parts(parts: Vec<String>, advice: &str) -> Self {
        let text = parts.join("; ");
        Self { parts, ..Self::failed(text) }.with_fix(advice)
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn with_fix(self, fix: &str) -> Self {
        let fix = Some(fix.to_owned()).filter(|fix| !fix.is_empty());
        Self { fix, ..self }
    }

    /// As the one JSON document tells it: what failed, at which command, and what to do about it.
    pub fn told<'a>(&'a self, command: &'a str) -> Told<'a> {
        Told { what: &self.text, command, fix: self.fix.as_deref() }
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
        // A file of settings may hold a secret anywhere, also where none belongs.
        Self::usage(redact(&error.to_string()).text)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_told_apart_and_in_the_same_sentence() {
        let failure = Failure::of_parts(vec!["a: no route".into(), "b: rests".into()], "try later");
        assert_eq!(failure.to_string(), "a: no route; b: rests; try later");
        let told = serde_json::to_value(failure.told("ask")).unwrap();
        assert_eq!(told, serde_json::json!({"what": "a: no route; b: rests", "where": "ask", "fix": "try later"}));
        assert_eq!(Failure::failed("a").to_string(), "a");
        assert_eq!(Failure::of_parts(Vec::new(), "try later").to_string(), "try later");
        assert_eq!(Failure::failed("a").with_fix("").told("x").fix, None);
    }
}
