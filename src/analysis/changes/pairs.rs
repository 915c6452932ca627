//! Removed lines beside the added lines that took their place.

use std::collections::BTreeMap;

use super::tokens::{Kind, Token, value_of};

/// How one line became another.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Turned<'t> {
    /// A figure of the given name.
    Figure { name: &'t str, from: String, to: String, ratio: Option<f64> },
    /// A switch: true to false, on to off.
    Switch { name: &'t str, from: &'t str, to: &'t str },
    /// A quoted string.
    Text { from: &'t str, to: &'t str },
    /// A value of a configuration.
    Value { name: &'t str, from: &'t str, to: &'t str },
    /// An operator: a condition.
    Condition { from: &'t str, to: &'t str },
    /// A word.
    Word { from: &'t str, to: &'t str },
}

/// Lines compared with each other, at most: more of one hunk are a rewrite.
const MOST_LINES: usize = 80;
/// Share of a line's tokens that stay, for it to be the same line changed.
const ALIKE: f64 = 0.5;

/// Pairs the lines of one hunk and says what became of the tokens. The second value is the number of pairs, unchanged
/// ones included.
pub(super) fn pair<'t>(
    removed: &[Vec<Token<'t>>],
    added: &[Vec<Token<'t>>],
    configuration: bool,
) -> (Vec<Turned<'t>>, usize) {
    let mut free: Vec<bool> = vec![true; added.len().min(MOST_LINES)];
    let mut out = Vec::new();
    let mut pairs = 0;
    for old in removed.iter().take(MOST_LINES) {
        let best = added
            .iter()
            .take(MOST_LINES)
            .enumerate()
            .filter(|(at, _)| free[*at])
            .map(|(at, new)| (likeness(old, new), std::cmp::Reverse(at)))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let Some((likeness, std::cmp::Reverse(at))) = best.filter(|(likeness, _)| *likeness >= ALIKE) else { continue };
        free[at] = false;
        pairs += 1;
        if likeness < 1.0 {
            turned(old, &added[at], configuration, &mut out);
        }
    }
    (out, pairs)
}

/// Share of equal tokens of lines of the same length; of others none, except configuration's `key: value`.
fn likeness(old: &[Token<'_>], new: &[Token<'_>]) -> f64 {
    if old.is_empty() || new.is_empty() {
        return 0.0;
    }
    if old.len() == new.len() {
        let same = old.iter().zip(new).filter(|(a, b)| a == b).count();
        // Two short lines of which one half stays, the key, are the same line.
        return same as f64 / old.len() as f64;
    }
    match (key(old), key(new)) {
        (Some(a), Some(b)) if a == b => 0.6,
        _ => 0.0,
    }
}

/// The key of `key: value` or `key = value`.
fn key<'t>(line: &[Token<'t>]) -> Option<&'t str> {
    let sign = line.iter().position(|token| matches!(token.text, ":" | "="))?;
    (sign > 0 && sign <= 4).then(|| line[sign - 1].text)
}

fn turned<'t>(old: &[Token<'t>], new: &[Token<'t>], configuration: bool, out: &mut Vec<Turned<'t>>) {
    if old.len() != new.len() {
        if configuration && let Some(name) = key(old) {
            let last = |line: &[Token<'t>]| line.last().map_or("", |token| token.text);
            out.push(Turned::Value { name, from: last(old), to: last(new) });
        }
        return;
    }
    for (at, (a, b)) in old.iter().zip(new).enumerate().filter(|(_, (a, b))| a != b) {
        let name = name_before(old, at);
        let switch = |word: &str| {
            matches!(
                word.trim_matches(['"', '\'']).to_ascii_lowercase().as_str(),
                "true" | "false" | "on" | "off" | "yes" | "no" | "enabled" | "disabled"
            )
        };
        match (a.kind, b.kind) {
            _ if switch(a.text) && switch(b.text) => out.push(Turned::Switch { name, from: a.text, to: b.text }),
            (Kind::Number, Kind::Number) => {
                let (from, to) = (unit_after(old, at), unit_after(new, at));
                let ratio = value_of(a.text, from).zip(value_of(b.text, to)).map(|(x, y)| y / x);
                let shown = |number: &str, unit: Option<&str>| match unit {
                    Some(unit) => format!("{number} {unit}"),
                    None => number.to_owned(),
                };
                out.push(Turned::Figure { name, from: shown(a.text, from), to: shown(b.text, to), ratio });
            }
            (Kind::Text, Kind::Text) if configuration => {
                out.push(Turned::Value { name, from: a.text, to: b.text });
            }
            (Kind::Text, Kind::Text) => out.push(Turned::Text { from: a.text, to: b.text }),
            (Kind::Sign, Kind::Sign) => out.push(Turned::Condition { from: a.text, to: b.text }),
            // The unit of a figure was told with it.
            (Kind::Word, Kind::Word) if is_unit(a.text) && is_unit(b.text) => {}
            _ if configuration => out.push(Turned::Value { name, from: a.text, to: b.text }),
            _ => out.push(Turned::Word { from: a.text, to: b.text }),
        }
    }
}

fn is_unit(word: &str) -> bool {
    matches!(
        word.to_ascii_lowercase().trim_end_matches('s'),
        "nanosecond" | "microsecond" | "millisecond" | "second" | "minute" | "hour" | "day" | "milli" | "nano"
    )
}

/// The unit written after a number: `5 * time.Second`, `Duration.ofSeconds(5)` has none after it.
fn unit_after<'t>(line: &[Token<'t>], at: usize) -> Option<&'t str> {
    let next = line.get(at + 1)?;
    if next.text != "*" {
        return None;
    }
    line[at + 2..].iter().take(3).map(|token| token.text).find(|text| is_unit(text))
}

/// What a value is called: the longest word before it, else the longest of the line.
fn name_before<'t>(line: &[Token<'t>], at: usize) -> &'t str {
    let longest = |tokens: &[Token<'t>]| {
        tokens
            .iter()
            .filter(|token| token.kind == Kind::Word && !is_unit(token.text))
            .map(|token| token.text)
            .fold("", |best, word| if word.len() > best.len() { word } else { best })
    };
    let before = longest(&line[..at]);
    if before.is_empty() { longest(line) } else { before }
}

/// Whether words of one text stand for words of another throughout, and nothing else differs: the renames.
pub(super) fn renames<'t>(turned: &[Turned<'t>]) -> Option<BTreeMap<&'t str, &'t str>> {
    let mut to: BTreeMap<&str, &str> = BTreeMap::new();
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    for one in turned {
        let Turned::Word { from: a, to: b } = one else { return None };
        if *to.entry(a).or_insert(b) != *b || *from.entry(b).or_insert(a) != *a {
            return None;
        }
    }
    (!to.is_empty()).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn one<'t>(old: &'t str, new: &'t str, configuration: bool) -> Vec<Turned<'t>> {
        pair(&[tokens(old)], &[tokens(new)], configuration).0
    }

    #[test]
    fn figures_switches_and_words_are_told_apart() {
        let figure =
            one("ctx, c := WithTimeout(ctx, 5*time.Second)", "ctx, c := WithTimeout(ctx, 300*time.Millisecond)", false);
        let [Turned::Figure { name, from, to, ratio: Some(ratio) }] = figure.as_slice() else { panic!("{figure:?}") };
        assert_eq!((*name, from.as_str(), to.as_str()), ("WithTimeout", "5 Second", "300 Millisecond"));
        assert!((ratio - 0.06).abs() < 1e-9);
        assert_eq!(
            one("  level: info", "  level: debug", true),
            [Turned::Value { name: "level", from: "info", to: "debug" }]
        );
        assert!(matches!(one("cache = true", "cache = false", false)[..], [Turned::Switch { name: "cache", .. }]));
        assert!(matches!(one("if a < b {", "if a <= b {", false)[..], [Turned::Condition { .. }]));
        let renamed = one("c := r.Context()", "ctx := r.Context()", false);
        assert_eq!(renames(&renamed).unwrap().into_iter().collect::<Vec<_>>(), [("c", "ctx")]);
    }
}
