//! The result of the analysis of one incident.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::evidence::{Evidence, EvidenceId, EvidenceKind};
use super::incident::Incident;
use super::query::Note;

/// A scored deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Kind of thing that deviates.
    pub kind: EvidenceKind,
    /// In words, with figures.
    pub text: String,
    /// The items that show it.
    pub evidence: Vec<EvidenceId>,
    /// 0 to 1, comparable between kinds.
    pub score: f64,
    /// When it began, if known.
    pub onset: Option<Timestamp>,
}

/// A service ranked as probable root cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// From 1.
    pub rank: usize,
    /// The service.
    pub service: String,
    /// 0 to 1.
    pub score: f64,
    /// What speaks for it, strongest first.
    pub signals: Vec<Signal>,
    /// What was looked at and found normal, in words (`cpu`, `memory`).
    pub normal: Vec<String>,
}

/// A change ranked as probable cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedChange {
    /// From 1.
    pub rank: usize,
    /// Its evidence item.
    pub evidence: EvidenceId,
    /// 0 to 1.
    pub score: f64,
    /// In words: time to onset, place in the graph, what it touches.
    pub why: String,
}

/// A change that is not blamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuledOut {
    /// Its evidence item.
    pub evidence: EvidenceId,
    /// Why not, in words.
    pub why: String,
}

/// Whether anything abnormal was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// There are suspects.
    Suspects,
    /// Nothing deviates beyond chance: no guess is made.
    NothingFound,
}

/// A directed edge of the service graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GraphEdge {
    /// Caller.
    pub client: String,
    /// Callee.
    pub server: String,
}

/// What is known about one incident after analysis. Everything shown, packed and diagnosed is taken from here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// The incident.
    pub incident: Incident,
    /// Whether anything was found.
    pub verdict: Finding,
    /// Ranked suspects, likeliest first; empty when nothing was found.
    pub suspects: Vec<Suspect>,
    /// Ranked changes; empty when none explains it.
    pub changes: Vec<RankedChange>,
    /// Changes looked at and not blamed, the likeliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ruled_out: Vec<RuledOut>,
    /// That no change explains it, and why, in words; `None` where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_change: Option<String>,
    /// All evidence, by kind, then by number. Numbers follow the strength within a kind.
    pub evidence: Vec<Evidence>,
    /// The service graph, sorted.
    pub graph: Vec<GraphEdge>,
    /// Everything that was cut, dropped or not answered, to be shown with the result.
    pub notes: Vec<Note>,
}

impl Analysis {
    /// The item with this id.
    pub fn evidence(&self, id: EvidenceId) -> Option<&Evidence> {
        self.evidence.iter().find(|item| item.id == id)
    }
}
