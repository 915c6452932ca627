//! Requests for approval as tests show them.

use std::time::Duration;

use crate::domain::Text;
use crate::domain::action::{Decision, Digest, Effect as Impact};
use crate::domain::approval::{ApprovalRequest, Approver, Identity, Say, Trust};

use super::effect::Effect;
use super::message::{Msg, Report};
use super::model::Model;
use super::queue::{Pending, Queue, Status, Unreviewed};
use super::sample::{action, at, judged, loaded, prepared};
use super::update::update;

/// A request of another user that waits for a signature.
pub(crate) fn pending(digit: char, argv: &[&str]) -> Pending {
    let action = action("P1", argv);
    let run = prepared(&action, Impact::Destroy, Decision::Approve).request;
    let mut verdict = judged(&action, Impact::Destroy, Decision::Approve).verdict;
    verdict.rule = "losses".into();
    verdict.why = "what it removes does not come back".into();
    verdict.need = vec!["1 x incident-commander".into()];
    let created = at("14:05:20");
    Pending {
        digest: Digest(digit.to_string().repeat(64)),
        request: ApprovalRequest {
            run,
            cluster: Some("prod-eu".into()),
            effect: Impact::Destroy,
            verdict,
            tainted: Vec::new(),
            notes: vec!["removes 1 pod of shop/payments".into()],
            rationale: Text::new("the pod hangs with all connections of the pool"),
            evidence: "ef".repeat(32),
            nonce: "0".repeat(32),
            created,
            expires: created.plus(Duration::from_mins(15)),
            requester: Identity {
                user: "oncall-2".into(),
                uid: 1_008,
                login_user: Some("oncall-2".into()),
                login_uid: Some(1_008),
                session: Some(4),
                ssh_from: None,
                ssh_auth: None,
                key: Some("SHA256:9aKkB0xq1r5v".into()),
                trust: Trust::Key,
            },
        },
        evidence: vec![
            Text::new("max(pool_wait_seconds)   now 5.2 s"),
            Text::new("suspect 1 payments 0.93: pool_in_use full since 14:02:20"),
        ],
        differs: None,
        status: Status::Pending,
        why: Text::new("not approved yet: 0 of 1 x incident-commander"),
        by: Vec::new(),
        asker: Text::new("oncall-2 (Olaf)"),
        cannot: None,
    }
}

/// One that waits for this user, one of this user that is approved, one that was rejected, and a run to review.
pub(crate) fn queue() -> Queue {
    let mut own = pending('b', &["kubectl", "-n", "shop", "delete", "pvc", "data-payments-0"]);
    own.asker = Text::new("oncall-1");
    own.status = Status::Approved;
    own.why = Text::new("approved");
    own.cannot = Some(Text::new("oncall-1 asked for it, and cannot approve it too"));
    let approver = Approver {
        person: "ic-1".into(),
        principal: "ic-1@example.org".into(),
        key: "SHA256:3fQ".into(),
        roles: vec!["incident-commander".into()],
        say: Say::Approve,
        reason: Text::new("seen, go"),
        at: at("14:06:02"),
    };
    own.by = vec![approver];
    let mut no = pending('c', &["kubectl", "drain", "ip-10-2-3-4"]);
    no.differs = Some(Text::new("it was asked for under another policy than the one in force here"));
    no.status = Status::Rejected;
    no.why = Text::new("ic-1 rejected it: the node is not the cause");
    Queue {
        requests: vec![pending('a', &["kubectl", "-n", "shop", "delete", "pod", "payments-7d9f-x2x"]), own, no],
        reviews: vec![Unreviewed {
            entry: 41,
            at: at("13:58:10"),
            actor: "oncall-2".into(),
            command: Text::new("kubectl -n kube-system rollout restart deployment/coredns"),
            reason: Text::new("DNS is down, nobody answers"),
        }],
        signer: Some(Text::new("oncall-1@example.org (operator, incident-commander), key SHA256:1bC")),
    }
}

/// Lets the queue be this, whatever was being read.
pub(crate) fn give(model: &mut Model, queue: Queue) -> Vec<Effect> {
    let generation = update(model, Msg::QueueDue).into_iter().find_map(|effect| match effect {
        Effect::LoadQueue { generation } => Some(generation),
        _ => None,
    });
    let generation = generation.or(model.queue.awaited()).expect("the queue is read");
    update(model, Msg::Report(generation, Report::Queue(Ok(Box::new(queue)))))
}

/// The loaded model with the queue in it.
pub(crate) fn with_queue() -> Model {
    let mut model = loaded();
    give(&mut model, queue());
    model
}
