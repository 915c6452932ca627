//! Recording rules: what stands behind a recorded name.

use std::collections::BTreeSet;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, VectorSelector};

use super::{DEEPEST, Known, rewrite};
use crate::domain::alert::Rule;

/// How many recording rules deep a name is explained: recorded names are made of recorded names.
const MOST_STEPS: usize = 4;
/// Names of metrics behind one expression, at most.
const MOST_NAMES: usize = 40;

/// Adds the metrics that the recorded ones among `metrics` are computed from.
pub(super) fn add_origins(metrics: &mut BTreeSet<String>, rules: &[Rule]) {
    let mut fresh: BTreeSet<String> = metrics.clone();
    for _ in 0..MOST_STEPS {
        let mut next = BTreeSet::new();
        for rule in rules.iter().filter(|rule| !rule.alerting && fresh.contains(&rule.name)) {
            if let Ok(expr) = parser::parse(&rule.expression) {
                rewrite::metrics_of(&expr, &mut next, 0);
            }
        }
        next.retain(|name| !metrics.contains(name));
        if next.is_empty() {
            return;
        }
        metrics.extend(next.iter().take(MOST_NAMES.saturating_sub(metrics.len())).cloned());
        fresh = next;
    }
}

/// The expression with recorded names that the store does not have replaced by what they are computed from.
pub(super) fn expanded(expr: &Expr, known: Known<'_>) -> Expr {
    let Some(names) = known.names.filter(|names| !names.is_empty()) else { return expr.clone() };
    let mut expr = expr.clone();
    for _ in 0..MOST_STEPS {
        if !expand(&mut expr, known.rules, names, 0) {
            break;
        }
    }
    expr
}

/// Whether something was replaced.
fn expand(expr: &mut Expr, rules: &[Rule], names: &BTreeSet<String>, depth: usize) -> bool {
    if depth > DEEPEST {
        return false;
    }
    match expr {
        Expr::Aggregate(aggregate) => expand(&mut aggregate.expr, rules, names, depth + 1),
        Expr::Unary(unary) => expand(&mut unary.expr, rules, names, depth + 1),
        Expr::Binary(binary) => {
            let left = expand(&mut binary.lhs, rules, names, depth + 1);
            expand(&mut binary.rhs, rules, names, depth + 1) || left
        }
        Expr::Paren(paren) => expand(&mut paren.expr, rules, names, depth + 1),
        Expr::Subquery(subquery) => expand(&mut subquery.expr, rules, names, depth + 1),
        Expr::Call(call) => {
            let mut any = false;
            for arg in &mut call.args.args {
                any |= expand(arg, rules, names, depth + 1);
            }
            any
        }
        Expr::VectorSelector(selector) => match definition(selector, rules, names) {
            Some(definition) => {
                *expr = definition;
                true
            }
            None => false,
        },
        // Of a recorded range only the store itself could make a range again.
        Expr::MatrixSelector(_) | Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => false,
    }
}

/// What the selected series would be computed from: the rule of that name whose own labels do not contradict the
/// selector, with the rest of the selector's matchers on every metric in it.
fn definition(selector: &VectorSelector, rules: &[Rule], names: &BTreeSet<String>) -> Option<Expr> {
    let name = rewrite::name_of(selector)?;
    if names.contains(name) || selector.offset.is_some() || selector.at.is_some() {
        return None;
    }
    let matchers: Vec<&Matcher> = selector.matchers.matchers.iter().filter(|one| one.name != "__name__").collect();
    let fits = |rule: &&Rule| {
        matchers
            .iter()
            .filter(|matcher| matcher.op == MatchOp::Equal)
            .all(|matcher| rule.labels.get(&matcher.name).is_none_or(|value| value == matcher.value))
    };
    let rule = rules.iter().filter(|rule| !rule.alerting && rule.name == name).find(fits)?;
    let rest: Vec<Matcher> =
        matchers.into_iter().filter(|matcher| rule.labels.get(&matcher.name).is_none()).cloned().collect();
    let text = format!("({})", rule.expression);
    let mut expr = parser::parse(&text).ok()?;
    narrow(&mut expr, &rest, 0);
    Some(expr)
}

fn narrow(expr: &mut Expr, matchers: &[Matcher], depth: usize) {
    if depth > DEEPEST || matchers.is_empty() {
        return;
    }
    let add = |selector: &mut VectorSelector| {
        for matcher in matchers {
            if !selector.matchers.matchers.contains(matcher) {
                selector.matchers.matchers.push(matcher.clone());
            }
        }
    };
    match expr {
        Expr::Aggregate(aggregate) => narrow(&mut aggregate.expr, matchers, depth + 1),
        Expr::Unary(unary) => narrow(&mut unary.expr, matchers, depth + 1),
        Expr::Binary(binary) => {
            narrow(&mut binary.lhs, matchers, depth + 1);
            narrow(&mut binary.rhs, matchers, depth + 1);
        }
        Expr::Paren(paren) => narrow(&mut paren.expr, matchers, depth + 1),
        Expr::Subquery(subquery) => narrow(&mut subquery.expr, matchers, depth + 1),
        Expr::Call(call) => call.args.args.iter_mut().for_each(|arg| narrow(arg, matchers, depth + 1)),
        Expr::VectorSelector(selector) => add(selector),
        Expr::MatrixSelector(matrix) => add(&mut matrix.vs),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::measured_with;
    use super::*;
    use crate::domain::{Labels, Text};

    fn rule(name: &str, expression: &str, labels: &[(&str, &str)]) -> Rule {
        Rule {
            group: "g".into(),
            name: name.into(),
            alerting: false,
            expression: expression.into(),
            for_seconds: 0.0,
            labels: labels.iter().copied().collect(),
            annotations: Labels::new(),
            last_error: Text::default(),
        }
    }

    #[test]
    fn a_recorded_name_is_understood() {
        let rules = [
            rule("job:errors:ratio5m", "job:errors:rate5m / sum by (job) (rate(requests_total[5m]))", &[]),
            rule("job:errors:rate5m", "sum by (job) (rate(errors_total[5m]))", &[]),
        ];
        let names = BTreeSet::from(["job:errors:ratio5m".to_owned(), "errors_total".to_owned()]);
        let there = measured_with("job:errors:ratio5m{job=\"a\"} > 0.1", Known { rules: &rules, names: Some(&names) });
        assert_eq!(there[0].expr, r#"job:errors:ratio5m{job="a"}"#);
        assert_eq!(there[0].widened.as_deref(), Some("job:errors:ratio5m"));
        assert_eq!(there[0].metrics, ["errors_total", "job:errors:rate5m", "job:errors:ratio5m", "requests_total"]);
        let names = BTreeSet::from(["errors_total".to_owned()]);
        let gone = measured_with("job:errors:ratio5m{job=\"a\"} > 0.1", Known { rules: &rules, names: Some(&names) });
        assert_eq!(
            gone[0].expr,
            "((sum by (job) (rate(errors_total{job=\"a\"}[5m]))) / sum by (job) (rate(requests_total{job=\"a\"}[5m])))"
        );
    }

    #[test]
    fn of_many_rules_of_one_name_that_with_the_selected_labels_is_taken() {
        let rules = [
            rule("slo:ratio_rate5m", "rate(a_total[5m])", &[("sloth_id", "a")]),
            rule("slo:ratio_rate5m", "rate(b_total[5m])", &[("sloth_id", "b")]),
        ];
        let names = BTreeSet::from(["b_total".to_owned()]);
        let known = Known { rules: &rules, names: Some(&names) };
        let parts = measured_with(r#"slo:ratio_rate5m{sloth_id="b",code="500"} > 0.1"#, known);
        assert_eq!(parts[0].expr, r#"(rate(b_total{code="500"}[5m]))"#);
    }

    #[test]
    fn a_rule_that_records_itself_ends() {
        let rules = [rule("a:b", "a:b + c", &[])];
        let names = BTreeSet::from(["c".to_owned()]);
        assert_eq!(measured_with("a:b > 1", Known { rules: &rules, names: Some(&names) })[0].metrics, ["a:b", "c"]);
    }
}
