//! Redaction: secrets are replaced by placeholders that keep equal values equal.
//!
//! Rules are keyword-gated: one pass of an automaton says which keywords stand in the text, and only the rules they
//! belong to run. A value is named by its kind and a number (`‹secret:aws-key:1›`), the same value always by the same
//! name, so that a model can still see that two lines speak of one token. The value itself is kept only while the
//! [`Redactor`] lives, as a hash.

mod entropy;
#[cfg(test)]
mod kinds_tests;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use sha2::{Digest, Sha256};

use rules::rules;

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
#[derive(Debug, Clone)]
pub struct Redactor {
    receiver: Sees,
    names: HashMap<[u8; 32], String>,
    next: BTreeMap<&'static str, usize>,
    counts: BTreeMap<String, usize>,
}

impl Redactor {
    /// Nothing seen yet; hides secrets.
    pub fn new() -> Self {
        Self::for_receiver(Sees::Production)
    }

    /// For a receiver that may see so much. Secrets are hidden from all of them.
    pub fn for_receiver(receiver: Sees) -> Self {
        Self { receiver, names: HashMap::new(), next: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// The text without its secrets. Replacing one value can bring another to light, so it is looked at again until
    /// nothing more is found.
    pub fn redact(&mut self, text: &str) -> String {
        let mut out = text.to_owned();
        for _ in 0..MAX_PASSES {
            match self.pass(&out) {
                Some(next) => out = next,
                None => break,
            }
        }
        out
    }

    /// One pass; `None` when there is nothing to replace.
    fn pass(&mut self, text: &str) -> Option<String> {
        let mut found = rules().find(text);
        entropy::find(text, &mut found);
        // What was replaced before stays as it is.
        let known = placeholder_spans(text);
        found.retain(|one| known.iter().all(|span| one.end <= span.start || span.end <= one.start));
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

    fn name(&mut self, kind: &'static str, value: &str) -> String {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        let next = &mut self.next;
        self.names
            .entry(Sha256::digest(value.as_bytes()).into())
            .or_insert_with(|| {
                let number = next.entry(kind).or_default();
                *number += 1;
                format!("{OPEN}{kind}:{number}›")
            })
            .clone()
    }
}

/// Passes over one text. Two are enough for anything but a text made to need more.
const MAX_PASSES: usize = 8;
/// How a placeholder begins.
const OPEN: &str = "‹secret:";

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

/// Redacts one text.
pub fn redact(text: &str) -> Redacted {
    let mut redactor = Redactor::new();
    Redacted { text: redactor.redact(text), counts: redactor.counts }
}

/// Placeholders in a redacted text, by kind.
pub fn placeholders(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for span in placeholder_spans(text) {
        let inside = &text[span.start + OPEN.len()..span.end];
        let kind = inside.split(':').next().unwrap_or_default();
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    counts
}

fn placeholder_spans(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    for (start, _) in text.match_indices(OPEN) {
        let rest = &text[start + OPEN.len()..];
        let Some(length) = rest.find('›') else { break };
        let is_ours = rest[..length].split_once(':').is_some_and(|(kind, number)| {
            kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_ours {
            spans.push(start..start + OPEN.len() + length + '›'.len_utf8());
        }
    }
    spans
}

/// The place of a secret.
#[derive(Debug, Clone, Copy)]
struct Found {
    start: usize,
    end: usize,
    kind: &'static str,
    /// Lower is more specific: names the value where rules overlap.
    order: usize,
}
