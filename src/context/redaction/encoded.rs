//! Secrets that are written in another alphabet: base64, hexadecimal, percent signs. What decodes to text that holds a
//! secret is one.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::Regex;

use super::Found;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
static STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
static URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// Adds tokens that hold a secret in another alphabet. `holds` says whether a decoded text does.
pub(super) fn find(text: &str, found: &mut Vec<Found>, holds: &dyn Fn(&str) -> bool) {
    static TOKEN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{12,}={0,2}").expect("a constant expression"));
    for token in TOKEN.find_iter(text) {
        if decoded(token.as_str()).is_some_and(|inner| holds(&inner)) {
            found.push(Found { start: token.start(), end: token.end(), kind: "encoded", order: 11_000 });
        }
    }
    if !text.contains('%') {
        return;
    }
    let mut start = 0;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if !c.is_whitespace() && !matches!(c, '"' | '\'' | '<' | '>' | '‹' | '›') {
            continue;
        }
        let token = &text[start..at];
        if token.contains('%') && token.len() >= 6 && !holds(token) {
            // What the notation shows without decoding is found by its field; this is for what it hides.
            let once = percent_decoded(token);
            if once != token && (holds(&once) || holds(&percent_decoded(&once))) {
                found.push(Found { start, end: at, kind: "encoded", order: 11_000 });
            }
        }
        start = at + c.len_utf8();
    }
}

/// The text that a token stands for, when it is one.
fn decoded(token: &str) -> Option<String> {
    let bare = token.trim_end_matches('=');
    // Names and paths of small letters decode to something, too, but never to text.
    let mixed =
        bare.bytes().any(|byte| byte.is_ascii_uppercase()) && bare.bytes().any(|byte| byte.is_ascii_lowercase());
    if !mixed {
        let hex = bare.len() >= 24 && bare.len().is_multiple_of(2) && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        let pair = |at: usize| u8::from_str_radix(bare.get(at..at + 2)?, 16).ok();
        return hex
            .then(|| (0..bare.len()).step_by(2).map(pair).collect::<Option<Vec<u8>>>())
            .flatten()
            .and_then(readable);
    }
    [&STANDARD, &URL_SAFE].into_iter().find_map(|engine| engine.decode(bare).ok().and_then(readable))
}

fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).then_some(text)
}

/// A text whose line breaks are escaped as it was before, and where each byte of it stands in the escaped one (one more
/// for its end). `None` when nothing is escaped so.
pub(super) fn unescaped(text: &str) -> Option<(String, Vec<usize>)> {
    if !text.contains("\\n") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut from = Vec::with_capacity(text.len() + 1);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let escaped = (c == '\\').then(|| chars.peek().map(|(_, next)| *next)).flatten();
        let told = match escaped {
            Some('n' | 'r') => Some('\n'),
            Some('t') => Some('\t'),
            Some(next @ ('"' | '\\' | '/' | '\'')) => Some(next),
            _ => None,
        };
        if told.is_some() {
            chars.next();
        }
        let told = told.unwrap_or(c);
        from.extend(std::iter::repeat_n(at, told.len_utf8()));
        out.push(told);
    }
    from.push(text.len());
    Some((out, from))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A value as it is written in other alphabets, for finding it again.
pub(super) fn spellings(value: &str) -> Vec<String> {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let percent: String = value
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let mut all =
        vec![STANDARD_NO_PAD.encode(value), URL_SAFE_NO_PAD.encode(value), percent, json.replace('\\', "\\\\"), json];
    all.retain(|other| other != value);
    all.sort();
    all.dedup();
    all
}
