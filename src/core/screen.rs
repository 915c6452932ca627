//! Screens: a stack. The topmost has the keyboard; overlays leave what is below them visible.

use std::collections::BTreeSet;

use crate::domain::evidence::EvidenceId;

use super::chat::ChatScreen;
use super::confirm::Dialog;
use super::list::{Input, List};
use super::queue::SignBox;

/// A pane of the incident screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pane {
    /// Ranked suspects with their proof.
    Suspects,
    /// All evidence.
    Evidence,
    /// The diagnosis.
    Diagnosis,
    /// What could be done.
    Actions,
    /// What happened, in order.
    Timeline,
    /// Raw log entries.
    Logs,
    /// Exactly what was asked of the sources.
    Asked,
}

impl Pane {
    /// All panes in the order of their number keys.
    pub const ALL: [Self; 7] =
        [Self::Suspects, Self::Evidence, Self::Diagnosis, Self::Actions, Self::Timeline, Self::Logs, Self::Asked];

    /// The title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Suspects => "Suspects",
            Self::Evidence => "Evidence",
            Self::Diagnosis => "Diagnosis",
            Self::Actions => "Actions",
            Self::Timeline => "Timeline",
            Self::Logs => "Logs",
            Self::Asked => "Asked",
        }
    }

    /// Position, from 0.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The pane `step` further, around the corner.
    #[must_use]
    pub fn turned(self, step: usize) -> Self {
        Self::ALL[(self.index() + step) % Self::ALL.len()]
    }
}

/// A screen.
#[derive(Debug, Clone, PartialEq)]
pub enum Screen {
    /// Nothing is configured.
    FirstRun(List),
    /// The incidents.
    Board(List),
    /// One incident.
    Incident(Box<IncidentScreen>),
    /// One item in full.
    Detail(Detail),
    /// The pack as it would be sent.
    Pack(Reader),
    /// State of the sources in full.
    Sources(Reader),
    /// A chat with a language model.
    Chat(Box<ChatScreen>),
    /// Something is to run.
    Run(Box<Dialog>),
    /// Requests for approval.
    Queue(List),
    /// One of them, to be looked at and signed.
    Sign(Box<SignBox>),
    /// An answer of a model elsewhere is being pasted in.
    Paste(PasteBox),
    /// Keys of the screen below.
    Help(Reader),
    /// Commands by name.
    Palette(Palette),
}

impl Screen {
    /// Whether the screen below stays visible around it.
    pub fn is_overlay(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Sign(_) | Self::Paste(_) | Self::Help(_) | Self::Palette(_))
    }
}

/// State of the incident screen.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentScreen {
    /// The incident's id.
    pub incident: String,
    /// The pane in front.
    pub pane: Pane,
    /// Lists of the panes.
    pub lists: [List; 7],
    /// Focused link within the selected row of the diagnosis.
    pub link: usize,
    /// Columns the log view is shifted by.
    pub shift: usize,
    /// Whether the log view wraps long lines.
    pub wrap: bool,
    /// Marked evidence.
    pub marked: BTreeSet<EvidenceId>,
    /// Whether it was opened only to show a pack: then the way back from there leads past it.
    pub passed: bool,
}

impl IncidentScreen {
    /// The screen of an incident, suspects in front.
    pub fn new(incident: &str) -> Self {
        Self {
            incident: incident.to_owned(),
            pane: Pane::Suspects,
            lists: Default::default(),
            link: 0,
            shift: 0,
            wrap: false,
            marked: BTreeSet::new(),
            passed: false,
        }
    }

    /// The list of the pane in front.
    pub fn list(&self) -> &List {
        &self.lists[self.pane.index()]
    }

    /// The list of the pane in front.
    pub fn list_mut(&mut self) -> &mut List {
        &mut self.lists[self.pane.index()]
    }
}

/// What a detail shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One of several evidence items; the others are one key away.
    Evidence {
        /// The items.
        ids: Vec<EvidenceId>,
        /// The one shown.
        at: usize,
    },
    /// A log entry, by its index.
    Log(usize),
    /// A question, by its index.
    Asked(usize),
    /// An entry of the ledger, by its number.
    Entry(u64),
    /// An answer that broke off before the diagnosis, by its place.
    Earlier(usize),
    /// What something on the screen means.
    Explain(Topic),
}

/// What is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// A chart, log template, alert rule, edge or change.
    Evidence(EvidenceId),
    /// A suggested command, by its id.
    Action(String),
    /// A query.
    Query(String),
    /// A look-up at a source, which is no query.
    Lookup {
        /// As it is listed: `labels`, `rules`.
        name: String,
        /// What it asks for, in words.
        words: String,
    },
}

/// One item in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// The incident's id; empty in a chat about the whole system.
    pub incident: String,
    /// What is shown.
    pub subject: Subject,
    /// The question of the incident's chat that brought it, if one did.
    pub turn: Option<u64>,
    /// Whether moving moves the text rather than through the items.
    pub in_text: bool,
    /// Scrolling and search.
    pub reader: Reader,
}

/// Scrolling, and search, in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reader {
    /// First line shown.
    pub scroll: usize,
    /// First column shown of lines that are not wrapped.
    pub shift: usize,
    /// Whether what is usually folded or cut is shown whole.
    pub whole: bool,
    /// What is searched for.
    pub search: Input,
    /// Whether the search is being typed.
    pub typing: bool,
}

/// Longest answer that can be pasted in, in bytes. Models are asked for a hundredth of that.
pub const PASTE_MAX: usize = 1 << 20;

/// An answer of a model elsewhere, as far as it was pasted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PasteBox {
    /// The incident it is about.
    pub incident: String,
    /// The answer.
    pub text: String,
    /// Bytes that found no room.
    pub dropped: usize,
}

impl PasteBox {
    /// Adds what was pasted, up to the bound.
    pub fn paste(&mut self, text: &str) {
        let room = PASTE_MAX.saturating_sub(self.text.len());
        let kept = text.floor_char_boundary(room.min(text.len()));
        self.text.push_str(&text[..kept]);
        self.dropped += text.len() - kept;
    }
}

/// The command palette.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Palette {
    /// What was typed.
    pub input: Input,
    /// Selected entry.
    pub cursor: usize,
}

impl Palette {
    /// A palette in which something stands already.
    pub fn typed(text: &str) -> Self {
        Self { input: Input { text: text.to_owned() }, cursor: 0 }
    }
}
