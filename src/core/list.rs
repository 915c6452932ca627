//! Cursor, filter and search of a list.

use std::sync::Arc;

use super::effect::Generation;

/// Longest text that can be typed into a field, in characters.
const INPUT_MAX: usize = 500;

/// A one-line text field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    /// What was typed.
    pub text: String,
}

impl Input {
    /// Adds a character, up to a bound.
    pub fn push(&mut self, c: char) {
        if self.text.chars().count() < INPUT_MAX && !c.is_control() {
            self.text.push(c);
        }
    }

    /// Adds the first line of a text.
    pub fn paste(&mut self, text: &str) {
        text.lines().next().unwrap_or_default().chars().for_each(|c| self.push(c));
    }

    /// Removes the last character.
    pub fn backspace(&mut self) {
        self.text.pop();
    }

    /// Removes the last word.
    pub fn cut_word(&mut self) {
        let kept = self.text.trim_end();
        let end = kept.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        self.text.truncate(end);
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.text.clear();
    }
}

/// Cursor and filter of one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Index of the selected row among those that match.
    pub cursor: usize,
    /// What rows must contain; empty for all.
    pub filter: Input,
    /// Whether the filter is being typed.
    pub typing: bool,
    /// What the filter admits, where finding it anew for each picture would take long.
    matches: Option<Matches>,
}

/// The rows that a filter admits, remembered with what they were found for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Matches {
    filter: String,
    content: Generation,
    of: usize,
    rows: Arc<Vec<usize>>,
}

impl List {
    /// Moves by `step` rows within `len` rows.
    pub fn step(&mut self, step: isize, len: usize) {
        self.cursor = self.cursor.saturating_add_signed(step).min(len.saturating_sub(1));
    }

    /// Keeps the cursor inside `len` rows.
    pub fn clamp(&mut self, len: usize) {
        self.cursor = self.cursor.min(len.saturating_sub(1));
    }

    /// Remembers which of `of` rows the filter admits, unless it is known for this content already. What a longer
    /// filter admits is looked for among what the shorter one did.
    pub(super) fn remember(&mut self, content: Generation, of: usize, admits: impl Fn(&Self, usize) -> bool) {
        if self.filter.text.is_empty() {
            self.matches = None;
            return;
        }
        if self.matches(content, of).is_some() {
            return;
        }
        // Beyond ASCII a letter may match in one case only: there a longer filter may admit more.
        let shorter = self.matches.take().filter(|known| {
            known.content == content
                && known.of == of
                && self.filter.text.is_ascii()
                && self.filter.text.starts_with(&known.filter)
        });
        let rows = match shorter {
            Some(known) => known.rows.iter().copied().filter(|row| admits(self, *row)).collect(),
            None => (0..of).filter(|row| admits(self, *row)).collect(),
        };
        self.matches = Some(Matches { filter: self.filter.text.clone(), content, of, rows: Arc::new(rows) });
    }

    /// The rows that the filter admits of this content, where they are remembered.
    pub(super) fn matches(&self, content: Generation, of: usize) -> Option<&[usize]> {
        let known = self.matches.as_ref()?;
        let same = known.content == content && known.of == of && known.filter == self.filter.text;
        same.then_some(&known.rows[..])
    }

    /// Whether a row with this text is shown.
    pub fn admits(&self, text: &str) -> bool {
        contains(text, &self.filter.text)
    }
}

/// Whether `needle` occurs in `text`, case ignored unless the needle has an upper-case letter.
pub fn contains(text: &str, needle: &str) -> bool {
    if needle.is_empty() {
        return true;
    }
    if needle.chars().any(char::is_uppercase) {
        return text.contains(needle);
    }
    if needle.is_ascii() {
        let needle = needle.as_bytes();
        return text.as_bytes().windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle));
    }
    text.to_lowercase().contains(needle)
}

/// First row to draw so that the cursor is visible in `height` rows: the cursor stays in the middle where it can.
pub fn first_row(cursor: usize, len: usize, height: usize) -> usize {
    cursor.saturating_sub(height / 2).min(len.saturating_sub(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_inside() {
        let mut list = List::default();
        list.step(-1, 3);
        assert_eq!(list.cursor, 0);
        list.step(isize::MAX, 3);
        assert_eq!(list.cursor, 2);
        list.step(1, 0);
        assert_eq!(list.cursor, 0);
    }

    #[test]
    fn what_a_filter_admits_is_found_once_and_narrowed_while_it_is_typed() {
        use std::cell::Cell;
        let lines: Vec<String> = (0..2000).map(|n| format!("order {n} Done")).collect();
        let looked = Cell::new(0);
        let mut list = List::default();
        let remember = |list: &mut List, text: &str, content: Generation| {
            list.filter.text = text.into();
            looked.set(0);
            list.remember(content, lines.len(), |list, at| {
                looked.set(looked.get() + 1);
                list.admits(&lines[at])
            });
            assert_eq!(
                list.matches(content, lines.len()).map(<[usize]>::to_vec),
                (!text.is_empty())
                    .then(|| (0..lines.len()).filter(|at| contains(&lines[*at], text)).collect::<Vec<_>>())
            );
            looked.get()
        };
        assert_eq!(remember(&mut list, "order 7", 1), 2000);
        assert_eq!(remember(&mut list, "order 7", 1), 0, "known");
        assert_eq!(remember(&mut list, "order 77", 1), 111, "among those before");
        assert_eq!(remember(&mut list, "order 77 D", 1), 11, "the case matters from here on");
        assert_eq!(remember(&mut list, "order 77", 1), 2000, "shorter");
        assert_eq!(remember(&mut list, "order 77", 2), 2000, "new lines");
        assert_eq!(remember(&mut list, "order 77é", 2), 2000, "beyond ASCII");
        assert_eq!(remember(&mut list, "", 2), 0);
    }

    #[test]
    fn an_upper_case_letter_makes_the_filter_exact() {
        assert!(contains("Timeout in pool", "timeout"));
        assert!(!contains("timeout in pool", "Timeout"));
        assert!(contains("GRÖSSE", "größe") || !contains("GRÖSSE", "größe"));
        assert!(contains("anything", ""));
    }

    #[test]
    fn the_cursor_is_always_in_view() {
        for len in 0..12_usize {
            for height in 1..8 {
                for cursor in 0..len {
                    let first = first_row(cursor, len, height);
                    assert!((first..first + height).contains(&cursor), "{cursor} of {len} in {height}: {first}");
                }
            }
        }
    }

    #[test]
    fn a_word_is_cut_at_a_time() {
        let mut input = Input { text: "one two ".into() };
        input.cut_word();
        assert_eq!(input.text, "one ");
        input.cut_word();
        assert_eq!(input.text, "");
    }
}
