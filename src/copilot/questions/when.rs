//! Times as a model writes them, relative to the present of the engine.

use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::time::parse_duration;

const DAY: i64 = 86_400;

/// Reads `now`, `now-10m`, `-10m`, `10m` (ago), `14:05`, `14:05:20` (the last time that it was so late), RFC 3339,
/// `2026-01-31 14:05:00`, and seconds since 1970. Times are UTC. `None` when it is none of these.
pub fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim().trim_end_matches(" UTC").trim();
    if text.is_empty() || text.eq_ignore_ascii_case("now") {
        return Some(now);
    }
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some(at);
    }
    let ago = text.strip_prefix("now").map_or(text, str::trim);
    let ago = ago.trim_end_matches(" ago").trim();
    if let Some(span) = ago.strip_prefix('-').map(str::trim).and_then(parse_duration) {
        return Some(now.minus(span));
    }
    if let Some(span) = parse_duration(ago).filter(|_| !text.starts_with("now")) {
        return Some(now.minus(span));
    }
    if let Some(of_day) = clock(text) {
        let midnight = now.secs().div_euclid(DAY) * DAY;
        let today = Timestamp::from_secs(midnight + of_day);
        return Some(if today > now { Timestamp::from_secs(midnight + of_day - DAY) } else { today });
    }
    // A date with a time and no zone, or a date alone.
    let iso = text.replacen(' ', "T", 1);
    let candidates = [format!("{iso}Z"), format!("{iso}:00Z"), format!("{iso}T00:00:00Z")];
    if let Some(at) = candidates.iter().find_map(|text| Timestamp::parse_rfc3339(text)) {
        return Some(at);
    }
    let seconds: f64 = text.parse().ok().filter(|seconds: &f64| (1e8..1e10).contains(seconds))?;
    Some(Timestamp::from_secs_f64(seconds))
}

/// Seconds of the day of `14:05` or `14:05:20`.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let mut next = |most: i64| -> Option<i64> {
        let digits = parts.next()?;
        if digits.is_empty() || digits.len() > 2 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|number| *number <= most)
    };
    let (hours, minutes) = (next(23)?, next(59)?);
    let seconds = if text.matches(':').count() > 1 { next(60)? } else { 0 };
    parts.next().is_none().then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// Reads a step or span: `30s`, `5m`, or seconds. Zero is none.
pub fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    parse_duration(text).or_else(|| text.parse().ok().map(Duration::from_secs)).filter(|span| !span.is_zero())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_people_and_models_write_them() {
        let now = Timestamp::parse_rfc3339("2026-01-31T14:15:00Z").unwrap();
        for (text, want) in [
            ("now", "2026-01-31T14:15:00Z"),
            ("", "2026-01-31T14:15:00Z"),
            ("-10m", "2026-01-31T14:05:00Z"),
            ("now-10m", "2026-01-31T14:05:00Z"),
            ("now - 1h30m", "2026-01-31T12:45:00Z"),
            ("10m ago", "2026-01-31T14:05:00Z"),
            ("14:05", "2026-01-31T14:05:00Z"),
            ("9:05:30", "2026-01-31T09:05:30Z"),
            ("23:00", "2026-01-30T23:00:00Z"),
            ("2026-01-30T10:00:00Z", "2026-01-30T10:00:00Z"),
            ("2026-01-30T10:00:00+02:00", "2026-01-30T08:00:00Z"),
            ("2026-01-30 10:00", "2026-01-30T10:00:00Z"),
            ("2026-01-30 10:00:30", "2026-01-30T10:00:30Z"),
            ("2026-01-30", "2026-01-30T00:00:00Z"),
            ("14:05 UTC", "2026-01-31T14:05:00Z"),
            ("1769868000", "2026-01-31T14:00:00Z"),
        ] {
            assert_eq!(parse(text, now).map(Timestamp::to_rfc3339).as_deref(), Some(want), "{text}");
        }
        for bad in ["yesterday", "25:00", "14:61", "1:2:3:4", "12", "now+1h", "-", "10x"] {
            assert_eq!(parse(bad, now), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,40}", seconds in any::<i64>()) {
            let _ = parse(&text, Timestamp::from_nanos(seconds));
            let _ = span(&text);
        }
    }
}
