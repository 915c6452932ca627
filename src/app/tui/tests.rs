//! The loop with a fake engine, fake input and a byte buffer for a terminal; time is paused, so nothing waits.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::core::confirm::RunOrder;
use crate::core::consult_sample;
use crate::core::effect::Wish;
use crate::core::message::{Answered, Board, Conclusion, Investigation, PackPreview, Prepared, Progress, RunReport};
use crate::core::{Model, sample};
use crate::domain::action::{Action, Decision, Digest, Effect as Impact, RunState, Verification};
use crate::domain::diagnosis::Check;
use crate::domain::incident::Incident;
use crate::domain::ledger::Entry;
use crate::domain::{Text, Timestamp};
use crate::terminal::ability::{Ability, Colours};
use crate::terminal::events::Scripted;
use crate::terminal::{Display, EventSource};
use crate::ui::Theme;

use super::event_loop::{Ended, Program};
use super::{Backend, Exit, Reporter, RunSink};

/// Answers with the sample; `board` can be made to wait for ever or to panic.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each makes one part behave in its own way")]
struct Fake {
    stuck: bool,
    slow: bool,
    broken: bool,
    boards: AtomicUsize,
    runs: Mutex<Vec<String>>,
    /// A model that writes 200 tokens a second and never ends.
    streams: bool,
    /// Whether leaving waited for what is left to be written.
    settled: std::sync::atomic::AtomicBool,
}

/// A terminal that remembers when it was written to.
#[derive(Clone, Default)]
struct Stamped(Arc<Mutex<Writes>>);

/// When, and what.
type Writes = Vec<(tokio::time::Instant, Vec<u8>)>;

impl std::io::Write for Stamped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push((tokio::time::Instant::now(), bytes.to_vec()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Backend for Fake {
    fn settled(&self) -> BoxFuture<'_, ()> {
        async { self.settled.store(true, Ordering::Relaxed) }.boxed()
    }

    fn now(&self) -> Timestamp {
        sample::at("14:07:31")
    }

    fn board(&self, _: Reporter) -> BoxFuture<'_, Board> {
        self.boards.fetch_add(1, Ordering::SeqCst);
        async {
            assert!(!self.broken, "the engine is broken");
            if self.stuck {
                std::future::pending::<()>().await;
            }
            sample::board()
        }
        .boxed()
    }

    fn investigate(
        &self,
        incident: Incident,
        _baseline: Option<crate::domain::baseline::BaselineChoice>,
        reporter: Reporter,
    ) -> BoxFuture<'_, Result<Investigation, Text>> {
        async move {
            reporter.progress(Progress { done: 1, total: 2, what: Text::new("asking"), ..Progress::default() });
            if self.slow {
                // A source that never answers: only being told to make do with what came helps.
                reporter.enough().cancelled().await;
            }
            if incident.id == sample::payments().id { Ok(sample::investigation()) } else { Err(Text::new("no route")) }
        }
        .boxed()
    }

    fn diagnose(&self, _: String, by: Wish, reporter: Reporter) -> BoxFuture<'_, Result<Conclusion, Text>> {
        async move {
            let mut draft = crate::core::message::Draft { by: Text::new("model-x via primary"), ..Default::default() };
            if !self.streams || by == Wish::Offline {
                return Ok(sample::conclusion());
            }
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let summary = format!("{} word", draft.partial.summary);
                draft.partial.summary = Text::new(&summary);
                reporter.drafting(draft.clone());
            }
        }
        .boxed()
    }

    fn pack(&self, _: String) -> BoxFuture<'_, Result<PackPreview, Text>> {
        async { Ok(consult_sample::preview()) }.boxed()
    }

    fn timeline(&self, _: String) -> BoxFuture<'_, Result<Vec<Entry>, Text>> {
        async { Ok(sample::entries()) }.boxed()
    }

    fn ask(&self, _: String, _: Check) -> BoxFuture<'_, Result<Answered, Text>> {
        async { Ok(consult_sample::answered()) }.boxed()
    }

    fn prepare(&self, action: Action) -> BoxFuture<'_, Result<Prepared, Text>> {
        async move { Ok(sample::prepared(&action, Impact::Mutate, Decision::Confirm)) }.boxed()
    }

    fn verify(&self, _: Digest) -> BoxFuture<'_, Result<Verification, Text>> {
        async { Err(Text::new("it never ran")) }.boxed()
    }

    fn run(&self, order: RunOrder, news: RunSink, cancel: CancellationToken) -> BoxFuture<'_, ()> {
        async move {
            self.runs.lock().unwrap().push(order.typed().to_owned());
            let _ = news.send(RunReport::Line(sample::output("rolled back", false))).await;
            cancel.cancelled().await;
            let _ = news.send(RunReport::Ended(RunState::Cancelled)).await;
            self.runs.lock().unwrap().push("ended in order".into());
        }
        .boxed()
    }
}

const ABILITY: Ability = Ability { colours: Colours::Sixteen, ascii: false, tmux: false };

fn program<E: EventSource>(events: E, refresh: Option<Duration>) -> Program<E, Vec<u8>> {
    program_on(Vec::new(), events, refresh)
}

fn program_on<E: EventSource, W: std::io::Write>(out: W, events: E, refresh: Option<Duration>) -> Program<E, W> {
    let mut model = Model::new(sample::identity(), sample::at("14:07:31"), None);
    model.size = (120, 40);
    // Recorded, so that no age ticks.
    model.identity.recorded = Some("DEMO".into());
    Program {
        model,
        theme: Theme::new(true, false),
        ability: ABILITY,
        events,
        display: Display::new(out),
        guard: None,
        signals: None,
        refresh,
    }
}

fn press(sender: &UnboundedSender<Event>, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '⏎' => KeyCode::Enter,
            '⎋' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        let _ = sender.send(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
}

/// Lets everything that is under way come to rest: paused time only moves when all tasks wait.
async fn rest() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

fn screen(ended: &Ended<Vec<u8>>) -> String {
    let (rows, columns) = (NonZero::new(40).unwrap(), NonZero::new(120).unwrap());
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    terminal.process(ended.display.out());
    terminal.screen().contents()
}

async fn drive(fake: Arc<Fake>, script: &[&str]) -> Ended<Vec<u8>> {
    let (sender, events) = Scripted::new();
    let running = tokio::spawn(program(events, None).run(fake));
    rest().await;
    for keys in script {
        press(&sender, keys);
        rest().await;
    }
    drop(sender);
    running.await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_incident_appears_and_is_opened() {
    let ended = drive(Arc::default(), &["⏎"]).await;
    let shown = screen(&ended);
    assert!(shown.contains("why payments"), "{shown}");
    assert_eq!(ended.exit, Exit::Quit);
}

#[tokio::test(start_paused = true)]
async fn the_first_frame_waits_for_nothing() {
    let fake = Arc::new(Fake { stuck: true, ..Fake::default() });
    let ended = drive(fake, &["q"]).await;
    assert!(screen(&ended).contains("asking for alerts"));
}

#[tokio::test(start_paused = true)]
async fn escape_makes_do_with_what_came_and_a_second_one_gives_up() {
    let slow = || Arc::new(Fake { slow: true, ..Fake::default() });
    let ended = drive(slow(), &["⏎", "⎋"]).await;
    let shown = screen(&ended);
    assert!(shown.contains("why payments"), "{shown}");
    // Both at once: nothing is waited for any more, and the board is back.
    let ended = drive(slow(), &["⏎", "⎋⎋"]).await;
    let shown = screen(&ended);
    assert!(shown.contains("Incidents") && shown.contains("not investigated"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn at_rest_nothing_is_drawn_and_a_quiet_refresh_writes_no_byte() {
    let fake: Arc<Fake> = Arc::default();
    let (sender, events) = Scripted::new();
    let running = tokio::spawn(program(events, Some(Duration::from_secs(15))).run(fake.clone()));
    rest().await;
    press(&sender, "⏎");
    rest().await;
    let drawn_by_then = drive(Arc::default(), &["⏎"]).await.display.written();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(fake.boards.load(Ordering::SeqCst) > 200, "it did look for alerts");
    drop(sender);
    let ended = running.await.unwrap().unwrap();
    assert_eq!(ended.display.written(), drawn_by_then, "an hour later not one byte more");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_is_drawn_at_most_sixty_times_a_second() {
    let (sender, events) = Scripted::new();
    let running = tokio::spawn(program(events, None).run(Arc::<Fake>::default()));
    rest().await;
    press(&sender, "⏎6");
    rest().await;
    for _ in 0..1_000 {
        press(&sender, "jk");
    }
    press(&sender, "j");
    rest().await;
    drop(sender);
    let ended = running.await.unwrap().unwrap();
    assert!(ended.display.written().0 < 20, "{:?}", ended.display.written());
    assert_eq!(ended.model.incident_screen().unwrap().list().cursor, 1, "and none is lost");
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_before_the_word_is_typed() {
    let fake: Arc<Fake> = Arc::default();
    drive(fake.clone(), &["⏎", "4⏎", "⏎", "paymen⏎", "⎋"]).await;
    assert!(fake.runs.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_run_happens_once_and_shows_its_output() {
    let fake: Arc<Fake> = Arc::default();
    let ended = drive(fake.clone(), &["⏎", "4⏎", "payments⏎⏎⏎"]).await;
    assert!(screen(&ended).contains("rolled back"));
    assert_eq!(*fake.runs.lock().unwrap(), ["payments", "ended in order"], "leaving ends it in order");
    assert!(fake.settled.load(Ordering::Relaxed), "and waits for what others began");
}

#[tokio::test(start_paused = true)]
async fn keys_typed_ahead_of_the_dialog_do_not_run() {
    let fake: Arc<Fake> = Arc::default();
    drive(fake.clone(), &["⏎", "4⏎payments⏎"]).await;
    assert!(fake.runs.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn copying_writes_the_clipboard_sequence() {
    let ended = drive(Arc::default(), &["y"]).await;
    let bytes = String::from_utf8_lossy(ended.display.out()).into_owned();
    assert!(bytes.contains("\u{1b}]52;c;"));
    assert!(screen(&ended).contains("copied"));
}

#[tokio::test(start_paused = true)]
async fn a_key_pressed_while_a_model_writes_is_drawn_at_once() {
    // Much less than the time between two pictures of what arrives.
    const AT_ONCE: Duration = Duration::from_millis(2);
    let (sender, events) = Scripted::new();
    let out = Stamped::default();
    let fake = Arc::new(Fake { streams: true, ..Fake::default() });
    let running = tokio::spawn(program_on(out.clone(), events, None).run(fake));
    rest().await;
    press(&sender, "⏎d");
    rest().await;
    let drawn = out.0.lock().unwrap().len();
    for keys in ["?", "⎋", ":", "⎋", "4"] {
        // At any moment between two frames of the stream.
        tokio::time::sleep(Duration::from_millis(107)).await;
        let pressed = tokio::time::Instant::now();
        let before = out.0.lock().unwrap().len();
        assert!(before > drawn, "the answer is seen to be written");
        press(&sender, keys);
        tokio::time::sleep(AT_ONCE).await;
        let written = out.0.lock().unwrap();
        let after = written[before..].iter().map(|(at, _)| at.duration_since(pressed)).min();
        assert!(after.is_some_and(|after| after < AT_ONCE), "{keys}: {after:?}");
    }
    drop(sender);
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_resize_draws_the_whole_screen_anew() {
    let (sender, events) = Scripted::new();
    let running = tokio::spawn(program(events, None).run(Arc::<Fake>::default()));
    rest().await;
    let _ = sender.send(Event::Resize(80, 24));
    rest().await;
    drop(sender);
    let ended = running.await.unwrap().unwrap();
    assert_eq!(ended.model.size, (80, 24));
    assert!(screen(&ended).contains("checkout fails"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_engine_ends_the_program_with_a_reason() {
    let (_sender, events) = Scripted::new();
    let fake = Arc::new(Fake { broken: true, ..Fake::default() });
    let error = program(events, None).run(fake).await.map(|ended| ended.exit).unwrap_err();
    assert!(error.to_string().contains("the engine is broken"), "{error}");
}
