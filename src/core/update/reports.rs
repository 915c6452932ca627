//! Reports of effects. A report that is no longer awaited changes nothing.

use crate::core::effect::{Effect, Generation};
use crate::core::message::{Board, Conclusion, Investigation, Report};
use crate::core::model::{Case, Model};
use crate::core::rows;
use crate::core::screen::{Pane, Screen};
use crate::domain::Text;
use crate::domain::incident::Incident;

use super::consult::diagnose_unasked;
use super::{complain, dialog_mut, investigate, investigate_next, say};

/// Applies a report.
pub(super) fn report(model: &mut Model, generation: Generation, report: Report) -> Vec<Effect> {
    // What is over is not said to be under way any longer.
    if report.is_last() && model.toast.as_ref().is_some_and(|toast| toast.during == Some(generation)) {
        model.toast = None;
    }
    match report {
        Report::Board(board) => return on_board(model, generation, board),
        Report::Sources(sources) => {
            if model.frozen.is_none() {
                model.sources = sources;
            }
        }
        Report::Endpoints(endpoints) => model.endpoints = endpoints,
        Report::Progress(progress) => {
            if model.board.awaits(generation) {
                model.board.progress = Some(progress);
            } else if let Some(case) = model.cases.values_mut().find(|case| case.investigation.awaits(generation)) {
                case.investigation.progress = Some(progress);
            } else if let Some(case) = model.cases.values_mut().find(|case| case.conclusion.awaits(generation)) {
                case.conclusion.progress = Some(progress);
            }
        }
        Report::Investigated(result) => return on_investigated(model, generation, result),
        Report::Drafting(draft) => {
            if let Some(case) = case_mut(model, |case| case.conclusion.awaits(generation)) {
                // Another end point begins from zero.
                let begins = case.draft.as_ref().is_none_or(|before| before.by != draft.by);
                if begins {
                    case.revealed = 0;
                }
                case.draft = Some(*draft);
                let id = case.incident.id.clone();
                if begins {
                    super::consult::read_from_the_top(model, &id);
                }
            }
        }
        Report::Diagnosed(result) => {
            let Some(case) = case_mut(model, |case| case.conclusion.awaits(generation)) else { return Vec::new() };
            let written = case.draft.take().is_some();
            let failed = result.as_ref().err().cloned();
            let before = case.conclusion.value.clone();
            case.conclusion.finish(generation, result.map(|boxed| *boxed));
            // A model's and the playbooks' stand beside each other; neither takes the other's place.
            let by_model = |made: &Conclusion| made.diagnosed.analyst.is_model();
            if let (Some(before), Some(made)) = (before, &case.conclusion.value)
                && by_model(&before) != by_model(made)
            {
                case.other = Some(before);
            }
            super::consult::join_given_up(case);
            let id = case.incident.id.clone();
            let (of_model, wanted) = (case.of_model && !case.unasked, case.wanted.take());
            let reading = written && failed.is_none() && super::consult::is_read(model, &id);
            if let Some(case) = model.cases.get_mut(&id).filter(|_| failed.is_none() && (of_model || reading)) {
                case.as_written = reading;
                let playbooks = case.other.is_some();
                let told = case.conclusion.value.as_ref();
                match told.map(|made| super::consult::outcome(&made.diagnosed, reading, playbooks)) {
                    Some((true, news)) => say(model, &news),
                    Some((false, news)) => complain(model, &news),
                    None => {}
                }
            }
            if let Some(why) = failed {
                complain(model, &format!("no diagnosis: {why}"));
            }
            keep_cursors(model, &id);
            let mut effects = super::act::reload_timeline(model);
            if let Some(by) = wanted {
                effects.extend(super::consult::begin_diagnosis(model, &id, by));
            }
            return effects;
        }
        Report::Packed(result) => {
            if let Some(chat) = model.chats.values_mut().find(|chat| chat.preview.awaits(generation)) {
                chat.preview.finish(generation, result.map(|boxed| *boxed));
            } else if let Some(case) = case_mut(model, |case| case.pack.awaits(generation)) {
                case.pack.finish(generation, result.map(|boxed| *boxed));
            }
        }
        Report::Timeline(result) => {
            if let Some(case) = case_mut(model, |case| case.timeline.awaits(generation)) {
                case.timeline.finish(generation, result);
            }
        }
        Report::Answered(result) => super::consult::answered(model, generation, result),
        Report::Rechecked(result) => super::consult::rechecked(model, generation, result),
        Report::Asking(asking) => super::chat::asking(model, generation, *asking),
        Report::Replied(result) => return super::chat::replied(model, generation, result),
        Report::Prepared(result) => {
            if let Some(dialog) = dialog_mut(model).filter(|dialog| dialog.awaits(generation)) {
                dialog.prepare(result);
            }
        }
        Report::Queue(result) => return super::queue::loaded(model, generation, result),
        Report::Signed(result) => return super::queue::signed(model, generation, result),
        Report::Requested(result) => {
            if let Some(dialog) = dialog_mut(model).filter(|dialog| dialog.awaits(generation)) {
                dialog.requested(result);
            }
            return super::queue::due(model);
        }
        Report::Run(news) => {
            if let Some(dialog) = dialog_mut(model).filter(|dialog| dialog.awaits(generation)) {
                dialog.report(news);
            }
        }
        Report::Said(Ok(text)) => say(model, &text),
        Report::Said(Err(text)) => complain(model, &text),
    }
    Vec::new()
}

fn case_mut(model: &mut Model, wanted: impl Fn(&Case) -> bool) -> Option<&mut Case> {
    model.cases.values_mut().find(|case| wanted(case))
}

fn on_board(model: &mut Model, generation: Generation, board: Board) -> Vec<Effect> {
    if !model.board.awaits(generation) {
        return Vec::new();
    }
    if model.frozen.is_some() {
        model.board.abandon();
        return Vec::new();
    }
    model.sources = board.sources;
    let incidents = match board.incidents {
        Ok(incidents) => incidents,
        Err(why) => {
            model.board.finish(generation, Err(why));
            return Vec::new();
        }
    };
    let selected = model.screens.iter().find_map(|screen| match screen {
        Screen::Board(list) => rows::board(model, list).get(list.cursor).map(|case| case.incident.id.clone()),
        _ => None,
    });
    let ids: Vec<String> = incidents.iter().map(|incident| incident.id.clone()).collect();
    let mut changed = Vec::new();
    for incident in incidents {
        take_incident(model, incident, &mut changed);
    }
    // An incident that is open on a screen stays known although its alerts are gone.
    let open: Vec<String> = model
        .screens
        .iter()
        .filter_map(|screen| match screen {
            Screen::Incident(screen) => Some(screen.incident.clone()),
            _ => None,
        })
        .collect();
    let mut effects = Vec::new();
    model.cases.retain(|id, case| {
        let keep = ids.contains(id) || open.contains(id);
        if !keep {
            effects.extend(case.investigation.abandon().map(|generation| Effect::Cancel { generation }));
            effects.extend(case.conclusion.abandon().map(|generation| Effect::Cancel { generation }));
        }
        keep
    });
    model.board.finish(generation, Ok(ids));
    keep_selection(model, selected.as_deref());
    for id in changed {
        effects.extend(investigate(model, &id));
    }
    effects.extend(investigate_next(model));
    effects
}

/// Takes an incident over; `changed` receives its id when it must be investigated again.
fn take_incident(model: &mut Model, incident: Incident, changed: &mut Vec<String>) {
    let fingerprints = |incident: &Incident| -> Vec<String> {
        let mut all: Vec<String> = incident.alerts.iter().map(|alert| alert.fingerprint.clone()).collect();
        all.sort();
        all
    };
    match model.cases.get_mut(&incident.id) {
        None => {
            model.cases.insert(incident.id.clone(), Case::new(incident));
        }
        Some(case) => {
            let grown = fingerprints(&case.incident) != fingerprints(&incident);
            if grown && case.investigation.value.is_some() && !case.investigation.busy() && !incident.is_resolved() {
                changed.push(incident.id.clone());
            }
            case.incident = incident;
        }
    }
}

fn keep_selection(model: &mut Model, selected: Option<&str>) {
    let at = model.screens.iter().find_map(|screen| match screen {
        Screen::Board(list) => {
            let rows = rows::board(model, list);
            let found = rows.iter().position(|case| Some(case.incident.id.as_str()) == selected);
            Some(found.unwrap_or(list.cursor).min(rows.len().saturating_sub(1)))
        }
        _ => None,
    });
    for screen in &mut model.screens {
        if let (Screen::Board(list), Some(at)) = (screen, at) {
            list.cursor = at;
        }
    }
}

fn on_investigated(model: &mut Model, generation: Generation, result: Result<Box<Investigation>, Text>) -> Vec<Effect> {
    let Some(case) = case_mut(model, |case| case.investigation.awaits(generation)) else { return Vec::new() };
    let id = case.incident.id.clone();
    let good = result.is_ok();
    case.investigation.finish(generation, result.map(|boxed| *boxed));
    if good {
        // The ids may mean other items now.
        case.rechecked.clear();
    }
    super::consult::keep_answers(case);
    let mut effects = Vec::new();
    // The offline diagnosis costs nothing and is always there; one by a model is not replaced unasked.
    let by_model = case.conclusion.value.as_ref().is_some_and(|made| made.diagnosed.analyst.is_model());
    if good && !case.conclusion.busy() && !by_model {
        effects.extend(diagnose_unasked(model, &id));
    } else if let Some(case) = model.cases.get_mut(&id).filter(|_| good && by_model) {
        // The playbooks' speaks of what was known before; it is made anew when it is asked for.
        case.other = None;
    }
    keep_cursors(model, &id);
    effects.extend(investigate_next(model));
    effects
}

/// Brings the cursors of an incident's panes back inside after its data changed.
pub(super) fn keep_cursors(model: &mut Model, id: &str) {
    let Some(case) = model.cases.get(id) else { return };
    for screen in &mut model.screens {
        if let Screen::Incident(screen) = screen
            && screen.incident == id
        {
            for pane in Pane::ALL {
                let mut probe = (**screen).clone();
                probe.pane = pane;
                let len = rows::pane_len(case, &probe);
                screen.lists[pane.index()].clamp(len);
            }
        }
    }
}
