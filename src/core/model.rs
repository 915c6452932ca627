//! What the program knows.

use std::collections::BTreeMap;

use crate::domain::baseline::BaselineChoice;
use crate::domain::diagnosis::Earlier;
use crate::domain::evidence::EvidenceId;
use crate::domain::health::{EndpointHealth, SourceHealth};
use crate::domain::incident::Incident;
use crate::domain::ledger::Entry;
use crate::domain::recheck::Rechecked;
use crate::domain::{Text, Timestamp};

use super::chat::Chat;
use super::effect::{Generation, Wish};
use super::list::List;
use super::message::{Answered, Conclusion, Draft, Investigation, PackPreview};
use super::queue::Queue;
use super::screen::{Detail, IncidentScreen, Screen};
use super::slot::Slot;

/// Smallest terminal in which a screen is drawn: below it only a message is.
pub const SMALLEST: (u16, u16) = (40, 10);

/// Answers to checks kept per incident.
pub const ANSWERS_MAX: usize = 50;

/// Commands remembered by the palette.
pub const HISTORY_MAX: usize = 50;

/// Where this program works and for whom; fixed while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Profile: `prod`.
    pub profile: String,
    /// Whether the profile is marked critical.
    pub critical: bool,
    /// Who works here.
    pub actor: String,
    /// `DEMO`, or the bundle's name, when this is not live.
    pub recorded: Option<String>,
    /// Whether approvals can be asked for and given here.
    pub approvals: bool,
    /// Names of the language model end points, in the order in which they are tried.
    pub models: Vec<String>,
    /// Whether the operator wants to see what is sent to them before it is.
    pub ask_first: bool,
}

/// What was found on a machine where nothing is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstRun {
    /// Where a configuration file is looked for.
    pub config_path: String,
    /// What was found, each with what can be done with it.
    pub found: Vec<Found>,
}

/// Something found: an environment variable, a listening port, a kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What: `PROMETHEUS_URL`, `127.0.0.1:9090`.
    pub what: String,
    /// What it means and what to do.
    pub hint: String,
}

/// A short message to the operator; it takes the place of the key hints until the next key press, or until it is old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// What.
    pub text: Text,
    /// Whether something failed.
    pub failed: bool,
    /// The effect that it speaks of as under way: it goes away when that ends.
    pub during: Option<Generation>,
}

/// What is known about one incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The incident.
    pub incident: Incident,
    /// What the operator wants it compared with; none for the usual.
    pub baseline: Option<BaselineChoice>,
    /// Suspects, evidence, logs, questions.
    pub investigation: Slot<Investigation>,
    /// The diagnosis.
    pub conclusion: Slot<Conclusion>,
    /// The other diagnosis, which is not shown: the playbooks' while a model's is, and the other way round.
    pub other: Option<Conclusion>,
    /// Whether the diagnosis under way was not asked for: Esc leaves it alone.
    pub unasked: bool,
    /// Whether a language model is asked for the diagnosis under way.
    pub of_model: bool,
    /// What was asked for while the diagnosis that nobody asked for is under way: it comes next.
    pub wanted: Option<Wish>,
    /// The diagnosis being written.
    pub draft: Option<Draft>,
    /// Whether the diagnosis is shown in the order in which it was written, for whoever read along.
    pub as_written: bool,
    /// Characters of it that are shown.
    pub revealed: usize,
    /// Answers that were given up while there was no diagnosis to keep them beside.
    pub given_up: Vec<Earlier>,
    /// The pack, as it would be sent.
    pub pack: Slot<PackPreview>,
    /// The ledger's entries.
    pub timeline: Slot<Vec<Entry>>,
    /// Answer to the last check asked.
    pub answer: Slot<()>,
    /// Answers to checks, newest last.
    pub answers: Vec<Answered>,
    /// Evidence that was asked again, with when; the last time of each item.
    pub rechecked: BTreeMap<EvidenceId, (Timestamp, Rechecked)>,
}

impl Case {
    /// A case of which only the alerts are known.
    pub fn new(incident: Incident) -> Self {
        Self {
            incident,
            baseline: None,
            investigation: Slot::default(),
            conclusion: Slot::default(),
            other: None,
            unasked: false,
            of_model: false,
            wanted: None,
            draft: None,
            as_written: false,
            revealed: 0,
            given_up: Vec::new(),
            pack: Slot::default(),
            timeline: Slot::default(),
            answer: Slot::default(),
            answers: Vec::new(),
            rechecked: BTreeMap::new(),
        }
    }

    /// The diagnosis whose actions can be chosen: the one shown, and where that did not end cleanly the playbooks'.
    pub fn acting(&self) -> Option<&Conclusion> {
        let shown = self.conclusion.value.as_ref()?;
        if shown.diagnosed.complete { Some(shown) } else { self.other.as_ref().or(Some(shown)) }
    }

    /// Whether a diagnosis is under way that somebody asked for.
    pub fn asked_for(&self) -> bool {
        self.conclusion.busy() && !self.unasked
    }

    /// What of it is under way, if anything: messages that speak of it end with it.
    pub fn under_way(&self) -> Option<Generation> {
        self.conclusion.awaited().or(self.investigation.awaited()).or(self.pack.awaited())
    }
}

/// Language models that are being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedModel {
    /// Who: `claude-… via primary`.
    pub who: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Requests under way beside this one.
    pub others: usize,
}

/// What the program knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The time, as last told.
    pub now: Timestamp,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Where and for whom.
    pub identity: Identity,
    /// What was found, when nothing is configured.
    pub first_run: Option<FirstRun>,
    /// Ids of the incidents in the order of the board. `value` is `None` until the first answer.
    pub board: Slot<Vec<String>>,
    /// The incidents by id.
    pub cases: BTreeMap<String, Case>,
    /// Chats by the id of their incident; the one about the whole system under the empty name.
    pub chats: BTreeMap<String, Chat>,
    /// Requests for approval.
    pub queue: Slot<Queue>,
    /// State of the sources.
    pub sources: Vec<SourceHealth>,
    /// State of the language models, in the order in which they are tried.
    pub endpoints: Vec<EndpointHealth>,
    /// Screens, the topmost last; never empty.
    pub screens: Vec<Screen>,
    /// A message to the operator.
    pub toast: Option<Toast>,
    /// Since when the picture stands still.
    pub frozen: Option<Timestamp>,
    /// Names of the commands used through the palette, newest last.
    pub history: Vec<String>,
    /// Whether the next `q` leaves although something runs.
    pub quit_armed: bool,
    last_generation: Generation,
}

impl Model {
    /// A model that knows nothing yet.
    pub fn new(identity: Identity, now: Timestamp, first_run: Option<FirstRun>) -> Self {
        let home = if first_run.is_some() { Screen::FirstRun(List::default()) } else { Screen::Board(List::default()) };
        Self {
            now,
            size: (80, 24),
            identity,
            first_run,
            board: Slot::default(),
            cases: BTreeMap::new(),
            chats: BTreeMap::new(),
            queue: Slot::default(),
            sources: Vec::new(),
            endpoints: Vec::new(),
            screens: vec![home],
            toast: None,
            frozen: None,
            history: Vec::new(),
            quit_armed: false,
            last_generation: 0,
        }
    }

    /// A number for a new effect.
    pub fn next_generation(&mut self) -> Generation {
        self.last_generation += 1;
        self.last_generation
    }

    /// The topmost screen.
    pub fn top(&self) -> &Screen {
        self.screens.last().expect("the stack keeps its home screen")
    }

    /// The topmost screen.
    pub fn top_mut(&mut self) -> &mut Screen {
        self.screens.last_mut().expect("the stack keeps its home screen")
    }

    /// The incidents in the order of the board.
    pub fn incidents(&self) -> impl Iterator<Item = &Case> {
        self.board.value.iter().flatten().filter_map(|id| self.cases.get(id))
    }

    /// The topmost incident screen.
    pub fn incident_screen(&self) -> Option<&IncidentScreen> {
        self.screens.iter().rev().find_map(|screen| match screen {
            Screen::Incident(screen) => Some(screen.as_ref()),
            _ => None,
        })
    }

    /// The topmost incident screen.
    pub fn incident_screen_mut(&mut self) -> Option<&mut IncidentScreen> {
        self.screens.iter_mut().rev().find_map(|screen| match screen {
            Screen::Incident(screen) => Some(screen.as_mut()),
            _ => None,
        })
    }

    /// The topmost detail.
    pub fn detail(&self) -> Option<&Detail> {
        self.screens.iter().rev().find_map(|screen| match screen {
            Screen::Detail(detail) => Some(detail),
            _ => None,
        })
    }

    /// The incident in front: that of the incident screen, else the one selected on the board.
    pub fn current(&self) -> Option<&Case> {
        if let Some(screen) = self.incident_screen() {
            return self.cases.get(&screen.incident);
        }
        self.screens.iter().rev().find_map(|screen| match screen {
            Screen::Board(list) => super::rows::board(self, list).get(list.cursor).copied(),
            _ => None,
        })
    }

    /// The chat whose question is looked at before it is sent.
    pub fn looked_at(&self) -> Option<&str> {
        match self.screens.as_slice() {
            [.., Screen::Chat(chat), Screen::Pack(_)] | [.., Screen::Chat(chat), Screen::Pack(_), _] => {
                Some(&chat.chat)
            }
            _ => None,
        }
    }

    /// What would be sent: of the question that is looked at, else of a diagnosis of the incident in front.
    pub fn preview(&self) -> Option<&Slot<PackPreview>> {
        match self.looked_at() {
            Some(chat) => self.chats.get(chat).map(|chat| &chat.preview),
            None => self.current().map(|case| &case.pack),
        }
    }

    /// Which language model is being asked now, for a diagnosis or a question, of whatever incident.
    pub fn asked_model(&self) -> Option<AskedModel> {
        let first = || self.identity.models.first().cloned().unwrap_or_else(|| "a model".to_owned());
        let cases = self.cases.values().filter(|case| case.conclusion.busy() && case.of_model).map(|case| {
            let by = case.draft.as_ref().map(|draft| draft.by.one_line().into_owned());
            (by.filter(|by| !by.is_empty()), case.conclusion.since)
        });
        let chats = self.chats.values().filter(|chat| chat.slot.busy()).map(|chat| (None, chat.slot.since));
        let all: Vec<(Option<String>, Option<Timestamp>)> = cases.chain(chats).collect();
        let others = all.len().saturating_sub(1);
        let (who, since) = all.into_iter().min_by_key(|(_, since)| *since)?;
        Some(AskedModel { who: who.unwrap_or_else(first), since, others })
    }

    /// Whether lines are being written or pasted: there a line break may be text, and Enter hands it over.
    pub fn writes_lines(&self) -> bool {
        match self.top() {
            Screen::Chat(chat) => !chat.reading,
            Screen::Paste(_) => true,
            _ => false,
        }
    }

    /// Whether the terminal is too small to draw a screen.
    pub fn too_small(&self) -> bool {
        self.size.0 < SMALLEST.0 || self.size.1 < SMALLEST.1
    }

    /// Whether a command runs.
    pub fn running(&self) -> bool {
        self.screens.iter().any(|screen| matches!(screen, Screen::Run(dialog) if dialog.running()))
    }
}
