//! A diagnosis while it is written: as much of it as has arrived, for reading, never for acting.

use jiter::{JsonValue, PartialMode};

use super::schema::unwrapped;
use crate::domain::Text;
use crate::domain::diagnosis::{Check, Claim, Confidence, Diagnosis, Hypothesis, SuggestedAction};
use crate::domain::query::Lang;
use crate::domain::text::neutralise;

/// Reads what has arrived. Unfinished texts end where they break off; what is not there yet is empty. `None` when it
/// is not the beginning of a diagnosis.
pub fn read(answer: &str) -> Option<Diagnosis> {
    let json = unwrapped(answer);
    let value = JsonValue::parse_with_config(json.as_bytes(), false, PartialMode::TrailingStrings).ok()?;
    let JsonValue::Object(_) = &value else { return None };
    Some(Diagnosis {
        observations: claims(field(&value, "observations")),
        hypotheses: items(field(&value, "hypotheses")).iter().map(hypothesis).collect(),
        actions: items(field(&value, "actions")).iter().map(action).collect(),
        missing: items(field(&value, "missing")).iter().map(|item| text(Some(item))).collect(),
        summary: text(field(&value, "summary")),
    })
}

fn field<'a, 'j>(value: &'a JsonValue<'j>, name: &str) -> Option<&'a JsonValue<'j>> {
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

fn raw<'a>(value: Option<&'a JsonValue<'_>>) -> &'a str {
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
        confidence: match raw(field(value, "confidence")) {
            "high" => Confidence::High,
            "medium" => Confidence::Medium,
            _ => Confidence::Low,
        },
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
            let partial = read(&json[..end]).unwrap_or_else(|| panic!("{}", &json[..end]));
            assert!(partial.observations.len() >= longest, "nothing that was there goes away");
            longest = partial.observations.len();
        }
        let read = read(&json).unwrap();
        assert_eq!((read.observations, read.hypotheses), (whole.observations, whole.hypotheses));
    }

    #[test]
    fn an_unfinished_text_is_shown() {
        let partial = read(r#"{"observations":[{"text":"the po"#).unwrap();
        assert_eq!(partial.observations[0].text, "the po");
        assert_eq!(read("I think"), None);
        assert_eq!(read(""), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".*") {
            let _ = read(&text);
            let _ = read(&format!("{{\"summary\":{text}"));
        }
    }
}
