//! One way to reach every HTTP source: TLS, proxy, credentials, time-outs, bounded bodies, and errors that say what
//! failed, where and what to do.

use std::error::Error as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Identity, Method, Proxy, StatusCode, Url};

use super::auth::{Credentials, shown};
use super::reply::Reply;
use super::{SourceError, SourceErrorKind};
use crate::domain::settings::{ClientCertificate, Limits, Secrets, SourceSettings};

/// A name resolved, a connection made and TLS agreed upon within this, or the server counts as unreachable.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Redirects followed; only ever to the same scheme, host and port.
const REDIRECTS: usize = 3;

/// A client for one source.
pub(crate) struct HttpClient {
    source: Arc<str>,
    base: Url,
    client: Client,
    credentials: Credentials,
    timeout: Duration,
    limits: Limits,
}

/// One request.
pub(crate) struct Call<'a> {
    /// Segments below the base URL's path, not yet encoded.
    pub(crate) path: &'a [&'a str],
    /// Parameters, in the query or the form.
    pub(crate) params: &'a [(&'a str, String)],
    /// Whether the parameters go as a form by POST: expressions outgrow what proxies let a URL be.
    pub(crate) form: bool,
    /// Further headers.
    pub(crate) headers: &'a [(&'static str, &'static str)],
    /// A JSON document that goes by POST instead of the parameters.
    pub(crate) json: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A GET.
    pub(crate) fn get(path: &'a [&'a str], params: &'a [(&'a str, String)]) -> Self {
        Self { path, params, form: false, headers: &[], json: None }
    }
}

impl HttpClient {
    /// A client for the source named `source`. Fails when the URL, the proxy or a certificate file is wrong.
    pub(crate) fn new(source: &str, settings: &SourceSettings, secrets: Arc<dyn Secrets>) -> Result<Self, SourceError> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // The error says that another part of the process chose a provider first, which serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let source: Arc<str> = Arc::from(source);
        let wrong =
            |what: String| SourceError::new(&source, SourceErrorKind::Unreachable, &what, "correct its settings");
        let mut base = Url::parse(settings.url.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| wrong("its url is not of the form http://HOST:PORT/PREFIX".into()))?;
        let from_url = take_user(&mut base);
        base.set_fragment(None);

        let mut builder = Client::builder()
            .user_agent(concat!("stanch/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false);
        if let Some(path) = &settings.ca {
            let pem = read(path).map_err(wrong)?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| wrong(format!("{} holds no PEM certificate", path.display())))?;
            builder = builder.tls_certs_merge(certificates);
        } else if !uses_tls(&base, settings) {
            // Nothing will be verified: a host without certificate authorities can still ask over plain HTTP.
            builder = builder.tls_certs_only([]);
        }
        if let Some(pair) = &settings.client_certificate {
            builder = builder.identity(identity(pair).map_err(wrong)?);
        }
        if let Some(proxy) = &settings.proxy {
            let proxy = Proxy::all(proxy).map_err(|_| wrong("its proxy is not a URL".into()))?;
            builder = builder.proxy(proxy);
        } else if is_loopback(&base) {
            // A forwarded port is on this host; the proxy of the environment cannot reach it.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|why| wrong(format!("no HTTP client: {}", innermost(&why))))?;
        let credentials = Credentials::new(source.clone(), settings, from_url, secrets)?;
        Ok(Self { source, base, client, credentials, timeout: settings.timeout, limits: settings.limits })
    }

    /// Name of the source, for errors.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Bounds of one answer.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Time for a whole question, with all the requests it takes.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Base URL for people: no user, password or query.
    pub(crate) fn shown(&self) -> String {
        shown(self.base.as_str())
    }

    /// Gives `question` the time of one question.
    pub(crate) async fn in_time<T>(
        &self,
        question: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        match tokio::time::timeout(self.timeout, question).await {
            Ok(answer) => answer,
            Err(_) => Err(self.late()),
        }
    }

    /// The error of a question that took too long.
    pub(crate) fn late(&self) -> SourceError {
        let what = format!("{} did not answer within {:.1} s", self.shown(), self.timeout.as_secs_f64());
        self.fault(SourceErrorKind::Timeout, &what, "ask for less, or raise its timeout")
    }

    /// An error of this source.
    pub(crate) fn fault(&self, kind: SourceErrorKind, what: &str, advice: &str) -> SourceError {
        SourceError::new(&self.source, kind, what, advice)
    }

    /// The error of an answer whose result is of a type that the question does not have.
    pub(crate) fn foreign(&self, result_type: &str) -> SourceError {
        let what = format!("{} answers with a result of type `{result_type}`", self.shown());
        self.fault(SourceErrorKind::NotUnderstood, &what, "")
    }

    /// Sends a request and reads the answer, whatever its status, up to the byte limit. On 401 the credentials are
    /// fetched anew, once.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Reply, SourceError> {
        let (reply, stamp) = self.attempt(call).await?;
        if reply.status == StatusCode::UNAUTHORIZED && self.credentials.refused(stamp).await {
            return self.attempt(call).await.map(|(reply, _)| reply);
        }
        Ok(reply)
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<(Reply, super::auth::Stamp), SourceError> {
        let (headers, stamp) = self.credentials.headers(&self.client).await?;
        let mut url = self.url(call.path);
        for _ in 0..=REDIRECTS {
            let method = if call.form || call.json.is_some() { Method::POST } else { Method::GET };
            let mut request = self.client.request(method, url.clone()).headers(headers.clone());
            request = match call.json {
                Some(json) => request.header(CONTENT_TYPE, "application/json").body(json.to_owned()),
                None if call.form => request.form(call.params),
                None => request.query(call.params),
            };
            for (name, value) in call.headers {
                request = request.header(*name, *value);
            }
            let response = request.send().await.map_err(|why| failure(&self.source, &shown(url.as_str()), &why))?;
            if response.status().is_redirection() {
                url = self.redirected(&url, &response)?;
                continue;
            }
            return Ok((self.read(call, response).await?, stamp));
        }
        let what = format!("{} redirects in a circle", self.shown());
        Err(self.fault(SourceErrorKind::NotUnderstood, &what, "check its url and path prefix"))
    }

    /// Where to go on: the same origin only, since elsewhere the credentials would be given away. The parameters are
    /// sent again, so those of the location are dropped.
    fn redirected(&self, from: &Url, response: &reqwest::Response) -> Result<Url, SourceError> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let to = location.and_then(|location| from.join(location).ok());
        match to {
            Some(mut to) if to.origin() == from.origin() => {
                to.set_query(self.base.query());
                Ok(to)
            }
            Some(to) => {
                let what = format!("{} redirects to {}, which is not followed", self.shown(), shown(to.as_str()));
                let advice = "if that is where it lives now, set it as its url; if it is a sign-in page, set `auth`";
                Err(self.fault(SourceErrorKind::NotUnderstood, &what, advice))
            }
            None => {
                let what = format!("{} redirects without saying where", self.shown());
                Err(self.fault(SourceErrorKind::NotUnderstood, &what, "check its url"))
            }
        }
    }

    async fn read(&self, call: &Call<'_>, mut response: reqwest::Response) -> Result<Reply, SourceError> {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let retry_after = header(RETRY_AFTER);
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|why| failure(&self.source, &self.shown(), &why))? {
            if body.len() + chunk.len() > self.limits.bytes {
                let what = format!("the answer to {} exceeds {} bytes", call.path.join("/"), self.limits.bytes);
                return Err(self.fault(
                    SourceErrorKind::TooLarge,
                    &what,
                    "ask for a shorter time or fewer series, or raise its limits.bytes",
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            source: self.source.clone(),
            place: format!("{}/{}", self.shown(), call.path.join("/")),
            anonymous: self.credentials.is_anonymous(),
            status,
            content_type,
            retry_after,
            body,
        })
    }

    /// The base URL with `path` below it; the base's query (`?dedup=true`) stays.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// User and password of a URL, decoded; the URL keeps neither.
fn take_user(url: &mut Url) -> Option<(String, String)> {
    let decoded = |raw: &str| percent_encoding::percent_decode_str(raw).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let password = decoded(url.password().unwrap_or_default());
    let _ = url.set_username("");
    let _ = url.set_password(None);
    (!user.is_empty() || !password.is_empty()).then_some((user, password))
}

fn uses_tls(base: &Url, settings: &SourceSettings) -> bool {
    use crate::domain::settings::Auth;
    let token = match &settings.auth {
        Some(Auth::Oauth2 { token_url, .. }) => token_url.starts_with("https"),
        _ => false,
    };
    base.scheme() == "https" || token || settings.proxy.as_ref().is_some_and(|proxy| proxy.starts_with("https"))
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_matches(['[', ']']);
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|why| format!("cannot read {}: {why}", path.display()))
}

fn identity(pair: &ClientCertificate) -> Result<Identity, String> {
    let mut pem = read(&pair.cert)?;
    pem.push(b'\n');
    pem.extend(read(&pair.key)?);
    Identity::from_pem(&pem)
        .map_err(|_| format!("{} and {} are not a PEM certificate and key", pair.cert.display(), pair.key.display()))
}

/// The error of a request that got no answer, or only a part of one.
pub(crate) fn failure(source: &str, place: &str, why: &reqwest::Error) -> SourceError {
    let cause = innermost(why);
    let (kind, what, advice) = if why.is_timeout() {
        let advice = "check the network, VPN and firewall between here and there";
        if why.is_connect() {
            let what = format!("no connection to {place} within {} s", CONNECT_WITHIN.as_secs());
            (SourceErrorKind::Unreachable, what, advice)
        } else {
            (SourceErrorKind::Timeout, format!("{place} did not answer in time"), advice)
        }
    } else if why.is_dns() {
        (
            SourceErrorKind::Unreachable,
            format!("the name of {place} cannot be resolved: {cause}"),
            "check its url, VPN and DNS",
        )
    } else if is_tls(why) || cause.contains("received fatal alert") {
        // HTTP/2 keeps of an alert that comes after the handshake only the text.
        let advice = "if its certificate is from your own authority, set `ca`; if it wants one of yours, set \
                      `client_certificate`; check http or https in its url";
        (SourceErrorKind::Unreachable, format!("TLS with {place} failed: {cause}"), advice)
    } else if why.is_connect() {
        let what = format!("no connection to {place}: {cause}");
        (SourceErrorKind::Unreachable, what, "check that it runs, its url and port, VPN and proxy")
    } else if why.is_builder() {
        (SourceErrorKind::BadQuestion, format!("the request to {place} cannot be made: {cause}"), "")
    } else if why.is_body() || why.is_decode() {
        (
            SourceErrorKind::NotUnderstood,
            format!("the answer of {place} broke off: {cause}"),
            "ask again; a proxy between may cut it",
        )
    } else {
        // A server that wants a client certificate may close without a word.
        let advice = if place.starts_with("https:") {
            "check http or https in its url; if it wants a certificate of yours, set `client_certificate`"
        } else {
            "check http or https in its url; ask again"
        };
        (SourceErrorKind::Unreachable, format!("{place} closed the connection: {cause}"), advice)
    };
    SourceError::new(source, kind, &what, advice)
}

/// The last cause in the chain, which is the one that people search for.
fn innermost(why: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = why;
    while let Some(next) = cause.source() {
        cause = next;
    }
    // reqwest's own errors print the URL; the innermost is its own only where there is no other.
    if why.source().is_none() { "no further reason given".into() } else { cause.to_string() }
}

/// Whether TLS is the cause. An IO error's source is that of the error it wraps, so the wrapped one is looked at too.
fn is_tls(why: &(dyn std::error::Error + 'static)) -> bool {
    if why.is::<rustls::Error>() {
        return true;
    }
    let wrapped = why.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_tls(wrapped)) || why.source().is_some_and(is_tls)
}
