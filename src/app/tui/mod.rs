//! The full-screen program: one task owns the model; everything else reaches it as a message.

pub mod backend;
mod editor;
mod effects;
mod event_loop;
mod frames;
mod input;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::core::Identity;
use crate::core::Model;
use crate::core::model::FirstRun;
use crate::terminal::ability::Colours;
use crate::terminal::events::TerminalEvents;
use crate::terminal::job::Signals;
use crate::terminal::{Ability, Display, Guard};
use crate::ui::Theme;

pub use backend::{Backend, Reporter, RunSink};

/// How the program is to run.
#[derive(Debug, Clone)]
pub struct TuiOptions {
    /// Where it works and for whom.
    pub identity: Identity,
    /// What was found, when nothing is configured: the first screen offers it and the demo.
    pub first_run: Option<FirstRun>,
    /// How often to look for new alerts; `None` for recordings, which do not change.
    pub refresh: Option<Duration>,
    /// What the terminal can do.
    pub ability: Ability,
}

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The operator left.
    Quit,
    /// The operator wants the demo: call [`run`] again with its backend.
    Demo,
    /// A signal, by its number, ended it. The exit code is 128 plus the number, as shells have it.
    Signal(i32),
}

/// Runs the program on the terminal until it is left. The terminal is given back whatever happens.
///
/// Fails when there is no terminal, when it can no longer be written to, or when a task of the engine panicked.
pub async fn run(backend: Arc<dyn Backend>, options: TuiOptions) -> io::Result<Exit> {
    // Signals are caught before the terminal is taken, so that none can leave it raw.
    let signals = Signals::listen()?;
    let guard = Guard::enter()?;
    let size = crossterm::terminal::size()?;
    let mut model = Model::new(options.identity, backend.now(), options.first_run);
    model.size = size;
    let program = event_loop::Program {
        model,
        theme: Theme::new(options.ability.colours == Colours::Sixteen, options.ability.ascii),
        ability: options.ability,
        events: TerminalEvents::new(),
        display: Display::new(io::stdout()),
        guard: Some(guard),
        signals: Some(signals),
        refresh: options.refresh,
    };
    program.run(backend).await.map(|ended| ended.exit)
}
