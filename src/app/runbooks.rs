//! Runbooks of an incident's alerts: from a folder of Markdown files, else what the alert itself says. Nothing is ever
//! fetched from the network.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::domain::Text;
use crate::domain::alert::Alert;
use crate::domain::incident::Incident;
use crate::domain::snapshot::Runbook;

/// Most bytes of one runbook.
const MAX_BYTES: u64 = 64 << 10;
/// Most runbooks of one incident.
const MAX_RUNBOOKS: usize = 8;
/// Most files of a folder that are looked into.
const MAX_FILES: usize = 500;
/// Bytes at the head of a file in which its title is looked for.
const HEAD: u64 = 4 << 10;
/// Annotations that hold a link, most trusted first.
const LINKS: &[&str] = &["runbook_url", "runbook", "runbook_link", "playbook", "playbook_url"];
/// Annotations in whose text a link may stand.
const TEXTS: &[&str] = &["description", "message", "summary"];

/// The runbooks of an incident's alerts, worst alert first. For each alert name the file named as the last part of its
/// link or as the alert, with `.md` at the end; else the file whose front matter (`alert`, `alerts`, `title`) or first
/// heading names the alert; else the link alone. Alerts without any of these are left out.
pub(super) fn of(incident: &Incident, folder: Option<&Path>) -> Vec<Runbook> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    let mut titled: Option<Vec<(PathBuf, BTreeSet<String>)>> = None;
    let mut out: Vec<Runbook> = Vec::new();
    for alert in &incident.alerts {
        if out.len() == MAX_RUNBOOKS {
            break;
        }
        if !seen.insert(alert.name()) {
            continue;
        }
        let link = link_of(alert);
        let found = folder.and_then(|folder| {
            let named = names(alert, link).into_iter().map(|name| folder.join(format!("{name}.md")));
            named.into_iter().find(|path| path.is_file()).or_else(|| {
                let index = titled.get_or_insert_with(|| titles(folder));
                let wanted = plain(alert.name());
                index.iter().find(|(_, titles)| titles.contains(&wanted)).map(|(path, _)| path.clone())
            })
        });
        match (found, link) {
            (Some(path), _) => {
                let title = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                if files.insert(path.clone())
                    && let Some(text) = read(&path, MAX_BYTES)
                {
                    out.push(Runbook { title: Text::new(&title), text: Text::new(&text) });
                }
            }
            (None, Some(link)) => {
                let title = Text::new(&format!("{} {link}", alert.name()));
                let runbook = Runbook { title, text: Text::new(&format!("only its link is at hand: {link}")) };
                if !out.iter().any(|known| known.text == runbook.text) {
                    out.push(runbook);
                }
            }
            (None, None) => {}
        }
    }
    out
}

/// All runbooks of a folder, by name of the file, bounded in number and size.
pub(super) fn all(folder: &Path) -> Vec<Runbook> {
    let named = titles(folder).into_iter().filter_map(|(path, _)| {
        let title = path.file_stem().map(|stem| stem.to_string_lossy().into_owned())?;
        Some(Runbook { title: Text::new(&title), text: Text::new(&read(&path, MAX_BYTES)?) })
    });
    named.collect()
}

/// The link to a runbook that an alert carries: in an annotation of its own, or in its text where the word stands in
/// the link.
fn link_of(alert: &Alert) -> Option<&str> {
    LINKS.iter().find_map(|name| alert.annotations.get(name)).or_else(|| {
        TEXTS.iter().filter_map(|name| alert.annotations.get(name)).find_map(|text| {
            text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '"'))
                .map(|word| word.trim_end_matches(['.', ',', ';']))
                .find(|word| {
                    let lower = word.to_ascii_lowercase();
                    lower.starts_with("http") && (lower.contains("runbook") || lower.contains("playbook"))
                })
        })
    })
}

/// Names of files that may be the alert's. They come from telemetry: nothing in them may lead out of the folder.
fn names(alert: &Alert, link: Option<&str>) -> Vec<String> {
    let last = link.and_then(|url| url.split(['#', '?']).next()?.trim_end_matches('/').rsplit('/').next());
    let anchor = link.and_then(|url| url.split_once('#')).map(|(_, anchor)| anchor);
    let mut names: Vec<String> = Vec::new();
    for name in last.into_iter().chain([alert.name()]).chain(anchor) {
        let name = name.trim_end_matches(".md").trim_end_matches(".html").to_owned();
        for name in [name.clone(), name.to_ascii_lowercase()] {
            let safe = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '));
            if safe && !name.is_empty() && !name.starts_with('.') && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// What the Markdown files of a folder say they are about, by name of the file.
fn titles(folder: &Path) -> Vec<(PathBuf, BTreeSet<String>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "md") && path.is_file())
        .take(MAX_FILES)
        .collect();
    files.sort();
    files.into_iter().filter_map(|path| read(&path, HEAD).map(|head| (path, titles_in(&head)))).collect()
}

/// The names in the front matter and the first heading, as [`plain`] gives them.
fn titles_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut lines = text.lines().peekable();
    if lines.next_if(|line| line.trim() == "---").is_some() {
        let mut listing = false;
        for line in lines.by_ref().take_while(|line| line.trim() != "---") {
            let (value, names) = match line.split_once(':') {
                Some((key, value)) => {
                    listing = matches!(key.trim(), "alert" | "alerts" | "alertname" | "title" | "name");
                    (value, listing)
                }
                None => (line.trim().trim_start_matches("- "), listing),
            };
            if names {
                found.extend(value.split([',', '[', ']']).map(plain));
            }
        }
    }
    found.extend(lines.find_map(|line| line.strip_prefix("# ")).map(plain));
    found.remove("");
    found
}

/// Letters and digits only, in lower case: `Pool exhausted` is `PoolExhausted`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn read(path: &Path, most: u64) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::{AlertState, Severity};
    use crate::domain::{TimeRange, Timestamp};

    fn alert(name: &str, annotations: &[(&str, &str)]) -> Alert {
        Alert {
            fingerprint: name.into(),
            labels: [("alertname", name)].into_iter().collect(),
            annotations: annotations.iter().copied().collect(),
            starts_at: Timestamp::from_secs(0),
            ends_at: None,
            state: AlertState::Active,
            suppressed_by: Vec::new(),
            receivers: Vec::new(),
            generator_url: String::new(),
            expression: None,
        }
    }

    fn incident(alerts: Vec<Alert>) -> Incident {
        let range = TimeRange::new(Timestamp::from_secs(0), Timestamp::from_secs(1));
        Incident {
            id: "I-000000".into(),
            title: Text::default(),
            severity: Severity::Critical,
            started_at: range.start,
            resolved_at: None,
            services: vec![],
            alerts,
            flapping: Vec::new(),
            window: range,
            baseline: range,
        }
    }

    fn texts(alerts: Vec<Alert>, folder: Option<&Path>) -> Vec<String> {
        of(&incident(alerts), folder).into_iter().map(|runbook| runbook.text.trim().to_owned()).collect()
    }

    #[test]
    fn a_file_is_found_by_link_alert_name_front_matter_and_heading() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("connection-pool.md", "by link"),
            ("DiskFull.md", "by name"),
            ("a.md", "---\nowner: x\nalerts: [\"LagHigh\", Other]\n---\n# Lag\nby front matter"),
            ("b.md", "---\nalerts:\n  - QueueLong\n---\nby list"),
            ("c.md", "intro\n# Pods not ready\nby heading"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let folder = Some(folder.path());
        let found = |alert: Alert| texts(vec![alert], folder).pop().unwrap_or_default();
        assert_eq!(found(alert("Pool", &[("runbook_url", "https://r/x/connection-pool?v=1#now")])), "by link");
        assert_eq!(found(alert("DiskFull", &[])), "by name");
        assert!(found(alert("LagHigh", &[])).ends_with("by front matter"));
        assert!(found(alert("QueueLong", &[])).ends_with("by list"));
        assert!(found(alert("PodsNotReady", &[])).ends_with("by heading"));
        assert_eq!(found(alert("Unknown", &[])), "");
        assert_eq!(
            found(alert("../../etc/passwd", &[("runbook", "https://r/..%2f..")])),
            "only its link is at hand: https://r/..%2f.."
        );
    }

    #[test]
    fn without_a_file_the_link_is_kept_once() {
        let url = [("runbook_url", "https://runbooks/x")];
        assert_eq!(
            texts(vec![alert("A", &url), alert("B", &url)], None),
            ["only its link is at hand: https://runbooks/x"]
        );
        let told = [("description", "Something broke (see https://wiki/Runbook/7).")];
        assert_eq!(texts(vec![alert("A", &told)], None), ["only its link is at hand: https://wiki/Runbook/7"]);
        assert!(texts(vec![alert("A", &[("description", "see https://grafana/d/1")])], None).is_empty());
    }

    #[test]
    fn what_is_read_is_bounded_and_neutralised() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("A.md"), format!("\u{1b}[2J{}", "x".repeat(100_000))).unwrap();
        let found = of(&incident(vec![alert("A", &[])]), Some(folder.path()));
        assert!(found[0].text.starts_with("‹U+001B›") && found[0].text.len() < 70_000);
        let many = (0..20).map(|i| alert(&format!("A{i}"), &[("runbook", &*format!("https://r/{i}"))])).collect();
        assert_eq!(of(&incident(many), None).len(), MAX_RUNBOOKS);
    }
}
