//! The shop's metrics: counters, histograms and gauges, as services in Go, Tempo's service graph, the PostgreSQL
//! exporter and the blackbox exporter name them.

use std::collections::BTreeMap;

use super::noise::Noise;
use super::shop::{BAD_VERSION, CULPRIT, EDGES, Edge, Fare, POOL_LIMIT, SERVICES, Service, pod, stress};
use super::{STEP, Times};
use crate::domain::metric::{MetricKind, MetricMeta, Sample, Series};
use crate::domain::{Labels, Text};

/// Bounds of the histograms of request times, in seconds.
const BOUNDS: [(&str, f64); 11] = [
    ("0.005", 0.005),
    ("0.01", 0.01),
    ("0.025", 0.025),
    ("0.05", 0.05),
    ("0.1", 0.1),
    ("0.25", 0.25),
    ("0.5", 0.5),
    ("1", 1.0),
    ("2.5", 2.5),
    ("5", 5.0),
    ("+Inf", f64::INFINITY),
];

/// All series with their metadata.
pub(super) fn series(times: &Times) -> (Vec<Series>, BTreeMap<String, MetricMeta>) {
    let mut make = Maker { times, series: Vec::with_capacity(1500), metadata: BTreeMap::new() };
    make.describe();
    for service in &SERVICES {
        make.service(service);
    }
    for edge in &EDGES {
        make.edge(edge);
    }
    make.pools();
    make.database();
    make.surroundings();
    (make.series, make.metadata)
}

/// When a process lives: the pods of the culprit were replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Always,
    UntilTrouble,
    SinceTrouble,
}

impl Life {
    fn covers(self, seconds: f64) -> bool {
        match self {
            Self::Always => true,
            Self::UntilTrouble => seconds < 0.0,
            Self::SinceTrouble => seconds >= 0.0,
        }
    }
}

struct Maker<'a> {
    times: &'a Times,
    series: Vec<Series>,
    metadata: BTreeMap<String, MetricMeta>,
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

impl Maker<'_> {
    fn describe(&mut self) {
        use MetricKind::{Counter, Gauge, Histogram};
        for (name, kind, unit, help) in [
            ("http_requests", Counter, "", "Requests served."),
            ("http_request_duration_seconds", Histogram, "seconds", "Time to serve a request."),
            ("traces_service_graph_request", Counter, "", "Requests between two services."),
            ("traces_service_graph_request_failed", Counter, "", "Failed requests between two services."),
            (
                "traces_service_graph_request_client_seconds",
                Histogram,
                "seconds",
                "Time a request took for its client.",
            ),
            ("traces_service_graph_request_server_seconds", Histogram, "seconds", "Time a request took in its server."),
            ("pool_in_use", Gauge, "", "Connections in use."),
            ("pool_limit", Gauge, "", "Connections the pool may have."),
            ("pool_wait_seconds", Histogram, "seconds", "Time spent waiting for a connection."),
            ("pool_acquire_timeouts", Counter, "", "Requests that got no connection in time."),
            ("process_cpu_seconds", Counter, "seconds", "CPU time used."),
            ("process_resident_memory_bytes", Gauge, "bytes", "Resident memory."),
            ("process_start_time_seconds", Gauge, "seconds", "When the process started."),
            ("go_goroutines", Gauge, "", "Goroutines that exist."),
            ("service_build_info", Gauge, "", "Version of the service; always 1."),
            ("up", Gauge, "", "Whether the target was scraped."),
            ("pg_stat_activity_count", Gauge, "", "Connections by state."),
            ("pg_settings_max_connections", Gauge, "", "Connections the server allows."),
            ("pg_stat_database_xact_commit", Counter, "", "Transactions committed."),
            ("pg_stat_statements_seconds", Counter, "seconds", "Time spent executing statements."),
            ("pg_stat_statements_calls", Counter, "", "Statements executed."),
            ("kafka_consumergroup_lag", Gauge, "", "Messages not yet consumed."),
            ("node_filesystem_avail_bytes", Gauge, "bytes", "Free space."),
            ("node_filesystem_size_bytes", Gauge, "bytes", "Size of the file system."),
            ("probe_ssl_earliest_cert_expiry", Gauge, "", "When the first certificate of the chain expires."),
        ] {
            let meta = MetricMeta { kind, help: Text::new(help), unit: unit.into() };
            // As Prometheus' API has it, and as people write it.
            if kind == Counter {
                self.metadata.insert(format!("{name}_total"), meta.clone());
            }
            self.metadata.insert(name.into(), meta);
        }
    }

    fn labels(name: &str, pairs: Pairs<'_>) -> Labels {
        let mut labels: Labels = pairs.iter().copied().collect();
        labels.insert("__name__", name);
        labels
    }

    /// A gauge: its value at each sample, by the seconds since the trouble began.
    fn gauge(&mut self, name: &str, pairs: Pairs<'_>, life: Life, mut value: impl FnMut(f64) -> f64) {
        self.add(name, pairs, life, |seconds| (value(seconds) * 1000.0).round() / 1000.0);
    }

    /// A counter of whole events: what happens in each step, by the seconds since the trouble began.
    fn counter(&mut self, name: &str, pairs: Pairs<'_>, life: Life, mut events: impl FnMut(f64) -> f64) {
        let mut total = start_of(name, pairs, life);
        self.add(name, pairs, life, |seconds| {
            total += events(seconds).max(0.0);
            total.floor()
        });
    }

    /// A counter of seconds, which are not whole.
    fn seconds(&mut self, name: &str, pairs: Pairs<'_>, life: Life, mut spent: impl FnMut(f64) -> f64) {
        let mut total = start_of(name, pairs, life) / 16.0;
        self.add(name, pairs, life, |seconds| {
            total += spent(seconds).max(0.0);
            (total * 1000.0).round() / 1000.0
        });
    }

    fn add(&mut self, name: &str, pairs: Pairs<'_>, life: Life, mut value: impl FnMut(f64) -> f64) {
        let mut samples = Vec::with_capacity(Times::samples());
        for index in 0..Times::samples() {
            let seconds = Times::seconds(index);
            if life.covers(seconds) {
                samples.push(Sample { at: self.times.after(seconds), value: value(seconds) });
            }
        }
        self.series.push(Series { labels: Self::labels(name, pairs), samples });
    }

    /// Buckets, sum and count. `events` gives the number of requests of a step and how they fare.
    fn histogram(&mut self, name: &str, pairs: Pairs<'_>, life: Life, events: impl Fn(f64, &mut Noise) -> (f64, Fare)) {
        let (bucket, sum, count) = (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
        // All of them tell of the same requests.
        let mut noise = Noise::of(&[name, &labels_key(pairs)]);
        let steps: Vec<(f64, Fare)> = (0..Times::samples())
            .map(Times::seconds)
            .filter(|&seconds| life.covers(seconds))
            .map(|seconds| events(seconds, &mut noise))
            .collect();
        let sums = |of: &dyn Fn(&(f64, Fare)) -> f64| -> Vec<f64> {
            let add = |total: &mut f64, step| {
                *total += of(step);
                Some(*total)
            };
            steps.iter().scan(0.0, add).collect()
        };
        for (le, bound) in BOUNDS {
            let mut with_bound = pairs.to_vec();
            with_bound.push(("le", le));
            let mut totals = sums(&|(requests, fare)| requests * fare.share_within(bound)).into_iter();
            self.add(&bucket, &with_bound, life, |_| totals.next().unwrap_or_default().floor());
        }
        let mut totals = sums(&|(requests, fare)| requests * fare.mean_seconds()).into_iter();
        self.add(&sum, pairs, life, |_| (totals.next().unwrap_or_default() * 1000.0).round() / 1000.0);
        let mut totals = sums(&|(requests, _)| *requests).into_iter();
        self.add(&count, pairs, life, |_| totals.next().unwrap_or_default().floor());
    }

    fn service(&mut self, service: &Service) {
        let lives: &[Life] =
            if service.name == CULPRIT { &[Life::UntilTrouble, Life::SinceTrouble] } else { &[Life::Always] };
        for &life in lives {
            for number in 0..service.pods {
                self.pod(service, number, life);
            }
        }
    }

    fn pod(&mut self, service: &Service, number: usize, life: Life) {
        let replaced = life == Life::SinceTrouble;
        let pod = pod(service.name, number, replaced);
        let version = if replaced { BAD_VERSION } else { service.version };
        let base = [("namespace", "shop"), ("pod", pod.as_str()), ("service", service.name)];
        let per_step = service.rate / service.pods as f64 * STEP.as_secs_f64();
        let fare = |route: &str, seconds: f64| Fare::of(service.name, route, service.seconds, stress(seconds));
        for &(route, share) in service.routes {
            let failed = if route == "/consume" { "500" } else { "503" };
            for (code, fails) in [("200", false), (failed, true)] {
                let mut pairs = base.to_vec();
                pairs.extend([("route", route), ("code", code)]);
                let mut noise = Noise::of(&[&pod, route, code]);
                self.counter("http_requests_total", &pairs, life, |seconds| {
                    let fare = fare(route, seconds);
                    let part = if fails { fare.errors } else { 1.0 - fare.errors };
                    per_step * share * fare.rate * part * (1.0 + 0.08 * noise.bell())
                });
            }
        }
        // One histogram a pod: the routes together.
        self.histogram("http_request_duration_seconds", &base, life, |seconds, noise| {
            let mut all = Fare { rate: 0.0, errors: 0.0, seconds: service.seconds, waiting: 0.0 };
            for &(route, share) in service.routes {
                let fare = fare(route, seconds);
                all.rate += share * fare.rate;
                all.waiting += share * fare.waiting;
            }
            (per_step * all.rate * (1.0 + 0.08 * noise.bell()), all)
        });
        self.process(service, &pod, version, life);
    }

    fn process(&mut self, service: &Service, pod: &str, version: &str, life: Life) {
        let base = [("namespace", "shop"), ("pod", pod), ("service", service.name)];
        let mut noise = Noise::of(&[pod, "process"]);
        let busy = 0.12 + 0.1 * noise.unit();
        let mut cpu = noise.clone();
        self.seconds("process_cpu_seconds_total", &base, life, |_| {
            STEP.as_secs_f64() * busy * (1.0 + 0.12 * cpu.bell())
        });
        let memory = 180e6 + 90e6 * noise.unit();
        let mut drift = noise.clone();
        self.gauge("process_resident_memory_bytes", &base, life, |_| (memory * (1.0 + 0.02 * drift.bell())).round());
        let age = if life == Life::SinceTrouble { -4.0 } else { -86_400.0 * (1.0 + 6.0 * noise.unit()) };
        let started = self.times.after(age).secs_f64().round();
        self.gauge("process_start_time_seconds", &base, life, |_| started);
        let waiting = |seconds: f64| match service.name {
            // Requests pile up as long as they wait.
            "payments" => 95.0 * stress(seconds / 4.0),
            "checkout" => 64.0 * stress(seconds / 4.0),
            _ => 0.0,
        };
        let mut wobble = noise.clone();
        self.gauge("go_goroutines", &base, life, |seconds| {
            (38.0 + service.rate / 4.0 + waiting(seconds) + 2.5 * wobble.bell()).round()
        });
        self.gauge("up", &base, life, |_| 1.0);
        let mut pairs = base.to_vec();
        pairs.push(("version", version));
        self.gauge("service_build_info", &pairs, life, |_| 1.0);
    }

    fn edge(&mut self, edge: &Edge) {
        let pairs = [("client", edge.client), ("server", edge.server)];
        let per_step = edge.rate * STEP.as_secs_f64();
        let requests = |seconds: f64, noise: &mut Noise| {
            let fare = Fare::between(edge, stress(seconds));
            (per_step * fare.rate * (1.0 + 0.05 * noise.bell()), fare)
        };
        let mut noise = Noise::of(&[edge.client, edge.server, "all"]);
        self.counter("traces_service_graph_request_total", &pairs, Life::Always, |seconds| {
            requests(seconds, &mut noise).0
        });
        let mut noise = Noise::of(&[edge.client, edge.server, "failed"]);
        self.counter("traces_service_graph_request_failed_total", &pairs, Life::Always, |seconds| {
            let (requests, fare) = requests(seconds, &mut noise);
            requests * fare.errors
        });
        self.histogram("traces_service_graph_request_client_seconds", &pairs, Life::Always, requests);
        self.histogram("traces_service_graph_request_server_seconds", &pairs, Life::Always, |seconds, noise| {
            let (requests, fare) = requests(seconds, noise);
            (requests, Fare { seconds: fare.seconds * 0.92, ..fare })
        });
    }

    fn pools(&mut self) {
        for (service, usual, limit) in [("payments", 6.2, POOL_LIMIT), ("inventory", 4.1, 40.0)] {
            let pairs = [("namespace", "shop"), ("pool", "pg-main"), ("service", service)];
            let hit = |seconds: f64| if service == CULPRIT { stress(seconds) } else { 0.0 };
            let mut noise = Noise::of(&[service, "pool"]);
            self.gauge("pool_in_use", &pairs, Life::Always, |seconds| {
                let calm = (usual + 1.1 * noise.bell()).clamp(3.0, 9.0);
                (calm + (limit - calm) * hit(seconds)).round()
            });
            self.gauge("pool_limit", &pairs, Life::Always, |_| limit);
            self.histogram("pool_wait_seconds", &pairs, Life::Always, |seconds, noise| {
                let hit = hit(seconds);
                let requests = 41.0 * STEP.as_secs_f64() * (1.0 + 0.22 * hit) * (1.0 + 0.05 * noise.bell());
                (requests, Fare { rate: 1.0, errors: 0.0, seconds: 0.002, waiting: 0.74 * hit })
            });
            let mut noise = Noise::of(&[service, "timeouts"]);
            self.counter("pool_acquire_timeouts_total", &pairs, Life::Always, |seconds| {
                41.0 * 1.22 * 0.31 * STEP.as_secs_f64() * hit(seconds) * (1.0 + 0.06 * noise.bell())
            });
        }
    }

    fn database(&mut self) {
        let base = [("namespace", "shop"), ("pod", "pg-main-0"), ("service", "pg-main")];
        for (state, usual, during) in [("active", 5.0, 6.0), ("idle", 31.0, 4.0), ("idle in transaction", 2.0, 46.0)] {
            let mut pairs = base.to_vec();
            pairs.extend([("datname", "shop"), ("state", state)]);
            let mut noise = Noise::of(&["pg", state]);
            self.gauge("pg_stat_activity_count", &pairs, Life::Always, |seconds| {
                (usual + (during - usual) * stress(seconds) + noise.bell()).round().max(0.0)
            });
        }
        self.gauge("pg_settings_max_connections", &base, Life::Always, |_| 200.0);
        let calls = |seconds: f64| 143.0 * STEP.as_secs_f64() * (1.0 - 0.17 * stress(seconds));
        let mut noise = Noise::of(&["pg", "commits"]);
        self.counter("pg_stat_database_xact_commit_total", &base, Life::Always, |seconds| {
            calls(seconds) * (1.0 + 0.04 * noise.bell())
        });
        let mut noise = Noise::of(&["pg", "statements"]);
        self.counter("pg_stat_statements_calls_total", &base, Life::Always, |seconds| {
            calls(seconds) * (1.0 + 0.04 * noise.bell())
        });
        let mut noise = Noise::of(&["pg", "statements"]);
        self.seconds("pg_stat_statements_seconds_total", &base, Life::Always, |seconds| {
            calls(seconds) * (1.0 + 0.04 * noise.bell()) * 0.003
        });
        let mut noise = Noise::of(&["pg", "cpu"]);
        self.seconds("process_cpu_seconds_total", &base, Life::Always, |_| {
            STEP.as_secs_f64() * 0.9 * (1.0 + 0.06 * noise.bell())
        });
        self.gauge("up", &base, Life::Always, |_| 1.0);
    }

    fn surroundings(&mut self) {
        let pairs = [("namespace", "shop"), ("service", "orders"), ("topic", "orders")];
        let mut noise = Noise::of(&["kafka", "lag"]);
        self.gauge("kafka_consumergroup_lag", &pairs, Life::Always, |_| (14.0 + 5.0 * noise.bell()).round().max(0.0));
        for (node, service, used) in [("node-1", "pg-main", 0.46), ("node-2", "search-index", 0.63)] {
            let pairs = [("device", "/dev/nvme0n1"), ("instance", node), ("service", service)];
            self.gauge("node_filesystem_size_bytes", &pairs, Life::Always, |_| 500e9);
            self.gauge("node_filesystem_avail_bytes", &pairs, Life::Always, |seconds| {
                (500e9 * (1.0 - used) - 12e3 * seconds).round()
            });
        }
        let expiry = self.times.end.secs_f64() + 36.0 * 3600.0;
        let pairs = [("instance", "https://shop.example"), ("service", "ingress-shop")];
        self.gauge("probe_ssl_earliest_cert_expiry", &pairs, Life::Always, |_| expiry);
    }
}

/// Counters of processes that have lived for long do not begin at zero.
fn start_of(name: &str, pairs: Pairs<'_>, life: Life) -> f64 {
    if life == Life::SinceTrouble {
        return 0.0;
    }
    // Failures and timeouts are few.
    let most = if name.contains("failed") || name.contains("timeouts") || labels_key(pairs).contains("503") {
        50
    } else {
        4_000_000
    };
    Noise::of(&[name, &labels_key(pairs), "start"]).below(most) as f64
}

fn labels_key(pairs: Pairs<'_>) -> String {
    pairs.iter().flat_map(|(name, value)| [name, "=", value, ";"]).collect()
}
