//! Worlds made up from a seed: services that call one another, fault-free or with one fault in one of them.
//!
//! Recorded incidents are few. Here the generality of the rules is measured on many: what a rule gains in one place and
//! loses elsewhere shows, and so does an alarm where nothing happened. Nothing here is fitted to any recorded case.

use std::time::Duration;

use super::fixture::{alert, answer, at, snapshot};
use crate::domain::alert::Alert;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::{Purpose, Shape};
use crate::domain::snapshot::{MetricAnswer, Snapshot};
use crate::domain::{Labels, TimeRange};

/// Seconds between scrapes, length of the baseline, where the window begins.
const SCRAPE: i64 = 30;
const BASELINE: i64 = 3_600;
const WINDOW: i64 = 7_200;
/// Scrapes that a rate is taken over.
const SPAN: usize = 8;

/// `SplitMix64` (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Evenly spread over the orders of magnitude.
    pub(super) fn scale(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub(super) fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (mut product, mut count) = (self.unit(), 0.0);
        while product > (-mean).exp() {
            product *= self.unit();
            count += 1.0;
        }
        count
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Latency,
    Errors,
    Cpu,
    Traffic,
}

/// A world, and who is to blame for its incident.
pub(super) struct World {
    pub(super) snapshot: Snapshot,
    pub(super) culprit: Option<(String, Fault)>,
}

/// What one service is like when nothing is wrong.
struct Nature {
    rate: f64,
    wave: f64,
    latency: f64,
    jitter: f64,
    error_rate: f64,
    bursts: f64,
    cpu_cost: f64,
    memory: f64,
    queue: f64,
}

/// What a fault does to a service: factors on top of its nature, from some scrape of the window on.
#[derive(Clone, Copy)]
struct Harm {
    from: i64,
    latency: f64,
    errors_added: f64,
    cpu: f64,
    traffic: f64,
}

const UNHARMED: Harm = Harm { from: i64::MAX, latency: 1.0, errors_added: 0.0, cpu: 1.0, traffic: 1.0 };

/// A world where nothing happens, and yet an alert fires.
pub(super) fn quiet(seed: u64) -> World {
    build(seed, None)
}

/// A world with one fault.
pub(super) fn faulty(seed: u64) -> World {
    let fault = [Fault::Latency, Fault::Errors, Fault::Cpu, Fault::Traffic][(seed % 4) as usize];
    build(seed, Some(fault))
}

fn name(number: usize) -> String {
    ["front", "cart", "pay", "mail", "stock", "user", "search", "price", "ship", "auth", "ads", "track", "tax", "media"]
        [number % 14]
        .to_owned()
}

fn build(seed: u64, fault: Option<Fault>) -> World {
    let mut dice = Dice::new(seed);
    let many = 6 + dice.below(9);
    let end = WINDOW + 60 * (10 + 5 * dice.below(3) as i64);
    let ticks: Vec<i64> = (WINDOW - BASELINE..=end).step_by(SCRAPE as usize).collect();
    // Calls lead from lower to higher numbers; everything is reachable from the front.
    let mut calls: Vec<(usize, usize)> = (1..many).map(|callee| (dice.below(callee), callee)).collect();
    for caller in 0..many {
        let callee = caller + 1 + dice.below(many);
        if callee < many && dice.chance(0.4) && !calls.contains(&(caller, callee)) {
            calls.push((caller, callee));
        }
    }
    calls.sort_unstable();
    let natures: Vec<Nature> = (0..many)
        .map(|_| Nature {
            rate: dice.scale(0.5, 200.0),
            wave: dice.between(0.0, 0.25),
            latency: dice.scale(0.002, 0.5),
            jitter: dice.scale(0.03, 0.25),
            error_rate: dice.scale(0.003, 0.3),
            bursts: if dice.chance(0.3) { dice.between(0.3, 1.0) } else { 0.0 },
            cpu_cost: dice.scale(0.0005, 0.02),
            memory: dice.scale(5e7, 4e9),
            queue: dice.scale(0.1, 10.0),
        })
        .collect();
    let culprit = fault.map(|fault| (dice.below(many), fault));
    let mut harms = vec![UNHARMED; many];
    if let Some((service, fault)) = culprit {
        harm(&mut harms, &calls, &natures, service, fault, &mut dice);
    }
    let metrics = metrics_of(&natures, &harms, &ticks, &mut dice);
    let mut answers: Vec<MetricAnswer> = metrics;
    let graph = calls
        .iter()
        .map(|&(caller, callee)| Series {
            labels: [("client", name(caller).as_str()), ("server", name(callee).as_str())].into_iter().collect(),
            samples: ticks.iter().map(|&secs| Sample { at: at(secs), value: 3.0 * secs as f64 }).collect(),
        })
        .collect();
    let requests = "traces_service_graph_request_total";
    answers.push(answer(Purpose::Edge { metric: requests.into() }, requests, graph));
    let alerted = match culprit {
        Some((_, Fault::Errors)) => "app_errors_total",
        Some((_, Fault::Traffic)) => "app_requests_total",
        _ => "app_latency_seconds",
    };
    if dice.chance(0.6) {
        let own = answers
            .iter()
            .find(|one| matches!(&one.purpose, Purpose::Golden { metric, .. } if metric == alerted))
            .map(|one| MetricAnswer { purpose: Purpose::AlertExpression { alert: "A".into() }, ..one.clone() });
        answers.extend(own);
    }
    let mut fired: Alert = alert(&[("service", "front")], "");
    fired.starts_at = at(WINDOW).plus(Duration::from_secs(120 + 60 * dice.below(4) as u64));
    let mut snapshot = snapshot(fired, answers);
    snapshot.incident.window = TimeRange::new(at(WINDOW), at(end));
    snapshot.incident.baseline = TimeRange::new(at(WINDOW - BASELINE), at(WINDOW));
    World { snapshot, culprit: culprit.map(|(service, fault)| (name(service), fault)) }
}

/// The culprit's harm, and what its callers have of it: less, and a little later.
fn harm(
    harms: &mut [Harm],
    calls: &[(usize, usize)],
    natures: &[Nature],
    service: usize,
    fault: Fault,
    dice: &mut Dice,
) {
    let from = WINDOW + SCRAPE * dice.below(5) as i64;
    let size = dice.scale(1.8, 10.0);
    harms[service] = match fault {
        Fault::Latency => Harm { from, latency: size, ..UNHARMED },
        Fault::Cpu => Harm { from, cpu: size, latency: 1.0 + 0.4 * (size - 1.0), ..UNHARMED },
        Fault::Errors => {
            let share = dice.between(0.05, 0.8);
            Harm {
                from,
                errors_added: (share * natures[service].rate).max(5.0 * natures[service].error_rate),
                ..UNHARMED
            }
        }
        Fault::Traffic => Harm { from, traffic: dice.between(0.0, 0.4), ..UNHARMED },
    };
    if fault == Fault::Traffic {
        // Who is not called does not call.
        for callee in service + 1..harms.len() {
            for &(caller, _) in calls.iter().filter(|call| call.1 == callee) {
                let lost = 1.0 - harms[caller].traffic;
                if lost > 0.0 {
                    let share = dice.between(0.2, 0.9);
                    let later = harms[caller].from + SCRAPE * dice.below(2) as i64;
                    let slot = &mut harms[callee];
                    slot.traffic = slot.traffic.min(1.0 - lost * share);
                    slot.from = slot.from.min(later);
                }
            }
        }
        return;
    }
    for caller in (0..service).rev() {
        for &(_, callee) in calls.iter().filter(|call| call.0 == caller) {
            let below = harms[callee];
            if below.from == i64::MAX {
                continue;
            }
            let share = dice.between(0.2, 0.9);
            let slot = &mut harms[caller];
            slot.from = slot.from.min(below.from + SCRAPE * dice.below(3) as i64);
            slot.latency = slot.latency.max(1.0 + share * (below.latency - 1.0));
            slot.errors_added = slot.errors_added.max(share * below.errors_added);
        }
    }
}

fn metrics_of(natures: &[Nature], harms: &[Harm], ticks: &[i64], dice: &mut Dice) -> Vec<MetricAnswer> {
    let wave_phase = dice.between(0.0, std::f64::consts::TAU);
    let mut requests = Vec::new();
    let mut errors = Vec::new();
    let mut latency = Vec::new();
    let mut slowest = Vec::new();
    let mut cpu = Vec::new();
    let mut memory = Vec::new();
    let mut queue = Vec::new();
    let mut replicas = Vec::new();
    for (number, (nature, harm)) in natures.iter().zip(harms).enumerate() {
        let labels: Labels = [("service", name(number).as_str())].into_iter().collect();
        let put = |into: &mut Vec<Series>, values: Vec<f64>| {
            let samples =
                ticks.iter().zip(values).map(|(&secs, value)| Sample { at: at(secs), value }).collect::<Vec<_>>();
            into.push(Series { labels: labels.clone(), samples });
        };
        let harmed = |secs: i64| secs >= harm.from;
        let load: Vec<f64> = ticks
            .iter()
            .map(|&secs| {
                let wave = 1.0 + nature.wave * (secs as f64 / 5_700.0 * std::f64::consts::TAU + wave_phase).sin();
                nature.rate * wave * if harmed(secs) { harm.traffic } else { 1.0 }
            })
            .collect();
        let counted = |dice: &mut Dice, rates: &[f64]| -> Vec<f64> {
            let counts: Vec<f64> = rates.iter().map(|rate| dice.poisson(rate * SCRAPE as f64)).collect();
            (0..counts.len())
                .map(|i| {
                    let part = &counts[i.saturating_sub(SPAN - 1)..=i];
                    part.iter().sum::<f64>() / (part.len() as f64 * SCRAPE as f64)
                })
                .collect()
        };
        put(&mut requests, counted(dice, &load));
        // Errors come in bursts in some services.
        let mut mood = 1.0;
        let failing: Vec<f64> = ticks
            .iter()
            .map(|&secs| {
                if dice.chance(0.1) {
                    mood = (nature.bursts * dice.normal()).exp();
                }
                nature.error_rate * mood + if harmed(secs) { harm.errors_added } else { 0.0 }
            })
            .collect();
        put(&mut errors, counted(dice, &failing));
        let mut drift = 0.0;
        let slow: Vec<f64> = ticks
            .iter()
            .map(|&secs| {
                drift = 0.8 * drift + 0.6 * nature.jitter * dice.normal();
                let spike = if dice.chance(0.004) { dice.between(2.0, 6.0) } else { 1.0 };
                nature.latency * f64::exp(drift) * spike * if harmed(secs) { harm.latency } else { 1.0 }
            })
            .collect();
        put(&mut slowest, slow.iter().map(|one| one * 3.0 * (0.3 * dice.normal()).exp()).collect());
        put(&mut latency, slow);
        let busy = ticks.iter().zip(&load).map(|(&secs, load)| {
            nature.cpu_cost * (load + 2.0) * (0.08 * dice.normal()).exp() * if harmed(secs) { harm.cpu } else { 1.0 }
        });
        put(&mut cpu, busy.collect());
        let mut held = dice.unit();
        let filling: Vec<f64> = ticks
            .iter()
            .map(|_| {
                held += dice.between(0.0, 0.02);
                if held > 1.0 {
                    held = 0.0;
                }
                nature.memory * (1.0 + 0.3 * held)
            })
            .collect();
        put(&mut memory, filling);
        put(&mut queue, ticks.iter().map(|_| dice.poisson(nature.queue)).collect());
        put(&mut replicas, vec![3.0; ticks.len()]);
    }
    let golden = |metric: &str, shape: Shape, series: Vec<Series>| {
        answer(Purpose::Golden { metric: metric.into(), shape }, metric, series)
    };
    vec![
        golden("app_requests_total", Shape::Rate, requests),
        golden("app_errors_total", Shape::Rate, errors),
        golden("app_latency_seconds", Shape::Mean, latency),
        golden("app_latency_p99_seconds", Shape::Quantile, slowest),
        golden("process_cpu_seconds_total", Shape::Rate, cpu),
        golden("process_resident_memory_bytes", Shape::Level, memory),
        golden("app_queue_length", Shape::Level, queue),
        golden("app_replicas", Shape::Level, replicas),
    ]
}

#[cfg(test)]
mod tests;
