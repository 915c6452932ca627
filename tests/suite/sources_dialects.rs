//! Answers of Prometheus' relatives and of newer versions, as far as they differ.

use stanch::domain::query::{Answer, Data, Lang, NoteKind, Query};
use stanch::domain::settings::SourceSettings;
use stanch::domain::{TimeRange, Timestamp};
use stanch::sources::exposition::Exposition;
use stanch::sources::prometheus::Prometheus;
use stanch::sources::{SourceError, SourceErrorKind, Telemetry};
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::secrets::Rotating;

async fn answered(status: u16, body: &str, query: &Query) -> Result<Answer, SourceError> {
    let server = MockServer::start().await;
    let response = ResponseTemplate::new(status).set_body_raw(body.as_bytes().to_vec(), "application/json");
    Mock::given(any()).respond_with(response).mount(&server).await;
    prometheus(&server).ask(query).await
}

fn prometheus(server: &MockServer) -> Prometheus {
    Prometheus::new("prometheus", &SourceSettings::new(&server.uri()), Rotating::new(&[])).unwrap()
}

fn instant() -> Query {
    Query::Instant { lang: Lang::PromQl, expr: "x".into(), at: Timestamp::from_millis(1_700_000_000_250) }
}

#[tokio::test]
async fn errors_of_relatives_are_read() {
    let victoria = r#"{"status":"error","errorType":"422","error":"error when executing query: unknown func"}"#;
    let error = answered(422, victoria, &instant()).await.unwrap_err();
    assert!(error.kind == SourceErrorKind::BadQuestion && error.what.contains("unknown func"), "{error}");
    let timeout = r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#;
    assert_eq!(answered(503, timeout, &instant()).await.unwrap_err().kind, SourceErrorKind::Timeout);
    let under_200 = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    assert_eq!(answered(200, under_200, &instant()).await.unwrap_err().kind, SourceErrorKind::BadQuestion);
    let mimir = "no org id";
    assert_eq!(answered(401, mimir, &instant()).await.unwrap_err().kind, SourceErrorKind::Unauthorized);
}

#[tokio::test]
async fn warnings_infos_and_partial_answers_are_kept_as_notes() {
    let body = r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]},"stats":{"x":1},
        "warnings":["a store is down","results truncated due to limit"],"infos":["metric might not be a counter"]}"#;
    let answer = answered(200, body, &instant()).await.unwrap();
    let kinds: Vec<NoteKind> = answer.notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, [NoteKind::Warning, NoteKind::Cut, NoteKind::Info, NoteKind::Cut]);
}

#[tokio::test]
async fn native_histograms_are_reduced_and_that_is_said() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"lat","job":"x"},
        "histograms":[[1,{"count":"2","sum":"3","buckets":[[0,"1","2","2"]]}],[2,{"count":"4","sum":"6","buckets":[[0,"1","2","4"]]}]]}]}}"#;
    let range = TimeRange::new(Timestamp::from_secs(1), Timestamp::from_secs(2));
    let step = std::time::Duration::from_secs(1);
    let query = Query::Range { lang: Lang::PromQl, expr: "lat".into(), range, step };
    let answer = answered(200, body, &query).await.unwrap();
    let Data::Series(series) = &answer.data else { panic!("series expected") };
    let shown: Vec<String> = series.iter().map(|series| series.labels.to_string()).collect();
    assert_eq!(
        shown,
        [
            "lat{job=\"x\",quantile=\"0.5\"}",
            "lat{job=\"x\",quantile=\"0.9\"}",
            "lat{job=\"x\",quantile=\"0.99\"}",
            "lat_count{job=\"x\"}",
            "lat_sum{job=\"x\"}",
        ]
    );
    assert!(series.iter().all(|series| series.samples.len() == 2));
    assert!(answer.notes[0].text.contains("1 native histograms"), "{:?}", answer.notes);
}

#[tokio::test]
async fn build_info_may_come_bare() {
    for body in [r#"{"version":"v1.93.0"}"#, r#"{"status":"success","data":{"version":"v1.93.0","x":null}}"#] {
        let answer = answered(200, body, &Query::BuildInfo).await.unwrap();
        assert!(matches!(&answer.data, Data::Facts(facts) if facts["version"] == "v1.93.0"));
    }
}

#[tokio::test]
async fn a_server_that_takes_no_post_is_asked_by_get_from_then_on() {
    let server = MockServer::start().await;
    let body = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(405)).expect(1).mount(&server).await;
    Mock::given(method("GET"))
        .and(wiremock::matchers::query_param("query", "x"))
        .and(wiremock::matchers::query_param("time", "1700000000.250"))
        .respond_with(ResponseTemplate::new(200).set_body_string(body))
        .expect(2)
        .mount(&server)
        .await;
    let client = prometheus(&server);
    client.ask(&instant()).await.unwrap();
    client.ask(&instant()).await.unwrap();
}

#[tokio::test]
async fn a_metrics_page_answers_plain_selectors() {
    let server = MockServer::start().await;
    let page = "# TYPE up gauge\nup{job=\"a\"} 1\nup{job=\"b\"} 0\nbroken{x=\"1,2\"} 1\n";
    Mock::given(path("/metrics")).respond_with(ResponseTemplate::new(200).set_body_string(page)).mount(&server).await;
    let client = Exposition::new("exporter", &SourceSettings::new(&server.uri()), Rotating::new(&[])).unwrap();
    let at = Timestamp::from_secs(9);
    let ask = async |expr: &str| client.ask(&Query::Instant { lang: Lang::PromQl, expr: expr.into(), at }).await;
    let answer = ask("up{job!=\"a\"}").await.unwrap();
    let Data::Series(series) = &answer.data else { panic!("series expected") };
    assert_eq!((series.len(), series[0].labels.get("job"), series[0].samples[0].at), (1, Some("b"), at));
    assert!(answer.is_cut() && answer.notes[0].text.starts_with("1 sample lines"));
    assert_eq!(ask("rate(up[1m])").await.unwrap_err().kind, SourceErrorKind::Unsupported);
    assert_eq!(ask("up{").await.unwrap_err().kind, SourceErrorKind::BadQuestion);
    let metadata = client.ask(&Query::Metadata).await.unwrap();
    assert_eq!(metadata.len(), 1);
}
