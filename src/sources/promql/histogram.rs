//! `histogram_quantile` over classic buckets.

use std::collections::BTreeMap;

use super::value::Column;
use crate::domain::Labels;
use crate::domain::labels::METRIC_NAME;

/// Estimates the quantile `shares[i]` at instant `i` of each histogram among `columns`, whose buckets are told apart
/// by `le`. Follows `bucketQuantile` of Prometheus' `promql/quantile.go`.
pub(super) fn quantiles(columns: Vec<Column>, shares: &[f64]) -> Vec<Column> {
    let mut histograms: BTreeMap<Labels, Vec<(f64, Column)>> = BTreeMap::new();
    for mut column in columns {
        let Some(bound) = column.labels.remove("le").and_then(|le| le.parse::<f64>().ok()) else { continue };
        column.labels.remove(METRIC_NAME);
        histograms.entry(column.labels.clone()).or_default().push((bound, column));
    }
    histograms
        .into_iter()
        .map(|(labels, mut buckets)| {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let points = shares
                .iter()
                .enumerate()
                .map(|(index, &share)| {
                    let present: Vec<Bucket> = buckets
                        .iter()
                        .filter_map(|(bound, column)| column.points[index].map(|count| Bucket { bound: *bound, count }))
                        .collect();
                    (!present.is_empty()).then(|| quantile(share, present))
                })
                .collect();
            Column { labels, points }
        })
        .collect()
}

struct Bucket {
    bound: f64,
    count: f64,
}

fn quantile(share: f64, buckets: Vec<Bucket>) -> f64 {
    if share.is_nan() {
        return f64::NAN;
    }
    if share < 0.0 {
        return f64::NEG_INFINITY;
    }
    if share > 1.0 {
        return f64::INFINITY;
    }
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return f64::NAN;
    }
    // Buckets with one bound in two spellings count together; counts must not fall with the bound, and do a little
    // when they were scraped one after the other.
    let mut settled: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match settled.last_mut() {
            Some(last) if last.bound == bucket.bound => last.count += bucket.count,
            _ => settled.push(bucket),
        }
    }
    let mut most = f64::NEG_INFINITY;
    for bucket in &mut settled {
        if bucket.count > most {
            most = bucket.count;
        } else {
            bucket.count = most;
        }
    }
    let last = settled.len() - 1;
    let observations = settled[last].count;
    if last == 0 || observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let rank = share * observations;
    let hit = settled[..last].partition_point(|bucket| bucket.count < rank);
    if hit == last {
        return settled[last - 1].bound;
    }
    if hit == 0 && settled[0].bound <= 0.0 {
        return settled[0].bound;
    }
    let (start, below) = if hit == 0 { (0.0, 0.0) } else { (settled[hit - 1].bound, settled[hit - 1].count) };
    start + (settled[hit].bound - start) * ((rank - below) / (settled[hit].count - below))
}
