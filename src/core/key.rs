//! Keys, independent of the library that reads them.

use std::fmt;

/// A key press as the keymap knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A character, shift already applied.
    Char(char),
    /// A character with Ctrl, lower case.
    Ctrl(char),
    /// A character with Alt, or right after Escape: most places take it as those two.
    Alt(char),
    /// Return with Alt.
    AltEnter,
    /// Backspace with Alt.
    AltBackspace,
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift-Tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.pad("Space"),
            Self::Char(c) => f.pad(c.encode_utf8(&mut [0; 4])),
            Self::Ctrl(c) => f.pad(&format!("Ctrl-{c}")),
            Self::Alt(c) => f.pad(&format!("Alt-{c}")),
            Self::AltEnter => f.pad("Alt-⏎"),
            Self::AltBackspace => f.pad("Alt-Bksp"),
            Self::Enter => f.pad("⏎"),
            Self::Esc => f.pad("Esc"),
            Self::Tab => f.pad("Tab"),
            Self::BackTab => f.pad("S-Tab"),
            Self::Backspace => f.pad("Bksp"),
            Self::Up => f.pad("↑"),
            Self::Down => f.pad("↓"),
            Self::Left => f.pad("←"),
            Self::Right => f.pad("→"),
            Self::Home => f.pad("Home"),
            Self::End => f.pad("End"),
            Self::PageUp => f.pad("PgUp"),
            Self::PageDown => f.pad("PgDn"),
        }
    }
}
