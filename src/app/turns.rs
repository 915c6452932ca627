//! The end points one after another, as far as each may be asked now: the order of the configuration, what each may
//! see, the breaker with its canary, the budget of the day. Diagnoses and questions both take their turns here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::copilot::call::CallOutcome;
use crate::domain::diagnosis::Bill;
use crate::domain::settings::Sees;
use crate::ledger::Ledger;
use crate::llm::{Admission, Endpoint, LlmClient, LlmErrorKind, Observation, Outcome};

use super::engine::Engine;
use super::failure::Failure;
use super::spending;
use super::witness::LedgerWitness;

/// Which end points may be asked, and what became of those that were not.
pub(super) struct Turns<'a> {
    engine: &'a Engine,
    ledger: Arc<dyn Ledger>,
    incident: Option<String>,
    waiting: VecDeque<Endpoint>,
    /// Whether one was asked again after the wait it wanted.
    repeated: bool,
    /// Asked for by name, or the only one: not passed over for having failed before.
    wanted: bool,
    /// Why end points were passed over, each with its name.
    pub(super) passed: Vec<String>,
    /// The day so far.
    pub(super) bill: Bill,
}

impl<'a> Turns<'a> {
    /// All end points, or the named one. Fails where the ledger cannot be had: then nothing may be sent.
    pub(super) async fn new(engine: &'a Engine, name: Option<&str>, incident: Option<&str>) -> Result<Self, Failure> {
        let endpoints = engine.endpoints(name)?;
        let ledger = engine.ledger().await.map_err(|failure| {
            Failure::failed(format!("nothing was sent, because it cannot be written down: {failure}"))
        })?;
        let bill = spending::refresh(engine, &*ledger).await?;
        Ok(Self {
            engine,
            ledger,
            incident: incident.map(str::to_owned),
            wanted: name.is_some() || endpoints.len() == 1,
            waiting: endpoints.into(),
            repeated: false,
            passed: Vec::new(),
            bill,
        })
    }

    /// The next end point that may be asked; `None` when none is left. Sends a canary to one that failed before.
    pub(super) async fn next(&mut self, mut say: impl FnMut(String) + Send) -> Option<Turn> {
        loop {
            let endpoint = self.waiting.pop_front()?;
            match self.admitted(&endpoint, &mut say).await {
                Ok(turn) => return Some(turn),
                Err(why) => self.passed.push(format!("{}: {why}", endpoint.settings().name)),
            }
        }
    }

    async fn admitted(&self, endpoint: &Endpoint, say: &mut (impl FnMut(String) + Send)) -> Result<Turn, String> {
        let client = endpoint.client().map_err(|error| error.kind.to_string())?.clone();
        let sees = client.sees();
        if sees == Sees::Nothing {
            return Err("it may see nothing of this environment (sees)".into());
        }
        let name = &endpoint.settings().name;
        if self.wanted && matches!(endpoint.admission(Instant::now()), Admission::Resting { .. }) {
            endpoint.wake();
        }
        match endpoint.admit(Instant::now()) {
            Admission::Ready => {}
            Admission::Canary => {
                say(format!("{name} failed before: trying it with a few tokens"));
                let witness =
                    LedgerWitness::new(self.engine, &self.ledger, self.incident.as_deref(), endpoint.settings().price);
                // Until its end is observed no other goes ahead: given up here, or by whoever drops this, it makes room.
                let mut trying = Turn { endpoint: endpoint.clone(), client: client.clone(), sees, settled: false };
                witness.canary(endpoint).await?;
                trying.settled = true;
            }
            Admission::Resting { until, why } => {
                let left = until.saturating_duration_since(Instant::now()).as_secs().max(1);
                return Err(format!("left alone for another {left} s: {why}"));
            }
        }
        Ok(Turn { endpoint: endpoint.clone(), client, sees, settled: false })
    }

    /// How long to wait until an end point that is busy may have another turn. Once, and only where no other is left.
    pub(super) fn again(&mut self, turn: &Turn, kind: &LlmErrorKind) -> Option<Duration> {
        let after = match kind {
            LlmErrorKind::RateLimited { retry_after, .. } | LlmErrorKind::Server { retry_after, .. } => *retry_after,
            _ => None,
        };
        let after = after.filter(|after| *after <= PATIENCE && self.waiting.is_empty() && !self.repeated)?;
        self.repeated = true;
        turn.endpoint.wake();
        self.waiting.push_front(turn.endpoint.clone());
        Some(after)
    }

    /// A witness for calls to the end point of this turn.
    pub(super) fn witness(&self, turn: &Turn) -> LedgerWitness {
        LedgerWitness::new(self.engine, &self.ledger, self.incident.as_deref(), turn.endpoint.settings().price)
    }

    /// Why a request of so many tokens, by our own count, must not go to this end point today.
    pub(super) fn refuses(&self, turn: &Turn, counted: usize) -> Option<String> {
        let (tokens, _) = turn.endpoint.calibration().estimate(counted as u64);
        let why = spending::refuses(&self.bill, turn.endpoint.settings(), tokens)?;
        turn.endpoint.hold_back(why.clone());
        Some(why)
    }

    /// Takes in a request that is over: its cost, and what it says of the end point. `problems` is what was wrong
    /// with the answer; `None` when it could not be judged.
    pub(super) fn ended(&mut self, turn: &mut Turn, outcome: &CallOutcome, problems: Option<&[String]>) {
        spending::add(&mut self.bill, turn.endpoint.settings(), outcome);
        turn.settled = true;
        if let Some(seen) = &outcome.seen {
            let valid = problems.map(<[String]>::is_empty);
            let kept = valid.map(|valid| valid || !outcome.text.trim_start().is_empty() && shaped(&outcome.text));
            turn.endpoint.observe(Instant::now(), &Observation { valid, schema_kept: kept, ..seen.clone() });
        }
        if let Some(LlmErrorKind::ContextOverflow { limit: Some(limit), .. }) =
            outcome.error.as_ref().map(|error| &error.kind)
        {
            self.engine.learn_context(&turn.endpoint.settings().name, *limit);
        }
    }
}

/// Whether an answer is at least the JSON object that was asked for.
fn shaped(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text.trim()).is_ok()
}

/// An end point that may be asked now.
pub(super) struct Turn {
    /// The end point.
    pub(super) endpoint: Endpoint,
    /// Its client.
    pub(super) client: LlmClient,
    /// What it may see.
    pub(super) sees: Sees,
    settled: bool,
}

impl Turn {
    /// A look at what would be sent to an end point, without asking it anything.
    pub(super) fn looking(endpoint: &Endpoint, client: &LlmClient) -> Self {
        Self { endpoint: endpoint.clone(), client: client.clone(), sees: client.sees(), settled: true }
    }

    /// Budget of the evidence in our own tokens: as set, and never more than its context leaves beside `fixed` tokens
    /// of prompt and the answer.
    pub(super) fn pack_budget(&self, engine: &Engine, fixed: usize) -> usize {
        let settings = self.endpoint.settings();
        let Some(limit) = engine.known_context(&settings.name) else { return settings.pack_tokens };
        let room = limit.saturating_sub(u64::from(settings.answer_tokens)).max(limit / 2);
        let counted = usize::try_from(self.endpoint.calibration().budget(room)).unwrap_or(usize::MAX);
        settings.pack_tokens.min((counted as f64 * 0.95) as usize).saturating_sub(fixed).max(LEAST_PACK)
    }
}

/// The smallest pack that is tried.
const LEAST_PACK: usize = 300;
/// Longest wait for an end point that said when it may be asked again.
const PATIENCE: Duration = Duration::from_secs(20);

impl Drop for Turn {
    /// An end point that was admitted and of which nothing more was heard was given up.
    fn drop(&mut self) {
        if !self.settled {
            self.endpoint.observe(Instant::now(), &Observation::new(Outcome::Cancelled));
        }
    }
}
