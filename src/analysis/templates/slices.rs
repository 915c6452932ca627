//! Counts of templates in short stretches of time: how clumped a template comes, and when its rate changed.

use super::rates::dispersion;
use super::reading::LogReading;
use crate::analysis::periods::{BASELINE, WINDOW};
use crate::domain::Timestamp;

/// Stretches that a period is cut into, at most.
const MOST: [u32; 2] = [60, 48];
/// Shortest stretch, in nanoseconds.
const SHORTEST: i64 = 1_000_000_000;
/// Stretches that are joined to see slow waves of traffic.
const COARSE: usize = 4;
/// Weight of the usual dispersion of a service against a template's own, in degrees of freedom.
const PRIOR: f64 = 4.0;
/// Entries of a period from which on a stretch without any was not watched.
const DENSE: u64 = 200;
/// Growth of the log likelihood by which one rate before and another after must beat one rate throughout.
const LEAST_GAIN: f64 = 4.0;

/// Counts by template and stretch.
pub(super) struct Slices {
    /// Stretches of baseline and window.
    number: [usize; 2],
    /// Start of each stretch.
    starts: Vec<Timestamp>,
    /// Whether anything was seen there at all.
    watched: Vec<bool>,
    /// For each template the counts of the baseline's stretches, then of the window's.
    counts: Vec<u32>,
    /// Last entry of each template, by period.
    last: Vec<[Option<u32>; 2]>,
    /// Usual dispersion of each service's templates.
    usual: Vec<f64>,
}

impl Slices {
    pub(super) fn of(reading: &LogReading<'_>) -> Self {
        let periods = [reading.periods.baseline, reading.periods.window];
        let length = |range: crate::domain::TimeRange| range.end.nanos().saturating_sub(range.start.nanos()).max(1);
        let step = periods
            .iter()
            .zip(MOST)
            .map(|(range, most)| length(*range).div_euclid(i64::from(most)) + 1)
            .max()
            .unwrap_or(SHORTEST)
            .max(SHORTEST);
        let number = periods.map(|range| (length(range) / step + i64::from(length(range) % step > 0)).max(1) as usize);
        let width = number[0] + number[1];
        let starts = (0..number[0])
            .map(|at| (0, at))
            .chain((0..number[1]).map(|at| (1, at)))
            .map(|(period, at)| Timestamp::from_nanos(periods[period].start.nanos() + step * at as i64))
            .collect();
        let mut counts = vec![0_u32; width * reading.templates.len()];
        let mut last = vec![[None; 2]; reading.templates.len()];
        let mut total = vec![0_u64; width];
        for (index, template) in reading.events() {
            let at = reading.entries[index as usize].at;
            let Some(period) = reading.periods.of_time(at) else { continue };
            let offset = at.nanos() - periods[period].start.nanos();
            let place = (offset.max(0) / step).min(number[period] as i64 - 1) as usize + period * number[0];
            counts[template as usize * width + place] += 1;
            total[place] += 1;
            last[template as usize][period] = Some(index);
        }
        let all = [total[..number[0]].iter().sum::<u64>(), total[number[0]..].iter().sum()];
        let watched = total
            .iter()
            .enumerate()
            .map(|(at, count)| *count > 0 || all[usize::from(at >= number[0])] < DENSE)
            .collect();
        let mut slices = Self { number, starts, watched, counts, last, usual: Vec::new() };
        slices.usual = slices.usual_of(reading);
        slices
    }

    /// Median dispersion of the templates of each service that are frequent enough to have one.
    fn usual_of(&self, reading: &LogReading<'_>) -> Vec<f64> {
        let mut own: Vec<Vec<f64>> = vec![Vec::new(); reading.forms.services.len()];
        for (index, template) in reading.templates.iter().enumerate() {
            let (sum, freedom) = self.spread(index, BASELINE, 1);
            let many: u32 = self.period(index, BASELINE).sum();
            if freedom >= 3.0 && many >= 10 {
                own[template.service as usize].push(sum / freedom);
            }
        }
        own.into_iter()
            .map(|mut all| {
                all.sort_by(f64::total_cmp);
                all.get(all.len() / 2).copied().unwrap_or(1.0).max(1.0)
            })
            .collect()
    }

    fn row(&self, template: usize) -> &[u32] {
        let width = self.number[0] + self.number[1];
        &self.counts[template * width..(template + 1) * width]
    }

    /// Counts in the watched stretches of one period.
    fn period(&self, template: usize, period: usize) -> impl Iterator<Item = u32> + Clone {
        let from = period * self.number[0];
        let range = from..from + self.number[period];
        self.row(template)[range.clone()]
            .iter()
            .zip(&self.watched[range])
            .filter(|(_, watched)| **watched)
            .map(|(count, _)| *count)
    }

    /// Dispersion of the counts with `join` stretches taken together.
    fn spread(&self, template: usize, period: usize, join: usize) -> (f64, f64) {
        if join == 1 {
            return dispersion(self.period(template, period).map(f64::from));
        }
        let counts: Vec<f64> = self.period(template, period).map(f64::from).collect();
        dispersion(counts.chunks_exact(join).map(|part| part.iter().sum::<f64>()))
    }

    /// How many lines of a template count as one independent event: its index of dispersion, drawn towards what is
    /// usual for its service, on the scale of one stretch or of a slow wave, whichever is larger. What was not seen
    /// in the baseline is judged by the window.
    pub(super) fn clump(&self, template: usize, service: u32) -> f64 {
        let seen: u32 = self.period(template, BASELINE).sum();
        let period = if seen > 0 { BASELINE } else { WINDOW };
        let usual = self.usual.get(service as usize).copied().unwrap_or(1.0);
        let index = |join: usize| {
            let (sum, freedom) = self.spread(template, period, join);
            (sum + PRIOR * usual) / (freedom + PRIOR)
        };
        index(1).max(index(COARSE)).max(1.0)
    }

    /// Stretches of a period that show a template: events that are surely apart.
    pub(super) fn occupied(&self, template: usize, period: usize) -> f64 {
        self.period(template, period).filter(|count| *count > 0).count() as f64
    }

    /// The last entry of a template in a period.
    pub(super) fn last(&self, template: usize, period: usize) -> Option<u32> {
        self.last[template][period]
    }

    /// When the rate of a template changed, to the stretch: the split inside the window with the greatest likelihood
    /// of one Poisson rate before and another after (Hinkley, Biometrika 57, 1970). `None` when one rate explains the
    /// counts as well.
    pub(super) fn onset(&self, template: usize, clump: f64) -> Option<Timestamp> {
        let row = self.row(template);
        let seen: Vec<usize> = (0..row.len()).filter(|at| self.watched[*at]).collect();
        let total: f64 = seen.iter().map(|at| f64::from(row[*at])).sum();
        let likelihood = |count: f64, time: f64| if count > 0.0 { count * (count / time).ln() } else { 0.0 };
        let one = likelihood(total, seen.len() as f64);
        let mut before = 0.0;
        let mut best: Option<(f64, usize)> = None;
        for (passed, &at) in seen.iter().enumerate() {
            if at >= self.number[0] && passed > 0 {
                let (left, right) = (passed as f64, (seen.len() - passed) as f64);
                let gain = (likelihood(before, left) + likelihood(total - before, right) - one) / clump;
                if gain > LEAST_GAIN && best.is_none_or(|(most, _)| gain > most + 1e-9) {
                    best = Some((gain, at));
                }
            }
            before += f64::from(row[at]);
        }
        best.map(|(_, at)| self.starts[at])
    }
}
