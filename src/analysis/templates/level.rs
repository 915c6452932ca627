//! The level of an entry, whatever format it is in.

use std::borrow::Cow;

use super::lexer::clipped;
use crate::domain::log::LogEntry;

/// `error`, `warn`, `info`, `debug`, or empty. Labels and metadata are believed before the line.
pub(super) fn level_of(entry: &LogEntry) -> &'static str {
    const NAMES: [&str; 6] = ["level", "detected_level", "severity", "severity_text", "lvl", "loglevel"];
    NAMES
        .iter()
        .find_map(|name| entry.labels.get(name).or_else(|| entry.metadata.get(name)))
        .and_then(word)
        .unwrap_or_else(|| level_of_text(&entry.line))
}

/// The level of an event of one or more lines: what its first line says, or the line that names it.
pub(super) fn level_of_text(text: &str) -> &'static str {
    let named = super::lexer::first_line(text);
    let first = text.trim_start().split('\n').next().unwrap_or_default();
    match level_of_line(clipped(first, super::lexer::MAX_BYTES)) {
        "" if first.len() < text.len() => level_of_line(named),
        level => level,
    }
}

/// The level that a word stands for.
fn word(text: &str) -> Option<&'static str> {
    let mut lower = [0_u8; 13];
    if text.is_empty() || text.len() > lower.len() {
        return None;
    }
    for (to, from) in lower.iter_mut().zip(text.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    match &lower[..text.len()] {
        b"error" | b"err" | b"eror" | b"severe" | b"fatal" | b"ftl" | b"critical" | b"crit" | b"panic" | b"dpanic"
        | b"alert" | b"emerg" | b"emergency" | b"failure" => Some("error"),
        b"warn" | b"warning" | b"wrn" => Some("warn"),
        b"info" | b"inf" | b"information" | b"informational" | b"notice" => Some("info"),
        b"debug" | b"dbg" | b"trace" | b"trc" | b"fine" | b"finer" | b"finest" | b"verbose" | b"vrb" => Some("debug"),
        _ => None,
    }
}

/// Reads the level where formats put it.
fn level_of_line(line: &str) -> &'static str {
    let line = without_colours(line);
    keyed(&line)
        .or_else(|| by_letter(&line))
        .or_else(|| syslog(&line))
        .or_else(|| console(&line))
        .or_else(|| leading(&line))
        .or_else(|| access(&line))
        .or_else(|| exception(&line))
        .unwrap_or_default()
}

/// Without colours, raw or made visible.
fn without_colours(line: &str) -> Cow<'_, str> {
    if !line.contains("\u{1b}[") && !line.contains("‹U+001B›[") {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    for (nth, part) in line.replace("‹U+001B›", "\u{1b}").split("\u{1b}[").enumerate() {
        let end = part.bytes().position(|byte| !matches!(byte, b'0'..=b'9' | b';'));
        out.push_str(match end {
            Some(end) if nth > 0 && part.as_bytes()[end] == b'm' => &part[end + 1..],
            _ => part,
        });
    }
    Cow::Owned(out)
}

/// A key of JSON, nested or not, or of logfmt.
fn keyed(line: &str) -> Option<&'static str> {
    const NAMES: [&str; 11] = [
        "level", "severity", "lvl", "Level", "Severity", "LEVEL", "logLevel", "LogLevel", "loglevel", "PRIORITY", "@l",
    ];
    for name in NAMES {
        let mut from = 0;
        while let Some(found) = line[from..].find(name) {
            let start = from + found;
            from = start + name.len();
            let is_key =
                start == 0 || matches!(line.as_bytes()[start - 1], b' ' | b'"' | b'{' | b',' | b'@' | b'_' | b'.');
            let mut rest = &line[from..];
            rest = ["_text", "Text", "name"].iter().find_map(|end| rest.strip_prefix(end)).unwrap_or(rest);
            rest = rest.trim_start_matches(['\\', '"']);
            let Some(value) = rest.strip_prefix(['=', ':']).filter(|_| is_key) else { continue };
            let value = value.trim_start().trim_start_matches(['\\', '"']);
            let end = value.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(value.len());
            let found = match &value[..end] {
                // Bunyan and pino count in tens, GELF and journald as syslog does.
                "10" | "20" | "7" => Some("debug"),
                "30" | "5" | "6" => Some("info"),
                "40" | "4" => Some("warn"),
                "50" | "60" | "0" | "1" | "2" | "3" => Some("error"),
                text => word(text),
            };
            if found.is_some() {
                return found;
            }
        }
    }
    // MongoDB: `{"t":{…},"s":"E",…`.
    let (_, rest) = line.strip_prefix("{\"t\":")?.split_once("\"s\":")?;
    letter(*rest.trim_start().trim_start_matches('"').as_bytes().first()?)
}

const fn letter(byte: u8) -> Option<&'static str> {
    match byte {
        b'E' | b'F' => Some("error"),
        b'W' => Some("warn"),
        b'I' => Some("info"),
        b'D' | b'V' => Some("debug"),
        _ => None,
    }
}

/// One letter: klog and glog (`E0102 10:…`, `W20260131 10:…`), logcat (`01-31 10:00:00.123 17 42 E tag: …`), and the
/// mark of Redis (`1:M 31 Jan 2026 10:00:00.123 # …`).
fn by_letter(line: &str) -> Option<&'static str> {
    let bytes = line.as_bytes();
    let digits = bytes.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    if matches!(digits, 4 | 8) && bytes.get(digits + 1) == Some(&b' ') {
        return letter(bytes[0]);
    }
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    let mut tokens = line.split_ascii_whitespace();
    let first = tokens.next()?;
    if let Some((process, role)) = first.split_once(':')
        && matches!(role, "X" | "C" | "S" | "M")
        && process.bytes().all(|byte| byte.is_ascii_digit())
    {
        return match tokens.nth(4)? {
            "#" => Some("warn"),
            "*" => Some("info"),
            "-" | "." => Some("debug"),
            _ => None,
        };
    }
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (time, process, thread, level) = (tokens.next()?, tokens.next()?, tokens.next()?, tokens.next()?);
    (time.contains(':') && is_number(process) && is_number(thread) && level.len() == 1)
        .then(|| letter(level.as_bytes()[0]))
        .flatten()
}

/// The priority of syslog (RFC 3164 and 5424).
fn syslog(line: &str) -> Option<&'static str> {
    let (digits, _) = line.strip_prefix('<')?.split_once('>')?;
    let priority: u16 = digits.parse().ok().filter(|p| *p < 192)?;
    Some(match priority % 8 {
        0..=3 => "error",
        4 => "warn",
        5 | 6 => "info",
        _ => "debug",
    })
}

/// The four letters of .NET's console logger.
fn console(line: &str) -> Option<&'static str> {
    match line.split_once(": ")?.0 {
        "fail" | "crit" => Some("error"),
        "dbug" | "trce" => Some("debug"),
        _ => None,
    }
}

/// A level word among the first few words: in capitals, in brackets, before a colon, or right behind the time. Prose
/// like `no error` does not count.
fn leading(line: &str) -> Option<&'static str> {
    let head = clipped(line, 200);
    let mut from = 0;
    let mut words = 0;
    let mut has_time = false;
    let mut is_first = true;
    for piece in head.split_inclusive(|c: char| c.is_whitespace() || "[]()<>|,/".contains(c)) {
        let before = head[..from].trim_end().as_bytes().last().copied().unwrap_or(b' ');
        from += piece.len();
        let end = piece.as_bytes().last().copied().unwrap_or(b' ');
        let text = piece.trim_end_matches(|c: char| c.is_whitespace() || "[]()<>|,/".contains(c));
        if text.is_empty() {
            continue;
        }
        words += 1;
        if words > 14 {
            break;
        }
        for (nth, part) in text.split([':', '.']).enumerate() {
            let bare = part.trim_matches(|c: char| !c.is_ascii_alphabetic());
            if bare.len() < part.len().min(2) {
                continue;
            }
            let level = match bare {
                // PostgreSQL and MySQL.
                "LOG" if text.ends_with(':') => Some("info"),
                "Note" | "System" if before == b'[' && end == b']' => Some("info"),
                _ => word(bare),
            };
            let Some(level) = level else { continue };
            let is_capital = bare.len() > 2 && bare.bytes().all(|byte| byte.is_ascii_uppercase());
            let is_bracketed = matches!(before, b'[' | b'<' | b'(' | b'|') || matches!(end, b']' | b'>' | b'|');
            let is_marked = is_bracketed || (nth == 0 && text.ends_with(':') && words <= 8);
            // At the very beginning even prose says it, unless the word has another meaning.
            let is_opening = words == 1 && nth == 0 && !matches!(level, "debug") && !is_ambiguous(bare);
            if is_capital || is_marked || is_opening || (has_time && is_first) {
                return Some(level);
            }
        }
        let is_time = text.bytes().all(|byte| byte.is_ascii_digit() || b":.-+TZ".contains(&byte));
        has_time |= is_time && (text.contains(':') || text.len() >= 8);
        // Still nothing but time.
        is_first &= is_time;
    }
    None
}

fn is_ambiguous(word: &str) -> bool {
    ["alert", "critical", "panic", "notice", "information", "failure", "severe"]
        .iter()
        .any(|other| word.eq_ignore_ascii_case(other))
}

/// The status of an access log: the server's failures are errors, the client's are warnings.
fn access(line: &str) -> Option<&'static str> {
    let (_, rest) = line.split_once(" HTTP/")?;
    let (_, rest) = rest.split_once("\" ")?;
    let status = rest.split(' ').next().filter(|status| status.len() == 3)?;
    match status.as_bytes()[0] {
        b'5' => Some("error"),
        b'4' => Some("warn"),
        b'1'..=b'3' => Some("info"),
        _ => None,
    }
}

/// No level anywhere: an exception or panic speaks for itself.
fn exception(line: &str) -> Option<&'static str> {
    let starts = ["panic:", "Exception in thread ", "Traceback (most recent", "Unhandled exception", "goroutine "];
    let head = line.split([':', ' ']).next().unwrap_or_default();
    let is_rust = line.starts_with("thread '") && line.contains(" panicked at ");
    let is_ruby = line.ends_with("Error)") || line.ends_with("Exception)");
    (head.ends_with("Exception")
        || head.ends_with("Error")
        || is_rust
        || is_ruby
        || starts.iter().any(|start| line.starts_with(start)))
    .then_some("error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_from_every_format() {
        for (line, want) in [
            // JSON and logfmt.
            (r#"{"level":"warning","msg":"x"}"#, "warn"),
            (r#"{"severity_text": "INFO", "msg": "an error"}"#, "info"),
            (r#"{"log":{"level":"error","logger":"x"},"message":"m"}"#, "error"),
            (r#"{"log.level":"WARN","message":"m"}"#, "warn"),
            (r#"{"Timestamp":"2026-01-31","Level":"Error","MessageTemplate":"x"}"#, "error"),
            (r#"{"@t":"2026-01-31T10:00:00Z","@mt":"x","@l":"Warning"}"#, "warn"),
            (r#"{"log":"{\"level\":\"error\",\"msg\":\"x\"}\n","stream":"stdout"}"#, "error"),
            (r#"{"level":50,"msg":"x"}"#, "error"),
            (r#"{"version":"1.1","level":3,"short_message":"x"}"#, "error"),
            (r#"{"PRIORITY":"4","MESSAGE":"x"}"#, "warn"),
            (r#"{"levelname":"INFO","message":"x"}"#, "info"),
            (r#"{"t":{"$date":"2026-01-31T10:00:00.000+00:00"},"s":"E","c":"NETWORK","id":1,"msg":"x"}"#, "error"),
            (r#"ts=1 level=error msg="x""#, "error"),
            (r#"time="2026-01-31T10:00:00Z" level=warning msg="x""#, "warn"),
            // klog, glog, logcat, Redis.
            ("E0102 10:00:00.1 7 server.go:52] x", "error"),
            ("W20260131 10:00:00.123456  12 main.cc:7] slow", "warn"),
            ("01-31 10:00:00.123  1702  2395 E WindowManager: x", "error"),
            ("01-31 10:00:00.123  1702  2395 D WindowManager: x", "debug"),
            ("1:M 31 Jan 2026 10:00:00.123 # Out of memory", "warn"),
            ("1:M 31 Jan 2026 10:00:00.123 * Ready to accept connections", "info"),
            // Syslog.
            ("<11>Jan 1 host app: x", "error"),
            ("<165>1 2026-01-31T10:00:00Z host app 12 ID47 - x", "info"),
            // Java.
            ("16:48:16.545 INFO  t.c.Travel2Controller#129 x", "info"),
            ("2026-01-31 [main] ERROR com.x.Y - x", "error"),
            ("2026-01-31 10:00:00.123 [http-nio-8080-exec-1] [a1b2] WARN  c.x.Y - no error", "warn"),
            ("[2026-01-31T10:00:00,123][WARN ][o.e.x.Y] [node] x", "warn"),
            ("[2026-01-31 10:00:00,123] ERROR [Broker id=1] x (kafka.server.Y)", "error"),
            ("081109 203518 143 INFO dfs.DataNode$PacketResponder: x", "info"),
            ("SEVERE: Servlet.service() threw", "error"),
            // Python.
            ("ERROR:root:boom", "error"),
            ("2026-01-31 10:00:00,123 - shop.pay - WARNING - slow", "warn"),
            ("[2026-01-31 10:00:00,123: ERROR/MainProcess] Task failed", "error"),
            // Servers.
            ("2026/01/31 10:00:00 [error] 12#12: *1 connect() failed", "error"),
            ("[Sun Dec 04 04:47:44 2026] [notice] workerEnv.init() ok", "info"),
            ("[Wed Jan 31 10:00:00.123456 2026] [core:error] [pid 7] x", "error"),
            (r#"10.0.0.1 - - [31/Jan/2026:10:00:00 +0000] "GET /x HTTP/1.1" 502 17 "-" "curl""#, "error"),
            (r#"10.0.0.1 - - [31/Jan/2026:10:00:00 +0000] "GET /x HTTP/1.1" 404 17"#, "warn"),
            (r#"10.0.0.1 - - [31/Jan/2026:10:00:00 +0000] "GET /errors HTTP/1.1" 200 17"#, "info"),
            ("2026-01-31 10:00:00.123 UTC [123] ERROR:  relation \"x\" does not exist", "error"),
            ("2026-01-31 10:00:00.123 UTC [123] LOG:  checkpoint complete", "info"),
            ("2026-01-31 10:00:00.123 UTC [123] FATAL:  too many connections", "error"),
            ("2026-01-31T10:00:00.123456Z 0 [ERROR] [MY-010119] [Server] Aborting", "error"),
            ("2026-01-31T10:00:00.123456Z 0 [Note] x", "info"),
            ("[2026-01-31 10:00:00.123][12][warning][main] x", "warn"),
            // Rust, Go, .NET, Ruby, Windows.
            ("\u{1b}[2m2026-01-31T10:00:00Z\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m \u{1b}[2mshop\u{1b}[0m: x", "info"),
            ("‹U+001B›[2m2026-01-31T10:00:00Z‹U+001B›[0m ‹U+001B›[31mERROR‹U+001B›[0m shop: x", "error"),
            ("2026-01-31T10:00:00.000Z\terror\tapp/main.go:12\tfailed", "error"),
            ("2026-01-31T10:00:00.000Z error failed", "error"),
            ("fail: Shop.Pay[17]", "error"),
            ("crit: Shop.Pay[17]", "error"),
            ("dbug: Shop.Pay[17]", "debug"),
            ("[10:00:00 ERR] boom", "error"),
            ("E, [2026-01-31T10:00:00.1 #12] ERROR -- : x", "error"),
            ("2026-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack", "info"),
            ("2026-09-28 04:30:30, Error                 CSI    x", "error"),
            // What says it by itself.
            ("[warn] disk", "warn"),
            ("error: no such file", "error"),
            ("Error connecting to db", "error"),
            ("java.lang.NullPointerException: x", "error"),
            ("Exception in thread \"main\" java.lang.IllegalStateException: x", "error"),
            ("Traceback (most recent call last):", "error"),
            ("app.rb:12:in `pay': no pool (RuntimeError)", "error"),
            ("thread 'main' panicked at src/main.rs:2:5:", "error"),
            ("panic: runtime error", "error"),
            // What only sounds like it.
            ("there was no error today", ""),
            ("sea level=high", ""),
            ("alert manager started", ""),
            ("critical section entered", ""),
            ("12 error pages", ""),
            ("plain", ""),
            ("", ""),
        ] {
            assert_eq!(level_of_text(line), want, "{line}");
        }
    }

    #[test]
    fn the_first_line_of_several_says_it() {
        assert_eq!(level_of_text("2026-01-31 10:00:00 WARN x\njava.lang.Error: y\n\tat a.B"), "warn");
        assert_eq!(level_of_text("Traceback (most recent call last):\n  File \"x\"\nValueError: y"), "error");
        assert_eq!(level_of_text("fail: Shop.Pay[17]\n      no pool"), "error");
    }
}
