//! Evidence in one line each, and the list of all.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::core::figures::figure;
use crate::core::list::first_row;
use crate::core::model::{Case, Model};
use crate::core::reading::{before_after, change_word, evidence_lines, quantity, rate_change};
use crate::core::rows;
use crate::core::screen::IncidentScreen;
use crate::domain::evidence::{Detail, EdgeDetail, Evidence, LogChange, LogDetail, MetricDetail, Turn};

use super::canvas::{Canvas, Piece, column, fit, flow};
use super::reader::pieces;
use super::suspects::chart_of;
use super::theme::{Theme, severity_glyph};
use super::{sparkline, waiting};

/// Fewest rows in which the selected item is shown below the list.
const PREVIEW: u16 = 8;

/// A width at which nothing is cut: the line is folded afterwards.
const FULL: usize = 600;

/// Widths of a list that has room for more than the needful.
const WIDE: std::ops::Range<usize> = 100..FULL / 2;

/// Columns of a sparkline at the end of a metric's line.
const SPARK: usize = 20;

/// Draws the list of evidence.
pub(super) fn draw(model: &Model, case: &Case, screen: &IncidentScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let list = screen.list();
    let items = rows::evidence(case, list);
    if items.is_empty() {
        if case.investigation.value.is_some() {
            let text = "nothing deviates from its baseline beyond chance";
            canvas.text(area.x + 2, area.y + 1, area.width.saturating_sub(3), text, theme.dim());
        } else {
            waiting(model, case, canvas, area);
        }
        return;
    }
    // What is left below the list shows the selected item at once.
    let preview = area.height.saturating_sub((items.len() as u16).min(area.height / 2) + 1);
    let preview = if preview >= PREVIEW { preview } else { 0 };
    let height = usize::from(if preview > 0 { area.height - preview - 1 } else { area.height });
    if preview > 0
        && let Some(item) = items.get(list.cursor)
    {
        let y = area.bottom() - preview;
        canvas.rule(Rect { y: y - 1, height: 1, ..area }, theme.dim());
        show(case, item, canvas, Rect { y, height: preview, ..area });
    }
    let first = first_row(list.cursor, items.len(), height);
    for (row, (at, item)) in items.iter().enumerate().skip(first).take(height).enumerate() {
        let y = area.y + row as u16;
        canvas.cursor(area.x, y, at == list.cursor);
        if screen.marked.contains(&item.id) {
            canvas.text(area.x + 1, y, 1, "✓", theme.accent());
        }
        let width = area.width.saturating_sub(3);
        let pieces = line(item, usize::from(width), theme, at == list.cursor);
        canvas.pieces(area.x + 2, y, width, &pieces);
    }
}

/// The item with its chart, as far as there is room.
fn show(case: &Case, item: &Evidence, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let mut body = area;
    if let Detail::Metric(metric) = &item.detail
        && !metric.samples.is_empty()
    {
        let height = (area.height / 2).clamp(6, 16);
        chart_of(case, item.onset, metric, canvas, Rect { height, width: area.width - 1, ..area });
        body = Rect { y: area.y + height, height: area.height - height, ..area };
    }
    let lines = evidence_lines(item, usize::from(area.width.saturating_sub(2)), usize::from(body.height));
    for (y, line) in (body.top()..body.bottom()).zip(&lines) {
        canvas.pieces(body.x + 1, y, body.width - 1, &pieces(line, 0, theme));
    }
}

/// One item in as many as `most` lines, as much of it as there is room for.
pub(super) fn lines(item: &Evidence, width: usize, most: usize, theme: Theme, selected: bool) -> Vec<Vec<Piece>> {
    if most <= 1 {
        return vec![line(item, width, theme, selected)];
    }
    let whole = line(item, FULL, theme, selected);
    match (&item.detail, whole.as_slice()) {
        // The figures of a metric matter more than the end of its name: they keep a line of their own.
        (Detail::Metric(_), [id, name, figures @ ..])
            if whole.iter().map(|(text, _)| text.width()).sum::<usize>() > width =>
        {
            let first = vec![id.clone(), (fit(&name.0, width.saturating_sub(5)), name.1)];
            let mut second = vec![("   ".to_owned(), Style::new())];
            second.extend_from_slice(figures);
            vec![first, second]
        }
        _ => flow(&whole, width, 5, most),
    }
}

/// One item in one line of at most `width` columns.
pub(super) fn line(item: &Evidence, width: usize, theme: Theme, selected: bool) -> Vec<Piece> {
    let text = if selected { theme.selected() } else { Style::new() };
    let mut pieces = vec![(column(&item.id.to_string(), 5), theme.accent())];
    let width = width.saturating_sub(5);
    match &item.detail {
        Detail::Alert(alert) => {
            let severity = alert.severity();
            pieces.push((format!("{} ", severity_glyph(severity, false)), theme.severity(severity)));
            // Alerts of one rule read the same: the service tells them apart.
            let service = item.service.as_deref().map(|name| format!("{name}  ")).unwrap_or_default();
            let title = item.title.one_line();
            pieces.push((fit(&format!("{service}{title}"), width.saturating_sub(2)), text));
        }
        Detail::Metric(metric) => metric_line(item, metric, width, theme, text, &mut pieces),
        Detail::Log(log) => log_line(item, log, width, theme, text, &mut pieces),
        Detail::Edge(edge) => edge_line(item, edge, width, theme, text, &mut pieces),
        Detail::Change(change) => {
            pieces.push((format!("{} ", change.at.format("%H:%M:%S")), theme.dim()));
            pieces.push((fit(&item.title.one_line(), width.saturating_sub(26)), text));
            if let Some(diff) = &change.diff {
                let added = diff.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++")).count();
                let removed = diff.lines().filter(|line| line.starts_with('-') && !line.starts_with("---")).count();
                pieces.push((format!("  +{added} "), theme.good()));
                pieces.push((format!("−{removed}"), theme.bad()));
                pieces.push(("  ⏎ diff".into(), theme.dim()));
            }
        }
        Detail::Runbook { .. } | Detail::Query { .. } => {
            pieces.push((fit(&item.title.one_line(), width), text));
        }
    }
    pieces
}

/// Labels that name an instance, of which there are many alike.
pub(super) const INSTANCE: [&str; 6] = ["pod", "instance", "host", "node", "container", "job"];

/// Labels that all series of a deployment share.
const PLACE: [&str; 5] = ["namespace", "cluster", "job", "datname", "environment"];

/// A metric with its labels, those that say where last: the others tell it from its siblings.
fn metric_name(item: &Evidence, metric: &MetricDetail) -> String {
    let quantity = quantity(&metric.metric);
    if metric.labels.is_empty() {
        return quantity;
    }
    // Short ones come first; of instances there are many alike.
    let place = |name: &str, value: &str| {
        if item.service.as_deref() == Some(value) || PLACE.contains(&name) {
            2
        } else {
            u8::from(INSTANCE.contains(&name))
        }
    };
    let mut labels: Vec<_> = metric.labels.iter().collect();
    labels.sort_by_key(|(name, value)| place(name, value));
    let labels: Vec<String> = labels.into_iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{quantity}{{{}}}", labels.join(","))
}

fn metric_line(item: &Evidence, metric: &MetricDetail, width: usize, theme: Theme, text: Style, out: &mut Vec<Piece>) {
    let show = |value| figure(value, &metric.unit);
    let base = if metric.baseline.count == 0 {
        "base none".to_owned()
    } else {
        let (low, high) = (show(metric.baseline.low), show(metric.baseline.high));
        if low == high { format!("base {low}") } else { format!("base {low}–{high}") }
    };
    let since = since(item);
    // What came back to normal was elsewhere in between.
    let normal = |value: f64| (metric.baseline.low..=metric.baseline.high).contains(&value);
    let peak = match metric.turn {
        Turn::Up | Turn::Down if metric.baseline.count > 0 && normal(metric.last) && !normal(metric.peak) => {
            format!("  {} {}", if metric.turn == Turn::Up { "high" } else { "low" }, show(metric.peak))
        }
        _ => String::new(),
    };
    let figures = format!("  {base}{peak}  now {}", show(metric.last));
    let wide = WIDE.contains(&width);
    let spark = if wide { SPARK + 2 } else { 0 };
    // Half a time misleads: it stays away where it does not fit as a whole.
    let fits = figures.chars().count() + since.chars().count() <= width - width / 3;
    let since = if fits { since } else { String::new() };
    let tail = figures.chars().count() + since.chars().count() + spark;
    let name = metric_name(item, metric);
    let name = match &item.service {
        Some(service) if !name.contains(service.as_str()) => format!("{service}  {name}"),
        _ => name,
    };
    let room = width.saturating_sub(tail).max(width / 3);
    out.push((if wide { column(&name, room) } else { fit(&name, room) }, text));
    out.push((figures, Style::new()));
    out.push((since, theme.dim()));
    if wide {
        out.push((format!("  {}", sparkline::bars(&sparkline::fold(&metric.samples, SPARK))), theme.accent()));
    }
}

/// When it began.
fn since(item: &Evidence) -> String {
    item.onset.map(|at| format!("  since {}", at.to_clock())).unwrap_or_default()
}

fn log_line(item: &Evidence, log: &LogDetail, width: usize, theme: Theme, text: Style, out: &mut Vec<Piece>) {
    let (word, style) = match log.change {
        Some(change @ (LogChange::New | LogChange::More)) => (change_word(change), theme.bad()),
        Some(change) => (change_word(change), theme.warn()),
        None => ("same", theme.dim()),
    };
    let counts = column(&rate_change(log), 14);
    out.push((column(word, 6), style));
    out.push((format!("{counts} "), theme.dim()));
    let room = width.saturating_sub(21);
    let since = if WIDE.contains(&width) && log.change.is_some() { since(item) } else { String::new() };
    if since.is_empty() {
        out.push((fit(&log.template.one_line(), room), text));
    } else {
        out.push((column(&log.template.one_line(), room - since.chars().count()), text));
        out.push((since, theme.dim()));
    }
}

fn edge_line(item: &Evidence, edge: &EdgeDetail, width: usize, theme: Theme, text: Style, out: &mut Vec<Piece>) {
    let name = format!("{} → {}", edge.client, edge.server);
    let mut figures = String::new();
    for (label, pair, unit) in [
        ("p95", edge.p95, "s"),
        ("errors", edge.errors, "ratio"),
        ("time", edge.client_seconds, "s"),
        ("rate", edge.rate, "/s"),
    ] {
        if pair.before.is_some() || pair.after.is_some() {
            let (before, after) = before_after(pair, unit);
            let one = format!("  {label} {before} → {after}");
            // Half a figure misleads: what does not fit as a whole stays away.
            if name.chars().count() + figures.chars().count() + one.chars().count() <= width {
                figures.push_str(&one);
            }
        }
    }
    let since = since(item);
    let used = name.chars().count() + figures.chars().count();
    out.push((fit(&name, width / 2), text));
    out.push((figures, Style::new()));
    if used + since.chars().count() <= width {
        out.push((since, theme.dim()));
    }
}
