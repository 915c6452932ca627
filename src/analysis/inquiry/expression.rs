//! What a rule's expression measures: the expression without its threshold, and widened to all services.

mod recording;
mod rewrite;
#[cfg(test)]
mod table;

use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr, VectorSelector, token};

use crate::domain::alert::{Alert, Rule, expression_of_link};
use crate::domain::labels::SERVICE_LABELS;

/// Quantities taken from one rule, at most.
const MOST_PARTS: usize = 3;
/// How deep expressions are walked; what lies deeper is left as it is.
const DEEPEST: usize = 32;

/// One measured quantity of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The expression without its threshold.
    pub expr: String,
    /// The same with the matchers on one service taken out, when that makes a difference: how all services do in
    /// the same respect. Sums over one service become sums by service.
    pub widened: Option<String>,
    /// Names of the metrics in it, sorted; those that its recording rules are computed from included.
    pub metrics: Vec<String>,
}

/// What is known beside the expression itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'k> {
    /// Rules; the recording ones explain the names they record.
    pub rules: &'k [Rule],
    /// Names of the metrics that the store has; empty when not known. A recorded series that is not there is replaced
    /// by what it would be computed from.
    pub names: Option<&'k BTreeSet<String>>,
}

/// Takes a rule's expression apart: comparisons fall away, both sides of `and` and `or` are kept, of `unless` the left
/// one; of one quantity over several spans (a burn rate over five minutes and an hour) the shortest, which shows the
/// onset best; of what a function extrapolates or keeps over time the quantity itself. At most three quantities; empty
/// when the expression cannot be parsed or measures nothing.
pub fn measured(expression: &str) -> Vec<Measured> {
    measured_with(expression, Known::default())
}

/// [`measured`], with recording rules understood.
pub fn measured_with(expression: &str, known: Known<'_>) -> Vec<Measured> {
    let Ok(expr) = parser::parse(expression) else { return Vec::new() };
    let mut parts = Vec::new();
    strip(&expr, &mut parts, 0);
    let mut out: Vec<(String, Measured)> = Vec::new();
    for part in parts {
        let bare = recording::expanded(&rewrite::bare(part, 0), known);
        let text = bare.to_string();
        let mut metrics = BTreeSet::new();
        rewrite::metrics_of(&bare, &mut metrics, 0);
        let mut selects = false;
        rewrite::each_selector(&bare, &mut |_| selects = true, 0);
        // The printed form must read as it was meant; a printer that fails at this loses us the question, not the run.
        if !selects || parser::parse(&text).is_err() {
            continue;
        }
        recording::add_origins(&mut metrics, known.rules);
        let widened = rewrite::widened(&bare).map(|wide| wide.to_string());
        let widened = widened.filter(|wide| *wide != text && parser::parse(wide).is_ok());
        let one = Measured { expr: text, widened, metrics: metrics.into_iter().collect() };
        let (quantity, span) = without_spans(&one.expr);
        match out.iter_mut().find(|(known, _)| *known == quantity) {
            Some((_, kept)) => {
                if span < without_spans(&kept.expr).1 {
                    *kept = one;
                }
            }
            None => out.push((quantity, one)),
        }
    }
    out.truncate(MOST_PARTS);
    out.into_iter().map(|(_, one)| one).collect()
}

/// Finds the measured vectors under comparisons and set operators.
fn strip<'e>(expr: &'e Expr, parts: &mut Vec<&'e Expr>, depth: usize) {
    if depth > DEEPEST {
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
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::MatrixSelector(_) | Expr::Subquery(_) => {}
        other => parts.push(other),
    }
}

/// The text with every span of time masked, and the sum of those spans in seconds: `rate(x[5m])` and `rate(x[1h])` are
/// one quantity, as are `slo:ratio_rate5m` and `slo:ratio_rate1h`.
fn without_spans(text: &str) -> (String, u64) {
    let mut masked = String::with_capacity(text.len());
    let (mut total, mut rest) = (0_u64, text);
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let length = rest[start..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - start);
        let (number, after) = (&rest[start..start + length], &rest[start + length..]);
        masked.push_str(&rest[..start]);
        let ends_there = |unit: &str| !after[unit.len()..].starts_with(|c: char| c.is_ascii_alphabetic());
        let unit = [("ms", 0), ("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800), ("y", 31_536_000)]
            .into_iter()
            .find(|(unit, _)| after.starts_with(unit) && ends_there(unit));
        if let Some((unit, seconds)) = unit {
            if !masked.ends_with('#') {
                masked.push('#');
            }
            total = total.saturating_add(number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(seconds));
            rest = &after[unit.len()..];
        } else {
            masked.push_str(number);
            rest = after;
        }
    }
    masked.push_str(rest);
    (masked, total)
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
    let mut all = BTreeSet::new();
    if let Ok(expr) = parser::parse(expression) {
        rewrite::each_selector(&expr, &mut |selector| of_selector(selector, &mut all), 0);
    }
    all.remove("");
    all
}

/// The expression of an alert: as its source gave it, else from its link, else from the rule of its name.
pub fn of_alert(alert: &Alert, rules: &[Rule]) -> Option<String> {
    let of_rule = || rules.iter().find(|rule| rule.alerting && rule.name == alert.name()).map(|rule| &rule.expression);
    alert.expression.clone().or_else(|| expression_of_link(&alert.generator_url)).or_else(|| of_rule().cloned())
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
        assert!(exprs("((").is_empty());
    }

    #[test]
    fn what_measures_nothing_is_not_asked() {
        assert!(exprs("vector(1)").is_empty());
        assert!(exprs("time() > 5").is_empty());
        assert_eq!(exprs("a > 1 and on() hour() > 8"), ["a"]);
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
    fn a_sum_over_one_service_becomes_a_sum_by_service() {
        let widened = |text: &str| measured(text)[0].widened.clone();
        assert_eq!(widened(r#"sum(rate(e{job="a"}[5m])) > 1"#).as_deref(), Some("sum by (job) (rate(e[5m]))"));
        assert_eq!(
            widened(r#"sum(rate(e{job="a",code="500"}[5m])) / sum(rate(e{job="a"}[5m])) > 0.1"#).as_deref(),
            Some(r#"sum by (job) (rate(e{code="500"}[5m])) / sum by (job) (rate(e[5m]))"#)
        );
        assert_eq!(
            widened(r#"histogram_quantile(0.9, sum by (le) (rate(b_bucket{app="a"}[5m]))) > 1"#).as_deref(),
            Some("histogram_quantile(0.9, sum by (le, app) (rate(b_bucket[5m])))")
        );
        // The collector of a series is no service, and a sum that only one side could be split by says nothing.
        assert_eq!(widened(r#"kube_pod_status_ready{job="kube-state-metrics"} == 0"#), None);
        assert_eq!(widened(r#"sum(a{job="a"}) / sum(b) > 1"#), None);
        assert_eq!(widened(r#"scalar(sum(a{job="a"})) * b > 1"#), None);
    }

    #[test]
    fn spans_are_masked() {
        assert_eq!(without_spans("rate(x5[5m30s])"), ("rate(x5[#])".into(), 330));
        assert_eq!(without_spans("rate(x5[5m])"), ("rate(x5[#])".into(), 300));
        assert_eq!(without_spans("a:rate1h + 2"), ("a:rate# + 2".into(), 3_600));
    }

    #[test]
    fn an_expression_names_services() {
        let of = |text: &str| services(text).into_iter().collect::<Vec<_>>();
        assert_eq!(of(r#"sum(rate(e{service="a"}[5m])) / sum(rate(r{job=~"b|c"}[5m])) > 1"#), ["a", "b", "c"]);
        assert!(of(r#"up{job!="a"} + up{job=~"a.*"}"#).is_empty());
        assert!(of("((").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = (measured(&text), services(&text), without_spans(&text));
        }

        #[test]
        fn what_is_measured_can_be_asked(
            metric in "[a-z]{1,5}", job in "[a-z]{1,4}", span in 1_u32..90,
            shape in prop::sample::select(vec!["sum(rate(M[Sm])) > 1", "avg_over_time(M[Sm]) > 1", "count(M > 3) > 2",
                "absent_over_time(M[Sm])", "max by (pod) (M) / max by (pod) (M offset Sm) > 1",
                "max_over_time((M > bool 3)[Sm:1m]) > 0", "predict_linear(M[Sm], 3600) < 0 and M < 5",
                "-M > 2", "sum(M) or vector(0) > 1", "topk(3, M) > 1"]),
        ) {
            let text = shape.replace('M', &format!("{metric}_x{{job=\"{job}\"}}")).replace('S', &span.to_string());
            prop_assert!(parser::parse(&text).is_ok(), "{}", text);
            let parts = measured(&text);
            prop_assert!(!parts.is_empty(), "{}", text);
            for part in parts {
                prop_assert!(parser::parse(&part.expr).is_ok_and(|expr| expr.value_type() == ValueType::Vector));
                let matcher = format!("\"{job}\"");
                prop_assert!(part.widened.is_none_or(|wide| !wide.contains(&matcher)));
            }
        }
    }
}
