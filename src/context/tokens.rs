//! Counting of tokens with o200k. For other models the count is multiplied by a learnt factor, elsewhere.

use tiktoken_rs::{CoreBPE, o200k_base_singleton};

/// Longest piece that is given to the tokeniser at once: its pattern backtracks.
const MAX_PIECE: usize = 16 * 1024;

/// Loads the vocabulary, which takes about a fifth of a second the first time: call it off the thread that draws.
pub fn warm_up() {
    vocabulary();
}

fn vocabulary() -> &'static CoreBPE {
    o200k_base_singleton()
}

/// Tokens of `text` in o200k. Exact for lines below 16 KiB; longer ones are counted in pieces, which may give a few
/// tokens too many, never too few beyond that.
pub fn count_tokens(text: &str) -> usize {
    pieces(text).map(|piece| vocabulary().count_ordinary(piece)).sum()
}

/// Cuts the text where no token can span the cut: after a line feed that neither white space nor `/` follows (the
/// tokeniser's pattern draws `[\r\n/]*` to the punctuation before it).
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len();
        if end > MAX_PIECE {
            end = floor_char_boundary(rest, MAX_PIECE);
            let bytes = rest.as_bytes();
            let clean =
                (1..end).rev().find(|&at| bytes[at - 1] == b'\n' && bytes[at].is_ascii_graphic() && bytes[at] != b'/');
            end = clean.unwrap_or(end);
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

fn floor_char_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_those_of_the_reference() {
        assert_eq!(count_tokens(""), 0);
        assert_eq!(count_tokens("hello world"), 2);
        let long = "error: no space left on device\n".repeat(2_000);
        assert_eq!(count_tokens(&long), o200k_base_singleton().count_ordinary(&long));
    }

    #[test]
    fn a_page_of_blanks_is_counted_without_harm() {
        assert!(count_tokens(&" ".repeat(200_000)) > 0);
        assert!(count_tokens(&"\n".repeat(50_000)) > 0);
    }

    proptest! {
        #[test]
        fn lines_counted_alone_bound_the_whole(lines in proptest::collection::vec("\\[[A-Z][0-9]\\] \\PC{0,60}\n", 0..12)) {
            let apart: usize = lines.iter().map(|line| count_tokens(line)).sum();
            prop_assert_eq!(count_tokens(&lines.concat()), apart);
        }
    }
}
