//! The policy: a typed file of rules that carries its own tests.
//!
//! Every rule that matches is considered and the strictest decision wins; when none matches, the answer is no. A file
//! with an unknown key, an unknown word, a rule that could never be meant, or a failing test does not load: a typo can
//! close a door, never open one.

mod calendar;
#[cfg(test)]
mod mistakes;
mod need;
mod proof;
mod when;

use calendar::Freeze;
use proof::Test;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{denied, effects};
use crate::domain::action::{Decision, Effect, Verdict};
use crate::domain::canonical::hex;
pub use need::parse as parse_need;
pub(super) use when::Facts;
use when::When;

/// The policy in force when there is no other.
const BUILTIN: &str = include_str!("../../config/policy.toml");

/// Most bytes of a policy file.
const MAX_BYTES: usize = 1 << 20;

/// The four roles, from least to most.
pub const ROLES: [&str; 4] = ["viewer", "operator", "incident-commander", "admin"];

/// A loaded policy: its rules were checked and its tests have passed.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The base first; those behind it only make it stricter.
    layers: Vec<Layer>,
    stricter: effects::Stricter,
    tests: usize,
    hash: String,
}

/// One file of rules.
#[derive(Debug, Clone)]
struct Layer {
    rules: Vec<Rule>,
    freezes: Vec<Freeze>,
}

/// Why a policy does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML, an unknown key or an unknown word. Says where.
    #[error("the policy cannot be read: {0}")]
    Syntax(String),
    /// Larger than a policy can be.
    #[error("the policy has {0} bytes; the most is {MAX_BYTES}")]
    TooLarge(usize),
    /// A rule that contradicts what the gate stands for.
    #[error("rule {rule}: {what}")]
    Rule {
        /// Name of the rule.
        rule: String,
        /// What is wrong with it.
        what: String,
    },
    /// What a site adds to the effect tables does not load.
    #[error("the effects cannot be used: {0}")]
    Effects(String),
    /// The policy's own tests fail.
    #[error("the policy's own tests fail, or do not prove it: {}", .0.join("; "))]
    Tests(Vec<String>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
    #[serde(default, rename = "freeze")]
    freezes: Vec<Freeze>,
    #[serde(default, rename = "test")]
    tests: Vec<Test>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    when: When,
    decision: Decision,
    why: String,
    #[serde(default)]
    need: Vec<String>,
    /// Whether the signatures can be given afterwards, when a reason is given before.
    #[serde(default)]
    break_glass: bool,
    /// Struck out, while the tests are asked whether they notice.
    #[serde(skip)]
    never: bool,
}

impl Policy {
    /// The embedded policy: default deny, reads allowed, changes confirmed, losses approved.
    pub fn builtin() -> Self {
        Self::parse(BUILTIN).expect("the embedded policy loads: a test of this room says so")
    }

    /// Text of the embedded policy, for `policy show`.
    pub const fn builtin_text() -> &'static str {
        BUILTIN
    }

    /// Reads a policy and runs its tests.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let base = Self {
            layers: Vec::new(),
            stricter: effects::Stricter::default(),
            tests: 0,
            hash: hex(&Sha256::digest(text.as_bytes())),
        };
        base.with_layer(text, false, true)
    }

    /// Reads a policy whose tests need not prove it, for tests of what rules mean.
    #[cfg(test)]
    pub(super) fn parse_unproven(text: &str) -> Result<Self, PolicyError> {
        let empty = Self { layers: Vec::new(), stricter: effects::Stricter::default(), tests: 0, hash: String::new() };
        empty.with_layer(text, false, false)
    }

    /// The same for a file that tightens.
    #[cfg(test)]
    pub(super) fn tightened_unproven(self, text: &str) -> Result<Self, PolicyError> {
        self.with_layer(text, true, false)
    }

    /// Lays another file over this policy: its rules can only make a decision stricter. It runs its own tests on
    /// both together.
    pub fn tightened_by(mut self, text: &str) -> Result<Self, PolicyError> {
        self.hash = self.hash_with("policy", text);
        self.with_layer(text, true, true)
    }

    /// Adds what a site says of effects beyond the tables: see [`effects::Stricter`].
    pub fn with_stricter_effects(mut self, text: &str) -> Result<Self, PolicyError> {
        let stricter = effects::Stricter::parse(text).map_err(PolicyError::Effects)?;
        self.hash = self.hash_with("effects", text);
        self.stricter = self.stricter.and(stricter);
        Ok(self)
    }

    fn hash_with(&self, kind: &str, text: &str) -> String {
        hex(&Sha256::digest(format!("{}\n{kind}\n{text}", self.hash).as_bytes()))
    }

    fn with_layer(mut self, text: &str, tightens: bool, strictly: bool) -> Result<Self, PolicyError> {
        if text.len() > MAX_BYTES {
            return Err(PolicyError::TooLarge(text.len()));
        }
        let file: File = toml::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        if file.version != 1 {
            return Err(PolicyError::Syntax(format!("version {} is not known; this program knows 1", file.version)));
        }
        let mut names: Vec<&str> =
            self.layers.iter().flat_map(|layer| &layer.rules).map(|rule| rule.name.as_str()).collect();
        for rule in &file.rules {
            let wrong = |what: String| PolicyError::Rule { rule: rule.name.clone(), what };
            rule.check().map_err(wrong)?;
            if names.contains(&rule.name.as_str()) {
                return Err(wrong("the name is taken".to_owned()));
            }
            if tightens && rule.decision == Decision::Allow {
                return Err(wrong("this file can only tighten: `allow` opens nothing here".to_owned()));
            }
            names.push(&rule.name);
        }
        for freeze in &file.freezes {
            freeze.check().map_err(|what| PolicyError::Rule { rule: format!("freeze {}", freeze.name), what })?;
        }
        if file.tests.is_empty() || file.tests.len() > proof::MAX_TESTS {
            let what =
                format!("there are {}; a policy proves itself, with at most {}", file.tests.len(), proof::MAX_TESTS);
            return Err(PolicyError::Tests(vec![what]));
        }
        self.layers.push(Layer { rules: file.rules, freezes: file.freezes });
        self.tests += file.tests.len();
        let (policy, failed) = proof::failures(self, &file.tests, strictly);
        if failed.is_empty() { Ok(policy) } else { Err(PolicyError::Tests(failed)) }
    }

    /// What the site adds to the effect tables.
    pub(super) fn stricter(&self) -> &effects::Stricter {
        &self.stricter
    }

    /// SHA-256 of the file's bytes, lower-case hex: stands in every request and every entry of the ledger.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Number of rules.
    pub fn rules(&self) -> usize {
        self.layers.iter().map(|layer| layer.rules.len()).sum()
    }

    /// Number of the file's own tests, all of which have passed.
    pub fn tests(&self) -> usize {
        self.tests
    }

    /// The strictest decision of all rules that match; no when none of the base does. Of several equally strict the
    /// first is named, and what all of them need together is needed.
    pub(super) fn decide(&self, facts: &Facts<'_>) -> Verdict {
        let situation = facts.situation;
        let freezes = || self.layers.iter().flat_map(|layer| &layer.freezes);
        let frozen =
            facts.frozen.unwrap_or_else(|| freezes().any(|freeze| freeze.holds(situation.at, situation.profile)));
        let holding = |layer: &'_ Layer| -> Vec<usize> {
            let holds = |rule: &Rule| !rule.never && rule.when.holds(facts, rule.decision, frozen);
            layer.rules.iter().enumerate().filter(|(_, rule)| holds(rule)).map(|(index, _)| index).collect()
        };
        let mut matching: Vec<&Rule> = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            matching.extend(holding(layer).into_iter().map(|index| &layer.rules[index]));
            // What the base does not speak of stays denied, whatever a later file says; a freeze opens nothing.
            if number == 0 && matching.iter().all(|rule| rule.when.freeze.is_some()) {
                break;
            }
        }
        if matching.iter().all(|rule| rule.when.freeze.is_some()) {
            matching.clear();
        }
        let strictest = matching.iter().map(|rule| rule.decision).max();
        matching.retain(|rule| Some(rule.decision) == strictest);
        let Some(rule) = matching.first() else {
            return denied("default", "no rule of the policy allows it");
        };
        let mut why: Vec<&str> = Vec::new();
        for rule in &matching {
            if !why.contains(&rule.why.as_str()) {
                why.push(&rule.why);
            }
        }
        let mut verdict = Verdict {
            decision: rule.decision,
            rule: rule.name.clone(),
            why: why.join("; "),
            need: match rule.decision {
                Decision::Confirm => vec!["typed confirmation".to_owned()],
                Decision::Approve => need::together(matching.iter().map(|rule| &rule.need[..])),
                Decision::Allow | Decision::Deny => Vec::new(),
            },
            break_glass: rule.decision == Decision::Approve && matching.iter().all(|rule| rule.break_glass),
        };
        // Kept even when a policy forgets it: a role that nobody has defined may look and nothing else.
        let role = facts.situation.role;
        if facts.effect > Effect::Read && verdict.decision != Decision::Deny && !ROLES.contains(&role) {
            return denied("built-in: role", &format!("the role `{role}` is not known, so it only looks"));
        }
        if verdict.decision == Decision::Allow && (facts.tainted || facts.reads_secrets) {
            verdict = Verdict {
                decision: Decision::Confirm,
                rule: if facts.tainted { "built-in: tainted" } else { "built-in: secrets" }.to_owned(),
                why: if facts.tainted { "a word of it came from telemetry" } else { "it reads secrets" }.to_owned(),
                need: vec!["typed confirmation".to_owned()],
                break_glass: false,
            };
        }
        verdict
    }
}

impl Rule {
    /// Refuses rules that could only be mistakes.
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.why.is_empty() {
            return Err("name and why must say something".to_owned());
        }
        if self.name == "default" || self.name.starts_with("built-in") {
            return Err("the name is kept for the gate itself".to_owned());
        }
        if self.decision != Decision::Deny {
            let Some(effects) = &self.when.effect.0 else {
                return Err(format!("{} needs `effect` in `when`: what it opens must be named", self.decision.word()));
            };
            if effects.contains(&Effect::Opaque) {
                return Err("an opaque command can only be denied: nobody can know what is confirmed".to_owned());
            }
            if self.decision == Decision::Allow && effects.iter().any(|&effect| effect != Effect::Read) {
                return Err("only reads can be allowed without a confirmation".to_owned());
            }
            if self.decision == Decision::Approve && self.need.is_empty() {
                return Err("approve needs `need`: who has to sign".to_owned());
            }
        }
        if self.decision != Decision::Approve && (!self.need.is_empty() || self.break_glass) {
            return Err("`need` and `break_glass` are for approve alone".to_owned());
        }
        for text in &self.need {
            need::parse(text)?;
        }
        if self.when.freeze == Some(false) || (self.when.freeze.is_some() && self.decision < Decision::Approve) {
            return Err("`freeze = true` with approve or deny: a freeze only restricts".to_owned());
        }
        for program in self.when.program.words() {
            let known = effects::programs();
            if !program.ends_with('*') && !known.contains(&program.as_str()) {
                return Err(format!("program `{program}` is not known{}", nearest(program, &known)));
            }
        }
        for role in self.when.role.words() {
            if !ROLES.contains(&role.as_str()) {
                return Err(format!("role `{role}` is not known{}", nearest(role, &ROLES)));
            }
        }
        Ok(())
    }
}

fn nearest(word: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|&candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min()
        .filter(|&(distance, _)| distance <= 3)
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}
