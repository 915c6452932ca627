//! Whatever is wrong with the input: a message that says what, where and what to do, and never a panic.

use std::io::Write as _;

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::program::{Program, Said, demo_bundle};

fn is_clear(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{said:?}");
    assert!(said.stdout.is_empty(), "{said:?}");
    for word in words {
        assert!(said.stderr.contains(word), "`{word}` is not in: {}", said.stderr);
    }
    assert!(!said.stderr.contains("panicked"), "{said:?}");
}

#[test]
fn an_unknown_key_names_file_line_and_nearest_key() {
    let program = Program::new();
    let file = program.file("c.toml", "[profile.prod]\ncritical = true\nalertmanger = { url = \"http://x\" }\n");
    let said = program.run(&["--config", file.to_str().unwrap(), "incidents"]);
    is_clear(&said, 2, &["c.toml:3", "unknown key `alertmanger`", "did you mean `alertmanager`?"]);
}

#[test]
fn without_configuration_the_headless_commands_say_what_to_set() {
    is_clear(&Program::new().run(&["incidents"]), 2, &["no source is configured", "PROMETHEUS_URL", "--replay"]);
}

#[test]
fn with_json_whatever_fails_prints_one_document() {
    let program = Program::new();
    let refused = Program::new().with("ALERTMANAGER_URL", "http://127.0.0.1:1");
    let file = program.file("c.toml", "alertmanger = 1\n");
    let wrong: [&[&str]; 5] = [
        &["incidents"],
        &["--config", file.to_str().unwrap(), "incidents"],
        &["actions", "show", "3f9a1c20"],
        &["incidens"],
        &["audit", "show", "7"],
    ];
    for (program, arguments) in wrong.iter().map(|one| (&program, *one)).chain([(&refused, wrong[0])]) {
        let plain = program.run(arguments);
        assert!(plain.stdout.is_empty(), "{arguments:?}: {plain:?}");
        let said = program.run(&[&["--json"], arguments].concat());
        assert_eq!((said.code, &said.stderr), (plain.code, &plain.stderr), "{arguments:?}");
        let document = said.document();
        let error = &document["error"];
        assert!(!error["what"].as_str().unwrap().is_empty(), "{document}");
        assert_eq!(error.as_object().unwrap().len(), 3, "{document}");
    }
    let error = &program.run(&["--json", "incidents"]).document()["error"];
    assert_eq!((&error["what"], &error["where"]), (&"no source is configured".into(), &"incidents".into()));
    assert!(error["fix"].as_str().unwrap().contains("PROMETHEUS_URL"), "{error}");
    let error = &program.run(&["--json", "actions", "show", "3f9a1c20"]).document()["error"];
    assert_eq!(error["where"], "actions show");
    let error = &program.run(&["--json", "incidens"]).document()["error"];
    assert!(error["what"].as_str().unwrap().contains("'incidens'"), "{error}");
    assert!(error["fix"].as_str().unwrap().contains("incidents"), "{error}");
    // A command that says no has its answer, and nothing after it.
    let no = program.run(&["--json", "check", "--line", "rm -rf /"]).document();
    assert!(no["error"].is_null() && no["decision"].is_string(), "{no}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let program = Program::new().with("ALERTMANAGER_URL", "http://127.0.0.1:1");
    is_clear(&program.run(&["incidents"]), 1, &["alertmanager", "127.0.0.1:1", "refused"]);
    let program = Program::new().with("ALERTMANAGER_URL", "not a url");
    is_clear(&program.run(&["incidents"]), 2, &["alertmanager", "url", "http://HOST:PORT"]);
}

async fn answering(response: ResponseTemplate) -> (MockServer, Program) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(response).mount(&server).await;
    let program = Program::new().with("ALERTMANAGER_URL", &server.uri());
    (server, program)
}

async fn incidents(program: Program) -> Said {
    tokio::task::spawn_blocking(move || program.run(&["incidents"])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_so() {
    let (_server, program) = answering(ResponseTemplate::new(401).set_body_string("no")).await;
    is_clear(&incidents(program).await, 1, &["alertmanager", "401"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_in_place_of_json_is_recognised() {
    let page = "<html><head><title>Sign in</title></head></html>";
    let (_server, program) = answering(ResponseTemplate::new(200).set_body_raw(page, "text/html")).await;
    is_clear(&incidents(program).await, 1, &["web page", "Sign in", "not with JSON"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_json_is_said() {
    let (_server, program) =
        answering(ResponseTemplate::new(200).set_body_raw("[{\"labels\":{\"alert", "application/json")).await;
    is_clear(&incidents(program).await, 1, &["alertmanager"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_hundred_megabytes_is_stopped_at_the_limit() {
    let (_server, program) =
        answering(ResponseTemplate::new(200).set_body_raw(vec![b' '; 100 << 20], "application/json")).await;
    is_clear(&incidents(program).await, 1, &["alertmanager", "limit"]);
}

#[test]
fn a_bundle_that_is_none_says_what_is_missing() {
    let program = Program::new();
    let replay = |path: &str| program.run(&["incidents", "--replay", path]);
    is_clear(&replay("nowhere"), 1, &["nowhere"]);
    is_clear(&replay("."), 1, &["manifest.json", "is missing"]);
    program.file("manifest.json", "{\"format\":\"other/9\"}");
    is_clear(&replay("."), 1, &["other/9", "stanch-bundle/1"]);
}

#[test]
fn a_bundle_with_broken_parts_still_shows_the_others() {
    let program = Program::new();
    let bundle = demo_bundle(program.home());
    let find = |name: &str| {
        let plain = bundle.join(name);
        if plain.exists() { plain } else { bundle.join(format!("{name}.gz")) }
    };
    std::fs::remove_file(find("logs.ndjson")).unwrap();
    let mut changes = std::fs::OpenOptions::new().append(true).open(find("changes.json")).unwrap();
    changes.write_all(b"]]garbage").unwrap();
    let incidents = program.json(&["incidents", "--replay", bundle.to_str().unwrap()]);
    let id = incidents["incidents"][0]["id"].as_str().unwrap().to_owned();
    let suspects = program.json(&["suspects", &id, "--replay", bundle.to_str().unwrap()]);
    assert_eq!(suspects["suspects"][0]["service"], "payments", "metrics alone still say it: {suspects}");
    assert!(!suspects["notes"].as_array().unwrap().is_empty(), "what is broken must be said");
}
