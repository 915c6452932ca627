//! One alert of many copies: sent by the replicas of a pair, by several Alertmanagers, by Prometheus as well, or again
//! and again by a rule that flaps.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::worlds::WORLDS;
use crate::domain::alert::{Alert, AlertState};
use crate::domain::{Labels, Timestamp};

/// Labels that name the replica that sent an alert, not its subject.
const REPLICAS: &[&str] = &[
    "__replica__",
    "ha_replica",
    "prometheus_replica",
    "receive_replica",
    "replica",
    "rule_replica",
    "ruler_replica",
    "thanos_replica",
    "thanos_ruler_replica",
    "vmalert_replica",
];
/// Labels that a server adds on the way out, so that its own copy lacks them, besides those that name a world.
const EXTERNAL: &[&str] = &["monitor", "prometheus"];
/// An alert that fires again within this time after it was over is the same trouble.
const AGAIN: Duration = Duration::from_mins(30);
/// Starts of one alert nearer than this are one start, told by clocks that differ.
const ONE_START: Duration = Duration::from_secs(5);

/// One alert, folded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folded<'a> {
    /// The liveliest copy.
    pub(super) alert: &'a Alert,
    /// The copies' smallest fingerprint; empty where no source gave one.
    pub(super) fingerprint: &'a str,
    /// The earliest start.
    pub(super) starts_at: Timestamp,
    /// How often it fired.
    pub(super) times: u32,
}

impl Folded<'_> {
    /// The alert to keep.
    pub(super) fn kept(&self) -> Alert {
        Alert { starts_at: self.starts_at, fingerprint: self.kept_fingerprint().into_owned(), ..self.alert.clone() }
    }

    /// The fingerprint of the alert to keep.
    pub(super) fn kept_fingerprint(&self) -> Cow<'_, str> {
        if self.fingerprint.is_empty() { self.alert.labels.to_string().into() } else { self.fingerprint.into() }
    }

    /// When it was over; `None` while it fires.
    pub(super) fn over_at(&self) -> Option<Timestamp> {
        over_at(self.alert)
    }
}

/// When an alert was over; `None` while it fires.
fn over_at(alert: &Alert) -> Option<Timestamp> {
    (alert.state == AlertState::Resolved).then(|| alert.ends_at.unwrap_or(alert.starts_at).max(alert.starts_at))
}

/// Folds all copies, sorted by start and fingerprint. The order of `alerts` does not matter.
pub(super) fn fold<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Vec<Folded<'a>> {
    let mut hashed: Vec<(u64, &Alert)> = alerts.map(|alert| (hash_of(&alert.labels, REPLICAS), alert)).collect();
    hashed.sort_by_key(|(hash, _)| *hash);
    let mut subjects: Vec<Vec<&Alert>> = Vec::new();
    for run in hashed.chunk_by(|a, b| a.0 == b.0) {
        if let [(_, only)] = run {
            subjects.push(vec![only]);
            continue;
        }
        let begin = subjects.len();
        for (_, alert) in run {
            let known = subjects[begin..].iter_mut().find(|known| are_equal_but(&known[0].labels, &alert.labels));
            match known {
                Some(known) => known.push(alert),
                None => subjects.push(vec![alert]),
            }
        }
    }
    join_bare_copies(&mut subjects);
    let mut folded: Vec<Folded> = Vec::with_capacity(subjects.len());
    for copies in subjects {
        episodes(copies, &mut folded);
    }
    folded.sort_by(|a, b| {
        let order = a.starts_at.cmp(&b.starts_at).then_with(|| a.fingerprint.cmp(b.fingerprint));
        order.then_with(|| a.alert.labels.cmp(&b.alert.labels))
    });
    folded
}

fn hash_of(labels: &Labels, without: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for pair in labels.iter().filter(|(name, _)| !without.contains(name)) {
        pair.hash(&mut hasher);
    }
    hasher.finish()
}

fn are_equal_but(one: &Labels, other: &Labels) -> bool {
    let told = |labels: &'_ Labels| labels.iter().filter(|(name, _)| !REPLICAS.contains(name)).count();
    told(one) == told(other)
        && one.iter().filter(|(name, _)| !REPLICAS.contains(name)).all(|(name, value)| other.get(name) == Some(value))
}

/// Prometheus' own copy of an alert lacks the labels that name its world: it joins the only full copy there is.
fn join_bare_copies(subjects: &mut Vec<Vec<&Alert>>) {
    let added = |name: &str| WORLDS.contains(&name) || EXTERNAL.contains(&name);
    let is_bare = |copies: &[&Alert]| !copies[0].labels.iter().any(|(name, _)| added(name));
    let bare = subjects.iter().filter(|copies| is_bare(copies)).count();
    if bare == 0 || bare == subjects.len() {
        return;
    }
    let without: Vec<&str> = [REPLICAS, WORLDS, EXTERNAL].concat();
    let mut full: HashMap<u64, (usize, bool)> = HashMap::new();
    for (index, copies) in subjects.iter().enumerate().filter(|(_, copies)| !is_bare(copies)) {
        full.entry(hash_of(&copies[0].labels, &without))
            .and_modify(|(_, alone)| *alone = false)
            .or_insert((index, true));
    }
    for index in 0..subjects.len() {
        if !is_bare(&subjects[index]) {
            continue;
        }
        let Some(&(target, true)) = full.get(&hash_of(&subjects[index][0].labels, &without)) else { continue };
        let whole = subjects[target][0];
        let fits = subjects[index][0]
            .labels
            .iter()
            .all(|(name, value)| REPLICAS.contains(&name) || whole.labels.get(name) == Some(value) || value.is_empty());
        if fits {
            let copies = std::mem::take(&mut subjects[index]);
            subjects[target].extend(copies);
        }
    }
    subjects.retain(|copies| !copies.is_empty());
}

/// Splits the copies of one subject where it was quiet for long.
fn episodes<'a>(mut copies: Vec<&'a Alert>, out: &mut Vec<Folded<'a>>) {
    if let [only] = copies[..] {
        let fingerprint = only.fingerprint.as_str();
        out.push(Folded { alert: only, fingerprint, starts_at: only.starts_at, times: 1 });
        return;
    }
    copies.sort_by_key(|alert| alert.starts_at);
    // A copy that fires is believed until the end that it names; `None`: for ever.
    let until = |alert: &Alert| if alert.state == AlertState::Resolved { over_at(alert) } else { alert.ends_at };
    let (mut begin, mut reach) = (0, until(copies[0]));
    for (index, next) in copies.iter().enumerate().skip(1) {
        if reach.is_some_and(|reach| next.starts_at.since(reach) > AGAIN) {
            out.extend(folded(&copies[begin..index]));
            (begin, reach) = (index, until(next));
        } else {
            reach = reach.zip(until(next)).map(|(one, other)| one.max(other));
        }
    }
    out.extend(folded(&copies[begin..]));
}

fn folded<'a>(copies: &[&'a Alert]) -> Option<Folded<'a>> {
    let alert = copies.iter().copied().reduce(|kept, other| if is_preferred(other, kept) { other } else { kept })?;
    let times = {
        // Each replica tells of every time: the one that tells of most is believed.
        let mut starts: BTreeMap<&str, (Timestamp, u32)> = BTreeMap::new();
        for copy in copies {
            let entry = starts.entry(copy.fingerprint.as_str()).or_insert((copy.starts_at, 1));
            if copy.starts_at.since(entry.0) > ONE_START {
                *entry = (copy.starts_at, entry.1 + 1);
            }
        }
        starts.values().map(|(_, times)| *times).max().unwrap_or(1)
    };
    Some(Folded {
        alert,
        fingerprint: copies.iter().map(|copy| copy.fingerprint.as_str()).filter(|f| !f.is_empty()).min().unwrap_or(""),
        starts_at: copies.iter().map(|copy| copy.starts_at).min()?,
        times,
    })
}

/// Whether a copy is kept rather than another: a total order over all that matters, so that input order does not.
fn is_preferred(one: &Alert, other: &Alert) -> bool {
    let life = |alert: &Alert| match alert.state {
        AlertState::Active => 3,
        AlertState::Suppressed => 2,
        AlertState::Pending => 1,
        AlertState::Resolved => 0,
    };
    let order = life(one)
        .cmp(&life(other))
        .then_with(|| one.ends_at.cmp(&other.ends_at))
        .then_with(|| one.labels.len().cmp(&other.labels.len()))
        .then_with(|| one.annotations.len().cmp(&other.annotations.len()))
        .then_with(|| one.expression.is_some().cmp(&other.expression.is_some()))
        .then_with(|| one.annotations.cmp(&other.annotations))
        .then_with(|| one.generator_url.cmp(&other.generator_url))
        .then_with(|| one.expression.cmp(&other.expression))
        .then_with(|| one.starts_at.cmp(&other.starts_at))
        .then_with(|| one.labels.cmp(&other.labels))
        .then_with(|| one.receivers.cmp(&other.receivers))
        .then_with(|| one.suppressed_by.cmp(&other.suppressed_by));
    order.is_gt()
}
