//! What the screens cost: time to the first frame, processor time and bytes at rest, bytes of a key press.
//!
//! `cargo bench --bench terminal` starts the optimised program on a pseudo-terminal of 80x24 and prints figures for
//! comparison. Waiting on the clock is what a measurement at rest is.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long anything may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// A screen that wrote nothing for this long is at rest.
const QUIET: Duration = Duration::from_millis(700);
/// How long a screen at rest is watched.
const WATCHED: Duration = Duration::from_secs(5);
/// Starts of which the median is told.
const STARTS: usize = 5;

/// Tokens that the language model of the measurement streams.
const TOKENS_A_SECOND: u32 = 200;
/// Keys pressed meanwhile.
const KEYS: usize = 60;

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// A running program and the terminal it draws on.
struct Session {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    input: Box<dyn std::io::Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    bytes: usize,
    started: Instant,
    _home: tempfile::TempDir,
}

impl Session {
    fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    fn start_with(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_stanch"));
        command.args(args);
        command.env_clear();
        let nowhere = "http://127.0.0.1:1";
        for (name, value) in [
            ("TERM", "xterm-256color"),
            ("LANG", "C.UTF-8"),
            ("PATH", "/usr/bin:/bin"),
            ("PROMETHEUS_URL", nowhere),
            ("ALERTMANAGER_URL", nowhere),
            ("LOKI_ADDR", nowhere),
        ] {
            command.env(name, value);
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
            command.env(name, home.path());
        }
        command.cwd(home.path());
        let mut reader = pair.master.try_clone_reader().unwrap();
        let input = pair.master.take_writer().unwrap();
        let (sender, output) = channel();
        let started = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(NonZero::new(ROWS).unwrap(), NonZero::new(COLUMNS).unwrap(), 0);
        Self { child, _master: pair.master, input, output, screen, bytes: 0, started, _home: home }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.screen.process(bytes);
    }

    fn wait_for(&mut self, wanted: &str) {
        self.wait_until(|contents| contents.contains(wanted));
    }

    fn wait_until(&mut self, good: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !good(&self.screen.screen().contents()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.output.recv_timeout(left).unwrap_or_else(|why| {
                panic!("{why} while waiting:\n{}", self.screen.screen().contents());
            });
            self.take(&bytes);
        }
    }

    /// Bytes written until nothing was written for [`QUIET`].
    fn settle(&mut self) -> usize {
        let before = self.bytes;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.output.recv_timeout(QUIET) {
                Ok(bytes) => self.take(&bytes),
                Err(_) => break,
            }
        }
        self.bytes - before
    }

    fn press(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    /// Nanoseconds of processor time of all threads so far (`/proc/<pid>/task/<tid>/schedstat`, first field). Finer
    /// than the clock ticks of `proc(5)`; threads that ended are not counted.
    fn processor(&self) -> Duration {
        let path = format!("/proc/{}/task", self.child.process_id().unwrap());
        let threads = std::fs::read_dir(path).unwrap().flatten();
        let nanos = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Watches a screen at rest and prints what it cost.
    fn rest(&mut self, name: &str) {
        // What is under way may be silent for a while; it ends when no processor time is used either.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = self.processor();
            if self.settle() == 0 && self.processor().saturating_sub(before) < Duration::from_millis(2) {
                break;
            }
            assert!(Instant::now() < deadline, "{name}: does not come to rest");
        }
        let (bytes, before) = (self.bytes, self.processor());
        let deadline = Instant::now() + WATCHED;
        while let Ok(bytes) = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.take(&bytes);
        }
        let spent = self.processor().saturating_sub(before);
        let share = spent.as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
        println!("{name:<44} {:>6} bytes  {spent:>10.1?} of processor  {share:.4} %", self.bytes - bytes);
    }

    /// Presses a key and prints the bytes that drawing it took.
    fn key(&mut self, name: &str, key: &str) {
        self.press(key);
        println!("{name:<44} {:>6} bytes", self.settle());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Milliseconds to the first frame: the title of the board stands on the screen.
fn first_frame(args: &[&str]) -> f64 {
    let mut session = Session::start(args);
    session.wait_for("Incidents");
    session.started.elapsed().as_secs_f64() * 1e3
}

/// A language model that streams a diagnosis for ever, [`TOKENS_A_SECOND`], and tells when a request came and when its
/// connection was closed.
fn model() -> (String, Receiver<Instant>, Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let ((asked, requests), (closed, ends)) = (channel(), channel());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (asked, closed) = (asked.clone(), closed.clone());
            std::thread::spawn(move || serve(stream, &asked, &closed));
        }
    });
    (url, requests, ends)
}

#[expect(clippy::disallowed_methods, reason = "a stream of so many tokens a second has a pace")]
fn serve(mut stream: TcpStream, asked: &Sender<Instant>, closed: &Sender<Instant>) {
    let mut head = [0; 4_096];
    let Ok(read @ 1..) = stream.read(&mut head) else { return };
    if !head[..read].starts_with(b"POST") {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        return;
    }
    let _ = asked.send(Instant::now());
    // The rest of the request is not looked at; it must not stand in the way of seeing the end.
    let mut rest = stream.try_clone().unwrap();
    let closed = closed.clone();
    std::thread::spawn(move || {
        let mut sink = vec![0; 65_536];
        while let Ok(1..) = rest.read(&mut sink) {}
        let _ = closed.send(Instant::now());
    });
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
    let opening = r#"{"observations":[{"text":""#;
    let words = ["the ", "pool ", "of ", "payments ", "rose ", "and ", "did ", "not ", "fall "];
    let sentence = r#"","evidence":["M1"]},{"text":""#;
    let mut due = Instant::now();
    for at in 0_usize.. {
        let text = match at {
            0 => opening,
            _ if at % 40 == 0 => sentence,
            _ => words[at % words.len()],
        };
        let frame = format!("data: {}\n\n", serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
        if stream.write_all(frame.as_bytes()).is_err() {
            return;
        }
        due += Duration::from_secs(1) / TOKENS_A_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// How long keys take while a diagnosis is streamed: what is asked, what is pressed meanwhile, what is cancelled.
fn streaming() {
    let (url, requests, ends) = model();
    let mut session = Session::start_with(&["demo"], &[("OPENAI_BASE_URL", &url), ("OPENAI_MODEL", "endless")]);
    session.wait_for("payments ←");
    session.press("\r");
    session.wait_for("1 Suspects");
    session.press("3");
    session.wait_for("by offline");
    session.settle();
    let pressed = Instant::now();
    session.press("d");
    let sent = requests.recv_timeout(PATIENCE).unwrap() - pressed;
    println!("{:<44} {sent:.1?}", "d, until the request leaves (packed, in ledger)");
    session.wait_for("tok/s");
    let mut times: Vec<Duration> = Vec::new();
    for key in 0..KEYS {
        // As a person types, at moments that have nothing to do with the pictures.
        let pause = Instant::now() + Duration::from_millis(80 + key as u64 * 7 % 31);
        while let Ok(bytes) = session.output.recv_timeout(pause.saturating_duration_since(Instant::now())) {
            session.take(&bytes);
        }
        let pressed = Instant::now();
        session.press("?");
        session.wait_for("Help: keys");
        times.push(pressed.elapsed());
        session.press("\x1b");
        session.wait_until(|contents| !contents.contains("Help: keys"));
    }
    times.sort();
    let share = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!(
        "{:<44} median {:.1?}, 95 % below {:.1?}, at most {:.1?} ({KEYS} keys)",
        format!("a key until it shows, {TOKENS_A_SECOND} tokens/s"),
        share(50),
        share(95),
        share(100)
    );
    let pressed = Instant::now();
    session.press("\x1b");
    let closed = ends.recv_timeout(PATIENCE).unwrap() - pressed;
    println!("{:<44} {closed:.1?}", "Esc, until the connection is closed");
}

fn told(name: &str, args: &[&str]) {
    let mut times: Vec<f64> = (0..STARTS).map(|_| first_frame(args)).collect();
    times.sort_by(f64::total_cmp);
    let (least, median, most) = (times[0], times[STARTS / 2], times[STARTS - 1]);
    println!("{name:<44} median {median:.1} ms  ({least:.1} to {most:.1}, {STARTS} starts)");
}

fn main() {
    if std::env::args().any(|argument| argument == "streaming") {
        streaming();
        return;
    }
    println!("terminal of {COLUMNS}x{ROWS}; at rest means {} s", WATCHED.as_secs());
    told("first frame, all sources unreachable", &[]);
    told("first frame, demo", &["demo"]);

    let mut session = Session::start(&[]);
    session.wait_for("alerts are not known");
    session.rest("board at rest, all sources unreachable");
    drop(session);

    let mut session = Session::start(&["demo"]);
    session.wait_for("payments ←");
    session.rest("board at rest, demo");
    session.key("key: j on the board", "j");
    session.key("key: k on the board", "k");
    session.key("key: Enter, opens the incident", "\r");
    session.wait_for("1 Suspects");
    session.rest("suspects at rest, demo");
    session.key("key: j on the suspects", "j");
    session.key("key: 2, evidence", "2");
    session.key("key: j on the evidence", "j");
    session.key("key: 6, logs", "6");
    session.key("key: j on the logs", "j");
    session.key("key: Ctrl-d on the logs", "\x04");
    session.key("key: ?, help", "?");
    session.key("key: Esc, back", "\x1b");
    drop(session);
    streaming();
}
