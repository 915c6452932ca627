//! A `/metrics` or `/federate` page as a source: what one exporter says right now.
//!
//! The parser that is used passes over lines it does not understand and takes some label values apart wrongly, so
//! each sample line is checked, and what was lost is counted and said.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use prometheus_parse::{LineInfo, Scrape, Value};
use promql_parser::label::Matcher;
use promql_parser::parser::{self, Expr};

use super::http::{Call, HttpClient};
use super::reply::Reply;
use super::samples::cut;
use super::{SourceError, SourceErrorKind, Telemetry};
use crate::domain::labels::METRIC_NAME;
use crate::domain::metric::{MetricMeta, Sample, Series};
use crate::domain::query::{Answer, Data, Lang, Note, NoteKind, Query};
use crate::domain::settings::{Secrets, SourceSettings};
use crate::domain::text::neutralise;
use crate::domain::{Labels, Text, Timestamp};

/// Asks for the classic text format: of OpenMetrics the parser does not understand the timestamps.
const ACCEPT: &[(&str, &str)] = &[("Accept", "text/plain;version=0.0.4")];

/// One page. Answers metadata, and instants and series for a plain selector; every question fetches the page.
pub struct Exposition {
    http: HttpClient,
}

/// What a page holds.
#[derive(Debug, Default)]
struct Page {
    metadata: BTreeMap<String, MetricMeta>,
    series: Vec<Series>,
    /// Sample lines that could not be read, with the first of them.
    lost: usize,
    first_lost: Option<String>,
    /// Whether timestamps of the page were passed over.
    untimed: bool,
}

impl Exposition {
    /// A client for the page at `settings.url`; without a path `/metrics` is meant. Fails when the settings cannot
    /// work; does not connect.
    pub fn new(name: &str, settings: &SourceSettings, secrets: Arc<dyn Secrets>) -> Result<Self, SourceError> {
        let mut settings = settings.clone();
        if let Ok(mut url) = reqwest::Url::parse(&settings.url)
            && url.path() == "/"
        {
            url.set_path("/metrics");
            settings.url = url.to_string();
        }
        Ok(Self { http: HttpClient::new(name, &settings, secrets)? })
    }

    async fn page(&self, at: Timestamp) -> Result<Page, SourceError> {
        let reply = self.http.send(&Call { path: &[], params: &[], form: false, headers: ACCEPT, json: None }).await?;
        reply.parse(move |reply| read(reply, at)).await
    }

    async fn answer(&self, query: &Query) -> Result<Answer, SourceError> {
        match query {
            Query::Metadata => {
                let page = self.page(Timestamp::default()).await?;
                let notes = page.notes();
                Ok(Answer { data: Data::Metadata(page.metadata), notes })
            }
            Query::Instant { expr, at, .. } => {
                let selector = self.selector(expr)?;
                let page = self.page(*at).await?;
                let mut notes = page.notes();
                let series = page.series.into_iter().filter(|series| matches(&selector, &series.labels));
                let series = self.bounded(series.collect(), &mut notes);
                Ok(Answer { data: Data::Series(series), notes })
            }
            Query::Series { matchers, .. } => {
                let selectors: Vec<_> = matchers.iter().map(|expr| self.selector(expr)).collect::<Result<_, _>>()?;
                let page = self.page(Timestamp::default()).await?;
                let mut notes = page.notes();
                let sets = page.series.into_iter().map(|series| series.labels);
                let sets = sets.filter(|labels| selectors.iter().any(|selector| matches(selector, labels)));
                let sets = self.bounded(sets.collect(), &mut notes);
                Ok(Answer { data: Data::LabelSets(sets), notes })
            }
            _ => Err(super::unsupported(self.name(), query)),
        }
    }

    fn bounded<T>(&self, mut items: Vec<T>, notes: &mut Vec<Note>) -> Vec<T> {
        let limit = self.http.limits().series;
        if items.len() > limit {
            notes.push(cut(&format!("{limit} of {} series are shown (limits.series)", items.len())));
            items.truncate(limit);
        }
        items
    }

    /// The matchers of a plain selector: a page has no history to compute with.
    fn selector(&self, expr: &str) -> Result<Vec<Matcher>, SourceError> {
        let wrong = |kind, what: &str| self.http.fault(kind, what, "ask for a plain selector, like up{job=\"x\"}");
        match parser::parse(expr) {
            Ok(Expr::VectorSelector(selector))
                if selector.offset.is_none() && selector.at.is_none() && selector.matchers.or_matchers.is_empty() =>
            {
                let name = selector
                    .name
                    .iter()
                    .map(|name| Matcher::new(promql_parser::label::MatchOp::Equal, METRIC_NAME, name));
                Ok(name.chain(selector.matchers.matchers.iter().cloned()).collect())
            }
            Ok(_) => Err(wrong(SourceErrorKind::Unsupported, &format!("a page cannot compute `{expr}`"))),
            Err(why) => Err(wrong(SourceErrorKind::BadQuestion, &format!("`{expr}` is not PromQL: {why}"))),
        }
    }
}

impl Telemetry for Exposition {
    fn name(&self) -> &str {
        self.http.source()
    }

    fn answers(&self, query: &Query) -> bool {
        match query {
            Query::Metadata => true,
            Query::Instant { lang, .. } | Query::Series { lang, .. } => *lang == Lang::PromQl,
            _ => false,
        }
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>> {
        self.http.in_time(self.answer(query)).boxed()
    }
}

impl Page {
    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if self.lost > 0 {
            let first = self.first_lost.as_deref().unwrap_or_default();
            notes.push(cut(&format!("{} sample lines could not be read, the first is `{first}`", self.lost)));
        }
        if self.untimed {
            let text = "the timestamps of this OpenMetrics page are not read: its samples stand at the time asked for";
            notes.push(Note { kind: NoteKind::Info, text: Text::new(text) });
        }
        notes
    }
}

fn matches(selector: &[Matcher], labels: &Labels) -> bool {
    selector.iter().all(|matcher| matcher.is_match(labels.get(&matcher.name).unwrap_or_default()))
}

fn read(reply: &Reply, at: Timestamp) -> Result<Page, SourceError> {
    if !reply.is_success() {
        return Err(reply.refusal(None));
    }
    let Ok(text) = std::str::from_utf8(&reply.body) else {
        let what = format!("{} is not text in UTF-8", reply.place);
        return Err(reply.fault(SourceErrorKind::NotUnderstood, &what, "is its url that of a metrics page?"));
    };
    let page = parse(text, at);
    if page.series.is_empty() && page.metadata.is_empty() {
        let begin: String = text.trim().chars().take(60).collect();
        let what = format!("{} holds no metrics; it begins with `{begin}`", reply.place);
        return Err(reply.fault(SourceErrorKind::NotUnderstood, &what, "is its url that of a metrics page?"));
    }
    Ok(page)
}

fn parse(text: &str, at: Timestamp) -> Page {
    let mut page = Page::default();
    let open_metrics = text.trim_end().ends_with("# EOF");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match LineInfo::parse(line) {
            LineInfo::Doc { metric_name, doc } => page.meta(metric_name).help = Text::new(doc),
            // The name is changed for histograms; the line itself has it.
            LineInfo::Type { .. } => {
                let mut words = line.split_whitespace().skip(2);
                if let (Some(name), Some(kind)) = (words.next(), words.next()) {
                    page.meta(name).kind = super::prometheus::kind(kind);
                }
            }
            LineInfo::Sample { labels, timestamp, .. } if is_faithful(labels) => {
                let untimed = open_metrics && timestamp.is_some_and(|word| !word.starts_with('#'));
                page.untimed |= untimed;
                match sample(line, at, untimed) {
                    Some(series) => page.series.push(series),
                    None => page.lose(line),
                }
            }
            _ if line.starts_with('#') => page.unit(line),
            _ => page.lose(line),
        }
    }
    page.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    page
}

impl Page {
    fn meta(&mut self, name: &str) -> &mut MetricMeta {
        self.metadata.entry(neutralise(name).into_owned()).or_default()
    }

    /// `# UNIT name seconds`, which the parser does not know.
    fn unit(&mut self, line: &str) {
        if let Some((name, unit)) = line.strip_prefix("# UNIT ").and_then(|rest| rest.split_once(' ')) {
            self.meta(name).unit = neutralise(unit.trim()).into_owned();
        }
    }

    fn lose(&mut self, line: &str) {
        self.lost += 1;
        self.first_lost.get_or_insert_with(|| line.chars().take(80).collect());
    }
}

/// One sample line by itself: without the types of the page, buckets and quantiles stay the series that they are.
fn sample(line: &str, at: Timestamp, untimed: bool) -> Option<Series> {
    let present = DateTime::from_timestamp_nanos(at.nanos());
    let scrape = Scrape::parse_at(std::iter::once(Ok(line.to_owned())), present).ok()?;
    let sample = scrape.samples.into_iter().next()?;
    let Value::Untyped(value) = sample.value else { return None };
    let mut labels: Labels = sample.labels.iter().collect();
    labels.insert(METRIC_NAME, &sample.metric);
    let stamped = Timestamp::from_nanos(sample.timestamp.timestamp_nanos_opt()?);
    Some(Series { labels, samples: vec![Sample { at: if untimed { at } else { stamped }, value }] })
}

/// Whether the parser takes these labels apart rightly. It splits at every comma and equals sign, in values too, and
/// leaves escapes as they are.
fn is_faithful(labels: Option<&str>) -> bool {
    let Some(labels) = labels else { return true };
    let (mut quoted, mut pairs, mut names) = (false, 0, 0);
    for c in labels.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                pairs += usize::from(quoted);
            }
            ',' | '=' | '\\' if quoted => return false,
            '=' => names += 1,
            _ => {}
        }
    }
    !quoted && pairs == names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::metric::MetricKind;

    const PAGE: &str = "\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code=\"200\",path=\"/a\"} 1027 1395066363000
http_requests_total{code=\"500\",path=\"/a?b=c\"} 3
# TYPE latency histogram
# UNIT latency seconds
latency_bucket{le=\"0.1\"} 5
latency_bucket{le=\"+Inf\"} 7
latency_sum 1.5
odd{path=\"C:\\\\x\"} 1
{\"utf8.name\",a=\"b\"} 1
nonsense
ok NaN
";

    #[test]
    fn what_the_parser_loses_is_counted() {
        let at = Timestamp::from_secs(50);
        let page = parse(PAGE, at);
        let shown: Vec<String> =
            page.series.iter().map(|series| format!("{} {}", series.labels, series.samples[0].value)).collect();
        assert_eq!(
            shown,
            [
                "http_requests_total{code=\"200\",path=\"/a\"} 1027",
                "latency_bucket{le=\"+Inf\"} 7",
                "latency_bucket{le=\"0.1\"} 5",
                "latency_sum 1.5",
                "ok NaN",
            ]
        );
        assert_eq!(page.lost, 4);
        assert_eq!(
            page.notes()[0].text,
            "4 sample lines could not be read, the first is `http_requests_total{code=\"500\",path=\"/a?b=c\"} 3`"
        );
        assert_eq!(page.series[0].samples[0].at, Timestamp::from_millis(1_395_066_363_000));
        assert_eq!(page.series[1].samples[0].at, at);
        assert_eq!(page.metadata["latency"].kind, MetricKind::Histogram);
        assert_eq!(page.metadata["latency"].unit, "seconds");
        assert_eq!(page.metadata["http_requests_total"].help, "Requests.");
    }

    #[test]
    fn timestamps_of_open_metrics_are_not_misread() {
        let at = Timestamp::from_secs(50);
        let page = parse("a 1 1500000000\nb 2 1500000000.5\nc 3 # {trace_id=\"x\"} 1\n# EOF\n", at);
        assert!(page.series.iter().all(|series| series.samples[0].at == at));
        assert_eq!((page.lost, page.untimed), (0, true));
    }

    proptest::proptest! {
        #[test]
        fn no_page_is_too_odd(text in "(?s).{0,200}") {
            let _ = parse(&text, Timestamp::default());
        }
    }
}
