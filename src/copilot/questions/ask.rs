//! The loop: a step of the model, a tool, another step, until there is an answer or an end to the patience.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::line::{Line, Seat};
use super::shape::{self, Answer, Next};
use super::thread::{Rendered, Thread};
use super::tools::{Found, carry_out};
use super::{Limits, PROMPT, Toolbox};
use crate::context::Redactor;
use crate::copilot::call::{CallError, CallOutcome, Content, Heard, call, millis, request_tokens};
use crate::copilot::online::Sampling;
use crate::copilot::verify;
use crate::domain::canonical::hex;
use crate::domain::diagnosis::{Analyst, Diagnosed, Diagnosis, Timing, Unsupported, Usage};
use crate::domain::evidence::EvidenceId;
use crate::domain::pack::Pack;
use crate::domain::question::{Asking, Reply, Step, StepOutcome};
use crate::domain::settings::Sees;
use crate::domain::text::neutralise;
use crate::domain::{Text, Timestamp};
use crate::llm::{ChatRequest, FinishReason, LlmErrorKind, Message};
use crate::prompts::{Filling, Library, Prompt, PromptError};

/// How often a request that is too long for the model is shortened.
const SHORTENINGS: usize = 6;
/// Share of the time after which the answer is asked for.
const HURRY: f64 = 0.75;
/// Characters of a text that was no step, kept for reading.
const KEPT: usize = 4_000;
/// Budget of a pack that nobody reads any more, in tokens.
const LEAST: usize = 300;
/// Bytes of the longest question.
const QUESTION: usize = 64 << 10;

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AskError {
    /// No end point said anything.
    #[error("{}", .0.join("; "))]
    Llm(Vec<String>),
    /// The prompt cannot be used.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// Nothing was sent, or the operator cancelled.
    #[error(transparent)]
    Call(#[from] CallError),
    /// There is no question, or no end point to ask.
    #[error("{0}")]
    Nothing(&'static str),
}

/// Who is asked, with what.
#[derive(Clone, Copy)]
pub struct Inquirer<'a> {
    /// The prompts.
    pub library: &'a Library,
    /// The tools.
    pub toolbox: &'a dyn Toolbox,
    /// What the model is told of the sources: which there are, whether it is a recording.
    pub sources: &'a str,
    /// How far it may go.
    pub limits: Limits,
    /// Randomness.
    pub sampling: Sampling,
    /// The first request as a person looked at it: its digest, and the time told in it. No other is sent first.
    pub shown: Option<(&'a str, Timestamp)>,
}

impl<'a> Inquirer<'a> {
    /// Whoever asks as models are asked by default, and has been shown nothing first.
    #[must_use]
    pub fn new(library: &'a Library, toolbox: &'a dyn Toolbox, sources: &'a str, limits: Limits) -> Self {
        Self { library, toolbox, sources, limits, sampling: Sampling::default(), shown: None }
    }
}

/// The first request of a question, as it would be sent now to a client. Sends nothing, and `thread` is to be thrown
/// away afterwards.
///
/// # Errors
///
/// When there is no question, or the prompt cannot be used.
pub fn preview(
    inquirer: &Inquirer<'_>,
    thread: &mut Thread,
    question: &str,
    seat: &Seat,
    now: Timestamp,
) -> Result<(ChatRequest, Pack), AskError> {
    let prompt = inquirer.library.get(PROMPT)?;
    begin(inquirer, prompt, thread, question, now)?;
    let last = inquirer.limits.steps <= 1;
    if last {
        thread.add(prompt.render("last", &[])?);
    }
    let rendered = fitting(inquirer, thread, seat);
    let pack = rendered.pack.clone();
    Ok((request(inquirer, prompt, rendered.messages, seat, last)?, pack))
}

/// What names exactly one request: SHA-256 of its texts, lower-case hex.
pub fn digest(request: &ChatRequest) -> String {
    let mut hash = Sha256::new();
    for text in request.texts() {
        hash.update(text.len().to_be_bytes());
        hash.update(text.as_bytes());
    }
    hex(&hash.finalize())
}

/// Puts a question to the chat.
fn begin(
    inquirer: &Inquirer<'_>,
    prompt: &Prompt,
    thread: &mut Thread,
    question: &str,
    now: Timestamp,
) -> Result<(), AskError> {
    let question = question.trim();
    if question.is_empty() {
        return Err(AskError::Nothing("there is no question"));
    }
    let question = &question[..question.floor_char_boundary(QUESTION)];
    let instructions = prompt.render(
        "user",
        &[
            ("sources", Filling::Text(inquirer.sources.to_owned())),
            ("steps", Filling::Text(inquirer.limits.steps.to_string())),
            ("now", Filling::Text(now.format("%Y-%m-%d %H:%M:%S UTC (%A)"))),
        ],
    )?;
    thread.question(question, now, instructions);
    Ok(())
}

/// The history, shortened until it fits.
fn fitting(inquirer: &Inquirer<'_>, thread: &mut Thread, seat: &Seat) -> Rendered {
    let (budget, sees) = (seat.pack_budget, seat.client.sees());
    let mut rendered = thread.render(budget, sees);
    while rendered.tokens > inquirer.limits.request_tokens && thread.shorten() {
        rendered = thread.render(budget, sees);
    }
    rendered
}

/// A request with this history.
fn request(
    inquirer: &Inquirer<'_>,
    prompt: &Prompt,
    messages: Vec<Message>,
    seat: &Seat,
    last: bool,
) -> Result<ChatRequest, PromptError> {
    Ok(ChatRequest {
        system: Redactor::for_receiver(seat.client.sees()).outgoing(&prompt.render("system", &[])?),
        messages,
        schema: Some((shape::NAME.to_owned(), shape::step(last))),
        max_tokens: seat.client.settings().answer_tokens,
        temperature: inquirer.sampling.temperature,
        seed: inquirer.sampling.seed,
    })
}

/// Asks one question in a chat.
///
/// `Ok` also holds an answer that is not whole (`complete` is false); `Err` means that there is nothing to show.
/// Dropping the future or cancelling the token aborts the request; then `thread` holds half a question and should be
/// thrown away.
pub async fn ask(
    inquirer: &Inquirer<'_>,
    thread: &mut Thread,
    question: &str,
    line: &mut dyn Line,
    on_progress: impl FnMut(Asking) + Send,
    cancel: &CancellationToken,
) -> Result<Reply, AskError> {
    let prompt = inquirer.library.get(PROMPT)?;
    let now = inquirer.shown.map_or_else(|| inquirer.toolbox.now(), |(_, at)| at);
    begin(inquirer, prompt, thread, question, now)?;
    let began = Instant::now();
    let mut run = Run {
        inquirer,
        prompt,
        thread,
        line,
        seat: None,
        last: None,
        on_progress,
        cancel,
        began,
        deadline: began + inquirer.limits.time,
        asking: Asking::default(),
        // Nothing was counted by ourselves so far.
        usage: Usage { reported: true, ..Usage::default() },
        first_token_ms: None,
        remarks: Vec::new(),
        rate: None,
        plain: None,
        memory: BTreeMap::new(),
    };
    let answer = run.steps().await;
    run.conclude(answer)
}

/// One question under way.
struct Run<'a, 'b, P> {
    inquirer: &'a Inquirer<'b>,
    prompt: &'a Prompt,
    thread: &'a mut Thread,
    line: &'a mut dyn Line,
    /// The end point in use.
    seat: Option<Seat>,
    /// The last one that was in use.
    last: Option<Seat>,
    on_progress: P,
    cancel: &'a CancellationToken,
    began: Instant,
    deadline: Instant,
    asking: Asking,
    usage: Usage,
    first_token_ms: Option<u64>,
    remarks: Vec<String>,
    rate: Option<f64>,
    /// What the model wrote instead of a step.
    plain: Option<Text>,
    /// What was called, with what it brought.
    memory: BTreeMap<String, Option<EvidenceId>>,
}

/// What became of a request.
enum Sent {
    /// It was sent.
    Outcome(Box<CallOutcome>),
    /// The time was over before its end.
    Late,
    /// It must not be sent to this end point.
    Refused(String),
}

/// What a step came to.
enum Came {
    /// A step.
    Step(Text, Next),
    /// No step can come any more; why stands in the remarks.
    End,
}

impl<P: FnMut(Asking) + Send> Run<'_, '_, P> {
    async fn steps(&mut self) -> Result<Option<Answer>, AskError> {
        let limits = self.inquirer.limits;
        for number in 1..=limits.steps.max(1) {
            let hurry = self.began.elapsed().as_secs_f64() > limits.time.as_secs_f64() * HURRY;
            let spent = self.asking.sent_tokens >= limits.tokens;
            let last = number >= limits.steps || hurry || spent;
            if last {
                self.push(number, hurry, spent)?;
            }
            match self.step(last).await? {
                Came::End => return Ok(None),
                Came::Step(_, Next::Answer(answer)) => return Ok(Some(answer)),
                Came::Step(thought, Next::Call(call)) => self.tool(number, thought, &call).await?,
            }
        }
        Ok(None)
    }

    /// Asks for the answer.
    fn push(&mut self, number: usize, hurry: bool, spent: bool) -> Result<(), AskError> {
        let words = self.prompt.render("last", &[])?;
        self.thread.add(words);
        let steps = self.inquirer.limits.steps;
        if number < steps && hurry {
            self.remarks.push(format!("the time was nearly over after {} steps: an answer was asked for", number - 1));
        } else if number < steps && spent {
            self.remarks.push(format!("the tokens were spent after {} steps: an answer was asked for", number - 1));
        }
        Ok(())
    }

    fn report(&mut self, stage: String) {
        self.asking.stage = Text::from(stage);
        if let Some(seat) = &self.seat {
            let settings = seat.client.settings();
            self.asking.by = Text::from(format!("{} via {}", settings.model, settings.name));
        }
        (self.on_progress)(self.asking.clone());
    }

    /// One step of the model: asked again once when it is none.
    async fn step(&mut self, last: bool) -> Result<Came, AskError> {
        let Some(first) = self.heard(last).await? else { return Ok(Came::End) };
        let problems = match self.judged(&first, last) {
            Ok(came) => return Ok(came),
            Err(problems) => problems,
        };
        if self.broken(&first) {
            return Ok(Came::End);
        }
        self.report(format!("the step was not valid, asking again: {}", problems.join("; ")));
        self.thread.model(&first.text, false);
        let words = self.prompt.render("repair", &[("problems", Filling::List(problems.clone()))])?;
        self.thread.reply(None, words);
        let Some(second) = self.heard(last).await? else { return Ok(Came::End) };
        match self.judged(&second, last) {
            Ok(came) => Ok(came),
            Err(problems) => {
                if !self.broken(&second) {
                    self.remarks.push(format!("the model's step was not valid twice: {}", problems.join("; ")));
                    self.plain = Some(Text::new(&second.text).truncated(KEPT));
                }
                Ok(Came::End)
            }
        }
    }

    /// Reads a step; the end point hears what came of it.
    fn judged(&mut self, outcome: &CallOutcome, last: bool) -> Result<Came, Vec<String>> {
        let read = shape::read(&outcome.text, last);
        let ended = outcome.error.is_none() && outcome.finish == Some(FinishReason::Stop);
        let problems = read.as_ref().err().map_or(&[][..], Vec::as_slice);
        self.line.ended(outcome, ended.then_some(problems));
        let (thought, next) = read?;
        self.thread.model(&outcome.text, matches!(next, Next::Answer(_)));
        Ok(Came::Step(thought, next))
    }

    /// Whether an answer did not end by itself; why is remarked.
    fn broken(&mut self, outcome: &CallOutcome) -> bool {
        let why = match (&outcome.error, &outcome.finish) {
            (Some(error), _) => error.to_string(),
            (None, Some(FinishReason::Refused)) => "the model refuses to answer".to_owned(),
            (None, Some(FinishReason::Length)) => {
                "the step was cut at its limit of tokens (raise answer_tokens of the end point)".to_owned()
            }
            _ => return false,
        };
        self.remarks.push(why);
        true
    }

    /// What the model says to the history as it is; `None` when no end point says anything in time.
    async fn heard(&mut self, last: bool) -> Result<Option<CallOutcome>, AskError> {
        let mut shortenings = 0;
        loop {
            if self.seat.is_none() && !self.seated().await? {
                return Ok(None);
            }
            let Some(seat) = self.seat.clone() else { return Ok(None) };
            let name = seat.client.settings().name.clone();
            let outcome = match self.outcome(&seat, last).await? {
                Sent::Outcome(outcome) => *outcome,
                Sent::Late => return Ok(None),
                Sent::Refused(why) => {
                    self.line.pass(format!("{name}: {why}"));
                    self.seat = None;
                    continue;
                }
            };
            let nothing = outcome.text.trim().is_empty();
            let Some(error) = outcome.error.clone().filter(|error| nothing || error.is_transient()) else {
                return Ok(Some(outcome));
            };
            self.line.ended(&outcome, None);
            if matches!(error.kind, LlmErrorKind::ContextOverflow { .. })
                && shortenings < SHORTENINGS
                && self.thread.shorten()
            {
                shortenings += 1;
                self.report("too long for the model: shortening earlier results".to_owned());
                continue;
            }
            self.line.pass(format!("{name}: {}", error.kind));
            self.seat = None;
            if let Some(wait) = self.line.again(&error.kind) {
                self.report(format!("{name} asks to wait {} s", wait.as_secs().max(1)));
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => return Err(CallError::Cancelled.into()),
                    () = tokio::time::sleep_until(self.deadline.min(Instant::now() + wait)) => {}
                }
            }
        }
    }

    /// Takes the next end point; whether there is one, in time.
    async fn seated(&mut self) -> Result<bool, AskError> {
        let (asking, on_progress) = (&mut self.asking, &mut self.on_progress);
        let mut say = |stage: String| {
            asking.stage = Text::from(stage);
            on_progress(asking.clone());
        };
        let next = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(CallError::Cancelled.into()),
            next = tokio::time::timeout_at(self.deadline, self.line.next(&mut say)) => next.ok().flatten(),
        };
        if let Some(seat) = next {
            self.seat = Some(seat.clone());
            self.last = Some(seat);
            return Ok(true);
        }
        Ok(false)
    }

    /// One request to the end point in use.
    async fn outcome(&mut self, seat: &Seat, last: bool) -> Result<Sent, AskError> {
        let client = &seat.client;
        let Rendered { messages, pack, .. } = fitting(self.inquirer, self.thread, seat);
        let request = request(self.inquirer, self.prompt, messages, seat, last)?;
        // Only what begins the question was looked at; what the tools find is shown step by step.
        let first = self.asking.steps.is_empty() && self.asking.received_tokens == 0;
        if let Some((shown, _)) = self.inquirer.shown.filter(|_| first)
            && shown != digest(&request)
        {
            return Ok(Sent::Refused("it would be sent other words than what was looked at (⏎ shows them)".into()));
        }
        let tokens = request_tokens(&request);
        if let Some(why) = self.line.refuses(tokens) {
            return Ok(Sent::Refused(why));
        }
        self.asking.sent_tokens += tokens;
        (self.asking.thought, self.asking.answer) = <(Text, Text)>::default();
        self.asking.hidden = request.hidden().values().sum();
        self.report(if last { "writing the answer".to_owned() } else { "thinking".to_owned() });
        let before = self.asking.received_tokens;
        let (asking, on_progress) = (&mut self.asking, &mut self.on_progress);
        let mut shown = 0;
        let mut heard = |heard: Heard<'_>| match heard {
            Heard::Text { all, tokens, .. } => {
                asking.received_tokens = before + tokens;
                asking.stage = Text::from("the model writes");
                // Reading it again for every token would be quadratic in a long answer.
                if all.len() - shown > all.len() / 64 {
                    shown = all.len();
                    (asking.thought, asking.answer) = shape::beginning(all);
                }
                on_progress(asking.clone());
            }
            Heard::Thinking => {
                asking.stage = Text::from("the model thinks");
                on_progress(asking.clone());
            }
            Heard::Sending { .. } | Heard::Accepted => {}
        };
        let content = Content::of_pack(self.prompt.reference(), &pack);
        let stop = self.cancel.child_token();
        let mut late = false;
        let result = {
            let work = call(client, &request, &content, self.line.witness(), &mut heard, &stop);
            tokio::pin!(work);
            tokio::select! {
                biased;
                result = &mut work => result,
                () = tokio::time::sleep_until(self.deadline) => {
                    late = true;
                    stop.cancel();
                    work.await
                }
            }
        };
        if late && matches!(result, Err(CallError::Cancelled)) {
            let seconds = self.inquirer.limits.time.as_secs();
            self.remarks.push(format!("given up: there was no answer within {seconds} s"));
            return Ok(Sent::Late);
        }
        let outcome = result?;
        self.usage = self.usage.plus(&outcome.usage);
        self.first_token_ms = self.first_token_ms.or(outcome.timing.first_token_ms);
        self.rate = outcome.rate().or(self.rate);
        Ok(Sent::Outcome(Box::new(outcome)))
    }

    /// Carries out a call and tells the model what came of it.
    async fn tool(&mut self, number: usize, thought: Text, call: &Call) -> Result<(), AskError> {
        let what = call.what();
        let began = Instant::now();
        (self.asking.thought, self.asking.answer) = <(Text, Text)>::default();
        self.asking.steps.push(Step {
            number,
            thought: Text::from(thought.one_line().into_owned()).truncated(400),
            tool: call.tool().to_owned(),
            what: what.clone().truncated(1_000),
            outcome: StepOutcome::UnderWay,
            evidence: None,
            elapsed_ms: 0,
        });
        // A command names its program itself.
        let told = if what.starts_with(call.tool()) { what.to_string() } else { format!("{} {what}", call.tool()) };
        self.report(told);
        let key = serde_json::to_string(call).unwrap_or_default();
        let known = self.memory.get(&key).copied();
        let (outcome, id, told) = if let Some(id) = known {
            let was = id.map_or_else(|| "it was refused".to_owned(), |id| format!("the answer is {id}"));
            (StepOutcome::Repeated, id, format!("You asked this already; {was}. Ask something else, or answer."))
        } else {
            let found = self.carried_out(call).await?;
            let id = found.evidence.as_ref().map(|item| item.id).or(found.item);
            let told = words(&found, id);
            let Found { outcome, evidence, .. } = found;
            if let Some(evidence) = evidence {
                self.thread.take(evidence);
            }
            self.memory.insert(key, id);
            (outcome, id, told)
        };
        if let Some(step) = self.asking.steps.last_mut() {
            step.outcome = outcome;
            step.evidence = id;
            step.elapsed_ms = millis(began.elapsed());
        }
        let left = self.inquirer.limits.steps.saturating_sub(number);
        let words = self
            .prompt
            .render("next", &[("outcome", Filling::Text(told)), ("left", Filling::Text(left.to_string()))])?;
        self.thread.reply(id.filter(|_| known.is_none()), words);
        self.report("thinking".to_owned());
        Ok(())
    }

    /// The tool itself, as long as there is time for it.
    async fn carried_out(&mut self, call: &Call) -> Result<Found, AskError> {
        let work = carry_out(call, self.inquirer.toolbox, self.thread, self.inquirer.limits.result);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(AskError::Call(CallError::Cancelled)),
            found = tokio::time::timeout_at(self.deadline, work) => Ok(found.unwrap_or_else(|_| Found {
                outcome: StepOutcome::Failed { why: Text::from("no answer before the time was over") },
                evidence: None,
                item: None,
            })),
        }
    }

    fn conclude(mut self, answer: Result<Option<Answer>, AskError>) -> Result<Reply, AskError> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.thread.forget();
                return Err(error);
            }
        };
        let passed = self.line.passed().to_vec();
        if answer.is_none() && self.asking.steps.is_empty() && self.remarks.is_empty() {
            self.thread.forget();
            return Err(AskError::Llm(passed));
        }
        let complete = answer.is_some();
        let seat = self.last.take();
        let sees = seat.as_ref().map_or(Sees::Redacted, |seat| seat.client.sees());
        let rendered = self.thread.render(seat.as_ref().map_or(LEAST, |seat| seat.pack_budget), sees);
        if !complete {
            self.thread.forget();
            self.remarks.push("there is no answer; what was looked up stands in the steps".to_owned());
        }
        self.remarks.extend(passed);
        let Answer { claims, summary, missing } = answer.unwrap_or_default();
        let mut diagnosis = Diagnosis { observations: claims, summary, missing, ..Diagnosis::default() };
        let proof = self.thread.proof(&rendered.pack);
        let mut report = verify::verify(&mut diagnosis, &proof);
        if diagnosis.observations.is_empty() && !diagnosis.summary.trim().is_empty() {
            let known = report.unsupported.iter().any(|claim| claim.path == "summary");
            if !known {
                let why = "it rests on no claim that cites evidence".to_owned();
                report.unsupported.push(Unsupported { path: "summary".into(), text: diagnosis.summary.clone(), why });
            }
        }
        let settings = seat.as_ref().map(|seat| seat.client.settings());
        Ok(Reply {
            diagnosed: Diagnosed {
                analyst: Analyst {
                    name: settings.map_or_else(|| "none".to_owned(), |settings| settings.model.clone()),
                    endpoint: settings.map(|settings| settings.name.clone()),
                },
                prompt: self.prompt.reference().clone(),
                diagnosis,
                unsupported: report.unsupported,
                unknown_ids: report.unknown_ids,
                complete,
                plain: self.plain,
                remarks: self.remarks.iter().map(|remark| neutralise(remark).into_owned()).collect(),
                usage: self.usage,
                timing: Timing { first_token_ms: self.first_token_ms, total_ms: millis(self.began.elapsed()) },
                rate: self.rate,
                bill: self.line.bill(),
                sees: Some(sees),
                earlier: Vec::new(),
            },
            steps: self.asking.steps,
            evidence: self.thread.evidence().to_vec(),
            hidden: rendered.pack.redactions,
        })
    }
}

/// What the model is told of a step's outcome.
fn words(found: &Found, id: Option<EvidenceId>) -> String {
    match (&found.outcome, id) {
        (StepOutcome::Failed { why }, Some(id)) => format!("That failed ({id}): {why}"),
        (StepOutcome::Failed { why }, None) => format!("That failed: {why}"),
        (StepOutcome::Refused { why }, _) => format!("That was refused and not done: {why}"),
        (_, Some(id)) => format!("The result is {id}, above."),
        (_, None) => "That gave nothing.".to_owned(),
    }
}
