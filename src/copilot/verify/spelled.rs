//! Numbers that are written in words or in signs of their own.

use std::sync::LazyLock;

use regex::Regex;

use super::regex;

/// Numbers that are written in words or in signs of their own, as figures: `half`, `twofold`, `½`, `two minutes`.
/// An error names a sign that is a number and cannot be read.
pub(super) fn spelled_out(text: &str) -> Result<String, String> {
    static TIMES: LazyLock<Regex> = LazyLock::new(|| regex(r"(^|[\s(])x(\d+)\b"));
    static COMPARED: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^\s(?:as|the|its|that|what|their|a|normal|usual|of|more)\b|^[,.;]?$"));
    static SPAN: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"\b(\d{1,4})\s?(?:m|min|mins|minutes?)(?:\s(?:and\s)?)?(\d{1,2})\s?(?:s|secs?|seconds?)\b")
    });
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        regex(&format!(
            r"(?i)\b(?:(?P<about>(?:more than|less than|well over|just over|over|under|about|around|roughly|nearly|almost|some)\s)?(?P<span>half an? (?:minute|hour|second)|an hour|one hour|a (?:whole |full )?(?:day|week))|(?P<share>(?:a |one )?third|two[- ]thirds|(?:a |one )?quarter|three[- ]quarters|(?:a |one )?fifth|(?:a |one )tenth|(?:a |one )hundredth)(?P<of>\s(?:of\b|more|less|fewer|higher|lower|as\b|\()|[,.;)]|$|\s(?:to|since|now|at|after|in|during|and)\b)|(?P<half>(?:by|in|to|roughly|about|almost|nearly|just over|over|less than|more than|fewer than|under)\s(?:a\s|one\s)?half|half (?:of|the|as|its|their)|(?:a|one) half)\b|(?P<fold>{FOLD})[- ]?fold\b|(?:once|one|1)(?:\s\w+)?\s(?:every|each|in)\s(?P<every>{COUNT}|\d+)\s(?P<period>seconds?|minutes?|hours?)\b|(?P<often>once|{COUNT})\s(?:a|an|per|every|each)\s(?P<each>second|minute|hour)\b|factor of (?P<factor>{COUNT})\b|(?P<part>{COUNT})\s(?P<outof>out of|of|in)\s(?P<whole>{COUNT})\b|(?P<few>five|six|seven|eight|nine|ten|eleven|twelve)(?P<noun>\s(?:[a-z]+\s)?(?:errors|lines|warnings|failures|timeouts|exceptions|occurrences|entries|requests)\b)|(?:(?P<hundreds>{COUNT})\shundred|(?P<big>(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-(?:one|two|three|four|five|six|seven|eight|nine))?|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen))\b|(?P<count>{COUNT})(?P<point> and a half)?[ -](?P<unit>seconds?|minutes?|hours?|days?|percent|per cent|times|milliseconds?)\b|(?:(?P<most>more than|less than|over|under|nearly|almost|roughly|about|around)\s)?(?P<twice>doubled|doubling|twice|tripled|trebled|quadrupled|quintupled|sextupled|halved)\b)"
        ))
    });
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '½' => out.push_str("50 %"),
            '¼' => out.push_str("25 %"),
            '¾' => out.push_str("75 %"),
            '⅓' => out.push_str("≃33.3 %"),
            '⅔' => out.push_str("≃66.7 %"),
            '，' | '．' => out.push('.'),
            '\u{ff10}'..='\u{ff19}' => out.push(char::from(b'0' + (code - 0xff10) as u8)),
            '\u{1d7ce}'..='\u{1d7ff}' => out.push(char::from(b'0' + ((code - 0x1d7ce) % 10) as u8)),
            '\u{660}'..='\u{669}' => out.push(char::from(b'0' + (code - 0x660) as u8)),
            '\u{6f0}'..='\u{6f9}' => out.push(char::from(b'0' + (code - 0x6f0) as u8)),
            c if c.is_numeric() && !c.is_ascii() => return Err(c.to_string()),
            c => out.push(c),
        }
    }
    // `x10`.
    let out = TIMES.replace_all(&out, "$1×$2");
    // `2m30s`, `2 min 30 s`, `2 minutes and 30 seconds` are one figure.
    let out = SPAN.replace_all(&out, |groups: &regex::Captures<'_>| {
        let part = |group: usize| groups[group].parse::<u32>().unwrap_or(0);
        format!("{} seconds", part(1) * 60 + part(2))
    });
    let spelled = WORDS.replace_all(&out, |groups: &regex::Captures<'_>| {
        let rest = groups.name("of").map_or("", |of| of.as_str());
        if let Some(span) = groups.name("span") {
            let span = span.as_str().to_lowercase();
            // In the unit below, in which its rounding is told.
            let (count, unit) = match span.as_str() {
                _ if span.ends_with("week") => (7.0, "days"),
                _ if span.ends_with("day") => (24.0, "hours"),
                _ if span.ends_with("hour") => (60.0, "minutes"),
                _ if span.ends_with("minute") => (60.0, "seconds"),
                _ => (1_000.0, "ms"),
            };
            let count = if span.starts_with("half") { count / 2.0 } else { count };
            let about = groups.name("about").map_or("", |about| about.as_str());
            return format!("{about}≃{count} {unit}");
        }
        if let Some(share) = groups.name("share") {
            let share = share.as_str().to_lowercase();
            let percent = if share.contains("two") {
                "66.7"
            } else if share.contains("third") {
                "33.3"
            } else if share.contains("three") {
                "75"
            } else if share.contains("quarter") {
                "25"
            } else if share.contains("fifth") {
                "20"
            } else if share.contains("hundredth") {
                "1"
            } else {
                "10"
            };
            return format!("≃{percent} %{rest}");
        }
        if let Some(half) = groups.name("half") {
            // The word before it says whether it bounds.
            let half = half.as_str();
            return match half.to_lowercase().rfind("half").map(|at| (&half[..at], &half[at + 4..])) {
                Some((before, after)) => {
                    let before = before.trim_end_matches("a ").trim_end_matches("one ");
                    let about = if before.is_empty() || before == "by " || before == "in " || before == "to " {
                        "≃"
                    } else {
                        ""
                    };
                    format!("{before}{about}50 %{after}")
                }
                None => half.to_owned(),
            };
        }
        if let Some(fold) = groups.name("fold") {
            return format!("about {} times", value(fold.as_str()));
        }
        if let (Some(every), Some(period)) = (groups.name("every"), groups.name("period")) {
            let count = every.as_str().parse::<f64>().unwrap_or_else(|_| f64::from(value(every.as_str())));
            let period = period.as_str().to_lowercase();
            let seconds = if period.starts_with('s') {
                1.0
            } else if period.starts_with('m') {
                60.0
            } else {
                3_600.0
            };
            return format!("≃{:.4} per minute", 60.0 / (count.max(1e-9) * seconds));
        }
        if let Some(each) = groups.name("each") {
            let often = groups.name("often").map_or(1, |often| value(often.as_str()));
            return format!("about {often} per {}", each.as_str());
        }
        if let Some(factor) = groups.name("factor") {
            return format!("factor of {}", value(factor.as_str()));
        }
        if let (Some(part), Some(whole), Some(out_of)) =
            (groups.name("part"), groups.name("whole"), groups.name("outof"))
        {
            let (part, whole) = (value(part.as_str()), value(whole.as_str()));
            // `seven in ten` is a share, and so is `nine out of ten`; `three of six` counts.
            return if whole == 10 && out_of.as_str() != "of" {
                format!("≃{} %", part * 10)
            } else {
                format!("{part} of {whole}")
            };
        }
        if let (Some(few), Some(noun)) = (groups.name("few"), groups.name("noun")) {
            return format!("{}{}", value(few.as_str()), noun.as_str());
        }
        if let Some(hundreds) = groups.name("hundreds") {
            return format!("{}", value(hundreds.as_str()) * 100);
        }
        if let Some(big) = groups.name("big") {
            return format!("{}", value(big.as_str()));
        }
        if let Some(twice) = groups.name("twice") {
            let after = &out[groups.get(0).map_or(0, |whole| whole.end())..];
            // `deployed twice` counts and compares nothing.
            if twice.as_str().eq_ignore_ascii_case("twice") && !COMPARED.is_match(after) {
                return groups[0].to_owned();
            }
            let times = match twice.as_str().to_lowercase().as_str() {
                "tripled" | "trebled" => 3,
                "quadrupled" => 4,
                "quintupled" => 5,
                "sextupled" => 6,
                _ => 2,
            };
            // The word stays for the direction it tells.
            let most = groups.name("most").map_or_else(|| "≃".to_owned(), |most| format!("{} ≃", most.as_str()));
            return format!("{} {most}{times} times", twice.as_str());
        }
        match (groups.name("count"), groups.name("unit")) {
            (Some(count), Some(unit)) => {
                let half = if groups.name("point").is_some() { ".5" } else { "" };
                format!("about {}{half} {}", value(count.as_str()), unit.as_str())
            }
            _ => groups[0].to_owned(),
        }
    });
    Ok(spelled.into_owned())
}

/// Numbers in words that count something.
const COUNT: &str = r"(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-(?:one|two|three|four|five|six|seven|eight|nine))?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|a hundred|hundred|a dozen)";
/// Numbers in words that stand before `fold`.
const FOLD: &str = r"(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-(?:one|two|three|four|five|six|seven|eight|nine))?|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|hundred|thousand)";

fn value(word: &str) -> u32 {
    const ONES: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let word = word.to_lowercase();
    if word == "once" {
        return 1;
    }
    let word = word.trim_start_matches("a ");
    let index = |of: &[&str], word: &str| of.iter().position(|one| *one == word).and_then(|at| u32::try_from(at).ok());
    if let Some(ones) = index(&ONES, word) {
        return ones;
    }
    let (tens, ones) = word.split_once('-').unwrap_or((word, ""));
    match (index(&TENS, tens), word) {
        (Some(tens), _) => (tens + 2) * 10 + index(&ONES, ones).unwrap_or(0),
        (None, "dozen") => 12,
        (None, "thousand") => 1_000,
        _ => 100,
    }
}
