//! Numbers that are written in words or in signs of their own.

use std::sync::LazyLock;

use regex::Regex;

use super::regex;

/// Numbers that are written in words or in signs of their own, as figures: `half`, `twofold`, `½`, `two minutes`.
/// An error names a sign that is a number and cannot be read.
pub(super) fn spelled_out(text: &str) -> Result<String, String> {
    static SPAN: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"\b(\d{1,4})\s?(?:m|min|mins|minutes?)(?:\s(?:and\s)?)?(\d{1,2})\s?(?:s|secs?|seconds?)\b")
    });
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:(?P<share>(?:a |one )?half|(?:a |one )third|two[- ]thirds|(?:a |one )quarter|three[- ]quarters|(?:a |one )fifth|(?:a |one )tenth)\s(?:of\b)|(?P<fold>two|three|four|five|six|seven|eight|nine|ten|twenty|hundred)[- ]?fold\b|(?P<count>one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|a hundred|hundred|a dozen)[ -](?P<unit>seconds?|minutes?|hours?|days?|percent|per cent|times|milliseconds?)\b|(?P<twice>doubled|twice|tripled|quadrupled|halved)\b)",
        )
    });
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '½' => out.push_str("50 %"),
            '¼' => out.push_str("25 %"),
            '¾' => out.push_str("75 %"),
            '⅓' => out.push_str("~33.3 %"),
            '⅔' => out.push_str("~66.7 %"),
            '，' | '．' => out.push('.'),
            '\u{ff10}'..='\u{ff19}' => out.push(char::from(b'0' + (code - 0xff10) as u8)),
            '\u{1d7ce}'..='\u{1d7ff}' => out.push(char::from(b'0' + ((code - 0x1d7ce) % 10) as u8)),
            '\u{660}'..='\u{669}' => out.push(char::from(b'0' + (code - 0x660) as u8)),
            '\u{6f0}'..='\u{6f9}' => out.push(char::from(b'0' + (code - 0x6f0) as u8)),
            c if c.is_numeric() && !c.is_ascii() => return Err(c.to_string()),
            c => out.push(c),
        }
    }
    // `2m30s`, `2 min 30 s`, `2 minutes and 30 seconds` are one figure.
    let out = SPAN.replace_all(&out, |groups: &regex::Captures<'_>| {
        let part = |group: usize| groups[group].parse::<u32>().unwrap_or(0);
        format!("{} seconds", part(1) * 60 + part(2))
    });
    let spelled = WORDS.replace_all(&out, |groups: &regex::Captures<'_>| {
        if let Some(share) = groups.name("share") {
            let share = share.as_str().to_lowercase();
            let percent = if share.contains("half") {
                "50"
            } else if share.contains("two") {
                "66.7"
            } else if share.contains("third") {
                "33.3"
            } else if share.contains("three") {
                "75"
            } else if share.contains("quarter") {
                "25"
            } else if share.contains("fifth") {
                "20"
            } else {
                "10"
            };
            return format!("about {percent} % of");
        }
        if let Some(fold) = groups.name("fold") {
            return format!("about {} times", value(fold.as_str()));
        }
        if let Some(twice) = groups.name("twice") {
            let times = match twice.as_str().to_lowercase().as_str() {
                "tripled" => 3,
                "quadrupled" => 4,
                _ => 2,
            };
            // The word stays for the direction it tells.
            return format!("{} about {times} times", twice.as_str());
        }
        match (groups.name("count"), groups.name("unit")) {
            (Some(count), Some(unit)) => format!("about {} {}", value(count.as_str()), unit.as_str()),
            _ => groups[0].to_owned(),
        }
    });
    Ok(spelled.into_owned())
}

fn value(word: &str) -> u32 {
    match word.to_lowercase().trim_start_matches("a ") {
        "one" => 1,
        "two" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" => 9,
        "ten" => 10,
        "eleven" => 11,
        "twelve" | "dozen" => 12,
        "fifteen" => 15,
        "twenty" => 20,
        "thirty" => 30,
        "forty" => 40,
        "fifty" => 50,
        "sixty" => 60,
        _ => 100,
    }
}
