//! Approvals: whether what others signed lets exactly this run happen, once, now.
//!
//! [`check`] is the only place that makes an [`Approved`]. Nothing is believed that was not signed: not what the
//! store says of an approval, not the name in it, not the time.

mod need;
mod persons;
mod signers;
mod sshsig;

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::digest;
use super::policy::parse_need;
use crate::domain::action::{Digest, RunRequest};
use crate::domain::approval::{
    APPROVAL_NAMESPACE, ApprovalRequest, Approver, Identity, REQUEST_NAMESPACE, Say, Signed, Statement,
};
use crate::domain::canonical::{canonical_json, hex};
use crate::domain::{Text, Timestamp};

pub use persons::{Person, Persons, PersonsError};
pub use signers::{NotASigner, Revoked, Signers, SignersError};
pub use sshsig::{Envelope, SignatureError, armour, to_be_signed};

/// How far two clocks may differ.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(2);

/// Longest time for which a request can be good.
pub const MAX_LIFE: Duration = Duration::from_hours(24);

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    /// Keys that may sign.
    pub signers: Signers,
    /// Keys that may no more.
    pub revoked: Revoked,
    /// Who they belong to.
    pub persons: Persons,
}

impl Trusted {
    /// A key that may sign as more than one person, with their names: nobody could say who signed.
    pub fn ambiguous(&self) -> Option<String> {
        self.signers.keys().find_map(|(fingerprint, may)| {
            let names: Vec<&str> = self.persons.signing(|principal| may(principal)).collect();
            (names.len() > 1).then(|| format!("the key {fingerprint} may sign as {}", names.join(" and as ")))
        })
    }
}

/// Why something is not approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// It ran already.
    #[error("this approval was used already, by entry {0} of the ledger: ask again")]
    Used(u64),
    /// What would run is not what was asked for.
    #[error("what would run now is not what was asked for: {0}; ask again")]
    Changed(String),
    /// Too late.
    #[error("it expired at {0}: ask again")]
    Expired(Timestamp),
    /// A request that would be good for too long.
    #[error("it would be good until {0}, longer than anything may be")]
    LifeTooLong(Timestamp),
    /// A clock is wrong.
    #[error("{what} bears the time {at}, and it is {now} here: a clock is wrong")]
    Clock {
        /// What bears it.
        what: &'static str,
        /// Its time.
        at: Timestamp,
        /// Ours.
        now: Timestamp,
    },
    /// Not the text of a statement.
    #[error("what was signed is no approval: {0}")]
    Statement(String),
    /// A statement about something else.
    #[error("the signature is for another request, {0}")]
    OtherRequest(Digest),
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Whoever signed does not count.
    #[error(transparent)]
    Signer(#[from] NotASigner),
    /// Nobody knows whose key it is.
    #[error("`{0}` may sign, but stands in no list of persons, so has no role")]
    UnknownPerson(String),
    /// The requester signed.
    #[error("{0} asked for it, and cannot approve it too")]
    SamePerson(String),
    /// The requester's key signed.
    #[error("the key {0} asked for it, or approved it already, and cannot approve it under another name")]
    SameKey(String),
    /// A person without the role.
    #[error("{person} is {has}; needed is {needed}")]
    WrongRole {
        /// The person.
        person: String,
        /// Their roles.
        has: String,
        /// What is needed.
        needed: String,
    },
    /// The request was made under another account than the one that would run it.
    #[error("{asked} asked for it, and {runs} would run it: only who asked can")]
    OtherRunner {
        /// The account that asked.
        asked: String,
        /// The account that runs.
        runs: String,
    },
    /// Nobody knows who asked, so nobody can say that it was not the approver.
    #[error("nobody knows who asked: the account `{0}` stands with no person, and no known key signed the request")]
    UnknownRequester(String),
    /// The proof of who asked does not hold.
    #[error("the request names the key {0}, which did not sign it")]
    Requester(String),
    /// Somebody said no.
    #[error("{person} rejected it: {reason}")]
    Rejected {
        /// Who.
        person: String,
        /// Why.
        reason: String,
    },
    /// Not yet enough.
    #[error("not approved yet: {}", [std::slice::from_ref(missing), refused.as_slice()].concat().join("; not counted: "))]
    NotEnough {
        /// What is missing.
        missing: String,
        /// Signatures that do not count, and why.
        refused: Vec<String>,
    },
}

/// Leave for exactly one run, given by others. Only [`check`] makes one.
#[derive(Debug)]
pub struct Approved {
    run: Digest,
    request: Digest,
    nonce: String,
    by: Vec<Approver>,
}

impl Approved {
    /// Digest of the run it is for.
    pub fn run(&self) -> &Digest {
        &self.run
    }

    /// Digest of the request that was signed.
    pub fn request(&self) -> &Digest {
        &self.request
    }

    /// The request's nonce; a run that uses it carries it into the ledger.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Who approved.
    pub fn by(&self) -> &[Approver] {
        &self.by
    }

    /// Whether those who approved are also enough for `need`.
    pub fn fills(&self, need: &[String]) -> bool {
        need::unfilled(need, &self.by) == Ok(None)
    }
}

/// Canonical JSON of a request, as it is digested and as its requester signs it.
pub fn canonical(request: &ApprovalRequest) -> String {
    // A plain structure of strings, numbers and lists: this cannot fail, and an empty text would fit no signature.
    serde_json::to_value(request).map(|value| canonical_json(&value)).unwrap_or_default()
}

/// The digest that names a request: lower-case hex SHA-256 of [`canonical`].
pub fn request_digest(request: &ApprovalRequest) -> Digest {
    Digest(hex(&Sha256::digest(canonical(request).as_bytes())))
}

/// The exact text to sign.
pub fn to_sign(request: &ApprovalRequest, say: Say, reason: &str, approver: &str, at: Timestamp) -> String {
    let statement = Statement {
        format: Statement::FORMAT.to_owned(),
        say,
        digest: request_digest(request),
        request: request.clone(),
        reason: reason.to_owned(),
        approver: approver.to_owned(),
        at,
    };
    let mut text = serde_json::to_value(&statement).map(|value| canonical_json(&value)).unwrap_or_default();
    text.push('\n');
    text
}

/// Names of the persons who may have asked; none when nobody knows.
pub fn requesters<'a>(
    request: &ApprovalRequest,
    proof: Option<&str>,
    trusted: &'a Trusted,
    now: Timestamp,
) -> Vec<&'a str> {
    let asked = asked_by(request, proof, trusted, now).unwrap_or_default();
    let mut names: Vec<&str> = asked.into_iter().map(|person| person.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether one signature over a statement about `request` counts, and whose it is.
///
/// `proof` is the requester's own signature, where the request names a key.
pub fn examine(
    request: &ApprovalRequest,
    proof: Option<&str>,
    signed: &Signed,
    trusted: &Trusted,
    now: Timestamp,
) -> Result<Approver, Objection> {
    in_time(request, now)?;
    let statement = read(request, signed)?;
    let early = statement.at.plus(CLOCK_TOLERANCE) < request.created;
    if early || statement.at > now.plus(CLOCK_TOLERANCE) {
        return Err(Objection::Clock { what: "the approval", at: statement.at, now });
    }
    let envelope = Envelope::parse(&signed.signature)?;
    envelope.verify(APPROVAL_NAMESPACE, signed.statement.as_bytes())?;
    let Trusted { signers, revoked, persons } = trusted;
    signers.allow(&envelope, revoked, &statement.approver, APPROVAL_NAMESPACE, [statement.at, now])?;
    let key = envelope.fingerprint().to_string();
    // A no needs no second person and no role: whoever asked may take it back.
    let person = if statement.say == Say::Approve {
        eligible(request, proof, (&statement.approver, &key), trusted, now)?
    } else {
        asked_by(request, proof, trusted, now)?;
        persons.signing_as(&statement.approver).ok_or_else(|| Objection::UnknownPerson(statement.approver.clone()))?
    };
    Ok(Approver {
        person: person.name.clone(),
        principal: statement.approver,
        key,
        roles: person.roles.clone(),
        say: statement.say,
        reason: Text::new(&statement.reason),
        at: statement.at,
    })
}

/// The person who signs as a principal with a key, if they may approve this request at all: not who asked, not with
/// the key that asked, and with a role that is needed. Whether a signature holds is another question.
pub fn eligible<'a>(
    request: &ApprovalRequest,
    proof: Option<&str>,
    (principal, key): (&str, &str),
    trusted: &'a Trusted,
    now: Timestamp,
) -> Result<&'a Person, Objection> {
    let asked = asked_by(request, proof, trusted, now)?;
    let persons = &trusted.persons;
    let person = persons.signing_as(principal).ok_or_else(|| Objection::UnknownPerson(principal.to_owned()))?;
    if request.requester.key.as_deref() == Some(key) {
        return Err(Objection::SameKey(key.to_owned()));
    }
    if asked.iter().any(|asked| asked.name == person.name) {
        return Err(Objection::SamePerson(person.name.clone()));
    }
    let needed = request.verdict.need.iter().map(|need| parse_need(need).map(|(_, role)| role));
    let needed = needed.collect::<Result<Vec<_>, _>>().map_err(Objection::Statement)?;
    if !needed.iter().any(|role| person.roles.iter().any(|has| has == role)) {
        return Err(Objection::WrongRole {
            person: person.name.clone(),
            has: person.roles.join(", "),
            needed: request.verdict.need.join(", "),
        });
    }
    Ok(person)
}

/// Whether what was signed lets `run` happen now.
///
/// `request` with its requester's `proof` and the signed statements come from the store; `run` was prepared just now by
/// `runner`; `used` is the entry of a run that has used the request already.
pub fn check(
    request: &ApprovalRequest,
    proof: Option<&str>,
    (run, runner): (&RunRequest, &Identity),
    signed: &[Signed],
    trusted: &Trusted,
    used: Option<u64>,
    now: Timestamp,
) -> Result<Approved, Objection> {
    if let Some(entry) = used {
        return Err(Objection::Used(entry));
    }
    in_time(request, now)?;
    if let Some(what) = changed(&request.run, run) {
        return Err(Objection::Changed(what));
    }
    let account = |identity: &Identity| (identity.uid, identity.user.clone(), identity.login_uid);
    if account(&request.requester) != account(runner) || request.requester.user != run.actor {
        let (asked, runs) = (request.requester.user.clone(), runner.user.clone());
        return Err(Objection::OtherRunner { asked, runs });
    }
    asked_by(request, proof, trusted, now)?;
    let (mut by, mut refused): (Vec<Approver>, Vec<String>) = (Vec::new(), Vec::new());
    for signed in signed {
        match examine(request, proof, signed, trusted, now) {
            Ok(Approver { say: Say::Reject, person, reason, .. }) => {
                return Err(Objection::Rejected { person, reason: reason.to_string() });
            }
            Ok(approver) if by.iter().any(|known| known.person == approver.person) => {}
            Ok(approver) if by.iter().any(|known| known.key == approver.key) => {
                refused.push(Objection::SameKey(approver.key).to_string());
            }
            Ok(approver) => by.push(approver),
            Err(why) => refused.push(why.to_string()),
        }
    }
    match need::unfilled(&request.verdict.need, &by) {
        Ok(None) if !by.is_empty() => {
            Ok(Approved { run: digest(run), request: request_digest(request), nonce: request.nonce.clone(), by })
        }
        Ok(missing) => {
            let missing = missing.unwrap_or_else(|| "a signature".to_owned());
            Err(Objection::NotEnough { missing, refused })
        }
        Err(why) => Err(Objection::Statement(why)),
    }
}

/// The statement, if it is one about this request.
fn read(request: &ApprovalRequest, signed: &Signed) -> Result<Statement, Objection> {
    let statement: Statement =
        serde_json::from_str(&signed.statement).map_err(|error| Objection::Statement(error.to_string()))?;
    if statement.format != Statement::FORMAT {
        return Err(Objection::Statement(format!("its format is `{}`", statement.format)));
    }
    let again = to_sign(&statement.request, statement.say, &statement.reason, &statement.approver, statement.at);
    if again != signed.statement {
        return Err(Objection::Statement("its text was changed after it was made".to_owned()));
    }
    if statement.digest != request_digest(request) {
        return Err(Objection::OtherRequest(statement.digest));
    }
    Ok(statement)
}

fn in_time(request: &ApprovalRequest, now: Timestamp) -> Result<(), Objection> {
    if request.created > now.plus(CLOCK_TOLERANCE) {
        return Err(Objection::Clock { what: "the request", at: request.created, now });
    }
    if request.expires > request.created.plus(MAX_LIFE) {
        return Err(Objection::LifeTooLong(request.expires));
    }
    if now >= request.expires {
        return Err(Objection::Expired(request.expires));
    }
    Ok(())
}

/// The persons who may have asked: the one whose key signed the request, and everybody who uses the account. Where
/// several share it, a signature says which of them it was. Never empty: who is not known could be anybody.
fn asked_by<'a>(
    request: &ApprovalRequest,
    proof: Option<&str>,
    trusted: &'a Trusted,
    now: Timestamp,
) -> Result<Vec<&'a Person>, Objection> {
    let Trusted { signers, revoked, persons } = trusted;
    let mut asked: Vec<&Person> = persons.using(&persons::accounts(&request.requester));
    if let Some(key) = &request.requester.key {
        let unproven = || Objection::Requester(key.clone());
        let envelope = Envelope::parse(proof.ok_or_else(unproven)?).map_err(|_| unproven())?;
        envelope.verify(REQUEST_NAMESPACE, canonical(request).as_bytes()).map_err(|_| unproven())?;
        if envelope.fingerprint().to_string() != *key {
            return Err(unproven());
        }
        let names: Vec<&str> = match &envelope.certificate {
            None => signers.principal_of(&envelope.key).into_iter().collect(),
            Some(certificate) => certificate.valid_principals().iter().map(String::as_str).collect(),
        };
        let times = [request.created, now];
        for name in names {
            let Some(person) = persons.signing_as(name) else { continue };
            // Only a key that counts says which of several it was; any key says that it may have been its person.
            if asked.len() > 1 && signers.allow(&envelope, revoked, name, REQUEST_NAMESPACE, times).is_ok() {
                asked.clear();
            }
            asked.push(person);
        }
    }
    if asked.is_empty() {
        return Err(Objection::UnknownRequester(request.requester.user.clone()));
    }
    Ok(asked)
}

/// What differs between what was asked for and what would run, in words.
fn changed(asked: &RunRequest, now: &RunRequest) -> Option<String> {
    let RunRequest {
        incident,
        action,
        argv,
        program,
        program_sha256,
        files,
        cwd,
        env,
        host,
        profile,
        actor,
        policy,
        timeout_seconds,
    } = asked;
    let differs = [
        ("the command", *argv != now.argv),
        ("the program", *program != now.program),
        ("the program's file", *program_sha256 != now.program_sha256),
        ("the host", *host != now.host),
        ("the profile", *profile != now.profile),
        ("who runs it", *actor != now.actor),
        ("the policy", *policy != now.policy),
        ("the working directory", *cwd != now.cwd),
        ("the incident", *incident != now.incident),
        ("the action", *action != now.action),
        ("the time-out", *timeout_seconds != now.timeout_seconds),
    ];
    let mut words: Vec<String> =
        differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| format!("{what} changed")).collect();
    if *files != now.files {
        let other = |(path, hash): &&(String, String)| !now.files.iter().any(|(same, is)| same == path && is == hash);
        let file = files.iter().find(other).or_else(|| now.files.iter().find(|file| !files.contains(file)));
        words.push(format!("the file {} changed", file.map_or("", |(path, _)| path)));
    }
    if *env != now.env {
        let only = |one: &[(String, String)], other: &[(String, String)]| {
            one.iter().filter(|pair| !other.contains(pair)).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let mut names = [only(env, &now.env), only(&now.env, env)].concat();
        names.sort();
        names.dedup();
        words.push(format!("the environment changed ({})", names.join(", ")));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests;
