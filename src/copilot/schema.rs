//! The shape of a diagnosis as models are asked for it. Mirrors [`Diagnosis`], whose docs say what the fields mean.

use serde_json::Value;

use super::embedded::object_in;
use crate::domain::diagnosis::Diagnosis;
use crate::llm::schema::Schema;

/// The name under which the shape is sent.
pub const NAME: &str = "diagnosis";

/// Most items of each list: several times what a person reads in an incident, so that only a model that repeats itself
/// comes there.
const OBSERVATIONS: usize = 40;
const HYPOTHESES: usize = 12;
/// Claims for, and against, one hypothesis.
const CLAIMS: usize = 20;
/// Checks of one hypothesis.
const CHECKS: usize = 10;
const ACTIONS: usize = 20;
const MISSING: usize = 20;
/// Items of evidence that one claim cites.
const CITED: usize = 20;

/// The shape.
pub fn diagnosis() -> Schema {
    let list = |most: usize, item: Schema| Schema::List(most, Box::new(item));
    let texts = || Schema::Array(Box::new(Schema::String));
    let claim = || Schema::Object(vec![("text", Schema::String), ("evidence", list(CITED, Schema::String))]);
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
        ("supporting", list(CLAIMS, claim())),
        ("contradicting", list(CLAIMS, claim())),
        ("checks", list(CHECKS, check())),
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
        ("observations", list(OBSERVATIONS, claim())),
        ("hypotheses", list(HYPOTHESES, hypothesis)),
        ("actions", list(ACTIONS, action)),
        ("missing", list(MISSING, Schema::String)),
        ("summary", Schema::String),
    ])
}

/// Reads an answer strictly. `Err` lists what is wrong with it, each with its place, ready to be sent back.
pub fn read(answer: &str) -> Result<Diagnosis, Vec<String>> {
    let json = object_in(answer);
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

/// Cuts the lists to their bounds; says what was dropped, if anything was.
pub(super) fn bound(diagnosis: &mut Diagnosis) -> Option<String> {
    let mut dropped: Vec<(&str, usize)> = Vec::new();
    cut(&mut diagnosis.observations, OBSERVATIONS, "observations", &mut dropped);
    cut(&mut diagnosis.hypotheses, HYPOTHESES, "hypotheses", &mut dropped);
    for hypothesis in &mut diagnosis.hypotheses {
        for claims in [&mut hypothesis.supporting, &mut hypothesis.contradicting] {
            cut(claims, CLAIMS, "claims", &mut dropped);
        }
        cut(&mut hypothesis.checks, CHECKS, "checks", &mut dropped);
    }
    cut(&mut diagnosis.actions, ACTIONS, "actions", &mut dropped);
    cut(&mut diagnosis.missing, MISSING, "missing items", &mut dropped);
    let claims = diagnosis.hypotheses.iter_mut().flat_map(|it| it.supporting.iter_mut().chain(&mut it.contradicting));
    for claim in diagnosis.observations.iter_mut().chain(claims) {
        cut(&mut claim.evidence, CITED, "citations", &mut dropped);
    }
    if dropped.is_empty() {
        return None;
    }
    let told: Vec<String> = dropped.iter().map(|(what, count)| format!("{count} {what}")).collect();
    Some(format!("the answer held more than a diagnosis may: dropped {}", told.join(", ")))
}

fn cut<T>(list: &mut Vec<T>, most: usize, what: &'static str, dropped: &mut Vec<(&'static str, usize)>) {
    let surplus = list.len().saturating_sub(most);
    if surplus == 0 {
        return;
    }
    list.truncate(most);
    match dropped.iter_mut().find(|(name, _)| *name == what) {
        Some((_, count)) => *count += surplus,
        None => dropped.push((what, surplus)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copilot::{Playbooks, fixture, offline};
    use crate::domain::diagnosis::{Claim, SuggestedAction, TypedChange};

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
    fn what_is_too_much_is_dropped_counted_and_said() {
        let mut diagnosis = offline::diagnose(&fixture::pool(), &Playbooks::builtin()).diagnosis;
        assert_eq!(bound(&mut diagnosis), None);
        let whole = diagnosis.clone();
        let claim = Claim { text: "again".into(), evidence: vec!["A1".into(); CITED + 1] };
        diagnosis.observations.resize(OBSERVATIONS + 3, claim.clone());
        diagnosis.hypotheses.resize(HYPOTHESES + 1, whole.hypotheses[0].clone());
        diagnosis.hypotheses[0].contradicting = vec![claim; CLAIMS + 2];
        let check = whole.hypotheses[0].checks[0].clone();
        diagnosis.hypotheses[1].checks = vec![check; CHECKS + 4];
        diagnosis.actions.resize(ACTIONS + 5, whole.actions[0].clone());
        let text = serde_json::to_string(&diagnosis).unwrap();
        let mut diagnosis = read(&text).expect("too much is not wrong");
        let said = bound(&mut diagnosis).unwrap();
        for dropped in ["3 observations", "1 hypotheses", "2 claims", "4 checks", "5 actions", "citations"] {
            assert!(said.contains(dropped), "{dropped}: {said}");
        }
        assert_eq!((diagnosis.observations.len(), diagnosis.actions.len()), (OBSERVATIONS, ACTIONS));
        assert_eq!(bound(&mut diagnosis), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(read("").unwrap_err(), ["the answer is empty"]);
        assert!(read("I think that").unwrap_err()[0].contains("not JSON"));
        let both = r#"{"observations":[],"hypotheses":[],"actions":[{"id":"P1","hypothesis":"","argv":null,"change":null,"target":"","rationale":"","rollback":null,"verify":null}],"missing":[],"summary":""}"#;
        assert!(read(both).unwrap_err()[0].contains("either argv or change"));
    }
}
