//! Long texts: a proof with its chart, the pack, the state of the sources.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::core::Model;
use crate::core::list::contains;
use crate::core::reading::{Role, chart_rows, lines, reader, shows_chart};
use crate::core::screen::{Screen, Subject};
use crate::domain::evidence::Detail;

use super::canvas::Canvas;
use super::suspects::chart_of;
use super::theme::Theme;

/// Draws the text on top.
pub(super) fn draw(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let mut body = area;
    if shows_chart(model) {
        let height = chart_rows(model.size.1) as u16;
        chart(model, canvas, Rect { height, ..area });
        body = Rect { y: area.y + height, height: area.height.saturating_sub(height), ..area };
    }
    // An overlay on top asks for the lines of the screen below; there are none then.
    let (Some(lines), Some(reader)) = (lines(model), reader(model)) else { return };
    for (y, line) in (body.top()..body.bottom()).zip(lines.iter().skip(reader.scroll)) {
        canvas.text(body.x + 1, y, body.width - 1, &line.text, role_style(line.role, theme));
        if !reader.search.text.is_empty() && contains(&line.text, &reader.search.text) {
            canvas.style(Rect { x: body.x, y, width: 1, height: 1 }, theme.focus());
        }
    }
    let below = lines.len().saturating_sub(reader.scroll + usize::from(body.height));
    // On the rule above the text, where it hides nothing.
    if below > 0 && area.y > 0 {
        let place = format!(" {below} more below ");
        canvas.right(Rect { y: area.y - 1, height: 1, ..area }, &place, theme.dim());
    }
}

/// How a line of a text looks.
pub(super) fn role_style(role: Role, theme: Theme) -> Style {
    match role {
        Role::Heading => theme.strong(),
        Role::Plain => Style::new(),
        Role::Dim => theme.dim(),
        Role::Warning => theme.warn(),
        Role::Added => theme.good(),
        Role::Removed => theme.bad(),
        Role::Hunk => theme.accent(),
    }
}

fn chart(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let Screen::Detail(detail) = model.top() else { return };
    let Subject::Evidence { ids, at } = &detail.subject else { return };
    let Some(case) = model.cases.get(&detail.incident) else { return };
    let found = case.investigation.value.as_ref();
    let Some(item) = ids.get(*at).and_then(|id| found?.analysis.evidence(*id)) else { return };
    if let Detail::Metric(metric) = &item.detail {
        chart_of(case, item.onset, metric, canvas, Rect { width: area.width - 1, ..area });
    }
}
