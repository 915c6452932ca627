//! Lines per second of CPU time of `stanch`'s log miner and of the `drain3` crate, on the same lines in one process.
//!
//! Both are used as their documentation shows, with default settings: `Miner::push` for each line and then
//! `templates`, against `drain3::train` on all lines, alone and with `match_id` for each line, which gives what `push`
//! gives: the template of each line. Each runs several times and its best run counts; CPU time is
//! the kernel's account of this thread, so other load on the machine matters little.

use std::hint::black_box;

use drain3::Config;
use stanch::analysis::templates::Miner;

const RUNS: usize = 5;

fn main() {
    println!(
        "{:6} {:>9} {:>12} {:>12} {:>6} {:>12} {:>6}   templates",
        "lines", "bytes/line", "stanch/s", "drain3/s", "ratio", "and match/s", "ratio"
    );
    for (name, count, line) in
        [("short", 400_000_u64, short as fn(u64) -> String), ("long", 100_000, long as fn(u64) -> String)]
    {
        let lines: Vec<String> = (0..count).map(line).collect();
        let bytes = lines.iter().map(String::len).sum::<usize>() / lines.len();
        let (ours, templates) = best(|| {
            let mut miner = Miner::new();
            for line in &lines {
                black_box(miner.push(line));
            }
            miner.finish();
            miner.templates().templates.len()
        });
        let train = || drain3::train(&lines, Config::default());
        let (learnt, clusters) = best(|| train().map_or(0, |matcher| matcher.templates().len()));
        let (matched, _) = best(|| {
            train().map_or(0, |matcher| lines.iter().filter(|line| black_box(matcher.match_id(line)).is_some()).count())
        });
        let per_second = |seconds: f64| lines.len() as f64 / seconds;
        println!(
            "{name:6} {bytes:>9} {:>12.0} {:>12.0} {:>6.1} {:>12.0} {:>6.1}   {templates} and {clusters}",
            per_second(ours),
            per_second(learnt),
            learnt / ours,
            per_second(matched),
            matched / ours
        );
    }
}

/// The least CPU time of several runs, in seconds, and what the run gave.
fn best(mut run: impl FnMut() -> usize) -> (f64, usize) {
    let mut least = f64::INFINITY;
    let mut given = 0;
    for _ in 0..RUNS {
        let start = cpu_seconds();
        given = black_box(run());
        least = least.min(cpu_seconds() - start);
    }
    (least, given)
}

/// CPU time of this thread: the first number of `schedstat`, in nanoseconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel with schedstat");
    let nanos: f64 = text.split(' ').next().and_then(|first| first.parse().ok()).expect("nanoseconds come first");
    nanos / 1e9
}

/// A number that looks drawn, the same in every run (splitmix64).
fn drawn(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// About 60 bytes: plain text of several programs.
fn short(i: u64) -> String {
    let r = drawn(i);
    match r % 8 {
        0 => format!("081109 {:06} {} INFO dfs.DataNode: block blk_{} terminating", i % 999_999, r % 99, r >> 20),
        1 => format!("Accepted password for user{} from 10.0.{}.{} port {} ssh2", r % 50, r % 256, i % 256, r % 60_000),
        2 => format!("Failed password for root from 10.9.{}.{} port {} ssh2", r % 256, i % 256, r % 60_000),
        3 => format!("E0102 10:00:00.{:06} 7 server.go:52] refused after {}ms", i % 999_999, r % 1_000),
        4 => format!("10:00:{:02} WARN [worker-{}] queue depth {} over limit", i % 60, r % 16, r % 5_000),
        5 => format!("session {:x} closed by peer after {} bytes", r >> 8, r % 90_000),
        6 => format!("GET /api/v1/items/{} 200 {}ms", r % 9_999, r % 700),
        _ => format!("cache miss for key item:{} in shard {}", r % 9_999, r % 32),
    }
}

/// About 400 bytes: JSON and logfmt in turn.
fn long(i: u64) -> String {
    let r = drawn(i);
    let message = [
        "request finished",
        "slow query on the primary",
        "retrying after a timeout of the upstream",
        "payment authorised and receipt queued",
    ][(r % 4) as usize];
    let (trace, span, host) = (drawn(i + 7), drawn(i + 11), r % 40);
    if i % 2 == 0 {
        format!(
            "{{\"ts\":\"2026-01-31T10:{:02}:{:02}.{:03}Z\",\"level\":\"info\",\"msg\":\"{message}\",\"service\":\"checkout\",\
             \"trace_id\":\"{trace:032x}\",\"span_id\":\"{span:016x}\",\"http\":{{\"method\":\"POST\",\"path\":\"/api/v2/orders/{}\",\
             \"status\":200,\"bytes\":{}}},\"peer\":\"10.4.{}.{}:{}\",\"pod\":\"checkout-6d5f7c9b8-{:05x}\",\"duration_ms\":{}.{:03},\
             \"user_agent\":\"shop-mobile/4.{}\",\"region\":\"eu-{}\"}}",
            i / 60 % 60,
            i % 60,
            i % 1_000,
            r % 100_000,
            r % 9_000,
            r % 256,
            span % 256,
            r % 60_000,
            host,
            r % 2_000,
            span % 1_000,
            r % 30,
            r % 3
        )
    } else {
        format!(
            "ts=2026-01-31T10:{:02}:{:02}.{:03}Z level=warn caller=handler.go:217 msg=\"{message}\" service=catalog \
             trace_id={trace:032x} span_id={span:016x} method=GET path=/api/v2/items/{} status=200 bytes={} \
             peer=10.4.{}.{}:{} pod=catalog-7f8d9c6b5-{:05x} duration={}.{:03}ms shard={} cache=miss tenant=t{} \
             attempt={} region=eu-{} node=node-{}.shop.internal build=4f2a91c feature=none",
            i / 60 % 60,
            i % 60,
            i % 1_000,
            r % 100_000,
            r % 9_000,
            r % 256,
            span % 256,
            r % 60_000,
            host,
            r % 2_000,
            span % 1_000,
            r % 32,
            r % 900,
            r % 4,
            r % 3,
            host
        )
    }
}
