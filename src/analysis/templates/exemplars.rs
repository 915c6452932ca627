//! Entries that show a template best, with the stack frames that belong to them.

use std::collections::HashMap;
use std::sync::Arc;

use super::forms::{self, NONE};
use super::reading::LogReading;
use crate::domain::Text;
use crate::domain::log::LogEntry;

/// Exemplars of one template.
const MOST: usize = 3;
/// Characters of an exemplar, frames included.
const MAX_EXEMPLAR: usize = 4_000;
/// Frames of a stack trace kept with the entry that they belong to, beside the causes.
const MAX_FRAMES: usize = 8;
/// Entries that are searched for the frames of one.
const MAX_SEARCH: usize = 96;

/// What is known of the entries' surroundings.
pub(super) struct Surroundings {
    /// The place of each entry in the reading's order; needed to find what follows an entry.
    places: Vec<u32>,
    /// The entry of each template and period with the most frames below it.
    traced: HashMap<(u32, usize), (u32, u32)>,
}

impl Surroundings {
    pub(super) fn of(reading: &LogReading<'_>) -> Self {
        let mut places = vec![0; reading.entries.len()];
        let mut traced: HashMap<(u32, usize), (u32, u32)> = HashMap::new();
        let mut head: Option<(u32, u32, u32)> = None;
        for (at, (&index, &form)) in reading.order.iter().zip(&reading.forms.of).enumerate() {
            places[index as usize] = at as u32;
            let entry = &reading.entries[index as usize];
            if form != NONE {
                head = Some((index, reading.template_of[form as usize], 0));
            } else if let Some((owner, template, frames)) = &mut head
                && is_same(&reading.entries[*owner as usize], entry)
                && let Some(period) = reading.periods.of_entry(entry)
            {
                *frames += 1;
                let most = traced.entry((*template, period)).or_insert((0, *owner));
                if *frames > most.0 {
                    *most = (*frames, *owner);
                }
            }
        }
        Self { places, traced }
    }
}

/// At most three entries of a template in one period, most telling first. `told` are entries that hold a telling
/// value, `last` is the last one before it vanished; then the longest says most, the earliest when, the shortest says
/// it plainly.
pub(super) fn of_template(
    reading: &LogReading<'_>,
    template: usize,
    period: usize,
    told: &[u32],
    last: Option<u32>,
    around: &Surroundings,
) -> Vec<LogEntry> {
    let places = &around.places;
    let entries = reading.entries;
    let picks: Vec<[u32; 3]> = reading.templates[template]
        .forms
        .iter()
        .map(|index| reading.forms.all[*index as usize].picks[period])
        .filter(|picks| picks[0] != NONE)
        .collect();
    let line = |index: &u32| entries[*index as usize].line.as_str();
    let size = |index: &u32| (line(index).len(), entries[*index as usize].at, line(index));
    let when = |index: &u32| (entries[*index as usize].at, line(index));
    // A stack trace below an entry is worth more than length; the innermost cause is its end.
    let traced = around.traced.get(&(template as u32, period)).map(|(_, index)| *index);
    let longest = traced.or_else(|| picks.iter().map(|picks| picks[2]).max_by(|a, b| size(a).cmp(&size(b))));
    let shortest = picks.iter().map(|picks| picks[1]).min_by(|a, b| size(a).cmp(&size(b)));
    let earliest = picks.iter().map(|picks| picks[0]).min_by(|a, b| when(a).cmp(&when(b)));
    let mut out: Vec<u32> = Vec::new();
    let order = told.iter().copied().take(2).chain(last).chain(longest).chain(earliest).chain(shortest);
    for index in order {
        if out.len() < MOST && out.iter().all(|known| line(known) != line(&index)) {
            out.push(index);
        }
    }
    out.into_iter().map(|index| with_frames(reading, index, places)).collect()
}

/// The lines that follow an entry in its stream and continue it.
fn frames<'a>(reading: &'a LogReading<'_>, index: u32, places: &[u32]) -> impl Iterator<Item = &'a str> + use<'a> {
    let entries = reading.entries;
    let head = &entries[index as usize];
    let from = places[index as usize] as usize + 1;
    let rest = reading.order.iter().skip(from).take(MAX_SEARCH).map(|next| &entries[*next as usize]);
    rest.filter(|entry| is_same(head, entry))
        .take_while(|entry| {
            (forms::is_continuation(&entry.line) || is_cause(&entry.line)) && entry.at.since(head.at).as_secs() < 2
        })
        .map(|entry| entry.line.as_str())
}

/// Whether two entries are of one stream.
fn is_same(a: &LogEntry, b: &LogEntry) -> bool {
    Arc::ptr_eq(&a.labels, &b.labels) || a.labels == b.labels
}

/// Whether a line names the cause of the exception above it.
fn is_cause(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Caused by:") || line.starts_with("caused by:") || line.starts_with("Root cause:")
}

/// The innermost cause below an entry, or inside of it.
fn root_cause<'a>(reading: &'a LogReading<'_>, index: u32, places: &[u32]) -> Option<&'a str> {
    let own = reading.entries[index as usize].line.as_str();
    own.lines().skip(1).chain(frames(reading, index, places)).filter(|line| is_cause(line)).last()
}

/// The entry with the stack frames that follow it in its stream: the first ones, and the innermost cause wherever it
/// stands.
fn with_frames(reading: &LogReading<'_>, index: u32, places: &[u32]) -> LogEntry {
    let head = &reading.entries[index as usize];
    let mut line = head.line.as_str().to_owned();
    let mut count = 0;
    let cause = root_cause(reading, index, places);
    for frame in frames(reading, index, places).take(MAX_FRAMES) {
        line.push('\n');
        line.push_str(frame);
        count += 1;
    }
    let is_short = line.chars().count() <= MAX_EXEMPLAR;
    let is_shown = cause.is_none_or(|cause| is_short && line.contains(cause));
    if count == 0 && is_shown {
        return LogEntry { line: head.line.truncated(MAX_EXEMPLAR), ..head.clone() };
    }
    let mut text = Text::new(&line);
    if let (Some(cause), false) = (cause, is_shown) {
        let room = MAX_EXEMPLAR.saturating_sub(cause.chars().count().min(1_000) + 4);
        text = Text::new(&format!("{}\n…\n{}", text.truncated(room), Text::new(cause).truncated(1_000)));
    }
    LogEntry { line: text.truncated(MAX_EXEMPLAR), ..head.clone() }
}
