//! `logs.ndjson`: one entry a line, `{"ts":"<unix ns>","labels":{…},"line":"…"}`, optionally with `"metadata":{…}`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::files::{Limits, Line, Lines, read_failure};
use crate::domain::log::LogEntry;
use crate::domain::query::{Note, NoteKind};
use crate::domain::{Labels, Text, Timestamp};

/// At most so many bytes of one entry's line are kept.
const MAX_LINE: usize = 256 << 10;

/// One line as it stands in the file.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    ts: &'a RawValue,
    #[serde(borrow, default)]
    labels: Option<&'a RawValue>,
    #[serde(borrow)]
    line: Cow<'a, str>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// Reads all entries, sorted by time. What cannot be read is skipped and said in the notes; when the file ends too
/// early, what came before counts.
pub(super) fn read(file: &str, reader: impl Read, limits: &Limits) -> (Vec<LogEntry>, Vec<Note>) {
    let mut lines = Lines::new(reader, limits.line_bytes);
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut notes = Vec::new();
    let mut streams = Streams::default();
    let (mut number, mut bad, mut beyond, mut shortened) = (0_u64, Bad::default(), 0_u64, 0_u64);
    loop {
        let line = match lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => {
                note(
                    &mut notes,
                    NoteKind::Cut,
                    &format!("{file} {} after line {number}; what came before is used", read_failure(&error)),
                );
                break;
            }
        };
        number += 1;
        let bytes = match line {
            Line::Text(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => continue,
            Line::Text(bytes) => bytes,
            Line::Overlong => {
                bad.add(number, format!("longer than {} MiB", limits.line_bytes >> 20));
                continue;
            }
        };
        if entries.len() >= limits.log_entries {
            beyond += 1;
            continue;
        }
        match parse(bytes, &mut streams) {
            Ok((entry, cut)) => {
                shortened += u64::from(cut);
                entries.push(entry);
            }
            Err(why) => bad.add(number, why),
        }
    }
    if let Bad { count: 1.., first_line, first_why, .. } = &bad {
        let count = bad.count;
        note(
            &mut notes,
            NoteKind::Warning,
            &format!(
                "{file}: {count} lines could not be read and were skipped (first: line {first_line}, {first_why})"
            ),
        );
    }
    if beyond > 0 {
        note(
            &mut notes,
            NoteKind::Cut,
            &format!("{file}: {beyond} entries beyond the first {} were left out", limits.log_entries),
        );
    }
    if shortened > 0 {
        note(&mut notes, NoteKind::Cut, &format!("{file}: {shortened} lines were cut to {} KiB", MAX_LINE >> 10));
    }
    if !entries.is_sorted_by_key(|entry| entry.at) {
        entries.sort_by_key(|entry| entry.at);
        note(&mut notes, NoteKind::Info, &format!("{file} is not sorted by time; it was sorted on reading"));
    }
    (entries, notes)
}

fn note(notes: &mut Vec<Note>, kind: NoteKind, text: &str) {
    notes.push(Note { kind, text: Text::new(text) });
}

#[derive(Default)]
struct Bad {
    count: u64,
    first_line: u64,
    first_why: String,
}

impl Bad {
    fn add(&mut self, line: u64, why: String) {
        if self.count == 0 {
            self.first_line = line;
            self.first_why = why;
        }
        self.count += 1;
    }
}

/// The label sets met so far, by their text in the file: entries of a stream share one.
#[derive(Default)]
struct Streams(HashMap<String, Arc<Labels>>);

impl Streams {
    fn labels(&mut self, raw: &str) -> Result<Arc<Labels>, String> {
        if let Some(known) = self.0.get(raw) {
            return Ok(Arc::clone(known));
        }
        let labels: Labels = serde_json::from_str(raw).map_err(|error| format!("labels: {error}"))?;
        let labels = Arc::new(labels);
        self.0.insert(raw.to_owned(), Arc::clone(&labels));
        Ok(labels)
    }
}

/// The entry, and whether its line had to be shortened.
fn parse(bytes: &[u8], streams: &mut Streams) -> Result<(LogEntry, bool), String> {
    let raw: Raw<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let at = timestamp(raw.ts.get()).ok_or_else(|| {
        let shown: String = raw.ts.get().chars().take(40).collect();
        format!("`ts` is {shown}, not nanoseconds since 1970")
    })?;
    let labels = streams.labels(raw.labels.map_or("{}", RawValue::get))?;
    let metadata = match raw.metadata {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|error| format!("metadata: {error}"))?,
        None => Labels::new(),
    };
    let mut end = raw.line.len().min(MAX_LINE);
    while !raw.line.is_char_boundary(end) {
        end -= 1;
    }
    let cut = end < raw.line.len();
    Ok((LogEntry { at, labels, line: Text::new(&raw.line[..end]), metadata }, cut))
}

/// Nanoseconds as a string or a number, as Loki writes them; RFC 3339 is understood too.
fn timestamp(raw: &str) -> Option<Timestamp> {
    let text = raw.trim().trim_matches('"');
    text.parse().ok().map(Timestamp::from_nanos).or_else(|| Timestamp::parse_rfc3339(text))
}
