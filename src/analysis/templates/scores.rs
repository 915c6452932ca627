//! How much a template's change says, comparable between templates and services.

use std::collections::BTreeMap;

use super::compare::{CONTEXT_SCORE, Counted};
use super::flows::{END, Way};
use super::telling::Told;
use crate::analysis::periods::{BASELINE, Spans, WINDOW};
use crate::domain::evidence::LogChange;

/// What a new line that only continues a new path counts, against where that path begins or ends.
const IMPLIED: f64 = 0.8;

/// How much the level of a template adds to its weight: a new error says more than a new remark.
fn gravity(level: &str) -> f64 {
    match level {
        "error" => 1.0,
        "warn" => 0.85,
        "" => 0.75,
        _ => 0.65,
    }
}

/// Whether the words of a template hold all values that are told with it: then its lines share them because they are
/// its lines, and that adds nothing to their being there.
fn spells_out(one: &Counted<'_>, told: &Told) -> bool {
    let text = one.template.render();
    told.values.iter().all(|value| text.contains(value.value.as_str()))
}

/// Scores of all templates.
pub(super) struct Scores<'a, 's> {
    counted: &'s [Counted<'a>],
    spans: &'s Spans,
    /// Share of a service's templates that were seen exactly once: how incomplete its vocabulary is (Good and Turing).
    novelty: BTreeMap<u32, f64>,
    /// Ways by the template that they part from.
    parting: BTreeMap<u32, Way>,
    /// The surest way that leads to a template.
    leading: BTreeMap<u32, Way>,
    /// Templates that only ever stand inside of a new path.
    implied: &'s [bool],
    told: &'s BTreeMap<u32, Told>,
}

impl<'a, 's> Scores<'a, 's> {
    pub(super) fn of(
        counted: &'s [Counted<'a>],
        ways: &[Way],
        implied: &'s [bool],
        told: &'s BTreeMap<u32, Told>,
        spans: &'s Spans,
    ) -> Self {
        let mut seen: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for one in counted {
            let (once, all) = seen.entry(one.template.service).or_default();
            *all += 1.0;
            if one.counts[BASELINE] + one.counts[WINDOW] == 1 {
                *once += 1.0;
            }
        }
        let mut leading: BTreeMap<u32, Way> = BTreeMap::new();
        for way in ways {
            let best = leading.entry(way.to).or_insert(*way);
            if way.confidence > best.confidence {
                *best = *way;
            }
        }
        Self {
            counted,
            spans,
            novelty: seen.into_iter().map(|(service, (once, all))| (service, once / (all + 2.0))).collect(),
            parting: ways.iter().map(|way| (way.from, *way)).collect(),
            leading,
            implied,
            told,
        }
    }

    fn way(&self, index: usize) -> Option<&Way> {
        self.parting.get(&(index as u32))
    }

    /// The way worth telling with a template: the one that parts from it, or for a new template the one that leads
    /// to it.
    pub(super) fn told_way(&self, index: usize) -> Option<&Way> {
        let is_new = self.counted[index].change(self.spans) == Some(LogChange::New);
        let leading = self.leading.get(&(index as u32)).filter(|_| is_new);
        leading.or_else(|| self.way(index))
    }

    pub(super) fn score(&self, index: usize) -> f64 {
        let one = &self.counted[index];
        let surprise = 1.0 - (1.0 - one.p.max(1e-30).log10() / 2.0).recip();
        let usual = 1.0 - self.novelty.get(&one.template.service).copied().unwrap_or(0.0);
        let gravity_of_own = gravity(one.level);
        let changed = match one.change(self.spans) {
            // Where requests branch off a line that was known before, the new line is no mere new traffic.
            Some(LogChange::New) => {
                let led = self.leading.get(&(index as u32)).map_or(0.0, |way| way.confidence);
                let branched = if led > 0.0 { 0.4 + 0.55 * led } else { 0.0 };
                let implied = if self.implied[index] { IMPLIED } else { 1.0 };
                let by_rate = one.beyond_chance(implied * usual * (0.35 + 0.55 * surprise));
                gravity_of_own * by_rate.max(branched)
            }
            Some(LogChange::Vanished) => one.beyond_chance(usual * (0.25 + 0.5 * surprise)),
            Some(LogChange::More | LogChange::Fewer) => {
                let ratio = (one.rate(WINDOW, self.spans) / one.rate(BASELINE, self.spans)).ln().abs();
                0.7 * gravity_of_own * surprise * (ratio / (ratio + 1.5))
            }
            None => 0.01 + 0.02 * surprise,
        };
        let parted = self.way(index).map_or(0.0, |way| {
            let weight = if way.to == END { 0.8 } else { gravity(self.counted[way.to as usize].level) };
            0.9 * weight * weight * way.confidence
        });
        let own = changed.max(parted).clamp(0.0, 1.0);
        // What the troubled lines have in common tells more than that there are some.
        self.told.get(&(index as u32)).map_or(own, |told| {
            let bonus = if spells_out(one, told) { 0.0 } else { told.bonus };
            own.max(CONTEXT_SCORE).max(told.strength).max(own + (1.0 - own) * bonus)
        })
    }
}
