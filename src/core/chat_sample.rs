//! A chat of our own making for tests of screens.

use crate::domain::Text;
use crate::domain::TimeRange;
use crate::domain::diagnosis::{Analyst, Claim, Diagnosed, Diagnosis, PromptRef, Timing, Unsupported, Usage};
use crate::domain::evidence::{Detail, Evidence, EvidenceId, EvidenceKind};
use crate::domain::query::Lang;
use crate::domain::question::{Asking, Reply, Step, StepOutcome};
use crate::domain::snapshot::Provenance;

use super::sample::at;

pub(crate) fn q(number: u32) -> EvidenceId {
    EvidenceId { kind: EvidenceKind::Query, number }
}

fn step(number: usize, tool: &str, what: &str, outcome: StepOutcome, evidence: Option<EvidenceId>) -> Step {
    let elapsed_ms = 40 * number as u64 + if number == 2 { 1_200 } else { 0 };
    let thought = Text::new("look it up");
    Step { number, thought, tool: tool.into(), what: Text::new(what), outcome, evidence, elapsed_ms }
}

fn steps() -> Vec<Step> {
    let refused =
        StepOutcome::Refused { why: Text::new("its effect is destroy, and questions only read (rule losses)") };
    vec![
        step(1, "promql", "min_over_time(up[10m]) == 0", StepOutcome::Answered { items: 1 }, Some(q(2))),
        step(
            2,
            "logql",
            "{service=\"payments\"} |= \"timeout\" from -10m",
            StepOutcome::Answered { items: 120 },
            Some(q(3)),
        ),
        step(3, "kubectl", "kubectl -n shop delete pod payments-1", refused, None),
        step(4, "promql", "min_over_time(up[10m]) == 0", StepOutcome::Repeated, Some(q(2))),
    ]
}

pub(crate) fn asking() -> Asking {
    let mut steps = steps();
    steps.truncate(2);
    steps[1].outcome = StepOutcome::UnderWay;
    steps[1].evidence = None;
    Asking {
        by: Text::new("model-x via primary"),
        stage: Text::new("logql {service=\"payments\"} |= \"timeout\" from -10m"),
        steps,
        thought: Text::default(),
        answer: Text::default(),
        sent_tokens: 3_200,
        hidden: 2,
        received_tokens: 64,
    }
}

fn brought(number: u32, expr: &str, text: &str, lang: Option<Lang>) -> Evidence {
    Evidence {
        id: q(number),
        service: None,
        title: Text::new(&format!("prometheus: {expr}")),
        strength: 1.0,
        onset: None,
        detail: Detail::Query { text: Text::new(text) },
        provenance: Provenance {
            source: "prometheus".into(),
            lang,
            expr: expr.into(),
            range: TimeRange::new(at("14:04:00"), at("14:14:00")),
            notes: Vec::new(),
        },
    }
}

pub(crate) fn reply() -> Reply {
    let claim = |text: &str, ids: &[&str]| Claim {
        text: Text::new(text),
        evidence: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let diagnosis = Diagnosis {
        observations: vec![
            claim("payments was not scraped for part of the last 10 minutes", &["Q2"]),
            claim("120 lines of payments say that acquiring a connection timed out", &["Q3", "Q2"]),
            claim("half of all pods were restarted", &["Q3"]),
        ],
        summary: Text::new("Only payments was down in the last 10 minutes; its connection pool was exhausted."),
        missing: vec![Text::new("restarts of pods: no metric of that kind is scraped")],
        ..Diagnosis::default()
    };
    Reply {
        diagnosed: Diagnosed {
            analyst: Analyst { name: "model-x".into(), endpoint: Some("primary".into()) },
            prompt: PromptRef { name: "ask".into(), version: "7f3c0000".into() },
            diagnosis,
            unsupported: vec![Unsupported {
                path: "observations[2]".into(),
                text: Text::new("half of all pods were restarted"),
                why: "nothing it cites says so".into(),
            }],
            unknown_ids: Vec::new(),
            complete: true,
            remarks: Vec::new(),
            plain: None,
            usage: Usage { input_tokens: 9_100, output_tokens: 410, cached_tokens: 0, reported: true },
            timing: Timing { first_token_ms: Some(300), total_ms: 6_400 },
            rate: None,
            bill: None,
            sees: None,
            earlier: Vec::new(),
        },
        steps: steps(),
        evidence: vec![
            brought(1, "incidents", "2 open of 3 incidents", None),
            brought(2, "min_over_time(up[10m]) == 0", "1 series\n{service=\"payments\"} 0", Some(Lang::PromQl)),
            brought(
                3,
                "{service=\"payments\"} |= \"timeout\"",
                "120 entries\n×120 error: acquire connection: timeout",
                Some(Lang::LogQl),
            ),
        ],
        hidden: [("jwt".to_owned(), 2)].into_iter().collect(),
    }
}
