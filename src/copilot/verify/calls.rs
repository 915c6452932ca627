//! Who calls whom, and what a change put in the place of what.

use std::sync::LazyLock;

use ::regex::Regex;

use super::item::Item;
use super::regex;
use super::text::{plain, stands_in};

/// Why a sentence turns a call round: it says that the callee calls its caller. `edges` are callers and callees as
/// [`plain`] makes them.
pub(super) fn turned_round(told: &str, edges: &[(String, String)]) -> Option<String> {
    static CALLS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^(?:\s?\([^)]{0,20}\))?\s?(?:→|->|(?:now |also |then |still |only )?(?:calls?|calling|depends? on|relies on|waits?|waited|queries|uses|asks|sends?|invokes?|reaches|(?:is|are) (?:an? |the )?(?:clients?|callers?) of)\b[^,;.]{0,60}?)\s?(?:\b(?:for|to|on|from|by)\s)?(?:the )?$",
        )
    });
    static CALLED: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^\s(?:is|are|was|being|gets?)\s(?:called|used|queried|invoked)\sby\s(?:the )?$"));
    static FROM: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(?:from|between)\s(?:the )?$"));
    for (caller, callee) in edges {
        if edges.iter().any(|(from, to)| from == callee && to == caller) {
            continue;
        }
        for (left, right, called) in [(callee, caller, false), (caller, callee, true)] {
            for (at, _) in told.match_indices(left.as_str()) {
                let rest = &told[at + left.len()..];
                let Some(end) = rest.find(right.as_str()) else { continue };
                let between = &rest[..end];
                let whole = stands_in(&told[at..], left) && stands_in(rest, right);
                let says = if called {
                    CALLED.is_match(between)
                } else {
                    CALLS.is_match(between) || between == " to " && FROM.is_match(&told[..at])
                };
                if whole && says {
                    return Some(format!("{caller} calls {callee}, not the other way round"));
                }
            }
        }
    }
    None
}

/// Why a sentence turns a change round: it says that what was put in was there before.
pub(super) fn undone(told: &str, items: &[&Item]) -> Option<String> {
    static FROM_TO: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        [regex(r"\bfrom (?P<a>\S+(?: \S+)?) to (?P<b>\S+)"), regex(r"(?P<a>\S+)\s?(?:→|->)\s?(?P<b>\S+)")]
    });
    static SWITCHED: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"\b(?:(?:switched|turned|flipped|set|is|was)\s(?:\w+\s)?(?P<way>on|off)|(?P<word>enabled|disabled))\b")
    });
    let changed: Vec<&&Item> = items.iter().filter(|item| !item.removed.is_empty() && !item.added.is_empty()).collect();
    if changed.is_empty() {
        return None;
    }
    let only_added = |word: &str| {
        changed.iter().any(|item| stands_in(&item.added, word) && !stands_in(&item.removed, word))
            && !changed.iter().any(|item| stands_in(&item.removed, word))
    };
    let only_removed = |word: &str| {
        changed.iter().any(|item| stands_in(&item.removed, word) && !stands_in(&item.added, word))
            && !changed.iter().any(|item| stands_in(&item.added, word))
    };
    // `from warn to debug` where `info` was taken away.
    static BECAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\bfrom (?P<a>[\w.#-]+) to (?P<b>[\w.#-]*\w)"));
    const NOTHING: &str = " nothing none zero before old default ";
    for groups in BECAME.captures_iter(told) {
        let (a, b) = (&groups["a"], &groups["b"]);
        let holding: Vec<&&&Item> = changed
            .iter()
            .filter(|item| stands_in(&item.added, b) && !stands_in(&item.removed, b))
            .collect();
        let told = |item: &&&&Item| stands_in(&item.removed, a) || stands_in(&item.text, &format!("{a} to {b}"));
        if !holding.is_empty()
            && !NOTHING.contains(&format!(" {a} "))
            && !holding.iter().any(|item| told(&item))
            && !items.iter().any(|item| item.measured && stands_in(&item.text, a))
        {
            return Some(format!("it did not change from {a} to {b}"));
        }
    }
    let trim =
        |word: &str| plain(word.trim_matches(|c: char| matches!(c, ',' | '.' | ';' | ')' | '('))).trim().to_owned();
    for groups in FROM_TO.iter().flat_map(|shape| shape.captures_iter(told)) {
        let (a, b) = (trim(&groups["a"]), trim(&groups["b"]));
        let a_last = a.rsplit(' ').next().unwrap_or_default().to_owned();
        if (only_added(&a) || only_added(&a_last)) && only_removed(&b) {
            return Some(format!("it changed from {b} to {a}, not the other way round"));
        }
    }
    for groups in SWITCHED.captures_iter(told) {
        // `switched off->on`.
        let end = groups.get(0).map_or(0, |whole| whole.end());
        if told[end..].trim_start().starts_with(['-', '→']) {
            continue;
        }
        let way = groups.name("way").or_else(|| groups.name("word")).map_or("", |way| way.as_str());
        let (way, other) = match way {
            "on" | "enabled" => ("on", "off"),
            _ => ("off", "on"),
        };
        if only_removed(way) && only_added(other) {
            return Some(format!("it was switched {other}"));
        }
    }
    None
}
