//! What to ask, and what the answers mean: pure functions of data. May import `domain` only.
//!
//! | file | job |
//! |---|---|
//! | [`correlate`](fn@correlate) | alerts into incidents |
//! | [`inquiry`] | which questions an incident raises, in rounds, without doing any IO |
//! | [`robust`] | medians, floored scales, tail ranks |
//! | [`metrics`] | series against their baseline |
//! | [`edges`] | calls between services against their baseline |
//! | [`changes`] | which change explains the onset, or that none does |
//! | [`restarts`] | restarts, rollouts and versions that only metrics show |
//! | [`templates`] | log templates and how their rates changed |
//! | [`periods`] | which log entries are normal, which belong to the incident, and for how long both were watched |
//! | [`sequences`] | what used to follow in a request and no longer does |
//! | [`scope`] | which services an incident can be about |
//! | [`suspects`] | signals of all kinds fused into a ranking of services |
//! | [`analyse`](fn@analyse) | all of it, from a snapshot to the evidence and the verdict |

mod analyse;
pub mod changes;
mod correlate;
pub mod edges;
pub mod entity;
mod fields;
#[cfg(test)]
mod fixture;
pub mod inquiry;
pub mod metrics;
pub mod periods;
mod requests;
pub mod restarts;
pub mod robust;
pub mod scope;
pub mod sequences;
#[cfg(test)]
mod simulation;
pub mod suspects;
pub mod templates;

pub use analyse::analyse;
pub use correlate::{correlate, incident_id};
