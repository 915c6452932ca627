//! The lines of a pack. An item is one line that begins with its id in brackets; what belongs to it follows indented.

use std::fmt::Write as _;

use super::figures::{before_after, quantity, three};
use super::redaction::Redactor;
use crate::domain::alert::Alert;
use crate::domain::change::Change;
use crate::domain::evidence::{Detail, EdgeDetail, Evidence, LogChange, LogDetail, MetricDetail, Turn};
use crate::domain::{Labels, Timestamp};

/// How much of an item is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// One short line.
    Brief,
    /// The line in full, with one exemplar or the heart of a diff.
    Full,
    /// Everything, within bounds.
    Deep,
}

impl Depth {
    const fn of<T: Copy>(self, brief: T, full: T, deep: T) -> T {
        match self {
            Self::Brief => brief,
            Self::Full => full,
            Self::Deep => deep,
        }
    }
}

/// Outside text longer than this is cut before it is redacted; far more than any depth shows.
const MAX_OUTSIDE: usize = 6_000;

/// Renders items; every outside text goes through the redactor before it is cut.
pub(super) struct Renderer {
    redactor: Redactor,
}

impl Renderer {
    pub(super) fn new() -> Self {
        Self { redactor: Redactor::new() }
    }

    /// The lines of one item, each ended by a line feed. `folded` counts alerts of the same name left out for it.
    pub(super) fn item(&mut self, item: &Evidence, depth: Depth, folded: usize) -> String {
        let mut out = format!("[{}] ", item.id);
        let service = item.service.as_deref();
        match &item.detail {
            Detail::Alert(alert) => self.alert(&mut out, alert, folded, depth),
            Detail::Metric(metric) => self.metric(&mut out, metric, service, item.onset, depth),
            Detail::Log(log) => self.log(&mut out, log, service, depth),
            Detail::Edge(edge) => edge_line(&mut out, edge, item.onset),
            Detail::Change(change) => self.change(&mut out, change, depth),
            Detail::Runbook { text } => {
                let title = self.clean(&item.title, 120);
                out.push_str(&title);
                self.lines(&mut out, text, depth.of(4, 20, 120), depth.of(300, 2_000, MAX_OUTSIDE));
            }
            Detail::Query { text } => {
                let title = self.clean(&item.title, 200);
                out.push_str(&title);
                self.lines(&mut out, text, depth.of(2, 12, 60), depth.of(200, 1_200, MAX_OUTSIDE));
            }
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
        // Pieces that are harmless alone may not be so side by side.
        self.redactor.redact(&out)
    }

    /// Outside text on one line, redacted, then cut to `max` characters.
    pub(super) fn clean(&mut self, text: &str, max: usize) -> String {
        cut(&self.redactor.redact(&head(text, MAX_OUTSIDE).replace('\n', "⏎")), max)
    }

    /// Outside text as indented lines.
    fn lines(&mut self, out: &mut String, text: &str, lines: usize, max: usize) {
        let clean = self.redactor.redact(head(text, MAX_OUTSIDE));
        let clean = cut(&clean, max);
        let mut all = clean.lines().map(str::trim_end).filter(|line| !line.is_empty());
        for line in all.by_ref().take(lines) {
            let _ = write!(out, "\n  {line}");
        }
        let rest = all.count();
        if rest > 0 {
            let _ = write!(out, "\n  … {rest} more lines");
        }
    }

    fn alert(&mut self, out: &mut String, alert: &Alert, folded: usize, depth: Depth) {
        let _ = write!(
            out,
            "{} {} since {}",
            self.clean(alert.name(), 80),
            alert.severity().word(),
            clock(alert.starts_at)
        );
        if folded > 0 {
            let _ = write!(out, " (and {folded} more of this name)");
        }
        let summary = alert.summary();
        if summary != alert.name() {
            let summary = self.clean(summary, depth.of(120, 300, 600));
            let _ = write!(out, ": {summary}");
        }
        let labels = self.labels(&alert.labels, &["alertname", "severity"], depth.of(100, 240, 600));
        if !labels.is_empty() {
            let _ = write!(out, " {{{labels}}}");
        }
        if depth > Depth::Brief
            && let Some(expression) = &alert.expression
        {
            let expression = self.clean(expression, depth.of(0, 200, 600));
            let _ = write!(out, " when {expression}");
        }
    }

    fn metric(
        &mut self,
        out: &mut String,
        metric: &MetricDetail,
        service: Option<&str>,
        onset: Option<Timestamp>,
        depth: Depth,
    ) {
        if let Some(service) = service {
            let _ = write!(out, "{} ", self.clean(service, 80));
        }
        let name = self.clean(&metric.metric, depth.of(100, 200, 400));
        out.push_str(&name);
        let mut labels = metric.labels.clone();
        for label in ["__name__", "service", "service_name", "job", "instance"] {
            if label != "instance" || labels.get("pod").is_some() {
                labels.remove(label);
            }
        }
        // A pod that is named after its service says little more: only what tells it from its siblings is kept.
        let labels: Labels = labels
            .iter()
            .filter(|(_, value)| Some(*value) != service)
            .filter_map(|(name, value)| match service.and_then(|service| value.strip_prefix(service)) {
                Some(_) if depth == Depth::Brief => None,
                Some(rest) => Some((name.to_owned(), format!("…{rest}"))),
                None => Some((name.to_owned(), value.to_owned())),
            })
            .collect();
        let labels = self.labels(&labels, &[], depth.of(60, 160, 400));
        if !labels.is_empty() {
            let _ = write!(out, "{{{labels}}}");
        }
        let unit = metric.unit.as_str();
        let band = metric.baseline;
        let turn = match metric.turn {
            Turn::Up => "up",
            Turn::Down => "down",
            Turn::Absent => "absent",
            Turn::Flat => "flat",
        };
        let base = if band.count == 0 {
            "none".to_owned()
        } else if band.low.total_cmp(&band.high).is_eq() {
            quantity(band.median, unit)
        } else {
            format!("{}..{}", quantity(band.low, unit), quantity(band.high, unit))
        };
        let _ =
            write!(out, " {turn} base {base} peak {} now {}", quantity(metric.peak, unit), quantity(metric.last, unit));
        if depth > Depth::Brief {
            let _ = write!(out, " median {} score {}", quantity(band.median, unit), three(metric.score));
        }
        if let Some(onset) = onset {
            let _ = write!(out, " since {}", clock(onset));
        }
    }

    fn log(&mut self, out: &mut String, log: &LogDetail, service: Option<&str>, depth: Depth) {
        let _ = write!(out, "{} ", change_word(log.change));
        if let Some(service) = service {
            let _ = write!(out, "{} ", self.clean(service, 80));
        }
        if !log.level.is_empty() && log.level != "info" {
            let _ = write!(out, "{} ", log.level);
        }
        let _ = write!(out, "{}→{}/min", three(log.baseline_per_minute), three(log.window_per_minute));
        if depth > Depth::Brief {
            let _ = write!(out, " ({}→{})", log.baseline_count, log.window_count);
            if let (Some(first), Some(LogChange::New)) = (log.first, log.change) {
                let _ = write!(out, " first {}", clock(first));
            }
        }
        let template = self.clean(&log.template, MAX_OUTSIDE);
        let _ = write!(out, ": {}", cut(&condensed(&template), depth.of(110, 280, 600)));
        if let Some(branch) = &log.branch {
            let way = |renderer: &mut Self, text: Option<&crate::domain::Text>| {
                text.map_or_else(
                    || "nothing".to_owned(),
                    |text| cut(&condensed(&renderer.clean(text, MAX_OUTSIDE)), depth.of(70, 140, 300)),
                )
            };
            let before = way(self, branch.before.as_ref());
            let share = before_after(branch.share, 100.0, "%");
            if branch.from.is_some() {
                let from = way(self, branch.from.as_ref());
                let _ = write!(out, " ⇐ {share} of requests after {from}; used to be {before}");
            } else {
                let now = way(self, branch.now.as_ref());
                let _ = write!(out, " ⇒ then {now} {share}; used to be {before}");
            }
        }
        if depth > Depth::Brief {
            let count = depth.of(0, 1, 3);
            // The longest says most.
            let mut exemplars: Vec<_> = log.exemplars.iter().collect();
            exemplars.sort_by(|a, b| {
                b.line.len().cmp(&a.line.len()).then_with(|| a.at.cmp(&b.at)).then_with(|| a.line.cmp(&b.line))
            });
            for entry in exemplars.into_iter().take(count) {
                let line = self.clean(&entry.line, depth.of(0, 320, 1_500));
                let _ = write!(out, "\n  {} {line}", clock(entry.at));
            }
        }
    }

    fn change(&mut self, out: &mut String, change: &Change, depth: Depth) {
        let _ = write!(out, "{} {}", clock(change.at), self.clean(&change.kind, 40));
        if !change.service.is_empty() {
            let _ = write!(out, " {}", self.clean(&change.service, 80));
        }
        if !change.reference.is_empty() {
            let _ = write!(out, " {}", self.clean(&change.reference, depth.of(60, 80, 120)));
        }
        if depth > Depth::Brief && !change.author.is_empty() {
            let _ = write!(out, " by {}", self.clean(&change.author, 60));
        }
        if !change.summary.is_empty() {
            let _ = write!(out, ": {}", self.clean(&change.summary, depth.of(120, 240, 600)));
        }
        if let Some(diff) = change.diff.as_ref().filter(|_| depth > Depth::Brief) {
            let essence = self.redactor.redact(&essence(head(diff, 4 * MAX_OUTSIDE), depth.of(0, 14, 120)));
            for line in cut(&essence, depth.of(0, 900, MAX_OUTSIDE)).lines() {
                let _ = write!(out, "\n  {line}");
            }
        }
    }

    fn labels(&mut self, labels: &Labels, without: &[&str], max: usize) -> String {
        let mut text = String::new();
        for (name, value) in labels.iter().filter(|(name, value)| !without.contains(name) && !value.is_empty()) {
            let _ = write!(text, "{}{name}={value}", if text.is_empty() { "" } else { "," });
        }
        self.clean(&text, max)
    }
}

fn edge_line(out: &mut String, edge: &EdgeDetail, onset: Option<Timestamp>) {
    let _ = write!(out, "{} → {}", edge.client, edge.server);
    for (name, figure, factor, unit) in [
        ("requests", edge.rate, 1.0, "/s"),
        ("errors", edge.errors, 100.0, "%"),
        ("client", edge.client_seconds, 1.0, "s"),
        ("server", edge.server_seconds, 1.0, "s"),
    ] {
        if figure.before.is_some() || figure.after.is_some() {
            let _ = write!(out, " {name} {}", before_after(figure, factor, unit));
        }
    }
    if let Some(onset) = onset {
        let _ = write!(out, " since {}", clock(onset));
    }
}

/// The word for a change; `same` for a template that is shown for context.
const fn change_word(change: Option<LogChange>) -> &'static str {
    match change {
        Some(LogChange::New) => "new",
        Some(LogChange::Vanished) => "vanished",
        Some(LogChange::More) => "more",
        Some(LogChange::Fewer) => "fewer",
        None => "same",
    }
}

/// Time of day; the day stands in the head of the pack.
fn clock(at: Timestamp) -> String {
    at.to_clock()
}

/// The template without what says nothing: leading variable parts, the level that is told apart, ids of traces.
fn condensed(template: &str) -> String {
    let mut words: Vec<&str> = template.split(' ').filter(|word| !word.is_empty()).collect();
    let is_level = |word: &str| {
        matches!(
            word.trim_matches(|c: char| !c.is_ascii_alphabetic()),
            "TRACE" | "DEBUG" | "INFO" | "WARN" | "WARNING" | "ERROR" | "FATAL"
        )
    };
    while words.len() > 1 && (words[0] == "<*>" || words[0] == "[<*>]" || is_level(words[0])) {
        words.remove(0);
    }
    let mut out: Vec<&str> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let key = words[at].trim_end_matches([':', '=']).to_ascii_lowercase();
        let is_id = matches!(key.as_str(), "traceid" | "trace_id" | "spanid" | "span_id" | "requestid" | "request_id");
        if is_id && words.get(at + 1) == Some(&"<*>") {
            at += 2;
        } else {
            out.push(words[at]);
            at += 1;
        }
    }
    if out.is_empty() { template.to_owned() } else { out.join(" ") }
}

/// The changed lines of a diff with their headers; lines of context are left out, the rest is counted.
fn essence(diff: &str, max: usize) -> String {
    let telling: Vec<&str> = diff
        .lines()
        .filter(|line| line.starts_with(['+', '-', '@']) || line.starts_with("diff "))
        .filter(|line| !line.starts_with("+++ /dev/null") && line.trim_end().len() > 1)
        .collect();
    let mut out = telling.iter().take(max).copied().collect::<Vec<_>>().join("\n");
    if telling.len() > max {
        let _ = write!(out, "\n… {} more changed lines", telling.len() - max);
    }
    out
}

fn head(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// At most `max` characters; a placeholder is not cut in two.
fn cut(text: &str, max: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(max) else { return text.to_owned() };
    let mut keep = &text[..end];
    if let Some(open) = keep.rfind('‹')
        && !keep[open..].contains('›')
    {
        keep = &keep[..open];
    }
    format!("{}…", keep.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_condensed_to_what_tells() {
        assert_eq!(
            condensed("<*> INFO f.m.s.Impl#405 TraceID: <*> SpanID: <*> [query] done"),
            "f.m.s.Impl#405 [query] done"
        );
        assert_eq!(condensed("<*>"), "<*>");
    }

    #[test]
    fn a_placeholder_is_never_cut_in_two() {
        assert_eq!(cut("ab ‹secret:jwt:1› cd", 8), "ab…");
        assert_eq!(cut("short", 8), "short");
    }

    #[test]
    fn a_diff_is_told_by_its_changed_lines() {
        assert_eq!(essence("@@ a @@\n context\n-old\n+new\n+\n", 9), "@@ a @@\n-old\n+new");
        assert_eq!(essence("+1a\n+2b\n+3c", 2), "+1a\n+2b\n… 1 more changed lines");
    }
}
