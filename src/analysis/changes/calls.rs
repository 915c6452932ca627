//! Calls and definitions in tokens, whatever the language.

use std::collections::BTreeSet;

use super::tokens::{Kind, Token};

/// Words that stand before a bracket without being called.
const CONTROL: &[&str] = &[
    "if",
    "else",
    "for",
    "foreach",
    "while",
    "switch",
    "match",
    "return",
    "catch",
    "except",
    "elif",
    "unless",
    "until",
    "when",
    "with",
    "and",
    "or",
    "not",
    "in",
    "is",
    "sizeof",
    "typeof",
    "func",
    "function",
    "def",
    "fn",
    "sub",
    "lambda",
    "await",
    "yield",
    "throw",
    "raise",
    "assert",
    "case",
    "using",
    "lock",
    "synchronized",
    "new",
    "go",
    "defer",
    "var",
    "let",
    "const",
    "val",
    "end",
    "do",
    "then",
    "import",
    "from",
    "where",
    "values",
    "into",
    "super",
    "select",
    "range",
];
/// Words that begin a definition.
const DEFINING: &[&str] = &["func", "function", "def", "fn", "sub", "fun", "proc", "method"];
/// Words in front of a name that is called, not defined.
const BEFORE_CALL: &[&str] = &[
    "return", "await", "new", "yield", "throw", "raise", "assert", "go", "defer", "in", "not", "and", "or", "else",
    "case", "do", "then", "if", "while", "when", "is", "async",
];
/// Words every program is full of: they tie no two lines together.
const COMMON: &[&str] = &[
    "err",
    "error",
    "nil",
    "null",
    "none",
    "None",
    "ctx",
    "true",
    "false",
    "True",
    "False",
    "this",
    "self",
    "i",
    "_",
    "ok",
    "e",
    "ex",
    "undefined",
    "void",
    "int",
    "string",
    "String",
    "bool",
];

/// Short names that are no object of the code's own.
const STORES: &[&str] = &["db", "tx", "os", "io", "fs", "rx", "s3", "mq", "pg"];

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call<'t> {
    /// Name of what is called.
    pub(super) name: &'t str,
    /// What it is called on: `w.db` of `w.db.PutItem()`; empty for none.
    pub(super) receiver: String,
    /// Words of its line that are not common: what it works with.
    pub(super) operands: BTreeSet<&'t str>,
}

impl Call<'_> {
    /// Whether it may be a helper of the same code: called on nothing, or on the object itself.
    pub(super) fn is_near(&self) -> bool {
        let own = matches!(self.receiver.as_str(), "self" | "this" | "cls" | "super" | "Self");
        let short = self.receiver.len() <= 2 && !STORES.contains(&self.receiver.as_str());
        self.receiver.is_empty() || own || short
    }

    /// As people write it.
    pub(super) fn shown(&self) -> String {
        let dot = if self.receiver.is_empty() { "" } else { "." };
        format!("{}{dot}{}()", self.receiver, self.name)
    }
}

/// What the lines call and define.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Uses<'t> {
    /// Calls in order.
    pub(super) calls: Vec<Call<'t>>,
    /// Names defined or assigned.
    pub(super) defined: BTreeSet<&'t str>,
}

/// Reads lines of tokens.
pub(super) fn uses<'t>(lines: &[Vec<Token<'t>>]) -> Uses<'t> {
    let mut out = Uses::default();
    for line in lines {
        let mut definition = line.iter().take(4).any(|token| DEFINING.contains(&token.text));
        let operands = operands(line);
        for (at, token) in line.iter().enumerate() {
            if token.kind != Kind::Word {
                continue;
            }
            let before = at.checked_sub(1).map(|at| line[at]);
            let after = line.get(at + 1).map(|token| token.text);
            if assigned(line, at) {
                out.defined.insert(token.text);
            }
            let opens = after == Some("(") || (after == Some("[") && generic_call(&line[at + 1..]));
            if !opens || CONTROL.contains(&token.text) {
                continue;
            }
            let typed = before.is_some_and(|one| one.kind == Kind::Word && !BEFORE_CALL.contains(&one.text));
            if definition || typed {
                definition = false;
                out.defined.insert(token.text);
                continue;
            }
            out.calls.push(Call { name: token.text, receiver: receiver(line, at), operands: operands.clone() });
        }
    }
    out
}

/// Words of a line that tie it to others.
pub(super) fn operands<'t>(line: &[Token<'t>]) -> BTreeSet<&'t str> {
    line.iter()
        .filter(|token| token.kind == Kind::Word && !COMMON.contains(&token.text) && !CONTROL.contains(&token.text))
        .map(|token| token.text)
        .collect()
}

/// `name := …`, `name = …`, `let name`, `name: Type`, `name, err := …`, a parameter `name Type`.
fn assigned(line: &[Token<'_>], at: usize) -> bool {
    let after = line.get(at + 1).map(|token| token.text);
    let before = at.checked_sub(1).map(|at| line[at].text);
    let member = before.is_some_and(|sign| sign == "." || sign == "->");
    let declares = before.is_some_and(|word| {
        matches!(
            word,
            "var"
                | "let"
                | "const"
                | "val"
                | "mut"
                | "type"
                | "class"
                | "struct"
                | "enum"
                | "interface"
                | "for"
                | "def"
                | "func"
                | "fn"
                | "function"
                | "static"
                | "final"
        )
    });
    let listed = after == Some(",") && line.iter().any(|token| token.text == ":=");
    declares || (!member && (matches!(after, Some(":=" | "=")) || listed))
}

/// `[Type](`: a call with type arguments.
fn generic_call(rest: &[Token<'_>]) -> bool {
    let close = rest.iter().take(8).position(|token| token.text == "]");
    close.is_some_and(|close| rest.get(close + 1).is_some_and(|token| token.text == "("))
}

/// The chain in front of a name: `a.b` of `a.b.c(`.
fn receiver(line: &[Token<'_>], at: usize) -> String {
    let mut chain: Vec<&str> = Vec::new();
    let mut at = at;
    while at >= 2 && matches!(line[at - 1].text, "." | "->" | "::") && chain.len() < 6 {
        let before = line[at - 2];
        if before.kind != Kind::Word {
            // The result of another call: of no name.
            chain.push("…");
            break;
        }
        chain.push(before.text);
        at -= 2;
    }
    chain.reverse();
    chain.join(".")
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn of(lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let lines: Vec<Vec<Token<'_>>> = lines.iter().map(|line| tokens(line)).collect();
        let uses = uses(&lines);
        (uses.calls.iter().map(Call::shown).collect(), uses.defined.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn calls_and_definitions_are_told_apart() {
        assert_eq!(
            of(&["func (s *S) Run(ctx context.Context) error {", "\treq, err := decode[R](r)", "\tw.db.PutItem(ctx)"]),
            (vec!["decode()".into(), "w.db.PutItem()".into()], vec!["Run".into(), "err".into(), "req".into()])
        );
        assert_eq!(of(&["def close(self):", "    self.conn.release()"]).0, ["self.conn.release()"]);
        assert_eq!(of(&["private String name(int x) {", "return helper.of(x);"]).0, ["helper.of()"]);
        assert_eq!(of(&["if (ready()) {", "await fetchAll(ids)"]).0, ["ready()", "fetchAll()"]);
    }
}
