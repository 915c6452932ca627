//! Which world an alert is of, and what in it says where it comes from.

use super::symbols::Symbol;
use crate::domain::alert::Alert;

/// Labels that separate worlds: alerts that differ in one of them never belong together.
pub(super) const WORLDS: &[&str] =
    &["cluster", "k8s_cluster", "k8s_cluster_name", "environment", "env", "region", "tenant"];

/// Names of alerts that fire while all is well, so that silence can be noticed, or that only mute others.
const HEARTBEATS: &[&str] = &["watchdog", "infoinhibitor", "alwaysfiring", "heartbeat"];

/// What an alert says of its world: a value for each of [`WORLDS`].
pub(super) type World = [Option<Symbol>; WORLDS.len()];

/// Whether an alert fires while all is well, whatever its name.
pub(super) fn fires_always(alert: &Alert) -> bool {
    /// Longer ones need not be read.
    const LONGEST: usize = 32;
    let always = |expression: &str| expression.len() <= LONGEST && expression.trim().eq_ignore_ascii_case("vector(1)");
    alert.expression.as_deref().is_some_and(always)
}

/// Whether alerts of this name only show that alerting works: a dead man's switch, or a helper of inhibition rules.
pub(super) fn is_heartbeat(name: &str) -> bool {
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

/// Gives each world the number that stands for it, itself as a rule. Where some alerts say less of their world than
/// others (no `cluster`, say), they are of the only fuller one that agrees with them, if there is only one.
///
/// `told` are places in `all`, of the worlds that alerts are left of.
pub(super) fn resolve(all: &[World], told: impl Iterator<Item = u32>) -> Vec<u32> {
    /// Beyond so many worlds those that say less stay worlds of their own.
    const MOST: usize = 256;
    let mut resolved: Vec<u32> = (0..all.len() as u32).collect();
    let mut is_told = vec![false; all.len()];
    for world in told {
        is_told[world as usize] = true;
    }
    let told: Vec<usize> = (0..all.len()).filter(|&world| is_told[world]).collect();
    if told.len() <= 1 || told.len() > MOST {
        return resolved;
    }
    let fullest: Vec<usize> =
        told.iter().copied().filter(|&world| !told.iter().any(|&other| says_less(&all[world], &all[other]))).collect();
    for &world in &told {
        let mut fuller = fullest.iter().filter(|&&other| says_less(&all[world], &all[other]));
        if let (Some(&only), None) = (fuller.next(), fuller.next()) {
            resolved[world] = only as u32;
        }
    }
    resolved
}

/// Whether one world agrees with another in all that it says, and says less.
fn says_less(one: &World, other: &World) -> bool {
    one != other && one.iter().zip(other).all(|(one, other)| one.is_none() || one == other)
}
