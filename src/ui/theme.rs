//! Colours and glyphs. One accent; severity is told by glyph and word first, by colour too.

use ratatui::style::{Color, Modifier, Style};

use crate::domain::alert::Severity;
use crate::domain::health::Status;

/// Glyphs used by name.
pub struct Glyphs;

impl Glyphs {
    /// Marks the selected row.
    pub const CURSOR: &'static str = "▸";
    /// A bar of full height, before a critical profile.
    pub const BAR: &'static str = "▌";
}

/// How things look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether there are colours.
    pub colours: bool,
    /// Whether only ASCII can be shown.
    pub ascii: bool,
}

impl Theme {
    /// The theme for a terminal.
    pub const fn new(colours: bool, ascii: bool) -> Self {
        Self { colours, ascii }
    }

    fn colour(self, colour: Color, otherwise: Modifier) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new().add_modifier(otherwise) }
    }

    /// The one accent: the cursor, keys, links.
    pub fn accent(self) -> Style {
        self.colour(Color::Cyan, Modifier::UNDERLINED)
    }

    /// The accent where underlining would hide what is drawn.
    pub fn accent_plain(self) -> Style {
        self.colour(Color::Cyan, Modifier::empty())
    }

    /// The part of a log line that varies.
    pub fn variable(self) -> Style {
        self.colour(Color::Yellow, Modifier::UNDERLINED)
    }

    /// Of a change somebody made.
    pub fn change(self) -> Style {
        self.colour(Color::Magenta, Modifier::empty())
    }

    /// Of lesser weight.
    pub fn dim(self) -> Style {
        if self.colours { Style::new().fg(Color::DarkGray) } else { Style::new() }
    }

    /// Of greater weight.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The selected row.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The focused link or button.
    pub fn focus(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Bad.
    pub fn bad(self) -> Style {
        self.colour(Color::Red, Modifier::BOLD)
    }

    /// Doubtful.
    pub fn warn(self) -> Style {
        self.colour(Color::Yellow, Modifier::BOLD)
    }

    /// Good.
    pub fn good(self) -> Style {
        self.colour(Color::Green, Modifier::empty())
    }

    /// Of a severity.
    pub fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.bad().add_modifier(Modifier::BOLD),
            Severity::Warning => self.warn(),
            Severity::Info | Severity::Unknown => self.dim(),
        }
    }

    /// Of a source's state.
    pub fn status(self, status: Status) -> Style {
        match status {
            Status::Ok => self.good(),
            Status::Degraded => self.warn(),
            Status::Down => self.bad(),
            Status::Unknown | Status::Connecting => self.dim(),
        }
    }
}

/// The glyph of a severity.
pub(super) const fn severity_glyph(severity: Severity, resolved: bool) -> &'static str {
    if resolved {
        return "○";
    }
    match severity {
        Severity::Critical => "▲",
        Severity::Warning => "△",
        Severity::Info => "•",
        Severity::Unknown => "◇",
    }
}

/// The word of a severity, in a fixed width of eight.
pub(super) const fn severity_word(severity: Severity, resolved: bool) -> &'static str {
    if resolved {
        return "RESOLVED";
    }
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "WARNING ",
        Severity::Info => "INFO    ",
        Severity::Unknown => "UNKNOWN ",
    }
}

/// The glyph of a source's state.
pub(super) const fn status_glyph(status: Status) -> &'static str {
    match status {
        Status::Ok => "●",
        Status::Degraded => "◐",
        Status::Down => "✗",
        Status::Unknown | Status::Connecting => "○",
    }
}
