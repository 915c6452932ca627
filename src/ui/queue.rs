//! Requests for approval: the queue with the incident's picture beside it, and the box in which one is signed.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::core::Model;
use crate::core::confirm::{PREVIEW_KEY, inner_columns};
use crate::core::copy::command_line;
use crate::core::list::{List, first_row};
use crate::core::model::Case;
use crate::core::queue::{self, Pending, SignBox, SignStage, Status};
use crate::core::reading::wrap;
use crate::domain::Timestamp;
use crate::domain::approval::{Approver, Say};
use crate::domain::text::neutralise;

use super::actions::effect_style;
use super::canvas::{Canvas, Piece, column, folded};
use super::overlay::frame_in;
use super::theme::{Theme, severity_glyph, severity_word};

/// Columns from which on the incident's picture stands beside the request; in fewer it stands below.
const BESIDE: u16 = 100;

/// Signals of the first suspect in the picture.
const PROOFS: usize = 3;

/// Draws the screen.
pub(super) fn draw(model: &Model, list: &List, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let Some(found) = &model.queue.value else {
        let text = match (&model.queue.error, model.queue.busy()) {
            (Some(why), _) => {
                (format!("⚠ the ledger could not be read: {}   r asks again", why.one_line()), theme.bad())
            }
            (None, true) => ("reading the ledger …".to_owned(), theme.dim()),
            (None, false) => ("nothing was read yet   r asks".to_owned(), theme.dim()),
        };
        canvas.text(area.x + 2, area.y + 1, area.width.saturating_sub(3), &text.0, text.1);
        return;
    };
    let mut y = area.y;
    let mut say = |canvas: &mut Canvas<'_>, text: &str, style: Style| {
        canvas.text(area.x + 1, y, area.width.saturating_sub(2), text, style);
        y += 1;
    };
    if let Some(why) = &model.queue.error {
        say(
            canvas,
            &format!("⚠ the ledger could not be read, this is what was known: {}", why.one_line()),
            theme.bad(),
        );
    }
    if let Some(signer) = &found.signer {
        say(canvas, &format!("you sign as {signer}"), theme.dim());
    } else {
        let text = "no ssh-agent holds a key of yours that may sign: add it with `ssh-add`, or sign a file \
                    (`stanch actions show DIGEST --to-sign`)";
        say(canvas, text, theme.warn());
    }
    for review in found.reviews.iter().take(3) {
        let text = format!(
            "⚑ entry {} waits for a review: {} went past an approval {}: {} ({})   stanch actions review {}",
            review.entry,
            review.actor,
            review.at.to_clock(),
            review.command.one_line(),
            review.reason.one_line(),
            review.entry
        );
        say(canvas, &text, theme.bad());
    }
    if found.reviews.len() > 3 {
        say(canvas, &format!("⚑ {} more wait for a review", found.reviews.len() - 3), theme.bad());
    }
    let body = Rect { y, height: area.bottom().saturating_sub(y), ..area };
    if found.requests.is_empty() {
        canvas.text(body.x + 2, body.y + 1, body.width.saturating_sub(3), "nothing waits for an approval", theme.dim());
        return;
    }
    let rows = (body.height / 3).max(1).min(found.requests.len() as u16);
    rows_of(model, &found.requests, list, canvas, Rect { height: rows.min(body.height), ..body });
    let Some(pending) = found.requests.get(list.cursor) else { return };
    if body.height <= rows + 3 {
        return;
    }
    canvas.rule(Rect { y: body.y + rows, height: 1, ..body }, theme.dim());
    let below = Rect { y: body.y + rows + 1, height: body.height - rows - 1, ..body };
    let case = model.cases.get(&pending.request.run.incident);
    if area.width >= BESIDE {
        let left = Rect { width: below.width * 3 / 5, ..below };
        details(pending, model.now, canvas, left);
        let right = Rect { x: left.right() + 1, width: below.width - left.width - 1, ..below };
        picture(case, pending, canvas, right);
    } else {
        let upper = Rect { height: (below.height * 2 / 3).max(1), ..below };
        details(pending, model.now, canvas, upper);
        picture(case, pending, canvas, Rect { y: upper.bottom(), height: below.height - upper.height, ..below });
    }
}

fn rows_of(model: &Model, requests: &[Pending], list: &List, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let height = usize::from(area.height);
    let first = first_row(list.cursor, requests.len(), height);
    let wide = area.width >= BESIDE;
    for (row, (at, pending)) in requests.iter().enumerate().skip(first).take(height).enumerate() {
        let y = area.y + row as u16;
        let selected = at == list.cursor;
        canvas.cursor(area.x, y, selected);
        let request = &pending.request;
        let status = pending.status_at(model.now);
        let mark = if pending.waits_for_me(model.now) { "✎ " } else { "  " };
        let text = if selected { theme.selected() } else { Style::new() };
        let mut pieces: Vec<Piece> = vec![
            (mark.into(), theme.accent()),
            (format!("{}  ", request.created.to_clock()), theme.dim()),
            (column(status.word(), 10), status_style(status, theme)),
            (column(&remaining(pending, model.now), 15), theme.dim()),
        ];
        if wide {
            pieces.push((column(&pending.asker, 18), theme.dim()));
            pieces.push((column(request.effect.word(), 9), effect_style(request.effect, theme)));
        }
        pieces.push((command_line(&request.run.argv), text));
        canvas.pieces(area.x + 1, y, area.width - 1, &pieces);
    }
}

/// Time that is left, as a countdown; nothing where none counts any more.
fn remaining(pending: &Pending, now: Timestamp) -> String {
    match pending.status_at(now) {
        Status::Pending | Status::Approved => {
            let seconds = pending.request.expires.since(now).as_secs();
            format!("expires {}:{:02}", seconds / 60, seconds % 60)
        }
        _ => String::new(),
    }
}

fn status_style(status: Status, theme: Theme) -> Style {
    match status {
        Status::Pending => theme.warn(),
        Status::Approved => theme.good(),
        Status::Rejected | Status::Invalid => theme.bad(),
        Status::Used | Status::Expired => theme.dim(),
    }
}

/// Lines that say everything about a request, its command aside.
fn about(pending: &Pending, now: Timestamp, room: usize, theme: Theme) -> Vec<Vec<Piece>> {
    let mut lines = Vec::new();
    let mut field = |name: &str, value: &str, style: Style, most: usize| {
        for (i, part) in folded(&value.replace('\n', " "), room.saturating_sub(9).max(8), most).into_iter().enumerate()
        {
            let label = if i == 0 { name } else { "" };
            lines.push(vec![(format!("{label:<9}"), theme.dim()), (part.trim_start().to_owned(), style)]);
        }
    };
    let request = &pending.request;
    let status = pending.status_at(now);
    let left = remaining(pending, now);
    let why = if status == pending.status { pending.why.one_line().into_owned() } else { "it is too late".to_owned() };
    let why = if why == status.word() { String::new() } else { format!(" · {why}") };
    field(
        "status",
        &format!("{}{why}{}{left}", status.word(), if left.is_empty() { "" } else { " · " }),
        status_style(status, theme),
        2,
    );
    for approver in &pending.by {
        field("signed", &signed(approver), theme.good(), 1);
    }
    let asked = &request.requester;
    let key = asked.key.as_ref().map_or_else(String::new, |key| format!(", key {key}"));
    let login = asked.login_user.as_ref().map_or_else(String::new, |login| format!(", logged in as {login}"));
    field("asked by", &format!("{}, known by {}{login}{key}", pending.asker, asked.trust.word()), Style::new(), 2);
    let notes = if request.notes.is_empty() { String::new() } else { format!(": {}", request.notes.join(", ")) };
    field("effect", &format!("{}{notes}", request.effect.word()), effect_style(request.effect, theme), 2);
    let verdict = &request.verdict;
    let policy = format!("{}: {} · needs {}", verdict.rule, verdict.why, verdict.need.join(", "));
    field("policy", &policy, Style::new(), 2);
    if let Some(differs) = &pending.differs {
        field("⚑", differs, theme.bad(), 2);
    }
    if !request.tainted.is_empty() {
        field("⚑", &format!("words that came from telemetry: {}", request.tainted.join(" ")), theme.bad(), 2);
    }
    if !request.rationale.is_empty() {
        field("why", &request.rationale, Style::new(), 2);
    }
    for evidence in &pending.evidence {
        field("proof", evidence, Style::new(), 2);
    }
    let cluster = request.cluster.as_ref().map_or_else(String::new, |name| format!(" · cluster {name}"));
    let run = &request.run;
    let place = format!("{} · in {} · on {}{cluster} · profile {}", run.program, run.cwd, run.host, run.profile);
    field("where", &place, theme.dim(), 2);
    if !run.files.is_empty() {
        field("bound to", &bound(&run.files), theme.dim(), 2);
    }
    field("digest", &pending.digest.0, theme.dim(), 1);
    lines
}

/// Files with the beginnings of their hashes.
pub(super) fn bound(files: &[(String, String)]) -> String {
    let short = |(path, hash): &(String, String)| format!("{} {hash:.8}", neutralise(path));
    files.iter().map(short).collect::<Vec<_>>().join(" · ")
}

fn signed(approver: &Approver) -> String {
    let verb = if approver.say == Say::Approve { "yes" } else { "no" };
    let reason = if approver.reason.is_empty() { String::new() } else { format!(": {}", approver.reason.one_line()) };
    format!("{verb} by {} at {}{reason}", approver.person, approver.at.to_clock())
}

fn details(pending: &Pending, now: Timestamp, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let room = usize::from(area.width.saturating_sub(2)).max(10);
    let command = command_line(&pending.request.run.argv);
    let mut lines: Vec<Vec<Piece>> =
        folded(&command, room, 4).into_iter().map(|part| vec![(part, theme.strong())]).collect();
    lines.extend(about(pending, now, room, theme));
    for (y, pieces) in (area.top()..area.bottom()).zip(&lines) {
        canvas.pieces(area.x + 1, y, area.width.saturating_sub(1), pieces);
    }
}

/// The incident behind a request: how bad, since when, who is suspected, and the strongest proofs.
fn picture(case: Option<&Case>, pending: &Pending, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let id = &pending.request.run.incident;
    let mut lines: Vec<Vec<Piece>> = Vec::new();
    match case {
        None if id.is_empty() => lines.push(vec![("it belongs to no incident".into(), theme.dim())]),
        None => {
            let text = format!("incident {} is not on this board", neutralise(id));
            lines.push(vec![(text, theme.dim())]);
        }
        Some(case) => {
            let incident = &case.incident;
            let resolved = incident.is_resolved();
            let severity = format!(
                "{} {}  ",
                severity_glyph(incident.severity, resolved),
                severity_word(incident.severity, resolved).trim_end()
            );
            lines.push(vec![
                (severity, theme.severity(incident.severity)),
                (incident.title.one_line().into_owned(), theme.strong()),
            ]);
            let suspects = case.investigation.value.iter().flat_map(|found| &found.analysis.suspects);
            for suspect in suspects.clone().take(3) {
                let text = format!("{} {} {:.2}", suspect.rank, suspect.service, suspect.score);
                lines.push(vec![(text, Style::new())]);
                if suspect.rank == 1 {
                    for signal in suspect.signals.iter().take(PROOFS) {
                        lines.push(vec![("  ⊕ ".into(), theme.accent()), (signal.text.clone(), theme.dim())]);
                    }
                }
            }
            if suspects.count() == 0 {
                lines.push(vec![(super::board::progress(case), theme.dim())]);
            }
        }
    }
    for (y, pieces) in (area.top()..area.bottom()).zip(&lines) {
        canvas.pieces(area.x + 1, y, area.width.saturating_sub(1), pieces);
    }
}

/// Draws the box of one request.
pub(super) fn sign(model: &Model, open: &SignBox, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let room = inner_columns(area.width);
    let style = if model.identity.critical { theme.bad() } else { theme.accent() };
    let style = if theme.colours { style } else { Style::new() };
    let pending = queue::find(model, &open.digest);
    let (mut head, mut lines): (Vec<Vec<Piece>>, Vec<Vec<Piece>>) = (Vec::new(), Vec::new());
    if let Some(pending) = pending {
        // Every argument is shown whole: nothing of what is signed may be cut off.
        let command = command_line(&pending.request.run.argv);
        head.extend(wrap(&command, room).into_iter().map(|part| vec![(part.to_owned(), theme.strong())]));
        lines = about(pending, model.now, room, theme);
    } else {
        head.push(vec![("the request is no longer known".into(), theme.warn())]);
    }
    let bottom = question(model, open, pending, room, theme);
    let title = format!("Approve in {}?", pending.map_or("", |pending| &pending.request.run.profile));
    let height = (head.len() + lines.len() + bottom.len()) as u16;
    let inner = frame_in(canvas, area, room as u16 + 4, height, &title, style);
    let keep = usize::from(inner.height).saturating_sub(head.len() + bottom.len());
    let below = lines.len().saturating_sub(keep);
    let first = open.scroll.min(below);
    let shown = head.iter().chain(lines.iter().skip(first).take(keep)).chain(&bottom);
    for (y, pieces) in (inner.top()..inner.bottom()).zip(shown) {
        canvas.pieces(inner.x, y, inner.width, pieces);
    }
    if below > 0 {
        let text = format!(" {} more lines above, {} below (↑ ↓) ", first, below - first);
        let y = inner.y + (head.len() + keep) as u16;
        canvas.right(Rect { y, height: 1, ..inner }, &text, theme.warn());
    }
}

fn question(model: &Model, open: &SignBox, pending: Option<&Pending>, room: usize, theme: Theme) -> Vec<Vec<Piece>> {
    let mut lines: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut wrapped = |text: &str, style: Style| {
        lines.extend(folded(text, room, 3).into_iter().map(|part| vec![(part, style)]));
    };
    match (&open.stage, open.say) {
        (SignStage::Signing, _) => {
            wrapped("the ssh-agent signs … touch the key if it blinks   Esc gives up", theme.warn());
        }
        (SignStage::Done(Ok(text)), _) => wrapped(&format!("✓ {}   Esc closes", text.one_line()), theme.good()),
        (SignStage::Done(Err(why)), _) => {
            wrapped(&format!("✗ nothing counts: {}   Esc closes", why.one_line()), theme.bad());
        }
        (SignStage::Open, None) => {
            let refused = queue::why_not_approve(pending, model.now, model.size);
            if let Some(why) = &refused {
                wrapped(&format!("you cannot approve it: {why}"), theme.warn());
            }
            let yes = if refused.is_none() { "y approve & sign   " } else { "" };
            let preview = if pending.is_some_and(Pending::has_preview) {
                format!("{PREVIEW_KEY} preview   ")
            } else {
                String::new()
            };
            wrapped(&format!("{yes}n reject with a reason   {preview}Esc back"), theme.accent());
        }
        (SignStage::Open, Some(say)) => {
            let (verb, style) = match say {
                Say::Approve => ("Approve", theme.good()),
                Say::Reject => ("Reject", theme.bad()),
            };
            let optional = if say == Say::Approve { " (may stay empty)" } else { "" };
            lines.push(vec![
                (verb.to_owned(), style),
                (format!(", because{optional}: "), Style::new()),
                (open.reason.text.clone(), theme.strong()),
                ("▌".into(), theme.accent()),
            ]);
            lines.push(vec![("⏎ signs by the ssh-agent   Esc back".into(), theme.dim())]);
        }
    }
    lines
}
