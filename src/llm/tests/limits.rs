//! Limits of time and size: nothing hangs beyond them, and what came is kept.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// What a server of a test does after the request: it sends `first`, and then `again` every few milliseconds.
async fn dripping(
    dialect: &Dialect,
    timeouts: Timeouts,
    first: String,
    again: String,
) -> (String, Option<LlmErrorKind>) {
    let (client, task) = raw(dialect, timeouts, async move |mut stream| {
        stream.write_all(first.as_bytes()).await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if stream.write_all(again.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let outcome = text_and_error(&client).await;
    task.abort();
    outcome
}

fn phase(error: Option<LlmErrorKind>) -> Phase {
    match error {
        Some(LlmErrorKind::Timeout { phase, .. }) => phase,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_wait_has_its_limit_in_each_protocol() {
    // Only the limit that is meant is short: on a busy machine the others must not be reached before it.
    let soon = Duration::from_millis(100);
    let headers = Timeouts { headers: soon, ..LONG };
    let content = Timeouts { first_content: soon, ..LONG };
    let thinking = Timeouts { thinking: soon, ..LONG };
    let stall = Timeouts { stall: soon, ..LONG };
    let total = Timeouts { total: Duration::from_millis(400), bytes: usize::MAX, ..LONG };
    let waits = ALL.map(async |dialect| {
        // Accepted, never answered.
        let (text, error) = dripping(&dialect, headers, String::new(), String::new()).await;
        assert_eq!((text.as_str(), phase(error)), ("", Phase::Headers), "{dialect:?}");
        // Headers and heartbeats, which are not content.
        let (text, error) = dripping(&dialect, content, head(&dialect), dialect.heartbeat.to_owned()).await;
        assert_eq!((text.as_str(), phase(error)), ("", Phase::FirstContent), "{dialect:?}");
        // One byte at a time, and never a frame.
        let (_, error) = dripping(&dialect, content, head(&dialect), ":".to_owned()).await;
        assert_eq!(phase(error), Phase::FirstContent, "{dialect:?}");
        // Content that ceases while heartbeats go on.
        let begun = [head(&dialect), dialect.begin("half")].concat();
        let (text, error) = dripping(&dialect, stall, begun, dialect.heartbeat.to_owned()).await;
        assert_eq!((text.as_str(), phase(error)), ("half", Phase::Stall), "{dialect:?}");
        // A slow drip that never ends.
        let (text, error) = dripping(&dialect, total, head(&dialect), dialect.text("a")).await;
        assert_eq!(phase(error), Phase::Total, "{dialect:?}");
        assert!(text.bytes().all(|byte| byte == b'a'), "{dialect:?}");
        // A model that thinks without end.
        let (text, error) = dripping(&dialect, thinking, head(&dialect), dialect.thought()).await;
        assert_eq!((text.as_str(), phase(error)), ("", Phase::Thinking), "{dialect:?}");
        // White space and nothing else, from the beginning and after some words.
        let (text, error) = dripping(&dialect, content, head(&dialect), dialect.text(" \n")).await;
        let said = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.is_empty() && said.contains("nothing but white space"), "{said} {dialect:?}");
        let begun = [head(&dialect), dialect.begin("half")].concat();
        let (text, error) = dripping(&dialect, stall, begun, dialect.text(" \n")).await;
        assert_eq!((text.trim(), phase(error)), ("half", Phase::Stall), "{dialect:?}");
        // A whole body of which only the beginning comes.
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n{".to_owned();
        let (_, error) = dripping(&dialect, content, head, " ".to_owned()).await;
        assert_eq!(phase(error), Phase::FirstContent, "{dialect:?}");
    });
    join_all(waits).await;
}

#[tokio::test]
async fn a_refusal_whose_words_never_come_is_a_refusal() {
    let refusal = "HTTP/1.1 529 Overloaded\r\ncontent-length: 10\r\n\r\n".to_owned();
    let (_, error) = dripping(&CHAT, LONG, refusal, String::new()).await;
    assert!(matches!(error, Some(LlmErrorKind::Server { status: 529, .. })), "{error:?}");
}

#[tokio::test]
async fn one_byte_at_a_time_is_an_answer() {
    for dialect in ALL {
        let (client, task) = raw(&dialect, LONG, async move |mut stream| {
            let whole = [head(&dialect), dialect.whole(&["füll ", "🦀"])].concat();
            stream.set_nodelay(true).unwrap();
            for byte in whole.into_bytes() {
                stream.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(text_and_error(&client).await, ("füll 🦀".into(), None), "{dialect:?}");
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_giant_answer_is_cut_off() {
    let expected = || Some(LlmErrorKind::TooLarge { limit: 20_000 });
    for dialect in ALL {
        for (kind, body) in [
            (dialect.content_type, dialect.text(&"x".repeat(50_000))),
            (dialect.content_type, "x".repeat(50_000)),
            ("application/json", "x".repeat(50_000)),
            ("text/html", "x".repeat(50_000)),
        ] {
            let (_server, client) = answering(&dialect, 200, kind, body).await;
            assert_eq!(run(&client).await.1, expected(), "{kind} {dialect:?}");
        }
        // An endless stream: what came before the limit is kept.
        let (client, task) = raw(&dialect, LONG, async move |mut stream| {
            stream.write_all(head(&dialect).as_bytes()).await.unwrap();
            while stream.write_all(dialect.text("more ").as_bytes()).await.is_ok() {}
        })
        .await;
        let (text, error) = text_and_error(&client).await;
        assert_eq!(error, expected(), "{dialect:?}");
        assert!(text.starts_with("more more "));
        task.await.unwrap();
    }
}

/// Sends the same frame as fast as it is taken.
async fn flooding(dialect: &Dialect, timeouts: Timeouts, again: String) -> (String, Option<LlmErrorKind>) {
    let begin = head(dialect);
    let (client, task) = raw(dialect, timeouts, async move |mut stream| {
        let _ = stream.write_all(begin.as_bytes()).await;
        while stream.write_all(again.as_bytes()).await.is_ok() {}
    })
    .await;
    let outcome = text_and_error(&client).await;
    task.await.unwrap();
    outcome
}

#[tokio::test]
async fn an_answer_that_finds_no_end_is_stopped_on_our_side() {
    let wide = Timeouts { bytes: usize::MAX, ..LONG };
    for dialect in ALL {
        let (text, error) = flooding(&dialect, wide, dialect.text("more ")).await;
        let Some(LlmErrorKind::TooLong { received, limit: 100 }) = error else { panic!("{error:?} {dialect:?}") };
        assert_eq!((received, received < 5_000), (text.len(), true), "what came is kept: {dialect:?}");
        // Nothing but white space.
        let (text, error) = flooding(&dialect, wide, dialect.text(" \n \n")).await;
        assert_eq!(
            (text.as_str(), error),
            ("", Some(LlmErrorKind::TooLong { received: 0, limit: 100 })),
            "{dialect:?}"
        );
        // Nothing but thoughts, of which not every server tells the length.
        let soon = Timeouts { thinking: Duration::from_millis(100), ..wide };
        let (text, error) = flooding(&dialect, soon, dialect.thought()).await;
        let is_bounded = matches!(
            error,
            Some(LlmErrorKind::TooLong { received: 0, .. } | LlmErrorKind::Timeout { phase: Phase::Thinking, .. })
        );
        assert!(is_bounded && text.is_empty(), "{error:?} {dialect:?}");
    }
}

#[test]
fn nothing_is_said_to_be_kept_where_nothing_came() {
    let kinds = [
        LlmErrorKind::Timeout { phase: Phase::Thinking, after: Duration::from_secs(150) },
        LlmErrorKind::Timeout { phase: Phase::Total, after: Duration::from_mins(5) },
        LlmErrorKind::Incomplete { received: 0, what: "closed".into() },
        LlmErrorKind::TooLong { received: 0, limit: 100 },
    ];
    for kind in kinds {
        assert!(!kind.to_string().contains("kept"), "{kind}");
    }
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    for dialect in ALL {
        let (closed, mut see_closed) = tokio::sync::oneshot::channel();
        let (client, task) = raw(&dialect, LONG, async move |mut stream| {
            stream.write_all([head(&dialect), dialect.begin("half")].concat().as_bytes()).await.unwrap();
            // Ends when the other side goes away.
            let mut buffer = [0; 1];
            let end = stream.read(&mut buffer).await;
            assert!(matches!(end, Ok(0) | Err(_)));
            let _ = closed.send(());
        })
        .await;
        let mut stream = client.stream(&request());
        while !matches!(stream.next().await, Some(Ok(StreamEvent::Text(_)))) {}
        assert!(see_closed.try_recv().is_err(), "it stays open while somebody listens");
        drop(stream);
        // No limit of ours lies so near: only the drop can end it.
        see_closed.await.expect("the server sees the end");
        task.await.unwrap();
    }
}

#[test]
fn the_settings_limits_go_over_the_usual_ones() {
    let mut settings = settings("http://x");
    assert_eq!(Timeouts::of(&settings, false), Timeouts::REMOTE);
    assert_eq!(Timeouts::of(&settings, true), Timeouts::LOCAL);
    settings.reasoning = true;
    assert_eq!(Timeouts::of(&settings, false).first_content, Duration::from_mins(2));
    settings.timeouts.first_content = Some(Duration::from_secs(7));
    settings.timeouts.total = Some(Duration::from_secs(9));
    let limits = Timeouts::of(&settings, true);
    assert_eq!((limits.first_content, limits.total), (Duration::from_secs(7), Duration::from_secs(9)));
    assert_eq!(limits.headers, Timeouts::LOCAL.headers);
}
