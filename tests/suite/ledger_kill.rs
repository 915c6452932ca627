//! A writer that is killed at any moment, and a log that breaks off.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use stanch::domain::ledger::EntryKind;
use stanch::ledger::{Ledger as _, SqliteLedger};
use tempfile::TempDir;

use crate::ledger_contract::draft;

const CHILD: &str = "STANCH_TEST_KILLED_LEDGER";

/// How often a writer is killed: `STANCH_TEST_KILLS=1000 cargo test --test suite ledger_kill` for a long run.
const KILLS: &str = "STANCH_TEST_KILLS";

/// The process that will be killed: appends for ever, and says what was acknowledged. Beside that it ticks without a
/// pause, from before the ledger is open, so that there is an event for every moment.
#[tokio::test]
#[ignore = "started by the test below"]
async fn child() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    std::thread::spawn(|| {
        loop {
            println!("TICK");
        }
    });
    let ledger = SqliteLedger::open(&path).await.unwrap();
    for number in 0.. {
        let payload = json!({"number": number, "text": "x".repeat(number % 7 * 900)});
        let entry = ledger.append(draft(EntryKind::Note, payload)).await.unwrap();
        println!("\nACK {} {}", entry.seq, entry.hash);
    }
}

/// Starts a writer, kills it `ticks` of its ticks after it has acknowledged `acks` entries (with none: while it starts,
/// perhaps before the ledger is open), and returns all that it acknowledged.
fn killed(path: &Path, acks: usize, mut ticks: u64) -> Vec<(u64, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "ledger_kill::child", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    let mut alive = true;
    for line in lines {
        // The last line may break off in the middle; then nobody has read an acknowledgement.
        let Ok(line) = line else { break };
        let words: Vec<&str> = line.split(' ').collect();
        if let ["ACK", seq, hash] = words[..]
            && hash.len() == 64
        {
            seen.push((seq.parse().unwrap(), hash.to_owned()));
        }
        if alive && seen.len() >= acks {
            if ticks == 0 {
                child.kill().unwrap();
                alive = false;
            } else {
                ticks -= 1;
            }
        }
    }
    child.wait().unwrap();
    seen
}

#[test]
fn a_killed_writer_loses_nothing_that_was_acknowledged() {
    let kills: u64 = std::env::var(KILLS).ok().map_or(150, |count| count.parse().expect("a number"));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut acknowledged, mut unseen) = (0, 0);
    let mut dice = 1_u64;
    for kill in 0..kills {
        // Deterministic numbers; the moments themselves are as random as the scheduler.
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let acks = (dice >> 33) % 6;
        let ticks = if acks == 0 { (dice >> 40) % 20_000 } else { (dice >> 40) % 4_000 };
        let seen = killed(&path, acks as usize, ticks);
        runtime.block_on(async {
            let ledger = SqliteLedger::open(&path).await.unwrap();
            for (seq, hash) in &seen {
                let entry = ledger.entry(*seq).await.unwrap().unwrap_or_else(|| panic!("kill {kill} lost entry {seq}"));
                assert_eq!(entry.hash, *hash, "kill {kill}");
            }
            acknowledged += seen.len() as u64;
            let head = ledger.head().await.unwrap().seq;
            assert!(head >= acknowledged + unseen, "kill {kill}: {head}");
            // Written but killed before it could be said.
            unseen = head - acknowledged;
            if kill % 100 == 99 || kill + 1 == kills {
                let report = ledger.verify().await.unwrap();
                assert!(report.ok, "kill {kill}: {:?}", report.problems);
            }
            ledger.close().await;
        });
    }
    println!("{kills} kills, {acknowledged} entries acknowledged, {unseen} written but not yet said");
    assert!(acknowledged > kills / 2);
}

/// What a power failure may leave of the log: any beginning of it.
#[tokio::test]
async fn a_log_that_breaks_off_leaves_a_whole_chain_that_goes_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).await.unwrap();
    for number in 0..12 {
        ledger.append(draft(EntryKind::Note, json!({"number": number}))).await.unwrap();
    }
    let log = std::fs::read(path.with_extension("db-wal")).unwrap();
    let mut lengths = std::collections::BTreeSet::new();
    for cut in (0..log.len()).step_by(log.len() / 40).chain([log.len()]) {
        let copy = TempDir::new().unwrap();
        let torn = copy.path().join("ledger.db");
        std::fs::copy(&path, &torn).unwrap();
        std::fs::write(torn.with_extension("db-wal"), &log[..cut]).unwrap();
        let opened = SqliteLedger::open(&torn).await.unwrap();
        let report = opened.verify().await.unwrap();
        assert!(report.ok && report.entries <= 12, "cut at {cut}: {:?}", report.problems);
        lengths.insert(report.entries);
        let next = opened.append(draft(EntryKind::Note, json!({}))).await.unwrap();
        assert_eq!(next.seq, report.entries + 1);
        assert!(opened.verify().await.unwrap().ok);
    }
    assert!(lengths.len() > 5 && lengths.contains(&12), "the cuts fell on many entries: {lengths:?}");
}
