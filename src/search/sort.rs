//! `sort` and `search_after`: keys, and values as answers show and requests repeat them.

use super::error::SearchError;
use super::number;
use serde_json::Value;
use std::cmp::Ordering;

/// What a key sorts by.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// A field.
    Field(String),
    /// The score.
    Score,
    /// The order in which documents came.
    Doc,
}

/// One sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// What it sorts by.
    pub by: By,
    /// The greatest first.
    pub descending: bool,
    /// Documents without a value first.
    pub missing_first: bool,
    /// A field that nobody has is no error.
    pub unmapped: bool,
    /// What such a field would be.
    pub numeric_unmapped: bool,
}

impl SortKey {
    fn new(name: &str) -> SortKey {
        let by = match name {
            "_score" => By::Score,
            "_doc" => By::Doc,
            field => By::Field(field.to_owned()),
        };
        let descending = by == By::Score;
        SortKey { by, descending, missing_first: false, unmapped: false, numeric_unmapped: true }
    }

    /// By score, the best first: the default.
    pub fn score() -> SortKey {
        SortKey::new("_score")
    }
}

fn descending(value: &str) -> Result<bool, SearchError> {
    match value.to_ascii_lowercase().as_str() {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(SearchError::argument(format!(
            "No enum constant org.elasticsearch.search.sort.SortOrder.{}",
            value.to_uppercase()
        ))),
    }
}

/// Parses the `sort` of a body: a name, an object of several, or a list of either.
pub fn parse(value: &Value) -> Result<Vec<SortKey>, SearchError> {
    match value {
        Value::Array(list) => {
            let mut keys = Vec::new();
            for item in list {
                keys.extend(parse(item)?);
            }
            Ok(keys)
        }
        Value::String(name) => Ok(vec![SortKey::new(name)]),
        Value::Object(map) => map.iter().map(|(name, options)| parse_one(name, options)).collect(),
        _ => Err(SearchError::argument(
            "malformed sort format, within the sort array, an object, or an actual string are allowed",
        )),
    }
}

fn parse_one(name: &str, options: &Value) -> Result<SortKey, SearchError> {
    let mut key = SortKey::new(name);
    match options {
        Value::String(order) => key.descending = descending(order)?,
        Value::Object(options) => {
            for (option, value) in options {
                let text = value.as_str().unwrap_or_default();
                match option.as_str() {
                    "order" => key.descending = descending(text)?,
                    "missing" => match text {
                        "_first" => key.missing_first = true,
                        "_last" => key.missing_first = false,
                        _ => return Err(SearchError::argument("[missing] of a sort can be [_first] or [_last]")),
                    },
                    "unmapped_type" => {
                        key.unmapped = true;
                        key.numeric_unmapped = !matches!(text, "keyword" | "text" | "ip");
                    }
                    "mode" | "numeric_type" | "format" => {}
                    "nested" | "nested_path" | "nested_filter" => {
                        return Err(SearchError::argument(format!("[{option}] of a sort is not supported")));
                    }
                    _ => {
                        return Err(SearchError::parsing(format!("[field_sort] unknown field [{option}]"), option));
                    }
                }
            }
        }
        _ => {
            return Err(SearchError::argument(
                "malformed sort format, either start array, start object, or an actual string",
            ));
        }
    }
    Ok(key)
}

/// Parses the `sort` of an address: `f:desc,_score`.
pub fn parse_parameter(text: &str) -> Result<Vec<SortKey>, SearchError> {
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| match part.rsplit_once(':') {
            Some((name, order)) => {
                let mut key = SortKey::new(name);
                key.descending = descending(order)?;
                Ok(key)
            }
            None => Ok(SortKey::new(part)),
        })
        .collect()
}

/// A sort value.
#[derive(Clone, Debug, PartialEq)]
pub enum SortValue {
    /// A whole number, or a date in ms.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A string.
    Str(String),
    /// None, and whether it would be a number.
    Missing {
        /// The field's values are numbers or dates.
        number: bool,
    },
}

impl SortValue {
    /// As a number.
    pub fn float(&self) -> Option<f64> {
        match self {
            SortValue::Int(n) => Some(*n as f64),
            SortValue::Float(x) => Some(*x),
            SortValue::Str(text) => text.parse().ok(),
            SortValue::Missing { .. } => None,
        }
    }

    /// As it stands in an answer: what is missing is the greatest or least number, or null.
    pub fn json(&self, key: &SortKey) -> Value {
        match self {
            SortValue::Int(n) => Value::from(*n),
            SortValue::Float(x) => number::json(*x),
            SortValue::Str(text) => Value::String(text.clone()),
            SortValue::Missing { number: false } => Value::Null,
            SortValue::Missing { number: true } if key.missing_first == key.descending => Value::from(i64::MAX),
            SortValue::Missing { number: true } => Value::from(i64::MIN),
        }
    }

    fn compare(&self, other: &SortValue, key: &SortKey) -> Ordering {
        let ordering = match (self, other) {
            (SortValue::Missing { .. }, SortValue::Missing { .. }) => return Ordering::Equal,
            (SortValue::Missing { .. }, _) if key.missing_first => return Ordering::Less,
            (SortValue::Missing { .. }, _) => return Ordering::Greater,
            (_, SortValue::Missing { .. }) if key.missing_first => return Ordering::Greater,
            (_, SortValue::Missing { .. }) => return Ordering::Less,
            (SortValue::Int(a), SortValue::Int(b)) => a.cmp(b),
            (SortValue::Str(a), SortValue::Str(b)) => a.cmp(b),
            (SortValue::Str(_), _) => Ordering::Greater,
            (_, SortValue::Str(_)) => Ordering::Less,
            (a, b) => a.float().unwrap_or(f64::NAN).total_cmp(&b.float().unwrap_or(f64::NAN)),
        };
        if key.descending { ordering.reverse() } else { ordering }
    }
}

/// The order of two documents.
pub fn compare(a: &[SortValue], b: &[SortValue], keys: &[SortKey]) -> Ordering {
    let mut pairs = a.iter().zip(b).zip(keys);
    pairs.find_map(|((a, b), key)| Some(a.compare(b, key)).filter(|o| o.is_ne())).unwrap_or(Ordering::Equal)
}

/// Parses `search_after`.
pub fn parse_after(value: &Value, keys: &[SortKey]) -> Result<Vec<SortValue>, SearchError> {
    let Some(list) = value.as_array() else {
        return Err(SearchError::parsing("Expected [START_ARRAY] in [search_after]", "search_after"));
    };
    if list.len() != keys.len() {
        return Err(SearchError::shard(format!(
            "search_after has {} value(s) but sort has {}.",
            list.len(),
            keys.len()
        )));
    }
    // JavaScript rounds the greatest number up.
    let missing = |x: f64| x.abs() >= i64::MAX as f64;
    list.iter()
        .map(|value| match value {
            Value::Null => Ok(SortValue::Missing { number: false }),
            Value::String(text) => Ok(SortValue::Str(text.clone())),
            Value::Bool(b) => Ok(SortValue::Int(i64::from(*b))),
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(i64::MAX | i64::MIN), _) => Ok(SortValue::Missing { number: true }),
                (Some(n), _) => Ok(SortValue::Int(n)),
                (None, Some(x)) if missing(x) => Ok(SortValue::Missing { number: true }),
                (None, x) => Ok(SortValue::Float(x.unwrap_or_default())),
            },
            _ => Err(SearchError::parsing(
                "Can only use values of strings, numbers and booleans in [search_after]",
                "search_after",
            )),
        })
        .collect()
}

/// Dates that a client wrote as text, as the milliseconds that sort values are.
pub fn read_dates(values: &mut [SortValue], keys: &[SortKey], is_date: impl Fn(&str) -> bool, now_ms: i64) {
    for (value, key) in values.iter_mut().zip(keys) {
        let (SortValue::Str(text), By::Field(field)) = (&*value, &key.by) else { continue };
        if is_date(field) {
            let zone = jiff::tz::TimeZone::UTC;
            let reading = super::date_math::Reading { format: None, zone: &zone, up: false, now_ms };
            if let Ok(nanos) = super::date_math::parse(text, &reading) {
                *value = SortValue::Int(nanos.div_euclid(1_000_000));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms() {
        let check = |body: Value, expected: &[(&str, bool)]| {
            let keys = parse(&body).unwrap();
            let found: Vec<_> = keys
                .iter()
                .map(|key| match &key.by {
                    By::Field(field) => (field.as_str(), key.descending),
                    By::Score => ("_score", key.descending),
                    By::Doc => ("_doc", key.descending),
                })
                .collect();
            assert_eq!(found, expected, "{body}");
        };
        check(json!("a"), &[("a", false)]);
        check(json!(["a", {"b": "desc"}, "_score"]), &[("a", false), ("b", true), ("_score", true)]);
        check(
            json!({"a": {"order": "desc", "unmapped_type": "boolean"}, "_doc": {"order": "desc"}}),
            &[("a", true), ("_doc", true)],
        );
        assert!(parse_parameter("a:desc,b").unwrap()[0].descending);
        assert!(parse(&json!([{"a": {"ordr": "asc"}}])).is_err());
        assert!(parse(&json!({"a": "down"})).is_err());
    }

    #[test]
    fn missing_values_survive_a_round_trip() {
        let keys = parse(&json!([{"a": "asc"}, {"b": {"order": "desc", "missing": "_first"}}])).unwrap();
        for key in &keys {
            let shown = SortValue::Missing { number: true }.json(key);
            let back = parse_after(&json!([shown]), std::slice::from_ref(key)).unwrap();
            assert_eq!(back, [SortValue::Missing { number: true }]);
        }
        assert_eq!(SortValue::Missing { number: true }.json(&keys[0]), json!(i64::MAX));
        let back = parse_after(&json!([9223372036854776000u64]), &keys[..1]).unwrap();
        assert_eq!(back, [SortValue::Missing { number: true }]);
    }
}
