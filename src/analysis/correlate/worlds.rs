//! Which world an alert is of, and what in it says where it comes from.

use std::collections::BTreeMap;

use crate::domain::Labels;
use crate::domain::alert::Alert;

/// Labels that separate worlds: alerts that differ in one of them never belong together.
pub(super) const WORLDS: &[&str] =
    &["cluster", "k8s_cluster", "k8s_cluster_name", "environment", "env", "region", "tenant"];

/// Names of alerts that fire while all is well, so that silence can be noticed, or that only mute others.
const HEARTBEATS: &[&str] = &["watchdog", "infoinhibitor", "alwaysfiring", "heartbeat"];

/// Whether an alert only shows that alerting works: a dead man's switch, or a helper of inhibition rules.
pub(super) fn is_heartbeat(alert: &Alert) -> bool {
    let always = |expression: &str| expression.trim().eq_ignore_ascii_case("vector(1)");
    if alert.expression.as_deref().is_some_and(always) {
        return true;
    }
    let name = alert.name();
    if HEARTBEATS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return true;
    }
    let letters = || name.bytes().filter(u8::is_ascii_alphabetic).map(|byte| byte.to_ascii_lowercase());
    // `DeadMansSwitch`, `dead_man_switch`, `PrometheusAlertmanagerE2eDeadManSwitch`.
    name.len() >= 7 && name.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'd')) && {
        let plain: Vec<u8> = letters().collect();
        plain.windows(7).any(|seven| seven == b"deadman")
    }
}

/// Numbers the worlds. Where some alerts say less of their world than others (no `cluster`, say), they are of the only
/// fuller one that agrees with them, if there is only one.
pub(super) fn number<'a>(all: impl Iterator<Item = &'a Labels>) -> Vec<usize> {
    /// Beyond so many worlds those that say less stay worlds of their own.
    const MOST: usize = 256;
    let mut known: BTreeMap<Vec<(usize, &str)>, usize> = BTreeMap::new();
    let mut told: Vec<usize> = Vec::new();
    let mut scratch: Vec<(usize, &str)> = Vec::new();
    for labels in all {
        scratch.clear();
        scratch.extend(WORLDS.iter().enumerate().filter_map(|(place, name)| Some((place, labels.get(name)?))));
        let next = known.len();
        let number = match known.get(&scratch) {
            Some(&number) => number,
            None => *known.entry(scratch.clone()).or_insert(next),
        };
        told.push(number);
    }
    if known.len() <= 1 || known.len() > MOST {
        return told;
    }
    let mut by_number: Vec<&[(usize, &str)]> = vec![&[]; known.len()];
    for (world, &number) in &known {
        by_number[number] = world;
    }
    let says_less = |one: &[(usize, &str)], other: &[(usize, &str)]| {
        one.len() < other.len() && one.iter().all(|p| other.contains(p))
    };
    let fullest: Vec<usize> = (0..by_number.len())
        .filter(|&world| !by_number.iter().any(|other| says_less(by_number[world], other)))
        .collect();
    let resolved: Vec<usize> = (0..by_number.len())
        .map(|world| {
            let mut fuller = fullest.iter().filter(|&&other| says_less(by_number[world], by_number[other]));
            match (fuller.next(), fuller.next()) {
                (Some(&only), None) => only,
                _ => world,
            }
        })
        .collect();
    told.into_iter().map(|world| resolved[world]).collect()
}
