use std::collections::BTreeMap;

use super::*;
use crate::analysis::analyse;
use crate::domain::analysis::Finding;

/// Worlds of each sort.
const WORLDS: u64 = 60;

#[test]
fn quiet_worlds_are_left_in_peace() {
    let mut blamed: BTreeMap<String, usize> = BTreeMap::new();
    let quiet_ones = (0..WORLDS)
        .filter(|&seed| {
            let analysis = analyse(&quiet(seed).snapshot);
            for suspect in &analysis.suspects {
                let told = suspect.signals.first().map(|one| one.text.clone()).unwrap_or_default();
                *blamed.entry(told.split([' ', '{']).next().unwrap_or_default().to_owned()).or_default() += 1;
            }
            analysis.verdict == Finding::NothingFound
        })
        .count();
    assert!(quiet_ones as f64 >= 0.95 * WORLDS as f64, "{quiet_ones} of {WORLDS}; blamed {blamed:?}");
}

#[test]
fn the_culprit_comes_first() {
    let mut ranks: BTreeMap<String, Vec<Option<usize>>> = BTreeMap::new();
    let mut missed: Vec<String> = Vec::new();
    for seed in 0..WORLDS {
        let world = faulty(seed);
        let (service, fault) = world.culprit.unwrap();
        let analysis = analyse(&world.snapshot);
        let rank = analysis.suspects.iter().position(|one| one.service == service).map(|place| place + 1);
        if rank != Some(1) {
            let first: Vec<&str> = analysis.suspects.iter().take(3).map(|one| one.service.as_str()).collect();
            missed.push(format!("{seed} {fault:?}: {service} is {rank:?} among {first:?}"));
        }
        ranks.entry(format!("{fault:?}")).or_default().push(rank);
        ranks.entry("all".into()).or_default().push(rank);
    }
    let within = |all: &[Option<usize>], most: usize| {
        all.iter().filter(|rank| rank.is_some_and(|rank| rank <= most)).count() as f64 / all.len() as f64
    };
    let table: Vec<String> = ranks
        .iter()
        .map(|(fault, all)| {
            let average = (1..=5).map(|most| within(all, most)).sum::<f64>() / 5.0;
            format!("{fault}: AC@1 {:.2} AC@3 {:.2} Avg@5 {average:.2} ({})", within(all, 1), within(all, 3), all.len())
        })
        .collect();
    let all = &ranks["all"];
    assert!(within(all, 1) >= 0.8 && within(all, 3) >= 0.85, "{table:#?} {missed:#?}");
}

/// Who is suspected, in this order and how much.
fn ranking(snapshot: &Snapshot) -> Vec<(String, f64)> {
    analyse(snapshot).suspects.into_iter().map(|one| (one.service, one.score)).collect()
}

#[test]
fn units_change_no_rank() {
    // Another name for the same figure, in a unit that is so many times smaller.
    let other = |metric: &str| -> Option<(String, f64)> {
        let renamed =
            |from: &str, to: &str, times: f64| metric.strip_suffix(from).map(|stem| (format!("{stem}{to}"), times));
        renamed("_seconds", "_milliseconds", 1e3)
            .or_else(|| renamed("_bytes", "_kilobytes", 1e-3))
            .or_else(|| renamed("_length", "_length_thousands", 1e-3))
    };
    for seed in 0..16 {
        let world = faulty(seed).snapshot;
        let mut scaled = world.clone();
        for answer in &mut scaled.metrics {
            let Purpose::Golden { metric, .. } = &mut answer.purpose else { continue };
            let Some((name, times)) = other(metric) else { continue };
            *metric = name;
            for sample in answer.series.iter_mut().flat_map(|one| &mut one.samples) {
                sample.value *= times;
            }
        }
        let (one, two) = (ranking(&world), ranking(&scaled));
        assert!(!one.is_empty() || seed > 0, "something is found");
        assert_eq!(one.len(), two.len(), "{seed}");
        for (a, b) in one.iter().zip(&two) {
            assert!(a.0 == b.0 && (a.1 - b.1).abs() < 1e-6, "{seed}: {one:?} {two:?}");
        }
    }
}

#[test]
fn order_and_repetition_change_nothing() {
    for seed in 0..8 {
        let world = faulty(seed).snapshot;
        let mut mixed = world.clone();
        mixed.metrics.reverse();
        for answer in &mut mixed.metrics {
            answer.series.reverse();
            for one in &mut answer.series {
                let again: Vec<Sample> = one.samples.iter().step_by(3).copied().collect();
                one.samples.extend(again);
                one.samples.reverse();
            }
        }
        let (one, two) = (analyse(&world), analyse(&mixed));
        assert_eq!(one.suspects, two.suspects, "{seed}");
        assert!(one == two, "{seed}: the same evidence, changes and notes");
    }
}
