//! The files of a bundle: a directory, or the same directory in one compressed tar; each file may be gzipped.
//!
//! Everything here is bounded. An archive is read into memory once; nothing is ever unpacked to disk, and a member
//! whose path leaves the archive, or that is a link, refuses the whole archive: who writes such a thing is up to
//! something.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::BundleError;

/// What a bundle may cost to read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes one file, or all of an archive, may have after decompression.
    pub expanded_bytes: u64,
    /// Bytes of a file that is one JSON document.
    pub document_bytes: u64,
    /// Bytes of one line; longer ones are skipped and counted.
    pub line_bytes: usize,
    /// Log entries that are kept.
    pub log_entries: usize,
    /// Members of an archive.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            expanded_bytes: 1 << 30,
            document_bytes: 64 << 20,
            line_bytes: 4 << 20,
            log_entries: 2_000_000,
            members: 10_000,
        }
    }
}

/// Where the files are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    path: PathBuf,
    /// The members of an archive by name; `None` for a directory.
    members: Option<Arc<BTreeMap<String, Vec<u8>>>>,
    limits: Limits,
}

impl Files {
    /// Looks at what `path` is, and reads it if it is an archive.
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Self, BundleError> {
        let shown = path.display().to_string();
        let kind = std::fs::metadata(path).map_err(|error| {
            BundleError::new(&shown, format!("cannot be opened: {error}"))
                .advise("give the path of a bundle directory or of a .tar.zst or .tar.gz file")
        })?;
        if kind.is_dir() {
            return Ok(Self { path: path.to_owned(), members: None, limits });
        }
        let members = read_archive(path, &limits)?;
        Ok(Self { path: path.to_owned(), members: Some(Arc::new(members)), limits })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The path as the operator gave it.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether the file, or its gzipped form, is there.
    pub(super) fn has(&self, name: &str) -> bool {
        let gz = format!("{name}.gz");
        match &self.members {
            Some(members) => members.contains_key(name) || members.contains_key(&gz),
            None => self.path.join(name).is_file() || self.path.join(gz).is_file(),
        }
    }

    /// Names of the files in one folder of the bundle that end like this, sorted, at most so many.
    pub(super) fn list(&self, folder: &str, end: &str, most: usize) -> Vec<String> {
        let mut names: Vec<String> = match &self.members {
            Some(members) => {
                let of_folder = |name: &&String| {
                    let rest = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
                    rest.is_some_and(|rest| !rest.contains('/') && rest.ends_with(end))
                };
                members.keys().filter(of_folder).cloned().collect()
            }
            None => std::fs::read_dir(self.path.join(folder)).map_or_else(
                |_| Vec::new(),
                |entries| {
                    let name = |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
                    let named = entries.filter_map(name).filter(|name| name.ends_with(end));
                    named.take(self.limits.members).map(|name| format!("{folder}/{name}")).collect()
                },
            ),
        };
        names.sort();
        names.truncate(most);
        names
    }

    /// Opens a file, decompressing it if it is gzipped. `None` when it is not there.
    pub(super) fn open_file(&self, name: &str) -> Result<Option<OpenFile>, BundleError> {
        for stored in [name.to_owned(), format!("{name}.gz")] {
            let raw: Box<dyn BufRead + Send> = match &self.members {
                Some(members) => {
                    if !members.contains_key(&stored) {
                        continue;
                    }
                    Box::new(BufReader::new(Member { members: Arc::clone(members), name: stored.clone(), at: 0 }))
                }
                None => match File::open(self.path.join(&stored)) {
                    Ok(file) => Box::new(BufReader::with_capacity(1 << 16, file)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        return Err(self.error(&stored, format!("cannot be opened: {error}")));
                    }
                },
            };
            let gzipped = stored.len() != name.len();
            let reader: Box<dyn Read + Send> = if gzipped { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
            let limited = Limited { inner: reader, left: self.limits.expanded_bytes };
            return Ok(Some(OpenFile { stored, reader: Box::new(limited) }));
        }
        Ok(None)
    }

    /// Reads a whole file that is one document. `None` when it is not there.
    pub(super) fn document(&self, name: &str) -> Result<Option<Vec<u8>>, BundleError> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        let limit = self.limits.document_bytes;
        let mut bytes = Vec::new();
        file.reader.take(limit + 1).read_to_end(&mut bytes).map_err(|error| self.read_error(&file.stored, &error))?;
        if bytes.len() as u64 > limit {
            return Err(self
                .error(&file.stored, format!("is larger than {} MiB", limit >> 20))
                .advise("split the bundle, or record a shorter window"));
        }
        Ok(Some(bytes))
    }

    /// An error about one file.
    pub(super) fn error(&self, file: &str, what: impl Into<String>) -> BundleError {
        BundleError::new(&self.shown(), what).in_file(file)
    }

    /// What a failed read means.
    pub(super) fn read_error(&self, file: &str, error: &io::Error) -> BundleError {
        let what = read_failure(error);
        self.error(file, what).advise("copy or record the bundle again")
    }
}

/// What a failed read means, in words.
pub(super) fn read_failure(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "is cut off: the compressed data ends too early".into(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("is not valid compressed data: {error}"),
        io::ErrorKind::FileTooLarge => error.to_string(),
        _ => format!("cannot be read: {error}"),
    }
}

/// A file being read.
pub(super) struct OpenFile {
    /// Its name as stored, `.gz` included.
    pub(super) stored: String,
    /// Its text, decompressed and bounded.
    pub(super) reader: Box<dyn Read + Send>,
}

/// Reads a member of an archive without copying it.
struct Member {
    members: Arc<BTreeMap<String, Vec<u8>>>,
    name: String,
    at: usize,
}

impl Read for Member {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.members.get(&self.name).map_or(&[][..], |bytes| &bytes[self.at.min(bytes.len())..]);
        let read = Cursor::new(bytes).read(buf)?;
        self.at += read;
        Ok(read)
    }
}

/// Ends with an error when more than was allowed comes out: a small file can expand to any size.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    "expands to more than is allowed for one bundle",
                ));
            }
        }
        Ok(read)
    }
}

/// Reads the members of a `.tar.zst`, `.tar.gz` or plain `.tar`, told apart by their first bytes.
fn read_archive(path: &Path, limits: &Limits) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let shown = path.display().to_string();
    let fail = |what: String| BundleError::new(&shown, what);
    let broken = |error: &io::Error| fail(read_failure(error)).advise("copy or record the bundle again");
    let file = File::open(path).map_err(|error| fail(format!("cannot be opened: {error}")))?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let head = file.fill_buf().map_err(|error| broken(&error))?;
    let reader: Box<dyn Read> = match head {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(zstd::stream::read::Decoder::with_buffer(file).map_err(|error| broken(&error))?)
        }
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        _ => Box::new(file),
    };
    let mut archive = tar::Archive::new(Limited { inner: reader, left: limits.expanded_bytes });
    let mut members: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let entries = archive.entries().map_err(|error| broken(&error))?;
    for (count, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|error| {
            if members.is_empty() && error.kind() == io::ErrorKind::Other {
                fail("is neither a directory nor a tar archive".into())
                    .advise("a bundle is a directory, a .tar.zst or a .tar.gz file")
            } else {
                broken(&error)
            }
        })?;
        if count >= limits.members {
            return Err(fail(format!("holds more than {} files", limits.members)));
        }
        let name = entry.path().map_err(|error| broken(&error))?.into_owned();
        let refuse = |why: &str| {
            Err(fail(format!("refused: `{}` {why}", crate::domain::text::neutralise(&name.to_string_lossy())))
                .advise("pack the bundle again with plain relative names"))
        };
        if name.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return refuse("leaves the archive");
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        if !kind.is_file() {
            return refuse("is a link or a device, not a file");
        }
        let Some(file_name) = name.file_name().and_then(|name| name.to_str()) else { continue };
        if !is_ours(file_name) {
            continue;
        }
        let file_name = file_name.to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| broken(&error).in_file(&file_name))?;
        if members.insert(file_name.clone(), bytes).is_some() {
            return refuse("is there twice");
        }
    }
    Ok(members)
}

/// The names a bundle consists of; others in an archive are passed over without being held.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    super::FILES.contains(&name)
}

/// A line of a file.
pub(super) enum Line<'a> {
    /// Its bytes, without the line break.
    Text(&'a [u8]),
    /// It is longer than the limit and was passed over.
    Overlong,
}

/// Reads lines of bounded length.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    buffer: Vec<u8>,
    longest: usize,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R, longest: usize) -> Self {
        Self { reader: BufReader::with_capacity(1 << 17, reader), buffer: Vec::new(), longest }
    }

    /// The next line; `None` at the end.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        // Room for CR LF beside the longest line allowed.
        let read = (&mut self.reader).take(self.longest as u64 + 2).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
        } else if self.buffer.len() > self.longest {
            self.skip_rest()?;
        }
        Ok(Some(if self.buffer.len() > self.longest { Line::Overlong } else { Line::Text(&self.buffer) }))
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}
