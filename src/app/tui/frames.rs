//! When the next picture may be drawn: at most 60 times a second, and what a person does before what arrives.
//!
//! News are drawn 30 times a second, which is as smooth as text can be read; that leaves room for a few pictures at
//! once after a key, so that a key shows without waiting for the frame of a stream. The rate is kept as a generic cell
//! rate algorithm keeps it (ITU-T I.371).

use std::time::Duration;

use tokio::time::Instant;

/// Time between two pictures, in the long run.
const FRAME: Duration = Duration::from_micros(16_667);
/// Time between two pictures of what arrives.
const NEWS: Duration = Duration::from_micros(33_333);
/// Pictures that may be ahead of the rate.
const BURST: u32 = 2;

/// When pictures were drawn, and whether another is wanted.
#[derive(Debug)]
pub(super) struct Frames {
    last: Instant,
    /// When the next picture would be due if they came one [`FRAME`] apart.
    even: Instant,
    wanted: Option<Cause>,
}

/// Why a picture is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// Something arrived.
    News,
    /// A person did something.
    Input,
}

impl Frames {
    /// The first picture was drawn now.
    pub(super) fn drawn_first(now: Instant) -> Self {
        Self { last: now, even: now + FRAME, wanted: None }
    }

    /// What is shown is no longer what is known.
    pub(super) fn want(&mut self, cause: Cause) {
        self.wanted = self.wanted.max(Some(cause));
    }

    /// When the next picture is to be drawn; `None` while none is wanted.
    pub(super) fn due(&self) -> Option<Instant> {
        self.wanted.map(|cause| match cause {
            Cause::Input => self.even.checked_sub(FRAME * BURST).unwrap_or(self.last).max(self.last),
            Cause::News => self.even.max(self.last + NEWS),
        })
    }

    /// A picture was drawn now.
    pub(super) fn drawn(&mut self, now: Instant) {
        self.last = now;
        self.even = self.even.max(now) + FRAME;
        self.wanted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> (Frames, Instant) {
        let now = Instant::now() + Duration::from_secs(1_000);
        (Frames::drawn_first(now), now)
    }

    #[test]
    fn nothing_is_drawn_unless_something_changed() {
        let (frames, _) = frames();
        assert_eq!(frames.due(), None);
    }

    #[test]
    fn a_key_shows_at_once_while_news_stream() {
        let (mut frames, start) = frames();
        let mut now = start;
        for _ in 0..100 {
            frames.want(Cause::News);
            now = frames.due().unwrap();
            frames.drawn(now);
            frames.want(Cause::News);
            frames.want(Cause::Input);
            assert!(frames.due().unwrap() <= now, "right after a picture");
            frames.drawn(now);
        }
        let pictures = 200.0;
        assert!(pictures / (now - start).as_secs_f64() < 61.0);
    }

    #[test]
    fn a_flood_of_keys_is_drawn_sixty_times_a_second() {
        let (mut frames, start) = frames();
        let mut now = start;
        for _ in 0..60 {
            frames.want(Cause::Input);
            now = frames.due().unwrap().max(now);
            frames.drawn(now);
        }
        let passed = (now - start).as_secs_f64();
        assert!((0.9..1.0).contains(&passed), "{passed}");
    }
}
