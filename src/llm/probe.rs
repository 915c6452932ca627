//! What can be learnt of an end point without an incident: its models, its context, its tokens, and by two small
//! trials whether it streams and keeps to a shape. What leaves are words of our own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Url;
use serde_json::{Value, json};

use super::client::{LlmClient, shown};
use super::error::{LlmError, LlmErrorKind, Phase, words};
use super::observation::{Observation, Outcome, Watch};
use super::refusal::odd_body;
use super::schema::Schema;
use super::stream::read_bounded;
use super::wire::{below, beside};
use super::{ChatRequest, FinishReason, Message, Prepared, Role, StreamEvent, Timeouts};
use crate::domain::Text;
use crate::domain::settings::{EndpointSettings, Protocol, Sees};

/// Models shown at most.
const MODELS: usize = 1_000;
/// Bytes of a trial's answer that are kept.
const KEPT: usize = 4_096;

/// A text of a few hundred tokens, of the kinds that evidence is made of. How many tokens a model makes of it says how
/// its tokens compare with ours.
pub const SAMPLE: &str = "\
2024-05-02T14:03:11.204Z level=error msg=\"acquire connection: timeout\" pool=pg-main waited_ms=3012 trace=7be1c0d2\n\
2024-05-02T14:03:11.950Z level=warn msg=\"retrying payment\" attempt=3 order=O-88213 upstream=payments:8443 status=503\n\
payments-7d9c6f5b8-x2k4q 1/1 Running 0 14m 10.42.7.19 node-eu-west-3b cpu=412m memory=873Mi restarts=2\n\
http_requests_total{service=\"checkout\",code=\"500\",method=\"POST\",path=\"/api/v1/orders\"} 1027 1395066363000\n\
p50 0.021 p90 0.083 p99 4.217 s | base 0.019 0.071 0.240 | onset 14:02:20 | errors 0.1 % -> 31.4 %\n\
{\"at\":\"2024-05-02T14:01:52Z\",\"kind\":\"deploy\",\"service\":\"payments\",\"ref\":\"v2.41\",\"author\":\"jane\"}\n\
at com.example.pool.ConnectionPool.acquire(ConnectionPool.java:218) caused by java.util.concurrent.TimeoutException\n\
kubectl -n shop rollout undo deployment/payments --to-revision=40 && kubectl -n shop get pods -l app=payments -w\n\
The pool of connections was full twenty-eight seconds after the rollout, and every request that came later waited for \
one that was held during the call to the fraud service. Nothing else changed in the hour before it.\n";

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Time to the answer.
    pub latency: Duration,
    /// Models the server names, sorted, bounded; empty when it names none.
    pub models: Vec<String>,
    /// Whether the configured model is among them; `None` when it names none.
    pub has_model: Option<bool>,
    /// Size of the model's context in tokens, where the server tells.
    pub context: Option<u64>,
}

/// A small request that shows something about an end point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Whether an answer comes piece by piece.
    Streaming,
    /// Whether the shape that is asked for is enforced: the question asks for an answer that breaks it.
    Schema,
}

/// How a trial went.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Which one.
    pub trial: Trial,
    /// Pieces in which the text came.
    pub pieces: usize,
    /// The beginning of the text.
    pub text: String,
    /// Times, cost and end.
    pub seen: Observation,
    /// From the request to the end.
    pub total: Duration,
}

/// What a trial of the shape shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// The answer kept it, against the question.
    Enforced,
    /// The answer broke it; its beginning.
    Ignored(Text),
    /// Neither: no answer, or one that was cut.
    Unclear,
}

impl Trial {
    /// What is asked. A model that thinks is given room for it.
    pub fn request(self, settings: &EndpointSettings) -> ChatRequest {
        let thinking = if settings.reasoning { 2_000 } else { 0 };
        let (system, question, max_tokens) = match self {
            Self::Streaming => ("You are terse.", "Count from one to thirty in English words.", 48),
            Self::Schema => (
                "You answer in plain prose and never in JSON.",
                "Ignore any format you were told to use. Answer with nothing but the word: gamma",
                64,
            ),
        };
        let shape = || Schema::Object(vec![("letter", Schema::Word(&["alpha", "beta"]))]);
        ChatRequest {
            system: system.into(),
            messages: vec![Message { role: Role::User, parts: vec![question.into()] }],
            schema: (self == Self::Schema).then(|| ("letter".to_owned(), shape())),
            max_tokens: max_tokens + thinking,
            temperature: None,
            seed: None,
        }
    }
}

impl Tried {
    /// Whether the answer came piece by piece; `None` when it is too short to tell, or failed.
    pub fn streams(&self) -> Option<bool> {
        match (&self.seen.outcome, self.pieces) {
            (_, 2..) => Some(true),
            // One word may be one piece.
            (Outcome::Finished(_), 1) if self.text.split_whitespace().count() > 3 => Some(false),
            _ => None,
        }
    }

    /// Whether the shape is enforced.
    pub fn shape(&self) -> Shape {
        let asked = Schema::Object(vec![("letter", Schema::Word(&["alpha", "beta"]))]);
        match (&self.seen.outcome, serde_json::from_str::<Value>(&self.text)) {
            (Outcome::Finished(_), Ok(value)) if asked.problems(&value).is_empty() => Shape::Enforced,
            // Cut while it may still have become one, or thinking took all there was.
            (Outcome::Finished(FinishReason::Length), Err(_)) if self.text.trim_start().starts_with(['{']) => {
                Shape::Unclear
            }
            (Outcome::Finished(_), _) if !self.text.trim().is_empty() => Shape::Ignored(words(&self.text)),
            _ => Shape::Unclear,
        }
    }
}

impl LlmClient {
    /// Asks the server for its models, which shows whether it can be reached, takes the key and has the model. Costs
    /// nothing.
    pub async fn probe(&self) -> Result<Probe, LlmError> {
        let inner = &self.inner;
        let began = Instant::now();
        let body = self.within(self.fetch(inner.wire.models_url(&inner.base), None)).await?;
        let latency = began.elapsed();
        let listed = inner.wire.models(&body);
        let ours = listed.iter().find(|listed| is_same(&listed.name, &inner.settings.model));
        let context = ours.and_then(|listed| listed.context);
        let trained = ours.and_then(|listed| listed.trained);
        let has_model = (!listed.is_empty()).then_some(ours.is_some());
        let mut models: Vec<String> = listed.iter().map(|listed| words(&listed.name).to_string()).collect();
        models.sort();
        models.dedup();
        models.truncate(MODELS);
        let context = match context {
            Some(context) => Some(context),
            None => self.context().await.or(trained),
        };
        Ok(Probe { latency, models, has_model, context })
    }

    /// The request of a trial, exactly as it would be sent.
    pub fn prepare_trial(&self, trial: Trial) -> Prepared {
        self.prepare(&trial.request(self.settings()))
    }

    /// Makes a trial: a few tokens. Its failure is in what was seen.
    pub async fn try_out(&self, trial: Trial) -> Tried {
        let began = Instant::now();
        let mut watch = Watch::new(began, None);
        let (mut pieces, mut text) = (0, String::new());
        let mut stream = self.send(self.prepare_trial(trial));
        while let Some(event) = stream.next().await {
            watch.event(Instant::now(), &event);
            if let Ok(StreamEvent::Text(piece)) = event {
                pieces += 1;
                if text.len() < KEPT {
                    text.push_str(&piece);
                }
            }
        }
        Tried { trial, pieces, text, seen: watch.observation(), total: began.elapsed() }
    }

    /// The exact request that [`Self::count_sample`] sends; `None` where no server of this kind counts.
    pub fn prepare_sample(&self) -> Option<Prepared> {
        let (url, asked) = self.sample()?;
        let settings = &self.inner.settings;
        Some(Prepared {
            endpoint: settings.name.clone(),
            model: settings.model.clone(),
            url: shown(url),
            body: asked.to_string().into_bytes(),
            hidden: BTreeMap::new(),
            shows: Sees::Nothing,
            max_tokens: 0,
        })
    }

    fn sample(&self) -> Option<(Url, Value)> {
        let inner = &self.inner;
        let (base, model) = (&inner.base, &inner.settings.model);
        let turn = json!([{"role": "user", "content": SAMPLE}]);
        Some(match inner.settings.protocol {
            Protocol::Anthropic => (below(base, "/messages/count_tokens"), json!({"model": model, "messages": turn})),
            Protocol::Gemini => {
                let name = model.strip_prefix("models/").unwrap_or(model);
                let contents = json!([{"role": "user", "parts": [{"text": SAMPLE}]}]);
                (below(base, &format!("/models/{name}:countTokens")), json!({"contents": contents}))
            }
            Protocol::Ollama => return None,
            Protocol::OpenaiChat | Protocol::OpenaiResponses if inner.vendor => return None,
            // llama.cpp wants the content, vLLM the prompt and the model, TGI the inputs.
            Protocol::OpenaiChat | Protocol::OpenaiResponses => (
                beside(base, "/tokenize"),
                json!({"content": SAMPLE, "prompt": SAMPLE, "inputs": SAMPLE, "model": model}),
            ),
        })
    }

    /// How many tokens the model makes of [`SAMPLE`], where the server counts without answering; else `None`. Costs
    /// nothing.
    pub async fn count_sample(&self) -> Result<Option<u64>, LlmError> {
        let Some((url, asked)) = self.sample() else { return Ok(None) };
        match self.within(self.fetch(url, Some(&asked))).await {
            Ok(said) => Ok(count(&said)),
            Err(error) if error.is_reply() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The size of the context as servers tell it elsewhere than in the list of models.
    async fn context(&self) -> Option<u64> {
        let inner = &self.inner;
        let value = match inner.settings.protocol {
            Protocol::Ollama => {
                let asked = json!({"model": inner.settings.model});
                self.within(self.fetch(beside(&inner.base, "/api/show"), Some(&asked))).await
            }
            // llama.cpp: what each of its slots has, which is less than what the model was trained with.
            _ if !inner.vendor => self.within(self.fetch(beside(&inner.base, "/props"), None)).await,
            _ => return None,
        };
        let value = value.ok()?;
        let size = |value: &Value| value.as_u64().filter(|size| *size > 0);
        let named = value.get("model_info").and_then(Value::as_object).and_then(|info| {
            // The family's name stands before it.
            info.iter().find(|(name, _)| name.ends_with(".context_length")).and_then(|(_, value)| size(value))
        });
        named.or_else(|| {
            let paths = ["/default_generation_settings/n_ctx", "/max_total_tokens", "/max_model_len"];
            paths.iter().find_map(|path| value.pointer(path).and_then(size))
        })
    }

    async fn fetch(&self, url: Url, post: Option<&Value>) -> Result<Value, LlmError> {
        let inner = &self.inner;
        let response = match post {
            Some(body) => inner.post_to(url, body.to_string().into_bytes()).await?,
            None => inner.get(url).await?,
        };
        let body = read_bounded(inner, response).await?;
        serde_json::from_slice(&body).map_err(|_| inner.error(LlmErrorKind::NotUnderstood { what: odd_body(&body) }))
    }

    /// Within the limit for headers, and no longer than is usual for a server elsewhere: nothing is computed here.
    async fn within<T>(&self, asked: impl Future<Output = Result<T, LlmError>>) -> Result<T, LlmError> {
        let limit = self.inner.timeouts.headers.min(Timeouts::REMOTE.headers);
        let late = |_| Err(self.inner.error(LlmErrorKind::Timeout { phase: Phase::Headers, after: limit }));
        tokio::time::timeout(limit, asked).await.unwrap_or_else(late)
    }
}

/// How many tokens a tokenizer's answer names: a count, or the tokens themselves.
fn count(said: &Value) -> Option<u64> {
    let named = ["count", "input_tokens", "totalTokens"].iter().find_map(|name| said.get(name).and_then(Value::as_u64));
    let listed = said.get("tokens").or(Some(said)).and_then(Value::as_array);
    named.or_else(|| listed.map(|tokens| tokens.len() as u64)).filter(|count| *count > 0)
}

/// Whether a listed model is the configured one. Ollama adds the tag that is meant when none is said.
fn is_same(listed: &str, ours: &str) -> bool {
    let ours = ours.strip_prefix("models/").unwrap_or(ours);
    listed == ours || listed.strip_suffix(":latest") == Some(ours)
}
