//! The rights and triggers of a ledger in PostgreSQL, tried as those who should not get through.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _};
use stanch::domain::ledger::EntryKind;
use stanch::ledger::{Ledger as _, LedgerError, MIGRATION, PostgresLedger};

use crate::ledger_contract::draft;
use crate::postgres_server::Postgres;
use crate::program::Program;

/// Changes, removals, and ways around the chain.
const ATTACKS: [&str; 10] = [
    "UPDATE stanch.entries SET actor = 'x'",
    "DELETE FROM stanch.entries WHERE seq = 2",
    "TRUNCATE stanch.entries",
    "INSERT INTO stanch.entries (seq, at, kind, actor, payload, prev_hash, hash) SELECT 9, at, kind, actor, payload, \
     repeat('1', 64), repeat('2', 64) FROM stanch.entries WHERE seq = 1",
    "INSERT INTO stanch.entries (seq, at, kind, actor, payload, prev_hash, hash) SELECT 3, at, kind, actor, payload, \
     repeat('1', 64), repeat('2', 64) FROM stanch.entries WHERE seq = 1",
    "INSERT INTO stanch.entries (seq, at, kind, actor, payload, prev_hash, hash) SELECT 1, at, kind, 'x', payload, \
     prev_hash, hash FROM stanch.entries WHERE seq = 1 ON CONFLICT (seq) DO UPDATE SET actor = 'x'",
    "MERGE INTO stanch.entries AS e USING (VALUES (1)) AS v (seq) ON e.seq = v.seq WHEN MATCHED THEN DELETE",
    "COPY stanch.entries (seq, at, kind, actor, payload, prev_hash, hash) FROM PROGRAM 'true'",
    "SET session_replication_role = replica; DELETE FROM stanch.entries",
    "UPDATE stanch.format SET version = 0",
];

/// What only an owner may do.
const OWNERS: [&str; 4] = [
    "ALTER TABLE stanch.entries DISABLE TRIGGER ALL",
    "DROP TRIGGER entries_stay ON stanch.entries",
    "DROP TABLE stanch.entries",
    "CREATE OR REPLACE FUNCTION stanch.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
];

async fn attempt(server: &Postgres, role: &str, database: &str, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = server.connect(role, database).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_may_add_and_read_and_nothing_else() {
    let server = Postgres::start().await;
    let database = server.ledger().await;
    // A second time does no harm, and opens nothing.
    server.sql(&database, MIGRATION).await;
    let ledger = PostgresLedger::open(&server.url("alice", &database), None).await.unwrap();
    for _ in 0..2 {
        ledger.append(draft(EntryKind::Note, json!({}))).await.unwrap();
    }
    for role in ["alice", "auditor"] {
        for sql in ATTACKS.iter().chain(&OWNERS) {
            let refused = attempt(&server, role, &database, sql).await;
            assert!(refused.is_err(), "{role}: {sql}");
        }
    }
    // The owner and a superuser run into the triggers, as long as they do not remove them.
    for sql in &ATTACKS[..5] {
        assert!(attempt(&server, "postgres", &database, sql).await.is_err(), "{sql}");
    }
    assert!(
        attempt(&server, "postgres", &database, ATTACKS[8]).await.is_err(),
        "a replication session is no way around"
    );
    let report = ledger.verify().await.unwrap();
    assert_eq!((report.ok, report.entries), (true, 2), "{:?}", report.problems);

    // The server's own word on who wrote, whatever the client calls itself.
    let row = sqlx::query("SELECT DISTINCT login FROM stanch.entries")
        .fetch_one(&mut server.connect("auditor", &database).await)
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), "alice");

    let auditor = PostgresLedger::open(&server.url("auditor", &database), None).await.unwrap();
    assert!(auditor.verify().await.unwrap().ok);
    assert!(ledger.writable().await.is_ok() && auditor.writable().await.is_err());
    let error = auditor.append(draft(EntryKind::RunIntent, json!({}))).await.unwrap_err();
    assert!(matches!(error, LedgerError::ReadOnly(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_owner_did_behind_the_triggers_is_found() {
    let server = Postgres::start().await;
    for (sql, said) in [
        ("UPDATE stanch.entries SET actor = 'x' WHERE seq = 2", "its hash does not fit its content"),
        ("DELETE FROM stanch.entries WHERE seq = 2", "entry 2 is gone"),
        ("UPDATE stanch.entries SET intent = 1 WHERE seq = 3", "its index of intents does not fit"),
        ("DROP TRIGGER entries_remain ON stanch.entries", "triggers that keep entries"),
    ] {
        let database = server.ledger().await;
        let ledger = PostgresLedger::open(&server.url("bob", &database), None).await.unwrap();
        for _ in 0..4 {
            ledger.append(draft(EntryKind::Note, json!({}))).await.unwrap();
        }
        server.sql(&database, &format!("ALTER TABLE stanch.entries DISABLE TRIGGER ALL; {sql}")).await;
        if !sql.starts_with("DROP") {
            let back = "ALTER TABLE stanch.entries ENABLE ALWAYS TRIGGER ALL";
            let back = ["entries_follow", "entries_stay", "entries_remain"].map(|name| back.replace("ALL", name));
            server.sql(&database, &back.join(";").replace("ENABLE entries", "ENABLE ALWAYS TRIGGER entries")).await;
        }
        let problems = ledger.verify().await.unwrap().problems;
        assert!(problems.iter().any(|problem| problem.what.contains(said)), "{sql}: {problems:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_trusted_is_said() {
    let server = Postgres::start().await;
    let empty = server.empty_database().await;
    let error = PostgresLedger::open(&server.url("alice", &empty), None).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotSetUp(_)), "{error}");
    assert!(error.to_string().contains("stanch audit migration"), "{error}");

    let newer = server.ledger().await;
    server.sql(&newer, "UPDATE stanch.format SET version = 9").await;
    let error = PostgresLedger::open(&server.url("alice", &newer), None).await.unwrap_err();
    assert!(matches!(error, LedgerError::Newer { found: 9, .. }), "{error}");

    let lazy = server.ledger().await;
    server.sql("postgres", &format!("ALTER DATABASE {lazy} SET synchronous_commit = off")).await;
    let ledger = PostgresLedger::open(&server.url("alice", &lazy), None).await.unwrap();
    assert_eq!(ledger.append(draft(EntryKind::Note, json!({}))).await.unwrap().seq, 1);

    let standby = server.ledger().await;
    server.sql("postgres", &format!("ALTER DATABASE {standby} SET default_transaction_read_only = on")).await;
    let ledger = PostgresLedger::open(&server.url("alice", &standby), None).await.unwrap();
    let error = ledger.append(draft(EntryKind::Note, json!({}))).await.unwrap_err();
    assert!(matches!(error, LedgerError::ReadOnly(_)), "{error}");
    assert!(ledger.verify().await.unwrap().ok, "reading goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_reads_a_ledger_in_postgres() {
    let server = Postgres::start().await;
    let database = server.ledger().await;
    let url = server.url("alice", &database);
    PostgresLedger::open(&url, None).await.unwrap().append(draft(EntryKind::Note, json!({}))).await.unwrap();
    let program = Program::new();
    let config = program.file("config.toml", &format!("[ledger]\nurl = \"{url}\"\n"));
    let config = config.to_str().unwrap();
    let verified = program.json(&["--config", config, "audit", "verify"]);
    assert_eq!((&verified["ok"], &verified["entries"]), (&true.into(), &1.into()), "{verified}");
    let list = program.json(&["--config", config, "audit", "list"]);
    assert_eq!(list["entries"][0]["kind"], "note", "{list}");
    assert!(program.run(&["audit", "migration"]).stdout.contains("CREATE TABLE"));
}

/// The server crashes five times in the middle of what four writers do.
#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_server_loses_nothing_that_was_acknowledged() {
    let mut server = Postgres::start().await;
    let database = server.ledger().await;
    let url = server.url("alice", &database);
    let reader = PostgresLedger::open(&url, None).await.unwrap();
    let mut acknowledged = BTreeMap::new();
    for crash in 0..5 {
        let (acks, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let mut writers = Vec::new();
        for writer in 0..4 {
            let ledger = PostgresLedger::open(&url, None).await.unwrap();
            let acks = acks.clone();
            writers.push(tokio::spawn(async move {
                while let Ok(entry) = ledger.append(draft(EntryKind::Note, json!({"writer": writer}))).await {
                    let _ = acks.send(entry);
                }
            }));
        }
        drop(acks);
        for _ in 0..20 + crash * 7 {
            let entry = seen.recv().await.unwrap();
            acknowledged.insert(entry.seq, entry);
        }
        server.crash().await;
        for writer in writers {
            // Some find the server back before they notice that it was gone.
            writer.abort();
            let _ = writer.await;
        }
        while let Some(entry) = seen.recv().await {
            acknowledged.insert(entry.seq, entry);
        }
    }
    for (seq, entry) in &acknowledged {
        assert_eq!(reader.entry(*seq).await.unwrap().as_ref(), Some(entry), "the pool finds the server again");
    }
    let report = reader.verify().await.unwrap();
    assert!(report.ok && report.entries >= acknowledged.len() as u64, "{:?}", report.problems);
}
