//! A diagnosis as rows with links: what is drawn, and what the cursor moves over.

use crate::domain::Text;
use crate::domain::diagnosis::{Check, Claim, Confidence, Diagnosis};
use crate::domain::evidence::EvidenceId;

use super::list::List;
use super::model::Case;

/// Kind of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The summary.
    Summary,
    /// The head of a hypothesis.
    Hypothesis {
        /// `H1`.
        id: String,
        /// How sure.
        confidence: Confidence,
    },
    /// How the cause leads to what is seen.
    Mechanism,
    /// A claim that speaks for the hypothesis above.
    For,
    /// A claim that speaks against it.
    Against,
    /// A query that would settle it.
    Check(Box<Check>),
    /// The answer to the query above.
    Answer,
    /// Something seen.
    Observation,
    /// A claim without support.
    Unsupported,
    /// What was missing.
    Missing,
    /// What must be said of the diagnosis itself.
    Remark,
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Kind.
    pub kind: Kind,
    /// The words.
    pub text: Text,
    /// Cited evidence that exists.
    pub links: Vec<EvidenceId>,
}

/// Rows of a case's diagnosis: the one being written while there is one, else the finished one.
pub fn rows(case: &Case, list: &List) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(draft) = &case.draft {
        push_diagnosis(&mut rows, &draft.partial, case);
    } else if let Some(conclusion) = &case.conclusion.value {
        let diagnosed = &conclusion.diagnosed;
        push_diagnosis(&mut rows, &diagnosed.diagnosis, case);
        rows.extend(diagnosed.unsupported.iter().map(|claim| Row {
            kind: Kind::Unsupported,
            text: Text::new(&format!("\"{}\": {}", claim.text, claim.why)),
            links: Vec::new(),
        }));
        if !diagnosed.unknown_ids.is_empty() {
            let ids: Vec<String> = diagnosed.unknown_ids.iter().map(|(id, times)| format!("{id} ×{times}")).collect();
            rows.push(plain(Kind::Unsupported, &format!("cited but not among the evidence: {}", ids.join(", "))));
        }
        if !diagnosed.complete {
            rows.push(plain(Kind::Remark, "incomplete: no action of it can be selected"));
        }
        rows.extend(diagnosed.remarks.iter().map(|remark| plain(Kind::Remark, remark)));
    }
    rows.retain(|row| list.admits(&row.text));
    rows
}

fn plain(kind: Kind, text: &str) -> Row {
    Row { kind, text: Text::new(text), links: Vec::new() }
}

fn push_diagnosis(rows: &mut Vec<Row>, diagnosis: &Diagnosis, case: &Case) {
    let known = |ids: &[String]| -> Vec<EvidenceId> {
        let analysis = case.investigation.value.as_ref().map(|found| &found.analysis);
        ids.iter()
            .filter_map(|id| id.parse().ok())
            .filter(|id| analysis.is_some_and(|analysis| analysis.evidence(*id).is_some()))
            .collect()
    };
    let claim = |kind: Kind, claim: &Claim| Row { kind, text: claim.text.clone(), links: known(&claim.evidence) };
    if !diagnosis.summary.is_empty() {
        rows.push(Row { kind: Kind::Summary, text: diagnosis.summary.clone(), links: Vec::new() });
    }
    for hypothesis in &diagnosis.hypotheses {
        let mut links: Vec<EvidenceId> = Vec::new();
        for id in hypothesis.supporting.iter().flat_map(|claim| known(&claim.evidence)) {
            if !links.contains(&id) {
                links.push(id);
            }
        }
        rows.push(Row {
            kind: Kind::Hypothesis { id: hypothesis.id.clone(), confidence: hypothesis.confidence },
            text: hypothesis.cause.clone(),
            links,
        });
        if !hypothesis.mechanism.is_empty() {
            rows.push(Row { kind: Kind::Mechanism, text: hypothesis.mechanism.clone(), links: Vec::new() });
        }
        rows.extend(hypothesis.supporting.iter().map(|c| claim(Kind::For, c)));
        rows.extend(hypothesis.contradicting.iter().map(|c| claim(Kind::Against, c)));
        for check in &hypothesis.checks {
            rows.push(Row {
                kind: Kind::Check(Box::new(check.clone())),
                text: Text::new(&format!("{}  expect {}", check.query, check.expect)),
                links: Vec::new(),
            });
            let answer = case
                .answers
                .iter()
                .rev()
                .find(|answered| answered.asked.planned.query.expression() == check.query.as_str());
            if let Some(answered) = answer {
                let links = answered.evidence.iter().map(|item| item.id).collect();
                rows.push(Row { kind: Kind::Answer, text: answered.summary.clone(), links });
            }
        }
    }
    rows.extend(diagnosis.observations.iter().map(|c| claim(Kind::Observation, c)));
    rows.extend(diagnosis.missing.iter().map(|text| Row {
        kind: Kind::Missing,
        text: text.clone(),
        links: Vec::new(),
    }));
}
