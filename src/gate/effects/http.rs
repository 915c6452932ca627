//! curl and wget: reading only as long as it is a plain GET or HEAD.

use super::table::Parsed;
use super::{Effect, Understood, hosts};
use crate::gate::taint::Inventory;

/// Parts of paths at which a GET is known to change something.
const ACTING: [&str; 18] = [
    "/-/quit",
    "/-/reload",
    "quitquitquit",
    "shutdown",
    "restart",
    "delete",
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

/// Flags of curl that hold a body.
const BODIES: [&str; 5] = ["-d", "--data-ascii", "--data-raw", "--data-binary", "--data-urlencode"];

pub(super) fn curl(understood: &mut Understood, parsed: &Parsed<'_>, inventory: &Inventory) {
    for url in parsed.operands.iter().map(String::as_str).chain(parsed.values("--url")) {
        address(understood, url, inventory);
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
        address(understood, url, inventory);
    }
    let to_output = parsed.has("-O") && parsed.values("-O").all(|file| matches!(file, "-" | "/dev/null"));
    if !to_output && !parsed.has("--spider") {
        understood.raise(Effect::Mutate, "writes a file");
    }
}

fn address(understood: &mut Understood, url: &str, inventory: &Inventory) {
    let lower = url.to_ascii_lowercase();
    match lower.split_once("://") {
        Some(("http" | "https", rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            understood.reads_secrets |= authority.contains('@');
        }
        Some((scheme, _)) => understood.raise(Effect::Opaque, format!("{scheme} is no web address")),
        None if lower.contains(':') && !lower.split('/').next().unwrap_or_default().contains(['.', ':']) => {
            understood.raise(Effect::Opaque, "this is no web address");
        }
        None => {}
    }
    hosts::asks(understood, url, inventory);
    if url.contains('\\') || url.contains(['{', '}']) {
        understood.raise(Effect::Opaque, "the address stands for several");
    }
    if ACTING.iter().any(|part| lower.contains(part)) {
        understood.raise(Effect::Mutate, "the address sounds as if it did something");
    }
}
