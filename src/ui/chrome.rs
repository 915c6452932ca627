//! What stands around every screen: status bar, title, hint bar.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::core::command::{Command, Place, escape_hint, offered, place};
use crate::core::queue::{Status as QueueStatus, waiting_for_me};
use crate::core::screen::{Pane, Screen, Subject};
use crate::core::{Key, Model, pace};
use crate::domain::alert::Severity;
use crate::domain::health::Status;

use super::canvas::{Canvas, Piece, fit, folded};
use super::theme::{Glyphs, severity_glyph, severity_word, status_glyph};

/// Most lines of a message to the operator.
const TOAST_LINES: usize = 2;

/// Draws what stands around the screen and returns what is left for it.
pub(super) fn frame(model: &Model, canvas: &mut Canvas<'_>, area: Rect) -> Rect {
    status_bar(model, canvas, Rect { height: 1, ..area });
    title(model, canvas, Rect { y: area.y + 1, height: 1, ..area });
    let rule = if model.identity.critical { canvas.theme.bad() } else { canvas.theme.dim() };
    canvas.rule(Rect { y: area.y + 2, height: 1, ..area }, rule);
    hint_bar(model, canvas, Rect { y: area.bottom() - 1, height: 1, ..area });
    Rect { y: area.y + 3, height: area.height - 4, ..area }
}

/// The message in place of a screen that does not fit.
pub(super) fn too_small(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let (columns, rows) = crate::core::model::SMALLEST;
    let style = canvas.theme.strong();
    let lines = [
        "terminal too small".to_owned(),
        format!("{}x{}, needs {columns}x{rows}", model.size.0, model.size.1),
        "q quit  Esc back".to_owned(),
    ];
    for (y, line) in (area.top()..area.bottom()).zip(&lines) {
        canvas.text(area.x, y, area.width, line, style);
    }
}

fn status_bar(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let mut left: Vec<Piece> = vec![(" stanch  ".into(), theme.strong())];
    let identity = &model.identity;
    if identity.critical {
        left.push((identity.profile.clone(), theme.bad().add_modifier(Modifier::BOLD)));
        left.push((format!(" {}critical", Glyphs::BAR), theme.bad()));
    } else {
        left.push((identity.profile.clone(), theme.strong()));
    }
    if let Some(recorded) = &identity.recorded {
        left.push((format!("  {recorded} "), theme.focus()));
    }
    let waiting = waiting_for_me(model);
    if waiting > 0 {
        let text = if area.width < 100 {
            format!("  ✎{waiting} (A)")
        } else {
            format!("  ✎ {waiting} for you to approve (A)")
        };
        left.push((text, theme.warn().add_modifier(Modifier::BOLD)));
    }
    left.extend(asking(model, area.width).map(|text| (text, theme.accent())));
    if let Some(since) = model.frozen {
        left.push((format!(" frozen at {} ", since.to_clock()), theme.warn().add_modifier(Modifier::REVERSED)));
    }
    let used = canvas.pieces(area.x, area.y, area.width, &left);
    let room = area.width.saturating_sub(used + 2);
    let pieces = health(model, canvas, usize::from(room));
    let width: usize = pieces.iter().map(|(text, _)| text.width()).sum();
    let x = area.right().saturating_sub(width as u16 + 1).max(area.x + used + 1);
    canvas.pieces(x, area.y, area.right().saturating_sub(x), &pieces);
}

/// Which model is being asked, wherever one is: it costs, and what it says comes later.
fn asking(model: &Model, width: u16) -> Option<String> {
    let asked = model.asked_model()?;
    let who = fit(&asked.who, if width < 100 { 20 } else { 40 });
    // The time of a recording stands still.
    let since = asked.since.filter(|_| model.identity.recorded.is_none());
    let seconds = since.map_or_else(String::new, |since| format!(" {} s", model.now.since(since).as_secs()));
    let others = if asked.others > 0 { format!(" +{}", asked.others) } else { String::new() };
    Some(format!("  ◌ {who}{seconds}{others}"))
}

/// State of the sources: whole words where there is room, else names cut, else a count.
fn health(model: &Model, canvas: &Canvas<'_>, room: usize) -> Vec<Piece> {
    let theme = canvas.theme;
    for level in 0..3 {
        let mut pieces: Vec<Piece> = Vec::new();
        for source in &model.sources {
            if !pieces.is_empty() {
                pieces.push(("  ".into(), theme.dim()));
            }
            let name = if level == 0 { source.name.clone() } else { short_name(&source.name).to_owned() };
            let age = source.last_ok.map_or_else(|| "no data".to_owned(), |at| pace::age(at, model.now));
            let word = match source.status {
                Status::Ok => age,
                status if level == 2 => status.word().to_owned(),
                status => format!("{} {age}", status.word()),
            };
            pieces.push((status_glyph(source.status).into(), theme.status(source.status)));
            pieces.push((
                format!(" {name} {word}"),
                if source.status == Status::Ok { theme.dim() } else { theme.status(source.status) },
            ));
        }
        if pieces.is_empty() && model.endpoints.is_empty() {
            return vec![("○ no source asked yet".into(), theme.dim())];
        }
        pieces.extend(endpoint(model, canvas, pieces.is_empty(), level));
        if pieces.iter().map(|(text, _)| text.width()).sum::<usize>() <= room {
            return pieces;
        }
    }
    let down = model.sources.iter().filter(|source| source.status != Status::Ok).count();
    let style = if down == 0 { theme.good() } else { theme.bad() };
    let (fine, all) = (model.sources.len() - down, model.sources.len());
    let words = format!("{fine} of {all} sources ok");
    let words = if words.width() > room { format!("{fine}/{all} ok") } else { words };
    vec![(fit(&words, room), style)]
}

/// State of the language model that would be asked next; nothing while none was asked.
fn endpoint(model: &Model, canvas: &Canvas<'_>, first: bool, level: usize) -> Vec<Piece> {
    let theme = canvas.theme;
    let asked = || model.endpoints.iter().filter(|one| one.status != Status::Unknown);
    let Some(one) = asked().find(|one| one.status != Status::Down).or_else(|| asked().next()) else {
        return Vec::new();
    };
    let word = match one.status {
        Status::Ok => String::new(),
        _ if level == 0 => format!(" {}", one.words),
        status => format!(" {}", status.word()),
    };
    let style = if one.status == Status::Ok { theme.dim() } else { theme.status(one.status) };
    let gap = if first { String::new() } else { "  ".to_owned() };
    vec![
        (gap, theme.dim()),
        (status_glyph(one.status).into(), theme.status(one.status)),
        (format!(" llm{word}"), style),
    ]
}

fn short_name(name: &str) -> &str {
    match name {
        "prometheus" => "prom",
        "alertmanager" => "am",
        "kubernetes" => "k8s",
        other => other,
    }
}

fn title(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let base = model.screens.iter().rev().find(|screen| !screen.is_overlay());
    match base {
        Some(Screen::Board(_)) => {
            let used = canvas.text(area.x, area.y, area.width, " Incidents  ", theme.strong());
            let text = board_summary(model);
            canvas.text(area.x + used, area.y, area.width.saturating_sub(used), &text, theme.dim());
        }
        Some(Screen::Incident(screen)) => {
            incident_title(model, &screen.incident, &tabs(screen.pane, usize::from(area.width), theme), canvas, area);
        }
        Some(Screen::Detail(detail)) => {
            let mut place = Vec::new();
            if let Subject::Evidence { ids, at } = &detail.subject
                && ids.len() > 1
            {
                let keys = match (area.width < 100, detail.in_text) {
                    (true, _) => "",
                    (false, true) => " · Tab items",
                    (false, false) => " · j k items  Tab text",
                };
                place.push((format!("  proof {} of {}{keys} ", at + 1, ids.len()), theme.dim()));
            }
            if detail.incident.is_empty() {
                let title = " Ask  what a step brought";
                canvas.text(area.x, area.y, area.width, title, theme.strong());
                canvas.right(area, &place.iter().map(|(text, _)| text.as_str()).collect::<String>(), theme.dim());
            } else {
                incident_title(model, &detail.incident, &place, canvas, area);
            }
        }
        Some(Screen::Chat(screen)) => {
            if screen.chat.is_empty() {
                let used = canvas.text(area.x, area.y, area.width, " Ask  ", theme.strong());
                canvas.text(area.x + used, area.y, area.width.saturating_sub(used), "the whole system", theme.dim());
            } else {
                incident_title(model, &screen.chat, &[("  Ask ".to_owned(), theme.accent())], canvas, area);
            }
        }
        Some(Screen::Pack(_)) => {
            canvas.text(area.x, area.y, area.width, " Pack: exactly what a model would be sent", theme.strong());
        }
        Some(Screen::Queue(_)) => {
            let used = canvas.text(area.x, area.y, area.width, " Approvals  ", theme.strong());
            let open = model.queue.value.iter().flat_map(|queue| &queue.requests);
            let open = open.filter(|pending| pending.status_at(model.now) == QueueStatus::Pending).count();
            let text = format!("{open} waiting · {} for you", waiting_for_me(model));
            canvas.text(area.x + used, area.y, area.width.saturating_sub(used), &text, theme.dim());
        }
        Some(Screen::Sources(_)) => {
            canvas.text(area.x, area.y, area.width, " Sources", theme.strong());
        }
        _ => {
            canvas.text(area.x, area.y, area.width, " First run", theme.strong());
        }
    }
}

fn board_summary(model: &Model) -> String {
    let Some(ids) = &model.board.value else {
        return match (&model.board.error, model.board.busy()) {
            (Some(_), _) => "unknown".into(),
            (None, true) => "asking for alerts …".into(),
            (None, false) => String::new(),
        };
    };
    let open = model.incidents().filter(|case| !case.incident.is_resolved()).count();
    let alerts: usize = model.incidents().map(|case| case.incident.alerts.len()).sum();
    let resolved = ids.len() - open.min(ids.len());
    let resolved = if resolved > 0 { format!(" · {resolved} resolved") } else { String::new() };
    let failed = if model.board.error.is_some() { " · last refresh failed" } else { "" };
    format!(
        "{open} open{resolved} · {} alert{} folded{failed}",
        crate::core::figures::count(alerts as u64),
        if alerts == 1 { "" } else { "s" }
    )
}

/// The incident, and what stands at the right of it.
fn incident_title(model: &Model, id: &str, right: &[Piece], canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let Some(case) = model.cases.get(id) else { return };
    let incident = &case.incident;
    let resolved = incident.is_resolved();
    let severity = if resolved { Severity::Unknown } else { incident.severity };
    let right_width: usize = right.iter().map(|(text, _)| text.width()).sum();
    let compared = case.baseline.map_or_else(String::new, |choice| format!("  vs {choice}"));
    let anew = match (&case.investigation.value, &case.investigation.progress) {
        (Some(_), Some(progress)) if progress.total > 0 => {
            format!("  {} {}/{}", super::board::spinner(progress.done), progress.done, progress.total)
        }
        _ => String::new(),
    };
    let tail = format!(
        "  {} {}  {}{compared}{anew}",
        severity_glyph(incident.severity, resolved),
        severity_word(incident.severity, resolved).trim_end(),
        pace::age(incident.started_at, model.now)
    );
    let room = usize::from(area.width).saturating_sub(right_width + tail.width() + 2);
    let pieces =
        [(format!(" {}", fit(&incident.title.one_line(), room)), theme.strong()), (tail, theme.severity(severity))];
    canvas.pieces(area.x, area.y, area.width.saturating_sub(right_width as u16), &pieces);
    canvas.pieces(area.right().saturating_sub(right_width as u16), area.y, right_width as u16, right);
}

/// Tabs of the panes: all names where there is room, else numbers and the name of the one in front.
fn tabs(front: Pane, width: usize, theme: super::Theme) -> Vec<Piece> {
    let wide = width >= 110;
    let mut pieces = Vec::new();
    for pane in Pane::ALL {
        let number = pane.index() + 1;
        if pane == front {
            pieces.push((format!(" {number} {} ", pane.title()), theme.focus()));
        } else if wide {
            pieces.push((format!(" {} ", pane.title()), theme.dim()));
        } else {
            pieces.push((format!(" {number}"), theme.dim()));
        }
    }
    pieces
}

/// Draws the message to the operator at the foot, over the last lines of the screen where one is too short.
pub(super) fn toast(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(toast) = &model.toast else { return };
    let theme = canvas.theme;
    let (glyph, style) = if toast.failed { ("⚠ ", theme.bad()) } else { ("", theme.accent()) };
    let width = area.width.saturating_sub(2);
    let most = if area.height >= 12 { TOAST_LINES } else { 1 };
    let lines = folded(&format!("{glyph}{}", toast.text.one_line()), usize::from(width).max(1), most);
    let first = area.bottom().saturating_sub(lines.len() as u16);
    for (y, line) in (first..area.bottom()).zip(&lines) {
        canvas.text(area.x, y, area.width, &" ".repeat(usize::from(area.width)), Style::new());
        canvas.text(area.x + 1, y, width, line, style);
    }
}

fn hint_bar(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    if model.toast.is_some() {
        // It is drawn last, for it may need a second line.
        return;
    }
    if let Some((label, text)) = open_field(model) {
        let pieces = [
            (format!(" {label}"), theme.accent()),
            (text.to_owned(), theme.strong()),
            ("▌".to_owned(), theme.accent()),
            ("  ⏎ keep  Esc clear".to_owned(), theme.dim()),
        ];
        canvas.pieces(area.x, area.y, area.width, &pieces);
        return;
    }
    let mut pieces: Vec<Piece> = vec![(" ".into(), theme.dim())];
    let mut used = 1;
    for (key, word, possible) in hints(model) {
        let gap = if used > 1 { 3 } else { 0 };
        let width = gap + key.width() + word.width() + 1;
        if used + width > usize::from(area.width) {
            break;
        }
        used += width;
        let style = if possible { theme.accent() } else { theme.dim() };
        pieces.push((" ".repeat(gap), theme.dim()));
        pieces.push((key, style));
        pieces.push((format!(" {word}"), theme.dim()));
    }
    canvas.pieces(area.x, area.y, area.width, &pieces);
}

fn hints(model: &Model) -> Vec<(String, &'static str, bool)> {
    match place(model) {
        Place::Run => vec![("Esc".into(), "back or cancel", true)],
        Place::Sign => vec![("Esc".into(), "back", true)],
        Place::Paste => {
            vec![("⏎".into(), "check it", true), ("Ctrl-u".into(), "empty", true), ("Esc".into(), "back", true)]
        }
        Place::Chat if matches!(model.top(), Screen::Chat(screen) if !screen.reading) => {
            let busy = matches!(model.top(), Screen::Chat(screen)
                if model.chats.get(&screen.chat).is_some_and(|chat| chat.slot.busy()));
            vec![
                ("⏎".into(), "ask", !busy),
                ("Esc".into(), if busy { "cancel" } else { "back" }, true),
                ("Tab".into(), "answers", true),
                ("Alt-⏎".into(), "new line", true),
                ("↑".into(), "earlier", true),
                ("PgUp".into(), "scroll", true),
            ]
        }
        Place::Pack if model.looked_at().is_some() => {
            let ready = model.preview().is_some_and(|preview| preview.value.is_some());
            vec![
                ("⏎".into(), "send", ready),
                ("Esc".into(), "back", true),
                ("Y".into(), "copy request", ready),
                ("/".into(), "search", true),
                ("?".into(), "help", true),
            ]
        }
        Place::Help => vec![("type".into(), "to search", true), ("Esc".into(), "close", true)],
        Place::Palette => {
            vec![("⏎".into(), "do it", true), ("↑↓".into(), "choose", true), ("Esc".into(), "close", true)]
        }
        place => {
            let mut hints: Vec<_> = offered(place)
                .filter(|found| !found.hint.is_empty() && (found.hint != "back" || model.screens.len() > 1))
                .map(|found| {
                    let hint = if found.command == Command::Back { escape_hint(model) } else { found.hint };
                    (found.keys[0].to_string(), hint, (found.why_not)(model).is_none())
                })
                .collect();
            // Help last in the registry, but never cut off.
            if let Some(at) = hints.iter().position(|(key, ..)| *key == Key::Char('?').to_string()) {
                let help = hints.remove(at);
                hints.insert(hints.len().min(3), help);
            }
            hints
        }
    }
}

fn open_field(model: &Model) -> Option<(&'static str, &str)> {
    match model.top() {
        Screen::Board(list) if list.typing => Some(("filter /", &list.filter.text)),
        Screen::Incident(screen) if screen.list().typing => Some(("filter /", &screen.list().filter.text)),
        Screen::Detail(detail) if detail.reader.typing => Some(("search /", &detail.reader.search.text)),
        Screen::Pack(reader) if reader.typing => Some(("search /", &reader.search.text)),
        _ => None,
    }
}
