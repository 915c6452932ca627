//! Carrying out a command of the registry.

use crate::core::command::Command;
use crate::core::confirm::Dialog;
use crate::core::copy;
use crate::core::diagnosis_rows::{self, Kind};
use crate::core::effect::Effect;
use crate::core::explain;
use crate::core::list::List;
use crate::core::model::Model;
use crate::core::reading;
use crate::core::rows;
use crate::core::screen::{Detail, IncidentScreen, Palette, Pane, Reader, Screen, Subject};
use crate::domain::approval::Say;
use crate::domain::evidence::EvidenceId;
use crate::domain::health::EndpointHealth;

use super::{investigate, investigate_next, load_board, say};

/// Columns the log view moves at a time.
const SHIFT: usize = 10;

/// Carries out a command that is possible.
pub(super) fn act(model: &mut Model, command: Command) -> Vec<Effect> {
    let half = (usize::from(model.size.1) / 2).max(1) as isize;
    match command {
        Command::Down => step(model, 1),
        Command::Up => step(model, -1),
        Command::HalfDown => leap(model, half),
        Command::HalfUp => leap(model, -half),
        Command::Top => step(model, isize::MIN + 1),
        Command::Bottom => step(model, isize::MAX),
        Command::Open => return open(model),
        Command::Back => return back(model),
        Command::NextPane => return turn(model, 1),
        Command::PreviousPane => return turn(model, Pane::ALL.len() - 1),
        Command::Pane(pane) => return show_pane(model, pane),
        Command::Left => sideways(model, false),
        Command::Right => sideways(model, true),
        Command::Filter => start_typing(model),
        Command::NextMatch => next_match(model, true),
        Command::PreviousMatch => next_match(model, false),
        Command::Palette => model.screens.push(Screen::Palette(Palette::default())),
        Command::Help => model.screens.push(Screen::Help(Reader::default())),
        Command::Diagnose => return super::consult::diagnose(model),
        Command::DiagnoseOffline => return super::consult::diagnose_offline(model),
        Command::Recheck => return super::consult::recheck(model),
        Command::Pack => return super::consult::pack(model),
        Command::CopyRequest => return copy::request(model).map(Effect::Copy).into_iter().collect(),
        Command::PasteAnswer => super::consult::paste_box(model),
        Command::Ask => ask(model),
        Command::Explain => {
            if let (Some(topic), Some(case)) = (explain::topic(model), model.current()) {
                let id = case.incident.id.clone();
                return detail(model, &id, Subject::Explain(topic));
            }
        }
        Command::Compose => super::chat::compose(model),
        Command::Sources => model.screens.push(Screen::Sources(Reader::default())),
        Command::ProbeModels => {
            let asked = |one: &&EndpointHealth| !one.under_way.is_empty();
            let busy: Vec<&str> = model.endpoints.iter().filter(asked).map(|one| one.name.as_str()).collect();
            let (busy, all) = (busy.join(", "), !busy.is_empty() && busy.len() == model.endpoints.len());
            if all {
                say(model, &format!("{busy} is being asked already: its answer shows how it is"));
                return Vec::new();
            }
            if busy.is_empty() {
                say(model, "asking each model for one word");
            } else {
                say(model, &format!("asking the others: {busy} is being asked already"));
            }
            return vec![Effect::ProbeModels { generation: model.next_generation() }];
        }
        Command::Approvals => return super::queue::open(model),
        Command::Approve => super::queue::look(model, Some(Say::Approve)),
        Command::Reject => super::queue::look(model, Some(Say::Reject)),
        Command::Copy => return copy::for_clipboard(model).map(Effect::Copy).into_iter().collect(),
        Command::Edit => return copy::whole(model).map(Effect::Edit).into_iter().collect(),
        Command::Mark => mark(model),
        Command::Refresh => return refresh(model),
        Command::Baseline => model.screens.push(Screen::Palette(Palette::typed("baseline "))),
        Command::Freeze => return freeze(model),
        Command::TurnFocus => turn_focus(model),
        Command::Wrap => {
            if let Screen::Detail(detail) = model.top_mut() {
                detail.reader = Reader { whole: !detail.reader.whole, shift: 0, ..detail.reader.clone() };
                scroll(model, 0);
            } else if let Some(screen) = model.incident_screen_mut() {
                screen.wrap = !screen.wrap;
                screen.shift = 0;
            }
        }
        Command::Demo => return vec![Effect::OpenDemo],
        Command::Redraw => return vec![Effect::Redraw],
        Command::Suspend => return vec![Effect::Suspend],
        Command::Quit | Command::Interrupt => return quit(model),
    }
    Vec::new()
}

fn quit(model: &mut Model) -> Vec<Effect> {
    if model.running() && !model.quit_armed {
        model.quit_armed = true;
        say(model, "a command is running: Esc ends it; press again to leave and end it");
        return Vec::new();
    }
    vec![Effect::Quit]
}

/// Moves through the text on top; whether there is one.
fn scroll(model: &mut Model, by: isize) -> bool {
    let Some(lines) = reading::len(model) else { return false };
    // The last page stays full.
    let last = lines.saturating_sub(reading::height(model));
    if let Some(reader) = reader_mut(model) {
        reader.scroll = reader.scroll.saturating_add_signed(by).min(last);
    }
    true
}

/// Moves by pages: in a proof through the text, whichever part has the focus.
fn leap(model: &mut Model, by: isize) {
    if !scroll(model, by) {
        step(model, by);
    }
}

/// Moves through the items of the proof on top; whether it moved.
fn step_items(model: &mut Model, by: isize) -> bool {
    let Screen::Detail(detail) = model.top_mut() else { return false };
    let Subject::Evidence { ids, at } = &mut detail.subject else { return false };
    let to = at.saturating_add_signed(by).min(ids.len().saturating_sub(1));
    let moved = std::mem::replace(at, to) != to;
    if moved {
        detail.reader = Reader { scroll: 0, shift: 0, ..detail.reader.clone() };
    }
    moved
}

/// In a proof of several items: from the items to the text and back.
fn turn_focus(model: &mut Model) {
    if let Screen::Detail(detail) = model.top_mut()
        && matches!(&detail.subject, Subject::Evidence { ids, .. } if ids.len() > 1)
    {
        detail.in_text = !detail.in_text;
    }
}

fn step(model: &mut Model, by: isize) {
    if matches!(model.top(), Screen::Detail(detail) if !detail.in_text) {
        step_items(model, by);
        return;
    }
    if scroll(model, by) {
        return;
    }
    step_rows(model, by);
}

/// Moves through the list on top; whether it moved.
fn step_rows(model: &mut Model, by: isize) -> bool {
    if let Screen::Chat(_) = model.top() {
        return super::chat::step(model, by);
    }
    let Some(len) = rows::top_len(model) else { return false };
    let list = match model.top_mut() {
        Screen::Board(list) | Screen::FirstRun(list) | Screen::Queue(list) => list,
        Screen::Incident(screen) => {
            screen.link = 0;
            screen.list_mut()
        }
        _ => return false,
    };
    let before = list.cursor;
    list.step(by, len);
    list.cursor != before
}

fn reader_mut(model: &mut Model) -> Option<&mut Reader> {
    match model.top_mut() {
        Screen::Detail(detail) => Some(&mut detail.reader),
        Screen::Pack(reader) | Screen::Sources(reader) => Some(reader),
        _ => None,
    }
}

fn open(model: &mut Model) -> Vec<Effect> {
    let (id, pane, list, link) = match model.top() {
        Screen::Board(list) => {
            let Some(case) = rows::board(model, list).get(list.cursor).copied() else { return Vec::new() };
            let id = case.incident.id.clone();
            return open_incident(model, &id);
        }
        Screen::Incident(screen) => (screen.incident.clone(), screen.pane, screen.list().clone(), screen.link),
        Screen::Queue(_) => {
            super::queue::look(model, None);
            return Vec::new();
        }
        Screen::Chat(_) => {
            super::chat::open_row(model);
            return Vec::new();
        }
        _ => return Vec::new(),
    };
    open_row(model, &id, pane, &list, link)
}

fn open_incident(model: &mut Model, id: &str) -> Vec<Effect> {
    super::consult::in_reading_order(model, id);
    let untouched = model.cases.get(id).is_some_and(|case| case.investigation.untouched());
    model.screens.push(Screen::Incident(Box::new(IncidentScreen::new(id))));
    let mut effects = if untouched { investigate(model, id) } else { Vec::new() };
    effects.extend(reload_timeline(model));
    effects
}

fn open_row(model: &mut Model, id: &str, pane: Pane, list: &List, link: usize) -> Vec<Effect> {
    let Some(case) = model.cases.get(id) else { return Vec::new() };
    let at = list.cursor;
    match pane {
        Pane::Suspects => {
            let ids = rows::suspects(case, list).get(at).map(|suspect| rows::proof(case, suspect));
            open_evidence(model, id, ids.unwrap_or_default(), 0)
        }
        Pane::Evidence => {
            let ids = rows::evidence(case, list).iter().map(|item| item.id).collect();
            open_evidence(model, id, ids, at)
        }
        Pane::Diagnosis => {
            let rows = diagnosis_rows::rows(case, list);
            let Some(row) = rows.get(at) else { return Vec::new() };
            if let Kind::Check(check) = &row.kind {
                let check = (**check).clone();
                return super::consult::ask(model, id, check);
            }
            if let Kind::Earlier(at) = row.kind {
                return detail(model, id, Subject::Earlier(at));
            }
            open_evidence(model, id, row.links.clone(), link.min(row.links.len().saturating_sub(1)))
        }
        Pane::Actions => {
            let Some(action) = rows::actions(case, list).get(at).map(|found| found.action.clone()) else {
                return Vec::new();
            };
            let generation = model.next_generation();
            model.screens.push(Screen::Run(Box::new(Dialog::new(action.clone(), generation))));
            vec![Effect::Prepare { generation, action: Box::new(action) }]
        }
        Pane::Timeline => {
            let moments = rows::timeline(case, list);
            let Some(moment) = moments.get(at) else { return Vec::new() };
            match (moment.evidence, moment.entry) {
                (Some(evidence), _) => open_evidence(model, id, vec![evidence], 0),
                (None, Some(seq)) => detail(model, id, Subject::Entry(seq)),
                (None, None) => Vec::new(),
            }
        }
        Pane::Logs => {
            let index = rows::logs(case, list).get(at).map(|(index, _)| *index);
            index.map_or_else(Vec::new, |index| detail(model, id, Subject::Log(index)))
        }
        Pane::Asked => {
            let index = rows::asked(case, list).get(at).map(|(index, _)| *index);
            index.map_or_else(Vec::new, |index| detail(model, id, Subject::Asked(index)))
        }
    }
}

/// Opens the chat; from an explanation with the question that asks for more.
fn ask(model: &mut Model) {
    let more = match model.top() {
        Screen::Detail(Detail { subject: Subject::Explain(topic), incident, .. }) => {
            model.cases.get(incident).map(|case| explain::question(case, topic))
        }
        _ => None,
    };
    super::chat::open(model);
    if let Some(question) = more {
        super::chat::write(model, &question);
    }
}

fn open_evidence(model: &mut Model, id: &str, ids: Vec<EvidenceId>, at: usize) -> Vec<Effect> {
    if ids.is_empty() {
        say(model, "it has no evidence of its own");
        return Vec::new();
    }
    detail(model, id, Subject::Evidence { ids, at })
}

fn detail(model: &mut Model, id: &str, subject: Subject) -> Vec<Effect> {
    let in_text = !matches!(&subject, Subject::Evidence { ids, .. } if ids.len() > 1);
    let incident = id.to_owned();
    model.screens.push(Screen::Detail(Detail { incident, subject, turn: None, in_text, reader: Reader::default() }));
    Vec::new()
}

/// Back: a filter is cleared first, then what is under way is aborted, then the screen is left.
fn back(model: &mut Model) -> Vec<Effect> {
    if let Screen::Run(_) = model.top() {
        let (now, next) = (model.now, model.next_generation());
        let Screen::Run(dialog) = model.top_mut() else { return Vec::new() };
        return match dialog.key(crate::core::Key::Esc, now, next) {
            crate::core::confirm::Step::Close(under_way) => {
                model.screens.pop();
                under_way.map(|generation| Effect::Cancel { generation }).into_iter().collect()
            }
            crate::core::confirm::Step::Cancel(generation) => vec![Effect::Cancel { generation }],
            _ => Vec::new(),
        };
    }
    if clear_filter(model) {
        return Vec::new();
    }
    if let Screen::Chat(screen) = model.top() {
        let reading = screen.reading;
        if let Some(effects) = super::chat::cancel(model) {
            return effects;
        }
        if reading {
            super::chat::compose(model);
            return Vec::new();
        }
    }
    if let Some(generation) =
        model.looked_at().map(str::to_owned).and_then(|chat| model.chats.get_mut(&chat)?.preview.abandon())
    {
        model.screens.pop();
        return vec![Effect::Cancel { generation }];
    }
    if let Screen::Pack(_) = model.top()
        && model.looked_at().is_none()
        && let Some(id) = model.current().map(|case| case.incident.id.clone())
        && let Some(generation) = model.cases.get_mut(&id).and_then(|case| case.pack.abandon())
    {
        super::consult::leave_pack(model);
        say(model, "the pack was cancelled");
        return vec![Effect::Cancel { generation }];
    }
    if let Screen::Incident(screen) = model.top() {
        let (id, pane) = (screen.incident.clone(), screen.pane);
        let mut kept = false;
        if let Some(case) = model.cases.get_mut(&id) {
            // Only where it is seen: elsewhere Esc is the way back, and what is paid for goes on.
            let seen = pane == Pane::Diagnosis;
            if seen && case.wanted.take().is_some() {
                say(model, "not asked: only the playbooks' diagnosis is made");
                return Vec::new();
            }
            let asked = seen && !case.unasked;
            let aborted = if seen { case.answer.abandon() } else { None }
                .map(|generation| (generation, "the query"))
                .or_else(|| {
                    let under_way = if asked { case.conclusion.abandon() } else { None };
                    under_way.map(|generation| {
                        kept = super::consult::keep_draft(case);
                        (generation, "the diagnosis")
                    })
                });
            let without = case.conclusion.untouched() && case.investigation.value.is_some();
            if let Some((generation, what)) = aborted {
                let place = if kept { ": what came of it stands at the end (G, then ⏎ opens it)" } else { "" };
                say(model, &format!("{what} was cancelled{place}"));
                if what == "the diagnosis" {
                    super::consult::read_from_the_top(model, &id);
                }
                let mut effects = vec![Effect::Cancel { generation }];
                // The playbooks' is always there; it had made way for this one.
                if without {
                    effects.extend(super::consult::diagnose_unasked(model, &id));
                }
                return effects;
            }
            if let Some(effects) = stop_investigation(model, &id) {
                return effects;
            }
        }
    }
    if matches!(model.top(), Screen::Pack(_)) {
        super::consult::leave_pack(model);
    } else if model.screens.len() > 1 {
        model.screens.pop();
    } else if let Some(generation) = model.board.abandon() {
        say(model, "the refresh was cancelled");
        return vec![Effect::Cancel { generation }];
    } else {
        say(model, "q leaves");
    }
    Vec::new()
}

/// First stops asking, so that what came so far is used; the second time aborts.
fn stop_investigation(model: &mut Model, id: &str) -> Option<Vec<Effect>> {
    let case = model.cases.get_mut(id)?;
    let slot = &mut case.investigation;
    let generation = slot.awaited()?;
    if slot.value.is_some() {
        slot.abandon();
        say(model, "asking anew was cancelled; what was known stays");
        return Some(vec![Effect::Cancel { generation }]);
    }
    if !slot.enough {
        slot.enough = true;
        let text = "no more is asked: what came so far is examined; Esc again gives up";
        super::say_while(model, text, Some(generation));
        return Some(vec![Effect::Enough { generation }]);
    }
    slot.abandon();
    slot.error = Some(crate::domain::Text::new("cancelled; r asks again"));
    model.screens.pop();
    Some(vec![Effect::Cancel { generation }])
}

fn clear_filter(model: &mut Model) -> bool {
    let selected = match model.top() {
        Screen::Incident(screen) if !screen.list().filter.text.is_empty() => {
            model.cases.get(&screen.incident).and_then(|case| rows::unfiltered(case, screen))
        }
        _ => None,
    };
    if let (Some(row), Screen::Incident(screen)) = (selected, model.top_mut()) {
        screen.list_mut().cursor = row;
    }
    let field = match model.top_mut() {
        Screen::Board(list) => &mut list.filter,
        Screen::Incident(screen) => &mut screen.list_mut().filter,
        Screen::Detail(detail) => &mut detail.reader.search,
        Screen::Pack(reader) => &mut reader.search,
        _ => return false,
    };
    let had = !field.text.is_empty();
    field.clear();
    stop_typing(model);
    had
}

fn turn(model: &mut Model, by: usize) -> Vec<Effect> {
    match model.top() {
        Screen::Incident(screen) => {
            let pane = screen.pane.turned(by);
            show_pane(model, pane)
        }
        _ => Vec::new(),
    }
}

fn show_pane(model: &mut Model, pane: Pane) -> Vec<Effect> {
    // From a proof the number keys lead back to its incident.
    while matches!(model.top(), Screen::Detail(_)) && model.screens.len() > 1 {
        model.screens.pop();
    }
    if let Screen::Incident(screen) = model.top() {
        let id = screen.incident.clone();
        super::consult::in_reading_order(model, &id);
    }
    let Screen::Incident(screen) = model.top_mut() else { return Vec::new() };
    screen.pane = pane;
    screen.link = 0;
    // The log begins where the incident does; what was before is above.
    let list = screen.list();
    if pane == Pane::Logs && list.cursor == 0 && list.filter.text.is_empty() {
        let id = screen.incident.clone();
        let start = model.cases.get(&id).and_then(|case| {
            let found = case.investigation.value.as_ref()?;
            found.logs.iter().position(|entry| entry.at >= case.incident.window.start)
        });
        if let Screen::Incident(screen) = model.top_mut() {
            screen.list_mut().cursor = start.unwrap_or(0);
        }
    }
    if pane == Pane::Timeline { reload_timeline(model) } else { Vec::new() }
}

/// Reads the ledger of the incident in front, unless that is under way.
pub(super) fn reload_timeline(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    let generation = model.next_generation();
    let Some(id) = model.incident_screen().map(|screen| screen.incident.clone()) else { return Vec::new() };
    let Some(case) = model.cases.get_mut(&id) else { return Vec::new() };
    if case.timeline.busy() {
        return Vec::new();
    }
    case.timeline.begin(generation, now);
    vec![Effect::LoadTimeline { generation, incident: id }]
}

fn sideways(model: &mut Model, right: bool) {
    if let Screen::Chat(_) = model.top() {
        super::chat::sideways(model, right);
        return;
    }
    match model.top_mut() {
        Screen::Detail(detail) => {
            let shift = detail.reader.shift;
            let shift = if right { shift.saturating_add(SHIFT) } else { shift.saturating_sub(SHIFT) };
            let widest = reading::widest(model);
            if let Screen::Detail(detail) = model.top_mut() {
                detail.reader.shift = shift.min(widest);
            }
        }
        Screen::Incident(screen) if screen.pane == Pane::Logs => {
            screen.shift = if right { screen.shift.saturating_add(SHIFT) } else { screen.shift.saturating_sub(SHIFT) };
            let longest = longest_log_line(model);
            if let Some(screen) = model.incident_screen_mut() {
                screen.shift = screen.shift.min(longest);
            }
        }
        Screen::Incident(screen) => {
            let (id, list, link) = (screen.incident.clone(), screen.list().clone(), screen.link);
            let Some(case) = model.cases.get(&id) else { return };
            let links = diagnosis_rows::rows(case, &list).get(list.cursor).map_or(0, |row| row.links.len());
            if let Screen::Incident(screen) = model.top_mut() {
                screen.link = if right { (link + 1).min(links.saturating_sub(1)) } else { link.saturating_sub(1) };
            }
        }
        _ => {}
    }
}

fn longest_log_line(model: &Model) -> usize {
    let Some(case) = model.current() else { return 0 };
    let lines = case.investigation.value.iter().flat_map(|found| &found.logs);
    lines.map(|entry| entry.line.len()).max().unwrap_or(0)
}

fn start_typing(model: &mut Model) {
    match model.top_mut() {
        Screen::Board(list) => list.typing = true,
        Screen::Incident(screen) => screen.list_mut().typing = true,
        Screen::Detail(detail) => detail.reader.typing = true,
        Screen::Pack(reader) => reader.typing = true,
        _ => {}
    }
}

/// Closes the text field; what was typed stays.
pub(super) fn stop_typing(model: &mut Model) {
    match model.top_mut() {
        Screen::Board(list) => list.typing = false,
        Screen::Incident(screen) => screen.list_mut().typing = false,
        Screen::Detail(detail) => detail.reader.typing = false,
        Screen::Pack(reader) => reader.typing = false,
        _ => {}
    }
}

fn next_match(model: &mut Model, forward: bool) {
    if reading::len(model).is_none() {
        // A filtered list holds nothing but matches.
        let by = if forward { 1 } else { -1 };
        if !step_rows(model, by) {
            say(
                model,
                if forward { "no further match: this is the last" } else { "no match before this: it is the first" },
            );
        }
        return;
    }
    let target = reading::next_match(model, forward);
    if let Some(reader) = reader_mut(model)
        && !reader.search.text.is_empty()
    {
        match target {
            Some(line) => reader.scroll = line,
            None => say(model, "no further match"),
        }
        return;
    }
    step_items(model, if forward { 1 } else { -1 });
}

fn mark(model: &mut Model) {
    let Screen::Incident(screen) = model.top() else { return };
    let Some(case) = model.cases.get(&screen.incident) else { return };
    let Some(id) = rows::evidence(case, screen.list()).get(screen.list().cursor).map(|item| item.id) else { return };
    if let Screen::Incident(screen) = model.top_mut()
        && !screen.marked.remove(&id)
    {
        screen.marked.insert(id);
    }
    step(model, 1);
}

fn refresh(model: &mut Model) -> Vec<Effect> {
    if model.frozen.is_some() {
        say(model, "the picture is frozen (z lets it go on)");
        return Vec::new();
    }
    if let Screen::Queue(_) = model.top() {
        return super::queue::due(model);
    }
    if let Screen::Incident(screen) = model.top() {
        let id = screen.incident.clone();
        let mut effects = investigate(model, &id);
        effects.extend(reload_timeline(model));
        return effects;
    }
    // What failed or was cancelled is tried again, too.
    for case in model.cases.values_mut() {
        if case.investigation.value.is_none() && !case.investigation.busy() {
            case.investigation.error = None;
        }
    }
    load_board(model)
}

fn freeze(model: &mut Model) -> Vec<Effect> {
    if model.frozen.take().is_some() {
        say(model, "going on");
        let mut effects = load_board(model);
        effects.extend(investigate_next(model));
        return effects;
    }
    model.frozen = Some(model.now);
    Vec::new()
}
