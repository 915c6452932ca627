//! Fresh answers that say the same, something else, nothing, or do not come.

use super::*;
use crate::copilot::fixture::{alert, at, change, edge, log, metric};
use crate::domain::diagnosis::{Claim, Hypothesis};
use crate::domain::evidence::{EvidenceKind, LogChange};
use crate::domain::incident::Incident;
use crate::domain::log::LogEntry;
use crate::domain::query::{Direction, Note, NoteKind, Shape};
use crate::domain::snapshot::Provenance;

const NAME: &str = "pool_in_use";

fn window() -> TimeRange {
    TimeRange::new(at(0), at(900))
}

fn whole() -> TimeRange {
    TimeRange::new(at(-3_600), at(900))
}

fn range_query() -> Query {
    timing::evaluated(NAME, whole(), 240)
}

fn logs_query() -> Query {
    Query::Logs { expr: "{app=\"pay\"}".into(), range: whole(), limit: 1_000, direction: Direction::Backward }
}

fn asked(query: Query, outcome: Result<usize, Text>) -> Asked {
    let planned = Planned { query, purpose: Purpose::Question };
    Asked { planned, source: "bundle".into(), at: at(900), elapsed_ms: 1, outcome, notes: Vec::new() }
}

fn answered(query: Query, data: Data) -> Answered {
    (asked(query, Ok(1)), Some(Answer::new(data)))
}

fn provenance(lang: Lang, expr: &str) -> Provenance {
    Provenance { source: "bundle".into(), lang: Some(lang), expr: expr.into(), range: window(), notes: Vec::new() }
}

/// Level, then another level from the begin of the window on.
fn series(inside: f64) -> Vec<Series> {
    let value = |secs: i64| if secs < 0 { 10.0 + (secs / 30 % 3) as f64 * 0.1 } else { inside };
    let samples = (-3_600..=900).step_by(30).map(|secs| Sample { at: at(secs), value: value(secs) }).collect();
    vec![Series { labels: [("service", "pay"), ("__name__", NAME)].into_iter().collect(), samples }]
}

/// Heartbeats all along, and failures inside the window.
fn lines(failures: i64) -> Vec<LogEntry> {
    let labels = std::sync::Arc::new([("app", "pay"), ("service", "pay")].into_iter().collect::<Labels>());
    let entry = |secs: i64, line: String| LogEntry {
        at: at(secs),
        labels: std::sync::Arc::clone(&labels),
        line: Text::from(line),
        metadata: Labels::new(),
    };
    let beats = (-3_600..900).step_by(60).map(|secs| entry(secs, format!("heartbeat {secs} done")));
    let failed = (0..failures).map(|n| entry(10 + n * 3, format!("ERROR connection {n} refused by the pool")));
    beats.chain(failed).collect()
}

fn snapshot() -> Snapshot {
    let purpose = Purpose::Golden { metric: NAME.into(), shape: Shape::Level };
    let provenance_of_logs = Provenance { range: whole(), ..provenance(Lang::LogQl, "{app=\"pay\"}") };
    Snapshot {
        incident: Incident {
            id: "I-000000".into(),
            title: Text::new("a"),
            severity: alert().severity(),
            started_at: at(240),
            resolved_at: None,
            services: vec!["pay".into()],
            alerts: vec![alert()],
            flapping: Vec::new(),
            window: window(),
            baseline: TimeRange::new(at(-3_600), at(0)),
        },
        rules: Vec::new(),
        metrics: vec![MetricAnswer { purpose, provenance: provenance(Lang::PromQl, NAME), series: series(95.0) }],
        logs: lines(200),
        log_questions: vec![provenance_of_logs],
        changes: Vec::new(),
        runbooks: Vec::new(),
        seasons: Vec::new(),
        spoiled: Vec::new(),
        asked: vec![asked(range_query(), Ok(1)), asked(logs_query(), Ok(260))],
        notes: Vec::new(),
    }
}

/// The items that the analysis of the snapshot finds.
fn evidence() -> Vec<Evidence> {
    crate::analysis::analyse(&snapshot()).evidence
}

fn of_kind(kind: EvidenceKind) -> Evidence {
    evidence().into_iter().find(|item| item.id.kind == kind).unwrap()
}

fn outcome(item: &Evidence, answers: &[Answered]) -> Outcome {
    let rechecked = compare(&snapshot(), &[item], answers);
    assert_eq!(rechecked.len(), 1);
    rechecked[0].outcome.clone()
}

#[test]
fn the_queries_behind_an_item_are_those_that_were_asked() {
    let (metric, log) = (of_kind(EvidenceKind::Metric), of_kind(EvidenceKind::Log));
    let planned = questions(&snapshot(), &[&metric, &log, &metric, &of_kind(EvidenceKind::Alert)]);
    let queries: Vec<Query> = planned.into_iter().map(|one| one.query).collect();
    assert_eq!(queries, [range_query(), logs_query(), Query::Alerts]);
    let raw = |expr: &str| Query::Instant { lang: Lang::PromQl, expr: expr.into(), at: at(900) };
    assert!(is_for(&raw("pool_in_use[4501s]"), NAME));
    for other in ["pool_in_use", "pool_in_use[5m]", "pool_in_use_max[60s]", "pool_in_use[s]"] {
        assert!(!is_for(&raw(other), NAME), "{other}");
    }
}

#[test]
fn a_metric_holds_changes_or_is_gone() {
    let item = of_kind(EvidenceKind::Metric);
    let fresh = |found| outcome(&item, &[answered(range_query(), Data::Series(found))]);
    assert_eq!(fresh(series(95.0)), Outcome::Same);
    assert_eq!(fresh(series(95.5)), Outcome::Same, "within one per cent");
    let Outcome::Changed { before, now } = fresh(series(60.0)) else { panic!("it changed") };
    assert!(before.contains("peak 95") && now.contains("peak 60"), "{before} {now}");
    assert_eq!(fresh(Vec::new()), Outcome::Gone);
}

#[test]
fn what_is_not_answered_is_said_and_not_called_gone() {
    let item = of_kind(EvidenceKind::Metric);
    let failed = (asked(range_query(), Err(Text::from("connection refused"))), None);
    let Outcome::NotAsked { why } = outcome(&item, &[failed]) else { panic!("nothing was compared") };
    assert!(why.contains("connection refused"), "{why}");
    assert!(matches!(outcome(&item, &[]), Outcome::NotAsked { .. }));
    for item in
        [change(1, "deploy", "pay", -60), metric(9, "pay", "never_asked", 1.0, 2.0, 0.5), edge(1, "a", "b", 0.1)]
    {
        assert!(matches!(outcome(&item, &[]), Outcome::NotAsked { .. }), "{}", item.id);
    }
}

#[test]
fn lines_of_a_template_are_counted_again() {
    let item = of_kind(EvidenceKind::Log);
    let fresh = |count| outcome(&item, &[answered(logs_query(), Data::Logs(lines(count)))]);
    assert_eq!(fresh(200), Outcome::Same);
    assert!(matches!(fresh(100), Outcome::Changed { .. }));
    assert_eq!(fresh(0), Outcome::Gone);
    let cut = Note { kind: NoteKind::Cut, text: Text::from("1000 of 5000 lines") };
    let answer = Answer { data: Data::Logs(lines(200)), notes: vec![cut] };
    let rechecked = compare(&snapshot(), &[&item], &[(asked(logs_query(), Ok(200)), Some(answer))]);
    assert!(rechecked[0].line().contains("cut"), "{}", rechecked[0].line());
    // A template that no fresh line makes again is looked for in the lines themselves.
    let other = log(7, "pay", "connection <*> refused by", LogChange::New, 0.5);
    assert!(matches!(
        outcome(&other, &[answered(logs_query(), Data::Logs(lines(200)))]),
        Outcome::Changed { now, .. } if now.contains("200 lines")
    ));
}

#[test]
fn an_alert_fires_still_or_is_over() {
    let item = of_kind(EvidenceKind::Alert);
    let fresh = |alerts| outcome(&item, &[answered(Query::Alerts, Data::Alerts(alerts))]);
    assert_eq!(fresh(vec![alert()]), Outcome::Same);
    let over = Alert { state: AlertState::Resolved, ..alert() };
    for alerts in [vec![over], Vec::new()] {
        assert_eq!(fresh(alerts), changed("firing", "resolved"));
    }
}

#[test]
fn the_answer_to_a_question_is_compared_as_it_is_told() {
    let query = Query::Instant { lang: Lang::PromQl, expr: "up".into(), at: at(300) };
    let answer = |value| Answer::new(Data::Scalar(Sample { at: at(300), value }));
    let first = asked(query.clone(), Ok(1));
    let item = answers::evidence(1, &first, Some(&answer(3.0)), answers::Bounds::default());
    assert_eq!(questions(&snapshot(), &[&item])[0].query, query);
    assert_eq!(outcome(&item, &[(first.clone(), Some(answer(3.0)))]), Outcome::Same);
    assert!(matches!(outcome(&item, &[(first, Some(answer(4.0)))]), Outcome::Changed { .. }));
}

#[test]
fn lines_that_answered_a_check_are_asked_for_again_with_the_same_bounds() {
    let query = answers::newest_lines("{app=\"pay\"} |= \"refused\"".into(), window());
    let answer = |failures| {
        let refused = lines(failures).into_iter().filter(|entry| entry.line.contains("refused")).collect();
        Answer::new(Data::Logs(refused))
    };
    let first = asked(query.clone(), Ok(200));
    let item = answers::evidence(1, &first, Some(&answer(200)), answers::Bounds::default());
    assert_eq!(questions(&snapshot(), &[&item])[0].query, query);
    assert_eq!(outcome(&item, &[(first.clone(), Some(answer(200)))]), Outcome::Same);
    let Outcome::Changed { before, now } = outcome(&item, &[(first, Some(answer(120)))]) else { panic!("it changed") };
    assert!(before.contains("200") && now.contains("120"), "{before} / {now}");
}

#[test]
fn what_differs_of_two_answers_is_told_and_not_how_they_begin() {
    let text = |last: &str| Text::from(format!("{}\n{last}", "the same\n".repeat(60)));
    let (before, now) = first_difference(&text("a 1"), &text("a 2"));
    assert!(before.contains("a 1") && now.contains("a 2"), "{before} / {now}");
    assert_eq!(first_difference(&"a\nb".into(), &"a".into()), ("b".into(), "no more".into()));
}

#[test]
fn each_cited_id_comes_once_and_hypotheses_come_first() {
    let claim = |ids: &[&str]| Claim { text: Text::new("x"), evidence: ids.iter().map(|&id| id.to_owned()).collect() };
    let hypothesis = Hypothesis {
        supporting: vec![claim(&["M2", "L1"])],
        contradicting: vec![claim(&["M1"])],
        ..Hypothesis::default()
    };
    let diagnosis = Diagnosis {
        observations: vec![claim(&["A1", "M2", "not an id"])],
        hypotheses: vec![hypothesis],
        ..Diagnosis::default()
    };
    let ids: Vec<String> = cited(&diagnosis).iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["M2", "L1", "M1", "A1"]);
}

#[test]
fn figures_are_near_but_for_rounding() {
    assert!(near(0.0, 0.0) && near(f64::NAN, f64::NAN) && near(f64::INFINITY, f64::INFINITY) && near(-100.0, -100.9));
    assert!(!near(1.0, 0.0) && !near(1.0, f64::NAN) && !near(f64::INFINITY, 1.0) && !near(1.0, -1.0));
}
