//! A diagnosis while it is written: as much of it as has arrived, for reading, never for acting.

use jiter::{JsonValue, PartialMode};

use super::embedded::object_in;
use crate::domain::Text;
use crate::domain::diagnosis::{Check, Claim, Confidence, Diagnosis, Hypothesis, SuggestedAction};
use crate::domain::query::Lang;
use crate::domain::text::neutralise;

/// As much of a diagnosis as has arrived.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Partial {
    /// Unfinished texts end where they break off; what is not there yet is empty.
    pub diagnosis: Diagnosis,
    /// Of each hypothesis, whether it was said how sure the model is. Where it was not, its confidence means nothing.
    pub sure: Vec<bool>,
}

/// Reads what has arrived. `None` when it is not the beginning of a diagnosis.
pub fn read(answer: &str) -> Option<Partial> {
    let json = object_in(answer);
    let value = JsonValue::parse_with_config(json.as_bytes(), false, PartialMode::TrailingStrings).ok()?;
    let JsonValue::Object(_) = &value else { return None };
    let hypotheses = items(field(&value, "hypotheses"));
    let sure = hypotheses.iter().map(|item| confidence(item).is_some()).collect();
    let diagnosis = Diagnosis {
        observations: claims(field(&value, "observations")),
        hypotheses: hypotheses.iter().map(hypothesis).collect(),
        actions: items(field(&value, "actions")).iter().map(action).collect(),
        missing: items(field(&value, "missing")).iter().map(|item| text(Some(item))).collect(),
        summary: text(field(&value, "summary")),
    };
    Some(Partial { diagnosis, sure })
}

/// How sure the model is of a hypothesis; none while the word is not whole.
fn confidence(value: &JsonValue<'_>) -> Option<Confidence> {
    let word = raw(field(value, "confidence"));
    [Confidence::Low, Confidence::Medium, Confidence::High].into_iter().find(|one| one.word() == word)
}

pub(super) fn field<'a, 'j>(value: &'a JsonValue<'j>, name: &str) -> Option<&'a JsonValue<'j>> {
    match value {
        JsonValue::Object(pairs) => pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value),
        _ => None,
    }
}

fn items<'a, 'j>(value: Option<&'a JsonValue<'j>>) -> &'a [JsonValue<'j>] {
    match value {
        Some(JsonValue::Array(items)) => items,
        _ => &[],
    }
}

pub(super) fn raw<'a>(value: Option<&'a JsonValue<'_>>) -> &'a str {
    match value {
        Some(JsonValue::Str(text)) => text,
        _ => "",
    }
}

fn text(value: Option<&JsonValue<'_>>) -> Text {
    Text::new(raw(value))
}

fn words(value: Option<&JsonValue<'_>>) -> Vec<String> {
    items(value).iter().map(|item| neutralise(raw(Some(item))).into_owned()).collect()
}

fn claims(value: Option<&JsonValue<'_>>) -> Vec<Claim> {
    items(value)
        .iter()
        .map(|item| Claim { text: text(field(item, "text")), evidence: words(field(item, "evidence")) })
        .collect()
}

fn check(value: &JsonValue<'_>) -> Option<Check> {
    let lang = match raw(field(value, "lang")) {
        "promql" => Lang::PromQl,
        "logql" => Lang::LogQl,
        _ => return None,
    };
    Some(Check { lang, query: text(field(value, "query")), expect: text(field(value, "expect")) })
}

fn hypothesis(value: &JsonValue<'_>) -> Hypothesis {
    Hypothesis {
        id: neutralise(raw(field(value, "id"))).into_owned(),
        cause: text(field(value, "cause")),
        service: text(field(value, "service")),
        mechanism: text(field(value, "mechanism")),
        supporting: claims(field(value, "supporting")),
        contradicting: claims(field(value, "contradicting")),
        checks: items(field(value, "checks")).iter().filter_map(check).collect(),
        confidence: confidence(value).unwrap_or_default(),
    }
}

fn action(value: &JsonValue<'_>) -> SuggestedAction {
    SuggestedAction {
        id: neutralise(raw(field(value, "id"))).into_owned(),
        hypothesis: text(field(value, "hypothesis")),
        argv: matches!(field(value, "argv"), Some(JsonValue::Array(_))).then(|| words(field(value, "argv"))),
        change: None,
        target: text(field(value, "target")),
        rationale: text(field(value, "rationale")),
        rollback: None,
        verify: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::copilot::{Playbooks, fixture, offline};

    #[test]
    fn every_beginning_can_be_read_and_the_whole_is_the_diagnosis() {
        let whole = offline::diagnose(&fixture::pool(), &Playbooks::builtin()).diagnosis;
        let json = serde_json::to_string(&whole).unwrap();
        let mut longest = 0;
        for end in (1..json.len()).filter(|end| json.is_char_boundary(*end)) {
            let partial = read(&json[..end]).unwrap_or_else(|| panic!("{}", &json[..end])).diagnosis;
            assert!(partial.observations.len() >= longest, "nothing that was there goes away");
            longest = partial.observations.len();
        }
        let read = read(&json).unwrap().diagnosis;
        assert_eq!((read.observations, read.hypotheses), (whole.observations, whole.hypotheses));
    }

    #[test]
    fn an_unfinished_text_is_shown() {
        let partial = read(r#"{"observations":[{"text":"the po"#).unwrap();
        assert_eq!(partial.diagnosis.observations[0].text, "the po");
        assert_eq!(read("I think"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn how_sure_the_model_is_is_not_guessed() {
        let sure = |text: &str| read(text).unwrap().sure;
        assert_eq!(sure(r#"{"hypotheses":[{"id":"H1","cause":"the po"#), [false]);
        assert_eq!(sure(r#"{"hypotheses":[{"id":"H1","confidence":"hi"#), [false], "half a word is none");
        assert_eq!(sure(r#"{"hypotheses":[{"id":"H1","confidence":"high"},{"id":"H2"#), [true, false]);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".*") {
            let _ = read(&text);
            let _ = read(&format!("{{\"summary\":{text}"));
        }
    }
}
