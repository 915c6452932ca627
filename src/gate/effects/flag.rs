//! One flag of an effect table: how it is written there, and what it says once it is given.

use crate::domain::action::Effect;

/// How a flag takes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    Switch,
    Value,
    Attached,
    Many,
}

/// One flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) names: Vec<String>,
    pub(super) arity: Arity,
    values: Option<Vec<String>>,
    pub(super) raises: Option<Effect>,
    pub(super) tags: Vec<String>,
}

/// A flag as it was given.
#[derive(Debug)]
pub(super) struct Given<'t> {
    pub(super) spec: &'t Flag,
    /// As written.
    pub(super) name: String,
    pub(super) value: Option<String>,
    /// What it raises the effect to.
    pub(super) raises: Option<Effect>,
}

const TAGS: [&str; 16] = [
    "namespace",
    "all-namespaces",
    "all",
    "selector",
    "context",
    "identity",
    "user",
    "secret",
    "recursive",
    "path",
    "manifest",
    "endpoint",
    "dry-run",
    "help",
    "lists",
    "redirect",
];

impl Flag {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("flag `{text}`: {what}");
        let end = text.find(['=', '@', '!']).unwrap_or(text.len());
        let names: Vec<String> = text[..end].split('|').map(str::to_owned).collect();
        if names.iter().any(|name| !name.starts_with('-') || name.len() < 2) {
            return Err(wrong("a name starts with a dash"));
        }
        let mut rest = &text[end..];
        let mut flag = Self { names, arity: Arity::Switch, values: None, raises: None, tags: Vec::new() };
        if let Some(after) = rest.strip_prefix('=') {
            (flag.arity, rest) = match after.chars().next() {
                Some('?') => (Arity::Attached, &after[1..]),
                Some('+') => (Arity::Many, &after[1..]),
                _ => (Arity::Value, after),
            };
            if let Some(set) = rest.strip_prefix('{') {
                let close = set.rfind('}').ok_or_else(|| wrong("the list of values is not closed"))?;
                flag.values = Some(set[..close].split(',').map(str::to_owned).collect());
                rest = &set[close + 1..];
            }
        }
        while let Some(sign) = rest.chars().next() {
            let word_end = rest[1..].find(['@', '!']).map_or(rest.len(), |at| at + 1);
            let word = &rest[1..word_end];
            rest = &rest[word_end..];
            match (sign, word) {
                ('!', "mutate") => flag.raises = Some(Effect::Mutate),
                ('!', "destroy") => flag.raises = Some(Effect::Destroy),
                ('!', "opaque") => flag.raises = Some(Effect::Opaque),
                ('@', tag) if TAGS.contains(&tag) => flag.tags.push(tag.to_owned()),
                _ => return Err(wrong("not understood")),
            }
        }
        Ok(flag)
    }

    pub(super) fn list(text: &str) -> Result<Vec<Self>, String> {
        text.split_whitespace().map(Self::parse).collect()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether `value` is one of a closed list: such a word names nothing.
    pub(super) fn lists(&self, value: &str) -> bool {
        self.values.as_ref().is_some_and(|values| values.iter().any(|known| known == value))
    }

    /// The flag as given. With a list of values, `!` speaks of the values outside it.
    pub(super) fn given(&self, name: &str, value: Option<String>) -> Given<'_> {
        let raises = match (&self.values, &value) {
            (Some(values), Some(value)) => {
                (!values.iter().any(|pattern| fits(pattern, value))).then(|| self.raises.unwrap_or(Effect::Opaque))
            }
            (Some(_), None) if self.arity == Arity::Attached => None,
            _ => self.raises,
        };
        Given { spec: self, name: name.to_owned(), value, raises }
    }
}

/// Whether a value fits a pattern: by its beginning with `*`, digits for `#`, else exactly.
pub(super) fn fits(pattern: &str, value: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => value.starts_with(start),
        None if pattern == "#" => !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()),
        None => pattern == value,
    }
}
