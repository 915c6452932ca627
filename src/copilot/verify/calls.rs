//! Who calls whom, and what a change put in the place of what.

use std::sync::LazyLock;

use ::regex::Regex;

use super::item::Item;
use super::regex;
use super::text::{first_part, plain, stands_in};

/// Why a sentence turns a call round: it says that the callee calls its caller. `edges` are callers and callees as
/// [`plain`] makes them.
pub(super) fn turned_round(told: &str, edges: &[(String, String)]) -> Option<String> {
    static CALLS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^(?:\s?\([^)]{0,20}\))?(?:, which)?\s?(?:→|->|(?:now |also |then |still |only )?(?:calls?|calling|depends? on|relies on|waits?|waited|queries|uses|asks|sends?|invokes?|reaches|(?:is|are) (?:an? |the )?(?:clients?|callers?) of)\b(?:[^,;.:]|[.:]\d){0,60}?)\s?(?:\b(?:for|to|on|from|by)\s)?(?:the )?$",
        )
    });
    static CALLED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^\s(?:is|are|was|being|gets?)\s(?:called|used|queried|invoked)\sby\s(?:the )?$|^\s(?:[^,;.]{0,30}\s)?(?:serves?|served|serving|answers)\s(?:the )?$",
        )
    });
    static FROM: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(?:from|between)\s(?:the )?$"));
    static SERVER_TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"\bserver (?:time|latency) of\s(?:the )?$"));
    for (caller, callee) in edges {
        if edges.iter().any(|(from, to)| from == callee && to == caller) {
            continue;
        }
        for (left, right, called) in [(callee, caller, false), (caller, callee, true)] {
            let turned = |left: &str, right: &str| {
                told.match_indices(left).any(|(at, _)| {
                    let rest = &told[at + left.len()..];
                    let Some(end) = rest.find(right) else { return false };
                    let between = &rest[..end];
                    let whole = stands_in(&told[at..], left) && stands_in(rest, right);
                    let says = if called {
                        CALLED.is_match(between) || between == " for " && SERVER_TIME.is_match(&told[..at])
                    } else {
                        CALLS.is_match(between) && !between.contains(" and ")
                            || between == " to " && FROM.is_match(&told[..at])
                    };
                    whole && says
                })
            };
            if turned(left, right) || turned(left, short(right)) || turned(short(left), right) {
                return Some(format!("{caller} calls {callee}, not the other way round"));
            }
        }
    }
    None
}

/// A name as people call it; too short a part of it may be anything.
fn short(name: &str) -> &str {
    let first = first_part(name);
    if first.len() > 3 { first } else { name }
}

/// Why a call that a sentence tells is none of the edges that it cites: it cites others. `known` are all edges.
pub(super) fn uncited<'a>(
    told: &str,
    cited: &[(String, String)],
    mut known: impl Iterator<Item = &'a (String, String)>,
) -> Option<String> {
    static CALLS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^\s?(?:→|->|(?:now |also |then |still |only )?(?:calls?|depends on|queries|invokes)(?:\sboth)?)\s(?:the )?$",
        )
    });
    static WHICH: LazyLock<Regex> = LazyLock::new(|| regex(r"^,? which (?:the )?$"));
    static CALLED: LazyLock<Regex> = LazyLock::new(|| regex(r"^ (?:calls?|queries|uses)\b"));
    if cited.is_empty() {
        return None;
    }
    let alike = |a: &str, b: &str| a == b || short(a) == short(b);
    let tells = |left: &str, right: &str, backwards: bool| {
        told.match_indices(left).any(|(at, _)| {
            let rest = &told[at + left.len()..];
            rest.find(right).is_some_and(|end| {
                stands_in(&told[at..], left)
                    && stands_in(rest, right)
                    && if backwards {
                        WHICH.is_match(&rest[..end]) && CALLED.is_match(&rest[end + right.len()..])
                    } else {
                        CALLS.is_match(&rest[..end])
                    }
            })
        })
    };
    known
        .find(|(caller, callee): &&(String, String)| {
            !cited.iter().any(|(from, to)| alike(from, caller) && alike(to, callee))
                && [caller.as_str(), short(caller)].iter().any(|caller| {
                    [callee.as_str(), short(callee)]
                        .iter()
                        .any(|callee| tells(caller, callee, false) || tells(callee, caller, true))
                })
        })
        .map(|(caller, callee)| format!("it cites no edge from {caller} to {callee}"))
}

/// Why a sentence turns a change round: it says that what was put in was there before.
pub(super) fn undone(told: &str, items: &[&Item]) -> Option<String> {
    // `from warn to debug` where `info` was taken away.
    static BECAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\bfrom (?P<a>[\w.#-]+) to (?P<b>[\w.#-]*\w)"));
    const NOTHING: &str = " nothing none zero before old default ";
    static FROM_TO: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        [regex(r"\bfrom (?P<a>\S+(?: \S+)?) to (?P<b>\S+)"), regex(r"(?P<a>\S+)\s?(?:→|->)\s?(?P<b>\S+)")]
    });
    static SWITCHED: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"\b(?:(?:switched|turned|flipped|set|is|was)\s(?:\w+\s)?(?P<way>on|off)|(?:is|was|been|being|got|gets)\s(?P<word>enabled|disabled))\b",
        )
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
    for groups in BECAME.captures_iter(told) {
        let (a, b) = (&groups["a"], &groups["b"]);
        let holding: Vec<&&&Item> =
            changed.iter().filter(|item| stands_in(&item.added, b) && !stands_in(&item.removed, b)).collect();
        let told = |item: &&&&Item| stands_in(&item.removed, a) || stands_in(&item.text, &format!("{a} to {b}"));
        if !holding.is_empty()
            && !NOTHING.contains(&format!(" {a} "))
            && !holding.iter().any(told)
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
        // `switched off->on`, `when it was still off`, `turned from off to on`.
        let end = groups.get(0).map_or(0, |whole| whole.end());
        let whole = groups.get(0).map_or("", |whole| whole.as_str());
        if told[end..].trim_start().starts_with(['-', '→']) || whole.contains("still") || whole.contains(" from ") {
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
