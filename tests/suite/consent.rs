//! `ask_first` on the command line: what is asked, of whom, and that nothing leaves without a yes.

use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer};

use crate::ask::{Model, Seen, answer};
use crate::program::{Program, demo_bundle};
use crate::pseudo_terminal::Session;

/// A model that knows the answer, a recording and settings that ask first.
struct Place {
    runtime: tokio::runtime::Runtime,
    server: MockServer,
    program: Program,
    arguments: Vec<String>,
}

impl Place {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = runtime.block_on(MockServer::start());
        let model = |_: &Seen| answer(&[], "it is the pool");
        runtime.block_on(Mock::given(method("POST")).respond_with(Model(model)).mount(&server));
        let program = Program::new();
        let bundle = demo_bundle(program.home()).display().to_string();
        let config = format!(
            "[llm]\nask_first = true\n[[llm.endpoint]]\nname = \"scripted\"\nprotocol = \"openai-chat\"\nmodel = \"tiny\"\n\
             url = \"{}\"\n",
            server.uri()
        );
        let config = program.file("config.toml", &config).display().to_string();
        let arguments = ["--config".to_owned(), config, "--replay".to_owned(), bundle].to_vec();
        Self { runtime, server, program, arguments }
    }

    fn with<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.arguments.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    /// Requests that arrived.
    fn requests(&self) -> usize {
        self.runtime.block_on(self.server.received_requests()).unwrap_or_default().len()
    }
}

const ASK: [&str; 2] = ["ask", "what is it?"];

#[test]
fn nothing_leaves_before_a_yes_on_the_terminal() {
    let place = Place::new();
    for no in ["\r", "n\r", "what?\r", "\u{4}"] {
        let mut session = Session::start(&[], &place.with(&ASK));
        session.wait_for("to scripted (tiny) at 127.0.0.1");
        session.wait_for("send? [y/N, v shows the whole of it]");
        session.press(no);
        assert_eq!(session.end(), 3, "{no:?}: {}", session.text());
        assert!(session.text().contains("you did not agree"), "{}", session.text());
        assert_eq!(place.requests(), 0, "{no:?}");
    }
}

#[test]
fn the_whole_of_it_is_shown_and_a_yes_sends_it() {
    let place = Place::new();
    let mut session = Session::start(&[], &place.with(&ASK));
    session.wait_for("send? [y/N");
    session.resize(120, 200);
    session.press("v\r");
    session.wait_for("what is it?");
    assert_eq!(place.requests(), 0);
    session.press("y\r");
    session.wait_for("it is the pool");
    assert_eq!(session.end(), 0, "{}", session.text());
    assert_eq!(place.requests(), 1);
}

#[test]
fn where_nobody_can_be_asked_it_is_refused_with_what_to_do_and_yes_sends() {
    let place = Place::new();
    for command in [&ASK[..], &["diagnose"]] {
        let mut all = place.with(&["--json"]);
        all.extend(command);
        let said = place.program.run(&all);
        assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
        let error = &said.document()["error"];
        assert!(error["what"].as_str().unwrap().contains("nobody can be asked here"), "{error}");
        assert!(error["fix"].as_str().unwrap().contains("--yes"), "{error}");
        assert_eq!(place.requests(), 0);
    }
    let said = place.program.run(&place.with(&["--json", "ask", "--yes", "what is it?"]));
    assert_eq!((said.code, &said.document()["answer"]), (0, &json!("it is the pool")), "{}", said.stderr);
    assert_eq!(place.requests(), 1);
}
