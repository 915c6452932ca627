//! Anchors: the end of a chain, signed and kept elsewhere. No IO.
//!
//! A chain shows an edit, a gap and a reordering by itself. That its end was cut off, or that somebody who can write the
//! store computed all hashes anew, shows only against an anchor that he cannot rewrite.

use serde::{Deserialize, Serialize};
use ssh_key::{HashAlg, LineEnding, PrivateKey, SshSig};

use super::Head;
use crate::domain::canonical::canonical_json;

/// Namespace of the signature: an anchor is not mistaken for an approval, and the other way round.
pub const NAMESPACE: &str = "stanch-anchor";

/// The one format there is.
const FORMAT: &str = "stanch-anchor/1";

/// Most bytes of a line that is looked at.
const MAX_LINE_BYTES: usize = 64 << 10;

/// The end of a chain at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// `stanch-anchor/1`.
    format: String,
    /// Entries of the chain.
    pub entries: u64,
    /// Hash of the last of them.
    pub head: String,
    /// When the anchor was made, RFC 3339 UTC.
    pub at: String,
    /// Where the ledger lies, for people.
    pub ledger: String,
    /// Host that made the anchor.
    pub host: String,
}

impl Anchor {
    /// Anchors this end.
    pub fn new(head: &Head, at: String, ledger: String, host: String) -> Self {
        Self { format: FORMAT.to_owned(), entries: head.seq, head: head.hash.clone(), at, ledger, host }
    }

    /// What is signed: the canonical JSON of the anchor, without a line feed.
    pub fn message(&self) -> String {
        canonical_json(&serde_json::to_value(self).unwrap_or_default())
    }

    /// The end that it vouches for.
    pub fn end(&self) -> Head {
        Head { seq: self.entries, hash: self.head.clone() }
    }

    /// Signs it as `ssh-keygen -Y sign -n stanch-anchor` would.
    pub fn sign(self, key: &PrivateKey) -> Result<SignedAnchor, ssh_key::Error> {
        let signature = key.sign(NAMESPACE, HashAlg::Sha512, self.message().as_bytes())?;
        let signature = signature.to_pem(LineEnding::LF)?;
        Ok(SignedAnchor { anchor: self, signature: Some(signature) })
    }

    /// Takes it without a signature: enough against an accident, or where the place it is kept at is trusted.
    pub fn unsigned(self) -> SignedAnchor {
        SignedAnchor { anchor: self, signature: None }
    }
}

/// An anchor with its signature, as it is kept: one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAnchor {
    /// The anchor.
    pub anchor: Anchor,
    /// Armoured SSH signature (`PROTOCOL.sshsig`) over [`Anchor::message`].
    pub signature: Option<String>,
}

/// Who signed an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// Nobody.
    Nobody,
    /// A key with this fingerprint.
    Key {
        /// `SHA256:…`.
        fingerprint: String,
    },
}

impl SignedAnchor {
    /// The line, without a line feed.
    pub fn line(&self) -> String {
        // The anchor stands first, so that a line can be found behind whatever a log collector put before it.
        let signature = serde_json::Value::from(self.signature.clone());
        format!("{{\"anchor\":{},\"signature\":{signature}}}", self.anchor.message())
    }

    /// Reads the line, also behind what a log collector put before it. `None` when there is no anchor in it.
    pub fn find(line: &str) -> Option<Result<Self, String>> {
        let start = line.find("{\"anchor\":")?;
        if line.len() > MAX_LINE_BYTES {
            return Some(Err(format!("the line has more than {MAX_LINE_BYTES} bytes")));
        }
        let mut documents = serde_json::Deserializer::from_str(&line[start..]).into_iter::<Self>();
        let found = documents.next()?;
        Some(match found {
            Ok(found) if found.anchor.format != FORMAT => Err(format!("not an anchor of format {FORMAT}")),
            Ok(found) => Ok(found),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Checks that the signature fits the anchor, and says whose it is. Whether that key may sign is another question.
    pub fn signer(&self) -> Result<Signer, String> {
        let Some(pem) = &self.signature else { return Ok(Signer::Nobody) };
        let signature = SshSig::from_pem(pem).map_err(|error| format!("its signature cannot be read: {error}"))?;
        let key = ssh_key::PublicKey::from(signature.public_key().clone());
        key.verify(NAMESPACE, self.anchor.message().as_bytes(), &signature)
            .map_err(|_| "its signature does not fit it: the anchor was changed".to_owned())?;
        Ok(Signer::Key { fingerprint: key.fingerprint(HashAlg::Sha256).to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Throw-away key, made for this test.
    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]))
    }

    fn anchor() -> Anchor {
        let head = Head { seq: 7, hash: "ab".repeat(32) };
        Anchor::new(&head, "2026-01-31T13:00:00.000Z".into(), "/state/ledger.db".into(), "ops-1".into())
    }

    #[test]
    fn a_signed_anchor_is_found_behind_a_log_header_and_names_its_key() {
        let signed = anchor().sign(&key(1)).unwrap();
        let line = format!("<109>1 2026-01-31T13:00:00Z ops-1 stanch 12 anchor - {} trailing", signed.line());
        let found = SignedAnchor::find(&line).unwrap().unwrap();
        assert_eq!(found, signed);
        let Signer::Key { fingerprint } = found.signer().unwrap() else { panic!("it is signed") };
        assert_eq!(fingerprint, key(1).public_key().fingerprint(HashAlg::Sha256).to_string());
        assert_eq!(found.anchor.end(), Head { seq: 7, hash: "ab".repeat(32) });
    }

    #[test]
    fn a_changed_anchor_does_not_fit_its_signature() {
        let signed = anchor().sign(&key(1)).unwrap();
        for (from, to) in [("\"entries\":7", "\"entries\":6"), ("abab", "abac"), ("ops-1", "ops-2")] {
            let line = signed.line().replacen(from, to, 1);
            assert!(SignedAnchor::find(&line).unwrap().unwrap().signer().is_err(), "{from}");
        }
        let other = anchor().sign(&key(2)).unwrap();
        let grafted = SignedAnchor { anchor: Anchor { entries: 9, ..anchor() }, signature: other.signature };
        assert!(grafted.signer().is_err());
    }

    #[test]
    fn other_lines_are_no_anchors_and_broken_ones_are_said() {
        assert_eq!(SignedAnchor::find("a log line"), None);
        assert!(SignedAnchor::find("{\"anchor\":{\"entries\":").unwrap().is_err());
        let newer = anchor().unsigned().line().replace("stanch-anchor/1", "stanch-anchor/2");
        assert!(SignedAnchor::find(&newer).unwrap().is_err());
        assert_eq!(anchor().unsigned().signer(), Ok(Signer::Nobody));
    }
}
