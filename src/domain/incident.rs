//! Incidents: alerts that belong together.

use serde::{Deserialize, Serialize};

use super::alert::{Alert, Severity};
use super::{Text, TimeRange, Timestamp};

/// A few or thousands of alerts that belong together by time, topology and labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Short and stable while the incident lives: derived from its first alert (`I-3f9a2c`).
    pub id: String,
    /// One line a person would say: the summary of its worst, earliest alert.
    pub title: Text,
    /// The worst severity of its alerts.
    pub severity: Severity,
    /// Start of its first alert.
    pub started_at: Timestamp,
    /// End of its last alert, when all are over.
    pub resolved_at: Option<Timestamp>,
    /// Services that its alerts name, sorted; may be empty.
    pub services: Vec<String>,
    /// Its alerts, worst and earliest first.
    pub alerts: Vec<Alert>,
    /// Alerts that fired again and again, most often first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flapping: Vec<Flapping>,
    /// The time that is examined.
    pub window: TimeRange,
    /// The time it is compared with. Need not be next to the window, nor before it.
    pub baseline: TimeRange,
}

/// An alert that fired again and again within one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flapping {
    /// The alert's fingerprint.
    pub fingerprint: String,
    /// Its name.
    pub name: String,
    /// Its service, where it names one.
    pub service: Option<String>,
    /// How often it fired.
    pub times: u32,
}

impl Incident {
    /// Whether all its alerts are over.
    pub fn is_resolved(&self) -> bool {
        self.resolved_at.is_some()
    }
}
