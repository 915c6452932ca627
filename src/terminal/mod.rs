//! The terminal: raw mode and its undoing, input, drawing, clipboard. May import `domain` only.
//!
//! Whatever way the program ends (return, panic, SIGTERM, SIGHUP, SIGINT), the terminal is left as it was found:
//! see [`guard::Guard`].

pub mod ability;
pub mod clipboard;
pub mod display;
pub mod events;
pub mod guard;
pub mod job;

pub use ability::Ability;
pub use display::Display;
pub use events::EventSource;
pub use guard::Guard;
