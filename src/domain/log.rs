//! Log entries.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Labels, Text, Timestamp};

/// One log entry. Entries of a stream share their labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When, to the nanosecond.
    pub at: Timestamp,
    /// Stream labels.
    pub labels: Arc<Labels>,
    /// The line. A stack trace arrives as several lines or as one with line breaks.
    pub line: Text,
    /// Structured metadata that Loki keeps beside the line (trace id, detected level); usually empty.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub metadata: Labels,
}
