//! The chain itself: the hash of an entry, and the walk that checks a whole chain. No IO.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{GENESIS, Head, LedgerError, MAX_PAYLOAD_BYTES};
use crate::domain::Timestamp;
use crate::domain::canonical::{canonical_json, hex};
use crate::domain::ledger::{ChainProblem, ChainReport, Draft, Entry, EntryKind};

/// Most bytes of actor and incident.
const MAX_NAME_BYTES: usize = 4 << 10;

/// A number as both stores keep it.
pub(super) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Pairs of an intent and the outcome that closes it.
pub(super) const PAIRS: [(EntryKind, EntryKind); 2] =
    [(EntryKind::RunIntent, EntryKind::RunOutcome), (EntryKind::LlmIntent, EntryKind::LlmOutcome)];

/// The kind with this word.
pub(super) fn kind(word: &str) -> Option<EntryKind> {
    EntryKind::ALL.into_iter().find(|kind| kind.word() == word)
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

/// The payload of a draft as it will be stored, after its bounds were checked.
pub(super) fn payload_of(draft: &Draft) -> Result<String, LedgerError> {
    let payload = canonical_json(&draft.payload);
    let names = draft.actor.len() + draft.incident.as_ref().map_or(0, String::len);
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(LedgerError::TooLarge { bytes: payload.len(), most: MAX_PAYLOAD_BYTES });
    }
    if names > MAX_NAME_BYTES {
        return Err(LedgerError::TooLarge { bytes: names, most: MAX_NAME_BYTES });
    }
    Ok(payload)
}

/// The intent that an outcome closes.
pub(super) fn closed_intent(kind: EntryKind, payload: &Value) -> Option<u64> {
    PAIRS.iter().find(|&&(_, outcome)| outcome == kind).and_then(|_| payload.get("intent")?.as_u64())
}

impl Row {
    /// The row of a draft behind the last row, whose number and hash are given.
    pub(super) fn behind(last: Option<(i64, String)>, draft: &Draft, payload: String) -> Self {
        let (seq, prev_hash) =
            last.map_or_else(|| (1, GENESIS.to_owned()), |(seq, hash)| (seq.saturating_add(1), hash));
        let mut row = Self {
            seq,
            at: draft.at.to_rfc3339(),
            kind: draft.kind.word().to_owned(),
            incident: draft.incident.clone(),
            actor: draft.actor.clone(),
            payload,
            prev_hash,
            hash: String::new(),
        };
        row.hash = row.computed_hash();
        row
    }

    /// The intent that this row's payload closes.
    pub(super) fn closes(&self) -> Option<u64> {
        closed_intent(kind(&self.kind)?, &serde_json::from_str(&self.payload).ok()?)
    }

    /// The entry that is stored in this row of the ledger at `path`.
    pub(super) fn into_entry(self, path: &str) -> Result<Entry, LedgerError> {
        let wrong =
            |what: &str| LedgerError::Damaged { path: path.to_owned(), what: format!("entry {}: {what}", self.seq) };
        Ok(Entry {
            seq: u64::try_from(self.seq).map_err(|_| wrong("its number is negative"))?,
            draft: Draft {
                at: Timestamp::parse_rfc3339(&self.at).ok_or_else(|| wrong("its time cannot be read"))?,
                kind: kind(&self.kind).ok_or_else(|| wrong("its kind is not known"))?,
                payload: serde_json::from_str(&self.payload).map_err(|_| wrong("its payload is not JSON"))?,
                incident: self.incident,
                actor: self.actor,
            },
            prev_hash: self.prev_hash,
            hash: self.hash,
        })
    }

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
    /// Hashes that were anchored elsewhere, by the number of the entry they belong to.
    anchored: BTreeMap<u64, BTreeSet<String>>,
}

impl Walk {
    /// A walk that checks the chain against ends of it which were kept elsewhere.
    pub(super) fn new(anchored: Vec<Head>) -> Self {
        let mut marks: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for head in anchored {
            marks.entry(head.seq).or_default().insert(head.hash);
        }
        // An anchor of an empty ledger says nothing.
        marks.remove(&0);
        Self {
            anchored: marks,
            entries: 0,
            last_seq: 0,
            head: GENESIS.to_owned(),
            problems: Vec::new(),
            more_problems: 0,
            open: BTreeSet::new(),
        }
    }

    /// How many of the triggers that keep entries as they are the store still has: `entries_follow`, `entries_stay`
    /// and `entries_remain`.
    pub(super) fn guarded_by(&mut self, triggers: i64) {
        if triggers != 3 {
            self.problem(0, "the triggers that keep entries from being changed were removed".to_owned());
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
        if let Some(anchored) = u64::try_from(row.seq).ok().and_then(|seq| self.anchored.remove(&seq))
            && anchored.iter().any(|hash| *hash != row.hash)
        {
            let what = "is not the entry that was anchored: the chain up to here was written anew".to_owned();
            self.problem(row.seq, what);
        }
        self.last_seq = self.last_seq.max(row.seq);
        // What is stored goes on, so that one edit is reported once and not at every entry behind it.
        self.head.clone_from(&row.hash);
    }

    fn note_intent(&mut self, seq: i64, kind: EntryKind, payload: &Value) {
        if PAIRS.iter().any(|&(intent, _)| intent == kind) {
            self.open.extend(u64::try_from(seq).ok());
        } else if let Some(intent) = closed_intent(kind, payload) {
            self.open.remove(&intent);
        }
    }

    pub(super) fn finish(mut self) -> ChainReport {
        for seq in std::mem::take(&mut self.anchored).into_keys() {
            let last = u64::try_from(self.last_seq).unwrap_or(0);
            let what = if seq > last {
                format!("the ledger ends at entry {last}, but entry {seq} was anchored: its end was cut off")
            } else {
                "this entry was anchored and is gone".to_owned()
            };
            self.problem(i64::try_from(seq).unwrap_or(i64::MAX), what);
        }
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
