//! Which places of a template are variable, by what stands there in otherwise equal templates.
//!
//! A template is cut into *places*: a run of words that only `.`, `-`, `/`, `@` and the like join, such as a path or a
//! host name, is one place however many words it has. Three rules, from sure to weak; none depends on the order of
//! the lines, and frequent templates say no more than rare ones:
//!
//! 1. Templates that differ only in places that look like data (paths, host names, addresses, words with digits, or
//!    something that was masked in the line) are one.
//! 2. Templates that differ, data aside, in one place are one when it holds many different words; so `opened` and `closed` stay
//!    two events, and names of users do not.
//! 3. The same for two places at once, when both hold many different words and enough of the rest is common.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::merge::{Template, Token, common, push};
use super::vocabulary::{is_http_method, is_naming, is_source_extension, is_top_level_domain};

/// Different words of natural language in one place that make it variable.
const MANY_WORDS: usize = 5;
/// The same for names of which a part was masked (`worker-<*>`), or which a noun introduces (`user root`).
const MANY_NAMES: usize = 3;
/// Templates of one group that are still compared in two places at once; the cost grows with the square of places.
const MAX_PAIRED: usize = 4_000;
/// Places of such a template.
const MAX_PAIRED_PLACES: usize = 24;
/// Rounds of merging; each makes the group smaller.
const MAX_ROUNDS: usize = 8;

/// What stands in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Punctuation, blanks, or a telling word: always the same.
    Fixed,
    /// A word, or words joined.
    Word,
    /// Words joined with something that was masked.
    Name,
    /// Something that no author writes into a message: a path, a host, a value.
    Data,
}

struct Place {
    tokens: Range<usize>,
    kind: Kind,
}

/// Merges the templates of a group, sorted by weight, then text.
pub(super) fn merged(mut group: Vec<Template<'_>>) -> Vec<Template<'_>> {
    if group.len() > 1 {
        group = by_skeleton(group);
    }
    for _ in 0..MAX_ROUNDS {
        let before = group.len();
        if before < 2 {
            break;
        }
        group = by_cardinality(group, 1);
        if group.len() == before && before <= MAX_PAIRED {
            group = by_cardinality(group, 2);
        }
        if group.len() == before {
            break;
        }
    }
    group
}

/// Cuts a template into places. Neighbours that are data are one place when only commas and blanks part them (a list)
/// or a colon (host and port).
fn places(tokens: &[Token<'_>]) -> Vec<Place> {
    let mut out: Vec<Place> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        while at < tokens.len() && !is_boundary(tokens[at]) {
            at += 1;
        }
        if at == start {
            at += 1;
            out.push(Place { tokens: start..at, kind: Kind::Fixed });
            continue;
        }
        let is_endpoint =
            matches!(tokens[..start], [.., Token::Literal(method), Token::Space] if is_http_method(method));
        let has_port = matches!(tokens[at..], [Token::Literal(":"), Token::Mask | Token::Value(_), ..]);
        let kind = match kind(&tokens[start..at], has_port) {
            // The path of a request says which part of the program was asked.
            Kind::Data | Kind::Name if is_endpoint && at - start > 1 => Kind::Word,
            kind => kind,
        };
        if kind == Kind::Data
            && let Some(last) = out.iter().rposition(|place| place.kind != Kind::Fixed)
            && out[last].kind == Kind::Data
            && last + 1 < out.len()
            && (tokens[out[last].tokens.end..start]
                .iter()
                .all(|token| matches!(token, Token::Space | Token::Literal(",")))
                || matches!(tokens[out[last].tokens.end..start], [Token::Literal(":")]))
        {
            out.truncate(last + 1);
            out[last].tokens.end = at;
            continue;
        }
        out.push(Place { tokens: start..at, kind });
    }
    out
}

fn is_boundary(token: Token<'_>) -> bool {
    match token {
        Token::Space | Token::Pinned(_) => true,
        Token::Literal(text) => matches!(
            text,
            "\"" | "'" | "," | ";" | ":" | "=" | "(" | ")" | "[" | "]" | "{" | "}" | "<" | ">" | "|" | "#" | "!" | "?"
        ),
        Token::Mask | Token::Value(_) => false,
    }
}

fn kind(tokens: &[Token<'_>], has_port: bool) -> Kind {
    if let [Token::Mask | Token::Value(_)] = tokens {
        return Kind::Data;
    }
    let words = || {
        tokens.iter().filter_map(|token| match token {
            Token::Literal(text) if token.is_word() => Some(*text),
            _ => None,
        })
    };
    let holds = |mark: &str| tokens.iter().any(|token| matches!(token, Token::Literal(text) if *text == mark));
    let has_mask = tokens.iter().any(|token| matches!(token, Token::Mask | Token::Value(_)));
    let count = words().count();
    if words().any(|word| word.bytes().any(|byte| byte.is_ascii_digit()))
        || (holds("@") && count > 0)
        || ((holds("/") || holds("\\")) && count + usize::from(has_mask) >= 2)
        || is_host(tokens, has_port)
    {
        return Kind::Data;
    }
    if count == 0 {
        return if has_mask { Kind::Data } else { Kind::Fixed };
    }
    if has_mask { Kind::Name } else { Kind::Word }
}

/// `db-1.shop.example.com`: labels in small letters, the last one a top-level domain or followed by a port.
fn is_host(tokens: &[Token<'_>], has_port: bool) -> bool {
    let mut dots = 0;
    let mut last = "";
    for token in tokens {
        match token {
            Token::Literal(".") => dots += 1,
            Token::Literal(text) if text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') => {
                last = text;
            }
            Token::Mask | Token::Value(_) => {}
            _ => return false,
        }
    }
    dots >= 1 && (has_port || is_top_level_domain(last)) && !(dots == 1 && is_source_extension(last))
}

fn token_hash(token: Token<'_>) -> u64 {
    let (kind, text) = match token {
        Token::Literal(text) | Token::Pinned(text) => (1_u64, text),
        Token::Space => (2, ""),
        // Values count as masks here: they do not tell templates apart.
        Token::Mask | Token::Value(_) => (3, ""),
    };
    super::table::hash_bytes(kind, text.as_bytes())
}

fn place_hash(tokens: &[Token<'_>]) -> u64 {
    tokens
        .iter()
        .fold(0x9E37, |hash, token| (hash ^ token_hash(*token)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23))
}

/// Merges templates that are alike but for data.
fn by_skeleton(group: Vec<Template<'_>>) -> Vec<Template<'_>> {
    let mut by_key: HashMap<u64, Vec<usize>> = HashMap::new();
    for (member, template) in group.iter().enumerate() {
        let places = places(&template.tokens);
        let is_note = |at: usize| is_note(&template.tokens, &places, at);
        let key = (0..places.len()).filter(|at| !is_note(*at)).fold(1_u64, |hash, at| {
            let place = &places[at];
            let own = if place.kind == Kind::Data { 7 } else { place_hash(&template.tokens[place.tokens.clone()]) };
            (hash ^ own).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
        });
        by_key.entry(key).or_default().push(member);
    }
    let mut sets: Vec<Vec<usize>> = by_key.into_values().filter(|members| members.len() > 1).collect();
    sets.sort();
    join(group, sets)
}

/// Whether a place is part of ` (5.2 KB)`: a value in parentheses behind another, which lines may leave out.
fn is_note(tokens: &[Token<'_>], places: &[Place], at: usize) -> bool {
    (at.saturating_sub(3)..=at).any(|start| {
        let Some([blank, open, data, close]) = places.get(start..start + 4) else { return false };
        tokens[blank.tokens.clone()] == [Token::Space]
            && tokens[open.tokens.clone()] == [Token::Literal("(")]
            && data.kind == Kind::Data
            && tokens[close.tokens.clone()] == [Token::Literal(")")]
    })
}

/// Merges templates that differ in `free` places which hold many different words.
fn by_cardinality(group: Vec<Template<'_>>, free: usize) -> Vec<Template<'_>> {
    let cut: Vec<Vec<Place>> = group.iter().map(|template| places(&template.tokens)).collect();
    let hashes: Vec<Vec<u64>> = group
        .iter()
        .zip(&cut)
        .map(|(template, places)| {
            let hash = |(at, place): (usize, &Place)| {
                // Data aside.
                let is_data = place.kind == Kind::Data;
                let own = if is_data { 7 } else { place_hash(&template.tokens[place.tokens.clone()]) };
                (own ^ (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
            };
            places.iter().enumerate().map(hash).collect()
        })
        .collect();
    let mut buckets: HashMap<(usize, usize, usize, u64), Vec<usize>> = HashMap::new();
    for (member, places) in cut.iter().enumerate() {
        let whole = hashes[member].iter().fold(0_u64, |sum, hash| sum.wrapping_add(*hash));
        let variable: Vec<usize> = (0..places.len()).filter(|at| places[*at].kind != Kind::Fixed).collect();
        // Two places may only differ where at least as many do not.
        if free == 2 && (variable.len() < 4 || variable.len() > MAX_PAIRED_PLACES) {
            continue;
        }
        for (nth, &first) in variable.iter().enumerate() {
            let rest = whole.wrapping_sub(hashes[member][first]);
            if free == 1 {
                buckets.entry((places.len(), first, first, rest)).or_default().push(member);
            } else {
                for &second in &variable[nth + 1..] {
                    let rest = rest.wrapping_sub(hashes[member][second]);
                    buckets.entry((places.len(), first, second, rest)).or_default().push(member);
                }
            }
        }
    }
    let mut chosen: Vec<(usize, usize, Vec<usize>)> = buckets
        .into_iter()
        .filter(|(_, members)| members.len() > 1)
        .filter(|((_, first, second, _), members)| {
            [*first, *second].iter().all(|place| is_variable(&group, &cut, *place, members, free))
        })
        .map(|((_, first, second, _), members)| (first, second, members))
        .collect();
    chosen.sort_by(|a, b| b.2.len().cmp(&a.2.len()).then_with(|| a.2.cmp(&b.2)).then((a.0, a.1).cmp(&(b.0, b.1))));
    join(group, chosen.into_iter().map(|(.., members)| members).collect())
}

/// Whether what stands in a place of `members` varies as data does.
fn is_variable(group: &[Template<'_>], cut: &[Vec<Place>], place: usize, members: &[usize], free: usize) -> bool {
    let mut values: BTreeSet<u64> = BTreeSet::new();
    let (mut data, mut names) = (0, 0);
    let is_named = members.first().is_some_and(|member| follows_noun(&group[*member].tokens, &cut[*member], place));
    for &member in members {
        let Place { tokens, kind } = &cut[member][place];
        if !values.insert(place_hash(&group[member].tokens[tokens.clone()])) {
            continue;
        }
        // What was masked in one line and a word in another is a name that happens to have no digits.
        if free == 1 && matches!(group[member].tokens[tokens.clone()], [Token::Mask]) {
            return true;
        }
        data += usize::from(*kind == Kind::Data);
        names += usize::from(is_named || matches!(kind, Kind::Name | Kind::Data));
    }
    let distinct = values.len();
    distinct >= MANY_WORDS
        || (free == 1 && distinct >= 2 && data * 2 > distinct)
        || (free == 1 && distinct >= MANY_NAMES && names * 2 > distinct)
}

/// Whether a place follows a noun that is followed by a name: `user root`.
fn follows_noun(tokens: &[Token<'_>], places: &[Place], place: usize) -> bool {
    place >= 2
        && tokens[places[place - 1].tokens.clone()] == [Token::Space]
        && matches!(tokens[places[place - 2].tokens.clone()], [Token::Literal(word)] if is_naming(word))
}

/// Joins each set of templates, which have the same number of places, into one; a template goes with the first set
/// that names it.
fn join<'a>(mut group: Vec<Template<'a>>, sets: Vec<Vec<usize>>) -> Vec<Template<'a>> {
    let mut gone = vec![false; group.len()];
    let mut taken = vec![false; group.len()];
    for set in sets {
        let members: Vec<usize> = set.into_iter().filter(|&member| !taken[member]).collect();
        let [into, others @ ..] = members.as_slice() else { continue };
        if others.is_empty() {
            continue;
        }
        let lists: Vec<Vec<Token<'a>>> =
            members.iter().map(|&member| std::mem::take(&mut group[member].tokens)).collect();
        group[*into].tokens = common_places(&lists);
        taken[*into] = true;
        for &member in others {
            gone[member] = true;
            taken[member] = true;
            let forms = std::mem::take(&mut group[member].forms);
            let weight = group[member].weight;
            group[*into].forms.extend(forms);
            group[*into].weight += weight;
        }
    }
    let mut index = 0;
    group.retain(|_| {
        index += 1;
        !gone[index - 1]
    });
    group.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.tokens.cmp(&b.tokens)));
    group
}

/// What templates with the same number of places share: in each place the common beginning and end, and a mask
/// between.
fn common_places<'a>(lists: &[Vec<Token<'a>>]) -> Vec<Token<'a>> {
    let cut: Vec<Vec<Place>> = lists.iter().map(|tokens| places(tokens)).collect();
    if cut.iter().any(|places| places.len() != cut[0].len()) {
        // Some have a note in parentheses that others have not.
        let rest = &lists[1..];
        return rest.iter().fold(lists[0].clone(), |all, tokens| common(&all, tokens));
    }
    let mut out = Vec::with_capacity(lists[0].len());
    for at in 0..cut[0].len() {
        let slice = |list: usize| cut[list].get(at).map_or(&[][..], |place| &lists[list][place.tokens.clone()]);
        let first = slice(0);
        let (mut head, mut tail) = (first.len(), first.len());
        for other in (1..lists.len()).map(slice) {
            head = head.min(first.iter().zip(other).take_while(|(a, b)| a == b).count());
            tail = tail.min(first.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count());
            if head == first.len() && other.len() > first.len() {
                head = first.len().saturating_sub(1);
            }
        }
        if head == first.len() {
            out.extend_from_slice(first);
            continue;
        }
        let shortest = (0..lists.len()).map(|list| slice(list).len()).min().unwrap_or(0);
        let tail = tail.min(shortest.saturating_sub(head));
        for token in &first[..head] {
            push(&mut out, *token);
        }
        push(&mut out, Token::Mask);
        for token in &first[first.len() - tail..] {
            push(&mut out, *token);
        }
    }
    out
}
