//! The queue by example: what is signed was shown, and what runs was approved.

use std::time::Duration;

use crate::core::confirm::{ASK_KEY, BREAK_KEY, PREVIEW_KEY, RUN_KEY, Stage};
use crate::core::message::Prepared;
use crate::core::queue::{Queue, SignStage, Status, waiting_for_me};
use crate::core::queue_sample::{give, queue, with_queue};
use crate::core::sample::{self, loaded, press, settle};
use crate::core::{Effect, Key, Model, Msg, Report, Screen};
use crate::domain::Text;
use crate::domain::action::{Decision, Digest, Effect as Impact};
use crate::domain::approval::Say;

use super::update;

fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    update(model, Msg::Key(key))
}

fn sign_box(model: &Model) -> &crate::core::queue::SignBox {
    match model.top() {
        Screen::Sign(open) => open,
        other => panic!("no box on top: {other:?}"),
    }
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| &toast.text)
}

/// The box of the first request, drawn.
fn looking() -> Model {
    let mut model = with_queue();
    press(&mut model, "A");
    give(&mut model, queue());
    key(&mut model, Key::Enter);
    update(&mut model, Msg::Drawn);
    model
}

#[test]
fn what_waits_for_me_is_counted_until_it_expires() {
    let mut model = with_queue();
    assert_eq!(waiting_for_me(&model), 1);
    model.now = model.now.plus(Duration::from_mins(20));
    assert_eq!(waiting_for_me(&model), 0);
    assert_eq!(queue().requests[0].status_at(model.now), Status::Expired);
}

#[test]
fn a_request_is_signed_after_a_key_that_says_so_and_a_reason() {
    let mut model = looking();
    assert_eq!(key(&mut model, Key::Enter), [], "looking signs nothing");
    key(&mut model, Key::Char('y'));
    for c in "go".chars() {
        key(&mut model, Key::Char(c));
    }
    let effects = key(&mut model, Key::Enter);
    let [Effect::Sign(order)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((order.say(), order.reason(), &order.digest().0), (Say::Approve, "go", &"a".repeat(64)));
    let generation = order.generation();
    assert_eq!(key(&mut model, Key::Enter), [], "once");
    update(&mut model, Msg::Report(generation, Report::Signed(Ok(Text::new("approved by oncall-1")))));
    assert!(matches!(&sign_box(&model).stage, SignStage::Done(Ok(_))));
    key(&mut model, Key::Esc);
    assert!(matches!(model.top(), Screen::Queue(_)));
}

#[test]
fn nothing_is_signed_that_was_not_drawn_or_cannot_count() {
    let mut model = with_queue();
    press(&mut model, "A");
    give(&mut model, queue());
    key(&mut model, Key::Enter);
    key(&mut model, Key::Char('y'));
    assert!(toast(&model).contains("not on the screen"), "{}", toast(&model));
    assert_eq!(sign_box(&model).say, None);
    // My own request.
    let mut model = with_queue();
    press(&mut model, "A");
    give(&mut model, queue());
    press(&mut model, "jy");
    assert!(toast(&model).contains("approved already") && sign_box(&model).say.is_none(), "{}", toast(&model));
    // A rejection needs a reason.
    let mut model = looking();
    key(&mut model, Key::Char('n'));
    assert_eq!(key(&mut model, Key::Enter), []);
    assert!(toast(&model).contains("say why"));
    // It expires while the reason is being typed.
    let mut model = looking();
    key(&mut model, Key::Char('y'));
    model.now = model.now.plus(Duration::from_mins(20));
    assert_eq!(key(&mut model, Key::Enter), []);
    assert!(toast(&model).contains("expired already"), "{}", toast(&model));
    // Pasted text signs nothing.
    let mut model = looking();
    update(&mut model, Msg::Paste(Text::new("y\n")));
    assert_eq!(sign_box(&model).say, None);
}

#[test]
fn a_request_can_be_previewed_before_it_is_signed() {
    let mut model = looking();
    let effects = key(&mut model, PREVIEW_KEY);
    let [Effect::PreparePreview { digest, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(digest.0, "a".repeat(64));
    assert_eq!(dialog(&model).action.argv.last().map(String::as_str), Some("--dry-run=server"));
    key(&mut model, Key::Esc);
    assert_eq!(sign_box(&model).say, None, "back at the request, with nothing said");
    // While a reason is typed it is a key like others.
    key(&mut model, Key::Char('y'));
    assert_eq!(key(&mut model, PREVIEW_KEY), []);
}

#[test]
fn the_cursor_stays_on_its_request_when_others_come() {
    let mut model = with_queue();
    press(&mut model, "A");
    give(&mut model, queue());
    key(&mut model, Key::Char('j'));
    let mut more = queue();
    more.requests.insert(0, crate::core::queue_sample::pending('d', &["rm", "x"]));
    give(&mut model, more);
    let Screen::Queue(list) = model.top() else { panic!("no queue") };
    assert_eq!(list.cursor, 2);
    give(&mut model, Queue::default());
    let Screen::Queue(list) = model.top() else { panic!("no queue") };
    assert_eq!(list.cursor, 0);
}

/// A dialog of an action that needs an approval.
fn blocked(can_break: bool) -> Model {
    let mut model = loaded();
    press(&mut model, "⏎4");
    let effects = key(&mut model, Key::Enter);
    let Some(Effect::Prepare { generation, action }) = effects.into_iter().next() else { panic!("no preparation") };
    let prepared = needing(&action, can_break);
    update(&mut model, Msg::Report(generation, Report::Prepared(Ok(Box::new(prepared)))));
    update(&mut model, Msg::Drawn);
    model
}

fn needing(action: &crate::domain::action::Action, can_break: bool) -> Prepared {
    let mut prepared = sample::prepared(action, Impact::Destroy, Decision::Approve);
    prepared.blocked = Some(Text::new("rule losses wants an approval first (1 x incident-commander)"));
    prepared.can_ask = true;
    prepared.can_break = can_break;
    prepared
}

fn dialog(model: &Model) -> &crate::core::confirm::Dialog {
    match model.top() {
        Screen::Run(dialog) => dialog,
        other => panic!("no dialog on top: {other:?}"),
    }
}

#[test]
fn what_was_asked_for_runs_by_a_key_once_it_is_approved() {
    let mut model = blocked(false);
    assert_eq!(key(&mut model, RUN_KEY), []);
    let effects = key(&mut model, ASK_KEY);
    let Some(Effect::RequestApproval { generation, .. }) = effects.first() else { panic!("{effects:?}") };
    assert!(matches!(dialog(&model).stage, Stage::Asked { request: None, .. }));
    let digest = Digest("b".repeat(64));
    let report = Report::Requested(Ok(digest.clone()));
    let effects = update(&mut model, Msg::Report(*generation, report));
    settle(&mut model, effects);
    assert_eq!(key(&mut model, RUN_KEY), [], "it still waits");
    let mut waiting = queue();
    waiting.requests[1].status = Status::Pending;
    assert_eq!(give(&mut model, waiting), []);
    let effects = give(&mut model, queue());
    let [Effect::PrepareApproved { generation, digest: asked }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(*asked, digest);
    let mut prepared = needing(&dialog(&model).action.clone(), false);
    prepared.blocked = None;
    prepared.approved = Some(Text::new("by ic-1 at 14:06:02"));
    update(&mut model, Msg::Report(*generation, Report::Prepared(Ok(Box::new(prepared)))));
    assert!(!model.running(), "an approval starts nothing");
    assert_eq!(key(&mut model, RUN_KEY), [], "it was not drawn yet");
    update(&mut model, Msg::Drawn);
    let effects = key(&mut model, RUN_KEY);
    assert!(matches!(effects.as_slice(), [Effect::Run(order)] if order.break_glass().is_none()), "{effects:?}");
}

#[test]
fn going_past_an_approval_wants_a_reason_and_a_policy_that_lets_it() {
    let mut model = blocked(false);
    key(&mut model, BREAK_KEY);
    assert!(!dialog(&model).breaking);
    let mut model = blocked(true);
    key(&mut model, BREAK_KEY);
    for c in "too short".chars() {
        key(&mut model, Key::Char(c));
    }
    assert_eq!(key(&mut model, Key::Enter), []);
    for c in ", so more".chars() {
        key(&mut model, Key::Char(c));
    }
    let effects = key(&mut model, Key::Enter);
    assert!(
        matches!(effects.as_slice(), [Effect::Run(order)] if order.break_glass() == Some("too short, so more")),
        "{effects:?}"
    );
    let mut model = blocked(true);
    key(&mut model, BREAK_KEY);
    key(&mut model, Key::Esc);
    assert!(!dialog(&model).breaking && matches!(dialog(&model).stage, Stage::Ready(_)));
}

#[test]
fn where_nothing_can_be_approved_nothing_is_read() {
    let mut model = loaded();
    model.identity.approvals = false;
    assert_eq!(update(&mut model, Msg::QueueDue), []);
    press(&mut model, "A");
    assert!(toast(&model).contains("no approvals are configured"), "{}", toast(&model));
}
