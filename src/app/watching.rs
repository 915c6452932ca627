//! The state of the language models on the screens, while something is asked of them.

use std::time::Duration;

use crate::domain::health::EndpointHealth;
use crate::llm::Endpoint;

use super::engine::Engine;
use super::tui::Reporter;
use super::witness::LedgerWitness;

/// How often is looked whether the state changed. A person takes what changes within this for what changes at once.
const LOOK: Duration = Duration::from_millis(250);

/// Runs `work`, and reports the state of the end points whenever it changes meanwhile. Also when `work` is given up:
/// then a request that was under way is one that was cancelled.
pub(super) async fn beside<T>(engine: &Engine, reporter: &Reporter, work: impl Future<Output = T>) -> T {
    let _last = Last { engine, reporter };
    let watch = async {
        let mut shown = engine.endpoint_health();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = engine.endpoint_health();
            if now != shown {
                reporter.endpoints(now.clone());
                shown = now;
            }
        }
    };
    tokio::select! {
        biased;
        result = work => result,
        () = watch => unreachable!("it never ends"),
    }
}

/// Reports the state once more at the end, however it comes.
struct Last<'a> {
    engine: &'a Engine,
    reporter: &'a Reporter,
}

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.reporter.endpoints(self.engine.endpoint_health());
    }
}

/// Asks each end point for one word, and shows each answer as it comes. One that is being asked already is not asked
/// again. Nothing leaves that cannot be written down.
pub(super) async fn probe(engine: &Engine, reporter: &Reporter) -> Vec<EndpointHealth> {
    let work = async {
        let ledger = engine.ledger().await;
        let canaries = engine.pool.endpoints().iter().filter(|endpoint| !is_asked(endpoint)).map(|endpoint| {
            let ledger = &ledger;
            async move {
                match ledger {
                    Ok(ledger) => {
                        let witness = LedgerWitness::new(engine, ledger, None, endpoint.settings().price);
                        let (_, canary) = tokio::join!(endpoint.load(), witness.canary(endpoint));
                        if let Err(why) = canary {
                            tracing::info!(endpoint = endpoint.settings().name, why, "a canary failed");
                        }
                    }
                    Err(failure) => {
                        endpoint.hold_back(format!("nothing was sent, because it cannot be written down: {failure}"));
                    }
                }
                reporter.endpoints(engine.endpoint_health());
            }
        });
        futures_util::future::join_all(canaries).await;
    };
    beside(engine, reporter, work).await;
    engine.endpoint_health()
}

fn is_asked(endpoint: &Endpoint) -> bool {
    endpoint.client().is_ok_and(|client| !client.traffic().under_way.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::app::engine::Origin;
    use crate::config::Config;
    use crate::core::message::Report;
    use crate::domain::Timestamp;
    use crate::domain::settings::{EndpointSettings, Protocol};
    use crate::sources::demo;

    /// An engine with one end point at each of these places.
    fn engine(ledger: &std::path::Path, ports: &[u16]) -> Engine {
        let mut config = Config::default();
        config.ledger.path = Some(ledger.to_owned());
        config.llm.endpoint = ports
            .iter()
            .enumerate()
            .map(|(i, port)| EndpointSettings {
                url: Some(format!("http://127.0.0.1:{port}/v1")),
                ..EndpointSettings::new(&format!("e{i}"), Protocol::OpenaiChat, "tiny")
            })
            .collect();
        let demo = Origin::Demo(demo::bundle(Timestamp::from_secs(1_800_000_000)));
        Engine::new(config, None, demo, None, None).unwrap()
    }

    type Heard = Arc<Mutex<Vec<Vec<EndpointHealth>>>>;

    fn reporter() -> (Reporter, Heard) {
        let heard = Heard::default();
        let sink = Arc::clone(&heard);
        let reporter = Reporter::new(move |report| {
            if let Report::Endpoints(now) = report {
                sink.lock().unwrap().push(now);
            }
        });
        (reporter, heard)
    }

    /// Takes connections until a request for an answer came, and answers none.
    async fn asked(listener: &TcpListener) -> Vec<TcpStream> {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            open.push(stream);
            if &bytes == b"POST" {
                return open;
            }
        }
    }

    #[tokio::test]
    async fn a_request_under_way_is_listed_and_one_given_up_is_counted_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = engine(&folder.path().join("l.db"), &[listener.local_addr().unwrap().port()]);
        let (reporter, heard) = reporter();
        let mut work = Box::pin(probe(&engine, &reporter));
        let _open = tokio::select! {
            _ = &mut work => panic!("nothing answers"),
            open = asked(&listener) => open,
        };
        let health = &engine.endpoint_health()[0];
        assert_eq!((health.words.as_str(), health.under_way[0].stage.as_str()), ("asking", "connecting"));
        drop(work);
        let last = heard.lock().unwrap().last().unwrap()[0].clone();
        assert_eq!((last.answered, last.failed, last.cancelled), (0, 0, 1), "{last:?}");
        assert_eq!((last.under_way.len(), last.status), (0, crate::domain::health::Status::Unknown));
    }

    #[tokio::test]
    async fn each_answer_shows_as_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let engine = engine(&folder.path().join("l.db"), &[free, hanging.local_addr().unwrap().port()]);
        let (reporter, heard) = reporter();
        let mut work = Box::pin(probe(&engine, &reporter));
        let seen = || heard.lock().unwrap().iter().any(|all| all[0].failed == 1 && all[1].under_way.len() == 1);
        let _open = tokio::select! {
            _ = &mut work => panic!("one never answers"),
            open = asked(&hanging) => open,
        };
        while !seen() {
            tokio::select! {
                _ = &mut work => panic!("one never answers"),
                () = tokio::task::yield_now() => {}
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_is_not_sent_and_the_screen_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let engine = engine(&blocked.join("l.db"), &[listener.local_addr().unwrap().port()]);
        let (reporter, _) = reporter();
        let health = probe(&engine, &reporter).await;
        let why = health[0].held_back.as_ref().unwrap();
        assert!(why.contains("nothing was sent"), "{why}");
        assert_eq!(health[0].failed, 0);
    }
}
