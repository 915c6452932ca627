//! Texts as small numbers, so that a storm is compared by numbers and not by letters.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A text of a [`Symbols`]; equal texts have equal numbers.
pub(super) type Symbol = u32;

/// A map that hashes quickly and always alike.
pub(super) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Folding>>;
/// A set that hashes quickly and always alike.
pub(super) type FastSet<K> = HashSet<K, BuildHasherDefault<Folding>>;

/// Hashes eight bytes at a time: the two halves of a 128-bit product, as wyhash does (Wang Yi, 2019). The standard
/// library's hasher resists chosen keys, and takes most of the time of a storm for it; what is hashed here was written
/// by a site's own rules.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Folding(u64);

impl Folding {
    fn fold(&mut self, word: u64) {
        // Digits of the golden ratio and of pi: any odd numbers without a pattern would do.
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * u128::from(0x243f_6a88_85a3_08d3_u64 ^ word);
        self.0 = (product >> 64) as u64 ^ product as u64 ^ self.0.rotate_left(23);
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length tells `a` from `a\0`.
        self.fold(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = self.0.rotate_left(8) ^ u64::from(byte);
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.fold(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Numbers of texts.
#[derive(Debug, Default)]
pub(super) struct Symbols<'a> {
    numbers: FastMap<&'a str, Symbol>,
    texts: Vec<&'a str>,
}

impl<'a> Symbols<'a> {
    /// The number of a text, a new one if it is new.
    pub(super) fn number(&mut self, text: &'a str) -> Symbol {
        let next = self.texts.len() as Symbol;
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            self.texts.push(text);
        }
        number
    }

    /// The text of a number that [`Self::number`] gave.
    pub(super) fn text(&self, number: Symbol) -> &'a str {
        self.texts[number as usize]
    }
}
