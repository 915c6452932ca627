use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::copilot::fixture::at;
use crate::domain::alert::Alert;
use crate::domain::log::LogEntry;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::{Direction, Lang, Note, NoteKind, Planned, Purpose};
use crate::domain::{Labels, Timestamp};

fn range_query(expr: &str) -> Query {
    let range = TimeRange::new(at(0), at(900));
    Query::Range { lang: Lang::PromQl, expr: expr.into(), range, step: Duration::from_secs(30) }
}

fn asked(query: Query) -> Asked {
    Asked {
        planned: Planned { query, purpose: Purpose::Question },
        source: "prometheus".into(),
        at: at(900),
        elapsed_ms: 12,
        outcome: Ok(1),
        notes: Vec::new(),
    }
}

fn text(query: Query, data: Data) -> String {
    let item = evidence(1, &asked(query), Some(&Answer::new(data)), Bounds::default());
    let Detail::Query { text } = item.detail else { panic!("not a query") };
    text.to_string()
}

fn series(service: &str, values: &[f64]) -> Series {
    let samples = values.iter().enumerate().map(|(i, value)| Sample { at: at(i as i64 * 30), value: *value }).collect();
    Series {
        labels: [("__name__", "pool_in_use"), ("service", service), ("env", "prod")].into_iter().collect(),
        samples,
    }
}

fn entry(seconds: i64, line: &str) -> LogEntry {
    let labels: Labels = [("app", "payments")].into_iter().collect();
    LogEntry { at: at(seconds), labels: Arc::new(labels), line: line.into(), metadata: Labels::new() }
}

#[test]
fn a_series_is_told_by_its_statistics() {
    let mut values = vec![4.0; 16];
    values.extend([50.0; 15]);
    let told = text(range_query("pool_in_use"), Data::Series(vec![series("payments", &values)]));
    assert_eq!(
        told,
        "1 series, 14:00:00 to 14:15:00\n\
         pool_in_use{env=\"prod\",service=\"payments\"} first 4 last 50 min 4 at 14:00:00 max 50 at 14:08:00 \
         mean 26.258, steps from 4 to 50 at 14:08:00, rises by 1150%, ×12.5, 31 samples"
    );
}

#[test]
fn values_of_an_instant_are_listed_highest_first_and_counted() {
    let one = |service: &str, value: f64| series(service, &[value]);
    let found = vec![one("a", 0.0), one("b", 1.0), one("c", 1.0), one("d", 0.0)];
    let query = Query::Instant { lang: Lang::PromQl, expr: "up".into(), at: at(0) };
    assert_eq!(
        text(query, Data::Series(found)),
        "4 series, all with pool_in_use{env=\"prod\"}\nlast values: 0 (2 series), 1 (2 series)\n\
         {service=\"b\"} 1\n{service=\"c\"} 1\n{service=\"a\"} 0\n{service=\"d\"} 0\nsum of the last values 2"
    );
}

#[test]
fn of_many_series_both_ends_are_shown_and_the_rest_is_summed_up() {
    let many: Vec<Series> = (0..5_000).map(|i| series(&format!("s{i:04}"), &[f64::from(i)])).collect();
    let told = text(Query::Instant { lang: Lang::PromQl, expr: "x".into(), at: at(0) }, Data::Series(many));
    assert!(told.len() <= Bounds::default().bytes);
    assert!(told.contains("{service=\"s4999\"} 4999") && told.contains("{service=\"s0000\"} 0"), "{told}");
    assert!(told.contains("… 4960 more are not shown"), "{told}");
    assert!(told.contains("lie between 20 and 4979"), "{told}");
}

#[test]
fn samples_that_cease_and_values_that_are_none_are_said() {
    let told = text(range_query("x"), Data::Series(vec![series("a", &[1.0, f64::NAN, 3.0, 2.0])]));
    assert!(told.contains("1 of them NaN") && told.contains("ceases at 14:01:30"), "{told}");
    let told = text(range_query("x"), Data::Series(vec![series("a", &[f64::NAN; 3])]));
    assert!(told.contains("NaN throughout"), "{told}");
    assert_eq!(text(range_query("x"), Data::Series(Vec::new())), "no data: no series has a sample at this time");
}

#[test]
fn many_log_entries_are_told_by_their_templates() {
    let mut entries: Vec<LogEntry> = (0..30)
        .map(|i| entry(i * 10, &format!("level=error msg=\"acquire timeout\" waited_ms={}", 3000 + i)))
        .collect();
    entries.extend((0..5).map(|i| entry(400 + i, "level=info msg=\"started\"")));
    let query = Query::Logs {
        expr: "{app=\"payments\"}".into(),
        range: TimeRange::new(at(0), at(900)),
        limit: 100,
        direction: Direction::Backward,
    };
    let told = text(query, Data::Logs(entries));
    assert!(
        told.starts_with("35 entries, first 14:00:00 last 14:06:44\nby service: payments 35\n2 templates"),
        "{told}"
    );
    assert!(told.contains("×30 error first 14:00:00 last 14:04:50: "), "{told}");
    assert!(told.contains("e.g. level=error msg=\"acquire timeout\" waited_ms=3000"), "{told}");
    assert!(told.contains("×5 info first 14:06:40 last 14:06:44"), "{told}");
}

#[test]
fn what_failed_and_what_was_cut_is_said() {
    let mut failed = asked(range_query("rate("));
    failed.outcome = Err("prometheus: parse error".into());
    let item = evidence(3, &failed, None, Bounds::default());
    assert_eq!(item.id.to_string(), "Q3");
    assert_eq!(item.detail, Detail::Query { text: "no answer: prometheus: parse error".into() });
    let answer = Answer {
        data: Data::Series(vec![series("a", &[1.0])]),
        notes: vec![Note { kind: NoteKind::Cut, text: "5,000 of 9,000 series kept".into() }],
    };
    let item = evidence(1, &asked(range_query("x")), Some(&answer), Bounds::default());
    let Detail::Query { text } = item.detail else { panic!() };
    assert!(text.starts_with("note: 5,000 of 9,000 series kept\n"), "{text}");
    assert_eq!(item.service.as_deref(), Some("a"));
}

#[test]
fn alerts_of_one_name_are_folded_and_the_worst_stand_first() {
    let alert = |name: &str, severity: &str, service: &str, seconds: i64| Alert {
        fingerprint: format!("{name}{service}"),
        labels: [("alertname", name), ("severity", severity), ("service", service)].into_iter().collect(),
        starts_at: at(seconds),
        ..crate::copilot::fixture::alert()
    };
    let mut alerts: Vec<Alert> = (0..9).map(|i| alert("Slow", "warning", &format!("s{i}"), i)).collect();
    alerts.push(alert("Down", "critical", "db", 100));
    let told = text(Query::Alerts, Data::Alerts(alerts));
    assert!(told.starts_with("10 alerts of 2 names, 10 of them active\nDown critical active since "), "{told}");
    assert!(told.contains("and 4 more Slow of s5, s6, s7, s8"), "{told}");
}

/// Everything the text says can be quoted: verification finds each of its lines.
#[test]
fn every_line_of_an_answer_is_supported_by_it() {
    use crate::copilot::verify::{Proof, verify};
    use crate::domain::diagnosis::{Claim, Diagnosis};
    let values: Vec<f64> = (0..31).map(|i| 0.091 + f64::from(i) * 0.173).collect();
    let answer = Answer::new(Data::Series(vec![series("payments", &values), series("postgres", &[0.5; 31])]));
    let item = evidence(1, &asked(range_query("pool_in_use")), Some(&answer), Bounds::default());
    let Detail::Query { text } = &item.detail else { panic!() };
    let claims: Vec<Claim> =
        text.lines().map(|line| Claim { text: line.replace('"', "").into(), evidence: vec!["Q1".into()] }).collect();
    let mut analysis = crate::copilot::fixture::pool();
    analysis.evidence.push(item);
    let mut diagnosis = Diagnosis { observations: claims, ..Diagnosis::default() };
    let report = verify(&mut diagnosis, &Proof::new(&analysis, None));
    assert_eq!(report.unsupported, []);
}

proptest! {
    #[test]
    fn any_answer_stays_within_its_bounds(
        lines in proptest::collection::vec(".{0,200}", 0..60),
        values in proptest::collection::vec(any::<f64>(), 0..40),
        bytes in 300_usize..4_000,
        rows in 0_usize..20,
    ) {
        let bounds = Bounds { rows, bytes };
        let logs: Vec<LogEntry> = lines.iter().enumerate().map(|(i, line)| entry(i as i64, line)).collect();
        let names = lines.clone();
        let found = vec![series("a", &values), series("b", &values), series("b", &values[..values.len() / 2])];
        for data in [Data::Logs(logs), Data::Names(names), Data::Series(found)] {
            let item = evidence(1, &asked(range_query("x")), Some(&Answer::new(data)), bounds);
            let Detail::Query { text } = item.detail else { panic!() };
            // Neutralising can lengthen a text, but nothing outside gets here unneutralised.
            prop_assert!(text.len() <= bytes, "{} > {bytes}", text.len());
        }
    }

    #[test]
    fn the_order_of_the_series_does_not_matter(values in proptest::collection::vec(-1e6f64..1e6, 1..8), seed in any::<u64>()) {
        let mut found: Vec<Series> =
            values.iter().enumerate().map(|(i, value)| series(&format!("s{i}"), &[*value, value + 1.0])).collect();
        let before = text(range_query("x"), Data::Series(found.clone()));
        let len = found.len();
        found.rotate_left((seed % len as u64) as usize);
        found.reverse();
        prop_assert_eq!(before, text(range_query("x"), Data::Series(found)));
    }
}

#[test]
fn a_time_of_another_day_carries_its_date() {
    let day = Timestamp::from_secs(86_400 * 100);
    assert_eq!(rows::stamp(day, day), "00:00:00");
    assert_eq!(rows::stamp(day.minus(Duration::from_secs(1)), day), "1970-04-10 23:59:59");
}
