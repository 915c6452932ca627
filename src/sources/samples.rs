//! Results of metric queries, as Prometheus and everything that speaks its API write them.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats>.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::histogram::RawHistogram;
use crate::domain::labels::METRIC_NAME;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::{Note, NoteKind};
use crate::domain::settings::Limits;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

/// Instants of one range query; at one more per series servers refuse it.
pub(crate) const POINTS: u64 = 11_000;

/// `data` of an answered expression. The type of its elements shows in themselves, so that the order in which a
/// server writes `resultType` and `result` does not matter.
#[derive(serde::Deserialize)]
pub(crate) struct QueryResult {
    /// `vector`, `matrix`, `scalar`, `string`; Loki also `streams`.
    #[serde(rename = "resultType")]
    pub(crate) result_type: String,
    /// Series, or the two elements of a scalar or string.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) result: Vec<Element>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Element>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// One element of `result`.
#[derive(Debug)]
pub(crate) enum Element {
    /// Of a vector or matrix.
    Series(RawSeries),
    /// The time of a scalar or string.
    Number(f64),
    /// The value of a scalar or string.
    Word(String),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Element;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series, or the time or value of a scalar")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
                RawSeries::deserialize(de::value::MapAccessDeserializer::new(map)).map(Element::Series)
            }
            fn visit_f64<E>(self, number: f64) -> Result<Element, E> {
                Ok(Element::Number(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Element, E> {
                Ok(Element::Number(number as f64))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Element, E> {
                Ok(Element::Number(number as f64))
            }
            fn visit_str<E>(self, word: &str) -> Result<Element, E> {
                Ok(Element::Word(word.to_owned()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A series of a vector (one of `value`, `histogram`) or a matrix (`values` and `histograms`).
#[derive(Debug, serde::Deserialize)]
pub(crate) struct RawSeries {
    #[serde(default)]
    metric: Labels,
    value: Option<Point>,
    #[serde(default)]
    values: Vec<Point>,
    histogram: Option<(f64, RawHistogram)>,
    #[serde(default)]
    histograms: Vec<(f64, RawHistogram)>,
}

/// `[1435781451.781, "1"]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point(Sample);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Point;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in seconds and a value in quotes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Point, A::Error> {
                let secs: f64 = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let Number(value) = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                while seq.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(Point(Sample { at: Timestamp::from_secs_f64(secs), value }))
            }
        }
        deserializer.deserialize_seq(Pair)
    }
}

/// A number in quotes, `"NaN"` and `"+Inf"` included; bare numbers are taken too.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Number(pub(crate) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Quoted;
        impl Visitor<'_> for Quoted {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in quotes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }
        }
        deserializer.deserialize_any(Quoted)
    }
}

/// Series gathered from one or several answers, within limits.
pub(crate) struct Gathered {
    limits: Limits,
    series: Vec<Series>,
    index: HashMap<Labels, usize>,
    samples: usize,
    dropped_series: usize,
    dropped_samples: usize,
    histograms: usize,
}

impl Gathered {
    /// Nothing yet.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            series: Vec::new(),
            index: HashMap::new(),
            samples: 0,
            dropped_series: 0,
            dropped_samples: 0,
            histograms: 0,
        }
    }

    /// Adds what one answer holds. Breaks when the limit of samples is reached, so that no more is asked for.
    pub(crate) fn add(&mut self, elements: Vec<Element>) -> ControlFlow<()> {
        for element in elements {
            let Element::Series(raw) = element else { continue };
            let samples: Vec<Sample> = raw.value.into_iter().chain(raw.values).map(|point| point.0).collect();
            let histograms: Vec<(f64, RawHistogram)> = raw.histogram.into_iter().chain(raw.histograms).collect();
            if !samples.is_empty() || histograms.is_empty() {
                self.insert(raw.metric.clone(), samples);
            }
            if !histograms.is_empty() {
                self.histograms += 1;
                for (labels, samples) in super::histogram::reduce(&raw.metric, &histograms) {
                    self.insert(labels, samples);
                }
            }
        }
        if self.dropped_samples > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn insert(&mut self, labels: Labels, mut samples: Vec<Sample>) {
        let known = self.index.get(&labels).copied();
        if known.is_none() && self.series.len() >= self.limits.series {
            self.dropped_series += 1;
            return;
        }
        let room = self.limits.samples.saturating_sub(self.samples);
        if samples.len() > room {
            self.dropped_samples += samples.len() - room;
            samples.truncate(room);
        }
        self.samples += samples.len();
        if let Some(at) = known {
            self.series[at].samples.append(&mut samples);
        } else if !samples.is_empty() || room > 0 {
            self.index.insert(labels.clone(), self.series.len());
            self.series.push(Series { labels, samples });
        }
    }

    /// The series: each sorted by time without duplicates, all sorted by labels unless the order of the answer is
    /// what was asked for. What was left out is noted.
    pub(crate) fn finish(mut self, keep_order: bool, notes: &mut Vec<Note>) -> Vec<Series> {
        for series in &mut self.series {
            series.samples.sort_by_key(|sample| sample.at);
            series.samples.dedup_by_key(|sample| sample.at);
        }
        if !keep_order {
            self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        if self.dropped_series > 0 {
            notes.push(cut(&format!(
                "{} of {} series are shown: the limit is {} (limits.series)",
                self.series.len(),
                self.series.len() + self.dropped_series,
                self.limits.series
            )));
        }
        if self.dropped_samples > 0 {
            notes.push(cut(&format!(
                "at least {} samples are left out: the limit is {} (limits.samples)",
                self.dropped_samples, self.limits.samples
            )));
        }
        if self.histograms > 0 {
            notes.push(Note {
                kind: NoteKind::Info,
                text: Text::new(&format!(
                    "{} native histograms are shown as count, sum and quantiles 0.5, 0.9 and 0.99, interpolated here",
                    self.histograms
                )),
            });
        }
        self.series
    }
}

/// A note of what was left out.
pub(crate) fn cut(text: &str) -> Note {
    Note { kind: NoteKind::Cut, text: Text::new(text) }
}

/// The sample of a scalar, `None` when the result is none.
pub(crate) fn scalar(elements: &[Element]) -> Option<Sample> {
    match elements {
        [Element::Number(at), Element::Word(word)] => {
            Some(Sample { at: Timestamp::from_secs_f64(*at), value: word.parse().ok()? })
        }
        _ => None,
    }
}

/// The value of a string result, `None` when the result is none.
pub(crate) fn word(elements: &[Element]) -> Option<Text> {
    match elements {
        [Element::Number(_), Element::Word(word)] => Some(Text::new(word)),
        _ => None,
    }
}

/// Splits a range (end included) into ranges of at most [`POINTS`] instants, all on the grid of the first.
pub(crate) fn pieces(range: TimeRange, step: Duration) -> Vec<TimeRange> {
    pieces_of(range, step, POINTS)
}

/// As [`pieces`], with at most `most` instants each.
pub(crate) fn pieces_of(range: TimeRange, step: Duration, most: u64) -> Vec<TimeRange> {
    let most = most.max(1);
    let step_nanos = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1);
    let span = range.end.nanos().saturating_sub(range.start.nanos());
    let last = (span / step_nanos) as u64;
    (0..=last / most)
        .map(|piece| {
            let first = piece * most;
            let at = |index: u64| {
                let offset = step_nanos.saturating_mul(i64::try_from(index).unwrap_or(i64::MAX));
                Timestamp::from_nanos(range.start.nanos().saturating_add(offset))
            };
            let end = if first + most > last { range.end } else { at(first + most - 1) };
            TimeRange::new(at(first), end)
        })
        .collect()
}

/// Instants of a range query.
pub(crate) fn points(range: TimeRange, step: Duration) -> u64 {
    let nanos = step.as_nanos().max(1);
    u64::try_from(range.duration().as_nanos() / nanos).unwrap_or(u64::MAX).saturating_add(1)
}

/// Labels with the metric's name followed by `suffix`.
pub(crate) fn renamed(labels: &Labels, suffix: &str) -> Labels {
    let mut labels = labels.clone();
    let name = format!("{}{suffix}", labels.metric().unwrap_or_default());
    labels.insert(METRIC_NAME, &name);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> QueryResult {
        serde_json::from_str(json).unwrap()
    }

    fn gathered(json: &str, limits: Limits) -> (Vec<Series>, Vec<Note>) {
        let mut all = Gathered::new(limits);
        let _ = all.add(read(json).result);
        let mut notes = Vec::new();
        (all.finish(false, &mut notes), notes)
    }

    #[test]
    fn values_that_are_no_numbers_are_kept_as_they_are() {
        let (series, notes) = gathered(
            r#"{"result":[{"metric":{"__name__":"x"},"values":[[1,"NaN"],[2.5,"+Inf"],[3,"-Inf"],[4,"1e3"]]}],"resultType":"matrix"}"#,
            Limits::default(),
        );
        let values: Vec<String> = series[0].samples.iter().map(|sample| sample.value.to_string()).collect();
        assert_eq!(values, ["NaN", "inf", "-inf", "1000"]);
        assert_eq!(series[0].samples[1].at, Timestamp::from_millis(2_500));
        assert!(notes.is_empty());
    }

    #[test]
    fn scalars_and_strings_are_told_from_series() {
        let result = read(r#"{"resultType":"scalar","result":[1435781451.781,"42"]}"#);
        assert_eq!(scalar(&result.result).unwrap().value.to_string(), "42");
        let result = read(r#"{"resultType":"string","result":[1435781451.781,"a\u001bb"]}"#);
        assert_eq!(word(&result.result).unwrap(), "a‹U+001B›b");
        assert!(read(r#"{"resultType":"vector","result":null}"#).result.is_empty());
    }

    #[test]
    fn what_exceeds_a_limit_is_counted() {
        let json = r#"{"resultType":"vector","result":[
            {"metric":{"a":"2"},"value":[1,"1"]},{"metric":{"a":"1"},"value":[1,"1"]},{"metric":{"a":"3"},"value":[1,"1"]}]}"#;
        let (series, notes) = gathered(json, Limits { series: 2, ..Limits::default() });
        assert_eq!(series.len(), 2);
        assert_eq!(notes, [cut("2 of 3 series are shown: the limit is 2 (limits.series)")]);
        let (series, notes) = gathered(json, Limits { samples: 1, ..Limits::default() });
        assert_eq!(series.len(), 1);
        assert_eq!(notes, [cut("at least 2 samples are left out: the limit is 1 (limits.samples)")]);
    }

    proptest! {
        #[test]
        fn pieces_hold_every_instant_once(start in -1_000_i64..1_000, span in 0_u64..200_000_000, step in 1_u64..40_000) {
            let start = Timestamp::from_secs(start);
            let range = TimeRange::new(start, start.plus(Duration::from_millis(span)));
            let step = Duration::from_millis(step);
            let pieces = pieces(range, step);
            prop_assert!(pieces.iter().all(|piece| points(*piece, step) <= POINTS));
            prop_assert_eq!(pieces.iter().map(|piece| points(*piece, step)).sum::<u64>(), points(range, step));
            prop_assert_eq!(pieces[0].start, range.start);
            for pair in pieces.windows(2) {
                prop_assert_eq!(pair[1].start, pair[0].end.plus(step));
            }
        }
    }
}
