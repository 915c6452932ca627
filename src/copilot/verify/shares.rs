//! Shares that are told as counts: `7 of 27`.

use std::sync::LazyLock;

use ::regex::Regex;

use super::item::Item;
use super::regex;

static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?P<all>all(?: of)?(?: the)?|every(?: single)? one of(?: the)?)\s(?P<n>\d{1,9})\b|\b(?P<none>none of(?: the)?)\s(?P<m>\d{1,9})\b",
    )
});

static ONE_SHARE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b\d{1,9}\s(?:out\s)?of\s(?:the\s|all\s|its\s)?\d{1,9}\b"));

static BREAK: LazyLock<Regex> =
    LazyLock::new(|| regex(r"[;:,(]\s|\s(?:while|whereas|but|and|against|versus|vs\.?|to|compared with|instead of)\s"));

static BEFORE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(?:before|earlier|previously|in the baseline|formerly|used to|normally)\b"));

static SINCE: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\b(?:since|now|after|afterwards|from then on|during)\b"));

/// The shares of a text: `7 of 27`.
pub(super) fn shares(text: &str) -> Vec<(u32, u32)> {
    static SHARE: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\b(\d{1,9})\s(?:out\s)?of\s(?:the\s|all\s|its\s)?(\d{1,9})\b"));
    let read = |text: &str| text.parse::<u32>().unwrap_or(0);
    SHARE.captures_iter(text).map(|pair| (read(&pair[1]), read(&pair[2]))).filter(|(_, whole)| *whole > 0).collect()
}

/// Why shares (`7 of 27`) are not those of the items; `None` when they are, or the items tell none.
pub(super) fn other_shares(text: &str, items: &[&Item]) -> Option<String> {
    let held: Vec<Vec<(u32, u32)>> = items
        .iter()
        .map(|item| {
            let mut once: Vec<(u32, u32)> = Vec::new();
            for share in shares(&item.text) {
                if !once.contains(&share) {
                    once.push(share);
                }
            }
            once
        })
        .filter(|all| !all.is_empty())
        .collect();
    if held.is_empty() {
        return None;
    }
    let has = |pair: &(u32, u32)| held.iter().flatten().any(|known| known == pair);
    let wrong = |pair: &(u32, u32)| Some(format!("{} of {} is not in what it cites", pair.0, pair.1));
    let told = shares(text);
    // A share of something else is looked at as two numbers.
    let alike = |pair: &(u32, u32)| {
        held.iter().flatten().any(|known| [known.0, known.1].iter().any(|one| *one == pair.0 || *one == pair.1))
    };
    if let Some(pair) = told.iter().find(|pair| !has(pair) && alike(pair)) {
        return wrong(pair);
    }
    for groups in WHOLE.captures_iter(text) {
        let number = |name: &str| groups.name(name).and_then(|digits| digits.as_str().parse::<u32>().ok());
        let pair = match (number("n"), number("m")) {
            (Some(all), _) => (all, all),
            (_, Some(all)) => (0, all),
            _ => continue,
        };
        // What is missing in all of them is in none.
        let other = (pair.1 - pair.0, pair.1);
        if !has(&pair) && !has(&other) && alike(&pair) {
            return wrong(&pair);
        }
    }
    // Where two shares of one item are told, what was before is told as before.
    for found in ONE_SHARE.find_iter(text) {
        let Some(pair) = shares(found.as_str()).first().copied() else { continue };
        let start = BREAK.find_iter(&text[..found.start()]).last().map_or(0, |mark| mark.end());
        let end = BREAK.find(&text[found.end()..]).map_or(text.len(), |mark| found.end() + mark.start());
        let clause = &text[start..end];
        let (before, since) = (BEFORE.is_match(clause), SINCE.is_match(clause));
        for known in held.iter().filter(|known| known.len() == 2 && known[0] != known[1]) {
            if before && !since && pair == known[1] || since && !before && pair == known[0] {
                return Some(format!("{} of {} was at the other time", pair.0, pair.1));
            }
        }
    }
    None
}
