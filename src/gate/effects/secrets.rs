//! Places where secrets lie.

/// Parts of paths and addresses that hold secrets, lower case.
const PLACES: [&str; 43] = [
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
    "/actuator/env",
    "/actuator/heapdump",
    "/actuator/configprops",
];

/// Endings of files that hold secrets.
const ENDINGS: [&str; 9] = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".env", ".kdbx", ".gpg"];

/// Words that make a path or an API address one of a secret.
const WORDS: [&str; 7] = ["secret", "password", "passwd", "credential", "token", "private", "htpasswd"];

/// Whether reading this path or address reads secrets.
pub(super) fn path(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let name = text.rsplit('/').next().unwrap_or_default();
    PLACES.iter().any(|place| text.contains(place))
        || ENDINGS.iter().any(|ending| text.ends_with(ending))
        || name.starts_with(".env")
        || (text.contains('/') && !text.ends_with("/etc/passwd") && WORDS.iter().any(|word| text.contains(word)))
}

/// Whether any of the words is such a path.
pub(super) fn any_path(words: &[String]) -> bool {
    words.iter().any(|word| path(word))
}

/// Whether reading everything under this directory reads secrets.
pub(super) fn tree(directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    ["", "/", "/etc", "/root", "/home", "/run", "/var", "/var/run", "/var/lib", "/proc", ".", ".."].contains(&directory)
        || directory.starts_with("/home/")
        || directory.starts_with("/proc/")
}

/// Whether a Kubernetes resource argument (`secret`, `pods,secrets`, `secret/db`, `secrets.v1.`) names secrets.
pub(super) fn resource(argument: &str) -> bool {
    argument.to_ascii_lowercase().split(',').any(|part| {
        let kind = part.split(['/', '.']).next().unwrap_or_default();
        matches!(kind, "secret" | "secrets" | "sealedsecret" | "sealedsecrets" | "certificaterequests")
    })
}
