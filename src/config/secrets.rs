//! Fetching secrets at the moment they are needed.

use std::io::Read as _;
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use crate::domain::settings::{SecretRef, Secrets};

/// Longest time a credential command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a secret.
const MAX_BYTES: u64 = 64 << 10;

/// The shapes that a secret may have in the configuration.
pub(super) const SHAPES: &str = "a secret is { env = \"VARIABLE\" }, { file = \"PATH\" }, \
                                 { command = [\"PROGRAM\", \"ARGUMENT\"] } or { value = \"…\" }";
/// Words in the names of settings that hold secrets, or may.
const SECRETIVE: [&str; 8] = ["key", "token", "password", "secret", "bearer", "auth", "header", "value"];

/// What is wrong with a line that holds a secret, or may, without a word of what stands there: the parser's own message
/// quotes it. `None` where the message may be told as it is.
pub(super) fn wrong_shape(line: &str, message: &str) -> Option<String> {
    let listed = |word: &str| message.contains(&format!("`{word}`"));
    if message.starts_with("unknown variant") {
        if listed("env") && listed("file") && listed("command") {
            return Some(format!("{SHAPES}; what stands here is none of these (it is not shown)"));
        }
        if listed("basic") && listed("bearer") {
            return Some(
                "`auth` is { bearer = … }, { basic = { username, password } } or { oauth2 = { … } }; what stands here \
                 is none of these (it is not shown)"
                    .to_owned(),
            );
        }
    }
    // What is quoted after these is a value. The names of keys are told: they are what has to be corrected.
    let quotes = ["invalid type", "invalid value", "unknown variant", "data did not match"];
    let quotes = quotes.iter().any(|begin| message.starts_with(begin));
    let line = line.to_ascii_lowercase();
    // A number of tokens is no token.
    let line =
        ["pack_tokens", "answer_tokens", "tokens_per_day"].iter().fold(line, |line, name| line.replace(name, ""));
    (quotes && SECRETIVE.iter().any(|word| line.contains(word)))
        .then(|| format!("what stands here has not the shape that is expected (it is not shown); {SHAPES}"))
}

/// Whether this can be the name of an environment variable, and is not what should stand in it.
pub(super) fn names_a_variable(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    begins && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Secrets from the environment, files and credential commands of this system. Nothing is cached here.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSecrets;

impl Secrets for SystemSecrets {
    fn fetch<'a>(&'a self, secret: &'a SecretRef) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(async move {
            let value = match secret {
                SecretRef::Value(value) => value.clone(),
                SecretRef::Env(name) => {
                    std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?
                }
                SecretRef::File(path) => {
                    let mut text = String::new();
                    std::fs::File::open(path)
                        .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
                        .map_err(|error| format!("the secret file {} cannot be read: {error}", path.display()))?;
                    text
                }
                SecretRef::Command(argv) => command(argv).await?,
            };
            let value = value.trim();
            if value.is_empty() { Err(format!("the secret is empty ({secret:?})")) } else { Ok(value.to_owned()) }
        })
    }
}

/// Runs a credential helper: no shell, no input, bounded in time and output. Its output never enters a message.
async fn command(argv: &[String]) -> Result<String, String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("the secret's command is empty".into());
    };
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("the secret's command `{program}` cannot be started: {error}"))?;
    let output = tokio::time::timeout(COMMAND_TIMEOUT, child.wait_with_output())
        .await
        .map_err(|_| format!("the secret's command `{program}` took longer than {} s", COMMAND_TIMEOUT.as_secs()))?
        .map_err(|error| format!("the secret's command `{program}` failed: {error}"))?;
    if !output.status.success() {
        return Err(format!("the secret's command `{program}` ended with {}", output.status));
    }
    if output.stdout.len() as u64 > MAX_BYTES {
        return Err(format!("the secret's command `{program}` printed more than {MAX_BYTES} bytes"));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("the secret's command `{program}` printed no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn secrets_come_from_files_and_commands_without_white_space() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "  s3cret\n").unwrap();
        let secret = SystemSecrets.fetch(&SecretRef::File(file.path().into())).await;
        assert_eq!(secret.as_deref(), Ok("s3cret"));
        let echo = SecretRef::Command(vec!["printf".into(), "t0ken\n".into()]);
        assert_eq!(SystemSecrets.fetch(&echo).await.as_deref(), Ok("t0ken"));
    }

    #[tokio::test]
    async fn a_missing_secret_says_where_it_was_looked_for() {
        let error = SystemSecrets.fetch(&SecretRef::Env("STANCH_NO_SUCH".into())).await.unwrap_err();
        assert!(error.contains("STANCH_NO_SUCH"), "{error}");
        let error = SystemSecrets.fetch(&SecretRef::Command(vec!["false".into()])).await.unwrap_err();
        assert!(error.contains("`false` ended with"), "{error}");
        let error = SystemSecrets.fetch(&SecretRef::Value(" ".into())).await.unwrap_err();
        assert!(error.contains("empty"), "{error}");
    }
}
