//! Counts of templates in short stretches of time: how clumped a template comes, and when its rate changed.

use super::rates::dispersion;
use super::reading::LogReading;
use crate::analysis::periods::{BASELINE, WINDOW};
use crate::domain::{TimeRange, Timestamp};

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
    /// The stretches of baseline and window, then those of each reference and the window.
    rulers: Vec<Ruler>,
    /// Ruler of each template.
    ruler_of: Vec<usize>,
    /// For each template the counts of its ruler's stretches.
    counts: Vec<Vec<u32>>,
    /// Last entry of each template, by period.
    last: Vec<[Option<u32>; 2]>,
    /// Usual dispersion of each service's templates.
    usual: Vec<f64>,
}

/// Stretches of equal length.
struct Ruler {
    /// How many of what is normal, and of the window.
    number: [usize; 2],
    /// Start of each stretch: first those of what is normal.
    starts: Vec<Timestamp>,
    /// Whether anything was seen there at all.
    watched: Vec<bool>,
}

impl Ruler {
    fn new(periods: [TimeRange; 2], step: i64) -> Self {
        let number = periods.map(|range| (length(range) / step + i64::from(length(range) % step > 0)).max(1) as usize);
        let starts = (0..number[0])
            .map(|at| (0, at))
            .chain((0..number[1]).map(|at| (1, at)))
            .map(|(period, at)| Timestamp::from_nanos(periods[period].start.nanos() + step * at as i64))
            .collect();
        Self { number, starts, watched: Vec::new() }
    }

    /// The stretch of a period that an instant lies in.
    fn place(&self, period: usize, at: Timestamp, step: i64) -> usize {
        let start = self.starts[period * self.number[0]];
        let offset = at.nanos() - start.nanos();
        (offset.max(0) / step).min(self.number[period] as i64 - 1) as usize + period * self.number[0]
    }

    /// Says in which stretches anything was seen, by the number of entries in each.
    fn watch(&mut self, total: &[u64]) {
        let number = self.number[0];
        let all = [total[..number].iter().sum::<u64>(), total[number..].iter().sum()];
        self.watched =
            total.iter().enumerate().map(|(at, count)| *count > 0 || all[usize::from(at >= number)] < DENSE).collect();
    }
}

/// Nanoseconds of a range, at least one.
fn length(range: TimeRange) -> i64 {
    range.end.nanos().saturating_sub(range.start.nanos()).max(1)
}

impl Slices {
    pub(super) fn of(reading: &LogReading<'_>) -> Self {
        let periods = [reading.periods.baseline, reading.periods.window];
        let step = periods
            .iter()
            .zip(MOST)
            .map(|(range, most)| length(*range).div_euclid(i64::from(most)) + 1)
            .max()
            .unwrap_or(SHORTEST)
            .max(SHORTEST);
        let window = reading.periods.window;
        let normal = std::iter::once(reading.periods.baseline).chain(reading.periods.references().map(|one| one.0));
        let mut rulers: Vec<Ruler> = normal.map(|range| Ruler::new([range, window], step)).collect();
        let ruler_of_service: Vec<usize> = reading
            .forms
            .services
            .iter()
            .map(|service| reading.periods.reference_of(service).map_or(0, |number| number + 1))
            .collect();
        let ruler_of: Vec<usize> =
            reading.templates.iter().map(|template| ruler_of_service[template.service as usize]).collect();
        let empty = |ruler: &Ruler| vec![0_u32; ruler.starts.len()];
        let mut counts: Vec<Vec<u32>> = ruler_of.iter().map(|ruler| empty(&rulers[*ruler])).collect();
        let mut last = vec![[None; 2]; reading.templates.len()];
        let mut total: Vec<Vec<u64>> = rulers.iter().map(|ruler| vec![0; ruler.starts.len()]).collect();
        for (index, template) in reading.events() {
            let entry = &reading.entries[index as usize];
            let Some(period) = reading.periods.of_entry(entry) else { continue };
            let own = ruler_of[template as usize];
            let place = rulers[own].place(period, entry.at, step);
            counts[template as usize][place] += 1;
            last[template as usize][period] = Some(index);
            // All services together show whether the window was watched; only its own, whether a reference was.
            for (number, ruler) in rulers.iter().enumerate() {
                if period == WINDOW || number == own {
                    total[number][ruler.place(period, entry.at, step)] += 1;
                }
            }
        }
        for (ruler, total) in rulers.iter_mut().zip(&total) {
            ruler.watch(total);
        }
        let mut slices = Self { rulers, ruler_of, counts, last, usual: Vec::new() };
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

    fn ruler(&self, template: usize) -> &Ruler {
        &self.rulers[self.ruler_of[template]]
    }

    /// Counts in the watched stretches of one period.
    fn period(&self, template: usize, period: usize) -> impl Iterator<Item = u32> + Clone {
        let ruler = self.ruler(template);
        let from = period * ruler.number[0];
        let range = from..from + ruler.number[period];
        self.counts[template][range.clone()]
            .iter()
            .zip(&ruler.watched[range])
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
        let (row, ruler) = (&self.counts[template], self.ruler(template));
        let seen: Vec<usize> = (0..row.len()).filter(|at| ruler.watched[*at]).collect();
        let total: f64 = seen.iter().map(|at| f64::from(row[*at])).sum();
        let likelihood = |count: f64, time: f64| if count > 0.0 { count * (count / time).ln() } else { 0.0 };
        let one = likelihood(total, seen.len() as f64);
        let mut before = 0.0;
        let mut best: Option<(f64, usize)> = None;
        for (passed, &at) in seen.iter().enumerate() {
            if at >= ruler.number[0] && passed > 0 {
                let (left, right) = (passed as f64, (seen.len() - passed) as f64);
                let gain = (likelihood(before, left) + likelihood(total - before, right) - one) / clump;
                if gain > LEAST_GAIN && best.is_none_or(|(most, _)| gain > most + 1e-9) {
                    best = Some((gain, at));
                }
            }
            before += f64::from(row[at]);
        }
        best.map(|(_, at)| ruler.starts[at])
    }
}
