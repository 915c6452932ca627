//! Simulated graphs: requests walk down a tree of services with lognormal working times; counts are random. Where
//! nothing happens nothing may be said, and what happens must be found on the right edge and side.

use std::collections::BTreeMap;

use super::*;
use crate::analysis::fixture::{BEGIN, END, WINDOW, alert, answer, at, snapshot};
use crate::domain::metric::{Sample, Series};
use crate::domain::query::Purpose;

/// A small generator of numbers, the same on every machine (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    fn poisson(&mut self, mean: f64) -> usize {
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    fn below(&mut self, sides: usize) -> usize {
        ((self.unit() * sides as f64) as usize).min(sides - 1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Seconds more on the way to this service.
    Delay(usize, f64),
    /// This service works so many times longer.
    Slow(usize, f64),
    /// This share of the requests to this service fails.
    Fails(usize, f64),
}

/// Parents and chances of a call per request of the parent; service 0 is called from outside.
struct Shop {
    parents: Vec<(usize, f64)>,
    work: Vec<f64>,
    rate: f64,
}

#[derive(Default, Clone, Copy)]
struct Counters {
    requests: f64,
    failed: f64,
    client: f64,
    server: f64,
}

fn shop(dice: &mut Dice) -> Shop {
    let size = 6 + dice.below(10);
    Shop {
        parents: (0..size)
            .map(|i| if i == 0 { (0, 1.0) } else { (dice.below(i), [1.0, 0.5, 0.1][dice.below(3)]) })
            .collect(),
        work: (0..size).map(|_| dice.lognormal(0.02, 1.0)).collect(),
        rate: [1.0, 5.0, 20.0][dice.below(3)],
    }
}

/// One request to `service`; time it took and whether it failed.
fn ask(shop: &Shop, service: usize, fault: Fault, sums: &mut [Counters], dice: &mut Dice) -> (f64, bool) {
    let mut time = dice.lognormal(shop.work[service], 0.7);
    if let Fault::Slow(who, times) = fault
        && who == service
    {
        time *= times;
    }
    let mut failed = dice.unit() < 0.001;
    if let Fault::Fails(who, share) = fault {
        failed |= who == service && dice.unit() < share;
    }
    for callee in service + 1..shop.parents.len() {
        let (parent, chance) = shop.parents[callee];
        if parent == service && dice.unit() < chance {
            let (worked, bad) = ask(shop, callee, fault, sums, dice);
            let mut way = dice.lognormal(0.001, 0.5);
            if let Fault::Delay(who, more) = fault
                && who == callee
            {
                way += more;
            }
            let slot = &mut sums[callee];
            slot.requests += 1.0;
            slot.server += worked;
            slot.client += worked + way;
            slot.failed += f64::from(u8::from(bad));
            time += worked + way;
            failed |= bad && dice.unit() < 0.8;
        }
    }
    (time, failed)
}

fn simulate(shop: &Shop, fault: Fault, dice: &mut Dice) -> Vec<EdgeFinding> {
    let mut sums = vec![Counters::default(); shop.parents.len()];
    let mut kept: BTreeMap<(usize, &str), Vec<Sample>> = BTreeMap::new();
    for secs in (BEGIN..=END).step_by(30) {
        let now = if secs > WINDOW + 300 { fault } else { Fault::None };
        for _ in 0..dice.poisson(shop.rate) {
            let (worked, bad) = ask(shop, 0, now, &mut sums, dice);
            let slot = &mut sums[0];
            slot.requests += 1.0;
            slot.server += worked;
            slot.client += worked + dice.lognormal(0.001, 0.5);
            slot.failed += f64::from(u8::from(bad));
        }
        for (service, one) in sums.iter().enumerate() {
            for (metric, value) in [
                ("traces_service_graph_request_total", one.requests),
                ("traces_service_graph_request_failed_total", one.failed),
                ("traces_service_graph_request_client_seconds_sum", one.client),
                ("traces_service_graph_request_client_seconds_count", one.requests),
                ("traces_service_graph_request_server_seconds_sum", one.server),
                ("traces_service_graph_request_server_seconds_count", one.requests),
            ] {
                kept.entry((service, metric)).or_default().push(Sample { at: at(secs), value });
            }
        }
    }
    let mut by_metric: BTreeMap<&str, Vec<Series>> = BTreeMap::new();
    for ((service, metric), samples) in kept {
        let client = if service == 0 { "gateway".to_owned() } else { format!("s{}", shop.parents[service].0) };
        let labels = [("client", client), ("server", format!("s{service}"))].into_iter().collect();
        by_metric.entry(metric).or_default().push(Series { labels, samples });
    }
    let answers = by_metric
        .into_iter()
        .map(|(metric, series)| answer(Purpose::Edge { metric: metric.into() }, metric, series))
        .collect();
    compare_edges(&snapshot(alert(&[], ""), answers))
}

const WORLDS: u64 = 120;

#[test]
fn quiet_graphs_are_silent() {
    let mut loud: Vec<String> = Vec::new();
    for seed in 0..WORLDS {
        let mut dice = Dice(seed * 7_919 + 1);
        let shop = shop(&mut dice);
        let said: Vec<_> =
            simulate(&shop, Fault::None, &mut dice).into_iter().filter(|one| one.strength > 0.0).collect();
        let told = said.first().map(|one| format!("seed {seed}: {:?} {} {:?}", one.trouble, one.strength, one.detail));
        loud.extend(told);
    }
    assert!(loud.len() as u64 * 20 <= WORLDS, "{} of {WORLDS} were not silent: {loud:#?}", loud.len());
}

/// Share of worlds in which the strongest finding blames the right service for the right trouble.
fn found(
    fault_of: impl Fn(usize, &mut Dice) -> Fault,
    trouble: EdgeTrouble,
    right: impl Fn(&EdgeFinding, usize) -> bool,
) -> f64 {
    let (mut hits, mut all) = (0, 0);
    for seed in 0..WORLDS {
        let mut dice = Dice(seed * 104_729 + 11);
        let shop = shop(&mut dice);
        let victim = 1 + dice.below(shop.parents.len() - 1);
        let fault = fault_of(victim, &mut dice);
        let findings = simulate(&shop, fault, &mut dice);
        all += 1;
        let Some(first) = findings.first().filter(|first| first.strength > 0.0) else { continue };
        if first.trouble == trouble && right(first, victim) {
            hits += 1;
        }
    }
    f64::from(hits) / f64::from(all)
}

#[test]
fn faults_are_found_where_they_are() {
    let delay = found(
        |victim, dice| Fault::Delay(victim, 0.05 + 0.2 * dice.unit()),
        EdgeTrouble::Transit,
        |finding, victim| finding.detail.server == format!("s{victim}") && finding.suspect == finding.detail.server,
    );
    let slow = found(
        |victim, _| Fault::Slow(victim, 10.0),
        EdgeTrouble::OwnTime,
        |finding, victim| finding.suspect == format!("s{victim}"),
    );
    let fails = found(
        |victim, _| Fault::Fails(victim, 0.4),
        EdgeTrouble::Errors,
        |finding, victim| finding.suspect == format!("s{victim}"),
    );
    // Some edges carry a call a minute or less: nothing can be said of those.
    assert!(delay >= 0.75 && slow >= 0.65 && fails >= 0.55, "delay {delay}, slow {slow}, fails {fails}");
}
