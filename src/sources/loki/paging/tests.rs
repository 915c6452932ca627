use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::{Labels, Text};

fn entry(at: i64, stream: u8, line: u32) -> LogEntry {
    let labels: Labels = [("app", stream.to_string())].into_iter().collect();
    LogEntry {
        at: Timestamp::from_nanos(at),
        labels: Arc::new(labels),
        line: Text::new(&format!("line {line}")),
        metadata: Labels::new(),
    }
}

/// A server that knows `entries` and honours range, limit and direction as Loki does.
fn serve(entries: &[LogEntry], ask: Ask, direction: Direction) -> Vec<LogEntry> {
    let mut found: Vec<LogEntry> = entries.iter().filter(|entry| ask.range.contains(entry.at)).cloned().collect();
    match direction {
        Direction::Forward => found.sort_by_key(|entry| entry.at),
        Direction::Backward => {
            found.reverse();
            found.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        }
    }
    found.truncate(ask.limit);
    // Loki groups by stream: the order by time is lost between them.
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    found
}

fn run(mut pager: Pager, entries: &[LogEntry], direction: Direction) -> (Vec<LogEntry>, Vec<Note>) {
    let mut requests = 0;
    while let Some(ask) = pager.next() {
        pager.take(ask, serve(entries, ask, direction));
        requests += 1;
        assert!(requests < 10_000, "the pager does not come to an end");
    }
    pager.finish()
}

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_nanos(start), Timestamp::from_nanos(end))
}

/// Times with many duplicates, but never more in one nanosecond than fit a page of eight.
fn entries() -> impl Strategy<Value = Vec<LogEntry>> {
    prop::collection::vec((0_i64..60, 1_usize..8), 0..40).prop_map(|groups| {
        let mut all = Vec::new();
        let mut number = 0;
        for (at, count) in std::collections::BTreeMap::from_iter(groups) {
            for i in 0..count {
                number += 1;
                all.push(entry(at, (i % 3) as u8, number));
            }
        }
        all
    })
}

fn key(entries: &[LogEntry]) -> Vec<(i64, String)> {
    let mut keys: Vec<(i64, String)> =
        entries.iter().map(|entry| (entry.at.nanos(), format!("{} {}", entry.labels, entry.line))).collect();
    keys.sort();
    keys
}

proptest! {
    #[test]
    fn every_entry_comes_once(entries in entries(), forward in any::<bool>(), page in 8_usize..20, span in 1_u64..90) {
        let direction = if forward { Direction::Forward } else { Direction::Backward };
        let mut pager = Pager::new(range(0, 60), direction, 10_000, 1 << 20, page);
        pager.limit_span(Duration::from_nanos(span));
        let (found, notes) = run(pager, &entries, direction);
        prop_assert!(notes.is_empty(), "{notes:?}");
        prop_assert!(found.windows(2).all(|pair| pair[0].at <= pair[1].at));
        prop_assert_eq!(key(&found), key(&entries));
    }

    #[test]
    fn a_limit_keeps_the_end_that_was_asked_for(entries in entries(), forward in any::<bool>(), limit in 0_usize..50) {
        let direction = if forward { Direction::Forward } else { Direction::Backward };
        let pager = Pager::new(range(0, 60), direction, limit, 1 << 20, 8);
        let (found, notes) = run(pager, &entries, direction);
        prop_assert_eq!(found.len(), limit.min(entries.len()));
        prop_assert_eq!(!notes.is_empty(), limit > 0 && limit < entries.len());
        let mut times: Vec<i64> = entries.iter().map(|entry| entry.at.nanos()).collect();
        let kept = if forward { times.drain(..found.len()).collect::<Vec<_>>() } else { times.split_off(times.len() - found.len()) };
        prop_assert_eq!(found.iter().map(|entry| entry.at.nanos()).collect::<Vec<_>>(), kept);
    }

    #[test]
    fn any_server_comes_to_an_end(pages in prop::collection::vec(prop::collection::vec((0_i64..60, 0_u8..3, 0_u32..9), 0..20), 1..5), forward in any::<bool>()) {
        let direction = if forward { Direction::Forward } else { Direction::Backward };
        let mut pager = Pager::new(range(10, 50), direction, 500, 1 << 20, 6);
        let mut turn = 0;
        while let Some(ask) = pager.next() {
            let page = &pages[turn % pages.len()];
            pager.take(ask, page.iter().map(|(at, stream, line)| entry(*at, *stream, *line)).collect());
            turn += 1;
            prop_assert!(turn < 1_000);
        }
        let (found, _) = pager.finish();
        prop_assert!(found.len() <= 500 && found.iter().all(|entry| range(10, 50).contains(entry.at)));
    }
}

#[test]
fn a_nanosecond_that_fills_a_page_is_said() {
    let mut all: Vec<LogEntry> = (0..20).map(|line| entry(30, 0, line)).collect();
    all.insert(0, entry(10, 0, 100));
    all.push(entry(40, 0, 101));
    for direction in [Direction::Forward, Direction::Backward] {
        let (found, notes) = run(Pager::new(range(0, 60), direction, 1_000, 1 << 20, 8), &all, direction);
        assert_eq!(found.len(), 10, "eight of the twenty, and what lies on both sides");
        assert_eq!(
            notes,
            [cut(
                "more entries than one page (8) share the time 1970-01-01T00:00:00.000000030Z: some of them may be missing"
            )]
        );
    }
}

#[test]
fn lines_of_one_stream_at_one_time_keep_their_order() {
    let all: Vec<LogEntry> = (0..6).map(|line| entry(30, 0, line)).collect();
    for direction in [Direction::Forward, Direction::Backward] {
        let (found, _) = run(Pager::new(range(0, 60), direction, 100, 1 << 20, 8), &all, direction);
        assert_eq!(found, all);
    }
}

#[test]
fn bytes_are_bounded_too() {
    let all: Vec<LogEntry> = (0..50).map(|line| entry(line.into(), 0, line)).collect();
    let (found, notes) = run(Pager::new(range(0, 60), Direction::Backward, 100, 35, 8), &all, Direction::Backward);
    assert_eq!(found.len(), 5);
    assert_eq!(notes, [cut("the limit of 35 bytes is reached: older entries are left out")]);
}
