//! Functions of labels: replacing and joining them, sorting by them, and what is absent.

use super::ast::{Expr, Kind};
use super::eval::{Eval, Evaluated, Point, Row, error, merge};
use crate::series::{Labels, METRIC_NAME, Matcher, Op, Value, anchored};
use std::cmp::Ordering;

/// What becomes of labels; nothing if they stay.
type Change = Box<dyn Fn(&Labels) -> Option<Labels>>;

/// `label_replace` and `label_join`.
pub(super) fn call(eval: &Eval<'_>, name: &str, arguments: &[Expr]) -> Evaluated<Vec<Row>> {
    let Some((vector, texts)) = arguments.split_first() else { return error("an argument is missing") };
    let texts = texts.iter().map(|text| eval.text(text)).collect::<Evaluated<Vec<String>>>()?;
    let mut rows = eval.rows(vector)?;
    let change: Change = match (name, texts.as_slice()) {
        ("label_replace", [target, replacement, source, pattern]) => {
            let regex = anchored(pattern).map_err(super::QueryError::Evaluation)?;
            let (target, replacement, source) = (target.clone(), replacement.clone(), source.clone());
            Box::new(move |labels| {
                let mut value = String::new();
                regex.captures(labels.get(&source))?.expand(&replacement, &mut value);
                Some(labels.with(&target, &value))
            })
        }
        ("label_join", [target, separator, sources @ ..]) => {
            let (target, separator, sources) = (target.clone(), separator.clone(), sources.to_vec());
            Box::new(move |labels| {
                let values: Vec<&str> = sources.iter().map(|source| labels.get(source)).collect();
                Some(labels.with(&target, &values.join(&separator)))
            })
        }
        _ => return error("arguments are missing"),
    };
    for row in &mut rows {
        if let Some(labels) = change(&row.labels) {
            row.labels = labels;
        }
    }
    merge(rows)
}

/// `sort_by_label` and `sort_by_label_desc`: natural order of the values, then the whole label set.
pub(super) fn sort(eval: &Eval<'_>, arguments: &[Expr], descending: bool) -> Evaluated<Vec<Row>> {
    let Some((vector, names)) = arguments.split_first() else { return error("an argument is missing") };
    let names = names.iter().map(|name| eval.text(name)).collect::<Evaluated<Vec<String>>>()?;
    let mut rows = eval.rows(vector)?;
    rows.sort_by(|a, b| {
        let by_name = names.iter().map(|name| natural(a.labels.get(name), b.labels.get(name)));
        let order = by_name.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    });
    Ok(rows)
}

/// Compares texts with the numbers in them as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (len_a, len_b) = (digits(a), digits(b));
        if len_a > 0 && len_b > 0 {
            let (one, two) = (a[..len_a].trim_start_matches('0'), b[..len_b].trim_start_matches('0'));
            let order = one.len().cmp(&two.len()).then_with(|| one.cmp(two)).then(len_a.cmp(&len_b));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[len_a..], &b[len_b..]);
            continue;
        }
        match (a.chars().next(), b.chars().next()) {
            (Some(one), Some(two)) if one == two => (a, b) = (&a[one.len_utf8()..], &b[two.len_utf8()..]),
            (one, two) => return one.cmp(&two),
        }
    }
}

/// `sort` and `sort_desc`: histograms go, NaN comes last.
pub(super) fn sort_by_value(mut rows: Vec<Row>, descending: bool) -> Vec<Row> {
    let value = |row: &Row| row.points.first().and_then(|point| point.value.float());
    rows.retain(|row| value(row).is_some());
    rows.sort_by(|a, b| {
        let (a, b) = (value(a).unwrap_or(f64::NAN), value(b).unwrap_or(f64::NAN));
        let order = a.is_nan().cmp(&b.is_nan());
        let by_value = || a.partial_cmp(&b).unwrap_or(Ordering::Equal);
        order.then_with(|| if descending { by_value().reverse() } else { by_value() })
    });
    rows
}

/// `absent`: 1 at the steps where the vector has no element.
pub(super) fn absent(eval: &Eval<'_>, expr: &Expr) -> Evaluated<Vec<Row>> {
    let rows = eval.rows(expr)?;
    Ok(missing(eval, rows.iter().flat_map(|row| row.points.iter().map(|point| point.step)), expr))
}

/// 1 at the steps that are not among `present`, with the labels that a selector asks for.
pub(super) fn missing(eval: &Eval<'_>, present: impl Iterator<Item = u32>, expr: &Expr) -> Vec<Row> {
    let mut seen = vec![false; eval.steps];
    present.for_each(|step| seen[step as usize] = true);
    let absent = (0..eval.steps as u32).filter(|step| !seen[*step as usize]);
    let points: Vec<Point> = absent.map(|step| Point { step, value: Value::Float(1.0) }).collect();
    if points.is_empty() { Vec::new() } else { vec![Row { labels: labels_asked(expr), points }] }
}

/// The labels of the equalities of a selector; a label that several conditions name is left out.
fn labels_asked(expr: &Expr) -> Labels {
    let matchers: &[Matcher] = match &expr.kind {
        Kind::Selector(selector) | Kind::Range(selector, _) => &selector.matchers,
        _ => &[],
    };
    let of_labels = || matchers.iter().filter(|matcher| matcher.name != METRIC_NAME);
    let once = |matcher: &&Matcher| of_labels().filter(|other| other.name == matcher.name).count() == 1;
    let equal = of_labels().filter(|matcher| matcher.op == Op::Equal).filter(once);
    Labels::new(equal.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_numbers() {
        let check = |a: &str, b: &str, want: Ordering| {
            assert_eq!(natural(a, b), want, "{a} {b}");
            assert_eq!(natural(b, a), want.reverse(), "{b} {a}");
        };
        check("node9", "node10", Ordering::Less);
        check("node9a", "node9b", Ordering::Less);
        check("a", "a", Ordering::Equal);
        check("", "a", Ordering::Less);
        check("01", "1", Ordering::Greater);
        check("2", "01", Ordering::Greater);
    }
}
