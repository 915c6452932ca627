//! One end point: its settings, requests and errors.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue as HttpHeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

use super::anthropic::Anthropic;
use super::error::{LlmError, LlmErrorKind, Phase, words};
use super::openai::OpenAi;
use super::stream::{EventStream, read_bounded};
use super::{ChatRequest, FinishReason, Timeouts};
use crate::domain::diagnosis::Usage;
use crate::domain::settings::{EndpointSettings, HeaderValue, Protocol, Secrets, Sees};

/// What one frame of a stream holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// More of the answer.
    Text(String),
    /// A sign of life that is not part of the answer: the model thinks.
    Progress,
    /// Cost so far.
    Usage(Usage),
    /// Why the answer is over; the terminal frame may still follow.
    Finish(FinishReason),
    /// The terminal frame.
    End,
}

/// A wire format.
pub(super) trait Wire: Send + Sync {
    /// Base URL of the vendor.
    fn default_url(&self) -> &'static str;
    /// Path under the base URL.
    fn path(&self) -> &'static str;
    /// Header that carries the key.
    fn key_header(&self, key: &str) -> (&'static str, String);
    /// Further headers the protocol wants.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// The request. `vendor` says that it goes to the inventor of the protocol.
    fn body(&self, model: &str, request: &ChatRequest, vendor: bool) -> Vec<u8>;
    /// Reads a frame that is not an error.
    fn decode(&self, event: &str, data: &str) -> Result<Vec<Piece>, String>;
    /// Reads the answer of a server that does not stream; `None` when it is none.
    fn decode_whole(&self, body: &Value) -> Option<Vec<Piece>>;
}

/// A request that is ready to leave: exactly what will be sent, except for the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Name of the end point.
    pub endpoint: String,
    /// The model.
    pub model: String,
    /// Where it goes.
    pub url: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Masked values in it, by kind, repetitions included.
    pub hidden: BTreeMap<String, usize>,
    /// What whoever reads it comes to see.
    pub shows: Sees,
}

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

/// An end point. Cloning is cheap.
#[derive(Clone)]
pub struct LlmClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) settings: EndpointSettings,
    secrets: Arc<dyn Secrets>,
    base: Url,
    pub(super) vendor: bool,
    http: Client,
    pub(super) wire: &'static dyn Wire,
    pub(super) timeouts: Timeouts,
}

impl std::fmt::Debug for LlmClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmClient").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl LlmClient {
    /// Makes a client. Asks nothing yet; fails on settings that cannot work (URL, certificate file, proxy).
    pub fn new(settings: EndpointSettings, secrets: Arc<dyn Secrets>) -> Result<Self, LlmError> {
        let timeouts = match parse_base(&settings) {
            Ok(url) if is_local(&url) => Timeouts::LOCAL,
            _ => Timeouts::REMOTE,
        };
        Self::with_timeouts(settings, secrets, timeouts)
    }

    /// As [`Self::new`], with other limits.
    pub fn with_timeouts(
        settings: EndpointSettings,
        secrets: Arc<dyn Secrets>,
        timeouts: Timeouts,
    ) -> Result<Self, LlmError> {
        let refuse = |what: String| LlmError {
            endpoint: settings.name.clone(),
            kind: LlmErrorKind::Settings { what: words(&what) },
        };
        let base = parse_base(&settings).map_err(refuse)?;
        let wire = wire(settings.protocol);
        let vendor = Url::parse(wire.default_url()).is_ok_and(|url| url.host_str() == base.host_str());
        // Installing twice is an error that says it is installed: what we want.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(timeouts.connect)
            // A redirect would carry the prompt to a host nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("stanch/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca {
            let pem = std::fs::read(path).map_err(|error| refuse(format!("ca {}: {error}", path.display())))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| refuse(format!("ca {}: {error}", path.display())))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(proxy) = &settings.proxy {
            let proxy = reqwest::Proxy::all(proxy).map_err(|error| refuse(format!("proxy: {error}")))?;
            builder = builder.proxy(proxy);
        } else if is_loopback(&base) {
            // No proxy of the environment can reach this host's own loopback.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| refuse(chain(&error)))?;
        Ok(Self { inner: Arc::new(Inner { settings, secrets, base, vendor, http, wire, timeouts }) })
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &EndpointSettings {
        &self.inner.settings
    }

    /// The exact request that [`Self::send`] would send.
    pub fn prepare(&self, request: &ChatRequest) -> Prepared {
        let inner = &self.inner;
        Prepared {
            endpoint: inner.settings.name.clone(),
            model: inner.settings.model.clone(),
            url: inner.url(inner.wire.path()).to_string(),
            body: inner.wire.body(&inner.settings.model, request, inner.vendor),
            hidden: request.hidden(),
            shows: request.shows(),
        }
    }

    /// What this end point may see: as set, else everything but secrets on this host and in private networks, and
    /// masked text elsewhere.
    pub fn sees(&self) -> Sees {
        let usual = if is_local(&self.inner.base) { Sees::Production } else { Sees::Redacted };
        self.inner.settings.sees.unwrap_or(usual)
    }

    /// Sends a prepared request. Nothing leaves before the stream is first polled, and nothing at all when the text
    /// shows more than this end point may see.
    pub fn send(&self, prepared: Prepared) -> EventStream {
        if prepared.shows > self.sees() {
            let what = format!(
                "it may see {}, and the text shows {}: nothing was sent",
                self.sees().word(),
                prepared.shows.word()
            );
            return EventStream::refused(self.inner.error(LlmErrorKind::NotAllowed { what: words(&what) }));
        }
        EventStream::new(Arc::clone(&self.inner), prepared.body)
    }

    /// Prepares and sends.
    pub fn stream(&self, request: &ChatRequest) -> EventStream {
        self.send(self.prepare(request))
    }

    /// Asks the server for its models, which shows whether it can be reached, takes the key and has the model. Costs
    /// nothing.
    pub async fn probe(&self) -> Result<Probe, LlmError> {
        let inner = &self.inner;
        let began = Instant::now();
        let limit = inner.timeouts.headers.min(Timeouts::REMOTE.headers);
        let answer = async {
            let response = inner.get(inner.url("/models")).await?;
            let body = read_bounded(inner, response).await?;
            serde_json::from_slice::<Value>(&body)
                .map_err(|_| inner.error(LlmErrorKind::NotUnderstood { what: odd_body(&body) }))
        };
        let body = tokio::time::timeout(limit, answer)
            .await
            .map_err(|_| inner.error(LlmErrorKind::Timeout { phase: Phase::Headers, after: limit }))??;
        let listed: Vec<&Value> =
            body.get("data").and_then(Value::as_array).into_iter().flatten().take(1_000).collect();
        let id = |entry: &Value| entry.get("id").and_then(Value::as_str).map(|id| words(id).to_string());
        let mut models: Vec<String> = listed.iter().filter_map(|entry| id(entry)).collect();
        models.sort();
        models.dedup();
        let ours = listed.iter().find(|entry| id(entry).as_deref() == Some(inner.settings.model.as_str()));
        let context = ours.and_then(|entry| {
            ["/max_model_len", "/meta/n_ctx", "/meta/n_ctx_train", "/context_length", "/context_window"]
                .iter()
                .find_map(|path| entry.pointer(path).and_then(Value::as_u64))
        });
        Ok(Probe {
            latency: began.elapsed(),
            has_model: (!models.is_empty()).then_some(ours.is_some()),
            models,
            context,
        })
    }
}

fn wire(protocol: Protocol) -> &'static dyn Wire {
    match protocol {
        Protocol::OpenaiChat => &OpenAi,
        Protocol::Anthropic => &Anthropic,
    }
}

fn parse_base(settings: &EndpointSettings) -> Result<Url, String> {
    let text = settings.url.as_deref().unwrap_or_else(|| wire(settings.protocol).default_url());
    let url = Url::parse(text.trim_end_matches('/')).map_err(|error| format!("url `{text}`: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("url `{text}` must begin with http:// or https:// and name a host"));
    }
    Ok(url)
}

/// `v1`, `v1beta`, `api`: what stands between a server and the methods of its API.
fn is_version(part: &str) -> bool {
    part == "api" || part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"))
        || address(url).is_some_and(|address| address.is_loopback())
}

/// This host, or a private network.
fn is_local(url: &Url) -> bool {
    is_loopback(url)
        || match address(url) {
            Some(IpAddr::V4(v4)) => v4.is_private() || v4.is_link_local(),
            Some(IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_unicast_link_local(),
            None => url.host_str().is_some_and(|host| !host.contains('.') || host.rsplit('.').next() == Some("local")),
        }
}

/// An error with its causes: reqwest's own message leaves out what happened.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// What a body that should have been JSON is, in words.
pub(super) fn odd_body(body: &[u8]) -> crate::domain::Text {
    let text = String::from_utf8_lossy(&body[..body.len().min(2_000)]);
    let start = text.trim_start();
    if start.is_empty() {
        return "an empty body".into();
    }
    if start.starts_with('<') {
        return "a web page, not JSON".into();
    }
    words(&format!("not JSON: {}", start.chars().take(120).collect::<String>()))
}

impl Inner {
    pub(super) fn error(&self, kind: LlmErrorKind) -> LlmError {
        LlmError { endpoint: self.settings.name.clone(), kind }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// A path of the server itself, beside its API: without the last part of the base URL when that is a version.
    pub(super) fn root(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let base = self.base.path().trim_end_matches('/');
        let base = base.rsplit_once('/').filter(|(_, last)| is_version(last)).map_or(base, |(before, _)| before);
        url.set_path(&format!("{base}{path}"));
        url
    }

    /// Gets a page, accepted.
    pub(super) async fn get(&self, url: Url) -> Result<Response, LlmError> {
        let request = self.http.get(url).headers(self.headers().await?);
        let response = request.send().await.map_err(|error| self.transport(&error))?;
        self.accept(response).await
    }

    /// Headers with credentials fetched now, so that they may rotate.
    async fn headers(&self) -> Result<HeaderMap, LlmError> {
        let mut wanted: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for (name, value) in self.wire.headers() {
            wanted.insert((*name).to_owned(), ((*value).to_owned(), false));
        }
        if let Some(key) = &self.settings.key {
            let key = self.fetch(key).await?;
            let (name, value) = self.wire.key_header(&key);
            wanted.insert(name.to_owned(), (value, true));
        }
        for (name, value) in &self.settings.headers {
            let value = match value {
                HeaderValue::Plain(value) => (value.clone(), false),
                HeaderValue::Secret(secret) => (self.fetch(secret).await?, true),
            };
            wanted.insert(name.to_ascii_lowercase(), value);
        }
        let mut headers = HeaderMap::new();
        for (name, (value, secret)) in wanted {
            let refuse = |what: String| self.error(LlmErrorKind::Settings { what: words(&what) });
            let key = HeaderName::try_from(&name).map_err(|_| refuse(format!("`{name}` is no header name")))?;
            let mut value = HttpHeaderValue::try_from(&value)
                .map_err(|_| refuse(format!("the value of the header {name} has characters that cannot be sent")))?;
            value.set_sensitive(secret);
            headers.insert(key, value);
        }
        Ok(headers)
    }

    async fn fetch(&self, secret: &crate::domain::settings::SecretRef) -> Result<String, LlmError> {
        self.secrets.fetch(secret).await.map_err(|why| self.error(LlmErrorKind::Secret { what: words(&why) }))
    }

    /// Sends a request and waits for accepted headers.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<Response, LlmError> {
        let headers = self.headers().await?;
        let request = self
            .http
            .post(self.url(self.wire.path()))
            .headers(headers)
            .header("content-type", "application/json")
            .header("accept", "text/event-stream, application/json")
            .body(body);
        let response = request.send().await.map_err(|error| self.transport(&error))?;
        self.accept(response).await
    }

    pub(super) fn transport(&self, error: &reqwest::Error) -> LlmError {
        if error.is_connect() && error.is_timeout() {
            return self.error(LlmErrorKind::Timeout { phase: Phase::Connect, after: self.timeouts.connect });
        }
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or_default();
        // The URL may carry a key in its query.
        let mut cause = std::error::Error::source(error);
        let mut text = String::new();
        while let Some(error) = cause {
            text = error.to_string();
            cause = error.source();
        }
        self.error(LlmErrorKind::Unreachable { what: words(&format!("{host}:{port}: {text}")) })
    }

    /// Turns a refusal into its error.
    async fn accept(&self, response: Response) -> Result<Response, LlmError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers());
        let location = response.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned);
        let body = read_bounded(self, response).await.unwrap_or_default();
        if status.is_redirection() {
            let to = location.unwrap_or_default();
            return Err(self.error(LlmErrorKind::NotUnderstood { what: words(&format!("redirects to {to}")) }));
        }
        Err(self.error(self.refusal(status, retry_after, &body)))
    }

    fn refusal(&self, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> LlmErrorKind {
        let value: Option<Value> = serde_json::from_slice(body).ok();
        let message = value.as_ref().and_then(message_of);
        let what = match &message {
            Some(message) => words(message),
            None => odd_body(body),
        };
        if let Some(overflow) = value.as_ref().and_then(overflow) {
            return overflow;
        }
        let code = status.as_u16();
        match code {
            401 | 403 => LlmErrorKind::Unauthorized { status: code, what },
            404 => LlmErrorKind::ModelNotFound { model: self.settings.model.clone(), what },
            400 | 422 if message.as_deref().is_some_and(names_model) => {
                LlmErrorKind::ModelNotFound { model: self.settings.model.clone(), what }
            }
            429 => LlmErrorKind::RateLimited { retry_after, what },
            500.. => LlmErrorKind::Server { status: code, retry_after, what },
            _ => LlmErrorKind::Rejected { status: code, what },
        }
    }

    /// The error that stands in a frame or body of a successful response, if there is one.
    pub(super) fn in_band(&self, event: &str, data: &str) -> Option<LlmError> {
        if event != "error" && !data.contains("\"error\"") {
            return None;
        }
        let value: Value = serde_json::from_str(data).unwrap_or(Value::Null);
        let named = value.get("error").is_some_and(|error| !error.is_null());
        if event != "error" && !named {
            return None;
        }
        let kind = overflow(&value).unwrap_or_else(|| LlmErrorKind::InBand {
            what: words(&message_of(&value).unwrap_or_else(|| data.to_owned())),
        });
        Some(self.error(kind))
    }
}

/// `Retry-After` in seconds; the form with a date is not used by these servers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)))
}

/// The server's words: `{"error":{"message"}}`, `{"error":"…"}`, `{"message"}`, `{"detail"}`.
fn message_of(value: &Value) -> Option<String> {
    ["/error/message", "/error", "/message", "/detail"]
        .iter()
        .find_map(|path| value.pointer(path).and_then(Value::as_str))
        .map(str::to_owned)
        .or_else(|| value.get("error").filter(|error| error.is_object()).map(ToString::to_string))
}

fn names_model(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("model")
        && ["not found", "does not exist", "not exist", "unknown model", "invalid model", "no such model"]
            .iter()
            .any(|words| message.contains(words))
}

/// A request that does not fit, as the different servers say it.
fn overflow(value: &Value) -> Option<LlmErrorKind> {
    let error = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
    let word = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = message_of(value).unwrap_or_default();
    let lower = message.to_ascii_lowercase();
    let says = word("type") == "exceed_context_size_error"
        || word("code") == "context_length_exceeded"
        || lower.contains("maximum context length")
        || lower.contains("prompt is too long")
        || lower.contains("exceeds the available context size")
        || lower.contains("context length exceeded")
        || lower.contains("context window");
    if !says {
        return None;
    }
    let count = |name: &str| error.get(name).and_then(Value::as_u64);
    let (mut tokens, mut limit) = (count("n_prompt_tokens"), count("n_ctx"));
    if limit.is_none() {
        // "maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens",
        // "prompt is too long: 208310 tokens > 200000 maximum": the smaller is the limit.
        let mut numbers: Vec<u64> = lower
            .split(|c: char| !(c.is_ascii_digit() || c == ','))
            .filter_map(|digits| digits.replace(',', "").parse().ok())
            .filter(|number| *number >= 100)
            .collect();
        numbers.truncate(2);
        numbers.sort_unstable();
        if let [small, large] = numbers.as_slice() {
            (limit, tokens) = (Some(*small), Some(*large));
        }
    }
    Some(LlmErrorKind::ContextOverflow { tokens, limit, what: words(&message) })
}
