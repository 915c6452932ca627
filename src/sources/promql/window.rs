//! Functions over range vectors: `rate` and its kin, and `…_over_time`.

use promql_parser::parser::Call;

use super::eval::{Evaluator, SAME_LABELS, Windows};
use super::value::{Column, Grid, Value, joined};
use super::{Semantics, aggregate, labelling};
use crate::domain::labels::METRIC_NAME;
use crate::sources::replay::ReplayError;
use crate::sources::series::Point;

/// A function over one window of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Changes,
    Resets,
    Avg,
    Min,
    Max,
    Sum,
    Count,
    Last,
    Quantile,
    Stddev,
    Stdvar,
    Present,
    Absent,
}

impl Over {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "delta" => Self::Delta,
            "irate" => Self::Irate,
            "idelta" => Self::Idelta,
            "deriv" => Self::Deriv,
            "predict_linear" => Self::PredictLinear,
            "changes" => Self::Changes,
            "resets" => Self::Resets,
            "avg_over_time" => Self::Avg,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "last_over_time" => Self::Last,
            "quantile_over_time" => Self::Quantile,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "present_over_time" => Self::Present,
            "absent_over_time" => Self::Absent,
            _ => return None,
        })
    }
}

pub(super) fn eval(evaluator: &Evaluator<'_>, over: Over, call: &Call, grid: Grid) -> Result<Value, ReplayError> {
    let args = &call.args.args;
    let missing = || ReplayError::Wrong(format!("{} lacks an argument", call.func.name));
    // The range vector is the second argument of `quantile_over_time` and the first elsewhere.
    let (range_at, number_at) = match over {
        Over::Quantile => (1, Some(0)),
        Over::PredictLinear => (0, Some(1)),
        _ => (0, None),
    };
    let range_arg = args.get(range_at).ok_or_else(missing)?;
    let numbers = match number_at {
        Some(at) => evaluator.eval(args.get(at).ok_or_else(missing)?, grid)?.scalar()?,
        None => Vec::new(),
    };
    let windows = evaluator.windows(range_arg, grid)?;
    if over == Over::Absent {
        return absent(evaluator, range_arg, &windows, grid);
    }
    let mut columns = Vec::with_capacity(windows.series.len());
    for (labels, points) in &windows.series {
        let mut values = Vec::with_capacity(grid.count);
        for (index, &end) in windows.ends.iter().enumerate() {
            let samples = evaluator.window(points, end, windows.range);
            evaluator.spend(samples.len() + 1)?;
            let number = numbers.get(index).copied().unwrap_or(f64::NAN);
            let window = Window { end, range: windows.range, now: grid.time(index), number };
            values.push(if samples.is_empty() { None } else { over.apply(samples, &window, evaluator.semantics()) });
        }
        if values.iter().all(Option::is_none) {
            continue;
        }
        let mut labels = labels.clone();
        if over != Over::Last {
            labels.remove(METRIC_NAME);
        }
        columns.push(Column { labels, points: values });
    }
    Ok(Value::Vector(joined(columns, SAME_LABELS)?))
}

/// 1 where no series has a sample in the window.
fn absent(
    evaluator: &Evaluator<'_>,
    arg: &promql_parser::parser::Expr,
    windows: &Windows<'_>,
    grid: Grid,
) -> Result<Value, ReplayError> {
    let mut points = vec![Some(1.0); grid.count];
    for (_, samples) in &windows.series {
        evaluator.spend(grid.count)?;
        for (point, &end) in points.iter_mut().zip(&windows.ends) {
            if !evaluator.window(samples, end, windows.range).is_empty() {
                *point = None;
            }
        }
    }
    Ok(Value::Vector(vec![Column { labels: labelling::of_absent(arg), points }]))
}

/// Where a window stands.
struct Window {
    end: i64,
    range: i64,
    /// The instant of the evaluation, which `offset` and `@` do not move.
    now: i64,
    /// The number beside the range vector, for functions that take one.
    number: f64,
}

impl Over {
    /// The value for one window, which holds at least one sample.
    fn apply(self, samples: &[Point], window: &Window, semantics: Semantics) -> Option<f64> {
        let values = || samples.iter().map(|point| point.1);
        let last = samples[samples.len() - 1];
        Some(match self {
            Self::Rate => extrapolated(samples, window, true, semantics)? / (window.range as f64 / 1000.0),
            Self::Increase => extrapolated(samples, window, true, semantics)?,
            Self::Delta => extrapolated(samples, window, false, semantics)?,
            Self::Irate | Self::Idelta => {
                let previous = samples.get(samples.len().checked_sub(2)?)?;
                let rate = self == Self::Irate;
                let rise = if rate && last.1 < previous.1 { last.1 } else { last.1 - previous.1 };
                let seconds = (last.0 - previous.0) as f64 / 1000.0;
                if seconds == 0.0 {
                    return None;
                }
                if rate { rise / seconds } else { rise }
            }
            Self::Deriv => {
                if samples.len() < 2 {
                    return None;
                }
                regression(samples, samples[0].0).0
            }
            Self::PredictLinear => {
                if samples.len() < 2 {
                    return None;
                }
                let (slope, intercept) = regression(samples, window.now);
                slope * window.number + intercept
            }
            Self::Changes => samples
                .windows(2)
                .filter(|pair| pair[0].1 != pair[1].1 && !(pair[0].1.is_nan() && pair[1].1.is_nan()))
                .count() as f64,
            Self::Resets => samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).count() as f64,
            Self::Avg => mean(values()),
            Self::Min => {
                values().fold(f64::NAN, |least, value| if value < least || least.is_nan() { value } else { least })
            }
            Self::Max => {
                values().fold(f64::NAN, |most, value| if value > most || most.is_nan() { value } else { most })
            }
            Self::Sum => compensated_sum(values()),
            Self::Count => samples.len() as f64,
            Self::Last => last.1,
            Self::Quantile => aggregate::quantile(window.number, values().collect()),
            Self::Stddev => variance(values()).sqrt(),
            Self::Stdvar => variance(values()),
            Self::Present => 1.0,
            Self::Absent => return None,
        })
    }
}

/// The rise of a window, extrapolated to its ends, as `rate`, `increase` and `delta` have it. Follows `extrapolatedRate`
/// of Prometheus' `promql/functions.go`.
fn extrapolated(samples: &[Point], window: &Window, counter: bool, semantics: Semantics) -> Option<f64> {
    let [first, .., last] = samples else { return None };
    let mut rise = last.1 - first.1;
    if counter {
        rise += samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1).sum::<f64>();
    }
    let mut to_start = (first.0 - (window.end - window.range)) as f64 / 1000.0;
    let mut to_end = (window.end - last.0) as f64 / 1000.0;
    let sampled = (last.0 - first.0) as f64 / 1000.0;
    let average = sampled / (samples.len() - 1) as f64;
    let threshold = average * 1.1;
    if semantics == Semantics::V3 && to_start >= threshold {
        to_start = average / 2.0;
    }
    // A counter cannot have been below zero.
    if counter && rise > 0.0 && first.1 >= 0.0 {
        to_start = to_start.min(sampled * (first.1 / rise));
    }
    if semantics == Semantics::V2 && to_start >= threshold {
        to_start = average / 2.0;
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    Some(rise * ((sampled + to_start + to_end) / sampled))
}

/// Least squares: slope per second, and the value at `at`.
fn regression(samples: &[Point], at: i64) -> (f64, f64) {
    let first = samples[0].1;
    if samples.iter().all(|point| point.1 == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = samples.len() as f64;
    let xs = || samples.iter().map(|point| (point.0 - at) as f64 / 1000.0);
    let ys = || samples.iter().map(|point| point.1);
    let (sum_x, sum_y) = (compensated_sum(xs()), compensated_sum(ys()));
    let sum_xy = compensated_sum(xs().zip(ys()).map(|(x, y)| x * y));
    let sum_xx = compensated_sum(xs().map(|x| x * x));
    let slope = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n);
    (slope, sum_y / n - slope * sum_x / n)
}

/// Neumaier's sum: long windows of small numbers lose nothing.
pub(super) fn compensated_sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        if next.is_finite() {
            lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        } else {
            lost = 0.0;
        }
        sum = next;
    }
    sum + lost
}

/// The mean, which overflows only when the values do.
pub(super) fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    let sum = compensated_sum(values.clone());
    if sum.is_infinite() { compensated_sum(values.map(|value| value / count)) } else { sum / count }
}

/// The population variance, by Welford's method.
pub(super) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}
