//! Calls between services against their baseline.
//!
//! A caller waits for the callee's work and for the way there and back. Where both ends are measured the callee's
//! own time is taken out: what remains is transit, and a rise of transit is the network's or the connection's, shown
//! nowhere else. Where the callee's time rises, the time it spends waiting for its own callees is taken out in turn.

use std::collections::BTreeMap;

use super::robust::{median_of, sorted, spread, strength};
use crate::domain::analysis::GraphEdge;
use crate::domain::evidence::{BeforeAfter, EdgeDetail};
use crate::domain::metric::{Sample, Series};
use crate::domain::query::Purpose;
use crate::domain::snapshot::{Provenance, Snapshot};
use crate::domain::{Labels, TimeRange};

/// Labels that name caller and callee, by the convention of who exports them.
const ENDPOINTS: &[(&str, &str)] = &[
    ("client", "server"),
    ("source_workload", "destination_workload"),
    ("source_app", "destination_service_name"),
    ("deployment", "dst_deployment"),
    ("workload_name", "dst_workload_name"),
];

/// Transit below this many seconds is the clock's and the scheduler's.
const LEAST_TRANSIT: f64 = 0.002;
/// Growth of working times varies by so much (as a logarithm), at least.
const LEAST_GROWTH: f64 = 0.25;
/// Requests in baseline and window below which an edge is not judged.
const LEAST_REQUESTS: f64 = 2.0;

/// Caller and callee of a series of the service graph; `None` when the labels name none, or the same service twice.
pub fn endpoints(labels: &Labels) -> Option<(&str, &str)> {
    ENDPOINTS
        .iter()
        .find_map(|(client, server)| Some((labels.get(client)?, labels.get(server)?)))
        .filter(|(client, server)| client != server && *client != "unknown" && *server != "unknown")
}

/// What about an edge deviates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeTrouble {
    /// Transit rose.
    Transit,
    /// More requests fail.
    Errors,
    /// The callee works longer, its own callees' time taken out.
    OwnTime,
    /// Requests ceased or appeared.
    Traffic,
    /// Nothing.
    None,
}

/// One edge compared.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeFinding {
    /// Figures.
    pub detail: EdgeDetail,
    /// What deviates most.
    pub trouble: EdgeTrouble,
    /// The side that is to blame for it, as far as the other edges tell.
    pub suspect: String,
    /// 0 to 1.
    pub strength: f64,
    /// Requests before and inside.
    pub requests: (f64, f64),
    /// Where it came from.
    pub provenance: Provenance,
}

/// Sums of one edge over a range.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    requests: Option<f64>,
    failed: Option<f64>,
    client_sum: Option<f64>,
    client_count: Option<f64>,
    server_sum: Option<f64>,
    server_count: Option<f64>,
}

impl Sums {
    fn client_mean(&self) -> Option<f64> {
        mean(self.client_sum, self.client_count)
    }

    fn server_mean(&self) -> Option<f64> {
        mean(self.server_sum, self.server_count)
    }

    fn count(&self) -> f64 {
        self.requests.or(self.client_count).or(self.server_count).unwrap_or(0.0)
    }

    fn error_share(&self) -> Option<f64> {
        let requests = self.requests.filter(|requests| *requests > 0.0)?;
        Some((self.failed? / requests).clamp(0.0, 1.0))
    }
}

fn mean(sum: Option<f64>, count: Option<f64>) -> Option<f64> {
    let count = count.filter(|count| *count > 0.0)?;
    Some(sum? / count).filter(|mean| mean.is_finite())
}

/// The service graph in all edge answers, sorted.
pub fn graph(snapshot: &Snapshot) -> Vec<GraphEdge> {
    let mut all: Vec<GraphEdge> = snapshot
        .metrics
        .iter()
        .filter(|answer| matches!(answer.purpose, Purpose::Edge { .. }))
        .flat_map(|answer| &answer.series)
        .filter_map(|series| endpoints(&series.labels))
        .map(|(client, server)| GraphEdge { client: client.to_owned(), server: server.to_owned() })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Compares all edges, strongest first.
pub fn compare_edges(snapshot: &Snapshot) -> Vec<EdgeFinding> {
    let (window, baseline) = (snapshot.incident.window, snapshot.incident.baseline);
    let mut sums: BTreeMap<(String, String), [Sums; 2]> = BTreeMap::new();
    let mut sources: BTreeMap<(String, String), Provenance> = BTreeMap::new();
    for answer in &snapshot.metrics {
        let Purpose::Edge { metric } = &answer.purpose else { continue };
        // Plain counters are asked as they are, others as rates.
        let cumulative = !answer.provenance.expr.contains("rate(");
        for series in &Series::in_order(&answer.series) {
            let Some((client, server)) = endpoints(&series.labels) else { continue };
            let key = (client.to_owned(), server.to_owned());
            let entry = sums.entry(key.clone()).or_default();
            for (slot, range) in entry.iter_mut().zip([baseline, window]) {
                let amount = if cumulative { growth(series, range) } else { integral(series, range) };
                if let Some(amount) = amount {
                    add(slot, metric, &series.labels, amount);
                }
            }
            let known = sources.entry(key).or_insert_with(|| {
                let mut labels = Labels::new();
                for name in ["client", "server"] {
                    if let Some(value) = series.labels.get(name) {
                        labels.insert(name, value);
                    }
                }
                let expr = if labels.is_empty() { answer.provenance.expr.clone() } else { format!("{metric}{labels}") };
                Provenance { expr, ..answer.provenance.clone() }
            });
            known.notes.extend(
                answer.provenance.notes.iter().filter(|note| !known.notes.contains(note)).cloned().collect::<Vec<_>>(),
            );
        }
    }
    judge(&sums, &sources, baseline, window)
}

fn add(sums: &mut Sums, metric: &str, labels: &Labels, amount: f64) {
    let put = |slot: &mut Option<f64>, amount: f64| *slot = Some(slot.unwrap_or(0.0) + amount);
    let by_server = labels.get("reporter") == Some("destination");
    match metric {
        "traces_service_graph_request_total" => put(&mut sums.requests, amount),
        "traces_service_graph_request_failed_total" => put(&mut sums.failed, amount),
        "istio_requests_total" if !by_server => {
            put(&mut sums.requests, amount);
            let bad = labels.get("response_code").is_some_and(|code| code.starts_with('5') || code == "0");
            put(&mut sums.failed, if bad { amount } else { 0.0 });
        }
        "response_total" => {
            put(&mut sums.requests, amount);
            put(&mut sums.failed, if labels.get("classification") == Some("failure") { amount } else { 0.0 });
        }
        "istio_request_duration_milliseconds_sum" if by_server => put(&mut sums.server_sum, amount / 1e3),
        "istio_request_duration_milliseconds_count" if by_server => put(&mut sums.server_count, amount),
        "istio_request_duration_milliseconds_sum" | "response_latency_ms_sum" => {
            put(&mut sums.client_sum, amount / 1e3);
        }
        "istio_request_duration_milliseconds_count" | "response_latency_ms_count" => {
            put(&mut sums.client_count, amount);
        }
        name if name.ends_with("client_seconds_sum") => put(&mut sums.client_sum, amount),
        name if name.ends_with("client_seconds_count") => put(&mut sums.client_count, amount),
        name if name.ends_with("server_seconds_sum") => put(&mut sums.server_sum, amount),
        name if name.ends_with("server_seconds_count") => put(&mut sums.server_count, amount),
        _ => {}
    }
}

/// How much a counter grew inside `range`, resets counted; the sample before the range is where it starts from.
fn growth(series: &Series, range: TimeRange) -> Option<f64> {
    let mut total = None;
    for pair in series.samples.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        if !(from.value.is_finite() && to.value.is_finite()) || to.at <= range.start || to.at > range.end {
            continue;
        }
        let grown = if to.value < from.value { to.value } else { to.value - from.value };
        *total.get_or_insert(0.0) += grown;
    }
    total
}

/// A rate over `range`, times its length.
fn integral(series: &Series, range: TimeRange) -> Option<f64> {
    let inside: Vec<f64> = series
        .samples
        .iter()
        .filter(|sample: &&Sample| range.contains(sample.at) && sample.value.is_finite())
        .map(|sample| sample.value)
        .collect();
    if inside.is_empty() {
        return None;
    }
    Some(inside.iter().sum::<f64>() / inside.len() as f64 * range.duration().as_secs_f64())
}

fn judge(
    sums: &BTreeMap<(String, String), [Sums; 2]>,
    sources: &BTreeMap<(String, String), Provenance>,
    baseline: TimeRange,
    window: TimeRange,
) -> Vec<EdgeFinding> {
    let transit = |sums: &Sums| Some((sums.client_mean()? - sums.server_mean()?).max(0.0));
    // How much transit changes on edges that have nothing to do with it.
    let shifts: BTreeMap<&(String, String), f64> =
        sums.iter().filter_map(|(key, [before, after])| Some((key, transit(after)? - transit(before)?))).collect();
    let usual_shift = median_of(shifts.values().copied()).unwrap_or(0.0);
    let shift_spread = spread(&sorted(shifts.values().copied())).max(LEAST_TRANSIT);
    let own = own_times(sums);
    let usual_growth = median_of(own.values().copied()).unwrap_or(0.0).max(0.0);
    let growth_spread = spread(&sorted(own.values().copied())).max(LEAST_GROWTH);
    let mut at_service: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for ((client, server), shift) in &shifts {
        for side in [client, server] {
            at_service.entry(side.as_str()).or_default().push((shift - usual_shift) / shift_spread);
        }
    }
    // The service all of whose edges slowed down is to blame for each of them: the median over its edges.
    let blame = |service: &str| at_service.get(service).and_then(|all| median_of(all.iter().copied())).unwrap_or(0.0);
    let mut all: Vec<EdgeFinding> = sums
        .iter()
        .map(|(key, [before, after])| {
            let (client, server) = key;
            let enough = before.count() >= LEAST_REQUESTS && after.count() >= LEAST_REQUESTS;
            let mut worst = (EdgeTrouble::None, 0.0);
            let mut consider = |trouble, value: f64| {
                if value > worst.1 {
                    worst = (trouble, value);
                }
            };
            if enough {
                if let Some(shift) = shifts.get(key) {
                    let share = transit(before).map_or(0.0, |before| before * 0.5);
                    if *shift > share {
                        consider(EdgeTrouble::Transit, strength((shift - usual_shift) / shift_spread, 3.0, 6.0));
                    }
                }
                if let Some(growth) = own.get(server.as_str()) {
                    consider(EdgeTrouble::OwnTime, strength((growth - usual_growth) / growth_spread, 2.0, 4.0));
                }
            }
            if let Some(share) = after.error_share() {
                let old = before.error_share().unwrap_or(0.0);
                let requests = after.count();
                // One-sided test of a share against the old one, itself known from few requests only.
                let expected = (old * before.count() + 0.5) / (before.count() + 1.0).max(20.0);
                let noise = (expected * (1.0 - expected) / requests.max(1.0)).sqrt().max(1e-9);
                consider(
                    EdgeTrouble::Errors,
                    strength((share - old.max(expected)) / noise, 3.0, 6.0) * share.sqrt().clamp(0.0, 1.0),
                );
            }
            let suspect = match worst.0 {
                EdgeTrouble::Transit if blame(client) > blame(server) => client,
                _ => server,
            };
            let rate = |sums: &Sums, range: TimeRange| {
                sums.requests
                    .or(sums.client_count)
                    .or(sums.server_count)
                    .map(|n| n / range.duration().as_secs_f64().max(1.0))
            };
            EdgeFinding {
                detail: EdgeDetail {
                    client: client.clone(),
                    server: server.clone(),
                    rate: BeforeAfter { before: rate(before, baseline), after: rate(after, window) },
                    errors: BeforeAfter { before: before.error_share(), after: after.error_share() },
                    client_seconds: BeforeAfter { before: before.client_mean(), after: after.client_mean() },
                    server_seconds: BeforeAfter { before: before.server_mean(), after: after.server_mean() },
                },
                trouble: worst.0,
                suspect: suspect.clone(),
                strength: worst.1,
                requests: (before.count(), after.count()),
                provenance: sources.get(key).cloned().unwrap_or_else(|| Provenance {
                    source: String::new(),
                    lang: None,
                    expr: String::new(),
                    range: window,
                    notes: Vec::new(),
                }),
            }
        })
        .collect();
    all.sort_by(|a, b| {
        b.strength
            .total_cmp(&a.strength)
            .then_with(|| a.detail.client.cmp(&b.detail.client))
            .then_with(|| a.detail.server.cmp(&b.detail.server))
    });
    all
}

/// For each service, the logarithm of the growth of its own working time per request: server time of all its callers'
/// requests less the time it waits for its callees.
fn own_times(sums: &BTreeMap<(String, String), [Sums; 2]>) -> BTreeMap<&str, f64> {
    let mut own: BTreeMap<&str, [(f64, f64); 2]> = BTreeMap::new();
    for ((client, server), both) in sums {
        for (phase, sums) in both.iter().enumerate() {
            if let (Some(time), Some(count)) = (sums.server_sum, sums.server_count) {
                let entry = &mut own.entry(server).or_default()[phase];
                entry.0 += time;
                entry.1 += count;
            }
            if let Some(waited) = sums.client_sum {
                own.entry(client).or_default()[phase].0 -= waited;
            }
        }
    }
    own.into_iter()
        .filter_map(|(service, [before, after])| {
            let per_request = |(time, count): (f64, f64)| (count >= LEAST_REQUESTS).then(|| (time / count).max(0.0));
            let (old, new) = (per_request(before)?, per_request(after)?);
            // A thousandth of a second more is nothing, however many times it is the old figure.
            Some((service, ((new + 0.005) / (old + 0.005)).ln()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_by_any_convention() {
        let tempo: Labels = [("client", "a"), ("server", "b")].into_iter().collect();
        assert_eq!(endpoints(&tempo), Some(("a", "b")));
        let istio: Labels = [("source_workload", "a"), ("destination_workload", "b")].into_iter().collect();
        assert_eq!(endpoints(&istio), Some(("a", "b")));
        let own: Labels = [("client", "a"), ("server", "a")].into_iter().collect();
        assert_eq!(endpoints(&own), None);
        assert_eq!(endpoints(&Labels::new()), None);
    }
}
