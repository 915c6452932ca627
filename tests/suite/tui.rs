//! The whole program on a pseudo-terminal: start, rest, resize, signals.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use stanch::domain::Timestamp;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::pseudo_terminal::{PATIENCE, Session};

#[test]
fn with_all_sources_unreachable_the_screen_is_there_at_once_and_says_why() {
    let mut session = Session::unreachable();
    session.wait_for("Incidents");
    println!("first frame after {:?} (unoptimised build)", session.started.elapsed());
    session.wait_for("alerts are not known");
    session.press("S");
    session.wait_for("never answered");
    session.press("\x1b");
    session.wait_for("alerts are not known");
    session.press("q");
    assert_eq!(session.end(), 0);
    session.assert_restored();
}

#[test]
fn at_rest_it_writes_nothing_and_uses_no_processor() {
    let mut session = Session::unreachable();
    session.wait_for("alerts are not known");
    // What was under way comes to rest.
    while session.bytes_during(Duration::from_millis(500)) > 0 {}
    let before = session.processor_ticks();
    let span = Duration::from_secs(5);
    let bytes = session.bytes_during(span);
    let ticks = session.processor_ticks() - before;
    println!("idle for {span:?}: {bytes} bytes, {ticks} clock ticks of 10 ms");
    assert_eq!(bytes, 0);
    assert!(ticks <= 1, "{ticks} ticks");
}

#[test]
fn help_opens_and_a_resize_is_followed() {
    let mut session = Session::unreachable();
    session.wait_for("alerts are not known");
    session.press("?");
    session.wait_for("Help");
    session.resize(120, 40);
    session.press("quit");
    session.wait_for("leave");
    session.resize(20, 5);
    session.wait_for("too small");
    session.resize(80, 24);
    session.wait_for("Help");
    // Both at once, as a slow line delivers them: neither is lost.
    session.press("\x1bq");
    assert_eq!(session.end(), 0);
}

#[test]
fn no_key_and_no_size_is_lost_when_both_come_at_once() {
    let mut session = Session::unreachable();
    session.wait_for("alerts are not known");
    session.press("?");
    session.wait_for("Help");
    for round in 1..=100_u16 {
        // Which of the two the program sees first differs from round to round.
        if round % 2 == 0 {
            session.resize(80 + round, 30);
            session.press("x");
        } else {
            session.press("x");
            session.resize(80 + round, 30);
        }
        session.wait_for(&format!("search {}▌", "x".repeat(usize::from(round).min(20))));
        if round >= 20 {
            session.press("\x7f");
            session.wait_for(&format!("search {}▌", "x".repeat(19)));
        }
    }
    session.press("\x1bq");
    assert_eq!(session.end(), 0);
}

#[test]
fn signals_end_it_and_leave_the_terminal_right() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut session = Session::unreachable();
        session.wait_for("Incidents");
        session.signal(signal);
        assert_eq!(session.end(), code, "{signal:?}");
        session.assert_restored();
    }
}

#[test]
fn a_suspension_gives_the_terminal_back_and_a_resumption_draws_anew() {
    let mut session = Session::unreachable();
    session.wait_for("alerts are not known");
    session.press("\x1a");
    let deadline = Instant::now() + PATIENCE;
    while !session.stopped() {
        assert!(Instant::now() < deadline, "does not stop");
        session.bytes_during(Duration::from_millis(20));
    }
    // What it wrote before it stopped may still be on its way.
    while session.screen.screen().alternate_screen() {
        assert!(Instant::now() < deadline, "does not give the terminal back");
        session.bytes_during(Duration::from_millis(20));
    }
    session.assert_restored();
    session.signal(Signal::CONT);
    session.wait_for("alerts are not known");
    assert!(session.screen.screen().alternate_screen());
    session.press("q");
    assert_eq!(session.end(), 0);
    session.assert_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_examination_of_sources_that_hang_is_stopped_with_escape() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let at = |seconds: i64| Timestamp::from_secs(seconds).to_rfc3339();
    let alert = serde_json::json!([{
        "labels": {"alertname": "ErrorsHigh", "service": "payments", "severity": "critical"},
        "annotations": {"summary": "payments fails"},
        "startsAt": at(now - 300), "endsAt": at(now + 300), "updatedAt": at(now - 60),
        "fingerprint": "0011223344556677", "generatorURL": "", "receivers": [{"name": "nobody"}],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []},
    }]);
    let alertmanager = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(alert);
    Mock::given(path("/api/v2/alerts")).respond_with(answer).mount(&alertmanager).await;
    // The connection is taken and no answer ever comes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = format!("http://{}", silent.local_addr().unwrap());
    let session = move || {
        let sources =
            [("ALERTMANAGER_URL", alertmanager.uri()), ("PROMETHEUS_URL", hanging.clone()), ("LOKI_ADDR", hanging)];
        let sources = sources.each_ref().map(|(name, url)| (*name, url.as_str()));
        let mut session = Session::start(&sources, &[]);
        session.wait_for("payments fails");
        session.press("\r");
        session.wait_for("Esc stops asking");
        session.press("\x1b");
        session.wait_for("asking was stopped");
        session.wait_for("nothing found");
        session.press("q");
        assert_eq!(session.end(), 0);
        session.assert_restored();
    };
    tokio::task::spawn_blocking(session).await.unwrap();
    drop(silent);
}

#[test]
fn with_nothing_configured_the_first_screen_offers_the_demo() {
    let mut session = Session::start(&[], &[]);
    session.wait_for("Nothing is configured yet");
    session.wait_for("opens the demo");
    session.press("q");
    assert_eq!(session.end(), 0);
    session.assert_restored();
}

#[test]
fn without_colour_no_colour_is_written() {
    let nowhere = "http://127.0.0.1:1";
    let mut session = Session::start(&[("ALERTMANAGER_URL", nowhere), ("NO_COLOR", "1")], &[]);
    session.wait_for("alerts are not known");
    let screen = session.screen.screen();
    for row in 0..24 {
        for column in 0..80 {
            let cell = screen.cell(row, column).unwrap();
            assert_eq!(cell.fgcolor(), vt100::Color::Default, "{row},{column}");
        }
    }
    session.press("q");
    assert_eq!(session.end(), 0);
}
