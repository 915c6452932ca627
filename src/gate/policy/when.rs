//! What a rule asks for, and what it can look at.

use serde::{Deserialize, Deserializer};

use super::calendar::{Weekday, Window};
use crate::domain::action::{Blast, CommandFacts, Decision, Effect};
use crate::gate::Situation;

/// What a rule asks for. All that are given must hold; within a list, one is enough. Words may end in `*`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct When {
    pub(super) effect: OneOrMore<Effect>,
    pub(super) program: OneOrMore<String>,
    verb: OneOrMore<String>,
    environment: OneOrMore<String>,
    namespace: OneOrMore<String>,
    /// `deployment/payments`, or a kind alone: `secret`.
    resource: OneOrMore<String>,
    pub(super) role: OneOrMore<String>,
    blast: OneOrMore<Blast>,
    /// More objects than this are named.
    objects_over: Option<usize>,
    tainted: Option<bool>,
    reads_secrets: Option<bool>,
    critical: Option<bool>,
    redirected: Option<bool>,
    remote: Option<bool>,
    silences_monitoring: Option<bool>,
    /// Spans of the day in UTC: `22:00-06:00`.
    time: OneOrMore<Window>,
    /// Days in UTC: `mon` … `sun`.
    weekday: OneOrMore<Weekday>,
    /// Whether one of the file's freezes is in force here.
    pub(super) freeze: Option<bool>,
}

/// A value, or a list of values. Absent is `None`: an empty list that matches nothing, or everything, would be a trap.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OneOrMore<T>(pub(super) Option<Vec<T>>);

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

impl<T> OneOrMore<T> {
    fn any(&self, holds: impl Fn(&T) -> bool) -> bool {
        self.0.as_ref().is_none_or(|list| list.iter().any(holds))
    }
}

impl OneOrMore<String> {
    pub(super) fn matches(&self, word: &str) -> bool {
        self.any(|pattern| matches(pattern, word))
    }

    pub(super) fn words(&self) -> &[String] {
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
pub(in crate::gate) struct Facts<'a> {
    pub(in crate::gate) program: &'a str,
    pub(in crate::gate) verb: &'a str,
    pub(in crate::gate) effect: Effect,
    pub(in crate::gate) reads_secrets: bool,
    pub(in crate::gate) tainted: bool,
    pub(in crate::gate) command: &'a CommandFacts,
    pub(in crate::gate) situation: &'a Situation<'a>,
    /// Whether changes are frozen, when the freezes of the files are not to be asked.
    pub(in crate::gate) frozen: Option<bool>,
}

impl When {
    /// The same with one word of a list struck out, each time another, and for rules that open something with one
    /// condition struck out: what the tests of a policy must notice.
    pub(super) fn weaker(&self, decision: Decision) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        macro_rules! lists {
            ($($key:ident),*) => {$(
                let words = self.$key.0.as_ref().map_or(0, Vec::len);
                for place in (0..words).filter(|_| words > 1) {
                    let mut weaker = self.clone();
                    let word = weaker.$key.0.as_mut().map(|list| list.remove(place));
                    all.push((format!("{:?} of `{}`", word.into_iter().collect::<Vec<_>>(), stringify!($key)), weaker));
                }
            )*};
        }
        lists!(effect, program, verb, environment, namespace, resource, role, blast, time, weekday);
        if decision >= Decision::Approve {
            return all;
        }
        macro_rules! conditions {
            ($($key:ident),*) => {$(
                let weaker = Self { $key: Default::default(), ..self.clone() };
                if weaker != *self {
                    all.push((format!("`{}`", stringify!($key)), weaker));
                }
            )*};
        }
        // Without an effect no rule opens anything.
        conditions!(
            program,
            verb,
            environment,
            namespace,
            resource,
            role,
            blast,
            objects_over,
            tainted,
            reads_secrets,
            critical,
            redirected,
            remote,
            silences_monitoring,
            time,
            weekday
        );
        all
    }

    /// Whether everything asked for holds. `frozen` says whether a freeze is in force.
    pub(super) fn holds(&self, facts: &Facts<'_>, decision: Decision, frozen: bool) -> bool {
        let is = |wanted: Option<bool>, actual: bool| wanted.is_none_or(|wanted| wanted == actual);
        let (situation, command) = (facts.situation, facts.command);
        self.effect.any(|&effect| effect == facts.effect)
            && self.program.matches(facts.program)
            && self.verb.matches(facts.verb)
            && self.environment.matches(situation.profile)
            && self.role.matches(situation.role)
            && self.blast.any(|&blast| blast == command.blast)
            && self.objects_over.is_none_or(|most| command.objects > most)
            && is(self.tainted, facts.tainted)
            && is(self.reads_secrets, facts.reads_secrets)
            && is(self.critical, situation.critical)
            && is(self.redirected, command.redirected)
            && is(self.remote, command.remote)
            && is(self.silences_monitoring, command.silences_monitoring)
            && is(self.freeze, frozen)
            && self.time.any(|window| window.holds(situation.at))
            && self.weekday.any(|day| day.holds(situation.at))
            && named(&self.namespace, &command.namespaces, decision, matches)
            && named(&self.resource, &command.resources, decision, resource)
    }
}

/// Whether the names fit: a rule that restricts holds when it fits any of them, one that opens only when it fits all.
/// A command that names none fits no rule with names: a rule that opens must not be reached by way of whatever the
/// context says.
fn named(wanted: &OneOrMore<String>, names: &[String], decision: Decision, fits: fn(&str, &str) -> bool) -> bool {
    let Some(patterns) = &wanted.0 else {
        return true;
    };
    let fit = |name: &String| patterns.iter().any(|pattern| fits(pattern, name));
    if decision >= Decision::Approve {
        names.iter().any(|name| name == "*" || fit(name))
    } else {
        !names.is_empty() && names.iter().all(fit)
    }
}

/// A resource by its whole name or by its kind.
fn resource(pattern: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches(pattern, &name) || (!pattern.contains('/') && name.split('/').next().is_some_and(|kind| kind == pattern))
}
