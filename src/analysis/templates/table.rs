//! The table of forms: lines that differ only in masked parts and values are one form, found by one hash of the line.
//!
//! A form is told by its stream (a service, or everything in one file) and its fixed parts, so what the table holds
//! does not depend on the order of the lines while there is room. Memory is bounded by the number of forms, not of
//! lines: when the table is full, unseen lines are collected coarsely by how they begin, and counted as folded.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::lexer::Sink;

/// Forms kept apart; after that only beginnings are.
pub(super) const MAX_FORMS: usize = 30_000;
/// Coarse forms on top of that; after those, one form per stream holds the rest.
pub(super) const MAX_COARSE: usize = 4_000;
/// Values followed in one line.
pub(super) const MAX_SLOTS: usize = 24;
/// Words of a line that tell coarse forms apart.
const COARSE_WORDS: u32 = 4;

/// What the lines of one form have in common.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// The stream that it belongs to.
    pub stream: u32,
    /// Hash of each value while it never varied; 0 once it did.
    pub slots: Box<[u64]>,
    /// How much of the line is fixed: everything, its first words, or nothing.
    pub precision: Precision,
    /// Lines.
    pub count: u64,
}

/// How much of a form's text is common to its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// All fixed parts.
    Full,
    /// The first words.
    Beginning,
    /// Only the stream.
    Stream,
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

/// All forms, in order of first appearance.
#[derive(Default)]
pub(super) struct Table {
    pub shapes: Vec<Shape>,
    /// Lines that went into a coarse form.
    pub folded: u64,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Identity>>,
}

impl Table {
    /// Whether another form can be kept whole.
    pub(super) fn has_room(&self) -> bool {
        self.shapes.len() < MAX_FORMS
    }

    /// Counts the line that `sink` has read; the index of its form.
    pub(super) fn record(&mut self, sink: &HashSink) -> u32 {
        if let Some(&at) = self.by_hash.get(&sink.hash) {
            let shape = &mut self.shapes[at as usize];
            for (known, seen) in shape.slots.iter_mut().zip(&sink.slots[..sink.used]) {
                if *known != *seen {
                    *known = 0;
                }
            }
            shape.count += 1;
            return at;
        }
        let (hash, precision) = if sink.is_coarse {
            self.folded += 1;
            let coarse = mix(sink.coarse, 0xC0A2);
            if self.by_hash.contains_key(&coarse) || self.shapes.len() < MAX_FORMS + MAX_COARSE {
                (coarse, Precision::Beginning)
            } else {
                (mix(u64::from(sink.stream), 0xA11), Precision::Stream)
            }
        } else {
            (sink.hash, Precision::Full)
        };
        let slots: &[u64] = if precision == Precision::Full { &sink.slots[..sink.used] } else { &[] };
        let shapes = &mut self.shapes;
        let at = *self.by_hash.entry(hash).or_insert_with(|| {
            shapes.push(Shape { stream: sink.stream, slots: slots.into(), precision, count: 0 });
            (shapes.len() - 1) as u32
        });
        self.shapes[at as usize].count += 1;
        at
    }
}

/// Reads a line into hashes: one of all fixed parts, one of its beginning, one of each value.
pub(super) struct HashSink {
    stream: u32,
    hash: u64,
    /// Whether beginnings are of interest yet.
    is_coarse: bool,
    coarse: u64,
    words: u32,
    slots: [u64; MAX_SLOTS],
    used: usize,
}

impl Default for HashSink {
    fn default() -> Self {
        Self { stream: 0, hash: 0, is_coarse: false, coarse: 0, words: 0, slots: [0; MAX_SLOTS], used: 0 }
    }
}

impl HashSink {
    /// Begins a line of `stream`; `has_room` says whether unseen lines become forms of their own.
    pub(super) fn start(&mut self, stream: u32, has_room: bool) {
        self.is_coarse = !has_room;
        self.stream = stream;
        self.hash = mix(0x5EED, u64::from(stream));
        self.coarse = self.hash;
        self.words = 0;
        self.used = 0;
    }
}

impl Sink<'_> for HashSink {
    fn literal(&mut self, text: &str) {
        self.hash = hash_bytes(self.hash, text.as_bytes());
        if self.is_coarse && self.words < COARSE_WORDS && text.len() > 1 {
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
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        hash = mix(hash, u64::from_le_bytes(*word));
        rest = behind;
    }
    // Two words that may overlap hold four to seven bytes; the length says how.
    let tail = match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (Some(head), Some(end)) => u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*end)),
        _ => rest.iter().fold(0, |tail, &byte| tail << 8 | u64::from(byte)),
    };
    mix(hash, tail ^ (bytes.len() as u64) << 56)
}
