//! Splits a line of free text into argv: a small, strict part of what a shell does.
//!
//! Accepted are safe characters, `'…'`, and `"…"` without `$`, backtick, `\` and `!`. Whatever a shell would expand,
//! redirect, join, background or comment is refused, and so is every character outside printable ASCII: a look-alike
//! name must not pass for the real one. What is accepted splits exactly as bash splits it.

use super::{MAX_ARGUMENTS, MAX_COMMAND_BYTES};

/// Why a line was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    /// Nothing but blanks.
    #[error("the line is empty")]
    Empty,
    /// Longer than [`MAX_COMMAND_BYTES`], or more words than [`MAX_ARGUMENTS`].
    #[error("the line is too long ({0})")]
    TooLong(&'static str),
    /// A character with a meaning to shells, or one that cannot be read with certainty.
    #[error("`{}` at column {column}: {why}", show(*.found))]
    Refused {
        /// The character.
        found: char,
        /// Its column, from 1, in characters.
        column: usize,
        /// What a shell would do with it.
        why: &'static str,
    },
    /// A quote that is never closed.
    #[error("the {quote} opened at column {column} is never closed")]
    Unclosed {
        /// The quote.
        quote: char,
        /// Its column, from 1.
        column: usize,
    },
    /// The program's name is quoted, an assignment or a word of the shell's grammar.
    #[error("the program's name is {0}")]
    Program(&'static str),
}

fn show(c: char) -> String {
    if crate::domain::text::is_hidden(c) || c == '\n' { format!("U+{:04X}", u32::from(c)) } else { c.to_string() }
}

/// Words that mean something to a shell where a program is expected.
const RESERVED: [&str; 22] = [
    "if", "then", "else", "elif", "fi", "case", "esac", "for", "select", "while", "until", "do", "done", "in",
    "function", "coproc", "eval", "exec", "source", ".", "builtin", "command",
];

/// Splits `line` into words as bash would, or says why not.
pub fn split(line: &str) -> Result<Vec<String>, LexError> {
    if line.len() > MAX_COMMAND_BYTES {
        return Err(LexError::TooLong("bytes"));
    }
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut program_quoted = false;
    let mut chars = line.chars().enumerate();
    while let Some((index, c)) = chars.next() {
        let column = index + 1;
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let into = word.get_or_insert_with(String::new);
                program_quoted |= words.is_empty();
                loop {
                    match chars.next() {
                        None => return Err(LexError::Unclosed { quote: c, column }),
                        Some((_, end)) if end == c => break,
                        Some((at, inner)) => {
                            if let Some(why) = refused_in_quotes(inner, c) {
                                return Err(LexError::Refused { found: inner, column: at + 1, why });
                            }
                            into.push(inner);
                        }
                    }
                }
            }
            // Within a word, behind a letter or digit, it stands for itself: `HEAD~1`.
            '~' if word.as_ref().is_some_and(|word| word.ends_with(|c: char| c.is_ascii_alphanumeric())) => {
                word.get_or_insert_with(String::new).push(c);
            }
            _ => match refused(c) {
                Some(why) => return Err(LexError::Refused { found: c, column, why }),
                None => word.get_or_insert_with(String::new).push(c),
            },
        }
        if words.len() > MAX_ARGUMENTS {
            return Err(LexError::TooLong("words"));
        }
    }
    words.extend(word);
    let program = words.first().ok_or(LexError::Empty)?;
    if program_quoted {
        return Err(LexError::Program("quoted"));
    }
    if program.contains('=') {
        return Err(LexError::Program("an assignment"));
    }
    if RESERVED.contains(&program.as_str()) {
        return Err(LexError::Program("a word of the shell"));
    }
    Ok(words)
}

/// Why a bare character is refused; `None` when it is safe.
fn refused(c: char) -> Option<&'static str> {
    Some(match c {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '.' | '/' | ':' | '@' | '%' | '+' | ',' | '-' | '=' => return None,
        '|' | '&' | ';' => "joins commands",
        '<' | '>' => "redirects",
        '(' | ')' => "starts another shell",
        '{' | '}' => "expands or groups",
        '*' | '?' | '[' | ']' => "expands to file names",
        '~' => "expands to a home directory",
        '#' => "starts a comment",
        '$' | '`' => "expands",
        '\\' => "hides the next character",
        '!' => "expands from history or negates",
        '^' => "replaces from history or pipes in old shells",
        '\n' | '\r' => "ends the line",
        c if c.is_ascii() => "is a control character",
        _ => "is not plain ASCII",
    })
}

/// Why a character is refused between quotes.
fn refused_in_quotes(c: char, quote: char) -> Option<&'static str> {
    match c {
        '$' | '`' if quote == '"' => Some("expands inside double quotes"),
        '\\' if quote == '"' => Some("hides the next character"),
        '!' if quote == '"' => Some("expands from history inside double quotes"),
        ' '..='~' | '\t' => None,
        '\n' | '\r' => Some("ends the line"),
        c if c.is_ascii() => Some("is a control character"),
        _ => Some("is not plain ASCII"),
    }
}

/// Writes argv as one line that a person can copy: words that need it are in single quotes.
pub fn join(argv: &[String]) -> String {
    let quoted: Vec<String> = argv.iter().map(|word| quote(word)).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    if !word.is_empty() && word.chars().all(|c| refused(c).is_none()) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        split(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn plain_and_quoted_words_split() {
        assert_eq!(words("kubectl -n shop get pods"), ["kubectl", "-n", "shop", "get", "pods"]);
        assert_eq!(words("  ls\t-l  "), ["ls", "-l"]);
        assert_eq!(words("grep 'a b' \"c d\" e'f'\"g\" ''"), ["grep", "a b", "c d", "efg", ""]);
        assert_eq!(words("echo '$HOME `x` \\ !'"), ["echo", "$HOME `x` \\ !"]);
        assert_eq!(words("date +%F --tail=3"), ["date", "+%F", "--tail=3"]);
        assert_eq!(words("git diff HEAD~1"), ["git", "diff", "HEAD~1"]);
    }

    #[test]
    fn what_a_shell_would_act_on_is_refused() {
        for line in [
            "",
            "  ",
            "a | b",
            "a & b",
            "a; b",
            "a > f",
            "a < f",
            "a $(b)",
            "a `b`",
            "a $b",
            "a \"$b\"",
            "a \"`b`\"",
            "a \"\\x\"",
            "a \"hi!\"",
            "a {b,c}",
            "ls *",
            "ls ?",
            "ls [ab]",
            "ls ~",
            "ls a=~",
            "ls a:~/x",
            "a # b",
            "a\nb",
            "a\rb",
            "a\\b",
            "A=1 b",
            "a 'b",
            "a \"b",
            "a $'x'",
            "!a",
            "^a^b",
            "'ls' x",
            "l''s",
            "eval ls",
            ". x",
            "if ls",
            "ls\u{0}",
            "kubectl\u{a0}get",
            "kubectl gеt pods",
            "echo 'ü'",
            "echo \"\u{202e}\"",
            "ls \u{200b}x",
            "a \u{b}b",
        ] {
            assert!(split(line).is_err(), "{line:?} was accepted as {:?}", split(line));
        }
    }

    #[test]
    fn a_refusal_says_where_and_why() {
        assert_eq!(split("ls | wc").unwrap_err().to_string(), "`|` at column 4: joins commands");
        assert_eq!(split("ls \u{202e}").unwrap_err().to_string(), "`U+202E` at column 4: is not plain ASCII");
        assert_eq!(split("ls 'x").unwrap_err().to_string(), "the ' opened at column 4 is never closed");
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC*") {
            let _ = split(&line);
        }

        #[test]
        fn what_join_writes_splits_back(tail in prop::collection::vec("[ -&(-~]{0,12}", 0..6)) {
            let mut argv = vec!["ls".to_owned()];
            argv.extend(tail);
            prop_assert_eq!(split(&join(&argv)).unwrap(), argv);
        }
    }
}
