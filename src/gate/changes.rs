//! Typed changes: what they do in words, and the exact command that they become.
//!
//! A change has bounds; beyond them it is refused with a reason and never becomes a command. The command is then judged
//! like any other: being typed opens nothing.

use crate::domain::diagnosis::TypedChange;

/// Most replicas that a typed change asks for.
pub const MAX_REPLICAS: u32 = 500;

/// How many times the current number of replicas a typed change asks for at most; small numbers may grow to
/// [`FREE_REPLICAS`] in any case.
pub const MAX_GROWTH: u32 = 5;

/// Replicas that need no comparison with the current number.
pub const FREE_REPLICAS: u32 = 10;

/// Longest silence, in minutes.
pub const MAX_SILENCE_MINUTES: u32 = 240;

/// Most matchers of a silence.
const MAX_MATCHERS: usize = 10;

/// Longest comment, in bytes.
const MAX_COMMENT: usize = 500;

/// Kinds of workloads that can be scaled, restarted and rolled back.
const WORKLOADS: [&str; 4] = ["deployment", "statefulset", "daemonset", "replicaset"];

/// A typed change as a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedCommand {
    /// What it does, in one sentence.
    pub does: String,
    /// Program and arguments, exactly as they would be executed.
    pub argv: Vec<String>,
    /// The command that undoes it, where there is one that can be known before.
    pub undo: Option<Vec<String>>,
}

/// Why a typed change becomes no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A name that could be taken for a flag, a path or an expression.
    #[error("{what} `{name}` is no plain name")]
    Name {
        /// What the name is of.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A workload of a kind for which the change has no meaning.
    #[error("`{0}` is no workload of a kind that this change knows; write it like deployment/payments")]
    Workload(String),
    /// A number of replicas beyond the bounds.
    #[error("{wanted} replicas: {why}")]
    Replicas {
        /// Wanted.
        wanted: u32,
        /// Why not.
        why: String,
    },
    /// A silence that is too long, or has no length.
    #[error("a silence of {0} minutes: it lasts from 1 to {MAX_SILENCE_MINUTES}")]
    Minutes(u32),
    /// Matchers that would silence too much or cannot be read.
    #[error("matcher `{matcher}`: {why}")]
    Matcher {
        /// The matcher.
        matcher: String,
        /// Why not.
        why: &'static str,
    },
    /// A comment that says nothing, or too much.
    #[error("the comment must say why, in at most {MAX_COMMENT} bytes of plain text")]
    Comment,
}

/// The command that makes a typed change, or why there is none.
pub fn command(change: &TypedChange) -> Result<TypedCommand, ChangeError> {
    let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    match change {
        TypedChange::Scale { namespace, workload, replicas, current } => {
            let (namespace, kind) = place(namespace, workload)?;
            if kind == "daemonset" {
                return Err(ChangeError::Workload(workload.clone()));
            }
            bounds(*replicas, *current)?;
            let wanted = format!("--replicas={replicas}");
            let mut command = argv(&["kubectl", "-n", namespace, "scale", workload, &wanted]);
            let mut does = format!("sets {workload} in {namespace} to {replicas} replicas");
            let mut undo = None;
            if let Some(current) = current {
                // The API server compares: when somebody else scaled meanwhile, nothing happens.
                command.push(format!("--current-replicas={current}"));
                does += &format!(", if it has {current} now");
                let back = format!("--replicas={current}");
                undo = Some(argv(&["kubectl", "-n", namespace, "scale", workload, &back]));
            }
            Ok(TypedCommand { does, argv: command, undo })
        }
        TypedChange::Restart { namespace, workload } => {
            let (namespace, kind) = place(namespace, workload)?;
            if kind == "replicaset" {
                return Err(ChangeError::Workload(workload.clone()));
            }
            Ok(TypedCommand {
                does: format!("restarts the pods of {workload} in {namespace} one after another"),
                argv: argv(&["kubectl", "-n", namespace, "rollout", "restart", workload]),
                undo: None,
            })
        }
        TypedChange::RollBack { namespace, workload } => {
            let (namespace, kind) = place(namespace, workload)?;
            if kind == "replicaset" {
                return Err(ChangeError::Workload(workload.clone()));
            }
            Ok(TypedCommand {
                does: format!("returns {workload} in {namespace} to its previous revision"),
                argv: argv(&["kubectl", "-n", namespace, "rollout", "undo", workload]),
                // The revision that was left is the previous one afterwards.
                undo: Some(argv(&["kubectl", "-n", namespace, "rollout", "undo", workload])),
            })
        }
        TypedChange::Cordon { node } => {
            let node = name("node", node)?;
            Ok(TypedCommand {
                does: format!("lets no new pods onto {node}; those that run stay"),
                argv: argv(&["kubectl", "cordon", node]),
                undo: Some(argv(&["kubectl", "uncordon", node])),
            })
        }
        TypedChange::Drain { node } => {
            let node = name("node", node)?;
            Ok(TypedCommand {
                does: format!(
                    "moves every pod off {node}, within what disruption budgets allow, and lets none onto it"
                ),
                // Neither `--force` nor `--delete-emptydir-data`: what would be lost stops it instead.
                argv: argv(&["kubectl", "drain", node, "--ignore-daemonsets", "--timeout=300s"]),
                undo: Some(argv(&["kubectl", "uncordon", node])),
            })
        }
        TypedChange::Silence { matchers, minutes, comment } => {
            if !(1..=MAX_SILENCE_MINUTES).contains(minutes) {
                return Err(ChangeError::Minutes(*minutes));
            }
            if comment.trim().is_empty() || comment.len() > MAX_COMMENT || !comment.bytes().all(printable) {
                return Err(ChangeError::Comment);
            }
            check_matchers(matchers)?;
            let (span, why) = (format!("--duration={minutes}m"), format!("--comment={comment}"));
            let mut command = argv(&["amtool", "silence", "add", &span, &why]);
            command.extend(matchers.iter().cloned());
            Ok(TypedCommand {
                does: format!("silences alerts with {} for {minutes} minutes", matchers.join(" and ")),
                argv: command,
                undo: None,
            })
        }
    }
}

fn printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

fn bounds(replicas: u32, current: Option<u32>) -> Result<(), ChangeError> {
    let refuse = |why: String| Err(ChangeError::Replicas { wanted: replicas, why });
    if replicas == 0 {
        return refuse("none would be left; that is switching it off, not scaling".to_owned());
    }
    if replicas > MAX_REPLICAS {
        return refuse(format!("the most is {MAX_REPLICAS}"));
    }
    match current {
        Some(current) if replicas > FREE_REPLICAS && replicas > current.saturating_mul(MAX_GROWTH) => {
            refuse(format!("more than {MAX_GROWTH} times the current {current}"))
        }
        None if replicas > FREE_REPLICAS => {
            refuse(format!("more than {FREE_REPLICAS} needs the current number to compare with"))
        }
        _ => Ok(()),
    }
}

/// Namespace and kind, when the names are plain.
fn place<'a>(namespace: &'a str, workload: &'a str) -> Result<(&'a str, &'a str), ChangeError> {
    let namespace = name("namespace", namespace)?;
    let Some((kind, of)) = workload.split_once('/') else {
        return Err(ChangeError::Workload(workload.to_owned()));
    };
    name("workload", of)?;
    if !WORKLOADS.contains(&kind) {
        return Err(ChangeError::Workload(workload.to_owned()));
    }
    Ok((namespace, kind))
}

/// A name as Kubernetes has them: it cannot be a flag, a path or an expression.
fn name<'a>(what: &'static str, name: &'a str) -> Result<&'a str, ChangeError> {
    let plain = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if plain { Ok(name) } else { Err(ChangeError::Name { what, name: name.to_owned() }) }
}

/// At least one matcher must name something exactly: a silence is for what is known to be broken.
fn check_matchers(matchers: &[String]) -> Result<(), ChangeError> {
    let wrong = |matcher: &str, why| Err(ChangeError::Matcher { matcher: matcher.to_owned(), why });
    if matchers.is_empty() {
        return wrong("", "without one it would silence everything");
    }
    if matchers.len() > MAX_MATCHERS {
        return wrong("…", "there are too many");
    }
    let mut exact = false;
    for matcher in matchers {
        if !matcher.bytes().all(printable) {
            return wrong(matcher, "it holds what is not plain text");
        }
        let end = matcher.find(['=', '!']).unwrap_or(matcher.len());
        let (label, rest) = matcher.split_at(end);
        let named = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !named {
            return wrong(matcher, "it does not begin with a label's name");
        }
        let Some((operator, value)) =
            ["=~", "!~", "!=", "="].iter().find_map(|sign| Some((*sign, rest.strip_prefix(sign)?)))
        else {
            return wrong(matcher, "it has no =, !=, =~ or !~");
        };
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        if value.contains(['"', '\\']) || value.len() > 200 {
            return wrong(matcher, "its value is no plain text");
        }
        exact |= operator == "=" && !value.is_empty();
    }
    if exact {
        Ok(())
    } else {
        wrong(&matchers.join(" "), "none says exactly what is silenced, like service=\"payments\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::Effect;
    use crate::gate::{Inventory, effects};

    fn scale(replicas: u32, current: Option<u32>) -> TypedChange {
        TypedChange::Scale { namespace: "shop".into(), workload: "deployment/a".into(), replicas, current }
    }

    fn silence(matchers: &[&str], minutes: u32) -> TypedChange {
        let matchers = matchers.iter().map(|&matcher| matcher.to_owned()).collect();
        TypedChange::Silence { matchers, minutes, comment: "known".into() }
    }

    fn line(change: &TypedChange) -> String {
        command(change).unwrap().argv.join(" ")
    }

    #[test]
    fn changes_become_exact_commands_that_the_gate_understands() {
        let cordon = TypedChange::Cordon { node: "n1".into() };
        let drain = TypedChange::Drain { node: "n1".into() };
        let restart = TypedChange::Restart { namespace: "shop".into(), workload: "deployment/a".into() };
        let back = TypedChange::RollBack { namespace: "shop".into(), workload: "statefulset/a".into() };
        for (change, want, effect) in [
            (scale(3, None), "kubectl -n shop scale deployment/a --replicas=3", Effect::Mutate),
            (
                scale(40, Some(8)),
                "kubectl -n shop scale deployment/a --replicas=40 --current-replicas=8",
                Effect::Mutate,
            ),
            (restart, "kubectl -n shop rollout restart deployment/a", Effect::Mutate),
            (back, "kubectl -n shop rollout undo statefulset/a", Effect::Mutate),
            (cordon, "kubectl cordon n1", Effect::Mutate),
            (drain, "kubectl drain n1 --ignore-daemonsets --timeout=300s", Effect::Destroy),
            (
                silence(&["service=\"a\"", "severity=~\"x|y\""], 30),
                "amtool silence add --duration=30m --comment=known service=\"a\" severity=~\"x|y\"",
                Effect::Mutate,
            ),
        ] {
            assert_eq!(line(&change), want);
            let command = command(&change).unwrap();
            for argv in [Some(&command.argv), command.undo.as_ref()].into_iter().flatten() {
                let understood = effects::understand(argv, &Inventory::default());
                assert!(understood.effect <= effect, "{argv:?}: {:?}", understood.notes);
            }
            assert!(!command.does.is_empty());
        }
        assert_eq!(
            command(&scale(4, Some(2))).unwrap().undo.unwrap().join(" "),
            "kubectl -n shop scale deployment/a --replicas=2"
        );
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_a_reason() {
        for (change, why) in [
            (scale(0, None), "switching it off"),
            (scale(501, Some(400)), "the most is 500"),
            (scale(50, None), "needs the current number"),
            (scale(50, Some(9)), "more than 5 times"),
            (silence(&["service=a"], 0), "it lasts from 1 to 240"),
            (silence(&["service=a"], 241), "it lasts from 1 to 240"),
            (silence(&[], 5), "would silence everything"),
            (silence(&["service=~\".+\""], 5), "none says exactly"),
            (silence(&["service!=\"a\""], 5), "none says exactly"),
            (silence(&["service=\"\""], 5), "none says exactly"),
            (silence(&["--config.file=x"], 5), "label's name"),
            (silence(&["@file"], 5), "label's name"),
            (silence(&["service"], 5), "it has no ="),
            (silence(&["service=\u{202e}a"], 5), "not plain text"),
            (TypedChange::Cordon { node: "--all".into() }, "no plain name"),
            (TypedChange::Drain { node: "a b".into() }, "no plain name"),
        ] {
            let error = command(&change).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        for workload in ["--all", "deployment", "deployment/../a", "deployment/-a", "a/b/c", "secret/a", "deployment/"]
        {
            let change = TypedChange::Restart { namespace: "shop".into(), workload: workload.into() };
            assert!(command(&change).is_err(), "{workload}");
        }
        let comment = TypedChange::Silence { matchers: vec!["a=b".into()], minutes: 5, comment: " ".into() };
        assert_eq!(command(&comment), Err(ChangeError::Comment));
    }
}
