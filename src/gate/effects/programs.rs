//! What tables cannot say: rules of single programs.

use super::table::Parsed;
use super::{Blast, Effect, Understood, hosts, http, scripts, secrets, statements};
use crate::gate::taint::Inventory;

/// Lets the program's own rules look at what its table said. They only ever make it stricter.
pub(super) fn look(understood: &mut Understood, argv: &[String], parsed: &Parsed<'_>, inventory: &Inventory) {
    match understood.program.as_str() {
        "kubectl" => kubectl(understood, parsed),
        "amtool" | "promtool" | "logcli" => monitoring(understood, argv, parsed, inventory),
        "aws" | "gcloud" | "az" => cloud(understood, argv),
        "git" => git(understood, parsed, inventory),
        "curl" => http::curl(understood, parsed, inventory),
        "wget" => http::wget(understood, parsed, inventory),
        "psql" => statements::psql(understood, parsed),
        "mysql" | "mariadb" => statements::mysql(understood, parsed),
        "sed" => scripts::sed(understood, parsed),
        "awk" | "gawk" | "mawk" => scripts::awk(understood, parsed),
        "jq" => scripts::jq(understood, parsed),
        "ps" => {
            understood.reads_secrets |= shows_environments(&parsed.operands)
                || parsed.values("-o").chain(parsed.values("-O")).any(|columns| columns.contains("environ"));
        }
        // What follows the container is for ps.
        "docker" | "podman" | "nerdctl" if matches!(understood.verb.as_str(), "top" | "container top") => {
            understood.reads_secrets |= shows_environments(parsed.operands.get(1..).unwrap_or_default());
        }
        // Without a choice of properties all are shown, the environment among them.
        "systemctl" if understood.verb == "show" => {
            let chosen: Vec<&str> = parsed.values("-p").chain(parsed.values("-P")).collect();
            understood.reads_secrets |=
                chosen.is_empty() || chosen.iter().any(|names| names.to_ascii_lowercase().contains("environ"));
        }
        // As data it holds the values and the manifests too.
        "helm" if understood.verb == "status" && parsed.values("-o").any(|format| format != "table") => {
            understood.reads_secrets = true;
        }
        // A chart that is fetched from elsewhere cannot be looked at before.
        "helm" if parsed.operands.iter().any(|operand| operand.contains("://")) => {
            understood.facts.remote = true;
            understood.raise(Effect::Mutate, "the chart is fetched from elsewhere");
        }
        "rpm" if !parsed.has("-q") => understood.raise(Effect::Opaque, "only queries are understood"),
        "nc" | "ncat" | "netcat" if !parsed.has("-z") => {
            understood.raise(Effect::Opaque, "opens a connection and talks");
        }
        "crontab" if !parsed.has("-l") => {
            understood.raise(Effect::Opaque, "without -l it reads a new table");
        }
        "nginx" if !["-t", "-T", "-v", "-V", "-s"].iter().any(|flag| parsed.has(flag)) => {
            understood.raise(Effect::Mutate, "starts the server");
        }
        "haproxy" if !parsed.has("-v") => understood.raise(Effect::Opaque, "starts the server"),
        "tar" => tar(understood, argv, parsed),
        // Its value flags take the next word wherever they stand in a cluster, the second of them the word after that.
        "tree" if argv.iter().any(|word| word.len() > 2 && short(word) && word.contains(['L', 'P', 'I', 'o'])) => {
            understood.raise(Effect::Opaque, "a flag with a value stands in a cluster");
        }
        "fuser" if argv.iter().any(|word| word.len() > 2 && short(word) && word.contains('n')) => {
            understood.raise(Effect::Opaque, "a flag with a value stands in a cluster");
        }
        // It puts its arguments together again and reads them as statements.
        "nft" if !parsed.operands.iter().all(|operand| plain(operand, "_.-")) => {
            understood.raise(Effect::Opaque, "an argument is more than a name");
        }
        "unzip" if !["-l", "-v", "-Z", "-t"].iter().any(|flag| parsed.has(flag)) => {
            understood.raise(Effect::Mutate, "writes files");
        }
        "getent" => {
            understood.reads_secrets |= parsed.operands.iter().any(|base| base.ends_with("shadow"));
            if parsed.operands.first().is_some_and(|base| base.starts_with("hosts") || base.starts_with("ahosts")) {
                for name in &parsed.operands[1..] {
                    hosts::reaches(understood, name, inventory);
                }
            }
        }
        "ping" | "ping6" | "traceroute" | "tracepath" | "mtr" | "nc" | "ncat" | "netcat" => {
            if let Some(host) = parsed.operands.first() {
                hosts::reaches(understood, host, inventory);
            }
        }
        "resolvectl" if matches!(understood.verb.as_str(), "query" | "service") => {
            for name in &parsed.operands {
                hosts::reaches(understood, name, inventory);
            }
        }
        "redis-cli" | "valkey-cli" => redis(understood, parsed),
        "dig" => {
            let names = parsed.operands.iter().map(String::as_str).filter(|word| !word.starts_with(['@', '+']));
            for name in names.chain(parsed.values("-q")).chain(parsed.values("-x")) {
                hosts::reaches(understood, name, inventory);
            }
            for server in parsed.operands.iter().filter_map(|word| word.strip_prefix('@')) {
                hosts::asks(understood, server, inventory);
            }
        }
        "nslookup" | "host" => {
            if let Some(name) = parsed.operands.first() {
                hosts::reaches(understood, name, inventory);
            }
            if let Some(server) = parsed.operands.get(1) {
                hosts::asks(understood, server, inventory);
            }
        }
        // `HOST/OWNER/REPO` names another host.
        "gh" if parsed.values("--repo").any(|repo| repo.matches('/').count() != 1 || repo.contains(':')) => {
            understood.facts.redirected = true;
            understood.raise(Effect::Opaque, "the repository lies on another host");
        }
        "gh" if understood.verb == "api" => {
            let plain = parsed.values("-X").all(|method| method == "GET" || method == "HEAD");
            let graph = parsed.operands.iter().any(|path| path.contains("graphql") || path.contains("://"));
            if !plain || graph || parsed.operands.is_empty() {
                understood.raise(Effect::Opaque, "only a plain GET is understood");
            }
        }
        "iptables" | "ip6tables" if !parsed.has("-L") && !parsed.has("-S") => {
            understood.raise(Effect::Opaque, "only lists are understood");
        }
        "sysctl" if parsed.operands.iter().any(|operand| operand.contains('=')) => {
            understood.raise(Effect::Mutate, "sets a kernel parameter");
        }
        // A path is linked in as a unit, which names programs to run.
        "systemctl" if understood.effect > Effect::Read && parsed.operands.iter().any(|unit| unit.contains('/')) => {
            understood.raise(Effect::Opaque, "a unit is named by a path");
        }
        "service" => service(understood, parsed),
        _ => {}
    }
}

/// Whether a program says something of a device without showing what is on it.
pub(super) fn only_describes(program: &str) -> bool {
    [
        "blkid", "df", "du", "ethtool", "file", "findmnt", "fuser", "hdparm", "iostat", "ls", "lsblk", "lsof", "lvs",
        "mount", "nvme", "pvs", "readlink", "realpath", "sar", "smartctl", "stat", "test", "umount",
    ]
    .contains(&program)
}

fn redis(understood: &mut Understood, parsed: &Parsed<'_>) {
    const LOOKING: [&str; 9] = [
        "--bigkeys",
        "--memkeys",
        "--hotkeys",
        "--latency",
        "--latency-history",
        "--latency-dist",
        "--stat",
        "--scan",
        "--keystats",
    ];
    let looks = LOOKING.iter().any(|flag| parsed.has(flag));
    if understood.verb == "keys" {
        understood.raise(Effect::Mutate, "KEYS blocks the server while it looks at every key; --scan does not");
    }
    if understood.verb.is_empty() && !looks {
        understood.raise(Effect::Opaque, "nothing says what it does");
    }
}

/// Whether a word is a cluster of short flags.
fn short(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--")
}

/// Whether a word consists of ASCII letters, digits and the signs given.
fn plain(word: &str, signs: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
}

/// `-t` or `--list` must come first: a first word without a dash is a cluster in the old style, whose values follow in
/// the order of its letters, and may name a program to run. An archive with a colon lies on another host, which is
/// reached by a program too.
fn tar(understood: &mut Understood, argv: &[String], parsed: &Parsed<'_>) {
    let first = argv.get(1).map_or("", String::as_str);
    let old = !first.starts_with('-');
    if old {
        let once = |letter: char| first.matches(letter).count() == 1;
        let rest = argv.get(2..).unwrap_or_default();
        let list = once('t') && once('f') && first.chars().all(|letter| "tfvzjJ".contains(letter));
        if !list || rest.is_empty() || rest.iter().any(|word| word.starts_with('-')) || rest[0].contains(':') {
            understood.raise(Effect::Opaque, "the old style of flags, of which only plain lists are understood");
        }
    } else if understood.effect == Effect::Read && first != "--list" && !(short(first) && first.contains('t')) {
        understood.raise(Effect::Opaque, "only lists are understood, with -t or --list in front");
    }
    if parsed.values("--file").any(|archive| archive.contains(':')) {
        understood.raise(Effect::Opaque, "the archive lies on another host");
    }
}

fn service(understood: &mut Understood, parsed: &Parsed<'_>) {
    // The name becomes part of a path.
    if parsed.operands.first().is_some_and(|name| name.starts_with('.') || !plain(name, "@._-")) {
        understood.raise(Effect::Opaque, "the name of the service is no name");
    }
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
        hosts::endpoint(understood, server, inventory);
    }
    if understood.verb == "silence add" {
        let wide = |matcher: &String| {
            let value =
                matcher.split_once('=').map_or("", |(_, value)| value).trim_start_matches('~').trim_matches('"');
            matches!(value, "" | ".*" | ".+" | "^.*$" | "^.+$" | ".*.*" | "(.*)" | "(.+)")
        };
        if parsed.operands.iter().all(wide) {
            understood.facts.blast = Blast::All;
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

/// Whether words for ps, in BSD style, ask for environments: by an `e` among the letters, or as a column.
fn shows_environments(words: &[String]) -> bool {
    words.iter().any(|word| {
        word.contains("environ") || (word.contains('e') && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    })
}

/// Remotes that are spelled out instead of named.
fn remotes(understood: &mut Understood, parsed: &Parsed<'_>, inventory: &Inventory) {
    let taken = match understood.verb.as_str() {
        "ls-remote" | "remote show" | "clone" | "remote add" | "remote set-url" => usize::MAX,
        // What follows are refs, in which a colon means something else.
        "fetch" | "pull" | "push" => 1,
        _ => 0,
    };
    for place in parsed.operands.iter().take(taken) {
        // `host:path` and `user@host:path` go by ssh.
        if place.contains("://") || place.split('/').next().is_some_and(|start| start.contains(':')) {
            hosts::reaches(understood, place, inventory);
        }
    }
}

fn git(understood: &mut Understood, parsed: &Parsed<'_>, inventory: &Inventory) {
    remotes(understood, parsed, inventory);
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
    let picks = ["jsonpath", "go-template", "custom-columns"];
    understood.reads_secrets |= parsed.values("-o").chain(parsed.values("--template")).any(|format| {
        let picked = format.replace("metadata", "").to_ascii_lowercase();
        (parsed.has("--template") || picks.iter().any(|start| format.starts_with(start)))
            && ["env", "data", "args", "command"].iter().any(|word| picked.contains(word))
    });
    // Their content is printed, whether or not anything is created.
    understood.reads_secrets |= parsed.has("--from-file") || parsed.has("--from-env-file");
    for path in parsed.values("--raw").filter(|path| !path.is_empty()) {
        raw(understood, path);
    }
    if understood.verb == "kustomize" {
        for place in &parsed.operands {
            manifest(understood, place);
        }
    }
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

/// A path of the API asked for directly. A GET only reads, except where the API server hands it on to something else:
/// to a pod, a service, a node's kubelet.
fn raw(understood: &mut Understood, path: &str) {
    let lower = path.to_ascii_lowercase();
    understood.reads_secrets |= lower.contains("secret");
    if !path.starts_with('/') || path.contains("..") || path.contains('%') || path.contains("//") {
        understood.raise(Effect::Opaque, "this is no plain path of the API");
    }
    if lower.split(['/', '?', '&']).any(|part| {
        ["proxy", "exec", "attach", "portforward", "run", "eviction", "binding", "log-level"].contains(&part)
    }) {
        understood.raise(Effect::Opaque, "the API server hands this on to something else");
    }
}

/// Where a manifest comes from. What is fetched from elsewhere, or read from a stream, cannot be looked at before.
pub(super) fn manifest(understood: &mut Understood, place: &str) {
    let lower = place.to_ascii_lowercase();
    let host = lower.split('/').next().unwrap_or_default();
    let remote = lower.contains("://")
        || lower.contains("::")
        || lower.contains("?ref=")
        || host.contains(':')
        || host.contains('@')
        || (lower.contains('/') && !host.starts_with('.') && host.contains('.') && !host.ends_with('.'));
    if remote {
        understood.facts.remote = true;
        understood.raise(Effect::Opaque, "what it applies is fetched from elsewhere");
    } else if place == "-" && understood.effect > Effect::Read {
        understood.raise(Effect::Opaque, "what it applies comes from a stream that cannot be seen here");
    }
}
