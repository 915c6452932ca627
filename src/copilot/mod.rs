//! A diagnosis from start to end. May import `domain`, `analysis`, `context`, `gate`, `llm`, `sources`, `prompts`.
//!
//! Two analysts write the same [`Diagnosis`](crate::domain::diagnosis::Diagnosis): [`offline`] from playbooks, without
//! a network, and a language model. What either says is held against the evidence by [`verify`], and the
//! actions of either go to the gate before anyone can select them.

pub mod actions;
pub mod answer;
pub mod answers;
pub mod call;
mod embedded;
#[cfg(test)]
mod fixture;
mod matching;
pub mod offline;
pub mod online;
pub mod partial;
mod placeholders;
pub mod playbook;
pub mod questions;
pub mod recheck;
pub mod schema;
mod template;
pub mod verify;
mod wording;

pub use playbook::{PlaybookError, Playbooks};
