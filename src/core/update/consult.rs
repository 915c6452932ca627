//! Asking for a diagnosis: by the playbooks, by a language model, or by an answer that a person brings from elsewhere;
//! and asking the queries of its checks, whose answers are evidence of the next one.

use crate::core::diagnosis_rows;
use crate::core::effect::{Effect, Generation, Wish};
use crate::core::key::Key;
use crate::core::message::Answered;
use crate::core::model::{ANSWERS_MAX, Case, Model};
use crate::core::screen::{IncidentScreen, Pane, PasteBox, Reader, Screen};
use crate::domain::Text;
use crate::domain::diagnosis::{Check, Diagnosed, Diagnosis, Earlier};
use crate::domain::recheck::{Outcome, Recheck};

use super::{complain, say, say_while};

/// Answers that were given up, kept per incident.
const EARLIER_MAX: usize = 8;

/// Diagnoses with a language model; where the operator wants to look first, shows what would be sent.
pub(super) fn diagnose(model: &mut Model) -> Vec<Effect> {
    if let Screen::Pack(_) = model.top() {
        return send(model);
    }
    if model.identity.ask_first {
        say(model, "d sends what is shown here, Esc does not");
        return pack(model);
    }
    show_diagnosis(model, Wish::Model { shown: None })
}

/// Diagnoses with the playbooks. Where there is a model's diagnosis as well, turns from one to the other: neither is
/// asked for again.
pub(super) fn diagnose_offline(model: &mut Model) -> Vec<Effect> {
    let Some(id) = model.current().map(|case| case.incident.id.clone()) else { return Vec::new() };
    let Some(case) = model.cases.get_mut(&id) else { return Vec::new() };
    // The playbooks' that comes by itself is as good as one that is asked for.
    if case.conclusion.busy() && case.unasked {
        to_diagnosis(model, &id);
        return Vec::new();
    }
    let Some(other) = case.other.take() else { return show_diagnosis(model, Wish::Offline) };
    let now_by_model = other.diagnosed.analyst.is_model();
    case.other = case.conclusion.value.replace(other);
    case.as_written = false;
    to_diagnosis(model, &id);
    read_from_the_top(model, &id);
    super::reports::keep_cursors(model, &id);
    let news = if now_by_model {
        "the model's diagnosis again; o the playbooks', d asks anew"
    } else {
        "the playbooks' diagnosis; o brings the model's back"
    };
    say(model, news);
    Vec::new()
}

/// Sends exactly what is shown.
fn send(model: &mut Model) -> Vec<Effect> {
    if let Some(chat) = model.looked_at().map(str::to_owned) {
        return super::chat::send(model, &chat);
    }
    let shown = model.current().and_then(|case| case.pack.value.as_ref()).map(|preview| preview.digest.clone());
    if shown.is_none() {
        let rendered = model.current().and_then(|case| case.pack.awaited());
        say_while(model, "the pack is still being rendered", rendered);
        return Vec::new();
    }
    model.screens.pop();
    show_diagnosis(model, Wish::Model { shown })
}

fn show_diagnosis(model: &mut Model, by: Wish) -> Vec<Effect> {
    let Some(id) = model.current().map(|case| case.incident.id.clone()) else { return Vec::new() };
    to_diagnosis(model, &id);
    let Some(case) = model.cases.get_mut(&id) else { return Vec::new() };
    // The playbooks' takes a moment only, and is there to turn to afterwards: what was asked for comes next.
    if case.unasked
        && by != Wish::Offline
        && let Some(generation) = case.conclusion.awaited()
    {
        case.wanted = Some(by);
        say_while(model, "comes next, once the playbooks' diagnosis is there; Esc: not", Some(generation));
        return Vec::new();
    }
    begin_diagnosis(model, &id, by)
}

/// Goes to the pane of the diagnosis.
fn to_diagnosis(model: &mut Model, id: &str) {
    // From a proof, and from what was opened above it, back to the incident.
    while model.incident_screen().is_some() && !matches!(model.top(), Screen::Incident(_)) {
        model.screens.pop();
    }
    if model.incident_screen().is_none() {
        model.screens.push(Screen::Incident(Box::new(IncidentScreen::new(id))));
    }
    if let Some(screen) = model.incident_screen_mut() {
        screen.pane = Pane::Diagnosis;
        screen.passed = false;
    }
}

/// Begins the diagnosis that is there without being asked for.
pub(super) fn diagnose_unasked(model: &mut Model, id: &str) -> Vec<Effect> {
    let effects = begin_diagnosis(model, id, Wish::Offline);
    if let Some(case) = model.cases.get_mut(id) {
        case.unasked = true;
    }
    effects
}

/// Begins a diagnosis of an incident.
pub(super) fn begin_diagnosis(model: &mut Model, id: &str, by: Wish) -> Vec<Effect> {
    let now = model.now;
    let generation = model.next_generation();
    let Some(case) = model.cases.get_mut(id) else { return Vec::new() };
    let stale = case.conclusion.abandon();
    case.conclusion.begin(generation, now);
    case.unasked = false;
    case.of_model = matches!(by, Wish::Model { .. });
    case.as_written = false;
    case.draft = None;
    case.revealed = 0;
    stale
        .map(|generation| Effect::Cancel { generation })
        .into_iter()
        .chain([Effect::Diagnose { generation, incident: id.to_owned(), by }])
        .collect()
}

/// What is written now is another text than the one that the cursor was in.
pub(super) fn read_from_the_top(model: &mut Model, id: &str) {
    for screen in &mut model.screens {
        if let Screen::Incident(screen) = screen
            && screen.incident == id
        {
            let list = &mut screen.lists[Pane::Diagnosis.index()];
            list.cursor = 0;
            if screen.pane == Pane::Diagnosis {
                screen.link = 0;
            }
        }
    }
}

/// Whether somebody has the diagnosis of this incident in front.
pub(super) fn is_read(model: &Model, id: &str) -> bool {
    let front = model.screens.iter().rev().find(|screen| !screen.is_overlay());
    matches!(front, Some(Screen::Incident(screen)) if screen.incident == id && screen.pane == Pane::Diagnosis)
}

/// Whoever comes back to a diagnosis has its likeliest cause first.
pub(super) fn in_reading_order(model: &mut Model, id: &str) {
    if let Some(case) = model.cases.get_mut(id)
        && std::mem::take(&mut case.as_written)
    {
        read_from_the_top(model, id);
    }
}

/// Whoever went to the end of what is being written stays at its end.
pub(super) fn follow(model: &mut Model, grow: impl FnOnce(&mut Model)) {
    let last = |model: &Model| {
        let screen = model.incident_screen().filter(|screen| screen.pane == Pane::Diagnosis)?;
        let case = model.cases.get(&screen.incident).filter(|case| case.draft.is_some())?;
        diagnosis_rows::rows(case, screen.list()).len().checked_sub(1)
    };
    let cursor = model.incident_screen().map_or(0, |screen| screen.list().cursor);
    let at_end = cursor > 0 && last(model) == Some(cursor);
    grow(model);
    if let Some(last) = last(model).filter(|_| at_end)
        && let Some(screen) = model.incident_screen_mut()
    {
        screen.list_mut().cursor = last;
    }
}

/// Shows the pack as it would be sent now.
pub(super) fn pack(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    let generation = model.next_generation();
    let Some(id) = model.current().map(|case| case.incident.id.clone()) else { return Vec::new() };
    if model.incident_screen().is_none() {
        let screen = IncidentScreen { passed: true, ..IncidentScreen::new(&id) };
        model.screens.push(Screen::Incident(Box::new(screen)));
    }
    model.screens.push(Screen::Pack(Reader::default()));
    let Some(case) = model.cases.get_mut(&id) else { return Vec::new() };
    // What was shown before may be another pack by now, and only what is seen may be agreed to.
    case.pack.value = None;
    case.pack.begin(generation, now);
    vec![Effect::Pack { generation, incident: id }]
}

/// Leaves the pack, and the incident where that was opened for the pack alone.
pub(super) fn leave_pack(model: &mut Model) {
    model.screens.pop();
    if matches!(model.top(), Screen::Incident(screen) if screen.passed) && model.screens.len() > 1 {
        model.screens.pop();
    }
}

/// Opens the box into which an answer is pasted.
pub(super) fn paste_box(model: &mut Model) {
    let Some(incident) = model.current().map(|case| case.incident.id.clone()) else { return };
    model.screens.push(Screen::Paste(PasteBox { incident, ..PasteBox::default() }));
}

/// A key while an answer is pasted in. Only Enter hands it over, and pasting is never Enter.
pub(super) fn paste_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let Screen::Paste(open) = model.top_mut() else { return Vec::new() };
    match key {
        Key::Ctrl('u') => {
            open.text.clear();
            open.dropped = 0;
        }
        // Without brackets around it a paste comes as keys.
        Key::Char(c) => open.paste(c.encode_utf8(&mut [0; 4])),
        Key::Tab => open.paste("\t"),
        Key::Ctrl('j') => open.paste("\n"),
        Key::Backspace if open.dropped == 0 => {
            open.text.pop();
        }
        Key::Enter if open.text.trim().is_empty() => say(model, "nothing is pasted yet"),
        Key::Enter if open.dropped > 0 => say(model, "it is too long to be an answer: Ctrl-u empties it"),
        Key::Enter => {
            let by = Wish::Pasted(Text::new(&open.text));
            while matches!(model.top(), Screen::Paste(_) | Screen::Pack(_)) {
                model.screens.pop();
            }
            return show_diagnosis(model, by);
        }
        Key::Esc => {
            model.screens.pop();
        }
        _ => say(model, "paste the answer with your terminal; Enter hands it over"),
    }
    Vec::new()
}

/// Asks the query of a check.
pub(super) fn ask(model: &mut Model, id: &str, check: Check) -> Vec<Effect> {
    let now = model.now;
    let generation = model.next_generation();
    let Some(case) = model.cases.get_mut(id) else { return Vec::new() };
    let stale = case.answer.abandon();
    case.answer.begin(generation, now);
    say_while(model, "asking", Some(generation));
    stale
        .map(|generation| Effect::Cancel { generation })
        .into_iter()
        .chain([Effect::Ask { generation, incident: id.to_owned(), check }])
        .collect()
}

/// What came of a diagnosis that was asked for, in one line: what to do stands first, for the end may be cut.
pub(super) fn outcome(made: &Diagnosed, shown: bool, playbooks: bool) -> (bool, String) {
    if made.complete && shown {
        return (
            true,
            "the answer is whole and checked: 3 likeliest cause first, 4 actions, o the playbooks'".to_owned(),
        );
    }
    if made.complete {
        return (true, "the answer is whole and checked: 3 shows it, 4 its actions".to_owned());
    }
    // The words are those of the remarks on an answer that came whole.
    let invalid = ["the answer is not valid", "nor was the second"];
    let invalid = made.remarks.iter().any(|remark| invalid.iter().any(|words| remark.starts_with(words)));
    let how = if invalid { "is not valid" } else { "broke off" };
    let instead = if playbooks { "4 shows the playbooks'" } else { "o asks the playbooks" };
    (false, format!("the answer {how}; none of its actions can be chosen: {instead}"))
}

/// Takes in the answer to a check.
pub(super) fn answered(model: &mut Model, generation: Generation, result: Result<Box<Answered>, Text>) {
    let models = !model.identity.models.is_empty();
    let Some(case) = model.cases.values_mut().find(|case| case.answer.awaits(generation)) else { return };
    case.answer.finish(generation, result.as_ref().map(|_| ()).map_err(Clone::clone));
    match result {
        Ok(answered) => {
            let id = answered.evidence.as_ref().map(|item| item.id);
            if case.answers.len() == ANSWERS_MAX {
                case.answers.remove(0);
            }
            case.answers.push(*answered);
            keep_answers(case);
            let news = match id {
                Some(id) if models => format!("answered below the query, as {id}: d diagnoses again with it"),
                Some(id) => format!("answered below the query, as {id}"),
                None => "there was no answer: why stands below the query".to_owned(),
            };
            say(model, &news);
        }
        Err(why) => complain(model, &why),
    }
}

/// What came of a diagnosis that is given up stays readable beside the one before it; whether anything came.
pub(super) fn keep_draft(case: &mut Case) -> bool {
    let Some(draft) = case.draft.take() else { return false };
    let earlier = match &mut case.conclusion.value {
        Some(made) => &mut made.diagnosed.earlier,
        None => &mut case.given_up,
    };
    for one in draft.earlier {
        if !earlier.contains(&one) {
            earlier.push(one);
        }
    }
    let kept = draft.partial != Diagnosis::default();
    if kept {
        let text = serde_json::to_string_pretty(&draft.partial).unwrap_or_default();
        let endpoint = draft.by.one_line().into_owned();
        earlier.push(Earlier { endpoint, why: Text::new("cancelled by you"), text: Text::new(&text) });
    }
    // Enough to look back at; the ledger has the others.
    let extra = earlier.len().saturating_sub(EARLIER_MAX);
    earlier.drain(..extra);
    kept
}

/// What was given up before there was a diagnosis stands beside the first one.
pub(super) fn join_given_up(case: &mut Case) {
    if let Some(made) = &mut case.conclusion.value {
        made.diagnosed.earlier.append(&mut case.given_up);
    }
}

/// Asks the queries behind what is cited again.
pub(super) fn recheck(model: &mut Model) -> Vec<Effect> {
    let ids = diagnosis_rows::cited(model);
    let Some(id) = model.current().map(|case| case.incident.id.clone()) else { return Vec::new() };
    let now = model.now;
    let generation = model.next_generation();
    let Some(case) = model.cases.get_mut(&id) else { return Vec::new() };
    let stale = case.answer.abandon();
    case.answer.begin(generation, now);
    let items = if ids.len() == 1 { "item" } else { "items" };
    say_while(model, &format!("asking the queries behind {} {items} again", ids.len()), Some(generation));
    stale
        .map(|generation| Effect::Cancel { generation })
        .into_iter()
        .chain([Effect::Recheck { generation, incident: id, ids }])
        .collect()
}

/// Takes in what the queries behind cited evidence said this time.
pub(super) fn rechecked(model: &mut Model, generation: Generation, result: Result<Box<Recheck>, Text>) {
    let now = model.now;
    let Some(case) = model.cases.values_mut().find(|case| case.answer.awaits(generation)) else { return };
    case.answer.finish(generation, result.as_ref().map(|_| ()).map_err(Clone::clone));
    match result {
        Ok(recheck) => {
            let count = recheck.items.len();
            let refuted = recheck.items.iter().filter(|one| one.is_refuted()).count();
            let same = recheck.items.iter().filter(|one| one.outcome == Outcome::Same).count();
            case.rechecked.extend(recheck.items.into_iter().map(|one| (one.id, (now, one))));
            let not_asked = recheck.left_out + (count - same - refuted);
            let more = if not_asked > 0 { format!(", {not_asked} not compared") } else { String::new() };
            let news = format!("asked again: {same} of {count} the same, {refuted} changed or gone{more}");
            if refuted > 0 { complain(model, &news) } else { say(model, &news) }
        }
        Err(why) => complain(model, &why),
    }
}

/// Answers are evidence of the incident, also after it was looked at anew.
pub(super) fn keep_answers(case: &mut Case) {
    let Some(found) = &mut case.investigation.value else { return };
    for item in case.answers.iter().filter_map(|answered| answered.evidence.as_ref()) {
        if found.analysis.evidence(item.id).is_none() {
            found.analysis.evidence.push(item.clone());
        }
    }
}
