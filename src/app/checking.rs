//! The queries of a diagnosis's checks, asked: each answer is evidence of the next diagnosis.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::copilot::answers;
use crate::domain::Text;
use crate::domain::analysis::Analysis;
use crate::domain::diagnosis::{Check, Diagnosis};
use crate::domain::evidence::{Evidence, EvidenceKind};
use crate::domain::query::{Answer, Asked, Planned, Purpose, Query};

use super::engine::Engine;
use super::execution;

/// Most checks that are asked in one go.
const MOST_CHECKS: usize = 8;

/// A check that was asked.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Checked {
    /// The query.
    pub(super) query: String,
    /// What was expected if the hypothesis holds.
    pub(super) expect: Text,
    /// The answer in one line, or why there is none.
    pub(super) summary: Text,
    /// The answer as evidence; none when there is no answer.
    pub(super) evidence: Option<Evidence>,
}

/// Asks the query of a check.
pub(super) async fn ask(engine: &Engine, check: &Check) -> (Asked, Option<Answer>, Text) {
    let query = Query::Instant { lang: check.lang, expr: check.query.to_string(), at: (engine.clock)() };
    let planned = Planned { query, purpose: Purpose::Question };
    let (asked, answer) = engine.sources.ask(&planned).await;
    let summary = match (&answer, &asked.outcome) {
        (Some(answer), _) => execution::summary(answer),
        (None, Err(why)) => why.clone(),
        (None, Ok(_)) => Text::from("no answer"),
    };
    (asked, answer, summary)
}

/// The number of the next answer beside these.
pub(super) fn next_number<'a>(evidence: impl IntoIterator<Item = &'a Evidence>) -> u32 {
    let answers = evidence.into_iter().filter(|item| item.id.kind == EvidenceKind::Query);
    answers.map(|item| item.id.number).max().unwrap_or(0) + 1
}

/// Asks the queries of all checks, each once, the likeliest hypothesis first, up to a bound.
pub(super) async fn ask_all(engine: &Engine, analysis: &Analysis, diagnosis: &Diagnosis) -> Vec<Checked> {
    let mut seen = BTreeSet::new();
    let mut checked = Vec::new();
    let mut number = next_number(&analysis.evidence);
    let checks = diagnosis.hypotheses.iter().flat_map(|hypothesis| &hypothesis.checks);
    for check in checks.filter(|check| seen.insert(check.query.to_string())).take(MOST_CHECKS) {
        let (asked, answer, summary) = ask(engine, check).await;
        let evidence =
            answer.as_ref().map(|answer| answers::evidence(number, &asked, Some(answer), answers::Bounds::default()));
        number += u32::from(evidence.is_some());
        checked.push(Checked { query: check.query.to_string(), expect: check.expect.clone(), summary, evidence });
    }
    checked
}
