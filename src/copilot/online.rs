//! The analyst that is a language model: one packed call, streamed, validated, asked again once, verified.
//!
//! Nothing leaves before the [`Witness`] has written it down, byte for byte. A stream that breaks off keeps its text,
//! marked as not complete, and then no action can be selected.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::verify::{self, Proof};
use super::{Playbooks, partial, schema};
use crate::context::{self, Redactor, count_tokens};
use crate::domain::Text;
use crate::domain::analysis::Analysis;
use crate::domain::diagnosis::{Analyst, Diagnosed, Diagnosis, PromptRef, Timing, TypedChange, Usage};
use crate::domain::pack::Pack;
use crate::domain::text::neutralise;
use crate::llm::{ChatRequest, FinishReason, LlmClient, LlmError, LlmErrorKind, Message, Prepared, Role, StreamEvent};
use crate::prompts::{Filling, Library, PromptError};

/// The prompt that is used.
pub const PROMPT: &str = "diagnose";

/// Share of the budget that is tried next when the pack does not fit into the model's context.
const REPACK: f64 = 0.7;
/// How often a smaller pack is tried.
const REPACKS: usize = 2;
/// Text of an answer that was not understood, kept as a remark, in characters.
const KEPT: usize = 4_000;

/// Writes down what leaves and what comes back. Implemented over the ledger by `app`.
pub trait Witness: Send {
    /// Called before a request leaves. When it fails, the request does not leave.
    fn before_send<'a>(&'a mut self, leaving: &'a Leaving<'a>) -> BoxFuture<'a, Result<(), String>>;
    /// Called when a request is over, however it went.
    fn after<'a>(&'a mut self, outcome: &'a CallOutcome) -> BoxFuture<'a, Result<(), String>>;
}

/// A request that is about to leave, and what it was made from.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// Where it goes, byte for byte.
    pub call: &'a Prepared,
    /// The prompt.
    pub prompt: &'a PromptRef,
    /// The evidence in it.
    pub pack: &'a Pack,
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct CallOutcome {
    /// Everything that was received, exactly.
    pub text: String,
    /// Why the answer ended; `None` when it broke off.
    pub finish: Option<FinishReason>,
    /// How it failed, if it did.
    pub error: Option<LlmError>,
    /// Whether the operator cancelled it.
    pub cancelled: bool,
    /// What it cost.
    pub usage: Usage,
    /// How long it took.
    pub timing: Timing,
}

/// How far a diagnosis is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// A request is about to leave.
    Sending {
        /// Its tokens, by our own count.
        tokens: usize,
        /// Values hidden from the model.
        hidden: usize,
    },
    /// The server accepted it.
    Accepted,
    /// More of the answer came.
    Writing {
        /// As far as it was received.
        partial: Box<Diagnosis>,
        /// Tokens received, by our own count.
        received_tokens: usize,
        /// Milliseconds from the request to the first content.
        first_token_ms: u64,
    },
    /// The answer was not valid; it is asked for again.
    AskingAgain {
        /// What was wrong.
        problems: Vec<String>,
    },
    /// The pack did not fit; a smaller one is tried.
    Repacked {
        /// The new budget in o200k tokens.
        budget: usize,
    },
}

/// Why there is no diagnosis at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OnlineError {
    /// The end point failed before any content came.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The prompt cannot be used.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The ledger could not be written, so nothing was sent.
    #[error("nothing was sent, because the ledger cannot be written: {0}")]
    NotWitnessed(String),
    /// The operator cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Randomness of the answers. The default asks for as little as the server knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Temperature; the server's own when `None`.
    pub temperature: Option<f64>,
    /// Seed.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: Some(0.0), seed: Some(1) }
    }
}

/// Everything a diagnosis is made from.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The end point.
    pub client: &'a LlmClient,
    /// The prompts.
    pub library: &'a Library,
    /// The known patterns, whose titles the model is told.
    pub playbooks: &'a Playbooks,
    /// The analysis, for verification.
    pub analysis: &'a Analysis,
    /// The evidence that is sent.
    pub pack: &'a Pack,
    /// Randomness.
    pub sampling: Sampling,
}

impl Case<'_> {
    /// The exact request that would be sent first, for whoever wants to see it before.
    pub fn prepare(&self) -> Result<Prepared, PromptError> {
        Ok(self.client.prepare(&self.request(self.pack)?))
    }

    /// System prompt, evidence, question: what changes from incident to incident comes after what does not, and the
    /// evidence is a part of its own.
    fn request(&self, pack: &Pack) -> Result<ChatRequest, PromptError> {
        let prompt = self.library.get(PROMPT)?;
        let titles: Vec<&str> = self.playbooks.titles().map(|(_, title)| title).collect();
        let question = prompt.render("user", &[("playbooks", Filling::Text(titles.join(", ")))])?;
        let mut redactor = Redactor::for_receiver(self.client.sees());
        let mut masked = |text: &str| redactor.outgoing(text);
        Ok(ChatRequest {
            system: masked(&prompt.render("system", &[])?),
            messages: vec![Message { role: Role::User, parts: vec![masked(&pack.text), masked(&question)] }],
            schema: Some((schema::NAME.to_owned(), schema::diagnosis())),
            max_tokens: self.client.settings().answer_tokens,
            temperature: self.sampling.temperature,
            seed: self.sampling.seed,
        })
    }
}

/// Diagnoses with a language model.
///
/// `Ok` also holds answers that are not usable as a whole (`complete` is false, the text is kept in the remarks); `Err`
/// means that there is nothing to show. Dropping the future or cancelling the token aborts the request.
pub async fn diagnose(
    case: &Case<'_>,
    witness: &mut dyn Witness,
    mut on_progress: impl FnMut(Progress) + Send,
    cancel: &CancellationToken,
) -> Result<Diagnosed, OnlineError> {
    let began = Instant::now();
    let mut repacked: Option<Pack> = None;
    let mut remarks = Vec::new();
    let mut tries = 0;
    let (mut request, first) = loop {
        let pack = repacked.as_ref().unwrap_or(case.pack);
        let request = case.request(pack)?;
        let outcome = call(case, &request, pack, witness, &mut on_progress, cancel).await?;
        let overflow =
            matches!(&outcome.error, Some(error) if matches!(error.kind, LlmErrorKind::ContextOverflow { .. }));
        if overflow && outcome.text.is_empty() && tries < REPACKS {
            tries += 1;
            let budget = (pack.budget as f64 * REPACK) as usize;
            on_progress(Progress::Repacked { budget });
            remarks.push(format!(
                "the evidence did not fit into the model's context and was packed again for {budget} tokens"
            ));
            repacked = Some(context::pack_for(case.analysis, budget, case.client.sees()));
            continue;
        }
        break (request, outcome);
    };
    let pack = repacked.as_ref().unwrap_or(case.pack);
    if let (Some(error), true) = (&first.error, first.text.trim().is_empty()) {
        return Err(error.clone().into());
    }
    let mut usage = first.usage.clone();
    let first_token_ms = first.timing.first_token_ms;
    let mut answer = judge(&first);
    if let Answer::Invalid { problems } = &answer {
        on_progress(Progress::AskingAgain { problems: problems.clone() });
        let values = [("problems", Filling::List(problems.clone()))];
        let repair = case.library.get(PROMPT)?.render("repair", &values)?;
        // What came from the model goes back to it masked as well: it may hold what nobody knew to hide before.
        let mut redactor = Redactor::for_receiver(case.client.sees());
        request.messages.push(Message { role: Role::Assistant, parts: vec![redactor.outgoing(&first.text)] });
        request.messages.push(Message { role: Role::User, parts: vec![redactor.outgoing(&repair)] });
        let second = call(case, &request, pack, witness, &mut on_progress, cancel).await?;
        usage = sum(&usage, &second.usage);
        remarks.push(format!("the first answer was not valid ({}) and was asked for again", problems.join("; ")));
        match judge(&second) {
            Answer::Valid(diagnosis) => answer = Answer::Valid(diagnosis),
            // What broke off at the second attempt is no better than the first: that one is kept.
            Answer::Broken { why } => remarks.push(why),
            Answer::Invalid { problems } => remarks.push(format!("nor was the second: {}", problems.join("; "))),
        }
    }
    let (mut diagnosis, complete) = match answer {
        Answer::Valid(diagnosis) => (*diagnosis, true),
        Answer::Invalid { .. } | Answer::Broken { .. } => {
            if let Answer::Broken { why } = &answer {
                remarks.push(why.clone());
            }
            let partial = partial::read(&first.text);
            if partial.is_none() {
                remarks.push(format!("the answer as it came: {}", Text::new(&first.text).truncated(KEPT)));
            }
            (partial.unwrap_or_default(), false)
        }
    };
    settle(&mut diagnosis);
    let report = verify::verify(&mut diagnosis, &Proof::new(case.analysis, Some(pack)));
    remarks.extend(disagreement(case.analysis, &diagnosis));
    Ok(Diagnosed {
        analyst: Analyst {
            name: case.client.settings().model.clone(),
            endpoint: Some(case.client.settings().name.clone()),
        },
        prompt: case.library.get(PROMPT)?.reference().clone(),
        diagnosis,
        unsupported: report.unsupported,
        unknown_ids: report.unknown_ids,
        complete,
        remarks: remarks.iter().map(|remark| neutralise(remark).into_owned()).collect(),
        usage,
        timing: Timing { first_token_ms, total_ms: millis(began.elapsed()) },
    })
}

/// What an answer is worth.
enum Answer {
    Valid(Box<Diagnosis>),
    /// It ended, but is not what was asked for.
    Invalid {
        problems: Vec<String>,
    },
    /// It did not end by itself: asking again would end the same way.
    Broken {
        why: String,
    },
}

fn judge(outcome: &CallOutcome) -> Answer {
    match (&outcome.error, &outcome.finish) {
        (Some(error), _) => Answer::Broken { why: error.to_string() },
        (None, Some(FinishReason::Refused)) => Answer::Broken { why: "the model refuses to answer".into() },
        (None, finish) => match schema::read(&outcome.text) {
            Ok(diagnosis) => Answer::Valid(Box::new(diagnosis)),
            Err(_) if *finish == Some(FinishReason::Length) => Answer::Broken {
                why: "the answer was cut at its limit of tokens (raise answer_tokens of the end point)".into(),
            },
            Err(problems) => Answer::Invalid { problems },
        },
    }
}

/// One request from intent to outcome.
async fn call(
    case: &Case<'_>,
    request: &ChatRequest,
    pack: &Pack,
    witness: &mut dyn Witness,
    on_progress: &mut (impl FnMut(Progress) + Send),
    cancel: &CancellationToken,
) -> Result<CallOutcome, OnlineError> {
    let prepared = case.client.prepare(request);
    let tokens = count_tokens(&request.system)
        + request.messages.iter().flat_map(|message| &message.parts).map(|part| count_tokens(part)).sum::<usize>();
    on_progress(Progress::Sending { tokens, hidden: pack.redactions.values().sum() });
    if cancel.is_cancelled() {
        return Err(OnlineError::Cancelled);
    }
    let leaving = Leaving { call: &prepared, prompt: case.library.get(PROMPT)?.reference(), pack };
    witness.before_send(&leaving).await.map_err(OnlineError::NotWitnessed)?;
    let began = Instant::now();
    let mut stream = case.client.send(prepared);
    let mut outcome = CallOutcome {
        text: String::new(),
        finish: None,
        error: None,
        cancelled: false,
        usage: Usage::default(),
        timing: Timing::default(),
    };
    let mut received = 0;
    let mut shown = 0;
    loop {
        let event = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                outcome.cancelled = true;
                break;
            }
            event = stream.next() => event,
        };
        match event {
            None => break,
            Some(Err(error)) => {
                outcome.error = Some(error);
                break;
            }
            Some(Ok(StreamEvent::Started)) => on_progress(Progress::Accepted),
            Some(Ok(StreamEvent::Usage(usage))) => outcome.usage = usage,
            Some(Ok(StreamEvent::Finished(reason))) => outcome.finish = Some(reason),
            Some(Ok(StreamEvent::Text(text))) => {
                let first = *outcome.timing.first_token_ms.get_or_insert_with(|| millis(began.elapsed()));
                received += count_tokens(&text);
                outcome.text.push_str(&text);
                // Parsing again for every token would be quadratic in a long answer.
                if outcome.text.len() - shown > outcome.text.len() / 64 {
                    shown = outcome.text.len();
                    if let Some(partial) = partial::read(&outcome.text) {
                        let partial = Box::new(partial);
                        on_progress(Progress::Writing { partial, received_tokens: received, first_token_ms: first });
                    }
                }
            }
        }
    }
    // The connection closes before anything else happens.
    drop(stream);
    outcome.timing.total_ms = millis(began.elapsed());
    if !outcome.usage.reported {
        outcome.usage =
            Usage { input_tokens: tokens as u64, output_tokens: received as u64, cached_tokens: 0, reported: false };
    }
    witness.after(&outcome).await.map_err(OnlineError::NotWitnessed)?;
    if outcome.cancelled { Err(OnlineError::Cancelled) } else { Ok(outcome) }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn sum(a: &Usage, b: &Usage) -> Usage {
    Usage {
        input_tokens: a.input_tokens + b.input_tokens,
        output_tokens: a.output_tokens + b.output_tokens,
        cached_tokens: a.cached_tokens + b.cached_tokens,
        reported: a.reported && b.reported,
    }
}

/// Makes plain strings harmless and gives hypotheses and actions ids of our own, so that none appears twice.
fn settle(diagnosis: &mut Diagnosis) {
    let clean = |text: &mut String| {
        if let std::borrow::Cow::Owned(safe) = neutralise(text) {
            *text = safe;
        }
    };
    let renamed: Vec<(String, String)> = diagnosis
        .hypotheses
        .iter_mut()
        .enumerate()
        .map(|(i, hypothesis)| {
            let ours = format!("H{}", i + 1);
            (std::mem::replace(&mut hypothesis.id, ours.clone()), ours)
        })
        .collect();
    for (i, action) in diagnosis.actions.iter_mut().enumerate() {
        action.id = format!("P{}", i + 1);
        if let Some((_, ours)) = renamed.iter().find(|(theirs, _)| *theirs == *action.hypothesis) {
            action.hypothesis = Text::new(ours);
        }
        for argv in [&mut action.argv, &mut action.rollback].into_iter().flatten() {
            argv.iter_mut().for_each(clean);
        }
        match &mut action.change {
            Some(
                TypedChange::Scale { namespace, workload, .. }
                | TypedChange::Restart { namespace, workload }
                | TypedChange::RollBack { namespace, workload },
            ) => {
                clean(namespace);
                clean(workload);
            }
            Some(TypedChange::Cordon { node } | TypedChange::Drain { node }) => clean(node),
            Some(TypedChange::Silence { matchers, comment, .. }) => {
                matchers.iter_mut().for_each(clean);
                clean(comment);
            }
            None => {}
        }
    }
}

/// The ranking stands beside the model's opinion, never below it.
fn disagreement(analysis: &Analysis, diagnosis: &Diagnosis) -> Option<String> {
    let ours = &analysis.suspects.first()?.service;
    let theirs = &diagnosis.hypotheses.first()?.service;
    (**theirs != **ours).then(|| format!("the offline ranking puts {ours} first, the model {theirs}"))
}

#[cfg(test)]
#[path = "online_tests.rs"]
mod tests;
