//! What can be learnt of an end point without an incident.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Timeouts;
use super::client::LlmClient;
use super::error::{LlmError, LlmErrorKind, Phase, words};
use super::refusal::odd_body;
use super::stream::read_bounded;
use super::wire::Listed;

/// Models shown at most.
const MODELS: usize = 1_000;

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

impl LlmClient {
    /// Asks the server for its models, which shows whether it can be reached, takes the key and has the model. Costs
    /// nothing.
    pub async fn probe(&self) -> Result<Probe, LlmError> {
        let inner = &self.inner;
        let began = Instant::now();
        let limit = inner.timeouts.headers.min(Timeouts::REMOTE.headers);
        let answer = async {
            let response = inner.get(inner.wire.models_url(&inner.base)).await?;
            let body = read_bounded(inner, response).await?;
            serde_json::from_slice::<Value>(&body)
                .map_err(|_| inner.error(LlmErrorKind::NotUnderstood { what: odd_body(&body) }))
        };
        let body = tokio::time::timeout(limit, answer)
            .await
            .map_err(|_| inner.error(LlmErrorKind::Timeout { phase: Phase::Headers, after: limit }))??;
        let listed = inner.wire.models(&body);
        let ours = listed.iter().find(|listed| is_same(&listed.name, &inner.settings.model));
        let context = ours.and_then(|Listed { context, .. }| *context);
        let has_model = (!listed.is_empty()).then_some(ours.is_some());
        let mut models: Vec<String> = listed.iter().map(|listed| words(&listed.name).to_string()).collect();
        models.sort();
        models.dedup();
        models.truncate(MODELS);
        Ok(Probe { latency: began.elapsed(), has_model, models, context })
    }
}

/// Whether a listed model is the configured one. Ollama adds the tag that is meant when none is said.
fn is_same(listed: &str, ours: &str) -> bool {
    let ours = ours.strip_prefix("models/").unwrap_or(ours);
    listed == ours || listed.strip_suffix(":latest") == Some(ours)
}
