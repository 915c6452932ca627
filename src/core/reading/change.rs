//! A change: what was done, why it is or is not blamed, and its diff.

use crate::domain::analysis::Analysis;
use crate::domain::change::Change;
use crate::domain::evidence::{Evidence, EvidenceKind};
use crate::domain::time::human_duration;

use super::proof::since;
use super::{Pieces, Role, Writer};

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
    match analysis.changes.iter().find(|ranked| ranked.evidence == item.id) {
        Some(ranked) => {
            let head = Pieces::default()
                .with(Role::Dim, &format!("  {:<12} ", "blamed"))
                .with(Role::Bad, &format!("#{} of {}", ranked.rank, analysis.changes.len()))
                .with(Role::Plain, &format!("  {:.2}  {}", ranked.score, ranked.why));
            out.pieces(&head, 15);
        }
        None => out.field("not blamed", "it does not explain what is seen"),
    }
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
