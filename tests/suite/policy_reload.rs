//! A policy that changes while the program runs.

use std::path::Path;

use stanch::app::engine::{Engine, Origin};
use stanch::app::execution::{self, Execution};
use stanch::config::{self, Config};
use stanch::domain::Timestamp;
use stanch::domain::action::Decision;
use stanch::domain::ledger::EntryKind;
use stanch::ledger::Filter;
use stanch::sources::demo;
use tokio_util::sync::CancellationToken;

use crate::crash::action;

/// A file that denies one program.
fn denying(program: &str) -> String {
    format!(
        "version = 1\n[[rule]]\nname = \"no-{program}\"\nwhen = {{ program = \"{program}\" }}\ndecision = \"deny\"\nwhy = \"w\"\n\
         [[test]]\nname = \"t\"\nargv = [\"{program}\"]\nexpect = \"deny\"\nrule = \"no-{program}\"\n"
    )
}

fn engine(folder: &Path, policy: &Path) -> Engine {
    let config = Config {
        ledger: config::Ledger { path: Some(folder.join("ledger.db")), ..config::Ledger::default() },
        policy: config::Policy { file: Some(policy.to_owned()) },
        ..Config::default()
    };
    let demo = demo::bundle(Timestamp::from_secs(1_800_000_000));
    Engine::new(config, None, Origin::Demo(demo), None, None).expect("the demo opens")
}

#[tokio::test]
async fn what_was_shown_under_another_policy_does_not_run_and_the_change_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("tighter.toml");
    std::fs::write(&policy, denying("uptime")).unwrap();
    let engine = engine(folder.path(), &policy);
    let date = action(&["date", "-u"]);
    let ready = execution::prepare(&engine, &engine.standing, &date).await.unwrap();
    assert_eq!(ready.judged.verdict.decision, Decision::Allow);
    let before = ready.request.policy.clone();

    std::fs::write(&policy, denying("date")).unwrap();
    let (sender, _news) = tokio::sync::mpsc::channel(16);
    let order = Execution { digest: ready.digest.clone(), typed: None, break_glass: None };
    let refused = execution::run(&engine, &ready, &date, order, sender, CancellationToken::new()).await.unwrap_err();
    assert!(refused.to_string().contains("the policy changed"), "{refused}");
    let again = execution::prepare(&engine, &engine.standing, &date).await.unwrap();
    assert_eq!(again.judged.verdict.rule, "no-date");

    // One that cannot be used is said once, and leaves the policy as it is.
    std::fs::write(&policy, denying("date").replace("decision", "decison")).unwrap();
    let said = engine.refresh_policy().await.unwrap().unwrap_err();
    assert!(said.contains("stays in force") && said.contains("decison"), "{said}");
    assert_eq!(engine.refresh_policy().await, None);
    assert_eq!(engine.standing.judge(&date.argv).verdict.rule, "no-date");

    let ledger = engine.ledger().await.unwrap();
    let entries = ledger.entries(Filter { limit: 100, ..Filter::default() }).await.unwrap();
    let payload = |kind: EntryKind, event: &str| {
        entries
            .iter()
            .map(|entry| &entry.draft)
            .find(|draft| draft.kind == kind && draft.payload["event"] == event)
            .unwrap_or_else(|| panic!("no {event}"))
            .payload
            .clone()
    };
    let changed = payload(EntryKind::Policy, "changed while running");
    assert_eq!((changed["before"].as_str(), changed["hash"].as_str()), (Some(&*before), Some(&*again.request.policy)));
    assert!(changed["text"].as_str().unwrap().contains("no-date"));
    assert_eq!(payload(EntryKind::Note, "policy kept")["hash"], changed["hash"]);
}
