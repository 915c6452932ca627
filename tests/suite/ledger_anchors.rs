//! Anchors, exports and the session, through the program and with stock OpenSSH.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use stanch::config;
use stanch::domain::ledger::EntryKind;
use stanch::domain::settings::SourceSettings;
use stanch::ledger::{Ledger as _, SqliteLedger};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::crash::engine_with;
use crate::ledger_contract::draft;
use crate::program::Program;

async fn write(program: &Program, count: usize) {
    std::fs::create_dir_all(program.ledger().parent().unwrap()).unwrap();
    let ledger = SqliteLedger::open(program.ledger()).await.unwrap();
    for number in 0..count {
        ledger.append(draft(EntryKind::Note, json!({"number": number}))).await.unwrap();
    }
    ledger.close().await;
}

/// Makes a key with `ssh-keygen`, and a file of allowed signers with it.
fn keygen(program: &Program, name: &str, kind: &str) {
    let path = program.home().join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-C", name, "-f"])
        .arg(&path)
        .status()
        .expect("ssh-keygen starts: install openssh-client");
    assert!(made.success());
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    program.file(&format!("{name}.signers"), &format!("{name} namespaces=\"stanch-anchor\" {public}"));
}

fn configured(program: &Program, text: &str) -> String {
    let home = program.home().display().to_string();
    program.file("config.toml", &text.replace('~', &home)).display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_are_signed_kept_and_compared() {
    let program = Program::new();
    write(&program, 5).await;
    keygen(&program, "ops", "ed25519");
    keygen(&program, "mallory", "ed25519");
    let config = configured(&program, "[ledger.anchor]\nkey = \"~/ops\"\nfile = \"~/anchors\"\n");
    let run = |arguments: &[&str]| program.run(&[&["--json", "--config", &config], arguments].concat());
    let check = ["audit", "verify", "--anchors", "anchors", "--allowed-signers", "ops.signers"];
    assert_eq!(run(&["audit", "anchor"]).code, 0);
    write(&program, 3).await;
    assert_eq!(run(&["audit", "anchor"]).code, 0);

    let verified = run(&check);
    assert_eq!(verified.code, 0, "{verified:?}");
    let anchors = &verified.document()["anchors"];
    assert_eq!((&anchors["anchors"], &anchors["anchoredEntries"]), (&json!(2), &json!(8)), "{anchors}");
    // A stranger's key is not enough, and no anchor at all is not fine either.
    let strange = ["audit", "verify", "--anchors", "anchors", "--allowed-signers", "mallory.signers"];
    assert_eq!(run(&strange).code, 3);
    program.file("empty", "a log line\n");
    assert_eq!(run(&["audit", "verify", "--anchors", "empty"]).code, 3);

    // Stock OpenSSH agrees.
    let line = std::fs::read_to_string(program.home().join("anchors")).unwrap().lines().last().unwrap().to_owned();
    let document: Value = serde_json::from_str(&line).unwrap();
    let message = line.strip_prefix("{\"anchor\":").unwrap().split(",\"signature\":").next().unwrap();
    program.file("message", message);
    program.file("message.sig", document["signature"].as_str().unwrap());
    let agreed = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-f", "ops.signers", "-I", "ops", "-n", "stanch-anchor", "-s", "message.sig"])
        .current_dir(program.home())
        .stdin(Stdio::from(std::fs::File::open(program.home().join("message")).unwrap()))
        .output()
        .unwrap();
    assert!(agreed.status.success(), "{agreed:?}");

    // The end is cut off: the chain alone is whole, the anchors know better.
    std::fs::remove_dir_all(program.ledger().parent().unwrap()).unwrap();
    assert_eq!(run(&check).code, 3, "no ledger, but anchors of one");
    write(&program, 5).await;
    let cut = run(&check);
    assert_eq!((run(&["audit", "verify"]).code, cut.code), (0, 3));
    assert!(cut.stdout.contains("cut off"), "{cut:?}");
    assert!(!cut.stdout.contains("notExcluded"), "{cut:?}");
    let alone = program.json(&["--config", &config, "audit", "verify"]);
    assert_eq!(alone["notExcluded"], json!(["entries cut off at the end", "a chain written anew"]));
    let said = program.run(&["--config", &config, "audit", "verify"]).stdout;
    assert!(said.contains("no anchors were given") && said.contains("cannot be excluded"), "{said}");
    // Written anew to the same length, by somebody who anchors with a key of his own.
    write(&program, 0).await;
    let ledger = SqliteLedger::open(program.ledger()).await.unwrap();
    for _ in 0..3 {
        ledger.append(draft(EntryKind::Note, json!("forged"))).await.unwrap();
    }
    ledger.close().await;
    let anew = run(&check);
    assert_eq!(anew.code, 3);
    assert!(anew.stdout.contains("written anew"), "{anew:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_are_shipped_to_loki_and_syslog() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/loki/api/v1/push"))
        .and(header("content-type", "application/json"))
        .and(header("x-scope-orgid", "audit"))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    let program = Program::new();
    write(&program, 2).await;
    let syslog = std::os::unix::net::UnixDatagram::bind(program.home().join("log")).unwrap();
    let loki = format!("loki = {{ url = \"{}\", tenant = \"audit\" }}\n", server.uri());
    let config = configured(&program, &format!("[ledger.anchor]\nsyslog = \"~/log\"\n{loki}"));
    let said = program.run(&["--json", "--config", &config, "audit", "anchor"]);
    assert_eq!(said.code, 0, "{said:?}");
    let mut record = [0; 4_096];
    let count = syslog.recv(&mut record).unwrap();
    let record = String::from_utf8_lossy(&record[..count]).into_owned();
    let pushed: Value = serde_json::from_slice(&server.received_requests().await.unwrap()[0].body).unwrap();
    let line = pushed["streams"][0]["values"][0][1].as_str().unwrap();
    assert!(record.starts_with("<109>1 ") && record.ends_with(line), "{record}\n{line}");
    program.file("collected", &record);
    assert_eq!(program.run(&["--config", &config, "audit", "verify", "--anchors", "collected"]).code, 0);
    server.reset().await;
    let failed = program.run(&["--json", "--config", &config, "audit", "anchor"]);
    assert_eq!(failed.code, 3, "a place that does not have it is said: {failed:?}");
    assert_eq!(failed.document()["failed"].as_array().map(Vec::len), Some(1), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_hold_every_entry() {
    let program = Program::new();
    write(&program, 1_500).await;
    let jsonl = program.run(&["audit", "export"]);
    let entries: Vec<Value> = jsonl.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((entries.len(), &entries[1_499]["seq"]), (1_500, &json!(1_500)));
    assert_eq!(entries[7]["prev_hash"], entries[6]["hash"]);
    let ocsf = program.run(&["audit", "export", "--format", "ocsf", "--after", "1498"]);
    let events: Vec<Value> = ocsf.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!((&events[1]["class_uid"], &events[1]["metadata"]["sequence"]), (&json!(6003), &json!(1_500)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_program_anchors_as_it_goes() {
    let program = Program::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let anchor = config::Anchor {
        every: 2,
        file: Some(program.home().join("anchors")),
        // Takes the connection and never answers.
        loki: Some(SourceSettings::new(&format!("http://{}", silent.local_addr().unwrap()))),
        ..config::Anchor::default()
    };
    let ledger = config::Ledger { path: Some(program.ledger()), anchor, ..config::Ledger::default() };
    let engine = engine_with(ledger);
    let opened = engine.ledger().await.unwrap();
    for number in 0..6 {
        opened.append(draft(EntryKind::Note, json!(number))).await.unwrap();
    }
    drop(opened);
    // Waits for what is under way.
    drop(engine);
    let verified = program.json(&["audit", "verify", "--anchors", "anchors"]);
    assert_eq!((&verified["entries"], &verified["anchors"]["anchoredEntries"]), (&json!(8), &json!(8)), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_of_several_ledgers_are_told_apart() {
    let program = Program::new();
    write(&program, 3).await;
    let plain = configured(&program, "[ledger.anchor]\nfile = \"~/anchors\"\n");
    assert_eq!(program.run(&["--config", &plain, "audit", "anchor"]).code, 0);
    let text = std::fs::read_to_string(program.home().join("anchors")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let host = document["anchor"]["host"].as_str().unwrap();
    let foreign = text.replace(&format!("\"host\":\"{host}\""), "\"host\":\"elsewhere\"");
    program.file("both", &(text + &foreign.replace("\"entries\":3", "\"entries\":9")));
    let mixed = program.run(&["audit", "verify", "--anchors", "both"]);
    assert!(mixed.code == 2 && mixed.stderr.contains("--of"), "{mixed:?}");
    assert_eq!(program.run(&["audit", "verify", "--anchors", "both", "--of", host]).code, 0);
    assert_eq!(program.run(&["audit", "verify", "--anchors", "both", "--of", "elsewhere"]).code, 3);
    // A line that says nothing of this ledger vouches for nothing.
    assert_eq!(program.run(&["audit", "verify", "--anchors", "both", "--of", "nowhere"]).code, 3);
}
