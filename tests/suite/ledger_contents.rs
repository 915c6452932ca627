//! What an auditor finds after an incident: every prompt, pack, answer, command, output, refusal, policy and
//! configuration, and no secret.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stanch::app::execution::{self, Execution};
use stanch::config;
use stanch::domain::canonical::hex;
use stanch::domain::{Text, Timestamp};
use stanch::sources::{bundle, demo};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::crash::{action, engine_with};
use crate::program::Program;
use crate::pseudo_terminal::Session;

const KEY: &str = "sk-proj-Kq0vX3b8Zt5LwYd2Rf7NcHs9";
const PASSWORD: &str = "hunter2hunter2";
const ANSWER: &str = r#"{"observations":[],"hypotheses":[],"actions":[],"missing":[],"summary":"nothing stands out"}"#;

/// A language model that always gives the same answer.
async fn model() -> MockServer {
    let server = MockServer::start().await;
    let frame =
        |delta: Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let body = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        frame(json!({"content": ANSWER}), Value::Null),
        frame(json!({}), json!("stop"))
    );
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(body, "text/event-stream"))
        .mount(&server)
        .await;
    server
}

fn entries(jsonl: &str) -> Vec<Value> {
    jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_and_a_run_leave_everything_but_secrets() {
    let server = model().await;
    let program = Program::new()
        .with("OPENAI_API_KEY", KEY)
        .with("OPENAI_BASE_URL", &format!("{}/v1", server.uri()))
        .with("OPENAI_MODEL", "tiny");
    let recording = program.home().join("incident");
    let mut parts = demo::parts(Timestamp::from_secs(1_800_000_000));
    for entry in &mut parts.logs {
        entry.line = Text::new(&format!("{} password={PASSWORD}", entry.line));
    }
    bundle::write(&recording, &parts, true).unwrap();
    let config = program.file("config.toml", "[run]\ntimeout = \"30s\"\n");
    let common = ["--config", config.to_str().unwrap(), "--replay", recording.to_str().unwrap()];
    let json = |arguments: &[&str]| program.json(&[arguments, &common].concat());
    let id = json(&["incidents"])["incidents"][0]["id"].as_str().unwrap().to_owned();
    json(&["diagnose", &id]);
    let actions = json(&["actions", "list", &id]);
    let clock = actions["actions"].as_array().unwrap().iter().find(|action| action["argv"][0] == "date").unwrap();
    let name = clock["id"].as_str().unwrap();
    let shown = json(&["actions", "show", name, "--incident", &id]);
    let digest = shown["digest"].as_str().unwrap();
    let ran = program.run(&[&["actions", "run", name, "--incident", &id, "--digest", digest], &common[..]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");

    let exported = program.run(&["audit", "export"]).stdout;
    let entries = entries(&exported);
    let diagnosed = ["policy", "session", "llm_intent", "llm_outcome", "diagnosis"];
    assert_eq!(kinds(&entries), [&diagnosed[..], &["session", "run_intent", "run_outcome"]].concat());
    let payload = |index: usize| &entries[index]["payload"];
    // The policy as it was written, and its hash in every session.
    assert!(payload(0)["text"].as_str().unwrap().contains("[[rule]]"), "{}", payload(0));
    assert_eq!(payload(0)["hash"], payload(1)["policy"]);
    let file = &payload(1)["files"][0];
    assert_eq!(file["sha256"], hex(&Sha256::digest(std::fs::read(&config).unwrap())), "as sha256sum prints it");
    assert_eq!(payload(1)["configuration"], payload(5)["configuration"]);
    // What left, byte for byte, and the pack within it; what came back.
    let sent = server.received_requests().await.unwrap();
    assert_eq!(payload(2)["body"].as_str().unwrap().as_bytes(), sent[0].body);
    assert_eq!(payload(2)["prompt"]["name"], "diagnose");
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    let texts = body.to_string();
    let pack = &payload(2)["pack"];
    assert!(pack["evidence"].as_array().is_some_and(|ids| ids.len() > 3), "{pack}");
    assert!(pack["redactions"]["password"].as_u64().is_some_and(|count| count > 0), "{pack}");
    let parts = body["messages"].as_array().unwrap().iter().flat_map(|message| match &message["content"] {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        text => Vec::from_iter(text.as_str()),
    });
    let mut digests = parts.map(|text| hex(&Sha256::digest(text)));
    assert!(digests.any(|digest| pack["sha256"] == digest.as_str()), "the pack of {pack} is in {texts}");
    assert_eq!(payload(3)["text"], ANSWER);
    // The command, its digest, what it printed and how it ended.
    assert_eq!((&payload(6)["digest"], &payload(6)["request"]["argv"]), (&json!(digest), &clock["argv"]));
    assert_eq!(payload(6)["request"]["policy"], payload(0)["hash"]);
    assert!(payload(7)["output"][0]["text"].as_str().unwrap().contains("UTC"), "{}", payload(7));
    for secret in [KEY, PASSWORD] {
        assert!(!exported.contains(secret), "{secret}");
    }
    let verified = program.json(&["audit", "verify"]);
    assert_eq!((&verified["ok"], &verified["openIntents"]), (&json!(true), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screens_leave_the_same() {
    let server = model().await;
    let url = format!("{}/v1", server.uri());
    let model = [("OPENAI_API_KEY", KEY), ("OPENAI_BASE_URL", url.as_str()), ("OPENAI_MODEL", "tiny")];
    tokio::task::spawn_blocking({
        let model = model.map(|(name, value)| (name, value.to_owned()));
        move || {
            let model: Vec<(&str, &str)> = model.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut session = Session::start(&model, &["demo"]);
            session.wait_for("likely  payments");
            session.press("\r");
            session.wait_for("payments   ");
            session.press("3");
            session.wait_for("by offline");
            session.press("d");
            session.wait_for("prompt diagnose@");
            session.wait_for("nothing stands out");
            let exported = session.headless(&["audit", "export"]);
            session.press("q");
            assert_eq!(session.end(), 0);
            let entries = entries(&exported);
            assert_eq!(kinds(&entries), ["policy", "session", "llm_intent", "llm_outcome", "diagnosis"]);
            assert_eq!(entries[3]["payload"]["text"], ANSWER);
            assert!(!exported.contains(KEY));
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_with_a_secret_leaves_its_digest_and_not_the_secret() {
    let program = Program::new();
    let engine = engine_with(config::Ledger { path: Some(program.ledger()), ..config::Ledger::default() });
    let refused = action(&["frobnicate-nothing", "--password", PASSWORD]);
    assert!(execution::prepare(&engine, &engine.standing, &refused).await.is_err(), "there is no such program");
    // It prints what it could not find.
    let file = format!("/nowhere/password={PASSWORD}");
    for (argv, runs) in [(vec!["cat", file.as_str()], true), (vec!["kill", "--password", PASSWORD, "1"], false)] {
        let action = action(&argv);
        let ready = execution::prepare(&engine, &engine.standing, &action).await.unwrap();
        let (sender, mut news) = tokio::sync::mpsc::channel(64);
        let order = Execution { digest: ready.digest.clone(), typed: ready.word.clone(), break_glass: None };
        let run = execution::run(&engine, &ready, &action, order, sender, CancellationToken::new());
        let (ran, ()) = tokio::join!(run, async { while news.recv().await.is_some() {} });
        assert_eq!(ran.is_ok(), runs, "{argv:?}: {:?}", ran.err().map(|why| why.to_string()));
        let exported = program.run(&["audit", "export"]).stdout;
        assert!(exported.contains(&ready.digest.0) && exported.contains("‹secret:"), "{exported}");
        assert!(!exported.contains(PASSWORD), "{exported}");
    }
    let exported = entries(&program.run(&["audit", "export"]).stdout);
    assert_eq!(kinds(&exported), ["policy", "session", "run_intent", "run_outcome", "refusal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_is_there_with_the_one_before() {
    let program = Program::new();
    let ask = || {
        let said = program.run(&["actions", "request", "--reason", "a test", "--", "rm", "/nowhere/at/all"]);
        assert_eq!(said.code, 0, "{said:?}");
    };
    ask();
    let folder = program.home().join(".config/stanch");
    std::fs::create_dir_all(&folder).unwrap();
    let stricter = "version = 1\n[[stricter]]\nprogram = \"kubectl\"\nverb = \"logs\"\neffect = \"opaque\"\nwhy = \"names\"\n\
                    [test]\nopaque = [\"kubectl logs a\"]\n";
    std::fs::write(folder.join("effects.toml"), stricter).unwrap();
    ask();
    ask();
    let entries = entries(&program.run(&["audit", "export"]).stdout);
    let policies: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "policy").collect();
    assert_eq!(policies.len(), 2, "written when it is another one, and only then");
    assert_eq!(policies[0]["payload"]["before"], Value::Null);
    assert_eq!(policies[1]["payload"]["before"], policies[0]["payload"]["hash"]);
    assert!(policies[1]["payload"]["text"].as_str().unwrap().contains("names"));
}
