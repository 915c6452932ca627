//! A log template compared with its baseline, as a diff: what came, what went, what follows now.

use std::ops::Range;

use crate::core::figures::{count, figure};
use crate::domain::Text;
use crate::domain::analysis::Analysis;
use crate::domain::evidence::{BeforeAfter, Branch, Detail, Evidence, LogChange, LogDetail};

use super::proof::{bar, factor, since};
use super::{Pieces, Role, Writer};

/// What stands for a variable part of a template.
const VARIABLE: &str = "<*>";

/// Columns of a bar.
const BAR: usize = 20;

/// Lines of an entry shown while it is folded.
const FOLDED: usize = 4;

/// Templates of a service that are listed.
const LISTED: usize = 40;

/// Everything about a log item.
pub(super) fn log(out: &mut Writer, analysis: Option<&Analysis>, item: &Evidence, log: &LogDetail) {
    rates(out, log);
    out.field("service", item.service.as_deref().unwrap_or_default());
    out.field("level", &log.level);
    if let Some(at) = log.onset.or(item.onset).or(log.first) {
        let word = if log.change == Some(LogChange::Vanished) { "ended" } else { "began" };
        out.field(word, &since(at, analysis));
    }
    telling(out, log);
    out.heading("Template");
    out.pieces(&highlighted("  ", &log.template), 2);
    if let Some(branch) = &log.branch {
        self::branch(out, branch, &log.template);
    }
    out.heading("Entries that show it");
    for entry in &log.exemplars {
        exemplar(out, &log.template, &entry.at.format("%H:%M:%S%.3f"), &entry.line);
    }
    if log.exemplars.is_empty() {
        out.push(Role::Dim, "  none kept");
    }
    if let Some(analysis) = analysis {
        siblings(out, analysis, item);
    }
}

/// The word for a changed log template.
pub const fn change_word(change: LogChange) -> &'static str {
    match change {
        LogChange::New => "NEW",
        LogChange::Vanished => "GONE",
        LogChange::More => "MORE",
        LogChange::Fewer => "FEWER",
    }
}

const fn role(change: Option<LogChange>) -> Role {
    match change {
        Some(LogChange::New | LogChange::More) => Role::Bad,
        Some(LogChange::Vanished | LogChange::Fewer) => Role::Warning,
        None => Role::Dim,
    }
}

fn rates(out: &mut Writer, log: &LogDetail) {
    let word = log.change.map_or("unchanged", change_word);
    let times = match log.change {
        Some(LogChange::New) if log.outside_baseline => "its service was silent in the baseline".to_owned(),
        Some(LogChange::New) => "never seen before".to_owned(),
        Some(LogChange::Vanished) => "seen no more".to_owned(),
        _ => factor(Some(log.baseline_per_minute), Some(log.window_per_minute)),
    };
    out.pieces(
        &Pieces::default().with(role(log.change), &format!("  {word}")).with(Role::Plain, &format!("  {times}")),
        2,
    );
    let most = log.baseline_per_minute.max(log.window_per_minute);
    for (name, rate, total) in [
        (if log.outside_baseline { "elsewhere" } else { "before" }, log.baseline_per_minute, log.baseline_count),
        ("during", log.window_per_minute, log.window_count),
    ] {
        let share = if most > 0.0 { rate / most } else { 0.0 };
        let text = format!("{}/min  ({} in all)", figure(rate, ""), count(total));
        let line = Pieces::default()
            .with(Role::Dim, &format!("  {name:<12} "))
            .with(if name == "during" { role(log.change) } else { Role::Accent }, &bar(share, BAR))
            .to(15 + BAR + 1)
            .with(Role::Plain, &text);
        out.pieces(&line, 15);
    }
}

/// Values that tell the troubled lines from the others.
fn telling(out: &mut Writer, log: &LogDetail) {
    for (at, one) in log.telling.iter().enumerate() {
        let of = |share: Option<f64>| share.map_or_else(|| "?".to_owned(), |share| figure(share * 100.0, "%"));
        let line = Pieces::default()
            .with(Role::Dim, &format!("  {:<12} ", if at == 0 { "telling" } else { "" }))
            .with(Role::Bad, &of(one.share.after))
            .with(Role::Plain, &format!(" of the {} lines: ", one.among))
            .with(Role::Variable, &format!("{}={}", one.field, one.value.one_line()))
            .with(Role::Plain, &format!("  ({} of the others, {} lines)", of(one.share.before), count(one.count)));
        out.pieces(&line, 15);
    }
}

/// What follows within one request, before and now, as a diff.
fn branch(out: &mut Writer, branch: &Branch, own: &Text) {
    out.heading("What follows within one request");
    let from = branch.from.as_ref().unwrap_or(own);
    out.pieces_at_most(&highlighted("    after    ", from), 13, 3);
    let nothing = Text::new("nothing: the request ends there");
    let other = |share: Option<f64>| share.map(|share| (1.0 - share).clamp(0.0, 1.0));
    let now = branch.share;
    let before = BeforeAfter { before: other(now.before), after: other(now.after) };
    for (sign, role, template, share) in [
        ("−", Role::Removed, branch.before.as_ref().unwrap_or(&nothing), before),
        ("+", Role::Added, branch.now.as_ref().unwrap_or(&nothing), now),
    ] {
        let mut line = Pieces::default().with(role, &format!("  {sign} then     "));
        let body = highlighted("", template);
        let shift = line.text.len();
        line.text.push_str(&body.text);
        line.marks.extend(body.marks.into_iter().map(|(range, role)| (range.start + shift..range.end + shift, role)));
        out.pieces_at_most(&line, 13, 3);
        let (was, is) = super::before_after(share, "ratio");
        // Other ways may have been taken beside the one that led.
        let way = if sign == "−" { "the old way and others" } else { "the new way" };
        let line = Pieces::default()
            .with(role, &format!("  {sign}          "))
            .with(Role::Accent, &bar(share.before.unwrap_or(0.0), 10))
            .to(24)
            .with(Role::Plain, &format!("{was} → "))
            .with(role, &bar(share.after.unwrap_or(0.0), 10))
            .with(Role::Plain, &format!(" {is}"))
            .with(Role::Dim, &format!("  {way}"));
        out.pieces(&line, 13);
    }
}

/// A template with its variable parts marked.
fn highlighted(before: &str, template: &str) -> Pieces {
    let mut pieces = Pieces::default().with(Role::Dim, before);
    let text = template.replace('\n', "⏎");
    for (at, part) in text.split(VARIABLE).enumerate() {
        if at > 0 {
            pieces.add(Role::Variable, VARIABLE);
        }
        pieces.add(Role::Plain, part);
    }
    pieces
}

/// An entry with the parts marked that its template leaves open; long ones folded.
fn exemplar(out: &mut Writer, template: &str, at: &str, line: &str) {
    let open = variables(template, line);
    let mut start = 0;
    let lines: Vec<&str> = line.split('\n').collect();
    let most = if out.whole { usize::MAX } else { FOLDED };
    for (number, part) in lines.iter().take(most).enumerate() {
        let mut pieces =
            Pieces::default().with(Role::Dim, &if number == 0 { format!("  {at}  ") } else { " ".repeat(16) });
        let before = pieces.text.len();
        pieces.text.push_str(part);
        pieces.marks.extend(open.iter().filter_map(|range| {
            let (from, to) = (range.start.max(start), range.end.min(start + part.len()));
            (from < to).then(|| (from - start + before..to - start + before, Role::Variable))
        }));
        out.pieces_at_most(&pieces, 16, if out.whole { usize::MAX } else { 6 });
        start += part.len() + 1;
    }
    if lines.len() > most {
        let text = format!("{}… {} more lines (w unfolds)", " ".repeat(16), lines.len() - most);
        out.push(Role::Dim, &text);
    }
}

/// The parts of `line`, by bytes, that `template` leaves open; empty when the line is not of that template. White
/// space counts as one space, as in templates.
pub fn variables(template: &str, line: &str) -> Vec<Range<usize>> {
    let mut open = Vec::new();
    let mut at = 0;
    for (number, literal) in template.split(VARIABLE).enumerate() {
        let literal = literal.trim();
        let found = if literal.is_empty() { Some(0) } else { line[at..].find(literal) };
        let Some(found) = found else { return Vec::new() };
        let from = at + found;
        if number > 0
            && literal.is_empty()
            && template.ends_with(VARIABLE)
            && number == template.matches(VARIABLE).count()
        {
            push(&mut open, line, at..line.len());
        } else if number > 0 && !literal.is_empty() {
            push(&mut open, line, at..from);
        } else if number == 0 && found > 0 {
            return Vec::new();
        }
        at = from + literal.len();
    }
    open
}

fn push(open: &mut Vec<Range<usize>>, line: &str, range: Range<usize>) {
    let part = &line[range.clone()];
    let lead = part.len() - part.trim_start().len();
    let part = part.trim();
    if !part.is_empty() {
        open.push(range.start + lead..range.start + lead + part.len());
    }
}

/// The other templates of the service that changed, as a diff.
fn siblings(out: &mut Writer, analysis: &Analysis, item: &Evidence) {
    let of_service = |other: &&Evidence| other.service == item.service && other.service.is_some();
    let mut changed: Vec<(&Evidence, &LogDetail)> = analysis
        .evidence
        .iter()
        .filter(of_service)
        .filter_map(|other| match &other.detail {
            Detail::Log(log) if log.change.is_some() => Some((other, log)),
            _ => None,
        })
        .collect();
    if changed.len() < 2 {
        return;
    }
    let order = |log: &LogDetail| match log.change {
        Some(LogChange::New) => 0,
        Some(LogChange::More) => 1,
        Some(LogChange::Vanished) => 2,
        Some(LogChange::Fewer) => 3,
        None => 4,
    };
    changed.sort_by_key(|(other, log)| (order(log), other.id));
    let service = item.service.as_deref().unwrap_or_default();
    out.heading(&format!("All that changed in the log of {service}"));
    for (other, log) in changed.iter().take(LISTED) {
        let sign = match log.change {
            Some(LogChange::New) => "+",
            Some(LogChange::More) => "↑",
            Some(LogChange::Vanished) => "−",
            _ => "↓",
        };
        let here = if other.id == item.id { "▸" } else { " " };
        let rates = rate_change(log);
        let room = out.width.saturating_sub(10 + 18).max(10);
        let template: String = log.template.one_line().into_owned();
        let line = Pieces::default()
            .with(Role::Accent, &format!("{here} {:<5}", other.id))
            .with(role(log.change), &format!("{sign} "))
            .with(Role::Dim, &rates)
            .to(9 + 18)
            .with(Role::Plain, super::wrap(&template, room).first().map_or("", |part| part.trim_end()));
        out.pieces_at_most(&line, 27, 1);
    }
    if changed.len() > LISTED {
        out.push(Role::Dim, &format!("  … {} more: pane 2", changed.len() - LISTED));
    }
}

/// What a template says, without what stands before its message: for narrow places.
pub fn gist(template: &str) -> &str {
    const MESSAGE: [&str; 6] = ["msg=\"", "msg=", "message=\"", "\"msg\":\"", "\"message\":\"", "\"msg\": \""];
    let found = MESSAGE.iter().filter_map(|key| template.find(key).map(|at| at + key.len())).min();
    let rest = found.and_then(|at| template.get(at..)).unwrap_or(template);
    if rest.trim().is_empty() { template } else { rest }
}

/// How often before and now, in few columns: the share of requests where a way was parted from.
pub fn rate_change(log: &LogDetail) -> String {
    let counted = matches!(log.change, Some(LogChange::New | LogChange::Vanished));
    if let Some(branch) = log.branch.as_ref().filter(|_| !counted) {
        let (before, after) = super::before_after(branch.share, "ratio");
        return format!("{before} → {after}");
    }
    if log.baseline_per_minute.max(log.window_per_minute) < 0.05 {
        return format!("{} → {} in all", count(log.baseline_count), count(log.window_count));
    }
    match log.change {
        Some(LogChange::Vanished) => format!("was {}/min", figure(log.baseline_per_minute, "")),
        Some(LogChange::New) => format!("×{}", count(log.window_count)),
        _ => format!("{} → {}/min", figure(log.baseline_per_minute, ""), figure(log.window_per_minute, "")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn parts<'a>(template: &str, line: &'a str) -> Vec<&'a str> {
        variables(template, line).into_iter().map(|range| &line[range]).collect()
    }

    #[test]
    fn variable_parts_are_found() {
        assert_eq!(parts("took <*> ms for <*>", "took 31 ms for order-7"), ["31", "order-7"]);
        assert_eq!(parts("<*> failed: <*>", "job 価格 failed: no room left"), ["job 価格", "no room left"]);
        assert_eq!(parts("pool=<*>", "pool="), Vec::<&str>::new());
        assert_eq!(parts("nothing open", "nothing open"), Vec::<&str>::new());
        assert_eq!(parts("other <*>", "took 31 ms"), Vec::<&str>::new());
        assert_eq!(parts("a <*> <*> b", "a 1 2 b"), ["1 2"]);
    }

    proptest! {
        #[test]
        fn variable_parts_lie_within_the_line(template in "[a <*>é]{0,12}", line in "[a <*>é]{0,20}") {
            let mut end = 0;
            for range in variables(&template, &line) {
                prop_assert!(range.start >= end && line.get(range.clone()).is_some());
                end = range.end;
            }
        }
    }

    #[test]
    fn marks_survive_wrapping() {
        let mut out = Writer { width: 20, range: 0..usize::MAX, len: 0, lines: Vec::new(), whole: false };
        let pieces = Pieces::default().with(Role::Plain, "aaaa bbbb cccc dddd ").with(Role::Bad, "eeee ffff");
        out.pieces(&pieces, 4);
        assert_eq!(
            out.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
            ["aaaa bbbb cccc ", "    dddd eeee ffff"]
        );
        assert_eq!(out.lines[1].marks, [(9..18, Role::Bad)]);
        assert_eq!(&out.lines[1].text[9..18], "eeee ffff");
        assert_eq!(out.lines[1].text.width(), 18);
    }
}
