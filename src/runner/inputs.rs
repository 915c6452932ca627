//! Files that decide what a change does: the manifests it is given, and the settings that say where it acts. They are
//! part of what is shown, confirmed and approved; another content is another run.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::domain::canonical::hex;

/// Most files of a directory that is given as one manifest.
const MAX_FILES: usize = 2_000;
/// Most bytes that are read of all of them.
const MAX_BYTES: u64 = 64 << 20;
/// Stands for the hash of a file that is not there, so that one that is made afterwards is noticed.
const ABSENT: &str = "absent";

/// Where programs look for what says at which cluster, host or account they act, below the home directory or where a
/// variable says.
const SETTINGS: &[(&[&str], &str, &str)] = &[
    (&["kubectl", "helm", "flux", "istioctl", "linkerd", "stern"], "KUBECONFIG", ".kube/config"),
    (&["docker", "docker-compose", "podman", "nerdctl"], "", ".docker/config.json"),
    (&["aws"], "AWS_CONFIG_FILE", ".aws/config"),
    (&["gcloud"], "", ".config/gcloud/active_config"),
    (&["gcloud"], "", ".config/gcloud/configurations"),
    (&["argocd"], "", ".config/argocd/config"),
    (&["psql"], "PGSERVICEFILE", ".pg_service.conf"),
    (&["mysql", "mysqladmin", "mariadb"], "", ".my.cnf"),
    (&["amtool"], "", ".config/amtool/config.yml"),
];

/// The files that `argv` depends on, sorted: `given` are those that the gate saw it take as manifests.
fn of(argv: &[String], given: &[String], cwd: &Path, environment: &BTreeMap<String, String>) -> Vec<PathBuf> {
    // `--from-file=key=path`, `@path` and `file://path` name a path as well.
    let path = |word: &str| {
        let word = word.rsplit('=').next().unwrap_or(word);
        cwd.join(word.trim_start_matches('@').trim_start_matches("file://"))
    };
    let mut files: Vec<PathBuf> = given.iter().filter(|word| *word != "-").map(|word| path(word)).collect();
    let name = argv.first().map_or("", |program| program.rsplit('/').next().unwrap_or_default());
    for (programs, variable, below_home) in SETTINGS {
        if !programs.contains(&name) {
            continue;
        }
        match environment.get(*variable).filter(|value| !value.is_empty()) {
            Some(places) => {
                files.extend(places.split(':').filter(|place| !place.is_empty()).map(|place| cwd.join(place)));
            }
            None => files.extend(environment.get("HOME").map(|home| Path::new(home).join(below_home))),
        }
    }
    if ["terraform", "tofu"].contains(&name) {
        let entries = std::fs::read_dir(cwd).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_code = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            [".tf", ".tf.json", ".tfvars", ".tofu"].iter().any(|end| name.ends_with(end))
                || name == ".terraform.lock.hcl"
        };
        files.extend(entries.filter(is_code));
    }
    files.sort();
    files.dedup();
    files
}

/// What a command depends on, as paths with hashes.
pub(super) async fn read(
    argv: &[String],
    given: &[String],
    cwd: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, String> {
    let (argv, given, cwd, environment) = (argv.to_vec(), given.to_vec(), cwd.to_owned(), environment.clone());
    let hashed = tokio::task::spawn_blocking(move || {
        of(&argv, &given, &cwd, &environment)
            .into_iter()
            .map(|path| Ok((path.display().to_string(), hash(&path)?)))
            .collect::<Result<Vec<_>, String>>()
    });
    hashed.await.map_err(|error| error.to_string())?
}

/// The first of `files` whose content is not as it was shown.
pub(super) async fn changed(files: &[(String, String)]) -> Result<Option<String>, String> {
    let files = files.to_vec();
    let compared = tokio::task::spawn_blocking(move || {
        for (path, shown) in files {
            if hash(Path::new(&path))? != shown {
                return Ok(Some(path));
            }
        }
        Ok(None)
    });
    compared.await.map_err(|error| error.to_string())?
}

/// SHA-256 of a file, or of a directory's files with their names; lower-case hex.
fn hash(path: &Path) -> Result<String, String> {
    let refused = |why: &dyn std::fmt::Display| format!("{} cannot be vouched for: {why}", path.display());
    let mut hash = Sha256::new();
    let (mut files, mut bytes) = (0, 0);
    let mut left = vec![path.to_owned()];
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(ABSENT.to_owned()),
        Err(error) => return Err(refused(&error)),
    }
    while let Some(next) = left.pop() {
        let metadata = std::fs::metadata(&next).map_err(|error| refused(&error))?;
        hash.update(next.display().to_string().as_bytes());
        hash.update([0]);
        if metadata.is_dir() {
            let mut inside: Vec<PathBuf> = std::fs::read_dir(&next)
                .map_err(|error| refused(&error))?
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.file_name().is_none_or(|name| name != ".git"))
                .collect();
            inside.sort();
            left.extend(inside.into_iter().rev());
        } else if metadata.is_file() {
            let file = std::fs::File::open(&next).map_err(|error| refused(&error))?;
            let mut content = Vec::new();
            file.take(MAX_BYTES - bytes + 1).read_to_end(&mut content).map_err(|error| refused(&error))?;
            bytes += content.len() as u64;
            hash.update((content.len() as u64).to_be_bytes());
            hash.update(&content);
        } else {
            return Err(refused(&"it is no ordinary file"));
        }
        files += 1;
        if files > MAX_FILES || bytes > MAX_BYTES || left.len() > MAX_FILES {
            return Err(refused(&"it is too large"));
        }
    }
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn another_manifest_and_another_cluster_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("all")).unwrap();
        std::fs::write(at("all/a.yaml"), "kind: A").unwrap();
        std::fs::write(at("m.yaml"), "kind: B").unwrap();
        let environment = BTreeMap::from([("HOME".to_owned(), folder.path().display().to_string())]);
        let argv = words(&["kubectl", "apply", "-f", "m.yaml", "-f", "all"]);
        let files = read(&argv, &words(&["m.yaml", "all", "-"]), folder.path(), &environment).await.unwrap();
        let names: Vec<&str> = files.iter().map(|(path, _)| path.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["config", "all", "m.yaml"]);
        assert_eq!(files[0].1, ABSENT);
        assert_eq!(changed(&files).await, Ok(None));
        std::fs::write(at("all/b.yaml"), "kind: C").unwrap();
        assert!(changed(&files).await.unwrap().unwrap().ends_with("/all"));
        std::fs::remove_file(at("all/b.yaml")).unwrap();
        std::fs::write(at("m.yaml"), "kind: D").unwrap();
        assert!(changed(&files).await.unwrap().unwrap().ends_with("/m.yaml"));
        std::fs::write(at("m.yaml"), "kind: B").unwrap();
        std::fs::create_dir(at(".kube")).unwrap();
        std::fs::write(at(".kube/config"), "current-context: other").unwrap();
        assert!(changed(&files).await.unwrap().unwrap().ends_with("/.kube/config"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let none = BTreeMap::new();
        let argv = words(&["kubectl", "apply", "-f", "/dev/zero"]);
        let error = read(&argv, &words(&["/dev/zero"]), folder.path(), &none).await.unwrap_err();
        assert!(error.contains("no ordinary file"), "{error}");
    }
}
