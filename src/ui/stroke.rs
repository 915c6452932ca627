//! The line of a chart: in dots of an eighth of a cell where the terminal can show them, else in box drawing.

use crate::domain::metric::Sample;

use super::axis::Axis;
use super::scale::Scale;

/// A pause this many times longer than the usual distance of samples is a gap.
const PAUSE: f64 = 3.5;

/// Samples without a gap between them.
pub(super) type Run = Vec<(f64, f64)>;

/// Samples as runs of (column, share of the height), broken where a value is no number, where samples ceased for a
/// while, and where the axis is broken.
pub(super) fn runs(samples: &[Sample], axis: &Axis, scale: &Scale) -> Vec<Run> {
    let mut distances: Vec<i64> =
        samples.windows(2).map(|pair| pair[1].at.nanos().saturating_sub(pair[0].at.nanos())).collect();
    distances.sort_unstable();
    let usual = distances.get(distances.len() / 2).copied().unwrap_or(0) as f64;
    let mut runs: Vec<Run> = Vec::new();
    let mut before: Option<(i64, f64)> = None;
    for sample in samples {
        let place = axis.place(sample.at).filter(|_| sample.value.is_finite());
        let Some(place) = place else {
            before = None;
            continue;
        };
        let joined = before.is_some_and(|(at, column)| {
            let pause = sample.at.nanos().saturating_sub(at) as f64;
            let broken = axis.gap().is_some_and(|gap| column < f64::from(gap.start) && place >= f64::from(gap.end));
            pause <= usual * PAUSE && !broken
        });
        let point = (place, scale.share(sample.value));
        match runs.last_mut().filter(|_| joined) {
            Some(run) => run.push(point),
            None => runs.push(vec![point]),
        }
        before = Some((sample.at.nanos(), place));
    }
    runs
}

/// Cells of the line in dots: (column, row, glyph).
pub(super) fn dots(runs: &[Run], columns: u16, rows: u16) -> Vec<(u16, u16, char)> {
    let (wide, high) = (usize::from(columns) * 2, usize::from(rows) * 4);
    if wide == 0 || high == 0 {
        return Vec::new();
    }
    let mut cells = vec![0_u8; usize::from(columns) * usize::from(rows)];
    let mut lone = Vec::new();
    let dot = |(place, share): (f64, f64)| {
        let x = ((place * 2.0) as usize).min(wide - 1);
        let y = ((1.0 - share) * (high - 1) as f64).round() as usize;
        (x, y.min(high - 1))
    };
    for run in runs {
        if let [point] = run.as_slice() {
            let (x, y) = dot(*point);
            lone.push(((x / 2) as u16, (y / 4) as u16));
        }
        for pair in run.windows(2) {
            let (from, to) = (dot(pair[0]), dot(pair[1]));
            let span = to.0.abs_diff(from.0).max(1);
            let height = |x: usize| {
                let share = x.abs_diff(from.0) as f64 / span as f64;
                (from.1 as f64 + (to.1 as f64 - from.1 as f64) * share).round() as usize
            };
            for x in from.0..=to.0 {
                // Half the way to the neighbours on both sides, so that a steep line has no holes.
                let (mut least, mut most) = (height(x), height(x));
                if x < to.0 {
                    let next = height(x + 1).midpoint(height(x));
                    (least, most) = (least.min(next), most.max(next));
                }
                if x > from.0 {
                    let last = height(x - 1).midpoint(height(x));
                    (least, most) = (least.min(last), most.max(last));
                }
                if from.0 == to.0 {
                    (least, most) = (from.1.min(to.1), from.1.max(to.1));
                }
                for y in least..=most {
                    cells[y / 4 * usize::from(columns) + x / 2] |= bit(x % 2, y % 4);
                }
            }
        }
    }
    let mut out: Vec<(u16, u16, char)> = Vec::new();
    for (at, bits) in cells.iter().enumerate().filter(|(_, bits)| **bits != 0) {
        let glyph = char::from_u32(0x2800 + u32::from(*bits)).unwrap_or('.');
        out.push(((at % usize::from(columns)) as u16, (at / usize::from(columns)) as u16, glyph));
    }
    // A sample alone is a point to be seen.
    out.extend(lone.into_iter().map(|(column, row)| (column, row, '•')));
    out
}

/// The bit of a dot within its cell (Unicode block Braille Patterns).
const fn bit(x: usize, y: usize) -> u8 {
    const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    BITS[y][x]
}

/// Cells of the line in box drawing: (column, row, glyph). Each column shows the value farthest from the one before.
pub(super) fn boxes(runs: &[Run], columns: u16, rows: u16) -> Vec<(u16, u16, char)> {
    let mut out = Vec::new();
    if columns == 0 || rows == 0 {
        return out;
    }
    let last = f64::from(rows - 1);
    for run in runs {
        let mut points: Vec<(u16, u16)> = Vec::new();
        for (place, share) in run {
            let column = (*place as u16).min(columns - 1);
            let row = ((1.0 - share) * last).round() as u16;
            let before = points.len().checked_sub(2).map(|at| points[at].1);
            match points.last_mut().filter(|(taken, _)| *taken == column) {
                Some((_, taken)) => {
                    let far = |row: u16| before.map_or(0, |before| row.abs_diff(before));
                    if far(row) > far(*taken) {
                        *taken = row;
                    }
                }
                None => points.push((column, row)),
            }
        }
        let mut before: Option<(u16, u16)> = None;
        for (column, row) in points {
            let Some((at, from)) = before else {
                out.push((column, row, if run.len() == 1 { '•' } else { '─' }));
                before = Some((column, row));
                continue;
            };
            out.extend((at + 1..column).map(|x| (x, from, '─')));
            if from == row {
                out.push((column, row, '─'));
            } else {
                let up = row < from;
                out.push((column, from, if up { '╯' } else { '╮' }));
                out.extend((from.min(row) + 1..from.max(row)).map(|y| (column, y, '│')));
                out.push((column, row, if up { '╭' } else { '╰' }));
            }
            before = Some((column, row));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(cells: &[(u16, u16, char)], columns: u16, rows: u16) -> Vec<String> {
        let mut grid = vec![vec![' '; usize::from(columns)]; usize::from(rows)];
        for (column, row, glyph) in cells {
            grid[usize::from(*row)][usize::from(*column)] = *glyph;
        }
        grid.into_iter().map(|row| row.into_iter().collect()).collect()
    }

    #[test]
    fn a_step_has_no_holes() {
        let run = vec![(0.0, 0.0), (2.0, 0.0), (2.5, 1.0), (5.5, 1.0)];
        assert_eq!(drawn(&boxes(std::slice::from_ref(&run), 6, 3), 6, 3), ["  ╭───", "  │   ", "──╯   "]);
        let dotted = drawn(&dots(&[run], 6, 3), 6, 3);
        assert_eq!(dotted, ["  ⢸⠉⠉⠉", "  ⡞   ", "⣀⣀⡇   "]);
    }

    #[test]
    fn a_sample_alone_is_a_point() {
        assert_eq!(drawn(&dots(&[vec![(1.0, 0.5)]], 3, 3), 3, 3)[1], " • ");
        assert_eq!(drawn(&boxes(&[vec![(1.0, 0.5)]], 3, 3), 3, 3)[1], " • ");
        assert_eq!(dots(&[vec![(0.0, 0.0)]], 0, 0), []);
    }
}
