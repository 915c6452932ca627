//! What the series of all dialects say of each edge, before and inside the window, and over time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::dialects::{self, DIALECTS, Role};
use crate::analysis::robust::median_of;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::Purpose;
use crate::domain::snapshot::{MetricAnswer, Provenance, Snapshot};
use crate::domain::{Labels, TimeRange, Timestamp};

/// Caller and callee.
pub(super) type Key = (String, String);

/// Sums of one edge over a range of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) requests: Option<f64>,
    pub(super) failed: Option<f64>,
    pub(super) client_sum: Option<f64>,
    pub(super) client_count: Option<f64>,
    pub(super) server_sum: Option<f64>,
    pub(super) server_count: Option<f64>,
    pub(super) server_failed: Option<f64>,
}

impl Sums {
    pub(super) fn client_mean(&self) -> Option<f64> {
        mean(self.client_sum, self.client_count)
    }

    pub(super) fn server_mean(&self) -> Option<f64> {
        mean(self.server_sum, self.server_count)
    }

    /// Mean time between the caller's and the callee's clock.
    pub(super) fn transit(&self) -> Option<f64> {
        Some((self.client_mean()? - self.server_mean()?).max(0.0))
    }

    pub(super) fn known_count(&self) -> Option<f64> {
        self.requests.or(self.client_count).or(self.server_count)
    }

    pub(super) fn count(&self) -> f64 {
        self.known_count().unwrap_or(0.0)
    }

    pub(super) fn failures(&self) -> Option<f64> {
        self.failed.or(self.server_failed)
    }

    pub(super) fn error_share(&self) -> Option<f64> {
        let count = self.known_count().filter(|count| *count > 0.0)?;
        Some((self.failures()? / count).clamp(0.0, 1.0))
    }

    fn roles(&self) -> usize {
        let of = [self.requests.or(self.client_count), self.failures(), self.client_sum, self.server_sum];
        of.iter().flatten().count()
    }

    fn add(&mut self, role: Role, callee: bool, failed: Option<bool>, amount: f64) {
        let put = |slot: &mut Option<f64>, amount: f64| *slot = Some(slot.unwrap_or(0.0) + amount);
        let bad = failed.map(|bad| if bad { amount } else { 0.0 });
        match (role, callee) {
            (Role::Requests, false) => {
                put(&mut self.requests, amount);
                if let Some(bad) = bad {
                    put(&mut self.failed, bad);
                }
            }
            (Role::Requests, true) => {
                if let Some(bad) = bad {
                    put(&mut self.server_failed, bad);
                }
            }
            (Role::Failed, _) => put(&mut self.failed, amount),
            (Role::Classes, _) => put(&mut self.failed, bad.unwrap_or(0.0)),
            (Role::ClientTime(unit), false) => put(&mut self.client_sum, amount * unit),
            (Role::ClientTime(unit), true) | (Role::ServerTime(unit), _) => put(&mut self.server_sum, amount * unit),
            (Role::ClientCount, false) => {
                put(&mut self.client_count, amount);
            }
            (Role::ClientCount, true) | (Role::ServerCount, _) => put(&mut self.server_count, amount),
            (Role::ClientBuckets(_), _) => {}
        }
    }

    /// Failed ones of a histogram's count, where nothing else tells them.
    fn add_failed_waits(&mut self, failed: Option<bool>, amount: f64) {
        if let Some(bad) = failed {
            *self.failed.get_or_insert(0.0) += if bad { amount } else { 0.0 };
        }
    }
}

fn mean(sum: Option<f64>, count: Option<f64>) -> Option<f64> {
    let count = count.filter(|count| *count > 0.0)?;
    Some(sum? / count).filter(|mean| mean.is_finite())
}

/// What is known of one edge.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    /// Baseline and window.
    pub(super) totals: [Sums; 2],
    /// Over time, by number of the stretch from the grid's origin.
    pub(super) bins: BTreeMap<i64, Sums>,
    /// The 95th percentile of the caller's wait, in seconds, before and inside.
    pub(super) p95: [Option<f64>; 2],
    /// Whether tracing made the caller up: an edge of the world outside.
    pub(super) outside: bool,
    pub(super) provenance: Provenance,
    quantiles: [Vec<f64>; 2],
}

/// The grid of time on which edges are followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    origin: Timestamp,
    length: Duration,
    pub(super) window: TimeRange,
    pub(super) baseline: TimeRange,
}

impl Grid {
    fn of(snapshot: &Snapshot) -> Self {
        let (window, baseline) = (snapshot.incident.window, snapshot.incident.baseline);
        let length = (window.duration() / 12).clamp(Duration::from_secs(30), Duration::from_mins(10));
        Self { origin: window.start, length, window, baseline }
    }

    fn bin(&self, at: Timestamp) -> i64 {
        // A sample tells of the time before it: one at a boundary belongs to what it closes.
        let nanos = i128::from(at.nanos()) - i128::from(self.origin.nanos()) - 1;
        (nanos.div_euclid(self.length.as_nanos() as i128)).clamp(-1_000_000, 1_000_000) as i64
    }

    /// Start of a stretch.
    pub(super) fn start(&self, bin: i64) -> Timestamp {
        let nanos = i128::from(self.origin.nanos()) + i128::from(bin) * self.length.as_nanos() as i128;
        Timestamp::from_nanos(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

/// All edges, copies in several dialects merged, and the grid.
pub(super) fn gather(snapshot: &Snapshot) -> (BTreeMap<Key, Edge>, Grid) {
    let grid = Grid::of(snapshot);
    let whole = collect(snapshot, grid, &snapshot.spoiled);
    // Better a baseline that another incident touched than none.
    let told = |edges: &BTreeMap<Key, Edge>| edges.values().any(|edge| edge.totals[0].count() > 0.0);
    let edges = if !snapshot.spoiled.is_empty() && !told(&whole) { collect(snapshot, grid, &[]) } else { whole };
    (edges, grid)
}

fn collect(snapshot: &Snapshot, grid: Grid, spoiled: &[TimeRange]) -> BTreeMap<Key, Edge> {
    let names = Names::of(snapshot);
    let mut found: BTreeMap<Key, BTreeMap<usize, Edge>> = BTreeMap::new();
    // The roles that a dialect has a metric of its own for.
    let counted: BTreeSet<usize> = edge_answers(snapshot)
        .filter_map(|(_, metric)| dialects::of_metric(metric))
        .filter(|(_, role)| matches!(role, Role::Requests | Role::Failed | Role::Classes))
        .map(|(place, _)| place)
        .collect();
    for (answer, metric) in edge_answers(snapshot) {
        let Some((place, role)) = dialects::of_metric(metric) else { continue };
        let dialect = &DIALECTS[place];
        let expr = &answer.provenance.expr;
        // Plain counters are asked as they are, others as rates; a quantile is a level.
        let rate = expr.contains("rate(");
        let timing = Timing::of(answer);
        for series in &Series::in_order(&answer.series) {
            let Some((client, server)) = dialect.endpoints(&series.labels) else { continue };
            let key = (names.unified(client), names.unified(server));
            if key.0 == key.1 {
                continue;
            }
            let edge = found.entry(key).or_default().entry(place).or_insert_with(|| Edge {
                totals: [Sums::default(); 2],
                bins: BTreeMap::new(),
                p95: [None; 2],
                outside: false,
                provenance: provenance(answer, metric, &series.labels, dialect.plain),
                quantiles: [Vec::new(), Vec::new()],
            });
            edge.outside |= series.labels.get("connection_type") == Some("virtual_node")
                && (client == "user" || series.labels.get("virtual_node") == Some("client"));
            edge.provenance.notes.extend(
                answer
                    .provenance
                    .notes
                    .iter()
                    .filter(|note| !edge.provenance.notes.contains(note))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            if let Role::ClientBuckets(unit) = role {
                if expr.contains("histogram_quantile") {
                    keep_quantiles(edge, series, grid, spoiled, unit);
                }
                continue;
            }
            let callee = dialect.is_callees_view(&series.labels);
            let failed = dialects::failed(&series.labels);
            let mut put = |range: Option<usize>, at: Timestamp, amount: f64| {
                let tell_failed = role == Role::ClientCount && !callee && !counted.contains(&place);
                let add = |sums: &mut Sums| {
                    sums.add(role, callee, failed, amount);
                    if tell_failed {
                        sums.add_failed_waits(failed, amount);
                    }
                };
                if let Some(range) = range {
                    add(&mut edge.totals[range]);
                    add(edge.bins.entry(grid.bin(at)).or_default());
                }
            };
            for (which, range) in [grid.baseline, grid.window].into_iter().enumerate() {
                let spoiled = if which == 0 { spoiled } else { &[] };
                if rate {
                    timing.of_rate(series, range, spoiled, &mut |at, amount| put(Some(which), at, amount));
                } else {
                    timing.of_counter(series, range, spoiled, &mut |at, amount| put(Some(which), at, amount));
                }
            }
        }
    }
    found.into_iter().filter_map(|(key, dialects)| Some((key, best(dialects)?))).collect()
}

/// The telling of the dialect that tells most; the others' percentiles where it has none.
fn best(dialects: BTreeMap<usize, Edge>) -> Option<Edge> {
    let p95 = |edge: &Edge| [0, 1].map(|which| median_of(edge.quantiles[which].iter().copied()));
    let other = dialects.values().map(p95).find(|both| both[1].is_some());
    let told = |edge: &Edge| edge.totals[0].roles().max(edge.totals[1].roles());
    let mut best = dialects.into_values().reduce(|best, next| if told(&next) > told(&best) { next } else { best })?;
    let own = p95(&best);
    best.p95 = if own[1].is_some() { own } else { other.unwrap_or_default() };
    Some(best)
}

fn edge_answers(snapshot: &Snapshot) -> impl Iterator<Item = (&MetricAnswer, &str)> {
    snapshot.metrics.iter().filter_map(|answer| match &answer.purpose {
        Purpose::Edge { metric } => Some((answer, metric.as_str())),
        _ => None,
    })
}

fn provenance(answer: &MetricAnswer, metric: &str, labels: &Labels, plain: bool) -> Provenance {
    let mut ends = Labels::new();
    for name in ["client", "server"].iter().filter(|_| plain) {
        if let Some(value) = labels.get(name) {
            ends.insert(name, value);
        }
    }
    let expr = if ends.is_empty() { answer.provenance.expr.clone() } else { format!("{metric}{ends}") };
    Provenance { expr, ..answer.provenance.clone() }
}

fn keep_quantiles(edge: &mut Edge, series: &Series, grid: Grid, spoiled: &[TimeRange], unit: f64) {
    for sample in series.samples.iter().filter(|sample| sample.value.is_finite()) {
        let clean = !spoiled.iter().any(|range| range.contains(sample.at));
        if grid.window.contains(sample.at) || sample.at == grid.window.end {
            edge.quantiles[1].push(sample.value * unit);
        } else if grid.baseline.contains(sample.at) && clean {
            edge.quantiles[0].push(sample.value * unit);
        }
    }
}

/// How an answer's samples lie in time.
struct Timing {
    /// Usual distance of samples.
    step: Duration,
    /// The earliest sample of any series.
    first: Option<Timestamp>,
}

impl Timing {
    fn of(answer: &MetricAnswer) -> Self {
        let gaps = answer.series.iter().take(64).flat_map(|series| {
            series.samples.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs_f64()).filter(|gap| *gap > 0.0)
        });
        Self {
            step: Duration::from_secs_f64(median_of(gaps).unwrap_or(0.0).clamp(0.0, 86_400.0)),
            first: answer.series.iter().filter_map(|series| series.samples.first()).map(|sample| sample.at).min(),
        }
    }

    /// What a counter grew by inside `range`, sample by sample, resets counted. Growth over a gap that reaches into the
    /// range counts by its share; a series that appears while others were already there began at nothing.
    fn of_counter(
        &self,
        series: &Series,
        range: TimeRange,
        spoiled: &[TimeRange],
        put: &mut dyn FnMut(Timestamp, f64),
    ) {
        let samples: Vec<Sample> = series.samples.iter().filter(|sample| sample.value.is_finite()).copied().collect();
        let clean = |at: Timestamp| !spoiled.iter().any(|spoiled| spoiled.contains(at));
        for pair in samples.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            if to.at <= range.start || to.at > range.end || !clean(to.at) {
                continue;
            }
            let grown = if to.value < from.value { to.value } else { to.value - from.value };
            let share = if from.at < range.start {
                to.at.since(range.start).as_secs_f64() / to.at.since(from.at).as_secs_f64()
            } else {
                1.0
            };
            put(to.at, (grown * share).max(0.0));
        }
        let Some(begun) = samples.first() else { return };
        let inside = begun.at > range.start && begun.at <= range.end && clean(begun.at);
        let late = self.first.is_some_and(|first| begun.at.since(first) > self.step);
        if inside && late && begun.value > 0.0 {
            // A counter that was merely found late brings its whole past: only what fits its pace is new.
            let pace = median_of(samples.windows(2).map(|pair| (pair[1].value - pair[0].value).max(0.0)));
            let most = 10.0 * pace.unwrap_or(0.0).max(1.0);
            if begun.value <= most {
                put(begun.at, begun.value);
            }
        }
    }

    /// A rate inside `range`, each sample times the step it stands for.
    fn of_rate(&self, series: &Series, range: TimeRange, spoiled: &[TimeRange], put: &mut dyn FnMut(Timestamp, f64)) {
        let clean = |at: Timestamp| !spoiled.iter().any(|spoiled| spoiled.contains(at));
        let step = if self.step.is_zero() { range.duration() } else { self.step.min(range.duration()) };
        for sample in &series.samples {
            if range.contains(sample.at) && clean(sample.at) && sample.value.is_finite() && sample.value >= 0.0 {
                put(sample.at, sample.value * step.as_secs_f64());
            }
        }
    }
}

/// All names of services in the edges, to tell which of them mean one.
pub(super) struct Names {
    names: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

impl Names {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        const NAMESPACES: &[&str] = &[
            "namespace",
            "dst_namespace",
            "source_workload_namespace",
            "destination_workload_namespace",
            "destination_service_namespace",
            "source_namespace",
            "destination_namespace",
            "client_service_namespace",
            "server_service_namespace",
        ];
        let (mut names, mut namespaces) = (BTreeSet::new(), BTreeSet::new());
        for (answer, metric) in edge_answers(snapshot) {
            for series in &answer.series {
                if let Some((client, server)) = dialects::endpoints(metric, &series.labels) {
                    for name in [client, server] {
                        if !names.contains(name) {
                            names.insert(name.to_owned());
                        }
                    }
                }
                for value in NAMESPACES.iter().filter_map(|name| series.labels.get(name)) {
                    if !namespaces.contains(value) {
                        namespaces.insert(value.to_owned());
                    }
                }
            }
        }
        Self { names, namespaces }
    }

    /// The shortest name that is also used for the same service: without namespace (`payments.shop`, `shop/payments`),
    /// version (`payments-v2`) or an Envoy cluster's suffix (`payments-cluster`). A name that nobody else uses stays.
    pub(super) fn unified(&self, name: &str) -> String {
        let known = |short: &str| !short.is_empty() && self.names.contains(short);
        if let Some((short, space)) = name.split_once('.')
            && known(short)
            && self.namespaces.contains(space)
        {
            return short.to_owned();
        }
        if let Some((space, short)) = name.split_once('/')
            && (known(short) || self.namespaces.contains(space))
        {
            return short.to_owned();
        }
        for suffix in ["_cluster", "-cluster"] {
            if let Some(short) = name.strip_suffix(suffix).filter(|short| known(short)) {
                return short.to_owned();
            }
        }
        if let Some((short, version)) = name.rsplit_once("-v")
            && known(short)
            && !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_digit())
        {
            return short.to_owned();
        }
        name.to_owned()
    }
}

/// All edges by their unified names, sorted.
pub(super) fn pairs(snapshot: &Snapshot) -> BTreeSet<Key> {
    let names = Names::of(snapshot);
    edge_answers(snapshot)
        .flat_map(|(answer, metric)| answer.series.iter().filter_map(move |s| dialects::endpoints(metric, &s.labels)))
        .map(|(client, server)| (names.unified(client), names.unified(server)))
        .filter(|(client, server)| client != server)
        .collect()
}
