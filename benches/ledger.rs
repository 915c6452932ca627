//! Entries a second that the ledger takes with full sync, beside what the disk itself can sync.
//! `cargo bench --bench ledger`; the files lie below `target/`, or in the folder that `LEDGER_BENCH_FOLDER` names.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use divan::counter::ItemsCount;
use serde_json::json;
use stanch::domain::Timestamp;
use stanch::domain::ledger::{Draft, EntryKind};
use stanch::ledger::{Ledger as _, SqliteLedger};
use tempfile::TempDir;

fn main() {
    divan::main();
}

fn folder() -> TempDir {
    let below =
        std::env::var_os("LEDGER_BENCH_FOLDER").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    TempDir::new_in(below).expect("a folder on the disk that is measured")
}

fn draft() -> Draft {
    Draft {
        at: Timestamp::from_millis(1_700_000_000_123),
        kind: EntryKind::RunOutcome,
        incident: Some("inc-1".into()),
        actor: "oncall-1".into(),
        payload: json!({"intent": 1, "output": vec!["deployment.apps/payments rolled back"; 20]}),
    }
}

/// The disk itself: a page written behind the last one and synced.
#[divan::bench(sample_count = 300)]
fn sync_of_the_disk(bencher: divan::Bencher<'_, '_>) {
    let folder = folder();
    let mut file = std::fs::File::create(folder.path().join("plain")).expect("a file");
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        file.write_all(&[7; 4_096]).expect("room");
        file.sync_data().expect("a disk that syncs");
    });
}

/// One writer, one entry after the other.
#[divan::bench(sample_count = 300)]
fn append(bencher: divan::Bencher<'_, '_>) {
    let folder = folder();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ledger = runtime.block_on(SqliteLedger::open(folder.path().join("ledger.db"))).expect("a ledger");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| runtime.block_on(ledger.append(draft())).expect("it is written"));
}

/// Twenty writers with files of their own opened, as twenty processes have.
#[divan::bench(sample_count = 10)]
fn append_by_twenty_writers(bencher: divan::Bencher<'_, '_>) {
    const EACH: usize = 10;
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let writers: Vec<Arc<SqliteLedger>> =
        (0..20).map(|_| Arc::new(runtime.block_on(SqliteLedger::open(&path)).expect("a ledger"))).collect();
    bencher.counter(ItemsCount::new(writers.len() * EACH)).bench_local(|| {
        runtime.block_on(async {
            let tasks: Vec<_> = writers
                .iter()
                .map(|ledger| {
                    let ledger = Arc::clone(ledger);
                    tokio::spawn(async move {
                        for _ in 0..EACH {
                            ledger.append(draft()).await.expect("it is written");
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("no writer fails");
            }
        });
    });
}

/// The walk over a chain of a thousand entries.
#[divan::bench(sample_count = 20)]
fn verify(bencher: divan::Bencher<'_, '_>) {
    const ENTRIES: usize = 1_000;
    let folder = folder();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ledger = runtime.block_on(async {
        let ledger = SqliteLedger::open(folder.path().join("ledger.db")).await.expect("a ledger");
        for _ in 0..ENTRIES {
            ledger.append(draft()).await.expect("it is written");
        }
        ledger
    });
    bencher.counter(ItemsCount::new(ENTRIES)).bench_local(|| {
        assert!(runtime.block_on(ledger.verify()).expect("it can be read").ok);
    });
}
