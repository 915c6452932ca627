//! Ids that hold the log entries of one request together, under whatever name a program gives them.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::fields::{self, plain};
use crate::domain::log::LogEntry;

/// What a name says about the id behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IdKind {
    /// A whole request across services.
    Trace,
    /// W3C's `version-trace-parent-flags`, or its kin: trace and span in one value.
    TraceParent,
    /// A request, transaction or conversation: as good as a trace where there is none.
    Request,
    /// A session or connection: holds several requests, so it is trusted last.
    Session,
    /// The part of a request that one service handles.
    Span,
}

/// The kind of id that a key names, if any.
pub(super) fn kind_of(key: &str) -> Option<IdKind> {
    // Of a path like `otel.trace_id` or `mdc.requestId` the last part names it; a prefix says whose it is.
    let plain = plain(key)?;
    let name = plain.as_bytes();
    let name = name.strip_prefix(b"x").filter(|rest| rest.len() > 4).unwrap_or(name);
    let ends = |tail: &[u8]| name.ends_with(tail);
    Some(match name {
        b"traceparent" | b"ubertraceid" | b"amzntraceid" | b"b3" => IdKind::TraceParent,
        b"parentspanid" | b"parentid" | b"b3parentspanid" => return None,
        _ if ends(b"traceid") || ends(b"traceidhex") => IdKind::Trace,
        _ if ends(b"spanid") => IdKind::Span,
        b"trace" => IdKind::Trace,
        b"span" => IdKind::Span,
        b"reqid" | b"rid" | b"requestuuid" | b"request" | b"reqno" | b"cid" | b"corrid" | b"txn" | b"txnid"
        | b"txid" | b"trxid" | b"transaction" | b"operationid" | b"opid" | b"invocationid" | b"activityid"
        | b"callid" | b"conversationid" | b"contextid" | b"flowid" | b"correlation" | b"cfray" => IdKind::Request,
        _ if ends(b"requestid") || ends(b"correlationid") || ends(b"transactionid") => IdKind::Request,
        b"session" | b"sid" | b"sessionid" | b"sessid" | b"connid" | b"connectionid" => IdKind::Session,
        _ => return None,
    })
}

/// The part of `value` that identifies, if it can: the trace id of a `traceparent`, the value itself else. Words,
/// placeholders and the all-zero id of an absent trace are none.
pub(super) fn id_of(kind: IdKind, value: &str) -> Option<&str> {
    let value = match kind {
        IdKind::TraceParent => trace_of_parent(value)?,
        _ => value,
    };
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let is_plain =
        value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.' | b'/'));
    let is_void = value.bytes().all(|byte| matches!(byte, b'0' | b'-'));
    let long_word = value.len() >= 16;
    (value.len() >= 4 && value.len() <= 128 && is_plain && !is_void && (digits > 0 || long_word)).then_some(value)
}

/// `00-4bf9…-00f0…-01` (W3C), `4bf9…:00f0…:0:1` (Jaeger), `Root=1-67…-…;Parent=…` (X-Ray), `80f1…-e457…-1` (B3).
fn trace_of_parent(value: &str) -> Option<&str> {
    if let Some(root) = value.split(';').find_map(|part| part.trim().strip_prefix("Root=")) {
        return Some(root);
    }
    if value.starts_with("1-") {
        return Some(value);
    }
    value.split(['-', ':']).find(|part| part.len() >= 16)
}

/// Hashes of the ids of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids {
    /// The request, across services where they share the id.
    pub trace: u64,
    /// The part of it that one service handles; the same as `trace` where there is no finer id.
    pub span: u64,
}

impl Ids {
    /// Reads structured metadata, labels and the line. The best kind of id wins.
    pub(super) fn of(entry: &LogEntry) -> Option<Self> {
        let mut best: Option<(IdKind, u64)> = None;
        let mut span: Option<u64> = None;
        let mut see = |key: &str, value: &str| {
            let Some(kind) = kind_of(key) else { return };
            let Some(id) = id_of(kind, value) else { return };
            if kind == IdKind::Span {
                span.get_or_insert_with(|| hash_of(id));
            } else if best.is_none_or(|(known, _)| kind < known) {
                best = Some((kind, hash_of(id)));
            }
        };
        for (key, value) in entry.metadata.iter() {
            see(key, value);
        }
        for (key, value) in entry.labels.iter() {
            see(key, value);
        }
        fields::scan(entry.line.as_str(), &mut see);
        let (_, trace) = best?;
        Some(Self { trace, span: span.map_or(trace, |span| span ^ trace.rotate_left(17)) })
    }
}

fn hash_of(text: &str) -> u64 {
    // The default hasher has fixed keys: the same text hashes alike in every run.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Text, Timestamp};

    fn entry(line: &str, metadata: &[(&str, &str)]) -> LogEntry {
        LogEntry {
            at: Timestamp::from_secs(0),
            labels: Arc::new([("service_name", "a")].into_iter().collect()),
            line: Text::new(line),
            metadata: metadata.iter().copied().collect(),
        }
    }

    #[test]
    fn ids_are_read_in_any_spelling() {
        let same = [
            "TraceID: 88ebfbcebbbc088488ebfbcebbbc0884 SpanID: dd84024eb1cbced4 x",
            r#"{"trace_id": "88ebfbcebbbc088488ebfbcebbbc0884", "spanId": "dd84024eb1cbced4", "msg": "x"}"#,
            "level=info X-B3-TraceId=88ebfbcebbbc088488ebfbcebbbc0884 x-b3-spanid=dd84024eb1cbced4",
            "dd.trace_id=88ebfbcebbbc088488ebfbcebbbc0884 dd.span_id=dd84024eb1cbced4 done",
        ];
        let first = Ids::of(&entry(same[0], &[]));
        assert!(first.is_some());
        for line in same {
            assert_eq!(Ids::of(&entry(line, &[])), first, "{line}");
        }
        for line in [
            "traceparent=00-88ebfbcebbbc088488ebfbcebbbc0884-dd84024eb1cbced4-01 x",
            r#"{"uber-trace-id":"88ebfbcebbbc088488ebfbcebbbc0884:dd84024eb1cbced4:0:1"}"#,
        ] {
            assert_eq!(Ids::of(&entry(line, &[])).map(|ids| ids.trace), first.map(|ids| ids.trace), "{line}");
        }
        for line in [
            "X-Request-ID: 7f3a91 ok",
            "requestId=REQ-001 ok",
            "correlation_id=ab12cd txn=9",
            "session:s48213",
            "txn=88213 x",
        ] {
            assert!(Ids::of(&entry(line, &[])).is_some(), "{line}");
        }
        assert!(Ids::of(&entry("x", &[("trace_id", "0c054e1c3f82")])).is_some());
    }

    #[test]
    fn words_placeholders_and_zeros_are_no_ids() {
        for line in [
            "no id here",
            "trace_id=00000000000000000000000000000000",
            "request=failed session=expired",
            "trace_id=null request_id=-",
            "request: GET",
            "parent_id=88ebfbcebbbc0884",
        ] {
            assert_eq!(Ids::of(&entry(line, &[])), None, "{line}");
        }
    }

    #[test]
    fn a_trace_outranks_a_request_and_a_session() {
        let id = |line: &str| Ids::of(&entry(line, &[])).unwrap().trace;
        assert_eq!(id("session=s1234 request_id=r-77 trace_id=abcdef12"), id("trace_id=abcdef12"));
        assert_eq!(id("session=s1234 request_id=r-77"), id("request_id=r-77"));
    }
}
