//! Log templates: what a service usually says, and what it says now.
//!
//! Two passes. [`forms`] counts lines that are equal up to masked parts, in one cheap scan of each line; [`merge`]
//! makes templates of the forms; then each template's rate in the window is compared with its rate in the baseline.

mod compare;
mod flows;
mod forms;
mod level;
mod lexer;
mod merge;
mod rates;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use compare::{CONTEXT_SCORE, LogFinding, compare_logs};
