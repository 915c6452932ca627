//! The shape of a diagnosis as models are asked for it. Mirrors [`Diagnosis`], whose docs say what the fields mean.

use serde_json::Value;

use crate::domain::diagnosis::Diagnosis;
use crate::llm::schema::Schema;

/// The name under which the shape is sent.
pub const NAME: &str = "diagnosis";

/// The shape.
pub fn diagnosis() -> Schema {
    let texts = || Schema::Array(Box::new(Schema::String));
    let claims = || Schema::Array(Box::new(Schema::Object(vec![("text", Schema::String), ("evidence", texts())])));
    let check = || {
        Schema::Object(vec![
            ("lang", Schema::Word(&["promql", "logql"])),
            ("query", Schema::String),
            ("expect", Schema::String),
        ])
    };
    let hypothesis = Schema::Object(vec![
        ("id", Schema::String),
        ("cause", Schema::String),
        ("service", Schema::String),
        ("mechanism", Schema::String),
        ("supporting", claims()),
        ("contradicting", claims()),
        ("checks", Schema::Array(Box::new(check()))),
        ("confidence", Schema::Word(&["low", "medium", "high"])),
    ]);
    let workload = |kind: &'static [&'static str]| {
        vec![("kind", Schema::Word(kind)), ("namespace", Schema::String), ("workload", Schema::String)]
    };
    let mut scale = workload(&["scale"]);
    scale.push(("replicas", Schema::Integer));
    scale.push(("current", Schema::Nullable(Box::new(Schema::Integer))));
    let node =
        |kind: &'static [&'static str]| Schema::Object(vec![("kind", Schema::Word(kind)), ("node", Schema::String)]);
    let change = Schema::AnyOf(vec![
        Schema::Object(scale),
        Schema::Object(workload(&["restart"])),
        Schema::Object(workload(&["roll_back"])),
        node(&["cordon"]),
        node(&["drain"]),
        Schema::Object(vec![
            ("kind", Schema::Word(&["silence"])),
            ("matchers", texts()),
            ("minutes", Schema::Integer),
            ("comment", Schema::String),
        ]),
    ]);
    let nullable = |schema: Schema| Schema::Nullable(Box::new(schema));
    let action = Schema::Object(vec![
        ("id", Schema::String),
        ("hypothesis", Schema::String),
        ("argv", nullable(texts())),
        ("change", nullable(change)),
        ("target", Schema::String),
        ("rationale", Schema::String),
        ("rollback", nullable(texts())),
        ("verify", nullable(check())),
    ]);
    Schema::Object(vec![
        ("observations", claims()),
        ("hypotheses", Schema::Array(Box::new(hypothesis))),
        ("actions", Schema::Array(Box::new(action))),
        ("missing", texts()),
        ("summary", Schema::String),
    ])
}

/// Reads an answer strictly. `Err` lists what is wrong with it, each with its place, ready to be sent back.
pub fn read(answer: &str) -> Result<Diagnosis, Vec<String>> {
    let json = unwrapped(answer);
    if json.is_empty() {
        return Err(vec!["the answer is empty".into()]);
    }
    let value: Value = serde_json::from_str(json).map_err(|error| vec![format!("the answer is not JSON: {error}")])?;
    let problems = diagnosis().problems(&value);
    if !problems.is_empty() {
        return Err(problems);
    }
    let diagnosis: Diagnosis = serde_path_to_error::deserialize(value)
        .map_err(|error| vec![format!("{}: {}", error.path(), error.inner())])?;
    let problems: Vec<String> = diagnosis
        .actions
        .iter()
        .enumerate()
        .filter(|(_, action)| action.argv.as_ref().is_some_and(|argv| !argv.is_empty()) == action.change.is_some())
        .map(|(i, _)| format!("actions[{i}] must have either argv or change, and null for the other"))
        .collect();
    if problems.is_empty() { Ok(diagnosis) } else { Err(problems) }
}

/// The answer without the code fence some models put around it.
pub(super) fn unwrapped(answer: &str) -> &str {
    let text = answer.trim();
    let Some(fenced) = text.strip_prefix("```") else { return text };
    let inside = fenced.split_once('\n').map_or("", |(_, rest)| rest);
    inside.trim_end().trim_end_matches("```").trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copilot::{Playbooks, fixture, offline};
    use crate::domain::diagnosis::{SuggestedAction, TypedChange};

    #[test]
    fn the_shape_is_what_the_type_reads_and_writes() {
        let mut diagnosis = offline::diagnose(&fixture::pool(), &Playbooks::builtin()).diagnosis;
        for change in [
            TypedChange::Scale {
                namespace: "shop".into(),
                workload: "deployment/a".into(),
                replicas: 3,
                current: None,
            },
            TypedChange::Cordon { node: "n1".into() },
            TypedChange::Drain { node: "n1".into() },
            TypedChange::Restart { namespace: "shop".into(), workload: "deployment/a".into() },
            TypedChange::RollBack { namespace: "shop".into(), workload: "deployment/a".into() },
            TypedChange::Silence { matchers: vec!["a=\"b\"".into()], minutes: 5, comment: "c".into() },
        ] {
            diagnosis.actions.push(SuggestedAction { change: Some(change), ..SuggestedAction::default() });
        }
        let text = serde_json::to_string(&diagnosis).unwrap();
        assert_eq!(read(&text).unwrap(), diagnosis);
        assert_eq!(read(&format!("```json\n{text}\n```\n")).unwrap(), diagnosis);
    }

    #[test]
    fn every_property_is_required_and_no_other_is_allowed() {
        let full = serde_json::to_value(offline::diagnose(&fixture::pool(), &Playbooks::builtin()).diagnosis).unwrap();
        for name in ["observations", "hypotheses", "actions", "missing", "summary"] {
            let mut value = full.clone();
            value.as_object_mut().unwrap().remove(name);
            assert_eq!(read(&value.to_string()).unwrap_err(), [format!("{name} is missing")]);
        }
        for (path, name) in
            [("/hypotheses/0", "confidence"), ("/actions/0", "rollback"), ("/hypotheses/0/checks/0", "lang")]
        {
            let mut value = full.clone();
            value.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name);
            assert!(read(&value.to_string()).unwrap_err()[0].ends_with(&format!("{name} is missing")), "{path}");
            let mut value = full.clone();
            value.pointer_mut(path).unwrap()["risk"] = "low".into();
            assert!(read(&value.to_string()).unwrap_err()[0].contains("risk"), "{path}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(read("").unwrap_err(), ["the answer is empty"]);
        assert!(read("I think that").unwrap_err()[0].contains("not JSON"));
        let both = r#"{"observations":[],"hypotheses":[],"actions":[{"id":"P1","hypothesis":"","argv":null,"change":null,"target":"","rationale":"","rollback":null,"verify":null}],"missing":[],"summary":""}"#;
        assert!(read(both).unwrap_err()[0].contains("either argv or change"));
    }
}
