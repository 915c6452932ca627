//! Whether what a diagnosis says stands in the evidence it cites: ids, numbers, quotations.
//!
//! Both analysts go through this, and neither may say of itself that it is right.

mod binding;
mod calls;
pub(super) mod figures;
mod item;
mod names;
mod numbers;
mod order;
mod owners;
mod parts;
mod proof;
mod ranges;
mod relevance;
mod sense;
mod shares;
mod spelled;
mod text;

use std::collections::BTreeMap;

use ::regex::Regex;

pub use self::proof::Proof;
pub(super) use self::text::{plain, stands_in};
use crate::domain::Text;
use crate::domain::diagnosis::{Claim, Diagnosis, Unsupported};
use crate::domain::evidence::EvidenceId;
use crate::gate::changes;

fn regex(source: &str) -> Regex {
    Regex::new(source).expect("a constant expression")
}

/// What verification found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Claims that do not stand.
    pub unsupported: Vec<Unsupported>,
    /// Cited ids that do not exist, sorted, with how often.
    pub unknown_ids: Vec<(String, usize)>,
}

/// Checks every claim. Ids that do not exist are dropped from the diagnosis and counted; the others are written the
/// one way (`M3`), each once.
///
/// A cause, a mechanism and the summary cite nothing themselves and say how things hang together. The names, figures and
/// quotations of a cause are held against what supports the hypothesis, those of the other two against everything.
pub fn verify(diagnosis: &mut Diagnosis, proof: &Proof) -> Report {
    let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
    let mut unsupported: Vec<Unsupported> = Vec::new();
    for (i, claim) in diagnosis.observations.iter_mut().enumerate() {
        check_claim(claim, &format!("observations[{i}]"), proof, &mut unknown, &mut unsupported);
    }
    let everything: Vec<EvidenceId> = proof.items.keys().copied().collect();
    for (i, hypothesis) in diagnosis.hypotheses.iter_mut().enumerate() {
        let mut support: Vec<EvidenceId> = Vec::new();
        for (j, claim) in hypothesis.supporting.iter_mut().enumerate() {
            let path = format!("hypotheses[{i}].supporting[{j}]");
            support.extend(check_claim(claim, &path, proof, &mut unknown, &mut unsupported));
        }
        for (j, claim) in hypothesis.contradicting.iter_mut().enumerate() {
            let path = format!("hypotheses[{i}].contradicting[{j}]");
            check_claim(claim, &path, proof, &mut unknown, &mut unsupported);
        }
        let mut refuse = |field: &str, text: &Text, why: String| {
            unsupported.push(Unsupported { path: format!("hypotheses[{i}].{field}"), text: text.clone(), why });
        };
        if support.is_empty() {
            refuse("cause", &hypothesis.cause, "no evidence speaks for it".into());
        } else if let Some(why) = proof.refutes_facts(&hypothesis.cause, &support) {
            refuse("cause", &hypothesis.cause, why);
        }
        if let Some(why) = proof.refutes_facts(&hypothesis.mechanism, &everything) {
            refuse("mechanism", &hypothesis.mechanism, why);
        }
    }
    for (i, action) in diagnosis.actions.iter().enumerate() {
        if let Some(Err(error)) = action.change.as_ref().map(changes::command) {
            let why = format!("it becomes no command: {error}");
            unsupported.push(Unsupported { path: format!("actions[{i}].change"), text: action.target.clone(), why });
        }
    }
    if let Some(why) = proof.refutes_facts(&diagnosis.summary, &everything) {
        unsupported.push(Unsupported { path: "summary".into(), text: diagnosis.summary.clone(), why });
    }
    Report { unsupported, unknown_ids: unknown.into_iter().collect() }
}

/// Checks one claim and returns the ids that remain.
fn check_claim(
    claim: &mut Claim,
    path: &str,
    proof: &Proof,
    unknown: &mut BTreeMap<String, usize>,
    unsupported: &mut Vec<Unsupported>,
) -> Vec<EvidenceId> {
    let cited = claim.evidence.len();
    let mut ids: Vec<EvidenceId> = Vec::new();
    for written in &claim.evidence {
        match written.parse::<EvidenceId>() {
            Ok(id) if proof.holds(id) => {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            _ => *unknown.entry(Text::new(written).truncated(80).to_string()).or_default() += 1,
        }
    }
    claim.evidence = ids.iter().map(ToString::to_string).collect();
    let why = if ids.is_empty() {
        Some(if cited == 0 { "no evidence is cited".to_owned() } else { "none of the cited ids exists".to_owned() })
    } else {
        proof.refutes(&claim.text, &ids).or_else(|| proof.stray(&claim.text, &ids))
    };
    if let Some(why) = why {
        unsupported.push(Unsupported { path: path.to_owned(), text: claim.text.clone(), why });
    }
    ids
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod mutations_tests;

#[cfg(test)]
mod held_out;
