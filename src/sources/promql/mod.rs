//! PromQL over series in memory: what a replayed bundle answers in place of Prometheus.
//!
//! The subset is what screens, playbooks and questions use: selectors with `offset` and `@`, subqueries, the usual
//! functions, aggregations and binary operators, with Prometheus' semantics (5 minute lookback, extrapolation of
//! `rate`). <https://prometheus.io/docs/prometheus/latest/querying/basics/>. Stored samples carry no staleness
//! markers and no native histograms. Anything outside the subset is refused by name.
//!
//! An expression is evaluated once for all its instants: each value is a column of points, one an instant, so that
//! labels are looked at once a series and not once a point.

#![allow(clippy::float_cmp, reason = "the language compares numbers exactly, and so does its evaluation")]

mod aggregate;
mod binary;
mod eval;
mod function;
mod histogram;
mod labelling;
mod value;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use promql_parser::label::{Matcher, Matchers};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Expr, VectorSelector, parse};

pub(in crate::sources) use self::aggregate::quantile as aggregate_quantile;
use self::eval::Evaluator;
use self::value::Value;
pub(in crate::sources) use self::value::{Column, Grid};
use super::replay::ReplayError;
use super::series::{SeriesStore, StoredSeries, sample};
use crate::domain::labels::METRIC_NAME;
use crate::domain::metric::{Sample, Series};
use crate::domain::query::Data;
use crate::domain::{Labels, Text, TimeRange, Timestamp};

/// Points of one series an answer may have: Prometheus' own limit.
pub const MAX_POINTS: usize = 11_000;
/// Samples one evaluation may touch or produce: Prometheus' `--query.max-samples`.
const MAX_SAMPLES: u64 = 50_000_000;
/// Bytes of an expression, brackets open at once, and operators outside of selectors: deeper expressions would exhaust
/// the stack.
const MAX_EXPRESSION: usize = 32 << 10;
const MAX_NESTING: usize = 64;
const MAX_OPERATORS: usize = 200;

/// What can be asked in place of something outside the subset.
const SUPPORTED: &str = "supported are selectors, offset, @, subqueries, rate, irate, increase, delta, idelta, deriv, \
     predict_linear, changes, resets, the _over_time functions, absent, histogram_quantile, sum, avg, min, max, count, \
     stddev, stdvar, quantile, topk, bottomk, group, count_values, arithmetic, comparisons, and/or/unless, abs, ceil, \
     floor, round, clamp, ln, log2, log10, exp, sqrt, sgn, scalar, vector, time, timestamp, label_replace, label_join, \
     sort and sort_desc";

/// Whose semantics apply where major versions of Prometheus differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Semantics {
    /// Prometheus 2: a range includes a sample exactly at its left end, and so does the lookback. The default: series
    /// whose samples lie as far apart as the range is wide still have a rate.
    #[default]
    V2,
    /// Prometheus 3: ranges are open to the left.
    V3,
}

/// Evaluates `expr` at one instant. A range selector gives the raw samples.
pub fn instant(store: &SeriesStore, expr: &str, at: Timestamp, semantics: Semantics) -> Result<Data, ReplayError> {
    let grid = Grid::instant(at.millis());
    evaluated_at(&Evaluator::new(store, grid, semantics), &parsed(expr)?, grid)
}

/// Evaluates `expr` at `range.start`, and every `step` after until `range.end`, which is included.
pub fn range(
    store: &SeriesStore,
    expr: &str,
    range: TimeRange,
    step: Duration,
    semantics: Semantics,
) -> Result<Data, ReplayError> {
    let grid = Grid::new(range.start.millis(), range.end.millis(), step)?;
    evaluated_over(&Evaluator::new(store, grid, semantics), &parsed(expr)?, grid)
}

/// [`instant`] over vectors that are already there, by the names that stand for them in `expr`.
pub(in crate::sources) fn instant_over(
    given: BTreeMap<String, Vec<Column>>,
    expr: &str,
    at: Timestamp,
) -> Result<Data, ReplayError> {
    let (grid, store) = (Grid::instant(at.millis()), SeriesStore::default());
    evaluated_at(&Evaluator::new(&store, grid, Semantics::default()).over(given), &parsed(expr)?, grid)
}

/// [`range`] over vectors that are already there, by the names that stand for them in `expr`.
pub(in crate::sources) fn range_over(
    given: BTreeMap<String, Vec<Column>>,
    expr: &str,
    range: TimeRange,
    step: Duration,
) -> Result<Data, ReplayError> {
    let (grid, store) = (Grid::new(range.start.millis(), range.end.millis(), step)?, SeriesStore::default());
    evaluated_over(&Evaluator::new(&store, grid, Semantics::default()).over(given), &parsed(expr)?, grid)
}

fn evaluated_at(evaluator: &Evaluator<'_>, expr: &Expr, grid: Grid) -> Result<Data, ReplayError> {
    if expr.value_type() == ValueType::Matrix {
        return Ok(Data::Series(evaluator.raw_matrix(expr, grid)?));
    }
    let at = Timestamp::from_millis(grid.start);
    Ok(match evaluator.eval(expr, grid)? {
        Value::Scalar(points) => Data::Scalar(Sample { at, value: points[0] }),
        Value::Text(text) => Data::Word(Text::new(&text)),
        Value::Vector(mut columns) => {
            if !keeps_order(expr) {
                columns.sort_by(|a, b| a.labels.cmp(&b.labels));
            }
            Data::Series(columns.into_iter().filter_map(|column| to_series(column, grid)).collect())
        }
    })
}

fn evaluated_over(evaluator: &Evaluator<'_>, expr: &Expr, grid: Grid) -> Result<Data, ReplayError> {
    if matches!(expr.value_type(), ValueType::Matrix | ValueType::String) {
        return Err(ReplayError::Wrong(
            "a range vector or string cannot be drawn over time: wrap it in a function such as rate(…)".into(),
        ));
    }
    let mut columns = match evaluator.eval(expr, grid)? {
        Value::Scalar(points) => {
            vec![Column { labels: Labels::new(), points: points.into_iter().map(Some).collect() }]
        }
        Value::Vector(columns) => columns,
        Value::Text(_) => Vec::new(),
    };
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Data::Series(columns.into_iter().filter_map(|column| to_series(column, grid)).collect()))
}

/// The series that any of the selectors matches; all series when there is no selector.
pub fn matching<'a>(store: &'a SeriesStore, selectors: &[String]) -> Result<Vec<&'a StoredSeries>, ReplayError> {
    if selectors.is_empty() {
        return Ok(store.series().iter().collect());
    }
    let mut found: Vec<&StoredSeries> = Vec::new();
    for selector in selectors {
        match unwrapped(&parsed(selector)?) {
            Expr::VectorSelector(selector) => found.extend(select(store, selector)),
            _ => return Err(ReplayError::Wrong(format!("`{selector}` is not a series selector"))),
        }
    }
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    found.dedup_by(|a, b| std::ptr::eq(*a, *b));
    Ok(found)
}

/// Parses and refuses what would exhaust the stack.
fn parsed(expr: &str) -> Result<Expr, ReplayError> {
    let (mut depth, mut deepest, mut braces, mut operators) = (0_usize, 0, 0_usize, 0);
    let mut bytes = expr.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' | b'\'' | b'`' => {
                // Strings may hold anything; in all but raw ones a backslash hides the next character.
                while let Some(inner) = bytes.next() {
                    if inner == byte {
                        break;
                    }
                    if inner == b'\\' && byte != b'`' {
                        bytes.next();
                    }
                }
            }
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
                braces += usize::from(byte == b'{');
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                braces = braces.saturating_sub(usize::from(byte == b'}'));
            }
            b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'=' if braces == 0 => operators += 1,
            _ => {}
        }
    }
    let words = expr.split_whitespace().filter(|word| matches!(*word, "and" | "or" | "unless" | "atan2")).count();
    if expr.len() > MAX_EXPRESSION || deepest > MAX_NESTING || operators + words > MAX_OPERATORS {
        return Err(ReplayError::TooLarge("the expression is too long or too deeply nested".into()));
    }
    parse(expr).map_err(|error| ReplayError::Wrong(format!("the expression does not parse: {error}")))
}

/// The series a selector matches, in the order of the store.
fn select<'a>(store: &'a SeriesStore, selector: &VectorSelector) -> Vec<&'a StoredSeries> {
    let exact = selector.name.as_deref().or_else(|| {
        let names = &selector.matchers.matchers;
        names
            .iter()
            .find(|matcher| matcher.name == METRIC_NAME && matches!(matcher.op, promql_parser::label::MatchOp::Equal))
            .map(|matcher| matcher.value.as_str())
    });
    match exact {
        Some(name) => store.of_metric(name).filter(|one| matches(&selector.matchers, &one.labels)).collect(),
        None => store.series().iter().filter(|one| matches(&selector.matchers, &one.labels)).collect(),
    }
}

fn matches(matchers: &Matchers, labels: &Labels) -> bool {
    let all =
        |group: &[Matcher]| group.iter().all(|matcher| matcher.is_match(labels.get(&matcher.name).unwrap_or_default()));
    all(&matchers.matchers) && (matchers.or_matchers.is_empty() || matchers.or_matchers.iter().any(|group| all(group)))
}

/// The expression without the parentheses around it.
fn unwrapped(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// Whether the order of the result is part of it.
fn keeps_order(expr: &Expr) -> bool {
    match unwrapped(expr) {
        Expr::Call(call) => matches!(call.func.name, "sort" | "sort_desc"),
        Expr::Aggregate(aggregate) => matches!(aggregate.op.to_string().as_str(), "topk" | "bottomk"),
        _ => false,
    }
}

fn to_series(column: Column, grid: Grid) -> Option<Series> {
    let samples: Vec<Sample> = column
        .points
        .iter()
        .enumerate()
        .filter_map(|(index, value)| value.map(|value| sample(&(grid.time(index), value))))
        .collect();
    (!samples.is_empty()).then_some(Series { labels: column.labels, samples })
}

#[cfg(test)]
mod tests;
