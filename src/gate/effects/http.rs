//! curl and wget: reading only as long as it is a plain GET or HEAD.

use super::table::Parsed;
use super::{Effect, Understood, hosts, secrets};
use crate::gate::taint::Inventory;

/// Parts of paths at which a GET is known to change something.
const ACTING: [&str; 20] = [
    "/-/quit",
    "/-/reload",
    "quitquitquit",
    "shutdown",
    "restart",
    "delete",
    "undeploy",
    "dropcaches",
    "/stop",
    "/kill",
    "/reset",
    "/flush",
    "/drain",
    "/trigger",
    "/pause",
    "/unpause",
    "/leave",
    "/build?",
    "/pprof/profile",
    "/pprof/trace",
];

/// Whole parts of paths that name an act: plenty of servers do it on a GET too.
const VERBS: [&str; 54] = [
    "abort",
    "apply",
    "cancel",
    "clear",
    "compact",
    "create",
    "delete",
    "deploy",
    "deregister",
    "disable",
    "drop",
    "enable",
    "evict",
    "exec",
    "execute",
    "exit",
    "expiresessions",
    "failover",
    "flush",
    "force",
    "forcemerge",
    "gc",
    "import",
    "install",
    "invalidate",
    "invoke",
    "maintenance",
    "optimize",
    "promote",
    "prune",
    "purge",
    "rebalance",
    "refresh",
    "register",
    "reload",
    "remove",
    "reset",
    "restore",
    "resume",
    "retry",
    "rollback",
    "rollover",
    "rotate",
    "run",
    "save",
    "sslreload",
    "start",
    "suspend",
    "sync",
    "terminate",
    "toggle",
    "uninstall",
    "update",
    "write",
];

/// First words of such parts: `force_merge`, `flush-cache`.
const FIRST: [&str; 9] = ["clear", "drop", "flush", "force", "kill", "purge", "reload", "reset", "restart"];

/// Parameters that say what is to be done.
const DOING: [&str; 8] = ["action", "command", "cmd", "do", "exec", "op", "operation", "_method"];

/// Beginnings of what such a parameter says when it only asks.
const ASKING: [&str; 14] = [
    "clusterstatus",
    "describe",
    "details",
    "get",
    "head",
    "info",
    "list",
    "open",
    "ping",
    "query",
    "read",
    "search",
    "show",
    "status",
];

/// Beginnings of host names from which curl guesses another protocol than HTTP, when none is written.
/// <https://curl.se/docs/manpage.html>
const GUESSED: [&str; 6] = ["dict.", "ftp.", "ldap.", "smtp.", "imap.", "pop3."];

/// Flags of curl that hold a body.
const BODIES: [&str; 5] = ["-d", "--data-ascii", "--data-raw", "--data-binary", "--data-urlencode"];

pub(super) fn curl(understood: &mut Understood, parsed: &Parsed<'_>, inventory: &Inventory) {
    for url in parsed.operands.iter().map(String::as_str).chain(parsed.values("--url")) {
        address(understood, url, parsed.has("-g"), inventory);
    }
    if parsed.values("--url").any(|url| url.starts_with('@')) {
        understood.raise(Effect::Opaque, "takes addresses from a file");
    }
    if understood.operands.is_empty() && !parsed.has("--url") && !parsed.has("-V") {
        understood.raise(Effect::Opaque, "there is no address");
    }
    for method in parsed.values("-X") {
        match method {
            "GET" | "HEAD" | "OPTIONS" => {}
            "DELETE" => understood.raise(Effect::Destroy, "DELETE"),
            method => understood.raise(Effect::Mutate, format!("{method} changes something")),
        }
    }
    let bodies: Vec<&str> = BODIES.iter().flat_map(|flag| parsed.values(flag)).collect();
    if bodies.iter().any(|body| body.contains('@')) {
        understood.raise(Effect::Opaque, "sends the content of a file");
    }
    if !bodies.is_empty() && !parsed.has("-G") && !parsed.has("-I") {
        understood.raise(Effect::Mutate, "sends a body");
    }
    if parsed.values("--url-query").any(|query| query.contains('@')) {
        understood.raise(Effect::Opaque, "sends the content of a file");
    }
    // Without `=` the value is the name of a file of cookies.
    if parsed.values("-b").any(|cookies| !cookies.contains('=')) {
        understood.raise(Effect::Opaque, "sends the cookies of a file");
    }
    for header in parsed.values("-H") {
        let header = header.to_ascii_lowercase();
        if header.starts_with('@') {
            understood.raise(Effect::Opaque, "takes headers from a file");
        }
        if header.contains("method") {
            understood.raise(Effect::Mutate, "a header sets another method");
        }
        understood.reads_secrets |= ["authorization", "cookie", "token", "api-key"].iter().any(|w| header.contains(w));
    }
    for format in parsed.values("-w") {
        if format.starts_with('@') || format.contains("output{") {
            understood.raise(Effect::Opaque, "the format reads or writes a file");
        }
    }
}

pub(super) fn wget(understood: &mut Understood, parsed: &Parsed<'_>, inventory: &Inventory) {
    for url in &parsed.operands {
        address(understood, url, true, inventory);
    }
    let to_output = parsed.has("-O") && parsed.values("-O").all(|file| matches!(file, "-" | "/dev/null"));
    if !to_output && !parsed.has("--spider") {
        understood.raise(Effect::Mutate, "writes a file");
    }
}

/// Looks at an address. `literal`: brackets in its path are no patterns.
fn address(understood: &mut Understood, url: &str, literal: bool, inventory: &Inventory) {
    let lower = url.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").map_or((None, lower.as_str()), |(scheme, rest)| (Some(scheme), rest));
    let (authority, place) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match scheme {
        Some("http" | "https") => understood.reads_secrets |= authority.contains('@'),
        Some(scheme) => understood.raise(Effect::Opaque, format!("{scheme} is no web address")),
        None if lower.contains(':') && !lower.split('/').next().unwrap_or_default().contains(['.', ':']) => {
            understood.raise(Effect::Opaque, "this is no web address");
        }
        None => {}
    }
    let host = hosts::asks(understood, url, inventory);
    if scheme.is_none() && GUESSED.iter().any(|start| host.starts_with(start)) {
        understood.raise(Effect::Opaque, "the protocol is guessed from the name of the host");
    }
    let literal_host = authority.rsplit('@').next().unwrap_or_default();
    let behind_v6 = literal_host
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .filter(|(inside, _)| inside.split('%').next().unwrap_or_default().parse::<core::net::Ipv6Addr>().is_ok())
        .map_or(literal_host, |(_, port)| port);
    if url.contains(['\\', '{', '}']) || behind_v6.contains(['[', ']']) || (!literal && place.contains(['[', ']'])) {
        understood.raise(Effect::Opaque, "the address stands for several");
    }
    let Some((path, query)) = as_served(place) else {
        return understood.raise(Effect::Opaque, "the address is encoded so that what it names cannot be seen");
    };
    understood.reads_secrets |= secrets::path(&path);
    let whole = format!("{path}?{query}");
    let names = |text: &str| ACTING.iter().any(|part| text.contains(part));
    if names(&lower) || names(&whole) || acts(&path, &query) {
        understood.raise(Effect::Mutate, "the address sounds as if it did something");
    }
}

/// Path and query as a server reads them: decoded, without `//`, `/./`, `x/..` and the parameters of a part
/// (`/actuator;x/env`). None, where that stays unclear: what is encoded twice, or is no plain text.
fn as_served(place: &str) -> Option<(String, String)> {
    let place = place.split('#').next().unwrap_or_default();
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let path = decoded(path);
    if decoded(&path) != path || path.contains(|c: char| c == '\\' || c.is_ascii_control() || !c.is_ascii()) {
        return None;
    }
    let bare: Vec<&str> = path.split('/').map(|part| part.split(';').next().unwrap_or_default()).collect();
    Some((secrets::plain(&bare.join("/")), decoded(query).replace('+', " ")))
}

/// With `%64` as `d`, in lower case; what is no UTF-8 becomes the replacement character.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |place: usize| bytes.get(place).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, digit(at + 1), digit(at + 2)) {
            plain.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            at += 3;
        } else {
            plain.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).to_ascii_lowercase()
}

/// Whether a part of the path or a parameter names an act.
fn acts(path: &str, query: &str) -> bool {
    let in_path = path.split('/').any(|part| {
        let part = part.trim_start_matches(['_', '-']);
        let first = part.split(['_', '-', '.']).next().unwrap_or_default();
        VERBS.contains(&part) || FIRST.contains(&first)
    });
    in_path
        || query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .any(|(name, value)| DOING.contains(&name) && !ASKING.iter().any(|start| value.starts_with(start)))
}
