//! Writing styled text into cells, cut to its place.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::core::reading::wrap;

use super::theme::Theme;

/// A buffer with a theme.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    pub(super) theme: Theme,
}

/// A piece of text with its style.
pub(super) type Piece = (String, Style);

impl<'a> Canvas<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, theme: Theme) -> Self {
        Self { buffer, theme }
    }

    /// Writes text at a place, at most `width` columns, with `…` where it was cut. Returns the columns used.
    pub(super) fn text(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let area = self.buffer.area;
        if y < area.top() || y >= area.bottom() || x >= area.right() || width == 0 {
            return 0;
        }
        let width = width.min(area.right() - x);
        // What one ASCII character cannot say, and another reading of it would mislead.
        let spelt = self
            .theme
            .ascii
            .then(|| text.replace("⏎    ", "Enter").replace('⏎', "Enter").replace('→', "->").replace('←', "<-"));
        let text = fit(spelt.as_deref().unwrap_or(text), usize::from(width));
        let (end, _) = self.buffer.set_stringn(x, y, &text, usize::from(width), style);
        end - x
    }

    /// Writes pieces one after another.
    pub(super) fn pieces(&mut self, x: u16, y: u16, width: u16, pieces: &[Piece]) -> u16 {
        let mut used = 0;
        for (text, style) in pieces {
            if used >= width {
                break;
            }
            used += self.text(x + used, y, width - used, text, *style);
        }
        used
    }

    /// Writes text that ends at the right edge of `area`'s first row.
    pub(super) fn right(&mut self, area: Rect, text: &str, style: Style) {
        let width = (text.width() as u16).min(area.width);
        self.text(area.right() - width, area.y, width, text, style);
    }

    /// A horizontal rule.
    pub(super) fn rule(&mut self, area: Rect, style: Style) {
        self.text(area.x, area.y, area.width, &"─".repeat(usize::from(area.width)), style);
    }

    /// Styles an area without changing its text.
    pub(super) fn style(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area, style);
    }

    /// Empties an area.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
    }

    /// Marks the row of the cursor.
    pub(super) fn cursor(&mut self, x: u16, y: u16, selected: bool) {
        if selected {
            let style = self.theme.accent().add_modifier(ratatui::style::Modifier::BOLD);
            self.text(x, y, 1, super::theme::Glyphs::CURSOR, style);
        }
    }
}

/// Text cut to `width` columns, with `…` in place of what was cut.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// Text in at most `lines` lines of `width` columns, with `…` in place of what was cut.
pub(super) fn folded(text: &str, width: usize, lines: usize) -> Vec<String> {
    let parts = wrap(text, width.max(1));
    let cut = parts.len() > lines;
    let mut out: Vec<String> = parts.iter().take(lines).map(|part| part.trim_end().to_owned()).collect();
    if cut && let Some(last) = out.last_mut() {
        let mut short = fit(last, width.saturating_sub(1));
        if !short.ends_with('…') {
            short.push('…');
        }
        *last = short;
    }
    out
}

/// Text in at most `width` columns, cut in its middle so that its beginning and its end stay.
pub(super) fn amid(text: &str, width: usize) -> String {
    if text.width() <= width || width < 8 {
        return fit(text, width);
    }
    let mut end = text.len();
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > width / 2 {
            break;
        }
        end = at;
    }
    let tail = &text[end..];
    format!("{}{tail}", fit(text, width - tail.width()))
}

/// Where a text may be broken: at spaces, and where two of them part figures only there, as long as these are short.
fn words(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let figures = text.contains("  ");
    text.split_inclusive("  ").flat_map(move |group| {
        let whole = figures && group.width() <= most;
        let (one, several) = if whole { (Some(group), "") } else { (None, group) };
        one.into_iter().chain(several.split_inclusive(' '))
    })
}

/// Pieces in at most `most` lines of `width` columns, broken at spaces; later lines begin at `indent`.
pub(super) fn flow(pieces: &[Piece], width: usize, indent: usize, most: usize) -> Vec<Vec<Piece>> {
    let mut lines: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut used = 0;
    for (text, style) in pieces {
        for word in words(text, width / 2) {
            let wide = word.trim_end().width();
            if used + wide > width && used > indent && wide > 0 {
                if lines.len() == most {
                    break;
                }
                lines.push(vec![(" ".repeat(indent), Style::new())]);
                used = indent;
            }
            // A word longer than a line is broken where the line ends.
            for part in wrap(word, width.saturating_sub(indent).max(1)) {
                if used + part.trim_end().width() > width && used > indent && lines.len() < most {
                    lines.push(vec![(" ".repeat(indent), Style::new())]);
                    used = indent;
                }
                used += part.width();
                if let Some(line) = lines.last_mut() {
                    match line.last_mut().filter(|(_, last)| last == style) {
                        Some((last, _)) => last.push_str(part),
                        None => line.push((part.to_owned(), *style)),
                    }
                }
            }
        }
    }
    // Spaces at which a line was broken would count as cut off.
    for (text, _) in lines.iter_mut().filter_map(|line| line.last_mut()) {
        text.truncate(text.trim_end().len());
    }
    lines
}

/// Text in exactly `width` columns, cut or filled with spaces at the right.
pub(super) fn column(text: &str, width: usize) -> String {
    let mut text = fit(text, width);
    let missing = width.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// Text in exactly `width` columns, cut, or filled with spaces at the left.
pub(super) fn column_right(text: &str, width: usize) -> String {
    let text = fit(text, width);
    let missing = width.saturating_sub(text.width());
    format!("{}{text}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_name_keeps_both_its_ends() {
        assert_eq!(amid("request_duration_seconds_sum", 16), "request…onds_sum");
        assert_eq!(amid("request", 16), "request");
        assert_eq!(amid("request", 4), "req…");
        assert_eq!(amid("価格価格価格価格", 9), "価格…価格");
    }

    #[test]
    fn text_is_cut_by_columns_not_characters() {
        assert_eq!(fit("checkout", 5), "chec…");
        assert_eq!(fit("価格価格", 5), "価格…");
        assert_eq!(fit("ab", 2), "ab");
        assert_eq!(fit("ab", 0), "");
        assert_eq!(column("価", 4), "価  ");
        assert_eq!(column_right("7", 3), "  7");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_place(text in "[ -~価格🙂é]{0,40}", width in 0..30_usize) {
            prop_assert!(fit(&text, width).width() <= width);
            prop_assert_eq!(column(&text, width).width(), width);
        }
    }
}
