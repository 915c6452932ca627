//! A made-up incident of any size, as a bundle: the same size gives the same files. Used by tests and benches.
//!
//! Services call one another in a chain. In the window one of them fails: a new error, a line that ceases, more time
//! per request for it and for those that call it. Everything else goes on with noise.

use std::fmt::Write as _;
use std::path::Path;

/// How large an incident is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) lines: usize,
    pub(crate) series: usize,
    pub(crate) changes: usize,
}

/// Begin of the baseline, in seconds; the window follows it and ends the recording.
const START: u64 = 1_700_000_000;
const BASELINE: u64 = 3_000;
const WINDOW: u64 = 600;
const STEP: u64 = 60;
/// Series of one service: one of each metric below.
const PER_SERVICE: usize = 10;

/// The same numbers on every machine (Knuth's multiplier).
#[derive(Clone)]
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

impl Size {
    fn services(self) -> usize {
        self.series.div_ceil(PER_SERVICE).max(3)
    }

    /// The service that fails.
    pub(crate) fn culprit(self) -> String {
        service(self.services() / 2)
    }
}

fn service(number: usize) -> String {
    format!("svc-{number:04}")
}

/// Writes the bundle into `folder`. `shuffle` changes the order of what has no order, and says some of it twice.
pub(crate) fn write(folder: &Path, size: Size, shuffle: Option<u64>) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let put = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("the folder is writable");
    let stamp = |secs: u64| {
        chrono::DateTime::from_timestamp(i64::try_from(secs).expect("a time"), 0)
            .expect("a time")
            .format("%Y-%m-%dT%H:%M:%SZ")
            .to_string()
    };
    let (turn, end) = (START + BASELINE, START + BASELINE + WINDOW);
    put(
        "manifest.json",
        format!(
            "{{\"format\":\"stanch-bundle/1\",\"name\":\"generated\",\"window\":{{\"start\":\"{}\",\"end\":\"{}\"}},\
             \"baseline\":{{\"start\":\"{}\",\"end\":\"{}\"}},\"note\":\"\"}}",
            stamp(turn),
            stamp(end),
            stamp(START),
            stamp(turn)
        ),
    );
    put(
        "alerts.json",
        format!(
            "[{{\"fingerprint\":\"00000000000000aa\",\"labels\":{{\"alertname\":\"Slow\",\"severity\":\"critical\",\
             \"service\":\"{}\"}},\"annotations\":{{\"summary\":\"requests are slow\"}},\"startsAt\":\"{}\",\
             \"endsAt\":\"{}\",\"updatedAt\":\"{}\",\"generatorURL\":\"\",\"receivers\":[],\
             \"status\":{{\"state\":\"active\",\"silencedBy\":[],\"inhibitedBy\":[]}}}}]",
            service(0),
            stamp(turn + 120),
            stamp(end + 3_600),
            stamp(turn + 120)
        ),
    );
    put("metrics.om", metrics(size, shuffle));
    put("logs.ndjson", logs(size, shuffle));
    let changes: Vec<String> = (0..size.changes)
        .map(|i| {
            format!(
                "{{\"at\":\"{}\",\"kind\":\"deploy\",\"service\":\"{}\",\"ref\":\"v{i}\",\"summary\":\"change {i}\",\
                 \"author\":\"author-{}\",\"diff\":\"@@ -1 +1 @@\\n-limit = {i}\\n+limit = {}\"}}",
                stamp(START + (i as u64 * 37) % (BASELINE + WINDOW)),
                service(i % size.services()),
                i % 7,
                i + 1
            )
        })
        .collect();
    put("changes.json", format!("[{}]", shuffled(changes, shuffle, 0).join(",")));
}

/// In another order, with every seventh element once more.
fn shuffled(mut parts: Vec<String>, shuffle: Option<u64>, again: usize) -> Vec<String> {
    let Some(seed) = shuffle else { return parts };
    let more: Vec<String> = if again == 0 { Vec::new() } else { parts.iter().step_by(again).cloned().collect() };
    parts.extend(more);
    let mut noise = Noise(seed);
    for at in (1..parts.len()).rev() {
        let other = usize::try_from(noise.below(at as u64 + 1)).expect("an index");
        parts.swap(at, other);
    }
    parts
}

fn metrics(size: Size, shuffle: Option<u64>) -> String {
    let services = size.services();
    let culprit = services / 2;
    let mut out = String::new();
    let mut noise = Noise(7);
    let names = [
        ("http_requests", "counter", "_total"),
        ("http_request_errors", "counter", "_total"),
        ("http_request_duration_seconds_p99", "gauge", ""),
        ("process_cpu_usage_percent", "gauge", ""),
        ("process_resident_memory_bytes", "gauge", ""),
        ("queue_length", "gauge", ""),
        ("traces_service_graph_request", "counter", "_total"),
        ("traces_service_graph_request_failed", "counter", "_total"),
        ("traces_service_graph_request_client_seconds_sum", "gauge", ""),
        ("traces_service_graph_request_client_seconds_count", "gauge", ""),
    ];
    for (which, (name, kind, suffix)) in names.into_iter().enumerate() {
        let _ = writeln!(out, "# TYPE {name} {kind}");
        let mut series = Vec::new();
        for number in 0..services {
            if number * PER_SERVICE + which >= size.series.max(3 * PER_SERVICE) {
                continue;
            }
            let labels = if which < 6 {
                format!("service=\"{}\",pod=\"{0}-a\"", service(number))
            } else {
                format!("client=\"{}\",server=\"{}\"", service(number), service((number + 1) % services))
            };
            let mut lines = String::new();
            let mut total = 0.0;
            for tick in 0..=(BASELINE + WINDOW) / STEP {
                let at = START + tick * STEP;
                let failing = at >= START + BASELINE + 60;
                let hurt = failing && number <= culprit && number + 3 > culprit;
                let wobble = noise.below(100) as f64 / 100.0;
                let value = match which {
                    0 | 6 => {
                        total += 600.0 + 20.0 * wobble;
                        total
                    }
                    1 | 7 => {
                        total += if failing && number == culprit { 90.0 } else { wobble.floor() };
                        total
                    }
                    2 => 0.1 + 0.02 * wobble + if hurt { 2.0 } else { 0.0 },
                    3 => 20.0 + 5.0 * wobble,
                    4 => 2e8 + 1e6 * wobble,
                    5 => (5.0 * wobble).floor(),
                    8 => {
                        total += 600.0 * (0.1 + 0.01 * wobble + if hurt { 2.0 } else { 0.0 });
                        total
                    }
                    _ => {
                        total += 600.0;
                        total
                    }
                };
                let _ = writeln!(lines, "{name}{suffix}{{{labels}}} {value} {at}");
            }
            series.push(lines);
        }
        out.extend(shuffled(series, shuffle, 5));
    }
    out.push_str("# EOF\n");
    out
}

fn logs(size: Size, shuffle: Option<u64>) -> String {
    let services = size.services();
    let culprit = services / 2;
    let nanos = (BASELINE + WINDOW) * 1_000_000_000;
    let mut noise = Noise(11);
    let lines: Vec<String> = (0..size.lines)
        .map(|i| {
            let offset = i as u64 * (nanos / size.lines.max(1) as u64);
            let failing = offset >= (BASELINE + 60) * 1_000_000_000;
            let number = usize::try_from(noise.below(services as u64)).expect("an index");
            // Every service, however many there are, is heard; the failing one most.
            let number = if i % 9 == 0 { culprit } else { number };
            let (id, ms) = (noise.next(), noise.below(400));
            let line = match noise.below(5) {
                0 => format!("level=info msg=\\\"request done\\\" path=/api/items/{} status=200 took={ms}ms", id % 977),
                1 if failing && number == culprit => {
                    format!("level=error msg=\\\"no connection after {}ms\\\" pool=main id={id:08x}", 3_000 + ms)
                }
                1 => format!("level=info msg=\\\"connection returned\\\" pool=main id={id:08x} idle={}", id % 9),
                2 => format!("level=info msg=\\\"cache refreshed\\\" entries={} took={ms}ms", id % 5_000),
                3 => format!("level=debug msg=\\\"queue polled\\\" length={} worker={}", id % 17, id % 4),
                _ => format!("level=warn msg=\\\"slow query\\\" table=t{} ms={}", id % 6, 500 + ms),
            };
            format!(
                "{{\"ts\":\"{}\",\"labels\":{{\"service_name\":\"{}\"}},\"line\":\"{line}\"}}\n",
                START * 1_000_000_000 + offset,
                service(number)
            )
        })
        .collect();
    shuffled(lines, shuffle, 0).concat()
}
