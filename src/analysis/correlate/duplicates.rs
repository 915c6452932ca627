//! One alert of many copies: sent by the replicas of a pair, by several Alertmanagers, by Prometheus as well, or again
//! and again by a rule that flaps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::symbols::FastMap;
use super::traits::{REPLICAS, Reading};
use crate::domain::alert::{Alert, AlertState};
use crate::domain::{Labels, Timestamp};

/// An alert that fires again within this time after it was over is the same trouble.
const AGAIN: Duration = Duration::from_mins(30);
/// Starts of one alert nearer than this are one start, told by clocks that differ.
const ONE_START: Duration = Duration::from_secs(5);

/// One alert, folded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folded<'a> {
    /// The liveliest copy.
    pub(super) alert: &'a Alert,
    /// Where it stands in the reading.
    pub(super) place: u32,
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
        let Alert { labels, annotations, ends_at, state, suppressed_by, receivers, generator_url, expression, .. } =
            self.alert;
        Alert {
            fingerprint: self.kept_fingerprint().into_owned(),
            labels: labels.clone(),
            annotations: annotations.clone(),
            starts_at: self.starts_at,
            ends_at: *ends_at,
            state: *state,
            suppressed_by: suppressed_by.clone(),
            receivers: receivers.clone(),
            generator_url: generator_url.clone(),
            expression: expression.clone(),
        }
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

/// The copies of one subject, as places in the reading: one for most, and no list for those.
#[derive(Debug)]
struct Copies {
    first: u32,
    more: Vec<u32>,
}

impl Copies {
    fn all(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }
}

/// Folds all copies, sorted by start and fingerprint. The order of the alerts does not matter.
pub(super) fn fold<'a>(reading: &Reading<'a>) -> Vec<Folded<'a>> {
    let mut hashed: Vec<(u64, u32)> =
        reading.prints.iter().zip(0..).map(|(print, place)| (print.subject, place)).collect();
    hashed.sort_unstable();
    let labels = |place: u32| &reading.alerts[place as usize].labels;
    let mut subjects: Vec<Copies> = Vec::with_capacity(hashed.len());
    for run in hashed.chunk_by(|a, b| a.0 == b.0) {
        let begin = subjects.len();
        for &(_, place) in run {
            let known = subjects[begin..].iter_mut().find(|known| are_equal_but(labels(known.first), labels(place)));
            match known {
                Some(known) => known.more.push(place),
                None => subjects.push(Copies { first: place, more: Vec::new() }),
            }
        }
    }
    join_bare_copies(reading, &mut subjects);
    let mut folded: Vec<Folded> = Vec::with_capacity(subjects.len());
    for copies in &subjects {
        episodes(reading, copies, &mut folded);
    }
    sorted(&folded)
}

/// By start, then fingerprint; what is nearly always enough of a fingerprint stands next to the start.
fn sorted<'a>(folded: &[Folded<'a>]) -> Vec<Folded<'a>> {
    let mut keys: Vec<(Timestamp, u64, u32)> = folded
        .iter()
        .zip(0..)
        .map(|(one, place)| {
            let mut begin = [0; 8];
            begin.iter_mut().zip(one.fingerprint.bytes()).for_each(|(to, byte)| *to = byte);
            (one.starts_at, u64::from_be_bytes(begin), place)
        })
        .collect();
    keys.sort_unstable_by(|a, b| {
        let (one, other) = (&folded[a.2 as usize], &folded[b.2 as usize]);
        let order = (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| one.fingerprint.cmp(other.fingerprint));
        order.then_with(|| one.alert.labels.cmp(&other.alert.labels))
    });
    keys.into_iter().map(|(.., place)| folded[place as usize]).collect()
}

fn are_equal_but(one: &Labels, other: &Labels) -> bool {
    fn told(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
        labels.iter().filter(|(name, value)| !value.is_empty() && !REPLICAS.contains(name))
    }
    told(one).eq(told(other))
}

/// Prometheus' own copy of an alert lacks the labels that name its world: it joins the only full copy there is.
fn join_bare_copies(reading: &Reading<'_>, subjects: &mut Vec<Copies>) {
    let print = |copies: &Copies| &reading.prints[copies.first as usize];
    let bare = subjects.iter().filter(|copies| print(copies).is_bare).count();
    if bare == 0 || bare == subjects.len() {
        return;
    }
    let mut full: FastMap<u64, (usize, bool)> = FastMap::default();
    for (index, copies) in subjects.iter().enumerate().filter(|(_, copies)| !print(copies).is_bare) {
        full.entry(print(copies).bare).and_modify(|(_, alone)| *alone = false).or_insert((index, true));
    }
    let mut is_left = vec![true; subjects.len()];
    for index in 0..subjects.len() {
        if !print(&subjects[index]).is_bare {
            continue;
        }
        let Some(&(target, true)) = full.get(&print(&subjects[index]).bare) else { continue };
        let labels = |index: usize| &reading.alerts[subjects[index].first as usize].labels;
        let whole = labels(target);
        let fits = labels(index)
            .iter()
            .all(|(name, value)| REPLICAS.contains(&name) || whole.get(name) == Some(value) || value.is_empty());
        if fits {
            let more: Vec<u32> = subjects[index].all().collect();
            subjects[target].more.extend(more);
            is_left[index] = false;
        }
    }
    let mut left = is_left.into_iter();
    subjects.retain(|_| left.next().unwrap_or(true));
}

/// Splits the copies of one subject where it was quiet for long.
fn episodes<'a>(reading: &Reading<'a>, copies: &Copies, out: &mut Vec<Folded<'a>>) {
    if copies.more.is_empty() {
        let place = copies.first as usize;
        out.push(Folded {
            alert: reading.alerts[place],
            place: copies.first,
            fingerprint: reading.prints[place].fingerprint,
            starts_at: reading.traits[place].start,
            times: 1,
        });
        return;
    }
    let mut copies: Vec<(&Alert, u32)> = copies.all().map(|place| (reading.alerts[place as usize], place)).collect();
    copies.sort_by_key(|(alert, _)| alert.starts_at);
    // A copy that fires is believed until the end that it names; `None`: for ever.
    let until = |alert: &Alert| if alert.state == AlertState::Resolved { over_at(alert) } else { alert.ends_at };
    let (mut begin, mut reach) = (0, until(copies[0].0));
    for (index, (next, _)) in copies.iter().enumerate().skip(1) {
        if reach.is_some_and(|reach| next.starts_at.since(reach) > AGAIN) {
            out.extend(folded(&copies[begin..index]));
            (begin, reach) = (index, until(next));
        } else {
            reach = reach.zip(until(next)).map(|(one, other)| one.max(other));
        }
    }
    out.extend(folded(&copies[begin..]));
}

fn folded<'a>(copies: &[(&'a Alert, u32)]) -> Option<Folded<'a>> {
    let liveliest =
        |kept: (&'a Alert, u32), other: (&'a Alert, u32)| if is_preferred(other.0, kept.0) { other } else { kept };
    let (alert, place) = copies.iter().copied().reduce(liveliest)?;
    let times = {
        // Each replica tells of every time: the one that tells of most is believed.
        let mut starts: BTreeMap<&str, (Timestamp, u32)> = BTreeMap::new();
        for (copy, _) in copies {
            let entry = starts.entry(copy.fingerprint.as_str()).or_insert((copy.starts_at, 1));
            if copy.starts_at.since(entry.0) > ONE_START {
                *entry = (copy.starts_at, entry.1 + 1);
            }
        }
        starts.values().map(|(_, times)| *times).max().unwrap_or(1)
    };
    let fingerprints = copies.iter().map(|(copy, _)| copy.fingerprint.as_str());
    Some(Folded {
        alert,
        place,
        fingerprint: fingerprints.filter(|fingerprint| !fingerprint.is_empty()).min().unwrap_or(""),
        starts_at: copies.iter().map(|(copy, _)| copy.starts_at).min()?,
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
