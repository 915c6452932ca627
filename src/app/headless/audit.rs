//! `audit`: reading, verifying and exporting the ledger. Never writes to it.

use futures_util::TryStreamExt as _;
use serde_json::json;

use super::anchors::{self, Evidence};
use crate::app::cli::{Audit, ExportFormat};
use crate::app::failure::Failure;
use crate::app::ledger::{self, Place};
use crate::app::output::Output;
use crate::config::{Config, SystemSecrets};
use crate::domain::ledger::{ChainReport, Entry};
use crate::ledger::{Filter, Ledger, LedgerError, MIGRATION, export};

use super::replay_run::{self, Playing};

/// What a chain alone does not show.
const WITHOUT_ANCHORS: [&str; 2] = ["entries cut off at the end", "a chain written anew"];

pub(super) async fn audit(config: &Config, command: &Audit, output: Output) -> Result<(), Failure> {
    if matches!(command, Audit::Migration) {
        return output.answer(&json!({"sql": MIGRATION}), || MIGRATION.to_owned());
    }
    let Some(ledger) = ledger::open_for_reading(&config.ledger, &SystemSecrets).await? else {
        let path = match ledger::place(&config.ledger)? {
            Place::File(path) => path.display().to_string(),
            Place::Database(url) => url,
        };
        return match command {
            // Where anchors say that there was a ledger, none is not fine.
            Audit::Verify { anchors: Some(_), .. } => {
                Err(Failure::refused(format!("there is no ledger at {path}, and there are anchors of one")))
            }
            Audit::Verify { .. } => {
                let document = json!({"ledger": path, "ok": true, "entries": [], "notExcluded": WITHOUT_ANCHORS});
                output.answer(&document, || {
                    format!("there is no ledger at {path}; without --anchors it cannot be excluded that there was one")
                })
            }
            Audit::Export { .. } => Ok(()),
            Audit::Show { .. } | Audit::Replay { .. } | Audit::Anchor => {
                Err(Failure::failed(format!("there is no ledger at {path} yet")))
            }
            _ => output.answer(&json!({"ledger": path, "ok": true, "entries": []}), || {
                format!("there is no ledger at {path} yet: nothing was run or sent")
            }),
        };
    };
    let fail = |error: LedgerError| Failure::failed(error.to_string());
    match command {
        Audit::List { incident, last } => {
            let filter = Filter { incident: incident.clone(), limit: *last, newest: true, ..Filter::default() };
            let entries = ledger.entries(filter).await.map_err(fail)?;
            let open = ledger.open_intents().await.map_err(fail)?;
            let document = json!({"ledger": ledger.place(), "entries": entries, "openIntents": open});
            output.answer(&document, || entries.iter().map(|entry| line(entry, &open)).collect())
        }
        Audit::Show { seq } => match ledger.entry(*seq).await.map_err(fail)? {
            Some(entry) => output.answer(&entry, || {
                let payload = serde_json::to_string_pretty(&entry.draft.payload).unwrap_or_default();
                let (prev, hash) = (&entry.prev_hash, &entry.hash);
                format!("{}\nprev {prev}\nhash {hash}\n{payload}", line(&entry, &[]).trim_end())
            }),
            None => Err(Failure::failed(format!("the ledger has no entry {seq}"))),
        },
        Audit::Replay { seq, speed, cast } => {
            replay_run::replay(ledger.as_ref(), *seq, Playing { speed: *speed, cast: *cast }, output).await
        }
        Audit::Verify { anchors, allowed_signers, of } => {
            let evidence = match anchors {
                Some(file) => Some(anchors::evidence(file, allowed_signers.as_deref(), of.as_deref())?),
                None => None,
            };
            verify(&*ledger, evidence, output).await
        }
        Audit::Anchor => anchors::anchor(config, &*ledger, output).await,
        Audit::Export { format, after } => export(&*ledger, *format, *after, output).await,
        Audit::Migration => Ok(()),
    }
}

fn line(entry: &Entry, open: &[u64]) -> String {
    let draft = &entry.draft;
    let incident = draft.incident.as_deref().unwrap_or("-");
    let unknown = if open.contains(&entry.seq) { "  OUTCOME UNKNOWN" } else { "" };
    let what = summary(entry);
    format!("{:>6}  {}  {:<12}  {incident}  {}  {what}{unknown}\n", entry.seq, draft.at, draft.kind.word(), draft.actor)
}

/// The command or state in a payload, for one line.
fn summary(entry: &Entry) -> String {
    let payload = &entry.draft.payload;
    let argv = payload
        .pointer("/request/argv")
        .or_else(|| payload.pointer("/request/run/argv"))
        .and_then(|argv| argv.as_array());
    let text = match argv {
        Some(argv) => argv.iter().filter_map(|word| word.as_str()).collect::<Vec<_>>().join(" "),
        None => match (payload.get("state"), payload.get("intent")) {
            (Some(state), Some(intent)) => format!("of {intent}: {state}"),
            (None, Some(intent)) => format!("of {intent}"),
            _ => payload.get("why").and_then(|why| why.as_str()).unwrap_or_default().to_owned(),
        },
    };
    text.replace('\n', " ").chars().take(160).collect()
}

async fn verify(ledger: &dyn Ledger, evidence: Option<Evidence>, output: Output) -> Result<(), Failure> {
    let ends = evidence.as_ref().map_or_else(Vec::new, |evidence| evidence.ends.clone());
    let mut report = ledger.verify_against(ends).await.map_err(|error| Failure::failed(error.to_string()))?;
    report.ok &= evidence.as_ref().is_none_or(|evidence| evidence.problems.is_empty());
    let mut document = json!(report);
    match &evidence {
        Some(evidence) => document["anchors"] = json!(evidence),
        None => document["notExcluded"] = json!(WITHOUT_ANCHORS),
    }
    output.answer(&document, || {
        let mut text = verify_text(&report);
        if let Some(evidence) = &evidence {
            let (count, entries) = (evidence.anchors, evidence.anchored_entries);
            let by: Vec<&str> = evidence.signed_by.iter().map(String::as_str).collect();
            text += &format!("{count} anchors, signed by {}, vouch for {entries} entries\n", by.join(", "));
            text.extend(evidence.problems.iter().map(|problem| format!("  anchors, {problem}\n")));
        } else {
            text += "no anchors were given (--anchors): entries cut off at the end, and a chain written anew, cannot be \
                     excluded\n";
        }
        text
    })?;
    if report.ok { Ok(()) } else { Err(Failure::silent_refusal()) }
}

/// Prints the entries one by one as they come: a ledger of any size needs no more room than its largest entry.
async fn export(ledger: &dyn Ledger, format: ExportFormat, after: u64, output: Output) -> Result<(), Failure> {
    let mut entries = ledger.stream(after);
    while let Some(entry) = entries.try_next().await.map_err(|error| Failure::failed(error.to_string()))? {
        let line = match format {
            ExportFormat::Jsonl => export::jsonl(&entry),
            ExportFormat::Ocsf => export::ocsf(&entry),
        };
        if !output.line(&line)? {
            break;
        }
    }
    Ok(())
}

fn verify_text(report: &ChainReport) -> String {
    let mut text = if report.ok {
        format!("the chain is whole: {} entries, head {}\n", report.entries, report.head)
    } else {
        format!("THE CHAIN IS BROKEN: {} entries checked\n", report.entries)
    };
    for problem in &report.problems {
        text += &format!("  entry {}: {}\n", problem.seq, problem.what);
    }
    for intent in &report.open_intents {
        text += &format!("  entry {intent}: intent without outcome, what happened is unknown\n");
    }
    text
}
