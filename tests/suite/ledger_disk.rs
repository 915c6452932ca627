//! Disks that are full or read-only: nothing is written and nothing runs, reading goes on, and so does writing once
//! there is room. Needs the right to mount; without it SQLite's own bound on pages is what is tested elsewhere.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use stanch::app::execution::{self, Execution};
use stanch::config;
use stanch::domain::ledger::EntryKind;
use stanch::ledger::{Ledger, LedgerError, PostgresLedger, SqliteLedger};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::crash::{action, engine_with};
use crate::ledger_contract::draft;
use crate::postgres_server::{NOBODY, Postgres};
use crate::program::Program;

/// A file system of so many KiB, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` without the right to mount.
    fn mount(kibibytes: u32) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kibibytes}k"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            println!("no right to mount a small file system here");
        }
        // Nothing to unmount otherwise.
        mounted.then(|| Self(folder))
    }

    fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger.db")
    }

    /// Takes the last free byte.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filling");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write(&[1; 4_096]).is_ok_and(|written| written > 0) {}
        path
    }

    fn make_read_only(&self) {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(self.0.path()).status().unwrap();
        assert!(remounted.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a connection may still be closing.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

async fn write(path: &Path, count: u64) -> SqliteLedger {
    let ledger = SqliteLedger::open(path).await.unwrap();
    for number in 0..count {
        ledger.append(draft(EntryKind::Note, json!({"number": number}))).await.unwrap();
    }
    ledger
}

/// A ledger as a killed writer leaves it: what was appended stands in the log only.
async fn left_behind(path: &Path, count: u64) {
    let elsewhere = TempDir::new().unwrap();
    let original = elsewhere.path().join("ledger.db");
    let ledger = write(&original, count).await;
    for ending in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        std::fs::copy(name(&original), name(path)).unwrap();
    }
    ledger.close().await;
}

/// Readable with so many entries, and not writable for the reason that is expected.
async fn only_reads(ledger: &dyn Ledger, entries: u64, why: fn(&LedgerError) -> bool) {
    let report = ledger.verify().await.unwrap();
    assert_eq!((report.ok, report.entries), (true, entries), "{:?}", report.problems);
    let error = ledger.append(draft(EntryKind::RunIntent, json!({"text": ""}))).await.unwrap_err();
    assert!(why(&error), "{error:?}");
    assert_eq!(ledger.head().await.unwrap().seq, entries);
    // That a database is full shows only when it is written.
    let writable = ledger.writable().await;
    assert!(writable.as_ref().map_or_else(why, |()| why(&LedgerError::Full(String::new()))), "{writable:?}");
}

fn full(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Full(_))
}

fn read_only(error: &LedgerError) -> bool {
    matches!(error, LedgerError::ReadOnly(_))
}

#[tokio::test]
async fn a_disk_that_fills_up_stops_writing_only() {
    let Some(disk) = SmallDisk::mount(512) else { return };
    let ledger = write(&disk.ledger(), 0).await;
    let mut written = 0;
    let error = loop {
        match ledger.append(draft(EntryKind::RunIntent, json!({"text": "x".repeat(5_000)}))).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the disk is small");
    };
    assert!(full(&error), "{error}");
    let report = ledger.verify().await.unwrap();
    assert_eq!((report.ok, report.entries), (true, written), "{:?}", report.problems);
    // The log was taken over into the file, which made room for a little more.
    match ledger.append(draft(EntryKind::RunIntent, json!({}))).await {
        Ok(_) => written += 1,
        Err(error) => assert!(full(&error), "{error}"),
    }
    ledger.close().await;
    // A new process finds the same, and can read.
    let again = SqliteLedger::open_read_only(disk.ledger()).await.unwrap();
    assert_eq!(again.verify().await.map(|report| report.entries), Ok(written));
}

/// A ledger with three entries of a process that closed it, or of one that was killed.
async fn three_entries(path: &Path, closed: bool) {
    if closed {
        write(path, 3).await.close().await;
    } else {
        left_behind(path, 3).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_found_read_and_written_again_when_there_is_room() {
    for closed in [true, false] {
        let Some(disk) = SmallDisk::mount(2_048) else { return };
        three_entries(&disk.ledger(), closed).await;
        let filling = disk.fill();
        let reader = SqliteLedger::open_read_only(disk.ledger()).await.unwrap();
        only_reads(&reader, 3, read_only).await;
        reader.close().await;
        let ledger = SqliteLedger::open(disk.ledger()).await.unwrap();
        only_reads(&ledger, 3, full).await;
        std::fs::remove_file(filling).unwrap();
        assert_eq!(ledger.append(draft(EntryKind::Note, json!({}))).await.unwrap().seq, 4);
        let report = ledger.verify().await.unwrap();
        assert_eq!((report.ok, report.entries), (true, 4), "{:?}", report.problems);
    }
}

#[tokio::test]
async fn a_read_only_file_system_is_read() {
    for closed in [true, false] {
        let Some(disk) = SmallDisk::mount(2_048) else { return };
        three_entries(&disk.ledger(), closed).await;
        disk.make_read_only();
        only_reads(&SqliteLedger::open(disk.ledger()).await.unwrap(), 3, read_only).await;
        only_reads(&SqliteLedger::open_read_only(disk.ledger()).await.unwrap(), 3, read_only).await;
    }
}

/// For whoever is not root, to whom rights mean nothing.
#[tokio::test]
async fn a_folder_without_the_right_to_write_is_read() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let rights = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for closed in [true, false] {
        if closed {
            write(&path, 3).await.close().await;
        } else {
            left_behind(&path, 3).await;
        }
        rights(&path, 0o400);
        rights(folder.path(), 0o500);
        only_reads(&SqliteLedger::open(&path).await.unwrap(), 3, read_only).await;
        rights(folder.path(), 0o700);
        rights(&path, 0o600);
    }
}

/// Whether an everyday command runs with this ledger, or why it does not.
async fn attempt(ledger: config::Ledger) -> Result<(), String> {
    let engine = engine_with(ledger);
    let action = action(&["uname"]);
    let ready = execution::prepare(&engine, &engine.standing, &action).await.unwrap();
    let (sender, mut news) = tokio::sync::mpsc::channel(64);
    let order = Execution { digest: ready.digest.clone(), typed: ready.word.clone(), break_glass: None };
    let ran = execution::run(&engine, &ready, &action, order, sender, CancellationToken::new()).await;
    if let Err(refused) = &ran {
        assert!(news.recv().await.is_none(), "what is refused prints nothing: {refused}");
    }
    ran.map(drop).map_err(|refused| refused.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_no_command_runs_and_the_program_reads_on() {
    let Some(disk) = SmallDisk::mount(2_048) else { return };
    let ledger = config::Ledger { path: Some(disk.ledger()), ..config::Ledger::default() };
    attempt(ledger.clone()).await.unwrap();
    let filling = disk.fill();
    let refused = attempt(ledger.clone()).await.unwrap_err();
    assert!(refused.contains("nothing was run") && refused.contains("disk is full"), "{refused}");

    let program = Program::new();
    let config = program.file("config.toml", &format!("[ledger]\npath = \"{}\"\n", disk.ledger().display()));
    let config = config.to_str().unwrap();
    let entries = || program.json(&["--config", config, "audit", "verify"])["entries"].clone();
    // Policy, session, intent and outcome of the first.
    assert_eq!(entries(), 4);
    std::fs::remove_file(filling).unwrap();
    attempt(ledger).await.unwrap();
    assert_eq!(entries(), 7, "session, intent and outcome");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_read_only_or_full_stops_commands_only() {
    let server = Postgres::start().await;
    let database = server.ledger().await;
    let ledger = |database: &str| config::Ledger { url: Some(server.url("alice", database)), ..Default::default() };
    attempt(ledger(&database)).await.unwrap();
    server.sql("postgres", &format!("ALTER DATABASE {database} SET default_transaction_read_only = on")).await;
    let refused = attempt(ledger(&database)).await.unwrap_err();
    assert!(refused.contains("nothing was run") && refused.contains("is read-only"), "{refused}");
    let open = PostgresLedger::open(&server.url("alice", &database), None).await.unwrap();
    only_reads(&open, 4, read_only).await;

    let Some(disk) = SmallDisk::mount(16 << 10) else { return };
    let place = disk.0.path().join("tables");
    std::fs::create_dir(&place).unwrap();
    for path in [disk.0.path(), &place] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    server.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).await;
    let database = server.ledger().await;
    server.sql("postgres", &format!("ALTER DATABASE {database} SET TABLESPACE small")).await;
    attempt(ledger(&database)).await.unwrap();
    let filling = disk.fill();
    let open = PostgresLedger::open(&server.url("alice", &database), None).await.unwrap();
    let mut written = 4;
    // What the tables have left of their last pages, down to the smallest entry.
    for text in ["x".repeat(1_500), String::new()] {
        while open.append(draft(EntryKind::RunIntent, json!({"text": text}))).await.is_ok() {
            written += 1;
            assert!(written < 1_000, "the disk is small");
        }
    }
    only_reads(&open, written, full).await;
    let refused = attempt(ledger(&database)).await.unwrap_err();
    assert!(refused.contains("nothing was run") && refused.contains("disk is full"), "{refused}");
    std::fs::remove_file(filling).unwrap();
    attempt(ledger(&database)).await.unwrap();
    drop(open);
    drop(server);
}
