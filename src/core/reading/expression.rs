//! Expressions in few words: what is measured, without how it is computed.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, VectorSelector};

use crate::domain::labels::SERVICE_LABELS;

/// Longer expressions are not read.
const LONGEST: usize = 4_000;
/// How deep expressions are walked.
const DEEPEST: usize = 32;

/// Labels that say where, which stands elsewhere on the screen.
const PLACE: [&str; 3] = ["namespace", "cluster", "job"];

/// The quantity that an expression measures: `p95 http_request_duration_seconds` of a `histogram_quantile` over its
/// buckets' rates, `pool_in_use / pool_limit` of a share. A metric's name, and what is no PromQL, stays as it is.
pub fn quantity(expression: &str) -> String {
    if !expression.contains('(') || expression.len() > LONGEST {
        return expression.to_owned();
    }
    parser::parse(expression)
        .ok()
        .and_then(|expr| words(&expr, 0))
        .filter(|short| short.len() < expression.len())
        .unwrap_or_else(|| expression.to_owned())
}

/// `None` for what measures nothing or nests too deep.
fn words(expr: &Expr, depth: usize) -> Option<String> {
    if depth > DEEPEST {
        return None;
    }
    let inner = |expr: &Expr| words(expr, depth + 1);
    match expr {
        Expr::VectorSelector(selector) => Some(selected(selector)),
        Expr::MatrixSelector(matrix) => Some(selected(&matrix.vs)),
        Expr::Subquery(subquery) => inner(&subquery.expr),
        Expr::Paren(paren) => match &*paren.expr {
            binary @ Expr::Binary(_) => inner(binary).map(|text| format!("({text})")),
            other => inner(other),
        },
        Expr::Unary(unary) => inner(&unary.expr).map(|text| format!("-{text}")),
        Expr::NumberLiteral(number) => Some(number.val.to_string()),
        Expr::Aggregate(aggregate) => {
            let text = inner(&aggregate.expr)?;
            match aggregate.op.to_string().as_str() {
                "sum" | "avg" => Some(text),
                name => Some(format!("{name} {text}")),
            }
        }
        Expr::Call(call) => {
            let measured = call.args.args.iter().find(|arg| !matches!(***arg, Expr::NumberLiteral(_)));
            let text = measured.and_then(|arg| inner(arg))?;
            match (call.func.name, call.args.args.first().map(|arg| &**arg)) {
                ("histogram_quantile", Some(Expr::NumberLiteral(share))) => {
                    let text = text.replace("_bucket", "");
                    Some(format!("p{} {text}", short_share(share.val)))
                }
                ("absent" | "absent_over_time" | "changes" | "resets" | "time" | "predict_linear" | "deriv", _) => {
                    Some(format!("{} {text}", call.func.name))
                }
                _ => Some(text),
            }
        }
        Expr::Binary(binary) if binary.op.is_comparison_operator() => inner(&binary.lhs),
        Expr::Binary(binary) => Some(format!("{} {} {}", inner(&binary.lhs)?, binary.op, inner(&binary.rhs)?)),
        Expr::StringLiteral(_) | Expr::Extension(_) => None,
    }
}

/// 0.95 as 95, 0.999 as 99.9.
fn short_share(share: f64) -> String {
    let percent = (share * 1e5).round() / 1e3;
    percent.to_string()
}

/// A metric with the matchers that tell which part of it is meant.
fn selected(selector: &VectorSelector) -> String {
    let place = |name: &str| PLACE.contains(&name) || SERVICE_LABELS.contains(&name) || name == "__name__";
    let matchers: Vec<String> =
        selector.matchers.matchers.iter().filter(|matcher| !place(&matcher.name)).map(matched).collect();
    let name = selector.name.clone().unwrap_or_default();
    if matchers.is_empty() { name } else { format!("{name}{{{}}}", matchers.join(",")) }
}

fn matched(matcher: &Matcher) -> String {
    let op = match matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Re(_) => "=~",
        MatchOp::NotRe(_) => "!~",
    };
    format!("{}{op}\"{}\"", matcher.name, matcher.value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_measured_is_told_without_how() {
        for (expression, words) in [
            ("up", "up"),
            ("pool_in_use{pool=\"a\"}", "pool_in_use{pool=\"a\"}"),
            (
                "histogram_quantile(0.95, sum by (service, pod, le) (rate(http_seconds_bucket{namespace=\"shop\"}[2m])))",
                "p95 http_seconds",
            ),
            ("histogram_quantile(0.999, rate(x_bucket[5m]))", "p99.9 x"),
            ("rate(wait_sum[2m]) / rate(wait_count[2m])", "wait_sum / wait_count"),
            (
                "sum(rate(r_total{code=~\"5..\",job=\"a\"}[5m])) / sum(rate(r_total{job=\"a\"}[5m])) > 0.1",
                "r_total{code=~\"5..\"} / r_total",
            ),
            ("max by (pod) (memory) / (1 + limit)", "max memory / (1 + limit)"),
            ("broken(", "broken("),
            ("vector(1)", "vector(1)"),
        ] {
            assert_eq!(quantity(expression), words);
        }
        let deep = format!("{}x{}", "abs(".repeat(100), ")".repeat(100));
        assert_eq!(quantity(&deep), deep);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_longer(expression in "(sum|rate|by|\\(|\\)|a_bucket|\\{b=\"c\"\\}|\\[5m\\]|/|0\\.9|,| ){0,20}") {
            prop_assert!(quantity(&expression).len() <= expression.len());
        }
    }
}
