use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;
use crate::domain::query::{Data, Lang, NoteKind, Query};
use crate::domain::{Labels, TimeRange, Timestamp};
use crate::sources::{SourceError, Telemetry};

/// A store that answers everything at once, except that questions which hold `hangs` are never answered.
struct Store {
    hangs: &'static str,
    under_way: Arc<AtomicUsize>,
}

struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Telemetry for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    fn answers(&self, _query: &Query) -> bool {
        true
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>> {
        async move {
            self.under_way.fetch_add(1, Ordering::SeqCst);
            let _under_way = UnderWay(Arc::clone(&self.under_way));
            if !self.hangs.is_empty() && query.expression().contains(self.hangs) {
                std::future::pending::<()>().await;
            }
            Ok(Answer::new(match query {
                Query::LabelValues { lang: Lang::PromQl, .. } => Data::Names(vec!["latency_seconds".into()]),
                Query::Range { .. } | Query::Instant { .. } => Data::Series(Vec::new()),
                _ => Data::Names(Vec::new()),
            }))
        }
        .boxed()
    }
}

fn case() -> Case {
    let at = Timestamp::from_secs;
    let incident = Incident {
        id: "I-000000".into(),
        title: Text::new("slow"),
        severity: crate::domain::alert::Severity::Critical,
        started_at: at(1_000_600),
        resolved_at: None,
        services: vec!["pay".into()],
        alerts: vec![crate::domain::alert::Alert {
            fingerprint: "f".into(),
            labels: [("alertname", "Slow"), ("service", "pay")].into_iter().collect(),
            annotations: Labels::new(),
            starts_at: at(1_000_600),
            ends_at: None,
            state: crate::domain::alert::AlertState::Active,
            suppressed_by: Vec::new(),
            receivers: Vec::new(),
            generator_url: String::new(),
            expression: Some("latency_seconds > 1".into()),
        }],
        flapping: Vec::new(),
        window: TimeRange::new(at(1_000_000), at(1_001_200)),
        baseline: TimeRange::new(at(996_400), at(1_000_000)),
    };
    Case { incident, circumstances: Circumstances::default(), runbooks: Vec::new(), enough: CancellationToken::new() }
}

fn store(hangs: &'static str) -> (SourceSet, Clock, Arc<AtomicUsize>) {
    let under_way = Arc::new(AtomicUsize::new(0));
    let store = Store { hangs, under_way: Arc::clone(&under_way) };
    let clock: Clock = Arc::new(|| Timestamp::from_secs(1_001_200));
    (SourceSet::new(vec![Arc::new(store)], Arc::clone(&clock)), clock, under_way)
}

#[tokio::test(start_paused = true)]
async fn a_question_that_hangs_is_given_up_and_the_rest_goes_on() {
    let (sources, clock, under_way) = store("metadata");
    let mut seen = Vec::new();
    let token = CancellationToken::new();
    let done = investigate(&sources, &clock, case(), &token, |progress| seen.push(progress)).await.unwrap();
    let given_up: Vec<_> = done.snapshot.asked.iter().filter(|asked| asked.outcome.is_err()).collect();
    assert_eq!(given_up.len(), 1, "{given_up:#?}");
    assert_eq!(given_up[0].planned.query, Query::Metadata);
    assert!(given_up[0].outcome.as_ref().is_err_and(|why| why.contains("given up: not answered within 25 s")));
    assert!(done.analysis.notes.iter().any(|note| note.kind == NoteKind::Warning && note.text.contains("metadata")));
    let asked = |text: &str| done.snapshot.asked.iter().any(|asked| asked.planned.query.expression().contains(text));
    assert!(asked("latency_seconds"), "the rounds after it were asked");
    assert!(
        seen.iter().any(|one| one.waiting == Some(("store".into(), 1)) && one.line().contains("waiting for store"))
    );
    assert!(seen.iter().any(|one| one.line().starts_with("round 2 of 5")));
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done && pair[0].planned <= pair[1].planned));
    assert_eq!(under_way.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn what_can_be_done_without_is_given_up_sooner_and_without_a_word() {
    let (sources, clock, _) = store("ALERTS");
    let token = CancellationToken::new();
    let began = Instant::now();
    let done = investigate(&sources, &clock, case(), &token, |_| {}).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15));
    assert!(!done.analysis.notes.iter().any(|note| note.text.contains("ALERTS")));
}

#[tokio::test(start_paused = true)]
async fn cancelling_drops_what_is_under_way() {
    let (sources, clock, under_way) = store("metadata");
    let token = CancellationToken::new();
    let most = Mutex::new(0);
    let done = investigate(&sources, &clock, case(), &token, |progress| {
        let mut most = most.lock().unwrap();
        *most = under_way.load(Ordering::SeqCst).max(*most);
        // The first sign of waiting: the operator has enough.
        if progress.asked.is_none() {
            token.cancel();
        }
    })
    .await;
    assert_eq!(done, None);
    assert!(*most.lock().unwrap() > 0, "something was under way");
    assert_eq!(under_way.load(Ordering::SeqCst), 0, "and was dropped");
}

#[tokio::test(start_paused = true)]
async fn when_it_is_enough_what_came_is_analysed_and_the_rest_is_said() {
    let (sources, clock, under_way) = store("metadata");
    let (token, case) = (CancellationToken::new(), case());
    let enough = case.enough.clone();
    let done = investigate(&sources, &clock, case, &token, |progress| {
        // The first sign of waiting: the operator has enough.
        if progress.asked.is_none() {
            enough.cancel();
        }
    })
    .await
    .unwrap();
    let said = |text: &str| done.analysis.notes.iter().any(|note| note.text.contains(text));
    assert!(said("asking was stopped: 1 of "), "{:#?}", done.analysis.notes);
    let unanswered = done.snapshot.asked.iter().filter(|asked| asked.outcome.is_err()).count();
    assert_eq!((unanswered, under_way.load(Ordering::SeqCst)), (1, 0));
}
