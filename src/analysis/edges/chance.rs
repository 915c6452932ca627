//! What chance does to counts and means.
//!
//! Counts are compared by the exponent of Chernoff's bound for the binomial tail: the chance of at least so many is at
//! most `exp(-exponent)`, at any size (Hoeffding, *Probability inequalities for sums of bounded random variables*, JASA
//! 58, 1963, theorem 1). `sqrt(2 * exponent)` is then comparable with a distance in standard deviations, whose tail has
//! the same exponent.

/// Chance of a false alarm on a graph where nothing happens, all edges and kinds of trouble together.
const FALSE_ALARMS: f64 = 0.05;

/// How many standard deviations are beyond chance where so many things are tested at once (Bonferroni).
pub(super) fn beyond(tests: usize) -> f64 {
    (2.0 * (tests.max(1) as f64 / FALSE_ALARMS).ln()).sqrt()
}

/// Distance of `hits` of `all` from the share that was expected, upwards; 0 when it is no more than expected.
pub(super) fn above_share(hits: f64, all: f64, expected: f64) -> f64 {
    if !(all > 0.0 && hits > 0.0) {
        return 0.0;
    }
    let share = (hits / all).min(1.0);
    let expected = expected.clamp(1e-12, 1.0 - 1e-12);
    if share <= expected {
        return 0.0;
    }
    let rest = if share < 1.0 { (1.0 - share) * ((1.0 - share) / (1.0 - expected)).ln() } else { 0.0 };
    (2.0 * all * (share * (share / expected).ln() + rest)).max(0.0).sqrt()
}

/// How much more counts scatter than independent events would: the variance of counts over their mean, at least
/// `least`. Few stretches tell little, so `least` is assumed until there are four.
pub(super) fn scatter(counts: &[f64], least: f64) -> f64 {
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<f64>() / n;
    if counts.len() < 4 || mean <= 0.0 {
        return least;
    }
    let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (variance / mean).max(least)
}

/// Coefficient of variation of single requests, from the means of stretches: pairs of requests and mean. `None` for
/// fewer than four stretches.
pub(super) fn variation(stretches: &[(f64, f64)]) -> Option<f64> {
    let count: f64 = stretches.iter().map(|(n, _)| n).sum();
    let mean = stretches.iter().map(|(n, mean)| n * mean).sum::<f64>() / count;
    if stretches.len() < 4 || !mean.is_finite() || mean <= 0.0 {
        return None;
    }
    let squares: f64 = stretches.iter().map(|(n, one)| n * (one - mean).powi(2)).sum();
    Some((squares / (stretches.len() as f64 - 1.0)).sqrt() / mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_is_not_idle() {
        // Ten of ten where half was expected: chance is 2^-10.
        let distance = above_share(10.0, 10.0, 0.5);
        assert!((distance.powi(2) / 2.0 - 10.0 * 2.0_f64.ln()).abs() < 1e-9);
        assert!(above_share(5.0, 10.0, 0.5).abs() < 1e-9);
        assert!(above_share(0.0, 0.0, 0.5).abs() < 1e-9);
        assert!(above_share(3.0, 100.0, 0.0).is_finite());
        assert!(beyond(1) < beyond(100) && beyond(0).is_finite());
    }

    #[test]
    fn scatter_and_variation_are_those_of_the_stretches() {
        assert!((scatter(&[1.0, 9.0], 1.0) - 1.0).abs() < 1e-9);
        assert!(scatter(&[0.0, 20.0, 0.0, 20.0, 0.0, 20.0], 1.0) > 5.0);
        assert_eq!(variation(&[(1.0, 1.0); 3]), None);
        assert!(variation(&[(10.0, 1.0); 5]).unwrap().abs() < 1e-9);
    }
}
