//! Requests, approvals and rejections as they stand in the ledger.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::core::queue;
use crate::domain::action::{Action, Decision, Digest, Judged, RunRequest};
use crate::domain::approval::{
    APPROVAL_NAMESPACE, ApprovalRequest, Approver, Identity, REQUEST_NAMESPACE, Say, Signed, Trust,
};
use crate::domain::canonical::{canonical_json, hex};
use crate::domain::ledger::{Draft, Entry, EntryKind};
use crate::domain::{Text, Timestamp};
use crate::gate::approvals::{self as gate, Objection, Trusted};
use crate::gate::preview;
use crate::ledger::{Filter, Ledger};

use super::agent::{self, Holder};
use super::engine::Engine;
use super::execution::Ready;
use super::failure::Failure;
use super::standing::Standing;

/// Entries looked through for a preview.
const PREVIEW_ENTRIES: usize = 200;

/// Most lines of a preview that go with a request.
const PREVIEW_LINES: usize = 20;

/// Fewest hex digits by which a request can be named.
pub(super) const MIN_PREFIX: usize = 8;

/// One request with all that was said to it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Number of its entry.
    pub seq: u64,
    /// Its digest.
    pub digest: Digest,
    /// What is asked for.
    pub request: ApprovalRequest,
    /// The requester's signature, where the request names a key.
    pub proof: Option<String>,
    /// The action behind it.
    pub action: Action,
    /// What was shown as evidence.
    pub evidence: Vec<Text>,
    /// Statements, in the order of the ledger. Nothing here is verified yet.
    pub signed: Vec<Signed>,
    /// The run that used it.
    pub used: Option<u64>,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It may run.
    Approved,
    /// It may not, and why.
    Open(Objection),
}

impl Case {
    /// Where it stands, for whoever would run exactly what was asked for.
    pub fn status(&self, trusted: &Trusted, now: Timestamp) -> Status {
        match self.check((&self.request.run, &self.request.requester), trusted, now) {
            Ok(_) => Status::Approved,
            Err(why) => Status::Open(why),
        }
    }

    /// Whether `run`, prepared by whoever it names, may happen now.
    pub fn check(
        &self,
        run: (&RunRequest, &Identity),
        trusted: &Trusted,
        now: Timestamp,
    ) -> Result<gate::Approved, Objection> {
        gate::check(&self.request, self.proof.as_deref(), run, &self.signed, trusted, self.used, now)
    }

    /// The person behind a key of the agent, if they may approve this at all.
    pub(super) fn eligible(&self, holder: &Holder, trusted: &Trusted, now: Timestamp) -> Result<String, Objection> {
        if trusted.revoked.has(&holder.fingerprint) {
            return Err(gate::NotASigner::Revoked(holder.fingerprint.clone()).into());
        }
        let signer = (holder.principal.as_str(), holder.fingerprint.as_str());
        let person = gate::eligible(&self.request, self.proof.as_deref(), signer, trusted, now)?;
        Ok(person.name.clone())
    }

    /// The signatures that count.
    pub fn said(&self, trusted: &Trusted, now: Timestamp) -> Vec<Approver> {
        let examine = |signed| gate::examine(&self.request, self.proof.as_deref(), signed, trusted, now).ok();
        self.signed.iter().filter_map(examine).collect()
    }
}

impl Status {
    /// What kind of status it is.
    pub fn kind(&self) -> queue::Status {
        match self {
            Self::Approved => queue::Status::Approved,
            Self::Open(Objection::Used(_)) => queue::Status::Used,
            Self::Open(Objection::Expired(_)) => queue::Status::Expired,
            Self::Open(Objection::Rejected { .. }) => queue::Status::Rejected,
            Self::Open(Objection::NotEnough { .. }) => queue::Status::Pending,
            Self::Open(_) => queue::Status::Invalid,
        }
    }

    /// One word for lists.
    pub fn word(&self) -> &'static str {
        self.kind().word()
    }

    /// Where it stands, in words.
    pub fn why(&self) -> String {
        match self {
            Self::Approved => "approved".to_owned(),
            Self::Open(objection) => objection.to_string(),
        }
    }
}

/// Asks for the approval that a prepared action needs. `evidence` is what speaks for it, in lines; what the verify
/// query says now and what the tool's own preview has said are added.
pub async fn ask(engine: &Engine, ready: &Ready, action: &Action, mut evidence: Vec<Text>) -> Result<Case, Failure> {
    let verdict = &ready.judged.verdict;
    match verdict.decision {
        _ if ready.recorded => return Err(Failure::refused("this is a recording: nothing can be changed from it")),
        Decision::Approve => {}
        Decision::Deny => {
            return Err(Failure::refused(format!("denied by rule {}: {}", verdict.rule, verdict.why)));
        }
        Decision::Allow | Decision::Confirm => {
            return Err(Failure::usage(format!(
                "rule {} wants no approval: run it with `stanch actions run`",
                verdict.rule
            )));
        }
    }
    if let Some(verification) = &ready.verification {
        evidence.push(Text::new(&format!("{}   now {}", verification.check.query, verification.before)));
    }
    let cluster = engine.profile.kubernetes.as_ref().and_then(|kubernetes| kubernetes.context.clone());
    let ledger = engine.ledger().await?;
    evidence.extend(previewed(&*ledger, ready, action).await?);
    let times = ((engine.wall_clock)(), engine.config.approvals.expiry);
    let subject = (&ready.judged, action, evidence);
    request(&*ledger, ready.standing(), ready.request.clone(), subject, cluster, times).await
}

/// What the last preview of an action has said, if the requester ran one a short time ago.
async fn previewed(ledger: &dyn Ledger, ready: &Ready, action: &Action) -> Result<Vec<Text>, Failure> {
    let Some(preview) = preview::preview(&action.argv) else { return Ok(Vec::new()) };
    let kinds = vec![EntryKind::RunIntent, EntryKind::RunOutcome];
    let filter = Filter { kinds, limit: PREVIEW_ENTRIES, newest: true, ..Filter::default() };
    let entries = ledger.entries(filter).await.map_err(|error| Failure::failed(error.to_string()))?;
    let intent = entries.iter().rev().find(|entry| {
        let request = &entry.draft.payload["request"];
        entry.draft.kind == EntryKind::RunIntent
            && entry.draft.actor == ready.request.actor
            && request["argv"] == json!(preview.argv)
            && request["profile"] == json!(ready.request.profile)
    });
    let Some(intent) = intent else {
        return Ok(vec![Text::new(&format!(
            "no preview was run; `stanch actions preview` of this request runs one ({})",
            preview.exactness.word()
        ))]);
    };
    let outcome = entries
        .iter()
        .find(|entry| entry.draft.kind == EntryKind::RunOutcome && entry.draft.payload["intent"] == json!(intent.seq));
    let mut lines = vec![Text::new(&format!(
        "preview ({}) at {}, entry {} of the ledger:",
        preview.exactness.word(),
        intent.draft.at,
        intent.seq
    ))];
    let output = outcome.and_then(|outcome| outcome.draft.payload["output"].as_array());
    let said = output.into_iter().flatten().filter_map(|line| line["text"].as_str());
    let total = output.map_or(0, Vec::len);
    lines.extend(said.take(PREVIEW_LINES).map(|line| Text::new(&format!("  {line}"))));
    if total > PREVIEW_LINES {
        lines.push(Text::new(&format!("  … {} more lines", total - PREVIEW_LINES)));
    }
    Ok(lines)
}

/// Writes a request for an approval into the ledger. A key of the requester's ssh-agent that stands among the allowed
/// signers proves who asks.
pub async fn request(
    ledger: &dyn Ledger,
    standing: &Standing,
    run: RunRequest,
    (judged, action, evidence): (&Judged, &Action, Vec<Text>),
    cluster: Option<String>,
    (now, life): (Timestamp, Duration),
) -> Result<Case, Failure> {
    // Whole seconds: what is signed is read by people.
    let created = Timestamp::from_secs(now.secs());
    let holders = agent::holders(standing.trusted.clone()).await.unwrap_or_default();
    let holder = holders.into_iter().find(|holder| !standing.trusted.revoked.has(&holder.fingerprint));
    let mut requester: Identity = standing.identity.clone();
    if let Some(holder) = &holder {
        requester.key = Some(holder.fingerprint.clone());
        requester.trust = Trust::Key;
    }
    let request = ApprovalRequest {
        run,
        cluster,
        effect: judged.effect,
        verdict: judged.verdict.clone(),
        tainted: judged.tainted.clone(),
        notes: judged.notes.clone(),
        rationale: action.rationale.clone(),
        evidence: evidence_hash(&evidence),
        nonce: agent::nonce()?,
        created,
        expires: created.plus(life.min(gate::MAX_LIFE)),
        requester,
    };
    let proof = match holder {
        Some(holder) => Some(agent::sign(holder, REQUEST_NAMESPACE, gate::canonical(&request)).await?),
        None => None,
    };
    let digest = gate::request_digest(&request);
    let payload = json!({"digest": digest, "request": request, "proof": proof, "action": action, "evidence": evidence});
    let entry = append(ledger, standing, now, EntryKind::ApprovalRequest, &request, payload).await?;
    Ok(Case {
        seq: entry.seq,
        digest,
        request,
        proof,
        action: action.clone(),
        evidence,
        signed: Vec::new(),
        used: None,
    })
}

/// Signs with the ssh-agent: the first key that may sign as `principal`, or as anybody when none is named.
pub async fn signed_by_agent(
    standing: &Standing,
    case: &Case,
    say: Say,
    reason: &str,
    principal: Option<&str>,
    now: Timestamp,
) -> Result<Signed, Failure> {
    let holders = agent::holders(standing.trusted.clone()).await?;
    let fitting = |holder: &&Holder| principal.is_none_or(|name| name == holder.principal);
    // A key that can approve it comes before one that cannot.
    let able = |holder: &&Holder| case.eligible(holder, &standing.trusted, now).is_ok();
    let chosen = holders.iter().filter(fitting).find(able).or_else(|| holders.iter().find(fitting));
    let holder = chosen.cloned().ok_or_else(|| {
        let whom = principal.map_or_else(String::new, |name| format!(" as {name}"));
        Failure::usage(format!(
            "no ssh-agent holds a key that may sign{whom}: add it with `ssh-add`, or sign what `stanch actions show \
             {} --to-sign` prints with `ssh-keygen -Y sign -n {APPROVAL_NAMESPACE}`",
            case.digest
        ))
    })?;
    let at = Timestamp::from_secs(now.secs());
    let statement = gate::to_sign(&case.request, say, reason, &holder.principal, at);
    let signature = agent::sign(holder, APPROVAL_NAMESPACE, statement.clone()).await?;
    Ok(Signed { statement, signature })
}

/// Writes a signed statement into the ledger, if it counts. One that does not is written as a refusal.
pub async fn say(
    ledger: &dyn Ledger,
    standing: &Standing,
    case: &Case,
    signed: Signed,
    now: Timestamp,
) -> Result<Approver, Failure> {
    let examined = match case.used {
        Some(entry) => Err(Objection::Used(entry)),
        None => gate::examine(&case.request, case.proof.as_deref(), &signed, &standing.trusted, now),
    };
    match examined {
        Ok(approver) => {
            let kind = if approver.say == Say::Approve { EntryKind::Approval } else { EntryKind::Rejection };
            let payload = json!({"digest": case.digest, "signed": signed, "by": approver});
            append(ledger, standing, now, kind, &case.request, payload).await?;
            Ok(approver)
        }
        Err(why) => {
            let payload = json!({"digest": case.digest, "signed": signed, "why": why.to_string()});
            append(ledger, standing, now, EntryKind::Refusal, &case.request, payload).await?;
            Err(Failure::refused(why.to_string()))
        }
    }
}

/// The request whose digest begins with `wanted`.
pub async fn open(ledger: &dyn Ledger, wanted: &str) -> Result<Case, Failure> {
    let wanted = wanted.to_ascii_lowercase();
    let mut found: Vec<Entry> = newest(ledger).await?;
    found.retain(|entry| digest_of(entry).is_some_and(|digest| digest.starts_with(&wanted)));
    match found.len() {
        0 => Err(Failure::usage(format!("the ledger has no request {wanted}"))),
        1 => case(ledger, &found[0]).await,
        _ => Err(Failure::usage(format!("several requests begin with {wanted}: give more of the digest"))),
    }
}

/// All requests that were not used, rejected or too late, oldest first; with `all` the others too.
pub async fn list(
    ledger: &dyn Ledger,
    trusted: &Trusted,
    now: Timestamp,
    all: bool,
) -> Result<Vec<(Case, Status)>, Failure> {
    let mut cases = Vec::new();
    for entry in newest(ledger).await? {
        // Longer than a request can be good: no need to look what became of it.
        if !all && entry.draft.at.plus(gate::MAX_LIFE + gate::CLOCK_TOLERANCE) < now {
            continue;
        }
        let case = case(ledger, &entry).await?;
        let status = case.status(trusted, now);
        if all || matches!(status.word(), "pending" | "approved") {
            cases.push((case, status));
        }
    }
    Ok(cases)
}

/// Whether the run intent `mine` is the first that uses `nonce`. Two that start at the same moment both write their
/// intent; the chain has one order, and the first of it runs.
pub async fn first_use(ledger: &dyn Ledger, after: u64, nonce: &str, mine: u64) -> Result<bool, Failure> {
    Ok(used(ledger, after, nonce).await?.is_none_or(|first| first == mine))
}

async fn newest(ledger: &dyn Ledger) -> Result<Vec<Entry>, Failure> {
    let kinds = vec![EntryKind::ApprovalRequest];
    let filter = Filter { kinds, limit: Filter::MAX_LIMIT, newest: true, ..Filter::default() };
    ledger.entries(filter).await.map_err(|error| Failure::failed(error.to_string()))
}

/// All entries of these kinds behind a number, page by page.
async fn behind(ledger: &dyn Ledger, kinds: &[EntryKind], mut after: u64) -> Result<Vec<Entry>, Failure> {
    let mut all = Vec::new();
    loop {
        let filter = Filter { kinds: kinds.to_vec(), after: Some(after), limit: 1_000, ..Filter::default() };
        let page = ledger.entries(filter).await.map_err(|error| Failure::failed(error.to_string()))?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.seq;
        all.extend(page);
    }
}

async fn used(ledger: &dyn Ledger, after: u64, nonce: &str) -> Result<Option<u64>, Failure> {
    let uses = |entry: &&Entry| entry.draft.payload.pointer("/approval/nonce").is_some_and(|used| used == nonce);
    Ok(behind(ledger, &[EntryKind::RunIntent], after).await?.iter().find(uses).map(|entry| entry.seq))
}

async fn case(ledger: &dyn Ledger, entry: &Entry) -> Result<Case, Failure> {
    #[derive(serde::Deserialize)]
    struct Stored {
        request: ApprovalRequest,
        proof: Option<String>,
        action: Action,
        evidence: Vec<Text>,
    }
    let wrong = |what: String| Failure::failed(format!("entry {} of the ledger is no request: {what}", entry.seq));
    let stored: Stored =
        serde_json::from_value(entry.draft.payload.clone()).map_err(|error| wrong(error.to_string()))?;
    let digest = gate::request_digest(&stored.request);
    if digest_of(entry) != Some(digest.0.as_str()) {
        return Err(wrong("its digest does not fit".to_owned()));
    }
    if evidence_hash(&stored.evidence) != stored.request.evidence {
        return Err(wrong("its evidence is not what was asked with".to_owned()));
    }
    let said = behind(ledger, &[EntryKind::Approval, EntryKind::Rejection], entry.seq).await?;
    let signed = said
        .iter()
        .filter(|said| digest_of(said) == Some(&digest.0))
        .filter_map(|said| serde_json::from_value(said.draft.payload.get("signed")?.clone()).ok())
        .collect();
    let used = used(ledger, entry.seq, &stored.request.nonce).await?;
    let Stored { request, proof, action, evidence } = stored;
    Ok(Case { seq: entry.seq, digest, request, proof, action, evidence, signed, used })
}

fn digest_of(entry: &Entry) -> Option<&str> {
    entry.draft.payload.get("digest")?.as_str()
}

async fn append(
    ledger: &dyn Ledger,
    standing: &Standing,
    at: Timestamp,
    kind: EntryKind,
    request: &ApprovalRequest,
    payload: serde_json::Value,
) -> Result<Entry, Failure> {
    let incident = Some(request.run.incident.clone()).filter(|incident| !incident.is_empty());
    let draft = Draft { at, kind, incident, actor: standing.actor.clone(), payload };
    ledger.append(draft).await.map_err(|error| Failure::failed(error.to_string()))
}

fn evidence_hash(evidence: &[Text]) -> String {
    hex(&Sha256::digest(canonical_json(&json!(evidence)).as_bytes()))
}
