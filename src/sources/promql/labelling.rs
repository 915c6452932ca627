//! Functions that make labels: `label_replace`, `label_join`, and the labels of `absent`.

use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser::Expr;
use regex::Regex;

use super::unwrapped;
use super::value::{Column, joined};
use crate::domain::Labels;
use crate::domain::labels::METRIC_NAME;
use crate::sources::replay::ReplayError;

const SAME: &str = "the relabelled vector has several series with the same labels:";

/// The labels an absent series would have, as far as the selector says.
pub(super) fn of_absent(expr: &Expr) -> Labels {
    let matchers = match unwrapped(expr) {
        Expr::VectorSelector(selector) => &selector.matchers,
        Expr::MatrixSelector(selector) => &selector.vs.matchers,
        _ => return Labels::new(),
    };
    let mut labels = Labels::new();
    let mut seen = BTreeSet::new();
    for matcher in &matchers.matchers {
        if matcher.name == METRIC_NAME {
            continue;
        }
        // A label that is asked for twice cannot be known.
        if matches!(matcher.op, MatchOp::Equal) && seen.insert(&matcher.name) {
            labels.insert(&matcher.name, &matcher.value);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels
}

/// `label_replace(v, dst, replacement, src, regex)`.
pub(super) fn replace(
    mut columns: Vec<Column>,
    target: &str,
    replacement: &str,
    source: &str,
    pattern: &str,
) -> Result<Vec<Column>, ReplayError> {
    let regex = Regex::new(&format!("^(?s:{pattern})$"))
        .map_err(|_| ReplayError::Wrong(format!("label_replace: `{pattern}` is not a regular expression")))?;
    require_label(target)?;
    for column in &mut columns {
        let value = column.labels.get(source).unwrap_or_default().to_owned();
        if let Some(found) = regex.captures(&value) {
            let mut made = String::new();
            found.expand(replacement, &mut made);
            set(&mut column.labels, target, &made);
        }
    }
    joined(columns, SAME)
}

/// `label_join(v, dst, separator, src…)`.
pub(super) fn join(
    mut columns: Vec<Column>,
    target: &str,
    separator: &str,
    sources: &[String],
) -> Result<Vec<Column>, ReplayError> {
    require_label(target)?;
    for column in &mut columns {
        let values: Vec<&str> = sources.iter().map(|name| column.labels.get(name).unwrap_or_default()).collect();
        let made = values.join(separator);
        set(&mut column.labels, target, &made);
    }
    joined(columns, SAME)
}

fn set(labels: &mut Labels, name: &str, value: &str) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name, value);
    }
}

fn require_label(name: &str) -> Result<(), ReplayError> {
    let plain = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { Ok(()) } else { Err(ReplayError::Wrong(format!("`{name}` is not a label name"))) }
}
