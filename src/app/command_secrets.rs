//! Secrets in command lines, which have no business in a ledger that many read and nobody can take back.

use serde_json::Value;

use crate::context::redaction::Redactor;

/// Names of lists that hold a command.
const COMMANDS: [&str; 3] = ["argv", "rollback", "undo"];

/// Replaces the secrets in all commands of a payload by placeholders. The digest beside a command still names exactly
/// the command that was shown.
pub(super) fn redact(payload: &mut Value) {
    walk(payload, &mut Redactor::new());
}

fn walk(value: &mut Value, redactor: &mut Redactor) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, redactor)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Array(words) if COMMANDS.contains(&name.as_str()) => command(words, redactor),
                    other => walk(other, redactor),
                }
            }
        }
        _ => {}
    }
}

fn command(words: &mut [Value], redactor: &mut Redactor) {
    let mut option = String::new();
    for word in words {
        let Value::String(text) = word else { continue };
        let kept = std::mem::take(&mut option);
        let redacted = if kept.is_empty() { None } else { value_of(&kept, text, redactor) };
        if text.starts_with("--") && !text.contains('=') {
            option.clone_from(text);
        }
        *text = redacted.unwrap_or_else(|| redactor.redact(text));
    }
}

/// The value of an option that stands in a word of its own (`--password x`), read as if it stood in one with it.
fn value_of(option: &str, value: &str, redactor: &mut Redactor) -> Option<String> {
    let joined = redactor.redact(&format!("{option}={value}"));
    joined.strip_prefix(option)?.strip_prefix('=').map(str::to_owned)
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
        });
        redact(&mut payload);
        let text = payload.to_string();
        for secret in ["hunter2", "ghp_0123", "abcdef0123456789abcdef", "t0psecret"] {
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
