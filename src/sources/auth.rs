//! Credentials of an HTTP source: fetched when a request is made, so that they may rotate.
//!
//! Secrets are kept for [`KEEP`] at most, access tokens until shortly before they expire; both are forgotten when the
//! server refuses them with 401.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{SourceError, SourceErrorKind};
use crate::domain::settings::{Auth, HeaderValue as Configured, SecretRef, Secrets, SourceSettings};

/// How long a fetched secret is used again: long enough for a burst of questions, too short to notice a rotation.
const KEEP: Duration = Duration::from_secs(10);
/// How long before its end an access token is renewed, so that it does not expire under way.
const RENEW_BEFORE: Duration = Duration::from_secs(30);
/// Life of an access token whose answer does not name one. RFC 6749 only recommends that it does.
const UNNAMED_LIFE: Duration = Duration::from_mins(5);
/// Bytes of a token end point's answer; real ones have one to four thousand.
const TOKEN_BYTES: usize = 256 << 10;

/// What a source needs to prove who is asking.
pub(crate) struct Credentials {
    source: Arc<str>,
    auth: Option<Auth>,
    plain: HeaderMap,
    secret: Vec<(HeaderName, SecretRef)>,
    secrets: Arc<dyn Secrets>,
    fetched: Mutex<HashMap<SecretRef, Fetched>>,
    token: Mutex<Option<Token>>,
    sequence: AtomicU64,
}

struct Fetched {
    value: String,
    at: Instant,
    sequence: u64,
}

struct Token {
    value: String,
    renew_at: Instant,
    sequence: u64,
}

/// When a set of headers was made: what was fetched later is not the server's refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp(u64);

impl Credentials {
    /// From settings; `from_url` are user and password that stood in the URL. Fails on headers that cannot be sent.
    pub(crate) fn new(
        source: Arc<str>,
        settings: &SourceSettings,
        from_url: Option<(String, String)>,
        secrets: Arc<dyn Secrets>,
    ) -> Result<Self, SourceError> {
        let wrong =
            |what: String| SourceError::new(&source, SourceErrorKind::Unauthorized, &what, "correct its settings");
        let mut plain = HeaderMap::new();
        let mut secret = Vec::new();
        if let Some(tenant) = &settings.tenant {
            let value =
                HeaderValue::from_str(tenant).map_err(|_| wrong("the tenant cannot stand in a header".into()))?;
            plain.insert("x-scope-orgid", value);
        }
        for (name, value) in &settings.headers {
            let header = HeaderName::try_from(name).map_err(|_| wrong(format!("`{name}` is not a header's name")))?;
            match value {
                Configured::Plain(value) => {
                    let value = HeaderValue::from_str(value)
                        .map_err(|_| wrong(format!("the value of header `{name}` cannot be sent")))?;
                    plain.insert(header, value);
                }
                Configured::Secret(reference) => secret.push((header, reference.clone())),
            }
        }
        let auth = settings.auth.clone().or_else(|| {
            from_url.map(|(username, password)| Auth::Basic { username, password: SecretRef::Value(password) })
        });
        Ok(Self {
            source,
            auth,
            plain,
            secret,
            secrets,
            fetched: Mutex::default(),
            token: Mutex::default(),
            sequence: AtomicU64::new(0),
        })
    }

    /// Whether there is anything that could be refused.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.auth.is_none() && self.secret.is_empty()
    }

    /// The headers for one request.
    pub(crate) async fn headers(&self, client: &reqwest::Client) -> Result<(HeaderMap, Stamp), SourceError> {
        let mut headers = self.plain.clone();
        for (name, reference) in &self.secret {
            let value = self.fetch(reference).await?;
            headers.insert(name, self.hidden(&value)?);
        }
        match &self.auth {
            None => {}
            Some(Auth::Basic { username, password }) => {
                let password = self.fetch(password).await?;
                headers.insert(AUTHORIZATION, self.basic(username, &password)?);
            }
            Some(Auth::Bearer(reference)) => {
                let token = self.fetch(reference).await?;
                headers.insert(AUTHORIZATION, self.hidden(&format!("Bearer {token}"))?);
            }
            Some(Auth::Oauth2 { token_url, client_id, client_secret, scopes, parameters }) => {
                let grant = Grant { token_url, client_id, client_secret, scopes, parameters };
                let token = self.access_token(client, &grant).await?;
                headers.insert(AUTHORIZATION, self.hidden(&format!("Bearer {token}"))?);
            }
        }
        Ok((headers, Stamp(self.sequence.load(Ordering::SeqCst))))
    }

    /// Forgets what the server refused. True when fetching again may give something else.
    pub(crate) async fn refused(&self, stamp: Stamp) -> bool {
        self.fetched.lock().await.retain(|_, fetched| fetched.sequence > stamp.0);
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| token.sequence <= stamp.0) {
            *token = None;
        }
        let rotates = |reference: &SecretRef| !matches!(reference, SecretRef::Value(_));
        self.secret.iter().any(|(_, reference)| rotates(reference))
            || match &self.auth {
                None => false,
                Some(Auth::Basic { password, .. }) => rotates(password),
                Some(Auth::Bearer(token)) => rotates(token),
                Some(Auth::Oauth2 { .. }) => true,
            }
    }

    /// A secret, from the last seconds or fetched. One fetch at a time: a burst of questions starts one command.
    async fn fetch(&self, reference: &SecretRef) -> Result<String, SourceError> {
        let mut fetched = self.fetched.lock().await;
        if let Some(known) = fetched.get(reference).filter(|known| known.at.elapsed() < KEEP) {
            return Ok(known.value.clone());
        }
        let value = self.secrets.fetch(reference).await.map_err(|why| {
            self.fault(&format!("its credential cannot be fetched: {why}"), "check its `auth` and `headers` settings")
        })?;
        let entry = Fetched { value: value.clone(), at: Instant::now(), sequence: self.next() };
        fetched.insert(reference.clone(), entry);
        Ok(value)
    }

    fn next(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn fault(&self, what: &str, advice: &str) -> SourceError {
        SourceError::new(&self.source, SourceErrorKind::Unauthorized, what, advice)
    }

    fn hidden(&self, value: &str) -> Result<HeaderValue, SourceError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            self.fault("its credential holds characters that a header cannot carry", "a token is one line of text")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn basic(&self, username: &str, password: &str) -> Result<HeaderValue, SourceError> {
        self.hidden(&format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
    }

    /// The cached access token, or a new one (RFC 6749, section 4.4).
    async fn access_token(&self, client: &reqwest::Client, grant: &Grant<'_>) -> Result<String, SourceError> {
        let mut token = self.token.lock().await;
        if let Some(known) = token.as_ref().filter(|known| Instant::now() < known.renew_at) {
            return Ok(known.value.clone());
        }
        let secret = self.fetch(grant.client_secret).await?;
        // Section 2.3.1: servers must take HTTP basic; some that call themselves OAuth 2 only read the form.
        let answer = match self.request_token(client, grant, &secret, false).await? {
            Ok(answer) => answer,
            Err(_) => self.request_token(client, grant, &secret, true).await?.map_err(|why| {
                self.fault(
                    &format!("the token end point {} refuses: {why}", shown(grant.token_url)),
                    "check client_id, client_secret and scopes",
                )
            })?,
        };
        let life = answer.expires_in.as_ref().and_then(Seconds::span).unwrap_or(UNNAMED_LIFE);
        // A token that lives for less than the margin is used for half of its life.
        let renew_at = Instant::now() + life.saturating_sub(RENEW_BEFORE).max(life / 2);
        let value = answer.access_token;
        *token = Some(Token { value: value.clone(), renew_at, sequence: self.next() });
        Ok(value)
    }

    /// Asks for a token; the inner error is the server's refusal.
    async fn request_token(
        &self,
        client: &reqwest::Client,
        grant: &Grant<'_>,
        secret: &str,
        in_form: bool,
    ) -> Result<Result<TokenAnswer, String>, SourceError> {
        let scope = grant.scopes.join(" ");
        let mut form: Vec<(&str, &str)> = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        form.extend(grant.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut request = client.post(grant.token_url);
        if in_form {
            form.extend([("client_id", grant.client_id), ("client_secret", secret)]);
        } else {
            request = request.basic_auth(form_encoded(grant.client_id), Some(form_encoded(secret)));
        }
        let unreachable = |why: reqwest::Error| {
            let failure = super::http::failure(&self.source, &shown(grant.token_url), &why);
            SourceError { what: format!("no access token: {}", failure.what), ..failure }
        };
        let mut response = request.form(&form).send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > TOKEN_BYTES {
                return Ok(Err("its answer is far too long for a token".into()));
            }
        }
        if status.is_server_error() {
            let what = format!("the token end point {} answers {status}", shown(grant.token_url));
            return Err(SourceError::new(&self.source, SourceErrorKind::Server, &what, ""));
        }
        if !status.is_success() {
            let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
            return Ok(Err(format!("{status} {} {}", refusal.error, refusal.error_description).trim_end().to_owned()));
        }
        Ok(serde_json::from_slice(&body).map_err(|_| "its answer holds no access_token".to_owned()))
    }
}

struct Grant<'a> {
    token_url: &'a str,
    client_id: &'a str,
    client_secret: &'a SecretRef,
    scopes: &'a [String],
    parameters: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: Option<Seconds>,
}

/// RFC 6749 says number; some servers write a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Word(String),
}

impl Seconds {
    fn span(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(number) => *number,
            Self::Word(word) => word.trim().parse().ok()?,
        };
        // A year is more than any token lives, and keeps the sum with the present in range.
        Duration::try_from_secs_f64(seconds.min(31_536_000.0)).ok()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

/// The URL without user, password, query and fragment.
pub(crate) fn shown(url: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(url) else { return "(not a URL)".into() };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// Section 2.3.1 wants id and secret form-encoded before they become user and password.
fn form_encoded(raw: &str) -> String {
    percent_encoding::utf8_percent_encode(raw, percent_encoding::NON_ALPHANUMERIC).to_string()
}
