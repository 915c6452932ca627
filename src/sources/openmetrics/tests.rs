use proptest::prelude::*;

use super::*;
use crate::domain::Timestamp;
use crate::domain::metric::{Sample, Series};

fn texts(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.text.as_str()).collect()
}

#[test]
fn samples_metadata_and_escapes_are_read() {
    let (store, notes) = OpenMetricsReader::read(
        "# HELP http_requests Requests\\nserved.\n# TYPE http_requests counter\n# UNIT http_requests requests\n\
         http_requests_total{path=\"/a\\\"b\\\\c\\n\",code=\"200\"} 3 1700000000.25 # {trace_id=\"1\"} 1 1700000000\n\
         http_requests_total{path=\"/a\\\"b\\\\c\\n\",code=\"200\"} 4 1700000015\n\
         temp NaN 1\ntemp +Inf 2\ntemp -Inf 3\n# EOF\n",
    );
    assert_eq!(texts(&notes), Vec::<&str>::new());
    let requests = store.of_metric("http_requests_total").next().unwrap();
    assert_eq!(requests.labels.get("path"), Some("/a\"b\\c\n"));
    assert_eq!(requests.points, [(1_700_000_000_250, 3.0), (1_700_000_015_000, 4.0)]);
    let temp = &store.of_metric("temp").next().unwrap().points;
    assert!(temp[0].1.is_nan() && temp[1].1 == f64::INFINITY && temp[2].1 == f64::NEG_INFINITY);
    for name in ["http_requests", "http_requests_total"] {
        let meta = &store.metadata()[name];
        assert_eq!(
            (meta.kind, meta.help.as_str(), meta.unit.as_str()),
            (MetricKind::Counter, "Requests\nserved.", "requests")
        );
    }
}

#[test]
fn names_in_quotes_are_read() {
    let (store, notes) = OpenMetricsReader::read(
        "# TYPE \"http.requests\" gauge\n{\"http.requests\",\"a.b\"=\"x\",c=\"y\"} 1 1\n# EOF\n",
    );
    assert_eq!(notes, []);
    let one = store.of_metric("http.requests").next().unwrap();
    assert_eq!(one.labels.get("a.b"), Some("x"));
    assert_eq!(store.metadata()["http.requests"].kind, MetricKind::Gauge);
}

#[test]
fn what_cannot_be_read_is_counted_and_the_rest_is_kept() {
    let (store, notes) = OpenMetricsReader::read(
        "up 1 1\nup{a=b} 1 2\nup x 3\nup 1\n{a=\"b\"} 1 1\nup{a=\"b 1 1\n9up 1 1\nup 1 2 3\nup 1 9e99\nup 2 4\n",
    );
    assert_eq!(store.of_metric("up").next().unwrap().points, [(1000, 1.0), (4000, 2.0)]);
    assert_eq!(
        texts(&notes),
        [
            "metrics: 7 lines could not be read and were skipped (first: line 2, a value without quotes)",
            "metrics: 1 samples have no timestamp and were skipped (first: line 4)",
            "metrics: the text does not end with `# EOF`; it may have been cut off",
        ]
    );
}

#[test]
fn samples_out_of_order_and_repeated_are_put_right() {
    let (store, notes) = OpenMetricsReader::read("a 3 3\na 1 1\na 2 2\na 9 2\n# EOF\nb 1 1\n");
    assert_eq!(store.of_metric("a").next().unwrap().points, [(1000, 1.0), (2000, 9.0), (3000, 3.0)]);
    assert_eq!(notes.len(), 2);
}

#[test]
fn a_metric_whose_name_begins_like_the_last_one_is_another() {
    let (store, _) = OpenMetricsReader::read("a 1 1\na_b 2 1\na{x=\"1\"} 3 1\n# EOF\n");
    assert_eq!(store.series().len(), 3);
}

fn any_series() -> impl Strategy<Value = Series> {
    let labels = proptest::collection::btree_map("[a-z_][a-z0-9_.]{0,6}", "\\PC{0,8}|[\"\\\\\n,}{ =]{1,4}", 0..4);
    let samples = proptest::collection::btree_map(-9_000_000_000_000_i64..9_000_000_000_000, any::<f64>(), 1..6);
    ("[a-z:_][a-z0-9_:.]{0,8}", labels, samples).prop_map(|(name, labels, samples)| {
        let mut labels: Labels = labels.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        labels.insert(METRIC_NAME, &name);
        let samples = samples.into_iter().map(|(at, value)| Sample { at: Timestamp::from_millis(at), value }).collect();
        Series { labels, samples }
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(series in proptest::collection::vec(any_series(), 0..5)) {
        let store = SeriesStore::from_series(&series, BTreeMap::new());
        let mut text = String::new();
        write(&store, |piece| { text.push_str(piece); Ok::<_, std::convert::Infallible>(()) }).unwrap();
        let (again, notes) = OpenMetricsReader::read(&text);
        prop_assert_eq!(notes, vec![]);
        prop_assert_eq!(again.series().len(), store.series().len());
        for (a, b) in again.series().iter().zip(store.series()) {
            prop_assert_eq!(&a.labels, &b.labels);
            prop_assert_eq!(a.points.len(), b.points.len());
            for (x, y) in a.points.iter().zip(&b.points) {
                prop_assert_eq!(x.0, y.0);
                prop_assert!(x.1.to_bits() == y.1.to_bits() || (x.1.is_nan() && y.1.is_nan()));
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|[\"\\\\{}#= \n]){0,200}") {
        let _ = OpenMetricsReader::read(&text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut reader = OpenMetricsReader::new();
        reader.line(&bytes);
        let _ = reader.finish();
    }
}
