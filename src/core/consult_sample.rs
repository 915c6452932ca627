//! What diagnoses by a model are shown from, for tests.

use super::message::{Answered, Conclusion, PackPreview, Receiver};
use super::sample::{asked, at, id};
use crate::context::Redactor;
use crate::domain::diagnosis::{Analyst, Bill, Claim, Earlier, PromptRef, Timing, Unsupported, Usage};
use crate::domain::evidence::{Detail, Evidence, EvidenceKind};
use crate::domain::health::{EndpointHealth, RequestUnderWay, Status};
use crate::domain::pack::{Omission, Pack, PackedEvidence};
use crate::domain::query::{Lang, Query};
use crate::domain::settings::Sees;
use crate::domain::snapshot::Provenance;
use crate::domain::{Text, TimeRange};

fn pack() -> Pack {
    Pack {
        budget: 4_000,
        tokens: 1_312,
        text: "# Incident\ncheckout fails for 31% of users\n\n[M3] pool_in_use base 5..7 now 50".into(),
        evidence: vec![PackedEvidence {
            id: id("M3"),
            kind: EvidenceKind::Metric,
            service: Some("payments".into()),
            change: None,
            text: "pool_in_use base 5..7 now 50".into(),
            tokens: 14,
        }],
        omitted: vec![Omission { kind: EvidenceKind::Log, count: 12, why: "unchanged".into() }],
        redactions: [("email".to_owned(), 2)].into_iter().collect(),
    }
}

/// What the day cost.
pub(crate) fn bill() -> Bill {
    Bill {
        cost: Some(0.0221),
        today: Some(1.2),
        limit: Some(5.0),
        tokens_today: 61_000,
        tokens_limit: None,
        currency: "$".into(),
    }
}

/// A pack as it would be sent.
pub(crate) fn preview() -> PackPreview {
    let pack = pack();
    let request = Redactor::new().outgoing(&format!("You diagnose.\n\n{}\n\nDiagnose.", pack.text));
    PackPreview {
        pack,
        digest: "d1".into(),
        at: None,
        around: vec![("Sent before it", "You diagnose.".into()), ("Sent after it", "Diagnose.".into())],
        request,
        tokens: 2_800,
        endpoint: Some(Receiver {
            name: "primary".into(),
            model: "claude-test".into(),
            host: "llm.example".into(),
            sees: Sees::Redacted,
            tokens: 3_920,
            learnt: false,
            bytes: 11_200,
            bill: bill(),
        }),
        notes: Vec::new(),
    }
}

/// The answer to the check of the sample's first hypothesis.
pub(crate) fn answered() -> Answered {
    let mut asked = asked().remove(0);
    asked.planned.query =
        Query::Instant { lang: Lang::PromQl, expr: "max(pool_wait_seconds)".into(), at: at("14:07:30") };
    let evidence = Evidence {
        id: id("Q1"),
        service: None,
        title: Text::new("max(pool_wait_seconds)"),
        strength: 0.0,
        onset: None,
        detail: Detail::Query { text: Text::new("5.2 s on v2.41, 0.01 s on v2.40") },
        provenance: Provenance {
            source: "prometheus".into(),
            expr: "max(pool_wait_seconds)".into(),
            lang: Some(Lang::PromQl),
            notes: Vec::new(),
            range: TimeRange { start: at("14:07:30"), end: at("14:07:30") },
        },
    };
    Answered { asked, answer: None, summary: Text::new("5.2 s on v2.41, 0.01 s on v2.40"), evidence: Some(evidence) }
}

/// A diagnosis by a model: the second end point, which disagrees and says something that does not stand.
pub(crate) fn by_model() -> Conclusion {
    let mut made = super::sample::conclusion();
    let diagnosed = &mut made.diagnosed;
    diagnosed.analyst = Analyst { name: "claude-test".into(), endpoint: Some("second".into()) };
    diagnosed.prompt = PromptRef { name: "diagnose".into(), version: "7f3c0000".into() };
    diagnosed.diagnosis.hypotheses.swap(0, 1);
    diagnosed.diagnosis.hypotheses[0].service = Text::new("postgres");
    let claim = Claim { text: Text::new("its connections rose to 900"), evidence: vec!["M4".into()] };
    diagnosed.diagnosis.hypotheses[0].supporting.push(claim.clone());
    diagnosed.unsupported = vec![Unsupported {
        path: "hypotheses[0].supporting[0]".into(),
        text: claim.text,
        why: "the number 900 is not in what it cites".into(),
    }];
    diagnosed.unknown_ids = vec![("M99".into(), 1)];
    diagnosed.usage = Usage { input_tokens: 7_412, output_tokens: 512, cached_tokens: 6_100, reported: true };
    diagnosed.timing = Timing { first_token_ms: Some(812), total_ms: 9_300 };
    diagnosed.rate = Some(61.4);
    diagnosed.sees = Some(Sees::Redacted);
    diagnosed.bill = Some(bill());
    diagnosed.earlier = vec![Earlier {
        endpoint: "primary".into(),
        why: Text::new("the answer broke off after 31 characters: connection reset (what came is kept; try again)"),
        text: Text::new("{\"observations\":[{\"text\":\"the po"),
    }];
    made
}

/// One end point that is saturated, and one that was not asked yet.
pub(crate) fn endpoints() -> Vec<EndpointHealth> {
    let fresh = EndpointHealth {
        name: "second".into(),
        model: "qwen-test".into(),
        status: Status::Unknown,
        words: "not asked yet".into(),
        blame: "nothing".into(),
        what: Text::new("nothing was asked yet"),
        advice: Text::new(""),
        sees: Sees::Production,
        resting: None,
        first_token_ms: None,
        tokens_per_second: None,
        requests_waiting: None,
        under_way: Vec::new(),
        answered: 0,
        failed: 0,
        cancelled: 0,
        held_back: None,
        note: None,
    };
    let saturated = EndpointHealth {
        name: "primary".into(),
        model: "claude-test".into(),
        status: Status::Degraded,
        words: "end point saturated".into(),
        blame: "end point".into(),
        what: Text::new("4 requests wait for a place"),
        advice: Text::new("wait, or use another end point"),
        sees: Sees::Redacted,
        first_token_ms: Some(9_100),
        tokens_per_second: Some(12.0),
        requests_waiting: Some(4),
        under_way: vec![RequestUnderWay { stage: "waiting for the first word".into(), seconds: 12 }],
        answered: 3,
        failed: 1,
        cancelled: 2,
        ..fresh.clone()
    };
    vec![saturated, fresh]
}
