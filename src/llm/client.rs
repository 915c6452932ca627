//! One end point: its settings, requests and errors.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue as HttpHeaderValue};
use reqwest::{Certificate, Client, Identity, Response, Url};

use super::error::{LlmError, LlmErrorKind, Phase, words};
use super::refusal::{in_band, refusal};
use super::stream::{EventStream, read_bounded};
use super::traffic::{Register, Traffic};
use super::wire::{Ask, Wire, is_azure, wire};
use super::{ChatRequest, Timeouts};
use crate::domain::settings::{ClientCertificate, EndpointSettings, HeaderValue, Protocol, Secrets, Sees};

/// A request that is ready to leave: exactly what will be sent, except for the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Name of the end point.
    pub endpoint: String,
    /// The model.
    pub model: String,
    /// Where it goes, credentials left out.
    pub url: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Masked values in it, by kind, repetitions included.
    pub hidden: BTreeMap<String, usize>,
    /// What whoever reads it comes to see.
    pub shows: Sees,
    /// Most tokens of the answer.
    pub max_tokens: u32,
}

impl Prepared {
    /// The host it goes to, with its port where that is not the usual one.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        url.as_ref().and_then(Url::port).map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// An end point. Cloning is cheap.
#[derive(Clone)]
pub struct LlmClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) settings: EndpointSettings,
    secrets: Arc<dyn Secrets>,
    pub(super) base: Url,
    pub(super) vendor: bool,
    http: Client,
    pub(super) wire: &'static dyn Wire,
    pub(super) timeouts: Timeouts,
    /// The proxy that requests go through, as it may be shown.
    proxy: Option<String>,
    /// Its requests under way.
    pub(super) register: Register,
}

impl std::fmt::Debug for LlmClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmClient").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl LlmClient {
    /// Makes a client. Asks nothing yet; fails on settings that cannot work (URL, certificate file, proxy).
    pub fn new(settings: EndpointSettings, secrets: Arc<dyn Secrets>) -> Result<Self, LlmError> {
        let is_local = parse_base(&settings).is_ok_and(|url| is_local(&url));
        let timeouts = Timeouts::of(&settings, is_local);
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
        let vendor = is_vendor(settings.protocol, &base);
        // Installing twice is an error that says it is installed: what we want.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(timeouts.connect)
            // A redirect would carry the prompt to a host nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("stanch/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca {
            let pem = read_file(path).map_err(refuse)?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| refuse(format!("{} holds no PEM certificate", path.display())))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(pair) = &settings.client_certificate {
            builder = builder.identity(identity(pair).map_err(refuse)?);
        }
        let used = match &settings.proxy {
            Some(proxy) => Some(proxy.clone()),
            None if is_loopback(&base) => None,
            None => proxy_of_environment(&base),
        };
        if let Some(proxy) = &settings.proxy {
            let proxy = reqwest::Proxy::all(proxy).map_err(|error| refuse(format!("proxy: {error}")))?;
            builder = builder.proxy(proxy);
        } else if is_loopback(&base) {
            // No proxy of the environment can reach this host's own loopback.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| refuse(chain(&error)))?;
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                secrets,
                base,
                vendor,
                http,
                wire,
                timeouts,
                proxy: used.as_deref().map(address_of_proxy),
                register: Register::default(),
            }),
        })
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &EndpointSettings {
        &self.inner.settings
    }

    /// The requests under way, and how those before them ended.
    pub fn traffic(&self) -> Traffic {
        self.inner.register.traffic()
    }

    /// The exact request that [`Self::send`] would send.
    pub fn prepare(&self, request: &ChatRequest) -> Prepared {
        let inner = &self.inner;
        Prepared {
            endpoint: inner.settings.name.clone(),
            model: inner.settings.model.clone(),
            url: shown(inner.url()),
            body: inner.wire.body(Ask { settings: &inner.settings, request, vendor: inner.vendor }),
            hidden: request.hidden(),
            shows: request.shows(),
            max_tokens: request.max_tokens,
        }
    }

    /// What this end point may see.
    pub fn sees(&self) -> Sees {
        sees(&self.inner.settings)
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
        EventStream::new(Arc::clone(&self.inner), prepared.body, prepared.max_tokens)
    }

    /// Prepares and sends.
    pub fn stream(&self, request: &ChatRequest) -> EventStream {
        self.send(self.prepare(request))
    }
}

/// What an end point may see: as set, else everything but secrets on this host and in private networks, and masked text
/// elsewhere.
pub fn sees(settings: &EndpointSettings) -> Sees {
    let local = || parse_base(settings).is_ok_and(|base| is_local(&base));
    settings.sees.unwrap_or_else(|| if local() { Sees::Production } else { Sees::Redacted })
}

fn parse_base(settings: &EndpointSettings) -> Result<Url, String> {
    let text = settings.url.as_deref().unwrap_or_else(|| wire(settings.protocol).default_url());
    let url = Url::parse(text.trim_end_matches('/')).map_err(|error| format!("url `{text}`: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("url `{text}` must begin with http:// or https:// and name a host"));
    }
    Ok(url)
}

/// Whether a server is the protocol's inventor, or behaves like it.
fn is_vendor(protocol: Protocol, base: &Url) -> bool {
    let is_openai = matches!(protocol, Protocol::OpenaiChat | Protocol::OpenaiResponses);
    let default = Url::parse(wire(protocol).default_url());
    base.scheme() == "https"
        && (default.is_ok_and(|url| url.host_str() == base.host_str()) || (is_openai && is_azure(base)))
}

/// A URL as it may be written down: without user, password, and values that may be keys.
pub(super) fn shown(mut url: Url) -> String {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut query = url.query_pairs_mut();
        query.clear();
        for (name, value) in pairs {
            let harmless = matches!(name.as_str(), "alt" | "api-version");
            query.append_pair(&name, if harmless { &value } else { "hidden" });
        }
    }
    url.into()
}

/// The address of a proxy, without the credentials in it.
fn address_of_proxy(proxy: &str) -> String {
    let whole = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    // What is no URL was refused before.
    Url::parse(&whole).map_or_else(|_| "of the settings".to_owned(), |url| shown(url).trim_end_matches('/').to_owned())
}

/// The proxy that the environment names for a server, as the HTTP client finds it.
fn proxy_of_environment(base: &Url) -> Option<String> {
    let uri = base.as_str().parse().ok()?;
    let found = hyper_util::client::proxy::matcher::Matcher::from_env().intercept(&uri)?;
    Some(found.uri().to_string())
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|why| format!("cannot read {}: {why}", path.display()))
}

fn identity(pair: &ClientCertificate) -> Result<Identity, String> {
    let mut pem = read_file(&pair.cert)?;
    pem.push(b'\n');
    pem.extend(read_file(&pair.key)?);
    Identity::from_pem(&pem)
        .map_err(|_| format!("{} and {} are not a PEM certificate and key", pair.cert.display(), pair.key.display()))
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

/// Limit for the body of a refusal.
const REFUSAL_WITHIN: Duration = Duration::from_secs(2);

impl Inner {
    /// Where requests go.
    fn url(&self) -> Url {
        self.wire.url(&self.base, &self.settings.model)
    }

    pub(super) fn error(&self, kind: LlmErrorKind) -> LlmError {
        LlmError { endpoint: self.settings.name.clone(), kind }
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
            let (name, value) = self.wire.key_header(&self.base, &key);
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
        self.post_to(self.url(), body).await
    }

    /// As [`Self::post`], to another place of the same server.
    pub(super) async fn post_to(&self, url: Url, body: Vec<u8>) -> Result<Response, LlmError> {
        let headers = self.headers().await?;
        let request = self
            .http
            .post(url)
            .headers(headers)
            .header("content-type", "application/json")
            .header("accept", "text/event-stream, application/x-ndjson, application/json")
            .body(body);
        let response = request.send().await.map_err(|error| self.transport(&error))?;
        self.accept(response).await
    }

    pub(super) fn transport(&self, error: &reqwest::Error) -> LlmError {
        let proxy = self.proxy.as_deref().filter(|_| error.is_connect());
        if error.is_connect() && error.is_timeout() {
            let after = self.timeouts.connect;
            return self.error(match proxy {
                Some(proxy) => LlmErrorKind::Proxy {
                    what: words(&format!(
                        "{proxy} does not answer, or gets no connection, within {} s",
                        after.as_secs_f64()
                    )),
                },
                None => LlmErrorKind::Timeout { phase: Phase::Connect, after },
            });
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
        let causes = chain(error);
        let says = |part: &str| causes.contains(part);
        match proxy {
            Some(proxy) if says("tcp connect error") || says("dns error") => {
                self.error(LlmErrorKind::Proxy { what: words(&format!("{proxy} does not answer: {text}")) })
            }
            // It answered, and got no connection, or does not want to make one.
            Some(proxy) if says("tunnel error") || says("SOCKS error") => {
                let what = format!("{proxy} makes no connection to {host}:{port}: {text}");
                self.error(LlmErrorKind::Proxy { what: words(&what) })
            }
            _ => self.error(LlmErrorKind::Unreachable { what: words(&format!("{host}:{port}: {text}")) }),
        }
    }

    /// Turns a refusal into its error.
    async fn accept(&self, response: Response) -> Result<Response, LlmError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // What a refusal says is of use, but not worth a wait.
        let body = tokio::time::timeout(REFUSAL_WITHIN, read_bounded(self, response)).await;
        let body = self.without_own_secrets(body.ok().and_then(Result::ok).unwrap_or_default()).await;
        Err(self.error(refusal(&self.settings.model, status, &headers, &body)))
    }

    /// A refusal without the credentials that it may repeat: what a server says is shown and written down.
    async fn without_own_secrets(&self, body: Vec<u8>) -> Vec<u8> {
        let secrets = self.settings.headers.values().filter_map(|value| match value {
            HeaderValue::Secret(secret) => Some(secret),
            HeaderValue::Plain(_) => None,
        });
        let mut text = String::from_utf8_lossy(&body).into_owned();
        for secret in self.settings.key.iter().chain(secrets) {
            if let Ok(value) = self.secrets.fetch(secret).await
                && value.len() >= 4
            {
                text = text.replace(&value, "‹key›");
            }
        }
        text.into_bytes()
    }

    /// The error that stands in a frame or body of a successful response, if there is one.
    pub(super) fn in_band(&self, event: &str, data: &str) -> Option<LlmError> {
        in_band(event, data).map(|kind| self.error(kind))
    }
}
