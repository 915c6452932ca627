//! Reviews of runs that went past an approval: another person says, with a signature, what they think of it.

use serde_json::json;

use crate::domain::approval::{Identity, REVIEW_NAMESPACE};
use crate::domain::canonical::canonical_json;
use crate::domain::ledger::{Draft, Entry, EntryKind};
use crate::gate::approvals::{Envelope, Trusted};
use crate::ledger::{Filter, Ledger};

use super::agent;
use super::engine::Engine;
use super::failure::Failure;

/// Roles that may review.
const REVIEWERS: [&str; 2] = ["incident-commander", "admin"];

/// Runs looked through for those without a review.
const LOOKED_AT: usize = 500;

/// Runs that went past an approval and that nobody has reviewed, oldest first.
pub(super) async fn open(ledger: &dyn Ledger) -> Result<Vec<Entry>, Failure> {
    let kinds = vec![EntryKind::RunIntent, EntryKind::Review];
    let filter = Filter { kinds, limit: LOOKED_AT, newest: true, ..Filter::default() };
    let entries = ledger.entries(filter).await.map_err(|error| Failure::failed(error.to_string()))?;
    let reviewed: Vec<u64> = entries
        .iter()
        .filter(|entry| entry.draft.kind == EntryKind::Review)
        .filter_map(|entry| entry.draft.payload["entry"].as_u64())
        .collect();
    let past = |entry: &Entry| {
        entry.draft.kind == EntryKind::RunIntent
            && entry.draft.payload["breakGlass"].is_string()
            && !reviewed.contains(&entry.seq)
    };
    Ok(entries.into_iter().filter(past).collect())
}

/// Reviews one: signed by the ssh-agent, by somebody else than who ran it, who commands. Returns the new entry.
pub(super) async fn review(engine: &Engine, entry: u64, justified: bool, reason: &str) -> Result<Entry, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::usage("say with --reason what came out of the review"));
    }
    let ledger = engine.ledger().await?;
    let failed = |error: crate::ledger::LedgerError| Failure::failed(error.to_string());
    let run = ledger.entry(entry).await.map_err(failed)?;
    let run = run.filter(|run| run.draft.kind == EntryKind::RunIntent && run.draft.payload["breakGlass"].is_string());
    let run = run.ok_or_else(|| Failure::usage(format!("entry {entry} is no run that went past an approval")))?;
    if !open(&*ledger).await?.iter().any(|open| open.seq == entry) {
        return Err(Failure::refused(format!("entry {entry} was reviewed already")));
    }
    let standing = engine.standing.believing_now(&engine.config)?;
    let trusted = &standing.trusted;
    let now = (engine.wall_clock)();
    let mut refused = None;
    for holder in agent::holders(trusted.clone()).await? {
        if let Err(why) = may_review(&holder, &run, trusted) {
            refused = Some(why);
            continue;
        }
        let statement = canonical_json(&json!({
            "format": "stanch-review/1", "entry": entry, "hash": run.hash, "justified": justified, "reason": reason,
            "reviewer": holder.principal, "at": now,
        }));
        let principal = holder.principal.clone();
        let signature = agent::sign(holder, REVIEW_NAMESPACE, statement.clone()).await?;
        let wrong = |error: String| Failure::refused(error);
        let envelope = Envelope::parse(&signature).map_err(|error| wrong(error.to_string()))?;
        envelope.verify(REVIEW_NAMESPACE, statement.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let allowed = trusted.signers.allow(&envelope, &trusted.revoked, &principal, REVIEW_NAMESPACE, [now, now]);
        allowed.map_err(|error| wrong(error.to_string()))?;
        let person = trusted.persons.signing_as(&principal).map(|person| &person.name);
        let payload = json!({
            "entry": entry, "justified": justified, "text": reason, "by": person, "principal": principal,
            "key": envelope.fingerprint().to_string(), "statement": statement, "signature": signature,
        });
        let incident = run.draft.incident.clone();
        let draft = Draft { at: now, kind: EntryKind::Review, incident, actor: standing.actor.clone(), payload };
        return ledger.append(draft).await.map_err(failed);
    }
    Err(Failure::refused(refused.unwrap_or_else(|| "no ssh-agent holds a key that may sign a review".to_owned())))
}

/// Whether the person behind a key may review this run: a commander who is not whoever ran it.
fn may_review(holder: &agent::Holder, run: &Entry, trusted: &Trusted) -> Result<(), String> {
    let person = trusted.persons.signing_as(&holder.principal);
    let person = person.ok_or_else(|| format!("`{}` stands with no person", holder.principal))?;
    if !person.roles.iter().any(|role| REVIEWERS.contains(&role.as_str())) {
        return Err(format!(
            "{} is {}; a review needs {}",
            person.name,
            person.roles.join(", "),
            REVIEWERS.join(" or ")
        ));
    }
    let payload = &run.draft.payload;
    let runner: Option<Identity> = payload.get("identity").cloned().and_then(|who| serde_json::from_value(who).ok());
    let runner = runner.ok_or("the ledger does not say who ran it")?;
    let key_is_theirs = runner.key.as_ref() == Some(&holder.fingerprint);
    let known = trusted.persons.known_as(&runner);
    // Of several who share the account only a key tells who it was.
    let several = known.len() > 1 && runner.key.is_some();
    if key_is_theirs || !several && known.iter().any(|other| other.name == person.name) {
        return Err(format!("{} ran it, and cannot review it too", person.name));
    }
    Ok(())
}
