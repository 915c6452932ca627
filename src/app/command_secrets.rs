//! Secrets in command lines, which have no business in a ledger that many read and nobody can take back.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::context::redaction::Redactor;

/// Names of lists that hold a command.
const COMMANDS: [&str; 3] = ["argv", "rollback", "undo"];

/// Names of texts that hold a command as it was typed.
const LINES: [&str; 2] = ["input", "line"];

/// Replaces the secrets in all commands of a payload by placeholders, wherever else in it they are repeated. The digest
/// beside a command still names exactly the command that was shown.
pub(super) fn redact(payload: &mut Value) {
    let mut words = Words::default();
    words.collect(payload);
    if !words.secret.is_empty() {
        words.replace(payload);
    }
}

/// Words with a secret in them, and the same without.
#[derive(Default)]
struct Words {
    redactor: Redactor,
    secret: BTreeMap<String, String>,
}

impl Words {
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::Array(words) if COMMANDS.contains(&name.as_str()) => {
                            self.command(words.iter().filter_map(Value::as_str));
                        }
                        Value::String(line) if LINES.contains(&name.as_str()) => {
                            self.command(line.split_whitespace());
                            self.note(line, None);
                        }
                        other => self.collect(other),
                    }
                }
            }
            _ => {}
        }
    }

    fn command<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        let mut option = None;
        for word in words {
            self.note(word, option);
            option = Some(word).filter(|word| word.starts_with("--") && !word.contains('='));
        }
    }

    /// Remembers a text that has a secret in it. The value of an option that stands in a word of its own
    /// (`--password x`) is read as if it stood in one with it.
    fn note(&mut self, text: &str, option: Option<&str>) {
        let joined = option.and_then(|option| {
            let joined = self.redactor.redact(&format!("{option}={text}"));
            joined.strip_prefix(option)?.strip_prefix('=').map(str::to_owned)
        });
        let without = joined.unwrap_or_else(|| self.redactor.redact(text));
        if without != text {
            self.secret.insert(text.to_owned(), without);
        }
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                // Backwards: a longer text stands behind one that it begins with.
                for (secret, without) in self.secret.iter().rev() {
                    if text.contains(secret.as_str()) {
                        *text = text.replace(secret.as_str(), without);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| self.replace(value)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commands_lose_their_secrets_and_nothing_else() {
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let mut payload = json!({
            "digest": digest,
            "request": {"argv": [
                "tool", "--password", "hunter2hunter2", "--token=ghp_0123456789abcdefghijABCDEFGHIJ012345", "-n", "shop",
                "-H", "Authorization: Bearer abcdef0123456789abcdef", "postgres://ops:t0psecret@db/shop",
                format!("image@sha256:{digest}"), "--replicas", "3",
            ]},
            "action": {"rollback": ["tool", "--password", "hunter2hunter2"]},
            "before": "password: kept, not a command",
            "judged": {"input": "tool --password hunter2hunter2", "facts": {"resources": ["postgres://ops:t0psecret@db/shop"]}},
            "typed": {"line": "mysql --password 'l1ne-0nly!' | tee /tmp/x"},
        });
        redact(&mut payload);
        let text = payload.to_string();
        for secret in ["hunter2", "l1ne-0nly", "ghp_0123", "abcdef0123456789abcdef", "t0psecret"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(payload["digest"], digest);
        let argv = &payload["request"]["argv"];
        assert_eq!(
            (&argv[4], &argv[5], &argv[10], &argv[11]),
            (&json!("-n"), &json!("shop"), &json!("--replicas"), &json!("3"))
        );
        assert_eq!(argv[9], format!("image@sha256:{digest}"));
        assert_eq!(argv[2], payload["action"]["rollback"][2], "one secret has one name");
        assert!(text.contains("kept, not a command"));
    }
}
