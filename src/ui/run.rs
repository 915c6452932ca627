//! The confirm dialog: exactly what will run, where, as whom, its effect and verdict; then its output.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::core::Model;
use crate::core::confirm::{ASK_KEY, BREAK_KEY, Dialog, RUN_KEY, Stage, UNDO_KEY, VERIFY_KEY, inner_columns};
use crate::core::copy::command_line;
use crate::core::message::Prepared;
use crate::core::queue::find;
use crate::core::reading::wrap;
use crate::domain::action::{RunState, Verification};
use crate::domain::time::human_duration;

use super::actions::{decision_style, effect_style};
use super::canvas::{Canvas, Piece};
use super::overlay::frame_in;
use super::queue::bound;
use super::theme::Theme;

/// Draws the dialog.
pub(super) fn draw(model: &Model, dialog: &Dialog, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let room = inner_columns(area.width);
    let width = room as u16 + 4;
    let mut lines = top(dialog, room, theme);
    lines.extend(bottom(model, dialog, room, theme));
    let critical = dialog.prepared().is_some_and(|prepared| prepared.critical) || model.identity.critical;
    let style = if critical {
        theme.bad()
    } else if theme.colours {
        theme.accent()
    } else {
        Style::new()
    };
    let profile = dialog.prepared().map_or(model.identity.profile.as_str(), |prepared| &prepared.request.profile);
    let mark = if critical { "▌" } else { "" };
    let blocked = matches!(&dialog.stage, Stage::Ready(prepared) if prepared.blocked.is_some());
    let verb = if blocked { "Cannot run" } else { "Run" };
    let title = format!("{verb} in {mark}{profile}{}", if critical { " (critical)" } else { "" });
    let has_output = !dialog.output.is_empty() || matches!(dialog.stage, Stage::Running { .. } | Stage::Ended { .. });
    let height = if has_output { area.height } else { lines.len() as u16 };
    let inner = frame_in(canvas, area, width, height, &title, style);
    // What asks for the operator's key is never cut off: the lines before it give way.
    let keep = usize::from(inner.height);
    let shown = if has_output { lines.len().min(keep.saturating_sub(3).max(keep / 2)) } else { lines.len().min(keep) };
    let tail = bottom(model, dialog, room, theme).len().min(shown);
    let head = shown - tail;
    let first_part = lines.iter().take(head);
    let last_part = lines.iter().skip(lines.len() - tail);
    for (y, pieces) in (inner.top()..inner.bottom()).zip(first_part.chain(last_part)) {
        canvas.pieces(inner.x, y, inner.width, pieces);
    }
    if has_output {
        output(
            dialog,
            canvas,
            Rect { y: inner.y + shown as u16, height: inner.height.saturating_sub(shown as u16), ..inner },
        );
    }
}

fn field(out: &mut Vec<Vec<Piece>>, name: &str, value: &str, style: Style, room: usize, theme: Theme) {
    for (i, part) in wrap(&value.replace('\n', " "), room.saturating_sub(9).max(8)).into_iter().enumerate().take(3) {
        let label = if i == 0 { name } else { "" };
        out.push(vec![(format!("{label:<9}"), theme.dim()), (part.trim_start().to_owned(), style)]);
    }
}

/// What stands above the question.
fn top(dialog: &Dialog, room: usize, theme: Theme) -> Vec<Vec<Piece>> {
    let mut lines = Vec::new();
    let Some(prepared) = dialog.prepared() else {
        for part in wrap(&command_line(&dialog.action.argv), room) {
            lines.push(vec![(part.to_owned(), theme.strong())]);
        }
        return lines;
    };
    let request = &prepared.request;
    // Every argument is shown whole: nothing of what runs may be cut off.
    for part in wrap(&command_line(&request.argv), room) {
        lines.push(vec![(part.to_owned(), theme.strong())]);
    }
    let place = format!(
        "{} · in {} · on {} · as {} · at most {}",
        request.program,
        request.cwd,
        request.host,
        request.actor,
        human_duration(std::time::Duration::from_secs(request.timeout_seconds))
    );
    for part in wrap(&place, room) {
        lines.push(vec![(part.to_owned(), theme.dim())]);
    }
    if let Some(does) = dialog.does() {
        field(&mut lines, "does", &does, theme.strong(), room, theme);
    }
    let judged = &prepared.judged;
    let notes = if judged.notes.is_empty() { String::new() } else { format!(": {}", judged.notes.join(", ")) };
    field(
        &mut lines,
        "effect",
        &format!("{}{notes}", judged.effect.word()),
        effect_style(judged.effect, theme),
        room,
        theme,
    );
    let verdict = &judged.verdict;
    let need = if verdict.need.is_empty() { String::new() } else { format!(" · needs {}", verdict.need.join(", ")) };
    let policy = format!("{} → {}: {}{need}", verdict.rule, verdict.decision.word(), verdict.why);
    field(&mut lines, "policy", &policy, decision_style(verdict.decision, theme), room, theme);
    if judged.reads_secrets {
        field(&mut lines, "⚑", "reads secrets", theme.bad(), room, theme);
    }
    if !judged.tainted.is_empty() {
        field(
            &mut lines,
            "⚑",
            &format!("words that came from telemetry: {}", judged.tainted.join(" ")),
            theme.bad(),
            room,
            theme,
        );
    }
    if !prepared.request.files.is_empty() {
        field(&mut lines, "bound to", &bound(&prepared.request.files), theme.dim(), room, theme);
    }
    field(&mut lines, "why", &dialog.action.rationale, Style::new(), room, theme);
    if let Some(approved) = &prepared.approved {
        field(&mut lines, "approved", approved, theme.good(), room, theme);
    }
    if let Some(preview) = &prepared.preview {
        field(&mut lines, "preview", preview, Style::new(), room, theme);
    }
    let undo = prepared
        .undo
        .as_ref()
        .map_or_else(|| "no command is known that undoes it".to_owned(), |argv| command_line(argv));
    field(&mut lines, "undo", &undo, Style::new(), room, theme);
    match dialog.verification.as_ref().or(prepared.verification.as_ref()) {
        Some(verification) => proves(&mut lines, verification, room, theme),
        None => field(&mut lines, "proves", "no query shows whether it helped", theme.dim(), room, theme),
    }
    field(&mut lines, "digest", &prepared.digest.0, theme.dim(), room, theme);
    lines
}

fn proves(lines: &mut Vec<Vec<Piece>>, verification: &Verification, room: usize, theme: Theme) {
    field(
        lines,
        "proves",
        &format!("{} {}", verification.check.query, verification.check.expect),
        Style::new(),
        room,
        theme,
    );
    let before = verification.before.one_line();
    let answers = match &verification.after {
        Some(after) => format!("before {before}   now {}", after.one_line()),
        None => format!("now {before}"),
    };
    field(lines, "", &answers, theme.strong(), room, theme);
}

/// The question, or how it stands.
fn bottom(model: &Model, dialog: &Dialog, room: usize, theme: Theme) -> Vec<Vec<Piece>> {
    let mut lines = vec![Vec::new()];
    match &dialog.stage {
        Stage::Preparing => lines.push(vec![
            ("resolving, judging and previewing …  ".into(), theme.dim()),
            ("Esc cancels".into(), theme.dim()),
        ]),
        Stage::Refused(why) => {
            for part in wrap(&format!("✗ {}", why.one_line()), room) {
                lines.push(vec![(part.to_owned(), theme.bad())]);
            }
            lines.push(vec![("nothing was run   Esc closes".into(), theme.dim())]);
        }
        Stage::Asked { request, .. } => {
            let pending = request.as_ref().and_then(|digest| find(model, digest));
            let text = match (request, pending) {
                (None, _) => "writing the request into the ledger …".to_owned(),
                (Some(digest), None) => format!("asked for an approval: request {:.16}", digest.0),
                (Some(digest), Some(pending)) => {
                    let status = pending.status_at(model.now);
                    format!(
                        "{}: {} (request {:.16}, until {})",
                        status.word(),
                        pending.why.one_line(),
                        digest.0,
                        pending.request.expires.to_clock()
                    )
                }
            };
            for part in wrap(&text, room) {
                lines.push(vec![(part.to_owned(), theme.warn())]);
            }
            let hint = "it can be run here once it is approved   Esc closes; the request stays";
            lines.push(vec![(hint.into(), theme.dim())]);
        }
        Stage::Ready(prepared) => lines.extend(question(dialog, prepared, room, theme)),
        Stage::Running { since, .. } => {
            let _ = model;
            lines.push(vec![
                (format!("running since {}  ", since.to_clock()), theme.warn()),
                ("Esc ends it".into(), theme.accent()),
            ]);
        }
        Stage::Ended { state, .. } => {
            let (text, style) = ended(state, theme);
            let undo = dialog.action.rollback.is_some().then(|| format!("   {UNDO_KEY} shows the undo"));
            let verify = dialog.verification.is_some().then(|| format!("   {VERIFY_KEY} asks again"));
            lines.push(vec![
                (text, style),
                (verify.unwrap_or_default() + &undo.unwrap_or_default(), theme.accent()),
                ("   Esc closes".into(), theme.dim()),
            ]);
        }
    }
    lines
}

fn question(dialog: &Dialog, prepared: &Prepared, room: usize, theme: Theme) -> Vec<Vec<Piece>> {
    if dialog.breaking {
        return vec![
            vec![("Run it without the approval? It is written down, and somebody will review it.".into(), theme.bad())],
            vec![
                ("because  ".into(), Style::new()),
                (dialog.typed.clone(), theme.strong()),
                ("▌   ".into(), theme.accent()),
                (if dialog.why_not().is_none() { "⏎ run   ".into() } else { String::new() }, theme.bad()),
                ("Esc back".into(), theme.dim()),
            ],
        ];
    }
    if let Some(why) = &prepared.blocked {
        let mut lines: Vec<Vec<Piece>> = wrap(&format!("✗ it cannot run now: {}", why.one_line()), room)
            .into_iter()
            .map(|part| vec![(part.to_owned(), theme.bad())])
            .collect();
        let ask = if prepared.can_ask { format!("{ASK_KEY} asks for the approval   ") } else { String::new() };
        let past = if prepared.can_break { format!("{BREAK_KEY} goes past it   ") } else { String::new() };
        lines.push(vec![(ask, theme.accent()), (past, theme.bad()), ("Esc closes".into(), theme.dim())]);
        return lines;
    }
    match &prepared.word {
        Some(word) => {
            let left = "Type  ".to_owned();
            let typed = format!("{}▌", dialog.typed);
            let used = left.width() + word.width() + 11 + typed.width();
            let gap = room.saturating_sub(used + 18).max(2);
            let ready = dialog.typed == *word;
            vec![vec![
                (left, Style::new()),
                (word.clone(), theme.strong()),
                ("  to run:  ".into(), Style::new()),
                (typed, theme.accent()),
                (" ".repeat(gap), Style::new()),
                (if ready { "⏎ run   ".into() } else { String::new() }, theme.bad()),
                ("Esc cancel".into(), theme.dim()),
            ]]
        }
        None => vec![vec![
            ("press ".into(), Style::new()),
            (RUN_KEY.to_string(), theme.accent()),
            (" to run   Esc cancel".into(), Style::new()),
        ]],
    }
}

fn ended(state: &RunState, theme: Theme) -> (String, Style) {
    match state {
        RunState::Running => ("running".into(), theme.warn()),
        RunState::Exited { code: 0 } => ("✓ ended with exit code 0".into(), theme.good()),
        RunState::Exited { code } => (format!("✗ ended with exit code {code}"), theme.bad()),
        RunState::Killed { signal } => (format!("✗ ended by signal {signal}"), theme.bad()),
        RunState::TimedOut => ("✗ ended by the time-out".into(), theme.bad()),
        RunState::Cancelled => ("○ ended by you".into(), theme.warn()),
        RunState::Failed { why } => (format!("✗ could not be started: {why}"), theme.bad()),
        RunState::Unknown => ("? nobody knows how it ended".into(), theme.bad()),
    }
}

fn output(dialog: &Dialog, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    if area.height == 0 {
        return;
    }
    let dropped = if dialog.dropped > 0 { format!(" · {} lines dropped", dialog.dropped) } else { String::new() };
    let head = format!("output{dropped} {}", "─".repeat(usize::from(area.width)));
    canvas.text(
        area.x,
        area.y,
        area.width,
        &head.chars().take(usize::from(area.width)).collect::<String>(),
        theme.dim(),
    );
    let height = usize::from(area.height) - 1;
    let end = dialog.output.len().saturating_sub(dialog.scroll).max(height.min(dialog.output.len()));
    let first = end.saturating_sub(height);
    for (row, line) in dialog.output.iter().skip(first).take(end - first).enumerate() {
        let style = if line.stderr { theme.warn() } else { Style::new() };
        let mark = if line.stderr { "! " } else { "  " };
        canvas.text(area.x, area.y + 1 + row as u16, area.width, &format!("{mark}{}", line.text.one_line()), style);
    }
}
