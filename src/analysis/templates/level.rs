//! The level of an entry, whatever format it is in.

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
        b"error" | b"err" | b"eror" | b"severe" | b"fatal" | b"critical" | b"crit" | b"panic" | b"dpanic"
        | b"alert" | b"emerg" | b"emergency" | b"failure" => Some("error"),
        b"warn" | b"warning" | b"wrn" => Some("warn"),
        b"info" | b"inf" | b"information" | b"informational" | b"notice" => Some("info"),
        b"debug" | b"dbg" | b"trace" | b"trc" | b"fine" | b"finer" | b"finest" | b"verbose" => Some("debug"),
        _ => None,
    }
}

/// Reads the level where formats put it: a `level` key of JSON or logfmt, the first letter of klog, the priority of
/// syslog, or a level word among the first words.
fn level_of_line(line: &str) -> &'static str {
    keyed(line).or_else(|| klog(line)).or_else(|| syslog(line)).or_else(|| leading(line)).unwrap_or_else(|| {
        // No level anywhere: an exception or panic speaks for itself.
        let head = line.split([':', ' ']).next().unwrap_or_default();
        if head.ends_with("Exception") || head.ends_with("Error") || line.starts_with("panic:") { "error" } else { "" }
    })
}

fn keyed(line: &str) -> Option<&'static str> {
    for name in ["level", "severity", "lvl"] {
        let mut from = 0;
        while let Some(found) = line[from..].find(name) {
            let start = from + found;
            from = start + name.len();
            let is_key = start == 0 || matches!(line.as_bytes()[start - 1], b' ' | b'"' | b'{' | b',' | b'@' | b'_');
            let mut rest = &line[from..];
            rest = rest.strip_prefix("_text").or_else(|| rest.strip_prefix("name")).unwrap_or(rest);
            rest = rest.strip_prefix('"').unwrap_or(rest);
            let Some(value) = rest.strip_prefix(['=', ':']).filter(|_| is_key) else { continue };
            let value = value.trim_start().trim_start_matches('"');
            let end = value.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(value.len());
            // Bunyan and pino count in tens.
            let found = match &value[..end] {
                "10" | "20" => Some("debug"),
                "30" => Some("info"),
                "40" => Some("warn"),
                "50" | "60" => Some("error"),
                text => word(text),
            };
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

fn klog(line: &str) -> Option<&'static str> {
    let bytes = line.as_bytes();
    if bytes.len() < 6 || !bytes[1..5].iter().all(u8::is_ascii_digit) || bytes[5] != b' ' {
        return None;
    }
    match bytes[0] {
        b'E' | b'F' => Some("error"),
        b'W' => Some("warn"),
        b'I' => Some("info"),
        b'D' => Some("debug"),
        _ => None,
    }
}

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

/// A level word among the first few words, in capitals or in brackets or before a colon: prose like `no error` does
/// not count.
fn leading(line: &str) -> Option<&'static str> {
    let head: String = line.chars().take(120).collect();
    let mut words = 0;
    for token in head.split_whitespace() {
        words += 1;
        if words > 8 {
            break;
        }
        let bare = token.trim_matches(|c: char| !c.is_ascii_alphabetic());
        let bare = bare.split(['/', ':', '.']).next().unwrap_or(bare);
        let Some(level) = word(bare) else { continue };
        let is_capital = bare.len() > 2 && bare.bytes().all(|b| b.is_ascii_uppercase());
        let is_marked = token.starts_with(['[', '<', '(']) || token.ends_with([':', ']', '>', '|']);
        if is_capital || is_marked || words == 1 {
            return Some(level);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_from_every_format() {
        for (line, want) in [
            (r#"{"level":"warning","msg":"x"}"#, "warn"),
            (r#"{"severity_text": "INFO", "msg": "an error"}"#, "info"),
            (r#"ts=1 level=error msg="x""#, "error"),
            (r#"{"level":50,"msg":"x"}"#, "error"),
            ("E0102 10:00:00.1 7 server.go:52] x", "error"),
            ("<11>Jan 1 host app: x", "error"),
            ("16:48:16.545 INFO  t.c.Travel2Controller#129 x", "info"),
            ("2024-01-01 [main] ERROR com.x.Y - x", "error"),
            ("[warn] disk", "warn"),
            ("error: no such file", "error"),
            ("java.lang.NullPointerException: x", "error"),
            ("panic: runtime error", "error"),
            ("there was no error today", ""),
            ("sea level=high", ""),
            ("plain", ""),
        ] {
            assert_eq!(level_of_line(line), want, "{line}");
        }
    }
}
