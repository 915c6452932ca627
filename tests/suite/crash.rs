//! A process that is killed in the middle of a run, and a ledger that was tampered with.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use stanch::app::engine::{Engine, Origin};
use stanch::app::execution::{self, Execution, News};
use stanch::config::{self, Config};
use stanch::domain::action::{Action, Digest, RunState};
use stanch::domain::{Text, Timestamp};
use stanch::sources::demo;
use tokio_util::sync::CancellationToken;

use crate::program::Program;

const CHILD: &str = "STANCH_TEST_LEDGER";

fn engine(ledger: &Path) -> Engine {
    engine_with(config::Ledger { path: Some(ledger.to_owned()), ..config::Ledger::default() })
}

/// The demo with this ledger.
pub(crate) fn engine_with(ledger: config::Ledger) -> Engine {
    let config = Config { ledger, ..Config::default() };
    let demo = demo::bundle(Timestamp::from_secs(1_800_000_000));
    Engine::new(config, None, Origin::Demo(demo), None, None).expect("the demo opens")
}

pub(crate) fn action(argv: &[&str]) -> Action {
    Action {
        id: "P1".into(),
        incident: "I-test".into(),
        origin: stanch::domain::action::Origin::Operator("tester".into()),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        change: None,
        target: Text::default(),
        rationale: Text::default(),
        rollback: None,
        verify: None,
    }
}

/// Runs an action as after its confirmation; returns how it ended, and its output.
async fn run(engine: &Engine, action: &Action, on_news: impl Fn(&News)) -> (RunState, usize) {
    let ready = execution::prepare(engine, &engine.standing, action).await.expect("it can be prepared");
    assert_eq!(ready.blocked, None, "{:?}", ready.judged);
    let (sender, mut news) = tokio::sync::mpsc::channel(16);
    let order = Execution { digest: ready.digest.clone(), typed: ready.word.clone(), break_glass: None };
    let watch = async {
        while let Some(item) = news.recv().await {
            on_news(&item);
        }
    };
    let (record, ()) =
        tokio::join!(execution::run(engine, &ready, action, order, sender, CancellationToken::new()), watch);
    let record = record.expect("it runs");
    (record.state, record.output.len())
}

/// The process that will be killed: runs something that goes on until its parent is dead, and says when it runs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the test below"]
async fn child() {
    let Some(ledger) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let engine = engine(&ledger);
    let pid = format!("--pid={}", std::process::id());
    run(&engine, &action(&["tail", "-f", &pid, "/proc/sys/kernel/hostname"]), |news| {
        if let News::Line(_) = news {
            println!("RUNNING");
        }
    })
    .await;
}

#[test]
fn a_run_whose_program_was_killed_is_shown_as_unknown() {
    let program = Program::new();
    std::fs::create_dir_all(program.ledger().parent().unwrap()).unwrap();
    let mut killed = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::child", "--nocapture"])
        .env(CHILD, program.ledger())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("RUNNING")), "the run never began");
    killed.kill().unwrap();
    killed.wait().unwrap();

    let list = program.json(&["audit", "list"]);
    let kinds: Vec<_> = list["entries"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["policy", "session", "run_intent"], "who runs what under which policy stands before the run");
    assert_eq!(list["openIntents"], serde_json::json!([3]), "{list}");
    let verified = program.json(&["audit", "verify"]);
    assert_eq!((&verified["ok"], &verified["openIntents"][0]), (&true.into(), &3.into()), "{verified}");
    assert!(program.run(&["audit", "list"]).stdout.contains("OUTCOME UNKNOWN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_ledger_does_not_verify() {
    let program = Program::new();
    let engine = engine(&program.ledger());
    let (state, lines) = run(&engine, &action(&["uname"]), |_| {}).await;
    assert_eq!((state, lines), (RunState::Exited { code: 0 }, 1));
    drop(engine);
    assert_eq!(program.json(&["audit", "verify"])["entries"], 4);

    // Into the file itself: a frame of the log that was edited is dropped by SQLite as one that never was complete.
    let path = program.ledger();
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    // What somebody with the file and an editor would do: the same length, another command.
    let mut bytes = std::fs::read(&path).unwrap();
    let at: Vec<usize> = (0..bytes.len().saturating_sub(7)).filter(|&at| &bytes[at..at + 7] == b"\"uname\"").collect();
    assert!(!at.is_empty(), "the command stands in the ledger");
    for at in at {
        bytes[at..at + 7].copy_from_slice(b"\"xname\"");
    }
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    file.write_all(&bytes).unwrap();
    drop(file);
    let said = program.run(&["--json", "audit", "verify"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(said.document()["ok"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_nothing_runs() {
    let program = Program::new();
    let blocked = program.file("not-a-folder", "");
    let engine = engine(&blocked.join("ledger.db"));
    let marker = program.home().join("ran");
    let action = action(&["cat", marker.to_str().unwrap()]);
    let ready = execution::prepare(&engine, &engine.standing, &action).await.unwrap();
    let (sender, _news) = tokio::sync::mpsc::channel(16);
    let order = Execution { digest: ready.digest.clone(), typed: ready.word.clone(), break_glass: None };
    let refused = execution::run(&engine, &ready, &action, order, sender, CancellationToken::new()).await.unwrap_err();
    assert!(refused.to_string().contains("nothing was run"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_digest_than_the_one_shown_runs_nothing() {
    let program = Program::new();
    let engine = engine(&program.ledger());
    let action = action(&["uname"]);
    let ready = execution::prepare(&engine, &engine.standing, &action).await.unwrap();
    let (sender, _news) = tokio::sync::mpsc::channel(16);
    let order = Execution { digest: Digest("0".repeat(64)), typed: None, break_glass: None };
    let refused = execution::run(&engine, &ready, &action, order, sender, CancellationToken::new()).await.unwrap_err();
    assert!(refused.to_string().contains("not what was shown"), "{refused}");
    drop(engine);
    let entries = program.json(&["audit", "list"])["entries"].clone();
    assert_eq!(entries[2]["kind"], "refusal", "the refusal is written down: {entries}");
    assert_eq!(entries.as_array().unwrap().len(), 3);
}
