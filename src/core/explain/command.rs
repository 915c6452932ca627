//! A command in words: first what the gate's own tables say of it, then its words one by one.

use crate::domain::action::{Action, Blast, Effect, Judged};
use crate::gate::effects::understand;
use crate::gate::taint::Inventory;
use crate::gate::{lexer, preview};

/// What a verb of a program does, for those that incidents see most. The effect is the gate's, not from here.
const VERBS: &[(&str, &str, &str)] = &[
    ("kubectl", "get", "lists objects"),
    ("kubectl", "describe", "shows objects in full, with their recent events"),
    ("kubectl", "logs", "prints what a container wrote"),
    ("kubectl", "top", "shows the use of CPU and memory"),
    ("kubectl", "events", "lists recent events"),
    ("kubectl", "apply", "makes objects what the files say, creating those that are missing"),
    ("kubectl", "delete", "deletes objects; what a controller owns comes back, the rest does not"),
    ("kubectl", "scale", "sets the number of replicas of a workload"),
    ("kubectl", "rollout undo", "returns a workload to an earlier revision; its pods are replaced step by step"),
    ("kubectl", "rollout restart", "replaces all pods of a workload, step by step"),
    ("kubectl", "rollout status", "waits for a rollout and tells how far it is"),
    ("kubectl", "rollout history", "lists the revisions of a workload"),
    ("kubectl", "rollout pause", "lets a rollout stand still"),
    ("kubectl", "rollout resume", "lets a rollout go on"),
    ("kubectl", "cordon", "lets no new pods onto a node; those that run there stay"),
    ("kubectl", "uncordon", "lets pods onto a node again"),
    ("kubectl", "drain", "moves every pod off a node, and lets no new ones onto it"),
    ("kubectl", "exec", "runs a program inside a container"),
    ("kubectl", "patch", "changes fields of an object"),
    ("kubectl", "edit", "opens an object in an editor and saves what is changed"),
    ("kubectl", "set image", "gives a workload another image; its pods are replaced step by step"),
    ("kubectl", "set env", "gives a workload other environment variables; its pods are replaced step by step"),
    ("kubectl", "annotate", "changes annotations of an object"),
    ("kubectl", "label", "changes labels of an object; selectors may then choose it or no longer"),
    ("kubectl", "port-forward", "opens a local port to a pod"),
    ("kubectl", "cp", "copies files into or out of a container"),
    ("helm", "rollback", "returns a release to an earlier revision"),
    ("helm", "upgrade", "changes a release to another chart or other values"),
    ("helm", "uninstall", "removes a release with everything it made"),
    ("helm", "history", "lists the revisions of a release"),
    ("helm", "status", "shows the state of a release"),
    ("argocd", "app rollback", "returns an application to an earlier deployment"),
    ("argocd", "app sync", "makes the cluster what the repository says"),
    ("flux", "reconcile", "makes the cluster what the repository says, now"),
    ("flux", "suspend", "stops the repository from being applied until it is resumed"),
    ("terraform", "plan", "computes what an apply would change; it runs what the configuration names"),
    ("terraform", "apply", "changes infrastructure to what the configuration says"),
    ("terraform", "destroy", "destroys the infrastructure of the configuration"),
    ("systemctl", "status", "shows a unit and the end of its journal"),
    ("systemctl", "restart", "stops a unit and starts it again"),
    ("systemctl", "stop", "stops a unit"),
    ("systemctl", "start", "starts a unit"),
    ("systemctl", "reload", "lets a unit read its configuration again"),
    ("docker", "restart", "stops containers and starts them again"),
    ("docker", "stop", "stops containers"),
    ("docker", "rm", "removes containers"),
    ("docker", "logs", "prints what a container wrote"),
    ("amtool", "silence add", "mutes matching alerts for a time"),
    ("amtool", "silence expire", "ends silences"),
    ("amtool", "silence query", "lists silences"),
    ("amtool", "alert query", "lists alerts"),
    ("git", "revert", "adds a commit that undoes another"),
    ("git", "log", "lists commits"),
    ("journalctl", "", "prints the journal of the system"),
    ("psql", "", "runs SQL in a PostgreSQL database"),
    ("redis-cli", "", "sends commands to a Redis server"),
    ("curl", "", "sends a request to a URL"),
    ("promtool", "", "works with Prometheus and its files"),
    ("logcli", "", "asks a Loki"),
];

/// The command in words, one fact a line.
pub(super) fn explain(action: &Action, judged: &Judged) -> Vec<String> {
    // What the inventory adds shows in `judged`; the parts of the command are the same without it.
    let understood = understand(&action.argv, &Inventory::default());
    let mut lines = Vec::new();
    let name = [understood.program.as_str(), understood.verb.as_str()].join(" ");
    match known(&understood.program, &understood.verb) {
        Some(does) => lines.push(format!("{}: {does}", name.trim())),
        None if understood.program.is_empty() => lines.push("the program could not be made out".to_owned()),
        None => lines.push(format!("{}: a command whose purpose is not described here", name.trim())),
    }
    lines.push(format!("effect: {}, {}", judged.effect.word(), effect(judged.effect)));
    let facts = &judged.facts;
    lines.push(format!("reach: {}", reach(facts.blast, facts.objects)));
    if !facts.resources.is_empty() {
        lines.push(format!("acts on: {}", facts.resources.join(", ")));
    } else if !understood.operands.is_empty() {
        lines.push(format!("acts on: {}", understood.operands.join(", ")));
    }
    match facts.namespaces.as_slice() {
        [] => {}
        [all] if all == "*" => lines.push("in all namespaces".to_owned()),
        named => lines.push(format!("in the namespace {}", named.join(", "))),
    }
    let flags: Vec<&str> =
        action.argv.iter().skip(1).filter(|word| word.starts_with('-')).map(String::as_str).collect();
    if !flags.is_empty() {
        lines.push(format!("flags: {}", flags.join(" ")));
    }
    let remarks = [
        (facts.redirected, "it is aimed at another end point, context or identity than the one in use"),
        (facts.remote, "it takes what it applies from elsewhere"),
        (facts.silences_monitoring, "it silences or touches what watches production"),
        (judged.reads_secrets, "it reads secrets"),
    ];
    lines.extend(remarks.iter().filter(|(is, _)| *is).map(|(_, words)| (*words).to_owned()));
    lines.extend(judged.notes.iter().map(|note| format!("noticed: {note}")));
    for word in &judged.tainted {
        lines.push(format!("⚑ \"{word}\" came from telemetry or a model and is not a known name"));
    }
    lines.push(format!(
        "policy: {} by the rule {}: {}",
        judged.verdict.decision.word(),
        judged.verdict.rule,
        judged.verdict.why
    ));
    if let Some(preview) = preview::preview(&action.argv) {
        lines.push(format!("its own preview ({}): {}", preview.exactness.word(), lexer::join(&preview.argv)));
    }
    match &action.rollback {
        Some(undo) => lines.push(format!("undone by: {}", lexer::join(undo))),
        None if judged.effect == Effect::Read => {}
        None => lines.push("nothing is known that undoes it".to_owned()),
    }
    lines
}

fn known(program: &str, verb: &str) -> Option<&'static str> {
    let of = |wanted: &str| VERBS.iter().find(|(name, of, _)| *name == program && *of == wanted).map(|found| found.2);
    // `top pods` is a `top`, and `get` of whatever is a `get`.
    of(verb).or_else(|| of(verb.split(' ').next().unwrap_or_default())).or_else(|| of(""))
}

const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "it looks and changes nothing",
        Effect::Mutate => "it changes something that can be changed back",
        Effect::Destroy => "it removes or ends something that does not come back by itself",
        Effect::Opaque => "it could not be understood and is treated as the worst",
    }
}

fn reach(blast: Blast, objects: usize) -> String {
    match blast {
        Blast::All => "everything of a kind".to_owned(),
        Blast::AllNamespaces => "everything of a kind, in all namespaces".to_owned(),
        Blast::Selected => "whatever a selector finds when it runs".to_owned(),
        Blast::Named if objects == 1 => "one named object".to_owned(),
        Blast::Named if objects > 1 => format!("{objects} named objects"),
        Blast::Named => "what is named".to_owned(),
    }
}
