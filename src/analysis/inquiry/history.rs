//! What happened before: which alerts fired, and how far back the store has data.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::entity::service_of;
use super::baseline::{merged, seasons};
use crate::domain::alert::Severity;
use crate::domain::incident::Incident;
use crate::domain::labels::SERVICE_LABELS;
use crate::domain::metric::Series;
use crate::domain::query::{Lang, Query};
use crate::domain::{Labels, TimeRange, Timestamp};

/// Distance of the instants at which history is looked at.
const STEP: Duration = Duration::from_mins(5);
/// Trouble begins before its alert fires: rules wait.
const LEAD: Duration = Duration::from_mins(10);
/// And what it did dies away after the alert is over.
const TAIL: Duration = Duration::from_mins(5);
/// An alert that fired for so much of the time is how things are here, not an incident.
const CHRONIC: f64 = 0.8;
/// Labels that name a place.
const PLACES: &[&str] = &["namespace", "kubernetes_namespace", "k8s_namespace_name"];
/// Alert names in one note, at most.
const MOST_NAMES: usize = 5;

/// The question which alerts fired when, by what they are about. The series that Prometheus writes for its rules.
pub fn alerts(range: TimeRange) -> Query {
    let labels = ["alertname", "severity"].iter().chain(PLACES).chain(SERVICE_LABELS).copied().collect::<Vec<_>>();
    let expr = format!("max by ({}) (ALERTS{{alertstate=\"firing\"}})", labels.join(", "));
    Query::Range { lang: Lang::PromQl, expr, range, step: STEP }
}

/// The question when the store has data at all: of every scrape, or of what pushes over OTLP.
pub fn presence(range: TimeRange) -> Query {
    let expr = "count(up) or count(target_info)".to_owned();
    Query::Range { lang: Lang::PromQl, expr, range, step: STEP }
}

/// Whether a question looks further back than baseline and window, for what may well not be there: it may fail or find
/// nothing, and nobody needs to be told.
pub fn may_find_nothing(query: &Query, incident: &Incident) -> bool {
    query.range().is_some_and(|range| {
        *query == alerts(range)
            || *query == presence(range)
            || seasons(incident.window, incident.window).iter().any(|season| season.end == range.end)
    })
}

/// The stretches in which a series has a sample at each instant, each one step longer than its instants.
pub fn present(series: &[Series]) -> Vec<TimeRange> {
    merged(series.iter().flat_map(|one| {
        one.samples
            .iter()
            .filter(|sample| sample.value > 0.0)
            .map(|sample| TimeRange::new(sample.at.minus(STEP), sample.at))
    }))
}

/// What other alerts say about normal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// When alerts fired that matter to the incident, sorted and joined.
    pub ranges: Vec<TimeRange>,
    /// Their names, sorted.
    pub names: BTreeSet<String>,
    /// Alerts of the incident itself that fired.
    pub own: BTreeSet<String>,
    /// Alerts that fired nearly all of the time, and are taken as normal.
    pub chronic: BTreeSet<String>,
}

impl Trouble {
    /// A few names for a note.
    pub fn words(names: &BTreeSet<String>) -> String {
        let mut text = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
        if names.len() > MOST_NAMES {
            text += &format!(" and {} more", names.len() - MOST_NAMES);
        }
        text
    }
}

/// Reads the answer of [`alerts`] over `asked`: alerts of warning or worse (or of no known severity) that share a
/// service, a namespace or the name with the incident. `with_own` says whether earlier fires of the incident's own
/// alerts count as trouble; they do in a baseline, and at the same time of another day they are the season itself.
pub fn trouble(series: &[Series], asked: TimeRange, incident: &Incident, with_own: bool) -> Trouble {
    let own: BTreeSet<&str> = incident.alerts.iter().map(crate::domain::alert::Alert::name).collect();
    let places = places_of(incident);
    let instants = (asked.duration().as_secs() / STEP.as_secs()).max(1) as f64;
    let mut found = Trouble::default();
    let mut ranges = Vec::new();
    for one in series {
        let Some(name) = one.labels.get("alertname") else { continue };
        let is_own = own.contains(name);
        if !matters(&one.labels, incident, &places, is_own) {
            continue;
        }
        let times: Vec<Timestamp> =
            one.samples.iter().filter(|sample| sample.value > 0.0).map(|sample| sample.at).collect();
        if times.is_empty() {
            continue;
        }
        if is_own {
            found.own.insert(name.to_owned());
            if !with_own {
                continue;
            }
        } else if times.len() as f64 >= CHRONIC * instants && asked.duration() >= Duration::from_hours(12) {
            found.chronic.insert(name.to_owned());
            continue;
        }
        found.names.insert(name.to_owned());
        ranges.extend(times.into_iter().map(|at| TimeRange::new(at.minus(STEP).minus(LEAD), at.plus(TAIL))));
    }
    found.ranges = merged(ranges);
    found
}

/// Namespaces that the alerts of an incident name.
fn places_of(incident: &Incident) -> BTreeSet<&str> {
    incident.alerts.iter().flat_map(|alert| PLACES.iter().filter_map(|name| alert.labels.get(name))).collect()
}

fn matters(labels: &Labels, incident: &Incident, places: &BTreeSet<&str>, is_own: bool) -> bool {
    let severity = labels.get("severity").map_or(Severity::Unknown, Severity::from_label);
    if severity == Severity::Info {
        return false;
    }
    if is_own {
        return true;
    }
    let place = PLACES.iter().find_map(|name| labels.get(name));
    let service = service_of(labels);
    let shares_service = service.as_ref().is_some_and(|service| incident.services.contains(service));
    let shares_place = place.is_some_and(|place| places.contains(place));
    // An incident that names neither could be about anything; so could an alert, when it is a bad one.
    let nameless = incident.services.is_empty() && places.is_empty();
    let everywhere = service.is_none() && place.is_none() && severity == Severity::Critical;
    shares_service || shares_place || nameless || everywhere
}

/// The time in which another incident was open, when it is about the same services or namespace.
pub fn window_of(other: &Incident, incident: &Incident, now: Timestamp) -> Option<TimeRange> {
    let services = other.services.iter().any(|service| incident.services.contains(service));
    let places = !places_of(other).is_disjoint(&places_of(incident));
    (other.id != incident.id && (services || places) && other.severity != Severity::Info)
        .then(|| TimeRange::new(other.started_at.minus(LEAD), other.resolved_at.unwrap_or(now).plus(TAIL)))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;
    use crate::domain::metric::Sample;

    const HOUR: i64 = 3_600;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn series(labels: &[(&str, &str)], from: i64, to: i64) -> Series {
        let samples = (from..to).step_by(300).map(|secs| Sample { at: at(secs), value: 1.0 }).collect();
        Series { labels: labels.iter().copied().collect(), samples }
    }

    /// Of the alert `A` of `pay` in `shop`.
    fn incident() -> Incident {
        fixture::snapshot(fixture::alert(&[("service", "pay"), ("namespace", "shop")], "x > 1"), Vec::new()).incident
    }

    #[test]
    fn alerts_of_the_same_service_or_namespace_are_trouble() {
        let day = TimeRange::new(at(0), at(24 * HOUR));
        let found = trouble(
            &[
                series(&[("alertname", "Full"), ("service", "pay")], 10 * HOUR, 11 * HOUR),
                series(&[("alertname", "Near"), ("namespace", "shop"), ("severity", "warning")], 12 * HOUR, 13 * HOUR),
                series(&[("alertname", "Far"), ("namespace", "other")], 0, HOUR),
                series(&[("alertname", "Watchdog"), ("namespace", "shop"), ("severity", "none")], 0, 24 * HOUR),
                series(&[("alertname", "Old"), ("namespace", "shop")], 0, 24 * HOUR),
                series(&[("alertname", "A"), ("service", "pay")], 2 * HOUR, 2 * HOUR + 600),
            ],
            day,
            &incident(),
            true,
        );
        assert_eq!(found.names, ["A", "Full", "Near"].map(str::to_owned).into());
        assert_eq!(found.chronic, ["Old".to_owned()].into());
        assert_eq!(found.own, ["A".to_owned()].into());
        assert_eq!(found.ranges.len(), 3);
        assert_eq!(found.ranges[1], TimeRange::new(at(10 * HOUR - 900), at(11 * HOUR)));
    }

    #[test]
    fn the_same_alert_at_the_same_time_of_another_day_is_the_season() {
        let found = trouble(
            &[series(&[("alertname", "A"), ("service", "pay")], 0, HOUR)],
            TimeRange::new(at(0), at(HOUR)),
            &incident(),
            false,
        );
        assert!(found.ranges.is_empty() && found.own.len() == 1);
    }

    #[test]
    fn data_is_there_where_samples_are() {
        let ranges = present(&[series(&[], 3_000, 3_901), series(&[], 9_000, 9_001)]);
        assert_eq!(ranges, [TimeRange::new(at(2_700), at(3_900)), TimeRange::new(at(8_700), at(9_000))]);
    }

    #[test]
    fn every_question_parses() {
        let range = TimeRange::new(at(0), at(HOUR));
        for query in [alerts(range), presence(range)] {
            assert!(promql_parser::parser::parse(&query.expression()).is_ok());
            assert!(may_find_nothing(&query, &incident()));
        }
    }
}
