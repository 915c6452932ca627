//! Raw mode and the alternate screen, and their undoing.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange};
use crossterm::execute;
use crossterm::style::ResetColor;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

/// Whether the terminal is ours at the moment: a panic on any thread must know.
static ENTERED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Holds the terminal in raw mode on the alternate screen; gives it back when dropped or when the program panics.
pub struct Guard(());

impl Guard {
    /// Takes the terminal. Fails when standard input or output is none.
    pub fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let inner = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                leave();
                inner(info);
            }));
        });
        let guard = Self(());
        guard.take()?;
        Ok(guard)
    }

    /// Gives the terminal back for a while: to the shell, or to an editor.
    pub fn suspend(&self) {
        leave();
    }

    /// Takes the terminal again.
    pub fn resume(&self) -> io::Result<()> {
        self.take()
    }

    fn take(&self) -> io::Result<()> {
        let Self(()) = self;
        enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, Hide)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back, once. Errors are ignored: there is nobody left to tell.
fn leave() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    // A frame cut short by a panic must not leave synchronized output on.
    let _ = out.write_all(b"\x1b[?2026l");
    let _ = execute!(out, ResetColor, DisableFocusChange, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
