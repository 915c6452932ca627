//! `audit anchor`, and anchors as evidence in `audit verify`.

use std::collections::BTreeSet;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::app::{anchoring, clock};
use crate::config::{Config, SystemSecrets};
use crate::domain::Timestamp;
use crate::domain::settings::Secrets;
use crate::gate::approvals::{Envelope, Revoked, Signers};
use crate::ledger::{ANCHOR_NAMESPACE, Anchor, Head, Ledger, SignedAnchor, Signer};

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
    // Exactly what was verified, whoever has written since.
    let head = Head { seq: report.entries, hash: report.head };
    let anchor = anchoring::make(settings, &head, ledger.place(), clock::system()())?;
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
    /// Keys that signed them, or `nobody`.
    pub(super) signed_by: BTreeSet<String>,
    /// Ledgers they are of: host and path of a file, or a database.
    pub(super) ledgers: BTreeSet<String>,
    /// Anchors that do not count, each a sign that somebody was at work.
    pub(super) problems: Vec<String>,
    #[serde(skip)]
    pub(super) ends: Vec<Head>,
}

/// Reads the anchors in a file: one a line, also behind what a log collector put before them. With `signers` (a file
/// in the format of `allowed_signers`) only those count that one of its keys signed; with `of` only those that this
/// host made or that are of this ledger.
pub(super) fn evidence(file: &Path, signers: Option<&Path>, of: Option<&str>) -> Result<Evidence, Failure> {
    let unreadable =
        |path: &Path, error: std::io::Error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    let allowed = match signers {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
            let signers = Signers::parse(&text);
            Some(signers.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?)
        }
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
            Some(Ok(anchor)) if of.is_some_and(|of| !is_of(&anchor.anchor, of)) => {}
            Some(Ok(anchor)) => match counts(&anchor, allowed.as_ref()) {
                Ok(by) => {
                    evidence.signed_by.insert(by);
                    evidence.ledgers.insert(ledger_of(&anchor.anchor));
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
    if evidence.ledgers.len() > 1 {
        let ledgers: Vec<&str> = evidence.ledgers.iter().map(String::as_str).collect();
        let what = format!("{} holds anchors of several ledgers ({})", file.display(), ledgers.join("; "));
        return Err(Failure::usage(format!("{what}: name the one that is verified with --of")));
    }
    Ok(evidence)
}

/// Names the ledger of an anchor: a file by its host, a database by itself, whoever logged in there.
fn ledger_of(anchor: &Anchor) -> String {
    match anchor.ledger.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, place)| place)),
        None => format!("{} {}", anchor.host, anchor.ledger),
    }
}

/// Whether `of` names the host or the ledger of an anchor.
fn is_of(anchor: &Anchor, of: &str) -> bool {
    of == anchor.host || of == anchor.ledger || of == ledger_of(anchor)
}

/// Who signed an anchor that counts, or why it does not.
fn counts(anchor: &SignedAnchor, allowed: Option<&Signers>) -> Result<String, String> {
    let Some(allowed) = allowed else {
        return Ok(match anchor.signer()? {
            Signer::Nobody => "nobody".to_owned(),
            Signer::Key { fingerprint } => fingerprint,
        });
    };
    let signature = anchor.signature.as_deref().ok_or("this anchor is not signed")?;
    let envelope = Envelope::parse(signature).map_err(|error| error.to_string())?;
    let message = anchor.anchor.message();
    envelope.verify(ANCHOR_NAMESPACE, message.as_bytes()).map_err(|error| error.to_string())?;
    // A certificate is made out to the host.
    let principal = allowed.principal_of(&envelope.key).unwrap_or(&anchor.anchor.host);
    let at = Timestamp::parse_rfc3339(&anchor.anchor.at).ok_or("its time cannot be read")?;
    allowed
        .allow(&envelope, &Revoked::default(), principal, ANCHOR_NAMESPACE, [at, at])
        .map_err(|error| error.to_string())?;
    Ok(format!("{principal} {}", envelope.fingerprint()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_named_by_its_host_or_its_database() {
        let head = Head { seq: 1, hash: "0".repeat(64) };
        let anchor = |ledger: &str| Anchor::new(&head, String::new(), ledger.to_owned(), "ops-1".to_owned());
        let (file, database) = (anchor("/state/ledger.db"), anchor("postgres://alice@db:5432/audit"));
        assert_eq!(ledger_of(&file), "ops-1 /state/ledger.db");
        assert_eq!(ledger_of(&database), ledger_of(&anchor("postgres://bob@db:5432/audit")));
        assert!(is_of(&file, "ops-1") && is_of(&database, "postgres://db:5432/audit") && !is_of(&file, "ops-2"));
    }
}
