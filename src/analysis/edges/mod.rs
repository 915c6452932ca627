//! Calls between services against their baseline.
//!
//! A caller waits for the callee's work and for the way there and back. Where both ends are measured the callee's
//! own time is taken out: what remains is transit, and a rise of transit is the network's or the connection's, shown
//! nowhere else. Where the callee's time rises, the time it spends waiting for its own callees is taken out in turn.
//! Failures are taken to be the callee's, less those that its own callees explain.
//!
//! | file | job |
//! |---|---|
//! | `dialects` | from metrics of tracing, meshes, proxies and clients to what they measure |
//! | `amounts` | what all series say of each edge, before and inside the window, over time |
//! | `chance` | what chance does to counts and means |
//! | `judge` | what deviates, whose doing it is, since when |

mod amounts;
mod chance;
pub(crate) mod dialects;
mod judge;

use crate::domain::Timestamp;
use crate::domain::analysis::GraphEdge;
use crate::domain::evidence::EdgeDetail;
use crate::domain::snapshot::{Provenance, Snapshot};

pub use dialects::endpoints;

/// What about an edge deviates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeTrouble {
    /// Transit rose.
    Transit,
    /// More requests fail.
    Errors,
    /// The callee works longer, its own callees' time taken out.
    OwnTime,
    /// The caller gives up before the callee answers.
    Timeouts,
    /// Each request of the caller makes more calls: retries, or a loop.
    Retries,
    /// Requests ceased or appeared.
    Traffic,
    /// Nothing.
    None,
}

/// One edge compared.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeFinding {
    /// Figures.
    pub detail: EdgeDetail,
    /// What deviates most.
    pub trouble: EdgeTrouble,
    /// The side that is to blame for it, as far as the other edges tell.
    pub suspect: String,
    /// 0 to 1.
    pub strength: f64,
    /// Requests before and inside.
    pub requests: (f64, f64),
    /// When it began.
    pub onset: Option<Timestamp>,
    /// More about it in words, with figures; may be empty.
    pub remark: String,
    /// Where it came from.
    pub provenance: Provenance,
}

/// The service graph in all edge answers, sorted. Names that mean the same service are one.
pub fn graph(snapshot: &Snapshot) -> Vec<GraphEdge> {
    amounts::pairs(snapshot).into_iter().map(|(client, server)| GraphEdge { client, server }).collect()
}

/// Compares all edges, strongest first.
pub fn compare_edges(snapshot: &Snapshot) -> Vec<EdgeFinding> {
    let (edges, grid) = amounts::gather(snapshot);
    judge::judge(&edges, grid)
}

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
