//! The command line: one definition for parsing, help, completions and the manual page.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::copilot::questions::Limits;
use crate::domain::baseline::BaselineChoice;
use crate::domain::{TimeRange, Timestamp};

/// A full-screen terminal copilot for incident response. Without a command it opens the screens on the configured
/// sources.
#[derive(Debug, Parser)]
#[command(name = "stanch", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration, 3 a check said no.")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Read this configuration file only.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Look at this profile.
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Read a recorded bundle instead of live sources.
    #[arg(long, global = true, value_name = "PATH")]
    pub replay: Option<PathBuf>,
    /// Compare with this time instead of the hour before the incident: two RFC 3339 times, two times before the
    /// incident's window (-2h/-1h), or `preceding`, `yesterday`, `last-week`.
    #[arg(long, global = true, value_name = "START/END", allow_hyphen_values = true)]
    pub baseline: Option<BaselineChoice>,
    /// Print exactly one JSON document.
    #[arg(long, global = true)]
    pub json: bool,
    /// Use no colour.
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open the screens on a built-in recorded incident: no server, no key, no network.
    Demo,
    /// Open the screens on a recorded bundle.
    Replay {
        /// The bundle: a folder or a .tar.zst file.
        path: PathBuf,
    },
    /// List alerts.
    Alerts,
    /// List incidents: alerts that belong together.
    Incidents,
    /// Rank the services and changes that probably caused an incident.
    Suspects {
        /// Which incident; may be left out when there is exactly one.
        incident: Option<String>,
    },
    /// Pack the evidence of an incident for a language model, under a token budget.
    Pack {
        /// Which incident; may be left out when there is exactly one.
        incident: Option<String>,
        /// Most tokens (o200k).
        #[arg(long, default_value_t = 8_000, value_name = "TOKENS")]
        budget: usize,
        /// Print the whole request for a diagnosis instead, with prompt and shape of the answer: for a model elsewhere,
        /// whose answer `diagnose --answer` takes.
        #[arg(long, conflicts_with = "budget")]
        request: bool,
    },
    /// Diagnose an incident: observations, hypotheses and suggested actions, each with its evidence.
    Diagnose {
        /// Which incident; may be left out when there is exactly one.
        incident: Option<String>,
        /// Use the offline analyst even when a language model is configured.
        #[arg(long)]
        offline: bool,
        /// Use this end point instead of the first one.
        #[arg(long, value_name = "NAME", conflicts_with = "offline")]
        endpoint: Option<String>,
        /// Ask the queries of its checks as well; a model then diagnoses again with their answers.
        #[arg(long)]
        checks: bool,
        /// Ask the queries behind the cited evidence again, and say of each item whether it still holds.
        #[arg(long)]
        recheck: bool,
        /// Check the answer of a model elsewhere instead of asking one: a file, or - for standard input.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["offline", "endpoint"])]
        answer: Option<PathBuf>,
        /// Send without being asked, also where `ask_first` is set.
        #[arg(long)]
        yes: bool,
    },
    /// Ask a language model a question; it looks things up with read-only tools, and every claim cites what it found.
    Ask {
        /// The question: "which services were down in the last 10 minutes?"
        question: String,
        /// Ask about this incident instead of the whole system.
        #[arg(long, value_name = "INCIDENT")]
        incident: Option<String>,
        /// Use this end point instead of the first one.
        #[arg(long, value_name = "NAME")]
        endpoint: Option<String>,
        /// Most steps, the answer included.
        #[arg(long, value_name = "N", value_parser = steps)]
        max_steps: Option<usize>,
        /// Send without being asked, also where `ask_first` is set.
        #[arg(long)]
        yes: bool,
    },
    /// Say what a command would do and whether it may run. Runs nothing. Exit code 3 when the answer is no.
    Check(Check),
    /// List, show and run suggested actions; ask for approvals, give and refuse them.
    Actions {
        /// What to do with them.
        #[command(subcommand)]
        command: Actions,
    },
    /// Say who the program takes you for, how sure that is, which role follows, and which keys could sign.
    Whoami,
    /// Show and test the policy.
    Policy {
        /// What to do with it.
        #[command(subcommand)]
        command: Policy,
    },
    /// Read and verify the ledger.
    Audit {
        /// What to do with it.
        #[command(subcommand)]
        command: Audit,
    },
    /// Record an incident from live sources to a bundle that replays anywhere.
    Record {
        /// Which incident; may be left out when there is exactly one.
        incident: Option<String>,
        /// Where to write it: a folder, or a file ending in .tar.zst.
        #[arg(long, short, value_name = "PATH")]
        output: PathBuf,
        /// Replace what stands there.
        #[arg(long)]
        overwrite: bool,
    },
    /// Make a bundle from files that other tools wrote.
    Import(Import),
    /// Mine the templates of log files: what is said how often. Needs no configuration and no network.
    Templates(Templates),
    /// Check every connection, permission and terminal capability, and say how to mend what fails.
    Doctor,
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page (roff).
    Man,
}

/// What `check` looks at.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["argv", "line", "lines", "change"]))]
pub struct Check {
    /// Name of the environment the command would run in; the profile's name when left out.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Who would run it.
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// The role of whoever would run it.
    #[arg(long, value_name = "ROLE")]
    pub role: Option<Role>,
    /// A command as one line of text.
    #[arg(long, value_name = "TEXT")]
    pub line: Option<String>,
    /// A file with one command a line (`-` for standard input); answers with one JSON document a line.
    #[arg(long, value_name = "FILE")]
    pub lines: Option<PathBuf>,
    /// A typed change, as JSON: {"kind":"scale","namespace":"shop","workload":"deployment/payments","replicas":6,"current":3};
    /// the other kinds are restart, `roll_back`, cordon, drain and silence.
    #[arg(long, value_name = "JSON")]
    pub change: Option<String>,
    /// A command as program and arguments.
    #[arg(last = true, value_name = "ARGV")]
    pub argv: Vec<String>,
}

/// Roles of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// May look.
    Viewer,
    /// May act.
    Operator,
    /// May act and approve.
    IncidentCommander,
    /// May change the guardrails.
    Admin,
}

impl Role {
    /// The word of the policy file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::IncidentCommander => "incident-commander",
            Self::Admin => "admin",
        }
    }
}

/// What to do with actions.
#[derive(Debug, Subcommand)]
pub enum Actions {
    /// List the suggested actions of an incident with their verdicts, or the requests that wait for an approval.
    List {
        /// Which incident; may be left out when there is exactly one.
        incident: Option<String>,
        /// List requests for approval instead.
        #[arg(long, conflicts_with = "incident")]
        pending: bool,
        /// List also requests that were used, rejected or expired.
        #[arg(long, requires = "pending")]
        all: bool,
    },
    /// Show exactly what running an action would do, and its digest; or show a request for approval.
    Show {
        /// The action's id, for example P1, or the digest of a request.
        action: String,
        /// Which incident; may be left out when there is exactly one.
        #[arg(long)]
        incident: Option<String>,
        /// Print the exact text that an approver signs, for `ssh-keygen -Y sign -n stanch-approval`.
        #[arg(long, requires = "approver")]
        to_sign: bool,
        /// The approver's principal in the allowed signers.
        #[arg(long = "as", value_name = "PRINCIPAL", id = "approver")]
        principal: Option<String>,
        /// The text to sign shall reject.
        #[arg(long, requires = "to_sign")]
        reject: bool,
        /// Why, as it will be signed.
        #[arg(long, default_value = "", requires = "to_sign", value_name = "TEXT")]
        reason: String,
    },
    /// Run the tool's own preview of an action (dry run, plan, diff): a command like any other, with its own digest.
    Preview {
        /// The action's id, for example P1.
        action: String,
        /// Which incident; may be left out when there is exactly one.
        #[arg(long)]
        incident: Option<String>,
        /// The digest that this command printed.
        #[arg(long, value_name = "DIGEST")]
        digest: Option<String>,
    },
    /// Ask for the approval that an action needs. Runs nothing.
    Request {
        /// The action's id, for example P1.
        #[arg(required_unless_present = "argv", conflicts_with = "argv")]
        action: Option<String>,
        /// Which incident; may be left out when there is exactly one.
        #[arg(long)]
        incident: Option<String>,
        /// Why it should help; for a command of your own.
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
        /// A command of your own as program and arguments.
        #[arg(last = true, value_name = "ARGV")]
        argv: Vec<String>,
    },
    /// Sign that a request may run: by a key of the ssh-agent, or with a signature made elsewhere.
    Approve(Say),
    /// Sign that a request may not run.
    Reject(Say),
    /// Ask again whether a run helped: its effect shows only after metrics were scraped and evaluated.
    Verify {
        /// Number of the run's intent or outcome in the ledger.
        seq: u64,
    },
    /// List the runs that went past an approval and wait for a review, or review one: signed by the ssh-agent.
    Review {
        /// The number of the run's entry in the ledger.
        entry: Option<u64>,
        /// What came out of the review.
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
        /// The run was not justified.
        #[arg(long)]
        unjustified: bool,
    },
    /// Run an action after confirmation on the terminal, or when --digest names exactly what was shown; or run a
    /// request that was approved.
    Run {
        /// The action's id, for example P1, or the digest of an approved request.
        action: String,
        /// Which incident; may be left out when there is exactly one.
        #[arg(long)]
        incident: Option<String>,
        /// The digest that `actions show` printed.
        #[arg(long, value_name = "DIGEST")]
        digest: Option<String>,
        /// The word that a typed confirmation asks for; only together with --digest.
        #[arg(long, value_name = "WORD", requires = "digest")]
        confirm: Option<String>,
        /// Run it without the approval that it needs, because it cannot wait: where the policy allows that. It is
        /// written down with this reason, and another person reviews it.
        #[arg(long, value_name = "REASON")]
        break_glass: Option<String>,
    },
}

/// An approver's word.
#[derive(Debug, Args)]
pub struct Say {
    /// The digest of the request, or its beginning.
    pub digest: String,
    /// Why.
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub reason: String,
    /// The principal to sign as; the first key of the ssh-agent that may sign when left out.
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    /// A signature made by `ssh-keygen -Y sign -n stanch-approval FILE` over what `actions show --to-sign` printed.
    #[arg(long, value_name = "FILE.sig", conflicts_with_all = ["principal", "reason"])]
    pub signature: Option<PathBuf>,
    /// The text that was signed; FILE when left out.
    #[arg(long, value_name = "FILE", requires = "signature")]
    pub statement: Option<PathBuf>,
}

/// What to do with the policy.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Run the tests that the policy file carries.
    Test,
    /// Print the policy in force and its hash.
    Show,
    /// Say which rule decides about a command, and why.
    Explain(Check),
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List entries, oldest first.
    List {
        /// Only this incident.
        #[arg(long)]
        incident: Option<String>,
        /// Only the last so many.
        #[arg(long, default_value_t = 100)]
        last: usize,
    },
    /// Show one entry whole.
    Show {
        /// Its number.
        seq: u64,
    },
    /// Check the chain. Exit code 3 when it is broken.
    Verify {
        /// File with anchors, one a line: finds an end that was cut off and a chain that was written anew.
        #[arg(long, value_name = "FILE")]
        anchors: Option<PathBuf>,
        /// Only anchors that a key of this file signed count (format of ssh-keygen's `allowed_signers`).
        #[arg(long, value_name = "FILE", requires = "anchors")]
        allowed_signers: Option<PathBuf>,
        /// Only anchors that this host made or that are of this ledger, where the file holds those of several.
        #[arg(long, value_name = "HOST|LEDGER", requires = "anchors")]
        of: Option<String>,
    },
    /// Anchor the end of the chain: sign it and ship it to the places that are configured, or print it.
    Anchor,
    /// Print all entries, oldest first, one a line.
    Export {
        /// How.
        #[arg(long, value_enum, default_value_t)]
        format: ExportFormat,
        /// Only what came after this entry, so that an export can be continued.
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
    },
    /// Print the migration that makes the tables and roles of a ledger in PostgreSQL.
    Migration,
    /// Show a recorded run as it was seen, with its pauses. Runs nothing.
    Replay {
        /// Number of the run's intent or outcome.
        seq: u64,
        /// So many times as fast; 0 shows all at once.
        #[arg(long, default_value_t = 1.0)]
        speed: f64,
        /// Print an asciicast (version 2) for other players.
        #[arg(long)]
        cast: bool,
    },
}

/// How entries are exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The entries as they are, with their hashes.
    #[default]
    Jsonl,
    /// Events of the Open Cybersecurity Schema Framework, for a SIEM.
    Ocsf,
}

/// What `import` reads.
#[derive(Debug, Args)]
pub struct Import {
    /// Where to write the bundle: a folder, or a file ending in .tar.zst.
    #[arg(long, short, value_name = "PATH")]
    pub output: PathBuf,
    /// Replace what stands there.
    #[arg(long)]
    pub overwrite: bool,
    /// Name of the bundle.
    #[arg(long, default_value = "imported")]
    pub name: String,
    /// The time of the incident (two RFC 3339 times); taken from the alerts when left out.
    #[arg(long, value_name = "START/END", value_parser = time_range)]
    pub window: Option<TimeRange>,
    /// Alerts as `amtool alert query -o json` or `GET /api/v2/alerts` gives them.
    #[arg(long, value_name = "FILE")]
    pub alerts: Option<PathBuf>,
    /// Metrics as OpenMetrics text with timestamps.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Log entries as `logcli --output=jsonl` or `logs.ndjson` of a bundle gives them. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub logs: Vec<PathBuf>,
    /// Changes as a JSON array of `{at, kind, service, ref, summary, author, diff}`.
    #[arg(long, value_name = "FILE")]
    pub changes: Option<PathBuf>,
    /// Rules as `GET /api/v1/rules` gives them.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
}

/// What `templates` mines.
#[derive(Debug, Args)]
pub struct Templates {
    /// Log files, plain, gzip or zstd; `-` or nothing for standard input.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print the number of the template of each input line instead. Keeps four bytes a line.
    #[arg(long, conflicts_with_all = ["limit", "json"])]
    pub assign: bool,
    /// Show only so many templates.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Compare with this log: which templates are new, vanished, more or fewer. May be given several times.
    #[arg(long, value_name = "FILE", conflicts_with = "assign")]
    pub against: Vec<PathBuf>,
}

fn steps(text: &str) -> Result<usize, String> {
    let most = Limits::MOST_STEPS;
    let steps = text.parse().ok().filter(|steps| (1..=most).contains(steps));
    steps.ok_or_else(|| format!("say how many steps the model may take, from 1 to {most}; leave it out for the usual"))
}

fn time_range(text: &str) -> Result<TimeRange, String> {
    let shape = "expected two RFC 3339 times with a slash between: 2026-01-31T13:00:00Z/2026-01-31T14:00:00Z";
    let (start, end) = text.split_once('/').ok_or(shape)?;
    let parse = |text: &str| Timestamp::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is not a time: {shape}"));
    let (start, end) = (parse(start)?, parse(end)?);
    if end <= start {
        return Err("the end must lie after the start".into());
    }
    Ok(TimeRange::new(start, end))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_to_check_is_given_in_exactly_one_way() {
        assert!(Cli::try_parse_from(["stanch", "check", "--", "kubectl", "get", "pods"]).is_ok());
        assert!(Cli::try_parse_from(["stanch", "check", "--line", "uptime"]).is_ok());
        assert!(Cli::try_parse_from(["stanch", "check"]).is_err());
        assert!(Cli::try_parse_from(["stanch", "check", "--line", "uptime", "--", "uptime"]).is_err());
    }

    #[test]
    fn a_baseline_is_a_range_or_a_word() {
        for text in ["-2h/-1h", "yesterday", "2026-01-31T13:00:00Z/2026-01-31T14:00:00Z"] {
            let cli = Cli::try_parse_from(["stanch", "suspects", "--baseline", text]).unwrap();
            assert_eq!(cli.global.baseline, Some(text.parse().unwrap()));
        }
        let error = Cli::try_parse_from(["stanch", "suspects", "--baseline", "tomorrow"]).unwrap_err().to_string();
        assert!(error.contains("`tomorrow` is no baseline; expected `preceding`"), "{error}");
    }

    #[test]
    fn a_window_must_be_a_range() {
        assert!(time_range("2026-01-31T13:00:00Z/2026-01-31T14:00:00Z").is_ok());
        assert!(time_range("2026-01-31T14:00:00Z/2026-01-31T13:00:00Z").is_err());
        assert!(time_range("yesterday").unwrap_err().contains("RFC 3339"));
    }
}
