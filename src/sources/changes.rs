//! Changes from files: what deploy pipelines, flag systems and people leave in a JSON file or a folder of them.
//!
//! A file holds an array as a bundle's `changes.json`: `[{"at","kind","service","ref","summary","author","diff"}]`, or
//! one such object a line. It is read anew for each question, so that a pipeline may append at any time. Nothing is
//! executed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::bundle::settle_changes;
use super::{SourceError, SourceErrorKind, Telemetry};
use crate::domain::change::Change;
use crate::domain::query::{Answer, Data, Note, NoteKind, Query};
use crate::domain::{Text, TimeRange};

const NAME: &str = "changes";
/// Bytes of one file, files of a folder, changes of one answer.
const MAX_BYTES: u64 = 16 << 20;
const MAX_FILES: usize = 1_000;
const MAX_CHANGES: usize = 10_000;

/// A JSON file of changes, or a folder of such files (`*.json`, `*.ndjson`).
#[derive(Debug, Clone)]
pub struct ChangeFiles {
    path: PathBuf,
}

impl ChangeFiles {
    /// Changes at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The changes inside `range`, oldest first.
    fn read(&self, range: TimeRange) -> Result<Answer, SourceError> {
        let mut reading = Reading::default();
        for path in self.files(&mut reading)? {
            match read_file(&path) {
                Ok(text) => reading.take(&path, &text, range),
                // A folder may hold a file that vanished or that is not ours; the single file must be readable.
                Err(why) if path == self.path => return Err(self.error(&why)),
                Err(why) => reading.warn(format!("{}: {why}", path.display())),
            }
        }
        Ok(reading.finish())
    }

    fn files(&self, reading: &mut Reading) -> Result<Vec<PathBuf>, SourceError> {
        if !self.path.is_dir() {
            return Ok(vec![self.path.clone()]);
        }
        let entries = std::fs::read_dir(&self.path).map_err(|error| self.error(&error.to_string()))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "json" || ending == "ndjson"))
            .collect();
        files.sort();
        if files.len() > MAX_FILES {
            reading.cut(format!("{} of {} files read", MAX_FILES, files.len()));
            // Names usually begin with a date: the last are the newest.
            files.drain(..files.len() - MAX_FILES);
        }
        Ok(files)
    }

    fn error(&self, why: &str) -> SourceError {
        SourceError {
            source_name: NAME.into(),
            kind: SourceErrorKind::Broken,
            what: format!("{}: {}", self.path.display(), crate::domain::text::neutralise(why)),
            advice: "write a JSON array of {\"at\",\"kind\",\"service\",\"ref\",\"summary\"} there".into(),
        }
    }
}

impl Telemetry for ChangeFiles {
    fn name(&self) -> &str {
        NAME
    }

    fn answers(&self, query: &Query) -> bool {
        matches!(query, Query::Changes { .. })
    }

    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, SourceError>> {
        async move {
            let Query::Changes { range } = *query else {
                return Err(SourceError {
                    source_name: NAME.into(),
                    kind: SourceErrorKind::Unsupported,
                    what: "only changes are found here".into(),
                    advice: String::new(),
                });
            };
            if tokio::runtime::Handle::try_current().is_err() {
                return self.read(range);
            }
            let files = self.clone();
            tokio::task::spawn_blocking(move || files.read(range))
                .await
                .unwrap_or_else(|error| Err(self.error(&format!("reading failed: {error}"))))
        }
        .boxed()
    }
}

/// What was found so far.
#[derive(Default)]
struct Reading {
    changes: Vec<Change>,
    notes: Vec<Note>,
}

impl Reading {
    /// Takes the changes of one file. What cannot be read is counted and said.
    fn take(&mut self, path: &Path, text: &str, range: TimeRange) {
        let (mut bad, mut first) = (0, String::new());
        let mut one = |raw: &str| match serde_json::from_str::<Change>(raw) {
            Ok(change) if range.contains(change.at) => self.changes.push(change),
            Ok(_) => {}
            Err(error) => {
                if bad == 0 {
                    first = error.to_string();
                }
                bad += 1;
            }
        };
        if text.trim_start().starts_with('[') {
            match serde_json::from_str::<Vec<&RawValue>>(text) {
                Ok(items) => items.iter().for_each(|raw| one(raw.get())),
                Err(error) => {
                    bad = 1;
                    first = error.to_string();
                }
            }
        } else {
            text.lines().filter(|line| !line.trim().is_empty()).for_each(one);
        }
        if bad > 0 {
            self.warn(format!("{}: {bad} changes could not be read (first: {first})", path.display()));
        }
    }

    fn warn(&mut self, text: String) {
        self.notes.push(Note { kind: NoteKind::Warning, text: Text::from(text) });
    }

    fn cut(&mut self, text: String) {
        self.notes.push(Note { kind: NoteKind::Cut, text: Text::from(text) });
    }

    fn finish(mut self) -> Answer {
        settle_changes(&mut self.changes);
        let all = self.changes.len();
        if all > MAX_CHANGES {
            self.changes.drain(..all - MAX_CHANGES);
            self.cut(format!("the latest {MAX_CHANGES} of {all} changes shown"));
        }
        Answer { data: Data::Changes(self.changes), notes: self.notes }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if read as u64 > MAX_BYTES {
        return Err(format!("larger than {} MiB", MAX_BYTES >> 20));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn day() -> Query {
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        Query::Changes { range: TimeRange::new(at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z")) }
    }

    fn references(answer: &Answer) -> Vec<&str> {
        let Data::Changes(changes) = &answer.data else { panic!("{answer:?}") };
        changes.iter().map(|change| change.reference.as_str()).collect()
    }

    #[tokio::test]
    async fn files_and_folders_are_read_anew_for_each_question() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("1.json");
        std::fs::write(
            &one,
            r#"[{"at":"2026-01-01T12:00:00Z","kind":"deploy","ref":"b"},{"at":"2026-01-03T00:00:00Z","kind":"deploy","ref":"late"}]"#,
        )
        .unwrap();
        let source = ChangeFiles::new(folder.path());
        assert_eq!(references(&source.ask(&day()).await.unwrap()), ["b"]);
        std::fs::write(
            folder.path().join("2.ndjson"),
            "{\"at\":\"2026-01-01T11:00:00+01:00\",\"kind\":\"flag\",\"service\":null,\"ref\":\"a\"}\nnot json\n",
        )
        .unwrap();
        let answer = source.ask(&day()).await.unwrap();
        assert_eq!(references(&answer), ["a", "b"]);
        assert!(answer.notes[0].text.contains("1 changes could not be read"), "{:?}", answer.notes);
        assert_eq!(references(&ChangeFiles::new(&one).ask(&day()).await.unwrap()), ["b"]);
    }

    #[tokio::test]
    async fn a_missing_file_says_what_to_write() {
        let error = ChangeFiles::new("/nowhere/changes.json").ask(&day()).await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/changes.json") && !error.advice.is_empty(), "{error}");
        assert!(!ChangeFiles::new("x").answers(&Query::Alerts));
    }
}
