//! Reading configuration files, with errors for the person who wrote them.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Config, ConfigFile, checks, config_file, secrets};
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

/// Reads the system's file with the user's laid over it; `file`, when one is named, takes the place of the user's. The
/// system's file counts always. Files that do not exist are left out, except one that was named. Returns the
/// configuration and the files it came from.
pub fn load(file: Option<&Path>) -> Result<(Config, Vec<PathBuf>), ConfigError> {
    load_from(Path::new(SYSTEM_FILE), file, config_file().as_deref())
}

fn load_from(system: &Path, named: Option<&Path>, user: Option<&Path>) -> Result<(Config, Vec<PathBuf>), ConfigError> {
    let mut files = Vec::new();
    let mut config = Config::default();
    if let Some(text) = read(system)? {
        config = of_system(system, read_in(system, &text)?)?;
        files.push(system.to_owned());
    }
    // The system's file laid over itself would be somebody else's.
    if let Some(path) = named.or(user).filter(|path| !files.iter().any(|read| same_file(read, path))) {
        match read(path)? {
            Some(text) => {
                config = config.under(read_in(path, &text)?);
                files.push(path.to_owned());
            }
            None if named.is_some() => return Err(ConfigError(format!("{}: there is no such file", path.display()))),
            None => {}
        }
    }
    Ok((config, files))
}

fn same_file(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Marks what the system's file settles. Its paths must not depend on the folder that somebody starts in.
fn of_system(file: &Path, mut config: Config) -> Result<Config, ConfigError> {
    let Config { policy, approvals, ledger, .. } = &config;
    let paths = [
        ("policy.file", &policy.file),
        ("approvals.signers", &approvals.signers),
        ("approvals.revoked", &approvals.revoked),
        ("approvals.persons", &approvals.persons),
        ("ledger.path", &ledger.path),
    ];
    for (key, path) in paths {
        if let Some(path) = path.as_deref().filter(|path| !path.is_absolute()) {
            let what = format!("`{key}` is `{}`: the system's file must name it from the root", path.display());
            return Err(ConfigError(format!("{}: {what}", file.display())));
        }
    }
    config.system.present = true;
    config.system.ledger = config.ledger.path.is_some() || config.ledger.url.is_some();
    Ok(config)
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
    let config = toml::from_str(text).map_err(|error: toml::de::Error| {
        let start = error.span().map(|span| text.floor_char_boundary(span.start));
        let line = start.map(|start| text[..start].matches('\n').count() + 1);
        let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
        let source = line.and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
        let said = secrets::wrong_shape(source, error.message());
        ConfigError(format!("{place}: {}", said.unwrap_or_else(|| explain(error.message()))))
    })?;
    match checks::wrong(&config) {
        Some(wrong) => {
            let place = line_of(text, &wrong).map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
            Err(ConfigError(format!("{place}: {wrong}")))
        }
        None => Ok(config),
    }
}

/// The line that sets the value which a message tells as "`KEY` is VALUE": the first that sets this key to this value,
/// as each of them is wrong.
fn line_of(text: &str, wrong: &str) -> Option<usize> {
    let (before, after) = wrong.split_once("` is ")?;
    let key = before.rsplit(['`', '.']).next()?;
    let value = match after.strip_prefix('`') {
        Some(quoted) => quoted.split('`').next()?,
        None => after.split([':', ' ']).next()?,
    };
    let sets = |line: &str| {
        line.match_indices(key).any(|(at, _)| {
            let rest = line[at + key.len()..].trim_start().strip_prefix('=');
            rest.is_some_and(|rest| rest.trim_start().trim_start_matches(['"', '\'']).starts_with(value))
        })
    };
    text.lines().position(sets).map(|at| at + 1)
}

/// Puts the parser's message for an unknown key into words with the nearest known key.
fn explain(message: &str) -> String {
    let of = |kind: &str| message.strip_prefix(kind).and_then(|rest| rest.split_once('`'));
    if let Some((word, expected)) = of("unknown variant `") {
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let meant = nearest(word, &known).map_or_else(String::new, |meant| format!(": did you mean `{meant}`?"));
        let all = if known.is_empty() { String::new() } else { format!(" (known: {})", known.join(", ")) };
        return format!("`{word}` is not known here{meant}{all}");
    }
    let Some((key, expected)) = of("unknown field `") else {
        return message.trim_end().to_owned();
    };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(key, &known) {
        Some(candidate) => format!("unknown key `{key}`: did you mean `{candidate}`?"),
        None if known.is_empty() => format!("unknown key `{key}`"),
        None => format!("unknown key `{key}`; known here: {}", known.join(", ")),
    }
}

/// The known word that was probably meant.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let begins = known.iter().find(|candidate| word.len() >= 3 && candidate.starts_with(word));
    if let Some(candidate) = begins {
        return Some(candidate);
    }
    let distances = known.iter().map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate));
    let close =
        distances.min().filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()).div_ceil(2));
    close.map(|(_, candidate)| candidate)
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

    #[test]
    fn no_secret_is_ever_told() {
        let endpoint =
            |more: &str| format!("[[llm.endpoint]]\nname = \"a\"\nprotocol = \"openai-chat\"\nmodel = \"m\"\n{more}\n");
        let source = |more: &str| format!("[profile.p.loki]\nurl = \"http://x\"\n{more}\n");
        for text in [
            endpoint("key = \"sk-proj-HUNTER2abc\""),
            endpoint("key = [\"sk-proj-HUNTER2abc\"]"),
            endpoint("key = { sk-HUNTER2 = \"x\" }"),
            endpoint("key = { command = \"vault HUNTER2\" }"),
            endpoint("key = { env = \"sk-proj-HUNTER2abc\" }"),
            endpoint("key = { value = \"\"\"HUNTER2"),
            endpoint("key = sk-proj-HUNTER2"),
            endpoint("headers = { Authorization = [\"Bearer HUNTER2\"] }"),
            endpoint("headers = \"Bearer HUNTER2\""),
            endpoint("[llm.endpoint.key]\nvalue = [\"HUNTER2\"]"),
            source("auth = \"HUNTER2\""),
            source("auth = { bearer = \"HUNTER2\" }"),
            source("auth = { bearer = { env = \"Bearer HUNTER2\" } }"),
            source("auth = { basic = { username = \"u\", password = \"HUNTER2\" } }"),
            source("auth = { basic = \"u:HUNTER2\" }"),
            "[ledger]\npassword = \"HUNTER2\"\n".to_owned(),
            "[profile.p]\nprometheus = { url = \"htp://u:HUNTER2@x\" }\n".to_owned(),
        ] {
            let error = parse("c", &text).unwrap_err().to_string();
            assert!(!error.contains("HUNTER2"), "{text}\n{error}");
            assert!(error.starts_with("c:"), "{error}");
        }
        let error = parse("c", &endpoint("key = \"sk-proj-HUNTER2abc\"")).unwrap_err().to_string();
        assert!(error.starts_with("c:5: a secret is { env = \"VARIABLE\" }"), "{error}");
    }

    const SYSTEM: &str = r#"
        [profile.prod]
        critical = true
        inventory = ["payments"]
        [ledger]
        path = "/srv/stanch/ledger.db"
        [approvals]
        signers = "/etc/stanch/allowed_signers"
        persons = "/etc/stanch/persons.toml"
    "#;
    const OWN: &str = r#"
        [profile.prod]
        inventory = ["evil"]
        [profile.mine]
        prometheus = { url = "http://p" }
        [ledger]
        path = "/home/me/ledger.db"
        [approvals]
        signers = "/home/me/signers"
        persons = "/home/me/persons"
        revoked = "/home/me/revoked"
    "#;

    #[test]
    fn the_systems_file_counts_whatever_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (system, own) = (at("system.toml"), at("own.toml"));
        std::fs::write(&system, SYSTEM).unwrap();
        std::fs::write(&own, OWN).unwrap();
        let absent = at("absent.toml");
        for (named, user) in [(Some(own.as_path()), None), (None, Some(own.as_path())), (Some(&own), Some(&absent))] {
            let (config, files) = load_from(&system, named, user).unwrap();
            assert_eq!(files, [system.clone(), own.clone()]);
            assert_eq!(config.files.len(), 2);
            assert!(config.profile["prod"].critical && config.profile["mine"].critical);
            assert_eq!(config.profile["prod"].inventory, ["payments"]);
            assert_eq!(config.ledger.path, Some("/srv/stanch/ledger.db".into()));
            assert_eq!(config.approvals.signers, Some("/etc/stanch/allowed_signers".into()));
            assert_eq!(config.approvals.persons, Some("/etc/stanch/persons.toml".into()));
            assert!(config.system.present && config.system.ledger);
        }
        // Without a system's file, and with the system's named itself.
        let (config, files) = load_from(&absent, Some(&own), None).unwrap();
        assert_eq!((files.len(), config.system.present), (1, false));
        assert!(!config.profile["mine"].critical);
        let (config, files) = load_from(&system, Some(&system), None).unwrap();
        assert_eq!((files.len(), config.system.overruled.len()), (1, 0));
        assert!(load_from(&absent, None, None).unwrap().1.is_empty());
        assert!(load_from(&system, Some(&absent), None).unwrap_err().to_string().contains("no such file"));
    }

    #[test]
    fn the_systems_file_names_places_from_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let system = folder.path().join("system.toml");
        std::fs::write(&system, "[ledger]\npath = \"ledger.db\"\n").unwrap();
        let error = load_from(&system, None, None).unwrap_err().to_string();
        assert!(error.contains("`ledger.path` is `ledger.db`"), "{error}");
    }
}
