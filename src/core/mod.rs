//! The program as data: what it knows ([`Model`]), what can happen to it ([`Msg`]), what it wants done ([`Effect`]).
//!
//! [`update`](fn@update) is the only way a model changes. It does no IO and reads no clock: time arrives as [`Msg::Tick`].
//! Results of effects come back as [`Msg::Report`] with the generation of the effect they answer; a report whose
//! generation is no longer awaited is dropped.
//!
//! **Invariant.** [`Effect::Run`] carries a [`RunOrder`], which only the confirm dialog's key handling can make
//! ([`confirm`]), from a digest that was drawn on the screen.

pub mod chat;
#[cfg(test)]
pub(crate) mod chat_sample;
pub mod command;
pub mod confirm;
#[cfg(test)]
pub(crate) mod consult_sample;
pub mod copy;
pub mod diagnosis_rows;
pub mod effect;
pub mod explain;
pub mod figures;
pub mod key;
pub mod list;
pub mod message;
pub mod model;
pub mod pace;
pub mod palette;
pub mod queue;
#[cfg(test)]
pub(crate) mod queue_sample;
pub mod reading;
pub mod reveal;
pub mod rows;
#[cfg(test)]
pub(crate) mod sample;
pub mod screen;
pub mod slot;
pub mod update;

pub use command::{Command, Definition, Place};
pub use confirm::RunOrder;
pub use effect::Effect;
pub use key::Key;
pub use message::{Msg, Report};
pub use model::{Case, Identity, Model};
pub use screen::{Pane, Screen};
pub use update::update;
