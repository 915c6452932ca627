//! Exactly what was asked of which source, how long it took and what came back.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::core::figures::count;
use crate::core::list::first_row;
use crate::core::model::{Case, Model};
use crate::core::reading::why;
use crate::core::rows;
use crate::core::screen::IncidentScreen;
use crate::domain::query::NoteKind;

use super::canvas::{Canvas, Piece, column, column_right};
use super::{in_full, waiting};

/// Draws the pane.
pub(super) fn draw(model: &Model, case: &Case, screen: &IncidentScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let list = screen.list();
    if case.investigation.value.is_none() {
        waiting(model, case, canvas, area);
        return;
    }
    let questions = rows::asked(case, list);
    let failed = questions.iter().filter(|(_, asked)| asked.outcome.is_err()).count();
    let cut = questions.iter().filter(|(_, asked)| asked.notes.iter().any(|note| note.kind == NoteKind::Cut)).count();
    let head = format!(
        "{} questions · {failed} failed · {cut} cut     source, time, items answered, question",
        questions.len()
    );
    canvas.text(area.x + 1, area.y, area.width - 1, &head, if failed + cut > 0 { theme.warn() } else { theme.dim() });
    let mut body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if let Some((_, asked)) = questions.get(list.cursor) {
        let query = &asked.planned.query;
        // Pages of one stream differ in nothing but their times.
        let times = query.range().map_or_else(String::new, |range| {
            let (from, to) = (range.start.to_clock(), range.end.to_clock());
            if from == to { format!(" at {from}") } else { format!(" from {from} to {to}") }
        });
        let text = format!("{}{times}: {}", why(asked), query.expression().replace('\n', " "));
        body = in_full(&text, canvas, body);
    }
    let height = usize::from(body.height);
    let first = first_row(list.cursor, questions.len(), height);
    let wide = area.width >= 100;
    for (row, (at, (_, asked))) in questions.iter().enumerate().skip(first).take(height).enumerate() {
        let y = body.y + row as u16;
        let selected = at == list.cursor;
        canvas.cursor(body.x, y, selected);
        let cut = asked.notes.iter().any(|note| note.kind == NoteKind::Cut);
        let (glyph, style, items) = match &asked.outcome {
            Ok(_) if cut => ("◐", theme.warn(), String::new()),
            Ok(_) => ("✓", theme.good(), String::new()),
            Err(why) => ("✗", theme.bad(), why.one_line().into_owned()),
        };
        let number = asked.outcome.as_ref().map_or_else(|_| "-".to_owned(), |items| count(*items as u64));
        let mut pieces: Vec<Piece> = vec![
            (format!("{glyph} "), style),
            (column(&asked.source, if wide { 14 } else { 6 }), Style::new()),
            (format!("{} ", column_right(&format!("{} ms", count(asked.elapsed_ms)), 9)), theme.dim()),
            (format!("{} ", column_right(&number, 7)), theme.dim()),
        ];
        if wide {
            pieces.push((format!("{} ", column(&why(asked), 24)), theme.dim()));
        }
        if !items.is_empty() {
            pieces.push((format!("{items} · "), theme.bad()));
        }
        if let Some(note) = asked.notes.first() {
            pieces.push((format!("⚠ {} · ", note.text.one_line()), theme.warn()));
        }
        let text = if selected { theme.selected() } else { Style::new() };
        pieces.push((asked.planned.query.expression().replace('\n', " "), text));
        canvas.pieces(body.x + 1, y, body.width - 1, &pieces);
    }
}
