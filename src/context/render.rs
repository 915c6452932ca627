//! The lines of a pack. An item is one line that begins with its id in brackets; what belongs to it follows indented.

use std::fmt::Write as _;

use super::figures::{before_after, quantity, three};
use super::redaction::Redactor;
use crate::domain::alert::Alert;
use crate::domain::analysis::Analysis;
use crate::domain::change::Change;
use crate::domain::evidence::{Detail, EdgeDetail, Evidence, LogChange, LogDetail, MetricDetail, Turn};
use crate::domain::settings::Sees;
use crate::domain::{Labels, Timestamp};

/// How much of an item is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// One short line.
    Brief,
    /// The line in full, with one exemplar or the heart of a diff.
    Full,
    /// Everything worth reading, within bounds.
    Deep,
    /// What a large budget has room for: more exemplars, whole diffs and runbooks, samples at a coarse step.
    Whole,
}

impl Depth {
    const fn of<T: Copy>(self, brief: T, full: T, deep: T, whole: T) -> T {
        match self {
            Self::Brief => brief,
            Self::Full => full,
            Self::Deep => deep,
            Self::Whole => whole,
        }
    }
}

/// Outside text longer than this is cut before it is redacted; far more than any depth shows.
const MAX_OUTSIDE: usize = 6_000;
/// The same for diffs and runbooks, which a large budget shows whole.
const MAX_WHOLE: usize = 48_000;

/// Longest word that is left out whole where a text is cut, in bytes.
const LONGEST_WORD: usize = 512;

/// The lines of one item, each ended by a line feed.
pub(super) struct Lines {
    /// With the service named in it.
    pub alone: String,
    /// Under a heading that names the service; the same as `alone` where there is none.
    pub row: String,
}

/// Renders items; every outside text goes through the redactor before it is cut.
pub(super) struct Renderer {
    redactor: Redactor,
}

/// Names of services and metrics: they hide nobody.
fn names(analysis: &Analysis) -> impl Iterator<Item = &str> {
    let services = analysis.evidence.iter().filter_map(|item| item.service.as_deref());
    let suspects = analysis.suspects.iter().map(|suspect| suspect.service.as_str());
    let edges = analysis.graph.iter().flat_map(|edge| [edge.client.as_str(), edge.server.as_str()]);
    let metrics = analysis.evidence.iter().filter_map(|item| match &item.detail {
        Detail::Metric(metric) => Some(metric.metric.as_str()),
        _ => None,
    });
    let named = analysis.incident.services.iter().map(String::as_str);
    services.chain(suspects).chain(edges).chain(metrics).chain(named)
}

/// What masks text about an incident for a receiver that may see so much: it knows which names are none to hide, so that
/// they are called in all texts what the pack calls them.
pub fn redactor_for(analysis: &Analysis, receiver: Sees) -> Redactor {
    Redactor::for_receiver(receiver).keeping(names(analysis))
}

impl Renderer {
    /// Everything that may be told is looked at first, so that a value that is a secret in one item is one in all.
    pub(super) fn new(analysis: &Analysis, redactor: Redactor) -> Self {
        let mut redactor = redactor.keeping(names(analysis));
        for item in &analysis.evidence {
            told(item, &mut |text| redactor.learn(text));
        }
        Self { redactor }
    }

    /// The redactor, which knows every value that was replaced.
    pub(super) fn into_redactor(self) -> Redactor {
        self.redactor
    }

    /// The lines of one item. `folded` counts alerts of the same name left out for it.
    pub(super) fn item(&mut self, item: &Evidence, depth: Depth, folded: usize) -> Lines {
        let mut out = String::new();
        let service = item.service.as_deref();
        let mut subject = None;
        match &item.detail {
            Detail::Alert(alert) => self.alert(&mut out, alert, folded, depth),
            Detail::Metric(metric) => {
                subject = service;
                self.metric(&mut out, metric, service, item.onset, depth);
            }
            Detail::Log(log) => {
                subject = service;
                self.log(&mut out, log, depth);
            }
            Detail::Edge(edge) => edge_line(&mut out, edge, item.onset),
            Detail::Change(change) => self.change(&mut out, change, depth),
            Detail::Runbook { text } => {
                let title = self.clean(&item.title, 120);
                out.push_str(&title);
                self.lines(&mut out, text, depth.of(4, 20, 120, 1_000), depth.of(300, 2_000, MAX_OUTSIDE, MAX_WHOLE));
            }
            Detail::Query { text } => {
                let title = self.clean(&item.title, 200);
                out.push_str(&title);
                self.lines(&mut out, text, depth.of(2, 12, 60, 200), depth.of(200, 1_200, MAX_OUTSIDE, MAX_OUTSIDE));
            }
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
        // Pieces that are harmless alone may not be so side by side.
        let row = self.redactor.redact(&format!("[{}] {out}", item.id));
        let alone = match subject {
            Some(service) => {
                let service = self.heading(service);
                self.redactor.redact(&format!("[{}] {service} {out}", item.id))
            }
            None => row.clone(),
        };
        Lines { alone, row }
    }

    /// A service's name as it stands above its rows.
    pub(super) fn heading(&mut self, service: &str) -> String {
        self.clean(service, 80)
    }

    /// Outside text on one line, redacted, then cut to `max` characters.
    pub(super) fn clean(&mut self, text: &str, max: usize) -> String {
        cut(&self.redactor.redact(head(text, MAX_OUTSIDE)).replace('\n', "⏎"), max)
    }

    /// Outside text as indented lines.
    fn lines(&mut self, out: &mut String, text: &str, lines: usize, max: usize) {
        let clean = self.redactor.redact(head(text, MAX_OUTSIDE.max(max)));
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
            let summary = self.clean(summary, depth.of(120, 300, 600, 2_000));
            let _ = write!(out, ": {summary}");
        }
        let labels = self.labels(&alert.labels, &["alertname", "severity"], depth.of(100, 240, 600, 1_200));
        if !labels.is_empty() {
            let _ = write!(out, " {{{labels}}}");
        }
        if depth > Depth::Brief
            && let Some(expression) = &alert.expression
        {
            let expression = self.clean(expression, depth.of(0, 200, 600, 1_200));
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
        let name = self.clean(&metric.metric, depth.of(100, 200, 400, 800));
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
        let labels = self.labels(&labels, &[], depth.of(60, 160, 400, 800));
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
        let (peak, last) = (quantity(metric.peak, unit), quantity(metric.last, unit));
        // Neighbours share a unit that does not change with size; it is written once.
        let side = |value: f64| {
            let text = quantity(value, unit);
            let bare = text.strip_suffix(unit).filter(|_| !matches!(unit, "" | "s" | "seconds" | "B" | "bytes"));
            bare.filter(|_| peak.ends_with(unit)).unwrap_or(&text).to_owned()
        };
        let base = if band.count == 0 {
            "none".to_owned()
        } else if band.low.total_cmp(&band.high).is_eq() {
            side(band.median)
        } else {
            format!("{}..{}", side(band.low), side(band.high))
        };
        let _ = write!(out, " {turn} {base}→{peak}");
        if last != peak {
            let _ = write!(out, " now {}", side(metric.last));
        }
        if depth > Depth::Brief {
            let _ = write!(out, " median {} score {}", quantity(band.median, unit), three(metric.score));
        }
        if let Some(onset) = onset {
            let _ = write!(out, " since {}", clock(onset));
        }
        if depth == Depth::Whole {
            samples(out, metric);
        }
    }

    fn log(&mut self, out: &mut String, log: &LogDetail, depth: Depth) {
        let _ = write!(out, "{}", change_word(log.change));
        if !log.level.is_empty() && log.level != "info" {
            let _ = write!(out, " {}", log.level);
        }
        let (before, now) = (three(log.baseline_per_minute), three(log.window_per_minute));
        if !is_habit(log) {
            // Figures of another time than the baseline must say so.
            let when = if log.outside_baseline { " before the baseline" } else { "" };
            let _ = match log.change {
                Some(LogChange::New) if log.baseline_count > 0 => write!(out, " {now}/min, {before}/min{when}"),
                Some(LogChange::New) => write!(out, " {now}/min"),
                Some(LogChange::Vanished) => write!(out, " was {before}/min{when}"),
                _ => write!(out, " {before}→{now}/min"),
            };
            if depth > Depth::Brief {
                let _ = write!(out, " ({}→{})", log.baseline_count, log.window_count);
            }
        }
        if depth > Depth::Brief
            && !is_habit(log)
            && let Some(since) = log.onset.or_else(|| log.first.filter(|_| log.change == Some(LogChange::New)))
        {
            let _ = write!(out, " since {}", clock(since));
        }
        let template = self.clean(&log.template, MAX_OUTSIDE);
        let template = if is_habit(log) {
            quoted_short(&template, depth.of(48, 120, 300, 600), depth.of(80, 240, 600, 1_200))
        } else {
            cut(&condensed(&template), depth.of(88, 240, 600, 2_000))
        };
        let _ = write!(out, ": {template}");
        for value in log.telling.iter().take(depth.of(2, 4, 8, 20)) {
            let field = self.clean(&value.field, 40);
            let which = self.clean(&value.value, depth.of(40, 80, 160, 400));
            let among = self.clean(&value.among, 20);
            let _ = write!(out, " | {field}={which} in {} of {among}", before_after(value.share, 100.0, "%"));
        }
        if let Some(branch) = &log.branch {
            let way = |renderer: &mut Self, text: Option<&crate::domain::Text>| {
                text.map_or_else(
                    || "nothing".to_owned(),
                    |text| cut(&condensed(&renderer.clean(text, MAX_OUTSIDE)), depth.of(60, 140, 300, 600)),
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
            self.exemplars(out, log, depth);
        }
    }

    /// Lines that show a template; what it says already, time and level in front, is not repeated.
    fn exemplars(&mut self, out: &mut String, log: &LogDetail, depth: Depth) {
        let mut exemplars: Vec<_> = log.exemplars.iter().collect();
        // The longest says most.
        exemplars.sort_by(|a, b| {
            b.line.len().cmp(&a.line.len()).then_with(|| a.at.cmp(&b.at)).then_with(|| a.line.cmp(&b.line))
        });
        let first = condensed(&log.template);
        let first = first.split(' ').next().filter(|word| !word.contains("<*>") && word.len() > 3 && !is_habit(log));
        for entry in exemplars.into_iter().take(depth.of(0, 1, 3, 12)) {
            let line = self.redactor.redact_line(&log.template, head(&entry.line, MAX_OUTSIDE)).replace('\n', "⏎");
            let from =
                first.and_then(|word| line.find(word)).filter(|&at| at <= 80 && depth < Depth::Whole).unwrap_or(0);
            // A placeholder is not cut in two.
            let from =
                if line[..from].matches('‹').count() == line[..from].matches('›').count() { from } else { 0 };
            let line = cut(&line[from..], depth.of(0, 220, 1_200, MAX_OUTSIDE));
            let _ = write!(out, "\n  {} {line}", clock(entry.at));
        }
    }

    fn change(&mut self, out: &mut String, change: &Change, depth: Depth) {
        let _ = write!(out, "{} {}", clock(change.at), self.clean(&change.kind, 40));
        if !change.service.is_empty() {
            let _ = write!(out, " {}", self.clean(&change.service, 80));
        }
        if !change.reference.is_empty() {
            let _ = write!(out, " {}", self.clean(&change.reference, depth.of(60, 80, 120, 200)));
        }
        if depth > Depth::Brief && !change.author.is_empty() {
            let _ = write!(out, " by {}", self.clean(&change.author, 60));
        }
        if !change.summary.is_empty() {
            let _ = write!(out, ": {}", self.clean(&change.summary, depth.of(120, 240, 600, 2_000)));
        }
        if let Some(diff) = change.diff.as_ref().filter(|_| depth > Depth::Brief) {
            // Redacted before lines are left out: a key over several lines is one only as long as they stand together.
            let diff = self.redactor.redact(head(diff, MAX_WHOLE));
            let told = if depth == Depth::Whole { diff } else { essence(&diff, depth.of(0, 14, 120, 0)) };
            for line in cut(&told, depth.of(0, 900, MAX_OUTSIDE, MAX_WHOLE)).lines() {
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

/// Hands over every outside text of an item.
fn told(item: &Evidence, take: &mut dyn FnMut(&str)) {
    take(head(&item.title, MAX_OUTSIDE));
    match &item.detail {
        Detail::Alert(alert) => {
            for (name, value) in alert.labels.iter().chain(alert.annotations.iter()) {
                take(&format!("{name}={value}"));
            }
            take(alert.expression.as_deref().unwrap_or_default());
        }
        Detail::Metric(metric) => {
            for (name, value) in metric.labels.iter() {
                take(&format!("{name}={value}"));
            }
        }
        Detail::Log(log) => {
            take(head(&log.template, MAX_OUTSIDE));
            log.exemplars.iter().for_each(|entry| take(head(&entry.line, MAX_OUTSIDE)));
            log.telling.iter().for_each(|value| take(&format!("{}={}", value.field, value.value)));
        }
        Detail::Change(change) => {
            take(head(&change.summary, MAX_OUTSIDE));
            take(head(change.diff.as_deref().unwrap_or_default(), MAX_WHOLE));
        }
        Detail::Runbook { text } | Detail::Query { text } => take(head(text, MAX_WHOLE)),
        Detail::Edge(_) => {}
    }
}

/// Whether a log item tells of a broken habit (what used to follow and does no more), not of one template.
pub(super) fn is_habit(log: &LogDetail) -> bool {
    log.baseline_per_minute == 0.0 && log.window_per_minute == 0.0 && log.template.contains('`')
}

/// What is quoted last in the text of a broken habit: the line that no longer comes, or comes instead.
pub(super) fn outcome(text: &str) -> &str {
    text.split('`').skip(1).step_by(2).last().unwrap_or(text)
}

/// The text of a broken habit with each quoted template condensed: the last to `last` characters, others to `others`.
fn quoted_short(text: &str, others: usize, last: usize) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let mut out = String::new();
    for (place, part) in parts.iter().enumerate() {
        if place % 2 == 1 {
            let max = if place + 2 >= parts.len() { last } else { others };
            out.push_str(&cut(&condensed(part), max));
        } else {
            out.push_str(part);
        }
    }
    out
}

/// Points shown of a series where there is room.
const POINTS: usize = 24;

/// The samples at a coarse step: what a chart would show.
fn samples(out: &mut String, metric: &MetricDetail) {
    let (Some(first), Some(last)) = (metric.samples.first(), metric.samples.last()) else { return };
    let step = metric.samples.len().div_ceil(POINTS).max(1);
    let shown: Vec<String> =
        metric.samples.iter().step_by(step).map(|sample| quantity(sample.value, &metric.unit)).collect();
    let _ = write!(out, "\n  {}..{}: {}", clock(first.at), clock(last.at), shown.join(" "));
}

fn edge_line(out: &mut String, edge: &EdgeDetail, onset: Option<Timestamp>) {
    let _ = write!(out, "{} → {}", edge.client, edge.server);
    for (name, figure, factor, unit) in [
        ("requests", edge.rate, 1.0, "/s"),
        ("errors", edge.errors, 100.0, "%"),
        ("client", edge.client_seconds, 1.0, "s"),
        ("server", edge.server_seconds, 1.0, "s"),
        ("p95", edge.p95, 1.0, "s"),
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
    // A value that is cut in two may no longer look like what it is.
    let word = text[..end].rfind(char::is_whitespace).filter(|at| end - at <= LONGEST_WORD);
    &text[..word.unwrap_or(end)]
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
