//! Plain data: the words of the product as types. Imports nothing of ours, does no IO, reads no clock.
//!
//! Everything that came from telemetry or a language model is held as [`Text`] or [`Labels`], which can only be
//! made by neutralising control, escape, bidirectional and invisible characters; so what a view or a printer
//! receives is safe to show.

pub mod action;
pub mod alert;
pub mod analysis;
pub mod approval;
pub mod baseline;
pub mod canonical;
pub mod change;
pub mod diagnosis;
pub mod evidence;
pub mod health;
pub mod incident;
pub mod labels;
pub mod ledger;
pub mod log;
pub mod metric;
pub mod outgoing;
pub mod pack;
pub mod query;
pub mod question;
pub mod recheck;
pub mod settings;
pub mod snapshot;
pub mod text;
pub mod time;

pub use labels::Labels;
pub use outgoing::Outgoing;
pub use text::Text;
pub use time::{TimeRange, Timestamp};
