//! First pass over the entries: lines that differ only in masked parts and values are one *form*, found by hash.
//!
//! A form is told by its service and its fixed parts, so what the pass collects does not depend on the order of the
//! entries. Memory is bounded by the number of forms, not of lines: when the table is full, unseen lines are
//! collected coarsely by how they begin.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::lexer::{Sink, scan};
use crate::domain::log::LogEntry;
use crate::domain::{TimeRange, Timestamp};

/// Forms kept apart; after that only beginnings are.
const MAX_FORMS: usize = 30_000;
/// Coarse forms on top of that; after those, one form per service holds the rest.
const MAX_COARSE: usize = 4_000;
/// Values followed in one line.
const MAX_SLOTS: usize = 24;
/// Words of a line that tell coarse forms apart.
const COARSE_WORDS: u32 = 4;
/// Index that stands for no entry.
pub(super) const NONE: u32 = u32::MAX;

/// Lines that are alike up to masks and values.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Index into [`Forms::services`].
    pub service: u32,
    /// An entry that shows it.
    pub sample: u32,
    /// Hash of each value while it never varied; 0 once it did.
    pub slots: Vec<u64>,
    /// How much of the line is fixed: everything, its first words, or nothing.
    pub precision: Precision,
    /// Entries in baseline and window.
    pub counts: [u64; 2],
    /// Earliest entry inside the window.
    pub first: Option<Timestamp>,
    /// Entries worth showing, for baseline and window: earliest, shortest, longest.
    pub picks: [[u32; 3]; 2],
}

/// How much of a form's text is common to its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// All fixed parts.
    Full,
    /// The first words.
    Beginning,
    /// Only the service.
    Service,
}

/// The forms of all services.
pub(super) struct Forms {
    /// Service names by index.
    pub services: Vec<String>,
    /// The forms, in order of first appearance.
    pub all: Vec<Form>,
    /// For each place in the order of entries the index of its form, or [`NONE`].
    pub of: Vec<u32>,
}

/// Index of the baseline in two-element arrays.
pub(super) const BASELINE: usize = 0;
/// Index of the window.
pub(super) const WINDOW: usize = 1;

/// Collects the forms of `entries` in the given order of indices.
pub(super) fn collect(entries: &[LogEntry], order: &[u32], baseline: TimeRange, window: TimeRange) -> Forms {
    let mut services = Services::default();
    let mut table = Table::default();
    let mut streams: HashMap<usize, (u32, Timestamp)> = HashMap::new();
    let mut sink = HashSink::default();
    let mut of = vec![NONE; order.len()];
    for (place, &index) in order.iter().enumerate() {
        let entry = &entries[index as usize];
        let period = if window.contains(entry.at) {
            WINDOW
        } else if baseline.contains(entry.at) {
            BASELINE
        } else {
            continue;
        };
        let service = services.of(entry);
        let stream = service as usize;
        if is_continuation(&entry.line) {
            // A frame belongs to the event above it, when there is one.
            if streams.get(&stream).is_some_and(|(_, at)| entry.at.since(*at).as_secs() < 2) {
                continue;
            }
        } else if streams.len() < 100_000 || streams.contains_key(&stream) {
            streams.insert(stream, (index, entry.at));
        }
        sink.start(service);
        scan(&entry.line, &mut sink);
        of[place] = table.record(&sink, service, index, entry, period, entries);
    }
    Forms { services: services.names, all: table.forms, of }
}

/// Whether the line continues the event above it: a stack frame.
pub(super) fn is_continuation(line: &str) -> bool {
    if !line.starts_with([' ', '.']) {
        return line.starts_with("at ") && line.ends_with(')') || line.starts_with("goroutine ");
    }
    let inner = line.trim_start();
    inner.starts_with("at ")
        || inner.starts_with("File \"")
        || inner.starts_with("...")
        || (line.len() - inner.len() >= 2 && !inner.is_empty())
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
        let name = entry.labels.service().or_else(|| entry.metadata.service()).unwrap_or_default();
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

/// Keys are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = mix(self.0, u64::from(byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[derive(Default)]
struct Table {
    forms: Vec<Form>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Identity>>,
}

impl Table {
    fn record(
        &mut self,
        sink: &HashSink,
        service: u32,
        index: u32,
        entry: &LogEntry,
        period: usize,
        all: &[LogEntry],
    ) -> u32 {
        let (hash, precision) = if self.by_hash.contains_key(&sink.hash) || self.forms.len() < MAX_FORMS {
            (sink.hash, Precision::Full)
        } else {
            let coarse = mix(sink.coarse, 0xC0A2);
            if self.by_hash.contains_key(&coarse) || self.forms.len() < MAX_FORMS + MAX_COARSE {
                (coarse, Precision::Beginning)
            } else {
                (mix(u64::from(service), 0xA11), Precision::Service)
            }
        };
        let slots: &[u64] = if precision == Precision::Full { &sink.slots[..sink.used] } else { &[] };
        let at = *self.by_hash.entry(hash).or_insert_with(|| {
            self.forms.push(Form {
                service,
                sample: index,
                slots: slots.to_vec(),
                precision,
                counts: [0; 2],
                first: None,
                picks: [[NONE; 3]; 2],
            });
            (self.forms.len() - 1) as u32
        });
        let form = &mut self.forms[at as usize];
        for (known, seen) in form.slots.iter_mut().zip(slots) {
            if *known != *seen {
                *known = 0;
            }
        }
        form.counts[period] += 1;
        if period == WINDOW {
            form.first = Some(form.first.map_or(entry.at, |first| first.min(entry.at)));
        }
        let picks = &mut form.picks[period];
        if picks[0] == NONE {
            *picks = [index; 3];
        } else {
            if entry.line.len() < all[picks[1] as usize].line.len() {
                picks[1] = index;
            }
            if entry.line.len() > all[picks[2] as usize].line.len() {
                picks[2] = index;
            }
        }
        at
    }
}

struct HashSink {
    hash: u64,
    coarse: u64,
    words: u32,
    slots: [u64; MAX_SLOTS],
    used: usize,
}

impl Default for HashSink {
    fn default() -> Self {
        Self { hash: 0, coarse: 0, words: 0, slots: [0; MAX_SLOTS], used: 0 }
    }
}

impl HashSink {
    fn start(&mut self, service: u32) {
        self.hash = mix(0x5EED, u64::from(service));
        self.coarse = self.hash;
        self.words = 0;
        self.used = 0;
    }
}

impl Sink<'_> for HashSink {
    fn literal(&mut self, text: &str) {
        self.hash = hash_bytes(self.hash, text.as_bytes());
        if self.words < COARSE_WORDS && text.len() > 1 {
            self.coarse = hash_bytes(self.coarse, text.as_bytes());
            self.words += 1;
        }
    }
    fn space(&mut self) {
        self.hash = mix(self.hash, 0x20);
    }
    fn mask(&mut self) {
        self.hash = mix(self.hash, 0xA5A5);
    }
    fn slot(&mut self, text: &str) {
        self.hash = mix(self.hash, 0x5A5A);
        if self.used < MAX_SLOTS {
            self.slots[self.used] = hash_bytes(1, text.as_bytes()).max(1);
            self.used += 1;
        }
    }
}

/// One step of a multiplicative hash (the constant is 2^64 / φ). Speed matters here, adversaries do not: two lines
/// made to collide would only be counted as one template.
const fn mix(hash: u64, value: u64) -> u64 {
    let product = (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    product ^ (product >> 29)
}

/// Hash of a token; its length ends it, so that `ab` and `a`, `b` differ.
pub(super) fn hash_bytes(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    let mut tail = bytes.len() as u64;
    for &byte in chunks.remainder() {
        tail = (tail << 8) | u64::from(byte);
    }
    mix(hash, tail)
}
