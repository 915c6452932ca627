//! Coincidence as a witness: what begins at the same time in one place.
//!
//! Two unrelated troubles within minutes of each other happen; a dozen do not, unless the hour is always like that. So
//! groups of alerts that share a place or a name are joined when more of them begin within a few minutes than chance
//! explains. How many that takes depends on how much the place says: a node says more than a namespace, a namespace
//! more than a cluster, and an alert's name in one namespace says something too where no graph knows better.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use super::duplicates::Folded;
use super::groups::Groups;
use super::links::Traits;
use crate::domain::Timestamp;

/// Groups that begin within this time of each other begin together.
const TOGETHER: Duration = Duration::from_mins(3);
/// Groups that begin together on one node.
const ON_A_NODE: usize = 3;
/// The same with one alert name in one namespace, where the graph does not know the services.
const ALIKE_IN_A_NAMESPACE: usize = 2;
/// The same in one namespace, whatever their names; and with one alert name anywhere in one world.
const IN_A_NAMESPACE: usize = 5;
const ALIKE: usize = 5;
/// The same in one zone, and in one world.
const IN_A_ZONE: usize = 8;
const IN_A_WORLD: usize = 12;
/// However noisy the hour is, so many more than usual are no coincidence.
const MOST_NEEDED: usize = 24;

/// Joins groups that begin together.
pub(super) fn join<'a>(alerts: &[Folded<'a>], traits: &[Traits<'a>], groups: &mut Groups) {
    let mut pass = Pass { traits, groups };
    pass.join(ON_A_NODE, |one, _| Some((one.world, one.node?)));
    pass.join(ALIKE_IN_A_NAMESPACE, |one, index| {
        let alone = !one.charted && !one.about_node;
        alone.then_some((one.world, one.namespace?, alerts[index].alert.name()))
    });
    pass.join(IN_A_NAMESPACE, |one, _| Some((one.world, one.namespace?)));
    pass.join(ALIKE, |one, index| Some((one.world, alerts[index].alert.name())));
    pass.join(IN_A_ZONE, |one, index| Some((one.world, alerts[index].alert.labels.get("zone")?)));
    pass.join(IN_A_WORLD, |one, _| Some(one.world));
}

struct Pass<'p, 'a> {
    traits: &'p [Traits<'a>],
    groups: &'p mut Groups,
}

impl<'a> Pass<'_, 'a> {
    fn join<K: Hash + Eq>(&mut self, least: usize, key: impl Fn(&Traits<'a>, usize) -> Option<K>) {
        // For each place the first alert of each group; alerts come in the order of their start.
        let mut places: HashMap<K, Vec<(Timestamp, usize)>> = HashMap::new();
        for (index, one) in self.traits.iter().enumerate() {
            let Some(key) = key(one, index) else { continue };
            let root = self.groups.root(index);
            places.entry(key).or_default().push((one.start, root));
        }
        let mut known: HashSet<usize> = HashSet::new();
        for mut begun in places.into_values() {
            known.clear();
            begun.retain(|(_, root)| known.insert(*root));
            self.join_bursts(&begun, least);
        }
    }

    fn join_bursts(&mut self, begun: &[(Timestamp, usize)], least: usize) {
        if begun.len() < least {
            return;
        }
        let needed = (least + 3 * usual(begun)).min(MOST_NEEDED.max(least));
        let mut end = 0;
        let mut joined_to = 0;
        for begin in 0..begun.len() {
            while end < begun.len() && begun[end].0.since(begun[begin].0) <= TOGETHER {
                end += 1;
            }
            if end - begin >= needed {
                // What an earlier stretch joined need not be joined again.
                for index in joined_to.max(begin + 1)..end {
                    self.groups.join(begun[begin].1, begun[index].1);
                }
                joined_to = end.max(joined_to);
            }
        }
    }
}

/// How many begin in a usual stretch of time here: the median over all stretches, those without any counted in; 0
/// when all that is known is shorter than an hour.
fn usual(begun: &[(Timestamp, usize)]) -> usize {
    const LEAST_SPAN: Duration = Duration::from_hours(1);
    let (Some(first), Some(last)) = (begun.first(), begun.last()) else { return 0 };
    let span = last.0.since(first.0);
    if span < LEAST_SPAN {
        return 0;
    }
    let stretches = (span.as_secs() / TOGETHER.as_secs() + 1) as usize;
    // More than half of the stretches are empty.
    if begun.len() * 2 < stretches {
        return 0;
    }
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for (start, _) in begun {
        *counts.entry(start.since(first.0).as_secs() / TOGETHER.as_secs()).or_default() += 1;
    }
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_unstable();
    // The empty ones stand in front.
    let empty = stretches - counts.len();
    (stretches / 2).checked_sub(empty).and_then(|place| counts.get(place)).copied().unwrap_or(0)
}
