//! All configured end points, in their order, with what was seen of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;

use super::breaker::{Admission, Breaker};
use super::calibration::Calibration;
use super::client::{LlmClient, Prepared};
use super::error::{LlmError, LlmErrorKind};
use super::health::{Health, History};
use super::load::Load;
use super::observation::{Observation, Outcome, Watch};
use super::{ChatRequest, FinishReason, Message, Role, StreamEvent};
use crate::domain::settings::{EndpointSettings, Secrets};

/// Tokens of a canary's answer. Some servers accept no fewer.
const CANARY_TOKENS: u32 = 16;

/// The end points, in the order in which they are tried. Cloning is cheap and shares what was seen.
#[derive(Debug, Clone)]
pub struct Pool {
    endpoints: Arc<[Endpoint]>,
}

impl Pool {
    /// Makes a client for each. One whose settings cannot work stays in its place, with its error. Asks nothing.
    pub fn new(settings: &[EndpointSettings], secrets: &Arc<dyn Secrets>) -> Self {
        let endpoints = settings.iter().map(|settings| Endpoint::new(settings, Arc::clone(secrets)));
        Self { endpoints: endpoints.collect() }
    }

    /// All of them.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The one with this name.
    pub fn get(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.settings().name == name)
    }
}

/// One end point with what was seen of it. Cloning is cheap and shares what was seen.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    settings: EndpointSettings,
    client: Result<LlmClient, LlmError>,
    seen: Mutex<Seen>,
}

struct Seen {
    breaker: Breaker,
    history: History,
    calibration: Calibration,
    /// Why the last request did not leave.
    held_back: Option<String>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// What a canary found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryAnswer {
    /// From the request to the first content.
    pub first_token: Option<Duration>,
    /// In all.
    pub total: Duration,
}

impl Endpoint {
    /// An end point of which nothing was seen yet.
    pub fn new(settings: &EndpointSettings, secrets: Arc<dyn Secrets>) -> Self {
        let client = LlmClient::new(settings.clone(), secrets);
        Self::with_client(settings.clone(), client)
    }

    /// As [`Self::new`], with a client that was made elsewhere, or why there is none.
    pub fn with_client(settings: EndpointSettings, client: Result<LlmClient, LlmError>) -> Self {
        let calibration = Calibration::for_endpoint(&settings);
        let seen = Seen { breaker: Breaker::default(), history: History::default(), calibration, held_back: None };
        Self { shared: Arc::new(Shared { settings, client, seen: Mutex::new(seen) }) }
    }

    /// Its settings.
    pub fn settings(&self) -> &EndpointSettings {
        &self.shared.settings
    }

    /// Its client, or why its settings cannot work.
    pub fn client(&self) -> Result<&LlmClient, &LlmError> {
        self.shared.client.as_ref()
    }

    /// Whether to send it a request now. After [`Admission::Ready`] or [`Admission::Canary`], [`Self::observe`] what
    /// became of it, also when it was given up.
    pub fn admit(&self, now: Instant) -> Admission {
        self.seen().breaker.admit(now)
    }

    /// What [`Self::admit`] would say, for screens: takes no place.
    pub fn admission(&self, now: Instant) -> Admission {
        self.seen().breaker.peek(now)
    }

    /// Takes in what became of a request.
    pub fn observe(&self, now: Instant, observation: &Observation) {
        let mut seen = self.seen();
        // One that was given up may not have left.
        if observation.outcome != Outcome::Cancelled {
            seen.held_back = None;
        }
        seen.breaker.observe(now, observation);
        seen.history.observe(observation);
        if let Some(counted) = observation.counted_tokens.filter(|_| observation.usage.reported) {
            seen.calibration.learn(counted, observation.usage.input_tokens);
        }
    }

    /// What its last requests, its load and its canary say together.
    pub fn health(&self, now: Instant) -> Health {
        match &self.shared.client {
            Ok(client) => {
                let seen = self.seen();
                let health = seen.history.assess(now);
                Health { traffic: client.traffic(), held_back: seen.held_back.clone(), ..health }
            }
            Err(error) => Health::misconfigured(&error.kind),
        }
    }

    /// The factor between our count of tokens and the model's.
    pub fn calibration(&self) -> Calibration {
        self.seen().calibration.clone()
    }

    /// Takes in earlier requests, oldest first: our count and the server's.
    pub fn seed_calibration(&self, pairs: impl IntoIterator<Item = (u64, u64)>) {
        let mut seen = self.seen();
        pairs.into_iter().for_each(|(counted, reported)| seen.calibration.learn(counted, reported));
    }

    /// Takes in why a request to it did not leave. Shown until one does.
    pub fn hold_back(&self, why: String) {
        self.seen().held_back = Some(why);
    }

    /// Forgets that it rests: somebody mended what was wrong and wants to try now.
    pub fn wake(&self) {
        self.seen().breaker.reset();
    }

    /// Takes in whether a probe found that shapes are enforced.
    pub fn probed_schema(&self, enforced: bool) {
        self.seen().history.probed_schema(enforced);
    }

    /// The request that [`Self::canary`] sends: a few tokens, nothing of any incident.
    pub fn canary_request(&self) -> Result<Prepared, LlmError> {
        self.shared.client.as_ref().map(|client| client.prepare(&canary())).map_err(Clone::clone)
    }

    /// Sends the canary and takes in what becomes of it: whether an answer really comes, to a question that any model
    /// can answer. Dropping the future gives it up.
    pub async fn canary(&self) -> Result<CanaryAnswer, LlmError> {
        let client = self.shared.client.as_ref().map_err(Clone::clone)?;
        let began = Instant::now();
        // Given up until its end is seen, also when this future is dropped.
        let mut under_way = UnderWay { endpoint: self, watch: Watch::new(began, None) };
        let mut stream = client.stream(&canary());
        let mut failed = None;
        while let Some(event) = stream.next().await {
            // Whether an answer comes is the question, not whether it finds an end.
            let event = match event {
                Err(LlmError { kind: LlmErrorKind::TooLong { received: 1.., .. }, .. }) => {
                    Ok(StreamEvent::Finished(FinishReason::Length))
                }
                event => event,
            };
            under_way.watch.event(Instant::now(), &event);
            failed = event.err();
        }
        let first_token = under_way.watch.first_token();
        drop(under_way);
        match failed {
            Some(error) => Err(error),
            None => Ok(CanaryAnswer { first_token, total: began.elapsed() }),
        }
    }

    /// Asks the server for its own load and remembers it; `None` where it tells nothing of the kind.
    pub async fn load(&self) -> Result<Option<Load>, LlmError> {
        let client = self.shared.client.as_ref().map_err(Clone::clone)?;
        let load = client.load().await;
        self.seen().history.loaded(Instant::now(), load.as_ref().ok().copied().flatten());
        load
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics while it is held, and half an update would do no harm.
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A canary; its end is observed however it ends.
struct UnderWay<'a> {
    endpoint: &'a Endpoint,
    watch: Watch,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let observation = self.watch.observation();
        let mut seen = self.endpoint.seen();
        seen.held_back = None;
        seen.breaker.observe(now, &observation);
        match observation.outcome {
            Outcome::Finished(_) => seen.history.canary(now, Ok(())),
            Outcome::Failed(kind) => seen.history.canary(now, Err(kind)),
            Outcome::Cancelled => {}
        }
    }
}

fn canary() -> ChatRequest {
    ChatRequest {
        system: "You answer with one word.".into(),
        messages: vec![Message { role: Role::User, parts: vec!["Say: ready".into()] }],
        schema: None,
        max_tokens: CANARY_TOKENS,
        temperature: None,
        seed: None,
    }
}
