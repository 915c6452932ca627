//! `actions`: listing, showing and running suggested actions.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::cli::Actions;
use crate::app::diagnosing::{self, Concluded};
use crate::app::engine::Engine;
use crate::app::execution::{self, Execution, News, Ready};
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::app::standing::Standing;
use crate::core::confirm::REASON_MIN;
use crate::domain::action::{Action, Decision, Digest, RunState};
use crate::domain::text::neutralise;
use crate::gate::lexer;
use crate::gate::preview::{self, preview_of};

use super::incidents::investigated;
use super::interrupt::interrupted;
use super::views::ActionView;

pub(super) async fn actions(engine: &Engine, command: &Actions, output: Output) -> Result<(), Failure> {
    match command {
        Actions::List { incident, .. } => list(engine, incident.as_deref(), output).await,
        Actions::Show { action, incident, .. } => {
            let (ready, shown) = ready(engine, incident.as_deref(), action, output).await?;
            let does = super::views::does(&shown);
            output.answer(&view(&ready, does.as_deref()), || text(&ready, does.as_deref()))
        }
        Actions::Request { action, incident, .. } => {
            let id = action.as_deref().unwrap_or_default();
            let (ready, action) = ready(engine, incident.as_deref(), id, output).await?;
            super::approvals::request(engine, &ready, &action, output).await
        }
        Actions::Approve(_) | Actions::Reject(_) | Actions::Review { .. } => {
            Err(Failure::usage("a request is named by its digest"))
        }
        Actions::Preview { action, incident, digest } => {
            let (of, standing) = found(engine, incident.as_deref(), action, output).await?;
            run_preview(engine, &standing, &of, digest.as_deref(), output).await
        }
        Actions::Verify { seq } => super::verify_run::verify(engine, *seq, output).await,
        Actions::Run { action, incident, digest, confirm, break_glass } => {
            let (ready, action) = ready(engine, incident.as_deref(), action, output).await?;
            let given =
                Given { digest: digest.as_deref(), confirm: confirm.as_deref(), break_glass: break_glass.as_deref() };
            run(engine, &action, &ready, given, output).await
        }
    }
}

/// The offline analyst's actions: the same on every call, so that an id and a digest mean the same thing twice.
async fn concluded(engine: &Engine, incident: Option<&str>, output: Output) -> Result<Concluded, Failure> {
    let investigated = investigated(engine, incident, output).await?;
    Ok(diagnosing::offline(engine, &investigated).await)
}

async fn list(engine: &Engine, incident: Option<&str>, output: Output) -> Result<(), Failure> {
    let concluded = concluded(engine, incident, output).await?;
    let views: Vec<_> = concluded.actions.iter().map(|(action, judged)| ActionView::new(action, judged)).collect();
    output.answer(&json!({"actions": views}), || {
        let line = |(action, judged): &(Action, crate::domain::action::Judged)| {
            let (effect, verdict) = (judged.effect.word(), &judged.verdict);
            let command = judged.input.one_line();
            let does = super::views::does(action).map(|does| format!("      {does}\n")).unwrap_or_default();
            format!(
                "{}  {command}\n{does}      {effect} · {} by {}: {}\n",
                action.id,
                verdict.decision.word(),
                verdict.rule,
                verdict.why
            )
        };
        concluded.actions.iter().map(line).collect()
    })
}

async fn ready(engine: &Engine, incident: Option<&str>, id: &str, output: Output) -> Result<(Ready, Action), Failure> {
    let (action, standing) = found(engine, incident, id, output).await?;
    let ready = execution::prepare(engine, &standing, &action).await?;
    Ok((ready, action))
}

/// The action of this id, and what it is judged by.
async fn found(
    engine: &Engine,
    incident: Option<&str>,
    id: &str,
    output: Output,
) -> Result<(Action, Standing), Failure> {
    let concluded = concluded(engine, incident, output).await?;
    let known = concluded.actions.iter().map(|(action, _)| action.id.as_str()).collect::<Vec<_>>().join(", ");
    let (action, _) = concluded
        .actions
        .into_iter()
        .find(|(action, _)| action.id.eq_ignore_ascii_case(id))
        .ok_or_else(|| Failure::usage(format!("there is no action {id}; there are: {known}")))?;
    Ok((action, concluded.standing))
}

fn view(ready: &Ready, does: Option<&str>) -> serde_json::Value {
    json!({
        "does": does, "request": ready.request, "digest": ready.digest, "effect": ready.judged.effect,
        "verdict": ready.judged.verdict, "tainted": ready.judged.tainted, "notes": ready.judged.notes,
        "word": ready.word, "blocked": ready.blocked, "undo": ready.undo, "verification": ready.verification,
    })
}

fn text(ready: &Ready, does: Option<&str>) -> String {
    let request = &ready.request;
    let verdict = &ready.judged.verdict;
    let mut text = format!("run in {}\n  {}\n", request.profile, ready.judged.input.one_line());
    text += &format!("  {} · in {} · on {} · as {}\n", request.program, request.cwd, request.host, request.actor);
    if let Some(does) = does {
        text += &format!("does    {does}\n");
    }
    text += &format!("effect  {}\n", ready.judged.effect.word());
    text += &format!("policy  {} by rule {}: {}\n", verdict.decision.word(), verdict.rule, verdict.why);
    for note in ready.judged.notes.iter().chain(&verdict.need) {
        text += &format!("note    {note}\n");
    }
    if !ready.judged.tainted.is_empty() {
        text += &format!(
            "TAINTED {} (read in telemetry, not in the inventory)\n",
            neutralise(&ready.judged.tainted.join(", "))
        );
    }
    if let Some(undo) = &ready.undo {
        text += &format!("undo    {}\n", undo.join(" "));
    }
    if let Some(verification) = &ready.verification {
        text += &format!("proves  {}   now {}\n", verification.check.query, verification.before);
    }
    if let Some(blocked) = &ready.blocked {
        text += &format!("BLOCKED {blocked}\n");
    }
    if let Some(preview) = preview::preview(&request.argv) {
        let command = lexer::join(&preview.argv);
        text += &format!(
            "preview {command}   ({}; `stanch actions preview {}`)\n",
            preview.exactness.word(),
            request.action
        );
    }
    text + &format!("digest  {}\n", ready.digest)
}

/// Runs the preview that the tool of `of` has: a command of its own, judged, confirmed and recorded like any other.
pub(super) async fn run_preview(
    engine: &Engine,
    standing: &Standing,
    of: &Action,
    digest: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let action = preview_of(of)
        .ok_or_else(|| Failure::usage(format!("the tool has no preview of {}: {}", of.id, lexer::join(&of.argv))))?;
    let ready = execution::prepare(engine, standing, &action).await?;
    run(engine, &action, &ready, Given { digest, ..Given::default() }, output).await
}

/// What the command line gave with a run.
#[derive(Clone, Copy, Default)]
pub(super) struct Given<'a> {
    pub(super) digest: Option<&'a str>,
    pub(super) confirm: Option<&'a str>,
    pub(super) break_glass: Option<&'a str>,
}

pub(super) async fn run(
    engine: &Engine,
    action: &Action,
    ready: &Ready,
    given: Given<'_>,
    output: Output,
) -> Result<(), Failure> {
    let Given { digest, confirm, break_glass } = given;
    if let Some(reason) = break_glass {
        if !ready.can_break() {
            let rule = &ready.judged.verdict.rule;
            let why = format!("rule {rule} does not let anybody go past it in an emergency");
            execution::refuse(engine, ready, &why).await;
            return Err(Failure::refused(why));
        }
        if reason.trim().chars().count() < REASON_MIN {
            return Err(Failure::usage("say why with --break-glass, in a few words: somebody will review it"));
        }
    } else if let Some(blocked) = &ready.blocked {
        execution::refuse(engine, ready, blocked).await;
        return Err(Failure::refused(blocked.to_string()));
    }
    let typed = match digest {
        Some(digest) if digest == ready.digest.0 => confirm.map(str::to_owned),
        Some(_) => {
            return Err(Failure::refused(format!(
                "this is not what was shown: the digest is now {}; look at it again with `stanch actions show {}`",
                ready.digest, action.id
            )));
        }
        None => ask(ready, super::views::does(action).as_deref())?,
    };
    let order =
        Execution { digest: Digest(ready.digest.0.clone()), typed, break_glass: break_glass.map(str::to_owned) };
    follow(engine, action, ready, order, output).await
}

/// Runs it, prints its output as it comes, and its record at the end.
pub(super) async fn follow(
    engine: &Engine,
    action: &Action,
    ready: &Ready,
    order: Execution,
    output: Output,
) -> Result<(), Failure> {
    let cancel = CancellationToken::new();
    let watch = cancel.clone();
    let interrupt = tokio::spawn(async move {
        interrupted().await;
        watch.cancel();
    });
    let (news, mut incoming) = tokio::sync::mpsc::channel(256);
    let work = execution::run(engine, ready, action, order, news, cancel);
    let show = async {
        while let Some(news) = incoming.recv().await {
            if let (News::Line(line), false) = (&news, output.json) {
                let text = format!("{}\n", line.text);
                let written = if line.stderr {
                    std::io::stderr().write_all(text.as_bytes())
                } else {
                    std::io::stdout().write_all(text.as_bytes())
                };
                // A reader that went away does not end the run: it is in the ledger, and goes on.
                let _ = written;
            }
        }
    };
    let (record, ()) = tokio::join!(work, show);
    interrupt.abort();
    let record = record?;
    output.answer(&record, || {
        let mut text = format!("-- {}\n", record.state.words());
        if let Some(verification) = &record.verification {
            let after = verification.after.as_ref().map_or("not asked", |text| text.as_str());
            text += &format!("{}\n   before {}\n   after  {after}\n", verification.check.query, verification.before);
        }
        text
    })?;
    match record.state {
        RunState::Exited { code: 0 } => Ok(()),
        state => Err(Failure::failed(state.words())),
    }
}

/// Shows everything and waits for the explicit yes of a person at a terminal.
fn ask(ready: &Ready, does: Option<&str>) -> Result<Option<String>, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(format!(
            "nothing was run: confirm on a terminal, or give --digest {}{} after reading `stanch actions show`",
            ready.digest,
            ready.word.as_ref().map_or_else(String::new, |word| format!(" --confirm {word}")),
        )));
    }
    let wanted = match (&ready.word, ready.judged.verdict.decision) {
        (Some(word), _) => word.clone(),
        (None, Decision::Allow) => "yes".to_owned(),
        (None, _) => "run".to_owned(),
    };
    let prompt = format!("{}Type {wanted} to run: ", neutralise(&text(ready, does)));
    let mut err = std::io::stderr();
    let _ = err.write_all(prompt.as_bytes()).and_then(|()| err.flush());
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    if line.trim() != wanted {
        return Err(Failure::refused("nothing was run"));
    }
    Ok(ready.word.as_ref().map(|_| wanted))
}
