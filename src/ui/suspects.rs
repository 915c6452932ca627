//! Suspects: who, why, and the proof beside it.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::core::list::first_row;
use crate::core::model::{Case, Model};
use crate::core::reading::{change_name, quantity};
use crate::core::rows;
use crate::core::screen::IncidentScreen;
use crate::domain::analysis::{Analysis, Suspect};
use crate::domain::change::Change;
use crate::domain::evidence::{Detail, Evidence, EvidenceId, MetricDetail, Turn};
use crate::domain::{Timestamp, time};

use super::board::score;
use super::canvas::{Canvas, amid, column, fit, folded};
use super::chart::{self, Mark};
use super::{evidence, waiting};

/// Columns of the list where there is room for two columns.
const LIST: u16 = 36;
/// Changes marked in a chart.
const MARKED: usize = 2;

/// Draws the pane.
pub(super) fn draw(model: &Model, case: &Case, screen: &IncidentScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let list = screen.list();
    let Some(found) = &case.investigation.value else {
        waiting(model, case, canvas, area);
        return;
    };
    let suspects = rows::suspects(case, list);
    if suspects.is_empty() {
        let y = area.y + 1;
        let width = area.width.saturating_sub(3);
        canvas.text(
            area.x + 2,
            y,
            width,
            "nothing found: no signal deviates beyond chance, so no guess is made",
            theme.strong(),
        );
        canvas.text(area.x + 2, y + 1, width, "2 evidence   6 raw logs   7 exactly what was asked", theme.dim());
        notes(
            found.analysis.notes.iter().map(|note| note.text.one_line().into_owned()),
            canvas,
            Rect { y: y + 3, height: area.height.saturating_sub(4), ..area },
        );
        return;
    }
    let selected = suspects.get(list.cursor).copied();
    if area.width >= 100 {
        let left = Rect { width: LIST, ..area };
        let right = Rect { x: area.x + LIST + 1, width: area.width - LIST - 1, ..area };
        let shown = (suspects.len() as u16).min(area.height / 2);
        rank(&suspects, list.cursor, canvas, Rect { height: shown, ..left });
        if let Some(suspect) = selected {
            why(
                &found.analysis,
                suspect,
                canvas,
                Rect { y: left.y + shown + 1, height: left.height.saturating_sub(shown + 1), ..left },
            );
            proof(case, suspect, canvas, right);
        }
    } else {
        let shown = (suspects.len() as u16).min(area.height / 4).max(1);
        rank(&suspects, list.cursor, canvas, Rect { height: shown, ..area });
        if let Some(suspect) = selected {
            proof(case, suspect, canvas, Rect { y: area.y + shown, height: area.height.saturating_sub(shown), ..area });
        }
    }
}

fn rank(suspects: &[&Suspect], cursor: usize, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let height = usize::from(area.height);
    let first = first_row(cursor, suspects.len(), height);
    for (row, (at, suspect)) in suspects.iter().enumerate().skip(first).take(height).enumerate() {
        let y = area.y + row as u16;
        canvas.cursor(area.x, y, at == cursor);
        let style = if at == cursor { theme.selected() } else { Style::new() };
        let bar_width = if area.width >= 60 { 24 } else { 6 };
        let name_width = usize::from(area.width).saturating_sub(bar_width + 11).clamp(6, 40);
        let pieces = [
            (format!("{:>2} ", suspect.rank), theme.dim()),
            (column(&amid(&suspect.service, name_width), name_width), style),
            (format!(" {:<4} ", score(suspect.score)), style),
            (bar(suspect.score, bar_width), theme.accent()),
        ];
        canvas.pieces(area.x + 1, y, area.width - 1, &pieces);
    }
}

/// A bar in eighths of a column.
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// Why it is suspected, a line for each thing that is said: what several series of one metric say is said once.
fn reasons(analysis: &Analysis, suspect: &Suspect) -> Vec<String> {
    struct Reason<'a> {
        ids: Vec<EvidenceId>,
        /// What is measured, as it is told, and which way it went.
        of: Option<(&'a str, Turn)>,
        text: String,
    }
    let mut reasons: Vec<Reason<'_>> = Vec::new();
    for signal in &suspect.signals {
        let first = signal.evidence.first().and_then(|id| analysis.evidence(*id));
        let metric = first.and_then(|item| match &item.detail {
            Detail::Metric(metric) => Some(metric),
            _ => None,
        });
        // The text names the labels that tell series apart, other than instances: up to its figures.
        let figures = signal.text.find(" rose ").or_else(|| signal.text.find(" fell "));
        let told = &signal.text[..figures.unwrap_or(signal.text.len())];
        let of = metric.map(|metric| (told, metric.turn));
        if let Some(reason) = reasons.iter_mut().find(|reason| of.is_some() && reason.of == of) {
            reason.ids.extend(&signal.evidence);
            continue;
        }
        // An expression is told in few words: else nothing but it would be seen.
        let text = metric
            .and_then(|metric| {
                Some(format!("{}{}", quantity(&metric.metric), signal.text.strip_prefix(&metric.metric)?))
            })
            .unwrap_or_else(|| signal.text.clone());
        reasons.push(Reason { ids: signal.evidence.clone(), of, text });
    }
    reasons
        .into_iter()
        .map(|reason| {
            let named: Vec<String> = reason.ids.iter().take(2).map(ToString::to_string).collect();
            let more = reason.ids.len().saturating_sub(2);
            let more = if more > 0 { format!(" +{more}") } else { String::new() };
            format!("{}{more} {}", named.join(" "), reason.text)
        })
        .collect()
}

fn why(analysis: &Analysis, suspect: &Suspect, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    if area.height < 2 {
        return;
    }
    canvas.text(area.x + 1, area.y, area.width - 1, &format!("why {}", suspect.service), theme.strong());
    let mut y = area.y + 1;
    let reasons = reasons(analysis, suspect);
    let most = (usize::from(area.height) / reasons.len().max(1)).clamp(2, 4);
    for text in reasons {
        let width = usize::from(area.width).saturating_sub(5).max(8);
        for (i, line) in folded(&text, width, most).into_iter().enumerate() {
            if y >= area.bottom() {
                return;
            }
            if i == 0 {
                canvas.text(area.x + 2, y, 1, "⊕", theme.bad());
            }
            canvas.text(area.x + 4, y, area.width.saturating_sub(5), &line, Style::new());
            y += 1;
        }
    }
    if !suspect.normal.is_empty() && y < area.bottom() {
        canvas.text(area.x + 2, y, 1, "⊖", theme.good());
        let width = area.width.saturating_sub(5);
        let text = format!("{} normal", suspect.normal.join(", "));
        for (y, line) in (y..area.bottom()).zip(folded(&text, usize::from(width), 3)) {
            canvas.text(area.x + 4, y, width, &line, theme.dim());
        }
    }
}

/// The suspect's metrics that can be drawn, strongest first.
fn metrics<'a>(case: &'a Case, suspect: &Suspect) -> Vec<(&'a Evidence, &'a MetricDetail)> {
    let Some(found) = &case.investigation.value else { return Vec::new() };
    rows::suspect_evidence(case, suspect)
        .into_iter()
        .filter_map(|id| {
            let item = found.analysis.evidence(id)?;
            match &item.detail {
                Detail::Metric(metric) if !metric.samples.is_empty() => Some((item, metric)),
                _ => None,
            }
        })
        .collect()
}

/// The suspect's strongest metric: its figures and its chart. Draws nothing where it has none.
pub(super) fn charted(case: &Case, suspect: &Suspect, canvas: &mut Canvas<'_>, area: Rect) {
    if let Some((item, metric)) = metrics(case, suspect).first() {
        figure(case, item, metric, canvas, area);
    }
}

/// A metric's figures above its chart.
fn figure(case: &Case, item: &Evidence, metric: &MetricDetail, canvas: &mut Canvas<'_>, area: Rect) {
    let width = usize::from(area.width.saturating_sub(2)).min(99);
    // The whole name where the chart stays tall enough.
    let head = evidence::lines(item, width, if area.height >= 12 { 2 } else { 1 }, canvas.theme, true);
    for (y, pieces) in (area.top()..area.bottom()).zip(&head) {
        canvas.pieces(area.x + 1, y, area.width - 1, pieces);
    }
    let used = head.len() as u16;
    let below = Rect { y: area.y + used, height: area.height.saturating_sub(used), width: area.width - 1, ..area };
    chart_of(case, item.onset, metric, canvas, below);
}

/// The suspect's strongest metrics as charts, then its evidence, then the change that may explain it.
fn proof(case: &Case, suspect: &Suspect, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let Some(found) = &case.investigation.value else { return };
    let ids = rows::suspect_evidence(case, suspect);
    let items: Vec<_> = ids.iter().filter_map(|id| found.analysis.evidence(*id)).collect();
    // Which change it was, or that none was, is never crowded out.
    let named = found.analysis.changes.first().is_some_and(|ranked| ids.contains(&ranked.evidence));
    let end = area.bottom().saturating_sub(if named || area.height < 8 { 0 } else { 2 });
    let mut y = area.y;
    let mut charted = Vec::new();
    for (at, (item, metric)) in metrics(case, suspect).into_iter().take(2).enumerate() {
        let left = end.saturating_sub(y);
        let rest = items.len() as u16 - 1;
        // A second chart only where all else has room as well.
        let room = if at == 0 { left.saturating_sub(2 + rest.min(area.height / 3)) } else { left / 2 };
        let most = match (at, rest) {
            (0, 0..=2) => 20,
            (0, _) => 12,
            _ => 8,
        };
        let height = room.min(most);
        if at > 0 && (left < 24 || height < 6) {
            break;
        }
        if height >= 5 {
            figure(case, item, metric, canvas, Rect { y, height: height + 1, ..area });
            y += height + 2;
            charted.push(item.id);
        }
    }
    let width = usize::from(area.width - 2);
    let mut others = items.iter().filter(|item| !charted.contains(&item.id)).peekable();
    // Whole lines where there is room for them.
    let most = match area.height {
        0..=24 => 1,
        25..=32 => 2,
        _ => 3,
    };
    while let Some(item) = others.next() {
        for pieces in evidence::lines(item, width, most, theme, false) {
            if y < end {
                canvas.pieces(area.x + 1, y, area.width - 1, &pieces);
                y += 1;
            }
        }
        if y >= end && others.peek().is_some() {
            break;
        }
    }
    if y + 1 < area.bottom() {
        changes(case, &ids, canvas, Rect { y: y + 1, height: area.bottom() - y - 1, ..area });
    }
}

/// The changes that may explain the incident, with the beginning of the first one's diff, those that were ruled out,
/// and what was left out.
fn changes(case: &Case, named: &[EvidenceId], canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let Some(found) = &case.investigation.value else { return };
    let analysis = &found.analysis;
    let width = area.width.saturating_sub(2);
    let mut y = area.y;
    let none = analysis.without_change.as_deref();
    let left_out: Vec<String> = analysis
        .notes
        .iter()
        .filter(|note| none != Some(note.text.as_str()))
        .map(|note| note.text.one_line().into_owned())
        .collect();
    let bottom = area.bottom().saturating_sub((left_out.len() as u16).min(area.height / 3));
    if analysis.changes.is_empty() {
        let text = none.unwrap_or("no change explains this: none is known in the time before");
        // The reason of the nearest is told once: in the list below, where there is room for it.
        let listed = !analysis.ruled_out.is_empty() && area.height > 4;
        let text = if listed { text.split(';').next().unwrap_or(text) } else { text };
        let most = if area.height > 8 { 3 } else { 1 };
        for line in folded(&sentence(text), usize::from(width), most) {
            if y < bottom {
                canvas.text(area.x + 1, y, width, &line, theme.strong());
                y += 1;
            }
        }
    }
    // Some rows are kept for the changes after the first.
    let kept = 1 + (analysis.ruled_out.len() as u16 * 2).min(area.height / 3);
    for (at, ranked) in analysis.changes.iter().take(2).enumerate() {
        let Some(item) = analysis.evidence(ranked.evidence) else { continue };
        if !named.contains(&item.id) && y < bottom {
            let pieces = evidence::line(item, usize::from(width), theme, false);
            canvas.pieces(area.x + 1, y, area.width - 1, &pieces);
            y += 1;
        }
        let Detail::Change(change) = &item.detail else { continue };
        for line in change.diff.iter().filter(|_| at == 0).flat_map(|diff| diff.lines()) {
            if y + kept >= bottom {
                break;
            }
            let style = match line.as_bytes().first() {
                Some(b'+') => theme.good(),
                Some(b'-') => theme.bad(),
                _ => theme.dim(),
            };
            canvas.text(area.x + 6, y, area.width.saturating_sub(7), &line.replace('\t', "  "), style);
            y += 1;
        }
    }
    y += ruled_out(analysis, canvas, Rect { y, height: bottom.saturating_sub(y), ..area });
    notes(left_out.into_iter(), canvas, Rect { y, height: area.bottom().saturating_sub(y), ..area });
}

/// The changes that are not blamed, dimmed, each with its reason. Returns the rows used.
fn ruled_out(analysis: &Analysis, canvas: &mut Canvas<'_>, area: Rect) -> u16 {
    let style = canvas.theme.dim();
    let width = area.width.saturating_sub(2);
    let most = if area.height > 2 { 2 } else { 1 };
    let all: Vec<Vec<String>> = analysis
        .ruled_out
        .iter()
        .filter_map(|ruled_out| {
            let Detail::Change(change) = &analysis.evidence(ruled_out.evidence)?.detail else { return None };
            let text = format!("not {}  {}: {}", ruled_out.evidence, change_name(change), ruled_out.why);
            Some(folded(&text, usize::from(width).saturating_sub(2), most))
        })
        .collect();
    let mut used = 0;
    for (at, lines) in all.iter().enumerate() {
        let last = at + 1 == all.len();
        // What is not shown is counted.
        if used + lines.len() as u16 + u16::from(!last) > area.height {
            if used < area.height {
                let more = format!("… {} more changes ruled out: pane 2", all.len() - at);
                canvas.text(area.x + 1, area.y + used, width, &more, style);
                used += 1;
            }
            break;
        }
        for (part, line) in lines.iter().enumerate() {
            let indent = if part == 0 { 0 } else { 2 };
            canvas.text(area.x + 1 + indent, area.y + used, width.saturating_sub(indent), line, style);
            used += 1;
        }
    }
    used
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The changes that may explain the incident, likeliest first.
pub(super) fn blamed(case: &Case) -> impl Iterator<Item = (&Evidence, &Change)> {
    let analysis = case.investigation.value.as_ref().map(|found| &found.analysis);
    analysis.into_iter().flat_map(|analysis| {
        analysis.changes.iter().filter_map(|ranked| {
            let item = analysis.evidence(ranked.evidence)?;
            match &item.detail {
                Detail::Change(change) => Some((item, change.as_ref())),
                _ => None,
            }
        })
    })
}

/// A chart with the onset, the strongest change and the first alert marked.
pub(super) fn chart_of(
    case: &Case,
    onset: Option<Timestamp>,
    metric: &MetricDetail,
    canvas: &mut Canvas<'_>,
    area: Rect,
) {
    let mut marks = Vec::new();
    if let Some(alert) = case.incident.alerts.iter().map(|alert| alert.starts_at).min() {
        marks.push(Mark { at: alert, glyph: "▲".into(), label: "first alert".into(), kind: chart::Kind::Alert });
    }
    if let Some(onset) = onset {
        marks.push(Mark { at: onset, glyph: "┆".into(), label: "onset".into(), kind: chart::Kind::Onset });
    }
    for (item, change) in blamed(case).take(MARKED) {
        let label = format!("{} {}", change.kind, fit(&change.reference.one_line(), 16));
        let glyph = item.id.to_string();
        marks.push(Mark { at: change.at, glyph, label: label.trim_end().to_owned(), kind: chart::Kind::Change });
    }
    chart::draw(metric, &case.incident, &marks, canvas, area);
}

/// What was cut or not answered, to be seen with the result.
fn notes(texts: impl Iterator<Item = String>, canvas: &mut Canvas<'_>, area: Rect) {
    let style = canvas.theme.warn();
    let width = area.width.saturating_sub(2);
    let most = if area.height > 8 { 3 } else { 1 };
    let lines = texts.flat_map(|text| folded(&format!("⚠ {text}"), usize::from(width), most));
    for (y, line) in (area.top()..area.bottom()).zip(lines) {
        canvas.text(area.x + 1, y, width, &line, style);
    }
}

/// Time from `start` as `+1m05s` or `-20s`.
pub(super) fn offset(at: Timestamp, start: Timestamp) -> String {
    if at >= start {
        format!("+{}", time::human_duration(at.since(start)))
    } else {
        format!("-{}", time::human_duration(start.since(at)))
    }
}
