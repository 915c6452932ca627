use proptest::prelude::*;

use super::*;
use crate::domain::alert::{Alert, AlertState, Severity};
use crate::domain::log::LogEntry;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::Data;
use crate::domain::{Labels, Timestamp};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn incident(expression: Option<&str>, services: &[&str]) -> Incident {
    let mut labels: Labels = [("alertname", "Slow")].into_iter().collect();
    for service in services {
        labels.insert("service", service);
    }
    Incident {
        id: "I-000000".into(),
        title: Text::new("slow"),
        severity: Severity::Critical,
        started_at: at(8_000),
        resolved_at: None,
        services: services.iter().map(|&service| service.to_owned()).collect(),
        alerts: vec![Alert {
            fingerprint: "f".into(),
            labels,
            annotations: Labels::new(),
            starts_at: at(8_000),
            ends_at: None,
            state: AlertState::Active,
            suppressed_by: Vec::new(),
            receivers: Vec::new(),
            generator_url: String::new(),
            expression: expression.map(str::to_owned),
        }],
        flapping: Vec::new(),
        window: TimeRange::new(at(7_200), at(9_000)),
        baseline: TimeRange::new(at(3_600), at(7_200)),
    }
}

/// A small world that answers what it can.
#[derive(Default)]
struct World {
    metrics: Vec<(&'static str, &'static str, usize)>,
    log_labels: Vec<(&'static str, Vec<String>)>,
    /// Nothing is known of the time before.
    begins: i64,
    /// When other alerts of the service fired.
    fired: Vec<TimeRange>,
    /// Lines in every slice, by writer.
    lines: Vec<(&'static str, usize)>,
    /// A writer, and when it wrote nothing.
    silence: Option<(&'static str, TimeRange)>,
}

fn labels(metric: &str, service: &str) -> Labels {
    [("__name__", metric), ("service", service)].into_iter().collect()
}

fn series(labels: Labels, range: TimeRange, value: f64) -> Series {
    let samples = (0..10).map(|i| Sample { at: range.start.plus(range.duration() / 10 * i), value }).collect();
    Series { labels, samples }
}

fn every_five_minutes(labels: Labels, when: &[TimeRange], asked: TimeRange) -> Series {
    let times = (asked.start.secs()..=asked.end.secs()).step_by(300).map(at);
    let samples = times
        .filter(|at| when.iter().any(|range| range.start <= *at && *at <= range.end))
        .map(|at| Sample { at, value: 1.0 })
        .collect();
    Series { labels, samples }
}

impl World {
    fn answer(&self, query: &Query) -> Option<Answer> {
        let names = |names: Vec<String>| Some(Answer::new(Data::Names(names)));
        match query {
            Query::LabelValues { lang: Lang::PromQl, label, .. } if label == "__name__" => {
                names(self.metrics.iter().map(|(name, _, _)| (*name).to_owned()).collect())
            }
            Query::LabelValues { lang: Lang::PromQl, label, .. } if label == "service" => {
                names(self.metrics.iter().map(|(_, service, _)| (*service).to_owned()).collect())
            }
            Query::LabelNames { lang: Lang::PromQl, range, .. } => {
                names(if range.start < at(self.begins) { Vec::new() } else { vec!["service".into()] })
            }
            Query::LabelNames { lang: Lang::LogQl, .. } => {
                names(self.log_labels.iter().map(|(name, _)| (*name).to_owned()).collect())
            }
            Query::LabelValues { lang: Lang::LogQl, label, .. } => names(
                self.log_labels
                    .iter()
                    .filter(|(name, _)| name == label)
                    .flat_map(|(_, values)| values.clone())
                    .collect(),
            ),
            Query::Instant { expr, .. } if expr.starts_with("count by (__name__)") => {
                let all = self
                    .metrics
                    .iter()
                    .filter(|(_, service, _)| !expr.contains("service=~") || expr.contains(&format!("\"{service}\"")));
                Some(Answer::new(Data::Series(
                    all.map(|(name, _, count)| Series {
                        labels: [("__name__", *name)].into_iter().collect(),
                        samples: vec![Sample { at: at(9_000), value: *count as f64 }],
                    })
                    .collect(),
                )))
            }
            Query::Range { range, .. } if *query == history::presence(*range) => {
                let range = TimeRange::new(range.start.max(at(self.begins)), range.end);
                Some(Answer::new(Data::Series(vec![every_five_minutes(Labels::new(), &[range], range)])))
            }
            Query::Range { range, .. } if *query == history::alerts(*range) => {
                let labels = [("alertname", "Other"), ("service", "pay")].into_iter().collect();
                Some(Answer::new(Data::Series(vec![every_five_minutes(labels, &self.fired, *range)])))
            }
            Query::Instant { lang: Lang::LogQl, .. } => Some(Answer::new(Data::Series(
                self.lines
                    .iter()
                    .map(|(writer, count)| Series {
                        labels: [("app", *writer)].into_iter().collect(),
                        samples: vec![Sample { at: at(9_000), value: *count as f64 }],
                    })
                    .collect(),
            ))),
            Query::Logs { expr, range, limit, .. } => Some(self.logs(expr, *range, *limit)),
            Query::Instant { expr, at, .. } => {
                self.matrix(expr, TimeRange::new(at.minus(Duration::from_mins(90)), *at))
            }
            Query::Range { expr, range, .. } => self.matrix(expr, *range),
            _ => None,
        }
    }

    fn logs(&self, expr: &str, range: TimeRange, limit: usize) -> Answer {
        let all = self.lines.iter().filter(|(writer, _)| expr.contains(".+") || expr.contains(writer));
        let mut entries: Vec<LogEntry> = Vec::new();
        let speaks = |writer: &str| self.silence.is_none_or(|(name, when)| name != writer || !when.overlaps(range));
        for (writer, count) in all.filter(|one| speaks(one.0)) {
            let labels = std::sync::Arc::new([("app", *writer)].into_iter().collect::<Labels>());
            let line = |at| LogEntry { at, labels: labels.clone(), line: Text::new("x"), metadata: Labels::new() };
            entries.extend((0..*count).map(|index| line(range.start.plus(Duration::from_micros(index as u64)))));
        }
        let cut = entries.len() > limit;
        entries.truncate(limit);
        let mut answer = Answer::new(Data::Logs(entries));
        if cut {
            answer.notes.push(Note { kind: NoteKind::Cut, text: Text::new("there are more") });
        }
        answer
    }

    fn matrix(&self, expr: &str, range: TimeRange) -> Option<Answer> {
        let (name, service, _) = self.metrics.iter().find(|(name, _, _)| expr.contains(name))?;
        Some(Answer::new(Data::Series(vec![series(labels(name, service), range, 1.0)])))
    }
}

/// Runs all rounds; `order` permutes the answers of each.
fn run(incident: Incident, world: &World, order: &dyn Fn(&mut Vec<Planned>)) -> (Vec<Planned>, Snapshot) {
    let mut inquiry = Inquiry::new(incident);
    let mut all = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let mut round = inquiry.next_round();
        if round.is_empty() {
            break;
        }
        all.extend(round.clone());
        order(&mut round);
        for planned in round {
            let answer = world.answer(&planned.query);
            let outcome = answer.as_ref().map(Answer::len).ok_or_else(|| Text::new("no such thing"));
            let asked =
                Asked { planned, source: "test".into(), at: at(9_000), elapsed_ms: 1, outcome, notes: Vec::new() };
            inquiry.answered(asked, answer);
        }
    }
    assert!(inquiry.next_round().is_empty(), "more rounds than there are");
    (all, inquiry.finish())
}

fn expressions(planned: &[Planned]) -> Vec<String> {
    planned.iter().map(|one| one.query.expression()).collect()
}

#[test]
fn an_alert_raises_its_own_question_and_those_of_all_services() {
    let world = World {
        metrics: vec![("latency_seconds", "pay", 10), ("errors_total", "pay", 10), ("go_goroutines", "pay", 10)],
        log_labels: vec![("k8s_app", vec!["pay".into(), "cart".into()])],
        begins: 3_600,
        ..World::default()
    };
    let incident = incident(Some(r#"latency_seconds{service="pay"} > 0.5"#), &["pay"]);
    let (planned, snapshot) = run(incident, &world, &|_| {});
    let asked = expressions(&planned);
    for wanted in [
        r#"latency_seconds{service="pay"}[5401s]"#,
        "latency_seconds[5401s]",
        "rate(errors_total[5m])",
        r#"{k8s_app=~".+"}"#,
    ] {
        assert!(asked.iter().any(|expr| expr == wanted), "{wanted} missing in {asked:#?}");
    }
    assert!(!asked.iter().any(|expr| expr.contains("goroutines")));
    assert!(snapshot.metrics.iter().any(|answer| answer.provenance.expr == "latency_seconds"));
    assert_eq!(snapshot.asked.len(), planned.len());
}

#[test]
fn a_large_store_is_asked_about_the_services_in_scope_only() {
    let mut metrics = vec![("latency_seconds", "pay", 15_000)];
    metrics.extend([("errors_total", "cart", 9_000), ("queue_depth", "pay", 400)]);
    let world = World { metrics, ..World::default() };
    let (planned, _) = run(incident(None, &["pay"]), &world, &|_| {});
    let asked = expressions(&planned);
    assert!(asked.iter().any(|expr| expr.starts_with(r#"queue_depth{service=~"pay"}"#)), "{asked:#?}");
    assert!(!asked.iter().any(|expr| expr.contains("errors_total") && !expr.starts_with("count by")));
    assert!(planned.len() <= 90);
}

#[test]
fn thousands_of_metrics_stay_within_the_bound() {
    let names: Vec<&'static str> =
        (0..3_000).map(|i| &*Box::leak(format!("service_{i}_errors_total").into_boxed_str())).collect();
    let world = World { metrics: names.into_iter().map(|name| (name, "pay", 2)).collect(), ..World::default() };
    let (planned, snapshot) = run(incident(None, &["pay"]), &world, &|_| {});
    assert!(planned.len() <= 160, "{}", planned.len());
    assert!(snapshot.notes.iter().any(|note| note.kind == NoteKind::Cut));
}

#[test]
fn silence_gives_an_empty_snapshot() {
    let world = World::default();
    let (planned, snapshot) = run(incident(Some("((("), &[]), &world, &|_| {});
    assert_eq!(planned.len(), 11);
    assert!(snapshot.metrics.is_empty() && snapshot.logs.is_empty());
    assert!(snapshot.seasons.is_empty() && snapshot.spoiled.is_empty());
    assert_eq!(snapshot.asked.len(), 11);
}

/// The incident of [`incident`], much later, so that there is a past.
fn later(expression: Option<&str>) -> Incident {
    let mut incident = incident(expression, &["pay"]);
    let by = Duration::from_hours(240);
    let shift = |range: TimeRange| TimeRange::new(range.start.plus(by), range.end.plus(by));
    (incident.window, incident.baseline) = (shift(incident.window), shift(incident.baseline));
    incident.started_at = incident.started_at.plus(by);
    incident.alerts[0].starts_at = incident.started_at;
    incident
}

fn small_store() -> World {
    World {
        metrics: vec![("latency_seconds", "pay", 10), ("errors_total", "pay", 10), ("queue_depth", "cart", 3)],
        ..World::default()
    }
}

#[test]
fn earlier_days_are_asked_where_the_store_has_them() {
    let expression = Some(r#"latency_seconds{service="pay"} > 0.5"#);
    let (planned, snapshot) = run(later(expression), &small_store(), &|_| {});
    assert_eq!(snapshot.seasons.len(), 2);
    let latency = snapshot.metrics.iter().find(|answer| answer.provenance.expr == "latency_seconds").unwrap();
    for season in &snapshot.seasons {
        assert!(latency.series[0].samples.iter().any(|sample| season.contains(sample.at)));
    }
    let young = World { begins: later(None).window.start.secs() - 3 * 86_400, ..small_store() };
    let (fewer, snapshot) = run(later(expression), &young, &|_| {});
    assert_eq!(snapshot.seasons.len(), 1);
    let (fewest, snapshot) =
        run(later(expression), &World { begins: i64::MAX / 2_000_000_000, ..small_store() }, &|_| {});
    assert!(snapshot.seasons.is_empty());
    assert!(fewest.len() < fewer.len() && fewer.len() < planned.len());
    let metric = |planned: &[Planned]| {
        let is_metric =
            |one: &&Planned| matches!(one.purpose, Purpose::AlertExpression { .. } | Purpose::Golden { .. });
        planned.iter().filter(is_metric).count()
    };
    assert!(metric(&planned) <= metric(&fewest) * 2 + 4, "{} of {}", metric(&planned), metric(&fewest));
}

#[test]
fn trouble_before_the_window_moves_the_baseline_and_is_said() {
    let incident = later(None);
    let trouble = TimeRange::new(incident.window.start.minus(Duration::from_mins(80)), incident.window.start);
    let world = World { fired: vec![trouble], ..small_store() };
    let (_, snapshot) = run(incident.clone(), &world, &|_| {});
    let baseline = snapshot.incident.baseline;
    assert_eq!(baseline.duration(), incident.baseline.duration());
    assert!(baseline.end <= trouble.start, "{baseline}");
    assert!(snapshot.notes.iter().any(|note| note.text.contains("just before the window other alerts fired (Other)")));
    // What lies between is still fetched, and marked.
    assert!(snapshot.spoiled.iter().any(|range| range.overlaps(incident.baseline)));

    // The same incident with the baseline that was chosen, as on replay, stays there and says the same.
    let chosen = Incident { baseline, ..incident.clone() };
    let mut inquiry = Inquiry::among(chosen, Circumstances { others: Vec::new(), baseline_is_chosen: true });
    loop {
        let round = inquiry.next_round();
        if round.is_empty() {
            break;
        }
        for planned in round {
            let answer = world.answer(&planned.query);
            let outcome = answer.as_ref().map(Answer::len).ok_or_else(|| Text::new("no such thing"));
            let asked =
                Asked { planned, source: "test".into(), at: at(9_000), elapsed_ms: 1, outcome, notes: Vec::new() };
            inquiry.answered(asked, answer);
        }
    }
    let replayed = inquiry.finish();
    assert_eq!(replayed.notes, snapshot.notes);
    assert_eq!((replayed.incident, replayed.spoiled), (snapshot.incident, snapshot.spoiled));
}

#[test]
fn a_flood_leaves_room_for_the_quiet() {
    let world = World {
        log_labels: vec![("app", vec!["pay".into(), "cart".into(), "web".into()])],
        lines: vec![("pay", 100_000), ("cart", 50), ("web", 40_000)],
        ..World::default()
    };
    let (_, snapshot) = run(incident(None, &["pay"]), &world, &|_| {});
    let of = |writer: &str| snapshot.logs.iter().filter(|entry| entry.labels.get("app") == Some(writer)).count();
    assert_eq!(of("cart"), 50 * 5, "all of five slices");
    assert_eq!((of("pay"), of("web")), (9_975 * 5, 9_975 * 5));
    assert!(snapshot.notes.iter().any(|note| note.text.contains("pay 49875 of 500000, web 49875 of 200000")));
}

#[test]
fn who_was_silent_in_the_baseline_is_asked_what_it_said_before() {
    let world = World {
        log_labels: vec![("app", vec!["pay".into(), "cart".into()])],
        lines: vec![("pay", 20), ("cart", 10)],
        ..World::default()
    };
    let elsewhere = |planned: &[Planned]| -> Vec<(String, TimeRange)> {
        let logs = planned.iter().filter(|one| matches!(one.query, Query::Logs { .. }));
        logs.map(|one| (one.query.expression(), one.query.range().unwrap()))
            .filter(|(_, range)| range.end <= at(3_600))
            .collect()
    };
    let (planned, _) = run(incident(None, &["pay"]), &world, &|_| {});
    assert!(elsewhere(&planned).is_empty());
    let world = World { silence: Some(("cart", TimeRange::new(at(3_600), at(7_200)))), ..world };
    let (planned, snapshot) = run(incident(None, &["pay"]), &world, &|_| {});
    assert_eq!(elsewhere(&planned), [(r#"{app=~"cart"}"#.to_owned(), TimeRange::new(at(0), at(3_600)))]);
    assert_eq!(snapshot.logs.iter().filter(|entry| entry.at < at(3_600)).count(), 10);
    assert!(snapshot.log_questions.last().unwrap().range.end > at(3_600));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_order_of_answers_does_not_matter(rotate in 0_usize..7, backwards: bool) {
        let world = World {
            metrics: vec![("latency_seconds", "pay", 10), ("errors_total", "pay", 10), ("queue_depth", "cart", 3)],
            log_labels: vec![("app", vec!["pay".into()]), ("pod", vec!["pay-0".into()])],
            lines: vec![("pay", 21_000), ("cart", 10)],
            ..World::default()
        };
        let expression = Some(r#"latency_seconds{service="pay"} > 0.5"#);
        let (planned, snapshot) = run(incident(expression, &["pay"]), &world, &|_| {});
        let (other, turned) = run(incident(expression, &["pay"]), &world, &|round| {
            let by = rotate % round.len();
            round.rotate_left(by);
            if backwards { round.reverse(); }
        });
        prop_assert_eq!(planned, other);
        prop_assert_eq!(snapshot, turned);
    }
}
