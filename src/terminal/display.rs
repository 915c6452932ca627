//! Drawing: only what changed is written, in one write, between the marks of synchronized output (mode 2026), so
//! that no terminal shows half a frame. A frame equal to the last one writes nothing.

use std::io::{self, Write};

use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// A screen of cells on a byte stream.
pub struct Display<W: Write> {
    out: W,
    shown: Buffer,
    stale: bool,
    frames: u64,
    bytes: u64,
}

impl<W: Write> Display<W> {
    /// A display of unknown content.
    pub fn new(out: W) -> Self {
        Self { out, shown: Buffer::empty(Rect::ZERO), stale: true, frames: 0, bytes: 0 }
    }

    /// The next draw writes every cell.
    pub fn invalidate(&mut self) {
        self.stale = true;
    }

    /// Shows `next`. Returns whether anything had to be written.
    pub fn draw(&mut self, next: Buffer) -> io::Result<bool> {
        let whole = self.stale || self.shown.area != next.area;
        if whole {
            self.shown = Buffer::empty(next.area);
        }
        let mut frame: Vec<u8> = Vec::with_capacity(if whole { 16_384 } else { 1_024 });
        frame.extend_from_slice(BEGIN);
        {
            let mut backend = CrosstermBackend::new(&mut frame);
            if whole {
                backend.clear()?;
            }
            let updates = self.shown.diff(&next);
            if updates.is_empty() && !whole {
                return Ok(false);
            }
            backend.draw(updates.into_iter())?;
        }
        frame.extend_from_slice(END);
        self.write(&frame)?;
        self.shown = next;
        self.stale = false;
        self.frames += 1;
        Ok(true)
    }

    /// Writes a control sequence, for example one that copies text.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// Frames and bytes written so far.
    pub fn written(&self) -> (u64, u64) {
        (self.frames, self.bytes)
    }

    /// The byte stream.
    pub fn out(&self) -> &W {
        &self.out
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use ratatui::style::Style;

    use super::*;

    const ROWS: NonZero<u16> = NonZero::new(2).unwrap();
    const COLUMNS: NonZero<u16> = NonZero::new(20).unwrap();

    fn frame(text: &str) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 2));
        buffer.set_string(0, 0, text, Style::default());
        buffer
    }

    #[test]
    fn an_equal_frame_writes_nothing() {
        let mut display = Display::new(Vec::new());
        assert!(display.draw(frame("one")).unwrap());
        let before = display.out().len();
        assert!(!display.draw(frame("one")).unwrap());
        assert_eq!(display.out().len(), before);
        assert_eq!(display.written().0, 1);
    }

    #[test]
    fn a_frame_arrives_whole_and_framed() {
        let mut display = Display::new(Vec::new());
        display.draw(frame("one")).unwrap();
        display.draw(frame("two")).unwrap();
        let bytes = display.out().clone();
        let count = |mark: &[u8]| bytes.windows(mark.len()).filter(|part| *part == mark).count();
        assert_eq!((count(BEGIN), count(END)), (2, 2));
        let mut screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        screen.process(&bytes);
        assert_eq!(screen.screen().contents().trim_end(), "two");
    }

    #[test]
    fn after_an_invalidation_everything_is_drawn() {
        let mut display = Display::new(Vec::new());
        display.draw(frame("one")).unwrap();
        display.invalidate();
        assert!(display.draw(frame("one")).unwrap());
    }
}
