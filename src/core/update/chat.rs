//! Chats: asking, following, cancelling, reading.

use crate::core::chat::editor::Did;
use crate::core::chat::{ChatScreen, Editor, SYSTEM, rows};
use crate::core::command::why_no_question;
use crate::core::effect::{Effect, Generation, Shown};
use crate::core::key::Key;
use crate::core::model::Model;
use crate::core::screen::{Detail, Reader, Screen, Subject};
use crate::core::slot::Slot;
use crate::domain::Text;
use crate::domain::question::{Asking, Reply};

use super::{complain, say, say_while};

/// Lines scrolled at a time while writing.
const PAGE: usize = 10;

/// The chat that is spoken of: that of the open incident, else the one about the whole system.
fn about(model: &Model) -> String {
    model.incident_screen().map_or_else(|| SYSTEM.to_owned(), |screen| screen.incident.clone())
}

/// Opens the chat of where one is.
pub(super) fn open(model: &mut Model) {
    let chat = about(model);
    model.chats.entry(chat.clone()).or_default();
    model.screens.push(Screen::Chat(Box::new(ChatScreen { chat, ..ChatScreen::default() })));
}

/// Writes a question into the chat on top; what stood there comes back by looking at earlier ones.
pub(super) fn write(model: &mut Model, question: &str) {
    let Screen::Chat(screen) = model.top() else { return };
    let name = screen.chat.clone();
    if let Some(chat) = model.chats.get_mut(&name) {
        chat.editor = Editor::new(question);
    }
}

/// Opens the chat of where one is and asks at once.
pub(super) fn open_and_ask(model: &mut Model, question: &str) -> Vec<Effect> {
    open(model);
    let Screen::Chat(screen) = model.top() else { return Vec::new() };
    let chat = screen.chat.clone();
    if model.chats.get(&chat).is_some_and(|chat| chat.slot.busy()) {
        let answered = model.chats.get(&chat).and_then(|chat| chat.slot.awaited());
        say_while(model, "a question is being answered (Esc cancels)", answered);
        return Vec::new();
    }
    if model.identity.ask_first {
        write(model, question);
        return look(model, &chat, question);
    }
    ask(model, &chat, question, None)
}

/// Shows what would be sent first for a question.
fn look(model: &mut Model, name: &str, question: &str) -> Vec<Effect> {
    if let Some(why) = why_no_question(model) {
        complain(model, &why);
        return Vec::new();
    }
    let (now, generation) = (model.now, model.next_generation());
    let chat = model.chats.entry(name.to_owned()).or_default();
    let stale = chat.preview.abandon();
    // What was shown before was another question, and only what is seen may be agreed to.
    chat.preview = Slot::default();
    chat.preview.begin(generation, now);
    model.screens.push(Screen::Pack(Reader::default()));
    say(model, "⏎ sends what is shown here, Esc does not");
    let incident = (name != SYSTEM).then(|| name.to_owned());
    let question = Text::new(question.trim());
    stale
        .map(|generation| Effect::Cancel { generation })
        .into_iter()
        .chain([Effect::PreviewQuestion { generation, incident, question }])
        .collect()
}

/// Sends the question whose first request is shown.
pub(super) fn send(model: &mut Model, name: &str) -> Vec<Effect> {
    let Some(chat) = model.chats.get(name) else { return Vec::new() };
    let Some(preview) = &chat.preview.value else {
        let rendered = chat.preview.awaited();
        say_while(model, "the request is still being rendered", rendered);
        return Vec::new();
    };
    let shown = preview.at.map(|at| Shown { digest: preview.digest.clone(), at });
    let written = chat.editor.text().to_owned();
    model.screens.pop();
    let effects = ask(model, name, &written, shown);
    if let Some(chat) = model.chats.get_mut(name).filter(|_| !effects.is_empty()) {
        chat.preview = Slot::default();
        chat.editor.take();
    }
    effects
}

fn ask(model: &mut Model, name: &str, question: &str, shown: Option<Shown>) -> Vec<Effect> {
    if let Some(why) = why_no_question(model) {
        complain(model, &why);
        return Vec::new();
    }
    let (now, generation) = (model.now, model.next_generation());
    let question = Text::new(question.trim());
    let examined = model.cases.get(name).map_or(0, |case| case.investigation.content());
    let chat = model.chats.entry(name.to_owned()).or_default();
    chat.begin(question.clone(), now, examined);
    chat.slot.begin(generation, now);
    chat.recalled = None;
    chat.own.clear();
    if let Screen::Chat(screen) = model.top_mut() {
        screen.back = 0;
    }
    let incident = (name != SYSTEM).then(|| name.to_owned());
    vec![Effect::Question { generation, incident, question, shown }]
}

/// A key while a question is written.
pub(super) fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    let Screen::Chat(screen) = model.top() else { return Vec::new() };
    let name = screen.chat.clone();
    match key {
        Key::Esc => return super::act::act(model, crate::core::command::Command::Back),
        Key::Tab | Key::BackTab => {
            read(model);
            return Vec::new();
        }
        Key::PageUp | Key::PageDown => {
            if let Screen::Chat(screen) = model.top_mut() {
                screen.back = if key == Key::PageUp { screen.back + PAGE } else { screen.back.saturating_sub(PAGE) };
            }
            return Vec::new();
        }
        _ => {}
    }
    let Some(chat) = model.chats.get_mut(&name) else { return Vec::new() };
    if key == Key::Enter {
        if chat.editor.is_blank() {
            return Vec::new();
        }
        if chat.slot.busy() {
            let answered = chat.slot.awaited();
            say_while(model, "a question is being answered: Esc cancels it, what you wrote stays", answered);
            return Vec::new();
        }
        let written = chat.editor.text().to_owned();
        if model.identity.ask_first {
            return look(model, &name, &written);
        }
        let effects = ask(model, &name, &written, None);
        if !effects.is_empty()
            && let Some(chat) = model.chats.get_mut(&name)
        {
            chat.editor.take();
        }
        return effects;
    }
    if chat.editor.key(key) == Did::Edge {
        chat.recall(matches!(key, Key::Up | Key::Ctrl('p')));
    }
    Vec::new()
}

/// Pasted text is text, line breaks and all; it never asks.
pub(super) fn paste(model: &mut Model, text: &Text) {
    let Screen::Chat(screen) = model.top_mut() else { return };
    screen.reading = false;
    let name = screen.chat.clone();
    let Some(chat) = model.chats.get_mut(&name) else { return };
    let lost = chat.editor.paste(text);
    if lost > 0 {
        let kib = crate::core::chat::editor::MOST >> 10;
        complain(model, &format!("a question holds {kib} KiB: {lost} bytes of what was pasted were left out"));
    }
}

/// From the question to the answers, the newest row selected.
pub(super) fn read(model: &mut Model) {
    let Screen::Chat(screen) = model.top() else { return };
    let len = rows::rows(model, &screen.chat).len();
    if len == 0 {
        say(model, "nothing was asked yet");
        return;
    }
    if let Screen::Chat(screen) = model.top_mut() {
        screen.reading = true;
        screen.cursor = len - 1;
        screen.link = 0;
    }
}

/// From the answers back to the question.
pub(super) fn compose(model: &mut Model) {
    if let Screen::Chat(screen) = model.top_mut() {
        screen.reading = false;
        screen.back = 0;
    }
}

/// Cancels the question under way; `None` when there is none.
pub(super) fn cancel(model: &mut Model) -> Option<Vec<Effect>> {
    let Screen::Chat(screen) = model.top() else { return None };
    let name = screen.chat.clone();
    let chat = model.chats.get_mut(&name)?;
    let generation = chat.slot.abandon()?;
    if let Some(turn) = chat.turns.last_mut() {
        turn.error = Some(Text::new("cancelled"));
    }
    say(model, "the question was cancelled");
    Some(vec![Effect::Cancel { generation }])
}

/// Moves through the rows.
pub(super) fn step(model: &mut Model, by: isize) -> bool {
    let Screen::Chat(screen) = model.top() else { return false };
    let len = rows::rows(model, &screen.chat).len();
    let Screen::Chat(screen) = model.top_mut() else { return false };
    let before = screen.cursor;
    screen.cursor = screen.cursor.saturating_add_signed(by).min(len.saturating_sub(1));
    screen.link = 0;
    screen.cursor != before
}

/// Moves through the links of the selected row.
pub(super) fn sideways(model: &mut Model, right: bool) {
    let Screen::Chat(screen) = model.top() else { return };
    let links = rows::rows(model, &screen.chat).get(screen.cursor).map_or(0, |row| row.links.len());
    if let Screen::Chat(screen) = model.top_mut() {
        screen.link =
            if right { (screen.link + 1).min(links.saturating_sub(1)) } else { screen.link.saturating_sub(1) };
    }
}

/// Opens what the selected row cites.
pub(super) fn open_row(model: &mut Model) {
    let Screen::Chat(screen) = model.top() else { return };
    let (incident, link) = (screen.chat.clone(), screen.link);
    let Some(row) = rows::rows(model, &incident).into_iter().nth(screen.cursor) else { return };
    if row.links.is_empty() {
        say(model, "this line cites no evidence");
        return;
    }
    let at = link.min(row.links.len() - 1);
    let in_text = row.links.len() < 2;
    let subject = Subject::Evidence { ids: row.links, at };
    model.screens.push(Screen::Detail(Detail {
        incident,
        subject,
        turn: Some(row.turn),
        in_text,
        reader: Reader::default(),
    }));
}

/// How far a question is.
pub(super) fn asking(model: &mut Model, generation: Generation, asking: Asking) {
    let Some(chat) = model.chats.values_mut().find(|chat| chat.slot.awaits(generation)) else { return };
    if let Some(turn) = chat.turns.last_mut() {
        turn.asking = asking;
    }
}

/// A question was answered, well or not.
pub(super) fn replied(model: &mut Model, generation: Generation, result: Result<Box<Reply>, Text>) -> Vec<Effect> {
    let Some(chat) = model.chats.values_mut().find(|chat| chat.slot.awaits(generation)) else { return Vec::new() };
    chat.slot.finish(generation, result.as_ref().map(|_| ()).map_err(Clone::clone));
    if let Some(turn) = chat.turns.last_mut() {
        match result {
            Ok(reply) => turn.reply = Some(*reply),
            Err(why) => turn.error = Some(why),
        }
    }
    super::act::reload_timeline(model)
}
