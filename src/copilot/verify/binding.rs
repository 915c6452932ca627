//! Whether a clause gives the figures and times of one item to another: it names the one and tells what only the other
//! holds.

use std::ops::Range;
use std::sync::LazyLock;

use ::regex::Regex;

use super::figures::{Number, Token, Unit};
use super::item::Item;
use super::regex;
use super::text::{first_part, plain, stands_apart, stands_in};
use crate::domain::evidence::{EvidenceId, EvidenceKind};

/// What a word of the kind of an item weighs beside a name, in letters.
const KIND: usize = 5;
/// What the id of an item weighs, in letters: it leaves no doubt.
const ID: usize = 60;

/// Parts of a sentence, each with whatever it speaks of.
fn clauses(text: &str) -> Vec<Range<usize>> {
    static BREAK: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)[;:,.]\s|\s\(|\)|\s(?:while|whereas|but|although|though|because|and|or|before|after|than|when|so|yet|against|until|as|nor|to the|under|over|above|below|next to|compared with|compared to|close to|precedes|preceded|follows|followed|predates|predated)\s|\s(?:since)\s(?:the|it|its|a|an|that)\s",
        )
    });
    let mut out = Vec::new();
    let mut start = 0;
    for found in BREAK.find_iter(text) {
        out.push(start..found.start());
        start = found.end();
    }
    out.push(start..text.len());
    out
}

/// How much each item is named by a clause, in letters of the names. What names all alike tells nothing.
fn named(clause: &str, items: &[(EvidenceId, &Item)], services: &[(String, String)]) -> Vec<usize> {
    static IDENTIFIER: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"\b[\w./-]*[#_/][\w./#-]*\w\b|\b[A-Za-z]+[a-z][A-Z]\w*\b|\b[a-z]+(?:-[a-z0-9]+)+\b|\bv\d[\w.-]*\b")
    });
    let told = plain(&clause.replace("'s ", " ").replace("’s ", " "));
    let told = told.trim();
    let mut scores = vec![0; items.len()];
    let mut count = |weight: usize, has: &dyn Fn(&EvidenceId, &Item) -> bool| {
        for (score, (id, item)) in scores.iter_mut().zip(items) {
            if has(id, item) {
                *score += weight;
            }
        }
    };
    for name in services_in(told, services) {
        count(name.len(), &|_, item| stands_in(&item.words, name) || stands_in(&item.text, name));
    }
    for found in IDENTIFIER.find_iter(clause) {
        let word = plain(found.as_str());
        let word = word.trim();
        if !services.iter().any(|(_, name)| name == word) {
            count(word.len(), &|_, item| item.text.contains(word));
        }
    }
    for (id, _) in items {
        if stands_in(told, plain(&id.to_string()).trim()) {
            count(ID, &|other, _| other == id);
        }
    }
    for found in STATISTIC.find_iter(told) {
        let word = found.as_str();
        count(word.len(), &|id, item| match id.kind {
            EvidenceKind::Metric => measures(item, word),
            EvidenceKind::Change | EvidenceKind::Alert => item.text.contains(word),
            _ => true,
        });
    }
    for (kind, words) in
        [(EvidenceKind::Alert, &ALERTED), (EvidenceKind::Change, &CHANGED), (EvidenceKind::Log, &LOGGED)]
    {
        if words.is_match(told) {
            count(KIND, &|id, _| id.kind == kind);
        }
    }
    scores
}

/// The services that a clause names, in full or by the first part of a long name: `PetSearch` of `PetSearch_AWS::ECS`.
fn services_in<'a>(told: &str, services: &'a [(String, String)]) -> Vec<&'a str> {
    let mut found: Vec<&str> = services
        .iter()
        .filter_map(|(_, name)| {
            let short = first_part(name);
            let named = [name.as_str(), short].into_iter().find(|name| name.len() > 3 && stands_in(told, name))?;
            Some(named)
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    // A part of a longer name that is named is not named itself.
    let all = found.clone();
    found.retain(|name| !all.iter().any(|other| other.len() > name.len() && other.contains(name)));
    found
}

/// Whether a clause speaks of one thing: of two, its figures may be of either.
fn of_one(told: &str, items: &[(EvidenceId, &Item)], services: &[(String, String)]) -> bool {
    let named = services_in(told, services);
    let statistics = STATISTIC
        .find_iter(told)
        .filter(|one| one.as_str().starts_with(['p', 'q']) || one.as_str().starts_with("av"))
        .count();
    let joined = named.len() < 2
        || named.len() == 2
            && items.iter().any(|(_, item)| {
                item.calls
                    .as_ref()
                    .is_some_and(|(a, b)| named.iter().all(|name| stands_in(a, name) || stands_in(b, name)))
            });
    // `After the deploy the latency rose` speaks of two.
    let dated = ALERTED.is_match(told) || CHANGED.is_match(told);
    joined && statistics < 2 && !(dated && (STATISTIC.is_match(told) || LOGGED.is_match(told)))
}

static STATISTIC: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:p\d{2}(?:\.?\d)?|quantile 0\.\d+|average|mean|median|cpu|memory|disk|latency|availability|receives?d?|received|transmits?|transmitted|requests)\b",
    )
});
static WHICH: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:which|whose|where it)\b"));
static LOGGED: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(?:line|lines|template|logged)\b"));
static ALERTED: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(?:alert|alerts|alerted|fired|paged)\b"));
static CHANGED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:deploy|deployed|deployment|rollout|rolled out|went out|went live|were live|was live|shipped|landed|released|merged|committed|commit|switched|flag|changes?)\b",
    )
});

/// Whether a metric is of that statistic or resource, or says nothing of any.
fn measures(item: &Item, word: &str) -> bool {
    let has = |word: &str| {
        item.words.match_indices(word).any(|(at, _)| !item.words[..at].ends_with(|c: char| c.is_ascii_alphanumeric()))
    };
    if let Some(digits) = word.strip_prefix('p').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        let quantile = format!("0.{}", digits.replace('.', ""));
        return has(word) || has(quantile.trim_end_matches('0'));
    }
    if let Some(quantile) = word.strip_prefix("quantile ") {
        return has(quantile.trim_end_matches('0'));
    }
    match word {
        "average" | "mean" => has("average") || has("avg") || has("mean"),
        "median" => true,
        "latency" => has("latency") || has("duration") || has("seconds") || has("time") || has("ms"),
        _ => has(word
            .strip_suffix('s')
            .or_else(|| word.strip_suffix("ed"))
            .or_else(|| word.strip_suffix("ted"))
            .unwrap_or(word)),
    }
}

/// Whether a word is a time of day.
fn is_clock(word: &str) -> bool {
    word.contains(':') && word.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether an item holds a number in any part, or a time or name in its words.
fn holds(item: &Item, token: &Token) -> bool {
    match token {
        Token::Number(number, written) => {
            item.figures.iter().any(|figure| number.is(figure.number))
                || number.unit == Unit::None && stands_apart(&item.text, plain(written).trim())
        }
        Token::Word(word) => {
            let word = plain(word);
            stands_in(&item.text, word.trim()) || stands_in(&item.words, word.trim())
        }
    }
}

/// A place where a sentence names some of the items, and which.
struct Mention {
    place: Range<usize>,
    of: Vec<bool>,
}

/// The places where a sentence names some of the items and not others.
fn mentions(text: &str, items: &[(EvidenceId, &Item)], services: &[(String, String)]) -> Vec<Mention> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| regex(r"quantile 0\.\d+|[\w@#/:-]+(?:\.[\w@#/:-]*\w)*"));
    WORD.find_iter(text)
        .filter(|found| !found.as_str().starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|found| {
            let of: Vec<bool> = named(found.as_str(), items, services).into_iter().map(|score| score > 0).collect();
            (of.contains(&true) && of.contains(&false)).then(|| Mention { place: found.range(), of })
        })
        .collect()
}

/// Why two figures or times of a sentence have changed places: each stands beside what holds only the other.
pub(super) fn crossed(
    text: &str,
    tokens: &[(Range<usize>, Token)],
    items: &[(EvidenceId, &Item)],
    services: &[(String, String)],
) -> Option<String> {
    static BESIDE: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s(?:in|at|for|on|of|by)\s(?:the\s)?"));
    static LISTED: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s?(?:,|and|,\sand|to|vs\.?|against)\s?$"));
    if items.len() < 2 {
        return None;
    }
    let mentions = mentions(text, items, services);
    let told: Vec<(&Range<usize>, Vec<bool>)> = tokens
        .iter()
        // A place in code is no figure, and what is explained in brackets has its name there.
        .filter(|(place, _)| !text[..place.start].ends_with('#') && !text[place.end..].trim_start().starts_with('('))
        .filter(|(_, token)| match token {
            Token::Number(number, _) => number.unit != Unit::Times,
            Token::Word(word) => is_clock(word),
        })
        .map(|(place, token)| (place, items.iter().map(|(_, item)| holds(item, token)).collect::<Vec<bool>>()))
        .collect();
    let joined = |a: &Range<usize>, b: &Range<usize>| LISTED.is_match(&text[a.end..b.start]);
    // What each figure stands beside: what is named last before it; of two listed names, the one in its place.
    let beside: Vec<Option<&Mention>> = told
        .iter()
        .enumerate()
        .map(|(at, (place, _))| {
            // `6 s in checkout`.
            let link = BESIDE.find(&text[place.end..]).map(|link| place.end + link.end());
            if let Some(named) = mentions.iter().find(|mention| Some(mention.place.start) == link) {
                return Some(named);
            }
            let before = mentions.iter().rposition(|mention| mention.place.end <= place.start);
            let Some(last) = before else { return mentions.first() };
            let listed = last > 0 && joined(&mentions[last - 1].place, &mentions[last].place);
            let first_of_two = told.get(at + 1).is_some_and(|(next, _)| joined(place, next));
            Some(&mentions[if listed && first_of_two { last - 1 } else { last }])
        })
        .collect();
    let meet = |a: &[bool], b: &[bool]| a.iter().zip(b).any(|(a, b)| *a && *b);
    for (i, (place, held)) in told.iter().enumerate() {
        for (j, (_, other)) in told.iter().enumerate().skip(i + 1) {
            let (Some(first), Some(second)) = (beside[i], beside[j]) else { continue };
            let wrong = !meet(&first.of, held) && !meet(&second.of, other);
            if wrong && meet(&first.of, other) && meet(&second.of, held) {
                return Some(format!("{} is of something else that it cites", text[(*place).clone()].trim()));
            }
        }
    }
    None
}

/// Why a clause tells a figure or a time of another item than the one that it names; `None` when it does not, or names
/// none in particular. `spans` are times between what the items tell.
pub(super) fn misplaced(
    text: &str,
    tokens: &[(Range<usize>, Token)],
    items: &[(EvidenceId, &Item)],
    services: &[(String, String)],
    spans: &[Number],
) -> Option<String> {
    if items.len() < 2 {
        return None;
    }
    let clauses = clauses(text);
    let short = |at: usize| {
        clauses.get(at).is_some_and(|clause| (1..=2).contains(&text[clause.clone()].split_whitespace().count()))
    };
    let mut last = vec![0; items.len()];
    for (at, clause) in clauses.iter().enumerate() {
        let words = &text[clause.clone()];
        let whole = named(words, items, services);
        let before = std::mem::replace(&mut last, whole.clone());
        // One of a list: which figure belongs to which name is told by their order.
        let listed = at.checked_sub(1).is_some_and(short) || short(at + 1);
        if listed || !of_one(plain(words).trim(), items, services) {
            continue;
        }
        // Only what is told alone, behind the name of what it is of: of two figures in a clause, either may be compared.
        let inside: Vec<(&Range<usize>, &Token)> = tokens
            .iter()
            .filter(|(place, _)| clause.start <= place.start && place.end <= clause.end)
            .filter(|(place, _)| !text[..place.start].ends_with('#'))
            .filter(|(_, token)| match token {
                Token::Number(number, _) => number.unit != Unit::Times && !spans.iter().any(|span| number.is(*span)),
                Token::Word(word) => is_clock(word),
            })
            .map(|(place, token)| (place, token))
            .collect();
        let figures = inside.iter().filter(|(_, token)| matches!(token, Token::Number(..))).count();
        let which = WHICH.is_match(words) && whole.iter().all(|score| *score == 0);
        for (place, token) in inside {
            let mut scores = named(&text[clause.start..place.start], items, services);
            // What is told of `which` is told of what stands before it.
            if which {
                scores.clone_from(&before);
            }
            let best = scores.iter().copied().max().unwrap_or(0);
            let meant = |at: usize| scores[at] == best;
            let holding = |of: bool| (0..items.len()).any(|at| meant(at) == of && holds(items[at].1, token));
            let alone = figures == 1 || matches!(token, Token::Word(_));
            if alone && best > 0 && !(0..items.len()).all(meant) && !holding(true) && holding(false) {
                return Some(format!("{} is of something else that it cites", text[place.clone()].trim()));
            }
        }
    }
    None
}
