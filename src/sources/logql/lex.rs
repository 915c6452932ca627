//! Words of a LogQL expression.

use crate::sources::replay::ReplayError;

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Kinds of words.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A name or keyword.
    Word(String),
    /// A string literal, unquoted.
    Text(String),
    /// A number, with its unit when it has one: `5`, `1.5s`, `10KB`, `5m30s`.
    Number(String),
    /// An operator or bracket.
    Mark(&'static str),
}

/// Longest first.
const MARKS: [&str; 29] = [
    "|=", "|~", "!=", "!~", "=~", "==", ">=", "<=", "|>", "!>", "--", "{", "}", "(", ")", "[", "]", ",", "|", "=", ">",
    "<", "+", "-", "*", "/", "%", "^", ".",
];

pub(super) fn tokens(expr: &str) -> Result<Vec<Token>, ReplayError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = expr[at..].chars().next() {
        let start = at;
        let rest = &expr[at..];
        let kind = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '"' => {
                let (text, length) = quoted(rest)?;
                at += length;
                Kind::Text(text)
            }
            '`' => {
                let length = rest[1..].find('`').ok_or_else(|| unfinished(rest))?;
                at += length + 2;
                Kind::Text(rest[1..=length].to_owned())
            }
            c if c.is_ascii_digit() => {
                let length =
                    rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != 'µ').unwrap_or(rest.len());
                at += length;
                Kind::Number(rest[..length].to_owned())
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
                at += length;
                Kind::Word(rest[..length].to_owned())
            }
            c => {
                let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark)).ok_or_else(|| {
                    ReplayError::Wrong(format!(
                        "the expression does not parse: unexpected `{c}` at character {}",
                        at + 1
                    ))
                })?;
                at += mark.len();
                Kind::Mark(mark)
            }
        };
        out.push(Token { kind, start, end: at });
    }
    Ok(out)
}

fn unfinished(rest: &str) -> ReplayError {
    let shown: String = rest.chars().take(20).collect();
    ReplayError::Wrong(format!("the expression does not parse: the string {shown} has no end"))
}

/// A string in double quotes with Go's escapes, and its length in the source.
fn quoted(rest: &str) -> Result<(String, usize), ReplayError> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, at + 1)),
            '\\' => {
                let Some((_, escaped)) = chars.next() else { break };
                match escaped {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'x' | 'u' => {
                        let digits = if escaped == 'x' { 2 } else { 4 };
                        let hex: String = chars.by_ref().take(digits).map(|(_, digit)| digit).collect();
                        out.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
                    }
                    other => out.push(other),
                }
            }
            c => out.push(c),
        }
    }
    Err(unfinished(rest))
}
