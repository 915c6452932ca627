//! How o200k cuts text into pieces before it looks for tokens. By hand, because the published pattern looks ahead and
//! goes back, which costs milliseconds to compile and more than linear time on a page of blanks. The pattern, in its
//! order (`P` is any character but `\r`, `\n`, letters and numbers):
//!
//! 1. `P?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?`
//! 2. `P?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?`
//! 3. `\p{N}{1,3}`
//! 4. ` ?[^\s\p{L}\p{N}]+[\r\n/]*`
//! 5. `\s*[\r\n]+`
//! 6. `\s+(?!\S)`, then `\s+`

/// What the pattern tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A capital or title case letter.
    Upper,
    /// A small letter.
    Lower,
    /// A letter without case.
    Uncased,
    /// A mark: no letter, but part of words.
    Mark,
    Number,
    /// White space, line breaks apart.
    Space,
    /// `\r` or `\n`.
    Break,
    Other,
}

include!(concat!(env!("OUT_DIR"), "/letters.rs"));

impl Class {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' => Self::Lower,
            'A'..='Z' => Self::Upper,
            '0'..='9' => Self::Number,
            '\r' | '\n' => Self::Break,
            ' ' | '\t' | '\x0b' | '\x0c' => Self::Space,
            _ if c.is_ascii() => Self::Other,
            _ => {
                let code = u32::from(c);
                let place = LETTERS.partition_point(|(start, ..)| *start <= code);
                match place.checked_sub(1).map(|place| LETTERS[place]) {
                    Some((_, end, class)) if code <= end => class,
                    _ => Self::Other,
                }
            }
        }
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
    const fn begins_word(self) -> bool {
        matches!(self, Self::Upper | Self::Uncased | Self::Mark)
    }

    /// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
    const fn ends_word(self) -> bool {
        matches!(self, Self::Lower | Self::Uncased | Self::Mark)
    }

    /// `[^\r\n\p{L}\p{N}]`
    const fn leads_word(self) -> bool {
        matches!(self, Self::Mark | Self::Space | Self::Other)
    }

    /// `[^\s\p{L}\p{N}]`
    const fn is_sign(self) -> bool {
        matches!(self, Self::Mark | Self::Other)
    }

    const fn is_space(self) -> bool {
        matches!(self, Self::Space | Self::Break)
    }
}

/// The pieces of `text`, in order; together they are the text.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = Class::of(rest.chars().next()?);
        let (piece, after) = rest.split_at(first_piece(rest, first));
        rest = after;
        Some(piece)
    })
}

/// Length of the first piece of a text that begins with a character of class `first`. At least one character.
fn first_piece(text: &str, first: Class) -> usize {
    let lead = if first.leads_word() { text.chars().next().map_or(0, char::len_utf8) } else { 0 };
    // A leading mark belongs to a word either way.
    let starts: &[usize] = if lead == 0 { &[0] } else { &[lead, 0] };
    for alternative in [cased_word, capitals] {
        if let Some(end) = starts.iter().find_map(|start| alternative(text, *start)) {
            return end + contraction(&text[end..]);
        }
    }
    match first {
        Class::Number => text.chars().take(3).take_while(|c| Class::of(*c) == Class::Number).map(char::len_utf8).sum(),
        Class::Space | Class::Break => {
            let signs = if text.starts_with(' ') { run(text, 1, Class::is_sign) } else { 1 };
            if signs > 1 { with_breaks(text, signs) } else { blanks(text) }
        }
        _ => with_breaks(text, run(text, 0, Class::is_sign)),
    }
}

/// End of the run of characters that `test` admits.
fn run(text: &str, from: usize, test: fn(Class) -> bool) -> usize {
    text[from..].char_indices().find(|(_, c)| !test(Class::of(*c))).map_or(text.len(), |(at, _)| from + at)
}

/// The first alternative from behind its `P?`: a word that holds something other than capitals.
fn cased_word(text: &str, from: usize) -> Option<usize> {
    let begun = run(text, from, Class::begins_word);
    let ended = run(text, begun, Class::ends_word);
    if ended > begun {
        return Some(ended);
    }
    // Nothing small follows: the last character that may both begin and end a word is given back.
    let (at, last) = text[from..begun].char_indices().rev().find(|(_, c)| Class::of(*c).ends_word())?;
    Some(from + at + last.len_utf8())
}

/// The second alternative from behind its `P?`; what is small would have matched the first.
fn capitals(text: &str, from: usize) -> Option<usize> {
    let begun = run(text, from, Class::begins_word);
    (begun > from).then(|| run(text, begun, Class::ends_word))
}

/// Length of the `'s` or `'ll` at the start, if any. Without regard to case, which makes the long s an s.
fn contraction(text: &str) -> usize {
    let mut chars = text.chars();
    if chars.next() != Some('\'') {
        return 0;
    }
    let small = |c: Option<char>| c.map(|c| if c == 'ſ' { 's' } else { c.to_ascii_lowercase() });
    let (first, second) = (chars.next(), chars.next());
    match (small(first), small(second)) {
        (Some('r' | 'v'), Some('e')) | (Some('l'), Some('l')) => 3,
        (Some('s' | 't' | 'm' | 'd'), _) => 1 + first.map_or(0, char::len_utf8),
        _ => 0,
    }
}

/// `[\r\n/]*` behind signs.
fn with_breaks(text: &str, from: usize) -> usize {
    from + text[from..].bytes().take_while(|byte| matches!(byte, b'\r' | b'\n' | b'/')).count()
}

/// White space: up to its last line break; else all of it, less the last character when something follows.
fn blanks(text: &str) -> usize {
    let end = run(text, 0, Class::is_space);
    let space = &text[..end];
    if let Some(at) = space.rfind(['\r', '\n']) {
        return at + 1;
    }
    match space.char_indices().next_back() {
        Some((last, _)) if last > 0 && end < text.len() => last,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_as_published() {
        let cut = |text: &'static str| pieces(text).collect::<Vec<_>>();
        assert_eq!(cut("Hello world's END"), ["Hello", " world's", " END"]);
        assert_eq!(cut("camelCase HTTPServer"), ["camel", "Case", " HTTPServer"]);
        assert_eq!(cut("id=12345;\n\n  x"), ["id", "=", "123", "45", ";\n\n", " ", " x"]);
        assert_eq!(cut("a  \n \t b"), ["a", "  \n", " \t", " b"]);
        assert_eq!(cut(""), Vec::<&str>::new());
    }
}
