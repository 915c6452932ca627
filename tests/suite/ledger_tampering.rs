//! Somebody with the file, the program's source and time: whatever he does to what was anchored is found.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use stanch::domain::ledger::EntryKind;
use stanch::ledger::{Head, Ledger as _, SqliteLedger};
use tempfile::TempDir;

use crate::ledger_contract::draft;

const ENTRIES: i64 = 12;

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    seq: i64,
    /// `at`, `kind`, `incident`, `actor`, `payload`, `prev_hash`, `hash`.
    columns: [String; 7],
}

/// What somebody does.
#[derive(Debug, Clone)]
enum Deed {
    Edit {
        index: usize,
        column: usize,
        text: String,
    },
    Remove {
        index: usize,
    },
    Exchange {
        one: usize,
        other: usize,
    },
    CutOff {
        keep: usize,
    },
    Repeat {
        index: usize,
    },
    /// Numbers and hashes are made anew from here on, so that the chain is whole again.
    SignAnew {
        from: usize,
    },
}

fn deed() -> impl Strategy<Value = Deed> {
    let index = 0..ENTRIES as usize;
    prop_oneof![
        (index.clone(), 0..7_usize, "[a-z0-9\"{}:]{0,8}").prop_map(|(index, column, text)| Deed::Edit {
            index,
            column,
            text
        }),
        (index.clone(), Just(()), Just(())).prop_map(|(index, (), ())| Deed::Edit {
            index,
            column: 4,
            text: r#"{"number":77}"#.into()
        }),
        index.clone().prop_map(|index| Deed::Remove { index }),
        (index.clone(), index.clone()).prop_map(|(one, other)| Deed::Exchange { one, other }),
        index.clone().prop_map(|keep| Deed::CutOff { keep }),
        index.clone().prop_map(|index| Deed::Repeat { index }),
        index.prop_map(|from| Deed::SignAnew { from }),
    ]
}

impl Deed {
    fn apply(&self, rows: &mut Vec<Row>) {
        if rows.is_empty() {
            return;
        }
        let length = rows.len();
        let at = |index: usize| index % length;
        match self {
            Self::Edit { index, column, text } => {
                let index = at(*index);
                rows[index].columns[*column].clone_from(text);
            }
            Self::Remove { index } => drop(rows.remove(at(*index))),
            Self::Exchange { one, other } => {
                let (one, other) = (at(*one), at(*other));
                let kept = rows[one].columns.clone();
                rows[one].columns = std::mem::replace(&mut rows[other].columns, kept);
            }
            Self::CutOff { keep } => rows.truncate(at(*keep)),
            Self::Repeat { index } => {
                let copy = Row { seq: rows.len() as i64 + 1, ..rows[at(*index)].clone() };
                rows.push(copy);
            }
            Self::SignAnew { from } => sign_anew(rows, at(*from)),
        }
    }
}

/// The hash as the documentation gives it, written down a second time.
fn sign_anew(rows: &mut [Row], from: usize) {
    for index in from..rows.len() {
        let prev = if index == 0 { "0".repeat(64) } else { rows[index - 1].columns[6].clone() };
        let row = &mut rows[index];
        row.seq = index as i64 + 1;
        let text = |value: &str| Value::from(value).to_string();
        let [at, kind, incident, actor, payload, ..] = &row.columns;
        let hashed = format!(
            "{prev}{{\"actor\":{},\"at\":{},\"incident\":{},\"kind\":{},\"payload\":{payload},\"seq\":{}}}",
            text(actor),
            text(at),
            text(incident),
            text(kind),
            row.seq
        );
        row.columns[5] = prev;
        row.columns[6] = stanch::domain::canonical::hex(&Sha256::digest(hashed));
    }
}

async fn rows(connection: &mut SqliteConnection) -> Vec<Row> {
    let all = sqlx::query("SELECT seq, at, kind, incident, actor, payload, prev_hash, hash FROM entries ORDER BY seq");
    let rows = all.fetch_all(connection).await.unwrap();
    rows.iter().map(|row| Row { seq: row.get(0), columns: std::array::from_fn(|index| row.get(index + 1)) }).collect()
}

/// Puts `rows` in the place of what was there, and the triggers back afterwards.
async fn replace(path: &Path, rows: &[Row]) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let triggers: Vec<String> = sqlx::query("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
        .fetch_all(&mut connection)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let drop =
        "DROP TRIGGER entries_follow; DROP TRIGGER entries_stay; DROP TRIGGER entries_remain; DELETE FROM entries;";
    sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
    for row in rows {
        let insert = "INSERT OR IGNORE INTO entries (seq, at, kind, incident, actor, payload, prev_hash, hash) VALUES \
                      (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut query = sqlx::query(insert).bind(row.seq);
        for column in &row.columns {
            query = query.bind(column);
        }
        query.execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql(AssertSqlSafe(triggers.join(";"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

struct Original {
    folder: TempDir,
    rows: Vec<Row>,
    anchors: Vec<Head>,
}

async fn original() -> Original {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let mut anchors = Vec::new();
    for number in 1..=ENTRIES {
        let entry = ledger.append(draft(EntryKind::Note, json!({"number": number}))).await.unwrap();
        if number % 4 == 0 {
            anchors.push(Head { seq: entry.seq, hash: entry.hash });
        }
    }
    ledger.close().await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let rows = rows(&mut connection).await;
    connection.close().await.unwrap();
    Original { folder, rows, anchors }
}

/// Whether all that was anchored still stands after the deeds, whatever was appended behind it, and whether the ledger
/// verifies alone and against the anchors.
async fn after(original: &Original, deeds: &[Deed]) -> (bool, bool, bool) {
    let copy = TempDir::new().unwrap();
    let path = copy.path().join("ledger.db");
    std::fs::copy(original.folder.path().join("ledger.db"), &path).unwrap();
    let mut changed = original.rows.clone();
    for deed in deeds {
        deed.apply(&mut changed);
    }
    replace(&path, &changed).await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let stands = rows(&mut connection).await.starts_with(&original.rows);
    connection.close().await.unwrap();
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let alone = ledger.verify().await.unwrap().ok;
    let anchored = ledger.verify_against(original.anchors.clone()).await.unwrap().ok;
    (stands, alone, anchored)
}

#[test]
fn whatever_is_done_to_what_was_anchored_is_found() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let original = runtime.block_on(original());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let (mut found, mut only_by_anchor) = (0, 0);
    let (found, only_by_anchor) = (&mut found, &mut only_by_anchor);
    let counts = std::cell::RefCell::new((found, only_by_anchor));
    runner
        .run(&prop::collection::vec(deed(), 1..4), |deeds| {
            let (stands, alone, anchored) = runtime.block_on(after(&original, &deeds));
            // Entries that follow the rules behind the last anchor are a continuation, not a forgery.
            prop_assert_eq!(anchored, stands && alone, "{:?}", deeds);
            let mut counts = counts.borrow_mut();
            *counts.0 += u32::from(!anchored);
            *counts.1 += u32::from(alone && !anchored);
            Ok(())
        })
        .unwrap_or_else(|why| panic!("{why}"));
    let counts = counts.borrow();
    println!("{} forgeries found, {} of them only by an anchor", counts.0, counts.1);
    assert!(*counts.0 > 100 && *counts.1 > 0);
}

#[tokio::test]
async fn each_kind_of_forgery_is_found() {
    let original = original().await;
    let edit = Deed::Edit { index: 2, column: 3, text: "mallory".into() };
    for (deeds, alone) in [
        (vec![edit.clone()], false),
        (vec![Deed::Remove { index: 5 }], false),
        (vec![Deed::Exchange { one: 1, other: 8 }], false),
        // A clean cut, and a tail that was written and hashed anew, verify without an anchor.
        (vec![Deed::CutOff { keep: 9 }], true),
        (vec![Deed::CutOff { keep: 3 }], true),
        (vec![edit, Deed::SignAnew { from: 2 }], true),
        (vec![Deed::Remove { index: 10 }, Deed::SignAnew { from: 9 }], true),
        (
            vec![
                Deed::Repeat { index: 4 },
                Deed::SignAnew { from: 0 },
                Deed::Remove { index: 0 },
                Deed::SignAnew { from: 0 },
            ],
            true,
        ),
    ] {
        assert_eq!(after(&original, &deeds).await, (false, alone, false), "{deeds:?}");
    }
    assert_eq!(after(&original, &[]).await, (true, true, true));
}
