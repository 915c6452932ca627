//! A metric over baseline and window: line, normal band, onset, alert and changes, axes with unit and time.
//!
//! Everything that leaves the normal band inside the window is drawn in the colour of what is bad; the baseline's
//! stretch is told from the window by the shade of its band, by the weight of the axis, and in words.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::domain::Timestamp;
use crate::domain::evidence::MetricDetail;
use crate::domain::incident::Incident;

use super::axis::Axis;
use super::canvas::{Canvas, Piece, column_right, fit};
use super::scale::Scale;
use super::stroke;

/// What is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// When the deviation began.
    Onset,
    /// When the first alert fired.
    Alert,
    /// When a change took effect.
    Change,
}

/// An instant to be marked.
pub(super) struct Mark {
    /// When.
    pub(super) at: Timestamp,
    /// What stands on the axis: `C1`; one or two columns.
    pub(super) glyph: String,
    /// What, in a word or two.
    pub(super) label: String,
    /// What kind.
    pub(super) kind: Kind,
}

/// Columns of the labels of the value axis.
const LABELS: u16 = 9;

/// Fewest rows in which times stand below the axis; in fewer only the legend does.
const TIMES: u16 = 8;

/// Draws a metric. Needs about 30 x 5 cells; draws nothing in less.
pub(super) fn draw(metric: &MetricDetail, incident: &Incident, marks: &[Mark], canvas: &mut Canvas<'_>, area: Rect) {
    if area.width < LABELS + 20 || area.height < 5 {
        return;
    }
    let theme = canvas.theme;
    let below = if area.height >= TIMES { 3 } else { 2 };
    let plot = Rect { x: area.x + LABELS + 1, width: area.width - LABELS - 1, height: area.height - below, y: area.y };
    let axis = Axis::new(incident.baseline, incident.window, plot.width);
    let Some(scale) = Scale::of(metric, plot.height) else {
        canvas.text(area.x + 1, area.y, area.width, "no finite value to draw", theme.dim());
        return;
    };
    values(&scale, canvas, Rect { width: LABELS, height: plot.height, ..area });
    let band = band(metric, &axis, &scale, canvas, plot);
    for mark in marks {
        if let Some(column) = axis.column(mark.at) {
            for y in plot.top()..plot.bottom() {
                canvas.text(plot.x + column, y, 1, "┆", style(mark.kind, canvas));
            }
        }
    }
    line(metric, &axis, &scale, band, canvas, plot);
    foot(incident, &axis, marks, canvas, Rect { y: plot.bottom(), height: 1, ..plot });
    if below == 3 {
        for (column, text) in axis.ticks() {
            canvas.text(plot.x + column, plot.bottom() + 1, text.len() as u16, &text, theme.dim());
        }
    }
    legend(&axis, marks, canvas, Rect { y: area.bottom() - 1, height: 1, ..area });
}

fn style(kind: Kind, canvas: &Canvas<'_>) -> Style {
    match kind {
        Kind::Onset => canvas.theme.warn(),
        Kind::Alert => canvas.theme.bad(),
        Kind::Change => canvas.theme.change(),
    }
}

fn values(scale: &Scale, canvas: &mut Canvas<'_>, area: Rect) {
    let style = canvas.theme.dim();
    for y in area.top()..area.bottom() {
        canvas.text(area.right(), y, 1, "│", style);
    }
    for (row, text) in scale.labels() {
        canvas.text(area.x, area.y + row, LABELS, &column_right(&text, usize::from(LABELS)), style);
        canvas.text(area.right(), area.y + row, 1, "┤", style);
    }
}

/// Shades what is normal, darker where it was measured; returns its first and last row.
fn band(metric: &MetricDetail, axis: &Axis, scale: &Scale, canvas: &mut Canvas<'_>, plot: Rect) -> Option<(u16, u16)> {
    if metric.baseline.count == 0 || !metric.baseline.low.is_finite() || !metric.baseline.high.is_finite() {
        return None;
    }
    let style = canvas.theme.dim();
    let rows = (scale.row(metric.baseline.high), scale.row(metric.baseline.low));
    let (from, to) = axis.window().unwrap_or((plot.width, plot.width));
    for row in rows.0..=rows.1 {
        for column in (0..plot.width).filter(|column| !axis.gap().is_some_and(|gap| gap.contains(column))) {
            let shade = if (from..=to).contains(&column) { "░" } else { "▒" };
            canvas.text(plot.x + column, plot.y + row, 1, shade, style);
        }
    }
    Some(rows)
}

fn line(
    metric: &MetricDetail,
    axis: &Axis,
    scale: &Scale,
    band: Option<(u16, u16)>,
    canvas: &mut Canvas<'_>,
    plot: Rect,
) {
    let theme = canvas.theme;
    let runs = stroke::runs(&metric.samples, axis, scale);
    // Dots and shades are hard to tell apart without colour.
    let cells = if theme.colours && !theme.ascii {
        stroke::dots(&runs, plot.width, plot.height)
    } else {
        stroke::boxes(&runs, plot.width, plot.height)
    };
    let window = axis.window();
    for (column, row, glyph) in cells {
        let inside = window.is_some_and(|(from, to)| (from..=to).contains(&column));
        let outside_band = band.is_some_and(|(top, bottom)| row < top || row > bottom);
        let style = if inside && outside_band { theme.bad() } else { theme.accent_plain() };
        canvas.text(plot.x + column, plot.y + row, 1, glyph.encode_utf8(&mut [0; 4]), style);
    }
}

/// The time axis: which part is baseline and which the window, broken where time is left out, with the marks on it.
fn foot(incident: &Incident, axis: &Axis, marks: &[Mark], canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    canvas.text(area.x - 1, area.y, 1, "└", theme.dim());
    for (range, glyph, word, style) in
        [(incident.baseline, "─", " baseline ", theme.dim()), (incident.window, "━", " window ", Style::new())]
    {
        let Some((from, to)) = axis.span(range) else { continue };
        let columns = to + 1 - from;
        canvas.text(area.x + from, area.y, columns, &glyph.repeat(usize::from(columns)), style);
        if usize::from(columns) > word.len() + 4 {
            let long = word.len() as u16;
            let free = |at: &u16| {
                let taken = |column: u16| column + 2 >= *at && column <= *at + long;
                !marks.iter().filter_map(|mark| axis.column(mark.at)).any(taken)
            };
            // In the middle, unless a mark stands there.
            let places = [from + (columns - long) / 2, from + 1, to.saturating_sub(long)];
            if let Some(at) = places.into_iter().find(free) {
                canvas.text(area.x + at, area.y, columns, word, style);
            }
        }
    }
    if let Some(gap) = axis.gap() {
        canvas.text(area.x + gap.start, area.y, gap.end - gap.start, "//", theme.warn());
    }
    // What comes later stands on top: the alert, the onset, then changes.
    for mark in marks.iter().rev() {
        if let Some(column) = axis.column(mark.at) {
            let width = mark.glyph.width() as u16;
            // A wide one ends where it points, so that what follows closely can be seen, too.
            let column = (column + 1).saturating_sub(width).min(area.width.saturating_sub(width));
            canvas.text(area.x + column, area.y, width, &mark.glyph, style(mark.kind, canvas));
        }
    }
}

/// What the marks mean, with their times, as whole words or not at all.
fn legend(axis: &Axis, marks: &[Mark], canvas: &mut Canvas<'_>, area: Rect) {
    let mut sorted: Vec<&Mark> = marks.iter().collect();
    sorted.sort_by_key(|mark| mark.at);
    let off = |mark: &Mark| if axis.column(mark.at).is_none() { " (off the chart)" } else { "" };
    let texts = |labels: usize| -> Vec<Piece> {
        let piece = |mark: &&Mark| {
            let label = fit(&mark.label, labels);
            let label = if label.len() > 1 { format!("{label} ") } else { String::new() };
            (format!("{} {label}{}{}   ", mark.glyph, mark.at.to_clock(), off(mark)), style(mark.kind, canvas))
        };
        let mut pieces: Vec<Piece> = sorted.iter().map(piece).collect();
        if let Some((last, _)) = pieces.last_mut() {
            last.truncate(last.trim_end().len());
        }
        pieces
    };
    let room = usize::from(area.width);
    let fits = |pieces: &Vec<Piece>| pieces.iter().map(|(text, _)| text.width()).sum::<usize>() <= room;
    let pieces = [40, 18, 8, 0].into_iter().map(texts).find(fits).unwrap_or_else(|| texts(0));
    let width: usize = pieces.iter().map(|(text, _)| text.width()).sum();
    // Below the plot where it fits there, else from the left edge.
    let shift = (LABELS + 1).min(room.saturating_sub(width) as u16);
    canvas.pieces(area.x + shift, area.y, area.width - shift, &pieces);
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::core::sample;
    use crate::domain::TimeRange;
    use crate::domain::evidence::{Band, Detail};
    use crate::domain::metric::Sample;
    use crate::ui::Theme;

    fn metric() -> MetricDetail {
        match sample::evidence().remove(2).detail {
            Detail::Metric(metric) => metric,
            other => panic!("{other:?}"),
        }
    }

    fn drawn(metric: &MetricDetail, incident: &Incident, theme: Theme, columns: u16, rows: u16) -> String {
        let area = Rect::new(0, 0, columns, rows);
        let mut buffer = Buffer::empty(area);
        let mark = |clock: &str, glyph: &str, label: &str, kind| Mark {
            at: sample::at(clock),
            glyph: glyph.into(),
            label: label.into(),
            kind,
        };
        let marks = [
            mark("14:03:00", "▲", "first alert", Kind::Alert),
            mark("14:02:40", "┆", "onset", Kind::Onset),
            mark("13:31:52", "C1", "deploy v2.41", Kind::Change),
            mark("11:00:00", "C2", "flag", Kind::Change),
        ];
        draw(metric, incident, &marks, &mut Canvas::new(&mut buffer, theme), area);
        let row = |y| {
            let row: String = (0..columns).map(|x| buffer[(x, y)].symbol()).collect();
            row.trim_end().to_owned()
        };
        (0..rows).map(row).collect::<Vec<_>>().join("\n")
    }

    fn pictures(name: &str, metric: &MetricDetail, incident: &Incident) {
        insta::assert_snapshot!(name, drawn(metric, incident, Theme::new(true, false), 76, 13));
    }

    #[test]
    fn a_step_up() {
        pictures("step", &metric(), &sample::payments());
        let plain = drawn(&metric(), &sample::payments(), Theme::new(false, false), 76, 13);
        insta::assert_snapshot!("step_without_colour", plain);
        insta::assert_snapshot!("step_low", drawn(&metric(), &sample::payments(), Theme::new(true, false), 50, 6));
    }

    #[test]
    fn gaps_stay_gaps() {
        let mut metric = metric();
        metric.samples.retain(|sample| !(40..70).contains(&(sample.at.since(sample::at("13:25:00")).as_secs() / 15)));
        for sample in &mut metric.samples[10..25] {
            sample.value = f64::NAN;
        }
        pictures("gaps", &metric, &sample::payments());
    }

    #[test]
    fn few_samples_and_constant_ones() {
        let mut metric = metric();
        metric.samples.truncate(1);
        pictures("one_sample", &metric, &sample::payments());
        metric.samples = (0..100)
            .map(|at| Sample { at: sample::at("13:25:00").plus(std::time::Duration::from_secs(at * 25)), value: 7.0 })
            .collect();
        metric.baseline = Band { low: 7.0, median: 7.0, high: 7.0, count: 72 };
        pictures("constant", &metric, &sample::payments());
        metric.samples.clear();
        metric.baseline = Band { low: f64::NAN, median: f64::NAN, high: f64::NAN, count: 0 };
        pictures("nothing", &metric, &sample::payments());
    }

    #[test]
    fn a_baseline_of_another_day_stands_behind_a_break() {
        let mut incident = sample::payments();
        let day = std::time::Duration::from_hours(24);
        incident.baseline = TimeRange::new(incident.window.start.minus(day), incident.window.end.minus(day));
        let mut metric = metric();
        let yesterday = metric.samples.iter().map(|sample| Sample { at: sample.at.minus(day), value: 6.0 }).collect();
        metric.samples = [yesterday, metric.samples].concat();
        pictures("another_day", &metric, &incident);
    }

    #[test]
    fn extreme_values_are_drawn() {
        let mut metric = metric();
        for (at, sample) in metric.samples.iter_mut().enumerate() {
            sample.value = if at % 2 == 0 { 1e-9 } else { 3e12 };
        }
        pictures("extreme", &metric, &sample::payments());
        metric.samples[3].value = f64::MAX;
        metric.samples[5].value = f64::MIN;
        for columns in [0, 1, 28, 29, 40, 200] {
            for rows in [0, 1, 4, 5, 8, 60] {
                drawn(&metric, &sample::payments(), Theme::new(true, false), columns, rows);
            }
        }
    }
}
