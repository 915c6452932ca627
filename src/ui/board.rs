//! The incidents board: what is broken, how bad, the likely cause; below it a summary of the selected one.

use ratatui::layout::Rect;

use crate::core::list::{List, first_row};
use crate::core::model::{Case, Model};
use crate::core::{figures, pace, rows};
use crate::domain::alert::Severity;
use crate::domain::analysis::Suspect;
use crate::domain::evidence::Detail;

use super::canvas::{Canvas, Piece, column, column_right, folded};
use super::theme::{severity_glyph, severity_word};
use super::{sparkline, suspects};

/// Rows of the summary below the list.
const SUMMARY: u16 = 8;
/// Fewest rows left below the summary in which the strongest metric is drawn.
const CHART: u16 = 10;

/// Draws the board.
pub(super) fn draw(model: &Model, list: &List, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let cases = rows::board(model, list);
    if cases.is_empty() {
        empty(model, list, canvas, area);
        return;
    }
    let height =
        if area.height >= SUMMARY + 6 { (cases.len() as u16).clamp(1, area.height - SUMMARY) } else { area.height };
    let summary = area.height - height;
    let first = first_row(list.cursor, cases.len(), usize::from(height));
    for (row, (at, case)) in cases.iter().enumerate().skip(first).take(usize::from(height)).enumerate() {
        let y = area.y + row as u16;
        line(model, case, at == list.cursor, canvas, Rect { y, height: 1, ..area });
    }
    let mut below = Rect { y: area.y + height, height: summary, ..area };
    if !list.filter.text.is_empty() && (summary > 0 || cases.len() < usize::from(height)) {
        let y = below.bottom() - 1;
        let text = format!("filter: {}  (Esc clears)", list.filter.text);
        canvas.text(area.x + 1, y, area.width - 1, &text, theme.dim());
        below.height = below.height.saturating_sub(1);
    }
    if summary > 0
        && let Some(case) = cases.get(list.cursor)
    {
        summarise(case, canvas, below);
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
    let number = incident.alerts.len() as u64;
    let alerts = format!("{} alert{}", figures::count(number), if number == 1 { "" } else { "s" });
    let age = pace::age(incident.started_at, model.now);
    let cause_width = if wide { 34 } else { 24 };
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
        (column(&cause(case, wide), cause_width), text),
    ];
    if wide {
        pieces.push((format!("{}  ", column_right(&alerts, 14)), theme.dim()));
        pieces.push((spark, theme.severity(severity)));
    }
    canvas.pieces(area.x + 1, area.y, area.width - 1, &pieces);
}

/// The likely cause in a few words, or how far we are.
fn cause(case: &Case, wide: bool) -> String {
    if let Some(found) = &case.investigation.value {
        let Some(suspect) = found.analysis.suspects.first() else { return "nothing abnormal found".into() };
        let change = found.analysis.changes.first().and_then(|ranked| found.analysis.evidence(ranked.evidence));
        return match change {
            Some(item) if item.service.as_deref() == Some(suspect.service.as_str()) => match &item.detail {
                Detail::Change(change) if !change.reference.is_empty() => {
                    let (kind, reference) = (&change.kind, change.reference.one_line());
                    let at = if wide { change.at.format(" %H:%M") } else { String::new() };
                    format!("{} ← {kind} {reference}{at}", suspect.service)
                }
                _ => format!("{} ← {}", suspect.service, item.title.one_line()),
            },
            _ => format!("likely {}", suspect.service),
        };
    }
    progress(case)
}

/// A glyph that turns as work goes on, and stands still when nothing happens.
pub(super) const fn spinner(step: usize) -> &'static str {
    ["◐", "◓", "◑", "◒"][step % 4]
}

/// How far an investigation is, in words.
pub(super) fn progress(case: &Case) -> String {
    let slot = &case.investigation;
    match (&slot.progress, slot.busy(), &slot.error) {
        (Some(progress), true, _) if progress.total > 0 => {
            let glyph = spinner(progress.done);
            let round = if progress.round > 1 { format!(" · round {}", progress.round) } else { String::new() };
            format!("{glyph} asked {} of {}{round}", progress.done, progress.total)
        }
        (_, true, _) if slot.enough => "◐ examining what came so far".into(),
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
    // With little room every row is one line; with more, each proof has a line of its own.
    let lines = match area.height {
        0..=12 => 1,
        13..=24 => 2,
        _ => 3,
    };
    let mut rows = Rows { canvas, area: Rect { y: area.y + 2, height: area.height - 2, ..area }, lines };
    let plain = ratatui::style::Style::new();
    if let Some(found) = &case.investigation.value {
        let analysis = &found.analysis;
        for (at, (suspect, label)) in analysis.suspects.iter().zip(["likely", "then"]).enumerate() {
            if lines == 1 {
                let signals: Vec<&str> = suspect.signals.iter().take(3).map(|signal| signal.text.as_str()).collect();
                let text = format!("{}  {}  {}", suspect.service, score(suspect.score), signals.join(" · "));
                rows.put(label, &text, plain);
            } else {
                rows.put(label, &format!("{}  {}", suspect.service, score(suspect.score)), theme.strong());
                rows.signals(suspect, if at == 0 { lines + 1 } else { lines - 1 });
            }
        }
        if analysis.suspects.is_empty() {
            rows.put("likely", "nothing deviates beyond chance: no guess is made", plain);
        }
        let text = analysis.changes.first().and_then(|ranked| {
            let item = analysis.evidence(ranked.evidence)?;
            Some(format!("{} {} · {}", item.id, item.title.one_line(), ranked.why))
        });
        rows.put("change", text.as_deref().unwrap_or("none explains it"), plain);
        let first = case.conclusion.value.as_ref().and_then(|made| made.diagnosed.diagnosis.hypotheses.first());
        if let Some(first) = first.filter(|_| lines > 1) {
            let text = format!("{} ({} confidence)", first.cause.one_line(), first.confidence.word());
            rows.put("analyst", &text, plain);
        }
    } else {
        let what = case.investigation.progress.as_ref().map(|progress| progress.what.one_line().into_owned());
        rows.put("status", &format!("{}  {}", progress(case), what.unwrap_or_default()), plain);
        if let Some(why) = &case.investigation.error {
            rows.put("", &why.one_line(), theme.bad());
        }
    }
    if !incident.services.is_empty() {
        rows.put("touches", &incident.services.join(", "), plain);
    }
    let runbook = incident
        .alerts
        .iter()
        .find_map(|alert| alert.annotations.get("runbook_url").or_else(|| alert.annotations.get("runbook")));
    if let Some(runbook) = runbook {
        rows.put("runbook", runbook, plain);
    }
    let rest = rows.area;
    if let Some(found) = &case.investigation.value
        && let Some(suspect) = found.analysis.suspects.first()
        && rest.height >= CHART
    {
        let height = (rest.height - 1).min(18);
        suspects::charted(case, suspect, canvas, Rect { y: rest.y + 1, height, ..rest });
    }
}

/// The rows of the summary, each with a label before it.
struct Rows<'c, 'b> {
    canvas: &'c mut Canvas<'b>,
    /// What is left.
    area: Rect,
    /// Most lines of one row.
    lines: usize,
}

impl Rows<'_, '_> {
    fn put(&mut self, label: &str, text: &str, style: ratatui::style::Style) {
        let width = self.area.width.saturating_sub(12);
        for (at, line) in folded(text, usize::from(width), self.lines).into_iter().enumerate() {
            if self.area.height == 0 {
                return;
            }
            if at == 0 {
                let dim = self.canvas.theme.dim();
                self.canvas.text(self.area.x + 3, self.area.y, 8, label, dim);
            }
            self.canvas.text(self.area.x + 11, self.area.y, width, &line, style);
            self.area = Rect { y: self.area.y + 1, height: self.area.height - 1, ..self.area };
        }
    }

    /// What speaks for a suspect, one line each.
    fn signals(&mut self, suspect: &Suspect, most: usize) {
        let width = self.area.width.saturating_sub(16);
        let theme = self.canvas.theme;
        for signal in suspect.signals.iter().take(most) {
            if self.area.height == 0 {
                return;
            }
            let id = signal.evidence.first().map(ToString::to_string).unwrap_or_default();
            self.canvas.text(self.area.x + 11, self.area.y, 4, &id, theme.accent());
            let style = ratatui::style::Style::new();
            self.canvas.text(self.area.x + 15, self.area.y, width, &signal.text, style);
            self.area = Rect { y: self.area.y + 1, height: self.area.height - 1, ..self.area };
        }
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
