use proptest::prelude::*;

use super::*;
use crate::domain::alert::{Alert, AlertState, Severity};
use crate::domain::metric::{Sample, Series};
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
        window: TimeRange::new(at(7_200), at(9_000)),
        baseline: TimeRange::new(at(3_600), at(7_200)),
    }
}

/// A small world that answers what it can.
struct World {
    metrics: Vec<(&'static str, &'static str, usize)>,
    log_labels: Vec<(&'static str, Vec<String>)>,
}

fn labels(metric: &str, service: &str) -> Labels {
    [("__name__", metric), ("service", service)].into_iter().collect()
}

fn series(labels: Labels, range: TimeRange, value: f64) -> Series {
    let samples = (0..10).map(|i| Sample { at: range.start.plus(range.duration() / 10 * i), value }).collect();
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
            Query::LabelNames { lang: Lang::PromQl, .. } => names(vec!["service".into()]),
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
            Query::Instant { expr, at, .. } => {
                self.matrix(expr, TimeRange::new(at.minus(Duration::from_mins(90)), *at))
            }
            Query::Range { expr, range, .. } => self.matrix(expr, *range),
            _ => None,
        }
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
    for _ in 0..5 {
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
    assert!(inquiry.next_round().is_empty(), "more than five rounds");
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
    let world = World { metrics, log_labels: Vec::new() };
    let (planned, _) = run(incident(None, &["pay"]), &world, &|_| {});
    let asked = expressions(&planned);
    assert!(asked.iter().any(|expr| expr.starts_with(r#"queue_depth{service=~"pay"}"#)), "{asked:#?}");
    assert!(!asked.iter().any(|expr| expr.contains("errors_total") && !expr.starts_with("count by")));
    assert!(planned.len() <= 80);
}

#[test]
fn thousands_of_metrics_stay_within_the_bound() {
    let names: Vec<&'static str> =
        (0..3_000).map(|i| &*Box::leak(format!("service_{i}_errors_total").into_boxed_str())).collect();
    let world = World { metrics: names.into_iter().map(|name| (name, "pay", 2)).collect(), log_labels: Vec::new() };
    let (planned, snapshot) = run(incident(None, &["pay"]), &world, &|_| {});
    assert!(planned.len() <= 80, "{}", planned.len());
    assert!(snapshot.notes.iter().any(|note| note.kind == NoteKind::Cut));
}

#[test]
fn silence_gives_an_empty_snapshot() {
    let world = World { metrics: Vec::new(), log_labels: Vec::new() };
    let (planned, snapshot) = run(incident(Some("((("), &[]), &world, &|_| {});
    assert_eq!(planned.len(), 7);
    assert!(snapshot.metrics.is_empty() && snapshot.logs.is_empty());
    assert_eq!(snapshot.asked.len(), 7);
}

proptest! {
    #[test]
    fn the_order_of_answers_does_not_matter(rotate in 0_usize..7, backwards: bool) {
        let world = World {
            metrics: vec![("latency_seconds", "pay", 10), ("errors_total", "pay", 10), ("queue_depth", "cart", 3)],
            log_labels: vec![("app", vec!["pay".into()]), ("pod", vec!["pay-0".into()])],
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
