use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::analysis::periods::Periods;

fn entry(secs: f64, service: &str, line: &str) -> LogEntry {
    LogEntry {
        at: Timestamp::from_secs_f64(secs),
        labels: Arc::new([("service_name", service)].into_iter().collect()),
        line: Text::new(line),
        metadata: Labels::new(),
    }
}

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_secs(start), Timestamp::from_secs(end))
}

fn habits(entries: &[LogEntry], baseline: TimeRange, window: TimeRange) -> Vec<SequenceFinding> {
    broken_habits(&LogReading::of(entries, Periods::new(baseline, window)), &|_, _| true)
}

/// One request a second from 0 to 300; from 200 on `charge` is not reached any more.
fn requests() -> Vec<LogEntry> {
    let mut all = Vec::new();
    for i in 0..300 {
        let (at, id) = (f64::from(i), format!("trace_id=abc{i:06}"));
        all.push(entry(at, "shop", &format!("order {i} received {id}")));
        all.push(entry(at + 0.1, "shop", &format!("cart {i} read {id}")));
        if i < 200 {
            all.push(entry(at + 0.2, "shop", &format!("card charged {id}")));
            all.push(entry(at + 0.15, "pay", &format!("charge {i} {id}")));
        }
    }
    all
}

#[test]
fn what_no_longer_follows_is_found_and_dated() {
    let found = habits(&requests(), range(0, 100), range(100, 300));
    let own = found.iter().find(|finding| finding.service == "shop").unwrap();
    assert!(own.text.contains("card charged"), "{}", own.text);
    assert!(own.strength > 0.9);
    assert_eq!(own.onset, Timestamp::from_secs(200));
    let called = found.iter().find(|finding| finding.service == "pay").unwrap();
    assert_eq!(called.caller, "shop");
    assert_eq!(called.detail.change, Some(LogChange::Fewer));
    assert!(habits(&requests(), range(0, 100), range(100, 190)).is_empty());
}

/// [`requests`] where nobody spoke from 100 to 150, the baseline, but for `front`, which calls `shop` all the time.
fn requests_with_a_silence() -> Vec<LogEntry> {
    let is_silent = |entry: &LogEntry| (100..150).contains(&entry.at.secs());
    let mut all: Vec<LogEntry> = requests().into_iter().filter(|entry| !is_silent(entry)).collect();
    all.extend((100..300).map(|i| entry(f64::from(i) + 0.05, "front", &format!("order {i} sent trace_id=abc{i:06}"))));
    all
}

fn habits_of_an_incident(logs: Vec<LogEntry>) -> Vec<SequenceFinding> {
    let mut snapshot = crate::analysis::fixture::snapshot(crate::analysis::fixture::alert(&[], ""), Vec::new());
    (snapshot.incident.baseline, snapshot.incident.window) = (range(100, 150), range(190, 300));
    snapshot.logs = logs;
    broken_habits(&LogReading::of(&snapshot.logs, Periods::of(&snapshot)), &|_, _| true)
}

#[test]
fn habits_of_a_service_that_was_silent_in_the_baseline_are_learnt_before_it() {
    let found = habits_of_an_incident(requests_with_a_silence());
    let own = found.iter().find(|finding| finding.service == "shop" && finding.caller == "shop").unwrap();
    assert!(own.text.contains("card charged") && own.strength > 0.9, "{}", own.text);
    assert_eq!(own.onset, Timestamp::from_secs(200));
    assert!(found.iter().any(|finding| finding.service == "pay" && finding.caller == "shop"), "{found:#?}");
    // What `front` did before the baseline is not known, so nothing is said of it.
    assert!(found.iter().all(|finding| finding.service != "front"), "{found:#?}");
}

proptest! {
    #[test]
    fn nothing_panics_and_order_does_not_matter(
        lines in prop::collection::vec((0_u32..400, 0_usize..3, "trace_id=[a-c]{6} [a-d]{1,2}"), 0..60),
    ) {
        let mut entries: Vec<LogEntry> = lines
            .iter()
            .map(|(at, service, line)| entry(f64::from(*at), &format!("s{service}"), line))
            .collect();
        let one = habits(&entries, range(0, 100), range(100, 400));
        entries.reverse();
        let two = habits(&entries, range(0, 100), range(100, 400));
        prop_assert_eq!(one.len(), two.len());
        for (a, b) in one.iter().zip(&two) {
            prop_assert_eq!((&a.service, a.strength.to_bits()), (&b.service, b.strength.to_bits()));
        }
    }
}
