//! The items of a proof, beside or above the one that is shown, and its place in the graph.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::core::Model;
use crate::core::list::first_row;
use crate::core::reading::{
    before_after, change_word, factor, gist, items, neighbourhood, quantity, rate_change, shown,
};
use crate::core::screen::Screen;
use crate::domain::analysis::Analysis;
use crate::domain::evidence::{Detail, Evidence, LogChange, Turn};

use super::canvas::{Canvas, Piece, amid, column, fit};
use super::evidence;
use super::reader::pieces;
use super::sparkline;
use super::theme::severity_glyph;

/// Columns of a sparkline beside an item.
const SPARK: usize = 8;

/// Columns up to which a label's value tells series apart in a narrow list.
const APART: usize = 12;

/// Rows of the graph, its heading included.
const GRAPH: u16 = 14;

fn analysis(model: &Model) -> Option<&Analysis> {
    let Screen::Detail(detail) = model.top() else { return None };
    model.cases.get(&detail.incident)?.investigation.value.as_ref().map(|found| &found.analysis)
}

/// The items in a column of their own, and the place in the graph of the one shown.
pub(super) fn beside(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(analysis) = analysis(model) else { return };
    let theme = canvas.theme;
    let (ids, at) = items(model);
    let graph = if area.height > GRAPH * 2 { GRAPH } else { 0 };
    let height = area.height.saturating_sub(graph);
    let first = first_row(at, ids.len(), usize::from(height));
    let shown_ids = ids.iter().enumerate().skip(first).take(usize::from(height));
    for (row, (number, id)) in shown_ids.enumerate() {
        let y = area.y + row as u16;
        let Some(item) = analysis.evidence(*id) else { continue };
        mark(model, canvas, area.x, y, number == at);
        let width = area.width.saturating_sub(1);
        canvas.pieces(area.x + 1, y, width, &short(item, usize::from(width), number == at, canvas));
    }
    for y in area.top()..area.bottom() {
        canvas.text(area.right(), y, 1, "│", theme.dim());
    }
    if graph == 0 {
        return;
    }
    // Right below the items where they are few.
    let used = (ids.len().min(usize::from(height)) as u16 + 1).min(height);
    let (y, rows) = (area.y + used, GRAPH);
    let lines = match shown(model).map(|item| (&item.detail, item.service.as_deref())) {
        Some((Detail::Edge(edge), _)) => neighbourhood(analysis, &edge.client, Some(&edge.server)),
        Some((_, Some(service))) => neighbourhood(analysis, service, None),
        _ => return,
    };
    canvas.text(area.x + 1, y, area.width - 2, "place in the graph", theme.dim());
    for (y, line) in (y + 1..(y + rows).min(area.bottom())).zip(&lines) {
        canvas.pieces(area.x + 1, y, area.width.saturating_sub(2), &pieces(line, 0, theme));
    }
}

/// The items in a few rows, with a rule below.
pub(super) fn above(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(analysis) = analysis(model) else { return };
    let (ids, at) = items(model);
    let height = usize::from(area.height.saturating_sub(1));
    let first = first_row(at, ids.len(), height);
    for (row, (number, id)) in ids.iter().enumerate().skip(first).take(height).enumerate() {
        let y = area.y + row as u16;
        let Some(item) = analysis.evidence(*id) else { continue };
        mark(model, canvas, area.x, y, number == at);
        let width = area.width.saturating_sub(2);
        let line = evidence::line(item, usize::from(width), canvas.theme, number == at);
        canvas.pieces(area.x + 1, y, width, &line);
    }
    let style = canvas.theme.dim();
    canvas.rule(Rect { y: area.bottom().saturating_sub(1), height: 1, ..area }, style);
}

/// The cursor: hollow where the keys move the text.
fn mark(model: &Model, canvas: &mut Canvas<'_>, x: u16, y: u16, selected: bool) {
    let in_text = matches!(model.top(), Screen::Detail(detail) if detail.in_text);
    if selected && in_text {
        let style = canvas.theme.dim();
        canvas.text(x, y, 1, "▹", style);
    } else {
        canvas.cursor(x, y, selected);
    }
}

/// An item in a narrow column: id, what, and how much it changed.
fn short(item: &Evidence, width: usize, selected: bool, canvas: &Canvas<'_>) -> Vec<Piece> {
    let theme = canvas.theme;
    let text = if selected { theme.selected() } else { ratatui::style::Style::new() };
    let room = width.saturating_sub(6);
    let (name, tail): (String, Piece) = match &item.detail {
        Detail::Alert(alert) => {
            let severity = alert.severity();
            (alert.name().to_owned(), (severity_glyph(severity, false).to_owned(), theme.severity(severity)))
        }
        Detail::Metric(metric) => {
            let bars = sparkline::bars(&sparkline::fold(&metric.samples, SPARK));
            let style = if metric.turn == Turn::Flat { theme.accent_plain() } else { theme.bad() };
            // What tells the series of one metric apart is short: `p99`, `/pay`, `500`.
            let apart = metric.labels.iter().filter(|(name, value)| {
                item.service.as_deref() != Some(*value) && !evidence::INSTANCE.contains(name) && value.width() <= APART
            });
            let mut apart: Vec<&str> = apart.map(|(_, value)| value).collect();
            // Of pods alike the end of the name differs.
            let pod = metric.labels.get("pod").and_then(|pod| pod.rsplit('-').next());
            if apart.is_empty() {
                apart.extend(pod.filter(|end| end.width() <= APART));
            }
            let tail_width = bars.width() + 1;
            let quantity = quantity(&metric.metric);
            let name = if apart.is_empty() {
                // Metrics of one family differ at their end.
                amid(&quantity, room.saturating_sub(tail_width))
            } else {
                let apart = apart.join(" ");
                let left = room.saturating_sub(tail_width + apart.width() + 1).max(room / 3);
                format!("{} {apart}", fit(&quantity, left))
            };
            (name, (bars, style))
        }
        Detail::Log(log) => {
            let (word, style) = match log.change {
                Some(change @ (LogChange::New | LogChange::More)) => (change_word(change), theme.bad()),
                Some(change) => (change_word(change), theme.warn()),
                None => ("same", theme.dim()),
            };
            let tail = fit(&rate_change(log), room / 2);
            let line = format!("{word} {}", gist(&log.template.one_line()));
            return vec![
                (column(&item.id.to_string(), 5), theme.accent()),
                (word.to_owned(), style),
                (column(&line[word.len()..], room.saturating_sub(word.len() + tail.width() + 1)), text),
                (format!(" {tail}"), theme.dim()),
            ];
        }
        Detail::Edge(edge) => {
            let times = factor(edge.client_seconds.before, edge.client_seconds.after);
            let (_, errors) = before_after(edge.errors, "ratio");
            let tail = match (times.as_str(), edge.errors.after) {
                ("" | "same", Some(share)) if share > 0.0 => format!("{errors} fail"),
                _ => times,
            };
            (format!("{} → {}", edge.client, edge.server), (tail, theme.bad()))
        }
        Detail::Change(change) => {
            let what = format!("{} {}", change.kind, change.reference.one_line());
            (what, (change.at.to_clock(), theme.change()))
        }
        Detail::Runbook { .. } | Detail::Query { .. } => {
            (item.title.one_line().into_owned(), (String::new(), theme.dim()))
        }
    };
    let left = room.saturating_sub(tail.0.width() + 1);
    vec![(column(&item.id.to_string(), 5), theme.accent()), (column(&name, left), text), (" ".into(), text), tail]
}
