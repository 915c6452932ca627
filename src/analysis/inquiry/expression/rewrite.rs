//! Expressions rewritten: filters taken out, and one service's matchers.

use std::collections::BTreeSet;

use promql_parser::label::{Labels, MatchOp, Matcher, Matchers};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector, token};

use super::super::super::entity::{REPLICA_LABELS, is_collector};
use super::DEEPEST;
use crate::domain::labels::SERVICE_LABELS;

/// The quantity without what filters it: comparisons become their vector side, `and` and `unless` their left one.
/// `count(x > 5)` counts what passed the filter and becomes `sum(x > bool 5)`, which is 0 where nothing passes.
/// Functions that keep or extrapolate a value over time give way to the value.
pub(super) fn bare(expr: &Expr, depth: usize) -> Expr {
    if depth > DEEPEST {
        return expr.clone();
    }
    match expr {
        Expr::Paren(paren) => match bare(&paren.expr, depth + 1) {
            inner @ (Expr::Binary(_) | Expr::Unary(_)) => {
                let mut paren = paren.clone();
                paren.expr = Box::new(inner);
                Expr::Paren(paren)
            }
            inner => inner,
        },
        Expr::Binary(binary) if binary.op.is_comparison_operator() && !binary.return_bool() => {
            let scalar = binary.lhs.value_type() == ValueType::Scalar;
            bare(if scalar { &binary.rhs } else { &binary.lhs }, depth + 1)
        }
        Expr::Binary(binary) if matches!(binary.op.id(), token::T_LAND | token::T_LUNLESS) => {
            bare(&binary.lhs, depth + 1)
        }
        Expr::Binary(binary) => {
            let mut binary = binary.clone();
            binary.lhs = Box::new(bare(&binary.lhs, depth + 1));
            binary.rhs = Box::new(bare(&binary.rhs, depth + 1));
            Expr::Binary(binary)
        }
        Expr::Unary(unary) => {
            let mut unary = unary.clone();
            unary.expr = Box::new(bare(&unary.expr, depth + 1));
            Expr::Unary(unary)
        }
        Expr::Aggregate(aggregate) => Expr::Aggregate(bare_aggregate(aggregate, depth)),
        Expr::Call(call) => bare_call(call, depth),
        other => other.clone(),
    }
}

fn bare_aggregate(aggregate: &AggregateExpr, depth: usize) -> AggregateExpr {
    let mut aggregate = aggregate.clone();
    let counted = match unwrapped(&aggregate.expr) {
        Expr::Binary(binary) if aggregate.op.id() == token::T_COUNT && binary.op.is_comparison_operator() => {
            Some(binary.clone())
        }
        _ => None,
    };
    match counted.filter(|binary| !binary.return_bool()) {
        Some(mut binary) => {
            binary.modifier = Some(binary.modifier.unwrap_or_default().with_return_bool(true));
            aggregate.op = token::TokenType::new(token::T_SUM);
            aggregate.expr = Box::new(Expr::Binary(binary));
        }
        None => aggregate.expr = Box::new(bare(&aggregate.expr, depth + 1)),
    }
    aggregate
}

fn bare_call(call: &Call, depth: usize) -> Expr {
    let over_time = |whole: &[&str]| whole.contains(&call.func.name);
    let range = call.args.args.iter().find(|arg| arg.value_type() == ValueType::Matrix).map(|arg| unwrapped(arg));
    let keeps = over_time(&[
        "avg_over_time",
        "max_over_time",
        "min_over_time",
        "last_over_time",
        "quantile_over_time",
        "present_over_time",
        "absent_over_time",
        "predict_linear",
    ]);
    match range {
        Some(Expr::MatrixSelector(matrix)) if keeps => return Expr::VectorSelector(matrix.vs.clone()),
        Some(Expr::Subquery(sub)) if keeps || over_time(&["count_over_time", "sum_over_time"]) => {
            return bare(&sub.expr, depth + 1);
        }
        Some(_) => return Expr::Call(call.clone()),
        None => {}
    }
    if call.func.name == "absent"
        && let Some(inner) = call.args.args.first()
    {
        return bare(inner, depth + 1);
    }
    let mut call = call.clone();
    for arg in &mut call.args.args {
        if arg.value_type() == ValueType::Vector {
            **arg = bare(arg, depth + 1);
        }
    }
    Expr::Call(call)
}

fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => unwrapped(&paren.expr),
        other => other,
    }
}

/// Hands every selector of the expression to `take`.
pub(super) fn each_selector(expr: &Expr, take: &mut dyn FnMut(&VectorSelector), depth: usize) {
    if depth > DEEPEST {
        return;
    }
    match expr {
        Expr::Aggregate(aggregate) => each_selector(&aggregate.expr, take, depth + 1),
        Expr::Unary(unary) => each_selector(&unary.expr, take, depth + 1),
        Expr::Binary(binary) => {
            each_selector(&binary.lhs, take, depth + 1);
            each_selector(&binary.rhs, take, depth + 1);
        }
        Expr::Paren(paren) => each_selector(&paren.expr, take, depth + 1),
        Expr::Subquery(subquery) => each_selector(&subquery.expr, take, depth + 1),
        Expr::VectorSelector(selector) => take(selector),
        Expr::MatrixSelector(matrix) => take(&matrix.vs),
        Expr::Call(call) => call.args.args.iter().for_each(|arg| each_selector(arg, take, depth + 1)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// The metric that a selector names.
pub(super) fn name_of(selector: &VectorSelector) -> Option<&str> {
    selector.name.as_deref().or_else(|| name_matcher(&selector.matchers))
}

fn name_matcher(matchers: &Matchers) -> Option<&str> {
    matchers
        .matchers
        .iter()
        .find(|matcher| matcher.name == "__name__" && matcher.op == MatchOp::Equal)
        .map(|matcher| matcher.value.as_str())
}

/// Adds the names of the metrics in the expression.
pub(super) fn metrics_of(expr: &Expr, metrics: &mut BTreeSet<String>, depth: usize) {
    each_selector(expr, &mut |selector| metrics.extend(name_of(selector).map(str::to_owned)), depth);
}

/// Labels whose matchers were taken out below a place of the expression.
#[derive(Default)]
struct Freed {
    services: BTreeSet<String>,
    replicas: BTreeSet<String>,
    /// Whether series were summed up below.
    summed: bool,
    /// Labels that series are summed up by, and so have.
    groups: BTreeSet<String>,
}

impl Freed {
    /// The labels that must survive a sum, so that series of several services stay apart.
    fn shown(&self) -> &BTreeSet<String> {
        if self.services.is_empty() { &self.replicas } else { &self.services }
    }

    fn join(&mut self, other: Self) {
        self.services.extend(other.services);
        self.replicas.extend(other.replicas);
        self.summed |= other.summed;
        self.groups.extend(other.groups);
    }
}

/// The expression without its matchers on one service; `None` when there are none, or when it would mix services.
pub(super) fn widened(expr: &Expr) -> Option<Expr> {
    let mut wide = expr.clone();
    let freed = free(&mut wide, 0)?;
    (!freed.shown().is_empty()).then_some(wide)
}

fn free(expr: &mut Expr, depth: usize) -> Option<Freed> {
    if depth > DEEPEST {
        return None;
    }
    match expr {
        Expr::Paren(paren) => free(&mut paren.expr, depth + 1),
        Expr::Unary(unary) => free(&mut unary.expr, depth + 1),
        Expr::Subquery(subquery) => free(&mut subquery.expr, depth + 1),
        Expr::VectorSelector(selector) => free_selector(selector),
        Expr::MatrixSelector(matrix) => free_selector(&mut matrix.vs),
        Expr::Aggregate(aggregate) => {
            let freed = free(&mut aggregate.expr, depth + 1)?;
            let shown = freed.shown().clone();
            if !shown.is_empty() {
                aggregate.modifier = Some(match aggregate.modifier.take() {
                    None => LabelModifier::Include(Labels { labels: shown.iter().cloned().collect() }),
                    Some(LabelModifier::Include(labels)) => LabelModifier::Include(with(labels, &shown)),
                    Some(LabelModifier::Exclude(labels)) => LabelModifier::Exclude(without(labels, &shown)),
                });
            }
            let groups = match &aggregate.modifier {
                Some(LabelModifier::Include(labels)) => labels.labels.iter().cloned().collect(),
                _ => BTreeSet::new(),
            };
            Some(Freed { services: shown, replicas: BTreeSet::new(), summed: true, groups })
        }
        Expr::Binary(binary) => free_binary(binary, depth),
        Expr::Call(call) => {
            let mut all = Freed::default();
            for arg in &mut call.args.args {
                all.join(free(arg, depth + 1)?);
            }
            // A scalar of several services is none of them.
            if call.func.name == "scalar" && !all.shown().is_empty() {
                return None;
            }
            Some(all)
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Some(Freed::default()),
    }
}

fn free_binary(binary: &mut BinaryExpr, depth: usize) -> Option<Freed> {
    let vectors = binary.lhs.value_type() == ValueType::Vector && binary.rhs.value_type() == ValueType::Vector;
    let mut left = free(&mut binary.lhs, depth + 1)?;
    let right = free(&mut binary.rhs, depth + 1)?;
    if vectors {
        let (a, b) = (left.shown(), right.shown());
        match binary.modifier.as_mut().and_then(|modifier| modifier.matching.as_mut()) {
            // Both sides have the labels: they tell which belongs to which.
            Some(LabelModifier::Include(labels)) if a == b => *labels = with(labels.clone(), a),
            Some(LabelModifier::Exclude(labels)) if a == b => *labels = without(labels.clone(), a),
            // A join on other labels, or plain series that bring all of theirs.
            Some(LabelModifier::Include(_)) if a.is_empty() || b.is_empty() => {}
            None if a == b || !(left.summed || right.summed) => {}
            // The other side is apart by these labels already.
            None if a.is_subset(&right.groups) && b.is_subset(&left.groups) => {}
            _ => return None,
        }
    }
    left.join(right);
    Some(left)
}

fn with(mut labels: Labels, more: &BTreeSet<String>) -> Labels {
    for label in more {
        if !labels.labels.contains(label) {
            labels.labels.push(label.clone());
        }
    }
    labels
}

fn without(mut labels: Labels, gone: &BTreeSet<String>) -> Labels {
    labels.labels.retain(|label| !gone.contains(label));
    labels
}

fn free_selector(selector: &mut VectorSelector) -> Option<Freed> {
    let mut freed = Freed::default();
    selector.matchers.matchers.retain(|matcher| {
        if !picks(matcher) {
            return true;
        }
        if SERVICE_LABELS.contains(&matcher.name.as_str()) {
            freed.services.insert(matcher.name.clone());
            false
        } else if REPLICA_LABELS.contains(&matcher.name.as_str()) {
            freed.replicas.insert(matcher.name.clone());
            false
        } else {
            true
        }
    });
    // A selector must keep a name or a matcher that rules out the empty set.
    (selector.name.is_some() || !selector.matchers.matchers.is_empty()).then_some(freed)
}

/// Whether a matcher picks some of many services; collectors are no services.
fn picks(matcher: &Matcher) -> bool {
    match matcher.op {
        MatchOp::Equal => !is_collector(&matcher.value),
        MatchOp::Re(_) => !matches!(matcher.value.as_str(), ".*" | ".+") && !matcher.value.split('|').all(is_collector),
        _ => false,
    }
}
