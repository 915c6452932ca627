//! Changes: whatever people or controllers did to the system.

use serde::{Deserialize, Serialize};

use super::{Text, Timestamp};

/// One change: a deploy, commit, feature flag, rollout, scaling, restart or cluster event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When it took effect.
    pub at: Timestamp,
    /// `deploy`, `commit`, `flag`, `rollout`, `scale`, `event`, `config`, …: an open set.
    pub kind: String,
    /// The service it concerns; empty when unknown.
    #[serde(default, deserialize_with = "null_as_default")]
    pub service: String,
    /// What identifies it: a revision, version, flag name.
    #[serde(rename = "ref", default, deserialize_with = "null_as_default")]
    pub reference: Text,
    /// One line.
    #[serde(default, deserialize_with = "null_as_default")]
    pub summary: Text,
    /// Who, if known.
    #[serde(default, deserialize_with = "null_as_default")]
    pub author: Text,
    /// Unified diff, if known.
    #[serde(default)]
    pub diff: Option<Text>,
}

/// Reads `null` as the default value: other programs write it for "unknown".
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
