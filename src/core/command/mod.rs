//! The registry of commands: one definition gives the key, the help line, the hint, the palette entry, and the reason
//! why it is not possible now.

mod places;
mod table;
mod why_not;

use super::key::Key;
use super::model::Model;
use super::screen::{Pane, Screen};

pub use table::COMMANDS;
pub(super) use why_not::why_no_question;

/// Where the keyboard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The first-run screen.
    FirstRun,
    /// The incidents board.
    Board,
    /// A pane of the incident screen.
    Pane(Pane),
    /// One item in full.
    Detail,
    /// The pack.
    Pack,
    /// State of the sources.
    Sources,
    /// A chat.
    Chat,
    /// Requests for approval.
    Queue,
    /// One of them, to be signed.
    Sign,
    /// An answer is pasted in.
    Paste,
    /// The confirm dialog.
    Run,
    /// The help overlay.
    Help,
    /// The command palette.
    Palette,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Cursor down.
    Down,
    /// Cursor up.
    Up,
    /// First row.
    Top,
    /// Last row.
    Bottom,
    /// Half a page down.
    HalfDown,
    /// Half a page up.
    HalfUp,
    /// Open what is selected.
    Open,
    /// Back, or cancel.
    Back,
    /// Next pane.
    NextPane,
    /// Previous pane.
    PreviousPane,
    /// This pane.
    Pane(Pane),
    /// Left: link, column.
    Left,
    /// Right: link, column.
    Right,
    /// Type a filter.
    Filter,
    /// Next match.
    NextMatch,
    /// Previous match.
    PreviousMatch,
    /// The palette.
    Palette,
    /// Help.
    Help,
    /// Diagnose.
    Diagnose,
    /// Diagnose without a model.
    DiagnoseOffline,
    /// Ask the queries behind what is cited again.
    Recheck,
    /// Ask a free question.
    Ask,
    /// Explain what is selected.
    Explain,
    /// From the answers of a chat to the question.
    Compose,
    /// Show the pack.
    Pack,
    /// Copy the whole request.
    CopyRequest,
    /// Take the answer of a model elsewhere.
    PasteAnswer,
    /// State of the sources.
    Sources,
    /// Ask each language model for a word.
    ProbeModels,
    /// Requests for approval.
    Approvals,
    /// Approve a request.
    Approve,
    /// Reject a request.
    Reject,
    /// Copy.
    Copy,
    /// Show in `$EDITOR`.
    Edit,
    /// Mark.
    Mark,
    /// Refresh.
    Refresh,
    /// Another baseline, typed into the palette.
    Baseline,
    /// Freeze.
    Freeze,
    /// Wrap lines, unfold what is folded.
    Wrap,
    /// From the items of a proof to its text, and back.
    TurnFocus,
    /// Open the demo.
    Demo,
    /// Draw everything anew.
    Redraw,
    /// Stop until the shell resumes.
    Suspend,
    /// Leave.
    Quit,
    /// Leave even while something runs, after a second press.
    Interrupt,
}

/// Everything there is to say of a command.
pub struct Definition {
    /// The command.
    pub command: Command,
    /// Name in the palette.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// One line of help.
    pub help: &'static str,
    /// Word in the hint bar; empty for none.
    pub hint: &'static str,
    /// Where it is offered.
    pub places: fn(Place) -> bool,
    /// Why it is not possible now; `None` when it is.
    pub why_not: fn(&Model) -> Option<String>,
}

/// Where the keyboard is in this model.
pub fn place(model: &Model) -> Place {
    place_of(model.top())
}

/// The place of the topmost screen that is neither help nor palette: what those two speak about.
pub fn place_below(model: &Model) -> Place {
    model
        .screens
        .iter()
        .rev()
        .find(|screen| !matches!(screen, Screen::Help(_) | Screen::Palette(_)))
        .map_or(Place::Board, place_of)
}

fn place_of(screen: &Screen) -> Place {
    match screen {
        Screen::FirstRun(_) => Place::FirstRun,
        Screen::Board(_) => Place::Board,
        Screen::Incident(screen) => Place::Pane(screen.pane),
        Screen::Detail(_) => Place::Detail,
        Screen::Pack(_) => Place::Pack,
        Screen::Sources(_) => Place::Sources,
        Screen::Chat(_) => Place::Chat,
        Screen::Queue(_) => Place::Queue,
        Screen::Sign(_) => Place::Sign,
        Screen::Paste(_) => Place::Paste,
        Screen::Run(_) => Place::Run,
        Screen::Help(_) => Place::Help,
        Screen::Palette(_) => Place::Palette,
    }
}

/// The commands offered in a place, in the order of the help screen.
pub fn offered(place: Place) -> impl Iterator<Item = &'static Definition> {
    COMMANDS.iter().filter(move |definition| (definition.places)(place))
}

/// What a key means in a place.
pub fn bound(key: Key, place: Place) -> Option<&'static Definition> {
    offered(place).find(|definition| definition.keys.contains(&key))
}

/// What a letter means elsewhere, where it means nothing in this place: nobody should press it in vain.
pub fn bound_elsewhere(key: Key) -> Option<&'static Definition> {
    COMMANDS.iter().find(|definition| matches!(key, Key::Char(_)) && definition.keys.contains(&key))
}

/// What Esc does here and now, in a word or two.
pub fn escape_hint(model: &Model) -> &'static str {
    let Screen::Incident(screen) = model.top() else { return "back" };
    let Some(case) = model.cases.get(&screen.incident) else { return "back" };
    if !screen.list().filter.text.is_empty() {
        return "clears";
    }
    let seen = screen.pane == Pane::Diagnosis;
    if seen && (case.answer.busy() || case.asked_for() || case.wanted.is_some()) {
        return "cancels";
    }
    let asking = &case.investigation;
    match (asking.busy(), asking.value.is_some(), asking.enough) {
        (false, ..) => "back",
        (true, true, _) => "cancels",
        (true, false, false) => "stops asking",
        (true, false, true) => "gives up",
    }
}

/// Whether a place is text to be scrolled.
pub const fn is_text(place: Place) -> bool {
    places::texts(place)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places() -> Vec<Place> {
        let mut places = vec![
            Place::FirstRun,
            Place::Board,
            Place::Detail,
            Place::Pack,
            Place::Sources,
            Place::Chat,
            Place::Queue,
            Place::Sign,
            Place::Paste,
            Place::Run,
            Place::Help,
            Place::Palette,
        ];
        places.extend(Pane::ALL.map(Place::Pane));
        places
    }

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for place in places() {
            let mut seen = BTreeSet::new();
            for definition in offered(place) {
                for key in definition.keys {
                    assert!(seen.insert(*key), "{key} twice in {place:?}");
                }
            }
        }
    }

    #[test]
    fn names_are_unique_and_every_command_has_a_key_and_help() {
        let mut names = BTreeSet::new();
        for definition in COMMANDS {
            assert!(names.insert(definition.name), "{}", definition.name);
            assert!(!definition.keys.is_empty() && !definition.help.is_empty());
        }
    }

    #[test]
    fn escape_always_means_back() {
        for place in places() {
            assert_eq!(bound(Key::Esc, place).map(|found| found.command), Some(Command::Back), "{place:?}");
        }
    }
}
