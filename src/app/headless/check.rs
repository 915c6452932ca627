//! `check` and `policy`: what the gate says, without running anything.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::app::cli::{Check, Policy as PolicyCommand};
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::app::standing::Standing;
use crate::domain::action::{Decision, Judged};
use crate::domain::diagnosis::TypedChange;
use crate::domain::text::neutralise;
use crate::gate::changes::{self, TypedCommand};
use crate::gate::{effects, lexer};

/// Longest line that is read from a file; longer ones are judged by their beginning, which is then not understood.
const MAX_LINE: u64 = 1 << 20;

pub(super) fn check(standing: &Standing, check: &Check, output: Output) -> Result<(), Failure> {
    let standing = standing.seen_as(check);
    if let Some(path) = &check.lines {
        return lines(&standing, path, output);
    }
    let typed = check.change.as_deref().map(typed).transpose()?;
    let judged = match (&check.line, &typed) {
        (Some(line), _) => standing.judge_line(line),
        (None, Some(typed)) => standing.judge(&typed.argv),
        (None, None) => standing.judge(&check.argv),
    };
    match &typed {
        Some(typed) => {
            let document = TypedView { does: &typed.does, undo: typed.undo.as_deref(), judged: &judged };
            let undo = typed.undo.as_ref().map(|argv| format!("undo      {}\n", lexer::join(argv))).unwrap_or_default();
            output.answer(&document, || format!("{}does      {}\n{undo}", text(&judged), typed.does))?;
        }
        None => output.answer(&judged, || text(&judged))?,
    }
    // Exit code 3 only for a plain no: `confirm` and `approve` are ways to a yes.
    if judged.verdict.decision == Decision::Deny { Err(Failure::silent_refusal()) } else { Ok(()) }
}

/// A typed change beside the judgement of its command.
#[derive(Serialize)]
struct TypedView<'a> {
    does: &'a str,
    undo: Option<&'a [String]>,
    #[serde(flatten)]
    judged: &'a Judged,
}

/// Reads a typed change and makes its command; beyond its bounds it is refused.
fn typed(json: &str) -> Result<TypedCommand, Failure> {
    let change: TypedChange =
        serde_json::from_str(json).map_err(|error| Failure::usage(format!("this is no typed change: {error}")))?;
    changes::command(&change).map_err(|error| Failure::refused(error.to_string()))
}

/// One JSON document a line: NDJSON, whatever `--json` says.
fn lines(standing: &Standing, path: &Path, output: Output) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::usage(format!("{}: cannot be read: {error}", path.display()));
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(fail)?)
    };
    let mut reader = BufReader::new(reader);
    loop {
        let mut bytes = Vec::new();
        let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(fail)?;
        if read == 0 {
            return Ok(());
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        // Bytes that are no text must not be judged as if they were something else.
        let line = String::from_utf8_lossy(&bytes);
        output.document(&standing.judge_line(&line))?;
    }
}

fn text(judged: &Judged) -> String {
    let verdict = &judged.verdict;
    let mut text = format!("{}\n", judged.input.one_line());
    text +=
        &format!("effect    {}{}\n", judged.effect.word(), if judged.reads_secrets { ", reads secrets" } else { "" });
    text += &format!("decision  {} by rule {}: {}\n", verdict.decision.word(), verdict.rule, verdict.why);
    let facts = &judged.facts;
    let marks = [
        (facts.redirected, "redirected"),
        (facts.remote, "takes what it applies from elsewhere"),
        (facts.silences_monitoring, "silences or touches the monitoring"),
    ];
    let marks: Vec<&str> = marks.iter().filter(|(is, _)| *is).map(|&(_, mark)| mark).collect();
    text += &format!("reaches   {}, {} named", facts.blast.word(), facts.objects);
    for mark in marks {
        text += "; ";
        text += mark;
    }
    text.push('\n');
    for need in &verdict.need {
        text += &format!("needs     {need}\n");
    }
    for token in &judged.tainted {
        text += &format!("tainted   {} was read in telemetry and is not in the inventory\n", neutralise(token));
    }
    for note in &judged.notes {
        text += &format!("note      {note}\n");
    }
    text
}

pub(super) fn policy(standing: &Standing, command: &PolicyCommand, output: Output) -> Result<(), Failure> {
    let rules = standing.rules.now();
    let policy = rules.gate.policy();
    match command {
        PolicyCommand::Explain(check_arguments) => check(standing, check_arguments, output),
        PolicyCommand::Show => {
            let document = json!({"source": rules.source, "hash": policy.hash(), "text": rules.text});
            output.answer(&document, || format!("# {} sha256 {}\n{}", rules.source, policy.hash(), rules.text))
        }
        // The file's tests ran when it was loaded: a policy that fails them does not get this far.
        PolicyCommand::Test => {
            let passed = policy.tests();
            let tables = effects::test_tables().map_err(|failed| Failure::usage(failed.join("; ")))?;
            let document = json!({
                "source": rules.source, "hash": policy.hash(), "passed": passed, "failed": 0,
                "effectTables": {"passed": tables, "failed": 0},
            });
            output.answer(&document, || {
                format!("{}: {passed} tests passed\neffect tables: {tables} tests passed", rules.source)
            })
        }
    }
}
