//! True claims in the words in which people and models say them, and the same claims made false in one place: numbers,
//! units, ids, services, quotations, times, directions, order.
//!
//! Claims with an even number were looked at while the verifier was made, those with an odd number only afterwards: of
//! the first 517 false ones among them it caught 498, and flagged two of 42 true ones.

use super::*;
use crate::copilot::fixture::{change, edge, log, metric, pool, shop};
use crate::domain::analysis::Analysis;
use crate::domain::evidence::LogChange;

/// A claim that is true, and what it cites.
pub(super) type True = (&'static str, &'static [&'static str]);

/// Of the incident in which a deploy exhausts the connection pool of payments.
const POOL: &[True] = &[
    ("pool_in_use of payments rose from 6 to 50", &["M1"]),
    ("pool_in_use in payments climbed to 50, up from about 6", &["M1"]),
    ("The connections in use (pool_in_use) went up from 6 to 50 since 14:02:20", &["M1"]),
    ("payments: pool_in_use jumped to 50 from usually 6", &["M1"]),
    ("pool_in_use grew roughly eightfold, to 50", &["M1"]),
    ("payments holds 50 connections where 6 are usual, about 8 times as many", &["M1"]),
    ("pool_in_use increased by about 730 % to 50", &["M1"]),
    ("Since about 14:02 pool_in_use of payments is higher: 50 instead of 6", &["M1"]),
    ("M1 rose to 50", &["M1"]),
    ("pool_in_use is no longer between 4.8 and 7.8 but at 50", &["M1"]),
    ("pg_connections of postgres rose from 12 to 55", &["M2"]),
    ("In postgres, pg_connections grew from 12 to 55 (about 4.6 times)", &["M2"]),
    ("pg_connections reached 55, normally 12", &["M2"]),
    ("1,204 errors \"acquire connection: timeout\" from pg-main", &["L1"]),
    ("payments logs a new error, 1204 times: \"acquire connection: timeout\"", &["L1"]),
    ("\"acquire connection: timeout\" appeared about 1200 times", &["L1"]),
    ("The line `acquire connection: timeout` is new, about 80 a minute", &["L1"]),
    ("Around 80 lines per minute say \"acquire connection: timeout\" in payments", &["L1"]),
    ("about 1.2k timeouts while acquiring a connection (\"acquire connection: timeout\")", &["L1"]),
    ("new message since 14:02:25: \"acquire connection: timeout\" pool=pg-main", &["L1"]),
    ("waited_ms=3012 in one of the lines \"acquire connection: timeout\"", &["L1"]),
    ("\"connection returned\" vanished; it came 40 times a minute before", &["L2"]),
    ("payments no longer says \"connection returned\", 400 times before", &["L2"]),
    ("The message \"connection returned\" ceased", &["L2"]),
    ("\"connection returned\" fell from 40 a minute to 0", &["L2"]),
    ("errors of checkout → payments rose from 0.1 % to 31.3 %", &["E1"]),
    ("checkout → payments: error rate up from 0.1 % to about 31 %", &["E1"]),
    ("calls from checkout to payments fail: errors increased to 31 %", &["E1"]),
    ("About a third of the calls from checkout to payments fail", &["E1"]),
    ("checkout waits 5.2 s for payments instead of 91 ms", &["E1"]),
    ("the wait of checkout for payments grew from 0.091 s to 5.2 s", &["E1"]),
    ("latency of checkout → payments rose from 91 ms to 5.2 s, about 57 times", &["E1"]),
    ("checkout → payments is slower: 5.2 s, was 91 ms", &["E1"]),
    ("waits of checkout → payments went from 0.09 s to 5.2 s", &["E1"]),
    ("checkout waits about 5 seconds for payments", &["E1"]),
    ("checkout waits roughly five seconds for payments", &["E1"]),
    ("payments itself works for 5.1 s per call of checkout, was 80 ms", &["E1"]),
    ("the callee payments works 5.1 s instead of 80 ms, so the time is lost inside it", &["E1"]),
    ("the request rate of checkout → payments stayed at about 120/s", &["E1"]),
    ("traffic from checkout to payments is nearly unchanged: 120 to 118 requests per second", &["E1"]),
    ("deploy v2.41 of payments at 14:01:52", &["C1"]),
    ("payments was deployed (v2.41) at 14:01: \"hold connection during fraud check\"", &["C1"]),
    ("v2.41 by author-1 holds the connection during the fraud check", &["C1"]),
    ("the pool fills 28 s after deploy v2.41", &["M1", "C1"]),
    ("pool_in_use rose to 50 about 28 s after the deploy of v2.41", &["M1", "C1"]),
    ("deploy v2.41 came 28 s before pool_in_use rose", &["C1", "M1"]),
    ("pool_in_use rose after deploy v2.41", &["M1", "C1"]),
    ("the timeouts began 33 s after deploy v2.41", &["L1", "C1"]),
    ("CheckoutErrors fires since 14:04 for checkout", &["A1"]),
    ("CheckoutErrors: 31% of users see checkout fail", &["A1"]),
    ("CheckoutErrors began 128 s after deploy v2.41", &["A1", "C1"]),
    ("about 31 % of users cannot check out", &["A1"]),
    ("pool_in_use rose to 50 while \"connection returned\" vanished", &["M1", "L2"]),
    ("pool_in_use of payments rose from 6 to 50 and errors of checkout → payments to 31 %", &["M1", "E1"]),
];

/// Of an incident of memory, traffic and a slower database.
const LEAK: &[True] = &[
    ("memory_working_set_bytes of cart rose from 2 GiB to 8 GiB", &["M1"]),
    ("cart uses four times its usual memory: 8 GiB instead of 2 GiB", &["M1"]),
    ("cart's memory (memory_working_set_bytes) grew fourfold to 8 GiB", &["M1"]),
    ("memory_working_set_bytes in cart climbed from about 2.1 GB to 8.6 GB", &["M1"]),
    ("memory_working_set_bytes increased by 300 %", &["M1"]),
    ("request_duration_seconds of cart went from 0.12 s to 0.6 s", &["M2"]),
    ("cart answers in 600 ms instead of 120 ms", &["M2"]),
    ("request_duration_seconds rose fivefold, to 0.6 s", &["M2"]),
    ("latency of cart is higher: request_duration_seconds at 600 ms, normally 120 ms", &["M2"]),
    ("http_requests of cart fell from 250 to 40", &["M3"]),
    ("http_requests dropped to 40 from usually 250", &["M3"]),
    ("traffic of cart (http_requests) decreased by 84 %", &["M3"]),
    ("http_requests in cart is down from 250 to 40 since 14:02:20", &["M3"]),
    ("1204 lines \"OutOfMemoryError: heap space\" in cart, new", &["L1"]),
    ("cart says \"OutOfMemoryError: heap space\" about 80 times a minute", &["L1"]),
    ("\"OutOfMemoryError: heap space\" appeared at 14:02:25", &["L1"]),
    ("\"cart saved\" is gone, 400 times before", &["L2"]),
    ("cart no longer logs \"cart saved\"; 40 a minute before", &["L2"]),
    ("web → cart: errors went from 0.1 % to 31.3 %", &["E1"]),
    ("web waits 5.2 s for cart, normally 91 ms", &["E1"]),
    ("between web and cart the wait rose from 91 ms to 5.2 s while cart itself works 90 ms", &["E1"]),
    ("the time is lost between web and cart: cart works for 90 ms, web waits 5.2 s", &["E1"]),
    ("flag v2.41 was turned at 14:00:50 for cart", &["C1"]),
    ("memory_working_set_bytes rose 90 s after the flag v2.41", &["M1", "C1"]),
    ("the flag came 1.5 minutes before memory_working_set_bytes rose", &["C1", "M1"]),
    ("memory_working_set_bytes rose to 8 GiB and http_requests fell to 40", &["M1", "M3"]),
    ("\"OutOfMemoryError: heap space\" came after the flag v2.41", &["L1", "C1"]),
    ("cart's latency rose from 120 ms to 600 ms and its traffic fell to 40", &["M2", "M3"]),
    ("cart fails for 31.3 % of the calls of web", &["E1"]),
    ("error rate web → cart: 31 %, up from 0.1 %", &["E1"]),
];

/// What a model writes around a fact.
pub(super) const AROUND: &[(&str, &str)] = &[("", ""), ("We see that ", "."), ("", ", which fits the picture")];

fn leak() -> Analysis {
    let mut analysis = shop(vec![
        metric(1, "cart", "memory_working_set_bytes", 2_147_483_648.0, 8_589_934_592.0, 0.9),
        metric(2, "cart", "request_duration_seconds", 0.12, 0.6, 0.8),
        metric(3, "cart", "http_requests", 250.0, 40.0, 0.7),
        log(1, "cart", "OutOfMemoryError: heap space at <*>", LogChange::New, 0.9),
        log(2, "cart", "cart saved items=<*>", LogChange::Vanished, 0.6),
        edge(1, "web", "cart", 0.09),
        change(1, "flag", "cart", 50),
        metric(4, "search", "index_queue", 10.0, 900.0, 0.3),
    ]);
    analysis.graph.push(crate::domain::analysis::GraphEdge { client: "search".into(), server: "web".into() });
    analysis
}

pub(super) fn refuted(proof: &Proof, text: &str, ids: &[&str]) -> Option<String> {
    let claim = Claim { text: text.into(), evidence: ids.iter().map(|id| (*id).to_owned()).collect() };
    let mut diagnosis = Diagnosis { observations: vec![claim], ..Diagnosis::default() };
    let report = verify(&mut diagnosis, proof);
    let unknown = report.unknown_ids.first().map(|(id, _)| format!("{id} does not exist"));
    report.unsupported.into_iter().next().map(|claim| claim.why).or(unknown)
}

/// A claim made false, and how.
pub(super) struct False {
    pub(super) how: &'static str,
    pub(super) text: String,
    pub(super) ids: Vec<String>,
}

/// Numbers of a sentence with their places: no part of a name, version or time.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    let shape = regex::Regex::new(
        r"(?:^|[\s(])(\d[\d,]*(?:\.\d+)?)(k?)(?:\s?(?:%|s|ms|GiB|GB|minutes|seconds|times|/s)\b|[\s,.;)%]|/s|$)",
    )
    .unwrap();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(found) = shape.captures_at(text, at).and_then(|groups| groups.get(1)) {
        out.push((found.start(), found.end()));
        at = found.end();
    }
    out
}

pub(super) fn falsified((text, ids): True, others: &[&str], known: &[&str]) -> Vec<False> {
    let mut out = Vec::new();
    let same: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let mut say = |how: &'static str, told: String| {
        if told != text {
            out.push(False { how, text: told, ids: same.clone() });
        }
    };
    for (start, end) in numbers(text) {
        let value: f64 = text[start..end].replace(',', "").parse().unwrap();
        let put = |other: String| format!("{}{other}{}", &text[..start], &text[end..]);
        for factor in [1.7, 0.4, 10.0] {
            if value != 0.0 {
                let other = format!("{:.3}", value * factor);
                say("number", put(other.trim_end_matches('0').trim_end_matches('.').to_owned()));
            }
        }
        let first = text[start..end].chars().next().unwrap().to_digit(10).unwrap();
        say("digit", put(format!("{}{}", first % 9 + 1, &text[start + 1..end])));
        let rest = &text[end..];
        for (unit, other) in [
            (" %", " s"),
            ("%", " ms"),
            (" s", " ms"),
            (" s", " minutes"),
            (" ms", " s"),
            (" GiB", " MiB"),
            (" GB", " kB"),
            (" minutes", " hours"),
            (" seconds", " minutes"),
        ] {
            if rest.strip_prefix(unit).is_some_and(|after| !after.starts_with(char::is_alphanumeric)) {
                say("unit", format!("{}{other}{}", &text[..end], &rest[unit.len()..]));
            }
        }
        for (unit, other) in
            [(" a minute", " a second"), (" per minute", " per second"), (" times a minute", " times a second")]
        {
            if let Some(after) = rest.strip_prefix(unit) {
                say("rate", format!("{}{other}{after}", &text[..end]));
            }
        }
    }
    for (word, other) in [
        ("rose", "fell"),
        ("climbed", "dropped"),
        ("grew", "shrank"),
        ("jumped", "dropped"),
        ("increased", "decreased"),
        ("went up", "went down"),
        ("higher", "lower"),
        ("slower", "faster"),
        ("fell", "rose"),
        ("dropped", "jumped"),
        ("decreased", "increased"),
        ("down from", "up from"),
        ("vanished", "appeared"),
        ("is gone", "is new"),
        ("ceased", "appeared"),
        ("appeared", "vanished"),
        ("a new ", "a vanished "),
        ("is new", "is gone"),
        ("up from", "down from"),
        ("no longer says", "newly says"),
        ("no longer logs", "newly logs"),
        ("unchanged", "higher"),
    ] {
        if text.contains(word) {
            say("direction", text.replacen(word, other, 1));
        }
    }
    for (word, other) in [
        ("rose", "did not rise"),
        ("fell", "did not fall"),
        ("grew", "did not grow"),
        ("climbed", "never climbed"),
        ("increased", "has not increased"),
        ("vanished", "has not vanished"),
        ("appeared", "never appeared"),
        ("dropped", "never dropped"),
    ] {
        if text.contains(word) {
            say("negation", text.replacen(word, other, 1));
        }
    }
    if let Some(found) = regex::Regex::new(
        r"from (?:about |usually )?([\d.]+ ?(?:%|ms|s|GiB|GB|a minute)?) to (?:about )?([\d.]+ ?(?:%|ms|s|GiB|GB)?)",
    )
    .unwrap()
    .captures(text)
    {
        let swapped = format!("from {} to {}", found[2].trim(), found[1].trim());
        say("swapped", text.replacen(found[0].trim(), &swapped, 1));
    }
    for (word, other) in [(" after ", " before "), (" before ", " after ")] {
        let ordered = ids.len() > 1 && text.contains(word);
        if ordered {
            say("order", text.replacen(word, other, 1));
        }
    }
    if let Some(time) = regex::Regex::new(r"14:0\d(?::\d\d)?").unwrap().find(text) {
        let digit = time.as_str().as_bytes()[4] - b'0';
        say("time", text.replacen(time.as_str(), &format!("14:1{digit}{}", &time.as_str()[5..]), 1));
        say("time", text.replacen(time.as_str(), &format!("14:0{}{}", (digit + 3) % 10, &time.as_str()[5..]), 1));
    }
    for quote in ['"', '`'] {
        let parts: Vec<&str> = text.splitn(3, quote).collect();
        if let [before, inside, after] = parts.as_slice() {
            let word = inside.split([' ', ':']).next_back().unwrap();
            for other in ["refused", "granted"] {
                say("quotation", format!("{before}{quote}{}{quote}{after}", inside.replacen(word, other, 1)));
            }
        }
    }
    for service in known {
        let named = regex::Regex::new(&format!(r"\b{service}\b")).unwrap();
        if named.is_match(text) {
            for other in others {
                say("service", named.replace(text, *other).into_owned());
            }
            // Where a place is named and no person speaks of a word.
            if text.contains(&format!("{service} →"))
                || text.contains(&format!("→ {service}"))
                || text.contains(&format!("_in_use of {service}"))
            {
                say("stranger", named.replace(text, "warehouse-sync").into_owned());
            }
        }
    }
    if text.contains("M1 rose") {
        say("id inside", text.replace("M1", "M2"));
        say("id inside", text.replace("M1", "M77"));
    }
    for id in ids {
        let with = |other: &str| {
            same.iter().map(|one| if one == id { other.to_owned() } else { one.clone() }).collect::<Vec<_>>()
        };
        if ids.len() == 1 {
            out.push(False { how: "id unknown", text: text.to_owned(), ids: with("M99") });
            let kind = if id.starts_with('C') { "L1" } else { "C1" };
            out.push(False { how: "id other", text: text.to_owned(), ids: with(kind) });
        }
    }
    out
}

/// False claims that are true all the same, or say nothing that could be held against anything: each with the reason.
fn still_true(false_claim: &False) -> bool {
    let text = &false_claim.text;
    // The upper end of the usual range is 2.6 GiB, which rounds to 3.
    text.contains("3 GiB") || text.contains("about 3.1 GB")
        // Within what `about` allows, of this figure or of the callee's.
        || text.contains("about 9 times") || text.contains("about 67 times")
}

/// Whether only a word was turned round: which way it went, what came first. Such words are judged where a sentence leaves
/// no doubt of what they are said of, and nowhere else.
pub(super) fn turned(how: &str) -> bool {
    matches!(how, "direction" | "negation" | "order")
}

struct Score {
    /// Of figures, times, ids, names and quotations.
    caught: usize,
    tried: usize,
    /// Of words that were turned round.
    turned: (usize, usize),
    wrong: usize,
    told: usize,
    notes: Vec<String>,
}

fn score(half: usize) -> Score {
    let mut score = Score { caught: 0, tried: 0, turned: (0, 0), wrong: 0, told: 0, notes: Vec::new() };
    let incidents = [
        (pool(), POOL, ["postgres", "checkout"], ["payments", "postgres"]),
        (leak(), LEAK, ["search", "checkout"], ["cart", "web"]),
    ];
    for (analysis, claims, others, known) in incidents {
        let proof = Proof::new(&analysis, None);
        for claim in claims.iter().skip(half).step_by(2) {
            for (before, after) in AROUND {
                let text = format!("{before}{}{after}", claim.0);
                score.told += 1;
                if let Some(why) = refuted(&proof, &text, claim.1) {
                    score.wrong += 1;
                    score.notes.push(format!("TRUE  {text} {:?}: {why}", claim.1));
                }
            }
            let others: Vec<&str> = others.iter().copied().filter(|other| !claim.0.contains(other)).collect();
            let others: Vec<&str> = others
                .into_iter()
                .filter(|other| !(claim.1.contains(&"E1") || claim.1.contains(&"A1")) || *other != "checkout")
                .collect();
            for one in falsified(*claim, &others, &known).into_iter().filter(|one| !still_true(one)) {
                let ids: Vec<&str> = one.ids.iter().map(String::as_str).collect();
                let caught = refuted(&proof, &one.text, &ids).is_some();
                let (hit, tried) = if turned(one.how) {
                    (&mut score.turned.0, &mut score.turned.1)
                } else {
                    (&mut score.caught, &mut score.tried)
                };
                *hit += usize::from(caught);
                *tried += 1;
                if !caught {
                    score.notes.push(format!("FALSE ({}) {} {ids:?}", one.how, one.text));
                }
            }
        }
    }
    score
}

/// Per cent of words turned round that are caught at least.
const TURNED: usize = 50;

#[test]
fn claims_made_false_are_caught_and_true_ones_stand() {
    for half in [0, 1] {
        let score = score(half);
        let name = if half == 0 { "even" } else { "odd" };
        eprintln!(
            "{name}: {} of {} false claims caught, {} of {} turned round, {} of {} true ones flagged",
            score.caught, score.tried, score.turned.0, score.turned.1, score.wrong, score.told
        );
        let turned = score.turned.0 * 100 >= score.turned.1 * TURNED;
        let enough = score.caught * 100 >= score.tried * 99 && score.wrong * 100 <= score.told && turned;
        assert!(enough, "{}", score.notes.join("\n"));
    }
}
