//! `import`: a bundle from files that other tools wrote.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::app::cli::Import;
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::domain::log::LogEntry;
use crate::domain::{Labels, Text, TimeRange, Timestamp};
use crate::sources::bundle::{self, Bundle, BundleParts, FORMAT};

/// Time before the first alert that belongs to the window, and length of the baseline before it.
const LEAD: Duration = Duration::from_mins(10);
const BASELINE: Duration = Duration::from_hours(1);
/// Most bytes of one log line.
const MAX_LINE: u64 = 1 << 20;

pub(super) fn import(arguments: &Import, output: Output) -> Result<(), Failure> {
    if arguments.output.exists() && !arguments.overwrite {
        let path = arguments.output.display();
        return Err(Failure::usage(format!("{path} exists: name another place, or add --overwrite")));
    }
    let mut parts = read(arguments)?;
    let mut skipped = 0;
    for path in &arguments.logs {
        skipped += logs(path, &mut parts.logs)?;
    }
    parts.logs.sort_by_key(|entry| entry.at);
    let (window, baseline) = times(arguments, &parts)?;
    parts.manifest.window = window;
    parts.manifest.baseline = baseline;
    bundle::write(&arguments.output, &parts, arguments.overwrite)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let document = json!({
        "path": arguments.output, "window": window, "baseline": baseline, "alerts": parts.alerts.len(),
        "series": parts.metrics.len(), "logs": parts.logs.len(), "changes": parts.changes.len(),
        "rules": parts.rules.len(), "skippedLogLines": skipped,
    });
    output.answer(&document, || {
        let (alerts, series, logs, changes) =
            (parts.alerts.len(), parts.metrics.len(), parts.logs.len(), parts.changes.len());
        format!(
            "{}: {alerts} alerts, {series} series, {logs} log entries ({skipped} lines not understood), {changes} \
             changes\nlook at it with: stanch --replay {}\n",
            arguments.output.display(),
            arguments.output.display()
        )
    })
}

/// Reads everything but the logs by laying the files out as a bundle, so that the same reader with the same bounds
/// and the same messages is used.
fn read(arguments: &Import) -> Result<BundleParts, Failure> {
    let folder = Scratch::new()?;
    let any = TimeRange::new(Timestamp::from_secs(0), Timestamp::from_secs(1));
    let manifest = json!({"format": FORMAT, "name": arguments.name, "window": any, "baseline": any});
    let io = |path: &Path, error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let place = folder.0.join("manifest.json");
    fs::write(&place, manifest.to_string()).map_err(|error| io(&place, error))?;
    let files = [
        (&arguments.alerts, "alerts.json"),
        (&arguments.metrics, "metrics.om"),
        (&arguments.changes, "changes.json"),
        (&arguments.rules, "rules.json"),
    ];
    for (path, name) in files {
        if let Some(path) = path {
            let gzipped = path.extension().is_some_and(|ending| ending == "gz");
            let target = folder.0.join(if gzipped { format!("{name}.gz") } else { name.to_owned() });
            fs::copy(path, &target).map_err(|error| io(path, error))?;
        }
    }
    Bundle::open(&folder.0).and_then(|bundle| bundle.to_parts()).map_err(|error| Failure::failed(error.to_string()))
}

/// One log line as `logcli --output=jsonl` or a bundle writes it.
#[derive(Deserialize)]
struct LogLine {
    #[serde(alias = "timestamp")]
    ts: String,
    #[serde(default)]
    labels: Labels,
    line: Text,
}

/// Appends the entries of a file; returns how many lines were not understood.
fn logs(path: &Path, into: &mut Vec<LogEntry>) -> Result<usize, Failure> {
    let fail = |error: std::io::Error| Failure::failed(format!("{}: cannot be read: {error}", path.display()));
    let file = fs::File::open(path).map_err(fail)?;
    let mut reader: Box<dyn std::io::BufRead> = if path.extension().is_some_and(|ending| ending == "gz") {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    let (mut skipped, mut understood) = (0, 0);
    loop {
        let mut bytes = Vec::new();
        if (&mut reader).take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(fail)? == 0 {
            break;
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let parsed = serde_json::from_slice::<LogLine>(&bytes).ok();
        let entry = parsed.and_then(|line| {
            let at = match line.ts.parse::<i64>() {
                Ok(nanos) => Timestamp::from_nanos(nanos),
                Err(_) => Timestamp::parse_rfc3339(&line.ts)?,
            };
            Some(LogEntry { at, labels: line.labels.into(), line: line.line, metadata: Labels::new() })
        });
        match entry {
            Some(entry) => {
                understood += 1;
                into.push(entry);
            }
            None => skipped += 1,
        }
    }
    if understood == 0 && skipped > 0 {
        return Err(Failure::failed(format!(
            "{}: no line was understood: expected JSON lines with `timestamp` (or `ts`), `labels` and `line`, as \
             `logcli query --output=jsonl` prints them",
            path.display()
        )));
    }
    Ok(skipped)
}

/// The window as given, or around the alerts; the baseline is the hour before it.
fn times(arguments: &Import, parts: &BundleParts) -> Result<(TimeRange, TimeRange), Failure> {
    let window = if let Some(window) = arguments.window {
        window
    } else {
        let first = parts.alerts.iter().map(|alert| alert.starts_at).min();
        let samples = parts.metrics.iter().filter_map(|series| series.samples.last()).map(|sample| sample.at);
        let last = samples.chain(parts.logs.last().map(|entry| entry.at)).max();
        let (Some(first), Some(last)) = (first, last.or(first)) else {
            return Err(Failure::usage("the time of the incident is not known: give --window START/END, or --alerts"));
        };
        TimeRange::new(first.minus(LEAD), last.max(first.plus(LEAD)).plus(Duration::from_secs(1)))
    };
    Ok((window, TimeRange::new(window.start.minus(BASELINE), window.start)))
}

/// A folder that is removed when the import ends.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("stanch-import-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        let _ = fs::remove_dir_all(&self.0);
    }
}
