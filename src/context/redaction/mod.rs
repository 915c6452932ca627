//! Redaction: secrets are replaced by placeholders that keep equal values equal; for receivers that may see less,
//! personal data and the names of machines and identities as well.
//!
//! Rules are keyword-gated: one pass of an automaton says which keywords stand in the text, and only the rules they
//! belong to run. A value is named by its kind and a number (`‹secret:aws-key:1›`, `‹personal:email:2›`,
//! `‹name:pod:1›`), the same value always by the same name, so that a model can still see that two lines speak of one
//! token. What was once told to be a secret by the name in front of it is hidden wherever it stands bare, in other
//! alphabets too. The values themselves are kept only while the [`Redactor`] lives.

mod commands;
mod documents;
mod encoded;
mod entropy;
mod fields;
mod keys;
#[cfg(test)]
mod kinds_tests;
mod names;
mod personal;
mod rules;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use rules::rules;
use sha2::{Digest, Sha256};

use crate::domain::Outgoing;
use crate::domain::settings::Sees;

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// The text, secrets as `‹secret:kind:n›`.
    pub text: String,
    /// How many values of each kind were replaced.
    pub counts: BTreeMap<String, usize>,
}

/// Redacts many texts with placeholders that stay the same for the same value.
#[derive(Clone)]
pub struct Redactor {
    receiver: Sees,
    personal: bool,
    keep: BTreeSet<String>,
    names: HashMap<[u8; 32], String>,
    next: BTreeMap<String, usize>,
    counts: BTreeMap<String, usize>,
    /// Values that are secrets wherever they stand, longest first, with their kinds.
    known: Vec<(String, &'static str)>,
}

/// The place of something to hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    start: usize,
    end: usize,
    /// Of a secret its bare kind; of others with their class in front: `personal:email`.
    kind: &'static str,
    /// Lower is more specific: names the value where rules overlap.
    order: usize,
}

/// Passes over one text. Two are enough for anything but a text made to need more.
const MAX_PASSES: usize = 8;
/// Values remembered as secrets.
const MAX_KNOWN: usize = 2_000;
/// Shortest value that is hidden where nothing but itself tells it.
const KNOWN_LENGTH: usize = 8;
/// Letters and digits beside a placeholder from which they are worth hiding.
const REST: usize = 4;
/// Shortest part of a known secret that is hidden by itself, in bytes.
const REST_LENGTH: usize = 6;
/// Strings within strings that are taken apart.
const MOST_NESTED: usize = 3;
/// Classes of placeholders.
const CLASSES: [&str; 3] = ["secret", "personal", "name"];

impl Redactor {
    /// Nothing seen yet; hides secrets.
    pub fn new() -> Self {
        Self::for_receiver(Sees::Production)
    }

    /// For a receiver that may see so much. Secrets are hidden from all of them; from one that may see redacted text
    /// only, personal data and the names of machines and identities too; one that may see nothing gets nothing.
    pub fn for_receiver(receiver: Sees) -> Self {
        Self {
            receiver,
            personal: receiver < Sees::Production,
            keep: BTreeSet::new(),
            names: HashMap::new(),
            next: BTreeMap::new(),
            counts: BTreeMap::new(),
            known: Vec::new(),
        }
    }

    /// What the receiver may see.
    pub const fn receiver(&self) -> Sees {
        self.receiver
    }

    /// Hides personal data as well, whoever the receiver is.
    #[must_use]
    pub fn hiding_personal_data(mut self) -> Self {
        self.personal = true;
        self
    }

    /// Names that hide nobody: services, metrics. They are never taken for an identity or a secret seen elsewhere.
    #[must_use]
    pub fn keeping<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.keep.extend(names.into_iter().map(Into::into));
        self
    }

    /// Looks at a text that comes later, so that a secret that stands bare in an earlier one is known by then.
    pub fn learn(&mut self, text: &str) {
        let found = self.secrets(text);
        self.remember(text, &found);
    }

    /// The secrets of a text. A name that is kept is none because it looks random in part: resources of clouds are called
    /// `StateMachine76D362E8-T67Tg48ke8oK`.
    fn secrets(&self, text: &str) -> Vec<Found> {
        let mut found = secrets(text);
        found.retain(|one| {
            one.kind != entropy::KIND
                || !self.keep.iter().filter(|name| name.contains(&text[one.start..one.end]) && worded(name)).any(
                    |name| {
                        text.match_indices(name.as_str()).any(|(at, _)| at <= one.start && one.end <= at + name.len())
                    },
                )
        });
        found
    }

    /// The text without its secrets. Replacing one value can bring another to light, so it is looked at again until
    /// nothing more is found.
    pub fn redact(&mut self, text: &str) -> String {
        self.redact_with(text, &[])
    }

    /// As [`Self::redact`], for a line of which the template is known: for a receiver of redacted text the parts that
    /// vary are hidden, too.
    pub fn redact_line(&mut self, template: &str, line: &str) -> String {
        let also =
            if self.receiver == Sees::Redacted { names::variables(template, line, &self.keep) } else { Vec::new() };
        self.redact_with(line, &also)
    }

    fn redact_with(&mut self, text: &str, also: &[Found]) -> String {
        if self.receiver == Sees::Nothing {
            return String::new();
        }
        self.reserve(text);
        let Some(mut out) = self.pass(text, also) else { return text.to_owned() };
        for _ in 1..MAX_PASSES {
            match self.pass(&out, &[]) {
                Some(next) => out = next,
                None => break,
            }
        }
        out
    }

    /// The text as it may leave.
    pub fn outgoing(&mut self, text: &str) -> Outgoing {
        let text = self.redact(text);
        let hidden = placeholders(&text);
        Outgoing::masked(&text, hidden, self.receiver)
    }

    /// How many values of each kind were replaced so far, repetitions included.
    pub fn counts(&self) -> &BTreeMap<String, usize> {
        &self.counts
    }

    /// Placeholders that came with the text keep their numbers: no other value gets one of them.
    fn reserve(&mut self, text: &str) {
        for (_, kind, number) in placeholder_spans(text) {
            let next = self.next.entry(kind).or_default();
            *next = (*next).max(number);
        }
    }

    /// One pass; `None` when there is nothing to replace.
    fn pass(&mut self, text: &str, also: &[Found]) -> Option<String> {
        let mut found = self.secrets(text);
        self.remember(text, &found);
        for (value, kind) in &self.known {
            for (start, _) in text.match_indices(value.as_str()) {
                found.push(Found { start, end: start + value.len(), kind, order: 15_000 });
            }
        }
        self.rests(text, &mut found);
        if self.personal {
            personal::find(text, &mut found);
        }
        if self.receiver == Sees::Redacted {
            names::find(text, &self.keep, &mut found);
            found.extend_from_slice(also);
        }
        // What was replaced before stays as it is.
        let replaced = placeholder_spans(text);
        let mut found = outside(found, text, &replaced);
        if found.is_empty() {
            return None;
        }
        // The earlier and longer match wins; overlapping ones are joined, so that no rest of a secret stays.
        found.sort_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)).then(a.order.cmp(&b.order)));
        let mut merged: Vec<Found> = Vec::with_capacity(found.len());
        for one in found {
            match merged.last_mut() {
                Some(last) if one.start < last.end => {
                    if one.order < last.order {
                        last.kind = one.kind;
                        last.order = one.order;
                    }
                    last.end = last.end.max(one.end);
                }
                _ => merged.push(one),
            }
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for one in merged {
            out.push_str(&text[at..one.start]);
            out.push_str(&self.name(one.kind, &text[one.start..one.end]));
            at = one.end;
        }
        out.push_str(&text[at..]);
        Some(out)
    }

    /// What is left of a known secret where a template has put `<*>` for the rest of it.
    fn rests(&self, text: &str, found: &mut Vec<Found>) {
        const HOLE: &str = "<*>";
        if self.known.is_empty() {
            return;
        }
        let mut at = 0;
        for word in text.split_inclusive(char::is_whitespace) {
            let mut start = at;
            at += word.len();
            if !word.contains(HOLE) {
                continue;
            }
            for piece in word.split(HOLE) {
                let inside = piece.trim_end();
                // A name in front of the value is no part of it.
                let from = inside.rfind(['=', ':', '"', '\'', '(', '[', '{', '@']).map_or(0, |sign| sign + 1);
                for rest in [&inside[from..], inside] {
                    let offset = inside.len() - rest.len();
                    if rest.len() >= REST_LENGTH && self.known.iter().any(|(value, _)| value.contains(rest)) {
                        let start = start + offset;
                        found.push(Found { start, end: start + rest.len(), kind: "part", order: 16_000 });
                    }
                }
                start += piece.len() + HOLE.len();
            }
        }
    }

    /// Keeps the values that cannot be anything but themselves, to find them where nothing else tells them.
    fn remember(&mut self, text: &str, found: &[Found]) {
        for one in found {
            let value = &text[one.start..one.end];
            let telling = value.len() >= KNOWN_LENGTH
                && value.len() <= 4_096
                && !value.contains('‹')
                && !value.contains(char::is_whitespace)
                && (value.bytes().any(|byte| byte.is_ascii_digit()) || value.len() >= 16)
                && value.bytes().any(|byte| byte.is_ascii_alphabetic())
                && !self.keep.contains(value);
            if telling && self.known.len() < MAX_KNOWN && self.known.iter().all(|(known, _)| known != value) {
                self.known.push((value.to_owned(), one.kind));
                for spelling in encoded::spellings(value) {
                    self.known.push((spelling, "encoded"));
                }
                self.known.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
            }
        }
    }

    fn name(&mut self, kind: &'static str, value: &str) -> String {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        let next = &mut self.next;
        self.names
            .entry(Sha256::digest(value.as_bytes()).into())
            .or_insert_with(|| {
                let number = next.entry(kind.to_owned()).or_default();
                *number += 1;
                let class = if kind.contains(':') { "" } else { "secret:" };
                format!("‹{class}{kind}:{number}›")
            })
            .clone()
    }
}

/// Whether a name is made of words for a good part: four letters or more that are no capitals but for the first.
fn worded(name: &str) -> bool {
    let (mut inside, mut run) = (0, 0);
    for c in name.chars().chain(['-']) {
        if c.is_ascii_lowercase() {
            run += 1;
        } else {
            if run >= 4 {
                inside += run;
            }
            run = usize::from(c.is_ascii_uppercase());
        }
    }
    inside * 5 >= name.chars().count() * 2
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("receiver", &self.receiver)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// All secrets of a text; may overlap.
fn secrets(text: &str) -> Vec<Found> {
    let mut found = plain_secrets(text);
    // A text within a string has its line breaks and quotes escaped, as often as strings are nested.
    let mut inner = text.to_owned();
    let mut places: Option<Vec<usize>> = None;
    for _ in 0..MOST_NESTED {
        let Some((next, from)) = encoded::unescaped(&inner) else { break };
        let from: Vec<usize> = match &places {
            Some(outer) => from.iter().map(|at| outer[*at]).collect(),
            None => from,
        };
        found.extend(plain_secrets(&next).into_iter().map(|one| Found {
            start: from[one.start],
            end: from[one.end],
            ..one
        }));
        (inner, places) = (next, Some(from));
    }
    encoded::find(text, &mut found, &|inner| !plain_secrets(inner).is_empty());
    found
}

/// The secrets that can be read as they stand.
fn plain_secrets(text: &str) -> Vec<Found> {
    let mut found = rules().find(text);
    fields::find(text, &mut found);
    documents::find(text, &mut found);
    entropy::find(text, &mut found);
    found
}

/// What of the findings lies outside of what was replaced before: a finding around a placeholder falls into the parts
/// beside it, of which those count that are more than a few signs.
fn outside(found: Vec<Found>, text: &str, replaced: &[(Range<usize>, String, usize)]) -> Vec<Found> {
    if replaced.is_empty() {
        return found;
    }
    let mut out = Vec::with_capacity(found.len());
    for one in found {
        let mut start = one.start;
        let within = replaced.iter().filter(|(span, _, _)| span.start < one.end && one.start < span.end);
        let mut touched = false;
        for (span, _, _) in within {
            touched = true;
            out.push(Found { start, end: span.start.max(start), ..one });
            start = span.end.max(start);
        }
        out.push(if touched { Found { start, end: one.end.max(start), ..one } } else { one });
    }
    out.retain(|one| {
        let rest = &text[one.start..one.end];
        let whole = replaced.iter().all(|(span, _, _)| span.end != one.start && span.start != one.end);
        !rest.is_empty() && (whole || rest.bytes().filter(u8::is_ascii_alphanumeric).count() >= REST)
    });
    out
}

/// Redacts one text.
pub fn redact(text: &str) -> Redacted {
    let mut redactor = Redactor::new();
    Redacted { text: redactor.redact(text), counts: redactor.counts }
}

/// The text without placeholders.
fn without_placeholders(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (span, _, _) in placeholder_spans(text) {
        out.push_str(&text[at..span.start]);
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

/// Placeholders in a redacted text, by kind.
pub fn placeholders(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, kind, _) in placeholder_spans(text) {
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// Where placeholders stand, with their kinds (of secrets without their class) and numbers.
fn placeholder_spans(text: &str) -> Vec<(Range<usize>, String, usize)> {
    let mut spans = Vec::new();
    for (start, open) in text.match_indices('‹') {
        let rest = &text[start + open.len()..];
        let Some(length) = rest.find('›').filter(|length| *length <= 60) else { continue };
        let mut parts = rest[..length].split(':');
        let (Some(class), Some(kind), Some(number), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let plain = !kind.is_empty()
            && kind.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'0'..=b'9'));
        let (true, true, Ok(number)) = (CLASSES.contains(&class), plain, number.parse::<u32>()) else { continue };
        let kind = if class == "secret" { kind.to_owned() } else { format!("{class}:{kind}") };
        spans.push((start..start + open.len() + length + '›'.len_utf8(), kind, number as usize));
    }
    spans
}
