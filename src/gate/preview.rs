//! What a command would do, asked of the tool itself: its dry run, its plan or its diff.
//!
//! A preview is a command like any other. It goes through the gate, is shown with its own digest, and runs only when a
//! person runs it.

use crate::domain::Text;
use crate::domain::action::Action;
use crate::gate::lexer::join;

/// How much a preview says of what will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exactness {
    /// The server itself works the change out, without keeping it.
    Exact,
    /// It is worked out from what is known now, or checked only in part.
    Partial,
}

impl Exactness {
    /// The word for screens.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Partial => "partial",
        }
    }
}

/// The command that previews another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// How much it says.
    pub exactness: Exactness,
}

/// How a tool previews.
#[derive(Clone, Copy)]
enum Manner {
    /// Another verb in the place of this one.
    Verb(&'static str),
    /// A further flag.
    Flag(&'static str),
}

/// Programs, the words that name what they do, how that is previewed and how well. The first that fits counts.
const PREVIEWS: &[(&[&str], &[&str], Manner, Exactness)] = &[
    (&["kubectl"], &["apply"], Manner::Verb("diff"), Exactness::Exact),
    (&["kubectl"], &["rollout", "undo"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["delete"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["create"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["replace"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["patch"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["scale"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["autoscale"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["set"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["label"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["annotate"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["taint"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["expose"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["drain"], Manner::Flag("--dry-run=server"), Exactness::Partial),
    (&["kubectl"], &["cordon"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["kubectl"], &["uncordon"], Manner::Flag("--dry-run=server"), Exactness::Exact),
    (&["helm"], &["upgrade"], Manner::Flag("--dry-run"), Exactness::Partial),
    (&["helm"], &["install"], Manner::Flag("--dry-run"), Exactness::Partial),
    (&["helm"], &["rollback"], Manner::Flag("--dry-run"), Exactness::Partial),
    (&["helm"], &["uninstall"], Manner::Flag("--dry-run"), Exactness::Partial),
    (&["terraform", "tofu"], &["apply"], Manner::Verb("plan"), Exactness::Partial),
    (&["argocd"], &["app", "sync"], Manner::Flag("--dry-run"), Exactness::Partial),
    (&["git"], &["push"], Manner::Flag("--dry-run"), Exactness::Partial),
    (&["git"], &["clean"], Manner::Flag("--dry-run"), Exactness::Exact),
    (&["rsync"], &[], Manner::Flag("--dry-run"), Exactness::Partial),
    (&["apt-get"], &[], Manner::Flag("--simulate"), Exactness::Partial),
    (&["ansible-playbook"], &[], Manner::Flag("--check"), Exactness::Partial),
];

/// The command that previews `argv`; `None` where the tool has none, or `argv` is one already.
///
/// The words of the verb must stand first, before any flag: where a flag comes before, what is a verb and what is a
/// flag's value cannot be told here, and a preview that is another command would be worse than none.
pub fn preview(argv: &[String]) -> Option<Preview> {
    let program = argv.first()?.rsplit('/').next()?;
    let rest = &argv[1..];
    // What stands after `--` is not the tool's own.
    let own = rest.iter().position(|word| word == "--").unwrap_or(rest.len());
    let is_dry = |word: &String| {
        ["--dry-run", "--simulate", "--check", "-s", "-n", "--just-print"].contains(&word.as_str())
            || word.starts_with("--dry-run=")
    };
    let verb = verb_at(program, rest)?;
    for (programs, words, manner, exactness) in PREVIEWS {
        if !programs.contains(&program) || !rest[verb..].iter().zip(*words).all(|(a, b)| a == b) {
            continue;
        }
        if rest.len() < verb + words.len() {
            continue;
        }
        let mut argv = argv.to_vec();
        match manner {
            Manner::Verb(other) => {
                (*other).clone_into(&mut argv[1 + verb]);
                // Flags that only the replaced verb knows.
                argv.retain(|word| !["--auto-approve", "-auto-approve", "--prune"].contains(&word.as_str()));
                if program != "kubectl" && argv.iter().any(|word| word == "-destroy" || word == "--destroy") {
                    return None;
                }
            }
            Manner::Flag(flag) => {
                if rest[..own].iter().any(|word| is_dry(word) && !(program == "kubectl" && word == "-n")) {
                    return None;
                }
                argv.insert(1 + own, (*flag).to_owned());
            }
        }
        return Some(Preview { argv, exactness: *exactness });
    }
    None
}

/// Where the verb stands: first, or after flags of kubectl and helm whose shape is known.
fn verb_at(program: &str, rest: &[String]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = rest.get(at).filter(|word| word.starts_with('-')) {
        let takes_value = matches!(word.as_str(), "-n" | "--namespace" | "--context" | "--kube-context" | "--cluster");
        let holds_value =
            ["--namespace=", "--context=", "--kube-context=", "--cluster="].iter().any(|flag| word.starts_with(flag));
        at += match (program, takes_value, holds_value) {
            ("kubectl" | "helm", true, _) => 2,
            ("kubectl" | "helm", _, true) => 1,
            _ => return None,
        };
    }
    Some(at)
}

/// The preview of an action, as an action of its own: shown, judged and run like any other.
pub fn preview_of(action: &Action) -> Option<Action> {
    let preview = preview(&action.argv)?;
    Some(Action {
        id: format!("{}-preview", action.id),
        argv: preview.argv,
        change: None,
        rationale: Text::new(&format!("shows what it would do, and does nothing ({})", preview.exactness.word())),
        rollback: None,
        verify: None,
        ..action.clone()
    })
}

/// What undoes an action, as an action of its own.
pub fn undo_of(action: &Action) -> Option<Action> {
    Some(Action {
        id: format!("{}-undo", action.id),
        argv: action.rollback.clone()?,
        change: None,
        rationale: Text::new(&format!("takes back: {}", join(&action.argv))),
        rollback: Some(action.argv.clone()),
        ..action.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::Effect;
    use crate::gate::effects;
    use crate::gate::{Inventory, lexer};

    fn previewed(line: &str) -> Option<String> {
        preview(&lexer::split(line).unwrap()).map(|preview| lexer::join(&preview.argv))
    }

    #[test]
    fn previews_are_the_tools_own() {
        for (line, wanted) in [
            (
                "kubectl -n shop rollout undo deployment/web",
                Some("kubectl -n shop rollout undo deployment/web --dry-run=server"),
            ),
            ("kubectl apply -f web.yaml", Some("kubectl diff -f web.yaml")),
            (
                "/usr/bin/kubectl --context=prod scale deploy/web --replicas=3",
                Some("/usr/bin/kubectl --context=prod scale deploy/web --replicas=3 --dry-run=server"),
            ),
            ("helm rollback web 3", Some("helm rollback web 3 --dry-run")),
            ("terraform apply -auto-approve", Some("terraform plan")),
            ("kubectl drain node-1 -- x", Some("kubectl drain node-1 --dry-run=server -- x")),
            ("kubectl rollout restart deployment/web", None),
            ("kubectl delete pod x --dry-run=client", None),
            ("kubectl exec x -- delete", None),
            ("kubectl -v 9 delete pod x", None),
            ("terraform apply -destroy", None),
            ("terraform -chdir=x apply", None),
            ("systemctl restart nginx", None),
            ("git push origin main", Some("git push origin main --dry-run")),
            ("kubectl", None),
        ] {
            assert_eq!(previewed(line).as_deref(), wanted, "{line}");
        }
        assert_eq!(preview(&[]), None);
    }

    #[test]
    fn a_preview_of_a_cluster_is_a_read() {
        for line in [
            "kubectl -n shop rollout undo deployment/web",
            "kubectl delete pod x",
            "kubectl scale deploy/web --replicas=3",
            "kubectl set image deploy/web web=web:2",
        ] {
            let argv = preview(&lexer::split(line).unwrap()).unwrap().argv;
            assert_eq!(effects::understand(&argv, &Inventory::default()).effect, Effect::Read, "{line}");
        }
    }
}
