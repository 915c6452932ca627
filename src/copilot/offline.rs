//! The offline analyst: hypotheses and actions from playbooks, without a model, the same on every machine.

use super::matching::{self, Match};
use super::placeholders::{self, Known};
use super::playbook::{ActionRule, CheckRule, Playbook, Playbooks};
use super::template::{Template, Values};
use super::verify::{self, Proof};
use super::wording::{describe, quoted};
use crate::domain::Text;
use crate::domain::analysis::{Analysis, Finding, Suspect};
use crate::domain::diagnosis::{
    Analyst, Check, Claim, Confidence, Diagnosed, Diagnosis, Hypothesis, SuggestedAction, Timing, Usage,
};
use crate::domain::evidence::{Evidence, EvidenceKind};
use crate::domain::query::NoteKind;
use crate::gate::changes;

/// Hypotheses shown at most: a list that cannot be read at 3 a.m. helps nobody.
const HYPOTHESES: usize = 4;
/// Hypotheses about one service at most.
const PER_SUSPECT: usize = 2;
/// Suspects looked at.
const SUSPECTS: usize = 4;
/// Actions shown at most.
const ACTIONS: usize = 10;
/// Claims for one hypothesis at most.
const CLAIMS: usize = 6;
/// How well the hypothesis fits that is made when no playbook does.
const GENERIC_FIT: f64 = 0.35;

/// Diagnoses an incident from its analysis alone.
pub fn diagnose(analysis: &Analysis, playbooks: &Playbooks) -> Diagnosed {
    let mut diagnosis = match analysis.verdict {
        Finding::NothingFound => nothing_found(analysis),
        Finding::Suspects => with_suspects(analysis, playbooks),
    };
    let report = verify::verify(&mut diagnosis, &Proof::new(analysis, None));
    Diagnosed {
        analyst: Analyst { name: Analyst::OFFLINE.into(), endpoint: None },
        prompt: playbooks.reference(),
        diagnosis,
        unsupported: report.unsupported,
        unknown_ids: report.unknown_ids,
        complete: true,
        remarks: Vec::new(),
        plain: None,
        usage: Usage::default(),
        timing: Timing::default(),
        rate: None,
        bill: None,
        sees: None,
        earlier: Vec::new(),
    }
}

fn nothing_found(analysis: &Analysis) -> Diagnosis {
    Diagnosis {
        observations: alert_observations(analysis),
        missing: missing(analysis),
        summary:
            "Nothing deviates beyond chance in the time examined, so no cause is guessed. Look at the alert's own \
                  expression, widen the window, or choose another baseline."
                .into(),
        ..Diagnosis::default()
    }
}

/// A playbook that fits a suspect.
struct Candidate<'a> {
    playbook: &'a Playbook,
    suspect: &'a Suspect,
    found: Match<'a>,
    score: f64,
}

fn with_suspects(analysis: &Analysis, playbooks: &Playbooks) -> Diagnosis {
    let chosen = choose(analysis, playbooks);
    let mut diagnosis = Diagnosis { observations: observations(analysis), ..Diagnosis::default() };
    let mut unfilled: Vec<String> = Vec::new();
    let mut assumed: Vec<String> = Vec::new();
    let mut leading: Option<Known> = None;
    for candidate in &chosen {
        let known = placeholders::known(analysis, &candidate.suspect.service, &candidate.found.supporting);
        let id = format!("H{}", diagnosis.hypotheses.len() + 1);
        let Some(hypothesis) = hypothesis(&id, candidate, analysis, &known.values) else { continue };
        for rule in &candidate.playbook.actions {
            suggest(&mut diagnosis.actions, rule, &id, &known, &mut unfilled, &mut assumed);
        }
        diagnosis.hypotheses.push(hypothesis);
        leading.get_or_insert(known);
    }
    // What only looks is offered with every diagnosis, for the likeliest service.
    if let Some(known) = &leading {
        for rule in &playbooks.generic.actions {
            suggest(&mut diagnosis.actions, rule, "H1", known, &mut unfilled, &mut assumed);
        }
    }
    diagnosis.missing = missing(analysis);
    diagnosis.missing.extend(assumed.iter().map(|text| Text::new(text)));
    diagnosis.missing.extend(unfilled.iter().map(|text| Text::new(text)));
    diagnosis.summary = Text::new(&summary(analysis, &diagnosis));
    diagnosis
}

/// The candidates to show, best first. The likeliest suspect always has one.
fn choose<'a>(analysis: &'a Analysis, playbooks: &'a Playbooks) -> Vec<Candidate<'a>> {
    let top = analysis.suspects.first().map_or(0.0, |suspect| matching::unit(suspect.score)).max(f64::EPSILON);
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for suspect in analysis.suspects.iter().take(SUSPECTS) {
        let share = matching::unit(suspect.score) / top;
        if share < 0.3 {
            continue;
        }
        let before = candidates.len();
        for playbook in &playbooks.rules {
            if let Some(found) = matching::fits(playbook, analysis, suspect) {
                candidates.push(Candidate { playbook, suspect, score: found.fit * share, found });
            }
        }
        if candidates.len() == before {
            let supporting: Vec<&Evidence> = signal_evidence(analysis, suspect);
            if !supporting.is_empty() {
                let found = Match { fit: GENERIC_FIT, supporting, against: Vec::new() };
                candidates.push(Candidate { playbook: &playbooks.generic, suspect, score: GENERIC_FIT * share, found });
            }
        }
    }
    candidates.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(a.suspect.rank.cmp(&b.suspect.rank)).then(a.playbook.id.cmp(&b.playbook.id))
    });
    // The ranking of services is the analysis' alone: the first hypothesis is about its first suspect.
    if let Some(first) = analysis.suspects.first()
        && let Some(at) = candidates.iter().position(|candidate| candidate.suspect.service == first.service)
    {
        let candidate = candidates.remove(at);
        candidates.insert(0, candidate);
    }
    let mut chosen: Vec<Candidate<'_>> = Vec::new();
    for candidate in candidates {
        let same_service = chosen.iter().filter(|other| other.suspect.service == candidate.suspect.service).count();
        let same_rule = chosen.iter().any(|other| other.playbook.id == candidate.playbook.id);
        let repeats = chosen.iter().any(|other| {
            other.suspect.service == candidate.suspect.service
                && candidate.found.supporting.iter().all(|item| {
                    other.found.supporting.iter().any(|known| known.id == item.id)
                        && candidate.score < other.score * 0.7
                })
        });
        if chosen.len() < HYPOTHESES && same_service < PER_SUSPECT && !same_rule && !repeats {
            chosen.push(candidate);
        }
    }
    chosen
}

fn signal_evidence<'a>(analysis: &'a Analysis, suspect: &Suspect) -> Vec<&'a Evidence> {
    let mut found: Vec<&Evidence> = Vec::new();
    for id in suspect.signals.iter().flat_map(|signal| &signal.evidence) {
        if let Some(item) = analysis.evidence(*id)
            && !found.iter().any(|known| known.id == item.id)
        {
            found.push(item);
        }
    }
    found
}

fn hypothesis(id: &str, candidate: &Candidate<'_>, analysis: &Analysis, values: &Values) -> Option<Hypothesis> {
    let render = |template: &Template| template.render(values).ok();
    let supporting = cited(&candidate.found.supporting);
    let mut contradicting: Vec<Claim> = candidate.found.against.iter().take(CLAIMS).map(|item| claim(item)).collect();
    contradicting.extend(rival(analysis, candidate.suspect));
    let checks = candidate.playbook.checks.iter().filter_map(|rule| check(rule, values)).collect();
    Some(Hypothesis {
        id: id.to_owned(),
        cause: Text::new(&render(&candidate.playbook.cause)?),
        service: Text::new(&candidate.suspect.service),
        mechanism: Text::new(&render(&candidate.playbook.mechanism)?),
        confidence: confidence(candidate, !contradicting.is_empty()),
        supporting,
        contradicting,
        checks,
    })
}

/// The strongest of what speaks for a hypothesis. Its cause names the change: that is cited among them.
fn cited(supporting: &[&Evidence]) -> Vec<Claim> {
    let mut chosen: Vec<&Evidence> = supporting.iter().copied().take(CLAIMS).collect();
    let is_change = |item: &&Evidence| item.id.kind == EvidenceKind::Change;
    if !chosen.iter().any(is_change)
        && let Some(change) = supporting.iter().copied().find(is_change)
    {
        chosen.truncate(CLAIMS - 1);
        chosen.push(change);
    }
    chosen.into_iter().map(claim).collect()
}

fn claim(item: &Evidence) -> Claim {
    Claim { text: Text::new(&describe(item)), evidence: vec![item.id.to_string()] }
}

/// Another suspect that deviates nearly as much and earlier speaks against this one.
fn rival(analysis: &Analysis, suspect: &Suspect) -> Option<Claim> {
    let onset = matching::onset(analysis, suspect);
    analysis
        .suspects
        .iter()
        .filter(|other| {
            other.service != suspect.service && matching::unit(other.score) >= 0.6 * matching::unit(suspect.score)
        })
        .find_map(|other| {
            let signal = other
                .signals
                .iter()
                .filter(|signal| !signal.evidence.is_empty() && signal.kind != EvidenceKind::Change)
                .find(|signal| signal.onset.is_some_and(|at| at < onset))?;
            let at = signal.onset?.to_clock();
            Some(Claim {
                text: Text::new(&format!("{} deviates earlier, at {at}: {}", other.service, signal.text)),
                evidence: signal.evidence.iter().map(ToString::to_string).collect(),
            })
        })
}

/// High needs a good fit on the likeliest suspect, seen in two ways or more, and nothing against it.
fn confidence(candidate: &Candidate<'_>, contradicted: bool) -> Confidence {
    let mut kinds: Vec<EvidenceKind> = candidate.found.supporting.iter().map(|item| item.id.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let first = candidate.suspect.rank <= 1;
    let known = candidate.playbook.id != "generic";
    match candidate.found.fit {
        fit if fit >= 0.6 && first && known && kinds.len() >= 2 && !contradicted => Confidence::High,
        fit if fit >= 0.45 && candidate.suspect.rank <= 2 && known => Confidence::Medium,
        _ => Confidence::Low,
    }
}

fn check(rule: &CheckRule, values: &Values) -> Option<Check> {
    Some(Check {
        lang: rule.lang,
        query: Text::new(&rule.query.render(values).ok()?),
        expect: Text::new(&rule.expect.render(values).ok()?),
    })
}

/// Fills in one action. What cannot be filled in is left out, and said once for each thing that is not known.
fn suggest(
    actions: &mut Vec<SuggestedAction>,
    rule: &ActionRule,
    hypothesis: &str,
    known: &Known,
    unfilled: &mut Vec<String>,
    assumed: &mut Vec<String>,
) {
    let argv = |templates: &[Template]| -> Result<Vec<String>, String> {
        templates.iter().map(|template| template.render(&known.values)).collect()
    };
    let filled = || -> Result<_, String> {
        let change = rule.change.as_ref().map(|change| change.fill(&known.values)).transpose()?;
        Ok((argv(&rule.argv)?, change, rule.target.render(&known.values)?, rule.rationale.render(&known.values)?))
    };
    match filled() {
        Ok((argv_now, change, target, rationale)) => {
            let argv_now = Some(argv_now).filter(|argv| !argv.is_empty());
            let same = |action: &SuggestedAction| action.argv == argv_now && action.change == change;
            if actions.len() >= ACTIONS || actions.iter().any(same) {
                return;
            }
            let command = change.as_ref().and_then(|change| Some(changes::command(change).ok()?.argv));
            if let Some(text) = &known.assumed
                && let Some(words) = argv_now.as_ref().or(command.as_ref())
                && known.values.get("workload").is_some_and(|workload| words.contains(workload))
                && !assumed.contains(text)
            {
                assumed.push(text.clone());
            }
            actions.push(SuggestedAction {
                id: format!("P{}", actions.len() + 1),
                hypothesis: Text::new(hypothesis),
                argv: argv_now,
                change,
                target: Text::new(&target),
                rationale: Text::new(&rationale),
                rollback: rule.rollback.as_ref().and_then(|templates| argv(templates).ok()),
                verify: rule.verify.as_ref().and_then(|rule| check(rule, &known.values)),
            });
        }
        Err(name) => {
            let service = known.values.get("service").map_or("the suspect", String::as_str);
            let text = match name.as_str() {
                "change" | "change_at" => {
                    format!("a change of {service} to return from: without one no rollback is suggested")
                }
                name => format!("{name} of {service}: no label names it, so commands that need it are left out"),
            };
            if !unfilled.contains(&text) {
                unfilled.push(text);
            }
        }
    }
}

fn alert_observations(analysis: &Analysis) -> Vec<Claim> {
    analysis.evidence.iter().filter(|item| item.id.kind == EvidenceKind::Alert).take(2).map(claim).collect()
}

fn observations(analysis: &Analysis) -> Vec<Claim> {
    let mut claims = alert_observations(analysis);
    for (place, suspect) in analysis.suspects.iter().take(3).enumerate() {
        let most = if place == 0 { 5 } else { 2 };
        for signal in suspect.signals.iter().filter(|signal| !signal.evidence.is_empty()).take(most) {
            let text = if signal.text.contains(&suspect.service) {
                signal.text.clone()
            } else {
                format!("{}: {}", suspect.service, signal.text)
            };
            claims.push(Claim {
                text: Text::new(&text),
                evidence: signal.evidence.iter().map(ToString::to_string).collect(),
            });
        }
    }
    claims
}

/// What the diagnosis had to do without.
fn missing(analysis: &Analysis) -> Vec<Text> {
    let has = |kind: EvidenceKind| analysis.evidence.iter().any(|item| item.id.kind == kind);
    let mut texts: Vec<Text> = Vec::new();
    if !has(EvidenceKind::Log) {
        texts.push("logs: no template changed, or no log source answered".into());
    }
    if !has(EvidenceKind::Metric) {
        texts.push("metrics: no series deviates, or no metric source answered".into());
    }
    if analysis.graph.is_empty() {
        texts.push("call graph: no service graph metrics were found, so who calls whom is not known".into());
    }
    if !has(EvidenceKind::Change) {
        texts.push("changes: none is known in the time before".into());
    } else if let Some(why) = &analysis.without_change {
        texts.push(Text::new(&format!("changes: {why}")).truncated(300));
    }
    let noted = analysis.notes.iter().filter(|note| note.kind != NoteKind::Info);
    let total = noted.clone().count();
    texts.extend(noted.take(5).map(|note| note.text.truncated(200)));
    if total > 5 {
        texts.push(Text::new(&format!("{} further notes on what was cut or not answered", total - 5)));
    }
    texts
}

fn summary(analysis: &Analysis, diagnosis: &Diagnosis) -> String {
    let Some(first) = diagnosis.hypotheses.first() else {
        let services: Vec<&str> = analysis.suspects.iter().take(3).map(|suspect| suspect.service.as_str()).collect();
        return format!("Suspected: {}. No hypothesis can be built on the evidence at hand.", services.join(", "));
    };
    let mut text =
        format!("{} is the likely place ({} confidence): {}.", first.service, first.confidence.word(), first.cause);
    if let Some(other) = diagnosis.hypotheses.get(1) {
        use std::fmt::Write as _;
        let _ = write!(text, " Less likely: {}.", other.cause);
    }
    if analysis.incident.title.is_empty() {
        return text;
    }
    format!("{text} The incident: {}.", quoted(&analysis.incident.title))
}

#[cfg(test)]
#[path = "offline_tests.rs"]
mod tests;
