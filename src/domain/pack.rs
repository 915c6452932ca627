//! The evidence chosen for a language model under a token budget.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::{EvidenceId, EvidenceKind, LogChange};

/// A rendered pack with its manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pack {
    /// The budget it was made for, in o200k tokens.
    pub budget: usize,
    /// Tokens of `text`, counted with o200k; never above the budget.
    pub tokens: usize,
    /// What is sent: redacted, stable order, nothing that changes in front.
    pub text: String,
    /// The items inside, in the order of the text.
    pub evidence: Vec<PackedEvidence>,
    /// What was left out, by kind.
    pub omitted: Vec<Omission>,
    /// How many values of each kind were redacted.
    pub redactions: BTreeMap<String, usize>,
}

/// One item of a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackedEvidence {
    /// Its id.
    pub id: EvidenceId,
    /// Its kind.
    pub kind: EvidenceKind,
    /// The service it speaks about.
    pub service: Option<String>,
    /// For log items: how the template changed.
    pub change: Option<LogChange>,
    /// The text as it stands in the pack.
    pub text: String,
    /// Tokens of the text, counted alone.
    pub tokens: usize,
}

/// Items left out of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// Kind of the items.
    pub kind: EvidenceKind,
    /// How many.
    pub count: usize,
    /// Why.
    pub why: String,
}
