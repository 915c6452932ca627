//! What came back over HTTP, and what it means when it is not what was asked for.

use std::sync::Arc;

use reqwest::StatusCode;
use serde::de::Deserialize;

use super::{SourceError, SourceErrorKind};

/// Bodies above this are parsed off the threads that serve the screen.
const PARSE_ASIDE: usize = 256 << 10;

/// An answer of any status, its body complete and within the limit.
pub(crate) struct Reply {
    /// The source, for errors.
    pub(crate) source: Arc<str>,
    /// URL without query, for errors.
    pub(crate) place: String,
    /// Whether nothing was sent to prove who is asking.
    pub(crate) anonymous: bool,
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// `Content-Type`, or empty.
    pub(crate) content_type: String,
    /// `Retry-After`.
    pub(crate) retry_after: Option<String>,
    /// The body, decompressed.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Whether the status is 2xx.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Parses the body. The error says whether it is a web page, breaks off, is no JSON, or has another shape.
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, SourceError> {
        let why = match serde_json::from_slice(&self.body) {
            Ok(value) => return Ok(value),
            Err(why) => why,
        };
        let misread = |what: String, advice: &str| self.fault(SourceErrorKind::NotUnderstood, &what, advice);
        let place = &self.place;
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Err(misread(
                format!("{place} answers {} with nothing", self.status),
                "a proxy between may drop it",
            ));
        }
        if let Some(title) = self.page_title() {
            let what = format!("{place} answers with a web page{title}, not with JSON");
            return Err(misread(what, "a sign-in page or proxy stands before it, or its url lacks the path prefix"));
        }
        if why.is_eof() {
            let what = format!("the JSON of {place} ends in the middle, after {} bytes", self.body.len());
            return Err(misread(what, "ask again; a proxy between may cut it"));
        }
        if why.is_data() {
            let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
            let told = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err();
            let (path, why) = told
                .map_or((String::new(), why.to_string()), |told| (told.path().to_string(), told.inner().to_string()));
            let what = format!("the JSON of {place} is not as documented, at `{path}`: {why}");
            return Err(misread(what, "is it another product, or a newer version?"));
        }
        let begin = String::from_utf8_lossy(&self.body[..self.body.len().min(60)]).into_owned();
        Err(misread(format!("{place} answers something that is not JSON ({why}): `{begin}`"), "check its url"))
    }

    /// Parses a whole body of its own. Large ones are parsed on a thread for such work.
    pub(crate) async fn parse<R, F>(self, read: F) -> Result<R, SourceError>
    where
        R: Send + 'static,
        F: FnOnce(&Self) -> Result<R, SourceError> + Send + 'static,
    {
        if self.body.len() < PARSE_ASIDE {
            return read(&self);
        }
        let (source, place) = (self.source.clone(), self.place.clone());
        tokio::task::spawn_blocking(move || read(&self)).await.unwrap_or_else(|_| {
            let what = format!("reading the answer of {place} was interrupted");
            Err(SourceError::new(&source, SourceErrorKind::NotUnderstood, &what, ""))
        })
    }

    /// The error behind a status that is not 2xx. `said` are the server's words where its format is known.
    pub(crate) fn refusal(&self, said: Option<&str>) -> SourceError {
        let words = said.map_or_else(|| self.words(), str::to_owned);
        let status = self.status.as_u16();
        let what = if words.is_empty() {
            format!("{} answers {}", self.place, self.status)
        } else {
            format!("{} answers {status}: {words}", self.place)
        };
        let (kind, advice) = match status {
            401 if words.contains("no org id") => (SourceErrorKind::Unauthorized, "set its `tenant`"),
            401 | 403 | 407 if self.anonymous => (SourceErrorKind::Unauthorized, "set `auth` for this source"),
            401 | 403 | 407 => {
                (SourceErrorKind::Unauthorized, "its credential is refused: renew it, or check its rights and tenant")
            }
            404 | 405 | 410 | 501 => {
                (SourceErrorKind::Unsupported, "this server does not have that, or its url lacks the path prefix")
            }
            408 | 504 => (SourceErrorKind::Timeout, "ask for a shorter time or fewer series"),
            413 => (SourceErrorKind::TooLarge, "ask for a shorter time or fewer series"),
            429 => (SourceErrorKind::Server, "it limits the rate: wait, or ask for less"),
            500.. => (SourceErrorKind::Server, "its own logs say more"),
            _ => (SourceErrorKind::BadQuestion, ""),
        };
        match &self.retry_after {
            Some(wait) if matches!(status, 429 | 503) => {
                self.fault(kind, &what, &format!("it asks to come back after {wait}"))
            }
            _ => self.fault(kind, &what, advice),
        }
    }

    /// An error of the source.
    pub(crate) fn fault(&self, kind: SourceErrorKind, what: &str, advice: &str) -> SourceError {
        SourceError::new(&self.source, kind, what, advice)
    }

    /// What a body in no known format says: the title of a page, or the beginning of a text.
    fn words(&self) -> String {
        if let Some(title) = self.page_title() {
            return format!("a web page{title}");
        }
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(1_200)]);
        text.trim().chars().take(300).collect()
    }

    /// ` titled “Sign in”` for a web page, empty for one without title, `None` for anything else.
    fn page_title(&self) -> Option<String> {
        let head = String::from_utf8_lossy(&self.body[..self.body.len().min(16 << 10)]);
        let lower = head.to_ascii_lowercase();
        let begins = lower.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let is_page = begins.starts_with("<!doctype html")
            || begins.starts_with("<html")
            || (self.content_type.starts_with("text/html") && begins.starts_with('<'));
        if !is_page {
            return None;
        }
        let title = lower.find("<title").and_then(|open| {
            let start = open + lower[open..].find('>')? + 1;
            let end = start + lower[start..].find('<')?;
            let words: String = head[start..end].split_whitespace().collect::<Vec<_>>().join(" ");
            (!words.is_empty()).then(|| words.chars().take(80).collect::<String>())
        });
        Some(title.map_or(String::new(), |title| format!(" titled “{title}”")))
    }
}
