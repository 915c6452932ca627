use crate::core::effect::{Effect, Wish};
use crate::core::key::Key;
use crate::core::message::{Msg, Report};
use crate::core::model::Model;
use crate::core::sample::{loaded, press};
use crate::core::screen::{PASTE_MAX, Pane, Screen};
use crate::core::update::update;
use crate::core::{consult_sample, diagnosis_rows};
use crate::domain::Text;
use crate::domain::diagnosis::Hypothesis;

fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    update(model, Msg::Key(key))
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| toast.text.as_str())
}

#[test]
fn where_the_operator_wants_to_look_first_nothing_is_sent_unseen() {
    let mut model = loaded();
    model.identity.ask_first = true;
    press(&mut model, "⏎");
    let effects = key(&mut model, Key::Char('d'));
    let [Effect::Pack { generation, .. }] = effects[..] else { panic!("{effects:?}") };
    assert!(key(&mut model, Key::Char('d')).is_empty(), "not before it is shown");
    update(&mut model, Msg::Report(generation, Report::Packed(Ok(Box::new(consult_sample::preview())))));
    let effects = key(&mut model, Key::Char('d'));
    let [Effect::Diagnose { by: Wish::Model { shown: Some(digest) }, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(digest, "d1", "exactly what was shown");
}

#[test]
fn leaving_the_pack_sends_nothing() {
    let mut model = loaded();
    model.identity.ask_first = true;
    press(&mut model, "⏎d⎋");
    assert!(matches!(model.top(), Screen::Incident(_)));
    assert!(!model.current().unwrap().conclusion.busy());
}

#[test]
fn a_pasted_answer_is_handed_over_by_enter_alone() {
    let mut model = loaded();
    press(&mut model, "⏎P");
    assert!(key(&mut model, Key::Enter).is_empty());
    assert_eq!(toast(&model), "nothing is pasted yet");
    let answer = "{\"summary\":\n\"pool\"}\n";
    assert!(update(&mut model, Msg::Paste(Text::new(answer))).is_empty(), "its line ends are no Enter");
    let effects = key(&mut model, Key::Enter);
    let [Effect::Diagnose { by: Wish::Pasted(text), .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(text.as_str(), answer);
    assert!(matches!(model.top(), Screen::Incident(screen) if screen.pane == Pane::Diagnosis));
}

#[test]
fn an_answer_that_comes_as_keys_is_taken() {
    let mut model = loaded();
    press(&mut model, "⏎P{}q");
    let Screen::Paste(open) = model.top() else { panic!() };
    assert_eq!(open.text, "{}q");
}

#[test]
fn a_paste_has_a_bound_and_says_so() {
    let mut model = loaded();
    press(&mut model, "⏎P");
    update(&mut model, Msg::Paste(Text::new(&"ä".repeat(PASTE_MAX))));
    let Screen::Paste(open) = model.top() else { panic!() };
    assert!(open.text.len() <= PASTE_MAX && open.dropped > 0);
    assert!(key(&mut model, Key::Enter).is_empty());
    assert!(toast(&model).contains("too long"));
    key(&mut model, Key::Ctrl('u'));
    let Screen::Paste(open) = model.top() else { panic!() };
    assert_eq!((open.text.len(), open.dropped), (0, 0));
}

#[test]
fn the_answer_of_a_check_is_evidence_that_can_be_opened_also_after_a_refresh() {
    let mut model = loaded();
    press(&mut model, "⏎3");
    let check = |model: &Model| {
        let case = model.current().unwrap();
        let rows = diagnosis_rows::rows(case, model.incident_screen().unwrap().list());
        rows.iter().position(|row| matches!(row.kind, diagnosis_rows::Kind::Check(_))).unwrap()
    };
    for _ in 0..check(&model) {
        press(&mut model, "j");
    }
    press(&mut model, "⏎");
    assert!(toast(&model).contains("as Q1: d diagnoses again with it"), "{}", toast(&model));
    let id = "Q1".parse().unwrap();
    let holds =
        |model: &Model| model.current().unwrap().investigation.value.as_ref().unwrap().analysis.evidence(id).is_some();
    assert!(holds(&model));
    press(&mut model, "r");
    assert!(holds(&model));
    press(&mut model, "j⏎");
    assert!(matches!(model.top(), Screen::Detail(_)), "the answer opens like other evidence");
}

#[test]
fn what_is_cited_can_be_asked_again_and_what_changed_is_marked() {
    use crate::domain::recheck::{Outcome, Recheck, Rechecked};
    let mut model = loaded();
    press(&mut model, "⏎3");
    let cursor = {
        let Screen::Incident(screen) = model.top() else { panic!() };
        let case = model.current().unwrap();
        let rows = diagnosis_rows::rows(case, screen.list());
        rows.iter().position(|row| row.links.len() == 1).unwrap()
    };
    press(&mut model, &"j".repeat(cursor));
    let effects = key(&mut model, Key::Char('R'));
    let [Effect::Recheck { generation, ids, .. }] = &effects[..] else { panic!("{effects:?}") };
    let (generation, id) = (*generation, ids[0]);
    assert_eq!(ids.len(), 1, "those of the selected row");
    let report = |outcome| {
        let items = vec![Rechecked { id, outcome, remark: None }];
        Msg::Report(generation, Report::Rechecked(Ok(Box::new(Recheck { items, left_out: 0 }))))
    };
    let again = |model: &Model| {
        let Screen::Incident(screen) = model.top() else { panic!() };
        diagnosis_rows::rows(model.current().unwrap(), screen.list())[cursor].again.clone()
    };
    let mut same = model.clone();
    update(&mut same, report(Outcome::Same));
    let told = again(&same).unwrap();
    assert!(told.text.contains("asked again") && told.text.ends_with("the same") && !told.refuted, "{told:?}");
    let mut unknown = model.clone();
    update(&mut unknown, report(Outcome::NotAsked { why: Text::new("no route") }));
    assert!(toast(&unknown).contains("1 not compared"), "{}", toast(&unknown));
    update(&mut model, report(Outcome::Changed { before: Text::new("peak 95"), now: Text::new("peak 60") }));
    let told = again(&model).unwrap();
    assert!(told.text.contains("peak 60") && told.refuted, "{told:?}");
    assert!(toast(&model).contains("1 changed or gone"), "{}", toast(&model));
    // A late answer to what was asked before changes nothing.
    let known = model.clone();
    update(&mut model, report(Outcome::Same));
    assert_eq!(again(&model), again(&known));
}

#[test]
fn a_line_without_citations_asks_for_all_of_them() {
    let mut model = loaded();
    press(&mut model, "⏎3");
    let Screen::Incident(screen) = model.top() else { panic!() };
    let rows = diagnosis_rows::rows(model.current().unwrap(), screen.list());
    let summary = rows.iter().position(|row| row.kind == diagnosis_rows::Kind::Summary).unwrap();
    assert!(rows[summary].links.is_empty());
    press(&mut model, &"j".repeat(summary));
    let effects = key(&mut model, Key::Char('R'));
    let [Effect::Recheck { ids, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(ids.len() > 1);
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len(), "each once");
}

/// The sample's diagnosis as a draft that is shown to its end.
fn written(model: &mut Model) -> crate::core::message::Draft {
    press(model, "⏎");
    let effects = key(model, Key::Char('d'));
    let [Effect::Diagnose { generation, .. }] = effects[..] else { panic!("{effects:?}") };
    let partial = consult_sample::by_model().diagnosed.diagnosis;
    let sure = vec![true; partial.hypotheses.len()];
    let draft = crate::core::message::Draft { partial, sure, ..crate::core::message::Draft::default() };
    update(model, Msg::Report(generation, Report::Drafting(Box::new(draft.clone()))));
    draft
}

fn shown(model: &Model) -> Vec<diagnosis_rows::Row> {
    diagnosis_rows::rows(model.current().unwrap(), model.incident_screen().unwrap().list())
}

#[test]
fn what_can_be_read_of_an_answer_stays_where_it_is() {
    let mut model = loaded();
    let draft = written(&mut model);
    let id = model.current().unwrap().incident.id.clone();
    let texts = |model: &Model| shown(model).into_iter().map(|row| row.text.to_string()).collect::<Vec<_>>();
    let mut before: Vec<String> = Vec::new();
    for characters in 0..=crate::core::reveal::length(&draft.partial) {
        model.cases.get_mut(&id).unwrap().revealed = characters;
        let now = texts(&model);
        for (at, text) in before.iter().enumerate() {
            assert!(now[at].starts_with(text.split("  expect").next().unwrap()), "{text:?} moved: {now:?}");
        }
        before = now;
    }
    let generation = model.current().unwrap().conclusion.awaited().unwrap();
    update(&mut model, Msg::Report(generation, Report::Diagnosed(Ok(Box::new(consult_sample::by_model())))));
    assert_eq!(texts(&model)[..before.len()], before, "nor does it move at the end");
    assert!(toast(&model).contains("whole and checked: 3 likeliest cause first"));
    press(&mut model, "3");
    assert_eq!(shown(&model)[0].kind, diagnosis_rows::Kind::Summary, "whoever comes to it later");
}

#[test]
fn who_comes_back_to_what_a_model_wrote_finds_its_likeliest_cause_first() {
    use crate::domain::diagnosis::Confidence;
    let mut model = loaded();
    written(&mut model);
    let generation = model.current().unwrap().conclusion.awaited().unwrap();
    let mut made = consult_sample::by_model();
    let first = made.diagnosed.diagnosis.hypotheses[0].clone();
    made.diagnosed.diagnosis.hypotheses = ["H1", "H2", "H3"]
        .into_iter()
        .zip([Confidence::Low, Confidence::High, Confidence::High])
        .map(|(id, confidence)| Hypothesis { id: id.into(), confidence, ..first.clone() })
        .collect();
    update(&mut model, Msg::Report(generation, Report::Diagnosed(Ok(Box::new(made)))));
    let order = |model: &Model| -> Vec<String> {
        let ids = shown(model).into_iter().filter_map(|row| match row.kind {
            diagnosis_rows::Kind::Hypothesis { id, .. } => Some(id),
            _ => None,
        });
        ids.collect()
    };
    assert_eq!(order(&model), ["H1", "H2", "H3"], "as it was written, under the eyes of the reader");
    press(&mut model, "3");
    assert_eq!(order(&model), ["H2", "H3", "H1"]);
}

#[test]
fn a_diagnosis_that_is_cancelled_leaves_the_one_before_at_its_top() {
    let mut model = loaded();
    written(&mut model);
    let id = model.current().unwrap().incident.id.clone();
    let end = model.current().unwrap().draft.as_ref().map(|draft| crate::core::reveal::length(&draft.partial));
    model.cases.get_mut(&id).unwrap().revealed = end.unwrap();
    press(&mut model, "jjj");
    assert_eq!(model.incident_screen().unwrap().list().cursor, 3);
    key(&mut model, Key::Esc);
    assert!(toast(&model).contains("was cancelled"), "{}", toast(&model));
    assert_eq!(model.incident_screen().unwrap().list().cursor, 0, "another text stands there now");
}

#[test]
fn how_sure_the_model_is_is_shown_once_it_is_said() {
    let mut model = loaded();
    let draft = written(&mut model);
    let id = model.current().unwrap().incident.id.clone();
    let confidences = |model: &Model| -> Vec<Option<crate::domain::diagnosis::Confidence>> {
        let rows = shown(model).into_iter();
        rows.filter_map(|row| match row.kind {
            diagnosis_rows::Kind::Hypothesis { confidence, .. } => Some(confidence),
            _ => None,
        })
        .collect()
    };
    let case = model.cases.get_mut(&id).unwrap();
    case.revealed = crate::core::reveal::length(&draft.partial);
    assert!(confidences(&model).iter().all(Option::is_some));
    let case = model.cases.get_mut(&id).unwrap();
    case.draft.as_mut().unwrap().sure = vec![true, false];
    assert_eq!(confidences(&model).last(), Some(&None));
    let case = model.cases.get_mut(&id).unwrap();
    let seen: usize = draft.partial.observations.iter().map(|claim| claim.text.chars().count()).sum();
    case.revealed = seen + 3;
    assert_eq!(confidences(&model), [None], "said, but not shown to there");
}

#[test]
fn who_goes_to_the_end_of_an_answer_stays_there_and_nobody_else_is_moved() {
    for (keys, follows) in [("", false), ("k", false), ("G", true)] {
        let mut model = loaded();
        written(&mut model);
        let now = model.now;
        for _ in 0..3 {
            update(&mut model, Msg::Tick(now));
        }
        press(&mut model, keys);
        while crate::core::reveal::behind(&model) {
            update(&mut model, Msg::Tick(now));
        }
        let cursor = model.incident_screen().unwrap().list().cursor;
        assert_eq!(cursor, if follows { shown(&model).len() - 1 } else { 0 });
    }
}

#[test]
fn the_diagnosis_that_nobody_asked_for_is_not_cancelled_and_comes_back() {
    use crate::core::sample::{blank, board, investigation};
    let mut model = blank();
    let effects = crate::core::update::start(&mut model);
    let [Effect::LoadBoard { generation }] = effects[..] else { panic!("{effects:?}") };
    let effects = update(&mut model, Msg::Report(generation, Report::Board(board())));
    let Some(Effect::Investigate { generation, .. }) = effects.into_iter().next() else { panic!() };
    key(&mut model, Key::Enter);
    let effects = update(&mut model, Msg::Report(generation, Report::Investigated(Ok(Box::new(investigation())))));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Diagnose { by: Wish::Offline, .. })), "{effects:?}");
    let mut left = model.clone();
    assert!(!key(&mut left, Key::Esc).iter().any(|effect| matches!(effect, Effect::Cancel { .. })));
    assert!(left.cases.values().any(|case| case.conclusion.busy()), "leaving the screen does not end it");
    // One that was asked for takes its place; when that is cancelled, it is made after all.
    key(&mut model, Key::Esc);
    key(&mut model, Key::Enter);
    press(&mut model, "3");
    let busy = model.current().unwrap().conclusion.awaited();
    assert!(busy.is_some());
    let case_id = model.current().unwrap().incident.id.clone();
    let effects = super::consult::begin_diagnosis(&mut model, &case_id, Wish::Model { shown: None });
    assert!(matches!(effects.last(), Some(Effect::Diagnose { by: Wish::Model { .. }, .. })));
    let effects = key(&mut model, Key::Esc);
    assert!(matches!(effects.last(), Some(Effect::Diagnose { by: Wish::Offline, .. })), "{effects:?}");
}

#[test]
fn no_letter_is_pressed_in_vain() {
    let mut model = loaded();
    press(&mut model, "⏎⏎");
    assert!(matches!(model.top(), Screen::Detail(_)));
    let effects = key(&mut model, Key::Char('d'));
    assert!(matches!(effects[..], [Effect::Diagnose { .. }]), "{effects:?}");
    assert!(matches!(model.top(), Screen::Incident(screen) if screen.pane == Pane::Diagnosis));
    let mut model = loaded();
    key(&mut model, Key::Char('P'));
    assert!(matches!(model.top(), Screen::Paste(_)));
    let mut model = loaded();
    key(&mut model, Key::Char('R'));
    assert_eq!(toast(&model), "recheck: not on this screen (? lists its keys)");
    for (keys, pane) in [("⏎", "the chart"), ("⏎5", "a moment"), ("⏎6", "a line")] {
        let mut model = loaded();
        press(&mut model, keys);
        key(&mut model, Key::Char('x'));
        let told = matches!(model.top(), Screen::Detail(_)) || !toast(&model).is_empty();
        assert!(told, "{pane}");
    }
}

#[test]
fn what_is_explained_of_a_suspect_is_its_chart() {
    use crate::core::screen::{Detail, Subject, Topic};
    let mut model = loaded();
    press(&mut model, "⏎x");
    let Screen::Detail(Detail { subject: Subject::Explain(Topic::Evidence(id)), .. }) = model.top() else { panic!() };
    assert_eq!(id.kind, crate::domain::evidence::EvidenceKind::Metric);
}

#[test]
fn a_diagnosis_that_says_nothing_says_so() {
    let mut model = loaded();
    press(&mut model, "⏎");
    let effects = key(&mut model, Key::Char('d'));
    let [Effect::Diagnose { generation, .. }] = effects[..] else { panic!("{effects:?}") };
    let mut made = consult_sample::by_model();
    made.diagnosed.diagnosis = crate::domain::diagnosis::Diagnosis::default();
    made.diagnosed.unsupported.clear();
    update(&mut model, Msg::Report(generation, Report::Diagnosed(Ok(Box::new(made)))));
    let said = shown(&model).into_iter().any(|row| row.text.starts_with("the model found nothing to say: d asks"));
    assert!(said);
}

#[test]
fn what_was_written_until_it_was_cancelled_stays_readable() {
    for before in [true, false] {
        let mut model = loaded();
        written(&mut model);
        let id = model.current().unwrap().incident.id.clone();
        if !before {
            model.cases.get_mut(&id).unwrap().conclusion.value = None;
        }
        let effects = key(&mut model, Key::Esc);
        assert!(matches!(effects[0], Effect::Cancel { .. }), "{effects:?}");
        for effect in effects {
            if let Effect::Diagnose { generation, .. } = effect {
                let made = crate::core::sample::conclusion();
                update(&mut model, Msg::Report(generation, Report::Diagnosed(Ok(Box::new(made)))));
            }
        }
        let kept = shown(&model).into_iter().find(|row| matches!(row.kind, diagnosis_rows::Kind::Earlier(_)));
        let kept = kept.unwrap_or_else(|| panic!("there was one before: {before}"));
        assert!(kept.text.contains("cancelled by you"), "{}", kept.text);
        let cursor = shown(&model).iter().position(|row| row.kind == kept.kind).unwrap();
        model.incident_screen_mut().unwrap().list_mut().cursor = cursor;
        press(&mut model, "⏎");
        let text = crate::core::copy::whole(&model).unwrap();
        assert!(text.contains("postgres itself is slow"), "{text}");
    }
}
