//! PromQL with the semantics of Prometheus 3: expressions are parsed once and evaluated at one time
//! or over a range, against anything [`Queryable`].
//!
//! Each selector selects once per query and slides over its samples. No I/O, no clock, no tokio:
//! times are arguments.

mod aggregate;
pub mod ast;
mod binary;
mod check;
pub mod duration;
mod eval;
mod function;
mod histogram;
mod label;
mod lexer;
mod math;
mod over_time;
mod parser;
mod quantile;
mod rate;
mod select;
mod selector;
#[cfg(test)]
mod tests;
mod trim;

pub use ast::{Expr, Span, Type};
pub use parser::{parse, parse_metric, parse_selector};
/// `histogram_quantile` of one histogram, for those who prove that theirs are exact enough.
#[cfg(test)]
pub(crate) use quantile::of_native;

use crate::series::{Labels, Queryable, SelectError, Series, Value};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What is wrong with an expression, and where in its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// What to do about it; empty if that is not known.
    pub label: String,
}

impl Mistake {
    /// A mistake at a place.
    pub fn new(message: impl Into<String>, span: Span) -> Mistake {
        Mistake { message: message.into(), span, label: String::new() }
    }

    /// The same with a hint.
    pub fn label(mut self, label: impl Into<String>) -> Mistake {
        self.label = label.into();
        self
    }
}

/// All mistakes as text for a client that has no place for a picture: `1:5: message`.
pub fn describe(mistakes: &[Mistake], text: &str) -> String {
    let one = |mistake: &Mistake| {
        let before = &text[..mistake.span.start.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let hint = if mistake.label.is_empty() { String::new() } else { format!(" ({})", mistake.label) };
        format!("{line}:{column}: {}{hint}", mistake.message)
    };
    mistakes.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// How expressions are evaluated.
#[derive(Clone, Debug)]
pub struct Options {
    /// A sample older than this is not found by a selector; milliseconds.
    pub lookback: i64,
    /// The step of subqueries that give none; milliseconds.
    pub subquery_step: i64,
    /// Samples that a query may hold at once; more is an error.
    pub samples_max: usize,
    /// Ends the evaluation with an error once it is true.
    pub cancelled: Option<Arc<AtomicBool>>,
}

impl Default for Options {
    fn default() -> Options {
        Options { lookback: 300_000, subquery_step: 60_000, samples_max: 50_000_000, cancelled: None }
    }
}

/// Why an expression has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// What keeps the series failed.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The series don't suit the expression.
    #[error("cannot evaluate: {0}")]
    Evaluation(String),
    /// More samples than [`Options::samples_max`].
    #[error("cannot evaluate: the query would hold more than {0} samples at once")]
    Samples(usize),
    /// [`Options::cancelled`] became true.
    #[error("cannot evaluate: the query was cancelled or took too long")]
    Cancelled,
}

/// An element of an instant vector.
#[derive(Clone, Debug)]
pub struct Element {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: Value,
}

/// What an expression is worth at one time.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A number.
    Scalar(f64),
    /// A text.
    Text(String),
    /// Elements, in order where `sort` or `topk` gave one.
    Vector(Vec<Element>),
    /// Samples of a range, sorted by labels.
    Matrix(Vec<Series>),
}

/// Evaluates an expression at one time, in milliseconds since 1970.
pub fn instant(expr: &Expr, source: &dyn Queryable, time: i64, options: &Options) -> Result<Answer, QueryError> {
    eval::instant(expr, source, time, options)
}

/// Evaluates an expression at `start`, `start + step` … up to `end`, all in milliseconds. The series
/// are sorted by labels; a scalar is one series without labels.
pub fn range(
    expr: &Expr,
    source: &dyn Queryable,
    (start, end, step): (i64, i64, i64),
    options: &Options,
) -> Result<Vec<Series>, QueryError> {
    eval::range(expr, source, (start, end, step), options)
}
