//! `audit anchor`, and anchors as evidence in `audit verify`.

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use ssh_key::PublicKey;

use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::app::{anchoring, clock};
use crate::config::{Config, SystemSecrets};
use crate::domain::settings::Secrets;
use crate::ledger::{ANCHOR_NAMESPACE, Head, Ledger, SignedAnchor, Signer};

/// Most anchors that are read; they are as many as the times the ledger was anchored.
const MAX_ANCHORS: usize = 1_000_000;

/// Makes an anchor and ships it to every place that is configured, or prints it when there is none.
pub(super) async fn anchor(config: &Config, ledger: &dyn Ledger, output: Output) -> Result<(), Failure> {
    let report = ledger.verify().await.map_err(|error| Failure::failed(error.to_string()))?;
    if !report.ok {
        return Err(Failure::refused("the chain is broken, and a broken chain is not anchored: see `audit verify`"));
    }
    let settings = &config.ledger.anchor;
    let secrets: Arc<dyn Secrets> = Arc::new(SystemSecrets);
    let anchor = anchoring::make(settings, ledger, clock::system()()).await?;
    let shipped = anchoring::ship(settings, &secrets, &anchor).await;
    let nowhere = shipped.to.is_empty() && shipped.failed.is_empty();
    let document = json!({
        "anchor": anchor.anchor, "signature": anchor.signature, "to": shipped.to, "failed": shipped.failed,
    });
    output.answer(&document, || {
        if nowhere {
            return anchor.line();
        }
        let entries = anchor.anchor.entries;
        let lines = shipped.to.iter().map(|place| format!("{entries} entries anchored at {place}\n"));
        lines.chain(shipped.failed.iter().map(|why| format!("NOT anchored at {why}\n"))).collect()
    })?;
    if shipped.failed.is_empty() { Ok(()) } else { Err(Failure::silent_refusal()) }
}

/// What the anchors of a file say.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Evidence {
    /// Anchors that count.
    pub(super) anchors: usize,
    /// Entries that the last of them vouches for; what came later nobody vouches for yet.
    pub(super) anchored_entries: u64,
    /// Keys that signed them, or `nobody`, each once.
    pub(super) signed_by: Vec<String>,
    /// Anchors that do not count, each a sign that somebody was at work.
    pub(super) problems: Vec<String>,
    #[serde(skip)]
    pub(super) ends: Vec<Head>,
}

/// Reads the anchors in a file: one a line, also behind what a log collector put before them. With `signers` (the
/// format of `allowed_signers`) only those count that one of its keys signed.
pub(super) fn evidence(file: &Path, signers: Option<&Path>) -> Result<Evidence, Failure> {
    let unreadable =
        |path: &Path, error: std::io::Error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    let allowed = match signers {
        Some(path) => Some(allowed(&std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?)),
        None => None,
    };
    let mut evidence = Evidence::default();
    let mut reader = std::io::BufReader::new(std::fs::File::open(file).map_err(|error| unreadable(file, error))?);
    let mut line = Vec::new();
    let mut number = 0_u64;
    while reader.read_until(b'\n', &mut line).map_err(|error| unreadable(file, error))? > 0 {
        number += 1;
        match SignedAnchor::find(&String::from_utf8_lossy(&line)) {
            None => {}
            Some(Err(why)) => evidence.problems.push(format!("line {number}: {why}")),
            Some(Ok(anchor)) => match counts(&anchor, allowed.as_deref()) {
                Ok(by) => {
                    if !evidence.signed_by.contains(&by) {
                        evidence.signed_by.push(by);
                    }
                    evidence.anchors += 1;
                    evidence.anchored_entries = evidence.anchored_entries.max(anchor.anchor.entries);
                    evidence.ends.push(anchor.anchor.end());
                }
                Err(why) => evidence.problems.push(format!("line {number}: {why}")),
            },
        }
        line.clear();
        if evidence.ends.len() + evidence.problems.len() > MAX_ANCHORS {
            return Err(Failure::usage(format!("{} holds more than {MAX_ANCHORS} anchors", file.display())));
        }
    }
    if evidence.ends.is_empty() && evidence.problems.is_empty() {
        return Err(Failure::refused(format!("{} holds no anchor: nothing vouches for this ledger", file.display())));
    }
    Ok(evidence)
}

/// Who signed an anchor that counts, or why it does not.
fn counts(anchor: &SignedAnchor, allowed: Option<&[PublicKey]>) -> Result<String, String> {
    match (anchor.signer()?, allowed) {
        (Signer::Nobody, None) => Ok("nobody".to_owned()),
        (Signer::Nobody, Some(_)) => Err("this anchor is not signed".to_owned()),
        (Signer::Key { fingerprint, .. }, None) => Ok(fingerprint),
        (Signer::Key { openssh, fingerprint }, Some(allowed)) => {
            let key = PublicKey::from_openssh(&openssh).map_err(|error| error.to_string())?;
            if allowed.iter().any(|known| known.key_data() == key.key_data()) {
                Ok(fingerprint)
            } else {
                Err(format!("this anchor is signed by {fingerprint}, who is not an allowed signer"))
            }
        }
    }
}

/// The keys in a file of the format of `allowed_signers` that may sign anchors. A line with an option other than
/// `namespaces` (an authority, a time of validity) does not count: anchors are signed by plain keys.
fn allowed(text: &str) -> Vec<PublicKey> {
    let key = |line: &str| {
        let (_, rest) = line.trim().split_once(char::is_whitespace)?;
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix("namespaces=\"") {
            Some(quoted) => {
                let (list, key) = quoted.split_once('"')?;
                list.split(',').any(|name| name == ANCHOR_NAMESPACE || name == "*").then_some(key)?
            }
            None => rest,
        };
        PublicKey::from_openssh(rest.trim()).ok()
    };
    text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_keys_for_this_purpose_may_sign() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2wdYzzHb2FHPBX6Gcr9rmhpKo8yeSvh0vHzNAIjJBK";
        let file = format!(
            "# a comment\nops {key}\nops namespaces=\"git\" {key}\nops namespaces=\"git,stanch-anchor\" {key} note\n\
             ca cert-authority {key}\nold valid-before=\"20200101Z\" {key}\nbroken ssh-ed25519 AAAA\n"
        );
        assert_eq!(allowed(&file).len(), 2);
    }
}
