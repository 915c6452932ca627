//! Carrying out effects as tasks whose results come back as messages.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::core::confirm::RunOrder;
use crate::core::effect::Generation;
use crate::core::message::{Report, RunReport};
use crate::core::{Effect, Msg};

use super::backend::{Backend, Reporter};

/// Messages that may wait for the model. Results wait for room; progress that finds none is dropped, because later
/// progress replaces it.
pub(super) const MESSAGES: usize = 1_024;

/// How long leaving waits for a task to let go of what it does.
const TASK_GRACE: Duration = Duration::from_secs(1);

/// How long leaving waits for a run to be ended and its outcome to be written.
const RUN_GRACE: Duration = Duration::from_secs(10);

/// What the tasks send to the loop.
#[derive(Debug)]
pub(super) enum News {
    /// A message for the model.
    Message(Msg),
    /// A task panicked; the program cannot be trusted any more.
    Broken(String),
}

/// Starts and aborts tasks.
pub(super) struct Tasks {
    backend: Arc<dyn Backend>,
    news: mpsc::Sender<News>,
    root: CancellationToken,
    under_way: BTreeMap<Generation, Task>,
}

struct Task {
    cancel: CancellationToken,
    enough: CancellationToken,
    handle: JoinHandle<()>,
    run: bool,
}

impl Tasks {
    pub(super) fn new(backend: Arc<dyn Backend>) -> (Self, mpsc::Receiver<News>) {
        let (news, receiver) = mpsc::channel(MESSAGES);
        (Self { backend, news, root: CancellationToken::new(), under_way: BTreeMap::new() }, receiver)
    }

    /// Starts what can be done by a task; hands back what only the loop can do.
    pub(super) fn start(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::LoadBoard { generation } => {
                self.spawn(generation, |backend, reporter| {
                    async move { Report::Board(backend.board(reporter).await) }.boxed()
                });
            }
            Effect::Investigate { generation, incident, baseline } => {
                self.spawn(generation, move |backend, reporter| {
                    async move {
                        let investigated = backend.investigate(*incident, baseline, reporter).await;
                        Report::Investigated(investigated.map(Box::new))
                    }
                    .boxed()
                });
            }
            Effect::Diagnose { generation, incident, by } => self.spawn(generation, move |backend, reporter| {
                async move { Report::Diagnosed(backend.diagnose(incident, by, reporter).await.map(Box::new)) }.boxed()
            }),
            Effect::Pack { generation, incident } => self.spawn(generation, |backend, _| {
                async move { Report::Packed(backend.pack(incident).await.map(Box::new)) }.boxed()
            }),
            Effect::LoadTimeline { generation, incident } => self.spawn(generation, |backend, _| {
                async move { Report::Timeline(backend.timeline(incident).await) }.boxed()
            }),
            Effect::Ask { generation, incident, check } => self.spawn(generation, |backend, _| {
                async move { Report::Answered(backend.ask(incident, check).await.map(Box::new)) }.boxed()
            }),
            Effect::Recheck { generation, incident, ids } => self.spawn(generation, |backend, _| {
                async move { Report::Rechecked(backend.recheck(incident, ids).await.map(Box::new)) }.boxed()
            }),
            Effect::ProbeModels { generation } => self.spawn(generation, |backend, reporter| {
                async move { Report::Endpoints(backend.probe_models(reporter).await) }.boxed()
            }),
            Effect::PreviewQuestion { generation, incident, question } => self.spawn(generation, |backend, _| {
                async move { Report::Packed(backend.preview_question(incident, question).await.map(Box::new)) }.boxed()
            }),
            Effect::Question { generation, incident, question, shown } => {
                self.spawn(generation, move |backend, reporter| {
                    async move {
                        let replied = backend.question(incident, question, shown, reporter).await;
                        Report::Replied(replied.map(Box::new))
                    }
                    .boxed()
                });
            }
            Effect::Prepare { generation, action } => self.spawn(generation, |backend, _| {
                async move { Report::Prepared(backend.prepare(*action).await.map(Box::new)) }.boxed()
            }),
            Effect::LoadQueue { generation } => self.spawn(generation, |backend, _| {
                async move { Report::Queue(backend.queue().await.map(Box::new)) }.boxed()
            }),
            Effect::Sign(order) => self.spawn(order.generation(), move |backend, _| {
                async move { Report::Signed(backend.sign(*order).await) }.boxed()
            }),
            Effect::RequestApproval { generation, digest } => self.spawn(generation, |backend, _| {
                async move { Report::Requested(backend.request_approval(digest).await) }.boxed()
            }),
            Effect::PrepareApproved { generation, digest } => self.spawn(generation, |backend, _| {
                async move { Report::Prepared(backend.prepare_approved(digest).await.map(Box::new)) }.boxed()
            }),
            Effect::PreparePreview { generation, digest } => self.spawn(generation, |backend, _| {
                async move { Report::Prepared(backend.prepare_preview(digest).await.map(Box::new)) }.boxed()
            }),
            Effect::Run(order) => self.run(*order),
            Effect::Verify { generation, digest } => self.spawn(generation, |backend, _| {
                async move {
                    match backend.verify(digest).await {
                        Ok(verification) => Report::Run(RunReport::Verified(verification)),
                        Err(why) => Report::Said(Err(why)),
                    }
                }
                .boxed()
            }),
            Effect::Enough { generation } => {
                if let Some(task) = self.under_way.get(&generation) {
                    task.enough.cancel();
                }
            }
            Effect::Cancel { generation } => {
                if let Some(task) = self.under_way.get(&generation) {
                    task.cancel.cancel();
                }
            }
            other => return Some(other),
        }
        None
    }

    fn reporter(&self, generation: Generation) -> Reporter {
        let news = self.news.clone();
        Reporter::new(move |report| {
            let _ = news.try_send(News::Message(Msg::Report(generation, report)));
        })
    }

    fn spawn<F>(&mut self, generation: Generation, work: F)
    where
        F: FnOnce(Arc<dyn Backend>, Reporter) -> futures_util::future::BoxFuture<'static, Report> + Send + 'static,
    {
        let cancel = self.root.child_token();
        let enough = CancellationToken::new();
        let work = work(self.backend.clone(), self.reporter(generation).until(enough.clone()));
        let (token, news) = (cancel.clone(), self.news.clone());
        let handle = tokio::spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                result = AssertUnwindSafe(work).catch_unwind() => match result {
                    Ok(report) => { let _ = news.send(News::Message(Msg::Report(generation, report))).await; }
                    Err(panic) => { let _ = news.send(News::Broken(panic_text(&*panic))).await; }
                },
            }
        });
        self.remember(generation, Task { cancel, enough, handle, run: false });
    }

    /// A run is not aborted by dropping its future: its process is ended in order, and its outcome written.
    fn run(&mut self, order: RunOrder) {
        let generation = order.generation();
        let cancel = self.root.child_token();
        let (token, news, backend) = (cancel.clone(), self.news.clone(), self.backend.clone());
        let handle = tokio::spawn(async move {
            let (sink, mut reports) = mpsc::channel::<RunReport>(256);
            let forward = {
                let news = news.clone();
                async move {
                    while let Some(report) = reports.recv().await {
                        let _ = news.send(News::Message(Msg::Report(generation, Report::Run(report)))).await;
                    }
                }
            };
            let work = AssertUnwindSafe(backend.run(order, sink, token)).catch_unwind();
            let (result, ()) = tokio::join!(work, forward);
            if let Err(panic) = result {
                let _ = news.send(News::Broken(panic_text(&*panic))).await;
            }
        });
        self.remember(generation, Task { cancel, enough: CancellationToken::new(), handle, run: true });
    }

    fn remember(&mut self, generation: Generation, task: Task) {
        self.under_way.retain(|_, task| !task.handle.is_finished());
        self.under_way.insert(generation, task);
    }

    /// Aborts everything. A run gets the time to end its process and to write how that went, also one that somebody's
    /// question began.
    pub(super) async fn finish(self, mut news: mpsc::Receiver<News>) {
        self.root.cancel();
        let (runs, others): (Vec<Task>, Vec<Task>) = self.under_way.into_values().partition(|task| task.run);
        let backend = self.backend;
        // Only a task of ours holds the channel open from here on.
        drop(self.news);
        let work = async move {
            let given_up = async {
                for task in others {
                    let _ = task.handle.await;
                }
            };
            let _ = tokio::time::timeout(TASK_GRACE, given_up).await;
            for task in runs {
                let _ = task.handle.await;
            }
            backend.settled().await;
        };
        // The channel is emptied meanwhile: a run must not wait for a screen that is gone.
        let drain = async {
            while news.recv().await.is_some() {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = work => {}
            () = drain => {}
            () = tokio::time::sleep(RUN_GRACE) => {}
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
