//! Whether a count changed: exact comparison of two Poisson rates, with control of multiple comparisons.
//!
//! Real logs come in clumps: a retry writes ten lines at once, a job its fifty every hour. Counts are divided by their
//! index of dispersion before they are compared, so that a clump counts as one event.

/// Two-sided p-value of the exact conditional test of two Poisson rates: given `before + after` events, `after` is
/// binomial with probability `share` if the rate did not change, `share` being the part of the whole observed time
/// that lies in the window. Source: Przyborowski and Wilenski, Biometrika 31 (1940) 313. Twice the smaller tail.
///
/// The counts need not be whole: divided by an index of dispersion they are effective numbers of independent events
/// (quasi-likelihood; `McCullagh` and Nelder, Generalized Linear Models, 1989, chapter 9).
pub(super) fn change_p(before: f64, after: f64, share: f64) -> f64 {
    let is_usable = before >= 0.0 && after >= 0.0 && before + after > 0.0 && (before + after).is_finite();
    if !(is_usable && share > 0.0 && share < 1.0) {
        return 1.0;
    }
    let at_least = if after == 0.0 { 1.0 } else { incomplete_beta(after, before + 1.0, share) };
    let at_most = if before == 0.0 { 1.0 } else { incomplete_beta(before, after + 1.0, 1.0 - share) };
    (2.0 * at_least.min(at_most)).clamp(0.0, 1.0)
}

/// Sum over counts of equal stretches of the squared distance from their mean, in units of the mean, and the degrees
/// of freedom: their quotient is the index of dispersion, 1 for a Poisson process (Fisher, Thornton and `MacKenzie`,
/// Annals of Applied Biology 9, 1922).
pub(super) fn dispersion(counts: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (number, sum) = counts.clone().fold((0.0, 0.0), |(number, sum), count| (number + 1.0, sum + count));
    if number < 2.0 || sum <= 0.0 {
        return (0.0, 0.0);
    }
    let mean = sum / number;
    (counts.map(|count| (count - mean) * (count - mean)).sum::<f64>() / mean, number - 1.0)
}

/// Benjamini and Hochberg's adjusted p-values (false discovery rate), in the order of the input.
pub(super) fn adjusted(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then(a.cmp(&b)));
    let mut out = vec![1.0; p.len()];
    let mut least = 1.0_f64;
    for (down, &index) in order.iter().enumerate() {
        let rank = p.len() - down;
        least = least.min(p[index] * p.len() as f64 / rank as f64);
        out[index] = least.min(1.0);
    }
    out
}

/// Upper tail of the hypergeometric distribution (Fisher's exact test, one-sided): the probability that of `drawn`
/// items out of `all`, `marked` of which are marked, at least `hit` are marked.
pub(super) fn at_least_by_chance(hit: u64, drawn: u64, marked: u64, all: u64) -> f64 {
    if drawn > all || marked > all || hit > drawn.min(marked) {
        return if hit == 0 { 1.0 } else { 0.0 };
    }
    let choose = |n: u64, k: u64| ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0);
    let least = (drawn + marked).saturating_sub(all);
    if hit <= least {
        return 1.0;
    }
    let base = choose(all, drawn);
    let mut sum = 0.0;
    for k in hit..=drawn.min(marked) {
        let term = (choose(marked, k) + choose(all - marked, drawn - k) - base).exp();
        sum += term;
        // Beyond the mode the terms only shrink.
        if term < sum * 1e-12 && k > hit + 1 {
            break;
        }
    }
    sum.clamp(0.0, 1.0)
}

/// The regularised incomplete beta function `I_x(a, b)`, by Lentz's continued fraction (Numerical Recipes 6.4).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    }
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    // Converges in O(sqrt(max(a, b))) steps.
    for step in 1..2_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let delta = d * c;
        result *= delta;
        if (delta - 1.0).abs() < 1e-12 {
            break;
        }
    }
    result
}

/// Logarithm of the gamma function for positive arguments (Lanczos, g = 7, n = 9).
fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let t = x + 7.5;
    let series = C.iter().enumerate().skip(1).fold(C[0], |sum, (i, c)| sum + c / (x + i as f64));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choose(n: u64, k: u64) -> f64 {
        (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
    }

    #[test]
    fn the_tails_are_exact() {
        for (before, after, share) in [(0_u64, 5_u64, 0.75), (3, 0, 0.75), (2, 9, 0.5), (7, 7, 0.3)] {
            let n = before + after;
            let term = |k: u64| choose(n, k) * f64::powf(share, k as f64) * f64::powf(1.0 - share, (n - k) as f64);
            let upper: f64 = (after..=n).map(term).sum();
            let lower: f64 = (0..=after).map(term).sum();
            let want = (2.0 * upper.min(lower)).min(1.0);
            assert!((change_p(before as f64, after as f64, share) - want).abs() < 1e-9, "{before} {after} {share}");
        }
    }

    #[test]
    fn adjustment_follows_benjamini_and_hochberg() {
        let q = adjusted(&[0.01, 0.04, 0.03, 0.5]);
        for (got, want) in q.iter().zip([0.04, 0.053_333, 0.053_333, 0.5]) {
            assert!((got - want).abs() < 1e-4, "{q:?}");
        }
        assert!(adjusted(&[]).is_empty());
    }

    #[test]
    fn fishers_test_is_exact() {
        // The lady tasting tea.
        assert!((at_least_by_chance(4, 4, 4, 8) - 1.0 / 70.0).abs() < 1e-9);
        assert!((at_least_by_chance(3, 4, 4, 8) - 17.0 / 70.0).abs() < 1e-9);
        assert!((at_least_by_chance(0, 4, 4, 8) - 1.0).abs() < 1e-9);
        assert!(at_least_by_chance(900, 1_000, 1_000, 10_000) < 1e-100);
    }

    #[test]
    fn clumps_are_told_from_a_steady_stream() {
        let index = |counts: &[f64]| {
            let (sum, freedom) = dispersion(counts.iter().copied());
            sum / freedom
        };
        assert!(index(&[10.0, 9.0, 11.0, 10.0, 12.0, 8.0]) < 1.0);
        assert!(index(&[0.0, 0.0, 60.0, 0.0, 0.0, 0.0]) > 50.0);
        assert_eq!(dispersion([5.0].into_iter()), (0.0, 0.0));
        // Sixty lines in one clump are one event: no change can be told from it.
        assert!(change_p(0.0, 60.0, 0.3) < 1e-20 && change_p(0.0, 1.0, 0.3) > 0.5);
    }

    proptest! {
        #[test]
        fn p_values_are_probabilities(before in 0u64..5_000_000, after in 0u64..5_000_000, share in 0.001f64..0.999) {
            let p = change_p(before as f64, after as f64, share);
            prop_assert!((0.0..=1.0).contains(&p), "{}", p);
        }
    }
}
