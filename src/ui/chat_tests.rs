//! Pictures of the chat.

use super::super::tests::{both, text_in};
use crate::core::chat_sample::{asking, reply};
use crate::core::sample::{loaded, press};
use crate::core::update::update;
use crate::core::{Effect, Key, Model, Msg, Report};
use crate::domain::Text;
use crate::ui::Theme;

fn asked(keys: &str) -> (Model, u64) {
    let mut model = loaded();
    press(&mut model, keys);
    let question = "which services were down in the last 10 minutes?";
    update(&mut model, Msg::Paste(Text::new(question)));
    let effects = update(&mut model, Msg::Key(Key::Enter));
    let [Effect::Question { generation, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    (model, *generation)
}

#[test]
fn chat_before_the_first_question() {
    let mut model = loaded();
    press(&mut model, "a");
    both("chat_before_the_first_question", &mut model);
}

#[test]
fn chat_while_it_is_answered() {
    let (mut model, generation) = asked("a");
    update(&mut model, Msg::Report(generation, Report::Asking(Box::new(asking()))));
    press(&mut model, "and what ");
    both("chat_while_it_is_answered", &mut model);
}

#[test]
fn chat_with_an_answer() {
    let (mut model, generation) = asked("⏎a");
    update(&mut model, Msg::Report(generation, Report::Replied(Ok(Box::new(reply())))));
    update(&mut model, Msg::Key(Key::Tab));
    press(&mut model, "kkkk");
    both("chat_with_an_answer", &mut model);
    let ascii = text_in(&model, Theme::new(false, true));
    assert!(ascii.is_ascii(), "{ascii}");
}

#[test]
fn chat_with_a_long_question() {
    let mut model = loaded();
    press(&mut model, "a");
    let lines: Vec<String> = (0..30).map(|i| format!("line {i} of what was pasted, 価格 and 👩‍👩‍👧")).collect();
    update(&mut model, Msg::Paste(Text::new(&lines.join("\n"))));
    both("chat_with_a_long_question", &mut model);
}

#[test]
fn chat_result_in_full() {
    let (mut model, generation) = asked("a");
    update(&mut model, Msg::Report(generation, Report::Replied(Ok(Box::new(reply())))));
    update(&mut model, Msg::Key(Key::Tab));
    press(&mut model, "gjj⏎");
    both("chat_result_in_full", &mut model);
}
