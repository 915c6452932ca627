//! The headless path by phases and sizes, each ten times the one before: reading a bundle and asking it, the analysis,
//! the pack, and the whole program. `cargo bench --bench analysis`.
//!
//! The middle size is the one that promises are made for: 10,000 lines and 1,000 series.

#[path = "../tests/suite/generated.rs"]
#[allow(dead_code, reason = "the tests ask more of it than the benches")]
mod generated;

use std::process::{Command, Stdio};

use divan::Bencher;
use generated::Size;
use stanch::analysis::analyse;
use stanch::app::engine::{Engine, Origin};
use stanch::app::investigate::Investigated;
use stanch::config::Config;
use stanch::context::pack;
use stanch::sources::bundle::Bundle;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const SMALL: usize = 1;
const MIDDLE: usize = 10;
const LARGE: usize = 100;
const BUDGET: usize = 8_000;

fn main() {
    divan::main();
}

/// A bundle of 1,000 lines, 100 series and 10 changes, times `factor`.
fn bundle(factor: usize) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let size = Size { lines: 1_000 * factor, series: 100 * factor, changes: 10 * factor };
    generated::write(folder.path(), size, None);
    folder
}

fn investigated(folder: &TempDir) -> Investigated {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bundle = Bundle::open(folder.path()).expect("a bundle");
    let engine = Engine::new(Config::default(), None, Origin::Replay(bundle), None, None).expect("an engine");
    runtime.block_on(async {
        let incident = engine.incident(None).await.expect("an incident");
        engine
            .investigate(incident, None, &CancellationToken::new(), |_| {})
            .await
            .expect("a baseline")
            .expect("not cancelled")
    })
}

/// Reading, asking and analysing, without the start of a process.
#[divan::bench(args = [SMALL, MIDDLE, LARGE], max_time = 10)]
fn investigate(bencher: Bencher<'_, '_>, factor: usize) {
    let folder = bundle(factor);
    bencher.bench_local(|| investigated(&folder));
}

#[divan::bench(args = [SMALL, MIDDLE, LARGE], max_time = 10)]
fn analysis(bencher: Bencher<'_, '_>, factor: usize) {
    let snapshot = investigated(&bundle(factor)).snapshot;
    bencher.bench_local(|| analyse(&snapshot));
}

#[divan::bench(args = [SMALL, MIDDLE, LARGE], max_time = 10)]
fn packing(bencher: Bencher<'_, '_>, factor: usize) {
    let analysis = investigated(&bundle(factor)).analysis;
    bencher.bench_local(|| pack(&analysis, BUDGET));
}

/// `stanch pack` from start to exit.
#[divan::bench(args = [SMALL, MIDDLE, LARGE], max_time = 10)]
fn program(bencher: Bencher<'_, '_>, factor: usize) {
    let folder = bundle(factor);
    bencher.bench_local(|| {
        let status = Command::new(env!("CARGO_BIN_EXE_stanch"))
            .args(["pack", "--json", "--budget", &BUDGET.to_string(), "--replay"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .status()
            .expect("the program starts");
        assert!(status.success(), "the program answers");
    });
}
