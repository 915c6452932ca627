//! Reading whose signatures count. A file that others may write is not believed.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::config::Approvals;
use crate::gate::approvals::{Persons, Revoked, Signers, Trusted};

use super::failure::Failure;

/// Most bytes of one of the files.
const MAX_BYTES: u64 = 16 << 20;

/// Reads the files that are configured. In a critical profile only root may own them.
pub(super) fn load(settings: &Approvals, critical: bool) -> Result<Trusted, Failure> {
    let mut trusted = Trusted::default();
    if let Some(path) = &settings.signers {
        trusted.signers = Signers::parse(&read(path, critical)?).map_err(|error| wrong(path, error))?;
    }
    if let Some(path) = &settings.revoked {
        trusted.revoked = Revoked::parse(&read(path, critical)?).map_err(|error| wrong(path, error))?;
    }
    if let Some(path) = &settings.persons {
        trusted.persons = Persons::parse(&read(path, critical)?).map_err(|error| wrong(path, error))?;
    }
    match (trusted.ambiguous(), &settings.signers) {
        (Some(why), Some(path)) => Err(wrong(path, why)),
        _ => Ok(trusted),
    }
}

fn read(path: &Path, critical: bool) -> Result<String, Failure> {
    let mut file = std::fs::File::open(path).map_err(|error| wrong(path, error))?;
    let meta = file.metadata().map_err(|error| wrong(path, error))?;
    if meta.mode() & 0o022 != 0 {
        return Err(wrong(path, "its group or everybody may write it; take that right away"));
    }
    if critical && meta.uid() != 0 {
        return Err(wrong(path, "it must belong to root, because the profile is critical"));
    }
    if meta.len() > MAX_BYTES {
        return Err(wrong(path, "it is larger than it can be meant"));
    }
    let mut text = String::new();
    file.by_ref().take(MAX_BYTES).read_to_string(&mut text).map_err(|error| wrong(path, error))?;
    Ok(text)
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {why}", path.display()))
}
