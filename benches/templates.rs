//! Speed of the log miner on short lines of several formats. `cargo bench --bench templates`.

use std::sync::Arc;

use divan::counter::ItemsCount;
use stanch::analysis::templates::compare_logs;
use stanch::domain::log::LogEntry;
use stanch::domain::{Labels, Text, TimeRange, Timestamp};

fn main() {
    divan::main();
}

fn entries(lines: i64) -> Vec<LogEntry> {
    let labels: Arc<Labels> = Arc::new([("service_name", "shop")].into_iter().collect());
    let line = |i: i64| match i % 5 {
        0 => format!("level=info msg=\"request done\" path=/api/v1/items status=200 took={}ms id={i:08x}", i % 997),
        1 => format!("081109 {} INFO dfs.DataNode: block blk_{} terminating", i % 99_999, i * 7_919),
        2 => format!("Accepted password for user{} from 10.0.{}.7 port {} ssh2", i % 50, i % 256, i % 60_000),
        3 => format!("E0102 10:00:00.{} 7 server.go:52] connection refused after {}ms", i % 999_999, i % 1_000),
        _ => format!("{{\"level\":\"warn\",\"msg\":\"slow query\",\"ms\":{},\"trace_id\":\"{i:032x}\"}}", i % 4_096),
    };
    (0..lines)
        .map(|i| LogEntry {
            at: Timestamp::from_millis(i),
            labels: Arc::clone(&labels),
            line: Text::new(&line(i)),
            metadata: Labels::new(),
        })
        .collect()
}

/// Ten times the lines take ten times as long.
#[divan::bench(args = [2_000, 20_000, 200_000])]
fn compare(bencher: divan::Bencher<'_, '_>, lines: i64) {
    let entries = entries(lines);
    let half = Timestamp::from_millis(lines / 2);
    let baseline = TimeRange::new(Timestamp::from_millis(0), half);
    let window = TimeRange::new(half, Timestamp::from_millis(lines));
    bencher.counter(ItemsCount::new(entries.len())).bench(|| compare_logs(&entries, baseline, window));
}
