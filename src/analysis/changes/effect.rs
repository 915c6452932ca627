//! What a diff does: whether it leaves behaviour as it was, and if not, what it alters.
//!
//! The language is not known. Lines are compared as tokens: what is taken away and comes back elsewhere was moved, what
//! comes back under another name throughout was renamed, what went into a helper that works on the same things was
//! extracted. What is left over is told in words and weighed by how much likelier it is found in a change that broke
//! something than in one that did not.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{self, Call, Uses};
use super::diff::{Ground, Hunk, Patch};
use super::pairs::{self, Turned};
use super::tokens::{Kind, Token, parts, tokens};

/// What a diff does.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Effect {
    /// How much likelier such a diff breaks something than any other; 1 when nothing is known.
    pub(super) weight: f64,
    /// In words, the weightiest first: `drops LIMIT from a query`.
    pub(super) words: Vec<String>,
}

/// Weights below this leave behaviour as it was.
pub(super) const PRESERVING: f64 = 0.35;

const BESIDE: f64 = 0.02;
const NOTHING: f64 = 0.03;
const LOGS: f64 = 0.06;
const MOVED: f64 = 0.1;
const EXTRACTED: f64 = 0.15;
const VERSION: f64 = 0.2;
const CHECK_ADDED: f64 = 0.6;
const CODE_ADDED: f64 = 0.8;
const CODE_CHANGED: f64 = 1.0;
const QUERY_ADDED: f64 = 1.3;
const CALL_EXCHANGED: f64 = 1.6;
const CONCURRENCY: f64 = 1.5;
const CONDITION: f64 = 1.8;
const SWITCH: f64 = 1.8;
const VALUE: f64 = 1.6;
const TEXT: f64 = 1.4;
const CALL_GONE: f64 = 2.0;
const LOOP: f64 = 2.2;
const CHECK_GONE: f64 = 2.4;
const QUERY_ALTERED: f64 = 2.4;
const RELEASE_GONE: f64 = 3.0;

/// Calls that give back what was taken.
const RELEASING: &[&str] = &[
    "close",
    "release",
    "unlock",
    "rollback",
    "commit",
    "free",
    "dispose",
    "cancel",
    "shutdown",
    "flush",
    "evict",
    "unsubscribe",
    "expire",
    "ack",
    "done",
    "put",
];
/// Calls that take something others wait for.
const TAKING: &[&str] = &["acquire", "lock", "begin", "connect", "checkout", "borrow", "open", "lease", "transaction"];
/// Parts of queries whose loss or gain alters how much is read.
const CLAUSES: &[&str] =
    &["WHERE", "LIMIT", "JOIN", "ORDER", "GROUP", "HAVING", "OFFSET", "DISTINCT", "INDEX", "UNION", "LOCK", "UPDATE"];
/// Words of definitions of data.
const SCHEMA: &[&str] = &["ALTER", "DROP", "TRUNCATE", "RENAME"];
/// Words about doing several things at once, or waiting.
const CONCURRENT: &[&str] = &[
    "go",
    "async",
    "await",
    "synchronized",
    "Mutex",
    "RWMutex",
    "Lock",
    "parallel",
    "parallelStream",
    "Thread",
    "ThreadPool",
    "goroutine",
    "spawn",
    "volatile",
    "atomic",
    "Semaphore",
    "gather",
    "Executor",
    "errgroup",
];
const LOGGERS: &[&str] = &[
    "log",
    "logger",
    "logging",
    "console",
    "slog",
    "LOG",
    "Log",
    "zap",
    "print",
    "println",
    "printf",
    "eprintln",
    "LOG_TRACE",
    "LOG_DEBUG",
    "LOG_INFO",
    "LOG_WARN",
    "LOG_ERROR",
    "debug",
    "info",
    "warn",
    "trace",
    "puts",
];
const IMPORTS: &[&str] = &["import", "from", "use", "using", "package", "require", "include", "#include"];

/// What the patches of a diff do. `None` when they are empty.
pub(super) fn of(patches: &[Patch<'_>]) -> Option<Effect> {
    if patches.is_empty() {
        return None;
    }
    let mut found: Vec<(f64, String)> = Vec::new();
    let running: Vec<&Patch<'_>> =
        patches.iter().filter(|patch| matches!(patch.ground(), Ground::Code | Ground::Configuration)).collect();
    if patches.iter().any(|patch| patch.ground() == Ground::Dependencies) {
        found.push(dependencies(patches));
    }
    if running.is_empty() && found.is_empty() {
        found.push((BESIDE, "touches looks, tests, papers or pipelines only".into()));
    }
    if !running.is_empty() {
        found.extend(behaviour(&running));
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.dedup_by(|a, b| a.1 == b.1);
    let weight = found.first().map_or(1.0, |first| first.0);
    Some(Effect { weight, words: found.into_iter().take(3).map(|(_, words)| words).collect() })
}

/// The lines of one hunk as tokens; comments, imports and log lines left out.
struct Lines<'d> {
    removed: Vec<Vec<Token<'d>>>,
    added: Vec<Vec<Token<'d>>>,
    configuration: bool,
}

/// What was left out of the lines.
#[derive(Default)]
struct LeftOut {
    logs: bool,
    imports: bool,
}

fn behaviour(patches: &[&Patch<'_>]) -> Vec<(f64, String)> {
    let mut left_out = LeftOut::default();
    let hunks: Vec<Lines<'_>> = patches
        .iter()
        .flat_map(|patch| patch.hunks.iter().map(|hunk| (hunk, patch.ground() == Ground::Configuration)))
        .map(|(hunk, configuration)| lines_of(hunk, configuration, &mut left_out))
        .collect();
    let all = |side: fn(&Lines<'_>) -> usize| hunks.iter().map(side).sum::<usize>();
    if all(|hunk| hunk.removed.len()) + all(|hunk| hunk.added.len()) == 0 {
        return vec![match left_out {
            LeftOut { logs: true, .. } => (LOGS, "alters what is logged only".into()),
            LeftOut { imports: true, .. } => (NOTHING, "alters imports only".into()),
            _ => (NOTHING, "alters comments or white space only".into()),
        }];
    }
    let removed: Vec<Vec<Token<'_>>> = hunks.iter().flat_map(|hunk| hunk.removed.iter().cloned()).collect();
    let added: Vec<Vec<Token<'_>>> = hunks.iter().flat_map(|hunk| hunk.added.iter().cloned()).collect();
    let (gone, new) = (surplus(&removed, &added), surplus(&added, &removed));
    let (before, after) = (calls::uses(&removed), calls::uses(&added));
    if gone.is_empty() && new.is_empty() {
        let takes = |call: &&Call<'_>| parts(call.name).iter().any(|part| TAKING.contains(&part.as_str()));
        return match before.calls.iter().find(takes) {
            Some(call) => vec![(CALL_EXCHANGED, format!("moves {}", call.shown()))],
            None => vec![(MOVED, "moves or reformats code without changing it".into())],
        };
    }
    let mut turned: Vec<Turned<'_>> = Vec::new();
    for hunk in &hunks {
        turned.extend(pairs::pair(&hunk.removed, &hunk.added, hunk.configuration).0);
    }
    if let Some((from, to)) = renamed(&turned, &removed, &added, &before, &after) {
        return vec![(MOVED, format!("renames {from} to {to}"))];
    }
    if gone.is_empty()
        && !removed.is_empty()
        && acts_no_more(&before, &after)
        && let Some(name) = after.calls.iter().map(|call| call.name).find(|name| after.defined.contains(name))
    {
        return vec![(MOVED, format!("extracts {name}() without changing it"))];
    }
    let mut found = Vec::new();
    for one in &turned {
        found.extend(told(one));
    }
    let helpers = helpers(&before, &after);
    let gone_words: BTreeSet<&str> = gone.keys().copied().collect();
    let taken_in = taken_in(&helpers, &added, &gone_words);
    call_effects(&before, &after, &taken_in, &mut found);
    check_effects(&removed, &added, &taken_in, &mut found);
    query_effects(&removed, &added, &mut found);
    if let Some(call) = call_in_loop(&hunks, &before) {
        found.push((LOOP, format!("adds a call inside a loop: {}", call.shown())));
    }
    let concurrent = |words: &BTreeMap<&str, usize>| {
        words.keys().find(|word| CONCURRENT.contains(*word)).map(|word| (*word).to_owned())
    };
    if let Some(word) = concurrent(&gone).or_else(|| concurrent(&new)) {
        found.push((CONCURRENCY, format!("alters what runs at once or waits: {word}")));
    }
    let weighty = found.iter().any(|(weight, _)| *weight >= CODE_CHANGED);
    if removed.is_empty() && !weighty {
        let checks = added.iter().filter(|line| is_check(line)).count();
        let acts = after.calls.iter().any(|call| !call.is_near());
        found.push(if checks > 0 && !acts {
            (CHECK_ADDED, "adds a check".into())
        } else {
            (CODE_ADDED, "adds code".into())
        });
    } else if !weighty && !helpers.is_empty() && !removed.is_empty() {
        let name = helpers[0].shown();
        return vec![(EXTRACTED, format!("puts what it takes away into {name}"))];
    } else if found.is_empty() {
        found.push((CODE_CHANGED, "changes what runs".into()));
    }
    found
}

fn lines_of<'d>(hunk: &Hunk<'d>, configuration: bool, left_out: &mut LeftOut) -> Lines<'d> {
    let mut side = |lines: &[&'d str]| {
        let mut out: Vec<Vec<Token<'d>>> = Vec::new();
        let mut depth = 0_i32;
        for line in lines {
            let line = tokens(line);
            if line.is_empty() {
                continue;
            }
            if depth > 0 || (!configuration && logs(&line)) {
                left_out.logs = true;
                depth = (depth + balance(&line)).max(0);
                continue;
            }
            if !configuration && imports(&line) {
                left_out.imports = true;
                continue;
            }
            // A lone bracket says nothing.
            if line.iter().any(|token| token.kind != Kind::Sign) {
                out.push(line);
            }
        }
        out
    };
    Lines { removed: side(&hunk.removed), added: side(&hunk.added), configuration }
}

/// Whether a line does nothing but log.
fn logs(line: &[Token<'_>]) -> bool {
    let first = line.iter().take(3).find(|token| LOGGERS.contains(&token.text));
    let calls = |name: &str| {
        line.iter()
            .position(|token| token.text == name)
            .is_some_and(|at| line.get(at + 1).is_some_and(|next| matches!(next.text, "." | "(" | "!" | "::" | "->")))
    };
    let stops = line.iter().any(|token| matches!(token.text, "Fatal" | "Fatalf" | "Panic" | "fatal" | "exit"));
    let starts = line.first().is_some_and(|token| token.kind == Kind::Word);
    starts
        && !stops
        && first.is_some_and(|token| calls(token.text))
        && !line.iter().take(4).any(|t| matches!(t.text, "=" | ":="))
}

fn balance(line: &[Token<'_>]) -> i32 {
    line.iter().fold(0, |depth, token| depth + i32::from(token.text == "(") - i32::from(token.text == ")"))
}

fn imports(line: &[Token<'_>]) -> bool {
    let lone_path = line.len() == 1 && line[0].kind == Kind::Text && line[0].text.len() > 2;
    lone_path
        || line.first().is_some_and(|token| IMPORTS.contains(&token.text))
        || (line.len() >= 3 && line[0].text == "#" && line[1].text == "include")
}

/// Tokens of `these` beyond those of `others`; brackets and separators do not count.
fn surplus<'t>(these: &[Vec<Token<'t>>], others: &[Vec<Token<'t>>]) -> BTreeMap<&'t str, usize> {
    let told = |token: &&Token<'t>| {
        token.kind != Kind::Sign || !matches!(token.text, "(" | ")" | "{" | "}" | "[" | "]" | "," | ";" | "." | ":")
    };
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for token in these.iter().flatten().filter(told) {
        *counts.entry(token.text).or_default() += 1;
    }
    for token in others.iter().flatten().filter(told) {
        if let Some(count) = counts.get_mut(token.text) {
            *count -= 1;
        }
    }
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(text, count)| (text, count as usize)).collect()
}

/// A consistent renaming that explains all there is: of a name that the diff itself defines, old and new. What is
/// defined elsewhere under another name is another thing.
fn renamed<'t>(
    turned: &[Turned<'t>],
    removed: &[Vec<Token<'t>>],
    added: &[Vec<Token<'t>>],
    before: &Uses<'t>,
    after: &Uses<'t>,
) -> Option<(&'t str, &'t str)> {
    let names = pairs::renames(turned)?;
    let counted = |lines: &[Vec<Token<'_>>]| lines.iter().map(Vec::len).sum::<usize>();
    let known = names.iter().all(|(from, to)| before.defined.contains(from) && after.defined.contains(to));
    let whole = removed.len() == added.len() && counted(removed) == counted(added);
    (known && whole).then(|| names.into_iter().next()).flatten()
}

/// Whether nothing is called on other things that was not called before.
fn acts_no_more(before: &Uses<'_>, after: &Uses<'_>) -> bool {
    after.calls.iter().all(|call| {
        call.is_near()
            || call.receiver.contains('…')
            || is_still(call, &before.calls)
            || after.defined.contains(call.name)
    })
}

/// What one pair of lines tells.
fn told(turned: &Turned<'_>) -> Option<(f64, String)> {
    Some(match turned {
        Turned::Figure { name, from, to, ratio } => {
            let far = ratio.map_or(1.0, |ratio| ratio.abs().max(1e-9).ln().abs());
            // A tenth more or less seldom tips a system; ten times does.
            let weight = if far < 0.3 {
                0.7
            } else if far < 0.75 {
                1.3
            } else {
                2.0
            };
            let way = match ratio {
                Some(ratio) if *ratio < 1.0 => "lowers",
                Some(ratio) if *ratio > 1.0 => "raises",
                _ => "alters",
            };
            (weight, format!("{way} a figure: {name} {from} → {to}"))
        }
        Turned::Switch { name, from, to } => (SWITCH, format!("flips {name}: {from} → {to}")),
        Turned::Value { name, from, to } if is_version(from) && is_version(to) => {
            (VERSION, format!("alters a version: {name} {from} → {to}"))
        }
        Turned::Value { name, from, to } => (VALUE, format!("alters a setting: {name} {from} → {to}")),
        Turned::Text { from, to } if is_version(from) && is_version(to) => {
            (VERSION, format!("alters a version only: {from} → {to}"))
        }
        // Prose is read by people; a name is read by programs.
        Turned::Text { from, .. } if from.contains(' ') => return None,
        Turned::Text { from, to } => (TEXT, format!("alters a name in quotes: {from} → {to}")),
        Turned::Condition { from, to } => (CONDITION, format!("alters a condition: {from} → {to}")),
        Turned::Word { .. } => return None,
    })
}

fn is_version(text: &str) -> bool {
    let inner = text.trim_matches(['"', '\'', '`']).trim_start_matches(['v', 'V', '^', '~']);
    inner.split(['.', '-']).count() >= 2
        && inner.starts_with(|c: char| c.is_ascii_digit())
        && inner.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
}

/// New calls of helpers: near ones that are no other operation of an object whose operation went.
fn helpers<'u, 't>(before: &Uses<'t>, after: &'u Uses<'t>) -> Vec<&'u Call<'t>> {
    after
        .calls
        .iter()
        .filter(|call| call.is_near() && before.calls.iter().all(|old| old.name != call.name))
        .filter(|call| {
            let exchanged = |old: &Call<'_>| {
                !call.receiver.is_empty() && old.receiver == call.receiver && !is_still(old, &after.calls)
            };
            !before.calls.iter().any(exchanged)
        })
        .collect()
}

fn is_still(call: &Call<'_>, calls: &[Call<'_>]) -> bool {
    calls.iter().any(|other| other.name == call.name)
}

/// Words that the helpers work with, and words that went together with what the helpers took in.
struct TakenIn<'t> {
    given: BTreeSet<&'t str>,
    gone: BTreeSet<&'t str>,
}

impl TakenIn<'_> {
    /// Whether a line or call of these operands went into a helper: it shares something that the helper is given, or
    /// everything it worked with has left the code with it.
    fn holds(&self, operands: &BTreeSet<&str>) -> bool {
        !self.given.is_empty()
            && (operands.iter().any(|word| self.given.contains(word))
                || operands.iter().all(|word| self.gone.contains(word)))
    }
}

fn taken_in<'t>(helpers: &[&Call<'t>], added: &[Vec<Token<'t>>], gone: &BTreeSet<&'t str>) -> TakenIn<'t> {
    let mut given: BTreeSet<&str> = helpers.iter().flat_map(|call| call.operands.iter().copied()).collect();
    for call in helpers {
        given.remove(call.name);
    }
    let still: BTreeSet<&str> = added.iter().flatten().map(|token| token.text).collect();
    TakenIn { given, gone: gone.iter().copied().filter(|word| !still.contains(word)).collect() }
}

fn call_effects(before: &Uses<'_>, after: &Uses<'_>, taken_in: &TakenIn<'_>, found: &mut Vec<(f64, String)>) {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for call in &before.calls {
        let count = |calls: &[Call<'_>]| calls.iter().filter(|one| one.name == call.name).count();
        if count(&before.calls) <= count(&after.calls) || !told.insert(call.name) {
            continue;
        }
        let exchanged = after.calls.iter().find(|new| {
            new.receiver == call.receiver
                && !call.receiver.is_empty()
                && !call.receiver.contains('…')
                && !is_still(new, &before.calls)
        });
        if let Some(new) = exchanged.filter(|_| !is_still(call, &after.calls)) {
            found.push((CALL_EXCHANGED, format!("calls {} instead of {}", new.shown(), call.shown())));
        } else if taken_in.holds(&call.operands) || call.receiver.contains('…') {
        } else if parts(call.name).iter().any(|part| RELEASING.contains(&part.as_str())) {
            found.push((RELEASE_GONE, format!("no longer calls {}", call.shown())));
        } else {
            found.push((CALL_GONE, format!("removes a call: {}", call.shown())));
        }
    }
}

/// Whether a line begins with a check.
fn is_check(line: &[Token<'_>]) -> bool {
    line.iter().take(3).any(|token| {
        matches!(
            token.text,
            "if" | "elif" | "unless" | "assert" | "guard" | "require" | "catch" | "except" | "rescue" | "when"
        )
    })
}

fn check_effects(
    removed: &[Vec<Token<'_>>],
    added: &[Vec<Token<'_>>],
    taken_in: &TakenIn<'_>,
    found: &mut Vec<(f64, String)>,
) {
    let checks = |lines: &[Vec<Token<'_>>]| lines.iter().filter(|line| is_check(line)).count();
    if checks(removed) <= checks(added) {
        return;
    }
    let kept: BTreeSet<BTreeSet<&str>> = added.iter().filter(|l| is_check(l)).map(|l| calls::operands(l)).collect();
    let lost = removed.iter().filter(|line| is_check(line)).find(|line| {
        let operands = calls::operands(line);
        !kept.contains(&operands) && !taken_in.holds(&operands)
    });
    if let Some(line) = lost {
        let text: Vec<&str> = line.iter().take(12).map(|token| token.text).collect();
        found.push((CHECK_GONE, format!("removes a check: {}", text.join(" ").replace(" . ", "."))));
    }
}

/// Words in capitals of queries, strings included, with how often each is there.
fn clauses<'t>(lines: &[Vec<Token<'t>>]) -> BTreeMap<&'t str, usize> {
    let mut out = BTreeMap::new();
    for token in lines.iter().flatten().filter(|token| token.kind != Kind::Sign) {
        for word in token.text.split(|c: char| !c.is_ascii_alphabetic()) {
            if CLAUSES.contains(&word)
                || SCHEMA.contains(&word)
                || matches!(word, "SELECT" | "FROM" | "INSERT" | "DELETE" | "CREATE")
            {
                *out.entry(word).or_default() += 1;
            }
        }
    }
    out
}

fn query_effects(removed: &[Vec<Token<'_>>], added: &[Vec<Token<'_>>], found: &mut Vec<(f64, String)>) {
    let (before, after) = (clauses(removed), clauses(added));
    let count = |side: &BTreeMap<&str, usize>, word: &str| side.get(word).copied().unwrap_or(0);
    if let Some(word) = SCHEMA.iter().find(|word| count(&after, word) > count(&before, word)) {
        found.push((QUERY_ALTERED, format!("alters the schema: {word}")));
        return;
    }
    if let Some(word) = CLAUSES.iter().find(|word| count(&before, word) > count(&after, word)) {
        let what = if *word == "INDEX" { "drops an index".into() } else { format!("drops {word} from a query") };
        found.push((QUERY_ALTERED, what));
    } else if count(&after, "SELECT") > count(&before, "SELECT") || count(&after, "FROM") > count(&before, "FROM") {
        found.push((QUERY_ADDED, "adds a query".into()));
    } else if let Some(word) = CLAUSES.iter().find(|word| count(&after, word) > count(&before, word)) {
        found.push((CALL_EXCHANGED, format!("adds {word} to a query")));
    }
}

/// A call of something else that was not made before, inside a loop that the hunk adds or rewrites.
fn call_in_loop<'t>(hunks: &[Lines<'t>], before: &Uses<'t>) -> Option<Call<'t>> {
    hunks.iter().find_map(|hunk| {
        let start = hunk.added.iter().position(|line| {
            line.iter().any(|token| matches!(token.text, "for" | "foreach" | "while" | "forEach" | "each"))
        })?;
        calls::uses(&hunk.added[start..]).calls.into_iter().find(|call| {
            let outside = call.receiver.contains('.') && !call.receiver.contains('…');
            outside && !is_still(call, &before.calls)
        })
    })
}

/// Other versions of what it depends on: by the largest step.
fn dependencies(patches: &[Patch<'_>]) -> (f64, String) {
    let mut step = 0;
    for hunk in patches.iter().filter(|patch| patch.ground() == Ground::Dependencies).flat_map(|patch| &patch.hunks) {
        for (old, new) in hunk.removed.iter().zip(&hunk.added) {
            step = step.max(match (version_in(old), version_in(new)) {
                (Some(a), Some(b)) if a.first() != b.first() => 3,
                (Some(a), Some(b)) if a.get(1) != b.get(1) => 2,
                _ => 1,
            });
        }
        if hunk.removed.len() != hunk.added.len() {
            step = step.max(2);
        }
    }
    match step {
        3 => (1.2, "moves a dependency to another major version".into()),
        2 => (0.6, "moves or adds a dependency".into()),
        _ => (VERSION, "moves dependencies to a patch version".into()),
    }
}

fn version_in(line: &str) -> Option<Vec<u64>> {
    line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | '^' | '~' | ':' | ',' | '<' | '>'))
        .rev()
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .map(|word| word.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect())
}

/// Words of a summary that speak of looks, tests, papers or pipelines.
const COSMETIC: &[&str] = &[
    "docs",
    "doc:",
    "restyle",
    "typo",
    "style:",
    "test:",
    "tests",
    "readme",
    "changelog",
    "palette",
    "codeowners",
    "ci:",
    "gofmt",
    "lint",
    "comment",
    "tooltip",
    "wording",
    "#ci",
    "golden files",
    "illustration",
];

/// Where there is no diff, what the summary says of the change, with the reason.
pub(super) fn of_summary(summary: &str) -> (f64, Option<&'static str>) {
    let lower = summary.to_ascii_lowercase();
    if COSMETIC.iter().any(|word| lower.contains(word)) {
        (EXTRACTED, Some("is by its summary a matter of looks, tests or papers"))
    } else {
        (1.0, None)
    }
}
