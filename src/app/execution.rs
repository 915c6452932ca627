//! Running one action: intent into the ledger, then the run, then its outcome, then the verification.
//!
//! If the intent cannot be written nothing runs. If the outcome cannot be written that is said, and the intent
//! without outcome stands in the ledger for everybody to see.

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::Text;
use crate::domain::action::{
    Action, Decision, Digest, Effect, Judged, OutputLine, RunRecord, RunRequest, RunState, Verification,
};
use crate::domain::diagnosis::Check;
use crate::domain::ledger::{Draft, EntryKind};
use crate::domain::query::{Answer, Data, Planned, Purpose, Query};
use crate::gate::{Confirmation, confirm_word, digest};
use crate::runner::{RunContext, RunEvent, Runner};

use super::approvals::{self, Case};
use super::engine::Engine;
use super::failure::Failure;
use super::open_run::{Closed, OpenRun};
use super::standing::Standing;

/// Everything that must be seen before a run.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Exactly what will run and where.
    pub request: RunRequest,
    /// Names exactly this request.
    pub digest: Digest,
    /// What the gate understood, and its verdict.
    pub judged: Judged,
    /// The word to be typed; `None` when one key is enough.
    pub word: Option<String>,
    /// What stands in the way, if anything.
    pub blocked: Option<Text>,
    /// The command that would undo it.
    pub undo: Option<Vec<String>>,
    /// The query that will show whether it helped, with its answer now.
    pub verification: Option<Verification>,
    /// Whether it would change something from within a recording.
    pub recorded: bool,
    /// The request that others have signed for, where it runs by their leave.
    pub approval: Option<Case>,
    standing: Standing,
}

impl Ready {
    /// Whether it can run without the approval that it needs, with a reason and a review later.
    pub fn can_break(&self) -> bool {
        let verdict = &self.judged.verdict;
        verdict.decision == Decision::Approve && verdict.break_glass && !self.recorded
    }

    /// From where it was judged.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }
}

/// The operator's word: exactly this, and what was typed.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The digest that was shown.
    pub digest: Digest,
    /// What was typed, where a word is asked for.
    pub typed: Option<String>,
    /// Why it cannot wait for the approval that it needs.
    pub break_glass: Option<String>,
}

/// News of a run.
#[derive(Debug, Clone)]
pub enum News {
    /// Output.
    Line(OutputLine),
    /// So many lines were dropped so far.
    Dropped(u64),
    /// It ended.
    Ended(RunState),
    /// The verify query was asked again.
    Verified(Verification),
}

/// Prepares what a request for approval speaks of, as it would run now. Words that were tainted then still are.
pub async fn prepare_approved(engine: &Engine, case: Case) -> Result<Ready, Failure> {
    let standing = engine.standing.remembering(&case.request.tainted);
    let mut ready = prepare(engine, &standing, &case.action).await?;
    if ready.judged.verdict.decision == Decision::Approve && !ready.recorded {
        ready.blocked = None;
    }
    ready.word = None;
    ready.approval = Some(case);
    Ok(ready)
}

/// Resolves, judges and digests an action, and asks its verify query. Changes nothing.
pub async fn prepare(engine: &Engine, standing: &Standing, action: &Action) -> Result<Ready, Failure> {
    engine.refresh_policy().await;
    let standing = &standing.believing_now(&engine.config)?;
    let judged = standing.judge(&action.argv);
    let context = RunContext {
        incident: action.incident.clone(),
        action: action.id.clone(),
        profile: standing.environment.clone(),
        actor: standing.actor.clone(),
        policy: standing.rules.now().gate.policy().hash().to_owned(),
        manifests: (judged.effect != Effect::Read).then(|| judged.facts.manifests.clone()),
        timeout: engine.config.run.timeout,
    };
    let request = runner(engine)
        .prepare(&action.argv, context)
        .await
        .map_err(|error| Failure::failed(format!("{} cannot run here: {error}", action.id)))?;
    let verdict = &judged.verdict;
    let recorded = engine.bundle().is_some() && judged.effect != Effect::Read;
    let blocked = match verdict.decision {
        // What was true in a recording may not be true now, and the demo's shop may have a namesake that is real.
        _ if recorded => Some("this is a recording: nothing can be changed from it, only looked at".to_owned()),
        Decision::Allow | Decision::Confirm => None,
        Decision::Approve => Some(format!(
            "rule {} wants an approval first ({}): ask for it with `stanch actions request {}`",
            verdict.rule,
            verdict.need.join(", "),
            action.id
        )),
        Decision::Deny => Some(format!("denied by rule {}: {}", verdict.rule, verdict.why)),
    };
    let verification = match &action.verify {
        Some(check) => Some(Verification { check: check.clone(), before: ask(engine, check).await, after: None }),
        None => None,
    };
    Ok(Ready {
        digest: digest(&request),
        word: (verdict.decision == Decision::Confirm).then(|| confirm_word(&request)),
        blocked: blocked.map(Text::from),
        undo: action.rollback.clone(),
        verification,
        judged,
        request,
        recorded,
        approval: None,
        standing: standing.clone(),
    })
}

/// Writes into the ledger that something was refused; best effort, because nothing happened.
pub async fn refuse(engine: &Engine, ready: &Ready, why: &str) {
    let payload = json!({"request": ready.request, "digest": ready.digest, "judged": ready.judged, "why": why});
    if let Ok(ledger) = engine.ledger().await
        && let Err(error) = ledger.append(draft(engine, ready, EntryKind::Refusal, payload)).await
    {
        tracing::warn!(%error, "a refusal could not be written");
    }
}

/// Runs exactly what `order` names. Returns when the run, its outcome and its verification are in the ledger.
pub async fn run(
    engine: &Engine,
    ready: &Ready,
    action: &Action,
    order: Execution,
    news: mpsc::Sender<News>,
    cancel: CancellationToken,
) -> Result<RunRecord, Failure> {
    let emergency = order.break_glass.filter(|_| ready.can_break());
    if let Some(blocked) = ready.blocked.as_ref().filter(|_| emergency.is_none()) {
        refuse(engine, ready, blocked).await;
        return Err(Failure::refused(blocked.to_string()));
    }
    let confirmation = Confirmation { digest: order.digest, typed: order.typed };
    let standing = ready.standing.believing_now(&engine.config)?;
    let situation = standing.situation();
    let ledger = engine.ledger().await.map_err(|failure| not_written(&failure))?;
    let approved = match &ready.approval {
        None => None,
        Some(_) if emergency.is_some() => None,
        // Read again: what was said since it was shown counts too.
        Some(case) => {
            let case = approvals::open(&*ledger, &case.digest.0).await?;
            match case.check((&ready.request, &standing.identity), &standing.trusted, (engine.wall_clock)()) {
                Ok(approved) => Some(approved),
                Err(objection) => {
                    refuse(engine, ready, &objection.to_string()).await;
                    return Err(Failure::refused(objection.to_string()));
                }
            }
        }
    };
    // A policy that changed since it was shown has another digest, and the gate refuses.
    engine.refresh_policy().await;
    let rules = ready.standing.rules.now();
    let gate = &rules.gate;
    let authorised = match &approved {
        None if emergency.is_some() => {
            gate.authorise_past_approval(ready.request.clone(), &ready.judged, &situation, &confirmation)
        }
        None => gate.authorise(ready.request.clone(), &ready.judged, &situation, &confirmation),
        Some(approved) => {
            gate.authorise_approved(ready.request.clone(), &ready.judged, &situation, &confirmation, approved)
        }
    };
    let authorised = match authorised {
        Ok(authorised) => authorised,
        Err(refusal) => {
            refuse(engine, ready, &refusal.to_string()).await;
            return Err(Failure::refused(refusal.to_string()));
        }
    };
    // Whoever goes past a request has used it, too.
    let approval = match (&approved, &ready.approval) {
        (Some(approved), _) => json!({
            "digest": approved.request(), "nonce": approved.nonce(), "by": approved.by(),
        }),
        (None, Some(case)) => json!({"digest": case.digest, "nonce": case.request.nonce, "by": []}),
        (None, None) => serde_json::Value::Null,
    };
    let payload = json!({
        "request": ready.request, "digest": ready.digest, "judged": ready.judged, "action": action,
        "typed": confirmation.typed.is_some(), "before": ready.verification.as_ref().map(|known| &known.before),
        "breakGlass": emergency,
        "approval": approval,
    });
    let intent = draft(engine, ready, EntryKind::RunIntent, payload);
    let mut open = OpenRun::intend(&ledger, &engine.wall_clock, &engine.open_runs, intent)
        .await
        .map_err(|why| not_written(&Failure::failed(why)))?;
    let (intent_seq, started_at) =
        open.intent().map_or((0, (engine.wall_clock)()), |intent| (intent.seq, intent.draft.at));

    if let Some(case) = &ready.approval
        && !approvals::first_use(&*ledger, case.seq, &case.request.nonce, intent_seq).await?
    {
        let why = "another run used the approval at the same moment";
        open.fail(why);
        let written = open.close().await;
        written.map_err(|error| Failure::failed(format!("{why}; the outcome could not be written: {error}")))?;
        return Err(Failure::refused(format!("nothing was run: {why}")));
    }

    // What was given up meanwhile need not begin.
    if !cancel.is_cancelled() {
        open.begin(runner(engine).start(authorised, cancel));
    }
    while let Some(event) = open.next().await {
        // A screen that is gone does not end the run; its outcome belongs in the ledger.
        let _ = match event {
            RunEvent::Line(line) => news.send(News::Line(line)).await,
            RunEvent::Dropped(count) => news.send(News::Dropped(count)).await,
            RunEvent::Note(text) => news.send(News::Line(OutputLine { stderr: true, text })).await,
            RunEvent::Ended(_) => Ok(()),
        };
    }
    let state = open.state();
    let closed = open.close().await;
    let _ = news.send(News::Ended(state.clone())).await;
    let Closed { outcome, recording } = closed
        .map_err(|error| Failure::failed(format!("{}; the outcome could not be written: {error}", state.words())))?;
    let (output, dropped_lines) = recording.into_output();

    let mut verification = None;
    if let Some(known) = &ready.verification {
        let actor = &ready.standing.actor;
        let asked = verify(engine, actor, &ready.request.incident, intent_seq, known.clone()).await;
        let _ = news.send(News::Verified(asked.clone())).await;
        verification = Some(asked);
    }
    Ok(RunRecord {
        intent: intent_seq,
        request: ready.request.clone(),
        digest: ready.digest.clone(),
        judged: ready.judged.clone(),
        started_at,
        ended_at: Some(outcome.draft.at),
        state,
        output,
        dropped_lines,
        verification,
    })
}

/// Asks whether the run of `intent` helped, as often as somebody wants to know: what a command does shows in metrics
/// only after they were scraped and evaluated. The answer goes into the ledger.
pub async fn verify(
    engine: &Engine,
    actor: &str,
    incident: &str,
    intent: u64,
    mut verification: Verification,
) -> Verification {
    verification.after = Some(ask(engine, &verification.check).await);
    let draft = Draft {
        at: (engine.wall_clock)(),
        kind: EntryKind::Verification,
        incident: Some(incident.to_owned()).filter(|incident| !incident.is_empty()),
        actor: actor.to_owned(),
        payload: json!({"intent": intent, "verification": verification}),
    };
    let written = match engine.ledger().await {
        Ok(ledger) => ledger.append(draft).await.map(|_| ()).map_err(|error| error.to_string()),
        Err(failure) => Err(failure.to_string()),
    };
    if let Err(error) = written {
        tracing::warn!(%error, "a verification could not be written");
    }
    verification
}

/// Asks a check's query now; the answer in one line, or why there is none.
pub async fn ask(engine: &Engine, check: &Check) -> Text {
    let at = (engine.clock)();
    let planned = Planned {
        query: Query::Instant { lang: check.lang, expr: check.query.to_string(), at },
        purpose: Purpose::Verification,
    };
    let (asked, answer) = engine.sources.ask(&planned).await;
    match (answer, asked.outcome) {
        (Some(answer), _) => summary(&answer),
        (None, Err(why)) => why,
        (None, Ok(_)) => Text::from("no answer"),
    }
}

/// An answer in one line: the values, at most five.
pub fn summary(answer: &Answer) -> Text {
    match &answer.data {
        Data::Series(series) if series.is_empty() => Text::from("no data"),
        Data::Series(series) => {
            let value = |series: &crate::domain::metric::Series| {
                let value = series.samples.last().map_or(f64::NAN, |sample| sample.value);
                if series.labels.is_empty() { format!("{value:.4}") } else { format!("{} {value:.4}", series.labels) }
            };
            let mut text = series.iter().take(5).map(value).collect::<Vec<_>>().join("  ");
            if series.len() > 5 {
                text += &format!("  and {} more", series.len() - 5);
            }
            Text::from(text)
        }
        Data::Scalar(sample) => Text::from(format!("{:.4}", sample.value)),
        Data::Word(word) => word.clone(),
        Data::Logs(entries) => {
            let Some(newest) = entries.iter().max_by(|a, b| a.at.cmp(&b.at).then_with(|| a.line.cmp(&b.line))) else {
                return Text::from("no entries");
            };
            let many = if entries.len() == 1 { "entry" } else { "entries" };
            let least = if answer.is_cut() { "at least " } else { "" };
            let line = Text::from(newest.line.one_line().into_owned()).truncated(LINE);
            Text::from(format!("{least}{} {many}, the newest {}: {line}", entries.len(), newest.at.to_clock()))
        }
        _ => Text::from(format!("{} items", answer.len())),
    }
}

/// Characters of a line in a summary.
const LINE: usize = 160;

fn runner(engine: &Engine) -> Runner {
    Runner::new(engine.runner.clone())
}

fn not_written(failure: &Failure) -> Failure {
    Failure::refused(format!("nothing was run, because it cannot be written down first: {failure}"))
}

fn draft(engine: &Engine, ready: &Ready, kind: EntryKind, payload: serde_json::Value) -> Draft {
    Draft {
        at: (engine.wall_clock)(),
        kind,
        incident: Some(ready.request.incident.clone()).filter(|incident| !incident.is_empty()),
        actor: ready.standing.actor.clone(),
        payload,
    }
}
