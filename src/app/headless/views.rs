//! The JSON documents of the headless commands: their shapes are part of the contract with scripts.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::checking::Checked;
use crate::app::engine::Engine;
use crate::app::failure::{Failure, Told};
use crate::app::output::Output;
use crate::domain::action::{Effect, Judged, Verdict};
use crate::domain::alert::Alert;
use crate::domain::analysis::{Analysis, Finding};
use crate::domain::diagnosis::{Bill, Claim, Diagnosed, Diagnosis, Earlier, PromptRef, Timing, Unsupported, Usage};
use crate::domain::evidence::{Detail, EvidenceId, EvidenceKind};
use crate::domain::health::{SourceHealth, Status};
use crate::domain::incident::{Flapping, Incident};
use crate::domain::query::Note;
use crate::domain::recheck::{Recheck, Rechecked};
use crate::domain::settings::Sees;
use crate::domain::{Text, Timestamp};
use crate::gate::changes;
use crate::llm::Endpoint;

/// State of a source.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceView {
    name: String,
    status: Status,
    age_seconds: Option<u64>,
    error: Option<Text>,
    version: Option<String>,
}

impl SourceView {
    pub(super) fn all(health: &[SourceHealth], now: Timestamp) -> Vec<Self> {
        let view = |source: &SourceHealth| Self {
            name: source.name.clone(),
            status: source.status,
            age_seconds: source.age_seconds(now),
            error: source.error.clone(),
            version: source.version.clone(),
        };
        health.iter().map(view).collect()
    }
}

/// An alert in short.
#[derive(Debug, Serialize)]
struct AlertRef {
    fingerprint: String,
    name: String,
}

/// One incident.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IncidentView {
    id: String,
    title: Text,
    severity: &'static str,
    started_at: Timestamp,
    resolved_at: Option<Timestamp>,
    services: Vec<String>,
    alerts: Vec<AlertRef>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flapping: Vec<Flapping>,
}

impl From<&Incident> for IncidentView {
    fn from(incident: &Incident) -> Self {
        let alert = |alert: &Alert| AlertRef { fingerprint: alert.fingerprint.clone(), name: alert.name().to_owned() };
        Self {
            id: incident.id.clone(),
            title: incident.title.clone(),
            severity: incident.severity.word(),
            started_at: incident.started_at,
            resolved_at: incident.resolved_at,
            services: incident.services.clone(),
            alerts: incident.alerts.iter().map(alert).collect(),
            flapping: incident.flapping.clone(),
        }
    }
}

/// Answer of `incidents`.
#[derive(Debug, Serialize)]
pub(super) struct IncidentsView {
    pub(super) incidents: Vec<IncidentView>,
    pub(super) sources: Vec<SourceView>,
    pub(super) notes: Vec<Note>,
}

/// Answer of `alerts`: the alerts, and what they fold into.
#[derive(Debug, Serialize)]
pub(super) struct AlertsView<'a> {
    pub(super) alerts: &'a [Alert],
    #[serde(flatten)]
    pub(super) folded: IncidentsView,
}

/// Answer of `suspects`.
#[derive(Debug, Serialize)]
pub(super) struct SuspectsView<'a> {
    incident: &'a str,
    verdict: Finding,
    suspects: Vec<SuspectView<'a>>,
    changes: Vec<ChangeView<'a>>,
    notes: &'a [Note],
}

#[derive(Debug, Serialize)]
struct SuspectView<'a> {
    rank: usize,
    service: &'a str,
    score: f64,
    signals: Vec<SignalView<'a>>,
    normal: &'a [String],
}

#[derive(Debug, Serialize)]
struct SignalView<'a> {
    kind: EvidenceKind,
    text: &'a str,
    evidence: &'a [EvidenceId],
    score: f64,
    onset: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct ChangeView<'a> {
    rank: usize,
    evidence: EvidenceId,
    #[serde(rename = "ref")]
    reference: &'a str,
    kind: &'a str,
    service: &'a str,
    score: f64,
    why: &'a str,
}

impl<'a> From<&'a Analysis> for SuspectsView<'a> {
    fn from(analysis: &'a Analysis) -> Self {
        let suspects = analysis.suspects.iter().map(|suspect| SuspectView {
            rank: suspect.rank,
            service: &suspect.service,
            score: suspect.score,
            normal: &suspect.normal,
            signals: suspect
                .signals
                .iter()
                .map(|signal| SignalView {
                    kind: signal.kind,
                    text: &signal.text,
                    evidence: &signal.evidence,
                    score: signal.score,
                    onset: signal.onset,
                })
                .collect(),
        });
        let changes = analysis.changes.iter().filter_map(|ranked| {
            let Detail::Change(change) = &analysis.evidence(ranked.evidence)?.detail else { return None };
            Some(ChangeView {
                rank: ranked.rank,
                evidence: ranked.evidence,
                reference: &change.reference,
                kind: &change.kind,
                service: &change.service,
                score: ranked.score,
                why: &ranked.why,
            })
        });
        Self {
            incident: &analysis.incident.id,
            verdict: analysis.verdict,
            suspects: suspects.collect(),
            changes: changes.collect(),
            notes: &analysis.notes,
        }
    }
}

/// Answer of `diagnose`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DiagnoseView<'a> {
    pub(super) incident: &'a str,
    pub(super) analyst: &'a str,
    pub(super) endpoint: Option<&'a str>,
    pub(super) prompt: &'a PromptRef,
    pub(super) complete: bool,
    pub(super) diagnosis: &'a Diagnosis,
    pub(super) unsupported: &'a [Unsupported],
    pub(super) unknown_ids: BTreeMap<&'a str, usize>,
    pub(super) remarks: &'a [String],
    pub(super) actions: Vec<ActionView<'a>>,
    pub(super) usage: &'a Usage,
    pub(super) timing: &'a Timing,
    /// The answer as it came, where it is no diagnosis.
    pub(super) plain: Option<&'a str>,
    pub(super) tokens_per_second: Option<f64>,
    pub(super) bill: Option<&'a Bill>,
    pub(super) sees: Option<Sees>,
    /// Answers that broke off before.
    pub(super) earlier: &'a [Earlier],
    /// Queries of checks that were asked, with their answers.
    pub(super) checks: &'a [Checked],
    /// The cited evidence, asked again; absent when that was not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rechecked: Option<&'a [Rechecked]>,
    /// Cited items that were not asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rechecked_left_out: Option<usize>,
}

impl<'a> DiagnoseView<'a> {
    /// The same with the checks that were asked.
    pub(super) fn with_checks(self, checks: &'a [Checked]) -> Self {
        Self { checks, ..self }
    }

    /// The same with the cited evidence asked again.
    pub(super) fn with_recheck(self, recheck: Option<&'a Recheck>) -> Self {
        Self {
            rechecked: recheck.map(|recheck| recheck.items.as_slice()),
            rechecked_left_out: recheck.map(|recheck| recheck.left_out).filter(|count| *count > 0),
            ..self
        }
    }

    pub(super) fn new(incident: &'a str, diagnosed: &'a Diagnosed, actions: Vec<ActionView<'a>>) -> Self {
        Self {
            incident,
            analyst: &diagnosed.analyst.name,
            endpoint: diagnosed.analyst.endpoint.as_deref(),
            prompt: &diagnosed.prompt,
            complete: diagnosed.complete,
            diagnosis: &diagnosed.diagnosis,
            unsupported: &diagnosed.unsupported,
            unknown_ids: diagnosed.unknown_ids.iter().map(|(id, count)| (id.as_str(), *count)).collect(),
            remarks: &diagnosed.remarks,
            actions,
            usage: &diagnosed.usage,
            timing: &diagnosed.timing,
            plain: diagnosed.plain.as_deref(),
            tokens_per_second: diagnosed.rate,
            bill: diagnosed.bill.as_ref(),
            sees: diagnosed.sees,
            earlier: &diagnosed.earlier,
            checks: &[],
            rechecked: None,
            rechecked_left_out: None,
        }
    }
}

/// Answer of `diagnose` and `ask` where no end point had anything to say.
#[derive(Debug, Serialize)]
struct FailedView<'a> {
    incident: &'a str,
    complete: bool,
    error: Told<'a>,
    endpoints: Vec<FailedEndpoint<'a>>,
}

/// Why one end point has no part in it.
#[derive(Debug, Serialize)]
struct FailedEndpoint<'a> {
    name: &'a str,
    why: &'a str,
}

/// Says what failed at which end point as the one JSON document, where one is wanted; hands the failure on.
pub(super) fn failed(engine: &Engine, (command, incident): (&str, &str), failure: Failure, output: Output) -> Failure {
    if !output.json {
        return failure;
    }
    let of = |endpoint: &'_ Endpoint| endpoint.settings().name.clone();
    let names: Vec<String> = engine.pool.endpoints().iter().map(of).collect();
    let part = |text: &'_ str| {
        let name =
            names.iter().find(|name| text.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(": ")));
        name.map(|name| (name.clone(), text[name.len() + 2..].to_owned()))
    };
    let parts: Vec<(String, String)> = failure.parts().iter().filter_map(|text| part(text)).collect();
    let view = FailedView {
        incident,
        complete: false,
        error: failure.told(command),
        endpoints: parts.iter().map(|(name, why)| FailedEndpoint { name, why }).collect(),
    };
    match output.document(&view) {
        Ok(()) => failure,
        Err(unwritten) => unwritten,
    }
}

/// The mark of what does not stand, where it stands; nothing for the rest.
pub(super) fn mark(diagnosed: &Diagnosed, path: &str) -> String {
    diagnosed.why_unsupported(path).map_or_else(String::new, |why| format!("  ⚠ unsupported: {why}"))
}

/// The ids that a claim cites.
pub(super) fn ids(claim: &Claim) -> String {
    if claim.evidence.is_empty() { String::new() } else { format!("  [{}]", claim.evidence.join(" ")) }
}

/// A suggested action with what the gate says of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActionView<'a> {
    pub(super) id: &'a str,
    pub(super) argv: &'a [String],
    /// What a typed change does, in one sentence.
    pub(super) does: Option<String>,
    pub(super) target: &'a str,
    pub(super) rationale: &'a str,
    pub(super) rollback: Option<&'a [String]>,
    pub(super) effect: Effect,
    pub(super) reads_secrets: bool,
    pub(super) tainted: &'a [String],
    pub(super) notes: &'a [String],
    pub(super) verdict: &'a Verdict,
}

impl<'a> ActionView<'a> {
    pub(super) fn new(action: &'a crate::domain::action::Action, judged: &'a Judged) -> Self {
        Self {
            id: &action.id,
            argv: &action.argv,
            does: does(action),
            target: &action.target,
            rationale: &action.rationale,
            rollback: action.rollback.as_deref(),
            effect: judged.effect,
            reads_secrets: judged.reads_secrets,
            tainted: &judged.tainted,
            notes: &judged.notes,
            verdict: &judged.verdict,
        }
    }
}

/// What a typed change does, in one sentence; nothing for plain commands.
pub(super) fn does(action: &crate::domain::action::Action) -> Option<String> {
    Some(changes::command(action.change.as_ref()?).ok()?.does)
}
