//! Disjoint sets.

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
}
