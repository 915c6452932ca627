//! Loki. Errors of queries come as plain text; several end points exist in some versions only.
//!
//! Source: <https://grafana.com/docs/loki/latest/reference/loki-http-api/>.

mod entries;
mod inventory;
mod paging;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use self::entries::{Page, Streams};
use self::paging::{Ask, Pager};
use super::http::{Call, HttpClient};
use super::reply::Reply;
use super::samples::{self, Gathered, QueryResult, cut};
use super::{SourceError, SourceErrorKind, Telemetry};
use crate::domain::query::{Answer, Data, Direction, Lang, Note, NoteKind, Query};
use crate::domain::settings::{Secrets, SourceSettings};
use crate::domain::time::parse_duration;
use crate::domain::{Text, TimeRange, Timestamp};

/// Entries of one request: Loki's default limit, learnt anew where a server has a smaller one.
const PAGE: usize = 5_000;
/// Keeps structured metadata beside the lines; without it every trace id makes a stream of its own.
const CATEGORIZE: &[(&str, &str)] = &[("X-Loki-Response-Encoding-Flags", "categorize-labels")];

/// Writes lines: `body` is the document of the push API (`POST /loki/api/v1/push`). Fails unless the server has taken
/// them.
pub async fn push(settings: &SourceSettings, secrets: Arc<dyn Secrets>, body: &str) -> Result<(), SourceError> {
    let http = HttpClient::new("loki", settings, secrets)?;
    let call = Call { json: Some(body), ..Call::get(&["loki", "api", "v1", "push"], &[]) };
    let reply = http.send(&call).await?;
    if reply.is_success() {
        return Ok(());
    }
    let what = format!("{} does not take lines: it answers {}", http.shown(), reply.status);
    Err(http.fault(SourceErrorKind::Server, &what, "check its url, tenant and credentials"))
}

/// A Loki server.
pub struct Loki {
    http: HttpClient,
    /// Most entries of one request, as far as known.
    page: AtomicUsize,
    /// Longest span of one request in milliseconds, as far as known; 0 for the default.
    span: AtomicU64,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    warnings: Option<Vec<String>>,
}

impl<T> Envelope<T> {
    fn notes(&self) -> Vec<Note> {
        let note = |word: &String| Note { kind: NoteKind::Warning, text: Text::new(word) };
        self.warnings.iter().flatten().map(note).collect()
    }
}

impl Loki {
    /// A client. Fails when the settings cannot work; does not connect.
    pub fn new(name: &str, settings: &SourceSettings, secrets: Arc<dyn Secrets>) -> Result<Self, SourceError> {
        let http = HttpClient::new(name, settings, secrets)?;
        Ok(Self { http, page: AtomicUsize::new(PAGE), span: AtomicU64::new(0) })
    }

    /// Sends and takes `data` out of the envelope.
    async fn fetch<T, R, F>(&self, call: &Call<'_>, read: F) -> Result<(R, Vec<Note>), SourceError>
    where
        T: for<'de> Deserialize<'de>,
        R: Send + 'static,
        F: FnOnce(T) -> R + Send + 'static,
    {
        let reply = self.http.send(call).await?;
        reply
            .parse(move |reply| {
                if !reply.is_success() {
                    return Err(reply.refusal(None));
                }
                let envelope: Envelope<T> = reply.json()?;
                let notes = envelope.notes();
                let data = envelope.data.ok_or_else(|| {
                    let what = format!("the answer of {} has no `data`", reply.place);
                    reply.fault(SourceErrorKind::NotUnderstood, &what, "is its url that of Loki?")
                })?;
                Ok((read(data), notes))
            })
            .await
    }

    /// Log entries, page by page, in the time of one question. What was read before a page failed is kept, and the
    /// failure said.
    async fn logs(
        &self,
        expr: &str,
        range: TimeRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Answer, SourceError> {
        let limits = self.http.limits();
        let wanted = limit.min(limits.lines);
        let deadline = Instant::now() + self.http.timeout();
        let mut pager = Pager::new(range, direction, wanted, limits.bytes, self.page.load(Ordering::Relaxed));
        pager.limit_span(Duration::from_millis(self.span.load(Ordering::Relaxed)));
        let mut shortened = 0;
        let mut told = Vec::new();
        while let Some(ask) = pager.next() {
            let answer = timeout_at(deadline, self.page(expr, ask, direction)).await;
            let error = match answer {
                Ok(Ok((page, notes))) => {
                    shortened += page.shortened;
                    told.extend(notes.into_iter().filter(|note| !told.contains(note)).collect::<Vec<_>>());
                    pager.take(ask, page.entries);
                    continue;
                }
                Ok(Err(error)) if self.adapt(&error, &mut pager, ask) => continue,
                Ok(Err(error)) => error,
                Err(_) => self.http.late(),
            };
            if !pager.has_begun() {
                return Err(error);
            }
            pager.stop(&format!("a further page failed, so entries are missing: {}", error.what));
        }
        let (entries, notes) = pager.finish();
        told.extend(notes);
        if shortened > 0 {
            told.push(cut(&format!(
                "{shortened} lines are shortened to {} bytes (limits.line_bytes)",
                limits.line_bytes
            )));
        }
        Ok(Answer { data: Data::Logs(entries), notes: told })
    }

    async fn page(&self, expr: &str, ask: Ask, direction: Direction) -> Result<(Page, Vec<Note>), SourceError> {
        let params = [
            ("query", expr.to_owned()),
            ("start", ask.range.start.nanos().to_string()),
            ("end", ask.range.end.nanos().to_string()),
            ("limit", ask.limit.to_string()),
            ("direction", if direction == Direction::Forward { "forward" } else { "backward" }.to_owned()),
        ];
        let path = ["loki", "api", "v1", "query_range"];
        let call = Call { path: &path, params: &params, form: false, headers: CATEGORIZE, json: None };
        let line_bytes = self.http.limits().line_bytes;
        let reply = self.http.send(&call).await?;
        reply
            .parse(move |reply| {
                if !reply.is_success() {
                    return Err(reply.refusal(None));
                }
                let metric = || {
                    let what = "this is a metric query: it gives numbers over time, not log entries";
                    reply.fault(SourceErrorKind::BadQuestion, what, "ask it as a range question")
                };
                let is_other = |kind: &str| !matches!(kind, "" | "streams");
                let envelope: Envelope<Streams> =
                    reply.json().map_err(|error| if is_other(&result_type(reply)) { metric() } else { error })?;
                if envelope.data.as_ref().is_some_and(|data| is_other(&data.result_type)) {
                    return Err(metric());
                }
                let notes = envelope.notes();
                let page = envelope.data.map(|streams| streams.page(line_bytes));
                Ok((page.unwrap_or(Page { entries: Vec::new(), shortened: 0 }), notes))
            })
            .await
    }

    /// Learns the server's limits from its refusal. True when asking again makes sense.
    fn adapt(&self, error: &SourceError, pager: &mut Pager, ask: Ask) -> bool {
        if error.kind == SourceErrorKind::TooLarge {
            return pager.halve_page(ask.limit);
        }
        if let Some(most) = entries_limit(&error.what) {
            self.page.fetch_min(most, Ordering::Relaxed);
            return pager.limit_page(most);
        }
        match range_limit(&error.what) {
            Some(longest) => {
                self.learn_span(longest);
                pager.limit_span(longest)
            }
            None => false,
        }
    }

    fn learn_span(&self, span: Duration) {
        self.span.store(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    async fn instant(&self, expr: &str, at: Timestamp) -> Result<Answer, SourceError> {
        let params = [("query", expr.to_owned()), ("time", at.nanos().to_string())];
        let call = Call::get(&["loki", "api", "v1", "query"], &params);
        let (result, mut notes) = self.fetch(&call, |data: QueryResult| data).await?;
        let data = match result.result_type.as_str() {
            "vector" | "matrix" => {
                let mut gathered = Gathered::new(self.http.limits());
                let _ = gathered.add(result.result);
                Data::Series(gathered.finish(false, &mut notes))
            }
            "scalar" => samples::scalar(&result.result).map(Data::Scalar).ok_or_else(|| self.http.foreign("scalar"))?,
            other => return Err(self.http.foreign(other)),
        };
        Ok(Answer { data, notes })
    }

    async fn range(&self, expr: &str, range: TimeRange, step: Duration) -> Result<Answer, SourceError> {
        super::prometheus::check_step(&self.http, range, step)?;
        match self.range_in_pieces(expr, range, step).await {
            Err(error) => match range_limit(&error.what) {
                Some(longest) if longest < self.span().unwrap_or(Duration::MAX) => {
                    self.learn_span(longest);
                    self.range_in_pieces(expr, range, step).await
                }
                _ => Err(error),
            },
            answer => answer,
        }
    }

    fn span(&self) -> Option<Duration> {
        Some(self.span.load(Ordering::Relaxed)).filter(|millis| *millis > 0).map(Duration::from_millis)
    }

    async fn range_in_pieces(&self, expr: &str, range: TimeRange, step: Duration) -> Result<Answer, SourceError> {
        let longest = self.span().map_or(samples::POINTS, |span| {
            u64::try_from(span.as_nanos() / step.as_nanos().max(1)).unwrap_or(u64::MAX)
        });
        let pieces = samples::pieces_of(range, step, longest.min(samples::POINTS));
        let mut gathered = Gathered::new(self.http.limits());
        let mut notes = Vec::new();
        if pieces.len() > 1 {
            let text = format!("asked in {} pieces: the server limits the time of one", pieces.len());
            notes.push(Note { kind: NoteKind::Info, text: Text::new(&text) });
        }
        for piece in pieces {
            let params = [
                ("query", expr.to_owned()),
                ("start", piece.start.nanos().to_string()),
                ("end", piece.end.nanos().to_string()),
                ("step", duration(step)),
            ];
            let call = Call::get(&["loki", "api", "v1", "query_range"], &params);
            let reply = self.http.send(&call).await?;
            let read = move |reply: &Reply| {
                if !reply.is_success() {
                    return Err(reply.refusal(None));
                }
                let log = || {
                    let what = "this is a log query: it gives entries, not numbers over time";
                    reply.fault(SourceErrorKind::BadQuestion, what, "count them, as in count_over_time({…}[1m])")
                };
                let envelope: Envelope<QueryResult> =
                    reply.json().map_err(|error| if result_type(reply) == "streams" { log() } else { error })?;
                if envelope.data.as_ref().is_some_and(|data| data.result_type == "streams") {
                    return Err(log());
                }
                Ok(envelope)
            };
            let envelope = reply.parse(read).await?;
            notes.extend(envelope.notes().into_iter().filter(|note| !notes.contains(note)).collect::<Vec<_>>());
            let result = envelope.data.map(|data| data.result).unwrap_or_default();
            if let ControlFlow::Break(()) = gathered.add(result) {
                break;
            }
        }
        let series = gathered.finish(false, &mut notes);
        Ok(Answer { data: Data::Series(series), notes })
    }

    async fn answer(&self, query: &Query) -> Result<Answer, SourceError> {
        match query {
            Query::Instant { expr, at, .. } => self.instant(expr, *at).await,
            Query::Range { expr, range, step, .. } => self.range(expr, *range, *step).await,
            Query::LabelNames { matchers, range, .. } => self.names(&["labels"], matchers, *range).await,
            Query::LabelValues { label, matchers, range, .. } => {
                self.names(&["label", label, "values"], matchers, *range).await
            }
            Query::Series { matchers, range, .. } => self.series(matchers, *range).await,
            Query::LogVolume { expr, range } => self.volume(expr, *range).await,
            Query::LogPatterns { expr, range } => self.patterns(expr, *range).await,
            Query::DetectedFields { expr, range } => self.detected_fields(expr, *range).await,
            Query::BuildInfo => self.build_info().await,
            _ => Err(super::unsupported(self.name(), query)),
        }
    }
}

impl Telemetry for Loki {
    fn name(&self) -> &str {
        self.http.source()
    }

    fn answers(&self, query: &Query) -> bool {
        *query == Query::BuildInfo || query.lang() == Some(Lang::LogQl)
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>> {
        match query {
            // Keeps its own deadline: the pages read before it are worth having.
            Query::Logs { expr, range, limit, direction } => self.logs(expr, *range, *limit, *direction).boxed(),
            _ => self.http.in_time(self.answer(query)).boxed(),
        }
    }
}

/// A duration in the notation that Loki reads: fractions of a second are refused.
fn duration(span: Duration) -> String {
    match span.as_millis() {
        0 => "1ms".to_owned(),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

/// `resultType` of an answer whose result is not of the shape expected; empty when there is none.
fn result_type(reply: &Reply) -> String {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "resultType")]
        result_type: String,
    }
    let typed = serde_json::from_slice::<Envelope<Typed>>(&reply.body).ok().and_then(|envelope| envelope.data);
    typed.map(|typed| typed.result_type).unwrap_or_default()
}

/// `max entries limit per query exceeded, limit > max_entries_limit_per_query (50000 > 5000)`: the 5000.
fn entries_limit(what: &str) -> Option<usize> {
    let rest = what.split_once("max entries limit")?.1;
    let number = rest.rsplit_once('>')?.1.trim().trim_end_matches(')');
    number.parse().ok()
}

/// `the query time range exceeds the limit (query length: 19200h0m0s, limit: 30d1h)`: the 30d1h.
fn range_limit(what: &str) -> Option<Duration> {
    let rest = what.split_once("query time range exceeds the limit")?.1;
    let number = rest.rsplit_once("limit:")?.1.trim().trim_end_matches(')');
    parse_duration(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_refusals() {
        let what = "http://x/query_range answers 400: max entries limit per query exceeded, limit > \
                    max_entries_limit_per_query (50000 > 5000)";
        assert_eq!(entries_limit(what), Some(5_000));
        assert_eq!(range_limit(what), None);
        let what = "x answers 400: the query time range exceeds the limit (query length: 19200h0m0s, limit: 30d1h)";
        assert_eq!(range_limit(what), Some(Duration::from_hours(30 * 24 + 1)));
        assert_eq!(entries_limit(what), None);
        assert_eq!(entries_limit("max entries limit (a > b)"), None);
    }

    #[test]
    fn durations_have_no_fractions() {
        assert_eq!(duration(Duration::from_secs(61)), "61s");
        assert_eq!(duration(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(duration(Duration::from_nanos(1)), "1ms");
    }
}
