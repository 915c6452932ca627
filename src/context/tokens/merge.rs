//! Byte pair encoding of one piece: the pair of neighbours with the lowest rank is joined, the leftmost first, until
//! no pair is a token.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::vocabulary::rank;

/// Pieces up to this length are searched through for each join, which is faster than a heap.
const SHORT: usize = 64;

/// Tokens that a piece becomes.
pub(super) fn count(piece: &[u8]) -> usize {
    match piece.len() {
        0 => 0,
        1 => 1,
        _ if rank(piece).is_some() => 1,
        2..=SHORT => short(piece),
        _ => long(piece),
    }
}

fn short(piece: &[u8]) -> usize {
    // Where each part begins, and the rank of it joined with the next.
    let mut parts: Vec<(usize, u32)> =
        (0..piece.len()).map(|at| (at, piece.get(at..at + 2).and_then(rank).unwrap_or(u32::MAX))).collect();
    let joined = |parts: &[(usize, u32)], at: usize| {
        if at + 1 >= parts.len() {
            return u32::MAX;
        }
        let end = parts.get(at + 2).map_or(piece.len(), |(start, _)| *start);
        rank(&piece[parts[at].0..end]).unwrap_or(u32::MAX)
    };
    while let Some(at) = (0..parts.len()).min_by_key(|&at| parts[at].1)
        && parts[at].1 != u32::MAX
    {
        parts.remove(at + 1);
        parts[at].1 = joined(&parts, at);
        if at > 0 {
            parts[at - 1].1 = joined(&parts, at - 1);
        }
    }
    parts.len()
}

/// The same with a heap and a linked list, so that a piece of a megabyte costs no more per byte.
fn long(piece: &[u8]) -> usize {
    let end = piece.len();
    // Of each part: where the one before begins, and where it ends. `end` of a part that is no more: 0.
    let mut before: Vec<usize> = (0..end).map(|at| at.saturating_sub(1)).collect();
    let mut ends: Vec<usize> = (1..=end).collect();
    let mut heap = BinaryHeap::with_capacity(end);
    let pair = |ends: &[usize], at: usize| {
        let next = ends[at];
        (next < end).then(|| rank(&piece[at..ends[next]])).flatten().map(|rank| Reverse((rank, at, ends[next])))
    };
    heap.extend((0..end).filter_map(|at| pair(&ends, at)));
    let mut parts = end;
    while let Some(Reverse((_, at, to))) = heap.pop() {
        // Stale when either part has been joined with another since.
        let next = ends[at];
        if next == 0 || next >= end || ends[next] != to {
            continue;
        }
        ends[at] = to;
        ends[next] = 0;
        if to < end {
            before[to] = at;
        }
        parts -= 1;
        heap.extend(pair(&ends, at));
        if at > 0 {
            heap.extend(pair(&ends, before[at]));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ways_give_the_same_count(piece in proptest::collection::vec(any::<u8>(), 2..80), letters in "[a-f ]{2,80}") {
            for piece in [piece.as_slice(), letters.as_bytes()] {
                prop_assert_eq!(short(piece), long(piece));
            }
        }
    }
}
