//! What was said so far in one chat, and how it is sent.
//!
//! The history holds outside text as it is. It is redacted when a request is built, in the order in which it is sent
//! and by one redactor: equal values keep equal names from the first message to the last, and what was sent before is
//! sent again byte for byte.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::verify::Proof;
use super::super::verify::figures::{Token, Unit, tokens};
use super::{Told, shape};
use crate::context::{self, Redactor, count_tokens};
use crate::domain::alert::Severity;
use crate::domain::analysis::{Analysis, Finding};
use crate::domain::evidence::{Detail, Evidence, EvidenceId, EvidenceKind};
use crate::domain::incident::Incident;
use crate::domain::pack::{Pack, PackedEvidence};
use crate::domain::settings::Sees;
use crate::domain::snapshot::Provenance;
use crate::domain::{Text, TimeRange, Timestamp};
use crate::llm::{Message, Role};

/// Turns that are kept of a chat.
const TURNS: usize = 12;
/// Items of evidence that are kept of a chat.
const ITEMS: usize = 200;
/// Tokens of an item of the incident that is shown in full.
const ITEM_TOKENS: usize = 3_000;
/// Bytes that remain of a result that had to be shortened.
const SHORTENED: usize = 400;
/// Bytes kept of what was asked of earlier analyses.
const BEFORE: usize = 4_000;
/// Time words of a question are at least this long; shorter spans are figures that evidence must show.
const SPAN_SECONDS: f64 = 60.0;

/// What a chat is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The whole system, with what is open now.
    System(Told),
    /// One incident.
    Incident(Arc<Analysis>),
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// From our own prompts.
    Ours(String),
    /// From outside: the question, what the model said before.
    Outside(String),
    /// Evidence that a step brought.
    Result(EvidenceId),
    /// An item of the incident in full.
    Item(EvidenceId),
    /// What the chat is about.
    Subject,
}

#[derive(Debug, Clone, PartialEq)]
struct Said {
    role: Role,
    parts: Vec<Part>,
    /// Which question of the chat it belongs to.
    turn: usize,
    /// Whether it is left out once the question is answered.
    passing: bool,
}

/// A chat.
#[derive(Debug, Clone)]
pub struct Thread {
    subject: Subject,
    said: Vec<Said>,
    /// What steps brought, oldest first.
    evidence: Vec<Evidence>,
    /// Items of the incident that were shown in full.
    opened: BTreeSet<EvidenceId>,
    /// Results that are sent shortened.
    shortened: BTreeSet<EvidenceId>,
    questions: Vec<(Text, Timestamp)>,
    /// What was asked and answered of an earlier analysis, in words.
    before: String,
    next: u32,
    /// The incident's pack for a budget, with the redactor that has seen it: making one is not cheap.
    packed: Option<(usize, Sees, Pack, Redactor)>,
}

/// The messages as they are sent, and what they show.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    pub(super) messages: Vec<Message>,
    /// What may be cited, as it was shown.
    pub(super) pack: Pack,
    /// Our own count of all parts.
    pub(super) tokens: usize,
}

impl Thread {
    /// A chat in which nothing was said.
    pub fn new(subject: Subject) -> Self {
        let (next, evidence) = match &subject {
            Subject::Incident(analysis) => {
                let last = analysis.evidence.iter().filter(|item| item.id.kind == EvidenceKind::Query);
                (last.map(|item| item.id.number).max().unwrap_or(0) + 1, Vec::new())
            }
            Subject::System(told) => (2, vec![overview(told)]),
        };
        Self {
            subject,
            said: Vec::new(),
            evidence,
            opened: BTreeSet::new(),
            shortened: BTreeSet::new(),
            questions: Vec::new(),
            before: String::new(),
            next,
            packed: None,
        }
    }

    /// The chat about the incident as it was examined anew. What was said stays, as words: the ids of that time mean
    /// other items now, and cannot be cited any more.
    #[must_use]
    pub fn continued(&self, subject: Subject) -> Self {
        let mut next = Self::new(subject);
        // No id is used twice in what one person reads as one chat.
        next.next = next.next.max(self.next);
        let mut words = self.before.clone();
        for (turn, (question, _)) in self.questions.iter().enumerate() {
            let is_answer = |said: &&Said| said.turn == turn && said.role == Role::Assistant && !said.passing;
            let answer = self.said.iter().find(is_answer).and_then(|said| match said.parts.first() {
                Some(Part::Outside(text)) => shape::answered(text),
                _ => None,
            });
            let answer = answer.unwrap_or_else(|| "there was no answer".to_owned());
            words += &format!("- {}\n  {}\n", question.one_line(), without_ids(&answer));
        }
        // The newest says most.
        let from = words.len().saturating_sub(BEFORE);
        words.drain(..words.ceil_char_boundary(from));
        next.before = words;
        next
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The analysis of the incident that it is about.
    pub(super) fn analysis(&self) -> Option<&Analysis> {
        match &self.subject {
            Subject::Incident(analysis) => Some(analysis),
            Subject::System(_) => None,
        }
    }

    /// What steps brought so far, oldest first; of the whole system also what is open, as its first item.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// Takes a question. Earlier ones are kept with their answers, without the steps between.
    pub(super) fn question(&mut self, question: &str, now: Timestamp, instructions: String) {
        self.said.retain(|said| !said.passing);
        let turn = self.questions.len();
        self.questions.push((Text::new(question), now));
        let oldest = turn.saturating_sub(TURNS);
        self.said.retain(|said| said.turn >= oldest);
        // What is open in the whole system stays, whatever else is forgotten.
        let kept = usize::from(matches!(self.subject, Subject::System(_)));
        let excess = self.evidence.len().saturating_sub(ITEMS);
        self.evidence.drain(kept..kept + excess);
        let mut parts = vec![Part::Outside(format!("The question:\n{question}")), Part::Ours(instructions)];
        if self.said.is_empty() {
            if !self.before.is_empty() {
                let words =
                    format!("Asked and answered earlier, of an earlier analysis with other ids:\n{}", self.before);
                parts.insert(0, Part::Outside(words));
            }
            parts.insert(0, Part::Subject);
        } else if let Some(first) = self.said.first_mut().filter(|first| !first.parts.contains(&Part::Subject)) {
            first.parts.insert(0, Part::Subject);
        }
        self.said.push(Said { role: Role::User, parts, turn, passing: false });
    }

    /// What the model said; `answer` when it is what remains of the question.
    pub(super) fn model(&mut self, text: &str, answer: bool) {
        let turn = self.turn();
        self.said.push(Said {
            role: Role::Assistant,
            parts: vec![Part::Outside(text.to_owned())],
            turn,
            passing: !answer,
        });
    }

    /// Our own words to the model, after what a step brought. They may hold what a source said of a failure.
    pub(super) fn reply(&mut self, evidence: Option<EvidenceId>, words: String) {
        let turn = self.turn();
        let mut parts = vec![Part::Outside(words)];
        if let Some(id) = evidence {
            parts.insert(0, if self.holds(id) { Part::Result(id) } else { Part::Item(id) });
            if !self.holds(id) {
                self.opened.insert(id);
            }
        }
        self.said.push(Said { role: Role::User, parts, turn, passing: true });
    }

    /// Adds words of ours to the last message.
    pub(super) fn add(&mut self, words: String) {
        if let Some(last) = self.said.last_mut() {
            last.parts.push(Part::Ours(words));
        }
    }

    fn turn(&self) -> usize {
        self.questions.len().saturating_sub(1)
    }

    fn holds(&self, id: EvidenceId) -> bool {
        self.evidence.iter().any(|item| item.id == id)
    }

    /// The number of the next item.
    pub(super) const fn next_number(&self) -> u32 {
        self.next
    }

    /// Takes what a step brought.
    pub(super) fn take(&mut self, evidence: Evidence) {
        self.next = self.next.max(evidence.id.number + 1);
        self.evidence.push(evidence);
    }

    /// Takes back a question that came to nothing, so that the next one does not follow a silence.
    pub(super) fn forget(&mut self) {
        let turn = self.turn();
        self.said.retain(|said| said.turn != turn || self.questions.is_empty());
    }

    /// Shortens the longest result that is not the newest one; whether there was one.
    pub(super) fn shorten(&mut self) -> bool {
        let newest = self.said.iter().rev().flat_map(|said| &said.parts).find_map(|part| match part {
            Part::Result(id) => Some(*id),
            _ => None,
        });
        let only = self.evidence.len() == 1;
        let longest = self
            .evidence
            .iter()
            .filter(|item| !self.shortened.contains(&item.id) && (only || Some(item.id) != newest))
            .max_by_key(|item| (text_of(item).len(), std::cmp::Reverse(item.id)))
            .map(|item| item.id);
        longest.is_some_and(|id| self.shortened.insert(id))
    }

    /// The messages as a receiver may see them who sees so much; `budget` is that of the incident's pack, in tokens.
    pub(super) fn render(&mut self, budget: usize, sees: Sees) -> Rendered {
        if let Subject::Incident(analysis) = &self.subject
            && self.packed.as_ref().is_none_or(|(known, receiver, ..)| (*known, *receiver) != (budget, sees))
        {
            let (pack, redactor) = context::pack_joined(analysis, budget, Redactor::for_receiver(sees));
            self.packed = Some((budget, sees, pack, redactor));
        }
        let seen = self.packed.as_ref().map(|(.., redactor)| redactor.clone());
        let mut redactor = seen.unwrap_or_else(|| Redactor::for_receiver(sees));
        let mut shown: Vec<PackedEvidence> = Vec::new();
        let mut messages = Vec::with_capacity(self.said.len());
        let mut tokens = 0;
        let mut text = String::new();
        for said in &self.said {
            let mut parts = Vec::with_capacity(said.parts.len());
            for part in &said.parts {
                let part = match part {
                    Part::Ours(words) | Part::Outside(words) => words.clone(),
                    Part::Result(id) => self.result(*id, &mut redactor, &mut shown),
                    Part::Item(id) => self.item(*id, &mut redactor, &mut shown),
                    Part::Subject => match (&self.packed, self.evidence.first()) {
                        (Some((_, _, pack, _)), _) => {
                            shown.extend(pack.evidence.iter().cloned());
                            without_question(&pack.text).to_owned()
                        }
                        (None, Some(first)) => self.result(first.id, &mut redactor, &mut shown),
                        (None, None) => String::new(),
                    },
                };
                let part = redactor.outgoing(&part);
                tokens += count_tokens(&part);
                text.push_str(&part);
                parts.push(part);
            }
            messages.push(Message { role: said.role, parts });
        }
        let pack =
            Pack { budget, tokens, text, evidence: shown, omitted: Vec::new(), redactions: redactor.counts().clone() };
        Rendered { messages, pack, tokens }
    }

    fn result(&self, id: EvidenceId, redactor: &mut Redactor, shown: &mut Vec<PackedEvidence>) -> String {
        let Some(item) = self.evidence.iter().find(|item| item.id == id) else { return String::new() };
        let whole = redactor.redact(&format!("[{id}] {}\n{}", item.title, text_of(item)));
        let text = if self.shortened.contains(&id) && whole.len() > SHORTENED {
            // A placeholder is not cut in two, and nothing is told apart twice: the cut comes after redaction.
            let mut end = whole.floor_char_boundary(SHORTENED);
            if whole[..end].matches('‹').count() > whole[..end].matches('›').count() {
                end = whole[..end].rfind('‹').unwrap_or(end);
            }
            format!("{}… (shortened to make room; ask again for all of it)", &whole[..end])
        } else {
            whole.clone()
        };
        shown.push(packed(item, whole));
        text
    }

    fn item(&self, id: EvidenceId, redactor: &mut Redactor, shown: &mut Vec<PackedEvidence>) -> String {
        let Some(analysis) = self.analysis() else { return String::new() };
        let mut alone = analysis.clone();
        alone.evidence.retain(|item| item.id == id);
        alone.suspects.clear();
        alone.changes.clear();
        alone.ruled_out.clear();
        alone.notes.clear();
        let (pack, after) = context::pack_joined(&alone, ITEM_TOKENS, std::mem::take(redactor));
        *redactor = after;
        let text = pack.evidence.first().map(|item| item.text.clone()).unwrap_or_default();
        shown.extend(pack.evidence);
        text
    }

    /// What an answer is held against: what was shown, and what the items hold.
    pub(super) fn proof(&self, shown: &Pack) -> Proof {
        let mut analysis = self.analysis().cloned().unwrap_or_else(nothing);
        analysis.evidence.extend(self.evidence.iter().cloned());
        let words = self.questions.last().map_or_else(String::new, |(question, now)| {
            format!("{}\n{} {}", time_words(question), now.to_clock(), now.to_rfc3339())
        });
        let mut pack = shown.clone();
        // Results of earlier questions are no longer sent, but were read, and may be cited again.
        for item in &self.evidence {
            if !pack.evidence.iter().any(|packed| packed.id == item.id) {
                pack.evidence.push(packed(item, String::new()));
            }
        }
        Proof::new(&analysis, Some(&pack)).repeating(&words)
    }
}

/// The time words of a question, such as `10 minutes` and `14:05`: an answer may repeat them without a proof. Any other
/// figure that a question brings up must be found in the evidence.
fn time_words(question: &str) -> String {
    let mut words = Vec::new();
    for token in tokens(question) {
        match token {
            Token::Number(number, written) => {
                let seconds = match number.unit {
                    Unit::Seconds(factor) => number.value * factor,
                    _ => 0.0,
                };
                if seconds >= SPAN_SECONDS {
                    words.push(written);
                }
            }
            Token::Word(word) => {
                if word.contains(':') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
                    words.push(word);
                }
            }
        }
    }
    words.join("\n")
}

/// The words without ids of evidence.
fn without_ids(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for word in words.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        match bare.parse::<EvidenceId>() {
            Ok(_) => out += &word[bare.len()..],
            Err(()) => out += word,
        }
    }
    out.replace("[]", "").replace("()", "")
}

/// The pack without its closing question, which is another one than ours.
fn without_question(text: &str) -> &str {
    text.rsplit_once("## Question\n").map_or(text, |(before, _)| before).trim_end()
}

/// What the text of an item is.
pub(super) fn text_of(item: &Evidence) -> &str {
    match &item.detail {
        Detail::Query { text } | Detail::Runbook { text } => text,
        _ => "",
    }
}

fn packed(item: &Evidence, text: String) -> PackedEvidence {
    PackedEvidence { id: item.id, kind: item.id.kind, service: item.service.clone(), change: None, tokens: 0, text }
}

/// What is open in the whole system, as the first item of a chat about it.
fn overview(told: &Told) -> Evidence {
    told_as(1, told, "incidents", told.text.clone())
}

/// What a tool of the engine told, as evidence.
pub(super) fn told_as(number: u32, told: &Told, expr: &str, text: Text) -> Evidence {
    Evidence {
        id: EvidenceId { kind: EvidenceKind::Query, number },
        service: None,
        title: told.title.clone(),
        strength: 1.0,
        onset: None,
        detail: Detail::Query { text },
        provenance: Provenance {
            source: told.source.clone(),
            lang: None,
            expr: expr.to_owned(),
            range: told.range,
            notes: Vec::new(),
        },
    }
}

/// An analysis of nothing.
fn nothing() -> Analysis {
    let never = TimeRange::new(Timestamp::default(), Timestamp::default());
    Analysis {
        incident: Incident {
            id: String::new(),
            title: Text::default(),
            severity: Severity::Unknown,
            started_at: Timestamp::default(),
            resolved_at: None,
            services: Vec::new(),
            alerts: Vec::new(),
            flapping: Vec::new(),
            window: never,
            baseline: never,
        },
        verdict: Finding::NothingFound,
        suspects: Vec::new(),
        changes: Vec::new(),
        ruled_out: Vec::new(),
        without_change: None,
        evidence: Vec::new(),
        graph: Vec::new(),
        notes: Vec::new(),
    }
}
