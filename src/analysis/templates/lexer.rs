//! Splits a log line into what its author wrote and what the moment filled in, in one pass without allocation.
//!
//! No format is configured: JSON, logfmt, `key=value` inside prose, klog, log4j and plain text go through the same
//! scanner. Words stay; numbers, hexadecimal, UUIDs, addresses, times and durations are masked; values behind a key
//! or in quotes become *slots*, which do not tell templates apart but are shown while they never vary. Code locations
//! (`BasicServiceImpl#405`, `server.go:52`), levels and status codes stay: they say more than anything else.

use std::marker::PhantomData;

use super::vocabulary::{KeyClass, is_calendar_word, is_source_extension, is_telling, key_class};

/// Bytes of a line that are read; the rest belongs to no template.
pub(super) const MAX_BYTES: usize = 4096;
/// Longest run of one word; anything longer is data.
const MAX_WORD: usize = 48;

/// Receives the parts of a line in order.
pub(super) trait Sink<'a> {
    /// Words and punctuation as written.
    fn literal(&mut self, text: &'a str);
    /// One or more blanks.
    fn space(&mut self);
    /// A variable part.
    fn mask(&mut self);
    /// A value: variable, unless it turns out always the same.
    fn slot(&mut self, text: &'a str);
    /// A word that two different templates never share in two spellings: code location, level, status.
    fn pinned(&mut self, text: &'a str) {
        self.literal(text);
    }
}

/// Scans the first line of `text`.
pub(super) fn scan<'a, S: Sink<'a>>(text: &'a str, sink: &mut S) {
    let line = first_line(text);
    Scanner {
        text: line,
        bytes: line.as_bytes(),
        at: 0,
        out: Collapse { sink, line: PhantomData, after_mask: false, held: [0; 2], len: 0 },
        inner_quote: usize::MAX,
    }
    .run();
}

/// The line that names the event: the first with content, bounded; for a Python traceback its last, which names the
/// exception.
pub(super) fn first_line(text: &str) -> &str {
    let text = clipped(text, MAX_BYTES);
    if memchr_newline(text).is_none() {
        return text.trim_end();
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    if first.starts_with("Traceback (most recent") { lines.next_back().unwrap_or(first) } else { first.trim_end() }
}

/// At most `max` bytes of `text`, cut between characters.
pub(super) fn clipped(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn memchr_newline(text: &str) -> Option<usize> {
    text.bytes().position(|byte| byte == b'\n')
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const fn ends_value(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b';' | b')' | b']' | b'}' | b'&' | b'"' | b'|' | b'\n')
}

/// What stood directly before the cursor.
#[derive(Clone, Copy)]
struct Before {
    /// Start of the last word if it ends directly before the last punctuation byte.
    word: Option<(usize, usize)>,
    /// Last punctuation byte, when directly before.
    punct: u8,
}

struct Scanner<'a, 's, S: Sink<'a>> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    out: Collapse<'a, 's, S>,
    /// Position of a quotation mark that closes prose which is being read.
    inner_quote: usize,
}

impl<'a, S: Sink<'a>> Scanner<'a, '_, S> {
    fn run(mut self) {
        let mut before = Before { word: None, punct: b' ' };
        while let Some(&byte) = self.bytes.get(self.at) {
            if is_word(byte) {
                let start = self.at;
                let kept = self.word(before);
                before = Before { word: kept.then_some((start, self.at)), punct: 0 };
            } else if byte == b' ' {
                while self.bytes.get(self.at) == Some(&b' ') {
                    self.at += 1;
                }
                self.out.separator(b' ');
                before = Before { word: None, punct: b' ' };
            } else if byte >= 0x80 {
                let start = self.at;
                while self.bytes.get(self.at).is_some_and(|&b| b >= 0x80) {
                    self.at += 1;
                }
                self.out.literal(&self.text[start..self.at]);
                before = Before { word: None, punct: 0 };
            } else if byte == b'"' && self.at != self.inner_quote {
                before = self.quoted();
            } else {
                let key = if byte == b'=' && before.punct == 0 { before.word } else { None };
                let after_word = if before.punct == 0 { before.word } else { None };
                self.punctuation(byte);
                before = Before { word: after_word, punct: byte };
                if let Some((start, end)) = key {
                    // `==` and `=>` compare; they assign nothing.
                    if !matches!(self.bytes.get(self.at), Some(b'=' | b'>' | b' ') | None) {
                        self.value(key_class(&self.text[start..end]));
                        before = Before { word: None, punct: 0 };
                    }
                }
            }
        }
        self.out.flush();
    }

    fn punctuation(&mut self, byte: u8) {
        let text = &self.text[self.at..=self.at];
        if self.at == self.inner_quote {
            self.inner_quote = usize::MAX;
        }
        self.at += 1;
        if matches!(byte, b':' | b'.' | b',' | b'-' | b'+' | b'/') {
            self.out.separator(byte);
        } else {
            self.out.literal(text);
        }
    }

    /// Reads one word; whether it stayed as it is.
    fn word(&mut self, before: Before) -> bool {
        let start = self.at;
        let mut digits = 0_usize;
        let mut hex = true;
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte.is_ascii_digit() {
                digits += 1;
            } else if is_word(byte) {
                hex &= byte.is_ascii_hexdigit();
            } else {
                break;
            }
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        let len = word.len();
        if digits == 0 {
            if len > MAX_WORD {
                self.out.mask();
                return false;
            }
            if len == 3
                && is_calendar_word(word)
                && self.bytes.get(self.at).is_some_and(|b| matches!(b, b' ' | b'/' | b',' | b'-'))
                && self.bytes[self.at..].iter().take(8).any(u8::is_ascii_digit)
            {
                self.out.mask();
                return false;
            }
            if is_telling(word) {
                self.out.pinned(word);
            } else {
                self.out.literal(word);
            }
            return true;
        }
        if digits == len {
            if self.is_code_line(before) || self.is_http_status(start, len) {
                self.out.pinned(word);
                return true;
            }
            // klog writes the level and the month and day in one word (`E0102`): handled below as a mixed word.
            self.out.mask();
            return false;
        }
        let first = self.bytes[start];
        let is_klog = start == 0 && len == 5 && digits == 4 && matches!(first, b'I' | b'W' | b'E' | b'F');
        if is_klog {
            self.out.pinned(&word[..1]);
            self.out.mask();
            return false;
        }
        let letters = len - digits;
        if first.is_ascii_digit() || (hex && len >= 6) || digits >= 3 || digits > letters || len > MAX_WORD {
            self.out.mask();
            return false;
        }
        self.out.literal(word);
        true
    }

    /// Whether the number that ended at the cursor is a line of source code: `Class#12`, `file.go:12`.
    fn is_code_line(&self, before: Before) -> bool {
        let Some((start, end)) = before.word else { return false };
        match before.punct {
            b'#' => true,
            b':' => {
                start > 0
                    && self.bytes[start - 1] == b'.'
                    && is_source_extension(&self.text[start..end])
                    && start > 1
                    && is_word(self.bytes[start - 2])
            }
            _ => false,
        }
    }

    /// Whether the number is the status of an access log: three digits after `HTTP/1.1"`.
    fn is_http_status(&self, start: usize, len: usize) -> bool {
        len == 3
            && start >= 2
            && self.bytes[start - 1] == b' '
            && self.bytes[start - 2] == b'"'
            && self.bytes[start.saturating_sub(11)..start].windows(5).any(|window| window == b"HTTP/")
    }

    /// A quotation mark: a JSON key with its value, a value, or prose.
    fn quoted(&mut self) -> Before {
        let open = self.at;
        let Some(close) = self.closing(open) else {
            self.punctuation(b'"');
            return Before { word: None, punct: b'"' };
        };
        let inside = &self.text[open + 1..close];
        if self.bytes.get(close + 1) == Some(&b':') && !inside.is_empty() && !inside.contains(' ') {
            self.out.literal(&self.text[open..=close]);
            self.out.literal(":");
            self.at = close + 2;
            while self.bytes.get(self.at) == Some(&b' ') {
                self.at += 1;
            }
            self.value(key_class(inside));
            return Before { word: None, punct: 0 };
        }
        self.open_quote(open, close, KeyClass::Data);
        Before { word: None, punct: b'"' }
    }

    /// Reads a quotation: prose word by word, anything else as one slot.
    fn open_quote(&mut self, open: usize, close: usize, class: KeyClass) {
        let inside = &self.text[open + 1..close];
        self.out.literal("\"");
        self.at = open + 1;
        let is_prose =
            class == KeyClass::Prose || (class == KeyClass::Data && inside.contains(' ') && inside.len() > 1);
        if is_prose && self.inner_quote == usize::MAX {
            self.inner_quote = close;
            return;
        }
        if class == KeyClass::Status && inside.len() <= 24 {
            self.out.pinned(inside);
        } else if !inside.is_empty() {
            self.out.slot(inside);
        }
        self.at = close + 1;
        self.out.literal("\"");
    }

    fn closing(&self, open: usize) -> Option<usize> {
        let mut at = open + 1;
        // Quotes inside quoted prose end with it.
        let end =
            if self.inner_quote != usize::MAX && open < self.inner_quote { self.inner_quote } else { self.bytes.len() };
        while at < end {
            match self.bytes[at] {
                b'"' => return Some(at),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        None
    }

    /// The value behind a key.
    fn value(&mut self, class: KeyClass) {
        let Some(&byte) = self.bytes.get(self.at) else { return };
        match byte {
            b'"' if self.at != self.inner_quote => {
                if let Some(close) = self.closing(self.at) {
                    self.open_quote(self.at, close, class);
                } else {
                    self.punctuation(b'"');
                }
            }
            b'[' | b'{' | b'(' => {}
            _ if class == KeyClass::Prose => {}
            _ => {
                let start = self.at;
                while let Some(&byte) = self.bytes.get(self.at) {
                    if ends_value(byte) || self.at == self.inner_quote {
                        break;
                    }
                    // `Foo(a=b(c))`: a nested call ends the value and is read on its own.
                    if matches!(byte, b'(' | b'[' | b'{') {
                        break;
                    }
                    self.at += 1;
                }
                let value = &self.text[start..self.at];
                if value.is_empty() {
                    return;
                }
                if class == KeyClass::Status
                    && value.len() <= 24
                    && value.bytes().filter(u8::is_ascii_digit).count() <= 3
                {
                    self.out.pinned(value);
                } else {
                    self.out.slot(value);
                }
            }
        }
    }
}

/// Joins variable parts that only separators divide: `10.0.0.1:8080`, `2023-01-29 09:03:53`, `1, 2, 3`.
struct Collapse<'a, 's, S: Sink<'a>> {
    sink: &'s mut S,
    line: PhantomData<&'a str>,
    after_mask: bool,
    held: [u8; 2],
    len: usize,
}

impl<'a, S: Sink<'a>> Collapse<'a, '_, S> {
    fn separator(&mut self, byte: u8) {
        if self.after_mask && self.len < 2 {
            self.held[self.len] = byte;
            self.len += 1;
        } else {
            self.flush();
            self.emit(byte);
        }
    }

    fn emit(&mut self, byte: u8) {
        if byte == b' ' {
            self.sink.space();
        } else {
            let text = match byte {
                b':' => ":",
                b'.' => ".",
                b',' => ",",
                b'-' => "-",
                b'+' => "+",
                _ => "/",
            };
            self.sink.literal(text);
        }
    }

    fn flush(&mut self) {
        for i in 0..self.len {
            self.emit(self.held[i]);
        }
        self.len = 0;
        self.after_mask = false;
    }

    fn literal(&mut self, text: &'a str) {
        self.flush();
        self.sink.literal(text);
    }

    fn pinned(&mut self, text: &'a str) {
        self.flush();
        self.sink.pinned(text);
    }

    fn slot(&mut self, text: &'a str) {
        self.flush();
        self.sink.slot(text);
    }

    fn mask(&mut self) {
        if self.after_mask {
            self.len = 0;
        } else {
            self.sink.mask();
            self.after_mask = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Show(String);

    impl Sink<'_> for Show {
        fn literal(&mut self, text: &str) {
            self.0.push_str(text);
        }
        fn space(&mut self) {
            self.0.push(' ');
        }
        fn mask(&mut self) {
            self.0.push_str("<*>");
        }
        fn slot(&mut self, text: &str) {
            self.0.push('‹');
            self.0.push_str(text);
            self.0.push('›');
        }
    }

    fn show(line: &str) -> String {
        let mut sink = Show::default();
        scan(line, &mut sink);
        sink.0
    }

    #[test]
    fn variable_parts_are_masked_and_words_stay() {
        for (line, want) in [
            ("connect to 10.0.0.1:8080 took 12ms", "connect to <*> took <*>"),
            ("2023-01-29 09:03:53.123 started", "<*> started"),
            ("user 0b23bd3e-876a-4af3-b920-c50a90c90b04 left", "user <*> left"),
            ("GET /api/v1/users/123 done", "GET /api/v1/users/<*> done"),
            ("values [1, 2, 3]", "values [<*>]"),
            ("pod web-5c66d57d58-6mp2b ready", "pod web-<*> ready"),
            ("Sat May 04 09:51:52 CST 2013", "<*> CST <*>"),
        ] {
            assert_eq!(show(line), want, "{line}");
        }
    }

    #[test]
    fn code_locations_levels_and_statuses_stay() {
        for (line, want) in [
            ("09:05:08 INFO  a.s.TokenImpl#95 TraceID: c6386cb37a99", "<*> INFO a.s.TokenImpl#95 TraceID: <*>"),
            ("E0102 10:00:00.1 7 server.go:52] failed 3 times", "E<*> server.go:52] failed <*> times"),
            (r#"1.2.3.4 "GET /x HTTP/1.1" 502 17"#, r#"<*> "GET /x HTTP/<*>" 502 <*>"#),
            ("status=500 size=77", "status=500 size=‹77›"),
        ] {
            assert_eq!(show(line), want, "{line}");
        }
    }

    #[test]
    fn structured_lines_keep_their_message_and_slot_their_values() {
        for (line, want) in [
            (
                r#"level=error msg="acquire connection: timeout" pool=pg-main waited_ms=3120"#,
                r#"level=error msg="acquire connection: timeout" pool=‹pg-main› waited_ms=‹3120›"#,
            ),
            (
                r#"{"level":"info","msg":"took 3 s","trace_id":"abc","n": 4}"#,
                r#"{"level":"info","msg":"took <*> s","trace_id":"‹abc›","n":‹4›}"#,
            ),
            ("Seat(date=2023-01-29, from=shanghai)", "Seat(date=‹2023-01-29›, from=‹shanghai›)"),
            (r#"user "bob" unknown"#, r#"user "‹bob›" unknown"#),
            (r#"{"msg":"say \"hi\" now","k":1}"#, r#"{"msg":"say \"hi\" now","k":‹1›}"#),
        ] {
            assert_eq!(show(line), want, "{line}");
        }
    }

    #[test]
    fn a_traceback_is_named_by_its_exception() {
        assert_eq!(first_line("Traceback (most recent call last):\n  File \"x\"\nValueError: bad"), "ValueError: bad");
        assert_eq!(first_line("\nboom\n at x"), "boom");
    }

    proptest! {
        #[test]
        fn any_line_is_read_to_its_end(line in "\\PC{0,200}") {
            show(&line);
        }

        #[test]
        fn numbers_never_tell_templates_apart(a in 0u64..u64::MAX, b in 0u64..u64::MAX) {
            prop_assert_eq!(show(&format!("took {a} of {b}")), show(&format!("took {b} of {a}")));
        }
    }
}
