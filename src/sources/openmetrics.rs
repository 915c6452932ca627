//! OpenMetrics text with timestamps, as `promtool tsdb create-blocks-from openmetrics` reads it: the history of a
//! bundle. <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>
//!
//! Own code because the well-kept reader for exposition pages replaces OpenMetrics timestamps by the present, which
//! is right for a scrape and wrong for history. Reading is forgiving: a line that cannot be read is counted, never
//! an error, so that one bad line does not cost the incident.

use std::collections::{BTreeMap, HashMap};

use super::series::{SeriesStore, StoredSeries};
use crate::domain::labels::METRIC_NAME;
use crate::domain::metric::{MetricKind, MetricMeta};
use crate::domain::query::{Note, NoteKind};
use crate::domain::{Labels, Text};

/// At most so many samples are read; what lies behind is counted and dropped.
pub const MAX_SAMPLES: usize = 20_000_000;
/// At most so many series.
pub const MAX_SERIES: usize = 1_000_000;

/// Reads OpenMetrics text line by line.
#[derive(Debug, Default)]
pub struct OpenMetricsReader {
    series: Vec<StoredSeries>,
    by_labels: HashMap<Labels, usize>,
    /// The text before the value on the last sample line and the series it stands for: samples of one series come
    /// together, so nearly every line is recognised by comparing bytes.
    last_prefix: String,
    last_series: usize,
    families: BTreeMap<String, MetricMeta>,
    line_number: u64,
    samples: usize,
    ended: bool,
    bad: Tally,
    untimed: Tally,
    after_end: u64,
    dropped: u64,
}

/// How often something happened and where first.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    first_line: u64,
    first_why: &'static str,
}

impl Tally {
    fn add(&mut self, line: u64, why: &'static str) {
        if self.count == 0 {
            self.first_line = line;
            self.first_why = why;
        }
        self.count += 1;
    }
}

impl OpenMetricsReader {
    /// A reader at the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads all of `text`.
    pub fn read(text: &str) -> (SeriesStore, Vec<Note>) {
        let mut reader = Self::new();
        for line in text.lines() {
            reader.line(line.as_bytes());
        }
        reader.finish()
    }

    /// Takes the next line, without its line break.
    pub fn line(&mut self, raw: &[u8]) {
        self.line_number += 1;
        let Ok(text) = std::str::from_utf8(raw) else {
            self.bad.add(self.line_number, "not UTF-8");
            return;
        };
        let text = text.trim_end_matches('\r');
        if text.trim_start().is_empty() {
            return;
        }
        if self.ended {
            self.after_end += 1;
            return;
        }
        if let Some(comment) = text.strip_prefix('#') {
            self.comment(comment.trim_start());
        } else if let Err(why) = self.sample(text) {
            self.bad.add(self.line_number, why);
        }
    }

    /// Counts a line that was too long to be held.
    pub fn overlong_line(&mut self) {
        self.line_number += 1;
        self.bad.add(self.line_number, "too long");
    }

    /// Ends the reading: the series, and what must be said about the text.
    pub fn finish(self) -> (SeriesStore, Vec<Note>) {
        let mut metadata = BTreeMap::new();
        for (family, meta) in self.families {
            // Prometheus shows a counter's metadata under the name its exposition used; people write `X_total`.
            if meta.kind == MetricKind::Counter && !family.ends_with("_total") {
                metadata.insert(format!("{family}_total"), meta.clone());
            }
            metadata.insert(family, meta);
        }
        let (store, superseded) = SeriesStore::new(self.series, metadata);
        let mut notes = Vec::new();
        let mut note = |kind, text: String| notes.push(Note { kind, text: Text::new(&text) });
        if self.bad.count > 0 {
            let Tally { count, first_line, first_why } = self.bad;
            note(
                NoteKind::Warning,
                format!(
                    "metrics: {count} lines could not be read and were skipped (first: line {first_line}, {first_why})"
                ),
            );
        }
        if self.untimed.count > 0 {
            let Tally { count, first_line, .. } = self.untimed;
            note(
                NoteKind::Warning,
                format!("metrics: {count} samples have no timestamp and were skipped (first: line {first_line})"),
            );
        }
        if superseded > 0 {
            note(
                NoteKind::Info,
                format!("metrics: {superseded} samples were given twice for one instant; the last counts"),
            );
        }
        if self.after_end > 0 {
            note(
                NoteKind::Warning,
                format!("metrics: {} lines stand behind `# EOF` and were not read", self.after_end),
            );
        } else if !self.ended && self.line_number > 0 {
            note(NoteKind::Warning, "metrics: the text does not end with `# EOF`; it may have been cut off".into());
        }
        if self.dropped > 0 {
            note(
                NoteKind::Cut,
                format!(
                    "metrics: {} samples left out beyond {MAX_SAMPLES} samples or {MAX_SERIES} series",
                    self.dropped
                ),
            );
        }
        (store, notes)
    }

    fn comment(&mut self, comment: &str) {
        let mut words = comment.splitn(3, ' ');
        let (Some(keyword), Some(rest)) = (words.next(), words.next()) else {
            self.ended |= comment.trim_end() == "EOF";
            return;
        };
        let (name, rest) = if rest.starts_with('"') {
            let after = &comment[keyword.len() + 1..];
            let mut cursor = Cursor { text: after, at: 0 };
            let Ok(name) = cursor.quoted() else { return };
            (name, after[cursor.at..].trim_start())
        } else {
            (rest.to_owned(), words.next().unwrap_or_default())
        };
        if !matches!(keyword, "TYPE" | "HELP" | "UNIT") || (self.families.len() >= MAX_SERIES) {
            return;
        }
        let meta = self.families.entry(crate::domain::text::neutralise(&name).into_owned()).or_default();
        match keyword {
            "TYPE" => {
                meta.kind = match rest.trim() {
                    "counter" => MetricKind::Counter,
                    // `info` and `stateset` are gauges once they are stored.
                    "gauge" | "info" | "stateset" => MetricKind::Gauge,
                    "histogram" | "gaugehistogram" => MetricKind::Histogram,
                    "summary" => MetricKind::Summary,
                    _ => MetricKind::Unknown,
                }
            }
            "HELP" => meta.help = Text::new(&unescape_help(rest)),
            _ => rest.trim().clone_into(&mut meta.unit),
        }
    }

    fn sample(&mut self, text: &str) -> Result<(), &'static str> {
        let rest = match text.strip_prefix(self.last_prefix.as_str()) {
            Some(rest) if !self.last_prefix.is_empty() && rest.starts_with([' ', '\t']) => rest,
            _ => {
                let mut cursor = Cursor { text, at: 0 };
                let labels = cursor.series()?;
                let (prefix, rest) = text.split_at(cursor.at);
                let next = self.series.len();
                if next >= MAX_SERIES && !self.by_labels.contains_key(&labels) {
                    self.dropped += 1;
                    return Ok(());
                }
                self.last_series = *self.by_labels.entry(labels.clone()).or_insert(next);
                if self.last_series == next {
                    self.series.push(StoredSeries { labels, points: Vec::new() });
                }
                prefix.clone_into(&mut self.last_prefix);
                rest
            }
        };
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        let value = float(words.next().ok_or("no value")?).ok_or("the value is not a number")?;
        // What follows `#` is an exemplar.
        let Some(stamp) = words.next().filter(|word| !word.starts_with('#')) else {
            self.untimed.add(self.line_number, "no timestamp");
            return Ok(());
        };
        let at = millis(stamp).ok_or("the timestamp is not a number of seconds")?;
        if words.next().is_some_and(|word| !word.starts_with('#')) {
            return Err("something follows the timestamp");
        }
        if self.samples >= MAX_SAMPLES {
            self.dropped += 1;
            return Ok(());
        }
        self.samples += 1;
        self.series[self.last_series].points.push((at, value));
        Ok(())
    }
}

/// Position in a line.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// `name`, `name{a="b"}`, `{a="b"}` or `{"any name",a="b"}`.
    fn series(&mut self) -> Result<Labels, &'static str> {
        let mut labels = Labels::new();
        self.skip_blanks();
        let end = self.rest().find(['{', ' ', '\t']).unwrap_or(self.rest().len());
        let name = &self.text[self.at..self.at + end];
        if !name.is_empty() {
            if !is_metric_name(name) {
                return Err("not a metric name");
            }
            labels.insert(METRIC_NAME, name);
        }
        self.at += end;
        if !self.eat('{') {
            return if labels.is_empty() { Err("no metric name") } else { Ok(labels) };
        }
        loop {
            self.skip_blanks();
            if self.eat('}') {
                break;
            }
            let label = if self.rest().starts_with('"') {
                let quoted = self.quoted()?;
                self.skip_blanks();
                if !self.rest().starts_with('=') {
                    if labels.get(METRIC_NAME).is_some() {
                        return Err("two metric names");
                    }
                    labels.insert(METRIC_NAME, &quoted);
                    self.separator()?;
                    continue;
                }
                quoted
            } else {
                let end = self.rest().find(['=', ' ', '\t', '}', ',']).ok_or("a label without value")?;
                let label = self.rest()[..end].to_owned();
                self.at += end;
                label
            };
            self.skip_blanks();
            if label.is_empty() || !self.eat('=') {
                return Err("a label without value");
            }
            self.skip_blanks();
            let value = self.quoted()?;
            // An empty value is the same as no label.
            if !value.is_empty() {
                labels.insert(&label, &value);
            }
            self.separator()?;
        }
        if labels.metric().is_none() { Err("no metric name") } else { Ok(labels) }
    }

    fn separator(&mut self) -> Result<(), &'static str> {
        self.skip_blanks();
        if self.eat(',') || self.rest().starts_with('}') { Ok(()) } else { Err("labels are not separated by commas") }
    }

    /// A string in double quotes with `\\`, `\"` and `\n`.
    fn quoted(&mut self) -> Result<String, &'static str> {
        if !self.eat('"') {
            return Err("a value without quotes");
        }
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    let inner = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(if inner.contains('\\') { unescape(inner) } else { inner.to_owned() });
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
        Err("a string without end")
    }
}

fn is_metric_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(escaped @ ('"' | '\\')) => out.push(escaped),
            // An unknown escape stands for itself.
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

fn unescape_help(raw: &str) -> String {
    if raw.contains('\\') { unescape(raw) } else { raw.to_owned() }
}

/// A value: Rust reads what Go does (`NaN`, `+Inf`, `1e3`), except for hexadecimal, which nobody writes here.
fn float(word: &str) -> Option<f64> {
    word.parse().ok()
}

/// Seconds since the epoch, with fraction, as milliseconds.
fn millis(word: &str) -> Option<i64> {
    if let Ok(secs) = word.parse::<i64>() {
        return secs.checked_mul(1000);
    }
    let secs: f64 = word.parse().ok()?;
    // Beyond the years a timestamp can hold the number is nonsense, not a time.
    (secs.is_finite() && secs.abs() < 9.2e9).then(|| (secs * 1e3).round() as i64)
}

/// Writes series as OpenMetrics text that `promtool` and [`OpenMetricsReader`] read: metrics grouped by family,
/// samples of a series together, ending with `# EOF`. Calls `out` with pieces of the text, in order.
pub fn write<E>(store: &SeriesStore, mut out: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    use std::fmt::Write as _;
    // Lines of one family must stand together: `X_total` and `X_bucket` belong to the family `X`.
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in store.names() {
        families.entry(family_of(name, store.metadata())).or_default().push(name);
    }
    for family in store.metadata().keys() {
        // Metadata of a metric without samples is kept too; `X_total` repeats what `X` says.
        families.entry(family_of(family, store.metadata())).or_default();
    }
    let mut text = String::new();
    for (family, names) in families {
        text.clear();
        let plain = is_metric_name(family) && !family.is_empty();
        let shown = if plain { family.to_owned() } else { crate::domain::labels::quote(family) };
        if let Some(meta) = store.metadata().get(family).or_else(|| store.metadata().get(&format!("{family}_total"))) {
            let kind = match meta.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram => "histogram",
                MetricKind::Summary => "summary",
                MetricKind::Unknown => "unknown",
            };
            let _ = writeln!(text, "# TYPE {shown} {kind}");
            // OpenMetrics, and `promtool`, want the unit at the end of the name; another is left out.
            if !meta.unit.is_empty() && family.strip_suffix(&meta.unit).is_some_and(|base| base.ends_with('_')) {
                let _ = writeln!(text, "# UNIT {shown} {}", meta.unit);
            }
            if !meta.help.is_empty() {
                let _ = writeln!(text, "# HELP {shown} {}", escape(&meta.help));
            }
        }
        out(&text)?;
        for name in names {
            for one in store.of_metric(name) {
                let prefix = series_text(&one.labels);
                text.clear();
                for &(at, value) in &one.points {
                    let _ = write!(text, "{prefix} ");
                    push_float(&mut text, value);
                    let _ = if at % 1000 == 0 {
                        writeln!(text, " {}", at / 1000)
                    } else {
                        let sign = if at < 0 { "-" } else { "" };
                        writeln!(text, " {sign}{}.{:03}", (at / 1000).abs(), (at % 1000).abs())
                    };
                }
                out(&text)?;
            }
        }
    }
    out("# EOF\n")
}

/// Endings of the samples of a family, by the types that have them.
const SUFFIXES: [(&str, &[MetricKind]); 5] = [
    ("_total", &[MetricKind::Counter]),
    ("_bucket", &[MetricKind::Histogram]),
    ("_sum", &[MetricKind::Histogram, MetricKind::Summary]),
    ("_count", &[MetricKind::Histogram, MetricKind::Summary]),
    ("_created", &[MetricKind::Counter, MetricKind::Histogram, MetricKind::Summary]),
];

/// The family a metric belongs to, by the metadata that is known.
fn family_of<'a>(name: &'a str, metadata: &BTreeMap<String, MetricMeta>) -> &'a str {
    if let Some(base) = name.strip_suffix("_total")
        && !base.is_empty()
        && metadata.get(name).is_some_and(|meta| meta.kind == MetricKind::Counter)
        && metadata.get(base).is_none_or(|meta| meta.kind == MetricKind::Counter)
    {
        // Prometheus knows a counter by the name of its samples, OpenMetrics by the name before `_total`.
        return base;
    }
    for (suffix, kinds) in SUFFIXES {
        if let Some(base) = name.strip_suffix(suffix)
            && metadata.get(base).is_some_and(|meta| kinds.contains(&meta.kind))
        {
            return base;
        }
    }
    name
}

/// The series as it stands before the value. The metric's name goes into the braces when it needs quotes.
fn series_text(labels: &Labels) -> String {
    use std::fmt::Write as _;
    let name = labels.metric().unwrap_or_default();
    let plain = !name.is_empty() && is_metric_name(name);
    let mut parts = Vec::with_capacity(labels.len());
    if !plain {
        parts.push(crate::domain::labels::quote(name));
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        let quoted = crate::domain::labels::quote(value);
        let is_plain = is_metric_name(label) && !label.contains(':');
        parts.push(if is_plain {
            format!("{label}={quoted}")
        } else {
            format!("{}={quoted}", crate::domain::labels::quote(label))
        });
    }
    let mut out = if plain { name.to_owned() } else { String::new() };
    if !parts.is_empty() {
        let _ = write!(out, "{{{}}}", parts.join(","));
    }
    out
}

fn push_float(out: &mut String, value: f64) {
    use std::fmt::Write as _;
    let _ = if value.is_nan() {
        write!(out, "NaN")
    } else if value.is_infinite() {
        write!(out, "{}Inf", if value > 0.0 { '+' } else { '-' })
    } else if value != 0.0 && !(1e-6..1e17).contains(&value.abs()) {
        // Shortest text that reads back as the same number, without hundreds of zeros.
        write!(out, "{value:e}")
    } else {
        write!(out, "{value}")
    };
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests;
