//! Which names of fields promise a secret.

/// How sure a name is that its value is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// `token`, `secret`, `auth`: may name an object as well, so only what looks issued counts.
    Maybe,
    /// `client_secret`, `api_key`: a value, unless it says that there is none.
    Likely,
    /// `password`: whatever stands there.
    Sure,
    /// `pin`, `otp`: a few digits.
    Digits,
}

/// Words with which every telling name contains; found first, so that the rest of the text costs nothing.
pub(super) const STEMS: &str = "\
    pass pwd pw secret token key cred auth cookie session sess signature sig hmac salt seed mnemonic otp pin cvv \
    cvc dsn psk jwt bearer assertion community samlresponse pat hash verifier webhook sid passwort contraseña \
    mdp kennwort";

/// Parts at the end of a name that say nothing about what it names.
const TRANSPARENT: &str = "\
    value values val prod production dev staging stage test old new current previous next primary secondary b64 \
    base64 enc encrypted encoded plain plaintext text txt raw main default str string env rw ro in data again \
    confirm confirmation repeat hash hashed digest sha1 sha256 md5";

const PASSWORDS: &str = "\
    password passwords passwd passphrase passcode pwd pw passwort kennwort contraseña contrasena mdp psk bindpw \
    rootpw userpw requirepass masterauth storepass keypass sshpass passkey mnemonic";

/// Words in front of `pass` that make it a password.
const BEFORE_PASS: &str = "\
    user keystore truststore db database root admin ssh key store ldap smtp mysql pg postgres redis mail email ftp sftp web sys auth \
    login bind my app proxy mongo rabbitmq amqp imap vpn wifi sudo enable service registry es elastic kafka";

/// Words in front of `key` that make it a secret one.
const BEFORE_KEY: &str = "\
    api access secret private signing sign encryption encrypt decryption auth master shared account storage \
    license licence session client ssl tls deploy deployment webhook integration consumer subscription \
    instrumentation ingest ingestion write admin root hmac jwt aes des rsa ecdsa ed25519 cipher crypto kms app \
    application rest service user bot publishable sas fernet erlang unseal recovery preshared authorization \
    activation registration join cluster ssh host wg wireguard functions function server rails django flask \
    laravel project sdk management sync merchant payment stripe openai anthropic google maps sendgrid mailgun \
    twilio datadog newrelic sentry algolia cloudflare azure aws gcp";

/// Names that end in `token` and hold a place in a list, or count.
const NO_TOKEN: &str = "\
    next page continuation continue cursor max min num total prompt completion last first per unexpected \
    lookahead stop eos bos pad unk cancellation";

/// Names that end in `secret` and name an object.
const NO_SECRET: &str = "\
    image pull tls kubernetes k8s io from get list named";

/// Whether a word is in a list of words.
pub(super) fn among(list: &str, word: &str) -> bool {
    !word.is_empty() && list.split(' ').any(|one| one == word)
}

/// The small-letter parts of a name: at separators, and where a capital follows a small letter.
fn parts(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut part = String::new();
    let mut small = false;
    for c in name.chars() {
        if matches!(c, '_' | '-' | '.' | '[' | ']' | '/' | '$' | '@' | ' ') {
            if !part.is_empty() {
                out.push(std::mem::take(&mut part));
            }
            small = false;
            continue;
        }
        if c.is_uppercase() && small && !part.is_empty() {
            out.push(std::mem::take(&mut part));
        }
        small = c.is_lowercase() || c.is_ascii_digit();
        part.extend(c.to_lowercase());
    }
    if !part.is_empty() {
        out.push(part);
    }
    out
}

/// What a name promises; `None` when it names no secret.
pub(super) fn promise(name: &str) -> Option<Promise> {
    let parts = parts(name);
    let mut kept: &[String] = &parts;
    while kept.len() > 1
        && kept
            .last()
            .is_some_and(|last| among(TRANSPARENT, last.as_str()) || last.bytes().all(|byte| byte.is_ascii_digit()))
    {
        kept = &kept[..kept.len() - 1];
    }
    let last = kept.last()?.trim_end_matches(|c: char| c.is_ascii_digit());
    let before = kept.len().checked_sub(2).map(|at| kept[at].as_str());
    let compound = before.is_some();
    if among(PASSWORDS, last)
        || ["password", "passwords", "passwd", "passphrase", "pwd"].iter().any(|word| last.ends_with(word))
        || last.ends_with("passwort")
    {
        return Some(Promise::Sure);
    }
    if last == "pass" {
        return Some(
            if before.is_some_and(|word| among(BEFORE_PASS, word)) || compound && name == name.to_uppercase() {
                Promise::Sure
            } else {
                Promise::Maybe
            },
        );
    }
    if last.strip_suffix("pass").is_some_and(|word| among(BEFORE_PASS, word)) {
        return Some(Promise::Sure);
    }
    match last {
        "secret" | "secrets" => {
            let object = before.is_some_and(|word| among(NO_SECRET, word));
            Some(if compound && !object { Promise::Likely } else { Promise::Maybe })
        }
        "token" => {
            if before.is_some_and(|word| among(NO_TOKEN, word)) {
                return None;
            }
            Some(if compound { Promise::Likely } else { Promise::Maybe })
        }
        "key" if before == Some("s") => None,
        "key" | "keys" => before.filter(|word| among(BEFORE_KEY, word)).map(|_| Promise::Likely),
        "credential" | "credentials" | "creds" | "cred" | "auth" | "authorization" | "cookie" | "cookies"
        | "session" | "sessid" | "sessionid" | "sid" | "signature" | "sig" | "hmac" | "salt" | "seed" | "jwt"
        | "bearer" | "assertion" | "samlresponse" | "samlrequest" | "pat" | "verifier" | "community" | "dsn"
        | "webhook" => Some(Promise::Maybe),
        "id" if matches!(before, Some("secret" | "session")) => Some(Promise::Maybe),
        "pin" | "otp" | "totp" | "cvv" | "cvc" | "cvv2" => Some(Promise::Digits),
        _ if last.ends_with("secret") && last.len() > 6 => Some(Promise::Likely),
        _ if last.ends_with("token") && last.len() > 5 => {
            (!last.strip_suffix("token").is_some_and(|word| among(NO_TOKEN, word))).then_some(Promise::Likely)
        }
        _ => last.strip_suffix("key").filter(|word| word.len() > 2 && among(BEFORE_KEY, word)).map(|_| Promise::Likely),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_however_they_are_joined() {
        for name in [
            "password",
            "DB_PASSWORD",
            "spring.datasource.password",
            "userPassword",
            "dbpasswd",
            "PGPASSWORD",
            "smtp_pass",
            "MYSQL_ROOT_PASSWORD",
            "password2",
            "passwordHash",
            "ADMIN_PW",
            "wifi-psk",
            "keystorePass",
        ] {
            assert_eq!(promise(name), Some(Promise::Sure), "{name}");
        }
        for name in [
            "client_secret",
            "apiKey",
            "X-Api-Key",
            "aws_secret_access_key",
            "accessToken",
            "authToken",
            "jwtSecret",
            "signing-key",
            "CLIENTSECRET",
            "refresh_token_value",
            "AccountKey",
        ] {
            assert_eq!(promise(name), Some(Promise::Likely), "{name}");
        }
        for name in ["token", "secret", "Authorization", "session_id", "signature", "pass"] {
            assert_eq!(promise(name), Some(Promise::Maybe), "{name}");
        }
        for name in [
            "secretName",
            "password_file",
            "tokens",
            "next_token",
            "cache_key",
            "primaryKey",
            "compass",
            "bypass",
            "monkey",
            "passed",
            "author",
            "tokenizer",
            "key",
            "partition_key",
            "max_token",
            "keyspace",
            "passwordPolicy",
        ] {
            assert_eq!(promise(name), None, "{name}");
        }
    }
}
