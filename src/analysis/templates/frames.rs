//! Stack traces: which lines belong to the event above them.
//!
//! Collectors split a trace into one entry a line. Each runtime has its own layout, and all share one rule: what is
//! indented, or has the form of a frame, continues. Two layouts name the event late: a Python traceback by its last
//! line, and .NET's console logger by the line after the category.

/// What a line is to the lines around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// An event of its own.
    Head,
    /// A continuation of the event above.
    Frame,
    /// An exception with its message: the cause of the error above, or an event of its own.
    Exception,
    /// Begins a Python traceback: of the error above, or of the event that its last line names.
    Traceback,
    /// Begins an event whose message is the next line.
    Opening,
    /// Names the event that a traceback or opening began.
    Name,
}

/// How the lines above go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Open {
    /// Nothing that a line could continue.
    #[default]
    Nothing,
    /// An event in no particular layout.
    Event,
    /// A Python traceback whose exception has not come yet.
    Traceback,
    /// An opening whose message has not come yet.
    Opening,
    /// A Go panic: frames start at the margin.
    Go,
    /// A Rust panic whose message has not come yet.
    Rust,
}

/// Follows one stream of lines.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stack {
    open: Open,
}

impl Stack {
    /// What `line` is; may hold several lines, of which the first decides.
    pub(super) fn part(&mut self, line: &str) -> Part {
        match line.find('\n') {
            Some(end) => self.part_of(&line[..end], end + 1 < line.len()),
            None => self.part_of(line, false),
        }
    }

    /// What an event is that begins with the line `first`; `is_whole` when more lines of it came along.
    pub(super) fn part_of(&mut self, first: &str, is_whole: bool) -> Part {
        let (part, open) = self.judge(first.trim_end(), is_whole);
        self.open = open;
        part
    }

    fn judge(self, line: &str, is_whole: bool) -> (Part, Open) {
        let inner = line.trim_start();
        let continues = inner.is_empty() || is_frame(line, inner);
        match self.open {
            Open::Nothing if continues => return (Part::Head, Open::Event),
            Open::Opening if !inner.is_empty() => return (Part::Name, Open::Event),
            Open::Rust => return (Part::Frame, Open::Event),
            open if continues => return (Part::Frame, if inner.starts_with("goroutine ") { Open::Go } else { open }),
            Open::Traceback => return (Part::Name, Open::Event),
            Open::Go if is_go_frame(line) => return (Part::Frame, Open::Go),
            _ => {}
        }
        if is_whole {
            return (Part::Head, Open::Event);
        }
        match line.as_bytes().first() {
            Some(b'T') if line.starts_with("Traceback (most recent") => (Part::Traceback, Open::Traceback),
            Some(b'p' | b'f' | b'g')
                if ["panic: ", "fatal error: ", "goroutine "].iter().any(|start| line.starts_with(start)) =>
            {
                (Part::Head, Open::Go)
            }
            Some(b't') if line.starts_with("thread '") && line.ends_with(':') && line.contains(" panicked at ") => {
                (Part::Head, Open::Rust)
            }
            Some(b't' | b'd' | b'i' | b'w' | b'f' | b'c') if is_opening(line) => (Part::Opening, Open::Opening),
            _ if is_exception(line) => (Part::Exception, Open::Event),
            _ => (Part::Head, Open::Event),
        }
    }
}

/// Whether a line continues the event above it, wherever it comes from.
pub(super) fn is_continuation(line: &str) -> bool {
    is_frame(line, line.trim_start())
}

fn is_frame(line: &str, inner: &str) -> bool {
    match line.as_bytes().first() {
        Some(b' ') => {
            (line.len() - inner.len() >= 2 && !inner.is_empty())
                || ["at ", "File \"", "...", "from "].iter().any(|start| inner.starts_with(start))
        }
        Some(b'\t') => true,
        Some(b'.') => line.starts_with("..."),
        Some(b'a') => line.starts_with("at ") && line.ends_with(')'),
        Some(b'C') => line.starts_with("Caused by: "),
        Some(b'S') => line.starts_with("Suppressed: "),
        Some(b'D') => line.starts_with("During handling of the above exception"),
        Some(b'T') => line.starts_with("The above exception was the direct cause"),
        Some(b'g') => line.starts_with("goroutine ") && line.ends_with("]:"),
        Some(b's') => line == "stack backtrace:",
        Some(b'n') => line.starts_with("note: run with `RUST_BACKTRACE") || line.starts_with("note: Some details are"),
        _ => false,
    }
}

/// `main.(*Server).handle(0xc0000, …)`, `created by …`, `[signal SIGSEGV…`, `exit status 2`.
fn is_go_frame(line: &str) -> bool {
    let head = line.split([' ', ',']).next().unwrap_or_default();
    (head.contains('(') && (head.contains('.') || head.starts_with("panic(")) && line.ends_with(')'))
        || ["created by ", "[signal ", "exit status "].iter().any(|start| line.starts_with(start))
}

/// `fail: Shop.Payments.Charge[17]`: level, category and event id of .NET's console logger, without a message.
fn is_opening(line: &str) -> bool {
    let Some((level, category)) = line.split_once(": ") else { return false };
    matches!(level, "trce" | "dbug" | "info" | "warn" | "fail" | "crit")
        && category.ends_with(']')
        && !category.contains(' ')
        && category
            .rsplit_once('[')
            .is_some_and(|(_, id)| id.len() > 1 && id[..id.len() - 1].bytes().all(|byte| byte.is_ascii_digit()))
}

/// `java.lang.IllegalStateException: …`, `ValueError: …`: the name of an exception at the margin.
pub(super) fn is_exception(line: &str) -> bool {
    let end = line.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$')));
    let name = &line[..end.unwrap_or(line.len())];
    let is_named =
        ["Exception", "Error", "Throwable"].iter().any(|kind| name.len() > kind.len() && name.ends_with(kind));
    is_named && (name.len() == line.len() || line.as_bytes()[name.len()] == b':')
}

#[cfg(test)]
mod tests {
    use super::Part::{Exception, Frame, Head, Name, Opening, Traceback};
    use super::*;

    fn parts(text: &str) -> Vec<Part> {
        let mut stack = Stack::default();
        text.lines().map(|line| stack.part(line)).collect()
    }

    #[test]
    fn java_traces_are_joined() {
        let text = "2026-01-31 ERROR [main] c.s.Pay - charge failed\njava.lang.IllegalStateException: no pool\n\
                    \tat c.s.Pay.charge(Pay.java:12)\n at c.s.Pay.run(Pay.java:3)\nCaused by: java.io.IOException: reset\n\
                    \t... 12 more\n2026-01-31 INFO ok";
        assert_eq!(parts(text), [Head, Exception, Frame, Frame, Frame, Frame, Head]);
    }

    #[test]
    fn a_traceback_is_named_by_its_last_line() {
        let text = "started\nTraceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: bad\n\n\
                    During handling of the above exception, another exception occurred:\n\n\
                    Traceback (most recent call last):\n  File \"a.py\", line 9\nKeyError: 'x'\nnext";
        assert_eq!(
            parts(text),
            [Head, Traceback, Frame, Frame, Name, Frame, Frame, Frame, Traceback, Frame, Name, Head]
        );
    }

    #[test]
    fn panics_of_go_and_rust_are_joined() {
        let go = "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\n\
                  main.(*Server).handle(0xc000012345, {0x1, 0x2})\n\t/src/main.go:12 +0x1d\ncreated by main.main in goroutine 7\n\
                  \t/src/main.go:3 +0x1\nexit status 2\nnext";
        assert_eq!(parts(go), [Head, Frame, Frame, Frame, Frame, Frame, Frame, Frame, Head]);
        let rust = "thread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\n\
                    note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\nnext";
        assert_eq!(parts(rust), [Head, Frame, Frame, Head]);
        let trace = "thread 'main' panicked at 'no', src/main.rs:2:5\nstack backtrace:\n   0: rust_begin_unwind\n\
                     \x20            at /rustc/x/panicking.rs:645:5\nnext";
        assert_eq!(parts(trace), [Head, Frame, Frame, Frame, Head]);
    }

    #[test]
    fn net_node_and_ruby_are_joined() {
        let net = "fail: Shop.Pay[17]\n      charge failed\n      System.IO.IOException: reset\n         at Shop.Pay.Charge() in C:\\Pay.cs:line 3\n\
                   info: Shop.Pay[0]\n      done";
        assert_eq!(parts(net), [Opening, Name, Frame, Frame, Opening, Name]);
        let node =
            "TypeError: x is not a function\n    at Object.<anonymous> (/a/b.js:1:2)\n    at node:internal/x:1\nnext";
        assert_eq!(parts(node), [Exception, Frame, Frame, Head]);
        let ruby = "app.rb:12:in `pay': no pool (RuntimeError)\n\tfrom app.rb:3:in `run'\nnext";
        assert_eq!(parts(ruby), [Head, Frame, Head]);
    }

    #[test]
    fn a_first_line_is_a_head_whatever_it_looks_like() {
        assert_eq!(parts("   indented\nplain"), [Head, Head]);
        assert_eq!(parts("\n\n"), [Head, Frame]);
    }
}
