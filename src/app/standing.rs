//! Where one stands: who acts, in which environment, under which policy, and which words telemetry brought in.

use std::sync::Arc;

use crate::config::{Config, Profile};
use crate::domain::action::Judged;
use crate::domain::approval::Identity;
use crate::domain::labels::Labels;
use crate::domain::snapshot::Snapshot;
use crate::gate::approvals::Trusted;
use crate::gate::{Inventory, Situation, TelemetryWords};

use super::actor;
use super::cli::Check;
use super::clock;
use super::failure::Failure;
use super::rules::Rules;
use super::trust;

/// The role of everybody where no file says who is who.
const DEFAULT_ROLE: &str = "operator";

/// Labels that the site's own scrape configuration and cluster set, not the traffic: their values name real things.
const TRUSTED_LABELS: [&str; 14] = [
    "job",
    "instance",
    "namespace",
    "service",
    "service_name",
    "app",
    "cluster",
    "node",
    "host",
    "pod",
    "container",
    "deployment",
    "statefulset",
    "daemonset",
];

/// Everything the gate is told beside the command.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The policy in force.
    pub rules: Arc<Rules>,
    /// Name of the environment.
    pub environment: String,
    /// Whether it is marked critical.
    pub critical: bool,
    /// Who acts.
    pub actor: String,
    /// All that is known of who acts.
    pub identity: Identity,
    /// Their role.
    pub role: String,
    /// Whose signatures count.
    pub trusted: Arc<Trusted>,
    telemetry: TelemetryWords,
    inventory: Inventory,
}

impl Standing {
    /// Loads the policy of `config`; its own tests run first.
    pub fn new(config: &Config, environment: &str, profile: &Profile) -> Result<Self, Failure> {
        let rules = Arc::new(Rules::load(config)?);
        let trusted = trust::load(&config.approvals, profile.critical)?;
        let identity = actor::identity();
        let role = role(&trusted, &identity);
        Ok(Self {
            rules,
            environment: environment.to_owned(),
            critical: profile.critical,
            actor: identity.user.clone(),
            identity,
            role: role.to_owned(),
            trusted: Arc::new(trusted),
            telemetry: TelemetryWords::default(),
            inventory: known_names(profile),
        })
    }

    /// The standing that a `check` asks about: whoever it names, wherever it says.
    #[must_use]
    pub fn seen_as(&self, check: &Check) -> Self {
        Self {
            environment: check.env.clone().unwrap_or_else(|| self.environment.clone()),
            actor: check.actor.clone().unwrap_or_else(|| self.actor.clone()),
            role: check.role.map_or_else(|| self.role.clone(), |role| role.word().to_owned()),
            ..self.clone()
        }
    }

    /// The same, with whom to believe read anew: a key that was revoked meanwhile counts no more, and neither does a
    /// role that was taken away.
    pub fn believing_now(&self, config: &Config) -> Result<Self, Failure> {
        let trusted = trust::load(&config.approvals, self.critical)?;
        let role = role(&trusted, &self.identity).to_owned();
        Ok(Self { trusted: Arc::new(trusted), role, ..self.clone() })
    }

    /// Remembers that `words` came from telemetry.
    #[must_use]
    pub fn remembering(&self, words: &[String]) -> Self {
        let mut standing = self.clone();
        for word in words {
            standing.telemetry.learn(word);
        }
        standing
    }

    /// Judges a command given as program and arguments.
    pub fn judge(&self, argv: &[String]) -> Judged {
        self.rules.now().gate.judge(argv, &self.situation())
    }

    /// Judges a command given as a line of text.
    pub fn judge_line(&self, line: &str) -> Judged {
        self.rules.now().gate.judge_line(line, &self.situation())
    }

    /// What the gate is told.
    pub fn situation(&self) -> Situation<'_> {
        Situation {
            profile: &self.environment,
            critical: self.critical,
            actor: &self.actor,
            role: &self.role,
            telemetry: &self.telemetry,
            inventory: &self.inventory,
            at: clock::system()(),
        }
    }

    /// Remembers the words of everything that was gathered, and trusts the names that the site's own configuration
    /// put on targets. Nothing that a log line or an annotation says is trusted.
    #[must_use]
    pub fn having_read(&self, snapshot: &Snapshot, targets: &[Labels]) -> Self {
        let mut standing = self.clone();
        let mut learn = |labels: &Labels| {
            for (_, value) in labels.iter() {
                standing.telemetry.learn(value);
            }
        };
        for alert in &snapshot.incident.alerts {
            learn(&alert.labels);
            learn(&alert.annotations);
        }
        let mut last_stream = None;
        for entry in &snapshot.logs {
            if last_stream != Some(&entry.labels) {
                learn(&entry.labels);
                last_stream = Some(&entry.labels);
            }
            learn(&entry.metadata);
        }
        for series in snapshot.metrics.iter().flat_map(|answer| &answer.series) {
            learn(&series.labels);
        }
        for entry in &snapshot.logs {
            standing.telemetry.learn(&entry.line);
        }
        for change in &snapshot.changes {
            for text in [change.service.as_str(), &change.reference, &change.summary, &change.author] {
                standing.telemetry.learn(text);
            }
            standing.telemetry.learn(change.diff.as_deref().unwrap_or_default());
        }
        for runbook in &snapshot.runbooks {
            standing.telemetry.learn(&runbook.text);
        }
        standing.trusting(targets)
    }

    /// Trusts the names that the site's own configuration put on targets.
    #[must_use]
    pub fn trusting(mut self, targets: &[Labels]) -> Self {
        for labels in targets {
            for value in TRUSTED_LABELS.iter().filter_map(|name| labels.get(name)) {
                self.inventory.trust(value);
            }
        }
        self
    }
}

fn role(trusted: &Trusted, identity: &Identity) -> &'static str {
    if trusted.persons.is_empty() { DEFAULT_ROLE } else { trusted.persons.role_of(identity) }
}

/// Names the configuration itself vouches for: the inventory, and the hosts of the sources.
fn known_names(profile: &Profile) -> Inventory {
    let mut inventory: Inventory = profile.inventory.iter().collect();
    let sources = [&profile.prometheus, &profile.alertmanager, &profile.loki];
    for settings in sources.into_iter().flatten().chain(&profile.exposition) {
        if let Some(host) = reqwest::Url::parse(&settings.url).ok().as_ref().and_then(reqwest::Url::host_str) {
            inventory.trust(host);
        }
    }
    // Naming the cluster in use aims a command nowhere else.
    if let Some(context) = profile.kubernetes.as_ref().and_then(|kubernetes| kubernetes.context.as_deref()) {
        inventory.use_context(context);
    }
    inventory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_was_taken_away_counts_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("persons.toml");
        let person = |role: &str| {
            let user = actor::identity().user;
            let text = format!("version = 1\n[[person]]\nname = \"A\"\nusers = [\"{user}\"]\nroles = [\"{role}\"]\n");
            std::fs::write(&file, text).unwrap();
        };
        person("operator");
        let mut config = Config::default();
        config.approvals.persons = Some(file.clone());
        let before = Standing::new(&config, "prod", &Profile::default()).unwrap();
        assert_eq!(before.role, "operator");
        person("viewer");
        assert_eq!(before.believing_now(&config).unwrap().role, "viewer");
        std::fs::remove_file(&file).unwrap();
        assert!(before.believing_now(&config).is_err(), "without the file nobody is anybody");
    }
}
