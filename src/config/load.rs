//! Reading configuration files, with errors for the person who wrote them.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Config, ConfigFile, config_file};
use crate::domain::canonical::hex;

/// The system's file.
const SYSTEM_FILE: &str = "/etc/stanch/config.toml";
/// Most bytes of a configuration file.
const MAX_BYTES: u64 = 1 << 20;

/// A configuration that cannot be used: which file, which line, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Reads `file` alone, or the system's file with the user's laid over it. Files that do not exist are left out,
/// except one that was named. Returns the configuration and the files it came from.
pub fn load(file: Option<&Path>) -> Result<(Config, Vec<PathBuf>), ConfigError> {
    if let Some(path) = file {
        let text = read(path)?.ok_or_else(|| ConfigError(format!("{}: there is no such file", path.display())))?;
        return Ok((read_in(path, &text)?, vec![path.to_owned()]));
    }
    let mut files = Vec::new();
    let mut config = Config::default();
    let candidates = [Some(PathBuf::from(SYSTEM_FILE)), config_file()];
    for path in candidates.into_iter().flatten() {
        if let Some(text) = read(&path)? {
            config = config.under(read_in(&path, &text)?);
            files.push(path);
        }
    }
    Ok((config, files))
}

fn read_in(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let mut config = parse(&path.display().to_string(), text)?;
    config.files = vec![ConfigFile { path: path.to_owned(), sha256: hex(&Sha256::digest(text)) }];
    Ok(config)
}

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::metadata(path) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Ok(meta) if meta.len() > MAX_BYTES => {
            return Err(ConfigError(format!(
                "{}: larger than {MAX_BYTES} bytes: is this the right file?",
                path.display()
            )));
        }
        _ => {}
    }
    std::fs::read_to_string(path)
        .map(Some)
        .map_err(|error| ConfigError(format!("{}: cannot be read: {error}", path.display())))
}

/// Parses one file's text. `name` stands in front of error messages.
pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
        ConfigError(format!("{place}: {}", explain(error.message())))
    })
}

/// Puts the parser's message for an unknown key into words with the nearest known key.
fn explain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return message.trim_end().to_owned();
    };
    let Some((key, expected)) = rest.split_once('`') else {
        return message.to_owned();
    };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(key.len()).div_ceil(2));
    match nearest {
        Some((_, candidate)) => format!("unknown key `{key}`: did you mean `{candidate}`?"),
        None if known.is_empty() => format!("unknown key `{key}`"),
        None => format!("unknown key `{key}`; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest_key() {
        let error = parse("config.toml", "[profile.prod]\ncritical = true\npromtheus = { url = \"x\" }\n").unwrap_err();
        assert_eq!(error.to_string(), "config.toml:3: unknown key `promtheus`: did you mean `prometheus`?");
        let error = parse("c", "[profile.prod.loki]\nurl = \"x\"\ntenat = \"y\"\n").unwrap_err();
        assert_eq!(error.to_string(), "c:3: unknown key `tenat`: did you mean `tenant`?");
        let error =
            parse("c", "[[llm.endpoint]]\nname = \"a\"\nprotocol = \"openai-chat\"\nmodle = \"m\"").unwrap_err();
        assert!(error.to_string().starts_with("c:4: unknown key `modle`: did you mean `model`?"), "{error}");
    }

    #[test]
    fn every_way_to_authenticate_reads() {
        let text = r#"
            [profile.prod]
            critical = true
            prometheus = { url = "https://p", tenant = "shop", auth = { bearer = { command = ["vault-token"] } } }
            alertmanager = { url = "https://a", auth = { basic = { username = "u", password = { file = "/x" } } } }
            [profile.prod.loki]
            url = "https://l"
            timeout = "30s"
            headers = { "X-Plain" = "v", "X-Secret" = { env = "S" } }
            client_certificate = { cert = "c.pem", key = "k.pem" }
            auth = { oauth2 = { token_url = "https://t", client_id = "i", client_secret = { env = "S" } } }
            [[llm.endpoint]]
            name = "local"
            protocol = "openai-chat"
            url = "http://127.0.0.1:8080/v1"
            model = "m"
        "#;
        let config = parse("c", text).unwrap();
        let loki = config.profile["prod"].loki.as_ref().unwrap();
        assert_eq!(loki.timeout, std::time::Duration::from_secs(30));
        assert_eq!(loki.headers.len(), 2);
        assert!(!format!("{config:?}").contains("hidden-value"));
    }

    #[test]
    fn broken_text_names_its_line() {
        let error = parse("c", "a = 1\n[profile\n").unwrap_err().to_string();
        assert!(error.starts_with("c:"), "{error}");
        let error = parse("c", "[ui]\nrefresh = \"soon\"\n").unwrap_err().to_string();
        assert!(error.contains("c:2") && error.contains("not a duration"), "{error}");
    }
}
