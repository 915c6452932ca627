//! What every store of the ledger must keep: the same tests over SQLite and PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use stanch::domain::Timestamp;
use stanch::domain::ledger::{Draft, EntryKind};
use stanch::ledger::{Filter, GENESIS, Head, Ledger, LedgerError, MAX_PAYLOAD_BYTES, PostgresLedger, SqliteLedger};
use tempfile::TempDir;

use crate::postgres_server::Postgres;

pub(crate) fn draft(kind: EntryKind, payload: Value) -> Draft {
    Draft {
        at: Timestamp::from_millis(1_700_000_000_123),
        kind,
        incident: Some("inc-1".into()),
        actor: "oncall-1".into(),
        payload,
    }
}

/// One empty ledger, opened as often as wanted.
trait Shelf: Sync {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Ledger>>;
}

struct File(TempDir);

impl Shelf for File {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Ledger>> {
        async { Arc::new(SqliteLedger::open(self.0.path().join("ledger.db")).await.unwrap()) as Arc<dyn Ledger> }
            .boxed()
    }
}

struct Database(String);

impl Shelf for Database {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Ledger>> {
        async { Arc::new(PostgresLedger::open(&self.0, None).await.unwrap()) as Arc<dyn Ledger> }.boxed()
    }
}

async fn reads_back(shelf: &dyn Shelf) {
    let ledger = shelf.open().await;
    assert_eq!(ledger.head().await.unwrap(), Head { seq: 0, hash: GENESIS.into() });
    assert_eq!(ledger.writable().await, Ok(()));
    let first = ledger.append(draft(EntryKind::Session, json!({"b": 1.1, "a": [null, "ü\n\u{0}"]}))).await.unwrap();
    let second = ledger.append(Draft { incident: None, ..draft(EntryKind::Note, json!("x")) }).await.unwrap();
    assert_eq!((first.seq, first.prev_hash.as_str()), (1, GENESIS));
    assert_eq!((second.seq, &second.prev_hash), (2, &first.hash));
    assert_eq!(ledger.entries(Filter::default()).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(ledger.entry(1).await.unwrap(), Some(first));
    assert_eq!(ledger.entry(3).await.unwrap(), None);
    let report = shelf.open().await.verify().await.unwrap();
    assert_eq!((report.ok, report.entries, &report.head), (true, 2, &second.hash), "{:?}", report.problems);
    assert_eq!(ledger.head().await.unwrap(), Head { seq: 2, hash: second.hash });
}

async fn hashes_as_documented(shelf: &dyn Shelf) {
    let entry = shelf.open().await.append(draft(EntryKind::Note, json!({"b": 1, "a": "x"}))).await.unwrap();
    // sha256 over 64 zeros and
    // {"actor":"oncall-1","at":"2023-11-14T22:13:20.123Z","incident":"inc-1","kind":"note","payload":{"a":"x","b":1},"seq":1}
    assert_eq!(entry.hash, "17a3d3a9269d34a63f83beb5bab5e23dfefc7e8ba9c96ff39b85d1e49d96f180");
}

async fn filters(shelf: &dyn Shelf) {
    let ledger = shelf.open().await;
    for number in 0..5 {
        ledger.append(draft(EntryKind::Note, json!({"number": number}))).await.unwrap();
    }
    ledger.append(Draft { incident: Some("inc-2".into()), ..draft(EntryKind::Refusal, json!({})) }).await.unwrap();
    let seqs = async |filter: Filter| -> Vec<u64> {
        ledger.entries(filter).await.unwrap().iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(seqs(Filter { limit: 2, ..Filter::default() }).await, [1, 2]);
    assert_eq!(seqs(Filter { limit: 2, newest: true, ..Filter::default() }).await, [5, 6]);
    assert_eq!(seqs(Filter { after: Some(4), ..Filter::default() }).await, [5, 6]);
    assert_eq!(seqs(Filter { incident: Some("inc-2".into()), ..Filter::default() }).await, [6]);
    let kinds = vec![EntryKind::Refusal, EntryKind::RunIntent];
    assert_eq!(seqs(Filter { kinds, ..Filter::default() }).await, [6]);
    let streamed: Vec<u64> = ledger.stream(2).map(|entry| entry.unwrap().seq).collect().await;
    assert_eq!(streamed, [3, 4, 5, 6]);
}

async fn knows_open_intents(shelf: &dyn Shelf) {
    let ledger = shelf.open().await;
    for _ in 0..3 {
        ledger.append(draft(EntryKind::RunIntent, json!({"argv": ["ls"]}))).await.unwrap();
    }
    ledger.append(draft(EntryKind::LlmIntent, json!({}))).await.unwrap();
    ledger.append(draft(EntryKind::RunOutcome, json!({"intent": 2}))).await.unwrap();
    ledger.append(draft(EntryKind::LlmOutcome, json!({"intent": 4}))).await.unwrap();
    ledger.append(draft(EntryKind::Note, json!({"intent": 1}))).await.unwrap();
    ledger.append(draft(EntryKind::RunOutcome, json!({"intent": "3"}))).await.unwrap();
    assert_eq!(ledger.verify().await.unwrap().open_intents, [1, 3]);
    assert_eq!(ledger.open_intents().await.unwrap(), [1, 3]);
}

async fn has_bounds(shelf: &dyn Shelf) {
    let ledger = shelf.open().await;
    let error = ledger.append(draft(EntryKind::Note, json!("x".repeat(MAX_PAYLOAD_BYTES)))).await.unwrap_err();
    assert!(matches!(error, LedgerError::TooLarge { .. }), "{error}");
    let long = Draft { actor: "x".repeat(5_000), ..draft(EntryKind::Note, json!({})) };
    assert!(matches!(ledger.append(long).await, Err(LedgerError::TooLarge { .. })));
    assert_eq!(ledger.head().await.unwrap().seq, 0);
}

async fn compares_with_anchors(shelf: &dyn Shelf) {
    let ledger = shelf.open().await;
    let mut heads = Vec::new();
    for number in 0..4 {
        let entry = ledger.append(draft(EntryKind::Note, json!({"number": number}))).await.unwrap();
        heads.push(Head { seq: entry.seq, hash: entry.hash });
    }
    assert!(ledger.verify_against(heads.clone()).await.unwrap().ok);
    let behind = Head { seq: 7, ..heads[3].clone() };
    let problems = ledger.verify_against(vec![behind]).await.unwrap().problems;
    assert!(problems.len() == 1 && problems[0].what.contains("cut off"), "{problems:?}");
    let other = Head { seq: 2, ..heads[3].clone() };
    let problems = ledger.verify_against(vec![heads[1].clone(), other]).await.unwrap().problems;
    assert!(problems.len() == 1 && problems[0].what.contains("written anew"), "{problems:?}");
}

/// Twenty writers, each with its own connections, as on twenty hosts.
async fn keeps_one_chain(shelf: &dyn Shelf) {
    const WRITERS: u64 = 20;
    const EACH: u64 = 12;
    let tasks: Vec<_> = futures_util::future::join_all((0..WRITERS).map(|_| shelf.open()))
        .await
        .into_iter()
        .enumerate()
        .map(|(writer, ledger)| {
            tokio::spawn(async move {
                let mut written = Vec::new();
                for number in 0..EACH {
                    let payload = json!({"writer": writer, "number": number});
                    written.push(ledger.append(draft(EntryKind::Note, payload)).await.unwrap());
                }
                written
            })
        })
        .collect();
    let mut written = BTreeMap::new();
    for task in tasks {
        for entry in task.await.unwrap() {
            assert!(written.insert(entry.seq, entry).is_none(), "no number is given twice");
        }
    }
    let ledger = shelf.open().await;
    let report = ledger.verify().await.unwrap();
    assert_eq!((report.ok, report.entries), (true, WRITERS * EACH), "{:?}", report.problems);
    let stored = ledger.entries(Filter::default()).await.unwrap();
    assert_eq!(stored, written.into_values().collect::<Vec<_>>(), "what was acknowledged is what stands there");
}

async fn everything(shelf: impl AsyncFn() -> Box<dyn Shelf>) {
    reads_back(&*shelf().await).await;
    hashes_as_documented(&*shelf().await).await;
    filters(&*shelf().await).await;
    knows_open_intents(&*shelf().await).await;
    has_bounds(&*shelf().await).await;
    compares_with_anchors(&*shelf().await).await;
    keeps_one_chain(&*shelf().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract() {
    everything(async || Box::new(File(TempDir::new().unwrap())) as Box<dyn Shelf>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_the_contract() {
    let server = Postgres::start().await;
    everything(async || Box::new(Database(server.url("alice", &server.ledger().await))) as Box<dyn Shelf>).await;
}
