//! The whole way on real servers: rules of a real Prometheus fire into a real Alertmanager, logs come over Loki's
//! API, the program finds the incident, its suspect and its proof, and records it.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stanch::domain::Timestamp;
use stanch::sources::bundle::{self, Bundle};
use stanch::sources::demo;
use tempfile::TempDir;

use crate::loki_server;
use crate::program::Program;
use crate::servers::{Alertmanager, Prometheus};

/// How long the rules may take to fire.
const FIRES_WITHIN: Duration = Duration::from_mins(1);

/// The rules of the shop as a rule file, without waiting times.
fn rule_file(parts: &bundle::BundleParts) -> String {
    let mut text = String::from("groups:\n- name: shop\n  interval: 1s\n  rules:\n");
    for rule in parts.rules.iter().filter(|rule| rule.alerting) {
        let _ = writeln!(text, "  - alert: {}\n    expr: {}", rule.name, quoted(&rule.expression));
        for (what, set) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
            if !set.is_empty() {
                let _ = writeln!(text, "    {what}:");
            }
            for (name, value) in set.iter() {
                let _ = writeln!(text, "      {name}: {}", quoted(value));
            }
        }
    }
    text
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn history(parts: &bundle::BundleParts) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("b");
    bundle::write(&path, parts, false).unwrap();
    let plain = path.join("metrics.om");
    if plain.exists() {
        return std::fs::read_to_string(plain).unwrap();
    }
    let mut text = String::new();
    let file = std::fs::File::open(path.join("metrics.om.gz")).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    text
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Asks until the critical incident is there.
async fn critical_incident(program: &std::sync::Arc<Program>) -> Value {
    let deadline = tokio::time::Instant::now() + FIRES_WITHIN;
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tick.tick().await;
        let asking = std::sync::Arc::clone(program);
        let incidents = blocking(move || asking.json(&["incidents"])).await;
        let found = incidents["incidents"].as_array().unwrap().iter().find(|incident| {
            incident["severity"] == "critical" && incident["alerts"].as_array().is_some_and(|alerts| alerts.len() > 10)
        });
        if let Some(incident) = found {
            return incident.clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "no incident within {FIRES_WITHIN:?}: {incidents}");
    }
}

/// The shop on real servers.
struct Shop {
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    loki: wiremock::MockServer,
}

impl Shop {
    /// Starts it with its incident going on now.
    async fn open() -> Self {
        let now = Timestamp::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64);
        let parts = demo::parts(now);
        let alertmanager = Alertmanager::start().await;
        let prometheus = Prometheus::start(Some(&rule_file(&parts)), Some(&history(&parts)), Some(&alertmanager)).await;
        let loki = loki_server::start(Bundle::from_parts(parts)).await;
        Self { prometheus, alertmanager, loki }
    }

    fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("PROMETHEUS_URL", self.prometheus.url()),
            ("ALERTMANAGER_URL", self.alertmanager.url()),
            ("LOKI_ADDR", self.loki.uri()),
        ]
    }
}

/// For a look by hand: prints where the servers are and keeps them until standard input ends.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps the servers up for a look by hand"]
async fn keep_the_shop_open() {
    let shop = Shop::open().await;
    for (name, url) in shop.variables() {
        println!("export {name}={url}");
    }
    blocking(|| std::io::stdin().lines().count()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_on_real_servers_is_found_explained_and_recorded() {
    let shop = Shop::open().await;
    let program = shop.variables().iter().fold(Program::new(), |program, (name, url)| program.with(name, url));
    let program = std::sync::Arc::new(program);
    let incident = critical_incident(&program).await;
    let id = incident["id"].as_str().unwrap().to_owned();

    let recording = std::sync::Arc::clone(&program);
    blocking(move || {
        let suspects = recording.json(&["suspects", &id]);
        assert_eq!(suspects["verdict"], "suspects", "{suspects}");
        assert_eq!(suspects["suspects"][0]["service"], "payments", "{suspects}");
        // Nobody told of the deploy here: the metrics show the new version and the new pods.
        let change = &suspects["changes"][0];
        assert_eq!((&change["kind"], &change["service"]), (&"rollout".into(), &"payments".into()), "{suspects}");
        assert_eq!(change["ref"], "v2.41", "{suspects}");

        let path = recording.home().join("incident.tar.zst");
        let path = path.to_str().unwrap();
        let recorded = recording.json(&["record", &id, "--output", path]);
        let again = recording.run(&["record", &id, "--output", path]);
        assert!(again.code == 2 && again.stderr.contains("--overwrite"), "{again:?}");
        // Nothing but the file is needed from here on.
        let elsewhere = Program::new();
        let replayed = elsewhere.json(&["suspects", "--replay", path]);
        assert_eq!(replayed["suspects"], recorded["suspects"]["suspects"]);
        assert_eq!(replayed["changes"], recorded["suspects"]["changes"]);
        let pack = elsewhere.json(&["pack", "--budget", "8000", "--replay", path]);
        let text = pack["text"].as_str().unwrap();
        let sha = stanch::domain::canonical::hex(&Sha256::digest(text));
        assert_eq!(sha, recorded["packSha256"].as_str().unwrap(), "the pack of the replay differs: {text}");
        for kind in ["alert", "metric", "log", "edge"] {
            let has = pack["evidence"].as_array().unwrap().iter().any(|item| item["kind"] == kind);
            assert!(has, "no {kind} in the pack");
        }
    })
    .await;
}
