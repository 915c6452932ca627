//! From our own count of tokens to a model's: a factor, learnt from what servers report.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::settings::{EndpointSettings, Protocol};

/// Requests remembered: enough for a stable middle, few enough to follow a change of model behind a name.
const REMEMBERED: usize = 32;
/// Counts below this say nothing: the frame around a prompt, which we do not count, outweighs them.
const LEAST_TOKENS: u64 = 200;
/// Factors outside are a server's mistake, for example a count of what was not cached.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 0.4..=4.0;

/// The factor between our count (o200k) and a model's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    start: f64,
    /// Our count and the server's, the last requests, the latest at the end.
    pairs: VecDeque<(u64, u64)>,
}

impl Calibration {
    /// A calibration that has learnt nothing and starts from `factor`.
    pub fn starting_at(factor: f64) -> Self {
        let start = if PLAUSIBLE.contains(&factor) { factor } else { 1.5 };
        Self { start, pairs: VecDeque::new() }
    }

    /// The start for an end point: by the family that the model's name or the protocol gives away.
    pub fn for_endpoint(settings: &EndpointSettings) -> Self {
        let model = settings.model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let is_openai = ["gpt-", "chatgpt", "o1", "o3", "o4", "codex"].iter().any(|family| model.starts_with(family));
        Self::starting_at(match settings.protocol {
            _ if model.contains("claude") => 1.4,
            // Open weights of this family use the same tokens.
            _ if is_openai => 1.0,
            Protocol::Anthropic => 1.4,
            _ => 1.5,
        })
    }

    /// Takes in earlier requests, oldest first: our count and the server's.
    #[must_use]
    pub fn seed(mut self, pairs: impl IntoIterator<Item = (u64, u64)>) -> Self {
        pairs.into_iter().for_each(|(counted, reported)| self.learn(counted, reported));
        self
    }

    /// Takes in one request: our count and the server's. What cannot be is passed over.
    pub fn learn(&mut self, counted: u64, reported: u64) {
        if counted < LEAST_TOKENS || !PLAUSIBLE.contains(&(reported as f64 / counted as f64)) {
            return;
        }
        if self.pairs.len() == REMEMBERED {
            self.pairs.pop_front();
        }
        self.pairs.push_back((counted, reported));
    }

    /// Whether the factor was learnt. Else figures should be shown with `~`.
    pub fn is_learnt(&self) -> bool {
        !self.pairs.is_empty()
    }

    /// The factor: the middle of what was seen, long requests counting for more. One wrong report moves it little.
    pub fn factor(&self) -> f64 {
        let mut seen: Vec<(f64, u64)> =
            self.pairs.iter().map(|(counted, reported)| (*reported as f64 / *counted as f64, *counted)).collect();
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = seen.iter().map(|(_, weight)| u128::from(*weight)).sum::<u128>().div_ceil(2);
        let mut passed = 0;
        for (factor, weight) in seen {
            passed += u128::from(weight);
            if passed >= half {
                return factor;
            }
        }
        self.start
    }

    /// The model's tokens for a count of ours, and whether the factor was learnt.
    pub fn estimate(&self, counted: u64) -> (u64, bool) {
        ((counted as f64 * self.factor()).ceil() as u64, self.is_learnt())
    }

    /// The largest count of ours that stays within a budget of the model's tokens.
    pub fn budget(&self, model_tokens: u64) -> u64 {
        (model_tokens as f64 / self.factor()).floor() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_depends_on_the_family() {
        let start = |protocol, model: &str| {
            let settings =
                EndpointSettings { protocol, model: model.into(), ..super::super::tests::settings("http://x") };
            Calibration::for_endpoint(&settings).estimate(1_000)
        };
        assert_eq!(start(Protocol::Anthropic, "claude-x"), (1_400, false));
        assert_eq!(start(Protocol::OpenaiChat, "anthropic/claude-x"), (1_400, false));
        assert_eq!(start(Protocol::OpenaiChat, "gpt-9"), (1_000, false));
        assert_eq!(start(Protocol::OpenaiChat, "openai/gpt-oss-20b"), (1_000, false));
        assert_eq!(start(Protocol::OpenaiChat, "qwen3"), (1_500, false));
    }

    #[test]
    fn one_wrong_report_moves_little() {
        let mut calibration = Calibration::starting_at(1.5).seed([(1_000, 1_200), (2_000, 2_400), (1_500, 1_800)]);
        assert_eq!(calibration.estimate(1_000), (1_200, true));
        calibration.learn(1_000, 3_900);
        assert_eq!(calibration.estimate(1_000), (1_200, true));
        calibration.learn(1_000, 0);
        calibration.learn(10, 30);
        assert_eq!(calibration.pairs.len(), 4, "what cannot be, and what is too short, is passed over");
    }

    #[test]
    fn it_follows_a_change_of_model_and_survives_storage() {
        let old = std::iter::repeat_n((1_000, 1_000), 100);
        let calibration =
            Calibration::starting_at(1.5).seed(old.chain(std::iter::repeat_n((1_000, 2_000), REMEMBERED)));
        assert_eq!(calibration.estimate(500), (1_000, true));
        let stored = serde_json::to_string(&calibration).unwrap();
        assert_eq!(serde_json::from_str::<Calibration>(&stored).unwrap(), calibration);
    }

    proptest::proptest! {
        #[test]
        fn a_budget_is_kept(pairs in proptest::collection::vec((0..1_000_000_u64, 0..4_000_000_u64), 0..80), budget in 0..10_000_000_u64) {
            let calibration = Calibration::starting_at(1.4).seed(pairs);
            proptest::prop_assert!(PLAUSIBLE.contains(&calibration.factor()));
            proptest::prop_assert!(calibration.estimate(calibration.budget(budget)).0 <= budget + 1);
        }
    }
}
