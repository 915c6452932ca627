//! Functions over instant vectors and scalars.

use promql_parser::parser::{Call, Expr};

use super::eval::{Evaluator, mapped};
use super::value::{Column, Grid, Value};
use super::{SUPPORTED, histogram, labelling, unwrapped};
use crate::domain::Labels;
use crate::sources::replay::ReplayError;

pub(super) fn eval(evaluator: &Evaluator<'_>, call: &Call, grid: Grid) -> Result<Value, ReplayError> {
    let name = call.func.name;
    let args = Args { evaluator, call, grid };
    if let Some(f) = pointwise(name) {
        return Ok(Value::Vector(mapped(args.vector(0)?, f)?));
    }
    Ok(match name {
        "time" => Value::Scalar(grid.times().map(|time| time as f64 / 1000.0).collect()),
        "vector" => {
            let points = args.scalar(0)?.into_iter().map(Some).collect();
            Value::Vector(vec![Column { labels: Labels::new(), points }])
        }
        "scalar" => {
            let columns = args.vector(0)?;
            Value::Scalar(
                (0..grid.count)
                    .map(|index| {
                        let mut present = columns.iter().filter_map(|column| column.points[index]);
                        match (present.next(), present.next()) {
                            (Some(only), None) => only,
                            _ => f64::NAN,
                        }
                    })
                    .collect(),
            )
        }
        "timestamp" => Value::Vector(args.timestamps()?),
        "absent" => {
            let columns = args.vector(0)?;
            let points = (0..grid.count)
                .map(|index| columns.iter().all(|column| column.points[index].is_none()).then_some(1.0))
                .collect();
            Value::Vector(vec![Column { labels: labelling::of_absent(args.expr(0)?), points }])
        }
        "round" => {
            let nearest = if call.args.len() > 1 { args.scalar(1)? } else { vec![1.0; grid.count] };
            Value::Vector(args.with_scalars(&[&nearest], |value, by| {
                // Division by the inverse avoids the error of multiplying by 0.1.
                let inverse = 1.0 / by[0];
                Some((value * inverse + 0.5).floor() / inverse)
            })?)
        }
        "clamp" => {
            let (low, high) = (args.scalar(1)?, args.scalar(2)?);
            Value::Vector(args.with_scalars(&[&low, &high], |value, by| {
                (by[0] <= by[1] || by[0].is_nan() || by[1].is_nan()).then(|| go_max(by[0], go_min(by[1], value)))
            })?)
        }
        "clamp_min" => {
            let low = args.scalar(1)?;
            Value::Vector(args.with_scalars(&[&low], |value, by| Some(go_max(by[0], value)))?)
        }
        "clamp_max" => {
            let high = args.scalar(1)?;
            Value::Vector(args.with_scalars(&[&high], |value, by| Some(go_min(by[0], value)))?)
        }
        "sort" | "sort_desc" => {
            let mut columns = args.vector(0)?;
            let key = |column: &Column| column.points.first().copied().flatten().unwrap_or(f64::NAN);
            columns.sort_by(|a, b| {
                let (x, y) = (key(a), key(b));
                let order = if name == "sort" { x.total_cmp(&y) } else { y.total_cmp(&x) };
                // NaN comes last either way.
                x.is_nan().cmp(&y.is_nan()).then(order).then_with(|| a.labels.cmp(&b.labels))
            });
            Value::Vector(columns)
        }
        "histogram_quantile" => Value::Vector(histogram::quantiles(args.vector(1)?, &args.scalar(0)?)),
        "label_replace" => Value::Vector(labelling::replace(
            args.vector(0)?,
            &args.text(1)?,
            &args.text(2)?,
            &args.text(3)?,
            &args.text(4)?,
        )?),
        "label_join" => {
            let sources = (3..call.args.len()).map(|at| args.text(at)).collect::<Result<Vec<_>, _>>()?;
            Value::Vector(labelling::join(args.vector(0)?, &args.text(1)?, &args.text(2)?, &sources)?)
        }
        "pi" => Value::Scalar(vec![std::f64::consts::PI; grid.count]),
        _ => return Err(ReplayError::unsupported(format!("the function {name}"), SUPPORTED)),
    })
}

/// Functions of one number.
fn pointwise(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        // Zero and NaN stay what they are.
        "sgn" => |value| if value == 0.0 || value.is_nan() { value } else { value.signum() },
        _ => return None,
    })
}

/// Go's `math.Max`: NaN wins.
fn go_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Go's `math.Min`: NaN wins.
fn go_min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The arguments of a call, evaluated when needed.
struct Args<'e> {
    evaluator: &'e Evaluator<'e>,
    call: &'e Call,
    grid: Grid,
}

impl Args<'_> {
    fn expr(&self, at: usize) -> Result<&Expr, ReplayError> {
        let missing = || ReplayError::Wrong(format!("{} lacks argument {}", self.call.func.name, at + 1));
        self.call.args.args.get(at).map(Box::as_ref).ok_or_else(missing)
    }

    fn vector(&self, at: usize) -> Result<Vec<Column>, ReplayError> {
        let columns = self.evaluator.eval(self.expr(at)?, self.grid)?.vector()?;
        self.evaluator.spend(columns.len() * self.grid.count)?;
        Ok(columns)
    }

    fn scalar(&self, at: usize) -> Result<Vec<f64>, ReplayError> {
        self.evaluator.eval(self.expr(at)?, self.grid)?.scalar()
    }

    fn text(&self, at: usize) -> Result<String, ReplayError> {
        self.evaluator.eval(self.expr(at)?, self.grid)?.text()
    }

    /// Applies `f` to each point of the first argument and the scalars of its instant.
    fn with_scalars(
        &self,
        scalars: &[&[f64]],
        f: impl Fn(f64, &[f64]) -> Option<f64>,
    ) -> Result<Vec<Column>, ReplayError> {
        let mut columns = mapped(self.vector(0)?, |value| value)?;
        let mut by = vec![0.0; scalars.len()];
        for column in &mut columns {
            for (index, point) in column.points.iter_mut().enumerate() {
                for (by, scalar) in by.iter_mut().zip(scalars) {
                    *by = scalar[index];
                }
                *point = point.and_then(|value| f(value, &by));
            }
        }
        columns.retain(|column| column.points.iter().any(Option::is_some));
        Ok(columns)
    }

    /// When each sample was taken: for a selector the sample's time, for anything else the instant.
    fn timestamps(&self) -> Result<Vec<Column>, ReplayError> {
        if let Expr::VectorSelector(selector) = unwrapped(self.expr(0)?) {
            let columns = self.evaluator.instant_vector(selector, self.grid, |point| point.0 as f64 / 1000.0)?;
            return mapped(columns, |value| value);
        }
        let mut columns = mapped(self.vector(0)?, |value| value)?;
        for column in &mut columns {
            for (point, time) in column.points.iter_mut().zip(self.grid.times()) {
                *point = point.map(|_| time as f64 / 1000.0);
            }
        }
        Ok(columns)
    }
}
