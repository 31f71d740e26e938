//! Functions of histograms, native and classic.

use super::ast::Expr;
use super::eval::{Eval, Evaluated, Point, Row, error, merge, without_metadata};
use super::quantile::{Classic, of_classic, of_native, share_of_classic, share_of_native};
use crate::series::{Labels, NativeHistogram, Value, kahan, notation};
use rustc_hash::FxHashMap;

/// Calls one of them.
pub(super) fn call(eval: &Eval<'_>, name: &str, arguments: &[Expr]) -> Evaluated<Vec<Row>> {
    let argument = |at: usize| arguments.get(at).map_or_else(|| error("an argument is missing"), Ok);
    match name {
        "histogram_quantile" => {
            let q = eval.scalar(argument(0)?)?;
            let rows = eval.rows(argument(1)?)?;
            let classic = |step: u32, buckets| of_classic(q[step as usize], buckets);
            distribution(eval, &rows, |step, histogram| of_native(q[step as usize], histogram), classic)
        }
        "histogram_fraction" => {
            let (lower, upper) = (eval.scalar(argument(0)?)?, eval.scalar(argument(1)?)?);
            let rows = eval.rows(argument(2)?)?;
            let at = |step: u32| (lower[step as usize], upper[step as usize]);
            let native = |step, histogram: &NativeHistogram| share_of_native(at(step).0, at(step).1, histogram);
            distribution(eval, &rows, native, |step, buckets| share_of_classic(at(step).0, at(step).1, buckets))
        }
        "histogram_quantiles" => {
            let rows = eval.rows(argument(0)?)?;
            let label = eval.text(argument(1)?)?;
            let mut out = Vec::new();
            for q in arguments.iter().skip(2) {
                let q = eval.scalar(q)?;
                let native = |step: u32, histogram: &NativeHistogram| of_native(q[step as usize], histogram);
                let found = distribution(eval, &rows, native, |step, buckets| of_classic(q[step as usize], buckets))?;
                out.extend(found.into_iter().flat_map(|row| labelled(row, &label, &q)));
            }
            merge(out)
        }
        _ => {
            let rows = eval.rows(argument(0)?)?;
            let function = simple(name).map_or_else(|| error(format!("the function `{name}` is not there")), Ok)?;
            each_histogram(rows, function)
        }
    }
}

/// A row of quantiles with the quantile, which may differ from step to step, as label.
fn labelled(row: Row, label: &str, q: &[f64]) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    for point in row.points {
        let q = q[point.step as usize];
        // As OpenMetrics writes numbers: never without a point.
        let text = if q.fract() == 0.0 { format!("{q:.1}") } else { notation::short_number(q) };
        let labels = row.labels.with(label, &text);
        match out.iter_mut().find(|known| known.labels == labels) {
            Some(known) => known.points.push(point),
            None => out.push(Row { labels, points: vec![point] }),
        }
    }
    out
}

/// These functions drop the name only, not the labels of type and unit.
fn each_histogram(rows: Vec<Row>, function: fn(&NativeHistogram) -> f64) -> Evaluated<Vec<Row>> {
    let change = |row: Row| {
        let value = |point: Point| {
            let value = Value::Float(function(point.value.histogram()?));
            Some(Point { step: point.step, value })
        };
        let points: Vec<Point> = row.points.into_iter().filter_map(value).collect();
        (!points.is_empty()).then(|| Row { labels: row.labels.without_metric_name(), points })
    };
    merge(rows.into_iter().filter_map(change).collect())
}

fn simple(name: &str) -> Option<fn(&NativeHistogram) -> f64> {
    Some(match name {
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_stddev" => |histogram| variance(histogram).sqrt(),
        "histogram_stdvar" => variance,
        _ => return None,
    })
}

/// As if the observations were in the middle of their buckets: the geometric one of exponential
/// buckets.
fn variance(histogram: &NativeHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let (mut sum, mut lost) = (0.0, 0.0);
    for bucket in histogram.buckets().iter().filter(|bucket| bucket.count != 0.0) {
        let middle = if histogram.is_custom() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt() * if bucket.upper < 0.0 { -1.0 } else { 1.0 }
        };
        let delta = middle - mean;
        (sum, lost) = kahan(bucket.count * delta * delta, sum, lost);
    }
    (sum + lost) / histogram.count
}

/// The buckets of one classic histogram.
#[derive(Default)]
struct Group {
    /// Labels without `le`, name included: two metrics are two histograms.
    rows: Vec<(f64, usize)>,
    native: Option<usize>,
}

/// Computes a value of every histogram: rows with a label `le` that differ in nothing else are one.
/// Where a classic and a native histogram have the same labels at a step, neither counts.
fn distribution(
    eval: &Eval<'_>,
    rows: &[Row],
    native: impl Fn(u32, &NativeHistogram) -> f64,
    classic: impl Fn(u32, Vec<Classic>) -> f64,
) -> Evaluated<Vec<Row>> {
    let mut groups: FxHashMap<Labels, Group> = FxHashMap::default();
    let mut order: Vec<Labels> = Vec::new();
    let mut group = |labels: Labels, add: &mut dyn FnMut(&mut Group)| {
        add(groups.entry(labels.clone()).or_insert_with(|| {
            order.push(labels);
            Group::default()
        }));
    };
    for (at, row) in rows.iter().enumerate() {
        if row.points.iter().any(|point| point.value.histogram().is_some()) {
            group(row.labels.clone(), &mut |group| group.native = Some(at));
        }
        if let Some(upper) = notation::parse_number(row.labels.get("le")) {
            group(row.labels.without(&["le"]), &mut |group| group.rows.push((upper, at)));
        }
    }
    let mut out = Vec::new();
    for labels in order {
        let group = &groups[&labels];
        let mut cursors = vec![0; rows.len().min(group.rows.len())];
        let mut native_points = group.native.map(|at| rows[at].points.iter().peekable());
        let mut points = Vec::new();
        for step in 0..eval.steps as u32 {
            let mut buckets = Vec::with_capacity(group.rows.len());
            for (cursor, (upper, at)) in cursors.iter_mut().zip(&group.rows) {
                if let Some(point) = rows[*at].points.get(*cursor).filter(|point| point.step == step) {
                    *cursor += 1;
                    buckets.extend(point.value.float().map(|count| Classic { upper: *upper, count }));
                }
            }
            let at_step = native_points.as_mut().and_then(|points| points.next_if(|point| point.step == step));
            let value = match at_step.and_then(|point| point.value.histogram()) {
                Some(_) if !buckets.is_empty() => continue,
                Some(histogram) => native(step, histogram),
                None if buckets.is_empty() => continue,
                None => classic(step, buckets),
            };
            points.push(Point { step, value: Value::Float(value) });
        }
        if !points.is_empty() {
            out.push(Row { labels: without_metadata(&labels), points });
        }
    }
    merge(out)
}
