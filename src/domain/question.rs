//! A free question, the steps that were taken to answer it, and the answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Text;
use super::diagnosis::Diagnosed;
use super::evidence::{Evidence, EvidenceId};

/// One step on the way to an answer: a tool that the model asked for, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Number within the question, from 1.
    pub number: usize,
    /// What the model says it is after.
    pub thought: Text,
    /// The tool: `promql`, `logql`, `alerts`, ….
    pub tool: String,
    /// Its arguments in one line.
    pub what: Text,
    /// What came of it.
    pub outcome: StepOutcome,
    /// The answer, as evidence.
    pub evidence: Option<EvidenceId>,
    /// How long the tool took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepOutcome {
    /// It is being asked.
    UnderWay,
    /// An answer came.
    Answered {
        /// Items in the answer.
        items: usize,
    },
    /// It was asked and failed.
    Failed {
        /// Why.
        why: Text,
    },
    /// It was not done: the guardrails do not allow it, or the arguments make no sense.
    Refused {
        /// Why.
        why: Text,
    },
    /// The same was asked before; the answer is the earlier one.
    Repeated,
}

/// How far a question is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asking {
    /// Who answers: `model via end point`.
    pub by: Text,
    /// Where it stands: `thinking`, `promql …`.
    pub stage: Text,
    /// The steps so far.
    pub steps: Vec<Step>,
    /// What the model is saying of the step that it is writing: what it is after.
    #[serde(default)]
    pub thought: Text,
    /// The answer that it is writing, in short; nothing of it is checked yet.
    #[serde(default)]
    pub answer: Text,
    /// Tokens sent so far, by our own count.
    pub sent_tokens: usize,
    /// Values hidden from the model.
    pub hidden: usize,
    /// Tokens received so far, by our own count.
    pub received_tokens: usize,
}

/// A question that was answered, well or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The answer as a diagnosis without hypotheses: its claims are the observations, each verified.
    pub diagnosed: Diagnosed,
    /// The steps.
    pub steps: Vec<Step>,
    /// What the steps brought, citable as `Q1`, `Q2`, ….
    pub evidence: Vec<Evidence>,
    /// Values that were hidden from the model, by kind.
    pub hidden: BTreeMap<String, usize>,
}
