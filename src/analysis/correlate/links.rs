//! What explains an alert: an earlier one of the same service, of a service that it calls, of the node it is on, or one
//! that names its service. What merely starts at the same time in one place is weighed in `bursts`.
//!
//! Trouble goes from callees to callers. Yet rules wait for different times, and a cause may be told of after what
//! follows from it: so a service or node that alerts a bit later explains those that nothing nearer does.
//!
//! Alerts are walked in the order of their start. The cost is linear in alerts times keys.

use std::time::Duration;

use super::chart::Chart;
use super::explained::Explained;
use super::groups::Groups;
use super::symbols::{FastMap, Symbol};
use super::traits::Traits;
use crate::domain::Timestamp;

/// An alert explains another one of its service within this time.
const SAME_SERVICE: Duration = Duration::from_mins(30);
/// The same for a callee and its callers, and for a node and what runs on it.
const NEIGHBOURS: Duration = Duration::from_mins(10);
/// What is told of late explains what began so much earlier: the usual waits of rules differ by five minutes.
const LATE: Duration = Duration::from_mins(5);
/// Callers of a service that does not alert itself: most of them must begin within this time.
const CALLERS: Duration = Duration::from_mins(5);

/// A service of one world.
type Actor = u32;

/// What is known of a service so far.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    /// Its latest alert.
    last: Option<usize>,
    /// Its latest alert that no earlier one of its own explains.
    first: Option<usize>,
    /// The latest alert of another service that names this one.
    mentioned: Option<usize>,
}

/// The services of each world, numbered, with their neighbours in the graph.
struct Actors<'c> {
    chart: &'c Chart,
    numbers: FastMap<(u32, Symbol), Actor>,
    heard: Vec<Heard>,
    /// The callees and callers of each actor that alerted.
    neighbours: Vec<Option<[Vec<Actor>; 2]>>,
}

impl<'c> Actors<'c> {
    fn new(chart: &'c Chart) -> Self {
        Self { chart, numbers: FastMap::default(), heard: Vec::new(), neighbours: Vec::new() }
    }

    fn number(&mut self, world: u32, service: Symbol) -> Actor {
        let next = self.heard.len() as Actor;
        let number = *self.numbers.entry((world, service)).or_insert(next);
        if number == next {
            self.heard.push(Heard::default());
            self.neighbours.push(None);
        }
        number
    }

    /// The neighbours of an actor; looked up once.
    fn learn_neighbours(&mut self, world: u32, service: Symbol, actor: Actor) {
        if self.neighbours[actor as usize].is_none() {
            let (callees, callers) = self.chart.neighbours(service);
            let mut numbers = |names: &[Symbol]| names.iter().map(|&name| self.number(world, name)).collect();
            let known = [numbers(callees), numbers(callers)];
            self.neighbours[actor as usize] = Some(known);
        }
    }
}

/// Joins alerts, sorted by start, with what explains them. `peers` are the services that they name.
pub(super) fn join(traits: &[Traits], peers: &[Symbol], chart: &Chart, groups: &mut Groups) {
    let mut explained = Explained::new(traits.len());
    let mut actors = Actors::new(chart);
    let lag = |earlier: usize, later: usize| traits[later].start.since(traits[earlier].start);
    let mut last_in: FastMap<(Actor, Option<Symbol>), usize> = FastMap::default();
    let mut at_node: FastMap<(u32, Symbol), AtNode> = FastMap::default();
    for (index, one) in traits.iter().enumerate() {
        if let Some(service) = one.service {
            let actor = actors.number(one.world, service);
            actors.learn_neighbours(one.world, service, actor);
            let own = actors.heard[actor as usize];
            // The same name in another namespace is another service.
            let same = match one.namespace {
                None => [own.last, None],
                space => [last_in.get(&(actor, space)).copied(), last_in.get(&(actor, None)).copied()],
            };
            for other in same.into_iter().flatten() {
                explained.offer(index, other, lag(other, index), SAME_SERVICE);
            }
            let begins = explained.farness(index).is_infinite();
            let [callees, callers] = actors.neighbours[actor as usize]
                .as_ref()
                .map_or([&[][..]; 2], |known| known.each_ref().map(Vec::as_slice));
            for other in callees.iter().filter_map(|&callee| actors.heard[callee as usize].last) {
                explained.offer(index, other, lag(other, index), NEIGHBOURS);
            }
            for other in callers.iter().filter_map(|&caller| actors.heard[caller as usize].first) {
                explained.offer(other, index, lag(other, index), LATE);
            }
            // A name that is called is no guess.
            if let Some(other) = own.mentioned.filter(|&other| lag(other, index) <= NEIGHBOURS) {
                groups.join(other, index);
            }
            let own = &mut actors.heard[actor as usize];
            own.last = Some(index);
            if begins {
                own.first = Some(index);
            }
            last_in.insert((actor, one.namespace), index);
        }
        for &peer in &peers[one.peers.0 as usize..one.peers.1 as usize] {
            let actor = actors.number(one.world, peer);
            let named = &mut actors.heard[actor as usize];
            for other in [named.last, named.mentioned].into_iter().flatten() {
                if lag(other, index) <= NEIGHBOURS {
                    groups.join(other, index);
                }
            }
            named.mentioned = Some(index);
        }
        if let Some(node) = one.node {
            let here = at_node.entry((one.world, node)).or_default();
            if let Some(other) = here.node {
                explained.offer(index, other, lag(other, index), NEIGHBOURS);
            }
            if one.about_node {
                for other in here.waiting.drain(..) {
                    explained.offer(other, index, lag(other, index), NEIGHBOURS);
                }
                here.node = Some(index);
            } else {
                here.waiting.push(index);
            }
        }
    }
    offer_silent_callees(traits, chart, &mut explained);
    explained.join(groups);
}

/// What alerts at a node.
#[derive(Default)]
struct AtNode {
    /// The latest alert about the node itself.
    node: Option<usize>,
    /// Alerts about what is on it, since.
    waiting: Vec<usize>,
}

/// Explains the callers of a service of which most begin to alert together: it fails, though it says nothing.
fn offer_silent_callees(traits: &[Traits], chart: &Chart, explained: &mut Explained) {
    // Only the first alert of a service counts, until it was quiet for as long as joins its alerts.
    let mut seen: FastMap<(u32, Symbol), Timestamp> = FastMap::default();
    let mut begun: FastMap<(u32, Symbol), Vec<(Timestamp, usize)>> = FastMap::default();
    for (index, one) in traits.iter().enumerate() {
        let Some(service) = one.service.filter(|_| one.charted) else { continue };
        let before = seen.insert((one.world, service), one.start);
        if before.is_some_and(|before| one.start.since(before) <= SAME_SERVICE) {
            continue;
        }
        if explained.farness(index).is_finite() {
            continue;
        }
        for &callee in chart.callees(service) {
            if chart.callers(callee).len() >= 2 {
                begun.entry((one.world, callee)).or_default().push((one.start, index));
            }
        }
    }
    let mut crowds: Vec<(usize, usize, Duration)> = Vec::new();
    for ((_, callee), all) in begun {
        // Callers are distinct by construction within so short a time.
        let most = (chart.callers(callee).len() / 2 + 1).max(2);
        for (place, &(start, first)) in all.iter().enumerate() {
            let rest = &all[place + 1..];
            let count = rest.iter().take_while(|(at, _)| at.since(start) <= CALLERS).count();
            if count + 1 >= most {
                crowds.extend(rest[..count].iter().map(|&(at, index)| (index, first, at.since(start))));
            }
        }
    }
    for (index, by, lag) in crowds {
        explained.offer(index, by, lag, CALLERS);
    }
}
