//! A multi-line text editor: what is typed, where the cursor stands, what can be undone.
//!
//! The cursor moves over whole characters as people see them (grapheme clusters). Pasted text is text: a line break in
//! it is a line break. The text is bounded; what does not fit is counted by whoever adds it.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::core::key::Key;
use crate::core::reading::wrap;
use crate::domain::text::neutralise;

/// Bytes that can be typed or pasted.
pub const MOST: usize = 16 << 10;
/// Edits that can be undone.
const UNDONE: usize = 100;

/// The kind of an edit: several of one kind in a row are undone together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Type,
    Delete,
    Other,
}

/// What came of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// It was one of editing or moving.
    Edit,
    /// There is no line above or below to go to.
    Edge,
    /// It means nothing here.
    Nothing,
}

/// A text being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Editor {
    text: String,
    /// Byte offset, at the border of a grapheme cluster.
    cursor: usize,
    undo: Vec<(String, usize)>,
    last: Option<Kind>,
    killed: String,
}

impl Editor {
    /// With this text, the cursor at its end.
    pub fn new(text: &str) -> Self {
        let mut editor = Self::default();
        editor.paste(text);
        editor.undo.clear();
        editor.last = None;
        editor
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing but white space was written.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The byte offset of the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Takes the text out and is empty then.
    pub fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        *self = Self { killed: std::mem::take(&mut self.killed), ..Self::default() };
        text
    }

    /// Inserts text at the cursor as text; the bytes that did not fit.
    pub fn paste(&mut self, text: &str) -> usize {
        let text = neutralise(text);
        let room = MOST.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        if end > 0 {
            self.remember(Kind::Other);
            self.insert(&text[..end]);
        }
        text.len() - end
    }

    /// One key.
    pub fn key(&mut self, key: Key) -> Did {
        match key {
            Key::Char(c) => self.typed(c),
            Key::AltEnter | Key::Ctrl('j') => self.typed('\n'),
            Key::Backspace | Key::Ctrl('h') => self.delete(self.before(), self.cursor, Kind::Delete),
            Key::Ctrl('d') => self.delete(self.cursor, self.after(), Kind::Delete),
            Key::Ctrl('w') | Key::AltBackspace => self.kill(self.word_before(), self.cursor),
            Key::Alt('d') => self.kill(self.cursor, self.word_after()),
            Key::Ctrl('u') => self.kill(self.line_start(), self.cursor),
            Key::Ctrl('k') => {
                let end = self.line_end();
                // At the end of a line its break goes.
                self.kill(self.cursor, if end == self.cursor { self.after() } else { end });
            }
            Key::Ctrl('y') => {
                let killed = self.killed.clone();
                self.paste(&killed);
            }
            Key::Ctrl('7' | '_' | '/') | Key::Alt('u') => self.undo(),
            Key::Left | Key::Ctrl('b') => self.go(self.before()),
            Key::Right | Key::Ctrl('f') => self.go(self.after()),
            Key::Alt('b') => self.go(self.word_before()),
            Key::Alt('f') => self.go(self.word_after()),
            Key::Home | Key::Ctrl('a') => self.go(self.line_start()),
            Key::End | Key::Ctrl('e') => self.go(self.line_end()),
            Key::Up | Key::Ctrl('p') => return self.vertical(true),
            Key::Down | Key::Ctrl('n') => return self.vertical(false),
            _ => return Did::Nothing,
        }
        Did::Edit
    }

    /// The lines at a width, and row and column of the cursor in cells.
    pub fn lines(&self, width: usize) -> (Vec<String>, (usize, usize)) {
        let width = width.max(2);
        let mut lines = Vec::new();
        let mut place = (0, 0);
        let mut start = 0;
        for line in self.text.split('\n') {
            let mut from = start;
            for part in wrap(line, width) {
                let to = from + part.len();
                let last = to == start + line.len();
                if (from..to).contains(&self.cursor) || (last && self.cursor == to) {
                    place = (lines.len(), self.text[from..self.cursor].width());
                }
                lines.push(part.to_owned());
                from = to;
            }
            start += line.len() + 1;
        }
        // A cursor behind a full line stands at the beginning of the next.
        if place.1 >= width {
            place = (place.0 + 1, 0);
            if place.0 == lines.len() || self.cursor == self.text.len() {
                lines.insert(place.0, String::new());
            }
        }
        (lines, place)
    }

    fn typed(&mut self, c: char) {
        if self.text.len() + c.len_utf8() > MOST || (c != '\n' && c.is_control()) {
            return;
        }
        // A word is undone at a time.
        let kind = if c.is_whitespace() { Kind::Other } else { Kind::Type };
        self.remember(kind);
        let mut buffer = [0; 4];
        let text = neutralise(c.encode_utf8(&mut buffer)).into_owned();
        self.insert(&text);
    }

    fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        // What was inserted may have joined with what follows.
        self.cursor = self.border(self.cursor);
    }

    /// The border of a cluster at or after an offset.
    fn border(&self, at: usize) -> usize {
        let borders = self.text.grapheme_indices(true).map(|(from, _)| from);
        borders.chain([self.text.len()]).find(|border| *border >= at).unwrap_or(self.text.len())
    }

    fn remember(&mut self, kind: Kind) {
        if self.last == Some(kind) && kind != Kind::Other {
            return;
        }
        self.last = Some(kind);
        if self.undo.len() == UNDONE {
            self.undo.remove(0);
        }
        self.undo.push((self.text.clone(), self.cursor));
    }

    fn undo(&mut self) {
        if let Some((text, cursor)) = self.undo.pop() {
            (self.text, self.cursor) = (text, cursor);
        }
        self.last = None;
    }

    fn go(&mut self, to: usize) {
        self.cursor = to;
        self.last = None;
    }

    fn delete(&mut self, from: usize, to: usize, kind: Kind) {
        if from < to {
            self.remember(kind);
            self.text.replace_range(from..to, "");
            self.cursor = self.border(from);
        }
    }

    fn kill(&mut self, from: usize, to: usize) {
        if from < to {
            self.killed = self.text[from..to].to_owned();
            self.delete(from, to, Kind::Other);
        }
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.cursor..].graphemes(true).next().map_or(self.cursor, |next| self.cursor + next.len())
    }

    fn word_before(&self) -> usize {
        let mut words = self.text[..self.cursor].unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    fn word_after(&self) -> usize {
        let next = self.text[self.cursor..].unicode_word_indices().next();
        next.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    /// To the line above or below, at the same column where it is that long.
    fn vertical(&mut self, up: bool) -> Did {
        let start = self.line_start();
        let column = self.text[start..self.cursor].width();
        let target = if up {
            let Some(end) = start.checked_sub(1) else { return Did::Edge };
            let from = self.text[..end].rfind('\n').map_or(0, |at| at + 1);
            from..end
        } else {
            let end = self.line_end();
            if end == self.text.len() {
                return Did::Edge;
            }
            let from = end + 1;
            from..self.text[from..].find('\n').map_or(self.text.len(), |at| from + at)
        };
        let mut to = target.start;
        let mut columns = 0;
        for cluster in self.text[target].graphemes(true) {
            columns += cluster.width();
            if columns > column {
                break;
            }
            to += cluster.len();
        }
        self.go(to);
        Did::Edit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(text: &str, keys: &[Key]) -> Editor {
        let mut editor = Editor::new(text);
        for key in keys {
            editor.key(*key);
        }
        editor
    }

    #[test]
    fn words_and_lines_are_moved_over_and_killed() {
        let editor = after("one two\nthree", &[Key::Ctrl('w')]);
        assert_eq!(editor.text(), "one two\n");
        assert_eq!(after("one two\nthree", &[Key::Ctrl('u')]).text(), "one two\n");
        assert_eq!(after("one two", &[Key::Alt('b'), Key::Ctrl('k')]).text(), "one ");
        assert_eq!(after("one two", &[Key::Ctrl('w'), Key::Home, Key::Ctrl('y')]).text(), "twoone ");
        assert_eq!(after("one two", &[Key::Home, Key::Alt('f'), Key::Char('!')]).text(), "one! two");
        assert_eq!(after("ab", &[Key::Left, Key::AltEnter]).text(), "a\nb");
        assert_eq!(after("a\nb", &[Key::Up, Key::End, Key::Ctrl('k')]).text(), "ab");
    }

    #[test]
    fn the_cursor_moves_over_what_people_see_as_one_character() {
        let family = "👩‍👩‍👧";
        let mut editor = Editor { text: format!("e\u{301}{family}"), ..Editor::default() };
        editor.cursor = editor.text.len();
        editor.key(Key::Backspace);
        assert_eq!(editor.text(), "e\u{301}");
        editor.key(Key::Left);
        assert_eq!(editor.cursor(), 0);
    }

    #[test]
    fn edges_are_told_so_that_history_can_follow() {
        let mut editor = Editor::new("a\nb");
        assert_eq!(editor.key(Key::Down), Did::Edge);
        assert_eq!(editor.key(Key::Up), Did::Edit);
        assert_eq!(editor.key(Key::Up), Did::Edge);
        assert_eq!(editor.key(Key::Enter), Did::Nothing);
    }

    #[test]
    fn edits_are_undone_word_by_word() {
        let mut editor = Editor::default();
        "one two".chars().for_each(|c| {
            editor.key(Key::Char(c));
        });
        editor.key(Key::Ctrl('7'));
        assert_eq!(editor.text(), "one ");
        editor.key(Key::Ctrl('7'));
        editor.key(Key::Ctrl('7'));
        assert_eq!(editor.text(), "");
    }

    #[test]
    fn a_paste_is_bounded_and_what_did_not_fit_is_counted() {
        let mut editor = Editor::default();
        assert_eq!(editor.paste(&"x".repeat(1 << 20)), (1 << 20) - MOST);
        assert_eq!(editor.text().len(), MOST);
        editor.key(Key::Char('y'));
        assert_eq!(editor.text().len(), MOST);
        assert_eq!(Editor::new("a\nb\u{1b}[31m").text(), "a\nb‹U+001B›[31m");
    }

    #[test]
    fn lines_wrap_and_the_cursor_is_found_in_them() {
        assert_eq!(Editor::new("one two\nx").lines(4), (vec!["one ".into(), "two".into(), "x".into()], (2, 1)));
        assert_eq!(Editor::new("").lines(10), (vec![String::new()], (0, 0)));
        assert_eq!(Editor::new("abcd").lines(4).1, (1, 0));
        assert_eq!(Editor::new("a\n").lines(4), (vec!["a".into(), String::new()], (1, 0)));
    }

    proptest! {
        #[test]
        fn whatever_is_pressed_the_cursor_stands_at_a_border(
            text in "[a-z é👩‍👧\n価]{0,20}",
            keys in proptest::collection::vec(prop_oneof![
                Just(Key::Left), Just(Key::Right), Just(Key::Up), Just(Key::Down), Just(Key::Backspace), Just(Key::Ctrl('w')),
                Just(Key::Ctrl('k')), Just(Key::Ctrl('u')), Just(Key::Ctrl('y')), Just(Key::Ctrl('7')), Just(Key::Alt('b')),
                Just(Key::Alt('f')), Just(Key::Home), Just(Key::End), Just(Key::AltEnter), Just(Key::Char('x')),
                Just(Key::Char('\u{301}')), Just(Key::Ctrl('d')),
            ], 0..40),
            width in 1..12_usize,
        ) {
            let mut editor = Editor::new(&text);
            for key in keys {
                editor.key(key);
                prop_assert!(editor.text.is_char_boundary(editor.cursor));
                let (lines, (row, column)) = editor.lines(width);
                prop_assert!(row < lines.len(), "{:?} {row}", lines);
                prop_assert!(column <= width.max(2) + 1);
            }
        }
    }
}
