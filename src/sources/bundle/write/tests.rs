use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::alert::{Alert, AlertState, Rule};
use crate::domain::change::Change;
use crate::domain::metric::{MetricKind, MetricMeta, Sample, Series};
use crate::domain::query::{Answer, Data, Lang, Query};
use crate::domain::snapshot::Runbook;
use crate::domain::{Labels, Text, TimeRange, Timestamp};
use crate::sources::bundle::Bundle;
use crate::sources::recorder::Failure;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn labels() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("[a-z_]{1,6}", "\\PC{1,8}", 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn text() -> impl Strategy<Value = Text> {
    "(\\PC|\n|\t|\"){0,20}".prop_map(|raw| Text::new(&raw))
}

fn alert() -> impl Strategy<Value = Alert> {
    let state = prop_oneof![
        Just(AlertState::Active),
        Just(AlertState::Suppressed),
        Just(AlertState::Pending),
        Just(AlertState::Resolved)
    ];
    let expression = proptest::option::of("[a-z]{1,8} > [0-9]");
    (labels(), labels(), 0..9_000_i64, proptest::option::of(0..9_000_i64), state, any::<bool>(), expression).prop_map(
        |(labels, annotations, starts, ends, state, linked, expression)| Alert {
            fingerprint: "00ff".into(),
            labels,
            annotations,
            starts_at: at(starts),
            ends_at: ends.map(at),
            state,
            suppressed_by: if state == AlertState::Suppressed { vec!["s-1".into()] } else { vec![] },
            receivers: vec!["oncall-1".into()],
            generator_url: match &expression {
                Some(expression) if linked => {
                    format!("http://p/graph?g0.expr={}", expression.replace(' ', "+").replace('>', "%3E"))
                }
                _ => String::new(),
            },
            expression,
        },
    )
}

fn parts() -> impl Strategy<Value = BundleParts> {
    let series = (labels(), proptest::collection::vec(any::<f64>(), 1..4)).prop_map(|(mut labels, values)| {
        labels.insert("__name__", "metric_total");
        let samples = (0..).zip(values).map(|(i, value)| Sample { at: at(i), value }).collect();
        Series { labels, samples }
    });
    let entry = (0..900_000_i64, labels(), text(), labels()).prop_map(|(millis, labels, line, metadata)| LogEntry {
        at: at(0).plus(Duration::from_millis(millis as u64)),
        labels: Arc::new(labels),
        line,
        metadata,
    });
    let change = (0..900_i64, text(), proptest::option::of(text())).prop_map(|(secs, summary, diff)| Change {
        at: at(secs),
        kind: "deploy".into(),
        service: "web".into(),
        reference: "v1".into(),
        summary,
        author: Text::default(),
        diff,
    });
    let rule = ("[a-c]", labels(), text()).prop_map(|(group, labels, last_error)| Rule {
        group,
        name: "Rule".into(),
        alerting: true,
        expression: "up == 0".into(),
        for_seconds: 90.5,
        labels,
        annotations: Labels::new(),
        last_error,
    });
    let many = |n| 0..n;
    (
        proptest::collection::vec(alert(), many(4)),
        proptest::collection::vec(series, many(4)),
        proptest::collection::vec(entry, many(6)),
        proptest::collection::vec(change, many(4)),
        proptest::collection::vec(rule, many(4)),
        proptest::collection::vec((text(), text()), many(3)),
        any::<f64>(),
    )
        .prop_map(|(alerts, metrics, mut logs, mut changes, rules, runbooks, value)| {
            let mut parts = BundleParts::new("case", TimeRange::new(at(0), at(900)), TimeRange::new(at(-900), at(0)));
            logs.sort_by_key(|entry: &LogEntry| entry.at);
            changes.sort_by_key(|change: &Change| change.at);
            let meta = MetricMeta { kind: MetricKind::Counter, help: "a \\ b\nc".into(), unit: String::new() };
            parts.metadata =
                ["metric", "metric_total"].into_iter().map(|name| (name.to_owned(), meta.clone())).collect();
            let failure = Failure { source: "s".into(), what: "w".into(), advice: String::new() };
            parts.queries = vec![
                (
                    Query::Instant { lang: Lang::PromQl, expr: "x".into(), at: at(1) },
                    Ok(Answer::new(Data::Scalar(Sample { at: at(1), value }))),
                ),
                (Query::Rules, Err(failure)),
            ];
            parts.runbooks = runbooks.into_iter().map(|(title, text)| Runbook { title, text }).collect();
            BundleParts { alerts, metrics, logs, changes, rules, ..parts }
        })
}

/// Compares by debug text, in which NaN equals NaN; series are settled as a store settles them.
fn settled(parts: &BundleParts) -> String {
    let store = SeriesStore::from_series(&parts.metrics, parts.metadata.clone());
    format!("{:#?}", BundleParts { metrics: store.to_series(), ..parts.clone() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_written_reads_back_the_same(parts in parts(), form in 0..3_usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(["case", "case.tar.zst", "case.tar.gz"][form]);
        write(&path, &parts, false).unwrap();
        let bundle = Bundle::open(&path).unwrap();
        let again = bundle.to_parts().unwrap();
        prop_assert_eq!(settled(&again), settled(&parts));
        prop_assert_eq!(bundle.notes(), vec![]);
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }
}

fn small() -> BundleParts {
    BundleParts::new("small", TimeRange::new(at(0), at(9)), TimeRange::new(at(-9), at(0)))
}

#[test]
fn nothing_is_overwritten_unasked_and_no_folder_of_others_at_all() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["case", "case.tar.zst"] {
        let path = folder.path().join(name);
        write(&path, &small(), false).unwrap();
        let error = write(&path, &small(), false).unwrap_err();
        assert!(error.what.contains("already there"), "{error}");
        let mut other = small();
        other.manifest.name = "other".into();
        write(&path, &other, true).unwrap();
        assert_eq!(Bundle::open(&path).unwrap().manifest().name, "other");
    }
    let foreign = folder.path().join("home");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    let error = write(&foreign, &small(), true).unwrap_err();
    assert!(error.what.contains("not a bundle"), "{error}");
    assert!(foreign.join("thesis.txt").is_file());
    let error = write(folder.path().join("no/such/folder/case"), &small(), false).unwrap_err();
    assert!(error.advice.contains("create the directory"), "{error}");
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("1.tar.zst"), folder.path().join("2.tar.zst"));
    write(&one, &small(), false).unwrap();
    write(&two, &small(), false).unwrap();
    assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
}

#[test]
fn a_full_disk_is_called_a_full_disk() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // Through the JSON writer too, which wraps the error.
    let error = content("manifest.json", &small(), &mut Full).unwrap_err();
    let error = failure("case", &error);
    assert!(error.what.contains("disk is full") && !error.advice.is_empty(), "{error}");
}
