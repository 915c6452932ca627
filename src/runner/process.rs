//! One process from start to end.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::output::{Lines, Sink};
use crate::domain::action::{RunRequest, RunState};

/// How long output is still read after the process has ended, when something it started holds the pipes open.
const LINGER: Duration = Duration::from_secs(1);

/// How long a killed process may take to disappear before it is given up on.
const GIVE_UP: Duration = Duration::from_secs(5);

/// A process group that is killed when this is dropped before the process has ended: on a panic, or when the
/// runtime goes away.
struct Group {
    leader: Option<Pid>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // It may have ended in the meantime.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Runs the request with this environment and sends its output to `sink`. Returns how it ended.
pub(super) async fn run(
    request: &RunRequest,
    environment: &BTreeMap<String, String>,
    patience: Duration,
    cancel: &CancellationToken,
    sink: &mut Sink,
) -> RunState {
    let spawned = Command::new(&request.program)
        .args(request.argv.get(1..).unwrap_or_default())
        .env_clear()
        .envs(environment)
        .current_dir(&request.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return RunState::Failed { why: format!("{} could not be started: {error}", request.program) },
    };
    let mut group = Group { leader: child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) };
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return RunState::Failed { why: "its output could not be connected".to_owned() };
    };

    let mut out = Lines::new(false, sink.bounds());
    let mut err = Lines::new(true, sink.bounds());
    let (mut out_buffer, mut err_buffer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let (mut out_open, mut err_open) = (true, true);
    let mut status: Option<ExitStatus> = None;
    // Why it is being ended, once it is.
    let mut ending: Option<RunState> = None;
    let mut killed = false;
    let mut deadline = Instant::now() + Duration::from_secs(request.timeout_seconds);

    while out_open || err_open || status.is_none() {
        tokio::select! {
            read = stdout.read(&mut out_buffer), if out_open => match read {
                Ok(count) if count > 0 => out.feed(&out_buffer[..count], sink),
                _ => out_open = false,
            },
            read = stderr.read(&mut err_buffer), if err_open => match read {
                Ok(count) if count > 0 => err.feed(&err_buffer[..count], sink),
                _ => err_open = false,
            },
            waited = child.wait(), if status.is_none() => match waited {
                Ok(ended) => {
                    if ending.is_some() {
                        // What it started may have ignored the polite signal.
                        group.signal(Signal::KILL);
                    }
                    group.leader = None;
                    status = Some(ended);
                    deadline = Instant::now() + LINGER;
                }
                Err(error) => return RunState::Failed { why: format!("it could not be waited for: {error}") },
            },
            () = sleep_until(deadline) => {
                if status.is_some() {
                    sink.note("something it started goes on and holds its output open; no longer read");
                    break;
                }
                if killed {
                    sink.note("it was killed but does not disappear: the kernel holds it");
                    break;
                }
                if ending.is_none() {
                    ending = Some(RunState::TimedOut);
                    ask_to_end(&group);
                    deadline = Instant::now() + patience;
                } else {
                    group.signal(Signal::KILL);
                    killed = true;
                    deadline = Instant::now() + GIVE_UP;
                }
            }
            () = stopped(cancel, sink), if ending.is_none() && status.is_none() => {
                ending = Some(RunState::Cancelled);
                ask_to_end(&group);
                deadline = Instant::now() + patience;
            }
        }
    }
    out.finish(sink);
    err.finish(sink);
    match (ending, status) {
        (Some(state), _) => state,
        (None, Some(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => RunState::Exited { code },
            (None, Some(signal)) => RunState::Killed { signal },
            (None, None) => RunState::Unknown,
        },
        (None, None) => RunState::Unknown,
    }
}

/// A stopped process (one that asked for the terminal) must go on to receive the signal.
fn ask_to_end(group: &Group) {
    group.signal(Signal::TERM);
    group.signal(Signal::CONT);
}

/// Waits until somebody cancels or nobody listens.
async fn stopped(cancel: &CancellationToken, sink: &Sink) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = sink.closed() => {}
    }
}
