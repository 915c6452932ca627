//! A metric over baseline and window: line, normal band, onset and alert, axes with unit and time.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::core::figures::figure;
use crate::domain::Timestamp;
use crate::domain::evidence::MetricDetail;
use crate::domain::incident::Incident;

use super::axis::Axis;
use super::canvas::{Canvas, column_right};

/// An instant to be marked.
pub(super) struct Mark {
    /// When.
    pub(super) at: Timestamp,
    /// What, in a word or two.
    pub(super) label: String,
}

/// Columns of the labels of the value axis.
const LABELS: u16 = 9;

/// Draws a metric. Needs about 30 x 5 cells; draws nothing in less.
pub(super) fn draw(metric: &MetricDetail, incident: &Incident, marks: &[Mark], canvas: &mut Canvas<'_>, area: Rect) {
    if area.width < LABELS + 20 || area.height < 5 {
        return;
    }
    let theme = canvas.theme;
    let plot = Rect { x: area.x + LABELS + 1, width: area.width - LABELS - 1, height: area.height - 2, ..area };
    let axis = Axis::new(incident.baseline, incident.window, plot.width);
    let Some(scale) = Scale::of(metric, plot.height) else {
        canvas.text(area.x + 1, area.y, area.width, "no finite value to draw", theme.dim());
        return;
    };
    labels(metric, &scale, canvas, Rect { width: LABELS, height: plot.height, ..area }, plot);
    band(metric, &scale, canvas, plot);
    for mark in marks {
        if let Some(column) = axis.column(mark.at) {
            for y in plot.top()..plot.bottom() {
                canvas.text(plot.x + column, y, 1, "┆", theme.warn());
            }
        }
    }
    if let Some(gap) = axis.gap() {
        for y in plot.top()..plot.bottom() {
            canvas.text(plot.x + gap, y, 1, "┊", theme.dim());
        }
    }
    line(metric, &axis, &scale, canvas, plot);
    times(&axis, canvas, Rect { y: plot.bottom(), height: 1, ..plot });
    mark_labels(&axis, marks, canvas, Rect { y: plot.bottom() + 1, height: 1, ..plot });
}

/// From values to rows.
struct Scale {
    low: f64,
    high: f64,
    rows: u16,
}

impl Scale {
    fn of(metric: &MetricDetail, rows: u16) -> Option<Self> {
        let band = [metric.baseline.low, metric.baseline.high];
        let values = metric.samples.iter().map(|sample| sample.value).chain(band).filter(|value| value.is_finite());
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        // Zero belongs on the axis unless the values vary far above it.
        let low = if low > 0.0 && low < high * 0.8 { 0.0 } else { low };
        let high = if high <= low { low + low.abs().max(1.0) } else { high };
        Some(Self { low, high, rows })
    }

    /// Row from the top of a value.
    fn row(&self, value: f64) -> u16 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let last = self.rows - 1;
        last - (share * f64::from(last)).round() as u16
    }

    /// Value in the middle of a row.
    fn value(&self, row: u16) -> f64 {
        let last = f64::from(self.rows - 1).max(1.0);
        let value = self.high - (self.high - self.low) * f64::from(row) / last;
        // What rounding leaves of zero is zero.
        if value.abs() < (self.high - self.low) * 1e-9 { 0.0 } else { value }
    }
}

fn labels(metric: &MetricDetail, scale: &Scale, canvas: &mut Canvas<'_>, area: Rect, plot: Rect) {
    let style = canvas.theme.dim();
    let step = if scale.rows >= 7 { 2 } else { 3 };
    for row in 0..scale.rows {
        let labelled = row == 0 || row == scale.rows - 1 || row % step == 0 && row + 1 < scale.rows - 1;
        let text = if labelled { figure(scale.value(row), &metric.unit) } else { String::new() };
        canvas.text(area.x, area.y + row, LABELS, &column_right(&text, usize::from(LABELS)), style);
        canvas.text(plot.x - 1, area.y + row, 1, if labelled { "┤" } else { "│" }, style);
    }
}

fn band(metric: &MetricDetail, scale: &Scale, canvas: &mut Canvas<'_>, plot: Rect) {
    let style = canvas.theme.dim();
    if !metric.baseline.low.is_finite() || !metric.baseline.high.is_finite() {
        return;
    }
    let (top, bottom) = (scale.row(metric.baseline.high), scale.row(metric.baseline.low));
    for row in top..=bottom {
        canvas.text(plot.x, plot.y + row, plot.width, &"░".repeat(usize::from(plot.width)), style);
    }
}

/// The mean of each column, joined by lines. Columns without samples stay blank when samples ceased, and are bridged
/// when there are fewer samples than columns.
fn line(metric: &MetricDetail, axis: &Axis, scale: &Scale, canvas: &mut Canvas<'_>, plot: Rect) {
    let style = canvas.theme.accent();
    let mut sums: Vec<(f64, u32)> = vec![(0.0, 0); usize::from(plot.width)];
    for sample in metric.samples.iter().filter(|sample| sample.value.is_finite()) {
        if let Some((sum, count)) = axis.column(sample.at).and_then(|column| sums.get_mut(usize::from(column))) {
            *sum += sample.value;
            *count += 1;
        }
    }
    let rows: Vec<Option<u16>> =
        sums.into_iter().map(|(sum, count)| (count > 0).then(|| scale.row(sum / f64::from(count)))).collect();
    let filled: Vec<usize> = (0..rows.len()).filter(|column| rows[*column].is_some()).collect();
    let bridge = filled.windows(2).map(|pair| pair[1] - pair[0]).fold(1, |widest, step| {
        // The usual distance of samples, a few times over; a longer pause is a pause.
        if widest == 1 { step * 3 } else { widest.min(step * 3) }
    });
    let mut before: Option<(usize, u16)> = None;
    for column in filled {
        let Some(row) = rows[column] else { continue };
        let gap = axis
            .gap()
            .is_some_and(|gap| before.is_some_and(|(last, _)| last < usize::from(gap) && column > usize::from(gap)));
        match before.filter(|(last, _)| column - last <= bridge && !gap) {
            Some((last, from)) => {
                for x in last + 1..column {
                    put(canvas, plot, x as u16, from, "─", style);
                }
                step(canvas, plot, column as u16, from, row, style);
            }
            None => put(canvas, plot, column as u16, row, "─", style),
        }
        before = Some((column, row));
    }
}

fn step(canvas: &mut Canvas<'_>, plot: Rect, column: u16, from: u16, to: u16, style: Style) {
    if from == to {
        put(canvas, plot, column, to, "─", style);
        return;
    }
    let up = to < from;
    put(canvas, plot, column, from, if up { "╯" } else { "╮" }, style);
    for row in from.min(to) + 1..from.max(to) {
        put(canvas, plot, column, row, "│", style);
    }
    put(canvas, plot, column, to, if up { "╭" } else { "╰" }, style);
}

fn put(canvas: &mut Canvas<'_>, plot: Rect, column: u16, row: u16, glyph: &str, style: Style) {
    canvas.text(plot.x + column, plot.y + row, 1, glyph, style);
}

fn times(axis: &Axis, canvas: &mut Canvas<'_>, area: Rect) {
    let style = canvas.theme.dim();
    for (column, at) in axis.ticks(12) {
        if column + 5 <= area.width {
            canvas.text(area.x + column, area.y, 5, &at.format("%H:%M"), style);
        }
    }
}

fn mark_labels(axis: &Axis, marks: &[Mark], canvas: &mut Canvas<'_>, area: Rect) {
    let style = canvas.theme.warn();
    let mut placed: Vec<(u16, &Mark)> =
        marks.iter().filter_map(|mark| axis.column(mark.at).map(|column| (column, mark))).collect();
    placed.sort_by_key(|(column, mark)| (*column, mark.at));
    let texts: Vec<String> = placed.iter().map(|(_, mark)| format!("┆{} {}", mark.label, mark.at.to_clock())).collect();
    // Each label stands below its mark where it can; near the right edge they move left together, in order.
    let mut right = area.width;
    let mut starts = vec![0; texts.len()];
    for (at, text) in texts.iter().enumerate().rev() {
        starts[at] = placed[at].0.min(right.saturating_sub(text.width() as u16));
        right = starts[at].saturating_sub(1);
    }
    let mut end = 0;
    for (text, start) in texts.iter().zip(starts) {
        let x = start.max(end);
        end = x + canvas.text(area.x + x, area.y, area.width.saturating_sub(x), text, style) + 1;
    }
}
