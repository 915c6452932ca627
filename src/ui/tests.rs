//! One picture for each visible state.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::core::message::{Draft, Progress, Report, RunReport};
use crate::core::queue_sample::{self, with_queue};
use crate::core::sample::{self, blank, loaded, press};
use crate::core::update::{start, update};
use crate::core::{Effect, Model, Msg};
use crate::domain::Text;
use crate::domain::action::RunState;
use crate::domain::analysis::RuledOut;
use crate::domain::query::{Note, NoteKind};
use crate::domain::settings::Sees;

use super::{Theme, render};

const COLOURS: Theme = Theme::new(true, false);

fn picture_in(model: &Model, theme: Theme) -> Buffer {
    let area = Rect::new(0, 0, model.size.0, model.size.1);
    let mut buffer = Buffer::empty(area);
    render(model, &theme, area, &mut buffer);
    buffer
}

fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    (area.top()..area.bottom())
        .map(|y| {
            let mut row = String::new();
            let mut skip = 0;
            for x in area.left()..area.right() {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
                row.push_str(symbol);
            }
            row.trim_end().to_owned() + "\n"
        })
        .collect()
}

fn picture(model: &mut Model, columns: u16, rows: u16) -> String {
    update(model, Msg::Resize(columns, rows));
    text(&picture_in(model, COLOURS))
}

/// The text of a picture in a theme, at the model's size.
pub(super) fn text_in(model: &Model, theme: Theme) -> String {
    text(&picture_in(model, theme))
}

/// Takes a picture at both sizes that every screen is made for.
pub(super) fn both(name: &str, model: &mut Model) {
    insta::assert_snapshot!(format!("{name}_120x40"), picture(model, 120, 40));
    insta::assert_snapshot!(format!("{name}_80x24"), picture(model, 80, 24));
}

fn after(keys: &str) -> Model {
    let mut model = loaded();
    press(&mut model, keys);
    model
}

#[test]
fn board_before_any_answer() {
    let mut model = blank();
    start(&mut model);
    both("board_before_any_answer", &mut model);
}

#[test]
fn board_with_incidents() {
    both("board_with_incidents", &mut loaded());
}

#[test]
fn board_when_nothing_can_be_reached() {
    let mut model = blank();
    let Some(Effect::LoadBoard { generation }) = start(&mut model).pop() else { panic!("no load") };
    let board = crate::core::message::Board {
        incidents: Err(Text::new("alertmanager: connection refused at 127.0.0.1:9093 (is it running?)")),
        sources: sample::sources(),
    };
    update(&mut model, Msg::Report(generation, Report::Board(board)));
    both("board_when_nothing_can_be_reached", &mut model);
}

#[test]
fn board_without_incidents() {
    let mut model = blank();
    let Some(Effect::LoadBoard { generation }) = start(&mut model).pop() else { panic!("no load") };
    let board = crate::core::message::Board { incidents: Ok(Vec::new()), sources: sample::sources() };
    update(&mut model, Msg::Report(generation, Report::Board(board)));
    both("board_without_incidents", &mut model);
}

#[test]
fn investigation_under_way() {
    let mut model = blank();
    let effects = start(&mut model);
    let Some(Effect::LoadBoard { generation }) = effects.into_iter().next() else { panic!("no load") };
    let effects = update(&mut model, Msg::Report(generation, Report::Board(sample::board())));
    let Some(Effect::Investigate { generation, .. }) = effects.into_iter().next() else { panic!("no investigation") };
    let what = Text::new("prometheus: max by (pool) (pool_in_use)");
    let open = Text::new("3 logs, 1 metrics");
    let progress = Progress { done: 12, total: 31, round: 2, what, open, slow: Text::new("loki 9.1 s") };
    update(&mut model, Msg::Report(generation, Report::Progress(progress)));
    both("investigation_under_way_board", &mut model);
    update(&mut model, Msg::Key(crate::core::Key::Enter));
    both("investigation_under_way", &mut model);
}

#[test]
fn suspects() {
    both("suspects", &mut after("⏎"));
}

#[test]
fn evidence() {
    both("evidence", &mut after("⏎2j "));
}

#[test]
fn diagnosis() {
    both("diagnosis", &mut after("⏎3jjj"));
}

#[test]
fn diagnosis_being_written() {
    let mut model = after("⏎");
    let effects = update(&mut model, Msg::Key(crate::core::Key::Char('d')));
    let Some(Effect::Diagnose { generation, .. }) = effects.into_iter().next() else { panic!("no diagnosis") };
    let mut partial = sample::conclusion().diagnosed.diagnosis;
    partial.hypotheses.truncate(1);
    partial.missing.clear();
    let draft = Draft {
        by: Text::new("model-x via primary"),
        stage: Text::new("writing"),
        partial,
        sure: vec![true],
        sent_tokens: 7_400,
        hidden: 3,
        received_tokens: 312,
        first_token_ms: Some(800),
        rate: Some(61.3),
        sees: Some(Sees::Redacted),
        bill: crate::core::consult_sample::bill(),
        earlier: Vec::new(),
    };
    update(&mut model, Msg::Report(generation, Report::Drafting(Box::new(draft))));
    let now = model.now;
    for _ in 0..4 {
        update(&mut model, Msg::Tick(now));
    }
    both("diagnosis_begun", &mut model);
    while crate::core::reveal::behind(&model) {
        update(&mut model, Msg::Tick(now));
    }
    both("diagnosis_being_written", &mut model);
}

#[test]
fn actions() {
    both("actions", &mut after("⏎4"));
}

#[test]
fn timeline() {
    both("timeline", &mut after("⏎5jj"));
}

#[test]
fn logs() {
    let mut model = after("⏎6jjjj");
    both("logs", &mut model);
    press(&mut model, "w");
    both("logs_wrapped", &mut model);
}

#[test]
fn asked() {
    both("asked", &mut after("⏎7"));
}

#[test]
fn metric_in_full() {
    both("metric_in_full", &mut after("⏎2j⏎"));
}

#[test]
fn proof_of_a_suspect() {
    both("proof_change", &mut after("⏎⏎"));
    both("proof_metric", &mut after("⏎⏎j"));
    both("proof_log", &mut after("⏎⏎jj"));
    both("proof_log_unfolded", &mut after("⏎⏎jjw"));
    both("proof_branch", &mut after("⏎⏎jjj"));
    both("proof_edge", &mut after("⏎⏎jjjj"));
}

/// The sample with a change that is not blamed and, where `without`, none that is.
fn ruled_out(without: bool, keys: &str) -> Model {
    let mut found = sample::investigation();
    let analysis = &mut found.analysis;
    let mut item = analysis.evidence.iter().find(|item| item.id == sample::id("C1")).unwrap().clone();
    item.id = sample::id("C2");
    item.service = Some("cart".into());
    item.title = Text::new("flag cart new-basket \"on for everyone\"");
    if let crate::domain::evidence::Detail::Change(change) = &mut item.detail {
        change.kind = "flag".into();
        change.service = "cart".into();
        change.reference = Text::new("new-basket");
        change.summary = Text::new("on for everyone");
        change.diff = None;
    }
    analysis.evidence.push(item);
    let why = "2m10s after the first onset; nothing that troubles calls it".to_owned();
    analysis.ruled_out = vec![RuledOut { evidence: sample::id("C2"), why: why.clone() }];
    if without {
        analysis.changes.clear();
        analysis.suspects[0].signals.retain(|signal| signal.kind != crate::domain::evidence::EvidenceKind::Change);
        analysis.ruled_out.push(RuledOut { evidence: sample::id("C1"), why: "too long before: 9 h".into() });
        let text = format!("no change explains this: 2 looked at; nearest flag cart new-basket: {why}");
        analysis.notes.push(Note { kind: NoteKind::Info, text: Text::new(&text) });
        analysis.without_change = Some(text);
    }
    let mut model = loaded();
    model.cases.get_mut("I-3f9a2c").unwrap().investigation.value = Some(found);
    press(&mut model, keys);
    model
}

#[test]
fn changes_that_were_ruled_out_say_why() {
    both("ruled_out", &mut ruled_out(false, "⏎"));
    both("without_change", &mut ruled_out(true, "⏎"));
    both("ruled_out_in_full", &mut ruled_out(true, "⏎2G⏎"));
    let blamed = picture(&mut ruled_out(false, "⏎⏎"), 120, 40);
    assert!(blamed.contains("Other changes") && blamed.contains("new-basket: 2m10s after"), "{blamed}");
}

#[test]
fn a_long_title_leaves_room_for_how_bad_and_how_old() {
    let mut model = loaded();
    model.cases.get_mut("I-3f9a2c").unwrap().incident.title = Text::new(&"all of it fails ".repeat(9));
    press(&mut model, "⏎⏎");
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("…  ▲ CRITICAL  4m   proof 1 of 5"), "{shown}");
}

#[test]
fn what_several_series_of_an_expression_say_is_said_once_and_short() {
    let expression = "histogram_quantile(0.95, sum by (pod, le) (rate(request_seconds_bucket[2m])))";
    let mut found = sample::investigation();
    let analysis = &mut found.analysis;
    let item = analysis.evidence.iter().find(|item| item.id == sample::id("M4")).unwrap().clone();
    let mut signal = analysis.suspects[0].signals[0].clone();
    signal.text = format!("{expression} rose to 5s from 0.1s");
    analysis.suspects[0].signals.clear();
    for (id, pod) in [("M5", "payments-1"), ("M6", "payments-2"), ("M7", "payments-3")] {
        let mut item = item.clone();
        item.id = sample::id(id);
        if let crate::domain::evidence::Detail::Metric(metric) = &mut item.detail {
            metric.metric = expression.to_owned();
            metric.labels = [("pod", pod)].into_iter().collect();
        }
        signal.evidence = vec![item.id];
        analysis.evidence.push(item);
        analysis.suspects[0].signals.push(signal.clone());
    }
    let mut model = loaded();
    model.cases.get_mut("I-3f9a2c").unwrap().investigation.value = Some(found);
    press(&mut model, "⏎");
    let shown = picture(&mut model, 120, 40);
    assert!(shown.contains("⊕ M5 M6 +1 p95 request_seconds"), "{shown}");
    assert!(
        shown.contains("p95 request_seconds{pod=\"payments-1\"}") && !shown.contains("histogram_quantile"),
        "{shown}"
    );
    press(&mut model, "⏎");
    let shown = picture(&mut model, 120, 40);
    assert!(shown.contains("M7   p95 request_secon… 3"), "{shown}");
}

#[test]
fn change_in_full() {
    both("change_in_full", &mut after("⏎2G⏎"));
}

#[test]
fn edge_in_full() {
    both("edge_in_full", &mut after("⏎2jjjjj⏎"));
}

#[test]
fn pack() {
    both("pack", &mut after("⏎p"));
}

#[test]
fn sources() {
    both("sources", &mut after("S"));
}

#[test]
fn run_dialog_asks_for_the_word() {
    both("run_dialog_asks_for_the_word", &mut after("⏎4⏎paym"));
}

#[test]
fn run_dialog_of_a_read() {
    both("run_dialog_of_a_read", &mut after("⏎4j⏎"));
}

#[test]
fn run_that_is_not_allowed() {
    let mut model = after("⏎4");
    let effects = update(&mut model, Msg::Key(crate::core::Key::Enter));
    let Some(Effect::Prepare { generation, action }) = effects.into_iter().next() else { panic!("no preparation") };
    let mut prepared =
        sample::prepared(&action, crate::domain::action::Effect::Destroy, crate::domain::action::Decision::Deny);
    prepared.blocked = Some(Text::new("deleting in prod is denied by policy"));
    update(&mut model, Msg::Report(generation, Report::Prepared(Ok(Box::new(prepared)))));
    both("run_that_is_not_allowed", &mut model);
}

#[test]
fn run_with_output() {
    let mut model = after("⏎4j⏎");
    let effects = update(&mut model, Msg::Key(crate::core::Key::Char('x')));
    let Some(Effect::Run(order)) = effects.into_iter().next() else { panic!("no run") };
    let generation = order.generation();
    let mut verification = order.prepared().verification.clone().expect("the sample has a verify query");
    for line in 0..30 {
        let line = sample::output(&format!("waiting for rollout: {line} of 30 updated"), line % 10 == 9);
        update(&mut model, Msg::Report(generation, Report::Run(RunReport::Line(line))));
    }
    both("run_with_output", &mut model);
    update(&mut model, Msg::Report(generation, Report::Run(RunReport::Ended(RunState::Exited { code: 0 }))));
    verification.after = Some(Text::new("0.2 s"));
    update(&mut model, Msg::Report(generation, Report::Run(RunReport::Verified(verification))));
    both("run_ended", &mut model);
}

#[test]
fn approvals() {
    let mut model = with_queue();
    both("board_when_a_request_waits", &mut model);
    press(&mut model, "A");
    queue_sample::give(&mut model, queue_sample::queue());
    both("approvals", &mut model);
    model.cases.clear();
    queue_sample::give(&mut model, crate::core::queue::Queue::default());
    both("approvals_empty", &mut model);
    model.now = model.now.plus(std::time::Duration::from_mins(20));
    queue_sample::give(&mut model, queue_sample::queue());
    both("approvals_expired", &mut model);
}

#[test]
fn a_request_in_full() {
    let mut model = with_queue();
    press(&mut model, "A");
    queue_sample::give(&mut model, queue_sample::queue());
    press(&mut model, "⏎");
    update(&mut model, Msg::Drawn);
    both("approval_in_full", &mut model);
    update(&mut model, Msg::Drawn);
    press(&mut model, "ygo");
    both("approval_being_signed", &mut model);
    press(&mut model, "⎋⎋j");
    press(&mut model, "⏎");
    update(&mut model, Msg::Drawn);
    both("approval_of_my_own", &mut model);
}

#[test]
fn run_that_needs_an_approval() {
    let mut model = after("⏎4");
    let effects = update(&mut model, Msg::Key(crate::core::Key::Enter));
    let Some(Effect::Prepare { generation, action }) = effects.into_iter().next() else { panic!("no preparation") };
    let mut prepared =
        sample::prepared(&action, crate::domain::action::Effect::Destroy, crate::domain::action::Decision::Approve);
    prepared.blocked = Some(Text::new("rule losses wants an approval first (1 x incident-commander)"));
    (prepared.can_ask, prepared.can_break) = (true, true);
    update(&mut model, Msg::Report(generation, Report::Prepared(Ok(Box::new(prepared)))));
    update(&mut model, Msg::Drawn);
    both("run_that_needs_an_approval", &mut model);
    let effects = update(&mut model, Msg::Key(crate::core::Key::Char('a')));
    let Some(Effect::RequestApproval { generation, .. }) = effects.into_iter().next() else { panic!("no request") };
    let digest = crate::domain::action::Digest("c".repeat(64));
    update(&mut model, Msg::Report(generation, Report::Requested(Ok(digest))));
    let mut waiting = queue_sample::queue();
    waiting.requests[2].status = crate::core::queue::Status::Pending;
    waiting.requests[2].why = Text::new("not approved yet: 0 of 1 x incident-commander");
    queue_sample::give(&mut model, waiting);
    both("run_that_waits_for_an_approval", &mut model);
}

#[test]
fn help() {
    both("help", &mut after("⏎?"));
}

#[test]
fn palette() {
    both("palette", &mut after("⏎:diag"));
}

#[test]
fn filter_being_typed() {
    both("filter_being_typed", &mut after("⏎2/pool"));
}

#[test]
fn first_run() {
    let mut model = Model::new(crate::core::Identity::default(), sample::at("14:07:31"), Some(sample::first_run()));
    both("first_run", &mut model);
}

#[test]
fn frozen_demo() {
    let mut model = loaded();
    model.identity.recorded = Some("DEMO".into());
    model.identity.critical = false;
    press(&mut model, "z");
    both("frozen_demo", &mut model);
}

#[test]
fn approvals_survive_every_size() {
    for keys in ["A", "A⏎", "Ajy", "An"] {
        let mut model = with_queue();
        press(&mut model, &keys[..1]);
        queue_sample::give(&mut model, queue_sample::queue());
        press(&mut model, &keys[1..]);
        for columns in [1, 20, 40, 41, 79, 99, 100, 200] {
            for rows in [1, 5, 10, 11, 15, 60] {
                picture(&mut model, columns, rows);
            }
        }
    }
}

#[test]
fn a_terminal_too_small_says_so() {
    insta::assert_snapshot!(picture(&mut after("⏎"), 20, 5));
}

#[test]
fn every_screen_survives_every_size() {
    for keys in [
        "",
        "⏎",
        "⏎2",
        "⏎3",
        "⏎4",
        "⏎5",
        "⏎6",
        "⏎6w",
        "⏎7",
        "⏎2j⏎",
        "⏎2G⏎",
        "⏎⏎",
        "⏎⏎j",
        "⏎⏎jj",
        "⏎⏎jjwllll",
        "⏎⏎jjj",
        "⏎⏎jjjj",
        "⏎p",
        "S",
        "⏎4⏎",
        "⏎?",
        ":",
        "⏎2/x",
    ] {
        let mut model = after(keys);
        for columns in [1, 5, 20, 39, 40, 41, 57, 79, 99, 100, 110, 200] {
            for rows in [1, 2, 5, 9, 10, 11, 15, 60] {
                picture(&mut model, columns, rows);
            }
        }
    }
}

#[test]
fn without_colours_nothing_is_coloured_and_severity_is_told() {
    for keys in ["", "⏎", "⏎⏎j", "⏎⏎jj", "⏎2", "⏎3", "⏎4", "⏎4⏎", "⏎?"] {
        let mut model = after(keys);
        update(&mut model, Msg::Resize(80, 24));
        let buffer = picture_in(&model, Theme::new(false, false));
        for cell in buffer.content() {
            assert_eq!((cell.fg, cell.bg), (ratatui::style::Color::Reset, ratatui::style::Color::Reset));
        }
    }
    let buffer = picture_in(&loaded(), Theme::new(false, false));
    assert!(text(&buffer).contains("▲ CRITICAL"));
}

#[test]
fn ascii_only_is_ascii_only() {
    for keys in ["", "⏎", "⏎2j⏎", "⏎⏎jj", "⏎⏎jjjj", "⏎3", "⏎4⏎"] {
        let mut model = after(keys);
        update(&mut model, Msg::Resize(80, 24));
        let shown = text(&picture_in(&model, Theme::new(false, true)));
        assert!(shown.is_ascii(), "{shown}");
    }
    let mut model = after("⏎");
    update(&mut model, Msg::Resize(80, 24));
    insta::assert_snapshot!(text(&picture_in(&model, Theme::new(false, true))));
    let mut model = after("⏎⏎j");
    update(&mut model, Msg::Resize(80, 24));
    insta::assert_snapshot!("proof_metric_ascii", text(&picture_in(&model, Theme::new(false, true))));
}

#[test]
fn many_items_and_wide_characters_keep_to_their_places() {
    let mut found = sample::investigation();
    let item = found.analysis.evidence.iter().find(|item| item.id == sample::id("L7")).unwrap().clone();
    for number in 100..300 {
        let id = crate::domain::evidence::EvidenceId { number, ..item.id };
        let service = Some("決済サービス🙂".to_owned());
        let title = Text::new("接続の取得に失敗しました 🙂🙂🙂 acquire");
        let mut detail = item.detail.clone();
        if let crate::domain::evidence::Detail::Log(log) = &mut detail {
            log.template = title.clone();
        }
        found.analysis.suspects[0].signals[0].evidence.push(id);
        found.analysis.evidence.push(crate::domain::evidence::Evidence { id, service, title, detail, ..item.clone() });
    }
    found.analysis.suspects[0].service = "決済サービス🙂".into();
    let mut model = loaded();
    model.cases.get_mut("I-3f9a2c").unwrap().investigation.value = Some(found);
    press(&mut model, "⏎⏎jjjjjj");
    both("proof_of_many", &mut model);
    for columns in [40, 57, 80, 99, 100, 101, 120, 200] {
        picture(&mut model, columns, 24);
    }
}

#[test]
fn an_answer_being_pasted() {
    let mut model = after("⏎P");
    update(&mut model, Msg::Paste(Text::new("{\"observations\": [],\n \"summary\": \"the pool")));
    both("answer_being_pasted", &mut model);
}

#[test]
fn a_models_diagnosis_beside_the_offline_ranking() {
    let mut model = after("⏎");
    let effects = update(&mut model, Msg::Key(crate::core::Key::Char('d')));
    let Some(Effect::Diagnose { generation, .. }) = effects.into_iter().next() else { panic!("no diagnosis") };
    let conclusion = crate::core::consult_sample::by_model();
    update(&mut model, Msg::Report(generation, Report::Diagnosed(Ok(Box::new(conclusion)))));
    both("diagnosis_by_model", &mut model);
}

#[test]
fn sources_with_language_models() {
    let mut model = after("S");
    let endpoints = crate::core::consult_sample::endpoints();
    update(&mut model, Msg::Report(0, Report::Endpoints(endpoints)));
    press(&mut model, "G");
    both("sources_with_language_models", &mut model);
}

#[test]
fn explanations() {
    both("explanation_of_a_chart", &mut after("⏎2jx"));
    both("explanation_of_a_command", &mut after("⏎4x"));
}
