//! The gate against two corpora and against a real bash.

use std::fmt::Write as _;
use std::process::Command;

use proptest::prelude::*;
use stanch::domain::action::{Decision, Effect, Judged};
use stanch::gate::{Gate, Inventory, Policy, Situation, TelemetryWords, lexer};

const HOSTILE: &str = include_str!("corpus/hostile.txt");
const BENIGN: &str = include_str!("corpus/benign.txt");

fn lines(corpus: &str) -> impl Iterator<Item = &str> {
    corpus.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// An operator in a critical environment.
pub(crate) fn in_prod<'a>(telemetry: &'a TelemetryWords, inventory: &'a Inventory) -> Situation<'a> {
    Situation {
        profile: "prod",
        critical: true,
        actor: "oncall-1",
        role: "operator",
        telemetry,
        inventory,
        at: stanch::domain::Timestamp::from_secs(1_767_787_200),
    }
}

fn judge(line: &str) -> Judged {
    let (telemetry, inventory) = (TelemetryWords::default(), Inventory::default());
    let situation = in_prod(&telemetry, &inventory);
    Gate::new(Policy::builtin()).judge_line(line, &situation)
}

#[test]
fn no_hostile_line_is_a_read_and_none_is_allowed() {
    let mut slipped = Vec::new();
    let mut count = 0;
    for line in lines(HOSTILE) {
        let (command, reason) = line.split_once('\t').unwrap_or_else(|| panic!("no reason: {line}"));
        let judged = judge(command);
        count += 1;
        if judged.effect == Effect::Read || judged.verdict.decision == Decision::Allow {
            slipped.push(format!("{command} ({reason}): {:?}", judged.notes));
        }
    }
    println!("hostile: {count} lines, {} slipped", slipped.len());
    assert!(count >= 150);
    assert!(slipped.is_empty(), "{}", slipped.join("\n"));
}

#[test]
fn everyday_reads_are_understood() {
    let mut missed = Vec::new();
    let mut count = 0;
    for line in lines(BENIGN) {
        let judged = judge(line);
        count += 1;
        if judged.effect != Effect::Read {
            missed.push(format!("{line}: {} {:?}", judged.effect.word(), judged.notes));
        }
    }
    println!("benign: {count} lines, {} not read\n{}", missed.len(), missed.join("\n"));
    assert!(missed.len() * 20 <= count, "{}", missed.join("\n"));
}

/// How bash splits each of the lines: words between NUL bytes, lines between two.
fn bash(lines: &[String]) -> Vec<Vec<String>> {
    let mut script = String::from("set -f; unset HISTFILE\n");
    for line in lines {
        let _ = write!(script, "printf '%s\\0' {line}\nprintf '\\1\\0'\n");
    }
    let output =
        Command::new("bash").args(["--norc", "--noprofile", "-c", &script]).output().expect("bash is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("accepted lines are ASCII");
    let mut all = Vec::new();
    let mut words = Vec::new();
    for word in text.split_terminator('\0') {
        if word == "\u{1}" { all.push(std::mem::take(&mut words)) } else { words.push(word.to_owned()) }
    }
    all
}

#[test]
fn accepted_lines_of_the_corpora_split_as_bash_splits_them() {
    let commands: Vec<&str> =
        lines(BENIGN).chain(lines(HOSTILE).map(|line| line.split('\t').next().unwrap_or(line))).collect();
    let (accepted, ours): (Vec<String>, Vec<Vec<String>>) =
        commands.iter().filter_map(|line| Some(((*line).to_owned(), lexer::split(line).ok()?))).unzip();
    assert!(accepted.len() > 200);
    assert_eq!(bash(&accepted), ours);
}

/// Lines made of what is near the border: quotes, blanks, specials, letters.
fn near_lines() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9_./:@%+,=-]{1,6}".prop_map(String::from),
        3 => Just(" ".to_owned()),
        1 => Just("\t".to_owned()),
        2 => "'[ -&(-~]{0,8}'".prop_map(String::from),
        2 => "\"[ #%-\\[\\]-_a-~]{0,8}\"".prop_map(String::from),
        1 => "[ -~]".prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("ls {}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_the_lexer_accepts_bash_splits_the_same(candidates in prop::collection::vec(near_lines(), 60)) {
        let (accepted, ours): (Vec<String>, Vec<Vec<String>>) =
            candidates.iter().filter_map(|line| Some((line.clone(), lexer::split(line).ok()?))).unzip();
        prop_assert_eq!(bash(&accepted), ours);
    }

    #[test]
    fn no_nesting_of_wrappers_makes_a_command_better(
        wrappers in prop::collection::vec(prop::sample::select(vec![
            "sudo", "sudo -n", "sudo -u root", "nice -n 5", "nohup", "timeout 5s", "timeout -k 1 5", "time -p", "env -i", "stdbuf -oL",
            "ionice -c 3", "ssh web-1", "env", "kubectl exec web-1 --", "docker exec web", "xargs", "sh -c", "watch",
        ]), 0..5),
        inner in prop::sample::select(vec![
            "kubectl get pods", "kubectl rollout undo deploy/x", "kubectl delete pod x", "frobnicate", "systemctl restart nginx", "rm -rf /data",
        ]),
    ) {
        let plain = judge(inner).effect;
        let wrapped = judge(&format!("{} {inner}", wrappers.join(" "))).effect;
        prop_assert!(wrapped >= plain, "{} {inner}: {} is better than {}", wrappers.join(" "), wrapped.word(), plain.word());
    }
}
