//! What the screens need from the engine. The loop knows only this trait, so that it runs in a test without one.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::core::confirm::RunOrder;
use crate::core::effect::{Shown, Wish};
use crate::core::message::{
    Answered, Board, Conclusion, Draft, Investigation, PackPreview, Prepared, Progress, Report, RunReport,
};
use crate::core::queue::{Queue, SignOrder};
use crate::domain::action::{Action, Digest, Verification};
use crate::domain::baseline::BaselineChoice;
use crate::domain::diagnosis::Check;
use crate::domain::evidence::EvidenceId;
use crate::domain::health::{EndpointHealth, SourceHealth};
use crate::domain::incident::Incident;
use crate::domain::ledger::Entry;
use crate::domain::question::{Asking, Reply};
use crate::domain::recheck::Recheck;
use crate::domain::{Text, Timestamp};

/// Sends news of one effect to the model. Cloning is cheap.
#[derive(Clone)]
pub struct Reporter {
    sink: Arc<dyn Fn(Report) + Send + Sync>,
    enough: CancellationToken,
}

impl Reporter {
    /// A reporter that hands everything to `sink`. The sink must not block: progress that finds no room is dropped
    /// by it, because later progress replaces it anyway.
    pub fn new(sink: impl Fn(Report) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), enough: CancellationToken::new() }
    }

    /// The same, which is told to make do with what it has when `enough` is cancelled.
    #[must_use]
    pub fn until(self, enough: CancellationToken) -> Self {
        Self { enough, ..self }
    }

    /// Cancelled when the operator does not want to wait for more: what came so far is to be used.
    pub fn enough(&self) -> &CancellationToken {
        &self.enough
    }

    /// How far the effect is.
    pub fn progress(&self, progress: Progress) {
        (self.sink)(Report::Progress(progress));
    }

    /// The diagnosis as far as it is written.
    pub fn drafting(&self, draft: Draft) {
        (self.sink)(Report::Drafting(Box::new(draft)));
    }

    /// State of the language models, after one was asked.
    pub fn endpoints(&self, endpoints: Vec<EndpointHealth>) {
        (self.sink)(Report::Endpoints(endpoints));
    }

    /// A question as far as it is answered.
    pub fn asking(&self, asking: Asking) {
        (self.sink)(Report::Asking(Box::new(asking)));
    }

    /// Something to tell the operator, or to warn of.
    pub fn say(&self, what: Result<Text, Text>) {
        (self.sink)(Report::Said(what));
    }

    /// State of the sources, when it changed on the way.
    pub fn sources(&self, sources: Vec<SourceHealth>) {
        (self.sink)(Report::Sources(sources));
    }
}

/// Takes news of a run. Waits when the screen cannot follow, so that nothing is lost without being counted.
pub type RunSink = tokio::sync::mpsc::Sender<RunReport>;

/// The engine behind the screens. Dropping a returned future aborts what it does; errors are sentences for the
/// operator: what failed, where, what to do.
pub trait Backend: Send + Sync + 'static {
    /// The time: the clock's, or that of the recording.
    fn now(&self) -> Timestamp;

    /// Returns when nothing is left to be written of what was begun. The program waits for it before it is left.
    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// The incidents and the state of the sources.
    fn board(&self, reporter: Reporter) -> BoxFuture<'_, Board>;

    /// Asks the planned questions and analyses the answers. The engine keeps what it needs (the snapshot) under the
    /// incident's id for the calls below.
    /// `baseline` is what the operator wants to compare with, if anything.
    fn investigate(
        &self,
        incident: Incident,
        baseline: Option<BaselineChoice>,
        reporter: Reporter,
    ) -> BoxFuture<'_, Result<Investigation, Text>>;

    /// Diagnoses an investigated incident, and judges the suggested actions.
    fn diagnose(&self, incident: String, by: Wish, reporter: Reporter) -> BoxFuture<'_, Result<Conclusion, Text>>;

    /// Renders the pack of an investigated incident as it would be sent now. Sends nothing.
    fn pack(&self, incident: String) -> BoxFuture<'_, Result<PackPreview, Text>>;

    /// The ledger's entries of an incident, oldest first, bounded.
    fn timeline(&self, incident: String) -> BoxFuture<'_, Result<Vec<Entry>, Text>>;

    /// Asks the query of a check. The answer becomes evidence of the next diagnosis.
    fn ask(&self, incident: String, check: Check) -> BoxFuture<'_, Result<Answered, Text>>;

    /// Asks the queries behind cited evidence again, and says of each item whether it still holds.
    fn recheck(&self, incident: String, ids: Vec<EvidenceId>) -> BoxFuture<'_, Result<Recheck, Text>> {
        Box::pin(async move {
            drop((incident, ids));
            Err(Text::from("nothing can be asked again here"))
        })
    }

    /// Asks each language model for one word, with nothing of any incident in the question; each is reported as it
    /// answers.
    fn probe_models(&self, reporter: Reporter) -> BoxFuture<'_, Vec<EndpointHealth>> {
        Box::pin(async move {
            drop(reporter);
            Vec::new()
        })
    }

    /// Renders the first request of a free question. Sends nothing.
    fn preview_question(&self, incident: Option<String>, question: Text) -> BoxFuture<'_, Result<PackPreview, Text>> {
        Box::pin(async move {
            drop((incident, question));
            Err(Text::from("no question can be asked here"))
        })
    }

    /// Answers a free question about an incident that was investigated, or about the whole system. Nothing is sent
    /// where the first request is another one than what was `shown`.
    fn question(
        &self,
        incident: Option<String>,
        question: Text,
        shown: Option<Shown>,
        reporter: Reporter,
    ) -> BoxFuture<'_, Result<Reply, Text>> {
        Box::pin(async move {
            drop((incident, question, shown, reporter));
            Err(Text::from("no question can be asked here"))
        })
    }

    /// Resolves, judges and previews an action; changes nothing.
    fn prepare(&self, action: Action) -> BoxFuture<'_, Result<Prepared, Text>>;

    /// Asks again whether the run of this digest helped, and writes the answer down.
    fn verify(&self, digest: Digest) -> BoxFuture<'_, Result<Verification, Text>>;

    /// Requests for approval, as the ledger has them now.
    fn queue(&self) -> BoxFuture<'_, Result<Queue, Text>> {
        Box::pin(async { Ok(Queue::default()) })
    }

    /// Lets the ssh-agent sign exactly what was ordered, and writes it into the ledger; what to tell the user.
    fn sign(&self, order: SignOrder) -> BoxFuture<'_, Result<Text, Text>> {
        Box::pin(async move { Err(Text::from(format!("request {} cannot be signed here", order.digest()))) })
    }

    /// Asks for the approval of what was prepared under this digest; the digest of the request.
    fn request_approval(&self, digest: Digest) -> BoxFuture<'_, Result<Digest, Text>> {
        Box::pin(async move { Err(Text::from(format!("no approval of {digest} can be asked for here"))) })
    }

    /// Prepares what was approved under this request.
    fn prepare_approved(&self, digest: Digest) -> BoxFuture<'_, Result<Prepared, Text>> {
        Box::pin(async move { Err(Text::from(format!("request {digest} cannot be run here"))) })
    }

    /// Prepares the tool's own preview of what this request asks for: a command of its own, judged as whoever looks.
    fn prepare_preview(&self, digest: Digest) -> BoxFuture<'_, Result<Prepared, Text>> {
        Box::pin(async move { Err(Text::from(format!("request {digest} cannot be previewed here"))) })
    }

    /// Runs exactly what was ordered; asks the verify query before and after. Ends when everything is reported.
    /// When `cancel` fires the process is ended and that is reported.
    fn run(&self, order: RunOrder, news: RunSink, cancel: CancellationToken) -> BoxFuture<'_, ()>;
}
