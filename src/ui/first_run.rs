//! The first screen where nothing is configured: what was found, what to do, and the demo.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::core::Model;
use crate::core::list::{List, first_row};

use super::canvas::{Canvas, Piece, column};

/// Draws the screen.
pub(super) fn draw(model: &Model, list: &List, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let Some(first) = &model.first_run else { return };
    let width = area.width.saturating_sub(3);
    let mut y = area.y + 1;
    canvas.text(area.x + 2, y, width, "Nothing is configured yet.", theme.strong());
    y += 2;
    let demo: [Piece; 2] = [
        ("d".into(), theme.accent()),
        ("  opens the demo: a recorded incident, no server and no key needed".into(), Style::new()),
    ];
    canvas.pieces(area.x + 2, y, width, &demo);
    y += 1;
    canvas.text(area.x + 2, y, width, &format!("To use your own sources write {}", first.config_path), Style::new());
    y += 2;
    if first.found.is_empty() {
        canvas.text(area.x + 2, y, width, "No source was found on this machine.", theme.dim());
        return;
    }
    canvas.text(area.x + 2, y, width, "Found on this machine:", theme.strong());
    y += 1;
    let height = usize::from(area.bottom().saturating_sub(y));
    let from = first_row(list.cursor, first.found.len(), height);
    for (row, (at, found)) in first.found.iter().enumerate().skip(from).take(height).enumerate() {
        let y = y + row as u16;
        canvas.cursor(area.x + 1, y, at == list.cursor);
        let pieces: [Piece; 2] = [(column(&found.what, 28), theme.strong()), (found.hint.clone(), Style::new())];
        canvas.pieces(area.x + 3, y, width.saturating_sub(1), &pieces);
    }
}
