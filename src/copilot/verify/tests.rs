use super::*;
use crate::copilot::fixture::pool;
use crate::domain::diagnosis::Hypothesis;
use crate::domain::evidence::{BeforeAfter, Detail, TellingValue};
use crate::domain::pack::Pack;

/// Why one observation is not supported; `None` when it is.
fn refuted(text: &str, ids: &[&str]) -> Option<String> {
    let claim = Claim { text: text.into(), evidence: ids.iter().map(|id| (*id).to_owned()).collect() };
    let mut diagnosis = Diagnosis { observations: vec![claim], ..Diagnosis::default() };
    let report = verify(&mut diagnosis, &Proof::new(&pool(), None));
    report.unsupported.into_iter().next().map(|claim| claim.why)
}

#[test]
fn true_claims_stand() {
    for (text, ids) in [
        ("pool_in_use rose from 6 to 50", &["M1"][..]),
        ("The pool is used 8.3 times as much, since 14:02:20", &["M1"]),
        ("1,204 errors \"acquire connection: timeout\" from pg-main", &["L1"]),
        ("about 1200 lines say `waited_ms=<*>`", &["L1"]),
        ("errors of checkout → payments rose from 0.1 % to 31 %, waits from 91 ms to 5.2 s", &["E1"]),
        ("the pool fills 28 s after deploy v2.41", &["M1", "C1"]),
        ("31% of users see checkout fail", &["[a1]"]),
        ("“connection returned … pool=” vanished, 40 a minute before", &["L2"]),
    ] {
        assert_eq!(refuted(text, ids), None, "{text}");
    }
}

#[test]
fn words_are_found_beside_punctuation_and_never_inside_others() {
    for (text, word) in [
        (" latency{stat=p99} ", "p99"),
        (" id 0c0d-b5bb-1: x ", "b5bb"),
        (" at [2023-01-29t09:00:00z] ", "2023-01-29t09:00:00z"),
        (" rose to 5.2. ", "5.2"),
    ] {
        assert!(stands_in(text, word), "{word} in {text}");
    }
    for (text, word) in [(" v2.410 ", "v2.41"), (" 5.25 ", "5.2"), (" 15.2 ", "5.2"), (" 1.5 ", "5"), (" x ", "")] {
        assert!(!stands_in(text, word), "{word} in {text}");
    }
}

#[test]
fn false_claims_do_not() {
    for (text, ids) in [
        ("pool_in_use rose from 6 to 60", &["M1"][..]),
        ("1,304 errors", &["L1"]),
        ("\"acquire lock: timeout\" is new", &["L1"]),
        ("errors rose to 41 %", &["E1"]),
        ("waits rose to 5.2 ms", &["E1"]),
        ("deploy v2.40 did it", &["C1"]),
        ("since 14:12:20", &["M1"]),
        ("the pool fills 48 s after the deploy", &["M1", "C1"]),
        ("50 connections", &["E1"]),
        ("the pool is full", &[]),
        ("the pool is full", &["M99"]),
        ("p95 doubled", &["E1"]),
        ("pool_in_use of checkout rose from 6 to 50", &["M1"]),
    ] {
        assert!(refuted(text, ids).is_some(), "{text}");
    }
}

#[test]
fn the_slowest_calls_of_an_edge_may_be_named_where_they_are_known() {
    let mut analysis = pool();
    let known = Proof::new(&analysis, None);
    assert!(known.refutes("p95 0.1 s to 5 s", &["E1".parse().unwrap()]).is_some());
    for item in &mut analysis.evidence {
        if let Detail::Edge(edge) = &mut item.detail {
            edge.p95 = BeforeAfter { before: Some(0.1), after: Some(5.0) };
        }
    }
    assert_eq!(Proof::new(&analysis, None).refutes("p95 0.1 s to 5 s", &["E1".parse().unwrap()]), None);
}

#[test]
fn ids_that_do_not_exist_are_dropped_and_counted() {
    let claim = |ids: &[&str]| Claim {
        text: "the pool is full".into(),
        evidence: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let hypothesis = Hypothesis {
        supporting: vec![claim(&["M1", "M99", "m1"]), claim(&["nonsense\u{1b}"])],
        cause: "the pool is full".into(),
        ..Hypothesis::default()
    };
    let mut diagnosis =
        Diagnosis { observations: vec![claim(&["M99"])], hypotheses: vec![hypothesis], ..Diagnosis::default() };
    let report = verify(&mut diagnosis, &Proof::new(&pool(), None));
    assert_eq!(report.unknown_ids, [("M99".to_owned(), 2), ("nonsense‹U+001B›".to_owned(), 1)]);
    assert_eq!(diagnosis.hypotheses[0].supporting[0].evidence, ["M1"]);
    let paths: Vec<&str> = report.unsupported.iter().map(|claim| claim.path.as_str()).collect();
    assert_eq!(paths, ["observations[0]", "hypotheses[0].supporting[1]"]);
}

#[test]
fn a_hypothesis_without_support_is_unsupported() {
    let mut diagnosis = Diagnosis {
        hypotheses: vec![Hypothesis { cause: "sunspots".into(), ..Hypothesis::default() }],
        summary: "It broke 77 times".into(),
        ..Diagnosis::default()
    };
    let report = verify(&mut diagnosis, &Proof::new(&pool(), None));
    let paths: Vec<&str> = report.unsupported.iter().map(|claim| claim.path.as_str()).collect();
    assert_eq!(paths, ["hypotheses[0].cause", "summary"]);
}

#[test]
fn what_was_not_packed_was_not_seen() {
    let analysis = pool();
    let pack = Pack {
        budget: 100,
        tokens: 1,
        text: String::new(),
        evidence: Vec::new(),
        omitted: Vec::new(),
        redactions: BTreeMap::new(),
    };
    let proof = Proof::new(&analysis, Some(&pack));
    assert!(!proof.holds("M1".parse().unwrap()));
}

#[test]
fn a_hidden_character_is_called_what_it_is() {
    let mut diagnosis = Diagnosis {
        observations: vec![Claim { text: "the pool is \u{202e}lluf".into(), evidence: vec!["M1".into()] }],
        ..Diagnosis::default()
    };
    let report = verify(&mut diagnosis, &Proof::new(&pool(), None));
    assert_eq!(report.unsupported[0].why, "it holds a character that turns the direction of text (‹U+202E›)");
}

#[test]
fn a_figure_of_a_diff_is_the_one_that_it_became() {
    let mut analysis = pool();
    for item in &mut analysis.evidence {
        if let Detail::Change(change) = &mut item.detail {
            change.summary = "refactor: one budget per call".into();
            change.diff = Some(
                "@@ catalog/client.go: func (c *client) Fetch(ctx context.Context)\n- ctx, cancel := context.WithTimeout(ctx, 5*time.Second)\n+ ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)".into(),
            );
        }
    }
    let proof = Proof::new(&analysis, None);
    for (text, stands) in [
        ("Timeout cut from 5 s to 300 ms in client.go.", true),
        ("The timeout went from 5 seconds to 0.3 s", true),
        ("Timeout cut from 3 s to 300 ms in client.go.", false),
        ("Timeout cut from 5 s to 300 s in client.go.", false),
        ("Timeout raised from 300 ms to 5 s in client.go.", false),
    ] {
        let id = "C1".parse().unwrap();
        assert_eq!(proof.refutes(text, &[id]).is_none(), stands, "{text}: {:?}", proof.refutes(text, &[id]));
    }
}

#[test]
fn the_shares_of_a_value_that_tells_lines_apart_may_be_told() {
    let mut analysis = pool();
    for item in &mut analysis.evidence {
        if let Detail::Log(log) = &mut item.detail {
            log.telling = vec![TellingValue {
                field: "http.route".into(),
                value: "/api/recommend".into(),
                among: "new".into(),
                share: BeforeAfter { before: Some(3.0 / 17.0), after: Some(1.0) },
                count: 8,
            }];
        }
    }
    let proof = Proof::new(&analysis, None);
    for (text, stands) in [
        ("100% of the new ones hold http.route=/api/recommend (18% of the others)", true),
        ("100% of the new ones hold http.route=/api/recommend (17.6% of the others)", true),
        ("100% of the new ones hold http.route=/api/recommend (28% of the others)", false),
        ("100% of the new ones hold http.route=/api/recommended (18% of the others)", false),
    ] {
        let id = "L1".parse().unwrap();
        assert_eq!(proof.refutes(text, &[id]).is_none(), stands, "{text}: {:?}", proof.refutes(text, &[id]));
    }
}

#[test]
fn a_theory_may_name_whatever_the_incident_holds_and_count_its_steps() {
    let supporting = vec![Claim { text: "pool_in_use rose from 6 to 50".into(), evidence: vec!["M1".into()] }];
    let told = |mechanism: &str| {
        let hypothesis = Hypothesis {
            cause: "payments holds its connections".into(),
            mechanism: mechanism.into(),
            supporting: supporting.clone(),
            ..Hypothesis::default()
        };
        let mut diagnosis = Diagnosis { hypotheses: vec![hypothesis], ..Diagnosis::default() };
        verify(&mut diagnosis, &Proof::new(&pool(), None)).unsupported.into_iter().next().map(|claim| claim.why)
    };
    assert_eq!(told("1. The pool of payments fills. 2. checkout waits for payments. 3. Its users see errors."), None);
    assert!(told("The pool of payments fills and warehouse-api waits for it.").is_some());
    assert!(told("The pool of payments fills within 17 hours.").is_some());
}

#[test]
fn figures_and_times_belong_to_what_they_are_told_of() {
    for (text, ids, stands) in [
        ("The deploy went live at 14:01:52, and pool_in_use rose at 14:02:20.", &["C1", "M1"][..], true),
        ("The deploy went live at 14:02:20, and pool_in_use rose at 14:01:52.", &["C1", "M1"], false),
        ("pool_in_use rose at 14:02:20, after the deploy of 14:01:52.", &["C1", "M1"], true),
        ("pool_in_use rose at 14:01:52, after the deploy of 14:02:20.", &["C1", "M1"], false),
        ("pool_in_use is at 50, and checkout waits 5.2 s for payments.", &["M1", "E1"], true),
        ("checkout waits 91 ms for payments.", &["E1"], false),
        ("checkout used to wait 91 ms for payments.", &["E1"], true),
        ("payments calls checkout, and 31 % fail.", &["E1"], false),
        ("The line says waited_ms=12 of pg-main.", &["L1"], false),
    ] {
        assert_eq!(refuted(text, ids).is_none(), stands, "{text}: {:?}", refuted(text, ids));
    }
}

#[test]
fn a_place_that_is_only_ruled_out_needs_no_proof() {
    assert_eq!(refuted("pool_in_use rose to 50, so the cause does not lie in checkout.", &["M1"]), None);
    assert!(refuted("pool_in_use rose to 50, so the cause lies in checkout.", &["M1"]).is_some());
}
