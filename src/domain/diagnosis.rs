//! The diagnosis: observations, hypotheses, suggested actions, each claim with its evidence.
//!
//! The field order carries reasoning before verdict: a model that writes the fields in order looks before it judges.
//! Every field is required, nullable rather than absent.

use serde::{Deserialize, Serialize};

use super::Text;
use super::query::Lang;
use super::settings::Sees;

/// A diagnosis as an analyst wrote it: not yet verified.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// What is seen, each with evidence.
    pub observations: Vec<Claim>,
    /// What may have caused it, likeliest first.
    pub hypotheses: Vec<Hypothesis>,
    /// What could be done.
    pub actions: Vec<SuggestedAction>,
    /// What would have been needed and was not there.
    pub missing: Vec<Text>,
    /// Two or three sentences.
    pub summary: Text,
}

/// A sentence with the ids of its evidence, as written (`M3`); ids are checked later.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The sentence.
    pub text: Text,
    /// Cited ids.
    pub evidence: Vec<String>,
}

/// How sure the analyst is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A possibility.
    #[default]
    Low,
    /// Fits most of what is seen.
    Medium,
    /// Fits all that is seen, and little else does.
    High,
}

impl Confidence {
    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A possible cause.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hypothesis {
    /// `H1`, `H2`, …
    pub id: String,
    /// The cause in one sentence.
    pub cause: Text,
    /// The service it lies in.
    pub service: Text,
    /// How the cause leads to what is seen.
    pub mechanism: Text,
    /// What speaks for it.
    pub supporting: Vec<Claim>,
    /// What speaks against it.
    pub contradicting: Vec<Claim>,
    /// What would settle it.
    pub checks: Vec<Check>,
    /// How sure.
    pub confidence: Confidence,
}

/// A query whose answer would confirm or refute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its language.
    pub lang: Lang,
    /// The query.
    pub query: Text,
    /// What is expected if the hypothesis holds.
    pub expect: Text,
}

/// An action as the analyst suggested it; its effect and risk come from the gate, never from here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuggestedAction {
    /// `P1`, `P2`, …
    pub id: String,
    /// The hypothesis it follows from.
    pub hypothesis: Text,
    /// The command as program and arguments; null when it is a typed change.
    pub argv: Option<Vec<String>>,
    /// A typed change; null when it is a command.
    pub change: Option<TypedChange>,
    /// What it acts on, in words.
    pub target: Text,
    /// Why it should help.
    pub rationale: Text,
    /// The command that undoes it, if there is one.
    pub rollback: Option<Vec<String>>,
    /// The query that shows whether it helped.
    pub verify: Option<Check>,
}

/// A change described by what it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TypedChange {
    /// Set the number of replicas.
    Scale {
        /// Namespace.
        namespace: String,
        /// `deployment/payments`.
        workload: String,
        /// Wanted replicas.
        replicas: u32,
        /// Replicas now, where that is known: the change is made only if it is still so.
        #[serde(default)]
        current: Option<u32>,
    },
    /// Restart a workload's pods one after another.
    Restart {
        /// Namespace.
        namespace: String,
        /// `deployment/payments`.
        workload: String,
    },
    /// Return to the previous revision.
    RollBack {
        /// Namespace.
        namespace: String,
        /// `deployment/payments`.
        workload: String,
    },
    /// Let no new pods onto a node.
    Cordon {
        /// Name of the node.
        node: String,
    },
    /// Move every pod off a node.
    Drain {
        /// Name of the node.
        node: String,
    },
    /// Silence alerts for a time.
    Silence {
        /// Matchers in PromQL notation.
        matchers: Vec<String>,
        /// Minutes, bounded.
        minutes: u32,
        /// Why.
        comment: String,
    },
}

/// Who wrote a diagnosis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analyst {
    /// `offline`, or the model's name.
    pub name: String,
    /// The end point's name; none offline, and none of an answer that was pasted in.
    pub endpoint: Option<String>,
}

impl Analyst {
    /// Name of the analyst that needs no model.
    pub const OFFLINE: &str = "offline";

    /// Whether a language model wrote it. Not every model has an end point: a pasted answer has none.
    pub fn is_model(&self) -> bool {
        self.endpoint.is_some() || self.name != Self::OFFLINE
    }
}

/// One verified claim: which of its ids exist, and whether it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unsupported {
    /// Where it stands: `observations[2]`, `hypotheses[0].supporting[1]`, `summary`.
    pub path: String,
    /// The claim.
    pub text: Text,
    /// Why it is not supported: no evidence cited, unknown id, number or quotation not found in what it cites.
    pub why: String,
}

/// What a diagnosis cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens sent, as the server counted them, else our own count.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Of the input, tokens read from the server's cache.
    pub cached_tokens: u64,
    /// Whether the figures are the server's own.
    pub reported: bool,
}

impl Usage {
    /// Both together; the server's own figures only where both are.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input_tokens: self.input_tokens + other.input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            cached_tokens: self.cached_tokens + other.cached_tokens,
            reported: self.reported && other.reported,
        }
    }
}

/// How long a diagnosis took, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// To the first content; none offline.
    pub first_token_ms: Option<u64>,
    /// In all.
    pub total_ms: u64,
}

/// What calls to language models cost, in the currency of the configured prices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// This diagnosis or question; `None` where the end point has no price.
    pub cost: Option<f64>,
    /// All calls of the day (UTC), this one included; `None` where nothing had a price.
    pub today: Option<f64>,
    /// The most that may be spent in a day.
    pub limit: Option<f64>,
    /// Tokens sent and received on the day, this one included.
    pub tokens_today: u64,
    /// The most tokens of a day.
    pub tokens_limit: Option<u64>,
    /// The sign of the currency.
    pub currency: String,
}

/// An answer that broke off, before another end point was asked from the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Earlier {
    /// Name of the end point.
    pub endpoint: String,
    /// How it ended.
    pub why: Text,
    /// As much of the answer as came: for reading, never for acting.
    pub text: Text,
}

/// A diagnosis that is finished: verified, with its actions judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosed {
    /// Who wrote it.
    pub analyst: Analyst,
    /// Name of the prompt and its version; for the offline analyst the playbooks and their hash.
    pub prompt: PromptRef,
    /// The diagnosis, ids that do not exist already dropped.
    pub diagnosis: Diagnosis,
    /// Claims that are not supported by what they cite.
    pub unsupported: Vec<Unsupported>,
    /// Ids that were cited and do not exist, with how often.
    pub unknown_ids: Vec<(String, usize)>,
    /// Whether the answer ended cleanly and validated. When not, no action may be selected.
    pub complete: bool,
    /// Why it is not complete, or what else must be said.
    pub remarks: Vec<String>,
    /// The answer as it came, where it could not be read as a diagnosis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<Text>,
    /// Cost.
    pub usage: Usage,
    /// Times.
    pub timing: Timing,
    /// Tokens a second of the answer; none offline.
    #[serde(default)]
    pub rate: Option<f64>,
    /// What it cost, and the day so far; none offline.
    #[serde(default)]
    pub bill: Option<Bill>,
    /// What the end point was allowed to see; none offline.
    #[serde(default)]
    pub sees: Option<Sees>,
    /// Answers that broke off before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
}

impl Diagnosed {
    /// Why what stands at this place does not stand, when it was verified and does not: `observations[2]`.
    pub fn why_unsupported(&self, path: &str) -> Option<&str> {
        self.unsupported.iter().find(|claim| claim.path == path).map(|claim| claim.why.as_str())
    }
}

/// A prompt's name and version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PromptRef {
    /// Name.
    pub name: String,
    /// Version: the beginning of the hash of its text.
    pub version: String,
}
