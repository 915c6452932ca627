//! The diagnosis: hypotheses with what speaks for and against them, each claim with links to its evidence.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::core::diagnosis_rows::{Kind, Row, rows};
use crate::core::figures::{bill, count, figure};
use crate::core::list::List;
use crate::core::message::Draft;
use crate::core::model::{Case, Model};
use crate::core::reading::wrap;
use crate::core::screen::IncidentScreen;
use crate::domain::diagnosis::{Confidence, Diagnosed};
use crate::domain::settings::Sees;

use super::canvas::{Canvas, Piece, column, fit, folded};
use super::links;
use super::theme::Theme;

/// Columns of the label before a row's text.
const LABEL: usize = 14;

/// Draws the pane.
pub(super) fn draw(model: &Model, case: &Case, screen: &IncidentScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    // Two lines where one is too short; below them the diagnosis must have room.
    let most = if area.height >= 12 { 2 } else { 1 };
    let head = live_line(model, case, usize::from(area.width.saturating_sub(1)), most);
    for (y, line) in (area.y..).zip(&head) {
        canvas.text(area.x + 1, y, area.width - 1, line, theme.dim());
    }
    let mut taken = head.len().max(1) as u16;
    taken += failure(case, canvas, Rect { y: area.y + taken, height: area.height - taken, ..area });
    let body = Rect { y: area.y + taken, height: area.height - taken, ..area };
    let list = screen.list();
    let rows = rows(case, list);
    if rows.is_empty() {
        nothing(model, case, list, canvas, body);
        return;
    }
    let mut lines: Vec<(usize, Vec<Piece>)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let selected = at == list.cursor;
        let focus = if selected { Some(screen.link) } else { None };
        if opens(at.checked_sub(1).and_then(|before| rows.get(before)), row) {
            lines.push((at, Vec::new()));
        }
        for pieces in layout(row, usize::from(body.width.saturating_sub(2)), focus, theme) {
            lines.push((at, pieces));
        }
    }
    // The whole selected row is in view where it can be, and some of what follows.
    let height = usize::from(body.height);
    let start = lines.iter().position(|(at, _)| *at == list.cursor).unwrap_or(0);
    let first = start.saturating_sub(height / 2);
    // While it is written the page does not depend on how much there is: what is read stays where it is.
    let first = if case.draft.is_some() { first } else { first.min(lines.len().saturating_sub(height)) };
    for (y, (at, pieces)) in (body.top()..body.bottom()).zip(lines.iter().skip(first)) {
        if *at == list.cursor && lines.iter().position(|(row, _)| row == at) == Some(first + usize::from(y - body.y)) {
            canvas.cursor(body.x, y, true);
        }
        canvas.pieces(body.x + 1, y, body.width - 1, pieces);
    }
}

/// Draws why the last attempt gave no diagnosis, whole; the rows that it takes.
fn failure(case: &Case, canvas: &mut Canvas<'_>, area: Rect) -> u16 {
    let Some(why) = case.conclusion.error.as_ref().filter(|_| !case.conclusion.busy()) else { return 0 };
    let width = usize::from(area.width.saturating_sub(2)).max(10);
    let text = format!("⚠ no diagnosis came of the last attempt: {}", why.one_line());
    let kept = case.conclusion.value.is_some();
    // What was there before stays readable below.
    let most = if kept { (usize::from(area.height) / 2).max(1) } else { usize::from(area.height) };
    let lines = folded(&text, width, most);
    for (y, line) in (area.y..area.bottom()).zip(&lines) {
        canvas.text(area.x + 1, y, area.width - 1, line, canvas.theme.bad());
    }
    lines.len().min(usize::from(area.height)) as u16
}

/// Who wrote or writes it, how far that is, how fast, and what it costs: at most so many lines.
fn live_line(model: &Model, case: &Case, width: usize, most: usize) -> Vec<String> {
    if let Some(draft) = &case.draft {
        return fitted(draft_parts(draft), " ▌ Esc cancels", width, most);
    }
    let waiting = match (case.conclusion.busy(), case.unasked) {
        (true, false) => "  writing … Esc cancels",
        (true, true) if case.wanted.is_some() => "  writing …, then what you asked for · Esc: not",
        (true, true) => "  writing …",
        (false, _) => "",
    };
    match &case.conclusion.value {
        Some(conclusion) => {
            let mut parts = finished_parts(&conclusion.diagnosed, model);
            if let Some(other) = case.other.as_ref().filter(|_| !case.conclusion.busy()) {
                let whose = if other.diagnosed.analyst.is_model() { "the model's" } else { "the playbooks'" };
                let at = 1 + usize::from(!conclusion.diagnosed.complete);
                parts.insert(at.min(parts.len()), (0, format!("o {whose}")));
            }
            fitted(parts, waiting, width, most)
        }
        None => folded(waiting.trim_start(), width, most),
    }
}

/// A part of the live line, with how soon it is left out where there is no room; those of 0 never are.
type Part = (u8, String);

/// The parts in their order, without those that there is no room for, and what must stand at the end.
fn fitted(mut parts: Vec<Part>, end: &str, width: usize, most: usize) -> Vec<String> {
    let joined = |parts: &[Part]| {
        let words: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
        format!("{}{end}", words.join(" · "))
    };
    loop {
        let text = joined(&parts);
        if wrap(&text, width.max(1)).len() <= most {
            return folded(&text, width, most);
        }
        let least = parts.iter().enumerate().filter(|(_, (rank, _))| *rank > 0).max_by_key(|(at, part)| (part.0, *at));
        if let Some((at, _)) = least {
            parts.remove(at);
            continue;
        }
        // What is said at length is shortened before the end is.
        let longest = parts.iter_mut().max_by_key(|(_, text)| text.width());
        match longest {
            Some((_, text)) if text.width() > 8 => *text = fit(text, text.width() - 1),
            _ => return folded(&joined(&parts), width, most),
        }
    }
}

fn draft_parts(draft: &Draft) -> Vec<Part> {
    let mut parts = vec![(1, format!("by {}", draft.by.one_line())), (0, draft.stage.one_line().into_owned())];
    parts.retain(|(_, part)| part != "by ");
    if let Some(sees) = draft.sees.filter(|sees| *sees < Sees::Production) {
        parts.push((4, format!("may see {}", sees.word())));
    }
    if draft.sent_tokens > 0 {
        let sent = figure(draft.sent_tokens as f64, "");
        parts.push((5, format!("{sent} tokens sent, {} values hidden", draft.hidden)));
    }
    parts.extend(draft.first_token_ms.map(|first| (7, format!("{} to first", figure(first as f64 / 1e3, "s")))));
    parts.extend(draft.rate.map(|rate| (6, format!("{} tok/s", figure(rate.round(), "")))));
    if draft.received_tokens > 0 {
        parts.push((8, format!("{} received", count(draft.received_tokens as u64))));
    }
    parts.extend(bill(&draft.bill).into_iter().map(money_part));
    if draft.received_tokens > 0 {
        parts.push((2, "not verified yet".to_owned()));
    }
    parts
}

/// What is left of the day matters more than what this costs.
fn money_part(text: String) -> Part {
    (if text.contains(" of ") { 1 } else { 3 }, text)
}

fn finished_parts(made: &Diagnosed, model: &Model) -> Vec<Part> {
    let via = made.analyst.endpoint.as_ref().map(|name| format!(" via {name}")).unwrap_or_default();
    let profile =
        if model.identity.profile.is_empty() { String::new() } else { format!(" ({})", model.identity.profile) };
    let mut parts = Vec::new();
    if !made.complete {
        parts.push((0, "⚠ incomplete".to_owned()));
    }
    parts.push((0, format!("by {}{via}", made.analyst.name)));
    parts.push((7, format!("prompt {}@{}{profile}", made.prompt.name, made.prompt.version)));
    if made.usage.input_tokens > 0 {
        let about = if made.usage.reported { "" } else { "~" };
        let share = (made.usage.cached_tokens * 100).checked_div(made.usage.input_tokens).unwrap_or(0);
        let cached = if share > 0 { format!(" ({share}% from cache)") } else { String::new() };
        let sent = figure(made.usage.input_tokens as f64, "");
        let received = figure(made.usage.output_tokens as f64, "");
        parts.push((4, format!("{about}{sent} tokens sent{cached}, {received} received")));
    }
    if let Some(sees) = made.sees.filter(|sees| *sees < Sees::Production) {
        parts.push((2, format!("saw {}", sees.word())));
    }
    parts.extend(made.timing.first_token_ms.map(|first| (8, format!("{} to first", figure(first as f64 / 1e3, "s")))));
    parts.extend(made.rate.map(|rate| (6, format!("{} tok/s", figure(rate.round(), "")))));
    if made.timing.total_ms > 0 {
        parts.push((5, figure(made.timing.total_ms as f64 / 1e3, "s")));
    }
    parts.extend(made.bill.iter().flat_map(bill).map(money_part));
    parts
}

fn nothing(model: &Model, case: &Case, list: &List, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    if case.investigation.value.is_none() {
        super::waiting(model, case, canvas, area);
        return;
    }
    let width = area.width.saturating_sub(3);
    let filter = &list.filter.text;
    if !filter.is_empty() && (case.draft.is_some() || case.conclusion.value.is_some()) {
        let text = format!("nothing contains \"{filter}\"");
        canvas.text(area.x + 2, area.y + 1, width, &text, theme.dim());
        return;
    }
    let models = !model.identity.models.is_empty();
    let text = if case.conclusion.busy() {
        "the diagnosis is being written …"
    } else if case.conclusion.error.is_some() && models {
        "d asks the language model again, o the playbooks"
    } else if case.conclusion.error.is_some() {
        "o asks the playbooks"
    } else if models {
        "no diagnosis yet: d asks the language model, o the playbooks"
    } else {
        "no diagnosis yet: o asks the playbooks"
    };
    canvas.text(area.x + 2, area.y + 1, width, text, theme.dim());
}

/// A row as lines of pieces.
fn layout(row: &Row, width: usize, focus: Option<usize>, theme: Theme) -> Vec<Vec<Piece>> {
    let (label, label_style, text_style) = look(&row.kind, theme);
    // What does not stand is marked where it stands, whatever kind of row it is.
    let refuted = row.again.as_ref().is_some_and(|again| again.refuted);
    let (label, label_style, text_style) = match &row.unsupported {
        _ if refuted => (format!("⚠ {}", label.trim_start_matches("⚠ ")), theme.warn(), theme.warn()),
        Some(_) => (format!("⚠ {}", label.trim_start_matches("⚠ ")), theme.warn(), theme.warn()),
        None => (label, label_style, text_style),
    };
    let text_style = if focus.is_some() { text_style.patch(theme.selected()) } else { text_style };
    let indent = match row.kind {
        Kind::Summary
        | Kind::Hypothesis { .. }
        | Kind::Observation
        | Kind::Unsupported
        | Kind::Missing
        | Kind::Remark
        | Kind::Earlier(_)
        | Kind::Plain => 0,
        Kind::Ranking if row.text.starts_with('1') => 0,
        _ => 3,
    };
    let label_width = LABEL.saturating_sub(indent);
    let room = width.saturating_sub(indent + label_width).max(10);
    let why = row.unsupported.as_ref().map_or_else(String::new, |why| format!("  — unsupported: {why}"));
    let again = row.again.as_ref().map_or_else(String::new, |again| format!("  ({})", again.text));
    let text = format!("{}{why}{again}", row.text).replace('\n', " ");
    let mut lines: Vec<Vec<Piece>> = wrap(&text, room)
        .into_iter()
        .enumerate()
        .map(|(i, part)| {
            let label = if i == 0 { column(&label, label_width) } else { " ".repeat(label_width) };
            vec![(" ".repeat(indent), Style::new()), (label, label_style), (part.trim_end().to_owned(), text_style)]
        })
        .collect();
    if !row.links.is_empty() {
        let pieces = links(&row.links, focus, theme);
        let links_width: usize = pieces.iter().map(|(text, _)| text.width()).sum();
        let used = lines.last().and_then(|line| line.last()).map_or(0, |(text, _)| text.width());
        match lines.last_mut() {
            Some(last) if used + links_width < room => last.extend(pieces),
            _ => {
                let mut line = vec![(" ".repeat(indent + label_width), Style::new())];
                line.extend(pieces);
                lines.push(line);
            }
        }
    }
    lines
}

/// Whether a row begins a part of the diagnosis, with a blank line before it.
fn opens(before: Option<&Row>, row: &Row) -> bool {
    let Some(before) = before else { return false };
    // What belongs to a hypothesis, and its end.
    let within = |row: &Row| match &row.kind {
        Kind::Hypothesis { .. } | Kind::Mechanism | Kind::For | Kind::Against | Kind::Check(_) | Kind::Answer => true,
        Kind::Ranking => !row.text.starts_with('1'),
        _ => false,
    };
    matches!(row.kind, Kind::Hypothesis { .. }) || (within(before) && !within(row))
}

fn look(kind: &Kind, theme: Theme) -> (String, Style, Style) {
    let plain = Style::new();
    match kind {
        Kind::Summary => (kind.words().into_owned(), theme.dim(), theme.strong()),
        Kind::Hypothesis { id, confidence } => {
            let (dots, style) = match confidence {
                Some(Confidence::High) => ("●●●", theme.bad()),
                Some(Confidence::Medium) => ("●●○", theme.warn()),
                Some(Confidence::Low) => ("●○○", theme.dim()),
                None => ("○○○", theme.dim()),
            };
            let word = confidence.map_or("…", Confidence::word);
            (format!("{id} {dots} {word}"), style, theme.strong())
        }
        Kind::Mechanism | Kind::Observation | Kind::Missing => (kind.words().into_owned(), theme.dim(), plain),
        Kind::For | Kind::Answer => (kind.words().into_owned(), theme.good(), plain),
        Kind::Against => (kind.words().into_owned(), theme.warn(), plain),
        Kind::Check(_) => ("check ⏎".into(), theme.accent(), plain),
        Kind::Ranking => (kind.words().into_owned(), theme.dim(), theme.dim()),
        Kind::Earlier(_) => ("⚑ broke off ⏎".into(), theme.warn(), plain),
        Kind::Plain => (String::new(), plain, plain),
        Kind::Unsupported => ("⚠ unsupported".into(), theme.warn(), theme.warn()),
        Kind::Remark => ("⚑".into(), theme.warn(), plain),
    }
}
