//! Prometheus and what speaks its API: VictoriaMetrics, Thanos, Mimir, Cortex.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

mod inventory;

pub(super) use self::inventory::kind;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use serde::Deserialize;

use super::http::{Call, HttpClient};
use super::reply::Reply;
use super::samples::{self, Gathered, QueryResult};
use super::{SourceError, SourceErrorKind, Telemetry};
use crate::domain::query::{Answer, Data, Lang, Note, NoteKind, Query};
use crate::domain::settings::{Secrets, SourceSettings};
use crate::domain::{Text, TimeRange, Timestamp};

/// A Prometheus server.
pub struct Prometheus {
    http: HttpClient,
    /// Set once the server, or a proxy before it, refused POST.
    no_post: AtomicBool,
}

/// The envelope of every answer, with the additions of VictoriaMetrics (`isPartial`).
#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(default)]
    status: String,
    data: Option<T>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    warnings: Option<Vec<String>>,
    infos: Option<Vec<String>>,
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

/// What every parser returns: the data and what is to be said beside it.
type Told<T> = (T, Vec<Note>);

impl Prometheus {
    /// A client. Fails when the settings cannot work; does not connect.
    pub fn new(name: &str, settings: &SourceSettings, secrets: Arc<dyn Secrets>) -> Result<Self, SourceError> {
        Ok(Self { http: HttpClient::new(name, settings, secrets)?, no_post: AtomicBool::new(false) })
    }

    /// Sends and parses the envelope, with `read` making of its data what is wanted.
    async fn fetch<T, R, F>(&self, call: Call<'_>, read: F) -> Result<Told<R>, SourceError>
    where
        T: for<'de> Deserialize<'de>,
        R: Send + 'static,
        F: FnOnce(T, &mut Vec<Note>) -> R + Send + 'static,
    {
        let form = call.form && !self.no_post.load(Ordering::Relaxed);
        let mut reply = self.http.send(&Call { form, ..call }).await?;
        if form && matches!(reply.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            self.no_post.store(true, Ordering::Relaxed);
            reply = self.http.send(&Call { form: false, ..call }).await?;
        }
        reply
            .parse(move |reply| {
                if !reply.is_success() {
                    return Err(refusal(reply));
                }
                let envelope: Envelope<T> = reply.json()?;
                if envelope.status == "error" {
                    return Err(explained(reply, &envelope.error_type, &envelope.error));
                }
                let mut notes = notes(&envelope);
                let data = envelope.data.ok_or_else(|| {
                    let what = format!("the answer of {} has no `data`", reply.place);
                    reply.fault(SourceErrorKind::NotUnderstood, &what, "is its url that of a Prometheus API?")
                })?;
                let data = read(data, &mut notes);
                Ok((data, notes))
            })
            .await
    }

    async fn query(&self, path: &'static str, params: &[(&str, String)]) -> Result<Told<QueryResult>, SourceError> {
        let call = Call { path: &["api", "v1", path], params, form: true, headers: &[], json: None };
        self.fetch(call, |data: QueryResult, _| data).await
    }

    async fn instant(&self, expr: &str, at: Timestamp) -> Result<Answer, SourceError> {
        let params = [("query", expr.to_owned()), ("time", seconds(at)), ("timeout", self.patience())];
        let (result, mut notes) = self.query("query", &params).await?;
        let data = match result.result_type.as_str() {
            "scalar" => samples::scalar(&result.result).map(Data::Scalar),
            "string" => samples::word(&result.result).map(Data::Word),
            "vector" | "matrix" => {
                let mut gathered = Gathered::new(self.http.limits());
                let _ = gathered.add(result.result);
                Some(Data::Series(gathered.finish(is_ordered(expr), &mut notes)))
            }
            _ => None,
        };
        let data = data.ok_or_else(|| self.http.foreign(&result.result_type))?;
        Ok(Answer { data, notes })
    }

    async fn range(&self, expr: &str, range: TimeRange, step: Duration) -> Result<Answer, SourceError> {
        let limits = self.http.limits();
        check_step(&self.http, range, step)?;
        let pieces = samples::pieces(range, step);
        let mut gathered = Gathered::new(limits);
        let mut notes = Vec::new();
        if pieces.len() > 1 {
            let text = format!("asked in {} pieces: servers give {} instants at most", pieces.len(), samples::POINTS);
            notes.push(Note { kind: NoteKind::Info, text: Text::new(&text) });
        }
        for piece in pieces {
            let params = [
                ("query", expr.to_owned()),
                ("start", seconds(piece.start)),
                ("end", seconds(piece.end)),
                ("step", step.as_secs_f64().to_string()),
                ("timeout", self.patience()),
            ];
            let (result, told) = self.query("query_range", &params).await?;
            if result.result_type != "matrix" {
                return Err(self.http.foreign(&result.result_type));
            }
            notes.extend(told.into_iter().filter(|note| !notes.contains(note)).collect::<Vec<_>>());
            if let ControlFlow::Break(()) = gathered.add(result.result) {
                break;
            }
        }
        let series = gathered.finish(false, &mut notes);
        Ok(Answer { data: Data::Series(series), notes })
    }

    /// The time the server gets, so that it does not go on when nobody waits any more.
    fn patience(&self) -> String {
        format!("{}ms", self.http.timeout().as_millis())
    }

    async fn answer(&self, query: &Query) -> Result<Answer, SourceError> {
        match query {
            Query::Instant { expr, at, .. } => self.instant(expr, *at).await,
            Query::Range { expr, range, step, .. } => self.range(expr, *range, *step).await,
            Query::Alerts => self.alerts().await,
            Query::Rules => self.rules().await,
            Query::Targets => self.targets().await,
            Query::Metadata => self.metadata().await,
            Query::BuildInfo => self.build_info().await,
            Query::LabelNames { matchers, range, .. } => self.label_names(matchers, *range).await,
            Query::LabelValues { label, matchers, range, .. } => self.label_values(label, matchers, *range).await,
            Query::Series { matchers, range, .. } => self.series(matchers, *range).await,
            _ => Err(super::unsupported(self.name(), query)),
        }
    }
}

impl Telemetry for Prometheus {
    fn name(&self) -> &str {
        self.http.source()
    }

    fn answers(&self, query: &Query) -> bool {
        match query {
            Query::Alerts | Query::Rules | Query::Targets | Query::Metadata | Query::BuildInfo => true,
            Query::LabelNames { lang, .. }
            | Query::LabelValues { lang, .. }
            | Query::Series { lang, .. }
            | Query::Instant { lang, .. }
            | Query::Range { lang, .. } => *lang == Lang::PromQl,
            _ => false,
        }
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>> {
        self.http.in_time(self.answer(query)).boxed()
    }
}

/// Refuses steps and ranges that no server could answer within the limits.
pub(super) fn check_step(http: &HttpClient, range: TimeRange, step: Duration) -> Result<(), SourceError> {
    if step.is_zero() {
        return Err(http.fault(
            SourceErrorKind::BadQuestion,
            "the step of a range question is zero",
            "give one, like 15s",
        ));
    }
    let points = samples::points(range, step);
    if points > http.limits().samples as u64 {
        let what = format!("{points} instants are more than the limit of {} samples", http.limits().samples);
        return Err(http.fault(SourceErrorKind::BadQuestion, &what, "choose a longer step or a shorter time"));
    }
    Ok(())
}

/// Whether the order of the answer is what was asked for.
fn is_ordered(expr: &str) -> bool {
    ["sort", "topk", "bottomk"].iter().any(|function| expr.trim_start().starts_with(function))
}

/// Seconds with milliseconds, Prometheus' own resolution.
pub(super) fn seconds(at: Timestamp) -> String {
    let millis = at.millis();
    format!(
        "{}{}.{:03}",
        if millis < 0 { "-" } else { "" },
        millis.unsigned_abs() / 1_000,
        millis.unsigned_abs() % 1_000
    )
}

fn notes<T>(envelope: &Envelope<T>) -> Vec<Note> {
    let of = |kind, words: &Option<Vec<String>>| -> Vec<Note> {
        words.iter().flatten().map(|word| Note { kind, text: Text::new(word) }).collect()
    };
    let mut notes = of(NoteKind::Warning, &envelope.warnings);
    for note in &mut notes {
        // Prometheus 3: "results truncated due to limit".
        if note.text.contains("truncated") {
            note.kind = NoteKind::Cut;
        }
    }
    notes.extend(of(NoteKind::Info, &envelope.infos));
    if envelope.is_partial {
        notes.push(samples::cut("the server says that its answer is partial: a part of its storage did not answer"));
    }
    notes
}

/// The error in the API's own format, or whatever else came.
fn refusal(reply: &Reply) -> SourceError {
    match serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(&reply.body) {
        Ok(envelope) if !envelope.error.is_empty() => explained(reply, &envelope.error_type, &envelope.error),
        _ => reply.refusal(None),
    }
}

fn explained(reply: &Reply, error_type: &str, error: &str) -> SourceError {
    let refusal = reply.refusal(Some(error));
    let (kind, advice) = match error_type {
        "timeout" | "canceled" => (SourceErrorKind::Timeout, "ask for a shorter time or fewer series"),
        "execution" if error.contains("too many samples") => {
            (SourceErrorKind::BadQuestion, "ask for a shorter time, a longer step or fewer series")
        }
        "bad_data" | "execution" => (SourceErrorKind::BadQuestion, ""),
        _ => return refusal,
    };
    SourceError { kind, advice: advice.to_owned(), ..refusal }
}
