//! What a value looks like: issued by a machine, a word of prose, a reference to something elsewhere.

use super::keys::among;

/// Words that stand where a value would and say that there is none, or what was wrong with it.
const WORDS: &str = "\
    null nil none true false undefined empty redacted masked hidden required invalid expired missing incorrect \
    wrong string yes no ok unset default changed failed not is for was error must should cannot can has have \
    does field too authentication authorization unexpected unknown denied refused rejected mismatch rotated \
    revoked present absent blank bytes object array integer number boolean optional disabled enabled set file \
    env vault secret password token type n/a na tbd todo accepted validated verified ok, success failure rate \
    limit exceeded refresh refreshed renewed request response and or the a an in of on with from to by if when \
    retrying timeout reset check checked validation provided supplied given found stale malformed unauthorized \
    forbidden bad good new old same different filtered omitted suppressed scrubbed removed <nil> <none> <unset> \
    <redacted> <hidden> <set> <empty> (null) (none) (hidden) (redacted) basic bearer digest negotiate header";

/// Whether the value hides nothing: placeholders, references, types, words of prose, and what we wrote ourselves.
pub(super) fn is_benign(value: &str) -> bool {
    let bare = value.trim_matches(['"', '\'', '`', '.', ',', ':', ';', '!', '?', '*', '\\']);
    let lower = bare.to_ascii_lowercase();
    bare.is_empty()
        || bare.contains('‹') && is_replaced(bare)
        || among(WORDS, lower.as_str())
        || bare.starts_with("${")
        || bare.starts_with("$(")
        || bare.starts_with("{{")
        || bare.starts_with("<%")
        || bare.starts_with("arn:")
        || bare.starts_with("vault:")
        || bare.starts_with("op://")
        || bare.starts_with("projects/")
        || lower.starts_with("process.env")
        || lower.starts_with("os.environ")
        || lower.starts_with("env.")
        || lower.starts_with("var.")
        || lower.starts_with("local.")
        || lower.starts_with("module.")
        || lower.starts_with("secrets.")
        || lower.starts_with("data.")
        || (bare.starts_with('$')
            && bare.len() > 1
            && bare[1..].bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit()))
        || (bare.starts_with('%') && bare.len() <= 3)
        || bare.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '•' | '.' | '-' | '#' | '_' | '…'))
        || bare == "<*>"
}

/// Whether nothing but placeholders of ours is in it.
fn is_replaced(value: &str) -> bool {
    let rest = super::without_placeholders(value);
    rest.len() < value.len() && rest.bytes().filter(u8::is_ascii_alphanumeric).count() < super::REST
}

/// The name of a scheme of authentication.
pub(super) fn is_scheme(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "basic" | "bearer" | "digest" | "negotiate" | "header" | "token")
}

/// A path of several parts.
pub(super) fn is_path(value: &str) -> bool {
    (value.starts_with('/') || value.starts_with("./") || value.starts_with("~/") || value.starts_with("C:\\"))
        && value[1..].contains(['/', '\\'])
        && value.split(['/', '\\']).all(|part| part.len() < 40)
}

/// A number, a time, a percentage.
pub(super) fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b':' | b'%'))
}

/// Hexadecimal digits only.
pub(super) fn is_hex(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a digit is in it.
pub(super) fn has_digit(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
}

/// Drawn by a machine rather than a word of prose: holds a digit, or capitals after small letters.
pub(super) fn looks_issued(value: &str) -> bool {
    let small_then_capital =
        value.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    !is_benign(value)
        && !value.starts_with("realm=")
        && !value.starts_with("error=")
        && (has_digit(value) || small_then_capital && value.len() >= 16)
}

/// Base64 of `user:password` rather than a word: digits, padding, or capitals inside.
pub(super) fn looks_base64(value: &str) -> bool {
    let inner_capital = value.as_bytes()[1..].iter().any(u8::is_ascii_uppercase);
    let all_capital = value.bytes().all(|byte| byte.is_ascii_uppercase());
    value.ends_with('=') || ((has_digit(value) || (inner_capital && !all_capital)) && value.len() >= 8)
}

/// A word that people choose as a password when nothing but words stand around it: letters and something else.
pub(super) fn looks_chosen(value: &str) -> bool {
    let letters = value.chars().any(char::is_alphabetic);
    let other =
        value.chars().any(|c| !c.is_alphabetic() && !matches!(c, '.' | ',' | '-' | '\'' | '/' | ':' | '(' | ')' | '_'));
    !is_benign(value) && value.chars().count() >= 6 && letters && other
}

/// A universally unique identifier.
pub(super) fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}
