//! Reviews of runs that went past an approval: another person says, with a signature, what they think of it.

use serde::Deserialize;
use serde_json::json;

use crate::domain::Timestamp;
use crate::domain::approval::{Identity, REVIEW_NAMESPACE};
use crate::domain::canonical::canonical_json;
use crate::domain::ledger::{Draft, Entry, EntryKind};
use crate::gate::approvals::{Envelope, Trusted};
use crate::ledger::{Filter, Ledger};

use super::agent;
use super::engine::Engine;
use super::failure::Failure;

/// Format of what is signed.
const FORMAT: &str = "stanch-review/1";

/// Roles that may review.
const REVIEWERS: [&str; 2] = ["incident-commander", "admin"];

/// Runs looked through for those without a review.
const LOOKED_AT: usize = 500;

/// What is signed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    format: String,
    entry: u64,
    hash: String,
    justified: bool,
    reason: String,
    reviewer: String,
    at: Timestamp,
}

/// Runs that went past an approval and that nobody has reviewed whose word counts now, oldest first.
pub(super) async fn open(ledger: &dyn Ledger, trusted: &Trusted) -> Result<Vec<Entry>, Failure> {
    let kinds = vec![EntryKind::RunIntent, EntryKind::Review];
    let filter = Filter { kinds, limit: LOOKED_AT, newest: true, ..Filter::default() };
    let entries = ledger.entries(filter).await.map_err(|error| Failure::failed(error.to_string()))?;
    Ok(unreviewed(entries, trusted))
}

fn unreviewed(entries: Vec<Entry>, trusted: &Trusted) -> Vec<Entry> {
    let (reviews, runs): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.draft.kind == EntryKind::Review);
    let past = |run: &Entry| {
        let mut of_it = reviews.iter().filter(|review| review.draft.payload["entry"].as_u64() == Some(run.seq));
        run.draft.kind == EntryKind::RunIntent
            && run.draft.payload["breakGlass"].is_string()
            && !of_it.any(|review| counts(review, run, trusted).is_ok())
    };
    runs.into_iter().filter(past).collect()
}

/// Whether an entry is the review of a run: whoever can write the ledger can write such an entry, and only the
/// signature in it says that it was somebody else.
fn counts(review: &Entry, run: &Entry, trusted: &Trusted) -> Result<(), String> {
    let text = |key: &str| review.draft.payload[key].as_str().ok_or_else(|| format!("it has no {key}"));
    let signed = text("statement")?;
    let statement: Statement = serde_json::from_str(signed).map_err(|error| error.to_string())?;
    if statement.format != FORMAT || statement.entry != run.seq || statement.hash != run.hash {
        return Err("it is signed for another run".to_owned());
    }
    if review.draft.payload["justified"] != statement.justified || text("text")? != statement.reason {
        return Err("what it says is not what was signed".to_owned());
    }
    let envelope = Envelope::parse(text("signature")?).map_err(|error| error.to_string())?;
    holds(&envelope, signed, &statement.reviewer, [statement.at, review.draft.at], trusted)?;
    may_review(&statement.reviewer, &envelope.fingerprint().to_string(), run, trusted)
}

/// Whether a signature fits a statement, and its key may sign reviews as `principal` at these times.
fn holds(
    envelope: &Envelope,
    statement: &str,
    principal: &str,
    times: [Timestamp; 2],
    trusted: &Trusted,
) -> Result<(), String> {
    envelope.verify(REVIEW_NAMESPACE, statement.as_bytes()).map_err(|error| error.to_string())?;
    let allowed = trusted.signers.allow(envelope, &trusted.revoked, principal, REVIEW_NAMESPACE, times);
    allowed.map_err(|error| error.to_string())
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
    let standing = engine.standing.believing_now(&engine.config)?;
    let trusted = &standing.trusted;
    if !open(&*ledger, trusted).await?.iter().any(|open| open.seq == entry) {
        return Err(Failure::refused(format!("entry {entry} was reviewed already")));
    }
    let now = (engine.wall_clock)();
    let mut refused = None;
    for holder in agent::holders(trusted.clone()).await? {
        if let Err(why) = may_review(&holder.principal, &holder.fingerprint, &run, trusted) {
            refused = Some(why);
            continue;
        }
        let statement = canonical_json(&json!({
            "format": FORMAT, "entry": entry, "hash": run.hash, "justified": justified, "reason": reason,
            "reviewer": holder.principal, "at": now,
        }));
        let principal = holder.principal.clone();
        let signature = agent::sign(holder, REVIEW_NAMESPACE, statement.clone()).await?;
        let wrong = |why: String| Failure::refused(why);
        let envelope = Envelope::parse(&signature).map_err(|error| wrong(error.to_string()))?;
        holds(&envelope, &statement, &principal, [now, now], trusted).map_err(wrong)?;
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
fn may_review(principal: &str, key: &str, run: &Entry, trusted: &Trusted) -> Result<(), String> {
    let person = trusted.persons.signing_as(principal);
    let person = person.ok_or_else(|| format!("`{principal}` stands with no person"))?;
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
    let key_is_theirs = runner.key.as_deref() == Some(key);
    let known = trusted.persons.known_as(&runner);
    // Of several who share the account only a key tells who it was.
    let several = known.len() > 1 && runner.key.is_some();
    if key_is_theirs || !several && known.iter().any(|other| other.name == person.name) {
        return Err(format!("{} ran it, and cannot review it too", person.name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ssh_key::private::Ed25519Keypair;
    use ssh_key::{HashAlg, LineEnding, PrivateKey};

    use super::*;
    use crate::app::actor;
    use crate::gate::approvals::{Persons, Revoked, Signers};

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    /// Alice (1), who runs things here, and Carol (2) command.
    fn trusted() -> Trusted {
        let line = |(name, seed)| format!("{name}@x {}\n", key(seed).public_key().to_openssh().unwrap());
        let person = |name: &str, users: &str| {
            let role = "roles = [\"incident-commander\"]";
            format!("[[person]]\nname = \"{name}\"\nprincipals = [\"{name}@x\"]\nusers = [{users}]\n{role}\n")
        };
        let alice = person("alice", &format!("{:?}", actor::identity().user));
        let persons = format!("version = 1\n{alice}{}", person("carol", ""));
        Trusted {
            signers: Signers::parse(&[("alice", 1), ("carol", 2)].map(line).concat()).unwrap(),
            revoked: Revoked::default(),
            persons: Persons::parse(&persons).unwrap(),
        }
    }

    fn entry(seq: u64, kind: EntryKind, payload: serde_json::Value) -> Entry {
        let draft =
            Draft { at: Timestamp::from_secs(1_000), kind, incident: None, actor: actor::identity().user, payload };
        Entry { seq, draft, prev_hash: "0".repeat(64), hash: format!("{seq:064}") }
    }

    fn review(seed: u8, name: &str, namespace: &str, hash: &str) -> Entry {
        let statement = canonical_json(&json!({
            "format": FORMAT, "entry": 7, "hash": hash, "justified": true, "reason": "seen",
            "reviewer": name, "at": Timestamp::from_secs(999),
        }));
        let signature = key(seed).sign(namespace, HashAlg::Sha512, statement.as_bytes()).unwrap();
        let signature = signature.to_pem(LineEnding::LF).unwrap();
        let payload = json!({
            "entry": 7, "justified": true, "text": "seen", "by": "carol", "principal": "carol@x",
            "statement": statement, "signature": signature,
        });
        entry(8, EntryKind::Review, payload)
    }

    #[test]
    fn only_a_signed_review_of_this_run_by_somebody_else_counts() {
        let run = entry(7, EntryKind::RunIntent, json!({"breakGlass": "now", "identity": actor::identity()}));
        let hash = run.hash.clone();
        let open = |review: Entry, trusted: &Trusted| unreviewed(vec![run.clone(), review], trusted).len();
        let good = || review(2, "carol@x", REVIEW_NAMESPACE, &hash);
        assert_eq!(open(good(), &trusted()), 0);
        let unsigned = entry(8, EntryKind::Review, json!({"entry": 7, "justified": true, "text": "fine"}));
        let mut said_otherwise = good();
        said_otherwise.draft.payload["justified"] = json!(false);
        let forged = [
            ("unsigned", unsigned),
            ("one's own", review(1, "alice@x", REVIEW_NAMESPACE, &hash)),
            ("under another's name", review(1, "carol@x", REVIEW_NAMESPACE, &hash)),
            ("by nobody", review(3, "carol@x", REVIEW_NAMESPACE, &hash)),
            ("for something else", review(2, "carol@x", "stanch-approval", &hash)),
            ("of another run", review(2, "carol@x", REVIEW_NAMESPACE, &"1".repeat(64))),
            ("not what was signed", said_otherwise),
        ];
        for (what, review) in forged {
            assert_eq!(open(review, &trusted()), 1, "{what}");
        }
        let mut without = trusted();
        without.revoked = Revoked::parse(&key(2).public_key().to_openssh().unwrap()).unwrap();
        assert_eq!(open(good(), &without), 1, "a revoked key counts no more");
    }
}
