//! Playbooks: declarative rules from signals to a hypothesis, checks and actions. Data in `config/playbooks/*.toml`.
//!
//! A file that holds an unknown key, an unknown placeholder or a broken expression is refused as a whole, with the
//! place and the reason: a rule that silently never matches is worse than none.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use super::template::{Template, Values};
use crate::domain::diagnosis::{PromptRef, TypedChange};
use crate::domain::evidence::{LogChange, Turn};
use crate::domain::query::Lang;

/// The files that are built in, with their names.
const BUILTIN: &[(&str, &str)] = &[
    ("bad-deploy.toml", include_str!("../../config/playbooks/bad-deploy.toml")),
    ("certificate-expiry.toml", include_str!("../../config/playbooks/certificate-expiry.toml")),
    ("config-change.toml", include_str!("../../config/playbooks/config-change.toml")),
    ("cpu-saturation.toml", include_str!("../../config/playbooks/cpu-saturation.toml")),
    ("crash-loop.toml", include_str!("../../config/playbooks/crash-loop.toml")),
    ("dependency-down.toml", include_str!("../../config/playbooks/dependency-down.toml")),
    ("disk-full.toml", include_str!("../../config/playbooks/disk-full.toml")),
    ("dns-failure.toml", include_str!("../../config/playbooks/dns-failure.toml")),
    ("error-burst.toml", include_str!("../../config/playbooks/error-burst.toml")),
    ("generic.toml", include_str!("../../config/playbooks/generic.toml")),
    ("memory-leak.toml", include_str!("../../config/playbooks/memory-leak.toml")),
    ("network-latency.toml", include_str!("../../config/playbooks/network-latency.toml")),
    ("node-lost.toml", include_str!("../../config/playbooks/node-lost.toml")),
    ("oom-kill.toml", include_str!("../../config/playbooks/oom-kill.toml")),
    ("pool-exhaustion.toml", include_str!("../../config/playbooks/pool-exhaustion.toml")),
    ("queue-lag.toml", include_str!("../../config/playbooks/queue-lag.toml")),
    ("slow-database.toml", include_str!("../../config/playbooks/slow-database.toml")),
    ("traffic-surge.toml", include_str!("../../config/playbooks/traffic-surge.toml")),
];

/// Id of the playbook that is used when no other fits, and whose actions harm nothing.
const GENERIC: &str = "generic";

/// Why a playbook was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("playbook {file}: {what}")]
pub struct PlaybookError {
    /// The file.
    pub file: String,
    /// What is wrong and where.
    pub what: String,
}

/// A set of playbooks, sorted by id, with the one that is used when no other fits.
#[derive(Debug, Clone)]
pub struct Playbooks {
    pub(super) rules: Vec<Playbook>,
    pub(super) generic: Playbook,
    version: String,
}

impl Playbooks {
    /// The playbooks that come with the program.
    pub fn builtin() -> Self {
        Self::parse(BUILTIN.iter().copied()).expect("the built-in playbooks are parsed by a test")
    }

    /// Reads playbooks from `(file name, TOML text)` pairs. One of them must have the id `generic`.
    ///
    /// Fails on a file that is not understood, an id that appears twice, and when `generic` is missing.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PlaybookError> {
        let mut hash = Sha256::new();
        let mut rules: Vec<Playbook> = Vec::new();
        for (file, text) in files {
            let refuse = |what: String| PlaybookError { file: file.to_owned(), what };
            let playbook: Playbook = toml::from_str(text).map_err(|error| refuse(error.to_string()))?;
            playbook.check().map_err(refuse)?;
            if rules.iter().any(|other| other.id == playbook.id) {
                return Err(refuse(format!("the id `{}` is used by another playbook; ids are unique", playbook.id)));
            }
            hash.update(file.as_bytes());
            hash.update([0]);
            hash.update(text.as_bytes());
            hash.update([0]);
            rules.push(playbook);
        }
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let at = rules.iter().position(|playbook| playbook.id == GENERIC).ok_or_else(|| PlaybookError {
            file: "generic.toml".into(),
            what: "there is no playbook with the id `generic`, which is used when no other fits".into(),
        })?;
        let generic = rules.remove(at);
        let version = hash.finalize().iter().take(4).fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        });
        Ok(Self { rules, generic, version })
    }

    /// Name and version, the beginning of the hash of all files.
    pub fn reference(&self) -> PromptRef {
        PromptRef { name: "playbooks".into(), version: self.version.clone() }
    }

    /// Ids and titles, sorted by id, the generic one left out.
    pub fn titles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().map(|playbook| (playbook.id.as_str(), playbook.title.as_str()))
    }
}

/// One rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Playbook {
    pub id: String,
    pub title: String,
    /// The cause in one sentence.
    pub cause: Template,
    /// How the cause leads to what is seen.
    pub mechanism: Template,
    /// Share of the weights that must be met, 0 to 1.
    #[serde(default = "default_fit")]
    pub fit: f64,
    #[serde(default, rename = "signal")]
    pub signals: Vec<SignalRule>,
    /// Signals that speak for something else.
    #[serde(default, rename = "against")]
    pub against: Vec<SignalRule>,
    #[serde(default, rename = "check")]
    pub checks: Vec<CheckRule>,
    #[serde(default, rename = "action")]
    pub actions: Vec<ActionRule>,
}

fn default_fit() -> f64 {
    0.4
}

impl Playbook {
    fn check(&self) -> Result<(), String> {
        if self.id.is_empty() || !self.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
            return Err(format!("the id `{}` must consist of lower-case letters and hyphens", self.id));
        }
        if self.id != GENERIC && !self.signals.iter().any(|signal| signal.required) {
            return Err("no signal is `required = true`: it would match everything".into());
        }
        if !(0.0..=1.0).contains(&self.fit) {
            return Err(format!("fit = {} must lie between 0 and 1", self.fit));
        }
        for signal in self.signals.iter().chain(&self.against) {
            if !(signal.weight.is_finite() && signal.weight > 0.0) {
                return Err(format!("weight = {} must be above 0", signal.weight));
            }
        }
        for action in &self.actions {
            if action.argv.is_empty() == action.change.is_none() {
                return Err("an action has either an argv or a change".into());
            }
        }
        Ok(())
    }
}

/// A signal that a playbook looks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalRule {
    /// Signals of one group are alternatives: the strongest counts. Without a group a signal stands alone.
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Whether the playbook is out of the question without it (for a group: without any of its signals).
    #[serde(default)]
    pub required: bool,
    /// Where it must be seen.
    #[serde(default)]
    pub scope: Scope,
    /// Least strength of the evidence.
    #[serde(default)]
    pub strength: f64,
    pub when: Condition,
}

fn default_weight() -> f64 {
    1.0
}

/// Where a signal must be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// On the suspected service.
    #[default]
    Service,
    /// On the suspected service, or on something that names no service (a node, a queue).
    Near,
    /// On the suspected service, or on another that names it.
    Told,
    /// On any service but the suspected one.
    Elsewhere,
    /// Anywhere.
    Anywhere,
}

/// What the evidence must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Condition {
    Metric(MetricCondition),
    Log(LogCondition),
    Edge(EdgeCondition),
    Change(ChangeCondition),
    Alert(AlertCondition),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricCondition {
    /// Found in the metric's name, labels or expression.
    pub words: Pattern,
    /// Not found there.
    #[serde(default)]
    pub not: Option<Pattern>,
    #[serde(default)]
    pub turn: Vec<Turn>,
    /// The value that deviates most lies above.
    #[serde(default)]
    pub above: Option<f64>,
    /// The value that deviates most lies below.
    #[serde(default)]
    pub below: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogCondition {
    /// Found in the template or an exemplar.
    #[serde(default)]
    pub words: Option<Pattern>,
    #[serde(default)]
    pub change: Vec<LogChange>,
    #[serde(default)]
    pub level: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EdgeCondition {
    /// The suspect's side.
    #[serde(default)]
    pub side: Option<Side>,
    /// What it must show, all of them.
    pub shows: Vec<EdgeSign>,
}

/// What an edge may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EdgeSign {
    /// The share of failed requests rose.
    Errors,
    /// The caller waits longer.
    Slower,
    /// The caller waits longer, the callee does not work longer: time is lost between them.
    Between,
    /// More requests.
    Busier,
}

/// A side of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Client,
    Server,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeCondition {
    pub kinds: Vec<String>,
    /// Found in the reference, summary or diff.
    #[serde(default)]
    pub words: Option<Pattern>,
    /// At most so many minutes before the first signal.
    #[serde(default = "default_minutes")]
    pub minutes: u64,
    /// Not before the first signal but whenever: for events that are symptoms (`OOMKilled`), not causes.
    #[serde(default)]
    pub any_time: bool,
}

fn default_minutes() -> u64 {
    60
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertCondition {
    /// Found in the alert's name, summary or expression.
    pub words: Pattern,
}

/// A regular expression, case ignored.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn found_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        RegexBuilder::new(&text)
            .case_insensitive(true)
            .size_limit(1 << 20)
            .build()
            .map(Self)
            .map_err(|error| serde::de::Error::custom(format!("`{text}` is not a regular expression: {error}")))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRule {
    pub lang: Lang,
    pub query: Template,
    pub expect: Template,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionRule {
    /// Either a command …
    #[serde(default)]
    pub argv: Vec<Template>,
    /// … or a typed change.
    #[serde(default)]
    pub change: Option<ChangeRule>,
    pub target: Template,
    pub rationale: Template,
    #[serde(default)]
    pub rollback: Option<Vec<Template>>,
    #[serde(default)]
    pub verify: Option<CheckRule>,
}

/// A typed change whose names are filled in.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ChangeRule {
    Restart { namespace: Template, workload: Template },
    RollBack { namespace: Template, workload: Template },
    Cordon { node: Template },
    Drain { node: Template },
}

impl ChangeRule {
    /// The change, or the placeholder that is not known.
    pub(super) fn fill(&self, values: &Values) -> Result<TypedChange, String> {
        Ok(match self {
            Self::Restart { namespace, workload } => {
                TypedChange::Restart { namespace: namespace.render(values)?, workload: workload.render(values)? }
            }
            Self::RollBack { namespace, workload } => {
                TypedChange::RollBack { namespace: namespace.render(values)?, workload: workload.render(values)? }
            }
            Self::Cordon { node } => TypedChange::Cordon { node: node.render(values)? },
            Self::Drain { node } => TypedChange::Drain { node: node.render(values)? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERIC_TEXT: &str = "id='generic'\ntitle='x'\ncause='c'\nmechanism='m'\n";

    fn refused(text: &str) -> String {
        Playbooks::parse([("generic.toml", GENERIC_TEXT), ("p.toml", text)]).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_playbooks_load_and_cover_the_usual_causes() {
        let playbooks = Playbooks::builtin();
        assert!(playbooks.titles().count() >= 16);
        for id in ["bad-deploy", "pool-exhaustion", "oom-kill", "disk-full", "dns-failure", "node-lost"] {
            assert!(playbooks.titles().any(|(known, _)| known == id), "{id}");
        }
        assert_eq!(playbooks.reference().version.len(), 8);
        assert_eq!(playbooks.reference(), Playbooks::builtin().reference());
    }

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/playbooks");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| std::path::Path::new(name).extension().is_some_and(|end| end == "toml"))
            .collect();
        files.sort();
        assert_eq!(files, BUILTIN.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        let base = "id='p'\ntitle='t'\ncause='c'\nmechanism='m'\n";
        let signal = "[[signal]]\nrequired=true\nwhen.log={words='x'}\n";
        assert!(refused(&format!("{base}colour='red'\n{signal}")).contains("colour"));
        assert!(refused(&format!("{base}[[signal]]\nrequired=true\nwhen.log={{word='x'}}")).contains("word"));
        assert!(refused(&format!("{base}[[signal]]\nrequired=true\nwhen.log={{words='('}}")).contains("expression"));
        assert!(refused(base).contains("required"));
        assert!(refused(&format!("{}{signal}", base.replace("'c'", "'{{ nmespace }}'"))).contains("nmespace"));
        assert!(refused(&format!("{base}{signal}[[action]]\nargv=[]\ntarget='t'\nrationale='r'")).contains("argv"));
        assert!(refused(GENERIC_TEXT).contains("unique"));
        assert!(Playbooks::parse([]).unwrap_err().to_string().contains("generic"));
    }
}
