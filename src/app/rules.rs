//! Where the policy comes from: a base that only root can write, and files that make it stricter.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use crate::config::{Config, config_file};
use crate::gate::{Gate, Policy};

use super::failure::Failure;

/// The directory whose files only root may write.
const SYSTEM: &str = "/etc/stanch";

/// A policy in force and where it came from.
#[derive(Debug)]
pub struct InForce {
    /// Decides by it.
    pub gate: Gate,
    /// The files, base first; `built-in policy` when the system has none.
    pub source: String,
    /// Their texts.
    pub text: String,
}

/// A policy that is being put together.
#[derive(Debug)]
struct Loaded {
    policy: Policy,
    source: String,
    text: String,
}

/// What looking at the files again led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// Nothing changed.
    Same,
    /// Another policy is in force; the digests before and now.
    Changed {
        /// Digest of the policy before.
        before: String,
        /// Digest of the policy now.
        after: String,
    },
    /// The files changed and cannot be used: the policy before stays in force.
    Kept(String),
}

/// When a file changed last, how long it is, and which one it is; none when there is none.
type Stamp = Option<(SystemTime, u64, u64)>;

/// The policy in force. Shared by all who decide by it, and exchanged when its files change.
#[derive(Debug)]
pub struct Rules {
    places: Places,
    now: RwLock<Arc<InForce>>,
    stamps: Mutex<Vec<Stamp>>,
}

/// Where policies lie.
#[derive(Debug)]
struct Places {
    system: PathBuf,
    user: Option<PathBuf>,
    named: Option<PathBuf>,
    /// The user id that must own the base.
    owner: u32,
}

impl Places {
    fn load(&self) -> Result<InForce, Failure> {
        let Loaded { policy, source, text } =
            load_from(&self.system, self.user.as_deref(), self.named.as_deref(), self.owner)?;
        Ok(InForce { gate: Gate::new(policy), source, text })
    }

    /// Every file that counts, whether it is there or not.
    fn stamps(&self) -> Vec<Stamp> {
        let stamp = |path: &Path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len(), meta.ino()))
        };
        let directories = [Some(&self.system), self.user.as_ref()].into_iter().flatten();
        let mut files: Vec<PathBuf> = directories
            .flat_map(|directory| ["policy.toml", "effects.toml"].map(|name| directory.join(name)))
            .collect();
        files.extend(self.named.clone());
        files.iter().map(|path| stamp(path)).collect()
    }
}

impl Rules {
    /// Loads the base, `/etc/stanch/policy.toml` or the one built in, then whatever makes it stricter: the file that
    /// the configuration names, the user's own `policy.toml`, and `effects.toml` of the system and of the user.
    pub fn load(config: &Config) -> Result<Self, Failure> {
        let user = config_file().and_then(|file| file.parent().map(Path::to_owned));
        Self::load_at(Places { system: PathBuf::from(SYSTEM), user, named: config.policy.file.clone(), owner: 0 })
    }

    fn load_at(places: Places) -> Result<Self, Failure> {
        // Looked at before: what changes while it is being read is noticed the next time.
        let stamps = places.stamps();
        let now = places.load()?;
        Ok(Self { places, now: RwLock::new(Arc::new(now)), stamps: Mutex::new(stamps) })
    }

    /// The policy in force.
    pub fn now(&self) -> Arc<InForce> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files, and takes over what they say when they changed and can be used. What cannot be used is said
    /// once.
    pub fn refresh(&self) -> Refreshed {
        let stamps = self.places.stamps();
        {
            let mut known = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
            if *known == stamps {
                return Refreshed::Same;
            }
            *known = stamps;
        }
        let after = match self.places.load() {
            Ok(after) => after,
            Err(error) => return Refreshed::Kept(error.to_string()),
        };
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let digests = (now.gate.policy().hash().to_owned(), after.gate.policy().hash().to_owned());
        *now = Arc::new(after);
        match digests {
            (before, after) if before == after => Refreshed::Same,
            (before, after) => Refreshed::Changed { before, after },
        }
    }
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
    fn a_changed_file_is_taken_over_and_a_broken_one_leaves_the_policy_as_it_is() {
        let (system, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let owner = fs::metadata(system.path()).unwrap().uid();
        let places = Places { system: system.path().into(), user: Some(user.path().into()), named: None, owner };
        let rules = Rules::load_at(places).unwrap();
        let builtin = rules.now().gate.policy().hash().to_owned();
        assert_eq!(rules.refresh(), Refreshed::Same);
        let mine = user.path().join("policy.toml");
        fs::write(&mine, DENY).unwrap();
        let Refreshed::Changed { before, after } = rules.refresh() else { panic!("not noticed") };
        assert_eq!((before.as_str(), after.as_str()), (builtin.as_str(), rules.now().gate.policy().hash()));
        assert!(rules.now().text.contains("tightened by"));
        fs::write(&mine, OPEN).unwrap();
        let Refreshed::Kept(why) = rules.refresh() else { panic!("not refused") };
        assert!(why.contains("only tighten"), "{why}");
        assert_eq!(rules.now().gate.policy().hash(), after);
        assert_eq!(rules.refresh(), Refreshed::Same, "said once");
        fs::remove_file(&mine).unwrap();
        assert!(matches!(rules.refresh(), Refreshed::Changed { after, .. } if after == builtin));
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
