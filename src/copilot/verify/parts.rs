//! Which figure of an item a sentence tells: the words around a number say whether it is a level, a change, a usual
//! value, a count.

use std::ops::Range;
use std::sync::LazyLock;

use ::regex::Regex;

use super::figures::{Number, Unit};
use super::item::{Figure, Role};
use super::regex;
use crate::domain::evidence::EvidenceKind;

/// What the words around a number say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing.
    Any,
    /// A value: `at 28 %`.
    Level,
    /// What something came to: `rose to 28 %`, `reached 28 %`.
    Became,
    /// How much something changed: `by 28 %`, `28 % higher`.
    Change,
    /// What it is of something else: `28 % of its usual rate`.
    Share,
    /// The median.
    Median,
    /// The highest or lowest value.
    Peak,
    /// What is usual.
    Usual,
    /// What it was before it became something else: `from 6 to`, `6 →`.
    From,
    /// The same, where something went back: it may be the peak.
    Past,
    /// What is now, as against what was.
    Now,
    /// How often something was said.
    Count,
}

/// Words between a number and what says which it is.
const ABOUT: &str = r"(?:(?:just |only |well |even |no more than |within |at most |at least )?(?:just short of|just under|just over|not quite|about|around|roughly|approximately|approx\.?|circa|ca\.|nearly|almost|some|over|more than|above|under|less than|below|close to|as much as|as low as|as high as|a mere|an?|the)\s|[~≈<>≤≥]\s?|×\s?|\()*$";

fn before(words: &str) -> Regex {
    regex(&format!(r"(?i)(?:{words})[\s:=]*{ABOUT}"))
}

/// Words of something that goes up or down.
const MOVES: &str = r"(?:rises?|rose|risen|rising|grew|grown?|grows|growing|increas\w+|decreas\w+|fell|fallen?|falls|falling|drop\w*|declin\w+|climb\w*|jump\w*|spik\w+|surg\w+|soar\w*|shot up|sank|plung\w+|plummet\w*|collaps\w+|shrank|reduc\w+|explod\w+|went|gone|goes|going|came|come|up|down)";

static BY: LazyLock<Regex> = LazyLock::new(|| {
    before(&format!(
        r"\b(?:{MOVES}|slow\w*|higher|lower|longer|shorter|more|less|changed?|degraded|worsened|improved)(?:\s\w+){{0,3}}?\sby"
    ))
});
static MORE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\s*(?:higher|lower|more|fewer|less|slower|faster|longer|shorter|(?:above|below|over) (?:its |the )?(?:normal|usual|baseline|median)|(?:increase|decrease|drop|rise|growth|reduction|jump|spike|surge|decline|slowdown|fall)\b)",
    )
});
static BECAME: LazyLock<Regex> = LazyLock::new(|| {
    before(&format!(
        r"\b(?:{MOVES}(?:\s[^\s,;]+){{0,7}}?\s(?:back\s)?to|from\s[^,;]{{1,24}}?\sto|reach(?:ed|es|ing)?|hits?|hitting)|→|->"
    ))
});
static RETURNS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:now|back|again|since|recover\w*|subsid\w+|eas(?:ed|ing)|return\w*|come down|came down|settl\w+|peak)\b",
    )
});
static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:normal|usual|baseline)\b[^,;()]{0,24}\b(?:range|band)\b(?:[^,;()]{0,40}\s)?(?:is|was|of|runs|lies|between|from|reach(?:es|ing)|goes|going|ends|ending|up to)\b[^,;()]{0,30}$",
    )
});
/// `6.5 KiB where 2.1..6.8 is normal`.
static OUT_OF_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^,?\s(?:(?:since|from)\s\d\d:\d\d(?::\d\d)?,?\s)?(?:where|against|instead of|next to|versus|vs\.?|over)\s(?:its |the |a )?(?:(?:usual|normal|typical)\s)?[\d.]+\S*\s?(?:\.\.|–|-|to)",
    )
});
static PAST: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:was|were|had|normal|usual|baseline|before|median|latest|last|now|still|currently)\b")
});
/// A range that has ended: `from a normal range of 2..4 to`.
static RANGE_TO: LazyLock<Regex> =
    LazyLock::new(|| before(r"\d\s?(?:\.\.|–|-)\s?\d[^,;()\s]*(?:\s[^,;()\s]+){0,2}\sto"));
static FROM: LazyLock<Regex> = LazyLock::new(|| before(r"\bfrom"));
static TO_AFTER: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)^[^,;.]{0,12}?\s(?:up |down |back )?to\s"));
static ARROW_AFTER: LazyLock<Regex> = LazyLock::new(|| regex(r"^[^,;.\d]{0,12}?(?:→|->)"));
static LEVEL: LazyLock<Regex> = LazyLock::new(|| before(r"\b(?:at|is|was|are|were)"));
static MEDIAN: LazyLock<Regex> =
    LazyLock::new(|| before(r"\bmedian(?:\s(?:value|of|is|was|at|being|baseline|rate|latency|about|around|roughly))*"));
static PEAK: LazyLock<Regex> = LazyLock::new(|| {
    before(
        r"\b(?:peak(?:s|ed|ing)?|maximum|max)(?:\s(?:value|of|is|was|at|to|around|near|being|about))*|\bas (?:high|low) as",
    )
});
static USUAL: LazyLock<Regex> = LazyLock::new(|| {
    before(
        r"\b(?:normal(?:ly)?|usual(?:ly)?|typical(?:ly)?|previous(?:ly)?|beforehand|baseline|instead of|rather than)(?:\s(?:is|was|were|at|of|value|range|level|rate|median|it|stays?|stayed|lies|between|from|usual|normal|baseline|to))*",
    )
});
static USUAL_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\s*(?:(?P<noun>[a-z]+)\s)?(?:(?:is|are|was|were|being)\s(?:normal|usual|typical)\b|normally|usually|typically|previously|beforehand|earlier|in the baseline|before(?:\s(?:the|it|that|vs|versus|and)\b|[,;.)]|$)|at baseline)",
    )
});
static SHARE_AFTER: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)^\s*(?:of\s)?(?:its|the|their|what|normal|usual|baseline|that|before|as)\b"));
/// Words after a number that begin something else: `40 from usually 250`.
const LINKS: [&str; 18] = [
    "from", "against", "vs", "versus", "instead", "and", "but", "where", "of", "than", "is", "was", "while", "as",
    "that", "to", "not", "or",
];

static USUAL_EXTREME: LazyLock<Regex> = LazyLock::new(|| {
    before(
        r"\b(?:normal|usual|baseline|previous|earlier)\s(?:maximum|max|peak|minimum|min|high|low|top)(?:\s(?:of|is|was|at|value))*",
    )
});
static NOW: LazyLock<Regex> = LazyLock::new(|| {
    before(
        r"\b(?:now|currently|latest|most recently|at present|(?:is|are|and|but) still|stands|(?:is|are) seen lately|(?:came|went|fell|dropped|climbed|then|is|has|have|are)(?: now| since| only| already| partly| again)* (?:back|recovered|come (?:back|down)|gone back|fallen back)|recovered)(?:\s(?:value|is|at|to|of|down|up|only|stands|stand|sits|back|being))*",
    )
});
static NOW_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\s*(?:(?P<noun>\w+)\s)?(?:now\b|at last\b|currently\b|at present\b|during\b|in the (?:incident )?window\b|in the (?:latest|last|newest) (?:sample|scrape|value|point))",
    )
});
static WORST_AFTER: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)^\s*(?:at (?:the |its )?(?:worst|peak)\b)"));
static COUNT_AFTER: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)^\s*(?:lines?|occurrences|entries|messages|times in (?:total|all)|log lines)\b"));
static ERRORS_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)^\s(?:[a-z]+\s)?(?:errors?|timeouts?|failures?|warnings?|exceptions?|rejections?|occurrences)\b")
});
static OFTEN: LazyLock<Regex> = LazyLock::new(|| {
    before(r"\b(?:seen|logged|occurr(?:ed|s)|appear(?:ed|s)|came|said|reported|recorded|emitted|written|fired)")
});

static VERSUS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)^\S*\s?(?:vs\.?|versus|against|→|->|compared|instead|rather)"));
static EACH: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:\s[a-z]+)?\s?(?:/\s?|a\s|per\s|each\s|every\s)[a-z]+"));
static THAN_USUAL: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\bthan (?:usual|normal|before|in the baseline)[:,;]?\s\S{0,2}$"));
static OUT_OF_NORMAL: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:above|below|over|under) (?:its |the )?(?:normal|usual|baseline)(?: range| level| value)? at\s\S{0,2}$",
    )
});

/// Whether the words after a number say so, with no more than the noun that it counts between.
fn after(words: &Regex, right: &str) -> bool {
    words.captures(right).is_some_and(|found| found.name("noun").is_none_or(|noun| !LINKS.contains(&noun.as_str())))
}

/// What is said of the number that stands at `place` in `text`.
pub(super) fn part(text: &str, place: &Range<usize>, number: Number) -> Part {
    let (left, right) = (&text[..place.start], &text[place.end..]);
    // What a rate is told in stands between it and what is said of it.
    let right = if matches!(number.unit, Unit::Rate(_)) {
        right.get(EACH.find(right).map_or(0, |each| each.end())..).unwrap_or(right)
    } else {
        right
    };
    // `Impl#372` is a place in code; a pair in brackets explains what stands before it; what is `above normal at 5` is 5.
    if THAN_USUAL.is_match(left)
        || left.ends_with('#')
        || left.ends_with('(') && VERSUS.is_match(right)
        || OUT_OF_NORMAL.is_match(left)
    {
        return Part::Any;
    }
    let duration = matches!(number.unit, Unit::Seconds(_));
    if number.unit == Unit::None && ERRORS_AFTER.is_match(right) {
        Part::Count
    } else if number.unit == Unit::Percent && SHARE_AFTER.is_match(right) {
        Part::Share
    } else if MEDIAN.is_match(left) && !after(&NOW_AFTER, right) {
        Part::Median
    } else if BY.is_match(left) || MORE.is_match(right) {
        Part::Change
    } else if USUAL_EXTREME.is_match(left) {
        Part::Usual
    } else if PEAK.is_match(left) || WORST_AFTER.is_match(right) {
        Part::Peak
    } else if NOW.is_match(left) || !duration && after(&NOW_AFTER, right) {
        Part::Now
    } else if USUAL.is_match(left) || !duration && after(&USUAL_AFTER, right) {
        Part::Usual
    } else if number.unit == Unit::None && COUNT_AFTER.is_match(right)
        || number.unit == Unit::Times && OFTEN.is_match(left)
    {
        Part::Count
    } else if RANGE.is_match(left) && !RANGE_TO.is_match(left) {
        Part::Usual
    } else if FROM.is_match(left) && TO_AFTER.is_match(right) || ARROW_AFTER.is_match(right) {
        if RETURNS.is_match(text) { Part::Past } else { Part::From }
    } else if BECAME.is_match(left) || OUT_OF_AFTER.is_match(right) && !PAST.is_match(left) {
        Part::Became
    } else if LEVEL.is_match(left) {
        Part::Level
    } else {
        Part::Any
    }
}

/// Whether a figure of an item of that kind may be told as such a part.
pub(super) fn fits(part: Part, told: Number, figure: &Figure, kind: Option<EvidenceKind>) -> bool {
    let role = figure.role;
    let of_log = kind == Some(EvidenceKind::Log);
    match part {
        Part::Count if of_log => matches!(role, Role::Before | Role::After) && figure.number.unit == Unit::Bare,
        // How often a thing was said is counted, and a rate is measured; neither stands in the words.
        _ if role == Role::Said && of_log => !matches!(told.unit, Unit::Rate(_) | Unit::Times),
        _ if role == Role::Said => told.unit != Unit::Times,
        _ if role == Role::Score => matches!(part, Part::Any | Part::Level),
        // `five times its median` compares.
        _ if told.unit == Unit::Times => {
            matches!(role, Role::Change | Role::Beyond) || figure.number.unit == Unit::Bare && of_log
        }
        Part::Any | Part::Count => !matches!(role, Role::Share | Role::Difference | Role::Beyond),
        Part::Level => !matches!(role, Role::Change | Role::Share | Role::Difference | Role::Beyond),
        Part::Share => role != Role::Difference,
        Part::Became => matches!(role, Role::Peak | Role::After | Role::Last | Role::Sample),
        Part::Change => matches!(role, Role::Change | Role::Difference | Role::Beyond),
        Part::Median => role == Role::Median,
        Part::Peak => matches!(role, Role::Peak | Role::After),
        Part::Usual => matches!(role, Role::Median | Role::Before),
        Part::From => matches!(role, Role::Median | Role::Before | Role::Sample),
        Part::Past => matches!(role, Role::Median | Role::Before | Role::Peak | Role::Sample),
        Part::Now => matches!(role, Role::Last | Role::After),
    }
}
