//! Values behind telling names, in whatever notation name and value stand: properties, YAML, JSON in JSON, XML,
//! URL-encoded bodies, headers, printed structures, lists of names and values.
//!
//! A name is found by the words it contains, read in full, and judged; then the signs between name and value are
//! read, and the value by its own quotes.

use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;

use super::Found;
use super::keys::{Promise, STEMS, promise};
use super::values::{has_digit, is_benign, is_number, is_path, is_scheme, is_uuid, looks_chosen, looks_issued};

/// Longest value looked at, in bytes.
const LONGEST: usize = 8_192;
/// Values found by their names are named by more specific rules where those apply.
const ORDER: usize = 10_000;

/// Adds the values of fields whose names promise a secret.
pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    static WORDS: OnceLock<AhoCorasick> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(STEMS.split(' '))
            .expect("the words are a small constant list")
    });
    let mut done = 0;
    for word in words.find_iter(text) {
        if word.start() < done {
            continue;
        }
        let (start, end) = name_around(text, word.start(), word.end());
        done = end;
        let Some(promise) = promise(&text[start..end]) else { continue };
        if let Some((value, quoted)) = value_of(text, start, end, promise)
            && is_secret(&text[value.0..value.1], promise, quoted, &text[start..end])
        {
            let kind = if promise == Promise::Sure { "password" } else { "secret" };
            found.push(Found { start: value.0, end: value.1, kind, order: ORDER });
            done = done.max(value.1);
        }
    }
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80
}

/// The whole name around a word. Escapes in front (`\npassword`, `%22password`) do not belong to it.
fn name_around(text: &str, start: usize, end: usize) -> (usize, usize) {
    let bytes = text.as_bytes();
    let mut from = start;
    while from > 0 && is_name(bytes[from - 1]) && start - from < 120 {
        from -= 1;
    }
    let mut to = end;
    while to < bytes.len() && is_name(bytes[to]) && to - end < 120 {
        to += 1;
    }
    while to > end && matches!(bytes[to - 1], b'.' | b'-') {
        to -= 1;
    }
    while !text.is_char_boundary(from) {
        from += 1;
    }
    while !text.is_char_boundary(to) {
        to += 1;
    }
    if let Some(at) = text[from..start].rfind(|c: char| !c.is_ascii()) {
        from += at + text[from + at..].chars().next().map_or(1, char::len_utf8);
    }
    if let Some(at) = text[end..to].find(|c: char| !c.is_ascii()) {
        to = end + at;
    }
    if from > 0 && from < start {
        if bytes[from - 1] == b'\\' && matches!(bytes[from], b'n' | b't' | b'r') {
            from += 1;
        } else if bytes[from - 1] == b'%'
            && start >= from + 2
            && bytes[from..from + 2].iter().all(u8::is_ascii_hexdigit)
        {
            from += 2;
        }
    }
    while from < start && matches!(bytes[from], b'-' | b'.') {
        from += 1;
    }
    (from, to)
}

/// How the value is written.
#[expect(clippy::struct_excessive_bools, reason = "four facts that are independent of one another")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    /// In quotes.
    quoted: bool,
    /// Behind nothing but a blank.
    blank: bool,
    /// With a blank behind the separator.
    apart: bool,
    /// Up to the end of its line.
    last: bool,
}

type Place = (usize, usize);

/// What may stand between a name and its value.
static BETWEEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"^(?:\\*["'`]|%(?:25)?22|&quot;|&#34;)?\]?\)?"#,
        // The value of an entry whose name is our name: `name: X, value: Y`, `<name>X</name><value>Y`.
        r#"(?:[\s,;+\\"'\x{23ce}]{0,60}(?:</?(?i:name|key)>)?[\s,;<+\\"'\x{23ce}-]{0,40}\b(?i:value|val|stringValue|content)(?:\\*["'])?\s{0,3}[:=>]\s{0,3}"#,
        // Signs of their own.
        r#"|\s{0,4}(?:=>|:=|==|->|=|:|%(?:25)?3[AaDd]|/?>)"#,
        // Words of prose.
        r#"|\s(?i:is|was|=|set\sto|to)\s"#,
        // A pair in a list.
        r#"|,\s{0,2}\\*["']"#,
        // Nothing but a blank.
        r#"|[ \x{a0}]{1,30})"#,
    ))
    .expect("a constant expression")
});

/// What may stand in front of the value itself: brackets, a constructor, a scheme.
static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"^(?:\s{0,8}(?:\[|\(|\{)?\s?(?:(?:Some|Ok|Secret|SecretStr|SecretString|Str|String|ref|Value|Just|StringValue|bytes)\()?(?:[bur]?\\*["'`]|%(?:25)?22|&quot;|&#34;|%(?:25)?20)?(?:(?i:basic|bearer|token|apikey|digest|negotiate|splunk|key|ntlm|ssws|api-key|aws4-hmac-sha256)(?:\s|%20|\+){1,3})?)"#,
    )
    .expect("a constant expression")
});

fn value_of(text: &str, start: usize, end: usize, promise: Promise) -> Option<(Place, Written)> {
    let between = BETWEEN.find(&text[end..])?;
    let sign = between.as_str();
    let trimmed = sign.trim_end();
    let element = trimmed.ends_with('>') && !trimmed.ends_with("=>") && !trimmed.ends_with("->");
    if element && !opens_tag(text, start) {
        return None;
    }
    // The part of a name that consists of parts, as in `arn:…:secret:shop/db`.
    if promise == Promise::Maybe && trimmed == ":" && text[..start].ends_with(':') {
        return None;
    }
    let pair = sign.contains(',') && sign.ends_with(['"', '\'']) && !sign.to_ascii_lowercase().contains("val");
    let bare_name = !text[..start].ends_with(['"', '\'']);
    if pair && bare_name {
        return None;
    }
    let only_blank = trimmed.trim_matches(['"', '\'', '\\', '`']).is_empty();
    let said = trimmed.ends_with(|c: char| c.is_ascii_alphabetic());
    // A name that was quoted and is followed by a blank is a word in a sentence: `secret "x" not found`.
    if only_blank && (sign.starts_with(['"', '\'', '\\', '`']) || promise == Promise::Digits) {
        return None;
    }
    let mut at = end + between.end();
    if pair {
        // The quote belongs to the value.
        at -= 1;
        while at > 0 && text.as_bytes()[at - 1] == b'\\' {
            at -= 1;
        }
    }
    let apart = sign.ends_with([' ', '\u{a0}']) || text[at..].starts_with(' ');
    if let Some(block) = block_scalar(text, start, at) {
        return Some((block, Written { quoted: true, blank: false, apart: false, last: true }));
    }
    let before = BEFORE.find(&text[at..])?;
    if before.as_str().contains('\n') {
        return None;
    }
    let value = at + before.end();
    let opened = opening_quote(before.as_str());
    let (place, quoted) = match opened {
        Some(quote) => (quoted_value(text, value, quote), true),
        None if element => (until(text, value, |c| c == '<' || c == '\n'), false),
        None if is_phrase(&text[start..end]) && phrase(text, value).1 > value => {
            let words = phrase(text, value);
            let place = if text[words.0..words.1].split(' ').count() > 2 {
                words
            } else {
                bare_value(text, start, value, promise)
            };
            (place, text[place.0..place.1].contains(' '))
        }
        None => (bare_value(text, start, value, promise), false),
    };
    let last = text[place.1..].chars().next().is_none_or(|c| c == '\n' || c == '⏎');
    (place.0 < place.1).then_some((place, Written { quoted, blank: only_blank || said, apart, last }))
}

/// Whether the name is that of an element or stands in a tag that ends behind it.
fn opens_tag(text: &str, start: usize) -> bool {
    let line = &text[..start];
    let line = &line[line.rfind('\n').map_or(0, |at| at + 1)..];
    line.rfind('<').is_some_and(|open| !line[open..].contains('>'))
}

/// The quote in which the value stands, as it is escaped: the same signs end it.
fn opening_quote(before: &str) -> Option<&str> {
    for encoded in ["%2522", "%22", "&quot;", "&#34;"] {
        if before.contains(encoded) {
            return Some(encoded);
        }
    }
    let at = before.find(['"', '\'', '`'])?;
    let from = before[..at].trim_end_matches('\\').len();
    Some(&before[from..=at])
}

/// Up to the closing quote; to the end of the line when there is none, because the line was cut.
fn quoted_value(text: &str, from: usize, quote: &str) -> Place {
    let limit = text.floor_char_boundary((from + LONGEST).min(text.len()));
    let inside = &text[from..limit];
    let level = quote.len() - 1;
    let escaped = quote.starts_with('\\') || quote.len() == 1;
    let mut at = 0;
    while let Some(next) = inside[at..].find(quote) {
        let here = at + next;
        // A quote that is escaped once more than the opening one belongs to the value.
        let slashes = inside[..here].len() - inside[..here].trim_end_matches('\\').len();
        let more = escaped && if level == 0 { slashes % 2 == 1 } else { slashes > 0 };
        if !more {
            return (from, from + here);
        }
        at = here + quote.len();
    }
    until(text, from, |c| c == '\n')
}

fn until(text: &str, from: usize, stop: impl Fn(char) -> bool) -> Place {
    let limit = text.floor_char_boundary((from + LONGEST).min(text.len()));
    let end = text[from..limit].find(stop).map_or(limit, |length| from + length);
    (from, from + text[from..end].trim_end().len())
}

/// A value without quotes. At the beginning of a line the name has its whole line; in the midst of one the value ends
/// where the next field begins.
fn bare_value(text: &str, start: usize, from: usize, promise: Promise) -> Place {
    let line_start =
        text[..start].rfind(['\n', '⏎']).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let lead = text[line_start..start].trim_start_matches([' ', '\t', '+', '-', '>', '<', '"', '\'']);
    let lead = ["export ", "set ", "ENV ", "env ", "ARG ", "declare -x ", "-e ", "Environment=", "setenv ", "local "]
        .iter()
        .fold(lead, |lead, word| lead.strip_prefix(word).unwrap_or(lead));
    let begins = lead.trim_start_matches(['"', '\'', '.', '$', '/', ':', '_', '@']).is_empty();
    let line = until(text, from, |c| c == '\n' || c == '⏎');
    if begins {
        let whole = &text[line.0..line.1];
        let several = whole.contains(char::is_whitespace);
        let more_fields = FIELD.is_match(whole);
        if !whole.contains(['"', '\''])
            && (!several || (promise == Promise::Sure && !more_fields && !is_benign(first(whole))))
        {
            let more = !several && more_fields && whole.contains([';', '&', ',']);
            if !more {
                return continued(text, line);
            }
        }
    }
    let inside = &text[line.0..line.1];
    let mut end = inside.len();
    for (at, c) in inside.char_indices() {
        let rest = &inside[at + c.len_utf8()..];
        let ends = match c {
            c if c.is_whitespace() => true,
            '"' | '\'' | '<' | '>' | '`' => true,
            ',' | ';' | '&' | '|' => {
                rest.is_empty() || rest.starts_with([' ', '"', '\'', '\\', '{', '<']) || FIELD_START.is_match(rest)
            }
            ')' | ']' | '}' => rest
                .chars()
                .next()
                .is_none_or(|next| matches!(next, ' ' | ',' | ';' | ')' | ']' | '}' | '"' | '\'' | '.' | ':')),
            '%' => ["%22", "%26", "%2522", "%2526"].iter().any(|code| inside[at..].starts_with(code)),
            '\\' => rest.starts_with(['"', '\'', 'n', '\\', 'r', 't']),
            _ => false,
        };
        if ends {
            end = at;
            break;
        }
    }
    if end == inside.len() { continued(text, (from, from + end)) } else { (from, from + end) }
}

/// Words of a phrase, as people are told to choose them.
fn phrase(text: &str, from: usize) -> Place {
    until(text, from, |c| !(c.is_alphabetic() || matches!(c, ' ' | '-' | '_' | '.')))
}

fn is_phrase(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["passphrase", "phrase", "mnemonic", "mnemonics", "seed_words"].iter().any(|end| name.ends_with(end))
}

fn first(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// A further field inside a value.
static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\s,;&|][A-Za-z_][A-Za-z0-9_.\-]{0,40}[\x22']?\s?[=:]").expect("a constant expression")
});
/// A field at the beginning of what follows a sign.
static FIELD_START: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z_][A-Za-z0-9_.\- ]{0,40}[\x22']?(?:=|:)").expect("a constant expression"));

/// A line that ends in a backslash goes on with the next.
fn continued(text: &str, mut line: Place) -> Place {
    for _ in 0..40 {
        if !text[line.0..line.1].ends_with('\\') || !text[line.1..].starts_with('\n') {
            break;
        }
        line.1 = until(text, line.1 + 1, |c| c == '\n').1;
    }
    line
}

/// The lines of a YAML block scalar: everything below that is indented deeper than the name.
fn block_scalar(text: &str, start: usize, at: usize) -> Option<Place> {
    static OPEN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s?[|>][+-]?\d?[+-]?[ \t]*\n").expect("a constant expression"));
    let open = OPEN.find(&text[at..])?;
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let depth = |line: &str| line.len() - line.trim_start_matches([' ', '+', '-']).len();
    let own = depth(&text[line_start..start]);
    let from = at + open.end();
    let mut end = from;
    for line in text[from..].split_inclusive('\n') {
        if !line.trim_matches(['+', '-', ' ', '\n']).is_empty() && depth(line) <= own || end - from > LONGEST {
            break;
        }
        end += line.len();
    }
    let end = from + text[from..end].trim_end().len();
    let skipped = text[from..end].len() - text[from..end].trim_start().len();
    (from + skipped < end).then_some((from + skipped, end))
}

fn is_secret(value: &str, promise: Promise, written: Written, name: &str) -> bool {
    let start = first(value);
    let single = start.len() == value.trim().len();
    if is_benign(value) || is_scheme(value) || (!written.quoted && is_benign(start)) {
        return false;
    }
    if !single && is_benign(start) && promise != Promise::Sure {
        return false;
    }
    let letters = value.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | ',' | '!' | '?'));
    // A word after a colon, in the midst of a line, is prose.
    if !written.quoted && written.apart && letters && !written.last {
        return false;
    }
    if written.blank && !(looks_chosen(value) && (has_digit(value) || value.chars().any(|c| "!@#$%^&*?".contains(c)))) {
        return false;
    }
    let directory = name.eq_ignore_ascii_case("pwd") || name.eq_ignore_ascii_case("oldpwd");
    match promise {
        Promise::Sure => {
            !(directory && (value.contains('/') || value.contains('\\')))
                && !(is_path(value) && value.contains("secret"))
                && !(written.quoted && !single && is_benign(start))
                && !value.starts_with("--")
        }
        Promise::Likely => {
            let short = value.len() < 6 || is_number(value) && value.len() < 16;
            let elsewhere = is_path(value) || value.contains("://");
            let issued = if written.blank { looks_issued(value) } else { single || looks_issued(start) };
            !short && !elsewhere && issued
        }
        Promise::Maybe => {
            !is_path(value)
                && !is_number(value)
                && !value.contains("://")
                && !is_uuid(value)
                && !written.blank
                && (looks_issued(value) && value.len() >= 8 && !is_name_of_object(value)
                    || value.len() >= 20 && single && !value.contains(['.', '/', '-', '_', ':']))
        }
        Promise::Digits => {
            let digits = value.trim_end_matches(['.', ',']);
            (3..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
    }
}

/// A name that people or controllers give: words joined by hyphens, of small letters, with a short number or suffix.
fn is_name_of_object(value: &str) -> bool {
    let pieces: Vec<&str> = value.split(['-', '.', '_']).collect();
    pieces.len() >= 2
        && value
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_'))
        && pieces.iter().filter(|piece| piece.len() > 2 && piece.bytes().all(|byte| byte.is_ascii_lowercase())).count()
            * 2
            >= pieces.len()
        && pieces.iter().all(|piece| piece.len() <= 16)
}
