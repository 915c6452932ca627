//! Log templates: what a service usually says, and what it says now.

use crate::domain::TimeRange;
use crate::domain::evidence::LogDetail;
use crate::domain::log::LogEntry;

/// A log template whose rate changed between baseline and window.
#[derive(Debug, Clone, PartialEq)]
pub struct LogFinding {
    /// The service that writes it; empty when the entries name none.
    pub service: String,
    /// The template with counts, rates, change and exemplars. `change` is always set.
    pub detail: LogDetail,
    /// 0 to 1, comparable between services.
    pub score: f64,
}

/// Compares the templates of each service between `baseline` and `window`. Strongest first; ties by service, then
/// template. Entries outside both ranges are ignored; an entry inside both counts for the window.
pub fn compare_logs(entries: &[LogEntry], baseline: TimeRange, window: TimeRange) -> Vec<LogFinding> {
    let _ = (entries, baseline, window);
    Vec::new()
}
