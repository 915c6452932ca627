//! Named values of a log line, whatever its format: JSON, logfmt, `key: value` inside prose, URL parameters.
//!
//! One scan without allocation and without configuration. It reads what stands behind a key, not what it means.

/// Bytes of a line that are read.
const MAX_BYTES: usize = 4_096;
/// Fields of a line that are read.
const MAX_FIELDS: usize = 64;
/// Bytes of a key.
const MAX_KEY: usize = 64;
/// Bytes of a value; longer ones are prose or data.
const MAX_VALUE: usize = 160;

/// Calls `each` with every key and value of the first line of `line`, in order. A quoted value that holds fields
/// itself (`msg="order tenant=acme"`) is given whole, and then its fields.
pub(super) fn scan<'a>(line: &'a str, each: &mut impl FnMut(&'a str, &'a str)) {
    let end = line.bytes().take(MAX_BYTES).position(|byte| byte == b'\n').unwrap_or(line.len().min(MAX_BYTES));
    let line = &line[..line.floor_char_boundary(end)];
    let bytes = line.as_bytes();
    let mut at = 0;
    let mut left = MAX_FIELDS;
    while at < bytes.len() && left > 0 {
        let starts = is_key_start(bytes[at]) && (at == 0 || !is_key(bytes[at - 1]));
        if !starts {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_key(bytes[at]) {
            at += 1;
        }
        let key = &line[start..at];
        if key.len() > MAX_KEY {
            continue;
        }
        let Some(from) = separator(bytes, start, at) else { continue };
        let (value, next) = value(line, from);
        if !value.is_empty() && value.len() <= MAX_VALUE {
            each(key, value);
            left -= 1;
        }
        at = next.max(at);
    }
}

const fn is_key_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'@'
}

const fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@')
}

/// Where the value behind the key `start..end` begins, if it is a key at all.
fn separator(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let quote = start.checked_sub(1).map_or(0, |at| bytes[at]);
    let mut at = end;
    if matches!(quote, b'"' | b'\'') && byte(at) == b'\\' {
        at += 1;
    }
    if matches!(quote, b'"' | b'\'') && byte(at) == quote {
        at += 1;
        while byte(at) == b' ' {
            at += 1;
        }
        if !matches!(byte(at), b':' | b'=') {
            return None;
        }
        at += 1;
        while byte(at) == b' ' {
            at += 1;
        }
        return Some(at);
    }
    match (byte(at), byte(at + 1)) {
        (b'=', b'=' | b'>' | b' ') => None,
        (b'=', _) => Some(at + 1),
        (b':', b' ') => Some(at + 2),
        // `tenant:acme`, but neither `host:8080` nor `file.go:52` nor `http://` nor `a::b`.
        (b':', next) if next.is_ascii_alphabetic() || matches!(next, b'"' | b'\'') => {
            let is_word = !bytes[start..end].contains(&b'.');
            let is_apart = matches!(quote, 0 | b' ' | b'[' | b'(' | b'{' | b',' | b'|');
            (is_word && is_apart).then_some(at + 1)
        }
        _ => None,
    }
}

/// The value at `from`, and where reading goes on.
fn value(line: &str, from: usize) -> (&str, usize) {
    let bytes = line.as_bytes();
    let mut start = from;
    let is_escaped = bytes.get(start) == Some(&b'\\');
    if is_escaped {
        start += 1;
    }
    match bytes.get(start) {
        Some(&quote @ (b'"' | b'\'')) => {
            start += 1;
            let mut end = start;
            while end < bytes.len() && bytes[end] != quote {
                end += if bytes[end] == b'\\' && !is_escaped { 2 } else { 1 };
            }
            let end = line.floor_char_boundary(end.min(bytes.len()));
            let inner = line[start..end].trim_end_matches('\\');
            let holds_more = inner.contains(['=', ':']) && inner.contains(' ') || inner.contains("\\\"");
            (inner, if holds_more { start } else { (end + 1).min(bytes.len()) })
        }
        Some(b'{' | b'[') => ("", start + 1),
        Some(_) => {
            let rest = &bytes[start..];
            let len = rest.iter().position(|byte| {
                matches!(byte, b' ' | b',' | b';' | b'&' | b'|' | b')' | b']' | b'}' | b'"' | b'\'' | b'\\' | b'\t')
            });
            let end = start + len.unwrap_or(rest.len());
            let text = &line[start..end];
            // `error: tenant=acme`: the value is a field of its own. A query string holds some.
            match text.split_once('=') {
                Some((head, _)) if head.contains('?') => (text, start),
                Some((head, _)) if !head.is_empty() && head.bytes().all(is_key) => ("", start),
                _ => (text.trim_end_matches(['.', ':']), end),
            }
        }
        None => ("", start),
    }
}

/// A key without case and separators, for comparison with names: `X-Request-ID` and `xRequestId` are one. `None` for
/// a key longer than any name that is compared.
pub(super) fn plain(key: &str) -> Option<PlainKey> {
    let mut out = PlainKey { bytes: [0; 24], len: 0 };
    for byte in key.bytes().filter(u8::is_ascii_alphanumeric) {
        *out.bytes.get_mut(out.len)? = byte.to_ascii_lowercase();
        out.len += 1;
    }
    Some(out)
}

/// See [`plain`].
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainKey {
    bytes: [u8; 24],
    len: usize,
}

impl PlainKey {
    /// Its letters and digits, in lower case.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(line: &str) -> Vec<(&str, &str)> {
        let mut out = Vec::new();
        scan(line, &mut |key, value| out.push((key, value)));
        out
    }

    #[test]
    fn fields_of_all_formats_are_read() {
        for (line, want) in [
            (
                r#"{"level":"error","promo": "WINTER25","took":12.5}"#,
                [("level", "error"), ("promo", "WINTER25"), ("took", "12.5")],
            ),
            ("ts=1 tenant=acme msg=\"all well\"", [("ts", "1"), ("tenant", "acme"), ("msg", "all well")]),
            ("[order: 17, exchange: LSE] side:buy done", [("order", "17"), ("exchange", "LSE"), ("side", "buy")]),
            ("GET /cart?promo=X&lang=de status=500", [("promo", "X"), ("lang", "de"), ("status", "500")]),
            (r#"{"log":"{\"pod\":\"a-1\"}","zone":"eu", "n":1}"#, [("pod", "a-1"), ("zone", "eu"), ("n", "1")]),
            (
                r#"{"msg":"buffer for tenant=acme full","n":{"a":3}}"#,
                [("msg", "buffer for tenant=acme full"), ("tenant", "acme"), ("a", "3")],
            ),
        ] {
            let found = all(line);
            let found: Vec<_> = found.iter().filter(|one| want.contains(one)).copied().collect();
            assert_eq!(found, want, "{line} {:?}", all(line));
        }
    }

    #[test]
    fn places_times_and_addresses_are_no_fields() {
        for line in ["main.go:52 x", "10:20:30 x", "http://a/b", "std::vec x", "db:5432", "a == b", "x => y"] {
            assert!(all(line).is_empty(), "{line} {:?}", all(line));
        }
    }

    #[test]
    fn a_key_is_compared_without_case_and_separators() {
        for key in ["X-Request-ID", "xRequestId", "x_request_id", "x.request.id"] {
            assert_eq!(plain(key).unwrap().as_bytes(), b"xrequestid", "{key}");
        }
        assert!(plain(&"a".repeat(30)).is_none());
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd(line in "([a-z]{0,3}|[=: \"'{}\\[\\],\\\\&?ü.-]){0,60}") {
            scan(&line, &mut |key, value| assert!(!key.is_empty() && !value.is_empty()));
        }
    }
}
