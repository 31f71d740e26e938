//! The evaluation: every node gives its worth at all steps at once.

use super::ast::{Aggregation, At, Expr, Kind, Shift, Type};
use super::{Answer, Element, Options, QueryError, aggregate, binary, histogram, label, math, over_time, select};
use crate::series::{Labels, Queryable, Sample, Series, Value};
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::sync::atomic::Ordering;

/// The value of a row at a step.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub step: u32,
    pub value: Value,
}

/// A label set and its values, steps strictly rising.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub labels: Labels,
    pub points: Vec<Point>,
}

/// What a node is worth at all steps.
pub(super) enum Worth {
    /// One number for each step.
    Scalar(Vec<f64>),
    Text(String),
    Rows(Vec<Row>),
}

/// Times and limits of one evaluation; a subquery has one of its own.
pub(super) struct Eval<'q> {
    pub source: &'q dyn Queryable,
    pub options: &'q Options,
    /// Time of the first step.
    pub start: i64,
    /// Milliseconds between steps.
    pub interval: i64,
    /// How many steps there are.
    pub steps: usize,
    /// First and last time of the whole query, for `@ start()` and `@ end()`.
    query: (i64, i64),
    /// Samples held so far.
    held: &'q Cell<usize>,
}

pub(super) type Evaluated<T> = Result<T, QueryError>;

/// An error that the series cause.
pub(super) fn error<T>(message: impl Into<String>) -> Evaluated<T> {
    Err(QueryError::Evaluation(message.into()))
}

pub(super) fn instant(expr: &Expr, source: &dyn Queryable, time: i64, options: &Options) -> Evaluated<Answer> {
    let held = Cell::new(0);
    let eval = Eval { source, options, start: time, interval: 1, steps: 1, query: (time, time), held: &held };
    if expr.ty() == Type::Matrix {
        let mut series = eval.windows(expr)?.raw(&eval);
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        return Ok(Answer::Matrix(series));
    }
    Ok(match eval.eval(expr)? {
        Worth::Scalar(values) => Answer::Scalar(values.first().copied().unwrap_or(f64::NAN)),
        Worth::Text(text) => Answer::Text(text),
        Worth::Rows(rows) => {
            let element = |row: Row| {
                let value = row.points.into_iter().next()?.value;
                Some(Element { labels: row.labels, value })
            };
            Answer::Vector(rows.into_iter().filter_map(element).collect())
        }
    })
}

pub(super) fn range(
    expr: &Expr,
    source: &dyn Queryable,
    (start, end, step): (i64, i64, i64),
    options: &Options,
) -> Evaluated<Vec<Series>> {
    if step <= 0 || end < start {
        return error("a range needs a step above 0 and an end that is not before its start");
    }
    let held = Cell::new(0);
    let steps = usize::try_from((end - start) / step + 1).unwrap_or(usize::MAX);
    if steps > options.samples_max {
        return Err(QueryError::Samples(options.samples_max));
    }
    let eval = Eval { source, options, start, interval: step, steps, query: (start, end), held: &held };
    match eval.eval(expr)? {
        Worth::Scalar(values) => {
            let sample = |(at, value): (usize, f64)| Sample::new(eval.time(at as u32), value);
            let samples = values.into_iter().enumerate().map(sample).collect();
            Ok(vec![Series { labels: Labels::empty(), samples }])
        }
        Worth::Text(_) => error("a string can't be evaluated over a range"),
        Worth::Rows(rows) => {
            let mut series: Vec<Series> = rows.into_iter().map(|row| eval.series(row)).collect();
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(series)
        }
    }
}

impl<'q> Eval<'q> {
    /// The time of a step.
    pub fn time(&self, step: u32) -> i64 {
        self.start + i64::from(step) * self.interval
    }

    /// The time of the last step.
    pub fn end(&self) -> i64 {
        self.start + (self.steps as i64 - 1) * self.interval
    }

    /// The fixed time of `@`, if there is one.
    pub fn fixed(&self, shift: &Shift) -> Option<i64> {
        shift.at.map(|at| match at {
            At::Time(time) => time,
            At::Start => self.query.0,
            At::End => self.query.1,
        })
    }

    fn series(&self, row: Row) -> Series {
        let sample = |point: Point| Sample { t: self.time(point.step), value: point.value };
        Series { labels: row.labels, samples: row.points.into_iter().map(sample).collect() }
    }

    /// The evaluation of what is inside a subquery: its own steps, aligned to multiples of themselves.
    pub fn inner(&self, range: i64, step: Option<i64>, shift: &Shift) -> Evaluated<Eval<'q>> {
        let (first, last) = match self.fixed(shift) {
            Some(time) => (time, time),
            None => (self.start, self.end()),
        };
        let offset = shift.offset.unwrap_or(0);
        let interval = step.unwrap_or(self.options.subquery_step).max(1);
        let before = first - offset - range;
        // The first multiple of the step that lies within the range, which leaves its start out.
        let start = (before.div_euclid(interval) + 1) * interval;
        let end = last - offset;
        let steps = if end < start { 0 } else { (end - start) / interval + 1 };
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        if steps > self.options.samples_max {
            return Err(QueryError::Samples(self.options.samples_max));
        }
        Ok(Eval { start, interval, steps, query: self.query, ..*self })
    }

    /// Counts samples that are held now.
    pub fn hold(&self, samples: usize) -> Evaluated<()> {
        let held = self.held.get() + samples;
        self.held.set(held);
        if held > self.options.samples_max {
            return Err(QueryError::Samples(self.options.samples_max));
        }
        self.check_cancelled()
    }

    pub fn check_cancelled(&self) -> Evaluated<()> {
        match &self.options.cancelled {
            Some(cancelled) if cancelled.load(Ordering::Relaxed) => Err(QueryError::Cancelled),
            _ => Ok(()),
        }
    }

    /// What a node is worth.
    pub fn eval(&self, expr: &Expr) -> Evaluated<Worth> {
        if self.steps == 0 {
            return Ok(match expr.ty() {
                Type::Scalar => Worth::Scalar(Vec::new()),
                _ => Worth::Rows(Vec::new()),
            });
        }
        Ok(match &expr.kind {
            Kind::Number(number) => Worth::Scalar(vec![*number; self.steps]),
            Kind::Text(text) => Worth::Text(text.clone()),
            Kind::Selector(selector) => Worth::Rows(select::rows(self, selector, false)?),
            Kind::Range(..) | Kind::Subquery(_) => return error("a range vector can't stand here"),
            Kind::Call(function, arguments) => return self.call(function.name, arguments),
            Kind::Aggregate(aggregate) => {
                let rows = self.rows(&aggregate.expr)?;
                let parameter = match (&aggregate.parameter, aggregate.how) {
                    (None, _) => aggregate::Parameter::None,
                    (Some(label), Aggregation::CountValues) => aggregate::Parameter::Label(self.text(label)?),
                    (Some(number), _) => aggregate::Parameter::Numbers(self.scalar(number)?),
                };
                Worth::Rows(aggregate::aggregate(self, aggregate.how, &aggregate.grouping, rows, &parameter)?)
            }
            Kind::Binary(operator) => return binary::binary(self, operator),
            Kind::Negate(inner) => match self.eval(inner)? {
                Worth::Scalar(values) => Worth::Scalar(values.into_iter().map(|value| -value).collect()),
                Worth::Rows(rows) => Worth::Rows(self.each(rows, |value| {
                    Some(match value {
                        Value::Float(value) => Value::Float(-value),
                        Value::Histogram(histogram) => {
                            let mut histogram = (**histogram).clone();
                            histogram.scale(-1.0);
                            histogram.into()
                        }
                    })
                })?),
                Worth::Text(_) => return error("a string has no sign"),
            },
            Kind::Paren(inner) => return self.eval(inner),
        })
    }

    /// The rows of a vector.
    pub fn rows(&self, expr: &Expr) -> Evaluated<Vec<Row>> {
        match self.eval(expr)? {
            Worth::Rows(rows) => Ok(rows),
            _ => error("an instant vector is needed"),
        }
    }

    /// The numbers of a scalar.
    pub fn scalar(&self, expr: &Expr) -> Evaluated<Vec<f64>> {
        match self.eval(expr)? {
            Worth::Scalar(values) => Ok(values),
            _ => error("a scalar is needed"),
        }
    }

    /// The text of a string.
    pub fn text(&self, expr: &Expr) -> Evaluated<String> {
        match self.eval(expr)? {
            Worth::Text(text) => Ok(text),
            _ => error("a string is needed"),
        }
    }

    /// The windows of a range vector.
    pub fn windows(&self, expr: &Expr) -> Evaluated<select::Windows> {
        select::windows(self, expr)
    }

    /// Changes every value and drops the name of the metric; values that give `None` go.
    pub fn each(&self, rows: Vec<Row>, mut change: impl FnMut(&Value) -> Option<Value>) -> Evaluated<Vec<Row>> {
        self.each_at(rows, |_, value| change(value))
    }

    /// The same with the step.
    pub fn each_at(&self, rows: Vec<Row>, mut change: impl FnMut(u32, &Value) -> Option<Value>) -> Evaluated<Vec<Row>> {
        let mut out = Vec::with_capacity(rows.len());
        for mut row in rows {
            row.points.retain_mut(|point| match change(point.step, &point.value) {
                Some(value) => {
                    point.value = value;
                    true
                }
                None => false,
            });
            if !row.points.is_empty() {
                row.labels = without_metadata(&row.labels);
                out.push(row);
            }
        }
        merge(out)
    }

    fn call(&self, name: &'static str, arguments: &[Expr]) -> Evaluated<Worth> {
        if let Some(at) = arguments.iter().position(|argument| argument.ty() == Type::Matrix) {
            return over_time::call(self, name, arguments, at).map(Worth::Rows);
        }
        let argument = |at: usize| arguments.get(at).map_or_else(|| error("an argument is missing"), Ok);
        Ok(match name {
            "label_replace" | "label_join" => Worth::Rows(label::call(self, name, arguments)?),
            "sort_by_label" | "sort_by_label_desc" => {
                Worth::Rows(label::sort(self, arguments, name != "sort_by_label")?)
            }
            "sort" | "sort_desc" => Worth::Rows(label::sort_by_value(self.rows(argument(0)?)?, name != "sort")),
            "absent" => Worth::Rows(label::absent(self, argument(0)?)?),
            name if name.starts_with("histogram_") => Worth::Rows(histogram::call(self, name, arguments)?),
            "timestamp" => {
                let inner = argument(0)?.inner();
                let rows = match &inner.kind {
                    Kind::Selector(selector) => select::rows(self, selector, true)?,
                    _ => {
                        let time = |step| Some(Value::Float(self.time(step) as f64 / 1000.0));
                        self.each_at(self.rows(inner)?, |step, _| time(step))?
                    }
                };
                Worth::Rows(self.each(rows, |value| Some(value.clone()))?)
            }
            _ => return math::call(self, name, arguments),
        })
    }
}

/// Drops the name of the metric, and its type and unit where these are labels.
pub(super) fn without_metadata(labels: &Labels) -> Labels {
    const METADATA: [&str; 3] = ["__name__", "__type__", "__unit__"];
    if METADATA.iter().any(|name| labels.has(name)) { labels.without(&METADATA) } else { labels.clone() }
}

/// Brings rows of the same labels together. Two values at one step are an error.
pub(super) fn merge(rows: Vec<Row>) -> Evaluated<Vec<Row>> {
    let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
    places.reserve(rows.len());
    if rows.iter().enumerate().all(|(at, row)| places.insert(row.labels.clone(), at).is_none()) {
        return Ok(rows);
    }
    places.clear();
    let mut out: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match places.get(&row.labels) {
            None => {
                places.insert(row.labels.clone(), out.len());
                out.push(row);
            }
            Some(at) => out[*at].points.extend(row.points),
        }
    }
    for row in &mut out {
        row.points.sort_by_key(|point| point.step);
        if row.points.windows(2).any(|two| two[0].step == two[1].step) {
            return error("a vector can't hold two elements of the same labels");
        }
    }
    Ok(out)
}
