//! Which file a program's name stands for.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::RunError;
use crate::domain::canonical::hex;

/// Looks `name` up in `directories`; an absolute path must lie in one of them. Files and directories that everybody
/// may write are refused.
pub(super) fn find(name: &str, directories: &[PathBuf]) -> Result<PathBuf, RunError> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        let parent = path.parent().unwrap_or(Path::new(""));
        let plain = !name.contains("/../") && !name.contains("/./") && !name.contains("//");
        if !plain || !directories.iter().any(|directory| directory == parent) {
            let why = "it does not lie in a directory of installed programs".to_owned();
            return Err(RunError::NotRunnable { path: name.to_owned(), why });
        }
        return check(path);
    }
    let found = directories.iter().map(|directory| directory.join(name)).find(|path| path.is_file());
    match found {
        Some(path) if name != "." && name != ".." => check(path),
        _ => Err(RunError::NotFound {
            program: name.to_owned(),
            directories: directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        }),
    }
}

fn check(path: PathBuf) -> Result<PathBuf, RunError> {
    let refused = |why: String| RunError::NotRunnable { path: path.display().to_string(), why };
    let metadata = std::fs::metadata(&path).map_err(|error| refused(error.to_string()))?;
    let mode = metadata.permissions().mode();
    if !metadata.is_file() || mode & 0o111 == 0 {
        return Err(refused("it is not an executable file".to_owned()));
    }
    if mode & 0o002 != 0 {
        return Err(refused("everybody may write it".to_owned()));
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mode = std::fs::metadata(directory).map_err(|error| refused(error.to_string()))?.permissions().mode();
    if mode & 0o002 != 0 {
        return Err(refused("everybody may write its directory".to_owned()));
    }
    Ok(path)
}

/// SHA-256 of a file, lower-case hex.
pub(super) async fn sha256(path: &Path) -> Result<String, RunError> {
    let path = path.to_owned();
    let shown = path.display().to_string();
    let refused = |why: String| RunError::NotRunnable { path: shown.clone(), why };
    let hashed = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex(&hash.finalize())),
                count => hash.update(&buffer[..count]),
            }
        }
    });
    match hashed.await {
        Ok(result) => result.map_err(|error| refused(error.to_string())),
        Err(error) => Err(refused(error.to_string())),
    }
}
