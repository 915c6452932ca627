//! Signing with a key that an ssh-agent holds, spoken to over `SSH_AUTH_SOCK`. No private key comes near the program.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use ssh_agent_client_rs::{Client, Identity};
use ssh_key::HashAlg;
use ssh_key::public::KeyData;

use crate::domain::Timestamp;
use crate::domain::approval::{Identity as Who, SESSION_NAMESPACE};
use crate::domain::canonical::{canonical_json, hex};
use crate::gate::approvals::{Envelope, Trusted, armour, to_be_signed};

use super::failure::Failure;

/// Time for the agent to prove a key of which nobody has to be asked.
const PROOF_PATIENCE: Duration = Duration::from_secs(3);

/// Time for the person to touch the key or to confirm.
const PATIENCE: Duration = Duration::from_mins(1);

/// A key that the agent holds and that stands among the allowed signers.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    /// Whose it is.
    pub(super) principal: String,
    /// Its fingerprint, `SHA256:…`.
    pub(super) fingerprint: String,
    public: Vec<u8>,
    /// Whether it lies on a device that wants to be touched.
    touched: bool,
    identity: Identity<'static>,
}

/// The keys of the agent that may sign, in the agent's order. Empty when there is no agent.
pub(super) async fn holders(trusted: Arc<Trusted>) -> Result<Vec<Holder>, Failure> {
    let Some(socket) = socket() else { return Ok(Vec::new()) };
    blocking(move || {
        let identities = connect(&socket)?.list_all_identities().map_err(|error| said(&error))?;
        Ok(identities.into_iter().filter_map(|identity| holder(identity, &trusted)).collect())
    })
    .await
}

/// Lets the agent sign `message` in `namespace`: the text of the signature, as `ssh-keygen -Y sign` writes it.
pub(super) async fn sign(holder: Holder, namespace: &'static str, message: String) -> Result<String, Failure> {
    let socket = socket().ok_or_else(|| Failure::usage("SSH_AUTH_SOCK names no ssh-agent"))?;
    blocking(move || {
        let wrong = |error: crate::gate::approvals::SignatureError| Failure::failed(error.to_string());
        let data = to_be_signed(namespace, message.as_bytes()).map_err(wrong)?;
        let signature = connect(&socket)?.sign_with_ref(&holder.identity, &data).map_err(|error| said(&error))?;
        armour(&holder.public, namespace, &signature).map_err(wrong)
    })
    .await
}

/// A key that has signed a fresh random number.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Proof {
    /// Whose it is.
    pub(super) principal: String,
    /// Its fingerprint, `SHA256:…`.
    pub(super) key: String,
    /// What was signed: canonical JSON with the number, the host, the account and the time.
    pub(super) statement: String,
    /// The signature, as `ssh-keygen -Y sign` writes it.
    pub(super) signature: String,
}

/// Lets the first key of the agent that counts sign a fresh random number, which shows that whoever uses the program
/// has the key. `None` where no key does so at once: a security key, which would want to be touched, is not asked.
pub(super) async fn prove(trusted: Arc<Trusted>, identity: &Who, now: Timestamp) -> Option<Proof> {
    let wanted = |holder: &Holder| !holder.touched;
    let holder = holders(Arc::clone(&trusted)).await.ok()?.into_iter().find(wanted)?;
    let statement = canonical_json(&json!({
        "at": now, "format": "stanch-session/1", "host": rustix::system::uname().nodename().to_string_lossy(),
        "nonce": nonce().ok()?, "pid": std::process::id(), "uid": identity.uid, "user": identity.user,
    }));
    let (principal, key) = (holder.principal.clone(), holder.fingerprint.clone());
    let signing = sign(holder, SESSION_NAMESPACE, statement.clone());
    let signature = tokio::time::timeout(PROOF_PATIENCE, signing).await.ok()?.ok()?;
    let envelope = Envelope::parse(&signature).ok()?;
    envelope.verify(SESSION_NAMESPACE, statement.as_bytes()).ok()?;
    trusted.signers.allow(&envelope, &trusted.revoked, &principal, SESSION_NAMESPACE, [now, now]).ok()?;
    Some(Proof { principal, key, statement, signature })
}

/// 32 random hex digits.
pub(super) fn nonce() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| Failure::failed(format!("no random numbers: {error}")))?;
    Ok(hex(&bytes))
}

fn holder(identity: Identity<'static>, trusted: &Trusted) -> Option<Holder> {
    let (principal, key, public) = match &identity {
        Identity::PublicKey(key) => (trusted.signers.principal_of(key)?.to_owned(), key.key_data(), key.to_bytes()),
        Identity::Certificate(certificate) => {
            let known = |name: &&String| trusted.persons.signing_as(name).is_some();
            let principal = certificate.valid_principals().iter().find(known)?.clone();
            (principal, certificate.public_key(), certificate.to_bytes())
        }
    };
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let touched = matches!(key, KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_));
    Some(Holder { principal, fingerprint, public: public.ok()?, touched, identity })
}

fn socket() -> Option<String> {
    std::env::var("SSH_AUTH_SOCK").ok().filter(|path| !path.is_empty())
}

fn connect(socket: &str) -> Result<Client, Failure> {
    let wrong = |error: std::io::Error| Failure::failed(format!("the ssh-agent at {socket}: {error}"));
    let stream = UnixStream::connect(socket).map_err(wrong)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(wrong)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(wrong)?;
    Ok(Client::with_read_write(Box::new(stream)))
}

fn said(error: &ssh_agent_client_rs::Error) -> Failure {
    Failure::failed(format!("the ssh-agent: {error}"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::failed(format!("the ssh-agent: {error}")))?
}
