//! The headless commands on a recorded incident.

use std::collections::BTreeSet;

use crate::program::{Program, demo_bundle};

#[test]
fn every_command_answers_on_a_bundle_with_one_document() {
    let program = Program::new();
    let bundle = demo_bundle(program.home());
    let replay = ["--replay", bundle.to_str().unwrap()];
    let incidents = program.json(&[&["incidents"], &replay[..]].concat());
    let list = incidents["incidents"].as_array().unwrap();
    assert!(list.len() >= 2, "{incidents}");
    for key in ["id", "title", "severity", "startedAt", "services", "alerts"] {
        assert!(list[0].get(key).is_some(), "{key} is missing: {}", list[0]);
    }
    assert_eq!(incidents["sources"][0]["name"], "bundle");
    let id = list.iter().find(|incident| incident["severity"] == "critical").unwrap()["id"].as_str().unwrap();

    let alerts = program.json(&[&["alerts"], &replay[..]].concat());
    let folded: usize = list.iter().map(|incident| incident["alerts"].as_array().unwrap().len()).sum();
    assert_eq!(alerts["alerts"].as_array().unwrap().len(), folded, "an alert was lost or counted twice");

    let suspects = program.json(&[&["suspects", id], &replay[..]].concat());
    assert_eq!(suspects["verdict"], "suspects");
    assert_eq!(suspects["suspects"][0]["service"], "payments");
    assert_eq!(suspects["suspects"][0]["rank"], 1);
    assert_eq!(suspects["changes"][0]["service"], "payments", "{}", suspects["changes"]);

    for budget in ["1000", "4000", "20000"] {
        let pack = program.json(&[&["pack", id, "--budget", budget], &replay[..]].concat());
        assert!(pack["tokens"].as_u64().unwrap() <= budget.parse().unwrap());
        let again = program.json(&[&["pack", id, "--budget", budget], &replay[..]].concat());
        assert_eq!(pack["text"], again["text"], "a pack must be the same every time");
    }

    let diagnosed = program.json(&[&["diagnose", id, "--offline"], &replay[..]].concat());
    assert_eq!(diagnosed["analyst"], "offline");
    assert_eq!(diagnosed["unsupported"].as_array().unwrap().len(), 0, "{}", diagnosed["unsupported"]);
    let rollback = diagnosed["actions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|action| action["argv"].as_array().unwrap().iter().any(|word| word == "undo"));
    assert_eq!(rollback.expect("a rollback is suggested")["effect"], "mutate");
}

#[test]
fn a_recording_that_is_asked_again_says_the_same() {
    let program = Program::new();
    let bundle = demo_bundle(program.home());
    let replay = ["--replay", bundle.to_str().unwrap()];
    let incidents = program.json(&[&["incidents"], &replay[..]].concat());
    let list = incidents["incidents"].as_array().unwrap();
    let id = list.iter().find(|incident| incident["severity"] == "critical").unwrap()["id"].as_str().unwrap();
    let diagnosed = program.json(&[&["diagnose", id, "--offline", "--recheck"], &replay[..]].concat());
    let rechecked = diagnosed["rechecked"].as_array().unwrap();
    let mut kinds = BTreeSet::new();
    for one in rechecked {
        let kind = one["id"].as_str().unwrap().chars().next().unwrap();
        kinds.insert(kind);
        let wanted = if matches!(kind, 'C' | 'R') { "notAsked" } else { "same" };
        assert_eq!(one["outcome"], wanted, "{one}");
    }
    assert!(kinds.contains(&'M') && kinds.contains(&'L') && kinds.contains(&'A'), "{kinds:?}");
    let plain = program.json(&[&["diagnose", id, "--offline"], &replay[..]].concat());
    assert!(plain.get("rechecked").is_none(), "it was not asked for");
    let said = program.run(&[&["diagnose", id, "--offline", "--recheck"], &replay[..]].concat());
    assert!(said.stdout.contains("the evidence, asked again:") && said.stdout.contains("the same"), "{said:?}");
}

#[test]
fn every_cited_id_exists() {
    let program = Program::new();
    let bundle = demo_bundle(program.home());
    let replay = ["--replay", bundle.to_str().unwrap()];
    let incidents = program.json(&[&["incidents"], &replay[..]].concat());
    let id = incidents["incidents"][0]["id"].as_str().unwrap().to_owned();
    let pack = program.json(&[&["pack", &id, "--budget", "200000"], &replay[..]].concat());
    let known: BTreeSet<&str> = pack["evidence"].as_array().unwrap().iter().filter_map(|e| e["id"].as_str()).collect();
    let suspects = program.json(&[&["suspects", &id], &replay[..]].concat());
    for suspect in suspects["suspects"].as_array().unwrap() {
        for signal in suspect["signals"].as_array().unwrap() {
            for cited in signal["evidence"].as_array().unwrap() {
                assert!(known.contains(cited.as_str().unwrap()), "{cited} of {signal} does not exist");
            }
        }
    }
}

#[test]
fn several_incidents_must_be_told_apart() {
    let program = Program::new();
    let bundle = demo_bundle(program.home());
    let said = program.run(&["suspects", "--replay", bundle.to_str().unwrap()]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("name one") && said.stderr.contains("I-"), "{said:?}");
}

#[test]
fn the_manual_and_the_completions_come_from_one_definition() {
    let program = Program::new();
    assert!(program.run(&["man"]).stdout.contains(".TH stanch"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(program.run(&["completions", shell]).stdout.contains("suspects"), "{shell}");
    }
}

#[test]
fn a_check_says_no_with_its_own_exit_code() {
    let program = Program::new();
    let yes = program.run(&["--json", "check", "--line", "kubectl get pods -n shop"]);
    assert_eq!((yes.code, yes.document()["effect"].as_str()), (0, Some("read")), "{yes:?}");
    let no = program.run(&["--json", "check", "--line", "rm -rf / ; echo"]);
    assert_eq!((no.code, no.document()["effect"].as_str()), (3, Some("opaque")), "{no:?}");
    let file = program.file("lines", "uptime\nkubectl delete pod a\n\n");
    let many = program.run(&["check", "--lines", file.to_str().unwrap()]);
    let effects: Vec<String> = many
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["effect"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(effects.len(), 3, "one answer a line, empty lines included: {many:?}");
    assert_eq!(effects[0], "read");
    assert_ne!(effects[1], "read");
}

#[test]
fn an_action_runs_only_by_the_digest_that_was_shown() {
    let program = Program::new();
    let bundle = demo_bundle(program.home());
    let replay = ["--replay", bundle.to_str().unwrap()];
    let incidents = program.json(&[&["incidents"], &replay[..]].concat());
    let id = incidents["incidents"][0]["id"].as_str().unwrap().to_owned();
    let list = program.json(&[&["actions", "list", &id], &replay[..]].concat());
    let of = |program_name: &str, verb: &str| {
        let wanted = |action: &&serde_json::Value| {
            action["argv"][0] == program_name && action["argv"].as_array().unwrap().iter().any(|word| word == verb)
        };
        list["actions"].as_array().unwrap().iter().find(wanted).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let date = of("date", "-u");
    let run = |more: &[&str]| program.run(&[&["actions", "run", &date, "--incident", &id], &replay[..], more].concat());

    let unseen = run(&[]);
    assert!(unseen.code == 2 && unseen.stderr.contains("nothing was run"), "{unseen:?}");
    let wrong = run(&["--digest", &"0".repeat(64)]);
    assert!(wrong.code == 3 && wrong.stderr.contains("not what was shown"), "{wrong:?}");
    assert!(!program.ledger().exists(), "nothing happened yet");

    let shown = program.json(&[&["actions", "show", &date, "--incident", &id], &replay[..]].concat());
    let ran = run(&["--digest", shown["digest"].as_str().unwrap()]);
    assert!(ran.code == 0 && ran.stdout.contains("UTC"), "{ran:?}");
    let kinds: Vec<String> = program.json(&["audit", "list"])["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["policy", "session", "run_intent", "run_outcome"]);

    // The run can be seen again, by either entry; nothing runs for it.
    for entry in ["3", "4"] {
        let again = program.run(&["audit", "replay", entry, "--speed", "0"]);
        assert!(again.code == 0 && again.stdout.contains("$ date -u"), "{again:?}");
        assert!(again.stdout.contains(ran.stdout.lines().next().unwrap()), "{again:?}");
    }
    let cast = program.run(&["audit", "replay", "4", "--cast"]);
    let lines: Vec<serde_json::Value> = cast.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["version"], &lines[1][1]), (&2.into(), &"o".into()), "{cast:?}");
    assert_eq!(program.run(&["audit", "replay", "9"]).code, 2);

    let preview = program.run(&[&["actions", "preview", &date, "--incident", &id], &replay[..]].concat());
    assert!(preview.code == 2 && preview.stderr.contains("no preview"), "{preview:?}");
}

#[test]
fn incidents_that_have_nothing_to_do_with_each_other_have_their_own_suspects() {
    let program = Program::new();
    let bundle = demo_bundle(program.home());
    let replay = ["--replay", bundle.to_str().unwrap()];
    let incidents = program.json(&[&["incidents"], &replay[..]].concat());
    let certificate = incidents["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .find(|incident| incident["title"].as_str().unwrap().contains("certificate"))
        .unwrap();
    let suspects = program.json(&[&["suspects", certificate["id"].as_str().unwrap()], &replay[..]].concat());
    let blamed: Vec<&str> =
        suspects["suspects"].as_array().unwrap().iter().map(|suspect| suspect["service"].as_str().unwrap()).collect();
    assert!(!blamed.contains(&"payments"), "{blamed:?}");
}
