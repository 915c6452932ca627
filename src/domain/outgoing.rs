//! Text that may leave the process: for a language model, a ticket, a chat, a report, the clipboard.
//!
//! What sends takes [`Outgoing`] and nothing else, so text that nobody masked cannot be sent by mistake. Only the room
//! `context` makes one from text that was not written by us, by masking it; a test over the source tree keeps it so.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::settings::Sees;

/// Masked text, with what was masked in it. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    text: Arc<str>,
    hidden: Arc<BTreeMap<String, usize>>,
    shows: Sees,
}

impl Outgoing {
    /// Words of our own, the same in every incident.
    pub fn fixed(text: &'static str) -> Self {
        Self { text: Arc::from(text), hidden: Arc::default(), shows: Sees::Nothing }
    }

    /// What masking made. For `context` alone.
    ///
    /// `hidden` counts the masked values in `text` by kind; `shows` is what a reader of `text` comes to see.
    pub fn masked(text: &str, hidden: BTreeMap<String, usize>, shows: Sees) -> Self {
        Self { text: Arc::from(text), hidden: Arc::new(hidden), shows }
    }

    /// Texts one after the other, as they are: each was masked with what was known of it.
    pub fn joined<'a>(texts: impl IntoIterator<Item = &'a Self>, between: &'static str) -> Self {
        let (mut text, mut hidden, mut shows) = (String::new(), BTreeMap::new(), Sees::Nothing);
        for (at, one) in texts.into_iter().enumerate() {
            text.push_str(if at > 0 { between } else { "" });
            text.push_str(one);
            for (kind, count) in &*one.hidden {
                *hidden.entry(kind.clone()).or_default() += count;
            }
            shows = shows.max(one.shows);
        }
        Self { text: Arc::from(text), hidden: Arc::new(hidden), shows }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Masked values in it, by kind, repetitions included. Never the values, nor anything made from them.
    pub fn hidden(&self) -> &BTreeMap<String, usize> {
        &self.hidden
    }

    /// What a reader of it comes to see: [`Sees::Nothing`] for words of our own.
    pub const fn shows(&self) -> Sees {
        self.shows
    }

    /// Whether it may go to a receiver that may see so much.
    pub fn may_go_to(&self, receiver: Sees) -> bool {
        self.shows <= receiver
    }
}

impl From<&'static str> for Outgoing {
    fn from(text: &'static str) -> Self {
        Self::fixed(text)
    }
}

impl Deref for Outgoing {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_with_what_is_hidden_in_them() {
        let hidden = |count| BTreeMap::from([("token".to_owned(), count)]);
        let first = Outgoing::masked("a", hidden(1), Sees::Redacted);
        let second = Outgoing::masked("b", hidden(2), Sees::Production);
        let all = Outgoing::joined([&first, &second, &Outgoing::fixed("c")], ", ");
        assert_eq!((all.as_str(), all.hidden(), all.shows()), ("a, b, c", &hidden(3), Sees::Production));
        assert_eq!(Outgoing::joined([], ", "), Outgoing::fixed(""));
    }

    #[test]
    fn text_goes_only_where_as_much_may_be_seen() {
        let whole = Outgoing::masked("a", BTreeMap::new(), Sees::Production);
        let less = Outgoing::masked("a", BTreeMap::new(), Sees::Redacted);
        let receivers = [Sees::Nothing, Sees::Redacted, Sees::Production];
        assert_eq!(receivers.map(|receiver| whole.may_go_to(receiver)), [false, false, true]);
        assert_eq!(receivers.map(|receiver| less.may_go_to(receiver)), [false, true, true]);
        assert_eq!(receivers.map(|receiver| Outgoing::fixed("a").may_go_to(receiver)), [true; 3]);
    }
}
