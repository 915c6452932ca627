//! The real thing: processes. `kubectl` is a link to a shell in a directory of its own, which reads `kubectl get pods`
//! as "run the script `get`", so that the gate lets it through.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::gate::{Confirmation, Gate, Inventory, Policy, Situation, TelemetryWords, digest};

struct Stage {
    directory: tempfile::TempDir,
    runner: Runner,
    gate: Gate,
}

impl Stage {
    fn with(script: &str, bounds: Bounds) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let programs = directory.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        symlink("/bin/sh", programs.join("kubectl")).unwrap();
        std::fs::write(directory.path().join("get"), script).unwrap();
        let settings = RunnerSettings {
            directories: vec![programs, "/usr/bin".into(), "/bin".into()],
            cwd: directory.path().to_owned(),
            inherited: [("HOME", "/nowhere"), ("LD_PRELOAD", "/x.so")]
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .into(),
            bounds,
            patience: Duration::from_millis(200),
        };
        Self { directory, runner: Runner::new(settings), gate: Gate::new(Policy::builtin()) }
    }

    fn new(script: &str) -> Self {
        Self::with(script, Bounds::default())
    }

    async fn prepare(&self, timeout: Duration) -> RunRequest {
        let context = RunContext {
            manifests: None,
            incident: "i".into(),
            action: "P1".into(),
            profile: "test".into(),
            actor: "me".into(),
            policy: self.gate.policy().hash().into(),
            timeout,
        };
        self.runner.prepare(&["kubectl".into(), "get".into(), "pods".into()], context).await.unwrap()
    }

    fn authorise(&self, request: RunRequest) -> Authorised {
        let (telemetry, inventory) = (TelemetryWords::default(), Inventory::default());
        let situation = Situation {
            profile: "test",
            critical: false,
            actor: "me",
            role: "operator",
            telemetry: &telemetry,
            inventory: &inventory,
            at: crate::domain::Timestamp::from_secs(1_767_787_200),
        };
        let judged = self.gate.judge(&request.argv, &situation);
        let confirmation = Confirmation { digest: digest(&request), typed: None };
        self.gate.authorise(request, &judged, &situation, &confirmation).unwrap()
    }

    async fn start(&self, timeout: Duration, cancel: &CancellationToken) -> mpsc::Receiver<RunEvent> {
        self.runner.start(self.authorise(self.prepare(timeout).await), cancel.clone())
    }

    async fn run(&self) -> Seen {
        collect(self.start(Duration::from_mins(1), &CancellationToken::new()).await).await
    }
}

#[derive(Debug, Default)]
struct Seen {
    out: Vec<String>,
    err: Vec<String>,
    dropped: u64,
    notes: Vec<String>,
    state: Option<RunState>,
}

async fn collect(mut events: mpsc::Receiver<RunEvent>) -> Seen {
    let mut seen = Seen::default();
    while let Some(event) = events.recv().await {
        assert_eq!(seen.state, None, "something came after the end: {event:?}");
        match event {
            RunEvent::Line(line) if line.stderr => seen.err.push(line.text.to_string()),
            RunEvent::Line(line) => seen.out.push(line.text.to_string()),
            RunEvent::Dropped(count) => seen.dropped = count,
            RunEvent::Note(note) => seen.notes.push(note.to_string()),
            RunEvent::Ended(state) => seen.state = Some(state),
        }
    }
    seen
}

fn exited(code: i32) -> RunState {
    RunState::Exited { code }
}

/// Whether a process is there and not a zombie.
fn alive(pid: &str) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

#[tokio::test]
async fn output_and_exit_code_are_reported() {
    let seen = Stage::new("echo one; echo two >&2; printf three; exit 7").run().await;
    assert_eq!(
        (seen.out, seen.err, seen.state),
        (vec!["one".into(), "three".into()], vec!["two".into()], Some(exited(7)))
    );
}

#[tokio::test]
async fn the_environment_is_clean_and_there_is_no_input() {
    let seen = Stage::new("env; cat; pwd").run().await;
    assert!(seen.out.contains(&"HOME=/nowhere".to_owned()) && seen.out.contains(&"PAGER=cat".to_owned()));
    assert!(!seen.out.iter().any(|line| line.starts_with("LD_")), "{:?}", seen.out);
    assert_eq!(seen.state, Some(exited(0)));
}

#[tokio::test]
async fn output_that_would_act_on_the_terminal_is_shown_instead() {
    let seen = Stage::new(r"printf 'a\033[2J\377b\r\n'; printf 'c\rd'").run().await;
    assert_eq!(seen.out, ["a‹U+001B›[2J\u{fffd}b", "c‹U+000D›d"]);
}

#[tokio::test]
async fn a_signal_is_reported() {
    let seen = Stage::new("kill -9 $$").run().await;
    assert_eq!(seen.state, Some(RunState::Killed { signal: 9 }));
}

#[tokio::test]
async fn the_time_out_ends_the_whole_group() {
    let stage = Stage::new("sleep 300 & echo $!; sleep 300");
    let seen = collect(stage.start(Duration::from_secs(1), &CancellationToken::new()).await).await;
    assert_eq!(seen.state, Some(RunState::TimedOut));
    assert!(!alive(&seen.out[0]));
}

#[tokio::test]
async fn cancelling_ends_even_those_who_do_not_listen() {
    let stage = Stage::new("trap '' TERM; (trap '' TERM; echo $$; sleep 300; sleep 300) & echo ready; wait; sleep 300");
    let cancel = CancellationToken::new();
    let mut events = stage.start(Duration::from_mins(1), &cancel).await;
    let mut pid = String::new();
    for _ in 0..2 {
        if let Some(RunEvent::Line(line)) = events.recv().await
            && &*line.text != "ready"
        {
            pid = line.text.to_string();
        }
    }
    cancel.cancel();
    assert_eq!(collect(events).await.state, Some(RunState::Cancelled));
    assert!(!pid.is_empty() && !alive(&pid));
}

#[tokio::test]
async fn nobody_listening_ends_it() {
    let stage = Stage::new("echo $$; sleep 300");
    let mut events = stage.start(Duration::from_mins(1), &CancellationToken::new()).await;
    let Some(RunEvent::Line(line)) = events.recv().await else { panic!("no line") };
    drop(events);
    while alive(&line.text) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_child_that_holds_the_pipe_does_not_hold_the_run() {
    let seen = Stage::new("sleep 300 & echo $!; exit 3").run().await;
    assert_eq!(seen.state, Some(exited(3)));
    assert_eq!(seen.notes.len(), 1);
    let pid: i32 = seen.out[0].parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_flood_keeps_its_beginning_and_its_end() {
    let bounds = Bounds { lines: 100, tail_lines: 10, ..Bounds::default() };
    let seen = Stage::with("seq 1 1000000", bounds).run().await;
    assert_eq!((seen.out.len(), seen.dropped, seen.state), (110, 999_890, Some(exited(0))));
    assert_eq!((seen.out[99].as_str(), seen.out[100].as_str(), seen.out[109].as_str()), ("100", "999991", "1000000"));
}

#[tokio::test]
async fn a_line_without_end_is_cut_and_counted() {
    let bounds = Bounds { line_bytes: 10, ..Bounds::default() };
    let seen = Stage::with("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo y", bounds).run().await;
    assert_eq!(seen.out, ["xxxxxxxxxx … (4999990 bytes cut)", "y"]);
}

#[tokio::test]
async fn a_program_that_changed_since_it_was_shown_is_not_run() {
    let stage = Stage::new("echo no");
    let request = stage.prepare(Duration::from_mins(1)).await;
    let link = stage.directory.path().join("bin/kubectl");
    std::fs::remove_file(&link).unwrap();
    symlink("/bin/cat", &link).unwrap();
    let seen = collect(stage.runner.start(stage.authorise(request), CancellationToken::new())).await;
    let Some(RunState::Failed { why }) = seen.state else { panic!("{seen:?}") };
    assert!(why.contains("changed since it was shown"), "{why}");
    assert!(seen.out.is_empty());
}

#[tokio::test]
async fn only_installed_programs_are_found() {
    let stage = Stage::new("");
    let context = || RunContext {
        manifests: None,
        incident: String::new(),
        action: String::new(),
        profile: "test".into(),
        actor: "me".into(),
        policy: String::new(),
        timeout: Duration::from_secs(1),
    };
    for (program, part) in [
        ("no-such-program", "is not installed"),
        ("./get", "does not lie in"),
        ("/usr/bin/../bin/ls", "does not lie in"),
        ("..", "is not installed"),
    ] {
        let error = stage.runner.prepare(&[program.to_owned()], context()).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let open = stage.directory.path().join("bin/open");
    std::fs::write(&open, "").unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let error = stage.runner.prepare(&["open".to_owned()], context()).await.unwrap_err().to_string();
    assert!(error.contains("everybody may write it"), "{error}");
}
