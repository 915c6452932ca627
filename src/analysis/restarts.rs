//! Restarts, rollouts and version changes that nobody wrote down, read from metrics: when processes started, how often
//! containers were restarted, which version and image they run.
//!
//! | series | what is read |
//! |---|---|
//! | `process_start_time_seconds`, `kube_pod_start_time`, … | a start inside the time looked at; a new pod beside one that went is a rollout |
//! | `kube_pod_container_status_restarts_total` | its increments |
//! | `kube_pod_container_status_last_terminated_reason` | why: `OOMKilled`, `Error` |
//! | `*_build_info`, `kube_pod_container_info` | a version or image that was not there before |
//! | `kube_deployment_status_observed_generation` | its increments |
//!
//! What happens to one service within minutes is one change; a crash loop is one change with its count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::entity::service_of;
use crate::domain::change::Change;
use crate::domain::metric::Series;
use crate::domain::query::Purpose;
use crate::domain::snapshot::{MetricAnswer, Provenance, Snapshot};
use crate::domain::time::human_duration;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

/// A change seen in metrics, with the metric that shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The change.
    pub change: Change,
    /// Where it was seen.
    pub provenance: Provenance,
}

/// Events of one service that lie no farther apart are one change.
const TOGETHER: Duration = Duration::from_mins(10);
/// Events read from one answer, and changes made of all.
const MOST_EVENTS: usize = 5_000;
const MOST_CHANGES: usize = 100;
/// Labels that tell what runs, the most telling first.
const VERSION_LABELS: &[&str] =
    &["version", "app_version", "service_version", "image_tag", "tag", "image", "revision", "git_commit", "commit"];

/// What one series tells, at one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Another version or image: before, after.
    Version(String, String),
    /// Its definition was changed.
    Generation,
    /// A new replica.
    Replica,
    /// A replica that is no more.
    Gone,
    /// A process began anew.
    Start,
    /// So many restarts more.
    Restarts(u64),
}

/// The changes that the snapshot's metrics show, oldest first.
pub fn seen(snapshot: &Snapshot) -> Vec<Seen> {
    let observed = snapshot.incident.baseline.union(snapshot.incident.window);
    let mut events: BTreeMap<String, BTreeSet<(Timestamp, Event, usize)>> = BTreeMap::new();
    let mut reasons: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (number, answer) in snapshot.metrics.iter().enumerate() {
        let Purpose::Restart { metric } = &answer.purpose else { continue };
        let series: Vec<Series> = Series::in_order(&answer.series)
            .into_iter()
            .map(|mut one| {
                one.samples.retain(|sample| sample.at >= observed.start && sample.at <= observed.end);
                one
            })
            .filter(|one| !one.samples.is_empty())
            .collect();
        let mut told: Vec<(String, Timestamp, Event)> = Vec::new();
        if metric.contains("terminated_reason") {
            for one in series.iter().filter(|one| one.samples.iter().any(|sample| sample.value > 0.0)) {
                if let (Some(service), Some(reason)) = (service_of(&one.labels), one.labels.get("reason")) {
                    reasons.entry(service).or_default().insert(reason.to_owned());
                }
            }
        } else if metric.ends_with("_info") {
            versions(&series, observed, &mut told);
        } else if metric.contains("start_time") || metric.ends_with("_created") {
            starts(&series, observed, &mut told);
        } else {
            increments(&series, metric.contains("generation"), &mut told);
        }
        for (service, at, event) in told.into_iter().take(MOST_EVENTS) {
            events.entry(service).or_default().insert((at, event, number));
        }
    }
    let mut out: Vec<Seen> = events
        .iter()
        .flat_map(|(service, events)| {
            let why = reasons.get(service);
            groups(events).into_iter().filter_map(move |group| seen_of(service, &group, why, &snapshot.metrics))
        })
        .collect();
    settle(&snapshot.changes, &mut out);
    out.sort_by(|a, b| a.change.at.cmp(&b.change.at).then_with(|| a.change.service.cmp(&b.change.service)));
    let many = out.len().saturating_sub(MOST_CHANGES);
    out.drain(..many);
    out
}

/// A rollout that somebody wrote down as well is told once: what the metrics show are its restarts.
fn settle(listed: &[Change], seen: &mut [Seen]) {
    for one in seen.iter_mut().filter(|one| one.change.kind == "rollout") {
        let known = listed.iter().any(|change| {
            change.service == one.change.service
                && change.kind != "commit"
                && change.at <= one.change.at.plus(Duration::from_mins(1))
                && one.change.at.since(change.at) <= TOGETHER
        });
        if known {
            one.change.kind = "restart".into();
        }
    }
}

/// Starts of processes: the value is the time of the start.
fn starts(series: &[Series], observed: TimeRange, out: &mut Vec<(String, Timestamp, Event)>) {
    for one in series {
        let Some(service) = service_of(&one.labels) else { continue };
        let first = one.samples.first().map(|sample| sample.at);
        let mut known: Option<Timestamp> = None;
        for sample in one.samples.iter().filter(|sample| sample.value.is_finite()) {
            let start = Timestamp::from_secs_f64(sample.value);
            // The time of a start is computed from the time since, and wobbles.
            let anew = known.is_none_or(|known| start > known.plus(Duration::from_secs(5)));
            if anew && observed.contains(start) {
                let replica = known.is_none() && first.is_some_and(|first| first > observed.start);
                out.push((service.clone(), start, if replica { Event::Replica } else { Event::Start }));
            }
            if anew {
                known = Some(start);
            }
        }
    }
    ends(series, observed, out);
}

/// Replicas whose series end while others of their service go on.
fn ends(series: &[Series], observed: TimeRange, out: &mut Vec<(String, Timestamp, Event)>) {
    let mut last: BTreeMap<String, Timestamp> = BTreeMap::new();
    for one in series {
        if let (Some(service), Some(sample)) = (service_of(&one.labels), one.samples.last()) {
            let slot = last.entry(service).or_insert(sample.at);
            *slot = (*slot).max(sample.at);
        }
    }
    for one in series {
        let (Some(service), Some(sample)) = (service_of(&one.labels), one.samples.last()) else { continue };
        let step = one.samples.windows(2).map(|pair| pair[1].at.since(pair[0].at)).min().unwrap_or_default();
        let over = last.get(&service).is_some_and(|last| *last > sample.at.plus(3 * step.max(Duration::from_secs(15))));
        if over && observed.contains(sample.at) {
            out.push((service, sample.at, Event::Gone));
        }
    }
}

/// Increments of a counter of restarts, or of a generation.
fn increments(series: &[Series], generation: bool, out: &mut Vec<(String, Timestamp, Event)>) {
    for one in series {
        let Some(service) = service_of(&one.labels) else { continue };
        for pair in one.samples.windows(2) {
            let more = pair[1].value - pair[0].value;
            if more.is_finite() && more >= 1.0 {
                let event = if generation { Event::Generation } else { Event::Restarts(more as u64) };
                out.push((service.clone(), pair[1].at, event));
            }
        }
    }
}

/// Versions and images that were not there at first.
fn versions(series: &[Series], observed: TimeRange, out: &mut Vec<(String, Timestamp, Event)>) {
    // What runs, by service and container: each version with its first and last sample.
    type Runs = BTreeMap<String, (Timestamp, Timestamp)>;
    let mut running: BTreeMap<(String, String), Runs> = BTreeMap::new();
    for one in series {
        let (Some(service), Some(version)) = (service_of(&one.labels), version_of(&one.labels)) else { continue };
        let (Some(first), Some(last)) = (one.samples.first(), one.samples.last()) else { continue };
        let part = one.labels.get("container").unwrap_or_default().to_owned();
        let slot = running.entry((service, part)).or_default().entry(version).or_insert((first.at, last.at));
        *slot = (slot.0.min(first.at), slot.1.max(last.at));
    }
    for ((service, _), versions) in running {
        let Some(begin) = versions.values().map(|(first, _)| *first).min() else { continue };
        for (version, (first, _)) in versions.iter().filter(|(_, (first, _))| *first > begin && *first > observed.start)
        {
            // What ran last of those that began before it.
            let before = versions
                .iter()
                .filter(|(other, (began, _))| *other != version && began < first)
                .max_by(|a, b| a.1.1.min(*first).cmp(&b.1.1.min(*first)).then(a.1.0.cmp(&b.1.0)).then(a.0.cmp(b.0)));
            if let Some((before, _)) = before {
                out.push((service.clone(), *first, Event::Version(before.clone(), version.clone())));
            }
        }
    }
}

fn version_of(labels: &Labels) -> Option<String> {
    let told = VERSION_LABELS.iter().find_map(|name| labels.get(name)).filter(|value| !value.is_empty())?;
    // Of an image, its tag or the beginning of its digest; the registry stays the same.
    let name = told.rsplit('/').next().unwrap_or(told);
    let short = match name.rsplit_once("@sha256:") {
        Some((_, digest)) => digest.chars().take(12).collect(),
        None => name.rsplit_once(':').map_or(name, |(_, tag)| tag).to_owned(),
    };
    Some(short)
}

type Group<'e> = Vec<&'e (Timestamp, Event, usize)>;

/// Events that follow one another closely.
fn groups(events: &BTreeSet<(Timestamp, Event, usize)>) -> Vec<Group<'_>> {
    let mut out: Vec<Group<'_>> = Vec::new();
    for event in events {
        match out.last_mut() {
            Some(group) if group.last().is_some_and(|last| event.0.since(last.0) <= TOGETHER) => group.push(event),
            _ => out.push(vec![event]),
        }
    }
    out
}

fn seen_of(
    service: &str,
    group: &Group<'_>,
    reasons: Option<&BTreeSet<String>>,
    answers: &[MetricAnswer],
) -> Option<Seen> {
    let count = |wanted: fn(&Event) -> bool| group.iter().filter(|(_, event, _)| wanted(event)).count() as u64;
    let replicas = count(|event| *event == Event::Replica);
    let gone = count(|event| *event == Event::Gone);
    let starts = count(|event| *event == Event::Start);
    let restarts = group.iter().fold(0_u64, |sum, (_, event, _)| match event {
        Event::Restarts(more) => sum.saturating_add(*more),
        _ => sum,
    });
    let version = group.iter().find_map(|(_, event, _)| match event {
        Event::Version(from, to) => Some((from, to)),
        _ => None,
    });
    let mut words = Vec::new();
    if let Some((from, to)) = version {
        words.push(format!("version {from} → {to}"));
    }
    if count(|event| *event == Event::Generation) > 0 {
        words.push("its definition was changed".into());
    }
    let rolled = version.is_some() || count(|event| *event == Event::Generation) > 0 || (replicas > 0 && gone > 0);
    if replicas > 0 && rolled {
        words.push(format!("{replicas} new {}", if replicas == 1 { "replica" } else { "replicas" }));
    } else if replicas > 0 {
        words.push(format!("{replicas} more {}", if replicas == 1 { "replica" } else { "replicas" }));
    }
    // A counter and a start time tell of the same restarts.
    let anew = restarts.max(starts);
    let (first, last) = (group.first()?.0, group.last()?.0);
    if anew > 0 {
        let span = last.since(first);
        let within = if anew > 2 { format!(" within {}", human_duration(span)) } else { String::new() };
        let why = reasons.filter(|_| restarts > 0).map_or(String::new(), |reasons| {
            format!(" ({})", reasons.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", "))
        });
        words.push(format!("{anew} {}{within}{why}", if anew == 1 { "restart" } else { "restarts" }));
    }
    if words.is_empty() {
        // Replicas that went and were not replaced.
        if gone == 0 {
            return None;
        }
        words.push(format!("{gone} fewer {}", if gone == 1 { "replica" } else { "replicas" }));
    }
    let kind = if rolled {
        "rollout"
    } else if anew > 0 {
        "restart"
    } else {
        "scale"
    };
    // The metric that tells most: events are ordered so within one instant, not over time.
    let telling = group.iter().min_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)).then(a.2.cmp(&b.2)))?;
    Some(Seen {
        change: Change {
            at: first,
            kind: kind.into(),
            service: service.to_owned(),
            reference: version.map_or_else(Text::default, |(_, to)| Text::new(to)),
            summary: Text::new(&words.join(", ")),
            author: Text::default(),
            diff: None,
        },
        provenance: answers.get(telling.2)?.provenance.clone(),
    })
}

#[cfg(test)]
mod tests;
