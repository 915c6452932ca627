//! The chain itself: the hash of an entry, and the walk that checks a whole chain. No IO.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::GENESIS;
use crate::domain::canonical::hex;
use crate::domain::ledger::{ChainProblem, ChainReport, EntryKind};

/// All kinds, for reading their words back.
const KINDS: [EntryKind; 10] = [
    EntryKind::LlmIntent,
    EntryKind::LlmOutcome,
    EntryKind::Diagnosis,
    EntryKind::RunIntent,
    EntryKind::RunOutcome,
    EntryKind::Verification,
    EntryKind::Refusal,
    EntryKind::Note,
    EntryKind::Policy,
    EntryKind::Session,
];

/// Pairs of an intent and the outcome that closes it.
pub(super) const PAIRS: [(EntryKind, EntryKind); 2] =
    [(EntryKind::RunIntent, EntryKind::RunOutcome), (EntryKind::LlmIntent, EntryKind::LlmOutcome)];

/// The kind with this word.
pub(super) fn kind(word: &str) -> Option<EntryKind> {
    KINDS.into_iter().find(|kind| kind.word() == word)
}

/// An entry's columns exactly as they are stored: what is hashed is what lies on disk, not what it parses to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) at: String,
    pub(super) kind: String,
    pub(super) incident: Option<String>,
    pub(super) actor: String,
    pub(super) payload: String,
    pub(super) prev_hash: String,
    pub(super) hash: String,
}

impl Row {
    /// SHA-256 over the previous hash and the canonical JSON of the other columns, lower-case hex. The payload is
    /// itself JSON and stands in it as it is.
    pub(super) fn computed_hash(&self) -> String {
        let text = |value: &str| Value::from(value).to_string();
        let incident = self.incident.as_deref().map_or_else(|| "null".to_owned(), text);
        let mut hash = Sha256::new();
        hash.update(self.prev_hash.as_bytes());
        hash.update(format!(
            "{{\"actor\":{},\"at\":{},\"incident\":{incident},\"kind\":{},\"payload\":",
            text(&self.actor),
            text(&self.at),
            text(&self.kind)
        ));
        hash.update(self.payload.as_bytes());
        hash.update(format!(",\"seq\":{}}}", self.seq));
        hex(&hash.finalize())
    }
}

/// Most problems that are spelled out; the rest is counted.
const MAX_PROBLEMS: usize = 100;

/// Walks a chain row by row.
#[derive(Debug)]
pub(super) struct Walk {
    entries: u64,
    last_seq: i64,
    head: String,
    problems: Vec<ChainProblem>,
    more_problems: u64,
    open: BTreeSet<u64>,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self {
            entries: 0,
            last_seq: 0,
            head: GENESIS.to_owned(),
            problems: Vec::new(),
            more_problems: 0,
            open: BTreeSet::new(),
        }
    }

    pub(super) fn problem(&mut self, seq: i64, what: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(ChainProblem { seq: u64::try_from(seq).unwrap_or(0), what });
        } else {
            self.more_problems += 1;
        }
    }

    /// The next row in the order of `seq`.
    pub(super) fn step(&mut self, row: &Row) {
        self.entries += 1;
        let expected = self.last_seq + 1;
        if row.seq > expected {
            let gone = if row.seq - expected == 1 {
                format!("entry {expected} is gone")
            } else {
                format!("entries {expected} to {} are gone", row.seq - 1)
            };
            self.problem(row.seq, gone);
        } else if row.seq < expected {
            self.problem(row.seq, "the number does not follow the one before".to_owned());
        }
        if row.prev_hash != self.head {
            self.problem(row.seq, "does not continue the entry before it".to_owned());
        }
        let computed = row.computed_hash();
        if computed != row.hash {
            self.problem(row.seq, "was changed after it was written: its hash does not fit its content".to_owned());
        }
        let payload = serde_json::from_str::<Value>(&row.payload);
        if payload.is_err() {
            self.problem(row.seq, "its payload is not JSON".to_owned());
        }
        match kind(&row.kind) {
            None => self.problem(row.seq, format!("its kind is not known: {:.40}", row.kind.escape_default())),
            Some(kind) => self.note_intent(row.seq, kind, &payload.unwrap_or_default()),
        }
        self.last_seq = self.last_seq.max(row.seq);
        // What is stored goes on, so that one edit is reported once and not at every entry behind it.
        self.head.clone_from(&row.hash);
    }

    fn note_intent(&mut self, seq: i64, kind: EntryKind, payload: &Value) {
        if PAIRS.iter().any(|&(intent, _)| intent == kind) {
            self.open.extend(u64::try_from(seq).ok());
        } else if PAIRS.iter().any(|&(_, outcome)| outcome == kind)
            && let Some(intent) = payload.get("intent").and_then(Value::as_u64)
        {
            self.open.remove(&intent);
        }
    }

    pub(super) fn finish(mut self) -> ChainReport {
        if self.more_problems > 0 {
            let what = format!("and {} more problems", self.more_problems);
            self.problems.push(ChainProblem { seq: u64::try_from(self.last_seq).unwrap_or(0), what });
        }
        ChainReport {
            ok: self.problems.is_empty(),
            entries: self.entries,
            head: self.head,
            problems: self.problems,
            open_intents: self.open.into_iter().collect(),
        }
    }
}
