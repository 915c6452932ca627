//! What could be done: the exact command, its effect and the gate's verdict.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::core::copy::command_line;
use crate::core::list::{List, first_row};
use crate::core::message::Suggestion;
use crate::core::model::{Case, Model};
use crate::core::rows;
use crate::core::screen::IncidentScreen;
use crate::domain::action::{Decision, Effect, Origin};

use super::canvas::{Canvas, Piece, flow};
use super::theme::Theme;

/// Rows of one action.
const ROWS: usize = 4;

/// Draws the pane.
pub(super) fn draw(model: &Model, case: &Case, screen: &IncidentScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let list = screen.list();
    let actions = rows::actions(case, list);
    let width = area.width.saturating_sub(3);
    if actions.is_empty() {
        let filter = &list.filter.text;
        let no_match = format!("nothing contains \"{filter}\"");
        let incomplete = case.acting().is_some_and(|made| !made.diagnosed.complete);
        let text = if !filter.is_empty() && !rows::actions(case, &List::default()).is_empty() {
            no_match.as_str()
        } else if case.draft.is_some() || case.conclusion.busy() {
            "actions can be chosen once the diagnosis has ended cleanly"
        } else if incomplete {
            "the model's actions cannot be chosen; o brings the playbooks'"
        } else if case.conclusion.value.is_some() {
            "no action is suggested"
        } else {
            "no diagnosis yet, so nothing is suggested"
        };
        canvas.text(area.x + 2, area.y + 1, width, text, theme.dim());
        return;
    }
    let recorded = model.identity.recorded.is_some();
    let instead = case.conclusion.value.as_ref().is_some_and(|made| !made.diagnosed.complete);
    let heads: &[&str] = if instead {
        &[
            "the playbooks' actions: those of the answer cannot be chosen; nothing runs unconfirmed",
            "the playbooks' actions: the answer's cannot be chosen",
            "the playbooks' actions",
        ]
    } else if recorded {
        &[
            "nothing runs before you confirm it; from a recording only what reads can run",
            "nothing runs unconfirmed; here only what reads",
            "here runs only what reads",
        ]
    } else {
        &["nothing runs before you confirm it"]
    };
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let shown = (usize::from(body.height) / ROWS).max(1);
    let first = first_row(list.cursor, actions.len(), shown);
    let place =
        if actions.len() > shown { format!(" {} of {} ", list.cursor + 1, actions.len()) } else { String::new() };
    let room = usize::from(area.width).saturating_sub(1 + place.width());
    let head = heads.iter().find(|head| head.width() <= room).or(heads.last()).copied().unwrap_or_default();
    canvas.text(area.x + 1, area.y, u16::try_from(room).unwrap_or(width), head, theme.dim());
    canvas.right(Rect { height: 1, ..area }, &place, theme.dim());
    for (row, (at, suggestion)) in actions.iter().enumerate().skip(first).take(shown).enumerate() {
        let y = body.y + (row * ROWS) as u16;
        let blocked = recorded && suggestion.judged.effect != Effect::Read;
        draw_one(suggestion, at, at == list.cursor, blocked, canvas, Rect { y, height: body.bottom() - y, ..body });
    }
}

fn draw_one(suggestion: &Suggestion, at: usize, selected: bool, blocked: bool, canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let action = &suggestion.action;
    canvas.cursor(area.x, area.y, selected);
    let text = if selected { theme.selected() } else { Style::new() };
    let head: [Piece; 2] = [(format!("{:<2} ", at + 1), theme.dim()), (action.rationale.one_line().into_owned(), text)];
    let mut lines: Vec<Vec<Piece>> =
        vec![head.to_vec(), vec![("   $ ".into(), theme.dim()), (command_line(&action.argv), theme.strong())]];
    // A warning at the end of the verdict may take the blank row as well.
    lines.extend(flow(&verdict(suggestion, blocked, theme), usize::from(area.width.saturating_sub(2)), 5, ROWS - 2));
    for (y, pieces) in (area.top()..area.bottom()).zip(&lines) {
        canvas.pieces(area.x + 1, y, area.width - 1, pieces);
    }
}

/// Effect and verdict in words.
fn verdict(suggestion: &Suggestion, blocked: bool, theme: Theme) -> Vec<Piece> {
    let judged = &suggestion.judged;
    let mut pieces = vec![
        ("     ".into(), theme.dim()),
        (judged.effect.word().to_owned(), effect_style(judged.effect, theme)),
        (" · ".into(), theme.dim()),
        if blocked {
            ("blocked".to_owned(), theme.bad())
        } else {
            (judged.verdict.decision.word().to_owned(), decision_style(judged.verdict.decision, theme))
        },
        (format!(" · {}", if blocked { "this is a recording" } else { &judged.verdict.why }), theme.dim()),
        (format!(" · {}", by(&suggestion.action.origin)), theme.dim()),
    ];
    if judged.reads_secrets {
        pieces.push((" · reads secrets".into(), theme.bad()));
    }
    if !judged.tainted.is_empty() {
        pieces.push((format!(" · ⚑ from telemetry: {}", judged.tainted.join(" ")), theme.bad()));
    }
    pieces
}

/// Who suggests it.
fn by(origin: &Origin) -> String {
    match origin {
        Origin::Playbook(_) => "by playbook".to_owned(),
        Origin::Model(name) => format!("by model {name}"),
        Origin::Operator(name) => format!("by {name}"),
    }
}

pub(super) fn effect_style(effect: Effect, theme: Theme) -> Style {
    match effect {
        Effect::Read => theme.good(),
        Effect::Mutate => theme.warn(),
        Effect::Destroy | Effect::Opaque => theme.bad(),
    }
}

pub(super) fn decision_style(decision: Decision, theme: Theme) -> Style {
    match decision {
        Decision::Allow => theme.good(),
        Decision::Confirm => theme.warn(),
        Decision::Approve | Decision::Deny => theme.bad(),
    }
}
