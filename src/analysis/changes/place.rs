//! Where in the graph a change was made, seen from the trouble.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::analysis::GraphEdge;

/// How much likelier the cause sits at a place than anywhere.
const AT_THE_FIRST: f64 = 2.0;
const BELOW: f64 = 1.2;
const ABOVE: f64 = 0.6;
const UNNAMED: f64 = 0.5;
const NAMED_IN_PASSING: f64 = 1.0;
const APART: f64 = 0.06;

/// The services in trouble and their calls.
#[derive(Debug, Clone)]
pub(super) struct Places<'c> {
    /// Share of the first suspect's score, by suspect.
    pub(super) suspects: BTreeMap<String, f64>,
    /// Who calls whom.
    pub(super) graph: &'c [GraphEdge],
}

/// A place judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// How much likelier the cause sits there.
    pub(super) weight: f64,
    /// In words.
    pub(super) words: String,
    /// The services whose trouble a change there explains.
    pub(super) explains: BTreeSet<String>,
}

impl Places<'_> {
    /// The place of a change of `service`; `text` is what else it says of itself.
    pub(super) fn of(&self, service: &str, text: &str) -> Place {
        if service.is_empty() {
            let lower = text.to_ascii_lowercase();
            let named: BTreeSet<String> =
                self.suspects.keys().filter(|name| name.len() >= 4 && lower.contains(*name)).cloned().collect();
            let all = || self.suspects.keys().cloned().collect();
            return if named.is_empty() {
                Place { weight: UNNAMED, words: "names no service".into(), explains: all() }
            } else {
                let words = format!("speaks of {}", named.iter().next().map_or("", String::as_str));
                Place { weight: NAMED_IN_PASSING, words, explains: named }
            };
        }
        let own =
            self.suspects.iter().filter(|(name, _)| are_alike(name, service)).fold(0.0, |a, (_, b)| f64::max(a, *b));
        let caller = self.neighbours(|edge| are_alike(&edge.server, service).then_some(edge.client.as_str()));
        let callee = self.neighbours(|edge| are_alike(&edge.client, service).then_some(edge.server.as_str()));
        let best = |found: &BTreeMap<&str, f64>| found.values().copied().fold(0.0, f64::max);
        let (own_weight, below, above) = (AT_THE_FIRST * own, BELOW * best(&caller), ABOVE * best(&callee));
        if own_weight > 0.0 && own_weight >= below.max(above) {
            let explains = self.suspects.keys().filter(|name| are_alike(name, service)).cloned().collect();
            let rank = if own >= 0.999 { "the first suspect" } else { "a suspect" };
            Place { weight: own_weight, words: format!("{service} is {rank}"), explains }
        } else if below > 0.0 && below >= above {
            let explains = caller.keys().map(|name| (*name).to_owned()).collect();
            Place { weight: below, words: format!("{service} is called by a suspect"), explains }
        } else if above > 0.0 {
            let explains = callee.keys().map(|name| (*name).to_owned()).collect();
            Place { weight: above, words: format!("{service} calls a suspect"), explains }
        } else {
            let explains = self.suspects.keys().cloned().collect();
            Place { weight: APART, words: format!("{service} shows nothing abnormal"), explains }
        }
    }

    fn neighbours<'g>(&'g self, side: impl Fn(&'g GraphEdge) -> Option<&'g str>) -> BTreeMap<&'g str, f64> {
        self.graph
            .iter()
            .filter_map(side)
            .filter_map(|name| Some((name, *self.suspects.get(name)?)))
            .filter(|(_, share)| *share > 0.0)
            .collect()
    }
}

/// Whether two names mean one service: alike but for case, the namespace in front and `-service` or `-svc` behind.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    one == other || short(one) == short(other)
}

fn short(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let bare = ["-service", "_service", "-svc", "_svc", "service", "-deployment"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .filter(|bare| !bare.is_empty());
    bare.unwrap_or(&name).to_owned()
}
