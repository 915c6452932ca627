//! Entries for other systems: as they are (JSON lines), or as events of the Open Cybersecurity Schema Framework. No IO.

use serde_json::{Map, Value, json};

use crate::domain::ledger::{Entry, EntryKind};

/// Version of the OCSF schema that events are written in: <https://schema.ocsf.io/1.3.0/>.
pub const OCSF_VERSION: &str = "1.3.0";

/// Most characters of a command line in an event.
const MAX_COMMAND: usize = 4_096;

/// One entry as a line of JSON, with its hashes: a file of them can be checked without the ledger.
pub fn jsonl(entry: &Entry) -> String {
    // An entry is made of text and JSON: it cannot fail to serialise.
    serde_json::to_string(entry).unwrap_or_default()
}

/// One entry as an OCSF event on one line: runs as Process Activity (1007), everything else as API Activity (6003).
/// The entry itself stands under `unmapped`; its number and hash are `metadata.sequence` and `metadata.uid`.
pub fn ocsf(entry: &Entry) -> String {
    let kind = entry.draft.kind;
    let payload = &entry.draft.payload;
    let (class, activity, name) = match kind {
        EntryKind::RunIntent => (1007, 1, "Launch"),
        EntryKind::RunOutcome => (1007, 2, "Terminate"),
        EntryKind::Policy | EntryKind::Session => (6003, 3, "Update"),
        EntryKind::Verification => (6003, 2, "Read"),
        other => (6003, 99, other.word()),
    };
    let (status, detail) = status(kind, payload);
    let mut event = json!({
        "activity_id": activity,
        "activity_name": name,
        "category_uid": class / 1_000,
        "class_uid": class,
        "type_uid": class * 100 + activity,
        "severity_id": severity(kind, status),
        "time": entry.draft.at.millis(),
        "status_id": status,
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "stanch", "vendor_name": "stanch", "version": env!("CARGO_PKG_VERSION")},
            "uid": entry.hash,
            "sequence": entry.seq,
            "log_name": "ledger",
            "event_code": kind.word(),
            "original_time": entry.draft.at.to_rfc3339(),
        },
        "actor": {"user": {"name": entry.draft.actor, "type_id": 1}, "app_name": "stanch"},
        "message": kind.word(),
        "unmapped": {"prev_hash": entry.prev_hash, "payload": payload},
    });
    if let Some(incident) = &entry.draft.incident {
        event["metadata"]["correlation_uid"] = incident.as_str().into();
    }
    if let Value::Object(event) = &mut event {
        if let Some(detail) = detail {
            event.insert("status_detail".into(), detail.into());
        }
        let host = payload.pointer("/request/host").or_else(|| payload.pointer("/request/run/host"));
        let host = host.or_else(|| payload.get("host")).and_then(Value::as_str).unwrap_or("unknown");
        if class == 1007 {
            event.insert("device".into(), json!({"type_id": 0, "hostname": host}));
            event.insert("process".into(), process(entry));
            if let Some(code) = payload.pointer("/state/code") {
                event.insert("exit_code".into(), code.clone());
            }
        } else {
            event.insert("api".into(), json!({"operation": kind.word(), "service": {"name": service(payload)}}));
            event.insert("src_endpoint".into(), json!({"hostname": host, "svc_name": "stanch"}));
        }
    }
    event.to_string()
}

/// The process of a run. An outcome has the id of its intent, so that the two are found together.
fn process(entry: &Entry) -> Value {
    let payload = &entry.draft.payload;
    let intent = payload.get("intent").and_then(Value::as_u64).unwrap_or(entry.seq);
    let mut process = Map::new();
    process.insert("uid".into(), format!("run-{intent}").into());
    if let Some(argv) = payload.pointer("/request/argv").and_then(Value::as_array) {
        let words: Vec<&str> = argv.iter().filter_map(Value::as_str).collect();
        process.insert("cmd_line".into(), words.join(" ").chars().take(MAX_COMMAND).collect::<String>().into());
        process.insert("name".into(), words.first().copied().unwrap_or_default().into());
    }
    if let Some(program) = payload.pointer("/request/program") {
        let mut file = json!({"name": program, "path": program, "type_id": 1});
        if let Some(digest) = payload.pointer("/request/program_sha256") {
            file["hashes"] = json!([{"algorithm_id": 3, "value": digest}]);
        }
        process.insert("file".into(), file);
    }
    Value::Object(process)
}

/// What was called: the end point of a language model, or the program itself.
fn service(payload: &Value) -> &str {
    payload.get("endpoint").and_then(Value::as_str).unwrap_or("stanch")
}

/// OCSF `status_id` (1 success, 2 failure, 0 unknown) and why.
fn status(kind: EntryKind, payload: &Value) -> (u8, Option<&str>) {
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    match kind {
        EntryKind::Refusal => (2, text("why")),
        EntryKind::RunOutcome => match payload.pointer("/state/code").and_then(Value::as_i64) {
            Some(0) => (1, None),
            Some(_) => (2, None),
            None => (2, payload.pointer("/state/state").and_then(Value::as_str)),
        },
        EntryKind::LlmOutcome => match text("error") {
            Some(error) => (2, Some(error)),
            None => (1, None),
        },
        // What came of an intent is not known yet.
        EntryKind::RunIntent | EntryKind::LlmIntent => (0, None),
        _ => (1, None),
    }
}

/// OCSF `severity_id`: 1 informational, 2 low, 3 medium.
fn severity(kind: EntryKind, status: u8) -> u8 {
    match kind {
        EntryKind::Refusal => 3,
        EntryKind::RunOutcome if status == 2 => 3,
        EntryKind::RunIntent | EntryKind::Policy | EntryKind::RunOutcome => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::ledger::Draft;

    fn entry(kind: EntryKind, payload: Value) -> Entry {
        let draft = Draft {
            at: Timestamp::from_secs(1_700_000_000),
            kind,
            incident: Some("inc-1".into()),
            actor: "oncall-1".into(),
            payload,
        };
        Entry { seq: 4, draft, prev_hash: "1".repeat(64), hash: "2".repeat(64) }
    }

    fn event(kind: EntryKind, payload: Value) -> Value {
        serde_json::from_str(&ocsf(&entry(kind, payload))).unwrap()
    }

    #[test]
    fn every_event_has_what_its_class_requires() {
        let run =
            json!({"request": {"argv": ["ls", "-l"], "host": "ops-1", "program": "/bin/ls", "program_sha256": "ab"}});
        for kind in EntryKind::ALL {
            for payload in [run.clone(), json!(null), json!("text"), json!({"intent": "x", "state": 3, "request": []})]
            {
                let event = event(kind, payload);
                let number = |name: &str| event[name].as_i64().unwrap_or_else(|| panic!("{name}: {event}"));
                assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
                assert_eq!(number("category_uid"), number("class_uid") / 1_000);
                assert_eq!(number("time"), 1_700_000_000_000);
                assert!((1..=6).contains(&number("severity_id")));
                assert!(
                    event["metadata"]["version"].is_string() && event["metadata"]["product"]["vendor_name"].is_string()
                );
                assert_eq!(event["actor"]["user"]["name"], "oncall-1");
                if number("class_uid") == 1007 {
                    assert!(event["device"]["type_id"].is_i64() && event["process"]["uid"].is_string(), "{event}");
                } else {
                    assert!(event["api"]["operation"].is_string() && event["src_endpoint"]["svc_name"].is_string());
                }
            }
        }
    }

    #[test]
    fn a_run_and_its_end_are_one_process() {
        let begin =
            event(EntryKind::RunIntent, json!({"request": {"argv": ["kubectl", "get", "pods"], "host": "ops-1"}}));
        assert_eq!(
            (&begin["process"]["uid"], &begin["process"]["cmd_line"]),
            (&json!("run-4"), &json!("kubectl get pods"))
        );
        assert_eq!(begin["device"]["hostname"], "ops-1");
        let end = event(EntryKind::RunOutcome, json!({"intent": 4, "state": {"state": "exited", "code": 1}}));
        assert_eq!(
            (&end["process"]["uid"], &end["exit_code"], &end["status_id"]),
            (&json!("run-4"), &json!(1), &json!(2))
        );
    }

    #[test]
    fn a_line_of_json_is_the_whole_entry() {
        let entry = entry(EntryKind::Note, json!({"text": "a\nb\u{1b}"}));
        let line = jsonl(&entry);
        assert!(!line.contains(['\n', '\u{1b}']));
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    }
}
