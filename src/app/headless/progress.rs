//! How far an investigation is, on standard error, while a person waits.

use std::io::{IsTerminal as _, Write as _};

use crate::app::investigate::Progress;
use crate::app::output::Output;
use crate::domain::text::neutralise;

/// Columns of the line, at most: a longer one would wrap, and could not be wiped away.
const COLUMNS: usize = 78;

/// One line that is written over and over, and wiped away at the end.
pub(super) struct Meter {
    on: bool,
}

impl Meter {
    /// Shows nothing unless standard error is a terminal and text is what was asked for.
    pub(super) fn new(output: Output) -> Self {
        Self { on: !output.json && std::io::stderr().is_terminal() }
    }

    /// Shows how far it is.
    pub(super) fn show(&self, progress: &Progress) {
        self.say(&progress.line());
    }

    /// Shows what is done now.
    pub(super) fn say(&self, text: &str) {
        if self.on {
            write(&line(text));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.on {
            write("\r\u{1b}[K");
        }
    }
}

/// The line with what wipes away the one before it.
fn line(text: &str) -> String {
    let text = neutralise(text);
    let mut shown: String = text.chars().take(COLUMNS).collect();
    if shown.len() < text.len() {
        shown.pop();
        shown.push('…');
    }
    format!("\r\u{1b}[K{shown}")
}

/// Nobody is harmed when it cannot be written.
fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_cannot_act_on_the_terminal() {
        assert_eq!(line("round 1 of 5"), "\r\u{1b}[Kround 1 of 5");
        let long = line(&format!("\u{1b}[2J{}", "x".repeat(200)));
        assert!(long.ends_with('…') && !long[4..].contains('\u{1b}'));
        assert_eq!(long.chars().count(), COLUMNS + 4);
    }
}
