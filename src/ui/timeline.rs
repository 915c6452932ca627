//! What happened, in order: alerts, changes, onsets, and what this program did.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::core::list::first_row;
use crate::core::model::Case;
use crate::core::rows;
use crate::core::screen::IncidentScreen;

use super::canvas::{Canvas, Piece, column, column_right};
use super::in_full;
use super::suspects::offset;
use super::theme::severity_glyph;

/// Draws the pane.
pub(super) fn draw(case: &Case, screen: &IncidentScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let list = screen.list();
    let moments = rows::timeline(case, list);
    let mut body = area;
    if let Some(why) = &case.timeline.error {
        let text = format!("⚠ the ledger could not be read: {}", why.one_line());
        canvas.text(area.x + 1, area.y, area.width.saturating_sub(2), &text, theme.bad());
        body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    }
    if moments.is_empty() {
        canvas.text(
            body.x + 2,
            body.y + 1,
            body.width.saturating_sub(3),
            "nothing is known to have happened",
            theme.dim(),
        );
        return;
    }
    if let Some(moment) = moments.get(list.cursor) {
        body = in_full(&moment.text.one_line(), canvas, body);
    }
    let height = usize::from(body.height);
    let first = first_row(list.cursor, moments.len(), height);
    for (row, (at, moment)) in moments.iter().enumerate().skip(first).take(height).enumerate() {
        let y = body.y + row as u16;
        let selected = at == list.cursor;
        canvas.cursor(body.x, y, selected);
        let (glyph, style) = match moment.kind {
            "alert" => (severity_glyph(moment.severity, false), theme.severity(moment.severity)),
            "change" => ("◇", theme.warn()),
            "ledger" if moment.text.contains("OUTCOME UNKNOWN") => ("?", theme.bad()),
            "ledger" => ("●", theme.accent()),
            _ => ("•", theme.dim()),
        };
        let pieces: [Piece; 5] = [
            (format!("{} ", moment.at.to_clock()), theme.dim()),
            (format!("{} ", column_right(&offset(moment.at, case.incident.started_at), 8)), theme.dim()),
            (format!("{glyph} {}", column(moment.kind, 7)), style),
            (column(&moment.evidence.map(|id| id.to_string()).unwrap_or_default(), 5), theme.accent()),
            (moment.text.one_line().into_owned(), if selected { theme.selected() } else { Style::new() }),
        ];
        canvas.pieces(body.x + 1, y, body.width - 1, &pieces);
    }
}
