//! From a diagnosis to actions that could be put to the gate. Judging them is the gate's work, asking for a run the
//! operator's.

use crate::domain::action::{Action, Origin};
use crate::domain::diagnosis::{Diagnosed, SuggestedAction, TypedChange};

/// Actions of one diagnosis at most.
const ACTIONS: usize = 20;

/// The actions of a diagnosis, typed changes as the command that does them. None when the diagnosis is not complete: an
/// answer that broke off may lack the argument that made it harmless.
///
/// Ids are `P1`, `P2`, … in the order of the diagnosis.
pub fn actions(incident: &str, diagnosed: &Diagnosed) -> Vec<Action> {
    if !diagnosed.complete {
        return Vec::new();
    }
    diagnosed
        .diagnosis
        .actions
        .iter()
        .filter_map(|suggested| {
            let argv = command(suggested)?;
            let origin = match &diagnosed.analyst.endpoint {
                None => Origin::Playbook(diagnosed.prompt.name.clone()),
                Some(_) => Origin::Model(diagnosed.analyst.name.clone()),
            };
            Some((argv, origin, suggested))
        })
        .take(ACTIONS)
        .enumerate()
        .map(|(i, (argv, origin, suggested))| Action {
            id: format!("P{}", i + 1),
            incident: incident.to_owned(),
            origin,
            argv,
            change: suggested.change.clone(),
            target: suggested.target.clone(),
            rationale: suggested.rationale.clone(),
            rollback: suggested.rollback.clone().filter(|argv| !argv.is_empty()),
            verify: suggested.verify.clone(),
        })
        .collect()
}

/// The command of an action, as it stands or made from a typed change.
fn command(suggested: &SuggestedAction) -> Option<Vec<String>> {
    match (&suggested.argv, &suggested.change) {
        (Some(argv), _) if !argv.is_empty() => Some(argv.clone()),
        (_, Some(change)) => command_of(change),
        _ => None,
    }
}

/// The command that makes a typed change. `None` when a name could be taken for something else.
pub fn command_of(change: &TypedChange) -> Option<Vec<String>> {
    let kubectl = |namespace: &str, workload: &str, verb: &[&str]| {
        (is_name(namespace) && workload.split('/').count() == 2 && workload.split('/').all(is_name)).then(|| {
            let mut argv = vec!["kubectl".to_owned(), "-n".into(), namespace.to_owned()];
            argv.extend(verb.iter().map(|word| (*word).to_owned()));
            argv.push(workload.to_owned());
            argv
        })
    };
    match change {
        TypedChange::Scale { namespace, workload, replicas } => {
            let mut argv = kubectl(namespace, workload, &["scale"])?;
            argv.push(format!("--replicas={replicas}"));
            Some(argv)
        }
        TypedChange::Restart { namespace, workload } => kubectl(namespace, workload, &["rollout", "restart"]),
        TypedChange::RollBack { namespace, workload } => kubectl(namespace, workload, &["rollout", "undo"]),
        TypedChange::Silence { matchers, minutes, comment } => {
            if matchers.is_empty() || matchers.iter().any(|matcher| matcher.starts_with('-')) {
                return None;
            }
            let mut argv = vec!["amtool".to_owned(), "silence".into(), "add".into()];
            argv.push(format!("--duration={minutes}m"));
            argv.push(format!("--comment={comment}"));
            argv.extend(matchers.iter().cloned());
            Some(argv)
        }
    }
}

/// Whether a word is a name and cannot be a flag or a path.
fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.len() <= 253
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copilot::{Playbooks, fixture, offline};

    #[test]
    fn an_incomplete_diagnosis_has_no_actions() {
        let mut diagnosed = offline::diagnose(&fixture::pool(), &Playbooks::builtin());
        let offered = actions("I-1", &diagnosed);
        assert_eq!(offered[0].id, "P1");
        assert_eq!(offered[0].origin, Origin::Playbook("playbooks".into()));
        diagnosed.complete = false;
        assert!(actions("I-1", &diagnosed).is_empty());
    }

    #[test]
    fn typed_changes_become_commands() {
        let scale = TypedChange::Scale { namespace: "shop".into(), workload: "deployment/a".into(), replicas: 3 };
        assert_eq!(command_of(&scale).unwrap().join(" "), "kubectl -n shop scale deployment/a --replicas=3");
        let silence = TypedChange::Silence { matchers: vec!["a=\"b\"".into()], minutes: 30, comment: "x".into() };
        assert_eq!(command_of(&silence).unwrap().join(" "), "amtool silence add --duration=30m --comment=x a=\"b\"");
        for workload in ["--all", "deployment", "deployment/../a", "deployment/-a", "a/b/c"] {
            let change = TypedChange::Restart { namespace: "shop".into(), workload: workload.into() };
            assert_eq!(command_of(&change), None, "{workload}");
        }
    }
}
