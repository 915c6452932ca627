//! Fair shares: how many lines of each writer are taken when there is not room for all.

use std::collections::BTreeMap;

/// The greatest number of lines of any one writer such that all together stay within `room` (max-min fairness): who
/// wrote no more is taken whole, all others get exactly so many. `None` when there is room for all.
pub(super) fn fair_share(counts: &BTreeMap<String, u64>, room: u64) -> Option<u64> {
    let mut sorted: Vec<u64> = counts.values().copied().collect();
    sorted.sort_unstable();
    let (mut left, mut writers) = (room, sorted.len() as u64);
    for count in sorted {
        let share = left / writers.max(1);
        if count > share {
            return Some(share);
        }
        left -= count;
        writers -= 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(all: &[u64]) -> BTreeMap<String, u64> {
        all.iter().enumerate().map(|(index, &count)| (format!("s{index}"), count)).collect()
    }

    #[test]
    fn a_flood_gets_what_the_quiet_leave() {
        assert_eq!(fair_share(&counts(&[10, 20, 100_000]), 1_000), Some(970));
        assert_eq!(fair_share(&counts(&[600, 20, 100_000]), 1_000), Some(490));
        assert_eq!(fair_share(&counts(&[10, 20]), 1_000), None);
        assert_eq!(fair_share(&counts(&[]), 1_000), None);
    }

    proptest! {
        #[test]
        fn the_room_is_used_and_never_exceeded(all in prop::collection::vec(0_u64..5_000, 0..40), room in 0_u64..20_000) {
            let total: u64 = all.iter().sum();
            match fair_share(&counts(&all), room) {
                None => prop_assert!(total <= room),
                Some(share) => {
                    let taken: u64 = all.iter().map(|&count| count.min(share)).sum();
                    prop_assert!(taken <= room && total > room);
                    prop_assert!(room - taken < all.len() as u64 + 1);
                }
            }
        }
    }
}
