//! The shape of one step as models are asked for it.

use jiter::{JsonValue, PartialMode};
use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use crate::copilot::embedded::object_in;
use crate::copilot::partial::{field, raw};
use crate::domain::Text;
use crate::domain::diagnosis::Claim;
use crate::llm::schema::Schema;

/// The name under which the shape is sent.
pub(super) const NAME: &str = "step";

/// What a model wants next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// To look something up.
    Call(Call),
    /// To answer.
    Answer(Answer),
}

/// An answer as the model wrote it: not yet verified.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// What is so, each with its evidence.
    pub(super) claims: Vec<Claim>,
    /// The answer in one to three sentences.
    pub(super) summary: Text,
    /// What would have been needed and was not there.
    pub(super) missing: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    thought: Text,
    #[serde(default)]
    call: Option<Value>,
    answer: Option<Answer>,
}

fn answer() -> Schema {
    let texts = || Schema::Array(Box::new(Schema::String));
    let claim = Schema::Object(vec![("text", Schema::String), ("evidence", texts())]);
    Schema::Object(vec![("claims", Schema::Array(Box::new(claim))), ("summary", Schema::String), ("missing", texts())])
}

/// The shape of a step; of the last one, which must be the answer.
pub(super) fn step(last: bool) -> Schema {
    if last {
        return Schema::Object(vec![("thought", Schema::String), ("answer", answer())]);
    }
    Schema::Object(vec![
        ("thought", Schema::String),
        ("call", Schema::Nullable(Box::new(super::call::schema()))),
        ("answer", Schema::Nullable(Box::new(answer()))),
    ])
}

/// What can be read of a step that is being written: what the model is after, and its answer in short.
pub(super) fn beginning(text: &str) -> (Text, Text) {
    let json = object_in(text);
    let Ok(value) = JsonValue::parse_with_config(json.as_bytes(), false, PartialMode::TrailingStrings) else {
        return <(Text, Text)>::default();
    };
    let words = |value: Option<&JsonValue<'_>>| Text::new(raw(value)).truncated(BEGINNING);
    let answer = field(&value, "answer").and_then(|answer| field(answer, "summary"));
    (words(field(&value, "thought")), words(answer))
}

/// The words of a step that is an answer: its claims, then what it says in short.
pub(super) fn answered(text: &str) -> Option<String> {
    let (_, Next::Answer(answer)) = read(text, true).or_else(|_| read(text, false)).ok()? else { return None };
    let claims = answer.claims.iter().map(|claim| claim.text.one_line());
    Some(claims.chain([answer.summary.one_line()]).collect::<Vec<_>>().join(" · "))
}

/// Characters shown of what is being written.
const BEGINNING: usize = 1_000;

/// Reads a step strictly. `Err` lists what is wrong with it, ready to be sent back.
pub(super) fn read(text: &str, last: bool) -> Result<(Text, Next), Vec<String>> {
    let json = object_in(text);
    if json.is_empty() {
        return Err(vec!["the answer is empty".into()]);
    }
    let value: Value = serde_json::from_str(json).map_err(|error| vec![format!("the answer is not JSON: {error}")])?;
    // Servers that merely follow a schema keep writing the call that is no longer there.
    let shape = if last && value.get("call").is_some() { step(false) } else { step(last) };
    let problems = shape.problems(&value);
    if !problems.is_empty() {
        return Err(problems);
    }
    let written: Written = serde_path_to_error::deserialize(value)
        .map_err(|error| vec![format!("{}: {}", error.path(), error.inner())])?;
    match (written.call, written.answer) {
        (None, Some(answer)) => Ok((written.thought, Next::Answer(answer))),
        (Some(_), None) if last => Err(vec!["no tool can be called any more: write the answer now".into()]),
        (Some(call), None) => {
            let call: Call = serde_path_to_error::deserialize(call)
                .map_err(|error| vec![format!("call.{}: {}", error.path(), error.inner())])?;
            Ok((written.thought, Next::Call(call.cleaned())))
        }
        _ => Err(vec!["exactly one of call and answer must be given, and null for the other".into()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_call_or_an_answer() {
        let call =
            r#"{"thought":"t","call":{"tool":"promql","expr":"up","start":null,"end":null,"step":null},"answer":null}"#;
        assert!(matches!(read(call, false), Ok((_, Next::Call(Call::Promql { .. })))));
        let answer = r#"{"thought":"t","call":null,"answer":{"claims":[{"text":"a","evidence":["Q1"]}],"summary":"s","missing":[]}}"#;
        assert!(matches!(read(answer, false), Ok((_, Next::Answer(_)))));
        assert!(matches!(read(&format!("```json\n{answer}\n```"), true), Ok((_, Next::Answer(_)))));
        let bare = r#"{"thought":"t","answer":{"claims":[],"summary":"s","missing":[]}}"#;
        assert!(matches!(read(bare, true), Ok((_, Next::Answer(_)))));
    }

    #[test]
    fn a_step_can_be_read_while_it_is_written() {
        let said = |text: &str| {
            let (thought, answer) = beginning(text);
            (thought.to_string(), answer.to_string())
        };
        assert_eq!(said(r#"{"thought":"is the po"#), ("is the po".into(), String::new()));
        let whole = r#"{"thought":"t","call":null,"answer":{"claims":[],"summary":"the pool is fu"#;
        assert_eq!(said(whole), ("t".into(), "the pool is fu".into()));
        for odd in ["", "{", "I think", "[1,", r#"{"thought":5,"answer":"x"#, r#"{"answer":[{"#] {
            assert_eq!(said(odd), (String::new(), String::new()), "{odd}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let call = r#"{"thought":"t","call":{"tool":"incidents"},"answer":null}"#;
        assert!(read(call, true).unwrap_err()[0].contains("write the answer now"));
        assert!(read(r#"{"thought":"t","call":null,"answer":null}"#, false).unwrap_err()[0].contains("exactly one"));
        assert!(read("{}", false).unwrap_err()[0].contains("thought is missing"));
        assert!(read("I think", false).unwrap_err()[0].contains("not JSON"));
        let shell = r#"{"thought":"t","call":{"tool":"shell","argv":["rm"]},"answer":null}"#;
        assert!(!read(shell, false).unwrap_err().is_empty());
    }
}
