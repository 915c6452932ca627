//! Runbooks from a folder of Markdown files.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use crate::domain::Text;
use crate::domain::incident::Incident;
use crate::domain::snapshot::Runbook;

/// Most bytes of one runbook.
const MAX_BYTES: u64 = 64 << 10;
/// Most runbooks of one incident.
const MAX_RUNBOOKS: usize = 8;

/// The runbooks of an incident's alerts: for each alert the file named as the last part of its `runbook_url` or
/// `runbook` annotation, or as the alert itself, with `.md` at the end. Files that are not there are left out.
pub(super) fn of(incident: &Incident, folder: &Path) -> Vec<Runbook> {
    let mut names: Vec<String> = Vec::new();
    for alert in &incident.alerts {
        let linked = ["runbook_url", "runbook"].iter().find_map(|name| alert.annotations.get(name));
        let last = linked.and_then(|url| url.trim_end_matches('/').rsplit('/').next());
        for name in last.into_iter().chain([alert.name()]) {
            let name = name.split(['#', '?']).next().unwrap_or_default().trim_end_matches(".md").to_owned();
            if is_plain(&name) && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.iter().filter_map(|name| read(folder, name)).take(MAX_RUNBOOKS).collect()
}

/// Names come from telemetry: nothing in them may lead out of the folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '))
}

fn read(folder: &Path, name: &str) -> Option<Runbook> {
    let mut bytes = Vec::new();
    fs::File::open(folder.join(format!("{name}.md"))).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(Runbook { title: Text::new(name), text: Text::new(&String::from_utf8_lossy(&bytes)) })
}
