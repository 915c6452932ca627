//! Values of fields, gathered by request: what a telling value is sought in.
//!
//! Fields come from labels, structured metadata and the line (JSON, logfmt, `key: value`), and from the variable parts
//! of templates, which are named by the word in front of them. What identifies, measures or dates a line, and what
//! only says again how it went, is no field here. Work and memory are bounded by lines and values per service.

use std::collections::HashMap;

use super::forms::hash_bytes;
use super::merge::Token;
use super::reading::LogReading;
use crate::analysis::fields::{self, plain};
use crate::analysis::periods::WINDOW;
use crate::analysis::requests::{Ids, kind_of};
use crate::domain::labels::SERVICE_LABELS;
use crate::domain::log::LogEntry;

/// Lines read of one service, about.
const MAX_LINES: u64 = 20_000;
/// Different values of a field; a field with more tells lines apart but groups none.
const MAX_VALUES: u32 = 400;
/// Fields of a service.
const MAX_FIELDS: u32 = 400;
/// Bytes of a value.
const MAX_VALUE: usize = 64;

/// A field of one service's lines.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub name: String,
    /// Different values seen.
    pub values: u32,
    /// Whether its values say how a request went: a status, an outcome.
    pub is_outcome: bool,
    /// Whether it names a replica: a pod, a host.
    pub is_replica: bool,
}

/// A value of a field.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub field: u32,
    pub text: String,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// Index of the entry.
    pub entry: u32,
    pub template: u32,
    /// Index of the request it belongs to.
    pub unit: u32,
    pub period: usize,
    /// Its own duration, in whatever unit the template writes it; negative where it has none.
    pub duration: f64,
    /// Its status says that the server failed.
    pub is_failure: bool,
}

/// Everything gathered.
#[derive(Default)]
pub(super) struct Gathered {
    pub fields: Vec<Field>,
    pub values: Vec<Value>,
    pub lines: Vec<Line>,
    /// Service of each unit.
    pub services: Vec<u32>,
    /// For each unit, its values, sorted and without doubles.
    pub units: Vec<Vec<u32>>,
    field_of: HashMap<(u32, u64), u32>,
    value_of: HashMap<(u32, u64), u32>,
    fields_in: HashMap<u32, u32>,
}

impl Gathered {
    /// Reads the events of `reading`.
    pub(super) fn of(reading: &LogReading<'_>) -> Self {
        let mut lines_in: HashMap<u32, u64> = HashMap::new();
        for template in &reading.templates {
            let count: u64 =
                template.forms.iter().map(|form| reading.forms.all[*form as usize].counts.iter().sum::<u64>()).sum();
            *lines_in.entry(template.service).or_default() += count;
        }
        let literals: Vec<Vec<u64>> = reading.templates.iter().map(|one| words_of(&one.tokens)).collect();
        let mut out = Self::default();
        let mut unit_of: HashMap<u64, u32> = HashMap::new();
        let mut held: Vec<u32> = Vec::new();
        for (index, template) in reading.events() {
            let entry = &reading.entries[index as usize];
            let Some(period) = reading.periods.of_entry(entry) else { continue };
            let service = reading.templates[template as usize].service;
            let step = lines_in.get(&service).copied().unwrap_or(0).div_ceil(MAX_LINES).max(1);
            let ids = Ids::of(entry);
            let own = || hash_bytes(entry.at.nanos().cast_unsigned(), entry.line.as_bytes());
            let key = hash_bytes(u64::from(service), &ids.map_or_else(own, |ids| ids.trace).to_le_bytes());
            if !(key >> 7).is_multiple_of(step) {
                continue;
            }
            let unit = if ids.is_some() {
                *unit_of.entry(key).or_insert(out.units.len() as u32)
            } else {
                out.units.len() as u32
            };
            if unit as usize == out.units.len() {
                out.units.push(Vec::new());
                out.services.push(service);
            }
            held.clear();
            let mut line = Line { entry: index, template, unit, period, duration: -1.0, is_failure: false };
            out.read(entry, service, &literals[template as usize], &mut line, &mut held);
            out.units[unit as usize].extend_from_slice(&held);
            out.lines.push(line);
        }
        for values in &mut out.units {
            values.sort_unstable();
            values.dedup();
        }
        out
    }

    fn read(&mut self, entry: &LogEntry, service: u32, literals: &[u64], line: &mut Line, held: &mut Vec<u32>) {
        for (key, value) in entry.labels.iter().chain(entry.metadata.iter()) {
            if !SERVICE_LABELS.contains(&key) {
                self.see(service, key, value, line, held);
            }
        }
        let text = super::lexer::first_line(&entry.line);
        let is_structured = text.starts_with('{');
        let mut prose = if is_structured { None } else { Some(text) };
        fields::scan(text, &mut |key, value| {
            if is_structured && matches!(class_of(key), Class::Prose) && value.contains(' ') {
                prose = prose.or(Some(value));
            }
            self.see(service, key, value, line, held);
        });
        if let Some(prose) = prose {
            self.read_prose(prose, service, literals, line, held);
        }
    }

    fn see(&mut self, service: u32, key: &str, value: &str, line: &mut Line, held: &mut Vec<u32>) {
        match class_of(key) {
            Class::Duration => {
                if let Some(duration) = duration_of(value).filter(|_| line.duration < 0.0) {
                    line.duration = duration;
                }
            }
            Class::Status => {
                line.is_failure |=
                    value.len() == 3 && value.starts_with('5') && value.bytes().all(|b| b.is_ascii_digit());
                self.hold(service, key, value, held);
            }
            Class::Data => self.hold(service, key, value, held),
            Class::Prose | Class::Nothing => {}
        }
    }

    /// Variable parts of prose, each named by the word in front of it.
    fn read_prose(&mut self, prose: &str, service: u32, literals: &[u64], line: &mut Line, held: &mut Vec<u32>) {
        let mut name = "";
        let mut distance = 0;
        let mut words = prose.split([' ', '\t']).filter(|word| !word.is_empty()).take(60).peekable();
        while let Some(word) = words.next() {
            distance += 1;
            let bare =
                word.trim_matches(|c: char| matches!(c, ',' | ';' | ':' | '.' | '(' | ')' | '[' | ']' | '"' | '\''));
            if bare.is_empty() || word.contains(['=', '{', '}', '<']) || word.contains("\":") {
                continue;
            }
            if bare.as_bytes()[0].is_ascii_digit() {
                let unit = words.peek().copied().unwrap_or_default().trim_end_matches([',', '.', ')', ']']);
                if let Some(duration) = timed(bare, unit).filter(|_| line.duration < 0.0) {
                    line.duration = duration;
                    continue;
                }
            }
            let is_name = bare.len() > 1 && bare.len() <= 24 && bare.bytes().all(|byte| byte.is_ascii_alphabetic());
            let is_variable = literals.binary_search(&hash_bytes(2, bare.as_bytes())).is_err();
            let is_given = bare.bytes().any(|b| b.is_ascii_digit() || b == b'_')
                || bare.len() > 1 && bare.len() <= 12 && bare.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
            // `key: value` is a field already; `NYSE` behind `exchange` is one even where templates are apart.
            if !name.is_empty() && distance <= 2 && (is_variable || is_given) && !is_measure(bare) {
                let class = class_of(name);
                if matches!(class, Class::Data) && !is_level(bare) {
                    if distance == 1 {
                        self.hold(service, name, bare, held);
                    } else {
                        self.hold(service, &format!("{name} …"), bare, held);
                    }
                }
            }
            let is_fixed = !is_variable && (!is_given || name.is_empty());
            if is_name && is_fixed && !is_level(bare) {
                name = bare;
                distance = 0;
            }
        }
    }

    fn hold(&mut self, service: u32, name: &str, value: &str, held: &mut Vec<u32>) {
        if value.is_empty() || value.len() > MAX_VALUE || value.matches(' ').count() > 3 {
            return;
        }
        // `2.4` is a version where the field says so, and a measure elsewhere.
        let names_release = ["version", "release", "tag", "build", "image"];
        if is_measure(value) && !names_release.iter().any(|part| name.to_ascii_lowercase().contains(part)) {
            return;
        }
        let key = (service, hash_bytes(3, name.as_bytes()));
        let field = if let Some(field) = self.field_of.get(&key) {
            *field
        } else {
            let count = self.fields_in.entry(service).or_default();
            if *count >= MAX_FIELDS {
                return;
            }
            *count += 1;
            let field = self.fields.len() as u32;
            self.fields.push(Field {
                name: name.to_owned(),
                values: 0,
                is_outcome: matches!(class_of(name), Class::Status),
                is_replica: is_replica(name),
            });
            self.field_of.insert(key, field);
            field
        };
        let info = &mut self.fields[field as usize];
        if info.values > MAX_VALUES {
            return;
        }
        let key = (field, hash_bytes(4, value.as_bytes()));
        let id = if let Some(id) = self.value_of.get(&key) {
            *id
        } else {
            info.values += 1;
            if info.values > MAX_VALUES {
                return;
            }
            let id = self.values.len() as u32;
            self.values.push(Value { field, text: value.to_owned() });
            self.value_of.insert(key, id);
            id
        };
        held.push(id);
    }

    /// Whether a field has too many values to group lines by.
    pub(super) fn is_open(&self, field: u32) -> bool {
        self.fields[field as usize].values > MAX_VALUES
    }

    /// Whether each unit belongs to the window: one that reaches into it does.
    pub(super) fn in_window(&self) -> Vec<bool> {
        let mut out = vec![false; self.units.len()];
        for line in &self.lines {
            out[line.unit as usize] |= line.period == WINDOW;
        }
        out
    }
}

/// Hashes of the fixed words of a template, sorted.
fn words_of(tokens: &[Token<'_>]) -> Vec<u64> {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Literal(word) | Token::Pinned(word) => text.push_str(word),
            Token::Space => text.push(' '),
            Token::Mask | Token::Value(_) => text.push('\0'),
        }
    }
    let mut out: Vec<u64> = text
        .split(' ')
        .map(|word| {
            word.trim_matches(|c: char| matches!(c, ',' | ';' | ':' | '.' | '(' | ')' | '[' | ']' | '"' | '\''))
        })
        .map(|word| hash_bytes(2, word.as_bytes()))
        .collect();
    out.sort_unstable();
    out
}

/// What the name of a field says about its values.
enum Class {
    Duration,
    Status,
    Prose,
    Data,
    Nothing,
}

fn class_of(name: &str) -> Class {
    if kind_of(name).is_some() {
        return Class::Nothing;
    }
    let Some(plain) = plain(name) else { return Class::Data };
    let bytes = plain.as_bytes();
    let ends = |tail: &str| name.ends_with(tail);
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    match bytes {
        b"msg" | b"message" | b"log" | b"body" | b"event" | b"text" | b"shortmessage" | b"description" => Class::Prose,
        b"level"
        | b"lvl"
        | b"severity"
        | b"severitytext"
        | b"severitynumber"
        | b"loglevel"
        | b"detectedlevel"
        | b"levelname"
        | b"error"
        | b"err"
        | b"errors"
        | b"exception"
        | b"exceptiontype"
        | b"exceptionmessage"
        | b"errormessage"
        | b"errortype"
        | b"errorcode"
        | b"errorkind"
        | b"reason"
        | b"cause"
        | b"stack"
        | b"stacktrace"
        | b"exceptionstacktrace"
        | b"ts"
        | b"t"
        | b"time"
        | b"timestamp"
        | b"date"
        | b"datetime"
        | b"asctime"
        | b"caller"
        | b"logger"
        | b"loggername"
        | b"file"
        | b"filename"
        | b"line"
        | b"lineno"
        | b"func"
        | b"function"
        | b"at"
        | b"causedby"
        | b"warn"
        | b"warning"
        | b"info"
        | b"debug"
        | b"failed"
        | b"pid"
        | b"tid"
        | b"seq"
        | b"spanname"
        | b"parentid"
        | b"attempt"
        | b"retries"
        | b"retry" => Class::Nothing,
        b"status"
        | b"code"
        | b"statuscode"
        | b"httpstatus"
        | b"httpcode"
        | b"httpstatuscode"
        | b"responsecode"
        | b"httpresponsestatuscode"
        | b"grpccode"
        | b"grpcstatus"
        | b"outcome"
        | b"result"
        | b"success"
        | b"ok"
        | b"exitcode"
        | b"state"
        | b"downstreamstatus"
        | b"originstatus" => Class::Status,
        b"rt"
        | b"dur"
        | b"cost"
        | b"ms"
        | b"requesttime"
        | b"timetaken"
        | b"took"
        | b"querytime"
        | b"responsetime"
        | b"processingtime"
        | b"upstreamresponsetime" => Class::Duration,
        _ if holds(b"duration") || holds(b"latency") || holds(b"elapsed") || holds(b"responsetime") => Class::Duration,
        _ if ["_ms", "Ms", "_millis", "Millis", "_seconds", "_secs", "_us", "_ns"].iter().any(|tail| ends(tail)) => {
            Class::Duration
        }
        _ => Class::Data,
    }
}

fn is_replica(name: &str) -> bool {
    let Some(plain) = plain(name) else { return false };
    let bytes = plain.as_bytes();
    [&b"pod"[..], b"podname", b"instance", b"host", b"hostname", b"node", b"nodename", b"container", b"containerid"]
        .iter()
        .any(|tail| bytes.ends_with(tail))
}

fn is_level(word: &str) -> bool {
    matches!(
        word.to_ascii_uppercase().as_str(),
        "TRACE"
            | "DEBUG"
            | "INFO"
            | "NOTICE"
            | "WARN"
            | "WARNING"
            | "ERROR"
            | "ERR"
            | "FATAL"
            | "CRITICAL"
            | "GET"
            | "PUT"
    )
}

/// Whether a value is measured or dates something: a fraction, a duration, a time of day, a date.
fn is_measure(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !bytes[0].is_ascii_digit() && bytes[0] != b'-' {
        return false;
    }
    if value.len() >= 8
        && bytes.iter().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-' | b'T' | b'Z' | b'+' | b'/'))
    {
        let separators = bytes.iter().filter(|b| matches!(b, b':' | b'-' | b'/')).count();
        return separators >= 2 || bytes.iter().all(u8::is_ascii_digit);
    }
    let is_fraction = value.contains('.') && value.matches('.').count() == 1 && value.parse::<f64>().is_ok();
    is_fraction || timed(value, "").is_some()
}

/// A number with a unit of time, in seconds: `12ms`, `1.5s`; or a number with the unit in the next word.
fn timed(word: &str, next: &str) -> Option<f64> {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let number: f64 = word[..end].parse().ok()?;
    let unit = if end < word.len() { &word[end..] } else { next };
    let factor = match unit {
        "ms" | "msec" | "millis" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "seconds" => 1.0,
        "us" | "µs" | "μs" | "micros" | "microseconds" => 1e-6,
        "ns" | "nanos" | "nanoseconds" => 1e-9,
        "m" | "min" | "minutes" => 60.0,
        _ => return None,
    };
    Some(number * factor)
}

/// The value of a field that holds a duration, in seconds where it names a unit.
fn duration_of(value: &str) -> Option<f64> {
    timed(value, "").or_else(|| value.parse().ok()).filter(|one: &f64| one.is_finite() && *one >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_measures_are_read() {
        let near = |found: Option<f64>, want: f64| found.is_some_and(|one| (one - want).abs() < 1e-12);
        assert!(near(duration_of("12ms"), 0.012) && near(duration_of("1.5s"), 1.5) && near(duration_of("7"), 7.0));
        assert!(near(timed("300", "ms"), 0.3) && timed("300", "items").is_none() && timed("x", "ms").is_none());
        for measure in ["0.25", "12ms", "10:20:30", "2024-01-02", "1700000000000", "-1.5"] {
            assert!(is_measure(measure), "{measure}");
        }
        for value in ["3", "eu-west-1", "2.4.1", "v2", "500", "LSE"] {
            assert!(!is_measure(value), "{value}");
        }
    }
}
