//! The system's file and the user's file as one configuration.

use super::{Approvals, Config, Profile};

impl Config {
    /// Lays the user's configuration over the system's. What guards production can only be tightened: a profile
    /// that the system calls critical stays critical, and a policy file or ledger that the system sets stays.
    #[must_use]
    pub fn under(self, user: Self) -> Self {
        let mut profile = self.profile;
        for (name, mine) in user.profile {
            let guarded = profile.get(&name).is_some_and(|theirs: &Profile| theirs.critical);
            profile.insert(name, Profile { critical: guarded || mine.critical, ..mine });
        }
        let defaults = Self::default();
        Self {
            default_profile: user.default_profile.or(self.default_profile),
            profile,
            llm: if user.llm.endpoint.is_empty() { self.llm } else { user.llm },
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
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Policy, parse};

    #[test]
    fn the_user_can_tighten_but_not_loosen() {
        let system =
            parse("x", "[profile.prod]\ncritical = true\n[policy]\nfile = \"/etc/stanch/policy.toml\"").unwrap();
        let user = parse(
            "y",
            "[profile.prod]\ncritical = false\nprometheus = { url = \"http://p\" }\n[policy]\nfile = \"mine.toml\"",
        )
        .unwrap();
        let both = system.under(user);
        assert!(both.profile["prod"].critical);
        assert!(both.profile["prod"].prometheus.is_some());
        assert_eq!(both.policy, Policy { file: Some(PathBuf::from("/etc/stanch/policy.toml")) });
    }
}
