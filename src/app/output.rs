//! Standard output of the headless commands: exactly one JSON document, or text for people.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::failure::{Failure, Told};
use crate::domain::text::neutralise;

/// Whether anything was written to standard output. There is one of it in a process, so this is known of all of it.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// The failure of a command as its one JSON document.
#[derive(Serialize)]
struct Failed<'a> {
    error: Told<'a>,
}

/// How a command answers.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Prints that a command failed as the one JSON document, where one is wanted and none is there yet.
    pub fn failed(self, failure: &Failure, command: &str) {
        if !self.json || BEGUN.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.document(&Failed { error: failure.told(command) }) {
            tracing::warn!(%error, "a failure could not be printed");
        }
    }

    /// Prints `value` as the one JSON document, or `text()` for people.
    pub fn answer(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { self.document(value) } else { self.text(&text()) }
    }

    /// Prints one JSON document on a line. JSON escapes what could act on a terminal, except characters that are
    /// only dangerous there; those were neutralised when they entered.
    pub fn document(self, value: &impl Serialize) -> Result<(), Failure> {
        let mut line = serde_json::to_string(value).map_err(|error| Failure::failed(format!("output: {error}")))?;
        line.push('\n');
        write(line.as_bytes())
    }

    /// Prints one line of many, each a JSON document. `false` when the reader went away.
    pub fn line(self, line: &str) -> Result<bool, Failure> {
        BEGUN.store(true, Ordering::Relaxed);
        let mut out = std::io::stdout().lock();
        match out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::failed(format!("standard output: {error}"))),
        }
    }

    /// Prints JSON text byte for byte, as something that is to be signed must be. Anything in it that could act on a
    /// terminal was neutralised or escaped when it was written as JSON; a terminal still gets the neutralised form.
    pub fn exactly(self, text: &str) -> Result<(), Failure> {
        use std::io::IsTerminal as _;
        if std::io::stdout().is_terminal() { self.text(text) } else { write(text.as_bytes()) }
    }

    /// Prints text, neutralised once more: whatever it was made of, nothing in it acts on the terminal.
    pub fn text(self, text: &str) -> Result<(), Failure> {
        let mut text = neutralise(text).into_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        write(text.as_bytes())
    }
}

/// Writes to standard output; a reader that went away (`| head`) is not a failure.
fn write(bytes: &[u8]) -> Result<(), Failure> {
    BEGUN.store(true, Ordering::Relaxed);
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
