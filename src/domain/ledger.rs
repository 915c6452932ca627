//! Entries of the ledger.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Kind of an entry. Intents stand before what they announce; outcomes name the intent's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A prompt is about to leave.
    LlmIntent,
    /// What came back, or how it failed.
    LlmOutcome,
    /// A diagnosis was made, by a model or offline.
    Diagnosis,
    /// A command is about to run.
    RunIntent,
    /// How a run ended.
    RunOutcome,
    /// The verify query after a run.
    Verification,
    /// The gate refused.
    Refusal,
    /// An approval was asked for.
    ApprovalRequest,
    /// Another person signed for a request.
    Approval,
    /// A person signed against a request.
    Rejection,
    /// A person reviewed a run that went past an approval.
    Review,
    /// A person noted something.
    Note,
    /// The policy in force changed.
    Policy,
    /// The program started with this configuration.
    Session,
}

impl EntryKind {
    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::LlmIntent,
        Self::LlmOutcome,
        Self::Diagnosis,
        Self::RunIntent,
        Self::RunOutcome,
        Self::Verification,
        Self::Refusal,
        Self::ApprovalRequest,
        Self::Approval,
        Self::Rejection,
        Self::Review,
        Self::Note,
        Self::Policy,
        Self::Session,
    ];

    /// The word for screens, JSON and the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::LlmIntent => "llm_intent",
            Self::LlmOutcome => "llm_outcome",
            Self::Diagnosis => "diagnosis",
            Self::RunIntent => "run_intent",
            Self::RunOutcome => "run_outcome",
            Self::Verification => "verification",
            Self::Refusal => "refusal",
            Self::ApprovalRequest => "approval_request",
            Self::Approval => "approval",
            Self::Rejection => "rejection",
            Self::Review => "review",
            Self::Note => "note",
            Self::Policy => "policy",
            Self::Session => "session",
        }
    }
}

/// An entry to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// When it happened.
    pub at: Timestamp,
    /// What it is.
    pub kind: EntryKind,
    /// The incident it belongs to, if any.
    pub incident: Option<String>,
    /// Who.
    pub actor: String,
    /// The content. Written as canonical JSON: sorted keys, no spaces.
    pub payload: serde_json::Value,
}

/// An entry as it stands in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the chain, from 1, without gaps.
    pub seq: u64,
    /// What was written.
    #[serde(flatten)]
    pub draft: Draft,
    /// Hash of the entry before, lower-case hex SHA-256; 64 zeros for the first.
    pub prev_hash: String,
    /// Hash of this entry, `prev_hash` included.
    pub hash: String,
}

/// What `audit verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainReport {
    /// Whether the chain is whole.
    pub ok: bool,
    /// Entries checked.
    pub entries: u64,
    /// Hash of the last entry.
    pub head: String,
    /// What is wrong, first to last.
    pub problems: Vec<ChainProblem>,
    /// Intents without an outcome: their result is unknown.
    pub open_intents: Vec<u64>,
}

/// One defect of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainProblem {
    /// Entry at which it shows.
    pub seq: u64,
    /// What is wrong.
    pub what: String,
}
