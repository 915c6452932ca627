//! A diagnosis that is being written, shown at a steady pace: networks and servers hand text over in bursts, and text
//! that jumps cannot be read.
//!
//! What has arrived but is not shown yet shrinks by a share with each step, so that the picture is never far behind
//! and never stands still while there is more.

use std::time::Duration;

use crate::domain::Text;
use crate::domain::diagnosis::{Check, Claim, Diagnosis, Hypothesis};

use super::model::{Case, Model};
use super::screen::{Pane, Screen};

/// Time between two steps.
pub const STEP: Duration = Duration::from_millis(33);
/// The share of what is behind that one step shows: a burst is spread over about a third of a second.
const SHARE: usize = 8;
/// Characters that one step shows at least: 120 a second, faster than anybody reads.
const LEAST: usize = 4;

/// Whether the draft on the screen is behind what arrived.
pub fn behind(model: &Model) -> bool {
    visible(model).is_some_and(|case| case.draft.as_ref().is_some_and(|draft| case.revealed < length(&draft.partial)))
}

/// The case whose draft is on the screen.
fn visible(model: &Model) -> Option<&Case> {
    let screen = model.screens.iter().rev().find(|screen| !screen.is_overlay());
    match screen {
        Some(Screen::Incident(screen)) if screen.pane == Pane::Diagnosis => model.cases.get(&screen.incident),
        _ => None,
    }
}

/// One step further. What nobody looks at is shown whole when they come back to it.
pub fn step(model: &mut Model) {
    let seen = visible(model).map(|case| case.incident.id.clone());
    for case in model.cases.values_mut() {
        let Some(draft) = &case.draft else { continue };
        let all = length(&draft.partial);
        if seen.as_ref() == Some(&case.incident.id) {
            let behind = all.saturating_sub(case.revealed);
            case.revealed = (case.revealed + (behind / SHARE).max(LEAST)).min(all);
        } else {
            case.revealed = all;
        }
    }
}

/// Characters of a diagnosis that are shown.
pub fn length(diagnosis: &Diagnosis) -> usize {
    let mut counter = Budget { left: usize::MAX };
    let _ = counter.diagnosis(diagnosis);
    usize::MAX - counter.left
}

/// Characters of one hypothesis.
pub fn hypothesis_length(hypothesis: &Hypothesis) -> usize {
    let mut counter = Budget { left: usize::MAX };
    let _ = counter.hypothesis(hypothesis);
    usize::MAX - counter.left
}

/// As much of a diagnosis as the first `characters` of what is written, in the order in which it is written.
pub fn beginning(diagnosis: &Diagnosis, characters: usize) -> Diagnosis {
    Budget { left: characters }.diagnosis(diagnosis)
}

/// Characters that may still be shown.
struct Budget {
    left: usize,
}

impl Budget {
    fn text(&mut self, text: &Text) -> Text {
        let whole = text.chars().count();
        if whole <= self.left {
            self.left -= whole;
            return text.clone();
        }
        let cut = text.char_indices().nth(self.left).map_or(text.len(), |(at, _)| at);
        self.left = 0;
        Text::new(&text[..cut])
    }

    /// The items up to the one at which it is used up.
    fn items<T>(&mut self, items: &[T], mut shown: impl FnMut(&mut Self, &T) -> T) -> Vec<T> {
        let mut out = Vec::new();
        for item in items {
            if self.left == 0 {
                break;
            }
            out.push(shown(self, item));
        }
        out
    }

    fn claims(&mut self, claims: &[Claim]) -> Vec<Claim> {
        self.items(claims, |budget, claim| {
            let text = budget.text(&claim.text);
            // The ids are written after the sentence.
            let evidence = if budget.left > 0 { claim.evidence.clone() } else { Vec::new() };
            Claim { text, evidence }
        })
    }

    fn hypothesis(&mut self, hypothesis: &Hypothesis) -> Hypothesis {
        Hypothesis {
            id: hypothesis.id.clone(),
            cause: self.text(&hypothesis.cause),
            service: self.text(&hypothesis.service),
            mechanism: self.text(&hypothesis.mechanism),
            supporting: self.claims(&hypothesis.supporting),
            contradicting: self.claims(&hypothesis.contradicting),
            checks: self.items(&hypothesis.checks, |budget, check| Check {
                lang: check.lang,
                query: budget.text(&check.query),
                expect: budget.text(&check.expect),
            }),
            confidence: hypothesis.confidence,
        }
    }

    fn diagnosis(&mut self, diagnosis: &Diagnosis) -> Diagnosis {
        Diagnosis {
            observations: self.claims(&diagnosis.observations),
            hypotheses: self.items(&diagnosis.hypotheses, Self::hypothesis),
            // Actions are not shown before the answer is whole.
            actions: Vec::new(),
            missing: self.items(&diagnosis.missing, Self::text),
            summary: self.text(&diagnosis.summary),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{message::Draft, sample};
    use super::*;

    #[test]
    fn a_beginning_is_as_long_as_wanted_and_grows_to_the_whole() {
        let whole = Diagnosis { actions: Vec::new(), ..sample::conclusion().diagnosed.diagnosis };
        let all = length(&whole);
        assert!(all > 200);
        for characters in 0..all {
            let shown = beginning(&whole, characters);
            assert_eq!(length(&shown), characters);
        }
        assert_eq!(beginning(&whole, all + 1), whole, "ids come with what is written after them");
        assert_eq!(beginning(&whole, 0), Diagnosis::default());
    }

    #[test]
    fn a_burst_is_spread_and_caught_up_with() {
        let mut model = sample::loaded();
        sample::press(&mut model, "⏎3");
        let id = sample::payments().id;
        let partial = Diagnosis { actions: Vec::new(), ..sample::conclusion().diagnosed.diagnosis };
        let all = length(&partial);
        model.cases.get_mut(&id).unwrap().draft = Some(Draft { partial, ..Draft::default() });
        let mut steps = 0;
        let mut last = 0;
        while behind(&model) {
            step(&mut model);
            let now = model.cases[&id].revealed;
            assert!(now > last && now - last <= (all - last).div_ceil(SHARE).max(LEAST));
            (last, steps) = (now, steps + 1);
        }
        assert_eq!(last, all);
        assert!((10..60).contains(&steps), "{steps} steps");
    }

    #[test]
    fn what_nobody_looks_at_is_whole_when_they_come_back() {
        let mut model = sample::loaded();
        sample::press(&mut model, "⏎");
        let id = sample::payments().id;
        let partial = sample::conclusion().diagnosed.diagnosis;
        let all = length(&partial);
        model.cases.get_mut(&id).unwrap().draft = Some(Draft { partial, ..Draft::default() });
        assert!(!behind(&model));
        step(&mut model);
        assert_eq!(model.cases[&id].revealed, all);
    }
}
