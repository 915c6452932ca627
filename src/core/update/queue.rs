//! Requests for approval: reading, looking, signing, and running what was approved.

use crate::core::confirm::{Dialog, Stage};
use crate::core::effect::{Effect, Generation};
use crate::core::key::Key;
use crate::core::list::List;
use crate::core::model::Model;
use crate::core::queue::{self, Pending, Queue, SignBox, SignStep, Status};
use crate::core::screen::Screen;
use crate::domain::Text;
use crate::domain::action::{Action, Origin};
use crate::domain::approval::{ApprovalRequest, Say};
use crate::gate::preview::preview_of;

use super::say as tell;

/// Reads the queue, unless that is under way or nothing could stand in it.
pub(super) fn due(model: &mut Model) -> Vec<Effect> {
    if !model.identity.approvals || model.queue.busy() || model.frozen.is_some() || model.first_run.is_some() {
        return Vec::new();
    }
    let generation = model.next_generation();
    model.queue.begin(generation, model.now);
    vec![Effect::LoadQueue { generation }]
}

/// Opens the screen.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    model.screens.push(Screen::Queue(List::default()));
    due(model)
}

/// The queue was read. A dialog that waits for an approval goes on when it is there; the cursor stays on its request.
pub(super) fn loaded(model: &mut Model, generation: Generation, result: Result<Box<Queue>, Text>) -> Vec<Effect> {
    let selected = selected(model).map(|pending| pending.digest.clone());
    if !model.queue.finish(generation, result.map(|boxed| *boxed)) {
        return Vec::new();
    }
    let requests = model.queue.value.iter().flat_map(|queue| &queue.requests);
    let digests: Vec<_> = requests.map(|pending| pending.digest.clone()).collect();
    for screen in &mut model.screens {
        if let Screen::Queue(list) = screen {
            let found = selected.as_ref().and_then(|wanted| digests.iter().position(|digest| digest == wanted));
            list.cursor = found.unwrap_or(list.cursor);
            list.clamp(digests.len());
        }
    }
    approved(model)
}

/// Prepares what the dialog in front waits for, once it is approved.
fn approved(model: &mut Model) -> Vec<Effect> {
    let next = model.next_generation();
    let (now, queue) = (model.now, &model.queue);
    let Some(Screen::Run(dialog)) = model.screens.iter_mut().rev().find(|screen| matches!(screen, Screen::Run(_)))
    else {
        return Vec::new();
    };
    let Stage::Asked { request: Some(digest), .. } = &dialog.stage else { return Vec::new() };
    let digest = digest.clone();
    let requests = queue.value.iter().flat_map(|queue| &queue.requests);
    let status = requests.filter(|pending| pending.digest == digest).map(|pending| pending.status_at(now)).next();
    if status != Some(Status::Approved) {
        return Vec::new();
    }
    dialog.approved(next);
    vec![Effect::PrepareApproved { generation: next, digest }]
}

fn selected(model: &Model) -> Option<&queue::Pending> {
    let cursor = model.screens.iter().find_map(|screen| match screen {
        Screen::Queue(list) => Some(list.cursor),
        _ => None,
    })?;
    model.queue.value.as_ref()?.requests.get(cursor)
}

/// Opens the selected request; with `say` the reason is typed at once, when it could be said.
pub(super) fn look(model: &mut Model, say: Option<Say>) {
    let Some(pending) = selected(model) else { return };
    let mut open = SignBox::new(pending.digest.clone(), None);
    open.shown(pending, model.size);
    let why = say.and_then(|say| open.why_not(Some(pending), say, model.now));
    match why {
        Some(why) => tell(model, &why),
        None => open.say = say,
    }
    // What is signed must have stood on the screen.
    open.drawn = false;
    model.screens.push(Screen::Sign(Box::new(open)));
}

/// The screen was drawn.
pub(super) fn drawn(model: &mut Model) {
    let size = model.size;
    let Some(Screen::Sign(open)) = model.screens.last() else { return };
    let Some(pending) = queue::find(model, &open.digest).cloned() else { return };
    if let Some(Screen::Sign(open)) = model.screens.last_mut() {
        open.shown(&pending, size);
    }
}

/// A key press in the box of a request.
pub(super) fn sign_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let (next, now) = (model.next_generation(), model.now);
    let Screen::Sign(open) = model.top() else { return Vec::new() };
    let pending = queue::find(model, &open.digest).cloned();
    let Screen::Sign(open) = model.top_mut() else { return Vec::new() };
    match open.key(key, pending.as_ref(), now, next) {
        SignStep::Stay => Vec::new(),
        SignStep::Say(why) => {
            tell(model, &why);
            Vec::new()
        }
        SignStep::Close(under_way) => {
            model.screens.pop();
            under_way.map(|generation| Effect::Cancel { generation }).into_iter().collect()
        }
        SignStep::Sign(order) => vec![Effect::Sign(order)],
        SignStep::Preview => {
            let Some((action, digest)) =
                pending.and_then(|pending| Some((preview_of(&asked(&pending))?, pending.digest)))
            else {
                tell(model, "the tool has no preview of this");
                return Vec::new();
            };
            model.screens.push(Screen::Run(Box::new(Dialog::new(action, next))));
            vec![Effect::PreparePreview { generation: next, digest }]
        }
    }
}

/// The action that a request speaks of, as far as the request says.
fn asked(pending: &Pending) -> Action {
    let ApprovalRequest { run, rationale, .. } = &pending.request;
    Action {
        id: run.action.clone(),
        incident: run.incident.clone(),
        origin: Origin::Operator(run.actor.clone()),
        argv: run.argv.clone(),
        change: None,
        target: Text::default(),
        rationale: rationale.clone(),
        rollback: None,
        verify: None,
    }
}

/// The agent has signed, or not.
pub(super) fn signed(model: &mut Model, generation: Generation, result: Result<Text, Text>) -> Vec<Effect> {
    let open = model.screens.iter_mut().rev().find_map(|screen| match screen {
        Screen::Sign(open) if open.awaits(generation) => Some(open),
        _ => None,
    });
    if let Some(open) = open {
        open.finish(result);
    }
    due(model)
}
