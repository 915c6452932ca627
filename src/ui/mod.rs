//! Rendering of the model. Pure. May import `domain`, `core`.
//!
//! [`render`] draws the topmost screen, and what stays visible below an overlay, into a buffer of cells. It decides
//! nothing: what is listed, selected and possible comes from `core`.

mod ascii;
mod board;
mod canvas;
mod chrome;
mod sparkline;
mod theme;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::core::{Model, Screen};

pub use theme::{Glyphs, Theme};

use canvas::Canvas;

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
    }
    if theme.ascii {
        ascii::fold(buffer, area);
    }
}

fn draw_screen(model: &Model, screen: &Screen, canvas: &mut Canvas<'_>, body: Rect) {
    if let Screen::Board(list) = screen {
        board::draw(model, list, canvas, body);
    }
}
