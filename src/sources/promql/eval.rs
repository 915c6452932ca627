//! The walk over the expression: selectors, windows and the dispatch to operators and functions.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use promql_parser::parser::{AtModifier, Call, Expr, Offset, SubqueryExpr, UnaryExpr, VectorSelector};

use super::value::{Column, Grid, Value, joined};
use super::{MAX_SAMPLES, Semantics, aggregate, binary, function, select, unwrapped, window};
use crate::domain::Labels;
use crate::domain::labels::METRIC_NAME;
use crate::domain::metric::Series;
use crate::sources::replay::ReplayError;
use crate::sources::series::{Point, SeriesStore, sample};

/// How far back a sample counts as the present one, in milliseconds.
const LOOKBACK: i64 = 300_000;
/// The step of a subquery that names none: Prometheus' default evaluation interval.
const SUBQUERY_STEP: i64 = 60_000;

/// One evaluation: the store, and the bounds of the whole question.
pub(super) struct Evaluator<'a> {
    store: &'a SeriesStore,
    /// The grid of the question, which `@ start()` and `@ end()` refer to.
    whole: Grid,
    semantics: Semantics,
    spent: Cell<u64>,
    /// Vectors that are already there, by name.
    given: BTreeMap<String, Vec<Column>>,
}

/// Range vectors for all instants: the samples of each series, and where each instant's window ends.
pub(super) struct Windows<'a> {
    pub(super) series: Vec<(Labels, Cow<'a, [Point]>)>,
    /// The right end of the window at each instant.
    pub(super) ends: Vec<i64>,
    /// Width of the window.
    pub(super) range: i64,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(store: &'a SeriesStore, whole: Grid, semantics: Semantics) -> Self {
        Self { store, whole, semantics, spent: Cell::new(0), given: BTreeMap::new() }
    }

    /// Lets names stand for vectors that were evaluated elsewhere, at the instants of the whole question.
    pub(super) fn over(mut self, given: BTreeMap<String, Vec<Column>>) -> Self {
        self.given = given;
        self
    }

    pub(super) fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// Counts samples touched or produced, and ends the evaluation when they are too many.
    pub(super) fn spend(&self, samples: usize) -> Result<(), ReplayError> {
        let spent = self.spent.get().saturating_add(samples as u64);
        self.spent.set(spent);
        if spent > MAX_SAMPLES {
            return Err(ReplayError::TooLarge(format!("the expression touches more than {MAX_SAMPLES} samples")));
        }
        Ok(())
    }

    /// Evaluates a scalar, string or instant vector.
    pub(super) fn eval(&self, expr: &Expr, grid: Grid) -> Result<Value, ReplayError> {
        match expr {
            Expr::NumberLiteral(number) => Ok(Value::Scalar(vec![number.val; grid.count])),
            Expr::StringLiteral(text) => Ok(Value::Text(text.val.clone())),
            Expr::Paren(paren) => self.eval(&paren.expr, grid),
            Expr::Unary(unary) => self.negated(unary, grid),
            Expr::VectorSelector(selector) => Ok(Value::Vector(self.instant_vector(selector, grid, |point| point.1)?)),
            Expr::Aggregate(aggregate) => aggregate::eval(self, aggregate, grid),
            Expr::Binary(binary) => binary::eval(self, binary, grid),
            Expr::Call(call) => self.call(call, grid),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => Err(ReplayError::Wrong(
                "a range vector is only allowed as the argument of a function such as rate".into(),
            )),
            Expr::Extension(_) => Err(ReplayError::unsupported("this expression", super::SUPPORTED)),
        }
    }

    /// The raw samples of a range selector or subquery at one instant.
    pub(super) fn raw_matrix(&self, expr: &Expr, grid: Grid) -> Result<Vec<Series>, ReplayError> {
        let windows = self.windows(expr, grid)?;
        let mut all: Vec<Series> = windows
            .series
            .iter()
            .map(|(labels, points)| Series {
                labels: labels.clone(),
                samples: self.window(points, windows.ends[0], windows.range).iter().map(sample).collect(),
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(all)
    }

    /// The samples of one window.
    pub(super) fn window<'p>(&self, points: &'p [Point], end: i64, range: i64) -> &'p [Point] {
        let begin = end.saturating_sub(range);
        let first = match self.semantics {
            Semantics::V2 => points.partition_point(|point| point.0 < begin),
            Semantics::V3 => points.partition_point(|point| point.0 <= begin),
        };
        let after = points.partition_point(|point| point.0 <= end);
        &points[first..after.max(first)]
    }

    /// The value of each series at each instant: the last sample of the five minutes before.
    pub(super) fn instant_vector(
        &self,
        selector: &VectorSelector,
        grid: Grid,
        value: impl Fn(&Point) -> f64,
    ) -> Result<Vec<Column>, ReplayError> {
        if let Some(given) = selector.name.as_ref().and_then(|name| self.given.get(name)) {
            if grid != self.whole {
                return Err(ReplayError::unsupported("a subquery over logs", super::SUPPORTED));
            }
            return Ok(given.clone());
        }
        let ends = self.ends(selector.at.as_ref(), selector.offset.as_ref(), grid);
        let mut columns = Vec::new();
        for series in select(self.store, selector) {
            self.spend(grid.count)?;
            let points: Vec<Option<f64>> = ends
                .iter()
                .map(|&end| {
                    let after = series.points.partition_point(|point| point.0 <= end);
                    let last = series.points[..after].last()?;
                    let fresh = match self.semantics {
                        Semantics::V2 => last.0 >= end.saturating_sub(LOOKBACK),
                        Semantics::V3 => last.0 > end.saturating_sub(LOOKBACK),
                    };
                    fresh.then(|| value(last))
                })
                .collect();
            if points.iter().any(Option::is_some) {
                columns.push(Column { labels: series.labels.clone(), points });
            }
        }
        Ok(columns)
    }

    /// The windows of a range selector or subquery.
    pub(super) fn windows(&self, expr: &Expr, grid: Grid) -> Result<Windows<'a>, ReplayError> {
        match unwrapped(expr) {
            Expr::MatrixSelector(matrix) => {
                let series = select(self.store, &matrix.vs)
                    .into_iter()
                    .map(|one| (one.labels.clone(), Cow::Borrowed(one.points.as_slice())))
                    .collect();
                let ends = self.ends(matrix.vs.at.as_ref(), matrix.vs.offset.as_ref(), grid);
                Ok(Windows { series, ends, range: millis(matrix.range) })
            }
            Expr::Subquery(subquery) => self.subquery(subquery, grid),
            _ => Err(ReplayError::Wrong("a range vector such as `metric[5m]` is needed here".into())),
        }
    }

    /// Evaluates the inner expression at multiples of the step, wherever a window needs it.
    fn subquery(&self, subquery: &SubqueryExpr, grid: Grid) -> Result<Windows<'a>, ReplayError> {
        let ends = self.ends(subquery.at.as_ref(), subquery.offset.as_ref(), grid);
        let range = millis(subquery.range);
        let step = subquery.step.map_or(SUBQUERY_STEP, millis).max(1);
        let (first, last) = (ends.iter().min().copied().unwrap_or(0), ends.iter().max().copied().unwrap_or(0));
        let from = first.saturating_sub(range);
        let start = from.div_euclid(step).saturating_mul(step);
        let start = if start < from { start.saturating_add(step) } else { start };
        let count = if last < start { 0 } else { last.saturating_sub(start) / step + 1 };
        if count as u64 > MAX_SAMPLES {
            return Err(ReplayError::TooLarge(format!("a subquery of {count} steps")));
        }
        let inner = Grid { start, step, count: count as usize };
        self.spend(inner.count)?;
        let columns = if inner.count == 0 {
            Vec::new()
        } else {
            match self.eval(&subquery.expr, inner)? {
                Value::Vector(columns) => columns,
                Value::Scalar(points) => {
                    vec![Column { labels: Labels::new(), points: points.into_iter().map(Some).collect() }]
                }
                Value::Text(_) => return Err(ReplayError::Wrong("a subquery over a string".into())),
            }
        };
        let series = columns
            .into_iter()
            .map(|column| {
                let points: Vec<Point> = column
                    .points
                    .iter()
                    .enumerate()
                    .filter_map(|(index, value)| value.map(|value| (inner.time(index), value)))
                    .collect();
                (column.labels, Cow::Owned(points))
            })
            .collect();
        Ok(Windows { series, ends, range })
    }

    /// The instants at which a selector is looked at: `@` fixes them, `offset` moves them.
    fn ends(&self, at: Option<&AtModifier>, offset: Option<&Offset>, grid: Grid) -> Vec<i64> {
        let fixed = at.map(|at| match at {
            AtModifier::Start => self.whole.start,
            AtModifier::End => self.whole.end(),
            AtModifier::At(time) => match time.duration_since(UNIX_EPOCH) {
                Ok(since) => millis(since),
                Err(before) => -millis(before.duration()),
            },
        });
        let shift = offset.map_or(0, |offset| match offset {
            Offset::Pos(span) => millis(*span),
            Offset::Neg(span) => -millis(*span),
        });
        grid.times().map(|time| fixed.unwrap_or(time).saturating_sub(shift)).collect()
    }

    fn negated(&self, unary: &UnaryExpr, grid: Grid) -> Result<Value, ReplayError> {
        Ok(match self.eval(&unary.expr, grid)? {
            Value::Scalar(points) => Value::Scalar(points.into_iter().map(|value| -value).collect()),
            Value::Vector(columns) => Value::Vector(mapped(columns, |value| -value)?),
            Value::Text(_) => return Err(ReplayError::Wrong("a string cannot be negated".into())),
        })
    }

    fn call(&self, call: &Call, grid: Grid) -> Result<Value, ReplayError> {
        match window::Over::named(call.func.name) {
            Some(over) => window::eval(self, over, call, grid),
            None => function::eval(self, call, grid),
        }
    }
}

/// Applies a function to every point; the result is no longer the metric, so its name goes.
pub(super) fn mapped(mut columns: Vec<Column>, f: impl Fn(f64) -> f64) -> Result<Vec<Column>, ReplayError> {
    for column in &mut columns {
        column.labels.remove(METRIC_NAME);
        for value in column.points.iter_mut().flatten() {
            *value = f(*value);
        }
    }
    joined(columns, SAME_LABELS)
}

/// Said when names were dropped and two series became one.
pub(super) const SAME_LABELS: &str = "the vector cannot contain metrics with the same label set:";

pub(super) fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}
