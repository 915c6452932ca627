//! What makes two alerts belong together: the same service, a call between their services, the node both are on, or
//! that one names the other's service. What merely starts at the same time in one place is weighed in `bursts`.
//!
//! Alerts are walked in the order of their start; whatever an alert shares with the latest earlier one joins them. The
//! cost is linear in alerts times keys.

use std::time::Duration;

use super::chart::Chart;
use super::groups::Groups;
use super::symbols::{FastMap, Symbol};
use super::traits::Traits;
use crate::domain::Timestamp;

/// Two alerts of one service belong together when they start within this time.
const SAME_SERVICE: Duration = Duration::from_mins(30);
/// The same for services that call each other, and for a node and what runs on it.
const NEIGHBOURS: Duration = Duration::from_mins(10);
/// Callers of a service that does not alert itself: most of them must begin within this time.
const CALLERS: Duration = Duration::from_mins(5);

/// A service of one world.
type Actor = u32;

/// Numbers of the services of each world, with their neighbours in the graph.
struct Actors<'c> {
    chart: &'c Chart,
    numbers: FastMap<(u32, Symbol), Actor>,
    /// The neighbours of each actor that alerted, each with how much earlier it may have begun.
    neighbours: Vec<Option<Vec<(Actor, Duration)>>>,
}

impl<'c> Actors<'c> {
    fn new(chart: &'c Chart) -> Self {
        Self { chart, numbers: FastMap::default(), neighbours: Vec::new() }
    }

    fn number(&mut self, world: u32, service: Symbol) -> Actor {
        let next = self.neighbours.len() as Actor;
        let number = *self.numbers.entry((world, service)).or_insert(next);
        if number == next {
            self.neighbours.push(None);
        }
        number
    }

    /// The neighbours of an actor; looked up once.
    fn learn_neighbours(&mut self, world: u32, service: Symbol, actor: Actor) {
        if self.neighbours[actor as usize].is_none() {
            let (callees, callers) = self.chart.neighbours(service);
            let callees = callees.iter().map(|&callee| (callee, NEIGHBOURS));
            let known = callees.chain(callers.iter().map(|&caller| (caller, NEIGHBOURS)));
            let numbers = known.map(|(name, span)| (self.number(world, name), span)).collect();
            self.neighbours[actor as usize] = Some(numbers);
        }
    }
}

/// Joins alerts, sorted by start, that belong together by what they say. `peers` are the services that they name.
pub(super) fn join(traits: &[Traits], peers: &[Symbol], chart: &Chart, groups: &mut Groups) {
    let mut actors = Actors::new(chart);
    let within = |a: usize, b: usize, span: Duration| traits[b].start.since(traits[a].start) <= span;
    let mut last: Vec<Option<usize>> = Vec::new();
    let mut last_in: FastMap<(Actor, Option<Symbol>), usize> = FastMap::default();
    let mut mentioned: FastMap<Actor, usize> = FastMap::default();
    let mut at_node: FastMap<(u32, Symbol), AtNode> = FastMap::default();
    for (index, one) in traits.iter().enumerate() {
        if let Some(service) = one.service {
            let actor = actors.number(one.world, service);
            actors.learn_neighbours(one.world, service, actor);
            last.resize(actors.neighbours.len(), None);
            // The same name in another namespace is another service.
            let same = match one.namespace {
                None => [last[actor as usize], None],
                space => [last_in.get(&(actor, space)).copied(), last_in.get(&(actor, None)).copied()],
            };
            for other in same.into_iter().flatten().filter(|&other| within(other, index, SAME_SERVICE)) {
                groups.join(other, index);
            }
            for &(neighbour, span) in actors.neighbours[actor as usize].iter().flatten() {
                if let Some(other) = last[neighbour as usize].filter(|&other| within(other, index, span)) {
                    groups.join(other, index);
                }
            }
            if let Some(&other) = mentioned.get(&actor)
                && within(other, index, NEIGHBOURS)
            {
                groups.join(other, index);
            }
            last[actor as usize] = Some(index);
            last_in.insert((actor, one.namespace), index);
        }
        for &peer in &peers[one.peers.0 as usize..one.peers.1 as usize] {
            let actor = actors.number(one.world, peer);
            last.resize(actors.neighbours.len(), None);
            for other in [last[actor as usize], mentioned.get(&actor).copied()].into_iter().flatten() {
                if within(other, index, NEIGHBOURS) {
                    groups.join(other, index);
                }
            }
            mentioned.insert(actor, index);
        }
        if let Some(node) = one.node {
            let here = at_node.entry((one.world, node)).or_default();
            if let Some(other) = here.node.filter(|&other| within(other, index, NEIGHBOURS)) {
                groups.join(other, index);
            }
            if one.about_node {
                for other in here.waiting.drain(..).filter(|&other| within(other, index, NEIGHBOURS)) {
                    groups.join(other, index);
                }
                here.node = Some(index);
            } else {
                here.waiting.push(index);
            }
        }
    }
    join_callers(traits, chart, groups);
}

/// What alerts at a node.
#[derive(Default)]
struct AtNode {
    /// The latest alert about the node itself.
    node: Option<usize>,
    /// Alerts about what is on it, since.
    waiting: Vec<usize>,
}

/// Joins the callers of a service where most of them begin to alert together: it fails, though it says nothing.
fn join_callers(traits: &[Traits], chart: &Chart, groups: &mut Groups) {
    // Only the first alert of a service counts, until it was quiet for as long as joins its alerts.
    let mut seen: FastMap<(u32, Symbol), Timestamp> = FastMap::default();
    let mut begun: FastMap<(u32, Symbol), Vec<(Timestamp, usize)>> = FastMap::default();
    for (index, one) in traits.iter().enumerate() {
        let Some(service) = one.service.filter(|_| one.charted) else { continue };
        let before = seen.insert((one.world, service), one.start);
        if before.is_some_and(|before| one.start.since(before) <= SAME_SERVICE) {
            continue;
        }
        for &callee in chart.callees(service) {
            if chart.callers(callee).len() >= 2 {
                begun.entry((one.world, callee)).or_default().push((one.start, index));
            }
        }
    }
    for ((_, callee), all) in begun {
        // Callers are distinct by construction within so short a time.
        let most = (chart.callers(callee).len() / 2 + 1).max(2);
        groups.join_crowds(&all, CALLERS, most);
    }
}
