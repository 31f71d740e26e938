//! Aggregations: one element for each group of series, or some of its own.

use super::ast::{Aggregation, Grouping};
use super::eval::{Eval, Evaluated, Point, Row, error};
use super::over_time::{average, sum};
use super::quantile;
use crate::series::{Labels, METRIC_NAME, Value, notation};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;

/// The parameter of an aggregation, at each step.
pub(super) enum Parameter {
    None,
    Numbers(Vec<f64>),
    Label(String),
}

/// Aggregates rows.
pub(super) fn aggregate(
    eval: &Eval<'_>,
    how: Aggregation,
    grouping: &Grouping,
    rows: Vec<Row>,
    parameter: &Parameter,
) -> Evaluated<Vec<Row>> {
    let groups = groups(&rows, grouping);
    match (how, parameter) {
        (Aggregation::Topk | Aggregation::Bottomk, Parameter::Numbers(k)) => {
            check_k(k)?;
            Ok(pick(eval, &rows, &groups, k, how == Aggregation::Topk))
        }
        (Aggregation::CountValues, Parameter::Label(label)) => {
            let dropped = grouping.without && grouping.labels.contains(label);
            count_values(eval, &rows, &groups, label, dropped)
        }
        (_, Parameter::Numbers(q)) => {
            Ok(reduce_all(eval, &rows, groups, |step, values| reduce(how, values, q[step as usize])))
        }
        _ => Ok(reduce_all(eval, &rows, groups, |_, values| reduce(how, values, f64::NAN))),
    }
}

/// The labels of each group, and which rows are in it.
fn groups(rows: &[Row], grouping: &Grouping) -> Vec<(Labels, Vec<usize>)> {
    let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut groups: Vec<(Labels, Vec<usize>)> = Vec::new();
    let mut dropped: Vec<&str> = grouping.labels.iter().map(String::as_str).collect();
    dropped.push(METRIC_NAME);
    for (at, row) in rows.iter().enumerate() {
        let labels = match () {
            () if grouping.without => row.labels.without(&dropped),
            () if grouping.labels.is_empty() => Labels::empty(),
            () => row.labels.only(&grouping.labels),
        };
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((labels, Vec::new()));
        }
        groups[place].1.push(at);
    }
    groups
}

/// Calls `visit` at each step with the values that the rows of a group have there.
fn each_step<'r>(eval: &Eval<'_>, rows: &'r [Row], group: &[usize], mut visit: impl FnMut(u32, &[(usize, &'r Value)])) {
    let mut cursors = vec![0; group.len()];
    let mut values: Vec<(usize, &Value)> = Vec::with_capacity(group.len());
    for step in 0..eval.steps as u32 {
        values.clear();
        for (cursor, row) in cursors.iter_mut().zip(group) {
            if let Some(point) = rows[*row].points.get(*cursor).filter(|point| point.step == step) {
                *cursor += 1;
                values.push((*row, &point.value));
            }
        }
        if !values.is_empty() {
            visit(step, &values);
        }
    }
}

fn reduce_all(
    eval: &Eval<'_>,
    rows: &[Row],
    groups: Vec<(Labels, Vec<usize>)>,
    reduce: impl Fn(u32, &[(usize, &Value)]) -> Option<Value>,
) -> Vec<Row> {
    let mut out = Vec::with_capacity(groups.len());
    for (labels, group) in groups {
        let mut points = Vec::new();
        each_step(eval, rows, &group, |step, values| {
            points.extend(reduce(step, values).map(|value| Point { step, value }));
        });
        if !points.is_empty() {
            out.push(Row { labels, points });
        }
    }
    out
}

fn reduce(how: Aggregation, values: &[(usize, &Value)], parameter: f64) -> Option<Value> {
    let all = || values.iter().map(|(_, value)| *value);
    let floats = || all().filter_map(Value::float);
    let best = |better: fn(f64, f64) -> bool| {
        floats().reduce(|best, now| if better(now, best) || best.is_nan() { now } else { best })
    };
    Some(match how {
        Aggregation::Sum => return sum(all()),
        Aggregation::Avg => return average(all()),
        Aggregation::Count => Value::Float(values.len() as f64),
        Aggregation::Group => Value::Float(1.0),
        Aggregation::Min => Value::Float(best(|now, best| now < best)?),
        Aggregation::Max => Value::Float(best(|now, best| now > best)?),
        Aggregation::Stddev => Value::Float(variance(floats())?.sqrt()),
        Aggregation::Stdvar => Value::Float(variance(floats())?),
        Aggregation::Quantile => {
            let mut floats: Vec<f64> = floats().collect();
            if floats.is_empty() {
                return None;
            }
            Value::Float(quantile::of_numbers(parameter, &mut floats))
        }
        Aggregation::Topk | Aggregation::Bottomk | Aggregation::CountValues => return None,
    })
}

fn variance(mut values: impl Iterator<Item = f64>) -> Option<f64> {
    let first = values.next()?;
    let (mut count, mut mean) = (1.0, first);
    let mut sum = if first.is_finite() { 0.0 } else { f64::NAN };
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        sum += delta * (value - mean);
    }
    Some(sum / count)
}

fn check_k(k: &[f64]) -> Evaluated<()> {
    // Without a number of at least 1 the answer is empty whatever else there is.
    if !k.iter().any(|k| *k >= 1.0 || k.is_nan()) {
        return Ok(());
    }
    if k.iter().any(|k| k.is_nan()) {
        return error("the number of elements is NaN");
    }
    match k.iter().find(|k| k.abs() >= i64::MAX as f64) {
        Some(k) => error(format!("{k} is no number of elements")),
        None => Ok(()),
    }
}

/// `topk` and `bottomk`.
fn pick(eval: &Eval<'_>, rows: &[Row], groups: &[(Labels, Vec<usize>)], k: &[f64], top: bool) -> Vec<Row> {
    let mut out: Vec<Row> = rows.iter().map(|row| Row { labels: row.labels.clone(), points: Vec::new() }).collect();
    let mut order = Vec::new();
    for (_, group) in groups {
        each_step(eval, rows, group, |step, values| {
            let k = k[step as usize];
            let k = if k >= 1.0 { k as usize } else { 0 };
            let mut values: Vec<(usize, f64)> =
                values.iter().filter_map(|(row, value)| Some((*row, value.float()?))).collect();
            values.sort_by(|a, b| {
                let by_value = a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal);
                let by_value = if top { by_value.reverse() } else { by_value };
                a.1.is_nan().cmp(&b.1.is_nan()).then(by_value)
            });
            for (row, value) in values.into_iter().take(k) {
                if out[row].points.is_empty() {
                    order.push(row);
                }
                out[row].points.push(Point { step, value: Value::Float(value) });
            }
        });
    }
    order
        .into_iter()
        .map(|row| std::mem::replace(&mut out[row], Row { labels: Labels::empty(), points: Vec::new() }))
        .collect()
}

/// Counts equal values. The label of the value is set before the series are grouped, so that values
/// of several groups may meet.
fn count_values(
    eval: &Eval<'_>,
    rows: &[Row],
    groups: &[(Labels, Vec<usize>)],
    label: &str,
    dropped: bool,
) -> Evaluated<Vec<Row>> {
    let mut counts: FxHashMap<Labels, FxHashMap<u32, f64>> = FxHashMap::default();
    let mut order = Vec::new();
    for (labels, group) in groups {
        let mut names: FxHashMap<String, Labels> = FxHashMap::default();
        each_step(eval, rows, group, |step, values| {
            for (_, value) in values {
                let text = match value {
                    Value::Float(value) => notation::number(*value),
                    Value::Histogram(histogram) => notation::describe(histogram),
                };
                let name = names
                    .entry(text)
                    .or_insert_with_key(|text| if dropped { labels.clone() } else { labels.with(label, text) });
                let steps = counts.entry(name.clone()).or_insert_with(|| {
                    order.push(name.clone());
                    FxHashMap::default()
                });
                *steps.entry(step).or_insert(0.0) += 1.0;
            }
        });
    }
    let row = |labels: Labels| {
        let steps = counts.get(&labels)?;
        let mut points: Vec<Point> =
            steps.iter().map(|(step, count)| Point { step: *step, value: Value::Float(*count) }).collect();
        points.sort_by_key(|point| point.step);
        Some(Row { labels, points })
    };
    Ok(order.into_iter().filter_map(row).collect())
}
