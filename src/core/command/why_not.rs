//! Why a command is not possible now.

use crate::core::diagnosis_rows::{self, Kind};
use crate::core::explain;
use crate::core::model::Model;
use crate::core::reading;
use crate::core::rows;
use crate::core::screen::{IncidentScreen, Pane, Screen, Subject};

pub(super) fn needs_investigation(model: &Model) -> Option<String> {
    let Some(case) = model.current() else { return Some("no incident is selected".into()) };
    match (&case.investigation.value, case.investigation.busy(), &case.investigation.error) {
        (Some(_), ..) => None,
        (None, true, _) => Some("the incident is still being investigated".into()),
        (None, false, Some(why)) => Some(format!("the investigation failed: {why}")),
        (None, false, None) => Some("the incident is not investigated yet (r)".into()),
    }
}

/// A proof that a chat about the whole system brought belongs to no incident.
fn needs_incident(model: &Model) -> Option<String> {
    let of_none = matches!(model.top(), Screen::Detail(detail) if detail.incident.is_empty());
    of_none.then(|| "this was asked about the whole system: open an incident first".into())
}

pub(super) fn needs_model(model: &Model) -> Option<String> {
    if model.looked_at().is_some() {
        return needs_models(model);
    }
    if let Some(why) = needs_incident(model) {
        return Some(why);
    }
    if let Some(why) = needs_investigation(model) {
        return Some(why);
    }
    if let Some(why) = needs_nobody_asked(model) {
        return Some(why);
    }
    model.identity.models.is_empty().then(|| "no language model is configured; 3 shows the offline diagnosis".into())
}

pub(super) fn needs_models(model: &Model) -> Option<String> {
    model.identity.models.is_empty().then(|| "no language model is configured".into())
}

pub(super) fn needs_topic(model: &Model) -> Option<String> {
    explain::why_not(model)
}

pub(super) fn needs_pack(model: &Model) -> Option<String> {
    let ready = model.preview().is_some_and(|preview| preview.value.is_some());
    (!ready).then(|| "the pack is still being rendered".into())
}

/// Why no free question can be asked where one is.
pub(in crate::core) fn why_no_question(model: &Model) -> Option<String> {
    if model.identity.models.is_empty() {
        return Some("free questions need a language model; none is configured, all else works".into());
    }
    model.incident_screen().and_then(|_| needs_investigation(model))
}

pub(super) fn needs_idle_diagnosis(model: &Model) -> Option<String> {
    needs_incident(model).or_else(|| needs_investigation(model)).or_else(|| needs_nobody_asked(model))
}

/// A diagnosis that was asked for is waited for; the one that comes by itself is no reason.
fn needs_nobody_asked(model: &Model) -> Option<String> {
    let case = model.current()?;
    if case.asked_for() {
        let who = if case.of_model { "a model is being asked" } else { "a diagnosis is being made" };
        return Some(format!("{who} (3, then Esc cancels)"));
    }
    case.wanted.is_some().then(|| "it comes next already".into())
}

pub(super) fn needs_citations(model: &Model) -> Option<String> {
    needs_investigation(model)
        .or_else(|| diagnosis_rows::cited(model).is_empty().then(|| "nothing here cites evidence".into()))
}

/// That what is typed as the filter occurs nowhere, where there is one.
fn no_match(screen: &IncidentScreen) -> Option<String> {
    let filter = &screen.list().filter.text;
    (!filter.is_empty()).then(|| format!("nothing contains \"{filter}\""))
}

pub(super) fn needs_row(model: &Model) -> Option<String> {
    match model.top() {
        Screen::Incident(screen) if screen.pane == Pane::Diagnosis => {
            let case = model.cases.get(&screen.incident)?;
            let rows = diagnosis_rows::rows(case, screen.list());
            match rows.get(screen.list().cursor) {
                None => no_match(screen).or_else(|| Some("there is no diagnosis yet".into())),
                Some(row) if row.links.is_empty() && !matches!(row.kind, Kind::Check(_) | Kind::Earlier(_)) => {
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
            if case.acting().is_some_and(|conclusion| !conclusion.diagnosed.complete) {
                return Some("the answer is not whole: none of its actions can be chosen; o asks the playbooks".into());
            }
            if let Some(why) = no_match(screen) {
                return Some(why);
            }
            rows::actions(case, screen.list()).is_empty().then(|| "no action is suggested".into())
        }
        Screen::Chat(screen) => match crate::core::chat::rows::rows(model, &screen.chat).get(screen.cursor) {
            None => Some("nothing was asked yet".into()),
            Some(_) => None,
        },
        Screen::FirstRun(_) => None,
        _ => match rows::top_len(model) {
            Some(0) => Some("nothing is listed".into()),
            _ => None,
        },
    }
}

pub(super) fn needs_approvals(model: &Model) -> Option<String> {
    (!model.identity.approvals).then(|| match &model.identity.recorded {
        Some(_) => "nothing is asked for or approved in a recording".into(),
        None => "no approvals are configured: set [approvals] in the configuration".into(),
    })
}

pub(super) fn needs_matches(model: &Model) -> Option<String> {
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

pub(super) fn needs_items(model: &Model) -> Option<String> {
    (reading::items(model).0.len() < 2).then(|| "there is one item only: j and k scroll it".into())
}

pub(super) fn needs_wide_panes(model: &Model) -> Option<String> {
    model.incident_screen().is_none().then(|| "no incident is open".into())
}
