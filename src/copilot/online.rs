//! The analyst that is a language model: one packed call, streamed, validated, asked again once, verified.
//!
//! Nothing leaves before the [`Witness`] has written it down, byte for byte. A stream that breaks off keeps its text,
//! marked as not complete, and then no action can be selected.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer};
use super::call::{CallError, CallOutcome, Content, Heard, Witness, call, millis, rate};
use super::partial::{self, Partial};
use super::{Playbooks, schema};
use crate::context::{Redactor, redactor_for};
use crate::domain::analysis::Analysis;
use crate::domain::diagnosis::{Analyst, Diagnosed, Timing};
use crate::domain::pack::Pack;
use crate::llm::{ChatRequest, LlmClient, LlmError, LlmErrorKind, Message, Prepared, Role};
use crate::prompts::{Filling, Library, PromptError};

/// The prompt that is used.
pub const PROMPT: &str = "diagnose";

/// Share of the budget that is tried next when the pack does not fit into the model's context.
const REPACK: f64 = 0.7;
/// Share of the context that a request may fill by our estimate.
const FILL: f64 = 0.95;
/// How often a smaller pack is tried.
const REPACKS: usize = 3;
/// The smallest pack that says anything.
const SMALLEST_PACK: usize = 300;

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
    /// The model thinks, and says nothing yet.
    Thinking,
    /// More of the answer came.
    Writing {
        /// As far as it was received.
        partial: Box<Partial>,
        /// Tokens received, by our own count.
        received_tokens: usize,
        /// Milliseconds from the request to the first content.
        first_token_ms: u64,
        /// Tokens a second, once there is enough to tell.
        rate: Option<f64>,
    },
    /// A request is over.
    Ended {
        /// How it went.
        outcome: Box<CallOutcome>,
        /// What was wrong with the answer, nothing when it is valid; `None` when it broke off and was not judged.
        problems: Option<Vec<String>>,
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

/// What one end point made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The diagnosis; not complete when the answer broke off or was not valid.
    pub diagnosed: Diagnosed,
    /// Why the stream broke off, when it did: another end point may do better.
    pub broke: Option<LlmError>,
    /// The first answer as it came.
    pub text: String,
    /// The pack that was sent last: another one than the case's when that did not fit.
    pub pack: Pack,
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
    /// Nothing was sent, or the operator cancelled.
    #[error(transparent)]
    Call(#[from] CallError),
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
#[derive(Clone, Copy)]
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
    /// The request with that evidence, where it was made already to be counted: masking takes time.
    pub request: Option<&'a ChatRequest>,
    /// Packs again for another budget.
    pub repack: &'a (dyn Fn(usize) -> Pack + Sync),
    /// Randomness.
    pub sampling: Sampling,
}

impl Case<'_> {
    /// The exact request that would be sent first, for whoever wants to see it before.
    pub fn prepare(&self) -> Result<Prepared, PromptError> {
        Ok(self.client.prepare(&self.request(self.pack)?))
    }

    fn request(&self, pack: &Pack) -> Result<ChatRequest, PromptError> {
        let settings = self.client.settings();
        let sees = self.client.sees();
        let redactor = redactor_for(self.analysis, sees);
        let request = request(self.library, self.playbooks, pack, redactor, settings.answer_tokens)?;
        Ok(self.sampled(request))
    }

    fn sampled(&self, request: ChatRequest) -> ChatRequest {
        ChatRequest { temperature: self.sampling.temperature, seed: self.sampling.seed, ..request }
    }
}

/// The request for a diagnosis. System prompt, evidence, question: what changes from incident to incident comes after
/// what does not, and the evidence is a part of its own. `pack` is one for the receiver of `redactor`.
pub fn request(
    library: &Library,
    playbooks: &Playbooks,
    pack: &Pack,
    mut redactor: Redactor,
    answer_tokens: u32,
) -> Result<ChatRequest, PromptError> {
    let prompt = library.get(PROMPT)?;
    let titles: Vec<&str> = playbooks.titles().map(|(_, title)| title).collect();
    let question = prompt.render("user", &[("playbooks", Filling::Text(titles.join(", ")))])?;
    let mut masked = |text: &str| redactor.outgoing(text);
    Ok(ChatRequest {
        system: masked(&prompt.render("system", &[])?),
        messages: vec![Message { role: Role::User, parts: vec![masked(&pack.text), masked(&question)] }],
        schema: Some((schema::NAME.to_owned(), schema::diagnosis())),
        max_tokens: answer_tokens,
        temperature: None,
        seed: None,
    })
}

/// Diagnoses with a language model.
///
/// `Ok` also holds answers that are not usable as a whole (`complete` is false, the text is kept); `Err` means that
/// there is nothing to show. Dropping the future or cancelling the token aborts the request.
pub async fn diagnose(
    case: &Case<'_>,
    witness: &mut dyn Witness,
    mut on_progress: impl FnMut(Progress) + Send,
    cancel: &CancellationToken,
) -> Result<Attempt, OnlineError> {
    let began = Instant::now();
    let mut pack = case.pack.clone();
    let mut remarks = Vec::new();
    let mut tries = 0;
    let (mut request, first) = loop {
        let request = match case.request {
            Some(made) if tries == 0 => case.sampled(made.clone()),
            _ => case.request(&pack)?,
        };
        let outcome = ask(case, &request, &pack, witness, &mut on_progress, cancel).await?;
        let Some(budget) = smaller(&outcome, &pack, case.client.settings().answer_tokens).filter(|_| tries < REPACKS)
        else {
            break (request, outcome);
        };
        tries += 1;
        on_progress(Progress::Ended { outcome: Box::new(outcome), problems: None });
        on_progress(Progress::Repacked { budget });
        remarks.push(format!(
            "the evidence did not fit into the model's context and was packed again for {budget} tokens"
        ));
        pack = (case.repack)(budget);
    };
    if let (Some(error), true) = (&first.error, first.text.trim().is_empty()) {
        on_progress(Progress::Ended { outcome: Box::new(first.clone()), problems: None });
        return Err(error.clone().into());
    }
    let mut usage = first.usage.clone();
    let first_token_ms = first.timing.first_token_ms;
    let mut speed = first.rate();
    let mut judged = answer::judge(&first);
    let mut broke = first.error.clone();
    on_progress(Progress::Ended { problems: judged.problems(), outcome: Box::new(first.clone()) });
    if let Answer::Invalid { problems } = &judged {
        on_progress(Progress::AskingAgain { problems: problems.clone() });
        let values = [("problems", Filling::List(problems.clone()))];
        let repair = case.library.get(PROMPT)?.render("repair", &values)?;
        // What came from the model goes back to it masked as well: it may hold what nobody knew to hide before.
        let mut redactor = redactor_for(case.analysis, case.client.sees());
        request.messages.push(Message { role: Role::Assistant, parts: vec![redactor.outgoing(&first.text)] });
        request.messages.push(Message { role: Role::User, parts: vec![redactor.outgoing(&repair)] });
        let second = ask(case, &request, &pack, witness, &mut on_progress, cancel).await?;
        usage = usage.plus(&second.usage);
        speed = second.rate().or(speed);
        remarks.push(format!("the first answer was not valid ({}) and was asked for again", problems.join("; ")));
        let again = answer::judge(&second);
        on_progress(Progress::Ended { problems: again.problems(), outcome: Box::new(second.clone()) });
        match again {
            Answer::Valid(diagnosis) => judged = Answer::Valid(diagnosis),
            // What broke off at the second attempt is no better than the first: that one is kept.
            Answer::Broken { why } => {
                broke = second.error;
                remarks.push(why);
            }
            Answer::Invalid { problems } => remarks.push(format!("nor was the second: {}", problems.join("; "))),
        }
    }
    let settings = case.client.settings();
    let analyst = Analyst { name: settings.model.clone(), endpoint: Some(settings.name.clone()) };
    let prompt = case.library.get(PROMPT)?.reference().clone();
    let mut diagnosed = answer::conclude(case.analysis, &pack, judged, &first.text, analyst, prompt);
    diagnosed.remarks.splice(0..0, remarks.iter().map(|remark| answer::harmless(remark)));
    diagnosed.usage = usage;
    diagnosed.rate = speed;
    diagnosed.sees = Some(case.client.sees());
    diagnosed.timing = Timing { first_token_ms, total_ms: millis(began.elapsed()) };
    Ok(Attempt { diagnosed, broke, text: first.text, pack })
}

/// One request of a diagnosis.
async fn ask(
    case: &Case<'_>,
    request: &ChatRequest,
    pack: &Pack,
    witness: &mut dyn Witness,
    on_progress: &mut (impl FnMut(Progress) + Send),
    cancel: &CancellationToken,
) -> Result<CallOutcome, OnlineError> {
    let prompt = case.library.get(PROMPT)?.reference();
    let content = Content::of_pack(prompt, pack);
    let mut shown = 0;
    let mut heard = |heard: Heard<'_>| match heard {
        Heard::Sending { tokens, hidden } => on_progress(Progress::Sending { tokens, hidden }),
        Heard::Accepted => on_progress(Progress::Accepted),
        Heard::Thinking => on_progress(Progress::Thinking),
        Heard::Text { all, tokens, first_token_ms, elapsed_ms } => {
            // Parsing again for every token would be quadratic in a long answer.
            if all.len() - shown > all.len() / 64 {
                shown = all.len();
                if let Some(mut partial) = partial::read(all) {
                    schema::bound(&mut partial.diagnosis);
                    on_progress(Progress::Writing {
                        partial: Box::new(partial),
                        received_tokens: tokens,
                        first_token_ms,
                        rate: rate(tokens, elapsed_ms.saturating_sub(first_token_ms)),
                    });
                }
            }
        }
    };
    Ok(call(case.client, request, &content, witness, &mut heard, cancel).await?)
}

/// The budget of the next pack when this one did not fit; `None` when it did, or when no smaller one would say
/// anything. A server that tells its limit is believed.
fn smaller(outcome: &CallOutcome, pack: &Pack, answer_tokens: u32) -> Option<usize> {
    let error = outcome.error.as_ref().filter(|_| outcome.text.is_empty())?;
    let LlmErrorKind::ContextOverflow { tokens, limit, .. } = &error.kind else { return None };
    let less = pack.budget as f64 * REPACK;
    let told = match (tokens, limit) {
        (Some(tokens), Some(limit)) if *tokens > 0 => {
            let room = limit.saturating_sub(u64::from(answer_tokens)).max(limit / 2) as f64 * FILL;
            let fixed = outcome.sent_tokens.saturating_sub(pack.tokens);
            room * outcome.sent_tokens as f64 / *tokens as f64 - fixed as f64
        }
        _ => less,
    };
    let budget = less.min(told) as usize;
    (budget >= SMALLEST_PACK).then_some(budget)
}

#[cfg(test)]
#[path = "online_tests.rs"]
mod tests;
