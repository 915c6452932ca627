//! Showing text in the operator's editor. The text is a copy: what is changed there changes nothing here.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::Text;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Opens `$VISUAL`, `$EDITOR` or `vi` on a private copy of `text` and waits until it is closed. The variable is split
/// at spaces; no shell is involved.
pub(super) fn show(text: &Text) -> Result<(), String> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("stanch-{}-{number}.txt", std::process::id()));
    let failed = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(|why| failed(&path.display().to_string(), &why))?;
    let written = file.write_all(text.as_bytes());
    drop(file);
    let result = match written {
        Err(why) => Err(failed(&path.display().to_string(), &why)),
        Ok(()) => match Command::new(program).args(words).arg(&path).status() {
            Err(why) => Err(format!("{program}: {why}; set EDITOR to an editor that exists")),
            Ok(status) if !status.success() => Err(format!("{program} ended with {status}")),
            Ok(_) => Ok(()),
        },
    };
    let _ = std::fs::remove_file(&path);
    result
}
