//! Aggregations: `sum by (…)`, `topk`, `quantile`, `count_values` and their kin.

use std::collections::BTreeMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, LabelModifier};

use super::eval::Evaluator;
use super::value::{Column, Grid, Value};
use super::window::{compensated_sum, mean, variance};
use crate::domain::Labels;
use crate::domain::labels::METRIC_NAME;
use crate::sources::replay::ReplayError;

pub(super) fn eval(evaluator: &Evaluator<'_>, expr: &AggregateExpr, grid: Grid) -> Result<Value, ReplayError> {
    let columns = evaluator.eval(&expr.expr, grid)?.vector()?;
    evaluator.spend(columns.len() * grid.count)?;
    let param = match &expr.param {
        Some(param) => Some(evaluator.eval(param, grid)?),
        None => None,
    };
    let param = || param.ok_or_else(|| ReplayError::Wrong(format!("{} lacks its parameter", expr.op)));
    let mut groups: BTreeMap<Labels, Vec<Column>> = BTreeMap::new();
    for column in columns {
        groups.entry(group_of(&column.labels, expr.modifier.as_ref())).or_default().push(column);
    }
    let reduce: Box<dyn Fn(usize, Vec<f64>) -> f64> = match expr.op.id() {
        T_SUM => Box::new(|_, values| compensated_sum(values.into_iter())),
        T_AVG => Box::new(|_, values| mean(values.into_iter())),
        T_COUNT => Box::new(|_, values| values.len() as f64),
        T_GROUP => Box::new(|_, _| 1.0),
        T_MIN => Box::new(|_, values| extreme(&values, |value, best| value < best)),
        T_MAX => Box::new(|_, values| extreme(&values, |value, best| value > best)),
        T_STDDEV => Box::new(|_, values| variance(values.into_iter()).sqrt()),
        T_STDVAR => Box::new(|_, values| variance(values.into_iter())),
        T_QUANTILE => {
            let share = param()?.scalar()?;
            Box::new(move |index, values| quantile(share[index], values))
        }
        T_TOPK | T_BOTTOMK => {
            let largest = expr.op.id() == T_TOPK;
            return Ok(Value::Vector(ranked(groups, &param()?.scalar()?, largest)));
        }
        T_COUNT_VALUES => return Ok(Value::Vector(count_values(groups, &param()?.text()?, grid)?)),
        _ => return Err(ReplayError::unsupported(format!("the aggregation {}", expr.op), super::SUPPORTED)),
    };
    let columns = groups
        .into_iter()
        .map(|(labels, members)| {
            let points = (0..grid.count)
                .map(|index| {
                    let values: Vec<f64> = members.iter().filter_map(|member| member.points[index]).collect();
                    (!values.is_empty()).then(|| reduce(index, values))
                })
                .collect();
            Column { labels, points }
        })
        .collect();
    Ok(Value::Vector(columns))
}

/// The labels of the group a series belongs to.
fn group_of(labels: &Labels, modifier: Option<&LabelModifier>) -> Labels {
    match modifier {
        None => Labels::new(),
        Some(LabelModifier::Include(names)) => {
            names.labels.iter().filter_map(|name| labels.get(name).map(|value| (name, value))).collect()
        }
        Some(LabelModifier::Exclude(names)) => {
            let mut rest = labels.clone();
            rest.remove(METRIC_NAME);
            for name in &names.labels {
                rest.remove(name);
            }
            rest
        }
    }
}

/// The extreme value; NaN only when there is nothing else.
fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    values.iter().fold(f64::NAN, |best, &value| if best.is_nan() || better(value, best) { value } else { best })
}

/// The φ-quantile with linear interpolation; outside of 0 to 1 it is infinite.
pub(in crate::sources) fn quantile(share: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || share.is_nan() {
        return f64::NAN;
    }
    if share < 0.0 {
        return f64::NEG_INFINITY;
    }
    if share > 1.0 {
        return f64::INFINITY;
    }
    // NaN sorts first, as in Prometheus.
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = share * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The `k` largest or smallest of each group, at each instant. Ties go to the smaller label set.
fn ranked(groups: BTreeMap<Labels, Vec<Column>>, counts: &[f64], largest: bool) -> Vec<Column> {
    let mut out = Vec::new();
    for members in groups.into_values() {
        let mut kept: Vec<Vec<Option<f64>>> = members.iter().map(|member| vec![None; member.points.len()]).collect();
        let mut first_rank = vec![usize::MAX; members.len()];
        for (index, &count) in counts.iter().enumerate() {
            let mut order: Vec<(usize, f64)> = members
                .iter()
                .enumerate()
                .filter_map(|(place, member)| member.points[index].map(|value| (place, value)))
                .collect();
            order.sort_by(|a, b| {
                // NaN comes last either way.
                let by_value = if largest { b.1.total_cmp(&a.1) } else { a.1.total_cmp(&b.1) };
                a.1.is_nan()
                    .cmp(&b.1.is_nan())
                    .then(by_value)
                    .then_with(|| members[a.0].labels.cmp(&members[b.0].labels))
            });
            let count = if count.is_nan() { 0 } else { count.clamp(0.0, 1e9) as usize };
            for (rank, &(place, value)) in order.iter().take(count).enumerate() {
                kept[place][index] = Some(value);
                first_rank[place] = first_rank[place].min(rank);
            }
        }
        let mut chosen: Vec<(usize, Column)> = members
            .into_iter()
            .zip(kept)
            .zip(first_rank)
            .filter(|(_, rank)| *rank != usize::MAX)
            .map(|((member, points), rank)| (rank, Column { labels: member.labels, points }))
            .collect();
        chosen.sort_by_key(|(rank, _)| *rank);
        out.extend(chosen.into_iter().map(|(_, column)| column));
    }
    out
}

/// How many series have each value, under a label that holds the value.
fn count_values(groups: BTreeMap<Labels, Vec<Column>>, label: &str, grid: Grid) -> Result<Vec<Column>, ReplayError> {
    /// Distinct values at most; a gauge that never repeats has as many as samples.
    const MAX_VALUES: usize = 10_000;
    let mut out: BTreeMap<Labels, Vec<Option<f64>>> = BTreeMap::new();
    for (group, members) in groups {
        for member in members {
            for (index, value) in member.points.iter().enumerate() {
                let Some(value) = value else { continue };
                let mut labels = group.clone();
                labels.insert(label, &go_float(*value));
                let points = out.entry(labels).or_insert_with(|| vec![None; grid.count]);
                points[index] = Some(points[index].unwrap_or(0.0) + 1.0);
            }
            if out.len() > MAX_VALUES {
                return Err(ReplayError::TooLarge(format!("count_values finds more than {MAX_VALUES} values")));
            }
        }
    }
    Ok(out.into_iter().map(|(labels, points)| Column { labels, points }).collect())
}

/// A number as Go's `strconv.FormatFloat(v, 'f', -1, 64)` writes it.
fn go_float(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        value.to_string()
    }
}
