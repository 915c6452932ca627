//! The tests inside a policy file, and whether they prove it.
//!
//! A rule that nothing tests may say anything: a namespace with a letter too many guards nothing, and nobody notices.
//! So a file loads only when each of its rules, and each word of their lists, is missed by one of the tests as soon as
//! it is struck out.

use serde::Deserialize;

use super::when::Facts;
use super::{Policy, Rule, need};
use crate::domain::Timestamp;
use crate::domain::action::{Decision, Verdict};
use crate::gate::taint::{Inventory, TelemetryWords};
use crate::gate::{Gate, Situation, Weighed};

/// Tests of one file at most.
pub(super) const MAX_TESTS: usize = 2_000;

/// A Wednesday at ten o'clock: when tests happen that do not say it.
const TEST_TIME: Timestamp = Timestamp::from_secs(1_767_780_000);

/// One test of a policy file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    name: String,
    /// The command, as a line for the strict lexer.
    line: Option<String>,
    /// The command, as argv.
    argv: Option<Vec<String>>,
    #[serde(default = "test_environment")]
    environment: String,
    #[serde(default)]
    critical: bool,
    #[serde(default = "test_role")]
    role: String,
    /// When, for rules with times; a Wednesday at ten when left out.
    at: Option<Timestamp>,
    /// Whether changes are frozen, whatever the freezes of the files say.
    frozen: Option<bool>,
    /// Words that telemetry has said.
    #[serde(default)]
    telemetry: Vec<String>,
    /// Names that are known.
    #[serde(default)]
    inventory: Vec<String>,
    expect: Decision,
    /// Name of the rule that must decide.
    rule: Option<String>,
    /// Who has to sign.
    need: Option<Vec<String>>,
    /// Whether the signatures can be given afterwards.
    break_glass: Option<bool>,
}

fn test_environment() -> String {
    "test".to_owned()
}

fn test_role() -> String {
    "operator".to_owned()
}

/// A test whose command was understood, to be decided on by several policies.
struct Understood<'t> {
    test: &'t Test,
    telemetry: TelemetryWords,
    inventory: Inventory,
    weighed: Weighed,
}

impl<'t> Understood<'t> {
    fn new(test: &'t Test, gate: &Gate) -> Result<Self, String> {
        let telemetry = TelemetryWords::from_iter(&test.telemetry);
        let inventory = Inventory::from_iter(&test.inventory);
        let situation = test.situation(&telemetry, &inventory);
        let weighed = match (&test.line, &test.argv) {
            (Some(line), None) => gate.weigh_line(line, &situation),
            (None, Some(argv)) => gate.weigh(argv, &situation),
            _ => return Err(format!("{}: give either `line` or `argv`", test.name)),
        };
        Ok(Self { test, telemetry, inventory, weighed })
    }

    fn verdict(&self, policy: &Policy) -> Verdict {
        let situation = self.test.situation(&self.telemetry, &self.inventory);
        let facts = Facts { frozen: self.test.frozen, ..self.weighed.facts(&situation) };
        policy.decide(&facts)
    }

    fn passes(&self, policy: &Policy) -> Result<(), String> {
        let (test, verdict) = (self.test, self.verdict(policy));
        let as_expected = verdict.decision == test.expect
            && test.rule.as_ref().is_none_or(|rule| *rule == verdict.rule)
            && test.need.as_ref().is_none_or(|need| need::together([&need[..]]) == verdict.need)
            && test.break_glass.is_none_or(|may| may == verdict.break_glass);
        if as_expected {
            return Ok(());
        }
        let by = test.rule.as_ref().map(|rule| format!(" by rule {rule}")).unwrap_or_default();
        let need = |need: &[String]| if need.is_empty() { String::new() } else { format!(" ({})", need.join(", ")) };
        Err(format!(
            "{}: expected {}{by}{}, got {} by rule {}{}",
            test.name,
            test.expect.word(),
            need(test.need.as_deref().unwrap_or_default()),
            verdict.decision.word(),
            verdict.rule,
            need(&verdict.need),
        ))
    }
}

impl Test {
    fn situation<'a>(&'a self, telemetry: &'a TelemetryWords, inventory: &'a Inventory) -> Situation<'a> {
        Situation {
            profile: &self.environment,
            critical: self.critical,
            actor: "test",
            role: &self.role,
            telemetry,
            inventory,
            at: self.at.unwrap_or(TEST_TIME),
        }
    }
}

/// What fails of `tests` under the policy, and, when `strictly`, what they do not prove of its last layer.
pub(super) fn failures(policy: Policy, tests: &[Test], strictly: bool) -> (Policy, Vec<String>) {
    let gate = Gate::new(policy);
    let (mut understood, mut failed) = (Vec::new(), Vec::new());
    for test in tests {
        match Understood::new(test, &gate) {
            Ok(test) => understood.push(test),
            Err(error) => failed.push(error),
        }
    }
    failed.extend(understood.iter().filter_map(|test| test.passes(&gate.policy).err()));
    let mut policy = gate.policy;
    if failed.is_empty() && strictly {
        failed = unproven(&mut policy, &understood);
    }
    (policy, failed)
}

/// What could be struck out of the last layer without any of the tests noticing.
fn unproven(policy: &mut Policy, tests: &[Understood<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    let last = policy.layers.len() - 1;
    for number in 0..policy.layers[last].rules.len() {
        let rule = policy.layers[last].rules[number].clone();
        for (what, variant) in variants(&rule) {
            policy.layers[last].rules[number] = variant;
            if tests.iter().all(|test| test.passes(policy).is_ok()) {
                found.push(format!("rule {}: no test fails without {what}", rule.name));
            }
        }
        policy.layers[last].rules[number] = rule;
    }
    found
}

/// The rule with one thing struck out, each time another.
fn variants(rule: &Rule) -> Vec<(String, Rule)> {
    let mut all = vec![("it".to_owned(), Rule { never: true, ..rule.clone() })];
    for (what, when) in rule.when.weaker(rule.decision) {
        all.push((what, Rule { when, ..rule.clone() }));
    }
    for (place, text) in rule.need.iter().enumerate() {
        let mut need = rule.need.clone();
        match need::parse(text) {
            Ok((count, role)) if count > 1 => need[place] = format!("{} x {role}", count - 1),
            _ if need.len() > 1 => {
                need.remove(place);
            }
            _ => continue,
        }
        all.push((format!("the need `{text}`"), Rule { need, ..rule.clone() }));
    }
    if rule.break_glass {
        all.push(("`break_glass`".to_owned(), Rule { break_glass: false, ..rule.clone() }));
    }
    all
}
