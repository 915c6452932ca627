//! Secrets in files of known kinds, where a place in the document tells and no name does.

use std::sync::LazyLock;

use regex::Regex;

use super::Found;
use super::keys::{Promise, promise};
use super::rules::{Row, any};
use super::values::{is_benign, is_hex};

/// The rows, as those of shapes.
pub(super) const DOCUMENTS: &[Row] = &[
    (
        // `.netrc` on one line.
        "password",
        &["machine ", "default login"],
        r"(?i)\b(?:machine\s{1,3}\S+|default)\s{1,8}login\s{1,3}\S+\s{1,8}password\s{1,3}(?P<s>\S{3,})",
        any,
    ),
    (
        // `.pgpass`: host:port:database:user:password.
        "password",
        &[":5432:", ":5433:", ":6432:", ":*:*:", ":*:"],
        r#"(?m)(?:^|[\s+>"'=])[^\s:"']+:(?:\d{2,5}|\*):[^\s:]+:[^\s:]+:(?P<s>(?:[^\s:\\"'}\]]|\\[:\\]){3,})(?:$|[\s"'\\}\],])"#,
        |value| !is_benign(value) && !value.bytes().all(|byte| byte.is_ascii_digit()),
    ),
    (
        // `.htpasswd`, LDIF and Dovecot: a scheme in braces.
        "password-hash",
        &[
            "{sha",
            "{ssha",
            "{crypt}",
            "{md5}",
            "{smd5}",
            "{pbkdf2",
            "{argon2",
            "{plain}",
            "{cram-md5}",
            "pbkdf2_sha",
            "pbkdf2$",
            "scrypt:",
            "pbkdf2:",
        ],
        r"(?i)(?:\{(?:S?SHA(?:\d{3})?|CRYPT|S?MD5|PLAIN|CRAM-MD5|PBKDF2[A-Z0-9-]{0,10}|ARGON2[A-Z]{0,2})(?:\.\w{1,6})?\}(?P<s>[A-Za-z0-9+/=.$,{}_-]{8,})|\b(?P<t>(?:pbkdf2_sha(?:1|256|512)\$|\$?pbkdf2(?:-sha\d{1,3})?\$|pbkdf2:sha\d{1,3}:|scrypt:)\d[A-Za-z0-9+/=.$:,_-]{20,}))",
        any,
    ),
    (
        // NT and LM hashes of `secretsdump`, `smbpasswd`.
        "password-hash",
        &[":::"],
        r"(?m)^[^\s:]+:\d{1,9}:(?P<s>[A-Fa-f0-9Xx*]{32}:[A-Fa-f0-9]{32}):",
        any,
    ),
    (
        "private-key",
        &["private-lines", "putty-user-key"],
        r"(?i)Private-Lines:\s{0,3}\d{1,3}\s{1,3}(?P<s>(?:[A-Za-z0-9+/=]{4,64}\s{1,2}){1,64})",
        any,
    ),
    (
        // The private members of a JSON Web Key.
        "private-key",
        &["\"kty\"", "kty\\\""],
        r#"\\{0,4}"(?:d|k|p|q|dp|dq|qi)\\{0,4}"\s{0,3}:\s{0,3}\\{0,4}"(?P<s>[A-Za-z0-9_-]{16,})"#,
        any,
    ),
    (
        "saml",
        &["samlresponse", "samlrequest", "saml_response", "signaturevalue"],
        r"(?i)(?:saml_?(?:response|request)(?:=|%3D|\W{1,6})|<(?:\w{1,10}:)?SignatureValue>)(?P<s>[A-Za-z0-9+/=%\s]{24,})",
        any,
    ),
    (
        // Links that let whoever holds them in.
        "link-token",
        &["://"],
        r#"(?i)\bhttps?://[^\s"'<>]+[?&#;](?:[a-z_.-]{0,30}(?:token|secret|signature|sig|code|ticket|jwt|assertion|apikey|api_key|access_key|auth|hash|nonce|key-pair-id|x-goog-signature|x-amz-signature|sastoken|otp|invite|magic))=(?P<s>[A-Za-z0-9%._~+/=-]{12,})"#,
        |value| value.bytes().any(|byte| byte.is_ascii_digit()) && !is_benign(value),
    ),
    (
        // Links to reset, confirm, join: the part of the path that nobody can guess.
        "link-token",
        &[
            "/reset",
            "/confirm",
            "/activate",
            "/verify",
            "/invite",
            "/magic",
            "/unsubscribe",
            "/share/",
            "/s3cret",
            "/webhook",
            "/hooks/",
        ],
        r#"(?i)/(?:reset(?:[_-]?password)?|confirm(?:ation)?|activate|verify(?:[_-]?email)?|invitations?|invite|magic(?:[_-]?link)?|unsubscribe|share|webhooks?|hooks)/(?P<s>[A-Za-z0-9_-]{20,})(?:[/?\s"'<>#,;)}\]]|$)"#,
        |value| value.bytes().any(|byte| byte.is_ascii_digit()) && value.bytes().any(|byte| byte.is_ascii_alphabetic()),
    ),
    (
        // Terraform's, Kubernetes', Consul's and others' bootstrap tokens: six, a dot, sixteen.
        "bootstrap-token",
        &["bootstrap", "kubeadm", "token"],
        r"\b(?P<s>[a-z0-9]{6}\.[a-z0-9]{16})\b",
        |value| value.bytes().filter(u8::is_ascii_digit).count() >= 2,
    ),
    (
        "ntlm",
        &["ntlm tl", "negotiate y", "kerberos y"],
        r"(?i)\b(?:ntlm|negotiate|kerberos)\s{1,3}(?P<s>(?:TlRMTVNT|YII|oYI)[A-Za-z0-9+/=]{16,})",
        any,
    ),
    ("digest-auth", &["digest "], r#"(?i)\bresponse="?(?P<s>[a-f0-9]{32})"?"#, is_hex),
    ("aws-signature", &["aws4-hmac", "signature="], r"(?i)\bSignature=(?P<s>[a-f0-9]{64})\b", any),
];

/// Adds secrets that are found by lines: bodies of keys, manifests of secrets, columns of tables.
pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    key_bodies(text, found);
    manifests(text, found);
    tables(text, found);
}

/// Lines of base64 at the width of PEM or MIME, several or beginning as keys do: a key that was logged line by line.
fn key_bodies(text: &str, found: &mut Vec<Found>) {
    static BODY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[^A-Za-z0-9+/=])(?P<s>[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]{70}|[A-Za-z0-9+/]{76}|(?:MII[A-Z]|b3BlbnNzaC1rZXk)[A-Za-z0-9+/]{20,}={0,2})(?:[^A-Za-z0-9+/]|$)")
            .expect("a constant expression")
    });
    for groups in BODY.captures_iter(text) {
        let Some(body) = groups.name("s") else { continue };
        let (upper, lower, digits) = body.as_str().bytes().fold((0, 0, 0), |(upper, lower, digits), byte| {
            (
                upper + usize::from(byte.is_ascii_uppercase()),
                lower + usize::from(byte.is_ascii_lowercase()),
                digits + usize::from(byte.is_ascii_digit()),
            )
        });
        if upper * 6 >= body.len() && lower * 6 >= body.len() && digits >= 3 {
            found.push(Found { start: body.start(), end: body.end(), kind: "private-key", order: 9_000 });
        }
    }
}

/// The values under `data` and `stringData` of a Kubernetes secret, in YAML or JSON.
fn manifests(text: &str, found: &mut Vec<Found>) {
    static KIND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i)\bkind(?:\\*")?\s{0,2}[:=]\s{0,2}(?:\\*")?(?:Sealed)?Secret\b"#)
            .expect("a constant expression")
    });
    static YAML: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^(?P<indent>[ +-]{0,20})(?:data|stringData):[ \t]*$").expect("a constant expression")
    });
    static JSON: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\\*"(?:data|stringData)\\*"\s{0,3}:\s{0,3}\{(?P<body>[^{}]+)\}"#).expect("a constant expression")
    });
    static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\\*"[^"\\]+\\*"\s{0,3}:\s{0,3}\\*"(?P<s>(?:[^"\\]|\\[^"])+)\\*""#).expect("a constant expression")
    });
    if !KIND.is_match(text) {
        return;
    }
    let mut add = |start: usize, value: &str| {
        if !is_benign(value) && value.len() >= 3 {
            found.push(Found { start, end: start + value.len(), kind: "kubernetes-secret", order: 8_000 });
        }
    };
    for body in JSON.captures_iter(text).filter_map(|groups| groups.name("body")) {
        for value in MEMBER.captures_iter(body.as_str()).filter_map(|groups| groups.name("s")) {
            add(body.start() + value.start(), value.as_str());
        }
    }
    let depth = |line: &str| line.len() - line.trim_start_matches([' ', '+', '-']).len();
    for head in YAML.find_iter(text) {
        let own = depth(head.as_str());
        let mut at = head.end() + 1;
        for line in text.get(at..).unwrap_or_default().split_inclusive('\n') {
            let content = line.trim_end();
            if !content.trim().is_empty() && depth(content) <= own {
                break;
            }
            let skip = match content.find(": ") {
                Some(colon) => colon + 2,
                None => depth(content),
            };
            let value = content[skip.min(content.len())..].trim_start();
            if !matches!(value, "|" | ">" | "|-" | ">-") && !value.ends_with(':') {
                add(at + content.len() - value.len(), value.trim_matches(['"', '\'']));
            }
            at += line.len();
        }
    }
}

/// Columns of tables whose heading promises a secret.
fn tables(text: &str, found: &mut Vec<Found>) {
    let mut column: Option<(char, usize, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let row = line.trim_end_matches(['\n', '\r']);
        let separator = ['|', '\t', ','].into_iter().find(|sign| row.matches(*sign).count() >= 1);
        match (column, separator) {
            (Some((sign, wanted, cells)), _) if row.matches(sign).count() + 1 == cells => {
                let mut from = at;
                for (place, cell) in row.split(sign).enumerate() {
                    let value = cell.trim().trim_matches('"');
                    if place == wanted
                        && value.len() >= 3
                        && !is_benign(value)
                        && !value.bytes().all(|b| b == b'-' || b == b'+')
                    {
                        let start = from + cell.find(value).unwrap_or(0);
                        found.push(Found { start, end: start + value.len(), kind: "password", order: 9_500 });
                    }
                    from += cell.len() + sign.len_utf8();
                }
            }
            (Some(_), _) if row.bytes().all(|byte| matches!(byte, b'-' | b'+' | b' ' | b'|' | b'=')) => {}
            (_, Some(sign)) => column = heading(row, sign),
            _ => column = None,
        }
        at += line.len();
    }
}

/// The column that promises a secret, where every cell of the row is a plain name.
fn heading(row: &str, sign: char) -> Option<(char, usize, usize)> {
    let cells: Vec<&str> = row.split(sign).map(|cell| cell.trim().trim_matches('"')).collect();
    let named = |cell: &&str| {
        cell.len() <= 40
            && cell.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ' | b'-' | b'.'))
    };
    // What stands in front of the first cell is of the line, not of the table.
    if cells.len() < 2 || !cells[1..].iter().all(named) {
        return None;
    }
    let wanted = cells.iter().position(|cell| matches!(promise(cell), Some(Promise::Sure | Promise::Likely)))?;
    Some((sign, wanted, cells.len()))
}
