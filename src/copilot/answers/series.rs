//! Series as statistics.

use std::collections::BTreeMap;

use crate::domain::metric::{Sample, Series};
use crate::domain::query::Query;
use crate::domain::{Labels, TimeRange};

use super::rows::{Rows, figure, short, stamp};

/// Characters of a series' labels.
const LABELS: usize = 300;
/// Values that are counted rather than listed, at most so many different ones.
const DISTINCT: usize = 6;
/// A step between two neighbours that is this share of the whole span is worth its own words.
const JUMP: f64 = 0.5;

/// Tells what the series show.
pub(super) fn tell(rows: &mut Rows, query: &Query, range: TimeRange, found: &[Series]) {
    let series = Series::in_order(found);
    let series: Vec<&Series> = series.iter().filter(|one| !one.samples.is_empty()).collect();
    if series.is_empty() {
        rows.head("no data: no series has a sample at this time");
        return;
    }
    let common = common(&series);
    let over_time = series.iter().any(|one| one.samples.len() > 1);
    let count = if series.len() == 1 { "1 series".to_owned() } else { format!("{} series", series.len()) };
    let step = match query {
        Query::Range { step, .. } => Some(step.as_secs_f64()),
        _ => None,
    };
    let when = if over_time {
        format!(", {} to {}", stamp(range.start, range.start), stamp(range.end, range.start))
    } else {
        String::new()
    };
    let all = if series.len() > 1 && !common.is_empty() {
        format!(", all with {}", short(&common.to_string(), LABELS))
    } else {
        String::new()
    };
    rows.head(&format!("{count}{when}{all}"));
    counted(rows, &series);
    let mut order: Vec<&Series> = series.clone();
    order.sort_by(|a, b| last(b).total_cmp(&last(a)).then_with(|| a.labels.cmp(&b.labels)));
    // Both ends: what is highest and what is lowest matters, what lies between is summed up.
    let most = rows.most();
    let (high, low) = if order.len() > most { (most - most / 2, most / 2) } else { (order.len(), 0) };
    let without = |one: &Series| if series.len() > 1 { rest(&one.labels, &common) } else { one.labels.clone() };
    for one in &order[..high] {
        rows.row(&line(&without(one), one, range, step));
    }
    rows.skip(order.len() - high - low);
    for one in &order[order.len() - low..] {
        rows.row(&line(&without(one), one, range, step));
    }
    if order.len() > high + low {
        let between = &order[high..order.len() - low];
        let (top, bottom) =
            (between.first().map_or(f64::NAN, |s| last(s)), between.last().map_or(f64::NAN, |s| last(s)));
        rows.last(format!("the last values of those not shown lie between {} and {}", figure(bottom), figure(top)));
    }
    if series.len() > 1 {
        let sum: f64 = series.iter().map(|one| last(one)).filter(|value| value.is_finite()).sum();
        rows.last(format!("sum of the last values {}", figure(sum)));
    }
}

/// How often each last value occurs, where there are few different ones: `0 (2 series), 1 (5 series)`.
fn counted(rows: &mut Rows, series: &[&Series]) {
    let mut counts: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    for one in series {
        counts.entry(figure(last(one))).or_insert((last(one), 0)).1 += 1;
    }
    if counts.len() > DISTINCT || series.len() < 3 || counts.len() == series.len() {
        return;
    }
    let mut counts: Vec<(f64, usize)> = counts.into_values().collect();
    counts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let words: Vec<String> =
        counts.iter().map(|(value, count)| format!("{} ({count} series)", figure(*value))).collect();
    rows.head(&format!("last values: {}", words.join(", ")));
}

fn last(series: &Series) -> f64 {
    series.samples.last().map_or(f64::NAN, |sample| sample.value)
}

/// The labels that all series carry with the same value.
fn common(series: &[&Series]) -> Labels {
    let Some((first, others)) = series.split_first() else { return Labels::new() };
    first.labels.iter().filter(|(name, value)| others.iter().all(|one| one.labels.get(name) == Some(*value))).collect()
}

fn rest(labels: &Labels, common: &Labels) -> Labels {
    labels.iter().filter(|(name, _)| common.get(name).is_none()).collect()
}

/// One series in one line.
fn line(labels: &Labels, series: &Series, range: TimeRange, step: Option<f64>) -> String {
    let name = if labels.is_empty() { "value".to_owned() } else { short(&labels.to_string(), LABELS) };
    match series.samples.as_slice() {
        [] => name,
        [one] => format!("{name} {}", figure(one.value)),
        samples => format!("{name} {}", statistics(samples, range, step)),
    }
}

/// Last, lowest, highest and mean value with their times, how it went, and where it has gaps.
fn statistics(samples: &[Sample], range: TimeRange, step: Option<f64>) -> String {
    let known: Vec<&Sample> = samples.iter().filter(|sample| !sample.value.is_nan()).collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        return format!("NaN throughout, {} samples", samples.len());
    };
    let at = |sample: &Sample| stamp(sample.at, range.start);
    let low = known.iter().min_by(|a, b| a.value.total_cmp(&b.value)).unwrap_or(first);
    let high = known.iter().max_by(|a, b| a.value.total_cmp(&b.value).then(b.at.cmp(&a.at))).unwrap_or(first);
    let mut text = if low.value.total_cmp(&high.value).is_eq() {
        format!("always {}", figure(last.value))
    } else {
        let mean = known.iter().map(|sample| sample.value).sum::<f64>() / known.len() as f64;
        format!(
            "first {} last {} min {} at {} max {} at {} mean {}",
            figure(first.value),
            figure(last.value),
            figure(low.value),
            at(low),
            figure(high.value),
            at(high),
            figure(mean)
        )
    };
    if let Some(words) = went(&known, range) {
        text += &format!(", {words}");
    }
    text += &format!(", {} samples", samples.len());
    if known.len() < samples.len() {
        text += &format!(", {} of them NaN", samples.len() - known.len());
    }
    text += &gaps(samples, range, step);
    text
}

/// How a series went: its largest step, if that makes up much of it, and how much it changed from first to last.
fn went(samples: &[&Sample], range: TimeRange) -> Option<String> {
    let (first, last) = (samples.first()?, samples.last()?);
    let values = || samples.iter().map(|sample| sample.value);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return None;
    }
    let mut words = Vec::new();
    let step = samples.windows(2).max_by(|a, b| {
        let size = |pair: &[&Sample]| (pair[1].value - pair[0].value).abs();
        size(a).total_cmp(&size(b)).then(b[0].at.cmp(&a[0].at))
    });
    if let Some([before, after]) = step
        && samples.len() > 2
        && (after.value - before.value).abs() >= JUMP * span
    {
        let at = stamp(after.at, range.start);
        words.push(format!("steps from {} to {} at {at}", figure(before.value), figure(after.value)));
    }
    let change = last.value - first.value;
    let word = match change {
        _ if change.abs() < 0.05 * span => "ends where it began",
        _ if change > 0.0 => "rises",
        _ => "falls",
    };
    let ratio = last.value / first.value;
    if ratio.is_finite() && ratio > 0.0 && change.abs() >= 0.05 * span {
        words.push(format!("{word} by {}%, ×{}", figure(percent(ratio)), figure(three(ratio))));
    } else {
        words.push(word.to_owned());
    }
    Some(words.join(", "))
}

/// Change in per cent of a ratio.
fn percent(ratio: f64) -> f64 {
    three((ratio - 1.0).abs() * 100.0)
}

/// Three significant digits.
fn three(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// Where samples are missing at either end.
fn gaps(samples: &[Sample], range: TimeRange, step: Option<f64>) -> String {
    let (Some(step), [first, .., last]) = (step, samples) else { return String::new() };
    let mut text = String::new();
    if first.at.since(range.start).as_secs_f64() > 2.0 * step {
        text += &format!(", begins only at {}", stamp(first.at, range.start));
    }
    if range.end.since(last.at).as_secs_f64() > 2.0 * step {
        text += &format!(", ceases at {}", stamp(last.at, range.start));
    }
    text
}
