//! The system's file and the user's file as one configuration.

use std::collections::BTreeMap;

use crate::domain::settings::SourceSettings;

use super::{Approvals, Config, Llm, Profile, System};

impl Config {
    /// Lays the user's configuration over the system's. What guards production can only be tightened: a profile
    /// that the system calls critical stays critical and looks where the system says, one that the system does not
    /// know is critical, and a policy file or ledger that the system sets stays.
    #[must_use]
    pub fn under(self, user: Self) -> Self {
        let mut system = self.system;
        let profile = profiles(self.profile, user.profile, &mut system);
        let defaults = Self::default();
        if system.present {
            let differ = |key: &str, one: &Option<_>, other: &Option<_>| {
                let both = one.is_some() && other.is_some() && one != other;
                both.then(|| format!("`{key}`: the system's file sets it"))
            };
            let (ours, theirs) = (&self.approvals, &user.approvals);
            system.overruled.extend(differ("policy.file", &self.policy.file, &user.policy.file));
            system.overruled.extend(differ("approvals.signers", &ours.signers, &theirs.signers));
            system.overruled.extend(differ("approvals.revoked", &ours.revoked, &theirs.revoked));
            system.overruled.extend(differ("approvals.persons", &ours.persons, &theirs.persons));
            if self.ledger != defaults.ledger && user.ledger != defaults.ledger && self.ledger != user.ledger {
                system.overruled.push("`ledger`: the system's file sets it".to_owned());
            }
        }
        Self {
            default_profile: user.default_profile.or(self.default_profile),
            profile,
            llm: llm(self.llm, user.llm),
            policy: if self.policy.file.is_some() { self.policy } else { user.policy },
            ledger: if self.ledger == defaults.ledger { user.ledger } else { self.ledger },
            approvals: Approvals {
                signers: self.approvals.signers.or(user.approvals.signers),
                revoked: self.approvals.revoked.or(user.approvals.revoked),
                persons: self.approvals.persons.or(user.approvals.persons),
                // The user can make requests live shorter than the system's file says, not longer.
                expiry: if self.approvals.expiry == defaults.approvals.expiry {
                    user.approvals.expiry
                } else {
                    self.approvals.expiry.min(user.approvals.expiry)
                },
            },
            run: if user.run == defaults.run { self.run } else { user.run },
            files: self.files.into_iter().chain(user.files).collect(),
            ui: if user.ui == defaults.ui { self.ui } else { user.ui },
            system,
        }
    }
}

/// The user's own end points replace the system's; what may be spent is the less of both.
fn llm(system: Llm, user: Llm) -> Llm {
    let cost_per_day = match (system.cost_per_day, user.cost_per_day) {
        (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
        (ours, theirs) => ours.or(theirs),
    };
    let default = Llm::default().currency;
    Llm {
        ask_first: system.ask_first || user.ask_first,
        cost_per_day,
        tokens_per_day: least(system.tokens_per_day, user.tokens_per_day),
        currency: if user.currency == default { system.currency } else { user.currency },
        half_set: Vec::new(),
        endpoint: if user.endpoint.is_empty() { system.endpoint } else { user.endpoint },
    }
}

/// The tighter of two limits.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn profiles(
    mut profiles: BTreeMap<String, Profile>,
    users: BTreeMap<String, Profile>,
    system: &mut System,
) -> BTreeMap<String, Profile> {
    for (name, mine) in users {
        let merged = match profiles.remove(&name) {
            // Otherwise production under another name would be unguarded.
            None => Profile { critical: mine.critical || system.present, ..mine },
            Some(theirs) => {
                let mut keeps = Keeps { profile: &name, critical: theirs.critical, system };
                keeps.profile(theirs, mine)
            }
        };
        profiles.insert(name, merged);
    }
    profiles
}

/// A profile that the system's file defines, and what it keeps of it against the user's.
struct Keeps<'a> {
    profile: &'a str,
    critical: bool,
    system: &'a mut System,
}

impl Keeps<'_> {
    /// Names and places in it are trusted by the gate, so the user can set them only where that loosens nothing.
    fn profile(&mut self, theirs: Profile, mine: Profile) -> Profile {
        let inventory = if self.settled(!theirs.inventory.is_empty()) {
            self.overrule("inventory", !mine.inventory.is_empty() && mine.inventory != theirs.inventory);
            theirs.inventory
        } else {
            mine.inventory
        };
        let kubernetes = if self.settled(theirs.kubernetes.is_some()) {
            self.overrule("kubernetes.context", mine.kubernetes.is_some() && mine.kubernetes != theirs.kubernetes);
            theirs.kubernetes
        } else {
            mine.kubernetes
        };
        let exposition = if self.critical {
            self.overrule("exposition", !mine.exposition.is_empty() && mine.exposition != theirs.exposition);
            theirs.exposition
        } else if mine.exposition.is_empty() {
            theirs.exposition
        } else {
            mine.exposition
        };
        Profile {
            critical: theirs.critical || mine.critical,
            prometheus: self.source("prometheus", theirs.prometheus, mine.prometheus),
            alertmanager: self.source("alertmanager", theirs.alertmanager, mine.alertmanager),
            loki: self.source("loki", theirs.loki, mine.loki),
            exposition,
            changes: mine.changes.or(theirs.changes),
            baseline: mine.baseline.or(theirs.baseline),
            runbooks: mine.runbooks.or(theirs.runbooks),
            kubernetes,
            sees: least(theirs.sees, mine.sees),
            inventory,
        }
    }

    /// In a critical profile the user may say how to log in, and not where.
    fn source(
        &mut self,
        key: &str,
        theirs: Option<SourceSettings>,
        mine: Option<SourceSettings>,
    ) -> Option<SourceSettings> {
        if !self.critical {
            return mine.or(theirs);
        }
        let same = matches!((&theirs, &mine), (Some(theirs), Some(mine)) if theirs.url == mine.url);
        self.overrule(&format!("{key}.url"), mine.is_some() && !same);
        let auth = mine.filter(|_| same).and_then(|mine| mine.auth);
        theirs.map(|theirs| SourceSettings { auth: auth.or(theirs.auth.clone()), ..theirs })
    }

    /// Whether only the system's file sets a key.
    fn settled(&self, set: bool) -> bool {
        self.critical || set
    }

    fn overrule(&mut self, key: &str, differs: bool) {
        if differs {
            let why = if self.critical {
                "only the system's file sets it in a critical profile"
            } else {
                "the system's file sets it"
            };
            self.system.overruled.push(format!("`profile.{}.{key}`: {why}", self.profile));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Policy, parse};
    use crate::domain::settings::Sees;

    fn laid(system: &str, user: &str) -> super::Config {
        let mut system = parse("x", system).unwrap();
        system.system.present = true;
        system.under(parse("y", user).unwrap())
    }

    #[test]
    fn the_user_can_tighten_but_not_loosen() {
        let both = laid(
            "[profile.prod]\ncritical = true\n[profile.lab]\n[policy]\nfile = \"/etc/stanch/policy.toml\"",
            "[profile.prod]\ncritical = false\nrunbooks = \"/r\"\n[profile.lab]\ncritical = true\n\
             [policy]\nfile = \"mine.toml\"",
        );
        assert!(both.profile["prod"].critical && both.profile["lab"].critical);
        assert!(both.profile["prod"].runbooks.is_some());
        assert_eq!(both.policy, Policy { file: Some(PathBuf::from("/etc/stanch/policy.toml")) });
        assert_eq!(both.system.overruled, ["`policy.file`: the system's file sets it"]);
    }

    const MINE: &str = r#"
        inventory = ["evil"]
        kubernetes = { context = "elsewhere" }
        prometheus = { url = "http://p", auth = { bearer = { env = "MINE" } }, proxy = "http://evil" }
        loki = { url = "http://evil" }
        alertmanager = { url = "http://evil" }
        exposition = [{ url = "http://evil" }]
    "#;

    #[test]
    fn in_a_critical_profile_the_system_says_what_is_trusted() {
        let user = format!("[profile.prod]\n{MINE}");
        let system = "[profile.prod]\ncritical = true\ninventory = [\"shop\"]\nprometheus = { url = \"http://p\" }\n\
                      loki = { url = \"http://l\" }";
        let both = laid(system, &user);
        let prod = &both.profile["prod"];
        assert_eq!(prod.inventory, ["shop"]);
        assert_eq!(prod.kubernetes, None);
        assert!(prod.alertmanager.is_none() && prod.exposition.is_empty());
        assert_eq!(prod.loki.as_ref().unwrap().url, "http://l");
        let prometheus = prod.prometheus.as_ref().unwrap();
        assert!(prometheus.auth.is_some() && prometheus.proxy.is_none(), "one logs in as oneself");
        let keys: Vec<&str> = both.system.overruled.iter().filter_map(|why| why.split('`').nth(1)).collect();
        let expected = ["inventory", "kubernetes.context", "exposition", "alertmanager.url", "loki.url"];
        assert_eq!(keys, expected.map(|key| format!("profile.prod.{key}")));
    }

    #[test]
    fn in_another_profile_of_the_system_what_it_sets_stays_trusted_alone() {
        let user = format!("[profile.lab]\n{MINE}");
        let both = laid("[profile.lab]\ninventory = [\"shop\"]\nkubernetes = { context = \"lab\" }", &user);
        let lab = &both.profile["lab"];
        assert_eq!(lab.inventory, ["shop"]);
        assert_eq!(lab.kubernetes.as_ref().unwrap().context.as_deref(), Some("lab"));
        assert_eq!(lab.alertmanager.as_ref().unwrap().url, "http://evil");
        assert!(!lab.critical);
        assert_eq!(both.system.overruled.len(), 2);
        // What the system says nothing of, the user may.
        let open = laid("[profile.lab]\ncritical = false", &user);
        assert_eq!((open.profile["lab"].inventory.len(), open.system.overruled.len()), (1, 0));
    }

    #[test]
    fn what_models_may_see_and_cost_is_the_less_of_both() {
        let both = laid(
            "[llm]\ncost_per_day = 5.0\ntokens_per_day = 1000\nask_first = true\n[profile.prod]\nsees = \"redacted\"",
            "[llm]\ncost_per_day = 50.0\ntokens_per_day = 10\n[profile.prod]\nsees = \"production\"\n\
             [profile.lab]\nsees = \"nothing\"",
        );
        assert_eq!((both.llm.cost_per_day, both.llm.tokens_per_day, both.llm.ask_first), (Some(5.0), Some(10), true));
        assert_eq!(both.profile["prod"].sees, Some(Sees::Redacted));
        assert_eq!(both.profile["lab"].sees, Some(Sees::Nothing));
        assert_eq!(
            laid("[profile.prod]", "[profile.prod]\nsees = \"nothing\"").profile["prod"].sees,
            Some(Sees::Nothing)
        );
    }

    #[test]
    fn a_profile_the_system_does_not_know_is_critical() {
        assert!(laid("[ui]", "[profile.mine]").profile["mine"].critical);
        assert!(!laid("[profile.mine]\ncritical = false", "[profile.mine]").profile["mine"].critical);
        let variable = |name: &str| (name == "PROMETHEUS_URL").then(|| "http://p".to_owned());
        assert!(laid("[ui]", "").with_environment(variable).profile["environment"].critical);
        assert!(!super::Config::default().with_environment(variable).profile["environment"].critical);
    }
}
