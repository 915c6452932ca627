//! `doctor`: checks every connection, permission and terminal capability, and says how to mend what fails.

use std::path::Path;

use serde::Serialize;

use crate::app::cli::Global;
use crate::app::engine::{Engine, Origin};
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::app::spending;
use crate::config::{self, Config, Profile, SystemSecrets};
use crate::domain::health::Status;
use crate::gate::PROGRAM_DIRECTORIES;
use crate::terminal::Ability;
use crate::terminal::ability::Colours;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) name: String,
    pub(super) status: Outcome,
    pub(super) detail: String,
    /// What to do; empty when there is nothing to do.
    pub(super) fix: String,
}

/// All checks.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Finding>,
}

impl Report {
    fn add(&mut self, name: &str, status: Outcome, detail: impl Into<String>, fix: impl Into<String>) {
        self.ok &= status != Outcome::Fail;
        self.checks.push(Finding { name: name.to_owned(), status, detail: detail.into(), fix: fix.into() });
    }
}

pub(super) async fn doctor(
    config: Config,
    profile: Option<(String, Profile)>,
    global: &Global,
    output: Output,
) -> Result<(), Failure> {
    let mut report = Report { ok: true, checks: Vec::new() };
    configuration(&mut report, global, profile.as_ref());
    guarded(&mut report, &config, global.replay.is_none() && profile.as_ref().is_some_and(|(_, it)| it.critical));
    match origin(global) {
        Err(failure) => report.add("bundle", Outcome::Fail, failure.to_string(), "name another --replay PATH"),
        Ok(origin) => match Engine::new(config.clone(), profile, origin, global.baseline, None) {
            Err(failure) => report.add("set-up", Outcome::Fail, failure.to_string(), ""),
            Ok(engine) => {
                sources(&mut report, &engine).await;
                policy(&mut report, &engine);
                programs(&mut report, &engine);
                models(&mut report, &engine);
                let ledger = engine.ledger().await.ok();
                for found in super::endpoints::examine(&engine, ledger.as_ref()).await {
                    report.ok &= found.status != Outcome::Fail;
                    report.checks.push(found);
                }
            }
        },
    }
    ledger(&mut report, &config).await;
    terminal(&mut report, global);
    output.answer(&report, || text(&report))?;
    if report.ok { Ok(()) } else { Err(Failure::silent_refusal()) }
}

fn origin(global: &Global) -> Result<Origin, Failure> {
    Ok(match &global.replay {
        Some(path) => Origin::Replay(crate::app::open_bundle(path)?),
        None => Origin::Live,
    })
}

fn configuration(report: &mut Report, global: &Global, profile: Option<&(String, Profile)>) {
    let files = match config::load(global.config.as_deref()) {
        Ok((_, files)) => files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        Err(error) => error.to_string(),
    };
    let wanted = config::config_file().map_or_else(String::new, |path| path.display().to_string());
    match (profile, files.is_empty()) {
        (Some((name, _)), false) => {
            report.add("configuration", Outcome::Ok, format!("profile {name} from {files}"), "");
        }
        (Some((name, _)), true) => {
            report.add("configuration", Outcome::Ok, format!("profile {name} from environment variables"), "");
        }
        (None, _) => report.add(
            "configuration",
            Outcome::Warn,
            "no source is configured",
            format!("write a profile into {wanted}, or set PROMETHEUS_URL, ALERTMANAGER_URL, LOKI_ADDR"),
        ),
    }
}

/// Whether what guards production is out of its users' reach.
fn guarded(report: &mut Report, config: &Config, critical: bool) {
    for why in &config.system.overruled {
        report.add("overruled", Outcome::Warn, why, "take the key out of your own file");
    }
    if critical && !config.system.ledger {
        report.add(
            "ledger place",
            Outcome::Warn,
            "the profile is critical, and whoever runs a command chooses the ledger it is written into",
            "set `ledger.path` or `ledger.url` in /etc/stanch/config.toml",
        );
    }
}

async fn sources(report: &mut Report, engine: &Engine) {
    engine.sources.probe().await;
    for source in engine.sources.health() {
        let version = source.version.as_deref().unwrap_or("version unknown");
        let latency = source.latency_ms.map_or_else(String::new, |latency| format!(", {latency} ms"));
        let detail = match &source.error {
            Some(error) => error.to_string(),
            None => format!("{}, {version}{latency}", source.status.word()),
        };
        let status = match source.status {
            Status::Ok => Outcome::Ok,
            Status::Degraded | Status::Unknown | Status::Connecting => Outcome::Warn,
            Status::Down => Outcome::Fail,
        };
        report.add(&source.name, status, detail, "");
    }
}

fn policy(report: &mut Report, engine: &Engine) {
    let standing = &engine.standing;
    let rules = standing.rules.now();
    let policy = rules.gate.policy();
    let detail = format!(
        "{}: {} rules, {} tests passed, sha256 {}",
        rules.source,
        policy.rules(),
        policy.tests(),
        policy.hash()
    );
    report.add("policy", Outcome::Ok, detail, "");
}

/// What is missing of end points that the environment names in part, and what a budget does not bind.
fn models(report: &mut Report, engine: &Engine) {
    let llm = &engine.config.llm;
    for half in &llm.half_set {
        let (what, fix) = half.split_once(": ").unwrap_or((half, ""));
        report.add("language model", Outcome::Warn, what, fix);
    }
    for endpoint in engine.pool.endpoints() {
        let settings = endpoint.settings();
        if let Some(why) = spending::does_not_bind(llm, settings) {
            let (what, fix) = why.split_once("; ").unwrap_or((why, ""));
            report.add(&format!("llm {} budget", settings.name), Outcome::Warn, what, fix);
        }
    }
}

/// The programs that suggested actions use most.
fn programs(report: &mut Report, engine: &Engine) {
    let found =
        |name: &str| PROGRAM_DIRECTORIES.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    match found("kubectl") {
        Some(path) => report.add("kubectl", Outcome::Ok, path.display().to_string(), ""),
        None if engine.bundle().is_some() => {}
        None => report.add(
            "kubectl",
            Outcome::Warn,
            format!("not in {}", PROGRAM_DIRECTORIES.join(":")),
            "install it there to run suggested kubectl commands; everything else works without it",
        ),
    }
}

async fn ledger(report: &mut Report, config: &Config) {
    // Opened for writing, which creates what is missing: nothing could be run without it.
    let checked = match crate::app::ledger::open(&config.ledger, &SystemSecrets).await {
        Ok(ledger) => match (ledger.writable().await, ledger.verify().await) {
            (Ok(()), Ok(chain)) => Ok((chain, ledger.place().to_owned())),
            (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        },
        Err(failure) => Err(failure.to_string()),
    };
    match checked {
        Ok((chain, place)) if chain.ok => {
            let open = chain.open_intents.len();
            let detail = format!("{place}: {} entries, the chain is whole", chain.entries);
            if open == 0 {
                report.add("ledger", Outcome::Ok, detail, "");
            } else {
                let fix = "see `stanch audit verify` for the intents without outcome";
                report.add("ledger", Outcome::Warn, format!("{detail}, {open} outcomes unknown"), fix);
            }
        }
        Ok((chain, place)) => {
            let detail = format!("{place}: the chain is broken in {} places", chain.problems.len());
            report.add("ledger", Outcome::Fail, detail, "keep the file and look with `stanch audit verify`");
        }
        Err(error) => {
            report.add("ledger", Outcome::Fail, error, "nothing can be run or sent until this is mended");
        }
    }
}

fn terminal(report: &mut Report, global: &Global) {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() {
        return report.add("terminal", Outcome::Ok, "standard output is no terminal: nothing to check", "");
    }
    let ability = Ability::detect(|name| std::env::var(name).ok());
    let (columns, rows) = crossterm::terminal::size().unwrap_or((0, 0));
    let colours = if ability.colours == Colours::Mono || global.no_color { "no colours" } else { "16 colours" };
    let letters = if ability.ascii { "ASCII" } else { "UTF-8" };
    let detail = format!("{columns}x{rows}, {colours}, {letters}");
    if columns < 80 || rows < 24 {
        report.add("terminal", Outcome::Warn, detail, "enlarge it to 80x24 or more");
    } else {
        report.add("terminal", Outcome::Ok, detail, "");
    }
    if ability.tmux {
        let fix = "for copying through tmux: set -g allow-passthrough on, and set -g set-clipboard on";
        report.add("clipboard", Outcome::Warn, "tmux passes OSC 52 on only when it is told to", fix);
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let width = report.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0).clamp(14, 32);
    for check in &report.checks {
        let mark = match check.status {
            Outcome::Ok => "ok  ",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        text += &format!("{mark}  {:<width$}  {}\n", check.name, check.detail);
        if !check.fix.is_empty() {
            text += &format!("      {:<width$}  → {}\n", "", check.fix);
        }
    }
    text
}
