//! Times of the day, days of the week and freezes. All in UTC: a rule must mean the same on every host.

use serde::{Deserialize, Deserializer};

use super::when::OneOrMore;
use crate::domain::Timestamp;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A span of the day, `22:00-06:00`; it may run over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// First second inside, from midnight.
    from: i64,
    /// First second outside.
    to: i64,
}

impl Window {
    pub(super) fn holds(self, at: Timestamp) -> bool {
        let second = at.secs().rem_euclid(DAY);
        if self.from < self.to {
            (self.from..self.to).contains(&second)
        } else {
            second >= self.from || second < self.to
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let clock = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let two = |text: &str| (text.len() == 2).then(|| text.parse::<i64>().ok()).flatten();
            let (hour, minute) = (two(hour)?, two(minute)?);
            (hour < 24 && minute < 60).then_some(hour * 3_600 + minute * 60)
        };
        let (from, to) = text.split_once('-')?;
        let (from, to) = (clock(from)?, clock(to)?);
        // The same time twice could mean never or always.
        (from != to).then_some(Self { from, to })
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no span of the day like 22:00-06:00")))
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    pub(super) fn holds(self, at: Timestamp) -> bool {
        // The epoch was a Thursday.
        (at.secs().div_euclid(DAY) + 3).rem_euclid(7) == self as i64
    }
}

/// A time in which nothing should change.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Freeze {
    pub(super) name: String,
    from: Timestamp,
    to: Timestamp,
    #[serde(default)]
    environment: OneOrMore<String>,
}

impl Freeze {
    pub(super) fn holds(&self, at: Timestamp, environment: &str) -> bool {
        self.from <= at && at < self.to && self.environment.matches(environment)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.from >= self.to {
            return Err("a freeze has a name, and ends after it begins".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn windows_run_over_midnight() {
        let night = Window::parse("22:00-06:00").unwrap();
        let day = Window::parse("08:00-18:30").unwrap();
        for (time, in_night, in_day) in [
            ("2026-01-05T22:00:00Z", true, false),
            ("2026-01-05T05:59:59Z", true, false),
            ("2026-01-05T06:00:00Z", false, false),
            ("2026-01-05T18:29:59Z", false, true),
            ("2026-01-05T18:30:00Z", false, false),
            ("1969-12-31T23:00:00Z", true, false),
        ] {
            assert_eq!((night.holds(at(time)), day.holds(at(time))), (in_night, in_day), "{time}");
        }
        for text in ["", "22:00", "22:00-22:00", "24:00-01:00", "9:00-10:00", "aa:bb-cc:dd", "22:60-23:00"] {
            assert!(Window::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        assert!(Weekday::Mon.holds(at("2026-01-05T00:00:00Z")));
        assert!(Weekday::Sun.holds(at("2026-01-04T23:59:59Z")));
        assert!(Weekday::Wed.holds(at("1969-12-31T12:00:00Z")));
        assert!(!Weekday::Tue.holds(at("2026-01-05T00:00:00Z")));
    }
}
