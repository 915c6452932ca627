//! A PromQL expression in words: what it measures, step by step, the outermost step first.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, AtModifier, BinModifier, Expr, LabelModifier, Offset, VectorSelector};

use super::matching;
use crate::domain::time::human_duration;

/// Longer expressions are not read.
const LONGEST: usize = 10_000;
/// How deep expressions are walked.
const DEEPEST: usize = 24;
/// Most lines of an explanation.
const LINES: usize = 60;

/// A line of an explanation with how far it is set in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Levels it is set in.
    pub depth: usize,
    /// The words.
    pub text: String,
}

/// The expression in words; an error says why it cannot be read.
pub fn explain(expression: &str) -> Result<Vec<Step>, String> {
    if expression.len() > LONGEST {
        return Err("it is too long to be read".to_owned());
    }
    let expr = parser::parse(expression).map_err(|error| format!("it is not PromQL: {error}"))?;
    let mut steps = Vec::new();
    walk(&expr, 0, &mut steps);
    if steps.len() > LINES {
        let more = steps.len() - LINES;
        steps.truncate(LINES);
        steps.push(Step { depth: 0, text: format!("… and {more} more steps") });
    }
    Ok(steps)
}

/// The threshold at which an alert of this expression fires, in words; `None` where it compares nothing.
pub fn condition(expression: &str) -> Option<String> {
    let expr = parser::parse(expression).ok().filter(|_| expression.len() <= LONGEST)?;
    let mut expr = &expr;
    for _ in 0..DEEPEST {
        match expr {
            Expr::Paren(paren) => expr = &paren.expr,
            Expr::Binary(binary) if binary.op.is_comparison_operator() => {
                return Some(format!("`{}` {} `{}`", binary.lhs, comparison(&binary.op.to_string()), binary.rhs));
            }
            // Of several conditions joined by `and` and the like the whole is the condition.
            _ => return None,
        }
    }
    None
}

fn walk(expr: &Expr, depth: usize, steps: &mut Vec<Step>) {
    let mut say = |text: String| steps.push(Step { depth, text });
    if depth > DEEPEST {
        say("… nested too deep to go on".to_owned());
        return;
    }
    match expr {
        Expr::Paren(paren) => walk(&paren.expr, depth, steps),
        Expr::NumberLiteral(number) => say(format!("the number {}", number.val)),
        Expr::StringLiteral(text) => say(format!("the text \"{}\"", text.val)),
        Expr::VectorSelector(selector) => say(format!("the last value of each series {}", selected(selector))),
        Expr::MatrixSelector(matrix) => {
            say(format!("all samples of the last {} of {}", human_duration(matrix.range), selected(&matrix.vs)));
        }
        Expr::Unary(unary) => {
            say("with the opposite sign:".to_owned());
            walk(&unary.expr, depth + 1, steps);
        }
        Expr::Subquery(subquery) => {
            let step = subquery.step.map_or_else(String::new, |step| format!(", every {}", human_duration(step)));
            let range = human_duration(subquery.range);
            let when = moved(subquery.offset.as_ref(), subquery.at.as_ref());
            say(format!("the following, at each moment of the last {range}{step}{when}:"));
            walk(&subquery.expr, depth + 1, steps);
        }
        Expr::Aggregate(aggregate) => {
            let op = aggregate.op.to_string();
            let parameter = aggregate.param.as_ref().map(ToString::to_string);
            let what = aggregated(&op, parameter.as_deref());
            let by = match &aggregate.modifier {
                Some(LabelModifier::Include(labels)) if !labels.labels.is_empty() => {
                    format!(", one for each {}", labels.labels.join(", "))
                }
                Some(LabelModifier::Exclude(labels)) if !labels.labels.is_empty() => {
                    format!(", without regard to {}", labels.labels.join(", "))
                }
                _ => ", all together".to_owned(),
            };
            say(format!("{what}{by}, of"));
            walk(&aggregate.expr, depth + 1, steps);
        }
        Expr::Call(call) => {
            let name = call.func.name;
            let arguments: Vec<&Expr> = call.args.args.iter().map(|argument| &**argument).collect();
            let literal = |at: usize| match arguments.get(at) {
                Some(Expr::NumberLiteral(number)) => Some(number.val),
                _ => None,
            };
            say(called(name, literal(0), literal(1)));
            for argument in
                arguments.iter().filter(|one| !matches!(one, Expr::NumberLiteral(_) | Expr::StringLiteral(_)))
            {
                walk(argument, depth + 1, steps);
            }
        }
        Expr::Binary(binary) => {
            let op = binary.op.to_string();
            let on = binary.modifier.as_ref().map_or_else(String::new, paired);
            let words = match op.as_str() {
                "+" => "the sum of both".to_owned(),
                "-" => "the first less the second".to_owned(),
                "*" => "the product of both".to_owned(),
                "/" => "the first as a share of the second (divided by it)".to_owned(),
                "%" => "the remainder of the first divided by the second".to_owned(),
                "^" => "the first to the power of the second".to_owned(),
                "and" => "the first, where the second has a series with the same labels".to_owned(),
                "or" => "the first, and of the second what the first does not have".to_owned(),
                "unless" => "the first, except where the second has a series with the same labels".to_owned(),
                comparison_op => {
                    let as_bool = binary.modifier.as_ref().is_some_and(|modifier| modifier.return_bool);
                    let kept = if as_bool { "1 where, else 0:" } else { "only those series where" };
                    format!("{kept} the first {} the second", comparison(comparison_op))
                }
            };
            say(format!("{words}{on}:"));
            walk(&binary.lhs, depth + 1, steps);
            walk(&binary.rhs, depth + 1, steps);
        }
        Expr::Extension(_) => say("something that is not PromQL".to_owned()),
    }
}

fn comparison(op: &str) -> &'static str {
    match op {
        ">" => "is above",
        "<" => "is below",
        ">=" => "is at least",
        "<=" => "is at most",
        "==" => "equals",
        "!=" => "differs from",
        _ => "is compared with",
    }
}

/// How series of both sides find each other.
fn paired(modifier: &BinModifier) -> String {
    match &modifier.matching {
        Some(LabelModifier::Include(labels)) => format!(", paired by {}", labels.labels.join(", ")),
        Some(LabelModifier::Exclude(labels)) => format!(", paired by all labels but {}", labels.labels.join(", ")),
        None => String::new(),
    }
}

fn aggregated(op: &str, parameter: Option<&str>) -> String {
    let of = parameter.unwrap_or_default();
    match op {
        "sum" => "the sum".to_owned(),
        "avg" => "the average".to_owned(),
        "min" => "the lowest".to_owned(),
        "max" => "the highest".to_owned(),
        "count" => "the number of series".to_owned(),
        "group" => "1 where there is any".to_owned(),
        "stddev" => "the standard deviation".to_owned(),
        "stdvar" => "the variance".to_owned(),
        "topk" => format!("the {of} highest"),
        "bottomk" => format!("the {of} lowest"),
        "quantile" => format!("the value that {of} of them stay below (a quantile)"),
        "count_values" => "how many series have each value".to_owned(),
        other => format!("`{other}`"),
    }
}

/// What a function does; `first` and `second` are its arguments where they are numbers.
fn called(name: &str, first: Option<f64>, second: Option<f64>) -> String {
    let percent = |share: f64| {
        let percent = (share * 1e6).round() / 1e4;
        format!("{percent} %")
    };
    let words = match name {
        "rate" => "how fast a counter grows, per second, on average over the time (restarts allowed for), of",
        "irate" => "how fast a counter grows, per second, between its last two samples, of",
        "increase" => "by how much a counter grew in the time (restarts allowed for), of",
        "delta" => "by how much a value changed in the time, of",
        "idelta" => "by how much a value changed between its last two samples, of",
        "deriv" => "the slope of a value, per second, of",
        "predict_linear" => {
            let seconds = second.unwrap_or_default();
            return format!("the value expected {seconds} s from now if it goes on like this, of");
        }
        "histogram_quantile" => {
            let share = first.map_or_else(|| "a share".to_owned(), percent);
            return format!("the value that {share} of the observations stay below, estimated from buckets, of");
        }
        "quantile_over_time" => {
            let share = first.map_or_else(|| "a share".to_owned(), percent);
            return format!("the value that {share} of the samples of the time stay below, of");
        }
        "avg_over_time" => "the average over the time of",
        "min_over_time" => "the lowest in the time of",
        "max_over_time" => "the highest in the time of",
        "sum_over_time" => "the sum over the time of",
        "count_over_time" => "the number of samples in the time of",
        "last_over_time" => "the last value in the time of",
        "present_over_time" => "1 where there was any sample in the time of",
        "stddev_over_time" => "the standard deviation over the time of",
        "changes" => "how often the value changed in the time of",
        "resets" => "how often a counter began anew in the time (a restart) of",
        "absent" => "1 if there is no such series at all now:",
        "absent_over_time" => "1 if there was no such series at all in the time:",
        "abs" => "without regard to the sign:",
        "ceil" => "rounded up:",
        "floor" => "rounded down:",
        "round" => "rounded:",
        "clamp" | "clamp_min" | "clamp_max" => "kept within limits:",
        "exp" | "ln" | "log2" | "log10" | "sqrt" => {
            return format!("{name} of");
        }
        "label_replace" | "label_join" => "with a label made from others:",
        "sort" | "sort_desc" | "sort_by_label" => "sorted:",
        "time" => "the time now, in seconds since 1970",
        "timestamp" => "the time of the last sample, in seconds since 1970, of",
        "vector" => "as a series of its own:",
        "scalar" => "as a plain number:",
        "histogram_count" => "the number of observations in the histogram",
        "histogram_sum" => "the sum of observations in the histogram",
        "histogram_avg" => "the average observation in the histogram",
        other => return format!("the function {other} of"),
    };
    words.to_owned()
}

/// A metric with its matchers in words.
fn selected(selector: &VectorSelector) -> String {
    let name = selector.name.as_deref().map_or_else(|| "of any name".to_owned(), |name| format!("`{name}`"));
    let all = selector.matchers.matchers.iter().filter(|matcher| matcher.name != "__name__");
    let conditions: Vec<String> = all.map(matched).collect();
    let whose = if conditions.is_empty() { String::new() } else { format!(" whose {}", conditions.join(" and ")) };
    format!("{name}{whose}{}", moved(selector.offset.as_ref(), selector.at.as_ref()))
}

fn matched(matcher: &Matcher) -> String {
    let (name, value) = (&matcher.name, &matcher.value);
    match &matcher.op {
        MatchOp::Equal if value.is_empty() => format!("{name} is missing"),
        MatchOp::Equal => format!("{name} is \"{value}\""),
        MatchOp::NotEqual if value.is_empty() => format!("{name} is there"),
        MatchOp::NotEqual => format!("{name} is not \"{value}\""),
        MatchOp::Re(_) => format!("{name} {}", matching(value, true)),
        MatchOp::NotRe(_) => format!("{name} {}", matching(value, false)),
    }
}

fn moved(offset: Option<&Offset>, at: Option<&AtModifier>) -> String {
    let offset = match offset {
        Some(Offset::Pos(span)) => format!(", as it was {} ago", human_duration(*span)),
        Some(Offset::Neg(span)) => format!(", {} later", human_duration(*span)),
        None => String::new(),
    };
    let at = if at.is_some() { ", at a fixed time" } else { "" };
    format!("{offset}{at}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(expression: &str) -> String {
        let steps = explain(expression).unwrap();
        let lines: Vec<String> =
            steps.iter().map(|step| format!("{}{}\n", "  ".repeat(step.depth), step.text)).collect();
        lines.concat()
    }

    #[test]
    fn a_share_of_errors_is_told_step_by_step() {
        let expression = r#"sum by (service) (rate(http_requests_total{code=~"5..",job="web"}[5m])) / sum(rate(http_requests_total[5m])) > 0.05"#;
        assert_eq!(
            text(expression),
            "\
only those series where the first is above the second:
  the first as a share of the second (divided by it):
    the sum, one for each service, of
      how fast a counter grows, per second, on average over the time (restarts allowed for), of
        all samples of the last 5m of `http_requests_total` whose code begins with 5 and has two more characters and job is \"web\"
    the sum, all together, of
      how fast a counter grows, per second, on average over the time (restarts allowed for), of
        all samples of the last 5m of `http_requests_total`
  the number 0.05
"
        );
        assert_eq!(condition("(a / b) > 0.05").unwrap(), "`(a / b)` is above `0.05`");
        assert_eq!(condition("a and b"), None);
    }

    #[test]
    fn quantiles_offsets_and_absence_are_told() {
        let quantile = text("histogram_quantile(0.99, sum by (le) (rate(x_bucket[2m] offset 1h)))");
        assert!(quantile.starts_with("the value that 99 % of the observations stay below"), "{quantile}");
        assert!(quantile.contains("as it was 1h00m ago"), "{quantile}");
        assert!(text("absent(up{job=\"api\"})").contains("1 if there is no such series at all now:\n  the last value"));
        assert!(text("topk(3, x)").contains("the 3 highest, all together"));
        assert!(text("a unless on (pod) b").contains("paired by pod"));
        assert!(explain("sum(").unwrap_err().contains("not PromQL"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(expression in "(sum|rate|by|absent|topk|histogram_quantile|on|offset|and|\\(|\\)|a_bucket|\\{b=~\"c|d\"\\}|\\[5m\\]|\\[5m:\\]|/|>|0\\.9|,| |@|1h){0,24}") {
            let _ = explain(&expression);
            let _ = condition(&expression);
        }
    }
}
