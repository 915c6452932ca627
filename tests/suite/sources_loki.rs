//! The Loki source against recorded answers of a real Loki 3, and against a small Loki that pages as the real one.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};
use stanch::domain::log::LogEntry;
use stanch::domain::query::{Answer, Data, Direction, Lang, NoteKind, Query};
use stanch::domain::settings::{Limits, SourceSettings};
use stanch::domain::{TimeRange, Timestamp};
use stanch::sources::loki::Loki;
use stanch::sources::{SourceError, SourceErrorKind, Telemetry};
use wiremock::matchers::{any, header, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::secrets::Rotating;

/// `{request, response: {status, headers, json | text}}`.
fn recorded(name: &str) -> Value {
    let path = format!("{}/tests/suite/fixtures/loki/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"))).unwrap()
}

fn response(recorded: &Value) -> ResponseTemplate {
    let response = &recorded["response"];
    let status = response["status"].as_u64().unwrap() as u16;
    match response["text"].as_str() {
        Some(text) => ResponseTemplate::new(status).set_body_raw(text.as_bytes().to_vec(), "text/plain; charset=utf-8"),
        None => ResponseTemplate::new(status).set_body_json(&response["json"]),
    }
}

fn client(server: &MockServer, limits: Limits) -> Loki {
    Loki::new("loki", &SourceSettings { limits, ..SourceSettings::new(&server.uri()) }, Rotating::new(&[])).unwrap()
}

/// Asks a server that gives the recorded answer, on the recorded path.
async fn replay(name: &str, query: &Query) -> Result<Answer, SourceError> {
    let recorded = recorded(name);
    let server = MockServer::start().await;
    Mock::given(path(recorded["request"]["path"].as_str().unwrap()))
        .respond_with(response(&recorded))
        .mount(&server)
        .await;
    client(&server, Limits::default()).ask(query).await
}

fn whole() -> TimeRange {
    TimeRange::new(Timestamp::from_nanos(1_795_238_841_088_331_748), Timestamp::from_nanos(1_795_240_642_088_331_748))
}

fn logs(expr: &str, limit: usize, direction: Direction) -> Query {
    Query::Logs { expr: expr.into(), range: whole(), limit, direction }
}

fn entries(answer: &Answer) -> &[LogEntry] {
    match &answer.data {
        Data::Logs(entries) => entries,
        other => panic!("log entries expected, got {other:?}"),
    }
}

#[tokio::test]
async fn recorded_entries_are_read_oldest_first() {
    for (name, count) in [
        ("query_range_streams", 40),
        ("query_range_streams_forward", 10),
        ("query_range_json_uncategorized", 10),
        ("query_range_logfmt_error_label", 5),
        ("query_range_empty", 0),
    ] {
        let answer = replay(name, &logs("{namespace=\"shop\"}", 100, Direction::Backward)).await.unwrap();
        let entries = entries(&answer);
        assert_eq!(entries.len(), count, "{name}");
        assert!(entries.windows(2).all(|pair| pair[0].at <= pair[1].at), "{name}");
        assert!(answer.notes.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn structured_metadata_stands_beside_the_line() {
    let recorded = recorded("query_range_categorized");
    let server = MockServer::start().await;
    Mock::given(header("X-Loki-Response-Encoding-Flags", "categorize-labels"))
        .respond_with(response(&recorded))
        .mount(&server)
        .await;
    let query = logs("{service_name=\"checkout\"} | json", 100, Direction::Backward);
    let answer = client(&server, Limits::default()).ask(&query).await.unwrap();
    let last = entries(&answer).last().unwrap();
    assert_eq!(last.at, Timestamp::from_nanos(1_795_240_640_436_061_822));
    assert_eq!(
        last.labels.to_string(),
        r#"{env="prod",namespace="shop",pod="checkout-7d9f-1",service_name="checkout"}"#
    );
    assert_eq!(last.metadata.get("trace_id"), Some("f4581fff478c0f74"));
    assert_eq!(last.metadata.get("__error__"), Some("JSONParserErr"));
    assert!(last.line.starts_with("level=info caller=http.go:3"));
}

#[tokio::test]
async fn recorded_numbers_are_read() {
    let range = Query::Range { lang: Lang::LogQl, expr: "x".into(), range: whole(), step: Duration::from_mins(1) };
    let answer = replay("query_range_matrix", &range).await.unwrap();
    let Data::Series(series) = answer.data else { panic!("series expected") };
    assert_eq!(series.len(), 3);
    assert_eq!(series[0].labels.get("service_name"), Some("checkout"));
    assert_eq!(series[0].samples[0].at, Timestamp::from_secs(1_795_240_080));
    let at = Timestamp::from_secs(1_795_240_641);
    let instant = Query::Instant { lang: Lang::LogQl, expr: "x".into(), at };
    let answer = replay("query_instant_vector", &instant).await.unwrap();
    assert!(matches!(&answer.data, Data::Series(series) if series[1].samples[0].value.to_string() == "165"));
}

#[tokio::test]
async fn recorded_inventory_is_read() {
    let (lang, range) = (Lang::LogQl, whole());
    let labels = replay("labels", &Query::LabelNames { lang, matchers: vec![], range }).await.unwrap();
    assert_eq!(labels.len(), 4);
    let matchers = vec!["{namespace=\"shop\"}".to_owned()];
    let values = Query::LabelValues { lang, label: "service_name".into(), matchers: matchers.clone(), range };
    let expected = ["cart", "checkout", "frontend", "payments", "postgres"].map(str::to_owned).to_vec();
    assert_eq!(replay("label_values", &values).await.unwrap().data, Data::Names(expected));
    let series = replay("series", &Query::Series { lang, matchers, range }).await.unwrap();
    assert!(matches!(&series.data, Data::LabelSets(sets) if sets.len() == 9));
    let expr = "{namespace=\"shop\"}".to_owned();
    let volume = replay("index_volume", &Query::LogVolume { expr: expr.clone(), range }).await.unwrap();
    assert!(
        matches!(&volume.data, Data::Volumes(all) if all[0].0.get("service_name") == Some("payments") && all[0].1 == 253_954)
    );
    let patterns = replay("patterns", &Query::LogPatterns { expr: expr.clone(), range }).await.unwrap();
    assert!(matches!(&patterns.data, Data::Patterns(all) if all[0].1 == 8_329 && all.len() == 3));
    let fields = replay("detected_fields", &Query::DetectedFields { expr, range }).await.unwrap();
    assert!(
        matches!(&fields.data, Data::Fields(all) if all.len() == 12 && all[0] == ("caller".into(), "string".into(), 10))
    );
    assert!(
        matches!(replay("buildinfo", &Query::BuildInfo).await.unwrap().data, Data::Facts(facts) if facts["goVersion"] == "go1.27.3")
    );
}

#[tokio::test]
async fn recorded_refusals_keep_their_words() {
    let range = Query::Range { lang: Lang::LogQl, expr: "x".into(), range: whole(), step: Duration::from_mins(1) };
    for (name, words) in [
        ("error_parse", "parse error at line 0, col 19"),
        ("error_no_matcher", "at least one regexp or equality matcher"),
        ("error_series_limit", "maximum number of series (500) reached"),
        ("error_resolution", "to a valid duration"),
    ] {
        for query in [&range, &logs("x", 10, Direction::Backward)] {
            let error = replay(name, query).await.unwrap_err();
            assert_eq!(error.kind, SourceErrorKind::BadQuestion, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

#[tokio::test]
async fn what_a_version_does_not_have_is_unsupported() {
    let recorded = recorded("error_not_found");
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(response(&recorded)).mount(&server).await;
    let (expr, range) = ("{a=\"b\"}".to_owned(), whole());
    for query in [
        Query::LogPatterns { expr: expr.clone(), range },
        Query::DetectedFields { expr: expr.clone(), range },
        Query::LogVolume { expr, range },
        Query::BuildInfo,
    ] {
        let error = client(&server, Limits::default()).ask(&query).await.unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Unsupported, "{error}");
    }
}

#[tokio::test]
async fn a_query_of_the_other_kind_is_explained() {
    let range = Query::Range { lang: Lang::LogQl, expr: "x".into(), range: whole(), step: Duration::from_mins(1) };
    let error = replay("query_range_streams", &range).await.unwrap_err();
    assert!(error.kind == SourceErrorKind::BadQuestion && error.what.contains("log query"), "{error}");
    let error = replay("query_range_matrix", &logs("x", 10, Direction::Backward)).await.unwrap_err();
    assert!(error.kind == SourceErrorKind::BadQuestion && error.what.contains("metric query"), "{error}");
}

/// A Loki that knows some entries, honours start, end, limit and direction, and refuses as the real one does.
struct SmallLoki {
    entries: Vec<(i64, &'static str, String)>,
    most: usize,
    longest: i64,
    fails_after: Option<i64>,
}

impl SmallLoki {
    fn new(entries: Vec<(i64, &'static str, String)>) -> Self {
        Self { entries, most: 5_000, longest: i64::MAX, fails_after: None }
    }
}

impl Respond for SmallLoki {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let params: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
        let number = |name: &str| params[name].parse::<i64>().unwrap();
        let (start, end, limit) = (number("start"), number("end"), number("limit") as usize);
        let refuse = |text: String| ResponseTemplate::new(400).set_body_string(text);
        if limit > self.most {
            return refuse(format!(
                "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {})",
                self.most
            ));
        }
        if end - start > self.longest {
            return refuse(format!(
                "the query time range exceeds the limit (query length: {}s, limit: {}s)",
                (end - start) / 1_000_000_000,
                self.longest / 1_000_000_000
            ));
        }
        if self.fails_after.is_some_and(|time| end < time) {
            return ResponseTemplate::new(500).set_body_string("ingester gone");
        }
        let mut found: Vec<_> = self.entries.iter().filter(|entry| (start..end).contains(&entry.0)).collect();
        if params["direction"] == "backward" {
            found.reverse();
            found.sort_by_key(|entry| std::cmp::Reverse(entry.0));
        } else {
            found.sort_by_key(|entry| entry.0);
        }
        found.truncate(limit);
        let mut streams: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (at, stream, line) in found {
            streams.entry(stream).or_default().push(json!([at.to_string(), line]));
        }
        let result: Vec<Value> =
            streams.into_iter().map(|(app, values)| json!({"stream": {"app": app}, "values": values})).collect();
        let data = json!({"resultType": "streams", "result": result});
        ResponseTemplate::new(200).set_body_json(json!({"status": "success", "data": data}))
    }
}

const SECOND: i64 = 1_000_000_000;

async fn page_through(loki: SmallLoki, end: i64, limit: usize, direction: Direction) -> Result<Answer, SourceError> {
    let server = MockServer::start().await;
    Mock::given(path("/loki/api/v1/query_range")).respond_with(loki).mount(&server).await;
    let range = TimeRange::new(Timestamp::from_nanos(0), Timestamp::from_nanos(end));
    client(&server, Limits::default()).ask(&Query::Logs { expr: "{app=~\".+\"}".into(), range, limit, direction }).await
}

/// Entries at times that repeat: `groups` are (time, how many), at most six in one nanosecond.
fn crowded(groups: &BTreeMap<i64, usize>) -> Vec<(i64, &'static str, String)> {
    let mut all = Vec::new();
    for (at, count) in groups {
        for number in 0..*count {
            all.push((*at, ["a", "b"][number % 2], format!("{at} {number}")));
        }
    }
    all
}

fn lines(answer: &Answer) -> Vec<String> {
    let mut lines: Vec<String> = entries(answer).iter().map(|entry| entry.line.to_string()).collect();
    lines.sort();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn paging_over_http_loses_nothing(
        groups in prop::collection::btree_map(0_i64..100, 1_usize..7, 0..30),
        most in 7_usize..12,
        longest in 1_i64..4,
        forward in proptest::bool::ANY,
    ) {
        let direction = if forward { Direction::Forward } else { Direction::Backward };
        let groups: BTreeMap<i64, usize> = groups.into_iter().map(|(at, count)| (at * SECOND / 10, count)).collect();
        let all = crowded(&groups);
        let loki = SmallLoki { most, longest: longest * SECOND, ..SmallLoki::new(all.clone()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(page_through(loki, 10 * SECOND, 10_000, direction)).unwrap();
        let mut expected: Vec<String> = all.into_iter().map(|entry| entry.2).collect();
        expected.sort();
        prop_assert_eq!(lines(&answer), expected);
        prop_assert!(answer.notes.is_empty(), "{:?}", answer.notes);
    }
}

#[tokio::test]
async fn a_limit_of_the_server_is_learnt() {
    let all: Vec<_> = (0..1_200).map(|number| (number, "a", format!("{number:04}"))).collect();
    let loki = SmallLoki { most: 500, ..SmallLoki::new(all) };
    let answer = page_through(loki, 2_000, 10_000, Direction::Backward).await.unwrap();
    assert_eq!(answer.len(), 1_200);
}

#[tokio::test]
async fn a_nanosecond_that_fills_a_page_is_said_over_http_too() {
    let all: Vec<_> = (0..30).map(|number| (50, "a", format!("{number:04}"))).collect();
    let loki = SmallLoki { most: 10, ..SmallLoki::new(all) };
    let answer = page_through(loki, 100, 10_000, Direction::Backward).await.unwrap();
    assert_eq!(answer.len(), 10);
    assert!(answer.is_cut() && answer.notes[0].text.contains("share the time"), "{:?}", answer.notes);
}

#[tokio::test]
async fn what_was_read_before_a_failure_is_kept_and_the_failure_said() {
    let all: Vec<_> = (0..100).map(|number| (number, "a", format!("{number:04}"))).collect();
    let loki = SmallLoki { most: 20, fails_after: Some(50), ..SmallLoki::new(all) };
    let answer = page_through(loki, 100, 10_000, Direction::Backward).await.unwrap();
    assert!(answer.len() >= 50 && answer.is_cut());
    assert!(answer.notes[0].text.contains("ingester gone"), "{:?}", answer.notes);
}

#[tokio::test]
async fn long_lines_are_shortened_and_counted() {
    let server = MockServer::start().await;
    let loki = SmallLoki::new(vec![(1, "a", "ä".repeat(100))]);
    Mock::given(any()).respond_with(loki).mount(&server).await;
    let range = TimeRange::new(Timestamp::from_nanos(0), Timestamp::from_nanos(10));
    let limits = Limits { line_bytes: 11, ..Limits::default() };
    let query = Query::Logs { expr: "{}".into(), range, limit: 10, direction: Direction::Backward };
    let answer = client(&server, limits).ask(&query).await.unwrap();
    assert_eq!(entries(&answer)[0].line, "äääää… [190 bytes left out]");
    assert_eq!(answer.notes[0].kind, NoteKind::Cut);
}
