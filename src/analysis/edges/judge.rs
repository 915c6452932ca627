//! What deviates on which edge, whose doing it is, and since when.

use std::collections::BTreeMap;

use super::amounts::{Edge, Grid, Key, Sums};
use super::chance::{above_share, beyond, scatter, variation};
use super::{EdgeFinding, EdgeTrouble};
use crate::analysis::robust::{MAD_TO_SIGMA, change_point, median_of, sorted, strength};
use crate::domain::Timestamp;
use crate::domain::evidence::{BeforeAfter, EdgeDetail};

/// Transit below this many seconds is the clock's and the scheduler's.
const LEAST_TRANSIT: f64 = 0.002;
/// Growth of working times varies by so much (as a logarithm), at least.
const LEAST_GROWTH: f64 = 0.25;
/// Requests in baseline and window below which times are not judged.
const LEAST_REQUESTS: f64 = 2.0;
/// What all edges together say about failures counts as so many requests of each.
const PRIOR_REQUESTS: f64 = 50.0;
/// Requests of one edge come in bursts: their counts scatter at least so much more than independent events.
const LEAST_SCATTER: f64 = 2.0;
/// Traffic that ceases, appears or multiplies follows from trouble more often than it is trouble.
const TRAFFIC: f64 = 0.3;
/// A rise of transit is comparable to another that is at most so many times larger.
const COMPARABLE: f64 = 0.3;
/// A service's own time is up where it is this share of the way from the old level to the new one.
const OWN_LEVEL: f64 = 0.3;
/// A caller is to blame for a slow call where so much of its other edges slowed down comparably.
const MOST_OF_ITS_EDGES: f64 = 0.5;
/// Share of a failure that passes down when the callee's own calls fail as often.
const PASSED_DOWN: f64 = 0.6;
/// Time-outs that people configure, in seconds.
const ROUND: &[f64] = &[0.1, 0.2, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0];

/// One figure of an edge or a service over time.
struct Course {
    before: Vec<f64>,
    inside: Vec<(Timestamp, f64)>,
}

impl Course {
    fn of(bins: &BTreeMap<i64, Sums>, grid: Grid, figure: impl Fn(&Sums) -> Option<f64>) -> Self {
        let (mut before, mut inside) = (Vec::new(), Vec::new());
        for (bin, sums) in bins {
            let start = grid.start(*bin);
            let Some(value) = figure(sums).filter(|value| value.is_finite()) else { continue };
            // A stretch counts where it ends: the first one of the window begins with it.
            if *bin >= 0 && start < grid.window.end {
                inside.push((start, value));
            } else {
                before.push(value);
            }
        }
        Self { before, inside }
    }

    /// Whether more than one stretch of the window shows it, unless there is only one or two: a single slow request is
    /// no slow service.
    fn lasts(&self, at_least: f64) -> bool {
        let high = self.inside.iter().filter(|(_, value)| *value >= at_least).count();
        if self.inside.len() <= 2 { high >= 1 } else { high >= 2 && high * 5 >= self.inside.len() }
    }

    /// When it rose to `level`: the change point if it lies in the window, else the first stretch that reached it.
    fn onset(&self, level: f64) -> Option<Timestamp> {
        /// Stretches of the baseline that are looked at: a change long before is not this one.
        const MOST_BEFORE: usize = 24;
        let before = &self.before[self.before.len().saturating_sub(MOST_BEFORE)..];
        let values: Vec<f64> = before.iter().copied().chain(self.inside.iter().map(|(_, value)| *value)).collect();
        let changed = change_point(&values).and_then(|index| self.inside.get(index.checked_sub(before.len())?));
        changed
            .filter(|(_, value)| *value >= level)
            .or_else(|| self.inside.iter().find(|(_, v)| *v >= level))
            .map(|p| p.0)
    }
}

/// What was found about one edge, before it is put into words.
struct Verdict {
    trouble: EdgeTrouble,
    strength: f64,
    suspect: String,
    onset: Option<Timestamp>,
    remark: String,
}

struct Judge<'e> {
    edges: &'e BTreeMap<Key, Edge>,
    grid: Grid,
    /// Standard deviations beyond chance.
    beyond: f64,
    shifts: BTreeMap<&'e Key, f64>,
    usual_shift: f64,
    shift_spread: f64,
    /// Coefficient of variation of transit, where an edge's own is not known.
    usual_variation: f64,
    own: BTreeMap<&'e str, Own>,
    usual_growth: f64,
    growth_spread: f64,
    /// Share of requests that fail, over all edges, in the baseline.
    usual_failures: f64,
    outgoing: BTreeMap<&'e str, Vec<&'e Key>>,
    incoming: BTreeMap<&'e str, Vec<&'e Key>>,
}

/// A service's own working time per request.
struct Own {
    before: f64,
    after: f64,
    /// Logarithm of the growth.
    growth: f64,
    /// Standard error of that, as far as the number of requests tells.
    noise: f64,
    course: Course,
}

/// Compares all edges, strongest first.
pub(super) fn judge(edges: &BTreeMap<Key, Edge>, grid: Grid) -> Vec<EdgeFinding> {
    let judge = Judge::new(edges, grid);
    let mut all: Vec<EdgeFinding> =
        edges.iter().map(|(key, edge)| finding(key, edge, judge.verdict(key, edge), grid)).collect();
    judge.pass_down(&mut all);
    all.sort_by(|a, b| {
        b.strength
            .total_cmp(&a.strength)
            .then_with(|| a.detail.client.cmp(&b.detail.client))
            .then_with(|| a.detail.server.cmp(&b.detail.server))
    });
    all
}

fn finding(key: &Key, edge: &Edge, verdict: Verdict, grid: Grid) -> EdgeFinding {
    let [before, after] = &edge.totals;
    let rate = |sums: &Sums, range: crate::domain::TimeRange| {
        sums.known_count().map(|n| n / range.duration().as_secs_f64().max(1.0))
    };
    EdgeFinding {
        detail: EdgeDetail {
            client: key.0.clone(),
            server: key.1.clone(),
            rate: BeforeAfter { before: rate(before, grid.baseline), after: rate(after, grid.window) },
            errors: BeforeAfter { before: before.error_share(), after: after.error_share() },
            client_seconds: BeforeAfter { before: before.client_mean(), after: after.client_mean() },
            server_seconds: BeforeAfter { before: before.server_mean(), after: after.server_mean() },
            p95: BeforeAfter { before: edge.p95[0], after: edge.p95[1] },
        },
        trouble: verdict.trouble,
        suspect: verdict.suspect,
        strength: verdict.strength,
        requests: (before.count(), after.count()),
        onset: verdict.onset.filter(|_| verdict.strength > 0.0),
        remark: verdict.remark,
        provenance: edge.provenance.clone(),
    }
}

impl<'e> Judge<'e> {
    fn new(edges: &'e BTreeMap<Key, Edge>, grid: Grid) -> Self {
        let shifts: BTreeMap<&Key, f64> = edges
            .iter()
            .filter_map(|(key, edge)| Some((key, edge.totals[1].transit()? - edge.totals[0].transit()?)))
            .collect();
        // How much transit changes on edges that have nothing to do with it.
        let (usual_shift, shift_spread) = usual(shifts.values().copied());
        let shift_spread = shift_spread.max(LEAST_TRANSIT).max(falls(shifts.values().map(|shift| shift - usual_shift)));
        let own = own_times(edges, grid);
        let (usual_growth, growth_spread) = usual(own.values().map(|own| own.growth));
        let (usual_growth, growth_spread) = (usual_growth.max(0.0), growth_spread.max(LEAST_GROWTH));
        let (mut outgoing, mut incoming) = (BTreeMap::<&str, Vec<&Key>>::new(), BTreeMap::<&str, Vec<&Key>>::new());
        for key in edges.keys() {
            outgoing.entry(&key.0).or_default().push(key);
            incoming.entry(&key.1).or_default().push(key);
        }
        let (failures, requests) = edges
            .values()
            .filter_map(|edge| Some((edge.totals[0].failures()?, edge.totals[0].count())))
            .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let variations = edges.values().filter_map(|edge| transit_variation(edge, grid));
        Self {
            beyond: beyond(3 * edges.len()),
            shifts,
            usual_shift,
            shift_spread,
            usual_variation: median_of(variations).unwrap_or(1.0).max(1.0),
            own,
            usual_growth,
            growth_spread,
            usual_failures: (failures + 0.5) / (requests + 1.0).max(PRIOR_REQUESTS),
            outgoing,
            incoming,
            edges,
            grid,
        }
    }

    fn verdict(&self, key: &Key, edge: &Edge) -> Verdict {
        let calm = Verdict {
            trouble: EdgeTrouble::None,
            strength: 0.0,
            suspect: key.1.clone(),
            onset: None,
            remark: String::new(),
        };
        let mut worst = calm;
        for found in [
            self.transit(key, edge),
            self.own_time(key, edge),
            self.errors(key, edge),
            self.timeouts(key, edge),
            self.retries(key, edge),
            self.traffic(key, edge),
        ]
        .into_iter()
        .flatten()
        {
            // Who gives up loses the callee's time, which then looks like time lost on the way.
            let explains = found.trouble == EdgeTrouble::Timeouts && worst.trouble == EdgeTrouble::Transit;
            if found.strength > worst.strength || explains {
                let strength = found.strength.max(if explains { worst.strength } else { 0.0 });
                worst = Verdict { strength, ..found };
            }
        }
        // Whoever calls from outside cannot be blamed: nothing is known of them.
        if edge.outside && worst.suspect == key.0 {
            worst.suspect.clone_from(&key.1);
        }
        worst
    }

    fn transit(&self, key: &Key, edge: &Edge) -> Option<Verdict> {
        let [before, after] = &edge.totals;
        let (old, shift) = (before.transit()?, *self.shifts.get(key)?);
        if before.count() < LEAST_REQUESTS || after.count() < LEAST_REQUESTS || shift <= old * 0.5 {
            return None;
        }
        let variation = transit_variation(edge, self.grid).unwrap_or(self.usual_variation).max(0.5);
        let course = Course::of(&edge.bins, self.grid, Sums::transit);
        let noise = old * variation * (1.0 / before.count() + 1.0 / after.count()).sqrt();
        // What single slow requests could do to the mean of so few.
        let unsure = (old + shift) * variation / after.count().sqrt();
        let level = old + (0.3 * shift).max(LEAST_TRANSIT);
        if shift < self.beyond * noise || !course.lasts(level) {
            return None;
        }
        let strength =
            strength((shift - self.usual_shift) / self.shift_spread, 3.0, 6.0).min(strength(shift / unsure, 1.0, 1.0));
        // A slow network delays all that a service sends: its other edges slowed down as well. The callee where neither's
        // did, or both alike.
        let extra = shift - self.usual_shift;
        let [caller, callee] = [&key.0, &key.1].map(|side| self.slowed_alike(side, key, extra));
        let suspect = if caller >= MOST_OF_ITS_EDGES && caller > callee { &key.0 } else { &key.1 };
        Some(Verdict {
            trouble: EdgeTrouble::Transit,
            strength,
            suspect: suspect.clone(),
            onset: course.onset(level),
            remark: String::new(),
        })
    }

    /// Share of a service's other edges whose transit rose comparably: by at least [`COMPARABLE`] of `extra` seconds.
    /// Zero where there are none.
    fn slowed_alike(&self, service: &str, but: &Key, extra: f64) -> f64 {
        let at = |edges: &BTreeMap<&str, Vec<&'e Key>>| edges.get(service).cloned().unwrap_or_default();
        let others = at(&self.incoming).into_iter().chain(at(&self.outgoing)).filter(|key| *key != but);
        let shifts: Vec<f64> = others.filter_map(|key| self.shifts.get(key)).map(|s| s - self.usual_shift).collect();
        let alike = shifts.iter().filter(|shift| **shift >= COMPARABLE * extra).count();
        alike as f64 / shifts.len().max(1) as f64
    }

    fn own_time(&self, key: &Key, edge: &Edge) -> Option<Verdict> {
        let [before, after] = &edge.totals;
        let own = self.own.get(key.1.as_str())?;
        if before.count() < LEAST_REQUESTS || after.count() < LEAST_REQUESTS || own.growth < self.beyond * own.noise {
            return None;
        }
        // What the callee does for others may be what grew; then it is no trouble of this edge.
        let slower = after.server_mean()? - before.server_mean()?;
        let level = own.before + OWN_LEVEL * (own.after - own.before);
        if !own.course.lasts(level) || slower < OWN_LEVEL * (own.after - own.before) {
            return None;
        }
        Some(Verdict {
            trouble: EdgeTrouble::OwnTime,
            strength: strength((own.growth - self.usual_growth) / self.growth_spread, 2.0, 4.0),
            suspect: key.1.clone(),
            onset: own.course.onset(level),
            remark: String::new(),
        })
    }

    /// Failures that the baseline does not explain: how many, and how far beyond chance.
    fn more_failures(&self, edge: &Edge) -> Option<(f64, f64)> {
        let [before, after] = &edge.totals;
        let (now, all) = (after.failures()?, after.count());
        if all <= 0.0 || now <= 0.0 {
            return None;
        }
        // What all edges say is a start; the edge's own past outweighs it with time.
        let past = before.count() + PRIOR_REQUESTS;
        let failed = before.failures().unwrap_or(0.0) + PRIOR_REQUESTS * self.usual_failures;
        let shares: Vec<f64> =
            edge.bins.iter().filter(|(bin, _)| **bin < 0).filter_map(|(_, s)| s.failures()).collect();
        // Failures come in bursts, too.
        let distance = above_share(now, now + failed, all / (all + past)) / scatter(&shares, 1.0).sqrt();
        let extra = now - all * failed / past;
        (distance >= self.beyond && extra > 0.0).then_some((extra, distance))
    }

    fn errors(&self, key: &Key, edge: &Edge) -> Option<Verdict> {
        let [before, after] = &edge.totals;
        let (_, distance) = self.more_failures(edge)?;
        let share = after.error_share()?;
        let old = before.error_share().unwrap_or(0.0);
        let course = Course::of(&edge.bins, self.grid, Sums::error_share);
        let level = old + 0.3 * (share - old);
        // Where all that a caller asks of several callees fails, and the callees' other callers are served, it is the
        // caller's doing.
        let fails = |key: &Key| self.edges.get(key).is_some_and(|edge| self.more_failures(edge).is_some());
        let of_client = self.outgoing.get(key.0.as_str()).map_or(&[][..], Vec::as_slice);
        let others = self.incoming.get(key.1.as_str()).map_or(&[][..], Vec::as_slice);
        let callers_doing = of_client.len() >= 2
            && of_client.iter().all(|key| fails(key))
            && others.len() >= 2
            && others.iter().filter(|other| other.0 != key.0).all(|other| !fails(other));
        let unseen = match (after.failed, after.server_failed, after.server_count) {
            (Some(client), Some(server), Some(_)) if client >= 3.0 && server < 0.3 * client => {
                "the callee saw few of these failures: they end before they reach it"
            }
            _ => "",
        };
        Some(Verdict {
            trouble: EdgeTrouble::Errors,
            strength: strength(distance, 3.0, 6.0) * share.sqrt().clamp(0.0, 1.0),
            suspect: if callers_doing { key.0.clone() } else { key.1.clone() },
            onset: course.onset(level),
            remark: unseen.to_owned(),
        })
    }

    /// The caller's wait is pinned at a round figure while the callee works longer, or answers fewer than are asked.
    fn timeouts(&self, key: &Key, edge: &Edge) -> Option<Verdict> {
        let [before, after] = &edge.totals;
        let (wait, old) = (after.client_mean()?, before.client_mean()?);
        let pinned = [edge.p95[1], Some(wait)].into_iter().flatten().find_map(|value| {
            ROUND.iter().copied().find(|round| (value / round - 1.0).abs() <= 0.05).filter(|_| value > 2.0 * old)
        })?;
        let answered = |sums: &Sums| Some(sums.server_count? / sums.client_count.filter(|count| *count > 0.0)?);
        let longer = after.server_mean().is_some_and(|server| server > 1.1 * wait);
        let fewer = answered(before).zip(answered(after)).is_some_and(|(was, is)| was > 0.9 && is < 0.8 * was);
        let course = Course::of(&edge.bins, self.grid, Sums::client_mean);
        let level = old + 0.3 * (wait - old);
        if !(longer || fewer) || after.count() < 5.0 || before.count() < 5.0 || !course.lasts(level) {
            return None;
        }
        Some(Verdict {
            trouble: EdgeTrouble::Timeouts,
            strength: strength((wait / old.max(0.001)).ln() / LEAST_GROWTH, 2.0, 4.0),
            suspect: key.1.clone(),
            onset: course.onset(level),
            remark: format!("the caller gives up after about {pinned} s"),
        })
    }

    /// Calls for each request that the caller itself gets.
    fn retries(&self, key: &Key, edge: &Edge) -> Option<Verdict> {
        const LEAST_FACTOR: f64 = 1.5;
        let asked = |which: usize| -> f64 {
            let edges = self.incoming.get(key.0.as_str()).into_iter().flatten();
            edges.filter_map(|key| self.edges.get(*key)).map(|edge| edge.totals[which].count()).sum()
        };
        let (asked_before, asked_now) = (asked(0), asked(1));
        let (before, now) = (edge.totals[0].count(), edge.totals[1].count());
        if asked_before < 20.0 || asked_now < 20.0 || before < 20.0 || now < 20.0 {
            return None;
        }
        let (was, is) = (before / asked_before, now / asked_now);
        let counts: Vec<f64> = edge.bins.iter().filter(|(bin, _)| **bin < 0).map(|(_, sums)| sums.count()).collect();
        let scatter = scatter(&counts, LEAST_SCATTER);
        let noise = (scatter * (1.0 / before + 1.0 / now + 1.0 / asked_before + 1.0 / asked_now)).sqrt();
        let distance = (is / was).ln() / noise;
        if is < LEAST_FACTOR * was || distance < self.beyond {
            return None;
        }
        // Retries follow from failures; without them the caller asks more often of its own accord.
        let fails = self.more_failures(edge).is_some();
        Some(Verdict {
            trouble: EdgeTrouble::Retries,
            strength: TRAFFIC * strength(distance, self.beyond, 6.0),
            suspect: if fails { key.1.clone() } else { key.0.clone() },
            onset: Course::of(&edge.bins, self.grid, |sums| Some(sums.count())).onset(0.0),
            remark: format!("calls for each request of the caller: {is:.1}, {was:.1} before"),
        })
    }

    /// Calls that ceased, or were never made before.
    fn traffic(&self, key: &Key, edge: &Edge) -> Option<Verdict> {
        let (before, now) = (edge.totals[0].count(), edge.totals[1].count());
        let seconds = [self.grid.baseline, self.grid.window].map(|range| range.duration().as_secs_f64().max(1.0));
        let share = seconds[1] / (seconds[0] + seconds[1]);
        let counts: Vec<f64> = edge.bins.values().map(Sums::count).collect();
        let scatter = scatter(&counts, LEAST_SCATTER).sqrt();
        let alive = |key: &Key| self.edges.get(key).is_some_and(|edge| edge.totals[1].count() > 0.0);
        let alive_in = |at: &BTreeMap<&str, Vec<&Key>>, service: &str| {
            at.get(service).is_some_and(|keys| keys.iter().any(|other| *other != key && alive(other)))
        };
        if now <= 0.0 && before > 0.0 {
            let distance = above_share(before, before, 1.0 - share) / scatter;
            // A caller that is not asked any more has no reason to call: that is its callers' doing.
            let works = alive_in(&self.incoming, &key.0) || alive_in(&self.outgoing, &key.0);
            if distance < self.beyond || !works {
                return None;
            }
            let suspect = if alive_in(&self.incoming, &key.1) { &key.0 } else { &key.1 };
            return Some(Verdict {
                trouble: EdgeTrouble::Traffic,
                strength: TRAFFIC * strength(distance, self.beyond, 6.0),
                suspect: suspect.clone(),
                onset: None,
                remark: format!("calls ceased; there were {before:.0} before"),
            });
        }
        if before <= 0.0 && now > 0.0 {
            let distance = above_share(now, now, share) / scatter;
            if distance < self.beyond {
                return None;
            }
            return Some(Verdict {
                trouble: EdgeTrouble::Traffic,
                strength: TRAFFIC * strength(distance, self.beyond, 6.0),
                suspect: key.0.clone(),
                onset: Course::of(&edge.bins, self.grid, |sums| Some(sums.count())).inside.first().map(|p| p.0),
                remark: format!("{now:.0} calls that were never made before"),
            });
        }
        None
    }

    /// A failure that the callee's own calls explain is theirs: the edges above keep a part of it.
    fn pass_down(&self, all: &mut [EdgeFinding]) {
        let extra: BTreeMap<&Key, f64> =
            self.edges.iter().filter_map(|(key, edge)| Some((key, self.more_failures(edge)?.0))).collect();
        for finding in all.iter_mut().filter(|finding| finding.trouble == EdgeTrouble::Errors) {
            let key = (finding.detail.client.clone(), finding.detail.server.clone());
            let Some(own) = extra.get(&key) else { continue };
            let below: Vec<(&Key, f64)> = self
                .outgoing
                .get(key.1.as_str())
                .into_iter()
                .flatten()
                .filter_map(|below| Some((*below, *extra.get(below)?)))
                .collect();
            let explained = (below.iter().map(|(_, extra)| extra).sum::<f64>() / own).min(1.0);
            if explained > 0.3 && finding.suspect == key.1 {
                finding.strength *= 1.0 - PASSED_DOWN * explained;
                let names: Vec<&str> = below.iter().take(3).map(|(key, _)| key.1.as_str()).collect();
                finding.remark = format!("its own calls to {} fail as well", names.join(", "));
            }
        }
    }
}

/// Middle and spread of what all edges do; nothing of both where there are too few to tell the usual from the fault. By
/// medians alone, so that nearly half of the edges may be at fault: a callee with many callers.
fn usual(values: impl Iterator<Item = f64>) -> (f64, f64) {
    const FEW: usize = 4;
    let values = sorted(values);
    let Some(middle) = median_of(values.iter().copied()).filter(|_| values.len() >= FEW) else { return (0.0, 0.0) };
    let away = median_of(values.iter().map(|value| (value - middle).abs())).unwrap_or(0.0);
    (middle, away * MAD_TO_SIGMA)
}

/// Root mean square of what fell. Nobody's fault makes a call faster: what fell shows how far chance goes, heavy tails
/// included, which a median does not see. Nothing where too few did.
fn falls(shifts: impl Iterator<Item = f64>) -> f64 {
    const FEW: usize = 4;
    let squares: Vec<f64> = shifts.filter(|shift| *shift < 0.0).map(|shift| shift * shift).collect();
    if squares.len() < FEW { 0.0 } else { (squares.iter().sum::<f64>() / squares.len() as f64).sqrt() }
}

fn transit_variation(edge: &Edge, grid: Grid) -> Option<f64> {
    let stretches: Vec<(f64, f64)> = edge
        .bins
        .iter()
        .filter(|(bin, _)| **bin < 0 || grid.start(**bin) >= grid.window.end)
        .filter_map(|(_, sums)| Some((sums.count(), sums.transit()?)))
        .filter(|(count, _)| *count > 0.0)
        .collect();
    variation(&stretches)
}

/// For each service its own working time per request: server time of all its callers' requests less the time it waits
/// for its callees.
fn own_times(edges: &BTreeMap<Key, Edge>, grid: Grid) -> BTreeMap<&str, Own> {
    #[derive(Default)]
    struct Work {
        totals: [(f64, f64); 2],
        bins: BTreeMap<i64, (f64, f64)>,
    }
    fn add(slot: &mut (f64, f64), sums: &Sums, as_server: bool) {
        if as_server {
            if let (Some(time), Some(count)) = (sums.server_sum, sums.server_count) {
                slot.0 += time;
                slot.1 += count;
            }
        } else if let Some(waited) = sums.client_sum {
            slot.0 -= waited;
        }
    }
    let mut work: BTreeMap<&str, Work> = BTreeMap::new();
    for ((client, server), edge) in edges {
        for (service, as_server) in [(server, true), (client, false)] {
            let slot = work.entry(service).or_default();
            for (total, sums) in slot.totals.iter_mut().zip(&edge.totals) {
                add(total, sums, as_server);
            }
            for (bin, sums) in &edge.bins {
                add(slot.bins.entry(*bin).or_default(), sums, as_server);
            }
        }
    }
    let per_request = |(time, count): (f64, f64)| (count >= LEAST_REQUESTS).then(|| (time / count).max(0.0));
    work.into_iter()
        .filter_map(|(service, work)| {
            let (before, after) = (per_request(work.totals[0])?, per_request(work.totals[1])?);
            let (mut stretches, mut course) = (Vec::new(), Course { before: Vec::new(), inside: Vec::new() });
            for (bin, (time, count)) in &work.bins {
                if *count <= 0.0 {
                    continue;
                }
                let value = (time / count).max(0.0);
                if *bin >= 0 && grid.start(*bin) < grid.window.end {
                    course.inside.push((grid.start(*bin), value));
                } else {
                    course.before.push(value);
                    stretches.push((*count, value));
                }
            }
            let varies = variation(&stretches).unwrap_or(1.0).max(0.5);
            let noise = varies * (1.0 / work.totals[0].1 + 1.0 / work.totals[1].1).sqrt();
            // A thousandth of a second more is nothing, however many times it is the old figure.
            let growth = ((after + 0.005) / (before + 0.005)).ln();
            Some((service, Own { before, after, growth, noise, course }))
        })
        .collect()
}
