//! A log template and a LogQL query in words.

use std::collections::BTreeSet;

use super::Said;
use crate::core::figures::{count, figure};
use crate::core::reading::variables;
use crate::domain::evidence::{Evidence, LogChange, LogDetail};

/// What stands for a variable part of a template.
const VARIABLE: &str = "<*>";
/// Variable parts that are told of.
const PARTS: usize = 12;
/// Values of one that are shown.
const VALUES: usize = 4;

/// A log template in words: what it is, what changed, and what its variable parts hold.
pub(super) fn log(said: &mut Vec<Said>, item: &Evidence, log: &LogDetail) {
    said.push(Said::Exact(log.template.to_string()));
    said.push(Said::Heading("In words".to_owned()));
    let who = item.service.as_deref().unwrap_or("one of the services");
    let level = if log.level.is_empty() { String::new() } else { format!(" of level {}", log.level) };
    said.push(Said::Line(
        0,
        format!("a kind of line{level} that {who} writes; {VARIABLE} stands for what varies from line to line"),
    ));
    let rate = |value: f64| format!("{} a minute", figure(value, ""));
    let (before, now) = (rate(log.baseline_per_minute), rate(log.window_per_minute));
    let times = count(log.window_count);
    said.push(Said::Line(
        0,
        match log.change {
            Some(LogChange::New) => {
                format!("it is new: {times} times now ({now}), and never in the time of comparison")
            }
            Some(LogChange::Vanished) => format!(
                "it is gone: {before} in the time of comparison, and no more; what wrote it no longer gets there"
            ),
            Some(LogChange::More) => format!("it comes more often than chance would have it: {now}, {before} before"),
            Some(LogChange::Fewer) => format!("it comes more rarely than chance would have it: {now}, {before} before"),
            None => format!("it comes as often as before: {times} times, {now}"),
        },
    ));
    if log.outside_baseline {
        said.push(Said::Line(
            0,
            "its service was silent in the time of comparison, so all that it says counts as new".to_owned(),
        ));
    }
    for value in &log.telling {
        let share = value.share.after.map_or_else(String::new, |share| format!(" in {}", figure(share * 100.0, "%")));
        said.push(Said::Line(
            0,
            format!(
                "{} is \"{}\"{share} of the {} lines, and otherwise not so often",
                value.field, value.value, value.among
            ),
        ));
    }
    if let Some(branch) = &log.branch {
        let now = branch.now.as_ref().map_or_else(|| "nothing (requests end there)".to_owned(), ToString::to_string);
        said.push(Said::Line(0, format!("requests take another way than before: now it is followed by {now}")));
    }
    parts(said, log);
}

/// What the variable parts hold, in the entries that were kept.
fn parts(said: &mut Vec<Said>, log: &LogDetail) {
    let open = log.template.matches(VARIABLE).count();
    if open == 0 || log.exemplars.is_empty() {
        return;
    }
    said.push(Said::Heading("What varies".to_owned()));
    let mut values: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); open];
    for entry in &log.exemplars {
        let found = variables(&log.template, &entry.line);
        if found.len() == open {
            for (at, range) in found.into_iter().enumerate() {
                values[at].insert(&entry.line[range]);
            }
        }
    }
    let before: Vec<&str> = log.template.split(VARIABLE).collect();
    for (at, values) in values.iter().enumerate().take(PARTS) {
        let name = before.get(at).and_then(|text| text.split_whitespace().next_back()).unwrap_or_default();
        let name = if name.is_empty() { format!("part {}", at + 1) } else { format!("after \"{name}\"") };
        let shown: Vec<&str> = values.iter().take(VALUES).copied().collect();
        let more = values.len().saturating_sub(VALUES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        said.push(Said::Line(
            0,
            if shown.is_empty() {
                format!("{name}: not in the entries that were kept")
            } else {
                format!("{name}: {}, such as {}{more}", kind(values), shown.join(", "))
            },
        ));
    }
    if open > PARTS {
        said.push(Said::Line(0, format!("… and {} more parts", open - PARTS)));
    }
}

/// What the values look like.
fn kind(values: &BTreeSet<&str>) -> &'static str {
    let all = |test: &dyn Fn(&str) -> bool| values.iter().all(|value| test(value));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if values.len() == 1 {
        "always the same"
    } else if all(&digits) {
        "numbers"
    } else if all(&|value| value.parse::<::core::net::IpAddr>().is_ok()) {
        "addresses"
    } else if all(&|value| value.parse::<f64>().is_ok()) {
        "measurements"
    } else if all(&|value| value.len() >= 8 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')) {
        "ids"
    } else if all(&|value| value.trim_end_matches(|c: char| c.is_alphabetic() || c == 'µ').parse::<f64>().is_ok()) {
        "quantities with a unit"
    } else {
        "words"
    }
}

/// A LogQL query in words: its stream selector and the stages after it, one a line.
pub(super) fn logql(query: &str) -> Vec<Said> {
    let query = query.trim();
    let Some(end) = query.find('}') else {
        return vec![Said::Line(0, "a LogQL query; its stream selector does not end".to_owned())];
    };
    let (selector, rest) = query.split_at(end + 1);
    let mut said = vec![Said::Line(0, format!("log lines of the streams {selector}"))];
    for stage in stages(rest) {
        let (operator, text) = stage;
        said.push(Said::Line(
            1,
            match operator {
                "|=" => format!("that contain {text}"),
                "!=" => format!("that do not contain {text}"),
                "|~" => format!("that match {text}"),
                "!~" => format!("that do not match {text}"),
                _ => match text.split_whitespace().next().unwrap_or_default() {
                    "json" | "logfmt" | "pattern" | "regexp" | "unpack" => format!("read as {text}"),
                    "line_format" => format!("printed as {text}"),
                    "label_format" => format!("with labels made anew: {text}"),
                    "drop" | "keep" => format!("with labels chosen: {text}"),
                    _ => format!("of which {text}"),
                },
            },
        ));
    }
    said
}

/// The stages of a pipeline with their operators; text in quotes is not cut.
fn stages(rest: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut quote = None;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'`')) => quote = Some(byte),
            (None, b'|') => {
                let length = if matches!(bytes.get(at + 1), Some(b'=' | b'~')) { 2 } else { 1 };
                found.push((at, length));
                at += length - 1;
            }
            // After a stage name `!=` compares a label; only in front of a quote it filters lines.
            (None, b'!') if matches!(bytes.get(at + 1), Some(b'=' | b'~')) && line_filter(&rest[..at]) => {
                found.push((at, 2));
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    let ends = found.iter().skip(1).map(|(at, _)| *at).chain([rest.len()]);
    found.iter().zip(ends).map(|((at, length), end)| (&rest[*at..at + length], rest[at + length..end].trim())).collect()
}

/// Whether what stands before can only be followed by a filter of lines: nothing, or a quotation.
fn line_filter(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before.ends_with(['"', '`'])
}
