//! Counting of tokens with o200k, exactly. For other models the count is multiplied by a learnt factor, elsewhere.
//!
//! Own code over the published vocabulary, because building the reference implementation's maps takes longer than the
//! whole analysis of an incident. Tests compare it with that implementation.

mod merge;
mod pieces;
mod vocabulary;

/// Tokens of `text` in o200k, as ordinary text: names of special tokens are read as what they are made of.
pub fn count_tokens(text: &str) -> usize {
    pieces::pieces(text).map(|piece| merge::count(piece.as_bytes())).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tiktoken_rs::o200k_base_singleton;

    use super::*;

    fn reference(text: &str) -> usize {
        o200k_base_singleton().count_ordinary(text)
    }

    #[test]
    fn counts_are_those_of_the_reference() {
        for text in [
            "",
            "hello world",
            "<|endoftext|>",
            "it'ſ we'RE they'll I'D 'tis",
            "ÀÉÎ õü ǅungla ʰʷ 漢字かな 한국어 العربية हिन्दी ก็",
            "a\u{301}e\u{301} \u{301}\u{301}x \u{301}A",
            "１２３４ ½ Ⅷ ²",
            "\u{a0}\u{2003} x\u{2028}\u{85}y \u{b}\u{c}\r\n\r\n  ",
            "a/b//c\n/d ///\n\n//",
            "👩‍👩‍👧‍👦 🇩🇪 ✓→‹›…",
            "{\"ts\":1674982800.123,\"msg\":\"GET /api/v1/orders?id=0x7f3A\"}",
        ] {
            assert_eq!(count_tokens(text), reference(text), "{text:?}");
        }
        let long = "error: no space left on device\n".repeat(2_000);
        assert_eq!(count_tokens(&long), reference(&long));
        let one_word = "pneumonoultramicroscopicsilicovolcanoconiosis".repeat(50);
        assert_eq!(count_tokens(&one_word), reference(&one_word));
    }

    #[test]
    fn a_page_of_blanks_is_counted_without_harm() {
        for page in [" ", "\n", "x", "=", "A", "漢", "\u{301}"] {
            assert!(count_tokens(&page.repeat(200_000)) > 0);
        }
    }

    #[test]
    fn every_character_is_of_the_class_the_pattern_gives_it() {
        let text: String = ('\0'..=char::MAX).flat_map(|c| ['a', c, 'B', c, ' ', c, '1']).collect();
        // In portions, for the reference goes back and forth over its input.
        let chars: Vec<char> = text.chars().collect();
        for portion in chars.chunks(7 * 4_096).step_by(16).chain(chars.chunks(7 * 4_096).take(8)) {
            let portion: String = portion.iter().collect();
            assert_eq!(count_tokens(&portion), reference(&portion));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_text_is_counted_as_by_the_reference(
            any in "\\PC{0,80}",
            mixed in "(\\s|[a-zA-Z]|['/.,:;=\\[\\]{}\\-_]|[0-9]|\\p{M}|\\p{Lt}|\\p{Lm}|[ſéÉ漢]|\r\n|'(?i:s|ll|re)){0,60}",
        ) {
            prop_assert_eq!(count_tokens(&any), reference(&any));
            prop_assert_eq!(count_tokens(&mixed), reference(&mixed));
        }

        #[test]
        fn lines_counted_alone_bound_the_whole(lines in proptest::collection::vec("\\[[A-Z][0-9]\\] \\PC{0,60}\n", 0..12)) {
            let apart: usize = lines.iter().map(|line| count_tokens(line)).sum();
            prop_assert_eq!(count_tokens(&lines.concat()), apart);
        }
    }
}
