//! Evidence in one sentence, with figures taken from its details.

use crate::domain::evidence::{BeforeAfter, Detail, EdgeDetail, Evidence, LogChange, LogDetail, MetricDetail, Turn};

/// Longest quotation of a template, in characters.
const QUOTE: usize = 140;

/// A figure as people read it: four significant digits at most, with its unit.
pub(super) fn figure(value: f64, unit: &str) -> String {
    if value.is_nan() {
        return "no number".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "infinite".into() } else { "minus infinite".into() };
    }
    let unit = if unit.is_empty() || unit.starts_with('/') { unit.to_owned() } else { format!(" {unit}") };
    let size = value.abs();
    let decimals = match size {
        _ if size == 0.0 || size >= 1_000.0 => 0,
        _ if size >= 100.0 => 1,
        _ if size >= 1.0 => 2,
        _ => (3 - size.log10().ceil() as i32).clamp(2, 12) as usize,
    };
    let mut text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    format!("{text}{unit}")
}

/// A share between 0 and 1 as per cent.
pub(super) fn percent(share: f64) -> String {
    figure(share * 100.0, "%")
}

/// A template or line in quotation marks, on one line, cut when long.
pub(super) fn quoted(text: &str) -> String {
    let line = text.replace('\n', " ").replace('"', "'");
    let cut: String = line.chars().take(QUOTE).collect();
    if cut.len() < line.len() { format!("\"{}…\"", cut.trim_end()) } else { format!("\"{cut}\"") }
}

/// The sentence.
pub(super) fn describe(item: &Evidence) -> String {
    match &item.detail {
        Detail::Alert(alert) => {
            format!("{} fires since {}: {}", alert.name(), alert.starts_at.to_clock(), quoted(alert.summary()))
        }
        Detail::Metric(metric) => describe_metric(metric, item),
        Detail::Log(log) => describe_log(log),
        Detail::Edge(edge) => describe_edge(edge),
        Detail::Change(change) => {
            let reference = if change.reference.is_empty() { String::new() } else { format!(" {}", change.reference) };
            let summary =
                if change.summary.is_empty() { String::new() } else { format!(": {}", quoted(&change.summary)) };
            format!("{}{} at {}{}", change.kind, reference.replace('\n', " "), change.at.to_clock(), summary)
        }
        Detail::Runbook { .. } | Detail::Query { .. } => item.title.one_line().into_owned(),
    }
}

fn describe_metric(metric: &MetricDetail, item: &Evidence) -> String {
    let unit = metric.unit.as_str();
    let labels = if metric.labels.is_empty() { String::new() } else { metric.labels.to_string() };
    let name = if labels.starts_with('{') { format!("{}{labels}", metric.metric) } else { metric.metric.clone() };
    let since = item.onset.map(|at| format!(", since {}", at.to_clock())).unwrap_or_default();
    let median = figure(metric.baseline.median, unit);
    match metric.turn {
        Turn::Up => format!("{name} rose to {} from usually {median}{since}", figure(metric.peak, unit)),
        Turn::Down => format!("{name} fell to {} from usually {median}{since}", figure(metric.peak, unit)),
        Turn::Absent => format!("{name} ceased, usually {median}{since}"),
        Turn::Flat => format!("{name} stayed at usually {median}"),
    }
}

fn describe_log(log: &LogDetail) -> String {
    let template = quoted(&log.template);
    match log.change {
        Some(LogChange::New) if log.outside_baseline && log.baseline_count > 0 => {
            format!("{} times, none in the baseline, where its service was silent: {template}", log.window_count)
        }
        Some(LogChange::New) => format!("new message, {} times: {template}", log.window_count),
        Some(LogChange::Vanished) => format!("message gone, {} times before: {template}", log.baseline_count),
        Some(LogChange::More) => format!(
            "more often, {} a minute from {}: {template}",
            figure(log.window_per_minute, ""),
            figure(log.baseline_per_minute, "")
        ),
        Some(LogChange::Fewer) => format!(
            "more rarely, {} a minute from {}: {template}",
            figure(log.window_per_minute, ""),
            figure(log.baseline_per_minute, "")
        ),
        None => format!("{} times: {template}", log.window_count),
    }
}

fn describe_edge(edge: &EdgeDetail) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, values: BeforeAfter, print: &dyn Fn(f64) -> String| match (values.before, values.after)
    {
        (Some(before), Some(after)) if before.total_cmp(&after).is_ne() => {
            parts.push(format!("{name} {} to {}", print(before), print(after)));
        }
        (None, Some(after)) => parts.push(format!("{name} {}, none before", print(after))),
        (Some(before), None) => parts.push(format!("{name} {}, none now", print(before))),
        _ => {}
    };
    part("errors", edge.errors, &percent);
    part("caller waits", edge.client_seconds, &|seconds| figure(seconds, "s"));
    part("callee works", edge.server_seconds, &|seconds| figure(seconds, "s"));
    part("p95 of the wait", edge.p95, &|seconds| figure(seconds, "s"));
    part("requests", edge.rate, &|rate| figure(rate, "/s"));
    format!("{} → {}: {}", edge.client, edge.server, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(figure(50.0, ""), "50");
        assert_eq!(figure(0.0, "s"), "0 s");
        assert_eq!(figure(5.198_7, "s"), "5.2 s");
        assert_eq!(figure(0.001_234, "s"), "0.00123 s");
        assert_eq!(figure(123_456.7, "/s"), "123457/s");
        assert_eq!(figure(f64::NAN, ""), "no number");
        assert_eq!(percent(0.314), "31.4 %");
    }

    #[test]
    fn a_quotation_is_one_line_and_bounded() {
        assert_eq!(quoted("a \"b\"\nc"), "\"a 'b' c\"");
        assert!(quoted(&"x".repeat(500)).chars().count() < 150);
    }
}
