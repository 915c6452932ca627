//! What a rule's expression measures: the expression without its threshold, and widened to all services.

use std::collections::BTreeSet;

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr, VectorSelector, token};

use super::super::entity::REPLICA_LABELS;
use crate::domain::alert::{Alert, Rule};
use crate::domain::labels::SERVICE_LABELS;

/// One measured quantity of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The expression without its threshold.
    pub expr: String,
    /// The same with the matchers on one service taken out, when that makes a difference: how all services do in
    /// the same respect.
    pub widened: Option<String>,
    /// Names of the metrics in it, sorted.
    pub metrics: Vec<String>,
}

/// Takes a rule's expression apart: comparisons with a number fall away, both sides of `and` and `or` are kept, of
/// `unless` the left one. At most three quantities; empty when the expression cannot be parsed.
pub fn measured(expression: &str) -> Vec<Measured> {
    let Ok(expr) = parser::parse(expression) else { return Vec::new() };
    let mut parts = Vec::new();
    strip(&expr, &mut parts, 0);
    let mut out: Vec<Measured> = Vec::new();
    for part in parts {
        let text = part.to_string();
        // The printed form must read as it was meant; a printer that fails at this loses us the question, not the run.
        if parser::parse(&text).is_err() || out.iter().any(|known| known.expr == text) {
            continue;
        }
        let mut metrics = BTreeSet::new();
        let mut wide = part.clone();
        let widened = visit(&mut wide, &mut metrics);
        out.push(Measured {
            expr: text,
            widened: Some(wide.to_string()).filter(|text| widened && parser::parse(text).is_ok()),
            metrics: metrics.into_iter().collect(),
        });
        if out.len() == 3 {
            break;
        }
    }
    out
}

/// Finds the measured vectors under comparisons and set operators.
fn strip<'e>(expr: &'e Expr, parts: &mut Vec<&'e Expr>, depth: usize) {
    if depth > 32 {
        return;
    }
    match expr {
        Expr::Paren(paren) => strip(&paren.expr, parts, depth + 1),
        Expr::Binary(binary) if binary.op.is_comparison_operator() => {
            for side in [&binary.lhs, &binary.rhs] {
                if side.value_type() != ValueType::Scalar {
                    strip(side, parts, depth + 1);
                }
            }
        }
        Expr::Binary(binary) if binary.op.is_set_operator() => {
            strip(&binary.lhs, parts, depth + 1);
            if binary.op.id() != token::T_LUNLESS {
                strip(&binary.rhs, parts, depth + 1);
            }
        }
        Expr::Call(call) if matches!(call.func.name, "absent" | "absent_over_time") => {
            if let Some(inner) = call.args.args.first() {
                match inner.as_ref() {
                    // Without its function a range is no vector.
                    Expr::MatrixSelector(_) | Expr::Subquery(_) => {}
                    inner => strip(inner, parts, depth + 1),
                }
            }
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::MatrixSelector(_) | Expr::Subquery(_) => {}
        Expr::Call(call) if call.args.args.is_empty() => {}
        other => parts.push(other),
    }
}

/// Collects metric names and removes matchers on services and replicas; whether one was removed.
fn visit(expr: &mut Expr, metrics: &mut BTreeSet<String>) -> bool {
    match expr {
        Expr::Aggregate(aggregate) => visit(&mut aggregate.expr, metrics),
        Expr::Unary(unary) => visit(&mut unary.expr, metrics),
        Expr::Binary(binary) => {
            let left = visit(&mut binary.lhs, metrics);
            visit(&mut binary.rhs, metrics) || left
        }
        Expr::Paren(paren) => visit(&mut paren.expr, metrics),
        Expr::Subquery(subquery) => visit(&mut subquery.expr, metrics),
        Expr::VectorSelector(selector) => widen(selector, metrics),
        Expr::MatrixSelector(matrix) => widen(&mut matrix.vs, metrics),
        Expr::Call(call) => {
            let mut any = false;
            for arg in &mut call.args.args {
                // Every argument is visited, whatever the ones before it said.
                any |= visit(arg, metrics);
            }
            any
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => false,
    }
}

fn widen(selector: &mut VectorSelector, metrics: &mut BTreeSet<String>) -> bool {
    if let Some(name) = selector.name.clone().or_else(|| name_matcher(&selector.matchers)) {
        metrics.insert(name);
    }
    let before = selector.matchers.matchers.len();
    selector.matchers.matchers.retain(|matcher| {
        let place = SERVICE_LABELS.contains(&matcher.name.as_str()) || REPLICA_LABELS.contains(&matcher.name.as_str());
        !(place && matches!(matcher.op, MatchOp::Equal | MatchOp::Re(_)))
    });
    // A selector must keep a name or a matcher that rules out the empty set.
    before != selector.matchers.matchers.len() && (selector.name.is_some() || !selector.matchers.matchers.is_empty())
}

fn name_matcher(matchers: &Matchers) -> Option<String> {
    matchers
        .matchers
        .iter()
        .find(|matcher| matcher.name == "__name__" && matcher.op == MatchOp::Equal)
        .map(|matcher| matcher.value.clone())
}

/// Services that the selectors of an expression name, sorted; empty when it cannot be parsed.
pub fn services(expression: &str) -> BTreeSet<String> {
    fn of_selector(selector: &VectorSelector, all: &mut BTreeSet<String>) {
        let named = selector.matchers.matchers.iter().find(|matcher| SERVICE_LABELS.contains(&matcher.name.as_str()));
        if let Some(matcher) = named {
            let plain = |name: &&str| {
                !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | ':'))
            };
            match matcher.op {
                MatchOp::Equal => _ = all.insert(matcher.value.clone()),
                MatchOp::Re(_) if matcher.value.split('|').all(|name| plain(&name)) => {
                    all.extend(matcher.value.split('|').map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    fn walk(expr: &Expr, all: &mut BTreeSet<String>, depth: usize) {
        if depth > 32 {
            return;
        }
        match expr {
            Expr::Aggregate(aggregate) => walk(&aggregate.expr, all, depth + 1),
            Expr::Unary(unary) => walk(&unary.expr, all, depth + 1),
            Expr::Binary(binary) => {
                walk(&binary.lhs, all, depth + 1);
                walk(&binary.rhs, all, depth + 1);
            }
            Expr::Paren(paren) => walk(&paren.expr, all, depth + 1),
            Expr::Subquery(subquery) => walk(&subquery.expr, all, depth + 1),
            Expr::VectorSelector(selector) => of_selector(selector, all),
            Expr::MatrixSelector(matrix) => of_selector(&matrix.vs, all),
            Expr::Call(call) => call.args.args.iter().for_each(|arg| walk(arg, all, depth + 1)),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
    }
    let mut all = BTreeSet::new();
    if let Ok(expr) = parser::parse(expression) {
        walk(&expr, &mut all, 0);
    }
    all.remove("");
    all
}

/// The expression of an alert: as its source gave it, else from its link, else from the rule of its name.
pub fn of_alert(alert: &Alert, rules: &[Rule]) -> Option<String> {
    let of_rule = || rules.iter().find(|rule| rule.alerting && rule.name == alert.name()).map(|rule| &rule.expression);
    alert.expression.clone().or_else(|| of_generator_url(&alert.generator_url)).or_else(|| of_rule().cloned())
}

/// The expression in the query string of a generator URL, as Prometheus writes it (`g0.expr=…`) and as Grafana and
/// Mimir write it (`expr` inside the `left` object is not read).
pub fn of_generator_url(url: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let raw = query.split('&').find_map(|pair| pair.strip_prefix("g0.expr="))?;
    percent_decode(raw).filter(|text| !text.trim().is_empty())
}

fn percent_decode(raw: &str) -> Option<String> {
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'%' => {
                let hex = raw.get(index + 1..index + 3)?;
                out.push(u8::from_str_radix(hex, 16).ok()?);
                index += 3;
            }
            b'+' => {
                out.push(b' ');
                index += 1;
            }
            byte => {
                out.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exprs(text: &str) -> Vec<String> {
        measured(text).into_iter().map(|part| part.expr).collect()
    }

    #[test]
    fn thresholds_fall_away() {
        assert_eq!(exprs("up == 0"), ["up"]);
        assert_eq!(exprs("0.5 < (a / b)"), ["a / b"]);
        assert_eq!(exprs("rate(errors_total[5m]) > 0.1 and rate(requests_total[5m]) > 1").len(), 2);
        assert_eq!(exprs("a > 1 unless b == 1"), ["a"]);
        assert_eq!(exprs("absent(up{job=\"x\"})"), ["up{job=\"x\"}"]);
        assert_eq!(exprs("a > b"), ["a", "b"]);
        assert_eq!(exprs("vector(1)"), ["vector(1)"]);
        assert!(exprs("((").is_empty());
        assert!(exprs("time() > 5").is_empty());
    }

    #[test]
    fn a_service_is_taken_out_and_the_rest_stays() {
        let parts = measured(r#"petshop_latency{service="PetSite",stat="Average"} > 0"#);
        assert_eq!(parts[0].widened.as_deref(), Some(r#"petshop_latency{stat="Average"}"#));
        assert_eq!(parts[0].metrics, ["petshop_latency"]);
        let parts = measured(r#"sum by (service) (rate(e{service=~"a|b"}[5m])) / sum by (service) (rate(r[5m])) > 1"#);
        assert_eq!(parts[0].metrics, ["e", "r"]);
        assert!(parts[0].widened.as_deref().unwrap().contains("rate(e[5m])"));
        assert_eq!(measured(r#"{service="x"} > 1"#)[0].widened, None);
        assert_eq!(measured("up == 0")[0].widened, None);
    }

    #[test]
    fn an_expression_names_services() {
        let of = |text: &str| services(text).into_iter().collect::<Vec<_>>();
        assert_eq!(of(r#"sum(rate(e{service="a"}[5m])) / sum(rate(r{job=~"b|c"}[5m])) > 1"#), ["a", "b", "c"]);
        assert!(of(r#"up{job!="a"} + up{job=~"a.*"}"#).is_empty());
        assert!(of("((").is_empty());
    }

    #[test]
    fn the_link_of_an_alert_carries_its_expression() {
        let url = "http://p/graph?g0.expr=lat%7Bservice%3D%22a%22%7D+%3E%200&g0.tab=1";
        assert_eq!(of_generator_url(url).as_deref(), Some(r#"lat{service="a"} > 0"#));
        assert_eq!(of_generator_url("http://p/graph?g0.expr=%zz"), None);
        assert_eq!(of_generator_url(""), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = (measured(&text), services(&text));
            let _ = of_generator_url(&text);
        }
    }
}
