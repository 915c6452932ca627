//! A change: what was done, why it is or is not blamed, and its diff.

use crate::domain::analysis::Analysis;
use crate::domain::change::Change;
use crate::domain::evidence::{Detail, Evidence, EvidenceKind};
use crate::domain::time::human_duration;

use super::proof::since;
use super::{Pieces, Role, Writer};

/// Other changes that are listed.
const LISTED: usize = 6;

/// Everything about a change.
pub(super) fn change(out: &mut Writer, analysis: Option<&Analysis>, item: &Evidence, change: &Change) {
    out.field("what", &format!("{} {}", change.kind, change.reference));
    out.field("service", &change.service);
    out.field("summary", &change.summary);
    out.field("author", &change.author);
    out.field("took effect", &since(change.at, analysis));
    if let Some(analysis) = analysis {
        verdict(out, analysis, item, change);
    }
    match &change.diff {
        Some(diff) => self::diff(out, diff),
        None => out.push(Role::Dim, "  its source gives no diff"),
    }
    if let Some(analysis) = analysis {
        others(out, analysis, item);
    }
}

/// Whether it is blamed, and why.
fn verdict(out: &mut Writer, analysis: &Analysis, item: &Evidence, change: &Change) {
    let onset = analysis
        .evidence
        .iter()
        .filter(|other| !matches!(other.id.kind, EvidenceKind::Change | EvidenceKind::Alert) && other.strength > 0.0)
        .filter(|other| other.service == item.service)
        .filter_map(|other| other.onset)
        .min();
    if let Some(onset) = onset {
        let text = if onset >= change.at {
            format!("{} before the first onset there ({})", human_duration(onset.since(change.at)), onset.to_clock())
        } else {
            format!("{} after the first onset there ({})", human_duration(change.at.since(onset)), onset.to_clock())
        };
        out.field("distance", &text);
    }
    if let Some(ranked) = analysis.changes.iter().find(|ranked| ranked.evidence == item.id) {
        let head = Pieces::default()
            .with(Role::Dim, &format!("  {:<12} ", "blamed"))
            .with(Role::Bad, &format!("#{} of {}", ranked.rank, analysis.changes.len()))
            .with(Role::Plain, &format!("  {:.2}  {}", ranked.score, ranked.why));
        out.pieces(&head, 15);
    } else {
        let ruled_out = analysis.ruled_out.iter().find(|ruled_out| ruled_out.evidence == item.id);
        out.field("not blamed", ruled_out.map_or("it does not explain what is seen", |ruled_out| &ruled_out.why));
    }
}

/// The other changes: those blamed, then those ruled out, each with its reason.
fn others(out: &mut Writer, analysis: &Analysis, item: &Evidence) {
    let blamed = analysis.changes.iter().map(|ranked| (ranked.evidence, Some(ranked.rank), &ranked.why));
    let ruled_out = analysis.ruled_out.iter().map(|ruled_out| (ruled_out.evidence, None, &ruled_out.why));
    let others: Vec<_> = blamed
        .chain(ruled_out)
        .filter(|(id, ..)| *id != item.id)
        .filter_map(|(id, rank, why)| match &analysis.evidence(id)?.detail {
            Detail::Change(change) => Some((id, rank, why, change)),
            _ => None,
        })
        .collect();
    if others.is_empty() && !analysis.changes.is_empty() {
        return;
    }
    match (&analysis.without_change, others.len()) {
        (Some(_), 0) => out.heading("No change explains this"),
        (Some(_), _) => out.heading("Other changes: none explains this"),
        (None, 0) => return,
        (None, _) => out.heading("Other changes"),
    }
    for (id, rank, why, change) in others.iter().take(LISTED) {
        let id = format!("  {id:<5}");
        let name = name(change);
        let line = match rank {
            Some(rank) => Pieces::default()
                .with(Role::Accent, &id)
                .with(Role::Bad, &format!("#{rank} "))
                .with(Role::Plain, &format!("{name}: {why}")),
            None => Pieces::default().with(Role::Dim, &format!("{id}{name}: {why}")),
        };
        out.pieces_at_most(&line, 7, 3);
    }
    if others.len() > LISTED {
        out.push(Role::Dim, &format!("  … {} more: pane 2", others.len() - LISTED));
    }
}

/// When, what kind, where and which: a change in few words.
pub fn name(change: &Change) -> String {
    let reference: String = change.reference.one_line().chars().take(16).collect();
    let text = format!("{} {} {} {reference}", change.at.to_clock(), change.kind, change.service);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Number of lines that a diff adds and removes, and of files it touches.
pub(super) fn size(diff: &str) -> (usize, usize, usize) {
    let count = |start: &str, header: &str| {
        diff.lines().filter(|line| line.starts_with(start) && !line.starts_with(header)).count()
    };
    (count("+", "+++ "), count("-", "--- "), diff.lines().filter(|line| line.starts_with("+++ ")).count())
}

fn diff(out: &mut Writer, diff: &str) {
    let (added, removed, files) = size(diff);
    out.blank();
    let head = Pieces::default()
        .with(Role::Heading, "Diff ")
        .with(Role::Added, &format!(" +{added}"))
        .with(Role::Removed, &format!(" −{removed}"));
    let head = if files > 1 { head.with(Role::Dim, &format!("  in {files} files")) } else { head };
    out.pieces(&head, 0);
    for line in diff.lines() {
        let role = match line.as_bytes() {
            _ if line.starts_with("+++ ") || line.starts_with("--- ") || line.starts_with("diff ") => Role::Heading,
            [b'+', ..] => Role::Added,
            [b'-', ..] => Role::Removed,
            [b'@', ..] => Role::Hunk,
            _ => Role::Dim,
        };
        if out.whole { out.push(role, line) } else { out.long(role, line) }
    }
}
