//! Writing a bundle: a directory, or one archive, by the ending of the path.
//!
//! Everything is written under a temporary name beside the target and renamed when it is complete and on disk, so that
//! nobody ever finds half a bundle.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::documents::{ApiAlert, rules_document};
use super::{BundleError, BundleParts};
use crate::domain::log::LogEntry;
use crate::sources::openmetrics;
use crate::sources::series::SeriesStore;

/// How a bundle is stored, by the ending of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Directory,
    TarZstd,
    TarGzip,
}

impl Form {
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if name.ends_with(".tar.zst") {
            Self::TarZstd
        } else if name.ends_with(".tar.gz") {
            Self::TarGzip
        } else {
            Self::Directory
        }
    }
}

/// Writes a bundle to `path`: an archive when it ends in `.tar.zst` or `.tar.gz`, a directory otherwise. What is
/// there already is only replaced with `overwrite`, and only when it is a bundle or an archive. The same parts give
/// the same bytes.
pub fn write(path: impl AsRef<Path>, parts: &BundleParts, overwrite: bool) -> Result<(), BundleError> {
    let path = path.as_ref();
    let shown = path.display().to_string();
    let target = Target::new(path, overwrite)?;
    let outcome = match Form::of(path) {
        Form::Directory => write_directory(&target.temporary, parts),
        form => write_archive(&target.temporary, form, parts),
    };
    let outcome = outcome.and_then(|()| target.put_in_place());
    if outcome.is_err() {
        // Best effort: what is left over has a name that says what it is.
        let _ = remove(&target.temporary);
    }
    outcome.map_err(|error| failure(&shown, &error))
}

/// Where a bundle goes, and the temporary name beside it.
struct Target {
    path: PathBuf,
    temporary: PathBuf,
    replaces: bool,
}

impl Target {
    fn new(path: &Path, overwrite: bool) -> Result<Self, BundleError> {
        let shown = path.display().to_string();
        let Some(name) = path.file_name() else {
            return Err(BundleError::new(&shown, "is not a name a bundle can have"));
        };
        let replaces = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failure(&shown, &error)),
            Ok(_) if !overwrite => {
                return Err(BundleError::new(&shown, "is already there and was not overwritten")
                    .advise("choose another path, or say that it may be overwritten"));
            }
            Ok(found) => {
                let empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
                let bundle = || path.join("manifest.json").is_file() || path.join("manifest.json.gz").is_file();
                if found.is_dir() && !bundle() && !empty() {
                    // Replacing means removing: never a folder that holds something else.
                    return Err(BundleError::new(&shown, "is a directory that is not a bundle; it was not replaced")
                        .advise("choose another path"));
                }
                true
            }
        };
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.part", std::process::id()));
        Ok(Self { path: path.to_owned(), temporary: path.with_file_name(temporary), replaces })
    }

    fn put_in_place(&self) -> io::Result<()> {
        if self.replaces && (self.path.is_dir() || self.temporary.is_dir()) {
            // A directory cannot be renamed over another: the old one steps aside first.
            let mut aside = self.temporary.clone().into_os_string();
            aside.push(".old");
            let aside = PathBuf::from(aside);
            fs::rename(&self.path, &aside)?;
            if let Err(error) = fs::rename(&self.temporary, &self.path) {
                let _ = fs::rename(&aside, &self.path);
                return Err(error);
            }
            return remove(&aside);
        }
        fs::rename(&self.temporary, &self.path)?;
        // The new name must survive a crash too, as far as the file system lets a directory be synced.
        if let Some(Ok(parent)) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(File::open) {
            let _ = parent.sync_all();
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// What a failed write means, and what to do.
fn failure(shown: &str, error: &io::Error) -> BundleError {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            return BundleError::new(shown, "cannot be written: the disk is full")
                .advise("free some space or choose a path on another disk; nothing was left behind");
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "choose a path you may write to",
        io::ErrorKind::NotFound => "create the directory first",
        _ => "",
    };
    BundleError::new(shown, format!("cannot be written: {error}")).advise(advice)
}

fn write_directory(folder: &Path, parts: &BundleParts) -> io::Result<()> {
    if folder.exists() {
        remove(folder)?;
    }
    fs::create_dir(folder)?;
    for name in names(parts) {
        let stored = if is_large(name) { format!("{name}.gz") } else { name.to_owned() };
        let file = File::create(folder.join(stored))?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        if is_large(name) {
            let mut encoder = GzEncoder::new(&mut out, Compression::default());
            content(name, parts, &mut encoder)?;
            encoder.finish()?;
        } else {
            content(name, parts, &mut out)?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    }
    Ok(())
}

fn write_archive(path: &Path, form: Form, parts: &BundleParts) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(path)?);
    if form == Form::TarZstd {
        let mut encoder = zstd::stream::write::Encoder::new(&mut out, 6)?;
        archive(parts, &mut encoder)?;
        encoder.finish()?;
    } else {
        let mut encoder = GzEncoder::new(&mut out, Compression::default());
        archive(parts, &mut encoder)?;
        encoder.finish()?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn archive(parts: &BundleParts, out: &mut impl Write) -> io::Result<()> {
    let mut builder = tar::Builder::new(out);
    for name in names(parts) {
        // A member's size stands before its bytes, so each is made in memory first.
        let mut bytes = Vec::new();
        content(name, parts, &mut bytes)?;
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // No owner and no time: the same parts give the same bytes.
        header.set_mtime(0);
        builder.append_data(&mut header, name, bytes.as_slice())?;
    }
    builder.finish()
}

/// The files to write: the five that every bundle has, and those of the others that hold something.
fn names(parts: &BundleParts) -> Vec<&'static str> {
    let mut names = vec!["manifest.json", "alerts.json", "metrics.om", "logs.ndjson", "changes.json"];
    for (name, wanted) in [
        ("rules.json", !parts.rules.is_empty()),
        ("queries.ndjson", !parts.queries.is_empty()),
        ("runbooks.json", !parts.runbooks.is_empty()),
    ] {
        if wanted {
            names.push(name);
        }
    }
    names
}

/// Whether a file is gzipped in a directory.
fn is_large(name: &str) -> bool {
    matches!(name, "metrics.om" | "logs.ndjson" | "queries.ndjson")
}

/// Writes the content of one file.
fn content(name: &str, parts: &BundleParts, out: &mut impl Write) -> io::Result<()> {
    match name {
        "manifest.json" => json(&parts.manifest, out),
        "alerts.json" => json(&parts.alerts.iter().map(ApiAlert::from).collect::<Vec<_>>(), out),
        "changes.json" => json(&parts.changes, out),
        "rules.json" => json(&rules_document(&parts.rules), out),
        "runbooks.json" => json(&parts.runbooks, out),
        "metrics.om" => {
            let store = SeriesStore::from_series(&parts.metrics, parts.metadata.clone());
            openmetrics::write(&store, |text| out.write_all(text.as_bytes()))
        }
        "logs.ndjson" => {
            let mut entries: Vec<&LogEntry> = parts.logs.iter().collect();
            entries.sort_by_key(|entry| entry.at);
            entries.into_iter().try_for_each(|entry| log_line(entry, out))
        }
        _ => parts.queries.iter().try_for_each(|(query, outcome)| {
            out.write_all(b"{\"query\":")?;
            serde_json::to_writer(&mut *out, query)?;
            match outcome {
                Ok(answer) => {
                    out.write_all(b",\"answer\":")?;
                    serde_json::to_writer(&mut *out, answer)?;
                }
                Err(failure) => {
                    out.write_all(b",\"failure\":")?;
                    serde_json::to_writer(&mut *out, failure)?;
                }
            }
            out.write_all(b"}\n")
        }),
    }
}

fn json(value: &impl serde::Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

fn log_line(entry: &LogEntry, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{\"ts\":\"{}\",\"labels\":", entry.at.nanos())?;
    serde_json::to_writer(&mut *out, &*entry.labels)?;
    out.write_all(b",\"line\":")?;
    serde_json::to_writer(&mut *out, &entry.line)?;
    if !entry.metadata.is_empty() {
        out.write_all(b",\"metadata\":")?;
        serde_json::to_writer(&mut *out, &entry.metadata)?;
    }
    out.write_all(b"}\n")
}

#[cfg(test)]
mod tests;
