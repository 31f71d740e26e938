//! Operators: arithmetic and comparisons of numbers and histograms, and how the series of both
//! sides of an operator find each other.

use super::ast::{Binary, Many, Matching, Operator};
use super::eval::{Eval, Evaluated, Point, Row, Worth, error, merge, without_metadata};
use super::trim::trim;
use crate::series::{Labels, METRIC_NAME, NativeHistogram, ResetHint, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// What an operator is worth.
pub(super) fn binary(eval: &Eval<'_>, binary: &Binary) -> Evaluated<Worth> {
    let (left, right) = (eval.eval(&binary.left)?, eval.eval(&binary.right)?);
    Ok(match (left, right) {
        (Worth::Scalar(left), Worth::Scalar(right)) => {
            Worth::Scalar(left.into_iter().zip(right).map(|(a, b)| of_scalars(binary.operator, a, b)).collect())
        }
        (Worth::Rows(left), Worth::Scalar(right)) => Worth::Rows(with_scalar(binary, left, &right, false)?),
        (Worth::Scalar(left), Worth::Rows(right)) => Worth::Rows(with_scalar(binary, right, &left, true)?),
        (Worth::Rows(left), Worth::Rows(right)) if binary.operator.is_set() => {
            Worth::Rows(sets(eval, binary, left, right)?)
        }
        (Worth::Rows(left), Worth::Rows(right)) => Worth::Rows(vectors(eval, binary, left, right)?),
        _ => return error("an operator takes no strings"),
    })
}

fn of_scalars(operator: Operator, a: f64, b: f64) -> f64 {
    match compare(operator, a, b) {
        Some(holds) => f64::from(u8::from(holds)),
        None => arithmetic(operator, a, b),
    }
}

fn compare(operator: Operator, a: f64, b: f64) -> Option<bool> {
    Some(match operator {
        Operator::Equal => a == b,
        Operator::NotEqual => a != b,
        Operator::Greater => a > b,
        Operator::Less => a < b,
        Operator::GreaterOrEqual => a >= b,
        Operator::LessOrEqual => a <= b,
        _ => return None,
    })
}

fn arithmetic(operator: Operator, a: f64, b: f64) -> f64 {
    match operator {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mul => a * b,
        Operator::Div => a / b,
        Operator::Mod => a % b,
        Operator::Pow => a.powf(b),
        Operator::Atan2 => a.atan2(b),
        _ => f64::NAN,
    }
}

/// What an operator makes of two values, and whether the element stays; nothing where the operator
/// is not meant for them.
fn of_values(operator: Operator, a: &Value, b: &Value) -> Option<(Value, bool)> {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => match compare(operator, *a, *b) {
            Some(holds) => Some((Value::Float(*a), holds)),
            None if matches!(operator, Operator::TrimLower | Operator::TrimUpper) => None,
            None => Some((Value::Float(arithmetic(operator, *a, *b)), true)),
        },
        (Value::Float(a), Value::Histogram(b)) => {
            (operator == Operator::Mul).then(|| (changed(b, |histogram| histogram.scale(*a).compact()), true))
        }
        (Value::Histogram(a), Value::Float(b)) => {
            let value = match operator {
                Operator::Mul => changed(a, |histogram| histogram.scale(*b).compact()),
                Operator::Div => changed(a, |histogram| histogram.divide(*b).compact()),
                Operator::TrimLower => trim(a, *b, false).into(),
                Operator::TrimUpper => trim(a, *b, true).into(),
                _ => return None,
            };
            Some((value, true))
        }
        (Value::Histogram(a), Value::Histogram(b)) => match operator {
            Operator::Add => {
                let mut sum = (**a).clone();
                sum.add(b).ok()?;
                sum.compact();
                Some((sum.into(), true))
            }
            Operator::Sub => {
                let mut difference = (**a).clone();
                difference.sub(b).ok()?;
                difference.reset_hint = ResetHint::Gauge;
                difference.compact();
                Some((difference.into(), true))
            }
            Operator::Equal => Some((Value::Histogram(a.clone()), a.equals(b))),
            Operator::NotEqual => Some((Value::Histogram(a.clone()), !a.equals(b))),
            _ => None,
        },
    }
}

fn changed(histogram: &NativeHistogram, change: impl Fn(&mut NativeHistogram) -> &mut NativeHistogram) -> Value {
    let mut histogram = histogram.clone();
    change(&mut histogram);
    histogram.into()
}

/// Whether the result is another metric than the left side.
fn changes_metric(binary: &Binary) -> bool {
    let trims = matches!(binary.operator, Operator::TrimLower | Operator::TrimUpper);
    binary.boolean || !(binary.operator.is_comparison() || binary.operator.is_set() || trims)
}

/// Every element with a number; `swapped`: the number stands on the left.
fn with_scalar(binary: &Binary, rows: Vec<Row>, scalar: &[f64], swapped: bool) -> Evaluated<Vec<Row>> {
    let mut out = Vec::with_capacity(rows.len());
    for mut row in rows {
        row.points.retain_mut(|point| {
            let scalar = Value::Float(scalar[point.step as usize]);
            let result = match swapped {
                true => of_values(binary.operator, &scalar, &point.value),
                false => of_values(binary.operator, &point.value, &scalar),
            };
            let Some((value, keep)) = result else { return false };
            if binary.boolean {
                point.value = Value::Float(f64::from(u8::from(keep)));
                return true;
            }
            // A comparison keeps the element, on whichever side it stands.
            if !(swapped && binary.operator.is_comparison()) {
                point.value = value;
            }
            keep
        });
        if !row.points.is_empty() {
            if changes_metric(binary) {
                row.labels = without_metadata(&row.labels);
            }
            out.push(row);
        }
    }
    merge(out)
}

/// The labels by which a series finds its partner.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    if matching.on {
        return labels.only(&matching.labels);
    }
    let mut dropped: Vec<&str> = matching.labels.iter().map(String::as_str).collect();
    dropped.push(METRIC_NAME);
    labels.without(&dropped)
}

/// The rows of both sides by signature, in the order of first sight.
fn pair(left: &[Row], right: &[Row], matching: &Matching) -> Vec<(Labels, Vec<usize>, Vec<usize>)> {
    let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut pairs: Vec<(Labels, Vec<usize>, Vec<usize>)> = Vec::new();
    for (side, rows) in [left, right].into_iter().enumerate() {
        for (at, row) in rows.iter().enumerate() {
            let signature = signature(&row.labels, matching);
            let place = *places.entry(signature.clone()).or_insert(pairs.len());
            if place == pairs.len() {
                pairs.push((signature, Vec::new(), Vec::new()));
            }
            if side == 0 { pairs[place].1.push(at) } else { pairs[place].2.push(at) }
        }
    }
    pairs
}

/// Steps at which at least one of the rows has a value.
fn presence(eval: &Eval<'_>, rows: &[Row], some: &[usize]) -> Vec<bool> {
    let mut present = vec![false; eval.steps];
    some.iter().flat_map(|at| &rows[*at].points).for_each(|point| present[point.step as usize] = true);
    present
}

/// `and`, `or` and `unless`.
fn sets(eval: &Eval<'_>, binary: &Binary, mut left: Vec<Row>, mut right: Vec<Row>) -> Evaluated<Vec<Row>> {
    let pairs = pair(&left, &right, &binary.matching);
    for (_, lefts, rights) in pairs {
        match binary.operator {
            Operator::Or => {
                let present = presence(eval, &left, &lefts);
                for at in rights {
                    right[at].points.retain(|point| !present[point.step as usize]);
                }
            }
            operator => {
                let present = presence(eval, &right, &rights);
                for at in lefts {
                    left[at].points.retain(|point| present[point.step as usize] == (operator == Operator::And));
                }
            }
        }
    }
    if binary.operator == Operator::Or {
        left.append(&mut right);
    }
    left.retain(|row| !row.points.is_empty());
    merge(left)
}

/// Where in the rows of one signature a step is.
struct Cursor<'r> {
    rows: Vec<(&'r Row, usize)>,
}

impl<'r> Cursor<'r> {
    fn new(rows: &'r [Row], some: &[usize]) -> Cursor<'r> {
        Cursor { rows: some.iter().map(|at| (&rows[*at], 0)).collect() }
    }

    /// The values at a step; steps must rise.
    fn at(&mut self, step: u32, out: &mut Vec<(&'r Labels, &'r Value)>) {
        out.clear();
        for (row, next) in &mut self.rows {
            if let Some(point) = row.points.get(*next).filter(|point| point.step == step) {
                *next += 1;
                out.push((&row.labels, &point.value));
            }
        }
    }
}

/// Arithmetic and comparisons between vectors.
fn vectors(eval: &Eval<'_>, binary: &Binary, left: Vec<Row>, right: Vec<Row>) -> Evaluated<Vec<Row>> {
    let matching = &binary.matching;
    // The side of which one series may meet many is the second below.
    let swapped = matching.many == Many::Right;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut names: FxHashMap<(Labels, Labels), Labels> = FxHashMap::default();
    let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut out: Vec<Row> = Vec::new();
    let (mut manys, mut ones) = (Vec::new(), Vec::new());
    let mut inserted: FxHashSet<Labels> = FxHashSet::default();
    for (signature, many_rows, one_rows) in pair(&many, &one, matching) {
        if one_rows.is_empty() {
            continue;
        }
        let (mut many_at, mut one_at) = (Cursor::new(&many, &many_rows), Cursor::new(&one, &one_rows));
        for step in 0..eval.steps as u32 {
            many_at.at(step, &mut manys);
            one_at.at(step, &mut ones);
            let [partner, rest @ ..] = ones.as_slice() else { continue };
            if let Some(second) = rest.first()
                && !many.is_empty()
            {
                return error(twice(&signature, partner.0, second.0, if swapped { "left" } else { "right" }));
            }
            inserted.clear();
            let mut matched = false;
            for (labels, value) in &manys {
                let result = match swapped {
                    true => of_values(binary.operator, partner.1, value),
                    false => of_values(binary.operator, value, partner.1),
                };
                let Some((value, keep)) = result else { continue };
                let name = names.entry(((*labels).clone(), partner.0.clone()));
                let name = name.or_insert_with(|| result_labels(binary, labels, partner.0)).clone();
                if matching.many == Many::Neither {
                    if std::mem::replace(&mut matched, true) {
                        return error(
                            "several series match one: many-to-one matching needs `group_left` or `group_right`",
                        );
                    }
                } else if !inserted.insert(name.clone()) {
                    return error(
                        "several results have the same labels: the labels of the grouping must tell them apart",
                    );
                }
                let value = match (binary.boolean, keep) {
                    (true, keep) => Value::Float(f64::from(u8::from(keep))),
                    (false, true) => value,
                    (false, false) => continue,
                };
                let place = *places.entry(name.clone()).or_insert(out.len());
                if place == out.len() {
                    out.push(Row { labels: name, points: Vec::new() });
                }
                out[place].points.push(Point { step, value });
            }
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

fn twice(signature: &Labels, one: &Labels, two: &Labels, side: &str) -> String {
    let (one, two) = if one < two { (one, two) } else { (two, one) };
    format!(
        "found duplicate series for the match group {signature} on the {side} hand-side of the operation: \
         [{one}, {two}]; many-to-many matching not allowed: matching labels must be unique on one side"
    )
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let mut labels = if changes_metric(binary) { without_metadata(many) } else { many.clone() };
    if matching.many == Many::Neither {
        labels = if matching.on { labels.only(&matching.labels) } else { labels.without(&matching.labels) };
    }
    for label in &matching.include {
        labels = labels.with(label, one.get(label));
    }
    labels
}
