use proptest::prelude::*;

use super::*;
use crate::domain::Text;
use crate::domain::metric::Series;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

/// `(second, app, level, line)`.
fn logs(rows: &[(i64, &str, &str, &str)]) -> Vec<LogEntry> {
    rows.iter()
        .map(|&(secs, app, level, line)| LogEntry {
            at: at(secs),
            labels: Arc::new([("app", app), ("level", level)].into_iter().collect()),
            line: Text::new(line),
            metadata: [("trace_id", "t1")].into_iter().collect(),
        })
        .collect()
}

fn shop() -> Vec<LogEntry> {
    logs(&[
        (0, "web", "info", "GET /a 200 12ms"),
        (10, "web", "error", "GET /b 500 1.5s"),
        (20, "pay", "info", "level=info msg=\"paid twice\" took=250ms size=2KB code=200"),
        (30, "pay", "error", "level=error msg=timeout took=3s size=1MiB code=503"),
        (40, "json", "info", r#"{"msg":"hello","http":{"status":200,"path":"/x"},"tags":["a"],"took":7}"#),
        (50, "json", "info", "not json at all"),
        (60, "web", "info", "GET /a 200 30ms"),
    ])
}

fn all() -> TimeRange {
    TimeRange::new(at(0), at(1000))
}

/// The seconds of the entries found.
fn found(expr: &str) -> Vec<i64> {
    let found =
        entries(&shop(), expr, all(), 100, Direction::Forward).unwrap_or_else(|error| panic!("{expr}: {error}"));
    found.entries.iter().map(|entry| entry.at.secs() - at(0).secs()).collect()
}

#[test]
fn selectors_and_filters_choose_entries() {
    for (expr, expected) in [
        (r#"{app="web"}"#, vec![0, 10, 60]),
        (r#"{app=~"web|pay", level!="error"}"#, vec![0, 20, 60]),
        (r#"{app!~"web|pay", app!=""}"#, vec![40, 50]),
        (r#"{app="web"} |= "GET /a""#, vec![0, 60]),
        (r#"{app=~".+"} |= "500" or "503""#, vec![10, 30]),
        (r#"{app="web"} != "500" |~ `\d+ms`"#, vec![0, 60]),
        (r#"{app="web"} !~ "/a|/c""#, vec![10]),
        (r#"{app="web"} | level="error""#, vec![10]),
        (r#"{app="web"} | trace_id="t1" | level=~"err.*""#, vec![10]),
        (r#"{app="pay"} | logfmt | code >= 500"#, vec![30]),
        (r#"{app="pay"} | logfmt | took > 1s or size < 3KB"#, vec![20, 30]),
        (r#"{app="pay"} | logfmt | took > 1s and size < 3KB"#, vec![]),
        (r#"{app="pay"} | logfmt | (took > 1s, size > 3KB) or msg="paid twice""#, vec![20, 30]),
        (r#"{app="pay"} | logfmt --strict m="msg" | m="timeout""#, vec![30]),
        (r#"{app="json"} | json | http_status=200"#, vec![40]),
        (r#"{app="json"} | json s="http.status", t="tags[0]" | s="200" | t="a""#, vec![40]),
        (r#"{app="json"} | json | __error__="""#, vec![40]),
        (r#"{app="web"} | pattern "<method> <path> <code> <took>" | code="500""#, vec![10]),
        (r#"{app="web"} | regexp "(?P<path>/[a-z])" | path="/a""#, vec![0, 60]),
        (r#"{app="web"} | drop level | level="""#, vec![0, 10, 60]),
    ] {
        assert_eq!(found(expr), expected, "{expr}");
    }
}

#[test]
fn fields_are_added_beside_the_labels_of_the_stream() {
    let answer = entries(&shop(), r#"{app="pay"} | logfmt"#, all(), 1, Direction::Forward).unwrap();
    assert!(answer.more);
    let metadata = &answer.entries[0].metadata;
    assert_eq!(metadata.get("msg"), Some("paid twice"));
    assert_eq!(metadata.get("level_extracted"), Some("info"), "a label of the stream is not replaced");
    assert_eq!(metadata.get("trace_id"), Some("t1"));
}

#[test]
fn a_limit_keeps_the_end_that_was_asked_for() {
    let newest = entries(&shop(), r#"{app="web"}"#, all(), 2, Direction::Backward).unwrap();
    assert_eq!(newest.entries.iter().map(|entry| entry.at).collect::<Vec<_>>(), [at(10), at(60)]);
    assert!(newest.more);
    let whole = entries(&shop(), r#"{app="web"}"#, TimeRange::new(at(0), at(60)), 9, Direction::Backward).unwrap();
    assert_eq!(whole.entries.len(), 2, "the end of a range is outside");
    assert!(!whole.more);
}

/// `labels=value` of an instant answer.
fn values(expr: &str, secs: i64) -> Vec<String> {
    match instant(&shop(), expr, at(secs)).unwrap_or_else(|error| panic!("{expr}: {error}")) {
        Data::Series(series) => series.iter().map(|one| format!("{}={}", one.labels, one.samples[0].value)).collect(),
        Data::Scalar(sample) => vec![sample.value.to_string()],
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_become_numbers() {
    for (expr, expected) in [
        (
            r#"sum by (app) (count_over_time({app=~".+"}[71s]))"#,
            vec![r#"{app="json"}=2"#, r#"{app="pay"}=2"#, r#"{app="web"}=3"#],
        ),
        (r#"sum(rate({app="web"}[1m] |= "GET"))"#, vec!["{}=0.016666666666666666"]),
        (r#"sum(bytes_over_time({app="web"} |= "/b" [2m]))"#, vec!["{}=15"]),
        (r#"sum(bytes_rate({app="web"} |= "/b" [30s] offset 50s))"#, vec!["{}=0.5"]),
        (r#"topk(1, sum by (app) (count_over_time({app=~".+"}[71s])))"#, vec![r#"{app="web"}=3"#]),
        (
            r#"sum by (code) (count_over_time({app="pay"} | logfmt [2m])) > 0"#,
            vec![r#"{code="200"}=1"#, r#"{code="503"}=1"#],
        ),
        (r#"sum(count_over_time({level="error"}[2m])) / sum(count_over_time({app=~".+"}[2m])) * 7"#, vec!["{}=2"]),
        (r#"max_over_time({app="pay"} | logfmt | unwrap duration(took) [2m]) by (app)"#, vec![r#"{app="pay"}=3"#]),
        (
            r#"quantile_over_time(0.5, {app="pay"} | logfmt | unwrap bytes(size) [2m]) by (app)"#,
            vec![r#"{app="pay"}=525288"#],
        ),
        (r#"absent_over_time({app="nobody"}[5m])"#, vec!["{}=1"]),
        (
            r#"label_replace(sum(count_over_time({app="web"} |= "{not a selector}" [5m])) or vector(0), "a", "b", "", "")"#,
            vec![r#"{a="b"}=0"#],
        ),
    ] {
        assert_eq!(values(expr, 70), expected, "{expr}");
    }
}

#[test]
fn a_window_is_open_to_the_left() {
    assert_eq!(values(r#"sum(count_over_time({app="web"}[10s]))"#, 10), ["{}=1"]);
    assert_eq!(values(r#"sum(count_over_time({app="web"}[11s]))"#, 10), ["{}=2"]);
}

#[test]
fn a_metric_query_over_time_has_points_only_where_there_are_lines() {
    let step = Duration::from_secs(10);
    let data =
        range(&shop(), r#"sum(count_over_time({app="web"}[10s]))"#, TimeRange::new(at(0), at(60)), step).unwrap();
    let Data::Series(series) = data else { panic!() };
    let Series { samples, .. } = &series[0];
    assert_eq!(samples.iter().map(|sample| sample.at).collect::<Vec<_>>(), [at(0), at(10), at(60)]);
}

#[test]
fn volume_counts_bytes_by_the_labels_asked_for() {
    let volumes = volume(&shop(), r#"{app=~"web|pay"}"#, all()).unwrap();
    let shown: Vec<String> = volumes.iter().map(|(labels, bytes)| format!("{labels}={bytes}")).collect();
    assert_eq!(shown, [r#"{app="pay"}=106"#, r#"{app="web"}=45"#]);
}

#[test]
fn what_is_not_supported_or_wrong_is_said() {
    for (expr, says) in [
        (r#"{app="web"} | line_format "{{.x}}""#, "| line_format is not supported on replay"),
        (r#"{app="web"} |> "<_> x""#, "not supported"),
        (r#"{app="web"} |= ip("10.0.0.0/8")"#, "not supported"),
        (r#"{app=~".*"}"#, "at least one"),
        (r#"{app="web""#, "the end found"),
        (r#"{app="web"} |= "a" oops"#, "`oops` found at character 20"),
        (r#"{app="web"} |~ "(""#, "not a regular expression"),
        ("app", "begins with a stream selector"),
        (r#"{app="web"} |= "x"#, "has no end"),
        (r#"{app="web"}[5m]"#, "the end of the log query expected"),
    ] {
        let error = entries(&shop(), expr, all(), 9, Direction::Forward).unwrap_err().to_string();
        assert!(error.contains(says), "{expr}: {error}");
    }
    for (expr, says) in [
        (r#"{app="web"}"#, "wrap it in a function"),
        (r#"rate({app="web"})"#, "a range such as [5m]"),
        (r#"sum_over_time({app="web"}[5m])"#, "unwrap"),
        (r#"stddev_over_time({app="web"}[5m])"#, "not supported"),
        (r#"sum(count_over_time({app="json"} | json [5m]))"#, "__error__"),
        (r#"sum(rate({app="web"}[5m])"#, "does not parse"),
        (r#"max_over_time(rate({app="web"}[1m])[5m:1m])"#, "does not parse"),
    ] {
        let error = instant(&shop(), expr, at(60)).unwrap_err().to_string();
        assert!(error.contains(says), "{expr}: {error}");
    }
}

proptest! {
    #[test]
    fn no_expression_makes_it_panic(
        words in proptest::collection::vec(prop_oneof![
            Just("{app=\"web\"}"), Just("|="), Just("| json"), Just("| logfmt"), Just("\"x\""), Just("[5m]"), Just("("),
            Just(")"), Just("rate"), Just("sum by (app)"), Just("|"), Just("level"), Just("="), Just(">"), Just("5ms"),
            Just("or"), Just("{"), Just("}"), Just("é"), Just("`"), Just("unwrap"), Just("offset"), Just("-")
        ], 0..12)
    ) {
        let expr = words.join(" ");
        let _ = entries(&shop(), &expr, all(), 9, Direction::Forward);
        let _ = instant(&shop(), &expr, at(60));
    }

    #[test]
    fn no_line_makes_a_parser_panic(line in "(\\PC|[=\"\\\\{}:,\\[\\]]){0,60}") {
        let logs = logs(&[(0, "a", "b", &line)]);
        for stage in ["json", "logfmt", "pattern \"<a> <b>=<c>\"", "regexp \"(?P<a>.)(?P<b>.*)\"", "json a=\"b[0].c\""] {
            let expr = format!("{{app=\"a\"}} | {stage}");
            prop_assert_eq!(entries(&logs, &expr, all(), 9, Direction::Forward).unwrap().entries.len(), 1);
        }
    }
}
