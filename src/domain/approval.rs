//! Approvals: what is asked for, and what another person says to it.

use serde::{Deserialize, Serialize};

use super::action::{Digest, Effect, RunRequest, Verdict};
use super::{Text, Timestamp};

/// Namespace of signatures that approve or reject, as `ssh-keygen -Y sign -n` takes it.
pub const APPROVAL_NAMESPACE: &str = "stanch-approval";

/// Namespace of the signature by which a requester proves a key.
pub const REQUEST_NAMESPACE: &str = "stanch-request";

/// Namespace of the signature over a fresh random number by which somebody proves a key.
pub const SESSION_NAMESPACE: &str = "stanch-session";

/// Namespace of signatures under reviews.
pub const REVIEW_NAMESPACE: &str = "stanch-review";

/// How sure it is who somebody is. Ordered from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The account that the process runs as, which several persons may share.
    Account,
    /// The login uid: set once at login, kept by the kernel through `sudo` and `su`.
    Login,
    /// A key: it signed this very request, or a fresh random number at the beginning of the session.
    Key,
}

impl Trust {
    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Login => "login",
            Self::Key => "key",
        }
    }
}

/// Who acts, at every level that could be found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Identity {
    /// Name of the account.
    pub user: String,
    /// Its uid.
    pub uid: u32,
    /// Name of the account that logged in, where the kernel's audit knows it.
    pub login_user: Option<String>,
    /// Its uid.
    pub login_uid: Option<u32>,
    /// Number of the audit session.
    pub session: Option<u32>,
    /// Where the SSH connection comes from, as the session's environment says. The user could have made it up.
    pub ssh_from: Option<Text>,
    /// Key or certificate that sshd says was used (`ExposeAuthInfo`). The user could have made it up.
    pub ssh_auth: Option<Text>,
    /// Fingerprint of the key that signs, `SHA256:…`.
    pub key: Option<String>,
    /// The best level of the above.
    pub trust: Trust,
}

/// What an approver is asked to sign for: exactly one run, once, until it expires. Its digest is that of its
/// canonical JSON, so nothing in it can be exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApprovalRequest {
    /// Exactly what would run: argv, program file and its hash, working directory, environment, host, profile,
    /// actor, policy hash, time-out.
    pub run: RunRequest,
    /// Cluster that the profile names, if any.
    pub cluster: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// What the policy says, and who must sign.
    pub verdict: Verdict,
    /// Words that came from telemetry.
    pub tainted: Vec<String>,
    /// What was noticed on the way.
    pub notes: Vec<String>,
    /// Why it should help.
    pub rationale: Text,
    /// SHA-256 of the evidence that was shown with it, lower-case hex.
    pub evidence: String,
    /// Random, 32 hex digits: makes each request another one, and good for one run.
    pub nonce: String,
    /// When it was made.
    pub created: Timestamp,
    /// From then on it is worth nothing.
    pub expires: Timestamp,
    /// Who asks.
    pub requester: Identity,
}

/// What an approver says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Say {
    /// It may run.
    Approve,
    /// It may not.
    Reject,
}

impl Say {
    /// The word for screens and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// What is signed: the whole request again, so that the approver's own tools show what the signature is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Statement {
    /// Always `stanch-approval/1`.
    pub format: String,
    /// Yes or no.
    pub say: Say,
    /// Digest of the request.
    pub digest: Digest,
    /// The request.
    pub request: ApprovalRequest,
    /// Why, in the approver's words.
    pub reason: String,
    /// The approver's principal in `allowed_signers`.
    pub approver: String,
    /// When, by the approver's clock.
    pub at: Timestamp,
}

impl Statement {
    /// Value of [`Statement::format`].
    pub const FORMAT: &'static str = "stanch-approval/1";
}

/// A statement as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The exact text that was signed: canonical JSON of a [`Statement`] and a line feed.
    pub statement: String,
    /// The signature, as `ssh-keygen -Y sign` writes it.
    pub signature: String,
}

/// An approver whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approver {
    /// The person.
    pub person: String,
    /// The principal that signed.
    pub principal: String,
    /// Fingerprint of the key, `SHA256:…`.
    pub key: String,
    /// Roles of the person.
    pub roles: Vec<String>,
    /// Yes or no.
    pub say: Say,
    /// Why.
    pub reason: Text,
    /// When.
    pub at: Timestamp,
}
