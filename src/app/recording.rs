//! The recording of a run: what it printed and when, bounded and without secrets, as it stands in the ledger.

use std::time::Duration;

use serde_json::{Value, json};

use crate::context::redaction::Redactor;
use crate::domain::Text;
use crate::domain::action::{OutputLine, RunState};

/// Most lines of output kept.
const MOST_LINES: usize = 2_000;
/// Most bytes of output kept: with everything else an entry stays below what the ledger takes.
const MOST_BYTES: usize = 1 << 20;

/// What was printed so far.
#[derive(Debug, Default)]
pub(super) struct Recording {
    output: Vec<OutputLine>,
    /// Milliseconds from the start to each line.
    times: Vec<u64>,
    bytes: usize,
    dropped: u64,
    redactor: Redactor,
    /// Inside of a private key, which spans lines.
    in_key: bool,
}

impl Recording {
    /// Takes a line that came `after` the start. Beyond the bounds it is counted only.
    pub(super) fn line(&mut self, line: &OutputLine, after: Duration) {
        let Some(text) = self.without_secrets(line.text.as_str()) else { return };
        if self.output.len() >= MOST_LINES || self.bytes + text.len() > MOST_BYTES {
            self.dropped += 1;
            return;
        }
        self.bytes += text.len();
        self.output.push(OutputLine { stderr: line.stderr, text: Text::new(&text) });
        self.times.push(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    }

    /// So many lines never came.
    pub(super) fn dropped(&mut self, lines: u64) {
        self.dropped += lines;
    }

    /// The line without its secrets; `None` for the lines of a private key after the first.
    fn without_secrets(&mut self, line: &str) -> Option<String> {
        let is_key = |what: &str| line.contains(&format!("-----{what} ")) && line.contains("PRIVATE KEY");
        if self.in_key {
            self.in_key = !is_key("END");
            return None;
        }
        if is_key("BEGIN") && !is_key("END") {
            self.in_key = true;
            return Some("‹secret:private key›".to_owned());
        }
        Some(self.redactor.redact(line))
    }

    /// The outcome's payload: names the run's intent.
    pub(super) fn payload(&self, intent: u64, state: &RunState) -> Value {
        json!({
            "intent": intent, "state": state, "output": self.output, "timesMs": self.times,
            "droppedLines": self.dropped, "redactions": self.redactor.counts(),
        })
    }

    /// The lines kept, and how many were not.
    pub(super) fn into_output(self) -> (Vec<OutputLine>, u64) {
        (self.output, self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> OutputLine {
        OutputLine { stderr: false, text: Text::new(text) }
    }

    #[test]
    fn secrets_stay_out_and_everything_else_stays() {
        let mut recording = Recording::default();
        for text in [
            "deployment.apps/payments rolled back",
            "password: hunter2hunter2",
            "-----BEGIN RSA PRIVATE KEY-----",
            "MIIEowIBAAKCAQEA",
            "-----END RSA PRIVATE KEY-----",
            "done",
        ] {
            recording.line(&line(text), Duration::from_millis(40));
        }
        let payload = recording.payload(7, &RunState::Exited { code: 0 }).to_string();
        assert!(payload.contains("rolled back") && payload.contains("done"), "{payload}");
        assert!(!payload.contains("hunter2") && !payload.contains("MIIE"), "{payload}");
        assert!(payload.contains("\"timesMs\":[40,40,40,40]"), "{payload}");
    }

    #[test]
    fn a_flood_fits_into_an_entry() {
        let mut recording = Recording::default();
        for _ in 0..5_000 {
            recording.line(&line(&"word ".repeat(2_000)), Duration::ZERO);
        }
        let payload = recording.payload(1, &RunState::TimedOut).to_string();
        assert!(payload.len() < crate::ledger::MAX_PAYLOAD_BYTES, "{}", payload.len());
        let (kept, dropped) = recording.into_output();
        assert_eq!(kept.len() as u64 + dropped, 5_000);
    }
}
