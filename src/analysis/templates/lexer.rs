//! Splits a log line into what its author wrote and what the moment filled in, in one pass without allocation.
//!
//! No format is configured: JSON, logfmt, `key=value` inside prose, klog, log4j and plain text go through the same
//! scanner. Words stay; numbers, hexadecimal, UUIDs, addresses, times and durations are masked; values behind a key
//! or in quotes become *slots*, which do not tell templates apart but are shown while they never vary. Code locations
//! (`BasicServiceImpl#405`, `server.go:52`), levels and status codes stay: they say more than anything else.

use std::marker::PhantomData;

use super::vocabulary::{
    KeyClass, is_calendar_word, is_exception_name, is_source_extension, is_telling, is_unit, key_class,
};

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
    scan_line(first_line(text), sink);
}

/// Scans a line that is known to be one.
pub(super) fn scan_line<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) {
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
    if !text.contains('\n') {
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

/// Classes of bytes, one bit each; a digit counts as 1.
const DIGIT: u8 = 1;
const WORD: u8 = 2;
const NOT_HEX: u8 = 4;
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            classes[byte as usize] = WORD
                | if byte.is_ascii_digit() { DIGIT } else { 0 }
                | if byte.is_ascii_hexdigit() { 0 } else { NOT_HEX };
        }
        byte += 1;
    }
    classes
};

const fn is_word(byte: u8) -> bool {
    CLASSES[byte as usize] & WORD != 0
}

const fn ends_value(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b';' | b')' | b']' | b'}' | b'&' | b'"' | b'|' | b'\n')
}

/// The end of `Jun 14 15:16:01 host` at the beginning of a line: time and host of a syslog line (RFC 3164).
fn syslog_header(line: &[u8]) -> Option<usize> {
    let shape = line.first_chunk::<16>()?;
    let is_time = shape[..3].iter().all(u8::is_ascii_alphabetic)
        && shape[3] == b' '
        && matches!(shape[4], b' ' | b'0'..=b'3')
        && [5, 7, 8, 10, 11, 13, 14].iter().all(|at| shape[*at].is_ascii_digit())
        && [(6, b' '), (9, b':'), (12, b':'), (15, b' ')].iter().all(|(at, byte)| shape[*at] == *byte);
    if !is_time || !std::str::from_utf8(&shape[..3]).is_ok_and(is_calendar_word) {
        return None;
    }
    let host = line[16..].iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')))?;
    (host > 0 && line[16 + host] == b' ').then_some(16 + host)
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
        if let Some(end) = syslog_header(self.bytes) {
            self.out.mask();
            self.at = end;
        }
        let mut before = Before { word: None, punct: b' ' };
        while let Some(&byte) = self.bytes.get(self.at) {
            if is_word(byte) {
                let start = self.at;
                let kept = self.word(before);
                before = Before { word: kept.then_some((start, self.at)), punct: 0 };
            } else if matches!(byte, b' ' | b'\t') {
                while matches!(self.bytes.get(self.at), Some(b' ' | b'\t')) {
                    self.at += 1;
                }
                self.out.separator(b' ');
                before = Before { word: None, punct: b' ' };
            } else if let Some(end) = self.colour() {
                self.at = end;
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
                    if matches!(self.bytes.get(self.at), Some(b' ' | b',' | b';') | None) {
                        // No value is a value: `user= uid=0`.
                        self.out.slot("");
                        before = Before { word: None, punct: 0 };
                    } else if !matches!(self.bytes.get(self.at), Some(b'=' | b'>')) {
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
        let is_bound = || {
            let number = self.bytes[self.at + 1..].iter().position(|b| !b.is_ascii_digit());
            number.is_some_and(|end| self.bytes[self.at + 1 + end] != b'>')
        };
        let is_sign = (matches!(byte, b'-' | b'+' | b'~') || (matches!(byte, b'<' | b'>') && is_bound()))
            && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit)
            && (self.at == 0
                || matches!(self.bytes[self.at - 1], b' ' | b'=' | b'(' | b'[' | b'{' | b',' | b':' | b'<' | b'>'));
        self.at += 1;
        if is_sign {
            // It belongs to the number, which may as well come without.
        } else if matches!(byte, b':' | b'.' | b',' | b'-' | b'+' | b'/') {
            self.out.separator(byte);
        } else {
            self.out.literal(text);
            let is_empty = matches!((byte, self.bytes.get(self.at)), (b'(', Some(b')')) | (b'[', Some(b']')));
            if is_empty && self.at > 1 && self.bytes[self.at - 2] == b' ' {
                self.out.slot("");
            }
        }
    }

    /// Reads one word; whether it stayed as it is.
    fn word(&mut self, before: Before) -> bool {
        let start = self.at;
        let mut digits = 0_usize;
        let mut seen = 0_u8;
        while let Some(&byte) = self.bytes.get(self.at) {
            let class = CLASSES[byte as usize];
            if class & WORD == 0 {
                // `blk_-17`: the sign of a number inside a name.
                let is_sign = byte == b'-'
                    && self.at > start
                    && self.bytes[self.at - 1] == b'_'
                    && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit);
                if !is_sign {
                    break;
                }
            }
            digits += usize::from(class & DIGIT);
            seen |= class;
            self.at += 1;
        }
        let hex = seen & NOT_HEX == 0;
        let word = &self.text[start..self.at];
        let len = word.len();
        if digits == 0 {
            // A group of a UUID may happen to be without digits; the unit of a number is as variable as the number.
            let is_data = (hex && len >= 4 && self.out.joins(b"-"))
                || (len <= 4
                    && self.out.joins(b" ")
                    && is_unit(word)
                    && !self.bytes.get(self.at).is_some_and(|b| matches!(b, b'=' | b':')));
            if len > MAX_WORD || is_data {
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
            if is_telling(word) && (self.stands_alone(start) || is_exception_name(word)) {
                self.out.pinned(word);
            } else {
                self.out.literal(word);
            }
            return true;
        }
        if digits == len {
            let is_priority = start == 1 && len <= 3 && self.bytes[0] == b'<' && self.bytes.get(self.at) == Some(&b'>');
            if is_priority || self.is_code_line(before) || self.is_http_status(start, len) {
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
        let is_joined = self.out.joins(b"-:./");
        if first.is_ascii_digit() || (hex && len >= 6) || digits >= 3 || digits > letters || len > MAX_WORD || is_joined
        {
            self.out.mask();
            return false;
        }
        self.out.literal(word);
        true
    }

    /// The end of a terminal colour that begins at the cursor, raw or made visible.
    fn colour(&self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        let parameters =
            [b"\x1b[".as_slice(), "‹U+001B›[".as_bytes()].into_iter().find(|start| rest.starts_with(start))?.len();
        let end = rest[parameters..].iter().take(16).position(|byte| !matches!(byte, b'0'..=b'9' | b';'))?;
        (rest[parameters + end] == b'm').then_some(self.at + parameters + end + 1)
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

    /// Whether the word that ended at the cursor is no part of a host name, path or address.
    fn stands_alone(&self, start: usize) -> bool {
        let is_joint = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'.' | b'/' | b'@' | b'\\'));
        let is_word_at = |at: usize| self.bytes.get(at).is_some_and(|byte| is_word(*byte));
        let follows = start > 1 && is_joint(self.bytes.get(start - 1)) && is_word_at(start - 2);
        let leads = is_joint(self.bytes.get(self.at)) && is_word_at(self.at + 1);
        !follows && !leads
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
        } else {
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

    /// Whether the cursor stands after a variable part and exactly one of `separators`.
    fn joins(&self, separators: &[u8]) -> bool {
        self.after_mask && self.len == 1 && separators.contains(&self.held[0])
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
            ("Jun 14 15:16:01 web-7 sshd[17]: hi", "<*> sshd[<*>]: hi"),
            ("took -5 of blk_-1700, <1 sec", "took <*> of <*>"),
            ("wrote 5.2 KB in 3 ms", "wrote <*> in <*>"),
            ("id 550e8400-cafe-41d4-a716-446655440000", "id <*>"),
            ("node R02-M1-N0-C", "node <*>-C"),
            ("\u{1b}[31mfailed\u{1b}[0m", "failed"),
            ("‹U+001B›[31mfailed‹U+001B›[0m", "failed"),
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
                r#"{"level":"info","msg":"took <*>","trace_id":"‹abc›","n":‹4›}"#,
            ),
            ("user= uid=0 ()", "user=‹› uid=‹0› (‹›)"),
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
