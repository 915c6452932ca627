//! An evidence item in full.

use crate::core::figures::figure;
use crate::domain::Timestamp;
use crate::domain::analysis::Analysis;
use crate::domain::evidence::{BeforeAfter, Detail, Evidence, MetricDetail, Turn};
use crate::domain::snapshot::Provenance;
use crate::domain::time::human_duration;

use super::{Pieces, Role, Writer, change, edge, template, texts};

/// Everything there is to say of an item. `analysis` gives what surrounds it; `graph` says whether its place in the
/// graph belongs to the text.
pub(super) fn evidence(out: &mut Writer, analysis: Option<&Analysis>, item: &Evidence, graph: bool) {
    let head = Pieces::default().with(Role::Accent, &format!("[{}] ", item.id));
    out.pieces_at_most(&head.with(Role::Heading, &item.title.one_line()), 5, 3);
    match &item.detail {
        Detail::Alert(alert) => {
            out.field("service", item.service.as_deref().unwrap_or_default());
            out.field("severity", alert.severity().word());
            out.field("fired", &clear(alert.starts_at));
            out.field("expression", alert.expression.as_deref().unwrap_or_default());
            if !alert.suppressed_by.is_empty() {
                out.field("silenced by", &alert.suppressed_by.join(", "));
            }
            out.heading("Labels");
            texts::labels(out, &alert.labels);
            out.heading("Annotations");
            texts::labels(out, &alert.annotations);
        }
        Detail::Metric(metric) => self::metric(out, analysis, item, metric),
        Detail::Log(log) => template::log(out, analysis, item, log),
        Detail::Edge(detail) => edge::edge(out, analysis, item, detail, graph),
        Detail::Change(found) => change::change(out, analysis, item, found),
        Detail::Runbook { text } | Detail::Query { text } => {
            out.blank();
            out.push(Role::Plain, text);
        }
    }
    provenance(out, &item.provenance);
}

fn metric(out: &mut Writer, analysis: Option<&Analysis>, item: &Evidence, metric: &MetricDetail) {
    let show = |value| figure(value, &metric.unit);
    let band = metric.baseline;
    let labels = if metric.labels.is_empty() { String::new() } else { metric.labels.to_string() };
    out.field("metric", &format!("{}{labels}", metric.metric));
    out.field("service", item.service.as_deref().unwrap_or_default());
    let normal = if band.count == 0 {
        "not known: there are no samples of before".to_owned()
    } else {
        let (low, high, median) = (show(band.low), show(band.high), show(band.median));
        let samples = if band.count == 1 { "1 sample".to_owned() } else { format!("{} samples", band.count) };
        let range = if low == high { low } else { format!("{low} to {high}, median {median}") };
        format!("{range}  ({samples})")
    };
    out.field("normal", &normal);
    let times = factor(Some(band.median).filter(|_| band.count > 0), Some(metric.peak));
    let times = if times.is_empty() { times } else { format!("  {times}") };
    out.field("went", &format!("{}: {}{times}, last {}", turn(metric.turn), show(metric.peak), show(metric.last)));
    if let Some(at) = item.onset {
        out.field("since", &since(at, analysis));
    }
    let score = if metric.score.is_finite() {
        format!("{:.1} deviations from the median, strength {:.2}", metric.score.abs(), item.strength)
    } else {
        format!("strength {:.2}", item.strength)
    };
    out.field("stands out", &score);
    let broken = metric.samples.iter().filter(|sample| !sample.value.is_finite()).count();
    if broken > 0 {
        out.push(Role::Warning, &format!("  {broken} of {} samples are no number: gaps", metric.samples.len()));
    }
}

/// An onset with its distance to the first alert.
pub(super) fn since(at: Timestamp, analysis: Option<&Analysis>) -> String {
    let alert = analysis.and_then(|analysis| analysis.incident.alerts.iter().map(|alert| alert.starts_at).min());
    let beside = match alert {
        Some(alert) if at < alert => format!(", {} before the first alert", human_duration(alert.since(at))),
        Some(alert) if at > alert => format!(", {} after the first alert", human_duration(at.since(alert))),
        Some(_) => ", with the first alert".to_owned(),
        None => String::new(),
    };
    format!("{}{beside}", clear(at))
}

/// Before and after as text.
pub fn before_after(pair: BeforeAfter, unit: &str) -> (String, String) {
    let show = |value: Option<f64>| value.map_or_else(|| "no data".to_owned(), |value| figure(value, unit));
    (show(pair.before), show(pair.after))
}

/// How many times as much: `×59`, `×0.31`, `from nothing`, `same`; empty where that cannot be said.
pub fn factor(before: Option<f64>, after: Option<f64>) -> String {
    let (Some(before), Some(after)) = (before, after) else { return String::new() };
    if !before.is_finite() || !after.is_finite() || before < 0.0 || after < 0.0 {
        return String::new();
    }
    if before == 0.0 {
        return if after > 0.0 { "from nothing".into() } else { "same".into() };
    }
    let times = after / before;
    match times {
        _ if !times.is_finite() || times > 1e6 => "from next to nothing".into(),
        0.95..1.05 => "same".into(),
        0.0 => "gone".into(),
        10.0.. => format!("×{times:.0}"),
        1.0..10.0 => format!("×{times:.1}"),
        _ => format!("×{times:.2}"),
    }
}

/// Which way a series went, in words.
pub const fn turn(turn: Turn) -> &'static str {
    match turn {
        Turn::Up => "up",
        Turn::Down => "down",
        Turn::Absent => "absent: samples ceased",
        Turn::Flat => "within its baseline",
    }
}

fn provenance(out: &mut Writer, provenance: &Provenance) {
    out.heading("Where it comes from");
    out.field("source", &provenance.source);
    out.field("query", &provenance.expr);
    let (start, end) = (provenance.range.start, provenance.range.end);
    out.field("range", &format!("{} to {}", clear(start), clear(end)));
    texts::notes(out, &provenance.notes);
}

/// An instant to the millisecond: what the eye can use.
pub(super) fn clear(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f UTC").replace(".000 UTC", " UTC")
}

/// A bar of a share of `width` columns, in eighths of a column.
pub(super) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f64 * 8.0).round() as usize;
    // What is not nothing is seen.
    let eighths = if share > 0.0 { eighths.max(1) } else { eighths };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_read_as_people_say_them() {
        let of = |before, after| factor(Some(before), Some(after));
        assert_eq!(of(0.05, 2.97), "×59");
        assert_eq!(of(2.0, 5.0), "×2.5");
        assert_eq!(of(41.0, 38.5), "×0.94");
        assert_eq!(of(1.0, 1.01), "same");
        assert_eq!(of(0.0, 3.0), "from nothing");
        assert_eq!(of(0.0, 0.0), "same");
        assert_eq!(of(3.0, 0.0), "gone");
        assert_eq!(of(f64::NAN, 3.0), "");
        assert_eq!(of(1e-300, 1e300), "from next to nothing");
        assert_eq!(factor(None, Some(1.0)), "");
    }

    #[test]
    fn a_bar_shows_what_is_little() {
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(0.001, 4), "▏");
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(f64::NAN, 4), "");
    }
}
