//! From a snapshot to the evidence, the suspects and the verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::{self, Judgement};
use super::edges::{self, EdgeFinding, EdgeTrouble};
use super::entity::service_of;
use super::inquiry::history::may_find_nothing;
use super::metrics::{self, MetricFinding};
use super::periods::Periods;
use super::restarts;
use super::scope::Scope;
use super::sequences::{SequenceFinding, broken_habits, traced};
use super::suspects::{self, Findings};
use super::templates::{CONTEXT_SCORE, LogFinding, LogReading};
use crate::domain::alert::AlertState;
use crate::domain::analysis::{Analysis, Finding, RankedChange, RuledOut, Signal, Suspect};
use crate::domain::change::Change;
use crate::domain::evidence::{Detail, Evidence, EvidenceId, EvidenceKind, LogChange, LogDetail, Turn};
use crate::domain::incident::Incident;
use crate::domain::query::{Note, NoteKind};
use crate::domain::snapshot::{Provenance, Snapshot};
use crate::domain::{Text, TimeRange, Timestamp};

/// Evidence items kept, by kind.
const MOST_ALERTS: usize = 20;
const MOST_METRICS: usize = 40;
const MOST_LOGS: usize = 200;
const MOST_EDGES: usize = 30;
/// Edges shown that do not deviate.
const CONTEXT_EDGES: usize = 8;
const MOST_CHANGES: usize = 20;
/// Suspects kept.
const MOST_SUSPECTS: usize = 10;
/// Signals kept of one suspect.
const MOST_SIGNALS: usize = 6;

/// Analyses one incident. A pure function: the same snapshot gives the same analysis, byte for byte, and the order
/// of series, entries and samples in it does not matter.
pub fn analyse(snapshot: &Snapshot) -> Analysis {
    let incident = &snapshot.incident;
    let mut metrics = metrics::compare_metrics(snapshot);
    let mut edges = edges::compare_edges(snapshot);
    let graph = edges::graph(snapshot);
    let reading = LogReading::of(&snapshot.logs, Periods::of(snapshot));
    let mut logs = reading.compare();
    let known: BTreeSet<(&str, &str)> = graph.iter().map(|edge| (edge.client.as_str(), edge.server.as_str())).collect();
    let calls = |caller: &str, callee: &str| known.is_empty() || known.contains(&(caller, callee));
    let mut sequences = broken_habits(&reading, &calls);
    let reporting = reporting(&metrics, &logs, &edges);
    let scope = Scope::of(snapshot, &graph, &metrics, &reporting);
    metrics.retain(|finding| finding.service.as_ref().is_none_or(|service| scope.admits(service)));
    logs.retain(|finding| finding.service.is_empty() || scope.admits(&finding.service));
    sequences.retain(|finding| scope.admits(&finding.service));
    edges.retain(|finding| scope.admits(&finding.suspect));
    let alone = scope.alone(snapshot, &metrics);
    let findings = Findings {
        incident,
        metrics: &metrics,
        logs: &logs,
        sequences: &sequences,
        traced: traced(&snapshot.logs),
        edges: &edges,
        graph: &graph,
        alone: alone.as_ref(),
    };
    let standings = if scope.over { Vec::new() } else { suspects::rank(findings) };
    let scores: BTreeMap<String, f64> =
        standings.iter().map(|standing| (standing.service.clone(), standing.score)).collect();
    let suspected = suspected(&scores, &scope, incident, &metrics, &logs);
    let concerned = changes::concerned(&suspected, &incident.services);
    let observed = incident.baseline.union(incident.window);
    let marks = changes::marks(&metrics, &logs, &concerned, observed);
    let suffering = suffering(&suspected, incident);
    let case = changes::Case {
        observed,
        suspects: &suspected,
        graph: &graph,
        marks: &marks,
        alerted: incident.started_at,
        symptoms: &changes::Symptoms::of(incident, &metrics, &logs),
        load: changes::rose_first(&metrics, &marks, &suffering),
    };
    let (known, origins) = known_changes(snapshot);
    let judgement = changes::judge(&known, case);
    let without_change = changes::without_change(&known, &judgement, case);

    let mut notes: Vec<Note> = Vec::new();
    if let Some(text) = without_change.as_ref().filter(|_| !known.is_empty()) {
        notes.push(Note { kind: NoteKind::Info, text: Text::new(text) });
    }
    notes.extend(snapshot.notes.iter().cloned());
    notes.extend(scope_notes(&scope, &reporting));
    notes.extend(silent_notes(&reading, &scope));
    for asked in &snapshot.asked {
        notes.extend(asked.notes.iter().cloned());
        if let Err(error) = &asked.outcome
            && !may_find_nothing(&asked.planned.query, incident)
        {
            let text = format!("not answered: {}: {error}", asked.planned.query.expression());
            notes.push(Note { kind: NoteKind::Warning, text: Text::new(&text).truncated(300) });
        }
    }
    let mut evidence = alert_evidence(snapshot, &mut notes);
    let mut by_service: BTreeMap<String, Vec<Signal>> = BTreeMap::new();
    let limit = |kept: usize, all: usize, what: &str, notes: &mut Vec<Note>| {
        if all > kept {
            let text = format!("{} of {all} deviating {what} left out: the weakest", all - kept);
            notes.push(Note { kind: NoteKind::Cut, text: Text::new(&text) });
        }
    };

    let chosen = round_robin(&metrics, MOST_METRICS, &scores, |finding| {
        (finding.service.clone().unwrap_or_default(), finding.strength)
    });
    limit(chosen.len(), metrics.iter().filter(|finding| finding.strength > 0.0).count(), "metrics", &mut notes);
    for (number, finding) in chosen.into_iter().enumerate() {
        let id = EvidenceId { kind: EvidenceKind::Metric, number: number as u32 + 1 };
        let text = metric_text(finding);
        if let Some(service) = &finding.service {
            push_signal(&mut by_service, service, id, &text, finding.strength, finding.onset);
        }
        evidence.push(Evidence {
            id,
            service: finding.service.clone(),
            title: Text::new(&text),
            strength: finding.strength,
            onset: finding.onset,
            detail: Detail::Metric(finding.detail.clone()),
            provenance: finding.provenance.clone(),
        });
    }

    let said: Vec<Said> = sequences.iter().map(Said::of_sequence).chain(logs.iter().map(Said::of_template)).collect();
    let said = ordered(said);
    let chosen = round_robin(&said, MOST_LOGS, &scores, |one| (one.service.clone(), one.strength));
    let deviating = said.iter().filter(|one| one.strength >= CONTEXT_SCORE).count();
    limit(chosen.len(), deviating, "log templates", &mut notes);
    for (number, one) in chosen.into_iter().enumerate() {
        let id = EvidenceId { kind: EvidenceKind::Log, number: number as u32 + 1 };
        let service = Some(one.service.clone()).filter(|service| !service.is_empty());
        if let Some(service) = service.as_ref().filter(|_| one.strength >= CONTEXT_SCORE) {
            push_signal(&mut by_service, service, id, &one.text, one.strength, one.onset());
        }
        evidence.push(Evidence {
            id,
            service,
            title: Text::new(&one.text),
            strength: one.strength,
            onset: one.onset(),
            detail: Detail::Log(one.detail.clone()),
            provenance: log_provenance(snapshot),
        });
    }

    let first: Vec<&str> = standings.iter().take(3).map(|standing| standing.service.as_str()).collect();
    let deviating = edges.iter().filter(|finding| finding.strength > 0.0).count();
    limit(deviating.min(MOST_EDGES), deviating, "edges", &mut notes);
    for (number, finding) in edges_shown(&edges, &first).into_iter().enumerate() {
        let id = EvidenceId { kind: EvidenceKind::Edge, number: number as u32 + 1 };
        let text = edge_text(finding);
        if finding.trouble != EdgeTrouble::None {
            push_signal(&mut by_service, &finding.suspect, id, &text, finding.strength, finding.onset);
        }
        evidence.push(Evidence {
            id,
            service: Some(finding.suspect.clone()),
            title: Text::new(&text),
            strength: finding.strength,
            onset: finding.onset,
            detail: Detail::Edge(finding.detail.clone()),
            provenance: finding.provenance.clone(),
        });
    }

    let (changes, ruled_out) = change_evidence(&known, &origins, &judgement, &mut evidence);
    for (number, runbook) in snapshot.runbooks.iter().enumerate() {
        evidence.push(Evidence {
            id: EvidenceId { kind: EvidenceKind::Runbook, number: number as u32 + 1 },
            service: None,
            title: runbook.title.clone(),
            strength: 0.0,
            onset: None,
            detail: Detail::Runbook { text: runbook.text.clone() },
            provenance: Provenance {
                source: "runbook".into(),
                lang: None,
                expr: String::new(),
                range: incident.window,
                notes: Vec::new(),
            },
        });
    }
    evidence.sort_by_key(|item| item.id);

    let suspects: Vec<Suspect> = standings
        .iter()
        .take(MOST_SUSPECTS)
        .enumerate()
        .map(|(index, standing)| {
            let mut signals = by_service.remove(&standing.service).unwrap_or_default();
            signals.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.evidence.cmp(&b.evidence)));
            signals.truncate(MOST_SIGNALS);
            Suspect {
                rank: index + 1,
                service: standing.service.clone(),
                score: standing.score,
                signals,
                normal: suspects::normal_aspects(&metrics, &standing.service),
            }
        })
        .collect();
    notes.dedup();
    Analysis {
        incident: incident.clone(),
        verdict: if suspects.is_empty() { Finding::NothingFound } else { Finding::Suspects },
        suspects,
        changes,
        ruled_out,
        without_change,
        evidence,
        graph,
        notes,
    }
}

/// Services that anything deviating or normal was observed of.
fn reporting(metrics: &[MetricFinding], logs: &[LogFinding], edges: &[EdgeFinding]) -> BTreeSet<String> {
    let of_metrics = metrics.iter().filter_map(|finding| finding.service.clone());
    let of_logs = logs.iter().map(|finding| finding.service.clone()).filter(|service| !service.is_empty());
    let of_edges = edges.iter().flat_map(|finding| [finding.detail.client.clone(), finding.detail.server.clone()]);
    of_metrics.chain(of_logs).chain(of_edges).collect()
}

/// What the scope kept out.
fn scope_notes(scope: &Scope, reporting: &BTreeSet<String>) -> Vec<Note> {
    let mut notes = Vec::new();
    if scope.over {
        let text = "all alerts of this incident were over before the time that was examined: nothing is blamed";
        notes.push(Note { kind: NoteKind::Warning, text: Text::new(text) });
    }
    let apart: Vec<&str> = reporting.iter().map(String::as_str).filter(|service| !scope.admits(service)).collect();
    if !apart.is_empty() {
        let told = apart.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        let more = if apart.len() > 8 { format!(" and {} more", apart.len() - 8) } else { String::new() };
        let text = format!("left out, for nothing connects them with the alerted services: {told}{more}");
        notes.push(Note { kind: NoteKind::Cut, text: Text::new(&text) });
    }
    notes
}

/// Which services were silent in the baseline, and what they are compared with instead.
fn silent_notes(reading: &LogReading<'_>, scope: &Scope) -> Vec<Note> {
    let note = |(range, services): (TimeRange, &BTreeSet<String>)| {
        let named: Vec<&str> = services.iter().map(String::as_str).filter(|name| scope.admits(name)).collect();
        let told = named.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        let more = if named.len() > 8 { format!(" and {} more", named.len() - 8) } else { String::new() };
        let text = format!("no log lines in the baseline, so compared with what they said in {range}: {told}{more}");
        (!named.is_empty()).then(|| Note { kind: NoteKind::Info, text: Text::new(&text) })
    };
    reading.periods.references().filter_map(note).collect()
}

/// A log template or a broken habit, as evidence.
struct Said {
    service: String,
    text: String,
    strength: f64,
    detail: LogDetail,
}

impl Said {
    fn of_template(finding: &LogFinding) -> Self {
        Self {
            service: finding.service.clone(),
            text: log_text(finding),
            strength: finding.score,
            detail: finding.detail.clone(),
        }
    }

    /// When it began: a change point where there is one, else the first line.
    fn onset(&self) -> Option<Timestamp> {
        self.detail.onset.or(self.detail.first)
    }

    fn of_sequence(finding: &SequenceFinding) -> Self {
        Self {
            service: finding.service.clone(),
            text: finding.text.clone(),
            strength: finding.strength,
            detail: finding.detail.clone(),
        }
    }
}

fn ordered(mut said: Vec<Said>) -> Vec<Said> {
    said.sort_by(|a, b| {
        b.strength.total_cmp(&a.strength).then_with(|| a.service.cmp(&b.service)).then_with(|| a.text.cmp(&b.text))
    });
    said
}

fn push_signal(
    by_service: &mut BTreeMap<String, Vec<Signal>>,
    service: &str,
    id: EvidenceId,
    text: &str,
    score: f64,
    onset: Option<Timestamp>,
) {
    if score > 0.0 {
        by_service.entry(service.to_owned()).or_default().push(Signal {
            kind: id.kind,
            text: text.to_owned(),
            evidence: vec![id],
            score,
            onset,
        });
    }
}

/// Up to `most` items, in turn by service so that one loud service does not crowd out the others, then sorted by
/// strength again. Services take their turns in the order of their standing.
fn round_robin<'f, T>(
    items: &'f [T],
    most: usize,
    scores: &BTreeMap<String, f64>,
    key: impl Fn(&T) -> (String, f64),
) -> Vec<&'f T> {
    let mut queues: BTreeMap<String, std::collections::VecDeque<usize>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let (service, strength) = key(item);
        if strength > 0.0 {
            queues.entry(service).or_default().push_back(index);
        }
    }
    let mut order: Vec<String> = queues.keys().cloned().collect();
    let standing = |service: &String| scores.get(service).copied().unwrap_or(0.0);
    order.sort_by(|a, b| standing(b).total_cmp(&standing(a)).then_with(|| a.cmp(b)));
    let mut taken: Vec<usize> = Vec::new();
    while taken.len() < most {
        let before = taken.len();
        for service in &order {
            if taken.len() < most
                && let Some(index) = queues.get_mut(service).and_then(std::collections::VecDeque::pop_front)
            {
                taken.push(index);
            }
        }
        if taken.len() == before {
            break;
        }
    }
    taken.sort_unstable();
    taken.into_iter().map(|index| &items[index]).collect()
}

/// One item per alert name and service, the first of each, with how many more there are in the title.
fn alert_evidence(snapshot: &Snapshot, notes: &mut Vec<Note>) -> Vec<Evidence> {
    let mut folded: Vec<(usize, usize)> = Vec::new();
    let mut seen: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    for (index, alert) in snapshot.incident.alerts.iter().enumerate() {
        let key = (alert.name().to_owned(), service_of(&alert.labels));
        if let Some(&place) = seen.get(&key) {
            folded[place].1 += 1;
        } else {
            seen.insert(key, folded.len());
            folded.push((index, 1));
        }
    }
    if folded.len() > MOST_ALERTS {
        let text =
            format!("{} of {} kinds of alerts left out: the least severe", folded.len() - MOST_ALERTS, folded.len());
        notes.push(Note { kind: NoteKind::Cut, text: Text::new(&text) });
    }
    folded
        .into_iter()
        .take(MOST_ALERTS)
        .enumerate()
        .map(|(number, (index, count))| {
            let alert = &snapshot.incident.alerts[index];
            let more = if count > 1 { format!(" (x{count})") } else { String::new() };
            let state = match alert.state {
                AlertState::Resolved => ", resolved",
                AlertState::Suppressed => ", suppressed",
                AlertState::Pending => ", pending",
                AlertState::Active => "",
            };
            let title = format!("{}{more}: {}{state}", alert.name(), alert.summary());
            Evidence {
                id: EvidenceId { kind: EvidenceKind::Alert, number: number as u32 + 1 },
                service: service_of(&alert.labels),
                title: Text::new(&Text::new(&title).one_line()),
                strength: 1.0,
                onset: Some(alert.starts_at),
                detail: Detail::Alert(Box::new(alert.clone())),
                provenance: Provenance {
                    source: "alertmanager".into(),
                    lang: None,
                    expr: alert.expression.clone().unwrap_or_default(),
                    range: snapshot.incident.window,
                    notes: Vec::new(),
                },
            }
        })
        .collect()
}

/// Services that a change may explain the trouble of: the suspects. Where nothing deviates from a baseline that the
/// trouble is part of (a slow burn), those that the alerts name and that left their level for good.
fn suspected(
    scores: &BTreeMap<String, f64>,
    scope: &Scope,
    incident: &Incident,
    metrics: &[MetricFinding],
    logs: &[LogFinding],
) -> BTreeMap<String, f64> {
    if !scores.is_empty() || scope.over {
        return scores.clone();
    }
    let named: BTreeSet<String> = incident.services.iter().cloned().collect();
    let mut found = BTreeMap::new();
    for mark in changes::marks(metrics, logs, &named, incident.baseline.union(incident.window)) {
        let slot: &mut f64 = found.entry(mark.service).or_default();
        *slot = slot.max(mark.strength);
    }
    found
}

/// The first suspect and what the alerts name.
fn suffering(suspected: &BTreeMap<String, f64>, incident: &Incident) -> BTreeSet<String> {
    let first = suspected.iter().max_by(|a, b| a.1.total_cmp(b.1).then_with(|| b.0.cmp(a.0))).map(|(name, _)| name);
    first.into_iter().chain(&incident.services).cloned().collect()
}

/// Evidence for the changes: those blamed, then the others, so that what was ruled out can be seen.
fn change_evidence(
    known: &[Change],
    origins: &[Provenance],
    judgement: &Judgement,
    evidence: &mut Vec<Evidence>,
) -> (Vec<RankedChange>, Vec<RuledOut>) {
    let (mut ranked, mut ruled_out) = (Vec::new(), Vec::new());
    let blamed = judgement.blamed.len();
    for (place, finding) in judgement.blamed.iter().chain(&judgement.ruled_out).take(MOST_CHANGES).enumerate() {
        let (change, origin) = (&known[finding.index], &origins[finding.index]);
        let id = EvidenceId { kind: EvidenceKind::Change, number: place as u32 + 1 };
        if place < blamed {
            let why = finding.why.clone();
            ranked.push(RankedChange { rank: place + 1, evidence: id, score: finding.score, why });
        } else {
            ruled_out.push(RuledOut { evidence: id, why: finding.why.clone() });
        }
        evidence.push(Evidence {
            id,
            service: Some(change.service.clone()).filter(|service| !service.is_empty()),
            title: changes::title(change),
            strength: if place < blamed { finding.score } else { 0.0 },
            onset: Some(change.at),
            detail: Detail::Change(Box::new(change.clone())),
            provenance: origin.clone(),
        });
    }
    (ranked, ruled_out)
}

/// The changes that were written down and those that only metrics show, with where each comes from.
fn known_changes(snapshot: &Snapshot) -> (Vec<Change>, Vec<Provenance>) {
    let listed = Provenance {
        source: "changes".into(),
        lang: None,
        expr: "changes".into(),
        range: snapshot.incident.window,
        notes: Vec::new(),
    };
    let written = snapshot.changes.iter().map(|change| (change.clone(), listed.clone()));
    let seen = restarts::seen(snapshot).into_iter().map(|one| (one.change, one.provenance));
    written.chain(seen).unzip()
}

fn log_provenance(snapshot: &Snapshot) -> Provenance {
    snapshot.log_questions.last().map_or_else(
        || Provenance {
            source: String::new(),
            lang: None,
            expr: String::new(),
            range: snapshot.incident.window,
            notes: Vec::new(),
        },
        |asked| Provenance {
            range: snapshot.incident.window,
            notes: snapshot.log_questions.iter().flat_map(|one| one.notes.clone()).collect(),
            ..asked.clone()
        },
    )
}

/// A number as a person writes it: three significant digits.
pub(super) fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "?".into();
    }
    let size = value.abs();
    if size >= 1e9 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.2e}");
    }
    let digits = if size >= 100.0 || size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).clamp(0, 6) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn metric_text(finding: &MetricFinding) -> String {
    let detail = &finding.detail;
    let told: Vec<String> = detail
        .labels
        .iter()
        .filter(|(name, value)| {
            finding.service.as_deref() != Some(value) && !super::entity::REPLICA_LABELS.contains(name)
        })
        .take(3)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let told = if told.is_empty() { String::new() } else { format!("{{{}}}", told.join(",")) };
    let unit = &detail.unit;
    match detail.turn {
        Turn::Absent => format!("{}{told} ceased; it was {}{unit}", detail.metric, figure(detail.baseline.median)),
        _ => format!(
            "{}{told} {} to {}{unit} from {}{unit}{}",
            detail.metric,
            if detail.turn == Turn::Down { "fell" } else { "rose" },
            figure(detail.peak),
            figure(detail.baseline.median),
            if finding.seasonal { ", as at the same time on an earlier day" } else { "" }
        ),
    }
}

fn log_text(finding: &LogFinding) -> String {
    let detail = &finding.detail;
    let change = match detail.change {
        Some(LogChange::New) => "new",
        Some(LogChange::Vanished) => "vanished",
        Some(LogChange::More) => "more",
        Some(LogChange::Fewer) => "fewer",
        None => "unchanged",
    };
    if let Some(branch) = detail.branch.as_ref().filter(|branch| branch.from.is_none()) {
        let way = |text: Option<&Text>| {
            text.map_or("nothing".to_owned(), |text| Text::new(&text.one_line()).truncated(80).to_string())
        };
        return format!(
            "then {} in {}% of requests ({}% before), used to be {}: {}",
            way(branch.now.as_ref()),
            figure(branch.share.after.unwrap_or(0.0) * 100.0),
            figure(branch.share.before.unwrap_or(0.0) * 100.0),
            way(branch.before.as_ref()),
            Text::new(&detail.template.one_line()).truncated(100)
        );
    }
    format!(
        "{change} ({}/min from {}/min{}): {}{}",
        figure(detail.window_per_minute),
        figure(detail.baseline_per_minute),
        if detail.outside_baseline { " outside of the baseline, where its service was silent" } else { "" },
        Text::new(&detail.template.one_line()).truncated(160),
        telling_text(detail)
    )
}

/// What the troubled lines have in common, in words: `; 94% of the slow ones promo=WINTER25 (2% of the others)`.
fn telling_text(detail: &LogDetail) -> String {
    let percent = |share: Option<f64>| figure((share.unwrap_or(0.0) * 100.0).round());
    let mut out = String::new();
    for one in &detail.telling {
        let value = Text::new(&one.value.one_line()).truncated(60);
        let (share, others) = (percent(one.share.after), percent(one.share.before));
        out.push_str(&if one.among == "window" {
            format!("; {}={value} was never seen before, now in {share}%", one.field)
        } else {
            format!("; {share}% of the {} ones {}={value} ({others}% of the others)", one.among, one.field)
        });
    }
    out
}

/// The edges that deviate, and a few of the others around the first suspects for comparison.
fn edges_shown<'f>(edges: &'f [EdgeFinding], first: &[&str]) -> Vec<&'f EdgeFinding> {
    let touches = |finding: &EdgeFinding| {
        let place = |service: &str| first.iter().position(|suspect| *suspect == service);
        place(&finding.detail.client).into_iter().chain(place(&finding.detail.server)).min()
    };
    let mut context: Vec<(usize, &EdgeFinding)> = edges
        .iter()
        .filter(|finding| finding.strength <= 0.0)
        .filter_map(|finding| Some((touches(finding)?, finding)))
        .collect();
    context.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.requests.1.total_cmp(&a.1.requests.1)));
    let deviating = edges.iter().filter(|finding| finding.strength > 0.0).take(MOST_EDGES);
    deviating.chain(context.into_iter().take(CONTEXT_EDGES).map(|(_, finding)| finding)).collect()
}

fn edge_text(finding: &EdgeFinding) -> String {
    let detail = &finding.detail;
    let millis = |value: Option<f64>| value.map_or("?".to_owned(), |seconds| format!("{}ms", figure(seconds * 1e3)));
    let percent = |value: Option<f64>| value.map_or("?".to_owned(), |share| format!("{}%", figure(share * 100.0)));
    let figures = match finding.trouble {
        EdgeTrouble::Errors => {
            format!("{} fail, {} before", percent(detail.errors.after), percent(detail.errors.before))
        }
        _ => format!(
            "caller waits {} ({} before), callee works {} ({} before)",
            millis(detail.client_seconds.after),
            millis(detail.client_seconds.before),
            millis(detail.server_seconds.after),
            millis(detail.server_seconds.before)
        ),
    };
    let remark = if finding.remark.is_empty() { String::new() } else { format!("; {}", finding.remark) };
    format!("{} → {}: {}; {figures}{remark}", detail.client, detail.server, suspects::edge_words(finding))
}

#[cfg(test)]
mod tests;
