//! A command that a model wants run: only of kubectl, only one that the gate understands to read and allows without
//! asking, never from a recording. It goes the way of every run: authorised, in the ledger before and after, executed by
//! the runner. The key press that asked the question stands for it; a command that would need a confirmation is refused.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::diagnosing::in_context;
use crate::app::engine::Engine;
use crate::app::execution::{self, Execution, News};
use crate::app::standing::Standing;
use crate::copilot::questions::{NotTold, Told};
use crate::domain::action::{Action, Decision, Effect, Judged, Origin, RunState};
use crate::domain::{Text, TimeRange};
use crate::gate::lexer;

/// Longest time a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of output that are kept.
const LINES: usize = 400;

/// Runs it, or says why not.
pub(super) async fn run(
    engine: &Engine,
    standing: &Standing,
    incident: Option<&str>,
    argv: &[String],
) -> Result<Told, NotTold> {
    let refused = |why: String| NotTold::Refused(Text::from(why));
    if argv.first().is_none_or(|program| program != "kubectl") {
        return Err(refused("only kubectl can be called".to_owned()));
    }
    // What a model says, it may have read in a log line, in whatever disguise.
    let standing = standing.remembering(argv);
    let action = Action {
        id: "ask".to_owned(),
        incident: incident.unwrap_or_default().to_owned(),
        origin: Origin::Model("ask".to_owned()),
        argv: argv.to_vec(),
        change: None,
        target: Text::default(),
        rationale: Text::from("asked for by a model to answer a question"),
        rollback: None,
        verify: None,
    };
    let action = in_context(action, engine);
    objection(&standing.judge(&action.argv)).map_or(Ok(()), |why| Err(refused(why)))?;
    if engine.bundle().is_some() {
        return Err(refused("this is a recording: no command is run from it".to_owned()));
    }
    if engine.profile.kubernetes.is_none() {
        return Err(refused("no cluster is configured for this profile (profile.….kubernetes)".to_owned()));
    }
    let failed = |failure: crate::app::failure::Failure| NotTold::Failed(Text::from(failure.to_string()));
    let ready = execution::prepare(engine, &standing, &action).await.map_err(failed)?;
    // Judged once more, as it is about to run.
    objection(&ready.judged).map_or(Ok(()), |why| Err(refused(why)))?;
    let order = Execution { digest: ready.digest.clone(), typed: None, break_glass: None };
    let (news, mut incoming) = mpsc::channel(256);
    let cancel = CancellationToken::new();
    // Dropped with the question: then the command ends, too.
    let _ends = cancel.clone().drop_guard();
    let began = (engine.clock)();
    let mut lines: Vec<Text> = Vec::new();
    let mut left_out = 0;
    let listen = async {
        while let Some(item) = incoming.recv().await {
            match item {
                News::Line(line) if lines.len() < LINES => lines.push(line.text),
                News::Line(_) => left_out += 1,
                News::Dropped(count) => left_out += usize::try_from(count).unwrap_or(usize::MAX),
                News::Ended(_) | News::Verified(_) => {}
            }
        }
    };
    let limit = async {
        tokio::time::sleep(PATIENCE).await;
        cancel.cancel();
        std::future::pending::<()>().await;
    };
    let work = async { tokio::join!(execution::run(engine, &ready, &action, order, news, cancel.clone()), listen).0 };
    let record = tokio::select! {
        record = work => record.map_err(failed)?,
        () = limit => return Err(NotTold::Failed(Text::from("it took too long"))),
    };
    let mut text: Vec<String> = lines.iter().map(ToString::to_string).collect();
    if left_out > 0 {
        text.push(format!("… {left_out} more lines are not shown"));
    }
    if text.is_empty() {
        text.push("(no output)".to_owned());
    }
    let ended = match &record.state {
        RunState::Exited { code: 0 } => String::new(),
        other => format!(" ({})", other.words()),
    };
    Ok(Told {
        title: Text::from(format!("{}{ended}", lexer::join(&action.argv))),
        items: lines.len(),
        text: Text::from(text.join("\n")),
        source: "kubectl".to_owned(),
        range: TimeRange::new(began, (engine.clock)()),
    })
}

/// Why a command may not be run on the way to an answer; `None` when it may.
fn objection(judged: &Judged) -> Option<String> {
    let verdict = &judged.verdict;
    let by = format!("rule {}: {}", verdict.rule, verdict.why);
    match (judged.effect, judged.reads_secrets, verdict.decision) {
        (Effect::Read, true, _) => Some(format!("it reads secrets ({by})")),
        (Effect::Read, false, Decision::Allow) => None,
        (Effect::Read, false, decision) => Some(format!(
            "a person would have to {} it ({by})",
            if decision == Decision::Confirm { "confirm" } else { "approve" }
        )),
        (effect, ..) => Some(format!("its effect is {}, and questions only read ({by})", effect.word())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::app::engine::Origin as From;
    use crate::config::{Config, Kubernetes, Profile};
    use crate::domain::ledger::{Entry, EntryKind};
    use crate::domain::settings::SourceSettings;
    use crate::ledger::Filter;

    /// A live engine whose kubectl is this script.
    fn engine(folder: &Path, script: &str) -> Engine {
        let programs = folder.join("bin");
        std::fs::create_dir(&programs).unwrap();
        let program = programs.join("kubectl");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        for path in [&programs, &program] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut config = Config::default();
        config.ledger.path = Some(folder.join("ledger.db"));
        let profile = Profile {
            prometheus: Some(SourceSettings::new("http://127.0.0.1:1")),
            kubernetes: Some(Kubernetes { context: Some("test".into()) }),
            inventory: vec!["shop".into()],
            ..Profile::default()
        };
        let mut engine = Engine::new(config, Some(("test".into(), profile)), From::Live, None, None).unwrap();
        engine.runner.directories = vec![programs];
        engine.runner.cwd = folder.to_owned();
        engine
    }

    async fn ask(engine: &Engine, line: &str) -> Result<Told, NotTold> {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        run(engine, &engine.standing, Some("I-1"), &argv).await
    }

    async fn written(engine: &Engine, kind: EntryKind) -> Vec<Entry> {
        let filter = Filter { kinds: vec![kind], ..Filter::default() };
        engine.ledger().await.unwrap().entries(filter).await.unwrap()
    }

    #[tokio::test]
    async fn a_read_goes_through_gate_and_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "echo \"called with $*\"");
        let told = ask(&engine, "kubectl get pods -n shop").await.unwrap();
        assert!(told.text.contains("called with --context=test get pods -n shop"), "{}", told.text);
        let intents = written(&engine, EntryKind::RunIntent).await;
        let outcomes = written(&engine, EntryKind::RunOutcome).await;
        let ([intent], [outcome]) = (intents.as_slice(), outcomes.as_slice()) else { panic!("one of each") };
        assert_eq!(intent.draft.payload["judged"]["effect"], "read");
        assert_eq!(intent.draft.payload["action"]["origin"], serde_json::json!({"by": "model", "name": "ask"}));
        assert_eq!(outcome.draft.payload["intent"], intent.seq);
        assert_eq!(outcome.draft.payload["state"], serde_json::json!({"state": "exited", "code": 0}));
    }

    #[tokio::test]
    async fn what_changes_something_or_reads_secrets_is_never_run() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), ": > called");
        for line in [
            "kubectl delete pod payments-1 -n shop",
            "kubectl get secret -n shop -o yaml",
            "kubectl exec payments-1 -- cat /etc/passwd",
            "kubectl get pods --kubeconfig=/tmp/other",
            "rm -rf /",
        ] {
            let refused = ask(&engine, line).await;
            assert!(matches!(refused, Err(NotTold::Refused(_))), "{line}: {refused:?}");
        }
        assert!(!folder.path().join("called").exists());
        assert!(written(&engine, EntryKind::RunIntent).await.is_empty());
    }

    #[tokio::test]
    async fn one_that_is_given_up_at_any_moment_leaves_no_intent_without_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "exit 0");
        let ledger = engine.ledger().await.unwrap();
        for polls in 0.. {
            let mut work = Box::pin(ask(&engine, "kubectl get pods -n shop"));
            let mut left = polls;
            let given_up = std::future::poll_fn(|context| {
                if left == 0 {
                    return std::task::Poll::Ready(true);
                }
                left -= 1;
                work.as_mut().poll(context).map(|_| false)
            });
            let given_up = given_up.await;
            drop(work);
            while !engine.open_runs.is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(ledger.open_intents().await.unwrap(), Vec::<u64>::new(), "given up after {polls} polls");
            if !given_up {
                break;
            }
        }
        assert!(!written(&engine, EntryKind::RunOutcome).await.is_empty());
    }

    #[tokio::test]
    async fn one_that_is_given_up_is_ended_and_has_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), ": > begun; exec /bin/sleep 3600");
        let mut work = Box::pin(ask(&engine, "kubectl get pods -n shop"));
        while !folder.path().join("begun").exists() {
            tokio::select! {
                ended = &mut work => panic!("it does not end by itself: {ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(work);
        // Whoever leaves the program waits for this.
        engine.runs_are_over().await;
        let outcome = written(&engine, EntryKind::RunOutcome).await.pop().unwrap();
        assert_eq!(outcome.draft.payload["state"]["state"], "cancelled");
        assert_eq!(outcome.draft.payload["intent"], written(&engine, EntryKind::RunIntent).await[0].seq);
    }
}
