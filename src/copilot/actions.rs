//! From a diagnosis to actions that could be put to the gate. Judging them is the gate's work, asking for a run the
//! operator's.

use crate::domain::action::{Action, Origin};
use crate::domain::diagnosis::{Diagnosed, SuggestedAction};
use crate::gate::changes;

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
            let (argv, rollback) = command(suggested)?;
            let origin = if diagnosed.analyst.is_model() {
                Origin::Model(diagnosed.analyst.name.clone())
            } else {
                Origin::Playbook(diagnosed.prompt.name.clone())
            };
            Some((argv, rollback, origin, suggested))
        })
        .take(ACTIONS)
        .enumerate()
        .map(|(i, (argv, rollback, origin, suggested))| Action {
            id: format!("P{}", i + 1),
            incident: incident.to_owned(),
            origin,
            argv,
            change: suggested.change.clone().filter(|_| suggested.argv.as_ref().is_none_or(Vec::is_empty)),
            target: suggested.target.clone(),
            rationale: suggested.rationale.clone(),
            rollback,
            verify: suggested.verify.clone(),
        })
        .collect()
}

/// The command of an action, as it stands or made from a typed change, and the one that undoes it. `None` for a change
/// beyond its bounds: [`super::verify`] says so where the diagnosis is read.
fn command(suggested: &SuggestedAction) -> Option<(Vec<String>, Option<Vec<String>>)> {
    let rollback = suggested.rollback.clone().filter(|argv| !argv.is_empty());
    match (&suggested.argv, &suggested.change) {
        (Some(argv), _) if !argv.is_empty() => Some((argv.clone(), rollback)),
        (_, Some(change)) => {
            let command = changes::command(change).ok()?;
            // What is known to undo the change goes before what somebody says undoes it.
            Some((command.argv, command.undo.or(rollback)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copilot::{Playbooks, fixture, offline};
    use crate::domain::diagnosis::TypedChange;

    #[test]
    fn an_incomplete_diagnosis_has_no_actions() {
        let mut diagnosed = offline::diagnose(&fixture::pool(), &Playbooks::builtin());
        let offered = actions("I-1", &diagnosed);
        assert_eq!(offered[0].id, "P1");
        assert_eq!(offered[0].origin, Origin::Playbook("playbooks".into()));
        // A pasted answer has no end point, and is a model's all the same.
        diagnosed.analyst.name = "pasted answer".into();
        assert_eq!(actions("I-1", &diagnosed)[0].origin, Origin::Model("pasted answer".into()));
        diagnosed.complete = false;
        assert!(actions("I-1", &diagnosed).is_empty());
    }

    #[test]
    fn typed_changes_become_commands_with_their_undo_and_those_beyond_bounds_none() {
        let change = |replicas| TypedChange::Scale {
            namespace: "shop".into(),
            workload: "deployment/a".into(),
            replicas,
            current: Some(2),
        };
        let mut diagnosed = offline::diagnose(&fixture::pool(), &Playbooks::builtin());
        diagnosed.diagnosis.actions = [change(4), change(4_000)]
            .map(|change| SuggestedAction { change: Some(change), ..SuggestedAction::default() })
            .into();
        let offered = actions("I-1", &diagnosed);
        assert_eq!(offered.len(), 1);
        assert_eq!(offered[0].argv.join(" "), "kubectl -n shop scale deployment/a --replicas=4 --current-replicas=2");
        assert_eq!(offered[0].rollback.as_ref().unwrap().join(" "), "kubectl -n shop scale deployment/a --replicas=2");
        assert!(offered[0].change.is_some());
    }
}
