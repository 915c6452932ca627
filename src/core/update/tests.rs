//! The model by example, and the invariants that hold for every message.

use std::time::Duration;

use crate::core::confirm::{PREVIEW_KEY, RUN_KEY, Stage, UNDO_KEY, VERIFY_KEY};
use crate::core::effect::Wish;
use crate::core::message::{Board, Draft, Progress, RunReport};
use crate::core::rows;
use crate::core::sample::{self, at, blank, loaded, press, settle};
use crate::core::screen::{Pane, Subject};
use crate::core::{Effect, Identity, Key, Model, Msg, Report, Screen, pace};
use crate::domain::Text;
use crate::domain::action::{Decision, Effect as Impact, RunState, Verification};
use crate::domain::baseline::BaselineChoice;

use super::{start, update};

fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    update(model, Msg::Key(key))
}

fn pane(model: &Model) -> Option<Pane> {
    model.incident_screen().map(|screen| screen.pane)
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| &toast.text)
}

fn dialog(model: &Model) -> &crate::core::confirm::Dialog {
    match model.top() {
        Screen::Run(dialog) => dialog,
        other => panic!("no dialog on top: {other:?}"),
    }
}

/// The dialog of the first action (typed word) or the second (one key), prepared and drawn.
fn asking(which: usize) -> Model {
    let mut model = loaded();
    press(&mut model, if which == 0 { "⏎4⏎" } else { "⏎4j⏎" });
    model
}

#[test]
fn the_first_thing_asked_for_are_the_alerts() {
    let mut model = blank();
    assert_eq!(start(&mut model), [Effect::LoadBoard { generation: 1 }]);
}

#[test]
fn nothing_is_asked_where_nothing_is_configured() {
    let mut model = Model::new(Identity::default(), at("14:00:00"), Some(sample::first_run()));
    assert_eq!(start(&mut model), []);
    assert_eq!(update(&mut model, Msg::RefreshDue), []);
    assert_eq!(press(&mut model, "d"), [Effect::OpenDemo]);
    assert_eq!(press(&mut model, "q"), [Effect::Quit]);
}

#[test]
fn a_new_incident_is_investigated_and_diagnosed_by_itself() {
    let mut model = blank();
    start(&mut model);
    let effects = update(&mut model, Msg::Report(1, Report::Board(sample::board())));
    let [Effect::Investigate { generation, incident, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(incident.id, "I-3f9a2c");
    let done = Report::Investigated(Ok(Box::new(sample::investigation())));
    let effects = update(&mut model, Msg::Report(*generation, done));
    assert!(
        matches!(&effects[..], [Effect::Diagnose { by: Wish::Offline, .. }, Effect::Investigate { .. }]),
        "{effects:?}"
    );
}

#[test]
fn one_investigation_runs_at_a_time_and_resolved_incidents_wait_to_be_opened() {
    let mut model = loaded();
    assert!(model.cases["I-77aa01"].investigation.untouched());
    assert!(model.cases["I-5b00d1"].investigation.error.is_some());
    press(&mut model, "jj");
    let effects = key(&mut model, Key::Enter);
    assert!(matches!(&effects[0], Effect::Investigate { incident, .. } if incident.id == "I-77aa01"));
}

#[test]
fn a_stale_report_is_dropped() {
    let mut model = blank();
    start(&mut model);
    press(&mut model, "");
    let effects = key(&mut model, Key::Char('r'));
    assert_eq!(effects, [Effect::Cancel { generation: 1 }, Effect::LoadBoard { generation: 2 }]);
    let before = model.clone();
    assert_eq!(update(&mut model, Msg::Report(1, Report::Board(sample::board()))), []);
    assert_eq!(model, before);
}

#[test]
fn a_failed_refresh_keeps_the_incidents() {
    let mut model = loaded();
    let effects = update(&mut model, Msg::RefreshDue);
    let [Effect::LoadBoard { generation }] = effects[..] else { panic!("{effects:?}") };
    let board = Board { incidents: Err(Text::new("no route")), sources: Vec::new() };
    update(&mut model, Msg::Report(generation, Report::Board(board)));
    assert_eq!(model.incidents().count(), 3);
    assert_eq!(model.board.error.as_deref(), Some("no route"));
}

#[test]
fn the_cursor_stays_on_its_incident_when_the_board_changes() {
    let mut model = loaded();
    press(&mut model, "j");
    let effects = update(&mut model, Msg::RefreshDue);
    let [Effect::LoadBoard { generation }] = effects[..] else { panic!("{effects:?}") };
    let mut board = sample::board();
    board.incidents.as_mut().unwrap().swap(0, 1);
    update(&mut model, Msg::Report(generation, Report::Board(board)));
    assert_eq!(model.current().unwrap().incident.id, "I-5b00d1");
}

#[test]
fn new_alerts_of_an_incident_lead_to_a_new_investigation() {
    let mut model = loaded();
    let effects = update(&mut model, Msg::RefreshDue);
    let [Effect::LoadBoard { generation }] = effects[..] else { panic!("{effects:?}") };
    let mut board = sample::board();
    let incident = &mut board.incidents.as_mut().unwrap()[0];
    let mut more = incident.alerts[0].clone();
    more.fingerprint = "another".into();
    incident.alerts.push(more);
    let effects = update(&mut model, Msg::Report(generation, Report::Board(board)));
    assert!(
        matches!(&effects[..], [Effect::Investigate { incident, .. }] if incident.alerts.len() == 3),
        "{effects:?}"
    );
    assert!(model.cases["I-3f9a2c"].investigation.value.is_some(), "the old result stays until the new one is there");
}

#[test]
fn a_quiet_refresh_changes_nothing() {
    let mut model = loaded();
    let before = model.clone();
    let effects = update(&mut model, Msg::RefreshDue);
    settle(&mut model, effects);
    assert_eq!(model.board, before.board);
    assert_eq!(model.cases, before.cases);
    assert_eq!(model.screens, before.screens);
    assert_eq!(model.sources, before.sources);
}

#[test]
fn an_incident_on_a_screen_stays_known_when_its_alerts_are_gone() {
    let mut model = loaded();
    press(&mut model, "⏎");
    let effects = update(&mut model, Msg::RefreshDue);
    let [Effect::LoadBoard { generation }] = effects[..] else { panic!("{effects:?}") };
    let board = Board { incidents: Ok(Vec::new()), sources: Vec::new() };
    update(&mut model, Msg::Report(generation, Report::Board(board)));
    assert!(model.current().is_some());
    press(&mut model, "⎋");
    assert!(model.current().is_none());
}

#[test]
fn panes_turn_with_tab_and_numbers() {
    let mut model = loaded();
    press(&mut model, "⏎");
    assert_eq!(pane(&model), Some(Pane::Suspects));
    press(&mut model, "⇥⇥");
    assert_eq!(pane(&model), Some(Pane::Diagnosis));
    key(&mut model, Key::BackTab);
    assert_eq!(pane(&model), Some(Pane::Evidence));
    for (number, wanted) in ('1'..='7').zip(Pane::ALL) {
        key(&mut model, Key::Char(number));
        assert_eq!(pane(&model), Some(wanted));
    }
    press(&mut model, "⇥");
    assert_eq!(pane(&model), Some(Pane::Suspects), "around the corner");
}

#[test]
fn escape_goes_back_from_everywhere_to_the_board() {
    for keys in ["⏎", "⏎2⏎", "⏎4⏎", "⏎p", "⏎?", "⏎:", "S", "?", ":", "⏎6⏎", "⏎7⏎", "⏎5⏎", "/x", "⏎2/x⏎"]
    {
        let mut model = loaded();
        press(&mut model, keys);
        for _ in 0..6 {
            key(&mut model, Key::Esc);
        }
        assert!(matches!(&model.screens[..], [Screen::Board(list)] if list.filter.text.is_empty()), "{keys}");
    }
}

#[test]
fn escape_on_the_home_screen_leaves_nothing() {
    let mut model = loaded();
    assert_eq!(key(&mut model, Key::Esc), []);
    assert_eq!(model.screens.len(), 1);
    assert_eq!(key(&mut model, Key::Char('q')), [Effect::Quit]);
}

#[test]
fn an_evidence_link_jumps_to_the_evidence() {
    let mut model = loaded();
    press(&mut model, "⏎3jjjl⏎");
    let detail = model.detail().unwrap();
    let Subject::Evidence { ids, at } = &detail.subject else { panic!("{detail:?}") };
    assert_eq!(ids[*at], sample::id("C1"), "the second link of \"pool full\"");
    press(&mut model, "⎋");
    assert_eq!(pane(&model), Some(Pane::Diagnosis));
}

#[test]
fn a_check_is_asked_and_its_answer_stands_below_it() {
    let mut model = loaded();
    press(&mut model, "⏎3jjjjj");
    let effects = key(&mut model, Key::Enter);
    assert!(
        matches!(&effects[..], [Effect::Ask { check, .. }] if check.query == "max(pool_wait_seconds)"),
        "{effects:?}"
    );
    settle(&mut model, effects);
    let case = model.current().unwrap();
    let rows = crate::core::diagnosis_rows::rows(case, model.incident_screen().unwrap().list());
    assert!(rows.iter().any(|row| row.kind == crate::core::diagnosis_rows::Kind::Answer));
}

#[test]
fn n_steps_through_the_proof_of_a_suspect() {
    let mut model = loaded();
    press(&mut model, "⏎⏎");
    let ids = |model: &Model| match &model.detail().unwrap().subject {
        Subject::Evidence { ids, at } => ids[*at],
        other => panic!("{other:?}"),
    };
    assert_eq!(ids(&model), sample::id("C1"));
    press(&mut model, "n");
    assert_eq!(ids(&model), sample::id("M3"));
    press(&mut model, "N");
    assert_eq!(ids(&model), sample::id("C1"));
}

#[test]
fn in_a_proof_the_keys_move_through_the_items_until_the_text_has_the_focus() {
    let mut model = loaded();
    press(&mut model, "⏎⏎j");
    let shown = |model: &Model| {
        let detail = model.detail().unwrap();
        let Subject::Evidence { ids, at } = &detail.subject else { panic!("{detail:?}") };
        (ids[*at], detail.reader.scroll)
    };
    assert_eq!(shown(&model), (sample::id("M3"), 0));
    press(&mut model, "j");
    assert_eq!(shown(&model), (sample::id("L7"), 0));
    update(&mut model, Msg::Resize(80, 24));
    press(&mut model, "⇥jj");
    assert_eq!(shown(&model), (sample::id("L7"), 2));
    press(&mut model, "⇥j");
    assert_eq!(shown(&model), (sample::id("L9"), 0));
    // A page moves the text whatever has the focus; numbers lead back.
    update(&mut model, Msg::Key(Key::Ctrl('d')));
    assert!(shown(&model).1 > 0);
    press(&mut model, "6");
    assert_eq!(pane(&model), Some(Pane::Logs));
}

#[test]
fn of_a_proof_the_query_or_the_diff_is_copied_and_all_of_it_edited() {
    let mut model = loaded();
    press(&mut model, "⏎⏎");
    let copied = |effects: Vec<Effect>| match effects.into_iter().next() {
        Some(Effect::Copy(text)) => text.to_string(),
        Some(Effect::Edit(text)) => text.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(copied(press(&mut model, "y")).starts_with("@@ -10,4"));
    assert_eq!(copied(press(&mut model, "jy")), "max by (pool) (pool_in_use{service=\"payments\"})");
    let all = copied(press(&mut model, "e"));
    assert!(all.starts_with("[M3] ") && all.contains("Where it comes from"), "{all}");
}

#[test]
fn of_a_long_text_only_what_is_in_view_is_made() {
    let mut found = sample::investigation();
    let diff: Vec<String> = (0..10_000).map(|line| format!("+line {line} {}", "価".repeat(line % 90))).collect();
    let diff = diff.join("\n");
    for item in &mut found.analysis.evidence {
        if let crate::domain::evidence::Detail::Change(change) = &mut item.detail {
            change.diff = Some(Text::new(&diff));
        }
    }
    let mut model = loaded();
    model.cases.get_mut("I-3f9a2c").unwrap().investigation.value = Some(found);
    press(&mut model, "⏎⏎⇥G");
    let reader = model.detail().unwrap().reader.clone();
    let len = crate::core::reading::len(&model).unwrap();
    assert!(len > 10_000 && reader.scroll + crate::core::reading::height(&model) == len);
    let page = crate::core::reading::page(&model, 5_000..5_010).unwrap();
    assert_eq!((page.lines.len(), page.len), (10, len));
    assert!(page.lines[3].text.starts_with("+line 49"), "{:?}", page.lines[3]);
    // Long lines are cut and can be shifted, or wrapped.
    press(&mut model, "lll");
    assert_eq!(model.detail().unwrap().reader.shift, 30);
    press(&mut model, "w");
    assert!(crate::core::reading::len(&model).unwrap() > len && model.detail().unwrap().reader.shift == 0);
}

#[test]
fn escape_stops_asking_first_then_gives_up_and_spares_what_is_known() {
    let mut model = blank();
    let effects = start(&mut model);
    let Some(Effect::LoadBoard { generation }) = effects.into_iter().next() else { panic!() };
    let effects = update(&mut model, Msg::Report(generation, Report::Board(sample::board())));
    let Some(Effect::Investigate { generation, .. }) = effects.into_iter().next() else { panic!() };
    key(&mut model, Key::Enter);
    assert_eq!(key(&mut model, Key::Esc), [Effect::Enough { generation }]);
    assert_eq!(pane(&model), Some(Pane::Suspects), "still there, waiting for what came");
    assert_eq!(key(&mut model, Key::Esc)[0], Effect::Cancel { generation });
    // What is known stays when asking anew is cancelled.
    let mut model = loaded();
    press(&mut model, "⏎");
    let effects = key(&mut model, Key::Char('r'));
    let Some(Effect::Investigate { generation, .. }) = effects.into_iter().next() else { panic!() };
    assert_eq!(key(&mut model, Key::Esc), [Effect::Cancel { generation }]);
    assert!(model.cases["I-3f9a2c"].investigation.value.is_some() && pane(&model).is_some());
}

#[test]
fn escape_cancels_a_pack_that_is_being_made() {
    let mut model = loaded();
    press(&mut model, "⏎");
    let Some(Effect::Pack { generation, .. }) = key(&mut model, Key::Char('p')).pop() else { panic!() };
    assert_eq!(key(&mut model, Key::Esc), [Effect::Cancel { generation }]);
    assert_eq!(pane(&model), Some(Pane::Suspects));
}

#[test]
fn a_filter_narrows_the_list_and_escape_clears_it_first() {
    let mut model = loaded();
    press(&mut model, "⏎2/pool⏎");
    let screen = model.incident_screen().unwrap();
    let case = model.current().unwrap();
    assert_eq!(crate::core::rows::evidence(case, screen.list()).len(), 3);
    press(&mut model, "⎋");
    assert_eq!(pane(&model), Some(Pane::Evidence), "still there");
    assert!(model.incident_screen().unwrap().list().filter.text.is_empty());
}

#[test]
fn what_was_found_stays_selected_when_its_filter_is_cleared() {
    let mut model = loaded();
    press(&mut model, "⏎2/pool⏎n");
    let selected = |model: &Model| {
        let screen = model.incident_screen().unwrap();
        rows::evidence(model.current().unwrap(), screen.list())[screen.list().cursor].id
    };
    let found = selected(&model);
    press(&mut model, "⎋");
    assert_eq!(selected(&model), found);
    // At the last match that is said.
    press(&mut model, "/pool⏎Gn");
    assert_eq!(toast(&model), "no further match: this is the last");
}

#[test]
fn a_log_is_filtered_with_the_key_that_changes_the_filter_and_not_again() {
    let mut model = loaded();
    press(&mut model, "⏎6/acquire⏎");
    let shown = |model: &Model| {
        let screen = model.incident_screen().unwrap();
        let case = model.current().unwrap();
        let len = case.investigation.value.as_ref().unwrap().logs.len();
        let known = screen.list().matches(case.investigation.content(), len).map(<[usize]>::to_vec);
        (known, rows::logs(case, screen.list()).iter().map(|(row, _)| *row).collect::<Vec<_>>())
    };
    let (known, rows) = shown(&model);
    assert!(!rows.is_empty() && known == Some(rows));
    // Entries that came anew are filtered anew.
    let effects = key(&mut model, Key::Char('r'));
    settle(&mut model, effects);
    let (known, rows) = shown(&model);
    assert_eq!(known, Some(rows));
    press(&mut model, "⎋");
    assert_eq!(shown(&model).0, None);
}

#[test]
fn keys_typed_into_a_filter_are_text() {
    let mut model = loaded();
    press(&mut model, "/qd?:");
    assert!(matches!(model.top(), Screen::Board(list) if list.filter.text == "qd?:"));
}

#[test]
fn searching_a_text_goes_from_match_to_match() {
    let mut model = loaded();
    press(&mut model, "⏎p/pool_in_use⏎");
    let Screen::Pack(reader) = model.top() else { panic!() };
    let first = reader.scroll;
    assert!(first > 0);
    press(&mut model, "n");
    assert_eq!(toast(&model), "no further match");
}

#[test]
fn another_baseline_is_typed_into_the_palette() {
    let mut model = loaded();
    press(&mut model, "⏎:baseline yesterday");
    let effects = key(&mut model, Key::Enter);
    let [.., Effect::Investigate { baseline, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(*baseline, Some(BaselineChoice::Yesterday));
    assert_eq!(toast(&model), "comparing with yesterday");
    press(&mut model, ":baseline tomorrow");
    assert_eq!(key(&mut model, Key::Enter), []);
    assert!(matches!(model.top(), Screen::Palette(_)) && toast(&model).contains("is no baseline"));
    assert_eq!(model.current().unwrap().baseline, Some(BaselineChoice::Yesterday));
}

#[test]
fn the_palette_finds_runs_and_remembers() {
    let mut model = loaded();
    press(&mut model, "⏎:timel⏎");
    assert_eq!(pane(&model), Some(Pane::Timeline));
    assert_eq!(model.history, ["timeline"]);
    press(&mut model, ":");
    let entries = crate::core::palette::entries(&model, "");
    assert_eq!(entries[0].definition.name, "timeline", "the last one comes first");
}

#[test]
fn a_command_that_is_not_possible_says_why() {
    let mut model = loaded();
    model.identity.models.clear();
    press(&mut model, "⏎d");
    assert!(toast(&model).contains("no language model is configured"), "{}", toast(&model));
    press(&mut model, ":diagnose");
    let entry = &crate::core::palette::entries(&model, "diagnose")[0];
    assert!(entry.disabled.as_deref().is_some_and(|why| why.contains("no language model")));
    assert_eq!(press(&mut model, "⏎"), []);
}

#[test]
fn help_lists_the_keys_of_the_screen_below_and_searches_them() {
    let mut model = loaded();
    press(&mut model, "⏎6?wrap");
    let Screen::Help(reader) = model.top() else { panic!() };
    let entries = crate::core::palette::help_entries(&model, &reader.search.text);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].definition.name, "wrap");
}

#[test]
fn a_diagnosis_by_a_model_is_shown_as_it_is_written_and_can_be_cancelled() {
    let mut model = loaded();
    press(&mut model, "⏎");
    let effects = key(&mut model, Key::Char('d'));
    let [Effect::Diagnose { generation, by: Wish::Model { shown: None }, .. }] = effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(pane(&model), Some(Pane::Diagnosis));
    let draft = Draft { stage: Text::new("writing"), ..Draft::default() };
    update(&mut model, Msg::Report(generation, Report::Drafting(Box::new(draft))));
    assert!(model.current().unwrap().draft.is_some());
    press(&mut model, "4");
    assert_eq!(key(&mut model, Key::Enter), [], "no action can be chosen meanwhile");
    press(&mut model, "3");
    assert_eq!(key(&mut model, Key::Esc), [Effect::Cancel { generation }]);
    assert!(model.current().unwrap().draft.is_none());
    let late = Report::Diagnosed(Ok(Box::new(sample::conclusion())));
    let before = model.clone();
    update(&mut model, Msg::Report(generation, late));
    assert_eq!(model.cases, before.cases);
}

#[test]
fn actions_of_an_incomplete_diagnosis_cannot_be_chosen() {
    let mut model = loaded();
    model.cases.get_mut("I-3f9a2c").unwrap().conclusion.value.as_mut().unwrap().diagnosed.complete = false;
    press(&mut model, "⏎4");
    assert_eq!(key(&mut model, Key::Enter), []);
    assert!(toast(&model).contains("none of its actions can be chosen"));
}

#[test]
fn a_frozen_picture_stays_and_catches_up_afterwards() {
    let mut model = loaded();
    let now = model.now;
    press(&mut model, "z");
    assert_eq!(model.frozen, Some(now));
    update(&mut model, Msg::Tick(now.plus(Duration::from_mins(10))));
    assert_eq!(model.now, now);
    assert_eq!(update(&mut model, Msg::RefreshDue), []);
    assert_eq!(pace::next_change(&model), None);
    let effects = key(&mut model, Key::Char('z'));
    assert!(matches!(effects[0], Effect::LoadBoard { .. }));
}

#[test]
fn marked_evidence_is_copied_together() {
    let mut model = loaded();
    press(&mut model, "⏎2  ");
    let effects = key(&mut model, Key::Char('y'));
    let [Effect::Copy(text)] = &effects[..] else { panic!("{effects:?}") };
    assert!(text.contains("[A1]") && text.contains("[M3]") && !text.contains("[M4]"));
}

#[test]
fn in_a_terminal_too_small_only_leaving_is_possible() {
    let mut model = asking(0);
    update(&mut model, Msg::Resize(20, 5));
    update(&mut model, Msg::Drawn);
    assert_eq!(key(&mut model, Key::Char('p')), []);
    assert_eq!(dialog(&model).typed, "");
    key(&mut model, Key::Esc);
    assert!(matches!(model.top(), Screen::Incident(_)));
    assert_eq!(key(&mut model, Key::Char('q')), [Effect::Quit]);
}

#[test]
fn ages_wake_the_loop_only_when_they_read_differently() {
    let model = loaded();
    let next = pace::next_change(&model).unwrap();
    assert!(next > model.now && next <= model.now.plus(Duration::from_mins(1)));
    let mut recorded = model;
    recorded.identity.recorded = Some("DEMO".into());
    assert_eq!(pace::next_change(&recorded), None);
}

// ---- running ----

#[test]
fn the_word_must_be_typed_to_run() {
    let mut model = asking(0);
    press(&mut model, "paym");
    assert_eq!(key(&mut model, Key::Enter), []);
    assert!(toast(&model).contains("typed word"));
    press(&mut model, "ents");
    let effects = key(&mut model, Key::Enter);
    let [Effect::Run(order)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(order.typed(), "payments");
    assert_eq!(order.digest(), &dialog(&model).prepared().unwrap().digest);
    assert!(model.running());
    assert_eq!(key(&mut model, Key::Enter), [], "once");
}

#[test]
fn a_preview_is_shown_in_a_dialog_of_its_own_before_it_runs() {
    let mut model = asking(0);
    press(&mut model, "pay");
    let effects = key(&mut model, PREVIEW_KEY);
    let [Effect::Prepare { generation, action }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(action.argv.last().map(String::as_str), Some("--dry-run=server"));
    assert_eq!(action.rollback, None);
    let prepared = sample::prepared(action, Impact::Read, Decision::Allow);
    update(&mut model, Msg::Report(*generation, Report::Prepared(Ok(Box::new(prepared)))));
    update(&mut model, Msg::Drawn);
    let effects = key(&mut model, RUN_KEY);
    let [Effect::Run(order)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(order.prepared().request.argv.last().map(String::as_str), Some("--dry-run=server"));
    let generation = order.generation();
    let ended = Report::Run(RunReport::Ended(RunState::Exited { code: 0 }));
    update(&mut model, Msg::Report(generation, ended));
    assert_eq!(key(&mut model, UNDO_KEY), [], "a preview changes nothing that could be taken back");
    key(&mut model, Key::Esc);
    assert_eq!(dialog(&model).typed, "pay", "the dialog below is as it was left");
}

#[test]
fn after_a_run_the_command_that_takes_it_back_is_one_key_away() {
    let mut model = asking(0);
    press(&mut model, "payments");
    let effects = key(&mut model, Key::Enter);
    let [Effect::Run(order)] = &effects[..] else { panic!("{effects:?}") };
    let (generation, undo) = (order.generation(), order.prepared().undo.clone().unwrap());
    let before = order.prepared().verification.clone().unwrap();
    let ended = Report::Run(RunReport::Ended(RunState::Exited { code: 0 }));
    update(&mut model, Msg::Report(generation, ended));
    // Whether it helped shows later; each answer replaces the one before.
    let effects = key(&mut model, VERIFY_KEY);
    assert_eq!(effects, [], "there was no answer yet");
    let asked = |after: &str| Verification { after: Some(after.into()), ..before.clone() };
    update(&mut model, Msg::Report(generation, Report::Run(RunReport::Verified(asked("5.1 s")))));
    let effects = key(&mut model, VERIFY_KEY);
    let [Effect::Verify { generation, .. }] = &effects[..] else { panic!("{effects:?}") };
    update(&mut model, Msg::Report(*generation, Report::Run(RunReport::Verified(asked("0.2 s")))));
    assert_eq!(dialog(&model).verification, Some(asked("0.2 s")));
    let effects = key(&mut model, UNDO_KEY);
    let [Effect::Prepare { action, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(action.argv, undo);
}

#[test]
fn a_read_runs_on_one_key_that_is_not_the_one_that_opened_the_dialog() {
    let mut model = asking(1);
    assert_eq!(key(&mut model, Key::Enter), []);
    assert!(matches!(&key(&mut model, RUN_KEY)[..], [Effect::Run(_)]));
}

#[test]
fn what_was_not_drawn_cannot_be_run() {
    let mut model = loaded();
    press(&mut model, "⏎4j");
    let effects = key(&mut model, Key::Enter);
    let [Effect::Prepare { generation, action }] = &effects[..] else { panic!("{effects:?}") };
    let prepared = sample::prepared(action, Impact::Read, Decision::Allow);
    update(&mut model, Msg::Report(*generation, Report::Prepared(Ok(Box::new(prepared)))));
    assert_eq!(key(&mut model, RUN_KEY), [], "keys pressed ahead do not count");
    update(&mut model, Msg::Drawn);
    assert!(matches!(&key(&mut model, RUN_KEY)[..], [Effect::Run(_)]));
}

#[test]
fn a_command_too_long_for_the_screen_cannot_be_run() {
    let mut model = loaded();
    press(&mut model, "⏎4j");
    update(&mut model, Msg::Resize(80, 24));
    let effects = key(&mut model, Key::Enter);
    let [Effect::Prepare { generation, action }] = &effects[..] else { panic!("{effects:?}") };
    let mut prepared = sample::prepared(action, Impact::Read, Decision::Allow);
    prepared.request.argv.push("x".repeat(2_000));
    update(&mut model, Msg::Report(*generation, Report::Prepared(Ok(Box::new(prepared)))));
    update(&mut model, Msg::Drawn);
    assert_eq!(key(&mut model, RUN_KEY), []);
    assert!(toast(&model).contains("enlarge the terminal"), "{}", toast(&model));
}

#[test]
fn what_the_guardrails_stop_cannot_be_run() {
    for decision in [Decision::Deny, Decision::Approve] {
        let mut model = loaded();
        press(&mut model, "⏎4");
        let effects = key(&mut model, Key::Enter);
        let [Effect::Prepare { generation, action }] = &effects[..] else { panic!("{effects:?}") };
        let prepared = sample::prepared(action, Impact::Destroy, decision);
        update(&mut model, Msg::Report(*generation, Report::Prepared(Ok(Box::new(prepared)))));
        update(&mut model, Msg::Drawn);
        for pressed in [RUN_KEY, Key::Enter, Key::Char('y')] {
            assert_eq!(key(&mut model, pressed), [], "{decision:?}");
        }
    }
}

#[test]
fn output_is_bounded_and_what_was_dropped_is_counted() {
    let mut model = asking(1);
    let effects = key(&mut model, RUN_KEY);
    let [Effect::Run(order)] = &effects[..] else { panic!("{effects:?}") };
    let generation = order.generation();
    for line in 0..2_100 {
        let line = sample::output(&line.to_string(), false);
        update(&mut model, Msg::Report(generation, Report::Run(RunReport::Line(line))));
    }
    update(&mut model, Msg::Report(generation, Report::Run(RunReport::Dropped(7))));
    assert_eq!(dialog(&model).output.len(), crate::core::confirm::OUTPUT_LINES);
    assert_eq!(dialog(&model).dropped, 107);
}

#[test]
fn escape_ends_a_run_and_leaves_only_when_it_is_over() {
    let mut model = asking(1);
    let effects = key(&mut model, RUN_KEY);
    let [Effect::Run(order)] = &effects[..] else { panic!("{effects:?}") };
    let generation = order.generation();
    assert_eq!(key(&mut model, Key::Esc), [Effect::Cancel { generation }]);
    assert!(matches!(dialog(&model).stage, Stage::Running { .. }));
    update(&mut model, Msg::Report(generation, Report::Run(RunReport::Ended(RunState::Cancelled))));
    key(&mut model, Key::Esc);
    assert!(matches!(model.top(), Screen::Incident(_)));
}

#[test]
fn leaving_while_something_runs_asks_twice() {
    let mut model = asking(1);
    key(&mut model, RUN_KEY);
    assert_eq!(key(&mut model, Key::Ctrl('c')), []);
    assert!(toast(&model).contains("running"));
    assert_eq!(key(&mut model, Key::Ctrl('c')), [Effect::Quit]);
}

#[test]
fn pasted_text_neither_confirms_nor_runs() {
    let mut model = asking(0);
    assert_eq!(update(&mut model, Msg::Paste(Text::new("payments\n"))), []);
    assert_eq!(dialog(&model).typed, "");
    let mut model = loaded();
    press(&mut model, "⏎:");
    assert_eq!(update(&mut model, Msg::Paste(Text::new("quit\n"))), []);
    assert!(matches!(model.top(), Screen::Palette(palette) if palette.input.text == "quit"));
}

/// Every message that is not a key press, with the number that the dialog awaits.
fn everything_but_keys(generation: u64) -> Vec<Msg> {
    let action = sample::conclusion().actions[1].action.clone();
    let reports = vec![
        Report::Board(sample::board()),
        Report::Sources(sample::sources()),
        Report::Progress(Progress { done: 1, total: 2, what: Text::new("x"), ..Progress::default() }),
        Report::Investigated(Ok(Box::new(sample::investigation()))),
        Report::Investigated(Err(Text::new("payments"))),
        Report::Drafting(Box::default()),
        Report::Diagnosed(Ok(Box::new(sample::conclusion()))),
        Report::Packed(Ok(Box::new(crate::core::consult_sample::preview()))),
        Report::Timeline(Ok(sample::entries())),
        Report::Answered(Ok(Box::new(crate::core::consult_sample::answered()))),
        Report::Prepared(Ok(Box::new(sample::prepared(&action, Impact::Read, Decision::Allow)))),
        Report::Run(RunReport::Line(sample::output("x", false))),
        Report::Run(RunReport::Dropped(1)),
        Report::Run(RunReport::Ended(RunState::Exited { code: 0 })),
        Report::Run(RunReport::Refused(Text::new("no"))),
        Report::Said(Ok(Text::new("x"))),
    ];
    let mut all = vec![
        Msg::Paste(Text::new("x\npayments\n")),
        Msg::Resize(120, 40),
        Msg::Focus(true),
        Msg::Tick(at("15:00:00")),
        Msg::RefreshDue,
        Msg::Drawn,
        Msg::Resumed,
    ];
    all.extend(reports.into_iter().map(|report| Msg::Report(generation, report)));
    all
}

#[test]
fn no_message_but_a_key_press_leads_to_a_run() {
    let starts = ["", "⏎", "⏎4", "⏎4⏎", "⏎4⏎payments", "⏎4j⏎", "⏎:", "⏎?", "⏎2⏎"];
    for keys in starts {
        let mut base = loaded();
        press(&mut base, keys);
        for generation in 0..60 {
            // All of them one after another, and the effects they lead to answered, too.
            let mut model = base.clone();
            for msg in everything_but_keys(generation) {
                let said = format!("{msg:?}");
                let effects = update(&mut model, msg);
                assert!(!effects.iter().any(|effect| matches!(effect, Effect::Run(_))), "{keys}: {said}");
                settle(&mut model, effects);
            }
            assert!(!model.running(), "{keys}");
        }
    }
}
