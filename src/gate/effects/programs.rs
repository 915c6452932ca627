//! What tables cannot say: rules of single programs.

use super::table::Parsed;
use super::{Effect, Understood, secrets};

/// Lets the program's own rules look at what its table said. They only ever make it stricter.
pub(super) fn look(understood: &mut Understood, parsed: &Parsed<'_>) {
    match understood.program.as_str() {
        "kubectl" | "oc" => kubectl(understood, parsed),
        _ => {}
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

/// An end point given on the command line: harmless within the house, opaque when it points elsewhere, because the
/// question and the credentials with it go there.
pub(super) fn endpoint(understood: &mut Understood, url: &str) {
    let host = host(url);
    understood.note(format!("asks {host}"));
    if !near(host) {
        understood.raise(Effect::Opaque, "redirects the end point to another house");
    }
}

/// Host of a URL or of `host:port`.
fn host(url: &str) -> &str {
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
