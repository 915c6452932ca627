//! The best explanation of each alert.
//!
//! An alert begins because of one other, or of its own accord; it belongs where its best explanation does, and not to
//! all trouble that is near. So of two faults whose callers meet, each keeps its own. This is the nearest-neighbour
//! declustering of earthquakes into main shocks and aftershocks (Zaliapin and Ben-Zion, J. Geophys. Res. 118, 2013):
//! every event has at most one parent, the nearest, and chains of parents make the clusters.

use std::time::Duration;

use super::groups::Groups;

/// No other alert.
const NONE: u32 = u32::MAX;

/// For each alert the other that explains it best.
pub(super) struct Explained(Vec<(f64, u32)>);

impl Explained {
    /// So many alerts without an explanation.
    pub(super) fn new(len: usize) -> Self {
        Self(vec![(f64::INFINITY, NONE); len])
    }

    /// Takes `by` for what explains `index` if nothing nearer does. Nearness is the time between them as a part of
    /// `span`, the longest time that such an explanation holds for.
    pub(super) fn offer(&mut self, index: usize, by: usize, lag: Duration, span: Duration) {
        if lag > span || index == by {
            return;
        }
        let offered = (lag.as_secs_f64() / span.as_secs_f64(), by as u32);
        let known = &mut self.0[index];
        // Among equals the earlier one, so that the order of offers does not matter.
        if offered.0.total_cmp(&known.0).then(offered.1.cmp(&known.1)).is_lt() {
            *known = offered;
        }
    }

    /// How far off the best explanation of an alert is, from 0 to 1; infinite where there is none.
    pub(super) fn farness(&self, index: usize) -> f64 {
        self.0[index].0
    }

    /// Joins all alerts with what explains them.
    pub(super) fn join(&self, groups: &mut Groups) {
        for (index, &(_, by)) in self.0.iter().enumerate() {
            if by != NONE {
                groups.join(by as usize, index);
            }
        }
    }
}
