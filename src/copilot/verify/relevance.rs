//! Whether each of several cited items has anything to do with a sentence.

use super::figures::{Number, Token, tokens};
use super::item::Item;
use super::text::{plain, split_quotations, stands_in};
use crate::domain::evidence::{EvidenceId, EvidenceKind};

/// Letters of a word that joins a sentence and an item by standing in both.
const TELLING: usize = 5;

/// The first cited item that shares neither a name nor a figure, a time, a quotation or a telling word with the
/// sentence, where another shares one: it was cited at random. `None` also where the sentence names nothing.
pub(super) fn stray(text: &str, items: &[(EvidenceId, &Item)]) -> Option<EvidenceId> {
    if items.len() < 2 {
        return None;
    }
    let told = plain(&text.replace("'s ", " ").replace("’s ", " "));
    // What a pronoun stands for is not looked for.
    if ["it", "this", "that", "they", "these", "both", "neither", "each", "afterwards", "earlier", "later", "then"]
        .iter()
        .any(|word| stands_in(&told, word))
    {
        return None;
    }
    let found = tokens(text);
    let quotations: Vec<String> = split_quotations(text).0.iter().map(|quotation| plain(quotation)).collect();
    let numbers: Vec<Number> = found
        .iter()
        .filter_map(|token| match token {
            Token::Number(number, _) => Some(*number),
            Token::Word(_) => None,
        })
        .collect();
    let firm = |item: &Item| {
        item.names.iter().any(|name| stands_in(&told, name))
            || item.parts.iter().any(|part| stands_in(&told, part))
            || numbers.iter().any(|number| item.figures.iter().any(|figure| number.is(figure.number)))
            || found.iter().any(|token| match token {
                Token::Word(word) => stands_in(&item.text, plain(word).trim()),
                Token::Number(..) => false,
            })
            || quotations.iter().any(|quotation| !quotation.is_empty() && item.text.contains(quotation.trim()))
    };
    let loose = |item: &Item| {
        told.split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.len() >= TELLING)
            .any(|word| item.text.contains(word) || word.strip_suffix('s').is_some_and(|one| item.text.contains(one)))
            || words_of(item.kind).iter().any(|word| told.contains(word))
    };
    let firmly: Vec<bool> = items.iter().map(|(_, item)| firm(item)).collect();
    if !firmly.contains(&true) {
        return None;
    }
    items.iter().zip(firmly).find(|((_, item), firm)| !firm && !loose(item)).map(|((id, _), _)| *id)
}

/// Words by which a sentence means an item of that kind without naming it.
fn words_of(kind: Option<EvidenceKind>) -> &'static [&'static str] {
    match kind {
        Some(EvidenceKind::Alert) => &["alert", "page", "fire", "fired", "incident"],
        Some(EvidenceKind::Change) => &[
            "deploy",
            "commit",
            "change",
            "release",
            "rollout",
            "rolled",
            "flag",
            "config",
            "migration",
            "version",
            "shipped",
            "went live",
            "diff",
            "merge",
            "refactor",
            "code",
        ],
        Some(EvidenceKind::Log) => &["log", "line", "error", "warn", "message", "exception", "says", "prints", "fail"],
        Some(EvidenceKind::Edge) => {
            &["call", "→", "request", "traffic", "upstream", "downstream", "depend", "wait", "edge"]
        }
        Some(EvidenceKind::Runbook) => &["runbook", "playbook", "advise", "recommend"],
        _ => &[
            "metric", "signal", "all ", "both", "every", "series", "onset", "deviat", "symptom", "rise", "drop", "fall",
        ],
    }
}
