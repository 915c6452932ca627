#![allow(clippy::float_cmp, reason = "what was written must be read back exactly")]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::domain::query::{Data, Direction, Lang};

const MANIFEST: &str = r#"{"format":"stanch-bundle/1","name":"case","window":{"start":"2026-01-01T10:00:00Z","end":"2026-01-01T10:10:00Z"},"baseline":{"start":"2026-01-01T09:00:00Z","end":"2026-01-01T10:00:00Z"},"note":null}"#;

fn gz(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn logs_query(bundle: &Bundle) -> Query {
    Query::Logs { expr: r#"{app=~".+"}"#.into(), range: bundle.window(), limit: 100, direction: Direction::Forward }
}

fn lines(answer: &Answer) -> Vec<String> {
    let Data::Logs(entries) = &answer.data else { panic!("{answer:?}") };
    entries.iter().map(|entry| entry.line.to_string()).collect()
}

fn note_texts(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.text.as_str()).collect()
}

#[test]
fn a_directory_answers_as_the_servers_would() {
    let alerts = r#"[{"labels":{"alertname":"Slow","severity":"critical"},"annotations":{"summary":"s"},
        "startsAt":"2026-01-01T10:05:00Z","endsAt":"2026-01-01T10:09:00Z","updatedAt":"2026-01-01T10:05:00Z","fingerprint":"",
        "receivers":[{"name":"oncall"}],"status":{"state":"suppressed","silencedBy":["s1"],"inhibitedBy":[]},
        "generatorURL":"http://p/graph?g0.expr=rate%28a_total%5B1m%5D%29+%3E+1&g0.tab=1"}]"#;
    let metrics = "# TYPE a counter\na_total{app=\"x\"} 1 1767261600\na_total{app=\"x\"} 7 1767261660\n# EOF\n";
    let logs = "{\"ts\":\"1767261600000000001\",\"labels\":{\"app\":\"x\"},\"line\":\"one\"}\n{\"ts\":\"1767261660000000000\",\"labels\":{\"app\":\"x\"},\"line\":\"two\"}\n";
    let folder = folder(&[
        ("manifest.json", MANIFEST.as_bytes()),
        ("alerts.json.gz", &gz(alerts)),
        ("metrics.om.gz", &gz(metrics)),
        ("logs.ndjson", logs.as_bytes()),
        ("changes.json", br#"[{"at":"2026-01-01T09:59:00Z","kind":"deploy","service":null,"ref":"v1","summary":"s","author":null,"diff":null}]"#),
    ]);
    let bundle = Bundle::open(folder.path()).unwrap();
    assert_eq!(bundle.notes(), []);
    let Data::Alerts(alerts) = bundle.answer(&Query::Alerts).unwrap().data else { panic!() };
    assert_eq!(alerts[0].expression.as_deref(), Some("rate(a_total[1m]) > 1"));
    assert_eq!(alerts[0].suppressed_by, ["s1"]);
    assert_eq!(alerts[0].fingerprint.len(), 16);
    let Data::Metadata(metadata) = bundle.answer(&Query::Metadata).unwrap().data else { panic!() };
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["a", "a_total"]);
    assert_eq!(lines(&bundle.answer(&logs_query(&bundle)).unwrap()), ["one", "two"]);
    let instant = Query::Instant { lang: Lang::PromQl, expr: "a_total".into(), at: at("2026-01-01T10:01:30Z") };
    let Data::Series(series) = bundle.answer(&instant).unwrap().data else { panic!() };
    assert_eq!(series[0].samples[0].value, 7.0);
    let changes = Query::Changes { range: TimeRange::new(at("2026-01-01T09:00:00Z"), bundle.end()) };
    assert_eq!(bundle.answer(&changes).unwrap().len(), 1);
    for (lang, expected) in [(Lang::PromQl, vec!["__name__", "app"]), (Lang::LogQl, vec!["app"])] {
        let names = Query::LabelNames { lang, matchers: Vec::new(), range: bundle.window() };
        assert_eq!(bundle.answer(&names).unwrap().data, Data::Names(expected.into_iter().map(str::to_owned).collect()));
    }
    let error = bundle.answer(&Query::Silences).unwrap_err();
    assert_eq!(error.kind, crate::sources::SourceErrorKind::Unsupported);
}

#[test]
fn errors_name_the_file_and_say_what_to_do() {
    let open = |files: &[(&str, &[u8])]| Bundle::open(folder(files).path()).unwrap_err();
    let error = open(&[]);
    assert_eq!(error.file.as_deref(), Some("manifest.json"));
    assert!(error.what.contains("missing") && !error.advice.is_empty(), "{error}");
    let error = open(&[("manifest.json", br#"{"format":"stanch-bundle/9"}"#)]);
    assert!(error.what.contains("stanch-bundle/9"), "{error}");
    let error = open(&[("manifest.json", b"{\n\"format\": oops}")]);
    assert_eq!(error.line, Some(2), "{error}");
    let error = open(&[("manifest.json", MANIFEST.replace("2026-01-01T10:10:00Z", "yesterday").as_bytes())]);
    assert!(error.what.contains("window.end") && error.what.contains("yesterday"), "{error}");
    let whole = gz(MANIFEST);
    let error = open(&[("manifest.json.gz", &whole[..whole.len() - 12])]);
    assert!(error.what.contains("cut off"), "{error}");
    let error = Bundle::open("/nowhere/at/all").unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[test]
fn one_bad_log_line_costs_one_log_line() {
    let long =
        format!("{{\"ts\":\"1767261605000000000\",\"labels\":{{\"app\":\"x\"}},\"line\":\"{}\"}}", "x".repeat(3 << 20));
    let logs = format!(
        "{{\"ts\":\"1767261620000000000\",\"labels\":{{\"app\":\"x\"}},\"line\":\"late\"}}\nnot json\n\n\
         {{\"ts\":\"soon\",\"labels\":{{}},\"line\":\"x\"}}\n{long}\n\
         {{\"ts\":1767261610000000000,\"labels\":{{\"app\":\"x\"}},\"line\":\"a\\u001b[2Jb\"}}"
    );
    let folder = folder(&[("manifest.json", MANIFEST.as_bytes()), ("logs.ndjson", logs.as_bytes())]);
    let limits = Limits { line_bytes: 1 << 20, ..Limits::default() };
    let bundle = Bundle::open_within(folder.path(), limits).unwrap();
    let answer = bundle.answer(&logs_query(&bundle)).unwrap();
    assert_eq!(lines(&answer), ["a‹U+001B›[2Jb", "late"]);
    let notes = bundle.notes();
    let texts = note_texts(&notes);
    assert!(
        texts.iter().any(|text| text.contains("3 lines could not be read") && text.contains("line 2")),
        "{texts:?}"
    );
    assert!(texts.iter().any(|text| text.contains("not sorted")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("no metrics.om")), "{texts:?}");
}

#[test]
fn what_was_read_before_a_truncation_is_used_and_said() {
    let mut logs = String::new();
    for second in 0..2000 {
        use std::fmt::Write as _;
        // Numbers that do not compress well, so that much comes out before the cut.
        let noise = u64::wrapping_mul(second, 0x9e37_79b9_7f4a_7c15);
        let _ = writeln!(
            logs,
            "{{\"ts\":\"{}\",\"labels\":{{\"app\":\"x\"}},\"line\":\"{noise}\"}}",
            1_767_261_600_000_000_000 + second
        );
    }
    let whole = gz(&logs);
    let folder = folder(&[("manifest.json", MANIFEST.as_bytes()), ("logs.ndjson.gz", &whole[..whole.len() / 2])]);
    let bundle = Bundle::open(folder.path()).unwrap();
    let answer = bundle
        .answer(&Query::Logs {
            limit: 5000,
            expr: r#"{app="x"}"#.into(),
            range: bundle.window(),
            direction: Direction::Forward,
        })
        .unwrap();
    assert!(answer.len() > 100 && answer.len() < 2000, "{}", answer.len());
    assert!(answer.is_cut());
}

#[test]
fn a_file_that_expands_without_end_is_bounded() {
    let zeros = gz(&"a 1 1\n".repeat(2_000_000));
    let folder = folder(&[
        ("manifest.json", MANIFEST.as_bytes()),
        ("metrics.om.gz", &zeros),
        ("alerts.json.gz", &gz(&" ".repeat(3 << 20))),
    ]);
    let limits = Limits { expanded_bytes: 4 << 20, document_bytes: 1 << 20, ..Limits::default() };
    let bundle = Bundle::open_within(folder.path(), limits).unwrap();
    let answer = bundle.answer(&Query::Metadata).unwrap();
    assert!(answer.is_cut(), "{answer:?}");
    let error = bundle.answer(&Query::Alerts).unwrap_err();
    assert!(error.what.contains("larger than"), "{error}");
}

fn tar_of(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // The header is written by hand, because the builder rightly refuses such names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn archives_are_read_and_dangerous_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = tar::EntryType::Regular;
    let good = tar_of(&[("case/manifest.json", file, MANIFEST.as_bytes()), ("case/other.bin", file, b"x")]);
    let path = folder.path().join("case.tar.zst");
    std::fs::write(&path, zstd::encode_all(good.as_slice(), 1).unwrap()).unwrap();
    assert_eq!(Bundle::open(&path).unwrap().manifest().name, "case");
    let path = folder.path().join("case.tar.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&good).unwrap();
    std::fs::write(&path, encoder.finish().unwrap()).unwrap();
    assert_eq!(Bundle::open(&path).unwrap().manifest().name, "case");

    for (entries, why) in [
        (vec![("../manifest.json", file, MANIFEST.as_bytes())], "leaves the archive"),
        (vec![("/etc/manifest.json", file, MANIFEST.as_bytes())], "leaves the archive"),
        (vec![("manifest.json", tar::EntryType::Symlink, &b""[..])], "is a link"),
        (vec![("manifest.json", file, MANIFEST.as_bytes()), ("a/manifest.json", file, MANIFEST.as_bytes())], "twice"),
    ] {
        let path = folder.path().join("bad.tar");
        std::fs::write(&path, tar_of(&entries)).unwrap();
        let error = Bundle::open(&path).unwrap_err();
        assert!(error.what.contains(why), "{error}");
    }
    let path = folder.path().join("bomb.tar.zst");
    let bomb = tar_of(&[("manifest.json", file, &vec![b' '; 8 << 20])]);
    std::fs::write(&path, zstd::encode_all(bomb.as_slice(), 1).unwrap()).unwrap();
    let limits = Limits { expanded_bytes: 1 << 20, ..Limits::default() };
    let error = Bundle::open_within(&path, limits).unwrap_err();
    assert!(error.what.contains("expands"), "{error}");
    let path = folder.path().join("text.tar.zst");
    std::fs::write(&path, "this is not an archive, and it is shorter than a block").unwrap();
    assert!(Bundle::open(&path).is_err());
}

#[test]
fn a_recorded_answer_comes_back_exactly() {
    let query = Query::Instant { lang: Lang::PromQl, expr: "anything{".into(), at: at("2026-01-01T10:00:00Z") };
    let answer = Answer {
        data: Data::Series(vec![Series {
            labels: [("a", "b")].into_iter().collect(),
            samples: vec![crate::domain::metric::Sample { at: at("2026-01-01T10:00:00Z"), value: 0.1 + 0.2 }],
        }]),
        notes: vec![Note { kind: NoteKind::Warning, text: "w".into() }],
    };
    let line = serde_json::json!({"query": query, "answer": answer}).to_string();
    let folder =
        folder(&[("manifest.json", MANIFEST.as_bytes()), ("queries.ndjson", format!("{line}\noops\n").as_bytes())]);
    let bundle = Bundle::open(folder.path()).unwrap();
    let again = bundle.answer(&query).unwrap();
    assert_eq!(again, answer);
    assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&answer).unwrap());
    assert!(bundle.notes().iter().any(|note| note.text.contains("1 recorded answers could not be read")));
}

#[tokio::test]
async fn it_is_asked_like_any_source() {
    use crate::sources::Telemetry as _;
    let folder = folder(&[("manifest.json", MANIFEST.as_bytes())]);
    let bundle = Bundle::open(folder.path()).unwrap();
    assert!(bundle.ask(&Query::Alerts).await.unwrap().is_empty());
    assert_eq!(bundle.present(), Some(bundle.window().end));
    let wrong = Query::Instant { lang: Lang::PromQl, expr: "holt_winters(a[5m], 0.5, 0.5)".into(), at: bundle.end() };
    let error = bundle.ask(&wrong).await.unwrap_err();
    assert_eq!(error.kind, crate::sources::SourceErrorKind::BadQuestion);
}
