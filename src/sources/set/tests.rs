use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::*;
use crate::domain::query::Note;

type Reply = Box<dyn Fn(&Query) -> Result<Answer, SourceError> + Send + Sync>;

/// A source that answers what it is told to.
struct Scripted {
    name: &'static str,
    answers: fn(&Query) -> bool,
    reply: Reply,
    gate: Option<Arc<Notify>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(
        name: &'static str,
        answers: fn(&Query) -> bool,
        reply: impl Fn(&Query) -> Result<Answer, SourceError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            answers,
            reply: Box::new(reply),
            gate: None,
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        }
    }
}

impl Telemetry for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn answers(&self, query: &Query) -> bool {
        (self.answers)(query)
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>> {
        async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            (self.reply)(query)
        }
        .boxed()
    }
}

fn names() -> Answer {
    Answer::new(Data::Names(vec!["a".into()]))
}

fn planned(query: Query) -> Planned {
    Planned { query, purpose: Purpose::Question }
}

fn still() -> Clock {
    Arc::new(|| Timestamp::from_secs(100))
}

/// A clock that is moved by hand.
fn movable() -> (Clock, Arc<AtomicI64>) {
    let secs = Arc::new(AtomicI64::new(0));
    let shared = secs.clone();
    (Arc::new(move || Timestamp::from_secs(shared.load(Ordering::SeqCst))), secs)
}

fn refused() -> SourceError {
    SourceError::new("prometheus", SourceErrorKind::Unreachable, "connection refused", "check that it runs")
}

#[tokio::test]
async fn alerts_are_asked_of_an_alertmanager_where_there_is_one() {
    let prometheus = Arc::new(Scripted::new("prometheus", |query| *query == Query::Alerts, |_| Ok(names())));
    let alertmanager = Arc::new(Scripted::new(
        "alertmanager",
        |query| matches!(query, Query::Alerts | Query::AlertmanagerStatus),
        |_| Ok(names()),
    ));
    let alone = SourceSet::new(vec![prometheus.clone()], still());
    assert_eq!(alone.ask(&planned(Query::Alerts)).await.0.source, "prometheus");
    let both = SourceSet::new(vec![prometheus, alertmanager], still());
    assert_eq!(both.ask(&planned(Query::Alerts)).await.0.source, "alertmanager");
}

#[tokio::test]
async fn a_question_nobody_answers_says_what_to_configure() {
    let set = SourceSet::new(vec![], still());
    let range = TimeRange::new(Timestamp::from_secs(0), Timestamp::from_secs(1));
    let (asked, answer) = set.ask(&planned(Query::LogVolume { expr: "{a=\"b\"}".into(), range })).await;
    assert!(answer.is_none());
    assert_eq!(asked.outcome.unwrap_err(), "none: no configured source answers this (configure loki)");
}

#[tokio::test]
async fn no_more_than_eight_questions_are_under_way() {
    let gate = Arc::new(Notify::new());
    let mut source = Scripted::new("prometheus", |_| true, |_| Ok(names()));
    source.gate = Some(gate.clone());
    let source = Arc::new(source);
    let set = Arc::new(SourceSet::new(vec![source.clone()], still()));
    let questions: Vec<Planned> = (0..30).map(|_| planned(Query::Rules)).collect();
    let task = tokio::spawn({
        let set = set.clone();
        async move { set.ask_all(&questions).await }
    });
    while !task.is_finished() {
        gate.notify_waiters();
        tokio::task::yield_now().await;
    }
    assert_eq!(task.await.unwrap().len(), 30);
    assert_eq!(source.most.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn an_unreachable_source_is_left_alone_for_a_growing_time() {
    let source = Arc::new(Scripted::new("prometheus", |_| true, |_| Err(refused())));
    let (clock, secs) = movable();
    let set = SourceSet::new(vec![source.clone()], clock);
    for _ in 0..5 {
        set.ask(&planned(Query::Rules)).await;
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 3, "two of five were not sent");
    let (asked, _) = set.ask(&planned(Query::Rules)).await;
    assert_eq!(
        asked.outcome.unwrap_err(),
        "prometheus: not asked, tried again in 1s: connection refused (check that it runs)"
    );
    secs.store(1, Ordering::SeqCst);
    set.ask(&planned(Query::Rules)).await;
    assert_eq!(source.asked.load(Ordering::SeqCst), 4);
    assert_eq!(set.health()[0].status, Status::Down);
}

#[tokio::test]
async fn health_follows_the_answers() {
    let step = Arc::new(AtomicUsize::new(0));
    let (clock, secs) = movable();
    let (at, time) = (step.clone(), secs.clone());
    let source = Scripted::new(
        "prometheus",
        |_| true,
        move |_| match at.load(Ordering::SeqCst) {
            0 => Err(SourceError::new("prometheus", SourceErrorKind::Server, "500", "")),
            1 => Err(SourceError::new("prometheus", SourceErrorKind::BadQuestion, "parse error", "")),
            2 => Ok(Answer { notes: vec![Note { kind: NoteKind::Warning, text: "truncated".into() }], ..names() }),
            3 => {
                time.fetch_add(6, Ordering::SeqCst);
                Ok(names())
            }
            _ => Ok(Answer::new(Data::Facts([("version".to_owned(), "2.42.0".to_owned())].into()))),
        },
    );
    let set = SourceSet::new(vec![Arc::new(source)], clock);
    assert_eq!(set.health()[0].status, Status::Unknown);
    let mut seen = Vec::new();
    for number in 0..5 {
        step.store(number, Ordering::SeqCst);
        set.probe().await;
        let health = set.health().remove(0);
        seen.push((health.status, health.error.map(|error| error.to_string()).unwrap_or_default()));
    }
    let expected = [
        (Status::Down, "500"),
        (Status::Ok, ""),
        (Status::Degraded, "truncated"),
        (Status::Degraded, "slow: the last answer took 6.0 s"),
        (Status::Ok, ""),
    ];
    assert_eq!(seen, expected.map(|(status, error)| (status, error.to_owned())));
    assert_eq!(set.health()[0].version.as_deref(), Some("2.42.0"));
}

#[tokio::test]
async fn a_question_given_up_leaves_no_trace() {
    let mut source = Scripted::new("prometheus", |_| true, |_| Ok(names()));
    source.gate = Some(Arc::new(Notify::new()));
    let set = SourceSet::new(vec![Arc::new(source)], still());
    {
        let question = planned(Query::Rules);
        let asking = set.ask(&question);
        assert!(asking.now_or_never().is_none());
    }
    assert_eq!(set.health()[0].status, Status::Unknown);
}

#[tokio::test]
async fn answers_are_recorded() {
    let source = Scripted::new("prometheus", |_| true, |_| Ok(names()));
    let recorder = Arc::new(Recorder::new(1 << 20));
    let set = SourceSet::new(vec![Arc::new(source)], still()).recorded_by(recorder.clone());
    set.ask(&planned(Query::Rules)).await;
    assert_eq!(recorder.take().answers, [(Query::Rules, Ok(names()))]);
}
