//! Pictures of a diagnosis by a model: what its first lines keep where there is little room, and how it fails.

use crate::core::message::{Draft, Report};
use crate::core::sample::{self, loaded, press};
use crate::core::update::update;
use crate::core::{Effect, Key, Model, Msg};
use crate::domain::Text;
use crate::domain::diagnosis::Bill;

use super::tests::{both, text_in};
use super::theme::Theme;

fn asked() -> (Model, u64) {
    let mut model = loaded();
    press(&mut model, "⏎");
    let effects = update(&mut model, Msg::Key(Key::Char('d')));
    let Some(Effect::Diagnose { generation, .. }) = effects.into_iter().next() else { panic!("no diagnosis") };
    (model, generation)
}

fn shown(model: &mut Model, columns: u16, rows: u16) -> String {
    update(model, Msg::Resize(columns, rows));
    text_in(model, Theme::new(true, false))
}

#[test]
fn how_to_cancel_and_the_limit_of_the_day_are_never_cut() {
    let (mut model, generation) = asked();
    let stage = "the answer was not valid, asking again: ".to_owned() + &"hypotheses[0].checks: unknown ".repeat(9);
    let bill = Bill { tokens_limit: Some(2_000_000), ..crate::core::consult_sample::bill() };
    for (stage, limit) in [("writing".to_owned(), true), (stage, false)] {
        let draft = Draft {
            by: Text::new("a-model-with-a-long-name-20260131 via the-first-end-point"),
            stage: Text::new(&stage),
            sent_tokens: 7_400,
            hidden: 3,
            received_tokens: 312,
            first_token_ms: Some(800),
            rate: Some(61.3),
            bill: bill.clone(),
            ..Draft::default()
        };
        update(&mut model, Msg::Report(generation, Report::Drafting(Box::new(draft))));
        for (columns, rows) in [(40, 10), (80, 24), (120, 40)] {
            let shown = shown(&mut model, columns, rows);
            let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(shown.contains("Esc cancels"), "{shown}");
            assert!(!limit || columns < 80 || shown.contains("today 1.20 of 5.00 $"), "{shown}");
        }
    }
}

#[test]
fn why_there_is_no_diagnosis_is_said_whole_above_the_one_before() {
    let (mut model, generation) = asked();
    let why = "primary: the end point cannot be reached: connection refused at 127.0.0.1:18301 (is the server running \
               there? curl http://127.0.0.1:18301/v1/models); second: 503 overloaded, asked to wait 40 s; the offline \
               analyst works without it";
    update(&mut model, Msg::Report(generation, Report::Diagnosed(Err(Text::new(why)))));
    both("diagnosis_failed", &mut model);
    let id = sample::payments().id;
    model.cases.get_mut(&id).unwrap().conclusion.value = None;
    both("diagnosis_failed_first", &mut model);
}

#[test]
fn what_stands_above_the_actions_leaves_room_for_the_place() {
    let mut model = loaded();
    let id = sample::payments().id;
    model.identity.recorded = Some("DEMO".into());
    let made = model.cases.get_mut(&id).unwrap().conclusion.value.as_mut().unwrap();
    for _ in 0..12 {
        let one = made.actions[0].clone();
        made.actions.push(one);
    }
    press(&mut model, "⏎4");
    let shown = shown(&mut model, 80, 24);
    assert!(shown.contains("nothing runs unconfirmed; here only what reads ") && shown.contains(" 1 of 14"), "{shown}");
}
