//! How the model changes.

mod act;
#[cfg(test)]
mod asked_tests;
mod chat;
#[cfg(test)]
mod chat_tests;
mod consult;
#[cfg(test)]
mod consult_tests;
mod keys;
mod queue;
#[cfg(test)]
mod queue_tests;
mod reports;
#[cfg(test)]
mod tests;

use crate::domain::Text;
use crate::domain::baseline::BaselineChoice;

use super::confirm::Dialog;
use super::effect::{Effect, Generation};
use super::message::Msg;
use super::model::{Case, Model, Toast};
use super::reveal;
use super::rows;
use super::screen::Screen;

/// Incidents that are investigated without being asked for, worst first.
pub const INVESTIGATED_UNASKED: usize = 8;

/// Applies what happened and says what is to be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let effects = apply(model, msg);
    rows::remember_logs(model);
    effects
}

fn apply(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(key) => keys::key(model, key),
        Msg::Paste(text) => {
            keys::paste(model, &text);
            Vec::new()
        }
        Msg::Resize(columns, rows) => {
            model.size = (columns, rows);
            if let Some(dialog) = dialog_mut(model) {
                dialog.drawn = false;
            }
            if let Some(Screen::Sign(open)) = model.screens.last_mut() {
                open.drawn = false;
            }
            Vec::new()
        }
        Msg::Focus(_) => Vec::new(),
        Msg::Tick(now) => {
            if model.frozen.is_none() {
                model.now = model.now.max(now);
            }
            consult::follow(model, reveal::step);
            Vec::new()
        }
        Msg::RefreshDue => refresh(model),
        Msg::QueueDue => queue::due(model),
        Msg::Drawn => {
            let (size, visible) = (model.size, !model.too_small());
            if let Some(Screen::Run(dialog)) = model.screens.last_mut().filter(|_| visible) {
                dialog.shown(size);
            }
            if visible {
                queue::drawn(model);
            }
            Vec::new()
        }
        Msg::ToastOld => {
            // What failed stays until somebody was there to read it; what is under way until it has ended.
            model.toast = model.toast.take().filter(|toast| toast.failed || toast.during.is_some());
            Vec::new()
        }
        Msg::Resumed => vec![Effect::Redraw],
        Msg::Report(generation, report) => reports::report(model, generation, report),
    }
}

/// The effects with which a program begins.
pub fn start(model: &mut Model) -> Vec<Effect> {
    if model.first_run.is_some() { Vec::new() } else { load_board(model) }
}

fn refresh(model: &mut Model) -> Vec<Effect> {
    if model.frozen.is_some() || model.first_run.is_some() || model.board.busy() {
        return Vec::new();
    }
    load_board(model)
}

fn load_board(model: &mut Model) -> Vec<Effect> {
    let generation = model.next_generation();
    let stale = model.board.abandon();
    model.board.begin(generation, model.now);
    stale
        .map(|generation| Effect::Cancel { generation })
        .into_iter()
        .chain([Effect::LoadBoard { generation }])
        .collect()
}

/// Begins the investigation of an incident, aborting one under way.
fn investigate(model: &mut Model, id: &str) -> Vec<Effect> {
    let now = model.now;
    let generation = model.next_generation();
    let Some(case) = model.cases.get_mut(id) else { return Vec::new() };
    let stale = case.investigation.abandon();
    case.investigation.begin(generation, now);
    let incident = Box::new(case.incident.clone());
    let baseline = case.baseline;
    stale
        .map(|generation| Effect::Cancel { generation })
        .into_iter()
        .chain([Effect::Investigate { generation, incident, baseline }])
        .collect()
}

/// Analyses the open incident anew, compared with another time. The palette stays open when it is none.
fn baseline(model: &mut Model, argument: &str) -> Vec<Effect> {
    let choice = match argument.parse::<BaselineChoice>() {
        Ok(choice) => choice,
        Err(why) => {
            complain(model, &why);
            return Vec::new();
        }
    };
    let Some(case) = model.current() else { return Vec::new() };
    if let Err(why) = choice.resolve(case.incident.window) {
        complain(model, &why);
        return Vec::new();
    }
    let id = case.incident.id.clone();
    if let Some(case) = model.cases.get_mut(&id) {
        case.baseline = Some(choice);
    }
    model.screens.pop();
    let effects = investigate(model, &id);
    let under_way = model.cases.get(&id).and_then(|case| case.investigation.awaited());
    say_while(model, &format!("comparing with {choice}"), under_way);
    effects
}

/// Begins the investigation that is due next, if none is under way: that of the incident in front, else the worst.
fn investigate_next(model: &mut Model) -> Vec<Effect> {
    if model.cases.values().any(|case| case.investigation.busy()) {
        return Vec::new();
    }
    let due = |case: &&Case| case.investigation.untouched();
    let id = model
        .current()
        .filter(due)
        .or_else(|| model.incidents().filter(|case| !case.incident.is_resolved()).take(INVESTIGATED_UNASKED).find(due))
        .map(|case| case.incident.id.clone());
    id.map_or_else(Vec::new, |id| investigate(model, &id))
}

fn dialog_mut(model: &mut Model) -> Option<&mut Dialog> {
    model.screens.iter_mut().rev().find_map(|screen| match screen {
        Screen::Run(dialog) => Some(dialog.as_mut()),
        _ => None,
    })
}

fn say(model: &mut Model, text: &str) {
    model.toast = Some(Toast { text: Text::new(text), failed: false, during: None });
}

/// Says something that is true while this effect is under way.
fn say_while(model: &mut Model, text: &str, during: Option<Generation>) {
    model.toast = Some(Toast { text: Text::new(text), failed: false, during });
}

fn complain(model: &mut Model, text: &str) {
    model.toast = Some(Toast { text: Text::new(text), failed: true, during: None });
}
