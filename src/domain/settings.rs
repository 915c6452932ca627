//! Settings of sources and end points as plain data. Reading them from files is the work of `config`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// OpenAI chat completions.
    OpenaiChat,
    /// Anthropic messages.
    Anthropic,
}

/// How to reach a language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// Name for screens and the ledger.
    pub name: String,
    /// Wire format.
    pub protocol: Protocol,
    /// Model.
    pub model: String,
    /// Base URL that ends before `/chat/completions`; the vendor's own when left out.
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
    /// Proxy.
    #[serde(default)]
    pub proxy: Option<String>,
    /// Budget of the pack in o200k tokens.
    #[serde(default = "default_pack_tokens")]
    pub pack_tokens: usize,
    /// Most tokens the answer may have.
    #[serde(default = "default_answer_tokens")]
    pub answer_tokens: u32,
}

fn default_pack_tokens() -> usize {
    8_000
}

fn default_answer_tokens() -> u32 {
    4_000
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
