//! The environment a command gets: little, and nothing that makes a program load or run something else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::domain::canonical::hex;

/// Names that get through. Nothing here names a program, a library or a preloaded file.
const PASSED: [&str; 40] = [
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TZ",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "KUBECONFIG",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_CONFIG",
    "CLOUDSDK_CORE_PROJECT",
    "AZURE_CONFIG_DIR",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "CONTAINER_HOST",
    "LOKI_ADDR",
    "LOKI_ORG_ID",
    "LOKI_USERNAME",
    "LOKI_PASSWORD",
    "LOKI_BEARER_TOKEN",
    "ARGOCD_SERVER",
    "ARGOCD_AUTH_TOKEN",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
];

/// What every command gets: no pager, no colours, no prompt, no editor, nothing of a repository's own settings run.
const FIXED: [(&str, &str); 16] = [
    ("AWS_PAGER", ""),
    ("EDITOR", "false"),
    ("GIT_ASKPASS", "/bin/false"),
    ("GIT_EDITOR", "false"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_SEQUENCE_EDITOR", "false"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("MANPAGER", "cat"),
    ("NO_COLOR", "1"),
    ("PAGER", "cat"),
    // Without these, ssh asks on the terminal that the screen is drawn on.
    ("SSH_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
    ("SYSTEMD_COLORS", "0"),
    ("SYSTEMD_PAGER", "cat"),
    ("TERM", "dumb"),
];

/// Settings that go before those of a repository, which can name programs that even `git status` runs. Transports that
/// run a configured program on this host are off. (What no setting of git can switch off: `diff.external`, and the
/// filters and text converters of a repository's own drivers.)
const GIT_SETTINGS: [(&str, &str); 14] = [
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.sshCommand", "ssh"),
    // Empty: forgets those named before.
    ("credential.helper", ""),
    ("gpg.openpgp.program", "gpg"),
    ("gpg.program", "gpg"),
    ("gpg.ssh.program", "ssh-keygen"),
    ("gpg.x509.program", "gpgsm"),
    ("log.showSignature", "false"),
    ("protocol.ext.allow", "never"),
    ("protocol.file.allow", "never"),
    // `core.gitProxy` is a program, and the first one named counts.
    ("protocol.git.allow", "never"),
    ("submodule.recurse", "false"),
];

/// The environment for a command, from the one that was inherited.
pub(super) fn clean(inherited: &BTreeMap<String, String>, directories: &[PathBuf]) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> = inherited
        .iter()
        .filter(|(name, value)| (PASSED.contains(&name.as_str()) || name.starts_with("LC_")) && !value.contains('\0'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    environment.extend(FIXED.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    environment.insert("GIT_CONFIG_COUNT".to_owned(), GIT_SETTINGS.len().to_string());
    for (index, (key, value)) in GIT_SETTINGS.iter().enumerate() {
        environment.insert(format!("GIT_CONFIG_KEY_{index}"), (*key).to_owned());
        environment.insert(format!("GIT_CONFIG_VALUE_{index}"), (*value).to_owned());
    }
    let path: Vec<String> = directories.iter().map(|directory| directory.display().to_string()).collect();
    environment.insert("PATH".to_owned(), path.join(":"));
    environment
}

/// The environment as it is shown and digested: values of secrets as their digest.
pub(super) fn shown(environment: &BTreeMap<String, String>) -> Vec<(String, String)> {
    environment
        .iter()
        .map(|(name, value)| {
            let value = if is_secret(name, value) {
                format!("sha256:{}", hex(&Sha256::digest(value.as_bytes())))
            } else {
                crate::domain::text::neutralise(value).into_owned()
            };
            (name.clone(), value)
        })
        .collect()
}

fn is_secret(name: &str, value: &str) -> bool {
    let named = ["SECRET", "TOKEN", "PASSWORD", "ACCESS_KEY"].iter().any(|part| name.contains(part));
    // A proxy's address may carry a password.
    (named && !name.ends_with("_FILE")) || (name.ends_with("_PROXY") && value.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loads_or_runs_something_else_does_not_get_through() {
        let inherited: BTreeMap<String, String> = [
            ("HOME", "/root"),
            ("LD_PRELOAD", "/tmp/x.so"),
            ("LD_LIBRARY_PATH", "/tmp"),
            ("PATH", "/tmp"),
            ("BASH_ENV", "/tmp/x"),
            ("KUBECTL_EXTERNAL_DIFF", "rm"),
            ("PAGER", "rm"),
            ("GIT_SSH_COMMAND", "rm"),
            ("LC_ALL", "C"),
            ("PYTHONSTARTUP", "/tmp/x"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
            ("TERM", "xterm"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let clean = clean(&inherited, &[PathBuf::from("/usr/bin"), PathBuf::from("/bin")]);
        let names: Vec<&str> =
            clean.keys().map(String::as_str).filter(|name| !FIXED.iter().any(|f| f.0 == *name)).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| !name.starts_with("GIT_CONFIG_")).collect();
        assert_eq!(names, ["AWS_SECRET_ACCESS_KEY", "HOME", "LC_ALL", "PATH"]);
        assert_eq!(
            (clean["PATH"].as_str(), clean["PAGER"].as_str(), clean["TERM"].as_str()),
            ("/usr/bin:/bin", "cat", "dumb")
        );
        assert_eq!(clean["AWS_SECRET_ACCESS_KEY"], "hush");
        let shown = shown(&clean);
        assert!(shown.iter().all(|(_, value)| !value.contains("hush")));
        assert!(shown.iter().any(|(name, value)| name == "AWS_SECRET_ACCESS_KEY" && value.starts_with("sha256:")));
    }

    #[test]
    fn a_repository_cannot_name_programs_for_git_to_run() {
        let repository = tempfile::tempdir().unwrap();
        let at = repository.path();
        let proof = at.join("proof");
        let git = |arguments: &[&str], environment: &BTreeMap<String, String>| {
            let mut git = std::process::Command::new("git");
            git.current_dir(at).args(arguments).env_clear().envs(environment).output().unwrap()
        };
        let directories = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
        let inherited = BTreeMap::from([("HOME".to_owned(), at.display().to_string())]);
        let clean = clean(&inherited, &directories);
        assert!(git(&["init", "-q"], &clean).status.success());
        let program = format!("touch {};true", proof.display());
        for name in ["core.fsmonitor", "core.sshCommand", "core.pager"] {
            assert!(git(&["config", name, &program], &clean).status.success());
        }
        assert!(git(&["config", "credential.helper", &format!("!{program}")], &clean).status.success());
        for arguments in [&["status"][..], &["-p", "log"], &["ls-remote", "ssh://127.0.0.1:1/x"]] {
            git(arguments, &clean);
            assert!(!proof.exists(), "{arguments:?}");
        }
        let bare = BTreeMap::from([("PATH".to_owned(), clean["PATH"].clone())]);
        git(&["status"], &bare);
        assert!(proof.exists(), "the settings name a program indeed");
    }
}
