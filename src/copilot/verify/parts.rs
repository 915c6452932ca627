//! Which figure of an item a sentence tells: the words around a number say whether it is a level, a change, a usual
//! value.

use std::sync::LazyLock;

use ::regex::Regex;

use super::figures::{Number, Unit};
use super::item::{Figure, Role};
use super::regex;

/// What the words around a number say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing.
    Any,
    /// A value: `to 28 %`, `at 28 %`.
    Level,
    /// How much something changed: `by 28 %`, `28 % higher`.
    Change,
    /// The median.
    Median,
    /// The highest or lowest value.
    Peak,
    /// What is usual.
    Usual,
}

/// Words between a number and what says which it is.
const ABOUT: &str = r"(?:(?:just |only |well )?(?:about|around|roughly|approximately|approx\.?|circa|ca\.|nearly|almost|some|over|more than|above|under|less than|below|close to|as much as|up to|a mere|an? )\s*|[~≈<>≤≥]\s?|×\s?)*$";

fn before(words: &str) -> Regex {
    regex(&format!(r"(?i)(?:{words})\s*{ABOUT}"))
}

static BY: LazyLock<Regex> = LazyLock::new(|| {
    before(
        r"\b(?:rises?|rose|risen|rising|grew|grown?|grows|growing|increas\w+|decreas\w+|fell|fallen?|falls|falling|drop\w*|declin\w+|climb\w*|jump\w*|spik\w+|surg\w+|sank|plung\w+|shrank|reduc\w+|slow\w*|up|down|higher|lower|longer|shorter|more|less|change[ds]?|went (?:up|down)|degraded|worsened)(?:\s\w+){0,3}?\sby",
    )
});
static MORE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\s*(?:higher|lower|more|fewer|less|slower|faster|longer|shorter|above (?:normal|the baseline|baseline)|(?:increase|decrease|drop|rise|growth|reduction|jump|spike|surge|decline|slowdown|fall)\b)",
    )
});
static TO: LazyLock<Regex> =
    LazyLock::new(|| before(r"\b(?:to|at|from|reach(?:ed|es|ing)?|hits?|hitting|is|was|are|were|now)"));
static MEDIAN: LazyLock<Regex> =
    LazyLock::new(|| before(r"\bmedian(?:\s(?:value|of|is|was|at|baseline|rate|latency))*"));
static PEAK: LazyLock<Regex> =
    LazyLock::new(|| before(r"\b(?:peak(?:s|ed|ing)?|maximum|max)(?:\s(?:value|of|is|was|at|to|around))*"));
static USUAL: LazyLock<Regex> = LazyLock::new(|| {
    before(
        r"\b(?:normal(?:ly)?|usual(?:ly)?|typical(?:ly)?|previous(?:ly)?|before|beforehand|baseline|instead of|rather than|up from|down from)(?:\s(?:is|was|were|at|of|value|range|level|about|a|an|the|usual|normal|baseline))*",
    )
});

/// What is said of the number that stands at `place` in `text`.
pub(super) fn part(text: &str, place: &std::ops::Range<usize>) -> Part {
    let (left, right) = (&text[..place.start], &text[place.end..]);
    if MEDIAN.is_match(left) {
        Part::Median
    } else if BY.is_match(left) || MORE.is_match(right) {
        Part::Change
    } else if PEAK.is_match(left) {
        Part::Peak
    } else if USUAL.is_match(left) {
        Part::Usual
    } else if TO.is_match(left) {
        Part::Level
    } else {
        Part::Any
    }
}

/// Whether a figure may be told as such a part.
pub(super) fn fits(part: Part, told: Number, figure: &Figure) -> bool {
    let role = figure.role;
    match part {
        _ if role == Role::Said => true,
        // `five times its median` compares.
        _ if told.unit == Unit::Times => role == Role::Change || figure.number.unit == Unit::Bare,
        Part::Any => true,
        Part::Level => role != Role::Change,
        Part::Change => role == Role::Change,
        Part::Median => role == Role::Median,
        Part::Peak => matches!(role, Role::Peak | Role::After | Role::Sample),
        Part::Usual => matches!(role, Role::Median | Role::Before | Role::Sample),
    }
}
