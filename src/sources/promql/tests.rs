//! Equality with a real Prometheus is tested in `tests/suite`; here are the bounds and what is refused.

use proptest::prelude::*;

use super::*;

fn store() -> SeriesStore {
    let series = (0..3)
        .map(|i| StoredSeries {
            labels: [("__name__", "up"), ("job", ["a", "b", "c"][i])].into_iter().collect(),
            points: (0..60).map(|k| (k * 15_000, (k * i as i64) as f64)).collect(),
        })
        .collect();
    SeriesStore::new(series, BTreeMap::new()).0
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn error(expr: &str) -> ReplayError {
    instant(&store(), expr, at(600), Semantics::default()).unwrap_err()
}

#[test]
fn what_is_not_supported_is_named_with_what_is() {
    for (expr, name) in [
        ("holt_winters(up[5m], 0.5, 0.5)", "holt_winters"),
        ("day_of_week()", "day_of_week"),
        ("limitk(1, up)", "limitk"),
        ("histogram_avg(up)", "histogram_avg"),
    ] {
        let error = error(expr);
        // A function the parser does not know is as unsupported as one we do not evaluate.
        assert!(error.to_string().contains(name), "{expr}: {error}");
    }
    assert!(error("day_of_week()").advice().contains("rate"));
}

#[test]
fn an_answer_is_bounded() {
    let store = store();
    let range_of =
        |end, step| range(&store, "up", TimeRange::new(at(0), at(end)), Duration::from_secs(step), Semantics::V2);
    assert!(matches!(range_of(20_000, 1), Err(ReplayError::TooLarge(_))));
    assert!(range_of(10_999, 1).is_ok());
    assert!(matches!(range_of(10, 0), Err(ReplayError::Wrong(_))));
    assert!(matches!(error("sum_over_time(up[100y:1ms])"), ReplayError::TooLarge(_)));
    assert!(matches!(error(&format!("{}up{}", "(".repeat(500), ")".repeat(500))), ReplayError::TooLarge(_)));
    assert!(matches!(error(&"-".repeat(5_000)), ReplayError::TooLarge(_)));
}

#[test]
fn the_longest_expression_allowed_does_not_exhaust_the_stack() {
    let sum = vec!["1"; MAX_OPERATORS].join("+");
    assert_eq!(
        instant(&store(), &sum, at(0), Semantics::default()).unwrap(),
        Data::Scalar(Sample { at: at(0), value: MAX_OPERATORS as f64 })
    );
    let deep = format!("{}up{}", "(".repeat(MAX_NESTING), ")".repeat(MAX_NESTING));
    assert!(instant(&store(), &deep, at(60), Semantics::default()).is_ok());
}

#[test]
fn versions_differ_at_the_left_end_of_a_range() {
    let count = |semantics| match instant(&store(), r#"count_over_time(up{job="a"}[1m])"#, at(600), semantics).unwrap()
    {
        Data::Series(series) => series[0].samples[0].value,
        other => panic!("{other:?}"),
    };
    assert_eq!((count(Semantics::V2), count(Semantics::V3)), (5.0, 4.0));
}

#[test]
fn a_ranking_keeps_its_order() {
    let names = |expr: &str| match instant(&store(), expr, at(600), Semantics::default()).unwrap() {
        Data::Series(series) => series.iter().map(|one| one.labels.get("job").unwrap().to_owned()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(names("topk(2, up)"), ["c", "b"]);
    assert_eq!(names("sort_desc(up)"), ["c", "b", "a"]);
    assert_eq!(names("up"), ["a", "b", "c"]);
}

#[test]
fn several_selectors_give_each_series_once() {
    let store = store();
    let both = [r#"up{job!="c"}"#.to_owned(), r#"{job="b"}"#.to_owned()];
    assert_eq!(matching(&store, &both).unwrap().len(), 2);
    assert_eq!(matching(&store, &[]).unwrap().len(), 3);
    assert!(matching(&store, &["rate(up[5m])".to_owned()]).is_err());
}

proptest! {
    #[test]
    fn no_expression_makes_it_panic(
        words in proptest::collection::vec(prop_oneof![
            Just("up"), Just("rate"), Just("("), Just(")"), Just("[5m]"), Just("[5m:1m]"), Just("sum by (job)"), Just("+"),
            Just("0.5"), Just("\"x\""), Just("> bool"), Just("on (job)"), Just("group_left"), Just("offset 1m"),
            Just("@ end()"), Just(","), Just("histogram_quantile"), Just("topk"), Just("label_replace"), Just("NaN"),
            Just("-"), Just("{job=~\"a|b\"}"), Just("or"), Just("é")
        ], 0..10)
    ) {
        let expr = words.join(" ");
        let _ = instant(&store(), &expr, at(600), Semantics::V2);
        let _ = range(&store(), &expr, TimeRange::new(at(0), at(900)), Duration::from_mins(1), Semantics::V3);
    }
}
