//! Numbers, truth values and dates in columns: values and ranges, as the field's kind reads them.

use super::rows::Rows;
use super::strings::with_value;
use crate::index::Kind;
use crate::search::ast::{Range, Scalar};
use crate::search::date_math::{self, Reading};
use crate::search::error::SearchError;
use tantivy::DateTime;
use tantivy::columnar::{Column, DynamicColumn};

/// A number of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Int(i64),
    Float(f64),
}

/// Reads a value of a query as a number.
fn number(value: &Scalar) -> Option<Number> {
    match value {
        Scalar::Int(n) => Some(Number::Int(*n)),
        Scalar::Float(x) => Some(Number::Float(*x)),
        Scalar::Bool(_) => None,
        Scalar::Str(text) => {
            let text = text.trim();
            match text.parse() {
                Ok(n) => Some(Number::Int(n)),
                // Rust would also read "inf" and "nan", which are no numbers to Java.
                Err(_) if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') => {
                    text.parse().ok().map(Number::Float)
                }
                Err(_) => None,
            }
        }
    }
}

fn bad_number(value: &Scalar) -> SearchError {
    let cause = format!("For input string: \"{}\"", value.text());
    SearchError::query(format!("failed to create query: {cause}"), Some(("number_format_exception", cause)))
}

fn bad_date(cause: String) -> SearchError {
    SearchError::Shard {
        kind: "parse_exception",
        reason: cause.clone(),
        cause: Some(("illegal_argument_exception", cause)),
    }
}

/// The range that a single value is.
pub(super) fn point(value: &Scalar) -> Range {
    Range { from: Some((value.clone(), true)), to: Some((value.clone(), true)), ..Range::default() }
}

/// The least and the greatest whole number in a range, none where it has none.
fn whole(range: &Range) -> Result<Option<(i64, i64)>, SearchError> {
    let (mut low, mut high) = (i64::MIN, i64::MAX);
    if let Some((value, inclusive)) = &range.from {
        low = match number(value).ok_or_else(|| bad_number(value))? {
            Number::Int(n) if *inclusive => n,
            Number::Int(i64::MAX) => return Ok(None),
            Number::Int(n) => n + 1,
            Number::Float(x) if x >= 9.3e18 => return Ok(None),
            Number::Float(x) if *inclusive || x.fract() != 0.0 => x.ceil() as i64,
            Number::Float(x) => (x as i64).saturating_add(1),
        };
    }
    if let Some((value, inclusive)) = &range.to {
        high = match number(value).ok_or_else(|| bad_number(value))? {
            Number::Int(n) if *inclusive => n,
            Number::Int(i64::MIN) => return Ok(None),
            Number::Int(n) => n - 1,
            Number::Float(x) if x <= -9.3e18 => return Ok(None),
            Number::Float(x) if *inclusive || x.fract() != 0.0 => x.floor() as i64,
            Number::Float(x) => (x as i64).saturating_sub(1),
        };
    }
    Ok((low <= high).then_some((low, high)))
}

/// The least and the greatest double in a range.
fn real(range: &Range) -> Result<Option<(f64, f64)>, SearchError> {
    let read = |value: &Scalar| match number(value) {
        Some(Number::Int(n)) => Ok(n as f64),
        Some(Number::Float(x)) => Ok(x),
        None => Err(bad_number(value)),
    };
    let mut bounds = (f64::NEG_INFINITY, f64::INFINITY);
    if let Some((value, inclusive)) = &range.from {
        let x = read(value)?;
        bounds.0 = if *inclusive { x } else { x.next_up() };
    }
    if let Some((value, inclusive)) = &range.to {
        let x = read(value)?;
        bounds.1 = if *inclusive { x } else { x.next_down() };
    }
    // Both zeros are one number, but two to the order of the column.
    let low = if bounds.0 == 0.0 { -0.0 } else { bounds.0 };
    let high = if bounds.1 == 0.0 { 0.0 } else { bounds.1 };
    Ok((low <= high).then_some((low, high)))
}

/// The first and the last nanosecond of a range of dates.
pub(crate) fn times(range: &Range, now_ms: i64) -> Result<Option<(i64, i64)>, SearchError> {
    let zone = date_math::zone(range.zone.as_deref().unwrap_or("UTC")).map_err(SearchError::argument)?;
    let read = |value: &Scalar, up: bool| match value {
        Scalar::Int(_) | Scalar::Float(_) | Scalar::Str(_) => {
            let reading = Reading { format: range.format.as_deref(), zone: &zone, up, now_ms };
            date_math::parse(&text_of(value), &reading).map_err(bad_date)
        }
        Scalar::Bool(_) => Err(bad_date(format!("failed to parse date field [{}]", value.text()))),
    };
    let (mut low, mut high) = (i64::MIN, i64::MAX);
    if let Some((value, inclusive)) = &range.from {
        low = if *inclusive { read(value, false)? } else { read(value, true)?.saturating_add(1) };
    }
    if let Some((value, inclusive)) = &range.to {
        high = if *inclusive { read(value, true)? } else { read(value, false)?.saturating_sub(1) };
    }
    Ok((low <= high).then_some((low, high)))
}

/// A number as a format reads it: whole ones without fraction.
fn text_of(value: &Scalar) -> String {
    match value {
        Scalar::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => (*x as i64).to_string(),
        value => value.text(),
    }
}

fn truth(value: &Scalar) -> Result<bool, SearchError> {
    match value {
        Scalar::Bool(b) => Ok(*b),
        Scalar::Str(s) if s == "true" => Ok(true),
        Scalar::Str(s) if s == "false" || s.is_empty() => Ok(false),
        value => {
            let cause = format!("Can't parse boolean value [{}], expected [true] or [false]", value.text());
            Err(SearchError::query(
                format!("failed to create query: {cause}"),
                Some(("illegal_argument_exception", cause)),
            ))
        }
    }
}

fn truths(range: &Range) -> Result<Option<(bool, bool)>, SearchError> {
    let (mut low, mut high) = (0u8, 1u8);
    if let Some((value, inclusive)) = &range.from {
        low = u8::from(truth(value)?) + u8::from(!*inclusive);
    }
    if let Some((value, inclusive)) = &range.to {
        match (u8::from(truth(value)?), *inclusive) {
            (value, true) => high = value,
            (0, false) => return Ok(None),
            (_, false) => high = 0,
        }
    }
    Ok((low <= high).then_some((low == 1, high == 1)))
}

fn between<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static>(
    column: &Column<T>,
    bounds: Option<(T, T)>,
    docs: u32,
) -> Rows {
    let Some((low, high)) = bounds else { return Rows::Empty };
    if column.values.num_vals() == 0 || low > column.max_value() || high < column.min_value() {
        return Rows::Empty;
    }
    if low <= column.min_value() && high >= column.max_value() {
        return with_value(column, docs);
    }
    let mut found = Vec::new();
    column.get_docids_for_value_range(low..=high, 0..docs, &mut found);
    Rows::of(found, docs)
}

/// The documents with a value in the range; an error where the kind can't read a bound, also
/// where the segment has no such column.
pub(super) fn range(
    column: Option<&DynamicColumn>,
    kind: Kind,
    range: &Range,
    docs: u32,
    now_ms: i64,
) -> Result<Rows, SearchError> {
    Ok(match (kind, column) {
        (Kind::Long, column) => {
            let bounds = whole(range)?;
            match column {
                Some(DynamicColumn::I64(column)) => between(column, bounds, docs),
                _ => Rows::Empty,
            }
        }
        (Kind::Double, column) => {
            let bounds = real(range)?;
            match column {
                Some(DynamicColumn::F64(column)) => between(column, bounds, docs),
                _ => Rows::Empty,
            }
        }
        (Kind::Boolean, column) => {
            let bounds = truths(range)?;
            match column {
                Some(DynamicColumn::Bool(column)) => between(column, bounds, docs),
                _ => Rows::Empty,
            }
        }
        (Kind::Date, column) => {
            let bounds = times(range, now_ms)?;
            let bounds =
                bounds.map(|(low, high)| (DateTime::from_timestamp_nanos(low), DateTime::from_timestamp_nanos(high)));
            match column {
                Some(DynamicColumn::DateTime(column)) => between(column, bounds, docs),
                _ => Rows::Empty,
            }
        }
        (Kind::Keyword | Kind::Text, _) => Rows::Empty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(from: Option<(Scalar, bool)>, to: Option<(Scalar, bool)>) -> Range {
        Range { from, to, ..Range::default() }
    }

    #[test]
    fn whole_numbers() {
        let check = |from, to, expected| assert_eq!(whole(&bounds(from, to)).unwrap(), expected);
        let (int, float) = (|n, i| Some((Scalar::Int(n), i)), |x, i| Some((Scalar::Float(x), i)));
        check(int(1, true), int(2, true), Some((1, 2)));
        check(int(1, false), int(3, false), Some((2, 2)));
        check(int(1, false), int(2, false), None);
        check(float(1.5, true), float(2.5, false), Some((2, 2)));
        check(float(1.0, false), None, Some((2, i64::MAX)));
        check(Some((Scalar::Str("10".into()), false)), None, Some((11, i64::MAX)));
        check(int(i64::MAX, false), None, None);
        assert!(whole(&bounds(Some((Scalar::Str("x".into()), true)), None)).is_err());
        assert!(whole(&bounds(Some((Scalar::Str("nan".into()), true)), None)).is_err());
    }

    #[test]
    fn truth_values() {
        let value = |b| Some((Scalar::Bool(b), true));
        assert_eq!(truths(&bounds(value(true), value(true))).unwrap(), Some((true, true)));
        assert_eq!(truths(&bounds(None, None)).unwrap(), Some((false, true)));
        assert_eq!(truths(&bounds(Some((Scalar::Bool(true), false)), None)).unwrap(), None);
        assert!(truth(&Scalar::Str("yes".into())).is_err());
    }
}
