//! Series held in memory: what a bundle's metrics become once they are read.

use std::collections::BTreeMap;

use crate::domain::metric::{MetricMeta, Sample, Series};
use crate::domain::{Labels, Timestamp};

/// One sample: milliseconds since the epoch, which is Prometheus' resolution, and the value.
pub type Point = (i64, f64);

/// One series in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSeries {
    /// Labels, with the metric's name under `__name__`.
    pub labels: Labels,
    /// Samples sorted by time, one per instant.
    pub points: Vec<Point>,
}

impl StoredSeries {
    /// The samples with `from <= time <= to`, in milliseconds.
    pub fn between(&self, from: i64, to: i64) -> &[Point] {
        let first = self.points.partition_point(|point| point.0 < from);
        let after = self.points.partition_point(|point| point.0 <= to);
        &self.points[first..after.max(first)]
    }
}

/// All series of a bundle, indexed by metric name, with their metadata.
#[derive(Debug, Clone, Default)]
pub struct SeriesStore {
    series: Vec<StoredSeries>,
    by_name: BTreeMap<String, Vec<usize>>,
    metadata: BTreeMap<String, MetricMeta>,
}

impl SeriesStore {
    /// Builds the store. Series are sorted by labels and merged when their labels are equal; samples are sorted by
    /// time, and of several at one instant the last given is kept. Returns the store and how many samples were
    /// superseded in that way.
    pub fn new(mut series: Vec<StoredSeries>, metadata: BTreeMap<String, MetricMeta>) -> (Self, usize) {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let mut merged: Vec<StoredSeries> = Vec::with_capacity(series.len());
        for next in series {
            match merged.last_mut() {
                Some(last) if last.labels == next.labels => last.points.extend(next.points),
                _ => merged.push(next),
            }
        }
        let mut superseded = 0;
        for one in &mut merged {
            if one.points.is_sorted_by(|a, b| a.0 < b.0) {
                continue;
            }
            one.points.sort_by_key(|point| point.0);
            let before = one.points.len();
            one.points.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    earlier.1 = later.1;
                }
                same
            });
            superseded += before - one.points.len();
        }
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, one) in merged.iter().enumerate() {
            by_name.entry(one.labels.metric().unwrap_or_default().to_owned()).or_default().push(index);
        }
        (Self { series: merged, by_name, metadata }, superseded)
    }

    /// Builds the store from the domain's series.
    pub fn from_series(series: &[Series], metadata: BTreeMap<String, MetricMeta>) -> Self {
        let stored = series
            .iter()
            .map(|one| StoredSeries {
                labels: one.labels.clone(),
                points: one.samples.iter().map(|sample| (sample.at.millis(), sample.value)).collect(),
            })
            .collect();
        Self::new(stored, metadata).0
    }

    /// All series, sorted by labels.
    pub fn series(&self) -> &[StoredSeries] {
        &self.series
    }

    /// The series of one metric.
    pub fn of_metric(&self, name: &str) -> impl Iterator<Item = &StoredSeries> {
        self.by_name.get(name).into_iter().flatten().map(|&index| &self.series[index])
    }

    /// Names of all metrics, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Metadata by metric name.
    pub fn metadata(&self) -> &BTreeMap<String, MetricMeta> {
        &self.metadata
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.series.iter().map(|one| one.points.len()).sum()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The usual distance between samples in milliseconds: the median over all series of the median distance.
    /// `None` when no series has two samples.
    pub fn sample_interval(&self) -> Option<i64> {
        let mut medians: Vec<i64> = self.series.iter().filter_map(|one| median_step(&one.points)).collect();
        medians.sort_unstable();
        medians.get(medians.len() / 2).copied()
    }

    /// The series as the domain has them.
    pub fn to_series(&self) -> Vec<Series> {
        self.series
            .iter()
            .map(|one| Series { labels: one.labels.clone(), samples: one.points.iter().map(sample).collect() })
            .collect()
    }
}

/// A sample of the domain.
pub fn sample(point: &Point) -> Sample {
    Sample { at: Timestamp::from_millis(point.0), value: point.1 }
}

/// The median distance of neighbouring samples, looking at no more than the last 50.
fn median_step(points: &[Point]) -> Option<i64> {
    let tail = &points[points.len().saturating_sub(50)..];
    let mut steps: Vec<i64> = tail.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, points: &[Point]) -> StoredSeries {
        StoredSeries { labels: [("__name__", name)].into_iter().collect(), points: points.to_vec() }
    }

    #[test]
    fn samples_are_sorted_and_the_last_of_an_instant_wins() {
        let (store, superseded) = SeriesStore::new(
            vec![series("b", &[(2, 2.0), (1, 1.0)]), series("a", &[(1, 1.0)]), series("b", &[(2, 3.0)])],
            BTreeMap::new(),
        );
        assert_eq!(superseded, 1);
        assert_eq!(store.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(store.of_metric("b").next().unwrap().points, [(1, 1.0), (2, 3.0)]);
    }

    #[test]
    fn a_span_of_samples_includes_both_ends() {
        let one = series("a", &[(1, 1.0), (2, 2.0), (3, 3.0)]);
        assert_eq!(one.between(2, 3), [(2, 2.0), (3, 3.0)]);
        assert_eq!(one.between(4, 9), []);
        assert_eq!(one.between(9, 4), []);
    }

    #[test]
    fn the_usual_distance_is_a_median() {
        let (store, _) =
            SeriesStore::new(vec![series("a", &[(0, 0.0), (15, 0.0), (30, 0.0), (90, 0.0)])], BTreeMap::new());
        assert_eq!(store.sample_interval(), Some(15));
        assert_eq!(SeriesStore::default().sample_interval(), None);
    }
}
