//! What is shown of a diagnosis while it is written.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::copilot::online::Progress;
use crate::core::message::Draft;
use crate::domain::Text;
use crate::domain::diagnosis::{Bill, Earlier, Usage};
use crate::domain::settings::{EndpointSettings, Sees};
use crate::llm::Endpoint;

/// How often waiting is counted on the screen.
const PULSE: Duration = Duration::from_secs(1);
/// How long to wait before the server is asked how busy it is.
const IMPATIENT: u64 = 3;

/// The draft, with where it is shown.
pub(super) struct Board<F> {
    inner: Mutex<Inner<F>>,
}

struct Inner<F> {
    draft: Draft,
    show: F,
    /// The day without the call under way.
    base: Bill,
    /// Since when the first content is waited for.
    waiting: Option<Instant>,
    /// What the model does meanwhile.
    does: &'static str,
    /// Requests that the server says wait before ours.
    queue: Option<u64>,
}

impl<F: FnMut(Draft) + Send> Board<F> {
    /// Nothing is written yet.
    pub(super) fn new(show: F, bill: Bill) -> Self {
        let draft = Draft { bill: bill.clone(), ..Draft::default() };
        Self { inner: Mutex::new(Inner { draft, show, base: bill, waiting: None, does: "is reading", queue: None }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<F>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Inner<F>)) {
        let mut inner = self.inner();
        change(&mut inner);
        let draft = inner.draft.clone();
        (inner.show)(draft);
    }

    /// What is done now.
    pub(super) fn stage(&self, text: &str) {
        self.change(|inner| inner.draft.stage = Text::new(text));
    }

    /// Another end point begins from zero.
    pub(super) fn begin(&self, settings: &EndpointSettings, sees: Sees, earlier: &[Earlier]) {
        self.change(|inner| {
            inner.waiting = None;
            inner.queue = None;
            inner.draft = Draft {
                by: Text::new(&format!("{} via {}", settings.model, settings.name)),
                stage: Text::from("packing"),
                sees: Some(sees),
                bill: inner.base.clone(),
                earlier: earlier.to_vec(),
                ..Draft::default()
            };
        });
    }

    /// The day as it is after a call.
    pub(super) fn bill(&self, bill: &Bill) {
        self.change(|inner| {
            inner.base = bill.clone();
            inner.draft.bill = bill.clone();
        });
    }

    /// Takes in a step of the diagnosis.
    pub(super) fn follow(&self, settings: &EndpointSettings, endpoint: &Endpoint, progress: Progress) {
        let name = &settings.name;
        self.change(|inner| match progress {
            Progress::Sending { tokens, hidden } => {
                let (estimate, learnt) = endpoint.calibration().estimate(tokens as u64);
                let about = if learnt { "" } else { "~" };
                inner.draft.stage = Text::new(&format!("sending {about}{estimate} tokens to {name}"));
                inner.draft.sent_tokens = usize::try_from(estimate).unwrap_or(usize::MAX);
                inner.draft.hidden = hidden;
                inner.waiting = Some(Instant::now());
                inner.does = "is reading";
                inner.price(settings);
            }
            Progress::Accepted => {
                inner.does = "is reading";
                inner.draft.stage = Text::new(&format!("{name} is reading"));
            }
            Progress::Thinking => {
                inner.does = "thinks";
                inner.queue = None;
                inner.draft.stage = Text::new(&format!("{name} thinks"));
            }
            Progress::Writing { partial, received_tokens, first_token_ms, rate } => {
                inner.waiting = None;
                inner.draft.stage = Text::from("writing");
                inner.draft.partial = partial.diagnosis;
                inner.draft.sure = partial.sure;
                inner.draft.received_tokens = received_tokens;
                inner.draft.first_token_ms = Some(first_token_ms);
                inner.draft.rate = rate;
                inner.price(settings);
            }
            Progress::Ended { .. } => inner.waiting = None,
            Progress::AskingAgain { problems } => {
                let what = format!("the answer was not valid, asking again: {}", problems.join("; "));
                inner.draft.stage = Text::new(&what);
            }
            Progress::Repacked { budget } => {
                let what = format!("too long for the model: packing again for {budget} tokens");
                inner.draft.stage = Text::new(&what);
            }
        });
    }

    /// Runs `work`, counts how long its first content is waited for, and asks the server meanwhile how busy it is.
    pub(super) async fn beside<T>(&self, endpoint: &Endpoint, work: impl Future<Output = T>) -> T {
        let watch = async {
            loop {
                tokio::time::sleep(PULSE).await;
                let Some(since) = self.inner().waiting else { continue };
                let waited = since.elapsed().as_secs();
                // A model that thinks has its place already.
                let queued = self.inner().does != "thinks";
                if queued && waited >= IMPATIENT && waited.is_multiple_of(IMPATIENT) {
                    let load = endpoint.load().await;
                    self.inner().queue = load.ok().flatten().map(|load| load.waiting);
                }
                self.change(|inner| {
                    if inner.waiting.is_some() {
                        let words = waiting(&endpoint.settings().name, inner.does, waited, inner.queue);
                        inner.draft.stage = Text::new(&words);
                    }
                });
            }
        };
        tokio::select! {
            biased;
            result = work => result,
            () = watch => unreachable!("it never ends"),
        }
    }
}

impl<F> Inner<F> {
    /// What the call under way costs so far, about.
    fn price(&mut self, settings: &EndpointSettings) {
        self.draft.bill = self.base.clone();
        let Some(price) = settings.price else { return };
        let cost = price.of(&Usage {
            input_tokens: self.draft.sent_tokens as u64,
            output_tokens: self.draft.received_tokens as u64,
            ..Usage::default()
        });
        self.draft.bill.cost = Some(self.base.cost.unwrap_or_default() + cost);
        self.draft.bill.today = Some(self.base.today.unwrap_or_default() + cost);
    }
}

/// What to say while nothing comes.
fn waiting(name: &str, does: &str, seconds: u64, queue: Option<u64>) -> String {
    match queue {
        Some(0) => format!("{name} {does} since {seconds} s, nothing else waits there"),
        Some(1) => format!("{name} is saturated: 1 request waits there, since {seconds} s"),
        Some(queue) => format!("{name} is saturated: {queue} requests wait there, since {seconds} s"),
        None => format!("{name} {does} since {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_says_whom_it_waits_for() {
        assert_eq!(waiting("local", "is reading", 4, None), "local is reading since 4 s");
        assert_eq!(waiting("local", "thinks", 9, None), "local thinks since 9 s");
        assert_eq!(waiting("local", "is reading", 6, Some(4)), "local is saturated: 4 requests wait there, since 6 s");
    }
}
