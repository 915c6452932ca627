//! Requests for approval: the commander's queue, and the box in which one of them is looked at and signed.

use crate::domain::action::Digest;
use crate::domain::approval::{ApprovalRequest, Approver, Say};
use crate::domain::{Text, Timestamp};
use crate::gate::preview;

use super::confirm::{PREVIEW_KEY, inner_columns};
use super::copy::command_line;
use super::effect::Generation;
use super::key::Key;
use super::list::Input;
use super::model::Model;

/// Requests and runs that wait for somebody, as the ledger has them, seen from where this user stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Queue {
    /// Requests, newest first: those that are open, and those of which the last word was said a short time ago.
    pub requests: Vec<Pending>,
    /// Runs that went past an approval and that nobody has reviewed, newest first.
    pub reviews: Vec<Unreviewed>,
    /// Whom the ssh-agent can sign as: `carol (incident-commander), key SHA256:…`; none without an agent or a key.
    pub signer: Option<Text>,
}

/// A request for approval with what was said to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// Names the request.
    pub digest: Digest,
    /// What is asked for.
    pub request: ApprovalRequest,
    /// What was shown as evidence.
    pub evidence: Vec<Text>,
    /// What this user's own program sees otherwise than the requester's: another effect, another policy.
    pub differs: Option<Text>,
    /// Where it stands.
    pub status: Status,
    /// Where it stands, in words: what is missing, who said no.
    pub why: Text,
    /// Signatures that count.
    pub by: Vec<Approver>,
    /// Who asked: the account, and the person where only one can be meant.
    pub asker: Text,
    /// Why this user cannot approve it; none when a signature would count.
    pub cannot: Option<Text>,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Signatures are missing.
    Pending,
    /// It may run.
    Approved,
    /// Somebody said no.
    Rejected,
    /// It ran.
    Used,
    /// It is too late.
    Expired,
    /// Something about it is wrong.
    Invalid,
}

impl Status {
    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
        }
    }
}

/// A run that went past an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreviewed {
    /// Number of its entry in the ledger.
    pub entry: u64,
    /// When.
    pub at: Timestamp,
    /// Who ran it.
    pub actor: String,
    /// What ran, in one line.
    pub command: Text,
    /// Why, as they said.
    pub reason: Text,
}

impl Pending {
    /// Where it stands at this time: nothing is open for longer than it was asked for.
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.status {
            Status::Pending | Status::Approved if now >= self.request.expires => Status::Expired,
            status => status,
        }
    }

    /// Whether the tool has a preview of what is asked for.
    pub fn has_preview(&self) -> bool {
        preview::preview(&self.request.run.argv).is_some()
    }

    /// Whether it waits for this user's signature.
    pub fn waits_for_me(&self, now: Timestamp) -> bool {
        self.status_at(now) == Status::Pending && self.cannot.is_none()
    }
}

/// Requests that wait for this user.
pub fn waiting_for_me(model: &Model) -> usize {
    let queue = model.queue.value.iter().flat_map(|queue| &queue.requests);
    queue.filter(|pending| pending.waits_for_me(model.now)).count()
}

/// The request with this digest.
pub fn find<'a>(model: &'a Model, digest: &Digest) -> Option<&'a Pending> {
    model.queue.value.as_ref()?.requests.iter().find(|pending| pending.digest == *digest)
}

/// Lines by which a box can be scrolled; more than a request can have.
const SCROLL_MAX: usize = 200;

/// Said where a command is longer than the screen.
const TOO_SMALL: &str = "the whole command is not on the screen: enlarge the terminal";

/// Whether the whole command of a request can be seen in its box on a screen of this size.
fn fits(pending: &Pending, (columns, rows): (u16, u16)) -> bool {
    let command = command_line(&pending.request.run.argv);
    let lines = super::reading::wrap(&command, inner_columns(columns)).len();
    // The screen's own rows, the box, and what is asked.
    lines + 12 <= usize::from(rows)
}

fn refused(pending: Option<&Pending>, say: Say, now: Timestamp) -> Option<String> {
    let Some(pending) = pending else { return Some("the request is no longer known".to_owned()) };
    match pending.status_at(now) {
        Status::Pending => {}
        Status::Approved if say == Say::Reject => {}
        status => return Some(format!("it is {} already", status.word())),
    }
    pending.cannot.as_ref().filter(|_| say == Say::Approve).map(ToString::to_string)
}

/// Why nobody can approve a request here and now, on a screen of this size; `None` when this user can.
pub fn why_not_approve(pending: Option<&Pending>, now: Timestamp, size: (u16, u16)) -> Option<String> {
    let small = pending.is_some_and(|pending| !fits(pending, size));
    refused(pending, Say::Approve, now).or_else(|| small.then(|| TOO_SMALL.to_owned()))
}

/// The order to sign exactly one statement. Only [`SignBox::key`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct SignOrder {
    generation: Generation,
    digest: Digest,
    say: Say,
    reason: String,
}

impl SignOrder {
    /// Number of the effect.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Digest of the request that was shown.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Yes or no.
    pub fn say(&self) -> Say {
        self.say
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The box in which a request is looked at and signed.
#[derive(Debug, Clone, PartialEq)]
pub struct SignBox {
    /// The request.
    pub digest: Digest,
    /// What is about to be said; none while looking.
    pub say: Option<Say>,
    /// The reason being typed.
    pub reason: Input,
    /// Where it stands.
    pub stage: SignStage,
    /// Whether the whole command was drawn on the screen.
    pub drawn: bool,
    /// Lines scrolled down in what stands below the command.
    pub scroll: usize,
    generation: Generation,
}

/// Where a box stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignStage {
    /// It waits for the user.
    Open,
    /// The agent was asked, which may ask a person to touch a key.
    Signing,
    /// It is over: what was written, or why nothing was.
    Done(Result<Text, Text>),
}

/// What a key press in the box leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum SignStep {
    /// Nothing beyond the box.
    Stay,
    /// Close it; an effect under way is to be aborted.
    Close(Option<Generation>),
    /// Sign.
    Sign(Box<SignOrder>),
    /// Show the tool's own preview of what is asked for in a run dialog.
    Preview,
    /// Something to tell the user.
    Say(String),
}

impl SignBox {
    /// A box on a request; with `say` the reason is typed at once.
    pub fn new(digest: Digest, say: Option<Say>) -> Self {
        Self { digest, say, reason: Input::default(), stage: SignStage::Open, drawn: false, scroll: 0, generation: 0 }
    }

    /// Whether reports with this number belong here.
    pub fn awaits(&self, generation: Generation) -> bool {
        generation != 0 && self.generation == generation
    }

    /// The box stands on a screen of this size as it is.
    pub fn shown(&mut self, pending: &Pending, size: (u16, u16)) {
        self.drawn = fits(pending, size);
    }

    /// Why this cannot be said now; `None` when it can.
    pub fn why_not(&self, pending: Option<&Pending>, say: Say, now: Timestamp) -> Option<String> {
        refused(pending, say, now).or_else(|| (!self.drawn).then(|| TOO_SMALL.to_owned()))
    }

    /// A key press. `next` is the number the signing gets if this press orders one.
    pub fn key(&mut self, key: Key, pending: Option<&Pending>, now: Timestamp, next: Generation) -> SignStep {
        match (&self.stage, key) {
            (SignStage::Signing, Key::Esc) => return SignStep::Close(Some(self.generation)),
            (SignStage::Done(_), Key::Esc | Key::Enter | Key::Char('q')) => return SignStep::Close(None),
            (SignStage::Signing | SignStage::Done(_), _) => return SignStep::Stay,
            (SignStage::Open, _) => {}
        }
        match key {
            Key::Up | Key::PageUp => {
                self.scroll = self.scroll.saturating_sub(if key == Key::Up { 1 } else { 10 });
                return SignStep::Stay;
            }
            Key::Down | Key::PageDown => {
                self.scroll = (self.scroll + if key == Key::Down { 1 } else { 10 }).min(SCROLL_MAX);
                return SignStep::Stay;
            }
            _ => {}
        }
        let Some(say) = self.say else {
            let say = match key {
                Key::Esc | Key::Char('q') => return SignStep::Close(None),
                PREVIEW_KEY => return SignStep::Preview,
                Key::Char('y') => Say::Approve,
                Key::Char('n') => Say::Reject,
                _ => return SignStep::Stay,
            };
            if let Some(why) = self.why_not(pending, say, now) {
                return SignStep::Say(why);
            }
            self.say = Some(say);
            return SignStep::Stay;
        };
        match key {
            Key::Esc => {
                self.say = None;
                self.reason.clear();
            }
            Key::Enter => {
                if let Some(why) = self.why_not(pending, say, now) {
                    return SignStep::Say(why);
                }
                let reason = self.reason.text.trim().to_owned();
                if say == Say::Reject && reason.is_empty() {
                    return SignStep::Say("say why: whoever asked will read it".to_owned());
                }
                self.stage = SignStage::Signing;
                self.generation = next;
                let digest = self.digest.clone();
                return SignStep::Sign(Box::new(SignOrder { generation: next, digest, say, reason }));
            }
            Key::Char(c) => self.reason.push(c),
            Key::Backspace => self.reason.backspace(),
            Key::Ctrl('w') => self.reason.cut_word(),
            Key::Ctrl('u') => self.reason.clear(),
            _ => {}
        }
        SignStep::Stay
    }

    /// The signing is over.
    pub fn finish(&mut self, result: Result<Text, Text>) {
        self.stage = SignStage::Done(result);
    }
}
