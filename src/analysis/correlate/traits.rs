//! What is read of each alert, once and in numbers: its labels lie scattered over memory, and a storm is walked a
//! dozen times.

use std::hash::{Hash, Hasher};

use super::chart::Chart;
use super::symbols::{FastMap, Folding, Symbol, Symbols};
use super::worlds::{self, WORLDS, World};
use crate::analysis::entity::{INSTANCE_LABELS, POD_LABELS, canonical, is_collector, service_among};
use crate::domain::Timestamp;
use crate::domain::alert::{Alert, SEVERITY_LABELS, Severity};
use crate::domain::labels::SERVICE_LABELS;

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
/// Labels that name the replica that sent an alert, not its subject.
pub(super) const REPLICAS: &[&str] = &[
    "__replica__",
    "ha_replica",
    "prometheus_replica",
    "receive_replica",
    "replica",
    "rule_replica",
    "ruler_replica",
    "thanos_replica",
    "thanos_ruler_replica",
    "vmalert_replica",
];
/// Labels that a server adds on the way out, so that its own copy lacks them, besides those that name a world.
const EXTERNAL: &[&str] = &["monitor", "prometheus"];

/// What joins an alert to others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// Alerts of different worlds never belong together.
    pub(super) world: u32,
    /// The alert's name.
    pub(super) name: Symbol,
    /// The service as the labels call it.
    pub(super) subject: Option<Symbol>,
    /// The service as the graph would call it; none where the labels only name a collector.
    pub(super) service: Option<Symbol>,
    pub(super) namespace: Option<Symbol>,
    pub(super) node: Option<Symbol>,
    pub(super) zone: Option<Symbol>,
    /// Where the services that it names besides its own stand in [`Reading::peers`].
    pub(super) peers: (u32, u32),
    /// Whether it speaks about the node itself.
    pub(super) about_node: bool,
    /// Whether the graph knows its service.
    pub(super) charted: bool,
    pub(super) severity: Severity,
    pub(super) start: Timestamp,
}

/// What tells an alert from others, and not from its copies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print<'a> {
    /// A hash of the labels without those that name a replica.
    pub(super) subject: u64,
    /// The same without what a server adds.
    pub(super) bare: u64,
    /// Whether nothing of what a server adds is there.
    pub(super) is_bare: bool,
    pub(super) fingerprint: &'a str,
}

/// All alerts but heartbeats, with what was read of each in the same place.
#[derive(Debug, Default)]
pub(super) struct Reading<'a> {
    pub(super) alerts: Vec<&'a Alert>,
    pub(super) traits: Vec<Traits>,
    pub(super) prints: Vec<Print<'a>>,
    pub(super) peers: Vec<Symbol>,
    pub(super) symbols: Symbols<'a>,
    /// What the alerts say of their worlds; [`Traits::world`] is a place in it.
    pub(super) worlds: Vec<World>,
}

/// The place of a label among those that matter.
type Slot = u8;

/// The labels that matter, each with a slot.
struct Slots {
    known: FastMap<&'static str, (Slot, Role)>,
}

/// What a label does to the hashes of an alert.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Replica,
    Added,
    Own,
}

impl Slots {
    fn of(&mut self, names: &'static [&'static str], role: Role) -> Vec<Slot> {
        let mut slot = |name| {
            let next = self.known.len() as Slot;
            self.known.entry(name).or_insert((next, role)).0
        };
        names.iter().map(|&name| slot(name)).collect()
    }
}

/// The values of some labels, as far as they are there.
fn told<'v, 'a>(
    values: &'v [Option<&'a str>],
    slots: &'v [Slot],
) -> impl Iterator<Item = &'a str> + Clone + use<'v, 'a> {
    slots.iter().filter_map(|&slot| values[usize::from(slot)])
}

/// What names mean; each is looked at once.
#[derive(Default)]
struct Names {
    heartbeats: FastMap<Symbol, bool>,
    services: FastMap<Symbol, Option<Symbol>>,
    peers: FastMap<Symbol, Option<Symbol>>,
    severities: FastMap<Symbol, Severity>,
}

impl Names {
    /// Whether alerts of this name only show that alerting works.
    fn is_heartbeat(&mut self, name: Symbol, symbols: &Symbols<'_>) -> bool {
        *self.heartbeats.entry(name).or_insert_with(|| worlds::is_heartbeat(symbols.text(name)))
    }

    /// The service as the graph calls it, unless it is a collector.
    fn service(&mut self, subject: Symbol, symbols: &mut Symbols<'_>) -> Option<Symbol> {
        *self.services.entry(subject).or_insert_with(|| {
            let text = symbols.text(subject);
            (!is_collector(text)).then(|| symbols.number(canonical(text)))
        })
    }

    /// A service that another's alert names, as the graph calls it, unless it is a collector.
    fn peer(&mut self, peer: Symbol, symbols: &mut Symbols<'_>) -> Option<Symbol> {
        *self.peers.entry(peer).or_insert_with(|| {
            let name = canonical(symbols.text(peer));
            (!is_collector(name)).then(|| symbols.number(name))
        })
    }

    fn severity(&mut self, number: Symbol, word: &str) -> Severity {
        *self.severities.entry(number).or_insert_with(|| Severity::from_label(word))
    }
}

/// Reads all alerts. `symbols` are those of the graph, which tells which services are charted.
pub(super) fn read<'a>(alerts: &'a [Alert], chart: &Chart, symbols: Symbols<'a>) -> Reading<'a> {
    let mut slots = Slots { known: FastMap::default() };
    slots.of(REPLICAS, Role::Replica);
    slots.of(EXTERNAL, Role::Added);
    let of_world = slots.of(WORLDS, Role::Added);
    let mut own = |names| slots.of(names, Role::Own);
    let (of_service, of_pod, of_machine) = (own(SERVICE_LABELS), own(POD_LABELS), own(INSTANCE_LABELS));
    let (of_node, of_namespace, of_peer) = (own(NODES), own(NAMESPACES), own(PEERS));
    let (of_severity, of_one) = (own(SEVERITY_LABELS), own(&["alertname", "zone", "instance"]));

    let mut reading = Reading { symbols, ..Reading::default() };
    reading.alerts.reserve(alerts.len());
    reading.traits.reserve(alerts.len());
    reading.prints.reserve(alerts.len());
    let mut names = Names::default();
    let mut worlds: FastMap<World, u32> = FastMap::default();
    let mut values: Vec<Option<&'a str>> = vec![None; slots.known.len()];
    for alert in alerts {
        values.fill(None);
        let (mut subject_print, mut bare_print, mut is_bare) = (Folding::default(), Folding::default(), true);
        // A label without a value is none.
        for (name, value) in alert.labels.iter().filter(|(_, value)| !value.is_empty()) {
            let role = match slots.known.get(name) {
                Some(&(slot, role)) => {
                    values[usize::from(slot)] = Some(value);
                    role
                }
                None => Role::Own,
            };
            if role == Role::Replica {
                continue;
            }
            let mut pair = Folding::default();
            (name, value).hash(&mut pair);
            subject_print.write_u64(pair.finish());
            if role == Role::Own {
                bare_print.write_u64(pair.finish());
            } else {
                is_bare = false;
            }
        }
        let first = |slots: &[Slot]| told(&values, slots).next();
        let one = |place: usize| values[usize::from(of_one[place])];
        let symbols = &mut reading.symbols;
        let name = symbols.number(one(0).unwrap_or("alert"));
        if names.is_heartbeat(name, symbols) || worlds::fires_always(alert) {
            continue;
        }
        let subject = service_among(told(&values, &of_service), told(&values, &of_pod), told(&values, &of_machine));
        let node = first(&of_node);
        let subject_number = subject.map(|subject| symbols.number(subject));
        let service = subject_number.and_then(|subject| names.service(subject, symbols));
        let named = subject.filter(|_| service.is_some());
        // Without a node's name, a machine that is the subject itself names it.
        let machine = named.filter(|_| one(2) == named);
        let about_node = match (node, named) {
            (Some(node), Some(service)) => node == service,
            (Some(_), None) => true,
            (None, _) => machine.is_some(),
        };
        let begin = reading.peers.len() as u32;
        for peer in told(&values, &of_peer) {
            let peer = symbols.number(peer);
            reading.peers.extend(names.peer(peer, symbols).filter(|&peer| Some(peer) != service));
        }
        let mut world = World::default();
        for (told, &slot) in world.iter_mut().zip(&of_world) {
            *told = values[usize::from(slot)].map(|value| symbols.number(value));
        }
        let next = reading.worlds.len() as u32;
        let world_number = *worlds.entry(world).or_insert(next);
        if world_number == next {
            reading.worlds.push(world);
        }
        let severity = first(&of_severity).map_or(Severity::Unknown, |word| names.severity(symbols.number(word), word));
        reading.traits.push(Traits {
            world: world_number,
            name,
            subject: subject_number,
            service,
            namespace: first(&of_namespace).map(|namespace| symbols.number(namespace)),
            node: node.or(machine).map(|node| symbols.number(node)),
            zone: one(1).map(|zone| symbols.number(zone)),
            peers: (begin, reading.peers.len() as u32),
            about_node,
            charted: service.is_some_and(|service| chart.knows(service)),
            severity,
            start: alert.starts_at,
        });
        reading.prints.push(Print {
            subject: subject_print.finish(),
            bare: bare_print.finish(),
            is_bare,
            fingerprint: &alert.fingerprint,
        });
        reading.alerts.push(alert);
    }
    reading
}
