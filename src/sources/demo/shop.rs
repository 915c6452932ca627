//! The shop: services, who calls whom, and how each fares before and during the incident.

/// A service of the shop.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) pods: usize,
    pub(super) version: &'static str,
    /// Routes with their share of the requests.
    pub(super) routes: &'static [(&'static str, f64)],
    /// Requests per second, all pods together.
    pub(super) rate: f64,
    /// Median time of a request in seconds.
    pub(super) seconds: f64,
}

/// Services that serve requests.
pub(super) const SERVICES: [Service; 8] = [
    Service {
        name: "web",
        pods: 6,
        version: "v8.12.1",
        routes: &[("/", 0.34), ("/search", 0.38), ("/product", 0.15), ("/checkout", 0.13)],
        rate: 310.0,
        seconds: 0.042,
    },
    Service {
        name: "checkout",
        pods: 6,
        version: "v5.3.0",
        routes: &[("/cart", 0.45), ("/order", 0.55)],
        rate: 74.0,
        seconds: 0.035,
    },
    Service { name: "payments", pods: 6, version: "v2.40", routes: &[("/authorize", 1.0)], rate: 41.0, seconds: 0.043 },
    Service { name: "fraud", pods: 3, version: "v1.17.2", routes: &[("/score", 1.0)], rate: 40.0, seconds: 0.021 },
    Service { name: "inventory", pods: 3, version: "v3.9.4", routes: &[("/stock", 1.0)], rate: 86.0, seconds: 0.012 },
    Service { name: "search", pods: 3, version: "v4.1.0", routes: &[("/query", 1.0)], rate: 118.0, seconds: 0.055 },
    Service {
        name: "recommendations",
        pods: 3,
        version: "v0.31.0",
        routes: &[("/for-you", 1.0)],
        rate: 96.0,
        seconds: 0.028,
    },
    Service { name: "orders", pods: 2, version: "v2.2.8", routes: &[("/consume", 1.0)], rate: 39.0, seconds: 0.016 },
];

/// The version that does harm, and the one before.
pub(super) const BAD_VERSION: &str = "v2.41";
/// The service it belongs to.
pub(super) const CULPRIT: &str = "payments";
/// Connections its pool may have.
pub(super) const POOL_LIMIT: f64 = 50.0;

/// A call from one service to another.
pub(super) struct Edge {
    pub(super) client: &'static str,
    pub(super) server: &'static str,
    /// Requests per second.
    pub(super) rate: f64,
    /// Median time of a request in seconds.
    pub(super) seconds: f64,
}

const fn edge(client: &'static str, server: &'static str, rate: f64, seconds: f64) -> Edge {
    Edge { client, server, rate, seconds }
}

/// Who calls whom.
pub(super) const EDGES: [Edge; 13] = [
    edge("web", "checkout", 74.0, 0.037),
    edge("web", "search", 118.0, 0.057),
    edge("web", "recommendations", 96.0, 0.030),
    edge("web", "inventory", 46.0, 0.014),
    edge("checkout", "payments", 41.0, 0.045),
    edge("checkout", "inventory", 40.0, 0.013),
    edge("checkout", "kafka-orders", 39.0, 0.004),
    edge("payments", "fraud", 40.0, 0.023),
    edge("payments", "pg-main", 82.0, 0.003),
    edge("inventory", "pg-main", 61.0, 0.003),
    edge("search", "search-index", 118.0, 0.041),
    edge("recommendations", "redis-recs", 190.0, 0.001),
    edge("orders", "kafka-orders", 39.0, 0.004),
];

/// How requests fare at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fare {
    /// Requests, as a multiple of the usual.
    pub(super) rate: f64,
    /// Share of requests that fail.
    pub(super) errors: f64,
    /// Median time of an ordinary request in seconds.
    pub(super) seconds: f64,
    /// Share of requests that wait for a connection.
    pub(super) waiting: f64,
}

/// Median time of a request that waits for a connection; those that fail wait for five seconds.
pub(super) const WAIT_SECONDS: f64 = 3.6;

/// From 0 to 1: how far the pool is gone, so many seconds after the new version came. Full after 16 seconds.
pub(super) fn stress(seconds: f64) -> f64 {
    (seconds / 16.0).clamp(0.0, 1.0)
}

impl Fare {
    /// How requests to a route of a service fare.
    pub(super) fn of(service: &str, route: &str, usual: f64, stress: f64) -> Self {
        let calm = Self { rate: 1.0, errors: 0.001, seconds: usual, waiting: 0.0 };
        match (service, route) {
            // Checkout tries again, so more requests arrive than before.
            ("payments", _) => calm.towards(stress, 1.22, 0.31, 0.74),
            ("checkout", "/order") => calm.towards(stress, 0.97, 0.31, 0.70),
            ("web", "/checkout") => calm.towards(stress, 0.96, 0.31, 0.68),
            ("fraud", _) => calm.towards(stress, 0.71, 0.001, 0.0),
            ("orders", _) => calm.towards(stress, 0.69, 0.001, 0.0),
            ("inventory", _) => calm.towards(stress, 0.93, 0.001, 0.0),
            _ => calm,
        }
    }

    /// How calls along an edge fare.
    pub(super) fn between(edge: &Edge, stress: f64) -> Self {
        let calm = Self { rate: 1.0, errors: 0.001, seconds: edge.seconds, waiting: 0.0 };
        match (edge.client, edge.server) {
            ("checkout", "payments") => calm.towards(stress, 1.22, 0.31, 0.74),
            // A good half of what web asks of checkout is an order.
            ("web", "checkout") => calm.towards(stress, 0.98, 0.17, 0.40),
            ("payments", "fraud") => calm.towards(stress, 0.71, 0.001, 0.0),
            ("payments", "pg-main") => calm.towards(stress, 0.70, 0.001, 0.0),
            (_, "kafka-orders") => calm.towards(stress, 0.69, 0.001, 0.0),
            _ => calm,
        }
    }

    fn towards(self, stress: f64, rate: f64, errors: f64, waiting: f64) -> Self {
        let mix = |from: f64, to: f64| from + (to - from) * stress;
        Self {
            rate: mix(self.rate, rate),
            errors: mix(self.errors, errors),
            seconds: self.seconds,
            waiting: mix(self.waiting, waiting),
        }
    }

    /// Share of requests that took at most `bound` seconds: a log-logistic distribution, which needs no exponential.
    pub(super) fn share_within(&self, bound: f64) -> f64 {
        let logistic = |median: f64| {
            let ratio = bound / median;
            let power = ratio * ratio * ratio * ratio;
            if power.is_finite() { power / (1.0 + power) } else { 1.0 }
        };
        let waited = logistic(WAIT_SECONDS);
        logistic(self.seconds) * (1.0 - self.waiting) + waited * self.waiting
    }

    /// Mean time in seconds. The mean of that distribution is 1.11 medians.
    pub(super) fn mean_seconds(&self) -> f64 {
        1.11 * (self.seconds * (1.0 - self.waiting) + WAIT_SECONDS * self.waiting)
    }
}

/// Name of a pod. The pods of the culprit got new names with the new version.
pub(super) fn pod(service: &str, number: usize, replaced: bool) -> String {
    const TAILS: [&str; 6] = ["4xk2p", "8mzqd", "b7v9t", "j2w6n", "q5h8c", "z9r3f"];
    let replica_set = match (service, replaced) {
        ("payments", false) => "6c9f7d5b84",
        ("payments", true) => "7d44b8c6f9",
        ("web", _) => "5f8d6c7b9c",
        ("checkout", _) => "84b5c9d7f6",
        ("search", _) => "6b7f9d8c54",
        _ => "79c8b6d5f4",
    };
    format!("{service}-{replica_set}-{}", TAILS[number % TAILS.len()])
}
