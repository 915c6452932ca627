//! Signals and job control.

use std::io;

use rustix::process::{Signal, kill_current_process_group};
use tokio::signal::unix::{SignalKind, signal};

/// Signals that concern the terminal.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    stop: tokio::signal::unix::Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Leave; with the number of the signal.
    Leave(i32),
    /// Stop until resumed.
    Stop,
}

impl Signals {
    /// Begins to listen.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Leave(SignalKind::terminate().as_raw_value()),
            _ = self.hangup.recv() => Asked::Leave(SignalKind::hangup().as_raw_value()),
            _ = self.interrupt.recv() => Asked::Leave(SignalKind::interrupt().as_raw_value()),
            _ = self.stop.recv() => Asked::Stop,
        }
    }
}

/// Stops this process and its job as a shell's Ctrl-Z does; returns when the shell resumes it. The terminal must have
/// been given back before. SIGSTOP, because SIGTSTP is caught by [`Signals`].
pub fn stop() -> io::Result<()> {
    kill_current_process_group(Signal::STOP).map_err(io::Error::from)
}
