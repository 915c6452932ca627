//! What an answer is worth, and the verified diagnosis that comes of it: from an end point, or pasted in by a person.

use std::collections::BTreeSet;

use super::call::CallOutcome;
use super::verify::{self, Proof};
use super::{partial, schema};
use crate::domain::Text;
use crate::domain::analysis::Analysis;
use crate::domain::diagnosis::{Analyst, Diagnosed, Diagnosis, PromptRef, Timing, TypedChange, Usage};
use crate::domain::pack::Pack;
use crate::domain::text::neutralise;
use crate::llm::FinishReason;

/// Text of an answer that was not understood, kept for reading, in characters.
const KEPT: usize = 16_000;
/// Name of the analyst of an answer that a person pasted in.
pub const PASTED: &str = "pasted answer";

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// It has the shape.
    Valid(Box<Diagnosis>),
    /// It ended, but is not what was asked for.
    Invalid {
        /// What is wrong, each with its place.
        problems: Vec<String>,
    },
    /// It did not end by itself: asking again would end the same way.
    Broken {
        /// How it ended.
        why: String,
    },
}

impl Answer {
    /// What is wrong with an answer that can be judged.
    pub(super) fn problems(&self) -> Option<Vec<String>> {
        match self {
            Self::Valid(_) => Some(Vec::new()),
            Self::Invalid { problems } => Some(problems.clone()),
            Self::Broken { .. } => None,
        }
    }
}

/// Judges what an end point answered.
pub(super) fn judge(outcome: &CallOutcome) -> Answer {
    match (&outcome.error, &outcome.finish) {
        (Some(error), _) => Answer::Broken { why: error.to_string() },
        (None, Some(FinishReason::Refused)) => Answer::Broken { why: "the model refuses to answer".into() },
        (None, finish) => match schema::read(&outcome.text) {
            Ok(diagnosis) => Answer::Valid(Box::new(diagnosis)),
            Err(_) if *finish == Some(FinishReason::Length) => Answer::Broken {
                why: "the answer was cut at its limit of tokens (raise answer_tokens of the end point)".into(),
            },
            Err(problems) => Answer::Invalid { problems },
        },
    }
}

/// Judges an answer that a person brought from elsewhere: the same validation and verification.
///
/// `pack` is what the model was given.
pub fn pasted(analysis: &Analysis, pack: &Pack, prompt: PromptRef, text: &str) -> Diagnosed {
    let judged = match schema::read(text) {
        Ok(diagnosis) => Answer::Valid(Box::new(diagnosis)),
        Err(problems) => Answer::Invalid { problems },
    };
    let wrong = judged.problems().filter(|problems| !problems.is_empty());
    let analyst = Analyst { name: PASTED.to_owned(), endpoint: None };
    let mut diagnosed = conclude(analysis, pack, judged, text, analyst, prompt);
    if let Some(problems) = wrong {
        diagnosed.remarks.insert(0, harmless(&format!("the answer is not valid: {}", problems.join("; "))));
    }
    diagnosed
}

/// The verified diagnosis that comes of an answer. What is not valid keeps what can be read of it: as a diagnosis
/// where it begins like one, else as plain text; no action of it can be selected.
pub(super) fn conclude(
    analysis: &Analysis,
    pack: &Pack,
    answer: Answer,
    text: &str,
    analyst: Analyst,
    prompt: PromptRef,
) -> Diagnosed {
    let mut remarks = Vec::new();
    let mut plain = None;
    let (mut diagnosis, complete) = match answer {
        Answer::Valid(diagnosis) => (*diagnosis, true),
        unfit => {
            if let Answer::Broken { why } = unfit {
                remarks.push(harmless(&why));
            }
            let partial =
                partial::read(text).map(|read| read.diagnosis).filter(|partial| *partial != Diagnosis::default());
            if partial.is_none() {
                plain = Some(Text::new(text.trim()).truncated(KEPT)).filter(|plain| !plain.is_empty());
            }
            (partial.unwrap_or_default(), false)
        }
    };
    remarks.extend(schema::bound(&mut diagnosis));
    remarks.extend(settle(&mut diagnosis).iter().map(|remark| harmless(remark)));
    let report = verify::verify(&mut diagnosis, &Proof::new(analysis, Some(pack)));
    remarks.extend(disagreement(analysis, &diagnosis).as_deref().map(harmless));
    Diagnosed {
        analyst,
        prompt,
        diagnosis,
        unsupported: report.unsupported,
        unknown_ids: report.unknown_ids,
        complete,
        remarks,
        plain,
        usage: Usage::default(),
        timing: Timing::default(),
        rate: None,
        bill: None,
        sees: None,
        earlier: Vec::new(),
    }
}

/// A remark that nothing in can act on a terminal.
pub(super) fn harmless(remark: &str) -> String {
    neutralise(remark).into_owned()
}

/// Makes plain strings harmless and gives hypotheses and actions ids of our own, so that none appears twice. Returns
/// what was wrong with theirs: an action that names none of the hypotheses follows from none.
fn settle(diagnosis: &mut Diagnosis) -> Vec<String> {
    let mut wrong = Vec::new();
    let clean = |text: &mut String| {
        if let std::borrow::Cow::Owned(safe) = neutralise(text) {
            *text = safe;
        }
    };
    let renamed: Vec<(String, String)> = diagnosis
        .hypotheses
        .iter_mut()
        .enumerate()
        .map(|(i, hypothesis)| {
            let ours = format!("H{}", i + 1);
            (std::mem::replace(&mut hypothesis.id, ours.clone()), ours)
        })
        .collect();
    let twice: BTreeSet<&str> = (renamed.iter().enumerate())
        .filter(|(i, (id, _))| renamed[..*i].iter().any(|(before, _)| before == id))
        .map(|(_, (id, _))| id.as_str())
        .collect();
    if !twice.is_empty() {
        let ids: Vec<&str> = twice.iter().copied().collect();
        wrong.push(format!(
            "the model gave several hypotheses the same id ({}): they are numbered here",
            ids.join(", ")
        ));
    }
    for (i, action) in diagnosis.actions.iter_mut().enumerate() {
        action.id = format!("P{}", i + 1);
        let mut named = renamed.iter().filter(|(theirs, _)| *theirs == *action.hypothesis);
        match (named.next(), named.next()) {
            (Some((_, ours)), None) => action.hypothesis = Text::new(ours),
            (Some(_), Some(_)) => {
                wrong.push(format!("action {} follows from {}, which are several", i + 1, action.hypothesis));
                action.hypothesis = Text::default();
            }
            (None, _) if action.hypothesis.trim().is_empty() => {}
            (None, _) => {
                wrong.push(format!("action {} follows from {}, which is no hypothesis", i + 1, action.hypothesis));
                action.hypothesis = Text::default();
            }
        }
        for argv in [&mut action.argv, &mut action.rollback].into_iter().flatten() {
            argv.iter_mut().for_each(clean);
        }
        match &mut action.change {
            Some(
                TypedChange::Scale { namespace, workload, .. }
                | TypedChange::Restart { namespace, workload }
                | TypedChange::RollBack { namespace, workload },
            ) => {
                clean(namespace);
                clean(workload);
                // Evidence seldom tells the kind of a workload, and models leave it out.
                if !workload.is_empty() && !workload.contains('/') {
                    wrong.push(format!("action P{} names no kind of workload: a deployment is assumed", i + 1));
                    workload.insert_str(0, "deployment/");
                }
            }
            Some(TypedChange::Cordon { node } | TypedChange::Drain { node }) => clean(node),
            Some(TypedChange::Silence { matchers, comment, .. }) => {
                matchers.iter_mut().for_each(clean);
                clean(comment);
            }
            None => {}
        }
    }
    wrong
}

/// The ranking stands beside the model's opinion, never below it.
fn disagreement(analysis: &Analysis, diagnosis: &Diagnosis) -> Option<String> {
    let ours = &analysis.suspects.first()?.service;
    let theirs = &diagnosis.hypotheses.first()?.service;
    (**theirs != **ours).then(|| format!("the offline ranking puts {ours} first, the model {theirs}"))
}
