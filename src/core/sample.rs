//! A deterministic incident for tests: a deploy exhausts a connection pool.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::action::{
    Action, Decision, Digest, Effect as Impact, Judged, Origin, OutputLine, RunRequest, Verdict, Verification,
};
use crate::domain::alert::{Alert, AlertState, Severity};
use crate::domain::analysis::{Analysis, Finding, GraphEdge, RankedChange, Signal, Suspect};
use crate::domain::change::Change;
use crate::domain::diagnosis::{
    Analyst, Check, Claim, Confidence, Diagnosed, Diagnosis, Hypothesis, PromptRef, Timing, TypedChange, Unsupported,
    Usage,
};
use crate::domain::evidence::{
    Band, BeforeAfter, Branch, Detail, EdgeDetail, Evidence, EvidenceId, EvidenceKind, LogChange, LogDetail,
    MetricDetail, TellingValue, Turn,
};
use crate::domain::health::{SourceHealth, Status};
use crate::domain::incident::Incident;
use crate::domain::ledger::{Draft, Entry, EntryKind};
use crate::domain::log::LogEntry;
use crate::domain::metric::Sample;
use crate::domain::query::{Asked, Lang, Note, NoteKind, Planned, Purpose, Query, Shape};
use crate::domain::snapshot::Provenance;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

use super::message::{Board, Conclusion, Investigation, Msg, Prepared, Report, Suggestion};
use super::model::{FirstRun, Found, Identity, Model};
use super::queue::Queue;
use super::update::{start, update};
use super::{Effect, Key};

/// `HH:MM:SS` on the day of the sample.
pub(crate) fn at(clock: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("2026-03-14T{clock}Z")).unwrap()
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn alert(name: &str, service: &str, severity: &str, summary: &str, starts: &str) -> Alert {
    Alert {
        fingerprint: format!("{name}-{service}"),
        labels: labels(&[("alertname", name), ("service", service), ("severity", severity)]),
        annotations: labels(&[("summary", summary), ("runbook_url", "https://runbooks.example/errors")]),
        starts_at: at(starts),
        ends_at: None,
        state: AlertState::Active,
        suppressed_by: Vec::new(),
        receivers: vec!["pager".into()],
        generator_url: String::new(),
        expression: Some("rate(errors_total[1m]) > 0.05".into()),
    }
}

fn incident(id: &str, title: &str, severity: Severity, started: &str, alerts: Vec<Alert>) -> Incident {
    Incident {
        id: id.into(),
        title: Text::new(title),
        severity,
        started_at: at(started),
        resolved_at: None,
        services: alerts.iter().filter_map(|alert| alert.labels.service().map(ToOwned::to_owned)).collect(),
        alerts,
        flapping: Vec::new(),
        window: TimeRange::new(at("13:55:00"), at("14:07:30")),
        baseline: TimeRange::new(at("13:25:00"), at("13:55:00")),
    }
}

pub(crate) fn payments() -> Incident {
    let alerts = vec![
        alert("CheckoutErrors", "checkout", "critical", "checkout fails for 31% of users", "14:03:00"),
        alert("PoolExhausted", "payments", "warning", "payments connection pool is full", "14:03:30"),
    ];
    incident("I-3f9a2c", "checkout fails for 31% of users", Severity::Critical, "14:03:00", alerts)
}

pub(crate) fn board() -> Board {
    let mut resolved = incident(
        "I-77aa01",
        "queue lag orders",
        Severity::Warning,
        "13:01:00",
        vec![alert("QueueLag", "orders", "warning", "queue lag orders", "13:01:00")],
    );
    resolved.resolved_at = Some(at("13:20:00"));
    let search = incident(
        "I-5b00d1",
        "search slow in eu-west",
        Severity::Warning,
        "14:04:10",
        vec![alert("SearchSlow", "search-index", "warning", "search slow in eu-west", "14:04:10")],
    );
    Board { incidents: Ok(vec![payments(), search, resolved]), sources: sources() }
}

pub(crate) fn sources() -> Vec<SourceHealth> {
    let source = |name: &str, status, ok: Option<&str>, error: Option<&str>| SourceHealth {
        status,
        last_ok: ok.map(at),
        error: error.map(Text::new),
        ..SourceHealth::new(name)
    };
    vec![
        source("prometheus", Status::Ok, Some("14:07:27"), None),
        source("alertmanager", Status::Ok, Some("14:07:29"), None),
        source(
            "loki",
            Status::Down,
            Some("14:02:20"),
            Some("loki: connection refused at 127.0.0.1:3100 (is it running?)"),
        ),
    ]
}

pub(crate) fn id(text: &str) -> EvidenceId {
    text.parse().unwrap()
}

fn provenance(source: &str, lang: Option<Lang>, expr: &str) -> Provenance {
    Provenance {
        source: source.into(),
        lang,
        expr: expr.into(),
        range: TimeRange::new(at("13:25:00"), at("14:07:30")),
        notes: Vec::new(),
    }
}

fn metric(number: u32, name: &str, service: &str, unit: &str, before: f64, after: f64, onset: &str) -> Evidence {
    let start = at("13:25:00");
    let onset = at(onset);
    let samples: Vec<Sample> = (0..170_u64)
        .map(|step| {
            let when = start.plus(Duration::from_secs(step * 15));
            let wave = 1.0 + 0.2 * ((step % 7) as f64 - 3.0) / 3.0;
            Sample { at: when, value: if when < onset { before * wave } else { after } }
        })
        .collect();
    Evidence {
        id: EvidenceId { kind: EvidenceKind::Metric, number },
        service: Some(service.into()),
        title: Text::new(&format!("{name} of {service} went up")),
        strength: 0.9,
        onset: Some(onset),
        detail: Detail::Metric(MetricDetail {
            metric: name.into(),
            labels: labels(&[("pool", "pg-main")]),
            unit: unit.into(),
            baseline: Band { low: before * 0.8, median: before, high: before * 1.2, count: 120 },
            peak: after,
            last: after,
            turn: Turn::Up,
            score: 41.5,
            samples,
        }),
        provenance: provenance(
            "prometheus",
            Some(Lang::PromQl),
            &format!("max by (pool) ({name}{{service=\"{service}\"}})"),
        ),
    }
}

fn log(number: u32, change: LogChange, template: &str, before: u64, after: u64) -> Evidence {
    let entry = |clock: &str, line: &str| LogEntry {
        at: at(clock),
        labels: Arc::new(labels(&[("service_name", "payments"), ("level", "error")])),
        line: Text::new(line),
        metadata: Labels::new(),
    };
    let head = r#"level=error msg="acquire connection: timeout" pool=pg-main waited_ms="#;
    let frames: Vec<String> =
        (1..9).map(|frame| format!("    at shop.pool.Frame{frame}(Pool.java:{frame}0)")).collect();
    let exemplars = vec![
        entry("14:02:21", &format!("{head}5003")),
        entry("14:02:24", &format!("{head}8000\njava.lang.IllegalState: 価格 not found\n{}", frames.join("\n"))),
    ];
    let (is_new, is_gone) = (change == LogChange::New, change == LogChange::Vanished);
    let telling = TellingValue {
        field: "promo".into(),
        value: Text::new("WINTER25"),
        among: "slow".into(),
        share: BeforeAfter { before: Some(0.02), after: Some(0.94) },
        count: 1_131,
    };
    let branch = Branch {
        from: Some(Text::new("level=info msg=\"charge order\" order=<*>")),
        now: None,
        share: BeforeAfter { before: Some(0.001), after: Some(0.94) },
        before: Some(Text::new(template)),
    };
    Evidence {
        id: EvidenceId { kind: EvidenceKind::Log, number },
        service: Some("payments".into()),
        title: Text::new(template),
        strength: 0.8,
        onset: Some(at("14:02:21")),
        detail: Detail::Log(LogDetail {
            template: Text::new(template),
            change: Some(change),
            baseline_count: before,
            window_count: after,
            baseline_per_minute: before as f64 / 30.0,
            window_per_minute: after as f64 / 12.5,
            level: "error".into(),
            exemplars,
            first: Some(at("14:02:21")),
            branch: is_gone.then_some(branch),
            onset: None,
            telling: if is_new { vec![telling] } else { Vec::new() },
            outside_baseline: false,
        }),
        provenance: provenance("loki", Some(Lang::LogQl), r#"{service_name="payments"}"#),
    }
}

pub(crate) fn evidence() -> Vec<Evidence> {
    let change = Change {
        at: at("14:01:52"),
        kind: "deploy".into(),
        service: "payments".into(),
        reference: Text::new("v2.41"),
        summary: Text::new("hold connection during fraud check"),
        author: Text::new("author-1"),
        diff: Some(Text::new(
            "@@ -10,4 +10,5 @@ fn charge()\n let order = load(id);\n-check_fraud(&order);\n-let conn = pool.acquire();\n+let conn = pool.acquire();\n+check_fraud(&order);\n commit(conn);",
        )),
    };
    vec![
        Evidence {
            id: id("A1"),
            service: Some("checkout".into()),
            title: Text::new("CheckoutErrors: checkout fails for 31% of users"),
            strength: 1.0,
            onset: Some(at("14:03:00")),
            detail: Detail::Alert(Box::new(payments().alerts[0].clone())),
            provenance: provenance("alertmanager", None, "alerts"),
        },
        metric(3, "pool_in_use", "payments", "", 6.0, 50.0, "14:02:20"),
        metric(4, "request_seconds", "checkout", "s", 0.09, 5.2, "14:02:40"),
        log(7, LogChange::New, r#"level=error msg="acquire connection: timeout" pool=pg-main waited_ms=<*>"#, 0, 1_204),
        log(9, LogChange::Vanished, r#"msg="connection returned" pool=<*>"#, 1_200, 0),
        Evidence {
            id: id("E2"),
            service: Some("payments".into()),
            title: Text::new("checkout → payments is slow and fails"),
            strength: 0.7,
            onset: Some(at("14:02:40")),
            detail: Detail::Edge(EdgeDetail {
                client: "checkout".into(),
                server: "payments".into(),
                rate: BeforeAfter { before: Some(41.0), after: Some(38.5) },
                errors: BeforeAfter { before: Some(0.001), after: Some(0.31) },
                client_seconds: BeforeAfter { before: Some(0.09), after: Some(5.2) },
                server_seconds: BeforeAfter { before: Some(0.08), after: None },
                p95: BeforeAfter { before: Some(0.21), after: Some(9.8) },
            }),
            provenance: provenance("prometheus", Some(Lang::PromQl), "traces_service_graph_request_total"),
        },
        Evidence {
            id: id("C1"),
            service: Some("payments".into()),
            title: Text::new("deploy payments v2.41 \"hold connection during fraud check\" author-1"),
            strength: 0.9,
            onset: Some(at("14:01:52")),
            detail: Detail::Change(Box::new(change)),
            provenance: provenance("changes", None, "changes"),
        },
    ]
}

fn signal(kind: EvidenceKind, text: &str, ids: &[&str], score: f64) -> Signal {
    Signal { kind, text: text.into(), evidence: ids.iter().map(|text| id(text)).collect(), score, onset: None }
}

pub(crate) fn investigation() -> Investigation {
    let suspect = |rank, service: &str, score, signals| Suspect {
        rank,
        service: service.into(),
        score,
        signals,
        normal: vec!["cpu".into(), "memory".into(), "disk".into()],
    };
    let analysis = Analysis {
        incident: payments(),
        verdict: Finding::Suspects,
        suspects: vec![
            suspect(
                1,
                "payments",
                0.93,
                vec![
                    signal(EvidenceKind::Change, "deploy v2.41 28 s before the onset", &["C1"], 0.9),
                    signal(EvidenceKind::Metric, "pool full (50), first of all", &["M3"], 0.9),
                    signal(EvidenceKind::Log, "new error, old line vanished", &["L7", "L9"], 0.8),
                    signal(EvidenceKind::Edge, "calls from checkout wait 5.2 s", &["E2"], 0.7),
                ],
            ),
            suspect(2, "checkout", 0.38, vec![signal(EvidenceKind::Metric, "latency follows payments", &["M4"], 0.4)]),
            suspect(3, "web", 0.12, vec![]),
        ],
        ruled_out: Vec::new(),
        without_change: None,
        changes: vec![RankedChange {
            rank: 1,
            evidence: id("C1"),
            score: 0.9,
            why: "28 s before the first onset, on the first suspect".into(),
        }],
        evidence: evidence(),
        graph: vec![GraphEdge { client: "checkout".into(), server: "payments".into() }],
        notes: vec![Note { kind: NoteKind::Cut, text: Text::new("loki: 5,000 of more entries kept") }],
    };
    let logs = (0..40_u64)
        .map(|step| {
            let bad = step > 20;
            let line = if bad {
                format!("level=error msg=\"acquire connection: timeout\" pool=pg-main waited_ms={}", 3_000 + step)
            } else {
                format!("level=info msg=\"connection returned\" pool=pg-main held_ms={step} and a tail that is long enough to be cut at eighty columns")
            };
            LogEntry {
                at: at("14:02:00").plus(Duration::from_secs(step)),
                labels: Arc::new(labels(&[("service_name", "payments")])),
                line: Text::new(&line),
                metadata: Labels::new(),
            }
        })
        .collect();
    Investigation { analysis, logs, asked: asked() }
}

pub(crate) fn asked() -> Vec<Asked> {
    let range = TimeRange::new(at("13:25:00"), at("14:07:30"));
    let question = |expr: &str, source: &str, ms, outcome, notes| Asked {
        planned: Planned {
            query: Query::Range { lang: Lang::PromQl, expr: expr.into(), range, step: Duration::from_secs(15) },
            purpose: Purpose::Golden { metric: "pool_in_use".into(), shape: Shape::Level },
        },
        source: source.into(),
        at: at("14:07:20"),
        elapsed_ms: ms,
        outcome,
        notes,
    };
    vec![
        question("max by (pool) (pool_in_use{service=\"payments\"})", "prometheus", 12, Ok(3), Vec::new()),
        question(
            "sum by (service) (rate(request_errors_total[1m]))",
            "prometheus",
            1_204,
            Ok(20),
            vec![Note { kind: NoteKind::Cut, text: Text::new("20 of 55 series kept") }],
        ),
        question("{service_name=\"payments\"}", "loki", 3_001, Err(Text::new("connection refused")), Vec::new()),
    ]
}

pub(crate) fn check() -> Check {
    Check {
        lang: Lang::PromQl,
        query: Text::new("max(pool_wait_seconds)"),
        expect: Text::new("high on pods of v2.41 only"),
    }
}

pub(crate) fn action(id: &str, argv: &[&str]) -> Action {
    Action {
        id: id.into(),
        incident: payments().id,
        origin: Origin::Playbook("bad-deploy".into()),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        change: None,
        target: Text::new("deployment/payments"),
        rationale: Text::new("roll back payments to the revision before v2.41"),
        rollback: Some(
            ["kubectl", "-n", "shop", "rollout", "undo", "deployment/payments", "--to-revision=41"]
                .map(String::from)
                .to_vec(),
        ),
        verify: Some(check()),
    }
}

pub(crate) fn judged(action: &Action, effect: Impact, decision: Decision) -> Judged {
    Judged {
        input: Text::new(&action.argv.join(" ")),
        argv: action.argv.clone(),
        effect,
        reads_secrets: false,
        tainted: Vec::new(),
        notes: vec!["replaces pods of shop/payments".into()],
        facts: crate::domain::action::CommandFacts::default(),
        verdict: Verdict {
            decision,
            rule: "prod-mutation".into(),
            why: "changes in prod are confirmed by typing".into(),
            need: vec!["typed confirmation".into()],
            break_glass: false,
        },
    }
}

pub(crate) fn conclusion() -> Conclusion {
    let claim = |text: &str, ids: &[&str]| Claim {
        text: Text::new(text),
        evidence: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let rollback = Action {
        change: Some(TypedChange::RollBack { namespace: "shop".into(), workload: "deployment/payments".into() }),
        ..action("P1", &["kubectl", "-n", "shop", "rollout", "undo", "deployment/payments"])
    };
    let look = Action {
        rationale: Text::new("look at the rollout's state"),
        ..action("P2", &["kubectl", "-n", "shop", "rollout", "status", "deployment/payments"])
    };
    Conclusion {
        diagnosed: Diagnosed {
            analyst: Analyst { name: "offline".into(), endpoint: None },
            prompt: PromptRef { name: "playbooks".into(), version: "7f3c".into() },
            diagnosis: Diagnosis {
                observations: vec![claim("31% of checkouts fail", &["A1"])],
                hypotheses: vec![
                    Hypothesis {
                        id: "H1".into(),
                        cause: Text::new(
                            "v2.41 holds a database connection during the fraud call, so 50 slots are gone within 30 s",
                        ),
                        service: Text::new("payments"),
                        mechanism: Text::new("acquire() moved before check_fraud()"),
                        supporting: vec![
                            claim("pool full 28 s after the rollout", &["M3", "C1"]),
                            claim("\"connection returned\" vanished", &["L9"]),
                        ],
                        contradicting: Vec::new(),
                        checks: vec![check()],
                        confidence: Confidence::High,
                    },
                    Hypothesis {
                        id: "H2".into(),
                        cause: Text::new("postgres itself is slow"),
                        confidence: Confidence::Low,
                        contradicting: vec![claim("its query time did not change", &["M4"])],
                        ..Hypothesis::default()
                    },
                ],
                actions: Vec::new(),
                missing: vec![Text::new("no metrics of postgres were found")],
                summary: Text::new("The deploy of payments v2.41 exhausts its connection pool."),
            },
            unsupported: vec![Unsupported {
                path: "summary".into(),
                text: Text::new("50% of pods were restarted"),
                why: "no evidence cited says so".into(),
            }],
            unknown_ids: Vec::new(),
            complete: true,
            remarks: Vec::new(),
            plain: None,
            usage: Usage::default(),
            timing: Timing { first_token_ms: None, total_ms: 3 },
            rate: None,
            bill: None,
            sees: None,
            earlier: Vec::new(),
        },
        actions: vec![
            Suggestion { judged: judged(&rollback, Impact::Mutate, Decision::Confirm), action: rollback },
            Suggestion { judged: judged(&look, Impact::Read, Decision::Allow), action: look },
        ],
    }
}

pub(crate) fn prepared(action: &Action, effect: Impact, decision: Decision) -> Prepared {
    Prepared {
        request: RunRequest {
            incident: action.incident.clone(),
            action: action.id.clone(),
            argv: action.argv.clone(),
            program: "/usr/bin/kubectl".into(),
            program_sha256: "ab".repeat(32),
            cwd: "/home/oncall".into(),
            env: Vec::new(),
            host: "jump-1".into(),
            profile: "prod".into(),
            actor: "oncall-1".into(),
            policy: "cd".repeat(32),
            files: Vec::new(),
            timeout_seconds: 120,
        },
        judged: judged(action, effect, decision),
        digest: Digest("3f9a".repeat(16)),
        word: (decision == Decision::Confirm).then(|| "payments".to_owned()),
        blocked: None,
        can_ask: false,
        can_break: false,
        approved: None,
        preview: Some(Text::new("server dry-run: deployment.apps/payments rolled back")),
        undo: action.rollback.clone(),
        verification: Some(Verification { check: check(), before: Text::new("5.2 s"), after: None }),
        critical: true,
    }
}

pub(crate) fn output(text: &str, stderr: bool) -> OutputLine {
    OutputLine { stderr, text: Text::new(text) }
}

pub(crate) fn entries() -> Vec<Entry> {
    vec![Entry {
        seq: 12,
        draft: Draft {
            at: at("14:05:00"),
            kind: EntryKind::Diagnosis,
            incident: Some(payments().id),
            actor: "oncall-1".into(),
            payload: serde_json::json!({"analyst": "offline", "summary": "pool exhausted by v2.41"}),
        },
        prev_hash: "0".repeat(64),
        hash: "1".repeat(64),
    }]
}

pub(crate) fn identity() -> Identity {
    Identity {
        profile: "prod".into(),
        critical: true,
        actor: "oncall-1".into(),
        recorded: None,
        approvals: true,
        models: vec!["primary".into()],
        ask_first: false,
    }
}

pub(crate) fn first_run() -> FirstRun {
    FirstRun {
        config_path: "~/.config/stanch/config.toml".into(),
        found: vec![
            Found { what: "PROMETHEUS_URL".into(), hint: "prometheus = { url = \"http://127.0.0.1:9090\" }".into() },
            Found { what: "127.0.0.1:9093".into(), hint: "something listens: an Alertmanager?".into() },
        ],
    }
}

/// A model that knows nothing yet.
pub(crate) fn blank() -> Model {
    let mut model = Model::new(identity(), at("14:07:31"), None);
    model.size = (120, 40);
    model
}

/// Answers every effect with the sample until nothing is left to be done.
pub(crate) fn settle(model: &mut Model, mut effects: Vec<Effect>) {
    while let Some(effect) = effects.pop() {
        let (generation, report) = match effect {
            Effect::LoadBoard { generation } => (generation, Report::Board(board())),
            Effect::Investigate { generation, incident, .. } if incident.id == payments().id => {
                (generation, Report::Investigated(Ok(Box::new(investigation()))))
            }
            Effect::Investigate { generation, .. } => {
                (generation, Report::Investigated(Err(Text::new("prometheus: connection refused"))))
            }
            Effect::Diagnose { generation, .. } => (generation, Report::Diagnosed(Ok(Box::new(conclusion())))),
            Effect::LoadTimeline { generation, .. } => (generation, Report::Timeline(Ok(entries()))),
            Effect::Pack { generation, .. } => {
                (generation, Report::Packed(Ok(Box::new(super::consult_sample::preview()))))
            }
            Effect::LoadQueue { generation } => (generation, Report::Queue(Ok(Box::new(Queue::default())))),
            Effect::Ask { generation, .. } => {
                (generation, Report::Answered(Ok(Box::new(super::consult_sample::answered()))))
            }
            Effect::Prepare { generation, action } => {
                let (effect, decision) = if action.id == "P1" {
                    (Impact::Mutate, Decision::Confirm)
                } else {
                    (Impact::Read, Decision::Allow)
                };
                (generation, Report::Prepared(Ok(Box::new(prepared(&action, effect, decision)))))
            }
            _ => continue,
        };
        effects.extend(update(model, Msg::Report(generation, report)));
    }
    update(model, Msg::Drawn);
}

/// A model with the board loaded and the first incident investigated and diagnosed.
pub(crate) fn loaded() -> Model {
    let mut model = blank();
    let effects = start(&mut model);
    settle(&mut model, effects);
    model
}

/// Presses keys, answering what they ask for; `⏎`, `⎋` and `⇥` stand for Enter, Escape and Tab.
pub(crate) fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut last = Vec::new();
    for c in keys.chars() {
        let key = match c {
            '⏎' => Key::Enter,
            '⎋' => Key::Esc,
            '⇥' => Key::Tab,
            c => Key::Char(c),
        };
        last = update(model, Msg::Key(key));
        settle(model, last.clone());
    }
    last
}
