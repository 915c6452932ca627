//! Through the whole program: incidents full of secrets, a recording end point, everything that left.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aho_corasick::AhoCorasick;
use serde_json::{Value, json};
use stanch::domain::change::Change;
use stanch::domain::log::LogEntry;
use stanch::domain::{Labels, Text, Timestamp};
use stanch::sources::{bundle, demo};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request};

use super::{Placed, generated, traces};
use crate::ask::{Model, Seen, answer, call};
use crate::program::{Program, Said};

/// Kinds of one incident: few enough that an incident brings all of them along.
const EACH: usize = 26;

/// A recorded incident with these secrets in log lines, labels, annotations, configuration and printed output.
fn recorded(folder: &Path, secrets: &[Placed]) -> String {
    let mut parts = demo::parts(Timestamp::from_secs(1_800_000_000));
    let window = parts.manifest.window;
    let own = |entry: &&LogEntry| entry.labels.iter().any(|(_, value)| value == "payments");
    let labels = parts.logs.iter().find(own).expect("payments has logs").labels.clone();
    for (at, placed) in secrets.iter().enumerate() {
        let mark = format!("case {}", "abcdefghijklmnopqrstuvwxyz".chars().nth(at).expect("few cases"));
        for minute in 0..8 {
            let line = |text: &str| LogEntry {
                at: window.start.plus(Duration::from_secs(60 * minute + at as u64)),
                labels: Arc::clone(&labels),
                line: Text::new(text),
                metadata: Labels::new(),
            };
            parts.logs.push(line(&format!("level=error {mark} failed with {}", placed.text)));
            parts.logs.push(line(&format!("$ describe {mark}\n{}\nEvents: <none>", placed.text)));
        }
        parts.changes.push(Change {
            at: window.start.minus(Duration::from_secs(30 + at as u64)),
            kind: "config".into(),
            service: "payments".into(),
            reference: Text::new(&format!("r{at}")),
            summary: Text::new(&format!("{mark} configuration")),
            author: Text::new("author-1"),
            diff: Some(Text::new(&format!("@@ -1,2 +1,3 @@\n context\n+{}\n", placed.text.replace('\n', "\n+")))),
        });
        if let Some(alert) = parts.alerts.get_mut(at % 4) {
            let with = |labels: &Labels, name: &str| -> Labels {
                let own = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                own.chain([(name.to_owned(), placed.text.clone())]).collect()
            };
            alert.labels = with(&alert.labels, &format!("detail_{at}"));
            alert.annotations = with(&alert.annotations, if at < 4 { "summary" } else { "note" });
        }
        if let Some(runbook) = parts.runbooks.first_mut() {
            runbook.text = Text::new(&format!("{}\n{}\n", runbook.text, placed.text));
        }
    }
    parts.logs.sort_by_key(|entry| entry.at);
    let path = folder.join("incident");
    bundle::write(&path, &parts, true).expect("the incident is written");
    path.display().to_string()
}

/// Asks for everything there is, then answers.
fn curious(seen: &Seen) -> Value {
    let steps = [
        json!({"tool": "alerts", "matching": null, "at": null}),
        json!({"tool": "logql", "expr": "{service=\"payments\"} |= \"case\"", "start": null, "end": null, "limit": 500}),
        json!({"tool": "changes", "start": null, "end": null, "service": null}),
        json!({"tool": "runbook", "words": "connection pool payments"}),
    ];
    match steps.get(seen.steps) {
        Some(step) => call("what is there", step),
        None => answer(&[], "nothing to add"),
    }
}

struct Spied {
    requests: Vec<Request>,
    said: Vec<Said>,
    ledger: String,
    /// Everything the program wrote into its own folders.
    written: Vec<u8>,
}

fn files(folder: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.extend(std::fs::read(&path).unwrap_or_default());
        }
    }
}

fn spied(secrets: &[Placed], sees: &str) -> Spied {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(MockServer::start());
    runtime.block_on(Mock::given(method("POST")).respond_with(Model(curious)).mount(&server));
    let program = Program::new().with("STANCH_LOG", "trace").with("RUST_LOG", "trace");
    let incident = recorded(program.home(), secrets);
    let config = format!(
        "[[llm.endpoint]]\nname = \"spy\"\nprotocol = \"openai-chat\"\nmodel = \"tiny\"\nurl = \"{}\"\n\
         pack_tokens = 120000\nsees = \"{sees}\"\n",
        server.uri()
    );
    let config = program.file("config.toml", &config).display().to_string();
    let common = ["--config", config.as_str(), "--replay", incident.as_str()];
    let run = |arguments: &[&str]| program.run(&[&common[..], arguments].concat());
    let incidents = run(&["--json", "incidents"]).document();
    let id = incidents["incidents"][0]["id"].as_str().expect("an incident").to_owned();
    let said = vec![
        run(&["--json", "diagnose", &id]),
        run(&["diagnose", &id]),
        run(&["--json", "ask", "what is known of payments?"]),
        run(&["ask", "why?", "--incident", &id]),
    ];
    let ledger = program.run(&["audit", "export"]).stdout;
    let mut written = Vec::new();
    files(&program.home().join(".local"), &mut written);
    let requests = runtime.block_on(server.received_requests()).unwrap_or_default();
    Spied { requests, said, ledger, written }
}

/// All texts of a request, as a server reads them.
fn texts(request: &Request) -> String {
    fn collect(value: &Value, into: &mut String) {
        match value {
            Value::String(text) => {
                into.push_str(text);
                into.push('\n');
            }
            Value::Array(all) => all.iter().for_each(|one| collect(one, into)),
            Value::Object(all) => all.values().for_each(|one| collect(one, into)),
            _ => {}
        }
    }
    let mut text = String::new();
    collect(&serde_json::from_slice(&request.body).unwrap_or_default(), &mut text);
    text
}

#[test]
fn no_secret_leaves_the_program() {
    let secrets = generated(11);
    let mut tried = 0;
    let mut told = 0;
    let mut leaks = Vec::new();
    for (turn, some) in secrets.chunks(EACH).enumerate() {
        let spied = spied(some, if turn % 3 == 2 { "redacted" } else { "production" });
        assert!(spied.requests.len() >= 6, "{} requests: {:?}", spied.requests.len(), spied.said);
        let sent: Vec<String> = spied
            .requests
            .iter()
            .flat_map(|request| {
                [texts(request), String::from_utf8_lossy(&request.body).into_owned(), format!("{:?}", request.headers)]
            })
            .collect();
        let dense: Vec<String> = sent.iter().map(|text| text.split_whitespace().collect()).collect();
        let stored = String::from_utf8_lossy(&spied.written).into_owned();
        // Of each the place in the incident was told, or it would prove nothing that its secret was not.
        told += (0..some.len())
            .filter(|at| {
                let mark = format!("case {}", "abcdefghijklmnopqrstuvwxyz".chars().nth(*at).expect("few cases"));
                sent.iter().any(|text| text.contains(&format!("{mark} failed")))
                    && sent.iter().any(|text| text.contains(&format!("{mark} configuration")))
            })
            .count();
        // What is printed of a diagnosis; the answers of sources that `ask` lists stay with whoever asked.
        let printed = spied.said[..2].iter().map(|said| format!("{}{}", said.stdout, said.stderr)).collect::<Vec<_>>();
        let places = sent.iter().chain(&dense).map(|text| ("a request", text));
        let places = places.chain(printed.iter().map(|text| ("what is printed", text)));
        let places = places.chain([("the ledger", &spied.ledger), ("a file of the program", &stored)]);
        let traced: Vec<(usize, String)> = some
            .iter()
            .enumerate()
            .flat_map(|(at, placed)| traces(&placed.secret).into_iter().map(move |trace| (at, trace)))
            .collect();
        tried += some.len() * 5;
        let search = AhoCorasick::new(traced.iter().map(|(_, trace)| trace)).expect("texts");
        for (what, text) in places {
            let mut known = vec![false; some.len()];
            for found in search.find_overlapping_iter(text) {
                let at = traced[found.pattern().as_usize()].0;
                if !std::mem::replace(&mut known[at], true) {
                    leaks.push(format!("{} is in {what}: …{}…", some[at].kind, around(text, found.start())));
                }
            }
        }
        assert!(
            spied.ledger.contains("\"hidden\"") || spied.ledger.contains("\"redactions\""),
            "counts are in the ledger"
        );
    }
    assert!(leaks.is_empty(), "{} of {}:\n{}", leaks.len(), secrets.len(), leaks.join("\n"));
    assert!(tried >= 300, "{tried}");
    assert!(told * 10 >= secrets.len() * 8, "only {told} of {} were told of", secrets.len());
}

/// The text around a place, for whoever has to find out why.
fn around(text: &str, at: usize) -> &str {
    &text[text.floor_char_boundary(at.saturating_sub(300))..text.floor_char_boundary((at + 200).min(text.len()))]
}
