//! The loop: signals, input, results and the frame deadline; it draws at most 60 times a second and never when
//! nothing changed. With nothing to do it sleeps until something happens.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::Event;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::time::{Instant, sleep_until};

use crate::core::message::Report;
use crate::core::update::{start, update};
use crate::core::{Effect, Model, Msg, pace};
use crate::domain::Text;
use crate::terminal::job::{self, Asked, Signals};
use crate::terminal::{Ability, Display, EventSource, Guard, clipboard};
use crate::ui::{Theme, render};

use super::backend::Backend;
use super::effects::{News, Tasks};
use super::frames::{Cause, Frames};
use super::{Exit, editor, input};

/// How often the ledger is asked for requests for approval.
const QUEUE: Duration = Duration::from_secs(2);

/// Keys that come closer to each other than this were not pressed by a hand. Auto-repeat is at least 20 ms apart.
const KEY_PAUSE: Duration = Duration::from_millis(5);

/// A paste may pause so long where it is handed on in pieces.
const PASTE_PAUSE: Duration = Duration::from_millis(50);

/// Most events gathered before they are taken in.
const GATHERED: usize = 16_384;

/// How long a message to the operator stands on the screen.
const TOAST: Duration = Duration::from_secs(8);

/// Messages applied before the loop looks at the keyboard again.
const BATCH: usize = 256;

/// Everything the loop works with.
pub(super) struct Program<E: EventSource, W: Write> {
    pub(super) model: Model,
    pub(super) theme: Theme,
    pub(super) ability: Ability,
    pub(super) events: E,
    pub(super) display: Display<W>,
    /// None in a test, which has no terminal.
    pub(super) guard: Option<Guard>,
    /// None in a test, which is not the process.
    pub(super) signals: Option<Signals>,
    pub(super) refresh: Option<Duration>,
}

/// What remains when the loop has ended.
pub(super) struct Ended<W: Write> {
    pub(super) exit: Exit,
    #[cfg_attr(not(test), allow(dead_code, reason = "tests look at what was drawn last"))]
    pub(super) model: Model,
    #[cfg_attr(not(test), allow(dead_code, reason = "tests look at what was drawn last"))]
    pub(super) display: Display<W>,
}

enum Woken {
    Signal(Asked),
    Input(Option<io::Result<Event>>),
    Frame,
    News(News),
    Refresh,
    Queue,
    Age,
    Toast,
}

impl<E: EventSource, W: Write> Program<E, W> {
    /// Runs until the program is left.
    pub(super) async fn run(mut self, backend: Arc<dyn Backend>) -> io::Result<Ended<W>> {
        let (mut tasks, mut news) = Tasks::new(backend.clone());
        // The first frame waits for nothing.
        self.draw()?;
        let mut frames = Frames::drawn_first(Instant::now());
        let mut next_refresh = self.refresh.map(|every| Instant::now() + every);
        let mut next_queue = self.queue_due().map(|_| Instant::now());
        let mut leave = None;
        let mut pasted = None;
        let mut brackets = false;
        let mut toast = None;
        let mut toast_old = None;
        let effects = start(&mut self.model);
        self.carry_out(effects, &mut tasks, &mut leave)?;

        while leave.is_none() {
            let age = pace::next_change(&self.model).map(|at| Instant::now() + at.since(backend.now()));
            let signal = async {
                match &mut self.signals {
                    Some(signals) => signals.next().await,
                    None => std::future::pending().await,
                }
            };
            let woken = tokio::select! {
                biased;
                asked = signal => Woken::Signal(asked),
                event = self.events.next() => Woken::Input(event),
                () = until(frames.due()) => Woken::Frame,
                Some(item) = news.recv() => Woken::News(item),
                () = until(next_refresh) => Woken::Refresh,
                () = until(next_queue) => Woken::Queue,
                () = until(age) => Woken::Age,
                () = until(toast_old) => Woken::Toast,
            };
            let mut effects = Vec::new();
            let input = matches!(woken, Woken::Input(_));
            if !matches!(woken, Woken::Frame | Woken::Signal(_)) {
                update(&mut self.model, Msg::Tick(backend.now()));
                frames.want(if input { Cause::Input } else { Cause::News });
            }
            match woken {
                Woken::Signal(Asked::Leave(number)) => leave = Some(Exit::Signal(number)),
                Woken::Signal(Asked::Stop) => effects.push(Effect::Suspend),
                Woken::Input(Some(Ok(event))) => {
                    // A terminal that marks pastes once marks every one: then what is pressed is pressed.
                    brackets |= matches!(event, Event::Paste(_));
                    let messages = if self.model.writes_lines() && !brackets {
                        let goes_on = pasted.is_some_and(|at: Instant| at.elapsed() <= PASTE_PAUSE);
                        let events = self.gather(event).await;
                        let many = events.len() > 1;
                        let messages = input::gathered(events, goes_on);
                        pasted = (many || goes_on).then(Instant::now);
                        messages
                    } else {
                        input::messages(event)
                    };
                    for msg in messages {
                        effects.extend(update(&mut self.model, msg));
                    }
                }
                // No input can come any more: the terminal is gone.
                Woken::Input(Some(Err(_)) | None) => leave = Some(Exit::Quit),
                Woken::Frame => {
                    self.draw()?;
                    frames.drawn(Instant::now());
                }
                Woken::News(first) => {
                    let mut item = Some(first);
                    let mut applied = 0;
                    while let Some(current) = item {
                        match current {
                            News::Message(msg) => effects.extend(update(&mut self.model, msg)),
                            News::Broken(why) => return Err(io::Error::other(format!("internal error: {why}"))),
                        }
                        applied += 1;
                        item = if applied < BATCH { news.try_recv().ok() } else { None };
                    }
                }
                Woken::Refresh => {
                    next_refresh = self.refresh.map(|every| Instant::now() + every);
                    effects.extend(update(&mut self.model, Msg::RefreshDue));
                }
                Woken::Queue => {
                    next_queue = self.queue_due();
                    effects.extend(update(&mut self.model, Msg::QueueDue));
                }
                Woken::Age => {}
                Woken::Toast => effects.extend(update(&mut self.model, Msg::ToastOld)),
            }
            self.carry_out(effects, &mut tasks, &mut leave)?;
            // The same message after another key is a new one.
            if input || self.model.toast != toast {
                toast.clone_from(&self.model.toast);
                toast_old = toast.as_ref().map(|_| Instant::now() + TOAST);
            } else if toast_old.is_some_and(|at| at <= Instant::now()) {
                toast_old = None;
            }
        }
        // The screen is given back at once; what must still be written is waited for after that.
        self.guard = None;
        tasks.finish(news).await;
        Ok(Ended { exit: leave.unwrap_or(Exit::Quit), model: self.model, display: self.display })
    }

    /// What comes at once with this event, where it is text: no hand is as fast as a paste.
    async fn gather(&mut self, first: Event) -> Vec<Event> {
        let mut events = vec![first];
        while events.len() < GATHERED && events.last().is_some_and(input::is_text) {
            match tokio::time::timeout(KEY_PAUSE, self.events.next()).await {
                Ok(Some(Ok(event))) => events.push(event),
                _ => break,
            }
        }
        events
    }

    /// When the ledger is to be asked again; never where nothing can be approved.
    fn queue_due(&self) -> Option<Instant> {
        let identity = &self.model.identity;
        (identity.approvals && identity.recorded.is_none()).then(|| Instant::now() + QUEUE)
    }

    fn draw(&mut self) -> io::Result<()> {
        let area = Rect::new(0, 0, self.model.size.0, self.model.size.1);
        let mut buffer = Buffer::empty(area);
        render(&self.model, &self.theme, area, &mut buffer);
        self.display.draw(buffer)?;
        update(&mut self.model, Msg::Drawn);
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>, tasks: &mut Tasks, leave: &mut Option<Exit>) -> io::Result<()> {
        for effect in effects {
            match tasks.start(effect) {
                None => {}
                Some(Effect::Quit) => *leave = Some(Exit::Quit),
                Some(Effect::OpenDemo) => *leave = Some(Exit::Demo),
                Some(Effect::Copy(text)) => {
                    let said = match clipboard::copy_sequence(&text, self.ability.tmux) {
                        Some(sequence) => {
                            self.display.write(sequence.as_bytes())?;
                            let hidden = match text.hidden().values().sum::<usize>() {
                                0 => String::new(),
                                1 => ", 1 secret value replaced by a placeholder".to_owned(),
                                many => format!(", {many} secret values replaced by placeholders"),
                            };
                            Ok(Text::new(&format!("copied {} characters{hidden}", text.chars().count())))
                        }
                        None => Err(Text::new("too long for the terminal's clipboard: e opens it in $EDITOR")),
                    };
                    update(&mut self.model, Msg::Report(0, Report::Said(said)));
                }
                Some(Effect::Edit(text)) => {
                    let said = self.outside(|| editor::show(&text))?;
                    if let Err(why) = said {
                        update(&mut self.model, Msg::Report(0, Report::Said(Err(Text::new(&why)))));
                    }
                }
                Some(Effect::Suspend) if self.guard.is_some() => self.outside(job::stop)??,
                Some(_) => self.display.invalidate(),
            }
        }
        Ok(())
    }

    /// Does something while the terminal belongs to somebody else.
    fn outside<T>(&mut self, work: impl FnOnce() -> T) -> io::Result<T> {
        self.events.pause();
        if let Some(guard) = &self.guard {
            guard.suspend();
        }
        let result = work();
        if let Some(guard) = &self.guard {
            guard.resume()?;
            self.model.size = crossterm::terminal::size()?;
        }
        self.events.resume();
        self.display.invalidate();
        update(&mut self.model, Msg::Resumed);
        Ok(result)
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
