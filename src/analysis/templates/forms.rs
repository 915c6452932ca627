//! First pass over the entries: lines that differ only in masked parts and values are one *form*, found by hash.
//!
//! A form is told by its service and its fixed parts, so what the pass collects does not depend on the order of the
//! entries while the table has room.

use std::collections::HashMap;
use std::sync::Arc;

pub(super) use super::frames::is_continuation;
use super::frames::{Part, Stack};
use super::lexer::scan;
pub(super) use super::table::hash_bytes;
use super::table::{HashSink, Shape, Table};
use crate::analysis::periods::{Periods, WINDOW, speaker};
use crate::domain::Timestamp;
use crate::domain::log::LogEntry;

/// Index that stands for no entry.
pub(super) const NONE: u32 = u32::MAX;

/// Where the entries of one form are.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Index into [`Forms::services`].
    pub service: u32,
    /// An entry that shows it.
    pub sample: u32,
    /// Entries in baseline and window.
    pub counts: [u64; 2],
    /// Earliest entry inside the window.
    pub first: Option<Timestamp>,
    /// Entries worth showing, for baseline and window: earliest, shortest, longest.
    pub picks: [[u32; 3]; 2],
}

/// The forms of all services.
pub(super) struct Forms {
    /// Service names by index.
    pub services: Vec<String>,
    /// What the lines of each form have in common.
    pub shapes: Vec<Shape>,
    /// Where the entries of each form are, in the same order.
    pub all: Vec<Form>,
    /// For each place in the order of entries the index of its form, or [`NONE`].
    pub of: Vec<u32>,
}

/// Time after which a line that looks like a frame no longer belongs to the event above it, in seconds.
const MAX_FRAME_DELAY: u64 = 2;

/// Collects the forms of `entries` in the given order of indices.
pub(super) fn collect(entries: &[LogEntry], order: &[u32], periods: &Periods) -> Forms {
    let mut services = Services::default();
    let mut table = Table::default();
    let mut all: Vec<Form> = Vec::new();
    // The event that is open in each service, and since when.
    let mut open: Vec<(Stack, Option<Timestamp>)> = Vec::new();
    let mut sink = HashSink::default();
    let mut of = vec![NONE; order.len()];
    for (place, &index) in order.iter().enumerate() {
        let entry = &entries[index as usize];
        let Some(period) = periods.of_entry(entry) else { continue };
        let service = services.of(entry);
        if open.len() <= service as usize {
            open.resize(service as usize + 1, (Stack::default(), None));
        }
        let (stack, since) = &mut open[service as usize];
        match stack.part(&entry.line) {
            // A frame belongs to the event above it, when there is one.
            Part::Frame if since.is_some_and(|at| entry.at.since(at).as_secs() < MAX_FRAME_DELAY) => continue,
            // Its exception stands for a traceback.
            Part::Traceback => {
                *since = Some(entry.at);
                continue;
            }
            _ => *since = Some(entry.at),
        }
        sink.start(service, table.has_room());
        scan(&entry.line, &mut sink);
        let form = table.record(&sink);
        of[place] = form;
        if form as usize == all.len() {
            all.push(Form { service, sample: index, counts: [0; 2], first: None, picks: [[NONE; 3]; 2] });
        }
        all[form as usize].count(index, entry, period, entries);
    }
    Forms { services: services.names, shapes: table.shapes, all, of }
}

impl Form {
    fn count(&mut self, index: u32, entry: &LogEntry, period: usize, entries: &[LogEntry]) {
        self.counts[period] += 1;
        if period == WINDOW {
            self.first = Some(self.first.map_or(entry.at, |first| first.min(entry.at)));
        }
        let picks = &mut self.picks[period];
        if picks[0] == NONE {
            *picks = [index; 3];
        } else {
            if entry.line.len() < entries[picks[1] as usize].line.len() {
                picks[1] = index;
            }
            if entry.line.len() > entries[picks[2] as usize].line.len() {
                picks[2] = index;
            }
        }
    }
}

#[derive(Default)]
struct Services {
    names: Vec<String>,
    by_name: HashMap<String, u32>,
    last: Option<(Arc<crate::domain::Labels>, u32)>,
}

impl Services {
    fn of(&mut self, entry: &LogEntry) -> u32 {
        if let Some((labels, id)) = &self.last
            && Arc::ptr_eq(labels, &entry.labels)
        {
            return *id;
        }
        let name = speaker(entry);
        let id = if let Some(id) = self.by_name.get(name) {
            *id
        } else {
            let id = self.names.len() as u32;
            self.names.push(name.to_owned());
            self.by_name.insert(name.to_owned(), id);
            id
        };
        self.last = Some((Arc::clone(&entry.labels), id));
        id
    }
}
