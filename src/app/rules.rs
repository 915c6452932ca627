//! Where the policy comes from: a base that only root can write, and files that make it stricter.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::{Config, config_file};
use crate::gate::Policy;

use super::failure::Failure;

/// The directory whose files only root may write.
const SYSTEM: &str = "/etc/stanch";

/// A policy and where it came from.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The policy, all files together.
    pub(super) policy: Policy,
    /// The files, base first; `built-in policy` when the system has none.
    pub(super) source: String,
    /// Their texts.
    pub(super) text: String,
}

/// Loads the base, `/etc/stanch/policy.toml` or the one built in, then whatever makes it stricter: the file that the
/// configuration names, the user's own `policy.toml`, and `effects.toml` of the system and of the user.
pub(super) fn load(config: &Config) -> Result<Loaded, Failure> {
    let user = config_file().and_then(|file| file.parent().map(Path::to_owned));
    load_from(Path::new(SYSTEM), user.as_deref(), config.policy.file.as_deref(), 0)
}

/// `owner`: the user id that must own the files of `system`.
fn load_from(system: &Path, user: Option<&Path>, named: Option<&Path>, owner: u32) -> Result<Loaded, Failure> {
    let in_system = |path: &Path| path.parent() == Some(system);
    // The configuration may give the base another name, within the directory that only root writes.
    let base = named.filter(|path| in_system(path)).map_or_else(|| system.join("policy.toml"), Path::to_owned);
    let mut loaded = match read(&base)? {
        Some(text) => {
            guarded(&base, owner)?;
            let policy = Policy::parse(&text).map_err(|error| wrong(&base, &error.to_string()))?;
            Loaded { policy, source: base.display().to_string(), text }
        }
        None if named == Some(base.as_path()) => return Err(wrong(&base, "there is no such file")),
        None => Loaded {
            policy: Policy::builtin(),
            source: "built-in policy".to_owned(),
            text: Policy::builtin_text().to_owned(),
        },
    };
    let named = named.filter(|path| *path != base);
    let own = |name: &str| user.map(|directory| directory.join(name));
    let mut tighter: Vec<PathBuf> = named.map(Path::to_owned).into_iter().collect();
    tighter.extend(own("policy.toml").filter(|path| Some(path.as_path()) != named));
    for path in tighter {
        match read(&path)? {
            Some(text) => loaded.add(&path, &text, |policy| policy.tightened_by(&text))?,
            None if Some(path.as_path()) == named => return Err(wrong(&path, "there is no such file")),
            None => {}
        }
    }
    for path in [Some(system.join("effects.toml")), own("effects.toml")].into_iter().flatten() {
        if let Some(text) = read(&path)? {
            loaded.add(&path, &text, |policy| policy.with_stricter_effects(&text))?;
        }
    }
    Ok(loaded)
}

impl Loaded {
    fn add(
        &mut self,
        path: &Path,
        text: &str,
        lay: impl FnOnce(Policy) -> Result<Policy, crate::gate::PolicyError>,
    ) -> Result<(), Failure> {
        self.policy = lay(self.policy.clone()).map_err(|error| wrong(path, &error.to_string()))?;
        self.source = format!("{}, tightened by {}", self.source, path.display());
        self.text = format!("{}\n# --- tightened by {}\n{text}", self.text, path.display());
        Ok(())
    }
}

fn wrong(path: &Path, error: &str) -> Failure {
    Failure::usage(format!("policy {}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(wrong(path, &format!("cannot be read: {error}"))),
    }
}

/// A base that somebody else could write is no base.
fn guarded(path: &Path, owner: u32) -> Result<(), Failure> {
    let places = [Some(path), path.parent()];
    for place in places.into_iter().flatten() {
        let meta = std::fs::metadata(place).map_err(|error| wrong(place, &format!("cannot be looked at: {error}")))?;
        if meta.uid() != owner || meta.mode() & 0o022 != 0 {
            let fix = format!("chown root {0}; chmod go-w {0}", place.display());
            return Err(wrong(place, &format!("others than root can write it, so it guards nothing; run: {fix}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DENY: &str = "version = 1\n[[rule]]\nname = \"none\"\nwhen = { program = \"psql\" }\ndecision = \"deny\"\nwhy = \"w\"\n\
                        [[test]]\nname = \"t\"\nline = \"psql -l\"\nexpect = \"deny\"\n";
    const OPEN: &str = "version = 1\n[[rule]]\nname = \"all\"\nwhen = { effect = \"read\" }\ndecision = \"allow\"\nwhy = \"w\"\n\
                        [[test]]\nname = \"t\"\nline = \"psql -l\"\nexpect = \"allow\"\n";

    #[test]
    fn a_users_file_tightens_and_never_opens() {
        let (system, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let owner = fs::metadata(system.path()).unwrap().uid();
        let load = |named: Option<&Path>| load_from(system.path(), Some(user.path()), named, owner);
        assert_eq!(load(None).unwrap().source, "built-in policy");
        let mine = user.path().join("policy.toml");
        fs::write(&mine, OPEN).unwrap();
        assert!(load(None).unwrap_err().to_string().contains("only tighten"));
        assert!(load(Some(&mine)).is_err(), "naming it in the configuration makes it no base");
        fs::write(&mine, DENY).unwrap();
        assert!(load(None).unwrap().source.contains("tightened by"));
        fs::write(
            user.path().join("effects.toml"),
            "version = 1\n[[stricter]]\nprogram = \"psql\"\neffect = \"read\"\nwhy = \"w\"\n",
        )
        .unwrap();
        assert!(load(None).unwrap_err().to_string().contains("stricter"));
    }

    #[test]
    fn a_base_that_others_can_write_is_refused() {
        let system = tempfile::tempdir().unwrap();
        let owner = fs::metadata(system.path()).unwrap().uid();
        let base = system.path().join("policy.toml");
        fs::write(&base, OPEN).unwrap();
        fs::set_permissions(&base, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_from(system.path(), None, None, owner).unwrap().source, base.display().to_string());
        assert!(load_from(system.path(), None, None, owner + 1).is_err());
        fs::set_permissions(&base, fs::Permissions::from_mode(0o666)).unwrap();
        let error = load_from(system.path(), None, None, owner).unwrap_err().to_string();
        assert!(error.contains("others than root"), "{error}");
    }
}
