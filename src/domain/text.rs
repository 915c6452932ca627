//! Text from outside, made harmless: the only way for telemetry and model output to reach a screen.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text in which every character can be seen. Control, escape, bidirectional and invisible characters are replaced
/// by their visible name (`‹U+202E›`), tabs by a space, CR LF by LF; line breaks are kept.
///
/// Making one is idempotent, and deserialising makes one, so no unsafe text can slip in by way of a file. Cloning
/// is cheap (shared buffer).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<str>);

impl Text {
    /// Neutralises `raw`.
    pub fn new(raw: &str) -> Self {
        Self(Arc::from(neutralise(raw).as_ref()))
    }

    /// The text on one line: line breaks become `⏎`.
    #[must_use]
    pub fn one_line(&self) -> Cow<'_, str> {
        if self.0.contains('\n') { Cow::Owned(self.0.replace('\n', "⏎")) } else { Cow::Borrowed(&self.0) }
    }

    /// At most `max` characters, with `…` in place of what was cut.
    #[must_use]
    pub fn truncated(&self, max: usize) -> Self {
        match self.0.char_indices().nth(max) {
            None => self.clone(),
            Some(_) if max == 0 => Self::default(),
            Some(_) => {
                let keep: String = self.0.chars().take(max - 1).collect();
                Self(Arc::from(format!("{keep}…")))
            }
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Replaces what a terminal would act upon or hide. Borrows when nothing had to change.
pub fn neutralise(raw: &str) -> Cow<'_, str> {
    if raw.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
        return Cow::Borrowed(raw);
    }
    if !raw.chars().any(|c| c == '\t' || is_hidden(c)) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len() + 16);
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\t' => out.push(' '),
            '\r' if chars.peek() == Some(&'\n') => {}
            c if is_hidden(c) => {
                use fmt::Write as _;
                let _ = write!(out, "‹U+{:04X}›", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// What each hidden character in a text is, by the visible name that stands for it: `‹U+202E›` with what it does.
pub fn hidden_names(text: &str) -> impl Iterator<Item = (&str, &'static str)> {
    text.split_inclusive('›').filter_map(|part| {
        let name = &part[part.rfind("‹U+")?..];
        let code = name.strip_prefix("‹U+")?.strip_suffix('›')?;
        let code = u32::from_str_radix(code, 16).ok()?;
        char::from_u32(code).filter(|c| is_hidden(*c))?;
        Some((name, deed(code)))
    })
}

/// What a hidden character is for.
const fn deed(code: u32) -> &'static str {
    match code {
        0x1B | 0x9B => "a character that begins a command to the terminal",
        0x00..=0x1F | 0x7F..=0x9F => "a control character",
        0x061C | 0x200E | 0x200F | 0x202A..=0x202E | 0x2066..=0x2069 => "a character that turns the direction of text",
        _ => "a character that cannot be seen",
    }
}

/// Characters that act on a terminal, reorder text, or cannot be seen. Line feed is not among them: callers lay
/// text out by lines. Source: Unicode 16 `General_Category` Cc, Cf, Zl, Zp and `Default_Ignorable_Code_Point`, plus
/// variation selectors, blank fillers and noncharacters. One line a block, as in the code charts.
#[allow(clippy::match_same_arms, reason = "one arm per block of the code charts is easier to check")]
pub fn is_hidden(c: char) -> bool {
    match u32::from(c) {
        0x0A => false,
        0x00..=0x1F | 0x7F..=0x9F => true,
        0xAD | 0x034F | 0x0600..=0x0605 | 0x061C | 0x06DD | 0x070F | 0x0890 | 0x0891 | 0x08E2 => true,
        0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F => true,
        0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x2800 => true,
        0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB => true,
        0x110BD | 0x110CD | 0x13430..=0x1345F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A => true,
        0xE0000..=0xE0FFF => true,
        code => code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code),
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Arc::from(""))
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

impl From<String> for Text {
    fn from(raw: String) -> Self {
        Self::new(&raw)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&Cow::<'_, str>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_spelled_out_can_be_told() {
        let text = Text::new("\u{202e}a‹not› b‹U+0041›\u{1b}");
        let names: Vec<_> = hidden_names(&text).collect();
        let turning = ("‹U+202E›", "a character that turns the direction of text");
        assert_eq!(names, [turning, ("‹U+001B›", "a character that begins a command to the terminal")]);
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        assert_eq!(Text::new("a\u{1b}[2Jb"), "a‹U+001B›[2Jb");
        assert_eq!(Text::new("rm \u{202e}fdp.x"), "rm ‹U+202E›fdp.x");
        assert_eq!(Text::new("a\u{200b}b\u{e0041}"), "a‹U+200B›b‹U+E0041›");
        assert_eq!(Text::new("a\tb\r\nc\rd"), "a b\nc‹U+000D›d");
    }

    #[test]
    fn plain_text_is_left_alone() {
        for text in ["", "level=error msg=\"ok\"", "größer 価格 🙂", "two\nlines"] {
            assert_eq!(Text::new(text), text);
        }
    }

    #[test]
    fn cutting_marks_the_cut() {
        assert_eq!(Text::new("abcdef").truncated(4), "abc…");
        assert_eq!(Text::new("abc").truncated(3), "abc");
        assert_eq!(Text::new("abc").truncated(0), "");
    }

    proptest! {
        #[test]
        fn nothing_hidden_survives_and_doing_it_twice_changes_nothing(raw in ".*") {
            let once = Text::new(&raw);
            prop_assert!(!once.chars().any(is_hidden));
            prop_assert_eq!(Text::new(&once), once);
        }
    }
}
