//! Small charts of one row.

use crate::domain::incident::Incident;
use crate::domain::metric::Sample;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as bars of eight levels, scaled between the smallest and the largest. What is no number is a blank.
pub(super) fn bars(values: &[f64]) -> String {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    values
        .iter()
        .map(|value| {
            if !value.is_finite() {
                ' '
            } else if high <= low {
                LEVELS[0]
            } else {
                LEVELS[(((value - low) / (high - low)) * 7.0).round().clamp(0.0, 7.0) as usize]
            }
        })
        .collect()
}

/// Samples folded into `width` columns by the mean of each.
pub(super) fn fold(samples: &[Sample], width: usize) -> Vec<f64> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Vec::new() };
    let span = (last.at.nanos() - first.at.nanos()).max(1) as f64;
    let mut sums = vec![(0.0, 0_u32); width];
    for sample in samples.iter().filter(|sample| sample.value.is_finite()) {
        let at = (sample.at.nanos() - first.at.nanos()) as f64 / span;
        let column = ((at * width as f64) as usize).min(width.saturating_sub(1));
        if let Some((sum, count)) = sums.get_mut(column) {
            *sum += sample.value;
            *count += 1;
        }
    }
    sums.into_iter().map(|(sum, count)| if count == 0 { f64::NAN } else { sum / f64::from(count) }).collect()
}

/// How many alerts of an incident were firing, from its start to the end of its window.
pub(super) fn of_alerts(incident: &Incident, width: usize) -> String {
    let start = incident.window.start.min(incident.started_at);
    let span = incident.window.end.since(start).as_nanos().max(1) as f64;
    let counts: Vec<f64> = (0..width)
        .map(|column| {
            let share = (column + 1) as f64 / width as f64;
            let at = start.plus(std::time::Duration::from_nanos((span * share) as u64));
            let firing = |alert: &&crate::domain::alert::Alert| {
                alert.starts_at <= at && !(incident.is_resolved() && alert.ends_at.is_some_and(|end| end <= at))
            };
            incident.alerts.iter().filter(firing).count() as f64
        })
        .collect();
    let most = counts.iter().copied().fold(1.0, f64::max);
    counts.iter().map(|count| LEVELS[(count / most * 7.0).round() as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_span_the_range() {
        assert_eq!(bars(&[0.0, 0.5, 1.0]), "▁▅█");
        assert_eq!(bars(&[3.0, 3.0]), "▁▁");
        assert_eq!(bars(&[f64::NAN, 1.0, f64::INFINITY, 2.0]), " ▁ █");
        assert_eq!(bars(&[]), "");
    }
}
