//! Typed configuration, secrets, defaults. May import `domain` only.
//!
//! [`load()`] reads the system's file, which always counts, and the user's or the one that was named, and merges them; [`Config::with_environment`] adds what people
//! already have in their environment. Unknown keys are errors that name the file, the line and the nearest key.

mod checks;
mod environment;
mod load;
mod merge;
mod paths;
mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::baseline::BaselineChoice;
use crate::domain::settings::{EndpointSettings, SecretRef, Sees, SourceSettings, duration_text};

pub use load::{ConfigError, load, parse};
pub use paths::{cache_dir, config_file, state_dir};
pub use secrets::SystemSecrets;

/// Name of the profile that environment variables make.
pub const ENVIRONMENT_PROFILE: &str = "environment";

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The profile used when none is named; may be left out when there is only one.
    pub default_profile: Option<String>,
    /// Environments to look at.
    pub profile: BTreeMap<String, Profile>,
    /// Language models.
    pub llm: Llm,
    /// Guardrails.
    pub policy: Policy,
    /// Whose signatures count.
    pub approvals: Approvals,
    /// Audit ledger.
    pub ledger: Ledger,
    /// Running commands.
    pub run: Run,
    /// Screens.
    pub ui: Ui,
    /// The files that all this comes from.
    #[serde(skip)]
    pub files: Vec<ConfigFile>,
    /// What the system's file settles.
    #[serde(skip)]
    pub system: System,
}

/// What the system's file settles, whoever runs the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct System {
    /// Whether there is one. Then a profile that it does not define counts as critical.
    pub present: bool,
    /// Whether it sets the place of the ledger.
    pub ledger: bool,
    /// Keys of the user's file that do not count, each with the reason.
    pub overruled: Vec<String>,
}

/// A file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigFile {
    /// Its path.
    pub path: PathBuf,
    /// SHA-256 of its bytes, lower-case hex, as `sha256sum` prints it.
    pub sha256: String,
}

/// One environment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Whether mistakes here hurt: red frame, typed confirmation.
    pub critical: bool,
    /// Prometheus or anything that speaks its query API.
    pub prometheus: Option<SourceSettings>,
    /// Alertmanager, API v2.
    pub alertmanager: Option<SourceSettings>,
    /// Loki.
    pub loki: Option<SourceSettings>,
    /// Pages in the text exposition format: an exporter, or `/federate`.
    pub exposition: Vec<SourceSettings>,
    /// JSON file, or folder of such files, with changes: deploys, commits, flags.
    pub changes: Option<PathBuf>,
    /// What incidents are compared with: `preceding` (when left out), `yesterday`, `last-week`, or START/END as
    /// `--baseline` takes it.
    pub baseline: Option<BaselineChoice>,
    /// Folder with runbooks as Markdown; matched by the name in an alert's `runbook_url`, or by alert name.
    pub runbooks: Option<PathBuf>,
    /// The cluster that commands act on.
    pub kubernetes: Option<Kubernetes>,
    /// The most that any language model may see of this environment, whatever its end point says.
    pub sees: Option<Sees>,
    /// Names of services, namespaces and hosts known to be real. A token of a command that was read in telemetry
    /// and is not among them is flagged.
    pub inventory: Vec<String>,
}

/// The cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// Context of the kubeconfig.
    pub context: Option<String>,
}

/// Language models and what may be spent on them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Llm {
    /// End points, tried in this order.
    pub endpoint: Vec<EndpointSettings>,
    /// Whether the screens show what would be sent and ask before anything is.
    pub ask_first: bool,
    /// Most that is spent in a day (UTC), by the prices of the end points.
    pub cost_per_day: Option<f64>,
    /// Most tokens that are sent and received in a day (UTC).
    pub tokens_per_day: Option<u64>,
    /// The sign of the currency of all prices.
    pub currency: String,
    /// End points that the environment names in part: what is there and what is missing. Empty where any is whole.
    #[serde(skip)]
    pub half_set: Vec<String>,
}

impl Default for Llm {
    fn default() -> Self {
        Self {
            endpoint: Vec::new(),
            ask_first: false,
            cost_per_day: None,
            tokens_per_day: None,
            currency: "$".to_owned(),
            half_set: Vec::new(),
        }
    }
}

/// Guardrails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A file laid over the base policy, which can only make it stricter; within `/etc/stanch`, the base itself.
    pub file: Option<PathBuf>,
}

/// Whose signatures count, and for how long. Files that only root may write keep an operator from naming approvers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approvals {
    /// Keys that may sign, as OpenSSH's `allowed_signers`. Without it nothing can be approved.
    pub signers: Option<PathBuf>,
    /// Public keys or fingerprints that count no more, one a line.
    pub revoked: Option<PathBuf>,
    /// Persons with their principals, accounts and roles. Without it everybody is an operator and nobody approves.
    pub persons: Option<PathBuf>,
    /// How long a request is good, in Prometheus notation.
    #[serde(with = "duration_text")]
    pub expiry: Duration,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { signers: None, revoked: None, persons: None, expiry: Duration::from_mins(15) }
    }
}

/// Audit ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// SQLite file; `ledger.db` in the state folder when left out.
    pub path: Option<PathBuf>,
    /// PostgreSQL database instead of a file: `postgres://USER@HOST/DATABASE`, without a password.
    pub url: Option<String>,
    /// Password of that database's user.
    pub password: Option<SecretRef>,
    /// Where the end of the chain is kept besides.
    pub anchor: Anchor,
}

/// Anchors of the ledger: its end, signed and kept where whoever can write the ledger cannot write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Anchor {
    /// Private SSH key without a passphrase that signs them; unsigned when left out.
    pub key: Option<PathBuf>,
    /// An anchor is made after every so many entries; only on command when 0.
    pub every: u64,
    /// File that a line is appended to.
    pub file: Option<PathBuf>,
    /// Syslog: `udp://HOST:PORT`, `tcp://HOST:PORT` or the path of a unix socket such as `/dev/log`.
    pub syslog: Option<String>,
    /// Loki.
    pub loki: Option<SourceSettings>,
}

/// Running commands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Seconds after which a run is ended, in Prometheus notation.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
}

impl Default for Run {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(5) }
    }
}

/// Screens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ui {
    /// How often alerts are asked for, in Prometheus notation.
    #[serde(with = "duration_text")]
    pub refresh: Duration,
    /// Only characters that every terminal has.
    pub ascii_only: bool,
}

impl Default for Ui {
    fn default() -> Self {
        Self { refresh: Duration::from_secs(15), ascii_only: false }
    }
}

impl Config {
    /// The profile of that name, or the default one. `None` when there is nothing configured at all.
    pub fn select(&self, name: Option<&str>) -> Result<Option<(String, Profile)>, ConfigError> {
        let known = || self.profile.keys().cloned().collect::<Vec<_>>().join(", ");
        let wanted = name.or(self.default_profile.as_deref());
        match (wanted, self.profile.len()) {
            (Some(name), _) => match self.profile.get(name) {
                Some(profile) => Ok(Some((name.to_owned(), profile.clone()))),
                None if self.profile.is_empty() => {
                    Err(ConfigError::new(format!("there is no profile `{name}`: no profile is configured")))
                }
                None => Err(ConfigError::new(format!("there is no profile `{name}`; configured: {}", known()))),
            },
            (None, 0) => Ok(None),
            (None, 1) => Ok(self.profile.iter().next().map(|(name, profile)| (name.clone(), profile.clone()))),
            (None, _) => Err(ConfigError::new(format!(
                "several profiles are configured ({}): choose one with --profile NAME, or set default_profile",
                known()
            ))),
        }
    }
}

impl Profile {
    /// Whether it names any source.
    pub fn has_sources(&self) -> bool {
        self.prometheus.is_some()
            || self.alertmanager.is_some()
            || self.loki.is_some()
            || !self.exposition.is_empty()
            || self.changes.is_some()
    }
}
