//! Names of machines and identities that a receiver of redacted text need not know: hosts, pods, nodes, ids in paths.
//! Names of services, metrics and labels stay: without them nothing can be diagnosed.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::Found;
use super::values::{is_benign, is_uuid};

fn regex(source: &str) -> Regex {
    Regex::new(source).expect("a constant expression")
}

/// A pod of a deployment or a job: Kubernetes draws suffixes from an alphabet without vowels.
static POD: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?P<of>[a-z0-9](?:[a-z0-9-]{0,80}[a-z0-9])?)(?P<s>-[bcdfghjklmnpqrstvwxz2456789]{5,10}-[bcdfghjklmnpqrstvwxz2456789]{5})\b",
    )
});
/// `ip-10-2-3-4`, and machines as clouds name them.
static NODE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?P<s>ip-\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}(?:\.[a-z0-9.-]{2,80})?|(?:gke|aks|eks|ocp|k3s|worker|node|vm|host|srv|server|i)-[a-z0-9-]{0,60}\d[a-z0-9-]{0,60})\b",
    )
});
/// Host and port of an address with a scheme.
static URL: LazyLock<Regex> = LazyLock::new(|| {
    regex(r#"\b[a-z][a-z0-9+.-]{1,20}://(?:[^\s/@"'<>‹]{0,100}@)?(?P<s>[A-Za-z0-9][A-Za-z0-9.-]{0,200})"#)
});
/// Domain names by their last part; endings that files have as well are left out.
static DOMAIN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:^|[^\w./@-])(?P<s>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:com|net|org|io|internal|local|svc|lan|corp|example|dev|cloud|app|test|intra|home|eu|de|uk|fr|nl|es|it|ch|at|be|us|ca|jp|cn|in|br|ru|au|se|no|fi|dk|localdomain|consul|mesh))(?:$|[^\w-]|\.(?:$|\s))",
    )
});
/// Labels and fields that name a machine.
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?i)\b(?P<name>instance|pod(?:_?name)?|node(?:_?name)?|host(?:_?name)?|kubernetes_(?:node|pod_name|host)|machine|server_?name|vm|container_?id|pod_?ip|host_?ip|remote_?addr|client_?ip|peer|endpoint|device|uid)(?:\\*["'])?\s{0,1}(?:=~?|:)\s{0,1}\\*["']?(?P<s>[^\s"'<>,;&|)}\]\\{(\[‹]{2,120})"#,
    )
});
/// Fields that identify a person, an order, a session.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?i)(?P<name>\b[a-z][a-z0-9]{0,20}[_.-]?(?:id|guid|uuid|ref|no|number))(?:\\*["'])?\s{0,1}[:=]\s{0,1}\\*["']?(?P<s>[A-Za-z0-9][A-Za-z0-9_.:-]{2,120})"#,
    )
});
/// Identifiers by their form: UUIDs, and trace and span ids.
static FORM: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:^|[^\w-])(?P<s>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{24}|[0-9a-f]{16})(?:$|[^\w-])",
    )
});
/// A part of a path behind a slash.
static PATH: LazyLock<Regex> = LazyLock::new(|| regex(r"/(?P<s>[A-Za-z0-9@%._~+-]{2,120})"));

/// Adds names. `keep` holds what is known to be no identity: services, metrics.
pub(super) fn find(text: &str, keep: &BTreeSet<String>, found: &mut Vec<Found>) {
    let mut add = |start: usize, end: usize, kind: &'static str, order: usize| {
        let value = &text[start..end];
        if !keep.contains(value) && !is_benign(value) {
            found.push(Found { start, end, kind, order: 30_000 + order });
        }
    };
    for groups in POD.captures_iter(text) {
        let (Some(of), Some(suffix)) = (groups.name("of"), groups.name("s")) else { continue };
        if !suffix.as_str().bytes().any(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let start = if keep.contains(of.as_str()) { suffix.start() + 1 } else { of.start() };
        add(start, suffix.end(), "name:pod", 0);
    }
    for name in NODE.captures_iter(text).filter_map(|groups| groups.name("s")) {
        add(name.start(), name.end(), "name:host", 1);
    }
    for shape in [&URL, &DOMAIN] {
        for name in shape.captures_iter(text).filter_map(|groups| groups.name("s")) {
            let host = name.as_str();
            let first = host.split('.').next().unwrap_or_default();
            let inside = host.contains(".svc") || host.rsplit('.').next() == Some("local") || !host.contains('.');
            let loopback = matches!(host, "localhost" | "127.0.0.1");
            if !(loopback || keep.contains(first) && inside) {
                add(name.start(), name.end(), "name:host", 2);
            }
        }
    }
    for groups in LABEL.captures_iter(text) {
        if let (Some(name), Some(value)) = (groups.name("name"), groups.name("s")) {
            let kind = if name.as_str().to_ascii_lowercase().contains("pod") { "name:pod" } else { "name:host" };
            let told = value.as_str();
            // `pod=…-abc12`: what is left of a name that was shortened.
            if told.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')) {
                add(value.start(), value.end(), kind, 3);
            }
        }
    }
    for groups in ID.captures_iter(text) {
        if let (Some(name), Some(value)) = (groups.name("name"), groups.name("s")) {
            let digit = value.as_str().bytes().any(|byte| byte.is_ascii_digit());
            let port = name.as_str().eq_ignore_ascii_case("pid") || name.as_str().eq_ignore_ascii_case("no");
            let named = name.as_str().to_ascii_lowercase();
            // `grid=`, `valid=`: words that end so by chance.
            let id = named.strip_suffix("id").is_some_and(|stem| stem.ends_with(['_', '-', '.']))
                || name.as_str().ends_with("Id")
                || name.as_str().ends_with("ID")
                || matches!(named.as_str(), "uid" | "userid" | "guid" | "uuid" | "traceid" | "spanid")
                || (named.ends_with("number") || named.ends_with("_ref") || named.ends_with("_no"))
                    && !named.starts_with("line");
            if digit && id && !port {
                add(value.start(), value.end(), "name:id", 4);
            }
        }
    }
    for groups in FORM.captures_iter(text) {
        if let Some(value) = groups.name("s") {
            add(value.start(), value.end(), "name:id", 5);
        }
    }
    for part in PATH.captures_iter(text).filter_map(|groups| groups.name("s")) {
        let told = part.as_str();
        let count = told.bytes().filter(u8::is_ascii_digit).count();
        let version = told.starts_with('v') && told.len() <= 8;
        // A rate (`/s`, `/60`), a version, a file with an ending are no identities.
        // The second time of a range `START/END`.
        let date = told.len() >= 10 && told.bytes().take(4).all(|byte| byte.is_ascii_digit()) && &told[4..=4] == "-";
        if !version && !date && !told.contains('.') && (count >= 3 || is_uuid(told)) {
            add(part.start(), part.end(), "name:id", 6);
        }
    }
}

/// What varies in a line, by its template: the parts that `<*>` stands for. Numbers with few digits stay, because
/// durations, counts and codes are what a diagnosis is made of.
pub(super) fn variables(template: &str, line: &str, keep: &BTreeSet<String>) -> Vec<Found> {
    let words: Vec<&str> = template.split_whitespace().collect();
    // The template is sent as it is: hiding a word of it elsewhere in the line hides nothing, and costs the sense.
    let clear: BTreeSet<&str> = words
        .iter()
        .flat_map(|word| word.split("<*>"))
        .flat_map(|text| pieces(text).into_iter().map(|(_, piece)| piece))
        .collect();
    let mut found = Vec::new();
    let mut at = 0;
    let mut place = 0;
    for word in line.split_whitespace() {
        let start = at + line[at..].find(word).unwrap_or(0);
        at = start + word.len();
        // The template's next word that is this one, within reach.
        let literal = words[place.min(words.len())..].iter().take(4).position(|other| *other == word);
        if let Some(ahead) = literal {
            place += ahead + 1;
            continue;
        }
        let shape = words.get(place).copied().unwrap_or("<*>");
        place += 1;
        let (mut from, mut to) = (start, at);
        if let Some((head, tail)) = shape.split_once("<*>") {
            let tail = tail.rsplit("<*>").next().unwrap_or_default();
            if word.len() >= head.len() + tail.len() && word.starts_with(head) && word.ends_with(tail) {
                from += head.len();
                to -= tail.len();
            }
        }
        for (offset, piece) in pieces(&line[from..to]) {
            if !stays(piece, keep) && !clear.contains(piece) {
                let start = from + offset;
                found.push(Found { start, end: start + piece.len(), kind: "name:value", order: 40_000 });
            }
        }
    }
    found
}

/// The values in a word: what stands between signs of structure, the part behind `=` or `:` where there is one.
fn pieces(word: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut start = 0;
    for (at, c) in word.char_indices().chain([(word.len(), ' ')]) {
        if matches!(
            c,
            ' ' | '"' | '\'' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '=' | ':' | '&' | '?' | '|'
        ) {
            let named = c == '=' || c == ':' && word[start..at].chars().all(|c| c.is_alphabetic() || c == '_');
            if start < at && !named {
                out.push((start, &word[start..at]));
            }
            start = at + c.len_utf8();
        }
    }
    out
}

/// What may stay of a varying part: figures, levels, versions, known names, words of small length.
fn stays(piece: &str, keep: &BTreeSet<String>) -> bool {
    static FIGURE: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^[-+]?(?:\d{1,4}(?:\.\d+)?|\d{1,7}(?:\.\d+)?\s?(?:[munµ]?s|m|h|d|%|[kKMGT]i?B?|B|rps|x))(?:/[a-z]{1,4})?$|^v?\d{1,3}(?:\.\d{1,5}){1,3}(?:-[a-z0-9.]{1,12})?$|^\d{1,4}(?:[-:/.T]\d{1,2}){1,5}(?:[.,]\d{1,9})?Z?$",
        )
    });
    piece.len() < 2
        || piece.contains('‹')
        || keep.contains(piece)
        || FIGURE.is_match(piece)
        || matches!(
            piece.to_ascii_lowercase().as_str(),
            "true"
                | "false"
                | "null"
                | "none"
                | "ok"
                | "error"
                | "warn"
                | "info"
                | "debug"
                | "fatal"
                | "get"
                | "post"
                | "put"
                | "patch"
                | "delete"
                | "head"
                | "options"
                | "http"
                | "https"
                | "grpc"
                | "tcp"
                | "udp"
                | "utc"
        )
        || piece.bytes().all(|byte| byte.is_ascii_punctuation())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden<'t>(text: &'t str, keep: &[&str]) -> Vec<(&'static str, &'t str)> {
        let keep = keep.iter().map(|name| (*name).to_owned()).collect();
        let mut found = Vec::new();
        find(text, &keep, &mut found);
        found.sort_by_key(|one| (one.start, one.order));
        found.iter().map(|one| (one.kind, &text[one.start..one.end])).collect()
    }

    #[test]
    fn machines_and_identities_are_found() {
        assert_eq!(hidden("pod payments-5c66d57d58-6mp2b", &["payments"]), [("name:pod", "5c66d57d58-6mp2b")]);
        assert_eq!(hidden("on acme-5c66d57d58-6mp2b", &[]), [("name:pod", "acme-5c66d57d58-6mp2b")]);
        assert!(hidden("{instance=web1.corp:9100}", &[]).contains(&("name:host", "web1.corp:9100")));
        assert_eq!(hidden("GET /users/8123/orders", &[]), [("name:id", "8123")]);
        assert_eq!(hidden("customer_id=C-991", &[]), [("name:id", "C-991")]);
        assert_eq!(hidden("dial db.acme.com: timeout", &[]), [("name:host", "db.acme.com")]);
    }

    #[test]
    fn what_a_diagnosis_needs_stays() {
        for text in [
            "payments p99 5.2 s, 31 % errors, v2.41, /api/v1/orders",
            "http://payments.shop.svc:8080/pay",
            "http_requests_total{code=503}",
            "main.go:120 com.acme.pay.Service values.yaml",
            "valid=1234 pid=4711",
            "http://localhost:9090/",
            "commit 0fa0f1195bb6c21bf070fd4be964b0eb75384484",
        ] {
            assert_eq!(hidden(text, &["payments"]), [], "{text}");
        }
    }

    #[test]
    fn of_a_line_the_varying_parts_are_found() {
        let keep = ["payments".to_owned()].into();
        let line = "charge of acme-corp by payments took 512ms attempt=3 key=Zx91";
        let found = variables("charge of <*> by <*> took <*> attempt=<*> key=<*>", line, &keep);
        let values: Vec<&str> = found.iter().map(|one| &line[one.start..one.end]).collect();
        assert_eq!(values, ["acme-corp", "Zx91"]);
    }

    #[test]
    fn words_that_stand_in_the_template_stay_in_the_line() {
        let template = r#"{"level":"<*>","msg":"charge of <*> failed: card declined","code":<*>}"#;
        let line = r#"{"level":"error","msg":"charge of acme corp ltd failed: card declined","code":51}"#;
        let found = variables(template, line, &BTreeSet::new());
        let values: Vec<&str> = found.iter().map(|one| &line[one.start..one.end]).collect();
        assert_eq!(values, ["acme", "corp", "ltd"]);
        // A template that is shorter than its line gives no word away.
        let found = variables("user <*> logged in", "user alice of tenant blue logged in", &BTreeSet::new());
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
