//! The ledger of a running program: says first who runs it with which configuration and policy, says
//! with each entry who writes it, and anchors as it goes.

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::config::{self, Config};
use crate::domain::approval::{Identity, Trust};
use crate::domain::canonical::hex;
use crate::domain::ledger::{ChainReport, Draft, Entry, EntryKind};
use crate::domain::settings::Secrets;
use crate::gate::approvals::Trusted;
use crate::ledger::{Filter, Head, Ledger, LedgerError};

use super::agent;
use super::anchoring::Courier;
use super::clock::Clock;
use super::command_secrets;
use super::standing::Standing;

/// Policies looked through for the one that was in force here last.
const KNOWN_POLICIES: usize = 200;

/// A ledger that writes the session before the first entry of this process. Reading alone writes nothing.
pub(super) struct SessionLedger {
    inner: Arc<dyn Ledger>,
    clock: Clock,
    secrets: Arc<dyn Secrets>,
    anchor: config::Anchor,
    actor: String,
    session: Value,
    policy: Value,
    trusted: Arc<Trusted>,
    identity: Identity,
    /// Who writes, once the session is written.
    opened: OnceCell<Value>,
    courier: OnceLock<Option<Courier>>,
}

impl SessionLedger {
    pub(super) fn new(
        inner: Arc<dyn Ledger>,
        config: &Config,
        standing: &Standing,
        clock: &Clock,
        secrets: &Arc<dyn Secrets>,
    ) -> Self {
        let rules = standing.rules.now();
        let policy = rules.gate.policy().hash();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let session = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "configuration": digest(config),
            "files": config.files,
            "policy": policy,
            "profile": standing.environment,
            "role": standing.role,
            "host": host,
            "pid": std::process::id(),
        });
        Self {
            inner,
            clock: Arc::clone(clock),
            secrets: Arc::clone(secrets),
            anchor: config.ledger.anchor.clone(),
            actor: standing.actor.clone(),
            session,
            policy: json!({
                "hash": policy, "source": rules.source, "text": rules.text, "host": host,
            }),
            trusted: Arc::clone(&standing.trusted),
            identity: standing.identity.clone(),
            opened: OnceCell::new(),
            courier: OnceLock::new(),
        }
    }

    fn draft(&self, kind: EntryKind, payload: Value) -> Draft {
        Draft { at: (self.clock)(), kind, incident: None, actor: self.actor.clone(), payload }
    }

    /// Finds out who this is, and writes the session, and the policy when it is not the one that was written last for
    /// this person and host.
    async fn open(&self) -> Result<Value, LedgerError> {
        let mut identity = self.identity.clone();
        let proof = agent::prove(Arc::clone(&self.trusted), &identity, (self.clock)()).await;
        if let Some(proof) = &proof {
            identity.key = Some(proof.key.clone());
            identity.trust = Trust::Key;
        }
        let identity = json!(identity);
        let filter =
            Filter { kinds: vec![EntryKind::Policy], limit: KNOWN_POLICIES, newest: true, ..Filter::default() };
        let known = self.inner.entries(filter).await?;
        let ours =
            |entry: &&Entry| entry.draft.actor == self.actor && entry.draft.payload["host"] == self.policy["host"];
        let before = known.iter().rev().find(ours).map_or(&Value::Null, |entry| &entry.draft.payload["hash"]);
        if *before != self.policy["hash"] {
            let mut payload = self.policy.clone();
            payload["before"] = before.clone();
            payload["identity"] = identity.clone();
            self.anchor_when_due(&self.inner.append(self.draft(EntryKind::Policy, payload)).await?);
        }
        let mut session = self.session.clone();
        session["identity"] = identity.clone();
        session["proof"] = json!(proof);
        self.anchor_when_due(&self.inner.append(self.draft(EntryKind::Session, session)).await?);
        Ok(identity)
    }

    async fn append_now(&self, mut draft: Draft) -> Result<Entry, LedgerError> {
        // Others must see exactly what they approve; everywhere else a command's secrets stay out.
        if !matches!(draft.kind, EntryKind::ApprovalRequest | EntryKind::Approval | EntryKind::Rejection) {
            command_secrets::redact(&mut draft.payload);
        }
        let identity = self.opened.get_or_try_init(|| self.open()).await?;
        if let Value::Object(payload) = &mut draft.payload {
            payload.insert("identity".to_owned(), identity.clone());
        }
        let entry = self.inner.append(draft).await?;
        self.anchor_when_due(&entry);
        Ok(entry)
    }

    fn anchor_when_due(&self, entry: &Entry) {
        if self.anchor.every == 0 || !entry.seq.is_multiple_of(self.anchor.every) {
            return;
        }
        let start = || Courier::start(self.anchor.clone(), Arc::clone(&self.secrets), self.inner.place().to_owned());
        let courier = self.courier.get_or_init(|| {
            start().inspect_err(|error| tracing::warn!(%error, "no thread for anchors could be started")).ok()
        });
        if let Some(courier) = courier {
            courier.anchor(Head { seq: entry.seq, hash: entry.hash.clone() }, entry.draft.at);
        }
    }
}

/// SHA-256 of the configuration in force, defaults and environment included; secrets stand in it by their source only.
fn digest(config: &Config) -> String {
    hex(&Sha256::digest(format!("{config:?}")))
}

impl Ledger for SessionLedger {
    fn append(&self, draft: Draft) -> BoxFuture<'_, Result<Entry, LedgerError>> {
        self.append_now(draft).boxed()
    }

    fn entries(&self, filter: Filter) -> BoxFuture<'_, Result<Vec<Entry>, LedgerError>> {
        self.inner.entries(filter)
    }

    fn entry(&self, seq: u64) -> BoxFuture<'_, Result<Option<Entry>, LedgerError>> {
        self.inner.entry(seq)
    }

    fn head(&self) -> BoxFuture<'_, Result<Head, LedgerError>> {
        self.inner.head()
    }

    fn open_intents(&self) -> BoxFuture<'_, Result<Vec<u64>, LedgerError>> {
        self.inner.open_intents()
    }

    fn stream(&self, after: u64) -> BoxStream<'_, Result<Entry, LedgerError>> {
        self.inner.stream(after)
    }

    fn verify_against(&self, anchored: Vec<Head>) -> BoxFuture<'_, Result<ChainReport, LedgerError>> {
        self.inner.verify_against(anchored)
    }

    fn writable(&self) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.inner.writable()
    }

    fn place(&self) -> &str {
        self.inner.place()
    }
}
