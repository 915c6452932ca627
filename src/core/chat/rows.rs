//! A chat as rows with links: what is drawn, and what the cursor moves over.

use crate::core::model::Model;
use crate::domain::Text;
use crate::domain::diagnosis::Unsupported;
use crate::domain::evidence::EvidenceId;
use crate::domain::question::{Step, StepOutcome};

use super::{Chat, Turn};

/// Kind of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A question.
    Question,
    /// What the model is after with the step that follows.
    Thought,
    /// A step.
    Step,
    /// What came of it, when it is not an answer.
    Trouble,
    /// Where the question stands.
    Stage,
    /// The answer in short, as far as it is written: nothing of it is checked.
    Draft,
    /// The answer in short.
    Answer,
    /// A claim that stands in what it cites.
    Claim,
    /// A claim, or an answer, that does not.
    Unsupported,
    /// What the model wrote instead of an answer: nothing of it was checked.
    Plain,
    /// What was missing.
    Missing,
    /// What must be said of the answer.
    Remark,
    /// Why there is no answer.
    Failed,
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Kind.
    pub kind: Kind,
    /// The words in front: the tool of a step.
    pub label: String,
    /// The words.
    pub text: Text,
    /// Behind the words, of lesser weight: how long a step took.
    pub note: String,
    /// Cited evidence that exists.
    pub links: Vec<EvidenceId>,
    /// The question that it belongs to.
    pub turn: u64,
}

/// The rows of a chat, oldest first.
pub fn rows(model: &Model, name: &str) -> Vec<Row> {
    let Some(chat) = model.chats.get(name) else { return Vec::new() };
    let mut rows = Vec::new();
    for turn in &chat.turns {
        push_turn(&mut rows, model, name, chat, turn);
    }
    rows
}

fn push_turn(rows: &mut Vec<Row>, model: &Model, name: &str, chat: &Chat, turn: &Turn) {
    let row = |kind: Kind, label: &str, text: &str, links: Vec<EvidenceId>| Row {
        kind,
        label: label.to_owned(),
        text: Text::new(text),
        note: String::new(),
        links,
        turn: turn.number,
    };
    let case = model.cases.get(name);
    // The incident was examined anew since: its items have other ids, and only what the steps brought is still known.
    let earlier = case.is_some_and(|case| case.investigation.content() != turn.examined);
    let note = if earlier { "of an earlier analysis: what it cites of that is no longer linked" } else { "" };
    rows.push(Row { note: note.to_owned(), ..row(Kind::Question, "", &turn.question, Vec::new()) });
    let brought = |id: EvidenceId| {
        let reply = turn.reply.iter().flat_map(|reply| &reply.evidence).any(|item| item.id == id);
        let found = case.and_then(|case| case.investigation.value.as_ref());
        reply || (!earlier && found.is_some_and(|found| found.analysis.evidence(id).is_some()))
    };
    let steps = turn.reply.as_ref().map_or(&turn.asking.steps, |reply| &reply.steps);
    for step in steps {
        if !step.thought.trim().is_empty() {
            rows.push(row(Kind::Thought, "", &step.thought, Vec::new()));
        }
        let links = step.evidence.filter(|id| brought(*id)).into_iter().collect();
        rows.push(Row { note: took(step), ..row(Kind::Step, &step.tool, &step.what, links) });
        if let StepOutcome::Failed { why } | StepOutcome::Refused { why } = &step.outcome {
            rows.push(row(Kind::Trouble, "", &why.one_line(), Vec::new()));
        }
    }
    if let Some(why) = &turn.error {
        rows.push(row(Kind::Failed, "", why, Vec::new()));
    }
    let Some(reply) = &turn.reply else {
        if turn.error.is_none() && chat.slot.busy() {
            for (kind, text) in [(Kind::Thought, &turn.asking.thought), (Kind::Draft, &turn.asking.answer)] {
                if !text.trim().is_empty() {
                    rows.push(row(kind, "", text, Vec::new()));
                }
            }
            let stage = if turn.asking.stage.is_empty() { "beginning" } else { turn.asking.stage.as_str() };
            rows.push(row(Kind::Stage, "", stage, Vec::new()));
        }
        return;
    };
    let diagnosed = &reply.diagnosed;
    let refuted = |path: &str| diagnosed.unsupported.iter().find(|claim| claim.path == path);
    let judged = |kind: Kind, text: &str, why: Option<&Unsupported>, links: Vec<EvidenceId>| match why {
        None => row(kind, "", text, links),
        Some(claim) => row(Kind::Unsupported, "", &format!("\"{text}\": {}", claim.why), links),
    };
    if !diagnosed.diagnosis.summary.is_empty() {
        rows.push(judged(Kind::Answer, &diagnosed.diagnosis.summary, refuted("summary"), Vec::new()));
    }
    for (at, claim) in diagnosed.diagnosis.observations.iter().enumerate() {
        let links = claim.evidence.iter().filter_map(|id| id.parse().ok()).filter(|id| brought(*id)).collect();
        rows.push(judged(Kind::Claim, &claim.text, refuted(&format!("observations[{at}]")), links));
    }
    if let Some(plain) = &diagnosed.plain {
        rows.push(row(Kind::Plain, "", plain, Vec::new()));
    }
    if !diagnosed.unknown_ids.is_empty() {
        let ids: Vec<String> = diagnosed.unknown_ids.iter().map(|(id, times)| format!("{id} ×{times}")).collect();
        let text = format!("cited but not among the evidence: {}", ids.join(", "));
        rows.push(row(Kind::Unsupported, "", &text, Vec::new()));
    }
    rows.extend(diagnosed.diagnosis.missing.iter().map(|text| row(Kind::Missing, "", text, Vec::new())));
    rows.extend(diagnosed.remarks.iter().map(|text| row(Kind::Remark, "", text, Vec::new())));
    let hidden: usize = reply.hidden.values().sum();
    if hidden > 0 {
        let text = format!("{hidden} secret values were hidden from the model");
        rows.push(row(Kind::Remark, "", &text, Vec::new()));
    }
}

/// What came of a step, and how long it took.
fn took(step: &Step) -> String {
    let time = if step.elapsed_ms < 1_000 {
        format!("{} ms", step.elapsed_ms)
    } else {
        format!("{}.{} s", step.elapsed_ms / 1_000, step.elapsed_ms % 1_000 / 100)
    };
    match &step.outcome {
        StepOutcome::UnderWay => "…".to_owned(),
        StepOutcome::Answered { items: 1 } => format!("1 item · {time}"),
        StepOutcome::Answered { items } => format!("{items} items · {time}"),
        StepOutcome::Failed { .. } => format!("failed · {time}"),
        StepOutcome::Refused { .. } => "refused".to_owned(),
        StepOutcome::Repeated => "asked before".to_owned(),
    }
}
