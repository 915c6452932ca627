//! Input events, from the terminal or from a test.

use std::io;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

/// Where input events come from.
pub trait EventSource: Send {
    /// The next event; `None` when there will be no more. Safe to drop before it is ready.
    fn next(&mut self) -> BoxFuture<'_, Option<io::Result<Event>>>;

    /// Stops reading, so that another program (an editor, a shell) gets the input.
    fn pause(&mut self) {}

    /// Reads again.
    fn resume(&mut self) {}
}

/// The terminal's events. Its reader thread lives only while it is not paused.
#[derive(Default)]
pub struct TerminalEvents {
    stream: Option<EventStream>,
}

impl TerminalEvents {
    /// Begins to read.
    pub fn new() -> Self {
        Self { stream: Some(EventStream::new()) }
    }
}

impl EventSource for TerminalEvents {
    fn next(&mut self) -> BoxFuture<'_, Option<io::Result<Event>>> {
        Box::pin(async {
            match &mut self.stream {
                Some(stream) => stream.next().await,
                None => std::future::pending().await,
            }
        })
    }

    fn pause(&mut self) {
        self.stream = None;
    }

    fn resume(&mut self) {
        self.stream = Some(EventStream::new());
    }
}

/// Events put in by a test; waits when there are none, ends when the sender is dropped.
pub struct Scripted(tokio::sync::mpsc::UnboundedReceiver<Event>);

impl Scripted {
    /// A source and its other end.
    pub fn new() -> (tokio::sync::mpsc::UnboundedSender<Event>, Self) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (sender, Self(receiver))
    }
}

impl EventSource for Scripted {
    fn next(&mut self) -> BoxFuture<'_, Option<io::Result<Event>>> {
        Box::pin(async { self.0.recv().await.map(Ok) })
    }
}
