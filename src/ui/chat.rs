//! A chat: questions with the steps taken and the answers above, the question being written below.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::core::Model;
use crate::core::chat::rows::{Kind, Row, rows};
use crate::core::chat::{Chat, ChatScreen};
use crate::core::figures::figure;
use crate::core::reading::wrap;

use super::canvas::{Canvas, Piece, column};
use super::links;
use super::theme::Theme;

/// Columns of the label before a row's text.
const LABEL: usize = 14;
/// The least rows of answers that stay visible above a long question.
const ANSWERS: u16 = 4;

/// Draws the chat.
pub(super) fn draw(model: &Model, screen: &ChatScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let Some(chat) = model.chats.get(&screen.chat) else { return };
    let width = usize::from(area.width.saturating_sub(4));
    let (lines, place) = chat.editor.lines(width);
    let most = (area.height / 3).max(1).min(area.height.saturating_sub(ANSWERS).max(1));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(most);
    let above = Rect { height: area.height.saturating_sub(height + 1), ..area };
    canvas.rule(Rect { y: above.bottom(), height: 1, ..area }, theme.dim());
    let line = by_line(chat);
    if !line.is_empty() {
        canvas.right(Rect { y: above.bottom(), height: 1, ..area }, &format!(" {line} "), theme.dim());
    }
    editor(chat, screen, canvas, Rect { y: above.bottom() + 1, height, ..area }, &lines, place);
    answers(model, screen, canvas, above);
}

/// The question being written, with its cursor in view.
fn editor(
    chat: &Chat,
    screen: &ChatScreen,
    canvas: &mut Canvas<'_>,
    area: Rect,
    lines: &[String],
    (row, columns): (usize, usize),
) {
    let theme = canvas.theme;
    let first = (row + 1).saturating_sub(usize::from(area.height));
    let style = if screen.reading { theme.dim() } else { Style::new() };
    for (y, (at, line)) in (area.top()..area.bottom()).zip(lines.iter().enumerate().skip(first)) {
        let mark = if at == 0 { "› " } else { "  " };
        let mut pieces: Vec<Piece> = vec![(format!(" {mark}"), theme.accent())];
        if at == row && !screen.reading {
            let split = line.grapheme_indices(true).map(|(from, _)| from).chain([line.len()]);
            let split = split.into_iter().find(|from| line[..*from].width() >= columns).unwrap_or(line.len());
            let (before, rest) = line.split_at(split);
            let under = rest.graphemes(true).next().unwrap_or_default();
            pieces.push((before.to_owned(), style));
            if under.is_empty() {
                pieces.push(("▌".to_owned(), theme.accent()));
            } else {
                pieces.push((under.to_owned(), theme.focus()));
            }
            pieces.push((rest[under.len()..].to_owned(), style));
        } else {
            pieces.push((line.clone(), style));
        }
        if chat.editor.text().is_empty() {
            let hint = if chat.turns.is_empty() {
                "which services were down in the last 10 minutes?"
            } else {
                "another question; ↑ brings earlier ones back"
            };
            pieces.push((format!(" {hint}"), theme.dim()));
        }
        canvas.pieces(area.x, y, area.width, &pieces);
    }
}

/// Who answers, and what it takes.
fn by_line(chat: &Chat) -> String {
    let Some(turn) = chat.turns.last() else { return String::new() };
    if let Some(reply) = &turn.reply {
        let made = &reply.diagnosed;
        let via = made.analyst.endpoint.as_ref().map(|name| format!(" via {name}")).unwrap_or_default();
        let about = if made.usage.reported { "" } else { "~" };
        return format!(
            "{}{via} · {about}{} tokens sent, {} received · {}",
            made.analyst.name,
            figure(made.usage.input_tokens as f64, ""),
            figure(made.usage.output_tokens as f64, ""),
            figure(made.timing.total_ms as f64 / 1e3, "s")
        );
    }
    let asking = &turn.asking;
    let mut text = asking.by.one_line().into_owned();
    if asking.sent_tokens > 0 {
        text += &format!(" · {} tokens sent, {} hidden", figure(asking.sent_tokens as f64, ""), asking.hidden);
    }
    if asking.received_tokens > 0 {
        text += &format!(" · {} received", figure(asking.received_tokens as f64, ""));
    }
    if chat.slot.busy() {
        text += " ▌ Esc cancels";
    }
    text.trim_start_matches(" · ").to_owned()
}

fn answers(model: &Model, screen: &ChatScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let rows = rows(model, &screen.chat);
    if rows.is_empty() {
        let about = if screen.chat.is_empty() { "the whole system" } else { "this incident" };
        let text = format!(
            "Ask about {about}. The model looks things up with tools that only read; every step is shown, what it finds \
             becomes evidence, and each claim of the answer is checked against what it cites."
        );
        let wrapped = wrap(&text, usize::from(area.width.saturating_sub(4)).max(10));
        for (y, line) in (area.top() + 1..area.bottom()).zip(wrapped) {
            canvas.text(area.x + 2, y, area.width.saturating_sub(3), line, theme.dim());
        }
        return;
    }
    let mut lines: Vec<(usize, Vec<Piece>)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let focus = (screen.reading && at == screen.cursor).then_some(screen.link);
        for pieces in layout(row, usize::from(area.width.saturating_sub(2)), focus, at > 0, theme) {
            lines.push((at, pieces));
        }
    }
    let height = usize::from(area.height);
    let last = lines.len().saturating_sub(height);
    let first = if screen.reading {
        let start = lines.iter().position(|(at, _)| *at == screen.cursor).unwrap_or(0);
        start.saturating_sub(height / 2).min(last)
    } else {
        last.saturating_sub(screen.back)
    };
    for (offset, (y, (at, pieces))) in (area.top()..area.bottom()).zip(lines.iter().skip(first)).enumerate() {
        let begins = lines.iter().position(|(row, line)| row == at && !line.is_empty()) == Some(first + offset);
        if screen.reading && *at == screen.cursor && begins {
            canvas.cursor(area.x, y, true);
        }
        canvas.pieces(area.x + 1, y, area.width.saturating_sub(1), pieces);
    }
    let below = lines.len().saturating_sub(first + height);
    if below > 0 {
        let text = format!(" {below} more below ");
        canvas.text(area.x + 1, area.bottom(), area.width.saturating_sub(2), &text, theme.dim());
    }
}

/// A row as lines of pieces.
fn layout(row: &Row, width: usize, focus: Option<usize>, gap: bool, theme: Theme) -> Vec<Vec<Piece>> {
    let (label, label_style, text_style) = look(row, theme);
    let text_style = if focus.is_some() { text_style.patch(theme.selected()) } else { text_style };
    let indent = if row.kind == Kind::Question { 0 } else { 2 };
    let label_width = if row.kind == Kind::Question { 2 } else { LABEL - indent };
    let room = width.saturating_sub(indent + label_width).max(10);
    let text = row.text.as_str();
    let mut lines: Vec<Vec<Piece>> = text
        .split('\n')
        .flat_map(|line| wrap(line, room))
        .enumerate()
        .map(|(i, part)| {
            let label = if i == 0 { column(&label, label_width) } else { " ".repeat(label_width) };
            vec![(" ".repeat(indent), Style::new()), (label, label_style), (part.trim_end().to_owned(), text_style)]
        })
        .collect();
    let mut tail: Vec<Piece> = Vec::new();
    if !row.note.is_empty() {
        let gap = if text.is_empty() { "" } else { "  " };
        tail.push((format!("{gap}{}", row.note), theme.dim()));
    }
    if !row.links.is_empty() {
        tail.extend(links(&row.links, focus, theme));
    }
    if !tail.is_empty() {
        let tail_width: usize = tail.iter().map(|(text, _)| text.width()).sum();
        let used = lines.last().and_then(|line| line.last()).map_or(0, |(text, _)| text.width());
        match lines.last_mut() {
            Some(last) if used + tail_width <= room => last.extend(tail),
            _ => {
                let mut line = vec![(" ".repeat((indent + label_width).saturating_sub(2)), Style::new())];
                line.extend(tail);
                lines.push(line);
            }
        }
    }
    if row.kind == Kind::Question && gap {
        lines.insert(0, Vec::new());
    }
    lines
}

fn look(row: &Row, theme: Theme) -> (String, Style, Style) {
    let plain = Style::new();
    match row.kind {
        Kind::Question => ("› ".into(), theme.accent(), theme.strong()),
        Kind::Thought => ("thinks".into(), theme.dim(), theme.dim()),
        Kind::Draft => ("writes".into(), theme.accent(), plain),
        Kind::Step => (row.label.clone(), theme.dim(), plain),
        Kind::Trouble => (String::new(), theme.warn(), theme.warn()),
        Kind::Stage => ("▌".into(), theme.accent(), theme.dim()),
        Kind::Answer => ("answer".into(), theme.good(), theme.strong()),
        Kind::Claim => ("seen".into(), theme.dim(), plain),
        Kind::Unsupported => ("⚠ unsup.".into(), theme.warn(), theme.warn()),
        Kind::Plain => ("unchecked".into(), theme.warn(), plain),
        Kind::Missing => ("missing".into(), theme.dim(), plain),
        Kind::Remark => ("⚑".into(), theme.warn(), plain),
        Kind::Failed => ("⚠ no answer".into(), theme.bad(), theme.bad()),
    }
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
