//! The registry of commands: one definition gives the key, the help line, the hint, the palette entry, and the reason
//! why it is not possible now.

use super::diagnosis_rows;
use super::key::Key;
use super::model::Model;
use super::rows;
use super::screen::{Pane, Screen, Subject};

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
    /// Requests for approval.
    Queue,
    /// One of them, to be signed.
    Sign,
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
    /// Show the pack.
    Pack,
    /// State of the sources.
    Sources,
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

const fn always(_: &Model) -> Option<String> {
    None
}

const fn anywhere(_: Place) -> bool {
    true
}

const fn lists(place: Place) -> bool {
    matches!(place, Place::Board | Place::Pane(_) | Place::FirstRun | Place::Queue)
}

const fn scrolls(place: Place) -> bool {
    !matches!(place, Place::Run | Place::Palette | Place::Sign)
}

const fn texts(place: Place) -> bool {
    matches!(place, Place::Detail | Place::Pack | Place::Sources)
}

const fn browsing(place: Place) -> bool {
    !matches!(place, Place::Run | Place::Palette | Place::Help | Place::FirstRun | Place::Sign)
}

const fn copied(place: Place) -> bool {
    browsing(place) && !matches!(place, Place::Queue)
}

const fn queue(place: Place) -> bool {
    matches!(place, Place::Queue)
}

const fn panes(place: Place) -> bool {
    matches!(place, Place::Pane(_))
}

const fn incident(place: Place) -> bool {
    matches!(place, Place::Board | Place::Pane(_))
}

const fn searchable(place: Place) -> bool {
    matches!(place, Place::Board | Place::Pane(_) | Place::Detail | Place::Pack)
}

const fn sideways(place: Place) -> bool {
    matches!(place, Place::Pane(Pane::Logs | Pane::Diagnosis) | Place::Detail)
}

const fn markable(place: Place) -> bool {
    matches!(place, Place::Pane(Pane::Evidence))
}

const fn wraps(place: Place) -> bool {
    matches!(place, Place::Pane(Pane::Logs) | Place::Detail)
}

const fn proofs(place: Place) -> bool {
    matches!(place, Place::Detail)
}

const fn numbered(place: Place) -> bool {
    matches!(place, Place::Pane(_) | Place::Detail)
}

const fn first_run(place: Place) -> bool {
    matches!(place, Place::FirstRun)
}

fn needs_investigation(model: &Model) -> Option<String> {
    let Some(case) = model.current() else { return Some("no incident is selected".into()) };
    match (&case.investigation.value, case.investigation.busy(), &case.investigation.error) {
        (Some(_), ..) => None,
        (None, true, _) => Some("the incident is still being investigated".into()),
        (None, false, Some(why)) => Some(format!("the investigation failed: {why}")),
        (None, false, None) => Some("the incident is not investigated yet (r)".into()),
    }
}

fn needs_model(model: &Model) -> Option<String> {
    if let Some(why) = needs_investigation(model) {
        return Some(why);
    }
    if model.current().is_some_and(|case| case.conclusion.busy()) {
        return Some("a diagnosis is being written (Esc cancels)".into());
    }
    model
        .identity
        .models
        .is_empty()
        .then(|| "no language model is configured: the offline analyst's diagnosis stands in pane 3".into())
}

fn needs_idle_diagnosis(model: &Model) -> Option<String> {
    needs_investigation(model).or_else(|| {
        model
            .current()
            .is_some_and(|case| case.conclusion.busy())
            .then(|| "a diagnosis is being written (Esc cancels)".into())
    })
}

fn needs_row(model: &Model) -> Option<String> {
    match model.top() {
        Screen::Incident(screen) if screen.pane == Pane::Diagnosis => {
            let case = model.cases.get(&screen.incident)?;
            let rows = diagnosis_rows::rows(case, screen.list());
            match rows.get(screen.list().cursor) {
                None => Some("there is no diagnosis yet".into()),
                Some(row) if row.links.is_empty() && !matches!(row.kind, diagnosis_rows::Kind::Check(_)) => {
                    Some("this line cites no evidence".into())
                }
                Some(_) => None,
            }
        }
        Screen::Incident(screen) if screen.pane == Pane::Actions => {
            let case = model.cases.get(&screen.incident)?;
            if case.draft.is_some() {
                return Some("actions can be chosen once the diagnosis has ended cleanly".into());
            }
            if case.conclusion.value.as_ref().is_some_and(|conclusion| !conclusion.diagnosed.complete) {
                return Some("the diagnosis did not end cleanly: none of its actions can be chosen".into());
            }
            rows::actions(case, screen.list()).is_empty().then(|| "no action is suggested".into())
        }
        Screen::FirstRun(_) => None,
        _ => match rows::top_len(model) {
            Some(0) => Some("nothing is listed".into()),
            _ => None,
        },
    }
}

fn needs_approvals(model: &Model) -> Option<String> {
    (!model.identity.approvals).then(|| match &model.identity.recorded {
        Some(_) => "nothing is asked for or approved in a recording".into(),
        None => "no approvals are configured: set [approvals] in the configuration".into(),
    })
}

fn needs_matches(model: &Model) -> Option<String> {
    let empty = match model.top() {
        Screen::Board(list) => list.filter.text.is_empty(),
        Screen::Incident(screen) => screen.list().filter.text.is_empty(),
        Screen::Detail(detail) => {
            detail.reader.search.text.is_empty()
                && !matches!(&detail.subject, Subject::Evidence { ids, .. } if ids.len() > 1)
        }
        Screen::Pack(reader) => reader.search.text.is_empty(),
        _ => true,
    };
    empty.then(|| "nothing is searched for (/)".into())
}

fn needs_items(model: &Model) -> Option<String> {
    (super::reading::items(model).0.len() < 2).then(|| "there is one item only: j and k scroll it".into())
}

fn needs_wide_panes(model: &Model) -> Option<String> {
    model.incident_screen().is_none().then(|| "no incident is open".into())
}

/// All commands, in the order of the help screen.
pub static COMMANDS: &[Definition] = &[
    Definition {
        command: Command::Open,
        name: "open",
        keys: &[Key::Enter],
        help: "open what is selected: incident, proof, evidence link, run dialog; run a check's query",
        hint: "open",
        places: lists,
        why_not: needs_row,
    },
    Definition {
        command: Command::Diagnose,
        name: "diagnose",
        keys: &[Key::Char('d')],
        help: "diagnose with the language model",
        hint: "diagnose",
        places: incident,
        why_not: needs_model,
    },
    Definition {
        command: Command::DiagnoseOffline,
        name: "diagnose-offline",
        keys: &[Key::Char('o')],
        help: "diagnose with the playbooks: no network, always the same",
        hint: "",
        places: incident,
        why_not: needs_idle_diagnosis,
    },
    Definition {
        command: Command::Pack,
        name: "pack",
        keys: &[Key::Char('p')],
        help: "show the pack: exactly the evidence a model would be sent",
        hint: "pack",
        places: incident,
        why_not: needs_investigation,
    },
    Definition {
        command: Command::Demo,
        name: "demo",
        keys: &[Key::Char('d')],
        help: "open the built-in demo: a recorded incident, no server needed",
        hint: "demo",
        places: first_run,
        why_not: always,
    },
    Definition {
        command: Command::Back,
        name: "back",
        keys: &[Key::Esc],
        help: "go back, or cancel what is under way",
        hint: "back",
        places: anywhere,
        why_not: always,
    },
    Definition {
        command: Command::Filter,
        name: "filter",
        keys: &[Key::Char('/')],
        help: "filter the list, or search the text; an upper-case letter makes it exact",
        hint: "filter",
        places: searchable,
        why_not: always,
    },
    Definition {
        command: Command::NextMatch,
        name: "next-match",
        keys: &[Key::Char('n')],
        help: "next match; in a proof the next item",
        hint: "",
        places: searchable,
        why_not: needs_matches,
    },
    Definition {
        command: Command::PreviousMatch,
        name: "previous-match",
        keys: &[Key::Char('N')],
        help: "previous match; in a proof the previous item",
        hint: "",
        places: searchable,
        why_not: needs_matches,
    },
    Definition {
        command: Command::NextPane,
        name: "next-pane",
        keys: &[Key::Tab],
        help: "next pane",
        hint: "panes",
        places: panes,
        why_not: always,
    },
    Definition {
        command: Command::PreviousPane,
        name: "previous-pane",
        keys: &[Key::BackTab],
        help: "previous pane",
        hint: "",
        places: panes,
        why_not: always,
    },
    pane(Pane::Suspects, "suspects", &[Key::Char('1')], "ranked suspects with the proof for each"),
    pane(Pane::Evidence, "evidence", &[Key::Char('2')], "all evidence"),
    pane(Pane::Diagnosis, "diagnosis", &[Key::Char('3')], "the diagnosis with its evidence links"),
    pane(Pane::Actions, "actions", &[Key::Char('4')], "what could be done, with the guardrails' verdict"),
    pane(Pane::Timeline, "timeline", &[Key::Char('5')], "what happened, in order"),
    pane(Pane::Logs, "logs", &[Key::Char('6')], "the raw log entries"),
    pane(Pane::Asked, "asked", &[Key::Char('7')], "exactly what was asked of which source"),
    Definition {
        command: Command::Down,
        name: "down",
        keys: &[Key::Char('j'), Key::Down],
        help: "down",
        hint: "",
        places: scrolls,
        why_not: always,
    },
    Definition {
        command: Command::Up,
        name: "up",
        keys: &[Key::Char('k'), Key::Up],
        help: "up",
        hint: "",
        places: scrolls,
        why_not: always,
    },
    Definition {
        command: Command::Top,
        name: "top",
        keys: &[Key::Char('g'), Key::Home],
        help: "first row",
        hint: "",
        places: scrolls,
        why_not: always,
    },
    Definition {
        command: Command::Bottom,
        name: "bottom",
        keys: &[Key::Char('G'), Key::End],
        help: "last row",
        hint: "",
        places: scrolls,
        why_not: always,
    },
    Definition {
        command: Command::HalfDown,
        name: "half-page-down",
        keys: &[Key::Ctrl('d'), Key::PageDown],
        help: "half a page down",
        hint: "",
        places: scrolls,
        why_not: always,
    },
    Definition {
        command: Command::HalfUp,
        name: "half-page-up",
        keys: &[Key::Ctrl('u'), Key::PageUp],
        help: "half a page up",
        hint: "",
        places: scrolls,
        why_not: always,
    },
    Definition {
        command: Command::Left,
        name: "left",
        keys: &[Key::Char('h'), Key::Left],
        help: "previous link of the line; shift long lines left",
        hint: "",
        places: sideways,
        why_not: always,
    },
    Definition {
        command: Command::Right,
        name: "right",
        keys: &[Key::Char('l'), Key::Right],
        help: "next link of the line; shift long lines right",
        hint: "",
        places: sideways,
        why_not: always,
    },
    Definition {
        command: Command::Wrap,
        name: "wrap",
        keys: &[Key::Char('w')],
        help: "wrap long lines and unfold stack traces, or cut them",
        hint: "wrap",
        places: wraps,
        why_not: always,
    },
    Definition {
        command: Command::TurnFocus,
        name: "turn-focus",
        keys: &[Key::Tab, Key::BackTab, Key::Enter],
        help: "from the items of the proof to its text, so that j and k scroll it, and back",
        hint: "text",
        places: proofs,
        why_not: needs_items,
    },
    Definition {
        command: Command::Mark,
        name: "mark",
        keys: &[Key::Char(' ')],
        help: "mark the evidence item; copy then copies all marked ones",
        hint: "mark",
        places: markable,
        why_not: needs_row,
    },
    Definition {
        command: Command::Copy,
        name: "copy",
        keys: &[Key::Char('y')],
        help: "copy what is selected; of a proof its exact query, or its diff",
        hint: "copy",
        places: copied,
        why_not: needs_row,
    },
    Definition {
        command: Command::Edit,
        name: "edit",
        keys: &[Key::Char('e')],
        help: "show what is selected in $EDITOR; of a proof all of it",
        hint: "",
        places: copied,
        why_not: needs_row,
    },
    Definition {
        command: Command::Refresh,
        name: "refresh",
        keys: &[Key::Char('r')],
        help: "ask again: alerts on the board, everything inside an incident",
        hint: "refresh",
        places: |place| incident(place) || queue(place),
        why_not: always,
    },
    Definition {
        command: Command::Baseline,
        name: "baseline",
        keys: &[Key::Char('b')],
        help: "compare with another time: yesterday, last-week, preceding, -2h/-1h",
        hint: "",
        places: |place| matches!(place, Place::Pane(_)),
        why_not: always,
    },
    Definition {
        command: Command::Freeze,
        name: "freeze",
        keys: &[Key::Char('z')],
        help: "freeze the picture, or let it go on",
        hint: "",
        places: incident,
        why_not: always,
    },
    Definition {
        command: Command::Sources,
        name: "sources",
        keys: &[Key::Char('S')],
        help: "state of each source, with what to do about it",
        hint: "",
        places: browsing,
        why_not: always,
    },
    Definition {
        command: Command::Approve,
        name: "approve",
        keys: &[Key::Char('y')],
        help: "look at the request in full, then sign that it may run, by the ssh-agent",
        hint: "approve",
        places: queue,
        why_not: needs_row,
    },
    Definition {
        command: Command::Reject,
        name: "reject",
        keys: &[Key::Char('n')],
        help: "look at the request in full, then sign that it may not run, with a reason",
        hint: "reject",
        places: queue,
        why_not: needs_row,
    },
    Definition {
        command: Command::Approvals,
        name: "approvals",
        keys: &[Key::Char('A')],
        help: "requests for approval: what waits, for whom, and what was said",
        hint: "",
        places: |place| browsing(place) && place != Place::Queue,
        why_not: needs_approvals,
    },
    Definition {
        command: Command::Palette,
        name: "commands",
        keys: &[Key::Char(':')],
        help: "commands by name",
        hint: "commands",
        places: browsing,
        why_not: always,
    },
    Definition {
        command: Command::Help,
        name: "help",
        keys: &[Key::Char('?')],
        help: "the keys of this screen; type to search them",
        hint: "help",
        places: |place| browsing(place) || first_run(place),
        why_not: always,
    },
    Definition {
        command: Command::Redraw,
        name: "redraw",
        keys: &[Key::Ctrl('l')],
        help: "draw everything anew",
        hint: "",
        places: anywhere,
        why_not: always,
    },
    Definition {
        command: Command::Suspend,
        name: "suspend",
        keys: &[Key::Ctrl('z')],
        help: "stop the program; the shell's fg resumes it",
        hint: "",
        places: anywhere,
        why_not: always,
    },
    Definition {
        command: Command::Quit,
        name: "quit",
        keys: &[Key::Char('q')],
        help: "leave",
        hint: "quit",
        places: |place| browsing(place) || first_run(place),
        why_not: always,
    },
    Definition {
        command: Command::Interrupt,
        name: "interrupt",
        keys: &[Key::Ctrl('c')],
        help: "leave; a second press leaves even while a command runs",
        hint: "",
        places: anywhere,
        why_not: always,
    },
];

const fn pane(pane: Pane, name: &'static str, keys: &'static [Key], help: &'static str) -> Definition {
    Definition { command: Command::Pane(pane), name, keys, help, hint: "", places: numbered, why_not: needs_wide_panes }
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
        Screen::Queue(_) => Place::Queue,
        Screen::Sign(_) => Place::Sign,
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

/// Whether a place is text to be scrolled.
pub const fn is_text(place: Place) -> bool {
    texts(place)
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
            Place::Queue,
            Place::Sign,
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
