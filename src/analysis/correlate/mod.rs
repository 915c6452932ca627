//! Alerts into incidents, by time, labels and the service graph.
//!
//! | file | job |
//! |---|---|
//! | `symbols`, `chart`, `traits` | what alerts and the graph say, read once and in numbers |
//! | `duplicates` | copies of one alert into one, flapping counted |
//! | `worlds` | clusters and environments apart; alerts that only show that alerting works |
//! | `links`, `explained` | what explains each alert best |
//! | `bursts` | what begins together too often to be chance |
//! | `title` | what a person would say |

mod bursts;
mod chart;
mod duplicates;
mod explained;
mod groups;
mod links;
mod symbols;
mod title;
mod traits;
mod worlds;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::alert::Alert;
use crate::domain::analysis::GraphEdge;
use crate::domain::incident::{Flapping, Incident};
use crate::domain::{TimeRange, Timestamp};
use chart::Chart;
use duplicates::Folded;
use groups::Groups;
use symbols::{FastSet, Symbol, Symbols};
use traits::Traits;

/// What is examined before the first alert: rules wait before they fire.
const LEAD: Duration = Duration::from_mins(10);
/// What is examined after the end of a resolved incident.
const TAIL: Duration = Duration::from_mins(5);
/// The window is at most so long: what caused an incident lies near its start.
const LONGEST_WINDOW: Duration = Duration::from_mins(90);
/// Length of the default baseline, the time just before the window.
const BASELINE: Duration = Duration::from_hours(1);
/// An alert that fired so often within one incident is flapping.
const FLAPS: u32 = 3;

/// Folds alerts into incidents. Copies of one alert (sent by two sources or replicas, or flapping) become one; resolved
/// ones stay; those that only show that alerting works are no trouble and left out. `graph` is what is known of who
/// calls whom, and may be empty; `now` bounds the windows.
///
/// The order of `alerts` does not matter. Incidents come unresolved first, then worst, then earliest.
pub fn correlate(alerts: &[Alert], graph: &[GraphEdge], now: Timestamp) -> Vec<Incident> {
    let mut symbols = Symbols::default();
    let chart = Chart::new(graph, &mut symbols);
    let reading = traits::read(alerts, &chart, symbols);
    let folded = duplicates::fold(&reading);
    // An alert begins when the first of its copies does.
    let read = |one: &Folded| Traits { start: one.starts_at, ..reading.traits[one.place as usize] };
    let mut traits: Vec<Traits> = folded.iter().map(read).collect();
    let worlds = worlds::resolve(&reading.worlds, traits.iter().map(|one| one.world));
    for one in &mut traits {
        one.world = worlds[one.world as usize];
    }
    let mut groups = Groups::new(folded.len());
    links::join(&traits, &reading.peers, &chart, &mut groups);
    bursts::join(&traits, &mut groups);
    // The members of each group, groups and members in the order of their start; places, for a storm is large.
    let mut members: Vec<(u32, u32)> =
        (0..folded.len()).map(|index| (groups.root(index) as u32, index as u32)).collect();
    members.sort_unstable();
    let storm = Storm { traits: &traits, folded: &folded, symbols: &reading.symbols };
    let mut incidents: Vec<Incident> =
        members.chunk_by(|a, b| a.0 == b.0).map(|members| incident(&storm, members, now)).collect();
    incidents.sort_by(|a, b| {
        a.is_resolved()
            .cmp(&b.is_resolved())
            .then(b.severity.cmp(&a.severity))
            .then(a.started_at.cmp(&b.started_at))
            .then_with(|| a.id.cmp(&b.id))
    });
    // An alert that fires again long after makes another incident: the one that is shown first keeps the plain id.
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for incident in &mut incidents {
        if taken.contains(&incident.id) {
            incident.id = incident_id(&format!("{} {}", incident.id, incident.started_at.nanos()));
        }
        taken.insert(incident.id.clone());
    }
    incidents
}

/// All folded alerts, sorted by start, with what was read of each.
struct Storm<'s, 'a> {
    traits: &'s [Traits],
    folded: &'s [Folded<'a>],
    symbols: &'s Symbols<'a>,
}

/// Makes the incident of the members of one group: its number and theirs, in the order of their start.
fn incident(storm: &Storm<'_, '_>, members: &[(u32, u32)], now: Timestamp) -> Incident {
    let one = |place: usize| (&storm.traits[place], &storm.folded[place]);
    let mut places: Vec<usize> = members.iter().map(|&(_, place)| place as usize).collect();
    let first = places.first().map(|&place| one(place).1);
    let started_at = first.map_or(now, |first| first.starts_at);
    let id = first.map(|first| incident_id(&first.kept_fingerprint())).unwrap_or_default();
    // The latest end, where all are over.
    let mut ends = places.iter().map(|&place| one(place).1.over_at());
    let resolved_at = ends
        .try_fold(None, |latest: Option<Timestamp>, over| over.map(|over| Some(latest.map_or(over, |l| l.max(over)))))
        .flatten();
    // Stable: among equals the order by start and fingerprint stays.
    places.sort_by_key(|&place| Reverse(storm.traits[place].severity));
    let ranked = || places.iter().map(|&place| one(place));
    let subjects: FastSet<Symbol> = ranked().filter_map(|(traits, _)| traits.subject).collect();
    let mut services: Vec<String> =
        subjects.into_iter().map(|subject| storm.symbols.text(subject).to_owned()).collect();
    services.sort_unstable();
    let mut flapping: Vec<Flapping> = ranked()
        .filter(|(_, one)| one.times >= FLAPS)
        .map(|(traits, one)| Flapping {
            fingerprint: one.kept_fingerprint().into_owned(),
            name: storm.symbols.text(traits.name).to_owned(),
            service: traits.subject.map(|subject| storm.symbols.text(subject).to_owned()),
            times: one.times,
        })
        .collect();
    flapping.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
    let window = window(started_at, resolved_at, now);
    Incident {
        id,
        title: title::title(ranked(), storm.symbols),
        severity: ranked().next().map(|(traits, _)| traits.severity).unwrap_or_default(),
        started_at,
        resolved_at,
        services,
        alerts: ranked().map(|(_, one)| one.kept()).collect(),
        flapping,
        window,
        baseline: TimeRange::new(window.start.minus(BASELINE), window.start),
    }
}

/// From a bit before the first alert to now, or to a bit after the end; bounded.
fn window(started_at: Timestamp, resolved_at: Option<Timestamp>, now: Timestamp) -> TimeRange {
    let start = started_at.minus(LEAD);
    let end = resolved_at.map_or(now, |at| at.plus(TAIL).min(now.max(at)));
    // An alert of the future (a clock that is wrong) still gets a window around its start.
    let end = end.max(started_at.plus(Duration::from_mins(1)));
    TimeRange::new(start, end.min(start.plus(LONGEST_WINDOW)))
}

/// The id of an incident whose first alert has this fingerprint: `I-` and six hexadecimal digits of its SHA-256.
///
/// An alert that arrives late but began earlier takes the first place, and the id with it; so each alert's own id is
/// another name of its incident.
pub fn incident_id(fingerprint: &str) -> String {
    let digest = Sha256::digest(fingerprint.as_bytes());
    format!("I-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
