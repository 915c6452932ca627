//! What is asked of a model, what comes of it, and what is said of it on the way.

use crate::core::command::escape_hint;
use crate::core::effect::{Effect, Generation, Wish};
use crate::core::key::Key;
use crate::core::message::{Conclusion, Draft, Msg, Report};
use crate::core::model::Model;
use crate::core::sample::{loaded, press};
use crate::core::screen::{Pane, Screen};
use crate::core::update::update;
use crate::core::{consult_sample, diagnosis_rows, rows};
use crate::domain::Text;

fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    update(model, Msg::Key(key))
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| toast.text.as_str())
}

/// A model is asked about the open incident.
fn asked(model: &mut Model) -> Generation {
    let effects = key(model, Key::Char('d'));
    let [Effect::Diagnose { generation, by: Wish::Model { .. }, .. }] = effects[..] else { panic!("{effects:?}") };
    generation
}

fn answer(model: &mut Model, generation: Generation, made: Conclusion) {
    update(model, Msg::Report(generation, Report::Diagnosed(Ok(Box::new(made)))));
}

fn broken() -> Conclusion {
    let mut made = consult_sample::by_model();
    made.diagnosed.complete = false;
    made.actions.clear();
    made
}

fn by_model(model: &Model) -> bool {
    model.current().unwrap().conclusion.value.as_ref().unwrap().diagnosed.analyst.is_model()
}

#[test]
fn an_answer_that_is_not_whole_is_never_called_whole() {
    for read_along in [true, false] {
        for (remark, words) in [
            ("the connection was reset", "broke off"),
            ("the answer is not valid: no summary", "is not valid"),
            ("nor was the second: no summary", "is not valid"),
        ] {
            let mut model = loaded();
            press(&mut model, "⏎");
            let generation = asked(&mut model);
            if read_along {
                let partial = broken().diagnosed.diagnosis;
                let draft = Draft { partial, ..Draft::default() };
                update(&mut model, Msg::Report(generation, Report::Drafting(Box::new(draft))));
            }
            let mut made = broken();
            made.diagnosed.remarks = vec![remark.into()];
            answer(&mut model, generation, made);
            let said = toast(&model);
            assert!(said.contains(words) && said.contains("none of its actions can be chosen"), "{said}");
            assert!(!said.contains("whole"), "{said}");
        }
    }
}

#[test]
fn the_playbooks_actions_stay_where_an_answer_broke_off() {
    let mut model = loaded();
    press(&mut model, "⏎");
    let actions = |model: &Model| -> Vec<_> {
        let screen = model.incident_screen().unwrap();
        let case = model.current().unwrap();
        rows::actions(case, &screen.lists[Pane::Actions.index()]).into_iter().cloned().collect()
    };
    let before = actions(&model);
    assert!(!before.is_empty());
    let generation = asked(&mut model);
    answer(&mut model, generation, broken());
    assert_eq!(actions(&model), before);
    press(&mut model, "4");
    let effects = key(&mut model, Key::Enter);
    assert!(matches!(effects[..], [Effect::Prepare { .. }]), "{effects:?} {}", toast(&model));
}

#[test]
fn neither_diagnosis_is_lost_for_the_other() {
    for made in [consult_sample::by_model(), broken()] {
        let mut model = loaded();
        press(&mut model, "⏎");
        let generation = asked(&mut model);
        answer(&mut model, generation, made);
        assert!(by_model(&model));
        assert!(!key(&mut model, Key::Char('o')).iter().any(|effect| matches!(effect, Effect::Diagnose { .. })));
        assert!(!by_model(&model));
        assert!(toast(&model).contains("o brings the model's back"), "{}", toast(&model));
        assert!(!key(&mut model, Key::Char('o')).iter().any(|effect| matches!(effect, Effect::Diagnose { .. })));
        assert!(by_model(&model));
        asked(&mut model);
    }
}

#[test]
fn what_is_asked_is_cancelled_only_where_it_is_seen() {
    let mut model = loaded();
    press(&mut model, "⏎");
    asked(&mut model);
    assert_eq!(escape_hint(&model), "cancels");
    assert_eq!(model.asked_model().unwrap().others, 0);
    for pane in ["1", "2", "4", "5", "6", "7"] {
        let mut other = model.clone();
        press(&mut other, pane);
        assert_eq!(escape_hint(&other), "back", "pane {pane}");
        let effects = key(&mut other, Key::Esc);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Cancel { .. })), "{effects:?}");
        assert!(matches!(other.top(), Screen::Board(_)));
        assert!(other.asked_model().is_some(), "it goes on");
    }
    let draft = Draft { partial: broken().diagnosed.diagnosis, ..Draft::default() };
    let generation = model.current().unwrap().conclusion.awaited().unwrap();
    update(&mut model, Msg::Report(generation, Report::Drafting(Box::new(draft))));
    let effects = key(&mut model, Key::Esc);
    assert!(matches!(effects[0], Effect::Cancel { .. }), "{effects:?}");
    assert!(toast(&model).contains("what came of it stands at the end (G, then ⏎"), "{}", toast(&model));
    assert!(model.asked_model().is_none());
    press(&mut model, "G");
    let last = diagnosis_rows::rows(model.current().unwrap(), model.incident_screen().unwrap().list()).pop();
    assert!(matches!(last.unwrap().kind, diagnosis_rows::Kind::Earlier(_)));
}

#[test]
fn a_model_that_is_asked_for_right_after_the_start_is_asked_after_the_playbooks() {
    let mut model = loaded();
    press(&mut model, "⏎3");
    let id = model.current().unwrap().incident.id.clone();
    let unasked = |model: &mut Model| {
        let effects = super::consult::diagnose_unasked(model, &id);
        let [Effect::Diagnose { generation, .. }] = effects[..] else { panic!("{effects:?}") };
        generation
    };
    let generation = unasked(&mut model);
    assert!(key(&mut model, Key::Char('d')).is_empty());
    assert!(toast(&model).contains("comes next"), "{}", toast(&model));
    let mut given_up = model.clone();
    key(&mut given_up, Key::Esc);
    assert!(given_up.current().unwrap().wanted.is_none() && given_up.current().unwrap().conclusion.busy());
    let made = crate::core::sample::conclusion();
    let effects = update(&mut model, Msg::Report(generation, Report::Diagnosed(Ok(Box::new(made)))));
    assert!(matches!(effects.last(), Some(Effect::Diagnose { by: Wish::Model { .. }, .. })), "{effects:?}");
    assert_eq!(toast(&model), "", "what was said of it is over");
}

#[test]
fn messages_do_not_outlive_their_truth() {
    let mut model = loaded();
    press(&mut model, "⏎");
    let generation = asked(&mut model);
    press(&mut model, "1d");
    assert!(toast(&model).contains("a model is being asked"), "{}", toast(&model));
    update(&mut model, Msg::ToastOld);
    assert!(toast(&model).contains("a model is being asked"), "as long as it is true");
    answer(&mut model, generation, consult_sample::by_model());
    assert!(toast(&model).contains("whole and checked"), "{}", toast(&model));
    update(&mut model, Msg::ToastOld);
    assert_eq!(toast(&model), "");
    update(&mut model, Msg::Report(0, Report::Said(Err(Text::from("no editor")))));
    update(&mut model, Msg::ToastOld);
    assert_eq!(toast(&model), "no editor", "what failed waits for a reader");
}

#[test]
fn a_failure_says_its_reason_itself() {
    let mut model = loaded();
    press(&mut model, "⏎");
    let generation = asked(&mut model);
    let why =
        "primary: 401 Unauthorized: the key is not known there; set ANTHROPIC_API_KEY to one that is and ask again";
    update(&mut model, Msg::Report(generation, Report::Diagnosed(Err(Text::from(why)))));
    assert!(toast(&model).contains("401 Unauthorized"), "{}", toast(&model));
}

#[test]
fn labels_and_citations_are_searched_too_and_no_match_is_said() {
    for (filter, some) in [("check", true), ("h1", true), ("zzz", false)] {
        let mut model = loaded();
        press(&mut model, &format!("⏎3/{filter}⏎"));
        let rows = diagnosis_rows::rows(model.current().unwrap(), model.incident_screen().unwrap().list());
        assert_eq!(!rows.is_empty(), some, "{filter}");
        if !some {
            press(&mut model, "⏎");
            assert!(toast(&model).contains("nothing contains \"zzz\""), "{}", toast(&model));
        }
    }
}

#[test]
fn from_the_pack_the_way_back_leads_to_where_it_was_asked_for() {
    let mut model = loaded();
    press(&mut model, "p⎋");
    assert!(matches!(model.top(), Screen::Board(_)), "{:?}", model.top());
    let mut model = loaded();
    press(&mut model, "⏎p⎋");
    assert!(matches!(model.top(), Screen::Incident(_)));
}
