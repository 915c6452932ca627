mod telling;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::evidence::LogChange;
use crate::domain::log::LogEntry;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

const BASELINE: (i64, i64) = (0, 600);
const WINDOW: (i64, i64) = (1_000, 1_600);

fn range((start, end): (i64, i64)) -> TimeRange {
    TimeRange::new(Timestamp::from_secs(start), Timestamp::from_secs(end))
}

fn entry(at: i64, service: &str, line: &str) -> LogEntry {
    let labels: Labels = [("service_name", service)].into_iter().collect();
    LogEntry { at: Timestamp::from_secs(at), labels: Arc::new(labels), line: Text::new(line), metadata: Labels::new() }
}

/// `count` entries spread over `range`.
fn spread(range: (i64, i64), count: i64, service: &str, line: impl Fn(i64) -> String) -> Vec<LogEntry> {
    (0..count).map(|i| entry(range.0 + (range.1 - range.0) * i / count, service, &line(i))).collect()
}

fn compare(entries: &[LogEntry]) -> Vec<LogFinding> {
    compare_logs(entries, range(BASELINE), range(WINDOW)).into_iter().filter(|one| one.score >= CONTEXT_SCORE).collect()
}

#[test]
fn new_vanished_more_and_fewer_are_told_apart() {
    let mut entries = Vec::new();
    for (range, counts) in [(BASELINE, [100, 40, 10, 200, 300]), (WINDOW, [100, 0, 90, 20, 300])] {
        let lines = ["request done", "connection returned", "cache miss", "job finished", "tick"];
        for (line, count) in lines.iter().zip(counts) {
            entries.extend(spread(range, count, "payments", |i| format!("INFO {line} id={i} took {}ms", i * 7)));
        }
    }
    entries.extend(spread(WINDOW, 30, "payments", |i| format!("ERROR acquire connection failed after {i} ms")));
    let found = compare(&entries);
    let change = |word: &str| found.iter().find(|one| one.detail.template.contains(word)).map(|one| one.detail.change);
    assert_eq!(change("acquire"), Some(Some(LogChange::New)));
    assert_eq!(change("returned"), Some(Some(LogChange::Vanished)));
    assert_eq!(change("cache"), Some(Some(LogChange::More)));
    assert_eq!(change("job"), Some(Some(LogChange::Fewer)));
    assert_eq!(change("tick"), None);
    assert_eq!(change("done"), None);
    assert!(found[0].detail.template.contains("acquire"), "{:?}", found[0]);
    assert_eq!(found[0].detail.level, "error");
    assert_eq!(found[0].detail.first, Some(Timestamp::from_secs(WINDOW.0)));
    assert!(found.iter().all(|one| !one.detail.exemplars.is_empty() && (0.0..=1.0).contains(&one.score)));
}

#[test]
fn what_chance_explains_blames_nobody_but_keeps_its_mark() {
    let mut entries = Vec::new();
    let usual = [
        "cart loaded for visitor",
        "price fetched from catalogue within budget",
        "stock reserved",
        "card charged by gateway on first try today",
        "mail queued",
        "session renewed until next login",
        "coupon checked against rules of region one",
        "ledger balanced",
    ];
    for range in [BASELINE, WINDOW] {
        for words in usual {
            entries.extend(spread(range, 60, "payments", |i| format!("INFO {words} id={i}")));
        }
    }
    entries.push(entry(WINDOW.0 + 300, "payments", "INFO breaker opened at charge"));
    entries.push(entry(BASELINE.0 + 300, "payments", "INFO breaker closed again by timer"));
    assert!(compare(&entries).is_empty());
    let found = compare_logs(&entries, range(BASELINE), range(WINDOW));
    let change = |word: &str| found.iter().find(|one| one.detail.template.contains(word)).map(|one| one.detail.change);
    assert_eq!(change("opened"), Some(Some(LogChange::New)), "{found:?}");
    assert_eq!(change("closed"), Some(Some(LogChange::Vanished)), "{found:?}");
    assert_eq!(found.iter().filter(|one| one.detail.change.is_none()).count(), 6, "{found:?}");
}

#[test]
fn a_branch_to_an_error_outweighs_new_traffic() {
    let mut entries = Vec::new();
    let request = |at: i64, id: i64, fails: bool, out: &mut Vec<LogEntry>| {
        let end = if fails { "ERROR a.B#30 charge failed" } else { "INFO a.B#20 charge done" };
        out.push(entry(at, "payments", &format!("INFO a.B#10 charge start trace_id=abcdef{id:06}")));
        out.push(entry(at, "payments", &format!("{end} trace_id=abcdef{id:06}")));
    };
    for i in 0..20 {
        request(i * 20, i, false, &mut entries);
        request(1_000 + i * 20, 100 + i, i % 2 == 0, &mut entries);
    }
    entries.extend(spread(WINDOW, 400, "reports", |i| format!("INFO r.R#1 monthly report trace_id=fedcba{i:06}")));
    let found = compare(&entries);
    assert_eq!(found[0].service, "payments");
    let beginning = |one: &&LogFinding| one.detail.branch.as_ref().is_some_and(|branch| branch.from.is_none());
    let parting = found.iter().find(beginning).expect("the place where ways part");
    let from = found[0].detail.branch.as_ref().and_then(|branch| branch.from.as_ref()).expect("where it branches off");
    assert!(from.contains("a.B#10"), "{from}");
    assert!(parting.detail.template.contains("a.B#10"));
    let branch = parting.detail.branch.as_ref().unwrap();
    assert!(branch.now.as_ref().unwrap().contains("a.B#30") && branch.before.as_ref().unwrap().contains("a.B#20"));
    assert_eq!(branch.share.after, Some(0.5));
}

#[test]
fn lists_of_any_length_at_one_call_site_are_one_template() {
    let names = ["shanghai", "nanjing", "taiyuan", "suzhou"];
    let entries = spread(WINDOW, 60, "travel", |i| {
        format!("INFO t.Impl#45 [query][stations: [{}]] end", names[..=i as usize % 4].join(", "))
    });
    assert_eq!(compare(&entries).len(), 1);
}

#[test]
fn opposite_events_stay_two_templates_and_many_names_become_one() {
    let mut entries = spread(WINDOW, 20, "a", |i| format!("connection {}", ["opened", "closed"][i as usize % 2]));
    let users = ["ann", "bob", "cleo", "dan", "eve", "fay", "gus"];
    entries.extend(spread(WINDOW, 70, "b", |i| format!("welcome back {}", users[i as usize % 7])));
    let found = compare(&entries);
    assert_eq!(found.iter().filter(|one| one.service == "a").count(), 2);
    assert_eq!(found.iter().filter(|one| one.service == "b").count(), 1);
}

#[test]
fn frames_stay_with_the_event_above_them() {
    let mut entries = Vec::new();
    for i in 0..10 {
        for line in ["ERROR java.lang.NullPointerException: x", "  at a.B.c(B.java:12)", "  at d.E.f(E.java:3)"] {
            entries.push(entry(1_000 + i * 10, "payments", line));
        }
    }
    let found = compare(&entries);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.exemplars[0].line.contains("at d.E.f"));
}

#[test]
fn lines_that_are_all_different_stay_within_bounds() {
    let entries = spread(WINDOW, 35_000, "noise", |i| {
        let word = |n: i64| (b'a' + (n % 26) as u8) as char;
        format!("{}{}{}{} said hello", word(i), word(i / 26), word(i / 676), word(i / 17_576))
    });
    assert!(compare(&entries).len() <= 60);
}

#[test]
fn nothing_in_gives_nothing_out() {
    assert!(compare(&[]).is_empty());
    assert!(compare_logs(&spread(WINDOW, 5, "a", |_| "x".into()), range((0, 0)), range(WINDOW)).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_order_of_entries_does_not_matter(
        lines in proptest::collection::vec(("[a-c]{1,2} (done|failed|x=[a-z]{1,3}|[0-9]{1,4})( \\PC{0,12})?", 0..1_700_i64, 0..3_u8), 0..120),
        seed in any::<u64>(),
    ) {
        let mut entries: Vec<LogEntry> =
            lines.iter().enumerate().map(|(i, (line, at, service))| entry(*at * 100 + i as i64 % 100, &format!("s{service}"), line)).collect();
        let (baseline, window) = (range((0, 60_000)), range((100_000, 160_000)));
        entries.sort_by_key(|one| one.at);
        entries.dedup_by_key(|one| one.at);
        let first = compare_logs(&entries, baseline, window);
        let mut state = seed;
        for i in (1..entries.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            entries.swap(i, (state >> 33) as usize % (i + 1));
        }
        prop_assert_eq!(compare_logs(&entries, baseline, window), first);
    }
}

/// `silent` speaks before and after the baseline, `steady` all the time.
fn with_a_silence(counts: [i64; 3]) -> Vec<LogEntry> {
    let mut entries = spread((0, 3_000), 600, "steady", |i| format!("INFO tick {i}"));
    for (line, before) in ["request done", "connection returned"].iter().zip([counts[0], counts[1]]) {
        entries.extend(spread((100, 600), before, "silent", |i| format!("INFO {line} id={i}")));
    }
    entries.extend(spread((2_000, 3_000), counts[2], "silent", |i| format!("INFO request done id={i}")));
    entries
}

/// Compares as an incident does, mindful of services that were silent in the baseline.
fn compare_incident(entries: Vec<LogEntry>) -> Vec<LogFinding> {
    let mut snapshot = crate::analysis::fixture::snapshot(crate::analysis::fixture::alert(&[], ""), Vec::new());
    (snapshot.incident.baseline, snapshot.incident.window) = (range((1_000, 2_000)), range((2_000, 3_000)));
    snapshot.logs = entries;
    LogReading::of(&snapshot.logs, crate::analysis::periods::Periods::of(&snapshot)).compare()
}

#[test]
fn a_service_that_was_silent_in_the_baseline_is_compared_with_what_it_said_before() {
    let found = compare_incident(with_a_silence([50, 40, 100]));
    let of = |word: &str| found.iter().find(|one| one.detail.template.contains(word)).unwrap();
    let (same, gone) = (of("request"), of("returned"));
    // New since the baseline is true, and says nothing: it was said as often before.
    assert_eq!(same.detail.change, Some(LogChange::New));
    assert!(same.detail.outside_baseline && same.score < CONTEXT_SCORE, "{same:?}");
    assert_eq!(same.detail.baseline_count, 50);
    assert_eq!(gone.detail.change, Some(LogChange::Vanished));
    assert!(gone.score > CONTEXT_SCORE, "{gone:?}");
    // Those that spoke are compared as ever.
    assert!(found.iter().all(|one| one.service != "steady" || !one.detail.outside_baseline));
    let without: Vec<LogEntry> =
        with_a_silence([50, 40, 100]).into_iter().filter(|entry| entry.at.secs() >= 1_000).collect();
    let steady = |found: &[LogFinding]| -> Vec<LogFinding> {
        found.iter().filter(|one| one.service == "steady").cloned().collect()
    };
    let new = compare_incident(without);
    assert_eq!(steady(&found), steady(&new));
    // Where nothing is known, what it says is new.
    let new = new.iter().find(|one| one.service == "silent").unwrap();
    assert!(new.detail.change == Some(LogChange::New) && new.score > CONTEXT_SCORE, "{new:?}");
}
