use proptest::prelude::*;

use super::aspect::is_ratio;
use super::*;
use crate::analysis::fixture::{BEGIN, END, WINDOW, alert, at, golden, series, snapshot, step};
use crate::domain::metric::Sample;

const METRIC: &str = "request_duration_seconds";

/// Values of one service: what it does, how much more in the window, and how it wobbles.
fn service_values() -> impl Strategy<Value = Vec<f64>> {
    let samples = ((END - BEGIN) / 60) as usize;
    (0.01..100.0_f64, prop_oneof![Just(1.0), 0.2..20.0_f64], prop::collection::vec(0.9..1.1_f64, samples)).prop_map(
        move |(level, factor, wobble)| {
            let from = wobble.len() * 3 / 4;
            wobble.iter().enumerate().map(|(i, w)| level * w * if i < from { 1.0 } else { factor }).collect()
        },
    )
}

fn world() -> impl Strategy<Value = Vec<Series>> {
    prop::collection::vec(service_values(), 1..6).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(|(number, values)| Series {
                labels: [("service", format!("s{number}").as_str())].into_iter().collect(),
                samples: values
                    .into_iter()
                    .enumerate()
                    .map(|(i, value)| Sample { at: at(BEGIN + 60 * i as i64), value })
                    .collect(),
            })
            .collect()
    })
}

fn compared(series: Vec<Series>) -> Vec<MetricFinding> {
    compare_metrics(&snapshot(alert(&[], ""), vec![golden(METRIC, series)]))
}

fn told(findings: &[MetricFinding]) -> Vec<(String, f64, Turn, Option<Timestamp>)> {
    findings
        .iter()
        .map(|one| (one.service.clone().unwrap_or_default(), one.strength, one.detail.turn, one.onset))
        .collect()
}

#[test]
fn a_step_is_found_and_a_wobble_is_not() {
    let found = compared(vec![
        series(&[("service", "calm")], step(1.0, 1.0)),
        series(&[("service", "slow")], step(1.0, 8.0)),
        series(&[("service", "quick")], step(1.0, 0.2)),
    ]);
    assert_eq!(found[0].service.as_deref(), Some("slow"));
    assert_eq!(found[0].detail.turn, Turn::Up);
    assert!(found[0].strength > 0.5, "{}", found[0].strength);
    let calm = found.iter().find(|one| one.service.as_deref() == Some("calm")).unwrap();
    assert!(calm.strength <= 0.0 && calm.onset.is_none(), "{calm:?}");
}

#[test]
fn words_inside_of_words_do_not_count() {
    assert!(is_ratio("pool_hit_ratio") && is_ratio("a:error_ratio:rate5m") && !is_ratio(METRIC));
    assert_eq!(bad_turn("mysql_up"), Some(Turn::Down));
    assert_eq!(bad_turn("nginx_upstream_response_seconds"), Some(Turn::Up));
}

#[test]
fn a_series_that_ceases_is_absent() {
    let mut gone = series(&[("service", "gone")], step(1.0, 1.0));
    gone.samples.retain(|sample| sample.at < at(WINDOW));
    assert_eq!(compared(vec![gone])[0].detail.turn, Turn::Absent);
}

#[test]
fn wild_siblings_do_not_hide_the_fall_of_a_calm_ratio() {
    // A batch job fails half of its work by nature; that says nothing about how much three percent are elsewhere.
    let wild = |start: i64| move |secs: i64| ((secs / 30 * 37 + start) % 100) as f64;
    let dips = |secs: i64| {
        let dip = if secs % 1_200 == 0 { 1.5 } else { 0.0 };
        100.0 - dip - if secs < WINDOW { 0.0 } else { 3.0 }
    };
    let mut all: Vec<Series> =
        (0..4).map(|n| series(&[("service", format!("job{n}").as_str())], wild(17 * n))).collect();
    all.push(series(&[("service", "shop")], dips));
    let found = compare_metrics(&snapshot(alert(&[], ""), vec![golden("availability_percent", all)]));
    assert_eq!(found[0].service.as_deref(), Some("shop"));
    assert!(found[0].strength > 0.4, "{:?}", found.iter().map(|one| one.strength).collect::<Vec<_>>());
    assert!(found[1..].iter().all(|one| one.strength <= 0.0));
}

#[test]
fn what_happens_every_day_is_hardly_news() {
    let mut all = snapshot(alert(&[], ""), vec![golden(METRIC, vec![series(&[("service", "a")], step(1.0, 4.0))])]);
    let before = compare_metrics(&all);
    let day = 86_400;
    let yesterday = TimeRange::new(at(WINDOW - day), at(END - day));
    all.metrics[0].series[0]
        .samples
        .extend((WINDOW - day..END - day).step_by(30).map(|secs| Sample { at: at(secs), value: 4.1 }));
    all.seasons = vec![yesterday];
    let after = compare_metrics(&all);
    assert!(after[0].seasonal && after[0].strength > 0.0 && after[0].strength < 0.5 * before[0].strength);
    assert_eq!((after[0].onset, after[0].detail.baseline), (before[0].onset, before[0].detail.baseline));
    // Calm yesterday: as strong as ever.
    for sample in all.metrics[0].series[0].samples.iter_mut().filter(|sample| yesterday.contains(sample.at)) {
        sample.value = 1.0;
    }
    let after = compare_metrics(&all);
    assert!(!after[0].seasonal && (after[0].strength - before[0].strength).abs() < f64::EPSILON);
}

#[test]
fn another_incident_in_the_baseline_hides_nothing() {
    let value = |secs: i64| if secs < 5_400 { 5.0 } else { step(1.0, 4.0)(secs) };
    let mut all = snapshot(alert(&[], ""), vec![golden(METRIC, vec![series(&[("service", "a")], value)])]);
    assert!(compare_metrics(&all)[0].strength <= 0.0);
    all.spoiled = vec![TimeRange::new(at(BEGIN), at(5_400))];
    assert!(compare_metrics(&all)[0].strength > 0.3);
    all.spoiled = vec![TimeRange::new(at(0), at(WINDOW))];
    assert_eq!(compare_metrics(&all)[0].detail.baseline.count, 120, "nothing else is left");
}

#[test]
fn a_counter_is_told_by_how_it_moves() {
    let asked = |value: &dyn Fn(i64) -> f64| {
        let one = series(&[("__name__", "jobs_total"), ("service", "a")], value);
        let purpose = Purpose::AlertExpression { alert: "A".into() };
        let all = snapshot(alert(&[], ""), vec![crate::analysis::fixture::answer(purpose, "jobs_total", vec![one])]);
        compare_metrics(&all).remove(0)
    };
    // Two restarts, and a rate that stays.
    let counter = asked(&|secs| ((secs - BEGIN) % 1_700) as f64 * 2.0);
    assert!((counter.detail.baseline.median - 2.0).abs() < 1e-9 && counter.strength <= 0.0, "{counter:?}");
    assert_eq!(counter.detail.unit, "/s");
    let gauge = asked(&|secs| 500.0 - 0.001 * secs as f64 + ((secs / 30) % 3) as f64);
    assert!(gauge.detail.baseline.median > 400.0, "{gauge:?}");
    // A missing scrape is no burst.
    let mut gaps = series(&[("__name__", "jobs_total"), ("service", "a")], |secs| secs as f64);
    gaps.samples.retain(|sample| (sample.at.secs_f64() as i64 / 30) % 5 != 0);
    assert!(growth(&gaps.samples).iter().all(|one| (one.value - 1.0).abs() < 1e-9));
}

#[test]
fn a_sort_of_errors_that_never_was_stood_at_zero() {
    let mut bad = series(&[("service", "pay"), ("code", "500")], |_| 3.0);
    bad.samples.retain(|sample| sample.at >= at(WINDOW));
    let mut new = series(&[("service", "new"), ("code", "200")], |_| 3.0);
    new.samples.retain(|sample| sample.at >= at(WINDOW));
    let good = series(&[("service", "pay"), ("code", "200")], step(20.0, 20.0));
    let purpose = Purpose::Golden { metric: "http_requests_total".into(), shape: Shape::Rate };
    let answer = crate::analysis::fixture::answer(purpose, "x", vec![good, bad, new]);
    let found = compare_metrics(&snapshot(alert(&[], ""), vec![answer]));
    assert_eq!(found[0].detail.labels.get("code"), Some("500"));
    assert!(found[0].strength > 0.4, "{:?}", found[0]);
    assert!(found.iter().all(|one| one.service.as_deref() != Some("new")), "a new replica is no fault");
}

#[test]
fn a_slow_burn_began_before_the_window() {
    let burning = |secs: i64| 1.0 + 0.01 * ((secs / 30) % 4) as f64 + ((secs - 6_300) as f64 / 200.0).max(0.0);
    let found = compared(vec![series(&[("service", "a")], burning)]);
    let onset = found[0].onset.unwrap();
    assert!(onset >= at(6_300) && onset <= at(6_500), "{onset:?}");
    let band = found[0].detail.baseline;
    assert!(band.high < 1.1, "the band is that of the time before: {band:?}");
    let found = compared(vec![series(&[("service", "a")], step(1.0, 5.0))]);
    assert_eq!(found[0].onset, Some(at(WINDOW)));
    // A pool that was full before anybody noticed cannot get fuller.
    let full = |secs: i64| if secs < WINDOW - 300 { 4.0 + ((secs / 30) % 3) as f64 } else { 50.0 };
    let found = compared(vec![series(&[("service", "a")], full)]);
    assert_eq!(found[0].onset, Some(at(WINDOW - 300)));
    assert!(found[0].detail.baseline.high < 7.0, "{:?}", found[0].detail.baseline);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_unit_does_not_matter(world in world(), power in -20..20_i32) {
        let before = compared(world.clone());
        let mut scaled = world;
        for sample in scaled.iter_mut().flat_map(|one| &mut one.samples) {
            // A power of two, so that nothing is rounded.
            sample.value *= 2.0_f64.powi(power);
        }
        prop_assert_eq!(told(&before), told(&compared(scaled)));
    }

    #[test]
    fn order_and_duplicates_do_not_matter(
        world in world(),
        order in Just((0..64_usize).collect::<Vec<_>>()).prop_shuffle(),
        twice in prop::collection::vec(any::<bool>(), 100),
    ) {
        let before = compared(world.clone());
        let mut mixed: Vec<Series> = Vec::new();
        for one in world {
            let mut samples: Vec<Sample> = one
                .samples
                .iter()
                .zip(twice.iter().cycle())
                .flat_map(|(sample, twice)| std::iter::repeat_n(*sample, 1 + usize::from(*twice)))
                .collect();
            let keys: Vec<(usize, Timestamp)> =
                samples.iter().enumerate().map(|(i, one)| (order[i % order.len()], one.at)).collect();
            let mut places: Vec<usize> = (0..samples.len()).collect();
            places.sort_by_key(|&place| keys[place]);
            samples = places.into_iter().map(|place| samples[place]).collect();
            // Half of a series may come under a second entry.
            let second = samples.split_off(samples.len() / 2);
            mixed.push(Series { labels: one.labels.clone(), samples: second });
            mixed.insert(0, Series { labels: one.labels, samples });
        }
        prop_assert_eq!(before, compared(mixed));
    }

    #[test]
    fn no_values_panic(
        all in prop::collection::vec(
            prop::collection::vec((BEGIN - 600..END + 600, any::<f64>()), 0..40),
            0..6,
        ),
        metric in prop_oneof![Just(METRIC), Just("availability_percent"), Just("up"), Just("")],
    ) {
        let series: Vec<Series> = all
            .into_iter()
            .enumerate()
            .map(|(number, samples)| Series {
                labels: [("service", format!("s{number}").as_str())].into_iter().collect(),
                samples: samples.into_iter().map(|(secs, value)| Sample { at: at(secs), value }).collect(),
            })
            .collect();
        let asked = snapshot(alert(&[], ""), vec![golden(metric, series)]);
        let found = compare_metrics(&asked);
        prop_assert!(found.iter().all(|one| (0.0..=1.0).contains(&one.strength) && !one.tail.is_nan()), "{:?}", found);
        prop_assert_eq!(format!("{found:?}"), format!("{:?}", compare_metrics(&asked)));
    }
}
