//! Places where secrets lie.

/// Parts of paths and addresses that hold secrets, lower case.
const PLACES: [&str; 53] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/.ssh",
    ".ssh/",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    "id_dsa",
    "ssh_host_",
    ".kube/config",
    "kubeconfig",
    "/etc/kubernetes/",
    "admin.conf",
    ".aws/",
    ".azure/",
    ".config/gcloud",
    "application_default_credentials",
    ".docker/config",
    ".dockerconfigjson",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".vault-token",
    ".gnupg",
    "/environ",
    "serviceaccount",
    "/run/secrets",
    "/ssl/private",
    ".bash_history",
    ".zsh_history",
    ".psql_history",
    "keytab",
    ".tfstate",
    ".tfvars",
    "169.254.169.254",
    "metadata.google.internal",
    "/proc/kcore",
    "/dev/mem",
    "k3s.yaml",
    "/gh/hosts.yml",
    ".npmrc",
    ".pypirc",
    "rclone.conf",
    "/etc/wireguard",
    "system-connections/",
    "snap/db",
    "/member/wal/",
    "/jolokia",
    "/actuator/env",
    "/actuator/heapdump",
    "/actuator/configprops",
];

/// Endings of files that hold secrets.
const ENDINGS: [&str; 10] =
    [".nmconnection", ".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".env", ".kdbx", ".gpg"];

/// Words that make a path or an API address one of a secret.
const WORDS: [&str; 7] = ["secret", "password", "passwd", "credential", "token", "private", "htpasswd"];

/// Block devices: their content is that of every file on them.
const DEVICES: [&str; 7] = ["/dev/sd", "/dev/nvme", "/dev/vd", "/dev/xvd", "/dev/dm-", "/dev/md", "/dev/mapper/"];

/// Whether reading this path or address reads secrets, however it is spelled.
pub(super) fn path(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    lies(&text) || lies(&plain(&text))
}

fn lies(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or_default();
    PLACES.iter().any(|place| text.contains(place))
        || ENDINGS.iter().any(|ending| text.ends_with(ending))
        || name.starts_with(".env")
        || name.strip_suffix(".conf").is_some_and(|name| name.starts_with("wg"))
        || (name == "mem" && text.contains("/proc/"))
        || (text.contains('/') && !text.ends_with("/etc/passwd") && WORDS.iter().any(|word| text.contains(word)))
}

/// Whether this is a block device, whose content is that of every file on it.
pub(super) fn device(text: &str) -> bool {
    let text = plain(text);
    DEVICES
        .iter()
        .any(|start| text.split_once(start).is_some_and(|(before, _)| before.is_empty() || before.ends_with('=')))
}

/// The path without its detours: `//`, `/./`, `x/..`, and the root of a process, which is that of the host or of a
/// container.
pub(super) fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let absolute = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            // Above the root is the root; above an unknown place is another unknown one.
            ".." if parts.last().is_none_or(|last| *last == "..") => {
                if !absolute {
                    parts.push(part);
                }
            }
            ".." => {
                parts.pop();
            }
            "root" if of_process(&parts) => parts.truncate(parts.iter().position(|part| *part == "proc").unwrap_or(0)),
            part => parts.push(part),
        }
    }
    let start = if absolute { "/" } else { "" };
    format!("{start}{}", parts.join("/"))
}

/// Whether the parts end in `proc/PID` or `proc/PID/task/TID`.
fn of_process(parts: &[&str]) -> bool {
    matches!(parts, [.., "proc", _] | [.., "proc", _, "task", _])
}

/// Whether any of the words is such a path.
pub(super) fn any_path(words: &[String]) -> bool {
    words.iter().any(|word| path(word))
}

/// Whether reading everything under this directory reads secrets.
pub(super) fn tree(directory: &str) -> bool {
    let directory = plain(directory);
    let directory = directory.trim_end_matches('/');
    ["", "/", "/etc", "/root", "/home", "/run", "/var", "/var/run", "/var/lib", "/proc", ".", ".."].contains(&directory)
        || directory.starts_with("/home/")
        || directory.starts_with("/root/")
        || directory.starts_with("/proc/")
}

/// Whether a Kubernetes resource argument (`secret`, `pods,secrets`, `secret/db`, `secrets.v1.`) names secrets.
pub(super) fn resource(argument: &str) -> bool {
    argument.to_ascii_lowercase().split(',').any(|part| {
        let kind = part.split(['/', '.']).next().unwrap_or_default();
        matches!(kind, "secret" | "secrets" | "sealedsecret" | "sealedsecrets" | "certificaterequests")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_seen_behind_every_spelling_of_its_path() {
        for text in [
            "/etc//shadow",
            "/etc/./shadow",
            "/etc/x/../shadow",
            "/../etc/shadow",
            "/proc/self/root/etc//shadow",
            "/proc/1/task/1/root/proc/1/root/etc/./shadow",
            "~/.kube//config",
            "if=/etc//shadow",
            "../..//etc/./shadow",
            "/proc/1/mem",
            "/proc/self/./mem",
            "/etc/rancher/k3s/k3s.yaml",
            "~/.config/gh/hosts.yml",
            ".npmrc",
            "~/.pypirc",
            "wg0.conf",
            "/etc/NetworkManager/system-connections/x.nmconnection",
            "/var/lib/etcd/member/snap/db",
        ] {
            assert!(path(text), "{text}");
        }
        for text in ["/etc/passwd", "/etc//hosts", "/proc/meminfo", "/var/log/./syslog", "..", "/", "", "x/../../y"] {
            assert!(!path(text), "{text}");
        }
        for text in ["/dev/sda", "/dev//nvme0n1", "/proc/1/root/dev/sda1", "if=/dev/./sdb"] {
            assert!(device(text), "{text}");
        }
        assert!(!device("/dev/null") && !device("/var/dev/sda") && tree("/etc/.") && tree("//root/x"));
    }
}
