//! The form of the effect tables, and how arguments are read by them.
//!
//! A table says of one program which verbs it has, what they do, and which flags it takes. Flags are written as a
//! list of words, for example `-A|--all-namespaces@all-namespaces -n|--namespace=@namespace -o={json,yaml,jsonpath=*}`:
//!
//! - names, separated by `|`; `-NUM` stands for a number as in `head -5`, `-NUMf` for `tail -5f`;
//! - nothing for a switch, `=` for a value (attached or the next word), `=?` for a value that can only be attached,
//!   `=+` for one or more words up to the next flag;
//! - `{…}` for the values that are understood (`x*` by their beginning, `#` for digits); any other makes the command
//!   opaque, or what `!` says;
//! - `!mutate`, `!destroy`, `!opaque`: the command does at least this when the flag is given;
//! - `--ANY` for any long flag that is not listed, once the verb is whole; the flags listed after it are likewise only
//!   understood then, those before it also between the program and its verb;
//! - `@tag`: what the flag means (`namespace`, `all`, `selector`, `context`, `secret`, `endpoint`, `dry-run`, …);
//!   `lists` makes any number of operands patterns to look for.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::flag::{Arity, Flag, Given, fits};
use crate::domain::action::Effect;

/// How a program reads its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Style {
    /// `getopt_long`: short flags in clusters, long ones exactly, flags and operands mixed.
    #[default]
    Gnu,
    /// Go's pflag and kingpin: as `getopt_long`, and switches take `=true`.
    Go,
    /// Go's own flag package: `-name` and `--name` are the same, no clusters.
    Dash,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    program: Vec<RawTable>,
    /// What the tables must say of some lines.
    #[serde(default)]
    test: Tests,
}

/// Names of the programs of each table of a file.
#[cfg(test)]
pub(super) fn names(text: &str) -> Result<Vec<Vec<String>>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(file.program.into_iter().map(|table| table.names).collect())
}

/// Lines for the strict lexer by the effect that they must have.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tests {
    read: Vec<String>,
    /// Reads that show secrets.
    secrets: Vec<String>,
    mutate: Vec<String>,
    destroy: Vec<String>,
    opaque: Vec<String>,
}

impl Tests {
    /// Each line with its effect and, for reads, whether it shows secrets.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, Effect, Option<bool>)> {
        type Of<'a> = (&'a [String], Effect, Option<bool>);
        let of = [
            (&self.read[..], Effect::Read, Some(false)),
            (&self.secrets, Effect::Read, Some(true)),
            (&self.mutate, Effect::Mutate, None),
            (&self.destroy, Effect::Destroy, None),
            (&self.opaque, Effect::Opaque, None),
        ];
        of.into_iter()
            .flat_map(|(lines, effect, secrets): Of<'_>| lines.iter().map(move |line| (line.as_str(), effect, secrets)))
    }
}

/// The tests inside a file of tables.
pub(super) fn tests(text: &str) -> Result<Tests, String> {
    toml::from_str::<File>(text).map(|file| file.test).map_err(|error| error.to_string())
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    names: Vec<String>,
    #[serde(default)]
    style: Style,
    /// Whether the first operand ends the flags.
    #[serde(default)]
    posix: bool,
    /// Whether verbs are read without regard to case.
    #[serde(default)]
    fold_case: bool,
    /// Flags of every verb, also before the verb.
    #[serde(default)]
    flags: String,
    #[serde(rename = "group")]
    groups: Vec<RawGroup>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    /// Verbs, each one or more words; `|` within a word separates alternatives, `*` at the end stands for anything.
    /// Left out, or an empty text: the program without a verb.
    #[serde(default)]
    verbs: Vec<String>,
    effect: Effect,
    #[serde(default)]
    flags: String,
    /// Most operands.
    max: Option<usize>,
    /// The effect of more operands than `max`; opaque when left out.
    beyond: Option<Effect>,
    /// What operands may look like; others make the command opaque.
    operands: Option<Vec<String>>,
    /// What to say about it.
    note: Option<String>,
    /// Whether it reads secrets.
    #[serde(default)]
    secrets: bool,
    /// After this many operands the rest is another command, at the latest after `--`.
    inner: Option<usize>,
}

/// Verbs that do the same.
#[derive(Debug, Clone)]
pub(super) struct Group {
    verbs: Vec<Vec<String>>,
    pub(super) effect: Effect,
    flags: Vec<Flag>,
    max: Option<usize>,
    beyond: Effect,
    operands: Option<Vec<String>>,
    pub(super) note: Option<String>,
    pub(super) secrets: bool,
    inner: Option<usize>,
}

/// Everything known of one program.
#[derive(Debug, Clone)]
pub(super) struct Table {
    style: Style,
    posix: bool,
    fold_case: bool,
    flags: Vec<Flag>,
    groups: Vec<Group>,
}

/// Arguments, read.
#[derive(Debug)]
pub(super) struct Parsed<'t> {
    pub(super) group: &'t Group,
    pub(super) verb: String,
    pub(super) flags: Vec<Given<'t>>,
    pub(super) operands: Vec<String>,
    /// The command that this one runs.
    pub(super) inner: Option<&'t [String]>,
    /// The effect of having more operands than the verb takes.
    pub(super) beyond: Option<Effect>,
    /// Whether nothing but a text about the verb is asked for.
    pub(super) shows_help: bool,
}

impl Parsed<'_> {
    /// Values of the flag with this name, in their order; an empty text for a switch.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.flags
            .iter()
            .filter(move |flag| flag.spec.names.iter().any(|known| known == name))
            .map(|flag| flag.value.as_deref().unwrap_or_default())
    }

    /// Whether the flag with this name is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }
}

/// Reads tables. The error says which word of which program is wrong.
pub(super) fn load(files: &[&str]) -> Result<BTreeMap<String, Table>, String> {
    let mut tables = BTreeMap::new();
    for text in files {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        for raw in file.program {
            let label = raw.names.join(",");
            let table = Table::from_raw(&raw).map_err(|why| format!("{label}: {why}"))?;
            for name in raw.names {
                if tables.insert(name.clone(), table.clone()).is_some() {
                    return Err(format!("{name} has two tables"));
                }
            }
        }
    }
    Ok(tables)
}

impl Table {
    fn from_raw(raw: &RawTable) -> Result<Self, String> {
        let mut groups = Vec::new();
        for group in &raw.groups {
            groups.push(Group {
                verbs: if group.verbs.is_empty() {
                    vec![Vec::new()]
                } else {
                    group.verbs.iter().map(|verb| verb.split_whitespace().map(str::to_owned).collect()).collect()
                },
                effect: group.effect,
                flags: Flag::list(&group.flags)?,
                max: group.max,
                beyond: group.beyond.unwrap_or(Effect::Opaque),
                operands: group.operands.clone(),
                note: group.note.clone(),
                secrets: group.secrets,
                inner: group.inner,
            });
        }
        if groups.is_empty() {
            return Err("no groups".to_owned());
        }
        Ok(Self {
            style: raw.style,
            posix: raw.posix,
            fold_case: raw.fold_case,
            flags: Flag::list(&raw.flags)?,
            groups,
        })
    }

    /// The group with exactly this verb, and whether a longer verb begins with it. A verb spelled out goes before one
    /// with `*`.
    fn verb(&self, path: &[String]) -> (Option<&Group>, bool) {
        let fit = |verb: &[String]| {
            verb.iter().zip(path).all(|(words, word)| words.split('|').any(|pattern| fits(pattern, word)))
        };
        let mut exact: Option<(bool, &Group)> = None;
        let mut longer = false;
        for group in &self.groups {
            for verb in group.verbs.iter().filter(|verb| verb.len() >= path.len() && fit(verb)) {
                if verb.len() > path.len() {
                    longer = true;
                } else {
                    let literal = !verb.iter().any(|word| word.contains('*'));
                    if exact.is_none_or(|(best, _)| literal && !best) {
                        exact = Some((literal, group));
                    }
                }
            }
        }
        (exact.map(|(_, group)| group), longer)
    }

    /// Reads the arguments after the program's name. The error says what is not understood.
    pub(super) fn parse<'t>(&'t self, args: &'t [String]) -> Result<Parsed<'t>, String> {
        let mut path: Vec<String> = Vec::new();
        let (mut group, mut open) = self.verb(&path);
        let mut flags: Vec<Given<'t>> = Vec::new();
        let mut operands: Vec<String> = Vec::new();
        let mut inner = None;
        let mut at = 0;
        while at < args.len() {
            let word = &args[at];
            at += 1;
            if word == "--" {
                if group.is_none() {
                    return Err("`--` stands before the verb".to_owned());
                }
                if group.is_some_and(|group| group.inner.is_some()) {
                    inner = Some(&args[at..]);
                } else {
                    operands.extend_from_slice(&args[at..]);
                }
                break;
            }
            let flags_over = self.posix && (!path.is_empty() || !operands.is_empty());
            if word.len() > 1 && word.starts_with('-') && !flags_over {
                // A flag of unknown arity must not swallow a word of the verb.
                let whole = group.filter(|_| !open || !self.takes_any());
                at = self.flag(whole, args, at, &mut flags)?;
                continue;
            }
            if open {
                path.push(if self.fold_case { word.to_ascii_lowercase() } else { word.clone() });
                let (longer_group, longer_open) = self.verb(&path);
                if longer_group.is_some() || longer_open {
                    (group, open) = (longer_group, longer_open);
                    continue;
                }
                path.pop();
                // A verb that is not listed must not pass for the argument of the program without a verb.
                if group.is_none() || path.is_empty() {
                    let verb = [path.as_slice(), std::slice::from_ref(word)].concat().join(" ");
                    return Err(format!("the verb `{verb}` is not understood"));
                }
                open = false;
            }
            operands.push(word.clone());
            if let Some(after) = group.and_then(|group| group.inner).filter(|&after| after > 0)
                && operands.len() == after
                && at < args.len()
                && args[at] != "--"
                && !args[at].starts_with('-')
            {
                inner = Some(&args[at..]);
                break;
            }
        }
        let Some(group) = group else {
            return Err(if path.is_empty() {
                "a verb is missing".to_owned()
            } else {
                format!("the verb `{}` is not whole", path.join(" "))
            });
        };
        if group.inner.is_some() && inner.is_none_or(<[String]>::is_empty) {
            return Err("it starts a shell or an unknown command".to_owned());
        }
        if let Some(patterns) = &group.operands
            && let Some(odd) = operands.iter().find(|operand| !patterns.iter().any(|pattern| fits(pattern, operand)))
        {
            return Err(format!("the argument `{odd}` is not understood here"));
        }
        let lists = flags.iter().any(|flag| flag.spec.tags.iter().any(|tag| tag == "lists"));
        let beyond = (!lists && group.max.is_some_and(|max| operands.len() > max)).then_some(group.beyond);
        let shows_help = asks_for_help(args, &path, &operands, &flags);
        Ok(Parsed { group, verb: path.join(" "), flags, operands, inner, beyond, shows_help })
    }

    fn known<'t>(&'t self, group: Option<&'t Group>, name: &str) -> Option<&'t Flag> {
        let any = self.flags.iter().position(|flag| flag.is("--ANY")).filter(|_| group.is_none());
        let of_all = &self.flags[..any.unwrap_or(self.flags.len())];
        group
            .and_then(|group| group.flags.iter().find(|flag| flag.is(name)))
            .or_else(|| of_all.iter().find(|flag| flag.is(name)))
    }

    fn takes_any(&self) -> bool {
        self.flags.iter().any(|flag| flag.is("--ANY"))
    }

    /// Whether a name that no table lists is the beginning of one that is listed as dangerous: some programs accept
    /// that.
    fn abbreviates(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| {
            (flag.raises.is_some() || !flag.tags.is_empty()) && flag.names.iter().any(|known| known.starts_with(name))
        })
    }

    /// Reads the flag at `args[at - 1]`; the result is where to go on.
    fn flag<'t>(
        &'t self,
        group: Option<&'t Group>,
        args: &'t [String],
        mut at: usize,
        flags: &mut Vec<Given<'t>>,
    ) -> Result<usize, String> {
        let word = args[at - 1].as_str();
        let unknown = |name: &str| format!("the flag `{name}` is not understood");
        if word[1..].bytes().all(|b| b.is_ascii_digit())
            && let Some(spec) = self.known(group, word).or_else(|| self.known(group, "-NUM"))
            && spec.arity == Arity::Switch
        {
            flags.push(spec.given(word, None));
            return Ok(at);
        }
        // The old form of `tail -100f`.
        if let Some(digits) = word[1..].strip_suffix('f')
            && !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && let Some(spec) = self.known(group, "-NUMf")
        {
            flags.push(spec.given(word, None));
            return Ok(at);
        }
        if word.starts_with("--") || self.style == Style::Dash {
            let word = if self.style == Style::Dash { word.trim_start_matches('-') } else { &word[2..] };
            let (bare, attached) = match word.split_once('=') {
                Some((bare, value)) => (bare, Some(value.to_owned())),
                None => (word, None),
            };
            let name = if self.style == Style::Dash { format!("-{bare}") } else { format!("--{bare}") };
            let spec = self
                .known(group, &name)
                .or_else(|| self.known(group, "--ANY").filter(|_| !bare.is_empty() && !self.abbreviates(&name)))
                .ok_or_else(|| unknown(&name))?;
            at = self.take(spec, &name, attached, args, at, flags)?;
            return Ok(at);
        }
        let cluster: Vec<char> = word[1..].chars().collect();
        for (index, c) in cluster.iter().enumerate() {
            let name = format!("-{c}");
            let spec = self.known(group, &name).ok_or_else(|| unknown(&name))?;
            let rest: String = cluster[index + 1..].iter().collect();
            match spec.arity {
                Arity::Switch => {
                    if self.style == Style::Go && rest.starts_with('=') {
                        return Err(unknown(word));
                    }
                    flags.push(spec.given(&name, None));
                }
                Arity::Attached => {
                    flags.push(spec.given(&name, (!rest.is_empty()).then_some(rest)));
                    return Ok(at);
                }
                Arity::Value | Arity::Many => {
                    let rest = if self.style == Style::Go { rest.strip_prefix('=').unwrap_or(&rest) } else { &rest };
                    let attached = (!rest.is_empty()).then(|| rest.to_owned());
                    return self.take(spec, &name, attached, args, at, flags);
                }
            }
        }
        Ok(at)
    }

    fn take<'t>(
        &self,
        spec: &'t Flag,
        name: &str,
        attached: Option<String>,
        args: &'t [String],
        mut at: usize,
        flags: &mut Vec<Given<'t>>,
    ) -> Result<usize, String> {
        let next = |at: usize| args.get(at).cloned().ok_or_else(|| format!("the flag `{name}` misses its value"));
        match (spec.arity, attached) {
            (Arity::Switch, None) => flags.push(spec.given(name, None)),
            // Taken as given whatever it says: `--all=false` is no reason to think better of a command.
            (Arity::Switch, Some(value)) if self.style != Style::Gnu && ["true", "false"].contains(&value.as_str()) => {
                flags.push(spec.given(name, None));
            }
            (Arity::Switch, Some(_)) => return Err(format!("the flag `{name}` takes no value")),
            (Arity::Attached, value) => flags.push(spec.given(name, value)),
            (Arity::Value | Arity::Many, Some(value)) => flags.push(spec.given(name, Some(value))),
            (Arity::Value, None) => {
                let value = next(at)?;
                // Nobody writes that, except to make one reader take for a value what another takes for a flag.
                if value.starts_with('-') && value.len() > 1 && !value[1..].starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(format!("the value `{value}` of `{name}` looks like a flag"));
                }
                flags.push(spec.given(name, Some(value)));
                at += 1;
            }
            (Arity::Many, None) => {
                if args.get(at).is_none_or(|word| word.starts_with('-')) {
                    flags.push(spec.given(name, None));
                }
                while args.get(at).is_some_and(|word| !word.starts_with('-')) {
                    flags.push(spec.given(name, Some(next(at)?)));
                    at += 1;
                }
            }
        }
        Ok(at)
    }
}

/// Whether the last word asks for help and stands right after the verb. Elsewhere programs differ: some read no flags
/// after the first operand, some take `--help=false` back.
fn asks_for_help(args: &[String], path: &[String], operands: &[String], flags: &[Given<'_>]) -> bool {
    let Some((last, before)) = args.split_last() else { return false };
    let helps = |flag: &&Given<'_>| flag.spec.tags.iter().any(|tag| tag == "help");
    operands.is_empty()
        && flags.iter().filter(helps).count() == 1
        && flags.last().filter(helps).is_some_and(|flag| flag.value.is_none() && &flag.name == last)
        && before.last() == path.last()
}
