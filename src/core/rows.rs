//! The rows of each list, filtered: one definition for moving, opening, copying and drawing.

use crate::domain::action::RunState;
use crate::domain::alert::Severity;
use crate::domain::analysis::Suspect;
use crate::domain::evidence::{Detail, Evidence, EvidenceId};
use crate::domain::ledger::{Entry, EntryKind};
use crate::domain::log::LogEntry;
use crate::domain::query::Asked;
use crate::domain::{Text, Timestamp};

use super::diagnosis_rows;
use super::list::List;
use super::message::Suggestion;
use super::model::{Case, Model};
use super::reading::quantity;
use super::screen::{IncidentScreen, Pane, Screen};

/// Incidents on the board.
pub fn board<'a>(model: &'a Model, list: &List) -> Vec<&'a Case> {
    model
        .incidents()
        .filter(|case| {
            let incident = &case.incident;
            list.filter.text.is_empty()
                || list.admits(&incident.title)
                || list.admits(&incident.id)
                || list.admits(incident.severity.word())
                || incident.services.iter().any(|service| list.admits(service))
        })
        .collect()
}

/// Suspects of a case.
pub fn suspects<'a>(case: &'a Case, list: &List) -> Vec<&'a Suspect> {
    let Some(found) = &case.investigation.value else { return Vec::new() };
    found.analysis.suspects.iter().filter(|suspect| list.admits(&suspect.service)).collect()
}

/// Evidence items of a case.
pub fn evidence<'a>(case: &'a Case, list: &List) -> Vec<&'a Evidence> {
    let Some(found) = &case.investigation.value else { return Vec::new() };
    found
        .analysis
        .evidence
        .iter()
        .filter(|item| {
            list.filter.text.is_empty()
                || list.admits(&item.title)
                || list.admits(&item.id.to_string())
                || item.service.as_deref().is_some_and(|service| list.admits(service))
        })
        .collect()
}

/// Evidence that speaks for a suspect, in the order of its signals.
pub fn suspect_evidence(case: &Case, suspect: &Suspect) -> Vec<EvidenceId> {
    let Some(found) = &case.investigation.value else { return Vec::new() };
    let mut ids: Vec<EvidenceId> = Vec::new();
    for id in suspect.signals.iter().flat_map(|signal| &signal.evidence) {
        if !ids.contains(id) && found.analysis.evidence(*id).is_some() {
            ids.push(*id);
        }
    }
    ids
}

/// Changes that are not blamed and stand in the proof of their service.
const RULED_OUT: usize = 4;

/// The proof of a suspect: what speaks for it, then the changes blamed, then those of its service that are not.
pub fn proof(case: &Case, suspect: &Suspect) -> Vec<EvidenceId> {
    let mut ids = suspect_evidence(case, suspect);
    let Some(found) = &case.investigation.value else { return ids };
    let analysis = &found.analysis;
    let of_service = |id: &EvidenceId| {
        analysis.evidence(*id).is_some_and(|item| item.service.as_deref() == Some(suspect.service.as_str()))
    };
    let blamed = analysis.changes.iter().map(|ranked| ranked.evidence);
    let ruled_out = analysis.ruled_out.iter().map(|ruled_out| ruled_out.evidence).filter(of_service).take(RULED_OUT);
    for id in blamed.chain(ruled_out) {
        if !ids.contains(&id) && analysis.evidence(id).is_some() {
            ids.push(id);
        }
    }
    ids
}

/// Suggested actions of a case: the playbooks' where the diagnosis that is shown did not end cleanly.
pub fn actions<'a>(case: &'a Case, list: &List) -> Vec<&'a Suggestion> {
    let Some(conclusion) = case.acting() else { return Vec::new() };
    conclusion
        .actions
        .iter()
        .filter(|suggestion| {
            list.filter.text.is_empty()
                || list.admits(&suggestion.action.rationale)
                || list.admits(&suggestion.action.argv.join(" "))
        })
        .collect()
}

/// Log entries of a case with their index.
pub fn logs<'a>(case: &'a Case, list: &List) -> Vec<(usize, &'a LogEntry)> {
    let Some(found) = &case.investigation.value else { return Vec::new() };
    let logs = &found.logs;
    if let Some(rows) = list.matches(case.investigation.content(), logs.len()) {
        return rows.iter().filter_map(|row| Some((*row, logs.get(*row)?))).collect();
    }
    logs.iter().enumerate().filter(|(_, entry)| admits_entry(list, entry)).collect()
}

fn admits_entry(list: &List, entry: &LogEntry) -> bool {
    list.filter.text.is_empty()
        || list.admits(&entry.line)
        || entry.labels.service().is_some_and(|service| list.admits(service))
}

/// Filters the log entries of the open incidents where their filter or the entries changed: there may be so many that
/// it would be felt with each key.
pub(super) fn remember_logs(model: &mut Model) {
    for screen in &mut model.screens {
        let Screen::Incident(screen) = screen else { continue };
        let Some(case) = model.cases.get(&screen.incident) else { continue };
        let Some(found) = &case.investigation.value else { continue };
        let list = &mut screen.lists[Pane::Logs.index()];
        list.remember(case.investigation.content(), found.logs.len(), |list, row| {
            found.logs.get(row).is_some_and(|entry| admits_entry(list, entry))
        });
    }
}

/// Questions asked about a case with their index.
pub fn asked<'a>(case: &'a Case, list: &List) -> Vec<(usize, &'a Asked)> {
    let Some(found) = &case.investigation.value else { return Vec::new() };
    found
        .asked
        .iter()
        .enumerate()
        .filter(|(_, asked)| {
            list.filter.text.is_empty()
                || list.admits(&asked.source)
                || list.admits(&asked.planned.query.expression())
                || asked.outcome.as_ref().is_err_and(|why| list.admits(why))
        })
        .collect()
}

/// Something that happened during an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Kind, as a word.
    pub kind: &'static str,
    /// What.
    pub text: Text,
    /// Its evidence item, if it has one.
    pub evidence: Option<EvidenceId>,
    /// Its entry in the ledger, if it has one.
    pub entry: Option<u64>,
    /// How bad, for alerts.
    pub severity: Severity,
}

/// Alerts, changes, onsets and entries of the ledger, oldest first.
pub fn timeline(case: &Case, list: &List) -> Vec<Moment> {
    let mut moments = Vec::new();
    for item in case.investigation.value.iter().flat_map(|found| &found.analysis.evidence) {
        let (at, kind, severity) = match &item.detail {
            Detail::Alert(alert) => (Some(alert.starts_at), "alert", alert.severity()),
            Detail::Change(change) => (Some(change.at), "change", Severity::Unknown),
            Detail::Metric(_) => (item.onset, "metric", Severity::Unknown),
            // What did not change did not happen.
            Detail::Log(log) => (item.onset.filter(|_| log.change.is_some()), "log", Severity::Unknown),
            Detail::Edge(_) => (item.onset, "edge", Severity::Unknown),
            Detail::Runbook { .. } | Detail::Query { .. } => (None, "", Severity::Unknown),
        };
        if let Some(at) = at {
            moments.push(Moment { at, kind, text: happened(item), evidence: Some(item.id), entry: None, severity });
        }
    }
    if case.investigation.value.is_none() {
        moments.extend(case.incident.alerts.iter().map(|alert| Moment {
            at: alert.starts_at,
            kind: "alert",
            text: Text::new(&format!("{}: {}", alert.name(), alert.summary())),
            evidence: None,
            entry: None,
            severity: alert.severity(),
        }));
    }
    let entries = case.timeline.value.as_deref().unwrap_or_default();
    moments.extend(entries.iter().map(|entry| Moment {
        at: entry.draft.at,
        kind: "ledger",
        text: Text::new(&entry_text(entry, entries)),
        evidence: None,
        entry: Some(entry.seq),
        severity: Severity::Unknown,
    }));
    moments.retain(|moment| list.admits(&moment.text) || list.admits(moment.kind));
    moments.sort_by_key(|moment| (moment.at, moment.evidence, moment.entry));
    moments
}

/// What an item says happened, and where, in few words.
fn happened(item: &Evidence) -> Text {
    let title = match &item.detail {
        Detail::Metric(metric) => match item.title.strip_prefix(metric.metric.as_str()) {
            Some(rest) => format!("{}{rest}", quantity(&metric.metric)),
            None => item.title.to_string(),
        },
        Detail::Log(_) => item.title.to_string(),
        _ => return item.title.clone(),
    };
    match &item.service {
        Some(service) if !title.contains(service.as_str()) => Text::new(&format!("{service}  {title}")),
        _ => Text::new(&title),
    }
}

/// An entry of the ledger in one line. A run that was begun and of which no end is recorded says so.
fn entry_text(entry: &Entry, entries: &[Entry]) -> String {
    let (seq, draft) = (entry.seq, &entry.draft);
    let intent_of = |entry: &Entry| entry.draft.payload.get("intent").and_then(serde_json::Value::as_u64);
    match draft.kind {
        EntryKind::RunIntent => {
            let ended = entries.iter().any(|e| e.draft.kind == EntryKind::RunOutcome && intent_of(e) == Some(seq));
            let end = if ended { "" } else { "  OUTCOME UNKNOWN" };
            format!("#{seq} run by {}{}{end}", draft.actor, payload_hint(&draft.payload))
        }
        EntryKind::RunOutcome => {
            let state = draft.payload.get("state").cloned().and_then(|state| serde_json::from_value(state).ok());
            let state = state.unwrap_or(RunState::Unknown).words();
            let intent = intent_of(entry);
            let command = entries.iter().find(|e| Some(e.seq) == intent).map(|e| payload_hint(&e.draft.payload));
            let of = intent.map(|seq| format!(" of #{seq}")).unwrap_or_default();
            format!("#{seq} outcome{of}: {state}{}", command.unwrap_or_default())
        }
        kind => {
            let word = kind.word().replace('_', " ");
            format!("#{seq} {word} by {}{}", draft.actor, payload_hint(&draft.payload))
        }
    }
}

/// The most telling field of an entry's payload.
fn payload_hint(payload: &serde_json::Value) -> String {
    let field = |name: &str| payload.get(name).or_else(|| payload.get("request").and_then(|inner| inner.get(name)));
    if let Some(argv) = field("argv").and_then(serde_json::Value::as_array) {
        let words: Vec<&str> = argv.iter().filter_map(serde_json::Value::as_str).collect();
        return format!("  {}", words.join(" "));
    }
    for name in ["state", "summary", "why", "text", "model", "analyst"] {
        match field(name) {
            Some(serde_json::Value::String(text)) => return format!("  {text}"),
            Some(serde_json::Value::Object(map)) => {
                if let Some(state) = map.get("state").and_then(serde_json::Value::as_str) {
                    return format!("  {state}");
                }
            }
            _ => {}
        }
    }
    String::new()
}

/// Number of rows of the pane in front.
pub fn pane_len(case: &Case, screen: &IncidentScreen) -> usize {
    let list = screen.list();
    match screen.pane {
        Pane::Suspects => suspects(case, list).len(),
        Pane::Evidence => evidence(case, list).len(),
        Pane::Diagnosis => diagnosis_rows::rows(case, list).len(),
        Pane::Actions => actions(case, list).len(),
        Pane::Timeline => timeline(case, list).len(),
        Pane::Logs => logs(case, list).len(),
        Pane::Asked => asked(case, list).len(),
    }
}

/// Where the selected row stands when nothing is filtered, so that it stays selected; `None` where rows have no place
/// of their own.
pub(super) fn unfiltered(case: &Case, screen: &IncidentScreen) -> Option<usize> {
    let list = screen.list();
    let analysis = &case.investigation.value.as_ref()?.analysis;
    match screen.pane {
        Pane::Suspects => {
            let selected = suspects(case, list).get(list.cursor)?.rank;
            analysis.suspects.iter().position(|suspect| suspect.rank == selected)
        }
        Pane::Evidence => {
            let selected = evidence(case, list).get(list.cursor)?.id;
            analysis.evidence.iter().position(|item| item.id == selected)
        }
        Pane::Logs => logs(case, list).get(list.cursor).map(|(index, _)| *index),
        Pane::Asked => asked(case, list).get(list.cursor).map(|(index, _)| *index),
        Pane::Diagnosis | Pane::Actions | Pane::Timeline => None,
    }
}

/// Number of rows of the list on top; `None` where there is no list.
pub fn top_len(model: &Model) -> Option<usize> {
    match model.top() {
        Screen::Board(list) => Some(board(model, list).len()),
        Screen::Queue(_) => Some(model.queue.value.as_ref().map_or(0, |queue| queue.requests.len())),
        Screen::FirstRun(_) => model.first_run.as_ref().map(|first| first.found.len()),
        Screen::Incident(screen) => model.cases.get(&screen.incident).map(|case| pane_len(case, screen)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ledger::Draft;

    fn entry(seq: u64, kind: EntryKind, payload: serde_json::Value) -> Entry {
        let at = Timestamp::from_secs(seq as i64);
        let draft = Draft { at, kind, incident: None, actor: "oncall-1".into(), payload };
        Entry { seq, draft, prev_hash: String::new(), hash: String::new() }
    }

    #[test]
    fn a_run_without_an_outcome_reads_as_unknown() {
        let intent = entry(3, EntryKind::RunIntent, json!({"request": {"argv": ["date", "-u"]}}));
        let open = [intent.clone()];
        assert_eq!(entry_text(&open[0], &open), "#3 run by oncall-1  date -u  OUTCOME UNKNOWN");
        let other = entry(5, EntryKind::RunOutcome, json!({"intent": 4, "state": {"state": "exited", "code": 0}}));
        let of_another = [intent.clone(), other];
        assert!(entry_text(&of_another[0], &of_another).ends_with("OUTCOME UNKNOWN"));
        let outcome = entry(4, EntryKind::RunOutcome, json!({"intent": 3, "state": {"state": "exited", "code": 2}}));
        let ended = [intent, outcome];
        assert_eq!(entry_text(&ended[0], &ended), "#3 run by oncall-1  date -u");
        assert_eq!(entry_text(&ended[1], &ended), "#4 outcome of #3: exit code 2  date -u");
        let odd = [entry(7, EntryKind::RunOutcome, json!({"intent": "x", "state": 5}))];
        assert_eq!(entry_text(&odd[0], &odd), "#7 outcome: outcome unknown");
    }
}
