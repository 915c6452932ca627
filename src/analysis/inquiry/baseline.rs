//! What is normal: the stretch that the window is compared with, the same time of earlier days, and the stretches in
//! which other incidents were open.

use std::time::Duration;

use crate::domain::{TimeRange, Timestamp};

/// How far back a quiet baseline is looked for, before the window.
pub const LOOK_BACK: Duration = Duration::from_hours(24);
/// Days after which a day repeats itself: the same time yesterday, and on the same day of the week before.
const PERIODS: [Duration; 2] = [Duration::from_hours(24), Duration::from_hours(7 * 24)];
/// A season is so much longer at both ends: people and jobs are not on time to the minute.
const SEASON_MARGIN: Duration = Duration::from_mins(15);

/// The same time of day as the window, yesterday and a week ago, a bit wider; earlier first. What would touch the
/// baseline or the window itself is left out.
pub fn seasons(window: TimeRange, baseline: TimeRange) -> Vec<TimeRange> {
    let mut all: Vec<TimeRange> = PERIODS
        .iter()
        .map(|&period| {
            TimeRange::new(
                window.start.minus(period).minus(SEASON_MARGIN),
                window.end.minus(period).plus(SEASON_MARGIN),
            )
        })
        .filter(|season| !season.overlaps(baseline) && !season.overlaps(window))
        .collect();
    all.sort_by_key(|range| range.start);
    all
}

/// The ranges sorted, and joined where they touch; empty ones are left out.
pub fn merged(ranges: impl IntoIterator<Item = TimeRange>) -> Vec<TimeRange> {
    let mut all: Vec<TimeRange> = ranges.into_iter().filter(|range| range.start < range.end).collect();
    all.sort_by_key(|range| (range.start, range.end));
    let mut out: Vec<TimeRange> = Vec::with_capacity(all.len());
    for range in all {
        match out.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => out.push(range),
        }
    }
    out
}

/// What of `ranges` lies inside one of `places`.
pub fn inside(ranges: &[TimeRange], places: &[TimeRange]) -> Vec<TimeRange> {
    merged(ranges.iter().flat_map(|range| places.iter().map(|place| common(*range, *place))))
}

/// What of `place` none of `ranges` covers, earliest first. `ranges` as [`merged`] gives them.
pub fn gaps(place: TimeRange, ranges: &[TimeRange]) -> Vec<TimeRange> {
    let mut out = Vec::new();
    let mut start = place.start;
    for range in ranges.iter().filter(|range| range.overlaps(place)) {
        if start < range.start {
            out.push(TimeRange::new(start, range.start));
        }
        start = start.max(range.end);
    }
    if start < place.end {
        out.push(TimeRange::new(start, place.end));
    }
    out
}

fn common(a: TimeRange, b: TimeRange) -> TimeRange {
    TimeRange::new(a.start.max(b.start), a.end.min(b.end))
}

fn total(ranges: &[TimeRange]) -> Duration {
    ranges.iter().map(|range| range.duration()).sum()
}

/// What is compared with, and what of it is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The baseline.
    pub baseline: TimeRange,
    /// Whether it is another one than was wanted.
    pub moved: bool,
    /// Whether the trouble covers all of it, so that nothing of it is left when it is taken out.
    pub covered: bool,
}

/// The wanted baseline where at least half of it is free of trouble. Else, when it may be moved, the latest stretch of
/// the same length before it, at most [`LOOK_BACK`] before the window, that is free of trouble and has data; when there
/// is none, the wanted one.
///
/// `trouble` are the windows of other incidents, `data` the stretches that the store has data of.
pub fn choose(
    window: TimeRange,
    wanted: TimeRange,
    trouble: &[TimeRange],
    data: &[TimeRange],
    movable: bool,
) -> Choice {
    let trouble = merged(trouble.iter().copied());
    let quiet = total(&gaps(wanted, &trouble));
    let covered = quiet.is_zero() && !wanted.duration().is_zero();
    if quiet * 2 >= wanted.duration() || !movable {
        return Choice { baseline: wanted, moved: false, covered };
    }
    let length = wanted.duration();
    let earliest: Timestamp = window.start.minus(LOOK_BACK);
    let search = TimeRange::new(earliest, wanted.end.min(window.start));
    let found = merged(data.iter().copied())
        .into_iter()
        .flat_map(|place| gaps(common(place, search), &trouble))
        .rfind(|gap| gap.duration() >= length);
    match found {
        Some(gap) => Choice { baseline: TimeRange::new(gap.end.minus(length), gap.end), moved: true, covered: false },
        None => Choice { baseline: wanted, moved: false, covered },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Minutes.
    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_secs(start * 60), Timestamp::from_secs(end * 60))
    }

    const DAY: i64 = 24 * 60;
    const NOW: i64 = 30 * DAY;

    fn window() -> TimeRange {
        range(NOW, NOW + 30)
    }

    fn wanted() -> TimeRange {
        range(NOW - 60, NOW)
    }

    fn data() -> [TimeRange; 1] {
        [range(NOW - 3 * DAY, NOW + 30)]
    }

    #[test]
    fn the_same_time_of_day_is_looked_at_yesterday_and_a_week_ago() {
        assert_eq!(
            seasons(window(), wanted()),
            [range(NOW - 7 * DAY - 15, NOW - 7 * DAY + 45), range(NOW - DAY - 15, NOW - DAY + 45)]
        );
        // A baseline that is yesterday already needs no season there.
        assert_eq!(seasons(window(), range(NOW - DAY, NOW - DAY + 60)).len(), 1);
    }

    #[test]
    fn a_little_trouble_leaves_the_baseline_where_it_is() {
        let choice = choose(window(), wanted(), &[range(NOW - 20, NOW - 10)], &data(), true);
        assert_eq!(choice, Choice { baseline: wanted(), moved: false, covered: false });
    }

    #[test]
    fn much_trouble_moves_it_to_the_latest_quiet_stretch() {
        let trouble = [range(NOW - 100, NOW - 5), range(NOW - 150, NOW - 140)];
        let choice = choose(window(), wanted(), &trouble, &data(), true);
        assert_eq!(choice, Choice { baseline: range(NOW - 210, NOW - 150), moved: true, covered: false });
    }

    #[test]
    fn it_is_never_moved_where_there_is_no_data_or_when_it_was_given() {
        let trouble = [range(NOW - 100, NOW)];
        let young = [range(NOW - 130, NOW + 30)];
        let stays = Choice { baseline: wanted(), moved: false, covered: true };
        assert_eq!(choose(window(), wanted(), &trouble, &young, true), stays);
        assert_eq!(choose(window(), wanted(), &trouble, &[], true), stays);
        assert_eq!(choose(window(), wanted(), &trouble, &data(), false), stays);
        // Nor further back than a day.
        assert_eq!(choose(window(), wanted(), &[range(NOW - DAY - 10, NOW)], &data(), true), stays);
    }

    fn ranges() -> impl Strategy<Value = Vec<TimeRange>> {
        prop::collection::vec((NOW - 2 * DAY..NOW + 60, 0_i64..300), 0..12)
            .prop_map(|all| all.into_iter().map(|(start, length)| range(start, start + length)).collect())
    }

    proptest! {
        #[test]
        fn the_choice_is_of_the_wanted_length_before_the_window_and_quiet_when_moved(
            trouble in ranges(), data in ranges(), movable: bool
        ) {
            let choice = choose(window(), wanted(), &trouble, &data, movable);
            prop_assert_eq!(choice.baseline.duration(), wanted().duration());
            prop_assert!(choice.baseline.end <= window().start);
            prop_assert!(choice.baseline.start >= window().start.minus(LOOK_BACK));
            if choice.moved {
                prop_assert!(movable && trouble.iter().all(|range| range.duration().is_zero() || !range.overlaps(choice.baseline)));
                prop_assert!(merged(data).iter().any(|place| common(*place, choice.baseline) == choice.baseline));
            } else {
                prop_assert_eq!(choice.baseline, wanted());
            }
        }

        #[test]
        fn gaps_and_ranges_share_a_place(all in ranges()) {
            let place = range(NOW - DAY, NOW);
            let all = merged(all);
            prop_assert!(all.windows(2).all(|pair| pair[0].end < pair[1].start));
            let within = inside(&all, &[place]);
            prop_assert_eq!(total(&gaps(place, &all)) + total(&within), place.duration());
        }

        #[test]
        fn the_order_of_trouble_does_not_matter(mut trouble in ranges()) {
            let choice = choose(window(), wanted(), &trouble, &data(), true);
            trouble.reverse();
            prop_assert_eq!(choice, choose(window(), wanted(), &trouble, &data(), true));
        }
    }
}
