//! Is it the model or the prompt? What an end point's last requests, its own load and its canary say together.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::FinishReason;
use super::error::{LlmErrorKind, Phase};
use super::load::Load;
use super::observation::{Observation, Outcome};
use super::traffic::Traffic;

/// Requests remembered.
const REMEMBERED: usize = 32;
/// Of these, the ones whose answers are counted: a model that was changed is soon judged by its own answers.
const JUDGED: usize = 10;
/// What a server said about its load counts for this long.
const LOAD_FRESH: Duration = Duration::from_secs(30);
/// A canary's word counts for this long.
const CANARY_FRESH: Duration = Duration::from_mins(5);
/// Requests that make a history to compare with.
const HISTORY: usize = 3;
/// Times its own usual time to first token at which an end point is slow.
const SLOWER: u32 = 3;
/// Waits below this are not felt, however much longer than usual they are.
const FELT: Duration = Duration::from_secs(2);
/// Tokens of a prompt, by our count, from which on the server's count can be compared with it.
const LONG_PROMPT: u64 = 1_000;
/// A first token later than this is slow whatever is usual: it is what a person takes for a hang.
const LATE: Duration = Duration::from_secs(10);

/// State of an end point, as far as it calls for different behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// Nothing was asked yet.
    NotAsked,
    /// Answers come as they should.
    Fine,
    /// Answers come, late.
    Slow,
    /// Requests wait for a place.
    Saturated,
    /// No connection, or nothing comes back.
    NotResponding,
    /// Answers break off or are errors.
    Failing,
    /// It asks for fewer requests.
    RateLimited,
    /// The key is not accepted, or cannot be had.
    KeyRefused,
    /// Settings do not fit: url, model, protocol.
    Misconfigured,
    /// The prompt does not fit into the model.
    ContextOverflow,
    /// The shape that is asked for is not enforced.
    SchemaNotEnforced,
    /// The answer finds no end.
    AnswerTooLong,
    /// Answers have the shape, and cannot be used.
    AnswersFail,
    /// The model or its operator refuses to answer.
    Refuses,
}

impl HealthState {
    /// A few words for a status line.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotAsked => "not asked yet",
            Self::Fine => "fine",
            Self::Slow => "slow",
            Self::Saturated => "end point saturated",
            Self::NotResponding => "not responding",
            Self::Failing => "answers break off",
            Self::RateLimited => "rate limited",
            Self::KeyRefused => "key refused",
            Self::Misconfigured => "settings do not fit",
            Self::ContextOverflow => "context overflow",
            Self::SchemaNotEnforced => "schema not enforced",
            Self::AnswerTooLong => "answer too long",
            Self::AnswersFail => "answers fail validation",
            Self::Refuses => "refuses to answer",
        }
    }

    /// What the trouble is with.
    pub fn blame(self) -> Blame {
        match self {
            Self::NotAsked | Self::Fine => Blame::Nothing,
            Self::Slow | Self::Saturated | Self::NotResponding | Self::Failing | Self::RateLimited => Blame::EndPoint,
            Self::KeyRefused | Self::Misconfigured => Blame::Settings,
            Self::ContextOverflow => Blame::Prompt,
            Self::SchemaNotEnforced | Self::AnswerTooLong | Self::AnswersFail | Self::Refuses => Blame::Model,
        }
    }
}

/// Is it the model or the prompt?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// There is no trouble.
    Nothing,
    /// The server or the way to it.
    EndPoint,
    /// Our settings of it.
    Settings,
    /// What was sent.
    Prompt,
    /// The model, or the server's way of running it.
    Model,
}

impl Blame {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::EndPoint => "end point",
            Self::Settings => "settings",
            Self::Prompt => "prompt",
            Self::Model => "model",
        }
    }
}

/// What is known of an end point.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Its state.
    pub state: HealthState,
    /// What it is, in one line.
    pub what: String,
    /// What to do, in one line; empty when there is nothing to do.
    pub advice: String,
    /// Usual time to the first token of its answers.
    pub first_token: Option<Duration>,
    /// Tokens a second of its last answer.
    pub tokens_per_second: Option<f64>,
    /// What the server last said about its load.
    pub load: Option<Load>,
    /// Requests under way, and how those before them ended.
    pub traffic: Traffic,
    /// Why the last request did not leave, when it did not.
    pub held_back: Option<String>,
}

impl Health {
    fn of(state: HealthState, what: impl Into<String>, advice: &str) -> Self {
        Self {
            state,
            what: what.into(),
            advice: advice.to_owned(),
            first_token: None,
            tokens_per_second: None,
            load: None,
            traffic: Traffic::default(),
            held_back: None,
        }
    }

    /// An end point whose settings cannot work.
    pub(super) fn misconfigured(why: &LlmErrorKind) -> Self {
        Self::of(HealthState::Misconfigured, why.to_string(), "correct the end point's settings")
    }
}

/// What was seen of one end point. The time is given by the caller.
#[derive(Debug, Clone, Default)]
pub struct History {
    seen: VecDeque<Observation>,
    load: Option<(Instant, Load)>,
    canary: Option<(Instant, Result<(), LlmErrorKind>)>,
    /// What a probe found about the enforcement of shapes.
    schema_enforced: Option<bool>,
}

impl History {
    /// Takes in a request. Those that were given up say nothing.
    pub fn observe(&mut self, observation: &Observation) {
        if matches!(&observation.outcome, Outcome::Cancelled | Outcome::Failed(LlmErrorKind::NotAllowed { .. })) {
            return;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(observation.clone());
        // What a real request shows is newer than what the canary said.
        self.canary = None;
    }

    /// Takes in what the server says about its load; `None` when it says nothing.
    pub fn loaded(&mut self, now: Instant, load: Option<Load>) {
        self.load = load.map(|load| (now, load));
    }

    /// Takes in what became of a canary.
    pub fn canary(&mut self, now: Instant, outcome: Result<(), LlmErrorKind>) {
        self.canary = Some((now, outcome));
    }

    /// Takes in whether a probe found shapes enforced.
    pub fn probed_schema(&mut self, enforced: bool) {
        self.schema_enforced = Some(enforced);
    }

    /// What it all says.
    pub fn assess(&self, now: Instant) -> Health {
        let load = self.load.filter(|(at, _)| now.saturating_duration_since(*at) <= LOAD_FRESH).map(|(_, load)| load);
        let mut health = self.state(now, load);
        health.first_token = self.usual_first_token();
        health.tokens_per_second = self.seen.iter().rev().find_map(|seen| seen.tokens_per_second);
        health.load = load;
        health
    }

    fn state(&self, now: Instant, load: Option<Load>) -> Health {
        let canary = self
            .canary
            .as_ref()
            .filter(|(at, _)| now.saturating_duration_since(*at) <= CANARY_FRESH)
            .map(|(_, outcome)| outcome);
        if let Some(Err(kind)) = canary {
            return failed(kind, load);
        }
        let last = self.seen.back();
        // An answering canary shows that what failed last is over, unless the prompt itself was to blame.
        let outcome = last.map(|seen| &seen.outcome);
        if let Some(Outcome::Failed(kind)) = outcome {
            let health = failed(kind, load);
            if canary.is_none() || health.state == HealthState::ContextOverflow {
                return health;
            }
            if matches!(kind, LlmErrorKind::Rejected { .. }) {
                let what = format!("it answers short questions, but not this one: {kind}");
                return Health { what, ..health };
            }
        }
        if let Some(load) = load.filter(|load| load.waiting > 0) {
            return saturated(load, "");
        }
        if outcome == Some(&Outcome::Finished(FinishReason::Refused)) {
            let advice = "ask another end point, or read the offline diagnosis";
            return Health::of(HealthState::Refuses, "the model refuses to answer this", advice);
        }
        if let Some(health) = self.cut().or_else(|| self.answers()) {
            return health;
        }
        if let Some(health) = self.slow() {
            return health;
        }
        match (last, canary) {
            (None, None) => Health::of(HealthState::NotAsked, "not asked yet", ""),
            _ => Health::of(HealthState::Fine, "fine", ""),
        }
    }

    /// Whether the server read only the end of the prompt: some cut what does not fit, and say nothing.
    fn cut(&self) -> Option<Health> {
        let counts = |seen: &Observation| {
            let counted = seen.counted_tokens.filter(|counted| *counted >= LONG_PROMPT)?;
            let whole = seen.usage.reported && seen.usage.cached_tokens == 0;
            whole.then_some((seen.usage.input_tokens, counted))
        };
        // No model's tokens are so much longer than ours.
        let is_cut = |(read, counted): (u64, u64)| read.saturating_mul(2) < counted;
        let (read, counted) = self.seen.back().and_then(counts).filter(|counts| is_cut(*counts))?;
        // A server that once counted the whole leaves out what it had in its cache.
        if self.seen.iter().filter_map(counts).any(|counts| !is_cut(counts)) {
            return None;
        }
        let what = format!("context overflow: the server read {read} tokens of some {counted} and said nothing");
        let advice =
            "give the model a larger context (Ollama: protocol = \"ollama\" asks for it), or lower pack_tokens";
        Some(Health::of(HealthState::ContextOverflow, what, advice))
    }

    /// What validation says about the last answers.
    fn answers(&self) -> Option<Health> {
        let is_empty =
            |last: &Observation| last.outcome == Outcome::Finished(FinishReason::Length) && last.first_token.is_none();
        if self.seen.back().is_some_and(is_empty) {
            let what = "answers fail validation: the last was empty, its tokens went into thinking";
            let advice = "raise answer_tokens of the end point, or use a model that thinks less";
            return Some(Health::of(HealthState::AnswersFail, what, advice));
        }
        let lately = || self.seen.iter().rev().take(JUDGED);
        let shaped = lately().filter(|seen| seen.schema_kept.is_some()).count();
        let broken = lately().filter(|seen| seen.schema_kept == Some(false)).count();
        let enforced = self.schema_enforced;
        if enforced == Some(false) && broken == 0 && shaped > 0 {
            // The model keeps the shape by itself: nothing is wrong with its answers.
        } else if enforced == Some(false) || (broken > 0 && broken * 2 >= shaped) {
            let what = match (enforced, shaped) {
                (Some(false), 0) => "the server does not enforce the shape that is asked for".to_owned(),
                _ => format!("{broken} of {shaped} answers did not have the shape that was asked for"),
            };
            let advice = "use a server that enforces JSON schemas (or the protocol that does), or another model";
            return Some(Health::of(HealthState::SchemaNotEnforced, format!("schema not enforced: {what}"), advice));
        }
        let judged = lately().filter(|seen| seen.valid.is_some()).count();
        let invalid = lately().filter(|seen| seen.valid == Some(false)).count();
        (invalid > 1 && invalid * 2 >= judged).then(|| {
            let what = format!("answers fail validation: {invalid} of the last {judged}");
            Health::of(
                HealthState::AnswersFail,
                what,
                "the end point works: use a stronger model, or lower pack_tokens",
            )
        })
    }

    /// Whether the last answer was late: by itself, or compared with those before it.
    fn slow(&self) -> Option<Health> {
        let last = self.seen.back()?.first_token?;
        let before: Vec<Duration> = self.seen.iter().rev().skip(1).filter_map(|seen| seen.first_token).collect();
        let usual = median(before.clone());
        let unusual = before.len() >= HISTORY && last >= FELT && usual.is_some_and(|usual| last > usual * SLOWER);
        if !unusual && last < LATE {
            return None;
        }
        let usually = match usual.filter(|_| unusual) {
            Some(usual) => format!(", usually {:.1} s", usual.as_secs_f64()),
            None => String::new(),
        };
        let what = format!("slow: {:.1} s to the first token{usually}", last.as_secs_f64());
        Some(Health::of(HealthState::Slow, what, "wait, lower pack_tokens, or put a faster end point first"))
    }

    fn usual_first_token(&self) -> Option<Duration> {
        median(self.seen.iter().filter_map(|seen| seen.first_token).collect())
    }
}

fn median(mut spans: Vec<Duration>) -> Option<Duration> {
    spans.sort_unstable();
    spans.get(spans.len().checked_sub(1)? / 2).copied()
}

fn saturated(load: Load, more: &str) -> Health {
    let Load { running, waiting, server } = load;
    let wait = if waiting == 1 { "1 request waits".to_owned() } else { format!("{waiting} requests wait") };
    let what = format!("end point saturated: {wait} behind {running} ({server}){more}");
    Health::of(HealthState::Saturated, what, "wait, use another end point, or give the server more slots")
}

/// State, words and advice of a failure.
fn failed(kind: &LlmErrorKind, load: Option<Load>) -> Health {
    let quiet = matches!(kind, LlmErrorKind::Timeout { phase: Phase::Headers | Phase::FirstContent, .. });
    if let (true, Some(load)) = (quiet, load.filter(|load| load.waiting > 0)) {
        return saturated(load, "; nothing came in time");
    }
    let (state, advice) = match kind {
        LlmErrorKind::NotAllowed { .. } => (HealthState::Misconfigured, "set `sees` of the end point, or use another"),
        LlmErrorKind::Settings { .. } | LlmErrorKind::ModelNotFound { .. } | LlmErrorKind::NotUnderstood { .. } => {
            (HealthState::Misconfigured, "see `stanch doctor`: url, model and protocol of the end point")
        }
        LlmErrorKind::Rejected { .. } => {
            (HealthState::Misconfigured, "see `stanch doctor`: does the server know this protocol and its options?")
        }
        LlmErrorKind::Secret { .. } => (HealthState::KeyRefused, "make the key available where `key` says it is"),
        LlmErrorKind::Unauthorized { .. } => (HealthState::KeyRefused, "renew the key, or check what it may use"),
        LlmErrorKind::RateLimited { .. } => (HealthState::RateLimited, "wait, or use another end point meanwhile"),
        LlmErrorKind::ContextOverflow { .. } => {
            (HealthState::ContextOverflow, "the pack is made smaller by itself; lower pack_tokens to avoid the detour")
        }
        LlmErrorKind::Server { status: 503 | 529, .. } => {
            (HealthState::Saturated, "wait, or use another end point meanwhile")
        }
        LlmErrorKind::Server { .. } => (HealthState::Failing, "look into the server's log, or use another end point"),
        LlmErrorKind::Proxy { .. } => {
            (HealthState::NotResponding, "is the proxy running? the server itself was not reached")
        }
        LlmErrorKind::Unreachable { .. } | LlmErrorKind::Timeout { phase: Phase::Connect, .. } => {
            (HealthState::NotResponding, "is the server running? check url, proxy and network")
        }
        LlmErrorKind::Timeout { phase: Phase::Headers | Phase::FirstContent, .. } => {
            (HealthState::NotResponding, "it may be loading a model or be saturated: wait, or use another end point")
        }
        LlmErrorKind::InBand { .. }
        | LlmErrorKind::Incomplete { .. }
        | LlmErrorKind::Timeout { phase: Phase::Stall | Phase::Total, .. } => {
            (HealthState::Failing, "try again, or use another end point")
        }
        LlmErrorKind::Timeout { phase: Phase::Thinking, .. } => {
            (HealthState::NotResponding, "use a model that thinks less, or raise timeouts.total")
        }
        LlmErrorKind::TooLong { .. } => {
            let what = kind.to_string();
            return Health::of(HealthState::AnswerTooLong, what, "use another model, or raise answer_tokens");
        }
        LlmErrorKind::TooLarge { .. } => (HealthState::Failing, "is this the API? use another end point"),
    };
    Health::of(state, format!("{}: {kind}", state.words()), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::diagnosis::Usage;

    const SECOND: Duration = Duration::from_secs(1);

    fn answered(first_token: Duration) -> Observation {
        let first_token = Some(first_token);
        Observation { first_token, ..Observation::new(Outcome::Finished(FinishReason::Stop)) }
    }

    fn timeout(phase: Phase) -> Observation {
        Observation::new(Outcome::Failed(LlmErrorKind::Timeout { phase, after: SECOND }))
    }

    fn after(seen: &[Observation]) -> History {
        let mut history = History::default();
        for seen in seen {
            history.observe(seen);
        }
        history
    }

    fn state(seen: &[Observation]) -> HealthState {
        after(seen).assess(Instant::now()).state
    }

    #[test]
    fn failures_have_their_states() {
        let text = || "x".into();
        for (kind, expected, blame) in [
            (LlmErrorKind::Settings { what: text() }, HealthState::Misconfigured, Blame::Settings),
            (LlmErrorKind::Secret { what: text() }, HealthState::KeyRefused, Blame::Settings),
            (LlmErrorKind::Unreachable { what: text() }, HealthState::NotResponding, Blame::EndPoint),
            (LlmErrorKind::Unauthorized { status: 403, what: text() }, HealthState::KeyRefused, Blame::Settings),
            (LlmErrorKind::RateLimited { retry_after: None, what: text() }, HealthState::RateLimited, Blame::EndPoint),
            (
                LlmErrorKind::ContextOverflow { tokens: None, limit: None, what: text() },
                HealthState::ContextOverflow,
                Blame::Prompt,
            ),
            (LlmErrorKind::Incomplete { received: 1, what: text() }, HealthState::Failing, Blame::EndPoint),
            (
                LlmErrorKind::Server { status: 529, retry_after: None, what: text() },
                HealthState::Saturated,
                Blame::EndPoint,
            ),
            (LlmErrorKind::NotUnderstood { what: text() }, HealthState::Misconfigured, Blame::Settings),
        ] {
            let health = after(&[Observation::new(Outcome::Failed(kind.clone()))]).assess(Instant::now());
            assert_eq!((health.state, health.state.blame()), (expected, blame), "{kind:?}");
            assert!(!health.advice.is_empty() && health.what.starts_with(expected.words()), "{}", health.what);
        }
    }

    #[test]
    fn nothing_is_known_of_what_was_not_asked() {
        assert_eq!(state(&[]), HealthState::NotAsked);
        assert_eq!(state(&[Observation::new(Outcome::Cancelled)]), HealthState::NotAsked);
        assert_eq!(state(&[answered(SECOND)]), HealthState::Fine);
    }

    #[test]
    fn only_the_servers_own_word_tells_saturation_from_silence() {
        let now = Instant::now();
        let mut history = after(&[answered(SECOND)]);
        history.loaded(now, Some(Load { running: 2, waiting: 4, server: "llama.cpp" }));
        let health = history.assess(now);
        assert_eq!(health.state, HealthState::Saturated);
        assert_eq!(health.what, "end point saturated: 4 requests wait behind 2 (llama.cpp)");
        assert_eq!(history.assess(now + 2 * LOAD_FRESH).state, HealthState::Fine, "what it said is old");
        history.observe(&timeout(Phase::FirstContent));
        assert_eq!(history.assess(now).state, HealthState::Saturated);
        history.loaded(now, None);
        assert_eq!(history.assess(now).state, HealthState::NotResponding);
    }

    #[test]
    fn slow_is_late_or_later_than_usual() {
        assert_eq!(state(&[answered(11 * SECOND)]), HealthState::Slow);
        let usual = || vec![answered(SECOND / 2); 5];
        assert_eq!(state(&usual()), HealthState::Fine);
        assert_eq!(state(&[usual(), vec![answered(3 * SECOND)]].concat()), HealthState::Slow);
        assert_eq!(state(&[answered(SECOND / 2), answered(3 * SECOND)]), HealthState::Fine, "one is no history");
        let quick = vec![answered(SECOND / 100); 5];
        assert_eq!(state(&[quick, vec![answered(SECOND)]].concat()), HealthState::Fine, "it is not felt");
    }

    #[test]
    fn a_prompt_that_was_cut_without_a_word_is_noticed() {
        let read = |input_tokens, cached_tokens| {
            let usage = Usage { input_tokens, output_tokens: 9, cached_tokens, reported: true };
            Observation { usage, counted_tokens: Some(9_000), ..answered(SECOND) }
        };
        assert_eq!(state(&[read(2_048, 0)]), HealthState::ContextOverflow);
        assert_eq!(state(&[read(6_000, 0)]), HealthState::Fine);
        assert_eq!(state(&[read(10_000, 0), read(300, 0)]), HealthState::Fine, "the rest came from its cache");
        assert_eq!(state(&[read(300, 8_000)]), HealthState::Fine);
        let short = Observation { counted_tokens: Some(100), ..read(30, 0) };
        assert_eq!(state(&[short]), HealthState::Fine);
    }

    #[test]
    fn answers_are_tallied() {
        let judged = |valid| Observation { valid: Some(valid), schema_kept: Some(true), ..answered(SECOND) };
        assert_eq!(state(&[judged(false)]), HealthState::Fine, "one says nothing");
        assert_eq!(state(&[judged(false), judged(true), judged(false)]), HealthState::AnswersFail);
        assert_eq!(state(&[judged(false), judged(false), judged(true), judged(true), judged(true)]), HealthState::Fine);
        let shapeless = Observation { schema_kept: Some(false), valid: Some(false), ..answered(SECOND) };
        assert_eq!(state(std::slice::from_ref(&shapeless)), HealthState::SchemaNotEnforced);
        let empty = Observation::new(Outcome::Finished(FinishReason::Length));
        assert_eq!(state(&[judged(true), empty]), HealthState::AnswersFail);
        let mut probed = after(&[]);
        probed.probed_schema(false);
        assert_eq!(probed.assess(Instant::now()).state, HealthState::SchemaNotEnforced);
        probed.observe(&judged(true));
        assert_eq!(probed.assess(Instant::now()).state, HealthState::Fine, "the model keeps it by itself");
    }

    #[test]
    fn a_canary_tells_the_end_point_from_the_prompt() {
        let now = Instant::now();
        let mut history = after(&[timeout(Phase::Stall)]);
        assert_eq!(history.assess(now).state, HealthState::Failing);
        history.canary(now, Ok(()));
        assert_eq!(history.assess(now).state, HealthState::Fine);
        history.canary(now, Err(LlmErrorKind::Unreachable { what: "refused".into() }));
        assert_eq!(history.assess(now).state, HealthState::NotResponding);
        assert_eq!(history.assess(now + 2 * CANARY_FRESH).state, HealthState::Failing);
        let rejected = Outcome::Failed(LlmErrorKind::Rejected { status: 400, what: "no".into() });
        let mut history = after(&[Observation::new(rejected)]);
        history.canary(now, Ok(()));
        assert!(history.assess(now).what.starts_with("it answers short questions"));
    }
}
