//! Who calls whom, in numbers.

use super::symbols::{FastMap, FastSet, Symbol, Symbols};
use crate::analysis::entity::canonical;
use crate::domain::analysis::GraphEdge;

/// Neighbours of one service that are looked at, on each side.
const MOST_NEIGHBOURS: usize = 256;

/// The service graph.
#[derive(Debug, Default)]
pub(super) struct Chart {
    known: FastSet<Symbol>,
    /// Those that each service calls, and those that call it; sorted by name.
    callees: FastMap<Symbol, Vec<Symbol>>,
    callers: FastMap<Symbol, Vec<Symbol>>,
}

impl Chart {
    /// Reads a graph, and numbers its services.
    pub(super) fn new<'a>(graph: &'a [GraphEdge], symbols: &mut Symbols<'a>) -> Self {
        let mut chart = Self::default();
        for edge in graph {
            let (client, server) = (canonical(&edge.client), canonical(&edge.server));
            let (client, server) = (symbols.number(client), symbols.number(server));
            chart.known.extend([client, server]);
            if client != server {
                chart.callees.entry(client).or_default().push(server);
                chart.callers.entry(server).or_default().push(client);
            }
        }
        for some in chart.callees.values_mut().chain(chart.callers.values_mut()) {
            some.sort_unstable_by_key(|&service| symbols.text(service));
            some.dedup();
        }
        chart
    }

    /// Whether a service is in the graph.
    pub(super) fn knows(&self, service: Symbol) -> bool {
        self.known.contains(&service)
    }

    /// The services that it calls.
    pub(super) fn callees(&self, service: Symbol) -> &[Symbol] {
        self.callees.get(&service).map_or(&[], Vec::as_slice)
    }

    /// The services that call it.
    pub(super) fn callers(&self, service: Symbol) -> &[Symbol] {
        self.callers.get(&service).map_or(&[], Vec::as_slice)
    }

    /// The first services by name that it calls, and that call it.
    pub(super) fn neighbours(&self, service: Symbol) -> (&[Symbol], &[Symbol]) {
        let few = |all: &'_ [Symbol]| all.len().min(MOST_NEIGHBOURS);
        let (callees, callers) = (self.callees(service), self.callers(service));
        (&callees[..few(callees)], &callers[..few(callers)])
    }
}
