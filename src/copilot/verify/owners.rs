//! Which of several items a number of a sentence belongs to.

use std::ops::Range;
use std::sync::LazyLock;

use ::regex::Regex;

use super::figures::Token;
use super::item::Item;
use super::regex;
use super::text::stands_in;

/// Numbers that the sentence gives to some of the items: to those of the quantile beside which they stand, or, where as
/// many numbers are listed as names before, to the one of each name.
pub(super) fn owners<'a>(
    text: &str,
    tokens: &'a [(Range<usize>, Token)],
    items: &[&'a Item],
) -> Vec<(&'a Range<usize>, Vec<&'a Item>)> {
    static LIST: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s*(?:,|,?\s?and|/|&)\s*(?:an?\s|the\s)?$"));
    static BESIDE: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s(?:at|on|for|in|as)\s(?:the\s|its\s)?$|^\s?\($"));
    if items.len() < 2 {
        return Vec::new();
    }
    let holding =
        |label: &str| -> Vec<&'a Item> { items.iter().copied().filter(|item| measures(item, label)).collect() };
    // A label tells items apart when some have it and some have not.
    let labels: Vec<(Range<usize>, Vec<&'a Item>)> = LABEL
        .find_iter(text)
        .map(|found| (found.range(), holding(found.as_str())))
        .filter(|(_, of)| !of.is_empty() && of.len() < items.len())
        .collect();
    let numbers: Vec<&'a Range<usize>> =
        tokens.iter().filter(|(_, token)| matches!(token, Token::Number(..))).map(|(place, _)| place).collect();
    let mut out: Vec<(&'a Range<usize>, Vec<&'a Item>)> = Vec::new();
    let mut at = 0;
    while at < labels.len() {
        let mut end = at + 1;
        while end < labels.len() && LIST.is_match(&text[labels[end - 1].0.end..labels[end].0.start]) {
            end += 1;
        }
        let (first, last) = (labels[at].0.start, labels[end - 1].0.end);
        let next = labels.get(end).map_or(text.len(), |(place, _)| place.start);
        let behind: Vec<&'a Range<usize>> =
            numbers.iter().copied().filter(|place| place.start >= last && place.end <= next).collect();
        if end - at > 1 {
            // `p99 and p95 were 3 s and 2 s`.
            let listed: Vec<&'a Range<usize>> = behind
                .windows(2)
                .take_while(|two| LIST.is_match(&text[two[0].end..two[1].start]))
                .map(|two| two[1])
                .collect();
            // `3 s and 2 s at p99 and p95`.
            let ahead: Vec<&'a Range<usize>> = numbers.iter().copied().filter(|place| place.end <= first).collect();
            let ahead = &ahead[ahead.len().saturating_sub(end - at)..];
            let listed_ahead = ahead.len() == end - at
                && ahead.windows(2).all(|two| LIST.is_match(&text[two[0].end..two[1].start]))
                && ahead.last().is_some_and(|place| BESIDE.is_match(&text[place.end..first]));
            if listed_ahead {
                out.extend(ahead.iter().copied().zip(&labels[at..end]).map(|(place, (_, of))| (place, of.clone())));
            } else if listed.len() + 1 == end - at {
                let all = behind.iter().take(1).copied().chain(listed);
                out.extend(all.zip(&labels[at..end]).map(|(place, (_, of))| (place, of.clone())));
            }
        } else if let Some(before) =
            numbers.iter().find(|place| place.end <= first && BESIDE.is_match(&text[place.end..first]))
        {
            // `3 s at p99`.
            out.push((before, labels[at].1.clone()));
        } else if let Some(place) = behind.first().filter(|place| {
            let between = &text[last..place.start];
            between.split_whitespace().count() <= 6 && !between.contains([',', ';', '.'])
        }) {
            // `p99 rose to 3 s`.
            out.push((place, labels[at].1.clone()));
        }
        at = end;
    }
    out
}

static LABEL: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[pP]\d{2}(?:\.?\d)?\b|\b(?i:median|average|mean)\b"));

/// Whether the item is of that quantile.
fn measures(item: &Item, label: &str) -> bool {
    let label = label.to_lowercase();
    if let Some(digits) = label.strip_prefix('p') {
        let quantile = format!("0.{}", digits.replace('.', ""));
        let short = quantile.trim_end_matches('0');
        return stands_in(&item.words, &label)
            || stands_in(&item.words, &quantile)
            || stands_in(&item.words, short)
            || item.words.contains(&format!("_{label}"));
    }
    ["average", "mean", "avg", "median"]
        .iter()
        .any(|word| (*word == label || label != "median" && *word != "median") && item.words.contains(word))
}
