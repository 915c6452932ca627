//! The whole program on a pseudo-terminal, read by a terminal emulator.

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running program with the terminal it draws on.
struct Session {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    input: Box<dyn std::io::Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    bytes: usize,
    started: Instant,
    _home: tempfile::TempDir,
}

impl Session {
    /// Starts the program with nothing configured but `env`.
    fn start(env: &[(&str, &str)], args: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_stanch"));
        command.args(args);
        command.env_clear();
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")] {
            command.env(name, value);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
            command.env(name, home.path());
        }
        for (name, value) in env {
            command.env(name, value);
        }
        command.cwd(home.path());
        let started = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let input = pair.master.take_writer().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let (rows, columns) = (NonZero::new(24).unwrap(), NonZero::new(80).unwrap());
        let screen = vt100::Parser::new(rows, columns, 0);
        Self { child, master: pair.master, input, output, screen, bytes: 0, started, _home: home }
    }

    /// A live session all of whose sources refuse the connection.
    fn unreachable() -> Self {
        let nowhere = "http://127.0.0.1:1";
        let sources = [("PROMETHEUS_URL", nowhere), ("ALERTMANAGER_URL", nowhere), ("LOKI_ADDR", nowhere)];
        Self::start(&sources, &[])
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.screen.process(bytes);
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Reads until the screen shows `wanted`.
    fn wait_for(&mut self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().contains(wanted) {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(why) => panic!("{why:?} while waiting for `{wanted}`:\n{}", self.text()),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.screen.screen_mut().set_size(NonZero::new(rows).unwrap(), NonZero::new(columns).unwrap());
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Bytes written during `span`.
    fn bytes_during(&mut self, span: Duration) -> usize {
        let before = self.bytes;
        let deadline = Instant::now() + span;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return self.bytes - before,
            }
        }
    }

    /// Clock ticks of processor time used so far (`proc(5)`, fields 14 and 15; 100 a second).
    fn processor_ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.child.process_id().unwrap());
        let stat = std::fs::read_to_string(path).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Whether the process is stopped (`proc(5)`, state T).
    fn stopped(&self) -> bool {
        let path = format!("/proc/{}/stat", self.child.process_id().unwrap());
        let stat = std::fs::read_to_string(path).unwrap();
        stat[stat.rfind(')').unwrap() + 2..].starts_with('T')
    }

    /// Waits for the end; returns the exit code.
    fn end(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("does not end:\n{}", self.text()),
            }
        }
        self.child.wait().unwrap().exit_code()
    }

    /// The terminal is as a shell wants it.
    fn assert_restored(&self) {
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "still on the alternate screen");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste is still on");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    session.assert_restored();
    session.signal(Signal::CONT);
    session.wait_for("alerts are not known");
    assert!(session.screen.screen().alternate_screen());
    session.press("q");
    assert_eq!(session.end(), 0);
    session.assert_restored();
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
