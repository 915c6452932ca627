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
