use proptest::prelude::*;

use super::*;
use crate::analysis::fixture::{BEGIN, END, alert, answer, at, golden, series, snapshot, step};
use crate::domain::change::Change;
use crate::domain::log::LogEntry;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::Purpose;

/// `web` calls `pay`, which got slow and says so, after a deploy.
fn slow_pay() -> Snapshot {
    let latency = vec![
        series(&[("service", "web")], step(0.2, 0.5)),
        series(&[("service", "pay")], step(0.1, 3.0)),
        series(&[("service", "mail")], step(0.1, 0.1)),
    ];
    let calls = vec![series(&[("client", "web"), ("server", "pay")], |secs| 0.1 * secs as f64)];
    let name = "traces_service_graph_request_total";
    let mut snapshot = snapshot(
        alert(&[("service", "web")], ""),
        vec![golden("request_duration_seconds", latency), answer(Purpose::Edge { metric: name.into() }, name, calls)],
    );
    let entry = |secs: i64, service: &str, line: &str| LogEntry {
        at: at(secs),
        labels: std::sync::Arc::new([("service_name", service)].into_iter().collect()),
        line: Text::new(line),
        metadata: crate::domain::Labels::new(),
    };
    snapshot.logs = (BEGIN..END)
        .step_by(20)
        .flat_map(|secs| {
            let late = secs >= crate::analysis::fixture::WINDOW;
            let said = if late { "level=error msg=\"pool is empty\"" } else { "level=info msg=\"paid\"" };
            [entry(secs, "pay", said), entry(secs, "web", "level=info msg=\"served a page\"")]
        })
        .collect();
    snapshot.changes = vec![Change {
        at: at(crate::analysis::fixture::WINDOW - 30),
        kind: "deploy".into(),
        service: "pay".into(),
        reference: Text::new("v2"),
        summary: Text::new("use a smaller pool"),
        author: Text::default(),
        diff: None,
    }];
    snapshot
}

#[test]
fn the_callee_and_its_deploy_are_blamed() {
    let analysis = analyse(&slow_pay());
    assert_eq!(analysis.suspects[0].service, "pay");
    assert_eq!(analysis.changes.len(), 1);
    assert!(analysis.suspects.iter().all(|suspect| !suspect.signals.is_empty()));
    let known: BTreeSet<EvidenceId> = analysis.evidence.iter().map(|item| item.id).collect();
    assert_eq!(known.len(), analysis.evidence.len(), "an id was given twice");
    assert!(analysis.suspects.iter().flat_map(|s| &s.signals).flat_map(|s| &s.evidence).all(|id| known.contains(id)));
}

#[test]
fn nothing_in_gives_nothing_found() {
    let empty = snapshot(alert(&[], ""), Vec::new());
    assert_eq!(analyse(&empty).verdict, Finding::NothingFound);
    let mut bare = empty;
    bare.incident.alerts.clear();
    bare.incident.window = crate::domain::TimeRange::new(at(0), at(0));
    bare.incident.baseline = bare.incident.window;
    assert_eq!(analyse(&bare).verdict, Finding::NothingFound);
}

#[test]
fn a_figure_is_short() {
    for (value, text) in [(0.0, "0"), (36.04, "36"), (1234.5, "1234"), (0.001_234, "0.00123"), (1e12, "1.00e12")] {
        assert_eq!(figure(value), text);
    }
    assert_eq!(figure(f64::NAN), "?");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_input_does_not_matter(seed in any::<u64>()) {
        let before = analyse(&slow_pay());
        let mut mixed = slow_pay();
        // A linear congruence is shuffle enough, and fast on thousands of items.
        let mut state = seed | 1;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        mixed.logs.sort_by_cached_key(|_| next());
        for answer in &mut mixed.metrics {
            answer.series.sort_by_cached_key(|_| next());
            for one in &mut answer.series {
                one.samples.sort_by_cached_key(|_| next());
            }
        }
        prop_assert_eq!(&before, &analyse(&mixed));
        prop_assert_eq!(serde_json::to_string(&before).unwrap(), serde_json::to_string(&analyse(&slow_pay())).unwrap());
    }

    #[test]
    fn the_unit_does_not_change_the_ranking(power in -12..12_i32) {
        let mut scaled = slow_pay();
        for sample in scaled.metrics[0].series.iter_mut().flat_map(|one| &mut one.samples) {
            sample.value *= 2.0_f64.powi(power);
        }
        let names = |analysis: &Analysis| {
            analysis.suspects.iter().map(|one| (one.service.clone(), one.score.to_bits())).collect::<Vec<_>>()
        };
        prop_assert_eq!(names(&analyse(&slow_pay())), names(&analyse(&scaled)));
    }

    #[test]
    fn no_input_panics(
        all in prop::collection::vec(
            (0..5_usize, ".{0,6}", ".{0,6}", prop::collection::vec((0..12_000_i64, any::<f64>()), 0..20)),
            0..8,
        ),
        lines in prop::collection::vec((0..12_000_i64, ".{0,40}"), 0..20),
        (start, length, from) in (0..12_000_i64, 0..4_000_i64, 0..12_000_i64),
    ) {
        let mut any = slow_pay();
        for (kind, service, other, samples) in all {
            let purpose = match kind {
                0 => Purpose::AlertExpression { alert: "A".into() },
                1 => Purpose::Edge { metric: "traces_service_graph_request_total".into() },
                2 => Purpose::Restart { metric: "restarts_total".into() },
                3 => Purpose::Discovery,
                _ => Purpose::Golden { metric: other.clone(), shape: crate::domain::query::Shape::Rate },
            };
            let labels = [("service", service.as_str()), ("client", &service), ("server", &other), ("__name__", &other)];
            any.metrics.push(answer(purpose, &other, vec![Series {
                labels: labels.into_iter().collect(),
                samples: samples.into_iter().map(|(secs, value)| Sample { at: at(secs), value }).collect(),
            }]));
        }
        for (secs, line) in lines {
            any.logs.push(LogEntry { at: at(secs), line: Text::new(&line), ..any.logs[0].clone() });
        }
        any.incident.window = crate::domain::TimeRange::new(at(start), at(start + length));
        any.incident.baseline = crate::domain::TimeRange::new(at(from), at(from + length));
        let analysis = analyse(&any);
        prop_assert!(analysis.suspects.iter().all(|one| (0.0..=1.0).contains(&one.score)));
        prop_assert_eq!(format!("{analysis:?}"), format!("{:?}", analyse(&any)));
    }
}
