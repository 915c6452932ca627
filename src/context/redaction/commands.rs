//! Secrets in command lines, statements and protocol dialogues, by what the clients document.

use super::rules::{Row, any};
use super::values::{has_digit, is_benign, is_path};

/// A value on a command line that may be a secret: no flag, no reference, no file that holds it.
fn argument(value: &str) -> bool {
    !is_benign(value) && !value.starts_with('-') && !value.starts_with('@') && !is_path(value)
}

/// The rows, as those of shapes.
pub(super) const COMMANDS: &[Row] = &[
    (
        // Flags and statements that take the value as the next word.
        "password",
        &[
            "--password",
            "--passwd",
            "--pass",
            "--token",
            "--secret",
            "--api-key",
            "--apikey",
            "--access-token",
            "-password",
            "-passphrase",
            "-token",
            "-secret",
            "-storepass",
            "-keypass",
            "-pass",
            "-psk",
            "requirepass",
            "masterauth",
            "sshpass",
            "--auth",
            "--key",
            "-key",
            "/p:",
            "/pass:",
            "-credential",
        ],
        r#"(?i)(?:\s--?(?:[a-z0-9]{1,20}-){0,3}(?:password|passwd|passphrase|storepass|keypass|psk|token|secret|api-?key|access-token|access-key|secret-key|auth-token|credentials?)(?:\s{1,3}|=)(?:pass:)?|^--?(?:[a-z0-9]{1,20}-){0,3}(?:password|passwd|passphrase|token|secret|api-?key)(?:\s{1,3}|=)|\s-(?:pass|passin|passout)\s{1,3}(?:pass:)?|\s/pass(?:word)?:|\b(?:requirepass|masterauth)\s{1,3}|\bsshpass\s{1,3}-p\s{0,3})\\?(?:'(?P<s>[^'\n]{3,})'|"(?P<t>[^"\n]{3,})"|["']?(?P<u>[^\s"'<>;|]{3,}))"#,
        argument,
    ),
    (
        "password",
        &[
            "identified",
            "password '",
            "password \"",
            "password('",
            "set password",
            "old_password",
            "encrypted password",
            "secret '",
        ],
        r#"(?i)(?:\bidentified\s(?:with\s\S{1,40}\s)?(?:by|as)\s{1,3}(?:password\s{1,3})?|\bpassword\s{0,3}(?:=\s{0,3})?(?:for\s\S+\s=\s)?\(?\s{0,3}|\b(?:secret|encrypted)\s{1,3})\\?(?:'(?P<s>(?:[^'\n\\]|''|\\.)+)'|"(?P<t>[^"\n]{3,})")"#,
        |value| !is_benign(value) && !value.contains(' '),
    ),
    (
        // Single-letter flags of clients; of mysql the value stands right behind the letter.
        "password",
        &["mysql", "mariadb"],
        r#"(?i:\b(?:mysql[a-z]{0,8}|mariadb[a-z-]{0,8})\b[^\n|;]*?\s)-p(?:'(?P<s>[^'\n]{2,})'|"(?P<t>[^"\n]{2,})"|(?P<u>[^\s"'<>-][^\s"']{2,}))"#,
        |value| !is_benign(value),
    ),
    (
        "password",
        &[
            "redis-cli",
            "valkey-cli",
            "ldap",
            "mongo",
            "sqlcmd",
            "docker",
            "podman",
            "skopeo",
            "buildah",
            "helm",
            "az ",
            "oc ",
            "crane",
            "mosquitto",
            "zip ",
            "7z",
            "snmp",
            "ipmitool",
            "rabbitmq",
            "sqlplus",
            "isql",
            "bcp",
            "cqlsh",
            "influx",
            "clickhouse",
            "nordugrid",
            "mc ",
            "svn",
            "ftp",
            "xfreerdp",
            "rdesktop",
            "restic",
            "unzip",
            "cf ",
        ],
        r#"(?:(?i:\b(?:redis|valkey)-cli\b)[^\n|;]*?\s-a\s{1,3}|(?i:\bldap[a-z]{2,10}\b)[^\n|;]*?\s-w\s{1,3}|(?i:\bmongo(?:sh|dump|restore|export|import)?\b)[^\n|;]*?\s-p\s{1,3}|(?i:\b(?:sqlcmd|bcp|isql)\b)[^\n|;]*?\s-P\s{0,3}|\b(?:docker|podman|skopeo|buildah|crane|oc|az|helm|cf)\s[^\n|;]{0,40}login\b[^\n|;]*?\s-p\s{1,3}|\bmosquitto_(?:pub|sub)\b[^\n|;]*?\s-P\s{1,3}|\b(?:un)?zip\b[^\n|;]*?\s-P\s{1,3}|\b7z[ar]?\b[^\n|;]*?\s-p|\bsnmp[a-z]{2,10}\b[^\n|;]*?\s-[cAX]\s{1,3}|\bipmitool\b[^\n|;]*?\s-P\s{1,3}|\brabbitmqctl\s{1,3}(?:add_user|change_password|authenticate_user)\s{1,3}\S+\s{1,3}|\bsqlplus\s{1,3}(?:-\S{1,5}\s{1,3})?[^\s/]+/|\bcqlsh\b[^\n|;]*?\s-p\s{1,3}|\bclickhouse-client\b[^\n|;]*?\s--password\s{1,3}|\bmc\s{1,3}(?:alias\sset|config\shost\sadd)\s{1,3}\S+\s{1,3}\S+\s{1,3}\S+\s{1,3}|\bxfreerdp\b[^\n|;]*?\s/p:)(?:'(?P<s>[^'\n]{3,})'|"(?P<t>[^"\n]{3,})"|(?P<u>[^\s"'<>;&|@-][^\s"'<>;&|@]{2,}))"#,
        |value| !is_benign(value),
    ),
    (
        // `user:password` as one word.
        "password",
        &["curl", "wget", "--user", "-u ", "http ", "--proxy-user", "--creds", "--auth"],
        r#"(?i)(?:\b(?:curl|http|https|xh|httpie|influx)\b[^\n|;]*?\s|\s)(?:-u|-U|--user|--proxy-user|--creds|-a|--auth)(?:\s{1,3}|=)?["']?[^\s:"'/@]+:(?P<s>[^\s"']{3,})"#,
        |value| {
            !is_benign(value)
                && !value.starts_with("//")
                && !value.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
        },
    ),
    (
        // The values that a command writes into a store of secrets.
        "secret",
        &[
            "--from-literal",
            "vault kv",
            "vault write",
            "consul kv",
            "secrets set",
            "secret set",
            "put-parameter",
            "secret-string",
            "gh secret",
        ],
        r#"(?:--from-literal(?:=|\s{1,3})["']?[^\s=]+=|\bvault\s(?:kv\s(?:put|patch)|write)\s[^\n]*?\s[A-Za-z0-9_.-]+=|--secret-string(?:=|\s{1,3})|\bput-parameter\b[^\n|;]*?\s--value(?:=|\s{1,3})|\bgh\ssecret\sset\s[^\n|;]*?\s(?:-b|--body)(?:=|\s{1,3}))(?:'(?P<s>[^'\n]{3,})'|"(?P<t>[^"\n]{3,})"|(?P<u>[^\s"'<>;&|]{3,}))"#,
        argument,
    ),
    (
        // `echo secret | command --password-stdin`, `echo user:secret | chpasswd`.
        "password",
        &["-stdin", "sudo -s", "chpasswd", "smbpasswd"],
        r#"(?i)\b(?:echo|printf)\s{1,3}(?:-[a-z]{1,3}\s{1,3})?(?:'(?P<s>[^'\n]{3,})'|"(?P<t>[^"\n]{3,})"|(?P<u>[^\s"'<>;&|]{3,}))\s{0,3}\|\s{0,3}[^\n]*(?:-stdin|sudo\s-S|chpasswd|smbpasswd)"#,
        argument,
    ),
    (
        "password",
        &["htpasswd"],
        r"\bhtpasswd\b[^\n|;]*?\s-\w*b\w*\s{1,3}(?:\S+\s{1,3}){1,3}(?P<s>[^\s|;]{3,})",
        argument,
    ),
    (
        "password",
        &["%"],
        r#"\b(?:smbclient|rpcclient|net|smbmap|mount)\b[^\n|;]*?(?:-U|user=)\s{0,3}["']?[^\s%"']+%(?P<s>[^\s"']{3,})"#,
        argument,
    ),
    (
        // Dialogues of protocols.
        "password",
        &["auth plain", "auth login", "user ", "pass ", "login ", "auth "],
        r#"(?m)(?:\bAUTH\s(?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2)\s{1,2}|(?:^|[>\]:]\s|C:\s)PASS\s|\b[Aa]?\d{0,6}\s?LOGIN\s\S+\s|(?:^|["'\]]\s?)["']?(?:AUTH|auth)["']?\s(?:["']?[a-z0-9_-]{1,40}["']?\s)?)["']?(?P<s>[A-Za-z0-9+/=!@#$%^&*._~-]{6,512})["']?\s*$"#,
        |value| !is_benign(value) && (has_digit(value) || value.bytes().any(|b| !b.is_ascii_alphabetic())),
    ),
    (
        // `ACL SETUSER worker on >secret`.
        "password",
        &["setuser"],
        r"(?i)\bsetuser\s[^\n]*?\s[>#](?P<s>[^\s]{3,})",
        any,
    ),
    ("password", &["auth("], r#"\bauth\(\s{0,2}["'][^"']+["']\s{0,2},\s{0,2}["'](?P<s>[^"'\n]{3,})["']"#, any),
    (
        "password",
        &["community"],
        r"(?i)\b(?:snmp-server\s)?community\s{1,3}(?P<s>[A-Za-z0-9!@#$%^&*_-]{6,64})\b",
        |value| has_digit(value) && !is_benign(value),
    ),
    (
        "one-time-code",
        &["code is", "code:", "passcode", "one-time", "otp"],
        r"(?i)\b(?:verification|security|login|one-time|otp|2fa|mfa|auth(?:entication)?|pass)[ -]?code(?:\sis|:|\s=)?\s{1,2}(?P<s>\d{4,8})\b",
        any,
    ),
];
