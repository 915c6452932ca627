use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::*;
use crate::domain::Timestamp;

fn draft(kind: EntryKind, payload: Value) -> Draft {
    Draft {
        at: Timestamp::from_millis(1_700_000_000_123),
        kind,
        incident: Some("inc-1".into()),
        actor: "oncall-1".into(),
        payload,
    }
}

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state/ledger.sqlite")
    }

    async fn open(&self) -> SqliteLedger {
        SqliteLedger::open(self.path()).await.unwrap()
    }

    /// A ledger with `count` notes.
    async fn with_notes(&self, count: usize) -> SqliteLedger {
        let ledger = self.open().await;
        for number in 0..count {
            ledger.append(draft(EntryKind::Note, json!({"text": format!("note {number}")}))).await.unwrap();
        }
        ledger
    }
}

/// What somebody with the file can do: the triggers dropped, then anything.
async fn tamper(path: &Path, sql: &str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let sql = format!("DROP TRIGGER entries_follow; DROP TRIGGER entries_stay; DROP TRIGGER entries_remain; {sql};");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    // Put back, so that only the edit itself can be what is found.
    let triggers = &super::sqlite::SCHEMA[super::sqlite::SCHEMA.find("CREATE TRIGGER").unwrap()..];
    sqlx::raw_sql(AssertSqlSafe(triggers)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn problems_after(count: usize, sql: &str) -> Vec<String> {
    let home = Home::new();
    home.with_notes(count).await.close().await;
    tamper(&home.path(), sql).await;
    let report = home.open().await.verify().await.unwrap();
    assert_eq!(report.ok, report.problems.is_empty());
    report.problems.into_iter().map(|problem| format!("{}: {}", problem.seq, problem.what)).collect()
}

#[tokio::test]
async fn the_file_refuses_changes_while_its_triggers_stand() {
    let home = Home::new();
    home.with_notes(2).await.close().await;
    let mut connection = SqliteConnectOptions::new().filename(home.path()).connect().await.unwrap();
    for sql in [
        "UPDATE entries SET actor = 'x'",
        "DELETE FROM entries WHERE seq = 2",
        "INSERT OR REPLACE INTO entries SELECT 1, at, kind, incident, 'x', payload, prev_hash, 'h' FROM entries WHERE seq = 1",
        "INSERT INTO entries SELECT 9, at, kind, incident, actor, payload, prev_hash, 'h' FROM entries WHERE seq = 1",
    ] {
        assert!(sqlx::query(sql).execute(&mut connection).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn deletions_and_exchanges_are_found() {
    let gone = problems_after(5, "DELETE FROM entries WHERE seq = 3").await;
    assert_eq!(gone, ["4: entry 3 is gone", "4: does not continue the entry before it"]);
    assert!(!problems_after(5, "DELETE FROM entries WHERE seq = 1").await.is_empty());
    let exchanged = "UPDATE entries SET seq = -3 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 4; \
                     UPDATE entries SET seq = 4 WHERE seq = -3";
    assert!(problems_after(5, exchanged).await.len() >= 2);
    let renumbered = "DELETE FROM entries WHERE seq = 3; UPDATE entries SET seq = seq - 1 WHERE seq > 3";
    assert!(!problems_after(5, renumbered).await.is_empty());
}

#[tokio::test]
async fn removed_triggers_are_found() {
    let home = Home::new();
    home.with_notes(1).await.close().await;
    let mut connection = SqliteConnectOptions::new().filename(home.path()).connect().await.unwrap();
    sqlx::query("DROP TRIGGER entries_stay").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(!home.open().await.verify().await.unwrap().ok);
}

#[tokio::test]
async fn it_goes_on_where_it_ended() {
    let home = Home::new();
    home.with_notes(3).await.close().await;
    let ledger = home.open().await;
    assert_eq!(ledger.append(draft(EntryKind::Note, json!({}))).await.unwrap().seq, 4);
    // Dropped without closing, as when the program dies.
    drop(ledger);
    assert_eq!(home.open().await.verify().await.unwrap().entries, 4);
}

#[tokio::test]
async fn only_the_owner_can_read_it() {
    let home = Home::new();
    let _ledger = home.with_notes(1).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path()), 0o600);
    assert_eq!(mode(home.path().parent().unwrap()), 0o700);
    assert_eq!(mode(&home.path().with_file_name("ledger.sqlite-wal")), 0o600);
}

#[tokio::test]
async fn other_files_are_left_alone() {
    let home = Home::new();
    std::fs::create_dir(home.path().parent().unwrap()).unwrap();
    std::fs::write(
        home.path(),
        "this is a text file, long enough to be read as a header of something else\n".repeat(20),
    )
    .unwrap();
    assert!(matches!(SqliteLedger::open(home.path()).await, Err(LedgerError::NotALedger(_))));
    std::fs::remove_file(home.path()).unwrap();

    let options = SqliteConnectOptions::new().filename(home.path()).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE other (x)").execute(&mut connection).await.unwrap();
    assert!(matches!(SqliteLedger::open(home.path()).await, Err(LedgerError::NotALedger(_))));
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let home = Home::new();
    home.with_notes(1).await.close().await;
    tamper(&home.path(), "PRAGMA user_version = 7").await;
    let error = SqliteLedger::open(home.path()).await.unwrap_err();
    assert!(error.to_string().contains("format 7, this program knows up to 1"), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_is_written() {
    let home = Home::new();
    let ledger = home.with_notes(3).await;
    {
        let mut writer = ledger.writer_for_tests().await;
        sqlx::query("PRAGMA max_page_count = 1").execute(&mut *writer).await.unwrap();
    }
    let error = ledger.append(draft(EntryKind::RunIntent, json!({"x": "y".repeat(100_000)}))).await.unwrap_err();
    assert!(matches!(error, LedgerError::Full(_)), "{error}");
    assert_eq!(ledger.verify().await.unwrap().entries, 3);
}

#[tokio::test]
async fn a_read_only_ledger_is_read_and_not_written() {
    let home = Home::new();
    home.with_notes(2).await.close().await;
    let ledger = SqliteLedger::open_read_only(home.path()).await.unwrap();
    assert!(ledger.verify().await.unwrap().ok);
    let error = ledger.append(draft(EntryKind::RunIntent, json!({}))).await.unwrap_err();
    assert!(matches!(error, LedgerError::ReadOnly(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_edit_of_any_field_is_found(
        seq in 1..=6i64,
        column in prop::sample::select(vec!["at", "kind", "incident", "actor", "payload", "prev_hash", "hash"]),
        text in "[ -&(-~]{0,20}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let problems = runtime.block_on(problems_after(
            6,
            &format!("UPDATE entries SET {column} = '{text}' WHERE seq = {seq}"),
        ));
        prop_assert!(!problems.is_empty());
    }
}
