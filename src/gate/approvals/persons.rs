//! Who is who: persons, the names they sign and log in under, and their roles.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::domain::approval::{Identity, Trust};
use crate::gate::policy::ROLES;

/// Why a list of persons cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PersonsError(String);

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Name for people.
    pub name: String,
    /// Principals in `allowed_signers`.
    #[serde(default)]
    pub principals: Vec<String>,
    /// Accounts on hosts. Several persons may share one.
    #[serde(default)]
    pub users: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    person: Vec<Person>,
}

/// All persons.
#[derive(Debug, Clone, Default)]
pub struct Persons(Vec<Person>);

impl Persons {
    /// Reads the file: `version = 1` and `[[person]]` tables with `name`, `principals`, `users`, `roles`. No name and
    /// no principal may stand twice, and roles must be those of the policy.
    pub fn parse(text: &str) -> Result<Self, PersonsError> {
        let file: File = toml::from_str(text).map_err(|error| PersonsError(error.to_string()))?;
        if file.version != 1 {
            return Err(PersonsError(format!("version {} is not known; this program knows 1", file.version)));
        }
        let (mut names, mut principals) = (BTreeSet::new(), BTreeSet::new());
        for person in &file.person {
            if person.name.is_empty() || !names.insert(&person.name) {
                return Err(PersonsError(format!("the name `{}` is empty or stands twice", person.name)));
            }
            if let Some(twice) = person.principals.iter().find(|&name| name.is_empty() || !principals.insert(name)) {
                return Err(PersonsError(format!("the principal `{twice}` is empty or stands twice")));
            }
            if let Some(role) = person.roles.iter().find(|role| !ROLES.contains(&role.as_str())) {
                return Err(PersonsError(format!("{}: the role `{role}` is not known", person.name)));
            }
        }
        Ok(Self(file.person))
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The person who signs as `principal`.
    pub fn signing_as(&self, principal: &str) -> Option<&Person> {
        self.0.iter().find(|person| person.principals.iter().any(|name| name == principal))
    }

    /// Names of the persons of whom a principal fits.
    pub(super) fn signing(&self, fits: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
        let known = move |person: &&Person| person.principals.iter().any(|name| fits(name));
        self.0.iter().filter(known).map(|person| person.name.as_str())
    }

    /// Persons who may log in as any of `accounts`.
    pub fn using(&self, accounts: &[&str]) -> Vec<&Person> {
        self.0.iter().filter(|person| person.users.iter().any(|user| accounts.contains(&user.as_str()))).collect()
    }

    /// Persons who may be meant by an identity.
    pub fn known_as(&self, identity: &Identity) -> Vec<&Person> {
        self.using(&accounts(identity))
    }

    /// The role of whoever works under an identity: of each account that says who it is the highest role of the one
    /// person who may be meant, and of these the lowest. `viewer` for somebody who is not listed. Of several who share
    /// an account, the lowest of their highest.
    pub fn role_of(&self, identity: &Identity) -> &'static str {
        let rank = |person: &Person| {
            person.roles.iter().filter_map(|role| ROLES.iter().position(|known| known == role)).max().unwrap_or(0)
        };
        let of = |account: &str| self.using(&[account]).into_iter().map(rank).min().unwrap_or(0);
        ROLES[accounts(identity).into_iter().map(of).min().unwrap_or(0)]
    }
}

/// Accounts that say who somebody is. Of root the one that logged in, which `sudo` does not change; of others both
/// that and the one in use: whoever has no login uid yet may set any, so that a login can never give more than the
/// account has.
pub(super) fn accounts(identity: &Identity) -> Vec<&str> {
    match &identity.login_user {
        Some(login) if identity.uid == 0 && identity.trust >= Trust::Login => vec![login],
        Some(login) if *login != identity.user => vec![&identity.user, login],
        _ => vec![&identity.user],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_refuses_the_list() {
        let person = |rest: &str| format!("version = 1\n[[person]]\nname = \"A\"\n{rest}");
        for (text, what) in [
            ("version = 2", "version 2"),
            (&*person("roles = [\"comander\"]"), "comander"),
            (&*person("role = \"admin\""), "role"),
            (&*person("roles = []\nprincipals = [\"a\", \"a\"]"), "twice"),
            (&*format!("{}\n[[person]]\nname = \"A\"\nroles = []", person("roles = []")), "twice"),
        ] {
            let error = Persons::parse(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn who_shares_an_account_has_the_least_role_of_all() {
        let text = "version = 1\n[[person]]\nname = \"A\"\nusers = [\"root\", \"a\"]\nroles = [\"admin\"]\n\
                    [[person]]\nname = \"B\"\nusers = [\"root\"]\nroles = [\"viewer\", \"operator\"]\n";
        let persons = Persons::parse(text).unwrap();
        let mut identity = Identity {
            user: "root".into(),
            uid: 0,
            login_user: Some("a".into()),
            login_uid: Some(7),
            session: None,
            ssh_from: None,
            ssh_auth: None,
            key: None,
            trust: Trust::Account,
        };
        assert_eq!(persons.role_of(&identity), "operator");
        identity.trust = Trust::Login;
        assert_eq!(persons.role_of(&identity), "admin");
        identity.login_user = Some("stranger".into());
        assert_eq!(persons.role_of(&identity), "viewer");
        // Who is not root and names a login of somebody else gets the less of both, and may be either.
        let text = "version = 1\n[[person]]\nname = \"Nina\"\nusers = [\"nina\"]\nroles = [\"viewer\"]\n\
                    [[person]]\nname = \"Dora\"\nusers = [\"dora\"]\nroles = [\"admin\"]\n";
        let persons = Persons::parse(text).unwrap();
        identity = Identity { user: "nina".into(), uid: 1001, login_user: Some("dora".into()), ..identity };
        assert_eq!(persons.role_of(&identity), "viewer");
        assert_eq!(persons.known_as(&identity).len(), 2);
        identity.user = "nobody-listed".into();
        assert_eq!(persons.role_of(&identity), "viewer");
    }
}
