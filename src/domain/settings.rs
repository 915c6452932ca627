//! Settings of sources and end points as plain data. Reading them from files is the work of `config`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::diagnosis::Usage;

/// Where a secret comes from. The value itself is fetched when it is needed, so that credentials may rotate.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// Written in the configuration. Never printed.
    #[serde(skip_serializing)]
    Value(String),
    /// An environment variable.
    Env(String),
    /// A file; surrounding white space is cut off.
    File(PathBuf),
    /// Standard output of a command, run without a shell; white space is cut off.
    Command(Vec<String>),
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(<hidden>)"),
            Self::Env(name) => write!(f, "Env({name})"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Command(argv) => write!(f, "Command({})", argv.first().map_or("", String::as_str)),
        }
    }
}

/// Fetches secrets when they are needed. Implemented by `config`; sources and end points only know this.
pub trait Secrets: Send + Sync {
    /// The secret's current value, or why it cannot be had and what to do.
    fn fetch<'a>(
        &'a self,
        secret: &'a SecretRef,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;
}

/// Secrets of tests: there are none.
#[cfg(test)]
pub(crate) struct NoSecrets;

#[cfg(test)]
impl Secrets for NoSecrets {
    fn fetch<'a>(
        &'a self,
        _: &'a SecretRef,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(async { Err("none".into()) })
    }
}

/// How to authenticate to a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// HTTP basic authentication.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: SecretRef,
    },
    /// A bearer token.
    Bearer(SecretRef),
    /// OAuth 2.0 client credentials (RFC 6749, section 4.4).
    Oauth2 {
        /// Token end point.
        token_url: String,
        /// Client id.
        client_id: String,
        /// Client secret.
        client_secret: SecretRef,
        /// Scopes.
        #[serde(default)]
        scopes: Vec<String>,
        /// Further form parameters, for example `audience`.
        #[serde(default)]
        parameters: BTreeMap<String, String>,
    },
}

/// A client certificate with its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Bounds of one answer. What lies beyond is cut and said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a response body after decompression.
    pub bytes: usize,
    /// Series of a metric answer.
    pub series: usize,
    /// Samples of a metric answer, over all series.
    pub samples: usize,
    /// Lines of a log answer.
    pub lines: usize,
    /// Bytes of one log line.
    pub line_bytes: usize,
    /// Alerts.
    pub alerts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            series: 5_000,
            samples: 2_000_000,
            lines: 20_000,
            line_bytes: 64 << 10,
            alerts: 100_000,
        }
    }
}

/// How to reach an HTTP source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// Base URL, a path prefix included: `https://prom.example/prometheus`.
    pub url: String,
    /// Tenant, sent as `X-Scope-OrgID`; several as `a|b`.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// Authentication.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// PEM file with certificate authorities to trust besides the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Client certificate.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificate>,
    /// Proxy; the usual environment variables are honoured when this is not set.
    #[serde(default)]
    pub proxy: Option<String>,
    /// Time-out of one question, in Prometheus notation.
    #[serde(default = "default_timeout", with = "duration_text")]
    pub timeout: Duration,
    /// Bounds of one answer.
    #[serde(default)]
    pub limits: Limits,
}

impl SourceSettings {
    /// Settings for `url` with everything else at its default.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            tenant: None,
            headers: BTreeMap::new(),
            auth: None,
            ca: None,
            client_certificate: None,
            proxy: None,
            timeout: default_timeout(),
            limits: Limits::default(),
        }
    }
}

/// A header's value: plain, or from where secrets come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HeaderValue {
    /// Plain text.
    Plain(String),
    /// A secret.
    Secret(SecretRef),
}

fn default_timeout() -> Duration {
    Duration::from_secs(15)
}

/// Wire format of a language model's end point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// OpenAI chat completions, which most servers speak.
    OpenaiChat,
    /// OpenAI responses.
    OpenaiResponses,
    /// Anthropic messages.
    Anthropic,
    /// Gemini's own.
    Gemini,
    /// Ollama's own.
    Ollama,
}

/// What a receiver of evidence may see. Ordered: the greater one sees more. Secrets are masked for every one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sees {
    /// Nothing: no evidence is ever sent there.
    #[default]
    Nothing,
    /// Evidence in which personal data and the names of hosts, pods and users are replaced as well.
    Redacted,
    /// Evidence as it is, without its secrets.
    Production,
}

impl Sees {
    /// The word for screens, configuration and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Redacted => "redacted",
            Self::Production => "production",
        }
    }
}

/// What a million tokens cost, in the currency of the budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Sent, and not read from the server's cache.
    pub input: f64,
    /// Sent, and read from the server's cache; as `input` when left out.
    pub cached: Option<f64>,
    /// Received.
    pub output: f64,
}

impl Price {
    /// What `usage` costs.
    pub fn of(&self, usage: &Usage) -> f64 {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let parts = [
            (usage.input_tokens - cached, self.input),
            (cached, self.cached.unwrap_or(self.input)),
            (usage.output_tokens, self.output),
        ];
        parts.iter().map(|(tokens, price)| *tokens as f64 * price / 1e6).sum()
    }
}

/// Time limits that differ from the usual ones, in Prometheus notation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointTimeouts {
    /// To a connection.
    #[serde(with = "optional_duration_text")]
    pub connect: Option<Duration>,
    /// From the request to the headers.
    #[serde(with = "optional_duration_text")]
    pub headers: Option<Duration>,
    /// From the headers to the first content.
    #[serde(with = "optional_duration_text")]
    pub first_content: Option<Duration>,
    /// Between two pieces of content.
    #[serde(with = "optional_duration_text")]
    pub stall: Option<Duration>,
    /// In all.
    #[serde(with = "optional_duration_text")]
    pub total: Option<Duration>,
}

/// How to reach a language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// Name for screens and the ledger.
    pub name: String,
    /// Wire format.
    pub protocol: Protocol,
    /// Model.
    pub model: String,
    /// Base URL that ends before `/chat/completions`, `/responses`, `/messages`, `/models` or `/api/chat`; the vendor's
    /// own when left out.
    #[serde(default)]
    pub url: Option<String>,
    /// Key.
    #[serde(default)]
    pub key: Option<SecretRef>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// PEM file with certificate authorities to trust besides the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Client certificate.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificate>,
    /// Proxy.
    #[serde(default)]
    pub proxy: Option<String>,
    /// What it may see. When left out: production text on this host and in private networks, redacted text elsewhere.
    #[serde(default)]
    pub sees: Option<Sees>,
    /// Whether the model thinks long before it says anything.
    #[serde(default)]
    pub reasoning: bool,
    /// Other time limits.
    #[serde(default)]
    pub timeouts: EndpointTimeouts,
    /// What it costs.
    #[serde(default)]
    pub price: Option<Price>,
    /// Budget of the pack in o200k tokens.
    #[serde(default = "default_pack_tokens")]
    pub pack_tokens: usize,
    /// Most tokens the answer may have.
    #[serde(default = "default_answer_tokens")]
    pub answer_tokens: u32,
}

impl EndpointSettings {
    /// Settings with everything but these three at its default.
    pub fn new(name: &str, protocol: Protocol, model: &str) -> Self {
        Self {
            name: name.to_owned(),
            protocol,
            model: model.to_owned(),
            url: None,
            key: None,
            headers: BTreeMap::new(),
            ca: None,
            client_certificate: None,
            proxy: None,
            sees: None,
            reasoning: false,
            timeouts: EndpointTimeouts::default(),
            price: None,
            pack_tokens: default_pack_tokens(),
            answer_tokens: default_answer_tokens(),
        }
    }
}

fn default_pack_tokens() -> usize {
    8_000
}

fn default_answer_tokens() -> u32 {
    4_000
}

/// Durations in Prometheus notation, or none.
pub mod optional_duration_text {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use super::duration_text;

    /// Writes milliseconds, or nothing.
    pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => duration_text::serialize(span, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads `15s`, `1m30s`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        duration_text::deserialize(deserializer).map(Some)
    }
}

/// Durations in Prometheus notation.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use crate::domain::time::parse_duration;

    /// Writes milliseconds.
    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", span.as_millis()))
    }

    /// Reads `15s`, `1m30s`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a duration like 15s or 1m30s")))
    }
}
