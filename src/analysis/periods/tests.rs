use std::sync::Arc;

use super::*;
use crate::domain::{Labels, Text};

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_secs(start), Timestamp::from_secs(end))
}

fn entry(at: i64) -> LogEntry {
    LogEntry {
        at: Timestamp::from_secs(at),
        labels: Arc::new(Labels::new()),
        line: Text::new("x"),
        metadata: Labels::new(),
    }
}

#[test]
fn what_other_incidents_spoiled_is_no_baseline_unless_little_else_is_left() {
    let mut periods = Periods::new(range(0, 600), range(600, 900));
    let entries: Vec<LogEntry> = (0..60).map(|i| entry(i * 10)).collect();
    periods.spoil(&[range(100, 250), range(200, 300), range(-50, 20)], &entries);
    assert_eq!(periods.spoiled, [range(0, 20), range(100, 300)]);
    assert_eq!(periods.of_time(Timestamp::from_secs(150)), None);
    assert_eq!(periods.of_time(Timestamp::from_secs(50)), Some(BASELINE));
    assert_eq!(periods.of_time(Timestamp::from_secs(700)), Some(WINDOW));
    assert!((periods.seconds(BASELINE) - 380.0).abs() < 1e-9);
    let mut periods = Periods::new(range(0, 600), range(600, 900));
    periods.spoil(&[range(0, 590)], &entries);
    assert!(periods.spoiled.is_empty());
}

#[test]
fn the_silent_end_of_a_cut_answer_was_not_watched() {
    let mut periods = Periods::new(range(0, 600), range(600, 1_200));
    periods.cuts = vec![
        Cut { range: range(300, 600), direction: Direction::Backward, partial: false },
        Cut { range: range(600, 1_200), direction: Direction::Forward, partial: true },
    ];
    // The second half of the baseline was cut at 500; in the window, service 1 was cut at 700 and service 2 not.
    let times = (0..30).map(|i| (i * 10, 2)).chain((0..100).map(|i| (500 + i, 2)));
    let times = times.chain((0..100).map(|i| (600 + i, 1))).chain((0..100).map(|i| (600 + i * 6, 2)));
    let spans = Spans::observed(&periods, times.map(|(at, service)| (Timestamp::from_secs(at), service)));
    assert!((spans.minutes(2)[BASELINE] - 400.0 / 60.0).abs() < 0.1, "{spans:?}");
    assert!((spans.minutes(2)[WINDOW] - 10.0).abs() < 0.2, "{spans:?}");
    assert!((spans.minutes(1)[WINDOW] - 100.0 / 60.0).abs() < 0.1, "{spans:?}");
}

#[test]
fn a_recording_that_begins_late_is_measured_by_what_it_holds() {
    let periods = Periods::new(range(0, 600), range(600, 900));
    let times = (0..100).map(|i| (Timestamp::from_secs(500 + i), 0)).chain([(Timestamp::from_secs(700), 0)]);
    let spans = Spans::observed(&periods, times);
    assert!((spans.minutes(0)[BASELINE] - 101.0 / 60.0).abs() < 0.1);
    assert!((spans.minutes(0)[WINDOW] - 5.0).abs() < 1e-9);
    assert!(spans.comparable());
}

fn said(at: i64, service: &str) -> LogEntry {
    LogEntry { labels: Arc::new([("service_name", service)].into_iter().collect()), ..entry(at) }
}

#[test]
fn what_a_service_said_before_stands_for_a_baseline_in_which_it_was_silent() {
    let mut periods = Periods::new(range(1_000, 1_600), range(1_700, 2_000));
    let entries = [
        said(700, "silent"),
        said(800, "silent"),
        said(500, "speaks"),
        said(1_100, "speaks"),
        said(1_650, "late"),
        said(300, "forgotten"),
        said(600, "gone"),
    ];
    let now = ["silent", "speaks", "late", "forgotten"].map(|service| said(1_800, service));
    periods.refer(&[], &[&entries[..], &now[..]].concat());
    assert_eq!(
        entries.each_ref().map(|entry| periods.of_entry(entry)),
        [
            Some(BASELINE),
            Some(BASELINE),
            // Who spoke in the baseline is compared with that alone.
            None,
            Some(BASELINE),
            Some(BASELINE),
            // Too long ago.
            None,
            // Nothing of it in the window.
            None,
        ]
    );
    let ranges: Vec<TimeRange> = periods.references().map(|one| one.0).collect();
    assert_eq!(ranges, [range(700, 1_000), range(1_650, 1_700)]);
    let mut spans = Spans::observed(&periods, std::iter::empty());
    spans.refer(0, &periods, 0);
    assert!((spans.minutes(0)[BASELINE] - 5.0).abs() < 1e-9 && (spans.minutes(0)[WINDOW] - 5.0).abs() < 1e-9);
    assert!((spans.minutes(1)[BASELINE] - 10.0).abs() < 1e-9);
}

#[test]
fn other_incidents_spoil_what_would_stand_for_the_baseline() {
    let baseline_and_window = || Periods::new(range(1_000, 1_600), range(1_600, 2_000));
    let entries = [said(700, "a"), said(950, "a"), said(1_700, "a")];
    let mut periods = baseline_and_window();
    periods.refer(&[range(690, 720), range(960, 1_200)], &entries);
    assert_eq!(entries.each_ref().map(|entry| periods.of_entry(entry)), [None, Some(BASELINE), Some(WINDOW)]);
    let mut spans = Spans::observed(&periods, std::iter::empty());
    spans.refer(0, &periods, 0);
    assert!((spans.minutes(0)[BASELINE] - 10.0 / 60.0).abs() < 1e-9);
    let mut periods = baseline_and_window();
    periods.refer(&[range(0, 1_000)], &entries);
    assert!(periods.references().next().is_none());
}
