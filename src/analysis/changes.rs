//! Which change explains the trouble, or that none does.
//!
//! Each change is weighed by how much likelier what is known would be if it were the cause than if it were not:
//!
//! - **time**: how long before a beginning of trouble it was made, against how often a change falls that near to it by
//!   chance (the more changes there are, the less one nearby says); what was in trouble before it is not its doing;
//! - **place**: the service it concerns, and its place in the graph;
//! - **kind**: what took effect against what was merely written;
//! - **effect**: what its diff does (moved code breaks little, a removed check may);
//! - **ties**: rare names that its diff and the symptoms share.
//!
//! The weights multiply into odds against "none of them", which stands for everything that breaks by itself: traffic,
//! hardware, third parties. A change is blamed when it is likelier than none; the others are told why not.

mod calls;
mod diff;
mod effect;
mod kind;
mod link;
mod load;
mod onset;
mod pairs;
mod place;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use self::link::Symptoms;
pub use self::load::rose_first;
pub use self::onset::{Mark, marks};

use self::effect::{Effect, PRESERVING};
use self::kind::Kind;
use self::link::Vocabulary;
use self::place::{Place, Places, are_alike};
use crate::domain::analysis::GraphEdge;
use crate::domain::change::Change;
use crate::domain::time::human_duration;
use crate::domain::{Text, TimeRange, Timestamp};

/// Sampling dates an onset late, clocks differ: a change may seem to follow by so much and still be the cause.
const SLACK: Duration = Duration::from_secs(45);
/// Odds that one of the changes did it, before anything is known of them: most outages follow a change (Beyer et al.,
/// *Site Reliability Engineering*, 2016, chapter 8: about 70 %).
const ODDS: f64 = 1.5;
/// The same where the load of what suffers rose first.
const ODDS_UNDER_LOAD: f64 = 0.2;
/// Most faults show within minutes of what made them; some wait for a cache to expire, a request to come by.
const AT_ONCE: (f64, f64) = (0.7, 3.0);
const LATER: (f64, f64) = (0.3, 15.0);
/// How much a full tie adds.
const TIE: f64 = 4.0;
/// Odds from which a change is blamed: likelier than none.
const LEAST_ODDS: f64 = 1.0;
/// Others are named beside the first down to this share of its odds.
const BESIDE: f64 = 0.1;
/// Changes blamed, and changes weighed, at most: the latest.
const MOST: usize = 5;
const MOST_WEIGHED: usize = 1_000;
/// A restart so soon after a deploy of the same service is part of it.
const ONE_ROLLOUT: Duration = Duration::from_mins(10);

/// What is known when changes are weighed.
#[derive(Debug, Clone, Copy)]
pub struct Case<'c> {
    /// Baseline and window, and what lies between them.
    pub observed: TimeRange,
    /// Scores by suspect, 0 to 1.
    pub suspects: &'c BTreeMap<String, f64>,
    /// Who calls whom.
    pub graph: &'c [GraphEdge],
    /// Beginnings of trouble.
    pub marks: &'c [Mark],
    /// When the first alert fired: the beginning of trouble where nothing tells better.
    pub alerted: Timestamp,
    /// What the symptoms name.
    pub symptoms: &'c Symptoms,
    /// When the load of what suffers began to rise, if it did so before anything else.
    pub load: Option<Timestamp>,
}

/// One change judged.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeFinding {
    /// Its place in the list given.
    pub index: usize,
    /// How likely it is the cause, 0 to 1.
    pub score: f64,
    /// In words: why it is blamed, or why not.
    pub why: String,
}

/// All changes judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// Those blamed, likeliest first; empty when none explains the trouble.
    pub blamed: Vec<ChangeFinding>,
    /// The others, the likeliest of them first, then the latest, with why they are not blamed.
    pub ruled_out: Vec<ChangeFinding>,
}

/// What speaks for one change.
struct Weighed {
    index: usize,
    odds: f64,
    /// Why it is blamed.
    why: String,
    /// Why it is not, where it is not.
    why_not: String,
}

/// Judges the changes. Their order does not matter, nor does a shift of all times.
pub fn judge(changes: &[Change], case: Case<'_>) -> Judgement {
    let most = case.suspects.values().copied().fold(0.0, f64::max);
    let mut order: Vec<usize> = (0..changes.len()).collect();
    let told = |index: &usize| {
        let change = &changes[*index];
        (std::cmp::Reverse(change.at), &change.kind, &change.service, &change.reference, &change.summary, &change.diff)
    };
    order.sort_by(|a, b| told(a).cmp(&told(b)));
    order.retain(|index| changes[*index].at < case.observed.end);
    order.truncate(MOST_WEIGHED);
    if most <= 0.0 || order.is_empty() {
        let why = "nothing is in trouble that it could explain";
        let ruled_out = order.into_iter().map(|index| ChangeFinding { index, score: 0.0, why: why.into() }).collect();
        return Judgement { blamed: Vec::new(), ruled_out };
    }
    let deployed = order.iter().any(|index| Kind::of(&changes[*index]) == Kind::Takes);
    let first = order.last().map_or(case.observed.start, |index| changes[*index].at);
    let minutes = case.observed.end.since(case.observed.start.min(first)).as_secs_f64() / 60.0;
    let live: f64 = order.iter().map(|index| Kind::of(&changes[*index]).weight(deployed)).sum();
    // One more than there are, so that a single change is no proof by being alone.
    let density = (live + 1.0) / minutes.clamp(30.0, 1_440.0);
    let odds = if case.load.is_some() { ODDS_UNDER_LOAD } else { ODDS };
    let patches: BTreeMap<usize, Vec<diff::Patch<'_>>> = order
        .iter()
        .filter_map(|index| Some((*index, diff::read(changes[*index].diff.as_ref()?.as_str()).0)))
        .collect();
    let none = Vec::new();
    let of = |index: usize| patches.get(&index).unwrap_or(&none);
    let vocabularies: BTreeMap<usize, Vocabulary> =
        order.iter().map(|index| (*index, Vocabulary::of(&changes[*index], of(*index)))).collect();
    let spread = link::spread_of(vocabularies.values());
    let shares = case.suspects.iter().map(|(name, score)| (name.clone(), score / most)).collect();
    let places = Places { suspects: shares, graph: case.graph };
    let mut weighed: Vec<Weighed> = order
        .iter()
        .map(|&index| {
            let change = &changes[index];
            let kind = Kind::of(change);
            let place = places.of(&change.service, &change.summary);
            let time = timing(change.at, &place, case);
            let (effect, bundled) = effect_of(index, changes, &order, &patches);
            let (tie, names) = link::tie(&vocabularies[&index], case.symptoms, &spread, order.len());
            let tied = if effect.weight < PRESERVING { 1.0 } else { 1.0 + TIE * tie };
            let goes_with = kind == Kind::Restart && follows_a_deploy(change, changes, &order);
            let kind_weight = if goes_with { 0.02 } else { kind.weight(deployed) };
            let weight = odds * time.weight / density * place.weight * kind_weight * effect.weight * tied;
            let judged = Judged {
                kind,
                deployed,
                place: &place,
                time: &time,
                effect: &effect,
                bundled,
                names: &names,
                goes_with,
            };
            Weighed {
                index,
                odds: if weight.is_finite() { weight.max(0.0) } else { 0.0 },
                why: judged.why(tied > 1.2),
                why_not: judged.why_not(),
            }
        })
        .collect();
    weighed.sort_by(|a, b| b.odds.total_cmp(&a.odds).then_with(|| told(&a.index).cmp(&told(&b.index))));
    let sum: f64 = 1.0 + weighed.iter().map(|one| one.odds).sum::<f64>();
    let best = weighed.first().map_or(0.0, |one| one.odds);
    let mut judgement = Judgement::default();
    for one in weighed {
        let blamed = best >= LEAST_ODDS && one.odds >= BESIDE * best && judgement.blamed.len() < MOST;
        let score = one.odds / sum;
        if blamed {
            judgement.blamed.push(ChangeFinding { index: one.index, score, why: one.why });
        } else {
            judgement.ruled_out.push(ChangeFinding { index: one.index, score, why: one.why_not });
        }
    }
    judgement
}

/// How the time of a change fits.
struct Timing {
    /// Density of the cause at that distance, per minute.
    weight: f64,
    /// In words.
    words: String,
    /// Whether all trouble that it could explain began before it.
    after: bool,
}

/// Density of the time from a cause to its effect, per minute.
fn delay(minutes: f64) -> f64 {
    let part = |(share, mean): (f64, f64)| share / mean * (-minutes / mean).exp();
    part(AT_ONCE) + part(LATER)
}

fn timing(at: Timestamp, place: &Place, case: Case<'_>) -> Timing {
    let own: Vec<&Mark> = case.marks.iter().filter(|mark| place.explains.contains(&mark.service)).collect();
    let relevant: Vec<&Mark> = if own.is_empty() { case.marks.iter().collect() } else { own };
    let most = relevant.iter().map(|mark| mark.strength).fold(0.0, f64::max);
    if most <= 0.0 {
        return one_mark(at, case.alerted, Duration::ZERO, "the first alert");
    }
    let all: f64 = relevant.iter().map(|mark| mark.strength).sum();
    let before: f64 = relevant.iter().filter(|mark| is_before(mark, at)).map(|mark| mark.strength).sum();
    // What was in trouble before it needs another cause, which may be that of the rest as well.
    let explained = ((all - before) / all).clamp(0.0, 1.0).powi(2);
    relevant
        .iter()
        .filter(|mark| !is_before(mark, at))
        .map(|mark| {
            let what = format!("{} of {}", mark.what, mark.service);
            let one = one_mark(at, mark.at, mark.step, &what);
            Timing { weight: one.weight * explained * mark.strength / most, ..one }
        })
        .max_by(|a, b| a.weight.total_cmp(&b.weight).then_with(|| b.words.cmp(&a.words)))
        .unwrap_or_else(|| {
            let first = relevant.iter().map(|mark| mark.at).min().unwrap_or(case.alerted);
            one_mark(at, first, Duration::ZERO, "the trouble")
        })
}

/// Whether a mark lies before a change, too far for it to be dated late.
fn is_before(mark: &Mark, at: Timestamp) -> bool {
    mark.at.plus(SLACK.max(mark.step.min(Duration::from_mins(5)))) < at
}

fn one_mark(at: Timestamp, onset: Timestamp, step: Duration, what: &str) -> Timing {
    let slack = SLACK.max(step.min(Duration::from_mins(5)));
    if at > onset.plus(slack) {
        let words = format!("{} after the onset of {what}", human_duration(at.since(onset)));
        return Timing { weight: 0.0, words, after: true };
    }
    // A sample tells that it began since the one before it.
    let gap = onset.since(at).saturating_sub(step.min(Duration::from_mins(5)) / 2).as_secs_f64() / 60.0;
    let late = at.since(onset).as_secs_f64() / slack.as_secs_f64().max(1.0);
    let before = onset.since(at);
    let words = if before < Duration::from_secs(1) {
        format!("right at the onset of {what}")
    } else {
        format!("{} before the onset of {what}", human_duration(before))
    };
    Timing { weight: delay(gap) * (1.0 - 0.5 * late), words, after: false }
}

/// What a change does: its own diff, else that of the commits it carries, else what its summary says.
fn effect_of(
    index: usize,
    changes: &[Change],
    order: &[usize],
    patches: &BTreeMap<usize, Vec<diff::Patch<'_>>>,
) -> (Effect, Option<usize>) {
    let change = &changes[index];
    if let Some(effect) = patches.get(&index).and_then(|patches| effect::of(patches)) {
        return (effect, None);
    }
    let carried = (Kind::of(change) == Kind::Takes)
        .then(|| {
            order
                .iter()
                .filter(|other| carries(change, &changes[**other], changes, order))
                .filter_map(|other| Some((effect::of(patches.get(other)?)?, *other)))
                .max_by(|a, b| a.0.weight.total_cmp(&b.0.weight).then(b.1.cmp(&a.1)))
        })
        .flatten();
    if let Some((effect, commit)) = carried {
        return (effect, Some(commit));
    }
    let (weight, words) = effect::of_summary(&change.summary);
    (Effect { weight, words: words.map(str::to_owned).into_iter().collect() }, None)
}

/// Whether a deploy carries a commit: it names it, or the commit is of its service and came after the deploy before.
fn carries(deploy: &Change, commit: &Change, changes: &[Change], order: &[usize]) -> bool {
    if Kind::of(commit) != Kind::Written || commit.at > deploy.at {
        return false;
    }
    let hash: String = commit.reference.chars().take(7).collect();
    let named = hash.len() == 7 && (deploy.reference.contains(&hash) || deploy.summary.contains(&hash));
    if named {
        return true;
    }
    let before = order
        .iter()
        .map(|index| &changes[*index])
        .filter(|one| Kind::of(one) == Kind::Takes && one.at < deploy.at && are_alike(&one.service, &deploy.service))
        .map(|one| one.at)
        .max();
    !commit.service.is_empty()
        && are_alike(&commit.service, &deploy.service)
        && before.is_none_or(|before| before < commit.at)
}

fn follows_a_deploy(restart: &Change, changes: &[Change], order: &[usize]) -> bool {
    order.iter().map(|index| &changes[*index]).any(|one| {
        Kind::of(one) == Kind::Takes
            && are_alike(&one.service, &restart.service)
            && one.at <= restart.at.plus(SLACK)
            && restart.at.since(one.at) <= ONE_ROLLOUT
    })
}

/// One change with all that speaks for and against it.
struct Judged<'j> {
    kind: Kind,
    deployed: bool,
    place: &'j Place,
    time: &'j Timing,
    effect: &'j Effect,
    bundled: Option<usize>,
    names: &'j [String],
    goes_with: bool,
}

impl Judged<'_> {
    fn why(&self, tied: bool) -> String {
        let mut out = vec![self.time.words.clone(), self.place.words.clone()];
        if !self.effect.words.is_empty() {
            let whose = if self.bundled.is_some() { "a commit it carries" } else { "its diff" };
            out.push(format!("{whose} {}", self.effect.words.join(", ")));
        }
        if tied && !self.names.is_empty() {
            let names: Vec<&str> = self.names.iter().take(3).map(String::as_str).collect();
            out.push(format!("the symptoms name {} too", names.join(", ")));
        }
        out.join("; ")
    }

    /// The strongest reason against.
    fn why_not(&self) -> String {
        let words = || self.effect.words.first().cloned().unwrap_or_default();
        if self.time.after {
            self.time.words.clone()
        } else if self.goes_with {
            "goes with the deploy just before it".into()
        } else if self.kind == Kind::Written && self.deployed {
            "written, but nothing says that it runs".into()
        } else if self.effect.weight < PRESERVING {
            format!("it {}", words())
        } else if self.place.weight < 0.15 {
            self.place.words.clone()
        } else if self.time.weight < delay(10.0) {
            format!("too long before: {}", self.time.words)
        } else {
            format!("too little speaks for it: {}; {}", self.time.words, self.place.words)
        }
    }
}

/// In words, that no change explains the trouble and why; `None` where one does or there are none to speak of.
pub fn without_change(changes: &[Change], judgement: &Judgement, case: Case<'_>) -> Option<String> {
    if !judgement.blamed.is_empty() || case.suspects.is_empty() {
        return None;
    }
    let considered = judgement.ruled_out.len();
    let mut text = "no change explains this".to_owned();
    if considered == 0 {
        text += if changes.is_empty() { ": none is known" } else { ": none was made before its end" };
        return Some(text);
    }
    text += &format!(": {considered} looked at");
    if let Some(first) = judgement.ruled_out.first().filter(|first| first.score > 0.05) {
        let change = &changes[first.index];
        let name = if change.reference.is_empty() { &change.summary } else { &change.reference };
        let name: String = name.one_line().chars().take(40).collect();
        text += &format!("; nearest {} {} {name}: {}", change.kind, change.service, first.why);
    }
    if case.load.is_some() {
        text += "; the load rose first";
    }
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Services whose beginnings of trouble matter: suspects that stand not far behind the first, and those the alerts name.
pub fn concerned(suspects: &BTreeMap<String, f64>, named: &[String]) -> BTreeSet<String> {
    let most = suspects.values().copied().fold(0.0, f64::max);
    let near = suspects.iter().filter(|(_, score)| **score >= 0.3 * most).map(|(name, _)| name.clone());
    near.chain(named.iter().cloned()).collect()
}

/// One line for lists: kind, service, version or revision, summary, size of the diff, author.
pub fn title(change: &Change) -> Text {
    let reference = change.reference.one_line();
    // A full hash says no more than its beginning.
    let hash = reference.len() >= 20 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let reference: String = reference.chars().take(if hash { 10 } else { 60 }).collect();
    let (mut added, mut removed) = (0_usize, 0_usize);
    if let Some(diff) = &change.diff {
        for patch in diff::read(diff).0 {
            for hunk in &patch.hunks {
                added += hunk.added.len();
                removed += hunk.removed.len();
            }
        }
    }
    let size = if added + removed > 0 { format!("+{added} −{removed}") } else { String::new() };
    let summary = change.summary.one_line();
    let named = summary.contains(&reference);
    let reference = if named { "" } else { &reference };
    let title = format!("{} {} {reference} {summary} {} {size}", change.kind, change.service, change.author.one_line());
    Text::new(&title.split_whitespace().collect::<Vec<_>>().join(" ")).truncated(220)
}

#[cfg(test)]
mod tests;
