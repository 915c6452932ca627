//! What a command does: tables per program, and the wrappers that run another program.
//!
//! [`understand`] never guesses. A program without a table, a verb or a flag that its table does not list, a value
//! that is not among those listed: each makes the whole command opaque.

mod facts;
mod flag;
mod hosts;
mod http;
mod programs;
mod scripts;
mod secrets;
mod statements;
mod stricter;
mod table;
mod wrappers;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::taint::Inventory;
use super::{MAX_ARGUMENTS, MAX_COMMAND_BYTES, PROGRAM_DIRECTORIES};
use crate::domain::action::{Blast, CommandFacts, Effect};
use crate::domain::text::is_hidden;
pub use stricter::Stricter;
use table::{Parsed, Table};

/// What was understood of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understood {
    /// Name of the program without its directory; of the innermost one when it is wrapped.
    pub program: String,
    /// Its verb: `rollout undo`; empty for programs without verbs.
    pub verb: String,
    /// The effect, wrappers included.
    pub effect: Effect,
    /// Whether it reads secrets.
    pub reads_secrets: bool,
    /// What was noticed: `all namespaces`, `redirects the API server`, `wrapped by sudo`.
    pub notes: Vec<String>,
    /// How far it reaches and what else was recognised.
    pub facts: CommandFacts,
    /// What it acts on: arguments that are neither verb nor flag.
    pub operands: Vec<String>,
    /// Words that are neither program, verb nor known flag: those that may be tainted.
    pub words: Vec<String>,
}

impl Understood {
    /// Makes the effect `effect`, if that is worse, and says why.
    fn raise(&mut self, effect: Effect, note: impl Into<String>) {
        self.effect = self.effect.max(effect);
        self.note(note);
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !note.is_empty() && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn reach(&mut self, blast: Blast) {
        self.facts.blast = self.facts.blast.max(blast);
    }

    fn opaque(argv: &[String], why: impl Into<String>) -> Self {
        Self {
            program: argv.first().map(|program| base_name(program).to_owned()).unwrap_or_default(),
            verb: String::new(),
            effect: Effect::Opaque,
            reads_secrets: secrets::any_path(argv),
            notes: vec![why.into()],
            facts: CommandFacts::default(),
            operands: Vec::new(),
            words: argv.to_vec(),
        }
    }
}

/// The embedded tables.
const FILES: [&str; 10] = [
    include_str!("../../../config/effects/cloud.toml"),
    include_str!("../../../config/effects/containers.toml"),
    include_str!("../../../config/effects/data.toml"),
    include_str!("../../../config/effects/files.toml"),
    include_str!("../../../config/effects/git.toml"),
    include_str!("../../../config/effects/host.toml"),
    include_str!("../../../config/effects/kubernetes.toml"),
    include_str!("../../../config/effects/monitoring.toml"),
    include_str!("../../../config/effects/network.toml"),
    include_str!("../../../config/effects/services.toml"),
];

/// Tables by the name of the program.
static TABLES: LazyLock<BTreeMap<String, Table>> =
    LazyLock::new(|| table::load(&FILES).expect("the embedded effect tables load: a test of this room says so"));

/// Names of the programs that have a table or are understood as wrappers, sorted.
pub fn programs() -> Vec<&'static str> {
    let mut names: Vec<&str> = TABLES.keys().map(String::as_str).chain(wrappers::NAMES).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Runs the tests inside the tables; the number that passed, or what failed.
pub fn test_tables() -> Result<usize, Vec<String>> {
    let (mut passed, mut failed) = (0, Vec::new());
    let inventory = Inventory::default();
    for file in FILES {
        let tests = table::tests(file).map_err(|error| vec![error])?;
        for (line, effect, secrets) in tests.lines() {
            let got = match super::lexer::split(line) {
                Ok(argv) => understand(&argv, &inventory),
                Err(error) => Understood::opaque(&[], error.to_string()),
            };
            if got.effect == effect && secrets.is_none_or(|secrets| secrets == got.reads_secrets) {
                passed += 1;
            } else {
                failed.push(format!("{line}: expected {}, got {} {:?}", effect.word(), got.effect.word(), got.notes));
            }
        }
    }
    if failed.is_empty() { Ok(passed) } else { Err(failed) }
}

/// What `argv` does. Names in the inventory count as lying within the house when an end point is named.
pub fn understand(argv: &[String], inventory: &Inventory) -> Understood {
    understand_with(argv, inventory, &Stricter::default())
}

/// The same, with what the site adds to the tables.
pub fn understand_with(argv: &[String], inventory: &Inventory, stricter: &Stricter) -> Understood {
    understand_at(argv, 0, Surroundings { inventory, stricter })
}

/// What is known beside the tables.
#[derive(Debug, Clone, Copy)]
struct Surroundings<'a> {
    inventory: &'a Inventory,
    stricter: &'a Stricter,
}

/// What can be recognised in a line that the lexer refuses: variables in front that aim the program elsewhere.
pub(super) fn not_even_split(line: &str, why: String) -> Understood {
    let redirected = line.split_whitespace().take(8).any(facts::redirects);
    Understood { facts: CommandFacts { redirected, ..CommandFacts::default() }, ..Understood::opaque(&[], why) }
}

/// Most wrappers around a command.
const MAX_DEPTH: usize = 6;

fn understand_at(argv: &[String], depth: usize, around: Surroundings<'_>) -> Understood {
    let Some(program) = argv.first() else {
        return Understood::opaque(argv, "there is no command");
    };
    if argv.len() > MAX_ARGUMENTS || argv.iter().map(String::len).sum::<usize>() > MAX_COMMAND_BYTES {
        return Understood::opaque(&argv[..1], "the command is too long");
    }
    if depth > MAX_DEPTH {
        return Understood::opaque(argv, "wrapped too deeply");
    }
    if let Some(odd) = argv.iter().flat_map(|word| word.chars()).find(|&c| !c.is_ascii() || is_hidden(c) || c == '\n') {
        return Understood::opaque(argv, format!("holds U+{:04X}, which is not plain text", u32::from(odd)));
    }
    let name = base_name(program);
    if let Some(directory) = program.strip_suffix(name).filter(|directory| !directory.is_empty())
        && !PROGRAM_DIRECTORIES.contains(&directory.trim_end_matches('/'))
    {
        return Understood::opaque(argv, format!("{program} is not in a directory of installed programs"));
    }
    let mut understood = if wrappers::NAMES.contains(&name) {
        wrappers::understand(name, argv, depth, around)
    } else if let Some(table) = TABLES.get(name) {
        match table.parse(&argv[1..]) {
            Ok(parsed) => from_table(name, argv, &parsed, depth, around),
            Err(why) => Understood::opaque(argv, why),
        }
    } else {
        Understood::opaque(argv, format!("{name} is not a program that is understood"))
    };
    around.stricter.raise(&mut understood, argv);
    debug_assert!(understood.effect == Effect::Read || !understood.notes.is_empty() || !understood.program.is_empty());
    understood
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Turns what the table says into what is understood, and lets the program's own rules look at it.
fn from_table(name: &str, argv: &[String], parsed: &Parsed<'_>, depth: usize, around: Surroundings<'_>) -> Understood {
    let mut understood = Understood {
        program: name.to_owned(),
        verb: parsed.verb.clone(),
        effect: parsed.group.effect,
        reads_secrets: parsed.group.secrets,
        notes: Vec::new(),
        facts: CommandFacts::default(),
        operands: parsed.operands.clone(),
        words: parsed.operands.clone(),
    };
    if let Some(note) = &parsed.group.note {
        understood.note(note.clone());
    }
    let mut dry_runs: Vec<&str> = Vec::new();
    for flag in &parsed.flags {
        let value = flag.value.as_deref();
        understood.words.extend(flag.value.clone().filter(|value| !flag.spec.lists(value)));
        // Whatever the flag is for: a file with secrets that is named is one that may be shown.
        understood.reads_secrets |= value.is_some_and(|value| value.contains('/') && secrets::path(value));
        for tag in &flag.spec.tags {
            match tag.as_str() {
                "namespace" => understood.facts.namespaces.extend(flag.value.clone()),
                "all-namespaces" => {
                    understood.facts.namespaces.push("*".to_owned());
                    understood.reach(Blast::AllNamespaces);
                    understood.note("all namespaces");
                }
                "all" => {
                    understood.reach(Blast::All);
                    understood.note("everything of that kind");
                }
                "selector" => {
                    understood.reach(Blast::Selected);
                    understood.note(format!("everything that matches {}", value.unwrap_or_default()));
                }
                "context" => {
                    understood.facts.redirected |= !value.is_some_and(|context| around.inventory.is_context(context));
                    understood.note(format!("context {}", value.unwrap_or_default()));
                }
                "identity" => {
                    understood.facts.redirected = true;
                    understood.note(format!("as {}", value.unwrap_or_default()));
                }
                "user" => understood.note(format!("as {}", value.unwrap_or_default())),
                "redirect" => {
                    understood.facts.redirected = true;
                    understood.note(format!("{} redirects it", flag.name));
                }
                "secret" => understood.reads_secrets = true,
                // With nothing but a pattern it looks through the directory that it runs in, which may be any.
                "recursive" => {
                    understood.reads_secrets |=
                        parsed.operands.len() < 2 || parsed.operands.iter().any(|path| secrets::tree(path));
                }
                "path" => {
                    understood.reads_secrets |= value.is_some_and(secrets::path);
                    understood.facts.manifests.extend(value.map(str::to_owned));
                }
                "manifest" => {
                    understood.facts.manifests.extend(value.map(str::to_owned));
                    programs::manifest(&mut understood, value.unwrap_or_default());
                }
                "lists" | "help" => {}
                "endpoint" => hosts::endpoint(&mut understood, value.unwrap_or_default(), around.inventory),
                "dry-run" => dry_runs.push(value.unwrap_or_default()),
                other => debug_assert!(false, "unknown tag {other}"),
            }
        }
        if let Some(effect) = flag.raises {
            let shown = value.map_or_else(|| flag.name.clone(), |value| format!("{}={value}", flag.name));
            understood.raise(effect, format!("{shown}: {}", reason(effect)));
        }
    }
    if let Some(effect) = parsed.beyond {
        understood.raise(effect, "more arguments than a reader takes");
    }
    understood.reads_secrets |= parsed.operands.iter().any(|operand| secrets::path(operand))
        || (!programs::only_describes(name) && parsed.operands.iter().any(|operand| secrets::device(operand)));
    match dry_runs.as_slice() {
        [] => {}
        ["client" | "server"] if understood.effect < Effect::Opaque => {
            understood.effect = Effect::Read;
            understood.note("dry run");
        }
        ["none"] => understood.note("--dry-run=none is no dry run"),
        _ => understood.note("the dry run is not certain"),
    }
    programs::look(&mut understood, argv, parsed, around.inventory);
    if parsed.shows_help && understood.effect < Effect::Opaque && parsed.inner.is_none() {
        understood.effect = Effect::Read;
        understood.note("shows help");
    }
    facts::recognise(&mut understood, parsed);
    if let Some(inner) = parsed.inner {
        wrappers::absorb(&mut understood, inner, depth, around);
    }
    if understood.effect == Effect::Opaque {
        understood.words = argv.to_vec();
    }
    understood
}

/// Why a flag makes a command worse, in words.
fn reason(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "",
        Effect::Mutate => "writes or changes something",
        Effect::Destroy => "removes something",
        Effect::Opaque => "runs, redirects or hides something",
    }
}

#[cfg(test)]
mod tests;
