//! Coincidence as a witness: what begins at the same time in one place.
//!
//! Two unrelated troubles within minutes of each other happen; a dozen do not, unless the hour is always like that. So
//! groups of alerts that share a place or a name are joined when more of them begin within a few minutes than chance
//! explains. How many that takes depends on how much the place says: a node says more than a namespace, a namespace
//! more than a cluster, and an alert's name in one namespace says something too where no graph knows better.

use std::hash::Hash;
use std::time::Duration;

use super::groups::Groups;
use super::symbols::{FastMap, FastSet};
use super::traits::Traits;
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

/// Joins groups that begin together. `traits` are sorted by start.
pub(super) fn join(traits: &[Traits], groups: &mut Groups) {
    let mut pass = Pass { traits, groups };
    pass.join(ON_A_NODE, |one| Some((one.world, one.node?)));
    pass.join(ALIKE_IN_A_NAMESPACE, |one| {
        let alone = !one.charted && !one.about_node;
        alone.then_some((one.world, one.namespace?, one.name))
    });
    pass.join(IN_A_NAMESPACE, |one| Some((one.world, one.namespace?)));
    pass.join(ALIKE, |one| Some((one.world, one.name)));
    pass.join(IN_A_ZONE, |one| Some((one.world, one.zone?)));
    pass.join(IN_A_WORLD, |one| Some(one.world));
}

struct Pass<'p> {
    traits: &'p [Traits],
    groups: &'p mut Groups,
}

impl Pass<'_> {
    fn join<K: Hash + Eq>(&mut self, least: usize, key: impl Fn(&Traits) -> Option<K>) {
        // For each place the first alert of each group; alerts come in the order of their start.
        let mut numbers: FastMap<K, u32> = FastMap::default();
        let mut places: Vec<Vec<(Timestamp, usize)>> = Vec::new();
        let mut known: FastSet<(u32, u32)> = FastSet::default();
        for (index, one) in self.traits.iter().enumerate() {
            let Some(key) = key(one) else { continue };
            let next = places.len() as u32;
            let place = *numbers.entry(key).or_insert(next);
            if place == next {
                places.push(Vec::new());
            }
            let root = self.groups.root(index);
            if known.insert((place, root as u32)) {
                places[place as usize].push((one.start, root));
            }
        }
        for begun in places.iter().filter(|begun| begun.len() >= least) {
            let needed = (least + 3 * usual(begun)).min(MOST_NEEDED.max(least));
            self.groups.join_crowds(begun, TOGETHER, needed);
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
    let stretch = |start: Timestamp| start.since(first.0).as_secs() / TOGETHER.as_secs();
    let mut counts: Vec<usize> = begun.chunk_by(|a, b| stretch(a.0) == stretch(b.0)).map(<[_]>::len).collect();
    counts.sort_unstable();
    // The empty ones stand in front.
    let empty = stretches - counts.len();
    (stretches / 2).checked_sub(empty).and_then(|place| counts.get(place)).copied().unwrap_or(0)
}
