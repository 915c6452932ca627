//! Chats with a language model: questions, the steps taken, answers, and the question being written.

pub mod editor;
pub mod rows;

use crate::domain::evidence::{Evidence, EvidenceId};
use crate::domain::question::{Asking, Reply};
use crate::domain::{Text, Timestamp};

use super::effect::Generation;
use super::message::PackPreview;
use super::model::Model;
use super::screen::Detail;
use super::slot::Slot;

pub use editor::Editor;

/// Questions kept of one chat.
pub const TURNS_MAX: usize = 50;

/// The name of the chat about the whole system; the others have the id of their incident.
pub const SYSTEM: &str = "";

/// One question with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Number within the chat, never reused.
    pub number: u64,
    /// The question.
    pub question: Text,
    /// When it was asked.
    pub at: Timestamp,
    /// Of which examination of the incident; 0 of the whole system.
    pub examined: Generation,
    /// How far it is, or was when it ended.
    pub asking: Asking,
    /// The answer.
    pub reply: Option<Reply>,
    /// Why there is none.
    pub error: Option<Text>,
}

/// A chat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chat {
    /// Questions, oldest first.
    pub turns: Vec<Turn>,
    /// The question being written; kept when the screen is left.
    pub editor: Editor,
    /// The question under way.
    pub slot: Slot<()>,
    /// Which earlier question stands in the editor, counted from the newest; none for one's own.
    pub recalled: Option<usize>,
    /// What would be sent for the question being written, where the operator wants to look first.
    pub preview: Slot<PackPreview>,
    /// What was being written before earlier questions were looked at.
    pub own: String,
    next: u64,
}

impl Chat {
    /// Adds a question about the incident as it was examined then; its number.
    pub fn begin(&mut self, question: Text, at: Timestamp, examined: Generation) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.turns.len() == TURNS_MAX {
            self.turns.remove(0);
        }
        self.turns.push(Turn { number, question, at, examined, asking: Asking::default(), reply: None, error: None });
        number
    }

    /// The question with this number.
    pub fn turn(&self, number: u64) -> Option<&Turn> {
        self.turns.iter().find(|turn| turn.number == number)
    }

    /// Puts the question before, or after, the one that stands in the editor there; whether there is one.
    pub fn recall(&mut self, older: bool) -> bool {
        let next = match (self.recalled, older) {
            (None, true) => Some(0),
            (None, false) => return false,
            (Some(at), true) => Some(at + 1),
            (Some(0), false) => None,
            (Some(at), false) => Some(at - 1),
        };
        let Some(at) = next else {
            self.recalled = None;
            self.editor = Editor::new(&std::mem::take(&mut self.own));
            return true;
        };
        let Some(turn) = self.turns.iter().rev().nth(at) else { return false };
        if self.recalled.is_none() {
            self.own = self.editor.text().to_owned();
        }
        self.editor = Editor::new(&turn.question);
        self.recalled = Some(at);
        true
    }
}

/// State of the screen of a chat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatScreen {
    /// The name of the chat.
    pub chat: String,
    /// Whether the keyboard is in the answers rather than in the question.
    pub reading: bool,
    /// The selected row, while reading.
    pub cursor: usize,
    /// The focused link of that row.
    pub link: usize,
    /// Lines scrolled up from the end, while writing.
    pub back: usize,
}

/// The item that a detail shows: of the answer that it was opened from, else of the incident.
pub fn item<'a>(model: &'a Model, detail: &Detail, id: EvidenceId) -> Option<&'a Evidence> {
    let turn = detail.turn.and_then(|number| model.chats.get(&detail.incident)?.turn(number));
    let brought = turn.and_then(|turn| turn.reply.as_ref()?.evidence.iter().find(|item| item.id == id));
    brought.or_else(|| model.cases.get(&detail.incident)?.investigation.value.as_ref()?.analysis.evidence(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_questions_are_recalled_and_the_draft_comes_back() {
        let mut chat = Chat::default();
        for question in ["first", "second"] {
            chat.begin(question.into(), Timestamp::default(), 0);
        }
        chat.editor = Editor::new("my own");
        let mut texts = Vec::new();
        for older in [true, true, true, false, false, false] {
            chat.recall(older);
            texts.push(chat.editor.text().to_owned());
        }
        assert_eq!(texts, ["second", "first", "first", "second", "my own", "my own"]);
    }

    #[test]
    fn a_chat_is_bounded_and_numbers_are_not_reused() {
        let mut chat = Chat::default();
        for _ in 0..TURNS_MAX + 3 {
            chat.begin("q".into(), Timestamp::default(), 0);
        }
        assert_eq!((chat.turns.len(), chat.turns[0].number), (TURNS_MAX, 3));
    }
}
