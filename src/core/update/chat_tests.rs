//! Chats by example: what is typed is asked by Return alone, what is under way is seen and can be cancelled.

use crate::core::chat::SYSTEM;
use crate::core::chat::rows::{Kind, rows};
use crate::core::chat_sample::{asking, q, reply};
use crate::core::effect::Generation;
use crate::core::message::PackPreview;
use crate::core::sample::{identity, loaded, payments, press};
use crate::core::screen::Subject;
use crate::core::{Effect, Key, Model, Msg, Report, Screen};
use crate::domain::Text;

use super::update;

fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    update(model, Msg::Key(key))
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| &toast.text)
}

/// Asks from where one is; the number of the effect.
fn asked(model: &mut Model, question: &str) -> Generation {
    press(model, "a");
    press(model, question);
    match key(model, Key::Enter).as_slice() {
        [Effect::Question { generation, .. }] => *generation,
        other => panic!("no question: {other:?}; {}", toast(model)),
    }
}

fn written<'a>(model: &'a Model, chat: &str) -> &'a str {
    model.chats[chat].editor.text()
}

#[test]
fn on_the_board_the_whole_system_is_asked_about_and_in_an_incident_that_one() {
    let mut model = loaded();
    press(&mut model, "awhy?");
    let effects = key(&mut model, Key::Enter);
    let [Effect::Question { incident: None, question, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(*question, "why?");
    assert_eq!(written(&model, SYSTEM), "");
    let mut model = loaded();
    press(&mut model, "⏎");
    press(&mut model, "awhy?");
    let effects = key(&mut model, Key::Enter);
    let [Effect::Question { incident: Some(incident), .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(*incident, payments().id);
}

#[test]
fn keys_of_the_board_are_letters_in_a_question() {
    let mut model = loaded();
    press(&mut model, "aq:?/ d j");
    assert_eq!(written(&model, SYSTEM), "q:?/ d j");
}

#[test]
fn steps_are_seen_while_they_are_taken_and_the_answer_cites_what_they_brought() {
    let mut model = loaded();
    let generation = asked(&mut model, "which?");
    update(&mut model, Msg::Report(generation, Report::Asking(Box::new(asking()))));
    let kinds: Vec<Kind> = rows(&model, SYSTEM).iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [Kind::Question, Kind::Thought, Kind::Step, Kind::Thought, Kind::Step, Kind::Stage]);
    update(&mut model, Msg::Report(generation, Report::Replied(Ok(Box::new(reply())))));
    let rows = rows(&model, SYSTEM);
    let claims: Vec<&str> = rows.iter().filter(|row| row.kind == Kind::Claim).map(|row| row.text.as_str()).collect();
    assert_eq!(claims.len(), 2, "{rows:#?}");
    let unsupported = rows.iter().find(|row| row.kind == Kind::Unsupported).unwrap();
    assert!(unsupported.text.contains("half of all pods"));
    assert!(rows.iter().all(|row| row.kind != Kind::Stage));
}

#[test]
fn a_citation_opens_with_return_and_escape_leads_back() {
    let mut model = loaded();
    let generation = asked(&mut model, "which?");
    update(&mut model, Msg::Report(generation, Report::Replied(Ok(Box::new(reply())))));
    key(&mut model, Key::Tab);
    let at = rows(&model, SYSTEM).iter().position(|row| row.links == [q(3), q(2)]).unwrap();
    key(&mut model, Key::Char('g'));
    for _ in 0..at {
        key(&mut model, Key::Char('j'));
    }
    key(&mut model, Key::Char('l'));
    key(&mut model, Key::Enter);
    let Screen::Detail(detail) = model.top() else { panic!("nothing opened: {}", toast(&model)) };
    assert_eq!(detail.subject, Subject::Evidence { ids: vec![q(3), q(2)], at: 1 });
    let text: Vec<String> = crate::core::reading::lines(&model).unwrap().into_iter().map(|line| line.text).collect();
    assert!(text.iter().any(|line| line.contains("min_over_time(up[10m])")), "{text:#?}");
    let copied = crate::core::copy::for_clipboard(&model).unwrap();
    assert_eq!(copied.as_str(), "min_over_time(up[10m]) == 0", "the query can be asked again");
    key(&mut model, Key::Esc);
    assert!(matches!(model.top(), Screen::Chat(screen) if screen.reading && screen.cursor == at));
    key(&mut model, Key::Esc);
    assert!(matches!(model.top(), Screen::Chat(screen) if !screen.reading));
    key(&mut model, Key::Esc);
    assert!(matches!(model.top(), Screen::Board(_)));
}

#[test]
fn escape_cancels_what_is_under_way_and_a_late_answer_is_dropped() {
    let mut model = loaded();
    let generation = asked(&mut model, "which?");
    assert_eq!(key(&mut model, Key::Esc), [Effect::Cancel { generation }]);
    assert!(matches!(model.top(), Screen::Chat(_)), "the first one cancels only");
    update(&mut model, Msg::Report(generation, Report::Replied(Ok(Box::new(reply())))));
    let rows = rows(&model, SYSTEM);
    assert_eq!(rows.last().map(|row| (row.kind, row.text.as_str())), Some((Kind::Failed, "cancelled")));
    assert!(!rows.iter().any(|row| row.kind == Kind::Answer));
}

#[test]
fn a_paste_is_text_and_never_asks() {
    let mut model = loaded();
    press(&mut model, "a");
    assert_eq!(update(&mut model, Msg::Paste(Text::new("line one\nline two\n"))), []);
    assert_eq!(written(&model, SYSTEM), "line one\nline two\n");
    assert!(!model.chats[SYSTEM].slot.busy());
    update(&mut model, Msg::Paste(Text::new(&"x".repeat(1 << 20))));
    assert!(toast(&model).contains("were left out"), "{}", toast(&model));
    assert!(written(&model, SYSTEM).len() <= crate::core::chat::editor::MOST);
}

#[test]
fn a_draft_is_kept_and_a_second_question_waits() {
    let mut model = loaded();
    let generation = asked(&mut model, "first?");
    press(&mut model, "second?");
    assert_eq!(key(&mut model, Key::Enter), []);
    assert!(toast(&model).contains("being answered"));
    update(&mut model, Msg::Report(generation, Report::Replied(Err(Text::new("no route")))));
    key(&mut model, Key::Esc);
    assert!(matches!(model.top(), Screen::Board(_)));
    press(&mut model, "a");
    assert_eq!(written(&model, SYSTEM), "second?");
    key(&mut model, Key::Up);
    assert_eq!(written(&model, SYSTEM), "first?");
    key(&mut model, Key::Down);
    assert_eq!(written(&model, SYSTEM), "second?");
}

#[test]
fn alt_with_return_is_a_new_line_here_and_escape_with_return_elsewhere() {
    let mut model = loaded();
    press(&mut model, "aone");
    key(&mut model, Key::AltEnter);
    press(&mut model, "two");
    assert_eq!(written(&model, SYSTEM), "one\ntwo");
    let mut model = loaded();
    press(&mut model, "⏎");
    key(&mut model, Key::Alt('j'));
    assert!(matches!(model.top(), Screen::Board(_)), "Escape, then j");
}

#[test]
fn whoever_wants_to_look_first_sees_the_request_and_sends_exactly_that() {
    let mut model = loaded();
    model.identity.ask_first = true;
    press(&mut model, "awhy?");
    let effects = key(&mut model, Key::Enter);
    let [Effect::PreviewQuestion { generation, incident: None, question }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(*question, "why?");
    assert!(key(&mut model, Key::Char('d')).is_empty(), "not before it is shown");
    let preview = PackPreview { at: Some(model.now), ..crate::core::consult_sample::preview() };
    let report = Report::Packed(Ok(Box::new(preview)));
    update(&mut model, Msg::Report(*generation, report));
    let mut left = model.clone();
    assert_eq!(key(&mut left, Key::Esc), []);
    assert!(matches!(left.top(), Screen::Chat(_)) && left.chats[SYSTEM].editor.text() == "why?", "nothing is lost");
    let effects = key(&mut model, Key::Char('d'));
    let [Effect::Question { shown: Some(shown), question, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((shown.digest.as_str(), shown.at, question.as_str()), ("d1", model.now, "why?"));
    assert!(matches!(model.top(), Screen::Chat(_)) && model.chats[SYSTEM].editor.is_blank());
}

#[test]
fn the_palette_sends_no_question_unseen_either() {
    let mut model = loaded();
    model.identity.ask_first = true;
    press(&mut model, ":ask which services are down?");
    let effects = key(&mut model, Key::Enter);
    assert!(matches!(effects.as_slice(), [Effect::PreviewQuestion { .. }]), "{effects:?}");
    key(&mut model, Key::Esc);
    assert_eq!(model.chats[SYSTEM].editor.text(), "which services are down?");
}

#[test]
fn a_chat_stays_readable_after_the_incident_was_examined_anew_and_links_nothing_else() {
    let mut model = loaded();
    press(&mut model, "⏎awhat is down?");
    let effects = key(&mut model, Key::Enter);
    let [Effect::Question { generation, incident: Some(id), .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let (generation, id) = (*generation, id.clone());
    let mut reply = reply();
    reply.diagnosed.diagnosis.observations[0].evidence.push("M3".into());
    update(&mut model, Msg::Report(generation, Report::Replied(Ok(Box::new(reply)))));
    let links = |model: &Model| {
        let rows = rows(model, &id);
        let claim = rows.iter().find(|row| row.kind == Kind::Claim).unwrap().links.clone();
        (claim.iter().map(ToString::to_string).collect::<Vec<_>>(), rows[0].note.clone())
    };
    assert_eq!(links(&model), (vec!["Q2".to_owned(), "M3".to_owned()], String::new()));
    press(&mut model, "⎋");
    let effects = key(&mut model, Key::Char('r'));
    let Some(Effect::Investigate { generation, .. }) = effects.into_iter().next() else { panic!() };
    let mut found = crate::core::sample::investigation();
    found.analysis.evidence.pop();
    update(&mut model, Msg::Report(generation, Report::Investigated(Ok(Box::new(found)))));
    let (linked, note) = links(&model);
    assert_eq!(linked, ["Q2"], "M3 may be another item now");
    assert!(note.contains("of an earlier analysis"), "{note}");
}

#[test]
fn the_palette_asks_what_follows_the_name() {
    let mut model = loaded();
    press(&mut model, ":ask which services are down?");
    let effects = key(&mut model, Key::Enter);
    let [Effect::Question { incident: None, question, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(*question, "which services are down?");
    assert!(matches!(model.top(), Screen::Chat(_)));
}

#[test]
fn without_an_end_point_it_is_said_quietly() {
    let mut model = loaded();
    model.identity = crate::core::Identity { models: Vec::new(), ..identity() };
    assert_eq!(press(&mut model, "a"), []);
    assert!(matches!(model.top(), Screen::Board(_)));
    assert!(toast(&model).contains("free questions need a language model"), "{}", toast(&model));
}
