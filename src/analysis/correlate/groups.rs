//! Disjoint sets.

use std::time::Duration;

use crate::domain::Timestamp;

/// Disjoint sets with path halving; the smallest index is the root, so that roots do not depend on the order of joins.
pub(super) struct Groups(Vec<u32>);

impl Groups {
    /// So many sets of one.
    pub(super) fn new(len: usize) -> Self {
        Self((0..len as u32).collect())
    }

    /// The smallest member of the set that holds `index`.
    pub(super) fn root(&mut self, index: usize) -> usize {
        let mut index = index;
        while self.0[index] as usize != index {
            self.0[index] = self.0[self.0[index] as usize];
            index = self.0[index] as usize;
        }
        index
    }

    /// Makes one set of two.
    pub(super) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b) as u32;
    }

    /// Joins what begins together: wherever at least `least` of `begun`, which is sorted by time, begin within `span`
    /// of one of them.
    pub(super) fn join_crowds(&mut self, begun: &[(Timestamp, usize)], span: Duration, least: usize) {
        let mut end = 0;
        let mut joined_to = 0;
        for begin in 0..begun.len() {
            while end < begun.len() && begun[end].0.since(begun[begin].0) <= span {
                end += 1;
            }
            if end - begin >= least {
                // What an earlier stretch joined need not be joined again.
                for index in joined_to.max(begin + 1)..end {
                    self.join(begun[begin].1, begun[index].1);
                }
                joined_to = end.max(joined_to);
            }
        }
    }
}
