//! The incidents board: what is broken, how bad, the likely cause; below it a summary of the selected one.

use ratatui::layout::Rect;

use crate::core::list::{List, first_row};
use crate::core::model::{Case, Model};
use crate::core::{figures, pace, rows};
use crate::domain::alert::Severity;

use super::canvas::{Canvas, Piece, column, column_right};
use super::sparkline;
use super::theme::{severity_glyph, severity_word};

/// Rows of the summary below the list.
const SUMMARY: u16 = 8;

/// Draws the board.
pub(super) fn draw(model: &Model, list: &List, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let cases = rows::board(model, list);
    if cases.is_empty() {
        empty(model, list, canvas, area);
        return;
    }
    let summary = if area.height >= SUMMARY + 6 { SUMMARY } else { 0 };
    let height = area.height - summary;
    let first = first_row(list.cursor, cases.len(), usize::from(height));
    for (row, (at, case)) in cases.iter().enumerate().skip(first).take(usize::from(height)).enumerate() {
        let y = area.y + row as u16;
        line(model, case, at == list.cursor, canvas, Rect { y, height: 1, ..area });
    }
    if !list.filter.text.is_empty() {
        let y = area.bottom() - 1;
        if cases.len() < usize::from(height) {
            canvas.text(
                area.x + 1,
                y,
                area.width - 1,
                &format!("filter: {}  (Esc clears)", list.filter.text),
                theme.dim(),
            );
        }
    }
    if summary > 0
        && let Some(case) = cases.get(list.cursor)
    {
        let y = area.y + (cases.len() as u16).min(height);
        summarise(case, canvas, Rect { y, height: summary, ..area });
    }
}

fn empty(model: &Model, list: &List, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let mut y = area.y + 1;
    let mut say = |text: &str, style| {
        canvas.text(area.x + 2, y, area.width - 3, text, style);
        y += 1;
    };
    if !list.filter.text.is_empty() {
        say(&format!("no incident matches \"{}\"  (Esc clears the filter)", list.filter.text), theme.dim());
        return;
    }
    match (&model.board.value, &model.board.error) {
        (_, Some(why)) => {
            say("✗ alerts are not known", theme.bad());
            for line in crate::core::reading::wrap(&why.one_line(), usize::from(area.width.saturating_sub(3)).max(10)) {
                say(line, theme.strong());
            }
            say("r asks again   S shows the state of each source", theme.dim());
        }
        (Some(_), None) => {
            say("✓ no incident: no alert is firing", theme.good());
            say("new ones appear here by themselves", theme.dim());
        }
        (None, None) => say("asking for alerts …", theme.dim()),
    }
    for source in model.sources.iter().filter(|source| source.error.is_some()) {
        let error = source.error.as_deref().unwrap_or_default().replace('\n', " ");
        say(
            &format!("{} {}: {error}", super::theme::status_glyph(source.status), source.name),
            theme.status(source.status),
        );
    }
}

fn line(model: &Model, case: &Case, selected: bool, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let incident = &case.incident;
    let resolved = incident.is_resolved();
    let severity = if resolved { Severity::Unknown } else { incident.severity };
    canvas.cursor(area.x, area.y, selected);
    let wide = area.width >= 100;
    let spark = if wide { sparkline::of_alerts(incident, 9) } else { String::new() };
    let alerts = format!("{} alerts", figures::count(incident.alerts.len() as u64));
    let age = pace::age(incident.started_at, model.now);
    let cause_width = if wide { 34 } else { 18 };
    let fixed = 12 + 7 + cause_width + 2 + if wide { 14 + 11 } else { 0 };
    let title_width = usize::from(area.width.saturating_sub(1)).saturating_sub(fixed).max(8);
    let text = if selected { theme.selected() } else { ratatui::style::Style::new() };
    let mut pieces: Vec<Piece> = vec![
        (
            format!("{} {}  ", severity_glyph(incident.severity, resolved), severity_word(incident.severity, resolved)),
            theme.severity(severity),
        ),
        (column(&incident.title.one_line(), title_width), text),
        (format!("{}  ", column_right(&age, 6)), theme.dim()),
        (column(&cause(case), cause_width), text),
    ];
    if wide {
        pieces.push((format!("{}  ", column_right(&alerts, 14)), theme.dim()));
        pieces.push((spark, theme.severity(severity)));
    }
    canvas.pieces(area.x + 1, area.y, area.width - 1, &pieces);
}

/// The likely cause in a few words, or how far we are.
fn cause(case: &Case) -> String {
    if let Some(found) = &case.investigation.value {
        let Some(suspect) = found.analysis.suspects.first() else { return "nothing abnormal found".into() };
        let change = found.analysis.changes.first().and_then(|ranked| found.analysis.evidence(ranked.evidence));
        return match change {
            Some(item) if item.service.as_deref() == Some(suspect.service.as_str()) => {
                format!("{} ← {}", suspect.service, item.title.one_line())
            }
            _ => format!("likely {}", suspect.service),
        };
    }
    progress(case)
}

/// How far an investigation is, in words.
pub(super) fn progress(case: &Case) -> String {
    let slot = &case.investigation;
    match (&slot.progress, slot.busy(), &slot.error) {
        (Some(progress), true, _) if progress.total > 0 => format!("asked {} of {} …", progress.done, progress.total),
        (_, true, _) => "investigating …".into(),
        (_, false, Some(_)) => "✗ not investigated".into(),
        (_, false, None) => String::new(),
    }
}

fn summarise(case: &Case, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let incident = &case.incident;
    let detected = incident.alerts.iter().map(|alert| alert.starts_at).min().unwrap_or(incident.started_at);
    let when = format!("started {} · first alert {} ", incident.started_at.to_clock(), detected.to_clock());
    canvas.right(Rect { y: area.y + 1, height: 1, ..area }, &when, theme.dim());
    let width = area.width.saturating_sub(when.chars().count() as u16 + 2);
    canvas.text(area.x + 1, area.y + 1, width, &incident.title.one_line(), theme.strong());
    let mut y = area.y + 2;
    let mut row = |label: &str, text: &str, style: ratatui::style::Style| {
        if y < area.bottom() {
            canvas.text(area.x + 3, y, 9, label, theme.dim());
            canvas.text(area.x + 11, y, area.width.saturating_sub(12), text, style);
        }
        y += 1;
    };
    let plain = ratatui::style::Style::new();
    if let Some(found) = &case.investigation.value {
        for (suspect, label) in found.analysis.suspects.iter().zip(["likely", "then"]) {
            let signals: Vec<&str> = suspect.signals.iter().take(3).map(|signal| signal.text.as_str()).collect();
            row(label, &format!("{}  {}  {}", suspect.service, score(suspect.score), signals.join(" · ")), plain);
        }
        if found.analysis.suspects.is_empty() {
            row("likely", "nothing deviates beyond chance: no guess is made", plain);
        }
        let change = found.analysis.changes.first();
        let text = change.and_then(|ranked| {
            let item = found.analysis.evidence(ranked.evidence)?;
            Some(format!("{} {} · {}", item.id, item.title.one_line(), ranked.why))
        });
        row("change", text.as_deref().unwrap_or("none explains it"), plain);
    } else {
        let what = case.investigation.progress.as_ref().map(|progress| progress.what.one_line().into_owned());
        row("status", &format!("{}  {}", progress(case), what.unwrap_or_default()), plain);
        if let Some(why) = &case.investigation.error {
            row("", &why.one_line(), theme.bad());
        }
    }
    if !incident.services.is_empty() {
        row("touches", &incident.services.join(", "), plain);
    }
    let runbook = incident
        .alerts
        .iter()
        .find_map(|alert| alert.annotations.get("runbook_url").or_else(|| alert.annotations.get("runbook")));
    if let Some(runbook) = runbook {
        row("runbook", runbook, plain);
    }
}

/// A score as shown: `.93`.
pub(super) fn score(score: f64) -> String {
    if score >= 0.995 {
        "1.0".into()
    } else {
        format!("{:.2}", score.clamp(0.0, 1.0)).trim_start_matches('0').to_owned()
    }
}
