//! What can happen to the model.

use crate::domain::action::{Action, Digest, Judged, OutputLine, RunRequest, RunState, Verification};
use crate::domain::analysis::Analysis;
use crate::domain::diagnosis::{Bill, Diagnosed, Diagnosis, Earlier};
use crate::domain::evidence::Evidence;
use crate::domain::health::{EndpointHealth, SourceHealth};
use crate::domain::incident::Incident;
use crate::domain::ledger::Entry;
use crate::domain::log::LogEntry;
use crate::domain::pack::Pack;
use crate::domain::query::{Answer, Asked};
use crate::domain::question::{Asking, Reply};
use crate::domain::recheck::Recheck;
use crate::domain::settings::Sees;
use crate::domain::{Outgoing, Text, Timestamp};

use super::effect::Generation;
use super::key::Key;
use super::queue::Queue;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted. It goes into an open text field, and never confirms or runs anything.
    Paste(Text),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// The terminal gained or lost the focus.
    Focus(bool),
    /// It is this late now.
    Tick(Timestamp),
    /// It is time to look for new alerts.
    RefreshDue,
    /// It is time to look for requests for approval.
    QueueDue,
    /// What the model says now stands on the screen.
    Drawn,
    /// The message to the operator was on the screen long enough.
    ToastOld,
    /// The program was resumed after a suspension or an editor.
    Resumed,
    /// An effect has something to say.
    Report(Generation, Report),
}

/// Results and progress of effects.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// Of `LoadBoard`.
    Board(Board),
    /// State of the sources, sent whenever it changed.
    Sources(Vec<SourceHealth>),
    /// State of the language models, sent whenever one was asked.
    Endpoints(Vec<EndpointHealth>),
    /// How far an effect is.
    Progress(Progress),
    /// Of `Investigate`.
    Investigated(Result<Box<Investigation>, Text>),
    /// Of `Diagnose`, while it is written.
    Drafting(Box<Draft>),
    /// Of `Diagnose`.
    Diagnosed(Result<Box<Conclusion>, Text>),
    /// Of `Pack` and `PreviewQuestion`.
    Packed(Result<Box<PackPreview>, Text>),
    /// Of `LoadTimeline`.
    Timeline(Result<Vec<Entry>, Text>),
    /// Of `Ask`.
    Answered(Result<Box<Answered>, Text>),
    /// Of `Recheck`.
    Rechecked(Result<Box<Recheck>, Text>),
    /// Of `Question`, while it is answered.
    Asking(Box<Asking>),
    /// Of `Question`.
    Replied(Result<Box<Reply>, Text>),
    /// Of `Prepare`.
    Prepared(Result<Box<Prepared>, Text>),
    /// Of `LoadQueue`.
    Queue(Result<Box<Queue>, Text>),
    /// Of `Sign`: what was written, or why nothing was.
    Signed(Result<Text, Text>),
    /// Of `RequestApproval`: the digest of the request.
    Requested(Result<Digest, Text>),
    /// Of `Run`, any number, the last one `Ended` or `Verified`.
    Run(RunReport),
    /// Of `Copy` and `Edit`: what to tell the operator.
    Said(Result<Text, Text>),
}

impl Report {
    /// Whether it is the end of its effect, and not news on the way.
    pub fn is_last(&self) -> bool {
        !matches!(
            self,
            Self::Progress(_)
                | Self::Sources(_)
                | Self::Endpoints(_)
                | Self::Drafting(_)
                | Self::Asking(_)
                | Self::Run(RunReport::Line(_) | RunReport::Dropped(_))
                | Self::Said(_)
        )
    }
}

/// What is known of the whole site.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Incidents, or why they are not known.
    pub incidents: Result<Vec<Incident>, Text>,
    /// State of the sources.
    pub sources: Vec<SourceHealth>,
}

/// How far an effect is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: usize,
    /// Steps known so far; 0 when unknown.
    pub total: usize,
    /// Round of questions, from 1; 0 when there are no rounds.
    pub round: usize,
    /// What was done last: `prometheus: sum(rate(http_requests_total[1m]))`.
    pub what: Text,
    /// What is still waited for: `3 logs, 1 metrics`.
    pub open: Text,
    /// The slowest answer so far, if one was slow: `loki 9.1 s`.
    pub slow: Text,
}

/// Everything gathered and concluded about one incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Investigation {
    /// Suspects, changes, evidence.
    pub analysis: Analysis,
    /// The raw log entries, oldest first.
    pub logs: Vec<LogEntry>,
    /// Exactly what was asked.
    pub asked: Vec<Asked>,
}

/// A diagnosis while it is written: for reading, never for acting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// Who writes: `claude-… via primary`.
    pub by: Text,
    /// Where it stands: `waiting for primary`, `reading 7.4k tokens`, `writing`.
    pub stage: Text,
    /// As far as it was received.
    pub partial: Diagnosis,
    /// Of each hypothesis, whether it was said yet how sure the model is.
    pub sure: Vec<bool>,
    /// Tokens sent, by our own count.
    pub sent_tokens: usize,
    /// Values hidden from the model.
    pub hidden: usize,
    /// Tokens received so far, by our own count.
    pub received_tokens: usize,
    /// Milliseconds to the first content.
    pub first_token_ms: Option<u64>,
    /// Tokens a second, once there is enough to tell.
    pub rate: Option<f64>,
    /// What the end point is allowed to see.
    pub sees: Option<Sees>,
    /// What it costs so far, about, and the day.
    pub bill: Bill,
    /// Answers that broke off before.
    pub earlier: Vec<Earlier>,
}

/// The pack as it would be sent now.
#[derive(Debug, Clone, PartialEq)]
pub struct PackPreview {
    /// The evidence, masked for its receiver.
    pub pack: Pack,
    /// SHA-256 of the pack's text, or of a question's whole request, lower-case hex.
    pub digest: String,
    /// The time that is told in a question's first request; none of a diagnosis's.
    pub at: Option<Timestamp>,
    /// The words that are sent around it, each with a title.
    pub around: Vec<(&'static str, Outgoing)>,
    /// The whole request in words, for carrying it to a model elsewhere.
    pub request: Outgoing,
    /// Tokens of the request, by our own count.
    pub tokens: usize,
    /// Who would get it; none where no end point may.
    pub endpoint: Option<Receiver>,
    /// Who gets nothing of it, and why.
    pub notes: Vec<Text>,
}

/// Who would get a pack.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Receiver {
    /// The end point.
    pub name: String,
    /// The model.
    pub model: String,
    /// The host it goes to.
    pub host: String,
    /// What it may see.
    pub sees: Sees,
    /// Tokens of the request in the model's own count, about.
    pub tokens: u64,
    /// Whether that estimate rests on what the server reported before.
    pub learnt: bool,
    /// Bytes of the request.
    pub bytes: usize,
    /// What sending it costs, and the day so far.
    pub bill: Bill,
}

/// A finished diagnosis with its actions judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// The diagnosis.
    pub diagnosed: Diagnosed,
    /// Its actions, each with what the gate says of it.
    pub actions: Vec<Suggestion>,
}

/// An action with what the gate says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// The action.
    pub action: Action,
    /// The gate's judgement, as of now.
    pub judged: Judged,
}

/// The answer of a check that the operator asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The question as it was asked.
    pub asked: Asked,
    /// What came back.
    pub answer: Option<Answer>,
    /// The answer in one line.
    pub summary: Text,
    /// The answer as evidence; none when there is no answer.
    pub evidence: Option<Evidence>,
}

/// Everything the operator must see before a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Exactly what will run and where.
    pub request: RunRequest,
    /// What the gate understood, and its verdict.
    pub judged: Judged,
    /// Names exactly this request.
    pub digest: Digest,
    /// The word to be typed; `None` when one key is enough.
    pub word: Option<String>,
    /// The verdict stands in the way: it cannot run now, and this is what is missing.
    pub blocked: Option<Text>,
    /// Whether an approval can be asked for.
    pub can_ask: bool,
    /// Whether it can be run without the approval, with a reason and a review later.
    pub can_break: bool,
    /// Who approved it, where it runs by their leave.
    pub approved: Option<Text>,
    /// What a dry run said, where there is one.
    pub preview: Option<Text>,
    /// The command that would undo it.
    pub undo: Option<Vec<String>>,
    /// The query that will show whether it helped, with its answer now.
    pub verification: Option<Verification>,
    /// Whether the profile is marked critical.
    pub critical: bool,
}

/// News of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunReport {
    /// Output.
    Line(OutputLine),
    /// So many lines of output were dropped at a bound.
    Dropped(u64),
    /// It ended, or could not begin.
    Ended(RunState),
    /// The verify query was asked again.
    Verified(Verification),
    /// The gate, or the ledger, refused: nothing ran.
    Refused(Text),
}
