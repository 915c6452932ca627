//! From the terminal's events to messages.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::core::{Key, Msg};
use crate::domain::Text;

/// The messages of an event; none for those that mean nothing here.
pub(super) fn messages(event: Event) -> Vec<Msg> {
    match event {
        // A terminal sends Esc and a key pressed right after it as one: no key is lost.
        Event::Key(key) if key.modifiers.contains(KeyModifiers::ALT) => {
            let plain = KeyEvent { modifiers: key.modifiers - KeyModifiers::ALT, ..key };
            match self::key(plain) {
                None => Vec::new(),
                Some(Key::Char(c)) => vec![Msg::Key(Key::Alt(c))],
                Some(Key::Enter) => vec![Msg::Key(Key::AltEnter)],
                Some(Key::Backspace) => vec![Msg::Key(Key::AltBackspace)],
                Some(key) => vec![Msg::Key(Key::Esc), Msg::Key(key)],
            }
        }
        Event::Key(key) => self::key(key).map(Msg::Key).into_iter().collect(),
        // Terminals send the line breaks of a paste as carriage returns.
        Event::Paste(text) => vec![Msg::Paste(Text::new(&text.replace("\r\n", "\n").replace('\r', "\n")))],
        Event::Resize(columns, rows) => vec![Msg::Resize(columns, rows)],
        Event::FocusGained => vec![Msg::Focus(true)],
        Event::FocusLost => vec![Msg::Focus(false)],
        Event::Mouse(_) => Vec::new(),
    }
}

/// Whether an event is one of those that a paste without brackets is made of: characters and line breaks.
pub(super) fn is_text(event: &Event) -> bool {
    text_of(event).is_some()
}

fn text_of(event: &Event) -> Option<char> {
    let Event::Key(event) = event else { return None };
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let plain = (event.modifiers - KeyModifiers::SHIFT).is_empty();
    match event.code {
        KeyCode::Enter if plain => Some('\n'),
        // A line feed, where a carriage return is Enter.
        KeyCode::Char('j') if event.modifiers == KeyModifiers::CONTROL => Some('\n'),
        KeyCode::Tab if plain => Some('\t'),
        KeyCode::Char(c) if plain => Some(c),
        _ => None,
    }
}

/// The messages of events that came at once while lines are being written. A line break that came with characters was
/// not pressed but pasted, by a terminal that does not say where a paste begins and ends; `goes_on` says that such a
/// paste came just before.
pub(super) fn gathered(events: Vec<Event>, goes_on: bool) -> Vec<Msg> {
    let mut all = Vec::new();
    let mut events = events.into_iter().peekable();
    while let Some(event) = events.next() {
        let Some(first) = text_of(&event) else {
            all.extend(messages(event));
            continue;
        };
        let mut run = vec![event];
        let mut text = String::from(first);
        while let Some((c, next)) = events.peek().and_then(text_of).zip(events.next_if(is_text)) {
            text.push(c);
            run.push(next);
        }
        let pasted = text.contains('\n') && (goes_on || text.contains(|c: char| !c.is_whitespace()));
        if pasted {
            all.push(Msg::Paste(Text::new(&text)));
        } else {
            all.extend(run.into_iter().flat_map(messages));
        }
    }
    all
}

fn key(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.intersects(KeyModifiers::SUPER | KeyModifiers::META) {
        return None;
    }
    Some(match event.code {
        KeyCode::Char(c) if control => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Key::BackTab,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
        key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn keys_are_understood() {
        assert_eq!(press(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Key::Char('G')));
        assert_eq!(press(KeyCode::Char('d'), KeyModifiers::CONTROL), Some(Key::Ctrl('d')));
        assert_eq!(press(KeyCode::BackTab, KeyModifiers::SHIFT), Some(Key::BackTab));
        assert_eq!(press(KeyCode::F(1), KeyModifiers::NONE), None);
    }

    #[test]
    fn a_key_right_after_escape_is_not_lost() {
        let alt = |code| messages(Event::Key(KeyEvent::new(code, KeyModifiers::ALT)));
        assert_eq!(alt(KeyCode::Char('q')), [Msg::Key(Key::Alt('q'))]);
        assert_eq!(alt(KeyCode::Enter), [Msg::Key(Key::AltEnter)]);
        assert_eq!(alt(KeyCode::Up), [Msg::Key(Key::Esc), Msg::Key(Key::Up)]);
    }

    #[test]
    fn a_line_break_that_comes_with_characters_is_pasted_and_one_alone_is_pressed() {
        let events = |keys: &str| -> Vec<Event> {
            let code = |c| match c {
                '\r' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                c => KeyCode::Char(c),
            };
            keys.chars().map(|c| Event::Key(KeyEvent::new(code(c), KeyModifiers::NONE))).collect()
        };
        assert_eq!(gathered(events("why?\rand\r"), false), [Msg::Paste(Text::new("why?\nand\n"))]);
        assert_eq!(gathered(events("\rx"), false), [Msg::Paste(Text::new("\nx"))]);
        assert_eq!(gathered(events("\r"), false), [Msg::Key(Key::Enter)]);
        assert_eq!(gathered(events("\r"), true), [Msg::Paste(Text::new("\n"))], "the end of a long one");
        assert_eq!(gathered(events("ab"), false), [Msg::Key(Key::Char('a')), Msg::Key(Key::Char('b'))]);
        let mut mixed = events("a\r");
        mixed.push(Event::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)));
        assert_eq!(gathered(mixed, false), [Msg::Paste(Text::new("a\n")), Msg::Key(Key::Esc)]);
    }

    #[test]
    fn what_is_pasted_is_text_and_never_keys() {
        let pasted = messages(Event::Paste("x\ry\r\nz\u{1b}[A".into()));
        assert_eq!(pasted, [Msg::Paste(Text::new("x\ny\nz\u{1b}[A"))]);
    }
}
