//! The o200k vocabulary: which byte strings are tokens, and at which rank. The table is laid out by `build.rs` and
//! read in place, so there is nothing to load.

include!("hash.rs");

static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k.bin"));

/// The longest token of the vocabulary has 128 bytes.
const LONGEST: usize = 128;

fn number(at: usize) -> usize {
    let at = at * 4;
    match TABLE.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) {
        Some(bytes) => u32::from_le_bytes(bytes) as usize,
        None => 0,
    }
}

/// The rank of a token; `None` when the bytes are none.
pub(super) fn rank(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > LONGEST {
        return None;
    }
    let (tokens, slots) = (number(0), number(1));
    let offsets = 2 + slots;
    let start = (offsets + tokens + 1) * 4;
    let mut slot = hash(bytes) as usize & (slots - 1);
    loop {
        let rank = number(2 + slot).checked_sub(1)?;
        let (from, to) = (number(offsets + rank), number(offsets + rank + 1));
        if TABLE.get(start + from..start + to) == Some(bytes) {
            return Some(rank as u32);
        }
        slot = (slot + 1) & (slots - 1);
    }
}
