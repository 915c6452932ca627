//! The command palette: commands of the screen below, found by fuzzy match.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::command::{Command, Definition, offered, place_below};
use super::model::Model;

/// An entry of the palette.
pub struct Entry {
    /// The command.
    pub definition: &'static Definition,
    /// Why it is not possible now.
    pub disabled: Option<String>,
}

/// Entries for what was typed, best match first; with nothing typed the commands used last come first.
pub fn entries(model: &Model, typed: &str) -> Vec<Entry> {
    let place = place_below(model);
    if let Some((command, _)) = argument(typed) {
        let told = offered(place).filter(|definition| definition.command == command);
        return told.map(|definition| Entry { definition, disabled: (definition.why_not)(model) }).collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed.trim(), CaseMatching::Smart, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, usize, usize, &'static Definition)> = offered(place)
        .enumerate()
        .filter_map(|(position, definition)| {
            let used = model.history.iter().rev().position(|name| name == definition.name).unwrap_or(usize::MAX);
            if typed.trim().is_empty() {
                return Some((0, used, position, definition));
            }
            // The name counts more than the help line.
            let name = pattern.score(Utf32Str::new(definition.name, &mut buffer), &mut matcher).map(|score| score * 2);
            let help = pattern.score(Utf32Str::new(definition.help, &mut buffer), &mut matcher);
            name.max(help).map(|score| (score, used, position, definition))
        })
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    found.into_iter().map(|(_, _, _, definition)| Entry { definition, disabled: (definition.why_not)(model) }).collect()
}

/// What was typed after the name of a command that takes more than its name, once a space follows it.
pub fn argument(typed: &str) -> Option<(Command, &str)> {
    let with = |name: &str, command: Command| {
        let rest = typed.trim_start().strip_prefix(name)?.strip_prefix(' ')?;
        Some((command, rest.trim()))
    };
    with("baseline", Command::Baseline)
        .or_else(|| with("ask", Command::Ask).filter(|(_, question)| !question.is_empty()))
}

/// The definitions that the help overlay lists for what was typed.
pub fn help_entries(model: &Model, typed: &str) -> Vec<Entry> {
    offered(place_below(model))
        .filter(|definition| {
            super::list::contains(definition.help, typed)
                || super::list::contains(definition.name, typed)
                || definition.keys.iter().any(|key| key.to_string() == typed)
        })
        .map(|definition| Entry { definition, disabled: (definition.why_not)(model) })
        .collect()
}
