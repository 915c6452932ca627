//! Log templates: what a service usually says, and what it says now.
//!
//! Two passes. `lexer` scans each line once and `table` counts lines that are equal up to masked parts; `merge`
//! makes templates of these forms. [`Miner`] does that for a stream of lines, and [`compare_logs`] for entries of many
//! services, where each template's rate in the window is then compared with its rate in the baseline.

mod compare;
mod difference;
mod exemplars;
mod flows;
mod forms;
mod frames;
mod level;
mod lexer;
mod merge;
mod miner;
mod places;
mod rates;
mod reading;
mod scores;
mod slices;
mod table;
mod telling;
mod values;
mod vocabulary;

#[cfg(test)]
mod miner_tests;
#[cfg(test)]
mod tests;

pub use compare::{CONTEXT_SCORE, LogFinding, compare_logs};
pub use difference::TemplateChange;
pub use miner::{FormId, Mined, MinedTemplate, Miner};
pub use reading::LogReading;
