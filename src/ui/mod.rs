//! Rendering of the model. Pure. May import `domain`, `core`.
//!
//! [`render`] draws the topmost screen, and what stays visible below an overlay, into a buffer of cells. It decides
//! nothing: what is listed, selected and possible comes from `core`.

mod actions;
mod ascii;
mod asked;
mod axis;
mod board;
mod canvas;
mod chart;
mod chat;
mod chrome;
mod diagnosis;
mod evidence;
mod first_run;
mod logs;
mod overlay;
mod proof;
mod queue;
mod reader;
mod run;
mod scale;
mod sparkline;
mod stroke;
mod suspects;
mod theme;
mod timeline;

#[cfg(test)]
mod consult_tests;
#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::core::screen::{IncidentScreen, Pane};
use crate::core::{Case, Model, Screen};
use crate::domain::evidence::EvidenceId;

pub use theme::{Glyphs, Theme};

use canvas::{Canvas, Piece};

/// Draws the model.
pub fn render(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let mut canvas = Canvas::new(buffer, *theme);
    if model.too_small() {
        chrome::too_small(model, &mut canvas, area);
    } else {
        let base = model.screens.iter().rposition(|screen| !screen.is_overlay()).unwrap_or(0);
        let body = chrome::frame(model, &mut canvas, area);
        for screen in &model.screens[base..] {
            draw_screen(model, screen, &mut canvas, body);
        }
        chrome::toast(model, &mut canvas, area);
    }
    if theme.ascii {
        ascii::fold(buffer, area);
    }
}

fn draw_screen(model: &Model, screen: &Screen, canvas: &mut Canvas<'_>, body: Rect) {
    match screen {
        Screen::FirstRun(list) => first_run::draw(model, list, canvas, body),
        Screen::Board(list) => board::draw(model, list, canvas, body),
        Screen::Incident(screen) => {
            if let Some(case) = model.cases.get(&screen.incident) {
                draw_pane(model, case, screen, canvas, body);
            }
        }
        Screen::Detail(_) | Screen::Pack(_) | Screen::Sources(_) => reader::draw(model, canvas, body),
        Screen::Chat(screen) => chat::draw(model, screen, canvas, body),
        Screen::Queue(list) => queue::draw(model, list, canvas, body),
        Screen::Sign(open) => queue::sign(model, open, canvas, body),
        Screen::Paste(open) => overlay::paste(open, canvas, body),
        Screen::Run(dialog) => run::draw(model, dialog, canvas, body),
        Screen::Help(help) => overlay::help(model, help, canvas, body),
        Screen::Palette(palette) => overlay::palette(model, palette, canvas, body),
    }
}

fn draw_pane(model: &Model, case: &Case, screen: &IncidentScreen, canvas: &mut Canvas<'_>, body: Rect) {
    let body = filter_line(screen, canvas, body);
    match screen.pane {
        Pane::Suspects => suspects::draw(model, case, screen, canvas, body),
        Pane::Evidence => evidence::draw(model, case, screen, canvas, body),
        Pane::Diagnosis => diagnosis::draw(model, case, screen, canvas, body),
        Pane::Actions => actions::draw(model, case, screen, canvas, body),
        Pane::Timeline => timeline::draw(case, screen, canvas, body),
        Pane::Logs => logs::draw(model, case, screen, canvas, body),
        Pane::Asked => asked::draw(model, case, screen, canvas, body),
    }
}

/// Says that a list is filtered, in a line of its own; returns what is left.
fn filter_line(screen: &IncidentScreen, canvas: &mut Canvas<'_>, body: Rect) -> Rect {
    let filter = &screen.list().filter.text;
    if filter.is_empty() || body.height < 3 {
        return body;
    }
    let style = canvas.theme.warn();
    canvas.text(body.x + 1, body.y, body.width - 1, &format!("only what contains \"{filter}\"  (Esc clears)"), style);
    Rect { y: body.y + 1, height: body.height - 1, ..body }
}

/// The selected row's text in full below a list, where there is room; returns what is left for the list.
fn in_full(text: &str, canvas: &mut Canvas<'_>, area: Rect) -> Rect {
    if area.height < 12 {
        return area;
    }
    let theme = canvas.theme;
    let width = area.width.saturating_sub(2);
    let lines = canvas::folded(text, usize::from(width), usize::from(area.height / 5));
    let height = area.height - lines.len() as u16 - 1;
    canvas.rule(Rect { y: area.y + height, height: 1, ..area }, theme.dim());
    for (y, line) in (area.y + height + 1..area.bottom()).zip(&lines) {
        canvas.text(area.x + 1, y, width, line, ratatui::style::Style::new());
    }
    Rect { height, ..area }
}

/// The citations behind a claim, the focused one marked.
fn links(ids: &[EvidenceId], focus: Option<usize>, theme: Theme) -> Vec<Piece> {
    let mut pieces = vec![("  [".to_owned(), theme.dim())];
    for (at, id) in ids.iter().enumerate() {
        if at > 0 {
            pieces.push((" ".into(), theme.dim()));
        }
        let focused = focus.is_some_and(|focus| focus.min(ids.len() - 1) == at);
        pieces.push((id.to_string(), if focused { theme.accent().patch(theme.focus()) } else { theme.accent() }));
    }
    pieces.push(("]".into(), theme.dim()));
    pieces
}

/// What stands in a pane whose data is not there yet: how far it is, or what went wrong.
fn waiting(model: &Model, case: &Case, canvas: &mut Canvas<'_>, body: Rect) {
    let theme = canvas.theme;
    let slot = &case.investigation;
    let (x, width) = (body.x + 2, body.width.saturating_sub(3));
    let mut y = body.y + 1;
    let mut say = |text: &str, style| {
        if y < body.bottom() {
            canvas.text(x, y, width, text, style);
        }
        y += 1;
    };
    let seconds = slot.since.map_or(0, |since| model.now.since(since).as_secs());
    let elapsed = if slot.busy() && seconds > 0 { format!("  {seconds} s") } else { String::new() };
    say(&format!("{}{elapsed}", board::progress(case)), theme.strong());
    if let Some(progress) = &slot.progress {
        let columns = usize::from(width).saturating_sub(3).min(50);
        if let Some(done) = (columns * progress.done.min(progress.total)).checked_div(progress.total) {
            let bar = format!("{}{}", "█".repeat(done), "░".repeat(columns - done));
            say(&bar, theme.accent_plain());
        }
        for (name, text, style) in [
            ("last", &progress.what, theme.dim()),
            ("open", &progress.open, theme.dim()),
            ("slow", &progress.slow, theme.warn()),
        ] {
            if !text.is_empty() {
                say(&format!("{name}  {}", text.one_line()), style);
            }
        }
    }
    if slot.busy() {
        let keys = if slot.enough { "Esc gives up" } else { "Esc stops asking and uses what came so far" };
        say("", theme.dim());
        say(keys, theme.dim());
        return;
    }
    if let Some(why) = &slot.error {
        for line in crate::core::reading::wrap(&why.one_line(), usize::from(width).max(10)) {
            say(line, theme.bad());
        }
        say("r asks again", theme.dim());
    }
}
