//! What the model wants done. Effects are carried out by `app`; their results come back as reports.

use crate::domain::action::{Action, Digest};
use crate::domain::baseline::BaselineChoice;
use crate::domain::diagnosis::Check;
use crate::domain::evidence::EvidenceId;
use crate::domain::incident::Incident;
use crate::domain::{Outgoing, Text, Timestamp};

use super::confirm::RunOrder;
use super::queue::SignOrder;

/// Number of one effect: its reports carry it, and [`Effect::Cancel`] names it. Never reused; 0 means none.
pub type Generation = u64;

/// Who shall write the diagnosis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The playbooks: deterministic, no network.
    Offline,
    /// The first language model that answers.
    Model {
        /// The digest of the pack that was looked at: no other may be sent. `None` where nobody wants to look first.
        shown: Option<String>,
    },
    /// A person brought this answer from a model elsewhere.
    Pasted(Text),
}

/// A request that a person looked at and agreed to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its digest: no other may be sent.
    pub digest: String,
    /// The time that is told in it.
    pub at: Timestamp,
}

/// Something to be done outside the model.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask for alerts and fold them into incidents.
    LoadBoard {
        /// Number of this effect.
        generation: Generation,
    },
    /// Ask the planned questions about an incident and analyse the answers.
    Investigate {
        /// Number of this effect.
        generation: Generation,
        /// The incident.
        incident: Box<Incident>,
        /// What the operator wants it compared with; none for the usual.
        baseline: Option<BaselineChoice>,
    },
    /// Diagnose an investigated incident.
    Diagnose {
        /// Number of this effect.
        generation: Generation,
        /// The incident's id.
        incident: String,
        /// By whom.
        by: Wish,
    },
    /// Render the pack of an investigated incident.
    Pack {
        /// Number of this effect.
        generation: Generation,
        /// The incident's id.
        incident: String,
    },
    /// Read the ledger's entries of an incident.
    LoadTimeline {
        /// Number of this effect.
        generation: Generation,
        /// The incident's id.
        incident: String,
    },
    /// Ask the query of a check.
    Ask {
        /// Number of this effect.
        generation: Generation,
        /// The incident's id.
        incident: String,
        /// The query and what it should show.
        check: Check,
    },
    /// Ask the queries behind cited evidence again.
    Recheck {
        /// Number of this effect.
        generation: Generation,
        /// The incident's id.
        incident: String,
        /// The cited items.
        ids: Vec<EvidenceId>,
    },
    /// Render the first request of a free question. Sends nothing.
    PreviewQuestion {
        /// Number of this effect.
        generation: Generation,
        /// The incident's id; none for the whole system.
        incident: Option<String>,
        /// The question.
        question: Text,
    },
    /// Ask a language model a free question, about an incident or the whole system.
    Question {
        /// Number of this effect.
        generation: Generation,
        /// The incident's id.
        incident: Option<String>,
        /// The question.
        question: Text,
        /// The first request as it was looked at; none where nobody wants to look first.
        shown: Option<Shown>,
    },
    /// Resolve, judge and preview an action, so that it can be shown before anything happens.
    Prepare {
        /// Number of this effect.
        generation: Generation,
        /// The action.
        action: Box<Action>,
    },
    /// Read requests for approval from the ledger.
    LoadQueue {
        /// Number of this effect.
        generation: Generation,
    },
    /// Sign exactly what was shown, by the ssh-agent.
    Sign(Box<SignOrder>),
    /// Ask for the approval that a prepared action needs.
    RequestApproval {
        /// Number of this effect.
        generation: Generation,
        /// The digest of what was prepared.
        digest: Digest,
    },
    /// Prepare what others have approved, so that it can be shown before it runs.
    PrepareApproved {
        /// Number of this effect.
        generation: Generation,
        /// The digest of the request.
        digest: Digest,
    },
    /// Prepare the tool's own preview of what a request asks for.
    PreparePreview {
        /// Number of this effect.
        generation: Generation,
        /// The digest of the request.
        digest: Digest,
    },
    /// Run exactly what was shown and confirmed.
    Run(Box<RunOrder>),
    /// Ask again whether a run helped.
    Verify {
        /// Number of this effect.
        generation: Generation,
        /// The digest that was run.
        digest: Digest,
    },
    /// Ask nothing more for the effect with this number, and go on with what came so far.
    Enough {
        /// Number of the effect.
        generation: Generation,
    },
    /// Abort the effect with this number, and what hangs below it.
    Cancel {
        /// Number of the effect to abort.
        generation: Generation,
    },
    /// Ask each language model for one word: whether it is there, and how fast.
    ProbeModels {
        /// Number of this effect.
        generation: Generation,
    },
    /// Put text on the clipboard, from where it goes into chats and tickets: masked.
    Copy(Outgoing),
    /// Show text in `$EDITOR`.
    Edit(Text),
    /// Leave and open the built-in demo.
    OpenDemo,
    /// Stop the program until the shell resumes it.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Leave.
    Quit,
}
