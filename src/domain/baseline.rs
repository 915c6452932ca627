//! Which time an incident is compared with, as people say it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::time::{human_duration, parse_duration};
use super::{TimeRange, Timestamp};

/// Length of the usual baseline.
pub const USUAL_LENGTH: Duration = Duration::from_hours(1);
/// What can be said, for messages.
const FORMS: &str = "`preceding`, `yesterday`, `last-week`, or START/END: two RFC 3339 times \
                     (2026-01-31T13:00:00Z/2026-01-31T14:00:00Z) or times before the incident's window (-2h/-1h)";

/// A baseline by its name or by its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaselineChoice {
    /// The hour before the window.
    Preceding,
    /// The same time of day, a day before the window.
    Yesterday,
    /// The same time of day, a week before the window.
    LastWeek,
    /// Between two moments.
    Between(Moment, Moment),
}

/// One end of a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// An instant.
    At(Timestamp),
    /// So long before the start of the window.
    Before(Duration),
}

impl Moment {
    fn resolve(self, window: TimeRange) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Before(span) => window.start.minus(span),
        }
    }
}

impl BaselineChoice {
    /// The range for an incident's window. A day or a week back it is as long as the window, but at least
    /// [`USUAL_LENGTH`].
    ///
    /// # Errors
    ///
    /// A sentence, when the range is empty or touches the window.
    pub fn resolve(self, window: TimeRange) -> Result<TimeRange, String> {
        let shifted = |back: Duration| {
            let missing = USUAL_LENGTH.saturating_sub(window.duration());
            let start = window.start.minus(back).minus(missing / 2);
            TimeRange::new(start, start.plus(window.duration() + missing))
        };
        let range = match self {
            Self::Preceding => TimeRange::new(window.start.minus(USUAL_LENGTH), window.start),
            Self::Yesterday => shifted(Duration::from_hours(24)),
            Self::LastWeek => shifted(Duration::from_hours(7 * 24)),
            Self::Between(start, end) => TimeRange::new(start.resolve(window), end.resolve(window)),
        };
        if range.start >= range.end {
            return Err(format!("the baseline {self} is empty for the window {window}"));
        }
        if range.overlaps(window) {
            return Err(format!(
                "the baseline {range} overlaps the incident's window {window}: an incident cannot be compared with itself"
            ));
        }
        Ok(range)
    }
}

impl FromStr for BaselineChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "preceding" => return Ok(Self::Preceding),
            "yesterday" => return Ok(Self::Yesterday),
            "last-week" | "last week" => return Ok(Self::LastWeek),
            _ => {}
        }
        let (start, end) = text.split_once('/').ok_or_else(|| format!("`{text}` is no baseline; expected {FORMS}"))?;
        let (start, end) = (moment(start)?, moment(end)?);
        let backwards = match (start, end) {
            (Moment::At(start), Moment::At(end)) => end <= start,
            (Moment::Before(start), Moment::Before(end)) => end >= start,
            // Known when there is a window.
            _ => false,
        };
        if backwards {
            return Err(format!("`{text}`: the end must lie after the start"));
        }
        Ok(Self::Between(start, end))
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    let text = text.trim();
    if let Some(span) = text.strip_prefix('-') {
        let known = if span.trim() == "0" { Some(Duration::ZERO) } else { parse_duration(span) };
        return known
            .map(Moment::Before)
            .ok_or_else(|| format!("`{text}` is no time before the window: write it as -90m, -2h or -1d"));
    }
    Timestamp::parse_rfc3339(text).map(Moment::At).ok_or_else(|| format!("`{text}` is not a time; expected {FORMS}"))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "{at}"),
            Self::Before(span) => write!(f, "-{}", human_duration(*span)),
        }
    }
}

impl fmt::Display for BaselineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preceding => f.write_str("preceding"),
            Self::Yesterday => f.write_str("yesterday"),
            Self::LastWeek => f.write_str("last-week"),
            Self::Between(start, end) => write!(f, "{start}/{end}"),
        }
    }
}

impl<'de> Deserialize<'de> for BaselineChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(minutes: u64) -> TimeRange {
        let start = Timestamp::parse_rfc3339("2026-01-31T13:00:00Z").unwrap();
        TimeRange::new(start, start.plus(Duration::from_mins(minutes)))
    }

    fn range(text: &str) -> String {
        text.parse::<BaselineChoice>().unwrap().resolve(window(20)).unwrap().to_string()
    }

    #[test]
    fn a_baseline_can_be_said_in_words_or_times() {
        for (text, expected) in [
            ("preceding", "2026-01-31T12:00:00Z/2026-01-31T13:00:00Z"),
            ("yesterday", "2026-01-30T12:40:00Z/2026-01-30T13:40:00Z"),
            ("last-week", "2026-01-24T12:40:00Z/2026-01-24T13:40:00Z"),
            ("-2h/-1h", "2026-01-31T11:00:00Z/2026-01-31T12:00:00Z"),
            ("-30m/-0", "2026-01-31T12:30:00Z/2026-01-31T13:00:00Z"),
            ("2026-01-31T10:00:00Z/-1h", "2026-01-31T10:00:00Z/2026-01-31T12:00:00Z"),
            ("2026-02-01T10:00:00Z/2026-02-01T11:00:00Z", "2026-02-01T10:00:00Z/2026-02-01T11:00:00Z"),
        ] {
            assert_eq!(range(text), expected, "{text}");
        }
        let long = BaselineChoice::Yesterday.resolve(window(90)).unwrap();
        assert_eq!(long.to_string(), "2026-01-30T13:00:00Z/2026-01-30T14:30:00Z");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("tomorrow", "`tomorrow` is no baseline; expected `preceding`"),
            ("-1h/-2h", "end must lie after the start"),
            ("2026-01-31T14:00:00Z/2026-01-31T13:00:00Z", "end must lie after the start"),
            ("-1x/-0", "-90m"),
            ("13:00/14:00", "`13:00` is not a time"),
        ] {
            let error = text.parse::<BaselineChoice>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let late: BaselineChoice = "2026-01-31T12:00:00Z/2026-01-31T13:10:00Z".parse().unwrap();
        assert!(late.resolve(window(20)).unwrap_err().contains("overlaps the incident's window"));
        let mixed: BaselineChoice = "2026-02-01T12:00:00Z/-1h".parse().unwrap();
        assert!(mixed.resolve(window(20)).unwrap_err().contains("empty"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_said_parses(text in ".{0,40}", from in 2_u64..900, length in 1_u64..60) {
            let _ = text.parse::<BaselineChoice>();
            let choice: BaselineChoice = format!("-{}m/-{}m", from + length, from).parse().unwrap();
            let resolved = choice.resolve(window(20)).unwrap();
            prop_assert_eq!(resolved.duration(), Duration::from_mins(length));
        }
    }
}
