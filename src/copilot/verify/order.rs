//! What came first.

use std::sync::LazyLock;

use regex::Regex;

use super::regex;
use super::sense::Shown;

/// Whether what is told to have come first did.
pub(super) fn order(text: &str, items: &[&Shown]) -> Option<String> {
    static FIRST: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^(?:(?:only |just |about |roughly |some |barely )?\d\S*(?: \w+)? )?(?P<by>after|before|following) (?P<one>[^,]{3,80}), (?P<other>.+)$",
        )
    });
    static WHEN: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\s(?P<by>preceded by|followed by|before|after|following|follows|followed|precedes|preceded|predates|predated|earlier than|older than|later than|younger than|ahead of)\s",
        )
    });
    static END: LazyLock<Regex> = LazyLock::new(|| regex(r"[:;]\s|\.\s"));
    static POINTS: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^(?:that|this|it|them|then|those|which|at|in|on|from|within)\b"));
    static CLOCK: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d{1,2}:\d{2}(?::\d{2})?\b"));
    static NUMBER_BEFORE: LazyLock<Regex> = LazyLock::new(|| regex(r"\d\S*$"));
    let timed: Vec<&Shown> = items.iter().copied().filter(|item| item.at.is_some()).collect();
    if timed.len() < 2 {
        return None;
    }
    // `After the deploy, errors rose` says the same as `errors rose after the deploy`.
    let goes_on = FIRST.captures(text).is_some_and(|groups| {
        ["which", "so", "but", "and", "where", "while", "who"]
            .contains(&groups["other"].split(' ').next().unwrap_or_default())
    });
    let turned = FIRST.replace(text, "$other $by $one");
    let text = if goes_on { text } else { turned.as_ref() };
    for groups in WHEN.captures_iter(text) {
        let (Some(whole), Some(by)) = (groups.get(0), groups.name("by")) else { continue };
        let (left, right) = (&text[..whole.start()], &text[whole.end()..]);
        // What comes behind a colon is another statement; `7/min after 5/min` and `before that` name nothing.
        let right = END.find(right).map_or(right, |end| &right[..end.start()]);
        if POINTS.is_match(right) || right.starts_with(|c: char| c.is_ascii_digit()) && NUMBER_BEFORE.is_match(left) {
            continue;
        }
        let left_is_later = matches!(
            by.as_str(),
            "after" | "following" | "follows" | "followed" | "preceded by" | "later than" | "younger than"
        );
        // Where both sides tell their times, these are compared.
        let (earlier, later) = (CLOCK.find_iter(left).last(), CLOCK.find(right));
        if let (Some(first), Some(second)) = (earlier, later) {
            let (first, second) = (clock(first.as_str()), clock(second.as_str()));
            if (second - first).abs() < HALF_A_DAY && (if left_is_later { first < second } else { first > second }) {
                return Some(format!("what it tells as “{}” came the other way round", by.as_str()));
            }
            continue;
        }
        if earlier.is_some() || later.is_some() || timed.len() != 2 {
            continue;
        }
        let best = |part: &str, but: Option<&Shown>| -> Option<&Shown> {
            let mut scored: Vec<(usize, &Shown)> = timed
                .iter()
                .copied()
                .filter(|item| but.is_none_or(|but| !std::ptr::eq(but, *item)))
                .map(|item| (item.meant(part), item))
                .collect();
            scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
            match scored.as_slice() {
                [(score, _), (next, _), ..] if score == next => None,
                [(score, item), ..] if *score > 0 || but.is_some() && scored.len() == 1 => Some(item),
                _ => None,
            }
        };
        let (first, second) = if let Some(second) = best(right, None) {
            (best(left, Some(second)), second)
        } else if let (Some(first), [one, other], true) =
            (best(left, None), timed.as_slice(), right.starts_with("the "))
        {
            // Of two, what one side does not name is the other.
            (Some(first), if std::ptr::eq(first, *one) { *other } else { *one })
        } else {
            continue;
        };
        let wrong = |first: &Shown| {
            if left_is_later { first.at < second.at } else { first.at > second.at }
        };
        let Some(first) = first else {
            // The other side names none: it speaks of some of the others, and all of them came the other way round.
            if timed.len() > 2 && timed.iter().all(|item| std::ptr::eq(*item, second) || wrong(item)) {
                return Some(format!("what it tells as “{}” came the other way round", by.as_str()));
            }
            continue;
        };
        if wrong(first) {
            return Some(format!("what it tells as “{}” came the other way round", by.as_str()));
        }
    }
    None
}

/// Half a day in seconds: times further apart may be of two days.
const HALF_A_DAY: i64 = 12 * 3_600;

/// Seconds of the day of a time as a clock shows it.
fn clock(text: &str) -> i64 {
    text.split(':').map(|part| part.parse::<i64>().unwrap_or(0)).chain([0]).take(3).fold(0, |sum, part| sum * 60 + part)
}
