//! Whether the numbers of a sentence are figures of what it cites, or follow from such.

use std::ops::Range;
use std::sync::LazyLock;

use ::regex::Regex;

use super::figures::{Number, Token, Unit, tokens};
use super::item::{Figure, Item, Role};
use super::owners::owners;
use super::parts::{self, Part};
use super::regex;
use super::shares::shares;
use super::text::{plain, stands_apart};
use crate::domain::evidence::EvidenceKind;

/// A number of the sentence.
struct Told<'a> {
    place: &'a Range<usize>,
    number: Number,
    written: &'a str,
    part: Part,
}

static FACTOR: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\b(?:a|by a) factor (?:of )?(?:\S+ ){0,3}$"));

/// The first number that is no figure of the items; `None` when all are. `title` is the incident's; `spans` are times
/// between what the items tell.
pub(super) fn unfounded(
    text: &str,
    tokens: &[(Range<usize>, Token)],
    items: &[&Item],
    title: &str,
    spans: &[Number],
) -> Option<String> {
    let told: Vec<Told<'_>> = tokens
        .iter()
        .filter_map(|(place, token)| match token {
            Token::Number(number, written) => {
                let factor = number.unit == Unit::None && FACTOR.is_match(&text[..place.start]);
                let number = if factor { Number { unit: Unit::Times, ..*number } } else { *number };
                Some(Told { place, number, written, part: parts::part(text, place, number) })
            }
            Token::Word(_) => None,
        })
        .collect();
    // What an item came to and what it is now are told apart.
    let now_is_told = |item: &Item| {
        told.iter()
            .filter(|one| one.part == Part::Now)
            .any(|one| item.figures.iter().any(|figure| figure.role == Role::Last && one.number.is(figure.number)))
    };
    let scored = SCORED.is_match(text);
    let ranged = RANGED.is_match(text);
    let owners = owners(text, tokens, items);
    let stands = |one: &Told<'_>| {
        let of = owners.iter().find(|(place, _)| *place == one.place).map_or(items, |(_, of)| of.as_slice());
        let side = side(text, one.place);
        let known = of.iter().any(|item| {
            item.figures.iter().any(|figure: &Figure| {
                let left_behind = one.part == Part::Became && figure.role == Role::Last && now_is_told(item);
                let other_side = side.is_some() && figure.side.is_some() && side != figure.side;
                let passing = figure.role == Role::Sample && !sampled(text, one, &told);
                let beyond = figure.role == Role::Beyond && !ranged;
                let score = figure.role == Role::Score && !scored;
                !left_behind
                    && !passing
                    && !score
                    && !beyond
                    && !confused(one.number, figure.number, of, spans)
                    && !other_side
                    && parts::fits(part_in(one.part, item), one.number, figure, item.kind)
                    && one.number.is(figure.number)
            })
        });
        let cores = text[one.place.end..].trim_start().starts_with("cores")
            && of.iter().any(|item| item.words.contains("millicore"))
            && !of.iter().flat_map(|item| &item.figures).any(|figure| {
                Number {
                    value: one.number.value * 1e3,
                    below: one.number.below * 1e3,
                    above: one.number.above * 1e3,
                    ..one.number
                }
                .is(figure.number)
            });
        if cores {
            return false;
        }
        let written = plain(one.written);
        // A rate is told with its time, which stands behind the number.
        let literal = || {
            !matches!(one.number.unit, Unit::Rate(_))
                && one.part != Part::Count
                && of.iter().any(|item| stands_apart(&item.words, written.trim()))
        };
        // `Impl#129`: a place in code.
        let place =
            || text[..one.place.start].ends_with('#') && of.iter().any(|item| stands_apart(&item.text, written.trim()));
        // `prices below 55` of `priceLessThan55`.
        let named = || {
            one.number.unit == Unit::None
                && of.iter().any(|item| {
                    item.names.iter().any(|name| {
                        name.split(|c: char| !c.is_ascii_digit())
                            .any(|digits| digits.len() > 1 && digits == written.trim())
                    })
                })
        };
        // Of the title, only what has a unit.
        let titled = || one.number.unit != Unit::None && stands_apart(title, written.trim());
        (known || spans.iter().any(|span| one.number.is(*span)) || literal() || place() || named() || titled())
            && operand(text, one, &told).is_none_or(|other| {
                told.iter().filter(|third| !std::ptr::eq(*third, one) && !std::ptr::eq(*third, other)).any(|third| {
                    let bare = third.number.unit == Unit::None || other.number.unit == Unit::None;
                    let of = |number: Number| if bare { number.value } else { number.base() };
                    one.number.is(Number::exact(of(third.number) / of(other.number), Unit::Times))
                })
            })
    };
    let (founded, rest): (Vec<&Told<'_>>, Vec<&Told<'_>>) =
        told.iter().partition(|one| stands(one) || spanned(text, one, &told, items));
    if let Some(one) = told.iter().find(|one| not_the_factor(text, one, &told)) {
        return Some(format!("the number {} is not in what it cites", plain(one.written).trim()));
    }
    if let Some(one) = told.iter().find(|one| told.len() == 1 && passed(text, one, items)) {
        return Some(format!("{} was before", plain(one.written).trim()));
    }
    let known: Vec<Number> = founded.iter().map(|one| one.number).collect();
    rest.into_iter()
        .find(|one| !follows(text, one, &known))
        .map(|one| format!("the number {} is not in what it cites", plain(one.written).trim()))
}

static SCORED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(?:scores?|scored|sigma|deviations?|mads?|z-score|outlier)\b|σ"));

/// What is said of a number where it is held against that item: the median of what is a median is its value.
fn part_in(part: Part, item: &Item) -> Part {
    if part == Part::Median && ["p50", "0.5 ", "median"].iter().any(|word| item.words.contains(word)) {
        Part::Level
    } else {
        part
    }
}

/// Whether a figure of the time before is told as one of now: nothing in the sentence speaks of another time, and nothing
/// is compared.
fn passed(text: &str, one: &Told<'_>, items: &[&Item]) -> bool {
    static OTHERWISE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:before|earlier|was|were|had|did|normal\w*|usual\w*|baseline|previous\w*|former\w*|from|instead|rather|than|against|after|median|typical\w*|used|versus|vs|compared|past|once|initially|until|only|originally|where|range|already|unchanged|steady|stays?|stayed|remain\w*|same|still no|flat|went|rose|fell|dropped|grew|climbed|up|down|to|times|no|not|never|limit|over|under|above|below|threshold)\b|→|->|\.\.|n't\b|\d\s?[-–]\s?\d",
        )
    });
    let [item] = items else { return false };
    let of =
        |roles: &[Role]| item.figures.iter().any(|figure| roles.contains(&figure.role) && one.number.is(figure.number));
    !matches!(one.number.unit, Unit::Times)
        && matches!(one.part, Part::Any | Part::Level | Part::Count)
        && matches!(item.kind, Some(EvidenceKind::Log | EvidenceKind::Edge | EvidenceKind::Metric))
        && of(&[Role::Before, Role::Median])
        && !of(&[Role::Peak, Role::After, Role::Last, Role::Said, Role::Sample, Role::Change, Role::Difference])
        && !OTHERWISE.is_match(text)
}

/// Words of the ends of a normal range.
static RANGED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:range|band|top|bottom|upper|maximum|minimum|highest|lowest|at most|at least|ceiling|end)\b|\d\s?(?:–|-|\.\.|to)\s?\d",
    )
});

/// Whether a time is only found as a bare number in words, while it is a figure in another unit of time: `12 minutes`
/// where 12 seconds are shown.
fn confused(told: Number, found: Number, items: &[&Item], spans: &[Number]) -> bool {
    let Unit::Seconds(factor) = told.unit else { return false };
    let timed =
        || items.iter().flat_map(|item| item.figures.iter().map(|figure| figure.number)).chain(spans.iter().copied());
    found.unit == Unit::None
        && [1e-3, 1.0, 60.0, 3_600.0].iter().filter(|other| (**other - factor).abs() > f64::EPSILON).any(|other| {
            let otherwise = Number { unit: Unit::Seconds(*other), ..told };
            timed().any(|figure| matches!(figure.unit, Unit::Seconds(_)) && otherwise.is(figure))
        })
}

/// Why a pair of figures is not the one of a change that is cited: the first was never there, or it was put in.
pub(super) fn undone(text: &str, items: &[&Item]) -> Option<String> {
    static FROM_TO: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        [
            regex(r"(?i)\bfrom\s(?P<a>~?\d[^,;]{0,20}?)\sto\s(?P<b>~?\d[^,;\s]*(?:\s?[a-zµ%]+)?)"),
            regex(
                r"(?i)(?:^|\s)(?P<a>~?\d\S*(?:\s[a-zµ%]{1,12})?)\s?(?:→|->)\s?(?P<b>~?\d[^,;\s]*(?:\s?[a-zµ%]{1,12}\b)?)",
            ),
        ]
    });
    let read = |text: &str| {
        tokens(text).into_iter().find_map(|token| match token {
            Token::Number(number, _) => Some(number),
            Token::Word(_) => None,
        })
    };
    let of = |kind: bool| items.iter().filter(move |item| (item.kind == Some(EvidenceKind::Change)) == kind);
    let has = |number: Number, role: Role| {
        of(true).flat_map(|item| &item.figures).any(|one| one.role == role && number.is(one.number))
    };
    let elsewhere = |number: Number| of(false).flat_map(|item| &item.figures).any(|one| number.is(one.number));
    for groups in FROM_TO.iter().flat_map(|shape| shape.captures_iter(text)) {
        let (Some(mut a), Some(b)) = (read(&groups["a"]), read(&groups["b"])) else { continue };
        if a.unit == Unit::None {
            a.unit = b.unit;
        }
        if elsewhere(a) && elsewhere(b) {
            continue;
        }
        let (was, became) = (has(a, Role::Before), has(b, Role::After));
        if (has(a, Role::After) && !was) || (has(b, Role::Before) && !became) || (was != became) && !elsewhere(a) {
            return Some(format!("it did not change from {} to {}", groups["a"].trim(), groups["b"].trim()));
        }
    }
    None
}

/// Whether a number may be a sample: it is told with its time, or as one of a row.
fn sampled(text: &str, one: &Told<'_>, told: &[Told<'_>]) -> bool {
    static OF_A_ROW: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?i)\b(?:samples?|sampled|series|readings?|points?|contains?|scrapes?)\b"));
    static AT: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?i)^\s?\(?(?:already |still |only )?(?:at|by|around|until)\s(?:about\s)?\d{1,2}:\d{2}")
    });
    static THEN: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:at|by|around)\s(?:about\s)?\d{1,2}:\d{2}(?::\d{2})?,?\s(?:it\s)?(?:was|is|were|already|still|stood|had|at|to|:|\s)*\s?$",
        )
    });
    let listed = told.windows(3).any(|three| {
        three.iter().any(|other| std::ptr::eq(other, one))
            && three.windows(2).all(|two| {
                let between = text[two[0].place.end..two[1].place.start].trim();
                matches!(between, "," | "and" | ", and" | "→" | "->" | "then" | ", then" | "and then")
            })
    });
    listed || OF_A_ROW.is_match(text) || AT.is_match(&text[one.place.end..]) || THEN.is_match(&text[..one.place.start])
}

/// Whether a number is an end of a narrow range that holds a figure: `5 to 6 times` of 5.6.
fn spanned(text: &str, one: &Told<'_>, told: &[Told<'_>], items: &[&Item]) -> bool {
    let joined = |a: &Told<'_>, b: &Told<'_>| {
        a.place.end <= b.place.start && matches!(text[a.place.end..b.place.start].trim(), "to" | "–" | "-" | "or")
    };
    told.iter().any(|other| {
        let (low, high) = if joined(one, other) {
            (one, other)
        } else if joined(other, one) {
            (other, one)
        } else {
            return false;
        };
        let (least, most) = (low.number.base(), high.number.base());
        one.number.unit == Unit::Times
            && least < most
            && most <= least * 1.5
            && items.iter().any(|item| {
                item.figures.iter().any(|figure| {
                    parts::fits(one.part, one.number, figure, item.kind)
                        && figure.number.is_of_the_kind_of(one.number)
                        && (figure.number.unit == Unit::Times) == (one.number.unit == Unit::Times)
                        && (least..=most).contains(&figure.number.base())
                })
            })
    })
}

/// Whether a factor is not that of the one pair of figures that the sentence tells: `417 ms to 3.39 s, about twice`.
fn not_the_factor(text: &str, one: &Told<'_>, told: &[Told<'_>]) -> bool {
    if one.number.unit != Unit::Times || operand(text, one, told).is_some() {
        return false;
    }
    let pairs: Vec<(&Told<'_>, &Told<'_>)> = told
        .windows(2)
        .map(|two| (&two[0], &two[1]))
        .filter(|(a, b)| {
            let between = text[a.place.end..b.place.start].trim();
            let mut before = &text[..a.place.start];
            while let Some(about) = LOOSELY.find(before) {
                before = &before[..about.start()];
            }
            let before = before.trim_end();
            a.number.unit != Unit::Times
                && b.number.unit != Unit::Times
                && (matches!(between, "→" | "->")
                    || between == "to" && (before.ends_with("from") || before.ends_with('(')))
        })
        .collect();
    let [(a, b)] = pairs.as_slice() else { return false };
    let others = told.iter().filter(|other| other.number.unit == Unit::Times).count();
    let bare = a.number.unit == Unit::None || b.number.unit == Unit::None;
    let of = |number: Number| if bare { number.value } else { number.base() };
    let (a, b) = (of(a.number), of(b.number));
    let loose = Number {
        below: one.number.below.max(one.number.value * 0.1),
        above: one.number.above.max(one.number.value * 0.1),
        ..one.number
    };
    others == 1
        && a != 0.0
        && b != 0.0
        && ![a / b, b / a].iter().any(|ratio| loose.is(Number::exact(*ratio, Unit::Times)))
}

/// The number that is multiplied: `3.6 times the 6.44/min before`. Only where the sentence tells a third.
fn operand<'a, 'b>(text: &str, one: &Told<'_>, told: &'b [Told<'a>]) -> Option<&'b Told<'a>> {
    static LINK: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^\s(?:(?:as \w+ as|of|the|its|a|an|top|earlier|usual|normal|previous|rate|value|median|threshold|level|about|around|baseline|alert|configured|limit)\s)+$",
        )
    });
    if one.number.unit != Unit::Times || told.len() < 3 {
        return None;
    }
    told.iter()
        .find(|other| other.place.start > one.place.end && LINK.is_match(&text[one.place.end..other.place.start]))
}

static LOOSELY: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(?:about|around|roughly|nearly|almost|some|just|a|an)\s$|[~≈≃]$"));

static DOWN: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:los[et]|fell|fallen|drop\w*|decreas\w+|declin\w+|less|fewer|down|reduc\w+|lower|shrank|cut)\b")
});

static UP: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:rose|risen|grew|increas\w+|climb\w*|jump\w*|more|higher|up|longer|slower|gain\w*)\b")
});

/// Whether a number follows from others of the sentence that stand: how many times as much, the difference, the sum.
fn follows(text: &str, one: &Told<'_>, known: &[Number]) -> bool {
    static TOTAL: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?i)\b(?:total|altogether|together|combined|in all|in sum|summed)\b|\s=\s"));
    static GAP: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?i)\b(?:difference|gap|margin|extra|additional|more|fewer|less|by)\b"));
    let factor = one.number.unit == Unit::Times;
    let is = |value: f64, unit: Unit| {
        value.is_finite()
            && Number { unit: if factor { Unit::Times } else { one.number.unit }, ..one.number }
                .is(Number::exact(value, unit))
    };
    let pairs = || {
        known.iter().enumerate().flat_map(move |(i, a)| {
            known.iter().enumerate().filter(move |(j, b)| i != *j && a.is_of_the_kind_of(**b)).map(move |(_, b)| (a, b))
        })
    };
    if factor {
        return pairs().any(|(a, b)| is(a.base() / b.base(), Unit::Times));
    }
    let (down, up) = (DOWN.is_match(text), UP.is_match(text));
    if one.number.unit == Unit::Percent
        && pairs().any(|(a, b)| {
            let (least, most) = (a.base().min(b.base()), a.base().max(b.base()));
            (down || !up) && is((most - least) / most * 100.0, Unit::Percent)
                || (up || !down) && is((most - least) / least * 100.0, Unit::Percent)
                || one.part == Part::Share && is(a.base() / b.base() * 100.0, Unit::Percent)
        })
    {
        return true;
    }
    // `75 %` of `6 of 8`.
    if one.number.unit == Unit::Percent
        && shares(text).iter().any(|(part, whole)| is(f64::from(*part) / f64::from(*whole) * 100.0, Unit::Percent))
    {
        return true;
    }
    if GAP.is_match(text) && pairs().any(|(a, b)| a.unit == b.unit && is(a.value - b.value, a.unit)) {
        return true;
    }
    let alike: Vec<&Number> = known.iter().filter(|other| other.unit == one.number.unit).collect();
    TOTAL.is_match(text) && alike.len() > 1 && is(alike.iter().map(|number| number.value).sum(), one.number.unit)
}

/// On whose side of a call a time was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// The side that the part of the sentence around a number speaks of; `None` when it speaks of neither or both.
fn side(text: &str, place: &Range<usize>) -> Option<Side> {
    static BREAK: LazyLock<Regex> =
        LazyLock::new(|| regex(r"[,;:(]\s|\s(?:while|whereas|but|and|of which|yet|that|which|with|against|versus)\s"));
    let start = BREAK.find_iter(&text[..place.start]).last().map_or(0, |found| found.end());
    let end = BREAK.find(&text[place.end..]).map_or(text.len(), |found| place.end + found.start());
    let clause = text[start..end].to_lowercase();
    let client = ["client", "caller", " waits ", "waiting"].iter().any(|word| clause.contains(word));
    let server = [
        "server side",
        "server-side",
        "on the server",
        "at the server",
        "server latency",
        "server time",
        "spent on the server",
        "callee",
    ]
    .iter()
    .any(|word| clause.contains(word));
    match (client, server) {
        (true, false) => Some(Side::Client),
        (false, true) => Some(Side::Server),
        _ => None,
    }
}
