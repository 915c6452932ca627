use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::alert::{Alert, AlertState, Severity};
use crate::domain::analysis::{RankedChange, Signal, Suspect};
use crate::domain::change::Change;
use crate::domain::evidence::{Band, BeforeAfter, EdgeDetail, Evidence, LogChange, LogDetail, MetricDetail, Turn};
use crate::domain::incident::Incident;
use crate::domain::log::LogEntry;
use crate::domain::snapshot::Provenance;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

fn provenance() -> Provenance {
    let range = TimeRange::new(Timestamp::from_secs(0), Timestamp::from_secs(60));
    Provenance { source: "test".to_owned(), lang: None, expr: String::new(), range, notes: Vec::new() }
}

fn item(kind: EvidenceKind, number: u32, service: &str, strength: f64, detail: Detail) -> Evidence {
    let service = (!service.is_empty()).then(|| service.to_owned());
    let onset = Some(Timestamp::from_secs(1_700_000_000));
    let id = EvidenceId { kind, number };
    Evidence { id, service, title: Text::new("title"), strength, onset, detail, provenance: provenance() }
}

fn alert(name: &str) -> Detail {
    Detail::Alert(Box::new(Alert {
        fingerprint: String::new(),
        labels: [("alertname", name), ("severity", "critical")].into_iter().collect(),
        annotations: [("summary", "checkout fails")].into_iter().collect(),
        starts_at: Timestamp::from_secs(1_700_000_000),
        ends_at: None,
        state: AlertState::Active,
        suppressed_by: Vec::new(),
        receivers: Vec::new(),
        generator_url: String::new(),
        expression: Some("rate(errors_total[1m]) > 1".to_owned()),
    }))
}

fn metric(name: &str) -> Detail {
    Detail::Metric(MetricDetail {
        metric: name.to_owned(),
        labels: [("pool", "pg-main")].into_iter().collect(),
        unit: "s".to_owned(),
        baseline: Band { low: 0.09, median: 0.1, high: 0.12, count: 60 },
        peak: 5.2,
        last: 4.9,
        turn: Turn::Up,
        score: 31.234,
        samples: Vec::new(),
    })
}

fn log(template: &str, line: &str, change: LogChange) -> Detail {
    Detail::Log(LogDetail {
        template: Text::new(template),
        change: Some(change),
        baseline_count: 0,
        window_count: 34,
        baseline_per_minute: 0.0,
        window_per_minute: 11.333,
        level: "error".to_owned(),
        exemplars: vec![LogEntry {
            at: Timestamp::from_secs(1_700_000_003),
            labels: std::sync::Arc::new(Labels::new()),
            line: Text::new(line),
            metadata: Labels::new(),
        }],
        first: Some(Timestamp::from_secs(1_700_000_003)),
        branch: None,
        onset: None,
        telling: Vec::new(),
        outside_baseline: false,
    })
}

fn edge(client: &str, server: &str) -> Detail {
    Detail::Edge(EdgeDetail {
        client: client.to_owned(),
        server: server.to_owned(),
        rate: BeforeAfter { before: Some(10.0), after: Some(9.1) },
        errors: BeforeAfter { before: Some(0.001), after: Some(0.31) },
        client_seconds: BeforeAfter { before: Some(0.09), after: Some(5.2) },
        server_seconds: BeforeAfter { before: None, after: Some(5.1) },
        p95: BeforeAfter::default(),
    })
}

fn change(diff: &str) -> Detail {
    Detail::Change(Box::new(Change {
        at: Timestamp::from_secs(1_699_999_900),
        kind: "deploy".to_owned(),
        service: "payments".to_owned(),
        reference: Text::new("v2.41"),
        summary: Text::new("hold connection during fraud check"),
        author: Text::new("author-1"),
        diff: Some(Text::new(diff)),
    }))
}

/// An incident over `services` services with `each` items of a kind, which holds `secret` in every outside text.
fn analysis(services: usize, each: usize, secret: &str) -> Analysis {
    let window = TimeRange::new(Timestamp::from_secs(1_700_000_000), Timestamp::from_secs(1_700_000_600));
    let baseline = TimeRange::new(Timestamp::from_secs(1_699_990_000), Timestamp::from_secs(1_699_993_600));
    let name = |service: usize| format!("svc-{service}");
    let mut evidence = vec![item(EvidenceKind::Alert, 1, "", 1.0, alert("CheckoutFails"))];
    evidence.push(item(EvidenceKind::Alert, 2, "", 1.0, alert("CheckoutFails")));
    let mut number = 0;
    let mut of = |make: &dyn Fn(usize) -> (EvidenceKind, Detail)| {
        for service in 0..services {
            for i in 0..each {
                number += 1;
                let (kind, detail) = make(i);
                let strength = 1.0 / (service + i + 1) as f64;
                evidence.push(item(kind, number, &name(service), strength, detail));
            }
        }
    };
    of(&|i| (EvidenceKind::Metric, metric(&format!("pool_wait_{i}"))));
    of(&|i| {
        let line = format!("ERROR a.b.Impl#{i} acquire password={secret} timed out after 3s {}", "x ".repeat(200));
        (
            EvidenceKind::Log,
            log(&format!("<*> ERROR a.b.Impl#{i} acquire password={secret} <*>"), &line, LogChange::New),
        )
    });
    of(&|i| (EvidenceKind::Edge, edge("web", &format!("svc-{i}"))));
    evidence.push(item(
        EvidenceKind::Change,
        1,
        "payments",
        0.9,
        change(&format!("+token = \"{secret}\"\n-old\n same")),
    ));
    let text = Text::new(&format!("Run with password={secret}\nthen look"));
    evidence.push(item(EvidenceKind::Runbook, 1, "", 0.1, Detail::Runbook { text }));
    evidence.sort_by_key(|item| item.id);
    let ids: Vec<EvidenceId> = evidence.iter().map(|item| item.id).collect();
    let suspects = (0..services.min(8))
        .map(|rank| Suspect {
            rank: rank + 1,
            service: name(rank),
            score: 0.9,
            signals: vec![Signal {
                kind: EvidenceKind::Log,
                text: String::new(),
                evidence: ids.iter().copied().take(5).collect(),
                score: 0.5,
                onset: None,
            }],
            normal: Vec::new(),
        })
        .collect();
    Analysis {
        incident: Incident {
            id: "I-1".to_owned(),
            title: Text::new("checkout fails for 31% of users"),
            severity: Severity::Critical,
            flapping: Vec::new(),
            started_at: window.start,
            resolved_at: None,
            services: vec!["checkout".to_owned()],
            alerts: Vec::new(),
            window,
            baseline,
        },
        verdict: Finding::Suspects,
        suspects,
        ruled_out: Vec::new(),
        without_change: None,
        changes: vec![RankedChange {
            rank: 1,
            evidence: EvidenceId { kind: EvidenceKind::Change, number: 1 },
            score: 0.8,
            why: "28 s before the onset".to_owned(),
        }],
        evidence,
        graph: Vec::new(),
        notes: Vec::new(),
    }
}

fn ids_of_lines(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix('[')?.split_once(']').map(|(id, _)| id.to_owned())).collect()
}

#[test]
fn a_pack_shows_each_kind_in_one_citable_line() {
    let pack = pack(&analysis(3, 2, "hunter22"), 4_000);
    insta::assert_snapshot!(pack.text);
}

#[test]
fn a_small_budget_still_hears_many_services() {
    let pack = pack(&analysis(40, 5, "hunter22"), 4_000);
    let services: BTreeSet<&str> = pack.evidence.iter().filter_map(|one| one.service.as_deref()).collect();
    assert!(services.len() >= 20, "{}", services.len());
    assert!(pack.tokens > 3_600, "{}", pack.tokens);
}

#[test]
fn a_large_budget_leaves_nothing_out_but_folded_alerts() {
    let pack = pack(&analysis(5, 5, "hunter22"), 200_000);
    assert_eq!(pack.omitted.len(), 1);
    assert_eq!(pack.omitted[0].kind, EvidenceKind::Alert);
}

#[test]
fn an_incident_without_evidence_makes_a_pack() {
    let mut analysis = analysis(0, 0, "");
    analysis.evidence.clear();
    analysis.verdict = Finding::NothingFound;
    let pack = pack(&analysis, 1_000);
    assert!(pack.text.contains("Nothing deviates beyond chance"));
    assert!(pack.evidence.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_pack_keeps_its_promises(
        services in 0..25_usize,
        each in 0..6_usize,
        budget in prop_oneof![0..600_usize, 600..3_000_usize, 3_000..200_000_usize],
        secret in "[A-Za-z]{6}[0-9]{2}[A-Za-z0-9]{4,20}",
    ) {
        let analysis = analysis(services, each, &secret);
        let pack = pack(&analysis, budget);
        prop_assert!(pack.tokens <= budget);
        prop_assert_eq!(pack.tokens, count_tokens(&pack.text));
        prop_assert!(!pack.text.contains(&secret));
        prop_assert_eq!(&super::pack(&analysis, budget), &pack);
        let ids: Vec<String> = pack.evidence.iter().map(|one| one.id.to_string()).collect();
        prop_assert_eq!(ids_of_lines(&pack.text), ids);
        for one in &pack.evidence {
            prop_assert!(pack.text.contains(&one.text));
        }
        let omitted: usize = pack.omitted.iter().map(|omission| omission.count).sum();
        prop_assert_eq!(omitted + pack.evidence.len(), analysis.evidence.len());
    }
}

#[test]
fn a_receiver_of_redacted_text_sees_no_person_host_or_pod_and_one_of_nothing_sees_nothing() {
    let mut analysis = analysis(3, 2, "hunter22");
    let line = "charge for jane.doe@example.com from 10.2.3.4 on payments-5c66d57d58-6mp2b user=jdoe took 512ms";
    for item in &mut analysis.evidence {
        if let Detail::Log(log) = &mut item.detail {
            log.template = Text::new("charge for <*> from <*> on <*> user=<*> took <*>");
            log.exemplars[0].line = Text::new(line);
        }
    }
    let whole = pack(&analysis, 60_000);
    assert!(whole.text.contains("jane.doe@example.com") && whole.text.contains("6mp2b"));
    let masked = pack_for(&analysis, 60_000, Sees::Redacted);
    for name in ["jane.doe", "10.2.3.4", "6mp2b", "jdoe"] {
        assert!(!masked.text.contains(name), "{name} in {}", masked.text);
    }
    assert!(masked.text.contains("‹personal:email:1›") && masked.text.contains("took 512ms"), "{}", masked.text);
    assert!(masked.redactions["personal:email"] > 0);
    for service in analysis.evidence.iter().filter_map(|item| item.service.as_deref()) {
        assert!(masked.text.contains(service), "{service}");
    }
    for budget in [0, 300, 1_000, 4_000] {
        let pack = pack_for(&analysis, budget, Sees::Redacted);
        assert!(pack.tokens <= budget && pack.tokens == count_tokens(&pack.text));
        assert_eq!(pack, pack_for(&analysis, budget, Sees::Redacted));
    }
    let none = pack_for(&analysis, 8_000, Sees::Nothing);
    assert_eq!((none.text.as_str(), none.evidence.len()), ("", 0));
    assert_eq!(none.omitted.iter().map(|omission| omission.count).sum::<usize>(), analysis.evidence.len());
}

#[test]
fn a_value_that_is_a_secret_in_one_item_is_one_in_all() {
    let mut analysis = analysis(3, 2, "nothing1");
    for item in &mut analysis.evidence {
        match &mut item.detail {
            Detail::Log(log) => log.exemplars[0].line = Text::new("tried Quie7Forest and UXVpZTdGb3Jlc3Q"),
            Detail::Change(change) => change.diff = Some(Text::new("+db_password: Quie7Forest")),
            _ => {}
        }
    }
    let pack = pack(&analysis, 60_000);
    assert!(pack.text.contains("tried ‹secret"), "{}", pack.text);
    assert!(!pack.text.contains("Quie7Forest") && !pack.text.contains("UXVpZTdGb3Jlc3Q"));
}

/// Secrets of several shapes; none may be seen in a pack, wherever it stood and however much is told.
const SECRETS: [&str; 6] = [
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "AKIAIOSFODNN7EXAMPLE",
    "postgres://shop:tr0ub4dor3@db.internal:5432/orders",
    "https://deploy:s3cr3tpassw0rd@git.internal/shop.git",
    "Cookie: session=8f14e45fceea167a5a36dedd4bea2543",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq3\nzTq9Xw2vJmYx\n-----END RSA PRIVATE KEY-----",
];
/// What must not be left of them.
const INNERMOST: [&str; 7] = [
    "dozjgNryP4J3jVmNHl0w5N",
    "AKIAIOSFODNN7EXAMPLE",
    "tr0ub4dor3",
    "s3cr3tpassw0rd",
    "8f14e45fceea167a5a36dedd4bea2543",
    "MIIEowIBAAKCAQEA7bq3",
    "zTq9Xw2vJmYx",
];

#[test]
fn no_secret_is_seen_at_any_depth() {
    for secret in SECRETS {
        let mut analysis = analysis(3, 2, "hunter22");
        for item in &mut analysis.evidence {
            item.title = Text::new(secret);
            match &mut item.detail {
                Detail::Alert(alert) => {
                    alert.annotations = [("summary", secret)].into_iter().collect();
                    alert.labels = [("alertname", "A"), ("url", secret)].into_iter().collect();
                    alert.expression = Some(format!("up{{x=\"{secret}\"}}"));
                }
                Detail::Metric(metric) => metric.labels = [("target", secret)].into_iter().collect(),
                Detail::Log(log) => {
                    log.template = Text::new(&format!("calling {secret} <*>"));
                    log.exemplars[0].line = Text::new(&format!("{} {secret}\nand {secret}", "x".repeat(300)));
                }
                Detail::Change(change) => {
                    change.summary = Text::new(secret);
                    let added = format!("+{}\n", secret.replace('\n', "\n+"));
                    change.diff = Some(Text::new(&format!("@@ -1 +1 @@\n context\n-old\n{added}")));
                }
                Detail::Edge(_) | Detail::Query { .. } => {}
                Detail::Runbook { text } => *text = Text::new(&format!("Call\n{secret}\nthen look")),
            }
        }
        for budget in [1_000, 4_000, 200_000] {
            let pack = pack(&analysis, budget);
            for inner in INNERMOST {
                assert!(!pack.text.contains(inner), "{budget}: {inner} in\n{}", pack.text);
            }
            let again = crate::context::redact(&pack.text).text;
            let differing: Vec<_> = pack.text.lines().zip(again.lines()).filter(|(a, b)| a != b).collect();
            assert!(differing.is_empty() && again == pack.text, "redaction is not idempotent: {differing:#?}");
            assert!(!pack.text.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}

#[test]
fn a_larger_budget_keeps_the_ids_and_the_head() {
    let analysis = analysis(12, 4, "hunter22");
    let packs: Vec<Pack> = [2_000, 8_000, 64_000].into_iter().map(|budget| pack(&analysis, budget)).collect();
    let ids = |pack: &Pack| pack.evidence.iter().map(|one| one.id).collect::<BTreeSet<_>>();
    for pair in packs.windows(2) {
        assert!(ids(&pair[0]).is_subset(&ids(&pair[1])));
        let head = |pack: &Pack| pack.text.split("## Alerts").next().unwrap().to_owned();
        assert_eq!(head(&pair[0]), head(&pair[1]));
    }
}

#[test]
fn items_of_one_service_share_its_heading() {
    let pack = pack(&analysis(2, 3, "hunter22"), 8_000);
    let logs = pack.text.split("## Logs\n").nth(1).unwrap();
    assert!(logs.starts_with("svc-0:\n[L"), "{logs}");
    assert_eq!(pack.text.matches("svc-1:\n").count(), 2, "one for metrics, one for logs");
}

#[test]
fn what_is_new_is_shown_before_what_did_not_change() {
    let mut analysis = analysis(3, 3, "x");
    for number in 100..160 {
        let mut same = log(&format!("INFO word{number} all is well"), "INFO all is well", LogChange::New);
        if let Detail::Log(log) = &mut same {
            log.change = (number == 159).then_some(LogChange::New);
        }
        analysis.evidence.push(item(EvidenceKind::Log, number, "svc-9", 0.03, same));
    }
    let pack = pack(&analysis, 1_500);
    let shown: Vec<bool> =
        pack.evidence.iter().filter(|one| one.id.number >= 100).map(|one| one.change.is_some()).collect();
    assert!(shown.contains(&true), "{}", pack.text);
    assert!(shown.len() < 60, "{}", pack.text);
}

#[test]
fn a_broken_habit_keeps_both_of_its_lines() {
    let mut analysis = analysis(1, 1, "hunter22");
    let long = "x".repeat(400);
    for item in &mut analysis.evidence {
        if let Detail::Log(log) = &mut item.detail {
            log.template = Text::new(&format!(
                "after web `INFO a.First {long}` came `<*> INFO b.Second {long}` in 9 of 9 requests before 10:00:00, in 0 of 7 since"
            ));
            (log.baseline_per_minute, log.window_per_minute) = (0.0, 0.0);
        }
    }
    let text = pack(&analysis, 1_000).text;
    let line = text.lines().find(|line| line.starts_with("[L")).unwrap();
    assert!(line.contains("a.First") && line.contains("came b.Second") && line.ends_with("in 0 of 7 since"), "{line}");
    assert!(!line.contains("/min"), "{line}");
}

#[test]
fn telling_values_stand_with_their_template() {
    let mut analysis = analysis(1, 1, "hunter22");
    for item in &mut analysis.evidence {
        if let Detail::Log(log) = &mut item.detail {
            log.telling = vec![crate::domain::evidence::TellingValue {
                field: "version".to_owned(),
                value: Text::new("2.41"),
                among: "slow".to_owned(),
                share: BeforeAfter { before: Some(0.02), after: Some(0.97) },
                count: 40,
            }];
        }
    }
    let text = pack(&analysis, 1_000).text;
    assert!(text.contains("| version=2.41 in 2→97% of slow"), "{text}");
}
