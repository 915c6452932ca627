//! Makes true claims false in one place, whatever their words.

use regex::{Captures, Regex};

/// A claim made false, and how.
pub(super) struct Wrong {
    pub(super) how: &'static str,
    pub(super) text: String,
    pub(super) ids: Vec<String>,
}

/// What the incident of a claim holds: names to confuse, and the items by id with their service.
pub(super) struct Around<'a> {
    pub(super) services: &'a [String],
    pub(super) items: &'a [(String, Option<String>)],
}

/// Words and their opposites; each stands for a change that the evidence shows.
const OPPOSITES: &[(&str, &str)] = &[
    ("rose", "fell"),
    ("rise", "drop"),
    ("climbed", "dropped"),
    ("grew", "shrank"),
    ("built up", "drained"),
    ("jumped", "dropped"),
    ("shot up", "plunged"),
    ("exploded", "collapsed"),
    ("doubled", "halved"),
    ("halved", "doubled"),
    ("increased", "decreased"),
    ("went up", "went down"),
    ("slowed", "sped up"),
    ("slower", "faster"),
    ("longer", "shorter"),
    ("deeper", "shallower"),
    ("fell", "rose"),
    ("dropped", "jumped"),
    ("plunged", "soared"),
    ("lost", "gained"),
    ("down from", "up from"),
    ("are down", "are up"),
    ("is down", "is up"),
    ("Fewer", "More"),
    ("fewer", "more"),
    ("disappeared", "appeared"),
    ("vanished", "appeared"),
    ("stopped", "started"),
    ("appeared", "disappeared"),
    ("is new", "is gone"),
    ("is a new", "is a vanished"),
    ("A new", "A vanished"),
    ("unchanged", "much higher"),
    ("unaffected", "doubled"),
    ("remained normal", "tripled"),
    ("is steady", "is far lower"),
    ("stayed at", "rose above"),
    ("remained at", "dropped below"),
];

const NEGATIONS: &[(&str, &str)] = &[
    (" rose ", " did not rise "),
    (" fell ", " did not fall "),
    (" grew ", " did not grow "),
    (" climbed ", " never climbed "),
    (" jumped ", " never jumped "),
    (" dropped ", " never dropped "),
    (" increased ", " has not increased "),
    (" is new", " is not new"),
    (" appeared", " never appeared"),
];

/// A unit after its number, and one that makes it another quantity.
const UNITS: &[(&str, &str)] = &[
    (" GiB", " MiB"),
    (" MiB", " kB"),
    ("GiB", "MiB"),
    ("MiB", "KiB"),
    (" milliseconds", " seconds"),
    (" seconds", " minutes"),
    (" minutes", " hours"),
    (" ms", " s"),
    ("ms", "s"),
    (" s", " ms"),
    ("s", "ms"),
    (" %", " ms"),
    ("%", " ms"),
    ("/min", "/s"),
    ("/s", "/min"),
    (" per minute", " per second"),
    (" per second", " per minute"),
    (" a minute", " a second"),
];

/// What bounds a number from below: a smaller number would be true as well.
const AT_LEAST: &[&str] = &["over ", "above ", "more than ", "at least ", "exceeds ", "exceeded "];
/// What bounds it from above.
const AT_MOST: &[&str] = &["under ", "below ", "less than ", "at most "];

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

/// Places of numbers that are no part of a name, a version, a time, an id or a quotation.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    let quoted: Vec<(usize, usize)> =
        pattern("\"[^\"]*\"|`[^`]*`|'[^']*'").find_iter(text).map(|one| (one.start(), one.end())).collect();
    let shape = pattern(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?");
    shape
        .find_iter(text)
        .map(|one| (one.start(), one.end()))
        .filter(|&(start, end)| {
            let before = text[..start].chars().next_back();
            let mut after = text[end..].chars();
            let next = after.next();
            let more = after.next();
            let joined = before.is_some_and(|c| c.is_alphanumeric() || "_-.:/#".contains(c));
            let inside = next.is_some_and(|c| "_:-".contains(c))
                || (next == Some('.') && more.is_some_and(char::is_alphanumeric));
            let letters: String = text[end..].chars().take_while(|c| c.is_alphabetic()).collect();
            let unit = ["", "s", "ms", "x", "min", "h", "GiB", "MiB", "KiB", "GB", "MB"].contains(&letters.as_str());
            !joined && !inside && unit && !quoted.iter().any(|&(from, to)| from < start && end < to)
        })
        .collect()
}

fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Every false claim that can be made of this one.
pub(super) fn wrongs(text: &str, ids: &[&str], around: &Around<'_>) -> Vec<Wrong> {
    let mut told: Vec<(&'static str, String)> = Vec::new();
    for (start, end) in numbers(text) {
        of_number(text, start, end, &mut told);
    }
    for (word, other) in OPPOSITES {
        told.extend(replaced(text, word, other).map(|new| ("direction", new)));
    }
    for (word, other) in NEGATIONS {
        if text.contains(word) {
            told.push(("negation", text.replacen(word, other, 1)));
        }
    }
    of_order(text, ids, &mut told);
    of_time(text, &mut told);
    of_quotation(text, &mut told);
    for service in around.services {
        for other in around.services.iter().filter(|other| !text.contains(other.as_str())).take(2) {
            told.extend(replaced(text, service, other).map(|new| ("service", new)));
        }
        told.extend(replaced(text, service, "warehouse-sync").map(|new| ("stranger", new)));
    }
    let same: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let mut out: Vec<Wrong> = told
        .into_iter()
        .filter(|(_, new)| new != text)
        .map(|(how, text)| Wrong { how, text, ids: same.clone() })
        .collect();
    of_ids(text, &same, around, &mut out);
    out
}

/// The first such word replaced: no part of a longer name.
fn replaced(text: &str, word: &str, other: &str) -> Option<String> {
    let mut from = 0;
    while let Some(found) = text[from..].find(word) {
        let (start, end) = (from + found, from + found + word.len());
        let free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-');
        if free(text[..start].chars().next_back()) && free(text[end..].chars().next()) {
            return Some(format!("{}{other}{}", &text[..start], &text[end..]));
        }
        from = end;
    }
    None
}

fn of_number(text: &str, start: usize, end: usize, told: &mut Vec<(&'static str, String)>) {
    let value: f64 = text[start..end].replace(',', "").parse().unwrap();
    let put = |other: String| format!("{}{other}{}", &text[..start], &text[end..]);
    let bounded = |words: &[&str]| words.iter().any(|word| text[..start].ends_with(word));
    for factor in [1.7, 0.4, 10.0] {
        if value != 0.0 && !(factor < 1.0 && bounded(AT_LEAST)) && !(factor > 1.0 && bounded(AT_MOST)) {
            told.push(("number", put(plain(value * factor))));
        }
    }
    let first = text[start..end].chars().next().unwrap().to_digit(10).unwrap();
    if (first < 9 || !bounded(AT_LEAST)) && (first == 9 || !bounded(AT_MOST)) {
        told.push(("digit", put(format!("{}{}", first % 9 + 1, &text[start + 1..end]))));
    }
    let rest = &text[end..];
    let unit = UNITS.iter().find(|(unit, _)| {
        rest.strip_prefix(unit).is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '/'))
    });
    if let Some((unit, other)) = unit {
        told.push(("unit", format!("{}{other}{}", &text[..end], &rest[unit.len()..])));
    }
}

fn of_order(text: &str, ids: &[&str], told: &mut Vec<(&'static str, String)>) {
    const NUMBER: &str = r"(~?\d[\d.,]*(?: ?(?:ms|s|%|GiB|MiB|/s|/min))?)";
    for (shape, link) in
        [(format!("from {NUMBER} to {NUMBER}"), (" to ", "from ")), (format!("{NUMBER} → {NUMBER}"), (" → ", ""))]
    {
        let swapped = pattern(&shape)
            .replace(text, |found: &Captures<'_>| format!("{}{}{}{}", link.1, &found[2], link.0, &found[1]));
        told.push(("swapped", swapped.into_owned()));
    }
    if ids.len() < 2 {
        return;
    }
    for (word, other) in [
        (" after ", " before "),
        ("After the ", "Before the "),
        (" before ", " after "),
        (" preceded ", " followed "),
        (" followed ", " preceded "),
        (" later than ", " earlier than "),
    ] {
        if text.contains(word) {
            told.push(("order", text.replacen(word, other, 1)));
        }
    }
}

fn of_time(text: &str, told: &mut Vec<(&'static str, String)>) {
    let clock = pattern(r"\b([01]\d|2[0-3]):([0-5]\d)(:[0-5]\d)?\b");
    for later in [11, 26] {
        for found in clock.captures_iter(text) {
            let place = found.get(0).unwrap();
            let minute: u32 = found[2].parse().unwrap();
            let seconds = found.get(3).map_or("", |one| one.as_str());
            let other = format!("{}:{:02}{seconds}", &found[1], (minute + later) % 60);
            told.push(("time", format!("{}{other}{}", &text[..place.start()], &text[place.end()..])));
        }
    }
    let span = pattern(r"\b(\d+)( ?m(?:in)? ?)(\d+)( ?s)\b");
    if let Some(found) = span.captures(text) {
        let place = found.get(0).unwrap();
        let minutes: u32 = found[1].parse().unwrap();
        let other = format!("{}{}{}{}", minutes + 4, &found[2], &found[3], &found[4]);
        told.push(("span", format!("{}{other}{}", &text[..place.start()], &text[place.end()..])));
    }
}

fn of_quotation(text: &str, told: &mut Vec<(&'static str, String)>) {
    let quoted = pattern("\"([^\"]+)\"|`([^`]+)`|'([^']{6,})'");
    for found in quoted.captures_iter(text) {
        let inside = (1..4).find_map(|group| found.get(group)).unwrap();
        let words: Vec<_> = pattern(r"[A-Za-z]{3,}").find_iter(inside.as_str()).collect();
        for word in [words.first(), words.last()].into_iter().flatten() {
            for other in ["granted", "certificate"] {
                let (start, end) = (inside.start() + word.start(), inside.start() + word.end());
                told.push(("quotation", format!("{}{other}{}", &text[..start], &text[end..])));
            }
        }
    }
}

fn of_ids(text: &str, same: &[String], around: &Around<'_>, out: &mut Vec<Wrong>) {
    for id in same {
        let with = |other: &str| {
            same.iter().map(|one| if one == id { other.to_owned() } else { one.clone() }).collect::<Vec<_>>()
        };
        out.push(Wrong { how: "id unknown", text: text.to_owned(), ids: with("M99") });
        if same.len() > 1 {
            continue;
        }
        let own = around.items.iter().find(|(one, _)| one == id).and_then(|(_, service)| service.clone());
        let others = around.items.iter().filter(|(one, service)| one[..1] != id[..1] && *service != own);
        // An item of another kind that speaks of another service, which the claim does not name either.
        let others = others.filter(|(_, service)| service.as_ref().is_some_and(|service| !text.contains(service)));
        for (other, _) in others.take(2) {
            out.push(Wrong { how: "id other", text: text.to_owned(), ids: with(other) });
        }
    }
    for found in pattern(r"\(([MLECA])(\d+)\)").captures_iter(text) {
        let place = found.get(0).unwrap();
        for other in ["(M77)", "(L88)"] {
            let new = format!("{}{other}{}", &text[..place.start()], &text[place.end()..]);
            out.push(Wrong { how: "id inside", text: new, ids: same.to_vec() });
        }
    }
}
