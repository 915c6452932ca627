//! `audit replay`: a recorded run as it was seen, with its pauses. Runs nothing.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::domain::Text;
use crate::domain::action::OutputLine;
use crate::domain::ledger::{Entry, EntryKind};
use crate::domain::text::neutralise;
use crate::ledger::{Filter, Ledger, LedgerError};

/// Longest pause that is waited for, as terminal recordings are played.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How to play it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Playing {
    /// So many times as fast; 0 is at once.
    pub(super) speed: f64,
    /// As an asciicast (version 2) for other players.
    pub(super) cast: bool,
}

/// The run that an entry belongs to: intent and outcome.
pub(super) async fn run_of(ledger: &dyn Ledger, seq: u64) -> Result<(Entry, Entry), Failure> {
    let fail = |error: LedgerError| Failure::failed(error.to_string());
    let not = |what: &str| Failure::usage(format!("entry {seq} is {what}; `stanch audit list` shows the runs"));
    let entry = ledger.entry(seq).await.map_err(fail)?.ok_or_else(|| not("not there"))?;
    let named = entry.draft.payload.get("intent").and_then(Value::as_u64);
    match (entry.draft.kind, named) {
        (EntryKind::RunOutcome, Some(intent)) => {
            let intent = ledger.entry(intent).await.map_err(fail)?.ok_or_else(|| not("an outcome without intent"))?;
            Ok((intent, entry))
        }
        (EntryKind::RunIntent, _) => {
            let mut after = seq;
            // The outcome stands after its intent; what others wrote in between is passed over in pages.
            loop {
                let filter = Filter { kinds: vec![EntryKind::RunOutcome], after: Some(after), ..Filter::default() };
                let page = ledger.entries(filter).await.map_err(fail)?;
                let Some(last) = page.last().map(|entry| entry.seq) else {
                    return Err(not("a run whose outcome is unknown"));
                };
                after = last;
                let is_it = |one: &Entry| one.draft.payload.get("intent").and_then(Value::as_u64) == Some(seq);
                if let Some(outcome) = page.into_iter().find(is_it) {
                    return Ok((entry, outcome));
                }
            }
        }
        _ => Err(not("no run")),
    }
}

/// Plays the run that entry `seq` belongs to.
pub(super) async fn replay(ledger: &dyn Ledger, seq: u64, playing: Playing, output: Output) -> Result<(), Failure> {
    let (intent, outcome) = run_of(ledger, seq).await?;
    let payload = &outcome.draft.payload;
    let lines: Vec<OutputLine> =
        payload.get("output").cloned().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    let times: Vec<u64> =
        payload.get("timesMs").cloned().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    let at = |index: usize| times.get(index).or(times.last()).copied().unwrap_or(0);
    let words: Vec<&str> = intent
        .draft
        .payload
        .pointer("/request/argv")
        .and_then(Value::as_array)
        .map(|argv| argv.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let command = neutralise(&words.join(" ")).into_owned();
    if output.json {
        return output.answer(&json!({"intent": intent, "outcome": outcome}), String::new);
    }
    let mut out = std::io::stdout();
    let mut say = |text: &str| out.write_all(text.as_bytes()).and_then(|()| out.flush());
    let failed = |error: std::io::Error| Failure::failed(format!("standard output: {error}"));
    if playing.cast {
        let head =
            json!({"version": 2, "width": 120, "height": 40, "timestamp": intent.draft.at.secs(), "title": command});
        say(&format!("{head}\n")).map_err(failed)?;
        for (index, line) in lines.iter().enumerate() {
            let event = json!([at(index) as f64 / 1e3, "o", format!("{}\r\n", shown(&line.text))]);
            say(&format!("{event}\n")).map_err(failed)?;
        }
        return Ok(());
    }
    say(&format!("{} {} $ {command}\n", intent.draft.at, neutralise(&intent.draft.actor))).map_err(failed)?;
    let mut before = 0;
    for (index, line) in lines.iter().enumerate() {
        if playing.speed > 0.0 {
            let pause = at(index).saturating_sub(before) as f64 / 1e3 / playing.speed;
            let pause = Duration::try_from_secs_f64(pause).map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE));
            tokio::time::sleep(pause).await;
            before = at(index);
        }
        let mark = if line.stderr { "! " } else { "  " };
        say(&format!("{mark}{}\n", shown(&line.text))).map_err(failed)?;
    }
    let dropped = payload.get("droppedLines").and_then(Value::as_u64).unwrap_or(0);
    if dropped > 0 {
        say(&format!("  … {dropped} lines were not kept\n")).map_err(failed)?;
    }
    let state = payload.get("state").map(|state| neutralise(&state.to_string()).into_owned()).unwrap_or_default();
    say(&format!("{} {state}\n", outcome.draft.at)).map_err(failed)
}

/// A line as it may go to a terminal: what stands in a ledger is text from outside, too.
fn shown(text: &Text) -> String {
    neutralise(&text.one_line()).into_owned()
}
