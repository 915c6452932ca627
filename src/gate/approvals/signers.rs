//! Whose keys count: a file in the format of OpenSSH's `allowed_signers` (`ssh-keygen(1)`), and a list of revoked keys.
//!
//! Read more strictly than OpenSSH reads it: a line that is not understood refuses the file, and times must say that
//! they are UTC.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use ssh_key::{Fingerprint, HashAlg, PublicKey};

use super::sshsig::{Envelope, certified};
use crate::domain::Timestamp;

/// Most lines of either file.
const MAX_LINES: usize = 100_000;

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct SignersError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Why a key does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASigner {
    /// The key stands nowhere.
    #[error("the key {0} is not among the allowed signers")]
    Unknown(String),
    /// The key was revoked.
    #[error("the key {0} is revoked")]
    Revoked(String),
    /// The key is somebody else's.
    #[error("the key {key} may not sign as `{principal}`")]
    Principal {
        /// The key.
        key: String,
        /// Whom it claimed to be.
        principal: String,
    },
    /// The key may sign other things.
    #[error("the key {key} may not sign in the namespace `{namespace}`")]
    Namespace {
        /// The key.
        key: String,
        /// For what it was used.
        namespace: String,
    },
    /// Not yet, or no more.
    #[error("the key {0} is not valid at this time")]
    Time(String),
    /// The certificate does not hold.
    #[error("the certificate of {key} does not hold: {why}")]
    Certificate {
        /// The key.
        key: String,
        /// Why.
        why: String,
    },
}

/// Keys and authorities that may sign, and as whom.
#[derive(Debug, Clone, Default)]
pub struct Signers {
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    principals: Vec<String>,
    authority: bool,
    namespaces: Option<Vec<String>>,
    after: Option<i64>,
    before: Option<i64>,
    key: PublicKey,
}

/// Keys that count no more.
#[derive(Debug, Clone, Default)]
pub struct Revoked {
    fingerprints: BTreeSet<String>,
}

impl Revoked {
    /// Reads a list: a public key a line as `ssh-keygen` takes it, or a fingerprint `SHA256:…`. An authority's key
    /// revokes all its certificates.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        if text.starts_with("SSHKRL") {
            let what = "this is a binary revocation list; give a text file with one public key a line".to_owned();
            return Err(SignersError { line: 1, what });
        }
        let mut fingerprints = BTreeSet::new();
        for (line, text) in content(text)? {
            let wrong = |what: String| SignersError { line, what };
            let fingerprint = if text.starts_with("SHA256:") {
                let word = text.split_whitespace().next().unwrap_or_default();
                word.parse::<Fingerprint>().map_err(|error| wrong(format!("not a fingerprint: {error}")))?
            } else {
                let key = PublicKey::from_openssh(text).map_err(|error| wrong(format!("not a public key: {error}")))?;
                key.fingerprint(HashAlg::Sha256)
            };
            fingerprints.insert(fingerprint.to_string());
        }
        Ok(Self { fingerprints })
    }

    /// Whether the key with this fingerprint, `SHA256:…`, counts no more.
    pub fn has(&self, fingerprint: &str) -> bool {
        self.fingerprints.contains(fingerprint)
    }

    fn contains(&self, key: &PublicKey) -> bool {
        self.fingerprints.contains(&key.fingerprint(HashAlg::Sha256).to_string())
    }
}

impl Signers {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        let lines = content(text)?
            .into_iter()
            .map(|(line, text)| Line::parse(text).map_err(|what| SignersError { line, what }));
        Ok(Self { lines: lines.collect::<Result<_, _>>()? })
    }

    /// Whether nobody may sign.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The keys, authorities aside, each with whether it may sign as a principal by any of its lines.
    pub(super) fn keys(&self) -> impl Iterator<Item = (String, impl Fn(&str) -> bool)> {
        self.lines.iter().filter(|line| !line.authority).map(move |first| {
            let same = move |line: &&Line| !line.authority && line.key.key_data() == first.key.key_data();
            let may = move |name: &str| self.lines.iter().filter(same).any(|line| in_list(&line.principals, name));
            (first.key.fingerprint(HashAlg::Sha256).to_string(), may)
        })
    }

    /// The one principal that a key stands under, where it is one without wildcards.
    pub fn principal_of(&self, key: &PublicKey) -> Option<&str> {
        let mut names = self
            .lines
            .iter()
            .filter(|line| !line.authority && line.key.key_data() == key.key_data())
            .flat_map(|line| &line.principals);
        let first = names.next()?;
        (names.all(|name| name == first) && !first.contains(['*', '?', '!'])).then_some(first)
    }

    /// Whether whoever made this signature may sign as `principal` in `namespace` at each of `times`. Does not look
    /// whether the signature fits.
    pub fn allow(
        &self,
        envelope: &Envelope,
        revoked: &Revoked,
        principal: &str,
        namespace: &str,
        times: [Timestamp; 2],
    ) -> Result<(), NotASigner> {
        let key = envelope.fingerprint().to_string();
        if revoked.contains(&envelope.key) {
            return Err(NotASigner::Revoked(key));
        }
        let mut closest = NotASigner::Unknown(key.clone());
        for line in &self.lines {
            let fits = match &envelope.certificate {
                Some(certificate) => line.authority && line.key.key_data() == certificate.signature_key(),
                None => !line.authority && line.key.key_data() == envelope.key.key_data(),
            };
            if !fits {
                continue;
            }
            if revoked.contains(&line.key) {
                return Err(NotASigner::Revoked(line.key.fingerprint(HashAlg::Sha256).to_string()));
            }
            match line.allows(envelope, &key, principal, namespace, times) {
                Ok(()) => return Ok(()),
                Err(why) => closest = why,
            }
        }
        Err(closest)
    }
}

impl Line {
    fn parse(text: &str) -> Result<Self, String> {
        let (principals, rest) = word(text)?;
        let principals: Vec<String> = principals.split(',').map(str::to_owned).collect();
        if principals.iter().any(String::is_empty) {
            return Err("an empty principal".to_owned());
        }
        let mut line = Self {
            principals,
            authority: false,
            namespaces: None,
            after: None,
            before: None,
            // Replaced below; parsing ends with a key or an error.
            key: PublicKey::from(ssh_key::public::Ed25519PublicKey([0; 32])),
        };
        let (first, _) = word(rest)?;
        let is_key = |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start));
        let key = if is_key(&first) {
            rest
        } else {
            let (options, key) = options(rest)?;
            for option in options {
                line.set(&option)?;
            }
            key
        };
        line.key = PublicKey::from_openssh(key.trim()).map_err(|error| format!("not a public key: {error}"))?;
        Ok(line)
    }

    fn set(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let name = name.to_ascii_lowercase();
        match (name.as_str(), value) {
            ("cert-authority", None) => self.authority = true,
            ("namespaces", Some(list)) if !list.is_empty() => {
                self.namespaces = Some(list.split(',').map(str::to_owned).collect());
            }
            ("valid-after", Some(time)) => self.after = Some(seconds(time)?),
            ("valid-before", Some(time)) => self.before = Some(seconds(time)?),
            _ => return Err(format!("the option `{option}` is not known")),
        }
        Ok(())
    }

    fn allows(
        &self,
        envelope: &Envelope,
        key: &str,
        principal: &str,
        namespace: &str,
        times: [Timestamp; 2],
    ) -> Result<(), NotASigner> {
        if !in_list(&self.principals, principal) {
            return Err(NotASigner::Principal { key: key.to_owned(), principal: principal.to_owned() });
        }
        if self.namespaces.as_ref().is_some_and(|list| !in_list(list, namespace)) {
            return Err(NotASigner::Namespace { key: key.to_owned(), namespace: namespace.to_owned() });
        }
        let valid = |at: Timestamp| {
            self.after.is_none_or(|after| at.secs() >= after) && self.before.is_none_or(|before| at.secs() < before)
        };
        if !times.into_iter().all(valid) {
            return Err(NotASigner::Time(key.to_owned()));
        }
        if let Some(certificate) = &envelope.certificate {
            let times = times.map(|at| u64::try_from(at.secs()).unwrap_or(0));
            certified(certificate, &self.key, principal, &times)
                .map_err(|why| NotASigner::Certificate { key: key.to_owned(), why })?;
        }
        Ok(())
    }
}

/// Lines with something on them.
fn content(text: &str) -> Result<Vec<(usize, &str)>, SignersError> {
    if text.lines().count() > MAX_LINES {
        return Err(SignersError { line: MAX_LINES, what: "there are more lines than can be meant".to_owned() });
    }
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    Ok(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect())
}

/// The first word, without its quotes, and what follows.
fn word(text: &str) -> Result<(String, &str), String> {
    let text = text.trim_start();
    if let Some(quoted) = text.strip_prefix('"') {
        let (word, rest) = quoted.split_once('"').ok_or("a quotation mark is missing")?;
        return Ok((word.to_owned(), rest));
    }
    let (word, rest) = text.split_once(char::is_whitespace).ok_or("there is no key")?;
    Ok((word.to_owned(), rest))
}

/// The options, without their quotes, and what follows.
fn options(text: &str) -> Result<(Vec<String>, &str), String> {
    let (mut options, mut option, mut quoted) = (Vec::new(), String::new(), false);
    let text = text.trim_start();
    for (index, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => options.push(std::mem::take(&mut option)),
            letter if letter.is_whitespace() && !quoted => {
                options.push(option);
                return Ok((options, &text[index..]));
            }
            letter => option.push(letter),
        }
    }
    Err("there is no key".to_owned())
}

/// `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ` as seconds since 1970.
fn seconds(text: &str) -> Result<i64, String> {
    let digits = text.strip_suffix('Z').ok_or_else(|| format!("the time `{text}` must end in Z: it has to be UTC"))?;
    let padded = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        _ => digits.to_owned(),
    };
    NaiveDateTime::parse_from_str(&padded, "%Y%m%d%H%M%S")
        .map(|time| time.and_utc().timestamp())
        .map_err(|_| format!("`{text}` is not a time like 20260131Z or 202601311530Z"))
}

/// OpenSSH's pattern lists: `*` and `?`, and `!` in front of what is excluded.
fn in_list(patterns: &[String], word: &str) -> bool {
    let excluded = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(|pattern| like(pattern, word));
    !excluded && patterns.iter().any(|pattern| !pattern.starts_with('!') && like(pattern, word))
}

/// Whether `word` fits a pattern with `*` and `?`. Linear in space and at worst quadratic in time: one `*` is
/// remembered, and taken one letter further when what follows does not fit.
fn like(pattern: &str, word: &str) -> bool {
    let (pattern, word): (Vec<char>, Vec<char>) = (pattern.chars().collect(), word.chars().collect());
    let (mut p, mut w, mut star) = (0, 0, None);
    while w < word.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, w));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == word[w]) {
            (p, w) = (p + 1, w + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, w) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&letter| letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";

    #[test]
    fn options_names_and_times_are_read_as_ssh_keygen_reads_them() {
        let text = format!(
            "# who\n\n\"alice@x,!bob@x,*@ops\" cert-authority,namespaces=\"a,stanch-*\",valid-after=\"20260102Z\",valid-before=202601021530Z {KEY} home\nbob {KEY}\n"
        );
        let signers = Signers::parse(&text).unwrap();
        let line = &signers.lines[0];
        assert!(line.authority && !signers.lines[1].authority);
        assert_eq!((line.after, line.before), (Some(1_767_312_000), Some(1_767_367_800)));
        assert!(in_list(&line.principals, "x@ops") && !in_list(&line.principals, "bob@x"));
        assert!(in_list(line.namespaces.as_ref().unwrap(), "stanch-approval"));
        assert_eq!(signers.principal_of(&signers.lines[1].key), Some("bob"));
    }

    #[test]
    fn a_line_that_is_not_understood_refuses_the_file() {
        for (line, what) in [
            ("alice", "no key"),
            (&*format!("alice valid-after=\"20260102\" {KEY}"), "UTC"),
            (&*format!("alice namespace=\"x\" {KEY}"), "not known"),
            (&*format!("alice,,bob {KEY}"), "empty principal"),
            (&*format!("\"alice {KEY}"), "quotation"),
            ("alice ssh-ed25519 AAAA", "not a public key"),
        ] {
            let error = Signers::parse(line).unwrap_err();
            assert!(error.line == 1 && error.what.contains(what), "{line}: {error}");
        }
        assert!(Revoked::parse("SSHKRL\n").is_err() && Revoked::parse("nonsense").is_err());
        assert_eq!(Revoked::parse(&format!("# lost\n{KEY} laptop\n")).unwrap().fingerprints.len(), 1);
    }

    #[test]
    fn patterns_fit_as_in_openssh() {
        for (pattern, word, fits) in [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(like(pattern, word), fits, "{pattern} {word}");
        }
    }
}
