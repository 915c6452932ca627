//! What the wire formats have in common.

use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::anthropic::Anthropic;
use super::gemini::Gemini;
use super::ollama::Ollama;
use super::openai::OpenAi;
use super::responses::Responses;
use super::schema::Schema;
use super::{ChatRequest, FinishReason};
use crate::domain::diagnosis::Usage;
use crate::domain::settings::{EndpointSettings, Protocol};

/// What one frame of a stream holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// More of the answer.
    Text(String),
    /// A sign of life that is not part of the answer: the model thinks. With the bytes of the thought, where they are
    /// told.
    Thought(usize),
    /// Cost so far.
    Usage(Usage),
    /// Why the answer is over; the terminal frame may still follow.
    Finish(FinishReason),
    /// The terminal frame.
    End,
}

/// A part of a message, as most formats have it.
#[derive(Serialize)]
pub(super) struct Part<'a> {
    pub(super) r#type: &'static str,
    pub(super) text: &'a str,
}

/// A request and where it goes.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) settings: &'a EndpointSettings,
    pub(super) request: &'a ChatRequest,
    /// Whether it goes to the inventor of the protocol, whose newest models know only the newest options.
    pub(super) vendor: bool,
}

impl<'a> Ask<'a> {
    /// The shape that is asked for, with its name, without bounds of lists: some vendors refuse a shape that has any
    /// (Anthropic, Azure), and behind a compatible server any vendor may stand.
    pub(super) fn schema(&self) -> Option<(&'a str, Schema)> {
        self.request.schema.as_ref().map(|(name, schema)| (name.as_str(), schema.unbounded()))
    }

    /// The temperature, for servers that take one from us: models that think insist on their own.
    pub(super) fn temperature(&self) -> Option<f64> {
        self.request.temperature.filter(|_| !self.vendor && !self.settings.reasoning)
    }
}

/// A model that a server names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    /// Tokens of its context.
    pub(super) context: Option<u64>,
    /// Tokens of the context it was trained with: the server may give it less.
    pub(super) trained: Option<u64>,
}

/// A wire format.
pub(super) trait Wire: Send + Sync {
    /// Base URL of the vendor.
    fn default_url(&self) -> &'static str;
    /// Where a request goes.
    fn url(&self, base: &Url, model: &str) -> Url;
    /// Where the models are listed.
    fn models_url(&self, base: &Url) -> Url {
        below(base, "/models")
    }
    /// Header that carries the key.
    fn key_header(&self, base: &Url, key: &str) -> (&'static str, String);
    /// Further headers the protocol wants.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// The request.
    fn body(&self, ask: Ask<'_>) -> Vec<u8>;
    /// Reads a frame that is not an error.
    fn decode(&self, event: &str, data: &str) -> Result<Vec<Piece>, String>;
    /// Reads the answer of a server that does not stream; `None` when it is none.
    fn decode_whole(&self, body: &Value) -> Option<Vec<Piece>>;
    /// Reads the list of models.
    fn models(&self, body: &Value) -> Vec<Listed> {
        const CONTEXT: [&str; 5] =
            ["/max_model_len", "/meta/n_ctx", "/context_length", "/context_window", "/max_input_tokens"];
        let listed = body.get("data").and_then(Value::as_array).into_iter().flatten();
        listed
            .filter_map(|entry| {
                let name = entry.get("id")?.as_str()?.to_owned();
                let context = CONTEXT.iter().find_map(|path| entry.pointer(path).and_then(Value::as_u64));
                let trained = entry.pointer("/meta/n_ctx_train").and_then(Value::as_u64);
                Some(Listed { name, context, trained })
            })
            .collect()
    }
}

pub(super) fn wire(protocol: Protocol) -> &'static dyn Wire {
    match protocol {
        Protocol::OpenaiChat => &OpenAi,
        Protocol::OpenaiResponses => &Responses,
        Protocol::Anthropic => &Anthropic,
        Protocol::Gemini => &Gemini,
        Protocol::Ollama => &Ollama,
    }
}

/// A path under the base URL, whose query is kept.
pub(super) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// A path of the server itself, beside its API: without the last part of the base URL when that is a version.
pub(super) fn beside(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let before = base.path().trim_end_matches('/');
    let before = before.rsplit_once('/').filter(|(_, last)| is_version(last)).map_or(before, |(before, _)| before);
    url.set_path(&format!("{before}{path}"));
    url
}

/// `v1`, `v1beta`, `api`: what stands between a server and the methods of its API.
fn is_version(part: &str) -> bool {
    part == "api" || part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Microsoft's hosting of OpenAI's models, which behaves like the vendor and takes the key in a header of its own.
pub(super) fn is_azure(base: &Url) -> bool {
    base.host_str().is_some_and(|host| host.ends_with(".azure.com") || host.ends_with(".azure.us"))
}

/// The key as OpenAI and Azure take it.
pub(super) fn bearer(base: &Url, key: &str) -> (&'static str, String) {
    if is_azure(base) { ("api-key", key.to_owned()) } else { ("authorization", format!("Bearer {key}")) }
}

/// The bytes of a body.
pub(super) fn bytes(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("texts and numbers always serialise")
}

/// A frame that must be JSON.
pub(super) fn json(data: &str) -> Result<Value, String> {
    serde_json::from_str(data).map_err(|error| format!("a frame is not JSON: {error}"))
}
