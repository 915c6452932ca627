//! Long texts: a proof with its items and its chart, the pack, the state of the sources.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::core::Model;
use crate::core::list::contains;
use crate::core::reading::{Layout, Line, Role, layout, page, reader, shown};
use crate::core::screen::Screen;
use crate::domain::evidence::Detail;

use super::canvas::{Canvas, Piece};
use super::proof;
use super::suspects::chart_of;
use super::theme::Theme;

/// Draws the text on top.
pub(super) fn draw(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    // An overlay on top asks for the lines of the screen below; there are none then.
    let Some(reader) = reader(model) else { return };
    let Layout { beside, above, chart, .. } = layout(model);
    let mut body = area;
    if beside > 0 {
        proof::beside(model, canvas, Rect { width: beside.min(area.width), ..area });
        body = Rect { x: area.x + beside + 1, width: area.width.saturating_sub(beside + 1), ..area };
    } else if above > 0 {
        proof::above(model, canvas, Rect { height: above.min(area.height), ..area });
        body = Rect { y: area.y + above, height: area.height.saturating_sub(above), ..area };
    }
    if chart > 0 {
        self::chart(model, canvas, Rect { height: chart.min(body.height), ..body });
        body = Rect { y: body.y + chart, height: body.height.saturating_sub(chart), ..body };
    }
    if body.width < 2 {
        return;
    }
    let Some(page) = page(model, reader.scroll..reader.scroll + usize::from(body.height)) else { return };
    for (y, line) in (body.top()..body.bottom()).zip(&page.lines) {
        canvas.pieces(body.x + 1, y, body.width - 1, &pieces(line, reader.shift, theme));
        if !reader.search.text.is_empty() && contains(&line.text, &reader.search.text) {
            canvas.style(Rect { x: body.x, y, width: 1, height: 1 }, theme.focus());
        }
    }
    let below = page.len.saturating_sub(reader.scroll + usize::from(body.height));
    // On the rule above the text, where it hides nothing.
    if below > 0 && area.y > 0 {
        let keys = if matches!(model.top(), Screen::Detail(detail) if !detail.in_text) { ": Ctrl-d" } else { "" };
        let place = format!(" {below} more below{keys} ");
        canvas.right(Rect { y: area.y - 1, height: 1, ..area }, &place, theme.dim());
    }
}

/// A line as pieces of one style each, from a column on.
pub(super) fn pieces(line: &Line, shift: usize, theme: Theme) -> Vec<Piece> {
    let base = role_style(line.role, theme);
    let skip = skipped(&line.text, shift);
    let mut pieces = Vec::new();
    let mut at = skip;
    let mut put = |from: usize, to: usize, style: Style| {
        if let Some(text) = line.text.get(from..to).filter(|text| !text.is_empty()) {
            pieces.push((text.to_owned(), style));
        }
    };
    for (range, role) in &line.marks {
        let (from, to) = (range.start.max(at), range.end.max(at).min(line.text.len()));
        put(at, from, base);
        put(from, to, role_style(*role, theme));
        at = to;
    }
    put(at, line.text.len(), base);
    pieces
}

/// Bytes before a column.
fn skipped(text: &str, columns: usize) -> usize {
    if columns == 0 || text.width() <= columns {
        return if columns == 0 { 0 } else { text.len() };
    }
    let mut used = 0;
    let kept = text.char_indices().find(|(_, c)| {
        let here = used >= columns;
        used += c.width().unwrap_or(0);
        here
    });
    kept.map_or(text.len(), |(at, _)| at)
}

/// How a piece of a text looks.
pub(super) fn role_style(role: Role, theme: Theme) -> Style {
    match role {
        Role::Heading => theme.strong(),
        Role::Plain => Style::new(),
        Role::Dim => theme.dim(),
        Role::Warning => theme.warn(),
        Role::Bad | Role::Removed => theme.bad(),
        Role::Good | Role::Added => theme.good(),
        Role::Accent | Role::Hunk => theme.accent_plain(),
        Role::Variable => theme.variable(),
    }
}

fn chart(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let Screen::Detail(detail) = model.top() else { return };
    let Some(case) = model.cases.get(&detail.incident) else { return };
    if let Some(item) = shown(model)
        && let Detail::Metric(metric) = &item.detail
    {
        chart_of(case, item.onset, metric, canvas, Rect { width: area.width.saturating_sub(1), ..area });
    }
}
