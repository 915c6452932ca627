//! Evidence whose queries were asked again: whether it still holds.

use serde::Serialize;

use super::Text;
use super::evidence::EvidenceId;

/// One item that was to be asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rechecked {
    /// The item.
    pub id: EvidenceId,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What must be said of the fresh answer: that it was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<Text>,
}

/// Whether an item still holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Outcome {
    /// The same query says the same.
    Same,
    /// The same query says something else.
    Changed {
        /// What the item says.
        before: Text,
        /// What the fresh answer says.
        now: Text,
    },
    /// The same query no longer says anything of it.
    Gone,
    /// There was nothing to compare with.
    NotAsked {
        /// Why.
        why: Text,
    },
}

impl Rechecked {
    /// One line: `the same`, `changed: peak 4.2 s, now peak 5 s`.
    pub fn line(&self) -> String {
        let words = match &self.outcome {
            Outcome::Same => "the same".to_owned(),
            Outcome::Changed { before, now } => format!("changed: {}, now {}", before.one_line(), now.one_line()),
            Outcome::Gone => "gone: the same query no longer finds it".to_owned(),
            Outcome::NotAsked { why } => format!("not compared: {}", why.one_line()),
        };
        self.remark.as_ref().map_or_else(|| words.clone(), |remark| format!("{words} ({})", remark.one_line()))
    }

    /// Whether the evidence no longer holds as it stands.
    pub const fn is_refuted(&self) -> bool {
        matches!(self.outcome, Outcome::Changed { .. } | Outcome::Gone)
    }
}

/// All that was asked again in one go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recheck {
    /// The items, in the order in which they are cited.
    pub items: Vec<Rechecked>,
    /// Cited items beyond the bound, which were not asked again.
    pub left_out: usize,
}
