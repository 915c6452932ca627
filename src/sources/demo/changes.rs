//! What was changed in and around the shop, and its runbooks.

use super::Times;
use super::alerts::{CERTIFICATE_RUNBOOK, POOL_RUNBOOK};
use super::shop::{BAD_VERSION, CULPRIT};
use crate::domain::Text;
use crate::domain::change::Change;
use crate::domain::snapshot::Runbook;

/// The change that did it.
const HOLD_DIFF: &str = r#"--- a/internal/authorize/authorize.go
+++ b/internal/authorize/authorize.go
@@ -41,34 +41,38 @@ func (s *Service) Authorize(ctx context.Context, order Order) (Receipt, error) {
 	if err := order.Validate(); err != nil {
 		return Receipt{}, err
 	}
-	// The score does not need the database: ask before a connection is taken.
-	score, err := s.fraud.Score(ctx, order)
-	if err != nil {
-		return Receipt{}, fmt.Errorf("fraud check: %w", err)
-	}
-	if score.Blocked() {
-		return Receipt{}, ErrBlocked
-	}
 	conn, err := s.pool.Acquire(ctx)
 	if err != nil {
 		return Receipt{}, fmt.Errorf("acquire connection: %w", err)
 	}
-	defer func() {
-		conn.Release()
-		s.log.Debug("connection returned", "pool", s.pool.Name(), "held_ms", conn.HeldMillis())
-	}()
+	defer conn.Release()
 	tx, err := conn.Begin(ctx)
 	if err != nil {
 		return Receipt{}, fmt.Errorf("begin: %w", err)
 	}
 	defer tx.Rollback(ctx)
+	// Lock the account first, so that score and balance are read from one state.
+	account, err := s.accounts.ForUpdate(ctx, tx, order.Merchant)
+	if err != nil {
+		return Receipt{}, fmt.Errorf("lock account: %w", err)
+	}
+	score, err := s.fraud.Score(ctx, order.With(account))
+	if err != nil {
+		return Receipt{}, fmt.Errorf("fraud check: %w", err)
+	}
+	if score.Blocked() {
+		return Receipt{}, ErrBlocked
+	}
 	receipt, err := s.book(ctx, tx, order, score)
 	if err != nil {
 		return Receipt{}, err
 	}
 	return receipt, tx.Commit(ctx)
 }
"#;

const DOCS_DIFF: &str = "--- a/README.md
+++ b/README.md
@@ -88,3 +88,6 @@ ## Retries
 Checkout tries an authorization three times.
+
+The budget for retries is 20% of the requests of a minute; what goes beyond is refused at once and shown as
+`retry_budget_exceeded`.
";

const STYLE_DIFF: &str = "--- a/assets/product.css
+++ b/assets/product.css
@@ -12,4 +12,4 @@ .gallery {
-  grid-gap: 12px;
+  gap: 12px;
";

struct Draft {
    /// Seconds since the trouble began.
    after: f64,
    kind: &'static str,
    service: &'static str,
    reference: &'static str,
    summary: &'static str,
    author: &'static str,
    diff: Option<&'static str>,
}

const DRAFTS: [Draft; 9] = [
    Draft {
        after: -38.0 * 60.0,
        kind: "deploy",
        service: "web",
        reference: "v8.12.1",
        summary: "tidy up the product gallery",
        author: "author-2",
        diff: Some(STYLE_DIFF),
    },
    Draft {
        after: -27.0 * 60.0,
        kind: "config",
        service: "inventory",
        reference: "cfg-1184",
        summary: "cache stock levels for 45 s instead of 30 s",
        author: "author-4",
        diff: None,
    },
    Draft {
        after: -21.0 * 60.0,
        kind: "flag",
        service: "recommendations",
        reference: "rerank-by-season",
        summary: "enabled for 10% of users",
        author: "author-3",
        diff: None,
    },
    Draft {
        after: -9.0 * 60.0,
        kind: "commit",
        service: CULPRIT,
        reference: "b41f0c9",
        summary: "docs: describe the retry budget",
        author: "author-2",
        diff: Some(DOCS_DIFF),
    },
    Draft {
        after: -4.0 * 60.0,
        kind: "scale",
        service: "search",
        reference: "search 3 → 3",
        summary: "autoscaler kept 3 replicas (cpu 61% of 70%)",
        author: "autoscaler",
        diff: None,
    },
    Draft {
        after: -140.0,
        kind: "commit",
        service: CULPRIT,
        reference: "9e27ad3",
        summary: "hold connection during fraud check",
        author: "author-1",
        diff: Some(HOLD_DIFF),
    },
    Draft {
        after: -12.0,
        kind: "deploy",
        service: CULPRIT,
        reference: BAD_VERSION,
        summary: "hold connection during fraud check",
        author: "author-1",
        diff: Some(HOLD_DIFF),
    },
    Draft {
        after: 195.0,
        kind: "event",
        service: CULPRIT,
        reference: "Unhealthy",
        summary: "readiness probe failed on 2 of 6 pods: context deadline exceeded",
        author: "",
        diff: None,
    },
    Draft {
        after: 360.0,
        kind: "scale",
        service: "checkout",
        reference: "checkout 6 → 6",
        summary: "autoscaler wants 9 replicas, the quota allows 6",
        author: "autoscaler",
        diff: None,
    },
];

/// The changes, oldest first.
pub(super) fn changes(times: &Times) -> Vec<Change> {
    DRAFTS
        .iter()
        .map(|draft| Change {
            at: times.after(draft.after),
            kind: draft.kind.into(),
            service: draft.service.into(),
            reference: draft.reference.into(),
            summary: draft.summary.into(),
            author: draft.author.into(),
            diff: draft.diff.map(Text::new),
        })
        .collect()
}

/// The runbooks that alerts link to; the title is the link.
pub(super) fn runbooks() -> Vec<Runbook> {
    [
        (
            POOL_RUNBOOK,
            "# payments: all connections to pg-main are in use\n\n\
             Every authorization needs one of 50 connections. Normal is 4 to 9 in use.\n\n\
             1. Is PostgreSQL slow? Look at `rate(pg_stat_statements_seconds_total[2m]) / \
             rate(pg_stat_statements_calls_total[2m])`; normal is 3 ms.\n\
             2. Many connections `idle in transaction`: the service holds connections while it does something else. \
             Look at the last deploy of payments and roll it back: `kubectl -n shop rollout undo deployment/payments`.\n\
             3. Traffic doubled: raise `PG_POOL` to at most 100; pg-main allows 200 connections for all services.\n\n\
             Do not restart pg-main: it ends the transactions of all services.\n",
        ),
        (
            CERTIFICATE_RUNBOOK,
            "# certificates\n\nCertificates renew 30 days before they expire. If one did not, look at the events of its \
             Certificate object and the challenge of the issuer.\n",
        ),
    ]
    .into_iter()
    .map(|(title, text)| Runbook { title: title.into(), text: text.into() })
    .collect()
}
