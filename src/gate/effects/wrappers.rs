//! Programs that run another program. Unwrapped only when it is certain what they run; never does a wrapper make a
//! command look better than the command inside.

use super::{CommandFacts, Effect, Surroundings, Understood, base_name, facts, hosts, understand_at};
use crate::gate::lexer;

/// Wrappers understood here. Those with verbs (`kubectl exec`, `docker exec`) have tables.
pub(super) const NAMES: [&str; 11] =
    ["doas", "env", "ionice", "nice", "nohup", "ssh", "stdbuf", "sudo", "time", "timeout", "watch"];

/// How a wrapper reads its own arguments, which all stand before the inner command.
struct Form {
    /// Switches that change nothing of interest.
    switches: &'static [&'static str],
    /// Flags with a value, attached or the next word.
    values: &'static [&'static str],
    /// Operands before the inner command.
    operands: usize,
    /// Whether the words are joined and split again by a shell on the way.
    joined: bool,
    /// What to say.
    note: &'static str,
}

fn form(name: &str) -> Form {
    let plain = Form { switches: &[], values: &[], operands: 0, joined: false, note: "" };
    match name {
        "sudo" => Form {
            switches: &["-n", "--non-interactive", "-H", "--set-home"],
            values: &["-u", "--user", "-g", "--group"],
            note: "wrapped by sudo: with the rights of another user",
            ..plain
        },
        "doas" => Form {
            switches: &["-n"],
            values: &["-u"],
            note: "wrapped by doas: with the rights of another user",
            ..plain
        },
        // It gives its words to a shell, again and again.
        "watch" => Form {
            switches: &[
                "-d",
                "--differences",
                "-t",
                "--no-title",
                "-g",
                "--chgexit",
                "-e",
                "--errexit",
                "-b",
                "--beep",
                "-c",
                "--color",
            ],
            values: &["-n", "--interval"],
            joined: true,
            note: "repeated by watch",
            ..plain
        },
        "timeout" => Form {
            switches: &["--preserve-status", "--foreground", "-v", "--verbose"],
            values: &["-k", "--kill-after", "-s", "--signal"],
            operands: 1,
            note: "wrapped by timeout",
            ..plain
        },
        "nice" => Form { values: &["-n", "--adjustment"], note: "wrapped by nice", ..plain },
        "ionice" => Form {
            switches: &["-t", "--ignore"],
            values: &["-c", "--class", "-n", "--classdata"],
            note: "wrapped by ionice",
            ..plain
        },
        "nohup" => Form { note: "wrapped by nohup: may outlive this program", ..plain },
        "stdbuf" => {
            Form { values: &["-i", "--input", "-o", "--output", "-e", "--error"], note: "wrapped by stdbuf", ..plain }
        }
        "time" => Form { switches: &["-p"], note: "wrapped by time", ..plain },
        "env" => Form {
            switches: &["-i", "--ignore-environment"],
            values: &["-u", "--unset"],
            note: "wrapped by env",
            ..plain
        },
        // `-o`, `-F`, `-J`, `-E`, `-L`, `-R`, `-D` and the like redirect or execute; they are left out on purpose.
        _ => Form {
            switches: &["-4", "-6", "-C", "-n", "-q", "-T", "-v", "-x"],
            values: &["-l", "-p"],
            operands: 1,
            joined: true,
            note: "runs on another host",
        },
    }
}

pub(super) fn understand(name: &str, argv: &[String], depth: usize, around: Surroundings<'_>) -> Understood {
    let form = form(name);
    let mut at = 1;
    let mut own: Vec<String> = Vec::new();
    while let Some(word) = argv.get(at).filter(|word| word.starts_with('-')) {
        at += 1;
        if word == "--" {
            // What follows is the command; an operand before it would be taken for the command's name.
            if form.operands > 0 {
                return Understood::opaque(argv, format!("`--` after {name} is not understood"));
            }
            break;
        }
        if form.switches.contains(&word.as_str()) {
            continue;
        }
        let (flag, attached) = match word.split_once('=') {
            Some((flag, value)) if word.starts_with("--") => (flag, Some(value.to_owned())),
            _ if !word.starts_with("--") && word.len() > 2 && word.is_char_boundary(2) => {
                (&word[..2], Some(word[2..].to_owned()))
            }
            _ => (word.as_str(), None),
        };
        if !form.values.contains(&flag) {
            return Understood::opaque(argv, format!("the flag `{flag}` of {name} is not understood"));
        }
        match attached.or_else(|| argv.get(at).inspect(|_| at += 1).cloned()) {
            Some(value) => own.push(value),
            None => return Understood::opaque(argv, format!("the flag `{flag}` of {name} misses its value")),
        }
    }
    for _ in 0..form.operands {
        match argv.get(at).filter(|word| !word.starts_with('-')) {
            Some(word) => own.push(word.clone()),
            None => return Understood::opaque(argv, format!("{name} is not understood like this")),
        }
        at += 1;
    }
    let inner = argv.get(at..).unwrap_or_default();
    let Some(program) = inner.first() else {
        return bare(name, argv);
    };
    if program.starts_with('-') || program.contains('=') {
        let mut opaque = Understood::opaque(argv, format!("{name} sets `{program}` for the command"));
        opaque.facts.redirected = inner.iter().any(|word| facts::redirects(word));
        return opaque;
    }
    if name == "timeout" && !own.last().is_some_and(|span| is_span(span)) {
        return Understood::opaque(argv, "the time of timeout is not understood");
    }
    if form.joined && inner.iter().any(|word| lexer::join(std::slice::from_ref(word)) != *word) {
        return Understood::opaque(argv, format!("{name} gives its words to a shell, which would read them anew"));
    }
    let mut understood = Understood {
        program: name.to_owned(),
        verb: String::new(),
        effect: Effect::Read,
        reads_secrets: false,
        notes: Vec::new(),
        facts: CommandFacts::default(),
        operands: Vec::new(),
        words: own.clone(),
    };
    understood.note(form.note);
    if name == "ssh" {
        let host = own.last().map_or("", String::as_str);
        understood.note(format!("on {host}"));
        hosts::reaches(&mut understood, host, around.inventory);
    }
    absorb(&mut understood, inner, depth, around);
    understood
}

/// A wrapper with nothing inside.
fn bare(name: &str, argv: &[String]) -> Understood {
    match name {
        "env" if argv.len() == 1 => Understood {
            program: name.to_owned(),
            verb: String::new(),
            effect: Effect::Read,
            reads_secrets: true,
            notes: vec!["prints the whole environment".to_owned()],
            facts: CommandFacts::default(),
            operands: Vec::new(),
            words: Vec::new(),
        },
        _ => Understood::opaque(argv, format!("{name} runs a shell or nothing")),
    }
}

fn is_span(text: &str) -> bool {
    let number = text.strip_suffix(['s', 'm', 'h', 'd']).unwrap_or(text);
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Takes over what the inner command does: the effect is the worse of both, everything noticed is kept.
pub(super) fn absorb(outer: &mut Understood, inner: &[String], depth: usize, around: Surroundings<'_>) {
    let understood = understand_at(inner, depth + 1, around);
    outer.effect = outer.effect.max(understood.effect);
    outer.reads_secrets |= understood.reads_secrets;
    for note in understood.notes {
        outer.note(note);
    }
    facts::merge(&mut outer.facts, understood.facts);
    outer.words.extend(understood.words);
    if NAMES.contains(&outer.program.as_str()) {
        outer.program = understood.program;
        outer.verb = understood.verb;
        outer.operands = understood.operands;
    } else {
        outer.note(format!("runs {}", inner.first().map_or("", |program| base_name(program))));
        outer.operands.extend(understood.operands);
    }
}
