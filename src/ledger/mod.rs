//! The ledger: an append-only chain of entries, and its stores.
//!
//! May import `domain` only. What leaves the process is written here first (intent, on disk before the call returns),
//! then done, then its outcome is written. Every entry carries the hash of the one before, so that an edit, a gap or a
//! reordering shows in [`Ledger::verify`]. What a chain alone cannot show is a tail cut off cleanly: that takes an
//! anchor kept elsewhere.

mod anchor;
mod chain;
pub mod export;
mod postgres;
mod sqlite;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::domain::ledger::{ChainReport, Draft, Entry, EntryKind};

pub use anchor::{Anchor, NAMESPACE as ANCHOR_NAMESPACE, SignedAnchor, Signer};
pub use postgres::{MIGRATION, PostgresLedger};
pub use sqlite::SqliteLedger;

/// Most bytes of an entry's payload as canonical JSON.
pub const MAX_PAYLOAD_BYTES: usize = 4 << 20;

/// Hash that stands before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A store of entries. Several handles, in several processes, may write the same store; they keep one chain.
pub trait Ledger: Send + Sync {
    /// Writes an entry. When this returns the entry is on disk. When it fails, what the entry would have announced must
    /// not be done; the entry itself was not written, unless the connection to a database broke in the very moment
    /// in which it was: then it stands there as an intent without outcome.
    fn append(&self, draft: Draft) -> BoxFuture<'_, Result<Entry, LedgerError>>;

    /// Entries that fit, oldest first.
    fn entries(&self, filter: Filter) -> BoxFuture<'_, Result<Vec<Entry>, LedgerError>>;

    /// The entry with this number.
    fn entry(&self, seq: u64) -> BoxFuture<'_, Result<Option<Entry>, LedgerError>>;

    /// Where the chain ends.
    fn head(&self) -> BoxFuture<'_, Result<Head, LedgerError>>;

    /// Intents that no outcome names: what became of them is unknown. Oldest first. Reads an index, not the chain.
    fn open_intents(&self) -> BoxFuture<'_, Result<Vec<u64>, LedgerError>>;

    /// All entries with a number above `after`, oldest first, without holding more than a few of them.
    fn stream(&self, after: u64) -> BoxStream<'_, Result<Entry, LedgerError>>;

    /// Walks the whole chain. A broken chain is a report, not an error.
    fn verify(&self) -> BoxFuture<'_, Result<ChainReport, LedgerError>> {
        self.verify_against(Vec::new())
    }

    /// Walks the whole chain and compares it with ends of it that were kept elsewhere: an end that was cut off and a
    /// chain that was written anew show only so.
    fn verify_against(&self, anchored: Vec<Head>) -> BoxFuture<'_, Result<ChainReport, LedgerError>>;

    /// Whether entries could be written now, as far as that can be known without writing one: why not, if not.
    fn writable(&self) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Where the entries lie, for messages; without any secret.
    fn place(&self) -> &str;
}

/// Which entries to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of this incident.
    pub incident: Option<String>,
    /// Of these kinds; all when empty.
    pub kinds: Vec<EntryKind>,
    /// With a number above this.
    pub after: Option<u64>,
    /// Most entries, at most [`Filter::MAX_LIMIT`].
    pub limit: usize,
    /// When there are more than `limit`, keep the newest instead of the oldest. The order stays oldest first.
    pub newest: bool,
}

impl Filter {
    /// Most entries one call returns.
    pub const MAX_LIMIT: usize = 10_000;
}

impl Default for Filter {
    fn default() -> Self {
        Self { incident: None, kinds: Vec::new(), after: None, limit: 1_000, newest: false }
    }
}

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the last entry; 0 when there is none.
    pub seq: u64,
    /// Its hash; [`GENESIS`] when there is none.
    pub hash: String,
}

/// Why the ledger could not be read or written. Printed, it says what failed, what still works and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The file system is full.
    #[error(
        "the ledger {0} cannot grow: the disk is full; nothing is run or sent until there is room, reading goes on"
    )]
    Full(String),
    /// The file or the file system is read-only.
    #[error("the ledger {0} is read-only; nothing is run or sent, reading goes on")]
    ReadOnly(String),
    /// The database has no tables for a ledger.
    #[error("{0} has no ledger yet: let its administrator apply the output of `stanch audit migration`")]
    NotSetUp(String),
    /// The database acknowledges what is not on disk yet.
    #[error("the ledger {0} would not survive a power failure (the server has fsync=off): nothing is written to it")]
    NotDurable(String),
    /// Another process has held the lock for too long.
    #[error(
        "the ledger {0} is locked by another process; try again, or look who holds it (`fuser` for a file, \
         `pg_locks` in a database)"
    )]
    Locked(String),
    /// The file is something else.
    #[error("{0} is not a ledger: move it away, or name another file")]
    NotALedger(String),
    /// A newer version of the program made it.
    #[error("the ledger {path} has format {found}, this program knows up to {known}: use the newer program")]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is damaged.
    #[error("the ledger {path} is damaged ({what}): keep the file as it is and run `stanch audit verify`")]
    Damaged {
        /// The file.
        path: String,
        /// What the store says.
        what: String,
    },
    /// The entry is larger than an entry may be.
    #[error("the entry has {bytes} bytes, the most is {most}")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// Anything else the operating system or the store says.
    #[error("the ledger {path}: {what}")]
    Io {
        /// The file.
        path: String,
        /// What was said.
        what: String,
    },
}

#[cfg(test)]
mod tests;
