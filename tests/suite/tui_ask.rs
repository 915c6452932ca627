//! Free questions on the screens, through a pseudo-terminal: asked, followed, cancelled, read.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer};

use crate::ask::{Model, Seen, answer, call, promql};
use crate::pseudo_terminal::Session;

fn config(url: &str) -> String {
    format!("[[llm.endpoint]]\nname = \"scripted\"\nprotocol = \"openai-chat\"\nmodel = \"tiny\"\nurl = \"{url}\"\n")
}

/// The demo with one end point, in a terminal.
fn demo(url: &str) -> (tempfile::TempDir, Session) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config(url)).unwrap();
    let session = Session::start(&[], &["--config", path.to_str().unwrap(), "demo"]);
    (folder, session)
}

fn with_model(model: impl Fn(&Seen) -> serde_json::Value + Send + Sync + 'static, test: impl FnOnce(&str)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(MockServer::start());
    runtime.block_on(Mock::given(method("POST")).respond_with(Model(model)).mount(&server));
    test(&server.uri());
}

#[test]
fn a_question_is_asked_its_steps_are_seen_and_what_it_cites_opens() {
    let model = |seen: &Seen| match seen.steps {
        0 => promql("sum by (service) (rate(http_requests_total{code=~\"5..\"}[1m]))", Some("-10m"), None),
        1 => call("tidy up", &json!({"tool": "kubectl", "argv": ["kubectl", "delete", "pod", "x"]})),
        _ => answer(&[("some service fails", "Q2")], "look at the services that fail"),
    };
    with_model(model, |url| {
        let (_folder, mut session) = demo(url);
        session.wait_for("3 open");
        session.press("a");
        session.wait_for("Ask about the whole system");
        // A paste with line breaks is text: nothing is asked by it.
        session.press("\x1b[200~which services\rwere down\x1b[201~");
        session.wait_for("were down▌");
        session.press(" in the last 10 minutes?");
        session.wait_for("10 minutes?▌");
        session.press("\r");
        session.wait_for("some service fails");
        for wanted in ["promql", "[Q2]", "kubectl", "refused", "questions only read", "some service fails"] {
            assert!(session.text().contains(wanted), "{wanted}\n{}", session.text());
        }
        session.press("\t");
        session.wait_for("⏎ open");
        session.press("\r");
        session.wait_for("[Q2] bundle: sum by (service)");
        session.wait_for("8 series");
        session.press("\x1b");
        session.wait_for("look at the services that fail");
        session.press("\x1b");
        session.wait_for("⏎ ask");
        // What was asked comes back for another try.
        session.press("\x1b[A");
        session.wait_for("10 minutes?▌");
        session.press("\x1b");
        session.wait_for("3 open");
        session.press("q");
        assert_eq!(session.end(), 0);
        session.assert_restored();
    });
}

#[test]
fn escape_closes_the_request_at_once() {
    // Takes the connection, never answers, and tells when the other side has closed.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut connection = connection;
                let mut buffer = [0; 4_096];
                let mut body = Vec::new();
                loop {
                    match connection.read(&mut buffer) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => body.extend_from_slice(&buffer[..read]),
                    }
                }
                let _ = tell.send((body, Instant::now()));
            });
        }
    });
    let (_folder, mut session) = demo(&url);
    session.wait_for("3 open");
    session.press(":ask why?\r");
    session.wait_for("thinking");
    // The request is on its way once the screen has said so for a while without an answer.
    session.bytes_during(Duration::from_millis(500));
    let pressed = Instant::now();
    session.press("\x1b");
    let (body, closed) = told.recv_timeout(Duration::from_secs(20)).expect("the connection is closed");
    assert!(String::from_utf8_lossy(&body).contains("why?"));
    // How long it takes is for measuring; that it does not wait for the end point is for a test.
    eprintln!("closed {:?} after the key", closed.saturating_duration_since(pressed));
    session.wait_for("cancelled");
    session.press("\x1b");
    session.wait_for("3 open");
    session.press("q");
    assert_eq!(session.end(), 0);
    let ledger = session.headless(&["audit", "export"]);
    assert!(ledger.contains("llm_intent") && ledger.contains("\"cancelled\":true"), "{ledger}");
}

#[test]
fn a_huge_paste_is_bounded_and_said() {
    with_model(
        |_| answer(&[], "no"),
        |url| {
            let (_folder, mut session) = demo(url);
            session.wait_for("3 open");
            session.press("a");
            session.wait_for("Ask about the whole system");
            session.press(&format!("\x1b[200~{}\x1b[201~", "line\r".repeat(200_000)));
            session.wait_for("were left out");
            session.press("\x1b");
            session.wait_for("3 open");
            session.press("q");
            assert_eq!(session.end(), 0);
        },
    );
}
