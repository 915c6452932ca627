use proptest::prelude::*;

use super::aspect::is_ratio;
use super::*;
use crate::analysis::fixture::{BEGIN, END, alert, at, golden, series, snapshot, step};
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
    gone.samples.retain(|sample| sample.at < at(crate::analysis::fixture::WINDOW));
    assert_eq!(compared(vec![gone])[0].detail.turn, Turn::Absent);
}

#[test]
fn wild_siblings_do_not_hide_the_fall_of_a_calm_ratio() {
    // A batch job fails half of its work by nature; that says nothing about how much three percent are elsewhere.
    let wild = |start: i64| move |secs: i64| ((secs / 30 * 37 + start) % 100) as f64;
    let dips = |secs: i64| {
        let dip = if secs % 1_200 == 0 { 1.5 } else { 0.0 };
        100.0 - dip - if secs < crate::analysis::fixture::WINDOW { 0.0 } else { 3.0 }
    };
    let mut all: Vec<Series> =
        (0..4).map(|n| series(&[("service", format!("job{n}").as_str())], wild(17 * n))).collect();
    all.push(series(&[("service", "shop")], dips));
    let found = compare_metrics(&snapshot(alert(&[], ""), vec![golden("availability_percent", all)]));
    assert_eq!(found[0].service.as_deref(), Some("shop"));
    assert!(found[0].strength > 0.4, "{:?}", found.iter().map(|one| one.strength).collect::<Vec<_>>());
    assert!(found[1..].iter().all(|one| one.strength <= 0.0));
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
