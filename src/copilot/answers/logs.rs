//! Log entries as templates with counts and times.

use std::collections::BTreeMap;

use crate::analysis::templates::{FormId, Miner};
use crate::domain::log::LogEntry;
use crate::domain::{TimeRange, Timestamp};

use super::Bounds;
use super::rows::{Rows, short, stamp};

/// So few entries are told one by one.
const FEW: usize = 8;
/// Characters of an entry, and of a template.
const LINE: usize = 400;
/// Services named.
const SERVICES: usize = 12;

/// Tells what the entries say.
pub(super) fn tell(rows: &mut Rows, range: TimeRange, entries: &[LogEntry], bounds: Bounds) {
    let mut entries: Vec<&LogEntry> = entries.iter().collect();
    entries.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.line.cmp(&b.line)).then_with(|| a.labels.cmp(&b.labels)));
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        rows.head("no entries at this time");
        return;
    };
    let at = |time: Timestamp| stamp(time, range.start);
    let lines = if entries.len() == 1 { "1 entry".to_owned() } else { format!("{} entries", entries.len()) };
    rows.head(&format!("{lines}, first {} last {}", at(first.at), at(last.at)));
    let mut services: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        *services.entry(entry.labels.service().unwrap_or("?")).or_default() += 1;
    }
    let mut services: Vec<(&str, usize)> = services.into_iter().collect();
    services.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let named: Vec<String> = services.iter().take(SERVICES).map(|(name, count)| format!("{name} {count}")).collect();
    let more = services.len().saturating_sub(SERVICES);
    let more = if more > 0 { format!(" and {more} more services") } else { String::new() };
    rows.head(&format!("by service: {}{more}", named.join(", ")));
    if entries.len() <= FEW {
        for entry in &entries {
            let service = entry.labels.service().unwrap_or_default();
            rows.row(&format!("{} {service} {}", at(entry.at), short(&entry.line, bounds.bytes / FEW)));
        }
        return;
    }
    templates(rows, range, &entries);
}

#[derive(Default)]
struct Seen {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

fn templates(rows: &mut Rows, range: TimeRange, entries: &[&LogEntry]) {
    let mut miner = Miner::new();
    let mut seen: BTreeMap<FormId, Seen> = BTreeMap::new();
    let mut note = |form: Option<FormId>, at: Timestamp| {
        if let Some(form) = form {
            let seen = seen.entry(form).or_default();
            seen.first = seen.first.or(Some(at));
            seen.last = Some(at);
        }
    };
    for entry in entries {
        note(miner.push(&entry.line), entry.at);
    }
    if let Some(entry) = entries.last() {
        note(miner.finish(), entry.at);
    }
    let mined = miner.templates();
    let mut times: BTreeMap<usize, Seen> = BTreeMap::new();
    for (form, seen) in seen {
        if let Some(index) = mined.template_of(form) {
            let known = times.entry(index).or_default();
            known.first = known.first.into_iter().chain(seen.first).min();
            known.last = known.last.max(seen.last);
        }
    }
    let count = mined.templates.len();
    rows.head(&if count == 1 { "1 template".to_owned() } else { format!("{count} templates, most frequent first") });
    for (index, template) in mined.templates.iter().enumerate() {
        let times = times.get(&index).and_then(|seen| Some((seen.first?, seen.last?)));
        let times = times.map_or_else(String::new, |(first, last)| {
            format!(" first {} last {}", stamp(first, range.start), stamp(last, range.start))
        });
        let level = if template.level.is_empty() { String::new() } else { format!(" {}", template.level) };
        let text = short(&template.template, LINE);
        let fits = rows.row(&format!("×{}{level}{times}: {text}", template.count));
        let exemplar = short(&template.exemplar, LINE);
        if fits && text.contains("<*>") && exemplar != text {
            rows.under(&format!("e.g. {exemplar}"));
        }
    }
    if mined.folded > 0 {
        rows.last(format!("{} entries were counted coarsely", mined.folded));
    }
}
