//! What an expression evaluates to, for all instants at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::MAX_POINTS;
use crate::domain::Labels;
use crate::sources::replay::ReplayError;

/// The instants of an evaluation: `start`, `start + step`, …, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources) struct Grid {
    pub(in crate::sources) start: i64,
    pub(in crate::sources) step: i64,
    pub(in crate::sources) count: usize,
}

impl Grid {
    /// One instant.
    pub(in crate::sources) const fn instant(at: i64) -> Self {
        Self { start: at, step: 1, count: 1 }
    }

    /// From `start` to `end`, both included.
    pub(in crate::sources) fn new(start: i64, end: i64, step: Duration) -> Result<Self, ReplayError> {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        if step == 0 {
            return Err(ReplayError::Wrong("the step must be at least a millisecond".into()));
        }
        let count = end.saturating_sub(start).max(0) / step + 1;
        if count > MAX_POINTS as i64 {
            return Err(ReplayError::TooLarge(format!("{count} points per series exceed the limit of {MAX_POINTS}")));
        }
        Ok(Self { start, step, count: count as usize })
    }

    /// The instant with this index.
    pub(in crate::sources) const fn time(self, index: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(index as i64))
    }

    /// The last instant.
    pub(in crate::sources) const fn end(self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    pub(in crate::sources) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |index| self.time(index))
    }
}

/// One element of a vector, at all instants; `None` where it is not there.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sources) struct Column {
    pub(in crate::sources) labels: Labels,
    pub(in crate::sources) points: Vec<Option<f64>>,
}

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(Vec<f64>),
    Vector(Vec<Column>),
    Text(String),
}

impl Value {
    pub(super) fn scalar(self) -> Result<Vec<f64>, ReplayError> {
        match self {
            Self::Scalar(points) => Ok(points),
            _ => Err(ReplayError::Wrong("a scalar is needed here".into())),
        }
    }

    pub(super) fn vector(self) -> Result<Vec<Column>, ReplayError> {
        match self {
            Self::Vector(columns) => Ok(columns),
            _ => Err(ReplayError::Wrong("an instant vector is needed here".into())),
        }
    }

    pub(super) fn text(self) -> Result<String, ReplayError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(ReplayError::Wrong("a string is needed here".into())),
        }
    }
}

/// Joins columns that came to have the same labels, as Prometheus does, which looks at one instant at a time: an
/// error when two of them have a point at the same one.
pub(super) fn joined(columns: Vec<Column>, why: &str) -> Result<Vec<Column>, ReplayError> {
    let mut places: BTreeMap<Labels, usize> = BTreeMap::new();
    let mut out: Vec<Column> = Vec::with_capacity(columns.len());
    for column in columns {
        let Some(&place) = places.get(&column.labels) else {
            places.insert(column.labels.clone(), out.len());
            out.push(column);
            continue;
        };
        for (mine, theirs) in out[place].points.iter_mut().zip(&column.points) {
            if mine.is_some() && theirs.is_some() {
                return Err(ReplayError::Wrong(format!("{why} {}", column.labels)));
            }
            *mine = mine.or(*theirs);
        }
    }
    Ok(out)
}
