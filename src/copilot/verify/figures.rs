//! Numbers in sentences: found, read with their units, and compared within the rounding in which they are written.

use std::ops::Range;
use std::sync::LazyLock;

use ::regex::Regex;

use super::regex;

/// What a number counts. The factor brings it to the base unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::copilot) enum Unit {
    /// Nothing is said.
    None,
    /// Per cent; the base is the share.
    Percent,
    /// Time; the base is the second.
    Seconds(f64),
    /// Size; the base is the byte. Decimal and binary prefixes are kept apart.
    Bytes(f64),
    /// A multiple: `×12`, `12 times`, `12-fold`.
    Times,
    /// A measured figure that has no unit: a count, a gauge. Nothing that is told in a unit is one.
    Bare,
    /// So many a time; the base is the second.
    Rate(f64),
}

/// A number with its unit and the rounding in which it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::copilot) struct Number {
    pub value: f64,
    pub unit: Unit,
    /// How far below it the figure may lie that it tells; zero for exact values.
    pub below: f64,
    /// How far above.
    pub above: f64,
}

impl Number {
    /// An exact figure of the evidence.
    pub(in crate::copilot) fn exact(value: f64, unit: Unit) -> Self {
        Self { value, unit, below: 0.0, above: 0.0 }
    }

    /// A measured figure, as it is shown: in three digits.
    pub(super) fn shown(value: f64, unit: Unit) -> Self {
        let half = value.abs() * 0.005;
        Self { value, unit, below: half, above: half }
    }

    /// The value in its base unit.
    pub(in crate::copilot) fn base(self) -> f64 {
        self.value * self.factor()
    }

    fn factor(self) -> f64 {
        match self.unit {
            Unit::None | Unit::Times | Unit::Bare => 1.0,
            Unit::Percent => 0.01,
            Unit::Seconds(factor) | Unit::Bytes(factor) | Unit::Rate(factor) => factor,
        }
    }

    /// Whether both count the same kind of thing, as far as they say.
    pub(in crate::copilot) fn is_of_the_kind_of(self, other: Self) -> bool {
        use Unit::{Bytes, Percent, Seconds};
        !matches!(
            (self.unit, other.unit),
            (Percent, Seconds(_) | Bytes(_)) | (Seconds(_), Percent | Bytes(_)) | (Bytes(_), Percent | Seconds(_))
        )
    }

    /// Whether `self`, as claimed, is `proof` within the rounding of the claim. A sign is not compared: "fell by 40"
    /// and "-40" are the same figure. Units must agree where both are given.
    pub(in crate::copilot) fn is(self, proof: Self) -> bool {
        use Unit::{Bare, Bytes, None, Percent, Rate, Seconds, Times};
        let shown = if proof.value == 0.0 { 0.0 } else { proof.above / proof.value.abs() };
        let within = |told: f64, proof: f64, factor: f64| {
            let (told, proof) = (told.abs(), proof.abs());
            let most = 1.0 + 1e-6;
            told.is_finite()
                && proof.is_finite()
                && proof * (1.0 + shown) >= told - self.below * factor * most - told * 1e-9
                && proof * (1.0 - shown) <= told + self.above * factor * most + told * 1e-9
        };
        let raw = || within(self.value, proof.value, 1.0);
        let base = || within(self.base(), proof.base(), self.factor());
        match (self.unit, proof.unit) {
            (None | Bare, None | Bare) | (Rate(_), None) | (Times, Times | None | Bare) => raw(),
            // A share of a measured figure without a unit: `31 %` of 0.31.
            (Percent, None) => raw() || proof.value.abs() <= 1.0 && base(),
            (Percent, Bare) => proof.value.abs() <= 1.0 && base(),
            (None, Times) | (_, Bare) => false,
            (None, Percent) => raw() || self.value.abs() <= 1.0 && base(),
            (None, _) => raw() || base(),
            // A limit is configured in seconds or in milliseconds, and its name may not say which.
            (Seconds(factor), None) if factor > 1.0 => false,
            (Seconds(factor), None) => raw() || factor > 0.5 && within(self.value * 1e3, proof.value, 1e3),
            (_, None) => raw(),
            (Percent, Percent) | (Seconds(_), Seconds(_)) | (Bytes(_), Bytes(_)) | (Rate(_), Rate(_)) => base(),
            _ => false,
        }
    }
}

/// What can be checked in a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::copilot) enum Token {
    /// A number with the text it was read from.
    Number(Number, String),
    /// A word with a digit in it (a version, address, time, pod name), found literally or not at all.
    Word(String),
}

static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        // Dates and times of day.
        r"(?P<time>\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?|\b\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\b)",
        // Addresses and versions with two dots or more.
        r"|(?P<dotted>\b\d+(?:\.\d+){2,}\w*(?:[:/]\d+)?\b)",
        // Between the ends of a range.
        r"|(?P<dots>\.\.+)",
        // Words that begin with a letter: names, versions, ids.
        r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:[.\-/:@][A-Za-z0-9_]+)*)",
        // Numbers with a unit.
        r"|(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2}\b)?|\.\d+)",
        r"(?:[ \u{a0}\-]?(?P<unit>%|per ?cent\b|percent\b|milliseconds?\b|ms\b|µs\b|us\b|microseconds?\b|seconds?\b|secs?\b|s\b|minutes?\b|mins?\b|hours?\b|hrs?\b|h\b|m\b|days?\b|d\b|(?i:[KMGT]iB|[KMGT]B)\b|bytes?\b|B\b|k\b|K\b|M\b|million\b|thousand\b|x\b|×|times\b|fold\b))?",
        r"(?P<tail>[A-Za-z_][A-Za-z0-9_]*(?:[.\-][A-Za-z0-9_]+)*)?",
    ))
});

/// Words in front of a number that is not meant to the last digit, and of one that bounds what it tells.
static ABOUT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:\b(?:about|around|roughly|approximately|approx\.?|circa|ca\.|nearly|almost|some|close to|near|in the order of)|~|≈|≃)\s*(?:×\s*)?$",
    )
});
static MORE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)(?:\b(?:over|more than|above|at least|upwards of|exceed(?:s|ed|ing)|well over)|>|≥)\s*(?:×\s*|≃)?$")
});
static LESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:\b(?:under|less than|fewer than|below|at most|no more than|as little as|within|just short of|just under|not quite)|<|≤)\s*(?:×\s*|≃)?$",
    )
});
/// What makes a number a rate.
static RATE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)^(?:\s[a-z-]+){0,2}?\s?(?:/\s?|\ba\s|\bper\s|\beach\s|\bevery\s)(s|sec|second|min|minute|m|h|hour)\b")
});
/// What joins numbers that share the unit of the last.
static JOINED: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s*(?:–|-|\.\.|…|→|->|,|,?\s?and|to|or|up to|down to)\s*$"));

/// How far a figure may lie from a round number that is said to be about it, as a share: `about 60` is vaguer than
/// `about 62`, and `about 62.5` is meant.
fn vagueness(digits: &str) -> f64 {
    let digits: String = digits.chars().take_while(|c| !matches!(c, 'e' | 'E')).filter(char::is_ascii_digit).collect();
    match digits.trim_start_matches('0').trim_end_matches('0').len() {
        0 | 1 => 0.1,
        2 => 0.05,
        _ => 0.02,
    }
}

/// The size of the last digit that is not zero, of a number as it is written.
fn last_digit(digits: &str) -> f64 {
    let plain = digits.replace(',', "");
    let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
    if part.is_empty() {
        let zeros = whole.len() - whole.trim_end_matches('0').len();
        10f64.powi(i32::try_from(zeros).unwrap_or(0))
    } else {
        10f64.powi(-i32::try_from(part.len()).unwrap_or(0))
    }
}

/// Finds what can be checked in `text`.
pub(in crate::copilot) fn tokens(text: &str) -> Vec<Token> {
    places(text).into_iter().map(|(_, token)| token).collect()
}

/// As [`tokens`], with the place of each.
pub(super) fn places(text: &str) -> Vec<(Range<usize>, Token)> {
    let mut found: Vec<(Range<usize>, Token)> = Vec::new();
    for captures in TOKENS.captures_iter(text) {
        let whole = captures.get(0).map_or("", |m| m.as_str());
        let place = captures.get(0).map_or(0..0, |m| m.range());
        if let Some(number) = captures.name("number") {
            let before = captures.get(0).and_then(|m| text[..m.start()].chars().next_back());
            if captures.name("tail").is_some_and(|tail| !tail.as_str().is_empty()) {
                // `5xx`, `7d9fb`, `3rd`: not a number.
                found.push((place.clone(), Token::Word(whole.to_owned())));
            } else if let Some(mut read) =
                read(number.as_str(), captures.name("unit").map(|unit| unit.as_str()), before)
            {
                let (start, end) = (place.start, place.end);
                let left = &text[..start];
                // `over 300` is true of 320: people leave digits out.
                let written: f64 = number.as_str().replace(',', "").parse().unwrap_or(1.0);
                let scale = if written == 0.0 { 1.0 } else { read.value / written };
                let reach = (last_digit(number.as_str()) * scale).max(read.value.abs() * 0.1);
                if MORE.is_match(left) {
                    read.above = reach;
                } else if LESS.is_match(left) {
                    read.below = reach;
                } else if ABOUT.is_match(left) {
                    // A fraction in words is the vaguest of all.
                    let vague = if left.ends_with('≃') { 0.1 } else { vagueness(number.as_str()) };
                    let slack = read.value.abs() * vague;
                    read.below = read.below.max(slack);
                    read.above = read.above.max(slack);
                }
                if matches!(read.unit, Unit::None | Unit::Times)
                    && let Some(each) = RATE.captures(&text[end..]).and_then(|rate| rate.get(1))
                {
                    read.unit = Unit::Rate(match each.as_str().as_bytes().first() {
                        Some(b'm' | b'M') => 1.0 / 60.0,
                        Some(b'h' | b'H') => 1.0 / 3_600.0,
                        _ => 1.0,
                    });
                }
                // A range or a list has its unit at the end: `22.8–26.5 ms`, `900, 950 and 990 ms`.
                if read.unit != Unit::None {
                    let mut begin = place.start;
                    for (before, token) in found.iter_mut().rev() {
                        let Token::Number(first, _) = token else { break };
                        let between = &text[before.end..begin];
                        // `320 to 2400, 7.5 times`: only the ends of a range are both so many times.
                        let range = matches!(between.trim(), "to" | "or" | "–" | "-");
                        if first.unit != Unit::None || !(range || read.unit != Unit::Times && JOINED.is_match(between))
                        {
                            break;
                        }
                        first.unit = read.unit;
                        begin = before.start;
                    }
                }
                found.push((place.clone(), Token::Number(read, whole.trim().to_owned())));
            }
        } else if whole.bytes().any(|byte| byte.is_ascii_digit()) {
            found.push((place.clone(), Token::Word(whole.to_owned())));
        }
    }
    found
}

fn read(digits: &str, unit: Option<&str>, before: Option<char>) -> Option<Number> {
    let plain = digits.replace(',', "");
    let value: f64 = plain.parse().ok()?;
    let (mantissa, exponent) = match plain.find(['e', 'E']) {
        Some(at) => (&plain[..at], plain[at + 1..].parse::<i32>().unwrap_or(0)),
        None => (plain.as_str(), 0),
    };
    let place = match mantissa.find('.') {
        Some(at) => -((mantissa.len() - at - 1) as i32),
        None => round_place(mantissa),
    };
    let mut scale = 1.0;
    let unit = match unit.map(str::to_ascii_lowercase).as_deref() {
        None if before == Some('×') => Unit::Times,
        Some("%" | "percent" | "per cent") => Unit::Percent,
        Some("ms" | "millisecond" | "milliseconds") => Unit::Seconds(1e-3),
        Some("µs" | "us" | "microsecond" | "microseconds") => Unit::Seconds(1e-6),
        Some("s" | "sec" | "secs" | "second" | "seconds") => Unit::Seconds(1.0),
        Some("m" | "min" | "mins" | "minute" | "minutes") if raw_unit_is_minutes(unit) => Unit::Seconds(60.0),
        Some("h" | "hr" | "hrs" | "hour" | "hours") => Unit::Seconds(3_600.0),
        Some("d" | "day" | "days") => Unit::Seconds(86_400.0),
        Some("kib") => Unit::Bytes(1_024.0),
        Some("mib") => Unit::Bytes(1_048_576.0),
        Some("gib") => Unit::Bytes(1_073_741_824.0),
        Some("tib") => Unit::Bytes(1_099_511_627_776.0),
        Some("kb") => Unit::Bytes(1e3),
        Some("mb") => Unit::Bytes(1e6),
        Some("gb") => Unit::Bytes(1e9),
        Some("tb") => Unit::Bytes(1e12),
        Some("b" | "byte" | "bytes") => Unit::Bytes(1.0),
        Some("k" | "thousand") => {
            scale = 1e3;
            Unit::None
        }
        Some("m" | "million") => {
            scale = 1e6;
            Unit::None
        }
        Some("x" | "×" | "times" | "fold") => Unit::Times,
        _ => Unit::None,
    };
    let slack = 0.5 * 10f64.powi(place + exponent) * scale;
    Some(Number { value: value * scale, unit, below: slack, above: slack })
}

/// `m` is minutes, `M` is millions; the long words are minutes in any case.
fn raw_unit_is_minutes(unit: Option<&str>) -> bool {
    unit != Some("M")
}

/// The place to which a whole number is rounded: `1200` says hundreds when at least two digits remain; `50` says ones.
fn round_place(digits: &str) -> i32 {
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let significant = digits.trim_start_matches('0').len().saturating_sub(zeros);
    if digits.len() >= 3 && significant >= 2 { zeros as i32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        match tokens(text).as_slice() {
            [Token::Number(number, _)] => *number,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn numbers_are_compared_within_their_rounding_and_unit() {
        let exact = Number::exact;
        assert!(number("5.2 s").is(exact(5.198_7, Unit::Seconds(1.0))));
        assert!(number("5199 ms").is(exact(5.198_7, Unit::Seconds(1.0))));
        assert!(!number("5.2 ms").is(exact(5.198_7, Unit::Seconds(1.0))));
        assert!(!number("5.3 s").is(exact(5.198_7, Unit::Seconds(1.0))));
        assert!(number("31%").is(exact(0.314, Unit::None)));
        assert!(number("31 %").is(exact(31.4, Unit::Percent)));
        assert!(number("1,204").is(exact(1204.0, Unit::None)));
        assert!(number("1.2k").is(exact(1204.0, Unit::None)));
        assert!(number("1200").is(exact(1204.0, Unit::None)));
        assert!(!number("1300").is(exact(1204.0, Unit::None)));
        assert!(number("×1,204").is(exact(1204.0, Unit::None)));
        assert!(number("12-fold").is(exact(12.3, Unit::Times)));
        assert!(number("2 MiB").is(exact(2_097_152.0, Unit::Bytes(1.0))));
        assert!(number("3M").is(exact(3_000_000.0, Unit::None)));
        assert!(number("3m").is(exact(180.0, Unit::Seconds(1.0))));
        assert!(!number("50").is(exact(49.0, Unit::None)));
        assert!(!number("1").is(exact(f64::NAN, Unit::None)));
    }

    #[test]
    fn words_with_digits_are_kept_whole() {
        let words: Vec<String> = tokens("v2.41 at 14:02:20 on ip-10-2-3-4 (10.2.3.4), 5xx, p99, pod-7d9f")
            .into_iter()
            .map(|token| match token {
                Token::Word(word) => word,
                Token::Number(_, text) => panic!("{text}"),
            })
            .collect();
        assert_eq!(words, ["v2.41", "14:02:20", "ip-10-2-3-4", "10.2.3.4", "5xx", "p99", "pod-7d9f"]);
    }
}
