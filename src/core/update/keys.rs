//! Key presses: text fields first, then the dialog, then the registry.

use crate::core::command::{Command, bound, bound_elsewhere, place};
use crate::core::confirm::{Dialog, Step};
use crate::core::effect::Effect;
use crate::core::key::Key;
use crate::core::list::Input;
use crate::core::model::{Case, HISTORY_MAX, Model};
use crate::core::palette;
use crate::core::screen::Screen;
use crate::domain::Text;

use super::{act, say, say_while};

/// One key press.
pub(super) fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    model.toast = None;
    if !matches!(key, Key::Char('q') | Key::Ctrl('c')) {
        model.quit_armed = false;
    }
    if let Key::Ctrl('c' | 'z' | 'l') = key {
        return bound(key, place(model)).map_or_else(Vec::new, |found| act::act(model, found.command));
    }
    // Where nothing can be seen, nothing but leaving is possible.
    if model.too_small() {
        return match key {
            Key::Char('q') if !matches!(model.top(), Screen::Run(_)) => act::act(model, Command::Quit),
            Key::Esc => act::act(model, Command::Back),
            _ => Vec::new(),
        };
    }
    let writing = matches!(model.top(), Screen::Chat(screen) if !screen.reading);
    // A terminal sends Escape and a key pressed right after it as that key with Alt: outside of a text it is those two.
    if let (false, Some(second)) = (writing, second(key)) {
        let mut effects = self::key(model, Key::Esc);
        effects.extend(self::key(model, second));
        return effects;
    }
    let typing = open_field(model).is_some();
    match model.top() {
        Screen::Run(_) => dialog(model, key),
        Screen::Sign(_) => super::queue::sign_key(model, key),
        Screen::Paste(_) => super::consult::paste_key(model, key),
        Screen::Palette(_) => in_palette(model, key),
        Screen::Help(_) => in_help(model, key),
        Screen::Chat(_) if writing => super::chat::key(model, key),
        _ if typing => in_field(model, key),
        _ => command(model, key),
    }
}

/// The key that was pressed together with Alt.
const fn second(key: Key) -> Option<Key> {
    match key {
        Key::Alt(c) => Some(Key::Char(c)),
        Key::AltEnter => Some(Key::Enter),
        Key::AltBackspace => Some(Key::Backspace),
        _ => None,
    }
}

/// Pasted text goes into an open text field of ours, and nowhere else.
pub(super) fn paste(model: &mut Model, text: &Text) {
    match model.top_mut() {
        Screen::Palette(palette) => palette.input.paste(text),
        Screen::Paste(open) => open.paste(text),
        Screen::Help(reader) => reader.search.paste(text),
        Screen::Chat(_) => super::chat::paste(model, text),
        _ => {
            if let Some((field, _)) = open_field(model) {
                field.paste(text);
            }
        }
    }
}

fn command(model: &mut Model, key: Key) -> Vec<Effect> {
    // A question is sent by the key that asks, also after it was looked at.
    let key = if key == Key::Enter && model.looked_at().is_some() { Key::Char('d') } else { key };
    let Some(definition) = bound(key, place(model)) else {
        if let Some(elsewhere) = bound_elsewhere(key) {
            say(model, &format!("{}: not on this screen (? lists its keys)", elsewhere.name));
        }
        return Vec::new();
    };
    if let Some(why) = (definition.why_not)(model) {
        let under_way = model.current().and_then(Case::under_way);
        say_while(model, &format!("{}: {why}", definition.name), under_way);
        return Vec::new();
    }
    act::act(model, definition.command)
}

fn dialog(model: &mut Model, key: Key) -> Vec<Effect> {
    let next = model.next_generation();
    let now = model.now;
    let Screen::Run(dialog) = model.top_mut() else { return Vec::new() };
    match dialog.key(key, now, next) {
        Step::Stay => Vec::new(),
        Step::Say(why) => {
            say(model, why);
            Vec::new()
        }
        Step::Close(under_way) => {
            model.screens.pop();
            let mut effects: Vec<Effect> =
                under_way.map(|generation| Effect::Cancel { generation }).into_iter().collect();
            effects.extend(act::reload_timeline(model));
            effects
        }
        Step::Cancel(generation) => {
            say_while(model, "ending the run", Some(generation));
            vec![Effect::Cancel { generation }]
        }
        Step::Open(action) => {
            model.screens.push(Screen::Run(Box::new(Dialog::new((*action).clone(), next))));
            vec![Effect::Prepare { generation: next, action }]
        }
        Step::Run(order) => vec![Effect::Run(order)],
        Step::Verify(digest) => {
            say_while(model, "asking again whether it helped", Some(next));
            vec![Effect::Verify { generation: next, digest }]
        }
        Step::Ask(digest) => {
            let mut effects = vec![Effect::RequestApproval { generation: next, digest }];
            effects.extend(super::queue::due(model));
            effects
        }
    }
}

/// Edits a text field; whether the key was one of editing.
fn edit(field: &mut Input, key: Key) -> bool {
    match key {
        Key::Char(c) => field.push(c),
        Key::Backspace => field.backspace(),
        Key::Ctrl('w') => field.cut_word(),
        Key::Ctrl('u') => field.clear(),
        _ => return false,
    }
    true
}

fn in_palette(model: &mut Model, key: Key) -> Vec<Effect> {
    let Screen::Palette(state) = model.top() else { return Vec::new() };
    let state = state.clone();
    let entries = palette::entries(model, &state.input.text);
    match key {
        Key::Enter => {
            let Some(entry) = entries.get(state.cursor) else { return Vec::new() };
            if let Some(why) = &entry.disabled {
                say(model, &format!("{}: {why}", entry.definition.name));
                return Vec::new();
            }
            let definition = entry.definition;
            match palette::argument(&state.input.text) {
                Some((Command::Ask, question)) => {
                    model.screens.pop();
                    return super::chat::open_and_ask(model, question);
                }
                Some((_, argument)) => return super::baseline(model, argument),
                None => {}
            }
            model.screens.pop();
            model.history.retain(|name| name != definition.name);
            model.history.push(definition.name.to_owned());
            if model.history.len() > HISTORY_MAX {
                model.history.remove(0);
            }
            return act::act(model, definition.command);
        }
        Key::Esc => {
            model.screens.pop();
            return Vec::new();
        }
        _ => {}
    }
    let len = entries.len();
    let Screen::Palette(state) = model.top_mut() else { return Vec::new() };
    match key {
        Key::Up | Key::BackTab => state.cursor = state.cursor.saturating_sub(1),
        Key::Down | Key::Tab => state.cursor = (state.cursor + 1).min(len.saturating_sub(1)),
        key => {
            if edit(&mut state.input, key) {
                state.cursor = 0;
            }
        }
    }
    Vec::new()
}

fn in_help(model: &mut Model, key: Key) -> Vec<Effect> {
    let Screen::Help(reader) = model.top_mut() else { return Vec::new() };
    match key {
        Key::Esc => {
            model.screens.pop();
        }
        Key::Up => reader.scroll = reader.scroll.saturating_sub(1),
        Key::Down => reader.scroll += 1,
        Key::PageUp => reader.scroll = reader.scroll.saturating_sub(10),
        Key::PageDown => reader.scroll += 10,
        key => {
            if edit(&mut reader.search, key) {
                reader.scroll = 0;
            }
        }
    }
    clamp_help(model);
    Vec::new()
}

fn clamp_help(model: &mut Model) {
    let Screen::Help(reader) = model.top() else { return };
    let len = palette::help_entries(model, &reader.search.text).len();
    if let Screen::Help(reader) = model.top_mut() {
        reader.scroll = reader.scroll.min(len.saturating_sub(1));
    }
}

/// The field being typed into, with its list's cursor.
fn open_field(model: &mut Model) -> Option<(&mut Input, Option<&mut usize>)> {
    match model.top_mut() {
        Screen::Board(list) if list.typing => Some((&mut list.filter, Some(&mut list.cursor))),
        Screen::Incident(screen) if screen.list().typing => {
            let list = screen.list_mut();
            Some((&mut list.filter, Some(&mut list.cursor)))
        }
        Screen::Detail(detail) if detail.reader.typing => Some((&mut detail.reader.search, None)),
        Screen::Pack(reader) if reader.typing => Some((&mut reader.search, None)),
        _ => None,
    }
}

fn in_field(model: &mut Model, key: Key) -> Vec<Effect> {
    match key {
        Key::Enter | Key::Esc => {
            if let Some((field, _)) = open_field(model)
                && key == Key::Esc
            {
                field.clear();
            }
            act::stop_typing(model);
            if key == Key::Enter && !matches!(model.top(), Screen::Board(_) | Screen::Incident(_)) {
                return act::act(model, Command::NextMatch);
            }
        }
        Key::Up => return act::act(model, Command::Up),
        Key::Down => return act::act(model, Command::Down),
        key => {
            if let Some((field, cursor)) = open_field(model)
                && edit(field, key)
                && let Some(cursor) = cursor
            {
                *cursor = 0;
            }
        }
    }
    Vec::new()
}
