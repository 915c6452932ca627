//! What tables cannot say: rules of single programs.

use super::table::Parsed;
use super::{Effect, Understood, http, scripts, secrets, statements};
use crate::gate::taint::Inventory;

/// Lets the program's own rules look at what its table said. They only ever make it stricter.
pub(super) fn look(understood: &mut Understood, argv: &[String], parsed: &Parsed<'_>, inventory: &Inventory) {
    match understood.program.as_str() {
        "kubectl" => kubectl(understood, parsed),
        "amtool" | "promtool" | "logcli" => monitoring(understood, argv, parsed, inventory),
        "aws" | "gcloud" | "az" => cloud(understood, argv),
        "git" => git(understood, parsed),
        "curl" => http::curl(understood, parsed),
        "wget" => http::wget(understood, parsed),
        "psql" => statements::psql(understood, parsed),
        "mysql" | "mariadb" => statements::mysql(understood, parsed),
        "sed" => scripts::sed(understood, parsed),
        "awk" | "gawk" | "mawk" => scripts::awk(understood, parsed),
        "jq" => scripts::jq(understood, parsed),
        "ps" => {
            // BSD style: an `e` among the letters prints environments; so does nothing else.
            let letters = parsed.operands.first().filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic()));
            understood.reads_secrets |= letters.is_some_and(|letters| letters.contains('e'));
        }
        "rpm" if !parsed.has("-q") => understood.raise(Effect::Opaque, "only queries are understood"),
        "nc" | "ncat" | "netcat" if !parsed.has("-z") => {
            understood.raise(Effect::Opaque, "opens a connection and talks");
        }
        "iptables" | "ip6tables" if !parsed.has("-L") && !parsed.has("-S") => {
            understood.raise(Effect::Opaque, "only lists are understood");
        }
        "sysctl" if parsed.operands.iter().any(|operand| operand.contains('=')) => {
            understood.raise(Effect::Mutate, "sets a kernel parameter");
        }
        "service" => service(understood, parsed),
        _ => {}
    }
}

fn service(understood: &mut Understood, parsed: &Parsed<'_>) {
    match parsed.operands.get(1).map(String::as_str) {
        None if parsed.has("--status-all") => {}
        Some("status") if parsed.operands.len() == 2 => {}
        Some("start" | "stop" | "restart" | "reload") if parsed.operands.len() == 2 => {
            understood.raise(Effect::Mutate, "changes a service");
        }
        _ => understood.raise(Effect::Opaque, "the service's own script decides what this does"),
    }
}

fn monitoring(understood: &mut Understood, argv: &[String], parsed: &Parsed<'_>, inventory: &Inventory) {
    // Kingpin replaces `@file` by the arguments in that file.
    if argv.iter().skip(1).any(|word| word.starts_with('@')) {
        understood.raise(Effect::Opaque, "takes arguments from a file");
    }
    if understood.program == "promtool"
        && understood.verb.starts_with("query")
        && let Some(server) = parsed.operands.first().filter(|_| understood.verb != "query analyze")
    {
        endpoint(understood, server, inventory);
    }
    if understood.verb == "silence add" {
        let wide = |matcher: &String| {
            let value =
                matcher.split_once('=').map_or("", |(_, value)| value).trim_start_matches('~').trim_matches('"');
            matches!(value, "" | ".*" | ".+" | "^.*$" | "^.+$" | ".*.*" | "(.*)" | "(.+)")
        };
        if parsed.operands.iter().all(wide) {
            understood.raise(Effect::Destroy, "silences every alert");
        }
    }
}

fn cloud(understood: &mut Understood, argv: &[String]) {
    if argv.iter().skip(1).any(|word| word.contains("file://") || word.contains("fileb://") || word.starts_with('@')) {
        understood.reads_secrets = true;
        understood.raise(Effect::Opaque, "sends the content of a file");
    }
}

fn git(understood: &mut Understood, parsed: &Parsed<'_>) {
    if parsed.operands.iter().any(|operand| operand.contains("::")) {
        understood.raise(Effect::Opaque, "a remote helper is a program");
    }
    if understood.verb == "config" {
        let reads = ["--get", "--get-all", "--get-regexp", "--list", "-l"].iter().any(|flag| parsed.has(flag));
        if reads {
            understood.reads_secrets = true;
        } else {
            understood.raise(Effect::Opaque, "settings can name programs to run");
        }
    }
    if matches!(understood.verb.as_str(), "push")
        && parsed.operands.iter().any(|operand| operand.starts_with('+') || operand.starts_with(':'))
    {
        understood.raise(Effect::Destroy, "overwrites or removes on the remote");
    }
}

fn kubectl(understood: &mut Understood, parsed: &Parsed<'_>) {
    let takes_resources = understood.verb.split(' ').next().is_some_and(|verb| {
        matches!(verb, "get" | "describe" | "edit" | "patch" | "label" | "annotate" | "create" | "delete" | "diff")
    });
    if takes_resources {
        understood.reads_secrets |= parsed.operands.iter().any(|operand| secrets::resource(operand));
    }
    understood.reads_secrets |= parsed.values("--raw").any(|path| path.to_ascii_lowercase().contains("secret"));
    if understood.effect > Effect::Read && parsed.has("--force") {
        understood.note("forced");
    }
    if understood.verb == "scale" && parsed.values("--replicas").any(|count| count == "0") {
        understood.raise(Effect::Destroy, "scales to zero: nothing of it runs any more");
    }
    if parsed.operands.iter().any(|operand| operand.to_ascii_lowercase().starts_with("namespace") || operand == "ns")
        && understood.effect == Effect::Destroy
    {
        understood.note("a namespace with everything in it");
    }
}

/// An end point given on the command line: harmless within the house (by its name, or because it is known), opaque when it points elsewhere, because the
/// question and the credentials with it go there.
pub(super) fn endpoint(understood: &mut Understood, url: &str, inventory: &Inventory) {
    for url in url.split(',') {
        let host = host(url);
        understood.note(format!("asks {host}"));
        if !near(host) && !inventory.knows(host) {
            understood.raise(Effect::Opaque, "redirects the end point to another house");
        }
    }
}

/// Host of a URL or of `host:port`.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether a host lies within the house by its name or address alone: loopback, private, a single label, or a
/// domain that cannot be registered.
fn near(host: &str) -> bool {
    if let Ok(address) = host.parse::<core::net::IpAddr>() {
        return match address {
            core::net::IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
            core::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
        };
    }
    let host = host.to_ascii_lowercase();
    let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    // A single label must hold a letter: `2130706433` is an address in disguise.
    named
        && ((!host.contains('.') && host.bytes().any(|b| b.is_ascii_alphabetic()) && !host.starts_with("0x"))
            || [".svc", ".svc.cluster.local", ".internal", ".local", ".lan", ".localhost", ".home.arpa"]
                .iter()
                .any(|domain| host.ends_with(domain)))
}

/// Names of what watches production.
const MONITORING: [&str; 18] = [
    "prometheus",
    "alertmanager",
    "grafana",
    "loki",
    "promtail",
    "thanos",
    "mimir",
    "cortex",
    "victoriametrics",
    "node-exporter",
    "node_exporter",
    "blackbox",
    "otel-collector",
    "opentelemetry",
    "fluent",
    "telegraf",
    "auditd",
    "rsyslog",
];

/// Whether any of the operands names a part of the monitoring.
pub(super) fn is_monitoring(operands: &[String]) -> bool {
    operands
        .iter()
        .map(|operand| operand.to_ascii_lowercase())
        .any(|operand| MONITORING.iter().any(|name| operand.contains(name)) || operand.contains("journald"))
}
