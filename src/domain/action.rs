//! Actions, what the gate says of them, and what became of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::diagnosis::{Check, TypedChange};
use super::{Text, Timestamp};

/// What a command does to the world, as far as we understand it. Ordered from harmless to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something that can be changed back.
    Mutate,
    /// Loses something.
    Destroy,
    /// Could not be understood; treated as worst.
    Opaque,
}

impl Effect {
    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mutate => "mutate",
            Self::Destroy => "destroy",
            Self::Opaque => "opaque",
        }
    }
}

/// The gate's decision. Ordered: the strictest match wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// May run after one explicit key.
    Allow,
    /// May run after a typed confirmation.
    Confirm,
    /// May run after another person has signed.
    Approve,
    /// May not run.
    Deny,
}

impl Decision {
    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Confirm => "confirm",
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

/// The gate's answer for one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What may happen.
    pub decision: Decision,
    /// Name of the policy rule that decided.
    pub rule: String,
    /// Why, in words.
    pub why: String,
    /// What is needed first: `typed confirmation`, `1 x incident-commander`.
    pub need: Vec<String>,
    /// Whether somebody alone may run it for a stated reason, to be reviewed afterwards by those in `need`.
    #[serde(default, rename = "breakGlass")]
    pub break_glass: bool,
}

/// How far a command reaches. Ordered from little to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blast {
    /// Only what it names.
    #[default]
    Named,
    /// Whatever a selector, a wildcard or a tree of directories holds.
    Selected,
    /// Everything of a kind.
    All,
    /// Everything of a kind in every namespace.
    AllNamespaces,
}

impl Blast {
    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Selected => "selected",
            Self::All => "all",
            Self::AllNamespaces => "all-namespaces",
        }
    }
}

/// What was recognised in a command beside its effect; rules of the policy can ask for each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CommandFacts {
    /// How far it reaches.
    pub blast: Blast,
    /// How many objects it names.
    pub objects: usize,
    /// The objects: `deployment/payments` where the kind is known, the argument as written otherwise.
    pub resources: Vec<String>,
    /// Namespaces named; `*` for all.
    pub namespaces: Vec<String>,
    /// Whether it is aimed at another end point, context or identity than the one in use.
    pub redirected: bool,
    /// Files that it takes as instructions, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<String>,
    /// Whether it takes what it applies from elsewhere.
    pub remote: bool,
    /// Whether it silences or touches what watches production.
    pub silences_monitoring: bool,
}

/// What the gate understood of a command, and its verdict: the answer of `stanch check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// What was given, as one line.
    pub input: Text,
    /// Program and arguments; empty when a free-text line could not be understood.
    pub argv: Vec<String>,
    /// Its effect.
    pub effect: Effect,
    /// Whether it reads secrets.
    pub reads_secrets: bool,
    /// Tokens that came from telemetry and are not in the trusted inventory.
    pub tainted: Vec<String>,
    /// What was noticed on the way: `all namespaces`, `redirects the API server`, `wrapped by sudo`.
    pub notes: Vec<String>,
    /// How far it reaches, and what else a rule can ask for. Empty in entries of older ledgers.
    #[serde(default)]
    pub facts: CommandFacts,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The digest that names exactly one action on one target: lower-case hex SHA-256 of its canonical request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who suggested an action.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "by", content = "name", rename_all = "lowercase")]
pub enum Origin {
    /// A playbook.
    Playbook(String),
    /// A language model.
    Model(String),
    /// A person typed it.
    Operator(String),
}

/// Something that could be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// `P1`, `P2`, … within an incident.
    pub id: String,
    /// The incident it belongs to.
    pub incident: String,
    /// Who suggested it.
    pub origin: Origin,
    /// Program and arguments exactly as they will be executed.
    pub argv: Vec<String>,
    /// The typed change the command was made from, if any.
    pub change: Option<TypedChange>,
    /// What it acts on, in words.
    pub target: Text,
    /// Why it should help.
    pub rationale: Text,
    /// The command that undoes it.
    pub rollback: Option<Vec<String>>,
    /// The query that shows whether it helped.
    pub verify: Option<Check>,
}

/// Everything that a run depends on, as shown before it and as digested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// The incident.
    pub incident: String,
    /// The action's id.
    pub action: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Absolute path of the program that will be executed.
    pub program: String,
    /// SHA-256 of that file, so that another file under the same name is noticed.
    pub program_sha256: String,
    /// Files that decide what it does, with SHA-256 or `absent`: manifests, and settings that say where it acts. None
    /// of a read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, String)>,
    /// Working directory.
    pub cwd: String,
    /// The environment given to it, cleaned, sorted. Values of secrets are digests.
    pub env: Vec<(String, String)>,
    /// Host it runs on.
    pub host: String,
    /// Profile, for example `prod`.
    pub profile: String,
    /// Who asks.
    pub actor: String,
    /// Hash of the policy that judged it.
    pub policy: String,
    /// Seconds after which it is ended.
    pub timeout_seconds: u64,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum RunState {
    /// The process runs.
    Running,
    /// It ended by itself.
    Exited {
        /// Exit code.
        code: i32,
    },
    /// A signal ended it.
    Killed {
        /// Signal number.
        signal: i32,
    },
    /// The time-out ended it.
    TimedOut,
    /// The operator ended it.
    Cancelled,
    /// It could not be started.
    Failed {
        /// Why.
        why: String,
    },
    /// There is an intent and no outcome: the program died in between. Nobody knows what happened.
    Unknown,
}

impl RunState {
    /// How a run ended, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Running => "still running".into(),
            Self::Exited { code } => format!("exit code {code}"),
            Self::Killed { signal } => format!("ended by signal {signal}"),
            Self::TimedOut => "ended by the time-out".into(),
            Self::Cancelled => "cancelled".into(),
            Self::Failed { why } => format!("could not be started: {why}"),
            Self::Unknown => "outcome unknown".into(),
        }
    }
}

/// A piece of output of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLine {
    /// Whether it came on standard error.
    pub stderr: bool,
    /// The line, neutralised.
    pub text: Text,
}

/// A run as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Number of the intent's entry in the ledger.
    pub intent: u64,
    /// The request.
    pub request: RunRequest,
    /// Its digest.
    pub digest: Digest,
    /// Effect and verdict at the time.
    pub judged: Judged,
    /// When the intent was written.
    pub started_at: Timestamp,
    /// When the outcome was written.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub state: RunState,
    /// Output, bounded.
    pub output: Vec<OutputLine>,
    /// Lines of output dropped at the bound.
    pub dropped_lines: u64,
    /// Verification before and after, as text, where there is a query.
    pub verification: Option<Verification>,
}

/// The verify query's answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The query and what it should show.
    pub check: Check,
    /// Answer before the run, or why there was none.
    pub before: Text,
    /// Answer after the run, or why there is none yet.
    pub after: Option<Text>,
}
