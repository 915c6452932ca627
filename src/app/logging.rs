//! The program's own log: always to a file, never to the terminal or standard output.

use std::fs;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::config::cache_dir;

/// Most bytes of the log before it is set aside as `stanch.log.old`.
const MAX_BYTES: u64 = 8 << 20;

/// Begins to log to `stanch.log` in the cache folder; `STANCH_LOG` sets the level (`debug`, `stanch=trace`, …).
/// Without a place to write nothing is logged: the program must work on a full or read-only disk. The guard writes
/// what is pending when it is dropped.
pub(super) fn start() -> Option<WorkerGuard> {
    let path = cache_dir()?.join("stanch.log");
    fs::create_dir_all(path.parent()?).ok()?;
    if fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_BYTES) {
        // Losing the older log is better than growing without bound.
        let _ = fs::rename(&path, path.with_extension("log.old"));
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(&path).ok()?;
    let (writer, guard) = tracing_appender::non_blocking(file);
    let filter = EnvFilter::try_from_env("STANCH_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).try_init().ok()?;
    Some(guard)
}
