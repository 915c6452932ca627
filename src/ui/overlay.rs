//! Help and palette: boxes over the screen they speak about.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::core::Model;
use crate::core::figures::count;
use crate::core::list::first_row;
use crate::core::palette::{Entry, entries, help_entries};
use crate::core::screen::{Palette, PasteBox, Reader};

use super::canvas::{Canvas, Piece, column, flow, folded};

/// Draws the keys of the screen below.
pub(super) fn help(model: &Model, reader: &Reader, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let entries = help_entries(model, &reader.search.text);
    let inner = frame(canvas, area, 100, entries.len() as u16 + 2, "Help: keys of this screen");
    let field = [
        ("search ".to_owned(), theme.dim()),
        (reader.search.text.clone(), theme.strong()),
        ("▌".to_owned(), theme.accent()),
    ];
    canvas.pieces(inner.x, inner.y, inner.width, &field);
    let body = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let (mut y, mut drawn) = (body.y, 0);
    for entry in entries.iter().skip(reader.scroll) {
        let keys: Vec<String> = entry.definition.keys.iter().map(ToString::to_string).collect();
        let mut pieces: Vec<Piece> =
            vec![(column(&keys.join(" "), 12), theme.accent()), (entry.definition.help.to_owned(), Style::new())];
        if let Some(why) = &entry.disabled {
            pieces.push((format!("  (not now: {why})"), theme.warn()));
        }
        let lines = flow(&pieces, usize::from(body.width), 12, 3);
        if usize::from(body.bottom() - y) < lines.len() {
            break;
        }
        for pieces in lines {
            canvas.pieces(body.x, y, body.width, &pieces);
            y += 1;
        }
        drawn += 1;
    }
    let below = entries.len().saturating_sub(reader.scroll + drawn);
    if below > 0 {
        canvas.right(Rect { height: 1, ..inner }, &format!("{below} more below"), theme.dim());
    }
    if entries.is_empty() {
        canvas.text(body.x, body.y, body.width, "no key does that here", theme.dim());
    }
}

/// Draws the commands that match what was typed.
pub(super) fn palette(model: &Model, palette: &Palette, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let entries = entries(model, &palette.input.text);
    let inner = frame(canvas, area, 90, (entries.len() as u16).max(1) + 4, "Commands");
    let field = [
        (":".to_owned(), theme.accent()),
        (palette.input.text.clone(), theme.strong()),
        ("▌".to_owned(), theme.accent()),
    ];
    canvas.pieces(inner.x, inner.y, inner.width, &field);
    let mut body = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    // The chosen one in full, below the list.
    if let Some(entry) = entries.get(palette.cursor).filter(|_| body.height > 6) {
        let text = entry.disabled.as_ref().map_or(entry.definition.help.to_owned(), |why| format!("not now: {why}"));
        body.height -= 2;
        for (y, line) in (body.bottom()..inner.bottom()).zip(folded(&text, usize::from(inner.width), 2)) {
            canvas.text(inner.x, y, inner.width, &line, theme.accent());
        }
    }
    let height = usize::from(body.height);
    let first = first_row(palette.cursor, entries.len(), height);
    for (row, (at, entry)) in entries.iter().enumerate().skip(first).take(height).enumerate() {
        let y = body.y + row as u16;
        canvas.cursor(body.x, y, at == palette.cursor);
        canvas.pieces(body.x + 2, y, body.width.saturating_sub(2), &entry_line(entry, at == palette.cursor, canvas));
    }
    if entries.is_empty() {
        canvas.text(body.x, body.y, body.width, "no command is called that", theme.dim());
    }
}

/// Draws what was pasted of an answer so far.
pub(super) fn paste(open: &PasteBox, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let inner = frame(canvas, area, 100, area.height.saturating_sub(6).max(6), "Answer of a model elsewhere");
    let lines = open.text.lines().count();
    let (head, style) = if open.text.is_empty() {
        (
            "paste it with your terminal: nothing is sent, and it is checked like any other answer".to_owned(),
            theme.dim(),
        )
    } else if open.dropped > 0 {
        (format!("too long: {} characters found no room", count(open.dropped as u64)), theme.bad())
    } else {
        let characters = count(open.text.chars().count() as u64);
        (format!("{characters} characters in {lines} lines · ⏎ checks it · nothing is run or sent"), theme.strong())
    };
    canvas.text(inner.x, inner.y, inner.width, &head, style);
    let body = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    // The end of it, as far as there is room: what came last shows that all of it came.
    let room = usize::from(body.height);
    for (y, line) in (body.y..).zip(open.text.lines().skip(lines.saturating_sub(room))) {
        canvas.text(body.x, y, body.width, line, theme.dim());
    }
}

fn entry_line(entry: &Entry, selected: bool, canvas: &Canvas<'_>) -> Vec<Piece> {
    let theme = canvas.theme;
    let possible = entry.disabled.is_none();
    let name = if !possible {
        theme.dim()
    } else if selected {
        theme.selected()
    } else {
        Style::new()
    };
    let key = entry.definition.keys.first().map(ToString::to_string).unwrap_or_default();
    let mut pieces = vec![(column(entry.definition.name, 18), name), (column(&key, 7), theme.accent())];
    match &entry.disabled {
        Some(why) => pieces.push((format!("not now: {why}"), theme.warn())),
        None => pieces.push((entry.definition.help.to_owned(), theme.dim())),
    }
    pieces
}

/// Draws a box in the middle of `area` and returns its inside.
pub(super) fn frame(canvas: &mut Canvas<'_>, area: Rect, width: u16, height: u16, title: &str) -> Rect {
    let style = canvas.theme.accent();
    frame_in(canvas, area, width, height, title, if canvas.theme.colours { style } else { Style::new() })
}

/// Draws a box in a style of its own.
pub(super) fn frame_in(
    canvas: &mut Canvas<'_>,
    area: Rect,
    width: u16,
    height: u16,
    title: &str,
    style: Style,
) -> Rect {
    let width = width.min(area.width.saturating_sub(2)).max(4);
    let height = (height + 2).min(area.height).max(3);
    let outer = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    // A blank column at each side, lest what lies below seems to belong to the box.
    let margin = Rect { x: outer.x.saturating_sub(1), width: outer.width + 2, ..outer };
    canvas.clear(margin.intersection(area));
    let across = usize::from(width) - 2;
    let title = super::canvas::fit(&format!(" {title} "), across);
    let top = format!("┌{title}{}┐", "─".repeat(across.saturating_sub(title.width())));
    canvas.text(outer.x, outer.y, width, &top, style);
    for y in outer.y + 1..outer.bottom() - 1 {
        canvas.text(outer.x, y, 1, "│", style);
        canvas.text(outer.right() - 1, y, 1, "│", style);
    }
    canvas.text(outer.x, outer.bottom() - 1, width, &format!("└{}┘", "─".repeat(across)), style);
    Rect { x: outer.x + 2, y: outer.y + 1, width: width.saturating_sub(4), height: height - 2 }
}
