//! Being told to end while something is under way that must not be left without its outcome.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Returns when the person or the system wants this to end; never where signals cannot be listened to: then they end
/// the process themselves.
pub(super) async fn interrupted() {
    let listen = |kind| signal(kind).ok();
    let heard = |signal: Option<Signal>| async move {
        match signal {
            Some(mut signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = heard(listen(SignalKind::interrupt())) => {}
        () = heard(listen(SignalKind::terminate())) => {}
        () = heard(listen(SignalKind::hangup())) => {}
    }
}
