//! Incidents of our own making for tests of this room.

use std::sync::Arc;

use crate::domain::alert::{Alert, AlertState, Severity};
use crate::domain::analysis::{Analysis, Finding, GraphEdge, RankedChange, Signal, Suspect};
use crate::domain::change::Change;
use crate::domain::evidence::{
    Band, BeforeAfter, Detail, EdgeDetail, Evidence, EvidenceId, EvidenceKind, LogChange, LogDetail, MetricDetail, Turn,
};
use crate::domain::incident::Incident;
use crate::domain::log::LogEntry;
use crate::domain::query::Lang;
use crate::domain::snapshot::Provenance;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

/// Seconds after 14:00:00 of the day of the incident.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000 - 1_790_000_000 % 86_400 + 14 * 3_600 + seconds)
}

pub(super) fn id(text: &str) -> EvidenceId {
    text.parse().unwrap()
}

fn provenance(lang: Option<Lang>, expr: &str) -> Provenance {
    Provenance {
        source: "bundle".into(),
        lang,
        expr: expr.into(),
        range: TimeRange::new(at(-600), at(900)),
        notes: Vec::new(),
    }
}

pub(super) fn alert() -> Alert {
    Alert {
        fingerprint: "f".into(),
        labels: [
            ("alertname", "CheckoutErrors"),
            ("severity", "critical"),
            ("service", "checkout"),
            ("namespace", "shop"),
        ]
        .into_iter()
        .collect(),
        annotations: [("summary", "checkout fails for 31% of users")].into_iter().collect(),
        starts_at: at(240),
        ends_at: None,
        state: AlertState::Active,
        suppressed_by: Vec::new(),
        receivers: Vec::new(),
        generator_url: String::new(),
        expression: Some("rate(errors_total[1m]) > 0.1".into()),
    }
}

pub(super) fn metric(number: u32, service: &str, name: &str, median: f64, peak: f64, strength: f64) -> Evidence {
    Evidence {
        id: EvidenceId { kind: EvidenceKind::Metric, number },
        service: Some(service.into()),
        title: Text::new(name),
        strength,
        onset: Some(at(140)),
        detail: Detail::Metric(MetricDetail {
            metric: name.into(),
            labels: [("pool", "pg-main")].into_iter().collect(),
            unit: String::new(),
            baseline: Band { low: median * 0.8, median, high: median * 1.3, count: 60 },
            peak,
            last: peak,
            turn: if peak > median { Turn::Up } else { Turn::Down },
            score: 9.0,
            samples: Vec::new(),
        }),
        provenance: provenance(Some(Lang::PromQl), &format!("max({name}{{namespace=\"shop\",service=\"{service}\"}})")),
    }
}

pub(super) fn log(number: u32, service: &str, template: &str, change: LogChange, strength: f64) -> Evidence {
    let labels: Labels =
        [("app", service), ("namespace", "shop"), ("pod", "payments-7d9f8-x2x4z")].into_iter().collect();
    let (before, after) = if change == LogChange::Vanished { (400, 0) } else { (0, 1204) };
    Evidence {
        id: EvidenceId { kind: EvidenceKind::Log, number },
        service: Some(service.into()),
        title: Text::new(template),
        strength,
        onset: Some(at(145)),
        detail: Detail::Log(LogDetail {
            template: Text::new(template),
            change: Some(change),
            baseline_count: before,
            window_count: after,
            baseline_per_minute: before as f64 / 10.0,
            window_per_minute: after as f64 / 15.0,
            level: "error".into(),
            exemplars: vec![LogEntry {
                at: at(150),
                labels: Arc::new(labels),
                line: Text::new(&template.replace("<*>", "3012")),
                metadata: Labels::new(),
            }],
            first: Some(at(145)),
            branch: None,
            onset: None,
            telling: Vec::new(),
            outside_baseline: false,
        }),
        provenance: provenance(Some(Lang::LogQl), &format!("{{app=\"{service}\"}}")),
    }
}

pub(super) fn change(number: u32, kind: &str, service: &str, seconds: i64) -> Evidence {
    let change = Change {
        at: at(seconds),
        kind: kind.into(),
        service: service.into(),
        reference: "v2.41".into(),
        summary: "hold connection during fraud check".into(),
        author: "author-1".into(),
        diff: None,
    };
    Evidence {
        id: EvidenceId { kind: EvidenceKind::Change, number },
        service: (!service.is_empty()).then(|| service.to_owned()),
        title: Text::new("deploy v2.41"),
        strength: 0.8,
        onset: Some(at(seconds)),
        detail: Detail::Change(Box::new(change)),
        provenance: provenance(None, "changes"),
    }
}

pub(super) fn edge(number: u32, client: &str, server: &str, callee_after: f64) -> Evidence {
    Evidence {
        id: EvidenceId { kind: EvidenceKind::Edge, number },
        service: Some(server.into()),
        title: Text::new(&format!("{client} → {server}")),
        strength: 0.8,
        onset: Some(at(150)),
        detail: Detail::Edge(EdgeDetail {
            client: client.into(),
            server: server.into(),
            rate: BeforeAfter { before: Some(120.0), after: Some(118.0) },
            errors: BeforeAfter { before: Some(0.001), after: Some(0.312_7) },
            client_seconds: BeforeAfter { before: Some(0.091), after: Some(5.198_7) },
            server_seconds: BeforeAfter { before: Some(0.08), after: Some(callee_after) },
            p95: BeforeAfter::default(),
        }),
        provenance: provenance(Some(Lang::PromQl), "traces_service_graph_request_total"),
    }
}

fn alert_item() -> Evidence {
    Evidence {
        id: id("A1"),
        service: Some("checkout".into()),
        title: "checkout fails for 31% of users".into(),
        strength: 1.0,
        onset: Some(at(240)),
        detail: Detail::Alert(Box::new(alert())),
        provenance: provenance(None, "alerts"),
    }
}

pub(super) fn suspect(rank: usize, service: &str, score: f64, items: &[&Evidence]) -> Suspect {
    let signals = items
        .iter()
        .map(|item| Signal {
            kind: item.id.kind,
            text: super::wording::describe(item),
            evidence: vec![item.id],
            score: item.strength,
            onset: item.onset,
        })
        .collect();
    Suspect { rank, service: service.into(), score, signals, normal: vec!["cpu".into()] }
}

/// An incident of the shop with this evidence; the first suspect is the service of the first item.
pub(super) fn shop(mut items: Vec<Evidence>) -> Analysis {
    let service = items.first().and_then(|item| item.service.clone()).unwrap_or_default();
    let own: Vec<&Evidence> = items.iter().filter(|item| item.service.as_deref() == Some(service.as_str())).collect();
    let suspects = vec![suspect(1, &service, 0.93, &own)];
    let changes: Vec<RankedChange> = items
        .iter()
        .filter(|item| item.id.kind == EvidenceKind::Change)
        .enumerate()
        .map(|(i, item)| RankedChange { rank: i + 1, evidence: item.id, score: 0.9, why: "28 s before".into() })
        .collect();
    items.push(alert_item());
    items.sort_by_key(|item| item.id);
    Analysis {
        incident: Incident {
            id: "I-1".into(),
            title: "checkout fails for 31% of users".into(),
            severity: Severity::Critical,
            started_at: at(240),
            resolved_at: None,
            services: vec!["checkout".into()],
            alerts: vec![alert()],
            flapping: Vec::new(),
            window: TimeRange::new(at(0), at(900)),
            baseline: TimeRange::new(at(-3_600), at(-600)),
        },
        verdict: Finding::Suspects,
        suspects,
        changes,
        ruled_out: Vec::new(),
        without_change: None,
        evidence: items,
        graph: vec![GraphEdge { client: "checkout".into(), server: "payments".into() }],
        notes: Vec::new(),
    }
}

/// A deploy exhausts the connection pool of payments.
pub(super) fn pool() -> Analysis {
    let mut analysis = shop(vec![
        metric(1, "payments", "pool_in_use", 6.0, 50.0, 0.95),
        log(
            1,
            "payments",
            "level=error msg=\"acquire connection: timeout\" pool=pg-main waited_ms=<*>",
            LogChange::New,
            0.9,
        ),
        log(2, "payments", "level=info msg=\"connection returned\" pool=<*>", LogChange::Vanished, 0.7),
        edge(1, "checkout", "payments", 5.1),
        change(1, "deploy", "payments", 112),
        metric(2, "postgres", "pg_connections", 12.0, 55.0, 0.4),
    ]);
    let other = analysis.evidence(id("M2")).unwrap().clone();
    analysis.suspects.push(suspect(2, "postgres", 0.41, &[&other]));
    analysis
}

/// Nothing was found.
pub(super) fn quiet() -> Analysis {
    let mut analysis = shop(Vec::new());
    analysis.verdict = Finding::NothingFound;
    analysis.suspects.clear();
    analysis
}
