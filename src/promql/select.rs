//! Selectors: each selects its series once and slides over their samples.

use super::ast::{Expr, Kind, Selector};
use super::eval::{Eval, Evaluated, Point, Row, error};
use crate::series::{Labels, ResetHint, Sample, Series, Value};

/// The rows of an instant vector selector: at each step the last sample within the look-back, unless
/// it is a staleness marker. `times`: the time of the sample in seconds instead of its value.
pub(super) fn rows(eval: &Eval<'_>, selector: &Selector, times: bool) -> Evaluated<Vec<Row>> {
    let (offset, lookback) = (selector.shift.offset.unwrap_or(0), eval.options.lookback);
    let fixed = eval.fixed(&selector.shift);
    let (first, last) = fixed.map_or((eval.start, eval.end()), |time| (time, time));
    let series = eval.source.select(&selector.matchers, first - offset - lookback + 1, last - offset)?;
    let mut rows = Vec::with_capacity(series.len());
    for Series { labels, samples } in series {
        let mut points = Vec::new();
        // How many samples are not later than the step.
        let mut seen = 0;
        for step in 0..eval.steps as u32 {
            let time = fixed.unwrap_or_else(|| eval.time(step)) - offset;
            while samples.get(seen).is_some_and(|sample| sample.t <= time) {
                seen += 1;
            }
            let found = seen.checked_sub(1).map(|at| &samples[at]);
            let found = found.filter(|sample| sample.t > time - lookback && !sample.value.is_stale());
            if let Some(sample) = found {
                let value = if times { Value::Float(sample.t as f64 / 1000.0) } else { sample.value.clone() };
                points.push(Point { step, value });
            }
        }
        if !points.is_empty() {
            eval.hold(points.len())?;
            rows.push(Row { labels, points });
        }
    }
    Ok(rows)
}

/// The series of a range vector, and which of their samples each step sees.
pub(super) struct Windows {
    /// Samples without staleness markers.
    pub series: Vec<Series>,
    range: i64,
    offset: i64,
    fixed: Option<i64>,
}

/// The samples that a step sees of a series: those in `(start, end]`.
pub(super) struct Window<'w> {
    pub samples: &'w [Sample],
    /// Where it begins; a sample at this time is not in it.
    pub start: i64,
    /// Where it ends.
    pub end: i64,
    /// The time of the step.
    pub now: i64,
}

impl Windows {
    /// Calls `visit` with each step's window of one series.
    pub fn slide(&self, eval: &Eval<'_>, samples: &[Sample], mut visit: impl FnMut(u32, Window<'_>)) {
        let (mut from, mut to) = (0, 0);
        for step in 0..eval.steps as u32 {
            let now = eval.time(step);
            let end = self.fixed.unwrap_or(now) - self.offset;
            let start = end - self.range;
            while samples.get(to).is_some_and(|sample| sample.t <= end) {
                to += 1;
            }
            while from < to && samples[from].t <= start {
                from += 1;
            }
            if from < to {
                visit(step, Window { samples: &samples[from..to], start, end, now });
            }
        }
    }

    /// The samples of the only step, as the answer of a query.
    pub fn raw(&self, eval: &Eval<'_>) -> Vec<Series> {
        let mut out = Vec::new();
        for series in &self.series {
            self.slide(eval, &series.samples, |_, window| {
                out.push(Series { labels: series.labels.clone(), samples: window.samples.to_vec() });
            });
        }
        out
    }
}

/// The windows of a range selector or subquery.
pub(super) fn windows(eval: &Eval<'_>, expr: &Expr) -> Evaluated<Windows> {
    match &expr.inner().kind {
        Kind::Range(selector, range) => {
            let offset = selector.shift.offset.unwrap_or(0);
            let fixed = eval.fixed(&selector.shift);
            let (first, last) = fixed.map_or((eval.start, eval.end()), |time| (time, time));
            let mut series = eval.source.select(&selector.matchers, first - offset - range + 1, last - offset)?;
            for one in &mut series {
                if one.samples.iter().any(|sample| sample.value.is_stale()) {
                    one.samples.retain(|sample| !sample.value.is_stale());
                }
                eval.hold(one.samples.len())?;
            }
            series.retain(|one| !one.samples.is_empty());
            Ok(Windows { series, range: *range, offset, fixed })
        }
        Kind::Subquery(subquery) => {
            let inner = eval.inner(subquery.range, subquery.step, &subquery.shift)?;
            let rows = inner.rows(&subquery.expr)?;
            let series: Vec<Series> = rows.into_iter().map(|row| samples(&inner, row)).collect();
            eval.hold(series.iter().map(|one| one.samples.len()).sum())?;
            let (offset, fixed) = (subquery.shift.offset.unwrap_or(0), eval.fixed(&subquery.shift));
            Ok(Windows { series, range: subquery.range, offset, fixed })
        }
        _ => error("a range vector is needed"),
    }
}

/// What is known of resets between samples doesn't hold between the steps of a subquery.
fn samples(eval: &Eval<'_>, row: Row) -> Series {
    let sample = |point: Point| {
        let value = match point.value {
            Value::Histogram(histogram) if matches!(histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) => {
                let mut histogram = (*histogram).clone();
                histogram.reset_hint = ResetHint::Unknown;
                histogram.into()
            }
            value => value,
        };
        Sample { t: eval.time(point.step), value }
    };
    let labels: Labels = row.labels;
    Series { labels, samples: row.points.into_iter().map(sample).collect() }
}
