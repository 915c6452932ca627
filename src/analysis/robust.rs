//! Statistics that a few wild values cannot move: median, MAD with a floor, quantiles, empirical tail rank.
//!
//! The median absolute deviation and its factor for normal data: Rousseeuw and Croux, *Alternatives to the Median
//! Absolute Deviation*, JASA 88 (1993). The tail rank is the permutation p-value with the observation counted in
//! (Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 4.2).

/// Makes the MAD an estimate of the standard deviation of normal data.
pub const MAD_TO_SIGMA: f64 = 1.4826;

/// Sorted copy of the finite values.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Quantile by linear interpolation of a sorted slice (type 7); `None` when it is empty.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let part = position - below as f64;
    // Written so that two equal neighbours give exactly their value, and huge ones do not overflow.
    Some(if part == 0.0 { sorted[below] } else { sorted[below] * (1.0 - part) + sorted[above] * part })
}

/// Median of a sorted slice.
pub fn median(sorted: &[f64]) -> Option<f64> {
    quantile(sorted, 0.5)
}

/// Median of values in any order.
pub fn median_of(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    median(&sorted(values))
}

/// Spread of a sorted slice as a standard deviation would measure it on normal data: the larger of the MAD and the
/// distance between the 10th and the 90th percentile, each scaled. The second keeps series that rest most of the
/// time and jump now and then from having no spread at all.
pub fn spread(sorted: &[f64]) -> f64 {
    let Some(middle) = median(sorted) else { return 0.0 };
    let mad = median_of(sorted.iter().map(|value| (value - middle).abs())).unwrap_or(0.0) * MAD_TO_SIGMA;
    let (low, high) = (quantile(sorted, 0.1).unwrap_or(middle), quantile(sorted, 0.9).unwrap_or(middle));
    // 2 * 1.2816 standard deviations lie between these percentiles.
    let usual = mad.max((high - low) / 2.563);
    if usual > 0.0 {
        return usual;
    }
    // It rests nearly always: its excursions are all the spread there is. The mean absolute deviation of normal data is
    // that of the standard deviation by sqrt(2 / pi).
    let n = sorted.len() as f64;
    sorted.iter().map(|value| (value - middle).abs() / n).sum::<f64>() * 1.2533
}

/// Mean of the larger (or smaller) half of the values, at least one of them, without its outermost eighth: a short burst
/// inside the window shows, one wild sample of many does not decide. `None` when there are none.
pub fn half_mean(values: &[f64], upper: bool) -> Option<f64> {
    let all = sorted(values.iter().copied());
    let take = all.len().div_ceil(2);
    let wild = take / 8;
    let part = if upper { all.get(all.len() - take..all.len() - wild)? } else { all.get(wild..take)? };
    if part.is_empty() { None } else { Some(part.iter().sum::<f64>() / part.len() as f64) }
}

/// How far the level of a series wanders by itself from one stretch of `length` values to the next: the 95th percentile
/// of the differences of their medians, stretches counted from the end. 0 when there are less than three stretches.
pub fn wander(values: &[f64], length: usize) -> f64 {
    let levels: Vec<f64> =
        values.rchunks_exact(length.max(1)).filter_map(|stretch| median_of(stretch.iter().copied())).collect();
    if levels.len() < 3 {
        return 0.0;
    }
    quantile(&sorted(levels.windows(2).map(|pair| (pair[1] - pair[0]).abs())), 0.95).unwrap_or(0.0)
}

/// How rarely stretches of the baseline, as long as the window, reach what the window reached: the share of them
/// that do, the window itself counted in. 1 when there is no baseline.
pub fn tail_rank(baseline: &[f64], window: &[f64], upper: bool) -> f64 {
    let length = window.len();
    let Some(reached) = half_mean(window, upper) else { return 1.0 };
    if length == 0 || baseline.len() < length {
        return 1.0;
    }
    // Half-overlapping stretches, at most a few hundred of them: more say nothing more.
    let stride = (length / 2).max(1).max(baseline.len() / 400);
    let (mut as_far, mut all) = (1_usize, 1_usize);
    let mut start = 0;
    while start + length <= baseline.len() {
        if let Some(other) = half_mean(&baseline[start..start + length], upper) {
            all += 1;
            as_far += usize::from(if upper { other >= reached } else { other <= reached });
        }
        start += stride;
    }
    as_far as f64 / all as f64
}

/// The slope of the straight line (least squares) that `before` follows closely and `after` goes on with; points are
/// time and value. `None` when `before` is no line, is level, or `after` leaves it.
pub fn steady_line(before: &[(f64, f64)], after: &[(f64, f64)]) -> Option<f64> {
    const LEAST_FIT: f64 = 0.98;
    const MOST_AWAY: f64 = 0.05;
    let n = before.len() as f64;
    if before.len() < 3 || after.len() < 2 {
        return None;
    }
    let (mid_x, mid_y) = (before.iter().map(|p| p.0 / n).sum::<f64>(), before.iter().map(|p| p.1 / n).sum::<f64>());
    // Scaled, so that squares of large values stay finite.
    let size = before.iter().map(|p| (p.1 - mid_y).abs()).fold(0.0, f64::max);
    let reach = before.iter().map(|p| (p.0 - mid_x).abs()).fold(0.0, f64::max);
    // A wobble of the last digits is no movement.
    if !(size.is_finite() && reach > 0.0 && size > 1e-9 * mid_y.abs()) {
        return None;
    }
    let scaled = |p: &(f64, f64)| ((p.0 - mid_x) / reach, (p.1 - mid_y) / size);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in before.iter().map(scaled) {
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    if xx <= 0.0 || yy <= 0.0 || xy * xy / (xx * yy) < LEAST_FIT {
        return None;
    }
    let slope = xy / xx;
    let away = |p: &(f64, f64)| {
        let (x, y) = scaled(p);
        (y - slope * x).abs() / x.abs().max(1.0)
    };
    let near = median_of(after.iter().map(away))? <= MOST_AWAY && after.last().map(away)? <= 2.0 * MOST_AWAY;
    near.then_some(slope * size / reach)
}

/// Index at which a change of level best splits the values: the split with the largest difference of means, weighed
/// by the lengths (the least-squares change point). `None` for fewer than three values.
pub fn change_point(values: &[f64]) -> Option<usize> {
    if values.len() < 3 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let total: f64 = values.iter().sum();
    let n = values.len() as f64;
    let mut left = 0.0;
    let mut best: Option<(f64, usize)> = None;
    for (index, value) in values.iter().enumerate().take(values.len() - 1) {
        left += value;
        let k = (index + 1) as f64;
        let gain = (left - total * k / n).powi(2) / (k * (n - k));
        if best.is_none_or(|(most, _)| gain > most) {
            best = Some((gain, index + 1));
        }
    }
    best.filter(|(gain, _)| *gain > 0.0).map(|(_, index)| index)
}

/// A distance in standard deviations as a strength from 0 to 1: 0 up to `noise`, one half at `noise + half`.
pub fn strength(distance: f64, noise: f64, half: f64) -> f64 {
    if distance.is_nan() || distance <= noise {
        return 0.0;
    }
    let over = distance - noise;
    if over.is_infinite() { 1.0 } else { over / (over + half) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_middle_of_things() {
        assert_eq!(median(&[]), None);
        assert_eq!(median_of([3.0, 1.0, f64::NAN, 2.0]), Some(2.0));
        assert_eq!(quantile(&[0.0, 10.0], 0.25), Some(2.5));
        assert!(spread(&[5.0; 9]).abs() < f64::EPSILON);
        assert_eq!(half_mean(&[1.0, 2.0, 9.0], true), Some(5.5));
        assert_eq!(half_mean(&[], true), None);
    }

    #[test]
    fn what_never_happened_before_is_rare() {
        let calm: Vec<f64> = (0..200).map(|i| f64::from(i % 7)).collect();
        assert!(tail_rank(&calm, &[50.0, 60.0, 55.0], true) < 0.01);
        assert!(tail_rank(&calm, &[3.0, 4.0, 2.0], true) > 0.2);
        assert!((tail_rank(&[], &[1.0], true) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let values: Vec<f64> = (0..40).map(|i| if i < 25 { 1.0 } else { 4.0 }).collect();
        assert_eq!(change_point(&values), Some(25));
        assert_eq!(change_point(&[1.0, 1.0, 1.0]), None);
    }

    #[test]
    fn a_line_that_goes_on_is_steady() {
        let line =
            |from: i32, to: i32| (from..to).map(|x| (f64::from(x), 90.0 - 0.5 * f64::from(x))).collect::<Vec<_>>();
        let slope = steady_line(&line(0, 40), &line(40, 60)).unwrap();
        assert!((slope + 0.5).abs() < 1e-9, "{slope}");
        assert_eq!(
            steady_line(&line(0, 40), &line(50, 70).iter().map(|p| (p.0 - 10.0, p.1)).collect::<Vec<_>>()),
            None
        );
        let flat: Vec<(f64, f64)> = (0..40).map(|x| (f64::from(x), 5.0)).collect();
        assert_eq!(steady_line(&flat, &flat), None);
        assert_eq!(steady_line(&[], &[]), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(values in prop::collection::vec(any::<f64>(), 0..50), window in prop::collection::vec(any::<f64>(), 0..9)) {
            let all = sorted(values.iter().copied());
            let points: Vec<(f64, f64)> = values.iter().map(|&value| (value, -value)).collect();
            let _ = steady_line(&points, &points);
            let _ = (spread(&all), quantile(&all, 0.95), change_point(&values));
            let rank = tail_rank(&values, &window, true);
            prop_assert!(rank > 0.0 && rank <= 1.0);
        }
    }
}
