//! Telling values in several formats, and decoys.

use std::sync::Arc;

use super::{BASELINE, WINDOW, entry, range};
use crate::analysis::templates::{CONTEXT_SCORE, LogFinding, compare_logs};
use crate::domain::evidence::TellingValue;
use crate::domain::log::LogEntry;
use crate::domain::{Labels, Timestamp};

/// A small generator with fixed seeds: the tests say the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// 600 requests in baseline and window each; `line` gets the dice, a number, and whether it is the window.
fn world(mut line: impl FnMut(&mut Dice, u64, bool) -> Vec<LogEntry>) -> Vec<LogFinding> {
    let mut dice = Dice(7);
    let mut entries = Vec::new();
    for number in 0..1_200 {
        entries.extend(line(&mut dice, number, number >= 600));
    }
    compare_logs(&entries, range(BASELINE), range(WINDOW))
}

fn at(number: u64) -> i64 {
    let number = number as i64;
    if number < 600 { BASELINE.0 + number } else { WINDOW.0 + number - 600 }
}

fn told(findings: &[LogFinding]) -> Vec<(String, String, String)> {
    let words = |one: &TellingValue| (one.among.clone(), one.field.clone(), one.value.to_string());
    let mut out: Vec<_> = findings.iter().flat_map(|one| one.detail.telling.iter().map(words)).collect();
    out.sort();
    out.dedup();
    out
}

fn one(among: &str, field: &str, value: &str) -> Vec<(String, String, String)> {
    vec![(among.to_owned(), field.to_owned(), value.to_owned())]
}

#[test]
fn one_promo_code_among_the_slow_is_named() {
    // JSON of a shop: only the carts with one code became slow; ids and the popular currency say nothing.
    let found = world(|dice, number, late| {
        let promo = dice.pick(&["none", "SPRING10", "WINTER25", "FRIEND5"]);
        let slow = late && promo == "WINTER25";
        let took = 40 + dice.roll(60) + if slow { 2_500 } else { 0 };
        let currency = if dice.roll(10) < 9 { "EUR" } else { "CHF" };
        vec![entry(
            at(number),
            "checkout",
            &format!(
                r#"{{"level":"info","msg":"cart priced","promo":"{promo}","currency":"{currency}","cart_id":"c-{number}","duration_ms":{took}}}"#
            ),
        )]
    });
    assert_eq!(told(&found), one("slow", "promo", "WINTER25"));
    let best = found.iter().find(|one| !one.detail.telling.is_empty()).unwrap();
    assert!(best.score > 0.4, "{best:?}");
    assert!(best.detail.exemplars[0].line.contains("WINTER25"));
    let share = best.detail.telling[0].share;
    assert!(share.after > Some(0.99) && share.before < Some(0.01), "{share:?}");
}

#[test]
fn one_exchange_among_failed_orders_is_named_in_logfmt() {
    let found = world(|dice, number, late| {
        let exchange = dice.pick(&["XNYS", "XLON", "XETR", "XPAR", "XTKS"]);
        let desk = dice.pick(&["north", "south"]);
        let fails = late && (exchange == "XETR" && dice.roll(10) < 8 || dice.roll(100) == 0);
        let line = if fails {
            format!(
                "level=error msg=\"order not acknowledged\" exchange={exchange} desk={desk} order={number} reason=timeout"
            )
        } else {
            format!("level=info msg=\"order placed\" exchange={exchange} desk={desk} order={number}")
        };
        vec![entry(at(number), "orders", &line)]
    });
    assert_eq!(told(&found), one("failed", "exchange", "XETR"));
}

#[test]
fn a_new_version_among_the_failing_is_named_from_labels() {
    let found = world(|dice, number, late| {
        let version = if late && dice.roll(2) == 0 { "2.4.1" } else { "2.4.0" };
        let pod = format!("encoder-{}", dice.roll(4));
        let fails = late && version == "2.4.1" && dice.roll(3) > 0;
        let line = if fails { "ERROR segment encode failed: bad profile" } else { "INFO segment encoded" };
        let labels: Labels = [("service_name", "encoder"), ("version", version), ("pod", &pod)].into_iter().collect();
        vec![LogEntry { at: Timestamp::from_secs(at(number)), labels: Arc::new(labels), ..entry(0, "encoder", line) }]
    });
    assert_eq!(told(&found), one("failed", "version", "2.4.1"));
    assert!(found[0].score > 0.8, "{:?}", found[0]);
}

#[test]
fn a_region_in_prose_is_named_by_the_word_in_front_of_it() {
    // Telco: key: value pairs in brackets, and a word in prose.
    let found = world(|dice, number, late| {
        let region = dice.pick(&["eu-west-1", "eu-north-1", "us-east-2", "ap-south-1"]);
        let took = if late && region == "ap-south-1" { 900 + dice.roll(300) } else { 20 + dice.roll(50) };
        vec![entry(
            at(number),
            "hlr",
            &format!("INFO subscriber lookup in region {region} took {took}ms [msisdn: 49170{number}]"),
        )]
    });
    assert_eq!(told(&found), one("slow", "region", "ap-south-1"));
}

#[test]
fn a_value_on_another_line_of_the_request_is_found_by_its_id() {
    let found = world(|dice, number, late| {
        let tenant = dice.pick(&["acme", "globex", "initech", "umbrella"]);
        let fails = late && tenant == "globex";
        let end = if fails { "ERROR invoice rejected by ledger" } else { "INFO invoice booked" };
        vec![
            entry(at(number), "billing", &format!("INFO invoice received tenant={tenant} requestId=req-{number:05}")),
            entry(at(number), "billing", &format!("{end} requestId=req-{number:05}")),
        ]
    });
    assert_eq!(told(&found), one("failed", "tenant", "globex"));
}

#[test]
fn a_value_never_seen_before_is_told_without_any_failure() {
    let found = world(|dice, number, late| {
        let flag = if late && dice.roll(3) == 0 { "v2" } else { "v1" };
        vec![entry(
            at(number),
            "search",
            &format!("level=info msg=\"query done\" ranker={flag} shard={}", dice.roll(4)),
        )]
    });
    assert_eq!(told(&found), one("window", "ranker", "v2"));
}

#[test]
fn decoys_are_not_told() {
    // A tenant that is just as common among good lines, an id, one pod that serves everything, and the status itself.
    let found = world(|dice, number, late| {
        let tenant = if dice.roll(10) < 8 { "acme" } else { "globex" };
        let fails = late && dice.roll(3) == 0;
        let status = if fails { 503 } else { 200 };
        let level = if fails { "error" } else { "info" };
        vec![entry(
            at(number),
            "api",
            &format!("level={level} msg=\"request served\" status={status} tenant={tenant} pod=api-0 user=u{number}"),
        )]
    });
    assert!(told(&found).is_empty(), "{:?}", told(&found));
}

#[test]
fn what_only_goes_along_with_the_cause_is_left_out() {
    // The failing exchange is mostly served by one pod, which serves others well.
    let found = world(|dice, number, late| {
        let exchange = dice.pick(&["A", "B", "C", "D"]);
        let pod = if exchange == "C" && dice.roll(10) < 9 { "p-2" } else { dice.pick(&["p-0", "p-1", "p-2"]) };
        let fails = late && exchange == "C";
        let word = if fails { "ERROR quote failed" } else { "INFO quote sent" };
        vec![entry(at(number), "quotes", &format!("{word} exchange={exchange} pod={pod}"))]
    });
    assert_eq!(told(&found), one("failed", "exchange", "C"));
}

/// Fault-free worlds: load that comes in waves and clumps, rare lines of an open vocabulary, and a job that runs once
/// a day and happens to run inside the window.
#[test]
fn quiet_worlds_stay_quiet() {
    let mut loud = 0;
    for seed in 0..40 {
        let mut dice = Dice(seed * 977 + 13);
        let mut entries = Vec::new();
        let regions = ["eu", "us", "ap"];
        // Ten templates with rates of their own; each minute has its load, each template its clumps.
        let rates: Vec<u64> = (0..10).map(|_| 1 + dice.roll(12)).collect();
        for minute in 0..50_i64 {
            // Thirty minutes of baseline and twenty of window.
            let load = 5 + dice.roll(11);
            for (template, rate) in rates.iter().enumerate() {
                for _ in 0..rate * load / 10 {
                    let clump = if template % 4 == 0 && dice.roll(6) == 0 { 1 + dice.roll(12) } else { 1 };
                    let second = minute * 60 + dice.roll(60) as i64;
                    for _ in 0..clump {
                        let word = ["alpha", "beta", "gamma", "delta", "eps", "zeta", "eta", "theta", "iota", "kappa"]
                            [template];
                        let took = 10 + dice.roll(40) + dice.roll(40) * dice.roll(8);
                        let region = dice.pick(&regions);
                        let line =
                            format!("INFO {word} handled region={region} duration_ms={took} id={}", dice.roll(1 << 30));
                        entries.push(entry(second, "api", &line));
                    }
                }
            }
            if dice.roll(8) == 0 {
                let odd: String = (0..3).map(|_| dice.pick(&["lar", "mo", "ti", "ske", "run", "vab"])).collect();
                entries.push(entry(minute * 60 + 7, "api", &format!("WARN odd {odd} seen")));
            }
        }
        let job = 30 * 60 + dice.roll(15 * 60) as i64;
        for row in 0..120 {
            entries.push(entry(job + row / 20, "api", &format!("INFO nightly report row {row} written")));
        }
        entries.push(entry(job + 7, "api", "INFO nightly report done"));
        let found = compare_logs(&entries, range((0, 1_800)), range((1_800, 3_000)));
        loud += usize::from(found.iter().any(|one| one.score > CONTEXT_SCORE));
    }
    assert!(loud <= 2, "{loud} of 40 quiet worlds are loud");
}

/// A change of rate is dated by its change point, what vanished by its last line.
#[test]
fn onsets_are_dated() {
    let mut entries = Vec::new();
    for second in 0..600 {
        entries.push(entry(second, "a", "INFO tick"));
        entries.push(entry(1_000 + second, "a", "INFO tick"));
        if second % 4 == 0 {
            entries.push(entry(second, "a", "INFO cache miss"));
            entries.push(entry(second, "a", "INFO lease renewed"));
            entries.push(entry(1_000 + second, "a", "INFO cache miss"));
        }
        if second >= 300 {
            entries.push(entry(1_000 + second, "a", "INFO cache miss"));
        }
    }
    let found = compare_logs(&entries, range(BASELINE), range(WINDOW));
    let onset = |word: &str| found.iter().find(|one| one.detail.template.contains(word)).unwrap().detail.onset.unwrap();
    assert!((onset("miss").secs() - 1_300).abs() <= 15, "{}", onset("miss").secs());
    assert_eq!(onset("lease").secs(), 596);
    let gone = found.iter().find(|one| one.detail.template.contains("lease")).unwrap();
    assert_eq!(gone.detail.exemplars[0].at.secs(), 596);
}

#[test]
fn the_innermost_cause_is_shown() {
    let mut entries = Vec::new();
    for i in 0..30 {
        entries.push(entry(i, "a", "INFO fine"));
        entries.push(entry(1_000 + i * 3, "a", "INFO fine"));
        entries.push(entry(1_001 + i * 3, "a", "ERROR request failed"));
        if i == 9 {
            for frame in 0..14 {
                entries.push(entry(1_001 + i * 3, "a", &format!("    at a.B.c(B.java:{frame})")));
            }
            entries.push(entry(1_001 + i * 3, "a", "Caused by: java.net.ConnectException: refused"));
        }
    }
    let found = compare_logs(&entries, range(BASELINE), range(WINDOW));
    let failed = found.iter().find(|one| one.detail.template.contains("request failed")).unwrap();
    assert!(failed.detail.exemplars[0].line.contains("ConnectException"), "{:?}", failed.detail.exemplars);
}
