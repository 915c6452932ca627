//! Metric queries: `rate({…} |= "x" [5m])` and its kin, inside PromQL's aggregations and operators.
//!
//! LogQL around its range functions is PromQL, so each range function is evaluated here, put in place of a name, and
//! the rest is left to [`super::super::promql`].

use std::collections::BTreeMap;

use super::lex::{Kind, Token};
use super::parse::{LogQuery, Parser, SUPPORTED, Span};
use super::{fields, within};
use crate::domain::log::LogEntry;
use crate::domain::{Labels, TimeRange, Timestamp};
use crate::sources::promql::{Column, Grid, aggregate_quantile};
use crate::sources::replay::ReplayError;

/// Series one range function may give: a field with unbounded values would fill the memory.
const MAX_SERIES: usize = 5_000;
/// Points all range functions of an expression may give.
const MAX_CELLS: usize = 5_000_000;

/// A function over the entries of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Over {
    Rate,
    Count,
    BytesRate,
    Bytes,
    Absent,
    Sum,
    Avg,
    Min,
    Max,
    First,
    Last,
    Quantile(f64),
}

/// A range function with its log query.
#[derive(Debug)]
pub(super) struct Leaf {
    over: Over,
    query: LogQuery,
    span: Span,
    /// Labels the result is grouped by, for unwrapped values.
    grouping: Option<(bool, Vec<String>)>,
}

/// Finds the range functions of an expression. Returns them with the expression in which names stand in their place.
pub(super) fn split(expr: &str, tokens: &[Token]) -> Result<(Vec<Leaf>, String), ReplayError> {
    let mut leaves = Vec::new();
    let mut rest = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < tokens.len() {
        let Some((over, mut parser)) = begins_leaf(tokens, at)? else {
            if matches!(tokens[at].kind, Kind::Mark("{")) {
                return Err(ReplayError::Wrong(
                    "a log query gives lines, not numbers: wrap it in a function such as count_over_time(… [5m])"
                        .into(),
                ));
            }
            at += 1;
            continue;
        };
        let (query, span) = parser.log_query()?;
        let Some(span) = span else { return Err(parser.unexpected("a range such as [5m]")) };
        parser.expect(")")?;
        let mut grouping = None;
        for (word, by) in [("by", true), ("without", false)] {
            if parser.eat_word(word) {
                grouping = Some((by, names(&mut parser)?));
            }
        }
        let needs_value = matches!(
            over,
            Over::Sum | Over::Avg | Over::Min | Over::Max | Over::First | Over::Last | Over::Quantile(_)
        );
        if needs_value && !query.pipeline.unwraps() {
            return Err(ReplayError::Wrong("this function needs `| unwrap label` to have numbers".into()));
        }
        rest.push_str(&expr[copied..tokens[at].start]);
        rest.push_str(&leaf_name(leaves.len()));
        leaves.push(Leaf { over, query, span, grouping });
        at = parser.at;
        copied = tokens[at - 1].end;
    }
    rest.push_str(&expr[copied..]);
    Ok((leaves, rest))
}

/// The name that stands in place of a range function.
pub(super) fn leaf_name(index: usize) -> String {
    format!("logql_range_{index}")
}

fn names(parser: &mut Parser<'_>) -> Result<Vec<String>, ReplayError> {
    parser.expect("(")?;
    let mut out = Vec::new();
    while !parser.eat(")") {
        if !out.is_empty() {
            parser.expect(",")?;
        }
        out.push(parser.word("a label name")?);
    }
    Ok(out)
}

/// The range function that begins at this token, with a parser at its log query.
fn begins_leaf(tokens: &[Token], at: usize) -> Result<Option<(Over, Parser<'_>)>, ReplayError> {
    let Kind::Word(word) = &tokens[at].kind else { return Ok(None) };
    if !matches!(tokens.get(at + 1).map(|token| &token.kind), Some(Kind::Mark("("))) {
        return Ok(None);
    }
    let mut parser = Parser::new(tokens, at + 2);
    let over = match word.as_str() {
        "rate" => Over::Rate,
        "count_over_time" => Over::Count,
        "bytes_rate" => Over::BytesRate,
        "bytes_over_time" => Over::Bytes,
        "absent_over_time" => Over::Absent,
        "sum_over_time" => Over::Sum,
        "avg_over_time" => Over::Avg,
        "min_over_time" => Over::Min,
        "max_over_time" => Over::Max,
        "first_over_time" => Over::First,
        "last_over_time" => Over::Last,
        "quantile_over_time" => {
            let Some(Kind::Number(text)) = parser.peek() else { return Err(parser.unexpected("a number")) };
            let share = text.parse().map_err(|_| parser.unexpected("a number"))?;
            parser.at += 1;
            parser.expect(",")?;
            Over::Quantile(share)
        }
        other if other.ends_with("_over_time") || other == "rate_counter" => {
            return Err(ReplayError::unsupported(format!("the function {other}"), SUPPORTED));
        }
        _ => return Ok(None),
    };
    Ok(Some((over, parser)))
}

/// Evaluates one range function at all instants.
pub(super) fn eval(logs: &[LogEntry], leaf: &Leaf, grid: Grid) -> Result<Vec<Column>, ReplayError> {
    let Span { range, offset } = leaf.span;
    let nanos = |millis: i64| millis.saturating_mul(1_000_000).saturating_sub(offset);
    // A window holds what lies behind its left end, up to and with its right end.
    let from = Timestamp::from_nanos(nanos(grid.start).saturating_sub(range).saturating_add(1));
    let to = Timestamp::from_nanos(nanos(grid.end()).saturating_add(1));
    let mut series: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
    let mut selected = super::Selected::new(&leaf.query);
    for entry in within(logs, TimeRange::new(from, to)) {
        if !selected.contains(entry) {
            continue;
        }
        let Some(processed) = leaf.query.pipeline.run(entry) else { continue };
        if let Some(error) = processed.labels.get(fields::ERROR) {
            return Err(ReplayError::Wrong(format!(
                "a line could not be parsed ({error}): add `| {}=\"\"` to pass over such lines",
                fields::ERROR
            )));
        }
        let value = match leaf.over {
            Over::Bytes | Over::BytesRate => entry.line.len() as f64,
            _ => processed.value.unwrap_or(1.0),
        };
        let sample = (entry.at.nanos(), value);
        let labels = match &leaf.grouping {
            None => processed.labels,
            Some((by, names)) => std::borrow::Cow::Owned(
                processed.labels.iter().filter(|(name, _)| names.iter().any(|other| other == name) == *by).collect(),
            ),
        };
        // Entries of one series come in runs, and a lookup is cheaper than a copy of the labels.
        if let Some(samples) = series.get_mut(labels.as_ref()) {
            samples.push(sample);
        } else {
            series.insert(labels.into_owned(), vec![sample]);
            if series.len() > MAX_SERIES || series.len() * grid.count > MAX_CELLS {
                return Err(ReplayError::TooLarge(format!(
                    "the query gives more than {} series",
                    series.len().saturating_sub(1)
                )));
            }
        }
    }
    if leaf.over == Over::Absent {
        let points = grid
            .times()
            .map(|time| {
                let end = nanos(time);
                series.values().all(|samples| window(samples, end, range).is_empty()).then_some(1.0)
            })
            .collect();
        return Ok(vec![Column { labels: Labels::new(), points }]);
    }
    Ok(series
        .into_iter()
        .map(|(labels, samples)| {
            let points = grid
                .times()
                .map(|time| {
                    let inside = window(&samples, nanos(time), range);
                    (!inside.is_empty()).then(|| leaf.over.apply(inside, range, leaf.query.pipeline.unwraps()))
                })
                .collect();
            Column { labels, points }
        })
        .collect())
}

fn window(samples: &[(i64, f64)], end: i64, range: i64) -> &[(i64, f64)] {
    let first = samples.partition_point(|sample| sample.0 <= end.saturating_sub(range));
    let after = samples.partition_point(|sample| sample.0 <= end);
    &samples[first..after.max(first)]
}

impl Over {
    fn apply(self, samples: &[(i64, f64)], range: i64, unwrapped: bool) -> f64 {
        let values = || samples.iter().map(|sample| sample.1);
        let seconds = range as f64 / 1e9;
        match self {
            // The rate of unwrapped values is the rate of their sum.
            Self::Rate if unwrapped => values().sum::<f64>() / seconds,
            Self::Rate => samples.len() as f64 / seconds,
            Self::Count => samples.len() as f64,
            Self::BytesRate => values().sum::<f64>() / seconds,
            Self::Bytes | Self::Sum => values().sum(),
            Self::Avg => values().sum::<f64>() / samples.len() as f64,
            Self::Min => values().fold(f64::INFINITY, f64::min),
            Self::Max => values().fold(f64::NEG_INFINITY, f64::max),
            Self::First => samples[0].1,
            Self::Last => samples[samples.len() - 1].1,
            Self::Quantile(share) => aggregate_quantile(share, values().collect()),
            Self::Absent => 1.0,
        }
    }
}
