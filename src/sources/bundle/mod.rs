//! Bundles: one incident on disk, format `stanch-bundle/1`, answering questions as the live servers would.
//!
//! A bundle is a directory, or the same directory in one `.tar.zst` (or `.tar.gz`) file, in which any text file may
//! be gzipped: `manifest.json`, `alerts.json` (Alertmanager's `GET /api/v2/alerts`), `metrics.om` (OpenMetrics with
//! timestamps), `logs.ndjson`, `changes.json`, and optionally `rules.json` (Prometheus' `/api/v1/rules`),
//! `queries.ndjson` (recorded answers), `runbooks.json` and a folder `runbooks` with Markdown files.
//!
//! Opening reads the manifest only; metrics and logs are parsed when first asked for, once.

mod answer;
mod documents;
mod files;
mod logs;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) use documents::settle_changes;
pub use documents::{FORMAT, Manifest};
pub use files::Limits;
use files::{Files, Line, Lines};
pub use write::write;

use super::openmetrics::OpenMetricsReader;
use super::recorder::{Failure, Outcome};
use super::series::SeriesStore;
use crate::domain::alert::{Alert, Rule};
use crate::domain::change::Change;
use crate::domain::log::LogEntry;
use crate::domain::metric::{MetricMeta, Series};
use crate::domain::query::{Answer, Note, NoteKind, Query};
use crate::domain::snapshot::Runbook;
use crate::domain::{Text, TimeRange, Timestamp};

/// Runbooks read from a bundle's folder, at most.
const MAX_RUNBOOKS: usize = 64;

/// The files of a bundle.
pub(super) const FILES: [&str; 9] = [
    "manifest.json",
    "alerts.json",
    "metrics.om",
    "logs.ndjson",
    "changes.json",
    "rules.json",
    "queries.ndjson",
    "runbooks.json",
    "diagnosis.json",
];

/// Why a bundle could not be read or written: which one, which file, which line, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BundleError {
    /// Path of the bundle.
    pub bundle: String,
    /// The file in it, as stored.
    pub file: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty.
    pub advice: String,
}

impl BundleError {
    pub(super) fn new(bundle: &str, what: impl Into<String>) -> Self {
        Self { bundle: bundle.to_owned(), file: None, line: None, what: what.into(), advice: String::new() }
    }

    fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line).filter(|&line| line > 0);
        self
    }

    fn advise(mut self, advice: &str) -> Self {
        advice.clone_into(&mut self.advice);
        self
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bundle {}: ", self.bundle)?;
        if let Some(file) = &self.file {
            write!(f, "{file}")?;
            if let Some(line) = self.line {
                write!(f, " line {line}")?;
            }
            write!(f, " ")?;
        }
        f.write_str(&self.what)?;
        if !self.advice.is_empty() {
            write!(f, " ({})", self.advice)?;
        }
        Ok(())
    }
}

/// Everything a bundle is made of, in memory.
#[derive(Debug, Clone)]
pub struct BundleParts {
    /// What it is about.
    pub manifest: Manifest,
    /// Alerts.
    pub alerts: Vec<Alert>,
    /// Raw series: the metric's name under `__name__`.
    pub metrics: Vec<Series>,
    /// Metadata by metric family.
    pub metadata: BTreeMap<String, MetricMeta>,
    /// Log entries.
    pub logs: Vec<LogEntry>,
    /// Changes.
    pub changes: Vec<Change>,
    /// Rules.
    pub rules: Vec<Rule>,
    /// Runbooks.
    pub runbooks: Vec<Runbook>,
    /// Questions with what became of them.
    pub queries: Vec<(Query, Outcome)>,
}

impl BundleParts {
    /// Parts with nothing but a manifest.
    pub fn new(name: &str, window: TimeRange, baseline: TimeRange) -> Self {
        Self {
            manifest: Manifest {
                format: FORMAT.into(),
                name: name.into(),
                window,
                baseline,
                spoiled: Vec::new(),
                note: Text::default(),
            },
            alerts: Vec::new(),
            metrics: Vec::new(),
            metadata: BTreeMap::new(),
            logs: Vec::new(),
            changes: Vec::new(),
            rules: Vec::new(),
            runbooks: Vec::new(),
            queries: Vec::new(),
        }
    }
}

/// A recorded incident. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Bundle {
    inner: Arc<Inner>,
}

/// One part once it was read, with what must be said about it.
type Loaded<T> = OnceLock<Result<(T, Vec<Note>), BundleError>>;

#[derive(Debug)]
struct Inner {
    manifest: Manifest,
    files: Option<Files>,
    /// Said at opening.
    notes: Vec<Note>,
    alerts: Loaded<Vec<Alert>>,
    metrics: Loaded<SeriesStore>,
    logs: Loaded<Vec<LogEntry>>,
    changes: Loaded<Vec<Change>>,
    rules: Loaded<Vec<Rule>>,
    runbooks: Loaded<Vec<Runbook>>,
    queries: Loaded<HashMap<Query, Outcome>>,
}

impl Bundle {
    /// Opens the bundle at `path`, a directory or an archive. Fails when it is no bundle, of another format, or
    /// dangerous; a missing or partly broken other file is said in [`Bundle::notes`] and in the answers.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BundleError> {
        Self::open_within(path, Limits::default())
    }

    /// [`Bundle::open`] with other limits.
    pub fn open_within(path: impl AsRef<Path>, limits: Limits) -> Result<Self, BundleError> {
        let files = Files::open(path.as_ref(), limits)?;
        let manifest = documents::manifest(&files)?;
        let notes = ["alerts.json", "metrics.om", "logs.ndjson", "changes.json"]
            .into_iter()
            .filter(|name| !files.has(name))
            .map(|name| Note { kind: NoteKind::Info, text: Text::new(&format!("the bundle has no {name}")) })
            .collect();
        Ok(Self { inner: Arc::new(Inner::new(manifest, Some(files), notes)) })
    }

    /// A bundle that exists in memory only.
    pub fn from_parts(parts: BundleParts) -> Self {
        let mut inner = Inner::new(parts.manifest, None, Vec::new());
        let mut logs = parts.logs;
        logs.sort_by_key(|entry| entry.at);
        let mut changes = parts.changes;
        documents::settle_changes(&mut changes);
        let store = SeriesStore::from_series(&parts.metrics, parts.metadata);
        inner.alerts = ready(parts.alerts);
        inner.metrics = ready(store);
        inner.logs = ready(logs);
        inner.changes = ready(changes);
        inner.rules = ready(parts.rules);
        inner.runbooks = ready(parts.runbooks);
        inner.queries = ready(parts.queries.into_iter().collect());
        Self { inner: Arc::new(inner) }
    }

    /// What the bundle is about.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// The time that is examined.
    pub fn window(&self) -> TimeRange {
        self.inner.manifest.window
    }

    /// The time it is compared with.
    pub fn baseline(&self) -> TimeRange {
        self.inner.manifest.baseline
    }

    /// What must be said about the bundle, as far as it was read until now.
    pub fn notes(&self) -> Vec<Note> {
        fn of<T>(part: &Loaded<T>) -> Vec<Note> {
            match part.get() {
                None => Vec::new(),
                Some(Ok((_, notes))) => notes.clone(),
                Some(Err(error)) => {
                    vec![Note { kind: NoteKind::Warning, text: Text::new(&error.to_string()) }]
                }
            }
        }
        let inner = &*self.inner;
        let mut notes = inner.notes.clone();
        notes.extend(of(&inner.alerts));
        notes.extend(of(&inner.metrics));
        notes.extend(of(&inner.logs));
        notes.extend(of(&inner.changes));
        notes.extend(of(&inner.rules));
        notes.extend(of(&inner.runbooks));
        notes.extend(of(&inner.queries));
        notes
    }

    /// The usual distance between samples of its metrics; `None` without metrics. Reads the metrics.
    pub fn sample_interval(&self) -> Result<Option<Duration>, BundleError> {
        let (store, _) = self.inner.metrics()?;
        Ok(store.sample_interval().and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis))
    }

    /// Runbooks (`runbooks.json`: `[{"title","text"}]`, and each `runbooks/TITLE.md`).
    pub fn runbooks(&self) -> Result<&[Runbook], BundleError> {
        self.inner.runbooks().map(|(runbooks, _)| runbooks.as_slice())
    }

    /// Everything in it, for writing it elsewhere. Reads all of it.
    pub fn to_parts(&self) -> Result<BundleParts, BundleError> {
        let inner = &*self.inner;
        let store = &inner.metrics()?.0;
        let mut queries: Vec<_> = inner.queries()?.0.iter().map(|(q, a)| (q.clone(), a.clone())).collect();
        queries.sort_by_cached_key(|(query, _)| serde_json::to_string(query).unwrap_or_default());
        Ok(BundleParts {
            manifest: inner.manifest.clone(),
            alerts: inner.alerts()?.0.clone(),
            metrics: store.to_series(),
            metadata: store.metadata().clone(),
            logs: inner.logs()?.0.clone(),
            changes: inner.changes()?.0.clone(),
            rules: inner.rules()?.0.clone(),
            runbooks: inner.runbooks()?.0.clone(),
            queries,
        })
    }

    /// The present of the bundle: the end of its window.
    pub fn end(&self) -> Timestamp {
        self.inner.manifest.window.end
    }
}

fn ready<T>(value: T) -> Loaded<T> {
    OnceLock::from(Ok((value, Vec::new())))
}

/// A part and its notes, borrowed from the bundle.
type Part<'a, T> = Result<&'a (T, Vec<Note>), BundleError>;

impl Inner {
    fn new(manifest: Manifest, files: Option<Files>, notes: Vec<Note>) -> Self {
        Self {
            manifest,
            files,
            notes,
            alerts: OnceLock::new(),
            metrics: OnceLock::new(),
            logs: OnceLock::new(),
            changes: OnceLock::new(),
            rules: OnceLock::new(),
            runbooks: OnceLock::new(),
            queries: OnceLock::new(),
        }
    }

    fn load<'a, T: Default>(
        &'a self,
        part: &'a Loaded<T>,
        read: impl FnOnce(&Files) -> Result<(T, Vec<Note>), BundleError>,
    ) -> Part<'a, T> {
        part.get_or_init(|| self.files.as_ref().map_or_else(|| Ok(Default::default()), read))
            .as_ref()
            .map_err(Clone::clone)
    }

    fn alerts(&self) -> Part<'_, Vec<Alert>> {
        self.load(&self.alerts, |files| {
            let (alerts, notes) = each::<documents::ApiAlert>(files, "alerts.json")?;
            Ok((alerts.into_iter().map(Alert::from).collect(), notes))
        })
    }

    fn changes(&self) -> Part<'_, Vec<Change>> {
        self.load(&self.changes, |files| {
            let (mut changes, notes) = each(files, "changes.json")?;
            documents::settle_changes(&mut changes);
            Ok((changes, notes))
        })
    }

    fn runbooks(&self) -> Part<'_, Vec<Runbook>> {
        self.load(&self.runbooks, |files| {
            let (mut runbooks, mut notes): (Vec<Runbook>, _) = each(files, "runbooks.json")?;
            for name in files.list("runbooks", ".md", MAX_RUNBOOKS) {
                match documents::markdown(files, &name) {
                    Ok(runbook) => runbooks.extend(runbook),
                    Err(error) => {
                        notes.push(Note { kind: NoteKind::Warning, text: Text::new(&error.to_string()) });
                    }
                }
            }
            Ok((runbooks, notes))
        })
    }

    fn rules(&self) -> Part<'_, Vec<Rule>> {
        self.load(&self.rules, |files| match files.document("rules.json")? {
            Some(bytes) => Ok((documents::rules(files, &bytes)?, Vec::new())),
            None => Ok(Default::default()),
        })
    }

    fn metrics(&self) -> Part<'_, SeriesStore> {
        self.load(&self.metrics, |files| {
            let Some(file) = files.open_file("metrics.om")? else { return Ok(Default::default()) };
            let mut reader = OpenMetricsReader::new();
            let mut number = 0_u64;
            let mut cut = None;
            each_line(files, file.reader, |line| match line {
                Ok(Line::Text(bytes)) => {
                    number += 1;
                    reader.line(bytes);
                }
                Ok(Line::Overlong) => reader.overlong_line(),
                Err(why) => cut = Some(why),
            });
            let (store, mut notes) = reader.finish();
            if let Some(why) = cut {
                if number == 0 {
                    return Err(files.error(&file.stored, why).advise("copy or record the bundle again"));
                }
                let text = format!("{} {why} after line {number}; what came before is used", file.stored);
                notes.push(Note { kind: NoteKind::Cut, text: Text::new(&text) });
            }
            Ok((store, notes))
        })
    }

    fn logs(&self) -> Part<'_, Vec<LogEntry>> {
        self.load(&self.logs, |files| {
            let Some(file) = files.open_file("logs.ndjson")? else { return Ok(Default::default()) };
            Ok(logs::read(&file.stored, file.reader, files.limits()))
        })
    }

    fn queries(&self) -> Part<'_, HashMap<Query, Outcome>> {
        #[derive(Deserialize)]
        struct Recorded {
            query: Query,
            #[serde(flatten)]
            outcome: RecordedOutcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum RecordedOutcome {
            Answer(Answer),
            Failure(Failure),
        }
        self.load(&self.queries, |files| {
            let Some(file) = files.open_file("queries.ndjson")? else { return Ok(Default::default()) };
            let mut answers = HashMap::new();
            let (mut number, mut bad, mut first) = (0_u64, 0_u64, String::new());
            let wide = Limits { line_bytes: files.limits().document_bytes as usize, ..*files.limits() };
            let mut lines = Lines::new(file.reader, wide.line_bytes);
            loop {
                number += 1;
                let why = match lines.next_line() {
                    Ok(None) => break,
                    Ok(Some(Line::Text(bytes))) if bytes.iter().all(u8::is_ascii_whitespace) => continue,
                    Ok(Some(Line::Text(bytes))) => match serde_json::from_slice::<Recorded>(bytes) {
                        Ok(recorded) => {
                            let outcome = match recorded.outcome {
                                RecordedOutcome::Answer(answer) => Ok(answer),
                                RecordedOutcome::Failure(failure) => Err(failure),
                            };
                            answers.entry(recorded.query).or_insert(outcome);
                            continue;
                        }
                        Err(error) => error.to_string(),
                    },
                    Ok(Some(Line::Overlong)) => "too long".to_owned(),
                    Err(error) => {
                        bad += 1;
                        first = files::read_failure(&error);
                        break;
                    }
                };
                if bad == 0 {
                    first = format!("line {number}: {why}");
                }
                bad += 1;
            }
            let mut notes = Vec::new();
            if bad > 0 {
                let text = format!("{}: {bad} recorded answers could not be read ({first})", file.stored);
                notes.push(Note { kind: NoteKind::Warning, text: Text::new(&text) });
            }
            Ok((answers, notes))
        })
    }
}

/// Hands each line of a file to `take`, and ends after the first failure.
fn each_line(files: &Files, reader: Box<dyn std::io::Read + Send>, mut take: impl FnMut(Result<Line<'_>, String>)) {
    let mut lines = Lines::new(reader, files.limits().line_bytes);
    loop {
        match lines.next_line() {
            Ok(Some(line)) => take(Ok(line)),
            Ok(None) => return,
            Err(error) => return take(Err(files::read_failure(&error))),
        }
    }
}

/// Reads a document that is an array, item by item: one that cannot be read is skipped and said.
fn each<T: for<'de> Deserialize<'de>>(files: &Files, name: &str) -> Result<(Vec<T>, Vec<Note>), BundleError> {
    let Some(bytes) = files.document(name)? else { return Ok(Default::default()) };
    let raw: Vec<&RawValue> = borrow_array(files, name, &bytes)?;
    let mut items = Vec::with_capacity(raw.len());
    let (mut bad, mut first) = (0_usize, String::new());
    for (index, one) in raw.iter().enumerate() {
        match serde_json::from_str(one.get()) {
            Ok(item) => items.push(item),
            Err(error) => {
                if bad == 0 {
                    first = format!("item {}: {error}", index + 1);
                }
                bad += 1;
            }
        }
    }
    let mut notes = Vec::new();
    if bad > 0 {
        let text = format!("{name}: {bad} of {} items could not be read and were skipped (first: {first})", raw.len());
        notes.push(Note { kind: NoteKind::Warning, text: Text::new(&text) });
    }
    Ok((items, notes))
}

fn borrow_array<'a>(files: &Files, name: &str, bytes: &'a [u8]) -> Result<Vec<&'a RawValue>, BundleError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = crate::domain::text::neutralise(&error.to_string()).into_owned();
        files.error(name, format!("is not a JSON array: {what}")).at_line(error.line() as u64)
    })
}

#[cfg(test)]
mod tests;
