//! What makes two alerts belong together: the same service, a call between their services, the node both are on, or
//! that one names the other's service. What merely starts at the same time in one place is weighed in `bursts`.
//!
//! Alerts are walked in the order of their start; whatever an alert shares with the latest earlier one joins them. The
//! cost is linear in alerts times keys.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::duplicates::Folded;
use super::groups::Groups;
use super::worlds;
use crate::analysis::entity::{canonical, is_collector, service_ref};
use crate::domain::analysis::GraphEdge;
use crate::domain::{Labels, Timestamp};

/// Two alerts of one service belong together when they start within this time.
const SAME_SERVICE: Duration = Duration::from_mins(30);
/// The same for services that call each other, and for a node and what runs on it.
const NEIGHBOURS: Duration = Duration::from_mins(10);
/// Callers of a service that does not alert itself: most of them must begin within this time.
const CALLERS: Duration = Duration::from_mins(5);
/// Neighbours of one service that are looked at.
const MOST_NEIGHBOURS: usize = 512;

/// Labels that name the node a subject is on.
const NODES: &[&str] = &["node", "nodename", "kubernetes_node", "k8s_node_name", "exported_node", "host", "hostname"];
/// Labels that name a namespace.
const NAMESPACES: &[&str] = &["namespace", "kubernetes_namespace", "k8s_namespace_name", "exported_namespace"];
/// Labels in which an alert about one service names another that it needs.
const PEERS: &[&str] = &[
    "destination_service_name",
    "destination_service",
    "destination_workload",
    "destination_canonical_service",
    "dst_deployment",
    "dst_service",
    "dependency",
    "upstream",
    "upstream_cluster",
    "envoy_cluster_name",
    "peer_service",
    "remote_service",
    "target_service",
    "server",
    "backend",
    "database",
];

/// What is read from an alert.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits<'a> {
    pub(super) world: usize,
    /// The service as the graph would call it.
    pub(super) service: Option<&'a str>,
    pub(super) namespace: Option<&'a str>,
    pub(super) node: Option<&'a str>,
    /// Whether it speaks about the node itself.
    pub(super) about_node: bool,
    /// Whether the graph knows its service.
    pub(super) charted: bool,
    pub(super) start: Timestamp,
}

/// Reads the traits of all alerts.
pub(super) fn traits<'a>(alerts: &[Folded<'a>], graph: &[GraphEdge]) -> Vec<Traits<'a>> {
    let charted: BTreeSet<&str> =
        graph.iter().flat_map(|edge| [canonical(&edge.client), canonical(&edge.server)]).collect();
    let worlds = worlds::number(alerts.iter().map(|alert| &alert.alert.labels));
    let read = |(folded, world): (&Folded<'a>, usize)| {
        let labels: &'a Labels = &folded.alert.labels;
        let first = |names: &[&str]| names.iter().find_map(|name| labels.get(name));
        let service = service_ref(labels).filter(|service| !is_collector(service));
        let node = first(NODES);
        // Without a node's name, a machine that is the subject itself names it.
        let machine = service.filter(|service| labels.get("instance") == Some(service));
        let about_node = match (node, service) {
            (Some(node), Some(service)) => node == service,
            (Some(_), None) => true,
            (None, _) => machine.is_some(),
        };
        let service = service.map(canonical);
        Traits {
            world,
            charted: service.is_some_and(|service| charted.contains(service)),
            service,
            namespace: first(NAMESPACES),
            node: node.or(machine),
            about_node,
            start: folded.starts_at,
        }
    };
    alerts.iter().zip(worlds).map(read).collect()
}

/// A service of one world.
type Actor = u32;

/// Numbers of the services of each world, with their neighbours in the graph.
struct Actors<'a> {
    numbers: HashMap<(usize, &'a str), Actor>,
    neighbours: Vec<Option<Vec<Actor>>>,
    by_name: HashMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Actors<'a> {
    fn new(graph: &'a [GraphEdge]) -> Self {
        let mut by_name: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        for edge in graph {
            let (client, server) = (canonical(&edge.client), canonical(&edge.server));
            if client != server {
                by_name.entry(client).or_default().insert(server);
                by_name.entry(server).or_default().insert(client);
            }
        }
        Self { numbers: HashMap::new(), neighbours: Vec::new(), by_name }
    }

    fn number(&mut self, world: usize, service: &'a str) -> Actor {
        let next = self.neighbours.len() as Actor;
        let number = *self.numbers.entry((world, service)).or_insert(next);
        if number == next {
            self.neighbours.push(None);
        }
        number
    }

    /// The neighbours of an actor; looked up once.
    fn learn_neighbours(&mut self, world: usize, service: &'a str, actor: Actor) {
        if self.neighbours[actor as usize].is_none() {
            let names: Vec<&str> =
                self.by_name.get(service).into_iter().flatten().copied().take(MOST_NEIGHBOURS).collect();
            let numbers = names.into_iter().map(|name| self.number(world, name)).collect();
            self.neighbours[actor as usize] = Some(numbers);
        }
    }
}

/// Joins alerts that belong together by what they say.
pub(super) fn join<'a>(alerts: &[Folded<'a>], traits: &[Traits<'a>], graph: &'a [GraphEdge], groups: &mut Groups) {
    let mut actors = Actors::new(graph);
    let within = |a: usize, b: usize, span: Duration| traits[b].start.since(traits[a].start) <= span;
    let mut last: Vec<Option<usize>> = Vec::new();
    let mut last_in: HashMap<(Actor, Option<&str>), usize> = HashMap::new();
    let mut mentioned: HashMap<Actor, usize> = HashMap::new();
    let mut at_node: HashMap<(usize, &str), AtNode> = HashMap::new();
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
            for neighbour in actors.neighbours[actor as usize].iter().flatten() {
                if let Some(other) = last[*neighbour as usize].filter(|&other| within(other, index, NEIGHBOURS)) {
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
        for peer in PEERS.iter().filter_map(|name| alerts[index].alert.labels.get(name)).map(canonical) {
            if Some(peer) == one.service || is_collector(peer) {
                continue;
            }
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
    join_callers(traits, graph, groups);
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
fn join_callers<'a>(traits: &[Traits<'a>], graph: &'a [GraphEdge], groups: &mut Groups) {
    let mut callers: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for edge in graph {
        callers.entry(canonical(&edge.server)).or_default().insert(canonical(&edge.client));
    }
    let mut callees: HashMap<&str, Vec<&str>> = HashMap::new();
    for (callee, all) in &callers {
        for caller in all.iter().filter(|_| all.len() >= 2) {
            callees.entry(caller).or_default().push(callee);
        }
    }
    // Only the first alert of a service counts, until it was quiet for as long as joins its alerts.
    let mut seen: HashMap<(usize, &str), Timestamp> = HashMap::new();
    let mut begun: HashMap<(usize, &str), Vec<(Timestamp, &str, usize)>> = HashMap::new();
    for (index, one) in traits.iter().enumerate() {
        let Some(service) = one.service else { continue };
        let before = seen.insert((one.world, service), one.start);
        if before.is_some_and(|before| one.start.since(before) <= SAME_SERVICE) {
            continue;
        }
        for callee in callees.get(service).into_iter().flatten() {
            begun.entry((one.world, callee)).or_default().push((one.start, service, index));
        }
    }
    for ((_, callee), all) in begun {
        let most = (callers[callee].len() / 2 + 1).max(2);
        for begin in 0..all.len() {
            // Distinct by construction within so short a time.
            let together: Vec<usize> = all[begin..]
                .iter()
                .take_while(|(start, ..)| start.since(all[begin].0) <= CALLERS)
                .map(|(_, _, index)| *index)
                .collect();
            if together.len() >= most {
                for &index in &together[1..] {
                    groups.join(together[0], index);
                }
            }
        }
    }
}
