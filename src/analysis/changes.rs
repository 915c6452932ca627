//! Which change explains the onset.

use std::collections::BTreeMap;

use crate::domain::Timestamp;
use crate::domain::analysis::GraphEdge;
use crate::domain::change::Change;

/// One change judged.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeFinding {
    /// Its place in the snapshot's list.
    pub index: usize,
    /// 0 to 1.
    pub score: f64,
    /// In words.
    pub why: String,
}

/// Ranks the changes that may have caused a deviation beginning at `onset`, likeliest first; empty when none explains
/// it. `suspects` gives a score from 0 to 1 by service.
pub fn rank_changes(
    changes: &[Change],
    onset: Timestamp,
    suspects: &BTreeMap<String, f64>,
    graph: &[GraphEdge],
) -> Vec<ChangeFinding> {
    let _ = (changes, onset, suspects, graph);
    Vec::new()
}
