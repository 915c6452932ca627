//! The last rule: a long token that looks drawn at random and like nothing ordinary.

use super::Found;

/// Shortest token looked at.
const MIN_LENGTH: usize = 36;
/// Bits per character from which a token looks random. English words joined stay below 4.
const MIN_BITS: f64 = 4.3;

/// What a value is called that only looks random.
pub(super) const KIND: &str = "high-entropy";

/// Adds tokens that are secrets by their looks alone.
pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        if !is_token(bytes[start]) {
            start += 1;
            continue;
        }
        let end = bytes[start..].iter().position(|byte| !is_token(*byte)).map_or(bytes.len(), |length| start + length);
        if end - start >= MIN_LENGTH && is_random(&text[start..end]) {
            found.push(Found { start, end, kind: KIND, order: usize::MAX });
        }
        start = end;
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'=')
}

/// Mixed case and digits throughout, high entropy, and none of the ordinary long tokens: hexadecimal digests, UUIDs,
/// paths, names joined by hyphens or capitals.
fn is_random(token: &str) -> bool {
    let count = |test: fn(&u8) -> bool| token.as_bytes().iter().filter(|byte| test(byte)).count();
    let length = token.len();
    let (upper, lower, digits) =
        (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase), count(u8::is_ascii_digit));
    if upper * 8 < length || lower * 8 < length || digits * 20 < length {
        return false;
    }
    if token.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return false;
    }
    // Paths and joined names fall into words: runs of one case, few changes between classes.
    let pieces: Vec<&str> = token.split(['/', '-', '_', '=', '+']).filter(|piece| !piece.is_empty()).collect();
    if pieces.len() > 2 && pieces.len() * 10 > length {
        return false;
    }
    let class = |byte: u8| u8::from(byte.is_ascii_digit()) + 2 * u8::from(byte.is_ascii_uppercase());
    let changes = token.as_bytes().windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    changes * 5 >= length * 2 && bits(token) >= MIN_BITS
}

/// Shannon entropy in bits per character.
fn bits(token: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in token.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = token.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length).map(|p| -p * p.log2()).sum()
}
