//! A server that speaks Loki's API, in the shapes of the recorded answers, over the log entries of a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use stanch::domain::log::LogEntry;
use stanch::domain::query::{Data, Direction, Lang, Query};
use stanch::domain::{TimeRange, Timestamp};
use stanch::sources::bundle::Bundle;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// Most entries of one answer, as a real Loki has it.
const MOST: usize = 5_000;

/// Starts one on a free port.
pub(crate) async fn start(bundle: Bundle) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(Loki { bundle }).mount(&server).await;
    server
}

struct Loki {
    bundle: Bundle,
}

impl Respond for Loki {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let params: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
        let nanos = |name: &str, otherwise: Timestamp| {
            params.get(name).and_then(|text| text.parse().ok()).map_or(otherwise, Timestamp::from_nanos)
        };
        let range = TimeRange::new(
            nanos("start", self.bundle.baseline().start),
            nanos("end", self.bundle.end().plus(Duration::from_hours(1))),
        );
        let expr = params.get("query").or_else(|| params.get("match[]")).or_else(|| params.get("match"));
        let expr = expr.cloned().unwrap_or_default();
        let matchers: Vec<String> = Some(expr.clone()).filter(|text| !text.is_empty()).into_iter().collect();
        let path = request.url.path();
        let query = match path {
            "/loki/api/v1/status/buildinfo" => return ok(&json!({"version": "3.5.0", "revision": "x"})),
            "/loki/api/v1/labels" => Query::LabelNames { lang: Lang::LogQl, matchers, range },
            "/loki/api/v1/series" => Query::Series { lang: Lang::LogQl, matchers, range },
            "/loki/api/v1/query_range" => {
                let limit = params.get("limit").and_then(|text| text.parse().ok()).unwrap_or(100);
                if limit > MOST {
                    let text = format!(
                        "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {MOST})"
                    );
                    return ResponseTemplate::new(400).set_body_string(text);
                }
                let forward = params.get("direction").is_some_and(|word| word.eq_ignore_ascii_case("forward"));
                let direction = if forward { Direction::Forward } else { Direction::Backward };
                Query::Logs { expr, range, limit, direction }
            }
            _ => match path.strip_prefix("/loki/api/v1/label/").and_then(|rest| rest.strip_suffix("/values")) {
                Some(label) => Query::LabelValues { lang: Lang::LogQl, label: label.to_owned(), matchers, range },
                None => return ResponseTemplate::new(404).set_body_string("404 page not found\n"),
            },
        };
        match self.bundle.answer(&query) {
            Ok(answer) => match answer.data {
                Data::Names(names) => ok(&json!({"status": "success", "data": names})),
                Data::LabelSets(sets) => ok(&json!({"status": "success", "data": sets})),
                Data::Logs(entries) => ok(&streams(&entries)),
                other => panic!("not an answer of Loki: {other:?}"),
            },
            Err(error) => ResponseTemplate::new(400).set_body_string(error.to_string()),
        }
    }
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// Entries as streams with categorized labels.
fn streams(entries: &[LogEntry]) -> Value {
    let labels: BTreeSet<_> = entries.iter().map(|entry| entry.labels.clone()).collect();
    let result: Vec<Value> = labels
        .into_iter()
        .map(|labels| {
            let mine = entries.iter().filter(|entry| entry.labels == labels);
            let value = |entry: &LogEntry| {
                let metadata = json!({"structuredMetadata": entry.metadata});
                json!([entry.at.nanos().to_string(), entry.line, metadata])
            };
            json!({"stream": labels, "values": mine.map(value).collect::<Vec<_>>()})
        })
        .collect();
    let data = json!({"resultType": "streams", "encodingFlags": ["categorize-labels"], "result": result});
    json!({"status": "success", "data": data})
}
