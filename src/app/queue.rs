//! The queue of requests for approval, for the screens: what the ledger has, seen by whoever looks.

use serde_json::Value;

use crate::core::queue::{Pending, Queue, SignOrder, Unreviewed};
use crate::domain::action::Digest;
use crate::domain::approval::Say;
use crate::domain::{Text, Timestamp};
use crate::gate::approvals::{Trusted, requesters};

use super::agent::{self, Holder};
use super::approvals::{self as desk, Case};
use super::engine::Engine;
use super::failure::Failure;
use super::reviews;
use super::standing::Standing;

/// For how long a request that is no longer open stays in the queue, in seconds.
const REMEMBERED: i64 = 30 * 60;

/// Reads the queue.
pub(super) async fn read(engine: &Engine) -> Result<Queue, Failure> {
    let now = (engine.wall_clock)();
    let standing = engine.standing.believing_now(&engine.config)?;
    let trusted = &standing.trusted;
    let ledger = engine.ledger().await?;
    // An agent that does not answer keeps nobody from looking.
    let holders = agent::holders(trusted.clone()).await.unwrap_or_default();
    let cases = desk::list(&*ledger, trusted, now, true).await?;
    let mut requests: Vec<Pending> = cases
        .into_iter()
        .map(|(case, status)| {
            let cannot = cannot_sign(&case, &holders, trusted, now);
            let by = case.said(trusted, now);
            Pending {
                status: status.kind(),
                why: Text::from(status.why()),
                differs: differs(&case, &standing),
                asker: asker(&case, trusted, now),
                by,
                cannot,
                digest: case.digest,
                request: case.request,
                evidence: case.evidence,
            }
        })
        .filter(|pending| {
            let open = matches!(pending.status.word(), "pending" | "approved");
            open || pending.request.created.secs() + REMEMBERED > now.secs()
        })
        .collect();
    requests.sort_by(|a, b| (b.request.created, &b.digest.0).cmp(&(a.request.created, &a.digest.0)));
    let reviews = reviews::open(&*ledger, trusted).await?.iter().rev().map(unreviewed).collect();
    Ok(Queue { requests, reviews, signer: holders.first().map(|holder| signer(holder, trusted)) })
}

/// What is seen otherwise here than where it was asked for.
fn differs(case: &Case, standing: &Standing) -> Option<Text> {
    let here = standing.judge(&case.request.run.argv).effect;
    if here != case.request.effect {
        return Some(Text::from(format!("here its effect is judged {}", here.word())));
    }
    let same = case.request.run.policy == standing.rules.now().gate.policy().hash();
    (!same).then(|| Text::from("it was asked for under another policy than the one in force here"))
}

/// Who asked: the account, and the person where only one can be meant.
pub(super) fn asker(case: &Case, trusted: &Trusted, now: Timestamp) -> Text {
    let user = &case.request.requester.user;
    match requesters(&case.request, case.proof.as_deref(), trusted, now).as_slice() {
        [name] if name != user => Text::new(&format!("{user} ({name})")),
        _ => Text::new(user),
    }
}

fn unreviewed(entry: &crate::domain::ledger::Entry) -> Unreviewed {
    let payload = &entry.draft.payload;
    let words = payload.pointer("/request/argv").and_then(Value::as_array).into_iter().flatten();
    let command: Vec<&str> = words.filter_map(Value::as_str).collect();
    Unreviewed {
        entry: entry.seq,
        at: entry.draft.at,
        actor: entry.draft.actor.clone(),
        command: Text::new(&command.join(" ")),
        reason: Text::new(payload["breakGlass"].as_str().unwrap_or_default()),
    }
}

fn signer(holder: &Holder, trusted: &Trusted) -> Text {
    let person = trusted.persons.signing_as(&holder.principal);
    let roles = person.map_or_else(|| "no person".to_owned(), |person| person.roles.join(", "));
    Text::from(format!("{} ({roles}), key {}", holder.principal, holder.fingerprint))
}

/// Why none of these keys can approve; `None` when one can.
fn cannot_sign(case: &Case, holders: &[Holder], trusted: &Trusted, now: Timestamp) -> Option<Text> {
    let mut first = None;
    for holder in holders {
        match case.eligible(holder, trusted, now) {
            Ok(person) if case.said(trusted, now).iter().any(|said| said.person == person) => {
                first = Some(Text::from("you have signed already"));
            }
            Ok(_) => return None,
            Err(why) => first = first.or_else(|| Some(Text::from(why.to_string()))),
        }
    }
    Some(first.unwrap_or_else(|| Text::from("no ssh-agent holds a key of yours that may sign (ssh-add)")))
}

/// Signs what was shown, and writes it into the ledger.
pub(super) async fn sign(engine: &Engine, order: &SignOrder) -> Result<Text, Failure> {
    let now = (engine.wall_clock)();
    let standing = engine.standing.believing_now(&engine.config)?;
    let ledger = engine.ledger().await?;
    let case = desk::open(&*ledger, &order.digest().0).await?;
    let signed = desk::signed_by_agent(&standing, &case, order.say(), order.reason(), None, now).await?;
    let approver = desk::say(&*ledger, &standing, &case, signed, now).await?;
    let verb = if order.say() == Say::Approve { "approved" } else { "rejected" };
    Ok(Text::from(format!("{verb} by {} and written into the ledger", approver.person)))
}

/// The request behind a digest, for running or previewing it.
pub(super) async fn request(engine: &Engine, digest: &Digest) -> Result<Case, Failure> {
    desk::open(&*engine.ledger().await?, &digest.0).await
}
