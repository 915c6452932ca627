//! The policy: a typed file of rules that carries its own tests.
//!
//! Every rule that matches is considered and the strictest decision wins; when none matches, the answer is no. A file
//! with an unknown key, an unknown word, a rule that could never be meant, or a failing test does not load: a typo can
//! close a door, never open one.

use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use super::taint::{Inventory, TelemetryWords};
use super::{Gate, Situation, denied, effects};
use crate::domain::action::{CommandFacts, Decision, Effect, Verdict};
use crate::domain::canonical::hex;

/// The policy in force when there is no other.
const BUILTIN: &str = include_str!("../../config/policy.toml");

/// Most bytes of a policy file.
const MAX_BYTES: usize = 1 << 20;

/// The four roles, from least to most.
pub const ROLES: [&str; 4] = ["viewer", "operator", "incident-commander", "admin"];

/// A loaded policy: its rules were checked and its tests have passed.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    tests: usize,
    hash: String,
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
    /// The policy's own tests fail.
    #[error("the policy's own tests fail: {}", .0.join("; "))]
    Tests(Vec<String>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
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
}

/// What a rule asks for. All that are given must hold; within a list, one is enough. Words may end in `*`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct When {
    effect: OneOrMore<Effect>,
    program: OneOrMore<String>,
    verb: OneOrMore<String>,
    environment: OneOrMore<String>,
    namespace: OneOrMore<String>,
    role: OneOrMore<String>,
    tainted: Option<bool>,
    reads_secrets: Option<bool>,
    critical: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
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
    /// Words that telemetry has said.
    #[serde(default)]
    telemetry: Vec<String>,
    /// Names that are known.
    #[serde(default)]
    inventory: Vec<String>,
    expect: Decision,
    /// Name of the rule that must decide.
    rule: Option<String>,
}

fn test_environment() -> String {
    "test".to_owned()
}

fn test_role() -> String {
    "operator".to_owned()
}

/// A value, or a list of values. Absent is `None`: an empty list that matches nothing, or everything, would be a trap.
#[derive(Debug, Clone, PartialEq)]
struct OneOrMore<T>(Option<Vec<T>>);

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw<T> {
            One(T),
            More(Vec<T>),
        }
        let list = match Raw::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom("not one of the words that may stand here, nor a list of them"))?
        {
            Raw::One(one) => vec![one],
            Raw::More(more) => more,
        };
        if list.is_empty() {
            return Err(serde::de::Error::custom("an empty list; leave the key out instead"));
        }
        Ok(Self(Some(list)))
    }
}

impl OneOrMore<String> {
    fn matches(&self, word: &str) -> bool {
        self.0.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, word)))
    }

    fn words(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }
}

fn matches(pattern: &str, word: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => word.starts_with(start),
        None => pattern == word,
    }
}

/// What a rule can look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) program: &'a str,
    pub(super) verb: &'a str,
    pub(super) effect: Effect,
    pub(super) reads_secrets: bool,
    pub(super) tainted: bool,
    pub(super) command: &'a CommandFacts,
    pub(super) situation: &'a Situation<'a>,
}

impl When {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        let is = |wanted: Option<bool>, actual: bool| wanted.is_none_or(|wanted| wanted == actual);
        self.effect.0.as_ref().is_none_or(|effects| effects.contains(&facts.effect))
            && self.program.matches(facts.program)
            && self.verb.matches(facts.verb)
            && self.environment.matches(facts.situation.profile)
            && self.role.matches(facts.situation.role)
            && is(self.tainted, facts.tainted)
            && is(self.reads_secrets, facts.reads_secrets)
            && is(self.critical, facts.situation.critical)
    }

    /// Whether the namespaces fit: a rule that restricts holds when it fits any of them, one that opens only when it
    /// fits all. A command that names none fits no rule with namespaces: a rule that opens must not be reached by way
    /// of whatever the context says.
    fn namespace_holds(&self, facts: &Facts<'_>, decision: Decision) -> bool {
        if self.namespace.0.is_none() {
            return true;
        }
        let mut namespaces = facts.command.namespaces.iter();
        if decision >= Decision::Approve {
            namespaces.any(|name| name == "*" || self.namespace.matches(name))
        } else {
            !facts.command.namespaces.is_empty() && namespaces.all(|name| self.namespace.matches(name))
        }
    }
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
        if text.len() > MAX_BYTES {
            return Err(PolicyError::TooLarge(text.len()));
        }
        let file: File = toml::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        if file.version != 1 {
            return Err(PolicyError::Syntax(format!("version {} is not known; this program knows 1", file.version)));
        }
        let mut names: Vec<&str> = Vec::new();
        for rule in &file.rules {
            rule.check().map_err(|what| PolicyError::Rule { rule: rule.name.clone(), what })?;
            if names.contains(&rule.name.as_str()) {
                return Err(PolicyError::Rule { rule: rule.name.clone(), what: "the name is taken".to_owned() });
            }
            names.push(&rule.name);
        }
        if file.tests.is_empty() {
            return Err(PolicyError::Tests(vec!["there are none; a policy proves itself".to_owned()]));
        }
        let hash = hex(&Sha256::digest(text.as_bytes()));
        let policy = Self { rules: file.rules, tests: file.tests.len(), hash };
        let gate = Gate::new(policy);
        let failed: Vec<String> = file.tests.iter().filter_map(|test| test.run(&gate).err()).collect();
        if failed.is_empty() { Ok(gate.policy) } else { Err(PolicyError::Tests(failed)) }
    }

    /// SHA-256 of the file's bytes, lower-case hex: stands in every request and every entry of the ledger.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Number of rules.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Number of the file's own tests, all of which have passed.
    pub fn tests(&self) -> usize {
        self.tests
    }

    /// The strictest decision of all rules that match; no when none does. Of two equally strict, the first in the
    /// file is named.
    pub(super) fn decide(&self, facts: &Facts<'_>) -> Verdict {
        let matching =
            self.rules.iter().filter(|rule| rule.when.holds(facts) && rule.when.namespace_holds(facts, rule.decision));
        // The first of the strictest: `max_by_key` would give the last.
        let strictest = matching.fold(None::<&Rule>, |best, rule| match best {
            Some(best) if best.decision >= rule.decision => Some(best),
            _ => Some(rule),
        });
        let Some(rule) = strictest else {
            return denied("default", "no rule of the policy allows it");
        };
        let mut verdict = Verdict {
            decision: rule.decision,
            rule: rule.name.clone(),
            why: rule.why.clone(),
            need: if rule.need.is_empty() && rule.decision == Decision::Confirm {
                vec!["typed confirmation".to_owned()]
            } else {
                rule.need.clone()
            },
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

impl Test {
    fn run(&self, gate: &Gate) -> Result<(), String> {
        let telemetry = TelemetryWords::from_iter(&self.telemetry);
        let inventory = Inventory::from_iter(&self.inventory);
        let situation = Situation {
            profile: &self.environment,
            critical: self.critical,
            actor: "test",
            role: &self.role,
            telemetry: &telemetry,
            inventory: &inventory,
        };
        let judged = match (&self.line, &self.argv) {
            (Some(line), None) => gate.judge_line(line, &situation),
            (None, Some(argv)) => gate.judge(argv, &situation),
            _ => return Err(format!("{}: give either `line` or `argv`", self.name)),
        };
        let verdict = judged.verdict;
        if verdict.decision != self.expect || self.rule.as_ref().is_some_and(|rule| *rule != verdict.rule) {
            return Err(format!(
                "{}: expected {}{}, got {} by rule {}",
                self.name,
                self.expect.word(),
                self.rule.as_ref().map(|rule| format!(" by rule {rule}")).unwrap_or_default(),
                verdict.decision.word(),
                verdict.rule,
            ));
        }
        Ok(())
    }
}
