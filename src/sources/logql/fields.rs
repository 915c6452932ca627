//! Fields out of lines: `json`, `logfmt`, `pattern`, and the units of their values.

use crate::domain::Labels;
use crate::sources::replay::ReplayError;

/// Fields of one line at most.
const MAX_FIELDS: usize = 256;

/// Name of the label that says why a line could not be parsed.
pub(super) const ERROR: &str = "__error__";

/// Adds a field to `labels`. A field named like a label of the stream gets the suffix `_extracted`, as in Loki.
fn add(labels: &mut Labels, stream: &Labels, name: &str, value: &str) {
    if labels.len() >= stream.len() + MAX_FIELDS || name.is_empty() {
        return;
    }
    if stream.get(name).is_some() {
        labels.insert(&format!("{name}_extracted"), value);
    } else {
        labels.insert(name, value);
    }
}

/// A name as a label: what is not a letter, digit or underscore becomes an underscore.
fn label_name(raw: &str) -> String {
    let mut name: String =
        raw.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// Fields of a JSON object, nested ones joined by underscores; arrays are passed over. With `wanted` only the paths
/// asked for, under the names given.
pub(super) fn json(line: &str, wanted: &[(String, String)], stream: &Labels, labels: &mut Labels) {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else {
        labels.insert(ERROR, "JSONParserErr");
        return;
    };
    if !wanted.is_empty() {
        for (name, path) in wanted {
            let found = at_path(&value, path).and_then(shown).unwrap_or_default();
            add(labels, stream, name, &found);
        }
        return;
    }
    let serde_json::Value::Object(fields) = &value else {
        labels.insert(ERROR, "JSONParserErr");
        return;
    };
    for (name, value) in fields {
        flatten(&label_name(name), value, stream, labels);
    }
}

fn flatten(name: &str, value: &serde_json::Value, stream: &Labels, labels: &mut Labels) {
    match value {
        serde_json::Value::Object(fields) => {
            for (inner, value) in fields {
                flatten(&format!("{name}_{}", label_name(inner)), value, stream, labels);
            }
        }
        serde_json::Value::Array(_) | serde_json::Value::Null => {}
        scalar => add(labels, stream, name, &shown(scalar).unwrap_or_default()),
    }
}

fn shown(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// `a.b[0]["c"]`.
fn at_path<'v>(value: &'v serde_json::Value, path: &str) -> Option<&'v serde_json::Value> {
    path.split(['.', '[', ']']).map(|part| part.trim_matches('"')).filter(|part| !part.is_empty()).try_fold(
        value,
        |value, part| match value {
            serde_json::Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            value => value.get(part),
        },
    )
}

/// Fields written as `key=value` or `key="quoted value"`. With `wanted` only those, under the names given.
pub(super) fn logfmt(line: &str, wanted: &[(String, String)], stream: &Labels, labels: &mut Labels) {
    let mut take = |key: &str, value: &str| {
        if wanted.is_empty() {
            if !value.is_empty() {
                add(labels, stream, &label_name(key), value);
            }
        } else if let Some((name, _)) = wanted.iter().find(|(_, source)| source == key) {
            add(labels, stream, name, value);
        }
    };
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let Some(tail) = tail.strip_prefix('=') else {
            rest = tail.trim_start();
            continue;
        };
        if let Some(quoted) = tail.strip_prefix('"') {
            let mut value = String::new();
            let mut escaped = false;
            let mut length = quoted.len();
            for (at, c) in quoted.char_indices() {
                match c {
                    c if escaped => {
                        value.push(if c == 'n' { '\n' } else { c });
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '"' => {
                        length = at + 1;
                        break;
                    }
                    c => value.push(c),
                }
            }
            take(key, &value);
            rest = quoted[length..].trim_start();
        } else {
            let end = tail.find(char::is_whitespace).unwrap_or(tail.len());
            take(key, &tail[..end]);
            rest = tail[end..].trim_start();
        }
    }
}

/// `<ip> - <_> "<method> <path>"`: literal text and captures in turn.
#[derive(Debug, Clone)]
pub(super) struct FieldPattern(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    /// `None` for `<_>`.
    Capture(Option<String>),
}

impl FieldPattern {
    pub(super) fn new(pattern: &str) -> Result<Self, ReplayError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = pattern;
        while !rest.is_empty() {
            let capture = rest.find('<').and_then(|open| {
                let close = open + rest[open..].find('>')?;
                let name = &rest[open + 1..close];
                let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                plain.then_some((open, close, name))
            });
            let Some((open, close, name)) = capture else {
                pieces.push(Piece::Literal(rest.to_owned()));
                break;
            };
            if open > 0 {
                pieces.push(Piece::Literal(rest[..open].to_owned()));
            } else if matches!(pieces.last(), Some(Piece::Capture(_))) {
                return Err(ReplayError::Wrong("pattern: two captures need text between them".into()));
            }
            pieces.push(Piece::Capture((name != "_").then(|| name.to_owned())));
            rest = &rest[close + 1..];
        }
        if pieces.iter().any(|piece| matches!(piece, Piece::Capture(Some(_)))) {
            Ok(Self(pieces))
        } else {
            Err(ReplayError::Wrong("pattern needs at least one named capture such as <name>".into()))
        }
    }

    pub(super) fn extract(&self, line: &str, stream: &Labels, labels: &mut Labels) {
        let mut rest = line;
        for (index, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Literal(text) => {
                    // Text before the first capture must begin the line, as in Loki.
                    let Some(tail) = rest.strip_prefix(text.as_str()) else { return };
                    rest = tail;
                }
                Piece::Capture(name) => {
                    let end = match self.0.get(index + 1) {
                        Some(Piece::Literal(text)) => match rest.find(text.as_str()) {
                            Some(end) => end,
                            None => rest.len(),
                        },
                        _ => rest.len(),
                    };
                    if let Some(name) = name {
                        add(labels, stream, name, &rest[..end]);
                    }
                    rest = &rest[end..];
                }
            }
        }
    }
}

/// Captures of a `regexp` stage as fields.
pub(super) fn regexp(regex: &regex::Regex, line: &str, stream: &Labels, labels: &mut Labels) {
    let Some(found) = regex.captures(line) else { return };
    for name in regex.capture_names().flatten() {
        if let Some(value) = found.name(name) {
            add(labels, stream, name, value.as_str());
        }
    }
}

/// How a value is to be read as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// As it is.
    Plain,
    /// A Go duration; in seconds.
    Duration,
    /// A size; in bytes.
    Bytes,
}

impl Unit {
    /// Reads a literal and tells what it is.
    pub(super) fn of(text: &str) -> Option<(Self, f64)> {
        [Self::Plain, Self::Duration, Self::Bytes].into_iter().find_map(|unit| Some((unit, unit.read(text)?)))
    }

    /// Reads a value.
    pub(super) fn read(self, text: &str) -> Option<f64> {
        match self {
            Self::Plain => text.trim().parse().ok(),
            Self::Duration => duration(text.trim()),
            Self::Bytes => size(text.trim()),
        }
    }
}

/// `1h2m3.5s`, as Go writes durations; in seconds.
fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let tail = &rest[digits..];
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        total += number
            * match &tail[..unit_end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                "w" => 604_800.0,
                _ => return None,
            };
        rest = &tail[unit_end..];
    }
    Some(sign * total)
}

/// `10KB`, `1.5MiB`; in bytes.
fn size(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        _ => return None,
    };
    Some(number * factor)
}
