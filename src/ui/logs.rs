//! Raw log entries: time, level, service, line; cut and shifted, or wrapped.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthChar;

use crate::core::list::first_row;
use crate::core::model::{Case, Model};
use crate::core::reading::wrap;
use crate::core::rows;
use crate::core::screen::IncidentScreen;
use crate::domain::log::LogEntry;

use super::canvas::{Canvas, Piece, column};
use super::theme::Theme;
use super::waiting;

/// Columns before the line: time, level, service.
const BEFORE: usize = 13 + 6 + 15;

/// Draws the pane.
pub(super) fn draw(model: &Model, case: &Case, screen: &IncidentScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let list = screen.list();
    if case.investigation.value.is_none() {
        waiting(model, case, canvas, area);
        return;
    }
    let entries = rows::logs(case, list);
    let width = area.width.saturating_sub(2);
    if entries.is_empty() {
        let text = if list.filter.text.is_empty() {
            "no log entry came back; 7 shows what was asked"
        } else {
            "no entry contains that"
        };
        canvas.text(area.x + 2, area.y + 1, width, text, theme.dim());
        return;
    }
    let head = format!(
        "{} of {} entries{}{}",
        list.cursor + 1,
        entries.len(),
        if screen.wrap { " · wrapped" } else { "" },
        if screen.shift > 0 { format!(" · from column {}", screen.shift + 1) } else { String::new() }
    );
    canvas.text(area.x + 1, area.y, width, &head, theme.dim());
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let height = usize::from(body.height);
    let mut first = first_row(list.cursor, entries.len(), height);
    let room = usize::from(width).saturating_sub(BEFORE).max(10);
    if screen.wrap {
        // Wrapped entries take more rows: begin late enough that the selected one is in view.
        let rows_of = |entry: &LogEntry| wrap(&entry.line.one_line(), room).len();
        let mut rows: usize =
            entries[first..=list.cursor.min(entries.len() - 1)].iter().map(|(_, entry)| rows_of(entry)).sum();
        while rows > height && first < list.cursor {
            rows -= rows_of(entries[first].1);
            first += 1;
        }
    }
    let mut y = body.y;
    for (at, (_, entry)) in entries.iter().enumerate().skip(first) {
        if y >= body.bottom() {
            break;
        }
        let selected = at == list.cursor;
        canvas.cursor(body.x, y, selected);
        let line = entry.line.one_line();
        let parts: Vec<String> = if screen.wrap {
            wrap(&line, room).into_iter().map(ToOwned::to_owned).collect()
        } else {
            vec![shifted(&line, screen.shift)]
        };
        let text = if selected { theme.selected() } else { Style::new() };
        for (i, part) in parts.into_iter().enumerate() {
            if y >= body.bottom() {
                break;
            }
            let mut pieces = if i == 0 { before(entry, theme) } else { vec![(" ".repeat(BEFORE), Style::new())] };
            pieces.push((part, text));
            canvas.pieces(body.x + 1, y, width, &pieces);
            y += 1;
        }
    }
}

fn before(entry: &LogEntry, theme: Theme) -> Vec<Piece> {
    let level = level(entry);
    let style = match level {
        "ERROR" | "FATAL" => theme.bad(),
        "WARN" => theme.warn(),
        _ => theme.dim(),
    };
    vec![
        (format!("{} ", entry.at.format("%H:%M:%S%.3f")), theme.dim()),
        (column(level, 6), style),
        (format!("{} ", column(entry.labels.service().unwrap_or("-"), 14)), theme.dim()),
    ]
}

/// The level from metadata, labels, or the first telling word of the line.
fn level(entry: &LogEntry) -> &'static str {
    let named = ["detected_level", "level", "severity", "severity_text"]
        .iter()
        .find_map(|name| entry.metadata.get(name).or_else(|| entry.labels.get(name)));
    if let Some(named) = named {
        return known(named).unwrap_or("");
    }
    // Only the head of the line: a level stands there, and lines may be long.
    entry
        .line
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(16)
        .find_map(known)
        .unwrap_or("")
}

fn known(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "error" | "err" | "eror" => "ERROR",
        "fatal" | "panic" | "critical" | "crit" | "emerg" => "FATAL",
        "warn" | "warning" => "WARN",
        "info" | "notice" => "INFO",
        "debug" => "DEBUG",
        "trace" => "TRACE",
        _ => return None,
    })
}

/// The line from a column on.
fn shifted(line: &str, columns: usize) -> String {
    let mut skipped = 0;
    line.chars()
        .skip_while(|c| {
            let skip = skipped < columns;
            skipped += c.width().unwrap_or(0);
            skip
        })
        .collect()
}
