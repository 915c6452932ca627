//! Series and what is known about a metric.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Labels, Text, Timestamp};

/// One sample of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Value; may be NaN or infinite, as in Prometheus. JSON writes those as the strings Prometheus uses.
    #[serde(with = "float_text")]
    pub value: f64,
}

/// A series: labels (the metric's name under `__name__`) and samples sorted by time, without duplicates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Labels of the series.
    pub labels: Labels,
    /// Samples, oldest first.
    pub samples: Vec<Sample>,
}

impl Series {
    /// Series of the same labels joined, sorted by labels; samples sorted by time, the least of several of one time
    /// kept. For input whose order is not known.
    pub fn in_order(series: &[Self]) -> Vec<Self> {
        let mut joined: BTreeMap<&Labels, Vec<Sample>> = BTreeMap::new();
        for one in series {
            joined.entry(&one.labels).or_default().extend_from_slice(&one.samples);
        }
        joined
            .into_iter()
            .map(|(labels, mut samples)| {
                samples.sort_by(|a, b| a.at.cmp(&b.at).then(a.value.total_cmp(&b.value)));
                samples.dedup_by_key(|sample| sample.at);
                Self { labels: labels.clone(), samples }
            })
            .collect()
    }
}

/// What a metric's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Only grows; resets to zero on restart.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, `_sum` and `_count`; or a native histogram.
    Histogram,
    /// Quantiles, `_sum` and `_count`.
    Summary,
    /// Nothing is known; decided by name.
    #[default]
    Unknown,
}

/// Metadata of one metric as Prometheus' API or an exposition's `# TYPE`, `# HELP` and `# UNIT` lines give it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricMeta {
    /// Type.
    pub kind: MetricKind,
    /// Help text.
    pub help: Text,
    /// Unit, often empty.
    pub unit: String,
}

/// A scrape target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Labels after relabelling.
    pub labels: Labels,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// Error of the last scrape, empty if none.
    pub last_error: Text,
    /// Last scrape.
    pub last_scrape: Option<Timestamp>,
}

/// Numbers as Prometheus writes them in JSON: finite ones as numbers, the others as `"NaN"`, `"+Inf"`, `"-Inf"`.
pub mod float_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Serialises a float.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            serializer.serialize_f64(*value)
        } else {
            serializer.serialize_str(if value.is_nan() {
                "NaN"
            } else if *value > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            })
        }
    }

    /// Reads a float or one of the three strings.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Word(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(number),
            Either::Word(word) => word.parse().map_err(|_| D::Error::custom(format!("`{word}` is not a number"))),
        }
    }
}
