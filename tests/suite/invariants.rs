//! The invariants that are listed at the head of the library, kept over the source tree itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Which rooms a room may import. The same table stands at the head of `src/lib.rs`; a test compares the two.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("analysis", &["domain"]),
    ("context", &["domain", "analysis"]),
    ("gate", &["domain"]),
    ("core", &["domain", "analysis", "context", "gate"]),
    ("ui", &["domain", "core"]),
    ("sources", &["domain"]),
    ("llm", &["domain", "context"]),
    ("copilot", &["domain", "analysis", "context", "gate", "llm", "sources", "prompts"]),
    ("prompts", &["domain"]),
    ("runner", &["domain", "gate"]),
    ("ledger", &["domain"]),
    ("terminal", &["domain"]),
    ("config", &["domain"]),
];

/// Rooms that decide and draw, but never do anything.
const PURE: &[&str] = &["domain", "analysis", "context", "gate", "core", "ui"];

/// What a pure room must not touch, with the reason shown on failure.
const IMPURE: &[(&str, &str)] = &[
    (r"\btokio\b", "an asynchronous runtime"),
    (r"\breqwest\b", "the network"),
    (r"\bstd::(fs|net|process|env|thread|io)\b", "the system"),
    (r"\bsqlx\b", "a database"),
    (r"\b(SystemTime|Instant)::now\b", "the clock"),
    (r"\b(Utc|Local)::now\b", "the clock"),
    (r"\b(println|eprintln|print|eprint|dbg)!", "the terminal"),
];

struct SourceFile {
    path: PathBuf,
    room: String,
    /// Without comments, and with string literals emptied.
    code: String,
    text: String,
}

fn source_files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let relative = path.strip_prefix(&root).unwrap().to_owned();
                let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
                let room = first.trim_end_matches(".rs").to_owned();
                files.push(SourceFile { code: code_only(&text), path: relative, room, text });
            }
        }
    }
    assert!(files.len() > 20, "the source tree was not found");
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Removes comments and the content of string and character literals, keeping line numbers.
fn code_only(text: &str) -> String {
    let token = Regex::new(
        r##"(?s)//[^\n]*|/\*.*?\*/|b?r#"(?:.*?)"#|b?r"[^"]*"|b?"(?:\\.|[^"\\])*"|b?'(?:\\(?:u\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|.)|[^'\\])'"##,
    )
    .unwrap();
    token
        .replace_all(text, |found: &regex::Captures<'_>| {
            let lines = found[0].matches('\n').count();
            format!("\"\"{}", "\n".repeat(lines))
        })
        .into_owned()
}

fn line_of(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count() + 1
}

fn assert_none(broken: &[String], what: &str) {
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

#[test]
fn rooms_import_only_what_the_map_allows() {
    let table: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let path = Regex::new(r"\bcrate::(?:(\w+)|\{([^;]*?)\}\s*;)|\b((?:super::)+)(\w+)").unwrap();
    let word = Regex::new(r"(?:^|,)\s*(\w+)").unwrap();
    let mut broken = Vec::new();
    for file in source_files() {
        let Some(allowed) = table.get(file.room.as_str()) else { continue };
        let depth = file.path.components().count() - usize::from(file.path.ends_with("mod.rs"));
        let mut check = |room: &str, offset: usize| {
            if table.contains_key(room) || room == "app" {
                let fine = room == file.room || allowed.contains(&room);
                if !fine {
                    broken.push(format!("{}:{} imports {room}", file.path.display(), line_of(&file.code, offset)));
                }
            }
        };
        for found in path.captures_iter(&file.code) {
            let offset = found.get(0).unwrap().start();
            if let Some(room) = found.get(1) {
                check(room.as_str(), offset);
            } else if let Some(group) = found.get(2) {
                for room in word.captures_iter(group.as_str()) {
                    check(&room[1], offset);
                }
            } else if found[3].matches("super").count() >= depth {
                check(&found[4], offset);
            }
        }
    }
    assert_none(&broken, "imports that the map at the head of lib.rs does not allow");
}

#[test]
fn the_map_in_the_library_is_the_one_tested() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for (room, allowed) in MAY_IMPORT {
        let row = map.lines().find(|line| line.starts_with(&format!("//! | [`{room}`]"))).expect(room);
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let expected = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
        assert_eq!(cell, expected, "the row of {room}");
    }
}

#[test]
fn pure_rooms_touch_no_system_and_read_no_clock() {
    let mut broken = Vec::new();
    for (pattern, what) in IMPURE {
        let pattern = Regex::new(pattern).unwrap();
        for file in source_files().iter().filter(|file| PURE.contains(&file.room.as_str())) {
            for found in pattern.find_iter(&file.code) {
                let line = line_of(&file.code, found.start());
                broken.push(format!("{}:{line} touches {what}: {}", file.path.display(), found.as_str()));
            }
        }
    }
    assert_none(&broken, "pure rooms do no IO");
}

#[test]
fn only_the_runner_starts_processes_and_only_the_app_makes_a_runner() {
    let spawn = Regex::new(r"\bCommand::new\b|\bprocess::Command\b|\.exec\(\)").unwrap();
    let make = Regex::new(r"\bRunner::(new|start|default)\b|\brunner::start\b").unwrap();
    let mut broken = Vec::new();
    for file in source_files() {
        // The credential helper of `config` prints a secret; it is configured by the operator and given no input.
        let may_spawn = file.room == "runner" || file.path.ends_with("config/secrets.rs");
        // `$EDITOR` is opened on the operator's key press, on a temporary copy of what is shown.
        let may_spawn = may_spawn || file.path.ends_with("app/tui/editor.rs");
        if let Some(found) = spawn.find(&file.code).filter(|_| !may_spawn && !file.code.contains("clap::Command")) {
            broken.push(format!("{}:{} starts a process", file.path.display(), line_of(&file.code, found.start())));
        }
        if let Some(found) = make.find(&file.code).filter(|_| !matches!(file.room.as_str(), "app" | "runner")) {
            broken.push(format!("{}:{} makes a runner", file.path.display(), line_of(&file.code, found.start())));
        }
    }
    assert_none(&broken, "who may start a process");
}

#[test]
fn nothing_is_handed_to_a_shell() {
    let shell = Regex::new(r#"Command::new\(\s*"(?:/\w+)*/?(?:ba|da|z|k|fi)?sh""#).unwrap();
    let broken: Vec<String> = source_files()
        .iter()
        .filter(|file| shell.is_match(&file.text))
        .map(|file| format!("{} starts a shell", file.path.display()))
        .collect();
    assert_none(&broken, "no line is handed to a shell");
}

#[test]
fn the_clock_is_read_in_one_place() {
    let clock = Regex::new(r"\b(?:Utc|Local)::now\b|\bSystemTime::now\b").unwrap();
    let broken: Vec<String> = source_files()
        .iter()
        .filter(|file| !file.path.ends_with("app/clock.rs") && clock.is_match(&file.code))
        .map(|file| file.path.display().to_string())
        .collect();
    assert_none(&broken, "wall-clock time is read outside app/clock.rs");
}

#[test]
fn files_are_rooms_not_halls() {
    let broken: Vec<String> = source_files()
        .iter()
        .filter(|file| file.text.lines().count() > 800)
        .map(|file| format!("{}: {} lines", file.path.display(), file.text.lines().count()))
        .collect();
    assert_none(&broken, "files over 800 lines; split them along the domain");
}

#[test]
fn only_masking_makes_text_that_may_leave() {
    let make = Regex::new(r"\bOutgoing::masked\b").unwrap();
    let broken: Vec<String> = source_files()
        .iter()
        .filter(|file| {
            file.room != "context" && !file.path.ends_with("domain/outgoing.rs") && make.is_match(&file.code)
        })
        .map(|file| format!("{} declares text to be masked", file.path.display()))
        .collect();
    assert_none(&broken, "who may say that text is masked");
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}
