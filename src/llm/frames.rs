//! Bytes in, frames out: server-sent events and JSON lines alike, in time that grows with the bytes alone.
//!
//! Servers mix the two (a JSON error line in a stream of events, events under the wrong content type), so a line that
//! begins like JSON is a frame wherever it stands. Every line is checked by itself: one that is no text is reported
//! when it comes, and what stood before it is not lost.

use std::collections::VecDeque;

use serde::de::IgnoredAny;

/// One event, or one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Name of the event; empty when it has none.
    pub(super) event: String,
    /// What it holds.
    pub(super) data: String,
}

/// Why bytes are no frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoFrames {
    /// Not text, or not in the one encoding there is.
    NotUtf8,
    /// HTML.
    WebPage,
}

impl NoFrames {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NotUtf8 => "the stream is not text in UTF-8",
            Self::WebPage => "a web page, not a stream of events",
        }
    }
}

/// Cuts a stream of bytes into frames. How the bytes are divided makes no difference.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed after it belongs to it.
    after_return: bool,
    begun: bool,
    event: String,
    data: Option<String>,
    ready: VecDeque<Result<Frame, NoFrames>>,
    broken: bool,
}

impl Framer {
    /// Takes in bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !self.broken && !bytes.is_empty() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(bytes);
                return;
            };
            self.line.extend_from_slice(&bytes[..end]);
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.take(&line);
            // Its room is used again.
            self.line = line;
            self.line.clear();
        }
    }

    /// No more bytes will come. A last frame without its empty line counts when it is whole.
    pub(super) fn finish(&mut self) {
        if self.broken {
            return;
        }
        let line = std::mem::take(&mut self.line);
        // Half a character, or half a frame: it is not whole, which is said elsewhere.
        if std::str::from_utf8(&line).is_ok_and(|line| !line.starts_with(['{', '[']) || is_whole(line)) {
            self.take(&line);
        }
        if self.data.as_deref().is_some_and(is_whole) {
            self.dispatch();
        }
        self.data = None;
    }

    /// The next frame, in the order in which they came.
    pub(super) fn next(&mut self) -> Option<Result<Frame, NoFrames>> {
        self.ready.pop_front()
    }

    fn take(&mut self, line: &[u8]) {
        let first = !std::mem::replace(&mut self.begun, true);
        let line = if first { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line };
        let text = match std::str::from_utf8(line) {
            // No text that is meant for us holds a zero: it is in an encoding of two bytes a character.
            Ok(text) if !line.contains(&0) => text,
            _ => return self.fail(NoFrames::NotUtf8),
        };
        match text.as_bytes().first() {
            None => {
                // An empty line before the first other one is no beginning.
                self.begun = !first;
                self.dispatch();
            }
            Some(b':') => {}
            Some(b'{' | b'[') => {
                self.dispatch();
                self.ready.push_back(Ok(Frame { event: String::new(), data: text.to_owned() }));
            }
            Some(b'<') if first => self.fail(NoFrames::WebPage),
            Some(_) => {
                let (field, value) = text.split_once(':').unwrap_or((text, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match (field, &mut self.data) {
                    ("event", _) => value.clone_into(&mut self.event),
                    ("data", Some(data)) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    ("data", none) => *none = Some(value.to_owned()),
                    _ => {}
                }
            }
        }
    }

    fn dispatch(&mut self) {
        let event = std::mem::take(&mut self.event);
        // Some servers send events without anything in them to keep the connection open.
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            self.ready.push_back(Ok(Frame { event, data }));
        }
    }

    fn fail(&mut self, why: NoFrames) {
        self.broken = true;
        self.ready.push_back(Err(why));
    }
}

fn is_whole(data: &str) -> bool {
    data.trim() == "[DONE]" || serde_json::from_str::<IgnoredAny>(data).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All frames of bytes that come in pieces of these sizes, and the error at the end if there is one.
    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<(String, String)>, Option<NoFrames>) {
        let mut framer = Framer::default();
        pieces.into_iter().for_each(|piece| framer.push(piece));
        framer.finish();
        let mut frames = Vec::new();
        while let Some(frame) = framer.next() {
            match frame {
                Ok(frame) => frames.push((frame.event, frame.data)),
                Err(why) => return (frames, Some(why)),
            }
        }
        (frames, None)
    }

    fn data(bytes: &[u8]) -> Vec<String> {
        let (frames, error) = frames([bytes]);
        assert_eq!(error, None);
        frames.into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn events_and_lines_are_frames() {
        let (events, _) = frames(["event: a\ndata: 1\n\n: ping\n\ndata:2\ndata:  3\nid: x\nretry: 5\n\n".as_bytes()]);
        assert_eq!(events, [("a".to_owned(), "1".to_owned()), (String::new(), "2\n 3".to_owned())]);
        assert_eq!(data(b"{\"a\":1}\n{\"b\":2}\n"), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(data(b"data: 1\n{\"error\":2}\n"), ["1", "{\"error\":2}"], "an error line among events");
        assert_eq!(data(b"\xef\xbb\xbfdata: 1\r\n\r\ndata: 2\r\rdata: 3\n\n"), ["1", "2", "3"]);
        assert_eq!(data(b"data\n\nevent: ping\n\ndata: 1\n\n"), ["1"], "what holds nothing is passed over");
    }

    #[test]
    fn a_last_frame_counts_when_it_is_whole() {
        assert_eq!(data(b"data: {\"a\":1}"), ["{\"a\":1}"]);
        assert_eq!(data(b"data: [DONE]\n"), ["[DONE]"]);
        assert_eq!(data(b"{\"a\":1}"), ["{\"a\":1}"]);
        assert_eq!(data(b"data: {\"a\":"), [""; 0]);
        assert_eq!(data(b"{\"a\":"), [""; 0]);
        assert_eq!(data(b"data: {\"a\":1}\n\ndata: \xf0\x9f"), ["{\"a\":1}"]);
    }

    #[test]
    fn what_is_no_text_is_said_after_what_came_before_it() {
        let wrong = |bytes: &[u8]| frames([bytes]);
        assert_eq!(
            wrong(b"data: 1\n\ndata: \xff\n\ndata: 2\n\n"),
            (vec![(String::new(), "1".to_owned())], Some(NoFrames::NotUtf8))
        );
        let utf16: Vec<u8> = "data: 1\n\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(wrong(&utf16).1, Some(NoFrames::NotUtf8));
        assert_eq!(wrong(b"\xff\xfed\0\n\0").1, Some(NoFrames::NotUtf8));
        assert_eq!(wrong(b"\n\n<html>\n").1, Some(NoFrames::WebPage));
    }

    #[test]
    fn a_whole_answer_may_be_cut_anywhere() {
        for dialect in super::super::tests::ALL {
            let whole = dialect.whole(&["füll ", "🦀", "\u{2028}\n"]);
            let expected = frames([whole.as_bytes()]);
            assert!(expected.0.len() > 3 && expected.1.is_none());
            for at in 0..=whole.len() {
                let (first, second) = whole.as_bytes().split_at(at);
                assert_eq!(frames([first, second]), expected, "{at}");
            }
        }
    }

    proptest! {
        /// However the bytes are divided, inside a character or between return and line feed, the frames are the same.
        #[test]
        fn every_division_gives_the_same_frames(
            lines in proptest::collection::vec(("(data: ?|event: |: |\\{\"k\":\"|)", "[aé🦀\\[\\]{}\":]{0,6}", "(\n|\r\n|\r|\n\n|\r\n\r\n)"), 0..12),
            cuts in proptest::collection::vec(0..400_usize, 0..12),
        ) {
            let text = lines.into_iter().flat_map(|(field, value, end)| [field, value, end]).collect::<String>();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            let whole = frames([bytes]);
            prop_assert_eq!(&frames(pieces), &whole);
            prop_assert_eq!(&frames(bytes.chunks(1)), &whole);
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let whole = frames([bytes.as_slice()]);
            prop_assert_eq!(frames(bytes.chunks(1)), whole);
        }
    }
}
