//! The command line, the effect runner, headless commands: wires the other rooms together.

pub mod tui;
