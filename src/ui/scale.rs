//! From values to rows, with labels at round values.

use crate::core::figures::figure;
use crate::domain::evidence::MetricDetail;

/// A value axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    rows: u16,
    unit: String,
    step: f64,
}

impl Scale {
    /// The scale on which all finite samples and the normal band can be shown in `rows` rows; `None` where there is
    /// no finite value.
    pub(super) fn of(metric: &MetricDetail, rows: u16) -> Option<Self> {
        let band = [metric.baseline.low, metric.baseline.high];
        let values = metric.samples.iter().map(|sample| sample.value).chain(band).filter(|value| value.is_finite());
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high || rows == 0 {
            return None;
        }
        // Zero belongs on the axis unless the values vary little and far from it.
        let low = if low > 0.0 && low < high * 0.8 { 0.0 } else { low };
        let high = if high < 0.0 && high > low * 0.8 { 0.0 } else { high };
        // A constant series runs in the middle.
        let (low, high) = if high > low {
            (low, high)
        } else if high > 0.0 {
            (0.0, high * 2.0)
        } else if high < 0.0 {
            (high * 2.0, 0.0)
        } else {
            (0.0, 1.0)
        };
        let mut scale = Self { low, high, rows, unit: metric.unit.clone(), step: 0.0 };
        let wanted = f64::from((rows / 3).clamp(1, 6));
        let step = round_step(high / wanted - low / wanted, &metric.unit);
        let (bottom, top) = ((low / step).floor() * step, (high / step).ceil() * step);
        if step > 0.0 && bottom.is_finite() && top.is_finite() && (top - bottom) / step < 100.0 {
            scale = Self { low: bottom, high: top, step, ..scale };
        }
        Some(scale)
    }

    /// How far up a value stands, from 0 at the bottom to 1 at the top.
    pub(super) fn share(&self, value: f64) -> f64 {
        // Halves, for the distance of two finite numbers need not be finite.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Row from the top of a value.
    pub(super) fn row(&self, value: f64) -> u16 {
        let last = self.rows - 1;
        last - (self.share(value) * f64::from(last)).round() as u16
    }

    /// Rows with their label, from the bottom.
    pub(super) fn labels(&self) -> Vec<(u16, String)> {
        let mut labels: Vec<(u16, String)> = Vec::new();
        let mut put = |value: f64| {
            // What rounding leaves of zero is zero.
            let value = if value.abs() < self.step * 1e-6 { 0.0 } else { value };
            let row = self.row(value);
            if labels.iter().all(|(taken, _)| *taken != row) {
                labels.push((row, figure(value, &self.unit)));
            }
        };
        if self.step > 0.0 {
            let steps = ((self.high - self.low) / self.step).round().min(100.0) as u32;
            (0..=steps).for_each(|step| put(self.low + self.step * f64::from(step)));
        } else {
            put(self.low);
            put(self.high);
        }
        labels
    }
}

/// A round number of at least `least`, in the steps that people count this unit in.
fn round_step(least: f64, unit: &str) -> f64 {
    if !(least.is_finite() && least > 0.0) {
        return 0.0;
    }
    let (least, base, factor) = match unit {
        "B" | "bytes" => {
            let power = 2_f64.powf(least.log2().ceil());
            return if power.is_finite() { power } else { 0.0 };
        }
        "s" | "seconds" if least >= 3_600.0 => (least / 3_600.0, 10.0, 3_600.0),
        "s" | "seconds" if least >= 60.0 => (least / 60.0, 10.0, 60.0),
        _ => (least, 10.0_f64, 1.0),
    };
    let power = base.powf(least.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= least * 0.999);
    step.unwrap_or(power * 10.0) * factor
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::evidence::{Band, Turn};
    use crate::domain::metric::Sample;
    use crate::domain::{Labels, Timestamp};

    fn metric(values: &[f64], unit: &str) -> MetricDetail {
        let sample = |(at, value): (usize, &f64)| Sample { at: Timestamp::from_secs(at as i64), value: *value };
        MetricDetail {
            metric: "m".into(),
            labels: Labels::new(),
            unit: unit.into(),
            baseline: Band { low: f64::NAN, median: f64::NAN, high: f64::NAN, count: 0 },
            peak: 0.0,
            last: 0.0,
            turn: Turn::Up,
            score: 0.0,
            samples: values.iter().enumerate().map(sample).collect(),
        }
    }

    fn labels(values: &[f64], unit: &str) -> Vec<String> {
        Scale::of(&metric(values, unit), 9).unwrap().labels().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn labels_are_round() {
        assert_eq!(labels(&[0.01, 4.7], "s"), ["0 s", "2 s", "4 s", "6 s"]);
        assert_eq!(labels(&[0.0, 0.61], "ratio"), ["0%", "25%", "50%", "75%"]);
        assert_eq!(labels(&[990.0, 1_010.0], ""), ["990", "1k", "1.01k"]);
        assert_eq!(labels(&[0.0, 3e9], "B"), ["0 B", "1 GiB", "2 GiB", "3 GiB"]);
        assert_eq!(labels(&[7.0, 7.0], ""), ["0", "5", "10", "15"]);
        assert_eq!(labels(&[0.0], ""), ["0", "0.5", "1"]);
    }

    #[test]
    fn nothing_finite_has_no_scale() {
        assert_eq!(Scale::of(&metric(&[f64::NAN, f64::INFINITY], ""), 9), None);
        assert_eq!(Scale::of(&metric(&[], ""), 9), None);
    }

    proptest! {
        #[test]
        fn every_value_has_a_row(values in prop::collection::vec(prop::num::f64::ANY, 1..8), rows in 1_u16..30) {
            if let Some(scale) = Scale::of(&metric(&values, "s"), rows) {
                for value in values.into_iter().filter(|value| value.is_finite()) {
                    prop_assert!(scale.row(value) < rows);
                }
                for (row, text) in scale.labels() {
                    prop_assert!(row < rows && !text.is_empty());
                }
            }
        }
    }
}
