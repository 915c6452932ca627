//! Native histograms, reduced to series that everything else understands.

use serde::Deserialize;

use super::samples::{Number, renamed};
use crate::domain::metric::Sample;
use crate::domain::{Labels, Timestamp};

/// Quantiles that are kept.
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99")];

/// A native histogram as the API writes it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RawHistogram {
    count: Number,
    sum: Number,
    /// Boundary rule, lower bound, upper bound, count; sorted, only those that are not empty.
    #[serde(default)]
    buckets: Vec<(u8, Number, Number, Number)>,
}

/// Five series: the metric with `_count`, with `_sum`, and with a `quantile` label.
pub(crate) fn reduce(labels: &Labels, histograms: &[(f64, RawHistogram)]) -> Vec<(Labels, Vec<Sample>)> {
    let over_time = |value: &dyn Fn(&RawHistogram) -> f64| -> Vec<Sample> {
        let sample = |(secs, histogram): &(f64, RawHistogram)| Sample {
            at: Timestamp::from_secs_f64(*secs),
            value: value(histogram),
        };
        histograms.iter().map(sample).collect()
    };
    let mut all = vec![
        (renamed(labels, "_count"), over_time(&|histogram| histogram.count.0)),
        (renamed(labels, "_sum"), over_time(&|histogram| histogram.sum.0)),
    ];
    for (quantile, word) in QUANTILES {
        let mut named = labels.clone();
        named.insert("quantile", word);
        all.push((named, over_time(&|histogram| histogram.quantile(quantile))));
    }
    all
}

impl RawHistogram {
    /// The value below which a share `q` of the observations lies: interpolated within its bucket, geometrically
    /// where both bounds have the same sign (Prometheus 3 does so for exponential buckets), else linearly. NaN when
    /// nothing was observed.
    fn quantile(&self, q: f64) -> f64 {
        let total: f64 = self.buckets.iter().map(|bucket| bucket.3.0).filter(|count| *count > 0.0).sum();
        // Written so that a NaN total takes this way too.
        if total.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
            return f64::NAN;
        }
        let rank = q * total;
        let mut below = 0.0;
        for (_, lower, upper, count) in &self.buckets {
            let (lower, upper, count) = (lower.0, upper.0, count.0);
            if count > 0.0 && below + count >= rank {
                let share = ((rank - below) / count).clamp(0.0, 1.0);
                return if lower * upper > 0.0 {
                    lower * (upper / lower).powf(share)
                } else {
                    lower + (upper - lower) * share
                };
            }
            below += count.max(0.0);
        }
        self.buckets.last().map_or(f64::NAN, |bucket| bucket.2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_becomes_five_series() {
        let json = r#"{"count":"10","sum":"31.5","buckets":[[0,"1","2","5"],[0,"2","4","5"]]}"#;
        let histogram: RawHistogram = serde_json::from_str(json).unwrap();
        let labels: Labels = [("__name__", "latency"), ("job", "x")].into_iter().collect();
        let all = reduce(&labels, &[(7.0, histogram)]);
        let shown: Vec<String> =
            all.iter().map(|(labels, samples)| format!("{labels} {:.2}", samples[0].value)).collect();
        assert_eq!(
            shown,
            [
                "latency_count{job=\"x\"} 10.00",
                "latency_sum{job=\"x\"} 31.50",
                "latency{job=\"x\",quantile=\"0.5\"} 2.00",
                "latency{job=\"x\",quantile=\"0.9\"} 3.48",
                "latency{job=\"x\",quantile=\"0.99\"} 3.94",
            ]
        );
    }

    #[test]
    fn quantiles_of_odd_histograms_do_not_mislead() {
        assert!(RawHistogram::default().quantile(0.5).is_nan());
        let around_zero: RawHistogram =
            serde_json::from_str(r#"{"count":"4","sum":"0","buckets":[[3,"-1","1","4"]]}"#).unwrap();
        assert!(around_zero.quantile(0.5).abs() < 1e-12);
    }
}
