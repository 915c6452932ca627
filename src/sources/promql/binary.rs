//! Binary operators: arithmetic, comparisons and sets, with vector matching.

use std::collections::BTreeMap;

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_MOD, T_MUL, T_NEQ, T_POW, T_SUB,
    TokenType,
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::eval::{Evaluator, SAME_LABELS};
use super::value::{Column, Grid, Value, joined};
use crate::domain::Labels;
use crate::domain::labels::METRIC_NAME;
use crate::sources::replay::ReplayError;

pub(super) fn eval(evaluator: &Evaluator<'_>, expr: &BinaryExpr, grid: Grid) -> Result<Value, ReplayError> {
    let left = evaluator.eval(&expr.lhs, grid)?;
    let right = evaluator.eval(&expr.rhs, grid)?;
    let modifier = expr.modifier.as_ref();
    if let Some(fill) = modifier.map(|modifier| &modifier.fill_values)
        && (fill.lhs.is_some() || fill.rhs.is_some())
    {
        return Err(ReplayError::unsupported("fill", super::SUPPORTED));
    }
    let op = Op { token: expr.op, bool: expr.return_bool() };
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Ok(Value::Scalar(left.into_iter().zip(right).map(|(a, b)| op.scalar(a, b)).collect()))
        }
        (Value::Vector(columns), Value::Scalar(scalars)) => {
            let point = |vector: f64, scalar| op.point(vector, scalar, vector);
            Ok(Value::Vector(with_scalar(columns, &scalars, op, point)?))
        }
        (Value::Scalar(scalars), Value::Vector(columns)) => {
            let point = |vector: f64, scalar| op.point(scalar, vector, vector);
            Ok(Value::Vector(with_scalar(columns, &scalars, op, point)?))
        }
        (Value::Vector(left), Value::Vector(right)) => {
            evaluator.spend((left.len() + right.len()) * grid.count)?;
            let matching = Matching::new(modifier);
            Ok(Value::Vector(if op.token.is_set_operator() {
                set_operation(op, left, right, &matching, grid)
            } else {
                matched(op, left, right, &matching, grid)?
            }))
        }
        _ => Err(ReplayError::Wrong(format!("`{}` does not take strings", expr.op))),
    }
}

/// An operator.
#[derive(Clone, Copy)]
struct Op {
    token: TokenType,
    /// Whether a comparison gives 0 and 1 in place of filtering.
    bool: bool,
}

impl Op {
    fn compares(self) -> bool {
        self.token.is_comparison_operator()
    }

    /// Whether the result is no longer the metric on the left.
    fn drops_name(self) -> bool {
        !self.compares() || self.bool
    }

    /// The value of an arithmetic operator, or whether a comparison holds.
    fn apply(self, a: f64, b: f64) -> Result<f64, bool> {
        Ok(match self.token.id() {
            T_ADD => a + b,
            T_SUB => a - b,
            T_MUL => a * b,
            T_DIV => a / b,
            T_MOD => a % b,
            T_POW => a.powf(b),
            T_ATAN2 => a.atan2(b),
            T_EQLC => return Err(a == b),
            T_NEQ => return Err(a != b),
            T_GTR => return Err(a > b),
            T_LSS => return Err(a < b),
            T_GTE => return Err(a >= b),
            T_LTE => return Err(a <= b),
            _ => f64::NAN,
        })
    }

    fn scalar(self, a: f64, b: f64) -> f64 {
        self.apply(a, b).unwrap_or_else(|holds| f64::from(u8::from(holds)))
    }

    /// The point of a vector: a comparison that fails removes it, one that holds keeps `kept`.
    fn point(self, a: f64, b: f64, kept: f64) -> Option<f64> {
        match self.apply(a, b) {
            Ok(value) => Some(value),
            Err(holds) if self.bool => Some(f64::from(u8::from(holds))),
            Err(holds) => holds.then_some(kept),
        }
    }
}

fn with_scalar(
    mut columns: Vec<Column>,
    scalars: &[f64],
    op: Op,
    point: impl Fn(f64, f64) -> Option<f64>,
) -> Result<Vec<Column>, ReplayError> {
    for column in &mut columns {
        if op.drops_name() {
            column.labels.remove(METRIC_NAME);
        }
        for (value, &scalar) in column.points.iter_mut().zip(scalars) {
            *value = value.and_then(|value| point(value, scalar));
        }
    }
    columns.retain(|column| column.points.iter().any(Option::is_some));
    joined(columns, SAME_LABELS)
}

/// How elements of two vectors find each other.
struct Matching<'a> {
    on: bool,
    names: &'a [String],
    /// Labels taken over from the "one" side by `group_left` and `group_right`.
    include: &'a [String],
    side: Side,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    OneToOne,
    ManyLeft,
    ManyRight,
}

impl<'a> Matching<'a> {
    fn new(modifier: Option<&'a BinModifier>) -> Self {
        let (on, names): (bool, &[String]) = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
            Some(LabelModifier::Include(names)) => (true, &names.labels),
            Some(LabelModifier::Exclude(names)) => (false, &names.labels),
            None => (false, &[]),
        };
        let (side, include): (Side, &[String]) = match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(labels)) => (Side::ManyLeft, &labels.labels),
            Some(VectorMatchCardinality::OneToMany(labels)) => (Side::ManyRight, &labels.labels),
            _ => (Side::OneToOne, &[]),
        };
        Self { on, names, include, side }
    }

    /// What two elements must have in common.
    fn signature(&self, labels: &Labels) -> Labels {
        if self.on {
            self.names.iter().filter_map(|name| labels.get(name).map(|value| (name, value))).collect()
        } else {
            let mut rest = labels.clone();
            rest.remove(METRIC_NAME);
            for name in self.names {
                rest.remove(name);
            }
            rest
        }
    }

    /// The labels of the result, as `resultMetric` of Prometheus' engine makes them.
    fn result(&self, many: &Labels, one: &Labels, op: Op) -> Labels {
        let mut labels = many.clone();
        if op.drops_name() {
            labels.remove(METRIC_NAME);
        }
        if self.side == Side::OneToOne {
            if self.on {
                labels = self.names.iter().filter_map(|name| labels.get(name).map(|value| (name, value))).collect();
            } else {
                for name in self.names {
                    labels.remove(name);
                }
            }
        }
        for name in self.include {
            match one.get(name) {
                Some(value) => labels.insert(name, value),
                None => {
                    labels.remove(name);
                }
            }
        }
        labels
    }
}

fn matched(
    op: Op,
    left: Vec<Column>,
    right: Vec<Column>,
    matching: &Matching<'_>,
    grid: Grid,
) -> Result<Vec<Column>, ReplayError> {
    let swapped = matching.side == Side::ManyRight;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut ones: BTreeMap<Labels, Vec<Column>> = BTreeMap::new();
    for column in one {
        ones.entry(matching.signature(&column.labels)).or_default().push(column);
    }
    // The single element with this signature at each instant.
    for (signature, columns) in &ones {
        for index in 0..grid.count {
            if columns.iter().filter(|column| column.points[index].is_some()).count() > 1 {
                let side = if swapped { "left" } else { "right" };
                return Err(ReplayError::Wrong(format!(
                    "several series on the {side} side match {signature}: many-to-many matching is not allowed, \
                     matching labels must be unique on one side"
                )));
            }
        }
    }
    let mut out = Vec::new();
    // Which signatures were used at which instant, for one-to-one matching.
    let mut used: BTreeMap<Labels, Vec<bool>> = BTreeMap::new();
    for column in many {
        let signature = matching.signature(&column.labels);
        let Some(partners) = ones.get(&signature) else { continue };
        for partner in partners {
            let points: Vec<Option<f64>> = column
                .points
                .iter()
                .zip(&partner.points)
                .map(|(many, one)| {
                    let (many, one) = (many.as_ref()?, one.as_ref()?);
                    let (a, b) = if swapped { (*one, *many) } else { (*many, *one) };
                    op.point(a, b, a)
                })
                .collect();
            if points.iter().all(Option::is_none) {
                continue;
            }
            if matching.side == Side::OneToOne {
                let used = used.entry(signature.clone()).or_insert_with(|| vec![false; grid.count]);
                for (used, point) in used.iter_mut().zip(&points) {
                    if point.is_some() && std::mem::replace(used, true) {
                        return Err(ReplayError::Wrong(format!(
                            "several series on the left side match {signature}: many-to-one matching must be explicit \
                             (group_left or group_right)"
                        )));
                    }
                }
            }
            out.push(Column { labels: matching.result(&column.labels, &partner.labels, op), points });
        }
    }
    joined(out, "several matches give the same labels; grouping labels must ensure unique matches:")
}

fn set_operation(op: Op, left: Vec<Column>, right: Vec<Column>, matching: &Matching<'_>, grid: Grid) -> Vec<Column> {
    let presence = |columns: &[Column]| {
        let mut present: BTreeMap<Labels, Vec<bool>> = BTreeMap::new();
        for column in columns {
            let seen = present.entry(matching.signature(&column.labels)).or_insert_with(|| vec![false; grid.count]);
            for (seen, point) in seen.iter_mut().zip(&column.points) {
                *seen |= point.is_some();
            }
        }
        present
    };
    let keep = |columns: Vec<Column>, other: &BTreeMap<Labels, Vec<bool>>, when: bool| -> Vec<Column> {
        let mut kept = columns;
        for column in &mut kept {
            let seen = other.get(&matching.signature(&column.labels));
            for (index, point) in column.points.iter_mut().enumerate() {
                if seen.is_some_and(|seen| seen[index]) != when {
                    *point = None;
                }
            }
        }
        kept.retain(|column| column.points.iter().any(Option::is_some));
        kept
    };
    match op.token.id() {
        T_LAND => keep(left, &presence(&right), true),
        T_LOR => {
            let seen = presence(&left);
            let mut out = left;
            // A series may come from the left at one instant and from the right at another.
            for column in keep(right, &seen, false) {
                match out.iter_mut().find(|mine| mine.labels == column.labels) {
                    Some(mine) => {
                        for (mine, theirs) in mine.points.iter_mut().zip(column.points) {
                            *mine = mine.or(theirs);
                        }
                    }
                    None => out.push(column),
                }
            }
            out
        }
        _ => keep(left, &presence(&right), false),
    }
}
