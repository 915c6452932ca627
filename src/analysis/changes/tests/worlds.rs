//! Worlds made at random: a culprit among decoys, or none. The rates are printed and must not fall below a floor.

use super::effects::{CHANGING_DIFFS, PRESERVING_DIFFS};
use super::*;

/// A linear congruence: even enough, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Minutes from a cause to its effect: mostly few.
    fn delay(&mut self) -> i64 {
        let most = self.of(&[60, 120, 300, 600]);
        10 + self.below(most) as i64
    }
}

const SERVICES: &[&str] = &["pay", "web", "cart", "mail", "search", "stock", "users", "orders"];

/// A world with changes in it, of which `culprit` did it, if one did.
struct World {
    scene: Scene,
    changes: Vec<Change>,
    culprit: Option<usize>,
}

fn world(seed: u64, with_culprit: bool) -> World {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut scene = scene();
    scene.marks = vec![mark("pay", ONSET, 0.8), mark("pay", ONSET + 60, 0.5), mark("web", ONSET + 60, 0.4)];
    let mut changes = Vec::new();
    let mut culprit = None;
    if with_culprit {
        let (diff, _) = dice.of(CHANGING_DIFFS);
        let diff = (dice.below(4) > 0).then_some(diff);
        let at = ONSET - dice.delay();
        if dice.below(5) == 0 {
            changes.push(change(at - 300, "commit", "pay", "the cause", diff));
            changes.push(change(at, "deploy", "pay", "v7", None));
            culprit = Some(1);
        } else {
            changes.push(change(
                at,
                dice.of(&["deploy", "deploy", "rollout", "config", "flag"]),
                "pay",
                "the cause",
                diff,
            ));
            culprit = Some(0);
        }
        // A slow burn shows in one more series, from the beginning.
        if dice.below(4) == 0 {
            let creeping = 600 + dice.below(2_400) as i64;
            for one in &mut changes {
                one.at = Timestamp::from_secs(one.at.secs() - creeping);
            }
            scene.marks.push(mark("pay", ONSET - creeping, 0.8));
        }
    }
    for _ in 0..4 + dice.below(8) {
        let at = ONSET - 5_400 + dice.below(6_600) as i64;
        let service = dice.of(SERVICES);
        changes.push(match dice.below(6) {
            0 => change(at, "deploy", "pay", "refactor", Some(dice.of(PRESERVING_DIFFS))),
            1 => change(at, "deploy", service, "elsewhere", Some(dice.of(CHANGING_DIFFS).0)),
            2 => change(at, "commit", "", "some day", Some(dice.of(CHANGING_DIFFS).0)),
            3 => change(
                ONSET + 60 + dice.below(900) as i64,
                dice.of(&["deploy", "restart", "scale"]),
                "pay",
                "later",
                None,
            ),
            4 => change(at, "flag", service, "off->on", None),
            _ => change(at, "deploy", dice.of(&SERVICES[2..]), "docs: say more", None),
        });
    }
    World { scene, changes, culprit }
}

#[test]
fn culprits_come_first_and_the_innocent_go_free() {
    const WORLDS: u64 = 600;
    let (mut first, mut third, mut free) = (0, 0, 0);
    for seed in 0..WORLDS {
        let guilty = world(seed, true);
        let blamed = guilty.scene.blamed(&guilty.changes);
        first += u64::from(blamed.first().copied() == guilty.culprit);
        third += u64::from(blamed.iter().take(3).any(|index| Some(*index) == guilty.culprit));
        let innocent = world(seed, false);
        free += u64::from(innocent.scene.blamed(&innocent.changes).is_empty());
    }
    let share = |count: u64| count as f64 / WORLDS as f64;
    assert!(share(first) >= 0.9, "culprit first in {:.2}", share(first));
    assert!(share(third) >= 0.95, "culprit in the first three in {:.2}", share(third));
    assert!(share(free) >= 0.85, "none blamed in {:.2}", share(free));
}
