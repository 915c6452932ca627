//! LogQL over entries in memory: what a replayed bundle answers in place of Loki.
//!
//! The subset: stream selectors, line filters, `json`, `logfmt`, `pattern`, `regexp`, label filters, `drop`, `keep`,
//! `unwrap`, and metric queries over them. <https://grafana.com/docs/loki/latest/query/>. Anything else is refused by
//! name.

#![allow(clippy::float_cmp, reason = "the language compares numbers exactly, and so does its evaluation")]

mod fields;
mod lex;
mod metric;
mod parse;
mod pipeline;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use self::lex::{Kind, tokens};
use self::parse::{LogQuery, Parser};
use super::promql;
use super::replay::ReplayError;
use crate::domain::log::LogEntry;
use crate::domain::query::{Data, Direction};
use crate::domain::{Labels, TimeRange, Timestamp};

/// Bytes of an expression.
const MAX_EXPRESSION: usize = 32 << 10;

/// Entries found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The entries, oldest first.
    pub entries: Vec<LogEntry>,
    /// Whether there are more than the limit.
    pub more: bool,
}

/// The entries inside `range`; `logs` must be sorted by time.
pub fn within(logs: &[LogEntry], range: TimeRange) -> &[LogEntry] {
    let first = logs.partition_point(|entry| entry.at < range.start);
    let after = logs.partition_point(|entry| entry.at < range.end);
    &logs[first..after.max(first)]
}

/// Answers a log query. Fields that parsers find are added to the metadata of an entry.
pub fn entries(
    logs: &[LogEntry],
    expr: &str,
    range: TimeRange,
    limit: usize,
    direction: Direction,
) -> Result<Found, ReplayError> {
    let query = log_query(expr)?;
    let mut selected = Selected::new(&query);
    let mut found = Vec::new();
    let mut more = false;
    let mut take = |entry: &LogEntry| {
        if !selected.contains(entry) {
            return true;
        }
        let Some(processed) = query.pipeline.run(entry) else { return true };
        if found.len() >= limit {
            more = true;
            return false;
        }
        let mut entry = entry.clone();
        for (name, value) in processed.labels.iter().filter(|(name, value)| entry.labels.get(name) != Some(value)) {
            entry.metadata.insert(name, value);
        }
        found.push(entry);
        true
    };
    let inside = within(logs, range);
    match direction {
        Direction::Forward => inside.iter().all(&mut take),
        Direction::Backward => inside.iter().rev().all(&mut take),
    };
    if direction == Direction::Backward {
        found.reverse();
    }
    Ok(Found { entries: found, more })
}

/// Evaluates a metric query at one instant.
pub fn instant(logs: &[LogEntry], expr: &str, at: Timestamp) -> Result<Data, ReplayError> {
    let (leaves, rest) = metric_query(expr)?;
    let grid = promql::Grid::instant(at.millis());
    let columns = evaluated(logs, &leaves, grid)?;
    promql::instant_over(columns, &rest, at)
}

/// Evaluates a metric query from `range.start`, every `step`, to `range.end`, which is included.
pub fn range(logs: &[LogEntry], expr: &str, range: TimeRange, step: Duration) -> Result<Data, ReplayError> {
    let (leaves, rest) = metric_query(expr)?;
    let grid = promql::Grid::new(range.start.millis(), range.end.millis(), step)?;
    let columns = evaluated(logs, &leaves, grid)?;
    promql::range_over(columns, &rest, range, step)
}

/// Bytes of lines in `range`, summed by the labels the selector names, largest first: `index/volume`.
pub fn volume(logs: &[LogEntry], expr: &str, range: TimeRange) -> Result<Vec<(Labels, u64)>, ReplayError> {
    let query = log_query(expr)?;
    let mut selected = Selected::new(&query);
    let mut volumes: BTreeMap<Labels, u64> = BTreeMap::new();
    for entry in within(logs, range) {
        if selected.contains(entry) {
            let named = |name: &str| query.matchers.iter().any(|matcher| matcher.name == name);
            let labels: Labels = entry.labels.iter().filter(|(name, _)| named(name)).collect();
            *volumes.entry(labels).or_default() += entry.line.len() as u64;
        }
    }
    let mut volumes: Vec<_> = volumes.into_iter().collect();
    volumes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(volumes)
}

/// The entries whose streams any of the selectors matches; all when there is none.
pub fn streams_matching<'e>(
    entries: impl Iterator<Item = &'e LogEntry>,
    selectors: &[String],
) -> Result<Vec<&'e LogEntry>, ReplayError> {
    let queries = selectors.iter().map(|selector| log_query(selector)).collect::<Result<Vec<_>, _>>()?;
    Ok(entries.filter(|entry| queries.is_empty() || queries.iter().any(|query| query.selects(&entry.labels))).collect())
}

/// Remembers which streams a query selects, so that labels are compared once a stream.
struct Selected<'q> {
    query: &'q LogQuery,
    known: HashMap<*const Labels, bool>,
}

impl<'q> Selected<'q> {
    fn new(query: &'q LogQuery) -> Self {
        Self { query, known: HashMap::new() }
    }

    fn contains(&mut self, entry: &LogEntry) -> bool {
        let query = self.query;
        *self.known.entry(Arc::as_ptr(&entry.labels)).or_insert_with(|| query.selects(&entry.labels))
    }
}

fn log_query(expr: &str) -> Result<LogQuery, ReplayError> {
    let tokens = tokens(bounded(expr)?)?;
    if !matches!(tokens.first().map(|token| &token.kind), Some(Kind::Mark("{"))) {
        return Err(ReplayError::Wrong("a log query begins with a stream selector such as {app=\"web\"}".into()));
    }
    let mut parser = Parser::new(&tokens, 0);
    let (query, span) = parser.log_query()?;
    if span.is_some() || parser.peek().is_some() {
        return Err(parser.unexpected("the end of the log query"));
    }
    Ok(query)
}

/// The range functions of a metric query, and the PromQL around them.
fn metric_query(expr: &str) -> Result<(Vec<metric::Leaf>, String), ReplayError> {
    let tokens = tokens(bounded(expr)?)?;
    metric::split(expr, &tokens)
}

fn evaluated(
    logs: &[LogEntry],
    leaves: &[metric::Leaf],
    grid: promql::Grid,
) -> Result<BTreeMap<String, Vec<promql::Column>>, ReplayError> {
    leaves
        .iter()
        .enumerate()
        .map(|(index, leaf)| Ok((metric::leaf_name(index), metric::eval(logs, leaf, grid)?)))
        .collect()
}

fn bounded(expr: &str) -> Result<&str, ReplayError> {
    if expr.len() > MAX_EXPRESSION {
        return Err(ReplayError::TooLarge("the expression is too long".into()));
    }
    Ok(expr)
}

#[cfg(test)]
mod tests;
