//! PromQL on replay against a real Prometheus that holds the same samples: the same answers, for every expression.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use stanch::domain::metric::Series;
use stanch::domain::query::{Data, Lang, Query};
use stanch::domain::settings::SourceSettings;
use stanch::domain::{TimeRange, Timestamp};
use stanch::sources::Telemetry;
use stanch::sources::demo;
use stanch::sources::openmetrics::{self, OpenMetricsReader};
use stanch::sources::prometheus::Prometheus;
use stanch::sources::promql::{self, Semantics};
use stanch::sources::series::SeriesStore;

use crate::secrets::NoSecrets;
use crate::servers;

const START: i64 = 1_600_000_000;
const MINUTES: i64 = 40;

/// Counters with resets, gauges that end and begin late, gaps, uneven steps, odd values, a histogram.
fn history() -> String {
    let mut text = String::new();
    let mut state = 7_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(u32::MAX >> 1)
    };
    let times = |step: i64| (0..=MINUTES * 60).step_by(step as usize);
    text.push_str("# TYPE req counter\n");
    for (service, pod, code, rate) in [
        ("web", "web-1", "200", 9.0),
        ("web", "web-1", "500", 0.4),
        ("web", "web-2", "200", 7.0),
        ("api", "api-1", "200", 3.0),
        ("api", "api-1", "503", 0.2),
        ("db", "db-1", "200", 1.0),
    ] {
        let mut total = 100.0;
        for at in times(15) {
            // A restart, a hole, and a pod that comes late.
            if pod == "web-2" && at == 20 * 60 {
                total = 3.0;
            }
            if (service == "api" && (600..900).contains(&at)) || (service == "db" && at < 1200) {
                continue;
            }
            total += (rate * 15.0 * noise() * 2.0).floor();
            let _ = writeln!(
                text,
                "req_total{{service=\"{service}\",pod=\"{pod}\",code=\"{code}\"}} {total} {}",
                START + at
            );
        }
    }
    text.push_str("# TYPE temp gauge\n");
    for (service, zone, level) in [("web", "a", 20.0), ("web", "b", 25.0), ("api", "a", 30.0), ("db", "b", -4.0)] {
        for at in times(20) {
            // Uneven: some samples come late, some never.
            let late = if noise() > 0.8 { 3 } else { 0 };
            if noise() > 0.93 || (service == "db" && at > 1500) {
                continue;
            }
            let value = level + (noise() * 80.0).round() / 8.0;
            let _ = writeln!(text, "temp{{service=\"{service}\",zone=\"{zone}\"}} {value} {}.250", START + at + late);
        }
    }
    text.push_str("# TYPE limit gauge\n");
    for (service, limit) in [("web", 28.0), ("api", 33.0)] {
        for at in times(60) {
            let _ = writeln!(text, "limit{{service=\"{service}\",tier=\"gold\"}} {limit} {}", START + at);
        }
    }
    text.push_str("# TYPE odd gauge\n");
    for (which, values) in [("nan", ["NaN", "1", "NaN", "4"]), ("inf", ["+Inf", "2", "-Inf", "3"])] {
        for (index, at) in times(30).enumerate() {
            let _ = writeln!(text, "odd{{which=\"{which}\"}} {} {}", values[index % 4], START + at);
        }
    }
    text.push_str("# TYPE sparse gauge\n");
    for at in times(420) {
        let _ = writeln!(text, "sparse {} {}", at / 60, START + at);
    }
    text.push_str("# TYPE lat histogram\n");
    for service in ["web", "api"] {
        let mut counts = [0.0_f64; 5];
        let mut sum = 0.0;
        let mut lines = Vec::new();
        for at in times(15) {
            let new = (noise() * 40.0).floor();
            let share = [0.2, 0.5, 0.8, 0.95, 1.0];
            for (count, share) in counts.iter_mut().zip(share) {
                *count += (new * share).floor();
            }
            sum += new * 0.17;
            lines.push((at, counts, sum));
        }
        for (index, le) in ["0.05", "0.1", "0.5", "2.0", "+Inf"].iter().enumerate() {
            for (at, counts, _) in &lines {
                let _ =
                    writeln!(text, "lat_bucket{{service=\"{service}\",le=\"{le}\"}} {} {}", counts[index], START + at);
            }
        }
        for (at, counts, _) in &lines {
            let _ = writeln!(text, "lat_count{{service=\"{service}\"}} {} {}", counts[4], START + at);
        }
        for (at, _, sum) in &lines {
            let _ = writeln!(text, "lat_sum{{service=\"{service}\"}} {sum} {}", START + at);
        }
    }
    text.push_str("# EOF\n");
    text
}

const EXPRESSIONS: &[&str] = &[
    // Selectors.
    "temp",
    "req_total{code=~\"5..\"}",
    "req_total{code!~\"5..\",service!=\"db\"}",
    "{__name__=~\"temp|limit\"}",
    "temp{zone=\"\"}",
    "temp{nothing=\"\"}",
    "sparse",
    "temp offset 7m",
    "temp offset -3m",
    "temp @ 1600000900",
    "temp @ end()",
    "temp @ start() offset 1m",
    "nothing_here",
    // Counters.
    "rate(req_total[5m])",
    "rate(req_total[1m])",
    "rate(req_total[30s])",
    "rate(req_total[20s])",
    "rate(req_total[17m] offset 3m)",
    "rate(req_total[5m] @ 1600001500)",
    "irate(req_total[2m])",
    "increase(req_total[10m])",
    "increase(req_total{service=\"db\"}[30m])",
    "resets(req_total[30m])",
    "sum by (service) (rate(req_total[2m]))",
    "sum by (service) (rate(req_total{code=~\"5..\"}[5m])) / sum by (service) (rate(req_total[5m]))",
    "sum(rate(req_total[2m])) by (service, code) > 0.5",
    // Gauges over time.
    "delta(temp[5m])",
    "idelta(temp[5m])",
    "deriv(temp[10m])",
    "predict_linear(temp[10m], 600)",
    "changes(temp[5m])",
    "avg_over_time(temp[5m])",
    "min_over_time(temp[5m])",
    "max_over_time(temp[5m])",
    "sum_over_time(temp[5m])",
    "count_over_time(temp[5m])",
    "last_over_time(temp[5m])",
    "quantile_over_time(0.9, temp[5m])",
    "quantile_over_time(1.5, temp[5m])",
    "stddev_over_time(temp[5m])",
    "stdvar_over_time(temp[5m])",
    "present_over_time(temp[1m])",
    "absent_over_time(temp{service=\"db\"}[2m])",
    "absent_over_time(nothing{a=\"b\",c=~\"d\"}[2m])",
    "absent(temp{service=\"db\"})",
    "absent(nothing{a=\"b\"})",
    "avg_over_time(odd[3m])",
    "max_over_time(odd[3m])",
    "min_over_time(odd[3m])",
    "sum_over_time(odd[3m])",
    "changes(odd[3m])",
    "quantile_over_time(0.5, odd[3m])",
    // Aggregations.
    "sum(temp)",
    "avg by (service) (temp)",
    "min without (zone) (temp)",
    "max by (zone) (temp)",
    "count(temp)",
    "count by (nothing) (temp)",
    "group by (service) (temp)",
    "stddev(temp)",
    "stdvar by (service) (temp)",
    "quantile(0.75, temp)",
    "quantile by (service) (0.25, temp)",
    "topk(2, temp)",
    "bottomk(1, temp)",
    "topk by (service) (1, temp)",
    "count_values(\"value\", limit)",
    "count_values by (tier) (\"value\", limit)",
    "min(odd)",
    "max(odd)",
    "avg(odd)",
    "quantile(0.5, odd)",
    // Operators.
    "temp + 1",
    "2 ^ temp / 1e6",
    "temp % 7",
    "-temp",
    "temp > 25",
    "temp > bool 25",
    "25 < temp",
    "temp == temp",
    "temp != bool 30",
    "1 + 2 * 3 - 4 / 5",
    "1 > bool 2",
    "temp / on (service) group_left limit",
    "temp / on (service) group_left (tier) limit",
    "limit * on (service) group_right temp",
    "temp > on (service) group_left limit",
    "limit / on (service) sum by (service) (temp)",
    "sum by (service) (temp) / ignoring (tier) limit",
    "sum by (service) (temp) - sum by (service) (limit)",
    "temp and on (service) limit",
    "temp unless on (service) limit",
    "temp or limit",
    "limit or on (service) temp",
    "temp > 26 or temp < 22",
    "temp and temp > 24",
    "sum by (service) (temp) > bool sum by (service) (limit)",
    "temp / limit",
    "atan2(1, 2)",
    // Functions.
    "abs(-temp)",
    "ceil(temp)",
    "floor(temp / 3)",
    "round(temp)",
    "round(temp / 7, 0.1)",
    "clamp(temp, 22, 28)",
    "clamp(temp, 28, 22)",
    "clamp_min(temp, 24)",
    "clamp_max(odd, 3)",
    "ln(temp)",
    "log2(temp)",
    "log10(temp)",
    "exp(temp / 10)",
    "sqrt(temp)",
    "sgn(temp)",
    "scalar(limit{service=\"web\"})",
    "scalar(temp)",
    "vector(7)",
    "vector(time())",
    "time() - 1600000000",
    "timestamp(temp)",
    "timestamp(temp offset 2m)",
    "timestamp(temp + 0)",
    "temp + scalar(limit{service=\"web\"})",
    "label_replace(temp, \"to\", \"$1-x\", \"service\", \"(w.*)\")",
    "label_replace(temp, \"service\", \"\", \"zone\", \"b\")",
    "label_replace(temp, \"zone\", \"same\", \"zone\", \".*\")",
    "label_join(temp, \"both\", \"/\", \"service\", \"zone\")",
    "sort(temp)",
    "sort_desc(temp)",
    // Histograms.
    "histogram_quantile(0.95, rate(lat_bucket[5m]))",
    "histogram_quantile(0.5, sum by (le) (rate(lat_bucket[5m])))",
    "histogram_quantile(0.99, sum by (service, le) (rate(lat_bucket[2m])))",
    "histogram_quantile(1.2, lat_bucket)",
    "histogram_quantile(0.01, lat_bucket)",
    "histogram_quantile(0.9, lat_bucket{le!=\"+Inf\"})",
    "rate(lat_sum[5m]) / rate(lat_count[5m])",
    // Subqueries.
    "max_over_time(rate(req_total[1m])[10m:1m])",
    "avg_over_time(sum by (service) (temp)[5m:30s])",
    "count_over_time(temp[5m:7s])",
    "rate(req_total[5m:20s])",
    "max_over_time(temp[10m:1m] offset 2m)",
    "max_over_time(temp[10m:1m] @ 1600001200)",
    "quantile_over_time(0.5, (temp > 24)[10m:1m])",
    // Name clashes and type errors: both must refuse.
    "rate({__name__=~\"req_total|lat_count\"}[5m])",
    "temp + on (service) limit + on (zone) temp",
    "rate(temp)",
    "sum(1)",
    "temp[5m] + 1",
    "1 and 2",
    "temp +",
    "temp > \"x\"",
];

/// Expressions only an instant query can answer.
const RAW: &[&str] = &["temp[2m]", "req_total{service=\"db\"}[3m] offset 1m", "temp[2m:30s]", "\"a string\""];

#[tokio::test]
async fn replay_answers_as_prometheus_does() {
    let text = history();
    let server = servers::Prometheus::start(None, Some(&text), None).await;
    let client = Prometheus::new("prometheus", &SourceSettings::new(&server.url()), Arc::new(NoSecrets)).unwrap();
    let semantics = semantics_of(&client).await;
    let (store, notes) = OpenMetricsReader::read(&text);
    assert_eq!(notes, []);

    let instants = [START + 300, START + 901, START + 1275, START + MINUTES * 60 + 100];
    let ranges = [(60, 2400, 60), (607, 1507, 15), (1190, 1400, 7)];
    let (mut wrong, mut compared, mut refused) = (String::new(), 0, 0);
    for expr in EXPRESSIONS.iter().chain(RAW) {
        let mut queries: Vec<Query> = instants
            .iter()
            .map(|&at| Query::Instant { lang: Lang::PromQl, expr: (*expr).into(), at: Timestamp::from_secs(at) })
            .collect();
        if !RAW.contains(expr) {
            queries.extend(ranges.iter().map(|&(from, to, step)| Query::Range {
                lang: Lang::PromQl,
                expr: (*expr).into(),
                range: TimeRange::new(Timestamp::from_secs(START + from), Timestamp::from_secs(START + to)),
                step: Duration::from_secs(step),
            }));
        }
        for query in queries {
            let theirs = client.ask(&query).await.map(|answer| answer.data);
            let ours = match &query {
                Query::Instant { expr, at, .. } => promql::instant(&store, expr, *at, semantics),
                Query::Range { expr, range, step, .. } => promql::range(&store, expr, *range, *step, semantics),
                _ => unreachable!(),
            };
            compared += 1;
            let difference = match (&theirs, &ours) {
                (Ok(theirs), Ok(ours)) => difference(theirs, ours),
                (Err(_), Err(_)) => {
                    refused += 1;
                    None
                }
                (Ok(_), Err(error)) => Some(format!("we refuse: {error}")),
                (Err(error), Ok(_)) => Some(format!("they refuse: {error}")),
            };
            if let Some(difference) = difference {
                let _ = writeln!(wrong, "{expr}\n    {}: {difference}", query.range().unwrap());
            }
        }
    }
    assert!(refused * 10 < compared, "{refused} of {compared} questions were refused by both");
    assert!(wrong.is_empty(), "of {compared} answers these differ:\n{wrong}");
}

/// Our own text is what `promtool` reads, and the rules of the demo give what a real Prometheus gives.
#[tokio::test]
async fn the_demo_is_the_same_in_a_real_prometheus() {
    let now = Timestamp::from_secs(START);
    let parts = demo::parts(now);
    let store = SeriesStore::from_series(&parts.metrics, parts.metadata);
    let mut text = String::new();
    openmetrics::write(&store, |piece| {
        text.push_str(piece);
        Ok::<_, std::convert::Infallible>(())
    })
    .unwrap();
    let server = servers::Prometheus::start(None, Some(&text), None).await;
    let client = Prometheus::new("prometheus", &SourceSettings::new(&server.url()), Arc::new(NoSecrets)).unwrap();
    let at = parts.manifest.window.end;
    let semantics = semantics_of(&client).await;
    for rule in &parts.rules {
        let query = Query::Instant { lang: Lang::PromQl, expr: rule.expression.clone(), at };
        let theirs = client.ask(&query).await.unwrap().data;
        let ours = promql::instant(&store, &rule.expression, at, semantics).unwrap();
        assert_eq!(difference(&theirs, &ours), None, "{}", rule.name);
    }
}

async fn semantics_of(client: &Prometheus) -> Semantics {
    match client.ask(&Query::BuildInfo).await.unwrap().data {
        Data::Facts(facts) if facts["version"].starts_with("2.") => Semantics::V2,
        _ => Semantics::V3,
    }
}

/// What differs first; `None` when the answers are the same.
fn difference(theirs: &Data, ours: &Data) -> Option<String> {
    match (theirs, ours) {
        (Data::Scalar(theirs), Data::Scalar(ours)) => {
            (!same(theirs.value, ours.value)).then(|| format!("{} is {}", ours.value, theirs.value))
        }
        (Data::Word(theirs), Data::Word(ours)) => (theirs != ours).then(|| format!("{ours} is {theirs}")),
        (Data::Series(theirs), Data::Series(ours)) => {
            let sorted = |series: &[Series]| {
                let mut series = series.to_vec();
                series.sort_by(|a, b| a.labels.cmp(&b.labels));
                series
            };
            let (theirs, ours) = (sorted(theirs), sorted(ours));
            let labels = |series: &[Series]| series.iter().map(|one| one.labels.to_string()).collect::<Vec<_>>();
            if labels(&theirs) != labels(&ours) {
                return Some(format!("we have {:?}, they {:?}", labels(&ours), labels(&theirs)));
            }
            theirs.iter().zip(&ours).find_map(|(theirs, ours)| {
                let times = |series: &Series| series.samples.iter().map(|sample| sample.at).collect::<Vec<_>>();
                if times(theirs) != times(ours) {
                    return Some(format!(
                        "{}: {} samples are {}",
                        ours.labels,
                        ours.samples.len(),
                        theirs.samples.len()
                    ));
                }
                theirs.samples.iter().zip(&ours.samples).find_map(|(a, b)| {
                    (!same(a.value, b.value))
                        .then(|| format!("{} at {}: {} is {}", ours.labels, a.at, b.value, a.value))
                })
            })
        }
        _ => Some(format!("we give {ours:?}, they {theirs:?}")),
    }
}

/// Equal but for the order in which floats are added.
fn same(a: f64, b: f64) -> bool {
    a.total_cmp(&b).is_eq() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}
